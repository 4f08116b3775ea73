"""Until when a place promises to decide: days and hours of the profile, within the 30 working days of IR 20.

The cities promise "at once", "1 hour", "half a working day", "1 working day" (handbook 3.5, 10). Whole days end with a
day (CC 201), hours at an instant, counted while the office is open.
"""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.applications.deadlines import decide_breached
from gateway.applications.expiry import NothingDue
from gateway.applications.limits import promise_of, with_deadlines
from gateway.applications.supplement import Supplement, decide_supplement
from gateway.cases.model import Application, PromisedHours, State
from gateway.register.calendar import PACKAGED, OfficeHours
from tests.support import cases as c
from tests.support import later
from tests.support.calendars import YEAR_2027

FRIDAY = dt.date(2026, 11, 20)
NINE_TO_FIVE = OfficeHours()
WHAT = c.submission(c.mortgage_first(), c.mortgage_papers())


def china(text: str) -> dt.datetime:
    """An instant given in China time."""
    return dt.datetime.fromisoformat(text + "+08:00").astimezone(dt.UTC)


def accepted(text: str, hours: int, office: OfficeHours = NINE_TO_FIVE) -> Application:
    """A case that a person decides, accepted then, under a promise of so many hours."""
    profile = replace(c.PROFILE, promised_working_hours={"MORTGAGE_FIRST": hours}, office=office, instant=())
    row = later.filed(c.world(c.unit_state(), profile=profile), WHAT)
    return with_deadlines(replace(row, accepted_at=china(text)), PACKAGED)


@pytest.mark.parametrize(
    ("days", "hours", "deadline"),
    [
        ({"MORTGAGE_FIRST": 0}, {}, FRIDAY),
        ({"MORTGAGE_FIRST": 0}, {"MORTGAGE_FIRST": 4}, FRIDAY),
        ({}, {"MORTGAGE_FIRST": 4}, FRIDAY),
        ({}, {"MORTGAGE_FIRST": 8}, dt.date(2026, 11, 23)),
        ({"MORTGAGE_FIRST": 1}, {"MORTGAGE_FIRST": 12}, dt.date(2026, 11, 24)),
        ({}, {}, dt.date(2027, 1, 4)),
    ],
    ids=["at-once", "half-a-day", "hours-only", "a-day-in-hours", "both", "statute"],
)
def test_promise_is_the_deadline(days: dict[str, int], hours: dict[str, int], deadline: dt.date) -> None:
    """Accepted on a Friday at ten: half a day ends that day, eight hours are a day and end with Monday."""
    profile = replace(c.PROFILE, promised_working_days=days, promised_working_hours=hours, instant=())
    row = later.filed(c.world(c.unit_state(), profile=profile), WHAT)
    assert row.deadline == deadline


@pytest.mark.parametrize(
    ("at", "hours", "ends"),
    [
        ("2026-11-20T10:00:00", 1, "2026-11-20T11:00:00"),
        ("2026-11-20T10:00:00", 4, "2026-11-20T14:00:00"),
        ("2026-11-20T13:00:00", 4, "2026-11-20T17:00:00"),
        ("2026-11-20T15:30:00", 4, "2026-11-23T11:30:00"),
        ("2026-11-20T08:00:00", 1, "2026-11-20T10:00:00"),
        ("2026-11-20T17:00:00", 1, "2026-11-23T10:00:00"),
        ("2026-11-21T03:00:00", 1, "2026-11-23T10:00:00"),
        ("2026-09-30T16:00:00", 4, "2026-10-08T12:00:00"),
        ("2026-10-10T16:30:00", 1, "2026-10-12T09:30:00"),
        ("2026-11-20T10:00:00", 12, "2026-11-23T14:00:00"),
    ],
    ids=[
        "one-hour",
        "half-a-day",
        "just-before-closing",
        "over-a-weekend",
        "before-the-office-opens",
        "as-it-closes",
        "at-night-on-a-day-off",
        "over-the-October-holiday",
        "on-a-make-up-saturday",
        "a-day-and-a-half",
    ],
)
def test_promised_hours_run_while_the_office_is_open(at: str, hours: int, ends: str) -> None:
    """Handbook 10: a promise made on a day off starts on the next working day."""
    row = accepted(at, hours)
    assert (row.deadline_at, row.deadline) == (china(ends), dt.date.fromisoformat(ends[:10]))


