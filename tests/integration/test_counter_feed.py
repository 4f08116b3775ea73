"""The counter's feed over the wire: gaps, open cases, bookings, replays, and the statement of what came first."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.client.errors import DownloadInvalid, RequestError
from gateway.client.feed import FeedClient
from gateway.client.order import verify_order
from gateway.demo.stage import COUNTER_KEY, REGISTRAR_KEY
from gateway.pb.diya.v1 import acts_pb2, application_pb2, codes_pb2, common_pb2, register_pb2
from gateway.readings import served
from gateway.register.sample import SAMPLE
from tests.support.feeding import Counter, codes, person, seizure, stamp
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def town(fed_town: Town) -> Town:
    """The gateway whose counter feeds."""
    return fed_town


TRANSFER = codes_pb2.REGISTRATION_TYPE_TRANSFER


def _unit(code: str, **rights: Any) -> register_pb2.UnitState:
    return register_pb2.UnitState(unit=register_pb2.Unit(unit_code=code), **rights)


async def _registrar(town: Town, registry: str = "jiangyin") -> FeedClient:
    return FeedClient(await town.session(REGISTRAR_KEY, registry))


def _gap_metric(town: Town) -> float | None:
    return served(town.gateway._readings).get_sample_value("diya_feed_gap", {"registry": "jiangyin"})


async def test_gap_stops_every_automatic_decision_until_it_is_closed(own_folder: Path) -> None:
    """Golden 45: a number is missing: what a rule would book waits for a person; the number comes, a rule decides."""
    async with town_of(own_folder) as town:
        counter = Counter(town, "jiangyin")
        await counter.say(sequence=1)
        await town.booked()
        gapped = await counter.say(sequence=3)
        assert codes(gapped) == ["M-REFER"]
        status = await (await _registrar(town)).status()
        assert [(r.first, r.last) for r in status.missing] == [(2, 2)]
        assert status.automatic_decisions_stopped
        assert _gap_metric(town) == 1
        answer = await (await town.mortgage().sign().upload()).submit()
        assert answer.result == "ACCEPTED"
        assert "M-REFER" in codes(answer)
        review = await town.registrar(registry="jiangyin")
        name = answer.outcome.application
        await review.claim(await review.open(name))  # a person who has looked into the counter may book
        assert (await review.approve(await review.open(name))).result == "BOOKED"
        await counter.say(sequence=2)
        assert _gap_metric(town) == 0
        await town.booked()


async def test_silent_feed_stops_automatic_decisions(own_folder: Path) -> None:
    """counter_feed_max_lag_minutes: a feed that says nothing for longer is as good as none."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        admin = await town.operator()
        profile = (await admin.get_profile()).profile
        profile.version += 1
        profile.counter_feed_max_lag_minutes = 10
        profile.source = "示例"
        await admin.set_profile(profile)
        counter = Counter(town, "jiangyin")
        await counter.say()
        await town.booked()
        clock.move(660)
        assert (await (await _registrar(town)).status()).stale
        answer = await (await town.mortgage().sign().upload()).submit()
        assert answer.result == "ACCEPTED"
        await counter.say()
        await town.booked()


async def test_open_case_of_the_counter_goes_first_and_its_end_gives_ours_its_turn(town: Town) -> None:
    """RD 67: ours waits behind the counter's earlier case, and is looked at by itself once that one is closed."""
    counter = Counter(town, "taizhou")
    filing = town.mortgage(registry="taizhou")
    code = filing.unit.unit_code
    await counter.say(
        type=TRANSFER, case_number="T-100", accepted_at=stamp(town.clock()), units=[_unit(code)]
    )
    answer = await (await filing.sign().upload()).submit()
    assert "S-QUEUE" in codes(answer)
    review = await town.registrar()
    name = answer.outcome.application
    await review.claim(await review.open(name))
    waits = await review.approve(await review.open(name))
    assert (waits.result, codes(waits)) == ("ACCEPTED", ["S-QUEUE"])
    closed = stamp(town.clock())
    await counter.say(type=TRANSFER, case_number="T-100", closed=True)
    events = await town.client("bank-a", "taizhou")
    async with asyncio.timeout(20):
        async for event in events.watch_events():
            if event.application == name and event.time.ToDatetime() > closed.ToDatetime():
                break
    opened = await review.open(name)
    assert (await review.approve(opened)).result == "BOOKED"


