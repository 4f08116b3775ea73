"""Signed notes, line by line (C2SP signed-note): what a checkpoint's signature and a witness's cosignature share.

Nothing here says what a signature is made over; `ledger.checkpoint` and `ledger.cosignature` do.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from ledger.errors import CheckpointError

NOTE_BYTES_MAX: Final = 1_000_000
NOTE_SIGNATURES_MAX: Final = 100

ED25519: Final = b"\x01"
"""Signature type of a log's key."""

COSIGNATURE: Final = b"\x04"
"""Signature type of a witness's key: timestamped Ed25519 (tlog-cosignature)."""

COSIGNATURE_ML_DSA: Final = b"\x06"
"""Signature type of a witness's key: ML-DSA-44 (tlog-cosignature, FIPS 204)."""

WITNESS_TYPES: Final = (COSIGNATURE, COSIGNATURE_ML_DSA)

_TYPES: Final = {
    ED25519: "0x01 (Ed25519)",
    COSIGNATURE: "0x04 (Ed25519 cosignature)",
    COSIGNATURE_ML_DSA: "0x06 (ML-DSA-44 cosignature)",
}
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = {ED25519: 32, COSIGNATURE: 32, COSIGNATURE_ML_DSA: 1312}
_VKEY_FIELDS: Final = 3
_DASH: Final = "\u2014 "
_FIRST_PRINTABLE: Final = 0x20


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A parsed vkey. kind: its signature type, one byte. name and key_id (4 bytes) name it on a note; raw: the public
    key's bytes, 32 of Ed25519, 1312 of ML-DSA-44.
    """

    kind: bytes
    name: str
    key_id: bytes
    public_key: Ed25519PublicKey | MLDSA44PublicKey
    raw: bytes

    def signatures_in(self, lines: list[str]) -> list[bytes]:
        """What lines of this name and id hold, without the id. Raises CheckpointError for a malformed line."""
        return [
            value[_KEY_ID_BYTES:]
            for name, value in map(parse_signature_line, lines)
            if name == self.name and value[:_KEY_ID_BYTES] == self.key_id
        ]


def parse_vkey(vkey: str, *kinds: bytes) -> VerifierKey:
    """Return the key in `name+hex(key id)+base64(kind || public key)`, of one of `kinds`, ED25519 where none is named.

    Raises CheckpointError, also where this build of `cryptography` does not know the algorithm.
    """
    kinds = kinds or (ED25519,)
    # The base64 of the key may hold a plus sign itself: only the first two separate.
    fields = vkey.split("+", 2)
    if len(fields) != _VKEY_FIELDS:
        raise CheckpointError("the verifier key must be name+key id+key")
    name, key_id, encoded = fields
    check_key_name(name)
    decoded = decode("verifier key", encoded, None)
    kind, raw = decoded[:1], decoded[1:]
    if kind not in kinds:
        wanted = " or ".join(_TYPES[one] for one in kinds)
        raise CheckpointError(f"the verifier key is not of type {wanted}")
    if len(raw) != _PUBLIC_KEY_BYTES[kind]:
        raise CheckpointError(
            f"the verifier key must have {1 + _PUBLIC_KEY_BYTES[kind]} bytes, it has {len(decoded)}"
        )
    if key_id != key_id_of(name, raw, kind).hex():
        raise CheckpointError("the verifier key's id does not belong to its name and key")
    return VerifierKey(kind, name, bytes.fromhex(key_id), _public_key(kind, raw), raw)


def _public_key(kind: bytes, raw: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    if kind != COSIGNATURE_ML_DSA:
        return Ed25519PublicKey.from_public_bytes(raw)
    try:
        return MLDSA44PublicKey.from_public_bytes(raw)
    except UnsupportedAlgorithm as error:
        raise CheckpointError("ML-DSA-44 is not to be had in this build of cryptography") from error


def write_vkey(name: str, public_key: bytes, kind: bytes = ED25519) -> str:
    """Return the vkey of a public key, its raw bytes, under a name. Raises CheckpointError for a bad name."""
    check_key_name(name)
    return f"{name}+{key_id_of(name, public_key, kind).hex()}+{b64encode(kind + public_key).decode()}"


def key_id_of(name: str, public_key: bytes, kind: bytes = ED25519) -> bytes:
    """Return the 4 bytes that name a key on a note."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:_KEY_ID_BYTES]


def write_signature_line(name: str, key_id: bytes, signature: bytes) -> bytes:
    """Return a signature line with its newline."""
    return f"{_DASH}{name} {b64encode(key_id + signature).decode()}\n".encode()


def split_note(note: bytes) -> tuple[str, list[str]]:
    """Return (text with its newline, signature lines without theirs). Raises CheckpointError."""
    if len(note) > NOTE_BYTES_MAX:
        raise CheckpointError(f"the note has {len(note)} bytes, the limit is {NOTE_BYTES_MAX}")
    try:
        decoded = note.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError("the note is not UTF-8") from error
    if not is_clean(decoded):
        raise CheckpointError("the note holds a control character")
    text, separator, signatures = decoded.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise CheckpointError("the note must be text, an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise CheckpointError(f"the note has more than {NOTE_SIGNATURES_MAX} signatures")
    return text + "\n", lines


def check_key_name(name: str) -> None:
    """Raise CheckpointError for a name that a signed note cannot carry."""
    if not name or "+" in name or not is_clean(name) or any(map(str.isspace, name)):
        raise CheckpointError("a key name must not be empty nor hold spaces or '+'")


def is_clean(text: str) -> bool:
    """Whether a text has no control character but newlines."""
    return all(ord(character) >= _FIRST_PRINTABLE or character == "\n" for character in text)


def decode(what: str, text: str, length: int | None) -> bytes:
    """Return the bytes of canonical base64, of so many bytes if told. Raises CheckpointError that names `what`."""
    try:
        value = b64decode(text.encode(), validate=True)
    except Base64Error as error:
        raise CheckpointError(f"the {what} is not base64") from error
    if b64encode(value).decode() != text:
        raise CheckpointError(f"the {what} is not the canonical base64 of its bytes")
    if length is not None and len(value) != length:
        raise CheckpointError(f"the {what} must have {length} bytes, it has {len(value)}")
    return value


def parse_signature_line(line: str) -> tuple[str, bytes]:
    """Return (name, key id and signature) of a signature line, nothing of it checked. Raises CheckpointError."""
    name, separator, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator:
        raise CheckpointError("a signature line must be dash, name, signature")
    check_key_name(name)
    decoded = decode("signature", value, None)
    if len(decoded) <= _KEY_ID_BYTES:
        raise CheckpointError("a signature is too short")
    return name, decoded
