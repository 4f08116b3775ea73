"""Sign any file: CAdES B-B beside it or around it, and the same in the form of GB/T 35275.

What is made is what `cms_verify` asks for: DER, signers by issuer and serial number, signed attributes
that name content, digest, claimed time and certificate (ETSI EN 319 122-1; GB/T 35275 with SM2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from signing import cms, der
from signing.algorithms import PSS_SALT_BYTES, Algorithm
from signing.certificates import parse_certificate
from signing.cms_algorithms import (
    DIGESTS,
    ECDSA_SHA256_OID,
    ECDSA_SHA384_OID,
    ED25519_OID,
    MGF1_OID,
    PSS_OID,
    RSA_OID,
    SHA256_OID,
    SHA384_OID,
    SHA512_OID,
    SM2_OID,
    SM2_SM3_OID,
    SM3_OID,
)
from signing.cms_verify import Content
from signing.errors import AlgorithmRefused, SignatureMalformed
from signing.signer import Signer

Stamper = Callable[[bytes], bytes]
"""A signature value in, the DER of a time stamp token over it out."""

_NULL: Final = der.encode(der.NULL)


def _algorithm(oid: str, parameters: bytes = b"") -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), parameters)


_SHA256: Final = _algorithm(SHA256_OID)
_PSS: Final = der.encode(
    der.SEQUENCE,
    der.encode(0xA0, _SHA256),
    der.encode(0xA1, _algorithm(MGF1_OID, _SHA256)),
    der.encode(0xA2, der.encode_integer(PSS_SALT_BYTES)),
)
_NAMES: Final = {
    Algorithm.ECDSA_P256_SHA256: (SHA256_OID, _algorithm(ECDSA_SHA256_OID)),
    Algorithm.ECDSA_P384_SHA384: (SHA384_OID, _algorithm(ECDSA_SHA384_OID)),
    Algorithm.RSA_PSS_SHA256: (SHA256_OID, _algorithm(PSS_OID, _PSS)),
    Algorithm.RSA_PKCS1_SHA256: (SHA256_OID, _algorithm(RSA_OID, _NULL)),
    Algorithm.ED25519: (SHA512_OID, _algorithm(ED25519_OID)),
    Algorithm.SM2_SM3: (SM3_OID, _algorithm(SM2_SM3_OID)),
}
"""The digest's OID and the signature's AlgorithmIdentifier."""


def sign_cms(
    content: bytes,
    signers: Sequence[Signer],
    at: datetime,
    *,
    detached: bool = True,
    stamper: Stamper | None = None,
) -> bytes:
    """A CMS SignedData (DER) over `content` by each signer: CAdES B-B, with `stamper` B-T.

    at: the claimed signing time (aware). detached: the content stays beside it.
    """
    held = Content.of(content)
    infos = [_signer_info(held, one, at, stamper=stamper) for one in signers]
    return _signed_data(signers, infos, content=None if detached else content)


def sign_35275(
    content: bytes,
    signers: Sequence[Signer],
    at: datetime,
    *,
    detached: bool = True,
    attributes: bool = True,
    stamper: Stamper | None = None,
) -> bytes:
    """The same as a SignedData of GB/T 35275; each signer's algorithm is SM2 with SM3.

    attributes: False signs the content itself. Raises `AlgorithmRefused` for another algorithm.
    """
    held = Content.of(content)
    infos = [
        _signer_info(held, one, at, national=True, attributes=attributes, stamper=stamper) for one in signers
    ]
    return _signed_data(signers, infos, content=None if detached else content, national=True)


def sign_for_pdf(content: Content, signer: Signer) -> bytes:
    """What goes into a PDF: detached, without a claimed time (ETSI EN 319 142-1 section 6.3), which the file itself
    says; of an SM2 key in the form of GB/T 35275.
    """
    national = signer.algorithm is Algorithm.SM2_SM3
    return _signed_data([signer], [_signer_info(content, signer, None, national=national)], national=national)


def with_stamp(signed_data: bytes, token: bytes) -> bytes:
    """The same SignedData with a time stamp token (DER) over the value of its only signer, every other byte as it was.

    Raises `SignatureMalformed`, also where it has unsigned attributes already.
    """
    info = der.first_element(signed_data)
    kind, explicit = _exactly(info, 2)
    (signed,) = _exactly(explicit, 1)
    *before, infos = der.children(signed, 6)
    (signer,) = _exactly(infos, 1)
    held = der.children(signer, 7)
    if held and held[-1].tag == 0xA1:
        raise SignatureMalformed("the signature has unsigned attributes already")
    parts = [one.whole for one in held]
    stamped = der.encode(der.SEQUENCE, *parts, der.encode(0xA1, _attribute(cms.STAMP, token)))
    return der.encode(
        der.SEQUENCE,
        kind.whole,
        der.encode(
            0xA0, der.encode(der.SEQUENCE, *[one.whole for one in before], der.encode(der.SET, stamped))
        ),
    )


def signature_digest(algorithm: Algorithm) -> str:
    """The digest (a name of hashlib) of the content that goes with signatures of this algorithm."""
    return DIGESTS[_NAMES[algorithm][0]]


def _exactly(parent: der.Element, count: int) -> list[der.Element]:
    held = der.children(parent, count)
    if len(held) != count:
        raise SignatureMalformed(f"{len(held)} elements where {count} are due")
    return held


def _signed_data(
    signers: Sequence[Signer], infos: list[bytes], *, content: bytes | None = None, national: bool = False
) -> bytes:
    certificates = list(dict.fromkeys(one for signer in signers for one in signer.certificates))
    digests = sorted({_NAMES[one.algorithm][0] for one in signers})
    enclosed = b"" if content is None else der.encode(0xA0, der.encode(der.OCTET_STRING, content))
    signed = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode_set(der.SET, [_algorithm(oid) for oid in digests]),
        der.encode(der.SEQUENCE, der.encode_oid(_content_type(national=national)), enclosed),
        der.encode_set(0xA0, certificates),
        der.encode_set(der.SET, infos),
    )
    kind = cms.NATIONAL_SIGNED_DATA if national else cms.SIGNED_DATA
    return der.encode(der.SEQUENCE, der.encode_oid(kind), der.encode(0xA0, signed))


def _content_type(*, national: bool) -> str:
    return cms.NATIONAL_DATA if national else cms.DATA


def _signer_info(
    content: Content,
    signer: Signer,
    at: datetime | None,
    *,
    national: bool = False,
    attributes: bool = True,
    stamper: Stamper | None = None,
) -> bytes:
    digest_oid, algorithm = _NAMES[signer.algorithm]
    if national and signer.algorithm is not Algorithm.SM2_SM3:
        raise AlgorithmRefused(f"GB/T 35275 signs by SM2 with SM3, not by {signer.algorithm.value}")
    if national:
        algorithm = _algorithm(SM2_OID)
    sent = b""
    if attributes:
        message = _attributes(content, signer, at, digest_oid, _content_type(national=national))
        sent = b"\xa0" + message[1:]  # RFC 5652 section 5.4: signed as a SET, sent under the tag of its place
    else:
        message = content.whole()
    signature = signer.sign(message)
    unsigned = b""
    if stamper is not None:
        unsigned = der.encode(0xA1, _attribute(cms.STAMP, stamper(signature)))
    leaf = parse_certificate(signer.certificates[0])
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, leaf.issuer_name, der.encode_integer(leaf.serial)),
        _algorithm(digest_oid),
        sent,
        algorithm,
        der.encode(der.OCTET_STRING, signature),
        unsigned,
    )


def _attributes(
    content: Content, signer: Signer, at: datetime | None, digest_oid: str, content_type: str
) -> bytes:
    digest = der.encode(der.OCTET_STRING, content.digest(DIGESTS[digest_oid]))
    found = [
        _attribute(cms.CONTENT_TYPE, der.encode_oid(content_type)),
        _attribute(cms.MESSAGE_DIGEST, digest),
        _attribute(cms.SIGNING_CERTIFICATE_V2, _signing_certificate(digest_oid, signer.certificates[0])),
    ]
    if at is not None:
        found.append(_attribute(cms.SIGNING_TIME, _time(at)))
    return der.encode_set(der.SET, found)


def _attribute(oid: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))


def _signing_certificate(digest_oid: str, certificate: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035); SHA-256 is its default and therefore left out."""
    named = b"" if digest_oid == SHA256_OID else _algorithm(digest_oid)
    digest = der.encode(der.OCTET_STRING, hashlib.new(DIGESTS[digest_oid], certificate).digest())
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, named, digest)))


def _time(at: datetime) -> bytes:
    """Of an aware time: UTCTime until 2049, GeneralizedTime after (RFC 5652 section 11.3)."""
    if at.tzinfo is None:
        raise ValueError("at must be an aware datetime")
    utc = at.astimezone(UTC)
    text = utc.strftime("%Y%m%d%H%M%SZ")
    if utc.year < 2050:
        return der.encode(der.UTC_TIME, text[2:].encode("ascii"))
    return der.encode(der.GENERALIZED_TIME, text.encode("ascii"))
