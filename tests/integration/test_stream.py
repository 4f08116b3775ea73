"""SubmitStream: at most 64 unanswered, answers in the order of the messages, one bad message is one bad message."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from gateway.client import manifest as build
from gateway.client.manifest import sign_submissions
from gateway.client.payloads import envelope_to_wire
from gateway.client.submissions import Submission
from gateway.pb.diya.v1 import outcome_pb2, registration_service_pb2
from gateway.register.sample import SAMPLE
from tests.support.filing import Filing
from tests.support.stage import Town
from tests.support.wire import Refused, as_stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

Pb = registration_service_pb2
NOWHERE = f"registries/jiangyin/applications/{'0' * 8}-0000-7000-8000-{'0' * 12}"


def _cheap(town: Town) -> Filing:
    """A case that the law answers at once: a unit that nobody knows, no papers."""
    filing = town.mortgage(SAMPLE.sole_free_jiangyin)
    filing.terms.units[0].unit_code = "320281001001GB00001F09990998"
    return filing


def _message(correlation: int, request: Any) -> Any:
    return Pb.SubmitStreamRequest(correlation=correlation, mortgage=request)


async def _answers(town: Town, messages: list[Any], key: str = "bank-a") -> list[Any]:
    call = town.registration(key).SubmitStream(as_stream(messages))
    return [answer async for answer in call]


async def test_answers_come_in_stream_order(town: Town) -> None:
    """Whatever is verified first, the entries and the answers follow the order of the messages."""
    messages = [_message(100 - n, _cheap(town).request()) for n in range(20)]
    before = town.ledger_size()
    answers = await _answers(town, messages)
    assert [a.correlation for a in answers] == [m.correlation for m in messages]
    assert [a.outcome.receipt.index for a in answers] == list(range(before, before + 20))


async def test_bad_message_does_not_end_the_stream(town: Town) -> None:
    """A message with a bad signature, and one without a submission, are each answered by their own error."""
    bad = _cheap(town).request()
    bad.envelope.payload += b"\x00"
    messages = [
        _message(1, _cheap(town).request()),
        _message(2, bad),
        Pb.SubmitStreamRequest(correlation=3),
        _message(4, _cheap(town).request(parent="registries/taizhou")),
        _message(5, _cheap(town).request()),
    ]
    before = town.ledger_size()
    answers = await _answers(town, messages)
    assert [a.correlation for a in answers] == [1, 2, 3, 4, 5]
    assert [a.WhichOneof("answer") for a in answers] == ["outcome", "error", "error", "error", "outcome"]
    reasons = [Refused.of_status(a.error) for a in answers[1:4]]
    assert [r.reason for r in reasons] == ["SIGNATURE_INVALID", "FIELD_INVALID", "HEADER_MISMATCH"]
    assert all(r.is_bilingual for r in reasons)
    assert town.ledger_size() == before + 2


async def test_no_more_than_64_are_unanswered(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is answered the stream is read no further than 64 messages; then all are answered, in order."""
    sequencer = town.gateway.sequencer
    taken: list[Any] = []
    full, free, begun = threading.Event(), threading.Event(), threading.Event()
    take = sequencer.take

    def counted(item: Any) -> None:
        take(item)
        taken.append(item)
        if len(taken) == 64:
            full.set()

    def hold(connection: Any) -> None:
        begun.set()
        assert free.wait(30)

    messages = [_message(n, _cheap(town).request()) for n in range(90)]
    sequencer.run(hold)
    assert begun.wait(10)
    monkeypatch.setattr(sequencer, "take", counted)
    try:
        answers = asyncio.ensure_future(
            _collect(town.registration("bank-a").SubmitStream(as_stream(messages)))
        )
        assert await asyncio.to_thread(full.wait, 20)
        for _ in range(5):  # whole calls later a 65th would have come
            with pytest.raises(grpc.aio.AioRpcError):
                await town.registration("bank-a").GetApplication(Pb.GetApplicationRequest(name=NOWHERE))
        assert len(taken) == 64
    finally:
        free.set()
    assert [a.correlation for a in await answers] == list(range(90))
    assert len(taken) == 90


async def _collect(call: Any) -> list[Any]:
    return [answer async for answer in call]


async def test_a_batch_signed_at_once_is_booked_case_by_case(town: Town) -> None:
    """One signature of the bank's key over many manifests: each is answered by itself, over a stream or alone."""
    filings = [await town.mortgage().sign().upload() for _ in range(3)]
    signer = town.key("bank-a").signer()
    envelopes = sign_submissions(signer, [filing.manifest() for filing in filings])
    requests = [
        filing.request(envelope_to_wire(envelope))
        for filing, envelope in zip(filings, envelopes, strict=True)
    ]
    streamed = await _answers(town, [_message(n, request) for n, request in enumerate(requests[:2])])
    alone = await filings[2].send(requests[2])
    booked = [*(answer.outcome for answer in streamed), alone]
    assert [one.result for one in booked] == [outcome_pb2.OUTCOME_RESULT_BOOKED] * 3
    moved = filings[0].request(envelope_to_wire(envelopes[0]))
    moved.envelope.signatures[0].batch.index = 1
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await filings[0].send(moved)
    assert Refused.of(refused.value).reason == "SIGNATURE_INVALID"


async def test_stream_and_single_calls_replay_each_other(town: Town) -> None:
    """A request is one request, over a stream or alone: the stored outcome comes back either way."""
    filing = await town.mortgage().sign().upload()
    request = filing.request()
    [streamed] = await _answers(town, [_message(7, request)])
    single = await filing.send(request)
    assert streamed.outcome.result == single.result == outcome_pb2.OUTCOME_RESULT_BOOKED
    assert streamed.outcome.application == single.application


async def test_client_streams_and_verifies_every_receipt(town: Town) -> None:
    """The client's stream gives verified answers in order, and goes on after one that is refused."""
    signer = town.key("bank-a").signer()

    async def source() -> AsyncIterator[Submission]:
        for number in range(6):
            filing = _cheap(town)
            header = {"applicant_institution": "91110000600037341L"} if number == 3 else {}
            yield Submission(build.sign_submission(signer, filing.manifest(**header)))

    client = await town.client("bank-a")
    answers = [answer async for answer in client.submit_stream(source(), window=4)]
    assert [a.error.reason if a.error else "" for a in answers] == [
        "",
        "",
        "",
        "CHANNEL_NOT_AUTHORISED",
        "",
        "",
    ]
    assert all(a.answer.receipt is not None for a in answers if a.answer)


async def test_stream_of_a_stranger_is_refused_whole(town: Town) -> None:
    """Who may not submit may not open a stream either."""
    messages = [_message(1, _cheap(town).request())]
    await town.refusal(
        lambda: _answers(town, messages, "registrar"), "PERMISSION_DENIED", "PERMISSION_DENIED"
    )
