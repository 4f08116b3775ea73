"""What goes through the sequencer and what comes out: commands, pieces of writing, answers and receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.cases.decision import Decision
from gateway.cases.model import Moment, Outcome
from gateway.storage.working import Wants, Working
from ledger.publish import SignedCheckpoint
from ledger.store import Ledger


class Overloaded(Exception):
    """The queue is full: nothing was taken, try again after a moment."""


class Unavailable(Exception):
    """The ledger cannot be written to now; nothing happened. The message says why, `reason` is an ErrorReason."""

    reason = "SHUTTING_DOWN"
    retry_seconds: float | None = 2.0


def stopping() -> Unavailable:
    """What a gateway that is about to end says to whatever it did not begin."""
    return Unavailable("服务正在停止；请稍后原样重试 / the service is stopping; resend the same bytes later")


class ClockBehind(Unavailable):
    """Our clock is behind the ledger's newest entry."""

    reason = "CLOCK_BEHIND"


class LedgerStopped(Unavailable):
    """The registry's ledger was found damaged: nothing more is entered until it was restored and the server started."""

    reason = "LEDGER_DAMAGED"
    retry_seconds = None  # waiting does not help


class WitnessesMissing(Unavailable):
    """The registry's setting stops its acts while too few witnesses cosign its checkpoints, or the witnesses have not
    been asked yet since the start what they know.
    """

    reason = "WITNESS_QUORUM_MISSING"
    retry_seconds = 10.0


@dataclass(slots=True)
class Command:
    """One verified act on its way to the ledger.

    `payload` is the PAE of what was signed, kept as evidence beside `evidence` (signatures, certificates, verdicts).
    `decide` is pure given the working set; it may raise CommandRefused, which leaves nothing behind. `evidence` is
    called after it and may tell what the decision saw.
    """

    registry: str
    institution: str
    request_id: str
    payload_sha256: str
    payload: bytes
    evidence: Callable[[], bytes]
    wants: Wants
    decide: Callable[[Working, Moment], Decision]
    future: Future[Answer] = field(default_factory=Future)
    waiter: asyncio.Future[Answer] | None = None


def own_command(
    registry: str,
    request_id: str,
    payload: bytes,
    payload_sha256: str,
    wants: Wants,
    decide: Callable[[Working, Moment], Decision],
    *,
    evidence: Callable[[], bytes] = lambda: b"{}",
) -> Command:
    """A command of the gateway's own, which nobody sends and nobody signs: a clock's, a seal's, a fetched list's."""
    return Command(
        registry=registry,
        institution="",
        request_id=request_id,
        payload_sha256=payload_sha256,
        payload=payload,
        evidence=evidence,
        wants=wants,
        decide=decide,
    )


@dataclass(slots=True)
class Work:
    """A piece of writing that is no ledger entry (the row of an uploaded file), done in a batch's transaction.

    A batch that fails is tried again item by item, so `work` may run twice; only the run that committed counts.
    """

    work: Callable[[Connection], Any]
    future: Future[Any] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What proves that an entry is in the ledger. `checkpoint` is None while publication is pending."""

    registry: str
    origin: str
    index: int
    entry: bytes
    entry_hash: bytes
    checkpoint: bytes | None
    inclusion_proof: tuple[bytes, ...]
    payload_salt: bytes
    outcome_salt: bytes
    outcome_part: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome with the receipt of its entry."""

    outcome: Outcome
    receipt: Receipt
    replayed: bool = False


def read_receipt(
    connection: Connection,
    ledger: Ledger,
    registry: str,
    index: int,
    signed: SignedCheckpoint | None,
    proof: tuple[bytes, ...],
) -> Receipt:
    """The receipt of an entry that is already in the ledger."""
    head = ledger.head(connection, registry, for_update=False)
    entry = ledger.read_entry(connection, registry, index)
    payload_salt, _ = ledger.read_part(connection, registry, index, "evidence/payload")
    outcome_salt, outcome_part = ledger.read_part(connection, registry, index, "outcome")
    return Receipt(
        registry=registry,
        origin=head.origin,
        index=index,
        entry=entry.data,
        entry_hash=entry.entry_hash(),
        checkpoint=signed.note if signed else None,
        inclusion_proof=proof,
        payload_salt=payload_salt,
        outcome_salt=outcome_salt,
        outcome_part=outcome_part,
    )
