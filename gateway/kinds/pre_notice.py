"""PRE_NOTICE_CREATE 预告登记: of a sale (kind 1 pre-sale, kind 2 other), or of the buyer's mortgage (kinds 3 and 4).

A pre-notice secures a claim to a future registration: without its holder's consent a disposal has no effect
(CC 221; SIP 4; RD 85-88). Both sides apply. Booked together, the sale comes first, and the obligor of the mortgage
pre-notice is the buyer, who has nothing yet but the sale pre-notice (handbook 2.3, Jinan). The old mortgage stays
where it is and does not make the final registration impossible (CC 406). A pre-sale rests on the filed contract; where
the developer does not apply the buyer may alone (RD 86); a pre-sale mortgage rests on the sale pre-notice (RD 78).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TypedDict

from msgspec.structs import replace

from gateway.cases.terms import PreNoticeCreate, SaleContract, Terms
from gateway.certificates.content import CertificateKind, pre_notice_proof
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, DraftCertificate, PaperRule
from gateway.kinds.named import keys, once, pre_notice_named
from gateway.kinds.papers import forms_of
from gateway.kinds.powers import is_signed_by
from gateway.kinds.selling import joining_mortgagees, owners_sell, titles_agree, two_sides
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    CertificateRef,
    LoanPortion,
    MortgageKind,
    Party,
    PreNotice,
    PreNoticeKind,
    TransferRestriction,
    UnitState,
)
from gateway.register.reasons import finding
from gateway.register.states import SALE_KINDS, is_first_registered

OPERATION = "PRE_NOTICE_CREATE"

_PRE_SALE = frozenset({PreNoticeKind.PRESALE_SALE, PreNoticeKind.PRESALE_MORTGAGE})


def applicants(
    op: PreNoticeCreate, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Both sides together (IR 14; RD 87, 88); the old mortgagee too where the terms name it (HH; N54)."""
    sale = op.kind in SALE_KINDS
    sides = [
        ("转让人" if sale else "预告登记抵押人", "seller" if sale else "mortgagor", p)
        for p in (() if _is_buyer_alone(op) else op.obligors)
    ]
    sides += [
        ("受让人" if sale else "预告登记抵押权人", "buyer" if sale else "mortgagee", p) for p in op.holders
    ]
    sides += [("原抵押权人", "old mortgagee", p) for p in _joining(op, states, institutions)]
    return tuple(
        Applicant(party=p, role_zh=zh, role_en=en, article="IR 14; RD 87, 88") for zh, en, p in sides
    )


