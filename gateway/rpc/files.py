"""FileService: files up and down. A file is stored under its uploader's name space: a digest is no ticket.

An upload is received into the store's `incoming` folder, checked there, and only then kept under its digest
and entered in the `file` table; whatever ends it before that leaves nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec
from sqlalchemy import Connection, delete, insert

from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application, FileReference
from gateway.config import Limits
from gateway.pb.diya.v1 import codes_pb2, file_pb2, file_service_pb2, file_service_pb2_grpc
from gateway.register.identifiers import mask
from gateway.rpc.decode import decode_manifest
from gateway.rpc.encode import timestamp
from gateway.rpc.errors import Refusal
from gateway.rpc.file_checks import MEDIA_TYPES, SIGNATURE, Checker, FileChecks, may_be_judged_again
from gateway.rpc.guard import caller_now
from gateway.rpc.names import check_registry, malformed, registry_in, split_name
from gateway.rpc.receiving import first_message, receive, to_the_end
from gateway.rpc.rights import Caller, CallerKind
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.storage import tables as t
from gateway.storage.files import FileStore, Incoming
from gateway.storage.queries import Queries
from gateway.storage.working import Row, instant
from ledger.errors import PartKeyMissingError
from signing.envelope import split_pae
from signing.errors import CheckerUnavailable
from signing.indication import Result, result_of, result_of_all
from signing.trust import TrustStore
from signing.verdict import FileProblem, FileVerdict, SignatureVerdict

_pb = file_service_pb2

_DIGEST_BYTES: Final = 32
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID_KINDS: Final = {
    "IDC": codes_pb2.ID_KIND_RESIDENT_ID,
    "PAS": codes_pb2.ID_KIND_PASSPORT,
    "NTR": codes_pb2.ID_KIND_USCC,
}

_encode = msgspec.json.Encoder().encode
_decode_verdict = msgspec.json.Decoder(FileVerdict).decode


class FileService(file_service_pb2_grpc.FileServiceServicer):
    """Servicer for the files of institutions; registrars read those of cases."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        files: FileStore,
        checker: Checker,
        trust_of: Callable[[str], TrustStore],
        limits: Limits,
        clock: Callable[[], dt.datetime],
        is_going: Callable[[Row], bool] = lambda _row: False,
    ) -> None:
        """`is_going` tells of a file's row whether it goes with a case that was erased (gateway/rounds/eraser.py)."""
        self._sequencer = sequencer
        self._queries = queries
        self._files = files
        self._trust_of = trust_of
        self._limits = limits
        self._clock = clock
        self._is_going = is_going
        self._checks = FileChecks(checker)

    # -- up ----------------------------------------------------------------------------------------------

    async def UploadFile(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Receive, check, keep. What this institution uploaded before is answered at once."""
        caller = caller_now.get()
        metadata = await first_message(requests, self._limits.upload_idle_seconds_max)
        registry = registry_in(metadata.parent, "metadata.parent")
        self._check_metadata(registry, metadata)
        sha256 = metadata.sha256.hex()
        signed = await self._signed(registry, caller.id, metadata.signs)
        known = await self._own(registry, caller.id, sha256)
        if known is not None and self._files.has(sha256):
            judged = _decode_verdict(known["verdict"])
            said = (known["media_type"], judged.over)
            if may_be_judged_again(judged) or said != (metadata.media_type, metadata.signs.hex()):
                verdict = await self._check(registry, self._files.path(sha256), metadata.media_type, signed)
                known = {
                    **known,
                    "media_type": metadata.media_type,
                    "pages": verdict.pages,
                    "verdict": _encode(verdict),
                }
                await self._enter(known)
            return _pb.UploadFileResponse(file=self._own_message(known), already_present=True)
        with self._files.write() as incoming:
            await receive(
                requests,
                incoming,
                size_bytes=metadata.size_bytes,
                sha256=sha256,
                idle_seconds=self._limits.upload_idle_seconds_max,
            )
            verdict = await self._check(registry, incoming.path, metadata.media_type, signed)
            row = {
                "registry": registry,
                "institution": caller.id,
                "sha256": sha256,
                "size_bytes": metadata.size_bytes,
                "media_type": metadata.media_type,
                "uploaded_at": instant(self._clock()),
                "pages": verdict.pages,
                "verdict": _encode(verdict),
            }
            await to_the_end(self._keep(incoming, row))
        return _pb.UploadFileResponse(file=self._own_message(row))

    async def _keep(self, incoming: Incoming, row: Row) -> None:
        """Bytes, then row: one step for whoever cancels, so that no bytes stay without their row."""
        await asyncio.to_thread(incoming.keep)
        await self._enter(row)

    def _check_metadata(self, registry: str, metadata: Any) -> None:
        settings = self._sequencer.settings(registry)
        check_registry(registry, settings)
        wrong = Violations()
        if len(metadata.sha256) != _DIGEST_BYTES:
            wrong.add("metadata.sha256", "必须是 32 字节", "must be 32 bytes")
        if metadata.size_bytes < 1:
            wrong.add("metadata.size_bytes", "必须大于零", "must be greater than zero")
        if (metadata.media_type == SIGNATURE) is not (len(metadata.signs) == _DIGEST_BYTES):
            wrong.add(
                "metadata.signs",
                f"{SIGNATURE} 须为被签名文件的 32 字节摘要，其他类型须为空",
                f"must be the 32 bytes of the signed file's digest for {SIGNATURE}, and empty for other types",
            )
        if metadata.media_type not in MEDIA_TYPES:
            kinds = ", ".join(MEDIA_TYPES)
            wrong.add("metadata.media_type", f"须为 {kinds} 之一", f"must be one of {kinds}")
        wrong.refuse_if_any()
        limit = (settings.profile.max_file_bytes if settings.profile else 0) or self._limits.file_bytes_max
        if metadata.size_bytes > limit:
            raise Refusal(
                "FILE_TOO_LARGE",
                f"文件 {metadata.size_bytes} 字节，上限 {limit} 字节；请压缩或者拆分",
                f"the file has {metadata.size_bytes} bytes, the limit is {limit}: shrink or split it",
                {"bytes": str(metadata.size_bytes), "limit": str(limit)},
            )

    async def _signed(self, registry: str, institution: str, sha256: bytes) -> Path | None:
        """The file that a detached signature is over, which its sender uploaded before."""
        if not sha256:
            return None
        digest = sha256.hex()
        if await self._queries.file(registry, institution, digest) is None or not self._files.has(digest):
            raise Refusal(
                "FILE_NOT_FOUND",
                "没有找到被签名的文件；请先上传该文件，再上传其签名",
                "the file that the signature is over is not there: upload it first, then its signature",
            )
        return self._files.path(digest)

    async def _check(
        self, registry: str, path: Path, media_type: str, signed: Path | None = None
    ) -> FileVerdict:
        """The verdict on a file that lies at `path`; `signed`: the file that it is a detached signature over."""
        trust, now = self._trust_of(registry), self._clock()
        try:
            return await self._checks.check(path, media_type, trust, now, signed)
        except CheckerUnavailable as error:
            raise Refusal(
                "OVERLOADED",
                "文件检验暂不可用，文件未保存；请稍后重新上传",
                "files cannot be checked just now and this one was not kept; upload again after the delay",
                retry_seconds=1.0,
            ) from error

    async def _enter(self, row: Row) -> None:
        """Write a file's row through the writer; it is durable when this returns."""

        def work(connection: Connection) -> None:
            if not self._files.has(row["sha256"]):  # the same bytes went just now, from another's name space
                raise Refusal(
                    "UPLOAD_INCOMPLETE", "文件未保存；请重新上传", "the file was not kept: upload it again"
                )
            key = [t.file.c[name] == row[name] for name in ("registry", "institution", "sha256")]
            connection.execute(delete(t.file).where(*key))
            connection.execute(insert(t.file), [row])

        await asyncio.shield(asyncio.wrap_future(self._sequencer.run(work)))

    # -- down --------------------------------------------------------------------------------------------

    async def GetFile(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """A file with its verdict."""
        _, message = await self._readable(request.name, request.application)
        return _pb.GetFileResponse(file=message)

    async def DownloadFile(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """The file's metadata, then its bytes in order."""
        row, message = await self._readable(request.name, request.application)
        check_offset(request.offset, row["size_bytes"])
        yield _pb.DownloadFileResponse(file=message)
        path = self._files.path(row["sha256"])
        async with aclosing(stored_chunks(path, request.offset, self._limits.chunk_bytes_max)) as chunks:
            async for chunk in chunks:
                yield _pb.DownloadFileResponse(chunk=chunk)

    async def _readable(self, name: str, application: str) -> tuple[Row, file_pb2.File]:
        """The file's row if the caller may read it, and what the caller is told of it.

        Unknown files and other people's give the same answer.
        """
        caller = caller_now.get()
        registry, sha256 = split_name(name, "files")
        if not _HEX_DIGEST.fullmatch(sha256):
            raise malformed(
                "name", "摘要须为 64 位小写十六进制", "the digest must be 64 lower-case hex digits"
            )
        if caller.kind is CallerKind.REGISTRAR:
            row = await self._of_registry(registry, sha256, application)
        elif application:
            case = await self._case(registry, application, caller)
            row = await self._of_case(registry, sha256, case, caller)
        else:
            row = await self._own(registry, caller.id, sha256)
        if row is None or not self._files.has(sha256):
            raise Refusal(
                "FILE_NOT_FOUND",
                "没有该文件，或者您无权查看；他人上传的文件须经其所在的申请查询",
                "no such file, or it is not yours to read: of others' files, name the application",
            )
        if row["institution"] == caller.id and not application:
            return row, self._own_message(row)
        whole = caller.kind is CallerKind.REGISTRAR or row["institution"] == caller.id
        return row, file_message(row, whole=whole)

    def _own_message(self, row: Row) -> file_pb2.File:
        """A file as its uploader is told of it: with the instant after which it goes if no case names it."""
        wire = file_message(row, whole=True)
        profile = self._sequencer.settings(row["registry"]).profile
        if profile is not None:
            uploaded = wire.uploaded_at.ToDatetime(dt.UTC)
            wire.expires_at.FromDatetime(uploaded + dt.timedelta(days=profile.unclaimed_upload_days))
        return wire

    async def _own(self, registry: str, institution: str, sha256: str) -> Row | None:
        """A file in its uploader's name space; None where there is none, or none much longer."""
        row = await self._queries.file(registry, institution, sha256)
        return None if row is None or self._is_going(row) else row

    async def _of_registry(self, registry: str, sha256: str, application: str) -> Row | None:
        """For a registrar: any file that a case of the registry names; the case is named, or found by the paper."""
        if application:
            case = await self._case(registry, application, caller_now.get())
            return await self._of_case(registry, sha256, case, None)
        paper = await self._queries.paper(registry, sha256)
        if paper is None:
            return None
        found = await self._queries.application(registry, paper["application_id"])
        return None if found is None else await self._of_case(registry, sha256, found, None)

    async def _case(self, registry: str, name: str, caller: Caller) -> Application:
        of_registry, application_id = split_name(name, "applications", "application")
        found = await self._queries.application(registry, application_id)
        if found is None or of_registry != registry:
            raise ApplicationNotFound(name)
        if caller.kind is CallerKind.INSTITUTION and caller.id not in found.institutions:
            raise ApplicationNotFound(name)
        return found

    async def _of_case(
        self, registry: str, sha256: str, case: Application, reader: Caller | None
    ) -> Row | None:
        """The file as the case's channel uploaded it, if the signed manifest names it and lets `reader` read it."""
        try:
            payload = await self._queries.part(registry, case.submitted_index, "evidence/payload")
        except PartKeyMissingError:  # the evidence was erased, as the law lets it be
            return None
        manifest = decode_manifest(split_pae(payload)[1], case.kind)
        named = [(case.channel_institution, f) for f in manifest.files]
        named += [(brought.institution, brought.reference) for brought in case.brought]
        for sender, reference in named:
            if reference.sha256 == sha256 and (reader is None or _lets_read(reference, reader, sender)):
                return await self._queries.file(registry, sender, sha256)
        return None


def _lets_read(reference: FileReference, reader: Caller, sender: str) -> bool:
    """Empty readers mean every institution of the case; the sender always may."""
    return not reference.readers or reader.id in (*reference.readers, sender)


def check_offset(offset: int, size_bytes: int) -> None:
    """Raise MalformedRequest for an offset outside the file."""
    if not 0 <= offset <= size_bytes:
        raise malformed("offset", f"须在 0 至 {size_bytes} 之间", f"must lie between 0 and {size_bytes}")


async def stored_chunks(path: Path, offset: int, chunk_bytes: int) -> AsyncGenerator[bytes, None]:
    """The bytes of a stored file from `offset` on, a chunk at a time, read in a thread."""
    with _opened(path, offset) as handle:
        while chunk := await to_the_end(asyncio.to_thread(handle.read, chunk_bytes)):
            yield chunk


@contextmanager
def _opened(path: Path, offset: int) -> Iterator[io.FileIO]:
    with path.open("rb", buffering=0) as handle:
        handle.seek(offset)
        yield handle


def file_message(row: Row, *, whole: bool) -> file_pb2.File:
    """A file's row on the wire; without `whole` identity numbers are masked."""
    verdict = _decode_verdict(row["verdict"])
    wire = file_pb2.File(
        name=f"registries/{row['registry']}/files/{row['sha256']}",
        sha256=bytes.fromhex(row["sha256"]),
        size_bytes=row["size_bytes"],
        media_type=row["media_type"],
        verdict=file_pb2.FileVerdict(
            ok=verdict.ok,
            problems=[_problem(p) for p in verdict.problems],
            pages=verdict.pages,
            signatures=[_signature(s, whole=whole) for s in verdict.signatures],
            attachments=[
                file_pb2.FileAttachment(name=name, sha256=bytes.fromhex(digest))
                for name, digest in verdict.attachments.items()
            ],
            checked_at=timestamp(verdict.checked_at),
            signed_sha256=bytes.fromhex(verdict.over),
            **_indicated(result_of_all(problem.code for problem in verdict.problems)),
        ),
    )
    wire.uploaded_at.FromJsonString(row["uploaded_at"])
    return wire


def _problem(value: FileProblem) -> file_pb2.FileProblem:
    return file_pb2.FileProblem(
        code=value.code,
        zh=value.zh,
        en=value.en,
        signature_field=value.field,
        **_indicated(result_of(value.code)),
    )


def _indicated(result: Result) -> dict[str, str]:
    return {"indication": result.indication.value, "sub_indication": result.sub_indication}


def _signature(value: SignatureVerdict, *, whole: bool) -> file_pb2.FileSignature:
    number = value.identity.number
    return file_pb2.FileSignature(
        id_kind=_ID_KINDS.get(value.identity.scheme[:3], codes_pb2.ID_KIND_OTHER),
        id_number=number if whole else mask(number),
        name=value.name,
        certificate_sha256=bytes.fromhex(value.fingerprint),
        claimed_at=timestamp(value.signed_at),
        proven_at=timestamp(value.proven_at),
        covers_whole_document=value.covers_whole_document,
        valid=True,
        algorithm=value.algorithm,
        form=value.form,
        evidence=[
            file_pb2.RevocationEvidence(
                kind=one.kind,
                sha256=bytes.fromhex(one.sha256),
                this_update=timestamp(one.this_update),
                until=timestamp(one.until),
            )
            for one in value.evidence
        ],
        in_grace=value.in_grace,
    )
