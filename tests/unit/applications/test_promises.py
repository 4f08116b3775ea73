"""Until when a place promises to decide: days and hours of the profile, within the 30 working days of IR 20."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from tests.support import cases as c
from tests.support import later

FRIDAY = dt.date(2026, 11, 20)


@pytest.mark.parametrize(
    ("days", "hours", "deadline"),
    [
        ({"MORTGAGE_FIRST": 0}, {}, FRIDAY),
        ({"MORTGAGE_FIRST": 0}, {"MORTGAGE_FIRST": 4}, dt.date(2026, 11, 23)),
        ({}, {"MORTGAGE_FIRST": 4}, dt.date(2026, 11, 23)),
        ({"MORTGAGE_FIRST": 1}, {"MORTGAGE_FIRST": 12}, dt.date(2026, 11, 25)),
        ({}, {}, dt.date(2027, 1, 4)),
    ],
    ids=["at-once", "half-a-day", "hours-only", "both", "statute"],
)
def test_promise_is_the_deadline(days: dict[str, int], hours: dict[str, int], deadline: dt.date) -> None:
    """Accepted on a Friday: half a working day ends on Monday; without a promise the statute's 30 days hold."""
    profile = replace(c.PROFILE, promised_working_days=days, promised_working_hours=hours, instant=())
    row = later.filed(
        c.world(c.unit_state(), profile=profile), c.submission(c.mortgage_first(), c.mortgage_papers())
    )
    assert row.deadline == deadline
