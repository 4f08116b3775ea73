"""Made-up institutions, counties and people of the sample register. Nobody here exists.

Every number lies in region 999999, which is no place, and has right check characters; institutions
say 示例 (example) in their names. Numbers follow from a counter alone: nothing is drawn.
"""

from __future__ import annotations

import datetime as dt

from gateway.register.identifiers import citizen_check, uscc_check
from gateway.register.model import Capacity, IdKind, Party, Value

#: Division code of nowhere: identity numbers of samples are nobody's (handbook 4.5).
NOWHERE = "999999"

_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714
_SURNAMES = "沈顾陆钱俞姚汤章童柏欧阳卫蒋"
_GIVEN = (
    "知夏", "景行", "若水", "明轩", "清和", "书言", "望舒", "怀瑾", "子衿", "安澜", "云起", "听雨",
    "修远", "采薇", "思齐", "长庚", "南乔", "北辰", "初晴", "秉文",
)  # fmt: skip


def made_up_uscc(department: str, serial: int) -> str:
    """A unified social credit code of nowhere; `department` is its first two characters."""
    organisation = f"{serial:08d}"
    total = sum(int(c) * w for c, w in zip(organisation, _ORGANISATION_WEIGHTS, strict=True))
    check = "0123456789X"[-total % 11]
    body = f"{department}{NOWHERE}{organisation}{check}"
    return body + uscc_check(body)


def made_up_citizen_id(born: dt.date, order: int) -> str:
    """A citizen identity number of nowhere; an odd `order` (1 to 999) is a man."""
    body = f"{NOWHERE}{born:%Y%m%d}{order:03d}"
    return body + citizen_check(body)


def _institution(name: str, department: str, serial: int) -> Party:
    return Party(name=name, id_kind=IdKind.USCC, id_number=made_up_uscc(department, serial))


BANK_A = _institution("青禾示例银行股份有限公司", "91", 60000101)
BANK_A_BRANCH = _institution("青禾示例银行股份有限公司江阴支行", "91", 60000102)
BANK_B = _institution("白鹭示例银行股份有限公司", "91", 60000201)
FUND_CENTRE = _institution("示例住房公积金管理中心", "12", 60000301)
COMPANY = _institution("澄江示例纺织有限公司", "91", 60000401)
AUTHORITY_JIANGYIN = _institution("江阴示例不动产登记中心", "12", 60000501)
AUTHORITY_TAIZHOU = _institution("台州示例不动产登记中心", "12", 60000502)


class SampleCounty(Value, frozen=True, kw_only=True):
    """A county of a sample registry; `place` is as certificates name it."""

    code: str
    place: str
    street: str


class SampleRegistry(Value, frozen=True, kw_only=True):
    """A sample registry: its id, province sign, counties and authority."""

    registry: str
    province: str
    counties: tuple[SampleCounty, ...]
    authority: Party
    bulk_units: int  # ordinary units in each county, besides the odd cases

    @property
    def county_codes(self) -> tuple[str, ...]:
        """The counties whose units this registry books."""
        return tuple(county.code for county in self.counties)


JIANGYIN = SampleRegistry(
    registry="jiangyin",
    province="苏",
    counties=(SampleCounty(code="320281", place="江阴市", street="江阴市示范一路"),),
    authority=AUTHORITY_JIANGYIN,
    bulk_units=480,
)
TAIZHOU = SampleRegistry(
    registry="taizhou",
    province="浙",
    counties=(
        SampleCounty(code="331002", place="台州市椒江区", street="台州市椒江区示范二路"),
        SampleCounty(code="331003", place="台州市黄岩区", street="台州市黄岩区示范三路"),
    ),
    authority=AUTHORITY_TAIZHOU,
    bulk_units=120,
)
REGISTRIES = (JIANGYIN, TAIZHOU)


class People:
    """Made-up people, one after another; the same start gives the same people."""

    def __init__(self, start: int) -> None:
        self._number = start

    def adult(self) -> Party:
        """Somebody between 26 and 62 years old in 2026."""
        born = dt.date(1964, 1, 1) + dt.timedelta(days=self._number * 37 % 13_000)
        return self._person(born)

    def child(self) -> Party:
        """Somebody of eight years in 2026, with a guardian."""
        guardian = self.adult()
        child = self._person(dt.date(2018, 5, 1))
        return Party(
            name=guardian.name[:1] + child.name[1:],
            id_kind=child.id_kind,
            id_number=child.id_number,
            capacity=Capacity.LIMITED,
            guardian=guardian,
        )

    def foreigner(self) -> Party:
        """Somebody with a passport."""
        number = self._next()
        return Party(
            name=f"SAMPLE PERSON {number}",
            id_kind=IdKind.PASSPORT,
            id_number=f"E{number:08d}",
            country="XX",
        )

    def _person(self, born: dt.date) -> Party:
        number = self._next()
        surname = _SURNAMES[number % len(_SURNAMES)]
        given = _GIVEN[number // len(_SURNAMES) % len(_GIVEN)]
        return Party(
            name=surname + given,
            id_kind=IdKind.RESIDENT_ID,
            id_number=made_up_citizen_id(born, number % 999 + 1),
        )

    def _next(self) -> int:
        self._number += 1
        return self._number
