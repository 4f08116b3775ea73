"""Which digest and which signature a SignerInfo names, and whether they agree with each other and the key.

CMS names digest and signature separately and lets a signer say the same thing in several ways. Here
each combination is one `Scheme`, or is refused: the digest of the attributes is the digest of the
content, RSA-PSS says its parameters in full, Ed25519 goes with SHA-512, SM2 with SM3. What the closed
list of `signing.algorithms` has is verified there; the longer digests that other makers' files use
with the same keys are verified below.

Sources: RFC 5754 (SHA-2), RFC 4056 (RSA-PSS), RFC 5753 (ECDSA), RFC 8419 (Ed25519), GB/T 33560 and
GB/T 35275 (SM2 with SM3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from signing import der
from signing.algorithms import PSS_SALT_BYTES, Algorithm, PublicKey, check_key, verify_signature
from signing.errors import AlgorithmRefused, SignatureInvalid, SignatureMalformed
from signing.sm2 import SM2PublicKey

DIGESTS: Final = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.2.156.10197.1.401": "sm3",
    "1.2.156.10197.1.401.1": "sm3",  # "SM3 without a key", as some makers of GB/T 35275 write
}
_REFUSED: Final = {
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA-1",
    "2.16.840.1.101.3.4.2.4": "SHA-224",
    "2.16.840.1.101.3.4.2.8": "SHA3-256",
    "2.16.840.1.101.3.4.2.12": "SHAKE256",
    "1.2.840.113549.1.1.4": "RSA with MD5",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10040.4.3": "DSA with SHA-1",
    "1.3.101.113": "Ed448",
}
DIGEST_BYTES: Final = {"sha256": 32, "sha384": 48, "sha512": 64, "sm3": 32}

SHA256_OID: Final = "2.16.840.1.101.3.4.2.1"
SHA384_OID: Final = "2.16.840.1.101.3.4.2.2"
SHA512_OID: Final = "2.16.840.1.101.3.4.2.3"
SM3_OID: Final = "1.2.156.10197.1.401"
RSA_OID: Final = "1.2.840.113549.1.1.1"
PSS_OID: Final = "1.2.840.113549.1.1.10"
MGF1_OID: Final = "1.2.840.113549.1.1.8"
ECDSA_SHA256_OID: Final = "1.2.840.10045.4.3.2"
ECDSA_SHA384_OID: Final = "1.2.840.10045.4.3.3"
ED25519_OID: Final = "1.3.101.112"
SM2_OID: Final = "1.2.156.10197.1.301.1"
SM2_SM3_OID: Final = "1.2.156.10197.1.501"

IDENTIFIER_BYTES_MAX: Final = 256
"""Of an AlgorithmIdentifier; RSA-PSS has the longest, 67 bytes with all its parameters."""
SCHEMES_CACHED: Final = 256

_RSA_PKCS1, _RSA_PSS, _ECDSA, _ED25519, _SM2 = "RSA_PKCS1", "RSA_PSS", "ECDSA", "ED25519", "SM2"

_SIGNATURES: Final = {
    RSA_OID: (_RSA_PKCS1, ""),
    "1.2.840.113549.1.1.11": (_RSA_PKCS1, "sha256"),
    "1.2.840.113549.1.1.12": (_RSA_PKCS1, "sha384"),
    "1.2.840.113549.1.1.13": (_RSA_PKCS1, "sha512"),
    PSS_OID: (_RSA_PSS, ""),
    ECDSA_SHA256_OID: (_ECDSA, "sha256"),
    ECDSA_SHA384_OID: (_ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (_ECDSA, "sha512"),
    ED25519_OID: (_ED25519, "sha512"),
    SM2_OID: (_SM2, "sm3"),
    SM2_SM3_OID: (_SM2, "sm3"),
    "1.2.156.10197.1.301": (_SM2, "sm3"),
}
"""OID to family and the digest that the OID itself says; empty where the SignerInfo's digest counts."""

_HASHES: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@dataclass(frozen=True)
class Scheme:
    """A family of signatures with its digest (a name of hashlib). salt: bytes, of RSA-PSS only."""

    family: str
    digest: str
    salt: int = 0

    @property
    def name(self) -> str:
        """The name in the manner of `signing.algorithms`, e.g. ECDSA_P256_SHA256, RSA_PKCS1_SHA512."""
        return self.family if self.family == _ED25519 else f"{self.family}_{self.digest.upper()}"


