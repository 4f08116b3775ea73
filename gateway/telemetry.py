"""Prometheus metrics and structured logging: one closed list of names, no personal data.

Label values come from closed sets (methods, reasons, kinds, registries); a name, number or digest is never a label.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Every metric of the gateway. `collectors` is what the metrics endpoint serves."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self._calls = counter("diya_rpc_total", "Calls answered", "method", "code")
        self._latency = histogram("diya_rpc_seconds", "Time from call to answer", _LATENCY_SECONDS, "method")
        self._refused = counter("diya_rpc_refused_total", "Calls refused, by reason", "method", "reason")
        self._outcomes = counter("diya_outcomes_total", "Answers of the law", "kind", "result")
        self._findings = counter("diya_findings_total", "Findings given", "code")
        self._batch = histogram("diya_batch_commands", "Commands in a commit", _BATCH_COMMANDS)
        self._commit = histogram("diya_commit_seconds", "Time of a commit", _LATENCY_SECONDS)
        self._depth = gauge("diya_queue_depth", "Commands that wait for the sequencer")
        self._age = gauge("diya_queue_oldest_seconds", "Age of the oldest command that waits")
        self._size = gauge("diya_ledger_size", "Entries under the newest checkpoint", "registry")
        self._published = gauge(
            "diya_checkpoint_unixtime", "When the newest checkpoint was signed", "registry"
        )
        self._unpublished = counter(
            "diya_publish_failed_total", "Checkpoints that could not be signed", "registry"
        )
        self._signatures = counter("diya_signatures_total", "Signatures judged", "subject", "result")
        self._certificates = counter("diya_certificates_total", "Certificates", "step")
        self._unsealed = gauge("diya_certificates_unsealed", "Certificates numbered and not yet sealed")
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

    def outcome(self, kind: str, result: str, codes: Iterable[str]) -> None:
        """The law answered."""
        self._outcomes.labels(kind, result).inc()
        for code in codes:
            self._findings.labels(code).inc()

    def batch_committed(self, commands: int, seconds: float) -> None:
        """One group commit."""
        self._batch.observe(commands)
        self._commit.observe(seconds)

    def queue(self, depth: int, oldest_seconds: float) -> None:
        """The sequencer's queue as it stands."""
        self._depth.set(depth)
        self._age.set(oldest_seconds)

    def published(self, registry: str, size: int) -> None:
        """A checkpoint of this size is signed."""
        self._size.labels(registry).set(size)
        self._published.labels(registry).set(time.time())

    def publish_failed(self, registry: str) -> None:
        """A checkpoint could not be signed; entries are safe, receipts are pending."""
        self._unpublished.labels(registry).inc()

    def signature(self, subject: str, result: str) -> None:
        """A signature was judged: subject `envelope` or `file`, result `ok` or a reason."""
        self._signatures.labels(subject, result).inc()

    def certificate(self, step: str) -> None:
        """A certificate was numbered, sealed, or failed to be."""
        self._certificates.labels(step).inc()

    def unsealed(self, count: int) -> None:
        """Certificates that wait for their seal."""
        self._unsealed.set(count)

    def uploaded(self, size_bytes: int) -> None:
        """A file came in."""
        self._uploads.inc(size_bytes)


metrics = Metrics()

#: What a log line may carry beside its text, a closed list: none of these holds a name or anybody's number.
_EXTRAS = ("incident", "registry", "identifier", "prompt", "damage")


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
