"""The one table from exceptions to gRPC answers: code, ErrorReason, details.

Every error carries exactly one ErrorInfo (reason, domain, every variable of the message). Violations come as one
BadRequest, cut at 4 KiB with the total beside it: details near 8 KiB fail at random on the way.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sqlalchemy.exc import DBAPIError

from gateway.cases.errors import CommandRefused
from gateway.commands import Overloaded, Unavailable
from gateway.rpc.rights import Caller, CallerKind, caller_told
from gateway.rpc.violations import MalformedRequest, Violation
from ledger.errors import PartErasedError
from signing.errors import RevocationUnknown, SigningError
from signing.indication import result_of

log = logging.getLogger(__name__)

DOMAIN = "diya.cn"
POSTGRES_DISK_FULL = "53100"
VIOLATION_BYTES_MAX = 4 * 1024
REVOCATION_RETRY_SECONDS = 30.0
STORAGE_RETRY_SECONDS = 30.0

_C = grpc.StatusCode

#: gRPC code of each ErrorReason that is not INVALID_ARGUMENT.
CODES: dict[str, grpc.StatusCode] = {
    "CALLER_UNKNOWN": _C.UNAUTHENTICATED,
    "FORWARDED_CERTIFICATE_INVALID": _C.UNAUTHENTICATED,
    "FORWARDED_CERTIFICATE_NOT_ALLOWED": _C.PERMISSION_DENIED,
    "PROXY_NOT_REGISTERED": _C.PERMISSION_DENIED,
    "PROXY_SUSPENDED": _C.PERMISSION_DENIED,
    "CERTIFICATE_EXPIRED": _C.UNAUTHENTICATED,
    "CERTIFICATE_NOT_YET_VALID": _C.UNAUTHENTICATED,
    "CERTIFICATE_REVOKED": _C.UNAUTHENTICATED,
    "CERTIFICATE_UNKNOWN_ISSUER": _C.UNAUTHENTICATED,
    "CERTIFICATE_WRONG_PURPOSE": _C.UNAUTHENTICATED,
    "CERTIFICATE_CHAIN_INVALID": _C.UNAUTHENTICATED,
    "CERTIFICATE_REVOCATION_UNKNOWN": _C.UNAUTHENTICATED,
    "CERTIFICATE_WITHOUT_IDENTITY": _C.UNAUTHENTICATED,
    "SIGNATURE_INVALID": _C.UNAUTHENTICATED,
    "ALGORITHM_UNAVAILABLE": _C.UNIMPLEMENTED,
    "KEY_NOT_REGISTERED": _C.PERMISSION_DENIED,
    "KEY_WITHOUT_ROLE": _C.PERMISSION_DENIED,
    "CHANNEL_NOT_AUTHORISED": _C.PERMISSION_DENIED,
    "INSTITUTION_SUSPENDED": _C.PERMISSION_DENIED,
    "PERMISSION_DENIED": _C.PERMISSION_DENIED,
    "SIGNER_NOT_APPLICANT": _C.PERMISSION_DENIED,
    "SECOND_PERSON_REQUIRED": _C.PERMISSION_DENIED,
    "OWN_CASE_FORBIDDEN": _C.PERMISSION_DENIED,
    "MANDATE_EXCEEDED": _C.PERMISSION_DENIED,
    "CLERK_NOT_REGISTERED": _C.PERMISSION_DENIED,
    "SECOND_SIGNATURE_REQUIRED": _C.PERMISSION_DENIED,
    "FILE_NOT_FOUND": _C.NOT_FOUND,
    "APPLICATION_NOT_FOUND": _C.NOT_FOUND,
    "REGISTRY_NOT_FOUND": _C.NOT_FOUND,
    "CERTIFICATE_NOT_FOUND": _C.NOT_FOUND,
    "UNIT_NOT_FOUND": _C.NOT_FOUND,
    "RECEIPT_NOT_FOUND": _C.NOT_FOUND,
    "LEDGER_RANGE": _C.OUT_OF_RANGE,
    "EVENT_SEQUENCE_INVALID": _C.OUT_OF_RANGE,
    "STATE_NOT_ALLOWED": _C.FAILED_PRECONDITION,
    "CERTIFICATE_NOT_SEALED": _C.FAILED_PRECONDITION,
    "CERTIFICATE_AWAITS_TIMESTAMP": _C.FAILED_PRECONDITION,
    "MANIFEST_MISMATCH": _C.FAILED_PRECONDITION,
    "CLAIMED_BY_OTHER": _C.FAILED_PRECONDITION,
    "SEEN_INDEX_STALE": _C.ABORTED,
    "VERSION_CONFLICT": _C.FAILED_PRECONDITION,
    "FEED_SEQUENCE_REUSED": _C.ALREADY_EXISTS,
    "FEED_GAP_TOO_LARGE": _C.FAILED_PRECONDITION,
    "ERASURE_NOT_ALLOWED": _C.FAILED_PRECONDITION,
    "EVIDENCE_ERASED": _C.NOT_FOUND,
    "ENVELOPE_EXPIRED": _C.FAILED_PRECONDITION,
    "UPLOAD_INCOMPLETE": _C.ABORTED,
    "UPLOAD_STALLED": _C.ABORTED,
    "REQUEST_ID_REUSED": _C.ALREADY_EXISTS,
    "DEADLINE_PASSED": _C.DEADLINE_EXCEEDED,
    "OVERLOADED": _C.RESOURCE_EXHAUSTED,
    "QUOTA_EXCEEDED": _C.RESOURCE_EXHAUSTED,
    "MESSAGE_TOO_LARGE": _C.RESOURCE_EXHAUSTED,
    "SHUTTING_DOWN": _C.UNAVAILABLE,
    "CLOCK_BEHIND": _C.UNAVAILABLE,
    "LEDGER_DAMAGED": _C.UNAVAILABLE,
    "WITNESS_QUORUM_MISSING": _C.UNAVAILABLE,
    "STORAGE_FULL": _C.UNAVAILABLE,
    "NOT_IMPLEMENTED_KIND": _C.UNIMPLEMENTED,
    "INTERNAL": _C.INTERNAL,
}


@dataclass
class Refusal(Exception):
    """An error answer: an ErrorReason with its bilingual message and variables."""

    reason: str
    zh: str
    en: str
    metadata: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    retry_seconds: float | None = None

    @property
    def code(self) -> grpc.StatusCode:
        """Its gRPC code."""
        return CODES.get(self.reason, _C.INVALID_ARGUMENT)

    def status(self) -> status_pb2.Status:
        """The google.rpc.Status that goes out."""
        status = status_pb2.Status(code=self.code.value[0], message=f"{self.zh} / {self.en}")
        metadata = dict(self.metadata)
        if self.violations:
            bad, total = _bad_request(self.violations), len(self.violations)
            metadata["violations"] = str(total)
            status.details.add().Pack(bad)
        if self.retry_seconds is not None:
            delay = Duration()
            delay.FromMilliseconds(int(self.retry_seconds * 1000))
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=metadata)
        status.details.add().Pack(info)
        return status


def as_seen(refusal: Refusal, caller: Caller) -> Refusal:
    """A refusal for want of a right, with the caller as whom the connection's certificate was seen.

    Whoever runs several systems, or files for branches, learns which of them was refused; what is missing, and the way
    out, it says itself.
    """
    if refusal.code is not _C.PERMISSION_DENIED or caller.kind is CallerKind.PUBLIC:
        return refusal
    zh, en = caller_told(caller)
    return replace(
        refusal,
        zh=f"{refusal.zh}（按连接证书识别，调用方为{zh}）",
        en=f"{refusal.en} (by its certificate the connection is that of {en})",
        metadata={**refusal.metadata, "callerKind": caller.kind.value, "caller": caller.id},
    )


def refusal_of(error: BaseException) -> Refusal:
    """Whatever was raised, as the answer it becomes. The unknown becomes INTERNAL with an incident id."""
    match error:
        case Refusal():
            return error
        case MalformedRequest():
            first = error.violations[0]
            return Refusal(
                first.reason,
                f"请求有 {len(error.violations)} 处错误，见明细",
                f"the request has {len(error.violations)} violation(s), see the details",
                violations=error.violations,
            )
        case CommandRefused():
            return Refusal(
                error.reason, error.zh, error.en, dict(error.metadata), retry_seconds=error.retry_seconds
            )
        case SigningError():
            return _of_signing(error)
        case Overloaded():
            return Refusal(
                "OVERLOADED",
                "系统繁忙，未受理任何内容；请稍后原样重试",
                "overloaded, nothing was taken; resend the same bytes after the delay",
                retry_seconds=0.5,
            )
        case Unavailable():
            zh, _, en = str(error).partition(" / ")
            return Refusal(error.reason, zh, en or zh, retry_seconds=error.retry_seconds)
        case PartErasedError():
            return Refusal(
                "EVIDENCE_ERASED",
                f"该行为的材料已由第 {error.erased_by} 条记录依法销毁，原答复不能再次给出；记录及其证明仍可查询",
                f"its evidence was erased by entry {error.erased_by} as the law allows: "
                "the answer cannot be told again, the entry and its proof still can",
                {"erasedIndex": str(error.erased_by)},
            )
        case NotImplementedError():  # a method of the contract that no servicer of ours overrides
            return Refusal(
                "NOT_IMPLEMENTED_KIND",
                "本版本尚不提供此方法",
                "the contract knows this method, this version does not handle it yet",
            )
    if is_full(error):
        log.error("the disk is full: %s", type(error).__name__)
        return Refusal(
            "STORAGE_FULL",
            "登记机构的存储空间已满，未保存任何内容；请稍后原样重试",
            "the authority's disk is full and nothing was kept; resend the same bytes after the delay",
            retry_seconds=STORAGE_RETRY_SECONDS,
        )
    incident = uuid.uuid4().hex
    log.error("defect", exc_info=error, extra={"incident": incident})
    return Refusal(
        "INTERNAL",
        f"系统内部错误，事件号 {incident}；请用同一请求号重试或者联系登记机构",
        f"internal error, incident {incident}; retry with the same request id or call the authority",
        {"incident": incident},
    )


def is_full(error: BaseException) -> bool:
    """Whether something was not kept because there is no room: said by the system, by SQLite, or by PostgreSQL."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code == sqlite3.SQLITE_FULL or getattr(error.orig, "sqlstate", None) == POSTGRES_DISK_FULL
    return False


def _of_signing(error: SigningError) -> Refusal:
    """Signing's reasons are the contract's, word for word."""
    result = result_of(error.reason)
    metadata = {
        "check": error.reason,
        "indication": result.indication.value,
        "subIndication": result.sub_indication,
    }
    if error.signature_index is not None:
        metadata["signature"] = str(error.signature_index)
    # Evidence of revocation that is missing now is fetched beside the request: the same bytes may hold a little later.
    retry_seconds = REVOCATION_RETRY_SECONDS if isinstance(error, RevocationUnknown) else None
    return Refusal(error.reason, error.zh, error.message, metadata, retry_seconds=retry_seconds)


def _bad_request(violations: list[Violation]) -> error_details_pb2.BadRequest:
    """As many violations as fit; the total is in the ErrorInfo."""
    bad = error_details_pb2.BadRequest()
    for violation in violations:
        one = bad.field_violations.add(
            field=violation.path, description=f"{violation.zh} / {violation.en}", reason=violation.reason
        )
        if bad.ByteSize() > VIOLATION_BYTES_MAX:
            bad.field_violations.remove(one)
            break
    return bad


async def abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    """End the call with a refusal; never returns."""
    await context.abort_with_status(rpc_status.to_status(refusal.status()))
