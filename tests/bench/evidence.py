"""(n) `verify`'s evidence pass beside the bare signature checks of the same envelopes, alternating.

The pass reads each act's evidence back (entry, payload, verdicts and effects, decrypted), finds the trust that was in
force, and verifies the envelope as of its time. Its limit is `verify` of P-256 over the same bytes with the key at
hand. Acts are of a mortgage's size, signed by the banks of a city, each with its certificate and its issuer's.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
from pathlib import Path
from time import perf_counter, process_time

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.app import create_tables
from gateway.audit.evidence import audit_evidence
from gateway.cases.effects import TrustSet, encode_effects
from gateway.cli.ledger_local import READERS
from gateway.rpc.replay import Judged
from gateway.rpc.submission import MANIFEST_TYPE
from gateway.rpc.trust import trust_store
from gateway.storage.audit_readers import audit_readers
from gateway.storage.engine import auditor_engine, writer_engine
from ledger.readers import Readers
from ledger.store import REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.vault import Vault
from signing.certificates import parse_certificate
from signing.envelope import EnvelopeSignature, pae
from signing.pki import DevelopmentPKI
from signing.signer import LocalSigner
from tests.bench.append import ORIGIN, PAYLOAD_BYTES, REGISTRY
from tests.bench.auditing import CERTIFICATE_BYTES, EFFECTS_BYTES, OUTCOME_BYTES, timed

ACTS = 8192
BATCH = 64
BANKS = 20
NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)

Check = tuple[ec.EllipticCurvePublicKey, bytes, bytes]
"""A key, a signature, what was signed."""


def evidence_ratio(folder: Path, rounds: int) -> None:
    """Print the ratio of bare checks to the pass."""
    secret = os.urandom(32)
    path, ledger = folder / "evidence.db", Ledger(Vault(secret))
    checks = _fill(path, ledger)
    engine = auditor_engine(f"sqlite:///{path}")

    def audit(readers: Readers | None) -> None:
        report = audit_evidence(engine, ledger, REGISTRY, folder, lambda _done, _all: None, 0, readers)
        assert (report.signatures, report.divergences) == (ACTS, [])

    ours, limit, ratios, alone = [], [], [], []
    with audit_readers(f"sqlite:///{path}", secret, READERS) as readers:
        audit(readers)  # warm: the processes have started
        for _ in range(rounds):
            limit.append(timed(perf_counter, lambda: _check(checks)))
            ours.append(timed(perf_counter, lambda: audit(readers)))
            ratios.append(limit[-1] / ours[-1])
            alone.append(
                timed(process_time, lambda: _check(checks)) / timed(process_time, lambda: audit(None))
            )
    engine.dispose()
    path.unlink()
    median = statistics.median(ratios)
    print(
        f"(n) verify's evidence pass, {1 + READERS} processes ÷ bare signature checks, one thread, wall time: "
        f"{median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  aim ≥ 0.7  {'ok' if median >= 0.7 else 'SHORT'}   "
        f"ours {ACTS / statistics.median(ours):,.0f} envelopes/s, limit {ACTS / statistics.median(limit):,.0f} "
        f"envelopes/s; one process alone, processor time: {statistics.median(alone):.2f}",
        flush=True,
    )


def _check(checks: list[Check]) -> None:
    for key, signature, message in checks:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def _fill(path: Path, ledger: Ledger) -> list[Check]:
    """A ledger that sets its trust and holds acts; returns what of these is to be verified."""
    pki = DevelopmentPKI.create(NOW - dt.timedelta(days=1))
    banks = [pki.issue_institution(f"91320281{n:010d}", f"Bank {n}").signer() for n in range(BANKS)]
    store = pki.trust_store()
    trust = TrustSet(
        anchors={purpose.value: ders for purpose, ders in store.anchors.items()},
        crls=(),
        intermediates=store.intermediates,
    )
    digest = trust_store(trust).digest()
    engine = writer_engine(f"sqlite:///{path}")
    create_tables(engine)
    checks: list[Check] = []
    with engine.begin() as connection:
        head = ledger.create(connection, REGISTRY, ORIGIN)
        setting = PartDraft("effects", encode_effects((trust,)), REGISTRY_KEY, os.urandom(32))
        _, head = ledger.append(connection, head, [EntryDraft("genesis", (setting,))], NOW)
    for start in range(0, ACTS, BATCH):
        time = NOW + dt.timedelta(seconds=start)
        drafts = [
            _act(number, banks[number % BANKS], digest, time, checks)
            for number in range(start, start + BATCH)
        ]
        with engine.begin() as connection:
            _, head = ledger.append(connection, head, drafts, time)
    engine.dispose()
    return checks


def _act(number: int, bank: LocalSigner, trust: str, time: dt.datetime, checks: list[Check]) -> EntryDraft:
    message = pae(MANIFEST_TYPE, os.urandom(PAYLOAD_BYTES))
    signature = bank.sign(message)
    leaf = parse_certificate(bank.certificates[0])
    assert isinstance(leaf.public_key, ec.EllipticCurvePublicKey)
    checks.append((leaf.public_key, signature, message))
    judged = Judged(
        received_at=time - dt.timedelta(milliseconds=number % 50),
        trust=trust,
        signatures=(EnvelopeSignature(leaf.key_id, bank.algorithm.value, bank.certificates, signature),),
        papers=(),
    )
    application = f"application-{number:010d}"
    named: tuple[tuple[str, bytes, str], ...] = (
        ("evidence/payload", message, application),
        ("evidence/verdicts", msgspec.json.encode(judged), application),
        ("outcome", os.urandom(OUTCOME_BYTES), application),
        ("effects", os.urandom(EFFECTS_BYTES), REGISTRY_KEY),
        ("certificate/1", os.urandom(CERTIFICATE_BYTES), REGISTRY_KEY),
    )
    parts = tuple(PartDraft(name, content, key, os.urandom(32)) for name, content, key in named)
    return EntryDraft("application.submitted", parts)
