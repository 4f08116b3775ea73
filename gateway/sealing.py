"""After a booking, outside the lock and idempotent: render, seal, store, log; recovery is the same code.

A certificate is a right's evidence from its booking on (NUMBERED); its PDF follows. A crash leaves certificates
NUMBERED; at start-up they are found in the views and finished here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.applications.events import counter_name
from gateway.applications.seal_keys import may_seal
from gateway.applications.sealing import Seal, SealRetired, decide_sealed, request_id
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, CertificateNumbered
from gateway.cases.model import Moment
from gateway.certificates.content import decode_content
from gateway.certificates.proof import LedgerProof
from gateway.certificates.seal import CertificateSealer, SealingRefusedError
from gateway.commands import Command
from gateway.kinds.funds_due import due_now
from gateway.sequencer import Sequencer
from gateway.storage import tables as t
from gateway.storage.files import FileStore
from gateway.storage.queries import Queries
from gateway.storage.working import Row, Wants, Working
from gateway.telemetry import metrics
from signing.envelope import pae
from signing.errors import PinRefused, SealUnknown, SignerUnavailable

log = logging.getLogger(__name__)

SEALED_TYPE = "application/vnd.diya.sealed.v1+json"

#: Waits before a failed certificate is tried again, seconds; the last one repeats.
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0)


#: What a seal that cannot be used now is told by: nothing is wrong with the certificate, so the others wait too.
SEAL_DOWN = frozenset({SignerUnavailable.reason, PinRefused.reason, SealUnknown.reason})


class Sealing:
    """A queue of certificates to seal and the tasks that work on it.

    While a registry's seal does not answer, its certificates stay NUMBERED and wait; one of them is tried again and
    again, and when it is sealed the others follow.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        files: FileStore,
        sealer: CertificateSealer,
        workers: int,
        clock: Callable[[], dt.datetime],
        until_cosigned: Callable[[str, int], Awaitable[None]],
    ) -> None:
        """`until_cosigned` waits, not for ever, until the registry's witnesses cover an entry."""
        self._sequencer = sequencer
        self._queries = queries
        self._files = files
        self._sealer = sealer
        self._workers = workers
        self._clock = clock
        self._until_cosigned = until_cosigned
        self._queue: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[
            str, list[str]
        ] = {}  # registry whose seal is down -> certificates that wait for it

    async def start(self, registries: Sequence[str]) -> None:
        """Find what a crash left, then work."""
        for registry in registries:
            for identifier in await self._queries.unsealed_certificates(registry):
                self._queue.put_nowait((registry, identifier, 0))
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]

    async def stop(self) -> None:
        """Stop after the certificates in hand; the rest is found again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def committed(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        """Queue the certificates that a commit numbered; called on the event loop."""
        for effect in effects:
            if isinstance(effect, CertificateNumbered):
                self._queue.put_nowait((registry, effect.identifier, 0))

    async def _work(self) -> None:
        while True:
            registry, identifier, tried = await self._queue.get()
            try:
                if registry in self._waiting and not tried:
                    self._waiting[registry].append(identifier)
                elif not await self._is_sealed(registry, identifier):
                    metrics.certificate("failed")
                    asyncio.get_running_loop().call_later(
                        RETRY_SECONDS[min(tried, len(RETRY_SECONDS) - 1)],
                        self._queue.put_nowait,
                        (registry, identifier, tried + 1),
                    )
            finally:
                self._queue.task_done()

    async def _is_sealed(self, registry: str, identifier: str) -> bool:
        """Seal it unless it was; False when that failed. The log names the entry that numbered it, never its number."""
        entry = None
        try:
            row = await self._queries.certificate(registry, identifier)
            if row is not None and not row["pdf_sha256"]:
                entry = row["entry_index"]
                await self._seal(registry, identifier, row)
                self.go_on(registry)
        except SealRetired:
            log.info("certificate is sealed once more, its seal's key was retired meanwhile")
            return False
        except SealingRefusedError as error:
            if error.cause not in SEAL_DOWN:
                log.exception("certificate not sealed", extra={"registry": registry, "entry": entry})
            elif registry not in self._waiting:
                self._waiting[registry] = []
                metrics.signer(registry, "seal", down=True)
                log.error(
                    "the seal does not answer, certificates wait: %s", error, extra={"registry": registry}
                )
            return False
        except Exception:
            log.exception("certificate not sealed", extra={"registry": registry, "entry": entry})
            return False
        return True

    def go_on(self, registry: str) -> None:
        """The registry's seal answers again, or is another: whatever waits for it is sealed now."""
        waiting = self._waiting.pop(registry, None)
        if waiting is None:
            return
        metrics.signer(registry, "seal", down=False)
        log.info("the seal answers again, %d certificates waited", len(waiting), extra={"registry": registry})
        for identifier in waiting:
            self._queue.put_nowait((registry, identifier, 0))

    async def _seal(self, registry: str, identifier: str, row: Row) -> None:
        """One certificate: from its content and its entry's proof to a logged, sealed PDF."""
        await self._until_cosigned(registry, row["entry_index"])
        proof: LedgerProof = await self._queries.certificate_proof(registry, row["entry_index"], row["part"])
        content = await self._queries.part(registry, row["entry_index"], row["part"])
        pdf, key_id = await self._sealer.seal(content, proof, at=self._clock())
        sha256 = await asyncio.to_thread(self._files.put, pdf)
        seal = Seal(
            registry=registry,
            identifier=identifier,
            application_id=row["application_id"],
            case_number=decode_content(content).case_number,
            institutions=tuple(row["institutions"].split(",")),
            pdf_sha256=sha256,
            size_bytes=len(pdf),
            seal_key_id=key_id,
        )
        await self._sequencer.ask(_command(seal))


def _command(seal: Seal) -> Command:
    payload = pae(SEALED_TYPE, msgspec.json.encode(seal))
    digest = hashlib.sha256(payload).hexdigest()

    def decide(working: Working, moment: Moment) -> Decision:
        if not may_seal(working.settings.seals, seal.seal_key_id):
            raise SealRetired("印章密钥已停用，重新签章", "the seal key was retired: it is sealed once more")
        known = [u for u in seal.institutions if u in working.settings.institutions]
        counters = {counter_name(u): working.counter(counter_name(u)) for u in known}
        return decide_sealed(seal, counters, digest, moment.now, leg_due=_is_leg_due(working, seal))

    return Command(
        registry=seal.registry,
        institution="",
        request_id=request_id(seal.identifier),
        payload_sha256=digest,
        payload=payload,
        evidence=lambda: b"{}",
        wants=Wants(
            certificates={seal.identifier},
            applications={seal.application_id},
            counters={counter_name(u) for u in seal.institutions},
        ),
        decide=decide,
    )


def _is_leg_due(working: Working, seal: Seal) -> bool:
    """Whether this seal is the last that a leg of the funds plan waited for."""
    row = working.application(seal.application_id)
    if row is None or not due_now(row, sealed=True):
        return False
    others = [one for one in row.certificates if one != seal.identifier]
    return all(
        (found := working.row(t.certificate, one)) is not None and found["sealed_at"] for one in others
    )
