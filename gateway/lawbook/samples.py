"""One sample case for each way in which a kind is applied for. Its law, run on these, fills the tables of its page.

A sample is lawful: the pages are not written while the law finds a fault in one (running.py).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.terms import (
    AnyOperation,
    ChangeItem,
    ClaimFixing,
    ConstructionScope,
    Correction,
    CorrectionItem,
    PreNoticeConvert,
    PreNoticeRelease,
    Reissue,
    ReissueGround,
    ReleaseGround,
    SaleContract,
    TransferGround,
)
from gateway.lawbook import register as r
from gateway.lawbook.cast import (
    BANK,
    BUYER,
    DEBTOR,
    DEVELOPER,
    INTERESTED,
    NEW_DEBTOR,
    OLD_BANK,
    OTHER_BANK,
    OWNER,
    SELLER,
)
from gateway.lawbook.steps import (
    CONTRACT,
    change,
    first,
    note_mortgage,
    note_sale,
    release,
    sale,
    transfer,
)
from gateway.register.model import (
    MortgageKind,
    MortgagorRelation,
    Party,
    PreNoticeKind,
    TransferRestriction,
    UnitState,
    Value,
)
from gateway.register.states import CONSTRUCTION_COLLATERAL


class Sample(Value, frozen=True, kw_only=True):
    """One way to apply: its name, the operation, the register it meets; a sale contract where it needs one."""

    zh: str
    en: str
    op: AnyOperation
    states: tuple[UnitState, ...]
    contracts: tuple[SaleContract, ...] = ()
    combined: bool = False  # taken only as a step of a combined case


_CONSTRUCTION: Final = ConstructionScope(location="示例路1号", scope="1幢", permit_number="JG-1")


_FREE: Final = (r.flat(r.ownership()),)
_MORTGAGED: Final = (r.flat(r.ownership(), r.mortgage()),)
_LIMIT: Final[dict[str, Any]] = {
    "kind": MortgageKind.MAXIMUM_AMOUNT,
    "claim_amount_fen": None,
    "max_claim_amount_fen": r.CLAIM_FEN,
}
_SITE: Final = (r.flat(r.ownership(DEVELOPER), r.construction_mortgage()),)

MORTGAGE_FIRST: Final = (
    Sample(zh="一般抵押", en="ordinary", op=first(), states=_FREE),
    Sample(
        zh="为他人债务",
        en="for another's debt",
        op=first(debtors=(DEBTOR,), mortgagor_relation=MortgagorRelation.THIRD_PARTY),
        states=_FREE,
    ),
    Sample(
        zh="最高额抵押，转入已存在债权",
        en="maximum-amount, with an existing claim brought in",
        op=first(existing_claim_fen=1_000_000, **_LIMIT),
        states=_FREE,
    ),
    Sample(
        zh="约定顺位（优先于在先抵押权）",
        en="agreed rank, before an earlier mortgage",
        op=first(agreed_rank=1, consenters=(OTHER_BANK,)),
        states=(r.flat(r.ownership(), r.mortgage(lender=OTHER_BANK, proof=r.OTHER_PROOF)),),
    ),
    Sample(
        zh="在建建筑物抵押",
        en="building under construction",
        op=first(DEVELOPER, construction=_CONSTRUCTION, collateral_kind=CONSTRUCTION_COLLATERAL),
        states=(r.flat(r.ownership(DEVELOPER), first_registered=False),),
    ),
)

MORTGAGE_CHANGE: Final = (
    Sample(
        zh="金额、期限变更，另有在后抵押权",
        en="amount and term grow, another mortgage behind",
        op=change(
            first(claim_amount_fen=r.CLAIM_FEN * 2, term_end=dt.date(2047, 1, 1)),
            ChangeItem.AMOUNT,
            ChangeItem.TERM,
            consenters=(OTHER_BANK,),
        ),
        states=(
            r.flat(
                r.ownership(),
                r.mortgage(),
                r.mortgage(lender=OTHER_BANK, right_id="0.5", proof=r.OTHER_PROOF, rank_at_registration=2),
            ),
        ),
    ),
    Sample(
        zh="债务人变更（第三人提供担保）",
        en="new debtor, a third party secures",
        op=change(
            first(debtors=(NEW_DEBTOR,), mortgagor_relation=MortgagorRelation.THIRD_PARTY),
            ChangeItem.DEBTOR,
        ),
        states=(
            r.flat(
                r.ownership(),
                r.mortgage(debtors=(DEBTOR,), mortgagor_relation=MortgagorRelation.THIRD_PARTY),
            ),
        ),
    ),
    Sample(
        zh="禁止或限制转让约定变更",
        en="the transfer restriction changes",
        op=change(
            first(transfer_restriction=TransferRestriction.RESTRICTED), ChangeItem.TRANSFER_RESTRICTION
        ),
        states=_MORTGAGED,
    ),
    Sample(
        zh="仅抵押权人名称变更",
        en="only the mortgagee's own name",
        op=change(
            first(lender=replace(BANK, name="抵押权人（新名称） mortgagee renamed")),
            ChangeItem.NAME_OR_IDENTITY,
        ),
        states=_MORTGAGED,
    ),
    Sample(
        zh="在建建筑物抵押权变更",
        en="construction mortgage",
        op=change(
            first(
                DEVELOPER,
                claim_amount_fen=r.CLAIM_FEN // 2,
                collateral_kind=CONSTRUCTION_COLLATERAL,
                construction=_CONSTRUCTION,
            ),
            ChangeItem.AMOUNT,
            construction=_CONSTRUCTION,
        ),
        states=_SITE,
    ),
)

MORTGAGE_TRANSFER: Final = (
    Sample(zh="全部债权转让", en="the whole claim", op=transfer(), states=_MORTGAGED),
    Sample(
        zh="最高额抵押确定前部分债权转让",
        en="part of an unfixed maximum-amount claim",
        op=transfer(assigned_fen=10_000_000, follows_part=True),
        states=(r.flat(r.ownership(), r.maximum_amount()),),
    ),
    Sample(zh="抵押权人合并", en="merger", op=transfer(ground=TransferGround.MERGER), states=_MORTGAGED),
    Sample(zh="生效法律文书", en="judgment", op=transfer(ground=TransferGround.JUDGMENT), states=_MORTGAGED),
    Sample(
        zh="在建建筑物抵押权转移", en="construction mortgage", op=transfer(construction=True), states=_SITE
    ),
)

CLAIM_FIXING: Final = (
    Sample(
        zh="最高额抵押权确定",
        en="the claim is fixed",
        op=ClaimFixing(
            units=(r.UNIT,),
            proof=r.PROOF,
            mortgagors=(OWNER,),
            mortgagees=(BANK,),
            fixing_fact="债权确定期间届满",
            fixed_on=dt.date(2026, 11, 1),
            fixed_fen=r.CLAIM_FEN // 2,
        ),
        states=(r.flat(r.ownership(), r.maximum_amount()),),
    ),
)

_TWO_UNITS: Final = (r.UNIT, r.PARKING)

MORTGAGE_RELEASE: Final = (
    Sample(zh="债权消灭或者放弃", en="settled or waived", op=release(), states=_MORTGAGED),
    Sample(zh="双方约定", en="by agreement", op=release(ground=ReleaseGround.AGREEMENT), states=_MORTGAGED),
    Sample(
        zh="抵押人凭生效法律文书",
        en="the mortgagor with a judgment",
        op=release(ground=ReleaseGround.JUDGMENT, applicants=(OWNER,)),
        states=_MORTGAGED,
    ),
    Sample(
        zh="部分不动产单元注销",
        en="some of its units",
        op=release(units=(r.PARKING,), partial=True),
        states=(
            r.flat(r.ownership(units=_TWO_UNITS), r.mortgage(units=_TWO_UNITS), code=r.PARKING),
            r.flat(r.ownership(units=_TWO_UNITS), r.mortgage(units=_TWO_UNITS)),
        ),
    ),
    Sample(
        zh="结清后注销承诺（仅组合办理）",
        en="on an undertaking, in a combined case only",
        op=release(OLD_BANK, ground=ReleaseGround.UNDERTAKING),
        states=(r.sold_flat(),),
        combined=True,
    ),
    Sample(
        zh="在建建筑物抵押权注销",
        en="construction mortgage",
        op=release(construction=True),
        states=_SITE,
    ),
)

OWNERSHIP_TRANSFER: Final = (
    Sample(
        zh="原抵押权无转让限制",
        en="no restriction on the old mortgage",
        op=sale(),
        states=(r.sold_flat(),),
        contracts=(CONTRACT,),
        combined=True,
    ),
    Sample(
        zh="原抵押权限制转让，抵押权人共同申请",
        en="restricted: the old mortgagee joins",
        op=sale(applicants=(SELLER, BUYER, OLD_BANK)),
        states=(
            r.flat(
                r.ownership(SELLER),
                r.mortgage(SELLER, OLD_BANK, transfer_restriction=TransferRestriction.RESTRICTED),
            ),
        ),
        contracts=(CONTRACT,),
        combined=True,
    ),
)

_BUYERS_SHELL: Final = (r.flat(first_registered=False),)

PRE_NOTICE: Final = (
    Sample(
        zh="第2类：存量房买卖",
        en="kind 2: second-hand sale",
        op=note_sale(titles=(r.TITLE,)),
        states=(r.flat(r.ownership(SELLER)),),
        contracts=(CONTRACT,),
    ),
    Sample(
        zh="第4类：抵押权（买方）",
        en="kind 4: the buyer's mortgage",
        op=note_mortgage(),
        states=(r.flat(r.ownership(SELLER), r.noted_sale()),),
    ),
    Sample(
        zh="第1类：预购商品房买卖",
        en="kind 1: pre-sale",
        op=note_sale(DEVELOPER, kind=PreNoticeKind.PRESALE_SALE),
        states=_BUYERS_SHELL,
        contracts=(CONTRACT,),
    ),
    Sample(
        zh="第1类：开发企业不申请，买方单方",
        en="kind 1: the buyer alone",
        op=note_sale(DEVELOPER, kind=PreNoticeKind.PRESALE_SALE, applicants=(BUYER,)),
        states=_BUYERS_SHELL,
        contracts=(CONTRACT,),
    ),
    Sample(
        zh="第3类：预购商品房抵押权",
        en="kind 3: pre-sale mortgage",
        op=note_mortgage(kind=PreNoticeKind.PRESALE_MORTGAGE, sale_proof=r.SALE_PROOF),
        states=(
            r.flat(
                r.noted_sale(kind=PreNoticeKind.PRESALE_SALE, obligors=(DEVELOPER,)), first_registered=False
            ),
        ),
    ),
)

PRE_NOTICE_CONVERT: Final = (
    Sample(
        zh="买卖预告登记转为转移登记",
        en="a sale's becomes the transfer",
        op=PreNoticeConvert(units=(r.UNIT,), proof=r.SALE_PROOF, transfer=sale()),
        states=(r.flat(r.ownership(SELLER), r.noted_sale()),),
        contracts=(CONTRACT,),
    ),
    Sample(
        zh="抵押权预告登记转为抵押权首次登记",
        en="a mortgage's becomes the mortgage",
        op=PreNoticeConvert(units=(r.UNIT,), proof=r.NOTED_PROOF, mortgage=first(BUYER)),
        states=(r.flat(r.ownership(BUYER), r.noted_mortgage()),),
    ),
)


def end_notice(**changes: Any) -> PreNoticeRelease:
    """The buyer gives the sale pre-notice up."""
    op = PreNoticeRelease(units=(r.UNIT,), proof=r.SALE_PROOF, holders=(BUYER,), ground=ReleaseGround.WAIVED)
    return replace(op, **changes)


_NOTED: Final = (r.flat(r.ownership(SELLER), r.noted_sale()),)

PRE_NOTICE_RELEASE: Final = (
    Sample(zh="债权消灭或者权利人放弃", en="claim ended or waived", op=end_notice(), states=_NOTED),
    Sample(zh="双方约定", en="by agreement", op=end_notice(ground=ReleaseGround.AGREEMENT), states=_NOTED),
    Sample(
        zh="凭生效法律文书",
        en="with a judgment",
        op=end_notice(ground=ReleaseGround.JUDGMENT, applicants=(SELLER,)),
        states=_NOTED,
    ),
)


def correction(*applicants: Party) -> Correction:
    """The mortgagor's name was copied wrongly."""
    item = CorrectionItem(field="DYR", recorded=OWNER.name, corrected="抵押人 mortgagor, name put right")
    return Correction(units=(r.UNIT,), proof=r.PROOF, items=(item,), applicants=applicants)


CORRECTION: Final = (
    Sample(zh="权利人申请", en="the holder applies", op=correction(BANK), states=_MORTGAGED),
    Sample(
        zh="利害关系人申请", en="an interested person applies", op=correction(INTERESTED), states=_MORTGAGED
    ),
)

REISSUE: Final = (
    Sample(
        zh="证明遗失",
        en="the proof is lost",
        op=Reissue(
            units=(r.UNIT,),
            proof=r.PROOF,
            ground=ReissueGround.LOST,
            declared_void_at=dt.datetime(2026, 11, 1, 2, 0, tzinfo=dt.UTC),
        ),
        states=_MORTGAGED,
    ),
    Sample(
        zh="破损、纸质换电子、旧证换新证",
        en="damaged, another medium, an older scheme",
        op=Reissue(units=(r.UNIT,), proof=r.PROOF, ground=ReissueGround.MEDIUM),
        states=_MORTGAGED,
    ),
)
