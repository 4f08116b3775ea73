"""ET_COMBINED as N29 and the handbook have it (handbook 2.3, 11: 4, 6, 7, 10, 22, 27, 28, 29, 37)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateEnded, CertificateNumbered, RightBooked, RightEnded
from gateway.cases.errors import KindNotAvailable
from gateway.cases.model import Result, State
from gateway.cases.terms import (
    Account,
    FundsLeg,
    FundsPlan,
    FundsPurpose,
    FundsTrigger,
    ReleaseGround,
    TaxKind,
)
from gateway.kinds.modes import MODES
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    Mortgage,
    Ownership,
    Seizure,
    SeizureKind,
    TransferRestriction,
)
from tests.support import cases as c
from tests.support import deals as d

PRE_2021 = dt.datetime(2019, 5, 1, tzinfo=dt.UTC)
RESTRICTED = c.mortgage_row(transfer_restriction=TransferRestriction.RESTRICTED)
OLD = c.mortgage_row(
    transfer_restriction=TransferRestriction.UNRECORDED, first_registered_at=PRE_2021, priority_date=PRE_2021
)
PAID = d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 19))


def paid_papers() -> dict[str, Any]:
    """The papers with A's settlement statement in place of its undertaking."""
    filed = d.papers()
    del filed["SETTLEMENT_UNDERTAKING"]
    return filed | {"EXTINCTION": c.paper("EXTINCTION", d.A)}


def paid_case(**terms: Any) -> Any:
    """The combined case with the payoff confirmed."""
    return d.submission((d.transfer(), PAID, d.new_mortgage()), paid_papers(), **terms)


def blocked(decision: Any) -> set[tuple[str, str]]:
    """Code and rule of what keeps a case from acceptance."""
    return {(f.code, f.rule) for f in decision.outcome.findings if f.severity is Severity.BLOCKS}


def test_combined_case_is_accepted_for_a_person_with_nothing_in_the_way() -> None:
    """A sale under a mortgage is never a rule's to decide (handbook 1.4)."""
    outcome = c.decide(d.world(), paid_case()).outcome
    assert (outcome.result, outcome.state) == (Result.ACCEPTED, State.ACCEPTED)
    assert {f.code for f in outcome.findings} == {"M-REFER", "W-NOTIFY_MORTGAGEE", "W-PROVISIONAL_DATE"}


def test_combined_case_books_buyer_and_new_mortgage_of_rank_one() -> None:
    """Golden 4: owner is the buyer, only the new mortgage is left, printed rank 1; 1 title and 1 proof."""
    here = d.world(certificates_by_number={c.PROOF: "proof-of-a", c.TITLE: "title-of-s"})
    decision = d.submitted_and_approved(here, paid_case())
    assert decision.outcome.result is Result.BOOKED
    ownership, mortgage = d.rights_of(decision)
    assert isinstance(ownership, Ownership)
    assert isinstance(mortgage, Mortgage)
    assert [o.person for o in ownership.owners] == [d.BUYER]
    assert (mortgage.mortgagees, mortgage.rank_at_registration) == ((d.B,), 1)
    assert {e.right_id for e in decision.effects if isinstance(e, RightEnded)} == {"0.1", "0.2"}
    assert {e.identifier for e in decision.effects if isinstance(e, CertificateEnded)} == {
        "proof-of-a",
        "title-of-s",
    }
    assert [x.kind for x in decision.outcome.certificates] == ["TITLE", "PROOF"]
    title, proof = decision.contents
    assert "第1顺位" in str(proof.other)
    assert title.number in str(proof.other)


def test_combined_case_steps_leave_each_other_their_state() -> None:
    """The new mortgage is checked against the buyer's ownership, not the seller's (handbook 3.4)."""
    decision = c.decide(d.world(), d.submission())
    assert not blocked(decision)


def test_transfer_without_restricted_mortgagee_is_not_accepted() -> None:
    """Golden 6: a recorded restriction and A not among the applicants of the transfer."""
    decision = c.decide(d.world(c.unit_state(RESTRICTED)), d.submission(joined=False))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert blocked(decision) == {("N-NOT_APPLICANT", "R-RESTRICTION")}


