"""Comparing the views with what the ledger says: by the digest of each, and the first row that diverges by name.

The entries are folded into a scratch database, then each view is hashed beside its scratch in key order, page by page;
rows are looked at only where two pages differ. On a live server a read transaction ends after some pages: the scratch
views are first grown to the entries that its snapshot holds, so that page and scratch are of one instant, and no
reader keeps the WAL from its reset for long. What a row holds is never told, only where it lies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table

from gateway.storage import tables as t
from gateway.storage.engine import scratch_engine
from gateway.storage.rebuild import (
    ENTRIES_READ,
    ROWS_READ,
    Fold,
    Key,
    NotFolded,
    Progress,
    create_scratch_views,
    driver_of,
    encode_rows,
    key_columns,
    key_of,
    read_page,
)
from ledger.report import Divergence
from ledger.store import Ledger

#: Rows named of one view; a view with more is beyond naming them one by one.
NAMED_MAX: Final = 100

#: Pages of a view read in one read transaction: at most a second or so.
PAGES_A_SNAPSHOT: Final = 200

_RANKS: Final = {type(None): 0, bool: 1, int: 1, float: 1, str: 2, bytes: 3}


@dataclass(frozen=True, slots=True)
class ViewDigests:
    """What two auditors compare: of a view that `entries` entries brought about, SHA-256 (hex) over its rows.

    folded: as the ledger says. stored: as the table holds them. `rebuild.digest_views` says what is hashed.
    """

    entries: int
    folded: str
    stored: str


@dataclass(frozen=True, slots=True)
class ViewReport:
    """What an audit of the views says.

    entries: folded. rows: compared, by view. digests: by view, but for one that could not be read, or that was read in
    more than one snapshot while entries came in: its digest would be that of no instant. diverging: rows that diverge,
    by view, only where there are any. divergences: the first of them, view by view in key order.
    """

    entries: int
    rows: dict[str, int]
    digests: dict[str, ViewDigests]
    diverging: dict[str, int]
    divergences: tuple[Divergence, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing diverges."""
        return not self.divergences


@dataclass(slots=True)
class _Compared:
    """What came of one view. digests: there once it was read to its end, at one size of the ledger."""

    rows: int = 0
    diverging: int = 0
    named: list[Divergence] = field(default_factory=list)
    digests: ViewDigests | None = None

    def note(self, table: Table, key: Key, reason: str, rule: str) -> None:
        self.diverging += 1
        if len(self.named) < NAMED_MAX:
            self.named.append(Divergence(table.name, key_text(table, key), reason, rule))


def audit_views(engine: Engine, ledger: Ledger, registry: str, progress: Progress) -> ViewReport:
    """Compare the views of `registry` with the fold of its entries; reads only.

    progress: (entries folded, entries in all), after each few hundred. Raises LedgerError where the head itself is
    not to be read; all else that diverges is in the report.
    """
    scratch = scratch_engine()
    try:
        with scratch.begin() as connection:
            create_scratch_views(connection)
            return _Audit(engine, ledger, registry, connection, progress).run()
    finally:
        scratch.dispose()


