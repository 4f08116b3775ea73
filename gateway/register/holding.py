"""Whose right a right is, for a search by person: courts look for what a debtor has (IR 27; CPL 485). Pure.

An owner, a holder of a pre-notice, whoever may live there, and a mortgagee who is no institution; a bank's mortgages
are its business, found in its own portfolio.
"""

from __future__ import annotations

from gateway.register.model import (
    AnyRight,
    Habitation,
    IdKind,
    Mortgage,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
)

_SALES = (PreNoticeKind.PRESALE_SALE, PreNoticeKind.OTHER_SALE)


def person_key(party: Party) -> str:
    """Who this is, by a canonical number alone; of a company by its organisation code, which its USCC contains."""
    match party.id_kind:
        case IdKind.USCC:
            return f"ORG/{party.id_number[8:17]}"
        case IdKind.ORG_CODE:
            return f"ORG/{party.id_number}"
        case kind:
            return f"{kind.value}/{party.id_number}"


def whose(right: AnyRight) -> dict[str, str]:
    """Key of each person whose right it is, with the role."""
    match right:
        case Ownership():
            return {person_key(owner.person): "OWNER" for owner in right.owners}
        case PreNotice():
            holders = [p for p in right.holders if right.kind in _SALES or not p.is_institution]
            return {person_key(p): "PRE_NOTICE_HOLDER" for p in holders}
        case Mortgage():
            return {person_key(p): "MORTGAGEE" for p in right.mortgagees if not p.is_institution}
        case Habitation():
            return {person_key(p): "HABITATION_HOLDER" for p in (right.holder, *right.others)}
        case _:
            return {}
