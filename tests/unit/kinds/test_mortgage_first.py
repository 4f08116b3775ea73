"""MORTGAGE_FIRST as the law has it (handbook 3.4, 3.6, 11)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateNumbered, CounterMoved, EventRecorded, RightBooked
from gateway.cases.errors import EnvelopeExpired
from gateway.cases.model import OpenCase, Result, State
from gateway.cases.terms import PowerForm, PowerOfAttorney
from gateway.register.findings import Severity
from gateway.register.model import (
    Dissent,
    IdKind,
    MortgageKind,
    MortgagorRelation,
    Party,
    Seizure,
    SeizureKind,
    UnitHold,
)
from tests.support import cases as c


def test_mortgage_clean_case_is_booked_at_once() -> None:
    """Golden 1: unit free, owner applies, every paper bound: booked with rank 1 and one proof."""
    decision = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), c.mortgage_papers()))
    outcome = decision.outcome
    assert (outcome.result, outcome.state, outcome.findings) == (Result.BOOKED, State.BOOKED, ())
    [right] = [e.right for e in decision.effects if isinstance(e, RightBooked)]
    assert right.rank_at_registration == 1
    assert right.booked_by == c.RULES.officer
    assert [x.number for x in outcome.certificates] == ["苏(2026)江阴市不动产证明第0000001号"]
    [content] = decision.contents
    assert content.right_id == right.right_id
    assert outcome.case_number.startswith("20261120320281")
    assert (outcome.deadline, outcome.deadline_provisional) == (dt.date(2027, 1, 4), True)


def test_mortgage_second_on_unit_waits_for_a_person_and_keeps_first() -> None:
    """Golden 2: another mortgage is no bar, but nothing a rule may decide (handbook 1.4)."""
    state = c.unit_state(c.mortgage_row(mortgagees=(c.OTHER_BANK,)))
    decision = c.decide(c.world(state), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.result is Result.ACCEPTED
    assert decision.outcome.state is State.ACCEPTED
    assert {f.code for f in decision.outcome.findings if f.severity is Severity.REFERS} == {"M-REFER"}
    assert not any(isinstance(e, RightBooked) for e in decision.effects)


def test_mortgage_number_follows_the_counter_without_gap() -> None:
    """The number is taken inside the booking, from the county's counter of the year."""
    here = c.world(c.unit_state(), counters={"certificate/PROOF/320281/2026": 41, "case": 9})
    decision = c.decide(here, c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.certificates[0].number.endswith("第0000042号")
    moved = {e.name: e.value for e in decision.effects if isinstance(e, CounterMoved)}
    assert moved["certificate/PROOF/320281/2026"] == 42
    assert moved["case"] == 10


def test_mortgage_bank_is_told_with_the_next_sequence() -> None:
    """Each institution's events are numbered without gaps in the commit that caused them."""
    here = c.world(c.unit_state(), counters={f"event/{c.BANK_USCC}": 5})
    decision = c.decide(here, c.submission(c.mortgage_first(), c.mortgage_papers()))
    [told] = [e for e in decision.effects if isinstance(e, EventRecorded)]
    assert (told.institution, told.sequence, told.kind) == (c.BANK_USCC, 6, "APPLICATION_BOOKED")


def test_mortgage_joint_owner_not_named_is_not_accepted() -> None:
    """Golden 17: a joint owner who is not among the mortgagors must apply (CC 301)."""
    decision = c.decide(
        c.world(c.unit_state(owners=(c.OWNER, c.SPOUSE))),
        c.submission(c.mortgage_first(), c.mortgage_papers()),
    )
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert ("N-NOT_APPLICANT", "R-CO_OWNER") in c.codes(decision)


def test_mortgage_joint_owner_named_but_unsigned_is_awaited() -> None:
    """Golden 25: named and not signed is AWAITING_PARTIES: no place, no number, an expiry."""
    operation = c.mortgage_first(mortgagors=(c.OWNER, c.SPOUSE), debtors=(c.OWNER,))
    papers = c.mortgage_papers() | {
        "MORTGAGE_CONTRACT": c.paper("MORTGAGE_CONTRACT", c.OWNER, c.SPOUSE, c.BANK)
    }
    decision = c.decide(c.world(c.unit_state(owners=(c.OWNER, c.SPOUSE))), c.submission(operation, papers))
    outcome = decision.outcome
    assert outcome.result is Result.AWAITING_PARTIES
    assert [a.name for a in outcome.awaiting] == [c.SPOUSE.name]
    assert outcome.accepted_at is None
    assert outcome.case_number == ""


def test_mortgage_everything_missing_is_told_in_one_list() -> None:
    """Golden 19: one answer lists every paper that is missing (IR 17(3))."""
    decision = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), {}))
    missing = {f.file for f in decision.outcome.findings if f.code == "N-INCOMPLETE"}
    assert missing == {
        "APPLICATION",
        "INQUIRY_RECORD",
        "PRINCIPAL_CONTRACT",
        "MORTGAGE_CONTRACT",
        "REMOTE_IDENTITY",
    }
    assert decision.outcome.result is Result.NOT_ACCEPTED


