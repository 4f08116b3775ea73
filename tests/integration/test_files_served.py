"""Uploads over a real gRPC server, checked by real checking processes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.pb.diya.v1 import file_service_pb2, file_service_pb2_grpc
from gateway.rpc.files import FileService
from gateway.rpc.guard import Guard
from gateway.rpc.rights import Caller, CallerKind
from signing.checking import FileChecker
from signing.trust import TrustStore
from tests.support.pdf_files import make_pdf
from tests.support.pki import BANK_USCC
from tests.support.spine import PARENT, REGISTRY, Spine

pb = file_service_pb2


class _OneCaller:
    """Whoever connects is the first bank."""

    def check_registry(self, registry: str) -> None:
        """Every registry is here."""

    def of(self, context: Any, registry: str) -> Caller:
        """The bank."""
        return Caller(CallerKind.INSTITUTION, BANK_USCC)


@asynccontextmanager
async def served(spine: Spine) -> AsyncIterator[Any]:
    """The servicer behind the guard on a local port."""
    limits = spine.limits.model_copy(update={"upload_idle_seconds_max": 0.3})
    async with FileChecker(TrustStore({}), now=spine.clock, workers=1) as checker:
        service = FileService(
            **spine.shared, files=spine.files, checker=checker, trust_of=spine.trust, limits=limits
        )
        server = grpc.aio.server()
        guard = Guard(server, _OneCaller(), call_seconds_max=10)
        guard.register(file_service_pb2_grpc.add_FileServiceServicer_to_server, service)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield file_service_pb2_grpc.FileServiceStub(channel)
        await server.stop(None)


def messages(data: bytes, *, declared: bytes | None = None) -> list[pb.UploadFileRequest]:
    """An upload of `data` under the digest of `declared`."""
    metadata = pb.UploadFileMetadata(
        parent=PARENT,
        sha256=hashlib.sha256(declared or data).digest(),
        size_bytes=len(data),
        media_type="application/pdf",
    )
    sent = [pb.UploadFileRequest(metadata=metadata)]
    return sent + [pb.UploadFileRequest(chunk=data[at : at + 200]) for at in range(0, len(data), 200)]


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in an answer's ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


@pytest.mark.slow
async def test_upload_is_checked_by_a_process_and_downloaded_again(spine: Spine) -> None:
    """A PDF goes up, is judged by a checking process, and comes down byte for byte."""
    data = make_pdf()
    async with served(spine) as files:
        up = await files.UploadFile(iter(messages(data)))
        assert (up.file.verdict.ok, up.file.verdict.pages) == (True, 1)
        again = await files.UploadFile(iter(messages(data)[:1]))
        assert again.already_present
        down = [m async for m in files.DownloadFile(pb.DownloadFileRequest(name=up.file.name))]
        assert b"".join(m.chunk for m in down[1:]) == data


@pytest.mark.slow
async def test_upload_that_fails_or_is_given_up_leaves_nothing(spine: Spine) -> None:
    """Other bytes, a sender who stalls and one who hangs up: each ends, and the store is as before."""
    data = make_pdf()
    incoming = spine.folder / "files" / "incoming"
    async with served(spine) as files:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await files.UploadFile(iter(messages(data, declared=data + b"x")))
        assert reason_of(caught.value) == "FILE_DIGEST_MISMATCH"

        stalled = files.UploadFile()
        for message in messages(data)[:3]:
            await stalled.write(message)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stalled
        assert reason_of(caught.value) == "UPLOAD_STALLED"

        hung_up = files.UploadFile()
        for message in messages(data)[:3]:
            await hung_up.write(message)
        async with asyncio.timeout(10):
            while not list(incoming.iterdir()):
                await asyncio.sleep(0)
            hung_up.cancel()
            while list(incoming.iterdir()):
                await asyncio.sleep(0)
    assert [p for p in (spine.folder / "files").rglob("*") if p.is_file()] == []
    assert await spine.queries.file(REGISTRY, BANK_USCC, hashlib.sha256(data).hexdigest()) is None