def papers(op: PreNoticeCreate, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms, the contract, and the agreement on the pre-notice unless the contract has it (documents.csv)."""
    both = once(op.obligors + op.holders)
    rules: list[PaperRule] = []
    if op.mortgage is not None:
        rules += forms_of(op.obligors)
        rules.append(
            PaperRule(
                code="PRINCIPAL_AND_MORTGAGE_CONTRACT",
                zh="主债权合同与抵押合同",
                en="loan contract and mortgage contract",
                article="RD 88",
                signers=once(op.mortgage.debtors + both),
            )
        )
    else:
        rules += forms_of(op.holders if _is_buyer_alone(op) else both)
        rules.append(
            PaperRule(
                code="SALE_CONTRACT", zh="不动产转让合同", en="sale contract", article="RD 87", signers=both
            )
        )
    if not op.agreed_in_contract:
        rules.append(
            PaperRule(
                code="PRE_NOTICE_AGREEMENT",
                zh="当事人关于预告登记的约定",
                en="agreement to apply for a pre-notice",
                article="CC 221; RD 87, 88",
                signers=both,
            )
        )
    return tuple(rules)


def conditions(op: PreNoticeCreate, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Who gives the pre-notice may give it, titles agree, and nothing in the register bars it (blocks.csv)."""
    found: list[Finding] = []
    sale = _sale_before(op, case.manifest.terms)
    if op.kind in SALE_KINDS:
        found += _contract_agrees(op, case, field) + _risk_told(op, case, field)
        found += two_sides(op.obligors, op.holders, field + ".holders")
    elif sale is not None:
        found += _obligor_is_the_buyer(op, sale, field)
    if op.kind is PreNoticeKind.PRESALE_SALE:
        found += _contract_is_filed(op, case, field)
    if op.kind is PreNoticeKind.PRESALE_MORTGAGE and sale is None:
        found += _rests_on_the_sale(op, states, field)
    for state in states:
        if op.kind in SALE_KINDS:
            found += owners_sell(op.obligors, state, field + ".obligors")
            found += titles_agree(op.titles, state, field + ".titles")
        elif sale is None:
            found += _obligor_may_mortgage(op, state, field)
        found += register_findings(
            state,
            OPERATION,
            case,
            field,
            obligors=op.obligors,
            transferees=op.holders if op.sale is not None else (),
            joining=op.holders + (sale.obligors if sale else ()) + _joining(op, states, case.institutions),
            consenters=op.consenters,
            pre_notice_kind=op.kind,
        )
    return found


def only_a_person(op: PreNoticeCreate, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A rule may decide only what is clean (handbook 1.4; S15): adults, one unit, nothing else on it.

    A mortgage's pre-notice rests on the sale's of the same case, which therefore does not count as another right.
    """
    sale = _sale_before(op, case.manifest.terms)
    asked = Asked(
        case=case,
        states=tuple(state if sale is None else _without(state, sale) for state in states),
        field=field,
        persons=((field + ".obligors", op.obligors),),
        owner_side="obligors",
        is_pre_sale=op.kind in _PRE_SALE,
    )
    if op.mortgage is None:
        asked = replace(asked, persons=(*asked.persons, (field + ".holders", op.holders)))
    else:
        asked = replace(
            asked,
            loan=field + ".mortgage",
            lender_side="holders",
            lenders=op.holders,
            debtors=op.mortgage.debtors,
            obligors=op.obligors,
            is_maximum_amount=op.mortgage.kind is not MortgageKind.ORDINARY,
        )
    return unclean(OPERATION, asked)


def names_rights(op: PreNoticeCreate, states: Sequence[UnitState]) -> tuple[str, ...]:
    """A new pre-notice names no existing right."""
    return ()


def book(op: PreNoticeCreate, booking: Booking) -> None:
    """One pre-notice row and its proof, with the price or claim and the contract's number (S13; handbook 5.1)."""
    states = [booking.states[code] for code in op.units]
    draft = booking.draft_certificate(CertificateKind.PROOF, states[0].unit.county_code)
    contract = _contract_of(op, booking.terms)
    mortgage = op.mortgage
    notice = PreNotice(
        right_id=booking.new_right_id(),
        units=op.units,
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        kind=op.kind,
        holders=op.holders,
        obligors=op.obligors,
        amount_fen=_amount(op),
        contract_number=_contract_number(op, contract),
        secured_scope=mortgage.secured_scope if mortgage else "/",
        transfer_restriction=mortgage.transfer_restriction if mortgage else TransferRestriction.UNRECORDED,
        term_start=mortgage.term_start if mortgage else None,
        term_end=mortgage.term_end if mortgage else None,
        **_of_the_mortgage(op),
        registrable_from=_registrable_from(op, contract, states, booking.issued_on),
        proof=draft.reference,
    )
    booking.book(notice)
    issue_proof(notice, booking, draft)


def issue_proof(
    notice: PreNotice, booking: Booking, draft: DraftCertificate, replaces: CertificateRef | None = None
) -> None:
    """Its registration proof: it rests on the sale pre-notice, for a mortgage's, or on the titles (handbook 5.1)."""
    states = [booking.states[code] for code in notice.units]
    sales = [
        right.proof.number
        for state in states
        for right in state.pre_notices
        if notice.kind not in SALE_KINDS and right.kind in SALE_KINDS
    ]
    rests_on = sales or [t.number for state in states if state.ownership for t in state.ownership.titles]
    booking.issue(
        pre_notice_proof(
            notice,
            [state.unit for state in states],
            rests_on,
            replaces=replaces.number if replaces else "",
            **booking.imprint(draft),
        )
    )


# -- together in one case ------------------------------------------------------------------------------------------


def _sale_before(op: PreNoticeCreate, terms: Terms) -> PreNoticeCreate | None:
    """For a mortgage pre-notice: the sale pre-notice that an earlier step of the same terms makes on its units."""
    if op.mortgage is None or op not in terms.operations:
        return None
    for step in terms.operations[: terms.operations.index(op)]:
        if isinstance(step, PreNoticeCreate) and step.sale and set(op.units) <= set(step.units):
            return step
    return None


def _obligor_is_the_buyer(op: PreNoticeCreate, sale: PreNoticeCreate, field: str) -> list[Finding]:
    """The mortgage is the buyer's, on what is being bought (handbook 2.3; S10)."""
    if keys(op.obligors) == keys(sale.holders):
        return []
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".obligors",
            article="RD 88; S10",
            zh="抵押权预告登记的义务人须为同案买卖预告登记的权利人（买方）",
            en="the obligor of the mortgage pre-notice is the buyer, who holds the sale pre-notice of this case",
        )
    ]


