"""带押过户和预告转本: the modes in which a mortgaged unit is sold, each as data (N29; handbook 2; modes.csv).

A mode is a chain of phases with waits between them; a phase is a list of steps that are booked in this order, all or
none. Which modes a registry offers is its profile. The law that binds the steps together is encumbered_transfer.py,
the law of each step its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import AnyOperation, PreNoticeConvert, PreNoticeCreate, operation_name
from gateway.register.model import Value


class Gate(StrEnum):
    """What must hold at booking and never stops acceptance (handbook 2.3)."""

    TAX = "TAX"  # deed tax, seller's income tax, land VAT (DT 11; PIT 15; land VAT rules 12)
    PAYOFF = "PAYOFF"  # the old loan is paid off, or its payment undertaken and the undertaking accepted


class Step(Value, frozen=True, kw_only=True):
    """One step of a phase; several operations in a row may fill it (two old mortgages, two new ones).

    `operation` is the operation's name, with /SALE or /MORTGAGE for what a pre-notice is of. An `optional` step is
    there where the case needs it. One that books `by_itself` need not be asked for where the profile says
    `convert_on_transfer` (Zhongshan, ZS).
    """

    operation: str
    zh: str
    en: str
    optional: bool = False
    by_itself: bool = False


class Phase(Value, frozen=True, kw_only=True):
    """One phase: what is booked together, who applies besides the sides, what gates it, what it leaves behind."""

    steps: tuple[Step, ...]
    gates: frozenset[Gate] = frozenset()
    old_joins: bool = False  # the old mortgagee applies with the sides, whatever its restriction says
    after_zh: str
    after_en: str


class Mode(Value, frozen=True, kw_only=True):
    """A mode. `of_n29`: one of the national modes, which need a regular old loan and the parties' agreement (N29).

    `needs_old`: there is an old mortgage. `lends`: a new mortgage comes.
    """

    code: str
    zh: str
    phases: tuple[Phase, ...]
    source: str
    of_n29: bool = True
    needs_old: bool = True
    lends: bool = True


def step_name(operation: AnyOperation) -> str:
    """The operation as a step names it."""
    name = operation_name(operation)
    match operation:
        case PreNoticeCreate():
            return f"{name}/{'SALE' if operation.mortgage is None else 'MORTGAGE'}"
        case PreNoticeConvert():
            return f"{name}/{'SALE' if operation.transfer is not None else 'MORTGAGE'}"
        case _:
            return name


_TRANSFER: Final = Step(operation="OWNERSHIP_TRANSFER", zh="转移登记（卖方→买方）", en="seller to buyer")
_RELEASE_OLD: Final = Step(operation="MORTGAGE_RELEASE", zh="抵押权注销登记（原抵押权）", en="old mortgage")
_FIRST_NEW: Final = Step(operation="MORTGAGE_FIRST", zh="抵押权首次登记（新抵押权）", en="new mortgage")
_MOVE_OLD: Final = Step(
    operation="MORTGAGE_TRANSFER",
    zh="抵押权转移登记（原抵押权人→新抵押权人）",
    en="old mortgage to the new bank, where there are two",
    optional=True,
)
_CHANGE_OLD: Final = Step(
    operation="MORTGAGE_CHANGE",
    zh="抵押权变更登记（原抵押权）",
    en="old mortgage: mortgagor, debtor, amount, term",
)
_NOTE_SALE: Final = Step(operation="PRE_NOTICE_CREATE/SALE", zh="买卖预告登记", en="pre-notice of the sale")
_NOTE_MORTGAGE: Final = Step(
    operation="PRE_NOTICE_CREATE/MORTGAGE", zh="抵押权预告登记", en="pre-notice of the mortgage"
)
_CONVERT_SALE: Final = Step(
    operation="PRE_NOTICE_CONVERT/SALE",
    zh="买卖预告登记转为转移登记",
    en="the sale's pre-notice becomes the transfer",
)
_CONVERT_MORTGAGE: Final = Step(
    operation="PRE_NOTICE_CONVERT/MORTGAGE",
    zh="抵押权预告登记转为抵押权首次登记",
    en="the mortgage's pre-notice becomes the mortgage",
)
#: Of a pre-sold unit, whose mortgage pre-notice may turn into the mortgage with the transfer.
_CONVERT_PRE_SALE_MORTGAGE: Final = replace(_CONVERT_MORTGAGE, by_itself=True)
_RELEASE_UNIT: Final = Step(
    operation="CONSTRUCTION_MORTGAGE_RELEASE",
    zh="在建建筑物抵押权注销登记（仅该单元）",
    en="construction mortgage, for this unit only",
)
_TAX: Final = frozenset({Gate.TAX})
_BOTH: Final = frozenset({Gate.TAX, Gate.PAYOFF})


#: The release goes before the new mortgage, so that rank 1 is printed (S11; N29's text names it last).
ET_COMBINED: Final = Mode(
    code="ET_COMBINED",
    zh="新旧抵押权组合",
    phases=(
        Phase(
            steps=(_TRANSFER, _RELEASE_OLD, _FIRST_NEW),
            gates=_BOTH,
            after_zh="买方所有；仅有新抵押权，第1顺位",
            after_en="the buyer owns; the new mortgage alone, rank 1",
        ),
    ),
    source="N29 mode 1; S11 package 3",
)

ET_SEGMENTED: Final = Mode(
    code="ET_SEGMENTED",
    zh="新旧抵押权分段",
    phases=(
        Phase(
            steps=(_TRANSFER, _FIRST_NEW),
            gates=_TAX,
            after_zh="买方所有；原抵押权第1顺位，新抵押权第2顺位",
            after_en="the buyer owns; old mortgage rank 1, new mortgage rank 2",
        ),
        Phase(
            steps=(_RELEASE_OLD,),
            after_zh="新抵押权事实上升为第1顺位",
            after_en="the new mortgage is first in fact",
        ),
    ),
    source="N29 mode 2; S11 package 2; HH",
)

ET_CHANGE: Final = Mode(
    code="ET_CHANGE",
    zh="抵押权变更",
    phases=(
        Phase(
            steps=(_TRANSFER, _MOVE_OLD, _CHANGE_OLD),
            gates=_TAX,
            after_zh="买方所有；同一抵押权，顺位不变",
            after_en="the buyer owns; the same mortgage keeps its rank",
        ),
    ),
    source="N29 mode 3; S11 package 1",
)

ET_THREE_IN_ONE: Final = Mode(
    code="ET_THREE_IN_ONE",
    zh="存量房带抵押三合一",
    phases=(
        Phase(
            steps=(_TRANSFER, _CHANGE_OLD, _FIRST_NEW),
            gates=_TAX,
            after_zh="买方所有；变更后的原抵押权第1顺位，新抵押权第2顺位",
            after_en="the buyer owns; old mortgage as changed rank 1, new mortgage rank 2",
        ),
        Phase(steps=(_RELEASE_OLD,), after_zh="仅有新抵押权", after_en="the new mortgage alone"),
    ),
    source="S12",
)

ET_DOUBLE_PRE_NOTICE: Final = Mode(
    code="ET_DOUBLE_PRE_NOTICE",
    zh="双预告登记及预转本",
    phases=(
        Phase(
            steps=(_NOTE_SALE, _NOTE_MORTGAGE),
            after_zh="原抵押权第1顺位；买卖、抵押两项预告登记",
            after_en="old mortgage rank 1; pre-notices of sale and mortgage",
        ),
        Phase(
            steps=(_CONVERT_SALE, _CONVERT_MORTGAGE),
            gates=_TAX,
            after_zh="买方所有；原抵押权第1顺位，新抵押权自预告登记之日起第2顺位",
            after_en="the buyer owns; old mortgage rank 1, new one rank 2, dated from its pre-notice",
        ),
        Phase(steps=(_RELEASE_OLD,), after_zh="仅有新抵押权", after_en="the new mortgage alone"),
    ),
    source="S10; SZ",
)

ET_DOUBLE_PRE_NOTICE_RELEASE: Final = Mode(
    code="ET_DOUBLE_PRE_NOTICE_RELEASE_WITH_CONVERSION",
    zh="双预告登记，转本时注销原抵押权",
    phases=(
        ET_DOUBLE_PRE_NOTICE.phases[0],
        Phase(
            steps=(_RELEASE_OLD, _CONVERT_SALE, _CONVERT_MORTGAGE),
            gates=_BOTH,
            after_zh="买方所有；仅有新抵押权，第1顺位",
            after_en="the buyer owns; the new mortgage alone, rank 1",
        ),
    ),
    source="handbook 2.3 (common practice)",
)

PN_SALE_THEN_CONVERT: Final = Mode(
    code="PN_SALE_THEN_CONVERT",
    zh="二手房买卖预告后转本并抵押",
    phases=(
        Phase(
            steps=(_NOTE_SALE,),
            after_zh="买卖预告登记，证明载明合同编号和总价",
            after_en="the sale's pre-notice; its proof carries contract number and price",
        ),
        Phase(
            steps=(
                Step(
                    operation="MORTGAGE_RELEASE",
                    zh="抵押权注销登记（如有原抵押权）",
                    en="old mortgage, where there is one",
                    optional=True,
                ),
                _CONVERT_SALE,
                _FIRST_NEW,
            ),
            gates=_BOTH,
            after_zh="买方所有；新抵押权",
            after_en="the buyer owns; the new mortgages",
        ),
    ),
    source="S13",
    of_n29=False,
    needs_old=False,
)

ET_CASH_PRE_NOTICE: Final = Mode(
    code="ET_CASH_PRE_NOTICE",
    zh="一次性付款预告模式",
    phases=(
        Phase(
            steps=(_NOTE_SALE,),
            old_joins=True,
            after_zh="原抵押权第1顺位；买卖预告登记",
            after_en="old mortgage rank 1; pre-notice of the sale",
        ),
        Phase(
            steps=(_RELEASE_OLD,),
            after_zh="无抵押权；买卖预告登记",
            after_en="no mortgage; pre-notice of the sale",
        ),
        Phase(steps=(_CONVERT_SALE,), gates=_TAX, after_zh="买方所有", after_en="the buyer owns"),
    ),
    source="HH",
    lends=False,
)

NB_PRESALE_CASH: Final = Mode(
    code="NB_PRESALE_CASH",
    zh="一手房带押过户：预售、非按揭",
    phases=(
        Phase(
            steps=(_RELEASE_UNIT, _NOTE_SALE),
            after_zh="该单元上无在建建筑物抵押权（其余单元换发证明）；预售买卖预告登记",
            after_en="no construction mortgage on the unit, a new proof of it for the rest; pre-notice of the pre-sale",
        ),
        Phase(steps=(_CONVERT_SALE,), gates=_TAX, after_zh="买方所有", after_en="the buyer owns"),
    ),
    source="GZ; RD 85, 86",
    of_n29=False,
    lends=False,
)

NB_PRESALE_LOAN: Final = Mode(
    code="NB_PRESALE_LOAN",
    zh="一手房带押过户：预售、按揭",
    phases=(
        Phase(
            steps=(_RELEASE_UNIT, _NOTE_SALE, _NOTE_MORTGAGE),
            after_zh="该单元上无在建建筑物抵押权（其余单元换发证明）；预售买卖、抵押两项预告登记",
            after_en="no construction mortgage on the unit, a new proof of it for the rest; pre-notices of pre-sale "
            "and mortgage",
        ),
        Phase(
            steps=(_CONVERT_SALE, _CONVERT_PRE_SALE_MORTGAGE),
            gates=_TAX,
            after_zh="买方所有；新抵押权自预告登记之日起第1顺位",
            after_en="the buyer owns; the new mortgage rank 1, dated from its pre-notice",
        ),
    ),
    source="GZ; RD 85, 86; SIG 52",
    of_n29=False,
)

MODES: Final[Mapping[str, Mode]] = {
    mode.code: mode
    for mode in (
        ET_COMBINED,
        ET_SEGMENTED,
        ET_CHANGE,
        ET_THREE_IN_ONE,
        ET_DOUBLE_PRE_NOTICE,
        ET_DOUBLE_PRE_NOTICE_RELEASE,
        PN_SALE_THEN_CONVERT,
        ET_CASH_PRE_NOTICE,
        NB_PRESALE_CASH,
        NB_PRESALE_LOAN,
    )
}
