"""Events: what each institution of a case is told, numbered without gaps in the commit that caused it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.cases.effects import AnyEffect, CertificateEnded, EventRecorded
from gateway.cases.model import Application, Moment, State, World
from gateway.kinds.funds_due import due_by_payoff, due_by_phase, due_now

#: Event kind of each state an application can be left in.
KIND_OF_STATE = {state: f"APPLICATION_{state.value}" for state in State}

#: Event of a certificate that no longer proves a live right.
CERTIFICATE_ENDED = "CERTIFICATE_ENDED"

#: Event of a pre-notice whose 90 days run from another day than was known.
PRE_NOTICE_STANDS = "PRE_NOTICE_STANDS"

#: Event of a leg of the funds plan that became payable.
FUNDS_LEG_DUE = "FUNDS_LEG_DUE"


def tell(
    world: World, row: Application, moment: Moment, counters: Mapping[str, int], *, kind: str = ""
) -> tuple[list[AnyEffect], dict[str, int]]:
    """One event for each registered institution of the case; returns them and the counters moved so far.

    `kind` is the act's own event where the state alone does not say what happened (JOINED, DECLINED …).
    """
    return _each(world, row, moment, counters, row.institutions, kind or KIND_OF_STATE[row.state])


def tell_holders(
    world: World, row: Application, moment: Moment, counters: Mapping[str, int], effects: Iterable[AnyEffect]
) -> tuple[list[AnyEffect], dict[str, int]]:
    """One event for each registered holder of each certificate that this booking ended, of the case or not.

    Whoever relies on a proof hears in the booking itself that it is void (handbook 7), whosever case made it so.
    """
    moved = dict(counters)
    told: list[AnyEffect] = []
    for ended in effects:
        if not isinstance(ended, CertificateEnded):
            continue
        holders = world.certificate_holders.get(ended.identifier, ())
        found, moved = _each(world, row, moment, moved, holders, CERTIFICATE_ENDED, ended.identifier)
        told += found
    return told, moved


def tell_due(
    world: World, row: Application, moment: Moment, counters: Mapping[str, int], *, booked: bool
) -> tuple[list[AnyEffect], dict[str, int]]:
    """One event for each registered institution where this entry makes a leg of a funds plan payable.

    The plan may be that of the first phase of the case: a later one can bring the release that it waits for, or be the
    one whose payoff is found settled.
    """
    told: list[AnyEffect] = []
    moved = dict(counters)
    settled = row.payoff_settled_at == moment.now
    if due_now(row, accepted=row.accepted_index == moment.index, booked=booked) or (
        settled and due_by_payoff(row, row, world.phases)
    ):
        told, moved = _each(world, row, moment, moved, row.institutions, FUNDS_LEG_DUE)
    first = world.named.get(row.case)
    if first is not None and (
        (booked and due_by_phase(first, row)) or (settled and due_by_payoff(first, row, world.phases))
    ):
        both = [uscc for uscc in first.institutions if uscc in row.institutions]
        more, moved = _each(world, first, moment, moved, both, FUNDS_LEG_DUE)
        told += more
    return told, moved


def _each(
    world: World,
    row: Application,
    moment: Moment,
    counters: Mapping[str, int],
    institutions: Sequence[str],
    kind: str,
    certificate: str = "",
) -> tuple[list[AnyEffect], dict[str, int]]:
    moved = dict(counters)
    told: list[AnyEffect] = []
    for uscc in institutions:
        if uscc not in world.institutions:
            continue
        name = counter_name(uscc)
        moved[name] = moved.get(name, world.counters.get(name, 0)) + 1
        told.append(
            EventRecorded(
                institution=uscc,
                sequence=moved[name],
                kind=kind,
                application_id=row.application_id,
                state=row.state.value,
                at=moment.now,
                certificate=certificate,
                case_number=row.case_number,
            )
        )
    return told, moved


def counter_name(uscc: str) -> str:
    """The counter behind an institution's event sequence."""
    return f"event/{uscc}"
