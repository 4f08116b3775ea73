"""One signature of a PDF: is it intact, what may have followed it, who made it, and when.

Cryptography, byte ranges and the comparison of revisions are pyHanko's; what is accepted is decided
here. Only detached CMS is read (ETSI EN 319 142-1, ISO 32000-2 section 12.8.3.3), with signed
attributes and algorithms of a closed list. After a signature only further signatures, time stamps
and their validation data may be added: no form filling, no annotation, no page.
"""

from __future__ import annotations

import binascii
import io
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DiffResult,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    XrefStreamRule,
)
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.cms import read_signed_data
from signing.cms_verify import Content
from signing.errors import SignatureInvalid, SignatureMalformed, SigningError
from signing.pdf_content import entry
from signing.pdf_source import blocks
from signing.problems import file_problem, signature_problem
from signing.signer_verdict import judge_signer
from signing.stapled import stapled_in_cms, stapled_in_pdf
from signing.timestamp import Timestamp, check_token
from signing.trust import Purpose, TrustStore
from signing.verdict import FileProblem, SignatureVerdict

SIGNATURES_MAX: Final = 32
_PADES: Final = "/ETSI.CAdES.detached"
_SUBFILTERS: Final = frozenset({_PADES, "/adbe.pkcs7.detached"})
_FORMS: Final = {"CAdES-B-B": "PAdES-B-B", "CAdES-B-T": "PAdES-B-T"}
"""Under the SubFilter of PAdES; under Adobe's the same signature is CMS in a PDF (ISO 32000-2 section 12.8.3.3)."""

logging.getLogger("pyhanko").addHandler(logging.NullHandler())
"""What the library logs about a file is in the verdict; a command line that sets up no logging would print it."""

_ONLY_SIGNATURES: Final = StandardDiffPolicy(
    global_rules=[
        CatalogModificationRule(),  # type: ignore[no-untyped-call]
        DocInfoRule().as_qualified(ModificationLevel.LTA_UPDATES),
        XrefStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
        ObjectStreamRule().as_qualified(ModificationLevel.LTA_UPDATES),
        DSSCompareRule().as_qualified(ModificationLevel.LTA_UPDATES),
        MetadataUpdateRule().as_qualified(ModificationLevel.LTA_UPDATES),  # type: ignore[no-untyped-call]
    ],
    form_rule=FormUpdatingRule(
        field_rules=[
            SigFieldCreationRule(),  # type: ignore[no-untyped-call]
            SigFieldModificationRule(),
        ]
    ),
)
"""pyHanko's default rules less `GenericFieldModificationRule`, which lets text fields be filled
in.
"""


