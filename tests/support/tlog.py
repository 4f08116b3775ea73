"""A second, plain implementation of RFC 6962 and C2SP tlog-tiles. It shares nothing with the ledger package."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], bytes]
"""The bytes at a path below a log's prefix."""


def leaf(data: bytes) -> bytes:
    """RFC 6962, 2.1: the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def root_from_path(m: int, n: int, leaf_hash: bytes, path: list[bytes]) -> bytes | None:
    """The root that PATH(m, D[n]) of RFC 6962, 2.1.1 leads to, by its recursion; None where its length is wrong."""
    if n == 1:
        return leaf_hash if not path else None
    if not path:
        return None
    k = _split(n)
    left = m < k
    below = root_from_path(m if left else m - k, k if left else n - k, leaf_hash, path[:-1])
    if below is None:
        return None
    pair = below + path[-1] if left else path[-1] + below
    return sha256(b"\x01" + pair).digest()


def is_included(m: int, n: int, leaf_hash: bytes, path: list[bytes], root: bytes) -> bool:
    """Whether the path proves leaf m in the tree of n leaves."""
    return 0 <= m < n and len(leaf_hash) == 32 and root_from_path(m, n, leaf_hash, path) == root


def is_consistent(m: int, n: int, root1: bytes, root2: bytes, proof: list[bytes]) -> bool:
    """Whether PROOF(m, D[n]) of RFC 6962, 2.1.2 joins the two roots, by its recursion."""
    if not 0 < m <= n:
        return False
    if m == n:
        return not proof and root1 == root2
    left = list(proof)
    pair = _subproof(m, n, True, root1, left)
    return pair == (root1, root2) and not left


def _subproof(m: int, n: int, whole: bool, known: bytes, rest: list[bytes]) -> tuple[bytes, bytes] | None:
    """SUBPROOF(m, D[n], whole) read from its end: the roots of the first m and of all n leaves."""
    if m == n:
        if whole:
            return known, known
        if not rest:
            return None
        value = rest.pop(0)
        return value, value
    k = _split(n)
    if not rest:
        return None
    beside = rest.pop()
    if m <= k:
        pair = _subproof(m, k, whole, known, rest)
        return None if pair is None else (pair[0], sha256(b"\x01" + pair[1] + beside).digest())
    pair = _subproof(m - k, n - k, False, known, rest)
    if pair is None:
        return None
    return sha256(b"\x01" + beside + pair[0]).digest(), sha256(b"\x01" + beside + pair[1]).digest()


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


# -- notes and logs ----------------------------------------------------------------------------------------------------


def open_note(note: bytes, vkey: str) -> list[str]:
    """The lines of a signed note's text; a signature of the key is there and holds."""
    name, key_id, key = vkey.split("+", 2)
    public = b64decode(key)
    assert public[0] == 1
    assert sha256(name.encode() + b"\n" + public).digest()[:4].hex() == key_id
    text, _, signatures = note.decode().rpartition("\n\n")
    text += "\n"
    checked = 0
    for line in signatures.splitlines():
        dash, signer, value = line.split(" ")
        assert dash == "\u2014"
        raw = b64decode(value)
        if (signer, raw[:4].hex()) == (name, key_id):
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], text.encode())
            checked += 1
    assert checked == 1
    return text.splitlines()


def tile_name(level: int | str, index: int, width: int) -> str:
    """tile/<L>/<N>[.p/<W>]."""
    text = str(index)
    while len(text) % 3:
        text = "0" + text
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{path}" + ("" if width == 256 else f".p/{width}")


def unpack(bundle: bytes) -> list[bytes]:
    """The entries of a bundle."""
    entries = []
    while bundle:
        length = bundle[0] * 256 + bundle[1]
        assert len(bundle) >= 2 + length
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries


def names_of(size: int) -> list[str]:
    """Every resource of a log of `size` entries but the checkpoint."""
    names = []
    for level, count in _levels(size):
        kinds: list[int | str] = [level, "entries"] if level == 0 else [level]
        for kind in kinds:
            names += [tile_name(kind, at // 256, min(256, count - at)) for at in range(0, count, 256)]
    return names


def _levels(size: int) -> list[tuple[int, int]]:
    counts, level = [], 0
    while size:
        counts.append((level, size))
        size //= 256
        level += 1
    return counts


def read_log(fetch: Fetch, vkey: str, origin: str) -> tuple[int, bytes, list[bytes]]:
    """Read a whole log and check all of it; its size, root and entries."""
    lines = open_note(fetch("checkpoint"), vkey)
    assert lines[0] == origin
    size, root = int(lines[1]), b64decode(lines[2])
    entries: list[bytes] = []
    for at in range(0, size, 256):
        width = min(256, size - at)
        bundle = unpack(fetch(tile_name("entries", at // 256, width)))
        assert len(bundle) == width
        entries += bundle
    hashes = list(map(leaf, entries))
    assert mth(hashes) == root
    for level, count in _levels(size):
        assert len(hashes) == count
        for at in range(0, count, 256):
            width = min(256, count - at)
            assert fetch(tile_name(level, at // 256, width)) == b"".join(hashes[at : at + width])
        hashes = [mth(hashes[at : at + 256]) for at in range(0, count - count % 256, 256)]
    return size, root, entries
