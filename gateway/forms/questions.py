"""The questions of the record 询问记录 (CC 212(2); OS 3.4), and to whom each is put.

The authority must ask about what is applied for; online the record is a form that the applicant answers and
signs. Each question has a stable code, by which `RenderForms` carries the answers; the `usual` answer is what
lets an application go on. A question without an answer is printed with a blank. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.cases.terms import (
    AnyOperation,
    ClaimFixing,
    Correction,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    OwnershipTransfer,
    PreNoticeCreate,
    PreNoticeRelease,
    Terms,
    mortgage_in,
    transfer_in,
)
from gateway.register.model import MortgagorRelation, Party, TransferRestriction, Value


class Question(Value, frozen=True, kw_only=True):
    """One question: code, text, and the answer that lets an application go on."""

    code: str
    text: str
    usual: str = "是"


_ALL: Final = (
    Question(code="TRUE_INTENT", text="本次申请登记的事项是否为您的真实意思表示？"),
    Question(
        code="PAPERS_TRUE",
        text="您提交的申请材料以及填写的身份、联系信息是否真实、合法、有效？",
    ),
    Question(
        code="KNOWS_LIABILITY",
        text="您是否知悉提供虚假材料申请登记，给他人造成损害的，应当承担赔偿责任和其他法律责任？",
    ),
    Question(
        code="ELECTRONIC",
        text="您是否同意以电子方式提交申请、以可靠的电子签名签署，并以电子证照作为登记结果？",
    ),
)
_MORTGAGOR: Final = (
    Question(
        code="OWNERSHIP",
        text="申请抵押的不动产为单独所有还是共有？如为共有，是否已列明全部共有人并经全部共有人同意？",
        usual="申请书已列明全部权利人，均同意抵押",
    ),
    Question(
        code="NO_DISPUTE",
        text="申请抵押的不动产是否存在权属争议、诉讼、仲裁，或者被查封、预查封、异议登记的情形？",
        usual="不存在",
    ),
    Question(
        code="COLLATERAL_ALLOWED",
        text="申请抵押的不动产是否属于学校、医疗机构等公益设施，或者法律规定不得抵押的其他财产？",
        usual="不属于",
    ),
    Question(
        code="BURDENS_TOLD",
        text="申请抵押的不动产上已有的租赁、居住权、其他抵押权等情况，是否已如实告知抵押权人？",
    ),
    Question(
        code="CONTRACT_AGREES",
        text="申请书所载的被担保债权数额、债务履行期限、担保范围，是否与您签订的合同一致？",
    ),
    Question(
        code="KNOWS_REALISATION",
        text="您是否知悉债务人不履行到期债务时，抵押权人有权就抵押的不动产优先受偿，您可能因此失去该不动产？",
    ),
)
_RESTRICTED: Final = Question(
    code="KNOWS_RESTRICTION",
    text="您与抵押权人约定禁止或者限制转让抵押的不动产并记载于登记簿。您是否知悉在抵押期间转让将受此约定约束？",
)
_UNRESTRICTED: Final = Question(
    code="KNOWS_RESTRICTION",
    text="您与抵押权人没有禁止或者限制转让的约定。您是否知悉抵押期间转让不动产的，抵押权不受影响，并应及时通知抵押权人？",
)
_THIRD_PARTY: Final = Question(
    code="KNOWS_THIRD_PARTY_DEBT",
    text="您不是债务人。您是否知悉并同意以您的不动产为他人的债务提供担保？",
)
_DEBTOR: Final = Question(
    code="DEBT_TRUE",
    text="申请书所载的主债权是否真实，债务人是否知悉还款义务和期限？",
)
_RELEASE: Final = (
    Question(code="CLAIM_ENDED", text="申请注销的抵押权是否确已消灭（债务已结清、抵押权已放弃或者已实现）？"),
    Question(
        code="KNOWS_RELEASE",
        text="您是否知悉抵押权注销登记后即告消灭，再次设立须重新申请，且顺位在后？",
    ),
)

_FIXING: Final = Question(
    code="FIXING_TRUE",
    text="申请书所载的债权确定事实、确定日期和确定的债权数额是否属实，是否知悉此后发生的债权不再受该抵押权担保？",
)
_NOTICE_ENDED: Final = Question(
    code="PRE_NOTICE_ENDED",
    text="申请注销的预告登记，其债权是否确已消灭或者由您放弃，您是否知悉注销后不再受预告登记保护？",
)
_CORRECTION: Final = Question(
    code="CORRECTION_TRUE", text="登记簿的记载是否确有错误，申请书所载的更正内容是否属实？"
)

_SELLER: Final = (
    Question(
        code="SALE_OWNERSHIP",
        text="转让的不动产为单独所有还是共有？如为共有，是否已列明全部共有人并经全部共有人同意？",
        usual="申请书已列明全部权利人，均同意转让",
    ),
    Question(
        code="NO_DISPUTE",
        text="申请登记的不动产是否存在权属争议、诉讼、仲裁，或者被查封、预查封、异议登记的情形？",
        usual="不存在",
    ),
    Question(
        code="SALE_BURDENS_TOLD",
        text="不动产上已有的抵押权、居住权、租赁等情况，是否已如实告知买方和新抵押权人？",
    ),
    Question(code="MORTGAGEE_TOLD", text="转让抵押的不动产，是否已通知抵押权人（民法典第四百零六条）？"),
)
_SALE: Final = (
    Question(
        code="PRICE_AGREES",
        text="申请书所载的成交价格、付款安排，是否与您签订的买卖合同和资金约定一致？",
    ),
)
_BUYER: Final = (
    Question(code="SHARES_AGREED", text="申请书所载的买受人及其共有方式、份额，是否为全体买受人的约定？"),
    Question(
        code="KNOWS_BURDENS",
        text="您是否知悉不动产上已有的抵押权、居住权等权利，以及原抵押权的注销安排？",
    ),
)
_TRANSFER: Final = Question(
    code="KNOWS_TAX",
    text="您是否知悉应缴税款缴清或者取得免税凭证之前，转移登记不予登簿？",
)
_NOTICE: Final = (
    Question(
        code="KNOWS_PRE_NOTICE",
        text="您是否知悉预告登记后，未经预告登记的权利人同意处分该不动产的，不发生物权效力？",
    ),
    Question(
        code="KNOWS_NINETY_DAYS",
        text="您是否知悉自能够进行不动产登记之日起九十日内未申请登记的，预告登记失效？",
    ),
)


def questions_for(terms: Terms, respondent: Party) -> tuple[Question, ...]:
    """The questions put to one person, by the roles that the terms give that person; each code once."""
    asked = list(_ALL)
    for step in terms.operations:
        operation: AnyOperation = transfer_in(step) or mortgage_in(step) or step
        if isinstance(operation, MortgageChange):
            operation = operation.content
        if isinstance(operation, MortgageFirst):
            asked += _about_mortgage(operation, respondent)
        elif isinstance(operation, MortgageRelease) and _is_among(respondent, operation.mortgagees):
            asked += _RELEASE
        elif isinstance(operation, OwnershipTransfer):
            asked += _about_sale(respondent, operation.sellers, operation.buying, transfer=True)
        elif isinstance(operation, PreNoticeCreate):
            asked += _about_pre_notice(operation, respondent)
        elif isinstance(operation, ClaimFixing):
            asked.append(_FIXING)
        elif isinstance(operation, PreNoticeRelease):
            asked.append(_NOTICE_ENDED)
        elif isinstance(operation, Correction):
            asked.append(_CORRECTION)
    return tuple({question.code: question for question in asked}.values())


def usual_answers(questions: tuple[Question, ...]) -> Mapping[str, str]:
    """The answers of somebody with nothing to object, by code: for samples and demonstrations."""
    return {question.code: question.usual for question in questions}


def _about_mortgage(operation: MortgageFirst, respondent: Party) -> list[Question]:
    asked: list[Question] = []
    if _is_among(respondent, operation.mortgagors):
        restricted = operation.transfer_restriction is TransferRestriction.RESTRICTED
        asked += [*_MORTGAGOR, _RESTRICTED if restricted else _UNRESTRICTED]
        third = operation.mortgagor_relation is MortgagorRelation.THIRD_PARTY
        if third and not _is_among(respondent, operation.debtors):
            asked.append(_THIRD_PARTY)
    if _is_among(respondent, operation.debtors):
        asked.append(_DEBTOR)
    return asked


def _about_sale(
    respondent: Party, sellers: tuple[Party, ...], buyers: tuple[Party, ...], *, transfer: bool
) -> list[Question]:
    asked: list[Question] = []
    if _is_among(respondent, sellers):
        asked += _SELLER
    if _is_among(respondent, buyers):
        asked += _BUYER
    if asked:
        asked += [*_SALE, _TRANSFER] if transfer else _SALE
    return asked


def _about_pre_notice(operation: PreNoticeCreate, respondent: Party) -> list[Question]:
    if operation.mortgage is None:
        sale = _about_sale(respondent, operation.obligors, operation.holders, transfer=False)
        return [*sale, *_NOTICE] if sale else []
    if not _is_among(respondent, operation.obligors):
        return []
    debt = [_DEBTOR] if _is_among(respondent, operation.mortgage.debtors) else []
    return [*debt, *_NOTICE]


def _is_among(respondent: Party, parties: tuple[Party, ...]) -> bool:
    return respondent.key in {party.key for party in parties}
