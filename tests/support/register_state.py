"""Builders of register values: one unit, its owners and rights, with everything that a test need not say."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.register.model import (
    AnyRight,
    CertificateRef,
    CoOwnership,
    Dissent,
    Habitation,
    IdKind,
    Mortgage,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    TransferRestriction,
    Unit,
    UnitKind,
    UnitState,
)
from gateway.register.sample_parties import BANK_A, made_up_citizen_id

NOW = dt.datetime(2026, 11, 20, 2, 0, tzinfo=dt.UTC)
CODE = "320281001001GB00001F00010001"


def at(text: str) -> dt.datetime:
    """An instant given in China time."""
    return dt.datetime.fromisoformat(text + "+08:00").astimezone(dt.UTC)


def person(order: int, *, born: str = "1980-01-01", **values: Any) -> Party:
    """Somebody made up; the order number tells people apart."""
    number = made_up_citizen_id(dt.date.fromisoformat(born), order)
    return Party(name=f"某{order}", id_kind=IdKind.RESIDENT_ID, id_number=number, **values)


SELLER = person(1)
BUYER = person(2)
THIRD = person(3)


def owned(
    *owners: Party, shares: tuple[tuple[int, int], ...] = (), form: CoOwnership | None = None
) -> Ownership:
    """Live ownership, booked in 2017: sole, or joint, or by shares when shares are given."""
    if form is None:
        several = CoOwnership.BY_SHARES if shares else CoOwnership.JOINT
        form = CoOwnership.SOLE if len(owners) == 1 else several
    parts: list[Share | None] = [None] * len(owners)
    if shares:
        parts = [Share(numerator=n, denominator=d) for n, d in shares]
    return Ownership(
        right_id="own",
        units=(CODE,),
        case_number="L1",
        booked_at=at("2017-06-12T10:00:00"),
        booked_by="登记员甲",
        owners=tuple(Owner(person=p, share=s) for p, s in zip(owners, parts, strict=True)),
        co_ownership=form,
        title=CertificateRef(number="苏(2017)江阴市不动产权第0000001号"),
    )


def mortgage(right_id: str = "m1", **values: Any) -> Mortgage:
    """A mortgage of the seller to bank A of 2023, restriction NONE, rank 1."""
    booked = values.pop("booked_at", at("2023-05-09T14:00:00"))
    defaults: dict[str, Any] = {
        "right_id": right_id,
        "units": (CODE,),
        "case_number": "L2",
        "booked_at": booked,
        "booked_by": "登记员甲",
        "kind": MortgageKind.ORDINARY,
        "mortgagors": (SELLER,),
        "mortgagees": (BANK_A,),
        "debtors": (SELLER,),
        "mortgagor_relation": MortgagorRelation.DEBTOR,
        "claim_amount_fen": 80_000_000,
        "term_start": dt.date(2023, 5, 9),
        "term_end": dt.date(2043, 5, 8),
        "transfer_restriction": TransferRestriction.NONE,
        "first_registered_at": booked,
        "rank_at_registration": 1,
        "priority_date": booked,
        "proof": CertificateRef(number=f"苏(2023)江阴市不动产证明第{len(right_id):07d}号"),
    }
    return Mortgage(**(defaults | values))


def pre_notice(kind: PreNoticeKind, holder: Party, obligor: Party, right_id: str = "pn") -> PreNotice:
    """A live pre-notice of 2025."""
    return PreNotice(
        right_id=right_id,
        units=(CODE,),
        case_number="L3",
        booked_at=at("2025-11-03T09:20:00"),
        booked_by="登记员甲",
        kind=kind,
        holders=(holder,),
        obligors=(obligor,),
        amount_fen=200_000_000,
        proof=CertificateRef(number="苏(2025)江阴市不动产证明第0000009号"),
    )


def seizure(target: Party, **values: Any) -> Seizure:
    """A seizure served in April 2025, lasting to March 2028."""
    defaults: dict[str, Any] = {
        "right_id": "s1",
        "units": (CODE,),
        "case_number": "L4",
        "booked_at": at("2025-04-01T16:00:00"),
        "booked_by": "登记员甲",
        "kind": SeizureKind.SEIZURE,
        "target": target,
        "extent": "全部",
        "authority": "示例市人民法院",
        "instrument_no": "(2025)示0000执1号",
        "served_at": at("2025-04-01T09:30:00"),
        "until": dt.date(2028, 3, 31),
    }
    return Seizure(**(defaults | values))


def dissent() -> Dissent:
    """A dissent against the owner."""
    return Dissent(
        right_id="d1",
        units=(CODE,),
        case_number="L5",
        booked_at=at("2026-11-18T09:00:00"),
        booked_by="登记员甲",
        applicant=THIRD,
        matter="共有",
    )


def habitation(until: dt.date | None = None) -> Habitation:
    """A right of habitation."""
    return Habitation(
        right_id="h1",
        units=(CODE,),
        case_number="L6",
        booked_at=at("2023-01-01T09:00:00"),
        booked_by="登记员甲",
        holder=THIRD,
        until=until,
    )


def state_of(*rights: AnyRight, **unit_values: Any) -> UnitState:
    """A residential market flat with these rights; the seller owns it when no ownership is among them."""
    values: dict[str, Any] = {
        "unit_code": CODE,
        "kind": UnitKind.FLAT,
        "county_code": "320281",
        "location": "江阴市示范一路1号",
    } | unit_values
    if not any(isinstance(r, Ownership) for r in rights) and values.get("first_registered", True):
        rights = (owned(SELLER), *rights)
    return UnitState(unit=Unit(**values), rights=rights)
