"""带押过户: the modes in which a mortgaged unit is sold, each as data, and the law that binds a mode's steps together.

The steps' own law stands in their files (ownership_transfer.py, mortgage_release.py, mortgage.py). Here: which steps
in which order, the papers that all parties share, what must hold of the old loan, and what gates the booking (N29;
handbook 2). A mode that is not in `MODES` is not booked by this version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from gateway.cases.terms import (
    AnyOperation,
    FundsLeg,
    FundsPurpose,
    MortgageFirst,
    MortgageRelease,
    OwnershipTransfer,
    PayoffStatement,
    Terms,
    operation_name,
)
from gateway.kinds.clean import refer
from gateway.kinds.law import CHINA, Case, PaperRule
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import same_certificate_number
from gateway.register.model import Party, UnitState, Value
from gateway.register.reasons import finding


class Gate(StrEnum):
    """What must hold at booking and never stops acceptance (handbook 2.3)."""

    TAX = "TAX"  # deed tax, seller's income tax, land VAT (DT 11; PIT 15; land VAT rules 12)
    PAYOFF = "PAYOFF"  # the old loan is paid off, or its payment undertaken and the undertaking accepted


class Step(Value, frozen=True, kw_only=True):
    """One step of a phase; several operations in a row may fill it (two old mortgages, two new ones)."""

    operation: str
    zh: str
    en: str


class Mode(Value, frozen=True, kw_only=True):
    """A mode with its only phase; the modes to come have several."""

    code: str
    zh: str
    steps: tuple[Step, ...]
    gates: frozenset[Gate]
    source: str


_TRANSFER: Final = Step(operation="OWNERSHIP_TRANSFER", zh="转移登记（卖方→买方）", en="seller to buyer")
_RELEASE_OLD: Final = Step(operation="MORTGAGE_RELEASE", zh="抵押权注销登记（原抵押权）", en="old mortgage")
_FIRST_NEW: Final = Step(operation="MORTGAGE_FIRST", zh="抵押权首次登记（新抵押权）", en="new mortgage")

#: The release goes before the new mortgage, so that rank 1 is printed (S11; N29's text names it last).
ET_COMBINED: Final = Mode(
    code="ET_COMBINED",
    zh="新旧抵押权组合",
    steps=(_TRANSFER, _RELEASE_OLD, _FIRST_NEW),
    gates=frozenset({Gate.TAX, Gate.PAYOFF}),
    source="N29 mode 1; S11 package 3",
)

MODES: Final[Mapping[str, Mode]] = {mode.code: mode for mode in (ET_COMBINED,)}


def gates(terms: Terms) -> frozenset[Gate]:
    """What gates the booking of these terms."""
    return MODES[terms.mode].gates


def papers(terms: Terms) -> tuple[PaperRule, ...]:
    """The papers of the deal as a whole (documents.csv ENCUMBERED_TRANSFER).

    Whether the old loan is settled or its release undertaken is the release's own paper (mortgage_release.py).
    """
    old, new = old_mortgagees(terms), new_mortgagees(terms)
    return (
        PaperRule(
            code="TRIPARTITE",
            zh="带押过户业务协议",
            en="agreement of seller, buyer and both mortgagees on loan, payoff and accounts",
            article="N29; S12",
            signers=_once(_sides(terms) + old + new),
        ),
        PaperRule(
            code="PAYOFF_STATEMENT",
            zh="原贷款余额及还款确认书",
            en="payoff statement",
            article="N29; S12",
            signers=old,
        ),
        PaperRule(
            code="BANK_APPROVAL",
            zh="银行审批通过文件",
            en="loan approval of each bank",
            article="S11",
            signers=_once(old + new),
        ),
    )


def conditions(case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
    """The mode may be used, its steps are all there and in order, and the old loan is regular and covered (N29)."""
    terms = case.manifest.terms
    mode = MODES[terms.mode]
    found = _on_offer(mode, case) + _steps_in_order(mode, terms.operations) + _one_deal(terms)
    for number, operation in enumerate(terms.operations):
        if isinstance(operation, MortgageRelease):
            found += _old_loan(operation, terms, case, f"terms.operations[{number}]")
    return found + _price_covers(terms) + _funds(terms, case) + _others_stay(terms, units)


def old_mortgagees(terms: Terms) -> tuple[Party, ...]:
    """Whose mortgages end with this phase."""
    return _once([p for op in terms.operations if isinstance(op, MortgageRelease) for p in op.mortgagees])


def new_mortgagees(terms: Terms) -> tuple[Party, ...]:
    """Whose mortgages begin with it."""
    return _once([p for op in terms.operations if isinstance(op, MortgageFirst) for p in op.mortgagees])


def statement_of(release: MortgageRelease, terms: Terms) -> PayoffStatement | None:
    """The payoff statement on the mortgage that a step releases."""
    for statement in terms.payoff_statements:
        if same_certificate_number(statement.proof.number, release.proof.number):
            return statement
    return None


# -- the mode ------------------------------------------------------------------------------------------------------


def _on_offer(mode: Mode, case: Case) -> list[Finding]:
    """The registry offers the mode, and its agreement with the applicant covers it (handbook 1.3, 12.8)."""
    found = []
    if mode.code not in case.profile.modes:
        offered = "、".join(case.profile.modes) or "-"
        found.append(
            finding(
                "N-BARRED",
                Severity.BLOCKS,
                field="terms.mode",
                article="N29",
                zh=f"本登记机构不办理 {mode.code}（{mode.zh}）；可办理的模式：{offered}",
                en=f"this registry does not offer {mode.code}; it offers: {offered}",
            )
        )
    applicant = case.institutions.get(case.applying_institution)
    if applicant is not None and mode.code not in applicant.permitted_modes:
        found.append(
            finding(
                "N-BARRED",
                Severity.BLOCKS,
                field="header.applicant_institution",
                article="N29",
                zh=f"机构 {applicant.uscc} 的业务协议不含 {mode.code}（{mode.zh}）",
                en=f"the agreement with institution {applicant.uscc} does not cover {mode.code}",
            )
        )
    return found


def _steps_in_order(mode: Mode, operations: Sequence[AnyOperation]) -> list[Finding]:
    """Every step of the mode is there, in the order in which it is booked; what is missing or misplaced is named."""
    order = {step.operation: place for place, step in enumerate(mode.steps)}
    found: list[Finding] = []
    reached = 0
    for number, operation in enumerate(operations):
        name = operation_name(operation)
        place = order.get(name)
        if place is not None and place >= reached:
            reached = place
            continue
        where = "" if place is None else f"（应为第 {place + 1} 步）"
        belongs = "is no step of it" if place is None else f"belongs at step {place + 1}"
        found.append(
            finding(
                "C-CORRECT_ON_THE_SPOT",
                Severity.BLOCKS,
                field=f"terms.operations[{number}]",
                article=mode.source,
                zh=f"{mode.zh}的登记顺序为 {_listed(mode)}；{name} 位置不符{where}",
                en=f"{mode.code} is booked as {_listed(mode)}; {name} {belongs}",
            )
        )
    named = {operation_name(op) for op in operations}
    found += [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            field="terms.operations",
            article=mode.source,
            zh=f"{mode.zh}缺少第 {place} 步：{step.zh} {step.operation}",
            en=f"{mode.code} lacks step {place}, {step.operation} ({step.en})",
        )
        for place, step in enumerate(mode.steps, start=1)
        if step.operation not in named
    ]
    return found


def _one_deal(terms: Terms) -> list[Finding]:
    """The steps are about one sale: what is released or mortgaged lies on a unit that is sold."""
    sold = {code for op in terms.operations if isinstance(op, OwnershipTransfer) for code in op.units}
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            field=f"terms.operations[{number}].units",
            article="N29; IR 18(2)",
            zh="该项登记的不动产单元不在本次转让范围内",
            en="this step is about no unit that is sold here",
        )
        for number, op in enumerate(terms.operations)
        if sold and isinstance(op, MortgageRelease | MortgageFirst) and not sold & set(op.units)
    ]


# -- the old loan --------------------------------------------------------------------------------------------------


def _old_loan(release: MortgageRelease, terms: Terms, case: Case, field: str) -> list[Finding]:
    """Its mortgagee states the balance; the loan is regular, else N29 does not apply (handbook 2.1, 2.2)."""
    statement = statement_of(release, terms)
    if statement is None:
        return [
            finding(
                "N-INCOMPLETE",
                Severity.BLOCKS,
                field="terms.payoff_statements",
                article="N29; S12",
                zh=f"缺少证明号 {release.proof.number} 所担保贷款的余额及还款确认",
                en=f"no payoff statement names the mortgage with proof {release.proof.number}",
            )
        ]
    found = []
    path = f"terms.payoff_statements[{terms.payoff_statements.index(statement)}]"
    if statement.mortgagee.key not in {p.key for p in release.mortgagees}:
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                field=path + ".mortgagee",
                article="N29; IR 18(2)",
                zh="出具还款确认的不是该抵押权的抵押权人",
                en=f"the statement is not by the mortgagee of {field}",
            )
        )
    if statement.overdue:
        found.append(
            finding(
                "N-BARRED",
                Severity.BLOCKS,
                rule="R-OVERDUE",
                field=path + ".overdue",
                article="N29",
                zh="还款确认书载明原贷款逾期",
                en="the payoff statement says that the old loan is overdue",
            )
        )
    if statement.valid_until < case.now.astimezone(CHINA).date():
        found.append(_expired(statement, case, path))
    return found


def _expired(statement: PayoffStatement, case: Case, path: str) -> Finding:
    """Before acceptance a new statement is needed; one that ran out while the case waited is a person's to weigh."""
    if case.accepted_index is not None:
        return refer(path, "N29", "还款确认书已过有效期", "the payoff statement has run out")
    return finding(
        "N-INCOMPLETE",
        Severity.BLOCKS,
        field=path + ".valid_until",
        file="PAYOFF_STATEMENT",
        article="N29; S12",
        zh=f"还款确认书有效期至 {statement.valid_until}，已过期",
        en=f"the payoff statement was valid until {statement.valid_until}",
    )


