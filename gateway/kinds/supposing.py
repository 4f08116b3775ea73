"""A sale of one unit by a mode, supposed before there is one: its steps, phase by phase, as the terms would have them.

The owners of record sell to nobody in particular, the old mortgagees are those of record, the new ones those asked
about. Amounts are stand-ins that fit one another: nothing is said of them. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from gateway.cases.model import Clerk, Header, Kind, Manifest
from gateway.cases.terms import (
    Account,
    AnyOperation,
    ChangeItem,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    OwnershipTransfer,
    PayoffStatement,
    PreNoticeConvert,
    PreNoticeCreate,
    ReleaseGround,
    SaleContract,
    SaleNotice,
    Terms,
    TransferGround,
)
from gateway.kinds.modes import Mode, Phase
from gateway.kinds.named import keys, once
from gateway.register.calendar import CHINA
from gateway.register.model import (
    CoOwnership,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Party,
    PreNoticeKind,
    TransferRestriction,
    UnitState,
    Value,
)
from gateway.register.states import CONSTRUCTION_COLLATERAL, SALE_KINDS, is_first_registered

BUYER: Final = Party(name="买方", id_kind=IdKind.OTHER, id_number="BUYER")

#: Stand-ins: the price covers the old loans, and each new loan is as its pre-notice has it.
_PRICE_FEN: Final = 100_000_000_00
_LOAN_FEN: Final = 1_000_00
_BALANCE_FEN: Final = 1


class Supposition(Value, frozen=True, kw_only=True):
    """What is asked: this mode, these lenders, at this time."""

    registry: str
    mode: Mode
    lenders: tuple[Party, ...]
    now: dt.datetime

    @property
    def today(self) -> dt.date:
        """The day in China."""
        return self.now.astimezone(CHINA).date()


def old_mortgages(state: UnitState, what: Supposition) -> tuple[Mortgage, ...]:
    """Those that were there before the sale; of a unit under construction, those on the construction."""
    building = state.ownership is None
    return tuple(
        m
        for m in state.mortgages
        if m.first_registered_at < what.now and (m.collateral_kind == CONSTRUCTION_COLLATERAL) is building
    )


def sellers_of(state: UnitState) -> tuple[Party, ...]:
    """The owners of record; of a unit never registered, the developer who mortgaged its construction."""
    if state.ownership is not None:
        return tuple(owner.person for owner in state.ownership.owners)
    return once([p for m in state.mortgages for p in m.mortgagors])


def manifest_of(what: Supposition, number: int, state: UnitState) -> Manifest:
    """The phase as it would be filed, by the first of the lenders, else by the old mortgagee."""
    phase = what.mode.phases[number - 1]
    old = old_mortgages(state, what)
    filing = next((p.id_number for p in (*what.lenders, *(p for m in old for p in m.mortgagees))), "")
    terms = Terms(
        registry=what.registry,
        operations=_steps(what, phase, state),
        mode=what.mode.code,
        sale_contracts=(SaleContract(filing_number="-", signed_on=what.today, price_fen=_PRICE_FEN),),
        payoff_statements=tuple(_statement(m, what) for m in old),
    )
    header = Header(
        registry=what.registry,
        channel_institution=filing,
        applicant_institution=filing,
        clerk=Clerk(name="", employee_no=""),
        request_id="",
        created_at=what.now,
        not_after=what.now,
        phase=number,
    )
    return Manifest(header=header, kind=Kind.ENCUMBERED_TRANSFER, terms=terms, terms_sha256="")


def _steps(what: Supposition, phase: Phase, state: UnitState) -> tuple[AnyOperation, ...]:
    found: list[AnyOperation] = []
    for step in phase.steps:
        found += _of_step(step.operation, what, phase, state)
    return tuple(found)


def _of_step(name: str, what: Supposition, phase: Phase, state: UnitState) -> Sequence[AnyOperation]:
    """The operations that fill one step on this unit; none for an optional step that the case does not need."""
    code = state.unit.unit_code
    old = old_mortgages(state, what)
    match name:
        case "OWNERSHIP_TRANSFER":
            return [_sale(state)]
        case "MORTGAGE_RELEASE" | "CONSTRUCTION_MORTGAGE_RELEASE":
            return [_release(m, code, what, alone=len(phase.steps) == 1) for m in old]
        case "MORTGAGE_FIRST":
            return [_loan(lender, code, what) for lender in what.lenders]
        case "MORTGAGE_TRANSFER":
            return [_transfer(m, what) for m in old[:1] if _moves(m, what)]
        case "MORTGAGE_CHANGE":
            moves = any(step.operation == "MORTGAGE_TRANSFER" for step in phase.steps)
            return [_change(m, what, moves=moves) for m in old[:1]]
        case "PRE_NOTICE_CREATE/SALE":
            return [_sale_notice(state)]
        case "PRE_NOTICE_CREATE/MORTGAGE":
            return [_loan_notice(lender, state, what) for lender in what.lenders]
        case "PRE_NOTICE_CONVERT/SALE" | "PRE_NOTICE_CONVERT/MORTGAGE":
            return _conversions(state, what, of_sale=name.endswith("SALE"))
    raise ValueError(f"no mode has a step {name}")


def _sale(state: UnitState) -> OwnershipTransfer:
    sellers = sellers_of(state)
    return OwnershipTransfer(
        units=(state.unit.unit_code,),
        sellers=sellers,
        buyers=(Owner(person=BUYER),),
        co_ownership=CoOwnership.SOLE,
        price_fen=_PRICE_FEN,
        titles=state.ownership.titles if state.ownership else (),
        applicants=(*sellers, BUYER),
    )


def _release(mortgage: Mortgage, code: str, what: Supposition, *, alone: bool) -> MortgageRelease:
    """Alone on settlement; together with what pays it, on an undertaking; from a construction, by agreement."""
    building = mortgage.collateral_kind == CONSTRUCTION_COLLATERAL
    ground = ReleaseGround.CLAIM_SETTLED if alone else ReleaseGround.UNDERTAKING
    return MortgageRelease(
        units=(code,) if building else mortgage.units,
        proof=mortgage.proof,
        mortgagees=mortgage.mortgagees,
        ground=ReleaseGround.AGREEMENT if building else ground,
        settled_on=what.today if alone else None,
        partial=building and len(mortgage.units) > 1,
        construction=building,
        applicants=(*mortgage.mortgagees, *mortgage.mortgagors) if building else mortgage.mortgagees,
    )


def _loan(lender: Party, code: str, what: Supposition) -> MortgageFirst:
    return MortgageFirst(
        units=(code,),
        kind=MortgageKind.ORDINARY,
        mortgagors=(BUYER,),
        mortgagees=(lender,),
        debtors=(BUYER,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=_LOAN_FEN,
        term_start=what.today,
        term_end=what.today,
        secured_scope="/",
        transfer_restriction=TransferRestriction.NONE,
        applicants=(BUYER, lender),
    )


def _moves(mortgage: Mortgage, what: Supposition) -> bool:
    return bool(what.lenders) and keys(what.lenders) != keys(mortgage.mortgagees)


def _transfer(mortgage: Mortgage, what: Supposition) -> MortgageTransfer:
    return MortgageTransfer(
        units=mortgage.units,
        proof=mortgage.proof,
        assignors=mortgage.mortgagees,
        assignees=what.lenders,
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=what.today,
        applicants=once(mortgage.mortgagees + what.lenders),
    )


def _change(mortgage: Mortgage, what: Supposition, *, moves: bool) -> MortgageChange:
    """Mortgagor and debtor become the buyer; all else is as it was."""
    mortgagees = what.lenders if moves and _moves(mortgage, what) else mortgage.mortgagees
    content = MortgageFirst(
        units=mortgage.units,
        kind=mortgage.kind,
        mortgagors=(BUYER,),
        mortgagees=mortgagees,
        debtors=(BUYER,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=mortgage.claim_amount_fen,
        max_claim_amount_fen=mortgage.max_claim_amount_fen,
        currency=mortgage.currency,
        loan_portions=mortgage.loan_portions,
        term_start=mortgage.term_start,
        term_end=mortgage.term_end,
        secured_scope=mortgage.secured_scope,
        transfer_restriction=mortgage.transfer_restriction,
        restriction_text=mortgage.restriction_text,
        collateral_kind=mortgage.collateral_kind,
    )
    return MortgageChange(
        units=mortgage.units,
        proof=mortgage.proof,
        items=(ChangeItem.MORTGAGOR, ChangeItem.DEBTOR),
        content=content,
        applicants=once((*mortgage.mortgagors, BUYER, *mortgagees)),
    )


def _sale_notice(state: UnitState) -> PreNoticeCreate:
    sellers = sellers_of(state)
    built = is_first_registered(state)
    return PreNoticeCreate(
        units=(state.unit.unit_code,),
        kind=PreNoticeKind.OTHER_SALE if built else PreNoticeKind.PRESALE_SALE,
        holders=(BUYER,),
        obligors=sellers,
        sale=SaleNotice(price_fen=_PRICE_FEN),
        applicants=(*sellers, BUYER),
    )


def _loan_notice(lender: Party, state: UnitState, what: Supposition) -> PreNoticeCreate:
    built = is_first_registered(state)
    return PreNoticeCreate(
        units=(state.unit.unit_code,),
        kind=PreNoticeKind.OTHER_MORTGAGE if built else PreNoticeKind.PRESALE_MORTGAGE,
        holders=(lender,),
        obligors=(BUYER,),
        mortgage=_loan(lender, state.unit.unit_code, what),
        applicants=(BUYER, lender),
    )


def _conversions(state: UnitState, what: Supposition, *, of_sale: bool) -> list[PreNoticeConvert]:
    """Of the pre-notices that the first phase left."""
    code = state.unit.unit_code
    found = []
    for notice in state.pre_notices:
        if of_sale and notice.kind in SALE_KINDS and keys(notice.holders) == keys([BUYER]):
            sale = _sale(state)
            found.append(
                PreNoticeConvert(units=(code,), proof=notice.proof, transfer=sale, applicants=sale.applicants)
            )
        elif not of_sale and notice.kind not in SALE_KINDS and keys(notice.obligors) == keys([BUYER]):
            loan = _loan(notice.holders[0], code, what)
            found.append(
                PreNoticeConvert(units=(code,), proof=notice.proof, mortgage=loan, applicants=loan.applicants)
            )
    return found


def _statement(mortgage: Mortgage, what: Supposition) -> PayoffStatement:
    return PayoffStatement(
        proof=mortgage.proof,
        balance_fen=_BALANCE_FEN,
        as_of=what.today,
        account=Account(holder_name="-", number="-"),
        valid_until=what.today,
        mortgagee=mortgage.mortgagees[0],
    )
