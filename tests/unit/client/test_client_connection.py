"""The own certificate is judged before dialling; the channel retries reads alone; mutual TLS
works.
"""

from __future__ import annotations

import json
from datetime import timedelta

import grpc
import pytest

from gateway.client.connection import (
    Deadlines,
    check_own_certificate,
    connect,
    connect_public,
    service_config,
)
from gateway.client.errors import InputError, OwnCertificateRefused, Unavailable
from gateway.client.ledger import LedgerClient
from gateway.client.trust import LedgerTrust, read_trust
from gateway.pb.diya.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from signing.certificates import certificates_to_pem
from signing.pki import Credential, KeyKind, make_key
from signing.trust import Purpose
from tests.support.pki import BANK_USCC, NOW, sample_pki
from tests.unit.client.fake_gateway import FakeLedgerService
from tests.unit.client.sample_case import session_on
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger


def roots() -> bytes:
    """Anchors of TLS certificates, PEM."""
    return certificates_to_pem((sample_pki().pki.anchors[Purpose.TLS].der,))


def test_own_certificate_good_passes() -> None:
    """A valid certificate with its key is accepted, also with a key that signs no envelopes."""
    bank = sample_pki().bank_tls
    check_own_certificate(bank.chain_pem(), bank.key_pem(), NOW)
    other = sample_pki().pki.issue_tls_client(
        BANK_USCC, "澄江测试银行", uris=["urn:x"], key=make_key(KeyKind.P384)
    )
    check_own_certificate(other.chain_pem(), other.key_pem(), NOW)


@pytest.mark.parametrize(
    ("days", "reason", "zh"),
    [(4000, "CERTIFICATE_EXPIRED", "过期"), (-1, "CERTIFICATE_NOT_YET_VALID", "起生效")],
)
def test_own_certificate_out_of_its_time_is_refused(days: int, reason: str, zh: str) -> None:
    """An expired or not yet valid certificate is named, in both languages, before dialling."""
    bank = sample_pki().bank_tls
    with pytest.raises(OwnCertificateRefused) as caught:
        check_own_certificate(bank.chain_pem(), bank.key_pem(), NOW + timedelta(days=days))
    assert caught.value.reason == reason
    assert zh in caught.value.zh
    assert "own client certificate" in caught.value.en
    assert "+08:00" in caught.value.zh


def test_own_certificate_with_another_key_is_refused() -> None:
    """A key that is not the certificate's never gets as far as a handshake."""
    cast = sample_pki()
    with pytest.raises(OwnCertificateRefused) as caught:
        check_own_certificate(cast.bank_tls.chain_pem(), cast.second_bank_tls.key_pem(), NOW)
    assert caught.value.reason == "KEY_ID_MISMATCH"


@pytest.mark.parametrize(
    ("chain", "key", "reason"),
    [
        (b"nothing", None, "CERTIFICATE_MALFORMED"),
        (None, b"nothing", "KEY_UNREADABLE"),
        (None, "locked", "KEY_UNREADABLE"),
    ],
)
def test_own_certificate_unreadable_is_refused(
    chain: bytes | None, key: bytes | str | None, reason: str
) -> None:
    """Files that are not what they should be are named by reason."""
    bank = sample_pki().bank_tls
    key_pem = bank.key_pem(b"secret") if key == "locked" else key or bank.key_pem()
    assert isinstance(key_pem, bytes)
    with pytest.raises(OwnCertificateRefused) as caught:
        check_own_certificate(chain or bank.chain_pem(), key_pem, NOW)
    assert caught.value.reason == reason


def test_connect_refuses_before_dialling() -> None:
    """With a certificate that cannot work no connection is made at all."""
    bank = sample_pki().bank_tls
    with pytest.raises(OwnCertificateRefused):
        connect(
            "nowhere.invalid:1",
            server_roots=roots(),
            certificate_chain=bank.chain_pem(),
            private_key=bank.key_pem(),
            clock=lambda: NOW + timedelta(days=4000),
        )


def test_service_config_retries_reads_on_unavailable_only() -> None:
    """The channel repeats no act by itself, and nothing but UNAVAILABLE."""
    (method_config,) = json.loads(service_config())["methodConfig"]
    methods = {name["method"] for name in method_config["name"]}
    assert method_config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert {"GetApplication", "ListQueue", "VerifyCertificate"} <= methods
    assert not [one for one in methods if one.startswith(("Submit", "Approve", "Upload", "Set"))]


async def test_connect_calls_over_mutual_tls() -> None:
    """A call goes through with the own certificate, and not without one."""
    from datetime import UTC, datetime

    from signing.pki import DevelopmentPKI

    now = datetime.now(UTC)
    pki = DevelopmentPKI.create(now)
    server_side = pki.issue_tls_server(["localhost"], ["127.0.0.1"])
    anchors = certificates_to_pem((pki.anchors[Purpose.TLS].der,))
    ledger = SampleLedger()
    ledger.fill(2)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_LedgerServiceServicer_to_server(FakeLedgerService(ledger), server)
    credentials = grpc.ssl_server_credentials(
        [(server_side.key_pem(), server_side.chain_pem())],
        root_certificates=anchors,
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        own = pki.issue_tls_client(BANK_USCC, "澄江测试银行", uris=["urn:x"])
        async with _connected(port, anchors, own) as connection:
            session = session_on(connection, ledger.trust)
            assert (await LedgerClient(session).checkpoint()).checkpoint.size == 2
        public = connect_public(
            f"127.0.0.1:{port}",
            server_roots=anchors,
            server_name="localhost",
            deadlines=Deadlines(call=5),
        )
        async with public as connection:
            with pytest.raises(Unavailable):
                await LedgerClient(session_on(connection, ledger.trust)).checkpoint()
    finally:
        await server.stop(0)


def _connected(port: int, anchors: bytes, own: Credential):  # type: ignore[no-untyped-def]
    return connect(
        f"127.0.0.1:{port}",
        server_roots=anchors,
        certificate_chain=own.chain_pem(),
        private_key=own.key_pem(),
        server_name="localhost",
        deadlines=Deadlines(call=5),
    )


def test_trust_folder_holds_a_vkey_file_for_each_registry(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Keys are read by registry, comments are skipped, an empty folder is refused."""
    with pytest.raises(InputError):
        read_trust(tmp_path)
    vkey = SampleLedger().signer.vkey
    (tmp_path / f"{REGISTRY}.vkey").write_text(f"# since 2026\n{vkey}\n\n")
    trust = read_trust(tmp_path)
    assert trust.registries == (REGISTRY,)
    assert trust.vkeys(REGISTRY) == (vkey,)
    assert LedgerTrust({}).vkeys(REGISTRY) == ()
