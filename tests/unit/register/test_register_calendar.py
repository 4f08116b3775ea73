"""Working days: the dated table, statute outside it, and what is provisional (handbook 10)."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.register.calendar import (
    PACKAGED,
    Calendar,
    CalendarInvalid,
    read_table,
    statutory_days_off,
)
from tests.support.calendars import CSV_2027, YEAR_2027

DAY = dt.timedelta(days=1)


def test_year_2026_has_248_working_days() -> None:
    """The State Council's table of 2026, make-up days included."""
    days = [dt.date(2026, 1, 1) + n * DAY for n in range(365)]
    assert sum(PACKAGED.is_working_day(day) for day in days) == 248


@pytest.mark.parametrize(
    "text", ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]
)
def test_make_up_day_is_worked(text: str) -> None:
    """A weekend day that was swapped is a working day."""
    assert PACKAGED.is_working_day(dt.date.fromisoformat(text))


def test_year_without_table_computes_thirteen_days_and_what_falls_on_weekends() -> None:
    """Statute alone: 13 days off a year; one on a weekend is made up on the next working day."""
    weekdays = [d for d in statutory_days_off(2028) if d.weekday() < 5]
    assert len(weekdays) == 13
    assert dt.date(2028, 1, 3) in weekdays  # New Year's Day 2028 is a Saturday


@pytest.mark.parametrize("year", range(2027, 2036))
def test_year_without_table_always_has_thirteen_weekdays_off(year: int) -> None:
    """However the lunar days fall, nobody loses one (放假办法 of 2024-11-10)."""
    assert sum(d.weekday() < 5 for d in statutory_days_off(year)) == 13


def test_add_working_days_into_unknown_year_is_provisional() -> None:
    """A date in a year without a table is computed and marked, never refused."""
    assert PACKAGED.add_working_days(dt.date(2026, 12, 30), 1) == (dt.date(2026, 12, 31), False)
    assert PACKAGED.add_working_days(dt.date(2026, 12, 31), 1) == (dt.date(2027, 1, 4), True)


def test_add_working_days_none_is_the_day_itself() -> None:
    """A period of no days ends where it starts, be it a day off."""
    assert PACKAGED.add_working_days(dt.date(2026, 10, 1), 0) == (dt.date(2026, 10, 1), False)


@pytest.mark.parametrize("add", [PACKAGED.add_working_days, PACKAGED.add_calendar_days])
def test_add_days_negative_is_refused(add: object) -> None:
    """A period does not run backwards."""
    with pytest.raises(ValueError, match="negative"):
        add(dt.date(2026, 1, 5), -1)  # type: ignore[operator]


def test_roll_working_day_stays_and_day_off_moves_on() -> None:
    """CC 203: a last day off is followed by the next working day."""
    assert PACKAGED.roll(dt.date(2026, 10, 10)) == (dt.date(2026, 10, 10), False)
    assert PACKAGED.roll(dt.date(2026, 10, 1)) == (dt.date(2026, 10, 8), False)


def test_pre_notice_ninety_days_scenario_16() -> None:
    """Registrable from 2026-07-03: the last day to convert is 2026-10-08 (scenario 16)."""
    assert PACKAGED.add_calendar_days(dt.date(2026, 7, 3), 90)[0] == dt.date(2026, 10, 8)


def test_days_until_table_end_counts_down() -> None:
    """The operator hears of it 90 days before, and after the end too."""
    assert PACKAGED.days_until_table_end(dt.date(2026, 12, 31)) == 0
    assert PACKAGED.is_table_ending(dt.date(2027, 3, 1))
    assert not PACKAGED.is_table_ending(dt.date(2026, 6, 1))


def test_imported_year_is_known_and_the_software_s_stay() -> None:
    """A year that was imported is no longer computed: 2027 as it will be published, 2026 as it came."""
    both = PACKAGED.with_years(YEAR_2027)
    assert both.add_working_days(dt.date(2026, 11, 20), 30) == (dt.date(2027, 1, 5), False)
    assert both.table_end() == dt.date(2027, 12, 31)
    assert not both.is_table_ending(dt.date(2026, 12, 1))
    assert PACKAGED.add_working_days(dt.date(2026, 11, 20), 30) == (dt.date(2027, 1, 4), True)


def test_gap_between_tables_is_where_they_end() -> None:
    """2028 without 2027: nobody knows the days between."""
    assert PACKAGED.with_years(Calendar(years={2028: {}})).table_end() == dt.date(2026, 12, 31)


@pytest.mark.parametrize(
    ("line", "change", "words"),
    [
        (0, ("2027-01-01,Fri,holiday,元旦,0\n", ""), "2027-01-01 is a statutory holiday"),
        (2, ("2027-01-01,Fri", "2027-01-01,Sat"), "is no Sat"),
        (3, ("2027-01-04", "2027-02-30"), "is no date"),
        (3, ("2027-01-04,Mon", "2028-01-04,Tue"), "another year"),
        (3, ("2027-01-04,Mon", "2027-01-01,Fri"), "comes twice"),
        (2, ("元旦,0", "元旦,off"), "neither 0 nor 1"),
        (1, ("date,weekday", "day,weekday"), "heading"),
    ],
)
def test_table_that_cannot_be_the_councils_is_refused_by_line(
    line: int, change: tuple[str, str], words: str
) -> None:
    """A mistyped table would move every deadline of a year."""
    with pytest.raises(CalendarInvalid, match=words) as caught:
        read_table(CSV_2027.replace(*change, 1).splitlines())
    assert caught.value.line == line


def test_table_without_days_is_refused() -> None:
    """A heading alone says nothing of any year."""
    with pytest.raises(CalendarInvalid):
        read_table(CSV_2027.splitlines()[:1])
