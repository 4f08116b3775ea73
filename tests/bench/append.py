"""(d) Appending in the sequencer's commit beside the raw insert of the very same rows, same batches, both synced.

Ours is the whole commit as the running gateway does it, by the sequencer's own thread: lock the head, load what the
batch wants, look for the request ids, draw salts, encrypt, hash, fold the effects, write every row, sync. Decisions
are fixed beforehand, for they are no part of appending. The limit is Core's executemany of all the rows that it left,
table by table, one transaction a batch, on the same kind of file. Both figures are medians of the batches.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import statistics
from collections import defaultdict
from pathlib import Path
from time import perf_counter
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, select

from gateway.app import create_tables
from gateway.applications.events import counter_name
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, ApplicationRecorded, CounterMoved, EventRecorded, RequestAnswered
from gateway.cases.model import Application, Kind, Moment, Outcome, Result, State
from gateway.commands import Command
from gateway.sequencer import Sequencer
from gateway.storage import tables as t
from gateway.storage.engine import writer_engine
from gateway.storage.working import Wants, Working
from gateway.telemetry import metrics
from ledger.checkpoint import NoteSigner
from ledger.entry import parse_entry
from ledger.publish import Publisher
from ledger.store import Ledger
from ledger.tables import ledger_entry, ledger_key, ledger_part
from ledger.vault import Vault

BATCH = 64
BATCHES = 60
REGISTRY = "bench"
ORIGIN = "bench.example.org/log"
BANK = "913202810000BK1K5U"
#: Sizes of a mortgage's evidence as it is, bytes.
PAYLOAD_BYTES, VERDICTS_BYTES = 1500, 2400

Rows = dict[Any, list[dict[str, Any]]]


def append_ratio(folder: Path, rounds: int) -> None:
    """Print the ratio of raw time to the time in commits, alternating."""
    ratios, ours, limit = [], [], []
    for number in range(rounds):
        path = folder / f"append-{number}.db"
        # Medians of the batches: a few of them wait for the disk many times as long as the rest, on either side.
        appended = statistics.median(_append(path))
        raw = statistics.median(_raw(folder / f"raw-{number}.db", path))
        ours.append(BATCH / appended)
        limit.append(BATCH / raw)
        ratios.append(raw / appended)
    median = statistics.median(ratios)
    print(
        f"(d) append in the sequencer's commit ÷ raw executemany of the same rows: {median:.2f} "
        f"[{min(ratios):.2f}–{max(ratios):.2f}]  aim ≥ 0.5  {'ok' if median >= 0.5 else 'SHORT'}   "
        f"ours {statistics.median(ours):,.0f} entries/s, limit {statistics.median(limit):,.0f} entries/s, "
        f"batches of {BATCH}",
        flush=True,
    )


def _append(path: Path) -> list[float]:
    """Seconds that the sequencer spent in the commit of each batch."""
    engine = _engine(path)
    ledger = Ledger(Vault(os.urandom(32)))
    with engine.begin() as connection:
        ledger.create(connection, REGISTRY, ORIGIN)
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    sequencer = Sequencer(engine, ledger, Publisher(lambda _: signer), clock=lambda: dt.datetime.now(dt.UTC))
    is_coming = True
    sequencer.coming = lambda: is_coming  # a batch waits until all of it is here
    sequencer.start()
    spent = []
    for batch in range(BATCHES):
        commands = [command(BATCH * batch + n) for n in range(BATCH)]
        before, is_coming = _seconds(), True
        answers = [sequencer.submit(command) for command in commands]
        is_coming = False
        for answer in answers:
            answer.result(30)
        spent.append(_seconds() - before)
    sequencer.stop()
    engine.dispose()
    return spent


def _seconds() -> float:
    """Time in commits, as the sequencer tells the metrics."""
    return metrics.collectors.get_sample_value("diya_commit_seconds_sum") or 0.0


def command(number: int) -> Command:
    """An act of a mortgage's size whose decision is fixed beforehand."""
    payload = os.urandom(PAYLOAD_BYTES)
    digest = hashlib.sha256(payload).hexdigest()
    verdicts = os.urandom(VERDICTS_BYTES)
    counter = counter_name(BANK)

    def decide(working: Working, moment: Moment) -> Decision:
        row = _application(number, moment, digest)
        effects: tuple[AnyEffect, ...] = (
            RequestAnswered(
                institution=BANK,
                request_id=str(number),
                payload_sha256=digest,
                application_id=row.application_id,
            ),
            ApplicationRecorded(application=row),
            EventRecorded(
                institution=BANK,
                sequence=number + 1,
                kind="ACCEPTED",
                application_id=row.application_id,
                state=row.state.value,
                at=moment.now,
            ),
            CounterMoved(name=counter, value=number + 1),
        )
        outcome = Outcome(result=Result.ACCEPTED, application=row.name, state=row.state)
        return Decision(kind="application.submitted", outcome=outcome, effects=effects)

    return Command(
        registry=REGISTRY,
        institution=BANK,
        request_id=str(number),
        payload_sha256=digest,
        payload=payload,
        evidence=lambda: verdicts,
        wants=Wants(requests={(BANK, str(number))}, units={_unit(number)}, counters={counter}),
        decide=decide,
    )


def _unit(number: int) -> str:
    return f"320281001001GB00001F{number:08d}"


def _application(number: int, moment: Moment, digest: str) -> Application:
    return Application(
        registry=REGISTRY,
        application_id=moment.application_id,
        kind=Kind.MORTGAGE,
        operations=("MORTGAGE_FIRST",),
        units=(_unit(number),),
        channel_institution=BANK,
        applicant_institution=BANK,
        institutions=(BANK,),
        request_id=str(number),
        payload_sha256=digest,
        terms_sha256=digest,
        state=State.ACCEPTED,
        submitted_at=moment.now,
        submitted_index=moment.index,
        last_index=moment.index,
        accepted_at=moment.now,
        accepted_index=moment.index,
    )


def _raw(path: Path, source: Path) -> list[float]:
    """Seconds that Core takes to insert what each commit left."""
    reading = _engine(source)
    with reading.connect() as connection:
        batches = _batches(connection)
    reading.dispose()
    engine = _engine(path)
    spent = []
    for tables in batches:
        started = perf_counter()
        with engine.begin() as connection:
            for table, rows in tables.items():
                connection.execute(table.insert(), rows)
        spent.append(perf_counter() - started)
    engine.dispose()
    return spent


def _batches(connection: Connection) -> list[Rows]:
    """Every row by the batch that wrote it: the entries of a batch have one time."""
    times: list[dt.datetime] = []
    batch_of: dict[int, int] = {}
    for row in connection.execute(select(ledger_entry).order_by(ledger_entry.c.entry_index)).mappings():
        time = parse_entry(row["entry"]).time
        if not times or times[-1] != time:
            times.append(time)
        batch_of[row["entry_index"]] = len(times) - 1
    batches: list[Rows] = [defaultdict(list) for _ in times]
    indexed = (
        (ledger_entry, "entry_index"),
        (ledger_part, "entry_index"),
        (ledger_key, "created_index"),
        (t.request, "entry_index"),
        (t.application, "submitted_index"),
        (t.application_institution, "submitted_index"),
        (t.application_unit, "submitted_index"),
        (t.event, "entry_index"),
        (t.open_case, "accepted_index"),
    )
    for table, index in indexed:
        for row in connection.execute(select(table)).mappings():
            batches[batch_of[row[index]]][table].append(dict(row))
    return batches


def _engine(path: Path) -> Engine:
    engine = writer_engine(f"sqlite:///{path}")
    create_tables(engine)
    return engine
