"""What blocks what: which state of the register meets which operation with which verdict.

The table is blocks.csv (handbook 3.4), read once at import and checked to be complete: every state,
every operation, every variant has exactly one cell. A missing cell is an error at start-up, never a
permission at run time. The table also has two states of our own: QUARANTINED (a bad import row) and
SEIZURE_TARGET_NOT_OWNER; both send to a person.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType

from gateway.register.model import Value
from gateway.register.reasons import REASONS

#: The variant of a cell that is not split.
ANY = "*"


class BlocksTableError(Exception):
    """The table lacks a cell, has one twice, or was asked for one that it cannot have."""

    reason = "BLOCKS_TABLE_DEFECT"


class Verdict(IntEnum):
    """Verdicts in order of strictness: of several, the greatest rules (handbook 3.4)."""

    NOT_APPLICABLE = 0
    ALLOW = 1
    WARN = 2
    ALLOW_WITH_CONSENT = 3
    REFER = 4
    WAIT = 5
    BLOCK = 6


class UnitStateCode(StrEnum):
    """A state of a unit, or of a case on it, that has a row in the table."""

    SEIZED = "SEIZED"
    SEIZED_WAITING = "SEIZED_WAITING"
    SEIZURE_ARRIVES_WHILE_PENDING = "SEIZURE_ARRIVES_WHILE_PENDING"
    SEIZURE_TARGET_NOT_OWNER = "SEIZURE_TARGET_NOT_OWNER"
    PRE_SEIZED_HOLDER = "PRE_SEIZED_HOLDER"
    CORRECTION_PENDING = "CORRECTION_PENDING"
    DISSENT = "DISSENT"
    PN_SALE_LIVE = "PN_SALE_LIVE"
    PN_MORTGAGE_LIVE = "PN_MORTGAGE_LIVE"
    MORTGAGE_RESTRICTED = "MORTGAGE_RESTRICTED"
    MORTGAGE_UNRESTRICTED = "MORTGAGE_UNRESTRICTED"
    MORTGAGE_PRE_2021 = "MORTGAGE_PRE_2021"
    MORTGAGE_UNRECORDED = "MORTGAGE_UNRECORDED"
    ADVERSE_TO_OTHER_MORTGAGEE = "ADVERSE_TO_OTHER_MORTGAGEE"
    MAX_AMOUNT_NOT_FIXED = "MAX_AMOUNT_NOT_FIXED"
    CO_OWNED_JOINT = "CO_OWNED_JOINT"
    CO_OWNED_BY_SHARES = "CO_OWNED_BY_SHARES"
    HABITATION = "HABITATION"
    EASEMENT = "EASEMENT"
    NOT_FIRST_REGISTERED = "NOT_FIRST_REGISTERED"
    PROHIBITED_COLLATERAL = "PROHIBITED_COLLATERAL"
    DISPUTED = "DISPUTED"
    RIGHT_EXPIRED = "RIGHT_EXPIRED"
    TAX_UNCLEARED = "TAX_UNCLEARED"
    EARLIER_CASE_PENDING = "EARLIER_CASE_PENDING"
    CONSTRUCTION_MORTGAGE_LIVE = "CONSTRUCTION_MORTGAGE_LIVE"
    UNDER_AGE_OR_INCAPABLE_OWNER = "UNDER_AGE_OR_INCAPABLE_OWNER"
    DATA_FEED_GAP = "DATA_FEED_GAP"
    QUARANTINED = "QUARANTINED"


#: Every operation that the table has a column for (handbook 1.1).
OPERATIONS = (
    "OWNERSHIP_TRANSFER",
    "MORTGAGE_FIRST",
    "MORTGAGE_CHANGE",
    "MORTGAGE_TRANSFER",
    "MORTGAGE_RELEASE",
    "MORTGAGE_CLAIM_FIXING",
    "PRE_NOTICE_CREATE",
    "PRE_NOTICE_CONVERT",
    "PRE_NOTICE_RELEASE",
    "CONSTRUCTION_MORTGAGE_FIRST",
    "CONSTRUCTION_MORTGAGE_CHANGE",
    "CONSTRUCTION_MORTGAGE_TRANSFER",
    "CONSTRUCTION_MORTGAGE_RELEASE",
)

_SHARES = frozenset({"ALL_OWNERS", "TWO_THIRDS", "UNDER_TWO_THIRDS", "OWN_SHARE"})
_BURDEN = frozenset({"ADDS_BURDEN", "NO_BURDEN"})
_RIGHT = frozenset({"NAMES_SAME_RIGHT", "OTHER_RIGHT"})
_LEG = frozenset({"SALE", "MORTGAGE"})
_KIND = frozenset({"KIND_1", "KIND_2", "KIND_3", "KIND_4"})
_KIND_AND_HOLDER = frozenset({"KIND_1", "KIND_2"}) | {
    f"KIND_{kind}_BY_{who}" for kind in (3, 4) for who in ("HOLDER", "OTHER")
}
_LEG_AND_SHARES = frozenset({"MORTGAGE"}) | {f"SALE_{share}" for share in _SHARES}

#: How a cell of an operation may be split; a split is complete or it is an error.
_SPLITS: Mapping[str, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "OWNERSHIP_TRANSFER": (_SHARES,),
        "MORTGAGE_FIRST": (_SHARES,),
        "MORTGAGE_CHANGE": (_SHARES, _BURDEN),
        "MORTGAGE_RELEASE": (_RIGHT,),
        "PRE_NOTICE_CREATE": (_KIND, _KIND_AND_HOLDER, _LEG, _LEG_AND_SHARES),
        "PRE_NOTICE_CONVERT": (_LEG,),
        "PRE_NOTICE_RELEASE": (_RIGHT,),
        "CONSTRUCTION_MORTGAGE_CHANGE": (_BURDEN,),
        "CONSTRUCTION_MORTGAGE_RELEASE": (_RIGHT,),
    }
)

#: Verdicts that need no reason: nothing is told.
_SILENT = frozenset({Verdict.ALLOW, Verdict.NOT_APPLICABLE})


class Cell(Value, frozen=True, kw_only=True):
    """One cell. `condition` is the consent, paper or remark; ALLOW has an empty `reason_code`."""

    state: UnitStateCode
    state_zh: str
    operation: str
    variant: str
    verdict: Verdict
    condition: str
    legal_basis: str
    reason_code: str
    confidence: str


_Cells = Mapping[tuple[str, str], Mapping[str, Cell]]


def verdict(state: str, operation: str, variant: str = ANY) -> Cell:
    """The one cell of a state, an operation and a variant.

    An unsplit cell answers for every variant. Raises BlocksTableError for a state, operation or
    variant that the table does not have, and for ANY where the cell is split.
    """
    cells = _cells_of(state, operation)
    cell = cells.get(ANY) or cells.get(variant)
    if cell is None:
        raise BlocksTableError(
            f"cell {state} × {operation} is split into {sorted(cells)}; {variant!r} is none of them"
        )
    return cell


def variants_of(state: str, operation: str) -> frozenset[str]:
    """The variants into which a cell is split; {"*"} when it is not. Raises BlocksTableError."""
    return frozenset(_cells_of(state, operation))


def load_table(rows: Iterable[Mapping[str, str]]) -> _Cells:
    """Check and index rows with the columns of blocks.csv. Raises BlocksTableError on any gap."""
    table: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in rows:
        cell = _cell(row)
        cells = table.setdefault((cell.state, cell.operation), {})
        if cell.variant in cells:
            raise BlocksTableError(f"cell {_name(cell)} comes twice")
        cells[cell.variant] = cell
    for state in UnitStateCode:
        for operation in OPERATIONS:
            _check_split(state, operation, frozenset(table.get((state, operation), ())))
    return MappingProxyType({key: MappingProxyType(cells) for key, cells in table.items()})


def _cells_of(state: str, operation: str) -> Mapping[str, Cell]:
    try:
        return _TABLE[(state, operation)]
    except KeyError:
        raise BlocksTableError(f"the table has no cell {state} × {operation}") from None


def _cell(row: Mapping[str, str]) -> Cell:
    where = f"{row['state_code']} × {row['operation']} × {row['variant']}"
    if row["operation"] not in OPERATIONS:
        raise BlocksTableError(f"cell {where}: unknown operation")
    try:
        state = UnitStateCode(row["state_code"])
        ruling = Verdict[row["verdict"]]
    except (KeyError, ValueError):
        raise BlocksTableError(f"cell {where}: unknown state or verdict {row['verdict']!r}") from None
    if (ruling in _SILENT) != (not row["reason_code"]):
        raise BlocksTableError(f"cell {where}: {ruling.name} with reason {row['reason_code']!r}")
    if row["reason_code"] and row["reason_code"] not in REASONS:
        raise BlocksTableError(f"cell {where}: reason {row['reason_code']} is not in reasons.csv")
    return Cell(
        state=state,
        state_zh=row["state_zh"],
        operation=row["operation"],
        variant=row["variant"],
        verdict=ruling,
        condition=row["condition_or_consent"],
        legal_basis="" if row["legal_basis"] == "-" else row["legal_basis"],
        reason_code=row["reason_code"],
        confidence=row["confidence"],
    )


def _check_split(state: UnitStateCode, operation: str, found: frozenset[str]) -> None:
    if found == {ANY} or found in _SPLITS.get(operation, ()):
        return
    raise BlocksTableError(
        f"cells {state} × {operation}: {sorted(found) or 'missing'}; a cell is whole (*) or split completely"
    )


def _name(cell: Cell) -> str:
    return f"{cell.state} × {cell.operation} × {cell.variant}"


def _read(path: Path) -> _Cells:
    with path.open(encoding="utf-8", newline="") as lines:
        return load_table(csv.DictReader(lines))


_TABLE = _read(Path(__file__).with_name("blocks.csv"))
