"""What an extract prints, in reading order; `extract_render.py` prints it, `extract_verify.py` reads it back. Pure.

The words are frozen with the schema, as those of a certificate are (layout.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.certificates import wording
from gateway.certificates.extract import COUNTER_CASE, ExtractContent
from gateway.certificates.layout import (
    CONTINUED,
    SEAL_WORDS,
    SEAL_WORDS_TEST,
    WATERMARK,
    Row,
    unit_code_groups,
)
from gateway.register.model import (
    AnyRight,
    Dissent,
    Easement,
    Habitation,
    Mortgage,
    Ownership,
    Party,
    PreNotice,
    Seizure,
    SeizureKind,
    UnitHold,
    Value,
)
from gateway.register.rank import current_ranks

TITLE: Final = "不动产登记查询结果"
NUMBER_LABEL: Final = "查询编号"
NOTHING: Final = "无"
AUTHORITY_LABEL: Final = "登记机构（电子印章）"
STATEMENT: Final = (
    "本查询结果反映登记簿截至上列时点的记载，加盖电子印章，与登记窗口出具的查询结果具有同等效力；"
    "此后的登记不在其内，以登记簿为准。查询结果仅限用于所列目的，查询人应当保密。"
)
#: The bases of the contract, as printed.
BASIS: Final = {
    "own_right": "本机构在该不动产上的权利",
    "application": "本机构在办的登记申请",
    "authorisation_sha256": "权利人授权",
    "instrument": "协助查询文书",
    "registrar": "登记机构依职权查询",
}
#: What an open case asks for, as printed; a name that is not here is printed as it stands.
OPERATION: Final = {
    "MORTGAGE_FIRST": "抵押权首次登记",
    "MORTGAGE_CHANGE": "抵押权变更登记",
    "MORTGAGE_TRANSFER": "抵押权转移登记",
    "MORTGAGE_RELEASE": "抵押权注销登记",
    "MORTGAGE_CLAIM_FIXING": "最高额抵押权确定登记",
    "CONSTRUCTION_MORTGAGE_FIRST": "在建建筑物抵押权首次登记",
    "CONSTRUCTION_MORTGAGE_CHANGE": "在建建筑物抵押权变更登记",
    "CONSTRUCTION_MORTGAGE_TRANSFER": "在建建筑物抵押权转移登记",
    "CONSTRUCTION_MORTGAGE_RELEASE": "在建建筑物抵押权注销登记",
    "PRE_NOTICE_CREATE": "预告登记",
    "PRE_NOTICE_CONVERT": "预告登记转本登记",
    "PRE_NOTICE_RELEASE": "预告登记注销",
    "OWNERSHIP_TRANSFER": "转移登记",
    "CORRECTION": "更正登记",
    COUNTER_CASE: "登记窗口受理的登记",
    "REISSUE": "证书（证明）换发、补发",
}
SEIZURE_KIND: Final = {
    SeizureKind.SEIZURE: "查封",
    SeizureKind.WAITING_SEIZURE: "轮候查封",
    SeizureKind.PRE_SEIZURE: "预查封",
    SeizureKind.WAITING_PRE_SEIZURE: "轮候预查封",
}
HOLD: Final = {
    UnitHold.QUARANTINED: "登记数据待核实",
    UnitHold.DISPUTED: "权属有争议",
    UnitHold.PROHIBITED_COLLATERAL: "依法不得抵押",
    UnitHold.CORRECTION_PENDING: "更正登记办理中",
    UnitHold.RIGHT_EXPIRED: "土地使用期限届满",
}


class ExtractLayout(Value, frozen=True, kw_only=True):
    """Every word of an extract's pages, but for page numbers."""

    title: str
    number: str
    rows: tuple[Row, ...]
    statement: str
    authority: str
    issued_on: str
    seal_words: str
    watermark: str

    def body(self, gloss: str = "") -> str:
        """All text of all pages in reading order, without what each page repeats."""
        table = "".join(row.label + "".join(row.lines) for row in self.rows)
        return (
            f"{self.title}{NUMBER_LABEL}{self.number}{table}{gloss}{self.statement}"
            f"{AUTHORITY_LABEL}{self.authority}{self.seal_words}{self.issued_on}"
        )

    def page_heads(self, page: int) -> tuple[str, ...]:
        """What page `page`, from 1, says before its body."""
        return (self.watermark if page == 1 else self.watermark + self.number + CONTINUED,)

    def page_foot(self, page: int, pages: int) -> str:
        """What page `page` of `pages` says after its body."""
        return f"第{page}页共{pages}页"


def lay_out_extract(content: ExtractContent) -> ExtractLayout:
    """The words of an extract."""
    return ExtractLayout(
        title=TITLE,
        number=content.number,
        rows=(*_unit_rows(content), *_right_rows(content), *_query_rows(content)),
        statement=STATEMENT,
        authority=content.issuer_name,
        issued_on=wording.date(content.asked_at.astimezone(wording.CHINA).date()),
        seal_words=SEAL_WORDS_TEST if content.test else SEAL_WORDS,
        watermark=WATERMARK if content.test else "",
    )


def _unit_rows(content: ExtractContent) -> list[Row]:
    unit = content.unit
    holds = tuple(HOLD[hold] for hold in unit.holds)
    return [
        _row("不动产单元号", unit_code_groups(unit.unit_code)),
        _row("坐落", unit.location),
        _row("用途", wording.USE.get(unit.use, unit.use)),
        _row("面积", wording.area(unit.floor_area) if unit.floor_area else wording.UNRECORDED),
        _row("首次登记", "已办理" if unit.first_registered else "未办理"),
        _row("其他限制", *(holds or (NOTHING,))),
    ]


