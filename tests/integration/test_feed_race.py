"""Seizures racing bookings over the wire: two banks, a registrar and the counter at once, on the same units.

What is asked of whom is drawn from a seed; who comes first is the machine's. Whatever the order was, the ledger must
hold what the handbook says of it (3.4; EX 23, 25), and the statements that are made of it must say the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gateway.client import operations
from gateway.client.errors import RequestError
from gateway.client.feed import FeedClient
from gateway.client.order import verify_order
from gateway.client.review import ReviewClient
from gateway.client.session import Answer
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import (
    acts_pb2,
    application_pb2,
    codes_pb2,
    common_pb2,
    outcome_pb2,
    register_pb2,
    register_service_pb2,
    register_service_pb2_grpc,
    registration_service_pb2,
)
from gateway.register.model import Mortgage, Ownership, Seizure
from gateway.register.sample import SampleUnit
from tests.support.dealing import citizen, contracted, deal, mortgaged, offer_every_mode, old_loan, taxed
from tests.support.feeding import Counter, person, seizure, stamp
from tests.support.filing import Filing
from tests.support.played import audited
from tests.support.race_ledger import RaceLedger
from tests.support.stage import Town, town_of
from tests.support.steps import CLAIM_FEN, content, sold

pytestmark = pytest.mark.asyncio(loop_scope="session")

BANKS = ("bank-a", "bank-b")
BARE, MORTGAGED, SOLD = 4, 4, 2  # flats: nothing on them; a mortgage of A; a mortgage of A and a deal
BUYER = citizen(77)
_REGISTRY = "jiangyin"
_OPEN = (application_pb2.Application.STATE_ACCEPTED, application_pb2.Application.STATE_IN_REVIEW)


class Race:
    """One race: everything made and signed before it, so that only sending is left."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.random = random.Random(seed)
        self.counter = Counter(town, _REGISTRY)
        self.units: list[SampleUnit] = []
        self.jobs: list[tuple[str, Callable[[], Awaitable[Answer]]]] = []
        self.answers: list[tuple[str, Answer]] = []
        self.acts: list[Any] = []
        self.sent: list[tuple[Any, Answer]] = []

    async def prepare(self) -> None:
        """Flats with their past, filings with their papers, and the counter's acts in the order of its numbers."""
        filings: list[tuple[str, Filing]] = []
        for _ in range(BARE):
            unit = self._take(self.town.flat(_REGISTRY))
            filings += [("mortgage", self.town.mortgage(unit, channel=bank).sign()) for bank in BANKS]
        for _ in range(MORTGAGED):
            old, booked = await self.town.booked()
            unit = self._take(old.unit)
            number = booked.outcome.certificates[0].number
            filings.append(("release", self.town.release(old, number).sign()))
            filings.append(("mortgage", self.town.mortgage(unit, channel="bank-b").sign()))
        for _ in range(SOLD):
            filings.append(("transfer", await self._sale()))
        await asyncio.gather(*(filing.upload() for _, filing in filings))
        self.jobs = [(what, self._job(filing)) for what, filing in filings]
        self.random.shuffle(self.jobs)
        self._acts()

    def _take(self, unit: SampleUnit) -> SampleUnit:
        self.units.append(unit)
        return unit

    async def _sale(self) -> Filing:
        """ET_SEGMENTED: the flat with A's mortgage to the buyer, B lends."""
        unit, proof = await mortgaged(self.town)
        self._take(unit)
        people = {"S": unit.owner, "Y": BUYER, "A": INSTITUTIONS["bank-a"], "B": INSTITUTIONS["bank-b"]}
        loan = operations.mortgage_first(content(self.town, "Y", "B", CLAIM_FEN))
        case = deal(self.town, unit, people, sold(unit), loan, mode="ET_SEGMENTED")
        return taxed(old_loan(contracted(case), proof)).by_law()

    def _job(self, filing: Filing) -> Callable[[], Awaitable[Answer]]:
        return filing.submit

    def _acts(self) -> None:
        """Seizures of most flats, some served before the race, some at its start; and what else comes."""
        now = self.town.clock()
        acts: list[Any] = []
        for unit in self.units:
            for court in ("甲法院", "乙法院")[: self.random.choice([0, 1, 1, 1, 2])]:
                served = now - dt.timedelta(seconds=self.random.choice([0.01, 0.5, 3600]))
                acts.append(
                    {
                        "seizure": seizure(
                            unit.unit_code,
                            unit.owner,
                            served,
                            authority=court,
                            instrument_number=f"{court}{len(acts)}",
                        )
                    }
                )
        others = self.random.sample(self.units, 4)
        acts += [{"dissent": self._dissent(others[0])}, {"habitation": self._habitation(others[1])}]
        acts += [self._sold_at_counter(others[2]), self._accepted_at_counter(others[3])]
        self.random.shuffle(acts)
        self.acts = [self._act(number, act) for number, act in enumerate(acts, start=1)]
        for place in self.random.sample(range(len(self.acts) - 1), 2):  # two come the wrong way round
            self.acts[place], self.acts[place + 1] = self.acts[place + 1], self.acts[place]

    def _act(self, number: int, told: dict[str, Any]) -> Any:
        if told.keys() & {"seizure", "dissent", "habitation"}:
            return acts_pb2.RestrictionAct(verb=acts_pb2.RESTRICTION_VERB_ENTER, sequence=number, **told)
        return acts_pb2.CounterAct(sequence=number, **told)

    def _dissent(self, unit: SampleUnit) -> register_pb2.Dissent:
        return register_pb2.Dissent(
            unit_code=unit.unit_code,
            applicant=person(citizen(78)),
            matter="共有",
            booking=self._booking("D-1"),
        )

    def _habitation(self, unit: SampleUnit) -> register_pb2.Habitation:
        return register_pb2.Habitation(
            unit_code=unit.unit_code, holders=[person(citizen(79))], booking=self._booking("H-1")
        )

    def _booking(self, case_number: str) -> register_pb2.Booking:
        return register_pb2.Booking(
            case_number=case_number, booked_by="大厅甲", booked_at=stamp(self.town.clock())
        )

    def _sold_at_counter(self, unit: SampleUnit) -> dict[str, Any]:
        title = common_pb2.CertificateReference(
            number="苏(2026)江阴市不动产权第0910001号",
            scheme=common_pb2.CERTIFICATE_SCHEME_NATIONAL,
            medium=common_pb2.CERTIFICATE_MEDIUM_PAPER,
        )
        owned = register_pb2.Ownership(
            unit_code=unit.unit_code,
            owners=[register_pb2.Owner(person=person(citizen(80)))],
            co_ownership=codes_pb2.CO_OWNERSHIP_SOLE,
            titles=[title],
            booking=register_pb2.Booking(case_number="T-1", booked_by="大厅甲"),
        )
        flat = register_pb2.UnitState(unit=register_pb2.Unit(unit_code=unit.unit_code), ownerships=[owned])
        return {**self._at_counter("T-1", flat), "booked_at": stamp(self.town.clock())}

    def _accepted_at_counter(self, unit: SampleUnit) -> dict[str, Any]:
        flat = register_pb2.UnitState(unit=register_pb2.Unit(unit_code=unit.unit_code))
        return {**self._at_counter("T-2", flat), "accepted_at": stamp(self.town.clock())}

    def _at_counter(self, number: str, flat: register_pb2.UnitState) -> dict[str, Any]:
        return {"type": codes_pb2.REGISTRATION_TYPE_TRANSFER, "case_number": number, "units": [flat]}

    # -- the race ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everybody at once; the registrar works for as long as anybody sends, and once more."""
        sending = asyncio.gather(self._feed(), *(self._send(what, job) for what, job in self.jobs))
        review = await self.town.registrar(registry=_REGISTRY)
        while not sending.done():
            await self._approve_all(review)
        await sending
        await self._approve_all(review)

    async def _send(self, what: str, job: Callable[[], Awaitable[Answer]]) -> None:
        self.answers.append((what, await job()))

    async def _feed(self) -> None:
        client: FeedClient = await self.counter.client()
        for act in self.acts:
            envelope = client.sign(act)
            self.sent.append((envelope, await client.send(envelope)))

    async def _approve_all(self, review: ReviewClient) -> None:
        """Claim and approve whatever is open; what moved in between is for the next round."""
        async for case in review.list_queue(states=_OPEN):
            try:
                if case.state == application_pb2.Application.STATE_ACCEPTED:
                    await review.claim(await review.open(case.name))
                await review.approve(await review.open(case.name))
            except RequestError as error:
                if error.reason not in ("SEEN_INDEX_STALE", "STATE_NOT_ALLOWED", "NOT_CLAIMED"):
                    raise

    # -- after it ---------------------------------------------------------------------------------------------------

    async def events(self, bank: str) -> list[outcome_pb2.Event]:
        """Everything that a bank was told."""
        request = registration_service_pb2.WatchEventsRequest(
            parent=f"registries/{_REGISTRY}", after_sequence=0, catch_up_only=True
        )
        return [m.event async for m in self.town.registration(bank).WatchEvents(request)]

    async def unit(self, code: str) -> register_pb2.UnitState:
        """A unit as the registrar sees it."""
        stub = self.town.stub(register_service_pb2_grpc.RegisterServiceStub, REGISTRAR_KEY)
        request = register_service_pb2.GetUnitRequest(name=f"registries/{_REGISTRY}/units/{code}")
        return (await stub.GetUnit(request)).unit_state


