"""A registrar's signed act, read: the same for an act that comes and for one that is decided again (replay.py)."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from gateway.applications.review import Act, Verb
from gateway.pb.diya.v1 import acts_pb2
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import IdentifierError, normalise_citizen_id
from gateway.rpc.act_fields import instant_of
from gateway.rpc.errors import Refusal
from gateway.rpc.violations import Violations
from signing.verify import VerifiedEnvelope


def parse_review_act(verified: VerifiedEnvelope) -> acts_pb2.ReviewAct:
    """The payload as a ReviewAct. Raises Refusal."""
    wire = acts_pb2.ReviewAct()
    try:
        wire.ParseFromString(verified.payload)
    except DecodeError as error:
        raise Refusal("ENVELOPE_MALFORMED", "载荷不是 ReviewAct", "the payload is not a ReviewAct") from error
    return wire


def review_act(wire: acts_pb2.ReviewAct, verified: VerifiedEnvelope) -> Act:
    """What was signed, as the law looks at it. Raises MalformedRequest."""
    wrong = Violations()
    created = instant_of(wire.header, "created_at", "header", wrong, required=True)
    until = instant_of(wire.header, "not_after", "header", wrong, required=True)
    deadline = instant_of(wire.request_supplement, "deadline", "request_supplement", wrong)
    wrong.refuse_if_any()
    assert created is not None  # a missing one left a violation
    assert until is not None
    verb = Verb((wire.WhichOneof("act") or "").upper())
    return Act(
        verb=verb,
        application_id=wire.target.application.rpartition("/")[2],
        manifest_sha256=wire.target.manifest_digest.hex(),
        seen=wire.last_index_seen,
        opinion=wire.opinion,
        book=wire.approve.book if verb is Verb.APPROVE else False,
        grounds=_findings(wire.refuse.grounds),
        requests=_findings(wire.request_supplement.requests),
        deadline=deadline,
        reason_code=wire.suspend.reason_code,
        request_id=wire.header.request_id.lower(),
        payload_sha256=verified.digest.hex(),
        created_at=created,
        not_after=until,
        signer_numbers=_numbers_of(verified),
    )


def _numbers_of(verified: VerifiedEnvelope) -> tuple[str, ...]:
    """Who signed, by identity numbers as the register writes them."""
    found = []
    for signer in verified.signers:
        if signer.identity is not None:
            try:
                found.append(normalise_citizen_id(signer.identity.number))
            except IdentifierError:  # another kind of document: as it stands
                found.append(signer.identity.number)
    return tuple(found)


def _findings(wires: Any) -> tuple[Finding, ...]:
    """Findings as the registrar signed them."""
    return tuple(
        Finding(
            code=f.code,
            severity=Severity.BLOCKS,
            rule=f.rule,
            field=f.field,
            file=f.file,
            article=f.article,
            zh=f.zh,
            en=f.en,
            cure_zh=f.cure_zh,
            cure_en=f.cure_en,
        )
        for f in wires
    )
