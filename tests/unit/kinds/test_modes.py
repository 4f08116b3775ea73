"""Every mode from its first phase to its last, on a register in memory: rights, ranks, certificates (modes.csv)."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateNumbered
from gateway.cases.model import Kind, Result, State, World
from gateway.cases.terms import (
    ChangeItem,
    MortgageChange,
    MortgageTransfer,
    PreNoticeConvert,
    ReleaseGround,
    TransferGround,
)
from gateway.kinds.modes import MODES
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    IdKind,
    MortgageKind,
    MortgagorRelation,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play

S, Y, A, B, FUND = d.SELLER, d.BUYER, d.A, d.B, d.FUND
ALL_MODES = tuple(MODES)
DEVELOPER = Party(name="示例置业有限公司", id_kind=IdKind.USCC, id_number="91320281MA1DEV001D")


def world(*states: UnitState) -> World:
    """A registry that offers every mode to A, B and the fund centre."""
    here = d.world(*states, profile=replace(d.PROFILE, modes=ALL_MODES))
    allowed = {uscc: replace(i, permitted_modes=ALL_MODES) for uscc, i in here.institutions.items()}
    return replace(here, institutions=allowed)


def played(*rights: Any) -> Play:
    """A flat of S with A's mortgage M1 of 2022, or with the rights given."""
    return Play(world(c.unit_state(*(rights or (c.mortgage_row(),)))))


def convert_sale(play: Play, **changes: Any) -> PreNoticeConvert:
    """The sale's pre-notice of Y becomes the transfer."""
    operation = PreNoticeConvert(
        units=(c.UNIT,), proof=play.proof(Y, PreNotice), transfer=d.transfer(applicants=()), applicants=(S, Y)
    )
    return replace(operation, **changes)


def convert_mortgage(play: Play, lender: Party = B) -> PreNoticeConvert:
    """The lender's pre-notice becomes the mortgage."""
    return PreNoticeConvert(
        units=(c.UNIT,),
        proof=play.proof(lender, PreNotice),
        mortgage=d.new_mortgage(applicants=(), mortgagees=(lender,)),
        applicants=(Y, lender),
    )


def release_old(play: Play, **changes: Any) -> Any:
    """A releases M1 alone, on settlement."""
    return d.release(proof=play.proof(A), ground=ReleaseGround.CLAIM_SETTLED, applicants=(A,), **changes)


def change_old(
    play: Play, bank: Party = A, items: tuple[ChangeItem, ...] = (), **changes: Any
) -> MortgageChange:
    """M1 is rewritten to the buyer."""
    [old] = [m for m in play.state().mortgages if A.key in {p.key for p in m.mortgagees}]
    content = d.new_mortgage(
        mortgagors=(Y,),
        debtors=(Y,),
        mortgagees=(bank,),
        claim_amount_fen=old.claim_amount_fen,
        term_start=old.term_start,
        term_end=old.term_end,
        secured_scope=old.secured_scope,
        transfer_restriction=old.transfer_restriction,
        applicants=(),
    )
    return MortgageChange(
        units=(c.UNIT,),
        proof=old.proof,
        items=(ChangeItem.MORTGAGOR, ChangeItem.DEBTOR, *items),
        content=replace(content, **changes),
        applicants=(S, Y, bank),
    )


DEAL: dict[str, Any] = {"payoff_statements": (d.statement(),), "tax_clearances": d.TAXES}


def test_combined_leaves_the_new_mortgage_alone_with_rank_one_printed() -> None:
    """Scenario 4."""
    play = played()
    steps = (d.transfer(), d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20)))
    decision = play.book(play.manifest(*steps, d.new_mortgage(), mode="ET_COMBINED", **DEAL), bound=(A,))
    assert play.owners() == [Y.name]
    assert play.mortgages() == [(B.name, 1, 1)]
    assert [x.kind.value for x in decision.contents] == ["TITLE", "PROOF"]


