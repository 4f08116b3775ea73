"""Working days in China: the State Council's dated tables, and statute where a year has none yet.

A year has a table when the folder has `calendar_<year>.csv` (holidays and make-up working days, as
published each autumn). For any other year the days off are computed from statute
(全国年节及纪念日放假 办法 of 2024-11-10: 13 days; those on a weekend are made up on the next
working days), without the bridge days that nobody can know: such a result is `provisional`, never
refused (handbook 10). Periods are counted by CC 201 and 203: the first day is not counted, a last
day off rolls on.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

#: An operator is told this many days before the tables end.
ALERT_DAYS = 90

#: A pre-notice lapses when nobody applies within these days of the registration becoming possible (CC 221).
PRE_NOTICE_DAYS = 90

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


def is_known_year(year: int) -> bool:
    """Whether the State Council's table of this year is imported."""
    return year in _TABLES


def is_working_day(day: dt.date) -> bool:
    """Whether offices work on this day; from statute alone where the year has no table."""
    table = _TABLES.get(day.year)
    if table is not None:
        return table.get(day, day.weekday() < _SATURDAY)
    return day.weekday() < _SATURDAY and day not in statutory_days_off(day.year)


def add_working_days(start: dt.date, days: int) -> tuple[dt.date, bool]:
    """The last day of a period of working days, and whether it is provisional.

    The day of the event is not counted (CC 201), so one working day from a Friday is mostly the
    Monday after. Provisional: some day of the span lies in a year without a table. Raises
    ValueError for a negative number of days.
    """
    if days < 0:
        raise ValueError(f"working days to add: {days} is negative")
    day = start
    for _ in range(days):
        day += _DAY
        while not is_working_day(day):
            day += _DAY
    return day, _is_provisional(start, day)


def add_calendar_days(start: dt.date, days: int) -> tuple[dt.date, bool]:
    """The last day of a period of calendar days, rolled on from a day off (CC 203).

    Second: whether it is provisional. Raises ValueError for a negative number of days.
    """
    if days < 0:
        raise ValueError(f"calendar days to add: {days} is negative")
    return roll(start + days * _DAY)


def lapses_after(registrable_from: dt.date) -> tuple[dt.date, bool]:
    """The last day on which a pre-notice can be converted, and whether it is provisional (CC 203, 221)."""
    return add_calendar_days(registrable_from, PRE_NOTICE_DAYS)


def roll(day: dt.date) -> tuple[dt.date, bool]:
    """The day itself, or the next working day after a day off (CC 203); provisional or not."""
    rolled = day
    while not is_working_day(rolled):
        rolled += _DAY
    return rolled, _is_provisional(day, rolled)


def table_end() -> dt.date:
    """The last day up to which tables exist without a gap from the first one on."""
    year = min(_TABLES)
    while year + 1 in _TABLES:
        year += 1
    return dt.date(year, 12, 31)


def days_until_table_end(today: dt.date) -> int:
    """Days left until `table_end`; negative when it has passed."""
    return (table_end() - today).days


def is_table_ending(today: dt.date) -> bool:
    """Whether the operator must be told to import the next year: from 90 days before the end."""
    return days_until_table_end(today) <= ALERT_DAYS


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


def _is_provisional(first: dt.date, last: dt.date) -> bool:
    return any(not is_known_year(year) for year in range(first.year, last.year + 1))


def _load(folder: Path) -> Mapping[int, Mapping[dt.date, bool]]:
    """Every table of the folder: year -> its exceptions, day -> whether it is worked.

    Raises ValueError for a day that is out of its year, has a wrong weekday, or says nothing new.
    """
    tables: dict[int, Mapping[dt.date, bool]] = {}
    for path in sorted(folder.glob("calendar_*.csv")):
        year = int(path.stem.removeprefix("calendar_"))
        exceptions: dict[dt.date, bool] = {}
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                day = dt.date.fromisoformat(row["date"])
                if day.year != year or _WEEKDAYS[day.weekday()] != row["weekday"]:
                    raise ValueError(f"{path.name}: {day} {row['weekday']} is no day of {year}")
                if day in exceptions or row["is_workday"] not in ("0", "1"):
                    raise ValueError(f"{path.name}: {day} comes twice or is neither 0 nor 1")
                exceptions[day] = row["is_workday"] == "1"
        tables[year] = MappingProxyType(exceptions)
    if not tables:
        raise ValueError("no calendar_<year>.csv beside gateway/register/calendar.py")
    return MappingProxyType(tables)


_TABLES = _load(Path(__file__).parent)
