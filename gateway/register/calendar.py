"""Working days in China: the State Council's dated tables, and statute where a year has none yet.

A registry's `Calendar` is a value: the tables that came with the software (`calendar_<year>.csv` beside this file), and
over them those that an operator imported (effect calendar.set.v1). A decision gets it with its world; nothing here
decides by itself. Each table says which days of its year are off and which weekend days are worked, as published each
autumn. For any other year the days off are computed from statute (全国年节及纪念日放假办法 of 2024-11-10: 13 days;
those on a weekend are made up on the next working days), without the bridge days that nobody can know: such a result
is `provisional`, never refused (handbook 10). Periods are counted by CC 201 and 203: the first day is not counted, a
last day off rolls on.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from gateway.register.model import Value

#: One time zone, without daylight saving.
CHINA = dt.timezone(dt.timedelta(hours=8))

#: An operator is told this many days before the tables end.
ALERT_DAYS = 90

#: A pre-notice lapses when nobody applies within these days of the registration becoming possible (CC 221).
PRE_NOTICE_DAYS = 90

#: A dissent lapses when no suit is filed within these days (CC 220).
DISSENT_DAYS = 15

CHINA = dt.timezone(dt.timedelta(hours=8))

_DAY = dt.timedelta(days=1)
_SATURDAY = 5
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

#: Days off with a date of their own (month, day): New Year 1, Labour Day 2, National Day 3.
_FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3))

#: First day of the lunar year; New Year's Eve and the three days from the first are off.
_SPRING_FESTIVAL = {
    2025: (1, 29), 2027: (2, 6), 2028: (1, 26), 2029: (2, 13), 2030: (2, 3), 2031: (1, 23),
    2032: (2, 11), 2033: (1, 31), 2034: (2, 19), 2035: (2, 8),
}  # fmt: skip
_DRAGON_BOAT = {
    2025: (5, 31), 2027: (6, 9), 2028: (5, 28), 2029: (6, 16), 2030: (6, 5), 2031: (6, 24),
    2032: (6, 12), 2033: (6, 1), 2034: (6, 20), 2035: (6, 10),
}  # fmt: skip
_MID_AUTUMN = {
    2025: (10, 6), 2027: (9, 15), 2028: (10, 3), 2029: (9, 22), 2030: (9, 12), 2031: (10, 1),
    2032: (9, 19), 2033: (9, 8), 2034: (9, 27), 2035: (9, 16),
}  # fmt: skip


class CalendarInvalid(ValueError):
    """A table that cannot be that of a year; `line` is where, from 1, heading included (0: the file as a whole)."""

    def __init__(self, line: int, zh: str, en: str) -> None:
        super().__init__(f"line {line}: {en}" if line else en)
        self.line = line
        self.zh = zh
        self.en = en


class OfficeHours(Value, frozen=True, kw_only=True):
    """When an office is open on a working day, in minutes after midnight in China: 0 <= opens < closes <= 1440.

    By default 09:00 to 17:00: eight hours, of which half a working day is four.
    """

    opens: int = 9 * 60
    closes: int = 17 * 60

    def __str__(self) -> str:
        return " – ".join(f"{m // 60:02}:{m % 60:02}" for m in (self.opens, self.closes))

    def on(self, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
        """From when until when on that day."""
        midnight = dt.datetime.combine(day, dt.time(), CHINA)
        return midnight + dt.timedelta(minutes=self.opens), midnight + dt.timedelta(minutes=self.closes)


class Calendar(Value, frozen=True, kw_only=True, eq=False):
    """The years of which a table is known: year -> its exceptions, day -> whether it is worked.

    Compared by identity, so that answers may be cached by it: the one in force is one object until the next import.
    """

    years: dict[int, dict[dt.date, bool]] = {}

    def with_years(self, others: Calendar) -> Calendar:
        """These tables with those of another calendar in their place where both know a year."""
        return Calendar(years={**self.years, **others.years})

    def is_known_year(self, year: int) -> bool:
        """Whether the State Council's table of this year is known."""
        return year in self.years

    def is_working_day(self, day: dt.date) -> bool:
        """Whether offices work on this day; from statute alone where the year has no table."""
        table = self.years.get(day.year)
        if table is not None:
            return table.get(day, day.weekday() < _SATURDAY)
        return day.weekday() < _SATURDAY and day not in statutory_days_off(day.year)

    def add_working_days(self, start: dt.date, days: int) -> tuple[dt.date, bool]:
        """The last day of a period of working days, and whether it is provisional.

        The day of the event is not counted (CC 201), so one working day from a Friday is mostly the Monday after.
        Provisional: some day of the span lies in a year without a table. Raises ValueError for a negative number.
        """
        if days < 0:
            raise ValueError(f"working days to add: {days} is negative")
        day = start
        for _ in range(days):
            day += _DAY
            while not self.is_working_day(day):
                day += _DAY
        return day, self._is_provisional(start, day)

    def add_office_time(
        self, start: dt.datetime, span: dt.timedelta, office: OfficeHours
    ) -> tuple[dt.datetime, bool]:
        """When the office has been open for `span` after an instant, and whether that is provisional (CC 201(2)).

        Out of hours and on a day off nothing runs: what came at night starts when the office opens. Raises ValueError
        for a negative span.
        """
        if span < dt.timedelta():
            raise ValueError(f"office time to add: {span} is negative")
        now = start.astimezone(CHINA)
        first = now.date()
        while True:
            opens, closes = office.on(now.date())
            now = max(now, opens)
            if self.is_working_day(now.date()) and now < closes:
                if now + span <= closes:
                    return (now + span).astimezone(dt.UTC), self._is_provisional(first, now.date())
                span -= closes - now
            now = dt.datetime.combine(now.date() + _DAY, dt.time(), CHINA)

    def office_time_between(self, first: dt.datetime, last: dt.datetime, office: OfficeHours) -> dt.timedelta:
        """For how long the office was open between two instants."""
        total = dt.timedelta()
        day = first.astimezone(CHINA).date()
        while day <= last.astimezone(CHINA).date():
            opens, closes = office.on(day)
            if self.is_working_day(day):
                total += max(min(closes, last) - max(opens, first), dt.timedelta())
            day += _DAY
        return total

    def working_days_between(self, first: dt.date, last: dt.date) -> int:
        """Working days after `first` up to and with `last` (CC 201: the first day is not counted)."""
        return sum(self.is_working_day(first + (n + 1) * _DAY) for n in range((last - first).days))

    def add_calendar_days(self, start: dt.date, days: int) -> tuple[dt.date, bool]:
        """The last day of a period of calendar days, rolled on from a day off (CC 203).

        Second: whether it is provisional. Raises ValueError for a negative number of days.
        """
        if days < 0:
            raise ValueError(f"calendar days to add: {days} is negative")
        return self.roll(start + days * _DAY)

    def lapses_after(self, registrable_from: dt.date) -> tuple[dt.date, bool]:
        """The last day on which a pre-notice can be converted, and whether it is provisional (CC 203, 221)."""
        return self.add_calendar_days(registrable_from, PRE_NOTICE_DAYS)

    def suit_due_on(self, booked_on: dt.date) -> tuple[dt.date, bool]:
        """The last day for filing suit over a dissent booked on a day, and whether it is provisional (CC 203, 220)."""
        return self.add_calendar_days(booked_on, DISSENT_DAYS)

    def roll(self, day: dt.date) -> tuple[dt.date, bool]:
        """The day itself, or the next working day after a day off (CC 203); provisional or not."""
        rolled = day
        while not self.is_working_day(rolled):
            rolled += _DAY
        return rolled, self._is_provisional(day, rolled)

    def table_end(self) -> dt.date:
        """The last day up to which tables exist without a gap from the first one on."""
        year = min(self.years)
        while year + 1 in self.years:
            year += 1
        return dt.date(year, 12, 31)

    def days_until_table_end(self, today: dt.date) -> int:
        """Days left until `table_end`; negative when it has passed."""
        return (self.table_end() - today).days

    def is_table_ending(self, today: dt.date) -> bool:
        """Whether the operator must be told to import the next year: from 90 days before the end."""
        return self.days_until_table_end(today) <= ALERT_DAYS

    def _is_provisional(self, first: dt.date, last: dt.date) -> bool:
        return any(year not in self.years for year in range(first.year, last.year + 1))


