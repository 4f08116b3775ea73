"""What every sale asks of the register, booked now (转移登记) or noted in advance (买卖预告登记).

The owners of record sell, all of them or as many as the law lets dispose (CC 301; blocks.csv CO_OWNED_*); the title
cited is the title of record (OS 9.3; RD 87).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.kinds.named import keys, once, present_keys
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import same_certificate_number
from gateway.register.model import CertificateRef, Party, UnitState
from gateway.register.reasons import finding


def owners_sell(sellers: Sequence[Party], state: UnitState, field: str) -> list[Finding]:
    """Nobody sells but an owner of record, under the name of record (CC 209; IR 14).

    Whether enough co-owners sell is the table's question (CO_OWNED_JOINT, CO_OWNED_BY_SHARES); a sole owner who does
    not sell shows as a seller who does not own.
    """
    if state.ownership is None:
        return []  # NOT_FIRST_REGISTERED blocks it, in the table
    owners = {owner.person.key: owner.person for owner in state.ownership.owners}
    code = state.unit.unit_code
    found = []
    for seller in sellers:
        owner = owners.get(seller.key)
        if owner is None:
            found.append(
                finding(
                    "N-NOT_APPLICANT",
                    Severity.BLOCKS,
                    rule="R-CONFLICT",
                    field=field,
                    article="CC 209; IR 14",
                    zh=f"{seller.name}不是单元 {code} 的登记权利人",
                    en=f"{seller.name} is not an owner of record of unit {code}",
                )
            )
        elif owner.name != seller.name:
            found.append(
                finding(
                    "C-MISMATCH",
                    Severity.BLOCKS,
                    rule="R-CONFLICT",
                    field=field,
                    article="IR 18(2)",
                    zh=f"{seller.name}的姓名（名称）与登记簿记载不一致",
                    en=f"the name {seller.name} differs from the register",
                )
            )
    return found


def two_sides(
    sellers: Sequence[Party], buyers: Sequence[Party], field: str, *, of_a_share: bool = False
) -> list[Finding]:
    """A sale has two sides: nobody buys the whole from himself, or a share of his own (CC 595)."""
    both = keys(sellers) & keys(buyers)
    if not both or (not of_a_share and keys(sellers) != keys(buyers)):
        return []
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field,
            article="CC 595; IR 14",
            zh="转让人与受让人为同一人：" + "、".join(p.name for p in buyers if p.key in both),
            en="sellers and buyers are the same: " + ", ".join(p.name for p in buyers if p.key in both),
        )
    ]


def titles_agree(
    titles: Sequence[CertificateRef], state: UnitState, field: str, *, every: bool = True
) -> list[Finding]:
    """The title of record of the unit is among those cited (OS 9.3; RD 87).

    Where the owners hold separately (RD 21), `every` one of theirs; the seller of a share has but his own.
    """
    if not titles or state.ownership is None:
        return []
    cited = [
        any(same_certificate_number(title.number, recorded.number) for title in titles)
        for recorded in state.ownership.titles
    ]
    if all(cited) or (any(cited) and not every):
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field,
            article="OS 9.3; RD 87",
            zh=f"所列权属证号与单元 {state.unit.unit_code} 登记簿不一致",
            en=f"the title cited is not the title of record of unit {state.unit.unit_code}",
        )
    ]


def joining_mortgagees(
    applicants: Sequence[Party],
    sides: Sequence[Party],
    states: Sequence[UnitState],
    institutions: Mapping[str, Institution],
) -> tuple[Party, ...]:
    """Mortgagees of record whom the terms name among the applicants besides the two sides (CC 406; SIG 43; N54).

    Each as the register has it; an institution under another of its codes (handbook 3.1) as the terms have it.
    """
    recorded = {p.key: p for state in states for mortgage in state.mortgages for p in mortgage.mortgagees}
    others = present_keys(tuple(recorded.values()), institutions) - present_keys(sides, institutions)
    return tuple(
        recorded.get(p.key, p) for p in once(applicants) if present_keys((p,), institutions) <= others
    )
