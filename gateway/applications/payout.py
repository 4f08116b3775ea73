"""放款核查: whether a loan may be paid out on a right, each condition by itself (handbook 2.4).

Pure: it is told what the register, the queue and the certificate say as of one entry of the ledger. A condition that
cannot be answered does not hold: a bank that is not told that it is safe keeps its money.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from gateway.cases.model import Application, OpenCase
from gateway.register.calendar import CHINA
from gateway.register.model import (
    AnyRight,
    Mortgage,
    MortgageKind,
    PreNotice,
    PreNoticeKind,
    UnitState,
    Value,
)
from gateway.register.rank import current_ranks
from gateway.statements.payout import FAILS, HOLDS, Condition, Secured, Voiding

_MORTGAGE_NOTICES = frozenset({PreNoticeKind.PRESALE_MORTGAGE, PreNoticeKind.OTHER_MORTGAGE})


class FeedState(Value, frozen=True, kw_only=True):
    """Where the feed of the authority's counter stands; `stopped`: it has a hole, or is stale."""

    as_of: dt.datetime | None
    stopped: bool


class PayoutFacts(Value, frozen=True, kw_only=True):
    """All that the conditions are answered from, as of one entry.

    `right` is the row that the certificate proves, `live` whether it still is; `units` and `open_cases` by unit code;
    `certificate_state` NUMBERED, SEALED, CANCELLED or SUPERSEDED; `asking` are the codes of the institution that asks,
    of its branches, former ones too; `pays_on_pre_notice`: the parties' funds plan pays on the pre-notice; `feed` None:
    the registry has none, or none is known while `feed_expected`.
    """

    certificate_state: str
    right: AnyRight | None
    live: bool
    booked_index: int
    units: Mapping[str, UnitState]
    open_cases: Mapping[str, Sequence[OpenCase]]
    application: Application | None
    asking: frozenset[str]
    pays_on_pre_notice: bool
    feed_expected: bool
    feed: FeedState | None
    expected_amount_fen: int = 0
    expected_rank: int = 0


def conditions_of(facts: PayoutFacts) -> tuple[Condition, ...]:
    """Every condition, answered by itself; the loan may be paid out where all of them hold."""
    right = facts.right
    if not isinstance(right, Mortgage | PreNotice):
        return (_sealed(facts), _not_a_security())
    found = [
        _sealed(facts),
        _kind(right, facts),
        _live(facts),
        _holder(right, facts),
        _amount(right, facts),
        _rank(right, facts),
        _seizures(facts),
        _dissents(facts),
        _notices(right, facts),
        _holds(facts),
        _cases(right, facts),
        _disputes(facts),
        _register(facts),
    ]
    return tuple(found)


def secured_of(facts: PayoutFacts) -> Secured | None:
    """The right in the words of the statement; None where there is none that secures a loan."""
    right = facts.right
    match right:
        case Mortgage():
            return Secured(
                right_id=right.right_id,
                kind="MORTGAGE",
                holders=tuple(p.name for p in right.mortgagees),
                holder_codes=tuple(p.id_number for p in right.mortgagees if p.is_institution),
                unit_codes=right.units,
                amount_fen=amount_of(right),
                currency=right.currency,
                rank_printed=right.agreed_rank or right.rank_at_registration,
                ranks_now=ranks_now(right, facts.units),
            )
        case PreNotice():
            return Secured(
                right_id=right.right_id,
                kind="PRE_NOTICE",
                holders=tuple(p.name for p in right.holders),
                holder_codes=tuple(p.id_number for p in right.holders if p.is_institution),
                unit_codes=right.units,
                amount_fen=right.amount_fen,
                currency="CNY",
                rank_printed=0,
                ranks_now={},
            )
    return None


def amount_of(right: Mortgage) -> int:
    """The claim secured, or the maximum of a maximum-amount mortgage, in fen."""
    maximum = right.kind is MortgageKind.MAXIMUM_AMOUNT
    return (right.max_claim_amount_fen if maximum else right.claim_amount_fen) or 0


def ranks_now(right: Mortgage, units: Mapping[str, UnitState]) -> dict[str, int]:
    """Its current rank on each of its units; a unit on which it does not live is left out."""
    ranks = {code: current_ranks(state.mortgages).get(right.right_id) for code, state in units.items()}
    return {code: rank for code, rank in sorted(ranks.items()) if rank is not None}