def read_table(lines: Iterable[str]) -> tuple[int, dict[dt.date, bool]]:
    """The year of a table and its exceptions, from the CSV of calendar_2026.csv: date, weekday, kind, name, is_workday.

    Raises CalendarInvalid for a row that is no day of the year or comes twice, and for a table in which a holiday that
    statute puts on a date of its own is worked: it cannot be what the State Council published.
    """
    exceptions: dict[dt.date, bool] = {}
    rows = csv.DictReader(lines)
    if not {"date", "weekday", "is_workday"} <= set(rows.fieldnames or ()):
        raise CalendarInvalid(
            1, "表头应为 date,weekday,kind,name,is_workday", "the heading is not that of a calendar"
        )
    for line, row in enumerate(rows, start=2):
        text = row["date"] or ""
        try:
            day = dt.date.fromisoformat(text)
        except ValueError:
            raise CalendarInvalid(line, f"{text!r} 不是日期", f"{text!r} is no date") from None
        if exceptions and day.year != next(iter(exceptions)).year:
            raise CalendarInvalid(
                line, f"{day} 不在同一年", f"{day} is of another year than the rows before it"
            )
        if _WEEKDAYS[day.weekday()] != row["weekday"]:
            raise CalendarInvalid(line, f"{day} 不是 {row['weekday']}", f"{day} is no {row['weekday']}")
        if day in exceptions or row["is_workday"] not in ("0", "1"):
            raise CalendarInvalid(
                line, f"{day} 重复，或者 is_workday 不是 0 或 1", f"{day} comes twice or is neither 0 nor 1"
            )
        exceptions[day] = row["is_workday"] == "1"
    if not exceptions:
        raise CalendarInvalid(0, "表内没有日期", "the table has no days")
    year = next(iter(exceptions)).year
    for month, number in _FIXED_HOLIDAYS:
        day = dt.date(year, month, number)
        if exceptions.get(day, day.weekday() < _SATURDAY):
            raise CalendarInvalid(
                0,
                f"{day} 为法定节假日，表内却为工作日",
                f"{day} is a statutory holiday, the table has it worked",
            )
    return year, exceptions


