"""The gates at booking: taxes on a transfer, and the payoff of the old loan. They never stop acceptance (handbook 2.3).

A case that was decided while a gate is closed waits in AWAITING_TAX or AWAITING_PAYOFF and is booked when it opens.
Three checks at a transfer (handbook 9): the buyer's deed tax (DT 11), the income tax of each natural seller (PIT 15),
land VAT for a company seller or a unit that is no home (land VAT rules 12); an exemption counts as clearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.cases.model import Application, ConsentKind
from gateway.cases.terms import (
    MortgageRelease,
    ReleaseGround,
    TaxClearance,
    TaxKind,
    Terms,
    transfer_in,
)
from gateway.kinds.acting import speaks_for
from gateway.kinds.deal import new_mortgagees, old_mortgagees
from gateway.kinds.law import Case
from gateway.kinds.laws import composition_of
from gateway.kinds.modes import Gate
from gateway.kinds.powers import is_signed_by
from gateway.register.authority import Institution
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party, UnitState, Value
from gateway.register.reasons import finding

#: The paper that stands for both signed acts: the new mortgagee's undertaking, accepted by the old one.
PAYOFF_UNDERTAKING: Final = "PAYOFF_UNDERTAKING"

_TAX_NAMES: Final = {
    TaxKind.DEED: ("契税", "deed tax"),
    TaxKind.INCOME: ("卖方个人所得税", "the seller's income tax"),
    TaxKind.LAND_VAT: ("土地增值税", "land VAT"),
}


class TaxDuty(Value, frozen=True, kw_only=True):
    """One tax that is due on one unit of a transfer; `seller` is the payer's place among the sellers, -1 the buyers."""

    kind: TaxKind
    operation: int
    seller: int
    unit: str

    @property
    def key(self) -> str:
        """How an application's row names it: no person in it."""
        return f"{self.kind.value}/{self.operation}/{self.seller}/{self.unit}"


def tax_duties(terms: Terms, units: Mapping[str, UnitState]) -> tuple[TaxDuty, ...]:
    """Every tax that must be cleared before the transfers of these terms are booked."""
    duties = []
    for number, step in enumerate(terms.operations):
        op = transfer_in(step)
        if op is None:
            continue
        for code in op.units:
            home = code in units and units[code].unit.use == "RESIDENTIAL"
            duties.append(TaxDuty(kind=TaxKind.DEED, operation=number, seller=-1, unit=code))
            for place, seller in enumerate(op.sellers):
                due = [] if seller.is_institution else [TaxKind.INCOME]
                due += [TaxKind.LAND_VAT] if seller.is_institution or not home else []
                duties += [TaxDuty(kind=k, operation=number, seller=place, unit=code) for k in due]
    return tuple(duties)


def cleared_by(
    clearances: Iterable[TaxClearance], terms: Terms, units: Mapping[str, UnitState]
) -> tuple[str, ...]:
    """Keys of the duties that these clearances clear."""
    known = tuple(clearances)
    return tuple(d.key for d in tax_duties(terms, units) if any(_clears(c, d, terms) for c in known))


def closed_gates(case: Case, row: Application, units: Mapping[str, UnitState]) -> tuple[Finding, ...]:
    """S-TAX and S-PAYOFF for the gates of the case that are closed; empty when it may be booked.

    Taxes gate every sale, by whatever mode and by conversion of a pre-notice too (DT 11; PIT 15; handbook 9).
    """
    composition = composition_of(case.manifest)
    terms = case.manifest.terms
    gates = composition.gates(case.manifest) if composition is not None else frozenset()
    found = _taxes(case, row, units)
    if Gate.PAYOFF in gates:
        found += [
            _payoff_awaited(op, f"terms.operations[{number}]")
            for number, op in enumerate(terms.operations)
            if isinstance(op, MortgageRelease) and not _is_paid_off(op, number, case, row)
        ]
    return tuple(found)


