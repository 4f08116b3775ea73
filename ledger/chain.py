"""Walking the chain of stored entries, and telling which row is to blame where it breaks.

This is the second code path over an entry's bytes: `ledger.store` writes them, this module reads
them back from the database, knowing nothing of how they came about. A broken link involves two
rows; which of them was changed is decided by what the row after them names.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.entry import NO_PREVIOUS, entry_prefix
from ledger.hashing import leaf_hash

TIME_BYTES: Final = 27
"""Length of YYYY-MM-DDTHH:MM:SS.ffffffZ, whose text order is the order of time."""
_HASH_LINE_BYTES: Final = 45


@dataclass(frozen=True, slots=True)
class ChainFault:
    """An entry's row, by its index from 0, and the rule that it breaks."""

    index: int
    rule: str


class ChainWalk:
    """Goes through the rows of one ledger in order; collects faults and leaf hashes.

    faults: what was found so far, in the order of detection. index: the next row expected.
    previous_hash, previous_time: of the last row seen; the hash is None after a missing row.
    """

    __slots__ = (
        "_doubt",
        "_first",
        "_origin_lines",
        "faults",
        "index",
        "previous_hash",
        "previous_time",
    )

    def __init__(
        self,
        origin: str,
        index: int = 0,
        previous_hash: bytes = NO_PREVIOUS,
        previous_time: bytes = b"",
    ) -> None:
        """Begin before row `index` of the log `origin`, after an entry that is known to be good."""
        self._origin_lines = entry_prefix(origin)
        self._doubt: bytes | None = None  # bytes of the last row, if its link did not hold
        self._first = index
        self.index = index
        self.previous_hash: bytes | None = previous_hash
        self.previous_time = previous_time
        self.faults: list[ChainFault] = []

    def walk(self, rows: Iterable[tuple[int, bytes]], stop: int) -> list[bytes]:
        """Take the rows (index, bytes) up to, not including, index `stop`; return leaf hashes.

        A missing row is a fault and has no leaf hash: trees are not worth comparing after it.
        """
        leaves = []
        for row_index, data in rows:
            self._skip_to(row_index)
            leaf = leaf_hash(data)
            leaves.append(leaf)
            self._step(data, leaf)
        self._skip_to(stop)
        return leaves

    def finish(self, head_hash: bytes) -> None:
        """Compare the last row with the entry hash that the head keeps of it."""
        if self.previous_hash is None:
            return
        if self._is_link_open(holds=self.previous_hash == head_hash, named=head_hash):
            self._fault(self.index - 1, "its bytes do not hash to what the head names")

    def _step(self, data: bytes, leaf: bytes) -> None:
        start = self._origin_lines + b"%d\n" % self.index
        at = len(start) + _HASH_LINE_BYTES
        linked = False
        if not data.startswith(start):
            self._settle()
            self._fault(self.index, "its bytes are of another log, index or format")
        elif self.previous_hash is not None:
            line = b2a_base64(self.previous_hash)
            named = data[len(start) : at]
            linked = named == line
            if self._is_link_open(holds=linked, named=_decode_line(named)):
                self._doubt = start + line + data[at:]
        time = data[at : at + TIME_BYTES]
        # Without the link the row before may be the one whose time was changed.
        if linked and time < self.previous_time:
            self._fault(self.index, "its time lies before that of the entry before")
        self.previous_time = time
        self.previous_hash = leaf
        self.index += 1

    def _is_link_open(self, *, holds: bool, named: bytes) -> bool:
        """Tell whether a link is broken and it is open which end was changed.

        holds: the successor of the last row names the last row's hash. named: what it names.
        A doubt about the last row ends here, for its successor bears witness.
        """
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return not holds
        if holds and self.index - 1 == self._first:
            self._fault(self._first, "it does not follow what is known to come before it")
        elif holds:
            self._fault(self.index - 2, "its bytes do not hash to what the next entry names")
        elif leaf_hash(doubt) == named:
            self._fault(self.index - 1, "it names another previous hash than it was written with")
        else:
            self._fault(self.index - 1, "it fits neither the entry before it nor the one after it")
        return False

    def _settle(self) -> None:
        """End a doubt about the last row where no successor bears witness."""
        if self._doubt is not None:
            self._doubt = None
            self._fault(self.index - 1, "it does not name the hash of the entry before it")

    def _skip_to(self, index: int) -> None:
        """Note that the rows before `index` are missing, as one fault; name the first."""
        if self.index == index:
            return
        self._settle()
        count = index - self.index
        self._fault(self.index, "its row is missing" + (f", {count} rows in all" * (count > 1)))
        self.previous_hash = None
        self.index = index

    def _fault(self, index: int, rule: str) -> None:
        self.faults.append(ChainFault(index, rule))


def _decode_line(line: bytes) -> bytes:
    try:
        return a2b_base64(line)
    except Base64Error:
        return b""
