"""MORTGAGE_FIRST 抵押权首次登记: a bank's mortgage comes into being (CC 394-403; RD 66; OS 14.1).

Who applies: mortgagor and mortgagee together (IR 14). A mortgage exists only when booked (CC 402); its rank
follows the order of registration (CC 414), its acceptance the order of the queue (RD 67).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cases.terms import MortgageFirst, OwnershipTransfer
from gateway.certificates.content import CertificateKind, mortgage_proof
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import refer, unclean_mortgagees, unclean_owner, unclean_unit
from gateway.kinds.law import Applicant, Booking, Case, PaperRule
from gateway.kinds.papers import forms_of
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, MortgageKind, MortgagorRelation, Party, UnitState
from gateway.register.rank import next_rank
from gateway.register.reasons import finding

OPERATION = "MORTGAGE_FIRST"


def applicants(op: MortgageFirst, states: Sequence[UnitState]) -> tuple[Applicant, ...]:
    """Mortgagors and mortgagees together (IR 14; RD 66)."""
    both = [("抵押人", "mortgagor", p) for p in op.mortgagors]
    both += [("抵押权人", "mortgagee", p) for p in op.mortgagees]
    return tuple(Applicant(party=p, role_zh=zh, role_en=en, article="IR 14; RD 66") for zh, en, p in both)


def papers(op: MortgageFirst, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms, loan contract, mortgage contract, and the agreement on rank where one is set (documents.csv)."""
    rules = [
        *forms_of(op.mortgagors),
        PaperRule(
            code="PRINCIPAL_CONTRACT",
            zh="主债权合同",
            en="loan contract",
            article="RD 66; OS 14.1",
            signers=_once(op.debtors + op.mortgagees),
        ),
        PaperRule(
            code="MORTGAGE_CONTRACT",
            zh="抵押合同",
            en="mortgage contract",
            article="CC 400; RD 66",
            signers=_once(op.mortgagors + op.mortgagees),
        ),
    ]
    if op.agreed_rank is not None:
        rules.append(
            PaperRule(
                code="RANK_AGREEMENT",
                zh="抵押权顺位约定",
                en="agreement on rank",
                article="RD 67; CC 409",
                signers=_once(op.mortgagors + op.mortgagees),
            )
        )
    return tuple(rules)


