"""Booking 登簿: the instant at which a right exists (CC 214; IR 21). A phase books all of its operations or none."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cases.effects import AnyEffect, CertificateNumbered
from gateway.cases.model import Application, IssuedCertificate, Moment, World
from gateway.cases.terms import Terms
from gateway.certificates.content import CertificateContent
from gateway.kinds.law import Booking
from gateway.kinds.laws import law_of
from gateway.register.model import Value


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
        states=world.units,
        counters=world.counters,
        certificates_by_number=world.certificates_by_number,
        entropy=moment.entropy,
    )
    for operation in terms.operations:
        law = law_of(operation)
        if law is None:
            raise ValueError("a phase with an unknown operation cannot have been accepted")
        law.book(operation, booking)
    numbered = [
        CertificateNumbered(
            identifier=content.identifier,
            number=content.number,
            kind=content.kind.value,
            part=f"certificate/{n}",
            right_id=content.right_id,
            application_id=row.application_id,
            institutions=row.institutions,
        )
        for n, content in enumerate(booking.contents, start=1)
    ]
    moved = {name: value for name, value in booking.counters.items() if value != world.counters.get(name, 0)}
    return BookedPhase(
        effects=(*booking.effects, *numbered), contents=tuple(booking.contents), counters=moved
    )
