"""SubmitStream and WatchEvents: in order, within the window, over broken streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.rpc import code_pb2

from gateway.client.client import DiyaClient
from gateway.client.errors import EventGap, NotAllowed, Unavailable
from gateway.client.retry import RetryPolicy
from gateway.client.stream import SubmitStream
from gateway.client.submissions import Submission
from gateway.pb.diya.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from gateway.pb.diya.v1.registration_service_pb2_grpc import (
    add_RegistrationServiceServicer_to_server,
)
from signing.envelope import Envelope
from tests.unit.client.fake_gateway import FakeLedgerService, FakeRegistration, refusal
from tests.unit.client.sample_case import Naps, serving, session_on, signed
from tests.unit.client.sample_ledger import SampleLedger


@pytest.fixture
def gateway() -> FakeRegistration:
    """A gateway with an empty ledger."""
    return FakeRegistration(SampleLedger())


def serve(gateway: FakeRegistration):  # type: ignore[no-untyped-def]  # what `serving` gives
    """A connection to it."""
    return serving(
        (add_RegistrationServiceServicer_to_server, gateway),
        (add_LedgerServiceServicer_to_server, FakeLedgerService(gateway.ledger)),
    )


async def source(envelopes: list[Envelope]) -> AsyncIterator[Submission]:
    """A loan system's queue."""
    for one in envelopes:
        yield Submission(one)


async def test_stream_answers_come_in_order_of_the_submissions(gateway: FakeRegistration) -> None:
    """Each submission is answered once, in order, with a verified receipt."""
    envelopes = [signed(n) for n in range(1, 6)]
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust))
        answers = [one async for one in client.submit_stream(source(envelopes))]
    assert [one.submission.envelope for one in answers] == envelopes
    assert all(one.answer and one.answer.receipt for one in answers)


async def test_stream_holds_at_most_64_unanswered(gateway: FakeRegistration) -> None:
    """While 64 wait for their answer, the source is read no further."""
    gateway.hold.clear()
    read = 0

    async def counted() -> AsyncIterator[Submission]:
        nonlocal read
        for number in range(1, 101):
            read = number
            yield Submission(signed(number))

    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust, compare=False))
        collected = asyncio.ensure_future(_collect(client.submit_stream(counted())))
        async with asyncio.timeout(20):
            while len(gateway.requests) < 64:
                await asyncio.sleep(0.01)
        # One more may be in the feeder's hand; it is not sent.
        assert read <= 65
        assert len(gateway.requests) == 64
        gateway.hold.set()
        answers = await collected
    assert len(answers) == 100
    assert gateway.most_unanswered <= 64


async def _collect(answers: AsyncIterator[object]) -> list[object]:
    return [one async for one in answers]


async def test_stream_broken_sends_the_unanswered_again_unchanged(
    gateway: FakeRegistration,
) -> None:
    """After a break everything unanswered is sent again with the same bytes, and nothing is
    lost.
    """
    gateway.break_after = [2, 0, 1]
    naps, policy = Naps(), RetryPolicy(attempts=9)  # a break may lose answers on their way
    envelopes = [signed(n) for n in range(1, 8)]
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust, naps=naps, policy=policy))
        answers = [one async for one in client.submit_stream(source(envelopes), window=3)]
    assert [one.submission.envelope for one in answers] == envelopes
    assert len(naps.taken) == 3
    assert len(set(gateway.requests)) == 7
    assert len(gateway.requests) > 7
    assert len(gateway.ledger.entries) == 7


async def test_stream_broken_for_good_raises(gateway: FakeRegistration) -> None:
    """A stream that breaks at every attempt ends with the error."""
    gateway.break_after = [0] * 9
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust))
        with pytest.raises(Unavailable):
            await _collect(client.submit_stream(source([signed(1)])))


async def test_stream_one_refused_submission_does_not_end_it(gateway: FakeRegistration) -> None:
    """An error of one submission is its answer; the next go on."""
    gateway.failures = [refusal(code_pb2.PERMISSION_DENIED, "KEY_WITHOUT_ROLE")]
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust))
        first, second = [one async for one in client.submit_stream(source([signed(1), signed(2)]))]
    assert isinstance(first.error, NotAllowed)
    assert first.answer is None
    assert second.answer is not None


async def test_stream_left_early_ends_its_tasks(gateway: FakeRegistration) -> None:
    """Whoever stops iterating leaves nothing running behind."""
    async with serve(gateway) as connection:
        session = session_on(connection, gateway.ledger.trust)
        before = len(asyncio.all_tasks())
        answers = SubmitStream(session, source([signed(n) for n in range(1, 9)])).answers()
        await anext(answers)
        await answers.aclose()  # type: ignore[attr-defined]  # it is a generator
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)


def test_stream_window_beyond_64_is_refused(gateway: FakeRegistration) -> None:
    """The contract's window is the most that can be asked for."""
    for window in (0, 65):
        with pytest.raises(ValueError, match="window"):
            SubmitStream(None, source([]), window=window)  # type: ignore[arg-type]  # not reached


async def test_stream_source_that_raises_is_heard_after_the_answers(
    gateway: FakeRegistration,
) -> None:
    """What went wrong in the source is raised when what it gave has been answered."""

    async def failing() -> AsyncIterator[Submission]:
        yield Submission(signed(1))
        raise RuntimeError("the queue is gone")

    came = []
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust))
        with pytest.raises(RuntimeError, match="queue is gone"):
            async for one in client.submit_stream(failing()):
                came.append(one)
    assert len(came) == 1


async def test_watch_resumes_where_the_stream_broke(gateway: FakeRegistration) -> None:
    """Events come once and in order over broken streams, whatever is sent twice."""
    gateway.events = [[1, 2], [2, 3], [], [4]]
    naps = Naps()
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust, naps=naps))
        watched = client.watch_events(catch_up_only=True)
        sequences = [one.sequence async for one in watched]
    assert sequences == [1, 2, 3, 4]
    assert gateway.watched == [0, 2, 3, 3]
    assert len(naps.taken) == 3


async def test_watch_sign_of_life_counts_as_an_answer(gateway: FakeRegistration) -> None:
    """A stream that gave a sign of life was no failed attempt: a quiet institution is watched on."""
    gateway.events = [[0]] * 20 + [[1]]
    naps = Naps()
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust, naps=naps))
        events = [e async for e in client.watch_events(catch_up_only=True)]
    assert [e.sequence for e in events] == [1]
    assert len(gateway.watched) == 21


async def test_watch_gap_is_asked_again_once_and_then_raised(gateway: FakeRegistration) -> None:
    """A missing number is asked for again; missing twice, it is an alarm."""
    gateway.events = [[1, 3], [2, 3], [5], [5]]
    came = []
    async with serve(gateway) as connection:
        client = DiyaClient(session_on(connection, gateway.ledger.trust))
        with pytest.raises(EventGap) as caught:
            async for one in client.watch_events(catch_up_only=True):
                came.append(one.sequence)
    assert came == [1, 2, 3]
    assert (caught.value.expected, caught.value.came) == (4, 5)
