"""Everything that this client raises: one tree, told apart by type and by `reason`, never by text.

- `RequestError`: the gateway, or the way to it, did not take the call. Made from google.rpc.Status.
- `ProofError`: the call was answered, and what came does not prove itself. An alarm, not a reason
to send again.
- `OwnCertificateRefused`, `InputError`: found here, before anything was sent.

Messages are bilingual: `zh` for the clerk, `en` for the developer.
"""

from __future__ import annotations

from signing.envelope import Envelope


class DiyaError(Exception):
    """Root. `reason` is UPPER_SNAKE; `en` and `zh` are one message in two languages.

    metadata: every variable of the message. violations: (field path, description) of a malformed
    request. retry_delay: seconds after which the same bytes may be sent again, None when they must
    not be. code: gRPC status code name, empty for what was found on this side.
    """

    def __init__(
        self,
        reason: str,
        en: str,
        zh: str,
        *,
        metadata: dict[str, str] | None = None,
        violations: tuple[tuple[str, str], ...] = (),
        retry_delay: float | None = None,
        code: str = "",
    ) -> None:
        super().__init__(f"{reason}: {en}" if en == zh else f"{reason}: {en} / {zh}")
        self.reason = reason
        self.en = en
        self.zh = zh
        self.metadata = metadata or {}
        self.violations = violations
        self.retry_delay = retry_delay
        self.code = code


class InputError(DiyaError):
    """What was to be sent cannot be sent: a file missing, a field empty, a payload of another
    type.
    """

    def __init__(self, en: str, zh: str) -> None:
        super().__init__("INPUT_INVALID", en, zh)


class OwnCertificateRefused(DiyaError):
    """The caller's own certificate cannot open a connection; nothing was dialled.

    Reasons: CERTIFICATE_EXPIRED, CERTIFICATE_NOT_YET_VALID, CERTIFICATE_MALFORMED,
    KEY_UNREADABLE, KEY_ID_MISMATCH.
    """


# -- calls that were not taken -----------------------------------------------------------------


class RequestError(DiyaError):
    """A gRPC error. Unless `is_outcome_unknown`, nothing was kept.

    `may_retry` is what the gateway marked (RetryInfo), and what never reached it. envelope: what
    was being sent, None for calls that send none; sending it again is how an unknown outcome is
    learned.
    """

    envelope: Envelope | None = None

    @property
    def is_from_gateway(self) -> bool:
        """The gateway itself answered; False for what the transport made up."""
        return self.reason != TRANSPORT

    @property
    def may_retry(self) -> bool:
        """The same bytes may be sent again without anybody acting first."""
        return self.retry_delay is not None

    @property
    def is_outcome_unknown(self) -> bool:
        """Perhaps the act was taken: send the same bytes again (the same request_id) to learn
        it.
        """
        return not self.is_from_gateway or self.reason == "INTERNAL"


class Malformed(RequestError):
    """INVALID_ARGUMENT: `violations` names every bad field. Correct it and sign anew."""


class NotAuthenticated(RequestError):
    """UNAUTHENTICATED: a certificate or a signature does not hold, or the caller is unknown."""


class NotAllowed(RequestError):
    """PERMISSION_DENIED: caller, key or institution may not do this."""


class NotFound(RequestError):
    """NOT_FOUND: no such thing, or not the caller's; the gateway does not tell which."""


class NotNow(RequestError):
    """FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, ALREADY_EXISTS: not in this state or order."""


class Overloaded(RequestError):
    """RESOURCE_EXHAUSTED: overload (try again after `retry_delay`), a quota, or a size limit."""


class Unavailable(RequestError):
    """UNAVAILABLE: no connection, or the gateway is going down."""

    @property
    def may_retry(self) -> bool:
        """Also what the transport reports: the same bytes give the same answer, whatever came of
        them.
        """
        return self.retry_delay is not None or not self.is_from_gateway


class DeadlinePassed(RequestError):
    """DEADLINE_EXCEEDED: with the reason DEADLINE_PASSED nothing was kept, otherwise it is
    unknown.
    """


class NotImplementedHere(RequestError):
    """UNIMPLEMENTED: the contract knows it, this gateway or place does not handle it."""


class ServerDefect(RequestError):
    """INTERNAL, UNKNOWN, DATA_LOSS: quote metadata["incident"] to the authority."""


TRANSPORT = "TRANSPORT"
"""Reason of an error that carries none of the gateway's: the connection or the library made it."""


# -- answers that do not prove themselves ------------------------------------------------------


class ProofError(DiyaError):
    """What came is not what the ledger says. Keep it and call the authority; do not send again."""


class ReceiptInvalid(ProofError):
    """A receipt fails check number `check` of those that the contract lists (1 to 8), or 9: the
    answer differs from the answer as logged.

    `outcome` holds the serialized answer that came with it, for the evidence; empty when there is
    none.
    """

    def __init__(self, check: int, en: str, zh: str) -> None:
        super().__init__(
            "RECEIPT_INVALID",
            f"receipt check {check} fails: {en}",
            f"回执第 {check} 项校验未通过：{zh}",
            metadata={"check": str(check)},
        )
        self.check = check
        self.outcome = b""


class ProofFileInvalid(ProofError):
    """A `.tlog-proof` file does not prove its entry. `reason` is the ledger's: PROOF_FILE_INVALID, ENTRY_INVALID,
    CHECKPOINT_INVALID, ORIGIN_MISMATCH (of another log than those that are trusted), PROOF_INVALID.
    """


class DownloadInvalid(ProofError):
    """Downloaded bytes have another SHA-256 or size than declared; the file was not kept."""

    def __init__(self, name: str, en: str, zh: str) -> None:
        super().__init__("DOWNLOAD_INVALID", f"{name}: {en}", f"{name}：{zh}", metadata={"name": name})


class EventGap(ProofError):
    """The event sequence has a hole: number `expected` is missing, `came` was sent instead."""

    def __init__(self, expected: int, came: int) -> None:
        super().__init__(
            "EVENT_GAP",
            f"event {expected} is missing, {came} came instead, twice; call the authority",
            f"缺少第 {expected} 号事件，两次均收到第 {came} 号；请联系登记机构",
            metadata={"expected": str(expected), "came": str(came)},
        )
        self.expected = expected
        self.came = came


class ProtocolBroken(ProofError):
    """The peer broke the contract: an answer out of order, a message missing."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__("PROTOCOL_BROKEN", en, zh)
