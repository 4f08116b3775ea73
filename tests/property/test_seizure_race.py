"""Seizures racing bookings in any order: nothing is booked after a known service but what blocks.csv allows.

The real folds on real tables, the real decisions; the oracle keeps a list of seizures and knows one sentence of the
handbook (3.4): between a seizure and a booking the service counts, and what is not booked when it is known stops.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import create_engine

from gateway.applications.feed import SignedFeedAct, decide_feed
from gateway.applications.submit import Submission, decide_submission
from gateway.cases.decision import Decision
from gateway.cases.effects import RightBooked, UnitRecorded
from gateway.cases.feed import Restriction, RestrictionVerb
from gateway.cases.model import CLOSED, Application, Moment, State
from gateway.register.model import CertificateRef, Mortgage, Seizure
from gateway.storage import tables
from gateway.storage.settings import Settings
from gateway.storage.working import Working
from gateway.worlds.feed_world import feed_world_of
from gateway.worlds.world import world_of
from ledger.vault import Vault
from tests.support import cases as c
from tests.support import deals as d
from tests.unit.applications.test_feed_restrictions import seizure

_MINUTE = dt.timedelta(minutes=1)


class City:
    """One flat, one bank, the counter; what happened, as the oracle sees it."""

    def __init__(self, working: Working) -> None:
        self.working = working
        self.index = 10
        self.now = c.NOW
        self.fed = 0
        self.filed: list[tuple[Submission, str]] = []
        self.seized: list[Seizure] = []  # known and not lifted
        state = c.unit_state()
        old = [replace(r, booked_at=c.NOW - dt.timedelta(days=900)) for r in state.rights]
        working.fold(0, [UnitRecorded(unit=state.unit), *(RightBooked(right=r) for r in old)])

    def moment(self) -> Moment:
        """The next entry, a minute later."""
        self.index += 1
        self.now += _MINUTE
        return Moment(
            now=self.now, index=self.index, application_id=str(uuid.UUID(int=self.index)), entropy=bytes(128)
        )

    def enter(self, decision: Decision) -> None:
        """Fold a decision; whatever mortgage it booked must not have met a known seizure."""
        for effect in decision.effects:
            if isinstance(effect, RightBooked) and isinstance(effect.right, Mortgage):
                assert not self.seized, "a mortgage was booked after a service that was known"
        self.working.fold(self.index, decision.effects)

    def submit(self, *, by_rule: bool) -> None:
        """A bank's complete case: by rule at once, or for a person."""
        at = self.moment()
        what = c.submission(c.mortgage_first(claim_amount_fen=self.index), c.mortgage_papers())
        header = replace(
            what.manifest.header, request_id=at.application_id, created_at=at.now, not_after=at.now + _MINUTE
        )
        what = replace(
            what, manifest=replace(what.manifest, header=header), payload_sha256=f"{self.index:064x}"
        )
        world = world_of(self.working, what.manifest, at.now)
        if not by_rule:
            world = replace(world, profile=replace(world.profile, instant=()))
        decision = decide_submission(world, what, at)
        self.filed.append((what, at.application_id))
        self.enter(decision)

    def approve(self) -> None:
        """A registrar takes the oldest open case, looks again and approves."""
        for what, application_id in self.filed:
            row = self.working.application(application_id)
            if row is not None and row.state in (State.ACCEPTED, State.IN_REVIEW):
                at = self.moment()
                world = world_of(self.working, what.manifest, at.now)

                self.enter(d.approved(world, what, row, at=at))
                return

    def feed(self, verb: RestrictionVerb, right: Seizure) -> Decision:
        """The counter tells of a seizure."""
        at = self.moment()
        self.fed += 1
        act = Restriction(sequence=self.fed, as_of=at.now, verb=verb, right=right)
        signed = SignedFeedAct(
            source="counter",
            act=act,
            request_id=at.application_id,
            payload_sha256=f"{self.index:064x}",
            created_at=at.now,
            not_after=at.now + _MINUTE,
        )
        decision = decide_feed(feed_world_of(self.working, act), signed, at)
        self.enter(decision)
        return decision

    def seize(self, minutes_ago: int) -> None:
        """A service of some minutes ago becomes known: every open case of ours stops in that entry."""
        number = len(self.filed) * 1000 + self.index
        lien = seizure(served_at=self.now - minutes_ago * _MINUTE, instrument_no=f"{number}")
        decision = self.feed(RestrictionVerb.ENTER, lien)
        self.seized.append(lien)
        for row in self.open_rows():
            assert row.state in (State.ACCEPTED, State.IN_REVIEW)
            assert row.findings_index == self.index
            assert [f.code for f in decision.outcome.about[row.application_id]] == ["R-SEIZED"]
            assert not row.decided_by

    def lift(self) -> None:
        """The first seizure is lifted; the next is live by itself."""
        if self.seized:
            self.feed(RestrictionVerb.LIFT, self.seized.pop(0))

    def release(self) -> None:
        """A release of a booked mortgage: a seizure is never what stops it."""
        state = self.working.unit_state(c.UNIT)
        assert state is not None
        if not state.mortgages:
            return
        at = self.moment()
        proof = CertificateRef(number=state.mortgages[0].proof.number)
        what = c.submission(c.mortgage_release(proof=proof), c.release_papers())
        header = replace(
            what.manifest.header, request_id=at.application_id, created_at=at.now, not_after=at.now + _MINUTE
        )
        what = replace(
            what, manifest=replace(what.manifest, header=header), payload_sha256=f"{self.index:064x}"
        )
        decision = decide_submission(world_of(self.working, what.manifest, at.now), what, at)
        assert "R-SEIZED" not in {f.code for f in decision.outcome.findings} | {
            f.rule for f in decision.outcome.findings
        }
        self.enter(decision)

    def open_rows(self) -> list[Application]:
        """Our cases that hold a place."""
        rows = [self.working.application(i) for _, i in self.filed]
        return [
            r for r in rows if r is not None and r.state not in CLOSED and "MORTGAGE_FIRST" in r.operations
        ]


