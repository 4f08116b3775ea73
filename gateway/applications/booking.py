"""Booking 登簿: the instant at which a right exists (CC 214; IR 21). A phase books all of its operations or none.

`book_phase` books; `book_or_wait` does so unless a gate is closed; `Ahead` runs the steps on paper, so that each is
checked against the state that the steps before it leave (handbook 3.4).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from msgspec.structs import replace

from gateway.cases.effects import AnyEffect, CertificateNumbered
from gateway.cases.model import Application, IssuedCertificate, Moment, Result, State, World
from gateway.cases.terms import AnyOperation, Terms
from gateway.certificates.content import CertificateContent
from gateway.kinds.deal import new_mortgagees
from gateway.kinds.gating import closed_gates
from gateway.kinds.law import NOT_BOOKED, Booking, Case, NotBookable
from gateway.kinds.laws import law_of
from gateway.kinds.payoff_deadline import named_old, payoff_until
from gateway.register.findings import Finding
from gateway.register.model import UnitState, Value

#: Index of the entry in which a phase is booked on paper only: no entry has it, so no right of the register does.
_ON_PAPER = int(f"{NOT_BOOKED}1")


class BookedPhase(Value, frozen=True, kw_only=True):
    """What a phase changed: effects in order, certificate contents, counters that moved."""

    effects: tuple[AnyEffect, ...]
    contents: tuple[CertificateContent, ...]
    counters: Mapping[str, int]

    @property
    def issued(self) -> tuple[IssuedCertificate, ...]:
        """The certificates numbered by this phase, as an outcome names them."""
        return tuple(
            IssuedCertificate(identifier=c.identifier, number=c.number, kind=c.kind.value)
            for c in self.contents
        )


class Settled(Value, frozen=True, kw_only=True):
    """What a decided case comes to: booked, or waiting at the gates that `findings` name."""

    row: Application
    result: Result
    findings: tuple[Finding, ...] = ()
    booked: BookedPhase | None = None


def book_phase(world: World, terms: Terms, row: Application, moment: Moment, officer: str) -> BookedPhase:
    """Run every operation of the phase, in order, each on the state that the ones before it leave."""
    booking = Booking(
        registry=world.registry,
        application_id=row.application_id,
        case_number=row.case_number,
        index=moment.index,
        now=moment.now,
        booked_by=officer,
        profile=world.profile,
        states={**world.related, **world.units},
        counters=world.counters,
        certificates_by_number=world.certificates_by_number,
        entropy=moment.entropy,
        terms=terms,
        institutions=world.institutions,
    )
    for operation in terms.operations:
        law = law_of(operation)
        if law is None:
            raise ValueError("a phase with an unknown operation cannot have been accepted")
        booking.reason = operation.reason
        law.book(operation, booking)
    numbered = [
        CertificateNumbered(
            identifier=content.identifier,
            number=content.number,
            kind=content.kind.value,
            part=f"certificate/{n}",
            right_id=content.right_id,
            application_id=row.application_id,
            institutions=_shown_to(content, row, terms),
        )
        for n, content in enumerate(booking.contents, start=1)
    ]
    moved = {name: value for name, value in booking.counters.items() if value != world.counters.get(name, 0)}
    return BookedPhase(
        effects=(*booking.effects, *numbered), contents=tuple(booking.contents), counters=moved
    )


def _shown_to(content: CertificateContent, row: Application, terms: Terms) -> tuple[str, ...]:
    """Who may see a certificate: who filed, whose right it shows, and of a sale's who lends on it (IR 28; PIPL 6).

    The old mortgagee of a sale sees neither the buyer's title nor the new bank's proof.
    """
    filed = (row.channel_institution, row.applicant_institution)
    holders = tuple(p.id_number for p in content.holders if p.is_institution)
    lenders = () if holders else tuple(p.id_number for p in new_mortgagees(terms) if p.is_institution)
    return tuple(dict.fromkeys((*filed, *holders, *lenders)))


def book_or_wait(world: World, case: Case, row: Application, moment: Moment, officer: str) -> Settled:
    """A case that `officer` decided: booked now, or in wait of its taxes, then of the payoff (handbook 3.6).

    A waiting row says in whose name it will be booked and until when it waits.
    """
    decided = replace(row, claimed_by="", decided_at=row.decided_at or moment.now)
    closed = closed_gates(case, row, world.units)
    if closed:
        return Settled(
            row=_waiting(world, decided, closed, moment, officer), result=Result.ACCEPTED, findings=closed
        )
    booked = book_phase(world, case.manifest.terms, decided, moment, officer)
    done = replace(
        decided,
        state=State.BOOKED,
        decided_by="",
        gate_expires_at=None,
        booked_at=moment.now,
        booked_by=officer,
        certificates=tuple(c.identifier for c in booked.contents),
        payoff_until=payoff_until(decided, world.profile, world.calendar, moment.now),
        old_mortgages=named_old(decided, case.manifest.terms, case.prior, world.units.values()),
    )
    return Settled(row=done, result=Result.BOOKED, booked=booked)


def _waiting(
    world: World, row: Application, closed: tuple[Finding, ...], moment: Moment, officer: str
) -> Application:
    """The gate that is closed first gives the state; its clock starts when the case comes to stand before it."""
    taxes = any(f.code == "S-TAX" for f in closed)
    state = State.AWAITING_TAX if taxes else State.AWAITING_PAYOFF
    days = world.profile.tax_days if taxes else world.profile.payoff_days
    until = row.gate_expires_at if row.state is state else moment.now + dt.timedelta(days=days)
    return replace(row, state=state, decided_by=officer, gate_expires_at=until)


class Ahead:
    """The units as the steps of a phase leave them, one step after the other; nothing is booked."""

    def __init__(self, world: World, terms: Terms, now: dt.datetime) -> None:
        self._booking = Booking(
            registry=world.registry,
            application_id="",
            case_number="",
            index=_ON_PAPER,
            now=now,
            booked_by="",
            profile=world.profile,
            states={**world.related, **world.units},
            counters=world.counters,
            certificates_by_number={},
            entropy=b"",
            terms=terms,
            institutions=world.institutions,
        )

    @property
    def states(self) -> Mapping[str, UnitState]:
        """Each unit as it would be now."""
        return self._booking.states

    def take(self, operation: AnyOperation) -> None:
        """Take one step. One that the register does not bear leaves everything as it is: its findings say why."""
        law = law_of(operation)
        if law is None or any(code not in self.states for code in operation.units):
            return
        try:
            law.book(operation, self._booking)
        except NotBookable:
            return
