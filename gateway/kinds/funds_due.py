"""资金计划的付款条件: which legs of a funds plan may be paid now, and why (handbook 2.4).

The parties agree on the order of payments (N29); the gateway publishes that an event has happened, banks act on it.
What an event is, is read off the applications of the case: a leg that waits for the release of the old mortgage may
become payable in a later phase than the one that carries the plan.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

from gateway.cases.model import CLOSED, Application, ConsentKind, State
from gateway.cases.terms import FundsPlan, FundsPurpose, FundsTrigger, Terms
from gateway.kinds.named import once
from gateway.register.calendar import CHINA
from gateway.register.model import Party, Value

#: Names of the operations that bring about the event of a trigger.
_RELEASES = frozenset({"MORTGAGE_RELEASE", "CONSTRUCTION_MORTGAGE_RELEASE"})
_NOTICES = frozenset({"PRE_NOTICE_CREATE"})


class LegState(StrEnum):
    """Where a leg stands; values of FundsLegStanding.State."""

    NOT_DUE = "NOT_DUE"
    DUE = "DUE"
    MANUAL = "MANUAL"
    HELD = "HELD"
    RELEASED = "RELEASED"
    VOID = "VOID"


class LegStanding(Value, frozen=True, kw_only=True):
    """A leg by its number in the plan, from 1, with its state, since when, and why."""

    leg: int
    trigger: FundsTrigger
    state: LegState
    since: dt.datetime | None = None
    zh: str
    en: str


_EVENT = {
    FundsTrigger.ON_PRE_NOTICE: ("预告登记登簿", "the pre-notice is booked"),
    FundsTrigger.ON_ACCEPTANCE: ("案件受理", "the case is accepted"),
    FundsTrigger.ON_BOOKING: ("登簿", "the case is booked"),
    FundsTrigger.ON_PROOF: ("登记证明签章", "the registration proofs are sealed"),
    FundsTrigger.ON_RELEASE: ("原抵押权注销", "the old mortgage is released"),
}


def happened_at(
    trigger: FundsTrigger, row: Application, phases: Sequence[Application], sealed_at: dt.datetime | None
) -> dt.datetime | None:
    """When the event of a leg happened; None while it has not.

    `row` carries the plan, `phases` are all applications of its case (itself too), `sealed_at` is the instant at which
    the last certificate of `row` was sealed. Pre-notice and release may come with any phase, the rest with its own.
    """
    match trigger:
        case FundsTrigger.ON_ACCEPTANCE:
            return row.accepted_at
        case FundsTrigger.ON_BOOKING:
            return row.booked_at
        case FundsTrigger.ON_PROOF:
            return sealed_at if row.booked_at else None
        case FundsTrigger.ON_PRE_NOTICE:
            return _first_booked(phases, _NOTICES)
        case FundsTrigger.ON_RELEASE:
            return _released(row, phases)
    return None


def standings(
    plan: FundsPlan, row: Application, phases: Sequence[Application], sealed_at: dt.datetime | None
) -> tuple[LegStanding, ...]:
    """Where each leg of the plan stands."""
    held = _stated(row, ConsentKind.FUNDS_HELD)
    released = _stated(row, ConsentKind.FUNDS_RELEASED)
    return tuple(
        _standing(number, leg.trigger, row, happened_at(leg.trigger, row, phases, sealed_at))
        if leg.purpose is not FundsPurpose.ESCROW or not (held or released)
        else _escrowed(number, leg.trigger, held, released)
        for number, leg in enumerate(plan.legs, start=1)
    )


def escrow_banks(terms: Terms) -> tuple[Party, ...]:
    """The institutions that hold money under the plan: who is paid, or pays, a leg of escrow."""
    legs = terms.funds_plan.legs if terms.funds_plan else ()
    escrow = [party for leg in legs if leg.purpose is FundsPurpose.ESCROW for party in (leg.payee, leg.payer)]
    return once([p for p in escrow if p.is_institution])


def due_now(row: Application, *, accepted: bool = False, booked: bool = False, sealed: bool = False) -> bool:
    """Whether this very entry makes a leg of the row's plan payable: by what it did to the row."""
    triggers = set()
    if accepted:
        triggers.add(FundsTrigger.ON_ACCEPTANCE)
    if booked:
        triggers |= {FundsTrigger.ON_BOOKING, *_by_operation(row)}
    if sealed:
        triggers.add(FundsTrigger.ON_PROOF)
    return not triggers.isdisjoint(row.funds)


