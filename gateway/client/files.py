"""Files up and down: hashed first, skipped when they are there, begun again when they were cut
short.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.client.errors import (
    DownloadInvalid,
    InputError,
    NotFound,
    NotNow,
    ProtocolBroken,
    RequestError,
)
from gateway.client.local_files import not_read, not_written
from gateway.client.manifest import file_reference
from gateway.client.session import Session, translated
from gateway.pb.diya.v1 import envelope_pb2, file_pb2, file_service_pb2
from gateway.pb.diya.v1.file_service_pb2_grpc import FileServiceStub

CHUNK_BYTES: Final = 256 * 1024
"""One message of an upload. The contract allows 1 MiB; smaller ones keep a gateway's memory
flat.
"""
SIGNATURE: Final = "application/pkcs7-signature"
MEDIA_TYPES: Final = {
    ".pdf": "application/pdf",
    ".ofd": "application/ofd",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".xml": "application/xml",
    ".p7s": SIGNATURE,
    ".sig": SIGNATURE,
}
_BEGIN_AGAIN: Final = frozenset({"UPLOAD_STALLED", "UPLOAD_INCOMPLETE"})

ProgressCallback = Callable[[int, int], None]
"""(bytes done, bytes in all); begins at 0 again when a transfer is begun again."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that the gateway has, with the verdict of its check. sha256: 32 bytes. signs: the same of the file that
    it is a detached signature over, empty for every other file.
    """

    sha256: bytes
    size_bytes: int
    file: file_pb2.File
    signs: bytes = b""

    @property
    def problems(self) -> tuple[file_pb2.FileProblem, ...]:
        """What the check found wrong; such a file is kept, and is C-FILE as a paper."""
        return tuple(self.file.verdict.problems)

    def as_paper(
        self,
        paper_code: str,
        *,
        readers: tuple[str, ...] = (),
        operations: tuple[int, ...] = (),
        parties: tuple[str, ...] = (),
    ) -> envelope_pb2.FileReference:
        """This file as a paper of a manifest; see `manifest.file_reference`."""
        return file_reference(
            paper_code,
            self.sha256,
            self.size_bytes,
            readers=readers,
            operations=operations,
            parties=parties,
            signs=self.signs,
        )


class FileTransfer:
    """Uploads and downloads of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = FileServiceStub(session.connection.channel)

    async def upload(
        self,
        path: Path,
        *,
        media_type: str = "",
        signs: bytes = b"",
        progress: ProgressCallback | None = None,
    ) -> UploadedFile:
        """Upload one file, or find that it is there. media_type: by the suffix when empty. signs: of a detached
        signature, SHA-256 of the file that it is over, uploaded before.

        Raises InputError (no such file, unknown kind), RequestError.
        """
        media_type = media_type or MEDIA_TYPES.get(path.suffix.lower(), "")
        if not media_type:
            known = " ".join(MEDIA_TYPES)
            raise InputError(
                f"{path}: unknown kind of file; use one of {known}",
                f"{path}：文件类型未知；可用：{known}",
            )
        digest, size = await asyncio.to_thread(hash_file, path)
        present = await self._find(digest)
        # What has a problem is sent again: the gateway says whether it is to be judged anew.
        if present is not None and present.verdict.ok and _said_of(present) == (media_type, signs):
            if progress:
                progress(size, size)
            return UploadedFile(digest, size, present, signs)
        metadata = file_service_pb2.UploadFileMetadata(
            parent=self._session.parent, sha256=digest, size_bytes=size, media_type=media_type, signs=signs
        )

        async def attempt() -> file_service_pb2.UploadFileResponse:
            async with translated() as ending:
                call = self._stub.UploadFile(
                    _messages(metadata, path, progress),
                    timeout=self._session.connection.deadlines.transfer,
                )
                ending.watch(call)
                return await call

        async def beginning_again() -> file_service_pb2.UploadFileResponse:
            try:
                return await attempt()
            except NotNow as error:
                if error.reason in _BEGIN_AGAIN and error.retry_delay is None:
                    error.retry_delay = 0.0
                raise

        response = await self._session.retrying(beginning_again)
        return UploadedFile(digest, size, response.file, signs)

    async def get(self, sha256: bytes, application: str = "") -> file_pb2.File:
        """A file with its verdict. application: name of a case that names it, when somebody else
        uploaded it. Raises RequestError.
        """
        response = await self._session.call(
            self._stub.GetFile,
            file_service_pb2.GetFileRequest(
                name=self._session.name("files", sha256.hex()), application=application
            ),
        )
        return response.file

    async def download(
        self,
        sha256: bytes,
        to: Path,
        *,
        application: str = "",
        progress: ProgressCallback | None = None,
    ) -> file_pb2.File:
        """Download a file to `to`, whose bytes are compared with `sha256` before it appears there.

        Raises DownloadInvalid, RequestError.
        """
        name = self._session.name("files", sha256.hex())
        described: list[file_pb2.File] = []

        async def chunks(offset: int) -> AsyncIterator[bytes]:
            call = self._stub.DownloadFile(
                file_service_pb2.DownloadFileRequest(name=name, application=application, offset=offset),
                timeout=self._session.connection.deadlines.transfer,
            )
            async for message in call:
                if message.WhichOneof("message") == "file":
                    described[:] = [message.file]
                else:
                    yield message.chunk

        def expected() -> tuple[bytes, int]:
            return sha256, described[0].size_bytes if described else 0

        await receive(self._session, name, to, chunks, expected, progress)
        return described[0]

    async def _find(self, digest: bytes) -> file_pb2.File | None:
        try:
            return await self.get(digest)
        except NotFound:
            return None


