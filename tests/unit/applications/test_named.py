"""The applications that a header names: of this registry, the caller's to see, and ended where they are replaced."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.cases.errors import ApplicationNotFound, StateNotAllowed
from gateway.cases.model import Application, Result, State, World
from tests.support import cases as c
from tests.support import later

NAME = f"registries/{c.REGISTRY}/applications/018f0000-0000-7000-8000-0000000000aa"


def earlier(**changes: Any) -> Application:
    """An application of BANK's that was not accepted."""
    row = later.filed(c.world(c.unit_state()), c.submission(c.mortgage_first(), {}))
    assert (row.name, row.state) == (NAME, State.NOT_ACCEPTED)
    return replace(row, **changes)


def naming(**header: Any) -> Submission:
    """A complete mortgage whose header names something."""
    what = c.submission(c.mortgage_first(), c.mortgage_papers())
    manifest = what.manifest
    return replace(what, manifest=replace(manifest, header=replace(manifest.header, **header)))


def knowing(row: Application | None) -> World:
    """The usual world, with that row loaded under its name."""
    return c.world(c.unit_state(), named={} if row is None else {NAME: row})


@pytest.mark.parametrize(
    "state", [State.NOT_ACCEPTED, State.EXPIRED, State.WITHDRAWN, State.REFUSED], ids=str
)
def test_what_ended_unbooked_may_be_replaced(state: State) -> None:
    """Tried again with `supersedes`: taken like any other, and the row says what it replaces."""
    decision = c.decide(knowing(earlier(state=state)), naming(supersedes=NAME))
    assert decision.outcome.result is Result.BOOKED
    assert later.row_of(decision).supersedes == NAME


@pytest.mark.parametrize("state", [State.AWAITING_PARTIES, State.IN_REVIEW, State.BOOKED], ids=str)
def test_what_lives_or_is_booked_is_not_replaced(state: State) -> None:
    """It is withdrawn or released first."""
    with pytest.raises(StateNotAllowed) as refused:
        c.decide(knowing(earlier(state=state)), naming(supersedes=NAME))
    assert refused.value.metadata["currentState"] == state.value


@pytest.mark.parametrize("field", ["supersedes", "case"])
@pytest.mark.parametrize("row", ["unknown", "another's"])
def test_unknown_and_anothers_give_the_same_answer(field: str, row: str) -> None:
    """Who names what is not theirs learns nothing, not even that it exists; the field is named."""
    known = None if row == "unknown" else earlier(institutions=(c.OTHER_USCC,))
    with pytest.raises(ApplicationNotFound) as refused:
        c.decide(knowing(known), naming(**{field: NAME}))
    assert refused.value.metadata == {"application": NAME, "field": f"header.{field}"}


def test_case_of_a_branch_may_be_named_by_whoever_files_for_it() -> None:
    """The channel sees what it may file for (handbook 1.3)."""
    here = knowing(earlier(institutions=(c.OTHER_USCC,)))
    bank = replace(here.institutions[c.BANK_USCC], files_for=(c.OTHER_USCC,))
    here = replace(here, institutions={**here.institutions, c.BANK_USCC: bank})
    assert c.decide(here, naming(supersedes=NAME)).outcome.result is Result.BOOKED