def test_segmented_ranks_the_new_one_second_until_the_old_one_goes() -> None:
    """Scenario 5: the old proof stays live; after the release the new mortgage is alone, still printed 2."""
    play = played()
    first = play.book(play.manifest(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", **DEAL))
    assert play.owners() == [Y.name]
    assert play.mortgages() == [(A.name, 1, 1), (B.name, 2, 2)]
    assert [x.kind.value for x in first.contents] == ["TITLE", "PROOF"]
    [case] = play.rows
    play.book(
        play.manifest(release_old(play), mode="ET_SEGMENTED", phase=2, case=case, applicant=A), bound=()
    )
    assert play.mortgages() == [(B.name, 2, 1)]


def test_change_at_one_bank_keeps_the_mortgage_and_its_rank() -> None:
    """S11 package 1: one title, one changed proof; first registration and rank are M1's."""
    play = played()
    steps = (d.transfer(), change_old(play, items=(ChangeItem.AMOUNT,), claim_amount_fen=d.CLAIM_FEN))
    decision = play.book(play.manifest(*steps, mode="ET_CHANGE", applicant=A, **DEAL))
    [row] = play.state().mortgages
    assert (row.mortgagors, row.debtors, row.claim_amount_fen) == ((Y,), (Y,), d.CLAIM_FEN)
    assert row.first_registered_at == c.mortgage_row().first_registered_at
    assert (row.rank_at_registration, row.priority_date) == (1, c.mortgage_row().priority_date)
    assert row.proof.number != c.PROOF
    assert [x.kind.value for x in decision.contents] == ["TITLE", "PROOF"]


def test_change_between_two_banks_moves_claim_and_mortgage_under_one_new_proof() -> None:
    """N29 mode 3: transfer, mortgage transfer, mortgage change; one proof in B's name, rank kept."""
    play = played()
    move = MortgageTransfer(
        units=(c.UNIT,),
        proof=CertificateRef(number=c.PROOF),
        assignors=(A,),
        assignees=(B,),
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=dt.date(2026, 11, 19),
        applicants=(A, B),
    )
    steps = (d.transfer(), move, change_old(play, B))
    manifest = play.manifest(*steps, mode="ET_CHANGE", **DEAL)
    wanting = play.file(manifest, without=("CLAIM_ASSIGNMENT",), bound=(A,))
    assert wanting.outcome.result is Result.NOT_ACCEPTED
    assert _blocking(wanting) == {("N-INCOMPLETE", "R-NO_CLAIM_ASSIGNMENT")}
    decision = play.book(manifest, bound=(A,))
    assert play.mortgages() == [(B.name, 1, 1)]
    [row] = play.state().mortgages
    assert (row.mortgagors, row.first_registered_at) == ((Y,), c.mortgage_row().first_registered_at)
    assert [x.kind.value for x in decision.contents] == ["TITLE", "PROOF"]


def test_three_in_one_rewrites_the_old_and_adds_the_new() -> None:
    """Scenario 11: one title and two proofs; M1 rewritten to Y, rank 1; M2 rank 2; then M1 goes."""
    play = played()
    steps = (d.transfer(), change_old(play), d.new_mortgage())
    decision = play.book(play.manifest(*steps, mode="ET_THREE_IN_ONE", **DEAL), bound=(A,))
    assert [x.kind.value for x in decision.contents] == ["TITLE", "PROOF", "PROOF"]
    assert play.mortgages() == [(A.name, 1, 1), (B.name, 2, 2)]
    [old, _] = play.state().mortgages
    assert old.mortgagors == (Y,)
    [case] = play.rows
    later = play.manifest(release_old(play), mode="ET_THREE_IN_ONE", phase=2, case=case, applicant=A)
    play.book(later)
    assert play.mortgages() == [(B.name, 2, 1)]


def test_double_pre_notice_counts_the_mortgage_from_the_pre_notice() -> None:
    """Scenario 12: two pre-notice proofs; title and proof, dated back; M1 gone last."""
    play = played()
    steps = (d.sale_notice(), d.mortgage_notice())
    first = play.book(
        play.manifest(*steps, mode="ET_DOUBLE_PRE_NOTICE", sale_contracts=(d.contract(),), **DEAL)
    )
    assert [x.kind.value for x in first.contents] == ["PROOF", "PROOF"]
    [case] = play.rows
    noted = {n.kind: n for n in play.state().pre_notices}[PreNoticeKind.OTHER_MORTGAGE]
    later = c.NOW + dt.timedelta(days=20)
    manifest = play.manifest(
        convert_sale(play),
        convert_mortgage(play),
        mode="ET_DOUBLE_PRE_NOTICE",
        phase=2,
        case=case,
        tax_clearances=d.TAXES,
    )
    header = replace(manifest.header, not_after=later + dt.timedelta(days=1))
    play.book(replace(manifest, header=header), at=later)
    assert play.owners() == [Y.name]
    assert play.mortgages() == [(A.name, 1, 1), (B.name, 2, 2)]
    new = play.state().mortgages[1]
    assert (new.priority_date, new.from_pre_notice) == (noted.booked_at, noted.right_id)
    assert play.state().pre_notices == ()
    end = play.manifest(release_old(play), mode="ET_DOUBLE_PRE_NOTICE", phase=3, case=case, applicant=A)
    play.book(end)
    assert play.mortgages() == [(B.name, 2, 1)]


def test_double_pre_notice_with_release_prints_rank_one() -> None:
    """The variant: release and conversions in one phase."""
    mode = "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION"
    play = played()
    play.book(
        play.manifest(d.sale_notice(), d.mortgage_notice(), mode=mode, sale_contracts=(d.contract(),), **DEAL)
    )
    [case] = play.rows
    release = d.release(
        proof=play.proof(A), ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 20)
    )
    steps = (release, convert_sale(play), convert_mortgage(play))
    play.book(play.manifest(*steps, mode=mode, phase=2, case=case, **DEAL), bound=(A,))
    assert (play.owners(), play.mortgages()) == ([Y.name], [(B.name, 1, 1)])


def test_taizhou_books_two_lenders_in_step_order() -> None:
    """Scenario 23: one title, two proofs, one booking; bank 1, fund 2."""
    play = Play(world(c.unit_state()))
    play.book(
        play.manifest(
            d.sale_notice(),
            mode="PN_SALE_THEN_CONVERT",
            sale_contracts=(d.contract(),),
        )
    )
    [case] = play.rows
    fund = d.new_mortgage(mortgagees=(FUND,), claim_amount_fen=50_000_000, applicants=(Y, FUND))
    steps = (convert_sale(play), d.new_mortgage(claim_amount_fen=30_000_000), fund)
    decision = play.book(
        play.manifest(*steps, mode="PN_SALE_THEN_CONVERT", phase=2, case=case, tax_clearances=d.TAXES),
        bound=(FUND,),
    )
    assert [x.kind.value for x in decision.contents] == ["TITLE", "PROOF", "PROOF"]
    assert play.mortgages() == [(B.name, 1, 1), (FUND.name, 2, 2)]


def test_cash_buyer_is_noted_then_the_old_mortgage_goes_then_the_sale_is_booked() -> None:
    """Hohhot: sale pre-notice on the mortgaged unit, release, conversion."""
    play = played()
    mode = "ET_CASH_PRE_NOTICE"
    play.book(
        play.manifest(
            d.sale_notice(applicants=(S, Y, A)),
            mode=mode,
            applicant=A,
            sale_contracts=(d.contract(),),
            payoff_statements=DEAL["payoff_statements"],
        )
    )
    [case] = play.rows
    play.book(play.manifest(release_old(play), mode=mode, phase=2, case=case, applicant=A))
    assert play.mortgages() == []
    last = play.manifest(
        convert_sale(play), mode=mode, phase=3, case=case, applicant=A, tax_clearances=d.TAXES
    )
    play.book(last)
    assert (play.owners(), play.state().pre_notices) == ([Y.name], ())


def test_old_mortgagee_joins_the_cash_buyers_pre_notice() -> None:
    """HH: whatever its restriction says."""
    play = played()
    manifest = play.manifest(
        d.sale_notice(),
        mode="ET_CASH_PRE_NOTICE",
        applicant=A,
        sale_contracts=(d.contract(),),
        payoff_statements=DEAL["payoff_statements"],
    )
    assert ("N-NOT_APPLICANT", "") in _blocking(play.file(manifest))


def presold(**content: Any) -> tuple[Play, str]:
    """Phase 1 of NB_PRESALE_LOAN booked: one flat of two freed of A's building mortgage, sold and mortgaged ahead."""
    other = c.UNIT[:-1] + "2"
    building = replace(
        c.mortgage_row(),
        units=(c.UNIT, other),
        mortgagors=(DEVELOPER,),
        debtors=(DEVELOPER,),
        collateral_kind="LAND_AND_CONSTRUCTION",
    )
    unbuilt = [
        UnitState(unit=replace(c.unit_state(first_registered=False).unit, unit_code=code), rights=(building,))
        for code in (c.UNIT, other)
    ]
    play = Play(world(*unbuilt))
    release = d.release(
        ground=ReleaseGround.AGREEMENT, partial=True, construction=True, applicants=(A, DEVELOPER)
    )
    sale = d.sale_notice(
        kind=PreNoticeKind.PRESALE_SALE, obligors=(DEVELOPER,), titles=(), applicants=(DEVELOPER, Y)
    )
    loan = d.mortgage_notice(kind=PreNoticeKind.PRESALE_MORTGAGE)
    loan = replace(loan, mortgage=replace(loan.mortgage, **content))
    steps = (release, sale, loan)
    play.book(play.manifest(*steps, mode="NB_PRESALE_LOAN", sale_contracts=(d.contract(),)), bound=(A,))
    assert play.mortgages(c.UNIT) == []
    assert play.mortgages(other) == [(A.name, 1, 1)]
    [case] = play.rows
    return play, case


def built(play: Play) -> None:
    """The building is registered for the first time, in the developer's name."""
    owned = c.unit_state(owners=(DEVELOPER,))
    noted = tuple(r for r in play.state().rights if isinstance(r, PreNotice))
    done = UnitState(unit=owned.unit, rights=(*owned.rights, *noted))
    play.world = replace(play.world, units={**play.world.units, c.UNIT: done})


def test_pre_sale_with_a_loan_frees_the_unit_and_converts_after_first_registration() -> None:
    """Guangzhou: release for this unit, two pre-notices; after the first registration both are converted."""
    play, case = presold()
    early = play.file(_conversions(play, "NB_PRESALE_LOAN", case))
    assert ("N-BARRED", "R-NO_FIRST_REGISTRATION") in c.codes(early)
    built(play)
    play.book(_conversions(play, "NB_PRESALE_LOAN", case))
    assert (play.owners(), play.mortgages()) == ([Y.name], [(B.name, 1, 1)])


# -- Zhongshan: the mortgage comes with the transfer ---------------------------------------------------------------


def by_itself(play: Play) -> None:
    """The place lets a mortgage pre-notice turn into the mortgage with the transfer."""
    play.world = replace(play.world, profile=replace(play.world.profile, convert_on_transfer=True))


def only_the_sale(play: Play, case: str) -> Any:
    """Phase 2 with the sale's conversion alone, filed by A: the lender asks for nothing."""
    both = _conversions(play, "NB_PRESALE_LOAN", case)
    header = replace(both.header, applicant_institution=A.id_number, channel_institution=A.id_number)
    return replace(both, header=header, terms=replace(both.terms, operations=both.terms.operations[:1]))


def test_mortgage_pre_notice_turns_into_the_mortgage_with_the_transfer() -> None:
    """ZS: no application of the lender; the mortgage says what was noted, and counts from its pre-notice (SIG 52)."""
    play, case = presold(
        kind=MortgageKind.MAXIMUM_AMOUNT,
        claim_amount_fen=None,
        max_claim_amount_fen=d.CLAIM_FEN,
        debtors=(S,),
        mortgagor_relation=MortgagorRelation.THIRD_PARTY,
    )
    [noted] = [n for n in play.state().pre_notices if n.kind is PreNoticeKind.PRESALE_MORTGAGE]
    built(play)
    missing = play.file(only_the_sale(play, case))
    lacking = [f.zh for f in missing.outcome.findings if f.code == "N-INCOMPLETE"]
    assert "PRE_NOTICE_CONVERT/MORTGAGE" in str(lacking)
    by_itself(play)
    booked = play.book(only_the_sale(play, case))
    assert (play.owners(), play.mortgages(), play.state().pre_notices) == ([Y.name], [(B.name, 1, 1)], ())
    [row] = play.state().mortgages
    assert (row.kind, row.max_claim_amount_fen, row.debtors) == (
        MortgageKind.MAXIMUM_AMOUNT,
        d.CLAIM_FEN,
        (S,),
    )
    assert (row.priority_date, row.from_pre_notice) == (noted.booked_at, noted.right_id)
    assert [x.kind.value for x in booked.contents] == ["TITLE", "PROOF"]
    [shown] = [e for e in booked.effects if isinstance(e, CertificateNumbered) and e.kind == "PROOF"]
    assert B.id_number in shown.institutions


def test_lender_may_still_ask_for_what_would_come_by_itself() -> None:
    """One mortgage comes of one pre-notice, whoever asks."""
    play, case = presold()
    built(play)
    by_itself(play)
    play.book(_conversions(play, "NB_PRESALE_LOAN", case))
    assert play.mortgages() == [(B.name, 1, 1)]


def test_mortgage_that_comes_by_itself_is_barred_as_any_other() -> None:
    """A pre-seized holder gets the unit; its mortgage is a person's, for the whole phase (golden 33)."""
    play, case = presold()
    built(play)
    by_itself(play)
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="法院",
        kind=SeizureKind.PRE_SEIZURE, target=Y, extent="全部", authority="某法院", instrument_no="(2026)执1号",
        served_at=c.NOW, until=dt.date(2029, 1, 1),
    )  # fmt: skip
    state = play.state()
    seized = UnitState(unit=state.unit, rights=(*state.rights, seizure))
    play.world = replace(play.world, units={**play.world.units, c.UNIT: seized})
    found = play.answered(only_the_sale(play, case)).outcome.findings
    assert ("M-REFER", "BLOCKS_PRE_SEIZED_HOLDER") in {(f.code, f.rule) for f in found}


