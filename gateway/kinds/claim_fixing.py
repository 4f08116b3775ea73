"""MORTGAGE_CLAIM_FIXING 最高额抵押权确定登记: the claim of a maximum-amount mortgage is fixed (CC 423; RD 73).

Mortgagor and mortgagee apply with the fact that fixed it. From then on the mortgage is an ordinary one for the amount
that is owed, never above its ceiling; rank and first registration are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import ClaimFixing, operation_name
from gateway.certificates.content import CertificateKind
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, PaperRule
from gateway.kinds.mortgage import issue_proof
from gateway.kinds.named import (
    bookable,
    holders_agree,
    identity_of,
    mortgage_named,
    no_such_right,
    once,
    units_agree,
)
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, MortgageKind, UnitState
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
FIXED: Final = "最高额抵押权确定登记"


def applicants(
    op: ClaimFixing, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Mortgagor and mortgagee together (RD 73)."""
    both = [("抵押人", "mortgagor", p) for p in op.mortgagors]
    both += [("抵押权人", "mortgagee", p) for p in op.mortgagees]
    return tuple(Applicant(party=p, role_zh=zh, role_en=en, article="IR 14; RD 73") for zh, en, p in both)


def papers(op: ClaimFixing, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms, and the proof of the fixing event and the amount (documents.csv)."""
    return (
        *forms_of(op.mortgagors),
        PaperRule(
            code="FIXING_FACT",
            zh="最高额抵押权担保的债权已确定的材料",
            en="proof of the fixing event and the amount",
            article="CC 423; RD 73",
            signers=once(op.mortgagors + op.mortgagees),
        ),
    )


def conditions(op: ClaimFixing, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live maximum-amount mortgage of these parties; the amount keeps under its ceiling (CC 423)."""
    old = mortgage_named(op.proof, states)
    if old is None:
        return [no_such_right(op.proof, states, field + ".proof", "抵押权", "mortgage", "RD 73; OS 4.8")]
    found = units_agree(op.units, old.units, field, "RD 73")
    found += holders_agree(
        op.mortgagees, old.mortgagees, case, field + ".mortgagees", "RD 73", "抵押权人", "mortgagees"
    )
    found += holders_agree(
        op.mortgagors, old.mortgagors, case, field + ".mortgagors", "RD 73", "抵押人", "mortgagors"
    )
    found += _can_be_fixed(op, old, case, field)
    for state in states:
        found += register_findings(
            state,
            operation_name(op),
            case,
            field,
            rights=(old.identity,),
            obligors=op.mortgagors,
            joining=op.mortgagees,
        )
    return found


def only_a_person(op: ClaimFixing, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Always: whether the claim is fixed is a question of fact (CC 423)."""
    return unclean(operation_name(op), Asked(case=case, states=tuple(states), field=field))


def names_rights(op: ClaimFixing, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage whose claim is fixed."""
    return identity_of(mortgage_named(op.proof, states))


def book(op: ClaimFixing, booking: Booking) -> None:
    """The row is superseded by an ordinary mortgage for the amount that was fixed (CC 423; RD 73)."""
    old = bookable(mortgage_named(op.proof, [booking.states[c] for c in op.units]), op.proof, "mortgage")
    draft = booking.draft_certificate(CertificateKind.PROOF, booking.states[old.units[0]].unit.county_code)
    new = replace(
        old,
        right_id=booking.new_right_id(),
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        kind=MortgageKind.ORDINARY,
        claim_amount_fen=op.fixed_fen,
        max_claim_amount_fen=None,
        term_end=op.term_end or old.term_end,
        fixing_fact=f"{op.fixed_on.isoformat()} {op.fixing_fact}",
        proof=draft.reference,
    )
    booking.supersede(old, new, FIXED)
    issue_proof(new, booking, draft, old.proof)


def _can_be_fixed(op: ClaimFixing, old: Mortgage, case: Case, field: str) -> list[Finding]:
    """A maximum-amount mortgage, a day that has come, an amount under the ceiling, a term that ends after it began."""
    found = []
    if old.kind is not MortgageKind.MAXIMUM_AMOUNT:
        found.append(
            _wrong(field + ".proof", "该抵押权不是最高额抵押权", "the mortgage is no maximum-amount mortgage")
        )
    elif op.currency != old.currency:  # the row keeps its currency, and no rate is known here
        zh = f"确定的债权数额应以抵押权的币种 {old.currency} 计"
        en = f"the amount must be in the currency of the mortgage, {old.currency}"
        found.append(_wrong(field + ".fixed_amount", zh, en))
    elif op.fixed_fen > (old.max_claim_amount_fen or 0):
        found.append(
            _wrong(field + ".fixed_amount", "确定的债权数额超过最高债权额", "the amount exceeds the ceiling")
        )
    if op.fixed_on < old.first_registered_at.astimezone(CHINA).date():
        found.append(
            _wrong(
                field + ".fixed_on", "确定日期早于抵押权首次登记", "the day of fixing is before the mortgage"
            )
        )
    if op.fixed_on > case.now.astimezone(CHINA).date():
        found.append(_wrong(field + ".fixed_on", "确定日期在将来", "the day of fixing lies in the future"))
    if op.term_end is not None and op.term_end < old.term_start:
        found.append(_wrong(field + ".term_end", "早于债务履行期限起", "the term ends before it begins"))
    return found


def _wrong(field: str, zh: str, en: str) -> Finding:
    return finding(
        "C-MISMATCH", Severity.BLOCKS, rule="R-CONFLICT", field=field, article="CC 423; RD 73", zh=zh, en=en
    )
