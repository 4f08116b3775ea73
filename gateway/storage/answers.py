"""Which statements and extracts were sealed, and with what: kept, and read by key."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, insert, literal, or_, select, tuple_

from gateway.storage import tables as t
from gateway.storage.working import Row, instant

_T = t.sealed_answer.c


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """One of them. kind: EXTRACT, PAYOUT, DAILY or PORTFOLIO. sha256: hex, of the file or envelope. asked_by: USCC or
    registrar's id. subject: an extract's number, a certificate's identifier, a day, an institution. entry_index: as of
    which entry it speaks.
    """

    registry: str
    sha256: str
    kind: str
    asked_by: str
    subject: str
    entry_index: int
    seal_key_id: str
    national_key_id: str
    sealed_at: dt.datetime
    stamped: bool


def keep_answer(connection: Connection, answer: SealedAnswer) -> None:
    """Keep what was sealed. The same bytes may be sealed twice (a deterministic signature): the first row stays."""
    same = select(_T.sha256).where(_T.registry == answer.registry, _T.sha256 == answer.sha256)
    if connection.execute(same).first() is None:
        values = asdict(answer) | {"sealed_at": instant(answer.sealed_at)}
        connection.execute(insert(t.sealed_answer), values)


def read_answers(
    connection: Connection,
    registry: str,
    key_id: str,
    since: dt.datetime | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Row]:
    """Rows of those that a key sealed, of either suite, by instant of sealing and digest, behind the position `after`
    of these two.
    """
    by_key = or_(_T.seal_key_id == key_id, _T.national_key_id == key_id)
    statement = select(t.sealed_answer).where(_T.registry == registry, by_key)
    if since is not None:
        statement = statement.where(_T.sealed_at >= instant(since))
    if after is not None:
        statement = statement.where(tuple_(_T.sealed_at, _T.sha256) > tuple_(*map(literal, after)))
    statement = statement.order_by(_T.sealed_at, _T.sha256).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]
