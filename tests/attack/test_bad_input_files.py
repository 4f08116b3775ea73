"""Bad input, files: a refused upload leaves no row, no bytes and nothing in `incoming/`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.client.payloads import envelope_to_wire
from gateway.config import MIB
from gateway.demo.stage import REGISTRAR_KEY
from gateway.pb.diya.v1 import envelope_pb2, file_service_pb2, outcome_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as Pb
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub
from signing.signer import sign_envelope
from tests.support.filing import MANIFEST_TYPE
from tests.support.pdf_files import make_pdf
from tests.support.signed_papers import paper
from tests.support.stage import Town, town_of
from tests.support.wire import Refused, as_stream, until, upload_messages

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID = "INVALID_ARGUMENT"


async def _refused(town: Town, messages: list[Any], reason: str, code: str = INVALID) -> Refused:
    """The refusal of an upload; nothing of it is left."""
    files = town.stub(FileServiceStub, "bank-a")
    refused = await town.refusal(lambda: files.UploadFile(as_stream(messages)), reason, code)
    assert not list((town.gateway.config.storage.files / "incoming").iterdir())
    return refused


async def test_digest_other_than_declared_is_refused(town: Town) -> None:
    """Bytes of another SHA-256 than declared are FILE_DIGEST_MISMATCH; both digests are told."""
    data = paper("digest")
    refused = await _refused(town, upload_messages(data, sha256=bytes(32)), "FILE_DIGEST_MISMATCH")
    assert refused.metadata == {"declared": "00" * 32, "received": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("difference", [-1, 1], ids=["more-than-declared", "less-than-declared"])
async def test_size_other_than_declared_is_refused(town: Town, difference: int) -> None:
    """More or fewer bytes than declared are FILE_SIZE_MISMATCH."""
    data = paper("size")
    messages = upload_messages(data, size_bytes=len(data) + difference)
    refused = await _refused(town, messages, "FILE_SIZE_MISMATCH")
    assert refused.metadata["declared"] == str(len(data) + difference)


async def test_file_over_the_limit_is_refused_before_its_bytes(town: Town) -> None:
    """A file over 20 MiB is FILE_TOO_LARGE as soon as it is declared; the limit is named."""
    messages = upload_messages(b"%PDF-", size_bytes=20 * MIB + 1)
    refused = await _refused(town, messages[:1], "FILE_TOO_LARGE")
    assert refused.metadata == {"bytes": str(20 * MIB + 1), "limit": str(20 * MIB)}


async def test_file_that_outgrows_its_declaration_is_refused(town: Town) -> None:
    """Declaring little and sending a lot does not get past the limit: FILE_SIZE_MISMATCH at the first byte over."""
    messages = upload_messages(b"x" * (2 * MIB), size_bytes=1024)
    await _refused(town, messages, "FILE_SIZE_MISMATCH")


async def test_sender_in_the_middle_of_a_large_upload_is_told_why_it_was_refused(town: Town) -> None:
    """A client held up in writing when its call ends would learn of a broken write only: it is heard out first."""
    messages = upload_messages(b"x" * (16 * MIB), size_bytes=1024)
    for _ in range(5):
        await _refused(town, messages, "FILE_SIZE_MISMATCH")


@pytest.mark.parametrize(
    "metadata",
    [{"sha256": b"short"}, {"size_bytes": 0}, {"size_bytes": -5}, {"media_type": "text/html"}],
    ids=["digest", "empty", "negative", "media-type"],
)
async def test_metadata_malformed_is_refused(town: Town, metadata: dict[str, Any]) -> None:
    """Metadata that cannot be are FIELD_INVALID, at their path."""
    refused = await _refused(town, upload_messages(b"x", **metadata), "FIELD_INVALID")
    assert refused.violations[0][0] == f"metadata.{next(iter(metadata))}"


async def test_upload_without_metadata_is_refused(town: Town) -> None:
    """A stream that begins with a chunk names no registry, in which a caller could be known."""
    await _refused(town, upload_messages(b"x")[1:], "FIELD_INVALID", "INVALID_ARGUMENT")


async def test_second_metadata_is_refused(town: Town) -> None:
    """Only chunks follow the metadata."""
    messages = upload_messages(paper("twice"))
    await _refused(town, [messages[0], messages[0]], "FIELD_INVALID")


async def test_upload_cut_short_leaves_nothing(town: Town) -> None:
    """A stream that ends before all was sent is FILE_SIZE_MISMATCH, and the next upload begins anew."""
    data = paper("cut short")
    half = upload_messages(data, chunk_bytes=len(data) // 2)[:2]
    await _refused(town, half, "FILE_SIZE_MISMATCH")
    file = await town.upload(data)
    assert file.size_bytes == len(data)


async def test_upload_cancelled_leaves_nothing(town: Town) -> None:
    """A client that goes away in the middle leaves nothing in `incoming/`."""
    data = paper("cancelled")
    incoming = town.gateway.config.storage.files / "incoming"
    before = town.footprint()
    written = asyncio.Event()

    async def half() -> AsyncIterator[Any]:
        for message in upload_messages(data, chunk_bytes=len(data) // 2)[:2]:
            yield message
        written.set()
        await asyncio.Event().wait()

    call = town.stub(FileServiceStub, "bank-a").UploadFile(half())
    waiting = asyncio.ensure_future(call)
    await written.wait()
    await until(lambda: any(p.stat().st_size for p in incoming.iterdir()))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not list(incoming.iterdir()))
    assert town.footprint() == before


@pytest.mark.parametrize("sent", [0, 1, 2], ids=["nothing-sent", "after-metadata", "after-a-chunk"])
async def test_upload_stalled_is_ended(own_folder: Path, sent: int) -> None:
    """An upload in which nothing comes for the idle limit is UPLOAD_STALLED, wherever it stalls."""
    async with town_of(own_folder, upload_idle_seconds_max=0.2) as town:
        data = paper("stalled")
        messages = upload_messages(data, chunk_bytes=len(data) // 2)[:sent]

        async def stalls() -> AsyncIterator[Any]:
            for message in messages:
                yield message
            await asyncio.Event().wait()

        call = None

        async def upload() -> Any:
            nonlocal call
            call = town.stub(FileServiceStub, "bank-a").UploadFile(stalls())
            return await call

        refused = await town.refusal(upload, "UPLOAD_STALLED", "ABORTED")
        assert not sent or refused.retry_seconds is not None
        assert not list((town.gateway.config.storage.files / "incoming").iterdir())


async def test_case_over_the_limit_is_refused(town: Town) -> None:
    """A case whose files together declare over 200 MiB is CASE_FILES_TOO_LARGE; the limit is named."""
    filing = town.mortgage()
    filing.references = [
        envelope_pb2.FileReference(sha256=bytes([n]) * 32, size_bytes=20 * MIB, paper_code="TITLE")
        for n in range(11)
    ]
    refused = await filing.refused("CASE_FILES_TOO_LARGE", INVALID)
    assert refused.metadata == {"bytes": str(220 * MIB), "limit": str(200 * MIB)}


async def test_message_over_the_limit_is_refused(town: Town) -> None:
    """A message over 6 MiB is MESSAGE_TOO_LARGE, before anything reads it; the limit is named."""
    filing = town.mortgage()
    request = filing.request()
    request.sections.add(name="loan", content=bytes(6 * MIB))
    refused = await filing.refused("MESSAGE_TOO_LARGE", "RESOURCE_EXHAUSTED", request)
    assert refused.metadata == {"bytes": str(request.ByteSize()), "limit": str(6 * MIB)}


async def test_message_over_the_limit_ends_a_stream(town: Town) -> None:
    """In a stream it ends the stream, and what came before it is answered."""
    messages = [Pb.SubmitStreamRequest(correlation=n, mortgage=town.mortgage().request()) for n in (1, 2)]
    messages[1].mortgage.sections.add(name="loan", content=bytes(6 * MIB))
    answers = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for answer in town.registration("bank-a").SubmitStream(as_stream(messages)):
            answers.append(answer.correlation)
    assert answers == [1]
    assert Refused.of(caught.value).reason == "MESSAGE_TOO_LARGE"


async def test_payload_of_the_limit_is_taken(town: Town) -> None:
    """4 MiB of payload, what the contract allows, arrive and are decided; a byte more is ENVELOPE_MALFORMED."""
    filing = await town.mortgage().sign().upload()
    manifest = filing.manifest().SerializeToString(deterministic=True)
    signer = town.key("bank-a").signer()
    for more, taken in ((1, False), (0, True)):
        room = 4 * MIB - len(manifest) - 6 + more
        unread = b"\xa2\x06" + _varint(room) + bytes(room)  # field 100, which no reader knows
        envelope = sign_envelope(MANIFEST_TYPE, (manifest + unread)[: 4 * MIB], [signer])
        wire = envelope_to_wire(envelope)
        wire.payload = manifest + unread
        assert len(wire.payload) == 4 * MIB + more
        if taken:
            assert (await filing.send(filing.request(wire))).result == outcome_pb2.OUTCOME_RESULT_BOOKED
        else:
            await filing.refused("ENVELOPE_MALFORMED", INVALID, filing.request(wire))


def _varint(value: int) -> bytes:
    """Four bytes of a number between 2 MiB and 256 MiB."""
    return bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14 & 127 | 128, value >> 21])


async def test_chunk_over_the_limit_is_refused(town: Town) -> None:
    """A chunk of one byte too many is MESSAGE_TOO_LARGE, and nothing is left."""
    messages = upload_messages(b"x" * (MIB + 1), chunk_bytes=MIB + 1)
    await _refused(town, messages, "MESSAGE_TOO_LARGE", "RESOURCE_EXHAUSTED")


async def test_chunk_of_the_limit_is_taken(town: Town) -> None:
    """What the contract allows, 1 MiB, goes through with its framing."""
    data = paper("two whole chunks").ljust(2 * MIB, b"\n")
    response = await town.stub(FileServiceStub, "bank-a").UploadFile(
        as_stream(upload_messages(data, chunk_bytes=MIB))
    )
    assert response.file.size_bytes == len(data)


async def test_message_beyond_the_transport_leaves_nothing(town: Town) -> None:
    """What is larger still ends at the transport, which knows no reason."""
    messages = upload_messages(b"x" * (9 * MIB), chunk_bytes=9 * MIB)
    before = town.footprint()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await town.stub(FileServiceStub, "bank-a").UploadFile(as_stream(messages))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await until(lambda: town.footprint() == before)


# -- reading -------------------------------------------------------------------------------------------------------


async def test_file_of_somebody_else_and_unknown_file_are_one_answer(town: Town) -> None:
    """A digest is no ticket: a file that the caller did not upload and one that does not exist answer alike."""
    file = await town.upload(paper("private"))
    answers = []
    for name in (file.name, f"registries/jiangyin/files/{'0' * 64}"):
        for method, request in (
            ("GetFile", file_service_pb2.GetFileRequest(name=name)),
            ("DownloadFile", file_service_pb2.DownloadFileRequest(name=name)),
        ):
            files = town.stub(FileServiceStub, "bank-b")

            async def call(method: str = method, request: Any = request, files: Any = files) -> None:
                if method == "GetFile":
                    await files.GetFile(request)
                else:
                    async for _ in files.DownloadFile(request):
                        pass

            answers.append(await town.refusal(call, "FILE_NOT_FOUND", "NOT_FOUND"))
    assert len({a.status.SerializeToString(deterministic=True) for a in answers if a.status}) == 1


async def test_file_of_no_case_is_not_for_registrars(town: Town) -> None:
    """What no case names is the uploader's alone: a registrar does not read it either."""
    file = await town.upload(paper("of no case"))
    files = town.stub(FileServiceStub, REGISTRAR_KEY)
    request = file_service_pb2.GetFileRequest(name=file.name)
    await town.refusal(lambda: files.GetFile(request), "FILE_NOT_FOUND", "NOT_FOUND")


