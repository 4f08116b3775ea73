"""Many submissions over one bidirectional stream, at most 64 unanswered.

A broken stream is opened again and every unanswered submission is sent again, in order, with the
same bytes: what had been taken is answered as stored, the rest is taken now.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import grpc

from gateway.client.errors import ProtocolBroken, RequestError
from gateway.client.session import Answer, Session, translated
from gateway.client.status import error_of_status
from gateway.client.submissions import Submission, stream_request
from gateway.pb.diya.v1 import registration_service_pb2 as pb
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub

UNANSWERED_MAX: Final = 64

_Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.SubmitStreamRequest, pb.SubmitStreamResponse]"


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """What one submission of a stream came to: an answer, or the error that it alone failed
    with.
    """

    submission: Submission
    answer: Answer | None
    error: RequestError | None


class SubmitStream:
    """One run of a stream. `answers` may be iterated once."""

    def __init__(
        self,
        session: Session,
        submissions: AsyncIterable[Submission],
        *,
        window: int = UNANSWERED_MAX,
    ) -> None:
        """window: how many may be unanswered, 1 to 64. Raises ValueError."""
        if not 1 <= window <= UNANSWERED_MAX:
            raise ValueError(f"a window of {window}; 1 to {UNANSWERED_MAX} are possible")
        self._session = session
        self._stub = RegistrationServiceStub(session.connection.channel)
        self._submissions = submissions
        self._room = asyncio.Semaphore(window)
        self._queue: asyncio.Queue[Submission | None] = asyncio.Queue()
        self._unanswered: deque[tuple[int, Submission]] = deque()
        self._correlation = 0
        self._is_drained = False

    async def answers(self) -> AsyncIterator[StreamAnswer]:
        """One answer for each submission, in order. Raises RequestError when the stream stays
        broken, ReceiptInvalid and ProtocolBroken as a single submission does, and at the end
        whatever the source raised.
        """
        feeder = asyncio.create_task(self._feed())
        attempt = 1
        try:
            while True:
                try:
                    async with aclosing(self._one_stream()) as answers:
                        async for answer in answers:
                            attempt = 1
                            yield answer
                except RequestError as error:
                    attempt += 1
                    policy = self._session.policy
                    wait = policy.wait_before(attempt, error, self._session.uniform)
                    if wait is None:
                        raise
                    await self._session.sleep(wait)
                    continue
                if self._unanswered:
                    raise ProtocolBroken(
                        f"the stream ended with {len(self._unanswered)} unanswered",
                        f"流已结束，仍有 {len(self._unanswered)} 件未答复",
                    )
                break
            await feeder
        finally:
            await _end(feeder)

    async def _feed(self) -> None:
        """Take submissions from the source, never more than the window ahead of the answers."""
        try:
            async for submission in self._submissions:
                stream_request(0, submission)  # an unusable one is the source's error, not the stream's
                await self._room.acquire()
                self._queue.put_nowait(submission)
        finally:
            self._queue.put_nowait(None)

    async def _one_stream(self) -> AsyncGenerator[StreamAnswer, None]:
        """Until the source is empty and everything is answered, or the stream breaks."""
        call = self._stub.SubmitStream()
        writer = asyncio.create_task(self._write(call))
        try:
            async with translated() as ending:
                ending.watch(call)
                async for response in call:
                    yield await self._accept(response)
        finally:
            # The next stream may only begin when nothing of this one can take from the queue.
            await _end(writer)
            call.cancel()

    async def _write(self, call: _Call) -> None:
        """Send the unanswered again, then what comes. A failed write is told by the reading
        side.
        """
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for correlation, submission in tuple(self._unanswered):
                await call.write(stream_request(correlation, submission))
            while not self._is_drained:
                submission_or_end = await self._queue.get()
                if submission_or_end is None:
                    self._is_drained = True
                    break
                self._correlation += 1
                self._unanswered.append((self._correlation, submission_or_end))
                await call.write(stream_request(self._correlation, submission_or_end))
            await call.done_writing()

    async def _accept(self, response: pb.SubmitStreamResponse) -> StreamAnswer:
        if not self._unanswered or self._unanswered[0][0] != response.correlation:
            raise ProtocolBroken(
                f"answer {response.correlation} came out of order",
                f"第 {response.correlation} 号答复顺序错误",
            )
        _, submission = self._unanswered.popleft()
        self._room.release()
        if response.WhichOneof("answer") == "error":
            return StreamAnswer(submission, None, error_of_status(response.error))
        answer = await self._session.answer(submission.envelope, response.outcome)
        return StreamAnswer(submission, answer, None)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; its own failure was told elsewhere."""
    task.cancel()
    await asyncio.wait({task})  # unlike `await task`, it never swallows a cancellation of our own
    if not task.cancelled():
        task.exception()
