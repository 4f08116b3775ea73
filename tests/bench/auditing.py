"""(m) `verify`'s structure pass beside the hashing that it cannot do without, alternating.

The pass reads a ledger back: chain, tree, tiles, checkpoints, every part opened and held against its commitment. Its
limit is SHA-256 in hashlib over the same bytes, which lie ready in memory, by one thread: each entry, each node of the
tree, each part with its salt. No reading, no decryption and no key is in the limit. Ours is wall time as `diya ledger
verify` does it, one process that walks and two that read, on as many cores as there are; beside it stands one process
alone by its processor time.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import perf_counter, process_time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from gateway.app import create_tables
from gateway.cli.ledger_local import READERS
from gateway.storage.audit_readers import audit_readers
from gateway.storage.engine import auditor_engine, writer_engine
from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher
from ledger.readers import Readers
from ledger.store import REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.vault import Vault
from ledger.verify import verify_ledger
from tests.bench.append import ORIGIN, PAYLOAD_BYTES, REGISTRY, VERDICTS_BYTES

ENTRIES = 24_576
BATCH = 256
#: Sizes of a booked mortgage's other parts as they are, bytes.
OUTCOME_BYTES, EFFECTS_BYTES, CERTIFICATE_BYTES = 700, 4500, 1800


def structure_ratio(folder: Path, rounds: int) -> None:
    """Print the ratio of hashing time to the time of the pass."""
    secret = os.urandom(32)
    vault = Vault(secret)
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    path = folder / "audited.db"
    _fill(path, Ledger(vault), signer)
    engine = auditor_engine(f"sqlite:///{path}")
    hashed = _hashed(engine, Ledger(vault))
    ours, limit, ratios, alone = [], [], [], []
    with audit_readers(f"sqlite:///{path}", secret, READERS) as readers:
        _verify(engine, signer.vkey, vault, readers)  # warm: the processes have started
        for _ in range(rounds):
            limit.append(timed(perf_counter, lambda: _hash(hashed)))
            ours.append(timed(perf_counter, lambda: _verify(engine, signer.vkey, vault, readers)))
            ratios.append(limit[-1] / ours[-1])
            least = timed(process_time, lambda: _hash(hashed))
            alone.append(least / timed(process_time, lambda: _verify(engine, signer.vkey, vault, None)))
    engine.dispose()
    path.unlink()
    median = statistics.median(ratios)
    print(
        f"(m) verify's structure pass, {1 + READERS} processes ÷ the same SHA-256 in hashlib, one thread, wall time: "
        f"{median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  aim ≥ 0.3  {'ok' if median >= 0.3 else 'SHORT'}   "
        f"ours {ENTRIES / statistics.median(ours):,.0f} entries/s, limit {ENTRIES / statistics.median(limit):,.0f} "
        f"entries/s; one process alone, processor time: {statistics.median(alone):.2f}",
        flush=True,
    )


def timed(clock: Callable[[], float], do: Callable[[], None]) -> float:
    """Seconds by `clock` that `do` takes."""
    started = clock()
    do()
    return clock() - started


def _verify(engine: Engine, vkey: str, vault: Vault, readers: Readers | None) -> None:
    with engine.connect() as connection:
        report = verify_ledger(connection, REGISTRY, vkey, vault=vault, readers=readers)
    assert report.ok, report.divergences
    assert report.entries == ENTRIES


def _hash(hashed: list[bytes]) -> None:
    for data in hashed:
        sha256(data).digest()


def _hashed(engine: Engine, ledger: Ledger) -> list[bytes]:
    """Whatever a verification has to hash: leaves, nodes, parts with their salts."""
    hashed = [b"\x01" + os.urandom(64) for _ in range(ENTRIES - 1)]
    with engine.connect() as connection:
        for start in range(0, ENTRIES, BATCH):
            entries = ledger.read_entries(connection, REGISTRY, start, BATCH)
            hashed += [b"\x00" + entry.data for entry in entries]
            parts = ledger.read_parts(connection, REGISTRY, start, BATCH)
            hashed += [part.salt + part.content for part in parts]
    return hashed


def _fill(path: Path, ledger: Ledger, signer: NoteSigner) -> None:
    """A ledger of mortgages, booked by rule in the batches of a busy hour, a checkpoint after each."""
    engine = writer_engine(f"sqlite:///{path}")
    create_tables(engine)
    publisher = Publisher(lambda _: signer)
    time = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with engine.begin() as connection:
        head = ledger.create(connection, REGISTRY, ORIGIN)
    for start in range(0, ENTRIES, BATCH):
        time += dt.timedelta(seconds=1)
        drafts = [_draft(f"application-{start + number:010d}") for number in range(BATCH)]
        with engine.begin() as connection:
            _, head = ledger.append(connection, head, drafts, time)
        with engine.begin() as connection:
            publisher.publish(connection, REGISTRY)
    engine.dispose()


def _draft(key: str) -> EntryDraft:
    named = (
        ("evidence/payload", PAYLOAD_BYTES, key),
        ("evidence/verdicts", VERDICTS_BYTES, key),
        ("outcome", OUTCOME_BYTES, key),
        ("effects", EFFECTS_BYTES, REGISTRY_KEY),
        ("certificate/1", CERTIFICATE_BYTES, REGISTRY_KEY),
    )
    parts = (PartDraft(name, os.urandom(size), under, os.urandom(32)) for name, size, under in named)
    return EntryDraft("application.submitted", tuple(parts))
