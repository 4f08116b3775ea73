"""What happens by itself: cases whose time has run out, and cases whose turn has come. No request is needed.

One task sleeps until the next due instant and puts internal commands before the sequencer; the law of each is in
`gateway/applications/expiry.py`, which asks again, under the lock, whether anything is due at all. What is due is
found in the views at start-up and told by each commit from then on, so nothing is lost by a crash.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from gateway.applications.accepting import QUEUE, Answered
from gateway.applications.deadlines import decide_breached, decide_recomputed
from gateway.applications.expiry import NothingDue, decide_reconsidered, decide_woken
from gateway.applications.later import Dossier
from gateway.applications.limits import breached_from, with_deadlines
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CalendarSet,
    CounterCaseRecorded,
    UnitRecorded,
)
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import CLOSED, QUEUED, Application, Moment, Paper, State
from gateway.commands import Command, own_command
from gateway.register.model import UnitHold
from gateway.rounds.term_clock import CLOCKWORK_TYPE, TermClock
from gateway.rpc.acts import Filed, dossier_of, filed_of
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.working import Working, instant
from gateway.worlds.world import wants_of_case
from signing.envelope import pae
from signing.trust import TrustStore

log = logging.getLogger(__name__)

#: The task looks at the clock at least this often, whatever is due: clocks are set, machines sleep.
LOOK_SECONDS_MAX: Final = 60.0

#: What could not be entered is tried again after this.
RETRY_SECONDS: Final = 5.0

#: Units whose waiting cases are asked for in one query.
UNITS_AT_ONCE: Final = 500

#: Something falls due in each of these: the state's own end, or the limit of IR 20.
_DUE_STATES: Final = (State.AWAITING_PARTIES, *sorted(QUEUED))

#: Why a case is looked at: its state has run out, or its limit has passed.
_OVERDUE: Final = "OVERDUE"
_LATE: Final = "LATE"

_encode = msgspec.json.Encoder().encode
_Decide = Callable[[Dossier, Answered, Moment], Decision]


#: How each prompt is decided; a replay takes it from here.
PROMPTS: Final[dict[str, _Decide]] = {
    _OVERDUE: decide_woken,
    _LATE: decide_breached,
    "CALENDAR": decide_recomputed,
    "TURN": decide_reconsidered,
}


class Prompt(msgspec.Struct, frozen=True):
    """What an internal command says: the case, what is asked of it, and why now."""

    application: str
    prompt: str
    since: str


class ClockworkEvidence(msgspec.Struct, frozen=True):
    """What an internal command looked at, kept with its entry."""

    papers: tuple[Paper, ...]


class Clockwork:
    """The task and what it has to do. `committed` is called on the event loop after each commit."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        trust_of: Callable[[str], TrustStore],
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """`also` is called whenever the clock is looked at: what else may have come with the time."""
        self._also = also
        self._sequencer = sequencer
        self._queries = queries
        self._trust_of = trust_of
        self._clock = clock
        self._sleep = sleep
        self._due: list[
            tuple[dt.datetime, str, str, str]
        ] = []  # heap of (instant, registry, application, why)
        self._recalendared: list[str] = []  # registries whose calendar may be newer than their cases' limits
        self._freed: dict[str, set[str]] = {}  # registry -> units on which a case ended
        self._terms = TermClock(sequencer=sequencer, queries=queries, clock=clock)
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, registries: Sequence[str]) -> None:
        """Find what is due or waits, then work."""
        self._recalendared = list(registries)
        self._terms.start(registries)
        for registry in registries:
            for row in await self._queries.applications_in(registry, [s.value for s in _DUE_STATES]):
                self._expect(row)
            for row in await self._queries.payoffs_watched(registry):
                self._expect(row)
            for row in await self._queries.applications_in(registry, [State.SUSPENDED.value]):
                if row.suspension == QUEUE:
                    self._free(registry, row.units)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; whatever is left is found again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def committed(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        """Note what a commit made due, and on which units a place became free."""
        if self._terms.committed(registry, effects):
            self._poked.set()
        lifted: list[str] = []  # units that no correction holds, whatever held them before
        for effect in effects:
            if isinstance(effect, CalendarSet):
                self._recalendared.append(registry)
                self._poked.set()
            if isinstance(effect, CounterCaseRecorded) and not effect.case.is_open:
                self._free(registry, effect.case.places)
                self._poked.set()
            if isinstance(effect, UnitRecorded) and UnitHold.CORRECTION_PENDING not in effect.unit.holds:
                lifted.append(effect.unit.unit_code)
            if not isinstance(effect, ApplicationRecorded):
                continue
            row = effect.application
            self._expect(row)
            # What one entry accepted and ended never stood before anybody.
            if row.state in CLOSED and row.accepted_index not in (None, row.last_index):
                self._free(registry, row.units)
                self._poked.set()
        if lifted:
            self._free(registry, lifted)
            self._poked.set()

    def look(self) -> None:
        """Look at the clock now (it was set)."""
        self._poked.set()

    def _free(self, registry: str, units: Iterable[str]) -> None:
        self._freed.setdefault(registry, set()).update(units)

    def _expect(self, row: Application) -> None:
        for at, why in ((row.wakes_at, _OVERDUE), (breached_from(row), _LATE)):
            if at is not None:
                self._push(at, row.registry, row.application_id, why)

    def _push(self, at: dt.datetime, registry: str, application_id: str, why: str) -> None:
        item = (at, registry, application_id, why)
        heapq.heappush(self._due, item)
        if self._due[0] == item:
            self._poked.set()

    # -- the task ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            try:
                self._also()
                await self._recompute()
                await self._end_overdue()
                await self._terms.work()
                await self._give_turns()
            except Exception:
                log.exception("clockwork")
                await self._sleep(RETRY_SECONDS)
            await self._rest()

    async def _rest(self) -> None:
        """Until the next due instant, or until something is told."""
        seconds = LOOK_SECONDS_MAX
        for at in (self._due[0][0] if self._due else None, self._terms.next_at):
            if at is not None:
                seconds = min(seconds, max((at - self._clock()).total_seconds(), 0.0))
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        poked = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({sleeping, poked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            poked.cancel()

    async def _end_overdue(self) -> None:
        """Every case whose time has run out, and every one that is late."""
        while self._due and self._due[0][0] <= self._clock():
            _, registry, application_id, why = heapq.heappop(self._due)
            row = await self._queries.application(registry, application_id)
            if row is None:
                continue
            due = row.wakes_at if why == _OVERDUE else breached_from(row)
            if due is None or due > self._clock():
                continue
            request_id = f"{'due' if why == _OVERDUE else 'late'}/{application_id}/{int(due.timestamp())}"
            if not await self._prompt(row, request_id, Prompt(row.name, why, instant(due)), PROMPTS[why]):
                again = self._clock() + dt.timedelta(seconds=RETRY_SECONDS)
                self._push(again, registry, application_id, why)
                return

    async def _recompute(self) -> None:
        """The limits of open cases under a calendar that was imported, or came with the software (handbook 10)."""
        while self._recalendared:
            registry = self._recalendared[0]
            for row in await self._queries.applications_in(registry, [s.value for s in QUEUED]):
                calendar = self._sequencer.settings(registry).calendar_in_force
                if with_deadlines(row, calendar) == row:
                    continue
                request_id = f"deadline/{row.application_id}/{row.last_index}"
                prompt = Prompt(row.name, "CALENDAR", str(row.last_index))
                if not await self._prompt(row, request_id, prompt, decide_recomputed):
                    await self._sleep(RETRY_SECONDS)
                    self._poked.set()
                    return
            self._recalendared.pop(0)

    async def _give_turns(self) -> None:
        """Cases that waited for an earlier one on the same units, in order of acceptance (RD 67)."""
        while self._freed:
            registry = next(iter(self._freed))
            units = tuple(sorted(self._freed[registry])[:UNITS_AT_ONCE])  # an import records many
            for row in await self._queries.waiting_on(registry, units, QUEUE):
                request_id = f"turn/{row.application_id}/{row.last_index}"
                prompt = Prompt(row.name, "TURN", str(row.last_index))
                if not await self._prompt(row, request_id, prompt, decide_reconsidered):
                    await self._sleep(RETRY_SECONDS)
                    self._poked.set()
                    return
            self._freed[registry].difference_update(units)
            if not self._freed[registry]:
                del self._freed[registry]

    async def _prompt(self, row: Application, request_id: str, prompt: Prompt, decide: _Decide) -> bool:
        """One internal command; False when it could not be entered and is to be tried again."""
        try:
            filed = await filed_of(self._queries, row)
            command = _command(filed, request_id, prompt, decide, self._trust_of(row.registry), self._clock())
            await self._sequencer.ask(command)
        except (NothingDue, ApplicationNotFound):
            return True  # it has moved on, or its evidence was erased
        except Exception:
            log.exception("not entered", extra={"registry": row.registry, "prompt": prompt.prompt})
            return False
        return True


def _command(
    filed: Filed, request_id: str, prompt: Prompt, decide: _Decide, trust: TrustStore, now: dt.datetime
) -> Command:
    payload = pae(CLOCKWORK_TYPE, _encode(prompt))
    digest = hashlib.sha256(payload).hexdigest()
    answered = Answered(
        kind="application.turn_came", institution="", request_id=request_id, payload_sha256=digest
    )

    found: list[tuple[Paper, ...]] = []

    def decided(working: Working, moment: Moment) -> Decision:
        dossier = dossier_of(working, filed, trust, moment)
        found.append(dossier.all_papers)
        return decide(dossier, answered, moment)

    wants = wants_of_case(filed.manifest, filed.row, now)
    wants.requests = {("", request_id)}
    return own_command(
        filed.row.registry,
        request_id,
        payload,
        digest,
        wants,
        decided,
        evidence=lambda: _encode(ClockworkEvidence(found[-1])),
    )
