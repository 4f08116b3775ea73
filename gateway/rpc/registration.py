"""RegistrationService: submissions, their forms, and what became of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final

import grpc
import structlog

from gateway.applications.supplement import Supplement, decide_supplement
from gateway.applications.withdrawal import Withdrawal, decide_withdrawal
from gateway.cases.errors import ApplicationNotFound, KindNotAvailable
from gateway.cases.model import Application
from gateway.cases.terms import Terms, operation_name
from gateway.commands import Command, stopping
from gateway.config import Limits
from gateway.forms.describe import NotOnFormError
from gateway.forms.questions import questions_for
from gateway.forms.render import render_application_form, render_inquiry_record
from gateway.forms.signers import signers_of
from gateway.pb.diya.v1 import (
    acts_pb2,
    application_pb2,
    codes_pb2,
    outcome_pb2,
    registration_service_pb2,
    registration_service_pb2_grpc,
    terms_pb2,
)
from gateway.register.authority import KeyRole
from gateway.register.identifiers import normalise_unit_code, normalise_uscc
from gateway.register.model import Party
from gateway.rpc import case_view, encode, submission
from gateway.rpc.act_fields import instant_of
from gateway.rpc.acts import Acts, Filed, SignedAct
from gateway.rpc.decode import decode_evidence, decode_terms
from gateway.rpc.decode_fields import enum_names
from gateway.rpc.errors import Refusal, as_seen, refusal_of
from gateway.rpc.funds import legs_of
from gateway.rpc.guard import caller_now, registry_of
from gateway.rpc.names import malformed, split_name
from gateway.rpc.paging import page_size
from gateway.rpc.quota import DailyQuota
from gateway.rpc.reading_notices import record_read
from gateway.rpc.rights import Caller, CallerKind, acting_for, may_see
from gateway.rpc.submission import (
    Entrance,
    VerifiedSubmission,
    command_of,
    rehearsal_of,
    verify_submission,
)
from gateway.rpc.verifier import StreamOrder, Verifier
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.statements import ApplicationFilter
from gateway.storage.watch import Watch
from gateway.telemetry import metrics
from signing.trust import TrustStore

_pb = registration_service_pb2
log = structlog.get_logger(__name__)

_STREAM_ENTRANCES = {
    "mortgage": submission.MORTGAGE,
    "mortgage_release": submission.MORTGAGE_RELEASE,
    "pre_notice": submission.PRE_NOTICE,
    "encumbered_transfer": submission.ENCUMBERED_TRANSFER,
    "advance": submission.ADVANCE,
}


class RegistrationService(registration_service_pb2_grpc.RegistrationServiceServicer):
    """Servicer for banks and fund centres."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        watch: Watch,
        trust_of: Callable[[str], TrustStore],
        executor: Executor,
        verifier: Verifier,
        rehearsals: DailyQuota,
        limits: Limits,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._watch = watch
        self._trust_of = trust_of
        self._executor = executor
        self._verifier = verifier
        self._rehearsals = rehearsals
        self._acts = Acts(
            sequencer=sequencer,
            queries=queries,
            trust_of=trust_of,
            executor=executor,
            limits=limits,
            clock=clock,
        )
        self._limits = limits
        self._clock = clock

    # -- submissions ---------------------------------------------------------------------------------------------

    async def SubmitMortgage(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Mortgages of every kind but the release."""
        return _pb.SubmitMortgageResponse(outcome=await self._submit(request, submission.MORTGAGE))

    async def SubmitMortgageRelease(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The end of a mortgage."""
        return _pb.SubmitMortgageReleaseResponse(
            outcome=await self._submit(request, submission.MORTGAGE_RELEASE)
        )

    async def SubmitPreNotice(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Pre-notices: creation, conversion, release (CC 221)."""
        return _pb.SubmitPreNoticeResponse(outcome=await self._submit(request, submission.PRE_NOTICE))

    async def SubmitEncumberedTransfer(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Encumbered transfers (N29): the first phase."""
        return _pb.SubmitEncumberedTransferResponse(
            outcome=await self._submit(request, submission.ENCUMBERED_TRANSFER)
        )

    async def AdvanceCase(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The next phase of a case (handbook 2.3)."""
        return _pb.AdvanceCaseResponse(outcome=await self._submit(request, submission.ADVANCE))

    async def SubmitStream(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """Verified in parallel, sequenced and answered in stream order, at most 64 unanswered.

        Beyond that the stream is not read: flow control holds the sender.
        """
        caller = caller_now.get()
        pending: asyncio.Queue[tuple[int, asyncio.Task[outcome_pb2.Outcome]] | None] = asyncio.Queue()
        room = asyncio.Semaphore(self._limits.stream_unanswered_max)
        order = StreamOrder(self._sequencer)

        async def read() -> None:
            try:
                async for message in requests:
                    await room.acquire()
                    task = asyncio.create_task(self._submit_streamed(message, caller, order, order.turn()))
                    pending.put_nowait((message.correlation, task))
            finally:
                pending.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (following := await pending.get()) is not None:
                correlation, task = following
                response = _pb.SubmitStreamResponse(correlation=correlation)
                try:
                    response.outcome.CopyFrom(await task)
                except Exception as error:
                    refusal = as_seen(refusal_of(error), caller)
                    metrics.call_refused("RegistrationService/SubmitStream", refusal.reason)
                    response.error.CopyFrom(refusal.status())
                room.release()
                yield response
            await reader
        finally:
            reader.cancel()

    async def _submit_streamed(
        self, message: Any, caller: Caller, order: StreamOrder, turn: int
    ) -> outcome_pb2.Outcome:
        """One message of a stream: verified at once, queued in stream order."""
        which = message.WhichOneof("submission")
        if which is None:
            order.settle(turn, None)
            raise Refusal("FIELD_INVALID", "submission 必填", "submission is required")
        return await self._submit(getattr(message, which), _STREAM_ENTRANCES[which], caller, order, turn)

    async def _submit(
        self,
        request: Any,
        entrance: Entrance,
        caller: Caller | None = None,
        order: StreamOrder | None = None,
        turn: int = 0,
    ) -> outcome_pb2.Outcome:
        """Verify off the event loop, queue, wait. A caller who stops waiting does not stop the command."""
        caller = caller or caller_now.get()
        if request.validate_only:
            if order is not None:
                order.settle(turn, None)
            return await self._rehearse(request, entrance, caller)
        answer = await self._verifier.submit(partial(self._read, request, entrance, caller), order, turn)
        return encode.outcome(answer)

    def _read(self, request: Any, entrance: Entrance, caller: Caller) -> Command:
        """The verified command of a submission; runs in a verification thread."""
        registry = registry_of(request)
        trust = self._trust_of(registry)
        return command_of(self._verified(request, entrance, registry, caller, trust), trust)

    def _verified(
        self, request: Any, entrance: Entrance, registry: str, caller: Caller, trust: TrustStore
    ) -> VerifiedSubmission:
        settings = self._sequencer.settings(registry)
        return verify_submission(
            request, entrance, registry, caller, settings, trust, self._limits, self._clock
        )

    async def _rehearse(self, request: Any, entrance: Entrance, caller: Caller) -> outcome_pb2.Outcome:
        """A dry run: verified like a submission, counted, decided on a snapshot; no entry, no receipt."""
        registry = registry_of(request)
        settings, trust = self._sequencer.settings(registry), self._trust_of(registry)
        verified = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._verified, request, entrance, registry, caller, trust
        )
        per_day = settings.profile.validate_only_per_day if settings.profile else 0
        now = self._clock()
        self._rehearsals.take(registry, caller.id, per_day, now)
        rehearsed = await self._queries.snapshot(registry, rehearsal_of(verified, settings, trust, now))
        log.info(
            "rehearsal",
            registry=registry,
            caller=self._queries.subject(registry, "caller", caller.id),
            kind=entrance.kind.value,
            request_id=verified.manifest.header.request_id,
            result=rehearsed.result.value,
            withheld=rehearsed.is_withheld,
            as_of_index=rehearsed.as_of_index,
        )
        codes = [f.code for f in rehearsed.findings]
        metrics.outcome(entrance.kind.value, "rehearsal", rehearsed.result.value, codes)
        return encode.rehearsal(rehearsed)

    # -- later acts ----------------------------------------------------------------------------------------------

    async def SupplementApplication(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Papers and evidence that were awaited or asked for."""
        answer = await self._acts.take(request, acts_pb2.SupplementAct, _read_supplement, decide_supplement)
        return _pb.SupplementApplicationResponse(outcome=encode.outcome(answer))

    async def WithdrawApplication(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Withdrawal, by all who applied (IR 15)."""
        answer = await self._acts.take(request, acts_pb2.WithdrawalAct, _read_withdrawal, decide_withdrawal)
        return _pb.WithdrawApplicationResponse(outcome=encode.outcome(answer))

    # -- reading -------------------------------------------------------------------------------------------------

    async def RenderForms(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The application form and the record of questions, with the terms embedded, for persons to sign."""
        registry = registry_of(request)
        settings = self._sequencer.settings(registry)
        _check_submits(settings, self._clock())
        profile = settings.profile
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor,
            _render_forms,
            request,
            profile.authority_name if profile else registry,
            self._clock(),
            not (profile and profile.production),
        )

    async def GetApplication(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """One application, as far as the caller may see it."""
        application = await self._visible(request.name)
        settings, caller = self._sequencer.settings(application.registry), caller_now.get()
        if request.view == application_pb2.APPLICATION_VIEW_FULL:
            wire = await case_view.told_in_full(self._queries, settings, caller, application)
        else:
            [wire] = await case_view.told(
                self._queries, settings, caller, application.registry, [application]
            )
        wire.funds_legs.extend(map(encode.funds_leg, await legs_of(self._queries, application)))
        if caller.kind is CallerKind.REGISTRAR:  # whoever decides answers for the units as well
            units_index = await self._queries.units_index(application.registry, application.units)
            wire.last_index = max(wire.last_index, units_index)
        return _pb.GetApplicationResponse(application=wire)

    async def _visible(self, name: str) -> Application:
        """The application, or the same answer for unknown and for somebody else's."""
        caller = caller_now.get()
        registry, _, application_id = name.partition("/applications/")
        registry = registry.removeprefix("registries/")
        application = await self._queries.application(registry, application_id)
        if application is None:
            raise ApplicationNotFound(name)
        settings = self._sequencer.settings(registry)
        if caller.kind is CallerKind.INSTITUTION and not may_see(settings, caller.id, application):
            raise ApplicationNotFound(name)
        return application

    async def ListApplications(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The caller's applications, newest first, page by page."""
        registry, caller = registry_of(request), caller_now.get()
        rows, token = await self._queries.applications(
            registry,
            _wanted(request, registry, caller),
            page_size=page_size(
                request.page_size,
                default=self._limits.page_size_default,
                maximum=self._limits.page_size_max,
            ),
            page_token=request.page_token,
        )
        settings = self._sequencer.settings(registry)
        applications = await case_view.told(self._queries, settings, caller, registry, rows)
        return _pb.ListApplicationsResponse(applications=applications, next_page_token=token)

    async def WatchEvents(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """An institution's events after a sequence, in order, without gaps; then as they happen.

        While nothing happens a sign of life goes out, so that a watcher tells silence from a broken connection.
        """
        registry = registry_of(request)
        institution = self._watched(registry, request.institution)
        sequence = request.after_sequence
        handled = sequence
        loop, silence = asyncio.get_running_loop(), self._limits.watch_silence_seconds_max
        speak_by = loop.time() + silence
        while True:
            seen = self._watch.mark(registry)
            events, last = await self._queries.events(registry, institution, sequence)
            if sequence > last:
                raise Refusal(
                    "EVENT_SEQUENCE_INVALID",
                    f"after_sequence 大于最后一个事件 {last}",
                    f"after_sequence is beyond the last event {last}",
                    {"lastSequence": str(last)},
                )
            if handled:  # to resume after a number is to have handled up to it
                await record_read(self._sequencer, self._queries, registry, institution, handled)
                handled = 0
            for row in events:
                yield _pb.WatchEventsResponse(event=encode.event(registry, row), last_sequence=last)
                sequence = row["sequence"]
                speak_by = loop.time() + silence
            if events:
                continue
            if request.catch_up_only:
                return
            if self._watch.is_closed:  # a watcher would hold the stop up for its whole grace
                raise stopping()
            if not await self._watch.moved(registry, seen, speak_by - loop.time()):
                yield _pb.WatchEventsResponse(last_sequence=last)
                speak_by = loop.time() + silence

    def _watched(self, registry: str, institution: str) -> str:
        """Whose events: the caller's own, or those of an institution for which it is registered to file."""
        caller = caller_now.get()
        if institution and institution not in acting_for(self._sequencer.settings(registry), caller.id):
            raise malformed("institution", "不是您可以代理的机构", "is no institution that you may act for")
        return institution or caller.id

    async def GetReceipt(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The receipt of an act of the caller's, under the newest checkpoint."""
        registry, caller = registry_of(request), caller_now.get()
        which = request.WhichOneof("act")
        receipt = await self._queries.receipt(
            registry,
            caller.id,
            request_id=request.request_id.lower() if which == "request_id" else None,
            index=request.index if which == "index" else None,
            applicant=request.applicant_institution.strip().upper(),
        )
        if receipt is None:
            raise Refusal(
                "RECEIPT_NOT_FOUND",
                "没有该请求的回执，或者您无权查看",
                "there is no such receipt, or it is not yours",
            )
        return _pb.GetReceiptResponse(receipt=encode.receipt(receipt))


def _wanted(request: Any, registry: str, caller: Caller) -> ApplicationFilter:
    """The filters of a list of applications. Raises MalformedRequest."""
    wrong = Violations()
    unit_code, applicant, case_id = request.unit_code, request.applicant_institution, ""
    if unit_code:
        with wrong.at("unit_code"):
            unit_code = normalise_unit_code(unit_code)
    if applicant:
        with wrong.at("applicant_institution"):
            applicant = normalise_uscc(applicant)
    after = instant_of(request, "submitted_after", "", wrong)
    before = instant_of(request, "submitted_before", "", wrong)
    wrong.refuse_if_any()
    if request.case:
        of_registry, case_id = split_name(request.case, "applications", "case")
        if of_registry != registry:
            raise malformed("case", "不属于该登记机构", "is of another registry")
    return ApplicationFilter(
        institution=caller.id if caller.kind is CallerKind.INSTITUTION else None,
        states=tuple(
            sorted(enum_names(application_pb2.Application.State, request.states, "STATE_", "states"))
        ),
        kinds=tuple(
            sorted(enum_names(codes_pb2.ApplicationKind, request.kinds, "APPLICATION_KIND_", "kinds"))
        ),
        unit_code=unit_code,
        applicant_institution=applicant,
        case_id=case_id,
        case_number=request.case_number,
        submitted_after=after,
        submitted_before=before,
    )


def _read_supplement(signed: SignedAct, filed: Filed) -> Supplement:
    if len(signed.wire.answers_digest) not in (0, 32):
        raise malformed("answers_digest", "必须是 32 字节", "must be 32 bytes")
    return Supplement(
        **signed.common,
        evidence=decode_evidence(signed.wire.evidence, filed.terms),
        answers_sha256=signed.wire.answers_digest.hex(),
    )


def _read_withdrawal(signed: SignedAct, filed: Filed) -> Withdrawal:
    if not signed.wire.parties:
        raise malformed("parties", "必填", "is required")
    return Withdrawal(**signed.common, parties=filed.named(signed.wire.parties, "parties"))


#: How each act is read and decided; a replay takes them from here.
REGISTRATION_ACTS: Final[dict[type[Any], tuple[Any, Any]]] = {
    acts_pb2.SupplementAct: (_read_supplement, decide_supplement),
    acts_pb2.WithdrawalAct: (_read_withdrawal, decide_withdrawal),
}


def _render_forms(request: Any, authority: str, now: dt.datetime, test: bool) -> Any:
    """The application form for all who sign it, and a record of questions for each of them.

    Who signs: natural persons and companies that dispose; `parties` of the request narrows it to some.
    """
    terms = decode_terms(request.terms)
    signers = signers_of(terms)
    wanted = {p.id: p.person.identity.number for p in terms_pb2.Terms.FromString(request.terms).parties}
    if request.parties:
        numbers = {wanted.get(party, "") for party in request.parties}
        signers = tuple(s for s in signers if s.id_number in numbers)
    ids = {number: party for party, number in wanted.items()}
    _check_answers(request, terms, signers)
    try:
        application = render_application_form(
            terms, request.terms, signers=signers, registry_name=authority, created_at=now, test=test
        )
    except NotOnFormError as error:
        raise KindNotAvailable(", ".join(operation_name(op) for op in terms.operations)) from error
    forms = [
        _form("APPLICATION", "不动产登记申请书", application, [ids.get(s.id_number, "") for s in signers])
    ]
    for signer in signers:
        party = ids.get(signer.id_number, "")
        answers = {a.question: a.answer for a in request.answers if a.party in ("", party)}
        record = render_inquiry_record(
            terms,
            request.terms,
            respondent=signer,
            answers=answers,
            registry_name=authority,
            created_at=now,
            test=test,
        )
        forms.append(_form("INQUIRY_RECORD", f"询问记录-{signer.name}", record, [party]))
    return _pb.RenderFormsResponse(forms=forms, terms_sha256=hashlib.sha256(request.terms).digest())


def _check_submits(settings: Settings, at: dt.datetime) -> None:
    """Forms are for those who submit: the caller has a registered key of that role, usable now."""
    uscc = caller_now.get().id
    known = settings.institutions.get(uscc)
    keys = known.keys if known else ()
    if not any(KeyRole.SUBMIT in key.roles and key.is_usable(at) for key in keys):
        raise Refusal(
            "PERMISSION_DENIED",
            "本机构没有登记可用于提交申请（SUBMIT）的密钥，不能生成表单；请本机构请登记机构登记"
            f"（运维人员：diya institution add-key {uscc} 证书.pem --role SUBMIT）",
            "this institution has no registered key of the role SUBMIT, and forms are for submissions; it asks the "
            f"authority to register one (an operator runs diya institution add-key {uscc} CERTIFICATE.pem "
            "--role SUBMIT)",
            {"role": "SUBMIT"},
        )


def _check_answers(request: Any, terms: Terms, signers: Sequence[Party]) -> None:
    """Every answer is to a question that is put to somebody who signs. Raises MalformedRequest."""
    wrong = Violations()
    asked = {question.code for signer in signers for question in questions_for(terms, signer)}
    for number, answer in enumerate(request.answers):
        if answer.question not in asked:
            wrong.add(
                f"answers[{number}].question",
                f"本次申请没有问题 {answer.question}；问题代码：{'、'.join(sorted(asked))}",
                f"no question {answer.question} in this case; codes: {', '.join(sorted(asked))}",
            )
    wrong.refuse_if_any()


def _form(code: str, title: str, pdf: bytes, parties: list[str]) -> Any:
    return _pb.RenderedForm(
        paper_code=code,
        pdf=pdf,
        sha256=hashlib.sha256(pdf).digest(),
        file_name=f"{title}.pdf",
        parties=parties,
    )
