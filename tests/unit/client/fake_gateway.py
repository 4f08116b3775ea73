"""Servicers that answer as the contract says, on a little ledger, and fail where a test tells them
to.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.pb.diya.v1 import (
    application_pb2,
    envelope_pb2,
    file_pb2,
    file_service_pb2,
    file_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    outcome_pb2,
    registration_service_pb2,
    registration_service_pb2_grpc,
)
from ledger.entry import parse_entry
from signing.envelope import Envelope
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger


def refusal(
    code: int,
    reason: str,
    *,
    message: str = "中文 / English",
    retry_seconds: float | None = None,
    violations: tuple[tuple[str, str], ...] = (),
    metadata: dict[str, str] | None = None,
) -> status_pb2.Status:
    """A status as the gateway makes it."""
    status = status_pb2.Status(code=code, message=message)
    if violations:
        bad = error_details_pb2.BadRequest()
        for field, description in violations:
            bad.field_violations.add(field=field, description=description)
        status.details.add().Pack(bad)
    if retry_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(int(retry_seconds * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    info = error_details_pb2.ErrorInfo(reason=reason, domain="diya.cn", metadata=metadata or {})
    status.details.add().Pack(info)
    return status


OVERLOADED = refusal(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.5)


async def abort(context: Any, status: status_pb2.Status) -> None:
    """End a call with a status."""
    await context.abort_with_status(rpc_status.to_status(status))


class FakeRegistration(registration_service_pb2_grpc.RegistrationServiceServicer):
    """Books every mortgage. failures: statuses that answer the first calls of SubmitMortgage."""

    def __init__(self, ledger: SampleLedger) -> None:
        self.ledger = ledger
        self.failures: list[status_pb2.Status] = []
        self.requests: list[bytes] = []
        self.result = outcome_pb2.OUTCOME_RESULT_BOOKED
        self.pending = False
        self.taken: dict[str, outcome_pb2.Outcome] = {}
        self.break_after: list[int] = []
        self.most_unanswered = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.events: list[list[int]] = []
        self.watched: list[int] = []

    async def SubmitMortgage(self, request: Any, context: Any) -> Any:
        """Book it, or fail as told."""
        self.requests.append(request.SerializeToString())
        if self.failures:
            await abort(context, self.failures.pop(0))
        return registration_service_pb2.SubmitMortgageResponse(outcome=self.take(request))

    def take(self, request: Any) -> outcome_pb2.Outcome:
        """The answer, the stored one when the request id is known."""
        if request.validate_only:
            return outcome_pb2.Outcome(
                result=outcome_pb2.OUTCOME_RESULT_VALID, validate_only=True, would_be=self.result
            )
        known = self.taken.get(request.request_id)
        if known is not None:
            known.replayed = True
            return known
        outcome = outcome_pb2.Outcome(
            result=self.result,
            application=f"registries/{REGISTRY}/applications/{request.request_id}",
            state=application_pb2.Application.STATE_BOOKED,
        )
        wire: envelope_pb2.Envelope = request.envelope
        index = self.ledger.append_act(Envelope(wire.payload_type, wire.payload, ()), outcome)
        outcome.receipt.CopyFrom(self.ledger.receipt(index))
        if self.pending:
            outcome.receipt.pending = True
            outcome.receipt.checkpoint = b""
            del outcome.receipt.inclusion_proof[:]
        self.taken[request.request_id] = outcome
        return outcome

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        """The receipt under the newest checkpoint."""
        known = self.taken.get(request.request_id)
        if known is None:
            await abort(context, refusal(code_pb2.NOT_FOUND, "RECEIPT_NOT_FOUND"))
            raise AssertionError
        receipt = self.ledger.receipt(known.receipt.index)
        return registration_service_pb2.GetReceiptResponse(receipt=receipt)

    async def SubmitStream(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        """Answer in order, holding back while `hold` is clear; break off after so many answers."""
        unanswered: asyncio.Queue[Any] = asyncio.Queue()

        async def read() -> None:
            async for message in requests:
                self.requests.append(message.mortgage.SerializeToString())
                unanswered.put_nowait(message)
                self.most_unanswered = max(self.most_unanswered, unanswered.qsize())
            unanswered.put_nowait(None)

        reader = asyncio.create_task(read())
        answered = 0
        limit = self.break_after.pop(0) if self.break_after else -1
        try:
            while True:
                if answered == limit:
                    await abort(context, refusal(code_pb2.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=0.1))
                await self.hold.wait()
                message = await unanswered.get()
                if message is None:
                    return
                response = registration_service_pb2.SubmitStreamResponse(correlation=message.correlation)
                if self.failures:
                    response.error.CopyFrom(self.failures.pop(0))
                else:
                    response.outcome.CopyFrom(self.take(message.mortgage))
                answered += 1
                yield response
        finally:
            reader.cancel()

    async def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """The next list of `events` is one stream, 0 a sign of life; an empty list breaks it off,
        the last one ends it.
        """
        self.watched.append(request.after_sequence)
        sequences = self.events.pop(0) if self.events else []
        for sequence in sequences:
            if sequence == 0:
                yield registration_service_pb2.WatchEventsResponse()
                continue
            yield registration_service_pb2.WatchEventsResponse(
                event=outcome_pb2.Event(sequence=sequence), last_sequence=sequence
            )
        if self.events:
            await abort(context, refusal(code_pb2.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=0.1))

    async def ListApplications(self, request: Any, context: Any) -> Any:
        """Two pages."""
        page = int(request.page_token or "0")
        name = f"registries/{REGISTRY}/applications/{page}"
        return registration_service_pb2.ListApplicationsResponse(
            applications=[application_pb2.Application(name=name)],
            next_page_token="1" if page == 0 else "",
        )


class FakeFiles(file_service_pb2_grpc.FileServiceServicer):
    """Keeps files in memory. failures: statuses that cut off the first uploads after their first
    chunk; cut_downloads: downloads to break off after their first chunk.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.uploads = 0
        self.failures: list[status_pb2.Status] = []
        self.cut_downloads = 0
        self.offsets: list[int] = []
        self.lies = False
        self.finds_good = True

    async def GetFile(self, request: Any, context: Any) -> Any:
        """A file that is there."""
        data = self.files.get(request.name)
        if data is None:
            await abort(context, refusal(code_pb2.NOT_FOUND, "FILE_NOT_FOUND"))
            raise AssertionError
        return file_service_pb2.GetFileResponse(file=self._file(request.name, data))

    async def UploadFile(self, requests: Any, context: Any) -> Any:
        """Take an upload, or cut it off as told."""
        self.uploads += 1
        metadata, data = None, b""
        async for message in requests:
            if message.WhichOneof("message") == "metadata":
                metadata = message.metadata
                continue
            data += message.chunk
            if self.failures:
                await abort(context, self.failures.pop(0))
        assert metadata is not None
        assert hashlib.sha256(data).digest() == metadata.sha256
        assert len(data) == metadata.size_bytes
        name = f"{metadata.parent}/files/{metadata.sha256.hex()}"
        self.files[name] = data
        return file_service_pb2.UploadFileResponse(file=self._file(name, data))

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Metadata, then what is left from the offset on, in two chunks."""
        self.offsets.append(request.offset)
        data = self.files[request.name]
        yield file_service_pb2.DownloadFileResponse(file=self._file(request.name, data))
        rest = data[request.offset :]
        middle = max(1, len(rest) // 2)
        for number, chunk in enumerate((rest[:middle], rest[middle:])):
            if number and self.cut_downloads:
                self.cut_downloads -= 1
                await abort(context, refusal(code_pb2.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=0))
            if chunk:
                sent = chunk[::-1] if self.lies else chunk
                yield file_service_pb2.DownloadFileResponse(chunk=sent)

    def _file(self, name: str, data: bytes) -> file_pb2.File:
        return file_pb2.File(
            name=name,
            sha256=hashlib.sha256(data).digest(),
            size_bytes=len(data),
            media_type="application/pdf",
            verdict=file_pb2.FileVerdict(ok=self.finds_good),
        )


class FakeLedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Proofs of the little ledger. proofs: how many consistency proofs were asked for."""

    def __init__(self, ledger: SampleLedger) -> None:
        self.ledger = ledger
        self.proofs = 0
        self.is_down = False

    async def GetConsistencyProof(self, request: Any, context: Any) -> Any:
        """A consistency proof, unless the service is down."""
        self.proofs += 1
        if self.is_down:
            await context.abort(grpc.StatusCode.INTERNAL, "down")
        return ledger_service_pb2.GetConsistencyProofResponse(
            old_size=request.old_size,
            new_size=request.new_size,
            hashes=self.ledger.consistency(request.old_size, request.new_size),
        )

    async def GetCheckpoint(self, request: Any, context: Any) -> Any:
        """The latest checkpoint."""
        return ledger_service_pb2.GetCheckpointResponse(
            checkpoint=outcome_pb2.Checkpoint(note=self.ledger.note())
        )

    async def ListEntries(self, request: Any, context: Any) -> Any:
        """Entries from the start wanted."""
        entries = [
            ledger_service_pb2.LedgerEntry(index=n, entry=data)
            for n, data in enumerate(self.ledger.entries)
            if n >= request.start_index
        ]
        return ledger_service_pb2.ListEntriesResponse(entries=entries[: request.page_size or 100])

    async def GetEntry(self, request: Any, context: Any) -> Any:
        """An entry as a stranger to it is told of it."""
        size = len(self.ledger.entries)
        if not 0 <= request.index < size:
            metadata = {"high": str(size - 1)}
            await abort(context, refusal(code_pb2.OUT_OF_RANGE, "LEDGER_RANGE", metadata=metadata))
        data = self.ledger.entries[request.index]
        withheld = ledger_service_pb2.EntryPart.STATE_WITHHELD
        return ledger_service_pb2.GetEntryResponse(
            entry=ledger_service_pb2.LedgerEntry(index=request.index, entry=data),
            checkpoint=outcome_pb2.Checkpoint(note=self.ledger.note()),
            hashes=self.ledger.receipt(request.index, size).inclusion_proof,
            parts=[
                ledger_service_pb2.EntryPart(name=name, state=withheld)
                for name, _ in parse_entry(data).commitments
            ],
        )

    async def GetInclusionProof(self, request: Any, context: Any) -> Any:
        """The proof that is in a receipt."""
        receipt = self.ledger.receipt(request.index, request.tree_size)
        return ledger_service_pb2.GetInclusionProofResponse(hashes=receipt.inclusion_proof)
