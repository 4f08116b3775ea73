"""The one ordered path into the ledger: group commit, one batch one transaction on one thread.

The loop is self-clocking: while a batch is committed the next gathers, so light load waits for nothing and heavy load
shares one sync. Per batch and registry: lock the head → read the clock once → load all state in a few queries →
decide each command in order, in memory → entries and view rows by executemany → COMMIT (before this line nothing
happened, after it everything did) → publish a checkpoint → answer, each with its receipt.

A queued command cannot be cancelled: whoever waits may stop waiting, the command is still decided.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import msgspec
from sqlalchemy import Connection, Engine

from gateway.applications.deadlines import BREACHED
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, ApplicationRecorded, encode_effects
from gateway.cases.errors import CommandRefused, RequestIdReused
from gateway.cases.model import Moment, Outcome
from gateway.certificates.content import encode_content
from gateway.certificates.extract import EXTRACT_PART
from gateway.commands import (
    Answer,
    ClockBehind,
    Command,
    LedgerStopped,
    Overloaded,
    Receipt,
    WitnessesMissing,
    Work,
    read_receipt,
    stopping,
)
from gateway.ids import uuid7
from gateway.storage import tables as t
from gateway.storage.settings import Settings, load_settings
from gateway.storage.working import Wants, Working
from gateway.telemetry import metrics
from ledger.erasure import ERASED_KEYS, list_keys
from ledger.errors import (
    LedgerDamagedError,
    PartErasedError,
    ProofError,
    RolledBackError,
    SecondSignerError,
    SignerMismatchError,
)
from ledger.publish import Publisher, SignedCheckpoint
from ledger.store import Appended, EntryDraft, Head, Ledger, PartDraft
from signing.errors import SignerUnavailable, SigningError

log = logging.getLogger(__name__)

#: A batch never holds more commands than this; the rest wait for the next.
BATCH_COMMANDS_MAX = 256

#: A batch waits at most this long for commands that are being verified.
GATHER_SECONDS_MAX = 0.02

#: Commands waiting beyond this are refused with RESOURCE_EXHAUSTED.
QUEUE_COMMANDS_MAX = 4096

#: Our clock may be behind the ledger's newest entry by this much before we refuse to write.
CLOCK_BEHIND_SECONDS_MAX = 2.0

#: Checkpoints that could not be signed are tried again when nothing else has come for so long.
PUBLISH_RETRY_SECONDS = 2.0

#: Bytes of randomness handed to each decision (certificate codes).
ENTROPY_BYTES = 128

#: Errors that say that stored rows contradict each other or what was signed: a person must look.
DAMAGE = (LedgerDamagedError, RolledBackError, SecondSignerError, SignerMismatchError, ProofError)

_STOPPED = (
    "该登记机构的账本存储已损坏，停止受理；请联系登记机构 / "
    "the stored ledger of this registry is damaged and nothing is entered; call the authority"
)

_HELD = (
    "账本检查点未获足够见证，按设置暂停受理，或者启动后尚在询问见证人；请稍后原样重试 / "
    "too few witnesses cosign this registry's checkpoints, and its setting stops its acts, or they are still being "
    "asked after a start; resend the same bytes later"
)

T = TypeVar("T")

_encode_outcome = msgspec.json.Encoder().encode
_decode_outcome = msgspec.json.Decoder(Outcome).decode


_Reply: TypeAlias = tuple[Command, Answer | Exception]


@dataclass(slots=True)
class _Decided:
    command: Command
    decision: Decision
    draft: EntryDraft
    outcome_part: bytes


@dataclass(slots=True)
class _Batch:
    """What one registry's share of a batch came to."""

    registry: str
    decided: list[_Decided] = field(default_factory=list)
    replays: list[tuple[Command, int]] = field(default_factory=list)
    refused: list[tuple[Command, Exception]] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)
    origin: str = ""
    settings: Settings | None = None


