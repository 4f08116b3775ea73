"""What a CMS file says: SignedData of RFC 5652 and of GB/T 35275, read strictly and believed in nothing.

Both are one structure: GB/T 35275 (from GM/T 0010) is PKCS#7 v1.5 in shape, with object identifiers of
its own. Read are signers by issuer and serial number or by key identifier, content in one octet string or
beside the file, and for each signer the exact bytes that are signed. `cms_verify` judges what is read here, `cms_sign`
writes it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from signing import der
from signing.errors import SignatureMalformed

SIGNATURE_BYTES_MAX: Final = 512 * 1024
"""Of a SignedData without content: certificates, lists and time stamps of a few signers."""
SIGNERS_MAX: Final = 16
CERTIFICATES_MAX: Final = 16
REVOCATION_LISTS_MAX: Final = 16
ATTRIBUTES_MAX: Final = 32
ATTRIBUTE_VALUES_MAX: Final = 8
SIGNATURE_VALUE_BYTES_MAX: Final = 1024

SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
DATA: Final = "1.2.840.113549.1.7.1"
STAMP_CONTENT: Final = "1.2.840.113549.1.9.16.1.4"
NATIONAL_SIGNED_DATA: Final = "1.2.156.10197.6.1.4.2.2"
NATIONAL_DATA: Final = "1.2.156.10197.6.1.4.2.1"

CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
STAMP: Final = "1.2.840.113549.1.9.16.2.14"

ADOBE_REVOCATION: Final = "1.2.840.113583.1.1.8"
CADES_REVOCATION: Final = "1.2.840.113549.1.9.16.2.24"

_CONTEXT_0: Final = 0xA0
_KEY_IDENTIFIER: Final = 0x80
_CONTEXT_1: Final = 0xA1
_VERSIONS: Final = frozenset({1, 3, 4, 5})


class SignerInfo(msgspec.Struct, frozen=True):
    """One signer's part.

    issuer: DER of the name; serial: as issued; or, of a signer who is named by it, key_identifier: that of the
    certificate (RFC 5652 section 5.3), and the other two are empty and 0. digest_algorithm, signature_algorithm:
    the DER of the AlgorithmIdentifiers, not yet understood. signed_attributes: the DER of the SET OF attributes,
    which are the bytes that are signed, or None where the content itself is. attributes, unsigned: OID to the DER
    of each value.
    """

    issuer: bytes
    serial: int
    digest_algorithm: bytes
    signature_algorithm: bytes
    signed_attributes: bytes | None
    attributes: dict[str, tuple[der.Element, ...]]
    signature: bytes
    unsigned: dict[str, tuple[der.Element, ...]]
    key_identifier: bytes = b""


class SignedData(msgspec.Struct, frozen=True):
    """A SignedData as it says of itself.

    national: the outer type is GB/T 35275's. content: what is enclosed, None where the signature is
    detached. certificates, revocation_lists: DER, in the file's order.
    """

    national: bool
    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    revocation_lists: tuple[bytes, ...]
    signers: tuple[SignerInfo, ...]

    @property
    def brings_revocation(self) -> bool:
        """Whether lists or OCSP answers came along, in one of the places where `stapled` looks."""
        return bool(self.revocation_lists) or any(
            ADOBE_REVOCATION in attributes or CADES_REVOCATION in attributes
            for one in self.signers
            for attributes in (one.attributes, one.unsigned)
        )


def looks_like_cms(data: bytes) -> bool:
    """Whether these bytes begin as a ContentInfo of one of the two kinds does."""
    head = data[:32]
    return any(der.encode_oid(oid) in head for oid in (SIGNED_DATA, NATIONAL_SIGNED_DATA))


def read_signed_data(
    data: bytes, *, bytes_max: int = SIGNATURE_BYTES_MAX, padded: bool = False
) -> SignedData:
    """Read one ContentInfo. padded: zeros may follow it, as in the /Contents of a PDF.

    Raises `SignatureMalformed`; no cryptography is done.
    """
    if len(data) > bytes_max:
        raise SignatureMalformed(f"a signature file of {len(data)} bytes; the limit is {bytes_max}")
    data = der.definite(data)
    outer = der.first_element(data)
    if data[outer.end :].strip(b"\0" if padded else b""):
        raise SignatureMalformed("bytes follow the end of the structure")
    kind_oid, held = _typed(outer, "the ContentInfo")
    if kind_oid not in (SIGNED_DATA, NATIONAL_SIGNED_DATA) or not held:
        raise SignatureMalformed(
            f"the content type is {kind_oid}: neither SignedData nor GB/T 35275 signedData",
            f"内容类型为 {kind_oid}，不是 SignedData，也不是 GB/T 35275 的签名数据：其中没有签名",
        )
    (signed,) = _within(held[0], _CONTEXT_0, "the SignedData", 1)
    return _signed_data(signed, national=kind_oid == NATIONAL_SIGNED_DATA)


def _signed_data(signed: der.Element, *, national: bool) -> SignedData:
    parts = der.children(der.expect(signed, der.SEQUENCE, "the SignedData"), 6)
    if len(parts) < 4:
        raise SignatureMalformed("the SignedData lacks parts that it must have")
    if der.integer_of(parts[0], "the version") not in _VERSIONS:
        raise SignatureMalformed("the version of the SignedData is unknown")
    der.expect(parts[1], der.SET, "the digest algorithms")
    content_type, content = _content(parts[2])
    rest = parts[3:-1]
    certificates: tuple[bytes, ...] = ()
    lists: tuple[bytes, ...] = ()
    if rest and rest[0].tag == _CONTEXT_0:
        # Other kinds of certificates (RFC 5652 section 10.2.2) prove nothing here and are passed over.
        held = der.children(rest.pop(0), CERTIFICATES_MAX)
        certificates = tuple(one.whole for one in held if one.tag == der.SEQUENCE)
    if rest and rest[0].tag == _CONTEXT_1:
        held = der.children(rest.pop(0), REVOCATION_LISTS_MAX)
        lists = tuple(one.whole for one in held)
    if rest:
        raise SignatureMalformed(f"the SignedData holds an element with tag {rest[0].tag:#04x}")
    signers = der.children(der.expect(parts[-1], der.SET, "the signers"), SIGNERS_MAX)
    if not signers:
        raise SignatureMalformed(
            "the SignedData has no signer: it holds certificates alone", "文件中没有签名人，只有证书"
        )
    return SignedData(
        national=national,
        content_type=content_type,
        content=content,
        certificates=certificates,
        revocation_lists=lists,
        signers=tuple(_signer(one) for one in signers),
    )


def _content(one: der.Element) -> tuple[str, bytes | None]:
    content_type, held = _typed(one, "the content")
    if not held:
        return content_type, None
    (octets,) = _within(held[0], _CONTEXT_0, "the content", 1)
    return content_type, der.expect(octets, der.OCTET_STRING, "the content").content


def _typed(one: der.Element, what: str) -> tuple[str, list[der.Element]]:
    """The object identifier that begins a ContentInfo, and what follows it: one element or none."""
    parts = der.children(der.expect(one, der.SEQUENCE, what), 2)
    if not parts:
        raise SignatureMalformed(f"{what} is empty")
    return der.oid_of(parts[0], f"the type of {what}"), parts[1:]


def _signer(one: der.Element) -> SignerInfo:
    parts = der.children(der.expect(one, der.SEQUENCE, "a signer"), 7)
    if len(parts) < 5:
        raise SignatureMalformed("a signer lacks parts that it must have")
    issuer, serial, key_identifier = _named(parts[0], parts[1])
    rest = parts[3:]
    signed_attributes = None
    attributes: dict[str, tuple[der.Element, ...]] = {}
    if rest[0].tag == _CONTEXT_0:
        implicit = rest.pop(0)
        attributes = _attributes(implicit)
        # RFC 5652 section 5.4: what is signed bears the tag of a SET, what is sent that of its place.
        signed_attributes = bytes((der.SET,)) + implicit.whole[1:]
    if len(rest) not in (2, 3):
        raise SignatureMalformed("a signer has parts too few or too many")
    signature = der.expect(rest[1], der.OCTET_STRING, "the signature value").content
    if not 0 < len(signature) <= SIGNATURE_VALUE_BYTES_MAX:
        raise SignatureMalformed(f"a signature value has {len(signature)} bytes")
    unsigned = {}
    if len(rest) == 3:
        unsigned = _attributes(der.expect(rest[2], _CONTEXT_1, "the unsigned attributes"))
    return SignerInfo(
        issuer=issuer,
        serial=serial,
        digest_algorithm=parts[2].whole,
        signature_algorithm=rest[0].whole,
        signed_attributes=signed_attributes,
        attributes=attributes,
        signature=signature,
        unsigned=unsigned,
        key_identifier=key_identifier,
    )


def _named(version: der.Element, named: der.Element) -> tuple[bytes, int, bytes]:
    """Issuer, serial number and key identifier; the version says which of the two forms it is."""
    number = der.integer_of(version, "the version of a signer")
    if number == 3 and named.tag == _KEY_IDENTIFIER and named.content:
        return b"", 0, named.content
    if number != 1:
        raise SignatureMalformed(
            f"the version of a signer is {number}, which does not go with how it is named"
        )
    name = der.children(der.expect(named, der.SEQUENCE, "the name of a signer"), 2)
    if len(name) != 2:
        raise SignatureMalformed("a signer is not named by issuer and serial number")
    issuer = der.expect(name[0], der.SEQUENCE, "the issuer").whole
    return issuer, der.integer_of(name[1], "the serial number"), b""


def _attributes(one: der.Element) -> dict[str, tuple[der.Element, ...]]:
    """Each attribute once (RFC 5652 section 5.3), with its values."""
    found: dict[str, tuple[der.Element, ...]] = {}
    for attribute in der.children(one, ATTRIBUTES_MAX):
        parts = der.children(der.expect(attribute, der.SEQUENCE, "an attribute"), 2)
        if len(parts) != 2:
            raise SignatureMalformed("an attribute is not a type and its values")
        oid = der.oid_of(parts[0], "the type of an attribute")
        if oid in found:
            raise SignatureMalformed(f"the attribute {oid} is there twice")
        found[oid] = tuple(
            der.children(der.expect(parts[1], der.SET, "the values of an attribute"), ATTRIBUTE_VALUES_MAX)
        )
    return found


def _within(one: der.Element, tag: int, what: str, count: int) -> list[der.Element]:
    held = der.children(der.expect(one, tag, what), count)
    if len(held) != count:
        raise SignatureMalformed(f"{what} is not there exactly once")
    return held
