"""What is told of a case: to whom its sections, files, acts and clerk go, and which instants it shows."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest

from gateway.client.acts import target_of_envelope
from gateway.client.party import target_of_pending
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import (
    acts_pb2,
    application_pb2,
    codes_pb2,
    envelope_pb2,
    outcome_pb2,
    registration_service_pb2,
    review_service_pb2,
)
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from tests.integration.test_party_service import party, portfolio
from tests.support.filing import Filing
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

Pb = registration_service_pb2
FUND = INSTITUTIONS["fund-centre"].id_number
BRANCH = INSTITUTIONS["bank-a-branch"].id_number
JOIN = "application/vnd.diya.join.v1+protobuf"


async def read(town: Town, key: str, name: str, *, full: bool = True) -> application_pb2.Application:
    """A case as somebody is told it."""
    view = application_pb2.APPLICATION_VIEW_FULL if full else application_pb2.APPLICATION_VIEW_BASIC
    request = Pb.GetApplicationRequest(name=name, view=view)
    return (await town.registration(key).GetApplication(request)).application


def section(name: str, content: bytes, *readers: str) -> tuple[Any, Any]:
    """A section as the manifest names it, and its bytes."""
    digest = hashlib.sha256(content).digest()
    reference = envelope_pb2.SectionReference(name=name, readers=readers, sha256=digest)
    return reference, envelope_pb2.Section(name=name, content=content)


async def with_sections(filing: Filing, *sections: tuple[Any, Any]) -> outcome_pb2.Outcome:
    """File a case with sections beside it."""
    manifest = filing.manifest()
    manifest.sections.extend(reference for reference, _ in sections)
    return await filing.send(sections=[s for _, s in sections], envelope=filing.envelope(manifest))


async def test_sections_go_to_their_readers_sender_and_registrar_alone(town: Town) -> None:
    """A section is read by whom it names, by its sender and by the registrar; the other bank of the case sees none."""
    filing = await portfolio(town, "taizhou").upload()
    loan, shared = section("loan", b"rate 3.1"), section("shared", b"both", FUND)
    outcome = await with_sections(filing, loan, shared)
    expected = {"bank-a": ["loan", "shared"], REGISTRAR_KEY: ["loan", "shared"], "fund-centre": ["shared"]}
    for key, names in expected.items():
        dossier = (await read(town, key, outcome.application)).dossier
        assert [s.name for s in dossier.sections] == names, key
        signed = {r.name: r.sha256 for r in envelope_pb2.Manifest.FromString(dossier.manifest).sections}
        for one in dossier.sections:
            assert hashlib.sha256(one.content).digest() == signed[one.name]


async def test_files_come_with_their_verdict_to_their_readers(town: Town) -> None:
    """A file's verdict lies by its reference; numbers are masked but for uploader and registrar; a paper that names
    its readers is not listed to the others.
    """
    filing = await portfolio(town, "taizhou").upload()
    secret = next(r for r in filing.references if r.paper_code == "PRINCIPAL_CONTRACT")
    secret.readers.append(INSTITUTIONS["bank-a"].id_number)
    outcome = await filing.send()
    number = filing.owners[0].id_number
    for key, whole, sees in (
        ("bank-a", True, True),
        (REGISTRAR_KEY, True, True),
        ("fund-centre", False, False),
    ):
        files = {
            f.reference.paper_code: f for f in (await read(town, key, outcome.application)).dossier.files
        }
        assert ("PRINCIPAL_CONTRACT" in files) is sees, key
        form = files["APPLICATION"]
        assert form.file.sha256 == form.reference.sha256
        assert form.file.verdict.ok
        assert form.institution == INSTITUTIONS["bank-a"].id_number
        assert (number in {s.id_number for s in form.file.verdict.signatures}) is whole, key


async def test_later_acts_are_in_the_dossier_as_they_were_signed(town: Town) -> None:
    """Join, claim, suspension, request for papers: oldest first, with type, actor and the exact bytes. An institution
    reads what was addressed to it, and nothing of what the authority keeps to itself.
    """
    filing = await portfolio(town, "taizhou").upload()
    answer = await filing.submit()
    name = answer.outcome.application
    fund = await party(town, "fund-centre", "taizhou")
    [case] = [one async for one in fund.list_pending() if one.application.name == name]
    assert case.application.milestones.HasField("submitted_at")
    joined = await fund.join(target_of_pending(case), ["fund"])
    review = await town.registrar()
    claimed = await review.claim(await review.open(name))
    wanted = outcome_pb2.Outcome().findings.add(code="N-INCOMPLETE", zh="请补充", en="bring it")
    asked = await review.request_supplement(await review.open(name), [wanted], opinion="内部意见")

    own = (await read(town, REGISTRAR_KEY, name)).dossier.acts
    assert [a.index for a in own] == [x.outcome.receipt.index for x in (joined, claimed, asked)]
    assert [a.payload for a in own] == [x.envelope.payload for x in (joined, claimed, asked)]
    assert own[0].payload_type == JOIN
    assert own[0].actor == FUND
    assert own[1].actor == own[2].actor != ""
    assert [a.time.ToNanoseconds() for a in own] == sorted(a.time.ToNanoseconds() for a in own)
    banks = (await read(town, "bank-a", name)).dossier.acts
    assert [a.payload_type for a in banks] == [a.payload_type for a in own]
    assert [bool(a.payload) for a in banks] == [True, False, True]


async def test_clerk_and_request_id_are_told_to_whom_they_belong(town: Town) -> None:
    """The clerk goes to the applicant institution and the registrar, the request id to the sender."""
    filing = await portfolio(town, "taizhou").upload()
    answer = await filing.submit()
    name = answer.outcome.application
    for key, clerk, request_id in (
        ("bank-a", "经办员", answer.request_id),
        (REGISTRAR_KEY, "经办员", ""),
        ("fund-centre", "", ""),
    ):
        told = await read(town, key, name, full=False)
        assert (told.clerk.name, told.request_id) == (clerk, request_id), key
        assert not told.HasField("dossier")


async def test_lists_tell_a_case_as_the_single_read_does(town: Town) -> None:
    """Findings that stopped the rules, clerk, acceptance, milestones: in list and queue as in GetApplication."""
    _, answer = await town.in_review()
    name = answer.outcome.application
    client = await town.client("bank-a", "taizhou")
    alone = await read(town, "bank-a", name, full=False)
    assert alone.findings
    assert alone.accepted_by
    assert [x async for x in client.list_applications(unit_code=alone.unit_codes[0])] == [alone]
    review = await town.registrar()
    [queued] = [x async for x in review.list_queue() if x.name == name]
    assert queued.findings == alone.findings


async def test_applications_are_listed_by_every_filter(town: Town) -> None:
    """Each filter of the contract finds the case, and its opposite does not."""
    _, answer = await town.booked(applicant="bank-a-branch")
    name = answer.outcome.application
    client = await town.client("bank-a")
    case = await client.get_application(name)
    submitted = case.milestones.submitted_at.ToDatetime(dt.UTC)
    for fitting, other in (
        ({"unit_code": case.unit_codes[0]}, {"unit_code": town.flat().unit_code}),
        ({"applicant_institution": BRANCH}, {"applicant_institution": FUND}),
        ({"case": name}, {"case": name[:-4] + "ffff"}),
        ({"case_number": case.case_number}, {"case_number": "0" * 22}),
        ({"submitted_after": submitted}, {"submitted_before": submitted}),
    ):
        found = [x.name async for x in client.list_applications(page_size=1, **fitting)]  # type: ignore[arg-type]
        assert name in found, fitting
        found = [x.name async for x in client.list_applications(**other)]  # type: ignore[arg-type]
        assert name not in found, other


@pytest.mark.parametrize(
    "filters",
    [
        {"unit_code": "123"},
        {"applicant_institution": "123"},
        {"case": "123"},
        {"case": "registries/taizhou/applications/1"},
        {"page_size": -1},
    ],
    ids=str,
)
async def test_list_by_a_malformed_filter_is_refused(town: Town, filters: dict[str, Any]) -> None:
    """A filter that can name nothing is FIELD_INVALID, not an empty list."""
    request = Pb.ListApplicationsRequest(parent="registries/jiangyin", **filters)
    await town.refusal(lambda: town.registration("bank-a").ListApplications(request), "FIELD_INVALID")


async def test_queue_holds_what_waits_for_a_person_by_operation_and_county(town: Town) -> None:
    """Without states: what a person has to decide. Operations and county narrow it; a malformed county is refused."""
    _, answer = await town.in_review()
    _, suspended = await town.in_review()
    review = await town.registrar()
    await review.claim(await review.open(suspended.outcome.application))
    await review.suspend(await review.open(suspended.outcome.application), "S-INVESTIGATION")
    name = answer.outcome.application
    county = (await read(town, REGISTRAR_KEY, name)).unit_codes[0][:6]

    async def names(**filters: Any) -> list[str]:
        return [x.name async for x in review.list_queue(**filters)]

    first, release = codes_pb2.OPERATION_KIND_MORTGAGE_FIRST, codes_pb2.OPERATION_KIND_MORTGAGE_RELEASE
    assert name in await names()
    assert suspended.outcome.application not in await names()
    assert name in await names(operations=[first, release], county_code=county)
    assert name not in await names(operations=[release])
    assert name not in await names(county_code="999999")
    stub = town.stub(ReviewServiceStub, REGISTRAR_KEY)
    request = review_service_pb2.ListQueueRequest(parent="registries/taizhou", county_code="32")
    await town.refusal(lambda: stub.ListQueue(request), "FIELD_INVALID")


async def test_milestones_of_a_release_and_of_a_refusal(town: Town) -> None:
    """A release was released and closed with its booking; a case not accepted closed as it was answered."""
    filing, answer = await town.booked()
    release = await town.release(filing, answer.outcome.certificates[0].number).sign().upload()
    released = await release.submit()
    case = await read(town, "bank-a", released.outcome.application, full=False)
    stones = case.milestones
    assert stones.released_at == stones.booked_at == stones.closed_at
    mortgage = (await read(town, "bank-a", answer.outcome.application, full=False)).milestones
    assert mortgage.HasField("closed_at")
    assert not mortgage.HasField("released_at")
    incomplete = await town.mortgage().submit()
    assert incomplete.result == "NOT_ACCEPTED"
    stones = (await read(town, "bank-a", incomplete.outcome.application, full=False)).milestones
    assert stones.closed_at == stones.submitted_at


async def test_payout_is_a_milestone_and_closes_nothing_anew(town: Town) -> None:
    """A lender's statement after the booking shows as paid_out_at; closed_at stays what it was."""
    _, answer = await town.booked()
    name = answer.outcome.application
    before = (await read(town, "bank-a", name, full=False)).milestones
    assert not before.HasField("paid_out_at")
    bank = await party(town, "bank-a")
    target = target_of_envelope(name, answer.envelope)
    today = town.clock().date()
    await bank.consent(
        target, acts_pb2.CONSENT_KIND_PAID_OUT, parties=["bank"], amount_fen=1, happened_on=today
    )
    after = (await read(town, "bank-a", name, full=False)).milestones
    assert after.HasField("paid_out_at")
    assert after.closed_at == before.closed_at
