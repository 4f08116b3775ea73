"""Every error that this package raises, each with a constant reason.

No error is told apart by its text. `reason` is UPPER_SNAKE and never changes; the variables of the
message are attributes, so that a caller can hand them on. `retryable` says whether the same call
can succeed a moment later without anybody acting.
"""

from __future__ import annotations

from typing import ClassVar, Final

RESOURCE_NAME_SHOWN: Final = 120
"""Characters of a wrong path that its error repeats."""


class LedgerError(Exception):
    """Root of all errors of the ledger."""

    reason: ClassVar[str] = "LEDGER_ERROR"
    retryable: ClassVar[bool] = False


class EntryInvalidError(LedgerError):
    """An entry, a draft or one of their fields breaks docs/ledger-format.md."""

    reason = "ENTRY_INVALID"

    def __init__(self, field: str, rule: str) -> None:
        """Name the `field` and the `rule` that it breaks."""
        self.field = field
        self.rule = rule
        super().__init__(f"ledger entry: {field} {rule}")


class EntryTooLargeError(LedgerError):
    """An encoded entry or the content of a part is over its limit."""

    reason = "ENTRY_TOO_LARGE"

    def __init__(self, what: str, size_bytes: int, bytes_max: int) -> None:
        """Name `what` is too large, its size and the limit, both in bytes."""
        self.what = what
        self.size_bytes = size_bytes
        self.bytes_max = bytes_max
        super().__init__(
            f"{what} has {size_bytes} bytes, the limit is {bytes_max}: "
            "store the bytes as a file and put its digest into the entry"
        )


class TimeWentBackError(LedgerError):
    """The time of a batch lies before the time of the last entry."""

    reason = "TIME_WENT_BACK"

    def __init__(self, registry: str, head_time: str, time: str) -> None:
        """Name the registry, the time of its last entry and the refused time."""
        self.registry = registry
        self.head_time = head_time
        self.time = time
        super().__init__(
            f"registry {registry}: entry time {time} lies before the last entry's {head_time}; "
            "use the later of the clock and the head's time, and check the clock"
        )


class RegistryUnknownError(LedgerError):
    """The database holds no ledger of this registry."""

    reason = "REGISTRY_UNKNOWN"

    def __init__(self, registry: str) -> None:
        """Name the registry."""
        self.registry = registry
        super().__init__(f"no ledger of registry {registry} in this database; create it first")


class RegistryExistsError(LedgerError):
    """The ledger of this registry was created before."""

    reason = "REGISTRY_EXISTS"

    def __init__(self, registry: str) -> None:
        """Name the registry."""
        self.registry = registry
        super().__init__(f"registry {registry} has a ledger already; it is never created twice")


class HeadMovedError(LedgerError):
    """Somebody else appended after the head was read; read it again and repeat the batch."""

    reason = "HEAD_MOVED"
    retryable = True

    def __init__(self, registry: str, size: int) -> None:
        """Name the registry and the size (entries) of the head that is no longer current."""
        self.registry = registry
        self.size = size
        super().__init__(
            f"registry {registry}: the head at size {size} is no longer the last one; "
            "roll back, read the head under the lock and append again"
        )


class EntryNotFoundError(LedgerError):
    """There is no entry at this index."""

    reason = "ENTRY_NOT_FOUND"

    def __init__(self, registry: str, index: int) -> None:
        """Name the registry and the index (from 0)."""
        self.registry = registry
        self.index = index
        super().__init__(f"registry {registry} has no entry {index}")


class PartNotFoundError(LedgerError):
    """The entry has no such part."""

    reason = "PART_NOT_FOUND"

    def __init__(self, registry: str, index: int, name: str) -> None:
        """Name the registry, the entry's index and the part."""
        self.registry = registry
        self.index = index
        self.name = name
        super().__init__(f"registry {registry}, entry {index}: no stored part {name}")


class PartKeyMissingError(LedgerError):
    """The part is stored, but the key that seals it is not: erased by law, or damaged."""

    reason = "PART_KEY_MISSING"

    def __init__(self, registry: str, index: int, name: str, key_id: str) -> None:
        """Name the registry, the entry's index, the part and its key."""
        self.registry = registry
        self.index = index
        self.name = name
        self.key_id = key_id
        super().__init__(f"registry {registry}, entry {index}, part {name}: no key {key_id}")


