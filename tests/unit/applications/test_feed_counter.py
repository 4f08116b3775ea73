"""Bookings and open cases of the counter, and the gap-free feed itself, as one decision each. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.feed import (
    HELD_ACTS_MAX,
    FeedActInvalid,
    FeedGapTooLarge,
    FeedSequenceReused,
)
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    CertificateEnded,
    CounterCaseRecorded,
    EventRecorded,
    FeedApplied,
    FeedMoved,
    FeedTaken,
    PreNoticeTermMoved,
    RightBooked,
    RightEnded,
    UnitRecorded,
)
from gateway.cases.feed import CounterCase, CounterEntry, CounterUnit, FeedState
from gateway.cases.model import OpenCase, State
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    Owner,
    Ownership,
    PreNotice,
    PreNoticeKind,
    UnitHold,
    UnitState,
)
from gateway.register.states import CHINA
from tests.support import cases as c
from tests.support.register_state import pre_notice
from tests.unit.applications.test_feed_restrictions import case, decide, found, of, restrict, seizure, world

HOUR = dt.timedelta(hours=1)


def counter(sequence: int = 7, *units: CounterUnit, **changes: Any) -> CounterEntry:
    """An act of the counter; a booking of two hours ago where units are given."""
    act = CounterEntry(sequence=sequence, as_of=c.NOW, units=units)
    if units:
        act = replace(act, case_number="T1", type="TRANSFER", booked_at=c.NOW - 2 * HOUR)
    return replace(act, **changes)


def sold(number: str = "苏(2026)江阴市不动产权第0000009号", **changes: Any) -> Ownership:
    """SPOUSE's ownership as the counter booked it."""
    row = Ownership(
        right_id="",
        units=(c.UNIT,),
        case_number="T1",
        booked_at=c.NOW - 2 * HOUR,
        booked_by="大厅甲",
        owners=(Owner(person=c.SPOUSE),),
        co_ownership=CoOwnership.SOLE,
        title=CertificateRef(number=number),
    )
    return replace(row, **changes)


def unit(*live: Any, ended: tuple[Any, ...] = (), supersedes: str = "", **changes: Any) -> CounterUnit:
    """What the counter says of UNIT."""
    told = CounterUnit(unit_code=c.UNIT, live=live, ended=ended, supersedes=(supersedes,) * len(live))
    return replace(told, **changes)


# -- first registration -------------------------------------------------------------------------------------------

UNBUILT = c.unit_state(first_registered=False)
DAY = (c.NOW - 2 * HOUR).astimezone(CHINA).date()


def noted(kind: PreNoticeKind = PreNoticeKind.PRESALE_SALE, **changes: Any) -> PreNotice:
    """A pre-notice on UNIT, booked before the building was finished."""
    holder, obligor = (c.SPOUSE, c.OWNER) if kind is PreNoticeKind.PRESALE_SALE else (c.BANK, c.SPOUSE)
    row = replace(pre_notice(kind, holder, obligor, f"pn-{kind}"), units=(c.UNIT,))
    return replace(row, **changes)


def first(state: UnitState, **told: Any) -> Decision:
    """The counter books the developer's title on a unit in this state."""
    act = counter(7, unit(sold(), **told), type="FIRST")
    return decide(world(state=state), act)


def test_first_registration_of_the_counter_starts_the_days_of_what_was_noted_before() -> None:
    """CC 221; handbook 3.5: the register knows this fact itself; the bank that holds one is told."""
    rights = (noted(), noted(PreNoticeKind.PRESALE_MORTGAGE))
    decision = first(UnitState(unit=UNBUILT.unit, rights=rights))
    moved = {e.right_id: e.registrable_from for e in of(decision, PreNoticeTermMoved)}
    assert moved == {"pn-PRESALE_SALE": DAY, "pn-PRESALE_MORTGAGE": DAY}
    [event] = of(decision, EventRecorded)
    assert (event.institution, event.kind, event.unit_code) == (c.BANK_USCC, "PRE_NOTICE_STANDS", c.UNIT)
    [recorded] = of(decision, UnitRecorded)
    assert (recorded.unit.first_registered, recorded.unit.location) == (True, UNBUILT.unit.location)


