"""Withdrawal is by all who applied (IR 15; handbook 3.6; golden 38)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.later import KeyWithoutRole
from gateway.applications.submit import Submission
from gateway.applications.withdrawal import Withdrawal, decide_withdrawal
from gateway.cases.effects import PapersFreed
from gateway.cases.errors import NotPermitted, StateNotAllowed
from gateway.cases.model import Application, Result, State, World
from gateway.register.authority import KeyRole
from gateway.register.model import Party
from tests.support import cases as c
from tests.support import later

AT = c.moment(9)
PAPER = c.paper("WITHDRAWAL", c.OWNER)


def accepted() -> tuple[World, Submission, Application]:
    """A mortgage of one owner to the bank, in review."""
    here = later.world(profile=replace(c.PROFILE, instant=()))
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    return here, what, later.filed(here, what)


def withdraw(row: Application, *new: Any, parties: tuple[Party, ...], **changes: Any) -> Withdrawal:
    """The bank asks."""
    return later.act(Withdrawal, row, *new, by=c.BANK, parties=parties, **changes)


def test_withdrawal_by_all_applicants_ends_the_case_and_frees_its_papers() -> None:
    """The institution by its envelope, the person by a signed paper: E-WITHDRAWN."""
    here, what, row = accepted()
    act = withdraw(row, PAPER, parties=(c.BANK, c.OWNER))
    decision = decide_withdrawal(later.dossier(here, what, row, PAPER), act, AT)
    assert (decision.outcome.result, later.row_of(decision).state) == (Result.DONE, State.WITHDRAWN)
    assert [f.code for f in decision.outcome.findings] == ["E-WITHDRAWN"]
    [freed] = [e for e in decision.effects if isinstance(e, PapersFreed)]
    assert what.papers[0].reference.sha256 in freed.papers
    assert later.events_of(decision)[c.BANK_USCC] == "APPLICATION_WITHDRAWN"


@pytest.mark.parametrize("alone", [c.BANK, c.OWNER], ids=["bank", "owner"])
def test_withdrawal_by_one_side_is_not_taken_and_a_person_looks_into_the_dispute(alone: Party) -> None:
    """Golden 38: asked by some only, the case does not end; R-DISPUTE in review."""
    here, what, row = accepted()
    new = (PAPER,) if alone is c.OWNER else ()
    decision = decide_withdrawal(
        later.dossier(here, what, row, *new), withdraw(row, *new, parties=(alone,)), AT
    )
    after = later.row_of(decision)
    assert (decision.outcome.result, after.state) == (Result.DONE, State.ACCEPTED)
    assert [f.code for f in decision.outcome.findings] == ["R-DISPUTE"]


def test_withdrawals_of_one_side_after_the_other_add_up() -> None:
    """What was asked is kept: the last of all applicants ends the case."""
    here, what, row = accepted()
    row = later.row_of(
        decide_withdrawal(later.dossier(here, what, row), withdraw(row, parties=(c.BANK,)), AT)
    )
    act = withdraw(row, PAPER, parties=(c.OWNER,))
    decision = decide_withdrawal(later.dossier(here, what, row, PAPER), act, c.moment(10))
    assert later.row_of(decision).state is State.WITHDRAWN


def test_withdrawal_before_acceptance_is_by_those_who_applied() -> None:
    """Who never signed has nothing to withdraw."""
    here, what = later.world(), later.unsigned()
    row = later.filed(here, what)
    decision = decide_withdrawal(later.dossier(here, what, row), withdraw(row, parties=(c.BANK,)), AT)
    assert later.row_of(decision).state is State.WITHDRAWN


@pytest.mark.parametrize(
    "paper",
    [c.paper("WITHDRAWAL", c.SPOUSE), c.paper("WITHDRAWAL", c.OWNER, terms_sha256="99" * 32)],
    ids=["other-signer", "other-terms"],
)
def test_withdrawal_paper_of_another_person_or_case_is_not_taken(paper: Any) -> None:
    """The person withdraws this case, and nobody for him."""
    here, what, row = accepted()
    act = withdraw(row, paper, parties=(c.BANK, c.OWNER))
    decision = decide_withdrawal(later.dossier(here, what, row, paper), act, AT)
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert later.row_of(decision).withdrawn_by == ()
    assert [f.code for f in decision.outcome.findings] == ["C-SIGNATURE"]


def test_withdrawal_for_another_institution_is_refused() -> None:
    """Nobody withdraws for another institution."""
    here, what, row = accepted()
    with pytest.raises(NotPermitted):
        decide_withdrawal(later.dossier(here, what, row), withdraw(row, parties=(c.BANK, later.FUND)), AT)


def test_withdrawal_of_a_booked_case_is_refused() -> None:
    """Any time before BOOKED, and not after."""
    here, what, row = accepted()
    row = replace(row, state=State.BOOKED)
    with pytest.raises(StateNotAllowed):
        decide_withdrawal(later.dossier(here, what, row), withdraw(row, parties=(c.BANK,)), AT)


def test_withdrawal_by_a_key_without_the_role_is_refused() -> None:
    """The key role is SUBMIT."""
    here, what, row = accepted()
    act = withdraw(row, parties=(c.BANK,), roles=(KeyRole.CONSENT,))
    with pytest.raises(KeyWithoutRole):
        decide_withdrawal(later.dossier(here, what, row), act, AT)
