"""The board: every open case of the caller's with whom it waits for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from gateway.applications.readiness import Wait, waits_of
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import OPEN, Application, State
from gateway.kinds.gating import silent_on_payoff
from gateway.kinds.payoff_deadline import owing
from gateway.pb.diya.v1 import application_pb2, desk_service_pb2
from gateway.register.model import Party
from gateway.rpc import encode
from gateway.rpc.acts import filed_of
from gateway.rpc.case_view import Reader
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.working import instant

#: States in which a case waits for somebody.
_OPEN: Final = tuple(state.value for state in OPEN)

_LAST: Final = "~"  # sorts after every instant


async def board_of(
    queries: Queries, settings: Settings, registry: str, reader: Reader, now: dt.datetime
) -> dict[str, desk_service_pb2.ReadinessItem]:
    """Everything that the reader's cases wait for, by a key in whose order it is told."""
    rows = [*await queries.applications_in(registry, _OPEN), *await queries.payoffs_watched(registry)]
    own = [row for row in rows if reader.is_among(_parties_of(row, settings))]
    records = await queries.case_records(registry, own)
    items: dict[str, desk_service_pb2.ReadinessItem] = {}
    for row, record in zip(own, records, strict=True):
        outcome = record.outcome
        waits = waits_of(
            row,
            awaited=outcome.awaiting if outcome else (),
            findings=outcome.findings if outcome else (),
            payoff_by=await _payoff_by(queries, settings, row),
            owes=await _owes(queries, row),
        )
        for number, wait in enumerate(waits):
            until = instant(wait.until) if wait.until else _LAST
            key = f"{until} {instant(wait.since)} {row.application_id} {number:04d}"
            items[key] = _item(row, wait, now)
    return items


def _parties_of(row: Application, settings: Settings) -> Iterable[str]:
    """Institutions that may see the case, and those whose act it awaits."""
    return (*row.institutions, *row.awaiting)


async def _payoff_by(queries: Queries, settings: Settings, row: Application) -> tuple[Party, ...]:
    """The old mortgagees that have not spoken on the payoff of a case that waits for it."""
    if row.state is not State.AWAITING_PAYOFF:
        return ()
    try:
        filed = await filed_of(queries, row)
    except ApplicationNotFound:
        return ()
    return silent_on_payoff(row, filed.manifest.terms, settings.institutions)


async def _owes(queries: Queries, row: Application) -> tuple[Party, ...]:
    if row.state is not State.BOOKED:
        return ()
    return owing(row, await queries.unit_states(row.registry, row.units))


def _item(row: Application, wait: Wait, now: dt.datetime) -> desk_service_pb2.ReadinessItem:
    return desk_service_pb2.ReadinessItem(
        application=row.name,
        case_number=row.case_number,
        state=application_pb2.Application.State.Value(f"STATE_{row.state}"),
        ground=desk_service_pb2.ReadinessGround.Value(f"READINESS_GROUND_{wait.ground}"),
        institution=wait.institution,
        who=wait.who,
        since=encode.timestamp(wait.since),
        until=encode.timestamp(wait.until),
        overdue=wait.is_overdue(now),
        code=wait.code,
        zh=wait.zh,
        en=wait.en,
        reminded_at=encode.timestamp(wait.reminded_at),
    )
