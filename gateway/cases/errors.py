"""Refusals of a command that leave nothing behind: the first of the three kinds of answer (design).

Each leaf has a constant `reason`, a value of the contract's ErrorReason, and a bilingual message that names the
thing, the rule and the way out.
"""

from __future__ import annotations


class CommandRefused(Exception):
    """A command that cannot be taken. `metadata` holds every variable of the message.

    `retry_seconds`: after how long the same command may be taken; None where waiting does not help.
    """

    reason = "COMMAND_REFUSED"
    retry_seconds: float | None = None

    def __init__(self, zh: str, en: str, **metadata: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.zh = zh
        self.en = en
        self.metadata = metadata


class RequestIdReused(CommandRefused):
    """The same request_id came with other bytes."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"请求号 {request_id} 已用于内容不同的请求；重试请原样重发，新申请请换新的请求号",
            f"request_id {request_id} was used with other bytes; resend those bytes to retry, or take a new id",
            requestId=request_id,
        )


class ApplicationNotFound(CommandRefused):
    """Unknown application, or one that the caller may not see: the same answer. `field` says where it is named."""

    reason = "APPLICATION_NOT_FOUND"

    def __init__(self, application: str, field: str = "") -> None:
        super().__init__(
            f"没有申请 {application}，或者您无权查看",
            f"no application {application}, or it is not yours to see",
            application=application,
            **({"field": field} if field else {}),
        )


class StateNotAllowed(CommandRefused):
    """The verb is not possible in the application's present state."""

    reason = "STATE_NOT_ALLOWED"

    def __init__(self, verb: str, current: str, allowed: tuple[str, ...]) -> None:
        names = ", ".join(allowed)
        super().__init__(
            f"申请处于 {current}，不能执行 {verb}；允许的状态：{names}",
            f"{verb} is not possible in {current}; allowed states: {names}",
            verb=verb,
            currentState=current,
            allowedStates=names,
        )


class EnvelopeExpired(CommandRefused):
    """The header's not_after has passed, or it was made in the future."""

    reason = "ENVELOPE_EXPIRED"

    def __init__(self, not_after: str) -> None:
        super().__init__(
            f"报文有效期至 {not_after}，已过期或者签发时间在将来；请重新签名",
            f"the envelope is valid until {not_after}: it has expired, or was made in the future; sign a new one",
            notAfter=not_after,
        )


class QuotaExceeded(CommandRefused):
    """The institution has filed as much as the registry takes of it in one day."""

    reason = "QUOTA_EXCEEDED"

    def __init__(self, per_day: int, retry_seconds: float) -> None:
        super().__init__(
            f"今日申请次数已达上限 {per_day} 件；请明日再提交",
            f"the quota of {per_day} submissions a day is used up: submit again tomorrow",
            perDay=str(per_day),
        )
        self.retry_seconds = retry_seconds


class NotPermitted(CommandRefused):
    """The caller may not do this. Says no more than needed."""

    reason = "PERMISSION_DENIED"


class KindNotAvailable(CommandRefused):
    """The contract knows the operation, this version does not book it."""

    reason = "NOT_IMPLEMENTED_KIND"

    def __init__(self, operation: str) -> None:
        super().__init__(
            f"本版本尚不办理 {operation}",
            f"this version does not handle {operation} yet",
            operation=operation,
        )
