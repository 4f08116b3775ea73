"""Search by person: by a keyed hash, for courts and registrars, recorded whatever it finds (IR 27)."""

from __future__ import annotations

import datetime as dt
import sqlite3
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.effects import InstitutionSet, RightBooked, RightEnded, UnitRecorded
from gateway.pb.diya.v1 import codes_pb2, common_pb2, register_service_pb2
from gateway.register.authority import InstitutionKind
from gateway.register.model import (
    CertificateRef,
    Habitation,
    IdKind,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
)
from gateway.register.sample_parties import made_up_citizen_id
from gateway.rpc.errors import Refusal
from gateway.rpc.register import RegisterService
from gateway.rpc.violations import MalformedRequest
from tests.support.cases import OTHER_BANK, OWNER, TITLE, UNIT, mortgage_row, unit_state
from tests.support.pki import BANK_USCC, NOW, SECOND_BANK_USCC, social_credit_code
from tests.support.spine import PARENT, REGISTRY, FakeContext, Spine, as_bank, as_registrar, bank

pb = register_service_pb2
CONTEXT: Any = FakeContext()
COURT = SECOND_BANK_USCC
INSTRUMENT = "(2026)苏0281执1号"
COMPANY = Party(name="示例置业有限公司", id_kind=IdKind.USCC, id_number=social_credit_code("MA00DE101"))
LENDER = Party(
    name="出借人", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1988, 1, 1), 21)
)
RESIDENT = Party(
    name="居住人", id_kind=IdKind.RESIDENT_ID, id_number=made_up_citizen_id(dt.date(1955, 5, 5), 22)
)
COMMON: dict[str, Any] = {"units": (UNIT,), "case_number": "", "booked_at": NOW, "booked_by": "导入"}


@pytest.fixture
def service(spine: Spine) -> RegisterService:
    """OWNER's flat with a mortgage of a bank and a private lender; RESIDENT lives there; COMPANY is to buy."""
    state = unit_state()
    ownership = state.ownership
    assert ownership is not None
    rights = (
        ownership,
        mortgage_row(mortgagees=(OTHER_BANK, LENDER)),
        Habitation(right_id="0.4", holder=RESIDENT, **COMMON),
        PreNotice(
            right_id="0.5",
            kind=PreNoticeKind.OTHER_SALE,
            holders=(COMPANY,),
            obligors=(OWNER,),
            amount_fen=1,
            proof=CertificateRef(number="苏(2026)江阴市不动产证明第0000099号"),
            **COMMON,
        ),
    )
    court = replace(bank(COURT, "c" * 64), kind=InstitutionKind.COURT, names=("江阴市人民法院",))
    spine.enter(UnitRecorded(unit=state.unit), *(RightBooked(right=r) for r in rights))
    spine.enter(InstitutionSet(institution=court))
    return RegisterService(**spine.shared, trust_of=spine.trust)


async def search(
    service: RegisterService, number: str, kind: Any = codes_pb2.ID_KIND_RESIDENT_ID, **how: Any
) -> Any:
    """A search, complete unless a test takes something away."""
    request = {"instrument": INSTRUMENT, "purpose": "执行查控", **how}
    identity = common_pb2.Identity(kind=kind, number=number)
    return await service.SearchUnits(
        pb.SearchUnitsRequest(parent=PARENT, identity=identity, **request), CONTEXT
    )


def looks(spine: Spine) -> list[tuple[Any, ...]]:
    """The view of looks."""
    with sqlite3.connect(spine.folder / "diya.db") as connection:
        return connection.execute(
            "SELECT query, caller, basis, subject FROM look ORDER BY entry_index"
        ).fetchall()


async def test_court_finds_what_a_person_holds_in_every_role(service: RegisterService) -> None:
    """Owner, private mortgagee, who may live there, who is to buy; each by its own number."""
    found = {}
    with as_bank(COURT):
        for person, kind in (
            (OWNER, codes_pb2.ID_KIND_RESIDENT_ID),
            (LENDER, codes_pb2.ID_KIND_RESIDENT_ID),
            (RESIDENT, codes_pb2.ID_KIND_RESIDENT_ID),
            (COMPANY, codes_pb2.ID_KIND_USCC),
        ):
            [right] = (await search(service, person.id_number, kind)).rights
            found[person.name] = (right.role, right.unit_code)
        [by_code] = (await search(service, COMPANY.id_number[8:17], codes_pb2.ID_KIND_ORG_CODE)).rights
    assert by_code.role == "PRE_NOTICE_HOLDER"
    assert found == {
        OWNER.name: ("OWNER", UNIT),
        LENDER.name: ("MORTGAGEE", UNIT),
        RESIDENT.name: ("HABITATION_HOLDER", UNIT),
        COMPANY.name: ("PRE_NOTICE_HOLDER", UNIT),
    }


async def test_bank_of_record_is_not_found_by_its_mortgages(service: RegisterService) -> None:
    """Who searches for a bank finds what it owns, not every flat it lends on."""
    with as_registrar():
        answer = await search(service, OTHER_BANK.id_number, codes_pb2.ID_KIND_USCC, instrument="")
    assert not answer.rights


