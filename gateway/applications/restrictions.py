"""Restrictions from outside: seizures, dissents, habitation, easements; entered, renewed, lifted. Pure.

The order of seizures is that of their service on the authority, never of their entry (EX 23; F5 19, 20; RD 91): it is
read from `served_at` and never written into a row, so that the next one is live by itself when the first is lifted or
lapses (EX 26, 27).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from gateway.applications.feed_book import FeedBook
from gateway.applications.race_guard import guard, tell_end
from gateway.cases.feed import AnyRestriction, Restriction, RestrictionVerb
from gateway.register.calendar import CHINA, Calendar
from gateway.register.model import AnyRight, Dissent, Seizure

#: A seizure of an immovable lasts at most this long (CPL 485).
SEIZURE_YEARS_MAX = 3

LIFTED = "LIFTED"
RENEWED = "RENEWED"
SUIT_FILED = "SUIT_FILED"


def suit_due_on(dissent: Dissent, calendar: Calendar) -> tuple[dt.date, bool]:
    """The last day for filing suit over a dissent, and whether it rests on statute only (CC 201, 203, 220).

    Past it a person confirms the lapse: until then the dissent is read as live (handbook 3.5).
    """
    return calendar.suit_due_on(dissent.booked_at.astimezone(CHINA).date())


def apply_restriction(book: FeedBook, act: Restriction) -> None:
    """Give one act its effect."""
    if act.verb is RestrictionVerb.ENTER:
        enter(book, act.right)
        return
    row = find_row(book, act.right)
    if row is None:
        for code in act.right.units:
            book.conflict(code, "没有所称的限制事项", "the register has no such restriction that is live")
        return
    match act.verb, row:
        case RestrictionVerb.LIFT, _:
            lift(book, row, act.right.case_number)
        case RestrictionVerb.RENEW, Seizure():
            assert isinstance(act.right, Seizure)  # find_row finds rows of the same kind only
            _renew(book, row, act.right)
        case RestrictionVerb.SUIT_FILED, Dissent():
            assert isinstance(act.right, Dissent)
            _suit_filed(book, row, act.right)
        case _:
            for code in act.right.units:
                book.conflict(
                    code, "该行为不适用于此类限制", "this act does not fit this kind of restriction"
                )


def enter(book: FeedBook, right: AnyRestriction) -> None:
    """A restriction counts from this entry on; a seizure by its service, and it stops what it blocks."""
    known = find_row(book, right)
    if known is not None and not _is_other_extent(known, right):
        book.warn("R-CONFLICT", "该限制事项已录入", "this restriction is entered already", article="IR 10")
        return
    for code in right.units:
        if code not in book.states:
            book.conflict(code, "登记簿中没有该单元", "the register has no such unit")
    if not isinstance(right, Seizure):
        book.book(right)
        return
    seizure = book.book(replace(right, booked_at=book.moment.now))
    assert isinstance(seizure, Seizure)
    _check_term(book, seizure)
    guard(book, seizure)


def lift(book: FeedBook, row: AnyRight, case_number: str) -> None:
    """The restriction is over; whoever was told of a seizure is told of its end."""
    book.end(row, LIFTED, case_number=case_number)
    if isinstance(row, Seizure):
        tell_end(book, row)


def _renew(book: FeedBook, old: Seizure, told: Seizure) -> None:
    """A renewal keeps the seizure's place; one that comes after the lapse is new, by its own service (EX 27)."""
    if old.until < book.today:
        book.warn(
            "R-SEIZED",
            f"原查封已于 {old.until} 期满失效，按新查封依其送达时间排列",
            f"the seizure had lapsed after {old.until}: this is a new one, in the place of its own service",
            article="EX 27; CPL 485",
        )
        book.end(old, "LAPSED", case_number=told.case_number)
        enter(book, replace(told, right_id="", target=old.target, extent=told.extent or old.extent))
        return
    renewed = replace(
        old,
        case_number=told.case_number or old.case_number,
        booked_at=book.moment.now,
        booked_by=told.booked_by,
        until=told.until,
        renewed_from=old.renewed_from or old.right_id,
    )
    booked = book.supersede(old, renewed, RENEWED)
    assert isinstance(booked, Seizure)
    _check_term(book, replace(booked, starts_on=book.today))


def _suit_filed(book: FeedBook, old: Dissent, told: Dissent) -> None:
    due, _ = suit_due_on(old, book.world.calendar)
    if told.suit_filed_on is not None and told.suit_filed_on > due:
        book.warn(
            "C-DISSENT",
            f"起诉日期晚于 {due}（异议登记之日起十五日），异议是否失效由登记员确认",
            f"suit was filed after {due}, the 15 days from the dissent: a registrar confirms whether it lapsed",
            article="CC 220",
        )
    new = replace(
        old,
        booked_by=told.booked_by,
        suit_filed_on=told.suit_filed_on,
        court_case_number=told.court_case_number,
    )
    book.supersede(old, new, SUIT_FILED)


def _check_term(book: FeedBook, seizure: Seizure) -> None:
    """`until` comes from the instrument and is never computed; one of more than three years is told (CPL 485)."""
    start = seizure.starts_on or seizure.served_at.astimezone(CHINA).date()
    day = min(start.day, 28) if start.month == 2 else start.day
    if seizure.until > dt.date(start.year + SEIZURE_YEARS_MAX, start.month, day):
        book.warn(
            "R-SEIZED",
            f"查封期限至 {seizure.until}，超过三年",
            f"the seizure runs to {seizure.until}, more than three years",
            article="CPL 485",
        )


def find_row(book: FeedBook, told: AnyRight) -> AnyRight | None:
    """The live row that the counter means: by our id, a seizure by its instrument, else by the counter's case."""
    rows = [
        right
        for code in told.units
        for right in (book.states[code].rights if code in book.states else ())
        if type(right) is type(told)
    ]
    for row in rows:
        if told.right_id and row.right_id == told.right_id:
            return row
    if isinstance(told, Seizure):
        return _same_seizure(rows, told)
    numbered = (row for row in rows if told.case_number and row.case_number == told.case_number)
    return None if told.right_id else next(numbered, None)


def _is_other_extent(row: AnyRight, told: AnyRight) -> bool:
    """A seizure of a share is not one of the whole unit, though one instrument orders both (handbook 3.4)."""
    return isinstance(row, Seizure) and isinstance(told, Seizure) and row.share != told.share


def _same_seizure(rows: Iterable[AnyRight], told: Seizure) -> Seizure | None:
    """One instrument may seize several persons' parts of one unit (handbook 3.4: keyed by target and extent).

    A lifting or a renewal that names no share may mean the only one there is.
    """
    same = [
        row
        for row in rows
        if isinstance(row, Seizure)
        and (row.authority, row.instrument_no) == (told.authority, told.instrument_no)
        and (not told.target.id_number or told.target.key == row.target.key)
    ]
    exact = next((row for row in same if row.share == told.share), None)
    return same[0] if exact is None and told.share is None and len(same) == 1 else exact
