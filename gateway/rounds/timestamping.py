"""Time stamps from the authority that a registry's settings name (RFC 3161): on its seals, and on its checkpoints.

Never on the path of an act; a statement or an extract asks for its own, and waits for one answer at most. An authority
that fails is told once, counted, and left alone for a while that doubles each time; what waits for it goes on when it
answers again. Whom to believe to tell the time is an entry like all trust: the registry's anchors for TSA.

Seals ask as they are made (`gateway/rounds/sealing.py`). Checkpoints are stamped here, the newest at an interval: a
stamp on one covers every entry before it, so that not each needs its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.commands import Overloaded, Unavailable
from gateway.config import Config, Limits, TimestampConfig
from gateway.http.timestamp_client import TimestampClient
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.telemetry import metrics
from ledger.stamp_store import newest_stamped, store_stamp
from signing.errors import SigningError, TimestampUnavailable
from signing.trust import TrustStore

log = logging.getLogger(__name__)

#: First distance between two tries of an authority that fails, seconds; doubled each time.
RETRY_SECONDS: Final = 1.0

#: Checkpoints come with every commit; whether one is due is looked at no more often than this.
LOOK_SECONDS: Final = 1.0

#: Requests to one authority at a time.
_ASKED_AT_ONCE: Final = 4


class Authority:
    """The time stamp authority of one registry, and how it is doing. On the event loop; requests go to threads."""

    def __init__(
        self,
        registry: str,
        settings: TimestampConfig,
        limits: Limits,
        *,
        trust: Callable[[], TrustStore],
        clock: Callable[[], dt.datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._registry = registry
        self._client = TimestampClient(
            settings.url, policy=settings.policy, timeout_seconds=limits.timestamp_timeout_seconds
        )
        self._retry_seconds_max = limits.timestamp_retry_seconds_max
        self._trust = trust
        self._clock = clock
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="timestamp")
        self._failures = 0
        self._not_before = -math.inf

    @property
    def rest_seconds(self) -> float:
        """How long it is still left alone after a failure; 0 when it may be asked."""
        return max(self._not_before - self._monotonic(), 0.0)

    def may_be_missing(self, waited: dt.timedelta) -> bool:
        """Whether a seal that has waited so long is made without a stamp."""
        return not self.settings.required and waited.total_seconds() >= self.settings.grace_seconds

    async def stamp(self, data: bytes, subject: str) -> bytes:
        """A token (DER) over `data`, verified; `subject` is for the metrics: seal, statement or checkpoint.

        Raises TimestampUnavailable (also while it is left alone), TimestampRefused, TimestampInvalid.
        """
        if rest := self.rest_seconds:
            raise TimestampUnavailable(f"it failed before and is left alone for another {rest:.1f} s")
        try:
            token, _ = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._client.stamp, data, self._trust(), self._clock
            )
        except SigningError as error:
            self._failed(error, subject)
            raise
        self._succeeded(subject)
        return token

    def close(self) -> None:
        """Take no more requests; those under way end by their own limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _failed(self, error: SigningError, subject: str) -> None:
        """Tell it once; try again later."""
        if not self._failures:
            log.error(
                "time stamp authority fails: %s: %s",
                error.reason,
                error.message,
                extra={"registry": self._registry},
            )
        wait = min(RETRY_SECONDS * 2**self._failures, self._retry_seconds_max)
        self._failures = min(self._failures + 1, 30)
        self._not_before = self._monotonic() + wait
        metrics.timestamp(self._registry, subject, error.reason)

    def _succeeded(self, subject: str) -> None:
        if self._failures:
            log.info("time stamp authority answers again", extra={"registry": self._registry})
        self._failures, self._not_before = 0, -math.inf
        metrics.timestamp(self._registry, subject, "ok")


def authorities(
    config: Config, trust_of: Callable[[str], TrustStore], clock: Callable[[], dt.datetime]
) -> dict[str, Authority]:
    """The authority of each registry that has one."""

    def trust(registry: str) -> Callable[[], TrustStore]:
        return lambda: trust_of(registry)

    return {
        one.id: Authority(one.id, one.timestamp, config.limits, trust=trust(one.id), clock=clock)
        for one in config.registries
        if one.timestamp is not None
    }


@dataclass(slots=True)
class _Stamped:
    """One registry: how far its stamped checkpoints reach, and when (monotonic seconds) the last stamp was made."""

    registry: str
    authority: Authority
    size: int = 0
    at: float = -math.inf
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class CheckpointStamping:
    """Stamps the newest checkpoint of every registry with an authority. `committed` is called after each commit."""

    def __init__(
        self,
        *,
        queries: Queries,
        sequencer: Sequencer,
        authorities: Mapping[str, Authority],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries = queries
        self._sequencer = sequencer
        self._monotonic = monotonic
        self._registries = {name: _Stamped(name, one) for name, one in authorities.items()}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Find out what is stamped, then work in the background."""
        for one in self._registries.values():
            newest = await self._queries.read(partial(newest_stamped, registry=one.registry))
            one.size = newest.size if newest is not None else 0
            metrics.stamped(one.registry, one.size)
        self._tasks = [asyncio.create_task(self._rounds(one)) for one in self._registries.values()]

    async def stop(self) -> None:
        """Stop; a token that is still under way is not kept, and asked for again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def committed(self, registry: str) -> None:
        """There is a newer checkpoint."""
        one = self._registries.get(registry)
        if one is not None:
            one.moved.set()

    async def _rounds(self, one: _Stamped) -> None:
        look = min(LOOK_SECONDS, one.authority.settings.checkpoint_interval_seconds)
        while True:
            wait: float | None = LOOK_SECONDS
            try:
                wait = await self._round(one)
            except Exception:
                log.exception("checkpoint not stamped", extra={"registry": one.registry})
            await asyncio.sleep(look)
            with suppress(TimeoutError):
                await asyncio.wait_for(one.moved.wait(), wait)
            one.moved.clear()

    async def _round(self, one: _Stamped) -> float | None:
        """Stamp the newest checkpoint if it is due; after how many seconds to look again, None: after a commit."""
        newest = await self._queries.checkpoint(one.registry)
        if newest is None or newest.size <= one.size:
            return None
        settings = one.authority.settings
        due = one.at + settings.checkpoint_interval_seconds - self._monotonic()
        if due > 0 and newest.size - one.size < settings.checkpoint_entries:
            return due
        try:
            token = await one.authority.stamp(newest.own, "checkpoint")
            await asyncio.wrap_future(
                self._sequencer.run(
                    lambda connection: store_stamp(connection, one.registry, newest.size, token)
                )
            )
        except SigningError:  # told by the authority's own line
            return one.authority.rest_seconds
        except (Overloaded, Unavailable):
            return LOOK_SECONDS  # not kept: another is asked for
        one.size, one.at = newest.size, self._monotonic()
        metrics.stamped(one.registry, one.size)
        return None
