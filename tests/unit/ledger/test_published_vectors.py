"""Vectors that others published: ours and a second, plain implementation give what they say."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, update

from ledger.checkpoint import Checkpoint, NoteSigner, open_checkpoint, sign_checkpoint
from ledger.errors import ProofError
from ledger.export import export_ledger
from ledger.hashing import leaf_hash
from ledger.proof import verify_consistency, verify_inclusion
from ledger.resource import Resource, ResourceReader, edge_of, encode_bundle
from ledger.tables import ledger_checkpoint, ledger_entry, ledger_published
from ledger.tile import Tile
from ledger.tree import Frontier
from tests.support import tlog
from tests.support.ledger_database import REGISTRY, TestLedger

FOLDER = Path(__file__).parents[2] / "vectors" / "transparency"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return content


INCLUSION, CONSISTENCY = load("merkle_inclusion.json"), load("merkle_consistency.json")
LOG = {name.removeprefix("testdata/log/"): b64decode(data) for name, data in load("tessera_log.json").items()}
KEYS = load("tessera_keys.json")
ENTRIES = [
    *(b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eit"),
    *(b"nain", b"ten", b"ileven", b"twelf", b"threeten", b"fourten", b"fivten"),
]
"""What the test log holds (`testdata/build_log.sh`)."""
SIZES = range(16)


def decoded(case: dict[str, Any], *names: str) -> list[Any]:
    """Fields of a case, base64 undone; a proof that is null is an empty one."""
    values = []
    for name in names:
        value = case[name]
        values.append([b64decode(one) for one in value or []] if name == "proof" else b64decode(value or ""))
    return values


def test_there_are_as_many_cases_as_were_published() -> None:
    """98 of each, of both kinds of answer, and a whole test log."""
    assert (len(INCLUSION), len(CONSISTENCY), len(LOG)) == (98, 98, 47)
    for cases in (INCLUSION, CONSISTENCY):
        assert {case["wantErr"] for case in cases.values()} == {True, False}


def holds(verify: Callable[..., None], *arguments: Any) -> bool:
    """Whether our verifier lets a proof pass."""
    try:
        verify(*arguments)
    except ProofError:
        return False
    return True


def test_inclusion_cases_are_judged_as_published() -> None:
    """All of them, by both implementations."""
    for name, case in INCLUSION.items():
        index, size = case["leafIdx"], case["treeSize"]
        leaf, proof, root = decoded(case, "leafHash", "proof", "root")
        assert holds(verify_inclusion, index, size, leaf, proof, root) is not case["wantErr"], name
        assert tlog.is_included(index, size, leaf, proof, root) is not case["wantErr"], name


def test_consistency_cases_are_judged_as_published() -> None:
    """All of them, by both implementations."""
    for name, case in CONSISTENCY.items():
        size1, size2 = case["size1"], case["size2"]
        root1, root2, proof = decoded(case, "root1", "root2", "proof")
        assert holds(verify_consistency, size1, root1, size2, root2, proof) is not case["wantErr"], name
        assert tlog.is_consistent(size1, size2, root1, root2, proof) is not case["wantErr"], name


def test_tessera_checkpoints_open_and_are_signed_again_bit_for_bit() -> None:
    """Each of the 16 roots and signed notes."""
    seed = b64decode(KEYS["private"].split("+", 4)[4])[1:]
    signer = NoteSigner("example.com/log/testdata", Ed25519PrivateKey.from_private_bytes(seed))
    assert signer.vkey == KEYS["public"]
    for size in SIZES:
        note = LOG[f"checkpoint.{size}"]
        root = Frontier().extend(map(leaf_hash, ENTRIES[:size])).root()
        assert tlog.mth([tlog.leaf(entry) for entry in ENTRIES[:size]]) == root
        opened = open_checkpoint(note, KEYS["public"])
        assert opened == Checkpoint(signer.name, size, root)
        assert tlog.open_note(note, KEYS["public"]) == [signer.name, str(size), b64encode(root).decode()]
        assert sign_checkpoint(opened, signer) == note


def test_tessera_tiles_and_bundles_are_ours_bit_for_bit() -> None:
    """Hashes and entries of each size, packed and unpacked."""
    for size in SIZES[1:]:
        bundle, tile = LOG[f"tile/entries/000.p/{size}"], LOG[f"tile/0/000.p/{size}"]
        assert encode_bundle(ENTRIES[:size]) == bundle
        assert tlog.unpack(bundle) == ENTRIES[:size]
        assert Tile(b"".join(map(leaf_hash, ENTRIES[:size]))).hashes() == tile
        assert b"".join(map(tlog.leaf, ENTRIES[:size])) == tile


def test_tessera_log_in_our_tables_is_exported_as_tessera_wrote_it(tmp_path: Path) -> None:
    """File for file, grown entry by entry as theirs was; and read from the tables alike."""
    opened = TestLedger(tmp_path / "ledger.db")
    folder = tmp_path / "out"
    for size in SIZES:
        note = LOG[f"checkpoint.{size}"]
        root = open_checkpoint(note, KEYS["public"]).root
        with opened.engine.begin() as conn:
            if size:
                row = {"registry": REGISTRY, "entry_index": size - 1, "entry": ENTRIES[size - 1]}
                conn.execute(insert(ledger_entry), row)
            conn.execute(
                insert(ledger_checkpoint), {"registry": REGISTRY, "size": size, "root": root, "note": note}
            )
            conn.execute(update(ledger_published).values(size=size, root=root))
        with opened.engine.connect() as conn:
            export_ledger(conn, REGISTRY, KEYS["public"], folder)
    written = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    theirs = {name: data for name, data in LOG.items() if not name.startswith("checkpoint.")}
    assert written.pop("vkey") == KEYS["public"].encode() + b"\n"
    assert written == theirs
    with opened.engine.connect() as conn:
        for width in SIZES[1:]:
            for level, kind in ((None, "entries"), (0, "0")):
                read = ResourceReader().read(conn, REGISTRY, Resource(level, 0, width), 15)
                assert read == LOG[f"tile/{kind}/000.p/{width}"]


def test_edge_of_the_standards_example() -> None:
    """A tree of 70,000 entries, as tlog-tiles describes it; and of 256."""
    assert [edge.name for edge in edge_of(70_000)] == [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [edge.name for edge in edge_of(256)] == ["tile/1/000.p/1"]
    assert list(edge_of(0)) == []
