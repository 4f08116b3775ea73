"""What the register says of a unit, and to whom."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import msgspec
import pytest
import structlog
from msgspec.structs import replace
from sqlalchemy import Connection, insert
from structlog.testing import capture_logs

from gateway.cases.effects import ApplicationRecorded, RightBooked, UnitRecorded
from gateway.cases.model import Application, Kind, State
from gateway.pb.diya.v1 import register_service_pb2
from gateway.register.model import LoanPortion, LoanPortionKind, Party
from gateway.rpc import register
from gateway.rpc.errors import Refusal
from gateway.rpc.register import RegisterService, authorisation_text
from gateway.rpc.violations import MalformedRequest
from gateway.storage import tables as t
from signing.certificates import Identity, IdentityKind
from signing.pdf import check_pdf
from signing.seal import append_signature
from signing.trust import Purpose
from signing.verdict import FileVerdict, SignatureVerdict
from tests.support.cases import OWNER, PROOF, SPOUSE, UNIT, mortgage_row, unit_state
from tests.support.pdf_files import make_pdf
from tests.support.pki import BANK_USCC, NOW, SECOND_BANK_USCC, sample_pki
from tests.support.spine import (
    PARENT,
    REGISTRY,
    FakeContext,
    Spine,
    as_bank,
    as_registrar,
)

pb = register_service_pb2
CONTEXT: Any = FakeContext()
NAME = f"{PARENT}/units/{UNIT}"
SECOND_PROOF = "苏(2023)江阴市不动产证明第0000077号"
AUTHORISATION = "ab" * 32


def lender(uscc: str) -> Party:
    """A registered bank as a party."""
    return Party(name=f"银行{uscc[-4:]}", id_kind="USCC", id_number=uscc)  # type: ignore[arg-type]


@pytest.fixture
def service(spine: Spine) -> RegisterService:
    """The servicer; on the unit lie a mortgage of the first bank and a later one of the second."""
    state = unit_state(owners=(replace(OWNER, phone="13800000000", address="江阴市"),))
    ownership = state.ownership
    assert ownership is not None
    portion = LoanPortion(kind=LoanPortionKind.COMMERCIAL, creditor=lender(BANK_USCC), amount_fen=1)
    first = mortgage_row(
        mortgagees=(lender(BANK_USCC),), debtors=(SPOUSE,), loan_portions=(portion,), note="附记一"
    )
    second = mortgage_row(
        right_id="0.3",
        mortgagees=(lender(SECOND_BANK_USCC),),
        proof=replace(first.proof, number=SECOND_PROOF),
        rank_at_registration=2,
        priority_date=dt.datetime(2023, 1, 5, tzinfo=dt.UTC),
        loan_portions=(replace(portion, creditor=lender(SECOND_BANK_USCC)),),
        note="附记二",
    )
    spine.enter(UnitRecorded(unit=state.unit), *(RightBooked(right=r) for r in (ownership, first, second)))
    return RegisterService(**spine.shared, trust_of=spine.trust)


async def get(service: RegisterService, **basis: Any) -> Any:
    """GetUnit on some basis."""
    return await service.GetUnit(pb.GetUnitRequest(name=NAME, **basis), CONTEXT)


async def refused(service: RegisterService, **basis: Any) -> str:
    """The whole refusal of a GetUnit, as it goes out."""
    with pytest.raises(Refusal) as caught:
        await get(service, **basis)
    return str(caught.value.status())


async def test_unit_is_read_whole_by_a_registrar(service: RegisterService) -> None:
    """A registrar needs no basis and sees everything, as of one ledger index."""
    with as_registrar():
        answer = await get(service)
    state = answer.unit_state
    assert state.unit.unit_code == UNIT
    assert state.ownerships[0].owners[0].person.identity.number == OWNER.id_number
    assert [(m.proof.number, m.current_rank) for m in state.mortgages] == [(PROOF, 1), (SECOND_PROOF, 2)]
    assert all(m.loan_portions for m in state.mortgages)
    assert [m.booking.note for m in state.mortgages] == ["附记一", "附记二"]
    assert answer.as_of_index == 1


async def test_unit_on_the_basis_of_an_own_right_masks_what_is_others(service: RegisterService) -> None:
    """A mortgagee sees its own mortgage whole, and of everybody else neither numbers, telephones nor loans."""
    with as_bank():
        state = (await get(service, own_right="苏（2022）江阴市不动产证明第0000042号")).unit_state
    own, other = state.mortgages
    assert own.debtors[0].identity.number == SPOUSE.id_number
    assert own.loan_portions
    assert other.mortgagors[0].identity.number == "99**************34"
    assert other.mortgagees[0].identity.number == SECOND_BANK_USCC
    assert not other.loan_portions
    assert (own.booking.note, other.booking.note) == ("附记一", "")
    person = state.ownerships[0].owners[0].person
    assert (person.identity.number, person.phone, person.address) == ("99**************34", "", "")


async def test_look_is_logged_without_the_units_code(
    service: RegisterService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look leaves a line with caller and basis, and no unit code in it (ARCHITECTURE)."""
    monkeypatch.setattr(register, "log", structlog.get_logger())  # one bound before keeps its processors
    with capture_logs() as lines, as_registrar():
        await get(service)
    with capture_logs() as more, as_bank():
        await refused(service, own_right="none")
    assert [(line["event"], line["granted"]) for line in lines + more] == [
        ("unit read", True),
        ("unit read", False),
    ]
    assert UNIT not in str(lines + more)


