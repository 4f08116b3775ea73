"""The serving process killed and stopped under load: what was answered stands, what was not is decided once.

The gateway runs as `diya serve` does, in a process of its own; only that process is signalled, by its id.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from gateway.app import utc_now
from gateway.client import manifest as build
from gateway.client.checkpoints import MemoryCheckpoints
from gateway.client.client import DiyaClient
from gateway.client.connection import Connection
from gateway.client.errors import RequestError
from gateway.client.session import Answer, Session
from gateway.client.trust import read_trust
from gateway.config import load_config
from gateway.demo.stage import Stage
from gateway.keyring.keys import note_signer, read_key_encryption_key
from gateway.pb.diya.v1 import acts_pb2, certificate_pb2, outcome_pb2
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub
from gateway.register.sample import SAMPLE, SampleUnit
from gateway.storage.engine import reader_engine
from ledger.vault import Vault
from ledger.verify import verify_ledger
from signing.envelope import Envelope
from signing.pki import DevelopmentPKI
from tests.support.feeding import seizure
from tests.support.filing import Filing
from tests.support.signed_papers import paper
from tests.support.stage import ONCE, MovedClock, Town
from tests.support.wire import until, upload_messages

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
START_SECONDS = 30
STOP_SECONDS = 20
CASES = 5
SEIZURES = "SELECT count(*) FROM right WHERE kind = 'SEIZURE'"
SEIZED = 6  # flats that the court has seized in each round
SMALL_CASES = 150


@dataclass
class Server:
    """A serving process and the town around it."""

    process: asyncio.subprocess.Process
    town: Town

    async def kill(self) -> None:
        """SIGKILL, to this process and no other."""
        self.process.kill()
        assert await self.process.wait() == -signal.SIGKILL

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            return await self.process.wait()


@dataclass
class Bank:
    """What a bank keeps over the crashes of the gateway: what it sent, what it was answered, what it has seen."""

    sent: dict[str, Envelope] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    memory: MemoryCheckpoints = field(default_factory=MemoryCheckpoints)

    def client(self, town: Town) -> DiyaClient:
        """A client that compares every checkpoint with those it has seen before."""
        trust = read_trust(town.folder / "trust")
        connection = Connection(town.channel("bank-a"))
        return DiyaClient(Session(connection, "jiangyin", trust, memory=self.memory, policy=ONCE))

    async def send(self, client: DiyaClient, request_id: str) -> None:
        """Send what was signed; keep the answer, if one comes."""
        try:
            answer = await client.submit(self.sent[request_id])
        except RequestError as error:
            if not (error.may_retry or error.is_outcome_unknown):
                raise
            return
        assert answer.receipt is not None
        self.answers[request_id] = answer

    @property
    def unanswered(self) -> list[str]:
        """Requests whose fate the bank does not know."""
        return [r for r in self.sent if r not in self.answers]

    async def settle(self, town: Town) -> None:
        """After a restart: whatever is unanswered is sent again, every receipt held still holds."""
        client = self.client(town)
        await asyncio.gather(*(self.send(client, request_id) for request_id in self.unanswered))
        assert self.unanswered == []
        for request_id, held in self.answers.items():
            again = await client.submit(self.sent[request_id])
            assert again.receipt is not None
            assert held.receipt is not None
            assert again.outcome.receipt.entry == held.outcome.receipt.entry
            assert again.outcome.application == held.outcome.application
            assert again.receipt.is_consistent, "the ledger extends every checkpoint that was shown"


@dataclass
class CourtDesk:
    """The counter's system over the crashes of the gateway: the acts that it signed, by number, and their answers."""

    signed: list[Envelope] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)

    async def sign(self, town: Town, flats: list[SampleUnit]) -> None:
        """A seizure of each of these flats, served now; the numbers go on from the last."""
        client = await town.counter()
        for flat in flats:
            self.signed.append(
                client.sign(
                    acts_pb2.RestrictionAct(
                        verb=acts_pb2.RESTRICTION_VERB_ENTER,
                        sequence=len(self.signed) + 1,
                        seizure=seizure(flat.unit_code, flat.owner, town.clock()),
                    )
                )
            )

    async def feed(self, town: Town) -> None:
        """Send what is unanswered, in order, until it is through or the gateway is gone."""
        client = await town.counter()
        for number, envelope in enumerate(self.signed, start=1):
            if number not in self.answers:
                try:
                    self.answers[number] = await client.send(envelope)
                except RequestError as error:
                    if not (error.may_retry or error.is_outcome_unknown):
                        raise
                    return

    async def settle(self, town: Town) -> None:
        """After a restart: the rest of it; every answer held still holds, and no number is missing or doubled."""
        await self.feed(town)
        client = await town.counter()
        for number, envelope in enumerate(self.signed, start=1):
            again = await client.send(envelope)
            assert again.outcome.receipt.index == self.answers[number].outcome.receipt.index
        status = await client.status()
        assert (status.last_sequence, list(status.missing), status.held) == (len(self.signed), [], 0)


