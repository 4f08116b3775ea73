"""The same bytes again: the stored outcome, word for word, with a receipt that verifies; never a second case."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from gateway.client import manifest as build
from gateway.client.acts import send_act
from gateway.pb.diya.v1 import outcome_pb2, registration_service_pb2
from signing.envelope import Envelope
from tests.support.filing import Filing
from tests.support.stage import MovedClock, Town, town_of
from tests.support.wire import codes_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOOKED = outcome_pb2.OUTCOME_RESULT_BOOKED


def _without_receipt(outcome: Any) -> bytes:
    """The answer itself: its receipt may be under a newer checkpoint, and a replay says that it is one."""
    bare = outcome_pb2.Outcome()
    bare.CopyFrom(outcome)
    bare.ClearField("receipt")
    bare.ClearField("replayed")
    return bare.SerializeToString(deterministic=True)


def _signed(filing: Filing, **header: Any) -> Envelope:
    return build.sign_submission(filing.town.key(filing.channel).signer(), filing.manifest(**header))


async def test_replay_gives_the_stored_outcome(town: Town) -> None:
    """The same envelope again: the same outcome, the same entry, a receipt that verifies, and nothing new."""
    filing = await town.mortgage().sign().upload()
    client = await town.client("bank-a")
    envelope = _signed(filing)
    first = await client.submit(envelope)
    before = town.footprint()
    again = await client.submit(envelope)
    assert (first.outcome.replayed, again.outcome.replayed) == (False, True)
    assert again.receipt is not None
    assert _without_receipt(again.outcome) == _without_receipt(first.outcome)
    assert again.outcome.receipt.entry == first.outcome.receipt.entry
    assert town.footprint() == before


async def test_resigned_envelope_is_the_same_request(town: Town) -> None:
    """What counts is the payload: signed anew (ECDSA draws anew), it gives the stored outcome."""
    filing = await town.mortgage().sign().upload()
    manifest = filing.manifest()
    one, two = filing.envelope(manifest), filing.envelope(manifest)
    assert one.signatures[0].signature != two.signatures[0].signature
    first = await filing.send(filing.request(one))
    before = town.footprint()
    second = await filing.send(filing.request(two))
    assert _without_receipt(first) == _without_receipt(second)
    assert town.footprint() == before


async def test_replay_after_other_entries_is_under_a_newer_checkpoint(town: Town) -> None:
    """A replay's receipt is of the first entry, under a checkpoint that covers what came since."""
    filing = await town.mortgage().sign().upload()
    client = await town.client("bank-a")
    envelope = _signed(filing)
    first = await client.submit(envelope)
    await town.booked()
    again = await client.submit(envelope)
    assert first.receipt is not None
    assert again.receipt is not None
    assert again.receipt.index == first.receipt.index
    assert again.receipt.checkpoint.size > first.receipt.checkpoint.size
    assert again.receipt.is_consistent


async def test_refusal_by_the_law_is_replayed_too(town: Town) -> None:
    """NOT_ACCEPTED is an answer like any other: sent again, the stored findings come back."""
    filing = town.mortgage().sign()
    del filing.papers["MORTGAGE_CONTRACT"]
    await filing.upload()
    request = filing.request()
    first, second = await filing.send(request), await filing.send(request)
    assert codes_of(first.findings) == {("N-INCOMPLETE", "")}
    assert _without_receipt(first) == _without_receipt(second)


async def test_error_leaves_the_request_id_free(town: Town) -> None:
    """A gRPC error kept nothing: the same request id with good bytes is a first submission."""
    filing = await town.mortgage().sign().upload()
    bad = filing.envelope()
    bad.signatures[0].signature = bad.signatures[0].signature[:-1] + bytes(
        [bad.signatures[0].signature[-1] ^ 1]
    )
    await filing.refused("SIGNATURE_INVALID", "UNAUTHENTICATED", filing.request(bad))
    assert (await filing.send()).result == BOOKED


async def test_same_bytes_at_once_are_one_case(town: Town) -> None:
    """Twelve times the same request at the same moment: one entry, one application, twelve equal answers."""
    filing = await town.mortgage().sign().upload()
    request = filing.request()
    before = town.footprint()
    outcomes = await asyncio.gather(*(filing.send(request) for _ in range(12)))
    assert len({_without_receipt(o) for o in outcomes}) == 1
    after = town.footprint()
    for table in ("ledger_entry", "application", "right", "certificate", "request"):
        assert after[table] == before[table] + 1, table


async def test_request_id_is_each_institutions_own(town: Town) -> None:
    """Two banks may draw the same request id: neither gets the other's answer."""
    one = await town.mortgage().sign().upload()
    two = town.mortgage(channel="bank-b")
    two.request_id = one.request_id
    await two.sign().upload()
    first, second = await one.send(), await two.send()
    assert first.result == second.result == BOOKED
    assert first.application != second.application


async def test_replay_holds_after_the_envelope_has_expired(own_folder: Path) -> None:
    """Who asks again after not_after still learns the outcome: nothing is decided anew."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        filing = await town.mortgage().sign().upload()
        request = filing.request(filing.envelope(filing.manifest(valid_for=dt.timedelta(minutes=2))))
        first = await filing.send(request)
        clock.move(600)
        second = await filing.send(request)
        assert first.result == BOOKED
        assert _without_receipt(first) == _without_receipt(second)


async def test_replay_holds_across_a_restart(own_folder: Path) -> None:
    """After a stop and a start the same bytes give the same outcome, whose receipt extends the one held."""
    async with town_of(own_folder) as town:
        filing = await town.mortgage().sign().upload()
        envelope = _signed(filing)
        client = await town.client("bank-a")
        first = await client.submit(envelope)
        size = town.ledger_size()
    async with town_of(own_folder) as town:
        client = await town.client("bank-a")
        again = await client.submit(envelope)
        assert again.receipt is not None
        assert first.receipt is not None
        assert _without_receipt(again.outcome) == _without_receipt(first.outcome)
        assert again.receipt.entry == first.receipt.entry
        assert town.ledger_size() == size
        response = await town.registration("bank-a").GetReceipt(
            registration_service_pb2.GetReceiptRequest(
                parent="registries/jiangyin", request_id=filing.request_id
            )
        )
        checked = await client.session.check_receipt(response.receipt, envelope)
        assert checked is not None
        assert checked.entry == first.receipt.entry


async def test_registrars_act_is_replayed(town: Town) -> None:
    """A registrar's approval sent again is the same approval: one booking."""
    _, accepted = await town.in_review()
    review = await town.registrar()
    await review.claim(await review.open(accepted.outcome.application))
    approved = await review.approve(await review.open(accepted.outcome.application))
    assert approved.result == "BOOKED"
    before = town.footprint()
    session = await town.session("registrar", "taizhou")
    again = await send_act(session, approved.envelope)
    assert _without_receipt(again.outcome) == _without_receipt(approved.outcome)
    assert town.footprint() == before
