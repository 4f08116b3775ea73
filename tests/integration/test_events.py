"""Events: in order, gap-free, each once, resumable from any number, and nobody else's."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.client.acts import target_of_envelope
from gateway.client.client import DiyaClient
from gateway.client.errors import NotNow, RequestError
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import outcome_pb2, registration_service_pb2
from tests.integration.test_party_service import party, portfolio
from tests.support.stage import Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _past(client: DiyaClient, after: int = 0) -> list[outcome_pb2.Event]:
    return [event async for event in client.watch_events(after, catch_up_only=True)]


async def test_events_are_gap_free_from_the_first(town: Town) -> None:
    """Numbers run from 1 without a gap, however many there are, and each names its entry."""
    client = await town.client("bank-a")
    await town.booked()
    await town.booked()
    events = await _past(client)
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert [e.index for e in events] == sorted(e.index for e in events)


async def test_events_resume_after_any_number(town: Town) -> None:
    """Watching after number n gives n + 1 first: cut anywhere, the pieces make the whole."""
    client = await town.client("bank-a")
    for _ in range(2):
        await town.booked()
    whole = [e.sequence for e in await _past(client)]
    cut = len(whole) - 1
    resumed = [e.sequence for e in await _past(client, cut)]
    assert whole[:cut] + resumed == whole
    assert await _past(client, len(whole)) == []


async def test_event_comes_to_who_is_watching(town: Town) -> None:
    """Who watches is told of a booking as it happens, and a second watcher as well."""
    client = await town.client("bank-b")
    past = await _past(client)
    last = past[-1].sequence if past else 0

    async def first() -> outcome_pb2.Event:
        watcher = await town.client("bank-b")
        async with aclosing(watcher.watch_events(last)) as events:
            return await anext(events)

    async with asyncio.timeout(20):
        watchers = [asyncio.create_task(first()) for _ in range(2)]
        _, answer = await town.booked(channel="bank-b")
        told = await asyncio.gather(*watchers)
    assert {e.application for e in told} == {answer.outcome.application}
    assert {e.sequence for e in told} == {last + 1}


async def test_events_are_each_institutions_own(town: Town) -> None:
    """A case of bank A is told to bank A and its branch that applied, and to nobody else."""
    others = {key: len(await _past(await town.client(key))) for key in ("bank-b", "fund-centre")}
    _, answer = await town.booked(applicant="bank-a-branch")
    for key in ("bank-a", "bank-a-branch"):
        events = await _past(await town.client(key))
        assert answer.outcome.application in {e.application for e in events}, key
    for key, before in others.items():
        assert len(await _past(await town.client(key))) == before


async def test_channel_watches_its_branch_and_nobody_else(town: Town) -> None:
    """A branch's sequence is its own: the channel reads it by the branch's number, others' not at all."""
    await town.booked()  # the channel's sequence is ahead of the branch's
    await town.booked(applicant="bank-a-branch")
    channel, branch = await town.client("bank-a"), await town.client("bank-a-branch")
    code = INSTITUTIONS["bank-a-branch"].id_number
    watched = [e async for e in channel.watch_events(catch_up_only=True, institution=code)]
    assert watched == await _past(branch)
    assert watched != await _past(channel)
    for key, institution in (
        ("bank-a", "fund-centre"),
        ("bank-a-branch", "bank-a"),
        ("bank-b", "bank-a-branch"),
    ):
        client = await town.client(key)
        with pytest.raises(RequestError) as caught:
            await anext(client.watch_events(institution=INSTITUTIONS[institution].id_number))
        assert caught.value.reason == "FIELD_INVALID"


async def test_silent_stream_gives_signs_of_life(own_folder: Path) -> None:
    """Nothing happens: a message without event comes all the same, with the last number, and again."""
    async with town_of(own_folder, watch_silence_seconds_max=0.05) as town:
        _, answer = await town.booked()
        last = (await _past(await town.client("bank-a")))[-1]
        assert last.application == answer.outcome.application
        request = registration_service_pb2.WatchEventsRequest(
            parent="registries/jiangyin", after_sequence=last.sequence
        )
        call = town.registration("bank-a").WatchEvents(request)
        async with asyncio.timeout(20):
            for _ in range(3):
                message = await call.read()
                assert not message.HasField("event")
                assert message.last_sequence == last.sequence
        call.cancel()


