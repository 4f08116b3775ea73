"""RegisterService: what the register says of a unit, for those who have a basis to know. Every look is logged.

The owner's authorisation (`authorisation_sha256`) is a PDF that the caller uploaded, signed by an owner of record,
which embeds a file `authorisation.txt` of exactly these lines, each ended by 0x0A, so that a machine can tell for
which unit and for whom it was given:

    diya-authorisation/v1
    {registry}
    {unit code, 28 characters}
    {USCC of the institution that may look}
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc
import msgspec
import structlog

from gateway.cases.model import QUEUED, Application, OpenCase, State
from gateway.kinds.suggesting import Asked, suggest_modes
from gateway.pb.diya.v1 import register_service_pb2, register_service_pb2_grpc
from gateway.register.authority import Institution
from gateway.register.identifiers import normalise_unit_code, normalise_uscc, same_certificate_number
from gateway.register.model import AnyRight, IdKind, Mortgage, Party, PreNotice, UnitState
from gateway.rpc import encode
from gateway.rpc.encode_register import add_counter, add_notices, unit_state
from gateway.rpc.encode_suggestions import suggestion
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now
from gateway.rpc.names import malformed, split_name
from gateway.rpc.rights import Caller, CallerKind
from gateway.rpc.violations import Violations
from gateway.storage.queries import Queries, UnitView
from gateway.storage.settings import Settings
from gateway.world import stands
from signing.trust import TrustStore
from signing.verdict import PdfVerdict

_pb = register_service_pb2
log = structlog.get_logger(__name__)

AUTHORISATION_ATTACHMENT: Final = "authorisation.txt"
_DIGEST_BYTES: Final = 32

#: Lenders of one suggestion: an operation of a phase each, and a manifest holds eight.
LENDERS_MAX: Final = 8

#: An application in one of these is open: its applicants prepare or await a booking on the unit.
OPEN: Final = QUEUED | {State.AWAITING_PARTIES}

_decode_verdict = msgspec.json.Decoder(PdfVerdict).decode


class SettingsOf(Protocol):
    """What gives a registry's settings: `Sequencer`."""

    def settings(self, registry: str) -> Settings:
        """Settings as of the last commit."""
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
    ) -> None:
        """`trust_of` is needed for the basis of an owner's authorisation, which is refused without it."""
        self._sequencer = sequencer
        self._queries = queries
        self._clock = clock
        self._trust_of = trust_of

    async def GetUnit(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """A unit with everything that lies on it, as far as the caller's basis reaches."""
        registry, view = await self._look(request, "unit read")
        caller = caller_now.get()
        encoded = self._encoded(registry, view, caller)
        if caller.kind is CallerKind.REGISTRAR:
            add_notices(encoded, await self._queries.notices(registry, view.state.unit.unit_code))
        return _pb.GetUnitResponse(
            unit_state=encoded,
            as_of_index=view.as_of_index,
            as_of=encode.timestamp(view.as_of),
        )

    async def SuggestModes(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Which modes fit a unit and its lenders, and why the others do not (N29; handbook 2)."""
        lenders = _lenders(request)
        registry, view = await self._look(request, "modes suggested")
        settings = self._sequencer.settings(registry)
        if settings.profile is None:
            raise _not_found()
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
        # No unit code in a log line (ARCHITECTURE): the ledger's index says of which state of the register.
        index = view.as_of_index if view is not None else None
        log.info(what, registry=registry, caller=caller.id, basis=basis, granted=reaches, as_of_index=index)
        if view is None or not reaches:
            raise _not_found()
        return registry, view

    async def _has_basis(self, registry: str, view: UnitView, request: Any, caller: Caller) -> bool:
        """Whether the caller's basis holds for this unit."""
        if caller.kind is CallerKind.REGISTRAR:
            return True
        institution = self._sequencer.settings(registry).institutions.get(caller.id)
        which = request.WhichOneof("basis")
        if institution is None:
            return False
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
        institution = self._sequencer.settings(registry).institutions.get(caller.id)
        registrar = caller.kind is CallerKind.REGISTRAR

        def whole(right: AnyRight) -> bool:
            return registrar or (institution is not None and _holds(institution, right))

        def own_case(case: Application) -> bool:
            return registrar or caller.id in case.institutions

        encoded = unit_state(registry, view.state, view.open_cases, whole, own_case, self._clock())
        add_counter(
            encoded,
            view.counter_cases,
            self._sequencer.settings(registry).feed.as_of,
            numbers=registrar,
        )
        return encoded


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


def _not_found() -> Refusal:
    return Refusal(
        "UNIT_NOT_FOUND",
        "没有该不动产单元，或者缺少查询依据；查询依据为下列之一：本机构在该单元上的抵押权或者预告登记的证明号、"
        "本机构在该单元上的在办申请、权利人签名的授权书",
        "no such unit, or no basis to read it; a basis is one of: the number of the proof of your own live mortgage "
        "or pre-notice on it, your own open application on it, the owner's signed authorisation",
    )
