"""The layout of a register file: tables, columns and code lists (docs/register-import.md).

Names and codes are those of the register database (不动产登记数据库标准, as seen in vendors'
exchange tables); columns marked "ours" fill what the standard has no name for. Nothing here reads a
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from gateway.register.model import (
    Capacity,
    CoOwnership,
    IdKind,
    MortgageKind,
    PreNoticeKind,
    SeizureKind,
    TransferRestriction,
    UnitHold,
    UnitKind,
    Value,
)


class Table(StrEnum):
    """What a row is about: the value of the column TABLE."""

    UNIT = "UNIT"  # ours: a unit without ownership, such as one never first-registered
    OWNERSHIP = "QLT_FW_FDCQ_YZ"
    MORTGAGE = "QLF_QL_DYAQ"
    PRE_NOTICE = "QLF_QL_YGDJ"
    SEIZURE = "QLF_QL_CFDJ"
    DISSENT = "QLF_QL_YYDJ"
    HABITATION = "QLF_QL_JZQ"  # ours: the standard's name is not verified


#: Tables by the value of the column.
TABLES = {table.value: table for table in Table}


class Role(Value, frozen=True, kw_only=True):
    """A person of a row: the columns of name, id kind and id number."""

    name: str
    kind: str
    number: str


HOLDER = Role(name="QLR", kind="ZJZL", number="ZJH")
MORTGAGOR = Role(name="DYR", kind="DYRZJZL", number="DYRZJH")
DEBTOR = Role(name="ZWR", kind="ZWRZJZL", number="ZWRZJH")
OBLIGOR = Role(name="YWR", kind="YWRZJZL", number="YWRZJH")
GUARDIAN = Role(name="JHR", kind="JHRZJZL", number="JHRZJH")

#: Columns that say something of the unit; read on UNIT and OWNERSHIP rows alone.
UNIT_COLUMNS = (
    "QXDM", "ZL", "DYLX", "QLLX", "FWYT", "FWXZ", "JZMJ", "SZC", "ZCS", "TDSYJSSJ", "SCDJ", "DYXZ",
)  # fmt: skip

_BOOKING_COLUMNS = ("YWH", "DJSJ", "DBR")

#: Columns that say something of the right as a whole: blank or the same on each of its rows.
RIGHT_COLUMNS: Mapping[Table, tuple[str, ...]] = MappingProxyType(
    {
        Table.UNIT: (),
        Table.OWNERSHIP: (*_BOOKING_COLUMNS, "GYFS", "BDCQZH", "FDCJYJG"),
        Table.MORTGAGE: (
            *_BOOKING_COLUMNS, "BDCDJZMH", "DYFS", "DYBDCLX", "BDBZZQSE", "ZGZQSE", "BZ",
            "ZWLXQSSJ", "ZWLXJSSJ", "DBFW", "SFCZJZHXZ", "DYQSW", "SCDJSJ", "YXSJ", "YDSW",
        ),
        Table.PRE_NOTICE: (
            *_BOOKING_COLUMNS, "BDCDJZMH", "YGDJZL", "QDJG", "JYHTH", "ZWLXQSSJ", "ZWLXJSSJ",
            "DBFW", "SFCZJZHXZ", "KDJRQ",
        ),
        Table.SEIZURE: (*_BOOKING_COLUMNS, "CFJG", "CFLX", "CFWH", "CFFW", "SDSJ", "CFJSSJ"),
        Table.DISSENT: (*_BOOKING_COLUMNS, "YYSX", "QSRQ", "SLAH"),
        Table.HABITATION: (*_BOOKING_COLUMNS, "JZQJSRQ"),
    }
)  # fmt: skip

#: Persons of each table, all of them needed.
ROLES: Mapping[Table, tuple[Role, ...]] = MappingProxyType(
    {
        Table.UNIT: (),
        Table.OWNERSHIP: (HOLDER,),
        Table.MORTGAGE: (HOLDER, MORTGAGOR, DEBTOR),
        Table.PRE_NOTICE: (HOLDER, OBLIGOR),
        Table.SEIZURE: (OBLIGOR,),
        Table.DISSENT: (HOLDER,),
        Table.HABITATION: (HOLDER,),
    }
)

#: What else a holder may say of itself; each row is one holder.
PERSON_COLUMNS = ("QLBL", "GJ", "DH", "DZ", "XWNL")

_ROLE_COLUMNS = tuple(
    column
    for role in (HOLDER, MORTGAGOR, DEBTOR, OBLIGOR, GUARDIAN)
    for column in (role.name, role.kind, role.number)
)

#: Every column that is read, in the order in which we write files.
COLUMNS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            "TABLE",
            "BDCDYH",
            "QSZT",
            *_BOOKING_COLUMNS,
            *UNIT_COLUMNS,
            *_ROLE_COLUMNS,
            *PERSON_COLUMNS,
            *(column for columns in RIGHT_COLUMNS.values() for column in columns),
        )
    )
)

REQUIRED_COLUMNS = ("TABLE", "BDCDYH")

#: Other names under which vendors write a column.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "QLRMC": "QLR",
        "GHYT": "FWYT",
        "DYSW": "DYQSW",
        "ZWLXKSQX": "ZWLXQSSJ",
        "ZWLXJSQX": "ZWLXJSSJ",
        "CFSJ": "SDSJ",
        "BDCZL": "ZL",
    }
)

#: Columns of the standard that a file may carry and that the register does not keep.
UNREAD_COLUMNS = frozenset(
    {
        "YSDM", "SXH", "DJLX", "DJYY", "DJJG", "FJ", "SSYWH", "QZYSXLH", "SFCZR", "FZJG", "SSHY",
        "HJSZSS", "XB", "YB", "GZDW", "DZYJ", "QLRLX", "GYQK", "DYRLX", "MJDW", "DYMJ", "JEDW",
        "DYQX",        "SFYGDJ", "CFWJ", "CFQSSJ", "TDSYQR", "FWJG", "ZGZQQDSS",
    }
)  # fmt: skip

#: Columns whose values are never repeated in full in a report (PIPL).
PERSONAL_COLUMNS = frozenset(
    {role.number for role in (HOLDER, MORTGAGOR, DEBTOR, OBLIGOR, GUARDIAN)} | {"DH", "DZ"}
)

UNIT_KINDS = {kind.value: kind for kind in UnitKind}

LAND_NATURES = {
    "1": "COLLECTIVE_LAND_OWNERSHIP",
    "2": "STATE_LAND_OWNERSHIP",
    "3": "STATE_CONSTRUCTION_LAND",
    "4": "STATE_CONSTRUCTION_LAND",
    "5": "HOMESTEAD",
    "6": "HOMESTEAD",
    "7": "COLLECTIVE_CONSTRUCTION_LAND",
    "8": "COLLECTIVE_CONSTRUCTION_LAND",
    "99": "OTHER",
}

USES = {
    "1": "RESIDENTIAL",
    "2": "COMMERCIAL",
    "3": "OFFICE",
    "4": "INDUSTRIAL",
    "5": "STORAGE",
    "6": "GARAGE",
    "99": "OTHER",
}

HOUSING_KINDS = {
    "0": "MARKET",
    "1": "RELOCATION",
    "2": "SUPPORTING",
    "3": "PUBLIC_RENTAL",
    "4": "LOW_RENT",
    "5": "PRICE_CAPPED",
    "6": "AFFORDABLE",
    "7": "DESIGNATED_SALE",
    "8": "COLLECTIVE_FUNDED",
    "9": "WELFARE",
    "99": "OTHER",
}

HOLDS = {hold.value: hold for hold in UnitHold if hold is not UnitHold.QUARANTINED}

ID_KINDS = {
    "1": IdKind.RESIDENT_ID,
    "2": IdKind.HKMOTW_ID,
    "3": IdKind.PASSPORT,
    "4": IdKind.HUKOU,
    "5": IdKind.MILITARY_ID,
    "6": IdKind.ORG_CODE,
    "7": IdKind.USCC,
    "99": IdKind.OTHER,
}

CAPACITIES = {"1": Capacity.FULL, "2": Capacity.LIMITED, "3": Capacity.NONE}

CO_OWNERSHIPS = {
    "0": CoOwnership.SOLE,
    "1": CoOwnership.JOINT,
    "2": CoOwnership.BY_SHARES,
    "3": CoOwnership.OTHER,
}

MORTGAGE_KINDS = {"1": MortgageKind.ORDINARY, "2": MortgageKind.MAXIMUM_AMOUNT}

COLLATERAL_KINDS = {
    "1": "LAND",
    "2": "LAND_AND_BUILDING",
    "3": "FOREST",
    "4": "LAND_AND_CONSTRUCTION",
    "5": "SEA",
    "6": "SEA_AND_STRUCTURE",
    "7": "OTHER",
}

#: A blank is UNRECORDED and never NONE (handbook 3.1).
RESTRICTIONS = {
    "": TransferRestriction.UNRECORDED,
    "0": TransferRestriction.NONE,
    "1": TransferRestriction.RESTRICTED,
}

PRE_NOTICE_KINDS = {
    "1": PreNoticeKind.PRESALE_SALE,
    "2": PreNoticeKind.OTHER_SALE,
    "3": PreNoticeKind.PRESALE_MORTGAGE,
    "4": PreNoticeKind.OTHER_MORTGAGE,
}

#: 5 is a vendor's 续封: the seizure as renewed.
SEIZURE_KINDS = {
    "1": SeizureKind.SEIZURE,
    "2": SeizureKind.WAITING_SEIZURE,
    "3": SeizureKind.PRE_SEIZURE,
    "4": SeizureKind.WAITING_PRE_SEIZURE,
    "5": SeizureKind.SEIZURE,
}

YES_NO = {"0": False, "1": True}

#: QSZT 权属状态. Historical (2) and ended (3) rows are passed over; 0 is no register row at all.
LIVE_STATUSES = frozenset({"", "1"})
PAST_STATUSES = frozenset({"2", "3"})