#: What would end the statement before its time.
VOIDED_BY: tuple[Voiding, ...] = tuple(
    Voiding(code=code, zh=zh, en=en)
    for code, zh, en in (
        ("EXPIRY", "超过有效期", "its time is over"),
        (
            "SEIZURE",
            "查封、预查封送达登记机构，自送达时起",
            "a seizure or pre-seizure of a unit, from its service on",
        ),
        ("DISSENT", "异议登记", "a dissent on a unit"),
        (
            "RIGHT_CHANGED",
            "该权利注销、变更、转移或者更正",
            "release, change, transfer or correction of the right",
        ),
        (
            "CERTIFICATE_ENDED",
            "该证照注销或者被取代（事件 CERTIFICATE_ENDED）",
            "the certificate is cancelled or superseded (event CERTIFICATE_ENDED)",
        ),
        (
            "CASE_ACCEPTED",
            "受理了涉及该权利的其他申请",
            "another application that names the right is accepted",
        ),
    )
)


# -- the conditions ------------------------------------------------------------------------------------------------


def _sealed(facts: PayoutFacts) -> Condition:
    state = facts.certificate_state
    why = {
        "SEALED": ("证照已签章", "the certificate is sealed"),
        "NUMBERED": ("证照已编号，尚未签章", "the certificate is numbered and not sealed yet"),
        "CANCELLED": ("证照已注销", "the certificate is cancelled"),
        "SUPERSEDED": ("证照已被取代", "the certificate is superseded"),
    }[state]
    return _said("SEALED", state == "SEALED", "ESL 14; IR 21", *why)


def _not_a_security() -> Condition:
    return _said(
        "SECURITY",
        False,
        "CC 394, 402",
        "该证照不是抵押权或者抵押权预告登记的证明",
        "the certificate proves neither a mortgage nor the pre-notice of one",
    )