def test_transfer_with_restricted_mortgagee_named_awaits_it() -> None:
    """Named as applicant of the transfer, A is awaited, and once it has joined nothing is in the way."""
    operations = (d.transfer(applicants=(d.SELLER, d.BUYER, d.A)), d.release(), d.new_mortgage())
    here = d.world(c.unit_state(RESTRICTED))
    awaiting = c.decide(here, d.submission(operations, joined=False)).outcome
    assert awaiting.result is Result.AWAITING_PARTIES
    assert {a.name for a in awaiting.awaiting} == {d.A.name}
    assert c.decide(here, d.submission(operations)).outcome.result is Result.ACCEPTED


def test_transfer_under_mortgage_of_2019_without_consent_is_not_accepted() -> None:
    """Golden 7: registered before the Civil Code and no consent of its mortgagee (N54)."""
    decision = c.decide(d.world(c.unit_state(OLD)), d.submission(joined=False))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert blocked(decision) == {("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE")}


@pytest.mark.parametrize("way", ["paper", "named"])
def test_transfer_under_mortgage_of_2019_with_consent_goes_on(way: str) -> None:
    """A's written consent is there, or the terms name A as consenting and the case awaits it."""
    filed = d.papers()
    operations = d.steps()
    if way == "paper":
        filed["MORTGAGEE_JOINT"] = c.paper("MORTGAGEE_JOINT", d.A)
    else:
        operations = (d.transfer(consenters=(d.A,)), *operations[1:])
    decision = c.decide(d.world(c.unit_state(OLD)), d.submission(operations, filed, joined=False))
    assert decision.outcome.result is Result.AWAITING_PARTIES
    assert not blocked(decision)


def test_price_below_balance_is_not_accepted() -> None:
    """Golden 10: the price does not pay the old loan off (S12)."""
    low = (d.statement(balance_fen=d.PRICE_FEN + 1),)
    assert blocked(c.decide(d.world(), d.submission(payoff_statements=low))) == {
        ("N-BARRED", "R-PRICE_BELOW_BALANCE")
    }
    even = (d.statement(balance_fen=d.PRICE_FEN),)
    assert not blocked(c.decide(d.world(), d.submission(payoff_statements=even)))


def test_overdue_loan_is_not_accepted() -> None:
    """Golden 29: N29 applies to regular loans only."""
    overdue = (d.statement(overdue=True),)
    assert blocked(c.decide(d.world(), d.submission(payoff_statements=overdue))) == {
        ("N-BARRED", "R-OVERDUE")
    }


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        ((), "N-INCOMPLETE"),
        ((d.statement(proof=CertificateRef(number="苏(2022)江阴市不动产证明第0009999号")),), "N-INCOMPLETE"),
        ((d.statement(valid_until=dt.date(2026, 11, 19)),), "N-INCOMPLETE"),
        ((d.statement(mortgagee=d.B),), "C-MISMATCH"),
    ],
    ids=["none", "other-mortgage", "expired", "other-bank"],
)
def test_payoff_statement_that_does_not_serve_is_told(statements: Any, code: str) -> None:
    """One valid statement of the mortgagee of record for each old mortgage."""
    decision = c.decide(d.world(), d.submission(payoff_statements=statements))
    assert code in {found for found, _ in blocked(decision)}


def test_old_bank_that_only_consents_is_not_enough() -> None:
    """Golden 27: A is co-applicant of its release, not merely consenting."""
    only_consents = d.release(applicants=(d.SELLER,), consenters=(d.A,))
    decision = c.decide(
        d.world(), d.submission((d.transfer(), only_consents, d.new_mortgage()), joined=False)
    )
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert blocked(decision) == {("N-NOT_APPLICANT", "")}


def test_old_bank_still_to_join_is_awaited() -> None:
    """A named as co-applicant and not yet bound: no place, no number (handbook 3.6)."""
    outcome = c.decide(d.world(), d.submission(joined=False)).outcome
    assert outcome.result is Result.AWAITING_PARTIES
    assert [(a.name, a.institution) for a in outcome.awaiting] == [(d.A.name, d.A.id_number)]


def test_papers_that_the_old_bank_brings_are_awaited() -> None:
    """What the manifest says is to come with a Join awaits; what it does not name is missing."""
    filed = d.papers()
    del filed["SETTLEMENT_UNDERTAKING"]
    what = d.submission(filed=filed, joined=False)
    assert c.decide(d.world(), what).outcome.result is Result.NOT_ACCEPTED
    manifest = replace(what.manifest, papers_to_come=("SETTLEMENT_UNDERTAKING",))
    outcome = c.decide(d.world(), replace(what, manifest=manifest)).outcome
    assert outcome.result is Result.AWAITING_PARTIES


