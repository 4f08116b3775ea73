"""How often one address may ask what anybody may ask: a bucket per address that fills again with time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

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
