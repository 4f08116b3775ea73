"""Bad input, reads and forms: what cannot be asked is INVALID_ARGUMENT, never a defect of ours."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.demo.stage import REGISTRAR_KEY
from gateway.pb.diya.v1 import registration_service_pb2 as Pb
from gateway.pb.diya.v1 import review_service_pb2
from gateway.pb.diya.v1.review_service_pb2_grpc import ReviewServiceStub
from tests.support.filing import Filing
from tests.support.stage import Town

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
