"""One sample deal for each way in which a mode is used, phase by phase, each on the register that the last one left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from gateway.cases.terms import (
    Account,
    AnyOperation,
    ChangeItem,
    MortgageFirst,
    PayoffStatement,
    PreNoticeConvert,
    ReleaseGround,
)
from gateway.kinds.modes import MODES, Mode
from gateway.lawbook import register as r
from gateway.lawbook.cast import BUYER, DEVELOPER, FUND_CENTRE, NEW_BANK, OLD_BANK, SELLER
from gateway.lawbook.running import PhaseRun, run_phase
from gateway.lawbook.steps import CONTRACT, change, first, note_mortgage, note_sale, release, sale, transfer
from gateway.register.model import CertificateRef, MortgagorRelation, Party, PreNoticeKind, UnitState, Value
from gateway.register.states import SALE_KINDS

#: The operations of one phase, made for the flat as it is then.
Steps: TypeAlias = Callable[[UnitState], tuple[AnyOperation, ...]]


class Deal(Value, frozen=True, kw_only=True):
    """One way to use a mode. `between`: what the authority books itself before phase two; `awaited` says so. `beside`:
    other units under the old mortgage, which no step is about.
    """

    mode: Mode
    zh: str
    en: str
    start: UnitState
    beside: tuple[UnitState, ...] = ()
    phases: tuple[Steps, ...]
    between: Callable[[UnitState], UnitState] | None = None
    awaited: str = ""


def run(deal: Deal) -> tuple[PhaseRun, ...]:
    """Every phase of the deal, booked in order. Raises running.UnlawfulSample."""
    flat = deal.start
    beside = {state.unit.unit_code: state for state in deal.beside}
    runs: list[PhaseRun] = []
    for number, steps in enumerate(deal.phases, start=1):
        if number > 1 and deal.between is not None:
            flat = deal.between(flat)
        done = run_phase(
            steps(flat),
            {r.UNIT: flat, **beside},
            mode=deal.mode.code,
            phase=number,
            contracts=(CONTRACT,),
            statements=(_statement(),) if deal.mode.of_n29 else (),
            earlier=runs[-1] if runs else None,
        )
        flat = done.after[r.UNIT]
        beside = {code: done.after[code] for code in beside}
        runs.append(done)
    return tuple(runs)


def _statement() -> PayoffStatement:
    return PayoffStatement(
        proof=r.PROOF,
        balance_fen=r.CLAIM_FEN,
        as_of=dt.date(2026, 11, 18),
        account=Account(holder_name=SELLER.name, number="1"),
        valid_until=dt.date(2026, 12, 18),
        mortgagee=OLD_BANK,
    )


# -- steps ---------------------------------------------------------------------------------------------------------


def _new(lender: Party = NEW_BANK) -> MortgageFirst:
    return first(BUYER, lender)


def _release_undertaken() -> AnyOperation:
    return release(OLD_BANK, ground=ReleaseGround.UNDERTAKING)


def _release_settled(flat: UnitState) -> tuple[AnyOperation, ...]:
    """The old mortgage, under the proof that it has by now."""
    old = next(m for m in flat.mortgages if OLD_BANK in m.mortgagees)
    return (release(OLD_BANK, proof=old.proof),)


def _notice(flat: UnitState, *, of_sale: bool) -> CertificateRef:
    return next(n.proof for n in flat.pre_notices if (n.kind in SALE_KINDS) is of_sale)


def _convert_sale(flat: UnitState, seller: Party = SELLER) -> PreNoticeConvert:
    titles = flat.ownership.titles if flat.ownership else ()
    return PreNoticeConvert(
        units=(r.UNIT,), proof=_notice(flat, of_sale=True), transfer=sale(seller, titles=titles)
    )


def _convert_mortgage(flat: UnitState) -> PreNoticeConvert:
    return PreNoticeConvert(units=(r.UNIT,), proof=_notice(flat, of_sale=False), mortgage=_new())


def _to_buyer(lender: Party, *items: ChangeItem, **content: Any) -> AnyOperation:
    """The buyer steps in as mortgagor and debtor of the old mortgage."""
    return change(first(BUYER, lender, **content), ChangeItem.MORTGAGOR, ChangeItem.DEBTOR, *items)


def _mortgagor_only() -> AnyOperation:
    """The buyer's flat secures the seller's old loan until it is paid off (S12)."""
    content = first(BUYER, OLD_BANK, debtors=(SELLER,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    return change(content, ChangeItem.MORTGAGOR)


def _notes(flat: UnitState) -> tuple[AnyOperation, ...]:
    return (note_sale(), note_mortgage(NEW_BANK))


def _conversions(flat: UnitState) -> tuple[AnyOperation, ...]:
    return (_convert_sale(flat), _convert_mortgage(flat))


def _release_unit() -> AnyOperation:
    """One flat leaves the mortgage of the whole building, which goes on on the rest."""
    return release(OLD_BANK, construction=True, partial=True)


def _built(flat: UnitState) -> UnitState:
    """The building is registered for the first time, in the developer's name."""
    unit = replace(flat.unit, first_registered=True)
    return UnitState(unit=unit, rights=(r.ownership(DEVELOPER), *flat.rights))


