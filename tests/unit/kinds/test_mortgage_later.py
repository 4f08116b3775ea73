"""Change, transfer, fixing and release of a mortgage that stands (CC 393, 407, 409, 421-423; RD 68-73)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.model import Kind, Result, State
from gateway.cases.stated import Declaration, DeclarationKind
from gateway.cases.terms import (
    ChangeItem,
    ClaimFixing,
    ConstructionScope,
    MortgageChange,
    MortgageFirst,
    MortgageTransfer,
    ReleaseGround,
    TransferGround,
)
from gateway.register.findings import Severity
from gateway.register.model import (
    CertificateRef,
    IdKind,
    LoanPortion,
    LoanPortionKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Party,
    Seizure,
    SeizureKind,
    TransferRestriction,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play

S, A, B = d.SELLER, d.A, d.B
C_BANK = Party(name="第三银行", id_kind=IdKind.USCC, id_number=d.FUND.id_number)
OTHER = c.UNIT[:-1] + "2"
M3_PROOF = "苏(2023)江阴市不动产证明第0000077号"
M1 = c.mortgage_row()
SEIZED = Seizure(
    right_id="0.7",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="导入",
    kind=SeizureKind.SEIZURE,
    target=S,
    extent="全部",
    authority="示例法院",
    instrument_no="(2026)示01执2号",
    served_at=dt.datetime(2026, 11, 10, tzinfo=dt.UTC),
    until=dt.date(2029, 11, 9),
)
M3 = c.mortgage_row(
    right_id="0.3",
    mortgagees=(C_BANK,),
    rank_at_registration=2,
    priority_date=dt.datetime(2023, 5, 1, tzinfo=dt.UTC),
    proof=CertificateRef(number=M3_PROOF),
)
MAXIMUM = c.mortgage_row(
    kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=90_000_000
)


def content(old: Mortgage = M1, **changes: Any) -> MortgageFirst:
    """What a mortgage of record says, with changes."""
    value = MortgageFirst(
        units=old.units,
        kind=old.kind,
        mortgagors=old.mortgagors,
        mortgagees=old.mortgagees,
        debtors=old.debtors,
        mortgagor_relation=old.mortgagor_relation,
        claim_amount_fen=old.claim_amount_fen,
        max_claim_amount_fen=old.max_claim_amount_fen,
        term_start=old.term_start,
        term_end=old.term_end,
        secured_scope=old.secured_scope,
        transfer_restriction=old.transfer_restriction,
    )
    return replace(value, **changes)


def change(*items: ChangeItem, old: Mortgage = M1, **changes: Any) -> MortgageChange:
    """A change of M1 that names what it changes."""
    return MortgageChange(units=old.units, proof=old.proof, items=items, content=content(old, **changes))


def transfer(**changes: Any) -> MortgageTransfer:
    """A assigns its claim, and M1 with it, to B."""
    value = MortgageTransfer(
        units=(c.UNIT,),
        proof=M1.proof,
        assignors=(A,),
        assignees=(B,),
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=dt.date(2026, 11, 19),
    )
    return replace(value, **changes)


def filed(play: Play, operation: Any, kind: Kind = Kind.MORTGAGE, applicant: Party = A) -> Any:
    """The manifest of one operation, by the bank that it concerns."""
    return play.manifest(operation, kind=kind, applicant=applicant)


def played(*rights: Any) -> Play:
    """S's flat with these rights."""
    return Play(d.world(c.unit_state(*(rights or (M1,)))))


def blocking(decision: Any) -> set[tuple[str, str]]:
    """Code and rule of what bars the case."""
    return {(f.code, f.rule) for f in decision.outcome.findings if f.severity is Severity.BLOCKS}


# -- change --------------------------------------------------------------------------------------------------------


def test_change_supersedes_the_row_and_keeps_rank_and_first_registration() -> None:
    """RD 68: one new proof, the old one replaced; nothing but what is named differs."""
    play = played(M1, M3)
    decision = play.book(filed(play, change(ChangeItem.TERM, term_end=dt.date(2040, 1, 1))))
    [row, other] = play.state().mortgages
    assert (row.term_end, row.claim_amount_fen) == (dt.date(2040, 1, 1), M1.claim_amount_fen)
    assert (row.first_registered_at, row.rank_at_registration) == (M1.first_registered_at, 1)
    assert other == M3
    assert len(decision.contents) == 1


