"""What a payout check is answered from, on one snapshot: certificate, right, units, open cases, the case's phases."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from gateway.cases.model import Application, OpenCase
from gateway.register.model import AnyRight, UnitState
from gateway.storage import tables as t
from gateway.storage.settings import Settings
from gateway.storage.statements import decode_application, find_application, one
from gateway.storage.working import Row, Working
from ledger.records import Head
from ledger.store import Ledger

_decode_right = msgspec.json.Decoder(AnyRight).decode


@dataclass(frozen=True, slots=True)
class PayoutRecord:
    """As of the end of the chain in `head`. `sealed_at`: when the last certificate of the application was sealed."""

    certificate: Row
    content: bytes
    content_sha256: str
    right: AnyRight | None
    live: bool
    booked_index: int
    units: dict[str, UnitState]
    open_cases: dict[str, tuple[OpenCase, ...]]
    application: Application | None
    phases: tuple[Application, ...]
    sealed_at: dt.datetime | None
    head: Head


def read_payout(
    connection: Connection, ledger: Ledger, registry: str, identifier: str
) -> PayoutRecord | None:
    """The record of a certificate; None when it is unknown."""
    certificate = one(connection, t.certificate, registry, identifier)
    if certificate is None:
        return None
    _, content = ledger.read_part(connection, registry, certificate["entry_index"], certificate["part"])
    found = one(connection, t.right, registry, certificate["right_id"])
    right = None if found is None else _decode_right(found["body"])
    working = Working(connection, registry, Settings())
    codes = right.units if right is not None else ()
    application = find_application(connection, registry, certificate["application_id"])
    return PayoutRecord(
        certificate=certificate,
        content=content,
        content_sha256=hashlib.sha256(content).hexdigest(),
        right=right,
        live=bool(found and found["live"]),
        booked_index=int(found["booked_index"]) if found else 0,
        units={code: state for code in codes if (state := working.unit_state(code)) is not None},
        open_cases={code: tuple(working.open_cases(code)) for code in codes},
        application=application,
        phases=phases_of(connection, application) if application else (),
        sealed_at=sealed_at(connection, application) if application else None,
        head=ledger.head(connection, registry, for_update=False),
    )


def phases_of(connection: Connection, row: Application) -> tuple[Application, ...]:
    """Every application of the same case, the row itself among them, in order of submission."""
    table = t.application
    case_id = row.case.rpartition("/")[2] or row.application_id
    statement = (
        select(table.c.body)
        .where(table.c.registry == row.registry, table.c.case_id == case_id)
        .order_by(table.c.submitted_index)
    )
    return tuple(decode_application(body) for (body,) in connection.execute(statement))


def sealed_at(connection: Connection, row: Application) -> dt.datetime | None:
    """When the last certificate of an application was sealed; None while one is not, or it has none."""
    if not row.certificates:
        return None
    table = t.certificate
    statement = select(table.c.sealed_at).where(
        table.c.registry == row.registry, table.c.identifier.in_(row.certificates)
    )
    times = list(connection.execute(statement).scalars())
    if not times or not all(times):
        return None
    return dt.datetime.fromisoformat(max(times))
