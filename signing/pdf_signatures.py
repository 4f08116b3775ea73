"""One signature of a PDF: is it intact, what may have followed it, who made it, and when.

Cryptography, byte ranges and the comparison of revisions are pyHanko's; what is accepted is decided
here. Only detached CMS is read (ETSI EN 319 142-1, ISO 32000-2 section 12.8.3.3), with signed
attributes and algorithms of a closed list. After a signature only further signatures, time stamps
and their validation data may be added: no form filling, no annotation, no page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import UnsupportedAlgorithm
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
    validate_sig_integrity,
)
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.algorithms import check_key
from signing.certificates import Certificate, IdentityKind, parse_certificate
from signing.errors import (
    AlgorithmRefused,
    CertificateMalformed,
    CertificateUnknownIssuer,
    CertificateWithoutIdentity,
    SignatureInvalid,
    SigningError,
)
from signing.pdf_content import entry
from signing.problems import file_problem, signature_problem
from signing.stapled import Stapled, stapled_in_cms, stapled_in_pdf
from signing.trust import Chain, Purpose, TrustStore
from signing.verdict import PdfProblem, PdfSignature

SIGNATURES_MAX: Final = 32
CMS_BYTES_MAX: Final = 512 * 1024
CMS_CERTIFICATES_MAX: Final = 16
TIMESTAMPS_MAX: Final = 4
TIMESTAMP_SKEW: Final = timedelta(minutes=5)
"""A token may be this much ahead of the time of the check: clocks differ."""

_SUBFILTERS: Final = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached"})
_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_SCHEMES: Final = frozenset({"rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519"})

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
        leaf, extra = _certificates(embedded.signed_data)  # 3
        if embedded.signed_data["encap_content_info"]["content"] is not core.VOID:
            raise SignatureInvalid("a detached signature carries content of its own")
        _check_cms(embedded.signed_data, leaf, "data", embedded.compute_digest())  # 4
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


def _certificates(signed_data: cms.SignedData) -> tuple[Certificate, list[Certificate]]:
    """The signer's certificate and the others of a CMS. Raises `SigningError`.

    The signer is the one that the SignerInfo names by issuer and serial number, compared as DER.
    """
    try:
        choices = signed_data["certificates"]
        if len(choices) > CMS_CERTIFICATES_MAX:
            raise CertificateMalformed(f"more than {CMS_CERTIFICATES_MAX} certificates in the CMS")
        (signer_info,) = signed_data["signer_infos"]
        ders = [one.chosen.dump() for one in choices if one.name == "certificate"]
        sid = signer_info["sid"]
        if sid.name != "issuer_and_serial_number":
            raise CertificateMalformed("the CMS names its signer by key identifier, not by issuer")
        issuer = sid.chosen["issuer"].dump()
        serial = sid.chosen["serial_number"].native
    except SigningError:
        raise
    except Exception as error:  # as in _open
        raise CertificateMalformed(f"the CMS cannot be read: {error}") from error
    parsed = [parse_certificate(der) for der in ders]
    signer = [one for one in parsed if one.serial == serial and one.issuer_name == issuer]
    if len(signer) != 1:
        raise CertificateMalformed("the CMS does not hold its signer's certificate exactly once")
    return signer[0], [one for one in parsed if one is not signer[0]]


def _check_cms(signed_data: cms.SignedData, leaf: Certificate, content_type: str, digest: bytes) -> None:
    """The CMS signature over `digest` of the content: RFC 5652 section 5.4 with signed attributes,
    which must name `content_type`, hold the digest, and, where they name a certificate, name
    this one.

    Raises `SignatureInvalid` or `AlgorithmRefused`.
    """
    signer_info = signed_data["signer_infos"][0]
    _check_algorithms(signer_info)
    check_key(leaf.public_key)
    try:
        if signer_info["signed_attrs"] is core.VOID or not len(signer_info["signed_attrs"]):
            raise SignatureInvalid("the CMS signature has no signed attributes")
        certificate = asn1_x509.Certificate.load(leaf.der)
        intact, valid = validate_sig_integrity(signer_info, certificate, content_type, digest)
    except SigningError:
        raise
    except (UnsupportedAlgorithm, AssertionError, TypeError) as error:
        raise AlgorithmRefused("the CMS signature algorithm does not fit the key") from error
    except Exception as error:  # as in _open
        raise SignatureInvalid(f"the CMS signature cannot be verified: {error}") from error
    if not intact:
        raise SignatureInvalid("the signed bytes were changed: their digest is another")
    if not valid:
        raise SignatureInvalid("the signature value does not verify under the certificate's key")


def _check_algorithms(signer_info: cms.SignerInfo) -> None:
    try:
        algorithm = signer_info["signature_algorithm"]
        try:
            scheme = algorithm.signature_algo
        except ValueError:
            scheme = algorithm["algorithm"].native
        digest = signer_info["digest_algorithm"]["algorithm"].native
        used = {digest}
        if scheme == "rsassa_pss":
            parameters = algorithm["parameters"]
            used |= {
                parameters["hash_algorithm"]["algorithm"].native,
                parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native,
            }
        elif algorithm["algorithm"].native not in ("rsassa_pkcs1v15", "ed25519"):
            used.add(algorithm.hash_algo)
    except (ValueError, TypeError, KeyError) as error:
        raise AlgorithmRefused(f"the CMS names an unknown algorithm: {error}") from error
    if scheme not in _SCHEMES or not used <= _HASHES:
        shown = ", ".join(sorted(str(one) for one in used))
        raise AlgorithmRefused(f"CMS signature algorithm {scheme} with {shown} is not accepted")


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
    return [_check_token(one, lambda name: _hash(name, signature), trust, at) for one in tokens]


def _check_document_stamp(embedded: EmbeddedPdfSignature, trust: TrustStore, at: datetime) -> datetime:
    name = str(embedded.fq_name)
    _check_revisions(embedded, name)
    try:
        return _check_token(embedded.signed_data, embedded.compute_digest, trust, at)
    except _Refused as refused:
        raise _Refused(msgspec.structs.replace(refused.problem, field=name)) from refused


def _check_token(
    token: cms.SignedData, imprint: Callable[[str], bytes], trust: TrustStore, at: datetime
) -> datetime:
    """The time of an RFC 3161 token over `imprint`, if it chains to a TSA anchor.

    The chain must be valid at the token's time and unrevoked at `at`: a stolen key could date back.
    """
    try:
        content = token["encap_content_info"]["content"]
        info = content.parsed
        if not isinstance(info, tsp.TSTInfo):
            raise SignatureInvalid("the token holds no TSTInfo")
        stated = info["message_imprint"]
        algorithm = stated["hash_algorithm"]["algorithm"].native
        if algorithm not in _HASHES or stated["hashed_message"].native != imprint(algorithm):
            raise SignatureInvalid("the token is over other bytes")
        time: datetime = info["gen_time"].native
        leaf, extra = _certificates(token)
        digest = _hash(token["signer_infos"][0]["digest_algorithm"]["algorithm"].native, bytes(content))
        _check_cms(token, leaf, "tst_info", digest)
        if time > at + TIMESTAMP_SKEW:
            raise SignatureInvalid(f"the token's time {time.isoformat()} lies in the future")
        chain = trust.check_chain(leaf, extra, Purpose.TSA, time)
        if any(trust.is_revoked(link.issuer_key_id, int(link.serial), at) for link in chain.links):
            raise SignatureInvalid("the time stamp authority's certificate is revoked")
    except SigningError as error:
        detail = f"{error.reason}, {error.message}"
        raise _Refused(file_problem("FILE_TIMESTAMP_INVALID", detail)) from error
    except Exception as error:  # as in _open
        raise _Refused(file_problem("FILE_TIMESTAMP_INVALID", str(error)[:200])) from error
    return time


def _hash(name: str, data: bytes) -> bytes:
    if name not in _HASHES:
        raise AlgorithmRefused(f"digest algorithm {name} is not accepted")
    return hashlib.new(name, data).digest()


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
