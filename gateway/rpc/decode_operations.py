"""Wire to domain: the operations of the terms. Which reader takes which operation; each has its own file.

Syntax only, as in gateway/rpc/decode.py. An operation that the contract knows and this version does not book
becomes an `OtherOperation`, which the law answers with NOT_IMPLEMENTED_KIND.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.cases import terms as ops
from gateway.cases.model import Kind
from gateway.pb.diya.v1 import operations_pb2
from gateway.register import model as m
from gateway.rpc import decode_fields as read
from gateway.rpc import decode_mortgages as mortgages
from gateway.rpc import decode_notices as notices
from gateway.rpc.decode_parts import OperationParts
from gateway.rpc.violations import Violations

_KIND_OF_OPERATIONS: Final[dict[str, Kind]] = {
    "mortgage_first": Kind.MORTGAGE,
    "mortgage_change": Kind.MORTGAGE,
    "mortgage_transfer": Kind.MORTGAGE,
    "claim_fixing": Kind.MORTGAGE,
    "construction_mortgage_first": Kind.MORTGAGE,
    "construction_mortgage_change": Kind.MORTGAGE,
    "construction_mortgage_transfer": Kind.MORTGAGE,
    "correction": Kind.MORTGAGE,
    "reissue": Kind.MORTGAGE,
    "mortgage_release": Kind.MORTGAGE_RELEASE,
    "construction_mortgage_release": Kind.MORTGAGE_RELEASE,
    "pre_notice_create": Kind.PRE_NOTICE,
    "pre_notice_convert": Kind.PRE_NOTICE,
    "pre_notice_release": Kind.PRE_NOTICE,
}

#: A correction or a re-issue is about a right of either sort, so it goes through either method.
_OF_EITHER_KIND: Final = {
    "correction": (Kind.MORTGAGE, Kind.PRE_NOTICE),
    "reissue": (Kind.MORTGAGE, Kind.PRE_NOTICE),
}


def read_operation(
    wire: operations_pb2.Operation,
    kind: Kind | None,
    path: str,
    units: dict[str, tuple[m.CertificateRef, ...]],
    parties: read.Parties,
    wrong: Violations,
) -> ops.AnyOperation:
    """One operation as a value; violations are noted, never raised.

    `path` is its place in the terms, `units` maps unit codes to titles cited for them.
    """
    parts = OperationParts(path, units, parties, wrong, wire.applicants)
    which = wire.WhichOneof("kind") or ""
    parts.required(which, path + ".kind")
    expected = _OF_EITHER_KIND.get(which, (_KIND_OF_OPERATIONS.get(which),))
    if kind is not None and kind is not Kind.ENCUMBERED_TRANSFER and kind not in expected:
        wrong.add(
            path,
            f"{which} 不能经此方法提交",
            f"{which} is not submitted through this method",
            "OPERATION_NOT_OF_KIND",
        )
    codes = parts.unit_codes(wire.unit_codes, path + ".unit_codes")
    reader = _READERS.get(which)
    operation = (
        reader(parts, getattr(wire, which), codes, f"{path}.{which}")
        if reader is not None
        else ops.OtherOperation(name=which.upper(), units=codes)
    )
    return msgspec.structs.replace(
        operation,
        applicants=parts.named(wire.applicants, path + ".applicants", needed=False),
        consenters=parts.named(wire.consenters, path + ".consenters", needed=False),
        reason=parts.text(wire.reason, path + ".reason"),
    )


def _correction(
    parts: OperationParts, wire: operations_pb2.Correction, units: tuple[str, ...], path: str
) -> ops.Correction:
    """更正登记: each wrong item with its right value."""
    parts.required(wire.items, path + ".items")
    items = [
        ops.CorrectionItem(
            field=parts.text(item.field, f"{path}.items[{n}].field"),
            recorded=parts.text(item.recorded, f"{path}.items[{n}].recorded"),
            corrected=parts.text(item.corrected, f"{path}.items[{n}].corrected"),
        )
        for n, item in enumerate(wire.items)
    ]
    return ops.Correction(units=units, proof=parts.proof(wire.right, path + ".right"), items=tuple(items))


def _reissue(
    parts: OperationParts, wire: operations_pb2.Reissue, units: tuple[str, ...], path: str
) -> ops.Reissue:
    """换证、补证."""
    ground = parts.choice(
        operations_pb2.ReissueGround, wire.ground, "REISSUE_GROUND_", path + ".ground", "MEDIUM"
    )
    void: dt.datetime | None = None
    if wire.HasField("declared_void_at"):
        void = read.instant(wire, "declared_void_at", path, parts.wrong)
    return ops.Reissue(
        units=units,
        proof=parts.proof(wire.right, path + ".right"),
        ground=ops.ReissueGround(ground),
        declared_void_at=void,
    )


#: Reader of each operation of the contract: (parts, its message, its units, its path) to a value.
_READERS: Final[dict[str, Callable[[OperationParts, Any, tuple[str, ...], str], ops.AnyOperation]]] = {
    "mortgage_first": mortgages.mortgage_first,
    "mortgage_change": mortgages.mortgage_change,
    "mortgage_transfer": mortgages.mortgage_transfer,
    "claim_fixing": mortgages.claim_fixing,
    "mortgage_release": mortgages.mortgage_release,
    "construction_mortgage_first": mortgages.construction_first,
    "construction_mortgage_change": mortgages.construction_change,
    "construction_mortgage_transfer": mortgages.construction_transfer,
    "construction_mortgage_release": mortgages.construction_release,
    "ownership_transfer": notices.ownership_transfer,
    "pre_notice_create": notices.pre_notice_create,
    "pre_notice_convert": notices.pre_notice_convert,
    "pre_notice_release": notices.pre_notice_release,
    "correction": _correction,
    "reissue": _reissue,
}
