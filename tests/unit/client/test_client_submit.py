"""DiyaClient against a gateway of our own: answers, receipts, pages, the fork alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.client.checkpoints import FolderCheckpoints, MemoryCheckpoints
from gateway.client.client import DiyaClient
from gateway.client.connection import Connection
from gateway.client.errors import InputError, ProtocolBroken, ReceiptInvalid
from gateway.client.ledger import LedgerClient
from gateway.client.payloads import manifest_of
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import outcome_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from gateway.pb.diya.v1.registration_service_pb2_grpc import (
    add_RegistrationServiceServicer_to_server,
)
from tests.unit.client.fake_gateway import FakeLedgerService, FakeRegistration
from tests.unit.client.sample_case import serving, session_on, signed
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger


class Peer:
    """Ledger and servicers of one fake gateway."""

    def __init__(self) -> None:
        self.ledger = SampleLedger()
        self.registration = FakeRegistration(self.ledger)
        self.service = FakeLedgerService(self.ledger)

    def serving(self):  # type: ignore[no-untyped-def]  # the context manager of `serving`
        """A connection to it."""
        return serving(
            (add_RegistrationServiceServicer_to_server, self.registration),
            (add_LedgerServiceServicer_to_server, self.service),
        )

    def client(self, connection: Connection, **options: object) -> DiyaClient:
        """A client that trusts it."""
        return DiyaClient(session_on(connection, self.ledger.trust, **options))


@pytest.fixture
def peer() -> Peer:
    """A gateway with an empty ledger."""
    return Peer()


async def test_submit_verified_receipt_is_compared_with_the_one_before(peer: Peer) -> None:
    """Each answer's receipt verifies, and its checkpoint extends the last one."""
    async with peer.serving() as connection:
        client = peer.client(connection)
        first = await client.submit_mortgage(signed(1))
        peer.ledger.fill(6)
        second = await client.submit_mortgage(signed(2))
    assert first.receipt is not None
    assert second.receipt is not None
    assert first.receipt.is_consistent
    assert second.receipt.is_consistent
    assert (first.receipt.index, second.receipt.index) == (0, 7)
    assert peer.service.proofs == 1


async def test_submit_replayed_is_answered_with_a_newer_checkpoint(peer: Peer) -> None:
    """The same envelope again brings the stored answer."""
    async with peer.serving() as connection:
        client = peer.client(connection)
        envelope = signed()
        first = await client.submit(envelope)
        again = await client.submit(envelope)
    assert again.outcome.replayed
    assert again.outcome.application == first.outcome.application


async def test_submit_receipt_spoiled_raises_with_the_answer_kept(peer: Peer) -> None:
    """A receipt that does not verify is an alarm that carries the answer as evidence."""
    async with peer.serving() as connection:
        client = DiyaClient(
            session_on(connection, LedgerTrust({REGISTRY: [SampleLedger(seed=9).signer.vkey]}))
        )
        with pytest.raises(ReceiptInvalid) as caught:
            await client.submit(signed())
    kept = outcome_pb2.Outcome.FromString(caught.value.outcome)
    assert kept.result == outcome_pb2.OUTCOME_RESULT_BOOKED


async def test_submit_forked_ledger_raises_check_8(peer: Peer) -> None:
    """A gateway that shows another history than before is found out at the next receipt."""
    peer.ledger.fill(4)
    other = SampleLedger()
    other.append({"effects": b"another history"})
    other.fill(2)
    memory = MemoryCheckpoints()
    memory.keep(REGISTRY, other.note())
    async with peer.serving() as connection:
        with pytest.raises(ReceiptInvalid) as caught:
            await peer.client(connection, memory=memory).submit(signed())
    assert caught.value.check == 8
    assert memory.last(REGISTRY) == other.note()


async def test_submit_without_consistency_proof_says_so_and_keeps_the_old(peer: Peer) -> None:
    """When no proof can be had, the answer stands, is marked, and the memory does not move."""
    memory = MemoryCheckpoints()
    async with peer.serving() as connection:
        client = peer.client(connection, memory=memory)
        await client.submit(signed(1))
        kept = memory.last(REGISTRY)
        peer.service.is_down = True
        answer = await client.submit(signed(2))
    assert answer.receipt is not None
    assert not answer.receipt.is_consistent
    assert memory.last(REGISTRY) == kept


async def test_submit_remembers_the_checkpoint_on_disk(peer: Peer, tmp_path: Path) -> None:
    """The next process begins with the checkpoint that the last one saw."""
    async with peer.serving() as connection:
        await peer.client(connection, memory=FolderCheckpoints(tmp_path)).submit(signed(1))
        await peer.client(connection, memory=FolderCheckpoints(tmp_path)).submit(signed(2))
    assert peer.service.proofs == 1
    assert (tmp_path / f"{REGISTRY}.checkpoint").read_bytes() == peer.ledger.note()