@cache
def statutory_days_off(year: int) -> frozenset[dt.date]:
    """The days off of a year by statute; those on a weekend, or on another one, are made up next.

    Lunar dates are known for 2025 to 2035; elsewhere only New Year, Qingming, Labour Day and
    National Day count. A made-up day stays within what statute says: no bridge days.
    """
    holidays = [dt.date(year, month, day) for month, day in _FIXED_HOLIDAYS]
    holidays.append(dt.date(year, 4, _qingming(year)))
    if year in _SPRING_FESTIVAL:
        first = dt.date(year, *_SPRING_FESTIVAL[year])
        holidays += [first + n * _DAY for n in (-1, 0, 1, 2)]
        holidays += [dt.date(year, *table[year]) for table in (_DRAGON_BOAT, _MID_AUTUMN)]
    holidays.sort()
    days_off = set(holidays)
    for position, holiday in enumerate(holidays):
        is_second = position > 0 and holidays[position - 1] == holiday
        if holiday.weekday() >= _SATURDAY or is_second:
            made_up = holiday
            while made_up.weekday() >= _SATURDAY or made_up in days_off:
                made_up += _DAY
            days_off.add(made_up)
    return frozenset(days_off)


def _qingming(year: int) -> int:
    """Day in April of 清明 in 2000-2099, by the usual formula for that century (0.2422, 4.81)."""
    since = year % 100
    return int(since * 0.2422 + 4.81) - since // 4


def _load(folder: Path) -> Calendar:
    """The tables beside this file. Raises ValueError for one that is not of the year in its name, or for none."""
    years: dict[int, dict[dt.date, bool]] = {}
    for path in sorted(folder.glob("calendar_*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            year, exceptions = read_table(lines)
        if path.stem != f"calendar_{year}":
            raise ValueError(f"{path.name} holds the days of {year}")
        years[year] = exceptions
    if not years:
        raise ValueError("no calendar_<year>.csv beside gateway/register/calendar.py")
    return Calendar(years=years)


#: What came with the software; a registry's own imports go over it.
PACKAGED = _load(Path(__file__).parent)
