"""Tables that a database of an older version has not: nothing of the ledger, and none of its views.

A gateway adds them, empty, when it starts, for nothing is lost in them. Whoever only looks (`diya ledger verify`,
`export`) adds nothing: it sees empty ones in their place, which are of its own connection and go with it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateTable

from gateway.storage import tables as t
from ledger.tables import LATER
from ledger.tables import metadata as ledger_metadata

ADDED: Final = (*LATER, *(table for table in t.metadata.sorted_tables if table not in t.VIEWS))

_NAMES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}


def missing_tables(connection: Connection) -> list[str]:
    """The names of those that the database has not."""
    there = set(inspect(connection).get_table_names())
    return [table.name for table in ADDED if table.name not in there]


def add_missing_tables(connection: Connection) -> None:
    """Make those that are missing, and indexes that a table of an older version has not."""
    ledger_metadata.create_all(connection, tables=list(LATER))
    others = [table for table in ADDED if table not in LATER]
    t.metadata.create_all(connection, tables=others)
    for index in (index for table in others for index in table.indexes):
        index.create(connection, checkfirst=True)


def stand_in_for_missing(engine: Engine) -> None:
    """Let each connection of an engine that only looks have empty tables of its own for those that are missing."""
    driver = engine.dialect.loaded_dbapi

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(_NAMES[engine.dialect.name])
            there = {name for (name,) in cursor.fetchall()}
            for table in ADDED:
                if table.name not in there:
                    made = str(CreateTable(table).compile(dialect=engine.dialect))
                    cursor.execute(made.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
            connection.commit()
        except driver.Error:
            return  # no database, or none that can be read: whoever reads is told so
        finally:
            cursor.close()
