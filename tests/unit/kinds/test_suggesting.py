"""Which modes fit, and why the others do not: from the register, the profile and the institutions alone."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from gateway.cases.model import OpenCase
from gateway.kinds.modes import MODES
from gateway.kinds.suggesting import Asked, Suggestion, suggest_modes
from gateway.register.model import Party, PreNotice, PreNoticeKind, Seizure, SeizureKind, TransferRestriction
from tests.support import cases as c
from tests.support import deals as d
from tests.unit.kinds.test_modes import DEVELOPER, world

A, B = d.A, d.B
PRE_2021 = c.NOW.replace(year=2019)


def suggested(*rights: Any, lenders: tuple[Party, ...] = (B,), **changes: Any) -> dict[str, Suggestion]:
    """What is suggested for a flat of SELLER's with these rights, by mode."""
    here = world(c.unit_state(*rights))
    asked = Asked(
        registry=c.REGISTRY,
        state=here.units[c.UNIT],
        lenders=lenders,
        profile=here.profile,
        institutions=here.institutions,
        now=c.NOW,
    )
    return {one.mode.code: one for one in suggest_modes(replace(asked, **changes))}


def fitting(found: dict[str, Suggestion]) -> set[str]:
    """Codes of the modes that fit."""
    return {code for code, one in found.items() if one.fits}


def steps(one: Suggestion, phase: int = 1) -> list[str]:
    """Steps of a phase, in order."""
    return [step.operation for step in one.phases[phase - 1].steps]


def test_mortgaged_flat_and_a_new_bank() -> None:
    """Every mode with a loan fits; each is told with its phases, parties, papers and gates."""
    found = suggested(c.mortgage_row())
    assert list(found) == list(MODES)
    assert fitting(found) == set(MODES) - {"ET_CASH_PRE_NOTICE", "NB_PRESALE_CASH", "NB_PRESALE_LOAN"}
    combined = found["ET_COMBINED"]
    assert steps(combined) == ["OWNERSHIP_TRANSFER", "MORTGAGE_RELEASE", "MORTGAGE_FIRST"]
    [release] = [s for s in combined.phases[0].steps if s.operation == "MORTGAGE_RELEASE"]
    assert [(a.party, a.role_en) for a in release.applicants] == [(A, "mortgagee")]
    assert [p.code for p in release.papers] == ["SETTLEMENT_UNDERTAKING"]
    assert [p.code for p in combined.phases[0].papers] == ["TRIPARTITE", "PAYOFF_STATEMENT", "BANK_APPROVAL"]
    assert [gate.value for gate in combined.phases[0].gates] == ["PAYOFF", "TAX"]
    assert combined.phases[0].taxes == ("DEED", "INCOME")
    assert steps(found["ET_DOUBLE_PRE_NOTICE"], 2) == [
        "PRE_NOTICE_CONVERT/SALE",
        "PRE_NOTICE_CONVERT/MORTGAGE",
    ]
    assert steps(found["ET_DOUBLE_PRE_NOTICE"], 3) == ["MORTGAGE_RELEASE"]


def test_change_moves_the_claim_only_between_two_banks() -> None:
    """N29 mode 3: with the old bank itself nothing is assigned (CC 407)."""
    two = suggested(c.mortgage_row())["ET_CHANGE"]
    assert steps(two) == ["OWNERSHIP_TRANSFER", "MORTGAGE_TRANSFER", "MORTGAGE_CHANGE"]
    assert "CLAIM_ASSIGNMENT" in {p.code for s in two.phases[0].steps for p in s.papers}
    one = suggested(c.mortgage_row(), lenders=(A,))["ET_CHANGE"]
    assert steps(one) == ["OWNERSHIP_TRANSFER", "MORTGAGE_CHANGE"]


def test_free_flat_has_no_old_mortgage_to_deal_with() -> None:
    """Only Taizhou's mode does without."""
    found = suggested()
    assert fitting(found) == {"PN_SALE_THEN_CONVERT"}
    [reason] = found["ET_COMBINED"].reasons
    assert (reason.article, reason.field) == ("N29 mode 1; S11 package 3", "mode")
    assert "old mortgage" in reason.en


def test_buyer_without_a_loan_is_noted_and_converted() -> None:
    """HH: the mode for cash, and every other says that it needs a lender."""
    found = suggested(c.mortgage_row(), lenders=())
    assert fitting(found) == {"ET_CASH_PRE_NOTICE"}
    assert "new lender" in found["ET_SEGMENTED"].reasons[0].en


def test_restricted_mortgage_needs_its_mortgagee_in_every_phase_that_sells() -> None:
    """SIG 43; N54: it still fits, and the ground is told; phase 2 of the double pre-notice asks as well."""
    row = c.mortgage_row(transfer_restriction=TransferRestriction.RESTRICTED)
    found = suggested(row)
    for code in ("ET_COMBINED", "ET_SEGMENTED", "ET_DOUBLE_PRE_NOTICE"):
        assert found[code].fits
        assert {(f.code, f.rule) for f in found[code].needed} >= {("N-NOT_APPLICANT", "R-RESTRICTION")}
        assert all(A.name in f.en and f.article for f in found[code].needed if f.rule == "R-RESTRICTION")