def test_unit_as_it_was_built_takes_the_place_of_the_planned_one() -> None:
    """The counter tells the surveyed area with the first registration; a hold of ours stays on the unit."""
    planned = replace(UNBUILT.unit, holds=(UnitHold.DISPUTED,), floor_area=8_000)
    built = replace(planned, holds=(), floor_area=8_123, first_registered=False)
    [recorded] = of(first(UnitState(unit=planned), unit=built), UnitRecorded)
    assert (recorded.unit.floor_area, recorded.unit.holds) == (8_123, (UnitHold.DISPUTED,))
    assert recorded.unit.first_registered


@pytest.mark.parametrize(
    ("agreed", "runs_from"),
    [(DAY - dt.timedelta(days=200), DAY), (DAY + dt.timedelta(days=30), DAY + dt.timedelta(days=30))],
    ids=["hand-over-was-due-before", "hand-over-is-later"],
)
def test_day_that_was_agreed_counts_from_the_first_registration_on(
    agreed: dt.date, runs_from: dt.date
) -> None:
    """Nothing can be registered before it; whatever was presumed of the agreed day is gone."""
    row = noted(registrable_from=agreed, warned_days=85, lapse_presumed_on=DAY - dt.timedelta(days=9))
    [moved] = of(first(UnitState(unit=UNBUILT.unit, rights=(row,))), PreNoticeTermMoved)
    assert (moved.registrable_from, moved.warned_days, moved.lapse_presumed_on) == (runs_from, 0, None)


def test_flat_with_its_garage_is_registrable_once_both_are() -> None:
    """One pre-notice over two units: the days begin with the first registration that is the last."""
    other = c.UNIT[:-4] + "9999"
    both = noted(units=(c.UNIT, other))
    flat = UnitState(unit=UNBUILT.unit, rights=(both,))
    garage = UnitState(unit=replace(UNBUILT.unit, unit_code=other), rights=(both,))
    act = counter(7, unit(sold()), type="FIRST")
    assert of(decide(world(units={c.UNIT: flat, other: garage}), act), PreNoticeTermMoved) == []
    built = c.unit_state(both).rights
    registered = UnitState(unit=replace(garage.unit, first_registered=True), rights=built)
    [moved] = of(decide(world(units={c.UNIT: flat, other: registered}), act), PreNoticeTermMoved)
    assert moved.registrable_from == DAY


def test_sale_of_a_unit_that_had_its_owner_moves_no_days() -> None:
    """Only the first registration begins them."""
    decision = decide(world(noted(registrable_from=DAY)), counter(7, unit(sold())))
    assert of(decision, PreNoticeTermMoved) == of(decision, UnitRecorded) == []


# -- bookings ------------------------------------------------------------------------------------------------------


def test_house_sold_at_the_counter_has_its_new_owner_and_the_old_row_is_superseded() -> None:
    """A unit has one owner set: the new row takes the old one's place, which is ended, never edited (IR 10)."""
    decision = decide(world(), counter(7, unit(sold())))
    [booked] = of(decision, RightBooked)
    [ended] = of(decision, RightEnded)
    assert (booked.right.booked_at, booked.right.booked_by) == (c.NOW - 2 * HOUR, "大厅甲")
    assert (ended.right_id, ended.by) == ("0.1", booked.right.right_id)
    assert found(decision) == []


def test_mortgage_of_the_counter_takes_its_rank_by_time_of_registration() -> None:
    """CC 414: behind what was registered before; where the counter prints a rank, that one."""
    told = c.mortgage_row(
        right_id="",
        case_number="T1",
        mortgagees=(c.OTHER_BANK,),
        rank_at_registration=0,
        priority_date=c.NOW - 2 * HOUR,
        proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000077号"),
    )
    [booked] = of(decide(world(c.mortgage_row()), counter(7, unit(told))), RightBooked)
    assert booked.right.rank_at_registration == 2
    printed = replace(told, rank_at_registration=1)
    [booked] = of(decide(world(c.mortgage_row()), counter(7, unit(printed))), RightBooked)
    assert booked.right.rank_at_registration == 1


def test_mortgage_changed_at_the_counter_supersedes_the_row_of_the_case_it_names() -> None:
    """SSYWH names the case of the row that the new one replaces; an e-certificate of ours goes with its row."""
    old = c.mortgage_row(case_number="M1")
    new = c.mortgage_row(
        right_id="",
        case_number="T1",
        claim_amount_fen=1,
        proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000078号"),
    )
    here = world(old, certificates_by_number={c.PROOF: "1.2.3"})
    decision = decide(here, counter(7, unit(new, supersedes="M1")))
    [ended] = of(decision, RightEnded)
    assert ended.right_id == "0.2"
    [certificate] = of(decision, CertificateEnded)
    assert (certificate.identifier, certificate.state) == ("1.2.3", "SUPERSEDED")


