"""A gateway that is told to stop: what is in hand is answered, what is not begun is refused.

The sequencer is held in the middle of its work, so that what is in hand and what waits is known and not a race.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Connection, select

from gateway.client.errors import Unavailable
from gateway.pb.diya.v1 import outcome_pb2, registration_service_pb2
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from gateway.storage import tables as t
from gateway.storage.engine import reader_engine
from tests.support.stage import Town, town_of
from tests.support.tlcp import tlcp_of
from tests.support.wire import Refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Hold:
    """A piece of work on the writer's thread that lasts until it is let go."""

    def __init__(self) -> None:
        self._began, self._go = threading.Event(), threading.Event()

    def work(self, _: Connection) -> None:
        """What the sequencer is given to do."""
        self._began.set()
        assert self._go.wait(30)

    def has_begun(self) -> bool:
        """Whether the writer stands in it."""
        return self._began.is_set()

    def let_go(self) -> None:
        """The writer goes on."""
        self._go.set()


def _taken(town: Town, items: int) -> Callable[[], bool]:
    """Whether the sequencer has so many items in hand or waiting."""
    return lambda: town.gateway.sequencer.waiting()[0] >= items


async def _stopped(town: Town, hold: Hold) -> asyncio.Task[None]:
    """Tell the gateway to stop; the writer is let go when the grace is over and it is being drained."""
    stopping = asyncio.create_task(town.gateway.stop())
    await until(lambda: town.gateway.sequencer.is_draining)
    hold.let_go()
    return stopping


async def test_what_is_in_hand_when_the_grace_is_over_is_answered(own_folder: Path) -> None:
    """The grace is over while a batch is being committed: its callers get their answers and receipts."""
    async with town_of(own_folder, grace_seconds=0.01) as town:
        filing = await town.mortgage().sign().upload()
        before, beside = Hold(), Hold()
        town.gateway.sequencer.run(before.work)
        await until(before.has_begun)
        town.gateway.sequencer.run(beside.work)
        submitted = asyncio.create_task(filing.submit())
        await until(_taken(town, 3))
        before.let_go()
        await until(beside.has_begun)  # the next batch, and the submission is in it
        stopping = await _stopped(town, beside)
        answer = await submitted
        assert answer.result == "BOOKED"
        assert answer.receipt is not None
        await stopping


async def test_what_waits_when_the_grace_is_over_is_refused_and_not_entered(own_folder: Path) -> None:
    """A command behind a batch in hand is told to come again; it is not entered behind its caller's back."""
    async with town_of(own_folder, grace_seconds=0.01) as town:
        filing = await town.mortgage().sign().upload()
        hold = Hold()
        town.gateway.sequencer.run(hold.work)
        await until(hold.has_begun)
        submitted = asyncio.create_task(filing.submit())
        await until(_taken(town, 2))
        stopping = await _stopped(town, hold)
        with pytest.raises(Unavailable) as refused:
            await submitted
        assert refused.value.reason == "SHUTTING_DOWN"
        assert refused.value.may_retry
        await stopping
        engine = reader_engine(town.stage.config.storage.database)
        with engine.connect() as connection:
            entered = connection.execute(select(t.request).where(t.request.c.request_id == filing.request_id))
            assert entered.all() == []
        engine.dispose()


async def test_a_watcher_does_not_hold_the_stop_up(own_folder: Path) -> None:
    """Whoever watches events is told at once to come again; the stop does not wait out its grace for it."""
    async with town_of(own_folder, grace_seconds=600, watch_silence_seconds_max=0.01) as town:
        request = registration_service_pb2.WatchEventsRequest(parent="registries/jiangyin")
        watching = aiter(town.registration("bank-a").WatchEvents(request))
        await anext(watching)  # a sign of life
        async with asyncio.timeout(20):
            await town.gateway.stop()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async for _ in watching:
                pass
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "resend" in str(ended.value.details())


async def test_stop_holds_for_who_comes_through_a_proxy_too(own_folder: Path) -> None:
    """What is in hand over the listener for proxies is answered, and nothing more is taken there."""
    async with tlcp_of(own_folder, grace_seconds=600) as tlcp, tlcp.through() as channel:
        gateway, stub = tlcp.town.gateway, RegistrationServiceStub(channel)
        filing = await tlcp.town.mortgage(channel="bank-b").sign().upload()
        hold = Hold()
        gateway.sequencer.run(hold.work)
        await until(hold.has_begun)
        submitted = asyncio.ensure_future(stub.SubmitMortgage(filing.request()))
        await until(_taken(tlcp.town, 2))
        stopping = asyncio.create_task(gateway.stop())
        request = registration_service_pb2.ListApplicationsRequest(parent="registries/jiangyin")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with asyncio.timeout(20):
                while True:  # until the stop has begun
                    await stub.ListApplications(request)
        assert Refused.of(refused.value).reason == "SHUTTING_DOWN"
        hold.let_go()
        assert (await submitted).outcome.result == outcome_pb2.OUTCOME_RESULT_BOOKED
        await stopping
