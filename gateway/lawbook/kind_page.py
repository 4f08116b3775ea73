"""The page of one kind: how it goes, who applies, which papers, what must hold, what stops it, what it does."""

from __future__ import annotations

from types import ModuleType

from gateway.cases.terms import MortgageRelease, ReleaseGround, operation_name, transfer_in
from gateway.kinds import (
    claim_fixing,
    correction,
    mortgage,
    mortgage_change,
    mortgage_release,
    mortgage_transfer,
    ownership_transfer,
    pre_notice,
    pre_notice_convert,
    pre_notice_release,
    reissue,
)
from gateway.kinds.law import Applicant
from gateway.kinds.modes import MODES, Gate
from gateway.lawbook import blocks_table, parts, samples, telling
from gateway.lawbook.cast import PROFILE
from gateway.lawbook.markdown import box, diagram, facts, many, page, table
from gateway.lawbook.reading import doc_of, lead_of, rules_in
from gateway.lawbook.running import PhaseRun, run_phase
from gateway.lawbook.words import KINDS
from gateway.register.blocks import OPERATIONS
from gateway.register.model import PreNotice, Value

#: The file of a kind -> the samples that show it, in the order of the index.
SAMPLES: tuple[tuple[ModuleType, tuple[samples.Sample, ...]], ...] = (
    (mortgage, samples.MORTGAGE_FIRST),
    (mortgage_change, samples.MORTGAGE_CHANGE),
    (mortgage_transfer, samples.MORTGAGE_TRANSFER),
    (mortgage_release, samples.MORTGAGE_RELEASE),
    (claim_fixing, samples.CLAIM_FIXING),
    (pre_notice, samples.PRE_NOTICE),
    (pre_notice_convert, samples.PRE_NOTICE_CONVERT),
    (pre_notice_release, samples.PRE_NOTICE_RELEASE),
    (ownership_transfer, samples.OWNERSHIP_TRANSFER),
    (correction, samples.CORRECTION),
    (reissue, samples.REISSUE),
)


class Way(Value, frozen=True, kw_only=True):
    """One way to apply, booked: its letter on the page, its sample, what the law made of it."""

    letter: str
    sample: samples.Sample
    run: PhaseRun

    @property
    def name(self) -> str:
        """As the tables name it."""
        return f"{self.sample.zh} {self.sample.en}"

    @property
    def applicants(self) -> tuple[Applicant, ...]:
        """Who applies."""
        return self.run.steps[0].applicants

    @property
    def by_rule(self) -> bool:
        """Whether a published rule may decide it."""
        return not self.run.steps[0].referred and not self.sample.combined


def name_of(module: ModuleType) -> str:
    """The short name of a kind's file, which its page bears too."""
    return module.__name__.rpartition(".")[2]


def ways_of(shown: tuple[samples.Sample, ...]) -> tuple[Way, ...]:
    """Every sample of a kind, run."""
    return tuple(
        Way(
            letter=chr(ord("A") + number),
            sample=sample,
            run=run_phase(
                (sample.op,),
                {state.unit.unit_code: state for state in sample.states},
                combined=sample.combined,
                contracts=sample.contracts,
            ),
        )
        for number, sample in enumerate(shown)
    )


def operations_of(ways: tuple[Way, ...]) -> tuple[str, ...]:
    """API names of the operations that the page is about, each once."""
    return tuple(dict.fromkeys(operation_name(way.sample.op) for way in ways))


def kind_page(module: ModuleType, ways: tuple[Way, ...]) -> str:
    """The whole page. `module` has the functions of law.Law."""
    lead, more = lead_of(module)
    zh, summary = KINDS[name_of(module)]
    gates = _gates(ways)
    used = parts.settings_of(module)
    return page(
        f"# {zh} {' / '.join(f'`{name}`' for name in operations_of(ways))}",
        f"> {summary}",
        f"{lead} {more}",
        facts(_facts(module, ways)),
        "## 办理流程 Course",
        _course(ways, gates),
        "## 申请情形与登记簿变化 Ways to apply, and what each does to the register",
        doc_of(module.book),
        _effects(ways),
        "## 申请人 Who applies",
        doc_of(module.applicants),
        table(
            ("申请人 applicant", "依据 article", "情形 way"),
            telling.applicants_by_way({w.letter: w.applicants for w in ways}),
        ),
        "除申请人外须同意的人，见“登记簿状态”。 Whoever must consent besides follows from the register: see below.",
        "## 申请材料 Papers",
        doc_of(module.papers),
        table(
            ("材料 paper", "签署 signed by", "依据 article", "情形 way"),
            telling.papers_by_way({w.letter: w.run.steps[0].papers for w in ways}),
        ),
        "证书、证明以编号引用，登记机构查阅自己的登记簿（IR 24）。 "
        "Certificates are cited by number; the authority reads its own register.",
        "## 审核要点 What must hold",
        doc_of(module.conditions),
        parts.rules_table(rules_in(module.conditions)),
        "## 由登记员决定的事项 What a registrar decides",
        doc_of(module.only_a_person),
        parts.referrals_table((*rules_in(module.conditions), *rules_in(module.only_a_person))),
        *_gates_part(gates),
        "## 登记簿状态 What the register makes of it",
        _states(ways),
        "## 期限 Time limits",
        parts.limits(gates=gates, pre_notice=_is_about_pre_notices(ways), default=PROFILE),
        "## 本地设置 Left to the place" if used else "",
        parts.settings_table(used, PROFILE) if used else "",
        parts.SIGNED,
    )


