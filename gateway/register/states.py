"""Which states of blocks.csv hold on a unit: rights and holds, read at one instant.

Each state comes with the right it rests on. What a unit's register page does not show (earlier
cases, taxes, the counter's feed, whom a change harms) is passed in as `Facts`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Protocol

from gateway.register.blocks import UnitStateCode
from gateway.register.calendar import CHINA
from gateway.register.identifiers import birth_date
from gateway.register.model import (
    AnyRight,
    Capacity,
    CoOwnership,
    Dissent,
    Easement,
    Habitation,
    IdKind,
    Mortgage,
    MortgageKind,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    TransferRestriction,
    Unit,
    UnitHold,
    UnitState,
    Value,
)

#: The Civil Code is in force from this instant (CC 1260): mortgages before it are PRE_2021 (N54).
CIVIL_CODE_FROM = dt.datetime(2021, 1, 1, tzinfo=CHINA)

#: Age of majority (CC 17).
MAJORITY_YEARS = 18

#: Collateral kind of a mortgage of a building under construction (DYBDCLX 4).
CONSTRUCTION_COLLATERAL = "LAND_AND_CONSTRUCTION"

#: Pre-notices of a sale; the others are of a mortgage.
SALE_KINDS = frozenset({PreNoticeKind.PRESALE_SALE, PreNoticeKind.OTHER_SALE})

_PRE_SEIZURES = frozenset({SeizureKind.PRE_SEIZURE, SeizureKind.WAITING_PRE_SEIZURE})

#: Land that may not be mortgaged (CC 399(1), (2)).
_UNMORTGAGEABLE_LAND = frozenset(
    {
        "COLLECTIVE_LAND_OWNERSHIP",
        "STATE_LAND_OWNERSHIP",
        "HOMESTEAD",
        "HOMESTEAD_AND_BUILDING",
    }
)

_HOLD_STATES = {
    UnitHold.QUARANTINED: UnitStateCode.QUARANTINED,
    UnitHold.DISPUTED: UnitStateCode.DISPUTED,
    UnitHold.PROHIBITED_COLLATERAL: UnitStateCode.PROHIBITED_COLLATERAL,
    UnitHold.CORRECTION_PENDING: UnitStateCode.CORRECTION_PENDING,
    UnitHold.RIGHT_EXPIRED: UnitStateCode.RIGHT_EXPIRED,
}


class QueuedCase(Protocol):
    """An accepted open case that holds a place on the unit, with the rights that it names."""

    @property
    def application_id(self) -> str:
        """Its application."""

    @property
    def accepted_index(self) -> int:
        """Ledger index of its acceptance: the order of the queue."""

    @property
    def rights(self) -> tuple[str, ...]:
        """Rights that it names."""


class Facts(Value, frozen=True, kw_only=True):
    """What a unit's page does not show.

    `own_accepted_index` and `accepted_at` are the deciding case's own; None before its acceptance,
    when every open case is earlier. `adverse_to` lists right ids of mortgages whose mortgagees the
    operation harms (CC 409, 422; RD 68).
    """

    now: dt.datetime
    open_cases: Sequence[QueuedCase] = ()
    own_case: str = ""
    own_accepted_index: int | None = None
    accepted_at: dt.datetime | None = None
    adverse_to: tuple[str, ...] = ()
    taxes_uncleared: bool = False
    feed_gap: bool = False
    easement: bool = False


class StateFound(Value, frozen=True, kw_only=True):
    """A state that holds, with the right or the earlier case that it comes from."""

    code: UnitStateCode
    right: AnyRight | None = None
    case: QueuedCase | None = None


def states_of(state: UnitState, facts: Facts) -> tuple[StateFound, ...]:
    """Every state of the table that holds on the unit at `facts.now`, with where it comes from."""
    return tuple(
        found
        for part in (
            _unit_states(state, facts.now),
            _owner_states(state, facts.now),
            _seizure_states(state, facts),
            _mortgage_states(state, facts.adverse_to),
            _other_states(state, facts.now),
            _case_states(facts),
        )
        for found in part
    )


def is_minor(person: Party, now: dt.datetime) -> bool:
    """Whether somebody is under 18 on the day of `now` in China (CC 17), by the identity number, else as stated."""
    born = birth_date(person.id_number) if person.id_kind is IdKind.RESIDENT_ID else person.birth_date
    if born is None:
        return False
    today = now.astimezone(CHINA).date()
    # One born on 29 February comes of age on 1 March of a common year: tuples compare so.
    comes_of_age = (born.year + MAJORITY_YEARS, born.month, born.day)
    return (today.year, today.month, today.day) < comes_of_age


def is_under_guardianship(person: Party, now: dt.datetime) -> bool:
    """Whether a natural person acts through a guardian: a minor, or incapable (RD 11)."""
    if person.is_institution:
        return False
    return person.capacity is not Capacity.FULL or is_minor(person, now)


def _unit_states(state: UnitState, now: dt.datetime) -> Iterator[StateFound]:
    """Holds, and what the unit itself says: first registration, kind of land, term."""
    unit = state.unit
    codes = {_HOLD_STATES[hold] for hold in unit.holds}
    if not is_first_registered(state):
        codes.add(UnitStateCode.NOT_FIRST_REGISTERED)  # RD 24; REAL 38(6)
    if is_prohibited_collateral(unit):
        codes.add(UnitStateCode.PROHIBITED_COLLATERAL)
    if _is_past_its_term(unit, now):
        codes.add(UnitStateCode.RIGHT_EXPIRED)
    for code in sorted(codes):
        yield StateFound(code=code, right=state.ownership)


def is_first_registered(state: UnitState) -> bool:
    """Whether the unit has had its first registration, without which no final right is booked (RD 24; REAL 38(6))."""
    return state.unit.first_registered and state.ownership is not None


def is_prohibited_collateral(unit: Unit) -> bool:
    """What the unit's own data show of CC 399: land ownership, homestead, undetermined rights.

    Public-interest facilities and disputes do not show: they are holds. Collective construction
    land (JB) goes with its building (CC 398), so it is not barred here.
    """
    feature = unit.unit_code[12:14]
    undetermined = feature.startswith("Z") or feature.endswith("W")  # CC 399(4)
    return undetermined or feature in ("JA", "JC") or unit.land_nature in _UNMORTGAGEABLE_LAND


def _is_past_its_term(unit: Unit, now: dt.datetime) -> bool:
    """IR 22(3). Land under housing renews by itself and never is past its term (CC 359)."""
    if unit.land_term_end is None or unit.use == "RESIDENTIAL":
        return False
    return unit.land_term_end < now.astimezone(CHINA).date()


def _owner_states(state: UnitState, now: dt.datetime) -> Iterator[StateFound]:
    """Co-ownership (CC 297-301); owners and holders of pre-notices under guardianship (RD 11)."""
    ownership = state.ownership
    if ownership is not None and len(ownership.owners) > 1:
        by_shares = ownership.co_ownership is CoOwnership.BY_SHARES
        # 其他共有 mixes both kinds (CC 308): every owner is asked, as in joint co-ownership.
        yield StateFound(
            code=UnitStateCode.CO_OWNED_BY_SHARES if by_shares else UnitStateCode.CO_OWNED_JOINT,
            right=ownership,
        )
    persons: list[tuple[AnyRight, Sequence[Party]]] = []
    if ownership is not None:
        persons.append((ownership, [owner.person for owner in ownership.owners]))
    persons += [(notice, notice.holders) for notice in state.pre_notices]
    for right, parties in persons:
        if any(is_under_guardianship(person, now) for person in parties):
            yield StateFound(code=UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER, right=right)


def _seizure_states(state: UnitState, facts: Facts) -> Iterator[StateFound]:
    """Seizures in the order of their service (EX 23, 26, 27; F5 19; RD 91).

    One past its `until` has lapsed (EX 27) and the next moves up by itself (EX 26): after the first
    live one all others wait, whatever they were recorded as.
    """
    today = facts.now.astimezone(CHINA).date()
    first = True
    for seizure in state.seizures:
        if seizure.until < today:
            continue
        yield StateFound(code=_seizure_state(seizure, state, facts, first=first), right=seizure)
        first = False


def _seizure_state(seizure: Seizure, state: UnitState, facts: Facts, *, first: bool) -> UnitStateCode:
    noted = pre_seized_notices(seizure, state)
    if noted and (seizure.kind in _PRE_SEIZURES or any(n.kind in SALE_KINDS for n in noted)):
        # Whatever the court's paper calls it: the buyer has nothing but the pre-notice that could be seized (F5).
        return UnitStateCode.PRE_SEIZED_HOLDER
    if seizure.kind not in _PRE_SEIZURES and _is_of_another(seizure, state):
        return UnitStateCode.SEIZURE_TARGET_NOT_OWNER
    if facts.accepted_at is not None and seizure.served_at >= facts.accepted_at:
        return UnitStateCode.SEIZURE_ARRIVES_WHILE_PENDING
    # A pre-seizure of the present owner, or of an unregistered unit's developer, reads as SEIZED.
    return UnitStateCode.SEIZED if first else UnitStateCode.SEIZED_WAITING


def pre_seized_notices(seizure: Seizure, state: UnitState) -> tuple[PreNotice, ...]:
    """Live pre-notices of which the seizure's target is a holder, itself not the owner (F5)."""
    if _is_owner(seizure.target, state.ownership):
        return ()
    target = seizure.target
    return tuple(n for n in state.pre_notices if any(_is_same(target, h) for h in n.holders))


