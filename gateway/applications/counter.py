"""Bookings and open cases of the authority's own counter, of every class of registration (handbook 1.5). Pure.

They take their place in the same order per unit as ours: an open case from its acceptance (RD 67), a right from its
booking at the counter (CC 214). Rows are superseded, never edited (IR 10). Where counter and register disagree the
register is left as it is and the unit goes to a person: nothing is undone by itself.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from gateway.applications.feed_book import FeedBook
from gateway.applications.pre_notice_term import registrable_since
from gateway.applications.restrictions import enter, find_row, lift
from gateway.cases.feed import (
    ENDED_AT_COUNTER,
    SUPERSEDED_AT_COUNTER,
    CounterCase,
    CounterEntry,
    CounterUnit,
)
from gateway.register.calendar import CHINA
from gateway.register.model import (
    AnyRight,
    Dissent,
    Easement,
    Habitation,
    Mortgage,
    Ownership,
    PreNotice,
    Seizure,
    UnitHold,
    certificate_numbers,
)
from gateway.register.rank import place_agreed, rank_from
from gateway.register.states import is_first_registered

#: DJLX 500: while such a case is open, other cases on the unit wait (SH 31).
CORRECTION = "CORRECTION"


def apply_counter(book: FeedBook, act: CounterEntry) -> None:
    """Give one act its effect; a mere sign of life has none."""
    if not act.case_number:
        return
    if act.is_open:
        _open(book, act)
        return
    if act.booked_at is not None:
        for unit in act.units:
            _book_unit(book, act, unit, act.booked_at)
    _close(book, act)


# -- open cases ----------------------------------------------------------------------------------------------------


def _open(book: FeedBook, act: CounterEntry) -> None:
    """The case holds a place on each of its units, from its acceptance at the counter; one known keeps its places."""
    accepted = act.accepted_at or act.as_of
    known = book.counter_cases.get(act.case_number)
    places = dict(known.places) if known is not None and known.is_open else {}
    for code in act.unit_codes:
        places.setdefault(code, _place(book, code, accepted))
    correcting = act.unit_codes if act.type == CORRECTION else ()
    for code in correcting:
        book.hold(code, UnitHold.CORRECTION_PENDING)
    named = [
        right.identity
        for unit in act.units
        for right in (book.states[unit.unit_code].rights if unit.unit_code in book.states else ())
        if {right.right_id, *certificate_numbers([right])} & set(unit.names)
    ]
    book.record_counter_case(
        CounterCase(
            case_number=act.case_number,
            type=act.type,
            accepted_at=accepted,
            places=places,
            known_index=known.known_index if known is not None else book.moment.index,
            rights=tuple(dict.fromkeys(named)),
            holds_correction=correcting,
        )
    )


def _place(book: FeedBook, code: str, accepted: dt.datetime) -> int:
    """Before every case of ours that was accepted later, behind all others; ties with ours resolve in our favour."""
    later = [
        row.accepted_index
        for case in book.cases.get(code, ())
        if (row := book.applications.get(case.application_id)) is not None
        and row.accepted_at is not None
        and row.accepted_index is not None
        and row.accepted_at > accepted
    ]
    return min(later) - 1 if later else book.moment.index


def _close(book: FeedBook, act: CounterEntry) -> None:
    """The case gives up its places; whoever waited behind it has their turn."""
    known = book.counter_cases.get(act.case_number)
    if known is None or not known.is_open:
        return
    book.record_counter_case(replace(known, is_open=False))
    for code in known.holds_correction:
        if not _is_being_corrected(book, code):
            book.unhold(code, UnitHold.CORRECTION_PENDING)


def _is_being_corrected(book: FeedBook, code: str, but: str = "") -> bool:
    """Whether an open correction of the counter, other than that of case number `but`, holds the unit (SH 31)."""
    return any(
        case.is_open and code in case.holds_correction and case.case_number != but
        for case in book.counter_cases.values()
    )


# -- bookings ------------------------------------------------------------------------------------------------------


def _book_unit(book: FeedBook, act: CounterEntry, told: CounterUnit, booked_at: dt.datetime) -> None:
    code = told.unit_code
    if told.unit is not None and code not in book.states:
        book.put_unit(told.unit)
    if code not in book.states:
        book.conflict(code, "登记簿中没有该单元", "the register has no such unit")
        return
    before = book.states[code]
    if act.type == CORRECTION:
        book.put_unit(replace(before.unit, holds=told.holds))
        if _is_being_corrected(book, code, but=act.case_number):
            book.hold(code, UnitHold.CORRECTION_PENDING)
    disagrees = _booked_meanwhile(book, code, act, booked_at)
    if disagrees:
        book.conflict(
            code,
            f"大厅登簿（{act.case_number}）早于本登记簿其后登簿的 {len(disagrees)} 项",
            f"{len(disagrees)} right(s) were booked here after the counter's booking {act.case_number} and before it "
            "was known",
        )
    for right in told.ended:
        _end(book, act, right)
    for right, superseded in zip(told.live, told.supersedes, strict=True):
        if isinstance(right, Ownership) and disagrees:
            continue  # whose the unit is, a person finds out; our later booking is never undone by us
        _book_right(book, act, right, superseded, booked_at)
    if not is_first_registered(before):
        _first_registered(book, code, told, booked_at)


def _first_registered(book: FeedBook, code: str, told: CounterUnit, booked_at: dt.datetime) -> None:
    """An owner stands in the register: that is the unit's first registration, and what was noted before can be
    registered from this day on (CC 221; RD 24, 85; handbook 3.5).
    """
    state = book.states[code]
    if state.ownership is None:
        return
    if not state.unit.first_registered:
        built = told.unit or state.unit
        book.put_unit(replace(built, holds=state.unit.holds, first_registered=True))
    day = booked_at.astimezone(CHINA).date()
    for notice in state.pre_notices:
        if all(is_first_registered(on) for on in map(book.states.get, notice.units) if on is not None):
            book.move_term(registrable_since(notice, day))


def _booked_meanwhile(book: FeedBook, code: str, act: CounterEntry, booked_at: dt.datetime) -> list[AnyRight]:
    """Rights that were booked here later than the counter booked, in ignorance of it."""
    return [
        right
        for right in book.states[code].rights
        if isinstance(right, Ownership | Mortgage | PreNotice)
        and right.booked_at > booked_at
        and right.case_number != act.case_number
    ]


def _book_right(
    book: FeedBook, act: CounterEntry, told: AnyRight, superseded: str, booked_at: dt.datetime
) -> None:
    if isinstance(told, Seizure | Dissent | Habitation | Easement):
        enter(book, replace(told, booked_at=booked_at, right_id=""))
        return
    row = _same_right(book, told)
    if row is not None and told.case_number in ("", row.case_number):
        return  # the register has this very row
    for code in told.units:
        if code not in book.states:
            book.conflict(code, "登记簿中没有该单元", "the register has no such unit")
            return
    new = replace(told, booked_at=booked_at, case_number=told.case_number or act.case_number)
    old = row or _superseded_by(book, new, superseded)
    new = _of_its_date(old, new)
    if isinstance(new, Mortgage):
        new = _ranked(book, new)
        new = _placed(book, new, old)
    if old is not None:
        book.supersede(old, new, SUPERSEDED_AT_COUNTER)
    elif superseded and not isinstance(new, Ownership):
        book.conflict(
            new.units[0],
            f"没有业务号 {superseded} 的现势权利",
            f"the register has no live right of case {superseded}",
        )
        book.book(new)
    else:
        book.book(new)


def _of_its_date(
    old: AnyRight | None, new: Ownership | Mortgage | PreNotice
) -> Ownership | Mortgage | PreNotice:
    """A change keeps date and rank of the right, which the counter need not tell again (RD 68; SIG 52)."""
    if isinstance(old, Mortgage) and isinstance(new, Mortgage):
        return replace(
            new,
            first_registered_at=min(old.first_registered_at, new.first_registered_at),
            priority_date=min(old.priority_date, new.priority_date),
            rank_at_registration=new.rank_at_registration or old.rank_at_registration,
        )
    if isinstance(old, PreNotice) and isinstance(new, PreNotice):
        return replace(
            new,
            booked_at=min(old.booked_at, new.booked_at),
            registrable_from=new.registrable_from or old.registrable_from,
        )
    return new


def _ranked(book: FeedBook, mortgage: Mortgage) -> Mortgage:
    """The counter prints its own rank; where it tells none, the rank by time of registration (CC 414)."""
    if mortgage.rank_at_registration:
        return mortgage
    return replace(
        mortgage, rank_at_registration=rank_from(book.states[mortgage.units[0]], mortgage.priority_date)
    )


def _placed(book: FeedBook, new: Mortgage, old: AnyRight | None) -> Mortgage:
    """An agreed rank as the place that it was when the counter booked it (RD 67; CC 409)."""
    known = old if isinstance(old, Mortgage) else None
    if known is not None and known.agreed_rank == new.agreed_rank:
        return new
    place = place_agreed(
        [book.states[code] for code in new.units],
        new.agreed_rank,
        row=str(book.moment.index),
        at=new.booked_at,
        own=known.identity if known is not None else "",
    )
    return replace(new, agreed_place=place)


def _superseded_by(book: FeedBook, new: AnyRight, case_number: str) -> AnyRight | None:
    """The live row of that case (SSYWH); a unit has one owner set, so a new one always supersedes the last."""
    rows = [r for r in book.states[new.units[0]].rights if type(r) is type(new)]
    named = [r for r in rows if case_number and r.case_number == case_number]
    if named or not isinstance(new, Ownership):
        return next(iter(named), None)
    return next(iter(rows), None)


def _same_right(book: FeedBook, told: AnyRight) -> AnyRight | None:
    """The live row that the counter means by a right: by our id, by its certificate, else by its case."""
    numbers = certificate_numbers([told])
    rows = [
        right
        for code in told.units
        for right in (book.states[code].rights if code in book.states else ())
        if type(right) is type(told)
    ]
    for row in rows:
        if (told.right_id and row.right_id == told.right_id) or numbers & certificate_numbers([row]):
            return row
    if numbers:
        return None
    return find_row(book, told)


def _end(book: FeedBook, act: CounterEntry, told: AnyRight) -> None:
    row = _same_right(book, told)
    if row is None:
        book.conflict(
            told.units[0],
            f"没有大厅（{act.case_number}）所注销的现势权利",
            f"the register has no live right that the counter's case {act.case_number} ended",
        )
    elif isinstance(row, Seizure):
        lift(book, row, act.case_number)
    else:
        book.end(row, ENDED_AT_COUNTER, case_number=act.case_number)
