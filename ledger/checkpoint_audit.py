"""Checking every checkpoint that was ever signed, and the row that says which was the last.

A checkpoint whose note opens with the verifier key is a witness: the database's owner cannot have
made it up. So it decides when it contradicts entries, tiles or the published row.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from ledger.checkpoint import Checkpoint
from ledger.errors import CheckpointError
from ledger.log_keys import LogKeys
from ledger.report import Findings
from ledger.tables import ledger_checkpoint, ledger_published

_LAST: Final = select(func.max(ledger_checkpoint.c.size)).where(
    ledger_checkpoint.c.registry == bindparam("registry")
)
_PUBLISHED: Final = select(ledger_published.c.size, ledger_published.c.root).where(
    ledger_published.c.registry == bindparam("registry")
)
_CHECKPOINTS: Final = (
    select(
        ledger_checkpoint.c.size,
        ledger_checkpoint.c.previous_size,
        ledger_checkpoint.c.root,
        ledger_checkpoint.c.note,
    )
    .where(
        ledger_checkpoint.c.registry == bindparam("registry"),
        ledger_checkpoint.c.size >= bindparam("start"),
        ledger_checkpoint.c.size <= bindparam("last"),
    )
    .order_by(ledger_checkpoint.c.size)
)
_NEGATIVE: Final = select(ledger_checkpoint.c.size).where(
    ledger_checkpoint.c.registry == bindparam("registry"), ledger_checkpoint.c.size < 0
)


class CheckpointAudit:
    """Checks the checkpoints of one registry in the order of their sizes.

    published_size: size of the published row, 0 without one. last_signed: size of the last
    checkpoint whose note holds, -1 before the first.
    """

    def __init__(self, conn: Connection, registry: str, keys: LogKeys, findings: Findings) -> None:
        """Read where the checkpoints end and what was published, in this order."""
        self._conn = conn
        self._registry = registry
        self._origin = keys.name
        self._keys = keys
        self._findings = findings
        self._previous: int | None = None
        self._last_root = b""
        last = conn.execute(_LAST, {"registry": registry}).scalar()
        self._last: int = -1 if last is None else last
        self._published: Any = conn.execute(_PUBLISHED, {"registry": registry}).first()
        self.published_size: int = 0 if self._published is None else self._published.size
        self.last_signed = -1
        self.checkpoints = 0

    def begin_at(self, known: Checkpoint) -> None:
        """Begin behind a checkpoint that the caller holds, whose row must say the same; see `check`."""
        rows = self._conn.execute(
            _CHECKPOINTS, {"registry": self._registry, "start": known.size, "last": known.size}
        ).all()
        if not rows:
            self._note(known.size, "its row is missing")
        for row in rows:
            self._previous = row.previous_size
        self.check(known.size, known.size)
        self._previous, self.last_signed = known.size, known.size
        self._last_root = known.root

    def check(self, start: int, last: int | None = None) -> dict[int, bytes]:
        """Check the checkpoints of sizes `start` to `last` (all, if None), both included.

        Returns the roots, by size, of those whose signature holds.
        """
        signed = {}
        last = self._last if last is None else min(last, self._last)
        rows = self._conn.execute(_CHECKPOINTS, {"registry": self._registry, "start": start, "last": last})
        for size, previous_size, stored_root, note in rows.all():
            self.checkpoints += 1
            if previous_size != self._previous:
                self._note(size, f"it follows one of size {previous_size}, which is not there")
            self._previous = size
            self._last_root = bytes(stored_root)
            try:
                opened = self._keys.open(bytes(note))
            except CheckpointError as error:
                self._note(size, error.rule)
                continue
            if opened != Checkpoint(self._origin, size, self._last_root):
                self._note(size, "its signed note says otherwise than its row")
                continue
            vkeys = set(self._keys.at(size))
            if self.last_signed >= 0 and vkeys.isdisjoint(self._keys.at(self.last_signed)):
                self._note(
                    size, "none of its keys signed the checkpoint before it, so nobody vouches for them"
                )
                continue
            signed[size] = opened.root
            self.last_signed = size
        return signed

    def check_published(self, computed_root: bytes | None) -> None:
        """Compare the published row with the last checkpoint, after all were checked.

        computed_root: root of the stored entries at the published size, None if there are fewer.
        """
        for (size,) in self._conn.execute(_NEGATIVE, {"registry": self._registry}).all():
            self._note(size, "a size is never negative")
        if self._published is None:
            self._blame_published("its row is missing")
            return
        size, root = self._published.size, bytes(self._published.root)
        previous = -1 if self._previous is None else self._previous
        if previous == size:
            if root != self._last_root and self.last_signed == size:
                self._blame_published("its root is not that of the last checkpoint")
        elif previous > size:
            if self.last_signed == previous:
                self._blame_published(f"a checkpoint of size {previous} was signed")
            else:
                self._note(previous, f"the last size that was published is {size}")
        elif root != computed_root:
            self._blame_published(f"no checkpoint of size {size} was signed over these entries")
        elif size:
            self._note(size, "its row is missing")

    def _blame_published(self, rule: str) -> None:
        self._findings.row("ledger_published", "-", "PUBLISHED_CHANGED", rule)

    def _note(self, size: int, rule: str) -> None:
        self._findings.row("ledger_checkpoint", f"size {size}", "CHECKPOINT_CHANGED", rule)
