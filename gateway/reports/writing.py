"""Figures as lines that a person reads, and as CSV: one figure a line, with its city (handbook 2.5). Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from gateway.register.model import Value
from gateway.reports.figures import Figures, Span

#: Fen in 万元, in which the cities count.
_FEN_A_WAN = 1_000_000


class Line(Value, frozen=True, kw_only=True):
    """One figure: a stable key, its words, the value as told and as a number, and the city that counts it so."""

    key: str
    zh: str
    en: str
    told: str
    number: float | None
    city: str = ""


def lines_of(figures: Figures) -> Iterator[Line]:
    """Every figure beside the table of modes."""
    f = figures
    yield _count("deals", "办件（案）", "deals", f.deals, "Jinan")
    yield _count("applications", "登簿申请", "applications booked", f.applications)
    yield _money("amount_wan", "涉及资金（万元）", "amount, 10,000 CNY", f.amount_fen, "Jinan")
    yield _money("loan_wan", "新贷款（万元）", "new loans, 10,000 CNY", f.loan_fen)
    yield _count("filed", "收到申请", "applications filed", f.filed)
    yield _count("not_accepted", "当场不予受理", "not accepted at once", f.not_accepted)
    yield from _span("to_acceptance", "提交至受理", "submission to acceptance", f.to_acceptance)
    yield from _span("to_booking", "提交至登簿", "submission to booking", f.to_booking, "Chengdu")
    yield _number(
        "to_booking_working_days",
        "提交至登簿（工作日，平均）",
        "submission to booking, working days, mean",
        f.to_booking_working_days,
        "Chengdu",
    )
    yield from _span("to_sealing", "提交至发证", "submission to sealed certificate", f.to_sealing)
    yield from _span("to_payout", "提交至放款", "submission to payout", f.to_payout)
    yield from _span("to_payoff", "提交至结清", "submission to payoff", f.to_payoff)
    yield from _span(
        "to_release", "提交至原抵押注销", "submission to release of the old mortgage", f.to_release
    )
    yield _count(
        "applications_saved", "合并办理少跑次数", "applications saved", f.applications_saved, "Jiangyin"
    )
    yield _share("online_share", "网办率", "online rate", f.online_share, "Linyi")
    yield _share("by_rule_share", "自动审核率", "decided by rule", f.by_rule_share, "Linyi")
    yield _share("residential_share", "住宅占比", "residential", f.residential_share, "Jinan")
    yield _count("sales", "二手房买卖", "second-hand sales", f.sales, "Taizhou")
    yield _count("sales_at_counter", "其中大厅办理", "of these at the counter", f.sales_at_counter)
    yield _share(
        "pre_notice_share", "二手房买卖中有预告登记", "sales with pre-notice", f.pre_notice_share, "Taizhou"
    )
    yield _share("loan_share", "二手房买卖中有贷款", "sales with a loan", f.loan_share, "Taizhou")
    yield _share(
        "pre_notice_share_with_loan",
        "有贷款的买卖中有预告登记",
        "sales with pre-notice, of those with a loan",
        f.pre_notice_share_with_loan,
        "Taizhou",
    )
    yield _share("cross_bank_share", "跨行占比", "cross-bank", f.cross_bank_share, "Jinan")
    yield _money(
        "not_advanced_wan",
        "免于垫资的旧贷款（万元）",
        "old loans not advanced, 10,000 CNY",
        f.not_advanced_fen,
        "Jinan",
    )
    yield _money(
        "cost_before_wan", "原垫资成本估算（万元）", "cost before, estimate", f.cost_before_fen, "Jinan"
    )
    yield _money("cost_after_wan", "现成本估算（万元）", "cost now, estimate", f.cost_after_fen, "Jinan")
    for kind, count in f.loan_kinds.items():
        yield _count(f"loan_kind_{kind}", f"贷款类别 {kind}", f"loan kind {kind}", count)


def as_csv(figures: Figures) -> str:
    """`registry,key,mode,value`, a line a figure; empty where there is nothing to divide by. Money in 万元."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("registry", "key", "mode", "value"))
    for line in lines_of(figures):
        writer.writerow((figures.registry, line.key, "", _plain(line.number)))
    for mode in figures.modes:
        values = {
            "mode_deals": mode.deals,
            "mode_applications": mode.applications,
            "mode_operations": mode.operations,
            "mode_applications_saved": mode.applications_saved,
            "mode_amount_wan": mode.amount_fen / _FEN_A_WAN,
            "mode_days_mean": mode.days.mean,
            "mode_days_median": mode.days.median,
            "mode_working_days": mode.working_days,
        }
        for key, value in values.items():
            writer.writerow((figures.registry, key, mode.mode, _plain(value)))
    return out.getvalue()


def wan(fen: int) -> str:
    """万元 with six decimals at most, as the cities print it."""
    return f"{fen / _FEN_A_WAN:,.6f}".rstrip("0").rstrip(".")


def days(value: float | None) -> str:
    """Days with two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


def _count(key: str, zh: str, en: str, value: int, city: str = "") -> Line:
    return Line(key=key, zh=zh, en=en, told=f"{value:,}", number=value, city=city)


def _money(key: str, zh: str, en: str, fen: int, city: str = "") -> Line:
    return Line(key=key, zh=zh, en=en, told=wan(fen), number=fen / _FEN_A_WAN, city=city)


def _number(key: str, zh: str, en: str, value: float | None, city: str = "") -> Line:
    return Line(key=key, zh=zh, en=en, told=days(value), number=value, city=city)


def _share(key: str, zh: str, en: str, value: float | None, city: str = "") -> Line:
    told = "–" if value is None else f"{100 * value:.1f} %"
    return Line(key=key, zh=zh, en=en, told=told, number=value, city=city)


def _span(key: str, zh: str, en: str, span: Span, city: str = "") -> Iterator[Line]:
    for name, word_zh, word_en, value in (
        ("mean", "平均", "mean", span.mean),
        ("median", "中位", "median", span.median),
        ("longest", "最长", "longest", span.longest),
    ):
        yield _number(f"{key}_days_{name}", f"{zh}（天，{word_zh}）", f"{en}, days, {word_en}", value, city)