def test_release_at_the_counter_ends_the_row_that_its_proof_names() -> None:
    """Named by id, certificate or case; the rest of the unit stays as it is."""
    told = c.mortgage_row(right_id="", case_number="")
    decision = decide(world(c.mortgage_row()), counter(7, unit(ended=(told,)), type="RELEASE"))
    assert [e.right_id for e in of(decision, RightEnded)] == ["0.2"]
    assert of(decision, RightBooked) == []


def test_row_that_the_register_has_already_changes_nothing() -> None:
    """A unit's state told whole names what was there before; only what is new is booked."""
    there = c.mortgage_row(case_number="M1")
    decision = decide(world(there), counter(7, unit(replace(there, right_id=""))))
    assert of(decision, RightBooked) == of(decision, RightEnded) == []
    assert found(decision) == []


def test_end_of_what_is_not_there_holds_the_unit_for_a_person() -> None:
    """Nothing is guessed: the unit goes to a person, no rule decides on it."""
    told = c.mortgage_row(right_id="", case_number="M9")
    decision = decide(world(), counter(7, unit(ended=(told,))))
    assert found(decision) == ["R-CONFLICT"]
    [held] = of(decision, UnitRecorded)
    assert held.unit.holds == (UnitHold.QUARANTINED,)


def test_sale_at_the_counter_before_a_booking_of_ours_undoes_nothing() -> None:
    """Booked there at ten, here at eleven, known at twelve: both stand, and a person finds out whose the flat is."""
    ours = c.mortgage_row(booked_at=c.NOW - HOUR)
    state = world(ours).units[c.UNIT]
    rights = tuple(replace(r, booked_at=c.NOW - HOUR) if r.right_id == "0.2" else r for r in state.rights)
    here = world(state=replace(state, rights=rights))
    decision = decide(here, counter(7, unit(sold())))
    assert found(decision) == ["R-CONFLICT"]
    assert of(decision, RightBooked) == of(decision, RightEnded) == []
    assert len(of(decision, UnitRecorded)) == 1


def test_seizure_among_the_counters_bookings_stops_cases_like_any_other() -> None:
    """Class 800 comes as a booking too: the race guard is the same."""
    before = case(State.AWAITING_TAX)
    decision = decide(world(cases=(before,)), counter(7, unit(seizure()), type="SEIZURE"))
    assert [f.code for f in decision.outcome.about[before.application_id]] == ["R-SEIZED"]


# -- open cases ----------------------------------------------------------------------------------------------------


def accepted(hours: float, **changes: Any) -> CounterEntry:
    """A case that the counter accepted so many hours before NOW."""
    act = counter(7, unit(), booked_at=None, accepted_at=c.NOW - hours * HOUR)
    return replace(act, **changes)


def place_of(decision: Any) -> int:
    """The place of the counter's case on UNIT."""
    [recorded] = of(decision, CounterCaseRecorded)
    place: int = recorded.case.places[c.UNIT]
    return place


def test_open_case_of_the_counter_stands_where_its_acceptance_puts_it() -> None:
    """RD 67: before our case that was accepted later, behind the one accepted earlier, whenever it became known."""
    ours = case(accepted_at=c.NOW - HOUR, accepted_index=5)
    assert place_of(decide(world(cases=(ours,)), accepted(2))) < 5
    assert place_of(decide(world(cases=(ours,)), accepted(0.5))) > 5


def test_known_case_of_the_counter_keeps_its_place() -> None:
    """A second word on the same case moves it nowhere."""
    known = CounterCase(
        case_number="T1", type="TRANSFER", accepted_at=c.NOW - 2 * HOUR, places={c.UNIT: 4}, known_index=4
    )
    decision = decide(world(counter_cases={"T1": known}), accepted(1))
    assert place_of(decision) == 4


@pytest.mark.parametrize("how", [{"closed": True, "booked_at": None}, {}], ids=["closed", "booked"])
def test_case_that_ended_gives_up_its_place(how: dict[str, Any]) -> None:
    """Booked or closed without a booking: whoever waited has their turn."""
    known = CounterCase(
        case_number="T1", type="TRANSFER", accepted_at=c.NOW, places={c.UNIT: 4}, known_index=4
    )
    decision = decide(world(counter_cases={"T1": known}), counter(7, unit(sold()), **how))
    [recorded] = of(decision, CounterCaseRecorded)
    assert not recorded.case.is_open


