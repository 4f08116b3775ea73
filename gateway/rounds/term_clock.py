"""The clock of the pre-notices' 90 days: which is to be looked at when, and the internal command that does (CC 221).

Part of the clockwork, which asks when something is due and lets it work. The law is `applications/pre_notice_term.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.applications.accepting import Answered
from gateway.applications.expiry import NothingDue
from gateway.applications.pre_notice_term import NotYetRegistrable, decide_due, due_at
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, CalendarSet, PreNoticeTermMoved, RightBooked
from gateway.cases.model import Moment
from gateway.commands import Command, own_command
from gateway.register.model import PreNotice
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.working import Working, instant
from gateway.worlds.notice_world import notice_world_of, wants_of_notice
from signing.envelope import pae

log = logging.getLogger(__name__)

#: Payload type of an internal command.
CLOCKWORK_TYPE: Final = "application/vnd.diya.clockwork.v1+json"

#: What could not be entered, or waits for an open case to end, is looked at again after this.
LOOK_AGAIN: Final = dt.timedelta(hours=1)

_encode = msgspec.json.Encoder().encode


class TermPrompt(msgspec.Struct, frozen=True):
    """What the internal command says: the pre-notice, by its right, and why now."""

    right: str
    prompt: str
    since: str


class TermClock:
    """Live pre-notices by the instant at which they are to be looked at."""

    def __init__(self, *, sequencer: Sequencer, queries: Queries, clock: Callable[[], dt.datetime]) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._clock = clock
        self._due: list[tuple[dt.datetime, str, str]] = []  # heap of (instant, registry, right)
        self._unread: list[str] = []  # registries whose pre-notices are all to be looked at anew

    def start(self, registries: Sequence[str]) -> None:
        """Look at every live pre-notice at the next `work`."""
        self._unread = list(registries)

    def committed(self, registry: str, effects: Sequence[AnyEffect]) -> bool:
        """Note what a commit began or moved; whether there is something to look at that was not before."""
        news = False
        for effect in effects:
            if isinstance(effect, CalendarSet):
                self._unread.append(registry)
                news = True
            elif isinstance(effect, RightBooked) and isinstance(effect.right, PreNotice):
                news = self._expect(registry, effect.right) or news
            elif isinstance(effect, PreNoticeTermMoved):
                heapq.heappush(self._due, (self._clock(), registry, effect.right_id))
                news = True
        return news

    @property
    def next_at(self) -> dt.datetime | None:
        """When there is something to look at."""
        return self._due[0][0] if self._due else None

    async def work(self) -> None:
        """Everything that is due by now."""
        while self._unread:
            for live in await self._queries.live_pre_notices(self._unread[0]):
                self._expect(self._unread[0], live)
            self._unread.pop(0)
        while self._due and self._due[0][0] <= self._clock():
            _, registry, right_id = heapq.heappop(self._due)
            notice = await self._queries.live_pre_notice(registry, right_id)
            calendar = self._sequencer.settings(registry).calendar_in_force
            at = None if notice is None else due_at(notice, calendar)
            if notice is None or at is None:
                continue
            if at <= self._clock() and not await self._prompt(registry, notice):
                at = self._clock() + LOOK_AGAIN
            if at > self._clock():
                heapq.heappush(self._due, (at, registry, right_id))

    def _expect(self, registry: str, notice: PreNotice) -> bool:
        at = due_at(notice, self._sequencer.settings(registry).calendar_in_force)
        if at is not None:
            heapq.heappush(self._due, (at, registry, notice.right_id))
        return at is not None

    async def _prompt(self, registry: str, notice: PreNotice) -> bool:
        """One internal command; False when nothing could be entered yet."""
        try:
            await self._sequencer.ask(_command(registry, notice, self._clock()))
        except NotYetRegistrable:
            return True  # the entry of the first registration moves its term, and brings it back here
        except NothingDue:
            return False  # a case is open that names it, or it has moved on, which its own commit tells
        except Exception:
            log.exception("not entered", extra={"registry": registry, "prompt": "TERM"})
            return False
        return True


def _command(registry: str, notice: PreNotice, now: dt.datetime) -> Command:
    """Each look is a request of its own: a term that was set anew may come by the same steps again, and what was done
    already is found done under the lock.
    """
    payload = pae(CLOCKWORK_TYPE, _encode(TermPrompt(notice.right_id, "TERM", instant(now))))
    digest = hashlib.sha256(payload).hexdigest()
    request_id = f"term/{digest[:32]}"
    answered = Answered(kind="", institution="", request_id=request_id, payload_sha256=digest)

    def decide(working: Working, moment: Moment) -> Decision:
        world = notice_world_of(working, notice.units[0], notice.right_id)
        if world is None:
            raise NothingDue
        return decide_due(world, answered, moment)

    wants = wants_of_notice(notice.units[0], {("", request_id)})
    return own_command(registry, request_id, payload, digest, wants, decide)
