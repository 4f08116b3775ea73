"""Everything that ever lay on a unit, with the entries that brought it and ended it. Reads on one snapshot."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from gateway.cases.effects import RightEnded
from gateway.cases.feed import COUNTER, CounterCase
from gateway.register.model import AnyRight
from gateway.register.order import CaseHistory, RightHistory
from gateway.storage import tables as t
from gateway.storage.statements import find_application

_decode_right = msgspec.json.Decoder(AnyRight).decode
_decode_ended = msgspec.json.Decoder(RightEnded).decode
_decode_case = msgspec.json.Decoder(CounterCase).decode


def right_history(connection: Connection, registry: str, right_id: str) -> RightHistory | None:
    """One right with its entries; None when the register never had it."""
    statement = select(t.right).where(t.right.c.registry == registry, t.right.c.right_id == right_id)
    row = connection.execute(statement).mappings().first()
    return None if row is None else _history(dict(row))


def rights_of_unit(connection: Connection, registry: str, unit_code: str) -> list[RightHistory]:
    """Every right that was ever booked on a unit, in order of the ledger."""
    join = t.unit_right.join(
        t.right,
        (t.right.c.registry == t.unit_right.c.registry) & (t.right.c.right_id == t.unit_right.c.right_id),
    )
    statement = (
        select(t.right)
        .select_from(join)
        .where(t.unit_right.c.registry == registry, t.unit_right.c.unit_code == unit_code)
        .order_by(t.right.c.booked_index, t.right.c.right_id)
    )
    return [_history(dict(row)) for row in connection.execute(statement).mappings()]


def cases_of_unit(connection: Connection, registry: str, unit_code: str) -> list[CaseHistory]:
    """Every case that ever held a place on a unit, ours and the counter's; the open ones and those that ended."""
    table = t.open_case
    statement = select(table.c.application_id).where(
        table.c.registry == registry, table.c.unit_code == unit_code
    )
    found = []
    for case_id in connection.execute(statement).scalars():
        if case_id.startswith(COUNTER):
            found.append(_counter_case(connection, registry, case_id.removeprefix(COUNTER)))
            continue
        row = find_application(connection, registry, case_id)
        if row is not None and row.accepted_at is not None and row.accepted_index is not None:
            found.append(
                CaseHistory(
                    case_number=row.case_number, accepted_at=row.accepted_at, index=row.accepted_index
                )
            )
    return [case for case in found if case is not None]


def open_counter_cases(connection: Connection, registry: str, unit_code: str) -> list[CounterCase]:
    """The counter's cases that hold a place on a unit now, in order of the queue."""
    table = t.open_case
    statement = (
        select(table.c.application_id)
        .where(table.c.registry == registry, table.c.unit_code == unit_code, table.c.is_open.is_(True))
        .order_by(table.c.accepted_index)
    )
    numbers = [
        i.removeprefix(COUNTER) for i in connection.execute(statement).scalars() if i.startswith(COUNTER)
    ]
    rows = (_case_row(connection, registry, number) for number in numbers)
    return [_decode_case(row["body"]) for row in rows if row is not None]


def _case_row(connection: Connection, registry: str, case_number: str) -> dict[str, Any] | None:
    table = t.counter_case
    statement = select(table).where(table.c.registry == registry, table.c.case_number == case_number)
    row = connection.execute(statement).mappings().first()
    return None if row is None else dict(row)


def _counter_case(connection: Connection, registry: str, case_number: str) -> CaseHistory | None:
    row = _case_row(connection, registry, case_number)
    if row is None:
        return None
    case = _decode_case(row["body"])
    return CaseHistory(
        case_number=case.case_number, accepted_at=case.accepted_at, index=case.known_index, at_counter=True
    )


def _history(row: dict[str, Any]) -> RightHistory:
    ended_at: dt.datetime | None = None
    if row["ended"] is not None:
        ended_at = _decode_ended(row["ended"]).ended_at
    return RightHistory(
        right=_decode_right(row["body"]),
        kind=row["kind"],
        booked_index=row["booked_index"],
        ended_index=row["ended_index"],
        ended_at=ended_at,
    )
