"""Cases of sale under a mortgage that the handbook does not tell, worked out from its articles.

Each row of `CASES` files something odd with every paper that the law asks for, signed by all who must. `bars` is what
keeps it from acceptance (code and rule), `looked_at` what a registrar is told to weigh besides the sale itself, `waits`
what it waits for. A row with nothing passes to the registrar who decides every sale.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.model import Kind, OpenCase, Paper, Result
from gateway.cases.terms import (
    Account,
    ChangeItem,
    FundsLeg,
    FundsPlan,
    FundsPurpose,
    FundsTrigger,
    MortgageTransfer,
    ReleaseGround,
    TransferGround,
)
from gateway.register.findings import Severity
from gateway.register.model import (
    Capacity,
    CertificateRef,
    CoOwnership,
    Dissent,
    Habitation,
    IdKind,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    TransferRestriction,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import Play, complete
from tests.unit.kinds.test_modes import DEAL, change_old, played, release_old, world

S, Y, A, B, FUND = d.SELLER, d.BUYER, d.A, d.B, d.FUND
T = Party(name="赵六", id_kind=IdKind.RESIDENT_ID, id_number="999999197501010013")
FORMER_A = replace(A, id_number="91320281MA1DEV001D", name="示例银行江阴支行（原）")
PARKING = c.UNIT[:-1] + "2"
UTC = dt.UTC
BEFORE_THE_CODE = dt.datetime(2020, 12, 31, 15, 59, 59, tzinfo=UTC)  # a second before 2021 in China
WITH_THE_CODE = BEFORE_THE_CODE + dt.timedelta(seconds=1)

PAID = d.release(ground=ReleaseGround.CLAIM_SETTLED, settled_on=dt.date(2026, 11, 19))
M3 = c.mortgage_row(
    right_id="0.3",
    mortgagees=(FUND,),
    proof=CertificateRef(number="苏(2023)江阴市不动产证明第0000077号"),
    rank_at_registration=2,
    priority_date=dt.datetime(2023, 1, 5, tzinfo=UTC),
    first_registered_at=dt.datetime(2023, 1, 5, tzinfo=UTC),
)
OF_M3 = d.statement(proof=M3.proof, mortgagee=FUND)
RELEASE_M3 = replace(PAID, proof=M3.proof, mortgagees=(FUND,), applicants=(FUND, S))
MOVE = MortgageTransfer(
    units=(c.UNIT,),
    proof=CertificateRef(number=c.PROOF),
    assignors=(A,),
    assignees=(B,),
    ground=TransferGround.CLAIM_ASSIGNMENT,
    debtor_told_on=dt.date(2026, 11, 19),
    applicants=(A, B),
)
MAXIMUM = c.mortgage_row(
    kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=90_000_000
)
FOR_T = c.mortgage_row(debtors=(T,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
IMPORTED: dict[str, Any] = {"units": (c.UNIT,), "case_number": "", "booked_at": c.NOW, "booked_by": "导入"}
NOTICE = PreNotice(
    right_id="0.5",
    **IMPORTED,
    kind=PreNoticeKind.OTHER_SALE,
    holders=(T,),
    obligors=(S,),
    amount_fen=1,
    proof=CertificateRef(number="苏(2023)江阴市不动产证明第0000088号"),
)
LOAN_NOTICE = replace(NOTICE, kind=PreNoticeKind.OTHER_MORTGAGE, holders=(FUND,), obligors=(Y,))


def ask(
    play: Play, *steps: Any, mode: str, bound: tuple[Party, ...] = (), applicant: Party = B, **terms: Any
) -> Decision:
    """What is answered to a first phase."""
    manifest = play.manifest(*steps, mode=mode, applicant=applicant, **{**DEAL, **terms})
    return play.answered(manifest, bound=bound)


def combined(play: Play, *changed: Any, bound: tuple[Party, ...] = (A,), **terms: Any) -> Decision:
    """Sale, release, new mortgage, or other steps."""
    return ask(
        play,
        *(changed or (d.transfer(), PAID, d.new_mortgage())),
        mode="ET_COMBINED",
        bound=bound,
        **terms,
    )


def segmented(play: Play, *changed: Any, **terms: Any) -> Decision:
    """Sale and new mortgage, the old one stays for now."""
    return ask(play, *(changed or (d.transfer(), d.new_mortgage())), mode="ET_SEGMENTED", **terms)


def rewritten(
    *rights: Any,
    items: tuple[ChangeItem, ...] = (),
    also: dict[str, Any] | None = None,
    bank: Party = A,
    moved: Any = None,
    **content: Any,
) -> Decision:
    """ET_CHANGE: the old mortgage becomes the buyer's; `moved` to another bank before."""
    play = played(*rights)
    step = replace(change_old(play, bank, items, **content), **(also or {}))
    steps = (d.transfer(), moved, step) if moved else (d.transfer(), step)
    return ask(play, *steps, mode="ET_CHANGE", bound=(A,), applicant=bank)