@pytest.mark.parametrize("seed", range(2))
async def test_seizures_racing_bookings_leave_the_ledger_that_the_law_wants(
    own_folder: Path, seed: int
) -> None:
    """No booking past a known service, every open case stopped in that very entry, every lender told; and all agree."""
    async with town_of(own_folder) as town:
        await offer_every_mode(town)
        race = Race(town, seed)
        await race.prepare()
        await race.run()
        ledger = RaceLedger.of(town, _REGISTRY)
        assert ledger.wrong == [], f"seed {seed}"
        assert ledger.booked_here > MORTGAGED + SOLD, "something was booked in the race"
        for what, answer in race.answers:
            said = {code for f in answer.outcome.findings for code in (f.code, f.rule)}
            assert what != "release" or "R-SEIZED" not in said
        await _told_and_read(race, ledger)
        await _listed_and_stated(race, ledger)
        _certificates_agree(race, ledger)
        client = await race.counter.client()
        for envelope, answer in race.sent:
            again = await client.send(envelope)
            assert again.outcome.replayed
            assert again.outcome.receipt.index == answer.outcome.receipt.index
        report = await asyncio.to_thread(audited, town.folder, _REGISTRY)
        assert report.ok, report.divergences[:3]


async def _told_and_read(race: Race, ledger: RaceLedger) -> None:
    """Each lender's stream has no gap and holds each notice under its number; once read, the time is kept."""
    for bank in BANKS:
        uscc = INSTITUTIONS[bank].id_number
        events = await race.events(bank)
        assert [e.sequence for e in events] == list(range(1, len(events) + 1))
        by_number = {e.sequence: e for e in events}
        notices = [n for n in ledger.told if n.institution == uscc]
        for notice in notices:
            event = by_number[notice.sequence]
            assert (event.kind, event.unit_code) == (outcome_pb2.EVENT_KIND_SEIZURE, notice.unit_code)
            assert event.time.ToDatetime(dt.UTC) == notice.told_at
        if notices:
            client = FeedClient(await race.town.session(bank))
            assert await client.acknowledge(len(events)) == len({n.right_id for n in notices})
    for unit in race.units:
        for seized in (await race.unit(unit.unit_code)).seizures:
            told = {n.institution for n in ledger.told if n.right_id == seized.right_id}
            assert {n.lender.uscc for n in seized.notified} == told
            assert all(n.HasField("told_at") and n.HasField("read_at") for n in seized.notified)


