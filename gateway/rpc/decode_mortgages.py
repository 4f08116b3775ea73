"""Wire to domain: the operations on a mortgage, of a finished building or of one under construction.

Syntax only, as in gateway/rpc/decode.py.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gateway.cases import terms as ops
from gateway.pb.diya.v1 import codes_pb2, operations_pb2
from gateway.register import model as m
from gateway.rpc import decode_fields as read
from gateway.rpc.decode_parts import NO_DAY, TEXT_CHARACTERS_MAX, OperationParts

#: What a construction mortgage covers (DYBDCLX 4).
CONSTRUCTION: Final = "LAND_AND_CONSTRUCTION"


def mortgage_first(
    parts: OperationParts, wire: operations_pb2.MortgageFirst, units: tuple[str, ...], path: str
) -> ops.MortgageFirst:
    """抵押权首次登记."""
    return mortgage_content(parts, wire.content, units, path + ".content")


def construction_first(
    parts: OperationParts, wire: operations_pb2.ConstructionMortgageFirst, units: tuple[str, ...], path: str
) -> ops.MortgageFirst:
    """在建建筑物抵押权首次登记."""
    scope = _construction(parts, wire.construction, path + ".construction")
    return mortgage_content(parts, wire.content, units, path + ".content", construction=scope)


def mortgage_change(
    parts: OperationParts, wire: operations_pb2.MortgageChange, units: tuple[str, ...], path: str
) -> ops.MortgageChange:
    """抵押权变更登记; `unit_codes` of the reference say on which units the mortgage lies before."""
    return _change(parts, wire, units, path, None)


def construction_change(
    parts: OperationParts, wire: operations_pb2.ConstructionMortgageChange, units: tuple[str, ...], path: str
) -> ops.MortgageChange:
    """在建建筑物抵押权变更登记."""
    scope = _construction(parts, wire.construction, path + ".construction")
    return _change(parts, wire.change, units, path + ".change", scope)


def construction_transfer(
    parts: OperationParts,
    wire: operations_pb2.ConstructionMortgageTransfer,
    units: tuple[str, ...],
    path: str,
) -> ops.MortgageTransfer:
    """在建建筑物抵押权转移登记."""
    transfer = mortgage_transfer(parts, wire.transfer, units, path + ".transfer")
    return replace(transfer, construction=True)


def construction_release(
    parts: OperationParts,
    wire: operations_pb2.ConstructionMortgageRelease,
    units: tuple[str, ...],
    path: str,
) -> ops.MortgageRelease:
    """在建建筑物抵押权注销登记."""
    return replace(mortgage_release(parts, wire.release, units, path + ".release"), construction=True)


def mortgage_transfer(
    parts: OperationParts, wire: operations_pb2.MortgageTransfer, units: tuple[str, ...], path: str
) -> ops.MortgageTransfer:
    """抵押权转移登记."""
    amount = read.money(wire, "assigned_amount", path, parts.wrong, needed=False)
    ground = parts.choice(
        operations_pb2.MortgageTransferGround,
        wire.ground,
        "MORTGAGE_TRANSFER_GROUND_",
        path + ".ground",
        "CLAIM_ASSIGNMENT",
    )
    return ops.MortgageTransfer(
        units=units,
        proof=parts.proof(wire.mortgage, path + ".mortgage"),
        assignors=parts.named(wire.assignors, path + ".assignors"),
        assignees=parts.named(wire.assignees, path + ".assignees"),
        ground=ops.TransferGround(ground),
        assigned_fen=amount[0] if amount else None,
        follows_part=wire.follows_partial_assignment,
        debtor_told_on=read.date(wire, "debtor_told_on", path, parts.wrong, needed=False),
    )


def claim_fixing(
    parts: OperationParts, wire: operations_pb2.ClaimFixing, units: tuple[str, ...], path: str
) -> ops.ClaimFixing:
    """最高额抵押权确定登记."""
    amount = read.money(wire, "fixed_amount", path, parts.wrong)
    return ops.ClaimFixing(
        units=units,
        proof=parts.proof(wire.mortgage, path + ".mortgage"),
        mortgagors=parts.named(wire.mortgagors, path + ".mortgagors"),
        mortgagees=parts.named(wire.mortgagees, path + ".mortgagees"),
        fixing_fact=parts.text(wire.fixing_fact, path + ".fixing_fact"),
        fixed_on=read.date(wire, "fixed_on", path, parts.wrong) or NO_DAY,
        fixed_fen=amount[0] if amount else 0,
        currency=amount[1] if amount else "CNY",
        term_end=read.date(wire, "term_end", path, parts.wrong, needed=False),
    )


def mortgage_release(
    parts: OperationParts, wire: operations_pb2.MortgageRelease, units: tuple[str, ...], path: str
) -> ops.MortgageRelease:
    """抵押权注销登记; `unit_codes` of the reference make it a partial one, for those units."""
    ground = parts.choice(
        operations_pb2.ReleaseGround, wire.ground, "RELEASE_GROUND_", path + ".ground", "OTHER"
    )
    mortgagees = parts.named(wire.mortgagees, path + ".mortgagees", needed=False)
    if not mortgagees:  # who releases alone may be named once, as applicant
        applicants = parts.named(parts.applicants, parts.path + ".applicants")
        mortgagees = tuple(p for p in applicants if p.is_institution) or applicants
    partial = bool(wire.mortgage.unit_codes)
    return ops.MortgageRelease(
        units=parts.unit_codes(wire.mortgage.unit_codes, path + ".mortgage.unit_codes") if partial else units,
        proof=parts.proof(wire.mortgage, path + ".mortgage"),
        mortgagees=mortgagees,
        ground=ops.ReleaseGround(ground),
        settled_on=read.date(wire, "ended_on", path, parts.wrong, needed=False),
        partial=partial,
    )


def mortgage_content(
    parts: OperationParts,
    content: operations_pb2.MortgageContent,
    units: tuple[str, ...],
    path: str,
    *,
    construction: ops.ConstructionScope | None = None,
    stands: bool = False,
) -> ops.MortgageFirst:
    """What a mortgage says: the claim of one kind or the other, the term, the scope, the portions of the loan.

    `stands`: of a mortgage on the register, which may have no word on its transfer.
    """
    wrong = parts.wrong
    kind = read.enum_name(codes_pb2.MortgageKind, content.kind, "MORTGAGE_KIND_")
    ordinary = kind != "MAXIMUM_AMOUNT"
    parts.required(kind, path + ".kind")
    claim = read.money(content, "claim_amount", path, wrong, needed=ordinary)
    ceiling = read.money(content, "max_claim_amount", path, wrong, needed=not ordinary)
    if (ordinary and ceiling) or (not ordinary and claim):
        wrong.add(
            path + (".max_claim_amount" if ordinary else ".claim_amount"),
            "一般抵押只填 claim_amount，最高额抵押只填 max_claim_amount",
            "an ordinary mortgage has claim_amount only, a maximum-amount one max_claim_amount only",
        )
    existing = read.money(content, "existing_claim_amount", path, wrong, needed=False)
    if existing and ordinary:
        wrong.add(
            path + ".existing_claim_amount",
            "只有最高额抵押才填",
            "belongs to a maximum-amount mortgage only (CC 420)",
        )
    start = read.date(content, "term_start", path, wrong)
    end = read.date(content, "term_end", path, wrong)
    if start and end and start > end:
        wrong.add(path + ".term_end", "早于 term_start", "is before term_start")
    scope = content.secured_scope.strip()
    if not scope or len(scope) > TEXT_CHARACTERS_MAX:
        wrong.add(path + ".secured_scope", "必填；没有约定填 /", "is required; put / when none is agreed")
    relation = parts.choice(
        codes_pb2.MortgagorRelation,
        content.mortgagor_relation,
        "MORTGAGOR_RELATION_",
        path + ".mortgagor_relation",
        "DEBTOR",
    )
    return ops.MortgageFirst(
        units=units,
        kind=m.MortgageKind(kind or "ORDINARY"),
        mortgagors=parts.named(content.mortgagors, path + ".mortgagors"),
        mortgagees=parts.named(content.mortgagees, path + ".mortgagees"),
        debtors=parts.named(content.debtors, path + ".debtors"),
        mortgagor_relation=m.MortgagorRelation(relation),
        claim_amount_fen=claim[0] if claim else None,
        max_claim_amount_fen=ceiling[0] if ceiling else None,
        currency=(claim or ceiling or (0, "CNY"))[1],
        loan_portions=_portions(parts, content, claim if ordinary else None, path),
        term_start=start or NO_DAY,
        term_end=end or NO_DAY,
        secured_scope=scope or "/",
        transfer_restriction=_restriction(parts, content, path, stands=stands),
        restriction_text=parts.text(
            content.transfer_restriction_text, path + ".transfer_restriction_text", needed=False
        ),
        collateral_kind=_collateral(parts, content, path, construction=construction is not None),
        contract_number=content.mortgage_contract_number,
        loan_contract_number=content.principal_contract_number,
        area=content.area_m2_hundredths or None,
        existing_claim_fen=existing[0] if existing else None,
        agreed_rank=content.agreed_rank or None,
        titles=parts.titles(units),
        construction=construction,
    )


def _change(
    parts: OperationParts,
    wire: operations_pb2.MortgageChange,
    units: tuple[str, ...],
    path: str,
    scope: ops.ConstructionScope | None,
) -> ops.MortgageChange:
    parts.required(wire.items, path + ".items")
    items = [
        parts.choice(
            operations_pb2.MortgageChangeItem, item, "MORTGAGE_CHANGE_ITEM_", f"{path}.items[{n}]", "TERM"
        )
        for n, item in enumerate(wire.items)
    ]
    named = wire.mortgage.unit_codes
    before = parts.unit_codes(named, path + ".mortgage.unit_codes") if named else ()
    return ops.MortgageChange(
        units=tuple(dict.fromkeys((*before, *units))),
        proof=parts.proof(wire.mortgage, path + ".mortgage"),
        items=tuple(dict.fromkeys(ops.ChangeItem(item) for item in items)),
        content=mortgage_content(
            parts, wire.content, units, path + ".content", construction=scope, stands=True
        ),
        construction=scope,
    )


def _construction(
    parts: OperationParts, wire: operations_pb2.ConstructionScope, path: str
) -> ops.ConstructionScope:
    return ops.ConstructionScope(
        location=parts.text(wire.location, path + ".location"),
        scope=parts.text(wire.scope, path + ".scope"),
        permit_number=parts.text(wire.permit_number, path + ".permit_number"),
    )


def _collateral(
    parts: OperationParts, content: operations_pb2.MortgageContent, path: str, *, construction: bool
) -> str:
    """What is mortgaged: land and building unless said otherwise; a building under construction is of its own kind."""
    default = CONSTRUCTION if construction else "LAND_AND_BUILDING"
    kind = read.enum_name(codes_pb2.CollateralKind, content.collateral_kind, "COLLATERAL_KIND_") or default
    if (kind == CONSTRUCTION) is not construction:
        parts.wrong.add(
            path + ".collateral_kind",
            "在建建筑物抵押权须且只能填 LAND_AND_CONSTRUCTION",
            "LAND_AND_CONSTRUCTION belongs to a construction mortgage, and to nothing else",
        )
    return kind


def _restriction(
    parts: OperationParts, content: operations_pb2.MortgageContent, path: str, *, stands: bool
) -> m.TransferRestriction:
    """NONE or RESTRICTED; UNRECORDED only where a mortgage that stands without a word is changed in something else."""
    restriction = read.enum_name(
        codes_pb2.TransferRestriction, content.transfer_restriction, "TRANSFER_RESTRICTION_"
    )
    if restriction in ("NONE", "RESTRICTED") or (stands and restriction == "UNRECORDED"):
        return m.TransferRestriction(restriction)
    parts.wrong.add(
        path + ".transfer_restriction",
        "新设抵押权须记载 NONE 或 RESTRICTED（是否约定禁止或限制转让）",
        "a new mortgage records NONE or RESTRICTED",
    )
    return m.TransferRestriction.NONE


def _portions(
    parts: OperationParts,
    content: operations_pb2.MortgageContent,
    claim: tuple[int, str] | None,
    path: str,
) -> tuple[m.LoanPortion, ...]:
    """The portions of the loan; of an ordinary mortgage they add up to the claim."""
    path = path + ".loan_portions"
    portions = tuple(_portion(parts, p, f"{path}[{n}]") for n, p in enumerate(content.loan_portions))
    if portions and claim and sum(p.amount_fen for p in portions) != claim[0]:
        parts.wrong.add(path, "各部分金额之和不等于 claim_amount", "amounts do not add up to claim_amount")
    return portions


def _portion(parts: OperationParts, wire: operations_pb2.LoanPortion, path: str) -> m.LoanPortion:
    wrong = parts.wrong
    kind = parts.choice(
        codes_pb2.LoanPortionKind, wire.kind, "LOAN_PORTION_KIND_", path + ".kind", "COMMERCIAL"
    )
    amount = read.money(wire, "amount", path, wrong)
    return m.LoanPortion(
        kind=m.LoanPortionKind(kind),
        creditor=read.institution(wire.creditor, path + ".creditor", wrong),
        entrusted_bank=(
            read.institution(wire.entrusted_bank, path + ".entrusted_bank", wrong)
            if wire.HasField("entrusted_bank")
            else None
        ),
        amount_fen=amount[0] if amount else 0,
        term_start=read.date(wire, "term_start", path, wrong, needed=False),
        term_end=read.date(wire, "term_end", path, wrong, needed=False),
    )