def later(*rights: Any, mode: str = "ET_SEGMENTED", step: Callable[[Play], Any] = release_old) -> Decision:
    """Phase 2 of a segmented sale, once phase 1 is booked and `rights` have come to the unit."""
    play = played()
    play.book(play.manifest(d.transfer(), d.new_mortgage(), mode=mode, **DEAL))
    [case] = play.rows
    if rights:
        state = play.state()
        units = {c.UNIT: UnitState(unit=state.unit, rights=(*state.rights, *rights))}
        play.world = replace(play.world, units=units)
    made = step(play)
    [first, *_] = made.mortgagees
    return play.answered(play.manifest(made, mode=mode, phase=2, case=case, applicant=first))


def resold() -> Decision:
    """The buyer sells on before the first seller's loan is paid off."""
    play = played()
    play.book(play.manifest(d.transfer(), d.new_mortgage(), mode="ET_SEGMENTED", **DEAL))
    sale = d.transfer(sellers=(Y,), buyers=(Owner(person=T),), titles=(play.title(),), applicants=(Y, T))
    new = d.new_mortgage(mortgagors=(T,), debtors=(T,), applicants=(T, B), titles=())
    return segmented(play, sale, new)


def brothers(*selling: Party) -> Decision:
    """Three own by thirds; these sell the whole."""
    state = c.unit_state(c.mortgage_row())
    owner = state.rights[0]
    assert isinstance(owner, Ownership)
    third = Share(numerator=1, denominator=3)
    held = tuple(Owner(person=p, share=third) for p in (S, c.SPOUSE, T))
    owner = replace(owner, owners=held, co_ownership=CoOwnership.BY_SHARES)
    play = Play(world(UnitState(unit=state.unit, rights=(owner, *state.rights[1:]))))
    return combined(play, d.transfer(sellers=selling, applicants=(*selling, Y)), PAID, d.new_mortgage())


def over_two_units(whole: bool = False) -> Play:
    """A's mortgage lies on flat and parking space; the case names the flat, or both."""
    wide = c.mortgage_row(units=(c.UNIT, PARKING))
    flat = c.unit_state(wide)
    title = CertificateRef(number="苏(2020)江阴市不动产权第0000003号")
    own = replace(flat.rights[0], right_id="0.9", units=(PARKING,), title=title)
    other = UnitState(unit=replace(flat.unit, unit_code=PARKING), rights=(own, wide))
    play = Play(world(flat, other) if whole else world(flat))
    if not whole:
        play.world = replace(play.world, related={PARKING: other})
    return play


def changed_for_both() -> Decision:
    """The buyer of the flat alone would stand as mortgagor of the parking space too."""
    play = over_two_units(whole=True)
    step = change_old(play)
    step = replace(step, units=(c.UNIT, PARKING), content=replace(step.content, units=(c.UNIT, PARKING)))
    return ask(play, d.transfer(), step, mode="ET_CHANGE", applicant=A)


