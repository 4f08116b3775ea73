"""The alert of the counter's feed: one log line when automatic decisions stop or go on again (metric: readings.py).

A hole is told with the commit that made it; silence is nobody's commit, so the clock is looked at as well.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence

from gateway.storage.settings import Settings

log = logging.getLogger(__name__)


class FeedWatch:
    """Says when a registry's feed begins or ends to have a gap. `look` is called after commits and by the clock."""

    def __init__(self, settings_of: Callable[[str], Settings], clock: Callable[[], dt.datetime]) -> None:
        self._settings_of = settings_of
        self._clock = clock
        self._gaps: dict[str, bool] = {}

    def start(self, registries: Sequence[str]) -> None:
        """Look at each of these registries once."""
        for registry in registries:
            self._gaps[registry] = False
            self.look(registry)

    def is_gap(self, registry: str) -> bool:
        """Whether no rule decides in the registry now."""
        settings = self._settings_of(registry)
        lag = settings.profile.counter_feed_max_lag_minutes if settings.profile else 0
        return settings.feed.is_gap(lag, self._clock())

    def look(self, registry: str) -> None:
        """Log the change since the last look, if there is one."""
        gap = self.is_gap(registry)
        if gap == self._gaps[registry]:
            return
        self._gaps[registry] = gap
        feed = self._settings_of(registry).feed
        if gap:
            log.warning(
                "counter feed has a gap: no rule decides",
                extra={"registry": registry, "missing": feed.missing, "as_of": str(feed.as_of)},
            )
        else:
            log.info("counter feed is whole again", extra={"registry": registry, "last": feed.last})

    def look_at_all(self) -> None:
        """Look at every registry (the clock went on)."""
        for registry in tuple(self._gaps):
            self.look(registry)