@contextmanager
def city() -> Iterator[City]:
    """A city on tables of its own."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        institutions = {p.id_number: c.institution(p) for p in (c.BANK, c.OTHER_BANK)}
        known = Settings(profile=c.PROFILE, rules=c.RULES, institutions=institutions)
        yield City(Working(connection, c.REGISTRY, known, Vault(bytes(32)).subject))
    engine.dispose()


_STEPS = st.one_of(
    st.tuples(st.just("submit"), st.booleans()),
    st.tuples(st.just("seize"), st.integers(0, 30)),
    st.tuples(st.sampled_from(["approve", "lift", "release"]), st.none()),
)


@settings(max_examples=60)
@given(steps=st.lists(_STEPS, min_size=3, max_size=14))
def test_no_order_of_seizures_and_bookings_books_past_a_known_service(steps: list[tuple[str, Any]]) -> None:
    """EX 23; handbook 3.4, in every order that a day may have."""
    with city() as here:
        for step, how in steps:
            match step:
                case "submit":
                    here.submit(by_rule=bool(how))
                case "seize":
                    here.seize(how)
                case _:
                    getattr(here, step)()


def test_the_race_is_run() -> None:
    """The oracle is no idle one: without a seizure the same steps book, with one they do not."""
    with city() as here:
        here.submit(by_rule=True)
        here.submit(by_rule=False)
        here.approve()
        state = here.working.unit_state(c.UNIT)
        assert state is not None
        assert len(state.mortgages) == 2
        here.submit(by_rule=False)
        here.seize(5)
        here.approve()
        state = here.working.unit_state(c.UNIT)
        assert state is not None
        assert len(state.mortgages) == 2
        here.lift()
        here.approve()
        state = here.working.unit_state(c.UNIT)
        assert state is not None
        assert len(state.mortgages) == 3