# -- deals ---------------------------------------------------------------------------------------------------------


def _deal(code: str, zh: str, en: str, *phases: Steps, **changes: Any) -> Deal:
    deal = Deal(mode=MODES[code], zh=zh, en=en, start=r.sold_flat(), phases=phases)
    return replace(deal, **changes)


_BUILDING: Final = r.construction_mortgage(mortgagees=(OLD_BANK,), units=(r.UNIT, r.PARKING))
_SHELL: Final = r.flat(_BUILDING, first_registered=False)
_THE_REST: Final = r.flat(_BUILDING, code=r.PARKING, first_registered=False)
#: What the second phase of a pre-sale waits for.
_BUILT: Final = "首次登记后 after the first registration of the building"

_PRESOLD: Final = {"kind": PreNoticeKind.PRESALE_SALE}
_PRESOLD_MORTGAGE: Final = {"kind": PreNoticeKind.PRESALE_MORTGAGE}

DEALS: Final = (
    _deal(
        "ET_COMBINED",
        "新旧两家银行",
        "two banks",
        lambda _: (sale(), _release_undertaken(), _new()),
    ),
    _deal("ET_SEGMENTED", "新旧两家银行", "two banks", lambda _: (sale(), _new()), _release_settled),
    _deal(
        "ET_CHANGE",
        "同一银行",
        "one bank",
        lambda _: (sale(), _to_buyer(OLD_BANK)),
    ),
    _deal(
        "ET_CHANGE",
        "不同银行",
        "two banks",
        lambda _: (sale(), transfer(OLD_BANK, NEW_BANK), _to_buyer(NEW_BANK)),
    ),
    _deal(
        "ET_THREE_IN_ONE",
        "新旧两家银行",
        "two banks",
        lambda _: (sale(), _mortgagor_only(), _new()),
        _release_settled,
    ),
    _deal("ET_DOUBLE_PRE_NOTICE", "原抵押权最后注销", "release last", _notes, _conversions, _release_settled),
    _deal(
        "ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION",
        "转本时注销原抵押权",
        "release with the conversion",
        _notes,
        lambda flat: (_release_undertaken(), *_conversions(flat)),
    ),
    _deal(
        "PN_SALE_THEN_CONVERT",
        "无原抵押权，银行与公积金中心",
        "no old mortgage, bank and fund centre",
        lambda _: (note_sale(),),
        lambda flat: (_convert_sale(flat), _new(), _new(FUND_CENTRE)),
        start=r.flat(r.ownership(SELLER)),
    ),
    _deal(
        "PN_SALE_THEN_CONVERT",
        "有原抵押权",
        "with an old mortgage",
        lambda _: (note_sale(),),
        lambda flat: (_release_undertaken(), _convert_sale(flat), _new()),
    ),
    _deal(
        "ET_CASH_PRE_NOTICE",
        "买方一次性付款",
        "the buyer pays without a loan",
        lambda _: (note_sale(applicants=(SELLER, BUYER, OLD_BANK)),),
        _release_settled,
        lambda flat: (_convert_sale(flat),),
    ),
    _deal(
        "NB_PRESALE_CASH",
        "买方一次性付款",
        "the buyer pays without a loan",
        lambda _: (_release_unit(), note_sale(DEVELOPER, **_PRESOLD)),
        lambda flat: (_convert_sale(flat, DEVELOPER),),
        start=_SHELL,
        beside=(_THE_REST,),
        between=_built,
        awaited=_BUILT,
    ),
    _deal(
        "NB_PRESALE_LOAN",
        "买方贷款",
        "the buyer borrows",
        lambda _: (
            _release_unit(),
            note_sale(DEVELOPER, **_PRESOLD),
            note_mortgage(NEW_BANK, **_PRESOLD_MORTGAGE),
        ),
        lambda flat: (_convert_sale(flat, DEVELOPER), _convert_mortgage(flat)),
        start=_SHELL,
        beside=(_THE_REST,),
        between=_built,
        awaited=_BUILT,
    ),
)


def deals_of(code: str) -> tuple[Deal, ...]:
    """The deals that show a mode. Raises KeyError for one that has none."""
    found = tuple(deal for deal in DEALS if deal.mode.code == code)
    if not found:
        raise KeyError(f"no sample deal shows mode {code}: add one to gateway/lawbook/deals.py")
    return found
