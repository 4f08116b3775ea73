"""Measure Diya beside its own limits, in one run, on this machine; see README.md, *Speed*.

Server on core 0, client on core 1, TLS both ways, limit and ours alternating, medians of the rounds. A ratio is only
worth something beside the limit measured in the same minute; the absolute figures and the machine stand beside it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import hashlib
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import msgspec
import uvloop

from gateway.demo.cast import sample_seeds
from gateway.pb.diya.v1 import (
    file_service_pb2,
    file_service_pb2_grpc,
    outcome_pb2,
    registration_service_pb2,
    registration_service_pb2_grpc,
)
from gateway.setup import initialise
from signing.pki import DevelopmentPKI
from tests.bench import cast
from tests.bench.append import append_ratio
from tests.bench.papers import papers_per_second

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PER_ROUND = int(os.environ.get("BENCH_CASES", "1000"))
IN_FLIGHT = 64
UPLOAD_BYTES = 16 * 1024 * 1024
BIG_UPLOAD_BYTES = 200 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
SEALED_CASES = 45
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
        self, ports: dict[str, int], channels: tuple[grpc.aio.Channel, grpc.aio.Channel], cases: list[bytes]
    ):
        self.pid = ports["pid"]
        bare, gateway = channels
        raw = {"request_serializer": _identity, "response_deserializer": _identity}
        self.echo = bare.unary_unary("/bench.Bare/Echo", **raw)
        self.guarded = bare.unary_unary("/bench.BenchService/Echo", **raw)
        self.bare_upload = bare.stream_unary("/bench.Bare/Upload", **raw)
        name = "/diya.v1.RegistrationService/"
        self.submit = gateway.unary_unary(name + "SubmitMortgage", **raw)
        self.stream = registration_service_pb2_grpc.RegistrationServiceStub(gateway).SubmitStream
        self.upload = file_service_pb2_grpc.FileServiceStub(gateway).UploadFile
        self.watch = registration_service_pb2_grpc.RegistrationServiceStub(gateway).WatchEvents
        self.sequence = 0
        self.cases = iter(cases)

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

    async def stream_rate(self) -> float:
        """The same over one bidirectional stream."""
        cases = [registration_service_pb2.SubmitMortgageRequest.FromString(c) for c in self.take(PER_ROUND)]

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
        return await rate((lambda: call(payload)) for _ in range(4 * PER_ROUND))

    async def upload_rate(self, data: bytes) -> float:
        """MB/s of one upload through the gateway, to the answer with the check's verdict."""
        digest = hashlib.sha256(data).digest()

        async def messages() -> AsyncIterator[Any]:
            yield file_service_pb2.UploadFileRequest(
                metadata=file_service_pb2.UploadFileMetadata(
                    parent=cast.PARENT, sha256=digest, size_bytes=len(data), media_type="application/pdf"
                )
            )
            for start in range(0, len(data), CHUNK_BYTES):
                yield file_service_pb2.UploadFileRequest(chunk=data[start : start + CHUNK_BYTES])

        started = time.perf_counter()
        await self.upload(messages())
        return len(data) / 1e6 / (time.perf_counter() - started)

    async def bare_upload_rate(self, data: bytes) -> float:
        """MB/s of the bare handler."""

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), CHUNK_BYTES):
                yield data[start : start + CHUNK_BYTES]

        started = time.perf_counter()
        await self.bare_upload(chunks())
        return len(data) / 1e6 / (time.perf_counter() - started)

    async def light_load(self, count: int) -> float:
        """Milliseconds from call to BOOKED with its receipt, one at a time: the median."""
        times = []
        for case in self.take(count):
            started = time.perf_counter()
            await self.submit(case)
            times.append(1000 * (time.perf_counter() - started))
        return statistics.median(times)

    async def until_sealed(self, case: bytes) -> float:
        """Milliseconds from the call to the event that its certificate is sealed."""
        started = time.perf_counter()
        response = registration_service_pb2.SubmitMortgageResponse.FromString(await self.submit(case))
        wanted = response.outcome.certificates[0].name
        request = registration_service_pb2.WatchEventsRequest(
            parent=cast.PARENT, after_sequence=self.sequence
        )
        call = self.watch(request)
        async for message in call:
            self.sequence = message.event.sequence
            if message.event.certificate == wanted:
                break
        call.cancel()
        return 1000 * (time.perf_counter() - started)

    async def memory_growth(self) -> int:
        """Bytes by which the server's resident memory grew at most while four large uploads ran."""
        before = peak = self.resident_bytes()
        done = asyncio.gather(*(self.upload_rate(os.urandom(BIG_UPLOAD_BYTES)) for _ in range(4)))
        while not done.done():
            await asyncio.wait([done], timeout=0.1)
            peak = max(peak, self.resident_bytes())
        await done
        return peak - before

    def resident_bytes(self) -> int:
        """The server's resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


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


async def measure(bench: Bench) -> None:
    """Every figure, in the order of the issue."""
    payload = bench.take(1)[0]
    await bench.echo_rate(bench.echo, payload)
    await bench.submit_rate()
    guarded, echo = await alternate(
        ROUNDS, lambda: bench.echo_rate(bench.guarded, b""), lambda: bench.echo_rate(bench.echo, b"")
    )
    line("a", "empty call through the guard ÷ bare echo", guarded, echo, 0.7, "/s")
    submit, echo, stream = await alternate(
        ROUNDS, bench.submit_rate, lambda: bench.echo_rate(bench.echo, payload), bench.stream_rate
    )
    line("b", "SubmitMortgage booked by rule ÷ bare echo", submit, echo, 0.22, "/s")
    line("c", "SubmitStream ÷ SubmitMortgage", stream, submit, 1.25, "/s")
    data = os.urandom(UPLOAD_BYTES)
    ours, limit = await alternate(
        ROUNDS, lambda: bench.upload_rate(os.urandom(UPLOAD_BYTES)), lambda: bench.bare_upload_rate(data)
    )
    line("e", "upload ÷ bare hash, write and sync", ours, limit, 0.7, "MB/s")
    growth = await bench.memory_growth()
    print(
        f"(f) memory growth during four uploads of 200 MiB at once: {growth / 1e6:.0f} MB  aim ≤ 64  "
        f"{'ok' if growth <= 64e6 else 'SHORT'}",
        flush=True,
    )
    print(f"(g) light load, call → mortgage booked, p50: {await bench.light_load(100):.1f} ms", flush=True)


async def measure_sealing(bench: Bench) -> None:
    """(g) again, to the sealed PDF: one case at a time, with the sealing processes on."""
    times = [await bench.until_sealed(case) for case in bench.take(SEALED_CASES)]
    p50 = statistics.median(times[5:])
    print(
        f"(g) light load, call → sealed PDF of a rule-decided mortgage, p50: {p50:.0f} ms  aim ≤ 200  "
        f"{'ok' if p50 <= 200 else 'SHORT'}",
        flush=True,
    )


def start_server(folder: Path) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """The server process on core 0, and where it listens."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", str(folder), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    return server, json.loads(server.stdout.readline())


