"""Limits of an accepted case: computed from what its row keeps, moved by a calendar or a pause, and late once."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.applications.administration import ActInvalid, OperatorAct, decide_calendar
from gateway.applications.deadlines import decide_breached, decide_recomputed
from gateway.applications.expiry import NothingDue
from gateway.applications.limits import breached_from, promise_of, with_deadlines
from gateway.applications.party import Decline, decide_decline
from gateway.applications.supplement import Supplement, decide_supplement
from gateway.cases.decision import Decision
from gateway.cases.effects import CalendarSet
from gateway.cases.model import Application, Moment, Result, State, World
from gateway.register.calendar import PACKAGED, Calendar
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later
from tests.support.calendars import YEAR_2027
from tests.unit.kinds.test_encumbered_transfer import paid_case

SLOW = replace(c.PROFILE, instant=())
WHAT = c.submission(c.mortgage_first(), c.mortgage_papers())
KNOWN = PACKAGED.with_years(YEAR_2027)


def day(text: str, hour: int = 12) -> dt.datetime:
    """That hour of a day in China."""
    return dt.datetime.fromisoformat(f"{text}T{hour:02}:00:00+08:00").astimezone(dt.UTC)


def accepted(here: World) -> Application:
    """A mortgage that a person decides, accepted on Friday 2026-11-20."""
    row = later.filed(here, WHAT)
    assert row.state is State.ACCEPTED
    return row


def world(**changes: object) -> World:
    """A registry in which a person decides and nothing is promised."""
    return later.world(**{"profile": SLOW, **changes})


def asked(row: Application, on: str) -> Application:
    """Papers were asked for on a day."""
    return replace(
        row,
        state=State.SUPPLEMENT_REQUESTED,
        supplement_until=day(on) + dt.timedelta(days=30),
        clock_stopped_on=dt.date.fromisoformat(on),
    )


def supplemented(here: World, row: Application, on: str) -> Decision:
    """They came on another day."""
    new = c.paper("PROOF", sha256="9" * 64)
    act = later.act(Supplement, row, new, by=c.BANK)
    return decide_supplement(later.dossier(here, WHAT, row, new), act, c.moment(30, day(on)))


def breach(here: World, row: Application, at: Moment) -> Decision:
    """The clock finds it late."""
    return decide_breached(later.dossier(here, WHAT, row), later.INTERNAL, at)


# -- the calendar ---------------------------------------------------------------------------------------------------


def test_accepted_before_the_year_is_published_is_accepted_with_a_provisional_deadline() -> None:
    """Golden 41: accepted 2026-11-20 without 2027: 2027-01-04, provisional, and the answer says so."""
    decision = c.decide(world(), WHAT)
    outcome = decision.outcome
    assert outcome.result is Result.ACCEPTED
    assert (outcome.deadline, outcome.deadline_provisional) == (dt.date(2027, 1, 4), True)
    [warned] = [f for f in outcome.findings if f.code == "W-PROVISIONAL_DATE"]
    assert "2027-01-04" in warned.zh
    assert "2027-01-04" in warned.en


def test_import_of_the_year_computes_the_deadline_anew_and_tells() -> None:
    """Golden 41: under the table of 2027 it is 2027-01-05, certain; an entry of its own, told to the institutions."""
    row = accepted(world())
    here = world(calendar=KNOWN)
    decision = decide_recomputed(later.dossier(here, WHAT, row), later.INTERNAL, c.moment(40))
    after = later.row_of(decision)
    assert decision.kind == "deadline.changed"
    assert (after.deadline, after.deadline_provisional) == (dt.date(2027, 1, 5), False)
    assert (after.statutory_deadline, after.statutory_provisional) == (dt.date(2027, 1, 5), False)
    assert after.findings_index == row.findings_index
    assert later.events_of(decision)[c.BANK_USCC] == "DEADLINE_CHANGED"
    with pytest.raises(NothingDue):
        decide_recomputed(later.dossier(here, WHAT, after), later.INTERNAL, c.moment(41))


def test_case_that_ended_keeps_the_deadline_that_it_had() -> None:
    """Nothing is computed anew for what is over."""
    row = replace(accepted(world()), state=State.REFUSED)
    with pytest.raises(NothingDue):
        decide_recomputed(later.dossier(world(calendar=KNOWN), WHAT, row), later.INTERNAL, c.moment(40))


def test_import_is_an_entry_that_keeps_the_years_imported_before() -> None:
    """Effect calendar.set.v1 holds all imported years; the same table twice changes nothing and is refused."""
    act = OperatorAct(
        request_id="r", payload_sha256="8" * 64, created_at=c.NOW, not_after=c.NOW + dt.timedelta(hours=1)
    )
    first = decide_calendar(2027, YEAR_2027.years[2027], None, act, c.moment())
    [told] = [e for e in first.effects if isinstance(e, CalendarSet)]
    second = decide_calendar(2028, {dt.date(2028, 1, 3): False}, told.calendar, act, c.moment())
    [both] = [e for e in second.effects if isinstance(e, CalendarSet)]
    assert (first.kind, sorted(both.calendar.years)) == ("calendar.set", [2027, 2028])
    with pytest.raises(ActInvalid):
        decide_calendar(2028, {dt.date(2028, 1, 3): False}, both.calendar, act, c.moment())


# -- promise and statute --------------------------------------------------------------------------------------------


def test_promise_stands_beside_the_statute() -> None:
    """IR 20 and OBE 47: what the place promises is the deadline, the 30 working days are told beside it."""
    profile = replace(SLOW, promised_working_days={"MORTGAGE_FIRST": 2})
    outcome = c.decide(world(profile=profile), WHAT).outcome
    assert (outcome.deadline, outcome.deadline_provisional) == (dt.date(2026, 11, 24), False)
    assert (outcome.statutory_deadline, outcome.statutory_provisional) == (dt.date(2027, 1, 4), True)


@pytest.mark.parametrize(
    ("promises", "days"),
    [
        ({"ET_COMBINED": 3, "MORTGAGE_FIRST": 1}, 3),
        ({"OWNERSHIP_TRANSFER": 5, "MORTGAGE_RELEASE": 1, "MORTGAGE_FIRST": 1}, 5),
        ({"MORTGAGE_FIRST": 1}, 30),
        ({"ET_COMBINED": 45}, 30),
    ],
    ids=["of-the-mode", "longest-class", "a-class-without-promise", "never-over-the-statute"],
)
def test_combined_case_has_one_limit(promises: dict[str, int], days: int) -> None:
    """办理时限仅按1个登记类别确定 (S14): the mode's own promise, else the longest of its classes."""
    profile = replace(SLOW, promised_working_days=promises)
    operations = ("OWNERSHIP_TRANSFER", "MORTGAGE_RELEASE", "MORTGAGE_FIRST")
    assert promise_of(profile, "ET_COMBINED", operations) == (days, None)