_OF_ANY_KEY: Final = {
    Scheme(_RSA_PKCS1, "sha256"): Algorithm.RSA_PKCS1_SHA256,
    Scheme(_RSA_PSS, "sha256", PSS_SALT_BYTES): Algorithm.RSA_PSS_SHA256,
    Scheme(_ED25519, "sha512"): Algorithm.ED25519,
    Scheme(_SM2, "sm3"): Algorithm.SM2_SM3,
}
"""Schemes that are of the closed list whatever the key, which is then held against it."""


def schemes_of(public_key: PublicKey) -> tuple[Scheme, ...]:
    """Every scheme that a bare value by this key may be in, for a value says nothing of itself.

    Of RSA-PSS with the two lengths of salt that signers choose without being told: the digest's, and the longest that
    fits (RFC 8017 section 9.1.1).
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return tuple(Scheme(_ECDSA, digest) for digest in _HASHES)
    if isinstance(public_key, rsa.RSAPublicKey):
        room = (public_key.key_size + 6) // 8 - 2
        salts = [(one, salt) for one in _HASHES for salt in (DIGEST_BYTES[one], room - DIGEST_BYTES[one])]
        pss = [Scheme(_RSA_PSS, one, salt) for one, salt in salts]
        return (*pss, *[Scheme(_RSA_PKCS1, one) for one in _HASHES])
    return (Scheme(_SM2, "sm3") if isinstance(public_key, SM2PublicKey) else Scheme(_ED25519, "sha512"),)


def digest_named(oid: str) -> str:
    """The digest's name in hashlib. Raises `AlgorithmRefused`."""
    try:
        return DIGESTS[oid]
    except KeyError:
        raise AlgorithmRefused(
            f"digest algorithm {_shown(oid)} is not accepted: use SHA-256, SHA-384, SHA-512 or SM3",
            f"不接受摘要算法 {_shown(oid)}：请用 SHA-256、SHA-384、SHA-512 或 SM3",
        ) from None


@lru_cache(maxsize=SCHEMES_CACHED)
def scheme_of(digest_algorithm: bytes, signature_algorithm: bytes) -> Scheme:
    """The scheme that a SignerInfo's two AlgorithmIdentifiers (DER) say together.

    Kept by their exact bytes, for every file of a maker has the same. Raises `AlgorithmRefused` where they are unknown
    or disagree, `SignatureMalformed`.
    """
    if max(len(digest_algorithm), len(signature_algorithm)) > IDENTIFIER_BYTES_MAX:
        raise SignatureMalformed(f"an algorithm is named in more than {IDENTIFIER_BYTES_MAX} bytes")
    digest_oid, parameters = algorithm_identifier(der.element_of(digest_algorithm), "the digest algorithm")
    digest = digest_named(digest_oid)
    if not _is_absent(parameters):
        raise SignatureMalformed("the digest algorithm has parameters")
    oid, parameters = algorithm_identifier(der.element_of(signature_algorithm), "the signature algorithm")
    try:
        family, own = _SIGNATURES[oid]
    except KeyError:
        raise AlgorithmRefused(
            f"signature algorithm {_shown(oid)} is not accepted: use ECDSA, RSA, Ed25519 or SM2",
            f"不接受签名算法 {_shown(oid)}：请用 ECDSA、RSA、Ed25519 或 SM2",
        ) from None
    salt = 0
    if family == _RSA_PSS:
        own, salt = _pss(parameters)
    elif not _is_absent(parameters):
        raise AlgorithmRefused(f"signature algorithm {oid} has parameters that it does not take")
    if (digest == "sm3") != (family == _SM2) or (own and own != digest):
        raise AlgorithmRefused(
            f"signature algorithm {oid} does not go with the digest {digest}",
            f"签名算法 {oid} 与摘要算法 {digest.upper()} 不匹配",
        )
    return Scheme(family, digest, salt)


