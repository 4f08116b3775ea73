"""From an operator's request to a command: envelope, key, header, in that order.

Runs in a verification thread. What it raises leaves nothing behind.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError, Message

from gateway.applications.administration import OPERATORS, OperatorAct
from gateway.cases.decision import Decision
from gateway.cases.model import Moment
from gateway.commands import Command
from gateway.config import Limits
from gateway.pb.diya.v1 import admin_acts_pb2
from gateway.rpc.act_fields import instant_of
from gateway.rpc.errors import Refusal
from gateway.rpc.submission import envelope_of, verify
from gateway.rpc.violations import Violations
from gateway.storage.settings import Settings
from gateway.storage.working import Wants, Working
from signing.envelope import Envelope, EnvelopeSignature, pae
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope

_PREFIX: Final = "application/vnd.diya.admin."
_SUFFIX: Final = ".v1+protobuf"

#: Payload type of each act.
PAYLOAD_TYPES: Final[dict[type[Message], str]] = {
    admin_acts_pb2.ImportRegisterAct: f"{_PREFIX}import-register{_SUFFIX}",
    admin_acts_pb2.SetInstitutionAct: f"{_PREFIX}set-institution{_SUFFIX}",
    admin_acts_pb2.SuspendInstitutionAct: f"{_PREFIX}suspend-institution{_SUFFIX}",
    admin_acts_pb2.ResumeInstitutionAct: f"{_PREFIX}resume-institution{_SUFFIX}",
    admin_acts_pb2.SetRegistrarAct: f"{_PREFIX}set-registrar{_SUFFIX}",
    admin_acts_pb2.SetAuditorsAct: f"{_PREFIX}set-auditors{_SUFFIX}",
    admin_acts_pb2.SetProfileAct: f"{_PREFIX}set-profile{_SUFFIX}",
    admin_acts_pb2.SetRuleSetAct: f"{_PREFIX}set-rule-set{_SUFFIX}",
    admin_acts_pb2.SetTrustAct: f"{_PREFIX}set-trust{_SUFFIX}",
    admin_acts_pb2.EraseEvidenceAct: f"{_PREFIX}erase-evidence{_SUFFIX}",
    admin_acts_pb2.ImportCalendarAct: f"{_PREFIX}import-calendar{_SUFFIX}",
    admin_acts_pb2.RotateSealAct: f"{_PREFIX}rotate-seal{_SUFFIX}",
    admin_acts_pb2.RetireSealAct: f"{_PREFIX}retire-seal{_SUFFIX}",
    admin_acts_pb2.RotateLedgerKeyAct: f"{_PREFIX}rotate-ledger-key{_SUFFIX}",
    admin_acts_pb2.RetireLedgerKeyAct: f"{_PREFIX}retire-ledger-key{_SUFFIX}",
    admin_acts_pb2.RecoverLedgerAct: f"{_PREFIX}recover-ledger{_SUFFIX}",
}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_encode = msgspec.json.Encoder().encode


class OperatorEvidence(msgspec.Struct, frozen=True):
    """What was judged about an act, kept with its entry."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]


@dataclass(frozen=True, slots=True)
class SignedAct:
    """A verified act: its payload parsed (`wire`), its header, and what its entry keeps as evidence."""

    registry: str
    wire: Any
    act: OperatorAct
    envelope: Envelope
    received_at: dt.datetime
    evidence: bytes

    def command(self, decide: Callable[[Working, Moment], Decision]) -> Command:
        """The command that decides it."""
        return Command(
            registry=self.registry,
            institution=OPERATORS,
            request_id=self.act.request_id,
            payload_sha256=self.act.payload_sha256,
            payload=pae(self.envelope.payload_type, self.envelope.payload),
            evidence=lambda: self.evidence,
            wants=Wants(requests={(OPERATORS, self.act.request_id)}),
            decide=decide,
        )


def read_act(
    request: Any,
    kind: type[Message],
    registry: str,
    settings: Settings,
    trust: TrustStore,
    limits: Limits,
    clock: Callable[[], dt.datetime],
) -> SignedAct:
    """A verified act of one kind. Raises SigningError, Refusal or MalformedRequest."""
    received_at = clock()
    envelope = envelope_of(request.envelope)
    verified = verify(envelope, PAYLOAD_TYPES[kind], Purpose.OPERATOR, trust, received_at)
    _check_operator(verified, settings)
    wire: Any = kind()
    try:
        wire.ParseFromString(verified.payload)
    except DecodeError as error:
        name = kind.DESCRIPTOR.name
        raise Refusal("ENVELOPE_MALFORMED", f"载荷不是 {name}", f"the payload is not a {name}") from error
    act = _read_header(wire.header, request.request_id, registry, verified, limits)
    evidence = _encode(OperatorEvidence(received_at, trust.digest(), envelope.signatures))
    return SignedAct(registry, wire, act, envelope, received_at, evidence)


def _check_operator(verified: VerifiedEnvelope, settings: Settings) -> None:
    """Some signer is an operator of this registry, by a registered personal key."""
    known = settings.operators.key_ids if settings.operators else ()
    if not any(signer.key_id in known for signer in verified.signers):
        raise Refusal(
            "KEY_NOT_REGISTERED",
            "签名密钥不是本登记机构的运维人员密钥；请以 diya init 时登记的运维密钥签名",
            "the signing key is not registered as an operator's of this registry: sign with the operator key that "
            "diya init registered",
            {"keyId": verified.signers[0].key_id},
        )


def _read_header(
    header: Any, request_id: str, registry: str, verified: VerifiedEnvelope, limits: Limits
) -> OperatorAct:
    """The header, equal to the outer fields; only what was signed counts."""
    if header.validate_only:
        raise Refusal(
            "VALIDATE_ONLY_MISMATCH",
            "运维行为没有试算；validate_only 须为假",
            "an operator's act knows no rehearsal: validate_only must be false",
        )
    outer_inner = (
        ("registry", registry, header.registry),
        ("request_id", request_id.lower(), header.request_id.lower()),
    )
    differing = ", ".join(name for name, outer, inner in outer_inner if outer != inner)
    if differing:
        raise Refusal(
            "HEADER_MISMATCH",
            f"请求外层字段与签名内容不一致：{differing}",
            f"outer fields differ from what was signed: {differing}",
            {"fields": differing},
        )
    wrong = Violations()
    if not _UUID.fullmatch(header.request_id.lower()):
        wrong.add("header.request_id", "必须是 UUID", "must be a UUID")
    created = instant_of(header, "created_at", "header", wrong, required=True)
    until = instant_of(header, "not_after", "header", wrong, required=True)
    if created and until and not created < until <= created + dt.timedelta(days=limits.envelope_days_max):
        wrong.add(
            "header.not_after",
            f"须晚于 created_at，且不超过 {limits.envelope_days_max} 天",
            f"must be after created_at, by at most {limits.envelope_days_max} days",
        )
    wrong.refuse_if_any()
    assert created is not None  # a missing one left a violation
    assert until is not None
    return OperatorAct(
        request_id=header.request_id.lower(),
        payload_sha256=verified.digest.hex(),
        created_at=created,
        not_after=until,
    )