def test_combined_case_is_accepted_under_the_promise_of_its_mode() -> None:
    """The row keeps it."""
    profile = replace(d.PROFILE, promised_working_days={"ET_COMBINED": 3})
    row = later.row_of(c.decide(d.world(profile=profile), paid_case()))
    assert row.promised_days == 3


# -- the clock stands and goes on -----------------------------------------------------------------------------------


def test_days_for_which_papers_were_asked_are_not_counted() -> None:
    """Asked Monday, there on Thursday: three working days more, on both limits."""
    here = world(profile=replace(SLOW, promised_working_days={"MORTGAGE_FIRST": 5}), calendar=KNOWN)
    row = accepted(here)
    assert (row.deadline, row.statutory_deadline) == (dt.date(2026, 11, 27), dt.date(2027, 1, 5))
    after = later.row_of(supplemented(here, asked(row, "2026-11-23"), "2026-11-26"))
    assert (after.deadline, after.statutory_deadline) == (dt.date(2026, 12, 2), dt.date(2027, 1, 8))
    again = later.row_of(supplemented(here, asked(after, "2026-12-01"), "2026-12-02"))
    assert again.deadline == dt.date(2026, 12, 3)


def test_pause_counts_under_the_calendar_that_is_imported_later() -> None:
    """What the clock stood for is kept as days of the calendar, not as their number."""
    here = world()
    row = later.row_of(supplemented(here, asked(accepted(here), "2026-12-30"), "2027-01-05"))
    assert row.deadline == dt.date(2027, 1, 7)  # 2027-01-04, and the 31st, the 4th and the 5th
    known = with_deadlines(row, KNOWN)
    assert known.deadline == dt.date(2027, 1, 7)  # 2027-01-05, and the 31st and the 5th


