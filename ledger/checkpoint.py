"""Checkpoints: the size and root of a log, signed (C2SP tlog-checkpoint, signed-note).

Only Ed25519 (signature type 0x01) is made and accepted as a log's signature; lines of other keys are
skipped as the signed-note rules demand. Those of witnesses are read by `ledger.cosignature`. This
module signs what it is given: whether a checkpoint may be signed at all is decided in
`ledger.publish`, nowhere else.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import CheckpointError, OriginError
from ledger.hashing import HASH_BYTES
from ledger.note import (
    NOTE_BYTES_MAX,
    NOTE_SIGNATURES_MAX,
    decode,
    is_clean,
    key_id_of,
    parse_signature_line,
    parse_vkey,
    split_note,
    write_signature_line,
    write_vkey,
)

__all__ = [
    "NOTE_BYTES_MAX",
    "NOTE_SIGNATURES_MAX",
    "Checkpoint",
    "NoteKey",
    "NoteSigner",
    "check_vkey",
    "open_by_any",
    "open_checkpoint",
    "open_log_checkpoint",
    "open_note",
    "parse_checkpoint",
    "parse_size",
    "sign_checkpoint",
    "sign_note",
    "signature_names",
]

_TEXT_LINES_MIN: Final = 3
_SIZE_MAX: Final = 2**63 - 1
_SIZE_DIGITS_MAX: Final = 19


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to.

    origin: the log's name. size: number of entries. root: RFC 6962 root of them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return the note's text, three lines: the exact bytes that are signed.

        Raises CheckpointError where a field cannot be written.
        """
        if not self.origin or not is_clean(self.origin) or "\n" in self.origin:
            raise CheckpointError("the origin must be one line that is not empty")
        if not 0 <= self.size <= _SIZE_MAX:
            raise CheckpointError(f"the size must lie in 0..{_SIZE_MAX}, it is {self.size}")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"the root must have {HASH_BYTES} bytes")
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()


class NoteKey(Protocol):
    """An Ed25519 private key in memory (`Ed25519PrivateKey`), or what stands for one that is kept elsewhere."""

    def public_key(self) -> Ed25519PublicKey:
        """The public key."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """64 bytes, pure Ed25519 (RFC 8032). May raise what a key elsewhere raises when it does not answer."""
        ...


class NoteSigner:
    """An Ed25519 key with the name that it signs under."""

    __slots__ = ("_key_id", "_private_key", "name", "vkey")

    def __init__(self, name: str, private_key: NoteKey) -> None:
        """Take the key's `name`, which for a log is its origin, and the key.

        Raises CheckpointError for a name that a signed note cannot carry.
        """
        public_key = private_key.public_key().public_bytes_raw()
        self._private_key = private_key
        self._key_id = key_id_of(name, public_key)
        self.name = name
        self.vkey = write_vkey(name, public_key)
        """The verifier key to publish: `name+hex(key id)+base64(0x01 || public key)`."""

    def signature_line(self, text: bytes) -> bytes:
        """Return the signature line, with its newline, over the note text `text`."""
        return write_signature_line(self.name, self._key_id, self._private_key.sign(text))


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """Return the signed note of `checkpoint`. Ed25519 is deterministic: same input, same bytes."""
    text = checkpoint.text()
    return text + b"\n" + signer.signature_line(text)


def open_checkpoint(note: bytes, vkey: str) -> Checkpoint:
    """Return the checkpoint in `note` after its signature by `vkey` was checked.

    Extension lines are skipped, unknown signatures too. Raises CheckpointError: malformed note or
    vkey, no signature by that key, or one that does not hold.
    """
    return _parse_text(open_note(note, vkey))


def open_log_checkpoint(note: bytes, vkey: str) -> Checkpoint:
    """`open_checkpoint` of the log whose key `vkey` is: its name is the origin (docs/ledger-format.md, section 3).

    Raises OriginError for another log's note, else CheckpointError.
    """
    origin = check_vkey(vkey)
    found = split_note(note)[0].split("\n", 1)[0]
    if found != origin:
        raise OriginError(found, origin)
    return open_checkpoint(note, vkey)


def open_by_any(note: bytes, vkeys: Sequence[str]) -> Checkpoint:
    """`open_checkpoint` where a log has several keys, at once or one after another: one of those that are trusted must
    have signed, and of each that did the signature must hold. `vkeys`: of one log, at least one.
    """
    lines = split_note(note)[1]
    signed = [vkey for vkey in vkeys if parse_vkey(vkey).signatures_in(lines)]
    opened = [open_checkpoint(note, vkey) for vkey in signed or vkeys]
    return opened[0]


def parse_checkpoint(note: bytes) -> Checkpoint:
    """Return what `note` claims, UNVERIFIED: only to find out whose key must open it. Raises CheckpointError."""
    return _parse_text(split_note(note)[0])


def sign_note(text: bytes, signer: NoteSigner) -> bytes:
    """Return a signed note of any text, which must end with a newline and hold no empty line."""
    return text + b"\n" + signer.signature_line(text)


def open_note(note: bytes, vkey: str) -> str:
    """Return the text of `note` after its signature by `vkey` was checked.

    Unknown signatures are skipped. Raises CheckpointError as `open_checkpoint` does.
    """
    key = parse_vkey(vkey)
    text, lines = split_note(note)
    signatures = key.signatures_in(lines)
    if not signatures:
        raise CheckpointError(f"no signature by {key.name}+{key.key_id.hex()} is on the note")
    for signature in signatures:
        try:
            key.public_key.verify(signature, text.encode())
        except InvalidSignature as error:
            raise CheckpointError(f"the signature by {key.name} does not hold") from error
    return text


def signature_names(note: bytes) -> list[str]:
    """Return the names on the signature lines of `note`, the log's first; nothing of them is checked.

    Raises CheckpointError for a malformed note.
    """
    return [name for name, _ in map(parse_signature_line, split_note(note)[1])]


def check_vkey(vkey: str) -> str:
    """Return the key name in `vkey`, which for a log is its origin. Raises CheckpointError."""
    return parse_vkey(vkey).name


def _parse_text(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < _TEXT_LINES_MIN or not all(lines):
        raise CheckpointError("the text must have three lines at least, none of them empty")
    origin, size, root = lines[:_TEXT_LINES_MIN]
    return Checkpoint(origin, parse_size(size), decode("root", root, HASH_BYTES))


def parse_size(text: str) -> int:
    """Return a tree size written in decimal without leading zeros. Raises CheckpointError."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _SIZE_DIGITS_MAX:
        raise CheckpointError("the size must be a decimal number")
    size = int(text)
    if str(size) != text or size > _SIZE_MAX:
        raise CheckpointError("the size has a leading zero or is too large")
    return size
