"""Operations of the sample cases, as the parties of cast.py ask for them on the flat of register.py."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.terms import (
    ChangeItem,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    OwnershipTransfer,
    PreNoticeCreate,
    ReleaseGround,
    SaleContract,
    SaleNotice,
    TransferGround,
)
from gateway.lawbook import register as r
from gateway.lawbook.cast import ASSIGNEE, BANK, BUYER, OWNER, SELLER
from gateway.register.model import (
    CoOwnership,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Party,
    PreNoticeKind,
    TransferRestriction,
)


def first(owner: Party = OWNER, lender: Party = BANK, **changes: Any) -> MortgageFirst:
    """An ordinary mortgage for the owner's own debt."""
    op = MortgageFirst(
        units=(r.UNIT,),
        kind=MortgageKind.ORDINARY,
        mortgagors=(owner,),
        mortgagees=(lender,),
        debtors=(owner,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=r.CLAIM_FEN,
        term_start=dt.date(2022, 1, 1),
        term_end=dt.date(2042, 1, 1),
        secured_scope="主债权及利息",
        transfer_restriction=TransferRestriction.NONE,
        contract_number="DY-1",
    )
    return replace(op, **changes)


def change(content: MortgageFirst, *items: ChangeItem, **changes: Any) -> MortgageChange:
    """A change of the mortgage of record."""
    return replace(MortgageChange(units=(r.UNIT,), proof=r.PROOF, items=items, content=content), **changes)


def transfer(assignor: Party = BANK, assignee: Party = ASSIGNEE, **changes: Any) -> MortgageTransfer:
    """The mortgage of record follows its assigned claim."""
    op = MortgageTransfer(
        units=(r.UNIT,),
        proof=r.PROOF,
        assignors=(assignor,),
        assignees=(assignee,),
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=dt.date(2026, 11, 1),
    )
    return replace(op, **changes)


def release(lender: Party = BANK, **changes: Any) -> MortgageRelease:
    """The claim is settled."""
    op = MortgageRelease(
        units=(r.UNIT,),
        proof=r.PROOF,
        mortgagees=(lender,),
        ground=ReleaseGround.CLAIM_SETTLED,
        settled_on=dt.date(2026, 11, 1),
    )
    return replace(op, **changes)


def sale(seller: Party = SELLER, **changes: Any) -> OwnershipTransfer:
    """The flat passes to the buyer."""
    op = OwnershipTransfer(
        units=(r.UNIT,),
        sellers=(seller,),
        buyers=(Owner(person=BUYER),),
        co_ownership=CoOwnership.SOLE,
        price_fen=r.PRICE_FEN,
        titles=(r.TITLE,),
    )
    return replace(op, **changes)


def note_sale(seller: Party = SELLER, **changes: Any) -> PreNoticeCreate:
    """The sale of a second-hand flat is noted."""
    op = PreNoticeCreate(
        units=(r.UNIT,),
        kind=PreNoticeKind.OTHER_SALE,
        holders=(BUYER,),
        obligors=(seller,),
        sale=SaleNotice(price_fen=r.PRICE_FEN, contract_number="MM-1"),
    )
    return replace(op, **changes)


def note_mortgage(lender: Party = BANK, **changes: Any) -> PreNoticeCreate:
    """The buyer's mortgage is noted."""
    op = PreNoticeCreate(
        units=(r.UNIT,),
        kind=PreNoticeKind.OTHER_MORTGAGE,
        holders=(lender,),
        obligors=(BUYER,),
        mortgage=first(BUYER, lender),
    )
    return replace(op, **changes)


CONTRACT: Final = SaleContract(
    contract_number="MM-1", filing_number="MM-1", signed_on=dt.date(2026, 11, 1), price_fen=r.PRICE_FEN
)
