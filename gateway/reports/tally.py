"""The fold behind `diya report`: effects of entries in, one small record a deal kept. Pure.

A deal is a case with all its phases. Of each phase a few times and sums are kept and nothing of the parties, so that a
ledger of years is counted in one pass and in little memory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CalendarSet,
    CertificateNumbered,
    CertificateSealed,
)
from gateway.cases.model import Application, ConsentKind, Counted, Lenders, Sold, State
from gateway.register.calendar import PACKAGED
from gateway.reports.at_counter import AtCounter

#: What ends the old mortgage of a deal.
_RELEASES: Final = frozenset({"MORTGAGE_RELEASE", "CONSTRUCTION_MORTGAGE_RELEASE"})


@dataclass(slots=True)
class Phase:
    """One booked application of a deal."""

    operations: int
    submitted_at: dt.datetime
    accepted_at: dt.datetime | None
    booked_at: dt.datetime
    counted: Counted
    loan_kind: str
    by_rule: bool  # no person reviewed it
    releases: bool
    unsealed: int = 0  # certificates still to be sealed
    sealed_at: dt.datetime | None = None  # of the last of them
    paid_out_at: dt.datetime | None = None
    payoff_confirmed_at: dt.datetime | None = None


@dataclass(slots=True)
class Deal:
    """A case: its name among the modes, and its booked phases by application."""

    mode: str
    phases: dict[str, Phase] = field(default_factory=dict)

    @property
    def first(self) -> Phase:
        """The phase that was filed first."""
        return min(self.phases.values(), key=lambda p: p.submitted_at)

    @property
    def last(self) -> Phase:
        """The phase that was booked last."""
        return max(self.phases.values(), key=lambda p: p.booked_at)

    @property
    def sale(self) -> Phase | None:
        """The phase that booked the sale."""
        return next((p for p in self.phases.values() if p.counted.sold), None)

    @property
    def price_fen(self) -> int:
        """The price; a later phase says the same one again."""
        return max(p.counted.price_fen for p in self.phases.values())

    @property
    def loan_fen(self) -> int:
        """The new loans; a later phase says the same ones again."""
        return max(p.counted.loan_fen for p in self.phases.values())

    @property
    def amount_fen(self) -> int:
        """What the deal moves: the price of a sale, else the loan (S10: 涉及资金)."""
        return self.price_fen or self.loan_fen

    @property
    def balance_fen(self) -> int:
        """The old loan that nobody had to pay off before the sale (S10: 垫资); 0 where there was none."""
        return max(p.counted.balance_fen for p in self.phases.values()) if self.price_fen else 0

    @property
    def lenders(self) -> Lenders | None:
        """Whether an old bank and a new one met in it."""
        return next((p.counted.lenders for p in self.phases.values() if p.counted.lenders), None)

    @property
    def is_second_hand_sale(self) -> bool:
        """Whether it booked the sale of a home that had an owner."""
        return self.sale is not None and self.sale.counted.sold is Sold.SECOND_HAND

    @property
    def has_loan(self) -> bool:
        """Whether the buyer borrowed, by what the parties declared or by a mortgage of the deal."""
        return self.loan_fen > 0 or any(p.loan_kind != "NONE" for p in self.phases.values())

    @property
    def applications_saved(self) -> int:
        """Each operation would be an application, an examination and a booking of its own (S12: 2 became 1)."""
        return sum(p.operations for p in self.phases.values()) - len(self.phases)


class Tally:
    """Folds the effects of entries, in order. Only what was booked within [start, stop) is a figure."""

    def __init__(self, start: dt.datetime | None = None, stop: dt.datetime | None = None) -> None:
        self._start = start
        self._stop = stop
        self._booked: dict[str, Phase] = {}
        self._certificates: dict[str, Phase] = {}
        self.deals: dict[str, Deal] = {}
        self._filed: set[str] = set()
        self.not_accepted = 0  # of these, those answered NOT_ACCEPTED at once
        self.calendar = PACKAGED  # as the last import left it
        self.at_counter = AtCounter(self._within)

    @property
    def filed(self) -> int:
        """Applications that came in within the period."""
        return len(self._filed)

    def take(self, effects: Iterable[AnyEffect]) -> None:
        """One entry."""
        effects = tuple(effects)
        self.at_counter.take(effects)
        for effect in effects:
            match effect:
                case ApplicationRecorded():
                    self._application(effect.application)
                case CalendarSet():
                    self.calendar = PACKAGED.with_years(effect.calendar)
                case CertificateNumbered():
                    self._numbered(effect)
                case CertificateSealed():
                    self._sealed(effect)
                case _:
                    pass

    def _within(self, at: dt.datetime) -> bool:
        return (self._start is None or at >= self._start) and (self._stop is None or at < self._stop)

    def _application(self, row: Application) -> None:
        is_new = row.submitted_index == row.last_index and row.application_id not in self._filed
        if is_new and self._within(row.submitted_at):
            self._filed.add(row.application_id)  # a row may be recorded again with no act of its own
            self.not_accepted += row.state is State.NOT_ACCEPTED
        if row.state is not State.BOOKED or row.booked_at is None:
            return
        phase = self._booked.get(row.application_id)
        if phase is None and self._within(row.booked_at):
            phase = self._book(row, row.booked_at)
        if phase is not None:
            phase.paid_out_at = _first(row, ConsentKind.PAID_OUT)
            phase.payoff_confirmed_at = _first(row, ConsentKind.PAYOFF_CONFIRMED)

    def _book(self, row: Application, booked_at: dt.datetime) -> Phase:
        phase = Phase(
            operations=len(row.operations),
            submitted_at=row.submitted_at,
            accepted_at=row.accepted_at,
            booked_at=booked_at,
            counted=row.counted,
            loan_kind=row.loan_kind,
            by_rule=not row.reviewed_by,
            releases=bool(_RELEASES & set(row.operations)),
        )
        case = row.case.rpartition("/")[2] or row.application_id
        mode = row.mode or " + ".join(dict.fromkeys(row.operations))
        deal = self.deals.setdefault(case, Deal(mode=mode))
        deal.phases[row.application_id] = phase
        self._booked[row.application_id] = phase
        return phase

    def _numbered(self, effect: CertificateNumbered) -> None:
        phase = self._booked.get(effect.application_id)
        if phase is not None:
            phase.unsealed += 1
            self._certificates[effect.identifier] = phase

    def _sealed(self, effect: CertificateSealed) -> None:
        phase = self._certificates.pop(effect.identifier, None)
        if phase is not None:
            phase.unsealed -= 1
            phase.sealed_at = max(phase.sealed_at or effect.sealed_at, effect.sealed_at)


def _first(row: Application, kind: ConsentKind) -> dt.datetime | None:
    """When this was first stated, of what still stands."""
    return min((c.at for c in row.consents if c.kind is kind and c.stands), default=None)
