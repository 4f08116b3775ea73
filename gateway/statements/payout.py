"""A statement on paying out: each condition by itself, what it rests on, until when it holds, what would void it."""

from __future__ import annotations

import datetime as dt
from typing import Final

from gateway.statements.signed import Statement, Value

PAYOUT_SCHEMA: Final = "diya-payout/v1"

HOLDS: Final = "HOLDS"
FAILS: Final = "FAILS"


class Condition(Value, frozen=True, kw_only=True):
    """One condition: its code, whether it HOLDS or FAILS, why, and the article that asks for it."""

    code: str
    result: str
    article: str
    zh: str
    en: str


class Voiding(Value, frozen=True, kw_only=True):
    """Something that would end what the statement says before its time is over."""

    code: str
    zh: str
    en: str


class Leg(Value, frozen=True, kw_only=True):
    """A leg of the funds plan and where it stands. `state` as in FundsLegStanding; the payee's account by its end."""

    leg: int
    trigger: str
    state: str
    purpose: str
    amount_fen: int
    payer: str
    payee: str
    payee_locked: bool
    account_ending: str
    since: dt.datetime | None
    zh: str
    en: str


class Secured(Value, frozen=True, kw_only=True):
    """The right that secures the loan, as the register has it. `ranks_now` by unit code; amounts in fen."""

    right_id: str
    kind: str  # MORTGAGE or PRE_NOTICE
    holders: tuple[str, ...]  # names
    holder_codes: tuple[str, ...]
    unit_codes: tuple[str, ...]
    amount_fen: int
    currency: str
    rank_printed: int
    ranks_now: dict[str, int]


class Proof(Value, frozen=True, kw_only=True):
    """The certificate: its content and its sealed file by hex SHA-256, the entry and part that hold the content."""

    identifier: str
    number: str
    state: str
    content_sha256: str
    pdf_sha256: str
    index: int
    part: str


class PayoutStatement(Statement, frozen=True, kw_only=True):
    """Whether the loan may be paid out, as of one entry of the ledger.

    `as_of_hash` is the entry hash (hex) of entry `as_of_index`: with it the whole chain before it is fixed. `safe` is
    so where every condition HOLDS. After `valid_until` it says nothing any more.
    """

    asked_by: str  # USCC
    application: str
    case_number: str
    proof: Proof
    secured: Secured | None
    safe: bool
    conditions: tuple[Condition, ...]
    legs: tuple[Leg, ...]
    origin: str
    as_of_index: int
    as_of: dt.datetime
    as_of_hash: str
    made_at: dt.datetime
    valid_until: dt.datetime
    voided_by: tuple[Voiding, ...]
    test: bool

    def expired(self, at: dt.datetime) -> bool:
        """Whether its time is over."""
        return at >= self.valid_until

    @property
    def failing(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(one for one in self.conditions if one.result != HOLDS)
