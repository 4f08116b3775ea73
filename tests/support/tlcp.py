"""A stand-in for a TLCP proxy, and a bank that comes through it with an SM2 certificate.

TLCP itself is not spoken here (`tests/interop/test_tlcp_go.py` does): the stand-in ends TLS and says that its caller
proved another certificate, as a proxy does whose handshake was TLCP. What it forwards are bytes; it knows nothing of
what is called.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from gateway.app import utc_now
from gateway.client import manifest as build
from gateway.client.client import DiyaClient
from gateway.client.connection import Connection
from gateway.client.session import Session
from gateway.client.trust import read_trust
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import authority_pb2, ledger_service_pb2, registration_service_pb2
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from gateway.rpc.proxies import FORWARDED
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_authority, make_key
from signing.trust import Purpose
from tests.support.stage import ONCE, Town, town_of
from tests.support.wire import as_stream, upload_messages

#: Proxies of the settings: one as it should be, one that is registered for elsewhere, a suspended and a revoked one.
GOOD, ELSEWHERE, HALTED, REVOKED = "tlcp-good", "tlcp-elsewhere", "tlcp-halted", "tlcp-revoked"
ADDRESSES = {GOOD: ["127.0.0.1", "::1"], ELSEWHERE: ["10.9.8.0/24"]}


def national_tls() -> DevelopmentPKI:
    """An SM2 authority for connections."""
    now = utc_now()
    anchor = make_authority("SM2 TLS anchor", now=now, key=make_key(KeyKind.SM2))
    issuing = anchor.make_intermediate("SM2 TLS issuer", now=now, key=make_key(KeyKind.SM2))
    return DevelopmentPKI(now, {Purpose.TLS: anchor}, {Purpose.TLS: issuing})


def entry_of(*ders: bytes) -> str:
    """What a proxy puts into the metadata."""
    return ".".join(base64.urlsafe_b64encode(der).decode().rstrip("=") for der in ders)


@dataclass
class Tlcp:
    """A gateway with proxies, the SM2 authority that its registries trust, and bank B's certificate of it."""

    town: Town
    national: DevelopmentPKI
    bank: Credential

    @property
    def entry(self) -> str:
        """Bank B's certificate with what leads to its anchor, as a proxy forwards it."""
        return entry_of(*self.bank.certificates)

    def dial(self, key: str, port: str = "proxy_listen") -> grpc.aio.Channel:
        """A connection to one of the gateway's listeners by the TLS key of somebody under clients/."""
        roots = (self.town.folder / "trust" / "server-roots.pem").read_bytes()
        tls = self.town.stage.credential(key, "tls")
        credentials = grpc.ssl_channel_credentials(roots, tls.key_pem(), tls.chain_pem())
        return grpc.aio.secure_channel(f"localhost:{self.town.gateway.ports[port]}", credentials)

    @asynccontextmanager
    async def through(self, *entries: str, proxy: str = GOOD) -> AsyncIterator[grpc.aio.Channel]:
        """Bank B's connection to a proxy, which forwards `entries`, or what it should."""
        async with (
            self.dial(proxy) as onward,
            stand_in(self.town.folder, onward, entries or (self.entry,)) as port,
        ):
            roots = (self.town.folder / "trust" / "server-roots.pem").read_bytes()
            credentials = grpc.ssl_channel_credentials(roots)
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                yield channel


@asynccontextmanager
async def stand_in(folder: Path, onward: grpc.aio.Channel, entries: Sequence[str]) -> AsyncIterator[int]:
    """A proxy that ends its callers' connections on a free port, which it yields, and calls `onward` in their place."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Forwarding(onward, entries),))
    tls = Credential.read(folder / "keys", "tls-server")
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(tls.key_pem(), tls.chain_pem())])
    )
    await server.start()
    yield port
    await server.stop(None)


class _Forwarding(grpc.GenericRpcHandler):
    """Every call of whatever kind goes on as a stream of bytes, for so it is on the wire."""

    def __init__(self, onward: grpc.aio.Channel, entries: Sequence[str]) -> None:
        self._onward = onward
        self._entries = entries

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method

        async def forward(requests: Any, context: Any) -> AsyncIterator[bytes]:
            kept = [(key, value) for key, value in context.invocation_metadata() if _goes_on(key)]
            metadata = [*kept, *((FORWARDED, entry) for entry in self._entries)]
            call = self._onward.stream_stream(method)(
                requests, metadata=metadata, timeout=context.time_remaining()
            )
            try:
                async for response in call:
                    yield response
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details(), tuple(error.trailing_metadata()))

        return grpc.stream_stream_rpc_method_handler(forward)


def _goes_on(key: str) -> bool:
    """What a caller says of itself in the proxy's own entry goes nowhere."""
    return key not in (FORWARDED, "user-agent")