class Sequencer:
    """Owns the writer thread and its connection; the only code that appends to the ledger."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        publisher: Publisher,
        *,
        clock: Callable[[], dt.datetime],
        entropy: Callable[[int], bytes] = os.urandom,
        on_commit: Callable[[str, Sequence[AnyEffect]], None] | None = None,
        on_damage: Callable[[], None] | None = None,
    ) -> None:
        """On this thread `on_commit` is told the effects of each commit, `on_damage` that a ledger is damaged."""
        self._engine = engine
        self._ledger = ledger
        self._publisher = publisher
        self._clock = clock
        self._entropy = entropy
        self._on_commit = on_commit
        self._on_damage = on_damage
        self._damaged: set[str] = set()  # registries whose ledger contradicts itself: nothing more is entered
        self.coming: Callable[[], bool] = bool  # whether more is on its way; set once, before serving
        self.is_held: Callable[[str], bool] = (
            _never  # whether a registry's acts wait for witnesses; set once too
        )
        self.is_replaced: Callable[[], bool] = (
            bool  # whether the database is another file than was opened; set once
        )
        self._queue: queue.SimpleQueue[Command | Work | None] = queue.SimpleQueue()
        self._arrivals: deque[float] = deque()  # when each item that is not yet answered came, oldest first
        self._settings: dict[str, Settings] = {}
        self._late: set[str] = set()  # registries whose last checkpoint could not be signed
        self._unsure: set[str] = set()  # registries whose last commit failed: read their settings again
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._stopping = False
        self.is_draining = False

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    def stop(self) -> None:
        """Decide what is queued, then end the thread; no acknowledged work is lost."""
        self._stopping = True
        self._queue.put(None)
        self._thread.join()

    def drain(self) -> Future[None]:
        """Refuse the commands that wait and those that come; done when what is in hand is committed and answered.

        For a stop that cannot wait for all that is queued: whatever is entered is answered, whatever is not is told so.
        """
        self.is_draining = True
        return self.run(lambda _: None)

    def submit(self, command: Command) -> Future[Answer]:
        """Queue a command; raises Overloaded or Unavailable at once when it cannot be taken."""
        self.take(command)
        return command.future

    def ask(self, command: Command) -> asyncio.Future[Answer]:
        """`submit` from an event loop: the future belongs to the running loop.

        A batch's answers wake a loop once, not one by one. Cancelling the future only stops the waiting.
        """
        command.waiter = asyncio.get_running_loop().create_future()
        self.take(command)
        return command.waiter

    def run(self, work: Callable[[Connection], T]) -> Future[T]:
        """Queue a piece of writing onto the one writing connection; the future holds its result once it is durable.

        Raises Overloaded or Unavailable at once, as `submit` does.
        """
        item = Work(work)
        self.take(item)
        return item.future

    def enter(self, connection: Connection, command: Command) -> Appended:
        """Decide and append one command in the caller's transaction, without the thread.

        For a tool that holds the writer's lock while no gateway runs. Raises what `submit` answers with.
        """
        batch = self._decide(connection, command.registry, [command])
        for _, refusal in batch.refused:
            raise refusal
        return batch.appended[0]

    def take(self, item: Command | Work) -> None:
        """Queue an item, from any thread; raises Overloaded or Unavailable at once when it cannot be taken."""
        if self._stopping:
            raise stopping()
        if self._queue.qsize() >= QUEUE_COMMANDS_MAX:
            raise Overloaded
        # From here on a cancel() by whoever waits does nothing: what is queued is done, and always answered.
        item.future.set_running_or_notify_cancel()
        self._arrivals.append(time.monotonic())
        self._queue.put(item)

    @property
    def depth(self) -> int:
        """Commands that wait."""
        return self._queue.qsize()

    def waiting(self) -> tuple[int, float]:
        """Items taken and not yet answered, in hand or queued, and how long the oldest has waited, seconds."""
        try:
            return len(self._arrivals), time.monotonic() - self._arrivals[0]
        except IndexError:
            return 0, 0.0

    @property
    def is_damaged(self) -> bool:
        """Whether a ledger was found damaged and its acts are refused."""
        return bool(self._damaged)

    def settings(self, registry: str) -> Settings:
        """The registry's settings as of the last commit."""
        return self._settings.get(registry) or Settings()

    def load(self, registry: str) -> None:
        """Read a registry's settings before serving it."""
        with self._engine.begin() as connection:
            self._settings[registry] = _settings_to_judge_by(connection, registry)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (items := self._gather()) is not None:
            if items:
                self._process(items)
                for _ in items:
                    self._arrivals.popleft()

    def _gather(self) -> list[Command | Work] | None:
        """Everything that waits, up to the cap; None when the sequencer is to end.

        While more is on its way (being verified), it waits for it, but never long: on few cores verification and this
        thread take turns, and without the wait every batch would be small and pay its fixed cost for little.
        """
        try:
            first = self._queue.get(timeout=PUBLISH_RETRY_SECONDS if self._late else None)
        except queue.Empty:
            self._publish_late()
            return []
        if first is None:
            return None
        items = [first]
        until = time.monotonic() + GATHER_SECONDS_MAX
        while len(items) < BATCH_COMMANDS_MAX:
            wait = until - time.monotonic() if self.coming() else 0.0
            try:
                following = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            items.append(following)
        return items

    def _process(self, items: list[Command | Work]) -> None:
        works = [item for item in items if isinstance(item, Work)]
        commands = [item for item in items if isinstance(item, Command)]
        if self.is_draining:
            _deliver([(command, stopping()) for command in commands])
            commands = []
        try:
            results, batches = self._commit(works, commands)
        except Exception as error:
            metrics.commit_failed()
            self._unsure |= {c.registry for c in commands}
            if len(items) > 1:  # one item's defect must not fail its neighbours: each alone, once
                for item in items:
                    self._process([item])
                return
            log.exception("batch not committed")
            if isinstance(items[0], Command) and isinstance(error, DAMAGE):
                self.stop_registry(items[0].registry, error)
                error = LedgerStopped(_STOPPED)
            if isinstance(items[0], Command):
                _deliver([(items[0], error)])
            else:
                items[0].future.set_exception(error)
            return
        for work, result in zip(works, results, strict=True):
            work.future.set_result(result)
        for batch in batches:
            _deliver(self._answers(batch))
            effects = [effect for decided in batch.decided for effect in decided.decision.effects]
            if effects and self._on_commit is not None:
                self._on_commit(batch.registry, effects)

    def _commit(self, works: list[Work], commands: list[Command]) -> tuple[list[Any], list[_Batch]]:
        """Do the works, decide and append the commands, in one transaction. Leaving this method means durable."""
        by_registry: dict[str, list[Command]] = {}
        for command in commands:
            by_registry.setdefault(command.registry, []).append(command)
        started = time.perf_counter()
        with self._engine.begin() as connection:
            results = [work.work(connection) for work in works]
            batches = [self._decide(connection, registry, group) for registry, group in by_registry.items()]
        # ---- the commit point lies on the line above ----
        for batch in batches:
            if batch.settings is not None:
                self._settings[batch.registry] = batch.settings
                self._unsure.discard(batch.registry)
            _count(batch)
        metrics.batch_committed(len(works) + len(commands), time.perf_counter() - started)
        return results, batches

    def _decide(self, connection: Connection, registry: str, commands: list[Command]) -> _Batch:
        if self.is_replaced():
            raise LedgerDamagedError(
                registry, "the database", "its file was removed or replaced under the running gateway"
            )
        head = self._ledger.head(connection, registry, for_update=True)
        if registry not in self._damaged:
            self._publisher.check_progress(head)
        now = self._time(head)
        known = None if registry in self._unsure else self._settings.get(registry)
        settings = known or _settings_to_judge_by(connection, registry)
        working = Working(connection, registry, settings, self._ledger.subject)
        wants = Wants()
        for command in commands:
            wants.merge(command.wants)
        working.prefetch(wants)
        batch = _Batch(registry, origin=head.origin)
        seen: dict[tuple[str, str], Command] = {}
        for command in commands:
            self._decide_one(working, command, head.size + len(batch.decided), now, batch, seen)
        if batch.decided:
            batch.appended, _ = self._ledger.append(connection, head, [d.draft for d in batch.decided], now)
            working.flush()
        batch.settings = working.settings
        return batch

    def _time(self, head: Head) -> dt.datetime:
        """The batch's time: never before the newest entry (a clock that went back is refused, not followed)."""
        now = self._clock()
        if now < head.head_time:
            if (head.head_time - now).total_seconds() > CLOCK_BEHIND_SECONDS_MAX:
                raise ClockBehind(
                    "服务器时钟落后于账本；已停止登记，请通知运维 / "
                    "the server's clock is behind the ledger; nothing is written until it is right"
                )
            return head.head_time
        return now

    def _decide_one(
        self,
        working: Working,
        command: Command,
        index: int,
        now: dt.datetime,
        batch: _Batch,
        seen: dict[tuple[str, str], Command],
    ) -> None:
        """Replay, refuse or decide one command; only a decision takes an index."""
        known = working.row(t.request, command.institution, command.request_id)
        if known is not None:
            if known["payload_sha256"] == command.payload_sha256:
                batch.replays.append((command, known["entry_index"]))
            else:
                batch.refused.append((command, RequestIdReused(command.request_id)))
            return
        if command.registry in self._damaged:  # what was answered before is still told, above
            batch.refused.append((command, LedgerStopped(_STOPPED)))
            return
        if self.is_held(command.registry):
            batch.refused.append((command, WitnessesMissing(_HELD)))
            return
        drawn = self._entropy(10 + ENTROPY_BYTES)
        moment = Moment(now=now, index=index, application_id=str(uuid7(now, drawn[:10])), entropy=drawn[10:])
        try:
            decision = command.decide(working, moment)
        except CommandRefused as refusal:
            batch.refused.append((command, refusal))
            return
        draft, outcome_part = self._draft(command, decision)
        working.fold(index, decision.effects)
        batch.decided.append(_Decided(command, decision, draft, outcome_part))

    def _draft(self, command: Command, decision: Decision) -> tuple[EntryDraft, bytes]:
        """The entry's parts: evidence under the application's own key, effects under the registry's."""
        key = _application_of(decision) or "registry"
        outcome_part = _encode_outcome(decision.outcome)
        contents = [(f"certificate/{n}", encode_content(c)) for n, c in enumerate(decision.contents, start=1)]
        if decision.extract:
            contents.append((EXTRACT_PART, decision.extract))
        if decision.erases:
            contents.append((ERASED_KEYS, list_keys(decision.erases)))
        salts = self._entropy(32 * (4 + len(contents)))
        named = [
            ("evidence/payload", command.payload, key),
            ("evidence/verdicts", command.evidence(), key),
            ("outcome", outcome_part, key),
            ("effects", encode_effects(decision.effects), "registry"),
            *((name, content, "registry") for name, content in contents),
        ]
        parts = tuple(
            PartDraft(name=name, content=content, key_id=key_id, salt=salts[32 * n : 32 * n + 32])
            for n, (name, content, key_id) in enumerate(named)
        )
        return EntryDraft(kind=decision.kind, parts=parts), outcome_part

    # -- after the commit ----------------------------------------------------------------------------------------

    def _answers(self, batch: _Batch) -> list[_Reply]:
        """What each command of a committed batch is told."""
        replies: list[_Reply] = list(batch.refused)
        indexes = [a.index for a in batch.appended] + [index for _, index in batch.replays]
        signed, proofs = self._publish(batch.registry, indexes)
        for decided, appended in zip(batch.decided, batch.appended, strict=True):
            receipt = Receipt(
                registry=batch.registry,
                origin=batch.origin,
                index=appended.index,
                entry=appended.data,
                entry_hash=appended.entry_hash,
                checkpoint=signed.note if signed else None,
                inclusion_proof=tuple(proofs.get(appended.index, ())),
                payload_salt=decided.draft.parts[0].salt,
                outcome_salt=decided.draft.parts[2].salt,
                outcome_part=decided.outcome_part,
            )
            replies.append((decided.command, Answer(decided.decision.outcome, receipt)))
        for command, index in batch.replays:
            replies.append(
                (command, self._replayed(batch.registry, index, signed, tuple(proofs.get(index, ()))))
            )
        return replies

    def _publish(
        self, registry: str, indexes: list[int]
    ) -> tuple[SignedCheckpoint | None, dict[int, list[bytes]]]:
        """A checkpoint that covers the batch, and a proof for each index; (None, {}) when publication must wait."""
        if not indexes:
            return None, {}
        try:
            with self._engine.begin() as connection:
                signed = self._publisher.publish(connection, registry)
                proofs = self._publisher.prove_inclusions(connection, registry, indexes, signed.size)
        except Exception as error:
            # The entries are durable; only their checkpoint is late. GetReceipt gives it when publishing works again.
            metrics.publish_failed(registry)
            if registry not in self._late:
                log.exception("checkpoint not published", extra={"registry": registry})
            self._late.add(registry)
            if isinstance(error, SignerUnavailable):
                metrics.signer(registry, "checkpoint", down=True)
            if isinstance(error, DAMAGE):
                self._late.discard(registry)
                self.stop_registry(registry, error)
            return None, {}
        metrics.published(registry, signed.size)
        if registry in self._late:
            self._late.discard(registry)
            metrics.signer(registry, "checkpoint", down=False)
            log.info("checkpoints are signed again", extra={"registry": registry})
        return signed, proofs

    def _publish_late(self) -> None:
        """Checkpoints that are still to be signed, where nobody's act brings them about."""
        for registry in sorted(self._late):
            try:
                with self._engine.connect() as connection:
                    newest = self._ledger.head(connection, registry, for_update=False).size - 1
                    if registry in self._unsure:  # what was lost may have changed which keys sign
                        self._settings[registry] = _settings_to_judge_by(connection, registry)
            except Exception:
                log.exception("checkpoint not published", extra={"registry": registry})
                continue
            signed, _ = self._publish(registry, [newest])
            if signed is not None and self._on_commit is not None:
                self._on_commit(registry, ())  # witnesses, and whoever waits for a receipt

    def stop_registry(self, registry: str, error: Exception) -> None:
        """Enter nothing more for a registry, from any thread: what would be answered could perhaps never be proven."""
        if registry in self._damaged:
            return
        self._damaged.add(registry)
        # A damage is told by rows and indexes; no name or number of anybody is in it.
        log.critical(
            "ledger damaged, its acts are refused", extra={"registry": registry, "damage": str(error)}
        )
        if self._on_damage is not None:
            self._on_damage()

    def _replayed(
        self, registry: str, index: int, signed: SignedCheckpoint | None, proof: tuple[bytes, ...]
    ) -> Answer | Exception:
        """The stored outcome, word for word, perhaps under a newer checkpoint."""
        try:
            with self._engine.begin() as connection:
                receipt = read_receipt(connection, self._ledger, registry, index, signed, proof)
            return Answer(_decode_outcome(receipt.outcome_part), receipt, replayed=True)
        except PartErasedError as error:
            return error
        except Exception as error:
            log.exception("replay not answered")
            return error