async def test_unit_without_a_basis_is_like_an_unknown_unit(service: RegisterService) -> None:
    """No basis, somebody else's right, and a unit that is not there give one answer."""
    with as_bank():
        answers = {
            await refused(service),
            await refused(service, own_right=SECOND_PROOF),
            await refused(service, own_right="苏(2022)江阴市不动产证明第0000999号"),
            await refused(service, application=f"{PARENT}/applications/unknown"),
            await refused(service, authorisation_sha256=b"\0" * 32),
        }
        with pytest.raises(Refusal) as caught:
            await service.GetUnit(pb.GetUnitRequest(name=NAME[:-4] + "0009", own_right=PROOF), CONTEXT)
    answers.add(str(caught.value.status()))
    assert len(answers) == 1
    assert caught.value.reason == "UNIT_NOT_FOUND"


@pytest.mark.parametrize(
    ("changes", "granted"),
    [
        ({}, True),
        ({"state": State.AWAITING_PARTIES}, True),
        ({"state": State.BOOKED}, False),
        ({"state": State.NOT_ACCEPTED}, False),
        ({"institutions": (SECOND_BANK_USCC,)}, False),
        ({"units": (UNIT[:-4] + "0009",)}, False),
    ],
)
async def test_unit_on_the_basis_of_an_application_needs_it_open_and_own(
    spine: Spine, service: RegisterService, changes: dict[str, Any], granted: bool
) -> None:
    """An application is a basis while it is open, for its institutions, for its units."""
    application = Application(
        registry=REGISTRY,
        application_id="0197b1c4-0000-7000-8000-0000000000aa",
        kind=Kind.MORTGAGE,
        operations=("MORTGAGE_FIRST",),
        units=(UNIT,),
        channel_institution=BANK_USCC,
        applicant_institution=BANK_USCC,
        institutions=(BANK_USCC,),
        request_id="1",
        payload_sha256="00" * 32,
        terms_sha256="00" * 32,
        state=State.IN_REVIEW,
        submitted_at=spine.clock(),
        submitted_index=2,
        last_index=2,
        accepted_at=spine.clock(),
        accepted_index=2,
        case_number="2026110232028100000001",
    )
    application = replace(application, **changes)
    spine.enter(ApplicationRecorded(application=application))
    with as_bank():
        if not granted:
            assert "UNIT_NOT_FOUND" in await refused(service, application=application.name)
            return
        state = (await get(service, application=application.name)).unit_state
    assert state.mortgages[1].debtors[0].identity.number.startswith("99*")
    queued = application.state is State.IN_REVIEW
    assert [c.case_number for c in state.open_cases] == [application.case_number] * queued


