"""Restrictions from outside, as one decision each: what they stop, whom they tell, how they end. No I/O."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.feed import SignedFeedAct, decide_feed
from gateway.applications.feed_book import FeedWorld
from gateway.applications.restrictions import suit_due_on
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    ApplicationRecorded,
    EventRecorded,
    LenderTold,
    RightBooked,
    RightEnded,
    UnitRecorded,
)
from gateway.cases.feed import FeedState, Restriction, RestrictionVerb
from gateway.cases.model import Application, Kind, OpenCase, State
from gateway.register.calendar import PACKAGED
from gateway.register.model import (
    CertificateRef,
    Dissent,
    Easement,
    Habitation,
    Mortgage,
    MortgageKind,
    Ownership,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    UnitHold,
    UnitState,
)
from tests.support import cases as c

SERVED = c.NOW - dt.timedelta(minutes=18)
COURT = "示例市人民法院"


def seizure(**changes: Any) -> Seizure:
    """A seizure of the owner's flat, served 18 minutes before NOW."""
    row = Seizure(
        right_id="",
        units=(c.UNIT,),
        case_number="C1",
        booked_at=c.NOW,
        booked_by="大厅",
        kind=SeizureKind.SEIZURE,
        target=c.OWNER,
        extent="全部",
        authority=COURT,
        instrument_no="(2026)示执1号",
        served_at=SERVED,
        until=dt.date(2029, 11, 1),
        proof_of_service="00" * 32,
    )
    return replace(row, **changes)


def case(state: State = State.IN_REVIEW, *operations: str, **changes: Any) -> Application:
    """An accepted case of BANK on UNIT, accepted an hour before NOW."""
    row = Application(
        registry=c.REGISTRY,
        application_id="018f0000-0000-7000-8000-0000000000c1",
        kind=Kind.MORTGAGE,
        operations=operations or ("MORTGAGE_FIRST",),
        units=(c.UNIT,),
        channel_institution=c.BANK_USCC,
        applicant_institution=c.BANK_USCC,
        institutions=(c.BANK_USCC,),
        request_id="018f0000-0000-7000-8000-0000000000c2",
        payload_sha256="22" * 32,
        terms_sha256=c.TERMS_SHA256,
        state=state,
        submitted_at=c.NOW - dt.timedelta(hours=1),
        submitted_index=3,
        last_index=4,
        accepted_at=c.NOW - dt.timedelta(hours=1),
        accepted_index=3,
        claimed_by="zhou",
    )
    return replace(row, **changes)


def world(
    *rights: Any, cases: tuple[Application, ...] = (), state: UnitState | None = None, **more: Any
) -> FeedWorld:
    """The register with one flat, these rights on it and these open cases; the feed stands at 6."""
    here = c.world()
    unit = state or _of_last_year(c.unit_state(*rights))
    fields: dict[str, Any] = {
        "registry": c.REGISTRY,
        "profile": here.profile,
        "feed": FeedState(last=6),
        "units": {c.UNIT: unit},
        "open_cases": {
            c.UNIT: tuple(
                OpenCase(application_id=row.application_id, accepted_index=row.accepted_index or 0)
                for row in cases
            )
        },
        "applications": {row.application_id: row for row in cases},
        "institutions": here.institutions,
    }
    return FeedWorld(**{**fields, **more})


def _of_last_year(state: UnitState) -> UnitState:
    """Ownership and mortgages booked long before anything was served."""
    rights = tuple(
        replace(r, booked_at=r.booked_at - dt.timedelta(days=365))
        if isinstance(r, Ownership | Mortgage)
        else r
        for r in state.rights
    )
    return UnitState(unit=state.unit, rights=rights)


def restrict(right: Any, verb: RestrictionVerb = RestrictionVerb.ENTER, sequence: int = 7) -> Restriction:
    """A restriction act."""
    return Restriction(sequence=sequence, as_of=c.NOW, verb=verb, right=right)


def decide(here: FeedWorld, act: Any, index: int = 7) -> Decision:
    """The decision of one act of the feed."""
    signed = SignedFeedAct(
        source="counter",
        act=act,
        request_id="018f0000-0000-7000-8000-0000000000f1",
        payload_sha256="66" * 32,
        created_at=c.NOW,
        not_after=c.NOW + dt.timedelta(days=1),
    )
    return decide_feed(here, signed, c.moment(index=index))


def of(decision: Decision, kind: type) -> list[Any]:
    """Effects of one kind."""
    return [e for e in decision.effects if type(e) is kind]


def row_of(decision: Decision) -> Application:
    """The one case that the act moved."""
    [recorded] = of(decision, ApplicationRecorded)
    row: Application = recorded.application
    return row


def found(decision: Decision) -> list[str]:
    """Codes of the act's own findings."""
    return [f.code for f in decision.outcome.findings]


