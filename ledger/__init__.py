"""A hash-chained, RFC 6962 Merkle ledger that anyone can check without us.

The format is docs/ledger-format.md. This package knows nothing of mortgages: parts are opaque
bytes. It has two sides, and importing the package loads only the first, which needs no database:

- checking: `ledger.entry`, `ledger.proof`, `ledger.checkpoint`, `ledger.proof_file`, all exported;
- keeping: `ledger.store` (append and read), `ledger.publish` (sign checkpoints, prove),
  `ledger.verify` (audit a whole ledger), on SQLAlchemy Core tables in `ledger.tables`.

There is no clock here and no thread: times, salts and connections come from the caller, and
every write happens in the caller's transaction.
"""

from __future__ import annotations

from ledger.checkpoint import Checkpoint, NoteSigner, open_checkpoint, sign_checkpoint
from ledger.entry import Entry, commit_part, parse_entry
from ledger.errors import (
    CheckpointError,
    EntryInvalidError,
    EntryTooLargeError,
    LedgerError,
    ProofError,
    ProofFileError,
)
from ledger.hashing import EMPTY_ROOT, leaf_hash, node_hash
from ledger.proof import verify_consistency, verify_inclusion
from ledger.proof_file import ProofFile, parse_proof_file, verify_proof_file, write_proof_file

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "CheckpointError",
    "Entry",
    "EntryInvalidError",
    "EntryTooLargeError",
    "LedgerError",
    "NoteSigner",
    "ProofError",
    "ProofFile",
    "ProofFileError",
    "commit_part",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "parse_entry",
    "parse_proof_file",
    "sign_checkpoint",
    "verify_consistency",
    "verify_inclusion",
    "verify_proof_file",
    "write_proof_file",
]
