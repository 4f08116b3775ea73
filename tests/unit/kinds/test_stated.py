"""What parties state beside the operations has an effect, or is refused: location, declarations, note, certificates."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.model import Paper, Result, State, World
from gateway.cases.stated import Declaration, DeclarationKind, StatedUnit
from gateway.cases.terms import IdentityCheck
from gateway.register.findings import Severity
from gateway.register.model import (
    Capacity,
    Dissent,
    Habitation,
    IdKind,
    Mortgage,
    Party,
    TransferRestriction,
)
from tests.support import cases as c
from tests.support import deals as d

RECORDED = c.unit_state().unit.location
GUARDIAN = c.SPOUSE
WARD = Party(name="张小", id_kind=IdKind.RESIDENT_ID, id_number="99999920150307123X", guardian=GUARDIAN)
DISSENT = Dissent(
    right_id="0.8",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="导入",
    applicant=c.SPOUSE,
    matter="权属",
)
HABITATION = Habitation(
    right_id="0.7", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="导入", holder=c.SPOUSE
)


def declared(kind: DeclarationKind, *parties: Party) -> tuple[Declaration, ...]:
    """A declaration of each of these."""
    return tuple(Declaration(party=party, kind=kind) for party in parties)


def mortgage(papers: dict[str, Paper] | None = None, **terms: Any) -> c.Submission:
    """A complete mortgage whose terms state something more."""
    return c.submission(c.mortgage_first(), c.mortgage_papers() | (papers or {}), **terms)


# -- location ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", ["", RECORDED, f" {RECORDED} ", "江阴市示例路１号１０１室"])
def test_location_of_record_in_whatever_width_passes(stated: str) -> None:
    """Compared after NFKC and without spaces; left out, the register's counts."""
    what = mortgage(stated_units=(StatedUnit(unit_code=c.UNIT, location=stated),))
    assert c.decide(c.world(c.unit_state()), what).outcome.result is Result.BOOKED


def test_other_location_is_a_finding_and_never_a_correction() -> None:
    """C-MISMATCH with R-CONFLICT at the unit's place in the terms."""
    what = mortgage(stated_units=(StatedUnit(unit_code=c.UNIT, location="江阴市示例路2号"),))
    decision = c.decide(c.world(c.unit_state()), what)
    assert decision.outcome.result is Result.NOT_ACCEPTED
    [found] = [f for f in decision.outcome.findings if f.severity is Severity.BLOCKS]
    assert (found.code, found.rule, found.field) == ("C-MISMATCH", "R-CONFLICT", "terms.units[0].location")


# -- note and certificates -----------------------------------------------------------------------------------------


def test_note_goes_to_a_person_and_stands_on_row_and_certificate() -> None:
    """No rule reads free text; what the registrar approves is on the register row and in the 附记."""
    here, what = c.world(c.unit_state()), mortgage(note="本抵押包含固定装修")
    accepted = c.decide(here, what)
    assert accepted.outcome.state is State.ACCEPTED
    assert "terms.note" in {f.field for f in accepted.outcome.findings}
    booked = d.submitted_and_approved(here, what)
    [right] = d.rights_of(booked)
    [content] = booked.contents
    assert (right.note, content.note) == ("本抵押包含固定装修",) * 2


def test_without_a_note_nothing_is_added() -> None:
    """The usual case."""
    decision = c.decide(c.world(c.unit_state()), mortgage())
    assert (d.rights_of(decision)[0].note, decision.contents[0].note) == ("", "")


def test_certificates_that_nobody_holds_separately_are_told() -> None:
    """Never dropped silently: a mortgage books no co-owners (test_share_sale.py has what it does for them)."""
    found = c.decide(c.world(c.unit_state()), mortgage(separate_certificates=True)).outcome.findings
    assert ("C-CORRECT_ON_THE_SPOT", "terms.separate_certificates") in {(f.code, f.field) for f in found}


def test_failed_identity_check_goes_to_a_person() -> None:
    """No rule decides for somebody who may be another (IR 16)."""
    check = IdentityCheck(
        person_id_number=c.OWNER.id_number, method="FACE_MATCH", provider="x", passed=False, checked_at=c.NOW
    )
    here = c.world(c.unit_state())
    assert c.decide(here, mortgage(identity_checks=(check,))).outcome.state is State.ACCEPTED
    passed = replace(check, passed=True)
    assert c.decide(here, mortgage(identity_checks=(passed,))).outcome.result is Result.BOOKED


