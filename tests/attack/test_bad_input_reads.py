"""Bad input, reads and forms: what cannot be asked is INVALID_ARGUMENT, never a defect of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import authority_pb2, party_service_pb2, review_service_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as Pb
from gateway.pb.diya.v1.party_service_pb2_grpc import PartyServiceStub
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from tests.support.filing import Filing
from tests.support.stage import Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARENT = "registries/jiangyin"
INVALID = "INVALID_ARGUMENT"


async def _forms(filing: Filing, reason: str | set[str], code: str = INVALID, **request: Any) -> None:
    stub = filing.town.registration("bank-a")
    wire = Pb.RenderFormsRequest(**{"parent": PARENT, "terms": filing.terms_bytes} | request)
    await filing.town.refusal(lambda: stub.RenderForms(wire), reason, code)


async def test_forms_of_no_terms_are_refused(town: Town) -> None:
    """Bytes that are no terms are ENVELOPE_MALFORMED."""
    await _forms(town.mortgage(), "ENVELOPE_MALFORMED", terms=b"\xff\xff")


async def test_answer_to_a_question_that_is_not_asked_is_refused(town: Town) -> None:
    """An answer under a code that is no question of this case is FIELD_INVALID."""
    answer = Pb.InquiryAnswer(party="owner-1", question="NO_SUCH_QUESTION", answer="是")
    await _forms(town.mortgage(), "FIELD_INVALID", answers=[answer])


async def test_forms_of_an_operation_that_has_none_are_refused(town: Town) -> None:
    """An operation for which no form is printed yet is UNIMPLEMENTED."""
    filing = town.mortgage()
    filing.terms.operations[0].ClearField("mortgage_first")
    filing.terms.operations[0].correction.SetInParent()
    await _forms(filing, {"NOT_IMPLEMENTED_KIND", "FIELD_INVALID"}, "")


@pytest.mark.parametrize("field", ["states", "kinds"])
async def test_list_by_an_unknown_value_is_refused(town: Town, field: str) -> None:
    """A state or kind that the contract does not have is FIELD_INVALID."""
    stub = town.registration("bank-a")
    request = Pb.ListApplicationsRequest(parent=PARENT, **{field: [99]})
    await town.refusal(lambda: stub.ListApplications(request), "FIELD_INVALID", INVALID)


async def test_queue_by_an_unknown_state_is_refused(town: Town) -> None:
    """A state that the contract does not have is FIELD_INVALID in the registrars' queue too."""
    stub = town.stub(ReviewServiceStub, REGISTRAR_KEY)
    request = review_service_pb2.ListQueueRequest(parent=PARENT, states=[99])
    await town.refusal(lambda: stub.ListQueue(request), "FIELD_INVALID", INVALID)


@pytest.mark.parametrize("token", ["zzz", "AAAA", "\u4e2d"])
async def test_page_token_of_nobody_is_refused(town: Town, token: str) -> None:
    """A page token that is not ours is PAGE_TOKEN_INVALID."""
    stub = town.registration("bank-a")
    request = Pb.ListApplicationsRequest(parent=PARENT, page_token=token)
    await town.refusal(lambda: stub.ListApplications(request), "PAGE_TOKEN_INVALID", INVALID)


async def test_pending_page_below_zero_is_refused(town: Town) -> None:
    """A page of less than nothing is FIELD_INVALID, not a page of one."""
    stub = town.stub(PartyServiceStub, "bank-a")
    request = party_service_pb2.ListPendingRequest(parent=PARENT, page_size=-4)
    refused = await town.refusal(lambda: stub.ListPending(request), "FIELD_INVALID", INVALID)
    assert refused.violations[0][0] == "page_size"


@pytest.mark.parametrize("key", ["bank-a", ""])
@pytest.mark.parametrize(
    ("parent", "reason", "code"),
    [
        ("registries/nowhere", "REGISTRY_NOT_FOUND", "NOT_FOUND"),
        ("", "FIELD_INVALID", INVALID),
        ("jiangyin", "FIELD_INVALID", INVALID),
    ],
    ids=["unknown", "empty", "no-name"],
)
async def test_registry_that_is_not_there_is_named(
    town: Town, key: str, parent: str, reason: str, code: str
) -> None:
    """Whoever asks the wrong registry, or none, is told that, and not that nobody knows them."""
    stub = town.registration(key)
    request = Pb.ListApplicationsRequest(parent=parent)
    refused = await town.refusal(lambda: stub.ListApplications(request), reason, code)
    assert refused.metadata.get("registry", "nowhere") == "nowhere"


async def test_forms_want_a_key_that_submits(own_folder: Path) -> None:
    """Forms are for submissions: an institution whose keys only release is refused them."""
    async with town_of(own_folder) as town:
        operator = await town.operator()
        [bank] = [one async for one in operator.list_institutions(INSTITUTIONS["bank-b"].id_number)]
        for key in bank.keys:
            if authority_pb2.KEY_ROLE_SUBMIT in key.roles:
                key.roles[:] = [authority_pb2.KEY_ROLE_RELEASE]
        await operator.set_institution(bank)
        stub = town.registration("bank-b")
        wire = Pb.RenderFormsRequest(parent=PARENT, terms=town.mortgage().terms_bytes)
        await town.refusal(lambda: stub.RenderForms(wire), "PERMISSION_DENIED", "PERMISSION_DENIED")
