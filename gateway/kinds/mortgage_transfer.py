"""MORTGAGE_TRANSFER 抵押权转移登记: a mortgage follows its claim to another mortgagee (CC 407, 547; RD 69; OS 14.3).

Who applies: mortgagee of record and assignee; the survivor of a merger alone, rights passing by statute (Company Law
221; CC 67). Without its claim a mortgage cannot move, and the debtor must have been told (CC 407, 546). A part of an
unfixed maximum-amount claim takes the mortgage along only where that was agreed (CC 421; RD 74). Rank is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import MortgageChange, MortgageTransfer, TransferGround, operation_name
from gateway.certificates.content import CertificateKind
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, PaperRule
from gateway.kinds.mortgage import issue_proof
from gateway.kinds.named import (
    bookable,
    identity_of,
    is_proof_of,
    mortgage_named,
    no_such_right,
    once,
    present_keys,
    sort_fits,
    units_agree,
)
from gateway.register.authority import Institution
from gateway.register.blocks import UnitStateCode
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, MortgageKind, Party, UnitState, going_on
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
TRANSFERRED: Final = "转移登记"


def applicants(
    op: MortgageTransfer, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Assignor and assignee together; after a merger or by a judgment the assignee alone (OS 14.3; IR 14)."""
    sides = [("抵押权受让人", "assignee", p) for p in op.assignees]
    if op.ground is TransferGround.CLAIM_ASSIGNMENT:
        sides = [("抵押权转让人", "assignor", p) for p in op.assignors] + sides
    return tuple(
        Applicant(party=p, role_zh=zh, role_en=en, article="IR 14; RD 69; OS 14.3") for zh, en, p in sides
    )