@pytest.mark.parametrize(
    "state", [State.ACCEPTED, State.IN_REVIEW, State.AWAITING_TAX, State.AWAITING_PAYOFF]
)
def test_seizure_sends_the_open_case_to_a_person(state: State) -> None:
    """EX 23: not booked at the instant of entry: in review with R-SEIZED, whatever had been decided."""
    before = case(state, decided_by="王登簿", rules_version=3)
    decision = decide(world(cases=(before,)), restrict(seizure()))
    row = row_of(decision)
    assert (row.state, row.decided_by, row.rules_version) == (State.IN_REVIEW, "", None)
    assert row.last_index == row.findings_index == 7
    assert [f.code for f in decision.outcome.findings_of(row.application_id)] == ["R-SEIZED"]
    assert found(decision) == []


def test_case_that_waits_for_its_turn_goes_to_a_person() -> None:
    """A case in the queue is stopped too: its turn must not bring it past the seizure."""
    row = row_of(decide(world(cases=(case(State.SUSPENDED, suspension="S-QUEUE"),)), restrict(seizure())))
    assert (row.state, row.suspension) == (State.IN_REVIEW, "")


@pytest.mark.parametrize(
    ("state", "suspension"), [(State.SUSPENDED, "S-INVESTIGATION"), (State.SUPPLEMENT_REQUESTED, "")]
)
def test_case_that_a_person_holds_stays_and_is_told(state: State, suspension: str) -> None:
    """What a registrar suspended or asked papers for comes back to a registrar anyway: state kept, finding told."""
    before = case(state, suspension=suspension)
    decision = decide(world(cases=(before,)), restrict(seizure()))
    assert row_of(decision).state is state
    assert [f.code for f in decision.outcome.about[before.application_id]] == ["R-SEIZED"]


@pytest.mark.parametrize(
    "operation", ["MORTGAGE_RELEASE", "PRE_NOTICE_RELEASE", "CONSTRUCTION_MORTGAGE_RELEASE"]
)
def test_release_goes_on(operation: str) -> None:
    """A release lightens the unit and harms no creditor (CC 393): blocks.csv allows it."""
    decision = decide(world(cases=(case(State.IN_REVIEW, operation),)), restrict(seizure()))
    assert of(decision, ApplicationRecorded) == []


@pytest.mark.parametrize(("target", "stops"), [(c.BANK, True), (c.SPOUSE, False)])
def test_release_of_a_mortgage_whose_claim_is_seized_goes_to_a_person(target: Any, stops: bool) -> None:
    """A seizure of the mortgagee's claim: its release gives away what is seized, one of anybody else does not."""
    row = c.mortgage_row()
    before = case(State.IN_REVIEW, "MORTGAGE_RELEASE", rights=(row.right_id,))
    decision = decide(world(row, cases=(before,)), restrict(seizure(target=target)))
    told = [f.code for f in decision.outcome.about.get(before.application_id, ())]
    assert told == (["M-REFER"] if stops else [])


def test_case_that_a_person_may_let_pass_is_referred() -> None:
    """A mortgage transfer disposes of nothing of the owner's: M-REFER, not R-SEIZED."""
    before = case(State.AWAITING_TAX, "MORTGAGE_TRANSFER")
    decision = decide(world(cases=(before,)), restrict(seizure()))
    assert row_of(decision).state is State.IN_REVIEW
    assert [f.code for f in decision.outcome.about[before.application_id]] == ["M-REFER"]


def test_combined_case_is_stopped_as_a_whole() -> None:
    """One blocked step stops the phase: it is booked whole or not at all."""
    before = case(State.AWAITING_PAYOFF, "OWNERSHIP_TRANSFER", "MORTGAGE_RELEASE", "MORTGAGE_FIRST")
    decision = decide(world(cases=(before,)), restrict(seizure()))
    assert [f.code for f in decision.outcome.about[before.application_id]] == ["R-SEIZED"]


def test_seizure_of_somebody_else_after_the_booking_is_referred() -> None:
    """Golden 15: directed at the seller, served after the buyer was booked: a person finds out, nothing is barred."""
    before = case(State.AWAITING_TAX)
    act = restrict(seizure(target=c.SPOUSE, served_at=c.NOW))
    owned = c.unit_state()
    booked = replace(owned.rights[0], booked_at=c.NOW - dt.timedelta(minutes=1))
    decision = decide(world(cases=(before,), state=UnitState(unit=owned.unit, rights=(booked,))), act)
    assert [f.code for f in decision.outcome.about[before.application_id]] == ["M-REFER"]


