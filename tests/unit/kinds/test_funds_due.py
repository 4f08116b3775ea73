"""Which legs of a funds plan may be paid, and why: each trigger, in each phase, and where the case came to nothing."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.cases.model import Application, ConsentGiven, ConsentKind, Kind, State
from gateway.cases.terms import Account, FundsLeg, FundsPlan, FundsPurpose, FundsTrigger
from gateway.kinds.funds_due import LegState, due_by_phase, due_now, standings
from tests.support.cases import BANK, BANK_USCC, NOW, OTHER_BANK, OTHER_USCC, OWNER, UNIT

LATER = NOW + dt.timedelta(days=3)
ROW = Application(
    registry="jiangyin",
    application_id="a",
    kind=Kind.ENCUMBERED_TRANSFER,
    operations=("OWNERSHIP_TRANSFER", "MORTGAGE_FIRST"),
    units=(UNIT,),
    channel_institution=BANK_USCC,
    applicant_institution=BANK_USCC,
    request_id="r",
    payload_sha256="",
    terms_sha256="",
    funds=tuple(FundsTrigger),
    state=State.ACCEPTED,
    submitted_at=NOW,
    submitted_index=9,
    last_index=9,
)
BOOKED = replace(ROW, state=State.BOOKED, accepted_at=NOW, booked_at=NOW)


def plan(*triggers: FundsTrigger, purpose: FundsPurpose = FundsPurpose.PRICE) -> FundsPlan:
    """One leg a trigger."""
    return FundsPlan(
        legs=tuple(
            FundsLeg(
                payer=BANK,
                payee=OTHER_BANK if purpose is FundsPurpose.ESCROW else OWNER,
                amount_fen=1,
                trigger=trigger,
                purpose=purpose,
                account=Account(holder_name="甲", number="1"),
            )
            for trigger in triggers
        )
    )


@pytest.mark.parametrize(
    ("trigger", "row", "phases", "sealed_at", "since"),
    [
        (FundsTrigger.ON_ACCEPTANCE, ROW, (), None, None),
        (FundsTrigger.ON_ACCEPTANCE, replace(ROW, accepted_at=NOW), (), None, NOW),
        (FundsTrigger.ON_BOOKING, replace(ROW, accepted_at=NOW), (), None, None),
        (FundsTrigger.ON_BOOKING, BOOKED, (), None, NOW),
        (FundsTrigger.ON_PROOF, BOOKED, (), None, None),
        (FundsTrigger.ON_PROOF, BOOKED, (), LATER, LATER),
        (FundsTrigger.ON_RELEASE, BOOKED, (BOOKED,), None, None),
        (
            FundsTrigger.ON_RELEASE,
            BOOKED,
            (BOOKED, replace(BOOKED, operations=("MORTGAGE_RELEASE",), booked_at=LATER)),
            None,
            LATER,
        ),
        (FundsTrigger.ON_PRE_NOTICE, BOOKED, (BOOKED,), None, None),
        (
            FundsTrigger.ON_PRE_NOTICE,
            BOOKED,
            (replace(BOOKED, operations=("PRE_NOTICE_CREATE",)),),
            None,
            NOW,
        ),
    ],
)
def test_leg_is_due_from_the_instant_of_its_event(
    trigger: FundsTrigger,
    row: Application,
    phases: tuple[Application, ...],
    sealed_at: dt.datetime | None,
    since: dt.datetime | None,
) -> None:
    """Due since the event, and not before."""
    [leg] = standings(plan(trigger), row, phases, sealed_at)
    assert (leg.state, leg.since) == (LegState.DUE if since else LegState.NOT_DUE, since)
    assert leg.zh
    assert leg.en


def test_leg_by_hand_never_becomes_due_by_itself() -> None:
    """MANUAL is for the parties to say."""
    [leg] = standings(plan(FundsTrigger.MANUAL), BOOKED, (BOOKED,), LATER)
    assert leg.state is LegState.MANUAL


def test_leg_of_a_case_that_ended_unbooked_is_void_even_after_acceptance() -> None:
    """A withdrawn case: what acceptance had made payable is not any more."""
    gone = replace(ROW, accepted_at=NOW, state=State.WITHDRAWN, closed_at=LATER)
    [leg] = standings(plan(FundsTrigger.ON_ACCEPTANCE), gone, (gone,), None)
    assert (leg.state, leg.since) == (LegState.VOID, LATER)


def test_escrow_bank_says_held_then_released() -> None:
    """Its statements stand for the legs of escrow alone."""

    def said(kind: ConsentKind, at: dt.datetime) -> ConsentGiven:
        return ConsentGiven(institution=OTHER_USCC, kind=kind, payload_sha256="", index=1, at=at)

    escrow = plan(FundsTrigger.ON_ACCEPTANCE, purpose=FundsPurpose.ESCROW)
    held = replace(ROW, accepted_at=NOW, consents=(said(ConsentKind.FUNDS_HELD, NOW),))
    assert standings(escrow, held, (), None)[0].state is LegState.HELD
    paid = replace(held, consents=(*held.consents, said(ConsentKind.FUNDS_RELEASED, LATER)))
    assert standings(escrow, paid, (), None)[0].state is LegState.RELEASED
    assert standings(plan(FundsTrigger.ON_ACCEPTANCE), paid, (), None)[0].state is LegState.DUE


@pytest.mark.parametrize(
    ("funds", "how", "expected"),
    [
        (("ON_ACCEPTANCE",), {"accepted": True}, True),
        (("ON_BOOKING",), {"accepted": True}, False),
        (("ON_BOOKING",), {"booked": True}, True),
        (("ON_RELEASE",), {"booked": True}, False),
        (("ON_PROOF",), {"booked": True}, False),
        (("ON_PROOF",), {"sealed": True}, True),
        (("MANUAL",), {"accepted": True, "booked": True, "sealed": True}, False),
        ((), {"accepted": True, "booked": True, "sealed": True}, False),
    ],
)
def test_event_is_told_by_the_entry_that_brings_it(
    funds: tuple[str, ...], how: dict[str, bool], expected: bool
) -> None:
    """Once, by the entry in which it happens."""
    assert due_now(replace(ROW, funds=funds), **how) is expected


def test_release_of_a_later_phase_is_the_event_of_the_first_phases_plan() -> None:
    """ET_SEGMENTED: phase 2 releases the old mortgage."""
    first = replace(BOOKED, funds=("ON_RELEASE",))
    assert due_by_phase(first, replace(BOOKED, operations=("MORTGAGE_RELEASE",)))
    assert not due_by_phase(first, BOOKED)
