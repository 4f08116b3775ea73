"""E-certificates for their holders, and the public check."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gateway.cases.effects import (
    ApplicationRecorded,
    CertificateEnded,
    CertificateNumbered,
    CertificateSealed,
    RightBooked,
    UnitRecorded,
)
from gateway.cases.model import Application, Kind, State
from gateway.certificates.content import CertificateContent, CertificateKind
from gateway.pb.diya.v1 import certificate_pb2, certificate_service_pb2
from gateway.register.identifiers import make_certificate_identifier
from gateway.rpc.certificates import VERIFY_BURST, CertificateService
from gateway.rpc.errors import Refusal
from gateway.rpc.violations import MalformedRequest
from gateway.storage.paging import PageTokenInvalid
from ledger.checkpoint import open_checkpoint
from ledger.entry import parse_entry
from ledger.hashing import leaf_hash
from ledger.proof import verify_inclusion
from tests.support.cases import BANK, OWNER, UNIT, mortgage_row, unit_state
from tests.support.pki import BANK_USCC, SECOND_BANK_USCC
from tests.support.spine import (
    PARENT,
    REGISTRY,
    FakeContext,
    Spine,
    as_bank,
    as_registrar,
)

pb = certificate_service_pb2
CONTEXT: Any = FakeContext()
CODE = "0123456789abcdef0123456789abcdef"
PDF = b"%PDF-1.7 sealed " + bytes(600_000)
ISSUER = "11320281014034566J"


@pytest.fixture
def service(spine: Spine) -> CertificateService:
    """The servicer."""
    return CertificateService(**spine.shared, files=spine.files, limits=spine.limits, monotonic=lambda: 0.0)


def identifier(number: int) -> str:
    """A certificate identifier with its check character."""
    return make_certificate_identifier("PROOF", ISSUER, f"{number:07d}")


def book(spine: Spine, number: int, *institutions: str) -> str:
    """A mortgage booked with certificate `number`; its identifier."""
    now = spine.clock()
    application_id = f"0197b1c4-0000-7000-8000-{number:012d}"
    content = CertificateContent(
        kind=CertificateKind.PROOF,
        identifier=identifier(number),
        number=f"苏(2026)江阴市不动产证明第{number:07d}号",
        code=CODE,
        registry=REGISTRY,
        issuer_name="江阴市不动产登记中心",
        issuer_code=ISSUER,
        issued_on=now.date(),
        matter="抵押权",
        holders=(BANK,),
        obligors=(OWNER,),
        location="江阴市示例路1号101室",
        unit_codes=(UNIT,),
        right_id=f"r.{number}",
        application=application_id,
        case_number=f"20261102320281{number:08d}",
        booked_at=now,
        test=True,
    )
    state = unit_state()
    numbered = CertificateNumbered(
        identifier=content.identifier,
        number=content.number,
        kind="PROOF",
        part="certificate/1",
        right_id=content.right_id,
        application_id=application_id,
        institutions=institutions or (BANK_USCC,),
    )
    application = Application(
        registry=REGISTRY,
        application_id=application_id,
        kind=Kind.MORTGAGE,
        operations=("MORTGAGE_FIRST",),
        units=(UNIT,),
        channel_institution=BANK_USCC,
        applicant_institution=BANK_USCC,
        institutions=institutions or (BANK_USCC,),
        request_id=application_id,
        payload_sha256="00" * 32,
        terms_sha256="00" * 32,
        state=State.BOOKED,
        submitted_at=now,
        submitted_index=number,
        last_index=number,
        certificates=(content.identifier,),
    )
    spine.enter(
        UnitRecorded(unit=state.unit),
        RightBooked(right=mortgage_row(right_id=content.right_id)),
        ApplicationRecorded(application=application),
        numbered,
        contents=(content,),
        application=application.name,
    )
    return content.identifier


def seal(spine: Spine, identified: str, pdf: bytes = PDF) -> str:
    """Seal a certificate; the digest of its PDF."""
    sha256 = spine.files.put(pdf)
    sealed = CertificateSealed(
        identifier=identified, pdf_sha256=sha256, size_bytes=len(pdf), sealed_at=spine.clock()
    )
    spine.enter(sealed)
    return sha256


def name_of(identified: str) -> str:
    """Resource name of a certificate."""
    return f"{PARENT}/certificates/{identified}"


async def test_certificate_comes_with_a_receipt_that_proves_its_content(
    spine: Spine, service: CertificateService
) -> None:
    """From the answer alone, with the ledger's key, anybody can prove that the content stands in the ledger."""
    identified = book(spine, 1)
    with as_bank():
        got = await service.GetCertificate(pb.GetCertificateRequest(name=name_of(identified)), CONTEXT)
    certificate, receipt = got.certificate, got.receipt
    assert (certificate.number, certificate.unit_codes) == ("苏(2026)江阴市不动产证明第0000001号", [UNIT])
    assert certificate.parsed_content.code == CODE
    assert certificate.parsed_content.holders[0].identity.number == BANK.id_number
    entry = parse_entry(receipt.entry)
    digest = hashlib.sha256(certificate.salt + certificate.content).digest()
    assert dict(entry.commitments)[certificate.part] == digest
    checkpoint = open_checkpoint(receipt.checkpoint, spine.signer.vkey)
    verify_inclusion(
        receipt.index,
        checkpoint.size,
        leaf_hash(receipt.entry),
        list(receipt.inclusion_proof),
        checkpoint.root,
    )
    assert [o.name for o in receipt.openings] == ["certificate/1"]


