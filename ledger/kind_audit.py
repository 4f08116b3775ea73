"""Looking for what a column cannot hold: text for bytes, a text for a number, the row of a registry that is unknown.

SQLite takes a value of any kind in any column. Whoever reads such a row further stumbles over it, so it is named first,
before anything is read out of the tables. PostgreSQL refuses such a value by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table, inspect, select, text

from ledger.readers import Readers, Task, in_order
from ledger.report import Findings, name_row
from ledger.tables import LATER, metadata
from ledger.vault import Vault

_ROWS_READ: Final = 100_000
"""Rows looked at in one statement; what they hold is not read, only of which kind it is."""

_KINDS: Final[dict[type, str]] = {bytes: "blob", str: "text", int: "integer"}


def check_kinds(
    conn: Connection,
    registry: str,
    first: int,
    findings: Findings,
    readers: Readers,
    step: Callable[[], None],
) -> bool:
    """Note each value of `registry` that is of another kind than its column; return whether all are right.

    first: rows of earlier entries are left out. readers: look at the rows.
    step: called between statements, where the read transaction may end.
    """
    if conn.dialect.name != "sqlite":
        return True
    right = True
    for found in in_order(readers, _ranges(conn, registry, first, step)):
        right &= not found.others
        findings.add(found)
    return right


def _ranges(
    conn: Connection, registry: str, first: int, step: Callable[[], None]
) -> Iterator[Task[Findings]]:
    """What there is to look at, table by table."""
    there = set(inspect(conn).get_table_names())
    for table in metadata.sorted_tables:
        if table in LATER and table.name not in there:
            continue  # a ledger of an older version: the next start of a gateway makes it
        after = "AND entry_index >= :first" if "entry_index" in table.columns else ""
        low, high = conn.execute(
            text(f'SELECT min(rowid), max(rowid) FROM "{table.name}" WHERE registry = :registry {after}'),  # noqa: S608
            {"registry": registry, **({"first": first} if after else {})},
        ).one()
        while low is not None and low <= high:
            yield partial(_wrong_rows, table_name=table.name, registry=registry, low=low)
            low += _ROWS_READ
            if low <= high:
                step()


def unknown_registries(
    conn: Connection, tables: Iterable[Table], known: Collection[str]
) -> list[tuple[str, Any]]:
    """Return (table, registry) of rows whose registry is none of `known`, each once.

    One look into the index a registry: the number of rows does not matter.
    """
    found: list[tuple[str, Any]] = []
    for table in tables:
        column, after = table.c.registry, None
        while True:
            statement = select(column).order_by(column).limit(1)
            last = conn.execute(statement if after is None else statement.where(column > after)).first()
            if last is None:
                break
            after = last[0]
            if after not in known:
                found.append((table.name, after))
    return found


def _wrong_rows(
    conn: Connection, _vault: Vault | None, *, table_name: str, registry: str, low: int
) -> Findings:
    findings, table = Findings(), metadata.tables[table_name]
    columns = [column for column in table.columns if column.name != "registry"]
    wrong = " OR ".join(_wrong(column) for column in columns)
    names = ", ".join(f'"{column.name}", {_wrong(column)}' for column in columns)
    rows = conn.execute(
        text(
            f'SELECT {names} FROM "{table.name}" '  # noqa: S608  our own names
            f"WHERE registry = :registry AND rowid >= :low AND rowid < :high AND ({wrong})"
        ),
        {"registry": registry, "low": low, "high": low + _ROWS_READ},
    ).all()
    for row in rows:
        values = dict(zip((column.name for column in columns), row[::2], strict=True))
        for column, is_wrong in zip(columns, row[1::2], strict=True):
            if is_wrong:
                kind = _KINDS[column.type.python_type]
                rule = f"its {column.name} is no {kind}"
                findings.row(table.name, name_row(table.name, column.name, values), "KIND_CHANGED", rule)
    return findings


def _wrong(column: Any) -> str:
    """The expression that is true of a value which the column cannot hold."""
    kinds = [_KINDS[column.type.python_type], *(["null"] if column.nullable else [])]
    return f'typeof("{column.name}") NOT IN ({", ".join(repr(kind) for kind in kinds)})'
