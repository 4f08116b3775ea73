"""What blocks.csv says of an operation, and of the steps of a mode, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.lawbook.markdown import many, table
from gateway.lawbook.telling import VERDICTS
from gateway.register.blocks import ANY, Cell, UnitStateCode, Verdict, variants_of, verdict

#: Verdicts that say nothing to anybody.
_SILENT = frozenset({Verdict.ALLOW, Verdict.NOT_APPLICABLE})

#: Which variants of a cell a step of a sale, or of a mortgage, can meet.
_LEGS = {"SALE": ("SALE", "KIND_1", "KIND_2"), "MORTGAGE": ("MORTGAGE", "KIND_3", "KIND_4")}


def by_operation(operation: str) -> str:
    """The operation's column, strictest first; what passes in silence is one line below."""
    cells = [cell for state in UnitStateCode for cell in cells_of(state, operation)]
    telling = sorted((c for c in cells if c.verdict not in _SILENT), key=lambda c: -c.verdict)
    heads = ("登记簿状态 state", "处理 verdict", "须有 condition", "依据 article", "原因 reason")
    rows = [
        (
            f"{c.state_zh}<br>`{c.state}`{_variant(c)}",
            VERDICTS[c.verdict],
            c.condition,
            c.legal_basis,
            f"[{c.reason_code}](../reasons.md)" if c.reason_code else "",
        )
        for c in telling
    ]
    silent = [f"`{c.state}`{_variant(c)}" for c in cells if c.verdict is Verdict.ALLOW]
    foreign = [f"`{c.state}`{_variant(c)}" for c in cells if c.verdict is Verdict.NOT_APPLICABLE]
    return (
        table(heads, rows)
        + f"\n通过、无须告知 passes in silence: {'、'.join(silent) or '–'}。"
        + f"不适用 not applicable: {'、'.join(foreign) or '–'}。\n"
    )


def by_step(steps: Sequence[str]) -> str:
    """One column a step (`OPERATION` or `OPERATION/LEG`); states that say something to at least one of them."""
    steps = tuple(dict.fromkeys(steps))
    rows = []
    for state in UnitStateCode:
        met = [_met(state, step) for step in steps]
        if any(cell.verdict not in _SILENT for cells in met for cell in cells):
            rows.append((f"{met[0][0].state_zh}<br>`{state}`", *(_verdicts(cells) for cells in met)))
    heads = [step.replace("/", "<br>/") for step in steps]
    return table(("登记簿状态 state", *heads), rows)


def cells_of(state: UnitStateCode, operation: str) -> tuple[Cell, ...]:
    """The cells of a state and an operation, one for each variant."""
    return tuple(verdict(state, operation, variant) for variant in sorted(variants_of(state, operation)))


def _met(state: UnitStateCode, step: str) -> tuple[Cell, ...]:
    operation, _, leg = step.partition("/")
    cells = cells_of(state, operation)
    if not leg or cells[0].variant == ANY:
        return cells
    here = tuple(c for c in cells if c.variant.startswith(_LEGS[leg]))
    return here or cells


def _verdicts(cells: Iterable[Cell]) -> str:
    return many(
        VERDICTS[c.verdict] + (f" {c.reason_code}" if c.reason_code else "") + _variant(c) for c in cells
    )


def _variant(cell: Cell) -> str:
    return "" if cell.variant == ANY else f"（{cell.variant}）"