def papers(op: MortgageTransfer, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The claim's assignment and the notice to the debtor; of a merger its proof instead (documents.csv)."""
    if op.ground is TransferGround.MERGER:
        return (
            PaperRule(
                code="MERGER_PROOF",
                zh="合并协议及登记机关准予变更文件",
                en="proof of the merger of the mortgagee",
                article="Company Law 221; CC 67",
            ),
        )
    if op.ground is TransferGround.JUDGMENT:
        return (
            PaperRule(
                code="JUDGMENT", zh="生效法律文书", en="effective judgment or award", article="IR 14(2)(3)"
            ),
        )
    rules = [
        PaperRule(
            code="CLAIM_ASSIGNMENT",
            zh="被担保主债权的转让协议",
            en="assignment of the secured claim",
            article="CC 407; RD 69; OS 14.3",
            signers=once(op.assignors + op.assignees),
            rule="R-NO_CLAIM_ASSIGNMENT",
        ),
        PaperRule(
            code="DEBTOR_NOTICE",
            zh="债权人已经通知债务人的材料",
            en="evidence that the debtor was told",
            article="CC 546; RD 69; OS 14.3",
            signers=op.assignors,
            rule="R-NO_CLAIM_ASSIGNMENT",
        ),
    ]
    mortgage = mortgage_named(op.proof, states)
    if mortgage is not None and _is_part_of_unfixed(op, mortgage):
        rules.append(
            PaperRule(
                code="MAX_AMOUNT_PARTIAL",
                zh="部分债权转移及抵押权随同转移的约定",
                en="agreement that the maximum-amount mortgage follows a part of the claim",
                article="CC 421; OS 14.3",
                signers=once((*op.assignors, *op.assignees, *mortgage.mortgagors)),
                rule="R-MAX_NOT_FIXED",
            )
        )
    return tuple(rules)


def conditions(op: MortgageTransfer, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live mortgage of the assignors, the claim moves, and the register bears it (RD 69)."""
    old = mortgage_named(op.proof, states)
    if old is None:
        return [no_such_right(op.proof, states, field + ".proof", "抵押权", "mortgage", "RD 69; OS 4.8")]
    found = units_agree(op.units, old.units, field, "RD 69")
    found += sort_fits(construction=op.construction, mortgage=old, field=field)
    found += _assignors_hold(op, old, case, field) + _assignees_differ(op, case, field)
    found += _amount_fits(op, old, field) + _debtor_was_told(op, case, field)
    follows = not _is_part_of_unfixed(op, old) or (
        op.follows_part and bool(case.papers_of("MAX_AMOUNT_PARTIAL"))
    )
    for state in states:
        found += register_findings(
            state,
            operation_name(op),
            case,
            field,
            rights=(old.identity,),
            joining=op.assignors + op.assignees,
            consenters=op.consenters,
            papers=frozenset({UnitStateCode.MAX_AMOUNT_NOT_FIXED}) if follows else frozenset(),
        )
    return found


def only_a_person(op: MortgageTransfer, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Always: the unit carries a mortgage, so the case is not clean (handbook 1.4)."""
    return unclean(operation_name(op), Asked(case=case, states=tuple(states), field=field))


def names_rights(op: MortgageTransfer, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage that moves."""
    return identity_of(mortgage_named(op.proof, states))


def book(op: MortgageTransfer, booking: Booking) -> None:
    """The same mortgage, of another mortgagee, under a new proof; rank and first registration are kept (RD 69).

    Where a later step of the phase changes it, the proof is issued there, once (N29 mode 3; S11).
    """
    old = bookable(mortgage_named(op.proof, [booking.states[c] for c in op.units]), op.proof, "mortgage")
    new = replace(
        old,
        right_id=booking.new_right_id(),
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        mortgagees=_mortgagees_after(op, old, booking.institutions),
    )
    if _is_changed_later(op, booking):
        booking.end(old, reason=TRANSFERRED, by=new.right_id)
        booking.book(going_on(old, new))
        return
    draft = booking.draft_certificate(CertificateKind.PROOF, booking.states[old.units[0]].unit.county_code)
    new = replace(new, proof=draft.reference)
    booking.supersede(old, new, TRANSFERRED)
    issue_proof(new, booking, draft, old.proof)


def _is_changed_later(op: MortgageTransfer, booking: Booking) -> bool:
    """Whether a step after this one changes the same mortgage."""
    steps = booking.terms.operations
    later = steps[steps.index(op) + 1 :]
    return any(isinstance(step, MortgageChange) and is_proof_of(step.proof, op.proof) for step in later)


def moves_whole(op: MortgageTransfer, mortgage: Mortgage) -> bool:
    """Whether the whole claim moves: in a merger always (Company Law 221); of an unfixed maximum-amount mortgage a
    stated amount is a part (CC 421).
    """
    if op.assigned_fen is None or op.ground is TransferGround.MERGER:
        return True
    return mortgage.kind is MortgageKind.ORDINARY and op.assigned_fen == mortgage.claim_amount_fen


def _mortgagees_after(
    op: MortgageTransfer, old: Mortgage, institutions: Mapping[str, Institution]
) -> tuple[Party, ...]:
    """Assignees take the assignors' place; where only a part moves they stand beside them (CC 421, 547).

    Nobody stands there twice, under a present and a former code (handbook 3.1).
    """
    named = op.assignors + op.assignees if moves_whole(op, old) else op.assignees
    replaced = present_keys(named, institutions)
    stay = tuple(p for p in old.mortgagees if not present_keys((p,), institutions) & replaced)
    return once((*stay, *op.assignees))


def _is_part_of_unfixed(op: MortgageTransfer, mortgage: Mortgage) -> bool:
    return mortgage.kind is MortgageKind.MAXIMUM_AMOUNT and not moves_whole(op, mortgage)


def _assignors_hold(op: MortgageTransfer, old: Mortgage, case: Case, field: str) -> list[Finding]:
    """Nobody assigns but a mortgagee of record (RD 69)."""
    recorded = present_keys(old.mortgagees, case.institutions)
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".assignors",
            article="RD 69; IR 14",
            zh=f"{party.name}不是登记簿上的抵押权人",
            en=f"{party.name} is not a mortgagee of record",
        )
        for party in op.assignors
        if not present_keys((party,), case.institutions) <= recorded
    ]


def _assignees_differ(op: MortgageTransfer, case: Case, field: str) -> list[Finding]:
    """A transfer to those who hold it already moves nothing."""
    institutions = case.institutions
    if not present_keys(op.assignees, institutions) <= present_keys(op.assignors, institutions):
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".assignees",
            article="RD 69",
            zh="受让人与转让人相同",
            en="the assignees are the assignors",
        )
    ]


def _debtor_was_told(op: MortgageTransfer, case: Case, field: str) -> list[Finding]:
    """A debtor who is to be told some day has not been told (CC 546)."""
    if op.debtor_told_on is None or op.debtor_told_on <= case.now.astimezone(CHINA).date():
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-NO_CLAIM_ASSIGNMENT",
            field=field + ".debtor_told_on",
            article="CC 546; RD 69",
            zh="通知债务人的日期在将来",
            en="the day on which the debtor was told lies in the future",
        )
    ]


def _amount_fits(op: MortgageTransfer, old: Mortgage, field: str) -> list[Finding]:
    """No more of the claim moves than is secured (CC 407)."""
    secured = old.claim_amount_fen or old.max_claim_amount_fen or 0
    if op.assigned_fen is None or op.assigned_fen <= secured:
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            field=field + ".assigned_amount",
            article="CC 407; IR 18(2)",
            zh="转让的债权数额超过登记的债权数额",
            en="more is assigned than the mortgage secures",
        )
    ]
