"""The views made anew from the ledger: what a rebuild writes, and what an audit compares with (design, promise 1).

`Fold` grows the views of one registry entry by entry, through `Working.fold`, the only fold there is. One entry's
effects are in memory at a time, and the rows of a few hundred changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Dialect, Table, delete, select
from sqlalchemy.schema import CreateTable

from gateway.cases.effects import decode_effects
from gateway.storage import tables as t
from gateway.storage.settings import Settings
from gateway.storage.working import Working
from ledger.errors import LedgerError
from ledger.store import Ledger
from ledger.tables import ledger_erasure, ledger_head
from ledger.tables import metadata as ledger_metadata

#: Entries read from the ledger at a time.
ENTRIES_READ: Final = 200

#: Effects folded before their rows are written: what is held in memory.
EFFECTS_HELD_MAX: Final = 500

#: Rows read from a view at a time.
ROWS_READ: Final = 500

Progress = Callable[[int, int], None]
Key = tuple[Any, ...]


class NotFolded(Exception):
    """The effects of an entry are missing, do not open, or do not fit the entries before it."""

    def __init__(self, index: int, rule: str) -> None:
        self.index = index
        self.rule = rule
        super().__init__(f"entry {index}: {rule}")


class Fold:
    """Grows the views of `registry` in `target`, in whose transaction it writes. `size`: entries folded."""

    def __init__(self, ledger: Ledger, registry: str, target: Connection) -> None:
        self._ledger = ledger
        self._registry = registry
        self._target = target
        self._settings = Settings()
        self._written_twice = driver_of(target).IntegrityError
        self.size = 0

    def grow(self, source: Connection, stop: int) -> None:
        """Fold the entries up to, not including, `stop`. Raises NotFolded, naming the first that does not."""
        try:
            self._grow(source, stop)
        except LedgerError as error:
            raise NotFolded(self.size, str(error)) from error
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, self._written_twice) as error:
            # Its text may hold what the register holds.
            raise NotFolded(
                self.size, f"its effects do not follow from the entries before it ({type(error).__name__})"
            ) from error

    def _grow(self, source: Connection, stop: int) -> None:
        working, held = self._working(), 0
        while self.size < stop:
            until = min(stop, self.size + ENTRIES_READ)
            for part in self._ledger.iterate_part(source, self._registry, "effects", self.size, until):
                if part.index != self.size:
                    break
                effects = decode_effects(part.content)
                working.fold(part.index, effects)
                self.size += 1
                held += len(effects)
                if held >= EFFECTS_HELD_MAX:
                    self._write(working)
                    working, held = self._working(), 0
            if self.size != until:
                raise NotFolded(self.size, "its effects are missing")
        self._write(working)

    def _working(self) -> Working:
        return Working(self._target, self._registry, self._settings, self._ledger.subject)

    def _write(self, working: Working) -> None:
        working.flush()
        self._settings = working.settings


def driver_of(connection: Connection) -> Any:
    """The driver's module: what reads and writes rows past SQLAlchemy raises its errors."""
    return connection.dialect.loaded_dbapi


def create_scratch_views(connection: Connection) -> None:
    """The views, empty, without the indexes that only readers need."""
    for table in t.VIEWS:
        connection.execute(CreateTable(table))


def rebuild_views(
    connection: Connection, ledger: Ledger, registries: Sequence[str], progress: Progress
) -> None:
    """Drop the views of `registries` and fold them anew, in the caller's transaction; on any error it rolls back.

    Where these are all the registries there are, the tables themselves are made anew, with columns and indexes of
    this version. Erased keys that came back are destroyed again. progress: (entries done, entries in all) of each
    registry in turn. Raises NotFolded, LedgerError.
    """
    others = set(connection.execute(select(ledger_head.c.registry)).scalars()) - set(registries)
    if not others:
        t.metadata.drop_all(connection, tables=t.VIEWS)
    t.metadata.create_all(connection, tables=t.VIEWS)
    ledger_metadata.create_all(connection, tables=[ledger_erasure])
    for registry in registries:
        ledger.record_erasures(connection, registry)
        ledger.destroy_again(connection, registry)
        if others:
            for table in t.VIEWS:
                connection.execute(delete(table).where(table.c.registry == registry))
        size = ledger.head(connection, registry).size
        fold = Fold(ledger, registry, connection)
        while fold.size < size:
            fold.grow(connection, min(size, fold.size + ENTRIES_READ))
            progress(fold.size, size)


# -- rows in key order -------------------------------------------------------------------------------------------------


def read_page(
    connection: Connection, table: Table, registry: str, after: Key | None, count: int = ROWS_READ
) -> list[Key]:
    """Rows of a registry in the order of their keys, from behind the key `after` on, as the driver gives them.

    No type is applied to a value: what somebody wrote into a column past this program comes as it lies there.
    """
    cursor = connection.connection.cursor()
    try:
        values = (registry, *(after or ()), count)
        cursor.execute(_page_statement(connection.dialect, table, after is not None), values)
        return list(cursor.fetchall())
    finally:
        cursor.close()


@cache
def _page_statement(dialect: Dialect, table: Table, behind: bool) -> str:
    quote = dialect.identifier_preparer.quote
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    # Text is ordered by its bytes, as SQLite does by itself.
    collate = "" if dialect.name == "sqlite" else ' COLLATE "C"'
    keys = [
        quote(column.name) + (collate if column.type.python_type is str else "")
        for column in key_columns(table)
    ]
    columns = ", ".join(quote(column.name) for column in table.columns)
    place = f" AND ({', '.join(keys)}) > ({', '.join([mark] * len(keys))})" if behind else ""
    return (
        f"SELECT {columns} FROM {quote(table.name)} WHERE registry = {mark}{place} "  # noqa: S608  our own names
        f"ORDER BY {', '.join(keys)} LIMIT {mark}"
    )


def key_columns(table: Table) -> list[Any]:
    """The columns of a view's key after the registry."""
    return list(table.primary_key.columns)[1:]


def key_of(table: Table, row: Key) -> Key:
    """A row's key after the registry."""
    names = table.columns.keys()
    return tuple(row[names.index(column.name)] for column in key_columns(table))


def pages_in_order(connection: Connection, table: Table, registry: str) -> Iterator[list[Key]]:
    """All rows of a registry in key order, a page at a time."""
    after: Key | None = None
    while page := read_page(connection, table, registry, after):
        yield page
        after = key_of(table, page[-1])


def digest_views(connection: Connection, registry: str) -> dict[str, tuple[int, str]]:
    """Of each view: its rows, and the digest over them (hex); of one that cannot be read, nothing.

    The digest of a view is SHA-256 over its rows in key order, each as `encode_rows` writes it.
    """
    digests: dict[str, tuple[int, str]] = {}
    for table in t.VIEWS:
        digest, rows = hashlib.sha256(), 0
        try:
            for page in pages_in_order(connection, table, registry):
                digest.update(encode_rows(page))
                rows += len(page)
        except driver_of(connection).Error:  # a table or a column is not there
            continue
        digests[table.name] = (rows, digest.hexdigest())
    return digests


def encode_rows(rows: Iterable[Key]) -> bytes:
    """Rows as they are hashed: of each its values as Python writes the tuple of them, and a line feed.

    So the kind of a value counts: 1, 1.0, '1' and b'1' are four.
    """
    return b"".join([repr(row).encode() + b"\n" for row in rows])
