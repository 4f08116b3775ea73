"""原贷款: what must hold of the loan that a sale pays off or takes over (N29; S12; handbook 2.1, 2.2).

Each old mortgagee states what is owed, the loan is a bank's and regular, the price covers it; its mortgage ends when it
is paid, or in a booking that waits for that, and no other mortgage ends in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.cases.model import Manifest, State
from gateway.cases.terms import MortgageRelease, PayoffStatement, ReleaseGround, Terms
from gateway.kinds.clean import refer
from gateway.kinds.deal import balance, old_mortgagees, old_proofs, price, statement_on, units_sold
from gateway.kinds.law import Case
from gateway.kinds.modes import Gate, Mode
from gateway.kinds.named import is_proof_of, present_keys
from gateway.kinds.payoff_deadline import old_mortgages
from gateway.register.authority import InstitutionKind
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, Party, UnitState
from gateway.register.reasons import finding

#: Whose loans N29 and the cities' modes are about (N29; S12; S13).
_LENDERS: Final = (InstitutionKind.BANK, InstitutionKind.FUND_CENTRE, InstitutionKind.GUARANTEE_COMPANY)


def old_loans(mode: Mode, case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
    """Each old mortgagee states its balance; a regular loan of a bank, else N29 does not apply (handbook 2.1, 2.2)."""
    terms = case.manifest.terms
    others = [p.name for p in old_mortgagees(terms) if not _lends_by_trade(p, case)]
    found = [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            field="terms.payoff_statements",
            article="N29; S12",
            zh=f"缺少证明号 {proof.number} 所担保贷款的余额及还款确认",
            en=f"no payoff statement names the mortgage with proof {proof.number}",
        )
        for proof in old_proofs(terms)
        if statement_on(proof, terms) is None
    ]
    if mode.needs_old and not old_proofs(terms) and not terms.payoff_statements:
        found.append(
            finding(
                "N-INCOMPLETE",
                Severity.BLOCKS,
                field="terms.payoff_statements",
                article="N29; S12",
                zh=f"{mode.zh}须有原抵押权人的贷款余额及还款确认",
                en=f"{mode.code} comes with the old mortgagee's payoff statement",
            )
        )
    if others:
        found.append(
            refer(
                "terms.payoff_statements",
                "N29",
                "原抵押权人不是已登记的银行业金融机构或者公积金中心：" + "、".join(others),
                "the old mortgagee is no bank or fund centre that is registered here: " + ", ".join(others),
                rule="OLD_LOAN_OF_A_BANK",
            )
        )
    for number, statement in enumerate(terms.payoff_statements):
        found += _statement(statement, case, units, f"terms.payoff_statements[{number}]")
    return found


def _lends_by_trade(party: Party, case: Case) -> bool:
    """Whether N29 speaks of its loans: a bank's; a fund centre and a housing guarantee company take part too (S12)."""
    kinds = [
        i.kind for i in case.institutions.values() if party.is_institution and i.is_known_as(party.id_number)
    ]
    return any(kind in _LENDERS for kind in kinds)


def _statement(
    statement: PayoffStatement, case: Case, units: Mapping[str, UnitState], path: str
) -> list[Finding]:
    """By the mortgagee of a live mortgage on what is sold, not overdue, and still valid."""
    terms = case.manifest.terms
    found = []
    old = _old_mortgage(statement, terms, units)
    known = present_keys(old.mortgagees, case.institutions) if old is not None else frozenset()
    if not present_keys((statement.mortgagee,), case.institutions) & known:
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                field=path + ".mortgagee",
                article="N29; IR 18(2)",
                zh="出具还款确认的不是转让单元上该抵押权的抵押权人",
                en="the statement is not by the mortgagee of that mortgage on a unit that is sold",
            )
        )
    same = [
        s
        for s in terms.payoff_statements
        if is_proof_of(s.proof, statement.proof) and s.mortgagee.key == statement.mortgagee.key
    ]
    if same[0] is not statement or statement.as_of > case.now.astimezone(CHINA).date():
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                field=path,
                article="N29; IR 18(2)",
                zh=f"证明号 {statement.proof.number} 的还款确认重复，或者余额日期在今后",
                en=f"the statement on proof {statement.proof.number} comes twice, or is of a day to come",
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


