"""The proof file that a bank keeps: c2sp.org/tlog-proof@v1, suffix `.tlog-proof`.

It holds an entry's index, its inclusion proof and the signed checkpoint, so that the entry can be
checked offline for ever. The entry itself, and the salt and content of its parts, travel beside it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import NOTE_BYTES_MAX, Checkpoint, open_log_checkpoint
from ledger.entry import INDEX_MAX
from ledger.errors import ProofFileError
from ledger.hashing import HASH_BYTES
from ledger.proof import verify_inclusion

PROOF_FILE_VERSION: Final = "c2sp.org/tlog-proof@v1"
PROOF_HASHES_MAX: Final = 63
"""The longest path in a tree whose size fits a BIGINT."""
EXTRA_BYTES_MAX: Final = 65_536
_FILE_BYTES_MAX: Final = 2 * EXTRA_BYTES_MAX + NOTE_BYTES_MAX
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_INDEX_DIGITS_MAX: Final = 19


@dataclass(frozen=True, slots=True)
class ProofFile:
    """A parsed proof file. Nothing in it is trusted before `verify_proof_file`.

    index: the entry's place, from 0. proof: hashes of 32 bytes, the leaf's sibling first.
    note: the signed checkpoint, verbatim. extra: opaque and never authenticated, or None.
    """

    index: int
    proof: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None


def write_proof_file(index: int, proof: Sequence[bytes], note: bytes, extra: bytes | None = None) -> bytes:
    """Return the bytes of a proof file. Raises ProofFileError for what cannot be written."""
    if not 0 <= index <= INDEX_MAX:
        raise ProofFileError(f"the index must lie in 0..{INDEX_MAX}")
    if len(proof) > PROOF_HASHES_MAX or any(len(value) != HASH_BYTES for value in proof):
        raise ProofFileError(f"a proof is at most {PROOF_HASHES_MAX} hashes of {HASH_BYTES} bytes")
    if extra is not None and not 0 < len(extra) <= EXTRA_BYTES_MAX:
        raise ProofFileError(f"extra data must have 1..{EXTRA_BYTES_MAX} bytes")
    lines = [PROOF_FILE_VERSION]
    if extra is not None:
        lines.append(_EXTRA + b64encode(extra).decode())
    lines.append(f"{_INDEX}{index}")
    lines.extend(b64encode(value).decode() for value in proof)
    return ("\n".join(lines) + "\n\n").encode() + note


def parse_proof_file(data: bytes) -> ProofFile:
    """Return the fields of a proof file. Raises ProofFileError for a malformed one."""
    if len(data) > _FILE_BYTES_MAX:
        raise ProofFileError(f"it has {len(data)} bytes, the limit is {_FILE_BYTES_MAX}")
    head, separator, note = data.partition(b"\n\n")
    if not separator or not note:
        raise ProofFileError("an empty line and a checkpoint must follow the proof")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise ProofFileError("the lines before the checkpoint must be ASCII") from error
    if lines.pop(0) != PROOF_FILE_VERSION:
        raise ProofFileError(f"the first line must be {PROOF_FILE_VERSION}")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = _decode(lines.pop(0).removeprefix(_EXTRA))
        if not 0 < len(extra) <= EXTRA_BYTES_MAX:
            raise ProofFileError(f"extra data must have 1..{EXTRA_BYTES_MAX} bytes")
    if not lines or not lines[0].startswith(_INDEX):
        raise ProofFileError("the line of the index is missing")
    index = _parse_index(lines.pop(0).removeprefix(_INDEX))
    if len(lines) > PROOF_HASHES_MAX:
        raise ProofFileError(f"a proof has at most {PROOF_HASHES_MAX} hashes")
    proof = tuple(_decode(line) for line in lines)
    if any(len(value) != HASH_BYTES for value in proof):
        raise ProofFileError(f"a hash must have {HASH_BYTES} bytes")
    return ProofFile(index, proof, note, extra)


def verify_proof_file(data: bytes, entry_hash: bytes, vkey: str) -> tuple[int, Checkpoint]:
    """Return (index, checkpoint) once the file proves the entry of `entry_hash` (32 bytes).

    The checkpoint is that of the log whose key `vkey` is. Raises ProofFileError (malformed), OriginError
    (another log's), CheckpointError (note or signature), ProofError (proof).
    """
    proof_file = parse_proof_file(data)
    checkpoint = open_log_checkpoint(proof_file.note, vkey)
    verify_inclusion(proof_file.index, checkpoint.size, entry_hash, proof_file.proof, checkpoint.root)
    return proof_file.index, checkpoint


def _parse_index(text: str) -> int:
    if not text.isdecimal() or len(text) > _INDEX_DIGITS_MAX or str(int(text)) != text:
        raise ProofFileError("the index must be a decimal number without leading zeros")
    if int(text) > INDEX_MAX:
        raise ProofFileError(f"the index must lie in 0..{INDEX_MAX}")
    return int(text)


def _decode(text: str) -> bytes:
    try:
        value = b64decode(text.encode(), validate=True)
    except Base64Error as error:
        raise ProofFileError("a line is not base64") from error
    if b64encode(value).decode() != text:
        raise ProofFileError("a line is not the canonical base64 of its bytes")
    return value
