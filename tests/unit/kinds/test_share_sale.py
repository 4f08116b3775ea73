"""One co-owner sells a share, and co-owners hold a certificate each (CC 298-306; SIP 13; RD 21; blocks.csv OWN_SHARE).

Three brothers own a flat by thirds, under A's mortgage. Each row of `CASES` is a sale and what the law makes of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateEnded
from gateway.cases.model import Paper, Result, World
from gateway.cases.terms import ChangeItem, MortgageChange
from gateway.register.findings import Severity
from gateway.register.model import (
    Capacity,
    CertificateRef,
    CoOwnership,
    IdKind,
    Mortgage,
    Owner,
    Ownership,
    Party,
    Seizure,
    SeizureKind,
    Share,
    UnitState,
)
from tests.support import cases as c
from tests.support import deals as d

ELDEST, SECOND = d.SELLER, c.SPOUSE
YOUNGEST = Party(name="赵六", id_kind=IdKind.RESIDENT_ID, id_number="999999197501010013")
WIFE = Party(name="孙七", id_kind=IdKind.RESIDENT_ID, id_number="999999197603030022")
BROTHERS = (ELDEST, SECOND, YOUNGEST)
CHILD = Party(name="赵小", id_kind=IdKind.RESIDENT_ID, id_number="99999920150307123X", guardian=WIFE)
WITH_A_CHILD = (ELDEST, SECOND, CHILD)
FRAIL = replace(ELDEST, capacity=Capacity.LIMITED, guardian=WIFE)
THIRD = Share(numerator=1, denominator=3)
HALF = Share(numerator=1, denominator=2)
SIXTH = Share(numerator=1, denominator=6)
TITLES = tuple(CertificateRef(number=f"苏(2020)江阴市不动产权第000000{n}号") for n in (1, 2, 3))
JOINT, BY_SHARES, SOLE, OTHER = CoOwnership.JOINT, CoOwnership.BY_SHARES, CoOwnership.SOLE, CoOwnership.OTHER


def flat(
    shares: Sequence[Share | None] = (THIRD,) * 3,
    form: CoOwnership = BY_SHARES,
    *rights: Any,
    people: Sequence[Party] = BROTHERS,
    separately: bool = False,
) -> UnitState:
    """The brothers' flat under A's mortgage, with one title or with three."""
    state = c.unit_state(c.mortgage_row(), *rights)
    row = state.rights[0]
    assert isinstance(row, Ownership)
    owners = tuple(Owner(person=p, share=share) for p, share in zip(people, shares, strict=True))
    further = TITLES[1:] if separately else ()
    row = replace(row, owners=owners, co_ownership=form, further_titles=further)
    return UnitState(unit=state.unit, rights=(row, *state.rights[1:]))


def sale(
    share: Share | None = THIRD,
    sellers: Sequence[Party] = (ELDEST,),
    buyers: Sequence[Owner] = (Owner(person=d.BUYER),),
    form: CoOwnership = SOLE,
    **changes: Any,
) -> Any:
    """ET_SEGMENTED's sale of a share; the sale's own applicants are sellers and buyers."""
    people = tuple(o.person for o in buyers)
    return d.transfer(
        share_sold=share,
        sellers=tuple(sellers),
        buyers=tuple(buyers),
        co_ownership=form,
        applicants=(*sellers, *people),
        **changes,
    )


def notice(*signers: Party) -> dict[str, Paper]:
    """The sellers told the others what they sell, for how much, to whom."""
    return {"CO_OWNER_NOTICE": c.paper("CO_OWNER_NOTICE", *signers)}


def filed(step: Any, papers: dict[str, Paper] | None = None, **terms: Any) -> Any:
    """The segmented case with the sale, and a new mortgage of whoever then owns two thirds or more."""
    owners = terms.pop("mortgagors", (*step.buying, *(p for p in BROTHERS if p not in step.sellers)))
    people = {p.key: p for p in (*step.sellers, *step.buying, *owners)}.values()
    signed = {
        code: c.paper(code, *people, d.A, d.B, bound=code in ("APPLICATION", "INQUIRY_RECORD"))
        for code in d.papers()
        if code != "SETTLEMENT_UNDERTAKING"
    }
    new = d.new_mortgage(mortgagors=owners, debtors=owners, applicants=(*owners, d.B), titles=())
    return d.submission(
        (step, new),
        signed | (papers or {}),
        joined=False,
        mode="ET_SEGMENTED",
        **terms,
    )


def world(state: UnitState, **changes: Any) -> World:
    """A registry that offers the segmented mode."""
    return d.world(state, modes=("ET_SEGMENTED",), **changes)


def told(decision: Any) -> set[tuple[str, str, str]]:
    """Code, rule and field of what keeps a case from acceptance."""
    blocks = [f for f in decision.outcome.findings if f.severity is Severity.BLOCKS]
    return {(f.code, f.rule, (f.file or f.field).rsplit(".", 1)[-1]) for f in blocks}


def owners_of(decision: Any) -> dict[str, Fraction | None]:
    """Who owns after the booking, with the shares."""
    [row] = [r for r in d.rights_of(decision) if isinstance(r, Ownership)]
    return {
        o.person.name: Fraction(o.share.numerator, o.share.denominator) if o.share else None
        for o in row.owners
    }


def seized(share: Share | None, target: Party) -> Seizure:
    """A court seized one brother's share, or the whole."""
    return Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="法院", kind=SeizureKind.SEIZURE,
        target=target, extent="份额", authority="某法院", instrument_no="(2026)执1号", share=share,
        served_at=c.NOW - dt.timedelta(days=9), until=dt.date(2029, 1, 1),
    )  # fmt: skip


