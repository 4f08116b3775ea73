"""Until when an accepted case must be decided: the place's promise, within the statute's 30 working days. Pure.

A case has one limit, however many registrations it combines: 办理时限仅按1个登记类别确定 (S14; handbook 1.1). Where
the place promises one for the mode, that is it; else the class that takes longest gives it: the case is booked as a
whole. A promise of days starts with the day after acceptance (CC 201), one of hours with acceptance, in the hours in
which the office is open: "at once" and "half a working day" are promises, not statute (handbook 10). Either clock
stands still while papers that were asked for are to come (handbook 3.6). Everything is computed from what the row
keeps, so that it can be computed again under another calendar.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Final

from msgspec.structs import replace

from gateway.cases.model import Application, ClockStop, PromisedHours, State
from gateway.register.authority import Profile
from gateway.register.calendar import CHINA, Calendar
from gateway.register.findings import Finding, Severity
from gateway.register.model import Value
from gateway.register.reasons import finding

#: IR 20: every registration within 30 working days from acceptance.
STATUTORY_WORKING_DAYS: Final = 30

#: Half a working day is promised as 4 hours (authority.proto, ServicePromise).
HOURS_A_DAY: Final = 8

#: The statute's limit in days and hours.
_STATUTE: Final = (STATUTORY_WORKING_DAYS, 0)

#: The authority's clock runs in these. While papers are to come it stands still; a decided case that waits for taxes or
#: payoff is not late by the authority's doing.
RUNNING: Final = frozenset({State.ACCEPTED, State.IN_REVIEW, State.SUSPENDED})

#: The same few dates are asked for all day.
_add_working_days = lru_cache(maxsize=256)(Calendar.add_working_days)


class Limit(Value, frozen=True, kw_only=True):
    """A last day in China, of a promise of hours the instant on it, and whether it rests on statute alone."""

    day: dt.date
    at: dt.datetime | None = None
    provisional: bool


def promise_of(profile: Profile, mode: str, operations: tuple[str, ...]) -> tuple[int, PromisedHours | None]:
    """Working days in which the place promises to decide such a case, never more than the statute's; and the hours,
    where the promise is not of whole days. The days are then those that the hours reach into.
    """
    promised = _promise(profile, mode)
    if promised is None:
        each = [_promise(profile, operation) for operation in operations]
        promised = max((_STATUTE if one is None else one for one in each), key=_length)
    days, hours = min(promised, _STATUTE, key=_length)
    if not hours:
        return days, None
    in_hours = PromisedHours(hours=days * HOURS_A_DAY + hours, office=profile.office)
    return min(days + ceil(hours / HOURS_A_DAY), STATUTORY_WORKING_DAYS), in_hours


def _promise(profile: Profile, name: str) -> tuple[int, int] | None:
    """Of an operation or a mode, in days and hours beyond them; None where none is made."""
    days = profile.promised_working_days.get(name)
    hours = profile.promised_working_hours.get(name, 0)
    if days is None and not hours:
        return None
    return (days or 0) + hours // HOURS_A_DAY, hours % HOURS_A_DAY


def _length(promised: tuple[int, int]) -> int:
    days, hours = promised
    return days * HOURS_A_DAY + hours


def foreseen(
    profile: Profile, mode: str, operations: tuple[str, ...], now: dt.datetime, calendar: Calendar
) -> Limit:
    """By when a case accepted now would have to be decided."""
    days, hours = promise_of(profile, mode, operations)
    return _limit(calendar, now, days, hours)


def with_deadlines(row: Application, calendar: Calendar) -> Application:
    """The row with both of its limits as this calendar has them; as it is while it is not accepted."""
    if row.accepted_at is None:
        return row
    days = STATUTORY_WORKING_DAYS if row.promised_days is None else row.promised_days
    promised = _limit(calendar, row.accepted_at, days, row.promised_hours, row.clock_stops)
    statutory = _limit(calendar, row.accepted_at, STATUTORY_WORKING_DAYS, stops=row.clock_stops)
    return replace(
        row,
        deadline=promised.day,
        deadline_at=promised.at,
        deadline_provisional=promised.provisional,
        statutory_deadline=statutory.day,
        statutory_provisional=statutory.provisional,
    )


def _limit(
    calendar: Calendar,
    accepted_at: dt.datetime,
    days: int,
    hours: PromisedHours | None = None,
    stops: Sequence[ClockStop] = (),
) -> Limit:
    """The end of so many working days, or of so many office hours; what the clock stood is added."""
    if hours is None:
        stood = sum(calendar.working_days_between(stop.since, stop.until) for stop in stops)
        day, provisional = _add_working_days(calendar, accepted_at.astimezone(CHINA).date(), days + stood)
        return Limit(day=day, provisional=provisional)
    span = dt.timedelta(hours=hours.hours)
    for stop in stops:
        if stop.since_at is not None and stop.until_at is not None:
            span += calendar.office_time_between(stop.since_at, stop.until_at, hours.office)
    at, provisional = calendar.add_office_time(accepted_at, span, hours.office)
    return Limit(day=at.astimezone(CHINA).date(), at=at, provisional=provisional)


def clock_goes_on(row: Application, now: dt.datetime, calendar: Calendar) -> Application:
    """The papers are there: the time for which the clock stood is added to both limits."""
    if row.clock_stopped_on is None:
        return row
    stop = ClockStop(
        since=row.clock_stopped_on,
        until=now.astimezone(CHINA).date(),
        since_at=row.clock_stopped_at,
        until_at=now,
    )
    went_on = replace(row, clock_stopped_on=None, clock_stopped_at=None, clock_stops=(*row.clock_stops, stop))
    return with_deadlines(went_on, calendar)


def reminders_before(expires_at: dt.datetime, profile: Profile, now: dt.datetime) -> tuple[dt.datetime, ...]:
    """When parties that have not signed are reminded, earliest first: as the place says, and never at once."""
    times = {expires_at - dt.timedelta(days=days) for days in profile.party_reminder_days}
    return tuple(sorted(at for at in times if at > now))


def breached_from(row: Application) -> dt.datetime | None:
    """The instant from which the case is late: the hour that was promised, or the end of its last day. None while its
    clock does not run, or once the lateness is recorded.
    """
    if row.deadline is None or row.breached_at is not None or row.state not in RUNNING:
        return None
    if row.deadline_at is not None:
        return row.deadline_at
    return dt.datetime.combine(row.deadline + dt.timedelta(days=1), dt.time(), CHINA).astimezone(dt.UTC)


def provisional_date(row: Application) -> tuple[Finding, ...]:
    """W-PROVISIONAL_DATE while the deadline of an open case rests on statute alone (handbook 10)."""
    if not row.deadline_provisional:
        return ()
    return (
        finding(
            "W-PROVISIONAL_DATE",
            Severity.WARNS,
            article="IR 20; handbook 10",
            zh=f"办结期限 {row.deadline} 按法定节假日推算",
            en=f"the deadline {row.deadline} was reckoned from statutory holidays",
        ),
    )