def test_conversion_under_a_pre_seizure_of_the_holder_goes_to_a_person() -> None:
    """Golden 33, 34: the conversion may be booked by a person; the release of the pre-notice is stopped."""
    notice = PreNotice(
        right_id="pn",
        units=(c.UNIT,),
        case_number="P1",
        booked_at=c.NOW - dt.timedelta(days=3),
        booked_by="甲",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(c.SPOUSE,),
        obligors=(c.OWNER,),
        amount_fen=1,
        proof=CertificateRef(number=c.PROOF),
    )
    act = restrict(seizure(kind=SeizureKind.PRE_SEIZURE, target=c.SPOUSE))
    told = {}
    for operation in ("PRE_NOTICE_CONVERT", "PRE_NOTICE_RELEASE", "OWNERSHIP_TRANSFER"):
        before = case(State.AWAITING_TAX, operation)
        [told[operation]] = decide(world(notice, cases=(before,)), act).outcome.about[before.application_id]
    assert {operation: f.code for operation, f in told.items()} == {
        "PRE_NOTICE_CONVERT": "M-REFER",
        "PRE_NOTICE_RELEASE": "R-SEIZED",
        "OWNERSHIP_TRANSFER": "R-SEIZED",
    }


def test_lenders_with_a_right_or_a_case_are_told_once_each_without_gaps() -> None:
    """Golden 21: the maximum-amount mortgagee among them, whose claim grows no more from then on (CC 423(4))."""
    maximum = c.mortgage_row(
        mortgagees=(c.OTHER_BANK,),
        kind=MortgageKind.MAXIMUM_AMOUNT,
        max_claim_amount_fen=1,
        claim_amount_fen=None,
    )
    here = world(
        c.mortgage_row(right_id="0.3"), maximum, cases=(case(),), counters={f"event/{c.BANK_USCC}": 4}
    )
    decision = decide(here, restrict(seizure()))
    told = {t.institution: t for t in of(decision, LenderTold)}
    assert set(told) == {c.BANK_USCC, c.OTHER_USCC}
    assert (told[c.BANK_USCC].sequence, told[c.BANK_USCC].maximum_amount) == (5, False)
    assert (told[c.OTHER_USCC].sequence, told[c.OTHER_USCC].maximum_amount) == (1, True)
    assert told[c.OTHER_USCC].told_at == c.NOW
    events = of(decision, EventRecorded)
    assert {(e.institution, e.kind, e.unit_code) for e in events} == {
        (c.BANK_USCC, "SEIZURE", c.UNIT),
        (c.OTHER_USCC, "SEIZURE", c.UNIT),
    }


def test_seizure_that_had_lapsed_before_it_came_stops_nothing() -> None:
    """EX 27: past its last day it has no effect; it is entered all the same."""
    decision = decide(world(cases=(case(),)), restrict(seizure(until=dt.date(2026, 11, 1))))
    assert of(decision, ApplicationRecorded) == []
    assert len(of(decision, RightBooked)) == 1


def test_seizure_of_more_than_three_years_is_told() -> None:
    """CPL 485; `until` is the instrument's and is never shortened by us."""
    decision = decide(world(), restrict(seizure(until=dt.date(2030, 1, 1))))
    assert found(decision) == ["R-SEIZED"]
    [booked] = of(decision, RightBooked)
    assert booked.right.until == dt.date(2030, 1, 1)


def test_same_seizure_twice_is_entered_once() -> None:
    """One instrument against one person on one unit is one row."""
    there = seizure(right_id="5.1")
    decision = decide(world(there), restrict(seizure()))
    assert of(decision, RightBooked) == []
    assert found(decision) == ["R-CONFLICT"]


def test_one_instrument_may_seize_two_shares_and_each_is_lifted_by_itself() -> None:
    """A seizure is keyed by its target and its extent (handbook 3.4): a share, and then the whole, are two."""
    share = Share(numerator=1, denominator=3)
    part = seizure(right_id="5.1", share=share)
    decision = decide(world(part), restrict(seizure()))
    [booked] = of(decision, RightBooked)
    assert booked.right.share is None
    assert found(decide(world(part), restrict(seizure(share=share)))) == ["R-CONFLICT"]
    both = world(part, seizure(right_id="5.2"))
    for told, gone in ((seizure(), "5.2"), (seizure(share=share), "5.1")):
        [ended] = of(decide(both, restrict(told, RestrictionVerb.LIFT)), RightEnded)
        assert ended.right_id == gone
    [ended] = of(decide(world(part), restrict(seizure(), RestrictionVerb.LIFT)), RightEnded)
    assert ended.right_id == "5.1"


def test_lifting_ends_the_row_and_tells_the_lenders() -> None:
    """EX 26: the next one is live by itself; the lenders learn of it."""
    here = world(c.mortgage_row(), seizure(right_id="5.1"))
    decision = decide(here, restrict(seizure(target=c.OWNER), RestrictionVerb.LIFT))
    [ended] = of(decision, RightEnded)
    assert (ended.right_id, ended.reason) == ("5.1", "LIFTED")
    assert [(e.institution, e.kind) for e in of(decision, EventRecorded)] == [(c.BANK_USCC, "SEIZURE_ENDED")]