async def test_lifted_correction_gives_whoever_waited_its_turn_in_order_of_acceptance(town: Town) -> None:
    """SH 31; RD 67: a hold whose case nobody told us of ends with the counter's booking. The case that was accepted
    first is looked at by itself, the one behind it waits for that one.
    """
    unit = SAMPLE.unit("correction", "taizhou")
    review, names = await town.registrar(), []
    for fen in (80_000_000, 70_000_000):
        answer = await (await town.mortgage(unit, registry="taizhou", claim_fen=fen).sign().upload()).submit()
        assert "S-CORRECTION" in codes(answer)
        names.append(answer.outcome.application)
        await review.claim(await review.open(names[-1]))
        waits = await review.approve(await review.open(names[-1]))
        assert (waits.result, "S-CORRECTION" in codes(waits)) == ("ACCEPTED", True)
    lifted = stamp(town.clock())
    await Counter(town, "taizhou").say(
        type=codes_pb2.REGISTRATION_TYPE_CORRECTION,
        case_number="T-500",
        booked_at=lifted,
        units=[_unit(unit.unit_code)],
    )
    client = await town.client("bank-a", "taizhou")
    turns = []
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.application not in names or event.time.ToDatetime() <= lifted.ToDatetime():
                continue
            if event.state == application_pb2.Application.STATE_IN_REVIEW:
                turns.append(event.application)
                assert (await review.approve(await review.open(turns[-1]))).result == "BOOKED"
            if turns == names:
                break


async def test_house_sold_at_the_counter_bars_what_the_seller_asks_for(town: Town) -> None:
    """The counter's booking is in the register: the seller owns nothing any more."""
    flat = town.flat("jiangyin")
    buyer = town.flat("jiangyin").owners[0]
    booked = register_pb2.Ownership(
        unit_code=flat.unit_code,
        owners=[register_pb2.Owner(person=person(buyer))],
        co_ownership=codes_pb2.CO_OWNERSHIP_SOLE,
        titles=[
            common_pb2.CertificateReference(
                number="苏(2026)江阴市不动产权第0900001号",
                scheme=common_pb2.CERTIFICATE_SCHEME_NATIONAL,
                medium=common_pb2.CERTIFICATE_MEDIUM_PAPER,
            )
        ],
        booking=register_pb2.Booking(case_number="T-200", booked_by="大厅甲"),
    )
    done = await Counter(town, "jiangyin").say(
        type=TRANSFER,
        case_number="T-200",
        booked_at=stamp(town.clock()),
        units=[_unit(flat.unit_code, ownerships=[booked])],
    )
    assert codes(done) == []
    answer = await (await town.mortgage(flat).sign().upload()).submit()
    assert answer.result == "NOT_ACCEPTED"
    text = (await (await _registrar(town)).order_statement(flat.unit_code)).decode()
    assert "T-200" in text


async def test_same_bytes_give_the_stored_answer_and_other_bytes_are_refused(town: Town) -> None:
    """Gap-free by number: a repeat is answered as before, the number is never used twice."""
    counter = Counter(town, "jiangyin")
    client: FeedClient = await counter.client()
    number = await counter.next()
    act = acts_pb2.CounterAct(sequence=number, as_of=stamp(town.clock()))
    envelope = client.sign(act)
    first = await client.send(envelope)
    again = await client.send(envelope)
    assert again.outcome.replayed
    assert again.outcome.receipt.index == first.outcome.receipt.index
    with pytest.raises(RequestError) as caught:
        await client.push(act)
    assert (caught.value.reason, caught.value.code) == ("FEED_SEQUENCE_REUSED", "ALREADY_EXISTS")


async def test_feed_that_is_cut_in_the_middle_goes_on_where_it_was(own_folder: Path) -> None:
    """Calls are cut as soon as they are sent, and the same bytes come again: every number once, none missing."""
    async with town_of(own_folder) as town:
        client: FeedClient = await town.counter()
        flats = [town.flat() for _ in range(4)]
        envelopes = [
            client.sign(
                acts_pb2.RestrictionAct(
                    verb=acts_pb2.RESTRICTION_VERB_ENTER,
                    sequence=number,
                    seizure=seizure(flat.unit_code, flat.owners[0], town.clock()),
                )
            )
            for number, flat in enumerate(flats, start=1)
        ]
        for envelope in reversed(envelopes):  # and out of order
            cut = asyncio.ensure_future(client.send(envelope))
            await asyncio.wait([cut], timeout=0.002)
            cut.cancel()
            await asyncio.wait([cut])
        answers = [await client.send(envelope) for envelope in envelopes]
        again = [await client.send(envelope) for envelope in envelopes]
        indexes = [a.outcome.receipt.index for a in answers]
        assert len(set(indexes)) == len(envelopes)
        assert [a.outcome.receipt.index for a in again] == indexes
        status = await client.status()
        assert (status.last_sequence, list(status.missing), status.held) == (len(envelopes), [], 0)
        for flat in flats:
            view = await town.gateway.queries.unit("jiangyin", flat.unit_code)
            assert view is not None
            assert len(view.state.seizures) == 1


