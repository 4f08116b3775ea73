"""Who insists is accepted over a bar in substance and refused in writing, over nothing else (IR 22; handbook 3.6)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.party import Join, decide_join
from gateway.applications.rehearsal import rehearse
from gateway.applications.review import Act, Verb, decide_review
from gateway.applications.submit import Submission
from gateway.cases.model import Result, State, World
from gateway.register.findings import Finding, Severity
from gateway.register.model import Seizure, SeizureKind
from tests.support import cases as c
from tests.support import deals, later

SEIZURE = Seizure(
    right_id="0.9",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW,
    booked_by="导入",
    kind=SeizureKind.SEIZURE,
    target=c.OWNER,
    extent="全部",
    authority="某法院",
    instrument_no="（2026）苏0281执1号",
    served_at=c.NOW - dt.timedelta(days=1),
    until=dt.date(2029, 11, 19),
)


def insisting(what: Submission) -> Submission:
    """The same submission, of somebody who insists."""
    return replace(what, manifest=replace(what.manifest, insist=True))


def seized() -> World:
    """OWNER's flat under a live seizure."""
    return c.world(c.unit_state(SEIZURE))


def complete(**papers: Any) -> Submission:
    """A complete mortgage, of somebody who insists."""
    return insisting(c.submission(c.mortgage_first(), c.mortgage_papers() | papers))


def test_complete_case_that_insists_goes_to_a_person_with_the_refusal_that_it_will_be() -> None:
    """Accepted with number, clock and place; what was N-BARRED bears its R- code and refers."""
    decision = c.decide(seized(), complete())
    assert (decision.outcome.result, decision.outcome.state) == (Result.ACCEPTED, State.ACCEPTED)
    assert decision.outcome.case_number
    found = {(f.code, f.severity) for f in decision.outcome.findings}
    assert ("R-SEIZED", Severity.REFERS) in found
    assert not [f for f in decision.outcome.findings if f.severity is Severity.BLOCKS]


def test_same_case_that_does_not_insist_is_not_accepted() -> None:
    """Without insisting the bar is told at once: N-BARRED."""
    decision = c.decide(seized(), c.submission(c.mortgage_first(), c.mortgage_papers()))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert ("N-BARRED", "R-SEIZED") in c.codes(decision)


@pytest.mark.parametrize(
    "papers",
    [
        {"PRINCIPAL_CONTRACT": c.paper("OTHER")},
        {"MORTGAGE_CONTRACT": c.paper("MORTGAGE_CONTRACT", c.OWNER)},
        {"APPLICATION": c.paper("APPLICATION", c.OWNER, bound=True, terms_sha256="99" * 32)},
    ],
    ids=["paper-missing", "signature-missing", "other-terms"],
)
def test_insisting_waives_neither_papers_nor_signatures(papers: dict[str, Any]) -> None:
    """IR 17: what is missing stays missing, and the bar is told beside it as N-BARRED."""
    decision = c.decide(seized(), complete(**papers))
    assert decision.outcome.result is Result.NOT_ACCEPTED
    assert ("N-BARRED", "R-SEIZED") in c.codes(decision)


@pytest.mark.parametrize("code", ["320281001001GB00001F09990999", "320282001001GB00001F00010001"])
def test_insisting_makes_no_unit_known_and_no_county_ours(code: str) -> None:
    """Jurisdiction is never waived, and on a unit that the register does not have nothing is complete."""
    what = insisting(c.submission(c.mortgage_first(units=(code,)), c.mortgage_papers()))
    assert c.decide(seized(), what).outcome.result is Result.NOT_ACCEPTED


def test_insisting_case_awaits_its_parties_and_is_accepted_with_the_last() -> None:
    """Complete means signed by all: before that it has no place, insisting or not."""
    here = later.world(c.unit_state(SEIZURE))
    what = insisting(later.portfolio())
    row = later.filed(here, what)
    assert row.state is State.AWAITING_PARTIES
    joined = decide_join(
        later.dossier(here, what, row), later.act(Join, row, parties=(later.FUND,)), c.moment(9)
    )
    assert later.row_of(joined).state is State.ACCEPTED
    assert "R-SEIZED" in {f.code for f in joined.outcome.findings}


def test_person_cannot_book_over_the_bar() -> None:
    """An approval looks at the register again: the seizure blocks it, and nothing is booked (EX 23)."""
    what = complete()
    row = later.filed(seized(), what)
    told = deals.approved(seized(), what, row)
    assert (told.outcome.result, later.row_of(told).state) == (Result.ACCEPTED, State.IN_REVIEW)
    assert ("R-SEIZED", Severity.BLOCKS) in {(f.code, f.severity) for f in told.outcome.findings}
    assert not deals.rights_of(told)


def test_person_refuses_it_in_writing() -> None:
    """The refusal names its ground and can be challenged (IR 22)."""
    what = complete()
    row = replace(later.filed(seized(), what), state=State.IN_REVIEW, claimed_by=deals.REGISTRAR.registrar_id)
    ground = Finding(code="R-SEIZED", severity=Severity.BLOCKS, zh="不动产被查封", en="the unit is seized")
    act = Act(
        verb=Verb.REFUSE,
        application_id=row.application_id,
        manifest_sha256=row.payload_sha256,
        seen=row.last_index,
        grounds=(ground,),
        request_id="018f0000-0000-7000-8000-000000000009",
        payload_sha256="44" * 32,
        created_at=c.NOW,
        not_after=c.NOW + dt.timedelta(days=1),
    )
    refused = decide_review(seized(), deals.REGISTRAR, row, what.manifest, what.papers, act, c.moment(9))
    assert (refused.outcome.result, later.row_of(refused).state) == (Result.REFUSED, State.REFUSED)


def test_rehearsal_tells_what_insisting_would_come_to() -> None:
    """The same law on a snapshot: the owner's form is the basis, and the case would be accepted."""
    told = rehearse(seized(), complete(), c.moment())
    assert (told.result, told.would_be) == (Result.VALID, Result.ACCEPTED)
