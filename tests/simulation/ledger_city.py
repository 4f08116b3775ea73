"""The same city on a real ledger: every decision is a command through the sequencer into a SQLite file.

The power is cut before a commit, and the command comes again; an answer is lost on its way, and the command comes
twice; the writer stops and starts. What the ledger's views say is held against the register in memory before each
decision.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.applications.events import counter_name
from gateway.applications.feed import decide_feed
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    InstitutionSet,
    ProfileSet,
    RequestAnswered,
    RightBooked,
    RuleSetSet,
    UnitRecorded,
)
from gateway.cases.feed import AnyFeedAct
from gateway.cases.model import Manifest, Moment, World
from gateway.commands import Answer, Command
from gateway.sequencer import Sequencer
from gateway.storage.working import Wants, Working
from gateway.worlds.feed_world import feed_world_of, wants_of_feed
from gateway.worlds.world import wants_of, world_of
from ledger.verify import verify_ledger
from tests.support.spine import REGISTRY, Spine
from tests.support.twin import Decide, Twin

Wanted = Callable[[RequestAnswered], Wants]
Decided = Callable[[Working, Moment], Decision]


class PowerCut(RuntimeError):
    """The machine stops before the commit."""


class LedgerTwin(Twin):
    """A twin whose gateway side is a ledger. `close` when done."""

    def __init__(self, units: dict[str, Any], now: dt.datetime, *, folder: Path, faults: int) -> None:
        super().__init__(units, now)
        self._faults = random.Random(faults)
        self.spine = Spine(folder, now)
        self.counted = {"cut": 0, "replayed": 0, "restarted": 0}
        self._enter(
            ProfileSet(profile=self.world.profile),
            *([RuleSetSet(rules=self.world.rules)] if self.world.rules else []),
            *(InstitutionSet(institution=one) for one in self.world.institutions.values()),
            *(UnitRecorded(unit=state.unit) for state in self.world.units.values()),
            *(RightBooked(right=r) for state in self.world.units.values() for r in state.rights),
        )

    def close(self) -> None:
        """The whole ledger verifies, and is closed."""
        with self.spine._reader.begin() as connection:
            report = verify_ledger(connection, REGISTRY, self.spine.signer.vkey, vault=None)
            assert report.ok, report.first
        self.spine.close()

    def _enter(self, *effects: AnyEffect) -> None:
        self.spine.clock.now = self.now
        command = self.spine.command(*effects)
        command.wants.units |= set(self.world.units)
        self.spine.submit(command)

    def _commit(self, manifest: Manifest, decide: Decide) -> Decision:
        return self._twice(
            decide(self._world(), self._moment()),
            lambda key: self._wants_case(manifest, key),
            lambda working, moment: self._decided_case(working, manifest, decide, moment),
        )

    def _feed(self, act: AnyFeedAct) -> Decision:
        """An act of the counter's feed, as rpc/feed.py commits it."""
        signed = self._signed(act)
        return self._twice(
            decide_feed(self._feed_world(act), signed, self._moment()),
            lambda key: wants_of_feed(act, key.institution, key.request_id),
            lambda working, moment: decide_feed(feed_world_of(working, act), signed, moment),
        )

    def _twice(self, expected: Decision, wants: Wanted, decide: Decided) -> Decision:
        """Decided in memory, then by the ledger: the same; and once, whatever is cut or lost on the way."""
        self.spine.clock.now = self.now
        [key] = [effect for effect in expected.effects if isinstance(effect, RequestAnswered)]
        if self._faults.random() < 0.1:
            self.counted["cut"] += 1
            with pytest.raises(PowerCut):
                self._submit(key, wants(key), decide, cut=True)
        answer, decision = self._submit(key, wants(key), decide)
        assert not answer.replayed
        assert decision is not None
        assert (decision.outcome.state, decision.outcome.findings) == (
            expected.outcome.state,
            expected.outcome.findings,
        )
        if self._faults.random() < 0.1:
            self.counted["replayed"] += 1
            again, undecided = self._submit(key, wants(key), decide)
            assert again.replayed
            assert undecided is None
            assert again.outcome == answer.outcome
            assert again.receipt.index == answer.receipt.index
        if self._faults.random() < 0.05:
            self._restart()
        return decision

    def _wants_case(self, manifest: Manifest, key: RequestAnswered) -> Wants:
        wants = wants_of(manifest)
        wants.requests = {(key.institution, key.request_id)}
        wants.counters |= {counter_name(uscc) for uscc in self.world.institutions}
        wants.applications |= {one.row.application_id for one in self.open}
        return wants

    def _decided_case(self, working: Working, manifest: Manifest, decide: Decide, moment: Moment) -> Decision:
        here = world_of(working, manifest, moment.now, tuple(self.world.institutions))
        self._same(here)
        return decide(here, moment)

    def _submit(
        self, key: RequestAnswered, wants: Wants, decide: Decided, *, cut: bool = False
    ) -> tuple[Answer, Decision | None]:
        taken: list[Decision] = []

        def decided(working: Working, moment: Moment) -> Decision:
            taken.append(decide(working, moment))
            if cut:
                raise PowerCut
            return taken[-1]

        command = Command(
            registry=REGISTRY,
            institution=key.institution,
            request_id=key.request_id,
            payload_sha256=key.payload_sha256,
            payload=key.payload_sha256.encode(),
            evidence=lambda: b"{}",
            wants=wants,
            decide=decided,
        )
        answer = self.spine.submit(command)
        return answer, taken[0] if taken else None

    def _same(self, here: World) -> None:
        """The views are the fold of the entries: what they say is what memory says."""
        for code, state in here.units.items():
            mine = self.world.units[code]
            assert state.unit == mine.unit
            assert {r.right_id: r for r in state.rights} == {r.right_id: r for r in mine.rights}
            mine_open = self._world().open_cases.get(code, ())
            assert {c.application_id: c for c in here.open_cases[code]} == {
                c.application_id: c for c in mine_open
            }

    def _restart(self) -> None:
        """The writer stops, decides what is queued, and another begins on what is there."""
        self.counted["restarted"] += 1
        spine = self.spine
        spine.sequencer.stop()
        spine.sequencer = Sequencer(spine._writer, spine.ledger, spine.publisher, clock=spine.clock)
        spine.sequencer.start()
