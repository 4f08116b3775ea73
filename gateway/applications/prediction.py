"""试算预测: what a submission made now would meet: who goes before it, at which rank it would stand, by when. Pure.

Binds nothing. It is told only to whom register facts may be told (rehearsal.py): the cases on a unit are such facts.
"""

from __future__ import annotations

import datetime as dt

from gateway.applications.booking import Ahead
from gateway.applications.limits import foreseen
from gateway.cases.model import Manifest, Moment, World
from gateway.cases.terms import operation_name
from gateway.register.model import Value


class PredictedRank(Value, frozen=True, kw_only=True):
    """Rank of one new mortgage on one unit: as the register stands, and behind the cases that go before it."""

    operation: int
    unit_code: str
    rank: int
    rank_at_worst: int


class Prediction(Value, frozen=True, kw_only=True):
    """What is to be expected as of one entry. `deadline` is a day in China, were it accepted at `accepted_at`."""

    cases_before: int
    ranks: tuple[PredictedRank, ...]
    accepted_at: dt.datetime
    deadline: dt.date
    deadline_at: dt.datetime | None = None
    deadline_provisional: bool


def predict(world: World, manifest: Manifest, moment: Moment) -> Prediction:
    """The prediction for a manifest that was examined on this world."""
    before = {
        code: {case.application_id for case in world.open_cases.get(code, ())}
        for code in manifest.terms.unit_codes
    }
    operations = [operation_name(operation) for operation in manifest.terms.operations]
    limit = foreseen(world.profile, manifest.terms.mode, tuple(operations), moment.now, world.calendar)
    return Prediction(
        cases_before=len(set().union(*before.values())) if _queues(operations) else 0,
        ranks=_ranks(world, manifest, moment, {code: len(cases) for code, cases in before.items()}),
        accepted_at=moment.now,
        deadline=limit.day,
        deadline_at=limit.at,
        deadline_provisional=limit.provisional,
    )


def _queues(operations: list[str]) -> bool:
    """A release alone waits behind nobody (handbook 3.2)."""
    return any("RELEASE" not in name for name in operations)


def _ranks(
    world: World, manifest: Manifest, moment: Moment, before: dict[str, int]
) -> tuple[PredictedRank, ...]:
    """Each step is booked on paper, on the units as the steps before it leave them; what is new is read off."""
    ahead = Ahead(world, manifest.terms, moment.now)
    known = {m.identity for state in ahead.states.values() for m in state.mortgages}
    found = []
    for number, operation in enumerate(manifest.terms.operations):
        ahead.take(operation)
        new = {
            right.identity: right
            for code in operation.units
            if (state := ahead.states.get(code)) is not None
            for right in state.mortgages
            if right.identity not in known  # a change keeps its rank (RD 68)
        }
        known |= set(new)
        for right in new.values():
            rank = right.agreed_rank or right.rank_at_registration
            found += [
                PredictedRank(
                    operation=number,
                    unit_code=code,
                    rank=rank,
                    rank_at_worst=rank if right.agreed_rank else rank + before.get(code, 0),
                )
                for code in right.units
            ]
    return tuple(found)
