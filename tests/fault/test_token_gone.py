"""The token is pulled out of a running gateway, and put back: requests are answered all the while, nothing unsigned is
handed out, and what waited is signed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.app import Gateway
from gateway.client.session import Answer
from gateway.config import ConfigError
from gateway.pb.diya.v1 import outcome_pb2
from gateway.telemetry import metrics
from signing.pki import Credential
from tests.support.stage import Town, configured, town_of
from tests.support.tokens import Tokens, needs_softhsm, tokens, write_encrypted

__all__ = ["tokens"]  # a fixture

pytestmark = [needs_softhsm, pytest.mark.asyncio(loop_scope="session")]


def set_key(folder: Path, name: str, old: str, new: str) -> None:
    """Change the setting of a key."""
    path = folder / "diya.toml"
    text = path.read_text(encoding="utf-8")
    assert f'{name} = "{old}"' in text
    path.write_text(text.replace(f'{name} = "{old}"', f'{name} = "{new}"'), encoding="utf-8")


@pytest.fixture
def seal_in_token(own_folder: Path, tokens: Tokens) -> Path:
    """A gateway's folder whose registry jiangyin seals with a token; its key is nowhere on the disk."""
    tokens.put(Credential.read(own_folder / "keys", "seal-jiangyin").private_key, "seal", 1)
    set_key(own_folder, "seal_key", "keys/seal-jiangyin.key.pem", tokens.setting("seal"))
    (own_folder / "keys" / "seal-jiangyin.key.pem").unlink()
    return own_folder


@pytest.fixture
def ledger_in_token(own_folder: Path, tokens: Tokens) -> Path:
    """A gateway's folder whose registry jiangyin signs its checkpoints with a token."""
    path = own_folder / "keys" / "ledger-jiangyin.pem"
    tokens.put(load_pem_private_key(path.read_bytes(), None), "ledger", 2)  # type: ignore[arg-type]
    set_key(own_folder, "ledger_key", "keys/ledger-jiangyin.pem", tokens.setting("ledger"))
    path.unlink()
    return own_folder


def down(use: str) -> float:
    """What the metric says."""
    return (
        metrics.collectors.get_sample_value("diya_signer_down", {"registry": "jiangyin", "use": use}) or 0.0
    )


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that the gateway does of itself."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


async def sealed(town: Town, answers: list[Answer]) -> None:
    """Wait until the certificates of some bookings are sealed."""
    wanted = {one.name for answer in answers for one in answer.outcome.certificates}
    client = await town.client("bank-a")
    async with asyncio.timeout(60):
        async for event in client.watch_events(0):
            if event.kind == outcome_pb2.EVENT_KIND_SEALED:
                wanted.discard(event.certificate)
            if not wanted:
                return


async def test_certificates_wait_for_a_seal_whose_token_is_gone(
    seal_in_token: Path, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    """Booked and answered all the while; one line and the metric say so; sealed when it is back, all of them."""
    caplog.set_level(logging.INFO, logger="gateway.rounds.sealing")
    async with town_of(seal_in_token, sealing=True) as town:
        before = [(await town.booked())[1]]
        await sealed(town, before)
        tokens.take_away()
        waiting = [(await town.booked())[1] for _ in range(3)]
        await until(lambda: down("seal") == 1)
        waiting.append((await town.booked())[1])
        assert all(answer.receipt for answer in waiting)
        tokens.bring_back()
        await sealed(town, waiting)
        assert down("seal") == 0
    told = [r for r in caplog.records if "the seal" in r.message]
    assert [r.message.partition(",")[0] for r in told] == [
        "the seal does not answer",
        "the seal answers again",
    ]
    assert "seal_key" not in caplog.text


async def test_seal_that_is_gone_at_the_start_is_told_with_its_setting(
    seal_in_token: Path, tokens: Tokens
) -> None:
    """A start without its key is refused; so is one with a wrong PIN, which names the file and tries no second time."""
    tokens.take_away()
    tokens.start_anew()
    with pytest.raises(
        ConfigError, match=r"registries \(jiangyin\) seal_key: pkcs11:token=diya;object=seal: "
    ):
        await Gateway(configured(seal_in_token, sealing=True)).start()
    tokens.bring_back()
    tokens.start_anew()
    tokens.set_pin("9999")
    for told in ("tried once", "is not tried"):
        with pytest.raises(ConfigError, match=rf"seal_key: .*{told}") as caught:
            await Gateway(configured(seal_in_token, sealing=True)).start()
        assert str(tokens.pin_file) in str(caught.value)
        tokens.start_anew()


async def test_receipts_are_pending_while_the_checkpoints_token_is_gone(
    ledger_in_token: Path, tokens: Tokens
) -> None:
    """Nothing unsigned is handed out: the act is entered, its receipt pending; signed when the token is back, though
    nobody does anything more.
    """
    async with town_of(ledger_in_token) as town:
        _, answer = await town.booked()
        assert answer.receipt is not None
        tokens.take_away()
        filing = await town.mortgage().sign().upload()
        late = await filing.submit()
        assert late.result == "BOOKED"
        assert late.receipt is None
        client = await town.client("bank-a")
        assert (await client.fetch_receipt(late.envelope)).pending
        assert down("checkpoint") == 1
        tokens.bring_back()
        await until(lambda: down("checkpoint") == 0)
        assert await client.get_receipt(late.envelope) is not None


@pytest_asyncio.fixture(loop_scope="session")
async def encrypted(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    """A gateway with every key as encrypted PKCS#8: passphrases in a file, in a variable, in a credential."""
    keys = own_folder / "keys"
    (keys / "pin").write_text("one")
    (keys / "pin").chmod(0o600)
    monkeypatch.setenv("SEAL_PIN", "two")
    (own_folder / "credentials").mkdir()
    (own_folder / "credentials" / "tls").write_text("three\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(own_folder / "credentials"))
    for setting, stem, pin, source in (
        ("seal_key", "seal-jiangyin", b"two", "env:SEAL_PIN"),
        ("key", "tls-server", b"three", "credential:tls"),
    ):
        write_encrypted(Credential.read(keys, stem), keys, stem, pin)
        set_key(own_folder, setting, f"keys/{stem}.key.pem", f"keys/{stem}.key.pem?pin-source={source}")
    encrypt(keys / "ledger-jiangyin.pem", b"one")
    set_key(
        own_folder,
        "ledger_key",
        "keys/ledger-jiangyin.pem",
        "keys/ledger-jiangyin.pem?pin-source=file:keys/pin",
    )
    async with town_of(own_folder, sealing=True) as town:
        yield town


def encrypt(path: Path, passphrase: bytes) -> None:
    """Encrypt a private key where it lies."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    )


async def test_gateway_serves_with_every_key_encrypted(encrypted: Town) -> None:
    """TLS, checkpoints and seals; the worker opens the seal with the one variable that it is given."""
    _, answer = await encrypted.booked()
    assert answer.receipt is not None
    await sealed(encrypted, [answer])


async def test_tls_key_in_a_token_is_refused_with_the_reason(own_folder: Path, tokens: Tokens) -> None:
    """GRPC takes bytes."""
    set_key(own_folder, "key", "keys/tls-server.key.pem", tokens.setting("tls"))
    with pytest.raises(ConfigError, match=r"server\.key: .*gRPC takes the bytes of a key.*encrypted PKCS#8"):
        await Gateway(configured(own_folder)).start()
