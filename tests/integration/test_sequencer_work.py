"""Pieces of writing on the writer's connection, beside commands."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, insert, select

from gateway.cases.effects import CounterMoved
from gateway.commands import Unavailable
from gateway.storage import tables as t
from tests.support.spine import REGISTRY, Spine


def _row(connection: Connection, name: str) -> int | None:
    table = t.counter
    return connection.execute(select(table.c.value).where(table.c.name == name)).scalar()


def _insert(connection: Connection, name: str) -> str:
    connection.execute(insert(t.counter), {"registry": REGISTRY, "name": name, "value": 1})
    return name


async def test_work_answers_its_result_once_it_is_durable(spine: Spine) -> None:
    """When the future has its result, every reader sees what was written."""
    assert spine.sequencer.run(lambda c: _insert(c, "a")).result(timeout=10) == "a"
    assert await spine.queries.read(lambda c: _row(c, "a")) == 1


async def test_work_that_fails_fails_alone(spine: Spine) -> None:
    """A defect in one item of a batch leaves nothing of it, and its neighbours are done."""
    gate = threading.Event()
    spine.sequencer.run(lambda _: gate.wait(10))
    before = spine.sequencer.run(lambda c: _insert(c, "before"))

    def broken(connection: Connection) -> None:
        _insert(connection, "broken")
        raise ValueError("a defect")

    failing = spine.sequencer.run(broken)
    command = spine.command(CounterMoved(name="moved", value=3))
    answer = spine.sequencer.submit(command)
    gate.set()
    assert answer.result(timeout=10).outcome.application == ""
    assert before.result(timeout=10) == "before"
    with pytest.raises(ValueError, match="a defect"):
        failing.result(timeout=10)
    values = {
        name: await spine.queries.read(lambda c, n=name: _row(c, n)) for name in ("before", "broken", "moved")
    }
    assert values == {"before": 1, "broken": None, "moved": 3}


async def test_settings_stay_known_after_a_batch_that_failed(spine: Spine) -> None:
    """A commit that failed does not make the registry's callers strangers."""
    command = spine.command()
    command.decide = lambda working, moment: 1 // 0  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        spine.submit(command)
    assert spine.sequencer.settings(REGISTRY).profile is not None
    spine.enter(CounterMoved(name="moved", value=1))
    assert spine.sequencer.settings(REGISTRY).profile is not None


def test_work_queued_cannot_be_cancelled(spine: Spine) -> None:
    """Who stops waiting does not stop what is queued, nor the thread that does it."""
    gate = threading.Event()
    spine.sequencer.run(lambda _: gate.wait(10))
    command = spine.command(CounterMoved(name="moved", value=1))
    answer = spine.sequencer.submit(command)
    assert not answer.cancel()
    gate.set()
    assert answer.result(timeout=10).receipt.index == 1


def test_work_after_the_stop_is_not_taken(spine: Spine) -> None:
    """A service that stops takes nothing new, and says so at once."""
    spine.sequencer.stop()
    with pytest.raises(Unavailable):
        spine.sequencer.run(lambda _: None)