class _Refused(Exception):  # carries the finding to the loop below
    def __init__(self, problem: FileProblem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def check_signatures(
    reader: PdfFileReader, trust: TrustStore, at: datetime, purposes: Sequence[Purpose] | None = None
) -> tuple[list[SignatureVerdict], list[FileProblem]]:
    """Every signature of the file, judged: those that hold, and what is wrong with the others.

    A document time stamp is checked and proves a time for the signatures before it. Raises what the
    parser raises on a malformed form.
    """
    found = list(enumerate_sig_fields(reader, filled_status=True))
    problems: list[FileProblem] = []
    if len(found) > SIGNATURES_MAX:
        return [], [file_problem("FILE_TOO_COMPLEX", f"more than {SIGNATURES_MAX} signatures")]
    embedded = []
    for name, value, signature_field in found:
        try:
            embedded.append(_open(reader, str(name), value, signature_field))
        except _Refused as refused:
            problems.append(refused.problem)
    embedded.sort(key=lambda one: one.signed_revision)
    if embedded:
        problems += _shown_by_nobody(reader, embedded[0].signed_revision)
    stamps: list[tuple[int, Timestamp]] = []
    for one in embedded:
        if one.sig_object_type == "/DocTimeStamp":
            try:
                stamps.append((one.signed_revision, _check_document_stamp(one, trust, at)))
            except _Refused as refused:
                problems.append(refused.problem)
    signatures = []
    for one in embedded:
        if one.sig_object_type == "/DocTimeStamp":
            continue
        later = [stamp for revision, stamp in stamps if revision > one.signed_revision]
        first = min(later, key=lambda stamp: stamp.time, default=None)
        try:
            signatures.append(_check_one(one, trust, at, first, purposes))
        except _Refused as refused:
            problems.append(refused.problem)
    return signatures, problems


def _shown_by_nobody(reader: PdfFileReader, signed_revision: int) -> list[FileProblem]:
    """Signature fields that are still empty and show what came after the first signature.

    An empty field may be added for who signs next, and the library lets it have an appearance, which
    would lie over what was signed. What shows a signer's own seal came with that signer's signature.
    """
    problems = []
    for name, _, reference in enumerate_sig_fields(reader, filled_status=False):
        kids = entry(reference.get_object(), "/Kids") or generic.ArrayObject()
        widgets = [reference, *[kids.raw_get(index) for index in range(len(kids))]]
        came_after = any(
            "/AP" in one.get_object()
            and reader.xrefs.get_last_change(getattr(one, "reference", reference.reference)) > signed_revision
            for one in widgets
        )
        if came_after:
            detail = "an empty signature field shows what came after a signature"
            problems.append(file_problem("FILE_CHANGED_AFTER_SIGNING", detail, str(name)))
    return problems


def signed_fields(reader: PdfFileReader) -> list[SignedField]:
    """Every field that is signed, unjudged, in the order of its signing. Raises what the parser raises."""
    found = []
    for name, value, _ in enumerate_sig_fields(reader, filled_status=True):
        dictionary = value.get_object()
        _, length, after, rest = (int(one) for one in dictionary.raw_get("/ByteRange"))
        field = SignedField(
            name=str(name),
            subfilter=str(entry(dictionary, "/SubFilter")).removeprefix("/"),
            contents=dictionary.raw_get("/Contents").original_bytes,
            gap=(length, after),
            claimed_at=_claimed_time(dictionary),
            end=after + rest,
        )
        found.append((reader.xrefs.get_last_change(value.reference), field))
    return [field for _, field in sorted(found, key=lambda one: one[0])]


def signed_up_to(data: bytes) -> int:
    """How many bytes of a file the last of its signatures covers, and what is before them. Of a file that was checked.

    It asks for no cryptography, so it also says this of a signature that nobody here can judge.
    """
    fields = signed_fields(PdfFileReader(io.BytesIO(data)))
    return fields[-1].end if fields else 0


class SignedField(NamedTuple):
    """A signature as it stands in the file. contents: its CMS, padded. gap: where in the file that begins and ends.
    claimed_at: the time that the dictionary claims.
    end: where what it covers ends.
    """

    name: str
    subfilter: str
    contents: bytes
    gap: tuple[int, int]
    claimed_at: datetime | None
    end: int


class _Embedded(EmbeddedPdfSignature):
    """A signature in the reader's eyes: revisions, coverage and what followed are the library's to say.

    Its CMS is ours to read, as the library knows neither GB/T 35275 nor SM2; so the base class, which
    parses it on construction, is not asked to.
    """

    def __init__(self, reader: PdfFileReader, signature_field: Any, name: str) -> None:
        self.reader = reader
        self.sig_field = signature_field.get_object()
        reference = self.sig_field.raw_get("/V")
        self.sig_object = reference.get_object()
        self.fq_name = name
        self.byte_range = [int(one) for one in self.sig_object.raw_get("/ByteRange")]
        self.pkcs7_content = self.sig_object.raw_get("/Contents").original_bytes
        self.signed_revision = reader.xrefs.get_last_change(reference.reference)
        self.coverage = None
        self.diff_result = None
        self._docmdp = self._fieldmdp = None
        self._docmdp_queried = self._fieldmdp_queried = False
        self._integrity_checked = False
        self.signed = read_signed_data(self.pkcs7_content, padded=True)
        if len(self.signed.signers) != 1:
            raise SignatureMalformed("a signature of a PDF has one signer (ETSI EN 319 142-1)")
        self.content = Content(self._covered)

    def compute_digest(self, hash_algo: str | None = None) -> bytes:
        """The library wants the digest of the file before it looks at revisions; it is taken later, once."""
        return b""

    def gap_is_contents(self) -> bool:
        """Whether what is left out of the signed range is the signature value's hexadecimal string, all of it and
        nothing besides: the library counts its length, which other spellings can be made to have.
        """
        start, length, after, rest = self.byte_range
        stream = self.reader.stream
        end = stream.seek(0, io.SEEK_END)
        if start != 0 or length <= 0 or rest <= 0 or not length < after <= after + rest <= end:
            return False
        stream.seek(length)
        gap = bytes(stream.read(after - length))
        return gap == b"<%b>" % gap[1:-1] and _is_hex_of(gap[1:-1], self.pkcs7_content)

    def _covered(self) -> Iterator[bytes]:
        stream = self.reader.stream
        for start, length in zip(self.byte_range[::2], self.byte_range[1::2], strict=True):
            yield from blocks(stream, start, length)


def _is_hex_of(text: bytes, value: bytes) -> bool:
    return len(text) == 2 * len(value) and text.lower() == binascii.hexlify(value)


def _open(reader: PdfFileReader, name: str, value: Any, signature_field: Any) -> _Embedded:
    dictionary = value.get_object()
    subfilter = entry(dictionary, "/SubFilter")
    stamp = entry(dictionary, "/Type") == "/DocTimeStamp" and subfilter == "/ETSI.RFC3161"
    if subfilter not in _SUBFILTERS and not stamp:
        raise _Refused(file_problem("FILE_SIGNATURE_FORMAT", f"SubFilter {subfilter}", name))
    try:
        return _Embedded(reader, signature_field, name)
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise _Refused(file_problem("FILE_SIGNATURE_FORMAT", str(error)[:200], name)) from error


def _check_one(
    embedded: _Embedded,
    trust: TrustStore,
    at: datetime,
    stamp: Timestamp | None,
    purposes: Sequence[Purpose] | None,
) -> SignatureVerdict:
    """The signature, if all of it holds; `_Refused` with the first finding otherwise.

    Coverage, then what followed, then the six checks of `signer_verdict`.
    """
    name = str(embedded.fq_name)
    covers_whole = _check_revisions(embedded, name)
    try:
        if embedded.signed.content is not None:
            raise SignatureInvalid("a detached signature carries content of its own")
        (signer,) = embedded.signed.signers
        verdict = judge_signer(
            embedded.signed,
            signer,
            embedded.content,
            trust,
            at,
            field=name,
            stamp=stamp,
            purposes=purposes,
            stapled=stapled_in_cms(embedded.pkcs7_content) | stapled_in_pdf(embedded.reader),
        )
    except SigningError as error:
        raise _Refused(signature_problem(error, name)) from error
    return msgspec.structs.replace(
        verdict,
        signed_at=verdict.signed_at or _claimed_time(embedded.sig_object),
        covers_whole_document=covers_whole,
        visible=_is_visible(embedded.sig_field),
        form=_form(verdict.form, entry(embedded.sig_object, "/SubFilter")),
    )


def _form(form: str, subfilter: Any) -> str:
    if form not in _FORMS:
        return form
    return _FORMS[form] if subfilter == _PADES else "CMS"


def _check_revisions(embedded: _Embedded, name: str) -> bool:
    """Whether the signature covers the file to its end; `_Refused` where more than signatures
    follow.
    """
    try:
        if len(embedded.byte_range) != 4 or not embedded.gap_is_contents():
            raise _Refused(file_problem("FILE_SIGNATURE_COVERAGE", field=name))
        embedded.compute_integrity_info(  # type: ignore[no-untyped-call]
            diff_policy=_ONLY_SIGNATURES
        )
    except _Refused:
        raise
    except Exception as error:  # as in _open
        raise _Refused(file_problem("FILE_SIGNATURE_FORMAT", str(error)[:200], name)) from error
    coverage: SignatureCoverageLevel | None = embedded.coverage
    if coverage is None or coverage < SignatureCoverageLevel.ENTIRE_REVISION:
        raise _Refused(file_problem("FILE_SIGNATURE_COVERAGE", field=name))
    difference: object = embedded.diff_result
    if not isinstance(difference, DiffResult):
        detail = str(difference)[:200]
        raise _Refused(file_problem("FILE_CHANGED_AFTER_SIGNING", detail, name))
    if embedded.summarise_integrity_info()["docmdp_ok"] is not True:
        raise _Refused(file_problem("FILE_CHANGED_AFTER_SIGNING", "the author's signature forbids it", name))
    return bool(coverage == SignatureCoverageLevel.ENTIRE_FILE)


def _check_document_stamp(embedded: _Embedded, trust: TrustStore, at: datetime) -> Timestamp:
    name = str(embedded.fq_name)
    _check_revisions(embedded, name)
    try:
        return check_token(embedded.signed, embedded.content.digest, trust, at)
    except SigningError as error:
        raise _Refused(signature_problem(error, name)) from error


def _claimed_time(dictionary: generic.DictionaryObject) -> datetime | None:
    """The time in the signature dictionary, where the attributes claim none; a malformed one claims nothing."""
    try:
        claimed: datetime = generic.parse_pdf_date(entry(dictionary, "/M"), strict=True)
    except Exception:
        return None
    return claimed if claimed.tzinfo is not None else None


def _is_visible(signature_field: generic.DictionaryObject) -> bool:
    """Whether the field's widget has an area: an appearance could lie over what others signed."""
    try:
        rectangle = [float(one.get_object()) for one in signature_field["/Rect"]]
    except (KeyError, TypeError, ValueError):
        return False
    return len(rectangle) == 4 and rectangle[0] != rectangle[2] and rectangle[1] != rectangle[3]