# -- declarations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signers", "by_terms", "accepted"),
    [
        ((c.OWNER, c.BANK), (), True),
        ((c.OWNER,), (), False),
        ((c.OWNER,), (c.BANK,), True),
        ((), (c.OWNER, c.BANK), True),
        (None, (c.OWNER, c.BANK), False),
    ],
    ids=["all-signed", "bank-did-not", "bank-declares", "all-declare", "no-paper"],
)
def test_dissent_wants_the_paper_and_the_word_of_every_applicant(
    signers: tuple[Party, ...] | None, by_terms: tuple[Party, ...], accepted: bool
) -> None:
    """RD 84: the declaration goes with the paper RISK_STATEMENT; either binds an applicant, the paper must be there."""
    papers = {} if signers is None else {"RISK_STATEMENT": c.paper("RISK_STATEMENT", *signers)}
    what = mortgage(papers, declarations=declared(DeclarationKind.DISSENT_RISK, *by_terms))
    decision = c.decide(c.world(c.unit_state(DISSENT)), what)
    assert (decision.outcome.state is State.ACCEPTED) is accepted
    assert ("C-DISSENT" in {f.code for f in decision.outcome.findings}) is not accepted


def test_dissent_is_not_answered_by_a_paper_that_is_not_there() -> None:
    """A digest that nobody uploaded is no statement."""
    statement = c.paper("RISK_STATEMENT", c.OWNER, c.BANK, found=False)
    decision = c.decide(c.world(c.unit_state(DISSENT)), mortgage({"RISK_STATEMENT": statement}))
    assert "C-DISSENT" in {f.code for f in decision.outcome.findings}


@pytest.mark.parametrize("knows", [False, True])
def test_bank_that_knows_of_the_habitation_is_not_warned(knows: bool) -> None:
    """W-HABITATION is for the bank (CC 366-370); who declares that it knows need not be told."""
    declarations = declared(DeclarationKind.HABITATION_KNOWN, c.BANK) if knows else ()
    decision = c.decide(c.world(c.unit_state(HABITATION)), mortgage(declarations=declarations))
    assert ("W-HABITATION" in {f.code for f in decision.outcome.findings}) is not knows


@pytest.mark.parametrize("told", [False, True])
def test_seller_who_told_the_mortgagee_is_not_reminded(told: bool) -> None:
    """CC 406: notice is the seller's duty, and the seller's word for it is in the terms."""
    declarations = declared(DeclarationKind.MORTGAGEE_TOLD, d.SELLER) if told else ()
    decision = c.decide(d.world(), d.submission(declarations=declarations))
    assert ("W-NOTIFY_MORTGAGEE" in {f.code for f in decision.outcome.findings}) is not told


# -- wards ---------------------------------------------------------------------------------------------------------


def wards_case(*, statement: bool = True, joins: bool = True, declares: bool = False) -> c.Submission:
    """A ward's flat is mortgaged: the ward signs, and the guardian or not."""
    signers = (WARD, GUARDIAN) if joins else (WARD,)
    papers = c.mortgage_papers(WARD) | {"APPLICATION": c.paper("APPLICATION", *signers, bound=True)}
    if statement:
        papers["GUARDIAN"] = c.paper("GUARDIAN", *(() if declares else (GUARDIAN,)))
    operation = c.mortgage_first(mortgagors=(WARD,), debtors=(WARD,))
    declarations = declared(DeclarationKind.WARD_BENEFIT, GUARDIAN) if declares else ()
    return c.submission(operation, papers, declarations=declarations)


@pytest.mark.parametrize("declares", [False, True], ids=["paper-signed", "declared"])
@pytest.mark.parametrize("minors", ["REFER", "WARN"])
def test_guardian_who_applies_and_states_the_benefit_goes_to_a_person(minors: str, declares: bool) -> None:
    """RD 11: the guardian of record applies, in writing for the ward's benefit; never a rule's to decide."""
    here = c.world(c.unit_state(owners=(WARD,)), profile=replace(c.PROFILE, minors=minors))
    decision = c.decide(here, wards_case(declares=declares))
    assert decision.outcome.state is State.ACCEPTED, decision.outcome.findings


def test_guardian_who_states_no_benefit_is_told() -> None:
    """R-GUARDIAN as the rule of what is missing."""
    decision = c.decide(c.world(c.unit_state(owners=(WARD,))), wards_case(statement=False))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert "R-GUARDIAN" in {f.rule for f in decision.outcome.findings}


def child_buys(world: World, buyer: Party = WARD, *, without: str = "", signs: Party = GUARDIAN) -> Decision:
    """A sale pre-notice for a child of eleven, that the child's bank files: whoever `signs` for the child."""
    step = d.sale_notice(holders=(buyer,), applicants=(d.SELLER, buyer))
    papers = [
        c.paper(code, d.SELLER, signs, bound=code in ("APPLICATION", "INQUIRY_RECORD"))
        for code in ("APPLICATION", "INQUIRY_RECORD", "SALE_CONTRACT", "REMOTE_IDENTITY", "GUARDIAN")
        if code != without
    ]
    return c.decide(world, d.notices((step,), {paper.reference.paper_code: paper for paper in papers}))


def test_guardian_applies_for_a_child_that_buys() -> None:
    """RD 11: signed by the guardian, who proves to be one; the child itself need not; a person decides."""
    decision = child_buys(d.world(c.unit_state()))
    assert decision.outcome.result is Result.ACCEPTED, c.codes(decision)
    assert ("M-REFER", "WARD_OWNER") in c.codes(decision)


