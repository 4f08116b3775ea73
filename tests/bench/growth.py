"""(j) to (l) A ledger of ten thousand entries beside one of ten million: proof, append, memory, in alternating rounds.

One ledger is loaded with real rows (entries, sealed parts, keys, tiles, a checkpoint every 65,536 entries) by the
ledger's own append and publish, and copied at each size. Then a process for each size opens its copy as a gateway
does, and all are measured in turn, so that what else the machine does falls on each alike. The last two sizes take
minutes and 6 GB, and are loaded with BENCH_GROWTH=1 only (`make bench-growth`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from gateway.app import create_tables, settle_collector
from gateway.config import Limits
from gateway.pb.diya.v1.ledger_service_pb2 import GetInclusionProofRequest
from gateway.rpc.ledger import LedgerService
from gateway.sequencer import Sequencer
from gateway.storage.engine import reader_engine, writer_engine
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher
from ledger.store import REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.vault import Vault
from tests.bench.append import BATCH, ORIGIN, REGISTRY, command

SMALL = (10_000, 100_000)
WHOLE = (*SMALL, 1_000_000, 10_000_000)
CHECKPOINT_ENTRIES = 65_536
LOADED_AT_ONCE = 4096
ROUNDS = 15
BATCHES = 2
PROOFS = 100
#: Bytes of disk that the whole table needs: 530 an entry, and the log of what was written last.
WHOLE_BYTES = 8_000_000_000

_KEY, _SEED = bytes(range(32)), bytes(range(32, 64))  # of a ledger that is thrown away


def growth(folder: Path) -> None:
    """Load, measure, print, delete."""
    sizes = WHOLE if os.environ.get("BENCH_GROWTH") else SMALL
    free = shutil.disk_usage(folder).free
    if sizes == WHOLE and free < WHOLE_BYTES:
        print(f"(j) not measured: {free / 1e9:.0f} GB free, {WHOLE_BYTES / 1e9:.0f} GB wanted", flush=True)
        return
    for size, path, seconds in load(folder / "growth.db", sizes):
        print(
            f"    {size:,} entries loaded in {seconds:.0f} s, {path.stat().st_size / 1e9:.2f} GB, untimed",
            flush=True,
        )
    try:
        with ExitStack() as stack:
            grown = {size: stack.enter_context(_Grown(_copy(folder / "growth.db", size))) for size in sizes}
            _measure(grown)
    finally:
        for path in folder.glob("growth*"):
            path.unlink()


def _measure(grown: dict[int, _Grown]) -> None:
    small = min(grown)
    figures: dict[str, dict[int, list[float]]] = {}
    for what in ("proof", "append"):
        figures[what] = {size: [] for size in grown}
        for one in grown.values():  # warm
            one.ask(what)
        for _ in range(ROUNDS):
            for size, one in grown.items():
                figures[what][size].append(one.ask(what))
    memory = {size: [one.ask("memory")] for size, one in grown.items()}
    print("    entries        proof      append of one entry   memory")
    for size in grown:
        proof, append = (1000 * statistics.median(figures[what][size]) for what in ("proof", "append"))
        print(
            f"    {size:>10,}   {proof:6.2f} ms   {append:6.2f} ms   {memory[size][0] / 1e6:12.0f} MB",
            flush=True,
        )
    for size in sorted(grown)[-1:]:
        worst = 1000 * statistics.median(figures["proof"][size])
        _tell("j", f"proof at {size:,} entries ÷ at {small:,}", figures["proof"], small, size, 1.5)
        print(f"    {worst:.2f} ms  aim < 5 ms  {'ok' if worst < 5 else 'SHORT'}", flush=True)
        _tell("k", f"append at {size:,} entries ÷ at {small:,}", figures["append"], small, size, 1.1)
        _tell("l", f"server memory at {size:,} entries ÷ at {small:,}", memory, small, size, 1.1)


def _tell(letter: str, what: str, figures: dict[int, list[float]], small: int, size: int, aim: float) -> None:
    ratios = [large / little for large, little in zip(figures[size], figures[small], strict=True)]
    median = statistics.median(ratios)
    print(
        f"({letter}) {what}: {median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  aim ≤ {aim}  "
        f"{'ok' if median <= aim else 'SHORT'}",
        flush=True,
    )


# -- loading -----------------------------------------------------------------------------------------------------------


def load(path: Path, sizes: tuple[int, ...]) -> Iterator[tuple[int, Path, float]]:
    """Load one ledger and leave a copy at each size: (size, the copy, seconds since the last one)."""
    ledger, publisher = _ledger()
    engine = _engine(path)
    with engine.begin() as connection:
        head = ledger.create(connection, REGISTRY, ORIGIN)
    started = perf_counter()
    time = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for size in sizes:
        while head.size < size:
            until = min(size, (head.size // CHECKPOINT_ENTRIES + 1) * CHECKPOINT_ENTRIES)
            with engine.begin() as connection:
                while head.size < until:
                    count = min(LOADED_AT_ONCE, until - head.size)
                    time += dt.timedelta(seconds=1)
                    _, head = ledger.append(connection, head, _drafts(head.size, count), time)
            with engine.begin() as connection:
                publisher.publish(connection, REGISTRY)
        engine.dispose()  # the last connection folds the WAL back
        copy = _copy(path, size)
        if size == sizes[-1]:
            path.rename(copy)
        else:
            shutil.copyfile(path, copy)
            engine = _engine(path)
        yield size, copy, perf_counter() - started
        started = perf_counter()


def _drafts(start: int, count: int) -> list[EntryDraft]:
    """Entries with effects under the registry's key and, one in four, an outcome under the key of an application."""
    drawn = os.urandom(64 * count)
    drafts = []
    for number in range(count):
        salt, more = drawn[64 * number : 64 * number + 32], drawn[64 * number + 32 : 64 * number + 64]
        effects = PartDraft("effects", more, REGISTRY_KEY, salt)
        if (start + number) % 4:
            drafts.append(EntryDraft("application.reviewed", (effects,)))
        else:
            outcome = PartDraft("outcome", more, f"application-{start + number:010d}", salt)
            drafts.append(EntryDraft("application.submitted", (outcome, effects)))
    return drafts


