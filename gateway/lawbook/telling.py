"""Rights, certificates, parties and papers in words, for a cell of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from gateway.cases.terms import TaxKind
from gateway.kinds.law import Applicant, PaperRule
from gateway.kinds.named import once
from gateway.lawbook.markdown import many
from gateway.lawbook.register import ON_THE_REST, UNIT
from gateway.lawbook.running import PhaseRun
from gateway.register.blocks import Verdict
from gateway.register.model import AnyRight, Mortgage, MortgageKind, Ownership, Party, PreNotice, UnitState
from gateway.register.rank import current_ranks
from gateway.register.states import SALE_KINDS

VERDICTS: Mapping[Verdict, str] = {
    Verdict.BLOCK: "不予办理 BLOCK",
    Verdict.WAIT: "等待 WAIT",
    Verdict.REFER: "转人工 REFER",
    Verdict.ALLOW_WITH_CONSENT: "须同意或者材料 CONSENT",
    Verdict.WARN: "提示 WARN",
    Verdict.ALLOW: "通过 ALLOW",
    Verdict.NOT_APPLICABLE: "不适用 –",
}

#: The taxes that gate the booking of a sale, each with its payer.
TAXES: Mapping[TaxKind, str] = {
    TaxKind.DEED: "买方契税 the buyer's deed tax (DT 11)",
    TaxKind.INCOME: "自然人卖方个人所得税 a natural seller's income tax (PIT 15)",
    TaxKind.LAND_VAT: (
        "单位卖方或者非住宅的土地增值税 land VAT of a company or a unit that is no home (land VAT rules 12)"
    ),
}

_KIND_NUMBERS = {"PRESALE_SALE": 1, "OTHER_SALE": 2, "PRESALE_MORTGAGE": 3, "OTHER_MORTGAGE": 4}


def names(parties: Iterable[Party]) -> str:
    """Parties by what they are."""
    return "、".join(dict.fromkeys(p.name for p in parties))


def right(value: AnyRight) -> str:
    """A right with its holder."""
    match value:
        case Ownership():
            return f"所有权 ownership：{names(o.person for o in value.owners)}"
        case Mortgage():
            sort = "最高额抵押权 maximum-amount mortgage" if _is_ceiling(value) else "抵押权 mortgage"
            rank = f"登记顺位 printed rank {value.rank_at_registration}"
            agreed = f"，约定顺位 agreed rank {value.agreed_rank}" if value.agreed_rank else ""
            dated = "，自预告登记之日起 dated from its pre-notice" if value.from_pre_notice else ""
            units = f"，{len(value.units)}个单元 units" if len(value.units) > 1 else ""
            return (
                f"{sort}：{names(value.mortgagees)} ← {names(value.mortgagors)}，{rank}{agreed}{dated}{units}"
            )
        case PreNotice():
            of = "买卖预告登记 sale" if value.kind in SALE_KINDS else "抵押权预告登记 mortgage"
            number = _KIND_NUMBERS[value.kind.value]
            return f"{of} pre-notice (kind {number})：{names(value.holders)} ← {names(value.obligors)}"
    return type(value).__name__


def register_after(states: Mapping[str, UnitState]) -> str:
    """The live rights afterwards, mortgages by their current rank; a right of other units alone says so."""
    lines = []
    for state in states.values():
        ranks = current_ranks(state.mortgages)
        told: list[tuple[AnyRight, str]] = [
            (r, right(r)) for r in state.rights if not isinstance(r, Mortgage)
        ]
        told += [(m, f"现顺位 current rank {ranks[m.right_id]}：{right(m)}") for m in state.mortgages]
        lines += [text if UNIT in r.units else f"{text}{ON_THE_REST}" for r, text in told]
    return many(lines)


def certificates(run: PhaseRun) -> tuple[str, str, str]:
    """Issued, void, superseded."""
    return (
        many(run.called[content.number] for content in run.issued),
        many(run.void),
        many(run.superseded),
    )


def applicant(who: Applicant) -> str:
    """The role, and the party where that says more."""
    role = f"{who.role_zh} {who.role_en}"
    return role if role == who.party.name else f"{role}（{who.party.name}）"


def paper(rule: PaperRule) -> str:
    """Its names and codes."""
    also = "".join(f" / `{code}`" for code in rule.also)
    return f"{rule.zh} {rule.en}<br>`{rule.code}`{also}"


def signers(rule: PaperRule) -> str:
    """Who signs it; a bound paper embeds the terms that are signed."""
    who = names(rule.signers) or "–"
    return f"{who}<br>（内嵌申请内容 embeds the terms）" if rule.bound else who


def papers_by_way(asked: Mapping[str, Sequence[PaperRule]]) -> list[tuple[str, str, str, str]]:
    """Rows of paper, signers, article, and the ways that ask for it; the same asked in several ways is one row.

    What several steps of a way ask for under one code is one paper, signed by all whom they ask (IR 16; S14).
    """
    ways: dict[tuple[str, str, str], list[str]] = {}
    for way, rules in asked.items():
        for rule in _merged(rules):
            missing = f"<br>缺者 lacking: {rule.rule}" if rule.rule else ""
            ways.setdefault((paper(rule), signers(rule), rule.article + missing), []).append(way)
    rows = [(*key, in_all(found, len(asked))) for key, found in ways.items()]
    order = list(dict.fromkeys(row[0] for row in rows))
    return sorted(rows, key=lambda row: order.index(row[0]))


def _merged(rules: Sequence[PaperRule]) -> list[PaperRule]:
    merged: dict[str, PaperRule] = {}
    for rule in rules:
        before = merged.get(rule.code)
        merged[rule.code] = (
            rule if before is None else replace(before, signers=once(before.signers + rule.signers))
        )
    return list(merged.values())


def applicants_by_way(asked: Mapping[str, Sequence[Applicant]]) -> list[tuple[str, str, str]]:
    """Rows of applicant, article, ways."""
    ways: dict[tuple[str, str], list[str]] = {}
    for way, applicants in asked.items():
        for who in applicants:
            ways.setdefault((applicant(who), who.article), []).append(way)
    return [(*key, in_all(found, len(asked))) for key, found in ways.items()]


def in_all(ways: Sequence[str], total: int) -> str:
    """The letters of the ways, or that it is so in all."""
    found = tuple(dict.fromkeys(ways))
    return "全部 all" if len(found) == total else " ".join(found)


def _is_ceiling(value: Mortgage) -> bool:
    return value.kind is MortgageKind.MAXIMUM_AMOUNT
