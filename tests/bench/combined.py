"""What a two-bank combined case costs beside a plain mortgage, in processor time of the server; see README.md, *Speed*.

Both on the demo's sample flats, one act after another, from the submission to the booking: a mortgage that a rule books
within its submission; then the sale of the same flat under it, with the old bank's join, a registrar's claim and
approval, the taxes and the payoff. Papers are made, uploaded and checked before: what counts is the act's own time.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import uvloop
from msgspec.structs import replace

from gateway.app import utc_now
from gateway.client.acts import target_of_envelope
from gateway.client.client import DiyaClient
from gateway.client.party import PartyClient
from gateway.client.review import ReviewClient
from gateway.client.session import Actor, Answer
from gateway.config import load_config
from gateway.demo.cases import CLERK, Filing
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY, Stage
from gateway.pb.diya.v1 import acts_pb2
from gateway.register.sample import SAMPLE, SampleUnit
from signing.envelope import Envelope
from signing.pki import DevelopmentPKI
from tests.support.founding import found

REGISTRY = "jiangyin"
CASES = 12
WARM_CASES = 2
AIM = 5.0
PRICE_FEN = 200_000_000
LOAN_FEN = 100_000_000

T = TypeVar("T")


class Meter:
    """Processor time of a process, all its threads, while something is awaited; the server has nothing else to do."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.nanoseconds = 0

    async def during(self, what: Awaitable[T]) -> T:
        """Await, and count what the process used."""
        before = self._used()
        try:
            return await what
        finally:
            self.nanoseconds += self._used() - before

    def _used(self) -> int:
        tasks = Path(f"/proc/{self._pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


class MeteredClient(DiyaClient):
    """A bank's client whose submissions are metered, and not the rest."""

    meter: Meter

    async def submit(self, envelope: Envelope) -> Answer:
        """As the client's."""
        return await self.meter.during(super().submit(envelope))


class Street:
    """The flats of the sample, and those who deal in them."""

    def __init__(self, stage: Stage, pid: int) -> None:
        self._stage = stage
        self._pid = pid

    async def open(self) -> None:
        """Everybody connects."""
        stage = self._stage
        self._clients = {}
        for key in ("bank-a", "bank-b"):
            self._clients[key] = MeteredClient(await stage.session(key, REGISTRY))
        session = await stage.session("bank-a", REGISTRY)
        actor = Actor(INSTITUTIONS["bank-a"].id_number, CLERK)
        self._old_bank = PartyClient(session, stage.signer("bank-a").signer(), actor)
        self._registrar = ReviewClient(
            await stage.session(REGISTRAR_KEY, REGISTRY), stage.signer(REGISTRAR_KEY).signer()
        )

    def _filing(self, bank: str, name: str, meter: Meter) -> Filing:
        client = self._clients[bank]
        client.meter = meter
        return Filing(self._stage, client, bank, bank, self._stage.folder / "papers" / name, utc_now())

    async def mortgage(self, number: int, unit: SampleUnit) -> tuple[int, str]:
        """Bank A's mortgage on a free flat, booked by rule: nanoseconds, and the number of its proof."""
        meter = Meter(self._pid)
        answer = await self._filing("bank-a", f"plain-{number}", meter).mortgage(unit, LOAN_FEN)
        assert answer.result == "BOOKED", answer.outcome.findings
        return meter.nanoseconds, answer.outcome.certificates[0].number

    async def sale(self, number: int, unit: SampleUnit, proof: str) -> int:
        """The flat is sold under that mortgage to a buyer of bank B's: nanoseconds of its six acts together."""
        meter = Meter(self._pid)
        filing = self._filing("bank-b", f"combined-{number}", meter)
        buyer = SAMPLE.sole_free_taizhou.owner
        mortgaged = replace(unit, proofs=(proof,))
        answer = await filing.transfer(mortgaged, buyer, PRICE_FEN, LOAN_FEN, "bank-a")
        name = answer.outcome.application
        target = target_of_envelope(name, answer.envelope)
        await meter.during(self._old_bank.join(target, ["old"]))
        await meter.during(self._registrar.claim(await self._registrar.open(name)))
        await meter.during(self._registrar.approve(await self._registrar.open(name)))
        await meter.during(filing.taxes_cleared(answer))
        booked = await meter.during(
            self._old_bank.consent(
                target,
                acts_pb2.CONSENT_KIND_PAYOFF_CONFIRMED,
                parties=["old"],
                operations=[1],
                amount_fen=LOAN_FEN // 2,
                happened_on=utc_now().date(),
            )
        )
        assert booked.result == "BOOKED", booked.outcome.findings
        return meter.nanoseconds


async def measure(folder: Path) -> None:
    """Print the ratio of the medians and both of them."""
    await found(folder)
    server = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "diya.toml")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DIYA_SEALING": "false"},
    )
    try:
        assert server.stdout is not None
        gateway: Any = SimpleNamespace(
            ports=json.loads(await asyncio.to_thread(server.stdout.readline))["ready"]
        )
        async with AsyncExitStack() as stack:
            pki = DevelopmentPKI.load(folder / "pki", utc_now())
            stage = Stage(folder, load_config(folder / "diya.toml"), gateway, pki, stack)
            street = Street(stage, server.pid)
            await street.open()
            plain, combined = [], []
            for number, unit in enumerate(SAMPLE.free(REGISTRY)[:CASES]):
                took, proof = await street.mortgage(number, unit)
                plain.append(took)
                combined.append(await street.sale(number, unit, proof))
    finally:
        server.terminate()
        server.wait(60)
    one = statistics.median(plain[WARM_CASES:]) / 1e6
    other = statistics.median(combined[WARM_CASES:]) / 1e6
    print(
        f"(i) processor time of a two-bank combined case, six acts ÷ a plain mortgage, one act at a time: "
        f"{other / one:.1f}  aim ≤ {AIM:.0f}  {'ok' if other / one <= AIM else 'SHORT'}   "
        f"{other:.1f} ms ÷ {one:.1f} ms",
        flush=True,
    )


def combined_case() -> None:
    """Found a gateway, serve it, measure."""
    with tempfile.TemporaryDirectory() as name:
        uvloop.run(measure(Path(name) / "street"))


if __name__ == "__main__":
    combined_case()