def test_second_hand_mortgage_pre_notice_waits_for_its_lender() -> None:
    """ZS speaks of new flats: Jinan's pre-notice is converted on application."""
    mode = "ET_DOUBLE_PRE_NOTICE"
    play, case = _noted(mode, d.sale_notice(), d.mortgage_notice(), **DEAL)
    by_itself(play)
    alone = play.manifest(convert_sale(play), mode=mode, phase=2, case=case, tax_clearances=d.TAXES)
    assert "PRE_NOTICE_CONVERT/MORTGAGE" in str([f.zh for f in play.file(alone).outcome.findings])


def _conversions(play: Play, mode: str, case: str) -> Any:
    sale = convert_sale(
        play, transfer=d.transfer(sellers=(DEVELOPER,), applicants=()), applicants=(DEVELOPER, Y)
    )
    clearances = (*d.TAXES, d.cleared(d.TaxKind.LAND_VAT))
    return play.manifest(
        sale, convert_mortgage(play), mode=mode, phase=2, case=case, tax_clearances=clearances
    )


# -- phases --------------------------------------------------------------------------------------------------------


def test_later_phase_needs_its_first_one_booked_on_the_same_unit() -> None:
    """A phase that is not due is not accepted, and says what is wrong with it."""
    play = played()
    lone = play.file(play.manifest(release_old(play), mode="ET_SEGMENTED", phase=2, applicant=A))
    assert ("C-CORRECT_ON_THE_SPOT", "") in c.codes(lone)
    beyond = play.file(play.manifest(release_old(play), mode="ET_SEGMENTED", phase=3, applicant=A))
    assert "header.phase" in {f.field for f in beyond.outcome.findings}
    play.book(play.manifest(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", **DEAL))
    [case] = play.rows
    other = play.file(
        play.manifest(release_old(play), mode="ET_THREE_IN_ONE", phase=2, case=case, applicant=A)
    )
    assert ("C-MISMATCH", "R-CONFLICT") in c.codes(other)
    play.rows[case] = replace(play.rows[case], state=State.AWAITING_TAX)
    waiting = play.file(
        play.manifest(release_old(play), mode="ET_SEGMENTED", phase=2, case=case, applicant=A)
    )
    assert ("N-BARRED", "R-CONFLICT") in c.codes(waiting)


def _out_of_order(decision: Any) -> list[str]:
    return [
        f.zh for f in decision.outcome.findings if f.field == "header.phase" and f.severity is Severity.BLOCKS
    ]


def _noted(mode: str, *steps: Any, **terms: Any) -> tuple[Play, str]:
    """The first phase of a mode with pre-notices, booked: the register, and the case's name."""
    play = played()
    play.book(play.manifest(*steps, mode=mode, sale_contracts=(d.contract(),), **terms))
    [case] = play.rows
    return play, case


def test_last_phase_does_not_pass_the_one_before_it() -> None:
    """Jinan releases last (S10): the release is told which phase is missing, and taken once that is booked."""
    mode = "ET_DOUBLE_PRE_NOTICE"
    play, case = _noted(mode, d.sale_notice(), d.mortgage_notice(), **DEAL)
    early = play.file(play.manifest(release_old(play), mode=mode, phase=3, case=case, applicant=A))
    assert early.outcome.result is Result.NOT_ACCEPTED
    [told] = _out_of_order(early)
    assert "第 2 阶段（PRE_NOTICE_CONVERT/SALE → PRE_NOTICE_CONVERT/MORTGAGE）尚未登簿" in told
    converted = play.manifest(
        convert_sale(play), convert_mortgage(play), mode=mode, phase=2, case=case, tax_clearances=d.TAXES
    )
    accepted = play.file(replace(converted, terms=replace(converted.terms, tax_clearances=())))
    assert accepted.outcome.state is State.AWAITING_TAX
    play.fold(accepted)
    assert _out_of_order(
        play.file(play.manifest(release_old(play), mode=mode, phase=3, case=case, applicant=A))
    )
    del play.rows[accepted.outcome.application]
    play.book(converted)
    play.book(play.manifest(release_old(play), mode=mode, phase=3, case=case, applicant=A))
    assert play.mortgages() == [(B.name, 2, 1)]


@pytest.mark.parametrize("released", ["", "alone"])
def test_phase_that_has_nothing_left_to_do_is_not_waited_for(released: str) -> None:
    """Hohhot: conversion after the release; one that the bank has booked alone, outside the case, leaves none."""
    mode = "ET_CASH_PRE_NOTICE"
    notice = d.sale_notice(applicants=(S, Y, A))
    play, case = _noted(mode, notice, applicant=A, payoff_statements=DEAL["payoff_statements"])
    if released:
        play.book(play.manifest(release_old(play), kind=Kind.MORTGAGE_RELEASE, applicant=A))
    last = play.manifest(
        convert_sale(play), mode=mode, phase=3, case=case, applicant=A, tax_clearances=d.TAXES
    )
    if released:
        play.book(last)
        assert play.owners() == [Y.name]
    else:
        [told] = _out_of_order(play.file(last))
        assert "第 2 阶段（MORTGAGE_RELEASE）" in told


def test_conversion_of_a_sale_waits_for_the_taxes_whatever_the_mode() -> None:
    """Scenario 37: the gate belongs to the sale (DT 11; PIT 15)."""
    play = Play(world(c.unit_state()))
    play.book(play.manifest(d.sale_notice(), mode="PN_SALE_THEN_CONVERT", sale_contracts=(d.contract(),)))
    [case] = play.rows
    steps = (convert_sale(play), d.new_mortgage())
    decision = play.file(play.manifest(*steps, mode="PN_SALE_THEN_CONVERT", phase=2, case=case))
    assert decision.outcome.state is State.AWAITING_TAX


@pytest.mark.parametrize("code", MODES)
def test_mode_says_what_modes_csv_says(code: str) -> None:
    """Phases, steps and their order, and the tax gate, are those of the table of the eight cities."""
    table = _table()[code]
    ours = {
        number: [_bare(s.operation) for s in p.steps if not s.optional]
        for number, p in enumerate(MODES[code].phases, 1)
    }
    assert ours in table
    assert MODES[code].source


def _bare(step: str) -> str:
    return step.partition("/")[0]


def _table() -> dict[str, list[dict[int, list[str]]]]:
    """Mode → for each of its variants, phase → operations in order."""
    found: dict[tuple[str, str], dict[int, list[str]]] = {}
    with (Path(__file__).parents[2] / "vectors/domain/modes.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            phases = found.setdefault((row["mode"], row["variant"]), {})
            phases.setdefault(int(row["phase"]), []).append(row["operation"])
    tables: dict[str, list[dict[int, list[str]]]] = {}
    for (mode, variant), phases in found.items():
        released = mode == "ET_DOUBLE_PRE_NOTICE" and variant == "release with conversion"
        name = "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION" if released else mode
        tables.setdefault(name, []).append(phases)
    return tables


def _blocking(decision: Any) -> set[tuple[str, str]]:
    return {(f.code, f.rule) for f in decision.outcome.findings if f.severity.value == "BLOCKS"}
