"""A combined case and two pre-notices through the sequencer: folded, numbered, and read back from the views."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.submit import Submission, decide_submission
from gateway.cases.decision import Decision
from gateway.cases.effects import InstitutionSet, ProfileSet, RightBooked, UnitRecorded
from gateway.cases.model import Application, Moment, Result, State
from gateway.commands import Answer
from gateway.register.model import Mortgage, Ownership, PreNotice, UnitState
from gateway.storage.working import Working
from gateway.worlds.world import wants_of, world_of
from tests.support import cases as c
from tests.support import deals as d
from tests.support.spine import Spine


@pytest.fixture
def spine(tmp_path: Path) -> Iterator[Spine]:
    """A founded registry that offers ET_COMBINED, with the seller's mortgaged flat in it."""
    made = Spine(tmp_path)
    made.clock.now = max(made.clock.now, c.NOW)
    state = c.unit_state(c.mortgage_row())
    made.enter(
        ProfileSet(profile=d.PROFILE),
        *(InstitutionSet(institution=i) for i in d.world().institutions.values()),
        UnitRecorded(unit=state.unit),
        *(RightBooked(right=right) for right in state.rights),
    )
    yield made
    made.close()


def run(spine: Spine, what: Submission, number: int, decide: Callable[[Any, Moment], Decision]) -> Answer:
    """Commit what `decide` makes of the world that the storage loads for this case."""
    seen: list[Decision] = []

    def decided(working: Working, moment: Moment) -> Decision:
        seen.append(decide(world_of(working, what.manifest, moment.now), moment))
        return seen[-1]

    command = replace_command(spine, decided, what, number)
    return spine.submit(command)


def replace_command(spine: Spine, decide: Any, what: Submission, number: int) -> Any:
    """A command of the spine with this decision behind it."""
    bare = spine.command(institution=d.B.id_number, payload=f"act {number}".encode())
    wants = wants_of(what.manifest)
    wants.requests = {(d.B.id_number, f"018f0000-0000-7000-8000-{number:012d}")}
    values = {name: getattr(bare, name) for name in bare.__slots__} | {
        "request_id": f"018f0000-0000-7000-8000-{number:012d}",
        "decide": decide,
        "wants": wants,
    }
    return type(bare)(**values)


def timed(spine: Spine, what: Submission, number: int) -> Submission:
    """The submission made now, with a request id of its own."""
    now = spine.clock()
    header = replace(
        what.manifest.header,
        request_id=f"018f0000-0000-7000-8000-{number:012d}",
        created_at=now,
        not_after=now + dt.timedelta(hours=1),
    )
    digest = f"{number:064d}"
    return replace(what, manifest=replace(what.manifest, header=header), payload_sha256=digest)


def submitted(spine: Spine, what: Submission, number: int) -> Answer:
    """The answer to a submission."""
    return run(spine, what, number, lambda world, moment: decide_submission(world, what, moment))


def approved(spine: Spine, what: Submission, row: Application, number: int) -> Answer:
    """The answer to a registrar's approval."""
    return run(spine, what, number, lambda world, moment: d.approved(world, what, row, moment))


async def row_of(spine: Spine, answer: Answer) -> Application:
    """The application as the views have it."""
    row = await spine.queries.application(c.REGISTRY, answer.outcome.application.rpartition("/")[2])
    assert row is not None
    return row


def unit(spine: Spine, what: Submission) -> UnitState:
    """The flat as the views have it."""
    found: list[UnitState] = []

    def look(working: Working, moment: Moment) -> Decision:
        found.append(world_of(working, what.manifest, moment.now).units[c.UNIT])
        return spine.command().decide(working, moment)

    spine.submit(replace_command(spine, look, what, 999))
    return found[0]


async def test_combined_case_through_the_sequencer_leaves_buyer_and_one_mortgage(spine: Spine) -> None:
    """Golden 4 over the storage: one entry changes owner, ends the old mortgage, prints rank 1."""
    filed = d.papers() | {"PAYOFF_UNDERTAKING": c.paper("PAYOFF_UNDERTAKING", d.A, d.B)}
    what = timed(spine, d.submission(filed=filed), 1)
    accepted = submitted(spine, what, 1)
    assert accepted.outcome.result is Result.ACCEPTED, accepted.outcome.findings
    row = await row_of(spine, accepted)
    assert row.state is State.ACCEPTED
    assert d.A.id_number in row.institutions
    booked = approved(spine, what, row, 2)
    assert booked.outcome.result is Result.BOOKED
    assert [x.kind for x in booked.outcome.certificates] == ["TITLE", "PROOF"]
    after = unit(spine, what)
    assert isinstance(after.ownership, Ownership)
    assert [o.person for o in after.ownership.owners] == [d.BUYER]
    [mortgage] = after.mortgages
    assert isinstance(mortgage, Mortgage)
    assert (mortgage.mortgagees, mortgage.rank_at_registration) == ((d.B,), 1)


async def test_case_at_the_tax_gate_keeps_its_place_in_the_queue(spine: Spine) -> None:
    """Golden 22 over the storage: the waiting case is open, another one on the unit comes after it."""
    what = timed(spine, d.submission(tax_clearances=()), 1)
    row = await row_of(spine, submitted(spine, what, 1))
    held = approved(spine, what, row, 2)
    assert held.outcome.state is State.AWAITING_TAX
    assert (await row_of(spine, held)).gate_expires_at is not None
    second = timed(spine, d.notices((d.sale_notice(),)), 3)
    behind = submitted(spine, second, 3)
    assert "S-QUEUE" in {f.code for f in behind.outcome.findings}
    assert unit(spine, what).ownership == c.unit_state().ownership


async def test_two_pre_notices_through_the_sequencer_are_both_live(spine: Spine) -> None:
    """Golden 12, phase 1, over the storage: two proofs of consecutive numbers, the old mortgage untouched."""
    what = timed(spine, d.notices((d.sale_notice(), d.mortgage_notice())), 1)
    row = await row_of(spine, submitted(spine, what, 1))
    booked = approved(spine, what, row, 2)
    assert booked.outcome.result is Result.BOOKED
    numbers = [int(x.number[-8:-1]) for x in booked.outcome.certificates]
    assert numbers == [numbers[0], numbers[0] + 1]
    after = unit(spine, what)
    notices = [right for right in after.rights if isinstance(right, PreNotice)]
    assert [n.obligors for n in notices] == [(d.SELLER,), (d.BUYER,)]
    assert len(after.mortgages) == 1
