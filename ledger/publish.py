"""Signing checkpoints, at most one story a registry, and proving what they cover.

Before a checkpoint is signed, the bytes of the new entries are read back from the database and
hashed again, along a path that shares no state with the append (ledger.chain, ledger.tile). Chain,
root, time and consistency with the last checkpoint must agree with what the append left in the
head row; then the last checkpoint's row moves by compare-and-swap; only then is the note signed.
One flipped bit ended a public log in 2021: here it ends in LedgerDamagedError and no signature.

`publish` runs in a transaction of its caller, after that of the append has committed. The caller MUST commit
before it hands the note to anybody. A crash in between loses a signed note that nobody saw; the
next one of that size has the same root and, Ed25519 being deterministic, the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.checkpoint import Checkpoint, NoteSigner
from ledger.cosignature_store import cosignature_lines
from ledger.errors import (
    CheckpointError,
    CheckpointRaceError,
    LedgerDamagedError,
    RangeError,
    RegistryUnknownError,
    RolledBackError,
    SecondSignerError,
    SignerMismatchError,
)
from ledger.log_keys import NEWEST, LogSigners
from ledger.proof import verify_consistency
from ledger.records import Head, parse_head
from ledger.tables import ledger_checkpoint, ledger_head, ledger_published, ledger_tile
from ledger.tile import FullTile, TileLoader, TileTree
from ledger.tree import consistency_proof, inclusion_proofs, root
from ledger.tree_store import Point, read_again, read_back, tile_loader, tree_at

NEWEST_ENTRIES: Final = 4096
"""Published entries that are read and hashed again before a process takes a ledger over."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it is handed out. size: entries. root: 32 bytes. note: signed, with its cosignatures."""

    size: int
    root: bytes
    note: bytes


@dataclass(slots=True)
class _State:
    """What this process knows of one registry.

    signed: the last point known to be committed. pending: signed after it; whether the caller
    committed it is not known, so it may have been handed out and is never contradicted.
    """

    lock: Lock = field(default_factory=Lock)
    tree: TileTree | None = None
    signed: Point | None = None
    pending: Point | None = None


_SELECT_PUBLISHED: Final = select(ledger_published.c.size, ledger_published.c.root).where(
    ledger_published.c.registry == bindparam("registry")
)
_LOCK_PUBLISHED: Final = _SELECT_PUBLISHED.with_for_update()
_MOVE_PUBLISHED: Final = (
    update(ledger_published)
    .where(
        ledger_published.c.registry == bindparam("at_registry"),
        ledger_published.c.size == bindparam("at_size"),
        ledger_published.c.root == bindparam("at_root"),
    )
    .values(size=bindparam("size"), root=bindparam("root"))
)
_SELECT_HEAD: Final = select(ledger_head).where(ledger_head.c.registry == bindparam("registry"))
_SELECT_CHECKPOINT: Final = select(
    ledger_checkpoint.c.size, ledger_checkpoint.c.root, ledger_checkpoint.c.note
).where(
    ledger_checkpoint.c.registry == bindparam("registry"),
    ledger_checkpoint.c.size == bindparam("size"),
)
_INSERT_TILE: Final = insert(ledger_tile)
_INSERT_CHECKPOINT: Final = insert(ledger_checkpoint)


