"""A ledger as an earlier version left it, kept as test data: what it said must be read for ever.

A golden file is JSON, packed by xz: the entries verbatim, the parts with their salts as they were opened (how they are
sealed is `tests/vectors/ledger/sealing.json`; opened, the file is small), the notes, and all rows of the views that the
version made of them. `python -m tests.support.golden DEMO-FOLDER REGISTRY FILE` makes one of what `diya demo` leaves.
"""

from __future__ import annotations

import json
import lzma
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from gateway.config import load_config
from gateway.keyring.keys import note_signer, read_key_encryption_key
from gateway.storage import tables as t
from gateway.storage.engine import auditor_engine
from gateway.storage.rebuild import pages_in_order
from ledger import tables as lt
from ledger.checkpoint import open_checkpoint
from ledger.entry import parse_entry, to_microseconds
from ledger.hashing import leaf_hash
from ledger.store import Ledger
from ledger.tree import Frontier
from ledger.vault import Vault, key_aad, part_aad

FOLDER: Final = Path(__file__).parents[1] / "vectors" / "golden"


def read_golden(path: Path) -> dict[str, Any]:
    """The content of a golden file."""
    golden: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
    return golden


def restore(connection: Connection, golden: dict[str, Any]) -> Vault:
    """Put the ledger of a golden file into empty tables; the vault that opens its parts."""
    registry, vault = golden["registry"], Vault(b64decode(golden["kek"]))
    entries = [data.encode() for data in golden["entries"]]
    leaves = [leaf_hash(data) for data in entries]
    at = {"registry": registry}
    connection.execute(
        insert(lt.ledger_head),
        {
            **at,
            "origin": golden["origin"],
            "size": len(entries),
            "head_hash": leaves[-1],
            "head_time": to_microseconds(parse_entry(entries[-1]).time),
            "frontier": Frontier().extend(leaves).encode(),
            "key_check": vault.check_value(registry),
        },
    )
    connection.execute(
        insert(lt.ledger_entry), [{**at, "entry_index": n, "entry": data} for n, data in enumerate(entries)]
    )
    keys: dict[str, bytes] = {}
    for index, name, key_id, salt, content in golden["parts"]:
        if key_id not in keys:
            keys[key_id] = vault.new_key()
            wrapped = vault.wrap(keys[key_id], key_aad(registry, key_id, index))
            row = {**at, "key_id": key_id, "wrapped": wrapped, "created_index": index}
            connection.execute(insert(lt.ledger_key), row)
        salted = b64decode(salt) + _bytes(content)
        sealed = vault.seal(keys[key_id], part_aad(registry, index, name), salted)
        row = {**at, "entry_index": index, "name": name, "key_id": key_id, "sealed": sealed}
        connection.execute(insert(lt.ledger_part), row)
    previous, last = None, None
    for note in golden["notes"]:
        last = open_checkpoint(note.encode(), golden["vkey"])
        row = {**at, "size": last.size, "previous_size": previous, "root": last.root, "note": note.encode()}
        connection.execute(insert(lt.ledger_checkpoint), row)
        previous = last.size
    assert last is not None
    connection.execute(insert(lt.ledger_published), {**at, "size": last.size, "root": last.root})
    return vault


def views_of(connection: Connection, registry: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of the views, in key order, as JSON can hold them."""
    return {
        table.name: [
            {name: _plain(value) for name, value in zip(table.columns.keys(), row, strict=True)}
            for page in pages_in_order(connection, table, registry)
            for row in page
        ]
        for table in t.VIEWS
    }


def said_then(old: Any, new: Any) -> bool:
    """Whether what an earlier version said is still said: a later one may say more, in fields that it added."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and said_then(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(said_then, old, new))
    return bool(old == new)


def _plain(value: Any) -> Any:
    return _read(value) if isinstance(value, bytes) else value


def _read(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return b64encode(data).decode()


def _text(data: bytes) -> Any:
    """Bytes in a JSON file: as text where they are text, which packs better."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _bytes(value: Any) -> bytes:
    return b64decode(value["base64"]) if isinstance(value, dict) else value.encode()


def _golden_of(folder: Path, registry: str) -> dict[str, Any]:
    config = load_config(folder / "diya.toml")
    kek = read_key_encryption_key(config.storage.key_encryption_key)
    ledger = Ledger(Vault(kek))
    (one,) = (one for one in config.registries if one.id == registry)
    with auditor_engine(config.storage.database).begin() as connection:
        size = ledger.head(connection, registry, for_update=False).size
        entries = ledger.read_entries(connection, registry, 0, size)
        part = lt.ledger_part
        key_ids = {
            (index, name): key_id
            for index, name, key_id in connection.execute(
                select(part.c.entry_index, part.c.name, part.c.key_id).where(part.c.registry == registry)
            )
        }
        checkpoint = lt.ledger_checkpoint
        notes = connection.execute(
            select(checkpoint.c.note).where(checkpoint.c.registry == registry).order_by(checkpoint.c.size)
        ).scalars()
        return {
            "registry": registry,
            "origin": one.origin,
            "vkey": note_signer(one.origin, one.ledger_key).vkey,
            "kek": b64encode(kek).decode(),
            "entries": [entry.data.decode() for entry in entries],
            "parts": [
                [p.index, p.name, key_ids[p.index, p.name], b64encode(p.salt).decode(), _text(p.content)]
                for p in ledger.read_parts(connection, registry, 0, size)
            ],
            "notes": [note.decode() for note in notes],
            "views": views_of(connection, registry),
        }


if __name__ == "__main__":
    golden = json.dumps(_golden_of(Path(sys.argv[1]), sys.argv[2]), ensure_ascii=False, sort_keys=True)
    Path(sys.argv[3]).write_bytes(lzma.compress(golden.encode(), preset=9))
