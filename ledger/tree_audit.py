"""Building the tree anew while entries are read, and comparing whatever claims to know it.

Signed checkpoints, stored tiles and the head's frontier are three witnesses of the tree. Where they
contradict the entries, the signed checkpoint decides whether entries or tiles were changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from ledger.entry import NO_PREVIOUS
from ledger.hashing import HASH_BYTES
from ledger.report import Findings
from ledger.tables import ledger_tile
from ledger.tile import TILE_HEIGHT, FullTile, TileTree
from ledger.tree import Frontier, frontier_coordinates
from ledger.tree_store import tile_loader

_TILE: Final = select(ledger_tile.c.hashes).where(
    ledger_tile.c.registry == bindparam("registry"),
    ledger_tile.c.level == bindparam("level"),
    ledger_tile.c.tile_index == bindparam("tile_index"),
)
_ENDS: Final = (
    select(
        ledger_tile.c.level,
        func.min(ledger_tile.c.tile_index),
        func.max(ledger_tile.c.tile_index),
    )
    .where(ledger_tile.c.registry == bindparam("registry"))
    .group_by(ledger_tile.c.level)
)


@dataclass(frozen=True, slots=True)
class TreePoint:
    """The tree at one size. last_hash: entry hash of its last entry. frontier: right edge."""

    last_hash: bytes
    frontier: Frontier


class TreeAudit:
    """Grows the tree of one registry from leaf hashes and compares it as it goes.

    points: the tree at the sizes asked for in `watch`. bad_root: size of the first signed root
    that the entries do not lead to. last_good: size of the last signed root that they do.
    """

    def __init__(
        self, conn: Connection, registry: str, findings: Findings, tree: TileTree | None = None
    ) -> None:
        """Read where the tiles end, before the caller reads what bounds them. `tree`: known to be good."""
        self._conn = conn
        self._registry = registry
        self._findings = findings
        self._tree = tree or TileTree(registry)
        self._ends: Sequence[Any] = conn.execute(_ENDS, {"registry": registry}).all()
        self._bad_tiles: list[tuple[FullTile, bytes]] = []
        self._watched: set[int] = set()
        self.published_size = 0
        self.points: dict[int, TreePoint] = {}
        self.bad_root: int | None = None
        self.last_good = self._tree.size
        self.tiles = 0

    @property
    def size(self) -> int:
        """Number of leaves so far."""
        return self._tree.size

    def watch(self, sizes: set[int], published_size: int) -> None:
        """Set the sizes to keep a point of, and up to which size tiles must be stored."""
        self._watched = sizes
        self.published_size = max(published_size, 0)
        self._mark()

    def grow(self, leaves: Sequence[bytes], signed: dict[int, bytes]) -> None:
        """Add `leaves`; compare the roots in `signed` (by size) on the way."""
        first = self._tree.size
        last = first + len(leaves)
        stops = {size for size in {*signed, *self._watched} if first < size < last}
        for stop in [*sorted(stops), last]:
            for tile in self._tree.extend(leaves[self._tree.size - first : stop - first]):
                self._check_tile(tile)
            self._mark()
            if stop not in signed or self.bad_root is not None:
                continue
            if signed[stop] == self._point().frontier.root():
                self.last_good = stop
            else:
                self.bad_root = stop

    def blame(self) -> None:
        """Decide between entries and tiles, after the chain's faults were noted."""
        entries = self._findings.entries
        bad_root = self.bad_root or 0
        rewritten = self.bad_root is not None and not any(
            self.last_good <= index < bad_root for index in entries
        )
        for tile, stored in self._bad_tiles:
            index = _first_difference(tile, stored)
            if rewritten and tile.level == 0 and index is not None:
                self._findings.entry(
                    index,
                    "ENTRY_REWRITTEN",
                    f"the chain is right, but checkpoint {bad_root} was signed over another entry",
                )
                rewritten = False
            elif not self._is_explained(tile, index):
                row = f"level {tile.level}, tile {tile.index}"
                self._findings.row("ledger_tile", row, "TILE_CHANGED", "it is not that of the entries")
        if rewritten:
            self._findings.entry(
                self.last_good,
                "ENTRY_REWRITTEN",
                f"the chain is right, but this entry or one up to {bad_root - 1} is not what "
                f"checkpoint {bad_root} was signed over",
            )

    def check_ends(self) -> None:
        """Look for stored tiles that the published tree does not have."""
        for level, low, high in self._ends:
            count = self.published_size >> (TILE_HEIGHT * (level + 1)) if level >= 0 else 0
            if low < 0 or high >= count:
                self._findings.row(
                    "ledger_tile",
                    f"level {level}, tile {low if low < 0 else high}",
                    "TILE_UNKNOWN",
                    "the published tree has no such full tile",
                )

    def _check_tile(self, tile: FullTile) -> None:
        if (tile.index + 1) << (TILE_HEIGHT * (tile.level + 1)) > self.published_size:
            return
        self.tiles += 1
        stored = self._conn.execute(
            _TILE, {"registry": self._registry, "level": tile.level, "tile_index": tile.index}
        ).scalar()
        if stored is None:
            row = f"level {tile.level}, tile {tile.index}"
            self._findings.row("ledger_tile", row, "TILE_MISSING", "its row is missing")
        elif bytes(stored) != tile.hashes:
            self._bad_tiles.append((tile, bytes(stored)))

    def _is_explained(self, tile: FullTile, index: int | None) -> bool:
        """Tell whether a tile differs only because an entry below it was changed."""
        if tile.level == 0:
            return index in self._findings.entries
        width = TILE_HEIGHT * (tile.level + 1)
        return any(at >> width == tile.index for at in self._findings.entries)

    def _mark(self) -> None:
        if self._tree.size in self._watched:
            self.points[self._tree.size] = self._point()

    def _point(self) -> TreePoint:
        size = self._tree.size
        reader = self._tree.reader(tile_loader(self._conn, self._registry))
        nodes = tuple(reader.read_hashes(frontier_coordinates(size)))
        last = reader.read_hashes([(0, size - 1)])[0] if size else NO_PREVIOUS
        return TreePoint(last, Frontier(size, nodes))


def _first_difference(tile: FullTile, stored: bytes) -> int | None:
    """Return the first entry on whose hash a level-0 tile differs; None for another length."""
    if len(stored) != len(tile.hashes):
        return None
    for at in range(0, len(stored), HASH_BYTES):
        if stored[at : at + HASH_BYTES] != tile.hashes[at : at + HASH_BYTES]:
            return tile.index * (len(stored) // HASH_BYTES) + at // HASH_BYTES
    return None
