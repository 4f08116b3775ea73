"""The published ledger as the static resources of C2SP tlog-tiles: their names, and their bytes.

    checkpoint                     the last signed checkpoint
    tile/<L>/<N>[.p/<W>]           hashes of the tree, at most 256 of 32 bytes each
    tile/entries/<N>[.p/<W>]       the entries themselves, each behind its length (two bytes, big-endian)

<N> is written in groups of three digits, all but the last behind an `x` (1234067 is `x001/x234/067`); `.p/<W>` is
there where fewer than 256 hashes or entries are meant. There is one name for each resource. Nothing beyond the last
checkpoint is ever given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from ledger.errors import LedgerDamagedError, ResourceNameError, ResourceUnpublishedError
from ledger.hashing import HASH_BYTES, leaf_hash
from ledger.records import read_entries
from ledger.tile import TILE_HEIGHT, TILE_WIDTH, Tile, TileKey, TileLoader
from ledger.tree_store import tile_loader

CHECKPOINT_NAME: Final = "checkpoint"
LEVEL_MAX: Final = 63
ROOTS_MAX: Final = 65_536
_INDEX_MAX: Final = 2**63 - 1
_LENGTH_BYTES: Final = 2
_NAME: Final = re.compile(
    r"tile/(?:(entries)|(0|[1-9][0-9]?))/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A tile or an entry bundle.

    level: 0 to 63, None for a bundle. index: its place within the level, from 0. width: how many hashes or entries
    it holds, 1 to 256.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def name(self) -> str:
        """Its path below the log's prefix."""
        kind = "entries" if self.level is None else str(self.level)
        part = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{_index_path(self.index)}{part}"

    @property
    def partial_folder(self) -> str:
        """The path of the folder that its partial forms lie in."""
        return f"{Resource(self.level, self.index).name}.p"

    def is_in(self, size: int) -> bool:
        """Whether a tree of `size` entries has it."""
        return self.index * TILE_WIDTH + self.width <= size >> (TILE_HEIGHT * (self.level or 0))


def parse_name(name: str) -> Resource:
    """The tile or bundle of a name. Raises ResourceNameError for what no log would serve."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ResourceNameError(name, "it is not tile/<level or entries>/<index>[.p/<width>]")
    entries, level, index_path, width = match.groups()
    index = int(index_path.replace("/", "").replace("x", ""))
    if index > _INDEX_MAX:
        raise ResourceNameError(name, f"the index must lie in 0..{_INDEX_MAX}")
    if _index_path(index) != index_path:
        raise ResourceNameError(name, "the index has leading groups of zeros")
    if level is not None and int(level) > LEVEL_MAX:
        raise ResourceNameError(name, f"the level must lie in 0..{LEVEL_MAX}")
    if width is not None and int(width) >= TILE_WIDTH:
        raise ResourceNameError(name, f"the width of a partial one must lie in 1..{TILE_WIDTH - 1}")
    return Resource(None if entries else int(level), index, int(width or TILE_WIDTH))


def edge_of(size: int) -> Iterator[Resource]:
    """The partial bundle and tiles of a tree of `size` entries, level 0 first."""
    if width := size % TILE_WIDTH:
        yield Resource(None, size >> TILE_HEIGHT, width)
    level = 0
    while size:
        if width := size % TILE_WIDTH:
            yield Resource(level, size >> TILE_HEIGHT, width)
        size >>= TILE_HEIGHT
        level += 1


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, at most 65,535 bytes each, as a bundle."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def read_entry_bytes(conn: Connection, registry: str, start: int, count: int) -> list[bytes]:
    """The bytes of `count` entries from index `start` on. Raises LedgerDamagedError where one is missing."""
    rows = read_entries(conn, registry, start, count)
    if [row.index for row in rows] != list(range(start, start + count)):
        raise LedgerDamagedError(registry, f"ledger_entry {start}..{start + count - 1}", "a row is missing")
    return [row.data for row in rows]


class ResourceReader:
    """Reads tiles and bundles out of the database. May be used from several threads at once.

    Of the full tiles under a partial one it remembers the roots, so that a growing log does not hash them again for
    each of its sizes.
    """

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._roots: dict[tuple[str, int, int], bytes] = {}

    def read(self, conn: Connection, registry: str, resource: Resource, published_size: int) -> bytes:
        """Return the bytes of a tile or bundle of the tree of `published_size`, the size of the last checkpoint.

        Raises ResourceUnpublishedError beyond it, LedgerDamagedError where a row is missing.
        """
        if not resource.is_in(published_size):
            raise ResourceUnpublishedError(registry, resource.name, published_size)
        first = resource.index * TILE_WIDTH
        if resource.level is None:
            return encode_bundle(read_entry_bytes(conn, registry, first, resource.width))
        load = tile_loader(conn, registry)
        if Resource(resource.level, resource.index).is_in(published_size):
            return load((resource.level, resource.index))[: resource.width * HASH_BYTES]
        if resource.level == 0:
            return b"".join(map(leaf_hash, read_entry_bytes(conn, registry, first, resource.width)))
        keys = [(resource.level - 1, first + column) for column in range(resource.width)]
        return b"".join(self._root(load, registry, key) for key in keys)

    def _root(self, load: TileLoader, registry: str, key: TileKey) -> bytes:
        root = self._roots.get((registry, *key))
        if root is None:
            root = Tile(load(key)).root()
            if len(self._roots) >= ROOTS_MAX:
                self._roots.clear()
            self._roots[(registry, *key)] = root
        return root


def _index_path(index: int) -> str:
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
