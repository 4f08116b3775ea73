"""MORTGAGE_RELEASE 抵押权注销登记: a mortgage ends, on all of its units or on some (CC 393; RD 70; OS 14.4).

The mortgagee of record may apply alone when the claim ended or is waived, the mortgagor alone with a judgment; nobody
is harmed by it, so it does not wait behind another right's case (handbook 3.2) and a seizure does not stop it
(blocks.csv). A construction mortgage is released for a sold unit alone, before its pre-notice (RD 77, 86).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.cases.model import Kind
from gateway.cases.terms import MortgageRelease, ReleaseGround, operation_name
from gateway.certificates.content import CertificateKind
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.mortgage import issue_proof
from gateway.kinds.named import (
    bookable,
    holders_agree,
    identity_of,
    keys,
    mortgage_named,
    no_such_right,
    once,
    sort_fits,
    strangers,
    units_agree,
)
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, Party, UnitState
from gateway.register.reasons import finding


def applicants(
    op: MortgageRelease, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """The mortgagee alone; by agreement both sides; with a judgment whoever it entitles (RD 70; OS 14.4)."""
    if op.ground is ReleaseGround.JUDGMENT:
        return tuple(_applies("申请人", "applicant", p) for p in op.applicants or op.mortgagees)
    sides = [("抵押权人", "mortgagee", p) for p in op.mortgagees]
    mortgage = mortgage_named(op.proof, states)
    if op.ground is ReleaseGround.AGREEMENT and mortgage is not None:
        sides += [("抵押人", "mortgagor", p) for p in mortgage.mortgagors]
    return tuple(_applies(zh, en, p) for zh, en, p in sides)


def papers(op: MortgageRelease, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The paper by which the mortgage ended, or is to end on payoff, sealed by the mortgagee (RD 70).

    The proof 不动产登记证明 is cited by number; the bank's signed envelope is its application.
    """
    if op.ground is ReleaseGround.JUDGMENT:
        people = [p for p in op.applicants if p.key not in keys(op.mortgagees)]
        judgment = PaperRule(
            code="JUDGMENT",
            zh="生效法律文书",
            en="effective judgment or award",
            article="OS 14.4; IR 14(2)(3)",
        )
        return (*(forms_of(people) if people else ()), judgment)
    if op.ground is ReleaseGround.UNDERTAKING:
        return (
            PaperRule(
                code="SETTLEMENT_UNDERTAKING",
                zh="结清后注销承诺",
                en="undertaking to release on payoff",
                article="CC 393; RD 70; N29",
                signers=op.mortgagees,
                also=("EXTINCTION",),
            ),
        )
    mortgage = mortgage_named(op.proof, states)
    agreed = mortgage.mortgagors if mortgage and op.ground is ReleaseGround.AGREEMENT else ()
    return (
        *(forms_of(agreed) if agreed else ()),
        PaperRule(
            code="EXTINCTION",
            zh="抵押权消灭的材料（结清证明或者放弃声明）",
            en="settlement statement or waiver",
            article="CC 393; RD 70",
            signers=once((*op.mortgagees, *agreed)),
        ),
    )


