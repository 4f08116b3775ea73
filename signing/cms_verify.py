"""Does a CMS signature hold? The cryptography of one signer of a SignedData, over content wherever it is.

A file beside its signature, content inside it, the byte range of a PDF and a time stamp token are all
judged here. The order is fixed, and the first check that fails is the finding:

1. the signer's certificate is in the file, named by issuer and serial number or by its key identifier;
2. digest and signature algorithm are of the closed list and agree with each other;
3. the signed attributes name this type of content, hold its digest, and, where they name a
   certificate, name this one (RFC 5652 section 11, RFC 5035);
4. the signature value verifies under the certificate's key over the attributes as they were sent.

What time is proven and whom to believe is asked after it, in `signer_verdict`. GB/T 35275 lets a signer
sign the content itself, without attributes; RFC 5652 allows that too, and it is refused there, as CAdES
does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import msgspec
from cryptography import x509

from signing import cms, der
from signing.certificates import Certificate, parse_certificate
from signing.cms import SignedData, SignerInfo
from signing.cms_algorithms import SHA256_OID, Scheme, algorithm_identifier, digest_named, scheme_of, verify
from signing.envelope import PAE_BEGINNING
from signing.errors import (
    ContentChanged,
    SignatureInvalid,
    SignatureMalformed,
    SignerCertificateMissing,
)

_DATA_TYPES: Final = frozenset({cms.DATA, cms.NATIONAL_DATA})
_TIME_BYTES: Final = len("YYYYMMDDhhmmssZ")
_OTHER_NAMED: Final = "the signed attributes name another certificate than the signer's"
_OTHER_NAMED_ZH: Final = "签名属性所指的证书与签名人的证书不同"


class Content:
    """Bytes that may be read more than once, and their digests, each computed once."""

    def __init__(self, read: Callable[[], Iterable[bytes]]) -> None:
        """read: the bytes from the beginning, a block at a time."""
        self._read = read
        self._digests: dict[str, bytes] = {}

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Bytes in memory."""
        return cls(lambda: (data,))

    @classmethod
    def digested(cls, name: str, digest: bytes) -> Content:
        """Bytes of which only this digest is at hand."""
        content = cls(lambda: ())
        content._digests[name] = digest
        return content

    def digest(self, name: str) -> bytes:
        """The digest by a hash of hashlib."""
        if name not in self._digests:
            running = hashlib.new(name)
            for block in self._read():
                running.update(block)
            self._digests[name] = running.digest()
        return self._digests[name]

    def whole(self) -> bytes:
        """All of it in memory."""
        return b"".join(self._read())


class Signed(msgspec.Struct, frozen=True):
    """A signature whose cryptography holds: by whom, with what, and the time that the signer claims.

    extra: the file's other certificates. named: the signed attributes name the certificate.
    """

    leaf: Certificate
    extra: tuple[Certificate, ...]
    algorithm: str
    claimed: datetime | None
    named: bool


def check_signature(
    signed: SignedData, signer: SignerInfo, content: Content, content_types: frozenset[str] = _DATA_TYPES
) -> Signed:
    """Checks 1 to 4. Raises a `SigningError`."""
    leaf, extra = certificates_of(signed, signer)  # 1
    scheme = scheme_of(signer.digest_algorithm, signer.signature_algorithm)  # 2
    if signed.content_type not in content_types:
        raise SignatureMalformed(
            f"the content is of type {signed.content_type}, which is not what is signed here",
            f"被签内容的类型为 {signed.content_type}，此处不接受",
        )
    if signer.signed_attributes is None:
        message = _without_attributes(signed, content)
        named = False
    else:
        message = signer.signed_attributes
        named = _check_attributes(signed, signer, leaf, scheme, content)  # 3
    algorithm = verify(scheme, leaf.public_key, signer.signature, message)  # 4
    return Signed(leaf, extra, algorithm, claimed_time(signer), named)


def certificates_of(signed: SignedData, signer: SignerInfo) -> tuple[Certificate, tuple[Certificate, ...]]:
    """The signer's certificate and the others; names are compared as DER. Raises `CertificateMalformed`,
    `SignerCertificateMissing`.
    """
    parsed = [parse_certificate(one) for one in dict.fromkeys(signed.certificates)]
    found = [one for one in parsed if _is_of(one, signer)]
    if len(found) != 1:
        who = (
            f"key identifier {signer.key_identifier.hex()}"
            if signer.key_identifier
            else f"serial number {signer.serial} of its issuer"
        )
        raise SignerCertificateMissing(
            f"the file holds {len(found)} certificates with the {who}: its signer's must be in it, once",
            f"签名文件中须有且仅有一份签名人的证书，现有 {len(found)} 份：请连同证书一起签名",
        )
    return found[0], tuple(one for one in parsed if one is not found[0])


def _is_of(certificate: Certificate, signer: SignerInfo) -> bool:
    if not signer.key_identifier:
        return certificate.serial == signer.serial and certificate.issuer_name == signer.issuer
    try:
        own = certificate.loaded.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return own.value.digest == signer.key_identifier


