"""REISSUE 换证、补证: the same right under a new certificate (RD 20, 22, 23).

Its holder applies: the certificate is damaged, lost (and declared void in public), of another medium, or of an older
scheme. Nothing in the register changes but the certificate's number; the row is superseded by one that cites the new
certificate, because no row is edited (IR 10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import Reissue, ReissueGround
from gateway.certificates.content import CertificateKind
from gateway.kinds import mortgage, pre_notice
from gateway.kinds.blocking import pending_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.named import (
    holders_agree,
    holders_of,
    identity_of,
    no_such_right,
    right_named,
    units_agree,
)
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, UnitState
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
REISSUED: Final = "换证、补证"


def applicants(
    op: Reissue, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """The holder of the right (RD 22)."""
    right = right_named(op.proof, states)
    holders = holders_of(right) if right is not None else op.applicants
    return tuple(Applicant(party=p, role_zh="权利人", role_en="holder", article="RD 22, 23") for p in holders)


def papers(op: Reissue, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms of persons; of a lost certificate the public declaration (RD 22)."""
    people = [p for p in op.applicants if not p.is_institution]
    rules = list(forms_of(people)) if people else []
    if op.ground is ReissueGround.LOST:
        rules.append(
            PaperRule(
                code="LOSS_DECLARATION",
                zh="遗失（灭失）声明",
                en="public declaration of the loss",
                article="RD 22",
            )
        )
    return tuple(rules)


def conditions(op: Reissue, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The certificate shows a live right of the applicant; a lost one was declared void (RD 22)."""
    right = right_named(op.proof, states)
    if right is None:
        return [no_such_right(op.proof, states, field + ".right", "权利", "right", "RD 22; OS 4.8")]
    found = units_agree(op.units, right.units, field, "RD 22")
    found += holders_agree(
        op.applicants or holders_of(right),
        holders_of(right),
        case,
        field + ".applicants",
        "RD 22",
        "权利人",
        "holders",
    )
    for state in states:
        found += pending_findings(state, right.identity, case, field)
    if op.ground is ReissueGround.LOST and (op.declared_void_at is None or op.declared_void_at > case.now):
        found.append(
            finding(
                "N-INCOMPLETE",
                Severity.BLOCKS,
                field=field + ".declared_void_at",
                file="LOSS_DECLARATION",
                article="RD 22",
                zh="补证须写明已发布的遗失声明的时间",
                en="say when the loss was published",
            )
        )
    return found


def only_a_person(op: Reissue, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A registrar looks at the surrendered or lost paper (RD 22, 23)."""
    return unclean("REISSUE", Asked(case=case, states=tuple(states), field=field))


def names_rights(op: Reissue, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The right whose certificate is issued again."""
    return identity_of(right_named(op.proof, states))


def book(op: Reissue, booking: Booking) -> None:
    """The right as it was, under a new number; the old certificate is replaced (RD 20, 22)."""
    states = [booking.states[c] for c in op.units]
    right = right_named(op.proof, states)
    if right is None:
        raise NotBookable(f"no live right has proof number {op.proof.number} on these units")
    draft = booking.draft_certificate(CertificateKind.PROOF, states[0].unit.county_code)
    new = replace(right, right_id=booking.new_right_id(), proof=draft.reference)
    booking.supersede(right, new, REISSUED)
    if isinstance(new, Mortgage):
        mortgage.issue_proof(new, booking, draft, right.proof)
    else:
        pre_notice.issue_proof(new, booking, draft, right.proof)
