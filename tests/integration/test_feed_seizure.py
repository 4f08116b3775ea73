"""Seizures that reach the authority while cases are open: golden scenarios 14, 15, 21, 30, 31 and 32 over the wire."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gateway.client.feed import FeedClient
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import (
    application_pb2,
    outcome_pb2,
    register_pb2,
    register_service_pb2,
    register_service_pb2_grpc,
    registration_service_pb2,
)
from gateway.register.model import IdKind, Party
from gateway.register.sample_parties import made_up_citizen_id
from tests.support.feeding import Counter, codes, seizure
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def town(fed_town: Town) -> Town:
    """The gateway whose counter feeds."""
    return fed_town


State = application_pb2.Application.State
SEIZURE = outcome_pb2.EVENT_KIND_SEIZURE
STRANGER = Party(
    name="外人示例", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1971, 1, 1), 21)
)


async def _unit(town: Town, registry: str, code: str) -> register_pb2.UnitState:
    stub = town.stub(register_service_pb2_grpc.RegisterServiceStub, REGISTRAR_KEY)
    request = register_service_pb2.GetUnitRequest(name=f"registries/{registry}/units/{code}")
    return (await stub.GetUnit(request)).unit_state


async def _events(town: Town, key: str, registry: str, after: int = 0) -> list[outcome_pb2.Event]:
    request = registration_service_pb2.WatchEventsRequest(
        parent=f"registries/{registry}", after_sequence=after, catch_up_only=True
    )
    return [message.event async for message in town.registration(key).WatchEvents(request)]


async def _last(town: Town, key: str, registry: str) -> int:
    events = await _events(town, key, registry)
    return events[-1].sequence if events else 0


async def _minutes_ago(town: Town, minutes: float) -> dt.datetime:
    return town.clock() - dt.timedelta(minutes=minutes)


async def test_seizure_stops_the_accepted_case_and_tells_its_bank(town: Town) -> None:
    """Golden 14: accepted, not booked, seizure served: it goes to a person with R-SEIZED, and is not booked."""
    filing, answer = await town.in_review()
    before = await _last(town, "bank-a", "taizhou")
    review = await town.registrar()
    name = answer.outcome.application
    dossier = await review.open(name)
    await review.claim(dossier)
    seen = await review.open(name)
    unit = filing.unit.unit_code
    served = await _minutes_ago(town, 0.01)
    counter = Counter(town, "taizhou")
    entered = await counter.restrict(seizure=seizure(unit, filing.owners[0], served))
    assert entered.result == "DONE"
    error: Any
    with pytest.raises(Exception, match="SEEN_INDEX_STALE") as error:
        await review.approve(seen)
    del error
    case = (await review.open(name)).application
    assert case.state == State.STATE_IN_REVIEW
    assert [f.code for f in case.findings] == ["R-SEIZED"]
    told = await review.approve(await review.open(name))
    assert told.result == "ACCEPTED"
    assert "R-SEIZED" in codes(told)
    events = await _events(town, "bank-a", "taizhou", before)
    [notice] = [e for e in events if e.kind == SEIZURE]
    assert (notice.unit_code, notice.application) == (unit, name)


async def test_release_goes_on_under_a_seizure(town: Town) -> None:
    """Golden 30: a release lightens the unit; a live seizure does not stop it."""
    filing, booked = await town.booked()
    counter = Counter(town, "jiangyin")
    await counter.restrict(
        seizure=seizure(filing.unit.unit_code, filing.owners[0], await _minutes_ago(town, 0.01))
    )
    number = booked.outcome.certificates[0].number
    release = await town.release(filing, number).sign().upload()
    answer = await release.submit()
    assert answer.result in ("BOOKED", "ACCEPTED"), answer.outcome.findings
    assert "R-SEIZED" not in codes(answer)


async def test_booking_before_service_stands_and_the_next_case_is_barred(town: Town) -> None:
    """Golden 15: what was booked before service stands; the next case on the unit is barred."""
    filing, _ = await town.booked()
    unit = filing.unit.unit_code
    counter = Counter(town, "jiangyin")
    entered = await counter.restrict(seizure=seizure(unit, filing.owners[0], town.clock()))
    state = await _unit(town, "jiangyin", unit)
    assert len(state.mortgages) == 1
    [lien] = state.seizures
    registrar = FeedClient(await town.session(REGISTRAR_KEY))
    assert [b async for b in registrar.bookings_since_service(lien.right_id)] == []
    assert codes(entered) == []
    second = await (await town.mortgage(filing.unit).sign().upload()).submit()
    assert second.result == "NOT_ACCEPTED"
    assert {(f.code, f.rule) for f in second.outcome.findings} >= {("N-BARRED", "R-SEIZED")}


async def test_bookings_between_service_and_entry_are_listed_and_stand(town: Town) -> None:
    """Golden 31: served before, entered after the booking: it stands, listed to the registrar and the court."""
    served = town.clock()
    filing, booked = await town.booked()
    unit = filing.unit.unit_code
    counter = Counter(town, "jiangyin")
    entered = await counter.restrict(seizure=seizure(unit, filing.owners[0], served))
    assert "R-SEIZED" in codes(entered)  # a warning: the list is not empty
    state = await _unit(town, "jiangyin", unit)
    assert [m.proof.number for m in state.mortgages] == [booked.outcome.certificates[0].number]
    registrar = FeedClient(await town.session(REGISTRAR_KEY))
    [listed] = [b async for b in registrar.bookings_since_service(state.seizures[0].right_id)]
    assert (listed.right_kind, listed.right_id, listed.ended) == (
        "MORTGAGE",
        state.mortgages[0].right_id,
        False,
    )


async def test_seizures_stand_in_order_of_service_and_move_up_by_themselves(town: Town) -> None:
    """Golden 32: X served 09:00 and entered first, Z served 08:50: Z first; Z lifted, X is live by itself."""
    flat = town.flat("jiangyin")
    counter = Counter(town, "jiangyin")
    later, earlier = await _minutes_ago(town, 10), await _minutes_ago(town, 20)
    x = seizure(flat.unit_code, flat.owners[0], later, authority="X法院")
    z = seizure(flat.unit_code, flat.owners[0], earlier, authority="Z法院")
    await counter.restrict(seizure=x)
    await counter.restrict(seizure=z)
    state = await _unit(town, "jiangyin", flat.unit_code)
    live, waits = register_pb2.SEIZURE_STATUS_LIVE, register_pb2.SEIZURE_STATUS_WAITING
    assert [(s.authority, s.position, s.status) for s in state.seizures] == [
        ("Z法院", 1, live),
        ("X法院", 2, waits),
    ]
    lifted = await counter.restrict(verb="LIFT", seizure=z)
    assert codes(lifted) == []
    state = await _unit(town, "jiangyin", flat.unit_code)
    assert [(s.authority, s.position, s.status) for s in state.seizures] == [("X法院", 1, live)]


async def test_lender_of_record_is_told_and_its_reading_is_kept(town: Town) -> None:
    """EX 25; CC 423(4): told_at with the entry, read_at once the lender resumes its events after the notice."""
    filing, _ = await town.booked()
    unit = filing.unit.unit_code
    await Counter(town, "jiangyin").restrict(
        seizure=seizure(unit, filing.owners[0], await _minutes_ago(town, 0))
    )
    [notice] = (await _unit(town, "jiangyin", unit)).seizures[0].notified
    assert notice.lender.uscc == INSTITUTIONS["bank-a"].id_number
    assert notice.HasField("told_at")
    assert not notice.HasField("read_at")
    await _events(town, "bank-a", "jiangyin")  # delivered, not yet acknowledged
    [notice] = (await _unit(town, "jiangyin", unit)).seizures[0].notified
    assert not notice.HasField("read_at")
    await _events(town, "bank-a", "jiangyin", notice.event_sequence)
    [notice] = (await _unit(town, "jiangyin", unit)).seizures[0].notified
    assert notice.read_at.ToDatetime() >= notice.told_at.ToDatetime()
    size = town.ledger_size()
    await _events(town, "bank-a", "jiangyin", notice.event_sequence)
    assert town.ledger_size() == size  # once read it stays read
