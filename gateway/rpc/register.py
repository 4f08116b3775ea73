"""RegisterService: what the register says of a unit, for those who have a basis to know.

Every look is logged, and one that found something is an entry of the ledger (looks.py).

The owner's authorisation (`authorisation_sha256`) is a PDF that the caller uploaded, signed by an owner of record,
which embeds a file `authorisation.txt` of exactly these lines, each ended by 0x0A, so that a machine can tell for
which unit and for whom it was given:

    diya-authorisation/v1
    {registry}
    {unit code, 28 characters}
    {USCC of the institution that may look}
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc
import msgspec
import structlog
from msgspec.structs import replace

from gateway.cases.model import OPEN, Application, OpenCase
from gateway.certificates.extract import COUNTER_CASE, EXTRACT_PART, CaseShown, Reader, decode_extract
from gateway.commands import Answer, Command
from gateway.kinds.suggesting import Asked, suggest_modes
from gateway.pb.diya.v1 import codes_pb2, register_service_pb2, register_service_pb2_grpc
from gateway.register.authority import Institution, InstitutionKind
from gateway.register.holding import person_key
from gateway.register.identifiers import (
    canonical_party,
    normalise_unit_code,
    normalise_uscc,
    same_certificate_number,
)
from gateway.register.model import (
    AnyRight,
    IdKind,
    Mortgage,
    Party,
    PreNotice,
    UnitState,
    certificate_numbers,
)
from gateway.rpc import encode
from gateway.rpc.decode_fields import enum_name
from gateway.rpc.encode_register import add_counter, add_notices, add_terms, unit_state
from gateway.rpc.encode_suggestions import suggestion
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now
from gateway.rpc.looks import Look, Sight, extract_command, look_command, purpose_of, search_command
from gateway.rpc.names import malformed, registry_in, split_name
from gateway.rpc.rights import Caller, CallerKind
from gateway.rpc.sealed_answers import SealedAnswers
from gateway.rpc.violations import Violations
from gateway.storage.queries import NotYetPublishedError, Queries, UnitView
from gateway.storage.settings import Settings
from gateway.worlds.world import stands
from signing.trust import TrustStore
from signing.verdict import FileVerdict

_pb = register_service_pb2
log = structlog.get_logger(__name__)

AUTHORISATION_ATTACHMENT: Final = "authorisation.txt"
_DIGEST_BYTES: Final = 32
INSTRUMENT_CHARACTERS_MAX: Final = 100

#: Lenders of one suggestion: an operation of a phase each, and a manifest holds eight.
LENDERS_MAX: Final = 8

_decode_verdict = msgspec.json.Decoder(FileVerdict).decode


class SettingsOf(Protocol):
    """What gives a registry's settings and records looks: `Sequencer`."""

    def settings(self, registry: str) -> Settings:
        """Settings as of the last commit."""
        ...

    def ask(self, command: Command) -> asyncio.Future[Answer]:
        """Queue a command and wait for its answer."""
        ...


def authorisation_text(registry: str, unit_code: str, uscc: str) -> bytes:
    """The exact bytes that an owner's authorisation embeds as `authorisation.txt`."""
    return f"diya-authorisation/v1\n{registry}\n{unit_code}\n{uscc}\n".encode()


