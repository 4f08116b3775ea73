"""LedgerClient: reading the public chain, for auditors and anybody who keeps watch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf import timestamp_pb2

from gateway.client.errors import InputError, ReceiptInvalid, RequestError
from gateway.client.receipt import KEY_CHANGED, OUTCOME_PART, verify_part, verify_progress
from gateway.client.session import Session
from gateway.pb.diya.v1 import ledger_service_pb2 as pb
from gateway.pb.diya.v1 import outcome_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from ledger.checkpoint import Checkpoint, open_checkpoint, signature_names
from ledger.entry import Entry, parse_entry
from ledger.errors import CheckpointError, LedgerError, ProofError
from ledger.hashing import leaf_hash
from ledger.proof import verify_inclusion
from signing.timestamp import Timestamp, verify_token
from signing.trust import TrustStore


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint signed by a trusted key. note: its exact bytes."""

    checkpoint: Checkpoint
    note: bytes
    wire: outcome_pb2.Checkpoint


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that an inclusion proof ties to the latest checkpoint. data: its exact bytes.

    is_consistent: that checkpoint extends the one kept last, or nothing was kept before; False when
    no consistency proof could be had. cosigners: names on the note beside the log's own, not
    checked. states: of each part, SHOWN, WITHHELD or ERASED. contents: of the parts that are
    shown, which the entry commits to. about: what the gateway tells of it, None where we are not
    entitled; only `result` is compared with what was logged. erased_by: the entry that erased its
    evidence, as the gateway says; None while that is kept.
    """

    entry: Entry
    data: bytes
    checkpoint: Checkpoint
    note: bytes
    is_consistent: bool
    cosigners: tuple[str, ...]
    states: dict[str, str]
    contents: dict[str, bytes]
    about: pb.EntryAbout | None
    erased_by: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two checkpoints of one history: the older, the newer, both signed."""

    older: Checkpoint
    newer: Checkpoint


