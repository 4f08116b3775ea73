"""How often somebody may ask: a bucket per address for what anybody may ask, a count per institution and day."""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict
from collections.abc import Callable

from gateway.kinds.law import CHINA
from gateway.rpc.errors import Refusal


class AddressQuota:
    """At most `burst` calls at once per address, and `per_second` in the long run. Forgets the longest unheard of."""

    def __init__(
        self, *, burst: float, per_second: float, now: Callable[[], float], addresses_max: int = 10_000
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._now = now
        self._addresses_max = addresses_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> tokens, as of

    def take(self, peer: str) -> None:
        """Count one call of a gRPC peer such as `ipv4:10.0.0.1:5000`. Raises Refusal QUOTA_EXCEEDED."""
        address = peer.rpartition(":")[0]
        now = self._now()
        tokens, as_of = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - as_of) * self._per_second)
        if tokens < 1:
            self._buckets[address] = (tokens, now)
            wait = (1 - tokens) / self._per_second
            raise Refusal(
                "QUOTA_EXCEEDED",
                "来自该地址的核验过于频繁；请稍后再试",
                "too many verifications from this address: wait and ask again",
                retry_seconds=wait,
            )
        self._buckets[address] = (tokens - 1, now)
        if len(self._buckets) > self._addresses_max:
            self._buckets.popitem(last=False)


class DailyQuota:
    """So many calls per institution and day in China. Counted in memory: a restart begins the day anew."""

    def __init__(self) -> None:
        self._day: dt.date | None = None
        self._taken: Counter[tuple[str, str]] = Counter()

    def take(self, registry: str, institution: str, per_day: int, now: dt.datetime) -> None:
        """Count one call. Raises Refusal QUOTA_EXCEEDED with the time until midnight in China."""
        here = now.astimezone(CHINA)
        if self._day != here.date():
            self._day = here.date()
            self._taken.clear()
        if self._taken[registry, institution] >= per_day:
            midnight = dt.datetime.combine(here.date() + dt.timedelta(days=1), dt.time(), CHINA)
            raise Refusal(
                "QUOTA_EXCEEDED",
                f"今日试算次数已达上限 {per_day} 次；请明日再试，或者正式提交",
                f"the quota of {per_day} rehearsals a day is used up: try again tomorrow, or submit",
                {"perDay": str(per_day)},
                retry_seconds=(midnight - here).total_seconds(),
            )
        self._taken[registry, institution] += 1
