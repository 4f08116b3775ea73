"""Each condition of a payout by itself: what makes it fail, and that nothing else fails with it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.payout import FeedState, PayoutFacts, conditions_of, secured_of
from gateway.cases.model import Application, Dispute, Kind, Objection, OpenCase, State
from gateway.register.model import (
    CertificateRef,
    Dissent,
    Mortgage,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    UnitHold,
)
from gateway.statements.payout import FAILS
from tests.support.cases import BANK, BANK_USCC, NOW, OTHER_USCC, OWNER, UNIT, mortgage_row, unit_state

COMMON: dict[str, Any] = {"units": (UNIT,), "case_number": "", "booked_at": NOW, "booked_by": "甲"}
RIGHT = mortgage_row(case_number="20261120320281000001")


def application(**changes: Any) -> Application:
    """A booked one."""
    row = Application(
        registry="jiangyin",
        application_id="a",
        kind=Kind.MORTGAGE,
        operations=("MORTGAGE_FIRST",),
        units=(UNIT,),
        channel_institution=BANK_USCC,
        applicant_institution=BANK_USCC,
        request_id="r",
        payload_sha256="",
        terms_sha256="",
        state=State.BOOKED,
        submitted_at=NOW,
        submitted_index=9,
        last_index=9,
    )
    return replace(row, **changes)


def facts(
    *others: Any, right: Any = RIGHT, unit: dict[str, Any] | None = None, **changes: Any
) -> PayoutFacts:
    """All well: the bank's own sealed mortgage, alone on its unit."""
    on_unit = [r for r in (right,) if r is not None]
    value = PayoutFacts(
        certificate_state="SEALED",
        right=right,
        live=True,
        booked_index=10,
        units={UNIT: unit_state(*on_unit, *others, **(unit or {}))},
        open_cases={UNIT: ()},
        application=application(),
        asking=frozenset({BANK_USCC}),
        pays_on_pre_notice=False,
        feed_expected=False,
        feed=None,
    )
    return replace(value, **changes)


def failing(value: PayoutFacts) -> set[str]:
    """Codes of the conditions that fail."""
    return {one.code for one in conditions_of(value) if one.result == FAILS}


def notice(kind: PreNoticeKind = PreNoticeKind.OTHER_SALE, **changes: Any) -> PreNotice:
    """A pre-notice on the unit."""
    row = PreNotice(
        right_id="0.7",
        **COMMON,
        kind=kind,
        holders=(BANK,),
        obligors=(OWNER,),
        amount_fen=1,
        proof=CertificateRef(number="p"),
    )
    return replace(row, **changes)


SEIZURE = Seizure(
    right_id="0.8",
    **COMMON,
    kind=SeizureKind.SEIZURE,
    target=OWNER,
    extent="全部",
    authority="法院",
    instrument_no="1",
    served_at=NOW,
    until=dt.date(2029, 1, 1),
)
DISSENT = Dissent(right_id="0.9", **COMMON, applicant=OWNER, matter="所有权")
EARLIER = mortgage_row(
    right_id="0.1m",
    priority_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    proof=CertificateRef(number="earlier"),
)


def test_everything_in_order_holds_every_condition() -> None:
    """Nothing fails."""
    assert failing(facts()) == set()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (facts(certificate_state="NUMBERED"), {"SEALED"}),
        (facts(certificate_state="CANCELLED"), {"SEALED"}),
        (facts(certificate_state="SUPERSEDED"), {"SEALED"}),
        (facts(live=False), {"RIGHT_LIVE"}),
        (facts(asking=frozenset({OTHER_USCC})), {"HOLDER"}),
        (facts(expected_amount_fen=1), {"AMOUNT"}),
        (facts(EARLIER), {"RANK"}),
        (facts(units={}), {"RANK"}),
        (facts(SEIZURE), {"NO_SEIZURE"}),
        (facts(DISSENT), {"NO_DISSENT"}),
        (facts(notice(booked_at=dt.datetime(2021, 1, 1, tzinfo=dt.UTC))), {"NO_EARLIER_PRE_NOTICE"}),
        (facts(unit={"holds": (UnitHold.DISPUTED,)}), {"NO_HOLD"}),
        (
            facts(open_cases={UNIT: (OpenCase(application_id="b", accepted_index=99, rights=("0.2",)),)}),
            {"NO_EARLIER_CASE"},
        ),
        (
            facts(open_cases={UNIT: (OpenCase(application_id="b", accepted_index=9),)}),
            {"NO_EARLIER_CASE"},
        ),
        (
            facts(
                application=application(
                    disputes=(Dispute(institution=OTHER_USCC, objection=Objection.REVOCATION, index=1),)
                )
            ),
            {"NO_DISPUTE"},
        ),
        (facts(feed_expected=True), {"REGISTER_CURRENT"}),
        (facts(feed_expected=True, feed=FeedState(as_of=NOW, stopped=True)), {"REGISTER_CURRENT"}),
        (facts(feed=FeedState(as_of=NOW, stopped=True)), {"REGISTER_CURRENT"}),
        (facts(right=None), {"SECURITY"}),
    ],
)
def test_condition_that_does_not_hold_is_the_one_that_fails(value: PayoutFacts, expected: set[str]) -> None:
    """One thing wrong, one condition."""
    assert failing(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        facts(EARLIER, expected_rank=2),
        facts(notice(booked_at=NOW)),
        facts(
            notice(case_number=RIGHT.case_number, booked_at=dt.datetime(2021, 1, 1, tzinfo=dt.UTC)),
        ),
        facts(open_cases={UNIT: (OpenCase(application_id="b", accepted_index=99),)}),
        facts(feed_expected=True, feed=FeedState(as_of=NOW, stopped=False)),
        facts(mortgage_row(right_id="0.3", priority_date=NOW, rank_at_registration=2)),
    ],
    ids=["rank 2 allowed", "later notice", "own case's notice", "later case", "feed", "later mortgage"],
)
def test_what_does_not_touch_the_right_fails_nothing(value: PayoutFacts) -> None:
    """What comes after the right leaves it where it is."""
    assert failing(value) == set()


def test_pre_notice_of_a_mortgage_is_paid_on_only_where_the_plan_says_so() -> None:
    """It is no mortgage (CC 221); the parties may agree to pay on it."""
    own = notice(PreNoticeKind.OTHER_MORTGAGE)
    assert failing(facts(right=own)) == {"SECURITY"}
    assert failing(facts(right=own, pays_on_pre_notice=True)) == set()
    assert failing(facts(right=notice(), pays_on_pre_notice=True)) == {"SECURITY"}


def test_agreed_rank_is_what_is_printed_and_held() -> None:
    """An agreed rank counts (CC 409)."""
    agreed = mortgage_row(agreed_rank=1, rank_at_registration=2, priority_date=NOW)
    second = mortgage_row(right_id="0.5", agreed_rank=2, rank_at_registration=1)
    value = facts(second, right=agreed)
    assert failing(value) == set()
    said = secured_of(value)
    assert said is not None
    assert (said.rank_printed, said.ranks_now) == (1, {UNIT: 1})
    assert isinstance(value.right, Mortgage)
