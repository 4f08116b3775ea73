"""Checkpoints: the size and root of a log, signed (C2SP tlog-checkpoint, signed-note).

Only Ed25519 (signature type 0x01) is made and accepted; lines of other keys, a witness's say, are
skipped as the signed-note rules demand. This module signs what it is given: whether a checkpoint
may be signed at all is decided in `ledger.publish`, nowhere else.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import CheckpointError, OriginError
from ledger.hashing import HASH_BYTES

NOTE_BYTES_MAX: Final = 1_000_000
NOTE_SIGNATURES_MAX: Final = 100
_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = 32
_TEXT_LINES_MIN: Final = 3
_SIZE_MAX: Final = 2**63 - 1
_SIZE_DIGITS_MAX: Final = 19
_DASH: Final = "\u2014 "
_FIRST_PRINTABLE: Final = 0x20


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
        if not self.origin or not _is_clean(self.origin) or "\n" in self.origin:
            raise CheckpointError("the origin must be one line that is not empty")
        if not 0 <= self.size <= _SIZE_MAX:
            raise CheckpointError(f"the size must lie in 0..{_SIZE_MAX}, it is {self.size}")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"the root must have {HASH_BYTES} bytes")
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()


class NoteSigner:
    """An Ed25519 key with the name that it signs under."""

    __slots__ = ("_key_id", "_private_key", "name", "vkey")

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        """Take the key's `name`, which for a log is its origin, and the key.

        Raises CheckpointError for a name that a signed note cannot carry.
        """
        _check_key_name(name)
        public_key = private_key.public_key().public_bytes_raw()
        self._private_key = private_key
        self._key_id = _key_id(name, public_key)
        self.name = name
        self.vkey = f"{name}+{self._key_id.hex()}+{b64encode(_ED25519 + public_key).decode()}"
        """The verifier key to publish: `name+hex(key id)+base64(0x01 || public key)`."""

    def signature_line(self, text: bytes) -> bytes:
        """Return the signature line, with its newline, over the note text `text`."""
        signature = b64encode(self._key_id + self._private_key.sign(text)).decode()
        return f"{_DASH}{self.name} {signature}\n".encode()


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
    found = _split_note(note)[0].split("\n", 1)[0]
    if found != origin:
        raise OriginError(found, origin)
    return open_checkpoint(note, vkey)


def sign_note(text: bytes, signer: NoteSigner) -> bytes:
    """Return a signed note of any text, which must end with a newline and hold no empty line."""
    return text + b"\n" + signer.signature_line(text)


def open_note(note: bytes, vkey: str) -> str:
    """Return the text of `note` after its signature by `vkey` was checked.

    Unknown signatures are skipped. Raises CheckpointError as `open_checkpoint` does.
    """
    name, key_id, public_key = _parse_vkey(vkey)
    text, lines = _split_note(note)
    signatures = [
        value[_KEY_ID_BYTES:]
        for signer, value in map(_parse_signature_line, lines)
        if signer == name and value[:_KEY_ID_BYTES] == key_id
    ]
    if not signatures:
        raise CheckpointError(f"no signature by {name}+{key_id.hex()} is on the note")
    for signature in signatures:
        try:
            public_key.verify(signature, text.encode())
        except InvalidSignature as error:
            raise CheckpointError(f"the signature by {name} does not hold") from error
    return text


def signature_names(note: bytes) -> list[str]:
    """Return the names on the signature lines of `note`, the log's first; nothing of them is checked.

    Raises CheckpointError for a malformed note.
    """
    return [name for name, _ in map(_parse_signature_line, _split_note(note)[1])]


def check_vkey(vkey: str) -> str:
    """Return the key name in `vkey`, which for a log is its origin. Raises CheckpointError."""
    return _parse_vkey(vkey)[0]


def _parse_text(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < _TEXT_LINES_MIN or not all(lines):
        raise CheckpointError("the text must have three lines at least, none of them empty")
    origin, size, root = lines[:_TEXT_LINES_MIN]
    return Checkpoint(origin, _parse_size(size), _decode("root", root, HASH_BYTES))


def _split_note(note: bytes) -> tuple[str, list[str]]:
    if len(note) > NOTE_BYTES_MAX:
        raise CheckpointError(f"the note has {len(note)} bytes, the limit is {NOTE_BYTES_MAX}")
    try:
        decoded = note.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError("the note is not UTF-8") from error
    if not _is_clean(decoded):
        raise CheckpointError("the note holds a control character")
    text, separator, signatures = decoded.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise CheckpointError("the note must be text, an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise CheckpointError(f"the note has more than {NOTE_SIGNATURES_MAX} signatures")
    return text + "\n", lines


def _parse_signature_line(line: str) -> tuple[str, bytes]:
    name, separator, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator:
        raise CheckpointError("a signature line must be dash, name, signature")
    _check_key_name(name)
    decoded = _decode("signature", value, None)
    if len(decoded) <= _KEY_ID_BYTES:
        raise CheckpointError("a signature is too short")
    return name, decoded


def _parse_vkey(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    # The base64 of the key may hold a plus sign itself: only the first two separate.
    fields = vkey.split("+", 2)
    if len(fields) != _TEXT_LINES_MIN:
        raise CheckpointError("the verifier key must be name+key id+key")
    name, key_id, encoded = fields
    _check_key_name(name)
    decoded = _decode("verifier key", encoded, 1 + _PUBLIC_KEY_BYTES)
    public_key = decoded[1:]
    if decoded[:1] != _ED25519:
        raise CheckpointError("the verifier key is not of type 0x01 (Ed25519)")
    if key_id != _key_id(name, public_key).hex():
        raise CheckpointError("the verifier key's id does not belong to its name and key")
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(public_key)


def _parse_size(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _SIZE_DIGITS_MAX:
        raise CheckpointError("the size must be a decimal number")
    size = int(text)
    if str(size) != text or size > _SIZE_MAX:
        raise CheckpointError("the size has a leading zero or is too large")
    return size


def _decode(what: str, text: str, length: int | None) -> bytes:
    try:
        value = b64decode(text.encode(), validate=True)
    except Base64Error as error:
        raise CheckpointError(f"the {what} is not base64") from error
    if b64encode(value).decode() != text:
        raise CheckpointError(f"the {what} is not the canonical base64 of its bytes")
    if length is not None and len(value) != length:
        raise CheckpointError(f"the {what} must have {length} bytes, it has {len(value)}")
    return value


def _key_id(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_BYTES]


def _check_key_name(name: str) -> None:
    if not name or "+" in name or not _is_clean(name) or any(map(str.isspace, name)):
        raise CheckpointError("a key name must not be empty nor hold spaces or '+'")


def _is_clean(text: str) -> bool:
    return all(ord(character) >= _FIRST_PRINTABLE or character == "\n" for character in text)
