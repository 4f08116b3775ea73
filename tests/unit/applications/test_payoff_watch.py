"""The payoff that a segmented case leaves: its day, the reminder, the alarm, and silence once it is gone."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec.structs import replace

from gateway.applications.accepting import Answered
from gateway.applications.payoff_watch import decide_payoff
from gateway.applications.readiness import Ground, waits_of
from gateway.cases.decision import Decision
from gateway.cases.effects import ApplicationRecorded, EventRecorded
from gateway.cases.model import Application
from gateway.cases.terms import FundsTrigger, ReleaseGround
from gateway.kinds.funds_due import happened_at
from gateway.kinds.payoff_deadline import old_mortgages, owing, payoff_until
from gateway.register.calendar import CHINA, PACKAGED
from gateway.register.model import CertificateRef
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play
from tests.unit.kinds.test_modes import DEAL, played

ANSWERED = Answered(kind="", institution="", request_id="due", payload_sha256="00")


def segmented() -> tuple[Play, Application]:
    """Phase 1 of ET_SEGMENTED, booked: Y owns, A's old mortgage and B's new one stand."""
    play = played()
    play.book(play.manifest(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", **DEAL))
    [row] = play.rows.values()
    return play, row


def looked(play: Play, row: Application, at: dt.datetime, **how: Any) -> tuple[Application, Decision]:
    """What the clock brings at an instant."""
    decision = decide_payoff(play.world, row, ANSWERED, c.moment(900, at))
    [recorded] = [e for e in decision.effects if isinstance(e, ApplicationRecorded)]
    return recorded.application, decision


def told(decision: Decision) -> set[tuple[str, str]]:
    """Who is told what."""
    return {(e.institution, e.kind) for e in decision.effects if isinstance(e, EventRecorded)}


def test_day_of_the_payoff_is_set_by_the_place_and_ends_in_china() -> None:
    """30 days after the booking by default, rolled on from a day off, until the end of that day."""
    _, row = segmented()
    assert row.payoff_until is not None
    assert row.booked_at is not None
    last = row.payoff_until.astimezone(CHINA).date() - dt.timedelta(days=1)
    assert last >= row.booked_at.astimezone(CHINA).date() + dt.timedelta(days=30)
    assert row.payoff_until.astimezone(CHINA).time() == dt.time()
    short = replace(d.PROFILE, payoff_days=3)
    again = payoff_until(row, short, PACKAGED, row.booked_at)
    assert again is not None
    assert again < row.payoff_until


def test_only_a_phase_before_a_mere_release_leaves_a_payoff() -> None:
    """ET_COMBINED releases in its own booking; the last phase leaves nothing; an ordinary case neither."""
    _, row = segmented()
    for other in (
        replace(row, mode="ET_COMBINED"),
        replace(row, phase=2),
        replace(row, mode=""),
        replace(row, mode="ET_DOUBLE_PRE_NOTICE", phase=1),
    ):
        assert payoff_until(other, d.PROFILE, PACKAGED, c.NOW) is None
    assert (
        payoff_until(replace(row, mode="ET_DOUBLE_PRE_NOTICE", phase=2), d.PROFILE, PACKAGED, c.NOW)
        is not None
    )
    assert payoff_until(replace(row, mode="ET_THREE_IN_ONE"), d.PROFILE, PACKAGED, c.NOW) is not None


def test_reminder_then_alarm_then_nothing_more() -> None:
    """Five days before: PAYOFF_NEARS; on the day: PAYOFF_OVERDUE; each once, to every institution of the case."""
    play, row = segmented()
    assert row.payoff_until is not None
    assert row.wakes_at == row.payoff_until - dt.timedelta(days=5)
    near, decision = looked(play, row, row.wakes_at)
    assert decision.kind == "payoff.nears"
    assert told(decision) == {(u, "PAYOFF_NEARS") for u in row.institutions if u in play.world.institutions}
    assert near.wakes_at == row.payoff_until
    late, decision = looked(play, near, row.payoff_until)
    assert decision.kind == "payoff.overdue"
    assert {kind for _, kind in told(decision)} == {"PAYOFF_OVERDUE"}
    assert late.wakes_at is None
    assert late.due_at is None


def test_gateway_that_was_down_over_both_tells_the_alarm_alone() -> None:
    """What is late is not near any more."""
    play, row = segmented()
    assert row.payoff_until is not None
    late, decision = looked(play, row, row.payoff_until + dt.timedelta(days=1))
    assert decision.kind == "payoff.overdue"
    assert late.wakes_at is None


def test_release_in_time_ends_the_watch_in_silence() -> None:
    """Phase 2 is booked: the old mortgage is gone, nobody is told anything, the board is empty."""
    play, row = segmented()
    assert row.payoff_until is not None
    assert [p.name for p in owing(row, play.world.units.values())] == [d.A.name]
    [wait] = waits_of(row, owes=owing(row, play.world.units.values()))
    assert (wait.ground, wait.institution) == (Ground.PAYOFF_DEADLINE, d.A.id_number)
    assert wait.until == row.payoff_until
    release = d.release(proof=play.proof(d.A), ground=ReleaseGround.CLAIM_SETTLED, applicants=(d.A,))
    play.book(play.manifest(release, mode="ET_SEGMENTED", phase=2, case=row.name, applicant=d.A))
    assert owing(row, play.world.units.values()) == ()
    settled, decision = looked(play, row, row.payoff_until)
    assert (decision.kind, told(decision)) == ("payoff.settled", set())
    assert settled.payoff_settled
    assert settled.wakes_at is None
    assert waits_of(settled, owes=()) == ()


def test_release_of_phase_two_is_told_as_the_event_of_the_plan_of_phase_one() -> None:
    """The first phase's plan waits for the release: FUNDS_LEG_DUE in the booking of the second."""
    play, row = segmented()
    play.rows[row.name] = replace(row, funds=("ON_RELEASE",))
    release = d.release(proof=play.proof(d.A), ground=ReleaseGround.CLAIM_SETTLED, applicants=(d.A,))
    decision = play.book(play.manifest(release, mode="ET_SEGMENTED", phase=2, case=row.name, applicant=d.A))
    due = [e for e in decision.effects if isinstance(e, EventRecorded) and e.kind == "FUNDS_LEG_DUE"]
    assert {e.application_id for e in due} == {row.application_id}
    assert d.A.id_number in {e.institution for e in due}


