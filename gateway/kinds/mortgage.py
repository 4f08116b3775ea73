"""MORTGAGE_FIRST 抵押权首次登记: a bank's mortgage comes into being (CC 394-403; RD 66; OS 14.1).

Who applies: mortgagor and mortgagee together (IR 14). A mortgage exists only when booked (CC 402); its rank
follows the order of registration (CC 414), its acceptance the order of the queue (RD 67). One on a building under
construction is CONSTRUCTION_MORTGAGE_FIRST 在建建筑物抵押权首次登记: the developer mortgages land and finished part
before the first registration of the building (RD 75, 76; SIG 51).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TypedDict

from gateway.cases.terms import MortgageFirst, operation_name, transfer_in
from gateway.certificates.content import CertificateKind, mortgage_proof
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, DraftCertificate, PaperRule
from gateway.kinds.named import keys, once
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    LoanPortion,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Party,
    TransferRestriction,
    UnitState,
)
from gateway.register.rank import adverse_to, place_agreed, rank_from
from gateway.register.reasons import finding


def applicants(
    op: MortgageFirst, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
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
            signers=once(op.debtors + op.mortgagees),
        ),
        PaperRule(
            code="MORTGAGE_CONTRACT",
            zh="抵押合同",
            en="mortgage contract",
            article="CC 400; RD 66",
            signers=once(op.mortgagors + op.mortgagees),
            also=("MORTGAGE_SETUP_AGREEMENT",),
        ),
    ]
    if op.kind is MortgageKind.MAXIMUM_AMOUNT:
        rules.append(
            PaperRule(
                code="MAX_AMOUNT_CONTRACT",
                zh="最高额抵押合同与一定期间内将要连续发生的债权的合同",
                en="maximum-amount mortgage contract and framework contract",
                article="CC 420; RD 71",
                signers=once(op.mortgagors + op.mortgagees),
            )
        )
    if op.existing_claim_fen:
        rules.append(
            PaperRule(
                code="EXISTING_CLAIM_CONSENT",
                zh="已存在债权的合同及同意转入最高额抵押担保范围的书面材料",
                en="contract of the existing claim and consent to bring it in",
                article="CC 420; RD 71",
                signers=once(op.mortgagors + op.mortgagees),
            )
        )
    if op.construction is not None:
        rules.append(
            PaperRule(
                code="CONSTRUCTION_PERMIT",
                zh="建设工程规划许可证",
                en="construction planning permit",
                article="RD 76; OS 14.1",
            )
        )
    if op.agreed_rank is not None:
        rules.append(rank_agreement(op, states))
    return tuple(rules)


def rank_agreement(op: MortgageFirst, states: Sequence[UnitState]) -> PaperRule:
    """The agreement on rank, signed by the mortgagor and every mortgagee whom it concerns (RD 67; CC 409)."""
    before = [m for state in states for m in adverse_to(state, op.agreed_rank)]
    concerned = [p for mortgage in before for p in mortgage.mortgagees]
    return PaperRule(
        code="RANK_AGREEMENT",
        zh="抵押权顺位约定",
        en="agreement on rank",
        article="RD 67; CC 409",
        signers=once((*op.mortgagors, *op.mortgagees, *concerned)),
        rule="R-OTHER_MORTGAGEE" if concerned else "",
    )


def conditions(op: MortgageFirst, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The owners mortgage, titles agree, and nothing in the register bars it (OS 14.1.4; blocks.csv)."""
    found = agreement(op, states, case, field)
    for state in states:
        found += register_findings(
            state,
            operation_name(op),
            case,
            field,
            obligors=op.mortgagors,
            joining=op.mortgagees,
            consenters=op.consenters,
            adverse_to=tuple(m.right_id for m in adverse_to(state, op.agreed_rank)),
        )
    return found