def _seizure(**changes: Any) -> Seizure:
    row = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="导入", kind=SeizureKind.SEIZURE,
        target=c.OWNER, extent="全部", authority="某法院", instrument_no="(2026)执1号", served_at=c.NOW,
        until=dt.date(2029, 1, 1),
    )  # fmt: skip
    return replace(row, **changes)


DISSENT = Dissent(
    right_id="0.8",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="导入",
    applicant=c.SPOUSE,
    matter="权属",
)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (c.unit_state(_seizure()), ("N-BARRED", "R-SEIZED")),
        (c.unit_state(DISSENT), ("C-DISSENT", "")),
        (c.unit_state(first_registered=False), ("N-BARRED", "R-NO_FIRST_REGISTRATION")),
        (c.unit_state(holds=(UnitHold.PROHIBITED_COLLATERAL,)), ("N-BARRED", "R-PROHIBITED")),
    ],
    ids=["seized", "dissent", "not-first-registered", "prohibited"],
)
def test_mortgage_barred_by_register_is_not_accepted(state: Any, expected: tuple[str, str]) -> None:
    """What the register bars is answered at once, with the rule that it would be (handbook 3.6)."""
    decision = c.decide(c.world(state), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert expected in c.codes(decision)


def test_mortgage_dissent_with_risk_statement_goes_to_a_person() -> None:
    """Golden 44: with the signed risk statement a person decides, never a rule (RD 84)."""
    papers = c.mortgage_papers() | {"RISK_STATEMENT": c.paper("RISK_STATEMENT", c.OWNER, c.BANK)}
    decision = c.decide(c.world(c.unit_state(DISSENT)), c.submission(c.mortgage_first(), papers))
    assert decision.outcome.state is State.ACCEPTED


@pytest.mark.parametrize(
    ("booked", "suit", "result"),
    [
        ("2026-11-06", None, Result.NOT_ACCEPTED),
        ("2026-11-04", None, Result.ACCEPTED),
        ("2026-11-04", dt.date(2026, 11, 18), Result.NOT_ACCEPTED),
    ],
    ids=["within-15-days", "no-suit-on-record", "suit-filed"],
)
def test_mortgage_under_a_dissent_without_a_suit_is_a_registrars(
    booked: str, suit: dt.date | None, result: Result
) -> None:
    """CC 220: past the 15 days, of 2026-11-04 the 19th, it is presumed to have lapsed: no bar, and no rule's either."""
    row = replace(DISSENT, booked_at=dt.datetime.fromisoformat(booked + "T09:00+08:00"), suit_filed_on=suit)
    decision = c.decide(c.world(c.unit_state(row)), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.result is result
    assert (("C-DISSENT", "") in c.codes(decision)) is (result is Result.NOT_ACCEPTED)
    if result is Result.ACCEPTED:
        assert decision.outcome.state is State.ACCEPTED
        assert "2026-11-19" in " ".join(f.en for f in decision.outcome.findings)


def _without(code: str) -> dict[str, Any]:
    return {k: v for k, v in c.mortgage_papers().items() if k != code}


def _with(code: str, **changes: Any) -> dict[str, Any]:
    papers = c.mortgage_papers()
    return papers | {code: replace(papers[code], **changes)}


STRANGER = Party(name="王五", id_kind=IdKind.RESIDENT_ID, id_number="999999198801010017")


@pytest.mark.parametrize(
    ("papers", "code"),
    [
        (_without("PRINCIPAL_CONTRACT"), "N-INCOMPLETE"),
        (_with("MORTGAGE_CONTRACT", signatures=()), "C-SIGNATURE"),
        (
            c.mortgage_papers() | {"MORTGAGE_CONTRACT": c.paper("MORTGAGE_CONTRACT", STRANGER, c.BANK)},
            "C-SIGNATURE",
        ),
        (_with("APPLICATION", terms_sha256="33" * 32), "C-MISMATCH"),
        (_with("PRINCIPAL_CONTRACT", problems=("文件被修改 / modified",)), "C-FILE"),
        (_with("PRINCIPAL_CONTRACT", found=False), "C-FILE"),
        (_with("MORTGAGE_CONTRACT", backs="018f-other"), "C-FILE"),
    ],
    ids=[
        "missing",
        "unsigned",
        "wrong-signer",
        "other-terms",
        "modified",
        "not-uploaded",
        "backs-another-case",
    ],
)
def test_mortgage_bad_paper_is_not_accepted(papers: Any, code: str) -> None:
    """A paper that is missing, spoiled, unsigned, about other terms or used twice is told by its code."""
    decision = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert code in {f.code for f in decision.outcome.findings}
    assert not any(isinstance(e, RightBooked | CertificateNumbered) for e in decision.effects)


def test_mortgage_owner_signature_revoked_since_upload_is_not_accepted() -> None:
    """A signer revoked after the file's check no longer signs (the verdict is re-used only while unrevoked)."""
    papers = c.mortgage_papers()
    revoked = tuple(replace(s, revoked=True) for s in papers["APPLICATION"].signatures)
    papers["APPLICATION"] = replace(papers["APPLICATION"], signatures=revoked)
    decision = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers))
    assert decision.outcome.result is not Result.BOOKED
    assert "C-SIGNATURE" in {f.code for f in decision.outcome.findings}


