"""A receipt's or a certificate's entry as a file for anyone's tools: c2sp.org/tlog-proof@v1, suffix `.tlog-proof`.

The entry's own bytes travel in the line `extra`: the file and the log's verifier key are all that is needed, for the
leaf hash of these bytes is what the proof is about. The content of the act is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.client.errors import InputError, ProofFileInvalid
from gateway.client.local_files import make_folder, not_read, not_written
from gateway.client.trust import LedgerTrust
from ledger.checkpoint import Checkpoint, check_vkey
from ledger.entry import Entry, parse_entry
from ledger.errors import (
    CheckpointError,
    EntryInvalidError,
    EntryTooLargeError,
    LedgerError,
    OriginError,
    ProofError,
    ProofFileError,
)
from ledger.hashing import leaf_hash
from ledger.proof_file import parse_proof_file, verify_proof_file, write_proof_file

SUFFIX: Final = ".tlog-proof"

_ZH: Final = {
    EntryInvalidError.reason: "其中的账本记录格式错误",
    EntryTooLargeError.reason: "其中的账本记录过大",
    ProofFileError.reason: "不是 c2sp.org/tlog-proof@v1 文件",
    CheckpointError.reason: "检查点格式错误或签名无效",
    OriginError.reason: "属于另一账本",
    ProofError.reason: "包含证明不成立",
}


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """What a proof file proves: `entry`, whose bytes are `data`, is in the log of `checkpoint`."""

    entry: Entry
    data: bytes
    checkpoint: Checkpoint


def save_proof(path: Path, entry: bytes, index: int, inclusion: Sequence[bytes], note: bytes) -> None:
    """Write a proof file over an entry's bytes, replacing an older one in one step. Raises InputError."""
    make_folder(path.parent)
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(write_proof_file(index, inclusion, note, extra=entry))
        fresh.replace(path)
    except OSError as error:
        raise not_written(path, error) from error


def check_proof(path: Path, trust: LedgerTrust, entry_path: Path | None = None) -> CheckedProof:
    """Check a proof file offline. `entry_path`: the entry's bytes, where the file does not carry them itself.

    Raises ProofFileInvalid with the reason of what does not hold, InputError for files that cannot be read.
    """
    data, given = _read(path), _read(entry_path) if entry_path is not None else None
    try:
        proof = parse_proof_file(data)
        entry_bytes = given if given is not None else proof.extra
        if entry_bytes is None:
            raise InputError(
                f"{path} does not carry its entry: give the entry's bytes with --entry",
                f"{path} 不含账本记录本身：请用 --entry 指定记录文件",
            )
        entry = parse_entry(entry_bytes)
        if entry.index != proof.index:
            raise ProofFileError(f"the index is {proof.index}, the entry's own is {entry.index}")
        checkpoint = _checked(data, entry_bytes, entry.origin, trust)
    except LedgerError as error:
        raise ProofFileInvalid(error.reason, f"{path}: {error}", f"{path}：{_ZH[error.reason]}") from error
    return CheckedProof(entry, entry_bytes, checkpoint)


def _checked(data: bytes, entry: bytes, origin: str, trust: LedgerTrust) -> Checkpoint:
    """The checkpoint, under one of the keys that are trusted for this origin."""
    problem: LedgerError = OriginError(origin, " or ".join(dict.fromkeys(map(check_vkey, _vkeys(trust)))))
    for vkey in _vkeys(trust):
        if check_vkey(vkey) == origin:
            try:
                return verify_proof_file(data, leaf_hash(entry), vkey)[1]
            except LedgerError as error:
                problem = error
    raise problem


def _vkeys(trust: LedgerTrust) -> Iterator[str]:
    return (vkey for registry in trust.registries for vkey in trust.vkeys(registry))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise not_read(path, error) from error
