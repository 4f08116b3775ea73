"""A payoff left by a booked phase, entered straight into the ledger: without playing a segmented case to get there."""

from __future__ import annotations

import asyncio
import datetime as dt

from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.effects import ApplicationRecorded, RequestAnswered
from gateway.cases.model import Moment, Outcome, Result
from gateway.commands import Command
from gateway.rounds.term_clock import CLOCKWORK_TYPE
from gateway.storage.working import Wants, Working
from signing.envelope import pae
from tests.support.stage import Town


async def leave_a_payoff(town: Town, name: str, due: dt.datetime) -> None:
    """The booked row as the first phase of a segmented case would be: an older mortgage on its unit, and a day."""
    row = await town.gateway.queries.application("jiangyin", name.rpartition("/")[2])
    assert row is not None
    assert row.booked_at is not None
    left = replace(row, payoff_until=due, booked_at=row.booked_at + dt.timedelta(seconds=1))

    def decide(working: Working, moment: Moment) -> Decision:
        answered = RequestAnswered(institution="", request_id="payoff", payload_sha256="0" * 64)
        outcome = Outcome(result=Result.DONE, application="")
        effects = (answered, ApplicationRecorded(application=left))
        return Decision(kind="test.payoff", outcome=outcome, effects=effects)

    command = Command(
        registry="jiangyin", institution="", request_id="payoff", payload_sha256="0" * 64,
        payload=pae(CLOCKWORK_TYPE, b"payoff"), evidence=lambda: b"{}", wants=Wants(), decide=decide,
    )  # fmt: skip
    await asyncio.to_thread(town.gateway.sequencer.submit(command).result)
