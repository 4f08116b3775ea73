"""The figures of the cities, drawn from a tally: Jinan, Chengdu, Jiangyin, Taizhou, Linyi (handbook 2.5). Pure.

A share of nothing is no share: it is None, not 0. Days are days of 24 hours; working days count from the day after the
submission (CC 201), 0 when it was booked on the day itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Final

from gateway.cases.model import Lenders
from gateway.register.calendar import CHINA
from gateway.register.model import Value
from gateway.reports.tally import Deal, Phase, Tally

#: Jinan's 55 deals: advancing money cost 1.8743 million before and 0.1697 million after, on 169 million (S10).
COST_BEFORE: Final = 1_874_300 / 169_000_000
COST_AFTER: Final = 169_700 / 169_000_000

WorkingDay = Callable[[dt.date], bool]


class Span(Value, frozen=True, kw_only=True):
    """How long something took, in days, of the `count` times that it happened."""

    count: int = 0
    mean: float | None = None
    median: float | None = None
    longest: float | None = None


class ModeFigures(Value, frozen=True, kw_only=True):
    """One mode, or one operation that was filed alone. Money in fen."""

    mode: str
    deals: int
    applications: int
    operations: int
    applications_saved: int
    amount_fen: int
    days: Span  # from submission to booking, of each application
    working_days: float | None


class Figures(Value, frozen=True, kw_only=True):
    """What one registry reports of a period. Money in fen; shares from 0 to 1; `cost_*` are estimates."""

    registry: str
    start: dt.date | None
    stop: dt.date | None  # the first day that is not counted
    modes: tuple[ModeFigures, ...]
    filed: int
    not_accepted: int
    deals: int
    applications: int
    applications_saved: int
    amount_fen: int
    loan_fen: int
    loan_kinds: dict[str, int]  # booked applications by loan kind
    residential_share: float | None
    by_rule_share: float | None
    online: int
    counter: int
    online_share: float | None
    to_acceptance: Span
    to_booking: Span
    to_booking_working_days: float | None
    to_sealing: Span
    to_payout: Span
    to_payoff: Span
    to_release: Span
    sales: int  # second-hand, by application and at the counter
    sales_at_counter: int
    sales_with_pre_notice: int
    sales_with_loan: int
    sales_with_loan_and_pre_notice: int
    pre_notice_share: float | None
    loan_share: float | None
    pre_notice_share_with_loan: float | None
    same_bank: int
    cross_bank: int
    cross_bank_share: float | None
    not_advanced_fen: int
    cost_before_fen: int
    cost_after_fen: int


def figures_of(
    tally: Tally,
    registry: str,
    is_working_day: WorkingDay,
    *,
    start: dt.date | None = None,
    stop: dt.date | None = None,
    cost_before: float = COST_BEFORE,
    cost_after: float = COST_AFTER,
) -> Figures:
    """All figures of a registry. The costs are shares of the old loans that nobody had to pay off in advance."""
    deals = tuple(tally.deals.values())
    phases = [p for deal in deals for p in deal.phases.values()]
    sales = [d for d in deals if d.is_second_hand_sale]
    noted = [d for d in sales if d.sale is not None and d.sale.counted.noted]
    lent = [d for d in sales if d.has_loan]
    both = [d for d in noted if d.has_loan]
    there = tally.at_counter
    all_sales, all_noted = len(sales) + there.sales, len(noted) + there.noted
    all_lent, all_both = len(lent) + there.lent, len(both) + there.both
    same = sum(d.lenders is Lenders.SAME for d in deals)
    cross = sum(d.lenders is Lenders.CROSS for d in deals)
    not_advanced = sum(d.balance_fen for d in deals)
    return Figures(
        registry=registry,
        start=start,
        stop=stop,
        modes=tuple(_mode(name, deals, is_working_day) for name in sorted({d.mode for d in deals})),
        filed=tally.filed,
        not_accepted=tally.not_accepted,
        deals=len(deals),
        applications=len(phases),
        applications_saved=sum(d.applications_saved for d in deals),
        amount_fen=sum(d.amount_fen for d in deals),
        loan_fen=sum(d.loan_fen for d in deals),
        loan_kinds=_counts(p.loan_kind for p in phases),
        residential_share=_share(sum(p.counted.residential for p in phases), len(phases)),
        by_rule_share=_share(sum(p.by_rule for p in phases), len(phases)),
        online=len(phases),
        counter=there.cases,
        online_share=_share(len(phases), len(phases) + there.cases),
        to_acceptance=_span(p.accepted_at - p.submitted_at for p in phases if p.accepted_at),
        to_booking=_span(p.booked_at - p.submitted_at for p in phases),
        to_booking_working_days=_mean(_working_days(p, is_working_day) for p in phases),
        to_sealing=_span(p.sealed_at - p.submitted_at for p in phases if p.sealed_at and not p.unsealed),
        to_payout=_span(p.paid_out_at - p.submitted_at for p in phases if p.paid_out_at),
        to_payoff=_span(p.payoff_confirmed_at - p.submitted_at for p in phases if p.payoff_confirmed_at),
        to_release=_span(_releases(deals)),
        sales=all_sales,
        sales_at_counter=there.sales,
        sales_with_pre_notice=all_noted,
        sales_with_loan=all_lent,
        sales_with_loan_and_pre_notice=all_both,
        pre_notice_share=_share(all_noted, all_sales),
        loan_share=_share(all_lent, all_sales),
        pre_notice_share_with_loan=_share(all_both, all_lent),
        same_bank=same,
        cross_bank=cross,
        cross_bank_share=_share(cross, same + cross),
        not_advanced_fen=not_advanced,
        cost_before_fen=round(not_advanced * cost_before),
        cost_after_fen=round(not_advanced * cost_after),
    )


def _mode(name: str, deals: Sequence[Deal], is_working_day: WorkingDay) -> ModeFigures:
    here = [d for d in deals if d.mode == name]
    phases = [p for d in here for p in d.phases.values()]
    return ModeFigures(
        mode=name,
        deals=len(here),
        applications=len(phases),
        operations=sum(p.operations for p in phases),
        applications_saved=sum(d.applications_saved for d in here),
        amount_fen=sum(d.amount_fen for d in here),
        days=_span(p.booked_at - p.submitted_at for p in phases),
        working_days=_mean(_working_days(p, is_working_day) for p in phases),
    )


def _releases(deals: Iterable[Deal]) -> list[dt.timedelta]:
    """Of each sale with an old loan: from the first submission until the old mortgage was gone."""
    return [
        release.booked_at - deal.first.submitted_at
        for deal in deals
        if deal.price_fen
        for release in [next((p for p in deal.phases.values() if p.releases), None)]
        if release is not None
    ]


def _working_days(phase: Phase, is_working_day: WorkingDay) -> int:
    """Working days after the day of submission, up to that of the booking, both days in China."""
    day, until = (at.astimezone(CHINA).date() for at in (phase.submitted_at, phase.booked_at))
    count = 0
    while day < until:
        day += dt.timedelta(days=1)
        count += is_working_day(day)
    return count


def _span(took: Iterable[dt.timedelta]) -> Span:
    days = [one / dt.timedelta(days=1) for one in took]
    if not days:
        return Span()
    return Span(count=len(days), mean=fmean(days), median=median(days), longest=max(days))


def _mean(values: Iterable[int]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counts(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))