def _never(_registry: str) -> bool:
    return False


def _settings_to_judge_by(connection: Connection, registry: str) -> Settings:
    """Settings with the store that judges by their trust: made here, where nobody on the event loop waits for it."""
    settings = load_settings(connection, registry)
    if settings.trust is not None:
        with suppress(SigningError):  # whoever judges by it is told
            _ = settings.trust.store
    return settings


def _count(batch: _Batch) -> None:
    """Tell the metrics what was answered: each decision once, whoever asked for it; replays decide nothing."""
    for decided in batch.decided:
        decision = decided.decision
        kinds = [e.application.kind.value for e in decision.effects if isinstance(e, ApplicationRecorded)]
        outcome = decision.outcome
        codes = [finding.code for finding in outcome.findings]
        metrics.outcome(kinds[0] if kinds else "NONE", decision.kind, outcome.result.value, codes)
        if decision.kind == BREACHED:
            metrics.deadline_breached(batch.registry, kinds[0])
    if batch.appended:
        metrics.grown(batch.registry, batch.appended[-1].index + 1)


def _application_of(decision: Decision) -> str:
    """The application whose key protects the evidence; empty for acts that belong to none."""
    return decision.outcome.application.rpartition("/")[2]


def _deliver(replies: Sequence[_Reply]) -> None:
    """Hand out answers: to threads one by one, to each event loop all at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Reply]] = {}
    for reply in replies:
        command, value = reply
        if command.waiter is not None:
            by_loop.setdefault(command.waiter.get_loop(), []).append(reply)
        elif isinstance(value, Exception):
            command.future.set_exception(value)
        else:
            command.future.set_result(value)
    for loop, group in by_loop.items():
        loop.call_soon_threadsafe(_wake, group)


def _wake(replies: Sequence[_Reply]) -> None:
    """On the event loop: whoever still waits gets the answer."""
    for command, value in replies:
        if command.waiter is None or command.waiter.done():
            continue
        if isinstance(value, Exception):
            command.waiter.set_exception(value)
        else:
            command.waiter.set_result(value)
