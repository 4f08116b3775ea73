"""One signature for many payloads: it is made over the root of a Merkle tree of them, and each payload carries its
path to that root, so that it verifies alone.

A key in hardware signs some hundred times a second and a bank's month end brings thousands of releases; and whoever
verifies a batch checks one signature and, for each payload, a handful of hashes. Leaves and nodes are hashed as RFC
9162 section 2.1.1 has it (the ledger hashes alike, but neither package knows the other). What the key signs is the
pre-authentication encoding of a payload type of its own, which no envelope may bear: so a signature over a root is
never one over a payload, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from signing.errors import EnvelopeMalformed, SignatureInvalid

BATCH_TYPE: Final = "application/vnd.diya.batch.v1"
BATCH_SIZE_MAX: Final = 65_536
PATH_HASHES_MAX: Final = 16
HASH_BYTES: Final = 32


class BatchPath(msgspec.Struct, frozen=True):
    """Where a payload stands in the batch that was signed.

    index: from 0. size: of payloads in the batch, 1 to 65,536. hashes: 32 bytes each, the leaf's sibling first (RFC
    9162 section 2.1.3); none in a batch of one.
    """

    index: int
    size: int
    hashes: tuple[bytes, ...]


def check_path_shape(path: BatchPath, where: str) -> None:
    """Raise `EnvelopeMalformed` where the path is of no batch; `where` names the signature."""
    if not 0 <= path.index < path.size <= BATCH_SIZE_MAX:
        raise EnvelopeMalformed(
            f"{where}.batch: index {path.index} of {path.size} payloads; a batch has 1 to {BATCH_SIZE_MAX}, "
            "counted from 0"
        )
    if len(path.hashes) > PATH_HASHES_MAX or any(len(one) != HASH_BYTES for one in path.hashes):
        raise EnvelopeMalformed(
            f"{where}.batch: a path has at most {PATH_HASHES_MAX} hashes of {HASH_BYTES} bytes"
        )


def batch_payload(size: int, root: bytes) -> bytes:
    """What the signature over a batch says: its size, 8 bytes big-endian, and its root, 32 bytes."""
    return size.to_bytes(8, "big") + root


def root_of(message: bytes, path: BatchPath) -> bytes:
    """The root, 32 bytes, to which `message` (a pre-authentication encoding) leads by its path (RFC 9162 section
    2.1.3.2). Raises `SignatureInvalid` if the path is too long or too short for its place.
    """
    computed = _leaf(message)
    place, last = path.index, path.size - 1
    for sibling in path.hashes:
        if last == 0:
            raise SignatureInvalid("the path of the batch is longer than its tree is deep")
        if place & 1 or place == last:
            computed = _node(sibling, computed)
            while not place & 1 and place != 0:
                place >>= 1
                last >>= 1
        else:
            computed = _node(computed, sibling)
        place >>= 1
        last >>= 1
    if last != 0:
        raise SignatureInvalid("the path of the batch is shorter than its tree is deep")
    return computed


def paths_of(messages: Sequence[bytes]) -> tuple[bytes, tuple[BatchPath, ...]]:
    """The root over `messages` (1 to 65,536 pre-authentication encodings) and the path of each, in their order.

    Raises ValueError for none, or for too many.
    """
    size = len(messages)
    if not 1 <= size <= BATCH_SIZE_MAX:
        raise ValueError(f"a batch of {size}; 1 to {BATCH_SIZE_MAX} are possible")
    level = [_leaf(message) for message in messages]
    paths: list[list[bytes]] = [[] for _ in messages]
    places = list(range(size))
    while len(level) > 1:
        for path, place in zip(paths, places, strict=True):
            if (sibling := place ^ 1) < len(level):
                path.append(level[sibling])
        # A node without a sibling goes up as it is: so the tree is that of RFC 9162 for every size.
        level = [
            _node(*pair) if len(pair := level[n : n + 2]) == 2 else pair[0] for n in range(0, len(level), 2)
        ]
        places = [place >> 1 for place in places]
    return level[0], tuple(BatchPath(n, size, tuple(path)) for n, path in enumerate(paths))


def _leaf(message: bytes) -> bytes:
    return sha256(b"\x00" + message).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