async def test_act_of_another_registry_is_refused(own_folder: Path) -> None:
    """A counter system feeds the registry that registered it, and its signed acts name that registry."""
    async with town_of(own_folder) as town:
        here = await town.counter("jiangyin")
        there = await town.counter("taizhou")
        sent_there = there.sign(acts_pb2.CounterAct(sequence=1))
        with pytest.raises(RequestError) as caught:
            await here.send(sent_there)
        assert caught.value.reason == "HEADER_MISMATCH"
        operator = await town.operator("jiangyin")
        async for known in operator.list_registrars():
            if known.feeds:
                known.suspended = True
                await operator.set_registrar(known)
        before = town.ledger_size()
        with pytest.raises(RequestError) as caught:
            await here.push(acts_pb2.CounterAct(sequence=1))
        assert caught.value.code == "PERMISSION_DENIED", caught.value.reason
        assert town.ledger_size() == before
        assert (await there.send(sent_there)).result == "DONE"


async def test_act_signed_by_a_registrar_is_refused(town: Town) -> None:
    """Only the counter's own key feeds, whatever connection carries it."""
    session = await town.session(COUNTER_KEY)
    forger = FeedClient(session, town.stage.signer(REGISTRAR_KEY).signer())
    before = town.footprint()
    with pytest.raises(RequestError) as caught:
        await forger.push(acts_pb2.CounterAct(sequence=1))
    assert caught.value.reason == "KEY_NOT_REGISTERED"
    assert town.footprint() == before


async def test_bad_act_is_refused_with_everything_that_is_wrong(town: Town) -> None:
    """Syntax first, all of it at once; nothing is kept, so the number is still free."""
    before = town.footprint()
    with pytest.raises(RequestError) as caught:
        await Counter(town, "jiangyin").restrict(
            seizure=register_pb2.Seizure(
                unit_code="320281", served_at=stamp(town.clock() + dt.timedelta(hours=1))
            )
        )
    wrong = {field for field, _ in caught.value.violations}
    assert {"seizure.unit_code", "seizure.kind", "seizure.target_person", "seizure.until"} <= wrong
    assert {"seizure.served_at", "seizure.proof_of_service_sha256", "seizure.authority"} <= wrong
    assert town.footprint() == before


async def test_statement_of_order_holds_offline_and_any_change_breaks_it(town: Town) -> None:
    """Served before a booking, entered after it: service comes first, and the proofs say when we knew."""
    served = town.clock()
    filing, _ = await town.booked()
    unit = filing.unit.unit_code
    await Counter(town, "jiangyin").restrict(seizure=seizure(unit, filing.owners[0], served))
    data = await (await _registrar(town)).order_statement(unit)
    vkeys = [(town.folder / "trust" / "jiangyin.vkey").read_text().strip()]
    statement = verify_order(data, vkeys)
    facts = [(line.fact, line.subject) for line in statement.lines]
    assert statement.unit_code == unit
    assert facts == [("BOOKED", "OWNERSHIP"), ("SERVED", "SEIZURE"), ("BOOKED", "MORTGAGE")]
    seized = next(line for line in statement.lines if line.fact == "SERVED")
    mortgaged = next(line for line in statement.lines if line.subject == "MORTGAGE")
    assert seized.at < mortgaged.at
    assert seized.entry.index > mortgaged.entry.index
    file = json.loads(data)
    for change in (
        {"note": file["note"].replace("SERVED", "BOOKED")},
        {"note": file["checkpoint"]},
        {"entries": file["entries"][:-1]},
        {"entries": [{**e, "proof": e["proof"][:-1]} for e in file["entries"]]},
    ):
        with pytest.raises(DownloadInvalid):
            verify_order(json.dumps({**file, **change}).encode(), vkeys)
    other = [(town.folder / "trust" / "taizhou.vkey").read_text().strip()]
    with pytest.raises(DownloadInvalid):
        verify_order(data, other)
