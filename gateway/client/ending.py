"""How a call that sends a stream really ended.

When the gateway ends such a call while this side is still sending, grpc.aio may replace the status that had come by
INTERNAL "Internal error from Core" (grpc/grpc#36066): the reason would be lost. The first status is kept here.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import grpc

Value = TypeVar("Value")

LOST: Final = "Internal error from Core"
"""Details of the status that grpc.aio makes of a write that failed as the call ended."""


class Ending:
    """Remembers with which status a call ended first. Watch a call from its beginning."""

    def __init__(self) -> None:
        self._call: grpc.aio.Call | None = None
        self._kept: grpc.aio.AioRpcError | None = None

    def watch(self, call: grpc.aio.Call) -> None:
        """Watch this call."""
        self._call = call
        call.add_done_callback(self._keep)

    def of(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """The error with which the call ended first; `error` itself when nothing else is known."""
        if error.details() == LOST and self._kept is not None:
            return self._kept
        return error

    def _keep(self, _: Any) -> None:
        if self._call is None or self._kept is not None:
            return
        details, code = _now(self._call.details()), _now(self._call.code())
        if details == LOST or code is None or code is grpc.StatusCode.OK:
            return
        trailing = _now(self._call.trailing_metadata())
        self._kept = grpc.aio.AioRpcError(
            code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing or ()), details
        )


def _now(coroutine: Coroutine[Any, Any, Value]) -> Value | None:
    """The result of a coroutine that has nothing to wait for any more; None if it would wait."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: Value = finished.value
        return result
    coroutine.close()
    return None