def renamed(mortgagees: tuple[Party, ...] = (FORMER_A,), **changes: Any) -> Play:
    """The register still has A under the code that it had before."""
    play = played(c.mortgage_row(mortgagees=mortgagees, **changes))
    known = dict(play.world.institutions)
    known[A.id_number] = replace(
        known[A.id_number], uscc_aliases=(FORMER_A.id_number,), names=(A.name, FORMER_A.name)
    )
    play.world = replace(play.world, institutions=known)
    return play


def behind_another() -> Play:
    """An earlier case of the same parties is open."""
    play = played()
    earlier = OpenCase(application_id="018f0000-0000-7000-8000-00000000cafe", accepted_index=1)
    play.world = replace(play.world, open_cases={c.UNIT: (earlier,)})
    return play


def plan(*legs: tuple[Party, int, FundsPurpose]) -> FundsPlan:
    """Who gets how much of the new loan."""
    return FundsPlan(
        legs=tuple(
            FundsLeg(
                payer=B,
                payee=payee,
                amount_fen=fen,
                trigger=FundsTrigger.ON_BOOKING,
                purpose=purpose,
                account=Account(holder_name=payee.name, number="62220001"),
            )
            for payee, fen, purpose in legs
        )
    )


def seized(target: Party, served: dt.datetime) -> Seizure:
    """A court's, of the whole unit."""
    return Seizure(
        right_id="0.6",
        **IMPORTED,
        kind=SeizureKind.SEIZURE,
        target=target,
        extent="全部",
        authority="某法院",
        instrument_no="(2026)执1号",
        served_at=served,
        until=dt.date(2029, 1, 1),
    )


def old_of(first: dt.datetime, restriction: TransferRestriction) -> Play:
    """A's mortgage, first registered then, with this word on transfer."""
    return played(
        c.mortgage_row(first_registered_at=first, priority_date=first, transfer_restriction=restriction)
    )


Found = set[tuple[str, str]]
CONFLICT = ("N-BARRED", "R-CONFLICT")
MISMATCH = ("C-MISMATCH", "R-CONFLICT")
NO_OWNER = ("N-NOT_APPLICANT", "R-CONFLICT")
PRE_CODE = ("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE")
JOINS = ("N-NOT_APPLICANT", "R-RESTRICTION")
HOLDER = ("N-INCOMPLETE", "R-PRE_NOTICE")
NONE, RESTRICTED, UNRECORDED = TransferRestriction
WARD = replace(Y, capacity=Capacity.LIMITED, guardian=T)

