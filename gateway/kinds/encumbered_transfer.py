"""带押过户: the law that binds the steps of a mode together (N29; handbook 2). The modes are data: modes.py.

The steps' own law stands in their files. Here: whether the mode may be used and which phase is due, which steps in
which order, the papers that all parties share, what must hold of the old loan, and what gates the booking. The old
loan is looked at once, when the deal is filed, and again where a phase ends its mortgage together with the sale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.cases.model import Application, Manifest, State
from gateway.cases.terms import (
    MortgageChange,
    MortgageRelease,
    MortgageTransfer,
    Terms,
    mortgage_in,
)
from gateway.kinds.deal import (
    buyers,
    new_mortgagees,
    old_mortgagees,
    sellers,
    units_sold,
)
from gateway.kinds.funds import funds_findings
from gateway.kinds.law import Case, PaperRule
from gateway.kinds.modes import MODES, Gate, Mode, Phase, step_name
from gateway.kinds.named import is_proof_of, keys, once
from gateway.kinds.old_loan import old_loans, old_one_goes, others_stay, paid_or_gated, price_covers
from gateway.kinds.payoff_deadline import old_mortgages
from gateway.register.findings import Finding, Severity
from gateway.register.model import UnitState
from gateway.register.reasons import finding


def gates(manifest: Manifest) -> frozenset[Gate]:
    """What gates the booking of this phase."""
    phase = _phase(manifest)
    return phase.gates if phase is not None else frozenset()


def papers(manifest: Manifest) -> tuple[PaperRule, ...]:
    """The papers of the deal as a whole (documents.csv ENCUMBERED_TRANSFER).

    Whether the old loan is settled or its release undertaken is the release's own paper (mortgage_release.py).
    """
    mode, terms = MODES[manifest.terms.mode], manifest.terms
    if not mode.of_n29 or not _looks_at_the_old_loan(manifest):
        return ()
    old, new = old_mortgagees(terms), new_mortgagees(terms)
    rules = [
        PaperRule(
            code="TRIPARTITE",
            zh="带押过户业务协议",
            en="agreement of seller, buyer and the mortgagees on loan, payoff and accounts",
            article="N29; S12",
            signers=once((*sellers(terms), *buyers(terms), *old, *new)),
        ),
        PaperRule(
            code="PAYOFF_STATEMENT",
            zh="原贷款余额及还款确认书",
            en="payoff statement",
            article="N29; S12",
            signers=old,
        ),
    ]
    if mode.lends:
        rules.append(
            PaperRule(
                code="BANK_APPROVAL",
                zh="银行审批通过文件",
                en="loan approval of each bank",
                article="S11",
                signers=once((*old, *new)),
            )
        )
    if any(isinstance(op, MortgageTransfer) for op in terms.operations):
        rules.append(
            PaperRule(
                code="ASSIGN_AND_CHANGE_AGREEMENT",
                zh="转让原抵押权和变更抵押内容协议",
                en="agreement to transfer the old mortgage and change its content",
                article="S11",
                signers=once((*old, *new, *sellers(terms), *buyers(terms))),
            )
        )
    return tuple(rules)


def conditions(case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
    """The mode may be used, this phase is due, its steps are there in order, the old loan is regular and covered."""
    manifest = case.manifest
    mode, terms = MODES[manifest.terms.mode], manifest.terms
    found = on_offer(mode, case) + _phase_is_due(mode, case, units)
    phase = _phase(manifest)
    if phase is not None:
        found += _steps_in_order(mode, phase, case)
        found += _old_mortgagee_joins(mode, phase, terms)
    found += _one_deal(terms) + _becomes_the_buyers(mode, terms) + old_one_goes(case, units)
    found += paid_or_gated(manifest, gates(manifest))
    if mode.of_n29 and _looks_at_the_old_loan(manifest):
        found += old_loans(mode, case, units) + price_covers(terms) + others_stay(terms, units)
    return found + funds_findings(terms, case)


# -- the mode ------------------------------------------------------------------------------------------------------


def _phase(manifest: Manifest) -> Phase | None:
    """The phase that the header names; None for one that the mode does not have."""
    phases, number = MODES[manifest.terms.mode].phases, manifest.header.phase
    return phases[number - 1] if 1 <= number <= len(phases) else None


def _looks_at_the_old_loan(manifest: Manifest) -> bool:
    """When the deal is filed, and where a later phase pays the old loan off together with the sale."""
    return manifest.header.phase == 1 or Gate.PAYOFF in gates(manifest)


def on_offer(mode: Mode, case: Case) -> list[Finding]:
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


def _phase_is_due(mode: Mode, case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
    """The first phase stands alone; a later one names the case, whose first phase is booked on these units, and comes
    after every phase before it: the order of the table (modes.csv).
    """
    header, terms = case.manifest.header, case.manifest.terms
    last = len(mode.phases)
    if not 1 <= header.phase <= last:
        return [
            _correct(
                "header.phase",
                mode,
                f"{mode.zh}有 {last} 个阶段，没有第 {header.phase} 阶段",
                f"{mode.code} has {last} phases, there is no phase {header.phase}",
            )
        ]
    if header.phase == 1:
        return []
    first = case.prior
    if first is None:
        return [
            _correct(
                "header.case",
                mode,
                f"第 {header.phase} 阶段须在 header.case 中写明第一阶段的申请",
                f"phase {header.phase} names the application of the first phase in header.case",
            )
        ]
    found = []
    if first.mode != mode.code or first.phase != 1 or not set(terms.unit_codes) <= set(first.units):
        found.append(
            finding(
                "C-MISMATCH",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field="header.case",
                article="N29; IR 18(2)",
                zh="所列案件不是同一模式、同一不动产单元的第一阶段",
                en="the case named is no first phase of this mode on these units",
            )
        )
    if first.state is not State.BOOKED:
        found.append(
            finding(
                "N-BARRED",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field="header.case",
                article=mode.source,
                zh="案件的第一阶段尚未登簿",
                en="the first phase of the case is not booked",
            )
        )
    if found:
        return found
    booked = {row.phase for row in case.phases if row.state is State.BOOKED}
    states = [units[code] for code in first.units if code in units]
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field="header.phase",
            article=mode.source,
            zh=f"{mode.zh}按阶段顺序办理：第 {number} 阶段（{_listed(phase)}）尚未登簿，请先在本案中申请该阶段",
            en=f"the phases of {mode.code} are booked in their order: phase {number} ({_listed(phase)}) is not booked "
            "yet, file it in this case first",
        )
        for number, phase in enumerate(mode.phases[: header.phase - 1], start=1)
        if number > 1 and number not in booked and not _is_done_elsewhere(phase, first, states)
    ]


def _is_done_elsewhere(phase: Phase, first: Application, states: Sequence[UnitState]) -> bool:
    """Whether nothing is left for a phase to do: what it would end was ended outside the case, at the counter or alone.

    A release needs a mortgage of before the case, a conversion a live pre-notice of its first phase.
    """
    left: dict[str, bool] = {
        "MORTGAGE_RELEASE": bool(old_mortgages(first, states)),
        "PRE_NOTICE_CONVERT": any(
            notice.case_number == first.case_number for state in states for notice in state.pre_notices
        ),
    }
    names = [step.operation.partition("/")[0] for step in phase.steps if not step.optional]
    return all(name in left and not left[name] for name in names)


def _steps_in_order(mode: Mode, phase: Phase, case: Case) -> list[Finding]:
    """Every step of the phase is there, in the order in which it is booked; what is missing or misplaced is named."""
    operations = case.manifest.terms.operations
    order = {step.operation: place for place, step in enumerate(phase.steps)}
    found: list[Finding] = []
    reached = 0
    for number, operation in enumerate(operations):
        name = step_name(operation)
        place = order.get(name)
        if place is not None and place >= reached:
            reached = place
            continue
        where = "" if place is None else f"（应为第 {place + 1} 步）"
        belongs = "is no step of it" if place is None else f"belongs at step {place + 1}"
        found.append(
            _correct(
                f"terms.operations[{number}]",
                mode,
                f"{mode.zh}的登记顺序为 {_listed(phase)}；{name} 位置不符{where}",
                f"{mode.code} is booked as {_listed(phase)}; {name} {belongs}",
            )
        )
    named = {step_name(op) for op in operations}
    found += [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            field="terms.operations",
            article=mode.source,
            zh=f"{mode.zh}缺少第 {place} 步：{step.zh} {step.operation}",
            en=f"{mode.code} lacks step {place}, {step.operation} ({step.en})",
        )
        for place, step in enumerate(phase.steps, start=1)
        if not step.optional
        and step.operation not in named
        and not (step.by_itself and case.profile.convert_on_transfer)
    ]
    return found


def _old_mortgagee_joins(mode: Mode, phase: Phase, terms: Terms) -> list[Finding]:
    """Where the mode has the old mortgagee among the applicants, the terms name it there (HH)."""
    if not phase.old_joins:
        return []
    named = keys([p for op in terms.operations for p in op.applicants])
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            field="terms.operations[0].applicants",
            article=mode.source,
            zh=f"{mode.zh}须由原抵押权人{party.name}共同申请",
            en=f"in {mode.code} the old mortgagee {party.name} is co-applicant",
        )
        for party in old_mortgagees(terms)
        if party.key not in named
    ]


def _one_deal(terms: Terms) -> list[Finding]:
    """The steps are about one sale: what is released, changed or mortgaged lies on a unit that is sold."""
    sold = set(units_sold(terms))
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
        if sold and not sold & set(op.units) and (mortgage_in(op) or isinstance(op, _ON_OLD))
    ]


def _becomes_the_buyers(mode: Mode, terms: Terms) -> list[Finding]:
    """A changed mortgage is the buyers' from then on; its debt too, where nothing is released later (N29; S11; S12).

    One that moves to another bank first is the one that is changed (S11).
    """
    found = []
    for number, op in enumerate(terms.operations):
        if not isinstance(op, MortgageChange):
            continue
        field = f"terms.operations[{number}].content"
        if not keys(buyers(terms)) <= keys(op.content.mortgagors):
            found.append(
                _not_this_mode(
                    field + ".mortgagors",
                    mode,
                    "变更后的抵押人须为买方",
                    "the buyers are the mortgagors of the changed mortgage",
                )
            )
        if len(mode.phases) == 1 and not keys(buyers(terms)) & keys(op.content.debtors):
            found.append(
                _not_this_mode(
                    field + ".debtors",
                    mode,
                    "变更后的债务人须为买方",
                    "the buyer is the debtor of the changed mortgage",
                )
            )
    moved = [op.proof for op in terms.operations if isinstance(op, MortgageTransfer)]
    changed = [op.proof for op in terms.operations if isinstance(op, MortgageChange)]
    found += [
        _not_this_mode(
            "terms.operations",
            mode,
            f"证明号 {proof.number} 的抵押权转移后须一并变更",
            f"the mortgage with proof {proof.number} moves and is not changed in the same phase",
        )
        for proof in moved
        if not any(is_proof_of(other, proof) for other in changed)
    ]
    return found


#: Steps that act on an old mortgage.
_ON_OLD = (MortgageRelease, MortgageTransfer, MortgageChange)


def _not_this_mode(field: str, mode: Mode, zh: str, en: str) -> Finding:
    return finding(
        "C-MISMATCH",
        Severity.BLOCKS,
        rule="R-CONFLICT",
        field=field,
        article=mode.source,
        zh=f"{mode.zh}：{zh}",
        en=f"{mode.code}: {en}",
    )


def _correct(field: str, mode: Mode, zh: str, en: str) -> Finding:
    return finding("C-CORRECT_ON_THE_SPOT", Severity.BLOCKS, field=field, article=mode.source, zh=zh, en=en)


def _listed(phase: Phase) -> str:
    return " → ".join(f"[{s.operation}]" if s.optional else s.operation for s in phase.steps)
