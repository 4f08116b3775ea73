"""Reads a ledger for a report: the `effects` parts, a few hundred at a time, on a connection of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from gateway.cases.effects import decode_effects
from gateway.reports.tally import Tally
from ledger.store import Ledger

#: Entries read at a time; between two chunks no snapshot is held.
ENTRIES_READ: Final = 200

Progress = Callable[[int, int], None]


def tally_ledger(
    connection: Connection, ledger: Ledger, registry: str, tally: Tally, progress: Progress
) -> int:
    """Fold a whole ledger into `tally`; the number of entries read. progress: (entries done, entries in all).

    Raises LedgerError, or msgspec.MsgspecError for effects that this version does not know.
    """
    size = ledger.head(connection, registry, for_update=False).size
    for start in range(0, size, ENTRIES_READ):
        stop = min(start + ENTRIES_READ, size)
        for part in ledger.iterate_part(connection, registry, "effects", start, stop):
            tally.take(decode_effects(part.content))
        connection.rollback()
        progress(stop, size)
    return size
