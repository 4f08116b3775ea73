"""Events: what each institution of a case is told, numbered without gaps in the commit that caused it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cases.effects import AnyEffect, EventRecorded
from gateway.cases.model import Application, Moment, State, World

#: Event kind of each state an application can be left in.
KIND_OF_STATE = {state: f"APPLICATION_{state.value}" for state in State}


def tell(
    world: World, row: Application, moment: Moment, counters: Mapping[str, int], *, kind: str = ""
) -> tuple[list[AnyEffect], dict[str, int]]:
    """One event for each registered institution of the case; returns them and the counters moved so far.

    `kind` is the act's own event where the state alone does not say what happened (JOINED, DECLINED …).
    """
    moved = dict(counters)
    told: list[AnyEffect] = []
    for uscc in row.institutions:
        if uscc not in world.institutions:
            continue
        name = counter_name(uscc)
        moved[name] = moved.get(name, world.counters.get(name, 0)) + 1
        told.append(
            EventRecorded(
                institution=uscc,
                sequence=moved[name],
                kind=kind or KIND_OF_STATE[row.state],
                application_id=row.application_id,
                state=row.state.value,
                at=moment.now,
            )
        )
    return told, moved


def counter_name(uscc: str) -> str:
    """The counter behind an institution's event sequence."""
    return f"event/{uscc}"