def test_lifting_what_is_not_there_holds_the_unit_for_a_person() -> None:
    """Counter and register disagree: nothing is guessed, no rule decides on the unit any more."""
    decision = decide(world(), restrict(seizure(), RestrictionVerb.LIFT))
    assert found(decision) == ["R-CONFLICT"]
    [unit] = of(decision, UnitRecorded)
    assert unit.unit.holds == (UnitHold.QUARANTINED,)


def test_renewal_keeps_the_place_of_the_seizure() -> None:
    """CPL 485: a new row with its new last day; the order stays that of the first service."""
    here = world(seizure(right_id="5.1"))
    new = seizure(until=dt.date(2030, 10, 1), served_at=c.NOW)
    decision = decide(here, restrict(new, RestrictionVerb.RENEW))
    [booked] = of(decision, RightBooked)
    assert (booked.right.served_at, booked.right.until) == (SERVED, dt.date(2030, 10, 1))
    assert booked.right.renewed_from == "5.1"
    [ended] = of(decision, RightEnded)
    assert (ended.right_id, ended.by) == ("5.1", booked.right.right_id)


def test_renewal_after_the_lapse_is_a_new_seizure() -> None:
    """EX 27: it lapsed; what comes now counts from its own service and stops cases anew."""
    here = world(seizure(right_id="5.1", until=dt.date(2026, 11, 1)), cases=(case(),))
    new = seizure(until=dt.date(2029, 10, 1), served_at=c.NOW)
    decision = decide(here, restrict(new, RestrictionVerb.RENEW))
    [booked] = of(decision, RightBooked)
    assert (booked.right.served_at, booked.right.renewed_from) == (c.NOW, "")
    assert row_of(decision).state is State.IN_REVIEW


def dissent(**changes: Any) -> Dissent:
    """A dissent of the day before NOW."""
    row = Dissent(
        right_id="",
        units=(c.UNIT,),
        case_number="D1",
        booked_at=c.NOW - dt.timedelta(days=1),
        booked_by="大厅",
        applicant=c.SPOUSE,
        matter="共有",
    )
    return replace(row, **changes)


def test_dissent_has_fifteen_days_for_the_suit() -> None:
    """CC 220, 201, 203: from the day after; 2026-11-20 gives 2026-12-05, a Saturday, so Monday."""
    assert suit_due_on(dissent(booked_at=c.NOW), PACKAGED) == (dt.date(2026, 12, 7), False)


@pytest.mark.parametrize(
    ("filed_on", "told"), [(dt.date(2026, 12, 1), []), (dt.date(2026, 12, 9), ["C-DISSENT"])]
)
def test_suit_over_a_dissent_is_a_new_row_with_the_courts_case(filed_on: dt.date, told: list[str]) -> None:
    """In time it keeps the dissent; late, a registrar confirms whether it lapsed. The 15 days are never begun anew."""
    here = world(dissent(right_id="5.2"))
    act = restrict(
        dissent(suit_filed_on=filed_on, court_case_number="(2026)示民初2号"), RestrictionVerb.SUIT_FILED
    )
    decision = decide(here, act)
    [booked] = of(decision, RightBooked)
    assert (booked.right.suit_filed_on, booked.right.court_case_number) == (filed_on, "(2026)示民初2号")
    assert booked.right.booked_at == c.NOW - dt.timedelta(days=1)
    assert found(decision) == told


@pytest.mark.parametrize(
    "right",
    [
        dissent(),
        Habitation(
            right_id="", units=(c.UNIT,), case_number="H1", booked_at=c.NOW, booked_by="大厅", holder=c.SPOUSE
        ),
        Easement(
            right_id="", units=(c.UNIT,), case_number="E1", booked_at=c.NOW, booked_by="大厅", content="通行"
        ),
    ],
    ids=["dissent", "habitation", "easement"],
)
def test_other_restriction_is_entered_and_lifted(right: Any) -> None:
    """Entered under an id of the register, found again by the counter's case, and ended."""
    [booked] = of(decide(world(), restrict(right)), RightBooked)
    assert booked.right.right_id == "7.1"
    lifted = decide(world(booked.right), restrict(right, RestrictionVerb.LIFT))
    assert [e.right_id for e in of(lifted, RightEnded)] == ["7.1"]


def test_seizure_on_a_unit_that_the_register_lacks_is_kept() -> None:
    """Nothing that was served is lost: the row waits for its unit, and a person is told."""
    decision = decide(world(units={}), restrict(seizure()))
    assert len(of(decision, RightBooked)) == 1
    assert found(decision) == ["R-CONFLICT"]
