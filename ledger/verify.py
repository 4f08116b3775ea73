"""Checking a whole ledger as it lies in the database, and naming the rows that diverge.

Nothing in the database is believed: entries are read back and hashed, the chain and the tree are
built anew, every checkpoint's signature is checked with a verifier key that the caller brings, and
every stored tile, frontier and head is compared with what was computed. Where two rows contradict
each other, a third decides which is to blame: the entry after, the head, or a signed root.

It reads only, in chunks, against the sizes found at its beginning, and holds no cursor between
chunks: on a live server `progress` is the place to end the read transaction, so that SQLite's WAL
can be reset. It cannot see that a whole database, signatures included, was put back to an older
state, or written anew from some entry on and signed with the log's own key: only somebody who kept a
checkpoint can, a witness, or whoever gives it here as `since`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from ledger.chain import ChainWalk
from ledger.checkpoint import Checkpoint
from ledger.checkpoint_audit import CheckpointAudit
from ledger.cosignature_store import audit_cosignatures
from ledger.entry import EPOCH, parse_time, to_microseconds
from ledger.errors import (
    CheckpointError,
    LedgerDamagedError,
    LedgerError,
    ProofError,
    RegistryUnknownError,
    WrongKeyError,
)
from ledger.kind_audit import check_kinds
from ledger.log_keys import LogKeys
from ledger.part_audit import PartAudit, PartsSeen, read_parts
from ledger.proof import verify_consistency
from ledger.readers import Here, Readers, Task, in_order
from ledger.report import Divergence, Findings, Report
from ledger.stamp_store import audit_stamps
from ledger.tables import ledger_entry, ledger_head, ledger_part, ledger_published
from ledger.tile import TileTree
from ledger.tree import consistency_proof
from ledger.tree_audit import TreeAudit
from ledger.tree_store import begin_walk, tile_loader, tree_at
from ledger.vault import Vault

__all__ = ["Divergence", "Report", "verify_ledger"]

ENTRIES_READ: Final = 500
"""Entries in a chunk."""

_PUBLISHED: Final = select(ledger_published.c.size, ledger_published.c.root).where(
    ledger_published.c.registry == bindparam("registry")
)
_LAST_PART: Final = select(func.max(ledger_part.c.entry_index)).where(
    ledger_part.c.registry == bindparam("registry")
)
_STRAY_ENTRIES: Final = select(ledger_entry.c.entry_index).where(
    ledger_entry.c.registry == bindparam("registry"),
    (ledger_entry.c.entry_index < 0) | (ledger_entry.c.entry_index >= bindparam("size")),
    ledger_entry.c.entry_index <= bindparam("last"),
)
_ENTRIES: Final = (
    select(ledger_entry.c.entry_index, ledger_entry.c.entry)
    .where(
        ledger_entry.c.registry == bindparam("registry"),
        ledger_entry.c.entry_index >= bindparam("start"),
        ledger_entry.c.entry_index < bindparam("stop"),
    )
    .order_by(ledger_entry.c.entry_index)
    .limit(ENTRIES_READ)
)
# One statement sees one state, on a live PostgreSQL too: the head fits the entries or does not.
_HEAD: Final = select(
    ledger_head,
    select(func.max(ledger_entry.c.entry_index))
    .where(ledger_entry.c.registry == bindparam("registry"))
    .scalar_subquery()
    .label("last_entry"),
    select(func.min(ledger_entry.c.entry_index))
    .where(
        ledger_entry.c.registry == ledger_head.c.registry, ledger_entry.c.entry_index >= ledger_head.c.size
    )
    .correlate(ledger_head)
    .scalar_subquery()
    .label("entry_beyond"),
).where(ledger_head.c.registry == bindparam("registry"))


def verify_ledger(
    conn: Connection,
    registry: str,
    vkey: str | LogKeys,
    progress: Callable[[int, int], None] | None = None,
    vault: Vault | None = None,
    since: Checkpoint | None = None,
    readers: Readers | None = None,
) -> Report:
    """Check chain, tree, tiles, checkpoints, parts and keys of `registry`; return what was found.

    vkey: the verifier key of the ledger, from a trusted place, or all that it has had; their name is the origin
    expected, and each checkpoint must be signed by the keys of its size.
    progress: called with (entries done, entries in all) after each chunk of 500; it may end the
    read transaction of `conn`. vault: opens the parts and compares their contents; without one,
    contents are not looked at. since: a checkpoint of this ledger that the caller has opened and
    kept, whose entries were verified then: only what came after is looked at, and that the ledger
    begins with it is shown by a consistency proof. What was changed before it, an entry with its
    parts, only a whole verification finds. readers: who reads columns and parts,
    over this database and with this vault, beside this process; without any it is done here.

    What the checkpoints' time stamps say is not looked at here: see `stamp_store.audit_stamps`.

    Raises RegistryUnknownError (also where the head row is gone), CheckpointError (malformed vkey,
    `since` of another log).
    Everything that diverges is in the report, not raised.
    """
    keys = LogKeys.of(vkey)
    origin = keys.name
    if since is not None and since.origin != origin:
        raise CheckpointError(f"the checkpoint to begin with is of the log {since.origin}, not {origin}")
    progress = progress or _ignore
    findings = Findings()
    first = since.size if since is not None else 0
    readers = readers or Here(lambda: nullcontext(conn), vault)
    if not check_kinds(conn, registry, first, findings, readers, lambda: progress(0, 0)):
        return Report(registry, origin, divergences=findings.divergences())
    try:
        known = None if since is None or since.size == 0 else _begin(conn, registry, since)
    except LedgerDamagedError as error:
        return Report(registry, origin, divergences=(_fork(since, error),))
    return _Audit(conn, registry, keys, vault, findings, known, readers).run(progress)


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a verification begins that is not a whole one: a checkpoint, the tree under it, the walk behind it."""

    checkpoint: Checkpoint
    tree: TileTree
    walk: ChainWalk


