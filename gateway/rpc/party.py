"""PartyService: what co-applicants and consenting institutions do on cases that somebody else filed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any, Final

import grpc

from gateway.applications.party import (
    Consent,
    Decline,
    Join,
    Revoke,
    decide_consent,
    decide_decline,
    decide_join,
    decide_revoke,
)
from gateway.cases.model import Application, ConsentKind, State
from gateway.config import Limits
from gateway.kinds.gating import silent_on_payoff
from gateway.pb.diya.v1 import (
    acts_pb2,
    common_pb2,
    finding_pb2,
    party_service_pb2,
    party_service_pb2_grpc,
)
from gateway.rpc import case_view, encode
from gateway.rpc.acts import Acts, Filed, SignedAct, filed_of
from gateway.rpc.decode import decode_evidence
from gateway.rpc.guard import caller_now
from gateway.rpc.names import check_registry, enum_names, malformed, registry_in
from gateway.rpc.paging import page_size
from gateway.rpc.rights import acting_for, may_see
from gateway.rpc.submission import MANIFEST_TYPE
from gateway.sequencer import Sequencer
from gateway.storage.paging import make_token, read_token
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.working import instant
from signing.trust import TrustStore

_pb = party_service_pb2

_PAGE_DEFAULT: Final = 50
_PAGE_MAX: Final = 200

#: States in which an institution's act may be awaited.
_PENDING: Final = (State.AWAITING_PARTIES, State.AWAITING_PAYOFF)

_CONSENT_KINDS: Final = {
    number: ConsentKind(name.removeprefix("CONSENT_KIND_"))
    for name, number in acts_pb2.ConsentKind.items()
    if number
}

#: Kinds of consent that state an amount, and a day.
_WITH_AMOUNT: Final = frozenset(ConsentKind) - {ConsentKind.TO_TERMS, ConsentKind.PAYOFF_UNDERTAKING_ACCEPTED}
_WITH_DAY: Final = frozenset(
    {
        ConsentKind.PAYOFF_CONFIRMED,
        ConsentKind.PAID_OUT,
        ConsentKind.FUNDS_HELD,
        ConsentKind.FUNDS_RELEASED,
    }
)


class PartyService(party_service_pb2_grpc.PartyServiceServicer):
    """Servicer for institutions that are parties of others' cases."""

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
        self._acts = Acts(
            sequencer=sequencer,
            queries=queries,
            trust_of=trust_of,
            executor=executor,
            limits=limits,
            clock=clock,
        )

    # -- what waits ----------------------------------------------------------------------------------------------

    async def ListPending(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Cases that await an act of the caller, the one that expires first at the top."""
        registry = registry_in(request.parent)
        settings = self._sequencer.settings(registry)
        check_registry(registry, settings)
        own = acting_for(settings, caller_now.get().id)
        if request.institution:
            if request.institution not in own:
                raise malformed(
                    "institution", "不是您可以代理的机构", "is no institution that you may act for"
                )
            own = (request.institution,)
        role = request.role
        if role:
            enum_names(finding_pb2.PartyRole, [role], "PARTY_ROLE_", "role")
        query = ("pending", registry, own, role)
        position = read_token(request.page_token, query, (str, str))
        rows = await self._queries.applications_in(registry, [s.value for s in _PENDING])
        waiting = sorted((row for row in rows if may_see(settings, caller_now.get().id, row)), key=_order)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAX)
        cases: list[Any] = []
        last: Application | None = None
        for row in waiting:
            if position is not None and _order(row) <= position:
                continue
            if row.state is State.AWAITING_PARTIES and not _codes(settings, own) & set(row.awaiting):
                continue
            filed = await filed_of(self._queries, row)
            awaited = [a for a in _awaited(filed, settings, own) if role in (0, a.role)]
            if not awaited:
                continue
            if len(cases) == size:
                assert last is not None
                return _pb.ListPendingResponse(
                    pending_cases=cases, next_page_token=make_token(query, _order(last))
                )
            [told] = await case_view.told(self._queries, settings, caller_now.get(), registry, [row])
            cases.append(
                _pb.PendingCase(
                    application=told,
                    awaited=awaited,
                    manifest=filed.payload,
                    manifest_payload_type=MANIFEST_TYPE,
                )
            )
            last = row
        return _pb.ListPendingResponse(pending_cases=cases)

    # -- acts ----------------------------------------------------------------------------------------------------

    async def Join(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Apply together, on the same terms."""
        answer = await self._acts.take(request, acts_pb2.JoinAct, _read_join, decide_join)
        return _pb.JoinResponse(outcome=encode.outcome(answer))

    async def Consent(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Consent, or state a payoff, an undertaking or a payout."""
        answer = await self._acts.take(request, acts_pb2.ConsentAct, _read_consent, decide_consent)
        return _pb.ConsentResponse(outcome=encode.outcome(answer))

    async def Decline(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Decline to join or to consent: a person looks into it."""
        answer = await self._acts.take(request, acts_pb2.DeclineAct, _read_decline, decide_decline)
        return _pb.DeclineResponse(outcome=encode.outcome(answer))

    async def Revoke(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Take a consent back."""
        answer = await self._acts.take(request, acts_pb2.RevokeAct, _read_revoke, decide_revoke)
        return _pb.RevokeResponse(outcome=encode.outcome(answer))


# -- reading acts --------------------------------------------------------------------------------------------------


def _read_join(signed: SignedAct, filed: Filed) -> Join:
    wire = signed.wire
    if not wire.parties:
        raise malformed("parties", "必填", "is required")
    return Join(
        **signed.common,
        parties=filed.named(wire.parties, "parties"),
        operations=filed.steps(wire.operations),
        evidence=decode_evidence(wire.evidence, filed.terms),
    )


def _read_consent(signed: SignedAct, filed: Filed) -> Consent:
    wire = signed.wire
    kind = _CONSENT_KINDS.get(wire.kind)
    if kind is None:
        raise malformed("kind", "没有说明同意事项", "does not say what is consented to")
    if kind in _WITH_AMOUNT and wire.amount.amount_fen <= 0:
        raise malformed("amount", "该事项须写明金额（分）", "is required for this kind, in fen")
    if kind in _WITH_DAY and not wire.HasField("happened_on"):
        raise malformed("happened_on", "该事项须写明日期", "is required for this kind")
    return Consent(
        **signed.common,
        kind=kind,
        parties=filed.named(wire.parties, "parties"),
        operations=filed.steps(wire.operations),
        amount_fen=wire.amount.amount_fen,
        currency=wire.amount.currency or "CNY",
    )


def _read_decline(signed: SignedAct, filed: Filed) -> Decline:
    if not signed.wire.reason.strip():
        raise malformed("reason", "必填", "is required")
    return Decline(**signed.common, parties=filed.named(signed.wire.parties, "parties"))


def _read_revoke(signed: SignedAct, filed: Filed) -> Revoke:
    if len(signed.wire.consent_digest) != 32:
        raise malformed("consent_digest", "必须是 32 字节", "must be 32 bytes")
    if not signed.wire.reason.strip():
        raise malformed("reason", "必填", "is required")
    return Revoke(**signed.common, consent_sha256=signed.wire.consent_digest.hex())


#: How each act is read and decided; a replay takes them from here.
PARTY_ACTS: Final[dict[type[Any], tuple[Any, Any]]] = {
    acts_pb2.JoinAct: (_read_join, decide_join),
    acts_pb2.ConsentAct: (_read_consent, decide_consent),
    acts_pb2.DeclineAct: (_read_decline, decide_decline),
    acts_pb2.RevokeAct: (_read_revoke, decide_revoke),
}


# -- what is awaited -----------------------------------------------------------------------------------------------


def _order(row: Application) -> tuple[str, str]:
    """The one that expires first at the top."""
    return (instant(row.due_at) if row.due_at is not None else "~", row.application_id)


def _codes(settings: Settings, own: Iterable[str]) -> set[str]:
    """Present and former codes of these institutions."""
    return {
        code
        for uscc in own
        if (known := settings.institutions.get(uscc)) is not None
        for code in (known.uscc, *known.uscc_aliases)
    }


def _awaited(filed: Filed, settings: Settings, own: Iterable[str]) -> list[finding_pb2.PartyReference]:
    """What is awaited from these institutions: to join, to consent, or to confirm a payoff."""
    row, terms = filed.row, filed.manifest.terms
    codes = _codes(settings, own)
    consenters = {terms.acting_for(p) or p.id_number for op in terms.operations for p in op.consenters}
    if row.state is State.AWAITING_PARTIES:
        wanted = {
            code: finding_pb2.PARTY_ROLE_CONSENTER
            if code in consenters
            else finding_pb2.PARTY_ROLE_CO_APPLICANT
            for code in row.awaiting
        }
    else:
        wanted = {
            terms.acting_for(p) or p.id_number: finding_pb2.PARTY_ROLE_PAYOFF
            for p in silent_on_payoff(row, terms, settings.institutions)
        }
    return [
        finding_pb2.PartyReference(
            party=party,
            name=person.name,
            institution=common_pb2.InstitutionReference(uscc=office),
            role=wanted[office],
            paper_codes=filed.manifest.papers_to_come if row.state is State.AWAITING_PARTIES else (),
            expires_at=encode.timestamp(row.due_at),
        )
        for party, person in filed.parties.items()
        for office in dict.fromkeys((terms.acting_for(person), person.id_number))
        if person.is_institution and office in codes and office in wanted
    ]