class PartErasedError(PartKeyMissingError):
    """The part's key was destroyed by an entry, as the law allows: what it said is gone for everybody."""

    reason = "PART_ERASED"

    def __init__(self, registry: str, index: int, name: str, key_id: str, erased_by: int) -> None:
        """Name the part, its key, and the index of the entry that destroyed it."""
        super().__init__(registry, index, name, key_id)
        self.erased_by = erased_by
        self.args = (f"registry {registry}, entry {index}, part {name}: erased by entry {erased_by}",)


class KeyErasedError(LedgerError):
    """The key was destroyed by an entry: what it sealed is gone, and nothing is sealed under its name again."""

    reason = "KEY_ERASED"

    def __init__(self, registry: str, key_id: str, index: int) -> None:
        """Name the registry, the key, and the index of the entry that destroyed it."""
        self.registry = registry
        self.key_id = key_id
        self.index = index
        super().__init__(f"registry {registry}: key {key_id} was erased by entry {index}")


class SealBrokenError(LedgerError):
    """Sealed bytes do not open: other bytes, another place or another key than when sealed."""

    reason = "SEAL_BROKEN"

    def __init__(self, what: str) -> None:
        """Name `what` does not open."""
        self.what = what
        super().__init__(f"{what} does not open: the bytes, their place or the key were changed")


class WrongKeyError(LedgerError):
    """The key-encryption key is not the one that this ledger was created with."""

    reason = "WRONG_KEY"

    def __init__(self, registry: str) -> None:
        """Name the registry."""
        self.registry = registry
        super().__init__(
            f"registry {registry} was created with another key-encryption key; "
            "start with that key, nothing can be read or may be written with this one"
        )


class RangeError(LedgerError):
    """An index or a tree size lies outside the tree that was asked about."""

    reason = "OUT_OF_RANGE"

    def __init__(self, what: str, value: int, low: int, high: int) -> None:
        """Name `what` is out of range, its value and the inclusive bounds `low` and `high`."""
        self.what = what
        self.value = value
        self.low = low
        self.high = high
        super().__init__(f"{what} is {value}, it must lie in {low}..{high}")


class ProofError(LedgerError):
    """An inclusion or consistency proof does not hold."""

    reason = "PROOF_INVALID"

    def __init__(self, rule: str) -> None:
        """Name the rule that the proof breaks."""
        self.rule = rule
        super().__init__(f"proof refused: {rule}")


class CheckpointError(LedgerError):
    """A checkpoint, its signature or a verifier key does not hold."""

    reason = "CHECKPOINT_INVALID"

    def __init__(self, rule: str) -> None:
        """Name the rule that the note or key breaks."""
        self.rule = rule
        super().__init__(f"checkpoint refused: {rule}")


class OriginError(CheckpointError):
    """A checkpoint is of another log than the one that was asked about."""

    reason = "ORIGIN_MISMATCH"

    def __init__(self, origin: str, expected: str) -> None:
        """Name the `origin` that was found, which nobody has signed for, and the one that was `expected`."""
        self.origin = origin
        self.expected = expected
        super().__init__(f"it is of the log {origin}, not of {expected}")


class ProofFileError(LedgerError):
    """A tlog-proof file is malformed."""

    reason = "PROOF_FILE_INVALID"

    def __init__(self, rule: str) -> None:
        """Name the rule that the file breaks."""
        self.rule = rule
        super().__init__(f"proof file refused: {rule}")


class ResourceNameError(LedgerError):
    """No log has a resource of this name (C2SP tlog-tiles)."""

    reason = "RESOURCE_NAME_INVALID"

    def __init__(self, name: str, rule: str) -> None:
        """Name the path and the rule that it breaks."""
        self.name = name
        self.rule = rule
        super().__init__(f"no resource of a log: {name[:RESOURCE_NAME_SHOWN]!r}: {rule}")


