"""Wire to domain: pre-notices (their creation, conversion and release) and the transfer of ownership.

Syntax only, as in gateway/rpc/decode.py.
"""

from __future__ import annotations

from typing import Final

from gateway.cases import terms as ops
from gateway.pb.diya.v1 import codes_pb2, operations_pb2
from gateway.register import model as m
from gateway.rpc import decode_fields as read
from gateway.rpc.decode_mortgages import mortgage_content, mortgage_first
from gateway.rpc.decode_parts import OperationParts

_OF_A_SALE: Final = frozenset({m.PreNoticeKind.PRESALE_SALE, m.PreNoticeKind.OTHER_SALE})


def ownership_transfer(
    parts: OperationParts, wire: operations_pb2.OwnershipTransfer, units: tuple[str, ...], path: str
) -> ops.OwnershipTransfer:
    """转移登记, of the whole or of a share."""
    return _transfer(parts, wire, units, path)


def pre_notice_create(
    parts: OperationParts, wire: operations_pb2.PreNoticeCreate, units: tuple[str, ...], path: str
) -> ops.PreNoticeCreate:
    """预告登记, of a sale or of a mortgage by its kind."""
    kind = m.PreNoticeKind(
        parts.choice(codes_pb2.PreNoticeKind, wire.kind, "PRE_NOTICE_KIND_", path + ".kind", "OTHER_SALE")
    )
    wanted = "sale" if kind in _OF_A_SALE else "mortgage"
    if wire.WhichOneof("content") != wanted:
        parts.wrong.add(f"{path}.{wanted}", f"{kind.value} 须填 {wanted}", f"{kind.value} needs {wanted}")
    sale: ops.SaleNotice | None = None
    mortgage: ops.MortgageFirst | None = None
    if wanted == "sale":
        sale = _sale(parts, wire.sale, path + ".sale")
    else:
        mortgage = mortgage_content(parts, wire.mortgage, units, path + ".mortgage")
        _sides_agree(parts, wire, path)
    return ops.PreNoticeCreate(
        units=units,
        kind=kind,
        holders=parts.named(wire.holders, path + ".holders"),
        obligors=parts.named(wire.obligors, path + ".obligors"),
        sale=sale,
        mortgage=mortgage,
        agreed_in_contract=wire.agreed_in_contract,
        registrable_from=read.date(wire, "registrable_from", path, parts.wrong, needed=False),
        titles=parts.titles(units),
        sale_proof=(
            parts.proof(wire.sale_pre_notice, path + ".sale_pre_notice")
            if wire.HasField("sale_pre_notice")
            else None
        ),
    )


def pre_notice_convert(
    parts: OperationParts, wire: operations_pb2.PreNoticeConvert, units: tuple[str, ...], path: str
) -> ops.PreNoticeConvert:
    """预告转本登记: the pre-notice by its proof, and the final registration."""
    which = wire.WhichOneof("registration")
    parts.required(which, path + ".registration")
    return ops.PreNoticeConvert(
        units=units,
        proof=parts.proof(wire.pre_notice, path + ".pre_notice"),
        transfer=(
            _transfer(parts, wire.ownership_transfer, units, path + ".ownership_transfer")
            if which == "ownership_transfer"
            else None
        ),
        mortgage=(
            mortgage_first(parts, wire.mortgage_first, units, path + ".mortgage_first")
            if which == "mortgage_first"
            else None
        ),
    )


def pre_notice_release(
    parts: OperationParts, wire: operations_pb2.PreNoticeRelease, units: tuple[str, ...], path: str
) -> ops.PreNoticeRelease:
    """预告注销登记."""
    ground = parts.choice(
        operations_pb2.ReleaseGround, wire.ground, "RELEASE_GROUND_", path + ".ground", "OTHER"
    )
    return ops.PreNoticeRelease(
        units=units,
        proof=parts.proof(wire.pre_notice, path + ".pre_notice"),
        holders=parts.named(wire.holders, path + ".holders"),
        ground=ops.ReleaseGround(ground),
        ended_on=read.date(wire, "ended_on", path, parts.wrong, needed=False),
    )


def _transfer(
    parts: OperationParts, wire: operations_pb2.OwnershipTransfer, units: tuple[str, ...], path: str
) -> ops.OwnershipTransfer:
    held = parts.co_ownership(wire.co_ownership, path + ".co_ownership")
    buyers = parts.owners(wire.buyers, held, path + ".buyers")
    parts.required(wire.buyers, path + ".buyers")
    titles = tuple(read.certificate(t, f"{path}.titles[{n}]", parts.wrong) for n, t in enumerate(wire.titles))
    titles = titles or parts.titles(units)
    parts.required(titles, path + ".titles")
    return ops.OwnershipTransfer(
        units=units,
        sellers=parts.named(wire.sellers, path + ".sellers"),
        buyers=buyers,
        co_ownership=held,
        price_fen=read.fen(wire, "price", path, parts.wrong),
        share_sold=read.share(wire, "share_sold", path, parts.wrong),
        titles=titles,
    )


def _sale(parts: OperationParts, wire: operations_pb2.SalePreNotice, path: str) -> ops.SaleNotice:
    held = m.CoOwnership.SOLE
    if wire.co_ownership:
        held = parts.co_ownership(wire.co_ownership, path + ".co_ownership")
    return ops.SaleNotice(
        price_fen=read.fen(wire, "price", path, parts.wrong),
        contract_number=wire.contract_number,
        buyers=parts.owners(wire.shares, held, path + ".shares") if wire.shares else (),
        co_ownership=held,
    )


def _sides_agree(parts: OperationParts, wire: operations_pb2.PreNoticeCreate, path: str) -> None:
    """The noted mortgage is between the sides of the pre-notice."""
    for side, ours, theirs in (
        ("mortgagors", wire.mortgage.mortgagors, wire.obligors),
        ("mortgagees", wire.mortgage.mortgagees, wire.holders),
    ):
        if set(ours) != set(theirs):
            parts.wrong.add(
                f"{path}.mortgage.{side}",
                "与预告登记的义务人、权利人不一致",
                "differ from the obligors and holders of the pre-notice",
            )
