"""What every signed statement has, and its bytes (docs/statements.md)."""

from __future__ import annotations

from typing import Final

import msgspec

PAYOUT_TYPE: Final = "application/vnd.diya.payout.v1+json"
DAILY_TYPE: Final = "application/vnd.diya.daily.v1+json"
PORTFOLIO_TYPE: Final = "application/vnd.diya.portfolio.v1+json"


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything in a statement: written whole, so that its bytes do not hang on defaults."""


class Statement(Value, frozen=True, kw_only=True):
    """What every statement has: its schema, the registry, and the authority whose seal must be under it."""

    schema: str
    registry: str
    issuer_name: str
    issuer_code: str  # USCC of the authority: the identity number in the sealing certificate


def encode(statement: Statement) -> bytes:
    """The bytes that are signed: compact JSON in field order."""
    return msgspec.json.encode(statement)