def verify(scheme: Scheme, public_key: object, signature: bytes, message: bytes) -> str:
    """Return the algorithm's name if `signature` over `message` holds; raise as `verify_signature` does."""
    closed = _closed(scheme, public_key)
    if closed is not None:
        verify_signature(public_key, closed, signature, message)
        return closed.value
    key = check_key(public_key)
    try:
        if scheme.family == _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(_HASHES[scheme.digest]))
        elif scheme.family == _RSA_PKCS1 and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), _HASHES[scheme.digest])
        elif scheme.family == _RSA_PSS and isinstance(key, rsa.RSAPublicKey):
            digest = _HASHES[scheme.digest]
            key.verify(signature, message, padding.PSS(padding.MGF1(digest), scheme.salt), digest)
        else:
            raise AlgorithmRefused(
                f"{scheme.name} cannot be used with a key of type {type(key).__name__}",
                f"{scheme.name} 与证书的密钥类型不符",
            )
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(
            f"the {scheme.name} signature does not verify over the signed bytes"
        ) from error
    return scheme.name


def algorithm_identifier(one: der.Element, what: str) -> tuple[str, der.Element | None]:
    """The OID and the parameters of an AlgorithmIdentifier (RFC 5280 section 4.1.1.2)."""
    parts = der.children(der.expect(one, der.SEQUENCE, what), 2)
    if not parts:
        raise AlgorithmRefused(f"{what} is empty")
    return der.oid_of(parts[0], what), parts[1] if len(parts) == 2 else None


def _is_absent(parameters: der.Element | None) -> bool:
    """Whether there are none; some makers write NULL for that (RFC 5754 section 2)."""
    return parameters is None or parameters.whole == der.encode(der.NULL)


def _closed(scheme: Scheme, public_key: object) -> Algorithm | None:
    """The algorithm of the closed list, where the scheme is one with this key."""
    if scheme.family == _ECDSA and isinstance(public_key, ec.EllipticCurvePublicKey):
        if (public_key.curve.key_size, scheme.digest) == (256, "sha256"):
            return Algorithm.ECDSA_P256_SHA256
        if (public_key.curve.key_size, scheme.digest) == (384, "sha384"):
            return Algorithm.ECDSA_P384_SHA384
        return None
    return _OF_ANY_KEY.get(scheme)


def _pss(parameters: der.Element | None) -> tuple[str, int]:
    """Digest and salt of RSASSA-PSS-params (RFC 4055 section 3.1), which must say all but the trailer.

    The defaults are SHA-1, so what is left out is refused. The mask's digest is the signature's, and
    the salt at least as long as the digest.
    """
    if parameters is None:
        raise _pss_refused("without parameters would mean SHA-1: say them", "未写明参数，即为 SHA-1")
    parts = {
        one.tag: der.children(one, 1) for one in der.children(der.expect(parameters, der.SEQUENCE, "PSS"), 4)
    }
    if not {0xA0, 0xA1, 0xA2} <= set(parts) or any(len(held) != 1 for held in parts.values()):
        raise _pss_refused(
            "must name digest, mask and salt: what is left out means SHA-1 and a salt of 20 bytes",
            "须写明摘要、掩码与盐长：省略即为 SHA-1 与 20 字节的盐",
        )
    digest = digest_named(algorithm_identifier(parts[0xA0][0], "the PSS digest")[0])
    mask, of_mask = algorithm_identifier(parts[0xA1][0], "the PSS mask")
    if mask != MGF1_OID or of_mask is None:
        raise _pss_refused(f"mask {mask} is not MGF1 with a digest", f"掩码 {mask} 不是带摘要的 MGF1")
    if digest_named(algorithm_identifier(of_mask, "the PSS mask's digest")[0]) != digest:
        raise _pss_refused(
            "has one digest for the message and another for the mask", "消息与掩码的摘要算法不同"
        )
    salt = der.integer_of(parts[0xA2][0], "the PSS salt length", bytes_max=2)
    if salt < DIGEST_BYTES[digest]:
        raise _pss_refused(
            f"has a salt of {salt} bytes, shorter than the digest", f"的盐长 {salt} 字节短于摘要"
        )
    if 0xA3 in parts and der.integer_of(parts[0xA3][0], "the PSS trailer", bytes_max=1) != 1:
        raise _pss_refused("has a trailer field that is not 1", "的尾字段不是 1")
    if set(parts) - {0xA0, 0xA1, 0xA2, 0xA3}:
        raise _pss_refused("has parameters that are unknown", "含有未知参数")
    return digest, salt


def _pss_refused(why: str, zh: str) -> AlgorithmRefused:
    return AlgorithmRefused(f"RSA-PSS {why}", f"RSA-PSS {zh}")


def _shown(oid: str) -> str:
    """The number, with the name of what is refused often."""
    return f"{oid} ({_REFUSED[oid]})" if oid in _REFUSED else oid
