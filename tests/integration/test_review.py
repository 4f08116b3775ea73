"""Registrars at work: claim, approve, refuse; whose case it is; what they must have seen."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.effects import RequestAnswered, RightBooked
from gateway.cases.model import Outcome, Result
from gateway.client.acts import send_act
from gateway.client.errors import RequestError
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.client.review import ReviewClient
from gateway.commands import Command
from gateway.demo.cast import REGISTRAR, REGISTRAR_ID
from gateway.demo.stage import REGISTRAR_KEY
from gateway.pb.diya.v1 import acts_pb2, application_pb2, authority_pb2, finding_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as registration_pb
from gateway.pb.diya.v1 import review_service_pb2 as pb
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from gateway.register.model import Seizure, SeizureKind
from gateway.rpc.authority import encode_profile
from gateway.storage.working import Wants
from tests.support.founding import _registrar as registrar_of
from tests.support.stage import (
    SECOND_REGISTRAR,
    SECOND_REGISTRAR_ID,
    SECOND_REGISTRAR_KEY,
    MovedClock,
    Town,
    town_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

State = application_pb2.Application.State
GROUND = finding_pb2.Finding(
    code="R-CONFLICT",
    rule="R-CONFLICT",
    article="IR 22",
    zh="与登记簿记载不一致",
    en="the register says otherwise",
)


async def _case(town: Town) -> str:
    """The name of a case that waits for a registrar."""
    _, answer = await town.in_review()
    return answer.outcome.application


async def _claimed(town: Town) -> tuple[ReviewClient, str]:
    """A case that the first registrar has claimed."""
    review, name = await town.registrar(), await _case(town)
    await review.claim(await review.open(name))
    return review, name


async def _refused(town: Town, act: Callable[[], Awaitable[Any]], reason: str, code: str) -> RequestError:
    """The refusal of an act; nothing was entered."""
    before = town.footprint()
    with pytest.raises(RequestError) as caught:
        await act()
    assert (caught.value.reason, caught.value.code) == (reason, code)
    assert caught.value.zh != caught.value.en
    assert town.footprint() == before
    return caught.value


async def test_approval_books(town: Town) -> None:
    """Claimed and approved, the case is booked: a right, a certificate number, the registrar's name on it."""
    review, name = await _claimed(town)
    before = town.footprint()
    answer = await review.approve(await review.open(name), opinion="符合登记条件")
    assert answer.result == "BOOKED"
    assert len(answer.outcome.certificates) == 1
    after = town.footprint()
    assert after["right"] == before["right"] + 1
    assert after["certificate"] == before["certificate"] + 1
    assert (await review.open(name)).application.state == State.STATE_BOOKED


async def test_refusal_frees_the_papers_and_the_place(town: Town) -> None:
    """Refused in writing, the case is over: its papers may back another, and nothing is in the register."""
    filing, answer = await town.in_review()
    review = await town.registrar()
    name = answer.outcome.application
    await review.claim(await review.open(name))
    before = town.footprint()
    refused = await review.refuse(await review.open(name), [GROUND], opinion="不予登记")
    assert refused.result == "REFUSED"
    assert [f.code for f in refused.outcome.findings] == ["R-CONFLICT"]
    assert town.footprint()["right"] == before["right"]
    filing.request_id = filing.town.mortgage(filing.unit).request_id
    assert (await filing.submit()).result == "ACCEPTED"


async def test_refusal_without_ground_is_refused(town: Town) -> None:
    """A refusal names at least one ground (IR 22)."""
    review, name = await _claimed(town)
    dossier = await review.open(name)
    before = town.footprint()
    with pytest.raises(RequestError) as caught:
        await review.refuse(dossier, [])
    assert caught.value.code == "INVALID_ARGUMENT"
    assert town.footprint() == before


async def test_case_of_another_registrar_is_theirs(town: Town) -> None:
    """What one registrar has claimed another neither claims nor decides: CLAIMED_BY_OTHER, and by whom."""
    _, name = await _claimed(town)
    other = await town.registrar(SECOND_REGISTRAR_KEY)
    dossier = await other.open(name)
    for act in (other.claim, other.approve, other.unclaim):
        error = await _refused(town, lambda act=act: act(dossier), "CLAIMED_BY_OTHER", "FAILED_PRECONDITION")
        assert error.metadata["claimedBy"] == "zhou"


