"""Who plays in the sample cases: parties named by what they are, so that a table of signers reads by itself."""

from __future__ import annotations

import datetime as dt
from typing import Final

from gateway.register.authority import Institution, InstitutionKind, Place, Profile
from gateway.register.model import IdKind, Party
from gateway.register.sample_parties import made_up_citizen_id, made_up_uscc

_BORN: Final = dt.date(1985, 6, 1)


def _person(name: str, order: int) -> Party:
    return Party(name=name, id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(_BORN, order))


def _institution(name: str, serial: int) -> Party:
    return Party(name=name, id_kind=IdKind.USCC, id_number=made_up_uscc("91", serial))


OWNER: Final = _person("抵押人 mortgagor", 1)
SELLER: Final = _person("卖方 seller", 2)
BUYER: Final = _person("买方 buyer", 3)
DEBTOR: Final = _person("债务人 debtor", 4)
NEW_DEBTOR: Final = _person("新债务人 new debtor", 5)
INTERESTED: Final = _person("利害关系人 interested person", 6)
BANK: Final = _institution("抵押权人 mortgagee", 70000001)
OTHER_BANK: Final = _institution("其他抵押权人 other mortgagee", 70000002)
OLD_BANK: Final = _institution("原抵押权人 old mortgagee", 70000003)
NEW_BANK: Final = _institution("新抵押权人 new mortgagee", 70000004)
FUND_CENTRE: Final = _institution("公积金中心 fund centre", 70000005)
DEVELOPER: Final = _institution("开发企业 developer", 70000006)
ASSIGNEE: Final = _institution("受让人 assignee", 70000007)

LENDERS: Final = (BANK, OTHER_BANK, OLD_BANK, NEW_BANK, FUND_CENTRE, ASSIGNEE)

#: The documented defaults of a profile, in a registry of one county.
PROFILE: Final = Profile(
    version=1,
    authority_name="示例不动产登记中心",
    authority_code=made_up_uscc("12", 70000009),
    places=(Place(county_code="320281", province="苏", name="江阴市"),),
)


def institutions(modes: tuple[str, ...]) -> dict[str, Institution]:
    """Every lender, registered, with an agreement on these modes."""
    return {
        p.id_number: Institution(
            uscc=p.id_number, kind=InstitutionKind.BANK, names=(p.name,), permitted_modes=modes
        )
        for p in LENDERS
    }