def authorise(
    spine: Spine, text: bytes, signer: Party = OWNER, problems: tuple[Any, ...] = (), **changes: Any
) -> None:
    """The first bank has uploaded an authorisation that embeds `text`, signed by `signer`."""
    now = spine.clock()
    signature = SignatureVerdict(
        field="Signature1",
        identity=Identity(IdentityKind.NATURAL, "IDCCN", signer.id_number),
        name=signer.name,
        fingerprint="aa" * 32,
        issuer_key_id="bb" * 32,
        serial="17",
        algorithm="ECDSA_P256_SHA256",
        signed_at=None,
        proven_at=None,
        judged_at=now,
        covers_whole_document=True,
        visible=False,
        purpose=Purpose.PERSON,
        chain=(),
        anchor=hashlib.sha256(sample_pki().trust.anchors[Purpose.PERSON][0]).hexdigest(),
    )
    signature = msgspec.structs.replace(signature, **changes)
    verdict = FileVerdict(
        ok=not problems,
        problems=problems,
        sha256=AUTHORISATION,
        size_bytes=1,
        checked_at=now,
        signatures=(signature,),
        attachments={"authorisation.txt": hashlib.sha256(text).hexdigest()},
    )
    row = {
        "registry": REGISTRY,
        "institution": BANK_USCC,
        "sha256": AUTHORISATION,
        "size_bytes": 1,
        "media_type": "application/pdf",
        "uploaded_at": "2026-11-02T09:00:00.000000Z",
        "pages": 1,
        "verdict": msgspec.json.encode(verdict),
    }

    def work(connection: Connection) -> None:
        connection.execute(insert(t.file), [row])

    spine.sequencer.run(work).result(timeout=10)


async def test_unit_on_the_owners_authorisation_for_this_unit_and_bank(
    spine: Spine, service: RegisterService
) -> None:
    """What an owner of record signed for this unit and this bank opens it to this bank."""
    authorise(spine, authorisation_text(REGISTRY, UNIT, BANK_USCC))
    with as_bank():
        answer = await get(service, authorisation_sha256=bytes.fromhex(AUTHORISATION))
    assert len(answer.unit_state.mortgages) == 2
    with as_bank(SECOND_BANK_USCC):
        assert "UNIT_NOT_FOUND" in await refused(service, authorisation_sha256=bytes.fromhex(AUTHORISATION))


@pytest.mark.parametrize(
    ("text", "signer"),
    [
        (authorisation_text(REGISTRY, UNIT, SECOND_BANK_USCC), OWNER),
        (authorisation_text(REGISTRY, UNIT[:-4] + "0009", BANK_USCC), OWNER),
        (authorisation_text("elsewhere", UNIT, BANK_USCC), OWNER),
        (authorisation_text(REGISTRY, UNIT, BANK_USCC), SPOUSE),
    ],
)
async def test_unit_on_an_authorisation_for_something_else_is_refused(
    spine: Spine, service: RegisterService, text: bytes, signer: Party
) -> None:
    """An authorisation for another unit, bank or registry, or signed by somebody who is no owner, opens nothing."""
    authorise(spine, text, signer)
    with as_bank():
        assert "UNIT_NOT_FOUND" in await refused(service, authorisation_sha256=bytes.fromhex(AUTHORISATION))


@pytest.mark.parametrize(
    ("proven", "granted"), [(None, False), (-1, True), (1, False)], ids=["unproven", "before", "after"]
)
async def test_authorisation_of_a_signer_revoked_since_holds_where_a_token_proves_it_older(
    spine: Spine, service: RegisterService, proven: int | None, granted: bool
) -> None:
    """Revocation counts at the proven time; without a token it counts now. An anchor no longer trusted never does."""
    sample, now = sample_pki(), spine.clock()
    revoking = sample.trust_revoking(sample.seller, since=now - dt.timedelta(days=1))
    service = RegisterService(**spine.shared, trust_of=lambda registry: revoking)
    signed = append_signature(make_pdf(), sample.seller.signer(), reason="x", at=NOW)
    [signature] = check_pdf(signed, sample.trust, NOW).signatures
    at = None if proven is None else now + dt.timedelta(days=proven - 1)
    authorise(spine, authorisation_text(REGISTRY, UNIT, BANK_USCC), proven_at=at, chain=signature.chain)
    with as_bank():
        if granted:
            await get(service, authorisation_sha256=bytes.fromhex(AUTHORISATION))
        else:
            assert "UNIT_NOT_FOUND" in await refused(
                service, authorisation_sha256=bytes.fromhex(AUTHORISATION)
            )


async def test_unit_code_malformed_is_told_by_its_own_reason(service: RegisterService) -> None:
    """A unit code that cannot be one is UNIT_CODE_MALFORMED, not an unknown unit."""
    with as_registrar(), pytest.raises(MalformedRequest) as caught:
        await service.GetUnit(pb.GetUnitRequest(name=f"{PARENT}/units/123"), CONTEXT)
    assert caught.value.violations[0].reason == "UNIT_CODE_MALFORMED"
