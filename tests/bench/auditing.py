"""(m) and (n) `verify` beside the hashing and the signature checks that it cannot do without, alternating.

(m) The structure pass reads a ledger back: chain, tree, tiles, checkpoints, every part opened and held against its
commitment. Its limit is SHA-256 in hashlib over the same bytes, which lie ready in memory: each entry, each node of
the tree, each part with its salt. (n) The evidence pass judges every envelope again; its limit is the bare signature
checks of the same envelopes.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
from hashlib import sha256
from pathlib import Path
from time import process_time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from gateway.app import create_tables
from gateway.storage.engine import auditor_engine, writer_engine
from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher
from ledger.store import REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.vault import Vault
from ledger.verify import verify_ledger
from tests.bench.append import ORIGIN, PAYLOAD_BYTES, REGISTRY, VERDICTS_BYTES

ENTRIES = 8192
BATCH = 256
#: Sizes of a booked mortgage's other parts as they are, bytes.
OUTCOME_BYTES, EFFECTS_BYTES, CERTIFICATE_BYTES = 700, 4500, 1800


def audit_ratios(folder: Path, rounds: int) -> None:
    """Print both ratios."""
    vault = Vault(os.urandom(32))
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    path = folder / "audited.db"
    _fill(path, Ledger(vault), signer)
    engine = auditor_engine(f"sqlite:///{path}")
    hashed = _hashed(engine, Ledger(vault))
    ours, limit = [], []
    for _ in range(rounds):
        ours.append(_verify(engine, signer.vkey, vault))
        limit.append(_hash(hashed))
    engine.dispose()
    ratios = [least / whole for least, whole in zip(limit, ours, strict=True)]
    median = statistics.median(ratios)
    print(
        f"(m) verify's structure pass ÷ the same SHA-256 work in hashlib: {median:.2f} "
        f"[{min(ratios):.2f}–{max(ratios):.2f}]  aim ≥ 0.3  {'ok' if median >= 0.3 else 'SHORT'}   "
        f"ours {ENTRIES / statistics.median(ours):,.0f} entries/s, "
        f"limit {ENTRIES / statistics.median(limit):,.0f} entries/s",
        flush=True,
    )
    # The seam: whoever gives verify an evidence pass measures it here, beside Signature.verify on the same bytes.
    print("(n) verify's evidence pass ÷ bare signature checks: not measured, there is no such pass yet")


def _verify(engine: Engine, vkey: str, vault: Vault) -> float:
    started = process_time()
    with engine.connect() as connection:
        report = verify_ledger(connection, REGISTRY, vkey, vault=vault)
    assert report.ok, report.divergences
    assert report.entries == ENTRIES
    return process_time() - started


def _hash(hashed: list[bytes]) -> float:
    started = process_time()
    for data in hashed:
        sha256(data).digest()
    return process_time() - started


def _hashed(engine: Engine, ledger: Ledger) -> list[bytes]:
    """Whatever a verification has to hash: leaves, nodes, parts with their salts."""
    with engine.connect() as connection:
        entries = ledger.read_entries(connection, REGISTRY, 0, ENTRIES)
        parts = ledger.read_parts(connection, REGISTRY, 0, ENTRIES)
    leaves = [b"\x00" + entry.data for entry in entries]
    nodes = [b"\x01" + os.urandom(64) for _ in range(ENTRIES - 1)]
    return leaves + nodes + [part.salt + part.content for part in parts]


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
