"""LedgerClient: reading the public chain, for auditors and anybody who keeps watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.client.errors import InputError, ReceiptInvalid
from gateway.client.receipt import verify_receipt
from gateway.client.session import Session
from gateway.pb.diya.v1 import ledger_service_pb2 as pb
from gateway.pb.diya.v1 import outcome_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entry import Entry
from ledger.errors import CheckpointError
from ledger.hashing import leaf_hash


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint signed by a trusted key. note: its exact bytes."""

    checkpoint: Checkpoint
    note: bytes
    wire: outcome_pb2.Checkpoint


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that an inclusion proof ties to a signed checkpoint. data: its exact bytes. erased_by: the entry that
    erased its evidence, as the gateway says; None while that is kept.
    """

    entry: Entry
    data: bytes
    checkpoint: Checkpoint
    erased_by: int | None = None


class LedgerClient:
    """Checkpoints and entries of one registry, verified."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = LedgerServiceStub(session.connection.channel)

    async def checkpoint(self, min_size: int = 0) -> VerifiedCheckpoint:
        """The latest checkpoint, or the first of at least `min_size` entries.

        Raises RequestError, ReceiptInvalid (checks 2 and 3).
        """
        response = await self._session.call(
            self._stub.GetCheckpoint,
            pb.GetCheckpointRequest(parent=self._session.parent, min_size=min_size),
        )
        wire = response.checkpoint
        return VerifiedCheckpoint(self._open(wire.note), wire.note, wire)

    async def entry(self, index: int) -> VerifiedEntry:
        """One entry with its proof, under the latest checkpoint. Raises RequestError,
        ReceiptInvalid; InputError where the published ledger ends before `index`.
        """
        latest = await self.checkpoint()
        size = latest.checkpoint.size
        if not 0 <= index < size:
            raise InputError(
                f"there is no entry {index}: the published ledger has the entries 0 to {size - 1}",
                f"没有第 {index} 号记录：已发布的账本只有第 0 至 {size - 1} 号记录",
            )
        async for one in self.entries(index, page_size=1):
            data = one.entry
            erased_by = one.erased_by or None
            break
        else:
            raise ReceiptInvalid(6, f"entry {index} did not come", f"没有收到第 {index} 号记录")
        proof = await self._session.call(
            self._stub.GetInclusionProof,
            pb.GetInclusionProofRequest(parent=self._session.parent, index=index, tree_size=size),
        )
        verified = verify_receipt(
            outcome_pb2.Receipt(
                registry=self._session.registry,
                origin=latest.checkpoint.origin,
                index=index,
                entry=data,
                entry_hash=leaf_hash(data),
                checkpoint=latest.note,
                inclusion_proof=proof.hashes,
            ),
            None,
            self._session.trust,
        )
        return VerifiedEntry(verified.entry, data, verified.checkpoint, erased_by)

    async def entries(self, start_index: int = 0, *, page_size: int = 0) -> AsyncIterator[pb.LedgerEntry]:
        """Entries from `start_index` to the end of the published ledger. Raises RequestError."""
        request = pb.ListEntriesRequest(
            parent=self._session.parent, start_index=start_index, page_size=page_size
        )
        while True:
            page = await self._session.call(self._stub.ListEntries, request)
            for one in page.entries:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _open(self, note: bytes) -> Checkpoint:
        problem: CheckpointError | None = None
        for vkey in self._session.trust.vkeys(self._session.registry):
            try:
                checkpoint = open_checkpoint(note, vkey)
            except CheckpointError as error:
                problem = error
                continue
            if checkpoint.origin == vkey.split("+", 1)[0]:
                return checkpoint
        raise ReceiptInvalid(
            3, str(problem or "no verifier key is trusted"), "检查点签名无效或者没有受信任的公钥"
        )
