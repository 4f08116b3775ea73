"""The 90 days of a pre-notice (CC 221): warned, presumed, confirmed by a person; never ended by the clock alone."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.applications.expiry import NothingDue
from gateway.applications.pre_notice_term import (
    LAPSED,
    NoticeWorld,
    NotYetRegistrable,
    TermAct,
    TermNotStated,
    decide_due,
    decide_term_act,
    due_at,
)
from gateway.cases.decision import Decision
from gateway.cases.effects import CertificateEnded, EventRecorded, PreNoticeTermMoved, RightEnded
from gateway.cases.errors import EnvelopeExpired
from gateway.cases.model import OpenCase
from gateway.register.authority import Registrar
from gateway.register.calendar import PACKAGED
from gateway.register.model import PreNotice, PreNoticeKind
from gateway.register.sample_parties import BANK_A
from tests.support import cases as c
from tests.support import later
from tests.support.calendars import YEAR_2027
from tests.support.register_state import BUYER, pre_notice

REGISTRAR = Registrar(registrar_id="chen", name="陈登簿", key_ids=("k",))
FROM = dt.date(2026, 7, 3)  # golden 16: the last day, 2026-10-01, rolls over the holiday to 2026-10-08


def noon(text: str) -> dt.datetime:
    """Noon of a day in China."""
    return dt.datetime.fromisoformat(f"{text}T12:00:00+08:00").astimezone(dt.UTC)


def notice(**changes: object) -> PreNotice:
    """The mortgage pre-notice of golden 16."""
    made = pre_notice(PreNoticeKind.OTHER_MORTGAGE, BANK_A, BUYER)
    return replace(made, **{"registrable_from": FROM, **changes})


def world(**changes: object) -> NoticeWorld:
    """What deciding on it reads: bank A holds it."""
    fields: dict[str, object] = {
        "notice": notice(),
        "calendar": PACKAGED,
        "told": (BANK_A.id_number,),
        "certificate": "proof",
        "counters": {f"event/{BANK_A.id_number}": 4},
    }
    return NoticeWorld(**{**fields, **changes})  # type: ignore[arg-type]


def clock(here: NoticeWorld, day: str) -> Decision:
    """The clock looks at noon of a day."""
    return decide_due(here, later.INTERNAL, c.moment(20, noon(day)))


def moved(decision: Decision) -> PreNoticeTermMoved:
    """Where the term stands afterwards."""
    [effect] = [e for e in decision.effects if isinstance(e, PreNoticeTermMoved)]
    return effect


def told(decision: Decision) -> EventRecorded:
    """What bank A hears."""
    [effect] = [e for e in decision.effects if isinstance(e, EventRecorded)]
    return effect


def act(**changes: object) -> TermAct:
    """A registrar's act."""
    now = noon("2026-10-09")
    fields: dict[str, object] = {
        "request_id": "r",
        "payload_sha256": "5" * 64,
        "created_at": now,
        "not_after": now + dt.timedelta(days=300),
    }
    return TermAct(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "day", "warned"),
    [(0, "2026-09-01", 60), (60, "2026-09-16", 75), (75, "2026-09-26", 85), (0, "2026-09-20", 75)],
    ids=["60", "75", "85", "missed-one"],
)
def test_holders_are_warned_at_60_75_and_85_days(before: int, day: str, warned: int) -> None:
    """Handbook 3.5: an event with unit and proof; one that was missed is not told after the next."""
    here = world(notice=notice(warned_days=before))
    decision = clock(here, day)
    assert decision.kind == "pre_notice.lapsing"
    assert moved(decision).warned_days == warned
    event = told(decision)
    assert (event.kind, event.sequence, event.certificate) == ("PRE_NOTICE_LAPSING", 5, "proof")
    assert event.unit_code == here.notice.units[0]


def test_nothing_is_due_before_and_between_the_warnings() -> None:
    """A day early, and twice."""
    with pytest.raises(NothingDue):
        clock(world(), "2026-08-31")
    with pytest.raises(NothingDue):
        clock(world(notice=notice(warned_days=60)), "2026-09-15")


def test_pre_notice_is_presumed_lapsed_the_day_after_its_rolled_last_day() -> None:
    """Golden 16: alive on 2026-10-08, LAPSED_PRESUMED on 2026-10-09; the right has not ended."""
    here = world(notice=notice(warned_days=85))
    with pytest.raises(NothingDue):
        clock(here, "2026-10-08")
    decision = clock(here, "2026-10-09")
    assert decision.kind == "pre_notice.lapse_presumed"
    assert moved(decision).lapse_presumed_on == dt.date(2026, 10, 9)
    assert told(decision).kind == "PRE_NOTICE_LAPSE_PRESUMED"
    assert not [e for e in decision.effects if isinstance(e, (RightEnded, CertificateEnded))]


def test_last_day_is_still_a_day_to_apply_whatever_was_missed() -> None:
    """No warning had been told: on the last day itself the latest one is, and nothing is presumed."""
    assert moved(clock(world(), "2026-10-08")).warned_days == 85
    assert moved(clock(world(), "2026-10-08")).lapse_presumed_on is None
    assert moved(clock(world(), "2026-10-09")).lapse_presumed_on == dt.date(2026, 10, 9)


