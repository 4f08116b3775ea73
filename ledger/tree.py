"""The Merkle tree of RFC 6962, section 2.1: roots and proofs from the hashes of full subtrees.

Nothing here stores anything. A `HashReader` hands out the hashes of complete subtrees: the hash at
(level, index) covers the leaves [index * 2**level, (index + 1) * 2**level). From these every root
and every proof of every size is put together in O(log size) hashes, read in one call.

The `Frontier` is the tree's right edge (one hash for each set bit of the size): all that an
appender needs, a few hundred bytes for any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import RangeError
from ledger.hashing import EMPTY_ROOT, HASH_BYTES, node_hash

Coordinate = tuple[int, int]
"""(level, index) of a complete subtree; level 0 are the leaf hashes."""

_SIZE_BYTES: Final = 8
_SIZE_MAX: Final = 2**63 - 1


class HashReader(Protocol):
    """Where the hashes of complete subtrees come from."""

    def read_hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """Return the hash of 32 bytes at each coordinate, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: the roots of its complete subtrees, largest first.

    size: number of leaves. nodes: one hash of 32 bytes for each set bit of `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier after one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier after further leaf hashes, in order."""
        nodes = list(self.nodes)
        size = self.size
        for leaf in leaves:
            node = leaf
            carry = size
            while carry & 1:
                node = node_hash(nodes.pop(), node)
                carry >>= 1
            nodes.append(node)
            size += 1
        return Frontier(size, tuple(nodes))

    def root(self) -> bytes:
        """Return the root of the tree, 32 bytes."""
        return _fold_right(self.nodes)

    def encode(self) -> bytes:
        """Return the size (8 bytes, big-endian) and the nodes, largest subtree first."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.nodes)

    @classmethod
    def decode(cls, data: bytes) -> Frontier:
        """Return the frontier that `encode` wrote. Raises ValueError for other bytes."""
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        expected = _SIZE_BYTES + size.bit_count() * HASH_BYTES
        if len(data) != expected or size > _SIZE_MAX:
            message = f"a frontier of size {size} has {expected} bytes, not {len(data)}"
            raise ValueError(message)
        starts = range(_SIZE_BYTES, expected, HASH_BYTES)
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in starts))


def frontier_coordinates(size: int) -> list[Coordinate]:
    """Return where the nodes of the frontier of `size` lie, largest subtree first."""
    return _cover(0, size)


def root(size: int, reader: HashReader) -> bytes:
    """Return the root of the first `size` leaves, 32 bytes. Raises RangeError below 0."""
    _check("size", size, 0, _SIZE_MAX)
    return _fold_right(reader.read_hashes(_cover(0, size)))


def inclusion_proof(index: int, size: int, reader: HashReader) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1).

    The leaf's sibling comes first, the root's child last. Raises RangeError.
    """
    return _range_hashes(_siblings(index, size), reader)


def inclusion_proofs(indexes: Iterable[int], size: int, reader: HashReader) -> dict[int, list[bytes]]:
    """Return the audit path of each leaf under one size. Neighbours share most of their paths: a subtree
    that stands in several is hashed once. Raises RangeError.
    """
    paths = {index: _siblings(index, size) for index in indexes}
    ranges = list(dict.fromkeys(one for path in paths.values() for one in path))
    hashes = dict(zip(ranges, _range_hashes(ranges, reader), strict=True))
    return {index: [hashes[one] for one in path] for index, path in paths.items()}


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves beside the path from leaf `index` to the root, the leaf's own first."""
    _check("size", size, 1, _SIZE_MAX)
    _check("index", index, 0, size - 1)
    ranges = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    ranges.reverse()
    return ranges


def consistency_proof(old: int, new: int, reader: HashReader) -> list[bytes]:
    """Return the proof that the tree of `new` leaves extends the one of `old` (RFC 6962, 2.1.2).

    Empty for equal sizes and for old = 0, where there is nothing to prove. Raises RangeError.
    """
    _check("new size", new, 0, _SIZE_MAX)
    _check("old size", old, 0, new)
    if old in (0, new):
        return []
    ranges = []
    low, high = 0, new
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    # What remains is the old tree's last subtree; where it is the whole old tree, its hash is the
    # old root, which the verifier has.
    if low != 0:
        ranges.append((low, high))
    ranges.reverse()
    return _range_hashes(ranges, reader)


def _range_hashes(ranges: list[tuple[int, int]], reader: HashReader) -> list[bytes]:
    covers = [_cover(low, high) for low, high in ranges]
    hashes = reader.read_hashes([at for cover in covers for at in cover])
    proof = []
    start = 0
    for cover in covers:
        stop = start + len(cover)
        proof.append(hashes[start] if stop - start == 1 else _fold_right(hashes[start:stop]))
        start = stop
    return proof


def _cover(low: int, high: int) -> list[Coordinate]:
    """Cover [low, high) by complete subtrees, largest first.

    `low` is a multiple of the largest power of two not above high - low: true of every range
    that RFC 6962 splits off.
    """
    coordinates = []
    while low < high:
        level = (high - low).bit_length() - 1
        coordinates.append((level, low >> level))
        low += 1 << level
    return coordinates


def _split(width: int) -> int:
    """Return the largest power of two smaller than `width` (> 1)."""
    return 1 << ((width - 1).bit_length() - 1)


def _fold_right(nodes: Sequence[bytes]) -> bytes:
    if not nodes:
        return EMPTY_ROOT
    folded = nodes[-1]
    for node in reversed(nodes[:-1]):
        folded = node_hash(node, folded)
    return folded


def _check(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise RangeError(what, value, low, high)
