"""A bank of the national suite over the real wire: its SM2 envelopes are taken like any other, and no weaker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from gateway.pb.diya.v1 import envelope_pb2
from gateway.rpc.replay import Judged
from ledger.tables import ledger_key
from signing.sm2 import SM2PrivateKey
from tests.support.played import opened
from tests.support.stage import Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_mortgage_that_the_client_signed_with_sm2_is_booked_and_kept(town: Town) -> None:
    """Nothing but the key is different: client, wire, decision, receipt; what is kept names the algorithm."""
    assert isinstance(town.key("bank-b").private_key, SM2PrivateKey)
    _, answer = await town.booked(channel="bank-b")
    assert answer.envelope.signatures[0].algorithm == "SM2_SM3"
    assert answer.outcome.receipt.entry
    with town.gateway._reader.begin() as connection:
        kept = town.gateway.ledger.read_part(
            connection, "jiangyin", answer.outcome.receipt.index, "evidence/verdicts"
        )[1]
    (signature,) = msgspec.json.decode(kept, type=Judged).signatures
    assert signature.algorithm == "SM2_SM3"


async def test_sm2_envelope_that_was_changed_or_misnamed_is_refused(town: Town) -> None:
    """Another byte of the payload, of the value, another algorithm's name: nothing is left of any."""
    filing = await town.mortgage(channel="bank-b").sign().upload()
    good = filing.envelope()
    assert good.signatures[0].algorithm == envelope_pb2.SIGNATURE_ALGORITHM_SM2_SM3
    for change, reason in (("value", "SIGNATURE_INVALID"), ("name", "ALGORITHM_REFUSED")):
        bad = envelope_pb2.Envelope()
        bad.CopyFrom(good)
        signature = bad.signatures[0]
        if change == "value":
            signature.signature = signature.signature[:-1] + bytes([signature.signature[-1] ^ 1])
        else:
            signature.algorithm = envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256
        await filing.refused(reason, "", filing.request(bad))


async def test_sm2_certificate_whose_key_is_not_registered_is_refused(town: Town) -> None:
    """A good certificate of the same bank is not enough, in either suite."""
    filing = await town.mortgage(channel="bank-b").sign().upload()
    party = town.key("bank-b").certificate
    assert party.identity is not None
    other = town.pki.issue_institution(party.identity.number, party.name, key=SM2PrivateKey.generate())
    envelope = filing.envelope(by=other)
    await filing.refused("KEY_NOT_REGISTERED", "PERMISSION_DENIED", filing.request(envelope))
    assert (await filing.submit()).result == "BOOKED"


async def test_case_of_a_registry_that_seals_with_sm4_is_kept_and_read(own_folder: Path) -> None:
    """One line of the settings: what is new lies under SM4-GCM, what was there stays, and all of it verifies."""
    settings = own_folder / "diya.toml"
    told = settings.read_text(encoding="utf-8")
    assert told.count('part_cipher = "AES-256-GCM"') == 2
    settings.write_text(told.replace('"AES-256-GCM"', '"SM4-GCM"'), encoding="utf-8")
    async with town_of(own_folder) as place:
        _, answer = await place.booked(channel="bank-b")
        ledger, index = place.gateway.ledger, answer.outcome.receipt.index
        with place.gateway._reader.begin() as connection:
            sizes = {len(row.wrapped) for row in connection.execute(select(ledger_key))}
            assert ledger.read_part(connection, "jiangyin", index, "evidence/payload")[1]
    assert sizes == {44, 60}
    report = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway.cli", "ledger", "verify", "--config", str(settings)],
        capture_output=True,
        check=False,
    )
    assert report.returncode == 0, report.stdout.decode()


async def test_ledger_that_is_begun_with_sm4_has_no_other_key(tmp_path: Path) -> None:
    """`diya init --sm4`: the registry's own key too."""
    command = [sys.executable, "-m", "gateway.cli", "init", "--sm4", str(tmp_path / "gateway")]
    made = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()
    with opened(tmp_path / "gateway") as connection:
        assert {len(key) for (key,) in connection.execute("SELECT wrapped FROM ledger_key")} == {44}