class _Audit:
    def __init__(
        self, engine: Engine, ledger: Ledger, registry: str, scratch: Connection, progress: Progress
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._registry = registry
        self._scratch = scratch
        self._progress = progress
        self._fold = Fold(ledger, registry, scratch)
        self._compared = {table.name: _Compared() for table in t.VIEWS}

    def run(self) -> ViewReport:
        try:
            self._fold_all()
            for table in t.VIEWS:
                self._compare(table)
        except NotFolded as error:
            place = Divergence("ledger_part", f"{error.index} effects", "EFFECTS_NOT_FOLDED", error.rule)
            return self._report((place,))
        return self._report(())

    def _report(self, first: tuple[Divergence, ...]) -> ViewReport:
        done = self._compared.items()
        return ViewReport(
            entries=self._fold.size,
            rows={name: one.rows for name, one in done},
            digests={name: one.digests for name, one in done if one.digests is not None},
            diverging={name: one.diverging for name, one in done if one.diverging},
            divergences=first + tuple(d for _, one in done for d in one.named),
        )

    def _fold_all(self) -> None:
        """Up to the size found at the beginning; what is entered meanwhile is folded before each page."""
        with self._engine.begin() as connection:
            size = self._size(connection)
        while self._fold.size < size:
            with self._engine.begin() as connection:
                self._fold.grow(connection, min(size, self._fold.size + ENTRIES_READ))
            self._progress(self._fold.size, size)

    def _size(self, connection: Connection) -> int:
        return self._ledger.head(connection, self._registry, for_update=False).size

    def _compare(self, table: Table) -> None:
        one, pages = self._compared[table.name], _Pages(table, self._registry, self._scratch)
        sizes = set()
        while not pages.ended:
            with self._engine.begin() as connection:
                self._fold.grow(connection, self._size(connection))
                sizes.add(self._fold.size)
                try:
                    pages.compare(connection, one)
                except driver_of(connection).Error as error:
                    one.diverging += 1
                    one.named.append(Divergence(table.name, "-", "VIEW_UNREADABLE", str(error)))
                    return
            self._progress(self._fold.size, self._fold.size)
        if len(sizes) == 1:
            one.digests = ViewDigests(sizes.pop(), pages.folded.hexdigest(), pages.stored.hexdigest())


class _Pages:
    """A view and its scratch, read beside each other in key order. stored, folded: SHA-256 of all read so far."""

    def __init__(self, table: Table, registry: str, scratch: Connection) -> None:
        self._table = table
        self._registry = registry
        self._scratch = scratch
        self._after: Key | None = None
        self.ended = False
        self.stored = hashlib.sha256()
        self.folded = hashlib.sha256()

    def compare(self, connection: Connection, one: _Compared) -> None:
        """The next pages, as many as one snapshot may see."""
        for _ in range(PAGES_A_SNAPSHOT):
            stored, folded = (
                read_page(source, self._table, self._registry, self._after, ROWS_READ)
                for source in (connection, self._scratch)
            )
            # Where two full pages end at two keys, the nearer one ends both.
            ends = [key_of(self._table, page[-1]) for page in (stored, folded) if len(page) == ROWS_READ]
            end = min(ends, key=_order, default=None)
            lies, wanted = encode_rows(stored), encode_rows(folded)
            if lies != wanted:
                by_key, wanted_by_key = (_up_to(self._table, page, end) for page in (stored, folded))
                _compare_rows(self._table, by_key, wanted_by_key, one)
                stored = list(by_key.values())
                lies, wanted = encode_rows(stored), encode_rows(wanted_by_key.values())
            self.stored.update(lies)
            self.folded.update(wanted)
            one.rows += len(stored)
            self._after, self.ended = end, end is None
            if self.ended:
                return


def _up_to(table: Table, page: list[Key], end: Key | None) -> dict[Key, Key]:
    """The rows of a page up to a key, by the order of their keys."""
    rows = {_order(key_of(table, row)): row for row in page}
    return rows if end is None else {key: row for key, row in rows.items() if key <= _order(end)}


def _compare_rows(table: Table, stored: dict[Key, Key], folded: dict[Key, Key], one: _Compared) -> None:
    names = table.columns.keys()
    for order in sorted(stored.keys() | folded.keys()):
        row, wanted = stored.get(order), folded.get(order)
        if row is None:
            one.note(table, _key(order), "VIEW_ROW_MISSING", "its row is missing")
        elif wanted is None:
            one.note(table, _key(order), "VIEW_ROW_UNKNOWN", "no entry brought it about")
        elif encode_rows([row]) != encode_rows([wanted]):
            wrong = [name for name, a, b in zip(names, row, wanted, strict=True) if repr(a) != repr(b)]
            what = f"column {wrong[0]} is" if len(wrong) == 1 else f"columns {', '.join(wrong)} are"
            one.note(table, _key(order), "VIEW_ROW_CHANGED", f"{what} not what the entries say")


def _order(key: Key) -> Key:
    """A key that sorts as the database sorts it: by kind of value, text by its bytes."""
    return tuple((_RANKS[type(v)], v.encode() if isinstance(v, str) else v) for v in key)


def _key(order: Key) -> Key:
    return tuple(value.decode() if rank == _RANKS[str] else value for rank, value in order)


def key_text(table: Table, key: Key) -> str:
    """A key for people: `institution=…, sequence=3`."""
    named: list[Any] = [column.name for column in key_columns(table)]
    return ", ".join(f"{name}={value}" for name, value in zip(named, key, strict=True))
