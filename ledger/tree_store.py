"""The tree as it follows from stored rows: full tiles, and entries read back and hashed again.

This is the second code path that has to agree with the append before a checkpoint is signed. It
shares no state with it: only bytes that the database returned are hashed here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from ledger.chain import TIME_BYTES, ChainWalk
from ledger.entry import EPOCH, entry_prefix, format_time, link_line
from ledger.errors import LedgerDamagedError
from ledger.hashing import leaf_hash
from ledger.records import Head, StoredEntry, read_entries
from ledger.tables import ledger_tile
from ledger.tile import TILE_BYTES, TILE_WIDTH, FullTile, TileKey, TileLoader, TileTree
from ledger.tree import Frontier, frontier_coordinates, root

Point = tuple[int, bytes]
"""(size, root) of a tree."""

_READ_COUNT: Final = 4096
_CATCH_UP_MAX: Final = 65_536
"""A tree that is this many entries behind is built again from tiles instead of entries."""
_SELECT_TILE: Final = select(ledger_tile.c.hashes).where(
    ledger_tile.c.registry == bindparam("registry"),
    ledger_tile.c.level == bindparam("level"),
    ledger_tile.c.tile_index == bindparam("tile_index"),
)


def tree_at(conn: Connection, registry: str, tree: TileTree | None, published: Point) -> TileTree:
    """Return the tree at exactly the published size: `tree` grown, or a new one from tiles.

    Raises LedgerDamagedError where rows do not lead to the published root. `tree` is then spent.
    """
    size, published_root = published
    load = tile_loader(conn, registry)
    if tree is None or tree.size > size or size - tree.size > _CATCH_UP_MAX:
        start = size - size % TILE_WIDTH
        tree = TileTree.resume(registry, size, _leaves(conn, registry, start, size), load)
    while tree.size < size:
        stop = min(size, tree.size + _READ_COUNT)
        tree.extend(_leaves(conn, registry, tree.size, stop))
    if root(size, tree.reader(load)) != published_root:
        raise LedgerDamagedError(
            registry,
            "ledger_published",
            f"tiles and entries up to size {size} do not lead to the published root",
        )
    return tree


def read_back(conn: Connection, head: Head, tree: TileTree) -> list[FullTile]:
    """Read the entries after `tree` up to `head`, hash and check them, and grow `tree` by them.

    Returns the tiles that became full. Raises LedgerDamagedError, naming the row, where links,
    indexes, times or the last hash do not hold; `tree` is then spent.
    """
    walk = begin_walk(conn, head.registry, head.origin, tree)
    tiles: list[FullTile] = []
    while walk.index < head.size and not walk.faults:
        count = min(_READ_COUNT, head.size - walk.index)
        stop = walk.index + count
        rows = read_entries(conn, head.registry, walk.index, count)
        leaves = walk.walk(((row.index, row.data) for row in rows), stop)
        tiles.extend(tree.extend(leaves))
    _finish(walk, head)
    return tiles


def read_again(conn: Connection, head: Head, published: Point, start: int) -> TileTree:
    """Read the entries from `start` on back, published ones too; return the tree at the published size.

    Chain, head, tiles and published root must agree. Raises LedgerDamagedError, naming the row.
    """
    registry = head.registry
    before = read_entries(conn, registry, start - 1, 1) if start else []
    walk = ChainWalk(head.origin)
    if start:
        if not before:
            raise LedgerDamagedError(registry, f"ledger_entry {start - 1}", "its row is missing")
        time_text = _time_text(head.origin, before[0])
        walk = ChainWalk(head.origin, start, before[0].entry_hash(), time_text)
    leaves = [row.entry_hash() for row in before]
    while walk.index < head.size and not walk.faults:
        count = min(_READ_COUNT, head.size - walk.index)
        rows = read_entries(conn, registry, walk.index, count)
        leaves += walk.walk(((row.index, row.data) for row in rows), walk.index + count)
    _finish(walk, head)
    tree = tree_at(conn, registry, None, published)
    reader = tree.reader(tile_loader(conn, registry))
    first = start - len(before)
    for index in range(first, published[0]):
        if reader.read_hashes([(0, index)])[0] != leaves[index - first]:
            raise LedgerDamagedError(
                registry, f"ledger_entry {index}", "it is not what the last checkpoint covers"
            )
    edge = Frontier(published[0], tuple(reader.read_hashes(frontier_coordinates(published[0]))))
    if edge.extend(leaves[published[0] - first :]) != head.frontier:
        raise LedgerDamagedError(registry, "ledger_head", "its frontier is not that of the stored entries")
    return tree


def tile_loader(conn: Connection, registry: str) -> TileLoader:
    """Return a function that reads full tiles of `registry`, or raises LedgerDamagedError."""

    def load(key: TileKey) -> bytes:
        level, index = key
        hashes = conn.execute(
            _SELECT_TILE, {"registry": registry, "level": level, "tile_index": index}
        ).scalar()
        if hashes is None or len(hashes) != TILE_BYTES:
            raise LedgerDamagedError(
                registry, f"ledger_tile level {level}, tile {index}", "is missing or cut short"
            )
        return bytes(hashes)

    return load


def _finish(walk: ChainWalk, head: Head) -> None:
    """Compare the end of a walk with the head; raise LedgerDamagedError with the first fault."""
    if not walk.faults:
        walk.finish(head.head_hash)
    if walk.faults:
        fault = min(walk.faults, key=lambda found: found.index)
        row = f"ledger_entry {fault.index}" if fault.index >= 0 else "ledger_head"
        raise LedgerDamagedError(head.registry, row, fault.rule)
    last_time = walk.previous_time or format_time(EPOCH).encode()
    if last_time != format_time(head.head_time).encode():
        raise LedgerDamagedError(head.registry, "ledger_head", "its time is not that of the last entry")


def begin_walk(conn: Connection, registry: str, origin: str, tree: TileTree) -> ChainWalk:
    """Return a walk that begins after the last entry of `tree`, which is read again.

    Raises LedgerDamagedError where that entry is not the tree's.
    """
    if tree.size == 0:
        return ChainWalk(origin)
    index = tree.size - 1
    known = tree.reader(tile_loader(conn, registry)).read_hashes([(0, index)])[0]
    rows = read_entries(conn, registry, index, 1)
    if not rows or rows[0].entry_hash() != known:
        raise LedgerDamagedError(
            registry, f"ledger_entry {index}", "it is not what the last checkpoint covers"
        )
    return ChainWalk(origin, tree.size, known, _time_text(origin, rows[0]))


def _time_text(origin: str, row: StoredEntry) -> bytes:
    start = len(entry_prefix(origin) + link_line(row.index, row.entry_hash()))
    return row.data[start : start + TIME_BYTES]


def _leaves(conn: Connection, registry: str, start: int, stop: int) -> list[bytes]:
    if start == stop:
        return []
    rows = read_entries(conn, registry, start, stop - start)
    if [row.index for row in rows] != list(range(start, stop)):
        raise LedgerDamagedError(registry, f"ledger_entry {start}..{stop - 1}", "a row is missing")
    return [leaf_hash(row.data) for row in rows]
