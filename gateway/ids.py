"""Identifiers drawn by the shell."""

from __future__ import annotations

import datetime as dt
import uuid


def uuid7(now: dt.datetime, entropy: bytes) -> uuid.UUID:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds since 1970, then 74 bits of `entropy` (at least 10 bytes).

    Ids made in order sort in order, so an index over them grows at one end.
    """
    milliseconds = int(now.timestamp() * 1000) & (2**48 - 1)
    random = int.from_bytes(entropy[:10], "big")
    value = milliseconds << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (2**62 - 1)
    return uuid.UUID(int=value)
