"""Joins, consents and other later acts are held against the limits of whoever signs them, as submissions are."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.mandates import ClerkNotRegistered, MandateExceeded, SecondSignatureRequired
from gateway.applications.party import Consent, Decline, Join, decide_consent, decide_decline, decide_join
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application, ConsentKind, Result, World
from gateway.register.authority import KeyRole, Mandate, RegisteredClerk, RegisteredKey
from gateway.register.model import Party
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later

LATER = c.moment(9)
KEY = "ab" * 32
SMALL = Mandate(claim_fen_max=1)

#: Who has the limit, and what it comes to.
REFUSALS = {
    "institution": MandateExceeded,
    "clerk": MandateExceeded,
    "key": MandateExceeded,
    "two keys": SecondSignatureRequired,
    "unknown clerk": ClerkNotRegistered,
}


def changed(here: World, who: Party, **changes: Any) -> World:
    """The world with something else known of an institution."""
    known = replace(here.institutions[who.id_number], **changes)
    return replace(here, institutions={**here.institutions, who.id_number: known})


def limited(here: World, who: Party, role: KeyRole, limit: str) -> World:
    """The world in which this institution may sign for next to nothing."""
    key = RegisteredKey(key_id=KEY, roles=(role,))
    clerk = RegisteredClerk(employee_no=later.CLERK.employee_no, name=later.CLERK.name)
    changes: dict[str, Any] = {
        "institution": {"mandate": SMALL, "keys": (key,)},
        "clerk": {"clerks": (replace(clerk, mandate=SMALL),), "keys": (key,)},
        "key": {"keys": (replace(key, mandate=SMALL),)},
        "two keys": {"second_key_from_fen": 1, "keys": (key,)},
        "unknown clerk": {"clerks": (replace(clerk, employee_no="another"),), "keys": (key,)},
    }[limit]
    return changed(here, who, **changes)


def asked_to_consent() -> tuple[World, Submission, Application]:
    """The usual deal, to which the terms ask the fund centre's consent: for its sale and its new mortgage."""
    steps = tuple(replace(op, consenters=(d.FUND,)) if n in (0, 2) else op for n, op in enumerate(d.steps()))
    what = d.submission(steps)
    return d.world(), what, later.filed(d.world(), what)


@pytest.mark.parametrize("limit", REFUSALS)
def test_join_is_held_against_the_limits_of_who_joins(limit: str) -> None:
    """What would refuse a submission refuses a join."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    here = limited(here, later.FUND, KeyRole.SUBMIT, limit)
    with pytest.raises(REFUSALS[limit]):
        decide_join(
            later.dossier(here, what, row),
            later.act(Join, row, parties=(later.FUND,), key_ids=(KEY,)),
            LATER,
        )


def test_join_counts_what_it_joins_alone() -> None:
    """The release that a bank joins has no amount, whatever the new mortgage of the same case comes to."""
    steps = (d.transfer(), d.release(), d.new_mortgage(mortgagees=(d.A,), applicants=(d.BUYER, d.A)))
    what = d.submission(steps, d.papers(new=(d.A,)), joined=False, applicant=d.FUND)
    row = later.filed(d.world(), what)
    here = changed(d.world(), d.A, mandate=Mandate(operations=("MORTGAGE_RELEASE",), claim_fen_max=1))

    def join(*operations: int) -> Decision:
        act = later.act(Join, row, by=d.A, parties=(d.A,), operations=operations)
        return decide_join(later.dossier(here, what, row), act, LATER)

    assert join(1).outcome.result is Result.AWAITING_PARTIES
    for operations in ((2,), ()):
        with pytest.raises(MandateExceeded) as refused:
            join(*operations)
        assert refused.value.metadata == {"field": "terms.operations[2]", "operation": "MORTGAGE_FIRST"}


@pytest.mark.parametrize("limit", REFUSALS)
def test_consent_is_held_against_the_limits_of_who_consents(limit: str) -> None:
    """The amount of a consent is that of the steps that it lets pass; of a step without one it is nothing."""
    here, what, row = asked_to_consent()
    here = limited(here, d.FUND, KeyRole.CONSENT, limit)

    def consent(*operations: int) -> Decision:
        act = later.act(
            Consent, row, by=d.FUND, kind=ConsentKind.TO_TERMS, operations=operations, key_ids=(KEY,)
        )
        return decide_consent(later.dossier(here, what, row), act, LATER)

    for operations in ((2,), ()):
        with pytest.raises(REFUSALS[limit]):
            consent(*operations)
    if limit == "unknown clerk":
        return
    assert consent(0).outcome.result is Result.AWAITING_PARTIES


def test_statement_about_money_is_held_against_limits_by_the_sum_it_states() -> None:
    """A payout is no registration: its amount counts, its steps do not."""
    here, what = later.world(), c.submission(c.mortgage_first(), c.mortgage_papers())
    row = later.filed(here, what)
    here = changed(here, c.BANK, mandate=Mandate(operations=("MORTGAGE_RELEASE",), claim_fen_max=5))

    def said(fen: int, currency: str = "CNY") -> Decision:
        act = later.act(Consent, row, by=c.BANK, kind=ConsentKind.PAID_OUT, amount_fen=fen, currency=currency)
        return decide_consent(later.dossier(here, what, row), act, LATER)

    assert said(5).outcome.result is Result.DONE
    for amount in ((6, "CNY"), (5, "USD")):
        with pytest.raises(MandateExceeded) as refused:
            said(*amount)
        assert refused.value.metadata["field"] == "amount"


def test_every_act_names_a_registered_clerk() -> None:
    """A decline has no amount; who brings it is still one of the institution's clerks."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    act = later.act(Decline, row, parties=(later.FUND,))
    assert decide_decline(later.dossier(here, what, row), act, LATER).outcome.result is Result.DONE
    here = limited(here, later.FUND, KeyRole.SUBMIT, "unknown clerk")
    with pytest.raises(ClerkNotRegistered):
        decide_decline(later.dossier(here, what, row), act, LATER)


def test_stranger_with_a_limit_learns_nothing_of_the_case() -> None:
    """Whose case it is comes before whose limit it is."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    here = limited(here, c.OTHER_BANK, KeyRole.CONSENT, "unknown clerk")
    with pytest.raises(ApplicationNotFound):
        act = later.act(Consent, row, by=c.OTHER_BANK, kind=ConsentKind.TO_TERMS)
        decide_consent(later.dossier(here, what, row), act, LATER)
