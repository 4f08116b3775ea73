"""The tree against a naive recursive RFC 6962, for any sizes."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerDamagedError, ProofError, RangeError
from ledger.hashing import leaf_hash
from ledger.proof import verify_consistency, verify_inclusion
from ledger.tile import TileKey, TileTree
from ledger.tree import Coordinate, Frontier, consistency_proof, inclusion_proof, root

LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(2000)]


def split(count: int) -> int:
    """Return the largest power of two smaller than `count`."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*naive_subproof(old, leaves[:k], whole=whole), naive_root(leaves[k:])]
    return [*naive_subproof(old - k, leaves[k:], whole=False), naive_root(leaves[:k])]


class NaiveReader:
    """Complete subtrees by recursion."""

    def read_hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        return [naive_root(LEAVES[index << level : (index + 1) << level]) for level, index in coordinates]


READER = NaiveReader()
sizes = st.integers(1, 300)


@given(st.integers(0, 300))
def test_root_any_size_equals_naive(size: int) -> None:
    """Root, frontier and naive recursion agree for every size."""
    expected = naive_root(LEAVES[:size])
    frontier = Frontier().extend(LEAVES[:size])
    assert root(size, READER) == frontier.root() == expected
    assert Frontier.decode(frontier.encode()) == frontier


@given(st.lists(st.integers(1, 40), max_size=8))
def test_frontier_any_batches_give_same_root(batches: list[int]) -> None:
    """It does not matter in what batches leaves come, and an old frontier stays as it was."""
    frontier = Frontier()
    for batch in batches:
        before = frontier
        frontier = before.extend(LEAVES[before.size : before.size + batch])
        assert before.root() == naive_root(LEAVES[: before.size])
    assert frontier.root() == naive_root(LEAVES[: frontier.size])
    assert frontier.append(LEAVES[frontier.size]) == frontier.extend([LEAVES[frontier.size]])


@given(sizes, st.data())
def test_inclusion_proof_any_leaf_equals_naive_and_verifies(size: int, data: st.DataObject) -> None:
    """A proof is RFC 6962's PATH, and holds for its leaf."""
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, READER)
    assert proof == naive_path(index, LEAVES[:size])
    verify_inclusion(index, size, LEAVES[index], proof, naive_root(LEAVES[:size]))