class ResourceUnpublishedError(LedgerError):
    """No signed checkpoint covers this tile or bundle yet."""

    reason = "RESOURCE_UNPUBLISHED"

    def __init__(self, registry: str, name: str, size: int) -> None:
        """Name the registry, the resource and the size (entries) of the last checkpoint."""
        self.registry = registry
        self.name = name
        self.size = size
        super().__init__(f"registry {registry}: {name} lies beyond the last checkpoint, of size {size}")


class CheckpointNotFoundError(LedgerError):
    """No checkpoint of this ledger has been signed."""

    reason = "CHECKPOINT_NOT_FOUND"

    def __init__(self, registry: str) -> None:
        """Name the registry."""
        self.registry = registry
        super().__init__(f"registry {registry} has no signed checkpoint yet; start its gateway once")


class ExportError(LedgerError):
    """A folder does not hold an export that this ledger continues."""

    reason = "EXPORT_REFUSED"

    def __init__(self, folder: str, rule: str) -> None:
        """Name the registry's folder and what is wrong with it."""
        self.folder = folder
        self.rule = rule
        super().__init__(f"{folder}: {rule}")


class LedgerDamagedError(LedgerError):
    """Stored rows contradict each other: nothing is signed until a person has looked."""

    reason = "LEDGER_DAMAGED"

    def __init__(self, registry: str, row: str, rule: str) -> None:
        """Name the registry, the first row that diverges and the rule that it breaks."""
        self.registry = registry
        self.row = row
        self.rule = rule
        super().__init__(f"registry {registry}: {row}: {rule}; signing has stopped, run a full verification")


class RolledBackError(LedgerError):
    """The database is older than a checkpoint that this process knows to be signed."""

    reason = "LEDGER_ROLLED_BACK"

    def __init__(self, registry: str, known_size: int, stored_size: int) -> None:
        """Name the registry, the largest signed size known and the size that is stored."""
        self.registry = registry
        self.known_size = known_size
        self.stored_size = stored_size
        super().__init__(
            f"registry {registry}: size {known_size} was signed, but the database knows only size "
            f"{stored_size}, or other entries: it was restored or truncated. Nothing is signed"
        )


class SecondSignerError(LedgerError):
    """Another process has signed a checkpoint of the same registry."""

    reason = "SECOND_SIGNER"

    def __init__(self, registry: str, known_size: int, stored_size: int) -> None:
        """Name the registry, the size this process signed last and the one it found."""
        self.registry = registry
        self.known_size = known_size
        self.stored_size = stored_size
        super().__init__(
            f"registry {registry}: this process signed size {known_size} last, but the database "
            f"says {stored_size}; a second signer is at work. Stop one of the two"
        )


class CheckpointRaceError(LedgerError):
    """The compare-and-swap of the last checkpoint was lost: nothing was signed."""

    reason = "CHECKPOINT_RACE"
    retryable = True

    def __init__(self, registry: str, size: int) -> None:
        """Name the registry and the size (entries) that was about to be signed."""
        self.registry = registry
        self.size = size
        super().__init__(
            f"registry {registry}: the last checkpoint moved while size {size} was prepared; "
            "roll back and publish again"
        )


class SignerMismatchError(LedgerError):
    """The signer is not the one of this ledger."""

    reason = "SIGNER_MISMATCH"

    def __init__(self, registry: str, rule: str) -> None:
        """Name the registry and what does not fit."""
        self.registry = registry
        self.rule = rule
        super().__init__(f"registry {registry}: {rule}; configure the signer of this ledger")


class PolicyError(LedgerError):
    """A trust policy file does not follow C2SP tlog-policy."""

    reason = "POLICY_INVALID"

    def __init__(self, line: int, rule: str) -> None:
        """Name the line, from 1, and the rule that it breaks."""
        self.line = line
        self.rule = rule
        super().__init__(f"policy refused: line {line}: {rule}")


class QuorumError(LedgerError):
    """Too few witnesses have cosigned a checkpoint."""

    reason = "QUORUM_MISSING"
    retryable = True

    def __init__(self, quorum: str, missing: list[str]) -> None:
        """Name the policy's quorum and those of its witnesses that have not cosigned."""
        self.quorum = quorum
        self.missing = missing
        super().__init__(
            f"the quorum {quorum} of witnesses is not met: no cosignature by {', '.join(missing)}"
        )
