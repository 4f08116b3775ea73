"""Writing many rows of one table: the statement is compiled once, the rows go to the driver as they are.

SQLAlchemy's own executemany walks every value of every row through its bind processors, which for our plain columns
(text, integers, bytes, booleans) changes nothing and costs more than the insert itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite


def write_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, upsert: bool = False
) -> None:
    """Insert rows, each with every column of the table; with `upsert`, replace those whose key is there."""
    statement, names = _statement(connection.dialect, table, upsert)
    if names is None:
        connection.exec_driver_sql(statement, [dict(row) for row in rows])
    else:
        pick = itemgetter(*names)
        connection.exec_driver_sql(statement, [pick(row) for row in rows])


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
