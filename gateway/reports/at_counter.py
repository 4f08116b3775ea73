"""What the authority booked itself, as the feed of its counter told it: its cases, and its sales. Pure.

A city's shares are of everything that was registered: Linyi's online rate and Taizhou's pre-notices on second-hand
sales (S13, S15; handbook 2.5) would flatter themselves if they were of the gateway's own cases alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Final

from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    FeedMoved,
    RightBooked,
    RightEnded,
    UnitRecorded,
)
from gateway.cases.feed import ENDED_AT_COUNTER
from gateway.register.model import Mortgage, Ownership, PreNotice, PreNoticeKind

#: Rights whose booking is somebody's application; a seizure is nobody's.
_APPLIED_FOR: Final = (Ownership, Mortgage, PreNotice)

_SALES: Final = (PreNoticeKind.PRESALE_SALE, PreNoticeKind.OTHER_SALE)


class AtCounter:
    """Folds entries, in order; only what was booked when `within` says so is counted.

    cases: bookings and releases, one a case. sales: second-hand; of these `noted` had a pre-notice, `lent` a new
    mortgage in the same case, `both` the one and the other.
    """

    def __init__(self, within: Callable[[dt.datetime], bool]) -> None:
        self._within = within
        self._notices: dict[str, PreNotice] = {}  # live pre-notices of sales, by id
        self.cases = 0
        self.sales = 0
        self.noted = 0
        self.lent = 0
        self.both = 0

    def take(self, effects: Iterable[AnyEffect]) -> None:
        """One entry."""
        effects = tuple(effects)
        kinds = {type(effect) for effect in effects}
        booked = [
            e.right for e in effects if isinstance(e, RightBooked) and isinstance(e.right, _APPLIED_FOR)
        ]
        ended = [e for e in effects if isinstance(e, RightEnded)]
        if FeedMoved in kinds:
            self._count_feed(booked, ended)
        elif not kinds & {ApplicationRecorded, UnitRecorded} and any(
            self._within(right.booked_at) for right in booked
        ):
            self.cases += (
                1  # an import records the units with their rights; who books a right alone is the counter
            )
        for right in booked:
            if isinstance(right, PreNotice) and right.kind in _SALES:
                self._notices[right.right_id] = right
        for end in ended:
            self._notices.pop(end.right_id, None)

    def _count_feed(self, booked: list[Ownership | Mortgage | PreNotice], ended: list[RightEnded]) -> None:
        """One act, or those too that waited behind a hole which it closed: a case each, by its number."""
        numbers = {r.case_number or r.right_id for r in booked if self._within(r.booked_at)}
        numbers |= {
            e.case_number or e.right_id
            for e in ended
            if e.reason == ENDED_AT_COUNTER and self._within(e.ended_at)
        }
        self.cases += len(numbers)
        for right in booked:
            if isinstance(right, Ownership) and self._within(right.booked_at):
                self._count_sale(right, booked, ended)

    def _count_sale(
        self, sold: Ownership, booked: list[Ownership | Mortgage | PreNotice], ended: list[RightEnded]
    ) -> None:
        """A new owner for a price, in the place of another; of a pre-sold home it is a new one's first sale."""
        units = set(sold.units)
        gone = {e.right_id for e in ended}
        noted = [n for n in self._notices.values() if n.right_id in gone and units & set(n.units)]
        new_build = any(n.kind is PreNoticeKind.PRESALE_SALE for n in noted)
        if not sold.price_fen or new_build or not any(e.by == sold.right_id for e in ended):
            return
        lent = any(isinstance(r, Mortgage) and units & set(r.units) for r in booked)
        self.sales += 1
        self.noted += bool(noted)
        self.lent += lent
        self.both += bool(noted) and lent
