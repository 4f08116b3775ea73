"""How many submissions of one institution a registry takes in a day: a counter of the ledger (profile)."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.applications.daily import counter_of_day
from gateway.applications.rehearsal import rehearse
from gateway.cases.effects import CounterMoved
from gateway.cases.errors import QuotaExceeded
from gateway.cases.model import Result, World
from tests.support import cases as c

COUNTER = "submissions/913202810000BK1K5U/2026-11-20"


def limited(taken: int, per_day: int = 2) -> World:
    """A registry that takes so many of an institution in a day, and has taken some."""
    profile = replace(c.PROFILE, submissions_per_day=per_day)
    return c.world(c.unit_state(), profile=profile, counters={COUNTER: taken})


def what() -> c.Submission:
    """A complete mortgage."""
    return c.submission(c.mortgage_first(), c.mortgage_papers())


def moved(world: World) -> dict[str, int]:
    """The counters of submissions that a decision moves."""
    effects = c.decide(world, what()).effects
    return {
        e.name: e.value for e in effects if isinstance(e, CounterMoved) and e.name.startswith("submissions/")
    }


def test_submission_within_the_quota_is_counted() -> None:
    """The second of two: taken, and counted in its own entry."""
    assert moved(limited(1)) == {COUNTER: 2}


def test_submission_not_accepted_is_counted_too() -> None:
    """What the law answered is an entry, whatever it said."""
    decision = c.decide(limited(0), c.submission(c.mortgage_first(), {}))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert CounterMoved(name=COUNTER, value=1) in decision.effects


def test_submission_beyond_the_quota_waits_for_midnight_in_china() -> None:
    """Refused, with the seconds until the quota opens again: it is 10:00 in China."""
    with pytest.raises(QuotaExceeded) as refused:
        c.decide(limited(2), what())
    assert refused.value.retry_seconds == dt.timedelta(hours=14).total_seconds()
    assert refused.value.metadata == {"perDay": "2"}


def test_without_a_limit_nothing_is_counted() -> None:
    """0 means no limit."""
    assert moved(limited(99, per_day=0)) == {}


def test_rehearsal_does_not_use_the_quota_up() -> None:
    """It has a quota of its own."""
    submission = what()
    header = replace(submission.manifest.header, validate_only=True)
    submission = replace(submission, manifest=replace(submission.manifest, header=header))
    assert rehearse(limited(2), submission, c.moment()).would_be is Result.BOOKED


def test_day_is_chinas() -> None:
    """16:00 UTC begins the next day."""
    late = dt.datetime(2026, 11, 20, 16, tzinfo=dt.UTC)
    assert counter_of_day("X", late) == "submissions/X/2026-11-21"
