"""Joining, consenting, declining, withdrawing, supplementing: over the real wire, with real signatures."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from gateway.client import manifest as build
from gateway.client.acts import send_act, target_of, target_of_envelope
from gateway.client.errors import RequestError
from gateway.client.party import PartyClient, target_of_pending
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.client.session import Actor, Answer
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import acts_pb2, envelope_pb2, finding_pb2, outcome_pb2, party_service_pb2
from gateway.pb.diya.v1.party_service_pb2_grpc import PartyServiceStub
from tests.support.filing import Filing
from tests.support.signed_papers import form, paper
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

FUND = INSTITUTIONS["fund-centre"]


def actor(key: str) -> Actor:
    """An institution that acts for itself."""
    return Actor(INSTITUTIONS[key].id_number, build.clerk("经办员", "D-001"))


async def party(town: Town, key: str, registry: str = "jiangyin") -> PartyClient:
    """An institution's client for others' cases."""
    session = await town.session(key, registry)
    session.clock = town.clock
    return PartyClient(session, town.key(key).signer(), actor(key))


def portfolio(town: Town, registry: str = "jiangyin") -> Filing:
    """A portfolio loan: bank A and the fund centre, filed by bank A; every paper signed by all."""
    filing = town.mortgage(registry=registry)
    filing.terms.parties.append(build.institution_party("fund", FUND.name, FUND.id_number))
    filing.content.mortgagees.append("fund")
    filing.terms.operations[0].applicants.append("fund")
    filing.sign()
    people = [town.citizen(o) for o in filing.owners]
    banks = (town.key("bank-a"), town.key("fund-centre"))
    for code in ("PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT"):
        filing.papers[code] = [paper(code, *people, *banks)]
    return filing


async def awaiting(town: Town) -> tuple[Filing, Answer]:
    """A portfolio loan that awaits the fund centre."""
    filing = await portfolio(town).upload()
    answer = await filing.submit()
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    return filing, answer


async def pending(client: PartyClient, name: str) -> list[party_service_pb2.PendingCase]:
    """The case, if it awaits an act of the client's institution."""
    return [one async for one in client.list_pending() if one.application.name == name]


async def events_of(town: Town, key: str, name: str) -> list[str]:
    """Kinds of event that an institution was told about a case."""
    client = await town.client(key)
    return [
        outcome_pb2.EventKind.Name(e.kind).removeprefix("EVENT_KIND_")
        async for e in client.watch_events(catch_up_only=True)
        if e.application == name
    ]


async def upload(town: Town, code: str, data: bytes, *, by: str = "bank-a") -> envelope_pb2.FileReference:
    """A file of an institution, as an act names it."""
    file = await town.upload(data, by=by)
    return build.file_reference(code, file.sha256, file.size_bytes)


# -- join ----------------------------------------------------------------------------------------------------------


async def test_fund_centre_finds_the_case_reads_it_and_joins(town: Town) -> None:
    """Portfolio loan: asked by event and list, joined on the manifest that was read, accepted from then."""
    _, answer = await awaiting(town)
    name = answer.outcome.application
    fund = await party(town, "fund-centre")
    assert "AWAITING_PARTIES" in await events_of(town, "fund-centre", name)
    [case] = await pending(fund, name)
    [awaited] = case.awaited
    assert (awaited.party, awaited.institution.uscc) == ("fund", FUND.id_number)
    assert awaited.role == finding_pb2.PARTY_ROLE_CO_APPLICANT
    joined = await fund.join(target_of_pending(case), ["fund"])
    assert joined.result == "ACCEPTED", joined.outcome.findings
    assert joined.receipt is not None
    assert joined.outcome.case_number
    assert answer.outcome.HasField("parties_expire_at")
    assert not answer.outcome.HasField("accepted_at")
    assert joined.outcome.HasField("accepted_at")
    assert await pending(fund, name) == []
    assert (await events_of(town, "bank-a", name))[-1] == "ACCEPTED"
    read = await (await town.client("fund-centre")).get_application(name)
    assert read.findings


async def test_join_sent_again_gets_the_stored_answer(town: Town) -> None:
    """Replay by request id: the same bytes get the same outcome, and no second entry."""
    filing, answer = await awaiting(town)
    del filing
    fund = await party(town, "fund-centre")
    target = target_of_envelope(answer.outcome.application, answer.envelope)
    first = await fund.join(target, ["fund"])
    size = town.ledger_size()
    stub = town.stub(PartyServiceStub, "fund-centre")
    again = await stub.Join(join_request(answer.outcome.application, first))
    assert again.outcome.replayed
    assert again.outcome.receipt.index == first.outcome.receipt.index
    assert town.ledger_size() == size