def test_office_hours_are_those_of_the_place() -> None:
    """One that stays open until eight in the evening."""
    row = accepted("2026-11-20T16:30:00", 2, OfficeHours(opens=8 * 60, closes=20 * 60))
    assert row.deadline_at == china("2026-11-20T18:30:00")


def test_promise_of_hours_stands_in_the_answer_and_is_provisional_in_a_year_without_a_table() -> None:
    """The outcome, which the receipt opens, says the instant; across an unknown New Year it is provisional."""
    profile = replace(c.PROFILE, promised_working_hours={"MORTGAGE_FIRST": 4}, instant=())
    outcome = c.decide(c.world(c.unit_state(), profile=profile), WHAT).outcome
    assert (outcome.deadline_at, outcome.deadline_provisional) == (china("2026-11-20T14:00:00"), False)
    last = accepted("2026-12-31T16:00:00", 2)
    assert (last.deadline_at, last.deadline_provisional) == (china("2027-01-04T10:00:00"), True)
    known = with_deadlines(last, PACKAGED.with_years(YEAR_2027))
    assert (known.deadline_at, known.deadline_provisional) == (china("2027-01-05T10:00:00"), False)


@pytest.mark.parametrize(
    ("days", "hours", "promised"),
    [
        ({"OWNERSHIP_TRANSFER": 1, "MORTGAGE_FIRST": 0}, {"MORTGAGE_FIRST": 4}, (1, None)),
        ({"OWNERSHIP_TRANSFER": 0, "MORTGAGE_FIRST": 0}, {"MORTGAGE_FIRST": 4}, (1, PromisedHours(hours=4))),
        ({"ET_COMBINED": 0, "MORTGAGE_FIRST": 5}, {"ET_COMBINED": 1}, (1, PromisedHours(hours=1))),
        ({"MORTGAGE_FIRST": 0}, {"MORTGAGE_FIRST": 4}, (30, None)),
        ({"ET_COMBINED": 29}, {"ET_COMBINED": 20}, (30, None)),
    ],
    ids=["a-day-is-longer", "hours-are-longest", "of-the-mode", "a-class-without", "never-over-the-statute"],
)
def test_longest_class_gives_the_promise(
    days: dict[str, int], hours: dict[str, int], promised: tuple[int, PromisedHours | None]
) -> None:
    """One limit a case (S14), in days or in hours, whichever the longest class has."""
    profile = replace(c.PROFILE, promised_working_days=days, promised_working_hours=hours)
    assert promise_of(profile, "ET_COMBINED", ("OWNERSHIP_TRANSFER", "MORTGAGE_FIRST")) == promised


def test_case_is_late_at_its_hour() -> None:
    """Half a working day is over at two in the afternoon: on record then, not at midnight."""
    row = accepted("2026-11-20T10:00:00", 4)
    dossier = later.dossier(c.world(c.unit_state()), WHAT, row)
    with pytest.raises(NothingDue):
        decide_breached(dossier, later.INTERNAL, c.moment(20, china("2026-11-20T13:59:59")))
    decision = decide_breached(dossier, later.INTERNAL, c.moment(20, china("2026-11-20T14:00:00")))
    assert later.row_of(decision).breached_at == china("2026-11-20T14:00:00")


@pytest.mark.parametrize(
    ("came", "ends"),
    [("2026-11-20T15:00:00", "2026-11-20T17:00:00"), ("2026-11-23T10:00:00", "2026-11-23T12:00:00")],
    ids=["the-same-day", "after-the-weekend"],
)
def test_hours_in_which_papers_were_asked_for_are_not_counted(came: str, ends: str) -> None:
    """Asked at noon, two of the four hours gone: the other two are left whenever the papers come."""
    row = accepted("2026-11-20T10:00:00", 4)
    asked = replace(
        row,
        state=State.SUPPLEMENT_REQUESTED,
        supplement_until=china("2026-12-20T12:00:00"),
        clock_stopped_on=FRIDAY,
        clock_stopped_at=china("2026-11-20T12:00:00"),
    )
    new = c.paper("PROOF", sha256="9" * 64)
    act = later.act(Supplement, asked, new, by=c.BANK)
    here = c.world(c.unit_state(), profile=replace(c.PROFILE, instant=()))
    decision = decide_supplement(later.dossier(here, WHAT, asked, new), act, c.moment(30, china(came)))
    assert later.row_of(decision).deadline_at == china(ends)
