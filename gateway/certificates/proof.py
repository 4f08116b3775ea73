"""The proof that a certificate's content stands in the ledger: `ledger-proof.json` inside the PDF.

    {"schema": "diya-ledger-proof/v1", "origin": …, "index": …, "part": "certificate/1",
     "salt": base64 of 32 bytes, "entry": base64 of the entry's bytes,
     "inclusion": [base64 of 32 bytes, … the leaf's sibling first],
     "checkpoint": the signed note as text}

With the attached `certificate.json` it is all that a verifier needs besides the log's key: SHA-256(salt ‖
certificate.json) is the line `part` of the entry, the entry's leaf hash is in the tree of the checkpoint, and
the log signed the checkpoint. `proof.tlog-proof` beside it is the same index, hashes and note in the form of
c2sp.org/tlog-proof@v1, for other tools. Hash, entry and note formats: docs/ledger-format.md.
"""

from __future__ import annotations

from typing import Final

import msgspec

PROOF_SCHEMA: Final = "diya-ledger-proof/v1"
CONTENT_ATTACHMENT: Final = "certificate.json"
PROOF_ATTACHMENT: Final = "ledger-proof.json"
NOTE_ATTACHMENT: Final = "proof.tlog-proof"


class LedgerProof(msgspec.Struct, frozen=True, kw_only=True):
    """One part of one entry, with its salt, and the way from the entry to a signed checkpoint.

    `index` counts entries from 0; `inclusion` holds 32-byte hashes, the leaf's sibling first; `checkpoint` is
    the signed note's bytes as text.
    """

    schema: str = PROOF_SCHEMA
    origin: str
    index: int
    part: str
    salt: bytes
    entry: bytes
    inclusion: tuple[bytes, ...]
    checkpoint: str


def encode_proof(proof: LedgerProof) -> bytes:
    """The bytes that are attached: compact JSON in field order, byte strings in base64."""
    return msgspec.json.encode(proof)


def decode_proof(data: bytes) -> LedgerProof:
    """Parse `encode_proof` output; raises msgspec.ValidationError or msgspec.DecodeError."""
    return msgspec.json.decode(data, type=LedgerProof)
