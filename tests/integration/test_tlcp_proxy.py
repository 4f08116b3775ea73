"""A bank that comes over TLCP: the proxy before the gateway forwards its certificate, and nobody else may."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import ledger_service_pb2, registration_service_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from gateway.rpc.proxies import FORWARDED
from gateway.telemetry import metrics
from signing.pki import KeyKind, make_key
from tests.support.founding import copy_of
from tests.support.stage import STRANGER_KEY
from tests.support.tlcp import (
    ELSEWHERE,
    GOOD,
    HALTED,
    REVOKED,
    Tlcp,
    checkpoint,
    comes_and_files,
    entry_of,
    national_tls,
    tlcp_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

Pb = registration_service_pb2
DENIED, UNAUTHENTICATED = "PERMISSION_DENIED", "UNAUTHENTICATED"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tlcp(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tlcp]:
    """A gateway with proxies."""
    async with tlcp_of(copy_of(founded, tmp_path_factory.mktemp("tlcp"))) as running:
        yield running


# -- what it is for ------------------------------------------------------------------------------------------------


async def test_bank_behind_the_proxy_uploads_submits_and_watches(tlcp: Tlcp) -> None:
    """Every kind of call goes through: files up, an SM2 envelope, its receipt checked, files down, events."""
    async with tlcp.through() as channel:
        await comes_and_files(tlcp, channel)


async def test_caller_behind_the_proxy_is_one_of_the_registry_that_knows_it(tlcp: Tlcp) -> None:
    """The other registry of the gateway has neither the key nor the anchor: there the bank is nobody."""
    async with tlcp.through() as channel:
        request = ledger_service_pb2.GetCheckpointRequest(parent="registries/taizhou")
        await tlcp.town.refusal(
            lambda: LedgerServiceStub(channel).GetCheckpoint(request), "CALLER_UNKNOWN", UNAUTHENTICATED
        )


async def test_proxy_may_ask_for_the_gateways_health(tlcp: Tlcp) -> None:
    """Without a caller: that is how a proxy knows where to send."""
    async with tlcp.dial(GOOD) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_suspended_bank_is_refused_behind_the_proxy_too(tlcp: Tlcp) -> None:
    """At once, over the connection that is there."""
    admin, bank = await tlcp.town.operator(), INSTITUTIONS["bank-b"].id_number
    async with tlcp.through() as channel:
        await checkpoint(channel)
        await admin.suspend_institution(bank, "test")
        try:
            await tlcp.town.refusal(lambda: checkpoint(channel), "INSTITUTION_SUSPENDED", DENIED)
        finally:
            await admin.resume_institution(bank, "test")
        await checkpoint(channel)


# -- who may forward -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["bank-a", "bank-b", GOOD, STRANGER_KEY, ""])
async def test_entry_on_another_listener_is_refused_and_counted(tlcp: Tlcp, key: str) -> None:
    """By a bank for itself or another, by the proxy itself, by nobody on the public listener: for its own sake."""
    channel = tlcp.dial(key, "listen") if key else tlcp.town.channel("")
    labels = {"method": "LedgerService/GetCheckpoint", "reason": "FORWARDED_CERTIFICATE_NOT_ALLOWED"}
    before = metrics.collectors.get_sample_value("diya_rpc_refused_total", labels) or 0
    refused = await tlcp.town.refusal(
        lambda: checkpoint(channel, metadata=[(FORWARDED, tlcp.entry)]), labels["reason"], DENIED
    )
    assert refused.metadata["field"] == FORWARDED
    assert metrics.collectors.get_sample_value("diya_rpc_refused_total", labels) == before + 1


async def test_bank_without_the_entry_is_served_where_there_are_proxies(tlcp: Tlcp) -> None:
    """As ever."""
    assert await checkpoint(tlcp.dial("bank-a", "listen"))


async def test_entry_means_nothing_where_there_are_no_proxies(town: Any) -> None:
    """It is metadata like any other, and makes nobody of anybody."""
    entry = entry_of(town.stage.credential("bank-a", "tls").certificates[0])
    assert await checkpoint(town.channel("bank-b"), metadata=[(FORWARDED, entry)])
    await town.refusal(
        lambda: checkpoint(town.channel(STRANGER_KEY), metadata=[(FORWARDED, entry)]), "CALLER_UNKNOWN"
    )


@pytest.mark.parametrize("key", ["bank-a", "bank-b", STRANGER_KEY])
async def test_listener_for_proxies_takes_no_bank(tlcp: Tlcp, key: str) -> None:
    """Neither for itself nor for another, with the entry nor without."""
    async with tlcp.dial(key) as channel:
        for metadata in ((), ((FORWARDED, tlcp.entry),)):
            await tlcp.town.refusal(
                lambda m=metadata: checkpoint(channel, metadata=m), "PROXY_NOT_REGISTERED", DENIED
            )


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [(ELSEWHERE, "PROXY_NOT_REGISTERED"), (HALTED, "PROXY_SUSPENDED"), (REVOKED, "PROXY_NOT_REGISTERED")],
)
async def test_proxy_from_elsewhere_suspended_or_revoked_forwards_nobody(
    tlcp: Tlcp, proxy: str, reason: str
) -> None:
    """The right key from the wrong address, a proxy that was stopped, and one whose certificate is on a list."""
    async with tlcp.through(proxy=proxy) as channel:
        await tlcp.town.refusal(lambda: checkpoint(channel), reason, DENIED)


async def test_listener_for_proxies_asks_for_a_certificate(tlcp: Tlcp) -> None:
    """Without one the handshake fails."""
    roots = (tlcp.town.folder / "trust" / "server-roots.pem").read_bytes()
    port = tlcp.town.gateway.ports["proxy_listen"]
    async with grpc.aio.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(roots)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await checkpoint(channel)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# -- what is forwarded ---------------------------------------------------------------------------------------------


async def test_envelope_of_another_bank_does_not_pass_by_the_forwarded_name(tlcp: Tlcp) -> None:
    """The proxy proves the connection alone: bank A's envelope under bank B's name is refused, as on any connection."""
    filing = await tlcp.town.mortgage(channel="bank-a").sign().upload()
    request = filing.request()
    async with tlcp.through() as channel:
        await tlcp.town.refusal(
            lambda: RegistrationServiceStub(channel).SubmitMortgage(request), "HEADER_MISMATCH"
        )


async def test_envelope_that_bank_a_signs_in_bank_bs_name_does_not_pass(tlcp: Tlcp) -> None:
    """Nor does the right name in the header help: who signs is judged by the signature."""
    filing = await tlcp.town.mortgage(channel="bank-b").sign().upload()
    request = filing.request(filing.envelope(by=tlcp.town.key("bank-a")))
    async with tlcp.through() as channel:
        await tlcp.town.refusal(
            lambda: RegistrationServiceStub(channel).SubmitMortgage(request), "KEY_NOT_REGISTERED", DENIED
        )


async def test_callers_own_entry_does_not_pass_the_proxy(tlcp: Tlcp) -> None:
    """What the stand-in keeps back, as every proxy must: the gateway sees one entry, the proxy's."""
    bank_a = entry_of(tlcp.town.stage.credential("bank-a", "tls").certificates[0])
    async with tlcp.through() as channel:
        assert await checkpoint(channel, metadata=[(FORWARDED, bank_a)])


