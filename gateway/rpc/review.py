"""ReviewService: the registrars' queue and their acts, each signed with the registrar's own key."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

import grpc
import msgspec

from gateway.applications.review import Act, Verb, decide_review
from gateway.cases.decision import Decision
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application, Moment, Paper, State
from gateway.commands import Command, LedgerStopped, Overloaded
from gateway.config import Limits
from gateway.pb.diya.v1 import (
    application_pb2,
    codes_pb2,
    outcome_pb2,
    review_service_pb2,
    review_service_pb2_grpc,
)
from gateway.register.authority import Registrar
from gateway.rpc import case_view, encode
from gateway.rpc.case_view import REVIEW_TYPE
from gateway.rpc.decode import decode_manifest
from gateway.rpc.decode_fields import enum_names
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now, registry_of
from gateway.rpc.names import malformed, registry_in, split_name
from gateway.rpc.notice_terms import term_command
from gateway.rpc.paging import page_size
from gateway.rpc.replay import Replayed, replay_case
from gateway.rpc.review_acts import parse_review_act, review_act
from gateway.rpc.submission import check_registrar, envelope_of, verify
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.rebuild import NotFolded
from gateway.storage.working import Working
from gateway.worlds.world import papers_of, wants_of_case, world_of
from signing.envelope import Envelope, EnvelopeSignature, pae, split_pae
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope

log = logging.getLogger(__name__)

#: The contract's own limit of this list.
_PAGE_SIZE_MAX: Final = 200

#: What the queue holds unless other states are asked for: cases that came back from a wait are IN_REVIEW.
_FOR_A_PERSON: Final = (State.ACCEPTED.value, State.IN_REVIEW.value)

_COUNTY = re.compile(r"[0-9]{6}")

_pb = review_service_pb2
_encode = msgspec.json.Encoder().encode


class ReviewEvidence(msgspec.Struct, frozen=True):
    """What was judged about an act, kept with its entry."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]
    papers: tuple[Paper, ...]


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """Servicer for registrars."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        trust_of: Callable[[str], TrustStore],
        executor: Executor,
        limits: Limits,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._trust_of = trust_of
        self._executor = executor
        self._limits = limits
        self._clock = clock
        self._replaying = False

    async def ListQueue(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Cases that wait for a person, oldest acceptance first (RD 67)."""
        registry, caller = registry_of(request), caller_now.get()
        if request.county_code and not _COUNTY.fullmatch(request.county_code):
            raise malformed("county_code", "应为 6 位数字", "must be 6 digits")
        rows, token = await self._queries.queue(
            registry,
            states=enum_names(application_pb2.Application.State, request.states, "STATE_", "states")
            or _FOR_A_PERSON,
            claimed_by=caller.id if request.mine else "" if request.unclaimed else None,
            operations=enum_names(
                codes_pb2.OperationKind, request.operations, "OPERATION_KIND_", "operations"
            ),
            county_code=request.county_code,
            page_size=page_size(
                request.page_size, default=self._limits.page_size_default, maximum=_PAGE_SIZE_MAX
            ),
            page_token=request.page_token,
        )
        settings = self._sequencer.settings(registry)
        applications = await case_view.told(self._queries, settings, caller, registry, rows)
        return _pb.ListQueueResponse(applications=applications, next_page_token=token)

    async def Claim(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Take a case."""
        return _pb.ClaimResponse(outcome=await self._act(request, Verb.CLAIM))

    async def Unclaim(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Give a case back."""
        return _pb.UnclaimResponse(outcome=await self._act(request, Verb.UNCLAIM))

    async def Approve(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Approve and book."""
        return _pb.ApproveResponse(outcome=await self._act(request, Verb.APPROVE))

    async def Refuse(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Refuse, with grounds (IR 22)."""
        return _pb.RefuseResponse(outcome=await self._act(request, Verb.REFUSE))

    async def Suspend(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Suspend: inquiry or correction case."""
        return _pb.SuspendResponse(outcome=await self._act(request, Verb.SUSPEND))

    async def Resume(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Back to review."""
        return _pb.ResumeResponse(outcome=await self._act(request, Verb.RESUME))

    async def RequestSupplement(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Ask for papers, once and for everything (IR 17(3))."""
        return _pb.RequestSupplementResponse(outcome=await self._act(request, Verb.REQUEST_SUPPLEMENT))

    async def ReplayApplication(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Every decision on a case once more, compared with its entry; one case at a time."""
        registry, application_id = split_name(request.name, "applications")
        if self._replaying:
            raise Overloaded
        self._replaying = True
        gone = threading.Event()
        try:
            found = await self._queries.apart(
                lambda engine, ledger: replay_case(
                    engine, ledger, registry, application_id, wanted=lambda: not gone.is_set()
                )
            )
        except NotFolded as error:
            log.critical("ledger does not fold", extra={"registry": registry, "index": error.index})
            raise LedgerStopped(
                f"账本第 {error.index} 号记录无法重放；请联系登记机构 / "
                f"entry {error.index} of the ledger does not fold; call the authority"
            ) from error
        finally:
            gone.set()  # a thread that goes on for somebody who has left ends at its next step
            self._replaying = False
        return _pb.ReplayApplicationResponse(decisions=[_replayed(one) for one in found])

    async def StatePreNoticeTerm(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """A pre-notice has lapsed, or its 90 days run from another day (CC 221)."""
        registry = registry_in(request.parent)
        registrar = self._sequencer.settings(registry).registrars[caller_now.get().id]
        command = await asyncio.get_running_loop().run_in_executor(
            self._executor,
            term_command,
            request,
            registry,
            registrar,
            self._trust_of(registry),
            self._clock(),
        )
        return _pb.StatePreNoticeTermResponse(outcome=encode.outcome(await self._sequencer.ask(command)))

    async def _act(self, request: Any, verb: Verb) -> Any:
        registry, _, application_id = request.name.partition("/applications/")
        registry = registry.removeprefix("registries/")
        row = await self._queries.application(registry, application_id)
        if row is None:
            raise ApplicationNotFound(request.name)
        payload_type, payload = split_pae(
            await self._queries.part(registry, row.submitted_index, "evidence/payload")
        )
        del payload_type  # a submission's entry holds nothing else
        loop = asyncio.get_running_loop()
        registrar = self._sequencer.settings(registry).registrars[caller_now.get().id]
        command = await loop.run_in_executor(
            self._executor, self._command, request, verb, registry, registrar, row, payload
        )
        answer = await self._sequencer.ask(command)
        return encode.outcome(answer)

    def _command(
        self, request: Any, verb: Verb, registry: str, registrar: Registrar, row: Application, payload: bytes
    ) -> Command:
        """Verify the registrar's signature and read the act."""
        trust = self._trust_of(registry)
        received_at = self._clock()
        envelope = envelope_of(request.envelope)
        verified = verify(envelope, REVIEW_TYPE, Purpose.REGISTRAR, trust, received_at)
        check_registrar(registrar, verified, received_at)
        act = _read_act(request, verb, verified)
        manifest = decode_manifest(payload, row.kind)
        found: list[tuple[Paper, ...]] = []

        def decide(working: Working, moment: Moment) -> Decision:
            now_row = working.application(act.application_id)
            if now_row is None:
                raise ApplicationNotFound(request.name)
            papers = papers_of(working, manifest, trust, moment.now, act.application_id, now_row.brought)
            found.append(papers)
            world = world_of(working, manifest, moment.now, now_row.institutions)
            units_index = max((working.unit_index(code) for code in now_row.units), default=-1)
            return decide_review(
                world, registrar, now_row, manifest, papers, act, moment, units_index=units_index
            )

        wants = wants_of_case(manifest, row, received_at)
        wants.requests = {(registrar.registrar_id, act.request_id)}
        return Command(
            registry=registry,
            institution=registrar.registrar_id,
            request_id=act.request_id,
            payload_sha256=act.payload_sha256,
            payload=pae(verified.payload_type, verified.payload),
            evidence=lambda: _evidence(envelope, trust, received_at, found[-1]),
            wants=wants,
            decide=decide,
        )


def _replayed(one: Replayed) -> Any:
    return _pb.ReplayedDecision(
        index=one.index,
        kind=one.kind,
        result=outcome_pb2.OutcomeResult.Value(f"OUTCOME_RESULT_{one.result or 'UNSPECIFIED'}"),
        rule_version=one.rule_version,
        same=one.same,
        differences=one.differences,
        not_replayed=one.not_replayed,
    )


def _evidence(
    envelope: Envelope, trust: TrustStore, received_at: dt.datetime, papers: tuple[Paper, ...]
) -> bytes:
    return _encode(ReviewEvidence(received_at, trust.digest(), envelope.signatures, papers))


def _read_act(request: Any, verb: Verb, verified: VerifiedEnvelope) -> Act:
    """The signed act, its outer fields compared with what was signed."""
    wire = parse_review_act(verified)
    which = (wire.WhichOneof("act") or "").upper()
    if (
        which != verb.value
        or wire.target.application != request.name
        or wire.header.request_id.lower() != request.request_id.lower()
        or wire.header.registry != registry_of(request)
    ):
        raise Refusal(
            "HEADER_MISMATCH",
            "请求外层字段与所签行为不一致",
            "the outer fields differ from the signed act",
            {"fields": "name, request_id, act"},
        )
    return review_act(wire, verified)
