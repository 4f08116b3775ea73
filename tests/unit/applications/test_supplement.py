"""Papers that come later: awaited, or asked for by a registrar (handbook 3.6; golden 25)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.review import Act, GroundsMissing, Verb, decide_review
from gateway.applications.submit import Submission
from gateway.applications.supplement import NotAsked, NothingBrought, Supplement, decide_supplement
from gateway.cases.decision import Decision
from gateway.cases.effects import PapersBound, PapersFreed
from gateway.cases.errors import ApplicationNotFound, EnvelopeExpired, NotPermitted, StateNotAllowed
from gateway.cases.model import Application, Moment, Result, State, World
from gateway.register.authority import Registrar
from gateway.register.findings import Severity
from gateway.register.reasons import finding
from tests.support import cases as c
from tests.support import later

REGISTRAR = Registrar(registrar_id="deng-1", name="登记员乙", key_ids=("r" * 64,))
WANTED = finding("N-INCOMPLETE", Severity.BLOCKS, file="PROOF", zh="补正", en="bring it")
MORE = c.paper("PROOF")


def in_review() -> tuple[World, Submission, Application]:
    """A case in review, claimed by the registrar."""
    here = later.world(profile=replace(c.PROFILE, instant=()))
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    return here, what, replace(later.filed(here, what), state=State.IN_REVIEW, claimed_by="deng-1")


def ask(here: World, what: Submission, row: Application, at: Moment, **changes: Any) -> Decision:
    """The registrar asks for papers."""
    fields: dict[str, Any] = {
        "verb": Verb.REQUEST_SUPPLEMENT,
        "application_id": row.application_id,
        "manifest_sha256": row.payload_sha256,
        "seen": row.last_index,
        "requests": (WANTED,),
        "request_id": "r",
        "payload_sha256": "88" * 32,
        "created_at": at.now,
        "not_after": at.now + dt.timedelta(hours=1),
    }
    return decide_review(here, REGISTRAR, row, what.manifest, what.papers, Act(**{**fields, **changes}), at)


def asked(at: Moment | None = None) -> tuple[World, Submission, Application]:
    """A case whose registrar has asked for a paper."""
    here, what, row = in_review()
    return here, what, later.row_of(ask(here, what, row, at or c.moment(8)))


def supplement(row: Application, *new: Any, **changes: Any) -> Supplement:
    """The bank brings papers."""
    return later.act(Supplement, row, *new, by=c.BANK, **changes)


def test_request_for_papers_keeps_the_place_and_sets_the_profiles_deadline() -> None:
    """Place kept, clock stopped, deadline; what is asked for is told to the institutions."""
    here, what, row = in_review()
    decision = ask(here, what, row, c.moment(8))
    after = later.row_of(decision)
    assert (after.state, after.accepted_index) == (State.SUPPLEMENT_REQUESTED, row.accepted_index)
    assert after.supplement_until == c.NOW + dt.timedelta(days=c.PROFILE.supplement_days)
    assert after.supplement_asked == "88" * 32
    assert decision.outcome.findings == (WANTED,)
    assert later.events_of(decision)[c.BANK_USCC] == "APPLICATION_SUPPLEMENT_REQUESTED"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"requests": ()}, GroundsMissing),
        ({"deadline": c.NOW - dt.timedelta(days=1)}, GroundsMissing),
        ({"not_after": c.NOW - dt.timedelta(hours=1)}, EnvelopeExpired),
    ],
    ids=["nothing-asked", "deadline-past", "envelope-late"],
)
def test_request_that_asks_nothing_or_too_late_is_refused(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    """Corrections are asked for once, completely, with a term that lies ahead."""
    here, what, row = in_review()
    with pytest.raises(error):
        ask(here, what, row, c.moment(8), **changes)


def test_supplement_that_was_asked_for_returns_the_case_to_review_and_the_clock_goes_on() -> None:
    """The working days that the case stood still are added to its deadline; its place is the old one."""
    here, what, row = asked()
    later_on = c.moment(12, c.NOW + dt.timedelta(days=7))
    act = supplement(row, MORE, answers_sha256="88" * 32)
    decision = decide_supplement(later.dossier(here, what, row, MORE), act, later_on)
    after = later.row_of(decision)
    assert (decision.outcome.result, after.state) == (Result.ACCEPTED, State.IN_REVIEW)
    assert (after.accepted_index, after.claimed_by) == (row.accepted_index, "deng-1")
    assert row.deadline is not None
    assert after.deadline is not None
    assert after.deadline >= row.deadline + dt.timedelta(days=7)
    assert [b.reference.paper_code for b in after.brought] == ["PROOF"]
    assert (after.supplement_asked, after.due_at) == ("", None)


def test_supplement_that_brings_the_owners_signature_books_by_rule() -> None:
    """Golden 25: the natural person is bound by the signed form; accepted then, and booked as it is clean."""
    here, what = later.world(), later.unsigned()
    row = later.filed(here, what)
    forms = later.signed_forms()
    at = c.moment(9, c.NOW + dt.timedelta(minutes=10))
    decision = decide_supplement(later.dossier(here, what, row, *forms), supplement(row, *forms), at)
    after = later.row_of(decision)
    assert decision.outcome.result is Result.BOOKED
    assert (after.accepted_at, after.booked_by) == (at.now, c.RULES.officer)
    [bound] = [e for e in decision.effects if isinstance(e, PapersBound)]
    assert len(bound.papers) == 2


def test_supplement_after_the_deadline_finds_the_case_refused() -> None:
    """The deadline decides, whether the clock or the late papers find it passed."""
    here, what, row = asked()
    late = c.moment(12, c.NOW + dt.timedelta(days=c.PROFILE.supplement_days))
    decision = decide_supplement(later.dossier(here, what, row, MORE), supplement(row, MORE), late)
    assert (decision.outcome.result, later.row_of(decision).state) == (Result.REFUSED, State.REFUSED)
    assert [f.code for f in decision.outcome.findings] == ["R-NOT_SUPPLEMENTED"]
    assert [e for e in decision.effects if isinstance(e, PapersFreed)]


@pytest.mark.parametrize(
    ("new", "changes", "error"),
    [
        ((MORE,), {"answers_sha256": "00" * 32}, NotAsked),
        ((), {}, NothingBrought),
        ((MORE,), {"institution": c.OTHER_USCC}, ApplicationNotFound),
    ],
    ids=["other-request", "nothing", "stranger"],
)
def test_supplement_that_cannot_be_taken_is_refused(
    new: tuple[Any, ...], changes: dict[str, Any], error: type[Exception]
) -> None:
    """It answers the request that stands, brings something, and comes from an applicant."""
    here, what, row = asked()
    with pytest.raises(error):
        decide_supplement(later.dossier(here, what, row, *new), supplement(row, *new, **changes), c.moment(9))


def test_supplement_by_a_party_that_has_not_joined_is_refused() -> None:
    """A co-applicant joins first, with its own papers."""
    here, what = later.world(), later.portfolio()
    row = later.filed(here, what)
    act = later.act(Supplement, row, MORE)
    with pytest.raises(NotPermitted):
        decide_supplement(later.dossier(here, what, row, MORE), act, c.moment(9))


def test_supplement_nobody_waits_for_is_refused() -> None:
    """In review papers come when they are asked for."""
    here, what, row = in_review()
    with pytest.raises(StateNotAllowed):
        decide_supplement(later.dossier(here, what, row, MORE), supplement(row, MORE), c.moment(9))
