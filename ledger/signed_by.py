"""Which stored checkpoints rest on one key of their log alone: what to look at when somebody else has had it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, false, func, or_, select

from ledger.entry import read_entry_time
from ledger.tables import ledger_checkpoint, ledger_entry

_T: Final = ledger_checkpoint.c
_ENTRY: Final = select(ledger_entry.c.entry).where(
    ledger_entry.c.registry == bindparam("registry"), ledger_entry.c.entry_index == bindparam("index")
)
_SIZE: Final = select(func.max(ledger_entry.c.entry_index)).where(
    ledger_entry.c.registry == bindparam("registry")
)


@dataclass(frozen=True, slots=True)
class SignedSize:
    """A checkpoint that was signed: entries, root (32 bytes), time of the newest entry, before which it was not."""

    size: int
    root: bytes
    newest_entry_at: datetime


def size_since(conn: Connection, registry: str, since: datetime) -> int:
    """The smallest size whose newest entry is of `since` or later; one above all where there is none.

    Times never run back along the chain, so a few entries are read.
    """
    low, high = 0, (conn.execute(_SIZE, {"registry": registry}).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        if _time_of(conn, registry, middle) >= since:
            high = middle
        else:
            low = middle + 1
    return low + 1


def read_signed(
    conn: Connection, registry: str, sizes: Sequence[range], after: int, limit: int
) -> list[SignedSize]:
    """The stored checkpoints of `sizes` above `after`, by size."""
    statement = select(_T.size, _T.root).where(_within(registry, sizes, after)).order_by(_T.size).limit(limit)
    return [
        SignedSize(row.size, bytes(row.root), _time_of(conn, registry, row.size - 1))
        for row in conn.execute(statement).all()
    ]


def count_signed(conn: Connection, registry: str, sizes: Sequence[range], after: int) -> int:
    """How many these are."""
    statement = select(func.count()).select_from(ledger_checkpoint).where(_within(registry, sizes, after))
    return conn.execute(statement).scalar() or 0


def _within(registry: str, sizes: Sequence[range], after: int) -> ColumnElement[bool]:
    inside = [_T.size.between(one.start, one.stop - 1) for one in sizes]
    return and_(_T.registry == registry, _T.size > after, or_(false(), *inside))


def _time_of(conn: Connection, registry: str, index: int) -> datetime:
    data: bytes = conn.execute(_ENTRY, {"registry": registry, "index": index}).scalar_one()
    return read_entry_time(bytes(data))