async def test_case_that_nobody_claimed_is_not_decided(town: Town) -> None:
    """Claim first, then decide."""
    review, name = await town.registrar(), await _case(town)
    dossier = await review.open(name)
    assert dossier.application.state == State.STATE_ACCEPTED
    await _refused(town, lambda: review.approve(dossier), "STATE_NOT_ALLOWED", "FAILED_PRECONDITION")
    assert name in [a.name async for a in review.list_queue(states=[State.STATE_ACCEPTED])]
    await review.claim(dossier)
    assert name in [a.name async for a in review.list_queue(states=[State.STATE_IN_REVIEW])]


async def test_case_given_back_is_open_to_others(town: Town) -> None:
    """Given back, the case is the next registrar's."""
    review, name = await _claimed(town)
    await review.unclaim(await review.open(name))
    assert (await review.open(name)).application.state == State.STATE_ACCEPTED
    other = await town.registrar(SECOND_REGISTRAR_KEY)
    await other.claim(await other.open(name))
    dossier = await other.open(name)
    assert dossier.application.claimed_by == SECOND_REGISTRAR_ID
    assert (await other.approve(dossier)).result == "BOOKED"


async def test_decision_on_less_than_there_is_is_refused(town: Town) -> None:
    """Something was entered after what the registrar had seen: SEEN_INDEX_STALE; looked at again, it is decided."""
    review, name = await town.registrar(), await _case(town)
    stale = await review.open(name)
    await review.claim(stale)
    await _refused(town, lambda: review.approve(stale), "SEEN_INDEX_STALE", "ABORTED")
    assert (await review.approve(await review.open(name))).result == "BOOKED"


async def test_decision_on_less_than_the_register_says_by_now_is_refused(town: Town) -> None:
    """A right that was entered on the unit after the registrar had looked: looked at again first (SEEN_INDEX_STALE)."""
    review, name = await _claimed(town)
    before = await review.open(name)
    [code] = before.application.unit_codes
    index = await asyncio.to_thread(_seize, town, code)
    await _refused(town, lambda: review.suspend(before, "S-INVESTIGATION"), "SEEN_INDEX_STALE", "ABORTED")
    now = await review.open(name)
    assert now.last_index == index > before.last_index
    assert (await review.suspend(now, "S-INVESTIGATION")).result == "DONE"
    bank = await (await town.client("bank-a", "taizhou")).get_application(name)
    assert bank.last_index == index + 1  # the case's own; what else comes to a unit is not for a bank to see


def _seize(town: Town, code: str) -> int:
    """A court's seizure enters the register; its index."""
    seizure = Seizure(
        right_id=f"seized-{code}", units=(code,), case_number="", booked_at=town.clock(), booked_by="法院",
        kind=SeizureKind.SEIZURE, target=SECOND_REGISTRAR, extent="全部", authority="某法院",
        instrument_no="(2026)执1号", served_at=town.clock(), until=dt.date(2029, 1, 1),
    )  # fmt: skip
    answered = RequestAnswered(institution="", request_id=f"seized/{code}", payload_sha256="0" * 64)
    outcome = Outcome(result=Result.DONE, application="")
    decision = Decision(kind="test.seized", outcome=outcome, effects=(answered, RightBooked(right=seizure)))
    command = Command(
        registry="taizhou",
        institution="",
        request_id=answered.request_id,
        payload_sha256="0" * 64,
        payload=b"seized",
        evidence=lambda: b"{}",
        wants=Wants(units={code}),
        decide=lambda working, moment: decision,
    )
    return town.gateway.sequencer.submit(command).result(10).receipt.index


