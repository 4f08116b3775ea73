"""What an envelope of each payload type holds, and the envelope on the wire.

The gateway never re-serializes what was signed, and neither does this package: a payload is
serialized once, by whoever makes it, and from then on it is bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, cast

from google.protobuf.message import DecodeError, Message

from gateway.client.errors import InputError
from gateway.pb.diya.v1 import acts_pb2, admin_acts_pb2, envelope_pb2
from signing.algorithms import Algorithm
from signing.envelope import Envelope, EnvelopeSignature
from signing.signer import Signer
from signing.signer import sign_batch as _sign_batch
from signing.signer import sign_envelope as _sign


class Payload(Protocol):
    """What every signed payload has: a header. (A protobuf message otherwise.)"""

    @property
    def header(self) -> envelope_pb2.Header:
        """Registry, request id, who, and how long it may be taken."""
        ...


MANIFEST: Final = "application/vnd.diya.manifest.v1+protobuf"
REVIEW: Final = "application/vnd.diya.review.v1+protobuf"

_CLASSES: Final[dict[str, type[Message]]] = {
    MANIFEST: envelope_pb2.Manifest,
    "application/vnd.diya.join.v1+protobuf": acts_pb2.JoinAct,
    "application/vnd.diya.consent.v1+protobuf": acts_pb2.ConsentAct,
    "application/vnd.diya.decline.v1+protobuf": acts_pb2.DeclineAct,
    "application/vnd.diya.revoke.v1+protobuf": acts_pb2.RevokeAct,
    "application/vnd.diya.supplement.v1+protobuf": acts_pb2.SupplementAct,
    "application/vnd.diya.withdrawal.v1+protobuf": acts_pb2.WithdrawalAct,
    REVIEW: acts_pb2.ReviewAct,
    "application/vnd.diya.pre-notice-term.v1+protobuf": acts_pb2.PreNoticeTermAct,
    "application/vnd.diya.restriction.v1+protobuf": acts_pb2.RestrictionAct,
    "application/vnd.diya.counter.v1+protobuf": acts_pb2.CounterAct,
    "application/vnd.diya.admin.import-register.v1+protobuf": admin_acts_pb2.ImportRegisterAct,
    "application/vnd.diya.admin.set-institution.v1+protobuf": admin_acts_pb2.SetInstitutionAct,
    "application/vnd.diya.admin.suspend-institution.v1+protobuf": (admin_acts_pb2.SuspendInstitutionAct),
    "application/vnd.diya.admin.resume-institution.v1+protobuf": (admin_acts_pb2.ResumeInstitutionAct),
    "application/vnd.diya.admin.set-registrar.v1+protobuf": admin_acts_pb2.SetRegistrarAct,
    "application/vnd.diya.admin.set-auditors.v1+protobuf": admin_acts_pb2.SetAuditorsAct,
    "application/vnd.diya.admin.set-profile.v1+protobuf": admin_acts_pb2.SetProfileAct,
    "application/vnd.diya.admin.set-rule-set.v1+protobuf": admin_acts_pb2.SetRuleSetAct,
    "application/vnd.diya.admin.set-trust.v1+protobuf": admin_acts_pb2.SetTrustAct,
    "application/vnd.diya.admin.erase-evidence.v1+protobuf": admin_acts_pb2.EraseEvidenceAct,
    "application/vnd.diya.admin.import-calendar.v1+protobuf": admin_acts_pb2.ImportCalendarAct,
    "application/vnd.diya.admin.rotate-seal.v1+protobuf": admin_acts_pb2.RotateSealAct,
    "application/vnd.diya.admin.retire-seal.v1+protobuf": admin_acts_pb2.RetireSealAct,
    "application/vnd.diya.admin.rotate-ledger-key.v1+protobuf": admin_acts_pb2.RotateLedgerKeyAct,
    "application/vnd.diya.admin.retire-ledger-key.v1+protobuf": admin_acts_pb2.RetireLedgerKeyAct,
    "application/vnd.diya.admin.recover-ledger.v1+protobuf": admin_acts_pb2.RecoverLedgerAct,
}
_TYPES: Final = {of: payload_type for payload_type, of in _CLASSES.items()}

ALGORITHMS: Final = {
    Algorithm.ECDSA_P256_SHA256: envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
    Algorithm.RSA_PSS_SHA256: envelope_pb2.SIGNATURE_ALGORITHM_RSA_PSS_SHA256,
    Algorithm.RSA_PKCS1_SHA256: envelope_pb2.SIGNATURE_ALGORITHM_RSA_PKCS1_SHA256,
    Algorithm.ED25519: envelope_pb2.SIGNATURE_ALGORITHM_ED25519,
    Algorithm.ECDSA_P384_SHA384: envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P384_SHA384,
    Algorithm.SM2_SM3: envelope_pb2.SIGNATURE_ALGORITHM_SM2_SM3,
}


def payload_type_of(payload: Message) -> str:
    """The payload type of a manifest or an act. Raises InputError for any other message."""
    payload_type = _TYPES.get(type(payload))
    if payload_type is None:
        name = type(payload).__name__
        raise InputError(f"{name} is no payload of an envelope", f"{name} 不能作为信封载荷")
    return payload_type


def sign_payload(signer: Signer, payload: Message) -> Envelope:
    """Serialize once and sign. Raises InputError, or SigningError of the signer."""
    return _sign(payload_type_of(payload), payload.SerializeToString(deterministic=True), [signer])


def sign_payloads(signer: Signer, payloads: Sequence[Message]) -> tuple[Envelope, ...]:
    """Serialize each once and sign all by one signature value (docs/envelope-format.md, section 6).

    Raises InputError, ValueError for none or over 65,536, SigningError of the signer.
    """
    encoded = [(payload_type_of(one), one.SerializeToString(deterministic=True)) for one in payloads]
    return _sign_batch(encoded, signer)


def parse_payload(envelope: Envelope) -> Message:
    """The payload parsed, for reading. Raises InputError for an unknown type or foreign bytes."""
    of = _CLASSES.get(envelope.payload_type)
    if of is None:
        raise InputError(
            f"payload type {envelope.payload_type} is not one of this contract",
            f"载荷类型 {envelope.payload_type} 不在接口约定之内",
        )
    payload = of()
    try:
        payload.ParseFromString(envelope.payload)
    except DecodeError as error:
        name = of.__name__
        raise InputError(f"the payload is not a {name}", f"载荷不是 {name}") from error
    return payload


def header_of(envelope: Envelope) -> envelope_pb2.Header:
    """The header inside the signed bytes; outer fields are copied from it. Raises InputError."""
    return cast("Payload", parse_payload(envelope)).header


def manifest_of(envelope: Envelope) -> envelope_pb2.Manifest:
    """The manifest in an envelope. Raises InputError when it holds something else."""
    payload = parse_payload(envelope)
    if not isinstance(payload, envelope_pb2.Manifest):
        raise InputError(
            f"a submission needs a manifest, the envelope holds {envelope.payload_type}",
            f"提交申请须使用申请清单，信封载荷为 {envelope.payload_type}",
        )
    return payload


def envelope_to_wire(envelope: Envelope) -> envelope_pb2.Envelope:
    """The envelope as a protobuf message; the payload bytes unchanged."""
    return envelope_pb2.Envelope(
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        signatures=[_signature_to_wire(one) for one in envelope.signatures],
    )


def _signature_to_wire(signature: EnvelopeSignature) -> envelope_pb2.Signature:
    path = signature.batch
    return envelope_pb2.Signature(
        key_id=signature.key_id,
        algorithm=ALGORITHMS[Algorithm(signature.algorithm)],
        certificates=list(signature.certificates),
        signature=signature.signature,
        batch=None
        if path is None
        else envelope_pb2.BatchPath(index=path.index, size=path.size, hashes=path.hashes),
    )
