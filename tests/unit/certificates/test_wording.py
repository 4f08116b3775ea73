"""Dates, money, areas and ranks as the register prints them."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.certificates import wording
from gateway.register.model import CoOwnership, Owner, Share
from tests.support.certificates import OWNER, SPOUSE, mortgage


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (120_000_000, "120万元"),
        (123_450_000, "123.45万元"),
        (1, "0.000001万元"),
        (1_000_000_000_000, "1000000万元"),
        (0, "0万元"),
    ],
)
def test_wan_yuan_keeps_every_fen_and_drops_trailing_zeros(fen: int, text: str) -> None:
    """Money is printed in 万元 exactly, never rounded."""
    assert wording.wan_yuan(fen) == text


def test_wan_yuan_of_another_currency_names_it() -> None:
    """An amount that is not in yuan says so."""
    assert wording.wan_yuan(50_000_000, "USD") == "50万（美元）"


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "零元整"),
        (1, "壹分"),
        (10, "壹角整"),
        (101, "壹元零壹分"),
        (120_000_000, "壹佰贰拾万元整"),
        (123_450_000, "壹佰贰拾叁万肆仟伍佰元整"),
        (100_500, "壹仟零伍元整"),
        (1_000_100, "壹万零壹元整"),
        (1_010_000_00, "壹佰零壹万元整"),
        (100_000_001_00, "壹亿零壹元整"),
        (100_010_000_00, "壹亿零壹万元整"),
        (1_000_050_000_00, "壹拾亿零伍万元整"),
        (2_000_000_000_000_00, "贰万亿元整"),
        (123_456_789, "壹佰贰拾叁万肆仟伍佰陆拾柒元捌角玖分"),
        (1_000_000_100_000_00, "壹万亿零壹拾万元整"),
    ],
)
def test_capital_yuan_writes_amounts_as_contracts_do(fen: int, text: str) -> None:
    """Empty places are one 零, also between groups of four digits."""
    assert wording.capital_yuan(fen) == text


def test_capital_yuan_refuses_what_it_cannot_write() -> None:
    """A negative amount is an error, not a wrong word."""
    with pytest.raises(ValueError, match="outside"):
        wording.capital_yuan(-1)


def test_period_prints_open_sides() -> None:
    """A term may lack either side; without both it is not recorded."""
    day = dt.date(2026, 1, 5)
    assert wording.period(day, dt.date(2056, 1, 4)) == "2026年1月5日起至2056年1月4日止"
    assert wording.period(None, day) == "至2026年1月5日止"
    assert wording.period(day, None) == "2026年1月5日起"
    assert wording.period(None, None) == "/"


def test_instant_is_printed_in_china_time() -> None:
    """Instants are kept in UTC and printed at UTC+8, over midnight too."""
    assert wording.instant(dt.datetime(2026, 1, 5, 20, 0, 1, tzinfo=dt.UTC)) == "2026年1月6日 04:00:01"


def test_area_has_two_decimals() -> None:
    """An area of 8905 hundredths is 89.05 m²."""
    assert wording.area(8905) == "89.05平方米"


def test_rank_prints_an_agreed_rank_beside_the_recorded_one() -> None:
    """An agreed rank does not hide the rank at registration (RD 67)."""
    assert wording.rank(mortgage()) == "第1顺位"
    assert wording.rank(mortgage(agreed_rank=1, rank_at_registration=2)) == "约定第1顺位（登记时第2顺位）"


def test_owners_by_shares_print_each_share() -> None:
    """Co-ownership by shares names every share."""
    owners = [
        Owner(person=OWNER, share=Share(numerator=1, denominator=3)),
        Owner(person=SPOUSE, share=Share(numerator=2, denominator=3)),
    ]
    assert wording.owners(CoOwnership.BY_SHARES, owners) == "按份共有：甲测试占1/3，丙测试占2/3"
    assert wording.owners(CoOwnership.SOLE, [Owner(person=OWNER)]) == "单独所有"


@pytest.mark.parametrize(
    ("number", "text"), [(1, "一"), (10, "十"), (11, "十一"), (20, "二十"), (42, "四十二")]
)
def test_ordinal_is_the_chinese_number(number: int, text: str) -> None:
    """Headings are numbered in Chinese."""
    assert wording.ordinal(number) == text
