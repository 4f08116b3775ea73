"""Who and how much in the deal behind a combined case: the sides, the old lenders and the new, price and balance.

Read off the terms alone, so that gates, parties and funds ask in one place. A sale is booked by itself or by the
conversion of its pre-notice, or only noted; the deal is the same.
"""

from __future__ import annotations

from gateway.cases.terms import (
    MortgageChange,
    MortgageRelease,
    MortgageTransfer,
    PayoffStatement,
    PreNoticeCreate,
    Terms,
    mortgage_in,
    transfer_in,
)
from gateway.kinds.named import is_proof_of, once
from gateway.register.model import CertificateRef, Party


def sellers(terms: Terms) -> tuple[Party, ...]:
    """Whoever sells."""
    sold = [p for op in terms.operations if (sale := transfer_in(op)) for p in sale.sellers]
    return once((*sold, *(p for op in _noted_sales(terms) for p in op.obligors)))


def buyers(terms: Terms) -> tuple[Party, ...]:
    """Whoever buys."""
    bought = [p for op in terms.operations if (sale := transfer_in(op)) for p in sale.buying]
    return once((*bought, *(p for op in _noted_sales(terms) for p in op.holders)))


def units_sold(terms: Terms) -> tuple[str, ...]:
    """The units of the sale, once each."""
    sold = [code for op in terms.operations if (sale := transfer_in(op)) for code in sale.units]
    return tuple(dict.fromkeys((*sold, *(code for op in _noted_sales(terms) for code in op.units))))


def price(terms: Terms) -> int:
    """What the units cost together, in fen."""
    sold = sum(sale.price_fen for op in terms.operations if (sale := transfer_in(op)))
    return sold or sum(op.sale.price_fen for op in _noted_sales(terms) if op.sale)


def balance(terms: Terms) -> int:
    """What the old lenders say is owed to them, in fen."""
    return sum(statement.balance_fen for statement in terms.payoff_statements)


def old_mortgagees(terms: Terms) -> tuple[Party, ...]:
    """Whose mortgages the deal ends, moves or changes, and who states a balance."""
    parties: list[Party] = []
    for op in terms.operations:
        match op:
            case MortgageRelease():
                parties += op.mortgagees
            case MortgageTransfer():
                parties += op.assignors
            case MortgageChange() if not any(isinstance(s, MortgageTransfer) for s in terms.operations):
                parties += op.content.mortgagees
            case _:
                pass
    return once((*parties, *(s.mortgagee for s in terms.payoff_statements)))


def new_mortgagees(terms: Terms) -> tuple[Party, ...]:
    """Whose mortgages begin with the deal, or go on with new money in it."""
    parties: list[Party] = []
    for op in terms.operations:
        first = mortgage_in(op)
        if first is not None:
            parties += first.mortgagees
        elif isinstance(op, PreNoticeCreate) and op.mortgage is not None:
            parties += op.holders
        elif isinstance(op, MortgageTransfer):
            parties += op.assignees
        elif isinstance(op, MortgageChange):
            parties += op.content.mortgagees
    return once(parties)


def old_proofs(terms: Terms) -> tuple[CertificateRef, ...]:
    """Proofs of the old mortgages that a step names, once each."""
    proofs = [
        op.proof
        for op in terms.operations
        if isinstance(op, MortgageRelease | MortgageTransfer | MortgageChange)
    ]
    return tuple({proof.number: proof for proof in proofs}.values())


def statement_on(proof: CertificateRef, terms: Terms) -> PayoffStatement | None:
    """The payoff statement on the mortgage with this proof."""
    return next((s for s in terms.payoff_statements if is_proof_of(s.proof, proof)), None)


def _noted_sales(terms: Terms) -> list[PreNoticeCreate]:
    return [op for op in terms.operations if isinstance(op, PreNoticeCreate) and op.sale is not None]
