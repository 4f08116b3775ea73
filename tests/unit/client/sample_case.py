"""A signed mortgage application of made-up people, and sessions whose time and randomness are
fixed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import grpc

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.connection import Connection, Deadlines
from gateway.client.retry import RetryPolicy
from gateway.client.session import Session
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import codes_pb2, envelope_pb2, terms_pb2
from signing.envelope import Envelope
from tests.support.pki import BANK_USCC, BUYER_ID, NOW, sample_pki
from tests.unit.client.sample_ledger import REGISTRY

UNIT = "999999001001GB00001F00010001"
PROOF = "苏(2026)澄江市不动产证明第0000001号"


def sample_terms() -> terms_pb2.Terms:
    """A first mortgage of one flat."""
    content = operations.mortgage_content(
        mortgagors=["owner"],
        mortgagees=["bank"],
        debtors=["owner"],
        claim_fen=80_000_000,
        term=(date(2026, 11, 2), date(2046, 11, 1)),
    )
    return build.terms(
        REGISTRY,
        units=[build.unit(UNIT, titles=["苏(2020)澄江市不动产权第0000001号"])],
        parties=[
            build.person("owner", "李示例", BUYER_ID),
            build.institution_party("bank", "澄江测试银行", BANK_USCC),
        ],
        operations=[operations.mortgage_first(content)],
    )


def sample_manifest(number: int = 1, *, validate_only: bool = False) -> envelope_pb2.Manifest:
    """A manifest whose request id is made from `number`."""
    header = build.header(
        REGISTRY,
        request_id=str(UUID(int=number, version=4)),
        created_at=NOW,
        channel_institution=BANK_USCC,
        clerk=build.clerk("经办员", "A-001"),
        validate_only=validate_only,
    )
    return build.manifest(codes_pb2.APPLICATION_KIND_MORTGAGE, header, build.terms_bytes(sample_terms()))


def signed(number: int = 1, *, validate_only: bool = False) -> Envelope:
    """A signed application."""
    manifest = sample_manifest(number, validate_only=validate_only)
    return build.sign_submission(sample_pki().bank.signer(), manifest)


class Naps:
    """Sleeps that take no time and are remembered, in seconds."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@asynccontextmanager
async def serving(*registrations: tuple[Any, Any]) -> AsyncIterator[Connection]:
    """A connection to a server with these (add_…_to_server, servicer); no TLS."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    for add, servicer in registrations:
        add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        async with Connection(channel, Deadlines(call=5, act=5, transfer=5, watch_silence=5)) as made:
            yield made
    finally:
        await server.stop(0)


def session_on(
    connection: Connection, trust: LedgerTrust, *, naps: Naps | None = None, **options: Any
) -> Session:
    """A session that waits no time, with jitter at its upper end."""
    return Session(
        connection,
        REGISTRY,
        trust,
        policy=options.pop("policy", RetryPolicy(attempts=3)),
        sleep=naps or Naps(),
        uniform=lambda: 1.0,
        clock=lambda: NOW + timedelta(minutes=1),
        entropy=lambda length: bytes(range(length)),
        **options,
    )
