"""Each operation in the words of the application form: what is applied for, by whom, on which grounds.

One function for each operation; an operation without one cannot be applied for on a form. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.terms import (
    AnyOperation,
    ChangeItem,
    ClaimFixing,
    Correction,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    OwnershipTransfer,
    PreNoticeConvert,
    PreNoticeCreate,
    PreNoticeRelease,
    Reissue,
    operation_name,
)
from gateway.certificates import wording
from gateway.forms import words
from gateway.register.model import MortgageKind, Party, Value


class NotOnFormError(ValueError):
    """An operation that no form of ours can carry."""

    reason = "OPERATION_NOT_ON_FORM"


class Fact(Value, frozen=True, kw_only=True):
    """One printed fact: label and value."""

    label: str
    value: str


class Described(Value, frozen=True, kw_only=True):
    """One operation as the form prints it.

    `right` and `act` are of words.RIGHTS and words.ACTS; `holders` and `obligors` carry the role each is named by.
    """

    title: str
    right: str
    act: str
    units: tuple[str, ...]
    holder_role: str = ""
    holders: tuple[Party, ...] = ()
    obligor_role: str = ""
    obligors: tuple[Party, ...] = ()
    debtors: tuple[Party, ...] = ()
    facts: tuple[Fact, ...] = ()
    ground: str = ""
    papers: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()

    def titles_of(self, unit_code: str) -> tuple[str, ...]:
        """Titles of one of its units: the one at the same place where each unit has one, else all."""
        if len(self.titles) == len(self.units) and unit_code in self.units:
            return (self.titles[self.units.index(unit_code)],)
        return self.titles


def describe(operation: AnyOperation) -> Described:
    """The operation in the form's words. Raises NotOnFormError for one without a description."""
    describer = _DESCRIBERS.get(type(operation))
    if describer is None:
        raise NotOnFormError(
            f"operation {operation_name(operation)} is not printed on forms: use the counter's form"
        )
    described = describer(operation)
    return replace(described, ground=operation.reason) if operation.reason else described


def _mortgage_first(op: MortgageFirst) -> Described:
    maximum = op.kind is MortgageKind.MAXIMUM_AMOUNT
    amount = op.max_claim_amount_fen if maximum else op.claim_amount_fen
    facts = [
        _fact("抵押方式", wording.MORTGAGE_KIND[op.kind]),
        _fact("最高债权额" if maximum else "被担保债权数额", _amount(amount, op.currency)),
        _fact("债权确定期间" if maximum else "债务履行期限", wording.period(op.term_start, op.term_end)),
        _fact("担保范围", op.secured_scope or wording.UNRECORDED),
        _fact("是否存在禁止或限制转让抵押不动产的约定", wording.RESTRICTION[op.transfer_restriction]),
        _fact("债务人", wording.names(op.debtors)),
    ]
    if op.restriction_text:
        facts.insert(5, _fact("禁止或限制转让的约定内容", op.restriction_text))
    if op.existing_claim_fen:
        facts.append(_fact("转入担保范围的已有债权", _amount(op.existing_claim_fen, op.currency)))
    if op.agreed_rank is not None:
        facts.append(_fact("约定抵押顺位", f"第{op.agreed_rank}顺位"))
    portions: Sequence[str] = [wording.loan_portion(p, op.currency) for p in op.loan_portions]
    facts += [
        _fact("贷款组成" if len(portions) == 1 else f"贷款组成（{n}）", text)
        for n, text in enumerate(portions, start=1)
    ]
    if op.contract_number:
        facts.append(_fact("合同编号", op.contract_number))
    if op.loan_contract_number:
        facts.append(_fact("主债权合同编号", op.loan_contract_number))
    if op.area is not None:
        facts.append(_fact("抵押面积", wording.area(op.area)))
    if op.construction is not None:
        facts.append(_fact("在建建筑物坐落", op.construction.location))
        facts.append(_fact("在建建筑物抵押范围", op.construction.scope))
        facts.append(_fact("建设工程规划许可证号", op.construction.permit_number))
    papers = ["主债权合同", "抵押合同"]
    papers += ["建设工程规划许可证"] if op.construction is not None else []
    papers += ["最高额抵押合同"] if maximum else []
    papers += ["抵押权顺位约定"] if op.agreed_rank is not None else []
    return Described(
        title="在建建筑物抵押权首次登记" if op.construction else "抵押权首次登记",
        right="抵押权",
        act="首次登记",
        units=op.units,
        holder_role="抵押权人",
        holders=op.mortgagees,
        obligor_role="抵押人",
        obligors=op.mortgagors,
        debtors=op.debtors,
        facts=tuple(facts),
        ground="设立最高额抵押权" if maximum else "设立抵押权",
        papers=tuple(papers),
        titles=tuple(title.number for title in op.titles),
    )


