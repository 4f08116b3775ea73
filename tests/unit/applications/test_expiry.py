"""What ends by the passing of time, and whose turn comes when another case ends (golden 20, 22, 26, 36)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.expiry import NothingDue, decide_overdue, decide_reconsidered, decide_woken
from gateway.applications.supplement import Supplement, decide_supplement
from gateway.cases.decision import Decision
from gateway.cases.effects import PapersFreed, RightEnded
from gateway.cases.model import Application, OpenCase, Result, State
from gateway.register.model import CertificateRef, UnitState, going_on
from tests.support import cases as c
from tests.support import later

LATE = c.moment(20, c.NOW + dt.timedelta(days=40))


def test_case_whose_party_never_signs_expires_without_a_place() -> None:
    """Golden 26: E-EXPIRED, never a clock, never a place; its papers may back another case."""
    here, what = later.world(), later.unsigned()
    row = later.filed(here, what)
    decision = decide_overdue(later.dossier(here, what, row), later.INTERNAL, LATE)
    after = later.row_of(decision)
    assert (after.state, after.accepted_at, after.case_number) == (State.EXPIRED, None, "")
    assert [f.code for f in decision.outcome.findings] == ["E-EXPIRED"]
    assert decision.kind == "application.expired"
    assert [e for e in decision.effects if isinstance(e, PapersFreed)]
    assert later.events_of(decision)[c.BANK_USCC] == "APPLICATION_EXPIRED"


def test_case_is_not_ended_a_moment_before_its_term() -> None:
    """The commit's own time decides."""
    here, what = later.world(), later.unsigned()
    row = later.filed(here, what)
    assert row.parties_expire_at == c.NOW + dt.timedelta(days=10)
    before = c.moment(20, row.parties_expire_at - dt.timedelta(microseconds=1))
    with pytest.raises(NothingDue):
        decide_overdue(later.dossier(here, what, row), later.INTERNAL, before)


def reminded(row: Application, hours: float) -> Decision:
    """The clock looks so long before the end of the parties' time."""
    assert row.parties_expire_at is not None
    moment = c.moment(20, row.parties_expire_at - dt.timedelta(hours=hours))
    return decide_woken(later.dossier(later.world(), later.portfolio(), row), later.INTERNAL, moment)


def test_parties_that_have_not_signed_are_reminded_three_days_and_one_day_before_the_end() -> None:
    """Entry and event, to whom it waits for and to who filed; the case stays as it is and is then found expired."""
    row = later.filed(later.world(), later.portfolio())
    assert row.wakes_at == c.NOW + dt.timedelta(days=7)
    with pytest.raises(NothingDue):
        reminded(row, 72.1)
    decision = reminded(row, 72)
    after = later.row_of(decision)
    assert decision.kind == "application.reminded"
    assert later.events_of(decision) == {
        c.BANK_USCC: "PARTIES_REMINDED",
        later.FUND_USCC: "PARTIES_REMINDED",
    }
    assert (after.state, after.accepted_at, after.awaiting) == (row.state, None, row.awaiting)
    assert (after.reminded_at, after.findings_index) == (c.NOW + dt.timedelta(days=7), row.findings_index)
    with pytest.raises(NothingDue):
        reminded(after, 72)
    last = later.row_of(reminded(after, 24))
    assert (last.reminders, last.wakes_at) == ((), row.parties_expire_at)
    assert reminded(last, 0).kind == "application.expired"


def test_gateway_that_was_down_reminds_once_or_ends_the_case() -> None:
    """Of two reminders that were missed one is told; past the end there is nothing to remind of."""
    row = later.filed(later.world(), later.portfolio())
    assert later.row_of(reminded(row, 2)).reminders == ()
    assert reminded(row, 0).kind == "application.expired"


@pytest.mark.parametrize(("days", "times"), [((), 0), ((20,), 0), ((10,), 0), ((2, 5), 2)])
def test_place_says_when_parties_are_reminded(days: tuple[int, ...], times: int) -> None:
    """Never; before the case was there; as it was filed; in any order."""
    here = later.world(profile=replace(c.PROFILE, party_reminder_days=days))
    row = later.filed(here, later.portfolio())
    assert len(row.reminders) == times
    assert list(row.reminders) == sorted(row.reminders)


def test_accepted_case_reminds_nobody() -> None:
    """Who joined in time made an end of it."""
    row = later.filed(later.world(), later.unsigned())
    act = later.act(Supplement, row, *later.signed_forms(), by=c.BANK)
    decision = decide_supplement(
        later.dossier(later.world(), later.unsigned(), row, *later.signed_forms()), act, c.moment(9)
    )
    after = later.row_of(decision)
    assert after.accepted_at is not None
    assert (after.reminders, after.reminded_at) == ((), None)