def test_open_correction_holds_the_unit_and_its_end_frees_it() -> None:
    """SH 31: while a correction runs other cases wait; its booking sets the holds as it lists them."""
    opened = decide(world(), accepted(1, type="CORRECTION"))
    [held] = of(opened, UnitRecorded)
    assert held.unit.holds == (UnitHold.CORRECTION_PENDING,)
    [recorded] = of(opened, CounterCaseRecorded)
    state = world().units[c.UNIT]
    here = world(state=replace(state, unit=held.unit), counter_cases={"T1": recorded.case})
    closed = decide(here, counter(7, closed=True, case_number="T1", type="CORRECTION"), index=8)
    assert of(closed, UnitRecorded)[-1].unit.holds == ()


def test_unit_stays_held_while_another_correction_of_it_is_open() -> None:
    """SH 31: two corrections of one unit; the end of the first, booked or not, frees nothing."""
    opened = decide(world(), accepted(1, type="CORRECTION"))
    [first] = of(opened, CounterCaseRecorded)
    second = replace(first.case, case_number="T2")
    state = world().units[c.UNIT]
    held = replace(state, unit=replace(state.unit, holds=(UnitHold.CORRECTION_PENDING,)))
    here = world(state=held, counter_cases={"T1": first.case, "T2": second})
    closed = decide(here, counter(7, closed=True, case_number="T1", type="CORRECTION"), index=8)
    assert of(closed, UnitRecorded) == []
    booked = decide(here, counter(7, unit(), type="CORRECTION"), index=8)
    assert of(booked, UnitRecorded)[-1].unit.holds == (UnitHold.CORRECTION_PENDING,)


def test_open_case_names_the_rights_it_is_about() -> None:
    """A release passes a case about another right, and waits behind one about its own (handbook 3.2)."""
    told = unit(names=(c.PROOF,))
    act = replace(accepted(1), units=(told,))
    [recorded] = of(decide(world(c.mortgage_row()), act), CounterCaseRecorded)
    assert recorded.case.rights == ("0.2",)


# -- the feed itself -----------------------------------------------------------------------------------------------


def feed_of(decision: Any) -> FeedState:
    """Where the feed stands after the act."""
    [moved] = of(decision, FeedMoved)
    state: FeedState = moved.state
    return state


def test_number_in_order_moves_the_feed() -> None:
    """A mere sign of life has no other effect."""
    decision = decide(world(), counter(7))
    assert feed_of(decision) == FeedState(last=7, as_of=c.NOW)
    assert {type(e).__name__ for e in decision.effects} == {"RequestAnswered", "FeedTaken", "FeedMoved"}


def test_act_past_a_hole_is_entered_and_held_and_the_hole_is_told() -> None:
    """Golden 45: number 7 is missing: the booking waits, and no rule decides."""
    decision = decide(world(), counter(8, unit(sold())))
    stands = feed_of(decision)
    assert (stands.last, stands.ahead, stands.missing) == (6, (8,), ((7, 7),))
    assert stands.is_gap(0, c.NOW)
    assert found(decision) == ["M-REFER"]
    assert of(decision, RightBooked) == []
    [taken] = of(decision, FeedTaken)
    assert taken.held is not None


def test_act_that_closes_the_hole_lets_the_held_ones_go_in_order() -> None:
    """One entry: what was missing, then what waited, in the order of the feed's numbers."""
    again = sold("苏(2026)江阴市不动产权第0000010号", case_number="T2")
    first, second = counter(8, unit(sold())), counter(9, unit(again), case_number="T2")
    here = world(feed=FeedState(last=6, ahead=(8, 9)), held={8: first, 9: second})
    decision = decide(here, counter(7))
    assert feed_of(decision).last == 9
    assert [e.sequence for e in of(decision, FeedApplied)] == [8, 9]
    booked = [e.right.case_number for e in of(decision, RightBooked)]
    ended = [e.right_id for e in of(decision, RightEnded)]
    assert (booked, ended) == (["T1", "T2"], ["0.1", "7.1"])
    assert found(decision) == []


def test_seizure_past_a_hole_has_its_effect_at_once() -> None:
    """EX 23: a service that is known is not waited with, whatever else is missing."""
    before = case(State.AWAITING_TAX)
    decision = decide(world(cases=(before,)), restrict(seizure(), sequence=9))
    assert before.application_id in decision.outcome.about
    assert feed_of(decision).missing == ((7, 8),)


