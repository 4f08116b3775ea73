"""RegisterFeedService: the counter's signed acts, where the feed stands, and what came first."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Final

import grpc
import msgspec
from google.protobuf.message import DecodeError

from gateway.applications.feed import SignedFeedAct, decide_feed
from gateway.cases.decision import Decision
from gateway.cases.feed import AnyFeedAct
from gateway.cases.model import Moment
from gateway.commands import Command
from gateway.config import Limits
from gateway.pb.diya.v1 import acts_pb2, feed_service_pb2, feed_service_pb2_grpc
from gateway.register.authority import Registrar
from gateway.register.identifiers import normalise_unit_code
from gateway.register.model import Seizure
from gateway.register.order import RightHistory, statement_text
from gateway.rpc import encode
from gateway.rpc.act_fields import instant_of
from gateway.rpc.decode_feed import decode_counter, decode_restriction
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now, registry_of
from gateway.rpc.names import check_registry, registry_in, split_name
from gateway.rpc.paging import page_of_mapping, page_size
from gateway.rpc.reading_notices import record_read
from gateway.rpc.submission import envelope_of, verify
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.storage.queries import EntryProof, NotYetPublishedError, Queries
from gateway.storage.working import Working
from gateway.worlds.feed_world import feed_world_of, wants_of_feed
from ledger.log_keys import LogSigners
from signing.envelope import Envelope, EnvelopeSignature, pae
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope

RESTRICTION_TYPE: Final = "application/vnd.diya.restriction.v1+protobuf"
COUNTER_TYPE: Final = "application/vnd.diya.counter.v1+protobuf"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_pb = feed_service_pb2
_encode = msgspec.json.Encoder().encode


class FeedEvidence(msgspec.Struct, frozen=True):
    """What was judged about an act of the feed, kept with its entry."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]


