"""How the register's values are printed in Chinese: dates, money, areas, shares, and the names of code lists.

Pure text. Money comes in fen and is printed in 万元 (fields.csv: BDBZZQSE, ZGZQSE, QDJG), in figures or in
capital characters; areas come in 1/100 m². Names of codes: codes.csv (DB15, 不动产登记数据库标准).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from gateway.register.model import (
    CoOwnership,
    IdKind,
    LoanPortion,
    LoanPortionKind,
    Mortgage,
    MortgageKind,
    Owner,
    Party,
    PreNoticeKind,
    Share,
    TransferRestriction,
)

UNRECORDED = "/"  # what the register prints where nothing was recorded (N54)

FEN_PER_YUAN = 100
FEN_PER_WAN = 1_000_000
CHINA = dt.timezone(dt.timedelta(hours=8))

ID_KIND: Mapping[IdKind, str] = {
    IdKind.RESIDENT_ID: "居民身份证",
    IdKind.HKMOTW_ID: "港澳台身份证",
    IdKind.PASSPORT: "护照",
    IdKind.HUKOU: "户口簿",
    IdKind.MILITARY_ID: "军官证（士兵证）",
    IdKind.ORG_CODE: "组织机构代码证",
    IdKind.USCC: "营业执照（统一社会信用代码）",
    IdKind.OTHER: "其他",
}
MORTGAGE_KIND: Mapping[MortgageKind, str] = {
    MortgageKind.ORDINARY: "一般抵押",
    MortgageKind.MAXIMUM_AMOUNT: "最高额抵押",
}
RESTRICTION: Mapping[TransferRestriction, str] = {
    TransferRestriction.NONE: "否",
    TransferRestriction.RESTRICTED: "是",
    TransferRestriction.UNRECORDED: "未记载",
}
CO_OWNERSHIP: Mapping[CoOwnership, str] = {
    CoOwnership.SOLE: "单独所有",
    CoOwnership.JOINT: "共同共有",
    CoOwnership.BY_SHARES: "按份共有",
    CoOwnership.OTHER: "其他共有",
}
PRE_NOTICE_KIND: Mapping[PreNoticeKind, str] = {
    PreNoticeKind.PRESALE_SALE: "预售商品房买卖预告登记",
    PreNoticeKind.OTHER_SALE: "其他不动产买卖预告登记",
    PreNoticeKind.PRESALE_MORTGAGE: "预售商品房抵押权预告登记",
    PreNoticeKind.OTHER_MORTGAGE: "其他不动产抵押权预告登记",
}
LOAN_PORTION_KIND: Mapping[LoanPortionKind, str] = {
    LoanPortionKind.COMMERCIAL: "商业贷款",
    LoanPortionKind.PROVIDENT_FUND: "住房公积金贷款",
}
USE: Mapping[str, str] = {
    "RESIDENTIAL": "住宅",
    "COMMERCIAL": "商业用房",
    "OFFICE": "办公用房",
    "INDUSTRIAL": "工业用房",
    "STORAGE": "仓储用房",
    "GARAGE": "车库",
    "OTHER": "其他",
}
HOUSING_KIND: Mapping[str, str] = {
    "MARKET": "市场化商品房",
    "RELOCATION": "动迁房",
    "SUPPORTING": "配套商品房",
    "PUBLIC_RENTAL": "公共租赁住房",
    "LOW_RENT": "廉租住房",
    "PRICE_CAPPED": "限价普通商品住房",
    "AFFORDABLE": "经济适用住房",
    "DESIGNATED_SALE": "定销商品房",
    "COLLECTIVE_FUNDED": "集资建房",
    "WELFARE": "福利房",
    "OTHER": "其他",
}
LAND_RIGHT: Mapping[str, str] = {
    "STATE_CONSTRUCTION_LAND": "国有建设用地使用权",
    "HOMESTEAD": "宅基地使用权",
    "COLLECTIVE_CONSTRUCTION_LAND": "集体建设用地使用权",
}
CURRENCY: Mapping[str, str] = {"CNY": "人民币", "USD": "美元", "HKD": "港元", "EUR": "欧元"}

_COUNT = "零一二三四五六七八九"
_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万亿")


def date(day: dt.date) -> str:
    """2026年1月5日."""
    return f"{day.year}年{day.month}月{day.day}日"


def instant(moment: dt.datetime) -> str:
    """An instant in China time: 2026年1月5日 14:03:09. Needs an aware `moment`."""
    local = moment.astimezone(CHINA)
    return f"{date(local.date())} {local:%H:%M:%S}"


def period(start: dt.date | None, end: dt.date | None) -> str:
    """2026年1月5日起至2056年1月4日止; either side may be open; "/" when both are."""
    if start is None and end is None:
        return UNRECORDED
    begin = f"{date(start)}起" if start else ""
    return begin + (f"至{date(end)}止" if end else "")


def wan_yuan(fen: int, currency: str = "CNY") -> str:
    """Money in 万元 without trailing zeros: 120万元; other currencies are named after it."""
    whole, rest = divmod(fen, FEN_PER_WAN)
    figures = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"{figures}万元" if currency == "CNY" else f"{figures}万（{CURRENCY.get(currency, currency)}）"


def capital_yuan(fen: int) -> str:
    """Money in capital characters as contracts write it: 壹佰贰拾万元整. Below 10^16 yuan."""
    if not 0 <= fen < 10**18:
        msg = f"amount {fen} fen is outside 0 .. 10^18 - 1 and cannot be written in capital characters"
        raise ValueError(msg)
    whole, cents = divmod(fen, FEN_PER_YUAN)
    jiao, last = divmod(cents, 10)
    text = f"{_capital_integer(whole)}元" if whole else ""
    if not cents:
        return (text or "零元") + "整"
    if jiao:
        text += f"{_DIGITS[jiao]}角"
    elif whole:
        text += "零"
    return text + (f"{_DIGITS[last]}分" if last else "整")


def _capital_integer(number: int) -> str:
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    text = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if not group:
            continue
        gap = text and (group < 1000 or groups[place + 1] == 0)  # a place is empty: one 零 stands for it
        unit = "万" if place == 3 and groups[2] else _GROUPS[place]  # 万 before 亿 shares that 亿
        text += ("零" if gap else "") + _capital_group(group) + unit
    return text


def _capital_group(group: int) -> str:
    text, zero = "", False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if digit:
            text += ("零" if zero and text else "") + _DIGITS[digit] + _PLACES[place]
            zero = False
        else:
            zero = True
    return text


def ordinal(number: int) -> str:
    """A small number in Chinese for headings, 1 to 99: 一, 十, 十一, 二十."""
    tens, ones = divmod(number, 10)
    text = "" if tens == 0 else ("十" if tens == 1 else _COUNT[tens] + "十")
    return text + (_COUNT[ones] if ones else "")


def area(hundredths: int) -> str:
    """An area given in 1/100 m²: 89.50平方米."""
    return f"{hundredths // 100}.{hundredths % 100:02d}平方米"


def share(value: Share) -> str:
    """A share as people write it: 1/3."""
    return f"{value.numerator}/{value.denominator}"


def names(people: Sequence[Party]) -> str:
    """Names in order, joined by 、."""
    return "、".join(person.name for person in people)


def owners(co_ownership: CoOwnership, people: Sequence[Owner]) -> str:
    """共有情况: 单独所有, 共同共有, or 按份共有 with each share."""
    base = CO_OWNERSHIP[co_ownership]
    held = [f"{owner.person.name}占{share(owner.share)}" for owner in people if owner.share]
    return f"{base}：{'，'.join(held)}" if held else base


def rank(mortgage: Mortgage) -> str:
    """抵押顺位: the rank of record, and the agreed one where the parties agreed (RD 67)."""
    recorded = f"第{mortgage.rank_at_registration}顺位"
    if mortgage.agreed_rank is None:
        return recorded
    return f"约定第{mortgage.agreed_rank}顺位（登记时{recorded}）"


def loan_portion(portion: LoanPortion, currency: str = "CNY") -> str:
    """One part of a loan: kind, amount, creditor, entrusted bank, term."""
    amount = wan_yuan(portion.amount_fen, currency)
    text = f"{LOAN_PORTION_KIND[portion.kind]}{amount}，债权人：{portion.creditor.name}"
    if portion.entrusted_bank is not None:
        text += f"，受托银行：{portion.entrusted_bank.name}"
    if portion.term_start or portion.term_end:
        text += f"，{period(portion.term_start, portion.term_end)}"
    return text
