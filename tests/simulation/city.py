"""A registry, its banks, a fund centre, a court and a clock, all of one seed: `City(seed).run()` lives some weeks.

Every act is done to the gateway's register and to the oracle's (`tests.support.twin`), which compares them. After each
act every case that is open waits on somebody who is named, until a date; in the end, once the world outside leaves the
city alone, every case ends. Court and counter come in by the register feed, holes and late entries included.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gateway.cases.model import State
from tests.oracle.days import works
from tests.oracle.people import BANKS
from tests.support import twin_values as v
from tests.support.twin import Filed, Twin
from tests.support.twin_cases import application, flats

START = dt.datetime(2026, 1, 5, 1, 0, tzinfo=dt.UTC)
CHINA = dt.timezone(dt.timedelta(hours=8))
BANK_OF = {v.PEOPLE[name].id_number: name for name in BANKS}
COMES = ("DISSENT", "HABITATION", "CORRECTION", "DISPUTED", "PROHIBITED", "RIGHT_EXPIRED")

#: What happens, and how often of a hundred acts.
ACTS = {
    "somebody files": 38,
    "the registrar works": 24,
    "a bank joins": 10,
    "the old bank confirms": 4,
    "banks withdraw": 3,
    "the court serves": 2,
    "something comes": 2,
    "the counter works": 4,
    "the counter skips a number": 1,
    "the hole is closed": 2,
    "everything is lifted": 9,
    "time passes": 10,
}


class City:
    """One city of one seed. `log` is what happened, in words; the twin raises what must not be."""

    def __init__(self, seed: int, *, acts: int = 120, units: int = 4, twin: Any = Twin, **how: Any) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.acts = acts
        self.log: list[str] = []
        self.counted: Counter[str] = Counter()
        self.twin: Twin = twin(flats(self.pick, units), START, **how)

    def pick(self, options: Sequence[Any]) -> Any:
        """One of these."""
        return options[self.random.randrange(len(options))]

    def run(self) -> Counter[str]:
        """Live it, and then let everything end."""
        names, weights = zip(*ACTS.items(), strict=True)
        for _ in range(self.acts):
            [what] = self.random.choices(names, weights)
            self._do(what)
            self.check()
        self._leave_alone()
        self.twin.check()
        self.counted.update({f"booked {what}": times for what, times in self.twin.booked.items() if what})
        return self.counted

    def _do(self, what: str) -> None:
        said = _DOES[what](self)
        if said:
            self.counted[f"{what}: {said}"] += 1
        self.log.append(f"{self.twin.now:%m-%d %H:%M} {what}: {said or '-'}")

    # -- who does what ----------------------------------------------------------------------------------------------

    def _files(self) -> str:
        return self.twin.file(application(self.twin, self.pick))

    def _registrar(self) -> str:
        """In order of acceptance, on working days only; what the law stops is refused, or left for another day."""
        if not works(self.twin.now.astimezone(CHINA).date()):
            self.twin.pass_time(dt.timedelta(days=1))
            return "day off"
        waiting = self._in(State.ACCEPTED, State.IN_REVIEW, State.SUSPENDED)
        if not waiting:
            return ""
        filed = min(waiting, key=lambda one: one.place or 0) if self.pick([1, 1, 0]) else self.pick(waiting)
        answer = self.twin.approve(filed)
        if answer == "STOPPED" and self.pick([True, False]):
            self.twin.refuse(filed)
            return "refused"
        return answer

    def _bank_joins(self) -> str:
        awaited = [one for one in self._in(State.AWAITING_PARTIES) if one.row.awaiting]
        if not awaited:
            return ""
        filed = self.pick(awaited)
        return self.twin.join(filed, BANK_OF[self.pick(filed.row.awaiting)])

    def _confirms(self) -> str:
        waiting = self._in(State.AWAITING_PAYOFF)
        return self.twin.confirm_payoff(self.pick(waiting)) if waiting else ""

    def _withdraw(self) -> str:
        if not self.twin.open:
            return ""
        filed = self.pick(self.twin.open)
        banks = sorted(self.twin.applied(filed) & BANKS)
        if not banks:
            return ""
        self.twin.withdraw(filed, banks if self.pick([True, False]) else banks[:1])
        return str(filed.row.state)

    def _court(self) -> str:
        kind = self.pick(["SEIZURE", "SEIZURE", "PRE"])
        ago = dt.timedelta(minutes=self.pick([0, 0, 18, 60 * 30]))
        self.twin.serve(self._unit(), self.pick("STYKZAB"), kind, self.pick([30, 900]), ago)
        return kind

    def _comes(self) -> str:
        what = self.pick(COMES)
        self.twin.outside(self._unit(), what)
        return str(what)

    def _counter(self) -> str:
        """What the counter accepts, books or ends of its own."""
        code = self._unit()
        mortgages = sorted(self.twin.oracle["units"][code]["mortgages"])
        what = self.pick(["accepts", "accepts", "closes", "sells", "mortgages", "releases"])
        if what == "accepts":
            self.twin.accept_at_counter(code, "TRANSFER", dt.timedelta(minutes=self.pick([0, 90, 60 * 50])))
        elif what == "sells":
            self.twin.sell_at_counter(code, self.pick("STYZ"))
        elif (
            what == "mortgages" and not self.twin.feed.missing
        ):  # one known late may meet a rank agreed since
            self.twin.mortgage_at_counter(code, self.pick("ABC"))
        elif what == "releases" and mortgages:
            self.twin.release_at_counter(code, self.pick(mortgages))
        elif what == "closes" and self.twin.at_counter:
            self.twin.close_at_counter(self.pick(sorted(self.twin.at_counter)))
        else:
            return ""
        return str(what)

    def _skips(self) -> str:
        self.twin.skip_a_number()
        return f"{len(self.twin.feed.missing)} missing"

    def _closes(self) -> str:
        had = bool(self.twin.feed.missing)
        self.twin.close_the_hole()
        return "closed" if had else ""

    def _lifted(self) -> str:
        self.twin.outside(self._unit(), "LIFT")
        return "lifted"

    def _time(self) -> str:
        hours = self.pick([1, 4, 24, 24, 72, 24 * 12])
        self.twin.pass_time(dt.timedelta(hours=hours))
        return f"{hours} h"

    def _unit(self) -> str:
        return str(self.pick(sorted(self.twin.oracle["units"])))

    def _in(self, *states: State) -> list[Filed]:
        return [one for one in self.twin.open if one.row.state in states]

    # -- what must hold ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every open case waits on somebody who is named, with a date."""
        for filed in self.twin.open:
            row = filed.row
            match row.state:
                case State.AWAITING_PARTIES:
                    missing = filed.application["wanted"] - self.twin.applied(filed)
                    assert missing, f"{row.name} awaits nobody"
                    assert row.parties_expire_at, f"{row.name} would wait for ever"
                    assert row.parties_expire_at > self.twin.now
                case State.AWAITING_TAX | State.AWAITING_PAYOFF:
                    assert row.gate_expires_at, f"{row.name} would wait for ever"
                    assert row.gate_expires_at > self.twin.now
                    assert row.decided_by, "whoever will book it is named"
                case State.SUSPENDED:
                    assert self._is_held(filed), f"{row.name} is suspended and waits for nothing"
                    assert row.deadline is not None
                case State.ACCEPTED | State.IN_REVIEW:
                    assert row.deadline is not None, "the registrar has until its deadline"
                case other:
                    raise AssertionError(f"{row.name} is open in {other}")

    def _is_held(self, filed: Filed) -> bool:
        """By an earlier case on one of its units, ours or the counter's, or by a correction."""
        units = set(filed.row.units)
        earlier = any(
            units & set(one["units"]) and one["place"] < (filed.place or 0)
            for one in self.twin.oracle["queue"]
            if one["case"] is not filed
        )
        return earlier or any("CORRECTION" in self.twin.oracle["units"][u]["holds"] for u in units)

    def _leave_alone(self) -> None:
        """Nothing more comes from outside, and whoever is waited for does not come: every case ends."""
        self.twin.close_the_hole()
        for code in sorted(self.twin.oracle["units"]):
            self.twin.outside(code, "LIFT")
        for _ in range(6 * len(self.twin.open) + 12):
            waiting = self._in(State.ACCEPTED, State.IN_REVIEW)
            if waiting:
                filed = min(waiting, key=lambda one: one.place or 0)
                if self.twin.approve(filed) == "STOPPED":
                    self.twin.refuse(filed)
            elif self.twin.open:
                self.twin.pass_time(dt.timedelta(days=45))
                for late in self._in(State.ACCEPTED):  # nobody confirmed the payoff: a person has judged it
                    self.twin.refuse(late)
            else:
                return
            self.check()
        raise AssertionError(f"cases that never end: {[one.row.state.value for one in self.twin.open]}")


_DOES: dict[str, Callable[[City], str]] = {
    "somebody files": City._files,
    "the registrar works": City._registrar,
    "a bank joins": City._bank_joins,
    "the old bank confirms": City._confirms,
    "banks withdraw": City._withdraw,
    "the court serves": City._court,
    "something comes": City._comes,
    "the counter works": City._counter,
    "the counter skips a number": City._skips,
    "the hole is closed": City._closes,
    "everything is lifted": City._lifted,
    "time passes": City._time,
}