async def test_entry_that_is_not_as_it_must_be_is_refused(tlcp: Tlcp) -> None:
    """None, two, joined on the way, no base64url, no certificate, something in it or behind it, too many."""
    good, (der, *_) = tlcp.entry, tlcp.bank.certificates
    wrong: list[tuple[str, ...]] = [
        (good, good),
        (f"{good},{good}",),
        (f"{good}, {good}",),
        ("",),
        (".",),
        (f"{good}.",),
        (entry_of(der[:-1]),),
        (entry_of(der + b"\0"),),
        (entry_of(b"certificate"),),
        (good.replace("-", "+").replace("_", "/"),),
        (f"{good[:8]} {good[8:]}",),
        (tlcp.bank.chain_pem().decode().replace("\n", " "),),
        (".".join([good.split(".")[0]] * 7),),
    ]
    for entries in wrong:
        async with tlcp.through(*entries) as channel:
            refused = await tlcp.town.refusal(
                lambda c=channel: checkpoint(c), "FORWARDED_CERTIFICATE_INVALID", UNAUTHENTICATED
            )
        assert refused.metadata["field"] == FORWARDED
    async with tlcp.dial(GOOD) as channel:
        await tlcp.town.refusal(lambda: checkpoint(channel), "FORWARDED_CERTIFICATE_INVALID")


async def test_entry_that_is_too_long_is_refused_unread(tlcp: Tlcp) -> None:
    """The answer names its length and the limit of the settings."""
    async with tlcp.through("A" * 8193) as channel:
        refused = await tlcp.town.refusal(lambda: checkpoint(channel), "FORWARDED_CERTIFICATE_INVALID")
    assert "8193" in refused.message
    assert "8192" in refused.message


async def test_key_of_another_kind_is_not_forwarded(tlcp: Tlcp) -> None:
    """A proxy that was broken into names nobody who comes by TLS: bank A's good certificate, registered, of P-256."""
    entry = entry_of(*tlcp.town.stage.credential("bank-a", "tls").certificates)
    async with tlcp.through(entry) as channel:
        refused = await tlcp.town.refusal(lambda: checkpoint(channel), "FORWARDED_CERTIFICATE_INVALID")
    assert "SM2" in refused.message


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("unregistered", "CALLER_UNKNOWN"),
        ("expired", "CERTIFICATE_EXPIRED"),
        ("other-authority", "CERTIFICATE_UNKNOWN_ISSUER"),
        ("without-chain", "CERTIFICATE_UNKNOWN_ISSUER"),
        ("signing", "CALLER_UNKNOWN"),
    ],
)
async def test_certificate_that_does_not_hold_is_refused_by_its_own_reason(
    tlcp: Tlcp, which: str, reason: str
) -> None:
    """No TLS layer of ours has judged it, so the gateway does: key, time, authority, path, registered purpose."""
    bank, town, key = INSTITUTIONS["bank-b"], tlcp.town, tlcp.bank.private_key
    name = (bank.id_number, bank.name)
    past = town.clock() - dt.timedelta(days=60)
    old = type(tlcp.national)(past, tlcp.national.anchors, tlcp.national.issuing)
    credential = {
        "unregistered": lambda: tlcp.national.issue_tls_client(*name, key=make_key(KeyKind.SM2)),
        "expired": lambda: old.issue_tls_client(*name, key=key, days=10),
        "other-authority": lambda: national_tls().issue_tls_client(*name, key=key),
        "without-chain": lambda: tlcp.bank,
        "signing": lambda: town.key("bank-b"),
    }[which]()
    ders = credential.certificates[:1] if which == "without-chain" else credential.certificates
    async with tlcp.through(entry_of(*ders)) as channel:
        await tlcp.town.refusal(lambda: checkpoint(channel), reason, UNAUTHENTICATED)
