"""A loan of several lenders: co-mortgagees of one mortgage, or mortgages in step order (handbook 2.3, 11: 23, 40)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import Paper, Result, State
from gateway.cases.terms import LoanKind, MortgageFirst
from gateway.register.model import LoanPortion, LoanPortionKind, Mortgage
from gateway.register.rank import current_ranks
from tests.support import cases as c
from tests.support import deals as d

BANK_FEN, FUND_FEN = 50_000_000, 30_000_000
INSTANT = replace(d.PROFILE, instant=("MORTGAGE_FIRST",))


def world() -> Any:
    """A registry whose rule set decides first mortgages."""
    return d.world(c.unit_state(), profile=INSTANT)


def of_bank(**changes: Any) -> MortgageFirst:
    """The bank's mortgage."""
    return c.mortgage_first(claim_amount_fen=BANK_FEN, mortgagees=(c.BANK,), **changes)


def of_fund(**changes: Any) -> MortgageFirst:
    """The fund centre's mortgage."""
    return c.mortgage_first(claim_amount_fen=FUND_FEN, mortgagees=(d.FUND,), **changes)


def papers(*, agreed: bool = False) -> dict[str, Paper]:
    """The papers of both lenders in one set; the fund centre's application as a paper, in place of its Join."""
    both = (c.OWNER, c.BANK, d.FUND)
    filed = {
        "APPLICATION": c.paper("APPLICATION", c.OWNER, d.FUND, bound=True),
        "INQUIRY_RECORD": c.paper("INQUIRY_RECORD", c.OWNER, bound=True),
        "PRINCIPAL_CONTRACT": c.paper("PRINCIPAL_CONTRACT", *both),
        "MORTGAGE_CONTRACT": c.paper("MORTGAGE_CONTRACT", *both),
        "REMOTE_IDENTITY": c.paper("REMOTE_IDENTITY"),
    }
    return filed | ({"RANK_AGREEMENT": c.paper("RANK_AGREEMENT", *both)} if agreed else {})


def submission(*operations: MortgageFirst, filed: dict[str, Paper] | None = None) -> Any:
    """One submission of the bank with these mortgages."""
    what = c.submission(operations[0], filed or papers(), loan_kind=LoanKind.PORTFOLIO)
    terms = replace(what.manifest.terms, operations=operations)
    return replace(what, manifest=replace(what.manifest, terms=terms))


def booked(what: Any) -> list[Mortgage]:
    """The mortgages that come out of the registrar's approval."""
    decision = d.submitted_and_approved(world(), what)
    assert decision.outcome.result is Result.BOOKED
    return [r for r in d.rights_of(decision) if isinstance(r, Mortgage)]


def test_two_mortgages_of_one_case_rank_in_step_order() -> None:
    """Golden 40: without an agreement ranks 1 and 2 in step order, never a tie; a person decides."""
    what = submission(of_bank(), of_fund())
    assert c.decide(world(), what).outcome.state is State.ACCEPTED
    bank, fund = booked(what)
    assert [(m.mortgagees, m.rank_at_registration) for m in (bank, fund)] == [((c.BANK,), 1), ((d.FUND,), 2)]
    assert current_ranks([fund, bank]) == {bank.right_id: 1, fund.right_id: 2}
    assert bank.proof != fund.proof


def test_two_mortgages_are_equal_by_signed_agreement_only() -> None:
    """Golden 23: rank 1 and 1 with the rank agreement; without it the paper is missing."""
    operations = (of_bank(agreed_rank=1), of_fund(agreed_rank=1))
    bare = c.decide(world(), submission(*operations)).outcome
    assert bare.result is Result.NOT_ACCEPTED
    assert {f.file for f in bare.findings if f.code == "N-INCOMPLETE"} == {"RANK_AGREEMENT"}
    bank, fund = booked(submission(*operations, filed=papers(agreed=True)))
    assert current_ranks([bank, fund]) == {bank.right_id: 1, fund.right_id: 1}


def test_fund_centre_still_to_join_is_awaited() -> None:
    """Both lenders apply; the one that did not file is awaited."""
    filed = papers() | {"APPLICATION": c.paper("APPLICATION", c.OWNER, bound=True)}
    outcome = c.decide(world(), submission(of_bank(), of_fund(), filed=filed)).outcome
    assert outcome.result is Result.AWAITING_PARTIES
    assert [a.institution for a in outcome.awaiting] == [d.FUND.id_number]


def test_co_mortgagees_of_one_mortgage_go_to_a_person_and_share_its_rank() -> None:
    """One mortgage of bank and fund centre, in portions: one rank, one proof that shows both."""
    portions = (
        LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=c.BANK, amount_fen=BANK_FEN),
        LoanPortion(kind=LoanPortionKind.PROVIDENT_FUND, creditor=d.FUND, amount_fen=FUND_FEN),
    )
    operation = c.mortgage_first(
        claim_amount_fen=BANK_FEN + FUND_FEN, mortgagees=(c.BANK, d.FUND), loan_portions=portions
    )
    what = submission(operation)
    assert c.decide(world(), what).outcome.state is State.ACCEPTED
    [mortgage] = booked(what)
    assert (mortgage.mortgagees, mortgage.loan_portions) == ((c.BANK, d.FUND), portions)


@pytest.mark.parametrize("new", [(d.B,), (d.B, d.FUND)], ids=["one", "two"])
def test_combined_case_with_two_new_mortgages_ranks_them_in_step_order(new: Any) -> None:
    """Golden 23, 40 inside ET_COMBINED: the release goes before both, so ranks 1 and 2 are printed."""
    mortgages = tuple(d.new_mortgage(mortgagees=(p,), applicants=(d.BUYER, p)) for p in new)
    filed = d.papers(new=new) | {"PAYOFF_UNDERTAKING": c.paper("PAYOFF_UNDERTAKING", d.A, d.B)}
    filed["APPLICATION"] = c.paper("APPLICATION", d.SELLER, d.BUYER, d.A, *new, bound=True)
    what = d.submission((d.transfer(), d.release(), *mortgages), filed, joined=False)
    decision = d.submitted_and_approved(d.world(), what)
    assert decision.outcome.result is Result.BOOKED
    ranks = [r.rank_at_registration for r in d.rights_of(decision) if isinstance(r, Mortgage)]
    assert ranks == list(range(1, len(new) + 1))
