"""Rank 顺位 of mortgages on one unit (CC 409, 414; RD 67; SIG 52; handbook 3.2).

Two ranks and a priority date: the rank at registration is printed and never changes, the current
rank is computed from the live rows. Release of the first promotes the rest in fact, unbooked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from gateway.register.model import Mortgage, UnitState, in_order_of_rank


def current_ranks(mortgages: Iterable[Mortgage]) -> Mapping[str, int]:
    """Current rank of each live mortgage of one unit, by right id, from 1.

    A total preorder: equal only by agreement, never by accident of time. After two of rank 1 comes
    rank 2 (one unit's ranks have no gaps).
    """
    order = in_order_of_rank(mortgages)
    return MappingProxyType(
        {mortgage.right_id: rank for rank, them in enumerate(order, 1) for mortgage in them}
    )


def next_rank(state: UnitState) -> int:
    """The rank that a mortgage booked now on this unit is printed with: after every live one."""
    return len(in_order_of_rank(state.mortgages)) + 1


def rank_from(state: UnitState, priority_date: dt.datetime) -> int:
    """The rank that a mortgage booked now is printed with when it counts from `priority_date` (CC 414; SIG 52).

    A converted mortgage pre-notice goes before what was registered after the pre-notice.
    """
    order = in_order_of_rank(state.mortgages)
    before = [them for them in order if any(m.priority_date <= priority_date for m in them)]
    return len(before) + 1


def adverse_to(state: UnitState, agreed_rank: int | None) -> tuple[Mortgage, ...]:
    """Live mortgages that a new one of `agreed_rank` would go before or beside (RD 67; CC 409).

    Their mortgagees must agree: state ADVERSE_TO_OTHER_MORTGAGEE of blocks.csv. Empty without an
    agreement, and for one that puts the new mortgage last. Asked is whom the register's order passes in
    the end, and whom the parties' number passes: since a release the two need not be the same.
    """
    rows = state.mortgages
    if agreed_rank is None or not rows:
        return ()
    new = replace(
        rows[-1],
        right_id="",
        agreed_rank=agreed_rank,
        rank_at_registration=next_rank(state),
        priority_date=max(row.priority_date for row in rows) + dt.timedelta(microseconds=1),
    )
    before, after = current_ranks(rows), current_ranks((*rows, new))
    return tuple(
        row
        for row in rows
        if before[row.right_id] >= agreed_rank or after[row.right_id] >= after[new.right_id]
    )