def test_child_that_buys_alone_waits_for_its_guardian() -> None:
    """Its own word makes no application (CC 19, 20): the guardian is awaited by name."""
    decision = child_buys(d.world(c.unit_state()), signs=WARD)
    assert decision.outcome.result is Result.AWAITING_PARTIES
    assert [(a.name, a.role) for a in decision.outcome.awaiting] == [(GUARDIAN.name, "guardian of buyer")]


@pytest.mark.parametrize(
    ("buyer", "without", "minors", "wanted"),
    [
        (replace(WARD, guardian=None), "", "REFER", ("N-AUTHORISATION", "R-GUARDIAN")),
        (WARD, "GUARDIAN", "REFER", ("N-INCOMPLETE", "")),
        (WARD, "", "BLOCK", ("N-BARRED", "R-GUARDIAN")),
    ],
    ids=["no-guardian-named", "no-proof-of-guardianship", "place-takes-none"],
)
def test_child_that_buys_without_what_it_takes_is_told(
    buyer: Party, without: str, minors: str, wanted: tuple[str, str]
) -> None:
    """Named, proved, and where the place takes such cases at all."""
    here = d.world(c.unit_state(), profile=replace(d.PROFILE, minors=minors))
    decision = child_buys(here, buyer, without=without)
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert wanted in c.codes(decision)


def test_guardian_who_has_not_signed_yet_is_awaited() -> None:
    """Named in the terms as every applicant is: the case awaits the guardian, whatever the ward has signed."""
    decision = c.decide(c.world(c.unit_state(owners=(WARD,))), wards_case(joins=False))
    assert decision.outcome.result is Result.AWAITING_PARTIES
    assert [a.name for a in decision.outcome.awaiting] == [GUARDIAN.name]


def test_place_that_takes_no_wards_cases_bars_them() -> None:
    """Profile `minors` BLOCK: N-BARRED with R-GUARDIAN, whatever the guardian signed."""
    here = c.world(c.unit_state(owners=(WARD,)), profile=replace(c.PROFILE, minors="BLOCK"))
    assert ("N-BARRED", "R-GUARDIAN") in c.codes(c.decide(here, wards_case()))


@pytest.mark.parametrize("recorded", [replace(WARD, guardian=None), replace(c.OWNER, guardian=None)])
def test_place_that_takes_no_wards_cases_bars_them_whoever_says_that_it_is_one(recorded: Party) -> None:
    """Profile `minors` BLOCK holds for the register's ward without a guardian, and for the terms' alone (CC 24)."""
    here = c.world(c.unit_state(owners=(recorded,)), profile=replace(c.PROFILE, minors="BLOCK"))
    incapable = replace(recorded, capacity=Capacity.LIMITED, guardian=GUARDIAN)
    papers = c.mortgage_papers(GUARDIAN) | {"GUARDIAN": c.paper("GUARDIAN", GUARDIAN)}
    what = c.submission(c.mortgage_first(mortgagors=(incapable,), debtors=(incapable,)), papers)
    assert ("N-BARRED", "R-GUARDIAN") in c.codes(c.decide(here, what))


# -- a mortgage of before 2021 that now says NONE ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stance", "expected"),
    [
        ("ALLOW", set()),
        ("WARN", {("W-NOTIFY_MORTGAGEE", "")}),
        ("REFER", {("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE")}),
        ("BLOCK", {("N-BARRED", "R-PRE_CODE_MORTGAGE")}),
    ],
)
def test_mortgage_of_2019_changed_to_none_is_what_the_place_makes_of_it(
    stance: str, expected: set[tuple[str, str]]
) -> None:
    """Handbook 3.1: still PRE_2021 by default, by profile something else (`pre_2021_changed_to_none`)."""
    old: Mortgage = c.mortgage_row(first_registered_at=c.NOW.replace(year=2019))
    here = d.world(c.unit_state(old), profile=replace(d.PROFILE, pre_2021_changed_to_none=stance))
    found = c.codes(c.decide(here, d.submission(joined=False)))
    about = {"R-PRE_CODE_MORTGAGE", "W-NOTIFY_MORTGAGEE"}
    assert {pair for pair in found if about & set(pair)} == expected


def test_mortgage_of_2019_without_a_word_is_not_the_places_to_decide() -> None:
    """The stance is about NONE; no word is still no word (golden 43)."""
    old = c.mortgage_row(
        first_registered_at=c.NOW.replace(year=2019), transfer_restriction=TransferRestriction.UNRECORDED
    )
    here = d.world(c.unit_state(old), profile=replace(d.PROFILE, pre_2021_changed_to_none="ALLOW"))
    assert ("N-INCOMPLETE", "R-PRE_CODE_MORTGAGE") in c.codes(c.decide(here, d.submission(joined=False)))