async def test_certificate_of_others_is_not_found(spine: Spine, service: CertificateService) -> None:
    """Another bank's certificate and one that is not there give the same answer, on every way to it."""
    identified = book(spine, 1)
    answers = set()
    with as_bank(SECOND_BANK_USCC):
        for name in (name_of(identified), name_of(identifier(99))):
            with pytest.raises(Refusal) as caught:
                await service.GetCertificate(pb.GetCertificateRequest(name=name), CONTEXT)
            answers.add(str(caught.value.status()))
            with pytest.raises(Refusal) as caught:
                _ = [
                    m
                    async for m in service.DownloadCertificate(
                        pb.DownloadCertificateRequest(name=name), CONTEXT
                    )
                ]
            answers.add(str(caught.value.status()))
    assert len(answers) == 1
    with as_registrar():
        await service.GetCertificate(pb.GetCertificateRequest(name=name_of(identified)), CONTEXT)


async def test_certificate_not_sealed_yet_says_when_to_ask_again(
    spine: Spine, service: CertificateService
) -> None:
    """A numbered certificate has no PDF: the answer says so, with a delay."""
    identified = book(spine, 1)
    request = pb.DownloadCertificateRequest(name=name_of(identified))
    with as_bank(), pytest.raises(Refusal) as caught:
        _ = [m async for m in service.DownloadCertificate(request, CONTEXT)]
    assert caught.value.reason == "CERTIFICATE_NOT_SEALED"
    assert caught.value.retry_seconds


async def test_certificate_sealed_is_downloaded_whole(spine: Spine, service: CertificateService) -> None:
    """The sealed PDF comes byte for byte as it was sealed, also from an offset."""
    identified = book(spine, 1)
    sha256 = seal(spine, identified)
    with as_bank():
        messages = [
            m
            async for m in service.DownloadCertificate(
                pb.DownloadCertificateRequest(name=name_of(identified)), CONTEXT
            )
        ]
        rest = [
            m
            async for m in service.DownloadCertificate(
                pb.DownloadCertificateRequest(name=name_of(identified), offset=len(PDF) - 3), CONTEXT
            )
        ]
    assert messages[0].certificate.pdf_sha256.hex() == sha256
    assert b"".join(m.chunk for m in messages[1:]) == PDF
    assert b"".join(m.chunk for m in rest[1:]) == PDF[-3:]


async def test_certificates_are_listed_newest_first_page_by_page(
    spine: Spine, service: CertificateService
) -> None:
    """A bank's list holds its own certificates only, newest booking first, each once over all pages."""
    own = [book(spine, n) for n in (1, 2, 3)]
    book(spine, 4, SECOND_BANK_USCC)
    both = book(spine, 5, SECOND_BANK_USCC, BANK_USCC)
    seen: list[str] = []
    token = ""
    with as_bank():
        for _ in range(5):
            request = pb.ListCertificatesRequest(parent=PARENT, page_size=3, page_token=token)
            page = await service.ListCertificates(request, CONTEXT)
            seen += [c.identifier for c in page.certificates]
            token = page.next_page_token
            if not token:
                break
    assert seen == [both, *reversed(own)]
    with as_registrar():
        page = await service.ListCertificates(pb.ListCertificatesRequest(parent=PARENT), CONTEXT)
    assert len(page.certificates) == 5
    assert not any(c.content or c.salt for c in page.certificates)


