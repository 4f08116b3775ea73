"""The counter's feed as values: where it stands, what its acts say, the cases that run at the counter (handbook 1.5).

One running number covers every act. A number that is missing, or a feed that has fallen silent, means that the
register may be behind the authority's own counter: no rule decides then, a person may.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TypeAlias

from gateway.register.model import AnyRight, Dissent, Easement, Habitation, Seizure, Unit, UnitHold, Value

#: Open cases of the counter stand in the queue under this prefix, apart from our applications.
COUNTER = "counter:"


#: Reasons of a row that the counter ended, or replaced by a new one.
ENDED_AT_COUNTER = "ENDED_AT_COUNTER"
SUPERSEDED_AT_COUNTER = "SUPERSEDED_AT_COUNTER"


class FeedState(Value, frozen=True, kw_only=True):
    """Where the feed stands: nothing is missing up to `last`; `ahead` are numbers that came past a hole."""

    last: int = 0
    ahead: tuple[int, ...] = ()
    as_of: dt.datetime | None = None

    @property
    def highest(self) -> int:
        """The highest number that came."""
        return self.ahead[-1] if self.ahead else self.last

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The holes, each as first and last missing number."""
        holes = []
        before = self.last
        for number in self.ahead:
            if number > before + 1:
                holes.append((before + 1, number - 1))
            before = number
        return tuple(holes)

    def is_stale(self, lag_minutes: int, now: dt.datetime) -> bool:
        """Whether the counter is known too short; a `lag_minutes` of 0 says that the place has no feed to wait for."""
        if not lag_minutes:
            return False
        return self.as_of is None or now - self.as_of > dt.timedelta(minutes=lag_minutes)

    def is_gap(self, lag_minutes: int, now: dt.datetime) -> bool:
        """Whether automatic decisions stop: state DATA_FEED_GAP of blocks.csv."""
        return bool(self.ahead) or self.is_stale(lag_minutes, now)

    def taking(self, sequence: int, as_of: dt.datetime) -> FeedState:
        """The feed once this number has come too."""
        known = sorted({*self.ahead, sequence})
        last = self.last
        while known and known[0] == last + 1:
            last = known.pop(0)
        seen = as_of if self.as_of is None else max(self.as_of, as_of)
        return FeedState(last=last, ahead=tuple(known), as_of=seen)


class RestrictionVerb(StrEnum):
    """What a restriction act does; values of the contract."""

    ENTER = "ENTER"
    LIFT = "LIFT"
    RENEW = "RENEW"
    SUIT_FILED = "SUIT_FILED"


AnyRestriction: TypeAlias = Seizure | Dissent | Habitation | Easement


class Restriction(Value, tag="RESTRICTION", tag_field="act", frozen=True, kw_only=True):
    """A restriction that reached the authority from outside.

    `right` is the restriction as the counter tells it: its `right_id` is empty, or names a row of our register.
    """

    sequence: int
    as_of: dt.datetime
    verb: RestrictionVerb
    right: AnyRestriction

    @property
    def unit_codes(self) -> tuple[str, ...]:
        """Units that it is about."""
        return self.right.units

    @property
    def has_effect_at_once(self) -> bool:
        """Whether it counts although numbers before it are missing: a known service is never waited with (EX 23)."""
        return self.verb is RestrictionVerb.ENTER


class CounterUnit(Value, frozen=True, kw_only=True):
    """What a counter's act says of one unit: rights that live from now on, rights that ended; `unit` when it is new,
    `holds` when a correction sets them.
    """

    unit_code: str
    unit: Unit | None = None
    names: tuple[
        str, ...
    ] = ()  # of an open case: ids, or certificate numbers, of the rights that it is about
    live: tuple[AnyRight, ...] = ()
    ended: tuple[AnyRight, ...] = ()
    #: Case numbers of the rows that live rights supersede (SSYWH), by the live right's place; "" for none.
    supersedes: tuple[str, ...] = ()
    holds: tuple[UnitHold, ...] = ()


class CounterEntry(Value, tag="COUNTER", tag_field="act", frozen=True, kw_only=True):
    """A booking or an open case of the counter; without a case number a mere sign of life."""

    sequence: int
    as_of: dt.datetime
    type: str = ""
    case_number: str = ""
    accepted_at: dt.datetime | None = None
    booked_at: dt.datetime | None = None
    closed: bool = False
    units: tuple[CounterUnit, ...] = ()

    @property
    def unit_codes(self) -> tuple[str, ...]:
        """Units that it is about: those it names, then whatever else its rights lie on (an easement's other unit)."""
        rights = [right for unit in self.units for right in (*unit.live, *unit.ended)]
        named = [unit.unit_code for unit in self.units]
        return tuple(dict.fromkeys((*named, *(code for right in rights for code in right.units))))

    @property
    def is_open(self) -> bool:
        """Whether the case was accepted at the counter and goes on."""
        return bool(self.case_number) and self.booked_at is None and not self.closed

    @property
    def has_effect_at_once(self) -> bool:
        """Whether it counts although numbers before it are missing: a place in the queue harms nobody's booking, and a
        seizure that is known is never waited with (EX 23).
        """
        seizes = any(isinstance(right, Seizure) for unit in self.units for right in unit.live)
        return self.is_open or (seizes and not any(unit.ended for unit in self.units))


AnyFeedAct: TypeAlias = Restriction | CounterEntry


class CounterCase(Value, frozen=True, kw_only=True):
    """A case of the counter: its place on each unit (`accepted_index`), and the rights that it names."""

    case_number: str
    type: str
    accepted_at: dt.datetime
    places: dict[str, int]
    known_index: int  # the entry by which we first knew of it
    rights: tuple[str, ...] = ()
    is_open: bool = True
    holds_correction: tuple[str, ...] = ()  # units on which it put CORRECTION_PENDING

    @property
    def queue_id(self) -> str:
        """Under what it stands in the queue."""
        return COUNTER + self.case_number


class Notice(Value, frozen=True, kw_only=True):
    """A seizure that an institution was told of, by the number of its event, and has not yet stated to have read."""

    right_id: str
    sequence: int