@asynccontextmanager
async def serve(folder: Path, log: Path, **settings: str) -> AsyncIterator[Server]:
    """`diya serve` on a folder, ready, with other settings by environment; killed at the end if it still runs."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "diya.toml")),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
        assert line, log.read_text()[-3000:]
        ports = json.loads(line)["ready"]
        gateway: Any = SimpleNamespace(ports=ports)
        async with AsyncExitStack() as stack:
            pki = DevelopmentPKI.load(folder / "pki", utc_now())
            stage = Stage(folder, load_config(folder / "diya.toml"), gateway, pki, stack)
            yield Server(process, Town(stage, gateway, MovedClock(), stack))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _file_cases(town: Town, bank: Bank, flats: Any) -> list[str]:
    """Cases on fresh flats, papers uploaded, signed and not yet sent; their request ids."""
    filings: list[Filing] = [town.mortgage(next(flats)).sign() for _ in range(CASES)]
    await asyncio.gather(*(filing.upload() for filing in filings))
    signer = town.key("bank-a").signer()
    fresh = {f.request_id: build.sign_submission(signer, f.manifest()) for f in filings}
    bank.sent |= fresh
    return list(fresh)


def _count(folder: Path, statement: str) -> int:
    connection = sqlite3.connect(f"file:{folder / 'data' / 'diya.db'}?mode=ro", uri=True)
    try:
        return int(connection.execute(statement).fetchone()[0])
    finally:
        connection.close()


def _flats() -> Any:
    return iter(SAMPLE.free("jiangyin"))


def _coming_in(folder: Path) -> int:
    """Bytes of uploads that are not complete."""
    return sum(path.stat().st_size for path in (folder / "data" / "files" / "incoming").iterdir())


async def _half_an_upload(town: Town) -> None:
    """Upload the first half of a file and then nothing, until the server is gone."""
    data = paper("half")

    async def messages() -> AsyncIterator[Any]:
        for message in upload_messages(data, chunk_bytes=len(data) // 2)[:2]:
            yield message
        await asyncio.Event().wait()

    with pytest.raises(grpc.aio.AioRpcError):
        await town.stub(FileServiceStub, "bank-b").UploadFile(messages())


def _verified(folder: Path) -> int:
    """Both ledgers checked byte for byte, as `diya ledger verify` does; the first one's size."""
    config = load_config(folder / "diya.toml")
    engine = reader_engine(config.storage.database)
    vault = Vault(read_key_encryption_key(config.storage.key_encryption_key))
    sizes = []
    for registry in config.registries:
        vkey = note_signer(registry.origin, registry.ledger_key).vkey
        with engine.connect() as connection, connection.begin():
            report = verify_ledger(connection, registry.id, vkey, vault=vault)
        assert report.ok, report.first
        sizes.append(report.entries)
    engine.dispose()
    return sizes[0]


def _each_is_one_case(folder: Path, bank: Bank) -> int:
    """One entry and one application for each request, however often it was sent; how many of them are booked."""
    for request_id in bank.sent:
        assert _count(folder, f"SELECT count(*) FROM request WHERE request_id = '{request_id}'") == 1
    assert _count(folder, "SELECT count(*) FROM application") == len(bank.sent)
    booked = [a for a in bank.answers.values() if a.outcome.result == outcome_pb2.OUTCOME_RESULT_BOOKED]
    assert _count(folder, "SELECT count(*) FROM certificate") == len(booked)
    assert len({a.outcome.receipt.index for a in bank.answers.values()}) == len(bank.sent)
    return len(booked)


async def _sealed(bank: Bank, client: DiyaClient) -> None:
    """Wait until every certificate that was ever numbered is sealed; the numbers run without a gap."""
    wanted = {c.name for a in bank.answers.values() for c in a.outcome.certificates}
    async with asyncio.timeout(40):
        async for event in client.watch_events():
            wanted.discard(event.certificate)
            if not wanted:
                break
    found = [c async for c in client.certificates.list()]
    assert {c.state for c in found} == {certificate_pb2.Certificate.STATE_SEALED}
    serials = sorted(int(c.number.rpartition("第")[2].removesuffix("号")) for c in found)
    assert serials == list(range(serials[0], serials[0] + len(serials)))


