"""What a rule may not decide: everything that is not clean goes to a person (handbook 1.4, S15).

Clean is: one adult natural person, owner and debtor in one; residential market housing on state construction land; no
other right or limit on the unit; no open case; every paper bound to the same terms.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.kinds.law import Case
from gateway.register.findings import Finding, Severity
from gateway.register.model import CoOwnership, IdKind, Ownership, Party, UnitState
from gateway.register.reasons import finding
from gateway.register.states import is_under_guardianship


def refer(field: str, article: str, zh: str, en: str) -> Finding:
    """A finding that hands the case to a registrar."""
    return finding(
        "M-REFER",
        Severity.REFERS,
        field=field,
        article=article,
        zh=zh + "，由登记员决定",
        en=en + ": a registrar decides",
    )


def unclean_owner(state: UnitState, case: Case, field: str, *, side: str = "mortgagors") -> list[Finding]:
    """One adult owner with full capacity, whose identity card tells the age; `side` is the owner's field."""
    path = f"{field}.{side}"
    ownership = state.ownership
    if ownership is None:
        return []
    found = []
    if ownership.co_ownership is not CoOwnership.SOLE or len(ownership.owners) != 1:
        found.append(refer(path, "CC 301", "不动产为共有", "the unit is co-owned"))
    found += unclean_persons([owner.person for owner in ownership.owners], case, path)
    return found


def unclean_persons(people: Sequence[Party], case: Case, path: str) -> list[Finding]:
    """Adults with full capacity, whose identity cards tell the age."""
    found = []
    for person in people:
        if person.is_institution:
            found.append(refer(path, "OS 14.1", "当事人为单位", "a party is a legal person"))
        elif person.id_kind is not IdKind.RESIDENT_ID:
            found.append(refer(path, "CC 17", "从证件号码不能判定当事人年龄", "the id does not tell the age"))
        elif is_under_guardianship(person, case.now):
            found.append(refer(path, "CC 35; RD 11", "当事人未成年或者行为能力受限", "a minor or a ward"))
    return found


def unclean_unit(state: UnitState, case: Case, field: str) -> list[Finding]:
    """Residential market housing on state construction land, nothing else on it, no open case."""
    unit = state.unit
    found = []
    if (unit.use, unit.housing_kind, unit.land_nature) != (
        "RESIDENTIAL",
        "MARKET",
        "STATE_CONSTRUCTION_LAND",
    ):
        found.append(
            refer(
                field + ".units",
                "OS 14.1",
                f"单元 {unit.unit_code} 不是国有建设用地上的市场化商品住房",
                f"unit {unit.unit_code} is not market housing on state construction land",
            )
        )
    if any(not isinstance(right, Ownership) for right in state.rights) or unit.holds:
        found.append(
            refer(
                field + ".units",
                "RD 66",
                f"单元 {unit.unit_code} 上有其他权利或者限制",
                f"unit {unit.unit_code} carries another right or limit",
            )
        )
    others = [c for c in case.open_cases.get(unit.unit_code, ()) if c.application_id != case.own_application]
    if others:
        found.append(
            refer(
                field + ".units",
                "RD 67",
                f"单元 {unit.unit_code} 有其他在办案件",
                f"unit {unit.unit_code} has another open case",
            )
        )
    return found


def unclean_mortgagees(names: list[tuple[str, str]], case: Case, field: str) -> list[Finding]:
    """Each mortgagee (USCC, name) is a registered institution under one of its names (handbook 3.1)."""
    found = []
    for uscc, name in names:
        known = next((i for i in case.institutions.values() if i.is_known_as(uscc)), None)
        if known is None or name not in known.names:
            found.append(
                refer(
                    field + ".mortgagees",
                    "OS 14.1",
                    f"抵押权人 {uscc} 未登记，或者名称与登记的名称（含曾用名）不符",
                    f"mortgagee {uscc} is not registered, or under another name",
                )
            )
    return found
