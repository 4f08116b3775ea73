"""Signs of staff risks: told or handed to a registrar as the profile says, and refused on none (S15)."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.cases.model import Result, World
from gateway.cases.terms import PowerForm, PowerOfAttorney
from gateway.register.authority import RegisteredClerk
from gateway.register.findings import Severity
from tests.support import cases as c

FILES = c.submission(c.mortgage_first(), {}).manifest.header.clerk
NIGHT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
SATURDAY = dt.datetime(2026, 11, 21, 1, 30, tzinfo=dt.UTC)


def clerk(id_number: str, number: str = FILES.employee_no) -> RegisteredClerk:
    """A registered clerk whose identity number is known."""
    return RegisteredClerk(employee_no=number, name=FILES.name, id_number=id_number)


def here(risks: dict[str, str], *clerks: RegisteredClerk) -> World:
    """A registry that looks for these, and the bank with its clerks."""
    return c.world(
        c.unit_state(),
        profile=replace(c.PROFILE, staff_risks=risks),
        institutions={c.BANK_USCC: replace(c.institution(c.BANK), clerks=clerks)},
    )


def risks(
    risk: str,
    *clerks: RegisteredClerk,
    stance: str = "WARN",
    now: dt.datetime = c.NOW,
    powers: tuple[PowerOfAttorney, ...] = (),
) -> list[tuple[str, str, Severity]]:
    """Code, field and severity of what is found by one rule."""
    world = here({risk: stance}, *clerks)
    what = c.submission(c.mortgage_first(), c.mortgage_papers(), powers_of_attorney=powers)
    found = c.decide(world, what, c.moment(5, now)).outcome.findings
    return [
        (f.code, f.field, f.severity) for f in found if f.code == "W-STAFF_RISK" or f.rule == "NO_STAFF_RISK"
    ]


def test_clerk_who_files_for_himself() -> None:
    """By identity number; a colleague who is a party is another rule's."""
    own = clerk(c.OWNER.id_number)
    assert risks("CLERK_IS_PARTY", own) == [("W-STAFF_RISK", "header.clerk", Severity.WARNS)]
    assert risks("CLERK_IS_PARTY", clerk(c.SPOUSE.id_number), clerk(c.OWNER.id_number, "other")) == []
    assert risks("CLERK_IS_PARTY", clerk("")) == []


def test_staff_among_the_parties() -> None:
    """Any registered clerk of an institution of the case."""
    assert risks("STAFF_IS_PARTY", clerk(c.OWNER.id_number, "other")) == [
        ("W-STAFF_RISK", "terms.parties", Severity.WARNS)
    ]
    assert risks("STAFF_IS_PARTY", clerk(c.SPOUSE.id_number)) == []


def test_party_who_is_another_partys_agent_is_a_party() -> None:
    """A power of attorney hides nobody; who is an agent alone is no party."""
    power = PowerOfAttorney(
        principal=c.SPOUSE, agent=c.OWNER, acts=("MORTGAGE_FIRST",), form=PowerForm.NOTARISED
    )
    assert risks("STAFF_IS_PARTY", clerk(c.OWNER.id_number, "other"), powers=(power,))
    assert risks("CLERK_IS_PARTY", clerk(c.OWNER.id_number), powers=(power,))
    turned = replace(power, principal=c.OWNER, agent=c.SPOUSE)
    assert not risks("STAFF_IS_PARTY", clerk(c.SPOUSE.id_number, "other"), powers=(turned,))


def test_staff_as_agent() -> None:
    """A clerk who signs for the customer."""
    power = PowerOfAttorney(
        principal=c.OWNER, agent=c.SPOUSE, acts=("MORTGAGE_FIRST",), form=PowerForm.NOTARISED
    )
    assert risks("STAFF_IS_AGENT", clerk(c.SPOUSE.id_number, "other"), powers=(power,)) == [
        ("W-STAFF_RISK", "terms.powers_of_attorney[0]", Severity.WARNS)
    ]
    assert risks("STAFF_IS_AGENT", clerk(c.OWNER.id_number), powers=(power,)) == []


@pytest.mark.parametrize(
    ("now", "found"), [(c.NOW, 0), (NIGHT, 1), (SATURDAY, 1)], ids=["office", "night", "saturday"]
)
def test_outside_office_hours(now: dt.datetime, found: int) -> None:
    """Working days and hours as the place has them."""
    assert len(risks("OUT_OF_HOURS", now=now)) == found


def test_referred_where_the_place_says_so_and_never_refused() -> None:
    """A person decides; the rule is named."""
    own = clerk(c.OWNER.id_number)
    assert risks("CLERK_IS_PARTY", own, stance="REFER") == [("M-REFER", "header.clerk", Severity.REFERS)]
    decided = c.decide(
        here({"CLERK_IS_PARTY": "REFER"}, own), c.submission(c.mortgage_first(), c.mortgage_papers())
    )
    assert decided.outcome.result is Result.ACCEPTED


def test_a_rule_that_the_place_does_not_have_finds_nothing() -> None:
    """By default nothing is looked for."""
    decided = c.decide(
        here({}, clerk(c.OWNER.id_number)), c.submission(c.mortgage_first(), c.mortgage_papers())
    )
    assert decided.outcome.result is Result.BOOKED
    assert not [f for f in decided.outcome.findings if f.code == "W-STAFF_RISK"]