async def test_holder_is_told_when_its_certificate_ended(town: Town) -> None:
    """A release voids the proof: whoever holds it hears of it in the same booking, of the release's case or not."""
    filing, answer = await town.booked(applicant="bank-a-branch")
    [certificate] = answer.outcome.certificates
    channel = await town.client("bank-a")
    before = len(await _past(channel))
    # Filed by the branch on its own connection: bank A, which holds the certificate too, is no party of it.
    release = town.release(filing, certificate.number)
    release.channel = "bank-a-branch"
    released = await (await release.sign().upload()).submit()
    assert released.result == "BOOKED", released.outcome.findings
    for key in ("bank-a", "bank-a-branch"):
        events = [e for e in await _past(await town.client(key)) if e.certificate == certificate.name]
        [ended] = [e for e in events if e.kind == outcome_pb2.EVENT_KIND_CERTIFICATE_ENDED]
        assert ended.index == released.outcome.receipt.index
        assert ended.application == released.outcome.application
        assert ended.case_number == released.outcome.case_number != ""
    assert [e.kind for e in (await _past(channel))[before:]] == [outcome_pb2.EVENT_KIND_CERTIFICATE_ENDED]


async def test_events_name_the_case_number_once_there_is_one(town: Town) -> None:
    """Empty while parties are awaited and for ever in that event; from acceptance on the case's own."""
    filing = await portfolio(town).upload()
    answer = await filing.submit()
    name = answer.outcome.application
    fund = await party(town, "fund-centre")
    joined = await fund.join(target_of_envelope(name, answer.envelope), ["fund"])
    events = [e for e in await _past(await town.client("bank-a")) if e.application == name]
    assert [e.case_number for e in events] == ["", joined.outcome.case_number]


async def test_number_beyond_the_last_event_is_refused(town: Town) -> None:
    """A number that was never given out is EVENT_SEQUENCE_INVALID: whoever asks has another ledger's numbers."""
    client = await town.client("fund-centre")
    with pytest.raises(NotNow) as caught:
        await _past(client, 10_000)
    assert (caught.value.code, caught.value.reason) == ("OUT_OF_RANGE", "EVENT_SEQUENCE_INVALID")


async def test_events_of_review_follow_the_case(town: Town) -> None:
    """Accepted, claimed, suspended, resumed, booked: each is an event of the case, in this order."""
    client = await town.client("bank-a", "taizhou")
    past = await _past(client)
    after = past[-1].sequence if past else 0
    _, accepted = await town.in_review()
    name = accepted.outcome.application
    review = await town.registrar()
    await review.claim(await review.open(name))
    await review.suspend(await review.open(name), "S-INVESTIGATION")
    await review.resume(await review.open(name))
    await review.approve(await review.open(name))
    events = [e for e in await _past(client, after) if e.application == name]
    states = [
        outcome_pb2.Event.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[e.state].name
        for e in events
    ]
    wanted = ["ACCEPTED", "IN_REVIEW", "SUSPENDED", "IN_REVIEW", "BOOKED"]
    assert [s.removeprefix("STATE_") for s in states] == wanted


async def test_events_go_on_across_a_restart(own_folder: Path) -> None:
    """After a restart the numbers go on where they ended."""
    async with town_of(own_folder) as town:
        await town.booked()
        before = [e.sequence for e in await _past(await town.client("bank-a"))]
    async with town_of(own_folder) as town:
        town.flat()
        await town.booked()
        after = [e.sequence for e in await _past(await town.client("bank-a"))]
    assert after[: len(before)] == before
    assert after == list(range(1, len(after) + 1))
    assert len(after) > len(before)