def _price_covers(terms: Terms) -> list[Finding]:
    """The price pays the old loans off; else the seller pays the difference down first (S12)."""
    price, balance = _price(terms), _balance(terms)
    if not price or price >= balance:
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-PRICE_BELOW_BALANCE",
            field="terms.payoff_statements",
            article="S12; N29",
            zh=f"成交价款 {price / 100:.2f} 元，原贷款余额 {balance / 100:.2f} 元",
            en=f"the price is {price / 100:.2f} CNY, the balance of the old loan {balance / 100:.2f} CNY",
        )
    ]


def _funds(terms: Terms, case: Case) -> list[Finding]:
    """The plan, where there is one, pays the old loan in full and before the seller (handbook 2.4)."""
    plan = terms.funds_plan
    if plan is None:
        return []
    found = []
    payoff = [leg for leg in plan.legs if leg.purpose is FundsPurpose.PAYOFF]
    if sum(leg.amount_fen for leg in payoff) < _balance(terms):
        found.append(
            _plan("还清原贷款的款项少于贷款余额", "the payoff legs are below the balance of the old loan")
        )
    sellers = {p.key for p in _sellers(terms)}
    to_seller = [n for n, leg in enumerate(plan.legs) if leg.payee.key in sellers and leg not in payoff]
    if to_seller and any(plan.legs.index(leg) > to_seller[0] for leg in payoff):
        found.append(_plan("向卖方付款先于还清原贷款", "the seller is paid before the old loan is paid off"))
    if case.profile.lock_payee_to_seller and not all(_is_locked(leg, terms) for leg in plan.legs):
        found.append(
            _plan("新贷款的款项未锁定收款人为卖方", "a leg of the new loan is not locked to the seller")
        )
    return found