async def test_registrars_key_out_of_its_window_neither_signs_nor_connects(own_folder: Path) -> None:
    """`not_after` of a registrar's keys holds for what they sign (KEY_NOT_REGISTERED) and for their connection."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        review, name = await town.registrar(), await _case(town)
        dossier = await review.open(name)
        admin = await town.operator("taizhou")
        await admin.set_registrar(_zhou(town, sign_until=town.clock()))
        await _refused(town, lambda: review.claim(dossier), "KEY_NOT_REGISTERED", "PERMISSION_DENIED")
        await admin.set_registrar(_zhou(town, tls_until=town.clock()))
        await _refused(town, lambda: review.claim(dossier), "CALLER_UNKNOWN", "UNAUTHENTICATED")
        await admin.set_registrar(_zhou(town))
        assert (await review.claim(dossier)).result == "DONE"


async def test_registrar_who_may_only_review_does_not_book(own_folder: Path) -> None:
    """SECOND_PERSON_REQUIRED; reviewed without booking, the case is another's to book (handbook 1.4)."""
    async with town_of(own_folder) as town:
        review, name = await _claimed(town)
        await (await town.operator("taizhou")).set_registrar(_zhou(town, may_book=False))
        dossier = await review.open(name)
        await _refused(town, lambda: review.approve(dossier), "SECOND_PERSON_REQUIRED", "PERMISSION_DENIED")
        assert (await review.approve(dossier, book=False)).outcome.state == State.STATE_IN_REVIEW
        other = await town.registrar(SECOND_REGISTRAR_KEY)
        await other.claim(await other.open(name))
        assert (await other.approve(await other.open(name))).result == "BOOKED"


def _zhou(
    town: Town,
    *,
    may_book: bool = True,
    sign_until: dt.datetime | None = None,
    tls_until: dt.datetime | None = None,
) -> authority_pb2.Registrar:
    """The first registrar, with other rights."""
    wire = authority_pb2.Registrar(registrar_id=REGISTRAR_ID, display_name=REGISTRAR.name, may_book=may_book)
    sign, tls = (town.stage.credential(REGISTRAR_KEY, stem).certificate.key_id for stem in ("sign", "tls"))
    for key_id, roles, until in ((sign, (), sign_until), (tls, [authority_pb2.KEY_ROLE_TLS], tls_until)):
        key = wire.keys.add(key_id=key_id, roles=roles)
        if until is not None:
            key.not_after.FromDatetime(until)
    return wire


async def test_act_on_another_manifest_is_refused(town: Town) -> None:
    """An act names the manifest that was read: another one's digest is MANIFEST_MISMATCH."""
    review, name = await _claimed(town)
    dossier = await review.open(name)
    dossier.target.manifest_digest = bytes(32)
    await _refused(town, lambda: review.approve(dossier), "MANIFEST_MISMATCH", "FAILED_PRECONDITION")


async def test_act_signed_by_another_registrar_is_refused(town: Town) -> None:
    """An act over one registrar's connection is signed with that registrar's own key."""
    name = await _case(town)
    session = await town.session(REGISTRAR_KEY, "taizhou")
    forger = ReviewClient(session, town.stage.signer(SECOND_REGISTRAR_KEY).signer())
    dossier = await forger.open(name)
    await _refused(town, lambda: forger.claim(dossier), "KEY_NOT_REGISTERED", "PERMISSION_DENIED")


async def test_act_signed_by_a_bank_is_refused(town: Town) -> None:
    """A bank's certificate is not a registrar's, whoever sends what it signed."""
    name = await _case(town)
    session = await town.session(REGISTRAR_KEY, "taizhou")
    forger = ReviewClient(session, town.key("bank-a").signer())
    dossier = await forger.open(name)
    before = town.footprint()
    with pytest.raises(RequestError) as caught:
        await forger.claim(dossier)
    assert caught.value.code == "UNAUTHENTICATED"
    assert town.footprint() == before


async def test_act_of_one_verb_is_not_another(town: Town) -> None:
    """A signed claim sent as an approval is HEADER_MISMATCH: the verb is signed."""
    review, name = await town.registrar(), await _case(town)
    dossier = await review.open(name)
    session = await town.session(REGISTRAR_KEY, "taizhou")
    act = acts_pb2.ReviewAct(
        claim=acts_pb2.ReviewAct.Claim(), header=session.header(None), target=dossier.target
    )
    act.last_index_seen = dossier.last_index
    envelope = sign_payload(town.stage.signer(REGISTRAR_KEY).signer(), act)
    request = pb.ApproveRequest(
        name=name, request_id=act.header.request_id, envelope=envelope_to_wire(envelope)
    )
    stub = town.stub(ReviewServiceStub, REGISTRAR_KEY)
    await town.refusal(lambda: stub.Approve(request), "HEADER_MISMATCH", "INVALID_ARGUMENT")
    assert (await send_act(session, envelope)).result == "DONE"


async def test_unknown_case_is_not_found(town: Town) -> None:
    """An act on a case that does not exist is APPLICATION_NOT_FOUND."""
    review, name = await _claimed(town)
    dossier = await review.open(name)
    dossier.target.application = name[:-4] + "ffff"
    await _refused(town, lambda: review.approve(dossier), "APPLICATION_NOT_FOUND", "NOT_FOUND")


