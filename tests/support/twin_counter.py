"""The authority's own counter, and the court before it, done to both registers by the feed's real decisions.

Each act has the next running number. Where the counter skips one, what comes after it waits on both sides until the
hole is closed: but for what is never waited with, a service and a place in the queue (handbook 1.5). No I/O.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from gateway.applications.feed import SignedFeedAct
from gateway.applications.feed_book import FeedWorld
from gateway.cases.decision import Decision
from gateway.cases.effects import LenderTold
from gateway.cases.feed import AnyFeedAct, CounterEntry, CounterUnit, Restriction, RestrictionVerb
from gateway.cases.model import QUEUED
from gateway.register.model import Dissent, Habitation, Seizure
from tests.oracle import law
from tests.oracle.people import BANKS
from tests.oracle.register import booked, booked_after
from tests.support import twin_values as v
from tests.support.twin_desk import Desk, Disagreement

Effect = Callable[[], None]


class Counter(Desk):
    """What comes from outside: services, restrictions, the counter's own cases and bookings, and holes."""

    def __init__(self, units: dict[str, dict[str, Any]], now: dt.datetime) -> None:
        super().__init__(units, now)
        self.at_counter: dict[str, dict[str, Any]] = {}  # open cases of the counter, as the oracle has them
        self._waiting: dict[int, Effect] = {}  # what acts behind a hole will do to the oracle's register
        self._lifted: set[str] = (
            set()
        )  # instruments and cases of restrictions that the counter has said are over

    # -- the court --------------------------------------------------------------------------------------------------

    def serve(self, code: str, target: str, kind: str, days: int, ago: dt.timedelta = dt.timedelta()) -> None:
        """A court served a seizure on the authority so long ago; from its entry on nothing that it bars is booked."""
        served, until = self.now - ago, (self.now + dt.timedelta(days=days)).date()
        lien = v.seizure(code, self._name("S"), target, kind, served, until)
        row = {"name": lien.instrument_no, "target": target, "kind": kind, "until": until, "served": served}
        flat = self.oracle["units"][code]
        open_then = [one for one in self.open if one.row.state in QUEUED and code in one.row.units]
        decision = self._restrict(RestrictionVerb.ENTER, lien, lambda: flat["seizures"].append(row))
        for filed in open_then:
            stops = law.stops(self.oracle, filed.application, row, code)
            stopped = "R-SEIZED" in self._told(filed, decision) or "M-REFER" in self._told(filed, decision)
            if stops != stopped:
                raise Disagreement(f"stops {stops}, stopped {stopped}: {filed.application} {row}")
            if stopped and (filed.row.decided_by or filed.row.gate_expires_at):
                raise Disagreement(f"stopped, and yet decided: {filed.row}")
        self._check_told(code, decision, {u for one in open_then for u in one.row.institutions})

    def _check_told(self, code: str, decision: Decision, with_cases: set[str]) -> None:
        """Each lender with a right or a case on the unit, once each (CC 423(4); EX 25)."""
        flat = self.oracle["units"][code]
        lenders = {bank for row in flat["mortgages"].values() for bank in row["banks"]}
        lenders |= {notice["holder"] for notice in flat["notices"].values()} & BANKS
        wanted = {v.PEOPLE[bank].id_number for bank in lenders} | with_cases
        told = [e.institution for e in decision.effects if isinstance(e, LenderTold)]
        if sorted(told) != sorted(wanted):
            raise Disagreement(f"told {sorted(told)}, to be told {sorted(wanted)}")

    @staticmethod
    def _told(filed: Any, decision: Decision) -> set[str]:
        return {f.code for f in decision.outcome.about.get(filed.row.application_id, ())}

    # -- restrictions and facts of the unit -------------------------------------------------------------------------

    def outside(self, code: str, what: str) -> None:
        """A dissent, a habitation or a fact of the unit comes; or whatever is there of these, and seizures, goes."""
        flat = self.oracle["units"][code]
        if what == "LIFT":
            self._lift(code)
        elif what == "CORRECTION":
            self.accept_at_counter(code, "CORRECTION")
        elif what in ("DISSENT", "HABITATION"):
            if not flat[what.lower()]:
                made = v.dissent if what == "DISSENT" else v.habitation
                at = self.now
                enters = made(code, self._name("R"), at)
                self._restrict(RestrictionVerb.ENTER, enters, lambda: flat.update({what.lower(): at}))
        else:
            self._hold(code, {*flat["holds"], what})

    def _lift(self, code: str) -> None:
        rights = [
            r
            for r in self.world.units[code].rights
            if isinstance(r, Seizure | Dissent | Habitation) and _named(r) not in self._lifted
        ]
        for right in rights:
            self._lifted.add(_named(right))
            self._restrict(RestrictionVerb.LIFT, right, self._ends(code, right))
        for name in [n for n, case in self.at_counter.items() if code in case["units"]]:
            self.close_at_counter(name)
        if self.oracle["units"][code]["holds"] - {"CORRECTION"}:
            self._hold(code, set())

    def _ends(self, code: str, right: Any) -> Effect:
        def effect() -> None:
            flat = self.oracle["units"][code]
            if isinstance(right, Seizure):
                flat["seizures"] = [s for s in flat["seizures"] if s["name"] != right.instrument_no]
            else:
                flat["dissent" if isinstance(right, Dissent) else "habitation"] = None

        return effect

    def _hold(self, code: str, holds: set[str]) -> None:
        """A correction registration that states the facts of the unit as they are."""
        told, at = CounterUnit(unit_code=code, holds=v.holds({"holds": holds})), self.now

        def effect() -> None:
            flat = self.oracle["units"][code]
            flat["holds"] = holds | ({"QUARANTINED"} if booked_after(flat, at) else set())
            flat["holds"] |= {"CORRECTION"} if self._is_being_corrected(code) else set()

        self._say(effect, type="CORRECTION", case_number=self._name("K"), booked_at=at, units=(told,))

    # -- the counter's own cases ------------------------------------------------------------------------------------

    def accept_at_counter(self, code: str, kind: str, ago: dt.timedelta = dt.timedelta()) -> None:
        """The counter accepted a case so long ago: it stands before those that were accepted here since (RD 67)."""
        name, accepted = self._name("T"), self.now - ago

        def effect() -> None:
            ours = [o for o in self.open if o.row.state in QUEUED and code in o.row.units]
            later = [o.place for o in ours if o.place is not None and o.row.accepted_at > accepted]
            known = [one["place"] for one in self.oracle["queue"]]
            place = min(later) - 0.5 if later else max(known, default=0) + 0.5
            case = {
                "units": (code,),
                "place": place,
                "names": set(),
                "case": None,
                "name": name,
                "kind": kind,
            }
            self.at_counter[name] = case
            if kind == "CORRECTION":
                self.oracle["units"][code]["holds"].add("CORRECTION")

        told = (CounterUnit(unit_code=code),)
        self._say(effect, type=kind, case_number=name, accepted_at=accepted, units=told)

    def _is_being_corrected(self, code: str) -> bool:
        """Whether the counter has a correction of the unit open: it holds the unit as long as one is."""
        return any(c["kind"] == "CORRECTION" and code in c["units"] for c in self.at_counter.values())

    def close_at_counter(self, name: str) -> None:
        """It ends with no booking."""
        code, kind = self.at_counter[name]["units"][0], self.counter_cases[name].type

        def effect() -> None:
            if (
                self.at_counter.pop(name, None)
                and kind == "CORRECTION"
                and not self._is_being_corrected(code)
            ):
                self.oracle["units"][code]["holds"].discard("CORRECTION")

        self._say(effect, type=kind, case_number=name, closed=True)

    def sell_at_counter(self, code: str, buyer: str) -> None:
        """The counter books a sale of the whole flat."""
        owners = list(self.oracle["units"][code]["owners"])
        step = {"op": "SALE", "sellers": owners, "buyers": {buyer: None}, "form": "SOLE"}
        self._book_at_counter(code, step, v.sold_at_counter)

    def mortgage_at_counter(self, code: str, bank: str) -> None:
        """The counter books a mortgage."""
        owners = list(self.oracle["units"][code]["owners"])
        step = {"op": "FIRST", "mortgagors": owners, "debtors": owners, "banks": [bank], "amount": 30_000_000}
        self._book_at_counter(code, {**step, "restriction": "NONE"}, v.mortgaged_at_counter)

    def _book_at_counter(self, code: str, step: dict[str, Any], made: Any) -> None:
        name, at = self._name("T"), self.now
        number = self._free_number("title" if step["op"] == "SALE" else "proof")
        step["unit"] = code

        def effect() -> None:
            if booked_after(self.oracle["units"][code], at):  # known too late: a person finds out
                self.oracle["units"][code]["holds"].add("QUARANTINED")
                if step["op"] == "SALE":
                    return
            after, [token] = booked({**self.oracle, "now": at}, [step], f"counter {name}")
            self.numbers[token] = number
            self.oracle = {**after, "now": self.now}

        told = CounterUnit(unit_code=code, live=(made(code, step, name, number, at),), supersedes=("",))
        self._say(effect, type="TRANSFER", case_number=name, booked_at=at, units=(told,))

    def release_at_counter(self, code: str, mortgage: str) -> None:
        """The counter books the end of a mortgage."""
        token = self.oracle["units"][code]["mortgages"][mortgage]["proof"]
        number, at = self.numbers[token], self.now
        rows = [r for r in self.world.units[code].mortgages if r.proof.number == number]

        def effect() -> None:
            flat = self.oracle["units"][code]
            there = flat["mortgages"].get(mortgage, {}).get("proof") == token
            if booked_after(flat, at) or not there:
                flat["holds"].add("QUARANTINED")
            if there:
                step = {"op": "RELEASE", "unit": code, "mortgage": mortgage}
                self.oracle, _ = booked(self.oracle, [step], 0)

        told = CounterUnit(unit_code=code, ended=tuple(replace(r, right_id="") for r in rows))
        self._say(effect, type="CANCELLATION", case_number=self._name("T"), booked_at=at, units=(told,))

    # -- the feed ---------------------------------------------------------------------------------------------------

    def skip_a_number(self) -> None:
        """The counter's next act comes before the one that it sent: a hole, and no rule decides until it is closed."""
        self._push(CounterEntry(sequence=self.feed.highest + 2, as_of=self.now), lambda: None)

    def close_the_hole(self) -> None:
        """What was missing comes: a sign of life each; then whatever waited has its effect, in order."""
        for first, last in self.feed.missing:
            for number in range(first, last + 1):
                self._push(CounterEntry(sequence=number, as_of=self.now), lambda: None)

    def _restrict(self, verb: RestrictionVerb, right: Any, effect: Effect) -> Decision:
        number = self.feed.highest + 1
        return self._push(Restriction(sequence=number, as_of=self.now, verb=verb, right=right), effect)

    def _say(self, effect: Effect, **told: Any) -> Decision:
        return self._push(CounterEntry(sequence=self.feed.highest + 1, as_of=self.now, **told), effect)

    def _push(self, act: AnyFeedAct, effect: Effect) -> Decision:
        """One act: to the gateway by its own decision, to the oracle by `effect`, at once or once its turn comes."""
        in_order = act.sequence == self.feed.last + 1
        decision = self._feed(act)
        if in_order or act.has_effect_at_once:
            effect()
        else:
            self._waiting[act.sequence] = effect
        self._fold(decision)
        self.oracle["gap"] = bool(self.feed.ahead)
        for number in sorted(n for n in self._waiting if n <= self.feed.last):
            self._waiting.pop(number)()
        for filed in self.open:
            filed.row = self.world.named.get(filed.row.name, filed.row)
        self._queue()
        self._turns()
        self.check(act.unit_codes)
        return decision

    def _queue(self) -> None:
        """Who stands where: our accepted cases and the counter's."""
        ours = [
            {"units": one.row.units, "place": one.place, "names": one.names, "case": one}
            for one in self.open
            if one.row.state in QUEUED
        ]
        self.oracle["queue"] = [*ours, *self.at_counter.values()]

    def _feed(self, act: AnyFeedAct) -> Decision:
        raise NotImplementedError

    def _turns(self) -> None:
        raise NotImplementedError

    def _feed_world(self, act: AnyFeedAct) -> FeedWorld:
        world = self._world()
        return FeedWorld(
            registry=world.registry,
            profile=world.profile,
            calendar=world.calendar,
            feed=self.feed,
            held=self.held,
            units=world.units,
            open_cases=world.open_cases,
            applications={one.row.application_id: one.row for one in self.open},
            counter_cases=self.counter_cases,
            institutions=world.institutions,
            counters=world.counters,
        )

    def _signed(self, act: AnyFeedAct) -> SignedFeedAct:
        return SignedFeedAct(
            source="counter",
            act=act,
            request_id=f"018f0000-0000-7000-a000-{self._index:012x}",
            payload_sha256=f"{self._index:064x}",
            created_at=self.now,
            not_after=self.now + dt.timedelta(days=1),
        )

    def _name(self, letter: str) -> str:
        """A case number of the counter's, or a court's."""
        self._index += 1
        return f"{letter}-{self._index}"

    def _free_number(self, kind: str) -> str:
        self._index += 1
        what = "不动产权" if kind == "title" else "不动产证明"
        return f"苏(2026)江阴市{what}第{9_000_000 + self._index:07d}号"


def _named(right: Seizure | Dissent | Habitation) -> str:
    """What the counter calls it, whatever row it is by now: a conversion turns a pre-seizure into a seizure."""
    return right.instrument_no if isinstance(right, Seizure) else right.case_number