async def _listed_and_stated(race: Race, ledger: RaceLedger) -> None:
    """What came between service and entry is listed; the order statement holds offline, and is right for each pair."""
    registrar = FeedClient(await race.town.session(REGISTRAR_KEY))
    vkeys = [(race.town.folder / "trust" / f"{_REGISTRY}.vkey").read_text().strip()]
    seized = [row.right for row in ledger.rows.values() if isinstance(row.right, Seizure)]
    assert seized
    for right in seized:
        listed = [b async for b in registrar.bookings_since_service(right.right_id)]
        assert {(b.right_id, b.ended) for b in listed} == ledger.between(right)
    for unit in race.units:
        statement = verify_order(await registrar.order_statement(unit.unit_code), vkeys)
        wanted = ledger.order(unit.unit_code)
        place = {(line.fact, line.identity): line.number for line in statement.lines}
        assert place.keys() == wanted.keys()
        for one, other in combinations(wanted, 2):
            if wanted[one] != wanted[other]:
                assert (place[one] < place[other]) == (wanted[one] < wanted[other]), (one, other)


def _certificates_agree(race: Race, ledger: RaceLedger) -> None:
    """A live e-certificate for each live right that was booked here, none for one that ended."""
    live = {
        number
        for row in ledger.rows.values()
        if row.ended is None and isinstance(row.right, Mortgage | Ownership)
        for number in [row.right.proof.number if isinstance(row.right, Mortgage) else row.right.title.number]
    }
    with race.town.gateway._reader.begin() as connection:
        rows = connection.exec_driver_sql(
            "SELECT number, state FROM certificate WHERE registry = 'jiangyin'"
        ).all()
    assert rows
    for number, state in rows:
        assert (state in ("NUMBERED", "SEALED")) == (number in live), (number, state)