class FeedService(feed_service_pb2_grpc.RegisterFeedServiceServicer):
    """Servicer for the counter system; registrars, operators and lenders read."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        trust_of: Callable[[str], TrustStore],
        executor: Executor,
        limits: Limits,
        clock: Callable[[], dt.datetime],
        signers_of: Callable[[str], LogSigners],
    ) -> None:
        """`signers_of` gives a registry's ledger keys: they sign statements of order, as they sign checkpoints."""
        self._signers_of = signers_of
        self._sequencer = sequencer
        self._queries = queries
        self._trust_of = trust_of
        self._executor = executor
        self._limits = limits
        self._clock = clock

    async def PushFeedAct(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """One act of the feed, from its request to its answer."""
        registry = registry_of(request)
        source = self._sequencer.settings(registry).registrars[caller_now.get().id]
        loop = asyncio.get_running_loop()
        command = await loop.run_in_executor(self._executor, self._command, request, registry, source)
        return _pb.PushFeedActResponse(outcome=encode.outcome(await self._sequencer.ask(command)))

    def _command(self, request: Any, registry: str, source: Registrar) -> Command:
        """Verify the counter system's signature and read the act."""
        trust, received_at = self._trust_of(registry), self._clock()
        envelope = envelope_of(request.envelope)
        wanted = COUNTER_TYPE if envelope.payload_type == COUNTER_TYPE else RESTRICTION_TYPE
        verified = verify(envelope, wanted, Purpose.REGISTRAR, trust, received_at)
        if not any(signer.key_id in source.key_ids for signer in verified.signers):
            raise Refusal(
                "KEY_NOT_REGISTERED",
                f"签名密钥不是登记大厅系统 {source.registrar_id} 登记的密钥；请以其登记的密钥签名，"
                "或者请运维人员登记该密钥（SetRegistrar）",
                f"the signing key is not a registered key of counter system {source.registrar_id}: sign with one that "
                "is, or have an operator register this one (SetRegistrar)",
                {"keyId": verified.signers[0].key_id},
            )
        signed = self._read(request, registry, source, verified, received_at)

        def decide(working: Working, moment: Moment) -> Decision:
            return decide_feed(feed_world_of(working, signed.act), signed, moment)

        return Command(
            registry=registry,
            institution=source.registrar_id,
            request_id=signed.request_id,
            payload_sha256=signed.payload_sha256,
            payload=pae(verified.payload_type, verified.payload),
            evidence=lambda: _evidence(envelope, trust, received_at),
            wants=wants_of_feed(signed.act, source.registrar_id, signed.request_id),
            decide=decide,
        )

    def _read(
        self,
        request: Any,
        registry: str,
        source: Registrar,
        verified: VerifiedEnvelope,
        received_at: dt.datetime,
    ) -> SignedFeedAct:
        wire, act_of = _parse(verified)
        self._check_header(request, registry, wire.header)
        wrong = Violations()
        created = instant_of(wire.header, "created_at", "header", wrong, required=True)
        until = instant_of(wire.header, "not_after", "header", wrong, required=True)
        if (
            created
            and until
            and not created < until <= created + dt.timedelta(days=self._limits.envelope_days_max)
        ):
            wrong.add(
                "header.not_after",
                f"须晚于 created_at，且不超过 {self._limits.envelope_days_max} 天",
                f"must be after created_at, by at most {self._limits.envelope_days_max} days",
            )
        if not _UUID.fullmatch(wire.header.request_id.lower()):
            wrong.add("header.request_id", "必须是 UUID", "must be a UUID")
        wrong.refuse_if_any()
        assert created is not None  # a missing one left a violation
        assert until is not None
        return SignedFeedAct(
            source=source.registrar_id,
            act=act_of(received_at),
            request_id=wire.header.request_id.lower(),
            payload_sha256=verified.digest.hex(),
            created_at=created,
            not_after=until,
        )

    def _check_header(self, request: Any, registry: str, header: Any) -> None:
        """The outer fields say what was signed; an act of the feed knows no rehearsal."""
        if header.validate_only:
            raise Refusal(
                "VALIDATE_ONLY_MISMATCH",
                "大厅数据没有试算；validate_only 须为假",
                "an act of the feed knows no rehearsal: validate_only must be false",
            )
        differing = [
            name
            for name, outer, inner in (
                ("registry", registry, header.registry),
                ("request_id", request.request_id.lower(), header.request_id.lower()),
            )
            if outer != inner
        ]
        if differing:
            names = ", ".join(differing)
            raise Refusal(
                "HEADER_MISMATCH",
                f"请求外层字段与签名内容不一致：{names}",
                f"outer fields differ from what was signed: {names}",
                {"fields": names},
            )

    async def GetFeedStatus(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Where the feed stands now."""
        registry = registry_in(request.parent)
        settings = self._sequencer.settings(registry)
        check_registry(registry, settings)
        assert settings.profile is not None  # check_registry refuses a registry without one
        feed, now, lag = settings.feed, self._clock(), settings.profile.counter_feed_max_lag_minutes
        return _pb.GetFeedStatusResponse(
            status=_pb.FeedStatus(
                last_sequence=feed.last,
                highest_sequence=feed.highest,
                missing=[_pb.SequenceRange(first=a, last=b) for a, b in feed.missing],
                as_of=encode.timestamp(feed.as_of),
                stale=feed.is_stale(lag, now),
                automatic_decisions_stopped=feed.is_gap(lag, now),
                held=await self._queries.feed_acts_held(registry),
            )
        )

    async def ListBookingsSinceService(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """What was booked or ended on the unit of a seizure between its service and its entry (EX 23)."""
        registry = registry_in(request.parent)
        found = await self._queries.right(registry, request.right_id)
        first = found
        if found is not None and isinstance(found.right, Seizure) and found.right.renewed_from:
            first = await self._queries.right(registry, found.right.renewed_from)
        if first is None or not isinstance(first.right, Seizure):
            raise Refusal("UNIT_NOT_FOUND", "没有该查封登记", "there is no such seizure")
        seizure = first.right
        rows = since_service(seizure, await self._queries.history(registry, seizure.units))
        page, token = page_of_mapping(
            {f"{row.index:020d}/{row.right_id}/{row.ended}": row for row in rows},
            query=("since-service", registry, request.right_id),
            size=page_size(request.page_size, default=50, maximum=200),
            token=request.page_token,
        )
        return _pb.ListBookingsSinceServiceResponse(
            bookings=page,
            served_at=encode.timestamp(seizure.served_at),
            entered_at=encode.timestamp(seizure.booked_at),
            next_page_token=token,
        )

    async def GetOrderStatement(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """What came first on a unit, signed with the ledger's key, with the proof of every entry named."""
        registry, unit_code = split_name(request.name, "units")
        wrong = Violations()
        with wrong.at("name", "UNIT_CODE_MALFORMED"):
            unit_code = normalise_unit_code(unit_code)
        wrong.refuse_if_any()
        try:
            found = await self._queries.order_of_unit(registry, unit_code)
        except NotYetPublishedError as error:
            raise Refusal(
                "SHUTTING_DOWN",
                "检查点尚未发布；请稍后再试",
                "a checkpoint is late; ask again in a moment",
                retry_seconds=2.0,
            ) from error
        if found is None:
            raise Refusal("UNIT_NOT_FOUND", "没有该不动产单元", "there is no such unit")
        lines, proofs = found
        signers = self._signers_of(registry)
        text = statement_text(signers.name, registry, unit_code, self._clock(), lines)
        note = signers.sign_text(text)
        return _pb.GetOrderStatementResponse(statement=statement_file(note, proofs))

    async def AcknowledgeEvents(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The caller has read its events up to a number."""
        registry, caller = registry_in(request.parent), caller_now.get()
        _, last = await self._queries.events(registry, caller.id, request.sequence)
        if request.sequence > last:
            raise Refusal(
                "EVENT_SEQUENCE_INVALID",
                f"sequence 大于最后一个事件 {last}",
                f"sequence is beyond the last event {last}",
                {"lastSequence": str(last)},
            )
        recorded = await record_read(self._sequencer, self._queries, registry, caller.id, request.sequence)
        return _pb.AcknowledgeEventsResponse(recorded=recorded)


def _parse(verified: VerifiedEnvelope) -> tuple[Any, Callable[[dt.datetime], AnyFeedAct]]:
    """The signed act as it came, and what reads it."""
    counter, restriction = acts_pb2.CounterAct(), acts_pb2.RestrictionAct()
    wire: Any = counter if verified.payload_type == COUNTER_TYPE else restriction
    try:
        wire.ParseFromString(verified.payload)
    except DecodeError as error:
        name = wire.DESCRIPTOR.name
        raise Refusal("ENVELOPE_MALFORMED", f"载荷不是 {name}", f"the payload is not a {name}") from error
    if wire is counter:
        return wire, lambda at: decode_counter(counter, at)
    return wire, lambda at: decode_restriction(restriction, at)


def _evidence(envelope: Envelope, trust: TrustStore, received_at: dt.datetime) -> bytes:
    return _encode(FeedEvidence(received_at, trust.digest(), envelope.signatures))


def since_service(seizure: Seizure, rows: Iterable[RightHistory]) -> list[Any]:
    """Bookings and endings from the service of a seizure to its entry, but for the seizure's own."""
    found = []
    for row in rows:
        for at, index, ended in (
            (row.right.booked_at, row.booked_index, False),
            (row.ended_at, row.ended_index, True),
        ):
            own = row.right.right_id == seizure.right_id
            if own or at is None or index is None or not seizure.served_at <= at <= seizure.booked_at:
                continue
            found.append(
                _pb.BookingSinceService(
                    right_id=row.right.right_id,
                    right_kind=row.kind,
                    case_number=row.right.case_number,
                    at=encode.timestamp(at),
                    ended=ended,
                    index=index,
                    booked_by=row.right.booked_by,
                )
            )
    return found


def statement_file(note: bytes, proofs: Sequence[EntryProof]) -> bytes:
    """The statement as it is kept (docs/order-statement.md)."""
    newest = proofs[-1].checkpoint if proofs else None
    file = {
        "schema": "diya-order-file/v1",
        "note": note.decode(),
        "checkpoint": newest.note.decode() if newest else "",
        "entries": [
            {
                "index": proof.entry.index,
                "entry": base64.b64encode(proof.entry.data).decode(),
                "proof": [base64.b64encode(hash_).decode() for hash_ in proof.inclusion],
            }
            for proof in proofs
        ],
    }
    return json.dumps(file, ensure_ascii=False, indent=1).encode()