def conditions(op: MortgageRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live mortgage of the applicant on exactly these units (CC 393; IR 18)."""
    mortgage = mortgage_named(op.proof, states)
    if mortgage is None:
        return [no_such_right(op.proof, states, field + ".proof", "抵押权", "mortgage", "OS 4.8; RD 70")]
    found = (
        _undertaking(op, case, field)
        + _has_ended(op, case, field)
        + _units_fit(op, mortgage, field)
        + sort_fits(construction=op.construction, mortgage=mortgage, field=field)
    )
    found += _judgment_entitles(op, mortgage, field)
    found += holders_agree(
        op.mortgagees,
        mortgage.mortgagees,
        case,
        field + ".mortgagees",
        "RD 70; IR 14",
        "抵押权人",
        "mortgagees",
    )
    for state in states:
        found += register_findings(state, operation_name(op), case, field, rights=(mortgage.identity,))
    return found


def only_a_person(op: MortgageRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Settlement and waiver are the mortgagee's own word; any other ground is for a person (CC 393)."""
    asked = Asked(
        case=case,
        states=tuple(states),
        field=field,
        is_partial=op.partial,
        is_construction=op.construction,
        is_own_word=op.ground in (ReleaseGround.CLAIM_SETTLED, ReleaseGround.WAIVED),
    )
    return unclean(operation_name(op), asked)


def names_rights(op: MortgageRelease, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage itself."""
    return identity_of(mortgage_named(op.proof, states))


def book(op: MortgageRelease, booking: Booking) -> None:
    """The row becomes historical, its proof is void; ranks behind it move up in fact, unbooked (handbook 3.2).

    Released for some units, the mortgage goes on on the others, as it was, under a new proof.
    """
    mortgage = bookable(
        mortgage_named(op.proof, [booking.states[code] for code in op.units]), op.proof, "mortgage"
    )
    rest = tuple(code for code in mortgage.units if code not in op.units)
    if not rest:
        booking.end(mortgage, reason=op.ground.value)
        booking.cancel_certificate(mortgage.proof.number)
        return
    if any(code not in booking.states for code in rest):
        raise NotBookable("the units that stay mortgaged are not among those of the case")
    draft = booking.draft_certificate(CertificateKind.PROOF, booking.states[rest[0]].unit.county_code)
    goes_on = replace(
        mortgage,
        units=rest,
        right_id=booking.new_right_id(),
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        proof=draft.reference,
    )
    booking.supersede(mortgage, goes_on, op.ground.value)
    issue_proof(goes_on, booking, draft, mortgage.proof)


def _units_fit(op: MortgageRelease, mortgage: Mortgage, field: str) -> list[Finding]:
    """A full release names every unit; a partial one leaves some, and the terms name those too (RD 70)."""
    if not op.partial:
        return units_agree(op.units, mortgage.units, field, "RD 70")
    strangers = set(op.units) - set(mortgage.units)
    if not strangers and set(op.units) != set(mortgage.units):
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".mortgage.unit_codes",
            article="RD 70",
            zh="部分注销的单元须属于该抵押权且不是全部；该抵押权的单元：" + "、".join(mortgage.units),
            en="a partial release names some of the mortgage's units, not all: " + ", ".join(mortgage.units),
        )
    ]


def _judgment_entitles(op: MortgageRelease, mortgage: Mortgage, field: str) -> list[Finding]:
    """With a judgment the mortgagor, or the mortgagee, may apply; nobody else (OS 14.4)."""
    if op.ground is not ReleaseGround.JUDGMENT:
        return []
    return strangers(
        op.applicants,
        (*mortgage.mortgagors, *mortgage.mortgagees),
        field,
        "OS 14.4; IR 14(2)(3)",
        "凭生效法律文书申请的须为抵押人或者抵押权人",
        "with a judgment the mortgagor or the mortgagee applies",
    )


def _has_ended(op: MortgageRelease, case: Case, field: str) -> list[Finding]:
    """A claim that is to end some day has not ended (CC 393); in a combined case the payoff gate waits for the day."""
    is_past = op.settled_on is None or op.settled_on <= case.now.astimezone(CHINA).date()
    if is_past or case.manifest.kind is Kind.ENCUMBERED_TRANSFER:
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".ended_on",
            article="CC 393",
            zh="债权消灭日期在将来",
            en="the day on which the claim ended lies in the future",
        )
    ]


def _undertaking(op: MortgageRelease, case: Case, field: str) -> list[Finding]:
    """A release on an undertaking is booked together with what pays the loan, never alone (handbook 2.3)."""
    if op.ground is not ReleaseGround.UNDERTAKING or case.manifest.kind is Kind.ENCUMBERED_TRANSFER:
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".ground",
            article="CC 393",
            zh="债权尚未消灭；以结清后注销承诺申请的，只能在组合办理的案件中提出",
            en="the claim has not ended: a release on an undertaking is taken only in a combined case",
        )
    ]


def _applies(zh: str, en: str, party: Party) -> Applicant:
    return Applicant(party=party, role_zh=zh, role_en=en, article="RD 70; OS 14.4")