def test_mortgage_of_before_the_code_needs_a_written_consent() -> None:
    """N54: first registered in 2019, no word on transfer."""
    row = c.mortgage_row(first_registered_at=PRE_2021, transfer_restriction=TransferRestriction.UNRECORDED)
    needed = suggested(row)["ET_SEGMENTED"].needed
    assert ("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE") in {(f.code, f.rule) for f in needed}


def test_seizure_bars_every_mode_with_its_article() -> None:
    """REAL 38(2): each reason is there, none is left out because another one is enough."""
    seizure = Seizure(
        right_id="0.9",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW,
        booked_by="法院",
        kind=SeizureKind.SEIZURE,
        target=d.SELLER,
        extent="全部",
        authority="示例法院",
        instrument_no="1",
        served_at=c.NOW,
        until=c.NOW.date().replace(year=2029),
    )
    found = suggested(c.mortgage_row(), seizure)
    assert fitting(found) == set()
    for code in ("ET_COMBINED", "ET_DOUBLE_PRE_NOTICE", "PN_SALE_THEN_CONVERT"):
        assert "R-SEIZED" in {f.rule for f in found[code].reasons}
        assert all(f.article and f.zh for f in found[code].reasons)


def test_another_buyers_pre_notice_stands_in_the_way() -> None:
    """CC 221; blocks.csv: a second sale cannot be noted; a transfer needs the holder's consent."""
    other = Party(name="先买者", id_kind=d.BUYER.id_kind, id_number="999999197701010016")
    notice = PreNotice(
        right_id="0.8",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW,
        booked_by="导入",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(other,),
        obligors=(d.SELLER,),
        amount_fen=1,
        proof=replace(c.mortgage_row().proof, number="苏(2025)江阴市不动产证明第0000099号"),
    )
    found = suggested(c.mortgage_row(), notice)
    assert not found["ET_DOUBLE_PRE_NOTICE"].fits
    assert found["ET_COMBINED"].fits
    assert any(other.name in f.en for f in found["ET_COMBINED"].needed)


def test_mode_that_is_not_on_offer_says_so() -> None:
    """Handbook 1.3, 12.8: neither the registry's profile nor the lender's agreement covers it."""
    here = world(c.unit_state(c.mortgage_row()))
    narrow = replace(here.profile, modes=("ET_COMBINED",))
    known = {u: replace(i, permitted_modes=("ET_SEGMENTED",)) for u, i in here.institutions.items()}
    found = suggested(c.mortgage_row(), profile=narrow, institutions=known)
    assert fitting(found) == set()
    assert {f.field for f in found["ET_COMBINED"].reasons} == {"header.applicant_institution"}
    assert {f.field for f in found["ET_SEGMENTED"].reasons} == {"terms.mode"}
    assert {f.field for f in found["ET_CHANGE"].reasons} == {"terms.mode", "header.applicant_institution"}


def test_open_case_and_unknown_lender_are_cautions() -> None:
    """An earlier case goes first (RD 67); a lender that is not registered goes to a person."""
    stranger = Party(name="91110000600037341L", id_kind=A.id_kind, id_number="91310000MA1FL8TQ37")
    queue = (OpenCase(application_id="x", accepted_index=1),)
    one = suggested(c.mortgage_row(), lenders=(stranger,), open_cases=queue)["PN_SALE_THEN_CONVERT"]
    assert {"S-QUEUE", "M-REFER"} <= {f.code for f in one.cautions}


def test_pre_sold_flat_under_a_construction_mortgage() -> None:
    """GZ: release for the unit, pre-notices; the ordinary modes say that it is not registered (RD 24)."""
    state = c.unit_state(first_registered=False)
    building = c.mortgage_row(
        units=(c.UNIT, c.UNIT[:-1] + "2"),
        mortgagors=(DEVELOPER,),
        debtors=(DEVELOPER,),
        collateral_kind="LAND_AND_CONSTRUCTION",
    )
    found = suggested(state=replace(state, rights=(building,)))
    assert fitting(found) == {"NB_PRESALE_LOAN"}
    loan = found["NB_PRESALE_LOAN"]
    assert steps(loan) == [
        "CONSTRUCTION_MORTGAGE_RELEASE",
        "PRE_NOTICE_CREATE/SALE",
        "PRE_NOTICE_CREATE/MORTGAGE",
    ]
    assert DEVELOPER in {a.party for s in loan.phases[0].steps for a in s.applicants}
    assert "R-NO_FIRST_REGISTRATION" in {f.rule for f in found["ET_COMBINED"].reasons}


def test_several_units_under_the_old_mortgage_are_to_be_named_together() -> None:
    """RD 70: the release names every unit; asked about one of them, that is told."""
    row = c.mortgage_row(units=(c.UNIT, c.UNIT[:-1] + "2"))
    one = suggested(row)["ET_COMBINED"]
    assert one.fits
    assert all(step.papers for step in one.phases[0].steps)
