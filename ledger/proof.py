"""Checking inclusion and consistency proofs, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say.

All that a bank needs to check a receipt: no database, no keys, no network. Each function returns
nothing when the proof holds and raises ProofError when it does not; there is no bool to forget.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from ledger.errors import ProofError
from ledger.hashing import HASH_BYTES, node_hash


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf of `leaf_hash` stands at `index` in the tree of `size` and `root`.

    Hashes have 32 bytes; the leaf's sibling comes first in `proof`. Raises ProofError.
    """
    if not 0 <= index < size:
        raise ProofError(f"index {index} is not in a tree of size {size}")
    _check_hashes([leaf_hash, root, *proof])
    computed = leaf_hash
    fn, sn = index, size - 1  # the names of RFC 9162
    for sibling in proof:
        if sn == 0:
            raise ProofError("it is longer than the path to the root")
        if fn & 1 or fn == sn:
            computed = node_hash(sibling, computed)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            computed = node_hash(computed, sibling)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofError("it is shorter than the path to the root")
    if not compare_digest(computed, root):
        raise ProofError("it leads to another root")


def verify_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size2, root2) holds the tree (size1, root1) as its beginning.

    Hashes have 32 bytes. Size 0 is refused: an empty tree says nothing about what follows it.
    Raises ProofError.
    """
    if not 0 < size1 <= size2:
        raise ProofError(f"sizes must satisfy 0 < {size1} <= {size2}")
    if size1 == size2:
        if proof:
            raise ProofError("it must be empty between equal sizes")
        if not compare_digest(root1, root2):
            raise ProofError("two trees of equal size have different roots")
        return
    if not proof:
        raise ProofError("it is empty between different sizes")
    _check_hashes([root1, root2, *proof])
    # A complete old tree is itself a node of the new one: its root begins the walk.
    hashes = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    computed1, computed2 = _walk_consistency(size1, size2, hashes)
    if not compare_digest(computed1, root1):
        raise ProofError("it leads to another old root")
    if not compare_digest(computed2, root2):
        raise ProofError("it leads to another new root")


def _walk_consistency(size1: int, size2: int, hashes: list[bytes]) -> tuple[bytes, bytes]:
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if sn == 0:
            raise ProofError("it is longer than the path to the root")
        if fn & 1 or fn == sn:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, sibling)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofError("it is shorter than the path to the root")
    return old, new


def _check_hashes(hashes: list[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash must have {HASH_BYTES} bytes, one has {len(value)}")
