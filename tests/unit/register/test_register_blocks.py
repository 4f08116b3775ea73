"""The blocks table is complete, or the program does not start (handbook 3.4, 12.16)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gateway.register import blocks
from gateway.register.blocks import (
    ANY,
    OPERATIONS,
    BlocksTableError,
    UnitStateCode,
    Verdict,
    load_table,
    variants_of,
    verdict,
)

TABLE = Path(blocks.__file__).with_name("blocks.csv")


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_table_shipped_has_every_cell() -> None:
    """Every state meets every operation, in each variant exactly once."""
    for state in UnitStateCode:
        for operation in OPERATIONS:
            for variant in variants_of(state, operation):
                assert verdict(state, operation, variant).variant == variant


def test_table_with_any_row_missing_is_refused() -> None:
    """A missing cell is an error at start-up, never a permission."""
    rows = _rows()
    for gone in range(len(rows)):
        with pytest.raises(BlocksTableError):
            load_table(rows[:gone] + rows[gone + 1 :])


def test_table_with_a_row_twice_is_refused() -> None:
    """Exactly one row matches."""
    rows = _rows()
    with pytest.raises(BlocksTableError, match="twice"):
        load_table([*rows, rows[7]])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state_code", "NO_SUCH_STATE"),
        ("operation", "NO_SUCH_OPERATION"),
        ("verdict", "MAYBE"),
        ("verdict", "ALLOW"),
        ("reason_code", "R-NONSENSE"),
        ("reason_code", ""),
        ("variant", "KIND_9"),
    ],
)
def test_table_with_a_wrong_value_is_refused(column: str, value: str) -> None:
    """Unknown words, a bar without a reason, and a half-split cell are defects of the table."""
    rows = _rows()
    assert rows[0]["verdict"] == "BLOCK"
    rows[0][column] = value
    with pytest.raises(BlocksTableError):
        load_table(rows)


def test_verdict_of_split_cell_without_variant_is_an_error() -> None:
    """Nobody may guess the part of a split cell."""
    with pytest.raises(BlocksTableError, match="split"):
        verdict("SEIZED", "MORTGAGE_CHANGE")
    assert verdict("SEIZED", "MORTGAGE_CHANGE", "ADDS_BURDEN").verdict is Verdict.BLOCK


def test_verdict_of_whole_cell_answers_for_every_variant() -> None:
    """Variant * means all."""
    assert verdict("SEIZED", "MORTGAGE_FIRST", "ALL_OWNERS") == verdict("SEIZED", "MORTGAGE_FIRST", ANY)


@pytest.mark.parametrize(("state", "operation"), [("SEIZED", "SALE"), ("HAPPY", "MORTGAGE_FIRST")])
def test_verdict_of_unknown_cell_is_an_error(state: str, operation: str) -> None:
    """A state or operation that the table does not know is never allowed."""
    with pytest.raises(BlocksTableError):
        verdict(state, operation)


def test_verdicts_are_ordered_by_strictness() -> None:
    """BLOCK > WAIT > REFER > ALLOW_WITH_CONSENT > WARN > ALLOW > NOT_APPLICABLE."""
    names = ["NOT_APPLICABLE", "ALLOW", "WARN", "ALLOW_WITH_CONSENT", "REFER", "WAIT", "BLOCK"]
    assert [v.name for v in sorted(Verdict)] == names


def test_unconfirmed_cell_is_never_more_than_referred_to_a_person() -> None:
    """What nobody has confirmed is a REFER row."""
    for row in _rows():
        if row["confidence"] == "U":
            assert row["verdict"] == "REFER", row


@pytest.mark.parametrize("operation", OPERATIONS)
def test_quarantined_unit_sends_every_operation_to_a_person(operation: str) -> None:
    """A unit whose import row was bad is looked at before anything happens to it."""
    assert verdict("QUARANTINED", operation).verdict is Verdict.REFER
