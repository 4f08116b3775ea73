"""The values that go into and come out of the store, and how stored entries are read.

Nothing here needs a key: an auditor and the publisher read entries with this module alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from ledger.entry import INDEX_MAX, Entry, from_microseconds, parse_entry, read_entry_time
from ledger.errors import LedgerDamagedError, RangeError
from ledger.hashing import leaf_hash
from ledger.tables import ledger_entry
from ledger.tree import Frontier

READ_COUNT_MAX: Final = 10_000
"""Entries that one call reads at most."""

_SELECT_ENTRIES: Final = (
    select(ledger_entry.c.entry_index, ledger_entry.c.entry)
    .where(
        ledger_entry.c.registry == bindparam("registry"),
        ledger_entry.c.entry_index >= bindparam("start"),
        ledger_entry.c.entry_index < bindparam("stop"),
    )
    .order_by(ledger_entry.c.entry_index)
)


class PartDraft(NamedTuple):
    """A part to append. name: [a-z0-9./_-]. salt: 32 random bytes. key_id: which key seals it."""

    name: str
    content: bytes
    key_id: str
    salt: bytes


class EntryDraft(NamedTuple):
    """An entry to append. kind: [a-z0-9./_-]. Part names differ; their order is kept."""

    kind: str
    parts: tuple[PartDraft, ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a draft went.

    index: from 0. entry_hash: RFC 6962 leaf hash, 32 bytes. data: the entry's bytes.
    """

    index: int
    entry_hash: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain as it was read or written.

    size: number of entries. head_hash: entry hash of the last entry, 32 zero bytes before the
    first. head_time: its time, UTC; 1970-01-01 before the first. frontier: tree over all entries.
    """

    registry: str
    origin: str
    size: int
    head_hash: bytes
    head_time: datetime
    frontier: Frontier


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it lies in the database. data: its bytes, unparsed."""

    index: int
    data: bytes

    def entry_hash(self) -> bytes:
        """Return the RFC 6962 leaf hash of the bytes, 32 bytes."""
        return leaf_hash(self.data)

    def parse(self) -> Entry:
        """Return the entry's fields. Raises EntryInvalidError for damaged bytes."""
        return parse_entry(self.data)

    def time(self) -> datetime:
        """Return the time, UTC, without checking the rest of the bytes. Raises EntryInvalidError."""
        return read_entry_time(self.data)


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part, opened."""

    index: int
    name: str
    salt: bytes
    content: bytes


def read_entries(conn: Connection, registry: str, start: int, count: int) -> list[StoredEntry]:
    """Return at most `count` (1..10,000) entries from index `start` on; needs no vault."""
    check_range(start, count)
    rows = conn.execute(_SELECT_ENTRIES, {"registry": registry, "start": start, "stop": start + count})
    return [StoredEntry(index, bytes(data)) for index, data in rows]


def parse_head(row: Any) -> Head:
    """Return a row of `ledger_head` as a value. Raises LedgerDamagedError."""
    try:
        frontier = Frontier.decode(row.frontier)
    except ValueError as error:
        raise LedgerDamagedError(row.registry, "ledger_head", str(error)) from error
    if frontier.size != row.size:
        raise LedgerDamagedError(
            row.registry, "ledger_head", f"size is {row.size}, the frontier's {frontier.size}"
        )
    time = from_microseconds(row.head_time)
    return Head(row.registry, row.origin, row.size, row.head_hash, time, frontier)


def check_range(start: int, count: int) -> None:
    """Raise RangeError unless `count` entries from `start` on may be read at once."""
    if not 1 <= count <= READ_COUNT_MAX:
        raise RangeError("count", count, 1, READ_COUNT_MAX)
    if not 0 <= start <= INDEX_MAX - READ_COUNT_MAX:
        raise RangeError("start", start, 0, INDEX_MAX - READ_COUNT_MAX)