def _obligor_may_mortgage(op: PreNoticeCreate, state: UnitState, field: str) -> list[Finding]:
    """Alone, a mortgage pre-notice is given by the holder of a live sale pre-notice, or by the owner (RD 88)."""
    ownership = state.ownership
    may = {owner.person.key for owner in ownership.owners} if ownership else set()
    for notice in state.pre_notices:
        if notice.kind in SALE_KINDS:
            may |= keys(notice.holders)
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".obligors",
            article="RD 88; CC 395",
            zh=f"{party.name}既不是单元 {state.unit.unit_code} 的权利人，也不是其买卖预告登记的权利人",
            en=f"{party.name} neither owns unit {state.unit.unit_code} nor holds a sale pre-notice on it",
        )
        for party in op.obligors
        if party.key not in may
    ]


def _without(state: UnitState, sale: PreNoticeCreate) -> UnitState:
    """The unit without the sale pre-notice of the same case: it is no other right."""
    holders = keys(sale.holders)
    rest = tuple(
        right
        for right in state.rights
        if not (isinstance(right, PreNotice) and right.kind in SALE_KINDS and keys(right.holders) == holders)
    )
    return UnitState(unit=state.unit, rights=rest)


def _is_buyer_alone(op: PreNoticeCreate) -> bool:
    """The pre-sale buyer applies alone when the terms name nobody else: the developer does not apply (RD 86)."""
    named = keys(op.applicants)
    return op.kind is PreNoticeKind.PRESALE_SALE and bool(named) and not named & keys(op.obligors)


def _contract_is_filed(op: PreNoticeCreate, case: Case, field: str) -> list[Finding]:
    """A pre-sale contract counts once it is filed 备案 (REAL 45; RD 86)."""
    contract = _contract_of(op, case.manifest.terms)
    if contract is not None and contract.filing_number:
        return []
    return [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            field=field + ".sale",
            file="SALE_CONTRACT",
            article="REAL 45; RD 86",
            zh="商品房预售合同须已备案，并在 terms.sale_contracts 中列明备案编号",
            en="the pre-sale contract must be filed, its filing number in terms.sale_contracts",
        )
    ]


def _rests_on_the_sale(op: PreNoticeCreate, states: Sequence[UnitState], field: str) -> list[Finding]:
    """A pre-sale mortgage pre-notice rests on the buyer's live sale pre-notice (RD 78)."""
    sale = pre_notice_named(op.sale_proof, states) if op.sale_proof is not None else None
    if sale is not None and sale.kind in SALE_KINDS and keys(op.obligors) <= keys(sale.holders):
        return []
    return [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".sale_pre_notice",
            file="SALE_PRE_NOTICE_PROOF",
            article="RD 78",
            zh="须列明义务人（买方）现势的预购商品房买卖预告登记证明，或者与其同案申请",
            en="name the buyer's live sale pre-notice, or apply for it in the same case",
        )
    ]


# -- what it says --------------------------------------------------------------------------------------------------


