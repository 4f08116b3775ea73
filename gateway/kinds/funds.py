"""资金计划: the money legs that the parties agreed on, as far as the law and the place bind them (handbook 2.4).

The gateway moves no money. N29 leaves the order of payments to the parties; the old loan is paid in full and before
the seller; where the place says so, a loan leg reaches the seller and nobody else (S13).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cases.terms import FundsLeg, FundsPurpose, Terms
from gateway.kinds.deal import new_mortgagees, sellers
from gateway.kinds.law import Case
from gateway.kinds.named import keys, once, present_keys
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding


def funds_findings(terms: Terms, case: Case) -> list[Finding]:
    """The plan, where there is one, pays the old loan in full and before the seller (handbook 2.4)."""
    plan = terms.funds_plan
    if plan is None:
        return []
    found = []
    payoff = [leg for leg in plan.legs if leg.purpose is FundsPurpose.PAYOFF]
    if any(_paid_to(lender, payoff, terms, case) < owed for lender, owed in _owed(terms)):
        found.append(
            _plan(
                "还清原贷款的款项少于贷款余额，或者未付至原抵押权人（还款账户）",
                "the payoff legs to an old mortgagee, or to the account that it states, are below its balance",
            )
        )
    selling = keys(sellers(terms))
    to_seller = [n for n, leg in enumerate(plan.legs) if leg.payee.key in selling and leg not in payoff]
    if to_seller and any(plan.legs.index(leg) > to_seller[0] for leg in payoff):
        found.append(_plan("向卖方付款先于还清原贷款", "the seller is paid before the old loan is paid off"))
    if case.profile.lock_payee_to_seller and not all(_is_locked(leg, terms) for leg in plan.legs):
        found.append(
            _plan("新贷款的款项未锁定收款人为卖方", "a leg of the new loan is not locked to the seller")
        )
    return found


def _owed(terms: Terms) -> list[tuple[Party, int]]:
    """Each old mortgagee, and what it says is owed to it."""
    lenders = once([statement.mortgagee for statement in terms.payoff_statements])
    return [
        (lender, sum(s.balance_fen for s in terms.payoff_statements if s.mortgagee.key == lender.key))
        for lender in lenders
    ]


def _paid_to(lender: Party, legs: Sequence[FundsLeg], terms: Terms, case: Case) -> int:
    """What these legs bring to an old mortgagee, itself or by the account that its statement names."""
    known = present_keys((lender,), case.institutions)
    accounts = {s.account.number for s in terms.payoff_statements if s.mortgagee.key == lender.key}
    return sum(
        leg.amount_fen
        for leg in legs
        if present_keys((leg.payee,), case.institutions) & known or leg.account.number in accounts
    )


def _is_locked(leg: FundsLeg, terms: Terms) -> bool:
    """A price leg of a new lender reaches the seller and nobody else (S13)."""
    if leg.payer.key not in keys(new_mortgagees(terms)) or leg.purpose is not FundsPurpose.PRICE:
        return True
    return leg.payee_locked and leg.payee.key in keys(sellers(terms))


def _plan(zh: str, en: str) -> Finding:
    return finding("C-MISMATCH", Severity.BLOCKS, field="terms.funds_plan", article="N29", zh=zh, en=en)