def _taxes(case: Case, row: Application, units: Mapping[str, UnitState]) -> list[Finding]:
    """Which taxes are still to be cleared, or to be shown exempt (DT 11; PIT 15; land VAT rules 12)."""
    manifest = case.manifest
    there = [
        c
        for c in manifest.terms.tax_clearances + manifest.evidence.tax_clearances
        if c.cleared_at <= case.now
    ]
    cleared = {*row.taxes_cleared, *cleared_by(there, manifest.terms, units)}
    missing = [d for d in tax_duties(manifest.terms, units) if d.key not in cleared]
    if not missing:
        return []
    names = [_TAX_NAMES[kind] for kind in dict.fromkeys(d.kind for d in missing)]
    return [
        finding(
            "S-TAX",
            Severity.WAITS,
            field="terms.tax_clearances",
            zh="尚未完税或者免税：" + "、".join(zh for zh, _ in names),
            en="not yet cleared or exempt: " + ", ".join(en for _, en in names),
        )
    ]


def _clears(clearance: TaxClearance, duty: TaxDuty, terms: Terms) -> bool:
    """Whether a clearance is of the duty's tax, unit and payer; what it leaves open it clears."""
    op = transfer_in(terms.operations[duty.operation])
    if clearance.kind is not duty.kind or op is None:
        return False
    if clearance.units and duty.unit not in clearance.units:
        return False
    payers = op.buying if duty.seller < 0 else (op.sellers[duty.seller],)
    return clearance.taxpayer is None or clearance.taxpayer.key in {p.key for p in payers}


def may_state(institution: str, kind: ConsentKind, case: Case) -> bool:
    """Whether this statement on the payoff is the institution's to make: the old mortgagee's, or the new one's."""
    terms = case.manifest.terms
    sides = new_mortgagees(terms) if kind is ConsentKind.PAYOFF_UNDERTAKING else old_mortgagees(terms)
    return any(speaks_for(institution, party, terms, case.institutions) for party in sides)


def silent_on_payoff(
    row: Application, terms: Terms, institutions: Mapping[str, Institution]
) -> tuple[Party, ...]:
    """The old mortgagees that have said nothing of the payoff that stands."""
    spoken = [c.institution for c in row.consents if c.stands and c.kind is not ConsentKind.TO_TERMS]
    return tuple(
        p
        for p in old_mortgagees(terms)
        if not any(speaks_for(code, p, terms, institutions) for code in spoken)
    )


def _is_paid_off(op: MortgageRelease, step: int, case: Case, row: Application) -> bool:
    """Settled or waived by the terms themselves; else every mortgagee confirmed it, or accepted an undertaking."""
    today = case.now.astimezone(CHINA).date()
    if op.ground is ReleaseGround.WAIVED:
        return True
    if op.ground is ReleaseGround.CLAIM_SETTLED and op.settled_on is not None and op.settled_on <= today:
        return True
    return all(_is_satisfied(mortgagee, step, case, row) for mortgagee in op.mortgagees)


def _is_satisfied(mortgagee: Party, step: int, case: Case, row: Application) -> bool:
    if _is_stated(ConsentKind.PAYOFF_CONFIRMED, (mortgagee,), step, case, row):
        return True
    lenders = new_mortgagees(case.manifest.terms)
    undertaken = _is_stated(ConsentKind.PAYOFF_UNDERTAKING, lenders, step, case, row)
    if undertaken and _is_stated(ConsentKind.PAYOFF_UNDERTAKING_ACCEPTED, (mortgagee,), step, case, row):
        return True
    return any(
        is_signed_by(paper, mortgagee, case) and any(is_signed_by(paper, p, case) for p in lenders)
        for paper in case.papers_of(PAYOFF_UNDERTAKING)
        if paper.found and not paper.problems and paper.serves(step)
    )


def _is_stated(kind: ConsentKind, by: Iterable[Party], step: int, case: Case, row: Application) -> bool:
    """Whether one of these parties made the statement about this release and has not taken it back."""
    terms, parties = case.manifest.terms, tuple(by)
    return any(
        said.kind is kind
        and said.stands
        and said.is_about(step)
        and any(speaks_for(said.institution, p, terms, case.institutions) for p in parties)
        for said in row.consents
    )


def _payoff_awaited(op: MortgageRelease, field: str) -> Finding:
    return finding(
        "S-PAYOFF",
        Severity.WAITS,
        field=field,
        article="N29",
        zh=f"等待原抵押权人确认证明号 {op.proof.number} 所担保的贷款已结清，或者接受新抵押权人的代为清偿承诺",
        en=f"the mortgagee of proof {op.proof.number} has neither confirmed the payoff nor accepted the new "
        "mortgagee's undertaking",
    )