async def run(
    folder: Path, ports: dict[str, int], cases: list[bytes], what: Callable[[Bench], Awaitable[None]]
) -> None:
    """Dial both servers as the bank and measure."""
    _, tls = cast.credentials(folder)
    credentials = grpc.ssl_channel_credentials(
        (folder / "trust" / "server-roots.pem").read_bytes(), tls.key_pem(), tls.chain_pem()
    )
    async with (
        grpc.aio.secure_channel(f"localhost:{ports['bare']}", credentials) as bare,
        grpc.aio.secure_channel(f"localhost:{ports['gateway']}", credentials) as gateway,
    ):
        await what(Bench(ports, (bare, gateway), cases))


def prepare(folder: Path, count: int, *, sealing: bool) -> list[bytes]:
    """A gateway's folder with `count` flats and their files to be seeded; returns the signed cases."""
    now = dt.datetime.now(dt.UTC)
    initialise(folder, sample_seeds()[:1], now=now)
    settings = (folder / "diya.toml").read_text()
    if not sealing:
        settings = settings.replace("sealing = true", "sealing = false")
    for port in (7443, 7444):
        settings = settings.replace(f":{port}", ":0")
    settings = settings.replace('metrics = "127.0.0.1:7445"', 'metrics = ""')
    settings = settings.replace("file_bytes_max = 20971520", f"file_bytes_max = {BIG_UPLOAD_BYTES}")
    (folder / "diya.toml").write_text(settings)
    pki = DevelopmentPKI.load(folder / "pki", now)
    bank = pki.issue_institution(cast.BANK_USCC, cast.BANK_NAME)
    tls = pki.issue_tls_client(cast.BANK_USCC, cast.BANK_NAME)
    bank.write(folder / "bank", "sign")
    tls.write(folder / "bank", "tls")
    signer = bank.signer()
    made = [cast.mortgage_request(number, signer, now) for number in range(1, count + 1)]
    seed = cast.Seed(
        units=[cast.unit_code(number) for number in range(1, count + 1)],
        files=[file for _, files in made for file in files],
        key_id=bank.certificate.key_id,
        tls_key_id=tls.certificate.key_id,
    )
    (folder / "seed").write_bytes(msgspec.msgpack.encode(seed))
    return [case for case, _ in made]


def against_server(
    folder: Path, count: int, what: Callable[[Bench], Awaitable[None]], *, sealing: bool
) -> None:
    """One server process on core 0, measured from the last core."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    cases = prepare(folder, count, sealing=sealing)
    server, ports = start_server(folder)
    os.sched_setaffinity(0, {(os.cpu_count() or 2) - 1})
    try:
        uvloop.run(run(folder, ports, cases, what))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(60)


def main() -> None:
    """Prepare, measure, print."""
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"grpcio {version('grpcio')}, cryptography {version('cryptography')}, SQLite {sqlite3.sqlite_version} FULL; "
        f"{ROUNDS} rounds of {PER_ROUND}, {IN_FLIGHT} in flight; sealing off but in the last (g)"
    )
    with tempfile.TemporaryDirectory() as name:
        against_server(Path(name) / "bench", 2 + (2 * ROUNDS + 1) * PER_ROUND + 100, measure, sealing=False)
        append_ratio(Path(name), ROUNDS)
        against_server(Path(name) / "sealing", SEALED_CASES, measure_sealing, sealing=True)
    papers_per_second()


if __name__ == "__main__":
    main()
