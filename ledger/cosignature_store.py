"""Where cosignatures are kept, and how a checkpoint is handed out with them.

A checkpoint's own row never changes; the lines of its witnesses come later, each a row of its own, and
are put under the note, in the order of their keys, wherever the note is given. A line that does not hold
is never given: whoever checks the note would take it for a forgery of the log's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, inspect, select

from ledger.cosignature import read_cosignature
from ledger.errors import CheckpointError
from ledger.report import Findings, name_row
from ledger.tables import ledger_checkpoint, ledger_cosignature

_t = ledger_cosignature.c
_LINES: Final = (
    select(_t.vkey, _t.line)
    .where(_t.registry == bindparam("registry"), _t.size == bindparam("size"))
    .order_by(_t.vkey)
)
_NEWEST: Final = select(func.max(_t.size)).where(
    _t.registry == bindparam("registry"), _t.vkey == bindparam("vkey")
)
_SIZES: Final = (
    select(_t.size).where(_t.registry == bindparam("registry")).distinct().order_by(_t.size.desc())
)
_JOINED: Final = (
    select(_t.size, _t.vkey, _t.line, ledger_checkpoint.c.note)
    .join_from(
        ledger_cosignature,
        ledger_checkpoint,
        (ledger_checkpoint.c.registry == _t.registry) & (ledger_checkpoint.c.size == _t.size),
        isouter=True,
    )
    .where(_t.registry == bindparam("registry"))
)
_ONE: Final = _JOINED.where(_t.size == bindparam("size"), _t.vkey == bindparam("vkey"))
_PAGE: Final = (
    _JOINED.where(
        (_t.size > bindparam("size")) | ((_t.size == bindparam("size")) & (_t.vkey > bindparam("vkey")))
    )
    .order_by(_t.size, _t.vkey)
    .limit(bindparam("count"))
)
_DROP: Final = delete(ledger_cosignature).where(
    _t.registry == bindparam("of_registry"),
    _t.size == bindparam("of_size"),
    _t.vkey == bindparam("of_vkey"),
)

COSIGNATURE_CHANGED: Final = "COSIGNATURE_CHANGED"
"""What a rebuild mends: the line holds for nobody, and is taken away."""
_ROWS_READ: Final = 500
_SIZE_MIN: Final = -(2**63)
_LINES_CACHED_MAX: Final = 4096


def store_cosignature(conn: Connection, registry: str, size: int, vkey: str, line: bytes) -> None:
    """Keep a witness's line on the checkpoint of `size`. The caller has verified it.

    The first one stays; one that does not hold, for its row was changed, is replaced.
    """
    place = {"registry": registry, "size": size, "vkey": vkey}
    kept = conn.execute(_ONE, place).first()
    if kept is not None:
        if not _fault(kept):
            return
        _drop(conn, registry, [kept])
    conn.execute(insert(ledger_cosignature), {**place, "line": line})


def cosignature_lines(conn: Connection, registry: str, size: int, note: bytes) -> bytes:
    """Return the lines under `note`, the checkpoint of `size`, that hold, as bytes to be put behind it."""
    rows = conn.execute(_LINES, {"registry": registry, "size": size})
    return b"".join(bytes(line) for vkey, line in rows if not _known_rule(note, vkey, bytes(line)))


def newest_cosigned(conn: Connection, registry: str, vkey: str) -> int:
    """Return the size of the largest checkpoint that a witness cosigned; 0 before the first."""
    return conn.execute(_NEWEST, {"registry": registry, "vkey": vkey}).scalar() or 0


def cosigned_sizes(conn: Connection, registry: str, count: int) -> list[int]:
    """Return the sizes of the newest `count` checkpoints that any witness cosigned, largest first."""
    return list(conn.execute(_SIZES.limit(count), {"registry": registry}).scalars())


def audit_cosignatures(
    conn: Connection,
    registry: str,
    findings: Findings,
    since: int = 0,
    step: Callable[[], None] = lambda: None,
) -> None:
    """Note every row, on checkpoints of `since` entries or more, whose line is not that witness's word on it.

    step: called between pages of 500, where the read transaction may end.
    """
    if not inspect(conn).has_table(ledger_cosignature.name):
        return  # a ledger of an older version: the next start of a gateway makes it
    for rows in _pages(conn, registry, since):
        for row in rows:
            if rule := _fault(row):
                name = name_row(ledger_cosignature.name, "line", {"size": row.size, "vkey": row.vkey})
                told = f"{rule}. It is given to nobody; `diya ledger rebuild` takes it away"
                findings.row(ledger_cosignature.name, name, COSIGNATURE_CHANGED, told)
        step()


def drop_faulty_cosignatures(conn: Connection, registry: str) -> int:
    """Take away every row whose line does not hold, in the caller's transaction; how many there were."""
    faulty = [row for rows in _pages(conn, registry, 0) for row in rows if _fault(row)]
    _drop(conn, registry, faulty)
    return len(faulty)


def _pages(conn: Connection, registry: str, since: int) -> Iterator[Sequence[Any]]:
    """Rows with the notes of their checkpoints, by size and key, 500 at a time."""
    size, vkey = since or _SIZE_MIN, ""  # a size that is never negative may have been made so
    while rows := conn.execute(
        _PAGE, {"registry": registry, "size": size, "vkey": vkey, "count": _ROWS_READ}
    ).all():
        yield rows
        size, vkey = rows[-1].size, rows[-1].vkey


def _drop(conn: Connection, registry: str, rows: Sequence[Any]) -> None:
    if rows:
        places = [{"of_registry": registry, "of_size": row.size, "of_vkey": row.vkey} for row in rows]
        conn.execute(_DROP, places)


def _fault(row: Any) -> str:
    """What is wrong with a row that was read beside its checkpoint's note; empty when it holds."""
    if row.note is None:
        return "there is no checkpoint of that size"
    return _rule(bytes(row.note), row.vkey, bytes(row.line))


def _rule(note: bytes, vkey: str, line: bytes) -> str:
    try:
        if line.count(b"\n") == 1 and read_cosignature(note + line, vkey) is not None:
            return ""
    except CheckpointError as error:
        return error.rule
    return "its line is not of that witness"


#: The same few lines are given out again and again.
_known_rule: Final = lru_cache(maxsize=_LINES_CACHED_MAX)(_rule)
