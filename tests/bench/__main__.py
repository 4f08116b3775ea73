"""Measure Diya beside its own limits, in one run, on this machine; see README.md, *Speed*.

Server and its workers on core 0, client on the last core, TLS both ways, limit and ours alternating, medians of the
rounds. A ratio is only worth something beside the limit measured in the same minute; the absolute figures and the
machine stand beside it. Papers are real signed PDFs, uploaded and checked before the timed part, as they are in life:
once, by FileService, when the bank has them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import msgspec
import uvloop

from gateway.demo.cast import sample_seeds
from gateway.pb.diya.v1 import (
    file_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    outcome_pb2,
    registration_service_pb2,
    registration_service_pb2_grpc,
)
from gateway.setup import initialise
from signing.pki import Credential, DevelopmentPKI
from tests.bench import cast
from tests.bench.append import append_ratio
from tests.bench.auditing import structure_ratio
from tests.bench.combined import combined_case
from tests.bench.evidence import evidence_ratio
from tests.bench.growth import growth
from tests.bench.hostile import hostile_refused
from tests.bench.papers import papers_per_second
from tests.bench.signatures import signature_ratios
from tests.support.wire import as_stream, upload_messages

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PER_ROUND = int(os.environ.get("BENCH_CASES", "120"))
#: Letters of the measures to take, such as BENCH_ONLY=m,n; none for all.
ONLY = set(os.environ.get("BENCH_ONLY", "")) - {","}
ECHOES = 4000
IN_FLIGHT = 64
UPLOADS_AT_ONCE = 16
UPLOAD_BYTES = 16 * 1024 * 1024
BIG_UPLOAD_BYTES = 200 * 1024 * 1024
BIG_UPLOADS = 4
CHUNK_BYTES = 256 * 1024
SEALED_CASES = 45
WARM_CASES = 5
COVERED_ROUNDS = 2
RATE_CASES = 1 + (3 * ROUNDS + 1 + COVERED_ROUNDS) * PER_ROUND
_RESULT_BOOKED = outcome_pb2.OUTCOME_RESULT_BOOKED


def _identity(data: bytes) -> bytes:
    return data


async def rate(calls: Iterable[Callable[[], Awaitable[Any]]]) -> float:
    """Calls a second with IN_FLIGHT at once."""
    queue = iter(calls)
    count = 0

    async def worker() -> None:
        nonlocal count
        for call in queue:
            await call()
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - started)


class Bench:
    """One run against one server process."""

    def __init__(
        self, ports: dict[str, int], channels: tuple[grpc.aio.Channel, grpc.aio.Channel], desk: cast.Desk
    ):
        self.pid = ports["pid"]
        bare, gateway = channels
        raw = {"request_serializer": _identity, "response_deserializer": _identity}
        self.echo = bare.unary_unary("/bench.Bare/Echo", **raw)
        self.guarded = bare.unary_unary("/bench.BenchService/Echo", **raw)
        self.bare_upload = bare.stream_unary("/bench.Bare/Upload", **raw)
        name = "/diya.v1.RegistrationService/"
        self.submit = gateway.unary_unary(name + "SubmitMortgage", **raw)
        self.release = gateway.unary_unary(name + "SubmitMortgageRelease", **raw)
        self.checkpoint = ledger_service_pb2_grpc.LedgerServiceStub(gateway).GetCheckpoint
        self.stream = registration_service_pb2_grpc.RegistrationServiceStub(gateway).SubmitStream
        self.upload = file_service_pb2_grpc.FileServiceStub(gateway).UploadFile
        self.watch = registration_service_pb2_grpc.RegistrationServiceStub(gateway).WatchEvents
        self.sequence = 0
        self.desk = desk
        self.cases: Iterator[bytes] = iter(())

    async def upload_papers(self, count: int) -> None:
        """Upload the papers of the first `count` cases; each has its verdict when this returns."""
        started = time.perf_counter()
        numbers = iter(range(1, count + 1))
        cases: dict[int, bytes] = {}

        async def worker() -> None:
            for number in numbers:
                papers = self.desk.mortgage_papers(number)
                for data in papers.values():
                    await self.upload_file(data)
                cases[number] = self.desk.mortgage_request(number, papers)

        await asyncio.gather(*(worker() for _ in range(UPLOADS_AT_ONCE)))
        self.cases = iter(cases[number] for number in sorted(cases))
        took = time.perf_counter() - started
        print(
            f"    {5 * count:,} signed papers uploaded and checked in {took:.0f} s on all cores, untimed",
            flush=True,
        )

    async def upload_file(self, data: bytes) -> None:
        """One file through FileService; it must pass the check."""
        response = await self.upload(
            as_stream(upload_messages(data, registry=cast.REGISTRY, chunk_bytes=CHUNK_BYTES))
        )
        assert response.file.verdict.ok, response.file.verdict
        assert not response.already_present

    def take(self, count: int) -> list[bytes]:
        """The next cases; each can be booked once."""
        return [next(self.cases) for _ in range(count)]

    async def submit_rate(self) -> float:
        """Mortgages a second, each booked by rule and answered with its receipt."""
        results = []

        async def one(case: bytes) -> None:
            response = registration_service_pb2.SubmitMortgageResponse.FromString(await self.submit(case))
            results.append(response.outcome)

        found = await rate((lambda c=case: one(c)) for case in self.take(PER_ROUND))
        assert all(o.result == _RESULT_BOOKED and not o.receipt.pending for o in results), results[0]
        return found

    async def until_covered(self) -> list[float]:
        """Under the same load: seconds from each answer until anybody is shown a checkpoint over its entry."""
        times = []

        async def one(case: bytes) -> None:
            response = registration_service_pb2.SubmitMortgageResponse.FromString(await self.submit(case))
            answered = time.perf_counter()
            wanted = response.outcome.receipt.index + 1
            request = ledger_service_pb2.GetCheckpointRequest(parent=cast.PARENT)
            while (await self.checkpoint(request)).checkpoint.size < wanted:
                await asyncio.sleep(0.01)
            times.append(time.perf_counter() - answered)

        await rate((lambda c=case: one(c)) for case in self.take(PER_ROUND))
        return times

    async def stream_rate(self) -> float:
        """The same over one bidirectional stream."""
        return await self._streamed(
            [registration_service_pb2.SubmitMortgageRequest.FromString(c) for c in self.take(PER_ROUND)]
        )

    async def batch_rate(self) -> float:
        """The same over one stream, every round's cases signed at once, untimed as all signing is here."""
        return await self._streamed(self.desk.signed_together(self.take(PER_ROUND)))

    async def _streamed(self, cases: list[Any]) -> float:
        async def messages() -> AsyncIterator[Any]:
            for number, case in enumerate(cases):
                yield registration_service_pb2.SubmitStreamRequest(correlation=number, mortgage=case)

        started = time.perf_counter()
        answered = 0
        async for response in self.stream(messages()):
            assert response.correlation == answered
            assert response.outcome.result == _RESULT_BOOKED, response
            answered += 1
        assert answered == PER_ROUND
        return answered / (time.perf_counter() - started)

    async def echo_rate(self, call: Any, payload: bytes) -> float:
        """Echoes a second of one payload."""
        return await rate((lambda: call(payload)) for _ in range(ECHOES))

    async def upload_rate(self, data: bytes) -> float:
        """MB/s of one upload through the gateway, to the answer with the check's verdict."""
        started = time.perf_counter()
        await self.upload_file(data)
        return len(data) / 1e6 / (time.perf_counter() - started)

    async def bare_upload_rate(self, data: bytes) -> float:
        """MB/s of the bare handler."""

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), CHUNK_BYTES):
                yield data[start : start + CHUNK_BYTES]

        started = time.perf_counter()
        await self.bare_upload(chunks())
        return len(data) / 1e6 / (time.perf_counter() - started)

    async def until_released(self, request: bytes) -> float:
        """Milliseconds from the call to the answer that the release is booked, with its receipt."""
        started = time.perf_counter()
        answer = await self.release(request)
        took = 1000 * (time.perf_counter() - started)
        outcome = registration_service_pb2.SubmitMortgageReleaseResponse.FromString(answer).outcome
        assert outcome.result == _RESULT_BOOKED, outcome
        return took

    async def until_sealed(self, case: bytes) -> tuple[float, str]:
        """Milliseconds from the call to the event that its certificate is sealed; the certificate's number."""
        started = time.perf_counter()
        response = registration_service_pb2.SubmitMortgageResponse.FromString(await self.submit(case))
        (certificate,) = response.outcome.certificates
        wanted = certificate.name
        request = registration_service_pb2.WatchEventsRequest(
            parent=cast.PARENT, after_sequence=self.sequence
        )
        call = self.watch(request)
        async for message in call:
            self.sequence = message.event.sequence
            if message.event.certificate == wanted:
                break
        took = 1000 * (time.perf_counter() - started)
        call.cancel()
        return took, certificate.number

    async def memory_growth(self, files: list[bytes]) -> int:
        """Bytes by which server and workers together grew at most while these files were uploaded at once."""
        before = peak = self.resident_bytes()
        done = asyncio.gather(*(self.upload_rate(data) for data in files))
        while not done.done():
            await asyncio.wait([done], timeout=0.05)
            peak = max(peak, self.resident_bytes())
        await done
        return peak - before

    def resident_bytes(self) -> int:
        """Resident memory of the server and of its checking and sealing processes."""
        return sum(_resident_bytes(pid) for pid in processes(self.pid))