def test_seizure_among_bookings_past_a_hole_has_its_effect_at_once() -> None:
    """However the counter tells of it; a booking beside which something ends waits for its order."""
    before = case(State.AWAITING_TAX)
    act = counter(9, unit(seizure()), type="SEIZURE")
    assert before.application_id in decide(world(cases=(before,)), act).outcome.about
    waits = counter(9, unit(seizure(), ended=(c.mortgage_row(),)))
    assert of(decide(world(c.mortgage_row(), cases=(before,)), waits), RightBooked) == []


def test_number_that_came_before_with_other_bytes_is_refused() -> None:
    """The same bytes are a replay and never get here."""
    for here, sequence in ((world(), 6), (world(taken=True, feed=FeedState(last=6, ahead=(8,))), 8)):
        with pytest.raises(FeedSequenceReused):
            decide(here, counter(sequence))


def test_as_of_in_the_future_is_refused() -> None:
    """It would hide that the feed has fallen silent."""
    with pytest.raises(FeedActInvalid):
        decide(world(), counter(7, as_of=c.NOW + HOUR))


def test_too_much_behind_a_hole_is_refused_and_the_missing_number_is_not() -> None:
    """The hole itself may always be closed."""
    ahead = tuple(range(8, 8 + HELD_ACTS_MAX))
    here = world(feed=FeedState(last=6, ahead=ahead))
    with pytest.raises(FeedGapTooLarge):
        decide(here, counter(8 + HELD_ACTS_MAX))
    assert feed_of(decide(here, counter(7))).last == 7 + HELD_ACTS_MAX


@pytest.mark.parametrize(
    ("state", "lag", "minutes", "gap"),
    [
        (FeedState(), 0, 0, False),
        (FeedState(), 10, 0, True),
        (FeedState(last=1, as_of=c.NOW), 10, 9, False),
        (FeedState(last=1, as_of=c.NOW), 10, 11, True),
        (FeedState(last=1, as_of=c.NOW), 0, 999, False),
        (FeedState(last=1, ahead=(3,), as_of=c.NOW), 0, 0, True),
    ],
)
def test_gap_is_a_hole_or_a_silence_longer_than_the_profile_allows(
    state: FeedState, lag: int, minutes: int, gap: bool
) -> None:
    """counter_feed_max_lag_minutes 0 says that the place has no feed to wait for; a hole counts in any case."""
    assert state.is_gap(lag, c.NOW + dt.timedelta(minutes=minutes)) is gap


def test_gap_refers_what_a_rule_would_have_booked() -> None:
    """Golden 45, on our side: clean, complete, and still a person decides."""
    here = c.world(c.unit_state())
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    assert c.decide(here, what).outcome.state is State.BOOKED
    gapped = c.decide(replace(here, feed_gap=True), what)
    assert gapped.outcome.state is State.ACCEPTED
    assert ("M-REFER", "BLOCKS_DATA_FEED_GAP") in c.codes(gapped)


def test_open_case_of_the_counter_keeps_ours_waiting() -> None:
    """RD 67: EARLIER_CASE_PENDING, whoever accepted the earlier one."""
    here = c.world(
        c.unit_state(), open_cases={c.UNIT: (OpenCase(application_id="counter:T1", accepted_index=2),)}
    )
    decision = c.decide(here, c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert "S-QUEUE" in {code for code, _ in c.codes(decision)}
    assert decision.outcome.state is State.ACCEPTED


def test_rank_agreed_at_the_counter_is_the_place_of_that_day() -> None:
    """RD 67; CC 409: its number is read in the order in which the counter booked it, and kept by the next row."""
    first = c.mortgage_row(right_id="0.2", rank_at_registration=2)
    told = replace(
        c.mortgage_row(mortgagees=(c.OTHER_BANK,), proof=CertificateRef(number="新证明")),
        right_id="",
        case_number="T1",
        rank_at_registration=3,
        agreed_rank=1,
        priority_date=c.NOW - 2 * HOUR,
    )
    [booked] = of(decide(world(first), counter(7, unit(told))), RightBooked)
    assert booked.right.agreed_place.before == ("0.2",)
    changed = replace(told, case_number="T2", claim_amount_fen=1)
    here = world(first, booked.right)
    [again] = of(
        decide(here, counter(7, unit(changed, supersedes="T1"), case_number="T2"), index=8), RightBooked
    )
    assert (again.right.identity, again.right.agreed_place) == (
        booked.right.right_id,
        booked.right.agreed_place,
    )