def agreement(op: MortgageFirst, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The owners mortgage, and the titles cited are those of record (CC 395; OS 14.1.4)."""
    found = sides_agree(op, field) + mortgagors_own(op.mortgagors, states, field)
    for state in states:
        found += owners_are_mortgagors(op, state, field)
        found += _titles_agree(op, state, case, field)
    return found + _area_agrees(op, states, field)


def _area_agrees(op: MortgageFirst, states: Sequence[UnitState], field: str) -> list[Finding]:
    """A unit is mortgaged as a whole (CC 395, 397): the area stated is that of the units, where the register has it."""
    areas = [state.unit.floor_area for state in states]
    if op.area is None or not all(areas) or op.area == sum(areas):
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".content.area_m2_hundredths",
            article="CC 395; OS 14.1.4",
            zh="抵押面积与登记簿记载的面积不一致；抵押整个单元的可不填",
            en="the mortgaged area is not that of record; leave it out where whole units are mortgaged",
        )
    ]


def only_a_person(op: MortgageFirst, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A rule may decide only what is clean (handbook 1.4; S15)."""
    asked = Asked(
        case=case,
        states=tuple(states),
        field=field,
        owner_side="mortgagors",
        loan=field,
        lender_side="mortgagees",
        lenders=op.mortgagees,
        debtors=op.debtors,
        obligors=op.mortgagors,
        is_own_debt=op.mortgagor_relation is MortgagorRelation.DEBTOR,
        is_maximum_amount=op.kind is not MortgageKind.ORDINARY,
        has_agreed_rank=op.agreed_rank is not None,
        is_construction=op.construction is not None,
    )
    return unclean(operation_name(op), asked)


def names_rights(op: MortgageFirst, states: Sequence[UnitState]) -> tuple[str, ...]:
    """A first registration names no existing right."""
    return ()


def book(op: MortgageFirst, booking: Booking) -> None:
    """One mortgage row at the next rank, and its registration proof (CC 402, 414; handbook 5.1)."""
    book_first(op, booking, priority_date=booking.now)


def book_first(
    op: MortgageFirst, booking: Booking, *, priority_date: dt.datetime, from_pre_notice: str | None = None
) -> None:
    """A new mortgage: printed with the rank that it has from its priority date on (CC 414; SIG 52)."""
    states = [booking.states[code] for code in op.units]
    draft = booking.draft_certificate(CertificateKind.PROOF, states[0].unit.county_code)
    right_id = booking.new_right_id()
    mortgage = Mortgage(
        right_id=right_id,
        units=op.units,
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        **content_of(op),
        mortgagees=op.mortgagees,
        first_registered_at=booking.now,
        rank_at_registration=max(rank_from(state, priority_date) for state in states),
        priority_date=priority_date,
        agreed_rank=op.agreed_rank,
        agreed_place=place_agreed(states, op.agreed_rank, row=right_id, at=booking.now),
        proof=draft.reference,
        from_pre_notice=from_pre_notice,
    )
    booking.book(mortgage)
    issue_proof(mortgage, booking, draft)


class Content(TypedDict):
    """What a mortgage says, whoever holds it and whatever its rank: what a change may change."""

    kind: MortgageKind
    mortgagors: tuple[Party, ...]
    debtors: tuple[Party, ...]
    mortgagor_relation: MortgagorRelation
    claim_amount_fen: int | None
    max_claim_amount_fen: int | None
    currency: str
    loan_portions: tuple[LoanPortion, ...]
    term_start: dt.date
    term_end: dt.date
    secured_scope: str
    transfer_restriction: TransferRestriction
    restriction_text: str
    collateral_kind: str
    construction_location: str
    construction_scope: str
    contract_number: str


def content_of(op: MortgageFirst) -> Content:
    """The content as the register row has it (fields.csv QLF_QL_DYAQ)."""
    return Content(
        kind=op.kind,
        mortgagors=op.mortgagors,
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
        restriction_text=op.restriction_text,
        collateral_kind=op.collateral_kind,
        construction_location=op.construction.location if op.construction else "",
        construction_scope=op.construction.scope if op.construction else "",
        contract_number=op.contract_number,
    )


def issue_proof(
    mortgage: Mortgage, booking: Booking, draft: DraftCertificate, replaces: CertificateRef | None = None
) -> None:
    """Its registration proof 不动产登记证明, naming the titles of its units and the proof that it replaces, if any
    (handbook 5.1).
    """
    states = [booking.states[code] for code in mortgage.units]
    booking.issue(
        mortgage_proof(
            mortgage,
            [state.unit for state in states],
            [title.number for state in states if state.ownership for title in state.ownership.titles],
            replaces=replaces.number if replaces else "",
            **booking.imprint(draft),
        )
    )


def sides_agree(op: MortgageFirst, field: str) -> list[Finding]:
    """Whose debt is secured is as the terms say it, and nobody mortgages to himself (CC 394; IR 14, 18(2))."""
    owing = keys(op.mortgagors) & keys(op.debtors)
    own = op.mortgagor_relation is MortgagorRelation.DEBTOR
    found = []
    if (own and not owing) or (not own and owing == keys(op.mortgagors)):
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".mortgagor_relation",
                article="CC 394; IR 18(2)",
                zh="抵押人与债务人的关系与所列抵押人、债务人不一致",
                en="whose debt the mortgagors secure differs from the mortgagors and debtors named",
            )
        )
    if keys(op.mortgagors) & keys(op.mortgagees):
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".mortgagees",
                article="CC 394; IR 14",
                zh="抵押权人不能同时是抵押人",
                en="nobody mortgages to himself",
            )
        )
    return found


def owners_are_mortgagors(op: MortgageFirst, state: UnitState, field: str) -> list[Finding]:
    """Every co-owner of a unit mortgages it (CC 301, 395; RD 10).

    Owners by shares mortgage with two thirds of them: whether enough do is the table's question (CO_OWNED_BY_SHARES).
    """
    if state.ownership is None:
        return []  # NOT_FIRST_REGISTERED blocks it, in the table
    owners = {o.person.key: o.person for o in state.ownership.owners}
    by_shares = state.ownership.co_ownership is CoOwnership.BY_SHARES
    named = {p.key: p for p in op.mortgagors}
    found = []
    for key, owner in owners.items():
        if key not in named and by_shares:
            continue
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
    return found


def mortgagors_own(mortgagors: Sequence[Party], states: Sequence[UnitState], field: str) -> list[Finding]:
    """Nobody mortgages who owns none of the units; father's flat and son's parking space may go together (CC 395)."""
    owned = [state.ownership for state in states if state.ownership is not None]
    if len(owned) < len(states):
        return []  # NOT_FIRST_REGISTERED blocks it, in the table
    owners = keys([o.person for ownership in owned for o in ownership.owners])
    codes = "、".join(state.unit.unit_code for state in states)
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".mortgagors",
            article="CC 395; IR 14",
            zh=f"{party.name}不是单元 {codes} 的登记权利人",
            en=f"{party.name} is not an owner of record of unit {codes}",
        )
        for party in once(mortgagors)
        if party.key not in owners
    ]


def _titles_agree(op: MortgageFirst, state: UnitState, case: Case, field: str) -> list[Finding]:
    """A title that the terms cite is the title of record (OS 14.1.4); a buyer's is born in the same case."""
    if not op.titles or state.ownership is None or _is_bought_here(state, case):
        return []
    if {t.number for t in state.ownership.titles} & {t.number for t in op.titles}:
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
    return any(transfer_in(s) and code in s.units for s in case.manifest.terms.operations)