@pytest.mark.parametrize(
    ("state", "field", "code", "result"),
    [
        (State.SUPPLEMENT_REQUESTED, "supplement_until", "R-NOT_SUPPLEMENTED", State.REFUSED),
        (State.AWAITING_TAX, "gate_expires_at", "R-TAX", State.REFUSED),
        (State.AWAITING_PAYOFF, "gate_expires_at", "S-PAYOFF", State.ACCEPTED),
    ],
)
def test_wait_that_runs_out_is_refused_or_goes_to_a_person(
    state: State, field: str, code: str, result: State
) -> None:
    """R-TAX and R-NOT_SUPPLEMENTED when the deadline passes (golden 22); no payoff is for a person to judge."""
    here = later.world(profile=replace(c.PROFILE, instant=()))
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    row = replace(later.filed(here, what), state=state, **{field: c.NOW + dt.timedelta(days=30)})
    decision = decide_overdue(later.dossier(here, what, row), later.INTERNAL, LATE)
    assert later.row_of(decision).state is result
    assert [f.code for f in decision.outcome.findings] == [code]


def queued(*others: OpenCase) -> tuple[Any, Any, Application]:
    """A release that names the right of an earlier case (golden 36): suspended, S-QUEUE."""
    state = c.unit_state(c.mortgage_row())
    earlier = OpenCase(application_id="earlier", accepted_index=1, rights=("0.2",))
    what = c.submission(c.mortgage_release(), c.release_papers())
    row = later.filed(later.world(state, open_cases={c.UNIT: (earlier,)}), what)
    return state, what, row


def own(row: Application) -> OpenCase:
    """The case's own place."""
    return OpenCase(
        application_id=row.application_id, accepted_index=row.accepted_index or 0, rights=row.rights
    )


def test_case_behind_another_is_suspended_by_the_queue() -> None:
    """S-QUEUE keeps its place; nobody has to do anything."""
    _, _, row = queued()
    assert (row.state, row.suspension) == (State.SUSPENDED, "S-QUEUE")


def test_turn_of_a_clean_case_is_booked_by_rule() -> None:
    """At the head of the queue it is examined again and booked as if it came now, with its old place."""
    state, what, row = queued()
    here = later.world(state, open_cases={c.UNIT: (own(row),)})
    decision = decide_reconsidered(later.dossier(here, what, row), later.INTERNAL, c.moment(15))
    after = later.row_of(decision)
    assert (decision.outcome.result, after.accepted_index) == (Result.BOOKED, row.accepted_index)
    assert [e for e in decision.effects if isinstance(e, RightEnded)]


def test_turn_of_a_case_that_the_register_bars_by_now_goes_to_a_person() -> None:
    """The earlier case released the very mortgage: what blocks an accepted case is refused in writing, by a person."""
    _, what, row = queued()
    here = later.world(UnitState(unit=c.unit_state().unit, rights=c.unit_state().rights))
    decision = decide_reconsidered(later.dossier(here, what, row), later.INTERNAL, c.moment(15))
    after = later.row_of(decision)
    assert (after.state, after.suspension) == (State.ACCEPTED, "")
    assert "R-CONFLICT" in {f.code for f in decision.outcome.findings}


def test_case_is_not_followed_to_what_its_right_has_become() -> None:
    """Golden 36; handbook 3.6: the earlier case changed the mortgage, and the release speaks of the one that was: it is
    stopped and told which proof shows the right now.
    """
    _, what, row = queued()
    was = c.mortgage_row()
    changed = replace(
        was, right_id="12.1", claim_amount_fen=90_000_000, proof=CertificateRef(number="新证明")
    )
    here = later.world(c.unit_state(going_on(was, changed)))
    decision = decide_reconsidered(later.dossier(here, what, row), later.INTERNAL, c.moment(15))
    assert later.row_of(decision).state is State.ACCEPTED
    [told] = [f for f in decision.outcome.findings if f.code == "R-CONFLICT"]
    assert "新证明" in told.zh
    assert "新证明" in told.en
    assert not [e for e in decision.effects if isinstance(e, RightEnded)]


def test_case_names_its_right_in_whatever_row_it_stands() -> None:
    """RD 67: the mortgage was changed under an open case that names it; a release of the new row waits for it."""
    was = c.mortgage_row()
    changed = going_on(was, replace(was, right_id="12.1", proof=CertificateRef(number="新证明")))
    operation = c.mortgage_release(proof=CertificateRef(number="新证明"))
    earlier = OpenCase(application_id="earlier", accepted_index=1, rights=("0.2",))
    here = later.world(c.unit_state(changed), open_cases={c.UNIT: (earlier,)})
    decision = c.decide(here, c.submission(operation, c.release_papers()))
    assert decision.outcome.result is Result.ACCEPTED
    assert "S-QUEUE" in {f.code for f in decision.outcome.findings}


def test_turn_does_not_come_while_an_earlier_case_is_open() -> None:
    """Nothing is entered."""
    state, what, row = queued()
    earlier = OpenCase(application_id="earlier", accepted_index=1, rights=("0.2",))
    here = later.world(state, open_cases={c.UNIT: (earlier, own(row))})
    with pytest.raises(NothingDue):
        decide_reconsidered(later.dossier(here, what, row), later.INTERNAL, c.moment(15))


def test_turn_does_not_lift_a_registrars_suspension() -> None:
    """An inquiry ends by the registrar's own act."""
    state, what, row = queued()
    row = replace(row, suspension="S-INVESTIGATION")
    with pytest.raises(NothingDue):
        decide_reconsidered(later.dossier(later.world(state), what, row), later.INTERNAL, c.moment(15))
