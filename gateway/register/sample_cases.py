"""The cases of the sample register: one function a case, each writing the rows that make it.

A case is a situation of handbook 3 or 11. Rows go to `Site.rows`, what a test wants to know of them
into a `SampleUnit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from gateway.register.import_layout import HOLDER, Table
from gateway.register.model import Party
from gateway.register.sample_parties import BANK_A, BANK_A_BRANCH, BANK_B, COMPANY, FUND_CENTRE
from gateway.register.sample_site import SampleUnit, Site, id_code


def ordinary(site: Site) -> SampleUnit:
    """A flat as most are: one adult owner, nothing else; every eighth is mortgaged to bank B."""
    unit = site.own("ordinary", [site.people.adult()], day="2019-09-17")
    if int(unit.unit_code[-2:]) == 4 and int(unit.unit_code[-4:-2]) % 2 == 0:
        unit = site.mortgage(unit, BANK_B, day="2022-03-08", restriction="0", wan="126.5")
        return replace(unit, case="ordinary_mortgaged")
    return unit


def _sole(site: Site, case: str) -> SampleUnit:
    return site.own(case, [site.people.adult()])


def _joint(site: Site, case: str) -> SampleUnit:
    return site.own(case, [site.people.adult(), site.people.adult()], form="1")


def _by_shares(site: Site, case: str) -> SampleUnit:
    owners = [site.people.adult(), site.people.adult()]
    return site.own(case, owners, form="2", shares=("60%", "0.4"))


def _three_brothers(site: Site, case: str) -> SampleUnit:
    owners = [site.people.adult() for _ in range(3)]
    return site.own(case, owners, form="2", shares=("1/3", "1/3", "1/3"))


def _mortgaged(
    mortgagee: Party, day: str, restriction: str, **values: str
) -> Callable[[Site, str], SampleUnit]:
    """A sole owner's flat under one mortgage."""

    def make(site: Site, case: str) -> SampleUnit:
        return site.mortgage(_sole(site, case), mortgagee, day=day, restriction=restriction, values=values)

    return make


def _two_mortgages(site: Site, case: str) -> SampleUnit:
    unit = site.mortgage(_sole(site, case), BANK_A, day="2021-04-06", restriction="0")
    return site.mortgage(unit, BANK_B, day="2024-08-19", restriction="1", rank=2, wan="30")


def _portfolio(site: Site, case: str) -> SampleUnit:
    """Bank and fund centre in one case, equal in rank by agreement (scenario 23)."""
    unit, day = _sole(site, case), "2024-05-20"
    number = site.next_case(day)
    for rank, (lender, wan) in enumerate(((BANK_A, "30"), (FUND_CENTRE, "50")), 1):
        unit = site.mortgage(
            unit,
            lender,
            day=day,
            restriction="0",
            rank=rank,
            wan=wan,
            case_number=number,
            values={"YDSW": "1"},
        )
    return unit


def _seized(site: Site, case: str) -> SampleUnit:
    unit = _sole(site, case)
    site.seize(unit, unit.owner, kind="1", served="2025-04-01 09:30:00")
    return unit


def _seized_waiting(site: Site, case: str) -> SampleUnit:
    unit = _sole(site, case)
    site.seize(unit, unit.owner, kind="1", served="2025-04-01 08:50:00")
    site.seize(unit, unit.owner, kind="2", served="2025-04-01 09:00:00")
    return unit


def _mortgaged_and_seized(site: Site, case: str) -> SampleUnit:
    unit = site.mortgage(_sole(site, case), BANK_A, day="2022-10-11", restriction="0")
    site.seize(unit, unit.owner, kind="1", served="2025-05-06 11:00:00")
    return unit


