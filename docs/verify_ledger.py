"""Checks a ledger of docs/ledger-format.md without any code of the project: one file, standard library and Ed25519.

    python3 verify_ledger.py VKEY export DIR [OLD-CHECKPOINT ...]
    python3 verify_ledger.py VKEY receipt FILE.json

VKEY is the verifier key, or a file with all that the log has had, a line each. It must come from a source that you
trust, never from the export or the receipt itself. `export` reads every entry of a static export, follows the chain,
builds the tree anew, compares every tile, and shows that each older checkpoint which you kept is how this ledger
begins. Exit status: 0 whole, 1 refused.
"""

import base64
import datetime as dt
import hashlib
import json
import pathlib
import re
import sys
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NAME = re.compile(r"[a-z0-9._/-]{1,128}")
ORIGIN = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,255}")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class Refused(Exception):
    """What does not hold, and where."""


def check(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise Refused(f"{where}: {rule}")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def unbase64(text: str, where: str, length: int | None = None) -> bytes:
    value = base64.b64decode(text, validate=True)
    check(base64.b64encode(value).decode() == text, where, "is another spelling of its base64")
    check(length in (None, len(value)), where, f"has {len(value)} bytes, not {length}")
    return value


def decimal(text: str, where: str) -> int:
    check(DECIMAL.fullmatch(text) is not None and int(text) < 2**63, where, f"{text!r} is no decimal number")
    return int(text)


class Tree:
    """Section 2. The roots of the complete subtrees at the right edge: `edge[l]` covers 2**l leaves, or is None."""

    def __init__(self) -> None:
        self.size = 0
        self.edge: list[bytes | None] = [None] * 64

    def add(self, leaf: bytes) -> None:
        level, node = 0, leaf
        while (left := self.edge[level]) is not None:
            self.edge[level], node, level = None, sha256(b"\x01" + left + node), level + 1
        self.edge[level], self.size = node, self.size + 1

    def root(self) -> bytes:
        root: bytes | None = None
        for node in self.edge:
            if node is not None:
                root = node if root is None else sha256(b"\x01" + node + root)
        return sha256(b"") if root is None else root


def follow(index: int, size: int, leaf: bytes, proof: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    check(0 <= index < size, "inclusion proof", f"entry {index} is not in a tree of {size}")
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        check(sn != 0, "inclusion proof", "is too long")
        if fn & 1 or fn == sn:
            node = sha256(b"\x01" + sibling + node)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = sha256(b"\x01" + node + sibling)
        fn, sn = fn >> 1, sn >> 1
    check(sn == 0, "inclusion proof", "is too short")
    return node


def open_note(note: bytes, vkeys: list[str], where: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint whose every signature by these keys of one log holds, one at least."""
    keys = {}
    for vkey in vkeys:
        check(vkey.count("+") >= 2, "VKEY", f"{vkey!r} is neither a file nor a verifier key")
        name, key_id, encoded = vkey.split("+", 2)
        key = unbase64(encoded, "verifier key", 33)
        known = sha256(name.encode() + b"\n" + key)[:4]
        check(key[0] == 1 and known.hex() == key_id, "verifier key", "its id does not fit its name and key")
        keys[name, known] = Ed25519PublicKey.from_public_bytes(key[1:])
    text, gap, lines = note.rpartition(b"\n\n")
    check(bool(gap) and lines.endswith(b"\n"), where, "is no signed note")
    signatures, fields = lines.decode().split("\n")[:-1], text.decode().split("\n")
    own = 0
    for line in signatures:
        dash, signer, value = line.split(" ")
        check(dash == "\u2014", where, "has a malformed signature line")
        raw = unbase64(value, f"{where}, signature")
        if (signer, raw[:4]) in keys:
            own += signer == fields[0]
            keys[signer, raw[:4]].verify(raw[4:], text + b"\n")
    check(fields[0] in {name for name, _ in keys}, where, f"is of the log {fields[0]}, not that of VKEY")
    check(own > 0, where, f"is not signed by {' or '.join(vkeys)}")
    check(len(fields) >= 3 and all(fields), where, "has no three lines")
    return fields[0], decimal(fields[1], f"{where}, size"), unbase64(fields[2], f"{where}, root", 32)


def parse_entry(data: bytes, origin: str, index: int) -> tuple[bytes, str, dict[str, bytes]]:
    """(previous hash, time, commitments) of a well-formed entry of this log and index."""
    where = f"entry {index}"
    text = len(data) <= 65535 and data.isascii() and data.endswith(b"\n")
    check(text, where, "is no text of at most 65,535 bytes")
    lines = data[:-1].decode().split("\n")
    check(len(lines) >= 6 and lines[0] == "diya-entry/v1", where, "is no diya-entry/v1")
    check(lines[1] == origin and ORIGIN.fullmatch(origin) is not None, where, f"is of the log {lines[1]!r}")
    check(decimal(lines[2], where) == index, where, f"says that it is entry {lines[2]}")
    check(TIME.fullmatch(lines[4]) is not None, where, "has no time")
    dt.datetime.fromisoformat(lines[4])  # a time of the calendar, or a ValueError
    check(NAME.fullmatch(lines[5]) is not None, where, "has no kind")
    parts: dict[str, bytes] = {}
    for line in lines[6:]:
        name, gap, digest = line.partition(" ")
        right = bool(gap) and NAME.fullmatch(name) is not None and name not in parts
        check(right, where, f"part {name!r} is malformed")
        parts[name] = unbase64(digest, f"{where}, part {name}", 32)
    return unbase64(lines[3], f"{where}, previous hash", 32), lines[4], parts


def path_of(kind: str, index: int, width: int) -> str:
    """tile/<kind>/<N>[.p/<W>]"""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    return f"tile/{kind}/{name}" + ("" if width == 256 else f".p/{width}")


def entries_of(folder: pathlib.Path, index: int, width: int) -> list[bytes]:
    """The entries of a bundle: each behind its length, two bytes, big-endian."""
    name, found, at = path_of("entries", index, width), [], 0
    data = (folder / name).read_bytes()
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : at + 2 + length])
        check(at + 2 + length <= len(data), name, "ends in the middle of an entry")
        at += 2 + length
    check(len(found) == width, name, f"has {len(found)} entries, not {width}")
    return found


def verify_export(folder: pathlib.Path, vkey: list[str], old: list[pathlib.Path]) -> str:
    origin, size, root = open_note((folder / "checkpoint").read_bytes(), vkey, "checkpoint")
    kept: dict[int, bytes] = {}
    for path in old:
        _, old_size, old_root = open_note(path.read_bytes(), vkey, str(path))
        check(old_size <= size, str(path), f"is of {old_size} entries, of which {size} are left: cut off")
        check(kept.setdefault(old_size, old_root) == old_root, str(path), "is one of two of one size: a fork")
    tree, tiles, previous, last_time = Tree(), [b""], bytes(32), ""
    for first in range(0, size, 256):
        for data in entries_of(folder, first // 256, min(256, size - first)):
            before, time, _ = parse_entry(data, origin, tree.size)
            check(before == previous, f"entry {tree.size}", "does not name the hash of the entry before it")
            check(time >= last_time, f"entry {tree.size}", "is earlier than the entry before it")
            previous, last_time = sha256(b"\x00" + data), time
            tree.add(previous)
            same = kept.get(tree.size) in (None, tree.root())
            check(same, f"old checkpoint of {tree.size}", "is not how this ledger begins: a fork")
            tiles[0] += previous
            level = 0
            while len(tiles[level]) == 8192:
                above = tile_root(folder, level, (tree.size >> 8 * (level + 1)) - 1, tiles[level])
                tiles += [b""] * (level + 1 == len(tiles))
                tiles[level], tiles[level + 1] = b"", tiles[level + 1] + above
                level += 1
    for level, hashes in enumerate(tiles):
        if hashes:
            tile_root(folder, level, tree.size >> 8 * (level + 1), hashes)
    check(tree.root() == root, "checkpoint", "its root is not that of these entries")
    return f"{origin}: whole. {size} entries, root {root.hex()}, {len(kept)} older checkpoints hold"


def tile_root(folder: pathlib.Path, level: int, index: int, hashes: bytes) -> bytes:
    """Compare a tile file with the hashes that the entries lead to; the root over it if it is full."""
    name = path_of(str(level), index, len(hashes) // 32)
    check((folder / name).read_bytes() == hashes, name, "is not the tile of these entries")
    row = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    while len(row) > 1 and len(hashes) == 8192:
        row = [sha256(b"\x01" + left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def verify_receipt(path: pathlib.Path, vkey: list[str]) -> str:
    kept: Any = json.loads(path.read_text(encoding="utf-8"))
    receipt, envelope = kept["receipt"], kept["envelope"]
    check(kept["schema"] == "diya-receipt/v1" and bool(receipt), "file", "holds no receipt")
    check(not receipt.get("pending"), "receipt", "is pending: fetch it again")
    entry, index = unbase64(receipt["entry"], "entry"), decimal(str(receipt.get("index", "0")), "index")
    leaf = sha256(b"\x00" + entry)
    check(unbase64(receipt["entryHash"], "entryHash") == leaf, "entryHash", "is another entry's")
    origin, size, root = open_note(unbase64(receipt["checkpoint"], "checkpoint"), vkey, "checkpoint")
    check(receipt["origin"] == origin, "origin", "is another log's")
    _, time, parts = parse_entry(entry, origin, index)
    proof = [unbase64(one, "inclusionProof", 32) for one in receipt.get("inclusionProof", [])]
    check(follow(index, size, leaf, proof) == root, "inclusion proof", "leads to another root")
    payload, kind = unbase64(envelope["payload"], "payload"), envelope["payloadType"].encode()
    contents = {"evidence/payload": b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)}
    opened = {}
    for opening in receipt.get("openings", []):
        name, salt = opening["name"], unbase64(opening["salt"], "salt", 32)
        opened[name] = contents.get(name) or unbase64(opening.get("content", ""), name)
        check(parts.get(name) == sha256(salt + opened[name]), name, "is not what the entry commits to")
    check("evidence/payload" in opened, "receipt", "does not open what was signed")
    logged, answer = json.loads(opened.get("outcome", b"{}")), kept.get("outcome") or {}
    check(not answer or "outcome" in opened, "receipt", "does not open what was answered")
    for name in ("result", "application") if answer else ():
        said = answer.get(name, "").removeprefix("OUTCOME_RESULT_")
        check(logged.get(name, "") == said, "outcome", f"{name} {said!r} is not what the ledger says")
    return f"{origin}: entry {index} of {time} is in the ledger; {', '.join(opened)} as kept"


def main(arguments: list[str]) -> int:
    if len(arguments) < 3 or arguments[1] not in ("export", "receipt"):
        print(__doc__, file=sys.stderr)
        return 2
    given = pathlib.Path(arguments[0])
    try:
        text = given.read_text(encoding="utf-8") if given.is_file() else arguments[0]
        vkey = [line for line in text.split("\n") if line and not line.startswith("#")]
        path, more = pathlib.Path(arguments[2]), [pathlib.Path(one) for one in arguments[3:]]
        print(verify_export(path, vkey, more) if arguments[1] == "export" else verify_receipt(path, vkey))
    except (Refused, InvalidSignature, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"REFUSED: {error if isinstance(error, Refused | OSError) else repr(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