class LedgerClient:
    """Checkpoints and entries of one registry, verified."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = LedgerServiceStub(session.connection.channel)

    async def checkpoint(self, min_size: int = 0, *, cosigned: bool = False) -> VerifiedCheckpoint:
        """The latest checkpoint, or the first of at least `min_size` entries, or the latest that the registry's
        witnesses cosigned; whether they are those of one's own policy is for `verify_quorum` to say.

        Raises RequestError, ReceiptInvalid (checks 2 and 3).
        """
        request = pb.GetCheckpointRequest(parent=self._session.parent, min_size=min_size, cosigned=cosigned)
        response = await self._session.call(self._stub.GetCheckpoint, request)
        wire = response.checkpoint
        return VerifiedCheckpoint(self._open(wire.note), wire.note, wire)

    async def existed_by(
        self, found: VerifiedEntry, trust: TrustStore, at: datetime
    ) -> tuple[Timestamp, int] | None:
        """The time at which an entry is proven to have existed, and the size of the stamped checkpoint that shows it.

        That is the first that covers the entry; it must be of one history with the checkpoint under which the entry was
        proven. trust: whom to believe to tell the time. None where no such checkpoint is stamped yet.

        Raises RequestError, ReceiptInvalid, TimestampInvalid.
        """
        request = pb.GetCheckpointRequest(
            parent=self._session.parent, min_size=found.entry.index + 1, stamped=True
        )
        try:
            wire = (await self._session.call(self._stub.GetCheckpoint, request)).checkpoint
        except RequestError as error:
            if error.reason == "LEDGER_RANGE":
                return None
            raise
        size = self._open(wire.note).size
        await self.compare(wire.note, found.note)
        if size <= found.entry.index:
            raise ReceiptInvalid(
                8,
                f"the stamped checkpoint of {size} entries does not cover it",
                "带时间戳的检查点未覆盖该记录",
            )
        return verify_token(wire.timestamp, wire.note, trust, at), size

    async def entry(self, index: int) -> VerifiedEntry:
        """One entry, proven under the latest checkpoint, with what we may know of it.

        Raises RequestError, ReceiptInvalid; InputError where the published ledger ends before it.
        """
        request = pb.GetEntryRequest(parent=self._session.parent, index=index)
        try:
            told = await self._session.call(self._stub.GetEntry, request)
        except RequestError as error:
            if error.reason == "LEDGER_RANGE" and "high" in error.metadata:
                last = error.metadata["high"]
                raise InputError(
                    f"there is no entry {index}: the published ledger has the entries 0 to {last}",
                    f"没有第 {index} 号记录：已发布的账本只有第 0 至 {last} 号记录",
                ) from error
            raise
        data, note = told.entry.entry, told.checkpoint.note
        receipt = outcome_pb2.Receipt(
            registry=self._session.registry,
            origin=self._open(note).origin,
            index=index,
            entry=data,
            entry_hash=leaf_hash(data),
            checkpoint=note,
            inclusion_proof=told.hashes,
        )
        verified = await self._session.check_receipt(receipt, None)
        assert verified is not None  # it was not said to be pending
        about = told.about if told.HasField("about") else None
        contents = _contents(verified.entry, told.parts)
        _compare_result(contents, about)
        return VerifiedEntry(
            entry=verified.entry,
            data=data,
            checkpoint=verified.checkpoint,
            note=note,
            is_consistent=verified.is_consistent,
            cosigners=tuple(n for n in signature_names(note) if n != verified.checkpoint.origin),
            states={
                one.name: pb.EntryPart.State.Name(one.state).removeprefix("STATE_") for one in told.parts
            },
            contents=contents,
            about=about,
            erased_by=told.entry.erased_by or None,
        )

    async def entries(
        self,
        start_index: int = 0,
        *,
        page_size: int = 0,
        after: datetime | None = None,
        before: datetime | None = None,
        kinds: Sequence[str] = (),
        application: str = "",
        unit_code: str = "",
    ) -> AsyncIterator[pb.LedgerEntry]:
        """Entries from `start_index` on that fit every filter, to the end of the published ledger.

        after, before: aware; of this time or later, and earlier than that. application: name or id.
        Raises RequestError.
        """
        request = pb.ListEntriesRequest(
            parent=self._session.parent,
            start_index=start_index,
            page_size=page_size,
            entered_after=_stamp(after),
            entered_before=_stamp(before),
            kinds=kinds,
            application=application and self._session.name("applications", application),
            unit_code=unit_code,
        )
        async for page in self._session.pages(self._stub.ListEntries, request):
            for one in page.entries:
                yield one

    async def compare(self, one: bytes | int, other: bytes | int) -> Compared:
        """Two checkpoints, each a signed note or the size of a published one, proven to be of one history.

        Raises InputError (no checkpoint of that size was published), RequestError, ReceiptInvalid
        (checks 2, 3 and 8: a fork).
        """
        found = [await self._checkpoint_of(which) for which in (one, other)]
        older, newer = sorted(found, key=lambda checkpoint: checkpoint.size)
        proof: Sequence[bytes] = ()
        if 0 < older.size < newer.size:
            response = await self._session.call(
                self._stub.GetConsistencyProof,
                pb.GetConsistencyProofRequest(
                    parent=self._session.parent, old_size=older.size, new_size=newer.size
                ),
            )
            proof = tuple(response.hashes)
        verify_progress(older, newer, proof)
        return Compared(older, newer)

    async def between(self, compared: Compared) -> AsyncIterator[Entry]:
        """The entries from the older checkpoint to the newer, in order, each named by the next one's hash.

        The last is proven to be in the newer tree: when the iteration ends, all of them are. Raises
        RequestError, ReceiptInvalid (checks 5 and 6).
        """
        stop = compared.newer.size
        index, previous = compared.older.size, None
        if index == stop:
            return
        async for one in self.entries(index, page_size=1000):
            entry = _parse(one, index, compared.newer.origin)
            if previous is not None and entry.previous_hash != previous:
                raise ReceiptInvalid(
                    6, f"entry {index} does not follow the one before", f"第 {index} 号记录与前一记录不相接"
                )
            previous = leaf_hash(one.entry)
            yield entry
            index += 1
            if index == stop:
                break
        if previous is None or index != stop:
            raise ReceiptInvalid(6, f"entry {index} did not come", f"没有收到第 {index} 号记录")
        proof = await self._session.call(
            self._stub.GetInclusionProof,
            pb.GetInclusionProofRequest(parent=self._session.parent, index=stop - 1, tree_size=stop),
        )
        try:
            verify_inclusion(stop - 1, stop, previous, list(proof.hashes), compared.newer.root)
        except ProofError as error:
            raise ReceiptInvalid(5, str(error), "包含证明不成立") from error

    async def _checkpoint_of(self, which: bytes | int) -> Checkpoint:
        if isinstance(which, bytes):
            return self._open(which)
        found = (await self.checkpoint(which)).checkpoint
        if found.size != which:
            raise InputError(
                f"no checkpoint of {which} entries was published; the next one has {found.size}",
                f"没有发布过 {which} 条记录的检查点；其后的检查点有 {found.size} 条",
            )
        return found

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
            3,
            f"{problem or 'no verifier key is trusted'}; {KEY_CHANGED[0]}",
            f"检查点签名无效或者没有受信任的公钥；{KEY_CHANGED[1]}",
        )


def _stamp(instant: datetime | None) -> timestamp_pb2.Timestamp | None:
    if instant is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def _contents(entry: Entry, parts: Sequence[pb.EntryPart]) -> dict[str, bytes]:
    """The contents that are shown, each held against its commitment. Raises ReceiptInvalid (check 7)."""
    names = [name for name, _ in entry.commitments]
    if [part.name for part in parts] != names:
        raise ReceiptInvalid(7, "the parts told are not those of the entry", "所列部分与记录不符")
    shown = [part for part in parts if part.state == pb.EntryPart.STATE_SHOWN]
    for part in shown:
        verify_part(entry, part.name, part.salt, part.content)
    return {part.name: part.content for part in shown}


def _compare_result(contents: dict[str, bytes], about: pb.EntryAbout | None) -> None:
    """Check 9 of what is told: the result is the one that was logged. Raises ReceiptInvalid."""
    if about is None or OUTCOME_PART not in contents:
        return
    try:
        logged = json.loads(contents[OUTCOME_PART])["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReceiptInvalid(9, "the logged answer is no outcome", "账本所记答复无法解析") from error
    came = outcome_pb2.OutcomeResult.Name(about.result).removeprefix("OUTCOME_RESULT_")
    if came != logged:
        raise ReceiptInvalid(
            9, f"we are told {came}, the ledger says {logged}", f"所告知的结果为 {came}，账本所记为 {logged}"
        )


def _parse(wire: pb.LedgerEntry, index: int, origin: str) -> Entry:
    try:
        entry = parse_entry(wire.entry)
    except LedgerError as error:
        raise ReceiptInvalid(6, str(error), "记录格式错误") from error
    if (entry.index, entry.origin) != (index, origin):
        raise ReceiptInvalid(
            6,
            f"the entry is index {entry.index} of {entry.origin!r}, wanted {index} of {origin!r}",
            f"收到的是 {entry.origin} 第 {entry.index} 号记录",
        )
    return entry
