"""The page of one mode: its phases as a diagram, then each deal that shows it, papers, rules, register, limits."""

from __future__ import annotations

from gateway.kinds import encumbered_transfer, gating, laws
from gateway.kinds.modes import Mode, Phase, step_name
from gateway.lawbook import blocks_table, parts, telling
from gateway.lawbook.cast import PROFILE
from gateway.lawbook.deals import Deal, deals_of, run
from gateway.lawbook.kind_page import name_of
from gateway.lawbook.markdown import box, diagram, facts, many, page, table
from gateway.lawbook.reading import Rule, rules_in, settings_in
from gateway.lawbook.running import PhaseRun
from gateway.lawbook.words import MODES as SUMMARIES

#: Settings of the place that the law of a deal reads, whatever its mode.
DEAL_SETTINGS = settings_in(encumbered_transfer.conditions, gating.closed_gates)

#: The data of a mode, and the law that binds its steps together.
_FILES = ("gateway/kinds/modes.py", "gateway/kinds/encumbered_transfer.py", "gateway/kinds/old_loan.py")

#: What is asked of the old loan: of the national modes only.
OF_N29 = frozenset({"old_loans", "_statement", "price_covers", "others_stay"})


def mode_page(mode: Mode) -> str:
    """The whole page."""
    deals = [(deal, run(deal)) for deal in deals_of(mode.code)]
    gates = frozenset(gate for phase in mode.phases for gate in phase.gates)
    steps = [step.operation for phase in mode.phases for step in phase.steps]
    return page(
        f"# {mode.zh} `{mode.code}`",
        f"> {SUMMARIES[mode.code]}",
        facts(_facts(mode)),
        "## 阶段 Phases",
        _phases(mode, deals[0][0].awaited),
        "同一阶段的各项登记按所列顺序在一次登簿中全部完成，或者全不登记。 "
        "The steps of a phase are booked in this order, all or none.",
        *(_deal(deal, runs, mode) for deal, runs in deals),
        "## 申请材料 Papers",
        _papers(deals),
        "## 案件整体的审核要点 What must hold of the deal as a whole",
        parts.rules_table(_rules(mode)),
        "各步骤自身的审核要点见其登记类型的页。 What must hold of each step is on the page of its kind.",
        "## 由登记员决定的事项 What a registrar decides",
        _deciders(deals),
        parts.referrals_table(_rules(mode)),
        *(("## 登簿条件 Gates at booking", parts.gates_list(gates)) if gates else ()),
        "## 登记簿状态 Who must consent and what stops a step",
        "详见各登记类型的页；后面的步骤按前面步骤登簿后的状态判断。 "
        "Conditions and articles are on the page of each kind; a step meets what the steps before it leave.",
        blocks_table.by_step(steps),
        "## 期限 Time limits",
        parts.limits(gates=gates, pre_notice=any("PRE_NOTICE" in step for step in steps), default=PROFILE),
        "## 本地设置 Left to the place",
        parts.settings_table(_settings(mode), PROFILE),
        parts.SIGNED,
    )


def _settings(mode: Mode) -> tuple[str, ...]:
    """What the place may set of a deal; that a step comes by itself, only where the mode has such a step."""
    by_itself = any(step.by_itself for phase in mode.phases for step in phase.steps)
    return tuple(name for name in DEAL_SETTINGS if by_itself or name != "convert_on_transfer")


def _facts(mode: Mode) -> list[tuple[str, str]]:
    yes_no = {True: "是 yes", False: "否 no"}
    return [
        (
            "实现 implemented in",
            ", ".join(f"[{path}](../../{path})" for path in _FILES),
        ),
        ("依据 source", mode.source),
        ("全国模式 a national mode (N29)", yes_no[mode.of_n29]),
        ("须有原抵押权 needs an old mortgage", yes_no[mode.needs_old]),
        ("有新贷款 a new loan", yes_no[mode.lends]),
        ("提供与否 on offer", "由登记机构设置并与机构约定 by the profile and the institution's agreement"),
    ]


def _phases(mode: Mode, awaited: str) -> str:
    lines: list[str] = []
    for number, phase in enumerate(mode.phases, start=1):
        lines += _phase(number, phase)
        if number > 1:
            waits = f' -- "{awaited}"' if awaited else ""
            lines.append(f"R{number - 1}{waits} --> P{number}")
    return diagram(lines, direction="TB")


