"""A bank of the national suite over the real wire: its SM2 envelopes are taken like any other, and no weaker."""

from __future__ import annotations

import msgspec
import pytest

from gateway.pb.diya.v1 import envelope_pb2
from gateway.rpc.replay import Judged
from signing.sm2 import SM2PrivateKey
from tests.support.stage import Town

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