def gone_at_the_counter(play: Play) -> None:
    """A's mortgage is ended with nobody's phase."""
    state = play.state()
    left = tuple(r for r in state.rights if r.right_id != c.mortgage_row().right_id)
    play.world = replace(play.world, units={c.UNIT: replace(state, rights=left)})


def due_of(decision: Decision) -> list[str]:
    """Who is told that a leg is payable."""
    return sorted(e.institution for e in decision.effects if isinstance(e, EventRecorded) and "LEG" in e.kind)


def test_release_at_the_counter_makes_the_money_payable_that_waits_for_it() -> None:
    """No phase 2 can be filed any more: the case itself says since when, and everybody is told."""
    play, row = segmented()
    gone_at_the_counter(play)
    row = replace(row, funds=("ON_RELEASE",))
    assert row.wakes_at is not None
    assert happened_at(FundsTrigger.ON_RELEASE, row, (row,), None) is None
    settled, decision = looked(play, row, row.wakes_at)
    assert decision.kind == "payoff.settled"
    assert happened_at(FundsTrigger.ON_RELEASE, settled, (settled,), None) == row.wakes_at
    assert due_of(decision) == sorted(u for u in row.institutions if u in play.world.institutions)
    assert due_of(decision)


def test_release_that_a_phase_told_is_not_told_again_by_the_watch() -> None:
    """Phase 2 was booked: that was the event, and it stays the instant of it."""
    play, row = segmented()
    row = play.rows[row.name] = replace(row, funds=("ON_RELEASE",))
    release = d.release(proof=play.proof(d.A), ground=ReleaseGround.CLAIM_SETTLED, applicants=(d.A,))
    play.book(play.manifest(release, mode="ET_SEGMENTED", phase=2, case=row.name, applicant=d.A))
    play.world = replace(play.world, phases=tuple(play.rows.values()))
    assert row.wakes_at is not None
    settled, decision = looked(play, row, row.wakes_at)
    assert (decision.kind, due_of(decision)) == ("payoff.settled", [])
    assert happened_at(FundsTrigger.ON_RELEASE, settled, tuple(play.rows.values()), None) == c.NOW


def test_third_mortgage_that_may_stay_is_none_that_is_owed() -> None:
    """No step and no statement names C's (CC 406, 414): it outlives the payoff, and phase 2 may not release it."""
    third = replace(
        c.mortgage_row(),
        right_id="3-0",
        mortgagees=(c.OTHER_BANK,),
        proof=CertificateRef(number="苏(2022)第3号"),
    )
    play = played(c.mortgage_row(), third)
    play.book(play.manifest(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", **DEAL))
    [row] = play.rows.values()
    assert [m.right_id for m in old_mortgages(row, play.world.units.values())] == [c.mortgage_row().right_id]
    before = replace(row, old_mortgages=())  # as entries of before say it
    assert len(old_mortgages(before, play.world.units.values())) == 2
    release = d.release(proof=third.proof, ground=ReleaseGround.CLAIM_SETTLED, applicants=(c.OTHER_BANK,))
    manifest = play.manifest(release, mode="ET_SEGMENTED", phase=2, case=row.name, applicant=c.OTHER_BANK)
    answered = play.answered(replace(manifest, terms=replace(manifest.terms, operations=(release,))))
    assert "terms.operations[0].proof" in {
        f.field for f in answered.outcome.findings if f.rule == "R-CONFLICT"
    }
    renewed = replace(c.mortgage_row(), right_id="9-0", began_as=c.mortgage_row().right_id)
    assert old_mortgages(row, [replace(play.state(), rights=(renewed, third))]) == (renewed,)
    gone_at_the_counter(play)
    assert row.wakes_at is not None
    assert looked(play, row, row.wakes_at)[1].kind == "payoff.settled"
