"""What goes over the wire in tests, and what comes back when it is refused, read as a foreign client reads it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.pb.diya.v1 import (
    file_service_pb2,
)

DOMAIN = "diya.cn"


@dataclass(frozen=True)
class Refused:
    """A gRPC error as a foreign client reads it."""

    code: str
    reason: str
    message: str
    metadata: dict[str, str]
    violations: tuple[tuple[str, str, str], ...]
    retry_seconds: float | None
    domain: str
    status: status_pb2.Status | None

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Refused:
        """Read the details of a failed call."""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        return cls.of_status(status, error.code().name, error.details() or "")

    @classmethod
    def of_status(cls, status: status_pb2.Status | None, code: str = "", message: str = "") -> Refused:
        """Read a google.rpc.Status."""
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), None
        infos = 0
        for detail in status.details if status else ():
            if detail.Unpack(info):
                infos += 1
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                found = error_details_pb2.RetryInfo()
                detail.Unpack(found)
                retry = found.retry_delay.seconds + found.retry_delay.nanos / 1e9
            else:
                detail.Unpack(bad)
        assert infos <= 1, "exactly one ErrorInfo"
        if status is not None:
            value = {c.value[0]: c.name for c in grpc.StatusCode}[status.code]
            assert code in ("", value)
            code, message = value, status.message
        if code == "PERMISSION_DENIED" and not info.reason.startswith(("PROXY_", "FORWARDED_")):
            seen = (
                info.metadata["caller"] or info.metadata["callerKind"].lower()
            )  # who was seen, by the certificate
            assert seen in message, message
        return cls(
            code=code,
            reason=info.reason,
            message=message,
            metadata=dict(info.metadata),
            violations=tuple((v.field, v.reason, v.description) for v in bad.field_violations),
            retry_seconds=retry,
            domain=info.domain,
            status=status,
        )

    @property
    def is_bilingual(self) -> bool:
        """Chinese for the clerk, English for the developer."""
        zh, slash, en = self.message.partition(" / ")
        return bool(slash) and _is_chinese(zh) and any(c.isascii() and c.isalpha() for c in en)


def _is_chinese(value: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in value)


def is_bilingual(finding: Any) -> bool:
    """Whether a finding speaks both languages."""
    return _is_chinese(finding.zh) and bool(finding.en) and finding.en != finding.zh


def codes_of(findings: Sequence[Any]) -> set[tuple[str, str]]:
    """(code, rule) of every finding."""
    return {(f.code, f.rule) for f in findings}


def upload_messages(
    data: bytes, *, registry: str = "jiangyin", chunk_bytes: int = 256 * 1024, **metadata: Any
) -> list[Any]:
    """The messages of an upload; `metadata` overrides what is declared."""
    declared: dict[str, Any] = {
        "parent": f"registries/{registry}",
        "sha256": hashlib.sha256(data).digest(),
        "size_bytes": len(data),
        "media_type": "application/pdf",
    } | metadata
    request = file_service_pb2.UploadFileRequest
    chunks = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    return [
        request(metadata=file_service_pb2.UploadFileMetadata(**declared)),
        *(request(chunk=chunk) for chunk in chunks),
    ]


async def as_stream(messages: Sequence[Any]) -> AsyncIterator[Any]:
    """Messages as a request stream."""
    for message in messages:
        yield message


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let the event loop turn until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.002)