def _is_locked(leg: FundsLeg, terms: Terms) -> bool:
    """A price leg of a new lender reaches the seller and nobody else (S13)."""
    lenders = {p.key for p in new_mortgagees(terms)}
    if leg.payer.key not in lenders or leg.purpose is not FundsPurpose.PRICE:
        return True
    return leg.payee_locked and leg.payee.key in {p.key for p in _sellers(terms)}


def _plan(zh: str, en: str) -> Finding:
    return finding(
        "C-MISMATCH",
        Severity.BLOCKS,
        field="terms.funds_plan",
        article="N29",
        zh=zh,
        en=en,
    )


def _others_stay(terms: Terms, units: Mapping[str, UnitState]) -> list[Finding]:
    """A mortgage that no step releases stays on the unit, before the new one: the parties should know it."""
    released = [op.proof.number for op in terms.operations if isinstance(op, MortgageRelease)]
    found = []
    for code in dict.fromkeys(
        code for op in terms.operations if isinstance(op, OwnershipTransfer) for code in op.units
    ):
        staying = [
            mortgage.proof.number
            for mortgage in (units[code].mortgages if code in units else ())
            if not any(same_certificate_number(mortgage.proof.number, number) for number in released)
        ]
        if staying:
            found.append(
                refer(
                    "terms.operations",
                    "CC 406, 414",
                    f"单元 {code} 上另有抵押权不在本次注销之列",
                    f"unit {code} carries another mortgage that is not released here",
                )
            )
    return found


# -- who and how much ----------------------------------------------------------------------------------------------


def _sellers(terms: Terms) -> tuple[Party, ...]:
    return _once([p for op in terms.operations if isinstance(op, OwnershipTransfer) for p in op.sellers])


def _sides(terms: Terms) -> tuple[Party, ...]:
    buyers = [p for op in terms.operations if isinstance(op, OwnershipTransfer) for p in op.buying]
    return _once([*_sellers(terms), *buyers])


def _price(terms: Terms) -> int:
    return sum(op.price_fen for op in terms.operations if isinstance(op, OwnershipTransfer))


def _balance(terms: Terms) -> int:
    return sum(statement.balance_fen for statement in terms.payoff_statements)


def _listed(mode: Mode) -> str:
    return " → ".join(step.operation for step in mode.steps)


def _once(parties: Sequence[Party]) -> tuple[Party, ...]:
    return tuple({p.key: p for p in parties}.values())
