"""What a signature says of itself, shown before anything is believed: for people who look for a fault.

Nothing is verified here; `pdf`, `cms_file` and `verify` do that.
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Final

import msgspec
from pyhanko.pdf_utils.reader import PdfFileReader

from signing import cms
from signing.certificates import Certificate, Identity, parse_certificate
from signing.cms import SignedData, SignerInfo, read_signed_data
from signing.cms_algorithms import scheme_of
from signing.cms_file import CONTENT_BYTES_MAX, signer_field
from signing.cms_verify import certificates_of, claimed_time
from signing.envelope import Envelope
from signing.errors import SignatureMalformed, SigningError
from signing.pdf_signatures import signed_fields

_UNUSED: Final = {
    "1.2.840.113549.1.9.6": "countersignature 副署签名",
    "0.4.0.1733.2.4": "archive time stamp 归档时间戳 (CAdES-B-LTA)",
    "1.2.840.113549.1.9.16.2.48": "archive time stamp 归档时间戳 (CAdES-A)",
    "1.2.840.113549.1.9.16.2.25": "time stamp over references 引用时间戳 (CAdES-X)",
    "1.2.840.113549.1.9.16.2.26": "time stamp over references 引用时间戳 (CAdES-X)",
    "1.2.840.113549.1.9.16.2.23": "certificate values 附带证书 (CAdES-X-L)",
}
"""Unsigned attributes that the check does not use (ETSI EN 319 122-1); revocation values it does."""
_STORE: Final = "certificates of the document security store 文档安全存储中的证书 (/DSS, PAdES-B-LT)"

DETACHED: Final = "detached"
"""How the form of a signature ends whose content lies elsewhere."""


class SeenSignature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature's own words. field: of a PDF, or the signer's number. form: the structure it is in.

    algorithm, claimed_at: as stated. stamps: how many time stamp tokens it carries. fault: why no more can
    be shown, empty where all can. unused: what lies in the file beyond B-T and is not verified, in both
    languages. The certificate's words are empty where it is not in the file.
    """

    field: str
    form: str
    algorithm: str = ""
    claimed_at: datetime | None = None
    stamps: int = 0
    name: str = ""
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    fingerprint: str = ""
    identity: Identity | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    fault: str = ""
    unused: tuple[str, ...] = ()


def seen_in_pdf(data: bytes) -> tuple[SeenSignature, ...]:
    """The signatures of a PDF, in the order of its fields. Raises `SignatureMalformed`."""
    try:
        reader = PdfFileReader(BytesIO(data), strict=True)
        found = signed_fields(reader)
        beyond = (_STORE,) if "/DSS" in reader.root else ()
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise SignatureMalformed(
            f"the PDF cannot be read: {error}"[:300], "PDF 无法读取（结构错误或已加密）"
        ) from error
    seen = []
    for field in found:
        form = f"PDF {field.subfilter}"
        try:
            signed = read_signed_data(field.contents, padded=True)
            seen += [_seen(signed, one, field.name, form, field.claimed_at, beyond) for one in signed.signers]
        except SigningError as error:
            seen.append(SeenSignature(field=field.name, form=form, fault=_fault(error)))
    return tuple(seen)


def seen_in_cms(data: bytes) -> tuple[SeenSignature, ...]:
    """The signers of a CMS or GB/T 35275 file. Raises `SignatureMalformed`."""
    signed = read_signed_data(data, bytes_max=cms.SIGNATURE_BYTES_MAX + CONTENT_BYTES_MAX)
    shape = DETACHED if signed.content is None else "attached"
    form = f"{'GB/T 35275' if signed.national else 'CMS'} {shape}"
    return tuple(_seen(signed, one, signer_field(n), form) for n, one in enumerate(signed.signers))


def seen_in_envelope(envelope: Envelope) -> tuple[SeenSignature, ...]:
    """The signatures of an envelope."""
    seen = []
    for number, one in enumerate(envelope.signatures):
        shown = SeenSignature(field=signer_field(number), form="envelope", algorithm=one.algorithm)
        try:
            seen.append(_with(shown, parse_certificate(one.certificates[0])))
        except SigningError as error:
            seen.append(msgspec.structs.replace(shown, fault=_fault(error)))
    return tuple(seen)


def seen_certificate(certificate: Certificate, form: str) -> SeenSignature:
    """A signature that is nothing but its value, by the certificate that is handed in with it."""
    return _with(SeenSignature(field=signer_field(0), form=form), certificate)


def _seen(
    signed: SignedData,
    signer: SignerInfo,
    field: str,
    form: str,
    claimed_at: datetime | None = None,
    beyond: tuple[str, ...] = (),
) -> SeenSignature:
    shown = SeenSignature(
        field=field,
        form=form,
        claimed_at=claimed_time(signer) or claimed_at,
        stamps=len(signer.unsigned.get(cms.STAMP, ())),
        serial="" if signer.key_identifier else str(signer.serial),
        unused=(*[_UNUSED[oid] for oid in signer.unsigned if oid in _UNUSED], *beyond),
    )
    try:
        shown = msgspec.structs.replace(
            shown, algorithm=scheme_of(signer.digest_algorithm, signer.signature_algorithm).name
        )
        return _with(shown, certificates_of(signed, signer)[0])
    except SigningError as error:
        return msgspec.structs.replace(shown, fault=_fault(error))


def _fault(error: SigningError) -> str:
    return f"{error.message}  {error.zh}"


def _with(shown: SeenSignature, certificate: Certificate) -> SeenSignature:
    return msgspec.structs.replace(
        shown,
        name=certificate.name,
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=str(certificate.serial),
        fingerprint=certificate.fingerprint,
        identity=certificate.identity,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )
