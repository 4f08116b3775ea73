"""Parts that pages of kinds and of modes share: rules, time limits, settings of the place, the line to sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.applications.limits import STATUTORY_WORKING_DAYS
from gateway.kinds.modes import Gate
from gateway.lawbook.markdown import listed, many, table
from gateway.lawbook.reading import GAP, Rule, settings_in
from gateway.lawbook.telling import TAXES
from gateway.lawbook.words import SETTINGS
from gateway.register.authority import Profile
from gateway.register.calendar import PRE_NOTICE_DAYS

#: The line at the foot of every page.
SIGNED = "---\n\n审核 reviewed：＿＿＿＿＿＿＿＿　登簿 booking officer：＿＿＿＿＿＿＿＿　日期 date：＿＿＿＿＿＿\n"

#: What a referring finding ends with; the heading says it once.
_REFERS = ("，由登记员决定", ": a registrar decides")


def rules_table(rules: Iterable[Rule]) -> str:
    """What must hold, each rule in its own words, with what is answered where it does not."""
    rows = []
    for rule in rules:
        barring = [s for s in rule.stated if s.code != "M-REFER"]
        if barring:
            answers = [_answer(s.zh, s.article) for s in barring]
            codes = [s.code + (f" → {s.rule}" if s.rule not in ("", GAP) else "") for s in barring]
            rows.append((rule.doc, many(answers), many(codes)))
    return table(("规则 rule", "不符时告知 else answered", "原因 reason"), rows)


def _answer(zh: str, article: str) -> str:
    return zh if article in ("", GAP) else f"{zh}（{article}）"


def referrals_table(rules: Iterable[Rule]) -> str:
    """What is a registrar's to decide."""
    stated = [s for rule in rules for s in rule.stated if s.code == "M-REFER"]
    rows = [
        (s.zh.removesuffix(_REFERS[0]), s.en.removesuffix(_REFERS[1]), "" if s.article == GAP else s.article)
        for s in stated
    ]
    return table(("事由", "why", "依据 article"), dict.fromkeys(rows))


def limits(*, gates: frozenset[Gate], pre_notice: bool, default: Profile) -> str:
    """The time limits that a case of this sort can meet; days of the place are the profile's defaults."""
    days = STATUTORY_WORKING_DAYS
    told = [
        (
            "受理与否当场答复，一次性告知全部缺项",
            "accepted or not is answered at once, all that is missing in one list (IR 17)",
        ),
        (
            f"自受理之日起{days}个工作日内办结，本机构承诺更短的从其承诺",
            f"decided within {days} working days of acceptance, or sooner where promised (IR 20; OBE 47)",
        ),
        (
            f"等待各方签署{default.awaiting_parties_days}日，逾期未受理即终止",
            f"every party signs within {default.awaiting_parties_days} days, else it ends unaccepted (profile)",
        ),
        (
            f"补充材料{default.supplement_days}日",
            f"a supplement comes within {default.supplement_days} days, else R-NOT_SUPPLEMENTED (profile; IR 22)",
        ),
    ]
    if Gate.TAX in gates:
        told.append(
            (
                f"等待完税{default.tax_days}日，逾期不予登记",
                f"taxes are cleared within {default.tax_days} days of the decision, else R-TAX (profile; DT 11)",
            )
        )
    if Gate.PAYOFF in gates:
        told.append(
            (
                f"等待结清{default.payoff_days}日，逾期由登记员决定",
                f"the payoff is confirmed or undertaken within {default.payoff_days} days, else REFER (profile)",
            )
        )
    if pre_notice:
        told.append(
            (
                f"自能够进行不动产登记之日起{PRE_NOTICE_DAYS}日内未申请的，预告登记失效；末日为休息日的顺延",
                f"a pre-notice lapses {PRE_NOTICE_DAYS} days after the registration became possible (CC 203, 221)",
            )
        )
    return listed(f"{zh}。 {en}" for zh, en in told)


def gates_list(gates: frozenset[Gate]) -> str:
    """What must hold at booking, and never stops acceptance."""
    lines = list(TAXES.values()) if Gate.TAX in gates else []
    if Gate.PAYOFF in gates:
        lines.append(
            "原抵押权人确认结清，或者接受新抵押权人的代为清偿承诺 "
            "the old mortgagee confirms the payoff, or accepts the new mortgagee's undertaking (N29)"
        )
    return listed(lines)


def settings_of(module: Any) -> tuple[str, ...]:
    """Settings of the place that a kind's law reads. `module` has the functions of law.Law."""
    return settings_in(module.applicants, module.papers, module.conditions, module.only_a_person, module.book)


def settings_table(used: Sequence[str], default: Profile) -> str:
    """Settings of the place that this law reads, with their documented defaults."""
    unsaid = set(used) - SETTINGS.keys()
    if unsaid:
        raise LookupError(
            f"say what the settings {sorted(unsaid)} mean: SETTINGS in gateway/lawbook/words.py"
        )
    rows = [(f"`{name}`", *SETTINGS[name], f"`{shown(getattr(default, name))}`") for name in used]
    return table(("设置 setting", "含义", "meaning", "默认 default"), rows)


def shown(value: object) -> str:
    """A default as a profile's file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value or "–")