#: What is filed; what bars it; what a registrar is told to look at; what it waits for.
CASES: dict[str, tuple[Callable[[], Decision], Found, set[str], set[str]]] = {
    # -- who sells, who buys
    "three brothers sell the whole together": (lambda: brothers(S, c.SPOUSE, T), set(), set(), set()),
    "two of three brothers sell the whole (CC 301, REAL 38(4))": (
        lambda: brothers(S, c.SPOUSE),
        set(),
        {"BLOCKS_CO_OWNED_BY_SHARES"},
        set(),
    ),
    "one of three brothers sells the whole": (
        lambda: brothers(S),
        {("N-BARRED", "R-CO_OWNER")},
        set(),
        set(),
    ),
    "the seller buys from himself (CC 595)": (
        lambda: combined(
            played(),
            d.transfer(buyers=(Owner(person=S),), applicants=(S,)),
            PAID,
            d.new_mortgage(mortgagors=(S,), debtors=(S,), applicants=(S, B)),
        ),
        {CONFLICT},
        set(),
        set(),
    ),
    "a spouse whom the register does not know is not asked (CC 216)": (
        lambda: combined(played()),
        set(),
        set(),
        set(),
    ),
    "sold twice in one case": (
        lambda: combined(
            played(),
            d.transfer(),
            d.transfer(sellers=(Y,), buyers=(Owner(person=T),), applicants=(Y, T)),
            PAID,
            d.new_mortgage(),
        ),
        {MISMATCH, NO_OWNER, ("N-NOT_APPLICANT", "R-CO_OWNER")},
        set(),
        set(),
    ),
    "the buyer is a ward: its guardian acts (RD 11)": (
        lambda: combined(
            played(),
            d.transfer(buyers=(Owner(person=WARD),), applicants=(S, WARD)),
            PAID,
            d.new_mortgage(mortgagors=(WARD,), debtors=(WARD,), applicants=(WARD, B)),
        ),
        {("N-INCOMPLETE", ""), ("N-INCOMPLETE", "R-GUARDIAN")},
        {"WARD_OWNER"},
        set(),
    ),
    # -- the new loan
    "the new mortgage is larger than the price (CC 213: no valuation)": (
        lambda: combined(played(), d.transfer(), PAID, d.new_mortgage(claim_amount_fen=2 * d.PRICE_FEN)),
        set(),
        set(),
        set(),
    ),
    "the new mortgage is in another currency (S14)": (
        lambda: combined(played(), d.transfer(), PAID, d.new_mortgage(currency="USD")),
        set(),
        set(),
        set(),
    ),
    "the seller mortgages what he has just sold": (
        lambda: segmented(
            played(),
            d.transfer(),
            d.new_mortgage(mortgagors=(S,), debtors=(S,), applicants=(S, B)),
        ),
        {NO_OWNER, ("N-NOT_APPLICANT", "R-CO_OWNER")},
        set(),
        set(),
    ),
    "three new mortgages, of the old bank too": (
        lambda: segmented(
            played(),
            d.transfer(),
            d.new_mortgage(),
            d.new_mortgage(mortgagees=(FUND,), applicants=(Y, FUND)),
            d.new_mortgage(mortgagees=(A,), applicants=(Y, A)),
            bound=(A, FUND),
        ),
        set(),
        set(),
        set(),
    ),
    # -- the old loans
    "two old mortgages of two banks, both end": (
        lambda: combined(
            played(c.mortgage_row(), M3),
            d.transfer(),
            PAID,
            RELEASE_M3,
            d.new_mortgage(),
            bound=(A, FUND),
            payoff_statements=(d.statement(), OF_M3),
        ),
        set(),
        set(),
        set(),
    ),
    "two old mortgages, one of which nobody speaks of": (
        lambda: combined(played(c.mortgage_row(), M3)),
        set(),
        {"ALL_MORTGAGES_IN_DEAL"},
        set(),
    ),
    "the price pays each old loan, not both (S12)": (
        lambda: combined(
            played(c.mortgage_row(), M3),
            d.transfer(),
            PAID,
            RELEASE_M3,
            d.new_mortgage(),
            bound=(A, FUND),
            payoff_statements=(d.statement(balance_fen=d.PRICE_FEN - 1), OF_M3),
        ),
        {("N-BARRED", "R-PRICE_BELOW_BALANCE")},
        set(),
        set(),
    ),
    "one of two old loans is overdue (N29)": (
        lambda: combined(
            played(c.mortgage_row(), M3),
            d.transfer(),
            PAID,
            RELEASE_M3,
            d.new_mortgage(),
            bound=(A, FUND),
            payoff_statements=(d.statement(), replace(OF_M3, overdue=True)),
        ),
        {("N-BARRED", "R-OVERDUE")},
        set(),
        set(),
    ),
    "the old lender is a private person (N29 is about banks)": (
        lambda: combined(
            played(c.mortgage_row(mortgagees=(T,))),
            d.transfer(),
            replace(PAID, mortgagees=(T,), applicants=(T, S)),
            d.new_mortgage(),
            bound=(T,),
            payoff_statements=(d.statement(mortgagee=T),),
        ),
        set(),
        {"OLD_LOAN_OF_A_BANK"},
        set(),
    ),
    "the same old loan is stated twice": (
        lambda: combined(played(), payoff_statements=(d.statement(), d.statement(balance_fen=1))),
        {("C-MISMATCH", "")},
        set(),
        set(),
    ),
    "the old loan is stated as of a day to come": (
        lambda: combined(played(), payoff_statements=(d.statement(as_of=dt.date(2027, 1, 1)),)),
        {("C-MISMATCH", "")},
        set(),
        set(),
    ),
    "the same mortgage is released twice": (
        lambda: combined(played(), d.transfer(), PAID, PAID, d.new_mortgage()),
        {CONFLICT},
        set(),
        set(),
    ),
    "the old bank acts under its present code, the register has the former (3.1)": (
        lambda: combined(renamed()),
        set(),
        set(),
        set(),
    ),
    "a flat with no mortgage has nothing to combine": (
        lambda: combined(Play(world(c.unit_state())), d.transfer(), d.new_mortgage(), payoff_statements=()),
        {("N-INCOMPLETE", "")},
        set(),
        set(),
    ),
    # -- the restriction (SIG 43; N54; handbook 3.1)
    "of the last second of 2020, transfer free": (
        lambda: segmented(old_of(BEFORE_THE_CODE, NONE)),
        {PRE_CODE},
        set(),
        set(),
    ),
    "of the last second of 2020, prohibition registered": (
        lambda: segmented(old_of(BEFORE_THE_CODE, RESTRICTED)),
        {PRE_CODE, JOINS},
        set(),
        set(),
    ),
    "of the last second of 2020, no word": (
        lambda: segmented(old_of(BEFORE_THE_CODE, UNRECORDED)),
        {PRE_CODE},
        set(),
        set(),
    ),
    "of the Code's first second, transfer free": (
        lambda: segmented(old_of(WITH_THE_CODE, NONE)),
        set(),
        set(),
        set(),
    ),
    "agreed prohibition registered: the tripartite agreement is no joint application": (
        lambda: segmented(old_of(WITH_THE_CODE, RESTRICTED)),
        {JOINS},
        set(),
        set(),
    ),
    "agreed prohibition not registered: nobody reads silence as freedom": (
        lambda: segmented(old_of(WITH_THE_CODE, UNRECORDED)),
        set(),
        {"BLOCKS_MORTGAGE_UNRECORDED"},
        set(),
    ),
    # -- ET_CHANGE
    "the change leaves the seller as mortgagor of the buyer's flat": (
        lambda: rewritten(
            items=(ChangeItem.AMOUNT,),
            also={"items": (ChangeItem.AMOUNT,), "applicants": (S, A)},
            mortgagors=(S,),
            debtors=(S,),
            claim_amount_fen=d.CLAIM_FEN,
        ),
        {MISMATCH},
        set(),
        set(),
    ),
    "the debt becomes the buyer's, the seller stays mortgagor": (
        lambda: rewritten(
            items=(),
            also={"items": (ChangeItem.DEBTOR,), "applicants": (S, Y, A)},
            mortgagors=(S,),
            mortgagor_relation=MortgagorRelation.THIRD_PARTY,
        ),
        {MISMATCH},
        set(),
        set(),
    ),
    "one mortgage moves to the new bank, another is changed": (
        lambda: ask(
            (play := played(c.mortgage_row(), M3)),
            d.transfer(),
            MOVE,
            replace(
                change_old(play),
                proof=M3.proof,
                content=replace(change_old(play).content, mortgagees=(FUND,)),
                applicants=(S, Y, FUND),
            ),
            mode="ET_CHANGE",
            bound=(A, FUND),
            payoff_statements=(d.statement(), OF_M3),
        ),
        {MISMATCH},
        set(),
        set(),
    ),
    "the claim goes into another currency before a second mortgagee (CC 409)": (
        lambda: rewritten(c.mortgage_row(), M3, items=(ChangeItem.AMOUNT,), currency="USD"),
        {("N-INCOMPLETE", "R-OTHER_MORTGAGEE")},
        {"ALL_MORTGAGES_IN_DEAL"},
        set(),
    ),
    "the currency differs and nobody says so": (
        lambda: rewritten(currency="USD"),
        {MISMATCH},
        set(),
        set(),
    ),
    "a maximum-amount mortgage moves with its whole claim (CC 421)": (
        lambda: rewritten(
            MAXIMUM,
            bank=B,
            moved=MOVE,
            kind=MortgageKind.MAXIMUM_AMOUNT,
            claim_amount_fen=None,
            max_claim_amount_fen=90_000_000,
        ),
        set(),
        set(),
        set(),
    ),
    "a part of an unfixed claim moves, and nobody agreed that the mortgage follows": (
        lambda: rewritten(
            MAXIMUM,
            bank=B,
            moved=replace(MOVE, assigned_fen=1_000_000),
            kind=MortgageKind.MAXIMUM_AMOUNT,
            claim_amount_fen=None,
            max_claim_amount_fen=90_000_000,
            mortgagees=(A, B),
        ),
        {("N-INCOMPLETE", "R-MAX_NOT_FIXED")},
        set(),
        set(),
    ),
    "the flat secured another's debt, which goes to the buyer (CC 391)": (
        lambda: rewritten(FOR_T),
        set(),
        {"SECURER_AGREES"},
        set(),
    ),
    # -- several units
    "the old mortgage lies on the parking space too, and is released whole": (
        lambda: combined(over_two_units()),
        {("N-INCOMPLETE", "R-CONFLICT")},
        set(),
        set(),
    ),
    "the old mortgage leaves the flat and stays on the parking space": (
        lambda: combined(over_two_units(), d.transfer(), replace(PAID, partial=True), d.new_mortgage()),
        set(),
        {"WHOLE_RELEASE"},
        set(),
    ),
    "the buyer of the flat would mortgage the seller's parking space": (
        changed_for_both,
        {NO_OWNER},
        set(),
        set(),
    ),
    # -- others' rights
    "noted for another buyer (CC 221)": (
        lambda: segmented(played(c.mortgage_row(), NOTICE)),
        {HOLDER},
        set(),
        set(),
    ),
    "noted for this buyer, who buys without converting": (
        lambda: segmented(played(c.mortgage_row(), replace(NOTICE, holders=(Y,)))),
        set(),
        set(),
        set(),
    ),
    "the buyer is mortgagor of an earlier pre-notice of another lender": (
        lambda: segmented(played(c.mortgage_row(), LOAN_NOTICE)),
        {HOLDER},
        set(),
        set(),
    ),
    "a dissent, and nobody accepts its risk (RD 84)": (
        lambda: segmented(
            played(c.mortgage_row(), Dissent(right_id="0.8", **IMPORTED, applicant=T, matter="权属"))
        ),
        {("C-DISSENT", "")},
        set(),
        set(),
    ),
    "a right of habitation goes on (CC 366)": (
        lambda: segmented(played(c.mortgage_row(), Habitation(right_id="0.7", **IMPORTED, holder=T))),
        set(),
        set(),
        set(),
    ),
    "the seller is seized": (
        lambda: segmented(played(c.mortgage_row(), seized(S, c.NOW - dt.timedelta(days=1)))),
        {("N-BARRED", "R-SEIZED")},
        set(),
        set(),
    ),
    "the same parties have an earlier case": (
        lambda: combined(behind_another()),
        set(),
        {"NO_OTHER_CASE"},
        {"S-QUEUE"},
    ),
    # -- the money
    "the payoff goes to the seller's own account": (
        lambda: combined(played(), funds_plan=plan((S, d.BALANCE_FEN, FundsPurpose.PAYOFF))),
        {("C-MISMATCH", "")},
        set(),
        set(),
    ),
    "one old bank gets the payoff of both": (
        lambda: combined(
            played(c.mortgage_row(), M3),
            d.transfer(),
            PAID,
            RELEASE_M3,
            d.new_mortgage(),
            bound=(A, FUND),
            payoff_statements=(d.statement(), OF_M3),
            funds_plan=plan((A, 2 * d.BALANCE_FEN, FundsPurpose.PAYOFF)),
        ),
        {("C-MISMATCH", "")},
        set(),
        set(),
    ),
    # -- after the first phase
    "the new lender releases its own mortgage as the old one": (
        lambda: later(
            step=lambda play: d.release(
                proof=play.proof(B), mortgagees=(B,), ground=ReleaseGround.CLAIM_SETTLED, applicants=(B,)
            )
        ),
        {MISMATCH},
        set(),
        set(),
    ),
    "the old mortgage is to end before it is paid (CC 393)": (
        lambda: later(step=lambda play: d.release(proof=play.proof(A), applicants=(A,))),
        {CONFLICT},
        {"OWN_WORD"},
        set(),
    ),
    "the former seller is seized after the sale: the release goes on (EX 23)": (
        lambda: later(seized(S, c.NOW + dt.timedelta(hours=1))),
        set(),
        set(),
        set(),
    ),
    "the buyer resells while the first seller's loan is unpaid": (
        resold,
        set(),
        {"ALL_MORTGAGES_IN_DEAL"},
        set(),
    ),
}

