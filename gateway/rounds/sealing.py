"""After a booking, outside the lock and idempotent: render, seal, store, log; recovery is the same code.

A certificate is a right's evidence from its booking on (NUMBERED); its PDF follows. A crash leaves certificates
NUMBERED; at start-up they are found in the views and finished here.

Where the registry's settings name a time stamp authority, its token goes into the seal (PAdES B-T). While none is to be
had, certificates wait here, NUMBERED, as long as the settings say; nothing of theirs is kept meanwhile.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from gateway.applications.events import counter_name
from gateway.applications.seal_keys import may_seal
from gateway.applications.sealing import Seal, SealRetired, decide_sealed, request_id
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, CertificateNumbered
from gateway.cases.model import Moment
from gateway.certificates.content import decode_content
from gateway.certificates.proof import LedgerProof
from gateway.certificates.seal import SealingRefusedError
from gateway.commands import Command, own_command
from gateway.keyring.stamped_seals import StampedSeals, StampMissing
from gateway.kinds.funds_due import due_now
from gateway.rounds.timestamping import Authority
from gateway.sequencer import Sequencer
from gateway.storage import tables as t
from gateway.storage.files import FileStore
from gateway.storage.queries import Queries
from gateway.storage.working import Row, Wants, Working
from gateway.telemetry import metrics
from ledger.entry import parse_entry
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
        seals: StampedSeals,
        workers: int,
        clock: Callable[[], dt.datetime],
        until_cosigned: Callable[[str, int], Awaitable[None]],
        authorities: Mapping[str, Authority],
    ) -> None:
        """`until_cosigned` waits, not for ever, until the registry's witnesses cover an entry.

        `authorities`: the time stamp authority of each registry that has one.
        """
        self._sequencer = sequencer
        self._queries = queries
        self._files = files
        self._seals = seals
        self._workers = workers
        self._clock = clock
        self._until_cosigned = until_cosigned
        self._authorities = authorities
        self._awaiting_stamp: set[tuple[str, str]] = set()
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

    def seconds_to_stamp(self, registry: str, identifier: str) -> float | None:
        """In how many seconds the stamp that a certificate waits for is asked for again; None: it waits for none."""
        if (registry, identifier) not in self._awaiting_stamp:
            return None
        return self._authorities[registry].rest_seconds

    async def _work(self) -> None:
        while True:
            registry, identifier, tried = await self._queue.get()
            try:
                if registry in self._waiting and not tried:
                    self._waiting[registry].append(identifier)
                elif await self._is_sealed(registry, identifier):
                    self._awaiting_stamp.discard((registry, identifier))
                else:
                    metrics.certificate("failed")
                    self._later(
                        RETRY_SECONDS[min(tried, len(RETRY_SECONDS) - 1)], registry, identifier, tried + 1
                    )
            except StampMissing:
                self._awaiting_stamp.add((registry, identifier))
                self._later(self._authorities[registry].rest_seconds, registry, identifier, tried)
            finally:
                self._queue.task_done()

    def _later(self, seconds: float, registry: str, identifier: str, tried: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._queue.put_nowait, (registry, identifier, tried))

    async def _is_sealed(self, registry: str, identifier: str) -> bool:
        """Seal it unless it was; False when that failed. The log names the entry that numbered it, never its number.

        Raises StampMissing.
        """
        entry = None
        try:
            row = await self._queries.certificate(registry, identifier)
            if row is not None and not row["pdf_sha256"]:
                entry = row["entry_index"]
                await self._seal(registry, identifier, row)
                self.go_on(registry)
        except StampMissing:
            raise
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
        waited = self._clock() - parse_entry(proof.entry).time
        made = await self._seals.document(registry, content, proof, lambda one: one.may_be_missing(waited))
        if made.stamped is False:
            metrics.certificate("unstamped")
        pdf, key_ids = made.data, made.key_ids
        sha256 = await asyncio.to_thread(self._files.put, pdf)
        seal = Seal(
            registry=registry,
            identifier=identifier,
            application_id=row["application_id"],
            case_number=decode_content(content).case_number,
            institutions=tuple(row["institutions"].split(",")),
            pdf_sha256=sha256,
            size_bytes=len(pdf),
            seal_key_id=key_ids[0],
            national_key_id="".join(key_ids[1:]),
        )
        await self._sequencer.ask(_command(seal))


def _command(seal: Seal) -> Command:
    payload = pae(SEALED_TYPE, msgspec.json.encode(seal))
    digest = hashlib.sha256(payload).hexdigest()

    def decide(working: Working, moment: Moment) -> Decision:
        terms = working.settings.seals
        first = may_seal(terms, seal.seal_key_id)
        if not first or not may_seal(terms, seal.national_key_id, national=True):
            raise SealRetired("印章密钥已停用，重新签章", "the seal key was retired: it is sealed once more")
        known = [u for u in seal.institutions if u in working.settings.institutions]
        counters = {counter_name(u): working.counter(counter_name(u)) for u in known}
        return decide_sealed(seal, counters, digest, moment.now, leg_due=_is_leg_due(working, seal))

    wants = Wants(
        certificates={seal.identifier},
        applications={seal.application_id},
        counters={counter_name(u) for u in seal.institutions},
    )
    return own_command(seal.registry, request_id(seal.identifier), payload, digest, wants, decide)


def _is_leg_due(working: Working, seal: Seal) -> bool:
    """Whether this seal is the last that a leg of the funds plan waited for."""
    row = working.application(seal.application_id)
    if row is None or not due_now(row, sealed=True):
        return False
    others = [one for one in row.certificates if one != seal.identifier]
    return all(
        (found := working.row(t.certificate, one)) is not None and found["sealed_at"] for one in others
    )
