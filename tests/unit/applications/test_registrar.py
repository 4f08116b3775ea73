"""A registrar's acts on pure cases: who holds a case, who may book, what must have been seen, in which states."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.later import to_a_person
from gateway.applications.own_case import OwnCaseForbidden, people_of
from gateway.applications.review import (
    ALLOWED,
    Act,
    SecondPersonRequired,
    SeenIndexStale,
    Verb,
    decide_review,
)
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.errors import StateNotAllowed
from gateway.cases.model import Application, Moment, Result, State, World
from gateway.register.authority import RegisteredKey, Registrar
from gateway.register.findings import Severity
from gateway.register.reasons import finding
from tests.support import cases as c
from tests.support import later

DENG = Registrar(registrar_id="deng-1", name="邓示例", key_ids=("a" * 64,))
WU = Registrar(registrar_id="wu-2", name="吴示例", key_ids=("b" * 64,))
REVIEWER = replace(DENG, may_book=False)
TWO_PERSONS = replace(c.PROFILE, instant=(), two_person_review=True)


def accepted(**changes: Any) -> tuple[World, Submission, Application]:
    """A case for a person, as its submission leaves it."""
    here = later.world(profile=changes.pop("profile", replace(c.PROFILE, instant=())))
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    return here, what, replace(later.filed(here, what), **changes)


def done(
    case: tuple[World, Submission, Application],
    verb: Verb,
    by: Registrar = DENG,
    at: Moment | None = None,
    *,
    units_index: int = -1,
    **changes: Any,
) -> Decision:
    """One act on the case."""
    here, what, row = case
    at = at or c.moment(row.last_index + 1)
    fields: dict[str, Any] = {
        "verb": verb,
        "application_id": row.application_id,
        "manifest_sha256": row.payload_sha256,
        "seen": row.last_index,
        "grounds": (finding("R-CONFLICT", Severity.BLOCKS),),
        "requests": (finding("N-INCOMPLETE", Severity.BLOCKS),),
        "reason_code": "S-INVESTIGATION",
        "request_id": f"{verb}-{at.index}",
        "payload_sha256": "88" * 32,
        "created_at": at.now,
        "not_after": at.now + dt.timedelta(hours=1),
    }
    act = Act(**{**fields, **changes})
    return decide_review(here, by, row, what.manifest, what.papers, act, at, units_index=units_index)


def after(
    case: tuple[World, Submission, Application], decision: Decision
) -> tuple[World, Submission, Application]:
    """The case as the decision leaves it."""
    return case[0], case[1], later.row_of(decision)


def claimed(**changes: Any) -> tuple[World, Submission, Application]:
    """A case that Deng has."""
    case = accepted(**changes)
    return after(case, done(case, Verb.CLAIM))


def test_case_is_accepted_until_a_registrar_has_it() -> None:
    """ACCEPTED, claimed IN_REVIEW, given back ACCEPTED; the institutions are told each time (handbook 3.6)."""
    case = accepted()
    assert case[2].state is State.ACCEPTED
    taken = done(case, Verb.CLAIM)
    assert (taken.outcome.result, taken.outcome.state) == (Result.DONE, State.IN_REVIEW)
    assert set(later.events_of(taken).values()) == {"APPLICATION_IN_REVIEW"}
    given_back = done(after(case, taken), Verb.UNCLAIM)
    assert given_back.outcome.state is State.ACCEPTED
    assert set(later.events_of(given_back).values()) == {"APPLICATION_ACCEPTED"}
    assert later.row_of(given_back).claimed_by == ""


def test_suspended_case_changes_hands_and_stays_suspended() -> None:
    """Whoever is away does not hold it for ever: given back and taken by another, who resumes it."""
    case = claimed()
    case = after(case, done(case, Verb.SUSPEND))
    for verb, who, holder in ((Verb.UNCLAIM, DENG, ""), (Verb.CLAIM, WU, "wu-2")):
        decision = done(case, verb, who)
        case = after(case, decision)
        assert (case[2].state, case[2].claimed_by) == (State.SUSPENDED, holder)
        assert later.events_of(decision) == {}
    assert done(case, Verb.RESUME, WU).outcome.state is State.IN_REVIEW


@pytest.mark.parametrize(("claimed_by", "state"), [("deng-1", State.IN_REVIEW), ("", State.ACCEPTED)])
def test_case_that_goes_back_to_a_person_is_in_review_only_in_somebodys_hands(
    claimed_by: str, state: State
) -> None:
    """Back from a gate nobody has it."""
    _, _, row = accepted(state=State.AWAITING_PAYOFF, claimed_by=claimed_by, reviewed_by="wu-2")
    assert to_a_person(row, ()).row.state is state


@pytest.mark.parametrize("profile", [TWO_PERSONS, replace(c.PROFILE, instant=())])
def test_review_without_booking_leaves_the_case_to_whoever_books(profile: Any) -> None:
    """`book` false reviews, whatever the profile says; another takes it and books (handbook 1.4)."""
    case = claimed(profile=profile)
    reviewed = done(case, Verb.APPROVE, REVIEWER, book=False)
    assert (reviewed.outcome.result, reviewed.outcome.state) == (Result.DONE, State.IN_REVIEW)
    case = after(case, reviewed)
    assert (case[2].reviewed_by, case[2].claimed_by) == ("deng-1", "")
    case = after(case, done(case, Verb.CLAIM, WU))
    case = after(case, done(case, Verb.UNCLAIM, WU))
    assert case[2].state is State.IN_REVIEW  # it has been reviewed, and still is
    case = after(case, done(case, Verb.CLAIM, WU))
    booked = done(case, Verb.APPROVE, WU)
    assert booked.outcome.result is Result.BOOKED
    assert (later.row_of(booked).reviewed_by, later.row_of(booked).booked_by) == ("deng-1", "吴示例")


def test_registrar_who_may_only_review_does_not_book() -> None:
    """`may_book` is the authority's to give (handbook 1.4)."""
    with pytest.raises(SecondPersonRequired):
        done(claimed(), Verb.APPROVE, REVIEWER)