def _ledger() -> tuple[Ledger, Publisher]:
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(_SEED))
    return Ledger(Vault(_KEY)), Publisher(lambda _: signer)


def _engine(path: Path) -> Engine:
    """A writer for loading: what a crash would cost is loaded again."""
    engine = writer_engine(f"sqlite:///{path}")
    create_tables(engine)
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA synchronous=OFF")
    return engine


def _copy(path: Path, size: int) -> Path:
    return path.with_name(f"{path.stem}-{size}.db")


# -- one size ----------------------------------------------------------------------------------------------------------


class _Grown:
    """A process that serves one copy and measures when it is asked."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.growth", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str) -> float:
        """One measure: `proof` and `append` in seconds, `memory` in bytes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class _Measures:
    """What the process of one size does: the writer and the read side of a gateway, over its copy."""

    def __init__(self, path: Path) -> None:
        ledger, publisher = _ledger()
        url = f"sqlite:///{path}"
        self._engine = writer_engine(url)
        with self._engine.connect() as connection:
            self._number = publisher.check_newest(connection, REGISTRY).size
        self._queries = Queries(reader_engine(url), ledger, publisher)
        self._service = LedgerService(
            queries=self._queries, limits=Limits(), settings_of=lambda _: Settings()
        )
        self._sequencer = Sequencer(self._engine, ledger, publisher, clock=lambda: dt.datetime.now(dt.UTC))
        self._is_coming = True
        self._sequencer.coming = lambda: self._is_coming
        self._sequencer.start()
        self._draw = random.Random(7)
        settle_collector()

    def append(self) -> float:
        """Seconds an entry: from the act to its answer with a checkpoint and a proof, in full batches."""
        commands = [command(self._number + n) for n in range(BATCH * BATCHES)]
        self._number += len(commands)
        started = perf_counter()
        for at in range(0, len(commands), BATCH):
            self._is_coming = True
            answers = [self._sequencer.submit(one) for one in commands[at : at + BATCH]]
            self._is_coming = False
            for answer in answers:
                assert answer.result(60).receipt.checkpoint is not None
        return (perf_counter() - started) / len(commands)

    async def proof(self) -> float:
        """Seconds a proof of a random entry under the newest checkpoint: what GetInclusionProof takes to answer."""
        newest = await self._queries.checkpoint(REGISTRY)
        assert newest is not None
        times = []
        for _ in range(PROOFS):
            index = self._draw.randrange(newest.size)
            request = GetInclusionProofRequest(parent=f"registries/{REGISTRY}", index=index)
            started = perf_counter()
            await self._service.GetInclusionProof(request, None)
            times.append(perf_counter() - started)
        return statistics.median(times)

    def measure(self, what: str) -> float:
        """One measure by its name."""
        if what == "proof":
            return asyncio.run(self.proof())
        if what == "append":
            return self.append()
        rows = Path("/proc/self/status").read_text().splitlines()
        return 1024.0 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM"))

    def close(self) -> None:
        """Stop the writer."""
        self._sequencer.stop()
        self._queries.close()
        self._engine.dispose()


def _serve(path: Path) -> None:
    measures: Any = _Measures(path)
    for line in sys.stdin:
        print(json.dumps(measures.measure(line.strip())), flush=True)
    measures.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            growth(Path(name))