def _mortgage_change(op: MortgageChange) -> Described:
    after = _mortgage_first(op.content)
    own_name = set(op.items) == {ChangeItem.NAME_OR_IDENTITY}
    return replace(
        after,
        title="在建建筑物抵押权变更登记" if op.construction else "抵押权变更登记",
        act="变更登记",
        units=op.units,
        facts=(
            _fact("不动产登记证明号", op.proof.number),
            _fact("变更事项", "、".join(words.CHANGE_ITEM[item] for item in op.items)),
            *(replace(fact, label=f"变更后{fact.label}") for fact in after.facts),
        ),
        ground="抵押权变更",
        papers=(
            "姓名、名称或者证件变更的证明" if own_name else "抵押权变更协议",
            "不动产登记证明",
        ),
    )


def _mortgage_transfer(op: MortgageTransfer) -> Described:
    facts = [_fact("不动产登记证明号", op.proof.number), _fact("转移原因", words.TRANSFER_GROUND[op.ground])]
    if op.assigned_fen is not None:
        facts.append(_fact("转让的债权数额", _amount(op.assigned_fen, "CNY")))
    if op.debtor_told_on is not None:
        facts.append(_fact("通知债务人日期", wording.date(op.debtor_told_on)))
    if op.follows_part:
        facts.append(_fact("最高额抵押权的转移", "部分债权转移，约定抵押权随同转移"))
    return Described(
        title="在建建筑物抵押权转移登记" if op.construction else "抵押权转移登记",
        right="抵押权",
        act="转移登记",
        units=op.units,
        holder_role="抵押权受让人",
        holders=op.assignees,
        obligor_role="抵押权转让人",
        obligors=op.assignors,
        facts=tuple(facts),
        ground=words.TRANSFER_GROUND[op.ground],
        papers=words.TRANSFER_PAPERS[op.ground],
    )


def _claim_fixing(op: ClaimFixing) -> Described:
    ends = [_fact("债务履行期限止", wording.date(op.term_end))] if op.term_end is not None else []
    return Described(
        title="最高额抵押权确定登记",
        right="抵押权",
        act="变更登记",
        units=op.units,
        holder_role="抵押权人",
        holders=op.mortgagees,
        obligor_role="抵押人",
        obligors=op.mortgagors,
        facts=(
            _fact("不动产登记证明号", op.proof.number),
            _fact("最高债权确定事实", op.fixing_fact),
            _fact("确定日期", wording.date(op.fixed_on)),
            _fact("确定的债权数额", _amount(op.fixed_fen, "CNY")),
            *ends,
        ),
        ground="债权确定",
        papers=("债权已确定的材料", "不动产登记证明"),
    )


def _pre_notice_convert(op: PreNoticeConvert) -> Described:
    assert op.transfer is not None or op.mortgage is not None  # decoding sees to it
    final = _ownership_transfer(op.transfer) if op.transfer else _mortgage_first(op.mortgage)  # type: ignore[arg-type]
    return replace(
        final,
        title=f"预告转本登记（{final.title}）",
        units=op.units,
        facts=(_fact("预告登记证明号", op.proof.number), *final.facts),
        papers=("预告登记证明", *final.papers),
    )


def _pre_notice_release(op: PreNoticeRelease) -> Described:
    facts = [_fact("预告登记证明号", op.proof.number), _fact("注销原因", words.NOTICE_ENDS[op.ground])]
    if op.ended_on is not None:
        facts.append(_fact("注销原因发生日期", wording.date(op.ended_on)))
    return Described(
        title="预告注销登记",
        right="其他",
        act="注销登记",
        units=op.units,
        holder_role="预告登记权利人",
        holders=op.holders,
        facts=tuple(facts),
        ground=words.NOTICE_ENDS[op.ground],
        papers=("预告登记证明", "债权消灭或者放弃预告登记的材料"),
    )


def _correction(op: Correction) -> Described:
    facts = [
        _fact(f"更正（{item.field}）", f"原记载：{item.recorded}；更正为：{item.corrected}")
        for item in op.items
    ]
    return Described(
        title="更正登记",
        right="其他",
        act="更正登记",
        units=op.units,
        holder_role="申请人",
        holders=op.applicants,
        facts=(_fact("证书（证明）号", op.proof.number), *facts),
        ground="登记簿记载错误",
        papers=("证明登记簿记载错误的材料",),
    )


def _reissue(op: Reissue) -> Described:
    return Described(
        title="换证、补证",
        right="其他",
        act="其他",
        units=op.units,
        holder_role="申请人",
        holders=op.applicants,
        facts=(_fact("原证书（证明）号", op.proof.number), _fact("原因", words.REISSUE_GROUND[op.ground])),
        ground=words.REISSUE_GROUND[op.ground],
        papers=("原不动产权证书或者不动产登记证明（遗失的为声明）",),
    )


