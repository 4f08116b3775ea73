"""A bank that comes over real TLCP: `go/tlcp` ends it before the gateway with a stack that others wrote (tjfoc/gmsm).

The bank's own end is the same stack's client, which carries what an ordinary gRPC client says. The certificates, two
for each side as the standard wants, are of our development PKI.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.app import utc_now
from gateway.demo.stage import INSTITUTIONS
from gateway.rpc.proxies import FORWARDED
from signing.authority import authority_name
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_key
from signing.trust import Purpose
from tests.support.founding import copy_of
from tests.support.go import built
from tests.support.tlcp import GOOD, Tlcp, checkpoint, comes_and_files, entry_of, national_tls, tlcp_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOLDER = Path(__file__).parent / "go" / "tlcp"
UNAUTHENTICATED = "UNAUTHENTICATED"


class Proxied:
    """The gateway with a TLCP proxy before it, and how to come by that."""

    def __init__(self, tlcp: Tlcp, program: Path, folder: Path) -> None:
        self.tlcp = tlcp
        self.program = program
        self.folder = folder
        self.port = ""
        self.log = folder / "proxy.log"

    def pair(self, name: str, national: DevelopmentPKI, signing: Credential) -> list[str]:
        """Options that name a side's two certificates: one signs, the other one keys are encrypted to."""
        signing.write(self.folder, f"{name}-sign")
        _for_encryption(national).write(self.folder, f"{name}-enc")
        return [f"-sign={self.folder / name}-sign", f"-enc={self.folder / name}-enc"]

    @asynccontextmanager
    async def coming(self, *options: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel inside a TLCP connection to the proxy."""
        to = f"-to=127.0.0.1:{self.port}"
        async with (
            _running(self.program, "tunnel", to, f"-roots={self.folder / 'issuer.pem'}", *options) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield channel

    @asynccontextmanager
    async def bank(self, signing: Credential | None = None) -> AsyncIterator[grpc.aio.Channel]:
        """Bank B's channel, or that of another credential."""
        pair = self.pair("bank", self.tlcp.national, signing or self.tlcp.bank)
        async with self.coming(*pair) as channel:
            yield channel


@asynccontextmanager
async def _running(program: Path, *options: str, stderr: IO[bytes] | None = None) -> AsyncIterator[str]:
    """The program while the block lasts; the port that it prints."""
    process = await asyncio.create_subprocess_exec(
        str(program), *options, stdin=PIPE, stdout=PIPE, stderr=stderr
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


def _for_encryption(national: DevelopmentPKI) -> Credential:
    """A certificate of the kind to which a TLCP peer encrypts: it signs nothing."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    extensions = [
        (usage, True),
        (x509.ExtendedKeyUsage(both), False),
        (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False),
    ]
    return national.issuing[Purpose.TLS].issue(
        authority_name("encryption"), make_key(KeyKind.SM2), extensions, now=national.now
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxied(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxied]:
    """The gateway and the proxy, running."""
    folder = tmp_path_factory.mktemp("tlcp")
    program = built(FOLDER, folder)
    async with tlcp_of(copy_of(founded, folder / "gateway")) as tlcp:
        found = Proxied(tlcp, program, folder)
        issuing = tlcp.national.issuing[Purpose.TLS].credential
        (folder / "issuer.pem").write_bytes(issuing.chain_pem())
        server = tlcp.national.issue_tls_server(["localhost"], key=make_key(KeyKind.SM2))
        options = [
            *found.pair("proxy", tlcp.national, server),
            f"-roots={folder / 'issuer.pem'}",
            f"-above={folder / 'issuer.pem'}",
            f"-gateway=localhost:{tlcp.town.gateway.ports['proxy_listen']}",
            f"-gateway-roots={tlcp.town.folder / 'trust' / 'server-roots.pem'}",
            f"-tls={tlcp.town.folder / 'clients' / GOOD / 'tls'}",
        ]
        with found.log.open("wb") as log:
            async with _running(program, "proxy", *options, stderr=log) as found.port:
                yield found


async def test_bank_uploads_submits_and_watches_over_tlcp(proxied: Proxied) -> None:
    """Every kind of call goes through both programs, in the handshake's own version and suite of SM2, SM3 and SM4."""
    async with proxied.bank() as channel:
        await comes_and_files(proxied.tlcp, channel)
    assert "TLCP 0x0101, suite 0xe013" in proxied.log.read_text()


async def test_callers_own_entry_is_replaced(proxied: Proxied) -> None:
    """Whatever a caller says of itself, the gateway sees who proved the key: bank B, whom the entry does not name."""
    bank_a = entry_of(proxied.tlcp.town.stage.credential("bank-a", "tls").certificates[0])
    async with proxied.bank() as channel:
        assert await checkpoint(channel, metadata=[(FORWARDED, bank_a), (FORWARDED, "nonsense")])


async def test_key_that_nobody_registered_is_nobody(proxied: Proxied) -> None:
    """The handshake holds, for the authority is known; the gateway knows no such caller."""
    bank = INSTITUTIONS["bank-b"]
    other = proxied.tlcp.national.issue_tls_client(bank.id_number, bank.name, key=make_key(KeyKind.SM2))
    async with proxied.bank(other) as channel:
        await proxied.tlcp.town.refusal(lambda: checkpoint(channel), "CALLER_UNKNOWN", UNAUTHENTICATED)


@pytest.mark.parametrize("who", ["nobody", "of another authority", "of a certificate that ended"])
async def test_caller_whom_the_handshake_does_not_know_does_not_reach_the_gateway(
    proxied: Proxied, who: str
) -> None:
    """The proxy asks for a certificate, and goes on only when it holds: the connection ends there."""
    national, bank = proxied.tlcp.national, INSTITUTIONS["bank-b"]
    past = utc_now() - dt.timedelta(days=60)
    by = {
        "nobody": None,
        "of another authority": national_tls(),
        "of a certificate that ended": type(national)(past, national.anchors, national.issuing),
    }[who]
    options = ["-anonymous"]
    if by is not None:
        client = by.issue_tls_client(bank.id_number, bank.name, key=make_key(KeyKind.SM2), days=10)
        options = proxied.pair("stranger", by, client)
    async with proxied.coming(*options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await checkpoint(channel, timeout=20)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