async def test_queue_is_in_order_of_acceptance(town: Town) -> None:
    """The queue is served in order of acceptance (RD 67), claimed and unclaimed apart; decided cases leave it."""
    review, first = await _claimed(town)
    second = await _case(town)
    names = [a.name async for a in review.list_queue()]
    assert names.index(first) < names.index(second)
    assert first in [a.name async for a in review.list_queue(mine=True)]
    assert second not in [a.name async for a in review.list_queue(mine=True)]
    assert first not in [a.name async for a in review.list_queue(unclaimed=True)]
    await review.approve(await review.open(first))
    assert first not in [a.name async for a in review.list_queue()]


async def test_second_case_on_a_unit_waits_for_the_first(town: Town) -> None:
    """Two cases on one flat: the second holds its place behind the first and is not booked before it."""
    filing, answer = await town.in_review()
    again = await town.mortgage(filing.unit, registry="taizhou").sign().upload()
    second = await again.submit()
    assert second.result == "ACCEPTED"
    review = await town.registrar()
    name = second.outcome.application
    dossier = await review.open(name)
    if dossier.application.state == State.STATE_ACCEPTED:
        await review.claim(dossier)
        told = await review.approve(await review.open(name))
        assert told.result == "ACCEPTED"
        assert "S-QUEUE" in {f.code for f in told.outcome.findings}
    else:
        assert dossier.application.state == State.STATE_SUSPENDED
    assert answer.outcome.application != name


async def test_registrar_gets_the_receipt_of_an_act_of_their_own(town: Town) -> None:
    """By request id or by index; a bank does not get it, nor does the registrar get the bank's."""
    _, answer = await town.in_review()
    review = await town.registrar()
    claimed = await review.claim(await review.open(answer.outcome.application))
    index = claimed.outcome.receipt.index
    stub = town.registration(REGISTRAR_KEY)
    parent = "registries/taizhou"
    own = await stub.GetReceipt(registration_pb.GetReceiptRequest(parent=parent, index=index))
    assert (own.receipt.index, own.receipt.pending) == (index, False)
    banks = registration_pb.GetReceiptRequest(parent=parent, index=answer.outcome.receipt.index)
    await town.refusal(lambda: stub.GetReceipt(banks), "RECEIPT_NOT_FOUND", "NOT_FOUND")
    theirs = registration_pb.GetReceiptRequest(parent=parent, index=index)
    await town.refusal(
        lambda: town.registration("bank-a").GetReceipt(theirs), "RECEIPT_NOT_FOUND", "NOT_FOUND"
    )
    branch = registration_pb.GetReceiptRequest(
        parent=parent,
        index=answer.outcome.receipt.index,
        applicant_institution="91110000600037341L",
    )
    await town.refusal(
        lambda: town.registration("bank-a").GetReceipt(branch), "RECEIPT_NOT_FOUND", "NOT_FOUND"
    )


async def test_registrar_does_not_decide_the_own_mortgage(own_folder: Path) -> None:
    """Where the profile says so, the number in the signing certificate keeps a registrar away from their own case."""
    async with town_of(own_folder) as town:
        admin = await town.operator("taizhou")
        profile = town.gateway.sequencer.settings("taizhou").profile
        assert profile is not None
        changed = replace(profile, version=profile.version + 1, source="test", own_case_forbidden=True)
        await admin.set_profile(encode_profile(changed))
        filing, answer = await town.in_review()
        owner, name = filing.owners[0], answer.outcome.application
        clients = town.folder / "clients" / "owner-registrar"
        town.pki.issue_registrar(owner.id_number, owner.name).write(clients, "sign")
        town.pki.issue_tls_client("000000000000000000", "owner-registrar").write(clients, "tls")
        await admin.set_registrar(registrar_of(town, "owner-registrar", "owner", owner))
        own = await town.registrar("owner-registrar")
        dossier = await own.open(name)
        await _refused(town, lambda: own.claim(dossier), "OWN_CASE_FORBIDDEN", "PERMISSION_DENIED")
        other = await town.registrar(SECOND_REGISTRAR_KEY)
        await other.claim(await other.open(name))
        assert (await other.approve(await other.open(name))).result == "BOOKED"
