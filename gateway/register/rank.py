"""Rank 顺位 of mortgages on one unit (CC 409, 414; RD 67; SIG 52; handbook 3.2).

Two ranks and a priority date: the rank at registration is printed and never changes, the current
rank is computed from the live rows. Release of the first promotes the rest in fact, unbooked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from gateway.register.model import AgreedPlace, Mortgage, UnitState, in_order_of_rank

#: Stands for a mortgage that has no id yet; no right has it.
_NEW: Final = "new"


def current_ranks(mortgages: Iterable[Mortgage]) -> Mapping[str, int]:
    """Current rank of each live mortgage of one unit, by right id, from 1.

    A total preorder: equal only by agreement, never by accident of time. After two of rank 1 comes
    rank 2 (one unit's ranks have no gaps).
    """
    order = in_order_of_rank(mortgages)
    return MappingProxyType(
        {mortgage.right_id: rank for rank, them in enumerate(order, 1) for mortgage in them}
    )


def rank_from(state: UnitState, priority_date: dt.datetime) -> int:
    """The rank that a mortgage booked now is printed with when it counts from `priority_date` (CC 414; SIG 52).

    A converted mortgage pre-notice goes before what was registered after the pre-notice, unless that was agreed to go
    before an older one.
    """
    if not state.mortgages:
        return 1
    new = replace(
        state.mortgages[0],
        right_id=_NEW,
        began_as="",
        priority_date=priority_date,
        rank_at_registration=len(state.mortgages) + 1,
        agreed_rank=None,
        agreed_place=None,
    )
    return current_ranks([*state.mortgages, new])[_NEW]


def adverse_to(state: UnitState, agreed_rank: int | None) -> tuple[Mortgage, ...]:
    """Live mortgages that a new one of `agreed_rank` would go before or beside (RD 67; CC 409).

    Their mortgagees must agree: state ADVERSE_TO_OTHER_MORTGAGEE of blocks.csv. Empty without an
    agreement, and for one that puts the new mortgage last. An agreed rank is a place in the order
    of that day, whatever the mortgages in it were printed with.
    """
    if agreed_rank is None:
        return ()
    return tuple(m for them in in_order_of_rank(state.mortgages)[agreed_rank - 1 :] for m in them)


def place_agreed(
    states: Iterable[UnitState], agreed_rank: int | None, *, row: str, at: dt.datetime, own: str = ""
) -> AgreedPlace | None:
    """The place that an agreed rank is, booked now in `row`; `own` is the mortgage's identity where it has one already.

    Beside whoever agreed the same rank and stands there, else before whoever does (handbook 3.2).
    """
    if agreed_rank is None:
        return None
    behind: list[Mortgage] = []
    beside: list[Mortgage] = []
    before: list[Mortgage] = []
    for state in states:
        order = in_order_of_rank(m for m in state.mortgages if m.identity != own)
        behind += [m for them in order[: agreed_rank - 1] for m in them]
        for place, them in enumerate(order[agreed_rank - 1 :]):
            equal = place == 0 and them[0].agreed_rank == agreed_rank
            (beside if equal else before).extend(them)
    return AgreedPlace(
        at=at, row=row, behind=_identities(behind), beside=_identities(beside), before=_identities(before)
    )


def passed_by(state: UnitState, old: Mortgage, new: Mortgage) -> tuple[Mortgage, ...]:
    """Other mortgages on a unit that stand worse to the mortgage in row `new` than they stood to it in `old`: passed,
    or no longer before it (CC 409).
    """
    others = [m for m in state.mortgages if m.identity != old.identity]
    was, will = current_ranks([*others, old]), current_ranks([*others, new])

    def standing(ranks: Mapping[str, int], other: Mortgage, own: Mortgage) -> int:
        return (ranks[other.right_id] > ranks[own.right_id]) - (ranks[other.right_id] < ranks[own.right_id])

    return tuple(m for m in others if standing(will, m, new) > standing(was, m, old))


def _identities(mortgages: Iterable[Mortgage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.identity for m in mortgages))