OWN_FORBIDDEN = replace(c.PROFILE, instant=(), own_case_forbidden=True)


@pytest.mark.parametrize("verb", [Verb.APPROVE, Verb.REFUSE, Verb.REQUEST_SUPPLEMENT, Verb.SUSPEND])
def test_registrar_who_is_a_party_keeps_away(verb: Verb) -> None:
    """By the number in the certificate, never by the name; giving the case back stays possible (handbook 1.4)."""
    case = claimed(profile=OWN_FORBIDDEN)
    with pytest.raises(OwnCaseForbidden):
        done(case, verb, signer_numbers=(c.OWNER.id_number,))
    back = done(case, Verb.UNCLAIM, signer_numbers=(c.OWNER.id_number,))
    assert back.outcome.state is State.ACCEPTED
    assert done(case, verb, signer_numbers=(c.SPOUSE.id_number,)).outcome.result is not Result.NOT_ACCEPTED


def test_own_case_is_nobodys_business_where_the_profile_does_not_say_so() -> None:
    """The rule is the place's to set."""
    assert done(claimed(), Verb.APPROVE, signer_numbers=(c.OWNER.id_number,)).outcome.result is Result.BOOKED


def test_party_of_a_case_is_one_in_any_role() -> None:
    """Debtors, guardians and owners of record count like applicants; institutions have no registrar's number."""
    ward = replace(c.OWNER, guardian=c.SPOUSE)
    what = c.submission(c.mortgage_first(mortgagors=(ward,)), {})
    assert people_of(c.world(), what.manifest) == {c.OWNER.id_number, c.SPOUSE.id_number}
    other = c.submission(c.mortgage_first(mortgagors=(), debtors=()), {})
    assert people_of(c.world(c.unit_state(owners=(c.SPOUSE,))), other.manifest) == {c.SPOUSE.id_number}


def test_reviewer_does_not_book_what_they_reviewed() -> None:
    """Whoever reviewed leaves the booking to another, also where two persons are not asked for in every case."""
    case = after(
        claimed(profile=OWN_FORBIDDEN), done(claimed(profile=OWN_FORBIDDEN), Verb.APPROVE, book=False)
    )
    mine = after(case, done(case, Verb.CLAIM))
    with pytest.raises(OwnCaseForbidden):
        done(mine, Verb.APPROVE)
    others = after(case, done(case, Verb.CLAIM, WU))
    assert done(others, Verb.APPROVE, WU).outcome.result is Result.BOOKED


@pytest.mark.parametrize(
    "verb", [Verb.APPROVE, Verb.REFUSE, Verb.REQUEST_SUPPLEMENT, Verb.SUSPEND], ids=lambda v: v.value
)
def test_change_on_the_unit_after_what_was_seen_is_looked_at_first(verb: Verb) -> None:
    """A right that began or ended on a unit counts like an entry on the case."""
    case = claimed()
    seen = case[2].last_index
    with pytest.raises(SeenIndexStale) as caught:
        done(case, verb, units_index=seen + 1)
    assert caught.value.metadata["lastIndex"] == str(seen + 1)
    done(case, verb, units_index=seen)
    done(case, verb, seen=seen + 1, units_index=seen + 1)


def test_taking_and_giving_back_decide_nothing() -> None:
    """Claim and Unclaim ask for no index: nothing is judged by them."""
    done(accepted(), Verb.CLAIM, seen=0, units_index=99)
    done(claimed(), Verb.UNCLAIM, seen=0, units_index=99)


@pytest.mark.parametrize("verb", [Verb.APPROVE, Verb.REFUSE])
@pytest.mark.parametrize("state", sorted(set(State) - {State.IN_REVIEW}))
def test_only_what_is_in_review_is_decided(verb: Verb, state: State) -> None:
    """From IN_REVIEW it is booked or refused; gates and deadlines need no registrar (handbook 3.6)."""
    with pytest.raises(StateNotAllowed) as caught:
        done(accepted(state=state, claimed_by="deng-1"), verb)
    assert caught.value.metadata["allowedStates"] == "IN_REVIEW"
    assert ALLOWED[verb] == (State.IN_REVIEW,)


NOON = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("window", "usable"),
    [
        ({}, True),
        ({"not_before": NOON}, True),
        ({"not_before": NOON + dt.timedelta(seconds=1)}, False),
        ({"not_after": NOON}, False),
        ({"not_after": NOON + dt.timedelta(seconds=1)}, True),
    ],
)
def test_registrars_key_signs_in_its_window_only(window: dict[str, Any], usable: bool) -> None:
    """From `not_before` on and until before `not_after`; a key without a window, or of before windows, always."""
    known = replace(DENG, keys=(RegisteredKey(key_id="a" * 64, **window),))
    assert known.signs_with("a" * 64, NOON) is usable
    assert DENG.signs_with("a" * 64, NOON)
    assert not known.signs_with("b" * 64, NOON)
