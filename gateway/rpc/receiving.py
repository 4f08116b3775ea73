"""Receiving chunks into the file store: in order, with flat memory, and nothing left of what fails.

One chunk is in hand at a time; gRPC's flow control holds the sender meanwhile. Hashing and writing happen in
a thread, so that a large upload does not hold up the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, TypeVar

from gateway.config import MIB
from gateway.rpc.errors import Refusal
from gateway.rpc.names import malformed
from gateway.storage.files import Incoming
from gateway.telemetry import metrics

T = TypeVar("T")

#: A chunk holds at most this, whatever the transport lets through.
CHUNK_BYTES_MAX: Final = 1 * MIB


async def first_message(stream: AsyncIterator[Any], idle_seconds: float) -> Any:
    """The first message of an upload, which must be its metadata."""
    message = await _next(stream, idle_seconds)
    if message is None:
        raise Refusal(
            "UPLOAD_INCOMPLETE", "上传流中没有内容；请重新上传", "the upload held no message; start again"
        )
    if message.WhichOneof("message") != "metadata":
        raise malformed("metadata", "第一条消息必须是元数据", "must be the first message")
    return message.metadata


async def receive(
    stream: AsyncIterator[Any], incoming: Incoming, *, size_bytes: int, sha256: str, idle_seconds: float
) -> None:
    """Write the chunks of `stream` to `incoming` until the stream ends; size and digest must be as declared.

    Raises Refusal: UPLOAD_STALLED, MESSAGE_TOO_LARGE, FILE_SIZE_MISMATCH, FILE_DIGEST_MISMATCH; MalformedRequest
    for a message that is no chunk. `incoming` is the caller's to keep or to drop.
    """
    while (message := await _next(stream, idle_seconds)) is not None:
        if message.WhichOneof("message") != "chunk":
            raise malformed("chunk", "元数据之后只能是数据块", "only chunks may follow the metadata")
        chunk: bytes = message.chunk
        if not chunk:
            raise malformed("chunk", "不得为空", "must not be empty")
        if len(chunk) > CHUNK_BYTES_MAX:
            raise Refusal(
                "MESSAGE_TOO_LARGE",
                f"数据块 {len(chunk)} 字节，上限 {CHUNK_BYTES_MAX} 字节",
                f"the chunk has {len(chunk)} bytes, the limit is {CHUNK_BYTES_MAX}",
                {"bytes": str(len(chunk)), "limit": str(CHUNK_BYTES_MAX)},
            )
        if incoming.size_bytes + len(chunk) > size_bytes:
            raise _size_mismatch(size_bytes, incoming.size_bytes + len(chunk), "或更多", "or more")
        await to_the_end(asyncio.to_thread(incoming.append, chunk))
    if incoming.size_bytes != size_bytes:
        raise _size_mismatch(size_bytes, incoming.size_bytes)
    if incoming.sha256 != sha256:
        raise Refusal(
            "FILE_DIGEST_MISMATCH",
            f"收到内容的 SHA-256 为 {incoming.sha256}，与声明的 {sha256} 不符；请重新上传",
            f"the bytes received have SHA-256 {incoming.sha256}, not {sha256} as declared; upload again",
            {"declared": sha256, "received": incoming.sha256},
        )
    metrics.uploaded(size_bytes)


async def to_the_end(work: Awaitable[T]) -> T:
    """Await `work`; when the call is cancelled, let `work` end before the cancellation goes on.

    For what must not be left half done, such as a thread that writes to a file which the caller then closes.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _next(stream: AsyncIterator[Any], idle_seconds: float) -> Any:
    """The next message; None at the end of the stream."""
    try:
        async with asyncio.timeout(idle_seconds):
            return await anext(stream, None)
    except TimeoutError:
        raise Refusal(
            "UPLOAD_STALLED",
            f"{idle_seconds:g} 秒内没有收到数据；请以同一摘要重新上传",
            f"nothing came for {idle_seconds:g} s; start again under the same digest",
            {"idleSeconds": f"{idle_seconds:g}"},
            retry_seconds=1.0,
        ) from None


def _size_mismatch(declared: int, received: int, zh: str = "", en: str = "") -> Refusal:
    return Refusal(
        "FILE_SIZE_MISMATCH",
        f"声明 {declared} 字节，收到 {received} 字节{zh}；请重新上传",
        f"{declared} bytes were declared and {received} {en + ' ' if en else ''}came; upload again",
        {"declared": str(declared), "received": str(received)},
    )