def _old_mortgage(
    statement: PayoffStatement, terms: Terms, units: Mapping[str, UnitState]
) -> Mortgage | None:
    states = [units[code] for code in units_sold(terms) or terms.unit_codes if code in units]
    found = (m for state in states for m in state.mortgages if is_proof_of(statement.proof, m.proof))
    return next(found, None)


def _expired(statement: PayoffStatement, case: Case, path: str) -> Finding:
    """Before acceptance a new statement is needed; one that ran out while the case waited is a person's to weigh."""
    if case.accepted_index is not None:
        return refer(
            path,
            "N29",
            "还款确认书已过有效期",
            "the payoff statement has run out",
            rule="STATEMENT_IN_TIME",
        )
    return finding(
        "N-INCOMPLETE",
        Severity.BLOCKS,
        field=path + ".valid_until",
        file="PAYOFF_STATEMENT",
        article="N29; S12",
        zh=f"还款确认书有效期至 {statement.valid_until}，已过期",
        en=f"the payoff statement was valid until {statement.valid_until}",
    )


def price_covers(terms: Terms) -> list[Finding]:
    """The price pays the old loans off; else the seller pays the difference down first (S12)."""
    asked, owed = price(terms), balance(terms)
    if not asked or asked >= owed:
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-PRICE_BELOW_BALANCE",
            field="terms.payoff_statements",
            article="S12; N29",
            zh=f"成交价款 {asked / 100:.2f} 元，原贷款余额 {owed / 100:.2f} 元",
            en=f"the price is {asked / 100:.2f} CNY, the balance of the old loan {owed / 100:.2f} CNY",
        )
    ]


def others_stay(terms: Terms, units: Mapping[str, UnitState]) -> list[Finding]:
    """A mortgage that neither a step nor a statement names stays, before the new one: the parties should know it."""
    known = [*old_proofs(terms), *(statement.proof for statement in terms.payoff_statements)]
    found = []
    for code in units_sold(terms):
        mortgages = units[code].mortgages if code in units else ()
        if any(not any(is_proof_of(proof, m.proof) for proof in known) for m in mortgages):
            found.append(
                refer(
                    "terms.operations",
                    "CC 406, 414",
                    f"单元 {code} 上另有抵押权不在本次办理之列",
                    f"unit {code} carries another mortgage that this deal is not about",
                    rule="ALL_MORTGAGES_IN_DEAL",
                )
            )
    return found


# -- its end ---------------------------------------------------------------------------------------------------------


def paid_or_gated(manifest: Manifest, gates: frozenset[Gate]) -> list[Finding]:
    """On an undertaking a mortgage ends only in a phase whose booking waits for the payoff (CC 393; handbook 2.3)."""
    if Gate.PAYOFF in gates:
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=f"terms.operations[{number}].ground",
            article="CC 393; N29",
            zh="债权尚未消灭：本阶段须待贷款结清后申请注销，不能以结清后注销承诺申请",
            en="the claim has not ended: in this phase the release follows the payoff, an undertaking does not do",
        )
        for number, op in enumerate(manifest.terms.operations)
        if isinstance(op, MortgageRelease) and op.ground is ReleaseGround.UNDERTAKING
    ]


def old_one_goes(case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
    """What a later phase releases is a mortgage of before the sale, not the new lender's (N29 mode 2; S10; S12)."""
    first = case.prior
    if first is None or first.state is not State.BOOKED:
        return []
    old = old_mortgages(first, [units[code] for code in first.units if code in units])
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=f"terms.operations[{number}].proof",
            article="N29; S10; S12",
            zh=f"证明号 {op.proof.number} 不是本案第一阶段登簿前设立的抵押权；本阶段注销的是原抵押权",
            en=f"the mortgage with proof {op.proof.number} is none of before the first phase: this phase ends the old "
            "one",
        )
        for number, op in enumerate(case.manifest.terms.operations)
        if isinstance(op, MortgageRelease) and not any(is_proof_of(op.proof, m.proof) for m in old)
    ]