def _check_attributes(
    signed: SignedData, signer: SignerInfo, leaf: Certificate, scheme: Scheme, content: Content
) -> bool:
    """Whether they name the certificate; raises where they say anything that is not so."""
    content_type = _one_value(signer, cms.CONTENT_TYPE, "the content type")
    if content_type is None or der.oid_of(content_type, "the content type") != signed.content_type:
        raise SignatureMalformed("the signed attributes do not name the type of the content")
    digest = _one_value(signer, cms.MESSAGE_DIGEST, "the message digest")
    if digest is None:
        raise SignatureMalformed("the signed attributes hold no digest of the content")
    if der.expect(digest, der.OCTET_STRING, "the message digest").content != content.digest(scheme.digest):
        raise ContentChanged("the signed bytes were changed, or it is another file: their digest is another")
    first = _one_value(signer, cms.SIGNING_CERTIFICATE, "the signing certificate")
    second = _one_value(signer, cms.SIGNING_CERTIFICATE_V2, "the signing certificate")
    if first is not None:
        _check_named(_first_named(first), "sha1", leaf)
    if second is not None:
        parts = _first_named(second)
        name = digest_named(SHA256_OID)
        if parts and parts[0].tag == der.SEQUENCE:
            name = digest_named(algorithm_identifier(parts.pop(0), "the digest of the certificate")[0])
        _check_named(parts, name, leaf)
    return first is not None or second is not None


def _first_named(value: der.Element) -> list[der.Element]:
    """The parts of the first ESSCertID of a SigningCertificate, which is the signer's (RFC 5035)."""
    parts = der.children(der.expect(value, der.SEQUENCE, "the signing certificate"), 2)
    named = (
        der.children(der.expect(parts[0], der.SEQUENCE, "the certificates"), cms.CERTIFICATES_MAX)
        if parts
        else []
    )
    if not named:
        raise SignatureMalformed("the signing certificate attribute names none")
    return der.children(der.expect(named[0], der.SEQUENCE, "the signing certificate"), 3)


def _check_named(parts: list[der.Element], name: str, leaf: Certificate) -> None:
    """parts: the certificate's digest and, perhaps, issuer and serial number, which must be its own."""
    digest = leaf.fingerprint  # which is SHA-256, as nearly everybody uses
    if name != "sha256":
        digest = hashlib.new(name, leaf.der, usedforsecurity=False).hexdigest()
    if not parts or der.expect(parts[0], der.OCTET_STRING, "the digest").content.hex() != digest:
        raise SignerCertificateMissing(_OTHER_NAMED, _OTHER_NAMED_ZH)
    if len(parts) > 1:
        issuer_serial = der.children(der.expect(parts[1], der.SEQUENCE, "issuer and serial"), 2)
        names = (
            der.children(der.expect(issuer_serial[0], der.SEQUENCE, "the issuer"), 2) if issuer_serial else []
        )
        if (
            len(issuer_serial) != 2
            or len(names) != 1
            or names[0].content != leaf.issuer_name  # [4] EXPLICIT directoryName
            or der.integer_of(issuer_serial[1], "the serial number") != leaf.serial
        ):
            raise SignerCertificateMissing(_OTHER_NAMED, _OTHER_NAMED_ZH)


def _without_attributes(signed: SignedData, content: Content) -> bytes:
    """The content as the message: GB/T 35275 only, and nothing that is signed elsewhere as something else.

    The value over a SET OF attributes, or over an envelope, would otherwise pass as one over a file of these bytes.
    """
    if signed.content_type not in (cms.NATIONAL_DATA, cms.DATA) or not signed.national:
        raise SignatureMalformed(
            "the CMS signature has no signed attributes, which CAdES and this gateway require: sign with them",
            "CMS 签名缺少签名属性（CAdES 及本系统均要求）：请带签名属性重新签名",
        )
    message = content.whole()
    if message[:1] == bytes((der.SET,)) or message.startswith(PAE_BEGINNING):
        raise SignatureInvalid(
            "the content could be the attributes of another signature, or an envelope: sign with attributes",
            "内容可能是另一签名的属性或者信封：请带签名属性签名",
        )
    return message


def _one_value(signer: SignerInfo, oid: str, what: str) -> der.Element | None:
    values = signer.attributes.get(oid)
    if values is None:
        return None
    if len(values) != 1:
        raise SignatureMalformed(f"{what} has {len(values)} values")
    return values[0]


def claimed_time(signer: SignerInfo) -> datetime | None:
    """The signing time that the signer claims; what is malformed claims nothing."""
    values = signer.attributes.get(cms.SIGNING_TIME, ())
    if len(values) != 1 or values[0].tag not in (der.UTC_TIME, der.GENERALIZED_TIME):
        return None
    text = values[0].content
    if values[0].tag == der.UTC_TIME:
        text = (b"19" if text[:1] >= b"5" else b"20") + text  # RFC 5652 section 11.3
    if len(text) != _TIME_BYTES or text[-1:] != b"Z" or not text[:-1].isdigit():
        return None
    try:
        return datetime.fromisoformat(f"{text[:8].decode()}T{text[8:].decode()}")
    except ValueError:
        return None
