"""Composition root: the only file that knows every implementation; starts and stops the parts, in order."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from prometheus_client import start_http_server
from sqlalchemy import Engine

from gateway import startup
from gateway.cases.effects import AnyEffect, LedgerKeysSet, SealTermsSet, TrustSet
from gateway.certificates.seal import CertificateSealer
from gateway.config import Config, ConfigError
from gateway.http.tiles import TileServer
from gateway.keyring.key_notices import key_notices, tell_seal
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.keyring.seals import Seals
from gateway.keyring.stamped_seals import StampedSeals
from gateway.readings import Readings, served
from gateway.rounds.clockwork import Clockwork
from gateway.rounds.eraser import Eraser
from gateway.rounds.feed_watch import FeedWatch
from gateway.rounds.revocation_watch import RevocationWatch
from gateway.rounds.sealing import Sealing
from gateway.rounds.timestamping import CheckpointStamping, authorities
from gateway.rounds.witnessing import Witnessing
from gateway.rpc.admin import AdminService
from gateway.rpc.callers import Callers
from gateway.rpc.certificates import CertificateService
from gateway.rpc.desk import DeskService
from gateway.rpc.feed import FeedService
from gateway.rpc.files import FileService
from gateway.rpc.keys import RegistryKeys
from gateway.rpc.ledger import LedgerService
from gateway.rpc.party import PartyService
from gateway.rpc.quota import DailyQuota, read_counts
from gateway.rpc.register import RegisterService
from gateway.rpc.registration import RegistrationService
from gateway.rpc.review import ReviewService
from gateway.rpc.sealed_answers import SealedAnswers
from gateway.rpc.server import RpcServer
from gateway.rpc.trust import trust_store
from gateway.rpc.verifier import Verifier
from gateway.sequencer import Sequencer
from gateway.storage import tables
from gateway.storage.engine import WriterLock, database_file, file_watch, reader_engine, writer_engine
from gateway.storage.files import FileStore
from gateway.storage.queries import Queries
from gateway.storage.watch import Watch
from ledger.publish import Publisher
from ledger.store import Ledger
from ledger.tables import metadata as ledger_metadata
from ledger.vault import Vault
from signing.checking import FileChecker
from signing.trust import Purpose, TrustStore

log = logging.getLogger(__name__)


def utc_now() -> dt.datetime:
    """The one clock."""
    return dt.datetime.now(dt.UTC)


class Gateway:
    """A running gateway. `start`, serve, `stop`; everything it opened is closed again."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], dt.datetime] = utc_now,
        reread: Callable[[], Config] | None = None,
    ) -> None:
        """`reread` gives the settings as they are now; only the keys of a rotation are taken from them."""
        self.config = config
        self._reread = reread or (lambda: config)
        self._clock = clock
        self._lock: WriterLock | None = None
        self._trust: dict[str, TrustStore] = {}
        self._serving = False
        self._is_stopped = False
        self.metrics_port: int | None = None
        self._tiles: TileServer | None = None

    async def start(self) -> None:
        """Open the store, finish what a crash left, then listen."""
        config = self.config
        self._open_store()
        self.files = FileStore(config.storage.files)
        swept = self.files.sweep()
        if swept:
            log.info("removed %d interrupted uploads", swept)
        self._loop = asyncio.get_running_loop()
        self.sequencer = Sequencer(
            self._writer,
            self.ledger,
            self._publisher,
            clock=self._clock,
            on_commit=self._on_commit,
            on_damage=self._on_damage,
        )
        self.sequencer.is_replaced = file_watch(config.storage.database)
        registries = [r.id for r in config.registries]
        for registry in registries:
            self.sequencer.load(registry)
        self._ledger_signers.terms_of = lambda registry: self.sequencer.settings(registry).ledger_keys
        self.sequencer.start()
        self._own_seals = Seals(
            config, self._reread, lambda registry: self.sequencer.settings(registry).seals
        )
        for notice in key_notices(config, self._own_seals.all_in_use, self._is_production, self._clock()):
            log.warning(notice)
        self.eraser = Eraser(
            sequencer=self.sequencer, ledger=self.ledger, files=self.files, clock=self._clock
        )
        await self.eraser.start(registries)
        self.queries = Queries(self._reader, self.ledger, self._publisher)
        self._revocation = RevocationWatch(
            sequencer=self.sequencer,
            trust_of=self.trust,
            keys_of=lambda registry: self.sequencer.settings(registry).signing_keys,
            limits=config.limits,
            clock=self._clock,
        )
        await self._start_witnessing()
        self._authorities = authorities(config, self.trust, self._clock)
        self._stamping = CheckpointStamping(
            queries=self.queries, sequencer=self.sequencer, authorities=self._authorities
        )
        await self._stamping.start()
        self.watch = Watch()
        self._executor = ThreadPoolExecutor(config.limits.verify_threads, thread_name_prefix="verify")
        self._verifier = Verifier(self.sequencer, threads=config.limits.verify_threads)
        self.sequencer.coming = self._verifier.is_busy
        self._checker = FileChecker(TrustStore({}), now=self._clock, workers=config.limits.check_workers)
        self._checker.on_judged = self._revocation.judged
        await self._checker.start()
        self.feed_watch = FeedWatch(self.sequencer.settings, self._clock)
        self.feed_watch.start(registries)
        self.clockwork = Clockwork(
            sequencer=self.sequencer,
            queries=self.queries,
            trust_of=self.trust,
            clock=self._clock,
            also=self.feed_watch.look_at_all,
        )
        self._readings = Readings(sequencer=self.sequencer, queries=self.queries, clock=self._clock)
        await self._readings.start(registries)
        await self._start_sealing(registries)
        await self.clockwork.start(registries)
        self._rehearsals = DailyQuota(self.sequencer.run, await self.queries.read(read_counts))
        self.callers = Callers(self.sequencer.settings, self.trust, self._clock)
        self._server = RpcServer(config, self.callers, self._servicers())
        try:
            await self._server.start()
            self._start_metrics()
            self._start_tiles()
        except ConfigError:  # an address is taken
            await self.stop()
            raise
        self._revocation.start(registries)
        self._serving = True
        if self.sequencer.is_damaged:
            self._tell_damage()

    async def _start_witnessing(self) -> None:
        """Ask the witnesses what they know; acts are held until they have been asked, the start is not."""
        self._witnessing = Witnessing(
            queries=self.queries,
            sequencer=self.sequencer,
            policies=self._policies,
            keys_of=self._ledger_signers.keys,
            limits=self.config.limits,
        )
        self.queries.cosigned = self._witnessing.cosigned
        self.sequencer.is_held = self._witnessing.is_held
        await self._witnessing.start()

    async def _start_sealing(self, registries: Sequence[str]) -> None:
        """Processes that render and seal, and the queue before them; off where the configuration says so."""
        self.sealing: Sealing | None = None
        self._stamped_seals: StampedSeals | None = None
        if not self.config.sealing:
            return
        workers = self.config.limits.seal_workers
        self._sealer = CertificateSealer(
            self._own_seals.for_workers(), **self._seal_settings(), workers=workers
        )
        await self._sealer.start()
        self._stamped_seals = StampedSeals(self._sealer, self._authorities, self._clock)
        self.sealing = Sealing(
            sequencer=self.sequencer,
            queries=self.queries,
            files=self.files,
            seals=self._stamped_seals,
            workers=workers,
            clock=self._clock,
            until_cosigned=self._witnessing.until_cosigned,
            authorities=self._authorities,
        )
        await self.sealing.start(registries)

    async def stop(self) -> None:
        """Stop listening, decide what is queued, close. What is entered is answered. Twice is as once."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self.watch.close()
        await self._server.stop(self._drain)
        await self._stop_own_work()
        if self.sealing is not None:
            await self._sealer.close()
        await self._checker.close()
        await asyncio.to_thread(self._verifier.close)
        await asyncio.to_thread(self.sequencer.stop)
        self._executor.shutdown()
        self.queries.close()
        if self.metrics_port is not None:
            self._metrics_server.shutdown()
            self._metrics_server.server_close()
        if self._tiles is not None:
            await asyncio.to_thread(self._tiles.stop)
        self._close_store()

    async def _drain(self) -> None:
        """The grace has passed: nothing more is begun, whatever is in hand is committed and answered."""
        await self._stop_own_work()
        self._verifier.drain()
        await asyncio.wrap_future(self.sequencer.drain())

    async def _stop_own_work(self) -> None:
        await self.eraser.stop()
        await self.clockwork.stop()
        await self._witnessing.stop()
        await self._revocation.stop()
        await self._stamping.stop()
        if self.sealing is not None:
            await self.sealing.stop()
        for authority in self._authorities.values():
            authority.close()

    @property
    def ports(self) -> dict[str, int]:
        """The bound ports: `listen`, `public` and, where there are proxies, `proxy_listen`."""
        return self._server.ports

    @property
    def tiles_port(self) -> int | None:
        """The bound port of the ledgers' tiles; None where they are switched off."""
        return None if self._tiles is None else self._tiles.port

    def trust(self, registry: str) -> TrustStore:
        """The registry's trust as of the last commit."""
        store = trust_store(self.sequencer.settings(registry).trust)
        known = self._trust.get(registry)
        if known is not store:
            if known is not None and not store.shares_memory(known):
                self._revocation.retire(registry, known)
            store.on_grace = self._revocation.graced
            self._trust[registry] = store
        return store

    def _is_production(self, registry: str) -> bool:
        profile = self.sequencer.settings(registry).profile
        return profile is not None and profile.production

    def _seal_settings(self) -> dict[str, Any]:
        """What the sealer works with besides the seals, as of now."""
        return {
            "trust": self._seal_trust([registry.id for registry in self.config.registries]),
            "vkeys": {
                keys.name: [one.vkey for one in keys.keys]
                for keys in (self._ledger_signers.keys(registry.id) for registry in self.config.registries)
            },
            "verification_url": self.config.server.verification_url,
        }

    def _seal_trust(self, registries: Sequence[str]) -> TrustStore:
        """What the sealer's self-check believes: the anchors of seals and their time stamps of every registry here."""
        stores = [self.trust(registry) for registry in registries]
        anchors = {
            purpose: sorted({der for store in stores for der in store.anchors[purpose]})
            for purpose in (Purpose.REGISTRY, Purpose.TSA)
        }
        between = {der for store in stores for der in store.intermediates}
        return TrustStore(anchors, (), sorted(between))

    def _servicers(self) -> dict[str, object]:
        shared: dict[str, Any] = {"sequencer": self.sequencer, "queries": self.queries, "clock": self._clock}
        limits = self.config.limits
        verifying: dict[str, Any] = {"trust_of": self.trust, "executor": self._executor, "limits": limits}
        answers = SealedAnswers(self._stamped_seals, self.sequencer, self._clock)
        return {
            "FileService": FileService(
                **shared,
                files=self.files,
                checker=self._checker,
                trust_of=self.trust,
                limits=limits,
                is_going=self.eraser.is_going,
            ),
            "RegistrationService": RegistrationService(
                **shared, **verifying, verifier=self._verifier, watch=self.watch, rehearsals=self._rehearsals
            ),
            "PartyService": PartyService(**shared, **verifying),
            "ReviewService": ReviewService(**shared, **verifying),
            "RegisterService": RegisterService(**shared, trust_of=self.trust, answers=answers),
            "CertificateService": CertificateService(
                **shared, files=self.files, limits=limits, answers=answers, sealing=self.sealing
            ),
            "DeskService": DeskService(**shared, answers=answers),
            "LedgerService": LedgerService(
                queries=self.queries,
                limits=limits,
                settings_of=self.sequencer.settings,
                signers=self._ledger_signers,
            ),
            "RegisterFeedService": FeedService(**shared, **verifying, signers_of=self._ledger_signers.of),
            "AdminService": AdminService(
                **shared,
                **verifying,
                files=self.files,
                keys=partial(
                    RegistryKeys,
                    config=self.config,
                    seals=self._own_seals,
                    ledger_signers=self._ledger_signers,
                    queries=self.queries,
                    trust_of=self.trust,
                    clock=self._clock,
                ),
            ),
        }

    def _on_commit(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        """From the sequencer's thread to the event loop."""
        self._loop.call_soon_threadsafe(self._committed, registry, effects)

    def _committed(self, registry: str, effects: Sequence[AnyEffect]) -> None:
        self.watch.move(registry)
        self._witnessing.committed(registry)
        self._stamping.committed(registry)
        self._readings.committed(registry, effects)
        self.clockwork.committed(registry, effects)
        self.eraser.committed(registry, effects)
        self.feed_watch.look(registry)
        self._revocation.committed(registry, effects)
        if self.sealing is not None:
            if any(isinstance(effect, SealTermsSet | TrustSet | LedgerKeysSet) for effect in effects):
                self._change_seals(registry)
            self.sealing.committed(registry, effects)

    def _change_seals(self, registry: str) -> None:
        """Another seal or another trust: the sealing processes work with it from the next order on."""
        assert self.sealing is not None
        self._sealer.configure(self._own_seals.for_workers(), **self._seal_settings())
        for seal in self._own_seals.all_in_use(registry):
            for notice in tell_seal(registry, seal, self._clock()):
                log.warning(notice)
        self.sealing.go_on(registry)

    def _on_damage(self) -> None:
        """A ledger was found damaged, on the sequencer's thread: whoever asks after our health is told."""
        self._loop.call_soon_threadsafe(self._tell_damage)

    def _tell_damage(self) -> None:
        if self._serving:  # else `start` tells it
            self._server.mark_not_serving()

    def _open_store(self) -> None:
        """Check settings and store, and take the ledgers over.

        Raises ConfigError, SecondWriter; what was opened is closed again.
        """
        config = self.config
        key_encryption_key, signers = startup.check_settings(config)
        self._policies = startup.read_policies(config, signers)
        if problem := startup.backup_problem(config):
            log.warning(problem)
        startup.check_database(config)
        self.ledger = Ledger(Vault(key_encryption_key), {r.id: r.part_cipher for r in config.registries})
        self._ledger_signers = LedgerSigners(config, signers, self._reread)
        self._publisher = Publisher(self._ledger_signers.of)
        self._take_lock()
        self._writer = writer_engine(config.storage.database)
        self._reader = reader_engine(config.storage.database)
        try:
            startup.check_tables(self._writer, config.storage.database)
            startup.check_ledger_signers(config, self._writer, self._ledger_signers)
            startup.take_over(config, self._writer, self.ledger, self._publisher)
            startup.check_suites(config, self._writer)
            startup.check_seals(config, self._writer)
        except BaseException:
            self._close_store()
            raise

    def _close_store(self) -> None:
        self._reader.dispose()
        self._writer.dispose()
        if self._lock is not None:
            self._lock.release()

    def _take_lock(self) -> None:
        path = database_file(self.config.storage.database)
        if path is not None:
            self._lock = WriterLock(path)
            self._lock.acquire()

    def _start_metrics(self) -> None:
        host, _, port = self.config.server.metrics.rpartition(":")
        if host:
            with startup.bound("server.metrics", self.config.server.metrics):
                self._metrics_server, _ = start_http_server(
                    int(port), addr=host, registry=served(self._readings)
                )
            self.metrics_port = self._metrics_server.server_port

    def _start_tiles(self) -> None:
        config = self.config
        if config.server.tiles:
            with startup.bound("server.tiles", config.server.tiles):
                self._tiles = TileServer(
                    config.server.tiles, config.storage.database, [r.id for r in config.registries]
                )
            self._tiles.start()


def create_tables(engine: Engine) -> None:
    """Create what is missing; changes nothing that is there."""
    with engine.begin() as connection:
        ledger_metadata.create_all(connection)
        tables.metadata.create_all(connection)


def settle_collector() -> None:
    """For a process that serves: what start-up made stays for good, and is not gone through by every collection.

    What a decision makes dies with its answer and hardly ever in a circle; with Python's own thresholds an eighth of
    each booking was spent on looking for circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