def processes(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:  # grows while it is gone through
        for task in Path(f"/proc/{one}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _resident_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:  # it has ended since
        return 0
    return 1024 * next((int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS")), 0)


def pin(pid: int, core: int) -> None:
    """Every thread of a process and of all that it started, onto one core."""
    for process in processes(pid):
        for task in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


async def alternate(rounds: int, *measures: Callable[[], Awaitable[float]]) -> list[list[float]]:
    """Each measure once a round, in turn; the figures of each."""
    figures: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for measure, found in zip(measures, figures, strict=True):
            gc.collect()
            found.append(await measure())
    return figures


def line(letter: str, what: str, ours: list[float], limit: list[float], aim: float, unit: str) -> None:
    """One result: the median of the rounds' ratios, its range, the medians behind it, the aim."""
    ratios = [o / lim for o, lim in zip(ours, limit, strict=True)]
    median = statistics.median(ratios)
    print(
        f"({letter}) {what}: {median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  aim ≥ {aim}  "
        f"{'ok' if median >= aim else 'SHORT'}   ours {statistics.median(ours):,.0f} {unit}, "
        f"limit {statistics.median(limit):,.0f} {unit}",
        flush=True,
    )


def latency(what: str, times: list[float], aim: float) -> None:
    """One latency: its median, its 95th percentile, the aim for the median."""
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(
        f"(g) light load, call → {what}: p50 {p50:.1f} ms  aim ≤ {aim:.0f}  {'ok' if p50 <= aim else 'SHORT'}   "
        f"p95 {p95:.1f} ms, {len(times)} calls",
        flush=True,
    )


async def measure(bench: Bench) -> None:
    """Every figure that needs no sealing, in the order of the issue."""
    await bench.upload_papers(RATE_CASES)
    pin(bench.pid, 0)
    os.sched_setaffinity(0, {(os.cpu_count() or 2) - 1})
    payload = bench.take(1)[0]
    await bench.echo_rate(bench.echo, payload)
    await bench.submit_rate()
    guarded, echo = await alternate(
        ROUNDS, lambda: bench.echo_rate(bench.guarded, b""), lambda: bench.echo_rate(bench.echo, b"")
    )
    line("a", "empty call through the guard ÷ bare echo", guarded, echo, 0.7, "/s")
    submit, echo, stream, batch = await alternate(
        ROUNDS,
        bench.submit_rate,
        lambda: bench.echo_rate(bench.echo, payload),
        bench.stream_rate,
        bench.batch_rate,
    )
    line("b", "SubmitMortgage with five papers, booked by rule ÷ bare echo", submit, echo, 0.22, "/s")
    line("c", "SubmitStream ÷ SubmitMortgage", stream, submit, 1.25, "/s")
    line("p", f"SubmitStream of {PER_ROUND} signed at once ÷ SubmitMortgage", batch, submit, 2.0, "/s")
    await measure_covered(bench)
    await measure_uploads(bench)


async def measure_covered(bench: Bench) -> None:
    """(o): how long an answer waits for its checkpoint, while the next ones come in."""
    times = [took for _ in range(COVERED_ROUNDS) for took in await bench.until_covered()]
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[-1]
    print(
        f"(o) {IN_FLIGHT} in flight, answer → a checkpoint over it, read by GetCheckpoint: p99 {1000 * p99:.0f} ms  "
        f"aim < 2000  {'ok' if p99 < 2 else 'SHORT'}   p50 {1000 * p50:.0f} ms, {len(times)} answers",
        flush=True,
    )


async def measure_uploads(bench: Bench) -> None:
    """(e) and (f): scanned papers, with the signatures of a contract and without; every one passes the check."""
    for signed, what in ((True, "two signatures"), (False, "no signature")):
        scans = bench.desk.scans(UPLOAD_BYTES, signed=signed)
        papers = [scans.paper(number) for number in range(ROUNDS + 1)]
        await bench.upload_rate(papers.pop())
        same = scans.paper(0)
        ours, limit = await alternate(
            ROUNDS,
            lambda papers=papers: bench.upload_rate(papers.pop()),
            lambda same=same: bench.bare_upload_rate(same),
        )
        line("e", f"upload and check, {what} ÷ bare hash, write and sync", ours, limit, 0.7, "MB/s")
    scans = bench.desk.scans(BIG_UPLOAD_BYTES)
    growth = await bench.memory_growth([scans.paper(number) for number in range(BIG_UPLOADS)])
    print(
        f"(f) memory growth of server and workers during {BIG_UPLOADS} uploads of 200 MiB at once: "
        f"{growth / 1e6:.0f} MB  aim ≤ 64  {'ok' if growth <= 64e6 else 'SHORT'}",
        flush=True,
    )


async def measure_light_load(bench: Bench) -> None:
    """(g): one case at a time, with the sealing processes on; then the release of each."""
    await bench.upload_papers(SEALED_CASES)
    pin(bench.pid, 0)
    os.sched_setaffinity(0, {(os.cpu_count() or 2) - 1})
    sealed = [await bench.until_sealed(case) for case in bench.take(SEALED_CASES)]
    requests = []
    for number, (_, proof) in enumerate(sealed, start=1):
        papers = bench.desk.release_papers(number)
        for data in papers.values():
            await bench.upload_file(data)
        requests.append(bench.desk.release_request(number, proof, papers))
    released = [await bench.until_released(request) for request in requests]
    latency("release booked", released[WARM_CASES:], 30)
    latency("sealed PDF of a rule-decided mortgage", [took for took, _ in sealed[WARM_CASES:]], 200)


def start_server(folder: Path) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """The server process, and where it listens."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    return server, json.loads(server.stdout.readline())


async def run(
    folder: Path, ports: dict[str, int], now: dt.datetime, what: Callable[[Bench], Awaitable[None]]
) -> None:
    """Dial both servers as the bank and measure."""
    tls = Credential.read(folder / "bank", "tls")
    credentials = grpc.ssl_channel_credentials(
        (folder / "trust" / "server-roots.pem").read_bytes(), tls.key_pem(), tls.chain_pem()
    )
    async with (
        grpc.aio.secure_channel(f"localhost:{ports['bare']}", credentials) as bare,
        grpc.aio.secure_channel(f"localhost:{ports['gateway']}", credentials) as gateway,
    ):
        await what(Bench(ports, (bare, gateway), cast.Desk(folder, now)))


def prepare(folder: Path, count: int, now: dt.datetime, *, sealing: bool) -> None:
    """A gateway's folder with `count` flats and the bank to be seeded."""
    initialise(folder, sample_seeds()[:1], now=now)
    settings = (folder / "diya.toml").read_text()
    if not sealing:
        settings = settings.replace("sealing = true", "sealing = false")
    for port in (7443, 7444):
        settings = settings.replace(f":{port}", ":0")
    settings = settings.replace('metrics = "127.0.0.1:7445"', 'metrics = ""')
    settings = settings.replace('tiles = "127.0.0.1:7446"', 'tiles = ""')
    settings = settings.replace("file_bytes_max = 20971520", f"file_bytes_max = {BIG_UPLOAD_BYTES}")
    (folder / "diya.toml").write_text(settings)
    pki = DevelopmentPKI.load(folder / "pki", now)
    bank = pki.issue_institution(cast.BANK_USCC, cast.BANK_NAME)
    tls = pki.issue_tls_client(cast.BANK_USCC, cast.BANK_NAME)
    bank.write(folder / "bank", "sign")
    tls.write(folder / "bank", "tls")
    seed = cast.Seed(units=count, key_id=bank.certificate.key_id, tls_key_id=tls.certificate.key_id)
    (folder / "seed").write_bytes(msgspec.msgpack.encode(seed))


def against_server(
    folder: Path, count: int, what: Callable[[Bench], Awaitable[None]], *, sealing: bool
) -> None:
    """One server process, measured from this one."""
    now = dt.datetime.now(dt.UTC)
    prepare(folder, count, now, sealing=sealing)
    server, ports = start_server(folder)
    try:
        uvloop.run(run(folder, ports, now, what))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(60)


def main() -> None:
    """Prepare, measure, print."""
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"grpcio {version('grpcio')}, cryptography {version('cryptography')}, SQLite {sqlite3.sqlite_version} FULL; "
        f"{ROUNDS} rounds of {PER_ROUND}, {IN_FLIGHT} in flight; sealing off but in (g)"
    )
    with tempfile.TemporaryDirectory() as name:
        measures: tuple[tuple[str, Callable[[], None]], ...] = (
            ("abcefop", lambda: against_server(Path(name) / "bench", RATE_CASES, measure, sealing=False)),
            ("d", lambda: append_ratio(Path(name), ROUNDS)),
            ("m", lambda: structure_ratio(Path(name), ROUNDS)),
            ("n", lambda: evidence_ratio(Path(name), ROUNDS)),
            ("jkl", lambda: growth(Path(name))),
            (
                "g",
                lambda: against_server(
                    Path(name) / "sealing", SEALED_CASES, measure_light_load, sealing=True
                ),
            ),
            ("h", papers_per_second),
            ("q", lambda: asyncio.run(hostile_refused())),
            ("rst", signature_ratios),
            ("i", combined_case),
        )
        for letters, take in measures:
            if not ONLY or ONLY & set(letters):
                os.sched_setaffinity(0, range(os.cpu_count() or 1))  # another measure may have left us on one
                take()


if __name__ == "__main__":
    main()