def test_pause_ends_when_a_party_objects_too() -> None:
    """A dispute takes the case to a person: what had been asked for is asked anew, and the clock runs."""
    here, what = later.world(profile=SLOW), later.portfolio()
    papers = replace(later.filed(here, what), bound_institutions=(later.FUND_USCC,))
    row = with_deadlines(replace(papers, accepted_at=c.NOW, accepted_index=7, promised_days=5), here.calendar)
    stopped = asked(row, "2026-11-23")
    act = later.act(Decline, stopped)
    after = later.row_of(
        decide_decline(later.dossier(here, what, stopped), act, c.moment(9, day("2026-11-24")))
    )
    assert after.clock_stopped_on is None
    assert after.deadline == dt.date(2026, 11, 30)


# -- late -----------------------------------------------------------------------------------------------------------


def test_case_is_late_when_its_last_day_is_over_and_only_once() -> None:
    """An entry and an event; nothing is decided by it, and it is not told again."""
    here = world(profile=replace(SLOW, promised_working_days={"MORTGAGE_FIRST": 1}))
    row = accepted(here)
    assert row.deadline == dt.date(2026, 11, 23)
    with pytest.raises(NothingDue):
        breach(here, row, c.moment(20, day("2026-11-23", 23)))
    decision = breach(here, row, c.moment(20, day("2026-11-24", 0)))
    after = later.row_of(decision)
    assert decision.kind == "deadline.breached"
    assert (after.state, after.breached_at) == (State.ACCEPTED, day("2026-11-24", 0))
    assert later.events_of(decision)[c.BANK_USCC] == "DEADLINE_BREACHED"
    with pytest.raises(NothingDue):
        breach(here, after, c.moment(21, day("2026-11-25")))


@pytest.mark.parametrize("state", [State.SUPPLEMENT_REQUESTED, State.AWAITING_TAX, State.AWAITING_PAYOFF])
def test_case_that_waits_for_others_is_not_late(state: State) -> None:
    """The clock stands, or the authority has decided and waits for taxes or payoff."""
    row = replace(accepted(world()), state=state)
    assert breached_from(row) is None
    assert breached_from(replace(row, state=State.IN_REVIEW)) is not None


def test_lateness_on_a_provisional_day_is_taken_back_by_the_calendar() -> None:
    """Late after 2027-01-04 by statute; the table puts the last day on 2027-01-05: it may be late again."""
    here = world()
    late = later.row_of(breach(here, accepted(here), c.moment(20, day("2027-01-05", 0))))
    decision = decide_recomputed(
        later.dossier(world(calendar=KNOWN), WHAT, late), later.INTERNAL, c.moment(21, day("2027-01-05", 9))
    )
    after = later.row_of(decision)
    assert (after.deadline, after.breached_at) == (dt.date(2027, 1, 5), None)
    assert breached_from(after) == day("2027-01-06", 0)


def test_lateness_stands_when_the_calendar_comes_after_the_new_day_too() -> None:
    """Once a case."""
    here = world()
    late = later.row_of(breach(here, accepted(here), c.moment(20, day("2027-01-05", 0))))
    decision = decide_recomputed(
        later.dossier(world(calendar=KNOWN), WHAT, late), later.INTERNAL, c.moment(21, day("2027-01-07"))
    )
    assert later.row_of(decision).breached_at == late.breached_at


def test_calendar_value_is_one_object_for_whoever_caches_by_it() -> None:
    """Two equal calendars are told apart: answers are cached by identity."""
    assert Calendar(years={}) != Calendar(years={})
