"""What a verification of a ledger says: what was looked at, and every row that diverges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DIVERGENCES_MAX: Final = 1000
"""Rows named in one report; a ledger with more is beyond naming them one by one."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A row that is not what it must be.

    table: name of the table. row: its key after the registry, readable. reason: UPPER_SNAKE.
    rule: what it breaks.
    """

    table: str
    row: str
    reason: str
    rule: str

    def __str__(self) -> str:
        """Return one line for a log or a terminal."""
        return f"{self.table} {self.row}: {self.rule} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `ledger.verify.verify_ledger`.

    size: entries there are. since: those of them that were known to be good. published_size: the
    last checkpoint's size. entries, parts, tiles, checkpoints, keys: rows checked.
    parts_opened: parts that were decrypted and compared with their commitments, 0 without a vault.
    erased: of parts whose key an entry destroyed, how many, by the index of that entry.
    divergences: rows that diverge, the first in the order of the ledger first; at most 1000.
    """

    registry: str
    origin: str
    size: int = 0
    published_size: int = 0
    entries: int = 0
    parts: int = 0
    parts_opened: int = 0
    erased: dict[int, int] = field(default_factory=dict)
    tiles: int = 0
    checkpoints: int = 0
    keys: int = 0
    since: int = 0
    divergences: tuple[Divergence, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing diverges."""
        return not self.divergences

    @property
    def parts_erased(self) -> int:
        """How many parts are gone by law."""
        return sum(self.erased.values())

    @property
    def first(self) -> Divergence | None:
        """The first divergence, or None."""
        return self.divergences[0] if self.divergences else None


def name_row(table: str, column: str, values: Mapping[str, Any]) -> str:
    """Return how a row is called in a report, from its values; of the head, which is one row, the column."""
    match table:
        case "ledger_head":
            return column
        case "ledger_published":
            return "-"
        case "ledger_entry":
            return str(values["entry_index"])
        case "ledger_part":
            return f"{values['entry_index']} {values['name']}"
        case "ledger_key" | "ledger_erasure":
            return str(values["key_id"])
        case "ledger_checkpoint" | "ledger_stamp":
            return f"size {values['size']}"
        case "ledger_cosignature":
            return f"size {values['size']} {values['vkey']}"
        case "ledger_tile":
            return f"level {values['level']}, tile {values['tile_index']}"
    raise KeyError(f"{table}: its rows have no name in reports")


@dataclass(slots=True)
class Findings:
    """Collects divergences of entries and of other rows while a ledger is walked.

    entries: by index, the first rule that each entry breaks. others: (entry index or None,
    divergence); what belongs to an entry that diverges itself is left out of the report.
    """

    entries: dict[int, Divergence] = field(default_factory=dict)
    others: list[tuple[int | None, Divergence]] = field(default_factory=list)

    def entry(self, index: int, reason: str, rule: str) -> None:
        """Note that the entry at `index` breaks `rule`; its first finding is kept."""
        if len(self.entries) < DIVERGENCES_MAX:
            self.entries.setdefault(index, Divergence("ledger_entry", str(index), reason, rule))

    def row(self, table: str, row: str, reason: str, rule: str, *, of_entry: int | None = None) -> None:
        """Note that a row of another table breaks `rule`; `of_entry`: the entry it hangs on."""
        if len(self.others) < DIVERGENCES_MAX:
            self.others.append((of_entry, Divergence(table, row, reason, rule)))

    def add(self, more: Findings) -> None:
        """Take over what was found of a later range."""
        for index, divergence in more.entries.items():
            if len(self.entries) < DIVERGENCES_MAX:
                self.entries.setdefault(index, divergence)
        self.others.extend(more.others[: DIVERGENCES_MAX - len(self.others)])

    def divergences(self) -> tuple[Divergence, ...]:
        """Return all that was found, entries by index first, each row once."""
        found = [self.entries[index] for index in sorted(self.entries)]
        rows = set()
        for of_entry, divergence in self.others:
            row = (divergence.table, divergence.row)
            if of_entry in self.entries or row in rows:
                continue
            rows.add(row)
            found.append(divergence)
        return tuple(found[:DIVERGENCES_MAX])
