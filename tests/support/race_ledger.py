"""What a ledger says of a race, read from its effects alone and judged by a few sentences of the handbook (3.4).

It shares nothing with what decided but the effects' own shapes: no table of blocks, no guard, no views.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from gateway.cases.effects import (
    ApplicationRecorded,
    CounterCaseRecorded,
    LenderTold,
    RightBooked,
    RightEnded,
    decode_effects,
)
from gateway.cases.model import QUEUED, Application, State
from gateway.register.model import AnyRight, Mortgage, Ownership, PreNotice, Seizure
from tests.support.stage import Town

#: What disposes of the unit or burdens it (CC 399(5); REAL 38); a release does neither (CC 393).
_DISPOSES = {"OWNERSHIP_TRANSFER", "MORTGAGE_FIRST", "PRE_NOTICE_CREATE"}


@dataclass
class Row:
    """A right as the entries tell it."""

    right: AnyRight
    booked: int
    ended: int | None = None
    ended_at: dt.datetime | None = None


@dataclass
class RaceLedger:
    """A registry's entries, folded by hand. `wrong` is whatever the handbook does not allow."""

    rows: dict[str, Row] = field(default_factory=dict)
    cases: dict[str, Application] = field(default_factory=dict)
    first_accepted: dict[str, tuple[dt.datetime, int]] = field(
        default_factory=dict
    )  # case number: when, entry
    at_counter: dict[str, set[str]] = field(default_factory=dict)  # case of the counter: its units
    told: list[LenderTold] = field(default_factory=list)
    stopped: int = 0
    booked_here: int = 0
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, town: Town, registry: str) -> RaceLedger:
        """All entries, in order."""
        ledger, found = town.gateway.ledger, cls()
        with town.gateway._reader.begin() as connection:
            size = ledger.head(connection, registry, for_update=False).size
            parts = [
                (p.index, p.content) for p in ledger.iterate_part(connection, registry, "effects", 0, size)
            ]
        for index, content in parts:
            found._entry(index, decode_effects(content))
        return found

    def live(self, unit: str, kind: Any = object) -> list[Any]:
        """Rights on a unit now."""
        return [
            row.right
            for row in self.rows.values()
            if row.ended is None and unit in row.right.units and isinstance(row.right, kind)
        ]

    def _entry(self, index: int, effects: tuple[Any, ...]) -> None:
        before = {unit: self._barring(unit) for unit in self._units(effects)}
        mine = [e.application for e in effects if isinstance(e, ApplicationRecorded)]
        for row in mine:
            known = self.cases.get(row.name)
            if row.state is State.BOOKED and (known is None or known.state is not State.BOOKED):
                self._booked(index, row, before)
        seizures = [e.right for e in effects if isinstance(e, RightBooked) and isinstance(e.right, Seizure)]
        open_then = [row for row in self.cases.values() if row.state in QUEUED]
        lenders = {s.right_id: self._lenders(s, open_then) for s in seizures}
        for effect in effects:
            self._fold(index, effect)
        for seizure in seizures:
            if not seizure.renewed_from and not seizure.from_pre_seizure:
                told = [
                    e.institution
                    for e in effects
                    if isinstance(e, LenderTold) and e.right_id == seizure.right_id
                ]
                self._entered(index, seizure, open_then, {r.name: r for r in mine}, told, lenders)

    def _units(self, effects: tuple[Any, ...]) -> set[str]:
        return {code for e in effects if isinstance(e, ApplicationRecorded) for code in e.application.units}

    def _barring(self, unit: str) -> list[Seizure]:
        """Live seizures that bar: directed at an owner, or served before whoever owns now was booked."""
        owned = self.live(unit, Ownership)
        return [
            s
            for s in self.live(unit, Seizure)
            if not owned
            or s.target.key in {o.person.key for o in owned[0].owners}
            or s.served_at <= owned[0].booked_at
        ]

    def _booked(self, index: int, row: Application, before: dict[str, list[Seizure]]) -> None:
        self.booked_here += 1
        barred = [s for code in row.units for s in before.get(code, ())]
        if barred and _DISPOSES & set(row.operations):
            self.wrong.append(f"entry {index}: {row.operations} booked under {[s.right_id for s in barred]}")

    def _lenders(self, seizure: Seizure, cases: list[Application]) -> set[str]:
        """Who has a mortgage, a pre-notice or an open case on the unit."""
        found = {u for row in cases if set(row.units) & set(seizure.units) for u in row.institutions}
        for unit in seizure.units:
            for right in self.live(unit, Mortgage | PreNotice):
                parties = right.mortgagees if isinstance(right, Mortgage) else right.holders
                found |= {p.id_number for p in parties if p.is_institution}
        return found

    def _entered(
        self,
        index: int,
        seizure: Seizure,
        open_then: list[Application],
        recorded: dict[str, Application],
        told: list[str],
        lenders: dict[str, set[str]],
    ) -> None:
        """Each open case that it bars stopped in this very entry; releases went on; each lender was told once."""
        bars = any(seizure.right_id == s.right_id for code in seizure.units for s in self._barring(code))
        for row in open_then:
            if not set(row.units) & set(seizure.units):
                continue
            disposes = bool(_DISPOSES & set(row.operations))
            now = recorded.get(row.name)
            if disposes and bars:
                self.stopped += 1
                if now is None or now.decided_by or now.state not in (State.ACCEPTED, State.IN_REVIEW):
                    self.wrong.append(f"entry {index} did not stop {row.operations} {row.state} {now}")
            elif not disposes and now is not None:
                self.wrong.append(f"entry {index} stopped {row.operations}")
        if sorted(told) != sorted(lenders[seizure.right_id]):
            self.wrong.append(f"entry {index} told {told}, lenders are {lenders[seizure.right_id]}")

    def _fold(self, index: int, effect: Any) -> None:
        match effect:
            case RightBooked():
                self.rows[effect.right.right_id] = Row(effect.right, index)
            case RightEnded():
                row = self.rows[effect.right_id]
                row.ended, row.ended_at = index, effect.ended_at
            case ApplicationRecorded(application=row):
                self.cases[row.name] = row
                at_once = row.state is State.BOOKED and row.accepted_index == index
                if row.accepted_at is not None and row.accepted_index is not None and not at_once:
                    self.first_accepted[row.case_number] = (row.accepted_at, row.accepted_index)
            case CounterCaseRecorded(case=case):
                self.first_accepted.setdefault(case.case_number, (case.accepted_at, case.known_index))
                self.at_counter.setdefault(case.case_number, set()).update(case.places)
            case LenderTold():
                self.told.append(effect)
            case _:
                pass

    def between(self, seizure: Seizure) -> set[tuple[str, bool]]:
        """Right and whether it ended: what happened on its units from its service to its entry."""
        found = set()
        for row in self.rows.values():
            if row.right.right_id == seizure.right_id or not set(row.right.units) & set(seizure.units):
                continue
            if seizure.served_at <= row.right.booked_at <= seizure.booked_at:
                found.add((row.right.right_id, False))
            if row.ended_at is not None and seizure.served_at <= row.ended_at <= seizure.booked_at:
                found.add((row.right.right_id, True))
        return found

    def order(self, unit: str) -> dict[tuple[str, str], tuple[dt.datetime, int]]:
        """From when each fact on a unit counts, and its entry: a seizure from its service (EX 23; F5 19)."""
        found: dict[tuple[str, str], tuple[dt.datetime, int]] = {}
        for row in self.rows.values():
            if unit in row.right.units:
                seizes = isinstance(row.right, Seizure)
                at = row.right.served_at if isinstance(row.right, Seizure) else row.right.booked_at
                found["SERVED" if seizes else "BOOKED", row.right.right_id] = (at, row.booked)
                if row.ended is not None and row.ended_at is not None:
                    found["ENDED", row.right.right_id] = (row.ended_at, row.ended)
        ours = {row.case_number: set(row.units) for row in self.cases.values()}
        for number, units in {**ours, **self.at_counter}.items():
            if unit in units and number in self.first_accepted:
                found["ACCEPTED", number] = self.first_accepted[number]
        return found