def _dissent(site: Site, case: str) -> SampleUnit:
    unit = _sole(site, case)
    site.add(
        Table.DISSENT,
        unit.unit_code,
        {HOLDER: site.people.adult()},
        YWH=site.next_case("2025-10-20"),
        DJSJ="2025-10-20 15:00:00",
        YYSX="主张为共同出资购买",
        QSRQ="2025-10-27",
        SLAH="（2025）民初一〇二七号",
    )
    return unit


def _habitation(site: Site, case: str) -> SampleUnit:
    unit = _sole(site, case)
    site.add(
        Table.HABITATION,
        unit.unit_code,
        {HOLDER: site.people.adult()},
        YWH=site.next_case("2023-02-14"),
        DJSJ="2023-02-14 10:00:00",
        JZQJSRQ="2043-02-13",
    )
    return unit


def _sale_pre_notice(site: Site, case: str) -> SampleUnit:
    unit = _sole(site, case)
    return site.pre_notice(unit, "2", site.people.adult(), unit.owner, "238.000000")


def _double_pre_notice(site: Site, case: str) -> SampleUnit:
    unit, buyer = _sole(site, case), site.people.adult()
    unit = site.pre_notice(unit, "2", buyer, unit.owner, "305.8")
    return site.pre_notice(unit, "4", BANK_B, buyer, "180")


def _pre_seized_holder(site: Site, case: str) -> SampleUnit:
    unit, buyer = _sole(site, case), site.people.adult()
    unit = site.pre_notice(unit, "2", buyer, unit.owner, "199")
    site.seize(unit, buyer, kind="3", served="2025-11-20 10:00:00")
    return unit


def _legacy(site: Site, case: str) -> SampleUnit:
    """Old papers: numbers without the national pattern, full-width brackets, a rank of long ago."""
    title = f"房权证{site.county.place[:2]}字第（2003）0123号"
    unit = site.own(case, [site.people.adult()], day="2003-03-18", title=title)
    return site.mortgage(
        unit,
        BANK_A,
        day="2009-07-01",
        restriction="",
        wan="22.5",
        values={"BDCDJZMH": "房他证字第（2009）045号"},
    )


def _full_width(site: Site, case: str) -> SampleUnit:
    """A national number typed with full-width brackets."""
    number = site.number("TITLE", "2018-01-09")
    typed = number.replace("(", "（").replace(")", "）")
    unit = site.own(case, [site.people.adult()], day="2018-01-09", title=typed)
    return replace(unit, title_number=number)


def _fifteen_digits(site: Site, case: str) -> SampleUnit:
    """An owner registered with the 15-digit number of before 1999."""
    unit = site.own(case, [site.people.adult()], day="1998-05-05")
    row = site.rows[-1]
    row["ZJH"] = row["ZJH"][:6] + row["ZJH"][8:17]
    return unit


def _minor(site: Site, case: str) -> SampleUnit:
    child = site.people.child()
    unit = site.own(case, [child], day="2021-09-01")
    guardian = child.guardian
    if guardian is not None:
        site.rows[-1] |= {
            "XWNL": "2",
            "JHR": guardian.name,
            "JHRZJZL": id_code(guardian.id_kind),
            "JHRZJH": guardian.id_number,
        }
    return unit


def _foreigner(site: Site, case: str) -> SampleUnit:
    unit = site.own(case, [site.people.foreigner()])
    site.rows[-1]["GJ"] = unit.owner.country
    return unit


def _flat_parking_storeroom(site: Site, case: str) -> SampleUnit:
    """Three units of one owner under one mortgage."""
    owner = site.people.adult()
    flat = site.own(case, [owner], day="2020-11-02")
    parking = site.own(case, [owner], day="2020-11-02", FWYT="6", DYLX="PARKING", JZMJ="12.50")
    store = site.own(case, [owner], day="2020-11-02", FWYT="5", DYLX="STOREROOM", JZMJ="6.08")
    unit = replace(flat, unit_codes=(flat.unit_code, parking.unit_code, store.unit_code))
    return site.mortgage(unit, BANK_A, day="2023-07-07", restriction="0", wan="210")


