"""What the rules of instant decisions look at, and whether each holds: pure predicates (handbook 1.4; S15).

A predicate gives every place where its rule does not hold. Which rule each is, with its article, says rules.py.
"""

from __future__ import annotations

from gateway.kinds.law import Case
from gateway.kinds.named import keys
from gateway.register.model import CoOwnership, IdKind, Ownership, Party, UnitState, Value
from gateway.register.states import is_under_guardianship


class Breach(Value, frozen=True, kw_only=True):
    """Where and how a rule does not hold."""

    path: str
    zh: str
    en: str


class Asked(Value, frozen=True, kw_only=True):
    """One operation as the rules look at it. What an operation does not have stays empty, and breaks nothing.

    `persons` are (field, people) who act in their own name; `owner_side` is the field of the owners of record, empty
    where they need not act. `loan` is the field that holds the claim, `lender_side` that of the mortgagees.
    """

    case: Case
    states: tuple[UnitState, ...]
    field: str
    persons: tuple[tuple[str, tuple[Party, ...]], ...] = ()
    owner_side: str = ""
    loan: str = ""
    lender_side: str = ""
    lenders: tuple[Party, ...] = ()
    debtors: tuple[Party, ...] = ()
    obligors: tuple[Party, ...] = ()
    is_own_debt: bool = True
    is_maximum_amount: bool = False
    has_agreed_rank: bool = False
    is_construction: bool = False
    is_pre_sale: bool = False
    is_partial: bool = False
    is_own_word: bool = True


# -- persons and owners (handbook 1.4) -----------------------------------------------------------------------------


def _acting(asked: Asked) -> list[tuple[str, Party]]:
    """Everybody who acts: the persons of the terms, and the owners of record."""
    acting = [(path, person) for path, people in asked.persons for person in people]
    if asked.owner_side:
        acting += [
            (f"{asked.field}.{asked.owner_side}", owner.person)
            for state in asked.states
            if state.ownership is not None
            for owner in state.ownership.owners
        ]
    return list(dict.fromkeys(acting))


def legal_persons(asked: Asked) -> list[Breach]:
    """A party, or an owner of record, that is an institution: who may act for it is for a person to see."""
    return [
        Breach(path=path, zh="当事人为单位", en="a party is a legal person")
        for path, person in _acting(asked)
        if person.is_institution
    ]


def age_unknown(asked: Asked) -> list[Breach]:
    """A party whose document does not tell whether they are of age (CC 17)."""
    return [
        Breach(path=path, zh="从证件号码不能判定当事人年龄", en="the id does not tell the age")
        for path, person in _acting(asked)
        if not person.is_institution and person.id_kind is not IdKind.RESIDENT_ID
    ]


def under_guardianship(asked: Asked) -> list[Breach]:
    """A minor, or a ward by judgment: the guardian acts, for the ward's benefit alone (CC 35; RD 11)."""
    return [
        Breach(path=path, zh="当事人未成年或者行为能力受限", en="a minor or a ward")
        for path, person in _acting(asked)
        if is_under_guardianship(person, asked.case.now)
    ]


def co_owned(asked: Asked) -> list[Breach]:
    """More owners than one, jointly or by shares (CC 301)."""
    if not asked.owner_side:
        return []
    return [
        Breach(path=f"{asked.field}.{asked.owner_side}", zh="不动产为共有", en="the unit is co-owned")
        for state in asked.states
        if (ownership := state.ownership) is not None
        and (ownership.co_ownership is not CoOwnership.SOLE or len(ownership.owners) != 1)
    ]


def for_another(asked: Asked) -> list[Breach]:
    """Security for somebody else's debt (CC 391)."""
    if not asked.loan or (asked.is_own_debt and keys(asked.obligors) == keys(asked.debtors)):
        return []
    return [
        Breach(
            path=asked.loan + ".debtors",
            zh="抵押人与债务人不是同一人",
            en="mortgagor and debtor are not one person",
        )
    ]


# -- units ---------------------------------------------------------------------------------------------------------


