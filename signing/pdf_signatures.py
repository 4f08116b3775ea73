"""One signature of a PDF: is it intact, what may have followed it, who made it, and when.

Cryptography, byte ranges and the comparison of revisions are pyHanko's; what is accepted is decided
here. Only detached CMS is read (ETSI EN 319 142-1, ISO 32000-2 section 12.8.3.3), with signed
attributes and algorithms of a closed list. After a signature only further signatures, time stamps
and their validation data may be added: no form filling, no annotation, no page.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from asn1crypto import cms, core
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
from pyhanko.sign.validation.generic_cms import (
    extract_tst_data_iter,
)
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.certificates import Certificate, IdentityKind
from signing.errors import (
    CertificateUnknownIssuer,
    CertificateWithoutIdentity,
    SignatureInvalid,
    SigningError,
    TimestampInvalid,
)
from signing.pdf_content import entry
from signing.problems import file_problem, signature_problem
from signing.signed_data import check_signature, digest_of, signer_of
from signing.stapled import Stapled, stapled_in_cms, stapled_in_pdf
from signing.timestamp import check_token
from signing.trust import Chain, Purpose, TrustStore
from signing.verdict import PdfProblem, PdfSignature

SIGNATURES_MAX: Final = 32
CMS_BYTES_MAX: Final = 512 * 1024
TIMESTAMPS_MAX: Final = 4

_SUBFILTERS: Final = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached"})

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

_CANDIDATES: Final = {
    IdentityKind.LEGAL: (Purpose.INSTITUTION, Purpose.REGISTRY),
    IdentityKind.NATURAL: (Purpose.PERSON, Purpose.REGISTRAR),
}


class _Refused(Exception):  # carries the finding to the loop below
    def __init__(self, problem: PdfProblem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def check_signatures(
    reader: PdfFileReader, trust: TrustStore, at: datetime
) -> tuple[list[PdfSignature], list[PdfProblem]]:
    """Every signature of the file, judged: those that hold, and what is wrong with the others.

    A document time stamp is checked and proves a time for the signatures before it. Raises what the
    parser raises on a malformed form.
    """
    found = list(enumerate_sig_fields(reader, filled_status=True))
    problems: list[PdfProblem] = []
    if len(found) > SIGNATURES_MAX:
        return [], [file_problem("FILE_TOO_COMPLEX", f"more than {SIGNATURES_MAX} signatures")]
    embedded = []
    for name, value, signature_field in found:
        try:
            embedded.append(_open(reader, str(name), value, signature_field))
        except _Refused as refused:
            problems.append(refused.problem)
    embedded.sort(key=lambda one: one.signed_revision)
    stamped: list[tuple[int, datetime]] = []
    for one in embedded:
        if one.sig_object_type == "/DocTimeStamp":
            try:
                stamped.append((one.signed_revision, _check_document_stamp(one, trust, at)))
            except _Refused as refused:
                problems.append(refused.problem)
    signatures = []
    for one in embedded:
        if one.sig_object_type == "/DocTimeStamp":
            continue
        later = [time for revision, time in stamped if revision > one.signed_revision]
        try:
            signatures.append(_check_one(one, trust, at, min(later, default=None)))
        except _Refused as refused:
            problems.append(refused.problem)
    return signatures, problems


def _open(reader: PdfFileReader, name: str, value: Any, signature_field: Any) -> EmbeddedPdfSignature:
    dictionary = value.get_object()
    subfilter = entry(dictionary, "/SubFilter")
    stamp = entry(dictionary, "/Type") == "/DocTimeStamp" and subfilter == "/ETSI.RFC3161"
    if subfilter not in _SUBFILTERS and not stamp:
        raise _Refused(file_problem("FILE_SIGNATURE_FORMAT", f"SubFilter {subfilter}", name))
    try:
        contents = dictionary.raw_get("/Contents").original_bytes
        if len(contents) > CMS_BYTES_MAX:
            raise ValueError(f"CMS of more than {CMS_BYTES_MAX} bytes")
        embedded = EmbeddedPdfSignature(reader, signature_field, name)
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise _Refused(file_problem("FILE_SIGNATURE_FORMAT", str(error)[:200], name)) from error
    return embedded


def _check_one(
    embedded: EmbeddedPdfSignature, trust: TrustStore, at: datetime, stamped_at: datetime | None
) -> PdfSignature:
    """The signature, if all of it holds; `_Refused` with the first finding otherwise.

    1 coverage, 2 what followed, 3 the certificate, 4 the CMS signature, 5 proven time, 6 the chain.
    """
    name = str(embedded.fq_name)
    covers_whole = _check_revisions(embedded, name)  # 1, 2
    try:
        leaf, extra = signer_of(embedded.signed_data)  # 3
        if embedded.signed_data["encap_content_info"]["content"] is not core.VOID:
            raise SignatureInvalid("a detached signature carries content of its own")
        check_signature(embedded.signed_data, leaf, "data", embedded.compute_digest())  # 4
        tokens = _token_times(embedded.signer_info, trust, at)  # 5
        proven = min([*tokens, *([stamped_at] if stamped_at else [])], default=None)
        judged_at = proven or at
        stapled = stapled_in_cms(embedded.pkcs7_content) | stapled_in_pdf(embedded.reader)
        chain = _check_any_purpose(leaf, extra, trust, judged_at, stapled)  # 6
    except SigningError as error:
        raise _Refused(signature_problem(error, name)) from error
    except _Refused as refused:
        raise _Refused(msgspec.structs.replace(refused.problem, field=name)) from refused
    assert leaf.identity is not None  # no purpose of step 6 goes without one
    return PdfSignature(
        field=name,
        identity=leaf.identity,
        name=leaf.name,
        fingerprint=leaf.fingerprint,
        issuer_key_id=chain.links[0].issuer_key_id,
        serial=chain.links[0].serial,
        algorithm=_algorithm_name(embedded.signer_info),
        signed_at=_claimed_time(embedded),
        proven_at=proven,
        judged_at=judged_at,
        covers_whole_document=covers_whole,
        visible=_is_visible(embedded.sig_field),
        purpose=chain.purpose,
        chain=chain.links,
        anchor=chain.certificates[-1].fingerprint,
        evidence=tuple(dict.fromkeys(one for link in chain.evidence for one in link)),
        in_grace=chain.in_grace,
    )


def _check_revisions(embedded: EmbeddedPdfSignature, name: str) -> bool:
    """Whether the signature covers the file to its end; `_Refused` where more than signatures
    follow.
    """
    try:
        embedded.compute_integrity_info(  # type: ignore[no-untyped-call]
            diff_policy=_ONLY_SIGNATURES
        )
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


def _check_any_purpose(
    leaf: Certificate, extra: list[Certificate], trust: TrustStore, at: datetime, stapled: Stapled
) -> Chain:
    """The chain to an anchor of the first purpose that the identity allows and that has one."""
    if leaf.identity is None:
        raise CertificateWithoutIdentity(
            f"{leaf.subject!r} holds no single identity number (ETSI EN 319 412-1)",
            fingerprint=leaf.fingerprint,
        )
    unknown: CertificateUnknownIssuer | None = None
    for purpose in _CANDIDATES[leaf.identity.kind]:
        try:
            return trust.check_chain(leaf, extra, purpose, at, stapled)
        except CertificateUnknownIssuer as error:
            unknown = error
    assert unknown is not None
    raise unknown


def _token_times(signer_info: cms.SignerInfo, trust: TrustStore, at: datetime) -> list[datetime]:
    """Times of the signature time stamp tokens. One that does not hold refuses the signature."""
    if signer_info["unsigned_attrs"] is core.VOID:
        return []
    try:
        tokens = list(extract_tst_data_iter(signer_info, signed=False))
        signature = signer_info["signature"].native
    except Exception as error:  # as in _open
        raise _Refused(file_problem("FILE_TIMESTAMP_INVALID", str(error)[:200])) from error
    if len(tokens) > TIMESTAMPS_MAX:
        raise _Refused(file_problem("FILE_TOO_COMPLEX", f"more than {TIMESTAMPS_MAX} time stamps"))
    return [_token_time(one, lambda name: digest_of(name, signature), trust, at) for one in tokens]


def _check_document_stamp(embedded: EmbeddedPdfSignature, trust: TrustStore, at: datetime) -> datetime:
    name = str(embedded.fq_name)
    _check_revisions(embedded, name)
    try:
        return _token_time(embedded.signed_data, embedded.compute_digest, trust, at)
    except _Refused as refused:
        raise _Refused(msgspec.structs.replace(refused.problem, field=name)) from refused


def _token_time(
    token: cms.SignedData, imprint: Callable[[str], bytes], trust: TrustStore, at: datetime
) -> datetime:
    try:
        return check_token(token, imprint, trust, at).time
    except TimestampInvalid as error:
        raise _Refused(file_problem("FILE_TIMESTAMP_INVALID", error.message)) from error


def _algorithm_name(signer_info: cms.SignerInfo) -> str:
    signature = signer_info["signature_algorithm"]["algorithm"].native
    return f"{signature}/{signer_info['digest_algorithm']['algorithm'].native}"


def _claimed_time(embedded: EmbeddedPdfSignature) -> datetime | None:
    try:
        claimed = embedded.self_reported_timestamp
    except Exception:  # a malformed date claims nothing
        return None
    return claimed if claimed is None or claimed.tzinfo is not None else None


def _is_visible(signature_field: generic.DictionaryObject) -> bool:
    """Whether the field's widget has an area: an appearance could lie over what others signed."""
    try:
        rectangle = [float(one.get_object()) for one in signature_field["/Rect"]]
    except (KeyError, TypeError, ValueError):
        return False
    return len(rectangle) == 4 and rectangle[0] != rectangle[2] and rectangle[1] != rectangle[3]