def join_request(name: str, answer: Answer) -> Any:
    """The request of an act that was answered, once more."""
    return party_service_pb2.JoinRequest(
        name=name, request_id=answer.request_id, envelope=envelope_to_wire(answer.envelope)
    )


async def test_join_by_an_institution_of_no_part_sees_no_case(town: Town) -> None:
    """Unknown, and somebody else's, get the same answer; nothing is kept."""
    _, answer = await awaiting(town)
    target = target_of_envelope(answer.outcome.application, answer.envelope)
    stranger = await party(town, "bank-b")
    for application in (answer.outcome.application, answer.outcome.application[:-4] + "ffff"):
        target.application = application
        before = town.footprint()
        with pytest.raises(RequestError) as caught:
            await stranger.join(target, ["fund"])
        assert caught.value.reason == "APPLICATION_NOT_FOUND"
        with pytest.raises(RequestError) as caught:
            await stranger.join(target, ["nobody"])
        assert caught.value.reason == "APPLICATION_NOT_FOUND"
        assert town.footprint() == before


async def test_decline_is_told_and_the_case_goes_on_waiting(town: Town) -> None:
    """Before acceptance a refusal ends nothing; the channel learns of it."""
    _, answer = await awaiting(town)
    fund = await party(town, "fund-centre")
    declined = await fund.decline(
        target_of_envelope(answer.outcome.application, answer.envelope), "额度已用完"
    )
    assert (declined.result, declined.outcome.state) == ("DONE", answer.outcome.state)
    assert (await events_of(town, "bank-a", answer.outcome.application))[-1] == "DECLINED"


async def test_consent_and_its_revocation_are_receipted(town: Town) -> None:
    """Terms that name bank B as consenting: awaited, given, taken back; each act an entry with its receipt."""
    filing = town.mortgage()
    consenter = INSTITUTIONS["bank-b"]
    filing.terms.parties.append(build.institution_party("other", consenter.name, consenter.id_number))
    filing.terms.operations[0].consenters.append("other")
    answer = await (await filing.sign().upload()).submit()
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    other = await party(town, "bank-b")
    [case] = await pending(other, answer.outcome.application)
    assert case.awaited[0].role == finding_pb2.PARTY_ROLE_CONSENTER
    target = target_of_pending(case)
    given = await other.consent(target)
    assert given.result in ("ACCEPTED", "BOOKED")
    assert given.receipt is not None


async def test_revocation_of_an_unknown_consent_is_refused(town: Town) -> None:
    """Nothing is kept of what names no consent."""
    _, answer = await awaiting(town)
    fund = await party(town, "fund-centre")
    with pytest.raises(RequestError) as caught:
        await fund.revoke(
            target_of_envelope(answer.outcome.application, answer.envelope), bytes(32), "不再同意"
        )
    assert caught.value.reason == "FIELD_INVALID"


# -- supplement ----------------------------------------------------------------------------------------------------


async def test_owner_signs_later_and_the_bank_supplements(town: Town) -> None:
    """Golden 25: the owner's signed forms come by a supplement; a clean case is booked with them."""
    filing = town.mortgage().sign()
    people = [town.citizen(o) for o in filing.owners]
    for code in ("APPLICATION", "INQUIRY_RECORD"):
        filing.papers[code] = [form(filing.terms_bytes)]
    answer = await (await filing.upload()).submit()
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    files = [
        await upload(town, code, form(filing.terms_bytes, *people))
        for code in ("APPLICATION", "INQUIRY_RECORD")
    ]
    client = await town.client("bank-a")
    target = target_of_envelope(answer.outcome.application, answer.envelope)
    done = await client.supplement(town.key("bank-a").signer(), actor("bank-a"), target, files=files)
    assert done.result == "BOOKED", done.outcome.findings
    assert done.outcome.certificates
    assert done.receipt is not None


