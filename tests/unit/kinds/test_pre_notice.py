"""PRE_NOTICE_CREATE of kinds 2 and 4 as the law has it (CC 221; RD 87, 88; handbook 2.3, 3.5, 11: 12, 13, 34)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import Result, State
from gateway.cases.terms import Evidence, RiskNotice
from gateway.register.model import (
    CertificateRef,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    TransferRestriction,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d

BOTH = (d.sale_notice(), d.mortgage_notice())
NAMES = ("PRE_NOTICE_CREATE",)
PN_PROOF = "苏(2026)江阴市不动产证明第0000500号"


def instant(*states: Any, **changes: Any) -> Any:
    """A world whose rule set decides pre-notices."""
    return d.world(
        *states,
        profile=replace(d.PROFILE, instant=NAMES),
        rules=replace(c.RULES, decides=NAMES),
        **changes,
    )


def notice_row(**changes: Any) -> PreNotice:
    """A live sale pre-notice of BUYER."""
    row = PreNotice(
        right_id="0.5",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW,
        booked_by="导入",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(d.BUYER,),
        obligors=(d.SELLER,),
        amount_fen=d.PRICE_FEN,
        proof=CertificateRef(number=PN_PROOF),
    )
    return replace(row, **changes)


def line(content: Any, label: str) -> str:
    """The value printed under a label; empty when there is no such line."""
    return next((one.value for one in content.other if one.label == label), "")


def test_both_pre_notices_of_a_clean_unit_are_booked_at_once() -> None:
    """Golden 12, phase 1: two proofs from one booking; the obligor of the mortgage pre-notice is the buyer."""
    decision = c.decide(instant(c.unit_state()), d.notices(BOTH))
    assert decision.outcome.result is Result.BOOKED
    sale, mortgage = d.rights_of(decision)
    assert isinstance(sale, PreNotice)
    assert isinstance(mortgage, PreNotice)
    assert (sale.holders, sale.obligors) == ((d.BUYER,), (d.SELLER,))
    assert (mortgage.holders, mortgage.obligors) == ((d.B,), (d.BUYER,))
    assert mortgage.amount_fen == d.CLAIM_FEN
    assert [x.kind for x in decision.outcome.certificates] == ["PROOF", "PROOF"]


def test_proofs_carry_price_claim_contract_and_what_they_rest_on() -> None:
    """Banks lend on the sale proof: contract number and price stand on it (S13; handbook 5.1)."""
    decision = c.decide(instant(c.unit_state()), d.notices(BOTH))
    sale, mortgage = decision.contents
    assert (line(sale, "取得价格"), line(sale, "合同编号")) == ("200万元", "WQ-2026-1")
    assert line(sale, "已有的不动产权证书或者登记证明号") == c.TITLE
    assert line(mortgage, "被担保主债权数额") == "120万元"
    assert line(mortgage, "已有的不动产权证书或者登记证明号") == sale.number
    assert line(mortgage, "合同编号") == "DY-2026-1"


def test_both_pre_notices_on_a_mortgaged_unit_go_to_a_person() -> None:
    """Golden 12 on the unit with its old mortgage: nothing bars them, a person decides (S10)."""
    here = instant(c.unit_state(c.mortgage_row()))
    what = d.notices(BOTH)
    outcome = c.decide(here, what).outcome
    assert (outcome.result, outcome.state) == (Result.ACCEPTED, State.ACCEPTED)
    booked = d.submitted_and_approved(here, what)
    assert len(d.rights_of(booked)) == 2
    assert booked.outcome.result is Result.BOOKED


@pytest.mark.parametrize(
    ("stated", "agreed", "expected"),
    [
        (None, None, dt.date(2026, 11, 20)),
        (None, dt.date(2027, 1, 15), dt.date(2027, 1, 15)),
        (dt.date(2027, 2, 1), dt.date(2027, 1, 15), dt.date(2027, 2, 1)),
    ],
    ids=["booking-day", "contract", "stated"],
)
def test_registrable_from_is_as_stated_else_as_agreed_else_the_booking(
    stated: Any, agreed: Any, expected: dt.date
) -> None:
    """The 90 days run from an explicit day (handbook 3.5)."""
    what = d.notices(
        (d.sale_notice(registrable_from=stated),), sale_contracts=(d.contract(registrable_from=agreed),)
    )
    [right] = d.rights_of(c.decide(instant(c.unit_state()), what))
    assert isinstance(right, PreNotice)
    assert right.registrable_from == expected


@pytest.mark.parametrize(
    ("built", "expected"), [(True, dt.date(2026, 11, 20)), (False, None)], ids=["built", "unbuilt"]
)
def test_pre_sale_is_registrable_once_the_unit_had_its_first_registration(
    built: bool, expected: dt.date | None
) -> None:
    """A pre-sold flat that the developer owns by now can be registered at once; before, nobody knows when."""
    filed = d.notices((d.sale_notice(kind=PreNoticeKind.PRESALE_SALE),), sale_contracts=(d.contract(),))
    state = c.unit_state(first_registered=built)
    if not built:
        state = UnitState(unit=state.unit)
    [right] = d.rights_of(d.submitted_and_approved(instant(state), filed))
    assert isinstance(right, PreNotice)
    assert right.registrable_from == expected


def test_contract_number_comes_from_the_filing_where_the_terms_leave_it() -> None:
    """The proof names the filed contract."""
    sale = d.sale_notice()
    assert sale.sale is not None
    what = d.notices(
        (replace(sale, sale=replace(sale.sale, contract_number="")),), sale_contracts=(d.contract(),)
    )
    [content] = c.decide(instant(c.unit_state()), what).contents
    assert line(content, "合同编号") == "WQ-2026-1"


@pytest.mark.parametrize(
    "changes", [{"price_fen": d.PRICE_FEN + 1}, {"filing_number": "WQ-OTHER"}], ids=["price", "number"]
)
def test_pre_notice_that_differs_from_its_contract_is_not_accepted(changes: dict[str, Any]) -> None:
    """Price and number are those of the contract (IR 18(2))."""
    what = d.notices((d.sale_notice(),), sale_contracts=(d.contract(**changes),))
    assert ("C-MISMATCH", "") in c.codes(c.decide(instant(c.unit_state()), what))


def test_mortgage_pre_notice_of_somebody_else_than_the_buyer_is_not_accepted() -> None:
    """Together in one case the obligor of the mortgage pre-notice is the buyer (handbook 2.3)."""
    wrong = d.mortgage_notice(obligors=(d.SELLER,), applicants=(d.SELLER, d.B))
    decision = c.decide(instant(c.unit_state()), d.notices((d.sale_notice(), wrong)))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in c.codes(decision)


def test_mortgage_pre_notice_before_the_sale_is_not_accepted() -> None:
    """A buyer who holds nothing yet gives nothing."""
    decision = c.decide(instant(c.unit_state()), d.notices((d.mortgage_notice(), d.sale_notice())))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in c.codes(decision)


def test_mortgage_pre_notice_of_the_holder_of_a_live_one_is_accepted() -> None:
    """Filed after the sale pre-notice: its holder is the mortgagor (blocks.csv KIND_4_BY_HOLDER)."""
    outcome = c.decide(instant(c.unit_state(notice_row())), d.notices((d.mortgage_notice(),))).outcome
    assert (outcome.result, outcome.state) == (Result.ACCEPTED, State.ACCEPTED)


def test_second_sale_pre_notice_is_not_accepted() -> None:
    """A second sale of the same unit (CC 221)."""
    other = notice_row(holders=(c.SPOUSE,))
    decision = c.decide(instant(c.unit_state(other)), d.notices((d.sale_notice(),)))
    assert ("N-BARRED", "R-PRE_NOTICE") in c.codes(decision)


def test_mortgage_by_the_seller_under_a_live_sale_pre_notice_is_not_accepted() -> None:
    """Golden 13: without the holder's written consent the disposal has no effect."""
    state = c.unit_state(notice_row())
    decision = c.decide(c.world(state), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert ("N-INCOMPLETE", "R-PRE_NOTICE") in c.codes(decision)
    assert decision.outcome.result is Result.NOT_ACCEPTED


def test_mortgage_under_a_pre_notice_presumed_lapsed_is_a_registrars() -> None:
    """CC 221 and handbook 3.5: past its 90 days, unconfirmed: neither a bar nor nothing."""
    state = c.unit_state(notice_row(lapse_presumed_on=dt.date(2026, 11, 19)))
    outcome = c.decide(c.world(state), c.submission(c.mortgage_first(), c.mortgage_papers())).outcome
    assert (outcome.result, outcome.state) == (Result.ACCEPTED, State.ACCEPTED)
    told = [f for f in outcome.findings if "2026-11-19" in f.en]
    assert [(f.code, f.article) for f in told] == [("M-REFER", "CC 221; handbook 3.5")]


def test_second_pre_notice_after_one_presumed_lapsed_is_a_registrars() -> None:
    """Where a live one would bar it."""
    state = c.unit_state(notice_row(holders=(c.SPOUSE,), lapse_presumed_on=dt.date(2026, 11, 19)))
    outcome = c.decide(instant(state), d.notices((d.sale_notice(),))).outcome
    assert outcome.result is Result.ACCEPTED
    assert "M-REFER" in {f.code for f in outcome.findings}


def test_mortgage_with_the_consent_of_the_holder_named_is_awaited() -> None:
    """Golden 13: named as consenting, the holder is awaited; its paper lets the case go on."""
    here = c.world(c.unit_state(notice_row()))
    operation = c.mortgage_first(consenters=(d.BUYER,))
    awaiting = c.decide(here, c.submission(operation, c.mortgage_papers())).outcome
    assert awaiting.result is Result.AWAITING_PARTIES
    consent = {"PRE_NOTICE_HOLDER_CONSENT": c.paper("PRE_NOTICE_HOLDER_CONSENT", d.BUYER)}
    outcome = c.decide(here, c.submission(operation, c.mortgage_papers() | consent)).outcome
    assert outcome.state is State.ACCEPTED


def test_sale_to_another_while_the_holder_is_pre_seized_is_not_accepted() -> None:
    """Golden 34: a second sale of what is pre-seized at its holder is barred."""
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="法院",
        kind=SeizureKind.PRE_SEIZURE, target=d.BUYER, extent="全部", authority="某法院", instrument_no="1",
        served_at=c.NOW, until=dt.date(2029, 1, 1),
    )  # fmt: skip
    state = c.unit_state(notice_row(), seizure)
    sale = d.sale_notice(holders=(c.SPOUSE,), applicants=(d.SELLER, c.SPOUSE))
    decision = c.decide(instant(state), d.notices((sale,)))
    assert ("N-BARRED", "R-SEIZED") in c.codes(decision)