def _mortgage_release(op: MortgageRelease) -> Described:
    facts = [_fact("不动产登记证明号", op.proof.number), _fact("注销原因", words.RELEASE_GROUND[op.ground])]
    if op.settled_on is not None:
        facts.append(_fact("结清日期", wording.date(op.settled_on)))
    if op.partial:
        facts.append(_fact("注销范围", "部分注销，仅限本申请所列单元：" + "、".join(op.units)))
    mortgagees = {p.key for p in op.mortgagees}
    mortgagors = tuple(p for p in op.applicants if p.key not in mortgagees)
    return Described(
        title="在建建筑物抵押权注销登记" if op.construction else "抵押权注销登记",
        right="抵押权",
        act="注销登记",
        units=op.units,
        holder_role="抵押权人",
        holders=op.mortgagees,
        obligor_role="抵押人" if mortgagors else "",
        obligors=mortgagors,
        facts=tuple(facts),
        ground=words.RELEASE_GROUND[op.ground],
        papers=("不动产登记证明", words.RELEASE_PAPER.get(op.ground, "抵押权消灭的材料")),
    )


def _ownership_transfer(op: OwnershipTransfer) -> Described:
    return Described(
        title="转移登记",
        right="房屋所有权",
        act="转移登记",
        units=op.units,
        holder_role="受让人（买方）",
        holders=op.buying,
        obligor_role="转让人（卖方）",
        obligors=op.sellers,
        facts=(
            _fact("成交价格", _amount(op.price_fen, "CNY")),
            *([_fact("转让份额", wording.share(op.share_sold))] if op.share_sold else []),
            _fact("受让人共有方式", wording.owners(op.co_ownership, op.buyers)),
            _fact("原不动产权证书号", "、".join(title.number for title in op.titles) or wording.UNRECORDED),
        ),
        ground="买卖",
        papers=("存量房买卖合同", "不动产权证书", "完税或者减免税凭证（登簿前提交）"),
        titles=tuple(title.number for title in op.titles),
    )


def _pre_notice(op: PreNoticeCreate) -> Described:
    facts = [_fact("预告登记种类", wording.PRE_NOTICE_KIND[op.kind])]
    if op.mortgage is not None:
        told = _mortgage_first(op.mortgage)
        facts += told.facts
        papers = ("主债权合同与抵押合同",)
        debtors = op.mortgage.debtors
    else:
        facts += _sale_facts(op)
        papers = ("不动产转让合同",)
        debtors = ()
    if op.sale_proof is not None:
        facts.append(_fact("买卖预告登记证明号", op.sale_proof.number))
    if op.registrable_from is not None:
        facts.append(_fact("可以申请本登记之日", wording.date(op.registrable_from)))
    return Described(
        title="预告登记（抵押权）" if op.mortgage else "预告登记（买卖）",
        right="抵押权" if op.mortgage else "房屋所有权",
        act="预告登记",
        units=op.units,
        holder_role="预告登记权利人（抵押权人）" if op.mortgage else "预告登记权利人（买方）",
        holders=op.holders,
        obligor_role="预告登记义务人（买方）" if op.mortgage else "预告登记义务人（卖方）",
        obligors=op.obligors,
        debtors=debtors,
        facts=tuple(facts),
        ground="保障将来实现物权",
        papers=papers if op.agreed_in_contract else (*papers, "当事人关于预告登记的约定"),
        titles=tuple(title.number for title in op.titles),
    )


def _sale_facts(op: PreNoticeCreate) -> list[Fact]:
    if op.sale is None:
        return []
    facts = [_fact("取得价格", _amount(op.sale.price_fen, "CNY"))]
    if op.sale.buyers:
        facts.append(_fact("买方共有方式", wording.owners(op.sale.co_ownership, op.sale.buyers)))
    if op.sale.contract_number:
        facts.append(_fact("合同编号", op.sale.contract_number))
    return facts


def _amount(fen: int | None, currency: str) -> str:
    if fen is None:
        return wording.UNRECORDED
    figures = wording.wan_yuan(fen, currency)
    return f"{figures}（人民币{wording.capital_yuan(fen)}）" if currency == "CNY" else figures


def _fact(label: str, value: str) -> Fact:
    return Fact(label=label, value=value)


#: What describes each operation.
_DESCRIBERS: Final[Mapping[type, Callable[[Any], Described]]] = {
    MortgageFirst: _mortgage_first,
    MortgageChange: _mortgage_change,
    MortgageTransfer: _mortgage_transfer,
    ClaimFixing: _claim_fixing,
    MortgageRelease: _mortgage_release,
    OwnershipTransfer: _ownership_transfer,
    PreNoticeCreate: _pre_notice,
    PreNoticeConvert: _pre_notice_convert,
    PreNoticeRelease: _pre_notice_release,
    Correction: _correction,
    Reissue: _reissue,
}