def _shop(site: Site, case: str) -> SampleUnit:
    values = {"FWYT": "2", "FWXZ": "99", "TDSYJSSJ": "2051-06-30"}
    return site.own(case, [site.people.adult()], **values)


def _expired(site: Site, case: str) -> SampleUnit:
    """A workshop whose land term is over (IR 22(3))."""
    values = {"FWYT": "4", "FWXZ": "99", "TDSYJSSJ": "2024-12-31"}
    return site.own(case, [COMPANY], **values)


def _company(site: Site, case: str) -> SampleUnit:
    return site.own(case, [COMPANY], FWYT="3", FWXZ="99", TDSYJSSJ="2056-12-31")


def _land(site: Site, case: str) -> SampleUnit:
    """Building land without a fixture."""
    return site.own(case, [COMPANY], fixture="W", QLLX="3", DYLX="LAND", FWYT="4", FWXZ="99", JZMJ="", SZC="")


def _never_registered(site: Site, case: str) -> SampleUnit:
    code, location = site.next_unit()
    site.add(Table.UNIT, code, {}, ZL=location, QLLX="4", FWYT="1", JZMJ="101.20", SCDJ="0")
    return SampleUnit(
        registry=site.registry.registry,
        case=case,
        unit_codes=(code,),
        owners=(),
        title_number="",
        location=location,
    )


def _held(hold: str, **values: str) -> Callable[[Site, str], SampleUnit]:
    """A flat with a hold."""

    def make(site: Site, case: str) -> SampleUnit:
        return site.own(case, [site.people.adult()], DYXZ=hold, **values)

    return make


#: Every odd case by name, in the order of the file.
ODD_CASES: Mapping[str, Callable[[Site, str], SampleUnit]] = MappingProxyType(
    {
        "sole_free": _sole,
        "joint": _joint,
        "by_shares": _by_shares,
        "three_brothers": _three_brothers,
        "mortgaged_by_bank_a": _mortgaged(BANK_A, "2023-05-09", "0"),
        "mortgaged_by_branch": _mortgaged(BANK_A_BRANCH, "2024-02-27", "0"),
        "mortgaged_by_bank_b": _mortgaged(BANK_B, "2023-06-15", "0"),
        "mortgaged_by_fund": _mortgaged(FUND_CENTRE, "2022-12-01", "0"),
        "pre_2021": _mortgaged(BANK_A, "2019-03-11", ""),
        "pre_2021_restricted": _mortgaged(BANK_A, "2023-03-13", "1", SCDJSJ="2019-03-13 10:00:00"),
        "restricted": _mortgaged(BANK_A, "2022-06-21", "1"),
        "unrecorded": _mortgaged(BANK_B, "2021-08-30", ""),
        "maximum_amount": _mortgaged(BANK_A, "2024-04-18", "0", DYFS="2", BDBZZQSE="", ZGZQSE="350.000000"),
        "two_mortgages": _two_mortgages,
        "portfolio": _portfolio,
        "seized": _seized,
        "seized_waiting": _seized_waiting,
        "mortgaged_and_seized": _mortgaged_and_seized,
        "dissent": _dissent,
        "habitation": _habitation,
        "sale_pre_notice": _sale_pre_notice,
        "double_pre_notice": _double_pre_notice,
        "pre_seized_holder": _pre_seized_holder,
        "legacy": _legacy,
        "full_width": _full_width,
        "fifteen_digits": _fifteen_digits,
        "minor": _minor,
        "foreigner": _foreigner,
        "flat_parking_storeroom": _flat_parking_storeroom,
        "shop": _shop,
        "expired": _expired,
        "company": _company,
        "land": _land,
        "never_registered": _never_registered,
        "kindergarten": _held("PROHIBITED_COLLATERAL", FWYT="99", FWXZ="99"),
        "disputed": _held("DISPUTED"),
        "correction": _held("CORRECTION_PENDING"),
    }
)