def test_change_adverse_to_another_mortgagee_needs_its_consent() -> None:
    """Scenario 9: M1 grows, C stands behind it (CC 409; RD 68); C's paper cures it."""
    play = played(M1, M3)
    manifest = filed(play, change(ChangeItem.AMOUNT, claim_amount_fen=60_000_000))
    assert blocking(play.file(manifest)) == {("N-INCOMPLETE", "R-OTHER_MORTGAGEE")}
    consent = {"OTHER_MORTGAGEE_CONSENT": c.paper("OTHER_MORTGAGEE_CONSENT", C_BANK)}
    play.book(manifest, papers=consent)


def test_growth_of_the_last_mortgage_harms_nobody() -> None:
    """Only whoever stands beside or behind is harmed."""
    play = played(M1, M3)
    play.world = replace(play.world, institutions=play.world.institutions)
    grown = change(ChangeItem.AMOUNT, old=M3, claim_amount_fen=60_000_000)
    play.book(filed(play, grown, applicant=C_BANK))


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (change(ChangeItem.TERM, claim_amount_fen=1, term_end=dt.date(2040, 1, 1)), "claim_amount_fen"),
        (change(ChangeItem.TERM), "items"),
        (
            change(
                ChangeItem.AMOUNT,
                claim_amount_fen=None,
                max_claim_amount_fen=1,
                kind=MortgageKind.MAXIMUM_AMOUNT,
            ),
            "kind",
        ),
        (change(ChangeItem.UNITS), "items"),
    ],
    ids=["unnamed-difference", "names-nothing", "kind", "units-unchanged"],
)
def test_change_that_does_not_say_what_it_changes_conflicts(operation: Any, field: str) -> None:
    """A difference that is not named, or a name without a difference, is R-CONFLICT (RD 68)."""
    play = played()
    decision = play.file(filed(play, operation))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert any(f.rule == "R-CONFLICT" and field in f.field for f in decision.outcome.findings)


def test_change_of_the_mortgagee_is_a_transfer() -> None:
    """Another mortgagee is not written in by a change (RD 69)."""
    play = played()
    decision = play.file(
        filed(play, change(ChangeItem.TERM, mortgagees=(B,), term_end=dt.date(2040, 1, 1))), bound=(B,)
    )
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(decision)


def test_new_mortgagor_must_own_the_unit() -> None:
    """Outside a sale nobody steps in who does not own (CC 395)."""
    play = played()
    operation = change(ChangeItem.MORTGAGOR, mortgagors=(d.BUYER,))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(play.file(filed(play, operation)))


