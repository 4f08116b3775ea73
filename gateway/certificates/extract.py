"""What a sealed extract 不动产登记查询结果 says: a unit as the register has it, at one entry of the ledger.

Fixed in the entry that records the look, attached to the PDF, sealed like a certificate: online it counts as what the
counter prints (S14: 与线下窗口出具查询结果具有同等法律效力). It proves what the register said then, not what it says
now. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from gateway.register.identifiers import mask
from gateway.register.model import (
    AnyRight,
    LoanPortion,
    Mortgage,
    Owner,
    Ownership,
    Party,
    PreNotice,
    Unit,
    UnitState,
    Value,
)

EXTRACT_SCHEMA: Final = "diya-extract/v1"
EXTRACT_PART: Final = "extract/1"
EXTRACT_ATTACHMENT: Final = "extract.json"


#: What stands for the operation of a case of the authority's own counter.
COUNTER_CASE: Final = "COUNTER"


class Reader(Value, frozen=True, kw_only=True):
    """Who asked 查询人, on which ground and what for."""

    kind: str  # INSTITUTION, REGISTRAR
    identifier: str
    name: str
    basis: str
    purpose: str
    instrument: str = ""  # number of the paper by which a court asks


class CaseShown(Value, frozen=True, kw_only=True):
    """An open case on the unit; its number is told to its parties only."""

    operations: tuple[str, ...]
    accepted_at: dt.datetime | None = None
    case_number: str = ""


class ExtractContent(Value, frozen=True, kw_only=True, omit_defaults=False):
    """The content of one extract. `rights` are the live ones, as far as the reader's basis reaches.

    Its schema is always written out: by it a verifier tells an extract from a certificate.
    """

    schema: str = EXTRACT_SCHEMA
    number: str  # 查询编号
    registry: str
    issuer_name: str
    issuer_code: str
    asked_at: dt.datetime
    as_of_index: int  # the last entry that it includes
    reader: Reader
    unit: Unit
    rights: tuple[AnyRight, ...]
    open_cases: tuple[CaseShown, ...] = ()
    test: bool = False


def encode_extract(content: ExtractContent) -> bytes:
    """The bytes that are salted, hashed into the entry and attached to the PDF: JSON in field order."""
    return msgspec.json.encode(content)


def decode_extract(data: bytes) -> ExtractContent:
    """Parse `encode_extract` output; raises msgspec.ValidationError."""
    return msgspec.json.decode(data, type=ExtractContent)


def is_extract(data: bytes) -> bool:
    """Whether these are the data of an extract and not of a certificate."""
    try:
        return msgspec.json.decode(data, type=_Headed).schema == EXTRACT_SCHEMA
    except msgspec.MsgspecError:
        return False


class _Headed(Value, frozen=True, kw_only=True):
    schema: str = ""


def rights_shown(state: UnitState, whole: Callable[[AnyRight], bool]) -> tuple[AnyRight, ...]:
    """The live rights for one reader, mortgages and seizures in their order.

    Of rights that are not its own it sees no identity number of a person whole, no price, no loan's portions, no note
    and no other unit (PIPL 6; handbook 12.13); telephones and addresses nobody sees on an extract.
    """
    ordered: tuple[AnyRight, ...] = (*state.mortgages, *state.pre_notices, *state.seizures)
    ranked = {r.right_id for r in ordered}
    rest = [r for r in state.rights if r.right_id not in ranked]
    return tuple(_shown(r, state.unit.unit_code, whole=whole(r)) for r in (*rest, *ordered))


def _shown(right: AnyRight, unit_code: str, *, whole: bool) -> AnyRight:
    changes: dict[str, Any] = {
        name: _bare(getattr(right, name), whole=whole) for name in right.__struct_fields__
    }
    if not whole:
        changes |= {"units": (unit_code,), "note": ""}
        match right:
            case Ownership():
                changes["price_fen"] = None
            case Mortgage():
                changes["loan_portions"] = ()
            case PreNotice():
                changes["contract_number"] = ""
            case _:
                pass
    return replace(right, **changes)


def _bare(value: Any, *, whole: bool) -> Any:
    match value:
        case Party():
            number = value.id_number if whole or value.is_institution else mask(value.id_number)
            return Party(name=value.name, id_kind=value.id_kind, id_number=number, country=value.country)
        case Owner():
            return replace(value, person=_bare(value.person, whole=whole))
        case LoanPortion():
            bank = value.entrusted_bank
            return replace(
                value,
                creditor=_bare(value.creditor, whole=whole),
                entrusted_bank=_bare(bank, whole=whole) if bank else None,
            )
        case tuple():
            return tuple(_bare(item, whole=whole) for item in value)
        case _:
            return value