async def test_certificates_page_token_of_another_caller_is_refused(
    spine: Spine, service: CertificateService
) -> None:
    """A token belongs to one caller's one query."""
    for number in (1, 2):
        book(spine, number, BANK_USCC, SECOND_BANK_USCC)
    with as_bank():
        request = pb.ListCertificatesRequest(parent=PARENT, page_size=1)
        token = (await service.ListCertificates(request, CONTEXT)).next_page_token
    request.page_token = token
    with as_bank(SECOND_BANK_USCC), pytest.raises(PageTokenInvalid):
        await service.ListCertificates(request, CONTEXT)
    request.states.append(certificate_pb2.Certificate.STATE_SEALED)
    with as_bank(), pytest.raises(PageTokenInvalid):
        await service.ListCertificates(request, CONTEXT)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"states": [certificate_pb2.Certificate.STATE_SEALED]}, {2}),
        ({"unit_code": UNIT}, {1, 2}),
        ({"unit_code": UNIT[:-4] + "0009"}, set()),
        ({"number": "苏(2026)江阴市不动产证明第0000001号"}, {1}),
        ({"application": f"{PARENT}/applications/0197b1c4-0000-7000-8000-000000000002"}, {2}),
        ({"application": f"{PARENT}/applications/unknown"}, set()),
    ],
)
async def test_certificates_are_filtered(
    spine: Spine, service: CertificateService, filters: dict[str, Any], numbers: set[int]
) -> None:
    """Each filter keeps what it names and nothing else."""
    made = {n: book(spine, n) for n in (1, 2)}
    seal(spine, made[2])
    with as_bank():
        page = await service.ListCertificates(pb.ListCertificatesRequest(parent=PARENT, **filters), CONTEXT)
    assert {c.identifier for c in page.certificates} == {made[n] for n in numbers}


async def test_verification_tells_the_live_state_and_nothing_personal(
    spine: Spine, service: CertificateService
) -> None:
    """Whoever holds the certificate learns its state now, and no name, number of a person, or amount."""
    identified = book(spine, 1)
    sha256 = seal(spine, identified)
    by_code = pb.VerifyCertificateRequest(
        parent=PARENT, code=pb.CertificateCode(identifier=identified, code=CODE)
    )
    by_pdf = pb.VerifyCertificateRequest(parent=PARENT, pdf_sha256=bytes.fromhex(sha256))
    answer = await service.VerifyCertificate(by_code, CONTEXT)
    assert answer == await service.VerifyCertificate(by_pdf, CONTEXT)
    assert answer.state == certificate_pb2.Certificate.STATE_SEALED
    assert answer.pdf_sha256.hex() == sha256
    assert (answer.test, answer.as_of_index) == (True, 2)
    text = answer.SerializeToString()
    for personal in (OWNER.name, OWNER.id_number, "示例路", BANK.name):
        assert personal.encode() not in text
    spine.enter(
        CertificateEnded(identifier=identified, state="CANCELLED", case_number="1", ended_at=spine.clock())
    )
    ended = await service.VerifyCertificate(by_code, CONTEXT)
    assert ended.state == certificate_pb2.Certificate.STATE_CANCELLED
    assert ended.HasField("ended_at")


async def test_verification_that_does_not_fit_gets_one_answer(
    spine: Spine, service: CertificateService
) -> None:
    """A wrong code, an unknown identifier and an unknown file are not told apart."""
    identified = book(spine, 1)
    answers = set()
    for by in (
        {"code": pb.CertificateCode(identifier=identified, code="f" * 32)},
        {"code": pb.CertificateCode(identifier=identifier(99), code=CODE)},
        {"pdf_sha256": b"\0" * 32},
    ):
        with pytest.raises(Refusal) as caught:
            await service.VerifyCertificate(pb.VerifyCertificateRequest(parent=PARENT, **by), CONTEXT)
        answers.add(str(caught.value.status()))
    assert len(answers) == 1


@pytest.mark.parametrize(
    "by",
    [
        {},
        {"pdf_sha256": b"short"},
        {"code": pb.CertificateCode(identifier=identifier(1)[:-1] + "*", code=CODE)},
        {"code": pb.CertificateCode(identifier=identifier(1), code="F" * 32)},
    ],
)
async def test_verification_malformed_is_told(service: CertificateService, by: dict[str, Any]) -> None:
    """What cannot be a certificate is a bad field, so that a mistyped character is noticed."""
    with pytest.raises(MalformedRequest):
        await service.VerifyCertificate(pb.VerifyCertificateRequest(parent=PARENT, **by), CONTEXT)


async def test_verification_is_limited_per_address(spine: Spine, service: CertificateService) -> None:
    """Guessing codes is slow: an address has a quota, used up also by wrong guesses."""
    identified = book(spine, 1)
    request = pb.VerifyCertificateRequest(
        parent=PARENT, code=pb.CertificateCode(identifier=identified, code="f" * 32)
    )
    reasons = []
    for _ in range(int(VERIFY_BURST) + 1):
        with pytest.raises(Refusal) as caught:
            await service.VerifyCertificate(request, CONTEXT)
        reasons.append(caught.value.reason)
    assert reasons == ["CERTIFICATE_NOT_FOUND"] * int(VERIFY_BURST) + ["QUOTA_EXCEEDED"]
