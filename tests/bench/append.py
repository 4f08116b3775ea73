"""(d) Appending to the ledger beside the raw insert of the very same rows, in the same batches, both synced."""

from __future__ import annotations

import datetime as dt
import os
import statistics
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from gateway.app import create_tables
from gateway.storage.engine import writer_engine
from ledger.store import EntryDraft, Ledger, PartDraft
from ledger.tables import ledger_entry, ledger_key, ledger_part
from ledger.vault import Vault

BATCH = 64
BATCHES = 30
REGISTRY = "bench"
#: Sizes of a mortgage's parts as they are: payload, verdicts, outcome, effects, certificate.
PART_BYTES = {
    "evidence/payload": 1500,
    "evidence/verdicts": 2400,
    "outcome": 700,
    "effects": 3300,
    "certificate/1": 1100,
}


def append_ratio(folder: Path, rounds: int) -> None:
    """Print the ratio of raw time to append time, alternating."""
    ratios, ours, limit = [], [], []
    for number in range(rounds):
        appended = _append(folder / f"append-{number}.db")
        raw = _raw(folder / f"raw-{number}.db", folder / f"append-{number}.db")
        ours.append(BATCH * BATCHES / appended)
        limit.append(BATCH * BATCHES / raw)
        ratios.append(raw / appended)
    median = statistics.median(ratios)
    print(
        f"(d) ledger append ÷ raw executemany of the same rows: {median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  "
        f"aim ≥ 0.5  {'ok' if median >= 0.5 else 'SHORT'}   ours {statistics.median(ours):,.0f} entries/s, "
        f"limit {statistics.median(limit):,.0f} entries/s",
        flush=True,
    )


def _append(path: Path) -> float:
    engine = _engine(path)
    ledger = Ledger(Vault(os.urandom(32)))
    with engine.begin() as connection:
        ledger.create(connection, REGISTRY, "bench.example.org/log")
    batches = [[_draft(64 * b + n) for n in range(BATCH)] for b in range(BATCHES)]
    started = time.perf_counter()
    for drafts in batches:
        with engine.begin() as connection:
            head = ledger.head(connection, REGISTRY)
            ledger.append(connection, head, drafts, dt.datetime.now(dt.UTC))
    elapsed = time.perf_counter() - started
    engine.dispose()
    return elapsed


def _raw(path: Path, source: Path) -> float:
    """Insert the rows that the append wrote, batch by batch, with Core's executemany."""
    reading = _engine(source)
    batches: list[dict[Any, list[dict[str, Any]]]] = []
    with reading.connect() as connection:
        for b in range(BATCHES):
            low, high = b * BATCH, (b + 1) * BATCH
            batches.append(
                {
                    table: [
                        dict(row)
                        for row in connection.execute(
                            select(table).where(column >= low, column < high)
                        ).mappings()
                    ]
                    for table, column in (
                        (ledger_entry, ledger_entry.c.entry_index),
                        (ledger_part, ledger_part.c.entry_index),
                        (ledger_key, ledger_key.c.created_index),
                    )
                }
            )
    reading.dispose()
    engine = _engine(path)
    started = time.perf_counter()
    for tables in batches:
        with engine.begin() as connection:
            for table, rows in tables.items():
                if rows:
                    connection.execute(table.insert(), rows)
    elapsed = time.perf_counter() - started
    engine.dispose()
    return elapsed


def _draft(number: int) -> EntryDraft:
    parts = tuple(
        PartDraft(
            name,
            os.urandom(size),
            "registry" if name in ("effects", "certificate/1") else f"case-{number}",
            os.urandom(32),
        )
        for name, size in PART_BYTES.items()
    )
    return EntryDraft("application.submitted", parts)


def _engine(path: Path) -> Engine:
    engine = writer_engine(f"sqlite:///{path}")
    create_tables(engine)
    return engine