@pytest.mark.parametrize("named", [False, True], ids=["silent", "named"])
def test_sale_pre_notice_under_a_restriction_needs_the_mortgagee(named: bool) -> None:
    """A recorded restriction: the old mortgagee's consent, at least its name among those who consent (N29; HH)."""
    state = c.unit_state(c.mortgage_row(transfer_restriction=TransferRestriction.RESTRICTED))
    sale = d.sale_notice(consenters=(d.A,) if named else ())
    decision = c.decide(instant(state), d.notices((sale,)))
    assert (("N-INCOMPLETE", "R-RESTRICTION") in c.codes(decision)) is not named
    assert decision.outcome.result is (Result.AWAITING_PARTIES if named else Result.NOT_ACCEPTED)


def test_joint_owners_sell_together() -> None:
    """Both spouses are obligors of the sale; in the mortgage step they are not asked again."""
    state = c.unit_state(owners=(d.SELLER, c.SPOUSE))
    alone = c.decide(instant(state), d.notices(BOTH))
    assert ("N-NOT_APPLICANT", "R-CO_OWNER") in c.codes(alone)
    sale = d.sale_notice(obligors=(d.SELLER, c.SPOUSE), applicants=(d.SELLER, c.SPOUSE, d.BUYER))
    together = c.decide(instant(state), d.notices((sale, d.mortgage_notice())))
    assert together.outcome.result is Result.NOT_ACCEPTED
    assert {f.code for f in together.outcome.findings if f.severity == "BLOCKS"} == {"C-SIGNATURE"}


