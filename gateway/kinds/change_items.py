"""What a change of a mortgage says to change, beside what the register says (RD 68; IR 18(2)).

Every difference is named by an item, so that a registrar sees it at once; an item that changes nothing is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.cases.terms import ChangeItem, MortgageChange
from gateway.kinds.mortgage import Content, content_of
from gateway.kinds.named import keys
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, MortgageKind, Party, TransferRestriction
from gateway.register.reasons import finding

#: Fields that stand as recorded where the terms say nothing of them.
NEED_NOT_BE_REPEATED: Final = ("loan_portions", "contract_number", "restriction_text")

#: The fields of the row that each item is about.
_FIELDS_OF: Final[Mapping[ChangeItem, tuple[str, ...]]] = {
    ChangeItem.MORTGAGOR: ("mortgagors", "mortgagor_relation"),
    ChangeItem.DEBTOR: ("debtors", "mortgagor_relation"),
    ChangeItem.AMOUNT: ("claim_amount_fen", "max_claim_amount_fen", "currency", "loan_portions"),
    ChangeItem.TERM: ("term_start", "term_end", "loan_portions"),
    ChangeItem.SECURED_SCOPE: ("secured_scope",),
    ChangeItem.TRANSFER_RESTRICTION: ("transfer_restriction", "restriction_text"),
    ChangeItem.UNITS: ("collateral_kind", "construction_location", "construction_scope"),
}


def items_agree(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """A difference that no item names is R-CONFLICT; so is an item that changes nothing."""
    new = content_of(op.content)
    named = {name for item in op.items for name in _FIELDS_OF.get(item, ())}
    found = [
        _differs(
            f"{field}.content.{name}",
            f"{name} 与登记簿不同而未列入变更事项",
            f"{name} differs unnamed by any item",
        )
        for name in new
        if _is_different(name, new, old) and name not in named and not _is_identity(op, name, new, old)
    ]
    if set(op.content.units) != set(old.units) and ChangeItem.UNITS not in op.items:
        found.append(
            _differs(
                f"{field}.content.units",
                "抵押财产不同而未列入变更事项",
                "the units differ unnamed by any item",
            )
        )
    if op.content.agreed_rank not in (None, old.agreed_rank) and ChangeItem.RANK not in op.items:
        found.append(
            _differs(
                f"{field}.content.agreed_rank",
                "约定顺位不同而未列入变更事项",
                "the agreed rank differs unnamed by any item",
            )
        )
    if new["transfer_restriction"] is TransferRestriction.UNRECORDED is not old.transfer_restriction:
        found.append(
            _differs(
                f"{field}.content.transfer_restriction",
                "变更后须记载 NONE 或 RESTRICTED",
                "what was recorded is changed to NONE or RESTRICTED, not to no word",
            )
        )
    for item in op.items:
        fields = _FIELDS_OF.get(item, ())
        same_units = item is ChangeItem.UNITS and set(op.content.units) == set(old.units)
        if (
            fields
            and not any(_is_different(name, new, old) for name in fields)
            and (item is not ChangeItem.UNITS or same_units)
        ):
            found.append(
                _differs(
                    f"{field}.items", f"变更事项 {item.value} 没有变化", f"item {item.value} changes nothing"
                )
            )
    return found


def _is_different(name: str, new: Content, old: Mortgage) -> bool:
    value: Any = new[name]  # type: ignore[literal-required]
    recorded = getattr(old, name)
    if name in ("mortgagors", "debtors"):
        return keys(value) != keys(recorded)
    if name in NEED_NOT_BE_REPEATED and not value:
        return False
    return bool(value != recorded) and not (name == "contract_number" and not recorded)


def _is_identity(op: MortgageChange, name: str, new: Content, old: Mortgage) -> bool:
    """Another document of the same people: their names stay, or their numbers do (a person compares the paper)."""
    if ChangeItem.NAME_OR_IDENTITY not in op.items or name not in ("mortgagors", "debtors"):
        return False
    value: Sequence[Party] = new["mortgagors"] if name == "mortgagors" else new["debtors"]
    recorded: Sequence[Party] = getattr(old, name)
    return {p.name for p in value} == {p.name for p in recorded}


def kind_stays(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """A maximum-amount mortgage becomes an ordinary one by fixing its claim, not by a change (CC 423; RD 73)."""
    if op.content.kind is old.kind:
        return []
    return [
        _differs(
            field + ".content.kind",
            "抵押方式不能以变更登记改变；最高额抵押权确定请申请确定登记",
            "the kind of mortgage is not changed here: apply for the fixing of the claim",
        )
    ]


def portions_add_up(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """A claim of another amount is made up of other portions: those of record no longer add up (fields.csv)."""
    stands = old.loan_portions and not op.content.loan_portions and old.kind is MortgageKind.ORDINARY
    if not stands or ChangeItem.AMOUNT not in op.items:
        return []
    if sum(portion.amount_fen for portion in old.loan_portions) == op.content.claim_amount_fen:
        return []
    return [
        _differs(
            field + ".content.loan_portions",
            "债权数额已变更，须重新列明贷款组成",
            "the amount changes: name the portions of the loan anew",
        )
    ]


def _differs(field: str, zh: str, en: str) -> Finding:
    return finding(
        "C-MISMATCH", Severity.BLOCKS, rule="R-CONFLICT", field=field, article="RD 68; IR 18(2)", zh=zh, en=en
    )
