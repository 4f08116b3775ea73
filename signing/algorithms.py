"""The closed list of signature algorithms, and the one function that verifies a raw signature.

An algorithm is named by the signer, so it is checked against the key: the key's type, curve and
size decide what may be used with it, never the name alone. The keys are those of `cryptography`, but
for the national suite, whose keys are `signing.sm2`'s.

Sources: FIPS 186-5 (ECDSA, RSA, EdDSA), RFC 8017 (RSASSA-PSS, RSASSA-PKCS1-v1_5), RFC 8032
(Ed25519), SEC 1, GB/T 32918 and GB/T 35276 (SM2 with SM3).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from signing import sm2
from signing.errors import AlgorithmRefused, AlgorithmUnknown, SignatureInvalid
from signing.sm2 import SM2PrivateKey, SM2PublicKey

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 4096
"""Verification time grows with the square of the modulus: a limit, so that a key cannot be a
load.
"""
RSA_EXPONENT_MIN: Final = 65537
RSA_EXPONENT_BITS_MAX: Final = 32
SIGNATURE_BYTES_MAX: Final = RSA_BITS_MAX // 8
PSS_SALT_BYTES: Final = 32

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey | SM2PublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey | SM2PrivateKey


class Suite(StrEnum):
    """Whose rules an algorithm follows: China's commercial cryptography, or the rest of the world's."""

    INTERNATIONAL = "INTERNATIONAL"
    NATIONAL = "NATIONAL"


class Algorithm(StrEnum):
    """What a signature value is. The member's name is its name on the wire.

    ECDSA_P256_SHA256: DER SEQUENCE { r, s } on curve P-256 over SHA-256 of the message.
    ECDSA_P384_SHA384: the same on curve P-384 over SHA-384.
    RSA_PSS_SHA256: RSASSA-PSS, SHA-256, MGF1 with SHA-256, salt of 32 bytes, trailer 0xbc.
    RSA_PKCS1_SHA256: RSASSA-PKCS1-v1_5 with SHA-256.
    ED25519: pure Ed25519 (64 bytes) over the message itself.
    SM2_SM3: DER SEQUENCE { r, s } of SM2 with SM3 under the default user id (GB/T 35276).
    """

    ECDSA_P256_SHA256 = "ECDSA_P256_SHA256"
    ECDSA_P384_SHA384 = "ECDSA_P384_SHA384"
    RSA_PSS_SHA256 = "RSA_PSS_SHA256"
    RSA_PKCS1_SHA256 = "RSA_PKCS1_SHA256"
    ED25519 = "ED25519"
    SM2_SM3 = "SM2_SM3"

    @property
    def suite(self) -> Suite:
        """The suite that it belongs to."""
        return Suite.NATIONAL if self is Algorithm.SM2_SM3 else Suite.INTERNATIONAL


_SHA256: Final = hashes.SHA256()
_ECDSA_SHA256: Final = ec.ECDSA(_SHA256)
_ECDSA_SHA384: Final = ec.ECDSA(hashes.SHA384())
_PKCS1: Final = padding.PKCS1v15()
_PSS: Final = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=PSS_SALT_BYTES)


def parse_algorithm(name: str) -> Algorithm:
    """The algorithm called `name`, exactly. Raises `AlgorithmUnknown`, or `AlgorithmUnavailable` where it is
    not installed.
    """
    try:
        algorithm = Algorithm(name)
    except ValueError:
        allowed = ", ".join(member.value for member in Algorithm)
        raise AlgorithmUnknown(f"algorithm {name[:64]!r} is not one of {allowed}") from None
    if algorithm is Algorithm.SM2_SM3:
        sm2.require()
    return algorithm


def check_key(public_key: object) -> PublicKey:
    """The same key, if signatures by it may be accepted at all; raises `AlgorithmRefused`."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if not isinstance(public_key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise AlgorithmRefused(
                f"elliptic curve {public_key.curve.name} is not accepted: use P-256, P-384 or SM2",
                f"不接受椭圆曲线 {public_key.curve.name}：请用 P-256、P-384 或 SM2",
            )
        return public_key
    if isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa(public_key)
        return public_key
    if isinstance(public_key, Ed25519PublicKey | SM2PublicKey):
        return public_key
    raise AlgorithmRefused(
        f"keys of type {type(public_key).__name__} are not accepted: use P-256, P-384, RSA, Ed25519 or SM2",
        "不接受该类型的密钥：请用 P-256、P-384、RSA、Ed25519 或 SM2",
    )


def default_algorithm(public_key: object) -> Algorithm:
    """The algorithm that we sign with when none is asked for. Raises `AlgorithmRefused`."""
    key = check_key(public_key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP384R1):
            return Algorithm.ECDSA_P384_SHA384
        return Algorithm.ECDSA_P256_SHA256
    if isinstance(key, rsa.RSAPublicKey):
        return Algorithm.RSA_PSS_SHA256
    if isinstance(key, SM2PublicKey):
        return Algorithm.SM2_SM3
    return Algorithm.ED25519