def seized_claims(seizure: Seizure, state: UnitState) -> tuple[Mortgage | PreNotice, ...]:
    """Live mortgages, and pre-notices of one, whose holder the seizure is directed at, itself not the owner.

    What is seized there is the claim, which the mortgage follows (CC 407): the owner's unit is not, but whoever
    releases the mortgage gives away what is seized (EX 24).
    """
    if _is_owner(seizure.target, state.ownership):
        return ()
    secured: list[tuple[Mortgage | PreNotice, tuple[Party, ...]]] = [
        (m, m.mortgagees) for m in state.mortgages
    ]
    secured += [(n, n.holders) for n in state.pre_notices if n.kind not in SALE_KINDS]
    return tuple(right for right, holders in secured if any(_is_same(seizure.target, h) for h in holders))


def is_claim_seized(right_ids: Sequence[str], state: UnitState, now: dt.datetime) -> bool:
    """Whether a seizure that has not lapsed is directed at the claim of one of these rights."""
    today = now.astimezone(CHINA).date()
    return any(
        right.identity in right_ids
        for seizure in state.seizures
        if seizure.until >= today
        for right in seized_claims(seizure, state)
    )


def _is_of_another(seizure: Seizure, state: UnitState) -> bool:
    """A seizure served after the owner's booking and directed at somebody else (EX 23), or one of a claim."""
    ownership = state.ownership
    if ownership is None or _is_owner(seizure.target, ownership):
        return False
    return seizure.served_at > ownership.booked_at or bool(seized_claims(seizure, state))