def _right_rows(content: ExtractContent) -> list[Row]:
    rights = content.rights
    ranks = current_ranks([r for r in rights if isinstance(r, Mortgage)])
    rows: list[Row] = []
    kinds: tuple[tuple[str, type], ...] = (
        ("所有权", Ownership),
        ("抵押权", Mortgage),
        ("预告登记", PreNotice),
        ("查封登记", Seizure),
        ("异议登记", Dissent),
        ("居住权", Habitation),
        ("地役权", Easement),
    )
    for label, kind in kinds:
        found = [r for r in rights if isinstance(r, kind)]
        if not found:
            rows.append(_row(label, NOTHING))
        for n, right in enumerate(found, start=1):
            numbered = label if len(found) == 1 else f"{label}（{n}）"
            rows.append(_row(numbered, *_lines(right, ranks.get(right.right_id, 0))))
    cases = [
        "、".join(OPERATION.get(name, name) for name in case.operations)
        + (f"，{wording.instant(case.accepted_at)}受理" if case.accepted_at else "，尚未受理")
        + (f"，业务号{case.case_number}" if case.case_number else "")
        for case in content.open_cases
    ]
    return [*rows, _row("在办登记业务", *(cases or (NOTHING,)))]


def _lines(right: AnyRight, rank: int) -> list[str]:
    lines = [*_matter(right, rank), f"登簿时间：{wording.instant(right.booked_at)}"]
    return [*lines, f"附记：{right.note}"] if right.note else lines


def _matter(right: AnyRight, rank: int) -> list[str]:
    match right:
        case Ownership():
            price = [] if right.price_fen is None else [f"取得价格：{wording.wan_yuan(right.price_fen)}"]
            return [
                f"权利人：{_people([o.person for o in right.owners])}",
                f"共有情况：{wording.owners(right.co_ownership, right.owners)}",
                f"不动产权证书号：{'、'.join(title.number for title in right.titles) or wording.UNRECORDED}",
                *price,
            ]
        case Mortgage():
            return _mortgage(right, rank)
        case PreNotice():
            return [
                f"种类：{wording.PRE_NOTICE_KIND[right.kind]}",
                f"权利人：{_people(right.holders)}",
                f"义务人：{_people(right.obligors)}",
                f"金额：{wording.wan_yuan(right.amount_fen)}",
                f"不动产登记证明号：{right.proof.number or wording.UNRECORDED}",
            ]
        case Seizure():
            return [
                f"种类：{SEIZURE_KIND[right.kind]}",
                f"查封机关：{right.authority}",
                f"查封文号：{right.instrument_no}",
                f"被执行人：{_people([right.target])}",
                f"查封范围：{right.extent or wording.UNRECORDED}",
                f"送达时间：{wording.instant(right.served_at)}",
                f"查封期限：至{wording.date(right.until)}",
            ]
        case Dissent():
            return [f"申请人：{_people([right.applicant])}", f"异议事项：{right.matter}"]
        case Habitation():
            until = wording.date(right.until) if right.until else wording.UNRECORDED
            return [f"居住权人：{_people([right.holder, *right.others])}", f"期限：至{until}"]
        case Easement():
            return [f"地役权内容：{right.content or wording.UNRECORDED}"]


def _mortgage(right: Mortgage, rank: int) -> list[str]:
    amount = right.claim_amount_fen if right.claim_amount_fen is not None else right.max_claim_amount_fen
    lines = [
        f"抵押权人：{_people(right.mortgagees)}",
        f"抵押人：{_people(right.mortgagors)}",
        f"债务人：{_people(right.debtors)}",
        f"抵押方式：{wording.MORTGAGE_KIND[right.kind]}",
        f"债权数额：{wording.wan_yuan(amount or 0, right.currency)}",
        f"债务履行期限（债权确定期间）：{wording.period(right.term_start, right.term_end)}",
        f"担保范围：{right.secured_scope or wording.UNRECORDED}",
        f"是否存在禁止或限制转让抵押不动产的约定：{wording.RESTRICTION[right.transfer_restriction]}",
        f"登记时顺位：{right.rank_at_registration}；当前顺位：{rank}",
        f"不动产登记证明号：{right.proof.number or wording.UNRECORDED}",
    ]
    portions = (wording.loan_portion(p, right.currency) for p in right.loan_portions)
    return [*lines, *(f"贷款组成：{portion}" for portion in portions)]


def _query_rows(content: ExtractContent) -> list[Row]:
    reader = content.reader
    return [
        _row("查询人", f"{reader.name}（{reader.identifier}）"),
        _row("查询依据", BASIS.get(reader.basis, reader.basis) + reader.instrument),
        _row("查询目的", reader.purpose),
        _row("截至时点", f"{wording.instant(content.asked_at)}，登记账本第{content.as_of_index}号记录"),
    ]


def _people(people: Sequence[Party]) -> str:
    return "；".join(f"{p.name}（{wording.ID_KIND[p.id_kind]} {p.id_number}）" for p in people) or NOTHING


def _row(label: str, *lines: str) -> Row:
    return Row(label=label, lines=tuple(line or wording.UNRECORDED for line in lines))