def _write_settings(folder: Path) -> None:
    pki = DevelopmentPKI.load(folder / "pki", utc_now())
    tables = []
    for name in (GOOD, ELSEWHERE, HALTED, REVOKED):
        tls = pki.issue_tls_client("000000000000000000", name)
        tls.write(folder / "clients" / name, "tls")
        addresses = ADDRESSES.get(name, ADDRESSES[GOOD])
        tables.append(
            f'[[server.proxies]]\nname = "{name}"\nkey_id = "{tls.certificate.key_id}"\n'
            f"addresses = {addresses}\nsuspended = {str(name == HALTED).lower()}\n"
        )
    settings = folder / "diya.toml"
    told = settings.read_text(encoding="utf-8")
    told = told.replace("[server]\n", '[server]\nproxy_listen = "127.0.0.1:0"\n')
    settings.write_text("\n".join([told, *tables]), encoding="utf-8")


async def _register(tlcp: Tlcp) -> None:
    """What an operator does: trust the SM2 authority for connections, and enter the bank's key."""
    town = tlcp.town
    admin = await town.operator()
    revoked = town.stage.credential(REVOKED, "tls")
    anchors = town.pki.trust_store().anchors[Purpose.TLS]
    await admin.set_trust(
        [
            authority_pb2.TrustSet(
                purpose=authority_pb2.TRUST_PURPOSE_TLS,
                anchors=[*anchors, tlcp.national.anchors[Purpose.TLS].der],
                crls=[town.pki.make_crl(Purpose.TLS, [revoked], since=utc_now(), now=utc_now())],
            )
        ]
    )
    key = authority_pb2.RegisteredKey(key_id=tlcp.bank.certificate.key_id, roles=[authority_pb2.KEY_ROLE_TLS])
    async for institution in admin.list_institutions(INSTITUTIONS["bank-b"].id_number):
        institution.keys.append(key)
        await admin.set_institution(institution)


@asynccontextmanager
async def tlcp_of(folder: Path, **how: Any) -> AsyncIterator[Tlcp]:
    """A founded folder's gateway with proxies, for as long as the block lasts; `how`: arguments of `town_of`."""
    _write_settings(folder)
    national = national_tls()
    bank = INSTITUTIONS["bank-b"]
    credential = national.issue_tls_client(bank.id_number, bank.name, key=make_key(KeyKind.SM2))
    async with town_of(folder, **how) as town:
        tlcp = Tlcp(town, national, credential)
        await _register(tlcp)
        yield tlcp


def checkpoint(channel: grpc.aio.Channel, **how: Any) -> Any:
    """A read that every registered caller may make, and nobody else."""
    request = ledger_service_pb2.GetCheckpointRequest(parent="registries/jiangyin")
    return LedgerServiceStub(channel).GetCheckpoint(request, **how)


async def comes_and_files(tlcp: Tlcp, channel: grpc.aio.Channel) -> None:
    """What bank B does over a connection by a proxy: files up, an SM2 envelope, its receipt checked, events."""
    town = tlcp.town
    filing = town.mortgage(channel="bank-b").sign()
    files = FileServiceStub(channel)
    for code, (data,) in filing.papers.items():
        up = (await files.UploadFile(as_stream(upload_messages(data)))).file
        filing.references.append(build.file_reference(code, up.sha256, up.size_bytes))
    session = Session(Connection(channel), "jiangyin", read_trust(town.folder / "trust"))
    session.policy = ONCE
    submission = build.sign_submission(town.key("bank-b").signer(), filing.manifest())
    answer = await DiyaClient(session).submit(submission)
    assert answer.result == "BOOKED"
    assert answer.envelope.signatures[0].algorithm == "SM2_SM3"
    request = registration_service_pb2.WatchEventsRequest(parent="registries/jiangyin", catch_up_only=True)
    assert [event async for event in RegistrationServiceStub(channel).WatchEvents(request)]
