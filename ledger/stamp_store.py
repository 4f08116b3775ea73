"""Where time stamps of checkpoints are kept (RFC 3161), and whether each is what it must be.

A token is over the exact bytes of a checkpoint's note as the log signed it, without cosignatures. What it proves, and
who is believed to tell the time, this package does not know: a caller who does brings a `StampCheck`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, inspect, select

from ledger.report import Findings, name_row
from ledger.tables import ledger_checkpoint, ledger_stamp

StampCheck = Callable[[bytes, bytes], str]
"""(a checkpoint's note, token) → what is wrong with the token; empty where it holds."""

STAMP_CHANGED: Final = "STAMP_CHANGED"

_ROWS_READ: Final = 500
_SIZE_MIN: Final = -(2**63)

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
_PAGE: Final = (
    select(_t.size, _t.token, _c.note)
    .join_from(
        ledger_stamp, ledger_checkpoint, (_c.registry == _t.registry) & (_c.size == _t.size), isouter=True
    )
    .where(_t.registry == bindparam("registry"), _t.size > bindparam("after"))
    .order_by(_t.size)
    .limit(_ROWS_READ)
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
    if not inspect(conn).has_table(ledger_stamp.name):
        return None  # as in `audit_stamps`
    size = conn.execute(_NEWEST, {"registry": registry}).scalar()
    return None if size is None else first_stamped(conn, registry, size)


def first_stamped(conn: Connection, registry: str, at_least: int) -> StampedCheckpoint | None:
    """Return the smallest stamped checkpoint of at least so many entries, or None while there is none."""
    row = conn.execute(_COVERING, {"registry": registry, "at_least": at_least}).first()
    return None if row is None else StampedCheckpoint(row.size, bytes(row.note), bytes(row.token))


def audit_stamps(
    conn: Connection,
    registry: str,
    findings: Findings,
    check: StampCheck | None = None,
    step: Callable[[], None] = lambda: None,
) -> int:
    """Note every row whose token is not over that checkpoint, or does not hold; return how many rows there are.

    Without `check` only that each row has its checkpoint is looked at. step: called between pages of 500, where the
    read transaction may end.
    """
    if not inspect(conn).has_table(ledger_stamp.name):
        return 0  # a ledger of an older version: the next start of a gateway makes it
    count = 0
    for rows in _pages(conn, registry):
        for row in rows:
            if rule := _fault(row, check):
                name = name_row(ledger_stamp.name, "token", {"size": row.size})
                findings.row(ledger_stamp.name, name, STAMP_CHANGED, rule)
        count += len(rows)
        step()
    return count


def drop_lone_stamps(conn: Connection, registry: str) -> int:
    """Take away every row that has no checkpoint, in the caller's transaction; how many there were."""
    lone = [row.size for rows in _pages(conn, registry) for row in rows if row.note is None]
    for size in lone:
        conn.execute(delete(ledger_stamp).where(_t.registry == registry, _t.size == size))
    return len(lone)


def _fault(row: Any, check: StampCheck | None) -> str:
    if row.note is None:
        return "there is no checkpoint of that size; `diya ledger rebuild` takes it away"
    if not isinstance(row.token, bytes | memoryview):
        return "its token is not bytes"
    if not isinstance(row.note, bytes | memoryview):
        return ""  # the checkpoint's own audit names it
    return check(bytes(row.note), bytes(row.token)) if check is not None else ""


def _pages(conn: Connection, registry: str) -> Iterator[Sequence[Any]]:
    """Rows with the notes of their checkpoints, by size, 500 at a time."""
    after = _SIZE_MIN
    while rows := conn.execute(_PAGE, {"registry": registry, "after": after}).all():
        yield rows
        after = rows[-1].size