def test_nothing_is_presumed_in_a_year_that_nobody_has_published() -> None:
    """Handbook 10: warned, then nothing, until the year is imported."""
    unknown = notice(registrable_from=dt.date(2026, 11, 1), warned_days=85)
    assert due_at(unknown, PACKAGED) is None
    with pytest.raises(NothingDue):
        clock(world(notice=unknown), "2027-03-01")
    known = PACKAGED.with_years(YEAR_2027)
    assert due_at(unknown, known) == dt.datetime(
        2027, 2, 1, 16, tzinfo=dt.UTC
    )  # 2027-01-30 rolls to Monday 02-01
    assert moved(clock(world(notice=unknown, calendar=known), "2027-03-01")).lapse_presumed_on


def test_days_do_not_run_before_the_first_registration() -> None:
    """A day agreed for the hand-over of a pre-sold flat is no day on which it could be registered (RD 24)."""
    here = world(notice=notice(warned_days=85), is_registrable=False)
    with pytest.raises(NotYetRegistrable):
        clock(here, "2026-10-09")
    with pytest.raises(TermNotStated):
        decide_term_act(here, REGISTRAR, act(), c.moment(30, noon("2026-10-12")))


def test_nothing_is_presumed_while_a_case_is_open_that_names_it() -> None:
    """Whoever holds it has applied (CC 221)."""
    case = OpenCase(application_id="a", accepted_index=3, rights=("pn",))
    late = notice(warned_days=85)
    with pytest.raises(NothingDue):
        clock(world(notice=late, open_cases=(case,)), "2026-10-09")
    other = replace(case, rights=("m1",))
    assert moved(clock(world(notice=late, open_cases=(other,)), "2026-10-09")).lapse_presumed_on


def test_clock_has_nothing_to_say_of_one_whose_day_is_not_known_or_that_is_presumed() -> None:
    """A pre-sold unit before its first registration; one that waits for the registrar."""
    assert due_at(notice(registrable_from=None), PACKAGED) is None
    assert due_at(notice(lapse_presumed_on=dt.date(2026, 10, 9)), PACKAGED) is None


def test_registrar_confirms_the_lapse_and_the_proof_is_void() -> None:
    """CC 221: the right ends in the registrar's name, its holders hear it."""
    here = world(notice=notice(lapse_presumed_on=dt.date(2026, 10, 9)))
    decision = decide_term_act(here, REGISTRAR, act(), c.moment(30, noon("2026-10-12")))
    [ended] = [e for e in decision.effects if isinstance(e, RightEnded)]
    assert (ended.right_id, ended.reason, ended.ended_by) == ("pn", LAPSED, "陈登簿")
    [void] = [e for e in decision.effects if isinstance(e, CertificateEnded)]
    assert (void.identifier, void.state) == ("proof", "CANCELLED")
    assert (decision.kind, told(decision).kind) == ("pre_notice.lapse_confirmed", "PRE_NOTICE_LAPSED")


def test_registrar_states_from_when_it_is_registrable_and_the_days_run_anew() -> None:
    """An explicit, evidenced event; a presumption that rested on another day is gone."""
    here = world(notice=notice(warned_days=85, lapse_presumed_on=dt.date(2026, 10, 9)))
    stated = act(registrable_from=dt.date(2026, 9, 1), evidence="首次登记")
    decision = decide_term_act(here, REGISTRAR, stated, c.moment(30, noon("2026-10-12")))
    after = moved(decision)
    assert (after.registrable_from, after.warned_days, after.lapse_presumed_on) == (
        dt.date(2026, 9, 1),
        0,
        None,
    )
    assert (decision.kind, told(decision).kind) == ("pre_notice.registrable", "PRE_NOTICE_STANDS")


def test_registrar_cannot_confirm_before_the_last_day_is_over() -> None:
    """On the last day itself; of one whose day is not known; of one that is not there."""
    now = c.moment(30, noon("2026-10-08"))
    early = act(created_at=now.now)
    for here in (world(), world(notice=notice(registrable_from=None)), None):
        with pytest.raises(TermNotStated):
            decide_term_act(here, REGISTRAR, early, now)


def test_registrar_may_confirm_in_a_year_that_nobody_has_published() -> None:
    """Nothing lapses automatically then: a person judges it (handbook 10)."""
    here = world(notice=notice(registrable_from=dt.date(2026, 11, 1)))
    decision = decide_term_act(here, REGISTRAR, act(), c.moment(30, noon("2027-03-01")))
    assert decision.kind == "pre_notice.lapse_confirmed"


@pytest.mark.parametrize(
    ("registrar", "changes", "error"),
    [
        (replace(REGISTRAR, may_book=False), {}, TermNotStated),
        (REGISTRAR, {"registrable_from": dt.date(2025, 11, 2)}, TermNotStated),
        (REGISTRAR, {"not_after": noon("2026-10-10")}, EnvelopeExpired),
    ],
    ids=["reviewer-only", "before-its-booking", "late"],
)
def test_act_that_cannot_be_taken_is_refused(
    registrar: Registrar, changes: dict[str, object], error: type[Exception]
) -> None:
    """Who may only review ends no right; no day before the pre-notice itself; an act has its time."""
    with pytest.raises(error):
        decide_term_act(world(), registrar, act(**changes), c.moment(30, noon("2026-10-12")))
