"""Watching events: gap-free, in order, each once, over as many streams as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from gateway.client.errors import EventGap, RequestError, Unavailable
from gateway.client.session import Session, translated
from gateway.pb.diya.v1 import outcome_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as pb
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub


async def watch(
    session: Session, after_sequence: int, *, catch_up_only: bool, institution: str
) -> AsyncIterator[outcome_pb2.Event]:
    """Events above `after_sequence`. A stream that breaks or falls silent is opened again from the
    last event given out. Endless unless `catch_up_only`.

    Raises RequestError when the gateway refuses, or when it stays away for all attempts; EventGap
    when a number is missing twice in a row.
    """
    sequence = after_sequence
    attempt = 1
    missing = 0
    while True:
        try:
            stream = _one_stream(session, sequence, catch_up_only, institution)
            async with aclosing(stream) as messages:
                async for message in messages:
                    attempt = 1  # it speaks, be it only to show that it lives
                    if not message.HasField("event"):
                        continue
                    event = message.event
                    if event.sequence <= sequence:
                        continue  # may come twice across streams
                    if event.sequence != sequence + 1:
                        raise EventGap(sequence + 1, event.sequence)
                    sequence = event.sequence
                    yield event
        except EventGap as gap:
            if missing == gap.expected:
                raise
            missing = gap.expected
            continue
        except RequestError as error:
            attempt += 1
            wait = session.policy.wait_before(attempt, error, session.uniform)
            if wait is None:
                raise
            await session.sleep(wait)
            continue
        if catch_up_only:
            return
        await session.sleep(session.policy.delay)  # the gateway ended it: its age, or a restart


async def _one_stream(
    session: Session, sequence: int, catch_up_only: bool, institution: str
) -> AsyncGenerator[pb.WatchEventsResponse, None]:
    stub = RegistrationServiceStub(session.connection.channel)
    request = pb.WatchEventsRequest(
        parent=session.parent,
        after_sequence=sequence,
        catch_up_only=catch_up_only,
        institution=institution,
    )
    silence = session.connection.deadlines.watch_silence
    async with translated():
        call = stub.WatchEvents(request)
        messages = aiter(call)
        try:
            while True:
                try:
                    async with asyncio.timeout(silence):
                        message = await anext(messages)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise Unavailable(
                        "TRANSPORT",
                        f"no sign of life for {silence:g} s",
                        f"{silence:g} 秒内没有任何消息",
                        code="UNAVAILABLE",
                    ) from None
                yield message
        finally:
            call.cancel()
