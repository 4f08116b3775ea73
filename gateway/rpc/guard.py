"""What stands before every method, in one function: who calls, may they, how long, what did it come to.

Handlers are wrapped once, when they are registered, instead of through gRPC's interceptor chain: five trivial
interceptors cost 30 % of an empty call, one fused wrapper a fraction of that (design, *facts about our parts*).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import grpc

from gateway.commands import stopping
from gateway.config import MIB
from gateway.rpc.callers import FindsCallers
from gateway.rpc.errors import Refusal, abort, as_seen, refusal_of
from gateway.rpc.names import malformed
from gateway.rpc.rights import PUBLIC_CALLER, READING, Caller, CallerKind, callers_told, may_call
from gateway.telemetry import metrics

#: A refused upload is heard out for so long, and for so many messages, before it is told.
REFUSED_SECONDS_MAX: Final = 2.0
REFUSED_MESSAGES_MAX: Final = 256

#: The caller of the call being handled.
caller_now: ContextVar[Caller] = ContextVar("caller", default=PUBLIC_CALLER)

_UNKNOWN = (
    "超过处理时限，结果未知；请以同一请求号原样重发以得知结果 / "
    "the time limit passed and the outcome is unknown; resend the same bytes to learn it"
)

_REGISTRY = re.compile(r"^registries/([^/]+)(?:/|$)")


def registry_of(request: Any) -> str:
    """The registry that a request names in `parent` or `name`; empty when it names none."""
    name = getattr(request, "parent", "") or getattr(request, "name", "")
    if not name and hasattr(request, "DESCRIPTOR"):
        for oneof in request.DESCRIPTOR.oneofs:  # a stream's first message wraps what names it
            which = request.WhichOneof(oneof.name)
            inner = getattr(request, which) if which else None
            if hasattr(inner, "DESCRIPTOR"):
                return registry_of(inner)
    match = _REGISTRY.match(name)
    return match.group(1) if match else ""


class _TooLarge(NamedTuple):
    """Stands for a message that is above the limit and was not parsed."""

    size_bytes: int
    limit: int


def _bounded(parse: Callable[[bytes], Any], limit: int) -> Callable[[bytes], Any]:
    """The deserializer of a method, for messages up to the limit: an exception in it would be answered INTERNAL."""

    def read(data: bytes) -> Any:
        return parse(data) if len(data) <= limit else _TooLarge(len(data), limit)

    return read


def _refuse_too_large(message: Any) -> None:
    """Raise Refusal for a message that stood above the limit."""
    if isinstance(message, _TooLarge):
        raise Refusal(
            "MESSAGE_TOO_LARGE",
            f"报文 {message.size_bytes} 字节，上限 {message.limit} 字节；材料请用 UploadFile 上传",
            f"the message has {message.size_bytes} bytes, the limit is {message.limit}; files go by UploadFile",
            {"bytes": str(message.size_bytes), "limit": str(message.limit)},
        )


async def _peek(stream: AsyncIterator[Any], idle_seconds_max: float) -> tuple[Any, AsyncIterator[Any]]:
    """The first message of a stream (None when there is none), and the stream with it put back."""
    try:
        async with asyncio.timeout(idle_seconds_max):
            first = await anext(stream, None)
    except TimeoutError as error:
        raise Refusal(
            "UPLOAD_STALLED",
            f"{idle_seconds_max:g} 秒内没有收到第一个报文；请重新开始",
            f"no first message within {idle_seconds_max:g} seconds; begin again",
        ) from error

    async def whole() -> AsyncIterator[Any]:
        if first is not None:
            yield first
            async for message in stream:
                _refuse_too_large(message)
                yield message

    return first, whole()


async def _hear_out(stream: AsyncIterator[Any]) -> None:
    """Read on for a moment what a refused upload still sends, and forget it.

    A client that is held up in writing when its call ends is told of a broken write, not of the reason.
    """
    with suppress(Exception):
        async with asyncio.timeout(REFUSED_SECONDS_MAX):
            for _ in range(REFUSED_MESSAGES_MAX):
                await anext(stream)


class Guard:
    """Wraps handlers. `register(adder, servicer)` is used in place of gRPC's own registration."""

    def __init__(
        self,
        server: grpc.aio.Server,
        callers: FindsCallers,
        *,
        call_seconds_max: float,
        message_bytes_max: int = 6 * MIB,
        idle_seconds_max: float = 20.0,
        registry: str = "",
    ) -> None:
        """`registry` is where a caller is looked up when the request itself names none."""
        self._server = server
        self._callers = callers
        self._call_seconds_max = call_seconds_max
        self._message_bytes_max = message_bytes_max
        self._registry = registry
        self._idle_seconds_max = idle_seconds_max
        self._in_hand = 0
        self._is_closed = False
        self._moved = asyncio.Event()

    def close(self) -> None:
        """Refuse every call from now on; those in hand go on."""
        self._is_closed = True

    async def is_empty_within(self, seconds: float) -> bool:
        """Wait until no call is in hand, its answer written; whether that came within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._in_hand:
                    self._moved.clear()
                    await self._moved.wait()
        return not self._in_hand

    def _begin(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Count a call until its answer is written. Raises Unavailable when closed."""
        if self._is_closed:
            raise stopping()
        self._in_hand += 1
        context.add_done_callback(self._end)  # type: ignore[arg-type]  # the stub's class is no protocol

    def _end(self, _: Any) -> None:
        self._in_hand -= 1
        self._moved.set()

    def register(self, add: Callable[[Any, Any], None], servicer: Any) -> None:
        """Register a servicer with every method guarded: `register(add_XServicer_to_server, servicer)`."""
        add(servicer, self)

    # gRPC's generated code calls these two on what it takes for the server.

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Left out on purpose: what comes here is not by name, and cannot be wrapped."""

    def add_registered_method_handlers(
        self, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Wrap each method and hand it to the real server.

        As a generic handler alone: grpc.aio waits for each registered method by a task of its own, and goes through all
        of these tasks at every call. With our eighty methods that was 0.1 ms.
        """
        guarded = {name: self._wrap(service, name, handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, guarded),))

    def _wrap(self, service: str, name: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        short = service.rsplit(".", 1)[-1]
        parse = _bounded(handler.request_deserializer, self._message_bytes_max)
        coders = (parse, handler.response_serializer)
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streams(short, name, handler.stream_stream, streams_in=True), *coders
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._answers(short, name, handler.stream_unary, streams_in=True), *coders
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streams(short, name, handler.unary_stream), *coders
            )
        return grpc.unary_unary_rpc_method_handler(self._answers(short, name, handler.unary_unary), *coders)

    def _answers(
        self,
        service: str,
        name: str,
        behaviour: Callable[[Any, Any], Awaitable[Any]],
        *,
        streams_in: bool = False,
    ) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]:
        method = f"{service}/{name}"
        seconds_max = None if streams_in else self._call_seconds_max

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = time.perf_counter()
            first = request
            try:
                if streams_in:
                    first, request = await _peek(request, self._idle_seconds_max)
                _refuse_too_large(first)
                self._begin(context)
                self._identify(service, name, registry_of(first), context)
                async with asyncio.timeout(seconds_max):
                    response = await behaviour(request, context)
            except asyncio.CancelledError:
                metrics.call_answered(method, "CANCELLED", time.perf_counter() - started)
                raise
            except Exception as error:
                if isinstance(error, TimeoutError) and hasattr(request, "envelope"):
                    await self._leave_open(method, started, context)
                if streams_in and first is not request:
                    await _hear_out(request)
                await self._refuse(method, started, error, context)
                raise  # not reached: abort raises
            metrics.call_answered(method, "OK", time.perf_counter() - started)
            return response

        return answer

    def _streams(
        self,
        service: str,
        name: str,
        behaviour: Callable[[Any, Any], AsyncIterator[Any]],
        *,
        streams_in: bool = False,
    ) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], AsyncIterator[Any]]:
        method = f"{service}/{name}"

        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            started = time.perf_counter()
            try:
                first = request
                if streams_in:
                    first, request = await _peek(request, self._idle_seconds_max)
                _refuse_too_large(first)
                self._begin(context)
                self._identify(service, name, registry_of(first), context)
                async for response in behaviour(request, context):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):  # passed on: swallowed, it leaks native memory
                metrics.call_answered(method, "CANCELLED", time.perf_counter() - started)
                raise
            except Exception as error:
                await self._refuse(method, started, error, context)
            metrics.call_answered(method, "OK", time.perf_counter() - started)

        return stream

    def _identify(
        self, service: str, name: str, registry: str, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Find who calls, for `caller_now`. Raises Refusal unless the rights table lets them in."""
        self._check_registry(registry)
        caller = self._callers.of(context, registry or self._registry)
        caller_now.set(caller)
        if may_call(service, name, caller.kind) and not (caller.reads_only and not name.startswith(READING)):
            if caller.suspended:
                raise _suspended(caller)
            return
        if caller.kind is CallerKind.PUBLIC:
            raise Refusal(
                "CALLER_UNKNOWN",
                "连接所用的客户端证书未在该登记机构登记；请机构请登记机构登记其密钥"
                "（运维人员：diya institution add-key 机构代码 证书.pem --role TLS）",
                "the connection's client certificate is not registered with this registry: the institution asks the "
                "authority to register its key (an operator runs diya institution add-key USCC CERTIFICATE.pem "
                "--role TLS)",
            )
        raise _not_theirs(service, name, caller)

    def _check_registry(self, registry: str) -> None:
        """A caller is one of a registry: without one, or with one that is not here, nobody can be known.

        Which registries there are is no secret: the public listener answers for each.
        """
        if registry or self._registry:
            self._callers.check_registry(registry or self._registry)
            return
        raise malformed(
            "parent",
            "须以 registries/{registry} 指明登记机构（parent 或者 name）",
            "must name the registry as registries/{registry}, in parent or name",
        )

    async def _leave_open(
        self, method: str, started: float, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """End a signed act that took too long: it may still be entered, so nothing is said of its outcome.

        The contract: a DEADLINE_EXCEEDED without a reason is unknown, the same bytes sent again tell; never returns.
        """
        code = grpc.StatusCode.DEADLINE_EXCEEDED
        metrics.call_answered(method, code.name, time.perf_counter() - started)
        await context.abort(code, _UNKNOWN)

    async def _refuse(
        self, method: str, started: float, error: Exception, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, asyncio.TimeoutError):
            error = Refusal(
                "DEADLINE_PASSED",
                "超过处理时限，未保存任何内容；请稍后重试",
                "the time limit passed and nothing was kept; call again later",
            )
        refusal = as_seen(refusal_of(error), caller_now.get())
        metrics.call_answered(method, refusal.code.name, time.perf_counter() - started)
        metrics.call_refused(method, refusal.reason)
        await abort(context, refusal)


def _suspended(caller: Caller) -> Refusal:
    if caller.kind is CallerKind.INSTITUTION:
        zh = f"（运维人员：diya institution resume {caller.id} --reason 原因）"
        en = f" (an operator runs diya institution resume {caller.id} --reason WHY)"
    else:
        zh, en = "（运维人员以 SetRegistrar 恢复）", " (an operator ends it by SetRegistrar)"
    return Refusal(
        "INSTITUTION_SUSPENDED",
        f"该机构或者人员已被登记机构暂停；请其联系登记机构恢复{zh}",
        f"the registration authority has suspended this caller: it asks the authority to end that{en}",
    )


def _not_theirs(service: str, method: str, caller: Caller) -> Refusal:
    """Who may call the method, and what this caller does instead."""
    zh, en = callers_told(service, method)
    if caller.reads_only and may_call(service, method, caller.kind):
        zh_cure = (
            "此连接的密钥只登记了 READ 用途，只能查询；请改用登记了 TLS 用途的密钥连接"
            f"（运维人员：diya institution add-key {caller.id} 证书.pem --role TLS）"
        )
        en_cure = (
            "the key of this connection has the role READ and only reads, so connect with one of role TLS "
            f"(an operator runs diya institution add-key {caller.id} CERTIFICATE.pem --role TLS)"
        )
    else:
        zh_cure = f"该方法由{zh}调用；请由其办理，或者以其登记的证书连接"
        en_cure = f"the method is for {en}: have one of them call it, or connect with the certificate of one"
    return Refusal(
        "PERMISSION_DENIED",
        f"无权调用 {service}/{method}；{zh_cure}",
        f"this caller may not call {service}/{method}; {en_cure}",
        {"method": f"{service}/{method}"},
    )
