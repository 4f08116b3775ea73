"""Bad input, callers and what they may see: connections, suspension, others' applications, the wrong state."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.client.errors import NotNow
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import ledger_service_pb2, registration_service_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from signing.pki import Credential, DevelopmentPKI
from signing.trust import Purpose
from tests.support.stage import REVOKED_TLS_KEY, STRANGER_KEY, SUSPENDED_KEY, Town, town_of
from tests.support.wire import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

Pb = registration_service_pb2
UNAUTHENTICATED = "UNAUTHENTICATED"


def _get(name: str) -> Any:
    return Pb.GetApplicationRequest(name=name)


# -- connections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [STRANGER_KEY, REVOKED_TLS_KEY, ""], ids=["unregistered", "revoked", "none"])
async def test_connection_of_nobody_is_refused(town: Town, key: str) -> None:
    """A key that nobody registered, a revoked certificate and no certificate at all are the same: CALLER_UNKNOWN.

    The stranger's certificate is good and bears bank A's very name: a name registers nobody.
    """
    filing = town.mortgage()
    request, stub = filing.request(), town.registration(key)
    await town.refusal(lambda: stub.SubmitMortgage(request), "CALLER_UNKNOWN", UNAUTHENTICATED)


def _connection(town: Town, credential: Credential | None) -> grpc.aio.Channel:
    roots = (town.folder / "trust" / "server-roots.pem").read_bytes()
    pair = (credential.key_pem(), credential.chain_pem()) if credential else ()
    credentials = grpc.ssl_channel_credentials(roots, *pair)
    return grpc.aio.secure_channel(f"localhost:{town.gateway.ports['listen']}", credentials)


@pytest.mark.parametrize("which", ["other-pki", "expired", "not-yet", "signing-key", "none"])
async def test_certificate_that_is_none_of_a_client_does_not_connect(town: Town, which: str) -> None:
    """Another PKI's, an expired, a future and a signing certificate, and none at all, fail in the handshake."""
    now = town.clock()
    bank = INSTITUTIONS["bank-a"]
    pki = town.pki
    credential = {
        "other-pki": lambda: DevelopmentPKI.create(now).issue_tls_client(bank.id_number, bank.name),
        "expired": lambda: DevelopmentPKI(
            now - dt.timedelta(days=60), pki.anchors, pki.issuing
        ).issue_tls_client(bank.id_number, bank.name, days=10),
        "not-yet": lambda: DevelopmentPKI(
            now + dt.timedelta(days=60), pki.anchors, pki.issuing
        ).issue_tls_client(bank.id_number, bank.name),
        "signing-key": lambda: pki.issue_institution(bank.id_number, bank.name, purpose=Purpose.INSTITUTION),
        "none": lambda: None,
    }[which]()
    before = town.footprint()
    async with _connection(town, credential) as channel:
        stub = LedgerServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetCheckpoint(ledger_service_pb2.GetCheckpointRequest(parent="registries/jiangyin"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert town.footprint() == before


async def test_suspended_institution_is_refused_everywhere(town: Town) -> None:
    """A suspended institution neither files, nor uploads, nor reads: INSTITUTION_SUSPENDED."""
    stub = town.registration(SUSPENDED_KEY)
    request = Pb.ListApplicationsRequest(parent="registries/jiangyin")
    await town.refusal(lambda: stub.ListApplications(request), "INSTITUTION_SUSPENDED", "PERMISSION_DENIED")
    filing = town.mortgage()
    submission = filing.request()
    await town.refusal(
        lambda: filing.send(submission, by=SUSPENDED_KEY), "INSTITUTION_SUSPENDED", "PERMISSION_DENIED"
    )


async def test_suspension_acts_at_once_and_ends(own_folder: Path) -> None:
    """From the suspension's entry on the bank is refused, over the connection it already has; resumed, it goes on."""
    async with town_of(own_folder) as town:
        filing = await town.mortgage(channel="bank-b").sign().upload()
        admin = await town.operator()
        bank = INSTITUTIONS["bank-b"].id_number
        await admin.suspend_institution(bank, "test")
        await filing.refused("INSTITUTION_SUSPENDED", "PERMISSION_DENIED")
        await admin.resume_institution(bank, "test")
        assert (await filing.submit()).result == "BOOKED"


# -- applications of others ----------------------------------------------------------------------------------------


async def test_unknown_application_and_another_banks_are_one_answer(town: Town) -> None:
    """An application that does not exist and one that is bank A's answer bank B alike, byte for byte but the name."""
    _, answer = await town.booked()
    stub = town.registration("bank-b")
    seen = []
    for name in (answer.outcome.application, f"registries/jiangyin/applications/{uuid.uuid4()}"):
        refused = await town.refusal(
            lambda name=name: stub.GetApplication(_get(name)), "APPLICATION_NOT_FOUND", "NOT_FOUND"
        )
        assert refused.status is not None
        seen.append(refused.status.SerializeToString(deterministic=True).replace(name.encode(), b"NAME"))
    assert seen[0] == seen[1]


async def test_application_of_another_registry_is_unknown(town: Town) -> None:
    """An application is of one registry: under another's name it does not exist."""
    _, answer = await town.booked()
    name = answer.outcome.application.replace("jiangyin", "taizhou")
    stub = town.registration("bank-a")
    await town.refusal(lambda: stub.GetApplication(_get(name)), "APPLICATION_NOT_FOUND", "NOT_FOUND")


async def test_receipt_of_another_bank_is_not_found(town: Town) -> None:
    """A receipt is the sender's: another bank gets the answer that it would get for none."""
    filing, answer = await town.booked()
    stub = town.registration("bank-b")
    index = answer.outcome.receipt.index
    for act in ({"request_id": filing.request_id}, {"index": index}, {"request_id": str(uuid.uuid4())}):
        request = Pb.GetReceiptRequest(parent="registries/jiangyin", **act)
        await town.refusal(lambda r=request: stub.GetReceipt(r), "RECEIPT_NOT_FOUND", "NOT_FOUND")


# -- the wrong state -----------------------------------------------------------------------------------------------


async def test_verb_in_the_wrong_state_names_those_that_allow_it(town: Town) -> None:
    """Approving what is booked is STATE_NOT_ALLOWED; the states that allow it are named; nothing is entered."""
    _, answer = await town.booked()
    review = await town.registrar(registry="jiangyin")
    dossier = await review.open(answer.outcome.application)
    before = town.footprint()
    with pytest.raises(NotNow) as caught:
        await review.approve(dossier)
    error = caught.value
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "STATE_NOT_ALLOWED")
    assert error.metadata["allowedStates"] == "IN_REVIEW"
    assert error.metadata["currentState"] == "BOOKED"
    assert error.zh != error.en
    assert town.footprint() == before


@pytest.mark.parametrize("verb", ["withdraw", "supplement"])
async def test_later_act_without_envelope_leaves_nothing(town: Town, verb: str) -> None:
    """A later act without its envelope is refused, never a defect, and leaves nothing."""
    _, answer = await town.booked()
    stub = town.registration("bank-a")
    name = answer.outcome.application
    call = {
        "withdraw": lambda: stub.WithdrawApplication(Pb.WithdrawApplicationRequest(name=name)),
        "supplement": lambda: stub.SupplementApplication(Pb.SupplementApplicationRequest(name=name)),
    }[verb]
    before = town.footprint()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call()
    refused = Refused.of(caught.value)
    assert refused.code in ("UNIMPLEMENTED", "INVALID_ARGUMENT")  # without an envelope, once it is handled
    assert refused.reason != "INTERNAL"
    assert town.footprint() == before
