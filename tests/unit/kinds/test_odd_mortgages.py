"""Mortgage cases that the handbook does not tell, worked out from its articles: each with what must come of it.

A flat of S with what lies on it, one step on it, and either BOOKED (by rule or by a registrar) or what bars it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from gateway.cases.model import Kind, State
from gateway.cases.terms import (
    AnyOperation,
    ChangeItem,
    ClaimFixing,
    Correction,
    CorrectionItem,
    MortgageRelease,
    Reissue,
    ReissueGround,
    ReleaseGround,
    TransferGround,
)
from gateway.register.model import (
    AgreedPlace,
    Capacity,
    CertificateRef,
    CertificateScheme,
    CoOwnership,
    IdKind,
    LoanPortion,
    LoanPortionKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Party,
    Share,
    TransferRestriction,
    UnitHold,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play
from tests.unit.kinds.test_mortgage_later import (
    C_BANK,
    M1,
    M3,
    MAXIMUM,
    OTHER,
    SEIZED,
    A,
    B,
    S,
    blocking,
    change,
    transfer,
)

Bars = set[tuple[str, str]]
BOOKED: Bars = set()
CONFLICT = {("C-MISMATCH", "R-CONFLICT")}
NOT_ENTITLED = {("N-NOT_APPLICANT", "R-CONFLICT")}
ASK_OTHERS = {("N-INCOMPLETE", "R-OTHER_MORTGAGEE")}

T, U = c.SPOUSE, d.BUYER
SMALL = Party(name="赵小", id_kind=IdKind.RESIDENT_ID, id_number="999999201503070012")  # eleven years old
FRAIL = replace(S, capacity=Capacity.LIMITED, guardian=T)
RENAMED = replace(A, name="示例银行江阴分行")
LEGACY = CertificateRef(number="澄房他证城字第0012345号", scheme=CertificateScheme.LEGACY)
BOTH = replace(M1, mortgagees=(A, B))
BEHIND_M3 = AgreedPlace(at=dt.datetime(2024, 5, 1, tzinfo=dt.UTC), row="5.1", behind=(M3.identity,))
TOMORROW = dt.date(2026, 11, 21)
THREE = (c.UNIT, OTHER, c.UNIT[:-1] + "3")
ON_THREE = replace(
    M1,
    units=THREE,
    loan_portions=(
        LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=A, amount_fen=30_000_000),
        LoanPortion(kind=LoanPortionKind.PROVIDENT_FUND, creditor=d.FUND, amount_fen=20_000_000),
    ),
)


def flat(*rights: Any, owners: tuple[Party, ...] = (S,), **unit: Any) -> UnitState:
    """The flat of these owners."""
    return c.unit_state(*rights, owners=owners, **unit)


def by_shares(*owners: Party) -> UnitState:
    """The flat in equal shares."""
    state = flat(owners=owners)
    shares = tuple(Owner(person=p, share=Share(numerator=1, denominator=len(owners))) for p in owners)
    owned = replace(state.ownership, owners=shares, co_ownership=CoOwnership.BY_SHARES)
    return replace(state, rights=(owned,))


def beside(*rights: Any, owner: Party = S, code: str = OTHER) -> UnitState:
    """Another unit, with what lies on it."""
    state = flat(owners=(owner,))
    owned = replace(state.ownership, right_id="0.9", units=(code,))
    here = tuple(replace(right, units=(code,)) for right in rights)
    return replace(state, unit=replace(state.unit, unit_code=code), rights=(owned, *here))


def adding(**changes: Any) -> AnyOperation:
    """M1 is extended to the other unit."""
    step = change(ChangeItem.UNITS, units=(c.UNIT, OTHER), **changes)
    return replace(step, units=(c.UNIT, OTHER))


def fixing(**changes: Any) -> ClaimFixing:
    """The claim of MAXIMUM is fixed at 800,000."""
    value = ClaimFixing(
        units=(c.UNIT,),
        proof=M1.proof,
        mortgagors=(S,),
        mortgagees=(A,),
        fixing_fact="抵押财产被查封",
        fixed_on=dt.date(2026, 11, 12),
        fixed_fen=80_000_000,
    )
    return replace(value, **changes)


def correcting(*items: tuple[str, str, str], **changes: Any) -> Correction:
    """Fields, what is recorded, what it should be."""
    wrong = tuple(CorrectionItem(field=f, recorded=r, corrected=x) for f, r, x in items)
    value = Correction(units=(c.UNIT,), proof=M1.proof, items=wrong, applicants=(A,))
    return replace(value, **changes)


def reissuing(**changes: Any) -> Reissue:
    """A's paper proof becomes an electronic one."""
    value = Reissue(units=(c.UNIT,), proof=M1.proof, ground=ReissueGround.MEDIUM, applicants=(A,))
    return replace(value, **changes)