def test_papers_to_come_await_even_when_everybody_has_signed() -> None:
    """A required paper that is to come keeps a case from acceptance, and from a rule."""
    filed = d.papers()
    del filed["SETTLEMENT_UNDERTAKING"]
    what = d.submission(filed=filed)
    what = replace(what, manifest=replace(what.manifest, papers_to_come=("SETTLEMENT_UNDERTAKING",)))
    assert c.decide(d.world(), what).outcome.result is Result.AWAITING_PARTIES


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ((d.transfer(), d.new_mortgage()), ["第 2 步", "MORTGAGE_RELEASE"]),
        ((d.transfer(), d.new_mortgage(), d.release()), ["MORTGAGE_RELEASE 位置不符"]),
        ((d.release(), d.transfer(), d.new_mortgage()), ["OWNERSHIP_TRANSFER 位置不符"]),
        ((*d.steps(), d.sale_notice()), ["PRE_NOTICE_CREATE/SALE 位置不符"]),
        ((d.transfer(),), ["MORTGAGE_RELEASE", "MORTGAGE_FIRST"]),
    ],
    ids=["no-release", "n29-text-order", "release-first", "foreign-step", "bare-transfer"],
)
def test_missing_or_misplaced_step_is_named(operations: Any, words: list[str]) -> None:
    """The mode's steps are all there, in the order that prints rank 1 (S11)."""
    decision = c.decide(d.world(), d.submission(operations))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    told = " ".join(f.zh for f in decision.outcome.findings if f.article == MODES["ET_COMBINED"].source)
    assert all(word in told for word in words)


def test_everything_missing_is_told_in_one_list() -> None:
    """Golden 6, 7: one answer, one list; a form that serves every step is missed once."""
    decision = c.decide(d.world(), d.submission(filed={}, joined=False))
    missing = [f.file for f in decision.outcome.findings if f.code == "N-INCOMPLETE"]
    assert sorted(missing) == sorted(d.papers())


def test_paper_of_the_deal_without_a_banks_seal_is_told() -> None:
    """The agreement binds all four sides."""
    filed = d.papers() | {"TRIPARTITE": c.paper("TRIPARTITE", d.SELLER, d.BUYER, d.B)}
    decision = c.decide(d.world(), d.submission(filed=filed))
    assert [f.file for f in decision.outcome.findings if f.code == "C-SIGNATURE"] == ["TRIPARTITE"]


def test_mode_not_on_offer_is_told() -> None:
    """Which modes a place offers is its profile; which an institution may use, its agreement."""
    decision = c.decide(d.world(profile=c.PROFILE), d.submission())
    assert [f.field for f in decision.outcome.findings if f.code == "N-BARRED"] == ["terms.mode"]
    plain = {p.id_number: c.institution(p) for p in (d.A, d.B)}
    decision = c.decide(d.world(institutions=plain), d.submission())
    assert [f.field for f in decision.outcome.findings if f.code == "N-BARRED"] == [
        "header.applicant_institution"
    ]


def test_mode_that_no_law_knows_is_not_available() -> None:
    """A mode without a law is refused by name, not booked in part."""
    with pytest.raises(KindNotAvailable) as refused:
        c.decide(d.world(), d.submission(mode="ET_UNHEARD_OF"))
    assert refused.value.metadata == {"operation": "ET_UNHEARD_OF"}


def test_release_on_an_undertaking_alone_is_not_accepted() -> None:
    """Without the steps that pay the loan, an undertaking ends no mortgage (CC 393)."""
    what = c.submission(d.release(), {"EXTINCTION": c.paper("EXTINCTION", d.A)})
    assert ("N-BARRED", "R-CONFLICT") in c.codes(c.decide(d.world(), what))


def test_second_mortgage_that_stays_is_shown_to_the_registrar() -> None:
    """What no step releases stays before the new mortgage (CC 414)."""
    other = c.mortgage_row(
        right_id="0.3",
        mortgagees=(d.FUND,),
        proof=CertificateRef(number="苏(2023)江阴市不动产证明第0000077号"),
        rank_at_registration=2,
    )
    here = d.world(c.unit_state(c.mortgage_row(), other))
    assert "CC 406, 414" in {f.article for f in c.decide(here, paid_case()).outcome.findings}
    [_, mortgage] = d.rights_of(d.submitted_and_approved(here, paid_case()))
    assert isinstance(mortgage, Mortgage)
    assert mortgage.rank_at_registration == 2