def due_by_payoff(plan_of: Application, settled: Application, phases: Sequence[Application]) -> bool:
    """Whether it makes a leg of a plan payable that the old mortgage of a booked phase was found gone.

    Not where a phase of the case released it: the booking of that phase was the event, and was told.
    """
    waits = FundsTrigger.ON_RELEASE in plan_of.funds
    return waits and settled.payoff_settled_at is not None and _first_booked(phases, _RELEASES) is None


def due_by_phase(first: Application, booked: Application) -> bool:
    """Whether the booking of a later phase makes a leg of the first phase's plan payable."""
    return not _by_operation(booked).isdisjoint(first.funds)


def _by_operation(row: Application) -> set[FundsTrigger]:
    found = set()
    if not _NOTICES.isdisjoint(row.operations):
        found.add(FundsTrigger.ON_PRE_NOTICE)
    if not _RELEASES.isdisjoint(row.operations):
        found.add(FundsTrigger.ON_RELEASE)
    return found


def _standing(number: int, trigger: FundsTrigger, row: Application, at: dt.datetime | None) -> LegStanding:
    if trigger is FundsTrigger.MANUAL:
        return LegStanding(
            leg=number,
            trigger=trigger,
            state=LegState.MANUAL,
            zh="由当事人约定付款时间",
            en="paid when the parties say so",
        )
    zh, en = _EVENT[trigger]
    ended = row.state in CLOSED and row.state is not State.BOOKED
    if ended:
        return LegStanding(
            leg=number,
            trigger=trigger,
            state=LegState.VOID,
            since=row.closed_at,
            zh="案件未登簿即已结束，不得按本计划付款",
            en="the case ended unbooked: nothing is to be paid under this plan",
        )
    if at is None:
        return LegStanding(
            leg=number, trigger=trigger, state=LegState.NOT_DUE, zh=f"尚未{zh}", en=f"not before {en}"
        )
    day = at.astimezone(CHINA).date()
    return LegStanding(
        leg=number,
        trigger=trigger,
        state=LegState.DUE,
        since=at,
        zh=f"{day} 已{zh}",
        en=f"{en}, on {day}",
    )


def _escrowed(
    number: int, trigger: FundsTrigger, held: dt.datetime | None, released: dt.datetime | None
) -> LegStanding:
    if released is not None:
        return LegStanding(
            leg=number,
            trigger=trigger,
            state=LegState.RELEASED,
            since=released,
            zh="监管机构已声明划付",
            en="the escrow bank stated that it released the money",
        )
    return LegStanding(
        leg=number,
        trigger=trigger,
        state=LegState.HELD,
        since=held,
        zh="监管机构已声明资金到账",
        en="the escrow bank stated that it holds the money",
    )


def _first_booked(phases: Sequence[Application], operations: frozenset[str]) -> dt.datetime | None:
    booked = (p.booked_at for p in phases if not operations.isdisjoint(p.operations))
    return min((at for at in booked if at), default=None)


def _released(row: Application, phases: Sequence[Application]) -> dt.datetime | None:
    """A phase that releases was booked; or the counter, or a release of its own, ended the old mortgage.

    Of the latter the case keeps the instant at which it was seen (gateway/applications/payoff_watch.py).
    """
    seen = (phase.payoff_settled_at for phase in (row, *phases))
    known = (_first_booked(phases, _RELEASES), *seen)
    return min((at for at in known if at), default=None)


def _stated(row: Application, kind: ConsentKind) -> dt.datetime | None:
    return max((c.at for c in row.consents if c.kind is kind and c.stands), default=None)