PASSES: set[tuple[str, str, str]] = set()
UNTOLD = {("N-INCOMPLETE", "R-CO_OWNER", "CO_OWNER_NOTICE"), ("N-INCOMPLETE", "R-CO_OWNER", "units")}
NO_SHARE = {("N-BARRED", "R-CO_OWNER", "share_sold")}

#: What is sold on which flat, with which papers, and what stands in its way.
CASES: dict[str, tuple[UnitState, Any, dict[str, Paper], set[tuple[str, str, str]]]] = {
    "a third, the brothers were told": (flat(), sale(), notice(ELDEST), PASSES),
    "a third, nobody was told (CC 306)": (flat(), sale(), {}, UNTOLD),
    "the notice is not the seller's": (
        flat(),
        sale(),
        notice(SECOND),
        {("C-SIGNATURE", "", "CO_OWNER_NOTICE")},
    ),
    "both brothers consent in the terms": (
        flat(),
        sale(consenters=(SECOND, YOUNGEST)),
        notice(SECOND, YOUNGEST),
        PASSES,
    ),
    "one brother consents, the other was not told": (flat(), sale(consenters=(SECOND,)), {}, UNTOLD),
    "to a brother: nobody goes first (SIP 13)": (flat(), sale(buyers=(Owner(person=SECOND),)), {}, PASSES),
    "to a brother and a stranger: the third is told": (
        flat(),
        sale(buyers=(Owner(person=SECOND, share=HALF), Owner(person=d.BUYER, share=HALF)), form=BY_SHARES),
        {},
        UNTOLD,
    ),
    "half of his third": (flat(), sale(SIXTH), notice(ELDEST), PASSES),
    "more than his third": (flat(), sale(HALF), notice(ELDEST), NO_SHARE),
    "two brothers their two thirds": (
        flat(),
        sale(Share(numerator=2, denominator=3), (ELDEST, SECOND)),
        notice(ELDEST, SECOND),
        PASSES,
    ),
    "two brothers a part: of whom?": (
        flat(),
        sale(HALF, (ELDEST, SECOND)),
        notice(ELDEST, SECOND),
        {("C-CORRECT_ON_THE_SPOT", "", "share_sold")},
    ),
    "joint owners have no shares (CC 299)": (
        flat((None, None, None), JOINT),
        sale(),
        notice(ELDEST),
        NO_SHARE | {("N-NOT_APPLICANT", "R-CO_OWNER", "units")},
    ),
    "a sole owner takes a buyer in": (flat((None,), SOLE, people=(ELDEST,)), sale(HALF), {}, PASSES),
    "a share nobody recorded": (flat((None, HALF, HALF)), sale(), notice(ELDEST), NO_SHARE),
    "his own title is enough where each holds one": (
        flat(separately=True),
        sale(titles=(TITLES[0],)),
        notice(ELDEST),
        PASSES,
    ),
    "the whole needs every title (RD 21)": (
        flat(separately=True),
        sale(None, BROTHERS, titles=(TITLES[0],)),
        {},
        {("C-MISMATCH", "R-CONFLICT", "titles")},
    ),
    "a seized brother sells his share": (
        flat((THIRD,) * 3, BY_SHARES, seized(THIRD, ELDEST)),
        sale(),
        notice(ELDEST),
        {("N-BARRED", "R-SEIZED", "units")},
    ),
    "the whole is seized in another's name": (
        flat((THIRD,) * 3, BY_SHARES, seized(None, SECOND)),
        sale(),
        notice(ELDEST),
        {("N-BARRED", "R-SEIZED", "units")},
    ),
    "a brother who sells nothing is a child: its guardian has no say in it (CC 305)": (
        flat(people=WITH_A_CHILD),
        sale(),
        notice(ELDEST),
        PASSES,
    ),
    "the child's guardian is told by the notice as any co-owner is": (
        flat(people=WITH_A_CHILD),
        sale(),
        {},
        UNTOLD,
    ),
    "the brother who sells is a ward, and the guardian is not there": (
        flat(people=(FRAIL, SECOND, YOUNGEST)),
        sale(),
        notice(ELDEST),
        {("N-NOT_APPLICANT", "R-GUARDIAN", "units")},
    ),
    "a couple takes a share jointly with its owner": (
        flat(),
        sale(buyers=(Owner(person=SECOND), Owner(person=d.BUYER)), form=JOINT),
        notice(ELDEST),
        {("C-CORRECT_ON_THE_SPOT", "", "share_sold")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sale_of_a_share_is_what_the_law_makes_of_it(name: str) -> None:
    """Each row of the table, on the sale alone: what the new mortgage has to say is the next test's."""
    state, step, papers, expected = CASES[name]
    decision = c.decide(world(state), filed(step, papers, mortgagors=(d.BUYER,)))
    of_sale = {
        one
        for f, one in ((f, _short(f)) for f in decision.outcome.findings)
        if f.severity is Severity.BLOCKS and not f.field.startswith("terms.operations[1]")
    }
    assert of_sale == expected


def _short(f: Any) -> tuple[str, str, str]:
    return (f.code, f.rule, (f.file or f.field).rsplit(".", 1)[-1])


def test_share_of_another_under_seizure_is_a_persons() -> None:
    """The court holds one brother's third and the eldest sells his own: no cell bars it, a registrar sees (3.4)."""
    state = flat((THIRD,) * 3, BY_SHARES, seized(THIRD, SECOND))
    decision = c.decide(world(state), filed(sale(), notice(ELDEST)))
    of_sale = [f for f in decision.outcome.findings if f.field == "terms.operations[0].units"]
    assert {(f.code, f.rule) for f in of_sale if f.rule.startswith("BLOCKS_SEIZED")} == {
        ("M-REFER", "BLOCKS_SEIZED")
    }


ENDS: dict[str, tuple[UnitState, Any, dict[str, Any], CoOwnership]] = {
    "the stranger stands beside two brothers": (
        flat(),
        sale(),
        {SECOND.name: Fraction(1, 3), YOUNGEST.name: Fraction(1, 3), d.BUYER.name: Fraction(1, 3)},
        BY_SHARES,
    ),
    "he keeps a sixth": (
        flat(),
        sale(SIXTH),
        {
            ELDEST.name: Fraction(1, 6),
            SECOND.name: Fraction(1, 3),
            YOUNGEST.name: Fraction(1, 3),
            d.BUYER.name: Fraction(1, 6),
        },
        BY_SHARES,
    ),
    "a brother has two thirds": (
        flat(),
        sale(buyers=(Owner(person=SECOND),)),
        {SECOND.name: Fraction(2, 3), YOUNGEST.name: Fraction(1, 3)},
        BY_SHARES,
    ),
    "the last share makes him sole owner": (
        flat((HALF, HALF), people=(ELDEST, SECOND)),
        sale(HALF, buyers=(Owner(person=SECOND),)),
        {SECOND.name: None},
        SOLE,
    ),
    "a sole owner and his buyer hold by halves": (
        flat((None,), SOLE, people=(ELDEST,)),
        sale(HALF),
        {ELDEST.name: Fraction(1, 2), d.BUYER.name: Fraction(1, 2)},
        BY_SHARES,
    ),
    "two strangers divide a third": (
        flat(),
        sale(buyers=(Owner(person=d.BUYER, share=HALF), Owner(person=WIFE, share=HALF)), form=BY_SHARES),
        {
            SECOND.name: Fraction(1, 3),
            YOUNGEST.name: Fraction(1, 3),
            d.BUYER.name: Fraction(1, 6),
            WIFE.name: Fraction(1, 6),
        },
        BY_SHARES,
    ),
    "a couple holds its third jointly (CC 308)": (
        flat(),
        sale(buyers=(Owner(person=d.BUYER), Owner(person=WIFE)), form=JOINT),
        {SECOND.name: Fraction(1, 3), YOUNGEST.name: Fraction(1, 3), d.BUYER.name: None, WIFE.name: None},
        OTHER,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_who_owns_after_the_sale_of_a_share(name: str) -> None:
    """The seller's part goes to the buyer, nobody else's moves, and the parts make a whole (CC 298)."""
    state, step, expected, form = ENDS[name]
    remaining = tuple(p for p in (*BROTHERS, d.BUYER, WIFE) if p.name in expected)
    what = filed(step, notice(ELDEST), mortgagors=remaining)
    decision = d.submitted_and_approved(world(state), what)
    assert decision.outcome.result is Result.BOOKED, told(decision)
    assert owners_of(decision) == expected
    [row] = [r for r in d.rights_of(decision) if isinstance(r, Ownership)]
    assert row.co_ownership is form
    [new] = [r for r in d.rights_of(decision) if isinstance(r, Mortgage)]
    assert new.rank_at_registration == 2
    assert [x.kind for x in decision.outcome.certificates] == ["TITLE", "PROOF"]


def test_buyer_of_a_third_alone_mortgages_no_whole_flat() -> None:
    """Two thirds dispose (CC 301): the buyer of one third mortgages with a brother, not alone."""
    alone = c.decide(world(flat()), filed(sale(), notice(ELDEST), mortgagors=(d.BUYER,)))
    assert told(alone) == {("N-BARRED", "R-CO_OWNER", "units")}
    two = c.decide(world(flat()), filed(sale(), notice(ELDEST), mortgagors=(d.BUYER, SECOND)))
    assert not told(two)


def test_consent_for_another_reason_is_no_co_owners_consent() -> None:
    """A brother who holds a pre-notice lets the sale pass as its holder; as an owner he has not spoken (CC 301)."""
    state = flat()
    sold = sale(None, (ELDEST,), titles=(TITLES[0],))
    as_holder = {"PRE_NOTICE_HOLDER_CONSENT": c.paper("PRE_NOTICE_HOLDER_CONSENT", SECOND, YOUNGEST)}
    decision = c.decide(world(state), filed(sold, as_holder, mortgagors=(d.BUYER,)))
    assert ("N-BARRED", "R-CO_OWNER", "units") in told(decision)
    as_owners = {"CO_OWNER_CONSENT": c.paper("CO_OWNER_CONSENT", SECOND, YOUNGEST)}
    decision = c.decide(world(state), filed(sold, as_owners, mortgagors=(d.BUYER,)))
    assert not told(decision)


def test_joint_owner_who_leaves_a_mortgage_is_awaited_not_refused() -> None:
    """He applies as former mortgagor (RD 68), so joint owners act together (CC 301): the case waits for him."""
    state = c.unit_state(c.mortgage_row(mortgagors=(ELDEST, SECOND)), owners=(ELDEST, SECOND))
    content = c.mortgage_first(
        mortgagors=(ELDEST,),
        debtors=(ELDEST,),
        claim_amount_fen=50_000_000,
        term_start=dt.date(2022, 1, 1),
        term_end=dt.date(2042, 1, 1),
        secured_scope="/",
    )
    step = MortgageChange(
        units=(c.UNIT,),
        proof=CertificateRef(number=c.PROOF),
        items=(ChangeItem.MORTGAGOR,),
        content=content,
    )
    papers = {
        "APPLICATION": c.paper("APPLICATION", ELDEST, bound=True),
        "INQUIRY_RECORD": c.paper("INQUIRY_RECORD", ELDEST, bound=True),
        "CHANGE_AGREEMENT": c.paper("CHANGE_AGREEMENT", ELDEST, SECOND, c.BANK),
        "REMOTE_IDENTITY": c.paper("REMOTE_IDENTITY"),
    }
    outcome = c.decide(c.world(state), c.submission(step, papers)).outcome
    assert outcome.result is Result.AWAITING_PARTIES
    assert [a.name for a in outcome.awaiting] == [SECOND.name]


# -- a certificate each --------------------------------------------------------------------------------------------


def test_co_owners_get_a_certificate_each_that_names_them_all() -> None:
    """RD 21: on request each co-owner holds one, which says how they own together; the old title is void."""
    what = filed(sale(), notice(ELDEST), separate_certificates=True)
    here = world(flat(), certificates_by_number={c.TITLE: "title-of-s"})
    decision = d.submitted_and_approved(here, what)
    [row] = [r for r in d.rights_of(decision) if isinstance(r, Ownership)]
    titles = [x for x in decision.contents if x.kind == "TITLE"]
    assert [t.number for t in row.titles] == [t.number for t in titles]
    assert [[p.name for p in t.holders] for t in titles] == [[o.person.name] for o in row.owners]
    names = "、".join(o.person.name for o in row.owners)
    assert all(names in str(t.other) and "按份共有" in t.co_ownership for t in titles)
    assert "title-of-s" in {e.identifier for e in decision.effects if isinstance(e, CertificateEnded)}
    proof = next(x for x in decision.contents if x.kind == "PROOF")
    assert all(t.number in str(proof.other) for t in titles)


def test_owners_who_hold_separately_go_on_to_when_a_share_is_sold() -> None:
    """Nobody's certificate is merged by another's sale, and every old one is void."""
    numbers = {t.number: f"title-{n}" for n, t in enumerate(TITLES)}
    here = world(flat(separately=True), certificates_by_number=numbers)
    decision = d.submitted_and_approved(here, filed(sale(titles=(TITLES[0],)), notice(ELDEST)))
    assert [x.kind for x in decision.outcome.certificates] == ["TITLE", "TITLE", "TITLE", "PROOF"]
    ended = {e.identifier for e in decision.effects if isinstance(e, CertificateEnded)}
    assert ended == set(numbers.values())


def test_buyers_of_the_whole_may_hold_separately() -> None:
    """A couple that buys jointly asks for two certificates."""
    both = (Owner(person=d.BUYER), Owner(person=WIFE))
    step = sale(None, BROTHERS, both, JOINT)
    what = filed(step, mortgagors=(d.BUYER, WIFE), separate_certificates=True)
    decision = d.submitted_and_approved(world(flat()), what)
    assert [x.kind for x in decision.outcome.certificates] == ["TITLE", "TITLE", "PROOF"]


@pytest.mark.parametrize(("step", "people"), [(sale(None, BROTHERS), (d.BUYER,))], ids=["one-buyer"])
def test_one_owner_has_nothing_to_hold_separately(step: Any, people: tuple[Party, ...]) -> None:
    """What would have no effect is told, not dropped."""
    what = filed(step, mortgagors=people, separate_certificates=True)
    assert ("C-CORRECT_ON_THE_SPOT", "", "separate_certificates") in told(c.decide(world(flat()), what))
