"""What a seal key sealed: counted, and listed in the order of sealing."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, literal, or_, select, tuple_

from gateway.storage import tables as t
from gateway.storage.working import Row, instant

_T = t.certificate.c


def count_sealed(
    connection: Connection, registry: str, key_id: str, since: dt.datetime | None, *, first: bool
) -> int:
    """How many certificates a key sealed, from `since` on where that is given. `first`: it is the registry's first
    key, whose early seals do not name it.
    """
    statement = (
        select(func.count()).select_from(t.certificate).where(_by(registry, key_id, since, first=first))
    )
    return connection.execute(statement).scalar() or 0


def read_sealed(
    connection: Connection,
    registry: str,
    key_id: str,
    since: dt.datetime | None,
    after: tuple[Any, ...] | None,
    limit: int,
    *,
    first: bool,
) -> list[Row]:
    """Rows of those certificates by instant of sealing and identifier, behind the position `after` of these two."""
    statement = select(t.certificate).where(_by(registry, key_id, since, first=first))
    if after is not None:
        statement = statement.where(tuple_(_T.sealed_at, _T.identifier) > tuple_(*map(literal, after)))
    statement = statement.order_by(_T.sealed_at, _T.identifier).limit(limit)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _by(registry: str, key_id: str, since: dt.datetime | None, *, first: bool) -> ColumnElement[bool]:
    by_key = or_(_T.seal_key_id == key_id, _T.national_key_id == key_id)
    if first:
        by_key = or_(by_key, _T.seal_key_id.is_(None))
    conditions = [_T.registry == registry, _T.sealed_at.is_not(None), by_key]
    if since is not None:
        conditions.append(_T.sealed_at >= instant(since))
    return and_(*conditions)
