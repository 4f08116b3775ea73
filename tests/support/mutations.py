"""What somebody who can write to a database may do to it, driven by the tables themselves: a new table or column is
changed too, by whichever test asks for all of them.

Everything goes past the program, through SQLite's own connection, and is not committed here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Table

Row = dict[str, Any]


def other(value: Any, column: Column[Any]) -> Any:
    """Another value of the column's kind: a bit of bytes, a letter of a text, another number or truth."""
    kind = column.type.python_type
    if value is None:
        return {bytes: b"{}", str: "x", int: 1}[kind]
    if kind is bool:
        return 1 - value
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    return value[:-1] + ("x" if value[-1:] != "x" else "y")


def _cut(value: Any, _column: Column[Any]) -> Any:
    """Half of a value."""
    return None if value is None else value // 2 if isinstance(value, int) else value[: len(value) // 2]


def _nothing(_value: Any, column: Column[Any]) -> Any:
    return None if column.nullable else _KEEP


def _kind(value: Any, column: Column[Any]) -> Any:
    """A value of a kind that the column's declaration only advises against: SQLite takes it."""
    if value is None:
        return _KEEP
    kind = column.type.python_type
    return value.hex() if kind is bytes else value.encode() if kind is str else "text"


_KEEP: Any = object()

#: New values of one column of one row.
VALUES: dict[str, Callable[[Any, Column[Any]], Any]] = {
    "flip": other,
    "truncate": _cut,
    "empty": _nothing,
    "kind": _kind,
}

#: Changes of a column: those, two rows' values swapped, and an older row's value put over a newer one.
COLUMN_CHANGES = (*VALUES, "swap", "replay")

#: Changes of rows.
ROW_CHANGES = ("delete", "insert", "cut off", "empty table")


def keys_of(table: Table) -> list[str]:
    """The columns of a table's key, the registry first."""
    return [column.name for column in table.primary_key.columns]


def rows_of(connection: sqlite3.Connection, table: Table, registry: str) -> list[Row]:
    """All rows of a registry in key order, as they lie there."""
    names = table.columns.keys()
    found = connection.execute(
        f'SELECT {_list(names)} FROM "{table.name}" WHERE registry = ? ORDER BY {_list(keys_of(table))}',
        (registry,),
    )
    return [dict(zip(names, row, strict=True)) for row in found]


def change_column(
    connection: sqlite3.Connection, table: Table, column: str, change: str, registries: Iterable[str], at: int
) -> list[Row]:
    """Change one column of the row `at` (an index, from the end where negative) of the first registry.

    Returns the rows that were touched, as they were and as they are; none where there is nothing to change: only one
    value, or the key is taken. Two rows are looked for in the one registry first, then in both.
    """
    first, *others = registries
    rows = rows_of(connection, table, first)
    row = rows[at]
    if change in VALUES:
        new = VALUES[change](row[column], table.c[column])
        return _rewritten(connection, table, [(row, {column: new})] if _differs(new, row[column]) else [])
    others_rows = [r for other_one in others for r in rows_of(connection, table, other_one)]
    partner = next((r for r in (*rows, *others_rows) if _differs(r[column], row[column])), None)
    if partner is None:
        return []
    values = [(row, {column: partner[column]})]
    if change == "swap":
        values.append((partner, {column: row[column]}))
    return _rewritten(connection, table, values)


def change_rows(
    connection: sqlite3.Connection, table: Table, change: str, registry: str, at: int
) -> list[Row]:
    """Delete a row, put in a copy under another key, or delete the later half or all of a registry's rows.

    Returns the rows that were touched.
    """
    rows = rows_of(connection, table, registry)
    if change == "insert":
        forged = dict(rows[at])
        for name in keys_of(table)[1:]:
            forged[name] = forged[name] + (1_000_000 if isinstance(forged[name], int) else "~")
        return _inserted(connection, table, [forged]) if len(keys_of(table)) > 1 else []
    touched = {"delete": [rows[at]], "cut off": rows[(len(rows) + 1) // 2 :], "empty table": rows}[change]
    _deleted(connection, table, touched)
    return touched


def spots(count: int) -> Iterator[int]:
    """The first, the middle and the last of so many rows."""
    yield from sorted({0, count // 2, count - 1})


def _rewritten(connection: sqlite3.Connection, table: Table, values: list[tuple[Row, Row]]) -> list[Row]:
    """Put rows anew with other values, in one step, so that two keys can change places."""
    old, new = [row for row, _ in values], [row | value for row, value in values]
    if all(row in old for row in new):  # two rows that hold the same but for their keys, which were swapped
        return []
    _deleted(connection, table, old)
    try:
        _inserted(connection, table, new)
    except sqlite3.IntegrityError:  # the key is taken: not a change that the database lets happen
        _inserted(connection, table, old)
        return []
    return old + new


def _deleted(connection: sqlite3.Connection, table: Table, rows: list[Row]) -> None:
    keys = keys_of(table)
    where = " AND ".join(f'"{name}" = ?' for name in keys)
    for row in rows:
        gone = connection.execute(
            f'DELETE FROM "{table.name}" WHERE {where}', [row[name] for name in keys]
        ).rowcount
        assert gone == 1, f"{table.name}: no row to change"


def _inserted(connection: sqlite3.Connection, table: Table, rows: list[Row]) -> list[Row]:
    names = table.columns.keys()
    connection.execute("SAVEPOINT rows")
    try:
        connection.executemany(
            f'INSERT INTO "{table.name}" ({_list(names)}) VALUES ({", ".join("?" * len(names))})',
            [[row[name] for name in names] for row in rows],
        )
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO rows")
        raise
    finally:
        connection.execute("RELEASE rows")
    return rows


def _differs(new: Any, old: Any) -> bool:
    return new is not _KEEP and (new != old or type(new) is not type(old))


def _list(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
