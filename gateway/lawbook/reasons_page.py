"""docs/reasons.md: the catalogue of reasons, by what they answer, each with its ground and its cure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.lawbook.blocks_table import cells_of
from gateway.lawbook.markdown import page, table
from gateway.register.blocks import OPERATIONS, UnitStateCode
from gateway.register.reasons import REASONS, Reason

#: Prefix of a code -> what such a reason does.
_GROUPS: Mapping[str, str] = {
    "N-": "不予受理 Not accepted",
    "C-": "补正、补充材料 Correction or supplement",
    "S-": "等待 Waiting",
    "R-": "不予登记 Refused",
    "W-": "提示 Warnings",
    "E-": "终止 Ended",
    "M-": "转人工 To a person",
}

_INTRO = """\
每一答复都载明原因代码、所在字段或者文件、依据和补救办法。受理前只用 N-、C- 代码，\
并以 `rule` 指明受理后将是哪一个 R- 代码；R- 代码只在受理后使用。

Every finding carries the code, the field or file, the article, Chinese and English words and the cure. Before
acceptance a bar is told as N- or C-, with the R- code that it would be afterwards in `rule`; R- codes are given only
after acceptance. The catalogue is [reasons.csv](../gateway/register/reasons.csv); which state of the register gives
which reason is in [blocks.csv](../gateway/register/blocks.csv) and on the pages of [the law](law.md)."""


def reasons_page() -> str:
    """The whole page. Raises KeyError for a code whose prefix no group has."""
    groups: dict[str, list[Reason]] = {prefix: [] for prefix in _GROUPS}
    for code, reason in REASONS.items():
        groups[code[:2]].append(reason)
    blocks = []
    for prefix, reasons in groups.items():
        blocks += [f"## {_GROUPS[prefix]}", table(_HEADS, [_row(reason) for reason in reasons])]
    return page("# 原因目录 Reasons", _INTRO, *blocks)


_HEADS = ("代码 code", "原因 reason", "依据 ground", "补救 cure", "登记簿状态 states")


def _row(reason: Reason) -> tuple[str, ...]:
    states = [
        state
        for state in UnitStateCode
        if any(c.reason_code == reason.code for op in OPERATIONS for c in cells_of(state, op))
    ]
    return (
        f"`{reason.code}`",
        f"{reason.name_zh}<br>{reason.name_en}",
        reason.legal_basis,
        f"{reason.cure_zh}<br>{reason.cure_en}",
        "<br>".join(f"`{state}`" for state in states) or "–",
    )