@given(sizes, st.data())
def test_inclusion_proof_any_change_is_refused(size: int, data: st.DataObject) -> None:
    """A proof holds for one leaf, index, size and root only, and not one hash longer or shorter."""
    index = data.draw(st.integers(0, size - 1))
    proof = naive_path(index, LEAVES[:size])
    tree_root = naive_root(LEAVES[:size])
    leaf = LEAVES[index]
    cases = [
        (index, size, LEAVES[size], proof, tree_root),
        (index, size, leaf, proof, naive_root(LEAVES[: size + 1])),
        (index, size, leaf, [*proof, leaf], tree_root),
        (index, size, leaf, [leaf, *proof], tree_root),
        (size, size, leaf, proof, tree_root),
        (-1, size, leaf, proof, tree_root),
        (index, size, leaf[:31], proof, tree_root),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = bytearray(proof[at])
        flipped[bit // 8] ^= 1 << (bit % 8)
        other = data.draw(st.integers(0, size - 1).filter(lambda value: value != index))
        cases += [
            (index, size, leaf, [*proof[:at], bytes(flipped), *proof[at + 1 :]], tree_root),
            (index, size, leaf, proof[:at] + proof[at + 1 :], tree_root),
            (other, size, leaf, proof, tree_root),
        ]
    for case in cases:
        with pytest.raises(ProofError):
            verify_inclusion(*case)


@given(sizes, st.data())
def test_consistency_proof_any_sizes_equal_naive_and_verify(new: int, data: st.DataObject) -> None:
    """A proof is RFC 6962's SUBPROOF, and holds between its two trees."""
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, READER)
    assert proof == naive_subproof(old, LEAVES[:new], whole=True)
    verify_consistency(old, naive_root(LEAVES[:old]), new, naive_root(LEAVES[:new]), proof)


@given(sizes, st.data())
def test_consistency_proof_any_change_is_refused(new: int, data: st.DataObject) -> None:
    """A proof holds between two trees only, and not one hash longer or shorter."""
    old = data.draw(st.integers(1, new))
    proof = naive_subproof(old, LEAVES[:new], whole=True)
    root1, root2 = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    wrong = LEAVES[1999]
    cases = [
        (old, wrong, new, root2, proof),
        (old, root1, new, wrong, proof),
        (old, root1, new, root2, [*proof, wrong]),
        (old, root1, new, root2, [wrong, *proof]),
        (0, root1, new, root2, proof),
        (new + 1, root1, new, root2, proof),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        cases += [
            (old, root1, new, root2, [*proof[:at], wrong, *proof[at + 1 :]]),
            (old, root1, new, root2, [*proof[:at], wrong[:31], *proof[at + 1 :]]),
            (old, root1, new, root2, proof[:at] + proof[at + 1 :]),
        ]
    for case in cases:
        with pytest.raises(ProofError):
            verify_consistency(*case)


@pytest.mark.parametrize("call", [(-1, 5), (5, 5), (0, 0)])
def test_inclusion_proof_out_of_range_is_refused(call: tuple[int, int]) -> None:
    """An index outside the tree has no proof."""
    with pytest.raises(RangeError):
        inclusion_proof(*call, READER)


@pytest.mark.parametrize("call", [(-1, 5), (6, 5), (0, -1)])
def test_consistency_proof_out_of_range_is_refused(call: tuple[int, int]) -> None:
    """A tree is no beginning of a smaller one."""
    with pytest.raises(RangeError):
        consistency_proof(*call, READER)
    assert consistency_proof(0, 5, READER) == consistency_proof(5, 5, READER) == []


@pytest.mark.parametrize(
    "data", [b"", bytes(7), bytes(8) + b"x", bytes([0] * 7 + [1]), bytes([255] * 8) + bytes(2048)]
)
def test_frontier_decode_other_bytes_are_refused(data: bytes) -> None:
    """A stored frontier of the wrong length is no frontier."""
    with pytest.raises(ValueError, match="frontier"):
        Frontier.decode(data)


class Tiles:
    """Stored full tiles, counting what is read."""

    def __init__(self) -> None:
        self.stored: dict[TileKey, bytes] = {}
        self.reads = 0

    def load(self, key: TileKey) -> bytes:
        self.reads += 1
        return self.stored[key]


@given(st.lists(st.integers(1, 600), min_size=1, max_size=5), st.data())
def test_tile_tree_any_batches_prove_like_naive(batches: list[int], data: st.DataObject) -> None:
    """A tree grown in memory, and one resumed from stored tiles, give the same roots and proofs."""
    tiles, tree = Tiles(), TileTree("r1")
    for batch in batches:
        leaves = LEAVES[tree.size : min(tree.size + batch, 2000)]
        for tile in tree.extend(leaves):
            tiles.stored[(tile.level, tile.index)] = tile.hashes
    size = tree.size
    assert tiles.reads == 0
    start = size - size % 256
    resumed = TileTree.resume("r1", size, LEAVES[start:size], tiles.load)
    expected = Frontier().extend(LEAVES[:size]).root()
    index = data.draw(st.integers(0, size - 1))
    for one in (tree, resumed):
        reader = one.reader(tiles.load)
        assert root(size, reader) == expected
        verify_inclusion(index, size, LEAVES[index], inclusion_proof(index, size, reader), expected)
        old = data.draw(st.integers(1, size))
        old_root = Frontier().extend(LEAVES[:old]).root()
        verify_consistency(old, old_root, size, expected, consistency_proof(old, size, reader))


def test_tile_tree_over_two_levels_of_tiles_gives_right_roots() -> None:
    """Where 65,536 leaves fill a tile of tiles, roots and proofs still hold, resumed or not."""
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(65_536 + 300)]
    tiles, tree = Tiles(), TileTree("r1")
    for tile in tree.extend(leaves):
        tiles.stored[(tile.level, tile.index)] = tile.hashes
    assert sorted(key for key in tiles.stored if key[0]) == [(1, 0)]
    size = tree.size
    expected = Frontier().extend(leaves).root()
    resumed = TileTree.resume("r1", size, leaves[65_536 + 256 :], tiles.load)
    for one in (tree, resumed):
        reader = one.reader(tiles.load)
        assert root(size, reader) == expected
        for index in (0, 255, 256, 65_535, 65_536, size - 1):
            verify_inclusion(index, size, leaves[index], inclusion_proof(index, size, reader), expected)


def test_tile_tree_changed_stored_tile_is_refused() -> None:
    """A tile that was changed in the database does not get into a proof."""
    tiles, tree = Tiles(), TileTree("r1")
    for tile in tree.extend(LEAVES[:600]):
        tiles.stored[(tile.level, tile.index)] = tile.hashes
    resumed = TileTree.resume("r1", 600, LEAVES[512:600], tiles.load)
    tiles.stored[(0, 0)] = bytes([tiles.stored[(0, 0)][0] ^ 1]) + tiles.stored[(0, 0)][1:]
    with pytest.raises(LedgerDamagedError):
        inclusion_proof(3, 600, resumed.reader(tiles.load))
