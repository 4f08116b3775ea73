"""OWNERSHIP_TRANSFER inside a combined case (IR 14; OS 9.3; handbook 3.4, 11: 18, 42)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import RightEnded
from gateway.cases.model import Result
from gateway.cases.terms import TaxKind
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    IdKind,
    Owner,
    Ownership,
    Party,
    Share,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d

SECOND_UNIT = "320281001001GB00001F00010002"
THIRD = Party(name="赵六", id_kind=IdKind.RESIDENT_ID, id_number="999999197501010013")


def blocked(decision: Any) -> set[tuple[str, str]]:
    """Code and rule of what keeps a case from acceptance, papers aside."""
    return {
        (f.code, f.rule) for f in decision.outcome.findings if f.severity is Severity.BLOCKS and not f.file
    }


def decided(state: UnitState | None = None, **changes: Any) -> Any:
    """The combined case with another transfer."""
    here = d.world(state) if state else d.world()
    return c.decide(here, d.submission((d.transfer(**changes), d.release(), d.new_mortgage())))


def test_seller_who_does_not_own_is_not_accepted() -> None:
    """Nobody sells what is another's (CC 209)."""
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocked(
        decided(sellers=(THIRD,), applicants=(THIRD, d.BUYER))
    )


def test_seller_under_another_name_is_not_accepted() -> None:
    """The name of record is the name of the application (IR 18(2))."""
    assert ("C-MISMATCH", "R-CONFLICT") in blocked(decided(sellers=(replace(d.SELLER, name="张壹"),)))


def test_joint_owner_who_does_not_sell_is_not_accepted() -> None:
    """Joint owners dispose together (CC 301; REAL 38(4))."""
    state = c.unit_state(c.mortgage_row(), owners=(d.SELLER, c.SPOUSE))
    assert blocked(decided(state)) == {("N-NOT_APPLICANT", "R-CO_OWNER")}


@pytest.mark.parametrize(
    ("selling", "expected"), [(2, "M-REFER"), (1, "N-BARRED"), (3, "")], ids=["two-thirds", "less", "all"]
)
def test_owners_by_thirds_need_two_to_be_looked_at(selling: int, expected: str) -> None:
    """Golden 18: 2/3 dispose by CC 301, REAL 38(4) wants all: a person decides; under 2/3 is barred."""
    people = (d.SELLER, c.SPOUSE, THIRD)
    state = c.unit_state(c.mortgage_row())
    owners = tuple(Owner(person=p, share=Share(numerator=1, denominator=3)) for p in people)
    [row, mortgage] = state.rights
    assert isinstance(row, Ownership)
    row = replace(row, owners=owners, co_ownership=CoOwnership.BY_SHARES)
    state = UnitState(unit=state.unit, rights=(row, mortgage))
    sellers = people[:selling]
    found = decided(state, sellers=sellers, applicants=(*sellers, d.BUYER)).outcome.findings
    of_shares = {f.code for f in found if "共有" in f.zh and f.code != "C-SIGNATURE"}
    assert of_shares == ({expected} if expected else set())


def test_title_that_is_not_of_record_is_not_accepted() -> None:
    """The title cited is the title of record (OS 9.3)."""
    other = (CertificateRef(number="苏(2020)江阴市不动产权第0000002号"),)
    assert ("C-MISMATCH", "R-CONFLICT") in blocked(decided(titles=other))


def test_price_other_than_the_contracts_is_not_accepted() -> None:
    """Application and contract agree (IR 18(2))."""
    what = d.submission(sale_contracts=(d.contract(price_fen=d.PRICE_FEN - 1),))
    assert ("C-MISMATCH", "") in blocked(c.decide(d.world(), what))
    what = d.submission(sale_contracts=(d.contract(),))
    assert not blocked(c.decide(d.world(), what))


def test_unsigned_sale_contract_is_not_accepted() -> None:
    """Seller and buyer both signed the contract (documents.csv)."""
    filed = d.papers() | {"SALE_CONTRACT": c.paper("SALE_CONTRACT", d.SELLER)}
    decision = c.decide(d.world(), d.submission(filed=filed))
    assert [f.file for f in decision.outcome.findings if f.code == "C-SIGNATURE"] == ["SALE_CONTRACT"]


