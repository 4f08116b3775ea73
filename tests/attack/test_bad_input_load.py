"""Bad input, load and time: overload, deadlines, shutting down; and that every reason is the contract's."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway import sequencer as sequencing
from gateway.pb.diya.v1 import errors_pb2, outcome_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as Pb
from gateway.rpc.errors import CODES
from gateway.storage.queries import READERS_MAX
from tests.support.stage import Town, town_of
from tests.support.wire import Refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROTO = Path(__file__).parents[2] / "proto" / "diya" / "v1" / "errors.proto"


@contextmanager
def held(town: Town) -> Iterator[None]:
    """Within the block the sequencer's thread is busy with a piece of work that does not end."""
    free, begun = threading.Event(), threading.Event()

    def work(connection: Any) -> None:
        begun.set()
        assert free.wait(30)

    town.gateway.sequencer.run(work)
    assert begun.wait(10)
    try:
        yield
    finally:
        free.set()


async def test_overload_is_refused_with_a_delay(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the queue is full nothing is taken: RESOURCE_EXHAUSTED with RetryInfo; the same bytes are taken later."""
    filing = await town.mortgage().sign().upload()
    request = filing.request()
    monkeypatch.setattr(sequencing, "QUEUE_COMMANDS_MAX", 3)
    with held(town):
        for _ in range(3):
            town.gateway.sequencer.run(lambda connection: None)
        refused = await filing.refused("OVERLOADED", "RESOURCE_EXHAUSTED", request)
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds < 10
    await until(lambda: town.gateway.sequencer.depth == 0)
    assert (await filing.send(request)).result == outcome_pb2.OUTCOME_RESULT_BOOKED


async def test_uploads_under_overload_leave_no_row(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the full queue cannot enter is OVERLOADED, and can be uploaded again."""
    monkeypatch.setattr(sequencing, "QUEUE_COMMANDS_MAX", 0)
    before = town.footprint()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await town.upload(b"%PDF- not much of a file")
    assert Refused.of(caught.value).reason == "OVERLOADED"
    assert town.footprint()["file"] == before["file"]
    monkeypatch.undo()
    file = await town.upload(b"%PDF- not much of a file")
    assert file.size_bytes == 24


async def test_time_limit_of_a_read_keeps_nothing(own_folder: Path) -> None:
    """A read whose time limit passes is DEADLINE_PASSED: nothing was kept."""
    async with town_of(own_folder, call_seconds_max=0.3) as town:
        free = threading.Event()
        readers = [town.gateway.queries._executor.submit(free.wait, 30) for _ in range(READERS_MAX)]
        stub = town.registration("bank-a")
        before = town.footprint()
        try:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListApplications(Pb.ListApplicationsRequest(parent="registries/jiangyin"))
        finally:
            free.set()
        assert all(reader.result() for reader in readers)
        refused = Refused.of(caught.value)
        assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_PASSED")
        assert refused.is_bilingual
        assert town.footprint() == before


async def test_time_limit_of_an_act_leaves_its_outcome_open(own_folder: Path) -> None:
    """An act whose time limit passes in the queue is not said to be lost; sent again, it is one case."""
    async with town_of(own_folder, call_seconds_max=0.5) as town:
        filing = await town.mortgage().sign().upload()
        request = filing.request()
        with held(town), pytest.raises(grpc.aio.AioRpcError) as caught:
            await filing.send(request)
        refused = Refused.of(caught.value)
        assert refused.code == "DEADLINE_EXCEEDED"
        assert refused.reason != "DEADLINE_PASSED", "the contract: with this reason nothing was kept"
        assert refused.is_bilingual
        first, second = await filing.send(request), await filing.send(request)
        assert first.result == outcome_pb2.OUTCOME_RESULT_BOOKED
        assert second.application == first.application
        assert town.footprint()["application"] == 1


async def test_deadline_of_the_caller_leaves_one_case_at_most(town: Town) -> None:
    """A caller who stops waiting may send the same bytes again: one case, one entry."""
    filing = await town.mortgage().sign().upload()
    request = filing.request()
    before = town.footprint()["application"]
    with held(town):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await town.registration("bank-a").SubmitMortgage(request, timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await filing.send(request)).result == outcome_pb2.OUTCOME_RESULT_BOOKED
    assert town.footprint()["application"] == before + 1


async def test_clock_behind_is_refused(own_folder: Path) -> None:
    """A server whose clock went back enters nothing: UNAVAILABLE, CLOCK_BEHIND, with a delay."""
    async with town_of(own_folder) as town:
        await town.booked()
        filing = await town.mortgage().sign().upload()
        town.clock.move(-60)
        refused = await filing.refused("CLOCK_BEHIND", "UNAVAILABLE")
        assert refused.retry_seconds
        town.clock.move(60)
        assert (await filing.send()).result == outcome_pb2.OUTCOME_RESULT_BOOKED


async def test_stopping_server_takes_nothing(own_folder: Path) -> None:
    """A gateway whose sequencer is stopping is UNAVAILABLE, SHUTTING_DOWN: nothing is taken."""
    async with town_of(own_folder) as town:
        filing = await town.mortgage().sign().upload()
        town.gateway.sequencer._stopping = True
        refused = await filing.refused("SHUTTING_DOWN", "UNAVAILABLE")
        assert refused.retry_seconds
        town.gateway.sequencer._stopping = False


def _documented() -> dict[str, str]:
    """Reason → gRPC code as the contract says it in its comments."""
    pattern = re.compile(r"// [^·\n]+· ([A-Z_]+)\..*\n(?:\s*//.*\n)*\s*ERROR_REASON_(\w+) =")
    return {found[2]: found[1] for found in pattern.finditer(PROTO.read_text(encoding="utf-8"))}


async def test_every_reason_has_the_contracts_code() -> None:
    """The table of codes names reasons of the contract alone, each with the code that the contract gives it."""
    documented = _documented()
    assert documented.keys() | {"UNSPECIFIED"} == {
        name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()
    }
    assert CODES.keys() <= documented.keys()
    ours = {reason: CODES.get(reason, grpc.StatusCode.INVALID_ARGUMENT).name for reason in documented}
    assert ours == documented