def verify_signature(public_key: object, algorithm: Algorithm, signature: bytes, message: bytes) -> None:
    """Return if `signature` over `message` holds, else raise.

    `AlgorithmRefused`: the key may not be used with this algorithm (other type, other curve, RSA
    below 2048 bits). `SignatureInvalid`: it may, and the signature does not verify.
    `AlgorithmUnavailable`: SM2 without its extra. DER is read strictly (a second encoding of the same
    r and s is refused); for ECDSA both s and n - s verify, so a signature value identifies nothing.
    """
    try:
        if algorithm is Algorithm.ECDSA_P256_SHA256 and isinstance(public_key, ec.EllipticCurvePublicKey):
            _check_curve(public_key.curve, ec.SECP256R1, algorithm)
            public_key.verify(signature, message, _ECDSA_SHA256)
        elif algorithm is Algorithm.ECDSA_P384_SHA384 and isinstance(public_key, ec.EllipticCurvePublicKey):
            _check_curve(public_key.curve, ec.SECP384R1, algorithm)
            public_key.verify(signature, message, _ECDSA_SHA384)
        elif algorithm is Algorithm.RSA_PSS_SHA256 and isinstance(public_key, rsa.RSAPublicKey):
            _check_rsa(public_key)
            public_key.verify(signature, message, _PSS, _SHA256)
        elif algorithm is Algorithm.RSA_PKCS1_SHA256 and isinstance(public_key, rsa.RSAPublicKey):
            _check_rsa(public_key)
            public_key.verify(signature, message, _PKCS1, _SHA256)
        elif algorithm is Algorithm.ED25519 and isinstance(public_key, Ed25519PublicKey):  # noqa: SIM114  an algorithm a branch
            public_key.verify(signature, message)
        elif algorithm is Algorithm.SM2_SM3 and isinstance(public_key, SM2PublicKey):
            public_key.verify(signature, message)
        else:
            raise _not_of_the_kind(public_key, algorithm)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(
            f"the {algorithm.value} signature does not verify over the signed bytes"
        ) from error


def sign_raw(private_key: PrivateKey, algorithm: Algorithm, message: bytes) -> bytes:
    """The signature value over `message`; raises `AlgorithmRefused` if the key is not of the
    algorithm's kind.
    """
    check_key(private_key.public_key())
    if algorithm is Algorithm.ECDSA_P256_SHA256 and isinstance(private_key, ec.EllipticCurvePrivateKey):
        _check_curve(private_key.curve, ec.SECP256R1, algorithm)
        return private_key.sign(message, _ECDSA_SHA256)
    if algorithm is Algorithm.ECDSA_P384_SHA384 and isinstance(private_key, ec.EllipticCurvePrivateKey):
        _check_curve(private_key.curve, ec.SECP384R1, algorithm)
        return private_key.sign(message, _ECDSA_SHA384)
    if algorithm is Algorithm.RSA_PSS_SHA256 and isinstance(private_key, rsa.RSAPrivateKey):
        return private_key.sign(message, _PSS, _SHA256)
    if algorithm is Algorithm.RSA_PKCS1_SHA256 and isinstance(private_key, rsa.RSAPrivateKey):
        return private_key.sign(message, _PKCS1, _SHA256)
    if algorithm is Algorithm.ED25519 and isinstance(private_key, Ed25519PrivateKey):
        return private_key.sign(message)
    if algorithm is Algorithm.SM2_SM3 and isinstance(private_key, SM2PrivateKey):
        return private_key.sign(message)
    raise _not_of_the_kind(private_key, algorithm)


def _check_rsa(public_key: rsa.RSAPublicKey) -> None:
    if not RSA_BITS_MIN <= public_key.key_size <= RSA_BITS_MAX:
        raise AlgorithmRefused(
            f"RSA key of {public_key.key_size} bits is not accepted: use {RSA_BITS_MIN} to {RSA_BITS_MAX}",
            f"不接受 {public_key.key_size} 位的 RSA 密钥：须为 {RSA_BITS_MIN} 至 {RSA_BITS_MAX} 位",
        )
    exponent = public_key.public_numbers().e
    if exponent < RSA_EXPONENT_MIN or exponent.bit_length() > RSA_EXPONENT_BITS_MAX:
        raise AlgorithmRefused("RSA public exponent is not accepted: use 65537 (FIPS 186-5 section 5.1)")


def _check_curve(curve: ec.EllipticCurve, wanted: type[ec.EllipticCurve], algorithm: Algorithm) -> None:
    if not isinstance(curve, wanted):
        raise AlgorithmRefused(
            f"{algorithm.value} cannot be used with a key on the curve {curve.name}",
            f"{algorithm.value} 不能用于 {curve.name} 曲线的密钥",
        )


def _not_of_the_kind(key: object, algorithm: Algorithm) -> AlgorithmRefused:
    return AlgorithmRefused(f"{algorithm.value} cannot be used with a key of type {type(key).__name__}")
