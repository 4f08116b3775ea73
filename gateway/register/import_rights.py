"""From the rows of one right, or one unit, to its value; what is wrong is noted on the row.

The first row of a right says everything about it; each row adds a unit and persons. A builder
answers None when the right cannot be made, and then a problem is noted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from gateway.register import import_layout as layout
from gateway.register.identifiers import county_of
from gateway.register.import_row import Row
from gateway.register.model import (
    AnyRight,
    CoOwnership,
    Dissent,
    Habitation,
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
    Unit,
    UnitHold,
    UnitKind,
)

_MORTGAGE_NOTICES = frozenset({PreNoticeKind.PRESALE_MORTGAGE, PreNoticeKind.OTHER_MORTGAGE})

#: Persons of a right by the name column of their role, in the order of the file.
Persons = Mapping[str, Sequence[Party]]


def build_unit(row: Row, unit_code: str) -> Unit:
    """The unit on a UNIT or ownership row. Its county must agree with its code (GB/T 37346)."""
    county = row.text("QXDM")
    if county and county != county_of(unit_code):
        row.wrong("QXDM", "与不动产单元代码的前六位不一致", "differs from the unit code's first six")
    first_registered = row.choice("SCDJ", layout.YES_NO, default=True)
    is_owned = row.text("TABLE") == layout.Table.OWNERSHIP
    if is_owned and first_registered is False:
        row.wrong("SCDJ", "有所有权登记的单元已办首次登记", "an owned unit is first-registered")
    use = row.choice("FWYT", layout.USES, "RESIDENTIAL") or "OTHER"
    return Unit(
        unit_code=unit_code,
        kind=_unit_kind(row, unit_code, use),
        county_code=county_of(unit_code),
        location=row.required("ZL"),
        use=use,
        housing_kind=row.choice("FWXZ", layout.HOUSING_KINDS, "MARKET") or "OTHER",
        land_nature=row.choice("QLLX", layout.LAND_NATURES, "STATE_CONSTRUCTION_LAND") or "OTHER",
        floor_area=row.area("JZMJ"),
        floor=row.text("SZC"),
        floors_total=row.count("ZCS") or 0,
        land_term_end=row.date("TDSYJSSJ"),
        first_registered=first_registered is not False,
        holds=_holds(row),
    )


def _unit_kind(row: Row, unit_code: str, use: str) -> UnitKind:
    """DYLX, or what code and use say: fixture W is land, a garage is a parking space."""
    kind = row.choice("DYLX", layout.UNIT_KINDS, needed=False)
    if kind is not None:
        return kind
    if unit_code[19] == "W":
        return UnitKind.LAND
    return {"GARAGE": UnitKind.PARKING, "STORAGE": UnitKind.STOREROOM}.get(use, UnitKind.FLAT)


def _holds(row: Row) -> tuple[UnitHold, ...]:
    """DYXZ: holds, separated by semicolons."""
    names = [name for name in row.text("DYXZ").replace("；", ";").split(";") if name.strip()]
    unknown = [name for name in names if name.strip() not in layout.HOLDS]
    if unknown:
        known = "、".join(layout.HOLDS)
        row.wrong("DYXZ", f"应为：{known}，以分号分隔", f"must be of {known}, with semicolons")
    holds = [layout.HOLDS[name.strip()] for name in names if name not in unknown]
    return tuple(dict.fromkeys(holds))


def build_right(
    table: layout.Table,
    row: Row,
    units: tuple[str, ...],
    persons: Persons,
    shares: Sequence[Owner],
    *,
    now: dt.datetime,
    right_id: str,
) -> AnyRight | None:
    """The right of one table. `shares` are its holders with shares; `now` bounds its times."""
    booked_at = row.instant("DJSJ", needed=True)
    if booked_at is not None and booked_at > now:
        row.wrong("DJSJ", "登记时间在将来", "the booking lies in the future")
    case_number = row.required("YWH")
    booked_by = row.required("DBR")
    for role in layout.ROLES[table]:
        if not persons[role.name] and not row.text(role.name):
            row.wrong(role.name, "必填", "must be filled in", "FIELD_REQUIRED")
    common = {
        "right_id": right_id,
        "units": units,
        "case_number": case_number,
        "booked_at": booked_at,
        "booked_by": booked_by,
    }
    match table:
        case layout.Table.OWNERSHIP:
            parts = _ownership(row, shares)
        case layout.Table.MORTGAGE:
            parts = _mortgage(row, persons, booked_at)
        case layout.Table.PRE_NOTICE:
            parts = _pre_notice(row, persons)
        case layout.Table.SEIZURE:
            parts = _seizure(row, persons, now)
        case layout.Table.DISSENT:
            parts = _dissent(row, persons)
        case _:
            parts = _habitation(row, persons)
    if row.is_bad:
        return None
    right: AnyRight = _MAKERS[table](**common, **parts)
    return right


_MAKERS: Mapping[layout.Table, Any] = {
    layout.Table.OWNERSHIP: Ownership,
    layout.Table.MORTGAGE: Mortgage,
    layout.Table.PRE_NOTICE: PreNotice,
    layout.Table.SEIZURE: Seizure,
    layout.Table.DISSENT: Dissent,
    layout.Table.HABITATION: Habitation,
}


def _ownership(row: Row, owners: Sequence[Owner]) -> dict[str, Any]:
    """GYFS agrees with the number of owners, and shares add up to one (CC 297-299)."""
    form = row.choice("GYFS", layout.CO_OWNERSHIPS)
    if form is CoOwnership.SOLE and len(owners) > 1:
        row.wrong("GYFS", "单独所有只有一个权利人", "sole ownership has one owner")
    if form not in (CoOwnership.SOLE, None) and len(owners) == 1:
        row.wrong("GYFS", "共有须有两个以上权利人", "co-ownership has two owners or more")
    if form is CoOwnership.BY_SHARES:
        shares = [owner.share for owner in owners]
        total = sum((Fraction(s.numerator, s.denominator) for s in shares if s), Fraction())
        if None in shares or total != 1:
            row.wrong("QLBL", "按份共有的份额之和应为1", "the shares must add up to 1")
    return {
        "owners": tuple(owners),
        "co_ownership": form,
        "title": row.certificate("BDCQZH", "TITLE"),
        "price_fen": row.fen("FDCJYJG"),
    }


def _mortgage(row: Row, persons: Persons, booked_at: dt.datetime | None) -> dict[str, Any]:
    """Amounts by kind, terms in order, and three dates that cannot be out of order (handbook 5)."""
    kind = row.choice("DYFS", layout.MORTGAGE_KINDS)
    claim = row.fen("BDBZZQSE", needed=kind is MortgageKind.ORDINARY) or None
    maximum = row.fen("ZGZQSE", needed=kind is MortgageKind.MAXIMUM_AMOUNT) or None
    if kind is MortgageKind.ORDINARY and row.text("BDBZZQSE") and claim is None:
        row.wrong("BDBZZQSE", "一般抵押的债权数额应大于零", "an ordinary mortgage has a claim above 0")
    if kind is MortgageKind.ORDINARY and maximum is not None:
        row.wrong("ZGZQSE", "一般抵押没有最高债权额", "an ordinary mortgage has no maximum amount")
    if kind is MortgageKind.MAXIMUM_AMOUNT and row.text("ZGZQSE") and maximum is None:
        row.wrong("ZGZQSE", "最高债权额应大于零", "the maximum amount must be above 0")
    start, end = _term(row, needed=True)
    first = row.instant("SCDJSJ") or booked_at
    priority = row.instant("YXSJ") or first
    if first is not None and booked_at is not None and first > booked_at:
        row.wrong("SCDJSJ", "首次登记时间晚于登记时间", "first registered after the booking of the row")
    if priority is not None and booked_at is not None and priority > booked_at:
        row.wrong("YXSJ", "优先时间晚于登记时间", "the priority date is after the booking")
    rank = row.count("DYQSW", least=1)
    if rank is None:
        row.required("DYQSW")
    debtors = {person.key for person in persons["ZWR"]}
    is_debtor = any(person.key in debtors for person in persons["DYR"])
    return {
        "kind": kind,
        "mortgagors": tuple(persons["DYR"]),
        "mortgagees": tuple(persons["QLR"]),
        "debtors": tuple(persons["ZWR"]),
        "mortgagor_relation": (MortgagorRelation.DEBTOR if is_debtor else MortgagorRelation.THIRD_PARTY),
        "claim_amount_fen": claim,
        "max_claim_amount_fen": maximum,
        "currency": row.text("BZ") or "CNY",
        "term_start": start,
        "term_end": end,
        "secured_scope": row.text("DBFW") or "/",
        "transfer_restriction": row.choice("SFCZJZHXZ", layout.RESTRICTIONS),
        "first_registered_at": first,
        "collateral_kind": row.choice("DYBDCLX", layout.COLLATERAL_KINDS, "LAND_AND_BUILDING"),
        "rank_at_registration": rank,
        "priority_date": priority,
        "agreed_rank": row.count("YDSW", least=1),
        "proof": row.certificate("BDCDJZMH", "PROOF"),
    }


def _pre_notice(row: Row, persons: Persons) -> dict[str, Any]:
    """QDJG is the price of a sale or the claim of a mortgage, by kind (fields.csv QLF_QL_YGDJ)."""
    kind = row.choice("YGDJZL", layout.PRE_NOTICE_KINDS)
    start, end = _term(row, needed=kind in _MORTGAGE_NOTICES)
    return {
        "kind": kind,
        "holders": tuple(persons["QLR"]),
        "obligors": tuple(persons["YWR"]),
        "amount_fen": row.fen("QDJG", needed=True),
        "contract_number": row.text("JYHTH"),
        "secured_scope": row.text("DBFW") or "/",
        "transfer_restriction": row.choice("SFCZJZHXZ", layout.RESTRICTIONS),
        "term_start": start,
        "term_end": end,
        "registrable_from": row.date("KDJRQ"),
        "proof": row.certificate("BDCDJZMH", "PROOF"),
    }


def _seizure(row: Row, persons: Persons, now: dt.datetime) -> dict[str, Any]:
    """Order and effect follow the service (EX 23; F5 19), so SDSJ is never guessed."""
    served_at = row.instant("SDSJ", needed=True)
    if served_at is not None and served_at > now:
        row.wrong("SDSJ", "送达时间在将来", "the service lies in the future")
    targets = persons["YWR"]
    if len(targets) > 1:
        row.wrong("YWR", "一次查封只有一个被查封人", "a seizure has one target")
    kind: SeizureKind | None = row.choice("CFLX", layout.SEIZURE_KINDS)
    return {
        "kind": kind,
        "target": targets[0] if targets else None,
        "extent": row.text("CFFW") or "全部",
        "authority": row.required("CFJG"),
        "instrument_no": row.required("CFWH"),
        "served_at": served_at,
        "until": row.date("CFJSSJ", needed=True),
    }


def _dissent(row: Row, persons: Persons) -> dict[str, Any]:
    applicants = persons["QLR"]
    if len(applicants) > 1:
        row.wrong("QLR", "一次异议登记只有一个申请人", "a dissent has one applicant")
    return {
        "applicant": applicants[0] if applicants else None,
        "matter": row.required("YYSX"),
        "suit_filed_on": row.date("QSRQ"),
        "court_case_number": row.text("SLAH"),
    }


def _habitation(row: Row, persons: Persons) -> dict[str, Any]:
    holders = persons["QLR"]
    if len(holders) > 1:
        row.wrong("QLR", "居住权人应逐人一条", "write one right of habitation for each holder")
    return {"holder": holders[0] if holders else None, "until": row.date("JZQJSRQ")}


def _term(row: Row, *, needed: bool) -> tuple[dt.date | None, dt.date | None]:
    """Debt term, or claim-fixing period; it does not end before it starts."""
    start = row.date("ZWLXQSSJ", needed=needed)
    end = row.date("ZWLXJSSJ", needed=needed)
    if start is not None and end is not None and end < start:
        row.wrong("ZWLXJSSJ", "期限的结束早于开始", "the term ends before it starts")
    return start, end