def test_seizure_after_acceptance_stops_the_booking() -> None:
    """Golden 14: not booked when the seizure is served: R-SEIZED, nothing booked."""
    what = paid_case()
    row = d.row_of(c.decide(d.world(), what))
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="法院", kind=SeizureKind.SEIZURE,
        target=d.SELLER, extent="全部", authority="某法院", instrument_no="(2026)执1号", served_at=c.NOW,
        until=dt.date(2029, 1, 1),
    )  # fmt: skip
    decision = d.approved(d.world(c.unit_state(c.mortgage_row(), seizure)), what, row)
    assert "R-SEIZED" in {f.code for f in decision.outcome.findings}
    assert not any(isinstance(e, RightBooked | CertificateNumbered) for e in decision.effects)


def _leg(payee: Any, amount: int, purpose: FundsPurpose, **changes: Any) -> FundsLeg:
    leg = FundsLeg(
        payer=d.B,
        payee=payee,
        amount_fen=amount,
        trigger=FundsTrigger.ON_BOOKING,
        purpose=purpose,
        account=Account(holder_name=payee.name, number="62220001"),
    )
    return replace(leg, **changes)


PAYOFF = _leg(d.A, d.BALANCE_FEN, FundsPurpose.PAYOFF)
REST = _leg(d.SELLER, d.CLAIM_FEN - d.BALANCE_FEN, FundsPurpose.PRICE)


@pytest.mark.parametrize(
    ("legs", "locked", "good"),
    [
        ((PAYOFF, REST), False, True),
        ((REST, PAYOFF), False, False),
        ((replace(PAYOFF, amount_fen=1), REST), False, False),
        ((PAYOFF, REST), True, False),
        ((PAYOFF, replace(REST, payee_locked=True)), True, True),
    ],
    ids=["good", "seller-first", "below-balance", "not-locked", "locked"],
)
def test_funds_plan_pays_the_old_loan_first_and_whole(legs: Any, locked: bool, good: bool) -> None:
    """The payoff covers the balance and goes before the seller; the place may lock the payee (handbook 2.4)."""
    here = d.world(profile=replace(d.PROFILE, lock_payee_to_seller=locked))
    decision = c.decide(here, d.submission(funds_plan=FundsPlan(legs=legs)))
    assert (blocked(decision) == set()) is good


def test_statement_that_ran_out_in_review_is_a_persons_to_weigh() -> None:
    """A payoff statement valid at acceptance does not undo it; one that had run out before is not taken."""
    what = paid_case(payoff_statements=(d.statement(valid_until=dt.date(2026, 11, 20)),))
    here = d.world()
    row = d.row_of(c.decide(here, what))
    later = c.NOW + dt.timedelta(days=3)
    assert d.approved(here, what, row, at=c.moment(9, later)).outcome.result is Result.BOOKED
    late = c.moment(7, later)
    header = replace(what.manifest.header, created_at=later, not_after=later + dt.timedelta(hours=1))
    again = replace(what, manifest=replace(what.manifest, header=header))
    assert c.decide(here, again, late).outcome.result is Result.NOT_ACCEPTED


def test_taxes_of_a_company_seller_are_land_vat_not_income() -> None:
    """Golden 37: S a company pays land VAT instead of income tax."""
    company = d.FUND
    state = c.unit_state(c.mortgage_row(), owners=(company,))
    filed = {
        code: replace(p, signatures=(*p.signatures, *c.paper(code, company).signatures))
        for code, p in paid_papers().items()
    }
    filed["APPLICATION"] = c.paper("APPLICATION", company, d.BUYER, d.A, bound=True)
    operations = (
        d.transfer(sellers=(company,), applicants=(company, d.BUYER)),
        replace(PAID, applicants=(d.A, company)),
        d.new_mortgage(),
    )
    for kind, state_after in ((TaxKind.INCOME, State.AWAITING_TAX), (TaxKind.LAND_VAT, State.BOOKED)):
        taxes = (d.cleared(TaxKind.DEED), d.cleared(kind))
        what = d.submission(operations, filed, joined=False, tax_clearances=taxes)
        assert d.submitted_and_approved(d.world(state), what).outcome.state is state_after
