"""PERMISSION_DENIED tells a stranger as whom the connection was seen, what is missing, and who does what about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import (
    admin_service_pb2,
    authority_pb2,
    codes_pb2,
    common_pb2,
    desk_service_pb2,
    ledger_service_pb2,
    register_service_pb2,
    registration_service_pb2,
)
from gateway.pb.diya.v1.admin_service_pb2_grpc import AdminServiceStub
from gateway.pb.diya.v1.desk_service_pb2_grpc import DeskServiceStub
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from gateway.pb.diya.v1.register_service_pb2_grpc import RegisterServiceStub
from tests.support.filing import Filing
from tests.support.stage import READER_KEY, STRANGER_KEY, SUSPENDED_KEY, Town, town_of
from tests.support.wire import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"].id_number, INSTITUTIONS["bank-b"].id_number
PARENT = "registries/jiangyin"


def assert_tells(refused: Refused, caller: str, kind: str, *ways: str) -> None:
    """Who was seen, as metadata and in both languages, and each part of the way out in both languages."""
    assert (refused.metadata["caller"], refused.metadata["callerKind"]) == (caller, kind)
    zh, en = refused.message.split(" / ", 1)
    for text in (caller, *ways):
        assert text in zh, zh
        assert text in en, en
    assert "按连接证书识别" in zh
    assert "by its certificate" in en


async def test_method_that_is_not_the_callers_says_whose_it_is(town: Town) -> None:
    """A bank at an operator's method, a registrar at a bank's, a connection that only reads at an act."""
    request = admin_service_pb2.GetTrustRequest(parent=PARENT)
    refused = await town.refusal(
        lambda: town.stub(AdminServiceStub, "bank-a").GetTrust(request),
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    )
    assert_tells(refused, A, "INSTITUTION", "AdminService/GetTrust")
    assert refused.metadata["method"] == "AdminService/GetTrust"
    assert "由运维人员调用" in refused.message
    assert "is for operators" in refused.message

    forms = registration_service_pb2.RenderFormsRequest(parent=PARENT)
    refused = await town.refusal(
        lambda: town.registration(REGISTRAR_KEY).RenderForms(forms), "PERMISSION_DENIED", "PERMISSION_DENIED"
    )
    assert_tells(refused, refused.metadata["caller"], "REGISTRAR", "RegistrationService/RenderForms")
    assert "is for institutions" in refused.message

    refused = await town.refusal(
        lambda: town.registration(READER_KEY).RenderForms(forms), "PERMISSION_DENIED", "PERMISSION_DENIED"
    )
    assert_tells(refused, A, "INSTITUTION", "READ", f"diya institution add-key {A}", "--role TLS")


async def test_unknown_connection_is_told_how_it_becomes_known(town: Town) -> None:
    """CALLER_UNKNOWN names nobody, for nobody is known, and the command that registers a connection's key."""
    request = ledger_service_pb2.GetCheckpointRequest(parent=PARENT)
    refused = await town.refusal(
        lambda: town.stub(LedgerServiceStub, STRANGER_KEY).GetCheckpoint(request), "CALLER_UNKNOWN"
    )
    assert "caller" not in refused.metadata
    assert refused.message.count("diya institution add-key") == 2


async def test_suspended_bank_is_told_who_lifts_it(town: Town) -> None:
    """By name, with the operator's command."""
    request = registration_service_pb2.ListApplicationsRequest(parent=PARENT)
    refused = await town.refusal(
        lambda: town.registration(SUSPENDED_KEY).ListApplications(request), "INSTITUTION_SUSPENDED"
    )
    suspended = refused.metadata["caller"]
    assert_tells(refused, suspended, "INSTITUTION", f"diya institution resume {suspended}")


async def test_channel_of_a_bank_it_does_not_file_for_is_told_whose_word_is_missing(town: Town) -> None:
    """The institution that wants it asks, and the field of its entry is named."""
    request = desk_service_pb2.GetPortfolioDigestRequest(parent=PARENT, institution=B)
    refused = await town.told(
        lambda: town.stub(DeskServiceStub, "bank-a").GetPortfolioDigest(request), "CHANNEL_NOT_AUTHORISED"
    )
    assert_tells(refused, A, "INSTITUTION", B, "filesFor", "diya institution set")


async def test_search_by_person_says_who_may(town: Town) -> None:
    """A bank does not search the register by person, and is told what it may read."""
    identity = common_pb2.Identity(kind=codes_pb2.ID_KIND_RESIDENT_ID, number="999999198505050017")
    request = register_service_pb2.SearchUnitsRequest(parent=PARENT, identity=identity, purpose="查询")
    refused = await town.told(
        lambda: town.stub(RegisterServiceStub, "bank-a").SearchUnits(request), "PERMISSION_DENIED"
    )
    assert_tells(refused, A, "INSTITUTION", "IR 27")


async def filed(town: Town) -> Filing:
    """A mortgage that would be booked."""
    return await town.mortgage().sign().upload()


async def test_each_lack_of_a_signing_right_names_the_command_that_gives_it(own_folder: Path) -> None:
    """A key that nobody registered, one without the role, a clerk, and a limit: each with the way out, zh and en."""
    async with town_of(own_folder) as town:
        operator = await town.operator()
        filing = await filed(town)
        stranger = town.pki.issue_institution(A, "未登记的密钥")
        request = filing.request(filing.envelope(by=stranger))
        refused = await town.refusal(lambda: filing.send(request), "KEY_NOT_REGISTERED", "PERMISSION_DENIED")
        assert_tells(refused, A, "INSTITUTION", f"diya institution add-key {A}", "--role SUBMIT")
        assert refused.metadata["keyId"] == stranger.certificate.key_id

        def consents_only(bank: authority_pb2.Institution) -> None:
            bank.keys.add(key_id=stranger.certificate.key_id, roles=[authority_pb2.KEY_ROLE_CONSENT])

        await operator.change_institution(A, consents_only)
        refused = await town.refusal(lambda: filing.send(request), "KEY_WITHOUT_ROLE", "PERMISSION_DENIED")
        assert_tells(refused, A, "INSTITUTION", f"diya institution add-key {A}", "--role SUBMIT")
        assert refused.metadata["role"] == "SUBMIT"

        await operator.change_institution(A, lambda bank: setattr(bank.mandate, "claim_fen_max", 1))
        refused = await town.refusal(filing.send, "MANDATE_EXCEEDED", "PERMISSION_DENIED")
        assert_tells(refused, A, "INSTITUTION", f"diya institution limits {A}")

        def one_clerk(bank: authority_pb2.Institution) -> None:
            bank.ClearField("mandate")
            bank.clerks.add(employee_number="X-1", display_name="另一经办员")

        await operator.change_institution(A, one_clerk)
        refused = await town.refusal(filing.send, "CLERK_NOT_REGISTERED", "PERMISSION_DENIED")
        number = filing.manifest().header.clerk.employee_number
        assert_tells(refused, A, "INSTITUTION", f"diya institution add-clerk {A} {number}")
