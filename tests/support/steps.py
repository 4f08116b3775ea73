"""Operations as a bank's terms have them on the wire, by the ids of their parties: S sells, Y buys, A and B lend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.client import manifest as build
from gateway.client import operations
from gateway.pb.diya.v1 import operations_pb2
from gateway.register.model import Mortgage
from gateway.register.sample import SampleUnit
from tests.support.stage import Town

PRICE_FEN = 200_000_000
CLAIM_FEN = 120_000_000
SCOPE = "主债权、利息、违约金"


def content(
    town: Town, mortgagor: str | Sequence[str], mortgagee: str | Sequence[str], fen: int, **changes: Any
) -> operations_pb2.MortgageContent:
    """An ordinary mortgage of twenty years from today on; `changes` are fields of the message."""
    today = town.clock().date()
    mortgagors = [mortgagor] if isinstance(mortgagor, str) else list(mortgagor)
    mortgagees = [mortgagee] if isinstance(mortgagee, str) else list(mortgagee)
    made = operations.mortgage_content(
        mortgagors=mortgagors,
        mortgagees=mortgagees,
        debtors=mortgagors,
        claim_fen=fen,
        term=(today, today.replace(year=today.year + 20, day=1)),
        restricted=False,
        secured_scope=SCOPE,
    )
    for name, value in changes.items():
        made.ClearField(name)  # type: ignore[arg-type]
        made.MergeFrom(operations_pb2.MortgageContent(**{name: value}))
    return made


def as_recorded(
    row: Mortgage, mortgagor: str, mortgagee: str, **changes: Any
) -> operations_pb2.MortgageContent:
    """What a mortgage of record says, with other parties or fields."""
    made = operations.mortgage_content(
        mortgagors=[mortgagor],
        mortgagees=[mortgagee],
        debtors=[mortgagor],
        claim_fen=row.claim_amount_fen or 0,
        term=(row.term_start, row.term_end),
        restricted=row.transfer_restriction == "RESTRICTED",
        restriction_text=row.restriction_text,
        secured_scope=row.secured_scope,
    )
    for name, value in changes.items():
        made.ClearField(name)  # type: ignore[arg-type]
        made.MergeFrom(operations_pb2.MortgageContent(**{name: value}))
    return made


def change(
    proof: str,
    items: Iterable[str],
    new: operations_pb2.MortgageContent,
    applicants: Sequence[str],
    unit_codes: Sequence[str] = (),
) -> operations_pb2.Operation:
    """抵押权变更登记."""
    return operations_pb2.Operation(
        reason="变更",
        applicants=applicants,
        mortgage_change=operations_pb2.MortgageChange(
            mortgage=build.right(proof, unit_codes),
            items=[operations_pb2.MortgageChangeItem.Value(f"MORTGAGE_CHANGE_ITEM_{item}") for item in items],
            content=new,
        ),
    )


def moved(
    proof: str,
    assignor: str,
    assignee: str,
    *,
    ground: str = "CLAIM_ASSIGNMENT",
    applicants: Sequence[str] = (),
    told_on: dt.date | None = None,
) -> operations_pb2.Operation:
    """抵押权转移登记."""
    return operations_pb2.Operation(
        reason="转移",
        applicants=applicants or (assignor, assignee),
        mortgage_transfer=operations_pb2.MortgageTransfer(
            mortgage=build.right(proof),
            assignors=[assignor],
            assignees=[assignee],
            ground=operations_pb2.MortgageTransferGround.Value(f"MORTGAGE_TRANSFER_GROUND_{ground}"),
            debtor_told_on=build.day(told_on) if told_on else None,
        ),
    )


def sold(unit: SampleUnit, seller: str = "S", buyer: str = "Y", *more: str) -> operations_pb2.Operation:
    """转移登记, the whole unit for the usual price; `more` apply too."""
    made = operations.ownership_transfer(
        sellers=[seller], buyers=[buyer], titles=[unit.title_number], price_fen=PRICE_FEN
    )
    made.applicants.extend(more)
    return made


def converted_sale(
    proof: str, unit: SampleUnit, seller: str = "S", buyer: str = "Y"
) -> operations_pb2.Operation:
    """The sale's pre-notice becomes the transfer."""
    transfer = sold(unit, seller, buyer)
    return operations_pb2.Operation(
        reason="预告转本",
        applicants=transfer.applicants,
        pre_notice_convert=operations_pb2.PreNoticeConvert(
            pre_notice=build.right(proof), ownership_transfer=transfer.ownership_transfer
        ),
    )


def converted_mortgage(proof: str, new: operations_pb2.MortgageContent) -> operations_pb2.Operation:
    """The mortgage's pre-notice becomes the mortgage."""
    return operations_pb2.Operation(
        reason="预告转本",
        applicants=[*new.mortgagors, *new.mortgagees],
        pre_notice_convert=operations_pb2.PreNoticeConvert(
            pre_notice=build.right(proof), mortgage_first=operations_pb2.MortgageFirst(content=new)
        ),
    )


def agreed(step: operations_pb2.Operation) -> operations_pb2.Operation:
    """A pre-notice that the contract itself agrees on."""
    step.pre_notice_create.agreed_in_contract = True
    return step
