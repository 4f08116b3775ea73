"""The public chain: checkpoints, entries and proofs."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cases.effects import CounterMoved
from gateway.config import Config
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.pb.diya.v1 import ledger_service_pb2
from gateway.rpc.errors import Refusal
from gateway.rpc.ledger import LedgerService
from gateway.storage.paging import PageTokenInvalid
from ledger.checkpoint import open_checkpoint
from ledger.entry import parse_entry
from ledger.hashing import leaf_hash
from ledger.proof import verify_consistency, verify_inclusion
from tests.support.spine import ORIGIN, PARENT, REGISTRY, FakeContext, Spine

pb = ledger_service_pb2
CONTEXT: Any = FakeContext()
NO_SETTINGS = Config.model_construct(registries=[])


@pytest.fixture
def service(spine: Spine) -> LedgerService:
    """The servicer over a ledger of seven entries, each with a checkpoint."""
    for number in range(6):
        spine.enter(CounterMoved(name="n", value=number))
    return LedgerService(
        queries=spine.queries,
        limits=spine.limits,
        settings_of=spine.sequencer.settings,
        signers=LedgerSigners(NO_SETTINGS, {REGISTRY: spine.signer}, lambda: NO_SETTINGS),
    )


async def checkpoint(service: LedgerService, min_size: int = 0) -> Any:
    """GetCheckpoint."""
    request = pb.GetCheckpointRequest(parent=PARENT, min_size=min_size)
    return await service.GetCheckpoint(request, CONTEXT)


async def test_checkpoint_latest_is_signed_by_the_key_that_is_told(service: LedgerService) -> None:
    """The latest checkpoint verifies, and covers everything that was answered."""
    answer = await checkpoint(service)
    opened = open_checkpoint(answer.checkpoint.note, answer.vkey)
    assert (opened.origin, opened.size, opened.root) == (ORIGIN, 7, answer.checkpoint.root)


async def test_checkpoint_first_that_covers_a_size(service: LedgerService) -> None:
    """Asked for a size, the answer is the first checkpoint of at least that size."""
    assert (await checkpoint(service, 3)).checkpoint.size == 3
    with pytest.raises(Refusal) as caught:
        await checkpoint(service, 8)
    assert caught.value.reason == "LEDGER_RANGE"


async def test_entries_are_listed_in_order_and_prove_themselves(service: LedgerService) -> None:
    """Every entry comes once, in order, chained to the one before, and is in the tree by its proof."""
    entries: list[Any] = []
    token = ""
    for _ in range(5):
        request = pb.ListEntriesRequest(parent=PARENT, page_size=3, page_token=token)
        page = await service.ListEntries(request, CONTEXT)
        entries += page.entries
        token = page.next_page_token
        if not token:
            break
    assert [e.index for e in entries] == list(range(7))
    root = (await checkpoint(service)).checkpoint.root
    for before, entry in zip([None, *entries], entries, strict=False):
        if before is not None:
            assert parse_entry(entry.entry).previous_hash == leaf_hash(before.entry)
        request = pb.GetInclusionProofRequest(parent=PARENT, index=entry.index)
        proof = await service.GetInclusionProof(request, CONTEXT)
        assert proof.entry_hash == leaf_hash(entry.entry)
        verify_inclusion(entry.index, 7, proof.entry_hash, list(proof.hashes), root)


async def test_entries_from_an_index_and_at_the_end(service: LedgerService) -> None:
    """A list may begin anywhere in the published ledger; at its end it is empty, without a token."""
    page = await service.ListEntries(pb.ListEntriesRequest(parent=PARENT, start_index=5), CONTEXT)
    assert [e.index for e in page.entries] == [5, 6]
    page = await service.ListEntries(pb.ListEntriesRequest(parent=PARENT, start_index=7), CONTEXT)
    assert (len(page.entries), page.next_page_token) == (0, "")
    with pytest.raises(PageTokenInvalid):
        await service.ListEntries(pb.ListEntriesRequest(parent=PARENT, page_token="bad"), CONTEXT)


async def test_trees_of_two_sizes_are_consistent(service: LedgerService) -> None:
    """The proof between two published sizes verifies against their roots."""
    old = (await checkpoint(service, 3)).checkpoint
    new = (await checkpoint(service)).checkpoint
    request = pb.GetConsistencyProofRequest(parent=PARENT, old_size=old.size)
    proof = await service.GetConsistencyProof(request, CONTEXT)
    assert (proof.new_size, proof.checkpoint.note) == (new.size, new.note)
    verify_consistency(old.size, old.root, new.size, new.root, list(proof.hashes))


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, index=7)),
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, index=-1)),
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, index=2, tree_size=2)),
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, tree_size=8)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(parent=PARENT)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(parent=PARENT, old_size=5, new_size=4)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(parent=PARENT, old_size=5, new_size=8)),
        ("ListEntries", pb.ListEntriesRequest(parent=PARENT, start_index=8)),
        ("ListEntries", pb.ListEntriesRequest(parent=PARENT, start_index=-1)),
        ("GetCheckpoint", pb.GetCheckpointRequest(parent=PARENT, min_size=-1)),
        ("GetCheckpoint", pb.GetCheckpointRequest(parent=PARENT, min_size=2**63 - 1)),
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, index=2**63 - 1)),
        ("GetInclusionProof", pb.GetInclusionProofRequest(parent=PARENT, tree_size=-1)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(parent=PARENT, old_size=-1)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(parent=PARENT, old_size=1, new_size=-1)),
        ("ListEntries", pb.ListEntriesRequest(parent=PARENT, start_index=2**63 - 1)),
        ("GetCheckpoint", pb.GetCheckpointRequest(parent=PARENT, min_size=1, cosigned=True)),
        ("GetCheckpoint", pb.GetCheckpointRequest(parent=PARENT, cosigned=True)),
    ],
)
async def test_what_is_not_published_is_out_of_range(
    service: LedgerService, method: str, request_: Any
) -> None:
    """Beyond the published ledger there is nothing to prove: LEDGER_RANGE."""
    with pytest.raises(Refusal) as caught:
        await getattr(service, method)(request_, CONTEXT)
    assert caught.value.reason == "LEDGER_RANGE"


async def test_registry_unknown_is_told(service: LedgerService) -> None:
    """A registry that is not served here is REGISTRY_NOT_FOUND."""
    with pytest.raises(Refusal) as caught:
        await service.GetCheckpoint(pb.GetCheckpointRequest(parent="registries/nowhere"), CONTEXT)
    assert caught.value.reason == "REGISTRY_NOT_FOUND"