def _begin(conn: Connection, registry: str, since: Checkpoint) -> _Known:
    """Find the checkpoint in the stored tree. Raises LedgerDamagedError where the ledger does not begin with it."""
    tree = tree_at(conn, registry, None, (since.size, since.root))
    published = conn.execute(_PUBLISHED, {"registry": registry}).first()
    if published is None or published.size < since.size:
        raise LedgerDamagedError(registry, "ledger_published -", "it knows only a smaller tree")
    whole = tree_at(conn, registry, None, (published.size, published.root))
    proof = consistency_proof(since.size, published.size, whole.reader(tile_loader(conn, registry)))
    try:
        verify_consistency(since.size, since.root, published.size, published.root, proof)
    except ProofError as error:
        raise LedgerDamagedError(registry, "ledger_published -", error.rule) from error
    return _Known(since, tree, begin_walk(conn, registry, since.origin, tree))


def _fork(since: Checkpoint | None, error: LedgerDamagedError) -> Divergence:
    size = since.size if since is not None else 0
    rule = (
        f"the ledger does not begin with the checkpoint that was kept: it was rewritten or cut off, or rows were "
        f"changed ({error.row}: {error.rule}). Keep that checkpoint, it is the proof; verify the whole ledger"
    )
    return Divergence("ledger_checkpoint", f"size {size}", "CHECKPOINT_NOT_A_PREFIX", rule)