def _phase(number: int, phase: Phase) -> list[str]:
    inner = [
        "  "
        + box(
            f"S{number}_{place}", f"{place} {step.operation}", step.zh + ("（如有）" if step.optional else "")
        )
        for place, step in enumerate(phase.steps, start=1)
    ]
    chain = " --> ".join(f"S{number}_{place}" for place in range(1, len(phase.steps) + 1))
    lines = [
        f'subgraph P{number}["第{number}阶段 phase {number}"]',
        "  direction LR",
        *inner,
        *([f"  {chain}"] if len(phase.steps) > 1 else []),
        "end",
        box(f"R{number}", phase.after_zh, phase.after_en),
    ]
    if phase.gates:
        gates = " + ".join(gate.value for gate in sorted(phase.gates, reverse=True))
        lines.append(f'P{number} -- "登簿条件 gates: {gates}" --> R{number}')
    else:
        lines.append(f"P{number} --> R{number}")
    return lines


def _deal(deal: Deal, runs: tuple[PhaseRun, ...], mode: Mode) -> str:
    """Each phase of one deal as it was booked."""
    steps, ends = [], []
    for number, (phase, done) in enumerate(zip(mode.phases, runs, strict=True), start=1):
        for place, step in enumerate(done.steps, start=1):
            asked = telling.applicants_by_way({"": step.applicants})
            who = many(f"{applicant}（{article}）" for applicant, article, _ in asked)
            steps.append((f"{number}.{place}", _linked(step_name(step.op), step.op), who))
        issued, void, superseded = telling.certificates(done)
        waits = " ".join(sorted(phase.gates, reverse=True)) or "–"
        ends.append((str(number), waits, telling.register_after(done.after), issued, void, superseded))
    return (
        f"## {deal.zh} {deal.en}\n\n"
        + table(("步骤 step", "登记 operation", "申请人 who applies"), steps)
        + "\n"
        + table(
            (
                "阶段 phase",
                "条件 gates",
                "登簿后的登记簿 register afterwards",
                "颁发 issued",
                "作废 void",
                "换发 superseded",
            ),
            ends,
        )
    )


def _deciders(deals: list[tuple[Deal, tuple[PhaseRun, ...]]]) -> str:
    """Which phases a published rule may decide: those of which no step is a registrar's."""
    by_rule = {
        str(number)
        for _, runs in deals
        for number, done in enumerate(runs, start=1)
        if not any(step.referred for step in done.steps)
    }
    if not by_rule:
        return (
            "各阶段一律由登记员审核；另须注意： A registrar decides every phase, and looks at this besides:"
        )
    phases = "、".join(sorted(by_rule))
    return (
        f"第{phases}阶段事项简明的，可由公布的规则即时办结，其余阶段由登记员审核；另须注意： "
        f"A published rule may decide phase {phases} where it is clean; else a registrar, who looks at this besides:"
    )


def _linked(name: str, op: object) -> str:
    law = laws.law_of(op)  # type: ignore[arg-type]
    return f"[{name}]({name_of(law)}.md)" if law is not None else name  # type: ignore[arg-type]


def _papers(deals: list[tuple[Deal, tuple[PhaseRun, ...]]]) -> str:
    """Every paper of every phase; where a mode is used in several ways, those of each."""
    asked = {}
    for letter, (_, runs) in zip("ABCDEFGH", deals, strict=False):
        for number, done in enumerate(runs, start=1):
            way = f"{number}" if len(deals) == 1 else f"{letter}{number}"
            asked[way] = (*done.deal_papers, *(p for step in done.steps for p in step.papers))
    key = "阶段 phase"
    note = ""
    if len(deals) > 1:
        named = "；".join(
            f"{letter} {deal.zh} {deal.en}" for letter, (deal, _) in zip("ABCDEFGH", deals, strict=False)
        )
        note = f"{named}；数字为阶段 the digit is the phase\n\n"
    return note + table(("材料 paper", "签署 signed by", "依据 article", key), telling.papers_by_way(asked))


def _rules(mode: Mode) -> list[Rule]:
    rules = rules_in(encumbered_transfer.conditions)
    names = {rule.name for rule in rules}
    if not names >= OF_N29:
        raise LookupError(f"the law of a mode has no {sorted(OF_N29 - names)} any more: mend OF_N29")
    return [rule for rule in rules if mode.of_n29 or rule.name not in OF_N29]
