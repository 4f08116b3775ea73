"""Powers of attorney by form and scope (handbook 1.3; RD 12(3)): what counts, and what is said of what does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.model import Paper, PaperSignature, Result, State, World
from gateway.cases.terms import PowerForm, PowerOfAttorney
from gateway.register.authority import RegisteredClerk
from gateway.register.model import IdKind, Party
from tests.support import cases as c
from tests.support import deals as d

AGENT = Party(name="代理人", id_kind=IdKind.RESIDENT_ID, id_number="999999198505050017")


def power(**changes: Any) -> PowerOfAttorney:
    """OWNER has a notary write down that AGENT mortgages the flat."""
    value = PowerOfAttorney(
        principal=c.OWNER,
        agent=AGENT,
        acts=("MORTGAGE_FIRST",),
        unit_codes=(c.UNIT,),
        valid_until=dt.date(2026, 12, 31),
        form=PowerForm.NOTARISED,
        notary="示例公证处",
        deed_no="(2026)澄证民内字第1号",
    )
    return replace(value, **changes)


def filed(*powers: PowerOfAttorney, papers: dict[str, Paper | None] | None = None) -> Submission:
    """BANK files OWNER's mortgage, every paper signed by AGENT instead; `papers` replaces some, None takes away."""
    there: dict[str, Paper | None] = {
        **c.mortgage_papers(AGENT),
        "AUTHORISATION": c.paper("AUTHORISATION"),
        **(papers or {}),
    }
    kept = {code: paper for code, paper in there.items() if paper is not None}
    return c.submission(c.mortgage_first(), kept, powers_of_attorney=powers or (power(),))


def decided(what: Submission, at: dt.datetime = c.NOW) -> Decision:
    """The answer, on a flat with nothing on it."""
    return c.decide(c.world(c.unit_state()), what, c.moment(now=at))


def refusal(decision: Decision) -> str:
    """What N-AUTHORISATION says, in English."""
    assert decision.outcome.result is Result.NOT_ACCEPTED
    [found] = [f for f in decision.outcome.findings if f.code == "N-AUTHORISATION"]
    assert found.zh
    assert found.article == "IR 16(2); RD 12(3)"
    return found.en


@pytest.mark.parametrize(
    ("form", "deed"),
    [
        (PowerForm.SIGNED_AT_AUTHORITY, ""),
        (PowerForm.NOTARISED, "(2026)澄证民内字第1号"),
        (PowerForm.CERTIFIED_ABROAD, "E-77"),
    ],
)
def test_agent_signs_for_a_mortgagor_on_a_witnessed_power(form: PowerForm, deed: str) -> None:
    """RD 12(3): accepted on the agent's signature, and always for a person (handbook 1.4)."""
    decision = decided(filed(power(form=form, deed_no=deed)))
    assert decision.outcome.result is Result.ACCEPTED, decision.outcome.findings
    assert decision.outcome.state is State.ACCEPTED
    assert "terms.powers_of_attorney[0]" in {
        f.field for f in decision.outcome.findings if f.code == "M-REFER"
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"form": PowerForm.PLAIN}, "disposes on a power signed at the authority"),
        ({"form": PowerForm.STANDING_INSTITUTION}, "disposes on a power signed at the authority"),
        ({"deed_no": ""}, "number of the deed"),
        ({"acts": ("MORTGAGE_RELEASE",)}, "does not cover MORTGAGE_FIRST"),
        ({"unit_codes": ()}, f"does not name unit {c.UNIT}"),
        ({"unit_codes": (c.UNIT[:-1] + "2",)}, f"does not name unit {c.UNIT}"),
        ({"valid_until": dt.date(2026, 11, 19)}, "ran out on 2026-11-19"),
        ({"revoked": True}, "was revoked"),
    ],
)
def test_power_that_does_not_do_says_why(changes: dict[str, Any], said: str) -> None:
    """Form, deed, act, unit, time, revocation: each is named (N-AUTHORISATION)."""
    assert said in refusal(decided(filed(power(**changes))))


def test_everything_wrong_with_a_power_is_told_at_once() -> None:
    """One list (IR 17): form, revocation, whose paper it is, act, unit."""
    told = refusal(decided(filed(power(form=PowerForm.PLAIN, acts=(), unit_codes=(), revoked=True))))
    for said in ("disposes on", "was revoked", "not signed by", "does not cover", "does not name"):
        assert said in told


def test_power_itself_must_be_there() -> None:
    """The paper AUTHORISATION, whole."""
    assert "AUTHORISATION" in refusal(decided(filed(papers={"AUTHORISATION": None})))
    spoiled = c.paper("AUTHORISATION", problems=("坏 / bad",))
    assert "AUTHORISATION" in refusal(decided(filed(papers={"AUTHORISATION": spoiled})))


def test_second_power_may_carry_what_the_first_does_not() -> None:
    """One good power is enough."""
    assert decided(filed(power(revoked=True), power())).outcome.result is Result.ACCEPTED


def test_agent_who_has_not_signed_is_awaited() -> None:
    """A good power is no signature: the case awaits it."""
    unsigned = {code: c.paper(code, bound=True) for code in ("APPLICATION", "INQUIRY_RECORD")}
    decision = decided(filed(papers=dict(unsigned)))
    assert decision.outcome.result is Result.AWAITING_PARTIES


