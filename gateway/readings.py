"""What a scrape of the metrics reads off the gateway at that instant: what waits, and since when.

Ages must be computed when somebody asks, or they stand still where nothing moves, and that is when they matter. What
waits is found in the views at start-up and told by each commit from then on (as in `gateway/rounds/clockwork.py`), so
a scrape costs no query.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.cases.effects import AnyEffect, ApplicationRecorded, CertificateNumbered, CertificateSealed
from gateway.cases.model import Application, State
from gateway.register.calendar import CHINA
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.telemetry import metrics

#: A case in one of these waits for a registrar; in the others of the queue it waits for somebody else.
WAITS_FOR_REGISTRAR: Final = frozenset({State.ACCEPTED, State.IN_REVIEW})


class Readings(Collector):
    """`committed` is called on the event loop after each commit, `collect` in the thread that serves a scrape."""

    def __init__(self, *, sequencer: Sequencer, queries: Queries, clock: Callable[[], dt.datetime]) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._clock = clock
        self._registries: tuple[str, ...] = ()
        self._cases: dict[tuple[str, str], dt.datetime] = {}  # (registry, application) -> accepted at
        self._unsealed: dict[tuple[str, str], dt.datetime] = {}  # (registry, identifier) -> since

    async def start(self, registries: Sequence[str]) -> None:
        """Find what waits, and how far ledger and checkpoints have come."""
        self._registries = tuple(registries)
        states = sorted(state.value for state in WAITS_FOR_REGISTRAR)
        for registry in registries:
            for row in await self._queries.applications_in(registry, states):
                self._note(row)
            for identifier, since in await self._queries.unsealed_since(registry):
                self._unsealed[registry, identifier] = since
            await self._read_ledger(registry)

    async def _read_ledger(self, registry: str) -> None:
        """A note has no time in it: until the next one is signed, the newest is as old as its last entry."""
        metrics.grown(registry, (await self._queries.head(registry)).size)
        newest = await self._queries.checkpoint(registry)
        if newest is not None and newest.size:
            (last,) = await self._queries.entries(registry, newest.size - 1, 1)
            metrics.published(registry, newest.size, last.parse().time.timestamp())

    def committed(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        """Note what a commit made wait, or ended."""
        for effect in effects:
            match effect:
                case ApplicationRecorded():
                    self._note(effect.application)
                case CertificateNumbered():
                    metrics.certificate("numbered")
                    self._unsealed[registry, effect.identifier] = self._clock()
                case CertificateSealed():
                    metrics.certificate("sealed")
                    self._unsealed.pop((registry, effect.identifier), None)
                case _:
                    pass

    def _note(self, row: Application) -> None:
        key = (row.registry, row.application_id)
        if row.state in WAITS_FOR_REGISTRAR:
            self._cases[key] = row.accepted_at or row.submitted_at
        else:
            self._cases.pop(key, None)

    # -- a scrape ------------------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """Every reading as of now."""
        depth, age = self._sequencer.waiting()
        yield _gauge(
            "diya_sequencer_queue_commands", "Commands and rows of uploads taken and not yet answered", depth
        )
        yield _gauge("diya_sequencer_queue_oldest_seconds", "Time that the oldest of them has waited", age)
        cases = list(self._cases.items())  # one step for this thread: the event loop goes on meanwhile
        now = self._clock()
        counts = Counter(registry for (registry, _), _ in cases)
        waiting = list(self._unsealed.items())
        unsealed = Counter(registry for (registry, _), _ in waiting)
        yield self._family("diya_review_queue_cases", "Accepted cases that wait for a registrar", counts)
        yield self._family(
            "diya_review_queue_oldest_seconds",
            "Time since the acceptance of the oldest case that waits for a registrar; 0 when none does",
            _oldest(cases, now),
        )
        today = now.astimezone(CHINA).date()
        calendars = {r: self._sequencer.settings(r).calendar_in_force for r in self._registries}
        yield self._family(
            "diya_calendar_remaining_days",
            "Days until the tables of working days end; negative when they have",
            {registry: float(c.days_until_table_end(today)) for registry, c in calendars.items()},
        )
        yield self._family(
            "diya_calendar_ending",
            "1 from 90 days before the tables of working days end: import the next year",
            {registry: int(c.is_table_ending(today)) for registry, c in calendars.items()},
        )
        yield self._family("diya_certificates_unsealed", "Certificates numbered and not yet sealed", unsealed)
        yield self._family(
            "diya_certificates_unsealed_oldest_seconds",
            "Time since the oldest certificate without a seal was numbered; 0 when there is none",
            _oldest(waiting, now),
        )
        yield from self._feeds(now)

    def _feeds(self, now: dt.datetime) -> Iterator[Metric]:
        """Silence is a gap too, so it is computed now; a place without a feed has no age."""
        gaps: dict[str, float] = {}
        ages: dict[str, float] = {}
        for registry in self._registries:
            settings = self._sequencer.settings(registry)
            lag = settings.profile.counter_feed_max_lag_minutes if settings.profile else 0
            gaps[registry] = float(settings.feed.is_gap(lag, now))
            if settings.feed.as_of is not None:
                ages[registry] = max((now - settings.feed.as_of).total_seconds(), 0.0)
        yield self._family("diya_feed_gap", "1 while the counter's feed stops automatic decisions", gaps)
        yield self._family("diya_feed_age_seconds", "Time since the counter is not known any more", ages)

    def _family(self, name: str, text: str, values: dict[str, int] | dict[str, float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["registry"])
        for registry in self._registries:
            family.add_metric([registry], values.get(registry, 0))
        return family


def served(readings: Readings) -> CollectorRegistry:
    """What the metrics endpoint of one gateway serves: this process's counters, and the gateway's readings."""
    both = CollectorRegistry(auto_describe=True)
    both.register(metrics.collectors)
    both.register(readings)
    return both


def _oldest(waiting: Sequence[tuple[tuple[str, str], dt.datetime]], now: dt.datetime) -> dict[str, float]:
    """How long the oldest of what waits has waited, seconds, by registry."""
    newest_first = sorted(waiting, key=lambda item: item[1], reverse=True)
    return {registry: max((now - since).total_seconds(), 0.0) for (registry, _), since in newest_first}


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
