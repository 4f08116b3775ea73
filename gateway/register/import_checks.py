"""What must hold across the rights of a register file: units, owners, ranks, proofs.

Problems are noted on the first row of the right at fault.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

from gateway.register.import_row import Row
from gateway.register.model import AnyRight, CertificateScheme, Mortgage, Ownership, PreNotice, Unit
from gateway.register.states import CONSTRUCTION_COLLATERAL

#: A right as built, with its first row.
Built = tuple[AnyRight, Row]


def cross_check(units: Mapping[str, Unit], known_units: Collection[str], rights: Sequence[Built]) -> None:
    """Note what does not fit together.

    `known_units` are in the register already, or have an ownership row of any quality.
    """
    on_unit: dict[str, list[Built]] = {}
    for right, row in rights:
        for code in right.units:
            if code not in units and code not in known_units:
                row.wrong(
                    "BDCDYH",
                    f"文件中没有单元 {code} 的 UNIT 行或者所有权行，无法隔离，须先改正",
                    f"unit {code} has no UNIT or ownership row: no quarantine holds it, mend it",
                    "UNIT_UNKNOWN",
                    stops=not isinstance(right, Ownership),
                )
            on_unit.setdefault(code, []).append((right, row))
    for code, built in on_unit.items():
        _check_ownership(code, code in known_units, built)
        _check_ranks([(right, row) for right, row in built if isinstance(right, Mortgage)])
    _check_proofs(rights)


def _check_ownership(code: str, is_known: bool, built: Sequence[Built]) -> None:
    """One live ownership a unit; a mortgage needs one, save that of a building site (RD 24, 75)."""
    owners = [row for right, row in built if isinstance(right, Ownership)]
    for row in owners[1:]:
        row.wrong(
            "YWH",
            f"单元 {code} 已有现势所有权（第{owners[0].line}行）",
            f"unit {code} has a live ownership already (line {owners[0].line})",
            "ROWS_CONTRADICT",
        )
    if owners or is_known:
        return
    for right, row in built:
        if isinstance(right, Mortgage) and right.collateral_kind != CONSTRUCTION_COLLATERAL:
            row.wrong(
                "BDCDYH",
                f"单元 {code} 没有现势所有权，不能有抵押权",
                f"unit {code} has no live ownership: it cannot carry a mortgage",
                "UNIT_WITHOUT_OWNER",
            )


def _check_ranks(built: Sequence[tuple[Mortgage, Row]]) -> None:
    """Rank follows the order of registration unless another is agreed (CC 414; RD 67)."""
    in_time = sorted(built, key=lambda b: (b[0].priority_date, b[0].rank_at_registration))
    for (earlier, before), (later, row) in itertools.pairwise(in_time):
        if earlier.agreed_rank is not None or later.agreed_rank is not None:
            continue
        if later.rank_at_registration <= earlier.rank_at_registration:
            row.wrong(
                "DYQSW",
                f"与第{before.line}行的顺位和登记先后不符；有约定顺位的请填写 YDSW",
                f"contradicts line {before.line} by order of registration; an agreed rank is YDSW",
                "ROWS_CONTRADICT",
            )


def _check_proofs(built: Sequence[Built]) -> None:
    """A national proof number is one right's."""
    seen: dict[str, Row] = {}
    for right, row in built:
        if not isinstance(right, Mortgage | PreNotice):
            continue
        if right.proof.scheme is not CertificateScheme.NATIONAL:
            continue
        first = seen.setdefault(right.proof.number, row)
        if first is not row:
            row.wrong(
                "BDCDJZMH",
                f"与第{first.line}行的登记证明号相同",
                f"is the proof number of line {first.line} too",
                "ROWS_CONTRADICT",
            )
