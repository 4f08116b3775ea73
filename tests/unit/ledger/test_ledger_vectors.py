"""The published constants and our golden files hold, checked by a second implementation."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.checkpoint import Checkpoint, NoteSigner, open_checkpoint, sign_checkpoint
from ledger.entry import commit_part, parse_entry
from ledger.hashing import EMPTY_ROOT, leaf_hash, node_hash
from ledger.proof import verify_inclusion
from ledger.proof_file import parse_proof_file, verify_proof_file
from ledger.tree import Frontier
from ledger.vault import Vault
from tests.support.tlog import mth

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "vectors" / "ledger"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return content


def test_hashes_rfc6962_constants_hold() -> None:
    """Leaf, node and empty hashes are those of every RFC 6962 log."""
    vectors = load("rfc6962.json")
    assert EMPTY_ROOT.hex() == vectors["empty_root"]
    for leaf in vectors["leaves"]:
        assert leaf_hash(bytes.fromhex(leaf["data"])).hex() == leaf["hash"]
    for node in vectors["nodes"]:
        assert node_hash(bytes.fromhex(node["left"]), bytes.fromhex(node["right"])).hex() == node["hash"]


@pytest.mark.parametrize("size", range(9))
def test_root_rfc6962_inputs_give_published_root(size: int) -> None:
    """The roots of the eight classic inputs are the published ones."""
    vectors = load("rfc6962.json")
    leaves = [leaf_hash(bytes.fromhex(data)) for data in vectors["inputs"][:size]]
    assert Frontier().extend(leaves).root().hex() == vectors["roots"][size]
    assert mth(leaves).hex() == vectors["roots"][size]


def test_entries_golden_chain_holds_by_hand() -> None:
    """Each golden entry is the lines the format says, and names the hash of the one before."""
    vectors = load("entries.json")
    previous = bytes(32)
    for index, row in enumerate(vectors["entries"]):
        entry = parse_entry(row["entry"].encode())
        lines = [
            "diya-entry/v1",
            vectors["origin"],
            str(index),
            b64encode(previous).decode(),
            entry.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            entry.kind,
        ]
        for part in row["parts"]:
            salted = bytes.fromhex(part["salt"]) + part["content"].encode()
            digest = sha256(salted).digest()
            lines.append(f"{part['name']} {b64encode(digest).decode()}")
            assert commit_part(salted[:32], salted[32:]) == digest
        assert "".join(line + "\n" for line in lines) == row["entry"]
        assert entry.encode() == row["entry"].encode()
        previous = sha256(b"\x00" + row["entry"].encode()).digest()
        assert previous.hex() == row["entry_hash"]


def test_checkpoint_golden_note_holds_by_hand() -> None:
    """The golden note is text, empty line and a signature that Ed25519 alone can check."""
    vectors = load("checkpoint.json")
    leaves = [bytes.fromhex(row["entry_hash"]) for row in load("entries.json")["entries"]]
    assert [mth(leaves[:size]).hex() for size in range(6)] == vectors["roots"]
    origin = load("entries.json")["origin"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vectors["private_key"]))
    public = key.public_key().public_bytes_raw()
    key_id = sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    text = f"{origin}\n5\n{b64encode(mth(leaves)).decode()}\n"
    signature = b64encode(key_id + key.sign(text.encode())).decode()
    assert vectors["note"] == f"{text}\n\u2014 {origin} {signature}\n"
    assert vectors["vkey"] == f"{origin}+{key_id.hex()}+{b64encode(bytes([1]) + public).decode()}"


def test_checkpoint_golden_note_is_made_and_opened() -> None:
    """The package makes and opens the golden note and decodes the golden frontier."""
    vectors = load("checkpoint.json")
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vectors["private_key"]))
    origin = load("entries.json")["origin"]
    checkpoint = Checkpoint(origin, 5, bytes.fromhex(vectors["roots"][5]))
    assert sign_checkpoint(checkpoint, NoteSigner(origin, key)) == vectors["note"].encode()
    assert open_checkpoint(vectors["note"].encode(), vectors["vkey"]) == checkpoint
    frontier = Frontier.decode(bytes.fromhex(vectors["frontier"]))
    assert frontier.root() == checkpoint.root
    assert frontier.encode().hex() == vectors["frontier"]


def test_proof_file_golden_file_proves_entry() -> None:
    """The golden proof file proves golden entry 1 and no other."""
    vectors = load("checkpoint.json")
    rows = load("entries.json")["entries"]
    data = vectors["proof_file"].encode()
    entry_hash = bytes.fromhex(rows[1]["entry_hash"])
    index, checkpoint = verify_proof_file(data, entry_hash, vectors["vkey"])
    assert (index, checkpoint.size) == (1, 5)
    proof = parse_proof_file(data).proof
    assert [value.hex() for value in proof] == vectors["proof"]
    verify_inclusion(1, 5, entry_hash, proof, bytes.fromhex(vectors["roots"][5]))


def test_sealing_golden_values_open_by_hand() -> None:
    """A sealed part and a wrapped key are plain AES-256-GCM, nonce first."""
    vectors = load("sealing.json")
    value = {
        name: bytes.fromhex(vectors[name])
        for name in ("kek", "key", "nonce", "plaintext", "sealed", "wrapped")
    }
    assert value["sealed"][:12] == value["wrapped"][:12] == value["nonce"]
    opened = AESGCM(value["key"]).decrypt(value["nonce"], value["sealed"][12:], vectors["part_aad"].encode())
    assert opened == value["plaintext"]
    unwrapped = AESGCM(value["kek"]).decrypt(
        value["nonce"], value["wrapped"][12:], vectors["key_aad"].encode()
    )
    assert unwrapped == value["key"]
    vault = Vault(value["kek"])
    assert vault.unwrap(value["wrapped"], vectors["key_aad"].encode()) == value["key"]
    assert vault.open(value["key"], vectors["part_aad"].encode(), value["sealed"]) == value["plaintext"]


def test_make_vectors_run_again_writes_same_bytes(tmp_path: Path) -> None:
    """The program beside the vectors writes exactly the files that are committed."""
    subprocess.run(
        [sys.executable, str(FOLDER / "make_vectors.py"), str(tmp_path)],
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": "."},
    )
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes(), path.name
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.json",
        "entries.json",
        "sealing.json",
    ]
