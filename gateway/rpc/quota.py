"""How often somebody may ask: a bucket per address for what anybody may ask, a count per institution and day."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, insert, select

from gateway.commands import Overloaded, Unavailable
from gateway.register.calendar import CHINA
from gateway.rpc.errors import Refusal
from gateway.storage import tables as t
from gateway.storage.working import Row


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
    """So many calls per institution and day in China, counted across restarts.

    The count is in memory; `write_soon` is handed what writes it down, off the path of the call. One write at a time
    lies before the writer, and it takes the count as it finds it, so nothing is lost by an orderly stop, and by a crash
    no more than what came while it waited. A rehearsal has no entry, so the count is no view of the ledger.
    """

    def __init__(
        self, write_soon: Callable[[Callable[[Connection], None]], object], taken: Sequence[Row] = ()
    ) -> None:
        """`taken`: rows of `rehearsal_count`, as an earlier run left them."""
        self._write_soon = write_soon
        self._lock = threading.Lock()
        self._day = max((row["day"] for row in taken), default="")
        self._taken = Counter(
            {(row["registry"], row["institution"]): row["taken"] for row in taken if row["day"] == self._day}
        )
        self._is_writing = False

    def take(self, registry: str, institution: str, per_day: int, now: dt.datetime) -> None:
        """Count one call. Raises Refusal QUOTA_EXCEEDED with the time until midnight in China."""
        here = now.astimezone(CHINA)
        with self._lock:
            if self._day != here.date().isoformat():
                self._day = here.date().isoformat()
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
            is_writing, self._is_writing = self._is_writing, True
        if is_writing:
            return
        try:
            self._write_soon(self._write)
        except (Overloaded, Unavailable):  # the next call's write takes this one along
            self._is_writing = False

    def _write(self, connection: Connection) -> None:
        """On the writer's thread: the count of the day in place of what was there."""
        with self._lock:
            self._is_writing = False
            rows = [
                {"registry": registry, "institution": institution, "day": self._day, "taken": taken}
                for (registry, institution), taken in self._taken.items()
            ]
        connection.execute(delete(t.rehearsal_count))
        if rows:
            connection.execute(insert(t.rehearsal_count), rows)


def read_counts(connection: Connection) -> list[Row]:
    """The counts that an earlier run left."""
    return [dict(row) for row in connection.execute(select(t.rehearsal_count)).mappings()]
