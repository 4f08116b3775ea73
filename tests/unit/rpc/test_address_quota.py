"""The quota of public verifications."""

from __future__ import annotations

import pytest

from gateway.rpc.errors import Refusal
from gateway.rpc.quota import AddressQuota


class _Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_quota_used_up_refuses_with_a_delay_and_opens_again() -> None:
    """An address that asks too often is told when to ask again, and then may."""
    time = _Time()
    quota = AddressQuota(burst=2, per_second=0.5, now=time)
    quota.take("ipv4:192.0.2.1:1000")
    quota.take("ipv4:192.0.2.1:1001")
    with pytest.raises(Refusal) as caught:
        quota.take("ipv4:192.0.2.1:1002")
    assert (caught.value.reason, caught.value.retry_seconds) == ("QUOTA_EXCEEDED", 2.0)
    time.now += 2.0
    quota.take("ipv4:192.0.2.1:1003")


def test_quota_is_per_address_whatever_the_port() -> None:
    """One address does not use up another's quota, and a new port is no new address."""
    quota = AddressQuota(burst=1, per_second=1, now=_Time())
    quota.take("ipv6:[2001:db8::1]:1000")
    quota.take("ipv4:192.0.2.1:1000")
    with pytest.raises(Refusal):
        quota.take("ipv6:[2001:db8::1]:2000")


def test_quota_forgets_old_addresses_instead_of_growing() -> None:
    """Memory stays bounded under a flood of addresses."""
    quota = AddressQuota(burst=1, per_second=1, now=_Time(), addresses_max=3)
    for number in range(50):
        quota.take(f"ipv4:192.0.2.{number}:1")
    assert len(quota._buckets) == 3
