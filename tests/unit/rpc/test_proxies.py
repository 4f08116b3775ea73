"""Where a proxy calls from, as gRPC tells it."""

from __future__ import annotations

import pytest

from gateway.rpc.proxies import address_of


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.3.7:50211", "10.0.3.7"),
        ("ipv6:[2001:db8::7]:50211", "2001:db8::7"),
        ("ipv6:%5B2001:db8::7%5D:50211", "2001:db8::7"),
        ("ipv6:%5Bfe80::7%25eth0%5D:50211", "fe80::7"),
        ("ipv6:%5B::ffff:10.0.3.7%5D:50211", "10.0.3.7"),
        ("unix:/run/diya.sock", "None"),
    ],
)
def test_address_of_a_peer(peer: str, address: str) -> None:
    """Of either family, bracketed, escaped, with a zone; an IPv4 address that came over a socket for both is one."""
    assert str(address_of(peer)) == address
