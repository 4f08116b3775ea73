"""A sample case run through the law: who applies, which papers, what is booked. An unlawful sample is an error.

The papers of a case are those that its law asks for, signed by whom it asks; so what the law still finds is a fault.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.cases.effects import CertificateEnded, RightBooked, RightEnded
from gateway.cases.model import (
    Application,
    Clerk,
    FileReference,
    Header,
    Kind,
    Manifest,
    Paper,
    PaperSignature,
    State,
)
from gateway.cases.terms import AnyOperation, PayoffStatement, SaleContract, Terms
from gateway.certificates.content import CertificateContent
from gateway.kinds.law import Applicant, Booking, Case, Law, PaperRule
from gateway.kinds.laws import composition_of, law_of
from gateway.kinds.modes import MODES
from gateway.lawbook.cast import OLD_BANK, PROFILE, institutions
from gateway.lawbook.register import CALLED, NOW, ON_THE_REST, UNIT
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    AnyRight,
    Mortgage,
    Ownership,
    PreNotice,
    UnitState,
    Value,
    certificate_numbers,
)
from gateway.register.states import SALE_KINDS

_DIGEST = "00" * 32

#: Time from one phase to the next.
_BETWEEN = dt.timedelta(days=1)


class UnlawfulSample(AssertionError):
    """The law finds a fault in a sample case: mend the sample, its page would show no lawful case."""


class StepRun(Value, frozen=True, kw_only=True):
    """One step: who applies, its papers, and why a person decides it (empty: a rule may)."""

    op: AnyOperation
    applicants: tuple[Applicant, ...]
    papers: tuple[PaperRule, ...]
    referred: tuple[Finding, ...]


class PhaseRun(Value, frozen=True, kw_only=True):
    """One phase, booked: its steps, the papers of the deal, what began and ended, which certificates changed how."""

    steps: tuple[StepRun, ...]
    deal_papers: tuple[PaperRule, ...] = ()
    begun: tuple[AnyRight, ...]
    ended: tuple[AnyRight, ...]
    issued: tuple[CertificateContent, ...]
    void: tuple[str, ...]
    superseded: tuple[str, ...]
    after: dict[str, UnitState]
    before: dict[str, UnitState]
    counters: dict[str, int]
    called: dict[str, str]  # certificate number -> what the page calls it


def run_phase(
    operations: Sequence[AnyOperation],
    states: Mapping[str, UnitState],
    *,
    mode: str = "",
    phase: int = 1,
    combined: bool = False,
    contracts: tuple[SaleContract, ...] = (),
    statements: tuple[PayoffStatement, ...] = (),
    earlier: PhaseRun | None = None,
) -> PhaseRun:
    """Apply for these operations as one phase and book it, after an `earlier` one. Raises UnlawfulSample."""
    kind = Kind.ENCUMBERED_TRANSFER if mode or combined else Kind.MORTGAGE
    manifest = Manifest(
        header=_header(phase),
        kind=kind,
        terms=Terms(
            registry="sample",
            operations=tuple(operations),
            mode=mode,
            sale_contracts=contracts,
            payoff_statements=statements,
        ),
        terms_sha256=_DIGEST,
    )
    composition = composition_of(manifest)
    deal = composition.papers(manifest) if composition is not None else ()
    called = earlier.called if earlier is not None else CALLED
    counters = earlier.counters if earlier is not None else {}
    booking = _booking(manifest.terms, states, phase, called, counters)
    steps: list[StepRun] = []
    found: list[Finding] = []
    for op in operations:
        law, here = _law(op), _states(op, booking.states)
        rules = law.papers(op, here)
        case = _case(manifest, (*deal, *rules), phase)
        at_law = law.conditions(op, here, case, "op") + law.only_a_person(op, here, case, "op")
        found += at_law
        steps.append(
            StepRun(
                op=op,
                applicants=law.applicants(op, here, case.institutions),
                papers=rules,
                referred=tuple(f for f in at_law if f.severity is Severity.REFERS),
            )
        )
        law.book(op, booking)
    if composition is not None:
        found += composition.conditions(_case(manifest, deal, phase), states)
    wrong = [f for f in found if f.severity in (Severity.BLOCKS, Severity.WAITS)]
    if wrong:
        raise UnlawfulSample("; ".join(f"{f.code} {f.rule} {f.field}: {f.en}" for f in wrong))
    return _told(booking, states, steps, deal, called)


def _told(
    booking: Booking,
    before: Mapping[str, UnitState],
    steps: Sequence[StepRun],
    deal: tuple[PaperRule, ...],
    called: Mapping[str, str],
) -> PhaseRun:
    known = {right.right_id: right for state in before.values() for right in state.rights}
    booked = [e.right for e in booking.effects if isinstance(e, RightBooked)]
    gone = {e.right_id for e in booking.effects if isinstance(e, RightEnded)}
    ended = [e for e in booking.effects if isinstance(e, CertificateEnded)]
    return PhaseRun(
        steps=tuple(steps),
        deal_papers=deal,
        begun=tuple(right for right in booked if right.right_id not in gone),
        ended=tuple(right for key, right in known.items() if key in gone),
        issued=tuple(booking.contents),
        void=tuple(e.identifier for e in ended if e.state == "CANCELLED"),
        superseded=tuple(e.identifier for e in ended if e.state == "SUPERSEDED"),
        after=dict(booking.states),
        before=dict(before),
        counters=booking.counters,
        called={**called, **{c.number: _called(c, booked) for c in booking.contents}},
    )


def _called(content: CertificateContent, booked: Sequence[AnyRight]) -> str:
    """What a page calls a certificate that the case issues."""
    right = next(right for right in booked if right.right_id == content.right_id)
    match right:
        case Ownership():
            return f"{right.owners[0].person.name}：不动产权证书 title"
        case PreNotice():
            of = "买卖" if right.kind in SALE_KINDS else "抵押权"
            en = "sale" if right.kind in SALE_KINDS else "mortgage"
            return f"{of}预告登记证明 {en} pre-notice's proof"
        case Mortgage():
            rest = "" if UNIT in right.units else ON_THE_REST
            return f"{right.mortgagees[0].name}：抵押权登记证明 mortgage's proof{rest}"
    raise UnlawfulSample(f"no certificate shows {right}")


def _law(op: AnyOperation) -> Law:
    law = law_of(op)
    if law is None:
        raise UnlawfulSample(f"no law books {op}")
    return law


def _states(op: AnyOperation, states: Mapping[str, UnitState]) -> tuple[UnitState, ...]:
    return tuple(states[code] for code in op.units)


def _booking(
    terms: Terms,
    states: Mapping[str, UnitState],
    phase: int,
    called: Mapping[str, str],
    counters: Mapping[str, int],
) -> Booking:
    """A booking to which every certificate of record is an e-certificate of ours, so that its end shows."""
    numbers = {n for state in states.values() for n in certificate_numbers(state.rights)}
    return Booking(
        registry="sample",
        application_id="sample",
        case_number="sample",
        index=phase,
        now=NOW + (phase - 1) * _BETWEEN,
        booked_by="登簿人",
        profile=PROFILE,
        states=states,
        counters=counters,
        certificates_by_number={number: called.get(number, number) for number in numbers},
        entropy=b"",
        terms=terms,
        institutions={},
    )


def _case(manifest: Manifest, rules: Sequence[PaperRule], phase: int) -> Case:
    modes = tuple(MODES)
    return Case(
        manifest=manifest,
        papers=tuple(_paper(rule) for rule in rules),
        applying_institution=OLD_BANK.id_number,
        institutions=institutions(modes),
        profile=replace(PROFILE, modes=modes),
        rules=None,
        prior=_phase(manifest, 1) if phase > 1 else None,
        phases=tuple(_phase(manifest, number) for number in range(1, phase)),
        now=NOW,
    )


def _paper(rule: PaperRule) -> Paper:
    return Paper(
        reference=FileReference(sha256=_DIGEST, size_bytes=1, paper_code=rule.code),
        signatures=tuple(PaperSignature(legal=p.is_institution, number=p.id_number) for p in rule.signers),
        terms_sha256=_DIGEST if rule.bound else "",
    )


def _header(phase: int) -> Header:
    return Header(
        registry="sample",
        channel_institution=OLD_BANK.id_number,
        applicant_institution=OLD_BANK.id_number,
        clerk=Clerk(name="经办人", employee_no="1"),
        request_id="sample",
        created_at=NOW,
        not_after=NOW,
        case="" if phase == 1 else "sample",
        phase=phase,
    )


def _phase(manifest: Manifest, number: int) -> Application:
    """An earlier phase, booked."""
    return Application(
        registry="sample",
        application_id="sample",
        kind=Kind.ENCUMBERED_TRANSFER,
        operations=(),
        units=manifest.terms.unit_codes,
        channel_institution=OLD_BANK.id_number,
        applicant_institution=OLD_BANK.id_number,
        request_id="sample",
        mode=manifest.terms.mode,
        phase=number,
        payload_sha256=_DIGEST,
        terms_sha256=_DIGEST,
        state=State.BOOKED,
        submitted_at=NOW,
        booked_at=NOW,
        submitted_index=1,
        last_index=1,
    )
