"""Prometheus metrics and structured logging: one closed list of names, no personal data.

Label values come from closed sets (methods, reasons, kinds, registries); a name, number, digest or unit code is never
a label. What is counted as it happens is here; what a scrape reads off the gateway at that instant, such as how long
the oldest case has waited, is in `gateway/readings.py`.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import time
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.register.reasons import REASONS

_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

#: Stands for a code that is not of our lists: a registrar may write grounds of any code, a label may not hold them.
OTHER = "OTHER"


class Metrics:
    """Every counter of this process. `collectors` is what the metrics endpoint serves beside the readings."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry(auto_describe=True)
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self._calls = counter("diya_rpc_total", "Calls answered, by status code", "method", "code")
        self._latency = histogram("diya_rpc_seconds", "Time from call to answer", _LATENCY_SECONDS, "method")
        self._refused = counter(
            "diya_rpc_refused_total", "Calls refused, by reason (ErrorReason)", "method", "reason"
        )
        self._outcomes = counter(
            "diya_outcomes_total",
            "Answers of the law: kind of request, act that was answered (kind of entry, or rehearsal), result",
            "kind",
            "act",
            "result",
        )
        self._findings = counter(
            "diya_findings_total", "Findings given, by kind of request and code", "kind", "code"
        )
        self._late = counter(
            "diya_deadline_breached_total",
            "Cases whose deadline passed undecided, once each",
            "registry",
            "kind",
        )
        self._batch = histogram(
            "diya_batch_commands", "Commands and rows of uploads in one commit", _BATCH_COMMANDS
        )
        self._commit = histogram(
            "diya_commit_seconds", "Time of a commit: lock, load, decide, append, sync", _LATENCY_SECONDS
        )
        self._not_committed = counter("diya_commit_failed_total", "Batches that could not be committed")
        self._entries = gauge("diya_ledger_entries", "Entries in the ledger", "registry")
        self._covered = gauge(
            "diya_checkpoint_entries", "Entries that the newest checkpoint covers", "registry"
        )
        self._age = gauge(
            "diya_checkpoint_age_seconds",
            "Time since the newest checkpoint was signed; before the first one of this run, since its last entry",
            "registry",
        )
        self._published_at: dict[str, float] = {}
        self._unpublished = counter(
            "diya_publish_failed_total", "Checkpoints that could not be signed", "registry"
        )
        self._cosigned = gauge(
            "diya_cosigned_entries",
            "Entries under the newest checkpoint that a quorum of the witnesses cosigned",
            "registry",
        )
        self._witness_down = gauge(
            "diya_witness_down", "1 while the witness does not cosign", "registry", "witness"
        )
        self._witness_failed = counter(
            "diya_witness_failed_total", "Times that a witness did not cosign", "registry", "witness"
        )
        self._revocation_age = gauge(
            "diya_revocation_age_seconds",
            "Age of the newest list or answer fetched below an anchor in this run",
            "registry",
            "anchor",
        )
        self._revocation_at: dict[tuple[str, str], float] = {}
        self._revocation_down = gauge(
            "diya_revocation_sources_down",
            "Sources of an anchor that gave nothing when last asked",
            "registry",
            "anchor",
        )
        self._revocation_failed = counter(
            "diya_revocation_failed_total",
            "Times that a source gave nothing that holds",
            "registry",
            "anchor",
        )
        self._revocation_watched = gauge(
            "diya_revocation_watched",
            "Certificates that responders are asked about: of registered keys and authorities, or of others",
            "registry",
            "whose",
        )
        self._revocation_let_go = counter(
            "diya_revocation_let_go_total",
            "Certificates of others that are not asked about any more, for those that came after them",
            "registry",
        )
        self._graced = counter(
            "diya_revocation_grace_total",
            "Certificates believed though all evidence about them had ended",
            "anchor",
        )
        self._tiles = counter(
            "diya_tile_requests_total",
            "Requests of a ledger over plain HTTP: what was asked for, HTTP status of the answer",
            "kind",
            "status",
        )
        self._signatures = counter(
            "diya_signatures_total",
            "Signatures judged: of an envelope or in a file; ok, or the reason of the refusal",
            "subject",
            "result",
        )
        self._files = counter(
            "diya_files_checked_total", "Files checked when uploaded: ok, or each problem found", "result"
        )
        self._certificates = counter(
            "diya_certificates_total",
            "Certificates numbered, sealed, of these without the stamp that was to be had, or tried in vain",
            "step",
        )
        self._timestamps = counter(
            "diya_timestamps_total",
            "Time stamps asked for, on seals and checkpoints: ok, or the reason of the failure",
            "registry",
            "subject",
            "result",
        )
        self._timestamp_down = gauge(
            "diya_timestamp_down", "1 while the registry's time stamp authority gives no token", "registry"
        )
        self._stamped = gauge(
            "diya_stamped_entries", "Entries under the newest checkpoint with a time stamp", "registry"
        )
        self._signer_down = gauge(
            "diya_signer_down",
            "1 while a key does not sign: seal (certificates wait) or checkpoint (receipts are pending)",
            "registry",
            "use",
        )
        self._not_after = gauge(
            "diya_key_not_after_seconds",
            "Unix time until which the certificate in use is valid; registry is all for the connection's",
            "registry",
            "use",
        )
        self._uploads = counter("diya_upload_bytes_total", "Bytes of files received")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.collectors)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.collectors)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.collectors, buckets=tuple(buckets))

    def call_answered(self, method: str, code: str, seconds: float) -> None:
        """An rpc ended."""
        self._calls.labels(method, code).inc()
        self._latency.labels(method).observe(seconds)

    def call_refused(self, method: str, reason: str) -> None:
        """An rpc was refused with an ErrorReason."""
        self._refused.labels(method, reason).inc()

    def outcome(self, kind: str, act: str, result: str, codes: Iterable[str]) -> None:
        """The law answered. `kind` is NONE for an act on no application, such as a change of the rules."""
        self._outcomes.labels(kind, act, result).inc()
        for code in codes:
            self._findings.labels(kind, code if code in REASONS else OTHER).inc()

    def deadline_breached(self, registry: str, kind: str) -> None:
        """A case's last day is over, and it is not decided."""
        self._late.labels(registry, kind).inc()

    def batch_committed(self, commands: int, seconds: float) -> None:
        """One group commit."""
        self._batch.observe(commands)
        self._commit.observe(seconds)

    def commit_failed(self) -> None:
        """A group commit was rolled back."""
        self._not_committed.inc()

    def grown(self, registry: str, entries: int) -> None:
        """A registry's ledger has so many entries."""
        self._entries.labels(registry).set(entries)

    def published(self, registry: str, entries: int, at: float | None = None) -> None:
        """A checkpoint over so many entries is signed, now or at a Unix time."""
        self._covered.labels(registry).set(entries)
        known = registry in self._published_at
        self._published_at[registry] = time.time() if at is None else at
        if not known:
            self._age.labels(registry).set_function(partial(self._checkpoint_age, registry))

    def _checkpoint_age(self, registry: str) -> float:
        return max(time.time() - self._published_at[registry], 0.0)

    def publish_failed(self, registry: str) -> None:
        """A checkpoint could not be signed; entries are safe, receipts are pending."""
        self._unpublished.labels(registry).inc()

    def cosigned(self, registry: str, entries: int) -> None:
        """A quorum of the witnesses cosigned a checkpoint over so many entries."""
        self._cosigned.labels(registry).set(entries)

    def witness_asked(self, registry: str, witness: str, *, ok: bool) -> None:
        """A witness, by its key id, cosigned or did not."""
        self._witness_down.labels(registry, witness).set(0 if ok else 1)
        failed = self._witness_failed.labels(registry, witness)
        if not ok:
            failed.inc()

    def revocation_asked(self, registry: str, anchor: str, *, ok: bool) -> None:
        """A source below an anchor, by the beginning of its digest, gave evidence or did not."""
        failed = self._revocation_failed.labels(registry, anchor)
        if not ok:
            failed.inc()

    def revocation_down(self, registry: str, anchor: str, sources: int) -> None:
        """So many sources of the anchor gave nothing when last asked."""
        self._revocation_down.labels(registry, anchor).set(sources)

    def revocation_evidence(self, registry: str, anchor: str, at: float) -> None:
        """Evidence below the anchor is as of this Unix time."""
        key = (registry, anchor)
        known = self._revocation_at.get(key)
        self._revocation_at[key] = at if known is None else max(known, at)
        if known is None:
            self._revocation_age.labels(registry, anchor).set_function(partial(self._age_of_evidence, key))

    def revocation_watched(self, registry: str, standing: int, passing: int) -> None:
        """Responders are asked about so many certificates of registered keys and authorities, and of others."""
        self._revocation_watched.labels(registry, "standing").set(standing)
        self._revocation_watched.labels(registry, "passing").set(passing)
        self._revocation_let_go.labels(registry)

    def revocation_let_go(self, registry: str, certificates: int) -> None:
        """So many certificates of others made room."""
        self._revocation_let_go.labels(registry).inc(certificates)

    def _age_of_evidence(self, key: tuple[str, str]) -> float:
        return max(time.time() - self._revocation_at[key], 0.0)

    def decided_in_grace(self, anchor: str) -> None:
        """A certificate below the anchor was believed in the grace of its policy."""
        self._graced.labels(anchor).inc()

    def tile_answered(self, kind: str, status: int) -> None:
        """A request of a ledger over plain HTTP: `checkpoint`, `tile`, `entries`, `other` for what is no resource."""
        self._tiles.labels(kind, str(status)).inc()

    def signature(self, subject: str, result: str) -> None:
        """A signature was judged: subject `envelope` or `file`, result `ok` or a reason."""
        self._signatures.labels(subject, result).inc()

    def file_checked(self, result: str) -> None:
        """A file was checked: `ok`, or once for each code of a problem."""
        self._files.labels(result).inc()

    def certificate(self, step: str) -> None:
        """A certificate was numbered, sealed, sealed without its stamp (`unstamped` too), or failed to be."""
        self._certificates.labels(step).inc()

    def signer(self, registry: str, use: str, *, down: bool) -> None:
        """A registry's key, of use `seal` or `checkpoint`, stopped answering or answers again."""
        self._signer_down.labels(registry, use).set(int(down))

    def key_not_after(self, registry: str, use: str, until: dt.datetime) -> None:
        """Until when the certificate of a key in use, `seal`, `national_seal` or `connection`, is valid."""
        self._not_after.labels(registry, use).set(until.timestamp())

    def timestamp(self, registry: str, subject: str, result: str) -> None:
        """A time stamp was asked for: subject `seal`, `statement` or `checkpoint`, result `ok` or a reason."""
        self._timestamps.labels(registry, subject, result).inc()
        self._timestamp_down.labels(registry).set(0 if result == "ok" else 1)

    def stamped(self, registry: str, entries: int) -> None:
        """The newest checkpoint with a time stamp covers so many entries."""
        self._stamped.labels(registry).set(entries)

    def uploaded(self, size_bytes: int) -> None:
        """A file came in."""
        self._uploads.inc(size_bytes)


metrics = Metrics()

#: What a log line may carry beside its text, a closed list: none of these holds a name or anybody's number.
_EXTRAS = ("incident", "registry", "entry", "prompt", "damage")


def _where_not_what(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """An exception as its type and the lines it passed: messages and locals may hold names and numbers."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__qualname__
        event["where"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames[-12:]]
    return event


def configure_logging(*, json: bool, level: int = logging.INFO) -> None:
    """One line an event on standard error: JSON for machines, plain for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(_EXTRAS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where_not_what,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
