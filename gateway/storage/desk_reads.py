"""What day-end statements are made of: an institution's events of a day, the rights that they are about, its portfolio.

A day is found by halving, in the chain by the time of entries and among the institution's events by their sequence,
which has no gaps; so a day costs what happened on it. The portfolio is read in chunks, each a transaction of its own,
pinned to one ledger index: rows of the register are superseded, never edited, so they say what was live at any entry.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, func, or_, select

from gateway.register.model import AnyRight, Mortgage, MortgageKind, PreNotice
from gateway.register.order import RightHistory
from gateway.statements.desk import EventLine, RightLine
from gateway.storage import tables as t
from gateway.storage.history import right_history, rights_of_unit
from gateway.storage.statements import find_application, one
from gateway.storage.working import Row
from ledger.records import Head
from ledger.store import Ledger

_decode_right = msgspec.json.Decoder(AnyRight).decode

#: Rows of the register that one chunk of a portfolio looks at.
CHUNK_ROWS: Final = 2000


@dataclass(frozen=True, slots=True)
class Day:
    """A day: the entries of the chain, the institution's events, the rights that began and ended with them."""

    first_index: int
    last_index: int
    first_sequence: int
    events: tuple[EventLine, ...]
    begun: tuple[RightLine, ...]
    ended: tuple[RightLine, ...]
    head: Head


def read_day(
    connection: Connection,
    ledger: Ledger,
    registry: str,
    institution: str,
    codes: frozenset[str],
    start: dt.datetime,
    end: dt.datetime,
) -> Day:
    """What an institution was told from `start` to before `end`. `codes`: under which it is of record as a holder."""
    head = ledger.head(connection, registry, for_update=False)
    indexes = range(head.size)

    def time_of(index: int) -> dt.datetime:
        return ledger.read_entry(connection, registry, index).parse().time

    first, after = (bisect_left(indexes, at, key=time_of) for at in (start, end))
    sequence, rows = _events(connection, registry, institution, first, after - 1)
    return Day(
        first_index=first,
        last_index=after - 1,
        first_sequence=sequence,
        events=tuple(_event_line(row) for row in rows),
        begun=tuple(_begun(connection, registry, rows, codes)),
        ended=tuple(_ended(connection, registry, rows, codes)),
        head=head,
    )


def read_portfolio(
    connection: Connection, registry: str, codes: frozenset[str], as_of_index: int, after: str
) -> tuple[list[RightLine], str]:
    """The next live mortgages after a right id, and up to which id was looked; empty when that was the last."""
    table = t.right
    statement = (
        select(table.c.right_id, table.c.body, table.c.booked_index)
        .where(
            table.c.registry == registry,
            table.c.right_id > after,
            table.c.kind == "MORTGAGE",
            table.c.booked_index <= as_of_index,
            or_(table.c.ended_index.is_(None), table.c.ended_index > as_of_index),
        )
        .order_by(table.c.right_id)
        .limit(CHUNK_ROWS)
    )
    rows = connection.execute(statement).all()
    wanted = tuple(code.encode() for code in codes)
    lines = [
        line
        for _, body, index in rows
        if any(code in body for code in wanted)  # most are others': not worth a decoding
        for line in _line(_decode_right(body), index, codes)
    ]
    return lines, rows[-1][0] if len(rows) == CHUNK_ROWS else ""


def _events(
    connection: Connection, registry: str, institution: str, first: int, last: int
) -> tuple[int, list[Row]]:
    """The institution's events of these entries, in order, and the sequence of the first of them."""
    table = t.event
    own = (table.c.registry == registry, table.c.institution == institution)
    count = connection.execute(select(func.max(table.c.sequence)).where(*own)).scalar() or 0
    sequences = range(1, count + 1)

    def index_of(sequence: int) -> int:
        found = select(table.c.entry_index).where(*own, table.c.sequence == sequence)
        return int(connection.execute(found).scalar_one())

    start = bisect_left(sequences, first, key=index_of) + 1
    end = bisect_right(sequences, last, key=index_of)
    statement = select(table).where(*own, table.c.sequence.between(start, end)).order_by(table.c.sequence)
    return start, [dict(row) for row in connection.execute(statement).mappings()]


def _event_line(row: Row) -> EventLine:
    return EventLine(
        sequence=row["sequence"],
        kind=row["kind"].removeprefix("APPLICATION_"),
        application=row["application_id"],
        certificate=row["certificate"],
        case_number=row["case_number"],
        index=row["entry_index"],
    )


def _begun(
    connection: Connection, registry: str, events: list[Row], codes: frozenset[str]
) -> Iterator[RightLine]:
    """Rights of the institution that the entries of its events booked: a right's id begins with its entry.

    Not what a later step of the same entry superseded.
    """
    table = t.right
    for index in sorted({row["entry_index"] for row in events}):
        statement = select(table.c.body).where(
            table.c.registry == registry,
            table.c.right_id.between(f"{index}.", f"{index}/"),
            or_(table.c.ended_index.is_(None), table.c.ended_index != index),
        )
        for (body,) in connection.execute(statement).all():
            yield from _line(_decode_right(body), index, codes)


def _ended(
    connection: Connection, registry: str, events: list[Row], codes: frozenset[str]
) -> Iterator[RightLine]:
    """Rights of the institution that the entries of its events ended: by their certificate, or by a case on a unit."""
    seen: set[tuple[str, int]] = set()
    for row in events:
        index = row["entry_index"]
        for history in _touched(connection, registry, row):
            key = (history.right.right_id, index)
            if history.ended_index != index or history.booked_index == index or key in seen:
                continue
            seen.add(key)
            yield from _line(history.right, index, codes)


def _touched(connection: Connection, registry: str, event: Row) -> list[RightHistory]:
    """Rights that an entry with such an event may have ended."""
    if event["kind"] == "CERTIFICATE_ENDED":
        certificate = one(connection, t.certificate, registry, event["certificate"])
        found = right_history(connection, registry, certificate["right_id"]) if certificate else None
        return [found] if found is not None else []
    if event["kind"] != "APPLICATION_BOOKED":
        return []
    case = find_application(connection, registry, event["application_id"])
    codes = case.units if case else ()
    return [history for code in codes for history in rights_of_unit(connection, registry, code)]


def _line(right: AnyRight, index: int, codes: frozenset[str]) -> Iterator[RightLine]:
    """The right as a line, where the institution is of record as its holder."""
    match right:
        case Mortgage():
            maximum = right.kind is MortgageKind.MAXIMUM_AMOUNT
            holders = right.mortgagees
            amount = (right.max_claim_amount_fen if maximum else right.claim_amount_fen) or 0
            currency, rank = right.currency, right.agreed_rank or right.rank_at_registration
        case PreNotice():
            holders, amount, currency, rank = right.holders, right.amount_fen, "CNY", 0
        case _:
            return
    if any(p.is_institution and p.id_number in codes for p in holders):
        yield RightLine(
            right_id=right.right_id,
            kind=str(type(right).__struct_config__.tag),
            proof_number=right.proof.number,
            amount_fen=amount,
            currency=currency,
            rank=rank,
            index=index,
        )