async def test_registrar_asks_and_the_bank_answers(town: Town) -> None:
    """Asked once, with a term; brought back to review; the registrar reads the file and books."""
    _, answer = await town.in_review()
    name = answer.outcome.application
    review = await town.registrar()
    await review.claim(await review.open(name))
    wanted = finding_pb2.Finding(code="N-INCOMPLETE", file="PROOF", zh="请补充", en="bring it")
    asked = await review.request_supplement(await review.open(name), [wanted])
    assert asked.outcome.state == asked.outcome.state.__class__(4)
    client = await town.client("bank-a", "taizhou")
    waiting = await client.get_application(name)
    assert waiting.HasField("waits_until")
    assert [f.file for f in waiting.findings] == ["PROOF"]
    data = paper("proof")
    file = await town.upload(data, registry="taizhou")
    brought = await client.supplement(
        town.key("bank-a").signer(),
        actor("bank-a"),
        target_of_envelope(name, answer.envelope),
        files=[build.file_reference("PROOF", file.sha256, file.size_bytes)],
    )
    assert brought.result == "ACCEPTED"
    dossier = await review.open(name)
    assert file.sha256 in {f.reference.sha256 for f in dossier.application.dossier.files}
    booked = await review.approve(dossier, opinion="符合登记条件")
    assert booked.result == "BOOKED", booked.outcome.findings


# -- withdrawal ----------------------------------------------------------------------------------------------------


async def test_bank_alone_does_not_withdraw_with_the_owner_it_does(town: Town) -> None:
    """Golden 38: asked by one, a person reviews R-DISPUTE; asked by all, E-WITHDRAWN and the papers are free."""
    filing, answer = await town.in_review()
    name = answer.outcome.application
    client = await town.client("bank-a", "taizhou")
    target = target_of_envelope(name, answer.envelope)
    signer = town.key("bank-a").signer()
    alone = await client.withdraw(signer, actor("bank-a"), target, parties=["bank"])
    assert [f.code for f in alone.outcome.findings] == ["R-DISPUTE"]
    people = [town.citizen(o) for o in filing.owners]
    file = await town.upload(paper("withdrawal", *people), registry="taizhou")
    all_asked = await client.withdraw(
        signer,
        actor("bank-a"),
        target,
        parties=["owner-1"],
        files=[build.file_reference("WITHDRAWAL", file.sha256, file.size_bytes)],
    )
    assert [f.code for f in all_asked.outcome.findings] == ["E-WITHDRAWN"]
    again = await filing_again(filing).submit()
    assert again.result == "ACCEPTED", again.outcome.findings


async def test_branch_signs_its_later_acts_itself_and_no_other_bank_does(town: Town) -> None:
    """A later act too is signed by the applicant's key or by that of the channel that files for it."""
    _, answer = await town.in_review(applicant="bank-a-branch")
    client = await town.client("bank-a", "taizhou")
    target = target_of_envelope(answer.outcome.application, answer.envelope)
    by_branch = Actor(
        INSTITUTIONS["bank-a"].id_number,
        build.clerk("经办员", "D-001"),
        applicant_institution=INSTITUTIONS["bank-a-branch"].id_number,
    )
    for other in ("bank-b", "fund-centre"):
        with pytest.raises(RequestError) as caught:
            await client.withdraw(town.key(other).signer(), by_branch, target, parties=["bank"])
        assert (caught.value.reason, caught.value.code) == ("KEY_NOT_REGISTERED", "PERMISSION_DENIED")
    for own in ("bank-a-branch", "bank-a"):
        asked = await client.withdraw(town.key(own).signer(), by_branch, target, parties=["bank"])
        assert [f.code for f in asked.outcome.findings] == ["R-DISPUTE"], own


def filing_again(filing: Filing) -> Filing:
    """The same papers under a new request id."""
    filing.request_id = str(uuid.uuid4())
    return filing


async def test_act_names_the_manifest_that_was_read(town: Town) -> None:
    """A target made from other bytes is refused: MANIFEST_MISMATCH."""
    _, answer = await awaiting(town)
    other = envelope_pb2.Manifest.FromString(answer.envelope.payload)
    other.header.clerk.name = "别人"
    target = target_of(answer.outcome.application, other.SerializeToString())
    fund = await party(town, "fund-centre")
    with pytest.raises(RequestError) as caught:
        await fund.join(target, ["fund"])
    assert caught.value.reason == "MANIFEST_MISMATCH"


async def test_later_act_cannot_be_a_rehearsal(town: Town) -> None:
    """Only submissions know validate_only."""
    _, answer = await awaiting(town)
    session = await town.session("fund-centre")
    act = acts_pb2.JoinAct(
        header=session.header(actor("fund-centre")),
        target=target_of_envelope(answer.outcome.application, answer.envelope),
        parties=["fund"],
    )
    act.header.validate_only = True
    with pytest.raises(RequestError) as caught:
        await send_act(session, sign_payload(town.key("fund-centre").signer(), act))
    assert caught.value.reason == "VALIDATE_ONLY_MISMATCH"
