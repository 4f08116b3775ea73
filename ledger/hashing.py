"""The one hash of the ledger: SHA-256 as RFC 6962 section 2.1 applies it to trees.

A leaf and a node are hashed with different first bytes, so that no node can be passed off as a
leaf. RFC 9162 section 2.1.1 keeps the same hash. No other hash is computed in this package.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
"""Length of every hash, digest and root, in bytes."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree of size 0: the hash of nothing (RFC 6962, 2.1)."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data), 32 bytes: the hash of an entry's bytes in the tree."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), 32 bytes, of two child hashes of 32 bytes each."""
    return sha256(_NODE + left + right).digest()


def salted_hash(salted: bytes) -> bytes:
    """Return SHA-256 of `salted`, which is 32 bytes of salt followed by the content of a part."""
    return sha256(salted).digest()


def pair_hash(pair: bytes | bytearray) -> bytes:
    """Return the node hash of two child hashes that lie side by side in `pair`, 64 bytes."""
    return sha256(_NODE + pair).digest()