#: What every sale under a mortgage is told: a person decides it, and its new mortgage is not on a bare unit.
_ROUTINE = (
    "PERSON_",
    "OPERATION_",
    "UNENCUMBERED",
    "SOLE_OWNER",
    "NO_AGREED_RANK",
    "ONE_UNIT",
    "FULL_CAPACITY",
)


@pytest.mark.parametrize("name", CASES)
def test_odd_sale_comes_to_what_the_articles_say(name: str) -> None:
    """Each row of the table."""
    filed, bars, looked_at, waits = CASES[name]
    found = filed().outcome.findings
    assert {(f.code, f.rule) for f in found if f.severity is Severity.BLOCKS} == bars
    referred = {f.rule for f in found if f.severity is Severity.REFERS}
    assert {rule for rule in referred if not rule.startswith(_ROUTINE)} == looked_at
    assert {f.code for f in found if f.severity is Severity.WAITS} == waits
    awaited = {f.article for f in found if f.severity is Severity.AWAITS}
    assert awaited == ({"CC 23; RD 11"} if "ward" in name else set())  # its guardian, who has not signed


# -- one institution under two codes (handbook 3.1) ----------------------------------------------------------------


def sealed_by(papers: dict[str, Paper], party: Party, number: str) -> dict[str, Paper]:
    """The same papers with another number in this party's seal."""
    return {
        code: replace(
            paper,
            signatures=tuple(
                replace(s, number=number) if s.number == party.id_number else s for s in paper.signatures
            ),
        )
        for code, paper in papers.items()
    }


