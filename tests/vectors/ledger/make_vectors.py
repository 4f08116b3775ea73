"""Writes the golden vectors of the ledger: `python tests/vectors/ledger/make_vectors.py`.

Every input is fixed here, keys too, so the files only change when the format does, which must never
happen: docs/ledger-format.md is frozen. rfc6962.json is not written here, it comes from elsewhere.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from ledger.entry import NO_PREVIOUS, Entry, commit_part
from ledger.hashing import leaf_hash
from ledger.proof_file import write_proof_file
from ledger.tree import Frontier, inclusion_proof
from ledger.vault import PartKey, Vault, key_aad, part_aad

FOLDER = Path(__file__).parent
ORIGIN = "ledger.diya.example/jiangyin"
REGISTRY = "jiangyin"
SEED = bytes(range(32))
KEK = bytes(range(32, 64))
PART_KEY = bytes(range(64, 96))
NONCE = bytes(range(12))
START = datetime(2026, 3, 2, 1, 30, 0, 123456, tzinfo=UTC)
DRAFTS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("register.imported", (("register.imported.v1", "300 units"),)),
    (
        "application.submitted",
        (
            ("evidence", "an envelope"),
            ("mortgage.booked.v1", "a mortgage"),
            ("certificate/1", "a certificate"),
        ),
    ),
    ("application.submitted", (("evidence", "another envelope"),)),
    ("clock.checked", ()),
    ("certificate.sealed", (("certificate.sealed.v1", "a digest"),)),
)


def salt_of(index: int, name: str) -> bytes:
    """Return the salt of a part: in real life 32 random bytes, here a digest."""
    return sha256(f"salt {index} {name}".encode()).digest()


def make_entries() -> list[dict[str, object]]:
    """Return the golden chain, one object an entry."""
    rows: list[dict[str, object]] = []
    previous = NO_PREVIOUS
    for index, (kind, parts) in enumerate(DRAFTS):
        commitments = tuple((name, commit_part(salt_of(index, name), text.encode())) for name, text in parts)
        entry = Entry(ORIGIN, index, previous, START + timedelta(seconds=index // 2), kind, commitments)
        data = entry.encode()
        previous = leaf_hash(data)
        rows.append(
            {
                "entry": data.decode(),
                "entry_hash": previous.hex(),
                "parts": [
                    {"name": name, "salt": salt_of(index, name).hex(), "content": text}
                    for name, text in parts
                ],
            }
        )
    return rows


class _Leaves:
    """Hashes of complete subtrees, straight from the leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def read_hashes(self, coordinates: list[tuple[int, int]]) -> list[bytes]:
        return [
            Frontier().extend(self.leaves[index << level : (index + 1) << level]).root()
            for level, index in coordinates
        ]


def make_checkpoint(entries: list[dict[str, object]]) -> dict[str, object]:
    """Return the signed checkpoint over the golden chain, and a proof file for entry 1."""
    leaves = [bytes.fromhex(str(entry["entry_hash"])) for entry in entries]
    roots = [Frontier().extend(leaves[:size]).root() for size in range(len(leaves) + 1)]
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(SEED))
    note = sign_checkpoint(Checkpoint(ORIGIN, len(leaves), roots[-1]), signer)
    proof = inclusion_proof(1, len(leaves), _Leaves(leaves))
    return {
        "private_key": SEED.hex(),
        "vkey": signer.vkey,
        "roots": [root.hex() for root in roots],
        "frontier": Frontier().extend(leaves).encode().hex(),
        "note": note.decode(),
        "proof_index": 1,
        "proof": [value.hex() for value in proof],
        "proof_file": write_proof_file(1, proof, note).decode(),
    }


def make_sealing() -> dict[str, object]:
    """Return a sealed part and a wrapped key, with a fixed nonce."""
    plaintext = salt_of(1, "evidence") + b"an envelope"
    aad = part_aad(REGISTRY, 1, "evidence")
    wrap_aad = key_aad(REGISTRY, "application-1", 1)
    return {
        "kek": KEK.hex(),
        "nonce": NONCE.hex(),
        "key_id": "application-1",
        "key": PART_KEY.hex(),
        "key_aad": wrap_aad.decode(),
        "wrapped": Vault(KEK, lambda length: NONCE[:length]).wrap(PART_KEY, wrap_aad).hex(),
        "part_aad": aad.decode(),
        "plaintext": plaintext.hex(),
        "sealed": PartKey(PART_KEY, lambda length: NONCE[:length]).seal(aad, plaintext).hex(),
    }


def main() -> None:
    """Write the three files beside this program, or into the folder named on the command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    entries = make_entries()
    files = {
        "entries.json": {"origin": ORIGIN, "entries": entries},
        "checkpoint.json": make_checkpoint(entries),
        "sealing.json": make_sealing(),
    }
    for name, content in files.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
