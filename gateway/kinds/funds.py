"""资金计划: the money legs that the parties agreed on, as far as the law and the place bind them (handbook 2.4).

The gateway moves no money. N29 leaves the order of payments to the parties; the old loan is paid in full and before
the seller; where the place says so, a loan leg reaches the seller and nobody else (S13).
"""

from __future__ import annotations

from gateway.cases.terms import FundsLeg, FundsPurpose, Terms
from gateway.kinds.deal import balance, new_mortgagees, sellers
from gateway.kinds.law import Case
from gateway.kinds.named import keys
from gateway.register.findings import Finding, Severity
from gateway.register.reasons import finding


def funds_findings(terms: Terms, case: Case) -> list[Finding]:
    """The plan, where there is one, pays the old loan in full and before the seller (handbook 2.4)."""
    plan = terms.funds_plan
    if plan is None:
        return []
    found = []
    payoff = [leg for leg in plan.legs if leg.purpose is FundsPurpose.PAYOFF]
    if sum(leg.amount_fen for leg in payoff) < balance(terms):
        found.append(
            _plan("还清原贷款的款项少于贷款余额", "the payoff legs are below the balance of the old loan")
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


def _is_locked(leg: FundsLeg, terms: Terms) -> bool:
    """A price leg of a new lender reaches the seller and nobody else (S13)."""
    if leg.payer.key not in keys(new_mortgagees(terms)) or leg.purpose is not FundsPurpose.PRICE:
        return True
    return leg.payee_locked and leg.payee.key in keys(sellers(terms))


def _plan(zh: str, en: str) -> Finding:
    return finding("C-MISMATCH", Severity.BLOCKS, field="terms.funds_plan", article="N29", zh=zh, en=en)
