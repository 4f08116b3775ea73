"""What is erased besides the keys, which go with their entry: files of erased cases, and uploads that nobody claimed.

Everything here is done again at every start: a crash leaves nothing half done, and what a backup brought back (a key,
a file) goes again, for the entry knows. All of it runs on the writing thread, between batches, in short pieces. Before
anything is served only the keys go again and the files that are to go are known (`is_going`): until a file is gone,
which may take long where many entries are still to be read, nobody reads it as an upload of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from gateway.cases.effects import AnyEffect, EvidenceErased
from gateway.sequencer import Sequencer
from gateway.storage.claims import ErasedCase, erase_files, erased_cases, expire_files, read_claims
from gateway.storage.files import FileStore
from gateway.storage.working import Row, instant
from ledger.store import Ledger

log = logging.getLogger(__name__)

#: Uploads that nobody claimed are looked for this often.
LOOK_SECONDS: Final = 3600.0

#: Entries whose files are noted in one piece of writing.
ENTRIES_AT_ONCE: Final = 200

#: So many entries lie between two lines of the log that tell how far the reading of a long ledger has come.
ENTRIES_TOLD: Final = 50_000

T = TypeVar("T")


class Eraser:
    """The task. `committed` is called on the event loop after each commit."""

    def __init__(
        self, *, sequencer: Sequencer, ledger: Ledger, files: FileStore, clock: Callable[[], dt.datetime]
    ) -> None:
        self._sequencer = sequencer
        self._ledger = ledger
        self._files = files
        self._clock = clock
        self._registries: tuple[str, ...] = ()
        self._erased: list[tuple[str, ErasedCase]] = []  # its files are still to go
        # (registry, institution, digest) -> application -> erased at: what is still to go, unless uploaded anew since.
        self._going: dict[tuple[str, str, str], dict[str, str]] = {}
        self._poked = asyncio.Event()
        self._working = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self, registries: Sequence[str]) -> None:
        """Destroy the keys again that the entries say were destroyed, and know what else is to go; then work."""
        self._registries = tuple(registries)
        for registry in registries:
            keys, cases = await self._do(partial(self._known, registry))
            if keys:
                log.warning(
                    "%d erased keys had come back and are destroyed", keys, extra={"registry": registry}
                )
            for case in cases:
                self._note(registry, case)
        self._task = asyncio.create_task(self._run())

    def _known(self, registry: str, connection: Connection) -> tuple[int, list[ErasedCase]]:
        """How many erased keys had come back, and every case that was erased."""
        return self._ledger.destroy_again(connection, registry), erased_cases(connection, registry)

    def is_going(self, row: Row) -> bool:
        """Whether an uploaded file, by its row, is to go with a case that was erased and has not gone yet.

        Another case may name it too: then it stays, and is read through that case meanwhile.
        """
        cases = self._going.get((row["registry"], row["institution"], row["sha256"]), {})
        return any(row["uploaded_at"] <= at for at in cases.values())

    async def stop(self) -> None:
        """Stop; whatever is left is found again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def committed(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        """Note whose files are to go."""
        for effect in effects:
            if isinstance(effect, EvidenceErased):
                self._note(registry, ErasedCase(effect.application_id, effect.files, instant(effect.at)))
                self._poked.set()

    def _note(self, registry: str, case: ErasedCase) -> None:
        self._erased.append((registry, case))
        for file in case.files:
            key = (registry, file.institution, file.sha256)
            self._going.setdefault(key, {})[case.application_id] = case.at

    async def work(self) -> None:
        """Files of erased cases, then uploads whose time is over; done when nothing is left."""
        async with self._working:
            while self._erased:
                registry, case = self._erased[0]
                await self._erase_files(registry, case.application_id)
                self._erased.pop(0)
                self._forget(registry, case)
            for registry in self._registries:
                await self._expire(registry)

    def _forget(self, registry: str, case: ErasedCase) -> None:
        for file in case.files:
            key = (registry, file.institution, file.sha256)
            cases = self._going.get(key, {})
            cases.pop(case.application_id, None)
            if not cases:
                self._going.pop(key, None)

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            await self._work()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), LOOK_SECONDS)

    async def _work(self) -> None:
        """What cannot be read or erased now stops nobody from being served: it is tried again later."""
        try:
            await self.work()
        except Exception:
            log.exception("eraser")

    async def _erase_files(self, registry: str, application: str) -> None:
        await self._read_claims(registry)

        def work(connection: Connection) -> int:
            _finish_claims(connection, self._ledger, registry)
            return erase_files(connection, self._files, registry, application)

        await self._do(work)

    async def _expire(self, registry: str) -> None:
        profile = self._sequencer.settings(registry).profile
        if profile is None:
            return
        before = self._clock() - dt.timedelta(days=profile.unclaimed_upload_days)
        await self._read_claims(registry)

        def work(connection: Connection) -> int:
            _finish_claims(connection, self._ledger, registry)
            return expire_files(connection, self._files, registry, before)

        while gone := await self._do(work):
            log.info("removed %d uploads that no case had named", gone, extra={"registry": registry})

    async def _read_claims(self, registry: str) -> None:
        """Nearly all of them, in pieces; `_finish_claims` reads what came meanwhile, in the piece that erases."""
        while left := await self._do(lambda c: read_claims(c, self._ledger, registry, ENTRIES_AT_ONCE)):
            if left // ENTRIES_TOLD < (left + ENTRIES_AT_ONCE) // ENTRIES_TOLD:
                where = {"registry": registry}
                log.info("reading which cases name which files: %d entries left", left, extra=where)

    async def _do(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.wrap_future(self._sequencer.run(work))


def _finish_claims(connection: Connection, ledger: Ledger, registry: str) -> None:
    while read_claims(connection, ledger, registry, ENTRIES_AT_ONCE):
        pass