def test_mortgage_form_without_terms_never_decided_by_rule() -> None:
    """A bank insider's scan without embedded terms binds nobody: the owner is still awaited."""
    papers = _with("APPLICATION", terms_sha256="")
    decision = c.decide(c.world(c.unit_state()), c.submission(c.mortgage_first(), papers))
    assert decision.outcome.result is Result.AWAITING_PARTIES


def test_mortgage_of_somebody_elses_flat_is_not_accepted() -> None:
    """Who is not the owner of record cannot mortgage (CC 395)."""
    operation = c.mortgage_first(mortgagors=(STRANGER,), debtors=(STRANGER,))
    decision = c.decide(c.world(c.unit_state()), c.submission(operation, c.mortgage_papers(STRANGER)))
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in c.codes(decision)
    assert decision.outcome.result is Result.NOT_ACCEPTED


@pytest.mark.parametrize(
    "operation",
    [
        c.mortgage_first(debtors=(c.SPOUSE,), mortgagor_relation=MortgagorRelation.THIRD_PARTY),
        c.mortgage_first(agreed_rank=1),
        c.mortgage_first(kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=1),
        c.mortgage_first(mortgagees=(replace(c.BANK, name="改名银行"),)),
    ],
    ids=["third-party-debtor", "agreed-rank", "maximum-amount", "renamed-bank"],
)
def test_mortgage_unclean_terms_go_to_a_person(operation: Any) -> None:
    """A rule may decide only what is clean; the rest is accepted and waits for a person (handbook 1.4)."""
    papers = c.mortgage_papers()
    papers["PRINCIPAL_CONTRACT"] = c.paper("PRINCIPAL_CONTRACT", c.OWNER, c.SPOUSE, c.BANK)
    papers["RANK_AGREEMENT"] = c.paper("RANK_AGREEMENT", c.OWNER, c.BANK)
    papers["MAX_AMOUNT_CONTRACT"] = c.paper("MAX_AMOUNT_CONTRACT", c.OWNER, c.BANK)
    decision = c.decide(c.world(c.unit_state()), c.submission(operation, papers))
    assert decision.outcome.result is Result.ACCEPTED
    assert decision.outcome.state is State.ACCEPTED


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": replace(c.PROFILE, instant=())},
        {"rules": None},
        {"rules": replace(c.RULES, decides=("MORTGAGE_RELEASE",))},
    ],
    ids=["profile", "no-rules", "other-rules"],
)
def test_mortgage_where_no_rule_decides_goes_to_a_person(changes: dict[str, Any]) -> None:
    """A rule decides only what both the profile and the published rule set name."""
    decision = c.decide(
        c.world(c.unit_state(), **changes), c.submission(c.mortgage_first(), c.mortgage_papers())
    )
    assert decision.outcome.state is State.ACCEPTED