def first(*people: Party, **changes: Any) -> AnyOperation:
    """These mortgage the flat to A for their own debt."""
    return c.mortgage_first(mortgagors=people, debtors=people, **changes)


def renaming(*applicants: Party, **changes: Any) -> AnyOperation:
    """A change of nothing but somebody's name or document."""
    return replace(change(ChangeItem.NAME_OR_IDENTITY, **changes), applicants=applicants)


class Odd(NamedTuple):
    """One case. `units` are the register, `step` what is asked for, `bars` what stands against it."""

    units: tuple[UnitState, ...]
    step: AnyOperation
    bars: Bars
    by: Party = A
    others: tuple[Party, ...] = ()  # who signed the form besides
    check: Callable[[Play], bool] = lambda play: True


def mortgage(play: Play, code: str = c.UNIT) -> Mortgage:
    """The first mortgage of a unit."""
    return play.state(code).mortgages[0]


CASES = {
    # -- a first registration -----------------------------------------------------------------------------------
    "three brothers hold jointly, two sign": Odd(
        (flat(owners=(S, T, U)),), first(S, T), {("N-NOT_APPLICANT", "R-CO_OWNER")}
    ),
    "three brothers hold by shares, two sign": Odd((by_shares(S, T, U),), first(S, T), BOOKED),
    "three brothers hold by shares, one signs for the whole": Odd(
        (by_shares(S, T, U),), first(S), {("N-BARRED", "R-CO_OWNER")}
    ),
    "one of two joint owners is a child whose guardian is not there": Odd(
        (flat(owners=(S, SMALL)),),
        first(S, SMALL),
        {
            ("N-NOT_APPLICANT", "R-GUARDIAN"),
            ("N-AUTHORISATION", "R-GUARDIAN"),
            ("N-NOT_APPLICANT", "R-CO_OWNER"),
        },
    ),
    "a mortgage of 2019 without a word does not stand in the way of a second one": Odd(
        (flat(replace(M1, first_registered_at=dt.datetime(2019, 1, 5, tzinfo=dt.UTC))),),
        first(S, mortgagees=(B,)),
        BOOKED,
        by=B,
        check=lambda play: play.mortgages() == [(A.name, 1, 1), (B.name, 2, 2)],
    ),
    "a kindergarten": Odd(
        (flat(holds=(UnitHold.PROHIBITED_COLLATERAL,)),), first(S), {("N-BARRED", "R-PROHIBITED")}
    ),
    "land of a collective": Odd(
        (flat(land_nature="COLLECTIVE_LAND_OWNERSHIP"),), first(S), {("N-BARRED", "R-PROHIBITED")}
    ),
    "a claim above any price: nobody may ask for a valuation (CC 213)": Odd(
        (flat(),), first(S, claim_amount_fen=10**13), BOOKED
    ),
    "a shop whose land term ends before the loan's": Odd(
        (flat(use="COMMERCIAL", land_term_end=dt.date(2030, 1, 1)),), first(S), BOOKED
    ),
    "a shop whose land term is over": Odd(
        (flat(use="COMMERCIAL", land_term_end=dt.date(2026, 1, 1)),), first(S), {("N-BARRED", "R-EXPIRED")}
    ),
    "said to be one's own debt, and it is another's (CC 391, 394)": Odd(
        (flat(),), c.mortgage_first(debtors=(T,)), CONFLICT
    ),
    "said to be another's debt, and it is one's own": Odd(
        (flat(),), first(S, mortgagor_relation=MortgagorRelation.THIRD_PARTY), CONFLICT
    ),
    "husband and wife mortgage, he alone owes": Odd(
        (flat(owners=(S, T)),), c.mortgage_first(mortgagors=(S, T)), BOOKED
    ),
    "a bank mortgages its house to itself (CC 394; IR 14)": Odd((flat(owners=(A,)),), first(A), CONFLICT),
    "father's flat and son's parking space under one mortgage (CC 395)": Odd(
        (flat(), beside(owner=T)),
        first(S, T, units=(c.UNIT, OTHER), mortgagor_relation=MortgagorRelation.DEBTOR),
        BOOKED,
        check=lambda play: mortgage(play, OTHER).mortgagors == (S, T),
    ),
    "somebody who owns neither mortgages with them": Odd(
        (flat(), beside(owner=T)), first(S, T, U, units=(c.UNIT, OTHER)), NOT_ENTITLED
    ),
    # -- a change -----------------------------------------------------------------------------------------------
    "the ceiling is raised over a junior mortgage (CC 422)": Odd(
        (flat(MAXIMUM, M3),),
        change(ChangeItem.AMOUNT, old=MAXIMUM, max_claim_amount_fen=100_000_000),
        ASK_OTHERS,
    ),
    "the ceiling of the junior one is raised": Odd(
        (
            flat(
                M1,
                replace(M3, kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=1),
            ),
        ),
        change(
            ChangeItem.AMOUNT,
            old=replace(M3, kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None),
            max_claim_amount_fen=100_000_000,
        ),
        BOOKED,
        by=C_BANK,
    ),
    "more is borrowed on a flat that the mortgagor of record has sold (CC 406)": Odd(
        (flat(M1, owners=(U,)),),
        change(ChangeItem.AMOUNT, claim_amount_fen=60_000_000),
        {("N-NOT_APPLICANT", "R-CO_OWNER")},
    ),
    "and its new owner signs too": Odd(
        (flat(M1, owners=(U,)),),
        change(ChangeItem.AMOUNT, claim_amount_fen=60_000_000),
        BOOKED,
        others=(U,),
    ),
    "less is owed on a flat that the mortgagor of record has sold": Odd(
        (flat(M1, owners=(U,)),), change(ChangeItem.AMOUNT, claim_amount_fen=1), BOOKED
    ),
    "another owes, and the mortgage is still said to be for one's own debt": Odd(
        (flat(M1),), change(ChangeItem.DEBTOR, debtors=(U,)), CONFLICT, others=(U,)
    ),
    "a word on transfer is changed to no word (N54)": Odd(
        (flat(M1),),
        change(ChangeItem.TRANSFER_RESTRICTION, transfer_restriction=TransferRestriction.UNRECORDED),
        CONFLICT,
    ),
    "the amount grows, the portions of the loan do not": Odd(
        (flat(replace(ON_THREE, units=(c.UNIT,))),),
        change(ChangeItem.AMOUNT, claim_amount_fen=60_000_000),
        CONFLICT,
    ),
    "the son's parking space is added to the father's mortgage": Odd(
        (flat(M1), beside(owner=T)),
        replace(
            change(ChangeItem.UNITS, ChangeItem.MORTGAGOR, units=(c.UNIT, OTHER), mortgagors=(S, T)),
            units=(c.UNIT, OTHER),
        ),
        BOOKED,
    ),
    "the same figure in another currency (CC 409)": Odd(
        (flat(M1, M3),), change(ChangeItem.AMOUNT, currency="USD"), ASK_OTHERS
    ),
    "the amount is lowered under a seizure": Odd(
        (flat(M1, SEIZED),), change(ChangeItem.AMOUNT, claim_amount_fen=1), BOOKED
    ),
    "the amount is raised under a seizure": Odd(
        (flat(M1, SEIZED),),
        change(ChangeItem.AMOUNT, claim_amount_fen=60_000_000),
        {("N-BARRED", "R-SEIZED")},
    ),
    "transfer is forbidden anew under a seizure": Odd(
        (flat(M1, SEIZED),),
        change(ChangeItem.TRANSFER_RESTRICTION, transfer_restriction=TransferRestriction.RESTRICTED),
        {("N-BARRED", "R-SEIZED")},
    ),
    "an agreed rank that no item names": Odd(
        (flat(M1, M3),), change(ChangeItem.TERM, term_end=dt.date(2040, 1, 1), agreed_rank=2), CONFLICT
    ),
    "the first steps back behind the second: nobody is harmed (CC 409)": Odd(
        (flat(M1, M3),),
        change(ChangeItem.RANK, agreed_rank=2),
        BOOKED,
        check=lambda play: play.mortgages() == [(C_BANK.name, 2, 1), (A.name, 1, 2)],
    ),
    "the second steps before the first, unasked": Odd(
        (flat(M1, M3),), change(ChangeItem.RANK, old=M3, agreed_rank=1), ASK_OTHERS, by=C_BANK
    ),
    "whose agreement put it second takes it back, unasked (CC 409)": Odd(
        (flat(replace(M1, agreed_rank=2, agreed_place=BEHIND_M3), M3),),
        change(ChangeItem.RANK),
        ASK_OTHERS,
    ),
    "a bank gives its new name": Odd(
        (flat(M1),),
        renaming(A, mortgagees=(RENAMED,)),
        BOOKED,
        check=lambda play: mortgage(play).mortgagees == (RENAMED,),
    ),
    "another bank under the word of a new name (RD 69)": Odd(
        (flat(M1),), renaming(A, mortgagees=(B,)), {*NOT_ENTITLED, ("N-NOT_APPLICANT", "")}
    ),
    "another bank comes in beside a new term and a new name": Odd(
        (flat(M1),),
        change(ChangeItem.NAME_OR_IDENTITY, ChangeItem.TERM, mortgagees=(B,), term_end=dt.date(2040, 1, 1)),
        NOT_ENTITLED,
        others=(B,),
    ),
    "the mortgagor alone gives the bank a new name (OS 14.2)": Odd(
        (flat(M1),), renaming(S, mortgagees=(RENAMED,)), {("N-NOT_APPLICANT", "")}, others=(S,)
    ),
    "a parking space is added to the mortgage": Odd(
        (flat(M1), beside()),
        adding(),
        BOOKED,
        check=lambda play: mortgage(play, OTHER).units == (c.UNIT, OTHER),
    ),
    "one that is not the mortgagor's is added (CC 395)": Odd(
        (flat(M1), beside(owner=T)), adding(), {("N-NOT_APPLICANT", "R-CO_OWNER")}
    ),
    "one that is seized is added (CC 399)": Odd(
        (flat(M1), beside(SEIZED)), adding(), {("N-BARRED", "R-SEIZED")}
    ),
    "one on which a younger mortgage would be passed is added (CC 414)": Odd(
        (flat(M1), beside(M3)), adding(), ASK_OTHERS
    ),
    "one on which an older mortgage stays first is added": Odd(
        (flat(M1), beside(replace(M3, priority_date=dt.datetime(2019, 1, 1, tzinfo=dt.UTC)))),
        adding(),
        BOOKED,
        check=lambda play: play.mortgages(OTHER) == [(C_BANK.name, 2, 1), (A.name, 1, 2)],
    ),
    "a unit is added without being named by the step": Odd(
        (flat(M1), beside()),
        change(ChangeItem.UNITS, units=(c.UNIT, OTHER)),
        {("N-INCOMPLETE", "R-CONFLICT")},
    ),
    # -- a transfer ---------------------------------------------------------------------------------------------
    "two banks merge that both have a mortgage on the flat": Odd(
        (flat(M1, replace(M3, mortgagees=(B,))),),
        transfer(ground=TransferGround.MERGER),
        BOOKED,
        by=B,
        check=lambda play: play.mortgages() == [(B.name, 1, 1), (B.name, 2, 2)],
    ),
    "two co-mortgagees merge": Odd(
        (flat(BOTH),),
        transfer(ground=TransferGround.MERGER),
        BOOKED,
        by=B,
        check=lambda play: mortgage(play).mortgagees == (B,),
    ),
    "the survivor of a merger with somebody else": Odd(
        (flat(M1),), transfer(ground=TransferGround.MERGER, assignors=(C_BANK,)), NOT_ENTITLED, by=B
    ),
    "a part of a claim that is not fixed, without an agreement (CC 421)": Odd(
        (flat(MAXIMUM),),
        transfer(assigned_fen=10_000_000),
        {("N-INCOMPLETE", "R-MAX_NOT_FIXED")},
        others=(B,),
    ),
    "a part of an ordinary claim: both are mortgagees (CC 547)": Odd(
        (flat(M1),),
        transfer(assigned_fen=10_000_000),
        BOOKED,
        others=(B,),
        check=lambda play: mortgage(play).mortgagees == (A, B),
    ),
    "the debtor will be told tomorrow (CC 546)": Odd(
        (flat(M1),),
        transfer(debtor_told_on=TOMORROW),
        {("C-MISMATCH", "R-NO_CLAIM_ASSIGNMENT")},
        others=(B,),
    ),
    # -- a release ----------------------------------------------------------------------------------------------
    "one bank has two mortgages: the proof says which one goes": Odd(
        (flat(M1, replace(M3, mortgagees=(A,))),),
        c.mortgage_release(proof=M3.proof),
        BOOKED,
        check=lambda play: [m.proof for m in play.state().mortgages] == [M1.proof],
    ),
    "one of three units is released: the portions of the loan stay as they are": Odd(
        tuple(
            replace(state, rights=(*state.rights, ON_THREE))
            for state in (flat(), beside(), beside(code=THREE[2]))
        ),
        c.mortgage_release(units=(OTHER,), partial=True),
        BOOKED,
        check=lambda play: (
            play.mortgages(OTHER) == []
            and mortgage(play).units == (THREE[0], THREE[2])
            and mortgage(play).loan_portions == ON_THREE.loan_portions
        ),
    ),
    "the claim ends tomorrow (CC 393)": Odd((flat(M1),), c.mortgage_release(settled_on=TOMORROW), CONFLICT),
    "one of two co-mortgagees releases alone": Odd((flat(BOTH),), c.mortgage_release(), NOT_ENTITLED),
    "by the number of an old paper (handbook 4.2)": Odd(
        (flat(replace(M1, proof=LEGACY)),), c.mortgage_release(proof=LEGACY), BOOKED
    ),
    "on collateral that could not be mortgaged today": Odd(
        (flat(M1, holds=(UnitHold.PROHIBITED_COLLATERAL,)),), c.mortgage_release(), BOOKED
    ),
    "the mortgagor releases for a settled claim, without a judgment": Odd(
        (flat(M1),),
        c.mortgage_release(mortgagees=(S,), ground=ReleaseGround.CLAIM_SETTLED),
        NOT_ENTITLED,
        others=(S,),
    ),
    # -- fixing, correction, re-issue ---------------------------------------------------------------------------
    "a seizure fixes the claim: a person sees the amount (CC 423(4))": Odd(
        (flat(MAXIMUM, SEIZED),),
        fixing(),
        BOOKED,
        check=lambda play: mortgage(play).kind is MortgageKind.ORDINARY,
    ),
    "fixed for more than the ceiling": Odd((flat(MAXIMUM),), fixing(fixed_fen=90_000_001), CONFLICT),
    "fixed before there was a mortgage": Odd(
        (flat(MAXIMUM),), fixing(fixed_on=dt.date(2021, 12, 31)), CONFLICT
    ),
    "a correction while a seizure stands: of what is nobody else's": Odd(
        (flat(M1, SEIZED),), correcting(("DBFW", "/", "主债权、利息")), BOOKED
    ),
    "a correction that lets the term end before it begins": Odd(
        (flat(M1),), correcting(("ZWLXJSSJ", "2042-01-01", "2012-01-01")), CONFLICT
    ),
    "a correction of both ends of the term at once": Odd(
        (flat(M1),),
        correcting(("ZWLXQSSJ", "2022-01-01", "2012-01-01"), ("ZWLXJSSJ", "2042-01-01", "2013-01-01")),
        BOOKED,
    ),
    "an incapable owner asks for a correction, and nobody proves to be the guardian": Odd(
        (flat(M1, owners=(FRAIL,)),),
        correcting(("DBFW", "/", "主债权、利息"), applicants=(A, FRAIL)),
        {("N-INCOMPLETE", "")},
        others=(T,),
    ),
    "a correction to nothing": Odd((flat(M1),), correcting(("BDBZZQSE", "50万元", "0")), CONFLICT),
    "an ordinary claim for a maximum-amount mortgage": Odd(
        (flat(MAXIMUM),), correcting(("BDBZZQSE", "", "50")), CONFLICT
    ),
    "one field corrected twice": Odd(
        (flat(M1),), correcting(("DBFW", "/", "甲"), ("DBFW", "/", "乙")), CONFLICT
    ),
    "nobody applies for the correction: the authority's own comes by its feed": Odd(
        (flat(M1),), correcting(("DBFW", "/", "甲"), applicants=()), NOT_ENTITLED
    ),
    "the proof of a mortgage that is gone is issued again": Odd(
        (flat(),), reissuing(), {("N-BARRED", "R-CONFLICT")}
    ),
    "the proof is issued again for one of two holders": Odd(
        (flat(BOTH),), reissuing(), {*NOT_ENTITLED, ("N-NOT_APPLICANT", "")}
    ),
    "an old paper becomes a proof of today": Odd(
        (flat(replace(M1, proof=LEGACY)),),
        reissuing(proof=LEGACY, ground=ReissueGround.LEGACY),
        BOOKED,
        check=lambda play: mortgage(play).replaced_proofs == (LEGACY.number,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_odd_case_comes_to_what_its_articles_say(name: str) -> None:
    """The case is booked, and the register is as it must be; or all that bars it is told at once."""
    odd = CASES[name]
    play = Play(d.world(*odd.units))
    kind = Kind.MORTGAGE_RELEASE if isinstance(odd.step, MortgageRelease) else Kind.MORTGAGE
    manifest = play.manifest(odd.step, kind=kind, applicant=odd.by)
    decision = play.file(manifest, bound=odd.others)
    if odd.bars:
        assert decision.outcome.state is State.NOT_ACCEPTED
        assert blocking(decision) == odd.bars
        return
    assert decision.outcome.state is State.BOOKED, blocking(decision) or decision.outcome.findings
    play.fold(decision)
    assert odd.check(play)


def test_successor_releases_in_its_own_name_what_stands_in_the_old_one() -> None:
    """Handbook 3.1: A was merged into B; until the mortgage is transferred the old name reads as the new one."""
    world = d.world(flat(M1))
    survivor = replace(world.institutions[B.id_number], uscc_aliases=(A.id_number,))
    known = {code: i for code, i in world.institutions.items() if code != A.id_number}
    play = Play(replace(world, institutions={**known, B.id_number: survivor}))
    step = change(ChangeItem.TERM, term_end=dt.date(2041, 1, 1), mortgagees=(B,))
    play.book(play.manifest(step, kind=Kind.MORTGAGE, applicant=B))
    assert mortgage(play).mortgagees == (A,)  # a change moves it to nobody
    release = c.mortgage_release(mortgagees=(B,), proof=mortgage(play).proof)
    play.book(play.manifest(release, kind=Kind.MORTGAGE_RELEASE, applicant=B))
    assert play.mortgages() == []


def test_number_that_no_entry_has_is_told_to_nobody() -> None:
    """The second step cites a proof that the first one replaces: its next number is not taken yet, and not named."""
    play = Play(d.world(flat(M1)))
    steps = (
        change(ChangeItem.TERM, term_end=dt.date(2040, 1, 1)),
        change(ChangeItem.AMOUNT, claim_amount_fen=1),
    )
    decision = play.file(play.manifest(*steps, kind=Kind.MORTGAGE, applicant=A))
    told = [f.zh for f in decision.outcome.findings if f.rule == "R-CONFLICT"]
    assert len(told) == 1
    assert "不动产证明第0000001号" not in told[0]


def test_whoever_secured_anothers_debt_is_asked_whatever_was_recorded() -> None:
    """CC 391: the row says that the mortgagor owes, and its debtor is another; that one hands the debt on."""
    world = d.world(flat(replace(M1, debtors=(T,))))
    play = Play(replace(world, profile=replace(world.profile, securer_without_consent="BLOCK")))
    third = MortgagorRelation.THIRD_PARTY
    step = change(ChangeItem.DEBTOR, debtors=(U,), mortgagor_relation=third)
    manifest = play.manifest(step, kind=Kind.MORTGAGE, applicant=A)
    assert blocking(play.file(manifest, bound=(U,))) == {("N-INCOMPLETE", "R-SECURER")}
    play.book(manifest, bound=(U,), papers={"GUARANTOR_CONSENT": c.paper("GUARANTOR_CONSENT", S)})