def hash_file(path: Path) -> tuple[bytes, int]:
    """(SHA-256, size in bytes) of a file. Raises InputError when it cannot be read or is empty."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            size = file.tell()
    except OSError as error:
        raise not_read(path, error) from error
    if size == 0:
        raise InputError(
            f"{path} is empty; name the signed paper itself", f"{path} 是空文件；请指定已签署的材料文件"
        )
    return digest, size


Chunks = Callable[[int], AsyncIterator[bytes]]
"""Offset → the bytes from there on; sets what `expected` tells before its first chunk."""


async def receive(
    session: Session,
    name: str,
    to: Path,
    chunks: Chunks,
    expected: Callable[[], tuple[bytes, int]],
    progress: ProgressCallback | None,
) -> None:
    """Receive into `to`, going on where a cut left off. expected: (SHA-256, size) once they are
    known.

    The bytes go to `<name>.part` first and get their name when the digest holds. Raises
    DownloadInvalid, ProtocolBroken, RequestError, InputError (not to be written there).
    """
    part = to.with_name(to.name + ".part")
    try:
        part.touch()
    except OSError as error:
        raise not_written(to, error) from error
    digest = hashlib.sha256()
    done = 0
    with part.open("wb") as file:

        async def attempt() -> None:
            nonlocal done
            async with translated():
                async for chunk in chunks(done):
                    await asyncio.to_thread(file.write, chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, expected()[1])

        try:
            await session.retrying(attempt)
        except RequestError:
            part.unlink(missing_ok=True)
            raise
    sha256, size = expected()
    if size == 0:
        part.unlink(missing_ok=True)
        raise ProtocolBroken(f"{name}: no metadata came first", f"{name}：缺少元数据")
    if done != size or digest.digest() != sha256:
        part.unlink(missing_ok=True)
        raise DownloadInvalid(
            name,
            f"{done} bytes with SHA-256 {digest.hexdigest()}, declared were {size} with {sha256.hex()}",
            "下载内容的大小或者摘要与声明不符，文件未保留",
        )
    try:
        part.replace(to)
    except OSError as error:  # a folder of that name
        part.unlink(missing_ok=True)
        raise not_written(to, error) from error


def _said_of(file: file_pb2.File) -> tuple[str, bytes]:
    """What a file was uploaded as: its kind, and the file that it is a signature over."""
    return file.media_type, file.verdict.signed_sha256


async def _messages(
    metadata: file_service_pb2.UploadFileMetadata, path: Path, progress: ProgressCallback | None
) -> AsyncIterator[file_service_pb2.UploadFileRequest]:
    """The messages of one upload. A file that changed since it was hashed is refused by the
    gateway.
    """
    yield file_service_pb2.UploadFileRequest(metadata=metadata)
    done = 0
    if progress:
        progress(0, metadata.size_bytes)
    with path.open("rb") as file:  # here and not in a thread: a call that ends meanwhile would leave it open
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield file_service_pb2.UploadFileRequest(chunk=chunk)
            done += len(chunk)
            if progress:
                progress(done, metadata.size_bytes)
