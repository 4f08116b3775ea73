"""OWNERSHIP_TRANSFER 转移登记: a sold unit passes to its buyers (CC 208, 209, 214; IR 14; OS 9.3).

Booked only as a step of a combined case (handbook 1.1). Seller and buyer apply together; the old mortgagee joins or
consents where its restriction says so (CC 406; SIG 43; N54; blocks.csv MORTGAGE_*). The mortgage goes with the unit
until a later step ends it. Taxes gate the booking, not the acceptance (DT 11): gateway/applications/gates.py. What the
sale of a share asks besides stands in share_sale.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.cases.terms import OwnershipTransfer
from gateway.certificates.content import CertificateKind, title_certificate
from gateway.kinds import share_sale
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.papers import forms_of
from gateway.kinds.selling import joining_mortgagees, owners_sell, titles_agree, two_sides
from gateway.register.authority import Institution
from gateway.register.blocks import UnitStateCode
from gateway.register.findings import Finding, Severity
from gateway.register.model import Ownership, Party, UnitState
from gateway.register.reasons import finding

OPERATION = "OWNERSHIP_TRANSFER"

_BY_SHARES = UnitStateCode.CO_OWNED_BY_SHARES

#: Why the old ownership row is historical, as the register says it.
TRANSFERRED = "转移登记"


def applicants(
    op: OwnershipTransfer, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Seller and buyer together (IR 14); the old mortgagee too where the terms name it (SIG 43; N54)."""
    sides = [("转让人", "seller", "IR 14; RD 10", p) for p in op.sellers]
    sides += [("受让人", "buyer", "IR 14", p) for p in op.buying]
    sides += [
        ("原抵押权人", "old mortgagee", "CC 406; SIG 43; N54", p) for p in joining(op, states, institutions)
    ]
    return tuple(Applicant(party=p, role_zh=zh, role_en=en, article=article) for zh, en, article, p in sides)


def papers(op: OwnershipTransfer, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms of seller and buyer, the sale contract that both signed, and of a share the notice to the co-owners.

    The title is cited by number; the authority reads its own register (IR 24).
    """
    return (
        *forms_of(op.sellers + op.buying),
        PaperRule(
            code="SALE_CONTRACT",
            zh="存量房买卖合同",
            en="sale contract",
            article="S11; S12; OS 9.3",
            signers=op.sellers + op.buying,
        ),
        *share_sale.papers(op, states),
    )


def conditions(op: OwnershipTransfer, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The owners sell, titles and price agree, and nothing in the register bars it (OS 9.3; blocks.csv)."""
    found = agreement(op, states, case, field)
    for state in states:
        found += register_findings(
            state,
            OPERATION,
            case,
            field,
            obligors=op.sellers,
            transferees=op.buying,
            joining=op.buying + joining(op, states, case.institutions),
            consenters=op.consenters,
            own_share=op.share_sold is not None,
            papers=frozenset({_BY_SHARES}) if share_sale.is_told(op, state, case) else frozenset(),
        )
    return found


def agreement(op: OwnershipTransfer, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The owners sell, and titles and price are those of register and contract (OS 9.3; IR 18(2))."""
    found = _contracts_agree(op, case, field)
    found += two_sides(op.sellers, op.buying, field + ".buyers", of_a_share=op.share_sold is not None)
    for state in states:
        found += owners_sell(op.sellers, state, field + ".sellers")
        found += titles_agree(op.titles, state, field + ".titles", every=op.share_sold is None)
        found += share_sale.findings(op, state, field)
        found += _title_is_of_these_units(op, state, field)
    return found


def only_a_person(
    op: OwnershipTransfer, states: Sequence[UnitState], case: Case, field: str
) -> list[Finding]:
    """Always: the unit carries the old mortgage, so the case is not clean (handbook 1.4)."""
    return unclean(OPERATION, Asked(case=case, states=tuple(states), field=field))


def names_rights(op: OwnershipTransfer, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The ownership that is to pass."""
    return tuple(state.ownership.right_id for state in states if state.ownership)


def book(op: OwnershipTransfer, booking: Booking) -> None:
    """The old ownership ends and its titles are void; each unit has new owners and a title of its own (RD 20), or one
    for each of them where they hold separately (RD 21).
    """
    for code in op.units:
        state = booking.states[code]
        old = state.ownership
        if old is None:
            raise NotBookable(f"unit {code} has no ownership that could pass")
        owners, co_ownership = share_sale.owners_after(op, old)
        separately = len(owners) > 1 and _hold_separately(op, old, booking)
        drafts = [
            booking.draft_certificate(CertificateKind.TITLE, state.unit.county_code)
            for _ in (owners if separately else owners[:1])
        ]
        new = Ownership(
            right_id=booking.new_right_id(),
            units=(code,),
            case_number=booking.case_number,
            booked_at=booking.now,
            booked_by=booking.booked_by,
            owners=owners,
            co_ownership=co_ownership,
            title=drafts[0].reference,
            further_titles=tuple(draft.reference for draft in drafts[1:]),
            price_fen=_price_of(op, code, booking),
        )
        booking.end(old, reason=TRANSFERRED, by=new.right_id)
        for title in old.titles:
            booking.cancel_certificate(title.number)
        booking.book(new)
        for draft, owner in zip(drafts, owners, strict=False):
            of = owner if separately else None
            booking.issue(title_certificate(new, state.unit, of, **booking.imprint(draft)))


def joining(
    op: OwnershipTransfer, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Party, ...]:
    """Mortgagees of record whom the terms name among the applicants of this step."""
    return joining_mortgagees(op.applicants, op.sellers + op.buying, states, institutions)


def _hold_separately(op: OwnershipTransfer, old: Ownership, booking: Booking) -> bool:
    """Whether each owner gets a certificate: asked for now, or as it was before a share was sold (RD 21)."""
    as_before = op.share_sold is not None and bool(old.further_titles)
    return booking.terms.separate_certificates or as_before


def _contracts_agree(op: OwnershipTransfer, case: Case, field: str) -> list[Finding]:
    """The price of the step is the price of the contracts that sell its units (IR 18(2))."""
    contracts = [c for c in case.manifest.terms.sale_contracts if any(c.is_about(code) for code in op.units)]
    if not contracts or sum(c.price_fen for c in contracts) == op.price_fen:
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            field=field + ".price",
            article="IR 18(2)",
            zh="交易价格与买卖合同的总价不一致",
            en="the price differs from that of the sale contracts",
        )
    ]


def _title_is_of_these_units(op: OwnershipTransfer, state: UnitState, field: str) -> list[Finding]:
    """A title over several units passes whole: the register splits no row by itself (RD 20)."""
    ownership = state.ownership
    if ownership is None or set(ownership.units) <= set(op.units):
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".units",
            article="RD 20",
            zh=f"单元 {state.unit.unit_code} 的权属证书还记载其他单元；请一并申请，或者先办理分割",
            en=f"the title of unit {state.unit.unit_code} covers other units too: name them all, or divide it first",
        )
    ]


def _price_of(op: OwnershipTransfer, code: str, booking: Booking) -> int | None:
    """The price of one unit: the step's, or that of the contract which sells just this unit."""
    if len(op.units) == 1:
        return op.price_fen
    own = [c.price_fen for c in booking.terms.sale_contracts if c.units == (code,)]
    return own[0] if len(own) == 1 else None
