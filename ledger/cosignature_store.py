"""Where cosignatures are kept, and how a checkpoint is handed out with them.

A checkpoint's own row never changes; the lines of its witnesses come later, each a row of its own, and
are put under the note, in the order of their keys, wherever the note is given.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, inspect, select

from ledger.cosignature import read_cosignature
from ledger.errors import CheckpointError
from ledger.report import Findings, name_row
from ledger.tables import ledger_checkpoint, ledger_cosignature

_t = ledger_cosignature.c
_LINES: Final = (
    select(_t.line)
    .where(_t.registry == bindparam("registry"), _t.size == bindparam("size"))
    .order_by(_t.vkey)
)
_KNOWN: Final = select(_t.size).where(
    _t.registry == bindparam("registry"), _t.size == bindparam("size"), _t.vkey == bindparam("vkey")
)
_NEWEST: Final = select(func.max(_t.size)).where(
    _t.registry == bindparam("registry"), _t.vkey == bindparam("vkey")
)
_SIZES: Final = (
    select(_t.size).where(_t.registry == bindparam("registry")).distinct().order_by(_t.size.desc())
)
_ALL: Final = (
    select(_t.size, _t.vkey, _t.line, ledger_checkpoint.c.note)
    .join_from(
        ledger_cosignature,
        ledger_checkpoint,
        (ledger_checkpoint.c.registry == _t.registry) & (ledger_checkpoint.c.size == _t.size),
        isouter=True,
    )
    .where(_t.registry == bindparam("registry"))
    .order_by(_t.size, _t.vkey)
)


def store_cosignature(conn: Connection, registry: str, size: int, vkey: str, line: bytes) -> None:
    """Keep a witness's line on the checkpoint of `size`; the first one stays. The caller has verified it."""
    values = {"registry": registry, "size": size, "vkey": vkey}
    if conn.execute(_KNOWN, values).first() is None:
        conn.execute(insert(ledger_cosignature), {**values, "line": line})


def cosignature_lines(conn: Connection, registry: str, size: int) -> bytes:
    """Return the lines under the note of the checkpoint of `size`, as bytes to be put behind it."""
    rows = conn.execute(_LINES, {"registry": registry, "size": size}).scalars()
    return b"".join(bytes(line) for line in rows)


def newest_cosigned(conn: Connection, registry: str, vkey: str) -> int:
    """Return the size of the largest checkpoint that a witness cosigned; 0 before the first."""
    return conn.execute(_NEWEST, {"registry": registry, "vkey": vkey}).scalar() or 0


def cosigned_sizes(conn: Connection, registry: str, count: int) -> list[int]:
    """Return the sizes of the newest `count` checkpoints that any witness cosigned, largest first."""
    return list(conn.execute(_SIZES.limit(count), {"registry": registry}).scalars())


def audit_cosignatures(conn: Connection, registry: str, findings: Findings) -> None:
    """Note every row whose line is not that witness's word on that checkpoint."""
    if not inspect(conn).has_table(ledger_cosignature.name):
        return  # a ledger of an older version: the next start of a gateway makes it
    for size, vkey, line, note in conn.execute(_ALL, {"registry": registry}):
        rule = _fault(None if note is None else bytes(note), vkey, bytes(line))
        if rule:
            row = name_row(ledger_cosignature.name, "line", {"size": size, "vkey": vkey})
            findings.row(ledger_cosignature.name, row, "COSIGNATURE_CHANGED", rule)


def _fault(note: bytes | None, vkey: str, line: bytes) -> str:
    if note is None:
        return "there is no checkpoint of that size"
    try:
        if line.count(b"\n") == 1 and read_cosignature(note + line, vkey) is not None:
            return ""
    except CheckpointError as error:
        return error.rule
    return "its line is not of that witness"