def test_agent_whose_certificate_is_revoked_signs_for_nobody() -> None:
    """The agent's signature is held to what any signature is."""
    signature = PaperSignature(legal=False, number=AGENT.id_number, revoked=True)
    form = replace(c.paper("APPLICATION", bound=True), signatures=(signature,))
    decision = decided(filed(papers={"APPLICATION": form}))
    assert decision.outcome.result in (Result.AWAITING_PARTIES, Result.NOT_ACCEPTED)


def test_principal_who_signs_in_person_needs_no_power() -> None:
    """What is wrong with a power that nobody uses stands in nobody's way; a person still looks."""
    what = c.submission(
        c.mortgage_first(), c.mortgage_papers(), powers_of_attorney=(power(form=PowerForm.PLAIN),)
    )
    decision = decided(what)
    assert decision.outcome.result is Result.ACCEPTED
    assert "N-AUTHORISATION" not in {f.code for f in decision.outcome.findings}


def test_power_is_looked_at_again_when_the_case_is_decided() -> None:
    """Handbook 1.3: valid at acceptance, run out by the time of the booking: nothing is booked."""
    here = c.world(c.unit_state())
    what = filed(power(valid_until=c.NOW.date()))
    accepted = c.decide(here, what)
    assert accepted.outcome.result is Result.ACCEPTED
    later = c.moment(9, c.NOW + dt.timedelta(days=2))
    decision = d.approved(here, what, d.row_of(accepted), later)
    assert decision.outcome.state is not State.BOOKED
    assert "ran out" in " ".join(f.en for f in decision.outcome.findings)


# -- who does not dispose ------------------------------------------------------------------------------------------


def bought(
    *powers: PowerOfAttorney,
    principal: Party = d.BUYER,
    authorisation: Paper | None = None,
    here: World | None = None,
) -> Decision:
    """A sale pre-notice whose buyer is signed for by AGENT."""
    papers = d.notice_papers()
    for code in ("APPLICATION", "INQUIRY_RECORD"):
        papers[code] = c.paper(code, d.SELLER, AGENT, bound=True)
    papers["SALE_CONTRACT"] = c.paper("SALE_CONTRACT", d.SELLER, AGENT)
    del papers["PRINCIPAL_AND_MORTGAGE_CONTRACT"]
    papers["AUTHORISATION"] = authorisation or c.paper("AUTHORISATION", principal)
    what = d.notices((d.sale_notice(),), papers, powers_of_attorney=powers, sale_contracts=(d.contract(),))
    return c.decide(here or d.world(c.unit_state()), what)


def plain(**changes: Any) -> PowerOfAttorney:
    """BUYER signs a plain power for AGENT, naming no unit."""
    return power(
        **{
            "principal": d.BUYER,
            "form": PowerForm.PLAIN,
            "deed_no": "",
            "acts": ("PRE_NOTICE_CREATE",),
            "unit_codes": (),
            **changes,
        }
    )


def test_buyer_acts_by_an_agent_on_a_power_that_the_buyer_signed() -> None:
    """Who disposes of nothing needs no notary."""
    decision = bought(plain())
    assert decision.outcome.result is Result.ACCEPTED, decision.outcome.findings


def test_plain_power_that_the_principal_did_not_sign_is_none() -> None:
    """Otherwise anybody could write one."""
    assert "not signed by the principal" in refusal(
        bought(plain(), authorisation=c.paper("AUTHORISATION", AGENT))
    )


@pytest.mark.parametrize(
    "agent",
    [
        {"agent": replace(AGENT, name="经办")},
        {"agent": c.BANK},
        {"agency": c.BANK.name},
        {"agency": c.BANK_USCC},
    ],
    ids=["clerk-who-files", "the-bank", "agency-by-name", "agency-by-code"],
)
def test_bank_is_never_its_customers_agent_on_a_plain_power(agent: dict[str, Any]) -> None:
    """Golden 42: neither the bank nor who works for it, though the customer signed it."""
    assert "not its customer's agent" in refusal(bought(plain(**agent)))


@pytest.mark.parametrize("own", [True, False], ids=["of-the-bank-that-files", "of-another"])
def test_registered_clerk_is_staff_whatever_the_power_says(own: bool) -> None:
    """Golden 42: known by identity number, though not the clerk who files and naming no agency."""
    here = d.world(c.unit_state())
    files = d.notices((d.sale_notice(),), {}).manifest.header.applicant_institution
    code = files if own else next(code for code in here.institutions if code not in (files, c.BANK_USCC))
    clerk = RegisteredClerk(employee_no="D-9", name="另一名", id_number=AGENT.id_number)
    known = replace(here.institutions[code], clerks=(clerk,))
    decision = bought(plain(), here=replace(here, institutions={**here.institutions, code: known}))
    if own:
        assert "not its customer's agent" in refusal(decision)
    else:
        assert decision.outcome.result is Result.ACCEPTED


def test_plain_power_for_other_units_does_not_do() -> None:
    """Where units are named, they count."""
    assert "does not name unit" in refusal(bought(plain(unit_codes=(c.UNIT[:-1] + "9",))))
