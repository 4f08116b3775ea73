"""Day-end statements: what an institution was told on a day, and which mortgages it holds as of an entry.

A digest is SHA-256 (hex) over lines of ASCII and UTF-8, each ended by 0x0A, fields parted by one space; a bank computes
the same from its own records and compares one value. The form of each line stands with its struct.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Final

from gateway.statements.signed import Statement, Value

DAILY_SCHEMA: Final = "diya-daily/v1"
PORTFOLIO_SCHEMA: Final = "diya-portfolio/v1"

#: Lines that a statement carries itself; the digest is over all of them, and `WatchEvents` has every event.
LINES_MAX: Final = 5000


class EventLine(Value, frozen=True, kw_only=True):
    """An event of the day. Line: sequence, kind, application id, ledger index."""

    sequence: int
    kind: str
    application: str
    certificate: str
    case_number: str
    index: int

    @property
    def line(self) -> str:
        """What goes into the digest."""
        return f"{self.sequence} {self.kind} {self.application} {self.index}\n"


class RightLine(Value, frozen=True, kw_only=True):
    """A mortgage or pre-notice of the institution. Line: right id, proof number, fen, currency, rank.

    `rank` as registered, an agreed one where there is one; 0 for a pre-notice.
    """

    right_id: str
    kind: str
    proof_number: str
    amount_fen: int
    currency: str
    rank: int
    index: int

    @property
    def line(self) -> str:
        """What goes into the digest."""
        return f"{self.right_id} {self.proof_number} {self.amount_fen} {self.currency} {self.rank}\n"


class Rights(Value, frozen=True, kw_only=True):
    """Rights of one kind of change: how many, how much by currency, the digest, and the lines (at most LINES_MAX)."""

    count: int
    amounts_fen: dict[str, int]
    digest: str
    lines: tuple[RightLine, ...]


class DailyStatement(Statement, frozen=True, kw_only=True):
    """One day in China of one institution (branch), the same bytes whenever it is asked for.

    `first_index` to `last_index` are the ledger's entries of the day (first > last when there was none); sequences
    those of the institution's events likewise. `counts` by kind of event. `begun` and `ended` are rights that it holds
    or held.
    """

    institution: str
    day: dt.date
    origin: str
    first_index: int
    last_index: int
    first_sequence: int
    last_sequence: int
    counts: dict[str, int]
    events_digest: str
    events: tuple[EventLine, ...]
    begun: Rights
    ended: Rights
    test: bool


class PortfolioStatement(Statement, frozen=True, kw_only=True):
    """The live mortgages of one institution as of one entry, in the order of their ids as text."""

    institution: str
    origin: str
    as_of_index: int
    as_of: dt.datetime
    as_of_hash: str
    count: int
    amounts_fen: dict[str, int]
    digest: str
    test: bool


def digest_of(lines: Iterable[str]) -> str:
    """Hex SHA-256 over lines in their order."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def rights_of(lines: Iterable[RightLine]) -> Rights:
    """Rights in the order of their ids as text, counted, summed and digested."""
    rows = sorted(lines, key=lambda row: row.right_id)
    return Rights(
        count=len(rows),
        amounts_fen=sums_of(rows),
        digest=digest_of(row.line for row in rows),
        lines=tuple(rows[:LINES_MAX]),
    )


def sums_of(rows: Iterable[RightLine]) -> dict[str, int]:
    """Amounts in fen by currency, currencies sorted."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, 0) + row.amount_fen
    return dict(sorted(sums.items()))
