"""Whoever can sign: a protocol that a hardware module can implement, and the plain one with a key
in memory.

`Signer` is all that envelopes and PDF seals need to know. A PKCS#11 token or a licensed signing
service is another class with the same three members. What was verified is `verify.Signer`, which is
a value and signs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signing.algorithms import Algorithm, PrivateKey, default_algorithm, sign_raw
from signing.batch import BatchPath, paths_of
from signing.certificates import certificates_from_pem, key_id_of, parse_certificate
from signing.envelope import Envelope, EnvelopeSignature, batch_message, check_shape, pae
from signing.errors import AlgorithmUnavailable, SignatureDuplicate, SignerUnusable, SigningError
from signing.sm2 import SM2PrivateKey


class Signer(Protocol):
    """Something with a private key and its certificates."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, the signer's own first, then intermediates."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """What `sign` makes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature value over the whole `message` (hashing is inside)."""
        ...


def load_private_key(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """A PEM private key of either suite (PKCS#8, encrypted if `password` is given). Raises `SignerUnusable`."""
    try:
        private_key = serialization.load_pem_private_key(pem, password=password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return _load_sm2(pem, password, error)
    if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey):
        raise SignerUnusable(f"keys of type {type(private_key).__name__} are not used to sign")
    return private_key


def _load_sm2(pem: bytes, password: bytes | None, refusal: Exception) -> PrivateKey:
    """What `cryptography` refuses may be an SM2 key, or one whose file is encrypted with SM4."""
    try:
        return SM2PrivateKey.load_pem(pem, password)
    except AlgorithmUnavailable as error:
        raise SignerUnusable(f"cannot load the private key: {refusal}. {error}", error.zh) from refusal
    except (ValueError, TypeError):
        raise SignerUnusable(f"cannot load the private key: {refusal}") from refusal


class LocalSigner:
    """A signer whose private key is in this process's memory."""

    def __init__(
        self,
        private_key: PrivateKey,
        certificates: Sequence[bytes],
        algorithm: Algorithm | None = None,
    ) -> None:
        """Raises `SignerUnusable` if there is no certificate, or the first is not this key's."""
        if not certificates:
            raise SignerUnusable("a signer needs at least its own certificate")
        leaf = parse_certificate(certificates[0])
        if leaf.key_id != key_id_of(private_key.public_key()):
            raise SignerUnusable(f"the private key is not that of the certificate {leaf.subject!r}")
        self._private_key = private_key
        self._certificates = tuple(certificates)
        self._algorithm = algorithm or default_algorithm(leaf.public_key)

    @classmethod
    def from_pem(
        cls,
        key_pem: bytes,
        chain_pem: bytes,
        *,
        algorithm: Algorithm | None = None,
        password: bytes | None = None,
    ) -> LocalSigner:
        """From a PEM private key (PKCS#8, encrypted if `password` is given) and PEM certificates,
        own first.

        Raises `SignerUnusable`.
        """
        private_key = load_private_key(key_pem, password)
        try:
            certificates = certificates_from_pem(chain_pem)
        except SigningError as error:
            raise SignerUnusable(f"cannot load the certificates: {error}") from error
        return cls(private_key, certificates, algorithm)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        return self._certificates

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    @property
    def key_id(self) -> str:
        """The key id of the signer's own certificate."""
        return parse_certificate(self._certificates[0]).key_id

    def sign(self, message: bytes) -> bytes:
        return sign_raw(self._private_key, self._algorithm, message)


def sign_envelope(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> Envelope:
    """An envelope with one signature of each signer, in order. Raises `EnvelopeMalformed` where a
    limit is broken.
    """
    message = pae(payload_type, payload)
    envelope = Envelope(payload_type, payload, tuple(_sign_one(message, one) for one in signers))
    check_shape(envelope)
    return envelope


def countersign(envelope: Envelope, signer: Signer) -> Envelope:
    """The envelope with one signature more, over the same bytes. Raises `SignatureDuplicate` for a key that has signed
    it already, `EnvelopeMalformed` where a limit is broken.
    """
    one = _sign_one(pae(envelope.payload_type, envelope.payload), signer)
    if one.key_id in {signed.key_id for signed in envelope.signatures}:
        raise SignatureDuplicate(f"key {one.key_id} has signed the envelope already")
    signed = Envelope(envelope.payload_type, envelope.payload, (*envelope.signatures, one))
    check_shape(signed)
    return signed


def sign_batch(payloads: Sequence[tuple[str, bytes]], signer: Signer) -> tuple[Envelope, ...]:
    """An envelope for each (payload type, payload), in order, signed together by one signature value.

    Each verifies alone and can be sent, kept and shown without the others. 1 to 65,536 payloads; raises ValueError
    otherwise, `EnvelopeMalformed` where a limit is broken, and nothing is signed then.
    """
    messages = [pae(*one) for one in payloads]
    root, paths = paths_of(messages)
    drafts = [_envelope(one, signer, b"\x00", path) for one, path in zip(payloads, paths, strict=True)]
    for draft in drafts:
        check_shape(draft)
    value = signer.sign(batch_message(len(messages), root))
    return tuple(_envelope(one, signer, value, path) for one, path in zip(payloads, paths, strict=True))


def _envelope(payload: tuple[str, bytes], signer: Signer, value: bytes, path: BatchPath) -> Envelope:
    return Envelope(*payload, (_signature(signer, value, path),))


def add_signature(envelope: Envelope, signer: Signer) -> Envelope:
    """The same envelope with one more signature over the same bytes; earlier signatures are not
    judged.
    """
    added = _sign_one(pae(envelope.payload_type, envelope.payload), signer)
    extended = Envelope(envelope.payload_type, envelope.payload, (*envelope.signatures, added))
    check_shape(extended)
    return extended


def _sign_one(message: bytes, signer: Signer) -> EnvelopeSignature:
    return _signature(signer, signer.sign(message))


def _signature(signer: Signer, value: bytes, path: BatchPath | None = None) -> EnvelopeSignature:
    return EnvelopeSignature(
        key_id=parse_certificate(signer.certificates[0]).key_id,
        algorithm=signer.algorithm.value,
        certificates=signer.certificates,
        signature=value,
        batch=path,
    )