def test_buyer_who_has_not_signed_is_awaited_once_for_each_role() -> None:
    """Named and not yet bound: the case awaits the buyer, who buys and mortgages."""
    filed = d.papers() | {"APPLICATION": c.paper("APPLICATION", d.SELLER, d.A, bound=True)}
    outcome = c.decide(d.world(), d.submission(filed=filed, joined=False)).outcome
    assert outcome.result is Result.AWAITING_PARTIES
    assert {a.name for a in outcome.awaiting} == {d.BUYER.name}


def _two_units() -> tuple[UnitState, UnitState]:
    flat = c.unit_state(c.mortgage_row())
    unit = replace(flat.unit, unit_code=SECOND_UNIT, location="江阴市示例路1号B1-7", use="GARAGE")
    [owner, _] = flat.rights
    row = replace(
        owner,
        right_id="0.7",
        units=(SECOND_UNIT,),
        title=CertificateRef(number="苏(2020)江阴市不动产权第0000003号"),
    )
    return flat, UnitState(unit=unit, rights=(row,))


def test_flat_and_parking_space_pass_with_a_title_each() -> None:
    """A unit is a certificate (RD 20); the contract that sells one unit alone tells its price."""
    states = _two_units()
    titles = tuple(CertificateRef(number=s.ownership.title.number) for s in states if s.ownership)
    operations = (
        d.transfer(units=(c.UNIT, SECOND_UNIT), titles=titles),
        d.release(),
        d.new_mortgage(),
    )
    contracts = (
        d.contract(units=(c.UNIT,), price_fen=d.PRICE_FEN - 100),
        d.contract(units=(SECOND_UNIT,), price_fen=100, filing_number="WQ-2026-2"),
    )
    taxes = (*d.TAXES, d.cleared(TaxKind.LAND_VAT))
    filed = d.papers() | {
        "PAYOFF_UNDERTAKING": c.paper("PAYOFF_UNDERTAKING", d.A, d.B),
    }
    what = d.submission(operations, filed, sale_contracts=contracts, tax_clearances=taxes)
    decision = d.submitted_and_approved(d.world(*states), what)
    assert decision.outcome.result is Result.BOOKED
    owners = [r for r in d.rights_of(decision) if isinstance(r, Ownership)]
    assert [(r.units, r.price_fen) for r in owners] == [((c.UNIT,), d.PRICE_FEN - 100), ((SECOND_UNIT,), 100)]
    assert [x.kind for x in decision.outcome.certificates] == ["TITLE", "TITLE", "PROOF"]
    ended = {e.right_id: e.by for e in decision.effects if isinstance(e, RightEnded)}
    assert ended["0.1"] == owners[0].right_id
    assert ended["0.7"] == owners[1].right_id


def test_title_over_two_units_passes_whole_or_not_at_all() -> None:
    """The register splits no row by itself."""
    state = c.unit_state(c.mortgage_row())
    [owner, mortgage] = state.rights
    wide = UnitState(unit=state.unit, rights=(replace(owner, units=(c.UNIT, SECOND_UNIT)), mortgage))
    assert ("N-BARRED", "R-CONFLICT") in blocked(decided(wide))


def test_buyers_by_shares_stand_on_the_title() -> None:
    """New owners hold as the terms say (CC 298)."""
    halves = tuple(Owner(person=p, share=Share(numerator=1, denominator=2)) for p in (d.BUYER, THIRD))
    operations = (
        d.transfer(
            buyers=halves,
            co_ownership=CoOwnership.BY_SHARES,
            applicants=(d.SELLER, d.BUYER, THIRD),
        ),
        d.release(),
        d.new_mortgage(mortgagors=(d.BUYER, THIRD), applicants=(d.BUYER, THIRD, d.B)),
    )
    filed = {
        code: replace(p, signatures=(*p.signatures, *c.paper(code, THIRD).signatures))
        for code, p in d.papers().items()
    }
    filed["APPLICATION"] = c.paper("APPLICATION", d.SELLER, d.BUYER, THIRD, d.A, bound=True)
    filed["PAYOFF_UNDERTAKING"] = c.paper("PAYOFF_UNDERTAKING", d.A, d.B)
    decision = d.submitted_and_approved(d.world(), d.submission(operations, filed, joined=False))
    assert decision.outcome.result is Result.BOOKED
    assert "占1/2" in decision.contents[0].co_ownership or "二分之一" in decision.contents[0].co_ownership