@pytest.mark.parametrize("assignor", [A, FORMER_A], ids=["present code", "former code"])
@pytest.mark.parametrize("seal", [A, FORMER_A], ids=["present seal", "former seal"])
def test_renamed_bank_assigns_its_mortgage(assignor: Party, seal: Party) -> None:
    """RD 69: the alias table makes one mortgagee of both codes, in the terms, on the papers and in the register."""
    play = renamed()
    moved = replace(MOVE, assignors=(assignor,), applicants=(assignor, B))
    steps = (d.transfer(), moved, change_old(played(), B))
    deal = {**DEAL, "payoff_statements": (d.statement(mortgagee=assignor),)}
    manifest = play.manifest(*steps, mode="ET_CHANGE", **deal)
    papers = sealed_by(complete(play.world, manifest, bound=(assignor,)), assignor, seal.id_number)
    play.book(manifest, papers=papers)
    assert play.mortgages() == [(B.name, 1, 1)]


def test_renamed_bank_moves_nothing_to_itself() -> None:
    """RD 69: an assignment from the one code to the other of the same bank has no assignee."""
    play = renamed()
    moved = replace(MOVE, assignors=(FORMER_A,), assignees=(A,), applicants=(FORMER_A, A))
    steps = (d.transfer(), moved, change_old(played(), A))
    found = ask(play, *steps, mode="ET_CHANGE", bound=(A, FORMER_A)).outcome.findings
    assert [f for f in found if f.field.endswith(".assignees") and f.code == "C-MISMATCH"]