class Publisher:
    """Signs checkpoints and proves entries for the registries of one database.

    There is one signing process a registry. Methods may be called from several threads; those on
    one registry wait for each other.
    """

    def __init__(self, signer_for: Callable[[str], NoteSigner | LogSigners]) -> None:
        """Take `signer_for`, which returns the signer of a registry, or all of them, named as its origin."""
        self._signer_for = signer_for
        self._states: dict[str, _State] = {}

    def publish(self, conn: Connection, registry: str) -> SignedCheckpoint:
        """Return a signed checkpoint over every entry that is stored, signing one if need be.

        The caller commits before it hands the note out. Where the last checkpoint already covers
        the ledger, it is returned and nothing is written. On any error the caller must roll back;
        nothing was signed. A bulk load publishes every 65,536 entries or so, for the new tiles are
        held in memory until they are checked.

        Raises LedgerDamagedError (rows contradict each other), RolledBackError (the database is
        older than what was signed), SecondSignerError, SignerMismatchError, CheckpointRaceError
        (retryable), RegistryUnknownError.
        """
        signer = LogSigners.of(self._signer_for(registry))
        state = self._state(registry)
        with state.lock:
            published = _read_published(conn, registry, lock=True)
            last = self._check_last(conn, registry, state, published, signer)
            head = _read_head(conn, registry)
            promised = max(published[0], state.pending[0] if state.pending else 0)
            if head.size < promised:
                raise RolledBackError(registry, promised, head.size)
            if last is not None and head.size == last.size:
                if head.frontier.root() != last.root:
                    raise LedgerDamagedError(
                        registry, "ledger_head", "its frontier is not that of the last checkpoint"
                    )
                return _cosigned(conn, registry, last)
            return self._publish_new(conn, state, head, published, last, signer)

    def check_progress(self, head: Head) -> None:
        """Check, before anything is appended to `head`, that it is not older than what this process has signed.

        Reads nothing. Raises RolledBackError.
        """
        state = self._state(head.registry)
        known = max((point[0] for point in (state.signed, state.pending) if point), default=0)
        if head.size < known:
            raise RolledBackError(head.registry, known, head.size)

    def check_newest(self, conn: Connection, registry: str, entries_max: int = NEWEST_ENTRIES) -> Head:
        """Check the newest entries, published ones too, before this process builds on them; return the head.

        The signer is that of the ledger, the last checkpoint opens, and the last `entries_max`
        entries, hashed again, are those of chain, head and checkpoint. Older ones are only seen
        through the tiles. Writes nothing. Raises as `publish`.
        """
        signer = LogSigners.of(self._signer_for(registry))
        state = self._state(registry)
        with state.lock:
            head = _read_head(conn, registry)
            if signer.name != head.origin:
                raise SignerMismatchError(
                    registry, f"the signer is named {signer.name}, the origin is {head.origin}"
                )
            published = _read_published(conn, registry, lock=False)
            self._check_last(conn, registry, state, published, signer)
            if head.size < published[0]:
                raise RolledBackError(registry, published[0], head.size)
            start = max(0, min(published[0], head.size) - entries_max)
            state.tree = read_again(conn, head, published, start)
            return head

    def latest(self, conn: Connection, registry: str) -> SignedCheckpoint | None:
        """Return the last checkpoint, or None before the first. Raises RegistryUnknownError."""
        return latest_checkpoint(conn, registry)

    def prove_inclusion(self, conn: Connection, registry: str, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of entry `index` in the tree of `size`, leaf's sibling first.

        For entries of the last few thousand no database is read. Raises RangeError (size not
        published, index not below it), LedgerDamagedError, RegistryUnknownError.
        """
        return self.prove_inclusions(conn, registry, [index], size)[index]

    def prove_inclusions(
        self, conn: Connection, registry: str, indexes: Iterable[int], size: int
    ) -> dict[int, list[bytes]]:
        """`prove_inclusion` for several entries at once, by index: what they share is hashed once."""
        state = self._state(registry)
        with state.lock:
            tree, load = self._tree_of(conn, state, registry, size)
            return inclusion_proofs(indexes, size, tree.reader(load))

    def prove_consistency(self, conn: Connection, registry: str, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of size `new` extends that of size `old`.

        Raises RangeError (sizes not published, old > new), LedgerDamagedError,
        RegistryUnknownError.
        """
        state = self._state(registry)
        with state.lock:
            tree, load = self._tree_of(conn, state, registry, new)
            return consistency_proof(old, new, tree.reader(load))

    def forget(self, registry: str) -> None:
        """Forget what this process signed, before it takes the registry over from another one.

        Only for a hand-over that a person or a lock has decided: until then a stranger's checkpoint
        is refused by SecondSignerError.
        """
        self._states.pop(registry, None)

    def _state(self, registry: str) -> _State:
        return self._states.setdefault(registry, _State())

    def _check_last(
        self,
        conn: Connection,
        registry: str,
        state: _State,
        published: Point,
        signer: LogSigners,
    ) -> SignedCheckpoint | None:
        """Return the last checkpoint, once it is the one that this process may build on."""
        last = read_checkpoint(conn, registry, published[0])
        if state.signed is None:
            _check_first(registry, published, last, signer)
        elif published not in (state.signed, state.pending):
            known = state.pending or state.signed
            if published[0] < known[0]:
                raise RolledBackError(registry, known[0], published[0])
            raise SecondSignerError(registry, known[0], published[0])
        if last is None and published[0] != 0:
            raise LedgerDamagedError(registry, f"ledger_checkpoint size {published[0]}", "its row is missing")
        if last is not None and last.root != published[1]:
            raise LedgerDamagedError(
                registry, f"ledger_checkpoint size {last.size}", "it is not what was published"
            )
        if published == state.pending:
            state.pending = None
        state.signed = published
        return last

    def _publish_new(
        self,
        conn: Connection,
        state: _State,
        head: Head,
        published: Point,
        last: SignedCheckpoint | None,
        signer: LogSigners,
    ) -> SignedCheckpoint:
        registry = head.registry
        tree, state.tree = state.tree, None  # spent, unless all goes well
        tree = tree_at(conn, registry, tree, published)
        if signer.name != head.origin:
            raise SignerMismatchError(
                registry, f"the signer is named {signer.name}, the origin is {head.origin}"
            )
        tiles = read_back(conn, head, tree)
        reader = tree.reader(_loader_with(tiles, tile_loader(conn, registry)))
        new_root = root(head.size, reader)
        if new_root != head.frontier.root():
            raise LedgerDamagedError(
                registry, "ledger_head", "its frontier is not that of the stored entries"
            )
        if state.pending is not None and root(state.pending[0], reader) != state.pending[1]:
            # Signed by this process and rolled back or restored away: it must not be contradicted.
            raise RolledBackError(registry, state.pending[0], published[0])
        if published[0]:
            proof = consistency_proof(published[0], head.size, reader)
            verify_consistency(*published, head.size, new_root, proof)
        moved = conn.execute(
            _MOVE_PUBLISHED,
            {
                "at_registry": registry,
                "at_size": published[0],
                "at_root": published[1],
                "size": head.size,
                "root": new_root,
            },
        )
        if moved.rowcount != 1:
            raise CheckpointRaceError(registry, head.size)
        note = _sign(Checkpoint(head.origin, head.size, new_root), signer, registry)
        signed = SignedCheckpoint(head.size, new_root, note)
        _store(conn, registry, signed, last, tiles)
        state.tree = tree
        state.pending = (head.size, new_root)
        return signed

    def _tree_of(
        self, conn: Connection, state: _State, registry: str, size: int
    ) -> tuple[TileTree, TileLoader]:
        if state.tree is None or state.tree.size < size:
            published = _read_published(conn, registry, lock=False)
            if size > published[0]:
                raise RangeError("size", size, 0, published[0])
            tree, state.tree = state.tree, None
            state.tree = tree_at(conn, registry, tree, published)
        return state.tree, tile_loader(conn, registry)


def latest_checkpoint(conn: Connection, registry: str) -> SignedCheckpoint | None:
    """Return the last checkpoint with its cosignatures, or None before the first. Raises RegistryUnknownError."""
    size, _ = _read_published(conn, registry, lock=False)
    last = read_checkpoint(conn, registry, size)
    return None if last is None else _cosigned(conn, registry, last)


def _check_first(registry: str, published: Point, last: SignedCheckpoint | None, signer: LogSigners) -> None:
    """Check, once a process, that the last checkpoint was signed by the keys of its size, one in use among them: which
    these are was read from the database, and whoever can write there may have a key that has ended.
    """
    if last is None:
        return
    keys = signer.keys
    if set(keys.at(published[0])).isdisjoint(keys.at(NEWEST)):
        raise SignerMismatchError(
            registry, "no key in use signed the last checkpoint, so nobody vouches for it"
        )
    try:
        opened = keys.open(last.note)
    except CheckpointError as error:
        vkeys = " and ".join(keys.at(published[0]))
        raise SignerMismatchError(
            registry, f"the last checkpoint does not open with {vkeys}: {error.rule}"
        ) from error
    if opened != Checkpoint(signer.name, *published):
        raise LedgerDamagedError(
            registry, f"ledger_checkpoint size {last.size}", "its note is not what was published"
        )


def _loader_with(tiles: list[FullTile], load: TileLoader) -> TileLoader:
    """A loader that also knows `tiles`, which are not stored yet and may be more than the tree keeps in memory."""
    fresh = {(tile.level, tile.index): tile.hashes for tile in tiles}
    return lambda key: fresh.get(key) or load(key)


def _sign(checkpoint: Checkpoint, signer: LogSigners, registry: str) -> bytes:
    try:
        note = signer.sign(checkpoint)
    except CheckpointError as error:
        raise SignerMismatchError(registry, error.rule) from error
    try:
        opened = signer.keys.open(note)
    except CheckpointError as error:
        raise SignerMismatchError(registry, "the signer's signature does not hold") from error
    if opened != checkpoint:
        raise SignerMismatchError(registry, "the signer signed another checkpoint")
    return note


def _store(
    conn: Connection,
    registry: str,
    signed: SignedCheckpoint,
    last: SignedCheckpoint | None,
    tiles: list[FullTile],
) -> None:
    try:
        if tiles:
            conn.execute(
                _INSERT_TILE,
                [
                    {
                        "registry": registry,
                        "level": tile.level,
                        "tile_index": tile.index,
                        "hashes": tile.hashes,
                    }
                    for tile in tiles
                ],
            )
        conn.execute(
            _INSERT_CHECKPOINT,
            {
                "registry": registry,
                "size": signed.size,
                "previous_size": None if last is None else last.size,
                "root": signed.root,
                "note": signed.note,
            },
        )
    except IntegrityError as error:
        raise CheckpointRaceError(registry, signed.size) from error


def _read_published(conn: Connection, registry: str, *, lock: bool) -> Point:
    statement = _LOCK_PUBLISHED if lock else _SELECT_PUBLISHED
    row = conn.execute(statement, {"registry": registry}).first()
    if row is None:
        raise RegistryUnknownError(registry)
    return row.size, bytes(row.root)


def _read_head(conn: Connection, registry: str) -> Head:
    row = conn.execute(_SELECT_HEAD, {"registry": registry}).first()
    if row is None:
        raise RegistryUnknownError(registry)
    return parse_head(row)


def _cosigned(conn: Connection, registry: str, signed: SignedCheckpoint) -> SignedCheckpoint:
    """The checkpoint with what its witnesses have said of it so far."""
    return replace(signed, note=signed.note + cosignature_lines(conn, registry, signed.size, signed.note))


def read_checkpoint(conn: Connection, registry: str, size: int) -> SignedCheckpoint | None:
    row = conn.execute(_SELECT_CHECKPOINT, {"registry": registry, "size": size}).first()
    return None if row is None else SignedCheckpoint(row.size, bytes(row.root), bytes(row.note))
