"""Until when an accepted case must be decided: the place's promise, within the statute's 30 working days. Pure.

A case has one limit, however many registrations it combines: 办理时限仅按1个登记类别确定 (S14; handbook 1.1). Where the
place promises one for the mode, that is it; else the class that takes longest gives it: the case is booked as a whole.
The clock starts with the day after acceptance (CC 201) and stands still while papers that were asked for are to come
(handbook 3.6). Everything is computed from what the row keeps, so that it can be computed again under another calendar.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from math import ceil
from typing import Final

from msgspec.structs import replace

from gateway.cases.model import Application, ClockStop, State
from gateway.register.authority import Profile
from gateway.register.calendar import CHINA, Calendar
from gateway.register.findings import Finding, Severity
from gateway.register.reasons import finding

#: IR 20: every registration within 30 working days from acceptance.
STATUTORY_WORKING_DAYS: Final = 30

#: Half a working day is promised as 4 hours (authority.proto, ServicePromise).
HOURS_A_DAY: Final = 8

#: The authority's clock runs in these. While papers are to come it stands still; a decided case that waits for taxes or
#: payoff is not late by the authority's doing.
RUNNING: Final = frozenset({State.ACCEPTED, State.IN_REVIEW, State.SUSPENDED})

#: The same few dates are asked for all day.
_add_working_days = lru_cache(maxsize=256)(Calendar.add_working_days)


def promised_days(profile: Profile, mode: str, operations: tuple[str, ...]) -> int:
    """Working days in which the place promises to decide such a case; never more than the statute's."""
    promised = _promise(profile, mode)
    if promised is None:
        each = [_promise(profile, operation) for operation in operations]
        promised = max(STATUTORY_WORKING_DAYS if days is None else days for days in each)
    return min(promised, STATUTORY_WORKING_DAYS)


def _promise(profile: Profile, name: str) -> int | None:
    """Of an operation or a mode; hours beyond the days end on a working day too: half a day is the next one's."""
    days = profile.promised_working_days.get(name)
    hours = profile.promised_working_hours.get(name, 0)
    if days is None and not hours:
        return None
    return (days or 0) + ceil(hours / HOURS_A_DAY)


def deadline_of(
    profile: Profile, mode: str, operations: tuple[str, ...], today: dt.date, calendar: Calendar
) -> tuple[dt.date, bool]:
    """The day by which a case accepted today would have to be decided, and whether it is provisional."""
    return _add_working_days(calendar, today, promised_days(profile, mode, operations))


def with_deadlines(row: Application, calendar: Calendar) -> Application:
    """The row with both of its last days as this calendar has them; as it is while it is not accepted."""
    if row.accepted_at is None:
        return row
    first = row.accepted_at.astimezone(CHINA).date()
    stood = sum(calendar.working_days_between(stop.since, stop.until) for stop in row.clock_stops)
    days = STATUTORY_WORKING_DAYS if row.promised_days is None else row.promised_days
    deadline, provisional = _add_working_days(calendar, first, days + stood)
    statutory, statutory_provisional = _add_working_days(calendar, first, STATUTORY_WORKING_DAYS + stood)
    return replace(
        row,
        deadline=deadline,
        deadline_provisional=provisional,
        statutory_deadline=statutory,
        statutory_provisional=statutory_provisional,
    )


def clock_goes_on(row: Application, now: dt.datetime, calendar: Calendar) -> Application:
    """The papers are there: the days for which the clock stood are added to both limits."""
    if row.clock_stopped_on is None:
        return row
    stop = ClockStop(since=row.clock_stopped_on, until=now.astimezone(CHINA).date())
    return with_deadlines(replace(row, clock_stopped_on=None, clock_stops=(*row.clock_stops, stop)), calendar)


def breached_from(row: Application) -> dt.datetime | None:
    """The instant from which the case is late, the end of its last day; None while its clock does not run, or once the
    lateness is recorded.
    """
    if row.deadline is None or row.breached_at is not None or row.state not in RUNNING:
        return None
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