def _is_owner(person: Party, ownership: Ownership | None) -> bool:
    """By number, or by name: two documents of one person must not hide a seizure."""
    if ownership is None:
        return False
    return any(_is_same(person, o.person) for o in ownership.owners)


def _is_same(one: Party, other: Party) -> bool:
    return one.key == other.key or one.name == other.name


def _mortgage_states(state: UnitState, adverse_to: Sequence[str]) -> Iterator[StateFound]:
    """What each live mortgage means for others (CC 406; SIG 43; N54; CC 420-424; RD 75-77)."""
    for mortgage in state.mortgages:
        for code in mortgage_state_codes(mortgage):
            yield StateFound(code=code, right=mortgage)
        if mortgage.right_id in adverse_to:
            yield StateFound(code=UnitStateCode.ADVERSE_TO_OTHER_MORTGAGEE, right=mortgage)


def mortgage_state_codes(mortgage: Mortgage) -> tuple[UnitStateCode, ...]:
    """The states of one mortgage.

    A mortgage first registered before 2021-01-01 China time is PRE_2021 whatever was recorded
    later, and RESTRICTED too when a later change recorded that; one since 2021 without a word is
    UNRECORDED, never UNRESTRICTED (handbook 3.1).
    """
    codes: list[UnitStateCode] = []
    restriction = mortgage.transfer_restriction
    if mortgage.collateral_kind == CONSTRUCTION_COLLATERAL:
        codes.append(UnitStateCode.CONSTRUCTION_MORTGAGE_LIVE)
    else:
        if mortgage.first_registered_at < CIVIL_CODE_FROM:
            codes.append(UnitStateCode.MORTGAGE_PRE_2021)
        elif restriction is TransferRestriction.NONE:
            codes.append(UnitStateCode.MORTGAGE_UNRESTRICTED)
        elif restriction is TransferRestriction.UNRECORDED:
            codes.append(UnitStateCode.MORTGAGE_UNRECORDED)
        if restriction is TransferRestriction.RESTRICTED:
            codes.append(UnitStateCode.MORTGAGE_RESTRICTED)
    if mortgage.kind is MortgageKind.MAXIMUM_AMOUNT:  # fixing books it anew as ORDINARY (CC 423)
        codes.append(UnitStateCode.MAX_AMOUNT_NOT_FIXED)
    return tuple(codes)


def _other_states(state: UnitState, now: dt.datetime) -> Iterator[StateFound]:
    """Pre-notices (CC 221), dissents (CC 220), rights of habitation (CC 366-370).

    A pre-notice past its 90 days and a dissent without a suit stay until a person has confirmed the
    lapse (handbook 3.5): they are read as live.
    """
    today = now.astimezone(CHINA).date()
    for right in state.rights:
        match right:
            case PreNotice() if right.kind in SALE_KINDS:
                yield StateFound(code=UnitStateCode.PN_SALE_LIVE, right=right)
            case PreNotice():
                yield StateFound(code=UnitStateCode.PN_MORTGAGE_LIVE, right=right)
            case Dissent():
                yield StateFound(code=UnitStateCode.DISSENT, right=right)
            case Habitation() if right.until is None or right.until >= today:
                yield StateFound(code=UnitStateCode.HABITATION, right=right)
            case Easement():
                yield StateFound(code=UnitStateCode.EASEMENT, right=right)
            case _:
                pass


def _case_states(facts: Facts) -> Iterator[StateFound]:
    """The queue (RD 67; handbook 3.2), and facts from outside the register."""
    for case in facts.open_cases:
        if case.application_id == facts.own_case:
            continue
        if facts.own_accepted_index is None or case.accepted_index < facts.own_accepted_index:
            yield StateFound(code=UnitStateCode.EARLIER_CASE_PENDING, case=case)
    if facts.taxes_uncleared:  # DT 11; PIT 15; land VAT rules 12
        yield StateFound(code=UnitStateCode.TAX_UNCLEARED)
    if facts.feed_gap:  # handbook 1.5
        yield StateFound(code=UnitStateCode.DATA_FEED_GAP)
    if facts.easement:  # CC 372
        yield StateFound(code=UnitStateCode.EASEMENT)