async def test_kept_checkpoint_of_an_untrusted_key_is_refused(peer: Peer) -> None:
    """A memory that nobody trusted signed is not silently forgotten."""
    memory = MemoryCheckpoints()
    stranger = SampleLedger(seed=9)
    stranger.fill(1)
    memory.keep(REGISTRY, stranger.note())
    async with peer.serving() as connection:
        with pytest.raises(InputError):
            await peer.client(connection, memory=memory).submit(signed())


async def test_submit_rehearsal_has_no_receipt(peer: Peer) -> None:
    """A rehearsal is answered without receipt; one answered as a submission is refused."""
    async with peer.serving() as connection:
        answer = await peer.client(connection).submit(signed(validate_only=True))
        assert (answer.result, answer.receipt, answer.is_pending) == ("VALID", None, False)
        with pytest.raises(ProtocolBroken):
            await peer.client(connection).session.answer(signed(validate_only=True), outcome_pb2.Outcome())
        with pytest.raises(ProtocolBroken):
            await peer.client(connection).session.answer(signed(), outcome_pb2.Outcome())


async def test_submit_by_the_wrong_call_is_refused_here(peer: Peer) -> None:
    """A mortgage is not sent as a release."""
    async with peer.serving() as connection:
        with pytest.raises(InputError):
            await peer.client(connection).submit_mortgage_release(signed())
    assert peer.registration.requests == []


async def test_pending_receipt_is_completed_later(peer: Peer) -> None:
    """A pending answer is returned as such, and completed by GetReceipt."""
    peer.registration.pending = True
    async with peer.serving() as connection:
        client = peer.client(connection)
        answer = await client.submit(signed())
        assert (answer.is_pending, answer.receipt) == (True, None)
        completed = await client.complete(answer)
        assert completed.receipt is not None
        assert not completed.is_pending
        assert await client.complete(completed) is completed
        fetched = await client.get_receipt(answer.envelope)
    assert fetched is not None
    assert fetched.index == 0


async def test_receipt_file_verifies_offline(peer: Peer, tmp_path: Path) -> None:
    """What was kept verifies with the vkey alone, and stops verifying when it is changed."""
    async with peer.serving() as connection:
        answer = await peer.client(connection).submit(signed())
    path = tmp_path / "kept.json"
    write_act(path, KeptAct.of_answer(answer))
    read = read_act(path)
    assert read.verify(peer.ledger.trust).index == 0
    assert read.outcome is not None
    read.outcome.result = outcome_pb2.OUTCOME_RESULT_ACCEPTED
    with pytest.raises(ReceiptInvalid):
        read.verify(peer.ledger.trust)
    path.write_text(path.read_text().replace("diya-receipt/v1", "diya-receipt/v9"))
    with pytest.raises(InputError):
        read_act(path)


async def test_kept_request_without_answer_can_be_sent_again(peer: Peer, tmp_path: Path) -> None:
    """The file written before sending holds the very bytes to send."""
    envelope = signed()
    path = tmp_path / "kept.json"
    write_act(path, KeptAct(envelope))
    read = read_act(path)
    assert (read.envelope, read.answer) == (envelope, None)
    with pytest.raises(ReceiptInvalid):
        read.verify(peer.ledger.trust)


async def test_list_applications_goes_over_all_pages(peer: Peer) -> None:
    """Paging is not the caller's business."""
    async with peer.serving() as connection:
        listed = peer.client(connection).list_applications()
        names = [one.name.rpartition("/")[2] async for one in listed]
    assert names == ["0", "1"]


async def test_ledger_entry_is_proven_under_the_latest_checkpoint(peer: Peer) -> None:
    """An entry that is shown is proven to be in the signed tree."""
    peer.ledger.fill(5)
    async with peer.serving() as connection:
        ledger = LedgerClient(session_on(connection, peer.ledger.trust))
        found = await ledger.entry(2)
        assert (found.entry.index, found.checkpoint.size) == (2, 5)
        for index in (-1, 5, 6):  # a question that has no answer is no alarm
            with pytest.raises(InputError, match="entries 0 to 4"):
                await ledger.entry(index)
        with pytest.raises(InputError, match="no checkpoint of 2 entries was published; the next one has 5"):
            await ledger.compare(2, 5)
        stranger = LedgerTrust({REGISTRY: [SampleLedger(seed=9).signer.vkey]})
        with pytest.raises(ReceiptInvalid):
            await LedgerClient(session_on(connection, stranger)).checkpoint()


def test_manifest_of_other_payload_is_refused() -> None:
    """Only a manifest can be submitted."""
    envelope = signed()
    assert manifest_of(envelope).header.registry == REGISTRY
    with pytest.raises(InputError):
        manifest_of(type(envelope)("application/x", envelope.payload, envelope.signatures))