def _facts(module: ModuleType, ways: tuple[Way, ...]) -> list[tuple[str, str]]:
    path = f"gateway/kinds/{name_of(module)}.py"
    rules = [w.letter for w in ways if w.by_rule]
    decided = (
        f"情形 {' '.join(rules)} 可由公布的规则即时办结，其余由登记员审核 "
        f"a published rule may decide {', '.join(rules)}; a registrar the rest"
        if rules
        else "一律由登记员审核 always a registrar"
    )
    found = [
        ("实现 implemented in", f"[{path}](../../{path})"),
        ("决定 decided by", decided),
    ]
    modes = [f"[{code}]({code.lower()}.md)" for code, mode in MODES.items() if _is_step_of(mode.code, ways)]
    if modes:
        found.append(("作为步骤 a step of", "、".join(modes)))
    return found


def _is_step_of(code: str, ways: tuple[Way, ...]) -> bool:
    steps = {s.operation.partition("/")[0] for phase in MODES[code].phases for s in phase.steps}
    return bool(steps & set(operations_of(ways)))


def _course(ways: tuple[Way, ...], gates: frozenset[Gate]) -> str:
    roles = dict.fromkeys(who.role_zh for way in ways for who in way.applicants)
    lines = [
        box("A", "申请 applies", *roles),
        box("Q", "受理 accepted", "全部申请人已签署、材料齐全"),
        box("D", "审核 decided", "审核要点与登记簿状态", shape="{}"),
        "A --> Q --> D",
    ]
    if gates:
        lines += [
            box("G", "等待 waits", *(gate.value for gate in sorted(gates)), shape="()"),
            "D --> G --> B",
        ]
    begun = dict.fromkeys(telling.right(r).partition("：")[0] for w in ways for r in w.run.begun)
    ended = dict.fromkeys(telling.right(r).partition("：")[0] for w in ways for r in w.run.ended)
    lines += [
        box("B", "登簿 booked", *(f"＋ {r}" for r in begun), *(f"－ {r}" for r in ended)),
        *(() if all(_gates((way,)) for way in ways) else ("D --> B",)),
        box("N", "不予受理 not accepted", "或者等待补正"),
        box("R", "不予登记 refused", "书面告知"),
        "A -. N-、C- .-> N",
        "D -. R- .-> R",
    ]
    return diagram(lines)


def _effects(ways: tuple[Way, ...]) -> str:
    rows = []
    for way in ways:
        issued, void, superseded = telling.certificates(way.run)
        rows.append(
            (
                f"**{way.letter}** {way.name}",
                many(telling.right(r) for r in way.run.begun),
                many(telling.right(r) for r in way.run.ended),
                issued,
                void,
                superseded,
            )
        )
    heads = ("情形 way", "产生 begins", "终止 ends", "颁发 issued", "作废 void", "换发 superseded")
    return table(heads, rows)


def _gates(ways: tuple[Way, ...]) -> frozenset[Gate]:
    found = {Gate.TAX for way in ways if transfer_in(way.sample.op) is not None}
    for way in ways:
        op = way.sample.op
        if isinstance(op, MortgageRelease) and op.ground is ReleaseGround.UNDERTAKING:
            found.add(Gate.PAYOFF)
    return frozenset(found)


def _gates_part(gates: frozenset[Gate]) -> tuple[str, ...]:
    if not gates:
        return ()
    return ("## 登簿条件 Gates at booking", parts.gates_list(gates))


def _states(ways: tuple[Way, ...]) -> str:
    """A column of blocks.csv for each operation; correction and re-issue have none."""
    known = [name for name in operations_of(ways) if name in OPERATIONS]
    if not known:
        return (
            "[blocks.csv](../../gateway/register/blocks.csv) 对此没有栏目：不处分权利，一律由登记员审核。 "
            "The table has no column for it: it disposes of nothing, and a registrar decides.\n"
        )
    blocks = []
    for name in known:
        head = f"### {name}\n\n" if len(known) > 1 else ""
        blocks.append(head + blocks_table.by_operation(name))
    return "\n".join(blocks)


def _is_about_pre_notices(ways: tuple[Way, ...]) -> bool:
    return any(isinstance(r, PreNotice) for way in ways for r in (*way.run.begun, *way.run.ended))