def conditions(op: MortgageFirst, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The owners mortgage, titles agree, and nothing in the register bars it (OS 14.1.4; blocks.csv)."""
    found: list[Finding] = []
    for state in states:
        found += _owners_are_mortgagors(op, state, field)
        found += _titles_agree(op, state, case, field)
        found += register_findings(
            state,
            OPERATION,
            case,
            field,
            obligors=op.mortgagors,
            joining=op.mortgagees,
            consenters=op.consenters,
        )
    return found


def only_a_person(op: MortgageFirst, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A rule may decide only what is clean (handbook 1.4; S15)."""
    found = unclean_mortgagees([(p.id_number, p.name) for p in op.mortgagees], case, field)
    if op.kind is not MortgageKind.ORDINARY:
        found.append(refer(field + ".kind", "CC 420", "最高额抵押", "a maximum-amount mortgage"))
    if len(op.mortgagees) != 1:
        found.append(refer(field + ".mortgagees", "RD 67", "多个抵押权人", "several mortgagees"))
    if op.agreed_rank is not None:
        found.append(refer(field + ".agreed_rank", "RD 67; CC 409", "约定顺位", "an agreed rank"))
    if len(states) != 1:
        found.append(refer(field + ".units", "RD 66", "多个不动产单元", "several units"))
    if op.mortgagor_relation is not MortgagorRelation.DEBTOR or _keys(op.mortgagors) != _keys(op.debtors):
        found.append(
            refer(
                field + ".debtors",
                "CC 391",
                "抵押人与债务人不是同一人",
                "mortgagor and debtor are not one person",
            )
        )
    for state in states:
        found += unclean_owner(state, case, field) + unclean_unit(state, case, field)
    return found


def names_rights(op: MortgageFirst, states: Sequence[UnitState]) -> tuple[str, ...]:
    """A first registration names no existing right."""
    return ()


def book(op: MortgageFirst, booking: Booking) -> None:
    """One mortgage row at the next rank, and its registration proof (CC 402, 414; handbook 5.1)."""
    states = [booking.states[code] for code in op.units]
    rank = max(next_rank(state) for state in states)
    draft = booking.draft_certificate(CertificateKind.PROOF, states[0].unit.county_code)
    mortgage = Mortgage(
        right_id=booking.new_right_id(),
        units=op.units,
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        kind=op.kind,
        mortgagors=op.mortgagors,
        mortgagees=op.mortgagees,
        debtors=op.debtors,
        mortgagor_relation=op.mortgagor_relation,
        claim_amount_fen=op.claim_amount_fen,
        max_claim_amount_fen=op.max_claim_amount_fen,
        currency=op.currency,
        loan_portions=op.loan_portions,
        term_start=op.term_start,
        term_end=op.term_end,
        secured_scope=op.secured_scope,
        transfer_restriction=op.transfer_restriction,
        first_registered_at=booking.now,
        rank_at_registration=rank,
        priority_date=booking.now,
        agreed_rank=op.agreed_rank,
        proof=draft.reference,
    )
    booking.book(mortgage)
    booking.issue(
        mortgage_proof(
            mortgage,
            [state.unit for state in states],
            [state.ownership.title.number for state in states if state.ownership],
            **booking.imprint(draft),
        )
    )


def _owners_are_mortgagors(op: MortgageFirst, state: UnitState, field: str) -> list[Finding]:
    """Every co-owner mortgages, and nobody else does (CC 301, 395; RD 10)."""
    if state.ownership is None:
        return []  # NOT_FIRST_REGISTERED blocks it, in the table
    owners = {o.person.key: o.person for o in state.ownership.owners}
    named = {p.key: p for p in op.mortgagors}
    found = []
    for key, owner in owners.items():
        if key not in named:
            found.append(
                finding(
                    "N-NOT_APPLICANT",
                    Severity.BLOCKS,
                    rule="R-CO_OWNER",
                    field=field + ".mortgagors",
                    article="CC 301; RD 10",
                    zh=f"单元 {state.unit.unit_code} 的共有人未列为抵押人",
                    en=f"a co-owner of unit {state.unit.unit_code} is not among the mortgagors",
                )
            )
        elif named[key].name != owner.name:
            found.append(
                finding(
                    "C-MISMATCH",
                    Severity.BLOCKS,
                    rule="R-CONFLICT",
                    field=field + ".mortgagors",
                    article="IR 18(2)",
                    zh="抵押人姓名与登记簿记载不一致",
                    en="a mortgagor's name differs from the register",
                )
            )
    found += [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".mortgagors",
            article="CC 395; IR 14",
            zh=f"{named[key].name}不是单元 {state.unit.unit_code} 的登记权利人",
            en=f"{named[key].name} is not an owner of record of unit {state.unit.unit_code}",
        )
        for key in named.keys() - owners.keys()
    ]
    return found


def _titles_agree(op: MortgageFirst, state: UnitState, case: Case, field: str) -> list[Finding]:
    """A title that the terms cite is the title of record (OS 14.1.4); a buyer's is born in the same case."""
    if not op.titles or state.ownership is None or _is_bought_here(state, case):
        return []
    if state.ownership.title.number in {t.number for t in op.titles}:
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".titles",
            article="RD 66; OS 14.1",
            zh=f"所列权属证号与单元 {state.unit.unit_code} 登记簿不一致",
            en=f"the title cited is not the title of record of unit {state.unit.unit_code}",
        )
    ]


def _is_bought_here(state: UnitState, case: Case) -> bool:
    """Whether a step of the same case transfers the unit: the title cited is then the seller's, checked there."""
    code = state.unit.unit_code
    return any(isinstance(s, OwnershipTransfer) and code in s.units for s in case.manifest.terms.operations)


def _keys(parties: Sequence[Party]) -> set[tuple[str, str]]:
    return {p.key for p in parties}


def _once(parties: Sequence[Party]) -> tuple[Party, ...]:
    return tuple({p.key: p for p in parties}.values())