@pytest.mark.parametrize("named", [A, FORMER_A], ids=["present code", "former code"])
def test_renamed_bank_joins_the_sale_that_its_restriction_is_about(named: Party) -> None:
    """SIG 43; CC 406: the mortgagee of record applies too, under whichever code the terms name it; first awaited."""
    play = renamed(transfer_restriction=RESTRICTED)
    steps = (d.transfer(applicants=(S, Y, named)), d.new_mortgage())
    awaiting = ask(play, *steps, mode="ET_SEGMENTED").outcome
    assert not [f for f in awaiting.findings if f.severity is Severity.BLOCKS]
    assert named.name in [a.name for a in awaiting.awaiting]
    joined = ask(play, *steps, mode="ET_SEGMENTED", bound=(A,)).outcome
    assert joined.result is Result.ACCEPTED


def test_bank_that_is_not_named_has_not_joined() -> None:
    """The alias table takes nobody's act for granted whom the terms do not name."""
    found = segmented(renamed(transfer_restriction=RESTRICTED)).outcome.findings
    assert JOINS in {(f.code, f.rule) for f in found if f.severity is Severity.BLOCKS}


def test_renamed_bank_that_takes_another_part_stands_in_the_mortgage_once() -> None:
    """CC 547: the fund centre assigns a part to A, who is beside it already, under its former code."""
    play = renamed(mortgagees=(FORMER_A, FUND))
    moved = replace(MOVE, assignors=(FUND,), assignees=(A,), applicants=(FUND, A), assigned_fen=1_000_000)
    changed = change_old(played(), A, mortgagees=(FUND, A))
    steps = (d.transfer(), moved, replace(changed, applicants=(S, Y, FUND, A)))
    play.book(play.manifest(*steps, mode="ET_CHANGE", applicant=A, **DEAL), bound=(A, FUND))
    assert play.mortgages() == [(f"{FUND.name}、{A.name}", 1, 1)]


