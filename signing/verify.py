"""Does an envelope hold? Every signature, one purpose, one time.

The cost of a repeated signer is one raw verification and a few dictionary look-ups: certificates
are parsed once, sound chains are remembered by the trust store. Nothing of the payload is read
here.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from signing.algorithms import Algorithm, parse_algorithm, verify_signature
from signing.certificates import Certificate, Identity, parse_certificate
from signing.envelope import Envelope, EnvelopeSignature, check_shape, pae, signed_message
from signing.errors import AlgorithmUnavailable, KeyIdMismatch, SignatureDuplicate, SigningError
from signing.known_chain import ChainLink
from signing.timestamp import verify_token
from signing.trust import Purpose, TrustStore

BATCHES_REMEMBERED: Final = 4096
NOT_FOR_ENVELOPES: Final = frozenset({Purpose.TLS, Purpose.TSA})


class Signer(msgspec.Struct, frozen=True):
    """Who signed, as the certificate says, with what is needed to judge the chain again later.

    name is for people. identity is None only for purposes without one (none of those that sign
    envelopes). fingerprint: hex SHA-256 of the certificate. serial: decimal.
    """

    key_id: str
    identity: Identity | None
    name: str
    fingerprint: str
    issuer_key_id: str
    serial: str
    algorithm: str
    chain: tuple[ChainLink, ...]


class VerifiedEnvelope(msgspec.Struct, frozen=True):
    """An envelope whose signatures all held at the time that was asked about.

    digest: `payload_digest`, 32 bytes. signers: in the order of the envelope's signatures. unjudged: why some of them
    could not be judged here, where that was allowed. proven: of each signer, the time of a time stamp over its
    signature, None where it has none.
    """

    payload_type: str
    payload: bytes
    digest: bytes
    signers: tuple[Signer, ...]
    unjudged: tuple[AlgorithmUnavailable, ...] = ()
    proven: tuple[datetime | None, ...] = ()


def verify_envelope(
    envelope: Envelope, purpose: Purpose, trust: TrustStore, at: datetime, *, either_suite: bool = False
) -> VerifiedEnvelope:
    """The envelope, verified: every signature holds, is of another key, and is by a certificate of
    `purpose` at `at`; where a time stamp over it proves an earlier time, at that.

    either_suite: for what one signer signs in both suites. Where SM2 is not installed, signatures of it are passed over
    and told as `unjudged`; another must hold.

    `purpose` is one that signs: asking for TLS or TSA is a `ValueError`. Raises a `SigningError` at
    the first check that fails, with `signature_index` set for checks 2 to 6:

    1. shape and limits (`EnvelopeMalformed`);
    2. the algorithm is of the closed list (`AlgorithmUnknown`);
    3. the first certificate parses and its key has the signature's key id (`CertificateMalformed`,
       `KeyIdMismatch`);
    4. no key signs twice (`SignatureDuplicate`); a time stamp over a signature holds (`TimestampInvalid`);
    5. the certificate may be used for `purpose`, chains to its anchor, is valid and unrevoked at
       `at` (`CertificateRefused`, `AlgorithmRefused`);
    6. the signature verifies over the pre-authentication encoding, or over the root of the batch to
       which the signature's path leads (`SignatureInvalid`, `AlgorithmRefused`).
    """
    if purpose in NOT_FOR_ENVELOPES:
        raise ValueError(f"{purpose.value} certificates never sign envelopes")
    check_shape(envelope)
    message = pae(envelope.payload_type, envelope.payload)
    seen: set[str] = set()
    signers = []
    unjudged = []
    proven: list[datetime | None] = []
    for index, signature in enumerate(envelope.signatures):
        try:
            made = (
                verify_token(signature.stamp, signature.signature, trust, at).time
                if signature.stamp
                else None
            )
            signers.append(_verify_one(signature, message, purpose, trust, made or at, seen))
            proven.append(made)
        except SigningError as error:
            error.signature_index = index
            if not (either_suite and isinstance(error, AlgorithmUnavailable)):
                raise
            unjudged.append(error)
    if not signers:
        raise unjudged[0]
    return VerifiedEnvelope(
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        digest=hashlib.sha256(message).digest(),
        signers=tuple(signers),
        unjudged=tuple(unjudged),
        proven=tuple(proven),
    )


def _verify_one(
    signature: EnvelopeSignature,
    message: bytes,
    purpose: Purpose,
    trust: TrustStore,
    at: datetime,
    seen: set[str],
) -> Signer:
    algorithm = parse_algorithm(signature.algorithm)  # 2
    leaf = parse_certificate(signature.certificates[0])  # 3
    if leaf.key_id != signature.key_id:
        raise KeyIdMismatch(
            f"key_id {signature.key_id} is not the SHA-256 of the certificate's public key ({leaf.key_id})"
        )
    if leaf.key_id in seen:  # 4
        raise SignatureDuplicate(f"key {leaf.key_id} signs the envelope twice")
    seen.add(leaf.key_id)
    extra = [parse_certificate(der) for der in signature.certificates[1:]]
    chain = trust.check_chain(leaf, extra, purpose, at)  # 5
    signed = signed_message(message, signature)  # 6
    if signature.batch is None:
        verify_signature(leaf.public_key, algorithm, signature.signature, signed)
    else:
        _verify_batch(leaf, algorithm, signature.signature, signed)
    return Signer(
        key_id=leaf.key_id,
        identity=leaf.identity,
        name=leaf.name,
        fingerprint=leaf.fingerprint,
        issuer_key_id=chain.links[0].issuer_key_id,
        serial=chain.links[0].serial,
        algorithm=algorithm.value,
        chain=chain.links,
    )


@lru_cache(maxsize=BATCHES_REMEMBERED)
def _verify_batch(leaf: Certificate, algorithm: Algorithm, signature: bytes, message: bytes) -> None:
    """As `verify_signature`, remembered where it holds: the payloads of a batch share one signature value.

    Whether the certificate is still good is asked of every payload, before this.
    """
    verify_signature(leaf.public_key, algorithm, signature, message)
