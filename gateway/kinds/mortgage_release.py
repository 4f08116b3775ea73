"""MORTGAGE_RELEASE 抵押权注销登记: a mortgage ends (CC 393; RD 70; OS 14.4).

The mortgagee of record may apply alone when the claim ended or is waived; nobody is harmed by it, so it does not
wait behind another right's case (handbook 3.2) and a seizure does not stop it (blocks.csv).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cases.model import Kind
from gateway.cases.terms import MortgageRelease, ReleaseGround
from gateway.kinds.blocking import register_findings
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import same_certificate_number
from gateway.register.model import Mortgage, UnitState
from gateway.register.reasons import finding

OPERATION = "MORTGAGE_RELEASE"


def applicants(op: MortgageRelease, states: Sequence[UnitState]) -> tuple[Applicant, ...]:
    """The mortgagee alone, on settlement or waiver (RD 70; OS 14.4)."""
    return tuple(
        Applicant(party=p, role_zh="抵押权人", role_en="mortgagee", article="RD 70; OS 14.4")
        for p in op.mortgagees
    )


def papers(op: MortgageRelease, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The paper by which the mortgage ended, or is to end on payoff, sealed by the mortgagee (RD 70).

    The proof 不动产登记证明 is cited by number; the bank's signed envelope is its application.
    """
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
    return (
        PaperRule(
            code="EXTINCTION",
            zh="抵押权消灭的材料（结清证明或者放弃声明）",
            en="settlement statement or waiver",
            article="CC 393; RD 70",
            signers=op.mortgagees,
        ),
    )


def conditions(op: MortgageRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live mortgage of the applicant on exactly these units (CC 393; IR 18)."""
    mortgage = _mortgage(op, states)
    if mortgage is None:
        return [
            finding(
                "N-BARRED",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".proof",
                article="OS 4.8; RD 70",
                zh=f"登记簿上没有证明号为 {op.proof.number} 的现势抵押权",
                en=f"no live mortgage has proof number {op.proof.number} on these units",
            )
        ]
    found = _undertaking(op, case, field)
    if {p.key for p in op.mortgagees} != {p.key for p in mortgage.mortgagees}:
        found.append(
            finding(
                "N-NOT_APPLICANT",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".mortgagees",
                article="RD 70; IR 14",
                zh="申请人不是登记簿上的抵押权人",
                en="the applicant is not the mortgagee of record",
            )
        )
    if set(op.units) != set(mortgage.units):
        found.append(
            finding(
                "N-INCOMPLETE",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".units",
                article="RD 70",
                zh="全部注销须列明该抵押权的全部不动产单元：" + "、".join(mortgage.units),
                en="a full release names every unit of the mortgage: " + ", ".join(mortgage.units),
            )
        )
    for state in states:
        found += register_findings(state, OPERATION, case, field, rights=(mortgage.right_id,))
    return found


def only_a_person(op: MortgageRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Settlement and waiver are the mortgagee's own word; any other ground is for a person (CC 393)."""
    if op.ground in (ReleaseGround.CLAIM_SETTLED, ReleaseGround.WAIVED):
        return []
    return [
        finding(
            "M-REFER",
            Severity.REFERS,
            field=field + ".ground",
            article="CC 393",
            zh="注销原因不是债权消灭或者放弃，由登记员决定",
            en="the ground is neither settlement nor waiver: a registrar decides",
        )
    ]


def names_rights(op: MortgageRelease, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage itself."""
    mortgage = _mortgage(op, states)
    return (mortgage.right_id,) if mortgage else ()


def book(op: MortgageRelease, booking: Booking) -> None:
    """The row becomes historical, its proof is void; ranks behind it move up in fact, unbooked (handbook 3.2)."""
    mortgage = _mortgage(op, [booking.states[code] for code in op.units])
    if mortgage is None:
        raise NotBookable(f"no live mortgage has proof number {op.proof.number} on these units")
    booking.end(mortgage, reason=op.ground.value)
    booking.cancel_certificate(mortgage.proof.number)


def _mortgage(op: MortgageRelease, states: Sequence[UnitState]) -> Mortgage | None:
    """The live mortgage that the proof number names, on every unit named."""
    for state in states[:1]:
        for mortgage in state.mortgages:
            if same_certificate_number(mortgage.proof.number, op.proof.number):
                return mortgage
    return None


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
