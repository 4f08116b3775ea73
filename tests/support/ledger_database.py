"""A ledger on a SQLite file for tests: engine, tables, fixed key, fixed randomness, drafts.

Not the engine of production: only what the ledger itself asks of its caller, BEGIN IMMEDIATE for
writers above all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, create_engine, event

from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher, SignedCheckpoint
from ledger.store import REGISTRY_KEY, Appended, EntryDraft, Ledger, PartDraft
from ledger.tables import metadata
from ledger.vault import Vault

REGISTRY = "r1"
ORIGIN = "ledger.example/r1"
KEK = bytes(range(32))
START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)


def make_engine(path: Path) -> Engine:
    """Return an engine on the SQLite file `path` whose transactions begin IMMEDIATE."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _connect(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
        connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE")

    metadata.create_all(engine)
    return engine


def counting_bytes(seed: bytes = b"test") -> Callable[[int], bytes]:
    """Return a repeatable source of bytes: every call gives other bytes, every run the same."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(8, "big")).digest(length)

    return draw


def make_vault(kek: bytes = KEK) -> Vault:
    """Return a vault under the test key-encryption key."""
    return Vault(kek, counting_bytes())


def make_signer(name: str = ORIGIN, seed: int = 7) -> NoteSigner:
    """Return a signer with a key made from the byte `seed`."""
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def make_publisher(seed: int = 7) -> Publisher:
    """Return a publisher whose signers are named as the test registries' origins."""
    return Publisher(lambda registry: make_signer(f"ledger.example/{registry}", seed))


def draft(number: int, *, key_id: str = "", kind: str = "application.submitted") -> EntryDraft:
    """Return a draft with an evidence part (key `key_id`, default its own) and two others."""
    text = str(number).encode()
    key_id = key_id or f"application-{number}"
    return EntryDraft(
        kind,
        (
            PartDraft("evidence", b"evidence " + text, key_id, _salt("evidence", number)),
            PartDraft("mortgage.booked.v1", b"effect " + text, REGISTRY_KEY, _salt("m", number)),
            PartDraft("certificate/1", b"certificate " + text, REGISTRY_KEY, _salt("c", number)),
        ),
    )


def _salt(name: str, number: int) -> bytes:
    return hashlib.sha256(f"{name} {number}".encode()).digest()


class TestLedger:
    """One ledger in a file, with the steps that most tests repeat."""

    __test__ = False

    def __init__(self, path: Path) -> None:
        """Create the file with the empty ledger of registry `r1`."""
        self.engine = make_engine(path)
        self.ledger = Ledger(make_vault())
        self.publisher = make_publisher()
        self.vkey = make_signer().vkey
        self.count = 0
        with self.engine.begin() as conn:
            self.ledger.create(conn, REGISTRY, ORIGIN)

    def append(self, count: int) -> list[Appended]:
        """Append `count` entries in one batch, a second after the batch before; commit."""
        drafts = [draft(number) for number in range(self.count, self.count + count)]
        self.count += count
        with self.engine.begin() as conn:
            head = self.ledger.head(conn, REGISTRY)
            time = START + timedelta(seconds=head.size)
            appended, _ = self.ledger.append(conn, head, drafts, time)
        return appended

    def publish(self) -> SignedCheckpoint:
        """Publish and commit."""
        with self.engine.begin() as conn:
            return self.publisher.publish(conn, REGISTRY)
