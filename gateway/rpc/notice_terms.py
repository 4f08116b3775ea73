"""From a registrar's PreNoticeTermAct to a command: envelope, key, outer fields, in that order.

Runs in a verification thread; what it raises leaves nothing behind. The law is `applications/pre_notice_term.py`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from gateway.applications.pre_notice_term import TermAct, decide_term_act
from gateway.cases.decision import Decision
from gateway.cases.model import Moment
from gateway.commands import Command
from gateway.pb.diya.v1 import acts_pb2
from gateway.register.authority import Registrar
from gateway.register.identifiers import normalise_unit_code
from gateway.rpc.act_fields import instant_of
from gateway.rpc.authority import TEXT_CHARACTERS_MAX
from gateway.rpc.errors import Refusal
from gateway.rpc.submission import check_registrar, envelope_of, verify
from gateway.rpc.violations import Violations
from gateway.storage.working import Working
from gateway.worlds.notice_world import notice_world_of, wants_of_notice
from signing.envelope import EnvelopeSignature, pae
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope

TERM_TYPE: Final = "application/vnd.diya.pre-notice-term.v1+protobuf"

_RIGHT_CHARACTERS_MAX: Final = 64
_encode = msgspec.json.Encoder().encode


class TermEvidence(msgspec.Struct, frozen=True):
    """What was judged about the act, kept with its entry."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]


def term_command(
    request: Any, registry: str, registrar: Registrar, trust: TrustStore, received_at: dt.datetime
) -> Command:
    """The command of a signed act. Raises SigningError, Refusal or MalformedRequest."""
    envelope = envelope_of(request.envelope)
    verified = verify(envelope, TERM_TYPE, Purpose.REGISTRAR, trust, received_at)
    check_registrar(registrar, verified, received_at)
    act, unit_code, right_id = _read(request, registry, verified)
    evidence = _encode(TermEvidence(received_at, trust.digest(), envelope.signatures))

    def decide(working: Working, moment: Moment) -> Decision:
        return decide_term_act(notice_world_of(working, unit_code, right_id), registrar, act, moment)

    return Command(
        registry=registry,
        institution=registrar.registrar_id,
        request_id=act.request_id,
        payload_sha256=act.payload_sha256,
        payload=pae(verified.payload_type, verified.payload),
        evidence=lambda: evidence,
        wants=wants_of_notice(unit_code, {(registrar.registrar_id, act.request_id)}),
        decide=decide,
    )


def _read(request: Any, registry: str, verified: VerifiedEnvelope) -> tuple[TermAct, str, str]:
    """The act with the unit and the right that it is about, its outer fields compared with what was signed."""
    wire = acts_pb2.PreNoticeTermAct()
    try:
        wire.ParseFromString(verified.payload)
    except DecodeError as error:
        raise Refusal(
            "ENVELOPE_MALFORMED", "载荷不是 PreNoticeTermAct", "the payload is not a PreNoticeTermAct"
        ) from error
    if wire.header.request_id.lower() != request.request_id.lower() or wire.header.registry != registry:
        raise Refusal(
            "HEADER_MISMATCH",
            "请求外层字段与所签行为不一致",
            "the outer fields differ from the signed act",
            {"fields": "parent, request_id"},
        )
    wrong = Violations()
    unit_code = ""
    with wrong.at("unit_code", "UNIT_CODE_MALFORMED"):
        unit_code = normalise_unit_code(wire.unit_code)
    if not 0 < len(wire.right_id) <= _RIGHT_CHARACTERS_MAX:
        wrong.add("right_id", "必填", "is required")
    which = wire.WhichOneof("act")
    if which is None:
        wrong.add("act", "必填", "is required")
    day = None
    if which == "registrable":
        stated = wire.registrable.registrable_from
        try:
            day = dt.date(stated.year, stated.month, stated.day)
        except ValueError:
            wrong.add("registrable.registrable_from", "须为完整的日期", "must be a full date")
        if not 0 < len(wire.registrable.evidence.strip()) <= TEXT_CHARACTERS_MAX:
            wrong.add("registrable.evidence", "必填", "is required")
    created = instant_of(wire.header, "created_at", "header", wrong, required=True)
    until = instant_of(wire.header, "not_after", "header", wrong, required=True)
    wrong.refuse_if_any()
    assert created is not None  # a missing one left a violation
    assert until is not None
    act = TermAct(
        registrable_from=day,
        evidence=wire.registrable.evidence.strip(),
        opinion=wire.opinion,
        request_id=wire.header.request_id.lower(),
        payload_sha256=verified.digest.hex(),
        created_at=created,
        not_after=until,
    )
    return act, unit_code, wire.right_id