def no_market_housing(asked: Asked) -> list[Breach]:
    """Anything but market housing on state construction land: other land and other housing have rules of their own."""
    wanted = ("RESIDENTIAL", "MARKET", "STATE_CONSTRUCTION_LAND")
    return [
        Breach(
            path=asked.field + ".units",
            zh=f"单元 {unit.unit_code} 不是国有建设用地上的市场化商品住房",
            en=f"unit {unit.unit_code} is not market housing on state construction land",
        )
        for unit in (state.unit for state in asked.states)
        if (unit.use, unit.housing_kind, unit.land_nature) != wanted
    ]


def encumbered(asked: Asked) -> list[Breach]:
    """Any right but ownership, or a hold, on the unit (RD 66)."""
    return [
        Breach(
            path=asked.field + ".units",
            zh=f"单元 {state.unit.unit_code} 上有其他权利或者限制",
            en=f"unit {state.unit.unit_code} carries another right or limit",
        )
        for state in asked.states
        if any(not isinstance(right, Ownership) for right in state.rights) or state.unit.holds
    ]


def other_case(asked: Asked) -> list[Breach]:
    """Another accepted case on the unit: its order is acceptance's (RD 67)."""
    case = asked.case
    return [
        Breach(
            path=asked.field + ".units",
            zh=f"单元 {code} 有其他在办案件",
            en=f"unit {code} has another open case",
        )
        for code in (state.unit.unit_code for state in asked.states)
        if any(c.application_id != case.own_application for c in case.open_cases.get(code, ()))
    ]


def several_units(asked: Asked) -> list[Breach]:
    """More units than one under one right."""
    if len(asked.states) == 1:
        return []
    return [Breach(path=asked.field + ".units", zh="多个不动产单元", en="several units")]


def under_construction(asked: Asked) -> list[Breach]:
    """A building that is not finished (RD 75, 77)."""
    if not asked.is_construction:
        return []
    return [
        Breach(path=asked.field + ".construction", zh="在建建筑物", en="a building under construction"),
    ]


def pre_sold(asked: Asked) -> list[Breach]:
    """A unit that its developer has pre-sold (RD 86)."""
    if not asked.is_pre_sale:
        return []
    return [Breach(path=asked.field + ".kind", zh="预购商品房", en="a pre-sold unit")]


# -- the claim and its holders -------------------------------------------------------------------------------------


def unknown_lender(asked: Asked) -> list[Breach]:
    """A mortgagee that is no registered institution under one of its names (handbook 3.1)."""
    found = []
    for lender in asked.lenders:
        known = next((i for i in asked.case.institutions.values() if i.is_known_as(lender.id_number)), None)
        if known is None or lender.name not in known.names:
            # Findings go to every party: a person's number is told to nobody.
            who = lender.id_number if lender.is_institution else lender.name
            found.append(
                Breach(
                    path=asked.field + ".mortgagees",
                    zh=f"抵押权人 {who} 未登记，或者名称与登记的名称（含曾用名）不符",
                    en=f"mortgagee {who} is not registered, or under another name",
                )
            )
    return found


def several_lenders(asked: Asked) -> list[Breach]:
    """More mortgagees than one, whose shares or ranks somebody has to read (RD 67, 88)."""
    if not asked.lender_side or len(asked.lenders) == 1:
        return []
    path = f"{asked.field}.{asked.lender_side}"
    return [Breach(path=path, zh="多个抵押权人", en="several mortgagees")]


def maximum_amount(asked: Asked) -> list[Breach]:
    """A maximum-amount mortgage (CC 420)."""
    if not asked.is_maximum_amount:
        return []
    return [Breach(path=asked.loan + ".kind", zh="最高额抵押", en="a maximum-amount mortgage")]


def agreed_rank(asked: Asked) -> list[Breach]:
    """A rank agreed against the order of booking (CC 409)."""
    if not asked.has_agreed_rank:
        return []
    return [Breach(path=asked.field + ".agreed_rank", zh="约定顺位", en="an agreed rank")]


def partial(asked: Asked) -> list[Breach]:
    """A release of some units only (RD 70)."""
    return [Breach(path=asked.field, zh="部分注销", en="a release of some units")] if asked.is_partial else []


def other_ground(asked: Asked) -> list[Breach]:
    """A ground that is not the holder's own word, such as a judgment (CC 393; RD 89)."""
    if asked.is_own_word:
        return []
    return [
        Breach(
            path=asked.field + ".ground",
            zh="注销原因不是权利人自己的放弃或者债权消灭",
            en="the ground is neither the end of the claim nor the holder's waiver",
        )
    ]
