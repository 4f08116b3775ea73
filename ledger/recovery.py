"""Beginning a log anew, under another origin, with all that is left of the one before it.

A log that has signed for entries that are gone may sign nothing more: each further checkpoint could contradict one
that somebody holds. What is left goes on as another log. Each entry keeps its index, time, kind and commitments; only
the lines of origin and previous hash are others, so whoever has the new entries can compute the former ones, and the
former root, from them (docs/ledger-format.md, 1.2). Parts and keys are not touched: what seals them knows no origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, delete, update

from ledger.entry import NO_PREVIOUS, Entry
from ledger.errors import RegistryUnknownError
from ledger.hashing import EMPTY_ROOT, leaf_hash
from ledger.records import read_entries
from ledger.tables import (
    ledger_checkpoint,
    ledger_cosignature,
    ledger_entry,
    ledger_head,
    ledger_published,
    ledger_stamp,
    ledger_tile,
)
from ledger.tree import Frontier

_READ_COUNT: Final = 4096
_REWRITE: Final = (
    update(ledger_entry)
    .where(
        ledger_entry.c.registry == bindparam("at_registry"),
        ledger_entry.c.entry_index == bindparam("at_index"),
    )
    .values(entry=bindparam("data"))
)


def begin_anew(conn: Connection, registry: str, origin: str) -> int:
    """Write every entry of a registry anew under `origin`, and forget its tiles and checkpoints; return the size.

    In the caller's transaction, under the writer's lock, after the ledger was verified and copied. The caller appends
    the entry that tells of it, and publishes, in the same transaction. Raises RegistryUnknownError, EntryInvalidError.
    """
    frontier, previous, size = Frontier(), NO_PREVIOUS, 0
    while rows := read_entries(conn, registry, size, _READ_COUNT):
        changed = []
        for data in _under(origin, (row.parse() for row in rows), previous):
            previous = leaf_hash(data)
            changed.append({"at_registry": registry, "at_index": size, "data": data})
            frontier = frontier.append(previous)
            size += 1
        conn.execute(_REWRITE, changed)
    for table in (ledger_tile, ledger_checkpoint, ledger_cosignature, ledger_stamp):
        conn.execute(delete(table).where(table.c.registry == registry))
    conn.execute(
        update(ledger_published)
        .where(ledger_published.c.registry == registry)
        .values(size=0, root=EMPTY_ROOT)
    )
    moved = conn.execute(
        update(ledger_head)
        .where(ledger_head.c.registry == registry)
        .values(origin=origin, head_hash=previous, frontier=frontier.encode())
    )
    if moved.rowcount != 1:
        raise RegistryUnknownError(registry)
    return size


def _under(origin: str, entries: Iterator[Entry], previous: bytes) -> Iterator[bytes]:
    """The bytes of entries in order, as a log of another origin would have them."""
    for entry in entries:
        data = replace(entry, origin=origin, previous_hash=previous).encode()
        previous = leaf_hash(data)
        yield data
