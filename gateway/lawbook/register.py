"""The register that the sample cases meet: one flat, and the rights that a case needs on it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from msgspec.structs import replace

from gateway.lawbook.cast import BANK, BUYER, DEVELOPER, OLD_BANK, OWNER, SELLER
from gateway.register.model import (
    AnyRight,
    CertificateRef,
    CoOwnership,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    TransferRestriction,
    Unit,
    UnitKind,
    UnitState,
)
from gateway.register.states import CONSTRUCTION_COLLATERAL

UNIT: Final = "320281001001GB00001F00010001"
PARKING: Final = "320281001001GB00001F00010002"
NOW: Final = dt.datetime(2026, 11, 20, 2, 0, tzinfo=dt.UTC)
_BEFORE: Final = dt.datetime(2022, 1, 5, 2, 0, tzinfo=dt.UTC)

CLAIM_FEN: Final = 80_000_000
PRICE_FEN: Final = 200_000_000
TITLE: Final = CertificateRef(number="苏(2020)江阴市不动产权第0000001号")
PROOF: Final = CertificateRef(number="苏(2022)江阴市不动产证明第0000001号")
SALE_PROOF: Final = CertificateRef(number="苏(2022)江阴市不动产证明第0000002号")
NOTED_PROOF: Final = CertificateRef(number="苏(2022)江阴市不动产证明第0000003号")
OTHER_PROOF: Final = CertificateRef(number="苏(2022)江阴市不动产证明第0000004号")

#: Said of what lies on other units than the flat of the case.
ON_THE_REST: Final = "（其余单元 on the rest）"

#: What the certificates that are there before a case are called on its page.
CALLED: Final = {
    TITLE.number: "原权属证书 former title",
    PROOF.number: "原抵押权登记证明 old mortgage's proof",
    SALE_PROOF.number: "买卖预告登记证明 sale pre-notice's proof",
    NOTED_PROOF.number: "抵押权预告登记证明 mortgage pre-notice's proof",
    OTHER_PROOF.number: "其他抵押权登记证明 other mortgage's proof",
}


def flat(*rights: AnyRight, code: str = UNIT, **changes: Any) -> UnitState:
    """A flat with these rights."""
    unit = Unit(unit_code=code, kind=UnitKind.FLAT, county_code="320281", location="示例路1号101室")
    return UnitState(unit=replace(unit, **changes), rights=rights)


def ownership(owner: Party = OWNER, **changes: Any) -> Ownership:
    """A sole owner."""
    row = Ownership(
        right_id="0.1",
        units=(UNIT,),
        case_number="",
        booked_at=_BEFORE,
        booked_by="",
        owners=(Owner(person=owner),),
        co_ownership=CoOwnership.SOLE,
        title=TITLE,
    )
    return replace(row, **changes)


def mortgage(owner: Party = OWNER, lender: Party = BANK, **changes: Any) -> Mortgage:
    """An ordinary mortgage of 2022, of the owner's own debt, with no restriction of transfer."""
    row = Mortgage(
        right_id="0.2",
        units=(UNIT,),
        case_number="",
        booked_at=_BEFORE,
        booked_by="",
        kind=MortgageKind.ORDINARY,
        mortgagors=(owner,),
        mortgagees=(lender,),
        debtors=(owner,),
        mortgagor_relation=MortgagorRelation.DEBTOR,
        claim_amount_fen=CLAIM_FEN,
        term_start=dt.date(2022, 1, 1),
        term_end=dt.date(2042, 1, 1),
        secured_scope="主债权及利息",
        transfer_restriction=TransferRestriction.NONE,
        first_registered_at=_BEFORE,
        rank_at_registration=1,
        priority_date=_BEFORE,
        proof=PROOF,
        contract_number="DY-1",
    )
    return replace(row, **changes)


def construction_mortgage(**changes: Any) -> Mortgage:
    """A developer's mortgage of land and finished part."""
    return mortgage(
        DEVELOPER,
        **{
            "collateral_kind": CONSTRUCTION_COLLATERAL,
            "construction_location": "示例路1号",
            "construction_scope": "1幢",
            **changes,
        },
    )


def maximum_amount(**changes: Any) -> Mortgage:
    """A maximum-amount mortgage whose claim is not fixed."""
    row = mortgage(kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=CLAIM_FEN)
    return replace(row, **changes)


def noted_sale(**changes: Any) -> PreNotice:
    """The buyer's sale pre-notice of a second-hand flat."""
    row = PreNotice(
        right_id="0.3",
        units=(UNIT,),
        case_number="",
        booked_at=dt.datetime(2026, 11, 2, 2, 0, tzinfo=dt.UTC),
        booked_by="",
        kind=PreNoticeKind.OTHER_SALE,
        holders=(BUYER,),
        obligors=(SELLER,),
        amount_fen=PRICE_FEN,
        registrable_from=dt.date(2026, 11, 2),
        proof=SALE_PROOF,
    )
    return replace(row, **changes)


def noted_mortgage(**changes: Any) -> PreNotice:
    """The pre-notice of the buyer's mortgage."""
    row = noted_sale(
        right_id="0.4",
        kind=PreNoticeKind.OTHER_MORTGAGE,
        holders=(BANK,),
        obligors=(BUYER,),
        amount_fen=CLAIM_FEN,
        proof=NOTED_PROOF,
    )
    return replace(row, **changes)


def sold_flat() -> UnitState:
    """The seller's flat with the old bank's mortgage, on which a combined case begins."""
    return flat(ownership(SELLER), mortgage(SELLER, OLD_BANK))