async def test_digest_already_known_is_not_shared(town: Town) -> None:
    """Uploading what another bank has already uploaded asks for the bytes: knowing a digest gives nothing away."""
    data = paper("known to bank A")
    await town.upload(data)
    messages = upload_messages(data)[:1]
    files = town.stub(FileServiceStub, "bank-b")
    await town.refusal(lambda: files.UploadFile(as_stream(messages)), "FILE_SIZE_MISMATCH", INVALID)


async def test_checking_process_that_dies_under_load_costs_nobody_an_upload(own_folder: Path) -> None:
    """While uploads come in, one hostile, every checking process is killed in the middle of its work again and again:
    all uploads are answered, the good ones with a good verdict, the hostile one with a problem of its own.
    """
    async with town_of(own_folder, check_workers=2) as town:
        hostile = make_pdf(page=b"/X<" + b"00" * (MIB // 2) + b">/AA<<>>")  # busy for a while, then refused
        papers = [paper(f"under fire {number}") for number in range(12)]
        uploads = [asyncio.ensure_future(town.upload(data)) for data in (hostile, *papers)]
        checker = town.gateway._checker
        killed: set[int] = set()
        while not all(upload.done() for upload in uploads):
            for worker in list(checker._alive):
                if worker.is_alive() and worker._process.pid not in killed and len(killed) < 4:
                    killed.add(worker._process.pid)
                    worker.kill()
            await asyncio.wait(uploads, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        assert len(killed) == 4
        refused, *taken = [upload.result() for upload in uploads]
        assert not refused.verdict.ok
        assert {problem.code for problem in refused.verdict.problems} <= {
            "FILE_ACTIVE_CONTENT",
            "FILE_CHECK_LIMIT",
        }
        assert [file.verdict.ok for file in taken] == [True] * len(papers)
        assert (await town.upload(paper("after the fire"))).verdict.ok
