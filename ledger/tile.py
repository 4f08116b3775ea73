"""Tiles: the tree cut into squares of 256 hashes (C2SP tlog-tiles), and the part kept in memory.

Tile (level, index) holds the hashes of the complete subtrees at tree level 8 * level, from
256 * index on. Full tiles never change and lie in `ledger_tile`. In memory are the partial tile of
each level and the full tiles used last, each with its inner nodes, so that a proof for a
fresh entry reads no database and hashes next to nothing. A `TileTree` only grows; whoever finds
that what it grew by was rolled back throws it away.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerDamagedError
from ledger.hashing import HASH_BYTES, pair_hash
from ledger.tree import Coordinate

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
TILES_CACHED_MAX: Final = 64
"""Full tiles of level 0 kept in memory a tree: 16,000 entries in about a megabyte."""
UPPER_TILES_CACHED_MAX: Final = 256
"""Full tiles above level 0 kept in memory a tree. Every proof needs one of each level, and there are
few: up to 16 million entries all of them stay, in at most four megabytes, and an old entry's proof
loads one tile.
"""

TileKey = tuple[int, int]
"""(level, tile index)."""
TileLoader = Callable[[TileKey], bytes]
"""Returns the 8,192 bytes of a full tile; raises where there is none."""


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that has just become full: `hashes` are 256 hashes of 32 bytes."""

    level: int
    index: int
    hashes: bytes


class Tile:
    """A tile with its inner nodes; row r holds the hashes of the subtrees of 2**r columns."""

    __slots__ = ("_rows",)

    def __init__(self, hashes: bytes = b"") -> None:
        """Build the tile of the given `hashes`, at most 256 of 32 bytes each."""
        pair = 2 * HASH_BYTES
        row = bytearray(hashes)
        self._rows = [row]
        for _ in range(TILE_HEIGHT):
            ends = range(pair, len(row) + 1, pair)
            row = bytearray().join([pair_hash(row[end - pair : end]) for end in ends])
            self._rows.append(row)

    def append(self, value: bytes) -> bool:
        """Add one hash of 32 bytes at the right; return whether the tile is full now."""
        for row in self._rows:
            row += value
            if len(row) & HASH_BYTES:  # an odd number of hashes: its last has no sibling yet
                break
            value = pair_hash(row[-2 * HASH_BYTES :])
        return len(self._rows[TILE_HEIGHT]) != 0

    def hash_at(self, row: int, column: int) -> bytes:
        """Return the hash of the complete subtree at `column` of `row` (0: the tile's hashes)."""
        start = column * HASH_BYTES
        value = bytes(self._rows[row][start : start + HASH_BYTES])
        if len(value) != HASH_BYTES:
            message = f"the tile has no hash at row {row}, column {column}"
            raise IndexError(message)
        return value

    def root(self) -> bytes:
        """Return the hash over all 256 columns of a full tile."""
        return self.hash_at(TILE_HEIGHT, 0)

    def hashes(self) -> bytes:
        """Return the tile as it is stored: its hashes from left to right."""
        return bytes(self._rows[0])


class TileTree:
    """The part of one tree that is kept in memory. Not safe to use from two threads at once."""

    __slots__ = ("_bottom", "_edge", "_upper", "registry", "size")

    def __init__(self, registry: str) -> None:
        """Begin with the empty tree of `registry`."""
        self.registry = registry
        self.size = 0
        self._edge: list[Tile] = []  # the partial tile of each level
        self._bottom: OrderedDict[TileKey, Tile] = OrderedDict()  # full tiles of level 0
        self._upper: OrderedDict[TileKey, Tile] = OrderedDict()

    @classmethod
    def resume(cls, registry: str, size: int, leaves: Sequence[bytes], load: TileLoader) -> TileTree:
        """Return the tree of `size` leaves, from full tiles and the leaves after the last one.

        leaves: the hashes of the last `size % 256` leaves. load: reads full tiles of level 0 and
        up; at most 255 of each level are read.
        """
        tree = cls(registry)
        tree.size = size
        tree._edge.append(Tile(b"".join(leaves)))
        count = size >> TILE_HEIGHT
        level = 0
        while count:
            first = count & ~(TILE_WIDTH - 1)
            roots = [Tile(load((level, index))).root() for index in range(first, count)]
            tree._edge.append(Tile(b"".join(roots)))
            count >>= TILE_HEIGHT
            level += 1
        return tree

    def extend(self, leaves: Iterable[bytes]) -> list[FullTile]:
        """Add leaf hashes at the right; return the tiles that became full, in order."""
        completed: list[FullTile] = []
        for leaf in leaves:
            if not self._edge:
                self._edge.append(Tile())
            full = self._edge[0].append(leaf)
            self.size += 1
            if full:
                self._complete(completed)
        return completed

    def reader(self, load: TileLoader) -> TileReader:
        """Return a HashReader over this tree that takes what is not in memory from `load`."""
        return TileReader(self, load)

    def tile(self, key: TileKey, load: TileLoader) -> Tile:
        """Return the tile at `key`, partial or full.

        A tile that is loaded must hash to what the tile above it says. Raises LedgerDamagedError.
        """
        level, index = key
        if index == self.size >> (TILE_HEIGHT * (level + 1)):
            return self._edge[level]
        kept = self._upper if level else self._bottom
        tile = kept.get(key)
        if tile is None:
            tile = Tile(load(key))
            above = self.tile((level + 1, index >> TILE_HEIGHT), load)
            if tile.root() != above.hash_at(0, index % TILE_WIDTH):
                raise LedgerDamagedError(
                    self.registry,
                    f"ledger_tile level {level}, tile {index}",
                    "its hashes do not lead to the hash in the tile above",
                )
            self._keep(key, tile)
        else:
            kept.move_to_end(key)
        return tile

    def _complete(self, completed: list[FullTile]) -> None:
        level = 0
        while True:
            tile = self._edge[level]
            index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1
            completed.append(FullTile(level, index, tile.hashes()))
            self._keep((level, index), tile)
            self._edge[level] = Tile()
            level += 1
            if level == len(self._edge):
                self._edge.append(Tile())
            if not self._edge[level].append(tile.root()):
                return

    def _keep(self, key: TileKey, tile: Tile) -> None:
        kept, most = (self._upper, UPPER_TILES_CACHED_MAX) if key[0] else (self._bottom, TILES_CACHED_MAX)
        kept[key] = tile
        if len(kept) > most:
            kept.popitem(last=False)


@dataclass(frozen=True, slots=True)
class TileReader:
    """Reads the hashes of complete subtrees out of tiles (ledger.tree.HashReader)."""

    tree: TileTree
    load: TileLoader

    def read_hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """Return the hash of 32 bytes at each (level, index)."""
        hashes = []
        for level, index in coordinates:
            tile_level, row = divmod(level, TILE_HEIGHT)
            columns = TILE_HEIGHT - row
            tile = self.tree.tile((tile_level, index >> columns), self.load)
            hashes.append(tile.hash_at(row, index & ((1 << columns) - 1)))
        return hashes
