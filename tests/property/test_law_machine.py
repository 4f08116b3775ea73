"""Cases of every operation and mode on a few flats, decided by the gateway and by an oracle that shares no code with
it. Each rule is an act of somebody; `Twin` does it to both registers, compares answer, findings, certificates and the
register afterwards, and checks what must always hold: one owner set per unit, ranks a total preorder with ties only by
agreement, no right without an entry, rows only superseded, no live certificate without its right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.cases.model import State
from tests.oracle.people import BANKS
from tests.support import twin_values as v
from tests.support.twin import Filed, Twin
from tests.support.twin_cases import application, flats

#: Around the Spring Festival, and before the National Day: days off and days worked in their stead.
STARTS = (dt.datetime(2026, 1, 5, 2, tzinfo=dt.UTC), dt.datetime(2026, 6, 29, 2, tzinfo=dt.UTC))
COMES = ("DISSENT", "HABITATION", "CORRECTION", "DISPUTED", "PROHIBITED", "RIGHT_EXPIRED")
BANK_OF = {v.PEOPLE[name].id_number: name for name in BANKS}


class LawMachine(RuleBasedStateMachine):
    """A registry office in which everybody does anything at any time."""

    twin: Twin

    @initialize(data=st.data(), start=st.sampled_from(STARTS))
    def open_the_register(self, data: st.DataObject, start: dt.datetime) -> None:
        """Two flats of various owners, mortgaged or not, before the Civil Code or after."""
        self.twin = Twin(flats(_picking(data), 2), start)
        self.twin.check()

    @rule(data=st.data())
    def somebody_files(self, data: st.DataObject) -> None:
        """Any operation or mode, whole or wanting."""
        self.twin.file(application(self.twin, _picking(data)))

    @precondition(lambda self: self.in_state(State.ACCEPTED, State.SUSPENDED))
    @rule(data=st.data())
    def registrar_approves(self, data: st.DataObject) -> None:
        """Examined again: booked, at a gate, waiting or stopped."""
        self.twin.approve(_picking(data)(self.in_state(State.ACCEPTED, State.SUSPENDED)))

    @precondition(lambda self: self.awaiting_banks())
    @rule(data=st.data())
    def bank_joins(self, data: st.DataObject) -> None:
        """One that the case awaits."""
        filed = _picking(data)(self.awaiting_banks())
        self.twin.join(filed, BANK_OF[filed.row.awaiting[0]])

    @precondition(lambda self: self.in_state(State.AWAITING_PAYOFF))
    @rule(data=st.data())
    def old_bank_confirms(self, data: st.DataObject) -> None:
        """The gate opens, if nothing has come in between."""
        self.twin.confirm_payoff(_picking(data)(self.in_state(State.AWAITING_PAYOFF)))

    @precondition(lambda self: self.twin.open)
    @rule(data=st.data(), everybody=st.booleans())
    def banks_withdraw(self, data: st.DataObject, everybody: bool) -> None:
        """All of them, or one of them alone."""
        filed = _picking(data)(self.twin.open)
        banks = sorted(self.twin.applied(filed) & BANKS)
        if banks:
            self.twin.withdraw(filed, banks if everybody else banks[:1])

    @rule(
        data=st.data(),
        whom=st.sampled_from("STYKZ"),
        kind=st.sampled_from(["SEIZURE", "SEIZURE", "PRE"]),
        days=st.sampled_from([30, 900]),
    )
    def court_serves(self, data: st.DataObject, whom: str, kind: str, days: int) -> None:
        """A seizure of an owner, a buyer or a stranger."""
        self.twin.serve(_picking(data)(sorted(self.twin.oracle["units"])), whom, kind, days)

    @rule(data=st.data(), what=st.sampled_from(COMES))
    def something_comes(self, data: st.DataObject, what: str) -> None:
        """A dissent, a habitation, a fact of the unit."""
        self.twin.outside(_picking(data)(sorted(self.twin.oracle["units"])), what)

    @rule(data=st.data())
    def everything_is_lifted(self, data: st.DataObject) -> None:
        """And whoever waited for it has the turn."""
        self.twin.outside(_picking(data)(sorted(self.twin.oracle["units"])), "LIFT")

    @rule(days=st.sampled_from([1, 3, 10, 40]))
    def time_passes(self, days: int) -> None:
        """Rights lapse, cases expire."""
        self.twin.pass_time(dt.timedelta(days=days))

    @invariant()
    def both_say_the_same(self) -> None:
        """Also where no case was decided."""
        if hasattr(self, "twin"):
            self.twin.check()

    def in_state(self, *states: State) -> list[Filed]:
        """Open cases in one of these states."""
        return [filed for filed in self.twin.open if filed.row.state in states]

    def awaiting_banks(self) -> list[Filed]:
        """Cases that await a bank."""
        return [filed for filed in self.in_state(State.AWAITING_PARTIES) if filed.row.awaiting]


def _picking(data: st.DataObject) -> Any:
    """Hypothesis chooses."""

    def pick(options: Sequence[Any]) -> Any:
        return options[data.draw(st.integers(0, len(options) - 1))]

    return pick


TestLaw = LawMachine.TestCase
TestLaw.settings = settings(
    max_examples=60,
    stateful_step_count=20,
    derandomize=True,  # `make test` is the same each time; `make test-long` goes where nobody has been
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
