"""Where time stamps of checkpoints are kept (RFC 3161), and whether each is what it must be.

A token is over the exact bytes of a checkpoint's note as the log signed it, without cosignatures. What it proves, and
who is believed to tell the time, this package does not know: a caller who does brings a `StampCheck`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, inspect, select

from ledger.report import Findings, name_row
from ledger.tables import ledger_checkpoint, ledger_stamp

StampCheck = Callable[[bytes, bytes], str]
"""(a checkpoint's note, token) → what is wrong with the token; empty where it holds."""

_t = ledger_stamp.c
_c = ledger_checkpoint.c
_KNOWN: Final = select(_t.size).where(_t.registry == bindparam("registry"), _t.size == bindparam("size"))
_NEWEST: Final = select(func.max(_t.size)).where(_t.registry == bindparam("registry"))
_COVERING: Final = (
    select(_t.size, _t.token, _c.note)
    .join_from(ledger_stamp, ledger_checkpoint, (_c.registry == _t.registry) & (_c.size == _t.size))
    .where(_t.registry == bindparam("registry"), _t.size >= bindparam("at_least"))
    .order_by(_t.size)
    .limit(1)
)
_ALL: Final = (
    select(_t.size, _t.token, _c.note)
    .join_from(
        ledger_stamp, ledger_checkpoint, (_c.registry == _t.registry) & (_c.size == _t.size), isouter=True
    )
    .where(_t.registry == bindparam("registry"))
    .order_by(_t.size)
)


@dataclass(frozen=True, slots=True)
class StampedCheckpoint:
    """A checkpoint with its time stamp: size, the note that the log signed, token (DER)."""

    size: int
    note: bytes
    token: bytes


def store_stamp(conn: Connection, registry: str, size: int, token: bytes) -> None:
    """Keep the token over the checkpoint of `size`; the first one stays. The caller has verified it."""
    values = {"registry": registry, "size": size}
    if conn.execute(_KNOWN, values).first() is None:
        conn.execute(insert(ledger_stamp), {**values, "token": token})


def newest_stamped(conn: Connection, registry: str) -> StampedCheckpoint | None:
    """Return the largest checkpoint that has a time stamp, or None before the first."""
    size = conn.execute(_NEWEST, {"registry": registry}).scalar()
    return None if size is None else first_stamped(conn, registry, size)


def first_stamped(conn: Connection, registry: str, at_least: int) -> StampedCheckpoint | None:
    """Return the smallest stamped checkpoint of at least so many entries, or None while there is none."""
    row = conn.execute(_COVERING, {"registry": registry, "at_least": at_least}).first()
    return None if row is None else StampedCheckpoint(row.size, bytes(row.note), bytes(row.token))


def audit_stamps(conn: Connection, registry: str, findings: Findings, check: StampCheck | None = None) -> int:
    """Note every row whose token is not over that checkpoint, or does not hold; return how many there are.

    Without `check` only that each row has its checkpoint is looked at.
    """
    if not inspect(conn).has_table(ledger_stamp.name):
        return 0  # a ledger of an older version: the next start of a gateway makes it
    rows = conn.execute(_ALL, {"registry": registry}).all()
    for size, token, note in rows:
        if note is None:
            rule = "there is no checkpoint of that size"
        elif not isinstance(token, bytes | memoryview):
            rule = "its token is not bytes"
        else:
            rule = check(bytes(note), bytes(token)) if check is not None else ""
        if rule:
            row = name_row(ledger_stamp.name, "token", {"size": size})
            findings.row(ledger_stamp.name, row, "STAMP_CHANGED", rule)
    return len(rows)