@pytest.mark.parametrize("named", [A, FORMER_A], ids=["present code", "former code"])
def test_renamed_bank_joins_a_sale_noted_in_advance(named: Party) -> None:
    """HH; N54: named as an applicant of the pre-notice, the mortgagee of record is awaited as one, then heard."""
    play = renamed(transfer_restriction=RESTRICTED)
    step = d.sale_notice(applicants=(S, Y, named))
    manifest = play.manifest(step, kind=Kind.PRE_NOTICE, sale_contracts=(d.contract(),))
    awaiting = play.answered(manifest).outcome
    assert named.name in [a.name for a in awaiting.awaiting], awaiting.findings
    found = play.answered(manifest, bound=(A,)).outcome
    assert found.result is Result.ACCEPTED, found.findings


@pytest.mark.parametrize("named", [A, FORMER_A], ids=["present code", "former code"])
def test_renamed_bank_consents_to_the_sale(named: Party) -> None:
    """N54: a mortgage of before the Code whose bank the terms name as consenting, under either code."""
    play = renamed(first_registered_at=BEFORE_THE_CODE, priority_date=BEFORE_THE_CODE)
    steps = (d.transfer(consenters=(named,)), d.new_mortgage())
    found = ask(play, *steps, mode="ET_SEGMENTED").outcome
    assert [a.name for a in found.awaiting] == [named.name]
    assert not [f for f in found.findings if f.severity is Severity.BLOCKS]
