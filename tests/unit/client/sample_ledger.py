"""A little ledger in memory, put together from the ledger package: entries, tree, signed
checkpoints, receipts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import outcome_pb2
from ledger.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from ledger.entry import NO_PREVIOUS, Entry, commit_part
from ledger.hashing import leaf_hash, node_hash
from ledger.tree import Coordinate, consistency_proof, inclusion_proof, root
from signing.envelope import Envelope, pae

REGISTRY = "chengjiang"
ORIGIN = "ledger.example/chengjiang"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def salt(name: str, index: int) -> bytes:
    """A repeatable salt of 32 bytes."""
    return leaf_hash(f"salt {name} {index}".encode())


class SampleLedger:
    """Appends acts and proves them, as a gateway does."""

    def __init__(self, *, origin: str = ORIGIN, seed: int = 7) -> None:
        self.origin = origin
        self.signer = NoteSigner(origin, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))
        self.entries: list[bytes] = []
        self.parts: list[dict[str, bytes]] = []

    @property
    def trust(self) -> LedgerTrust:
        """Whoever has the ledger's key."""
        return LedgerTrust({REGISTRY: [self.signer.vkey]})

    def append(self, parts: dict[str, bytes]) -> int:
        """One entry with these parts; its index."""
        index = len(self.entries)
        entry = Entry(
            origin=self.origin,
            index=index,
            previous_hash=leaf_hash(self.entries[-1]) if self.entries else NO_PREVIOUS,
            time=START + timedelta(seconds=index),
            kind="application.submitted",
            commitments=tuple(
                (name, commit_part(salt(name, index), content)) for name, content in parts.items()
            ),
        )
        self.entries.append(entry.encode())
        self.parts.append(parts)
        return index

    def append_act(self, envelope: Envelope, outcome: outcome_pb2.Outcome) -> int:
        """The entry of an act with its answer, as the gateway logs it."""
        result = outcome_pb2.OutcomeResult.Name(outcome.result).removeprefix("OUTCOME_RESULT_")
        logged = {"result": result, "application": outcome.application}
        return self.append(
            {
                "evidence/payload": pae(envelope.payload_type, envelope.payload),
                "outcome": json.dumps(logged).encode(),
            }
        )

    def fill(self, count: int) -> None:
        """Entries of other people."""
        for _ in range(count):
            self.append({"effects": b"somebody else's"})

    def read_hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """The HashReader of ledger.tree."""
        return [self._hash(level, index) for level, index in coordinates]

    def _hash(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self.entries[index])
        return node_hash(self._hash(level - 1, 2 * index), self._hash(level - 1, 2 * index + 1))

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The checkpoint of a size, by default the whole."""
        size = len(self.entries) if size is None else size
        return Checkpoint(self.origin, size, root(size, self))

    def note(self, size: int | None = None) -> bytes:
        """The signed checkpoint."""
        return sign_checkpoint(self.checkpoint(size), self.signer)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof."""
        return consistency_proof(old, new, self)

    def receipt(self, index: int, size: int | None = None) -> outcome_pb2.Receipt:
        """The receipt of an entry under the checkpoint of `size`."""
        size = len(self.entries) if size is None else size
        data = self.entries[index]
        return outcome_pb2.Receipt(
            registry=REGISTRY,
            origin=self.origin,
            index=index,
            entry=data,
            entry_hash=leaf_hash(data),
            checkpoint=self.note(size),
            inclusion_proof=inclusion_proof(index, size, self),
            openings=[
                outcome_pb2.PartOpening(
                    name=name,
                    salt=salt(name, index),
                    content=b"" if name == "evidence/payload" else content,
                )
                for name, content in self.parts[index].items()
            ],
        )