class _Audit:
    """One verification: what was pinned at its beginning, and its parts."""

    def __init__(
        self,
        conn: Connection,
        registry: str,
        keys: LogKeys,
        vault: Vault | None,
        findings: Findings,
        known: _Known | None,
        readers: Readers,
    ) -> None:
        # Each thing is read before what bounds it: on a live server, where both grow, it is then
        # within bounds whenever the ledger is sound.
        self.conn = conn
        self.registry = registry
        self.origin = keys.name
        self.vault = vault
        self.findings = findings
        self.known = known
        self.since = 0 if known is None else known.checkpoint.size
        self.tree = TreeAudit(conn, registry, findings, None if known is None else known.tree)
        self.checkpoints = CheckpointAudit(conn, registry, keys, findings)
        self.parts = PartAudit(conn, registry, findings, vault)
        self.last_part: int | None = conn.execute(_LAST_PART, {"registry": registry}).scalar()
        self.head: Any = conn.execute(_HEAD, {"registry": registry}).first()
        if self.head is None:
            raise RegistryUnknownError(registry)
        last_entry = self.head.last_entry
        self.last_entry: int = -1 if last_entry is None else last_entry
        beyond = self.head.entry_beyond
        if beyond is not None and 0 <= self.head.size < beyond:
            self.size: int = self.head.size  # behind the head is a hole, and rows that were never appended
        else:
            self.size = max(self.last_entry + 1, 0)
        self.walk = ChainWalk(keys.name) if known is None else known.walk
        self.readers = readers
        self.entries = 0

    def run(self, progress: Callable[[int, int], None]) -> Report:
        published_size = self.checkpoints.published_size
        self.tree.watch({self.head.size, published_size, self.size}, published_size)
        if self.known is None:
            self.checkpoints.check(0, 0)
        else:
            self.checkpoints.begin_at(self.known.checkpoint)
        for seen in in_order(self.readers, self._walk_entries(progress)):
            self.parts.take(seen)
        self.checkpoints.check(self.size + 1)
        self._check_missing_end()
        wrong = self._wrong_columns()
        self._blame_entries(wrong)
        self.tree.blame()
        self._check_head(wrong)
        point = self.tree.points.get(published_size)
        self.checkpoints.check_published(None if point is None else point.frontier.root())
        audit_cosignatures(
            self.conn, self.registry, self.findings, self.since, lambda: progress(self.size, self.size)
        )
        audit_stamps(self.conn, self.registry, self.findings, step=lambda: progress(self.size, self.size))
        for (index,) in self._rows(_STRAY_ENTRIES, size=self.size, last=self.last_entry):
            rule = "an index is never negative" if index < 0 else "it lies beyond the head"
            self.findings.entry(index, "ENTRY_UNKNOWN", rule)
        if self.last_part is not None:
            self.parts.check_strays(self.size, self.last_part)
        self.parts.check_erased(self.since, self.size)
        self.tree.check_ends()
        self.parts.check_keys(self.since, self.size, lambda: progress(self.size, self.size))
        return Report(
            registry=self.registry,
            origin=self.origin,
            size=self.size,
            published_size=published_size,
            entries=self.entries,
            parts=self.parts.parts,
            parts_opened=self.parts.parts_opened,
            erased=dict(self.parts.erased),
            tiles=self.tree.tiles,
            checkpoints=self.checkpoints.checkpoints,
            keys=self.parts.keys,
            since=self.since,
            divergences=self.findings.divergences(),
        )

    def _walk_entries(self, progress: Callable[[int, int], None]) -> Iterator[Task[PartsSeen]]:
        """Walk chain and tree, chunk by chunk; yield what is to be done of the parts of each."""
        start = self.since
        while start < self.size:
            rows = self._rows(_ENTRIES, start=start, stop=self.size)
            if not rows:
                self.walk.walk((), self.size)
                break
            stop = rows[-1].entry_index + 1
            leaves = self.walk.walk(rows, stop)
            self.entries += len(rows)
            yield partial(read_parts, registry=self.registry, start=start, rows=[tuple(row) for row in rows])
            signed = self.checkpoints.check(start + 1, stop)
            # After a missing row no hash stands at its place any more.
            if self.tree.size == start and len(leaves) == stop - start:
                self.tree.grow(leaves, signed)
            start = stop
            progress(start, self.size)
        progress(self.size, self.size)

    def _check_missing_end(self) -> None:
        signed = self.checkpoints.last_signed
        if signed > self.size:
            self.findings.entry(self.size, "ENTRY_MISSING", f"checkpoint {signed} was signed over it")

    def _wrong_columns(self) -> list[str]:
        """Return the columns of the head that do not fit the entries that are there."""
        head = self.head
        point = self.tree.points.get(self.size)
        last_hash = self.walk.previous_hash if point is None else point.last_hash
        fits = {
            "head_hash": last_hash == head.head_hash,
            "frontier": point is None or point.frontier.encode() == head.frontier,
            "head_time": _microseconds(self.walk.previous_time) == head.head_time,
        }
        return [column for column, holds in fits.items() if not holds]

    def _blame_entries(self, wrong: list[str]) -> None:
        """Note the chain's faults, with that of the last entry if the head's word counts."""
        if self.head.size == self.size and wrong != ["head_hash"]:
            self.walk.finish(self.head.head_hash)
        for fault in self.walk.faults:
            if fault.index >= 0:
                self.findings.entry(fault.index, "ENTRY_CHANGED", fault.rule)

    def _check_head(self, wrong: list[str]) -> None:
        """Note what the head row itself says wrongly."""
        head = self.head
        if head.origin != self.origin:
            self._blame_head("origin", f"is not {self.origin}, the name of the verifier key")
        if self.vault is not None:
            try:
                self.vault.verify_check_value(self.registry, head.key_check)
            except WrongKeyError:
                self._blame_head("key_check", "was not made under this key-encryption key")
        if head.size != self.size:
            self._check_size(wrong)
        elif not self.findings.entries:
            for column in wrong:
                self._blame_head(column, "is not that of the last entry")

    def _check_size(self, wrong: list[str]) -> None:
        size = self.head.size
        if not wrong or self.head.origin != self.origin:  # another ledger's head is no witness of entries
            self._blame_head("size", f"is {size}, there are {self.size} entries")
        elif size > self.size:
            self.findings.entry(
                self.size, "ENTRY_MISSING", f"its row is missing, {size - self.size} rows in all"
            )
        else:
            self.findings.entry(max(size, 0), "ENTRY_UNKNOWN", "it lies beyond the head")

    def _blame_head(self, column: str, rule: str) -> None:
        self.findings.row("ledger_head", column, "HEAD_CHANGED", f"its {column} {rule}")

    def _rows(self, statement: Any, **values: object) -> Sequence[Any]:
        return self.conn.execute(statement, {"registry": self.registry, **values}).all()


def _microseconds(time_text: bytes) -> int:
    """Return an entry's time as the head keeps it; -1 for text that is no time."""
    try:
        return to_microseconds(parse_time(time_text.decode()) if time_text else EPOCH)
    except (LedgerError, UnicodeDecodeError):
        return -1


def _ignore(_done: int, _size: int) -> None:
    """Stand in for a caller who does not want to know."""