class RegisterService(register_service_pb2_grpc.RegisterServiceServicer):
    """Servicer for registrars, and for institutions with a basis."""

    def __init__(
        self,
        *,
        sequencer: SettingsOf,
        queries: Queries,
        clock: Callable[[], dt.datetime],
        trust_of: Callable[[str], TrustStore] | None = None,
        answers: SealedAnswers | None = None,
    ) -> None:
        """`trust_of` is needed for the basis of an owner's authorisation, which is refused without it; `answers` for
        extracts.
        """
        self._sequencer = sequencer
        self._queries = queries
        self._clock = clock
        self._trust_of = trust_of
        self._answers = answers

    async def GetUnit(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """A unit with everything that lies on it, as far as the caller's basis reaches."""
        purpose = purpose_of(request, needed=request.WhichOneof("basis") == "instrument")
        registry, view = await self._look(request, "unit read")
        caller = caller_now.get()
        look = self._as_look(registry, view.state.unit.unit_code, request, purpose)
        recorded = await self._sequencer.ask(look_command(look))
        encoded = self._encoded(registry, view, caller)
        if caller.kind is CallerKind.REGISTRAR:
            add_notices(encoded, await self._queries.notices(registry, view.state.unit.unit_code))
        return _pb.GetUnitResponse(
            unit_state=encoded,
            as_of_index=view.as_of_index,
            as_of=encode.timestamp(view.as_of),
            recorded_index=recorded.receipt.index,
        )

    async def SuggestModes(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Which modes fit a unit and its lenders, and why the others do not (N29; handbook 2)."""
        lenders = _lenders(request)
        registry, view = await self._look(request, "modes suggested")
        settings = self._sequencer.settings(registry)
        if settings.profile is None:
            raise _not_found()
        await self._sequencer.ask(
            look_command(self._as_look(registry, view.state.unit.unit_code, request, ""))
        )
        asked = Asked(
            registry=registry,
            state=view.state,
            lenders=tuple(_lender(uscc, settings) for uscc in lenders),
            profile=settings.profile,
            institutions=settings.institutions,
            open_cases=tuple(
                OpenCase(
                    application_id=case.application_id,
                    accepted_index=case.accepted_index or 0,
                    rights=case.rights,
                )
                for case in view.open_cases
            ),
            now=max(self._clock(), view.as_of),
        )
        return _pb.SuggestModesResponse(
            suggestions=[suggestion(one) for one in suggest_modes(asked)],
            as_of_index=view.as_of_index,
            as_of=encode.timestamp(view.as_of),
        )

    async def _look(self, request: Any, what: str) -> tuple[str, UnitView]:
        """The unit that a request names, for a caller whose basis holds. Every look is logged. Raises Refusal."""
        caller = caller_now.get()
        registry, text = split_name(request.name, "units")
        wrong = Violations()
        unit_code = ""
        with wrong.at("name", "UNIT_CODE_MALFORMED"):
            unit_code = normalise_unit_code(text)
        wrong.refuse_if_any()
        _check_form(request, caller)
        view = await self._queries.unit(registry, unit_code)
        basis = request.WhichOneof("basis") or "registrar"
        reaches = view is not None and await self._has_basis(registry, view, request, caller)
        # No unit code and no institution in a log line (ARCHITECTURE): the ledger's index says of which state of the
        # register, a keyed hash which looks were one caller's.
        index = view.as_of_index if view is not None else None
        who = self._queries.subject(registry, "caller", caller.id)
        log.info(what, registry=registry, caller=who, basis=basis, granted=reaches, as_of_index=index)
        if view is None or not reaches:
            raise _not_found()
        return registry, view

    async def GetExtract(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """A sealed extract of one unit: what the counter would print, as far as the caller's basis reaches."""
        caller = caller_now.get()
        purpose = purpose_of(request, needed=True)
        registry, view = await self._look(request, "extract asked")
        profile = self._sequencer.settings(registry).profile
        if profile is None:
            raise _not_found()
        if self._answers is None or not self._answers.can_seal:
            raise _cannot_seal()
        look = self._as_look(registry, view.state.unit.unit_code, request, purpose)
        sight = replace(
            self._sight(registry, caller),
            counter_cases=tuple(
                CaseShown(
                    operations=(COUNTER_CASE,),
                    accepted_at=case.accepted_at,
                    case_number=case.case_number if caller.kind is CallerKind.REGISTRAR else "",
                )
                for case in view.counter_cases
            ),
        )
        answer = await self._sequencer.ask(extract_command(look, profile, sight))
        index = answer.receipt.index
        try:
            proof = await self._queries.certificate_proof(registry, index, EXTRACT_PART)
            data = await self._queries.part(registry, index, EXTRACT_PART)
        except NotYetPublishedError as error:
            log.exception("extract not sealed", registry=registry, entry=index)
            raise _cannot_seal() from error
        content = decode_extract(data)
        made = await self._answers.extract(content, data, proof)
        return _pb.GetExtractResponse(
            pdf=made.data,
            sha256=hashlib.sha256(made.data).digest(),
            time_stamped=made.stamped is True,
            number=content.number,
            as_of_index=content.as_of_index,
            as_of=encode.timestamp(content.asked_at),
            recorded_index=index,
        )

    async def SearchUnits(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """What a person holds, for a registrar or a court: recorded first, whatever it finds."""
        caller = caller_now.get()
        registry = registry_in(request.parent)
        key = _person_key(request)
        purpose = purpose_of(request, needed=True)
        self._check_search(registry, request, caller)
        person = self._queries.subject(registry, "person", key)
        look = Look(
            registry=registry,
            reader=self._reader(
                registry,
                "instrument" if caller.kind is not CallerKind.REGISTRAR else "",
                purpose,
                request.instrument.strip(),
            ),
            ground=request.instrument,
            unit_code="",
            subject=person,
            person=key,
        )
        recorded = await self._sequencer.ask(search_command(look))
        view = await self._queries.rights_of(registry, person)
        who = self._queries.subject(registry, "caller", caller.id)
        log.info("person searched", registry=registry, caller=who, found=len(view.held))
        return _pb.SearchUnitsResponse(
            rights=[
                _pb.FoundRight(
                    unit_code=state.unit.unit_code,
                    location=state.unit.location,
                    role=held.role,
                    right_id=held.right.right_id,
                    certificate_number="".join(sorted(certificate_numbers([held.right]))),
                    seized=bool(state.seizures),
                )
                for held in view.held
                for state in held.states
            ],
            as_of_index=view.as_of_index,
            as_of=encode.timestamp(view.as_of),
            recorded_index=recorded.receipt.index,
        )

    def _check_search(self, registry: str, request: Any, caller: Caller) -> None:
        """A registrar may search; a court with its instrument; nobody else (IR 27)."""
        if caller.kind is CallerKind.REGISTRAR:
            return
        institution = self._sequencer.settings(registry).institutions.get(caller.id)
        if institution is None or institution.kind is not InstitutionKind.COURT:
            raise Refusal(
                "PERMISSION_DENIED",
                "按人查询限于登记人员和人民法院等有权机关（IR 27）；请由其查询，或者按单元查询本机构有权查询的单元",
                "a search by person is for registrars, courts and other authorities that the law names (IR 27): have "
                "one of them ask, or read a unit that this institution may read by its code",
            )
        _check_instrument(request)

    def _as_look(self, registry: str, unit_code: str, request: Any, purpose: str) -> Look:
        """A look that was granted, as it is recorded."""
        basis = request.WhichOneof("basis")
        ground = getattr(request, basis) if basis else ""
        return Look(
            registry=registry,
            reader=self._reader(registry, basis or "", purpose, getattr(request, "instrument", "").strip()),
            ground=ground.hex() if isinstance(ground, bytes) else ground,
            unit_code=unit_code,
            subject=self._queries.subject(registry, "unit", unit_code),
        )

    def _reader(self, registry: str, basis: str, purpose: str, instrument: str = "") -> Reader:
        """Who looks, by its present name."""
        caller = caller_now.get()
        settings = self._sequencer.settings(registry)
        if caller.kind is CallerKind.REGISTRAR:
            registrar = settings.registrars.get(caller.id)
            name = registrar.name if registrar is not None else caller.id
        else:
            institution = settings.institutions.get(caller.id)
            name = institution.names[0] if institution is not None else caller.id
        return Reader(
            kind=caller.kind.value,
            identifier=caller.id,
            name=name,
            basis=basis or "registrar",
            purpose=purpose,
            instrument=instrument,
        )

    async def _has_basis(self, registry: str, view: UnitView, request: Any, caller: Caller) -> bool:
        """Whether the caller's basis holds for this unit."""
        if caller.kind is CallerKind.REGISTRAR:
            return True
        institution = self._sequencer.settings(registry).institutions.get(caller.id)
        which = request.WhichOneof("basis")
        if institution is None:
            return False
        if which == "instrument":  # IR 27: a court, for what it has to do
            return institution.kind is InstitutionKind.COURT
        if which == "own_right":
            return any(
                isinstance(right, Mortgage | PreNotice)
                and _holds(institution, right)
                and same_certificate_number(right.proof.number, request.own_right)
                for right in view.state.rights
            )
        if which == "application":
            return await self._is_open_case(registry, view.state.unit.unit_code, request.application, caller)
        return await self._is_authorised(registry, view.state, request.authorisation_sha256.hex(), caller)

    async def _is_open_case(self, registry: str, unit_code: str, name: str, caller: Caller) -> bool:
        of_registry, application_id = split_name(name, "applications", "application")
        case = await self._queries.application(registry, application_id)
        return (
            of_registry == registry
            and case is not None
            and caller.id in case.institutions
            and unit_code in case.units
            and case.state in OPEN
        )

    async def _is_authorised(self, registry: str, state: UnitState, sha256: str, caller: Caller) -> bool:
        """Whether an owner of record signed an authorisation for this unit and this caller."""
        row = await self._queries.file(registry, caller.id, sha256)
        if row is None or self._trust_of is None or state.ownership is None:
            return False
        verdict = _decode_verdict(row["verdict"])
        bound = hashlib.sha256(authorisation_text(registry, state.unit.unit_code, caller.id)).hexdigest()
        if not verdict.ok or verdict.attachments.get(AUTHORISATION_ATTACHMENT) != bound:
            return False
        trust, now = self._trust_of(registry), self._clock()
        owners = {owner.person.id_number for owner in state.ownership.owners}
        return any(
            signature.identity.number in owners and stands(signature, trust, now)
            for signature in verdict.signatures
        )

    def _encoded(self, registry: str, view: UnitView, caller: Caller) -> Any:
        sight = self._sight(registry, caller)
        settings = self._sequencer.settings(registry)
        encoded = unit_state(
            registry, view.state, view.open_cases, sight.whole, sight.own_case, self._clock()
        )
        numbers = caller.kind is CallerKind.REGISTRAR
        add_counter(encoded, view.counter_cases, settings.feed.as_of, numbers=numbers)
        add_terms(encoded, view.state, settings.calendar_in_force)
        return encoded

    def _sight(self, registry: str, caller: Caller) -> Sight:
        """What the caller sees whole: a registrar everything, an institution what is its own."""
        institution = self._sequencer.settings(registry).institutions.get(caller.id)
        registrar = caller.kind is CallerKind.REGISTRAR

        def whole(right: AnyRight) -> bool:
            return registrar or (institution is not None and _holds(institution, right))

        def own_case(case: Application) -> bool:
            return registrar or caller.id in case.institutions

        return Sight(whole=whole, own_case=own_case)


def _lenders(request: Any) -> tuple[str, ...]:
    """The codes of the lenders, canonical. Raises MalformedRequest."""
    wrong = Violations()
    codes = []
    if len(request.lenders) > LENDERS_MAX:
        wrong.add("lenders", f"最多 {LENDERS_MAX} 项", f"may have at most {LENDERS_MAX} items")
    for number, uscc in enumerate(request.lenders[:LENDERS_MAX]):
        with wrong.at(f"lenders[{number}]", "USCC_MALFORMED"):
            codes.append(normalise_uscc(uscc))
    wrong.refuse_if_any()
    return tuple(dict.fromkeys(codes))


def _lender(uscc: str, settings: Settings) -> Party:
    """A lender by its present name; one that the registry does not know by its code."""
    known = next((i for i in settings.institutions.values() if i.is_known_as(uscc)), None)
    name = known.names[0] if known is not None else uscc
    return Party(name=name, id_kind=IdKind.USCC, id_number=uscc)


def _check_form(request: Any, caller: Caller) -> None:
    """A registrar names no basis, an institution one."""
    which = request.WhichOneof("basis")
    if caller.kind is CallerKind.REGISTRAR:
        if which:
            raise malformed(which, "登记人员查询不填查询依据", "a registrar names no basis")
        return
    if which is None:
        raise _not_found()
    if which == "authorisation_sha256" and len(request.authorisation_sha256) != _DIGEST_BYTES:
        raise malformed(which, "必须是 32 字节", "must be 32 bytes")
    if which == "instrument":
        _check_instrument(request)


def _check_instrument(request: Any) -> None:
    """The paper by which a court asks, by its number. Raises MalformedRequest."""
    if not 0 < len(request.instrument.strip()) <= INSTRUMENT_CHARACTERS_MAX:
        raise malformed(
            "instrument",
            f"须写明协助查询文书号，1 至 {INSTRUMENT_CHARACTERS_MAX} 字",
            f"the number of the instrument has 1 to {INSTRUMENT_CHARACTERS_MAX} characters",
        )


def _person_key(request: Any) -> str:
    """Who is searched for. Raises MalformedRequest."""
    wrong = Violations()
    kind = enum_name(codes_pb2.IdKind, request.identity.kind, "ID_KIND_")
    if not kind:
        wrong.add("identity.kind", "须写明证件种类", "the kind of document is needed")
    wrong.refuse_if_any()
    key = ""
    with wrong.at("identity.number"):
        key = person_key(
            canonical_party(Party(name="", id_kind=IdKind(kind), id_number=request.identity.number))
        )
    wrong.refuse_if_any()
    return key


def _holds(institution: Institution, right: AnyRight) -> bool:
    """Whether the institution is of record as the holder of the right, under a present or a former code."""
    match right:
        case Mortgage():
            holders = right.mortgagees
        case PreNotice():
            holders = right.holders
        case _:
            return False
    return any(holder.is_institution and institution.is_known_as(holder.id_number) for holder in holders)


def _cannot_seal() -> Refusal:
    return Refusal(
        "SHUTTING_DOWN",
        "现在不能加盖电子印章；请稍后重试",
        "nothing can be sealed now; try again later",
    )


def _not_found() -> Refusal:
    return Refusal(
        "UNIT_NOT_FOUND",
        "没有该不动产单元，或者缺少查询依据；查询依据为下列之一：本机构在该单元上的抵押权或者预告登记的证明号、"
        "本机构在该单元上的在办申请、权利人签名的授权书；人民法院为协助查询文书",
        "no such unit, or no basis to read it; a basis is one of: the number of the proof of your own live mortgage "
        "or pre-notice on it, your own open application on it, the owner's signed authorisation; "
        "of a court, its instrument",
    )
