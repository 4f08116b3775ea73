"""The keys of one log, one after another: which of them sign its checkpoint of a size.

A log may go on to another key under its name: from an entry on both sign every checkpoint, from a later one on only
the new one does. So who trusts either key alone opens the checkpoints between, and each checkpoint shares a key with
the one before it. Which keys sign hangs on the size alone: the note of a size is the same bytes whenever it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ledger.checkpoint import Checkpoint, NoteSigner, check_vkey, open_log_checkpoint, parse_checkpoint
from ledger.errors import CheckpointError

NEWEST: Final = 2**63 - 1
"""A size that the keys in use sign."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of a log. begun: index of the entry from which on it signs, None from the log's beginning. ended: index of
    the entry from which on it does not, None while it does.
    """

    vkey: str
    begun: int | None = None
    ended: int | None = None

    def signs(self, size: int) -> bool:
        """Whether it signs the checkpoint of `size` entries: one that covers its begin, and not yet its end."""
        return (self.begun is None or size > self.begun) and (self.ended is None or size <= self.ended)


class LogKeys:
    """All keys of a log, the first one first."""

    __slots__ = ("keys", "name")

    def __init__(self, keys: Sequence[LogKey]) -> None:
        """Raises CheckpointError: a malformed vkey, keys of several names, or none."""
        names = {check_vkey(key.vkey) for key in keys}
        if len(names) != 1:
            raise CheckpointError(f"the keys of a log have one name, these have {len(names)}")
        self.keys = tuple(keys)
        self.name = names.pop()

    @classmethod
    def of(cls, keys: LogKeys | str) -> LogKeys:
        """`keys`; a vkey alone is the key of a log that has had no other. Raises CheckpointError."""
        return cls([LogKey(keys)]) if isinstance(keys, str) else keys

    def at(self, size: int) -> tuple[str, ...]:
        """The vkeys that sign the checkpoint of `size` entries."""
        return tuple(key.vkey for key in self.keys if key.signs(size))

    def alone(self, vkey: str) -> list[range]:
        """The sizes of the checkpoints that this key signs and no other does."""
        edges = {-1, NEWEST}.union(*((key.begun, key.ended) for key in self.keys)) - {None}
        steps = pairwise(sorted(edge for edge in edges if edge is not None))
        return [range(low + 1, high + 1) for low, high in steps if self.at(high) == (vkey,)]

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint in `note`, signed by every key of its size.

        Raises OriginError for another log's note, else CheckpointError.
        """
        claimed = parse_checkpoint(note)
        opened = [open_log_checkpoint(note, vkey) for vkey in self.at(claimed.size)]
        if not opened:
            raise CheckpointError(f"no key of {self.name} signs its checkpoint of size {claimed.size}")
        return opened[0]


class LogSigners:
    """The keys of a log with the private halves that are at hand."""

    __slots__ = ("_signers", "keys")

    def __init__(self, keys: LogKeys, signers: Mapping[str, NoteSigner]) -> None:
        """`signers` by vkey; of keys that have ended none is needed."""
        self.keys = keys
        self._signers = signers

    @classmethod
    def of(cls, signer: NoteSigner | LogSigners) -> LogSigners:
        """`signer`; one alone signs every checkpoint."""
        if isinstance(signer, NoteSigner):
            return cls(LogKeys.of(signer.vkey), {signer.vkey: signer})
        return signer

    @property
    def name(self) -> str:
        """The log's name, which is its origin."""
        return self.keys.name

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """The note of a checkpoint, with a line of every key of its size, the one in use longest first.

        Raises CheckpointError where one of them is not at hand.
        """
        return self.sign_text(checkpoint.text(), checkpoint.size)

    def sign_text(self, text: bytes, size: int = NEWEST) -> bytes:
        """A note of any text by the keys of a size, those in use by default; `text` as for `checkpoint.sign_note`."""
        missing = [vkey for vkey in self.keys.at(size) if vkey not in self._signers]
        if missing or not self.keys.at(size):
            raise CheckpointError(f"a key that signs checkpoints of size {size} is not at hand: {missing}")
        return (
            text + b"\n" + b"".join(self._signers[vkey].signature_line(text) for vkey in self.keys.at(size))
        )
