"""Many rows of one table at once: statements are compiled once, values go to the driver as they are.

SQLAlchemy's own executemany and IN walk every value through bind processors and expand every list anew, which for
our plain columns (text, integers, bytes, booleans) changes nothing and costs more than the database's own work. The
cursor is the DBAPI's own, of the connection and transaction that SQLAlchemy holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import Connection, Dialect, Select, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError

#: Keys of one statement of `read_rows`; with two columns a key, well below SQLite's 32,766 variables.
KEYS_MAX: Final = 8192


def write_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, upsert: bool = False
) -> None:
    """Insert rows, each with every column of the table; with `upsert`, replace those whose key is there."""
    statement, names = _statement(connection.dialect, table, upsert)
    pick = itemgetter(*names) if names else dict
    cursor = connection.connection.cursor()
    try:
        cursor.executemany(statement, [pick(row) for row in rows])
    finally:
        cursor.close()


def read_rows(
    connection: Connection, table: Table, registry: str, names: Sequence[str], keys: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Rows of a registry whose columns `names` hold one of `keys`, every column in the table's order.

    The number of keys is rounded up to a power of two by keys that match nothing, so that few different statements are
    ever made. A key that is given twice may give its rows twice.
    """
    found: list[tuple[Any, ...]] = []
    for at in range(0, len(keys), KEYS_MAX):
        some = keys[at : at + KEYS_MAX]
        count = 1 << (len(some) - 1).bit_length()
        nothing = [None] * (len(names) * (count - len(some)))
        statement = _selection(connection.dialect, table, tuple(names), count)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(statement, (registry, *[value for key in some for value in key], *nothing))
            found += cursor.fetchall()
        finally:
            cursor.close()
    return found


def stream_rows(
    connection: Connection, statement: Select[Any], values: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows of a select of plain columns, one at a time: a large value is used and let go before the next is read.

    Raises DatabaseError.
    """
    if not connection.in_transaction():
        connection.begin()
    text, names = _reading(connection.dialect, statement)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, [values[name] for name in names] if names else values)
        yield from cast("Iterator[tuple[Any, ...]]", cursor)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DatabaseError(text, None, error) from error
    finally:
        cursor.close()


@lru_cache(maxsize=64)
def _reading(dialect: Dialect, statement: Select[Any]) -> tuple[str, tuple[str, ...] | None]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ()) if compiled.positional else None


@lru_cache(maxsize=512)
def _selection(dialect: Dialect, table: Table, names: tuple[str, ...], count: int) -> str:
    quote = dialect.identifier_preparer.quote
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    columns, quoted = ", ".join("t." + quote(c.name) for c in table.columns), [quote(n) for n in names]
    if len(names) == 1:
        asked = f"t.{quoted[0]} IN ({', '.join([mark] * count)})"
        return f"SELECT {columns} FROM {quote(table.name)} AS t WHERE t.registry = {mark} AND {asked}"  # noqa: S608
    keys = ", ".join(["(" + ", ".join([mark] * len(names)) + ")"] * count)
    if dialect.name == "sqlite":
        # For IN of several columns SQLite goes through every row of the registry; joined like this, it looks each up.
        on = " AND ".join(f"t.{column} = k.column{n}" for n, column in enumerate(quoted, start=1))
        return (
            f"SELECT {columns} FROM (SELECT {mark} AS registry) AS r CROSS JOIN (VALUES {keys}) AS k "  # noqa: S608
            f"CROSS JOIN {quote(table.name)} AS t ON t.registry = r.registry AND {on}"
        )
    left = ", ".join(f"t.{column}" for column in quoted)
    return (
        f"SELECT {columns} FROM {quote(table.name)} AS t WHERE t.registry = {mark} AND ({left}) IN ({keys})"  # noqa: S608
    )


@lru_cache(maxsize=256)
def _statement(dialect: Dialect, table: Table, upsert: bool) -> tuple[str, tuple[str, ...] | None]:
    """The statement's text, and the order of its parameters where the driver counts them."""
    insert: Any = (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
    if upsert:
        keys = [c.name for c in table.primary_key.columns]
        changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
        insert = insert.on_conflict_do_update(index_elements=keys, set_=changed)
    compiled = insert.compile(dialect=dialect, column_keys=[c.name for c in table.columns])
    return str(compiled), tuple(compiled.positiontup) if compiled.positional else None
