"""Registrars at work: claim, approve, refuse; whose case it is; what they must have seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.client.acts import send_act
from gateway.client.errors import RequestError
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.client.review import ReviewClient
from gateway.demo.stage import REGISTRAR_KEY
from gateway.pb.diya.v1 import acts_pb2, application_pb2, finding_pb2
from gateway.pb.diya.v1 import review_service_pb2 as pb
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from tests.support.stage import SECOND_REGISTRAR_ID, SECOND_REGISTRAR_KEY, Town

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
    await _refused(town, lambda: review.approve(dossier), "CLAIMED_BY_OTHER", "FAILED_PRECONDITION")


async def test_case_given_back_is_open_to_others(town: Town) -> None:
    """Given back, the case is the next registrar's."""
    review, name = await _claimed(town)
    await review.unclaim(await review.open(name))
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
    if dossier.application.state == State.STATE_IN_REVIEW:
        await review.claim(dossier)
        told = await review.approve(await review.open(name))
        assert told.result == "ACCEPTED"
        assert "S-QUEUE" in {f.code for f in told.outcome.findings}
    else:
        assert dossier.application.state == State.STATE_SUSPENDED
    assert answer.outcome.application != name