@pytest.mark.parametrize("code", ["SALE_CONTRACT", "PRINCIPAL_AND_MORTGAGE_CONTRACT", "INQUIRY_RECORD"])
def test_missing_paper_is_told(code: str) -> None:
    """Each pre-notice has its contract, and both the forms."""
    filed = d.notice_papers()
    del filed[code]
    decision = c.decide(instant(c.unit_state()), d.notices(BOTH, filed))
    assert [f.file for f in decision.outcome.findings if f.code == "N-INCOMPLETE"] == [code]


def test_agreement_on_the_pre_notice_is_a_paper_unless_the_contract_has_it() -> None:
    """CC 221 asks for an agreement; it may be a clause (S15)."""
    decision = c.decide(instant(c.unit_state()), d.notices((d.sale_notice(agreed_in_contract=False),)))
    assert [f.file for f in decision.outcome.findings if f.code == "N-INCOMPLETE"] == ["PRE_NOTICE_AGREEMENT"]


def test_record_of_questions_unsigned_keeps_a_rule_from_booking() -> None:
    """Bound by the form, the buyer still has to answer and sign the questions (CC 212(2))."""
    filed = d.notice_papers() | {"INQUIRY_RECORD": c.paper("INQUIRY_RECORD", d.SELLER, bound=True)}
    assert c.decide(instant(c.unit_state()), d.notices(BOTH, filed)).outcome.result is Result.AWAITING_PARTIES


def test_risk_notice_is_asked_for_where_the_place_does() -> None:
    """Taizhou: seller and buyer acknowledge the risk before a sale pre-notice (S13)."""
    here = instant(c.unit_state())
    here = replace(here, profile=replace(here.profile, risk_notice_required=True))
    what = d.notices((d.sale_notice(),))
    assert "RISK_NOTICE" in {f.file for f in c.decide(here, what).outcome.findings}
    told = RiskNotice(version="2026-1", shown_at=c.NOW, acknowledged_by=(d.SELLER, d.BUYER))
    what = replace(what, manifest=replace(what.manifest, evidence=Evidence(risk_notices=(told,))))
    assert c.decide(here, what).outcome.result is Result.BOOKED