@pytest.mark.parametrize(
    ("stance", "result"),
    [("BLOCK", Result.NOT_ACCEPTED), ("REFER", Result.BOOKED), ("WARN", Result.BOOKED)],
)
def test_third_party_that_secured_the_debt_consents_to_a_new_debtor(stance: str, result: Result) -> None:
    """CC 391: else it is freed; whether that stops the change is the place's (R-SECURER)."""
    secured = replace(M1, debtors=(c.SPOUSE,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    play = played(secured)
    play.world = replace(play.world, profile=replace(play.world.profile, securer_without_consent=stance))
    manifest = filed(play, change(ChangeItem.DEBTOR, old=secured, debtors=(d.BUYER,)))
    decision = play.file(manifest, bound=(d.BUYER,))
    assert decision.outcome.result is result
    if stance == "BLOCK":
        assert blocking(decision) == {("N-INCOMPLETE", "R-SECURER")}
        consent = {"GUARANTOR_CONSENT": c.paper("GUARANTOR_CONSENT", S)}
        play.book(manifest, bound=(d.BUYER,), papers=consent)


def test_creditor_may_give_the_third_partys_security_up() -> None:
    """CC 391: A's own word in the terms cures R-SECURER."""
    secured = replace(M1, debtors=(c.SPOUSE,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    play = played(secured)
    play.world = replace(play.world, profile=replace(play.world.profile, securer_without_consent="BLOCK"))
    given_up = Declaration(party=A, kind=DeclarationKind.SECURITY_GIVEN_UP)
    play.book(
        play.manifest(
            change(ChangeItem.DEBTOR, old=secured, debtors=(d.BUYER,)),
            kind=Kind.MORTGAGE,
            applicant=A,
            declarations=(given_up,),
        ),
        bound=(d.BUYER,),
    )


def test_new_mortgagor_is_a_burden_that_a_seizure_bars_and_harms_no_other_mortgagee() -> None:
    """blocks.csv ADDS_BURDEN; CC 409 asks only those behind a claim that grows."""
    sold = replace(
        M1, mortgagors=(d.BUYER,), debtors=(d.BUYER,)
    )  # the mortgagor of record need not own (CC 406)
    operation = change(ChangeItem.MORTGAGOR, ChangeItem.DEBTOR, old=sold, mortgagors=(S,), debtors=(S,))
    free = played(sold, M3)
    free.book(filed(free, operation), bound=(d.BUYER,))
    seized = played(sold, SEIZED)
    assert ("N-BARRED", "R-SEIZED") in blocking(seized.file(filed(seized, operation), bound=(d.BUYER,)))


def test_what_the_terms_do_not_repeat_stands_as_recorded() -> None:
    """Portions of the loan and the contract's number are kept by a change that is not about them."""
    portion = LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=A, amount_fen=50_000_000)
    old = replace(M1, loan_portions=(portion,), contract_number="DY-1")
    play = played(old)
    play.book(filed(play, change(ChangeItem.SECURED_SCOPE, old=old, secured_scope="全部债权")))
    [row] = play.state().mortgages
    assert (row.loan_portions, row.contract_number) == ((portion,), "DY-1")


def test_nobody_changes_anothers_name_alone() -> None:
    """OS 14.2: one's own name or document."""
    renamed = replace(A, name="示例银行股份有限公司江阴支行")
    play = played()
    operation = replace(change(ChangeItem.NAME_OR_IDENTITY, mortgagees=(renamed,)), applicants=(B,))
    assert ("N-NOT_APPLICANT", "") in blocking(play.file(filed(play, operation, applicant=B)))


@pytest.mark.parametrize("make", ["change", "transfer", "release"])
def test_construction_mortgage_is_dealt_with_as_one(make: str) -> None:
    """RD 75-77: the column of the table that is asked is that of the mortgage's own sort."""
    built = replace(M1, collateral_kind="LAND_AND_CONSTRUCTION")
    play = played(built)
    operation: Any = {
        "change": change(ChangeItem.TERM, old=built, term_end=dt.date(2040, 1, 1)),
        "transfer": transfer(),
        "release": c.mortgage_release(mortgagees=(A,)),
    }[make]
    kind = Kind.MORTGAGE_RELEASE if make == "release" else Kind.MORTGAGE
    decision = play.file(filed(play, operation, kind), bound=(A, B))
    assert ("C-MISMATCH", "R-CONFLICT") in blocking(decision)


def test_recorded_owner_alone_gives_a_construction_mortgage() -> None:
    """CC 395: where ownership is recorded, a stranger mortgages nothing, under construction or not."""
    play = played(M1)
    scope = ConstructionScope(location="示例路1号", scope="1幢", permit_number="建字第1号")
    operation = c.mortgage_first(
        mortgagors=(d.BUYER,), mortgagees=(B,), construction=scope, collateral_kind="LAND_AND_CONSTRUCTION"
    )
    decision = play.file(play.manifest(operation, kind=Kind.MORTGAGE))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(decision)


def test_mortgagee_changes_its_own_name_alone() -> None:
    """OS 14.2; IR 14: no mortgagor, no form, the proof of the change of name."""
    renamed = replace(A, name="示例银行股份有限公司江阴支行")
    play = played()
    operation = replace(change(ChangeItem.NAME_OR_IDENTITY, mortgagees=(renamed,)), applicants=(renamed,))
    play.book(filed(play, operation))
    assert play.state().mortgages[0].mortgagees == (renamed,)


def test_restriction_is_added_by_a_change_and_the_mortgage_of_2019_stays_of_2019() -> None:
    """N54: a change of the restriction is a change; PRE_2021 goes by the first registration (scenario 43)."""
    old = replace(
        M1,
        first_registered_at=dt.datetime(2019, 1, 1, tzinfo=dt.UTC),
        transfer_restriction=TransferRestriction.UNRECORDED,
    )
    play = played(old)
    operation = change(
        ChangeItem.TRANSFER_RESTRICTION, old=old, transfer_restriction=TransferRestriction.RESTRICTED
    )
    play.book(filed(play, operation))
    [row] = play.state().mortgages
    assert (row.transfer_restriction, row.first_registered_at.year) == (TransferRestriction.RESTRICTED, 2019)


# -- transfer ------------------------------------------------------------------------------------------------------


def test_mortgage_follows_its_claim_and_keeps_its_rank() -> None:
    """CC 407; RD 69."""
    play = played(M1, M3)
    play.book(filed(play, transfer(), applicant=B), bound=(A,))
    assert play.mortgages() == [(B.name, 1, 1), (C_BANK.name, 2, 2)]
    assert play.state().mortgages[0].first_registered_at == M1.first_registered_at


@pytest.mark.parametrize("missing", ["CLAIM_ASSIGNMENT", "DEBTOR_NOTICE"])
def test_transfer_without_the_claim_or_the_notice_is_not_accepted(missing: str) -> None:
    """R-NO_CLAIM_ASSIGNMENT (CC 407, 546)."""
    play = played()
    decision = play.file(filed(play, transfer(), applicant=B), without=(missing,), bound=(A,))
    assert blocking(decision) == {("N-INCOMPLETE", "R-NO_CLAIM_ASSIGNMENT")}


def test_merger_moves_the_mortgage_on_the_merger_paper_alone() -> None:
    """Scenario 46: the survivor applies alone, no assignment, no notice; rank kept."""
    play = played()
    merger = transfer(ground=TransferGround.MERGER, debtor_told_on=None)
    play.book(filed(play, merger, applicant=B))
    assert play.mortgages() == [(B.name, 1, 1)]


def test_merger_leaves_nothing_behind_whatever_amount_is_stated() -> None:
    """Company Law 221: rights pass whole."""
    play = played()
    play.book(filed(play, transfer(ground=TransferGround.MERGER, assigned_fen=1), applicant=B))
    assert play.mortgages() == [(B.name, 1, 1)]


def test_part_of_an_unfixed_claim_takes_the_mortgage_along_only_by_agreement() -> None:
    """CC 421; RD 74: R-MAX_NOT_FIXED without the agreement; with it both banks are mortgagees."""
    play = played(MAXIMUM)
    part = transfer(assigned_fen=10_000_000, follows_part=True)
    manifest = filed(play, part, applicant=B)
    refused = play.file(manifest, without=("MAX_AMOUNT_PARTIAL",), bound=(A,))
    assert ("N-INCOMPLETE", "R-MAX_NOT_FIXED") in blocking(refused)
    play.book(manifest, bound=(A,))
    assert play.mortgages() == [(f"{A.name}、{B.name}", 1, 1)]


def test_whole_claim_of_an_unfixed_mortgage_moves_without_more() -> None:
    """CC 421 bars the part, not the whole."""
    play = played(MAXIMUM)
    play.book(filed(play, transfer(), applicant=B), bound=(A,))
    assert play.mortgages() == [(B.name, 1, 1)]


def test_nobody_assigns_anothers_mortgage() -> None:
    """The assignor is the mortgagee of record (RD 69)."""
    play = played()
    decision = play.file(filed(play, transfer(assignors=(C_BANK,)), applicant=B), bound=(C_BANK,))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in blocking(decision)


# -- fixing --------------------------------------------------------------------------------------------------------


def fixing(**changes: Any) -> ClaimFixing:
    """S and A fix the claim at 800,000.00 CNY."""
    value = ClaimFixing(
        units=(c.UNIT,),
        proof=MAXIMUM.proof,
        mortgagors=(S,),
        mortgagees=(A,),
        fixing_fact="债权确定期间届满",
        fixed_on=dt.date(2026, 11, 1),
        fixed_fen=80_000_000,
    )
    return replace(value, **changes)


def test_fixing_makes_an_ordinary_mortgage_of_the_amount_owed() -> None:
    """CC 423; RD 73."""
    play = played(MAXIMUM)
    play.book(filed(play, fixing()))
    [row] = play.state().mortgages
    assert (row.kind, row.claim_amount_fen, row.max_claim_amount_fen) == (
        MortgageKind.ORDINARY,
        80_000_000,
        None,
    )
    assert "债权确定期间届满" in row.fixing_fact


@pytest.mark.parametrize(
    ("rights", "changes"),
    [
        ((M1,), {}),
        ((MAXIMUM,), {"fixed_fen": 90_000_001}),
        ((MAXIMUM,), {"fixed_on": dt.date(2027, 1, 1)}),
        ((MAXIMUM,), {"currency": "USD"}),
    ],
    ids=["ordinary", "over-the-ceiling", "in-the-future", "another-currency"],
)
def test_claim_that_cannot_be_fixed_so(rights: tuple[Mortgage, ...], changes: dict[str, Any]) -> None:
    """Only a maximum-amount mortgage, never over its ceiling or in another currency, on a day that has come."""
    play = played(*rights)
    assert ("C-MISMATCH", "R-CONFLICT") in blocking(play.file(filed(play, fixing(**changes))))


# -- release -------------------------------------------------------------------------------------------------------


def shared() -> Play:
    """M1 on two flats of S."""
    both = replace(M1, units=(c.UNIT, OTHER))
    first = c.unit_state(both)
    second = replace(first, unit=replace(first.unit, unit_code=OTHER))
    owned = replace(first.ownership, right_id="0.9", units=(OTHER,))
    second = replace(second, rights=(owned, both))
    return Play(d.world(first, second))


def test_release_of_one_unit_leaves_the_other_mortgaged_under_a_new_proof() -> None:
    """RD 70: the mortgage goes on on the rest, its rank and first registration kept."""
    play = shared()
    operation = c.mortgage_release(partial=True, mortgagees=(A,))
    decision = play.book(filed(play, operation, Kind.MORTGAGE_RELEASE))
    assert play.mortgages(c.UNIT) == []
    assert play.mortgages(OTHER) == [(A.name, 1, 1)]
    assert [x.unit_codes for x in decision.contents] == [(OTHER,)]
    assert play.state(OTHER).mortgages[0].first_registered_at == M1.first_registered_at


def test_release_of_every_unit_is_no_partial_one() -> None:
    """Nothing would stay mortgaged."""
    play = shared()
    operation = c.mortgage_release(units=(c.UNIT, OTHER), partial=True, mortgagees=(A,))
    decision = play.file(filed(play, operation, Kind.MORTGAGE_RELEASE))
    assert ("C-MISMATCH", "R-CONFLICT") in blocking(decision)


def test_mortgagor_releases_alone_with_a_judgment() -> None:
    """OS 14.4: a person decides; the mortgagee need not sign."""
    play = played()
    operation = c.mortgage_release(ground=ReleaseGround.JUDGMENT, mortgagees=(A,), applicants=(S,))
    decision = play.book(filed(play, operation, Kind.MORTGAGE_RELEASE, applicant=B))
    assert decision.outcome.state is State.BOOKED
    assert play.mortgages() == []


def test_stranger_releases_nothing_with_a_judgment() -> None:
    """Neither mortgagor nor mortgagee."""
    play = played()
    operation = c.mortgage_release(ground=ReleaseGround.JUDGMENT, mortgagees=(A,), applicants=(d.BUYER,))
    decision = play.file(filed(play, operation, Kind.MORTGAGE_RELEASE, applicant=B))
    assert ("N-NOT_APPLICANT", "") in blocking(decision)


def test_agreed_release_needs_both_sides() -> None:
    """By agreement mortgagor and mortgagee apply together (RD 70)."""
    play = played()
    operation = c.mortgage_release(ground=ReleaseGround.AGREEMENT, mortgagees=(A,))
    manifest = filed(play, operation, Kind.MORTGAGE_RELEASE)
    unsigned = play.file(manifest, papers={"APPLICATION": c.paper("APPLICATION", A, bound=True)})
    assert unsigned.outcome.result is Result.AWAITING_PARTIES
    play.book(manifest)


# -- rank ----------------------------------------------------------------------------------------------------------


def test_agreed_rank_before_a_live_mortgage_needs_that_mortgagee() -> None:
    """RD 67; CC 409: nobody is passed without a word (R-OTHER_MORTGAGEE)."""
    play = played()
    operation = c.mortgage_first(mortgagees=(B,), agreed_rank=1)
    manifest = play.manifest(operation, kind=Kind.MORTGAGE)
    unsigned = {"RANK_AGREEMENT": c.paper("RANK_AGREEMENT", S, B)}
    assert play.file(manifest, papers=unsigned).outcome.result is Result.NOT_ACCEPTED
    consent = {"OTHER_MORTGAGEE_CONSENT": c.paper("OTHER_MORTGAGEE_CONSENT", A)}
    play.book(manifest, papers=consent)
    assert play.mortgages() == [(B.name, 2, 1), (A.name, 1, 2)]
