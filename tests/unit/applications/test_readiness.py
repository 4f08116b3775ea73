"""Whom a case waits for in each state: there is always somebody, and nobody when the case is closed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.readiness import Ground, waits_of
from gateway.cases.model import CLOSED, Application, Awaited, Kind, State
from gateway.register.calendar import CHINA
from gateway.register.findings import Severity
from gateway.register.reasons import finding
from tests.support.cases import BANK, BANK_USCC, NOW, OTHER_BANK, UNIT

LATER = NOW + dt.timedelta(days=5)
ROW = Application(
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
    state=State.ACCEPTED,
    submitted_at=NOW,
    submitted_index=9,
    last_index=9,
    accepted_at=NOW,
    deadline=dt.date(2026, 12, 1),
    parties_expire_at=LATER,
    supplement_until=LATER,
    gate_expires_at=LATER,
    decided_at=NOW,
)
DAY_END = dt.datetime(2026, 12, 2, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        (State.AWAITING_PARTIES, {}, (Ground.PARTY, "", DAY_END)),
        (
            State.AWAITING_PARTIES,
            {"awaited": (Awaited(name="李二", role="抵押人"),)},
            (Ground.PARTY, "", LATER),
        ),
        (State.ACCEPTED, {}, (Ground.REGISTRAR, "", DAY_END)),
        (State.IN_REVIEW, {}, (Ground.REGISTRAR, "", DAY_END)),
        (
            State.ACCEPTED,
            {"findings": (finding("R-SEIZED", Severity.BLOCKS),)},
            (Ground.RESTRICTION, "", DAY_END),
        ),
        (State.SUPPLEMENT_REQUESTED, {}, (Ground.PAPER, BANK_USCC, LATER)),
        (State.AWAITING_TAX, {}, (Ground.TAX, BANK_USCC, LATER)),
        (State.AWAITING_PAYOFF, {}, (Ground.PAYOFF, BANK_USCC, LATER)),
        (
            State.AWAITING_PAYOFF,
            {"payoff_by": (OTHER_BANK,)},
            (Ground.PAYOFF, OTHER_BANK.id_number, LATER),
        ),
    ],
)
def test_case_in_each_state_waits_for_one_who_is_named(
    state: State, more: dict[str, Any], expected: tuple[Ground, str, dt.datetime]
) -> None:
    """Ground, institution and until when."""
    [wait] = waits_of(replace(ROW, state=state), **more)
    assert (wait.ground, wait.institution, wait.until) == expected
    assert wait.who
    assert wait.zh
    assert wait.en
    assert not wait.is_overdue(NOW)
    assert wait.is_overdue(DAY_END + dt.timedelta(days=30))


@pytest.mark.parametrize(
    ("suspension", "ground"),
    [
        ("S-QUEUE", Ground.QUEUE),
        ("S-CORRECTION", Ground.REGISTRAR),
        ("S-INVESTIGATION", Ground.REGISTRAR),
        ("R-SEIZED", Ground.RESTRICTION),
    ],
)
def test_suspended_case_waits_for_what_suspended_it(suspension: str, ground: Ground) -> None:
    """The reason stands as the code."""
    [wait] = waits_of(replace(ROW, state=State.SUSPENDED, suspension=suspension))
    assert (wait.ground, wait.code) == (ground, suspension)


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_closed_case_waits_for_nobody(state: State) -> None:
    """Nothing more happens to it."""
    assert waits_of(replace(ROW, state=state), owes=(BANK,)) == ()


@pytest.mark.parametrize("state", [s for s in State if s not in CLOSED])
def test_open_case_always_waits_for_somebody(state: State) -> None:
    """Every case ends or waits on a named party."""
    assert waits_of(replace(ROW, state=state))


def test_each_party_and_paper_that_is_to_come_is_an_item_of_its_own() -> None:
    """Two signatures and a paper: three items."""
    waits = waits_of(
        replace(ROW, state=State.AWAITING_PARTIES),
        awaited=(Awaited(name="甲", role="x"), Awaited(name="乙", role="x", institution=BANK_USCC)),
        findings=(replace(finding("N-INCOMPLETE", Severity.AWAITS), file="PROOF"),),
    )
    assert [w.ground for w in waits] == [Ground.PARTY, Ground.PARTY, Ground.PAPER]
