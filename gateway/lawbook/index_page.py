"""docs/law.md: every kind and every mode in one table each, and what is common to all of them."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from gateway.kinds.modes import MODES
from gateway.lawbook import parts
from gateway.lawbook.cast import PROFILE
from gateway.lawbook.kind_page import Way, name_of, operations_of
from gateway.lawbook.markdown import box, diagram, many, page, table
from gateway.lawbook.mode_page import DEAL_SETTINGS
from gateway.lawbook.words import KINDS, SETTINGS, SOURCES

_INTRO = """\
每一登记类型、每一办理模式各一页，供登记员逐项核对、签署。表格由代码自身的数据生成：\
模式表、各登记类型的法律规则在示例案件上的运行结果、[blocks.csv](../gateway/register/blocks.csv)、\
[reasons.csv](../gateway/register/reasons.csv)，以及规则函数的说明文字；代码与本文不一致时，`make check` 不通过。

One page for each kind and each mode, to be read beside the articles and signed. Its tables are generated from what the
gateway decides by: the modes, each kind's law run on sample cases, the two tables above, and the words of the rules
themselves. `make pages` writes them, `make check` fails where they differ from the code. The reasons that an answer can
give, each with its cure, are in [reasons.md](reasons.md)."""

_COMMON = """\
- **谁申请 Who applies**：须共同申请的，全部申请人签署同一份申请内容后才受理（IR 14）。\
机构以签名信封申请，自然人以内嵌申请内容的申请书签名。
  All who must apply sign the same terms before the case is accepted: an institution by its envelope, a person by a form
  that embeds the terms.
- **谁同意 Who consents**：由登记簿推算，见各页“登记簿状态”：转让限制、首次登记时间、共有、现势预告登记、其他抵押权人。
  Computed from the register: each page's table of states says whose consent is asked, and on which article.
- **受理即排队 The queue**：自受理时起算期限和排队；注销登记不排队，除非在先案件涉及同一权利（RD 67）。
  Clock and place start with acceptance; a release passes the queue unless an earlier case names the same right.
- **登簿时再审 Examined again**：登簿的同一事务内再次核对登记簿状态（EX 23）。
  The register is looked at again inside the booking commit.
- **不改旧行 No row is edited**：变更、转移、更正都另立新行，原行转为历史（IR 10）。
  A change is a new row; the old one becomes historical.
- **空缺不是许可 No permission by omission**：blocks.csv 缺一格即不能启动。 A missing cell stops the start."""


#: Settings that bear on every case, whatever its kind.
_GENERAL: Final = frozenset(
    {
        "instant",
        "promised_working_days",
        "promised_working_hours",
        "office",
        "awaiting_parties_days",
        "party_reminder_days",
        "ended_case_retention_days",
        "supplement_days",
        "tax_days",
        "payoff_days",
        "two_person_review",
    }
)


def index_page(kinds: tuple[tuple[ModuleType, tuple[Way, ...]], ...]) -> str:
    """The whole index."""
    return page(
        "# 登记规则 The law, kind by kind and mode by mode",
        _INTRO,
        "## 登记类型 Kinds",
        table(
            (
                "登记类型 kind",
                "操作 operation",
                "单方申请 alone",
                "规则即时办结 by rule",
                "证书 certificates",
            ),
            [_kind(module, ways) for module, ways in kinds],
        ),
        "单方申请、规则即时办结两栏列出示例情形。 The last columns name the ways to apply, as the pages show them.",
        "## 办理模式 Modes",
        table(
            ("模式 mode", "代码 code", "阶段 phases", "条件 gates", "依据 source"),
            [_mode(code) for code in MODES],
        ),
        "## 一件申请的过程 The life of a case",
        _life(),
        "## 通则 Common to all",
        _COMMON,
        "## 本地设置 What is left to the place",
        "登记机构的公开设置，默认值如下；仅列各页涉及的设置。 "
        "Published settings of a registry with their defaults, as far as the pages speak of them.",
        parts.settings_table(_settings(kinds), PROFILE),
        "## 依据 Sources",
        table(("缩写 key", "名称 name"), SOURCES.items()),
        "`handbook n` 指本项目的领域手册第 n 节，`design` 指本系统的设计而非法律规定。 "
        "`handbook n` is a section of the project's domain handbook, `design` our own choice and no law.",
    )


def _settings(kinds: tuple[tuple[ModuleType, tuple[Way, ...]], ...]) -> tuple[str, ...]:
    """Settings that bear on every case, and those that a page names, in the order of words.py."""
    read = {name for module, _ in kinds for name in parts.settings_of(module)}
    return tuple(name for name in SETTINGS if name in read | _GENERAL | set(DEAL_SETTINGS))


def _kind(module: ModuleType, ways: tuple[Way, ...]) -> tuple[str, ...]:
    zh = KINDS[name_of(module)][0]
    alone = [way.sample.zh for way in ways if len(way.applicants) == 1 and not way.sample.combined]
    by_rule = [way.sample.zh for way in ways if way.by_rule]
    issued = many(_issued(way) for way in ways)
    return (
        f"[{zh}](law/{name_of(module)}.md)",
        many(f"`{name}`" for name in operations_of(ways)),
        many(alone),
        many(by_rule),
        issued,
    )


def _issued(way: Way) -> str:
    """How many certificates a way issues, of which sort."""
    titles = sum(content.kind.value == "TITLE" for content in way.run.issued)
    proofs = len(way.run.issued) - titles
    told = [f"{titles} 权属证书 title"] * bool(titles) + [f"{proofs} 登记证明 proof"] * bool(proofs)
    return "、".join(told) or "不颁发 none"


def _mode(code: str) -> tuple[str, ...]:
    mode = MODES[code]
    phases = [
        f"{number}. " + " → ".join(f"[{s.operation}]" if s.optional else s.operation for s in phase.steps)
        for number, phase in enumerate(mode.phases, start=1)
    ]
    gates = [
        f"{number}. {' '.join(sorted(phase.gates, reverse=True)) or '–'}"
        for number, phase in enumerate(mode.phases, start=1)
    ]
    return (f"[{mode.zh}](law/{code.lower()}.md)", f"`{code}`", many(phases), many(gates), mode.source)


def _life() -> str:
    return diagram(
        [
            box("S", "提交 submitted"),
            box("N", "不予受理 NOT_ACCEPTED", "一次性告知全部缺项"),
            box("P", "等待各方 AWAITING_PARTIES", "不起算期限、不占位"),
            box("X", "终止 EXPIRED"),
            box("A", "受理 ACCEPTED", "起算期限、占位"),
            box("V", "审核 IN_REVIEW", "补充材料 SUPPLEMENT_REQUESTED", "暂缓 SUSPENDED"),
            box("G", "等待完税、结清", "AWAITING_TAX / AWAITING_PAYOFF"),
            box("B", "登簿 BOOKED", "证书、证明随之编号"),
            box("R", "不予登记 REFUSED"),
            box("W", "撤回 WITHDRAWN", "全体申请人"),
            "S --> N",
            "S --> P --> A",
            "P -. 逾期 .-> X",
            "S --> A --> V --> B",
            'A -- "规则 by rule" --> B',
            "V --> G --> B",
            "V --> R",
            "G -. 逾期 .-> R",
            "V -.-> W",
        ],
        direction="TB",
    )