async def test_right_that_ended_is_not_found_and_a_seizure_is_told(
    spine: Spine, service: RegisterService
) -> None:
    """Live rights only; whoever comes next sees that the unit is seized already."""
    seizure = Seizure(
        right_id="0.6",
        kind=SeizureKind.SEIZURE,
        target=OWNER,
        extent="全部",
        authority="江阴市人民法院",
        instrument_no=INSTRUMENT,
        served_at=NOW,
        until=dt.date(2029, 11, 1),
        **COMMON,
    )
    spine.enter(
        RightBooked(right=seizure),
        RightEnded(right_id="0.2", ended_at=NOW, case_number="", reason="x", ended_by="x"),
    )
    with as_bank(COURT):
        assert not (await search(service, LENDER.id_number)).rights
        [right] = (await search(service, OWNER.id_number)).rights
    assert right.seized
    assert right.certificate_number == TITLE


async def test_old_number_of_fifteen_digits_is_the_same_person(service: RegisterService) -> None:
    """15 and 18 digits of one person are equal (handbook 3.1)."""
    number = OWNER.id_number
    with as_bank(COURT):
        assert (await search(service, number[:6] + number[8:17])).rights


async def test_nobody_else_searches_by_person(spine: Spine, service: RegisterService) -> None:
    """A bank may not; a court needs its instrument, everybody a purpose; none of these leaves an entry."""
    with as_bank(BANK_USCC), pytest.raises(Refusal) as refused:
        await search(service, OWNER.id_number)
    assert refused.value.reason == "PERMISSION_DENIED"
    for wanting in ({"instrument": " "}, {"purpose": ""}):
        with as_bank(COURT), pytest.raises(MalformedRequest):
            await search(service, OWNER.id_number, **wanting)
    with as_bank(COURT), pytest.raises(MalformedRequest):
        await search(service, "123")
    assert looks(spine) == []


async def test_search_is_recorded_whatever_it_finds(spine: Spine, service: RegisterService) -> None:
    """Who searched and on which instrument; the person as a keyed hash, in the entry and in the view."""
    stranger = "99999919850505001X"
    with as_bank(COURT):
        one = await search(service, OWNER.id_number)
    with as_registrar():
        await search(service, stranger, codes_pb2.ID_KIND_PASSPORT, instrument="")
    assert [row[:3] for row in looks(spine)] == [
        ("PERSON", COURT, "instrument"),
        ("PERSON", "deng-1", "registrar"),
    ]
    assert one.recorded_index == one.as_of_index
    _, effects = await spine.queries.salted_part(REGISTRY, one.recorded_index, "effects")
    _, evidence = await spine.queries.salted_part(REGISTRY, one.recorded_index, "evidence/payload")
    assert OWNER.id_number.encode() not in effects
    assert OWNER.id_number.encode() in evidence
    with sqlite3.connect(spine.folder / "diya.db") as connection:
        rows = connection.execute("SELECT person FROM person_right").fetchall()
    assert rows
    assert all(len(person) == 64 and OWNER.id_number not in person for (person,) in rows)


# -- one unit, for a court -----------------------------------------------------------------------------------------


async def look(service: RegisterService, **how: Any) -> Any:
    """GetUnit on a court's instrument."""
    request = {"instrument": INSTRUMENT, "purpose": "执行查控", **how}
    return await service.GetUnit(pb.GetUnitRequest(name=f"{PARENT}/units/{UNIT}", **request), CONTEXT)


async def test_court_reads_a_unit_on_its_instrument_and_others_numbers_are_masked(
    service: RegisterService, spine: Spine
) -> None:
    """IR 27: its own basis, recorded like every look; what it does not hold itself it sees as anybody else does."""
    with as_bank(COURT):
        answer = await look(service)
    [owner] = answer.unit_state.ownerships[0].owners
    assert owner.person.name == OWNER.name
    assert OWNER.id_number not in str(answer)
    [recorded] = looks(spine)
    assert recorded[:3] == ("UNIT", COURT, "instrument")


@pytest.mark.parametrize(
    ("how", "caller", "error"),
    [
        ({}, BANK_USCC, "UNIT_NOT_FOUND"),
        ({"purpose": ""}, COURT, "purpose"),
        ({"instrument": " "}, COURT, "instrument"),
        ({"instrument": "长" * 101}, COURT, "instrument"),
    ],
    ids=["a-bank", "no-purpose", "no-number", "too-long"],
)
async def test_unit_is_read_on_an_instrument_by_a_court_that_says_why(
    service: RegisterService, how: dict[str, str], caller: str, error: str
) -> None:
    """A bank's word that it is a court's instrument is no basis; a court names paper and purpose."""
    with as_bank(caller), pytest.raises((Refusal, MalformedRequest)) as refused:
        await look(service, **how)
    assert error in str(refused.value) or error in getattr(refused.value, "reason", "")