def _joining(
    op: PreNoticeCreate, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Party, ...]:
    """Mortgagees of record whom the terms name among the applicants of this step."""
    return joining_mortgagees(op.applicants, op.obligors + op.holders, states, institutions)


def _contract_of(op: PreNoticeCreate, terms: Terms) -> SaleContract | None:
    """The sale contract of the units, where the terms have one."""
    return next((c for c in terms.sale_contracts if all(c.is_about(code) for code in op.units)), None)


def _contract_agrees(op: PreNoticeCreate, case: Case, field: str) -> list[Finding]:
    """Price and number of the pre-notice are those of the contract: banks lend on the proof (S13; IR 18(2))."""
    contract = _contract_of(op, case.manifest.terms)
    if contract is None or op.sale is None:
        return []
    numbers = {contract.contract_number, contract.filing_number, ""}
    if contract.price_fen == op.sale.price_fen and op.sale.contract_number in numbers:
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            field=field + ".sale",
            article="IR 18(2); RD 87",
            zh="取得价格或者合同编号与买卖合同不一致",
            en="price or contract number differs from the sale contract",
        )
    ]


def _risk_told(op: PreNoticeCreate, case: Case, field: str) -> list[Finding]:
    """Where the profile asks for it, seller and buyer were told of the risks before (Taizhou, S13)."""
    if not case.profile.risk_notice_required:
        return []
    manifest = case.manifest
    notices = manifest.terms.risk_notices + manifest.evidence.risk_notices
    told = {p.key for notice in notices for p in notice.acknowledged_by}
    papers = case.papers_of("RISK_NOTICE")
    missing = [
        p
        for p in op.obligors + op.holders
        if p.key not in told and not any(is_signed_by(paper, p, case) for paper in papers)
    ]
    if not missing:
        return []
    names = "、".join(p.name for p in missing)
    return [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            field=field,
            file="RISK_NOTICE",
            article="S13",
            zh=f"缺少{names}确认的风险告知书",
            en=f"the risk notice acknowledged by {names} is missing",
        )
    ]


def _amount(op: PreNoticeCreate) -> int:
    """QDJG or BDBZZQSE: the price of a sale, the claim (or its ceiling) of a mortgage."""
    if op.mortgage is not None:
        return op.mortgage.claim_amount_fen or op.mortgage.max_claim_amount_fen or 0
    return op.sale.price_fen if op.sale else 0


class _Further(TypedDict, total=False):
    restriction_text: str
    mortgage_kind: MortgageKind
    debtors: tuple[Party, ...]
    currency: str
    loan_portions: tuple[LoanPortion, ...]


def _of_the_mortgage(op: PreNoticeCreate) -> _Further:
    """What the mortgage is to be besides amount, scope and term (pre_notice_convert.py, `by_itself`)."""
    mortgage = op.mortgage
    if mortgage is None:
        return {}
    return {
        "restriction_text": mortgage.restriction_text,
        "mortgage_kind": mortgage.kind,
        "debtors": () if keys(mortgage.debtors) == keys(op.obligors) else mortgage.debtors,
        "currency": mortgage.currency,
        "loan_portions": mortgage.loan_portions,
    }


def _contract_number(op: PreNoticeCreate, contract: SaleContract | None) -> str:
    """JYHTH: the number that stands in the terms, else that of the sale contract's filing."""
    if op.mortgage is not None:
        return op.mortgage.contract_number
    stated = op.sale.contract_number if op.sale else ""
    return stated or (contract.filing_number or contract.contract_number if contract else "")


def _registrable_from(
    op: PreNoticeCreate, contract: SaleContract | None, states: Sequence[UnitState], today: dt.date
) -> dt.date | None:
    """When the final registration becomes possible (handbook 3.5): as stated, as agreed in the contract, else now.

    Of a unit without its first registration it is not known: the counter's booking of that will tell, and no day that
    was agreed counts before it (pre_notice_term.py).
    """
    stated = op.registrable_from or (contract.registrable_from if contract else None)
    return stated or (today if all(is_first_registered(state) for state in states) else None)
