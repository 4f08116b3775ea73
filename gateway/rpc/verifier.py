"""From the event loop through verification into the sequencer's queue, in as few hand-overs as there are threads.

A submission is put before the verification threads; the thread that verified it queues its command itself, and the
sequencer's answers come back to the loop a batch at a time. In a stream, commands wait for the ones before them, so
that they are verified in parallel and queued in stream order.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from gateway.commands import Answer, Command, stopping
from gateway.sequencer import Sequencer

_Waiter = asyncio.Future[Answer]


class StreamOrder:
    """The order of one stream: `turn` numbers its messages, `settle` queues what is ready, in that order."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self._lock = threading.Lock()
        self._given = 0
        self._next = 0
        self._ready: dict[int, Command | None] = {}

    def turn(self) -> int:
        """The place of the next message; called on the event loop, in stream order."""
        self._given += 1
        return self._given - 1

    def settle(self, turn: int, command: Command | None) -> None:
        """A message was verified (or refused: None); queue every command whose turn has come."""
        with self._lock:
            self._ready[turn] = command
            while self._next in self._ready:
                ready = self._ready.pop(self._next)
                self._next += 1
                if ready is not None:
                    _take(self._sequencer, ready)


class _Job(NamedTuple):
    read: Callable[[], Command]
    waiter: _Waiter
    order: StreamOrder | None
    turn: int


class Verifier:
    """Verification threads. `submit` is called on the event loop and its future belongs to that loop."""

    def __init__(self, sequencer: Sequencer, *, threads: int) -> None:
        self._sequencer = sequencer
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._draining = False
        self._threads = [
            threading.Thread(target=self._run, name=f"verify-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, read: Callable[[], Command], order: StreamOrder | None = None, turn: int = 0
    ) -> asyncio.Future[Answer]:
        """Verify with `read`, queue the command, answer. Whatever `read` raises is the future's exception."""
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(read, waiter, order, turn))
        return waiter

    def is_busy(self) -> bool:
        """Whether submissions wait for their verification."""
        return not self._jobs.empty()

    def drain(self) -> None:
        """Refuse whatever waits and whatever comes; what is being verified goes on."""
        self._draining = True

    def close(self) -> None:
        """End the threads after what is already here."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            command: Command | None = None
            try:
                if self._draining:
                    raise stopping()
                if not job.waiter.cancelled():  # whoever stopped waiting before it began wants nothing done
                    command = job.read()
                    command.waiter = job.waiter
            except Exception as error:
                _refuse(job.waiter, error)
            if job.order is not None:
                job.order.settle(job.turn, command)  # refused or not, or the stream would wait for ever
            elif command is not None:
                _take(self._sequencer, command)


def _take(sequencer: Sequencer, command: Command) -> None:
    """Queue a command; what cannot be taken is refused to whoever waits for it."""
    try:
        sequencer.take(command)
    except Exception as error:
        assert command.waiter is not None
        _refuse(command.waiter, error)


def _refuse(waiter: _Waiter, error: Exception) -> None:
    waiter.get_loop().call_soon_threadsafe(_fail, waiter, error)


def _fail(waiter: _Waiter, error: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(error)
