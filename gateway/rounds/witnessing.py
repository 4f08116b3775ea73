"""Asking the witnesses of each registry to cosign its checkpoints: beside the request path, never on it.

A round takes the newest checkpoint of a registry to every witness of its policy at once, and keeps each cosignature as
it comes. Rounds follow each other at a distance, so that under load witnesses cosign the same few sizes and not each
another one. A witness that is down is told once, counted, and tried again at growing distances; it holds up nothing but
its own cosignature, unless the registry's setting `witness_stop_seconds` says that acts are to wait for a quorum.

A witness may also know more than we do: a checkpoint under OUR signature that is larger than our ledger, or of another
history. Then this database was put back to an older copy, or signed twice, and nothing more is entered: on one disk
nobody else can see it. The word of a witness alone stops nothing; our own signature does. So acts are held until the
first round after a start is over; the start does not wait for it, and everything else is served meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from gateway.commands import Overloaded, Unavailable
from gateway.config import Limits
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.statements import PublishedCheckpoint, find_checkpoint
from gateway.telemetry import metrics
from gateway.witness.asking import AskedWitness, WitnessDown, conflicting_size
from ledger.checkpoint import Checkpoint, open_by_any
from ledger.cosignature import pick_cosignature
from ledger.cosignature_store import cosigned_sizes, newest_cosigned, store_cosignature
from ledger.errors import (
    CheckpointError,
    LedgerDamagedError,
    LedgerError,
    ProofError,
    QuorumError,
    RolledBackError,
)
from ledger.log_keys import LogKeys
from ledger.note import WITNESS_TYPES, parse_vkey
from ledger.policy import Policy
from ledger.proof import verify_consistency
from ledger.witness import AddCheckpoint, WitnessRefusal

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Checkpoints looked back over at the start for the newest with a quorum.
LOOKED_BACK: Final = 100

#: First distance between two tries of a witness that is down, seconds; doubled each time.
RETRY_SECONDS: Final = 1.0


class _Contradicted(Exception):
    """A witness holds a checkpoint under our signature that our ledger does not lead to."""

    def __init__(self, why: LedgerDamagedError | RolledBackError) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(slots=True)
class _Peer:
    """One witness of one registry. key_id: what it is called in lines of the log and in metrics, where no institution
    is named: the eight digits in the middle of its verifier key, as the policy has it. size: what it cosigned last, as
    far as we know.

    kept: size of the checkpoint whose cosignature came in this run. What an earlier run kept may have been restored
    with all the rest: each witness is asked at the start in any case.
    """

    key_id: str
    vkey: str
    asked: AskedWitness
    size: int = 0
    kept: int = 0
    failures: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class _Watched:
    """One registry: its policy and witnesses, and how far a quorum has come.

    heard: its first round is over, whatever came of it. cosigned: size of the newest checkpoint with a quorum.
    waiting_since: since when (monotonic seconds) there is a checkpoint without one; None when there is none.
    """

    registry: str
    policy: Policy
    stop_seconds: float | None
    peers: list[_Peer]
    cosigned: int = 0
    published: int = 0
    waiting_since: float | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    round_over: asyncio.Event = field(default_factory=asyncio.Event)
    is_quorum_up: bool = False


class Witnessing:
    """The rounds of every registry with a policy. `start`, `committed` on the event loop after each commit, `stop`."""

    def __init__(
        self,
        *,
        queries: Queries,
        sequencer: Sequencer,
        policies: Mapping[str, tuple[Policy, float | None]],
        keys_of: Callable[[str], LogKeys],
        limits: Limits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`policies`: registry → (policy, `witness_stop_seconds`); each of its witnesses has a URL. `keys_of`: those of
        a registry's log, now.
        """
        self._keys_of = keys_of
        self._queries = queries
        self._sequencer = sequencer
        self._limits = limits
        self._monotonic = monotonic
        self._watched = {
            registry: _Watched(
                registry,
                policy,
                stop_seconds,
                [
                    _Peer(
                        parse_vkey(one.vkey, *WITNESS_TYPES).key_id.hex(),
                        one.vkey,
                        AskedWitness(one.url, limits.witness_timeout_seconds),
                    )
                    for one in policy.witnesses.values()
                ],
            )
            for registry, (policy, stop_seconds) in policies.items()
        }
        self._threads = ThreadPoolExecutor(
            max(1, sum(len(one.peers) for one in self._watched.values())), thread_name_prefix="witness"
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin the rounds of each registry. The first one is waited for by what would be entered, not by the start."""
        for one in self._watched.values():
            await self._queries.read(partial(_recall, one))
        self._tasks = [asyncio.create_task(self._rounds(one)) for one in self._watched.values()]

    async def first_round(self) -> None:
        """Wait until each registry's witnesses have been asked once."""
        for one in self._watched.values():
            await one.heard.wait()

    async def stop(self) -> None:
        """End the rounds; what witnesses still answer is not kept, and is asked for again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._watched.values():
            for peer in one.peers:
                peer.asked.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def committed(self, registry: str) -> None:
        """There is a newer checkpoint."""
        one = self._watched.get(registry)
        if one is None:
            return
        if one.waiting_since is None:
            one.waiting_since = self._monotonic()
        one.moved.set()

    def cosigned(self, registry: str) -> int:
        """Size of the newest checkpoint that a quorum cosigned; 0 where there are no witnesses, or none yet."""
        one = self._watched.get(registry)
        return 0 if one is None else one.cosigned

    def is_held(self, registry: str) -> bool:
        """Whether the registry's acts wait: for the first round, or, where its setting says so, for a late quorum.

        A restored ledger is found out in the first round, before anything is entered, or never.
        """
        one = self._watched.get(registry)
        if one is None:
            return False
        if not one.heard.is_set():
            return True
        since = one.waiting_since  # read once: the event loop moves it meanwhile
        if one.stop_seconds is None or since is None:
            return False
        return self._monotonic() - since > one.stop_seconds

    async def until_cosigned(self, registry: str, index: int) -> None:
        """Wait until a quorum covers an entry; not where there are no witnesses, or none is to be had now."""
        one = self._watched.get(registry)
        if one is not None:
            await one.heard.wait()
        while one is not None and one.is_quorum_up and one.cosigned <= index:
            one.round_over.clear()
            await one.round_over.wait()

    # -- rounds --------------------------------------------------------------------------------------------------

    async def _rounds(self, one: _Watched) -> None:
        await self._one_round(one)
        one.heard.set()
        while True:
            try:
                # Woken by a commit; by itself only while a cosignature is lacking.
                lacks = any(peer.kept != one.published for peer in one.peers)
                wait = self._limits.witness_interval_seconds if lacks else None
                await asyncio.wait_for(one.moved.wait(), wait)
            except TimeoutError:
                pass
            one.moved.clear()
            await self._one_round(one)
            await asyncio.sleep(self._limits.witness_interval_seconds)

    async def _one_round(self, one: _Watched) -> None:
        try:
            await self.round(one.registry)
        except Exception:
            log.exception("round of witnesses failed", extra={"registry": one.registry})

    async def round(self, registry: str) -> None:
        """Take the newest checkpoint to every witness that has not cosigned it and is not being left alone."""
        one = self._watched[registry]
        begun = self._monotonic()
        newest = await self._queries.checkpoint(registry)
        if newest is None or not newest.size or not one.policy.witnesses:
            return
        one.published = newest.size
        if one.cosigned < newest.size and one.waiting_since is None:
            one.waiting_since = begun
        due = [peer for peer in one.peers if peer.kept != newest.size and peer.not_before <= begun]
        results = await asyncio.gather(*(self._turn(one, peer, newest, begun) for peer in due))
        one.is_quorum_up = one.cosigned >= newest.size
        one.round_over.set()
        if any(results):
            one.moved.set()  # a witness knows of a newer checkpoint of ours: at once again

    async def _turn(self, one: _Watched, peer: _Peer, newest: PublishedCheckpoint, begun: float) -> bool:
        """One witness's share of a round; whether it should be repeated with a newer checkpoint."""
        try:
            line = await self._ask(one, peer, newest)
        except _Contradicted as contradicted:
            self._failed(one, peer, "it holds a checkpoint under our signature that our ledger contradicts")
            self._sequencer.stop_registry(one.registry, contradicted.why)
            return False
        except (WitnessDown, WitnessRefusal, LedgerError) as error:
            self._failed(one, peer, _told(error))
            return False
        if line is None:
            return True
        try:
            await asyncio.wrap_future(
                self._sequencer.run(
                    lambda connection: store_cosignature(
                        connection, one.registry, newest.size, peer.vkey, line
                    )
                )
            )
        except (Overloaded, Unavailable):
            return True  # not kept: asked for again, and given again
        self._succeeded(one, peer, newest.size)
        await self._count(one, newest.size, begun)
        return False

    async def _ask(self, one: _Watched, peer: _Peer, newest: PublishedCheckpoint) -> bytes | None:
        """The witness's line on `newest`; None where it has cosigned a newer one of ours.

        Raises WitnessDown, WitnessRefusal, CheckpointError (what came back does not hold), _Contradicted.
        """
        old = peer.size
        for last in (False, True):
            proof: list[bytes] = []
            if 0 < old < newest.size:
                proof = await self._queries.consistency_proof(one.registry, old, newest.size)
            request = AddCheckpoint(old, tuple(proof), newest.own)
            try:
                answer = await self._in_thread(partial(peer.asked.add_checkpoint, request))
                return pick_cosignature(newest.own, answer, peer.vkey)
            except WitnessRefusal as refusal:
                if refusal.status == 422:
                    await self._compare(one, peer)
                if refusal.status != 409 or last:
                    raise
                old = conflicting_size(refusal)
            if old > newest.size:
                await self._overtaken(one, peer, old)
                return None
        raise AssertionError

    async def _overtaken(self, one: _Watched, peer: _Peer, size: int) -> None:
        """The witness has cosigned more than was sent: is it ours?"""
        newest = await self._queries.checkpoint(one.registry)
        if newest is not None and size <= newest.size:
            peer.size = size
            return
        await self._compare(one, peer)
        raise WitnessDown(
            f"it says that it cosigned size {size}, which is not here, and shows no proof of it"
        )

    async def _compare(self, one: _Watched, peer: _Peer) -> None:
        """Compare the checkpoint that the witness kept with our ledger. Raises _Contradicted, WitnessDown."""
        keys = self._keys_of(one.registry)
        note = await self._in_thread(partial(peer.asked.last_checkpoint, keys.name))
        newest = await self._queries.checkpoint(one.registry)
        if note is None or newest is None:
            return
        try:
            theirs = open_by_any(note, [key.vkey for key in keys.keys])
        except CheckpointError:
            return  # not our signature: anybody could have written it
        if theirs.size > newest.size:
            raise _Contradicted(RolledBackError(one.registry, theirs.size, newest.size))
        await self._check_same(one, theirs, newest)

    async def _check_same(self, one: _Watched, theirs: Checkpoint, newest: PublishedCheckpoint) -> None:
        if not theirs.size:
            return
        proof: list[bytes] = []
        if theirs.size < newest.size:
            proof = await self._queries.consistency_proof(one.registry, theirs.size, newest.size)
        try:
            verify_consistency(theirs.size, theirs.root, newest.size, newest.root, proof)
        except ProofError as error:
            raise _Contradicted(
                LedgerDamagedError(
                    one.registry,
                    f"checkpoint of size {theirs.size}",
                    "a witness holds another one under our signature: two histories were signed",
                )
            ) from error

    # -- what is known of it -------------------------------------------------------------------------------------

    def _failed(self, one: _Watched, peer: _Peer, why: str) -> None:
        """Tell it once; try again later."""
        if not peer.failures:
            log.error("witness %s does not cosign: %s", peer.key_id, why, extra={"registry": one.registry})
        wait = min(RETRY_SECONDS * 2**peer.failures, self._limits.witness_retry_seconds_max)
        peer.failures = min(peer.failures + 1, 30)
        peer.not_before = self._monotonic() + wait
        metrics.witness_asked(one.registry, peer.key_id, ok=False)

    def _succeeded(self, one: _Watched, peer: _Peer, size: int) -> None:
        if peer.failures:
            log.info("witness %s cosigns again", peer.key_id, extra={"registry": one.registry})
        peer.size = peer.kept = size
        peer.failures, peer.not_before = 0, 0.0
        metrics.witness_asked(one.registry, peer.key_id, ok=True)

    async def _count(self, one: _Watched, size: int, begun: float) -> None:
        """Whether the checkpoint of `size` has its quorum now."""
        if size <= one.cosigned:
            return
        found = await self._queries.checkpoint(one.registry, exact=size)
        if found is None or not _has_quorum(one.policy, found.note):
            return
        one.cosigned = size
        metrics.cosigned(one.registry, size)
        newest = await self._queries.checkpoint(one.registry)
        is_newest = newest is not None and newest.size == size
        one.waiting_since = None if is_newest else begun

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _told(error: WitnessDown | WitnessRefusal | LedgerError) -> str:
    """Why, without a word of the other end's and without its name: both may say whose witness it is."""
    if isinstance(error, WitnessRefusal):
        return f"HTTP status {error.status}"
    return error.reason if isinstance(error, LedgerError) else str(error)


def _recall(one: _Watched, connection: Connection) -> None:
    """What witnesses have cosigned in earlier runs, to begin with."""
    for peer in one.peers:
        peer.size = newest_cosigned(connection, one.registry, peer.vkey)
    for size in cosigned_sizes(connection, one.registry, LOOKED_BACK):
        found = find_checkpoint(connection, one.registry, exact=size)
        if found is not None and _has_quorum(one.policy, found.note):
            one.cosigned = size
            metrics.cosigned(one.registry, size)
            return


def _has_quorum(policy: Policy, note: bytes) -> bool:
    try:
        policy.check_quorum(note)
    except (
        QuorumError,
        CheckpointError,
    ):  # a line that does not hold counts for nothing: `ledger verify` names it
        return False
    return True