def _kind(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    if isinstance(right, Mortgage):
        return _said("SECURITY", True, "CC 394, 402", "抵押权", "a mortgage")
    if right.kind not in _MORTGAGE_NOTICES:
        return _not_a_security()
    if facts.pays_on_pre_notice:
        return _said(
            "SECURITY",
            True,
            "CC 221; SIG 52",
            "抵押权预告登记，资金计划约定凭预告登记付款",
            "the pre-notice of a mortgage, and the funds plan pays on it",
        )
    return _said(
        "SECURITY",
        False,
        "CC 221; SIG 52",
        "抵押权预告登记不是抵押权，资金计划未约定凭预告登记付款",
        "the pre-notice of a mortgage is no mortgage, and no funds plan pays on it",
    )


def _live(facts: PayoutFacts) -> Condition:
    if facts.live:
        return _said("RIGHT_LIVE", True, "CC 214", "权利现势有效", "the right is live in the register")
    return _said("RIGHT_LIVE", False, "CC 214; IR 10", "权利已终止", "the right has ended")


def _holder(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    holders = right.mortgagees if isinstance(right, Mortgage) else right.holders
    own = any(p.is_institution and p.id_number in facts.asking for p in holders)
    if own:
        return _said(
            "HOLDER",
            True,
            "CC 216",
            "查询机构为登记的权利人",
            "the institution that asks is of record as holder",
        )
    return _said(
        "HOLDER",
        False,
        "CC 216",
        "查询机构不是登记的权利人",
        "the institution that asks is not of record as holder",
    )


def _amount(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    recorded = amount_of(right) if isinstance(right, Mortgage) else right.amount_fen
    same = facts.expected_amount_fen in (0, recorded)
    beside = "" if same else f"，与预期的 {facts.expected_amount_fen} 分不符"
    but = "" if same else f", not the {facts.expected_amount_fen} fen expected"
    return _said(
        "AMOUNT",
        same and recorded > 0,
        "CC 389; N54",
        f"登记金额 {recorded} 分{beside}",
        f"{recorded} fen of record{but}",
    )


def _rank(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    if isinstance(right, PreNotice):
        return _said(
            "RANK",
            not facts.expected_rank,
            "SIG 52",
            "预告登记没有顺位；转为抵押权后自预告登记之日起计",
            "a pre-notice has no rank: as a mortgage it will count from its own date",
        )
    printed = right.agreed_rank or right.rank_at_registration
    allowed = facts.expected_rank or printed
    now = ranks_now(right, facts.units)
    worst = max(now.values(), default=0)
    complete = bool(now) and set(now) == set(right.units)
    return _said(
        "RANK",
        complete and worst <= allowed,
        "CC 414; RD 67",
        f"登记顺位第 {printed}，当前顺位第 {worst}，要求不低于第 {allowed}",
        f"printed rank {printed}, rank now {worst}, rank {allowed} or better is needed",
    )


def _seizures(facts: PayoutFacts) -> Condition:
    count = sum(len(state.seizures) for state in facts.units.values())
    if not count:
        return _said("NO_SEIZURE", True, "EX 23", "没有查封", "no seizure on any of its units")
    return _said(
        "NO_SEIZURE",
        False,
        "CC 423(4); EX 23",
        f"存在 {count} 项查封；已登记的抵押权不受影响，新放款项可能不受担保",
        f"{count} seizure(s): a mortgage of record stands, what is lent from now on may not be secured",
    )


def _dissents(facts: PayoutFacts) -> Condition:
    count = sum(r.__struct_config__.tag == "DISSENT" for s in facts.units.values() for r in s.rights)
    return _said(
        "NO_DISSENT",
        not count,
        "CC 220",
        f"存在 {count} 项异议登记" if count else "没有异议登记",
        f"{count} dissent(s)" if count else "no dissent",
    )


def _notices(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    """A pre-notice of another case that goes before the right keeps the owner from disposing (CC 221)."""
    since = right.priority_date if isinstance(right, Mortgage) else right.booked_at
    own = {right.right_id, getattr(right, "from_pre_notice", None)}
    before = {
        notice.right_id
        for state in facts.units.values()
        for notice in state.pre_notices
        if notice.right_id not in own
        and notice.booked_at <= since
        and not (notice.case_number and notice.case_number == right.case_number)
    }
    return _said(
        "NO_EARLIER_PRE_NOTICE",
        not before,
        "CC 221; RD 85",
        f"存在 {len(before)} 项在先的预告登记" if before else "没有在先的预告登记",
        f"{len(before)} pre-notice(s) go before it" if before else "no pre-notice goes before it",
    )


def _holds(facts: PayoutFacts) -> Condition:
    holds = sorted({hold.value for state in facts.units.values() for hold in state.unit.holds})
    names = "、".join(holds)
    return _said(
        "NO_HOLD",
        not holds,
        "IR 22(2); CC 220",
        f"不动产单元另有记载：{names}" if holds else "没有限制办理的记载",
        f"the unit is marked {', '.join(holds)}" if holds else "no mark on any unit that stops registrations",
    )


def _cases(right: Mortgage | PreNotice, facts: PayoutFacts) -> Condition:
    """An open case that names the right would change or end it; one accepted before its booking would go before it."""
    touching = {
        case.application_id
        for cases in facts.open_cases.values()
        for case in cases
        if right.identity in case.rights or case.accepted_index < facts.booked_index
    }
    return _said(
        "NO_EARLIER_CASE",
        not touching,
        "RD 67",
        f"有 {len(touching)} 件在办申请涉及该权利或者在先受理"
        if touching
        else "没有涉及该权利或者在先受理的在办申请",
        f"{len(touching)} open case(s) name it or were accepted before it"
        if touching
        else "no open case names it or was accepted before it",
    )


def _disputes(facts: PayoutFacts) -> Condition:
    count = len(facts.application.disputes) if facts.application else 0
    return _said(
        "NO_DISPUTE",
        not count,
        "IR 22(2)",
        f"案件中有 {count} 项异议" if count else "案件中没有当事人异议",
        f"{count} objection(s) of parties in the case" if count else "no party of the case objected",
    )


def _register(facts: PayoutFacts) -> Condition:
    code, article = "REGISTER_CURRENT", "IR 22; design"
    if facts.feed is not None and facts.feed.as_of is not None and not facts.feed.stopped:
        until = facts.feed.as_of.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
        return _said(
            code,
            True,
            article,
            f"登记大厅数据连续，截至 {until}",
            f"the counter's feed has no hole, up to {until} in China",
        )
    if facts.feed_expected or facts.feed is not None:
        return _said(
            code,
            False,
            article,
            "登记大厅数据缺失或者过期，登记簿可能不是最新",
            "the counter's feed has a hole, is stale or unknown: the register may be behind",
        )
    return _said(
        code,
        True,
        article,
        "本登记机构的登记事项均在本账本登簿",
        "this registry books in this ledger alone, without a counter's feed",
    )


def _said(code: str, holds: bool, article: str, zh: str, en: str) -> Condition:
    return Condition(code=code, result=HOLDS if holds else FAILS, article=article, zh=zh, en=en)
