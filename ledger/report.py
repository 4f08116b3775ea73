"""What a verification of a ledger says: what was looked at, and every row that diverges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

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

    size: entries looked at. published_size: the last checkpoint's size. entries, parts, tiles,
    checkpoints, keys: rows checked. parts_opened: parts that were decrypted and compared with their
    commitments, 0 without a vault. parts_erased: parts whose key an entry destroyed. divergences:
    rows that diverge, the first in the order of the ledger first; at most 1000.
    """

    registry: str
    origin: str
    size: int
    published_size: int
    entries: int
    parts: int
    parts_opened: int
    parts_erased: int
    tiles: int
    checkpoints: int
    keys: int
    divergences: tuple[Divergence, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing diverges."""
        return not self.divergences

    @property
    def first(self) -> Divergence | None:
        """The first divergence, or None."""
        return self.divergences[0] if self.divergences else None


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
