"""Cosignatures: a witness's word that a checkpoint extends all that it saw of this log (C2SP tlog-cosignature).

Ed25519 (`cosignature/v1`, signature type 0x04) and ML-DSA-44 (`subtree/v1`, type 0x06) are read alike;
our own witness writes Ed25519. A cosignature is one more signature line on the checkpoint's note, so
whoever does not know the witness skips it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import parse_checkpoint
from ledger.errors import CheckpointError
from ledger.note import (
    COSIGNATURE,
    COSIGNATURE_ML_DSA,
    WITNESS_TYPES,
    VerifierKey,
    key_id_of,
    parse_vkey,
    split_note,
    write_signature_line,
    write_vkey,
)

_TIME_BYTES: Final = 8
_TIME_MAX: Final = 2**63 - 1
_SIGNATURE_BYTES: Final = {COSIGNATURE: 64, COSIGNATURE_ML_DSA: 2420}
_SUBTREE_LABEL: Final = b"subtree/v1\n\0"
_NAME_BYTES_MAX: Final = 255


class Cosigner:
    """A witness's Ed25519 key with the name that it cosigns under. vkey: of type 0x04."""

    __slots__ = ("_key_id", "_private_key", "name", "vkey")

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        """Take the witness's `name` and key. Raises CheckpointError for a name that a note cannot carry."""
        public_key = private_key.public_key().public_bytes_raw()
        self._private_key = private_key
        self._key_id = key_id_of(name, public_key, COSIGNATURE)
        self.name = name
        self.vkey = write_vkey(name, public_key, COSIGNATURE)

    def cosign(self, note: bytes, time: int) -> bytes:
        """Return the cosignature line, with its newline, on a checkpoint's note at a POSIX time (seconds, not 0)."""
        if not 0 < time <= _TIME_MAX:
            raise CheckpointError(f"the time of a cosignature must lie in 1..{_TIME_MAX}, it is {time}")
        text, _ = split_note(note)
        signature = self._private_key.sign(_message(text, time))
        return write_signature_line(self.name, self._key_id, time.to_bytes(_TIME_BYTES, "big") + signature)


def read_cosignature(note: bytes, vkey: str) -> int | None:
    """Return the POSIX time at which the witness of `vkey` cosigned `note`, the latest one; None if it did not.

    Says nothing of the log's own signature. Raises CheckpointError: malformed note or vkey, or a line
    of that key that does not hold.
    """
    key = parse_vkey(vkey, *WITNESS_TYPES)
    text, lines = split_note(note)
    times = []
    for value in key.signatures_in(lines):
        if len(value) != _TIME_BYTES + _SIGNATURE_BYTES[key.kind]:
            raise CheckpointError(f"the cosignature by {key.name} has the wrong length")
        time = int.from_bytes(value[:_TIME_BYTES], "big")
        if not 0 < time <= _TIME_MAX:
            raise CheckpointError(f"the cosignature by {key.name} has no time")
        try:
            key.public_key.verify(value[_TIME_BYTES:], _message_to(key, note, text, time))
        except InvalidSignature as error:
            raise CheckpointError(f"the cosignature by {key.name} does not hold") from error
        times.append(time)
    return max(times, default=None)


def pick_cosignature(note: bytes, answer: bytes, vkey: str) -> bytes:
    """Return the line, with its newline, by which the witness of `vkey` cosigned `note`, out of its answer's lines.

    Lines of other keys are left out. Raises CheckpointError: no such line, or one that does not hold.
    """
    _, lines = split_note(note + answer)
    key = parse_vkey(vkey, *WITNESS_TYPES)
    for line in lines:
        if key.signatures_in([line]):
            found = line.encode() + b"\n"
            if read_cosignature(note + found, vkey) is not None:
                return found
    raise CheckpointError(f"the answer holds no cosignature by {key.name}+{key.key_id.hex()}")


def cosigners_of(note: bytes, vkeys: Iterable[str]) -> frozenset[str]:
    """Return those of `vkeys` whose witnesses cosigned `note`. A line that does not hold raises CheckpointError."""
    return frozenset(vkey for vkey in vkeys if read_cosignature(note, vkey) is not None)


def _message_to(key: VerifierKey, note: bytes, text: str, time: int) -> bytes:
    """What the witness of `key` signs at a time: over the whole text, or over what it says of the tree."""
    if key.kind == COSIGNATURE:
        return _message(text, time)
    checkpoint = parse_checkpoint(note)
    start = (0).to_bytes(8, "big")  # a checkpoint's subtree is the whole tree
    return (
        _SUBTREE_LABEL
        + _prefixed("witness's name", key.name)
        + time.to_bytes(_TIME_BYTES, "big")
        + _prefixed("origin", checkpoint.origin)
        + start
        + checkpoint.size.to_bytes(8, "big")
        + checkpoint.root
    )


def _prefixed(what: str, text: str) -> bytes:
    """opaque <1..2^8-1> (RFC 8446, section 3.4)."""
    data = text.encode()
    if not 0 < len(data) <= _NAME_BYTES_MAX:
        raise CheckpointError(f"the {what} has {len(data)} bytes, at most {_NAME_BYTES_MAX} can be cosigned")
    return bytes([len(data)]) + data


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
