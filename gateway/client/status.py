"""From google.rpc.Status to the client's errors: the one place where wire errors are read."""

from __future__ import annotations

from typing import Final

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.client.ending import LOST
from gateway.client.errors import (
    TRANSPORT,
    DeadlinePassed,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotImplementedHere,
    NotNow,
    Overloaded,
    RequestError,
    ServerDefect,
    Unavailable,
)

DOMAIN: Final = "diya.cn"

_BY_CODE: Final[dict[str, type[RequestError]]] = {
    "INVALID_ARGUMENT": Malformed,
    "UNAUTHENTICATED": NotAuthenticated,
    "PERMISSION_DENIED": NotAllowed,
    "NOT_FOUND": NotFound,
    "FAILED_PRECONDITION": NotNow,
    "ABORTED": NotNow,
    "OUT_OF_RANGE": NotNow,
    "ALREADY_EXISTS": NotNow,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlinePassed,
    "UNIMPLEMENTED": NotImplementedHere,
}

_TRANSPORT_ZH: Final = {
    "UNAVAILABLE": "无法连接网关，或者连接中断",
    "DEADLINE_EXCEEDED": "超过时限仍未收到答复",
    "CANCELLED": "调用已取消",
    "RESOURCE_EXHAUSTED": "消息超过传输上限，或者资源耗尽",
    "UNIMPLEMENTED": "网关没有此方法",
}
_REFUSED_HANDSHAKE_EN: Final = (
    " (a gateway that refuses the client certificate shows like this too: see that the authority"
    " knows"
    " its issuer and has not revoked it)"
)
_REFUSED_HANDSHAKE_ZH: Final = "（网关拒绝客户端证书时也如此显示：请确认登记机构信任其颁发者且未吊销）"


def error_of_call(error: grpc.aio.AioRpcError) -> RequestError:
    """The typed error behind a failed call."""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # has the methods it needs
    except ValueError:  # details that contradict the status line: only the line counts
        status = None
    if status is None:
        return _of_transport(error.code().name, error.details() or "")
    return error_of_status(status)


def error_of_status(status: status_pb2.Status) -> RequestError:
    """The typed error behind a google.rpc.Status, as answers of a stream carry it."""
    info: error_details_pb2.ErrorInfo | None = None
    violations: list[tuple[str, str]] = []
    retry_delay: float | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations += [(one.field, one.description) for one in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    code = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "UNKNOWN"
    if info is None or info.domain != DOMAIN:
        return _of_transport(code, status.message)
    en, zh = _languages(status.message, info.metadata.get("zh", ""))
    return _BY_CODE.get(code, ServerDefect)(
        info.reason,
        en,
        zh,
        metadata=dict(info.metadata),
        violations=tuple(violations),
        retry_delay=retry_delay,
        code=code,
    )


def _of_transport(code: str, details: str) -> RequestError:
    if details == LOST:  # the peer ended a stream, and the library lost its reason
        code, details = "UNAVAILABLE", "the gateway ended the call while it was being sent"
    zh = _TRANSPORT_ZH.get(code, "传输错误")
    en = details or code
    if code == "UNAVAILABLE" and ("Socket closed" in details or "handshake" in details.lower()):
        en += _REFUSED_HANDSHAKE_EN
        zh += _REFUSED_HANDSHAKE_ZH
    return _BY_CODE.get(code, ServerDefect)(TRANSPORT, f"{code}: {en}", zh, code=code)


def _languages(message: str, zh: str) -> tuple[str, str]:
    """(English, Chinese): Chinese from the metadata, else both sides of "zh / en" in the
    message.
    """
    before, slash, after = message.partition(" / ")
    if zh:
        return (after if slash and before == zh else message), zh
    if slash and any("\u4e00" <= character <= "\u9fff" for character in before):
        return after, before
    return message, message
