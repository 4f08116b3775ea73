"""What the cities count of a case (handbook 2.5), read once, when it is filed: afterwards the effects say it. Pure.

Nothing here decides anything. What a registry reports is folded from these in `gateway/reports/tally.py`.
"""

from __future__ import annotations

from gateway.cases.model import Counted, Lenders, Sold, World
from gateway.cases.terms import (
    AnyOperation,
    MortgageChange,
    MortgageFirst,
    MortgageTransfer,
    PreNoticeConvert,
    PreNoticeCreate,
    Terms,
    mortgage_in,
    transfer_in,
)
from gateway.kinds.deal import balance, old_mortgagees, price
from gateway.kinds.named import pre_notice_named
from gateway.register.model import Party, PreNoticeKind


def counted_of(world: World, terms: Terms) -> Counted:
    """What is counted of a phase with these terms, filed on this register."""
    sales = [op for op in terms.operations if transfer_in(op)]
    states = [world.units[code] for code in terms.unit_codes if code in world.units]
    return Counted(
        residential=all(state.unit.use == "RESIDENTIAL" for state in states),
        sold=_sold(world, sales[0]) if sales else None,
        noted=any(isinstance(op, PreNoticeConvert) for op in sales),
        price_fen=price(terms),
        loan_fen=sum(_amount(new) for op in terms.operations if (new := _new_mortgage(op))),
        balance_fen=balance(terms),
        lenders=_lenders(world, terms) if price(terms) else None,
    )


def _sold(world: World, sale: AnyOperation) -> Sold:
    """A pre-sold home is new; whatever else is sold has had an owner, a developer's finished flat included."""
    if not isinstance(sale, PreNoticeConvert):
        return Sold.SECOND_HAND
    states = [world.units[code] for code in sale.units if code in world.units]
    notice = pre_notice_named(sale.proof, states)
    new = notice is not None and notice.kind is PreNoticeKind.PRESALE_SALE
    return Sold.NEW_BUILD if new else Sold.SECOND_HAND


def _new_mortgage(operation: AnyOperation) -> MortgageFirst | None:
    """The mortgage that a step books, or notes for later."""
    return operation.mortgage if isinstance(operation, PreNoticeCreate) else mortgage_in(operation)


def _amount(mortgage: MortgageFirst) -> int:
    return mortgage.claim_amount_fen or mortgage.max_claim_amount_fen or 0


def _lenders(world: World, terms: Terms) -> Lenders | None:
    """Whether anybody lends who did not before; None where no old loan meets a new one (S10: 同行、跨行)."""
    states = [world.units[code] for code in terms.unit_codes if code in world.units]
    old = [p for state in states for m in state.mortgages for p in m.mortgagees]
    before = {_code(world, p) for p in (*old, *old_mortgagees(terms))}
    now = {_code(world, p) for p in _lending(terms)}
    if not before or not now:
        return None
    return Lenders.SAME if now <= before else Lenders.CROSS


def _lending(terms: Terms) -> list[Party]:
    """Whose money pays for the home: of a changed mortgage its mortgagees, where nobody lends beside them."""
    lending = [p for op in terms.operations if (new := _new_mortgage(op)) for p in new.mortgagees]
    lending += [p for op in terms.operations if isinstance(op, MortgageTransfer) for p in op.assignees]
    kept = [p for op in terms.operations if isinstance(op, MortgageChange) for p in op.content.mortgagees]
    return lending or kept


def _code(world: World, party: Party) -> str:
    """The present code of a lender, whichever it is cited by (handbook 3.1)."""
    known = (i.uscc for i in world.institutions.values() if i.is_known_as(party.id_number))
    return next(known, party.id_number)