#: When the process is killed, while a round's cases are on their way: at the first commit, or after so many answers.
POINTS = ["first commit", 1, 3, CASES]


async def test_kill_under_load_loses_nothing_and_doubles_nothing(own_folder: Path, tmp_path: Path) -> None:
    """Killed again and again, a gateway keeps what it answered, decides the rest once, and seals what it numbered."""
    bank, court, flats, log = Bank(), CourtDesk(), _flats(), tmp_path / "serve.log"
    seized_before = _count(own_folder, SEIZURES)
    to_be_seized = iter(list(SAMPLE.free("jiangyin"))[-SEIZED * len(POINTS) :])
    for point in POINTS:
        async with serve(own_folder, log) as server:
            await bank.settle(server.town)
            await court.settle(server.town)
            await court.sign(server.town, list(islice(to_be_seized, SEIZED)))
            fresh = await _file_cases(server.town, bank, flats)
            client = bank.client(server.town)
            entries = _count(own_folder, "SELECT count(*) FROM application")
            half = asyncio.create_task(_half_an_upload(server.town))
            await until(lambda: _coming_in(own_folder) > 0)
            tasks = [asyncio.create_task(bank.send(client, request_id)) for request_id in fresh]
            tasks.append(asyncio.create_task(court.feed(server.town)))
            if point == "first commit":
                await until(lambda: _count(own_folder, "SELECT count(*) FROM application") > entries)  # noqa: B023
            else:
                await until(lambda: sum(r in bank.answers for r in fresh) >= point)  # noqa: B023
            await server.kill()
            await asyncio.gather(*tasks, half)
        assert _coming_in(own_folder) > 0, "the kill came in the middle of an upload"
        _verified(own_folder)
    unsealed = _count(own_folder, "SELECT count(*) FROM certificate WHERE pdf_sha256 IS NULL")
    assert unsealed > 0, "the last kill came before the last seal"
    async with serve(own_folder, log) as server:
        await bank.settle(server.town)
        await court.settle(server.town)
        await _sealed(bank, bank.client(server.town))
        assert await server.stop() == 0, log.read_text()[-3000:]
    assert _each_is_one_case(own_folder, bank) == CASES * len(POINTS)
    assert _count(own_folder, SEIZURES) - seized_before == len(court.signed)
    assert _verified(own_folder) >= 2 * len(bank.sent) + len(court.signed)
    assert _coming_in(own_folder) == 0, "what the kills interrupted is gone"


def _many_small_cases(town: Town, bank: Bank) -> list[str]:
    """Cases that the law answers at once, signed: a load that keeps the verification threads busy."""
    signer = town.key("bank-a").signer()
    fresh = []
    for _ in range(SMALL_CASES):
        filing = town.mortgage(SAMPLE.sole_free_jiangyin)
        filing.terms.units[0].unit_code = "320281001001GB00001F09990998"
        bank.sent[filing.request_id] = build.sign_submission(signer, filing.manifest())
        fresh.append(filing.request_id)
    return fresh


@pytest.mark.parametrize("grace_seconds", ["10", "0.05"], ids=["grace that suffices", "grace far too short"])
async def test_terminate_under_load_keeps_what_was_acknowledged(
    own_folder: Path, tmp_path: Path, grace_seconds: str
) -> None:
    """SIGTERM under load: whatever is entered is answered, the process ends with 0, nothing is lost.

    When the grace is over, what was not begun is refused unread, and what was begun is answered none the less.
    """
    bank, flats, log = Bank(), _flats(), tmp_path / "serve.log"
    async with serve(own_folder, log, DIYA_SERVER__GRACE_SECONDS=grace_seconds) as server:
        fresh = await _file_cases(server.town, bank, flats)
        fresh += _many_small_cases(server.town, bank)
        client = bank.client(server.town)
        tasks = [asyncio.create_task(bank.send(client, request_id)) for request_id in fresh]
        await until(lambda: _count(own_folder, "SELECT count(*) FROM application") > 0)
        answered_before = len(bank.answers)
        assert await server.stop() == 0, log.read_text()[-3000:]
        await asyncio.gather(*tasks)
        acknowledged = dict(bank.answers)
    assert answered_before < len(acknowledged), "there was something in hand, and it was answered"
    assert _verified(own_folder) > max(a.outcome.receipt.index for a in acknowledged.values())
    entered = _count(own_folder, "SELECT count(*) FROM application")
    assert entered == len(acknowledged), "what was entered was answered: no half answer"
    async with serve(own_folder, log) as server:
        await bank.settle(server.town)
        assert await server.stop() == 0, log.read_text()[-3000:]
    assert _each_is_one_case(own_folder, bank) == CASES
