"""What the gateway does by itself: terms that run out, and the turn of whoever waited. A moved clock, no sleeping."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from gateway.client.acts import target_of_envelope
from gateway.client.errors import RequestError
from gateway.pb.diya.v1 import application_pb2, finding_pb2, outcome_pb2
from tests.integration.test_desk_service import board
from tests.integration.test_party_service import actor, events_of, party, portfolio
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 24 * 3600.0
State = application_pb2.Application.State


async def until(
    town: Town, key: str, name: str, state: str, registry: str = "jiangyin"
) -> application_pb2.Application:
    """The application once it is in a state: woken by the events of the institution, not by sleeping."""
    client = await town.client(key, registry)
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.application == name and State.Name(event.state) == f"STATE_{state}":
                break
    return await client.get_application(name)


async def test_case_that_awaits_a_party_expires_by_itself(own_folder: Path) -> None:
    """Golden 26: past its term EXPIRED, E-EXPIRED told by an event; no clock, no place; a join then is too late."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        answer = await (await portfolio(town).upload()).submit()
        name = answer.outcome.application
        clock.move(10 * DAY)
        town.gateway.clockwork.look()
        ended = await until(town, "bank-a", name, "EXPIRED")
        assert [f.code for f in ended.findings] == ["E-EXPIRED"]
        assert ended.case_number == ""
        assert not ended.milestones.HasField("accepted_at")
        assert (await events_of(town, "fund-centre", name))[-1] == "EXPIRED"
        fund = await party(town, "fund-centre")
        with pytest.raises(RequestError) as caught:
            await fund.join(target_of_envelope(name, answer.envelope), ["fund"])
        assert caught.value.reason == "STATE_NOT_ALLOWED"


async def test_party_that_has_not_answered_is_reminded_and_a_restart_does_not_repeat_it(
    own_folder: Path,
) -> None:
    """Three days and one day before the end, by event and on the board; the second one comes at a start."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        answer = await (await portfolio(town).upload()).submit()
        name = answer.outcome.application
        clock.move(7 * DAY)
        town.gateway.clockwork.look()
        await heard(town, "fund-centre", name, "PARTIES_REMINDED")
        [item] = await board(town, "fund-centre", "jiangyin", name)
        assert abs(item.reminded_at.ToDatetime(dt.UTC) - clock()) < dt.timedelta(minutes=1)
        assert (await events_of(town, "bank-a", name))[-1] == "PARTIES_REMINDED"
    async with town_of(own_folder, clock=clock) as town:
        town.gateway.clockwork.look()
        clock.move(2 * DAY)
        town.gateway.clockwork.look()
        await heard(town, "fund-centre", name, "PARTIES_REMINDED", 2)
        fund = await party(town, "fund-centre")
        joined = await fund.join(target_of_envelope(name, answer.envelope), ["fund"])
        assert joined.outcome.state != State.STATE_AWAITING_PARTIES
        clock.move(3 * DAY)
        town.gateway.clockwork.look()
        assert (await events_of(town, "fund-centre", name)).count("PARTIES_REMINDED") == 2
        assert "EXPIRED" not in await events_of(town, "fund-centre", name)


async def heard(town: Town, key: str, name: str, kind: str, times: int = 1) -> None:
    """Wait until an institution has been told of an application so many times."""
    client = await town.client(key)
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            told = outcome_pb2.EventKind.Name(event.kind) == f"EVENT_KIND_{kind}"
            times -= event.application == name and told
            if not times:
                return


async def test_term_that_ran_out_while_the_gateway_was_down_ends_at_start(own_folder: Path) -> None:
    """What is due is found in the views at start-up."""
    async with town_of(own_folder) as town:
        answer = await (await portfolio(town).upload()).submit()
    clock = MovedClock()
    clock.move(11 * DAY)
    async with town_of(own_folder, clock=clock) as town:
        await until(town, "bank-a", answer.outcome.application, "EXPIRED")


async def test_supplement_that_never_comes_is_refused(own_folder: Path) -> None:
    """R-NOT_SUPPLEMENTED when the deadline passes; the papers are free for a new application."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        filing, answer = await town.in_review()
        name = answer.outcome.application
        review = await town.registrar()
        await review.claim(await review.open(name))
        wanted = finding_pb2.Finding(code="N-INCOMPLETE", file="PROOF", zh="请补充", en="bring it")
        await review.request_supplement(await review.open(name), [wanted])
        clock.move(15 * DAY)
        town.gateway.clockwork.look()
        ended = await until(town, "bank-a", name, "REFUSED", "taizhou")
        assert [f.code for f in ended.findings] == ["R-NOT_SUPPLEMENTED"]
        filing.request_id = filing.request_id[:-1] + ("0" if filing.request_id[-1] != "0" else "1")
        assert (await filing.submit()).result == "ACCEPTED"


async def test_case_behind_another_is_decided_when_that_one_ends(own_folder: Path) -> None:
    """S-QUEUE: a second release of the same mortgage waits; the first withdrawn, the second is booked by rule."""
    async with town_of(own_folder) as town:
        filing, booked = await town.booked()
        number = booked.outcome.certificates[0].number
        first = town.release(filing, number)
        first.terms.operations[0].mortgage_release.ground = 3  # realised: a person decides
        waiting = await (await first.sign().upload()).submit()
        assert waiting.outcome.state == State.STATE_ACCEPTED, waiting.outcome
        second = await (await town.release(filing, number).sign().upload()).submit()
        assert second.outcome.state == State.STATE_SUSPENDED, second.outcome.findings
        assert "S-QUEUE" in {f.code for f in second.outcome.findings}
        client = await town.client("bank-a")
        await client.withdraw(
            town.key("bank-a").signer(),
            actor("bank-a"),
            target_of_envelope(waiting.outcome.application, waiting.envelope),
            parties=["bank"],
        )
        done = await until(town, "bank-a", second.outcome.application, "BOOKED")
        assert done.milestones.HasField("booked_at")