def test_mortgage_minor_owner_is_not_booked_by_rule() -> None:
    """A minor's property: the guardian applies, a person decides (CC 35; RD 11)."""
    child = Party(name="小张", id_kind=IdKind.RESIDENT_ID, id_number="999999201501010011")
    operation = c.mortgage_first(mortgagors=(child,), debtors=(child,))
    decision = c.decide(
        c.world(c.unit_state(owners=(child,))), c.submission(operation, c.mortgage_papers(child))
    )
    assert decision.outcome.result is not Result.BOOKED


def test_mortgage_by_agent_on_plain_power_is_not_accepted() -> None:
    """Golden 42: the bank's clerk cannot act for the owner on a plain e-signed power (RD 12(3))."""
    power = PowerOfAttorney(principal=c.OWNER, agent=STRANGER, acts=("MORTGAGE_FIRST",), form=PowerForm.PLAIN)
    what = c.submission(c.mortgage_first(), c.mortgage_papers(STRANGER), powers_of_attorney=(power,))
    decision = c.decide(c.world(c.unit_state()), what)
    assert "N-AUTHORISATION" in {f.code for f in decision.outcome.findings}
    assert decision.outcome.result is Result.NOT_ACCEPTED


def test_mortgage_unit_of_another_county_is_out_of_jurisdiction() -> None:
    """The county part of the code decides who registers (IR 7)."""
    operation = c.mortgage_first(units=("331002001001GB00001F00010001",))
    decision = c.decide(c.world(c.unit_state()), c.submission(operation, c.mortgage_papers()))
    assert "N-OUT_OF_JURISDICTION" in {f.code for f in decision.outcome.findings}


def test_mortgage_unknown_unit_is_not_accepted() -> None:
    """A unit of ours that the register does not have conflicts with the register (OS 4.8)."""
    decision = c.decide(c.world(), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert ("N-BARRED", "R-CONFLICT") in c.codes(decision)


def test_mortgage_behind_an_open_case_is_never_booked_at_once() -> None:
    """Golden 20: competing cases go in the order of acceptance (RD 67)."""
    here = c.world(c.unit_state(), open_cases={c.UNIT: (OpenCase(application_id="x", accepted_index=3),)})
    decision = c.decide(here, c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.result is Result.ACCEPTED
    assert "S-QUEUE" in {f.code for f in decision.outcome.findings}


@pytest.mark.parametrize(
    "offset", [dt.timedelta(days=2), -dt.timedelta(hours=1)], ids=["expired", "from-the-future"]
)
def test_mortgage_envelope_outside_its_time_is_refused(offset: dt.timedelta) -> None:
    """Past not_after, or made in the future: nothing is answered by the law."""
    with pytest.raises(EnvelopeExpired):
        c.decide(
            c.world(c.unit_state()),
            c.submission(c.mortgage_first(), c.mortgage_papers()),
            c.moment(now=c.NOW + offset),
        )


def test_mortgage_decision_is_a_pure_function() -> None:
    """The same world, submission and moment give the same decision, word for word (promise 2)."""
    arguments = (c.world(c.unit_state()), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert c.decide(*arguments) == c.decide(*arguments)
