"""Proof files: c2sp.org/tlog-proof@v1, written and read strictly."""

from __future__ import annotations

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import CheckpointError, ProofError, ProofFileError
from ledger.hashing import leaf_hash, node_hash
from ledger.proof_file import parse_proof_file, verify_proof_file, write_proof_file
from tests.support.ledger_database import ORIGIN, make_signer

LEAF, OTHER = leaf_hash(b"a"), leaf_hash(b"b")
SIGNER = make_signer()
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 2, node_hash(LEAF, OTHER)), SIGNER)
FILE = write_proof_file(0, [OTHER], NOTE)


def test_parse_written_file_gives_fields_back() -> None:
    """What was written is what is read, with and without extra data."""
    parsed = parse_proof_file(FILE)
    assert (parsed.index, parsed.proof, parsed.note, parsed.extra) == (0, (OTHER,), NOTE, None)
    assert parse_proof_file(write_proof_file(0, [OTHER], NOTE, b"salt")).extra == b"salt"
    assert parse_proof_file(write_proof_file(5, [], NOTE)).proof == ()


def test_verify_right_entry_passes_and_wrong_is_refused() -> None:
    """A file proves its entry at its index under its key, and nothing else."""
    assert verify_proof_file(FILE, LEAF, SIGNER.vkey) == (0, Checkpoint(ORIGIN, 2, node_hash(LEAF, OTHER)))
    with pytest.raises(ProofError):
        verify_proof_file(FILE, OTHER, SIGNER.vkey)
    with pytest.raises(ProofError):
        verify_proof_file(FILE.replace(b"index 0", b"index 1"), LEAF, SIGNER.vkey)
    with pytest.raises(CheckpointError):
        verify_proof_file(FILE, LEAF, make_signer(ORIGIN, 9).vkey)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 0", b"index 00"),
        (b"index 0", b"index -1"),
        (b"index 0", b"index x"),
        (b"index 0", b"index"),
        (b"index 0", b"index 9223372036854775808"),
        (b"index 0", b"index \xd9\xa1"),
        (b"index 0", b"extra AA==\nextra AA==\nindex 0"),
        (b"index 0", b"extra \nindex 0"),
        (b"index 0", b"extra AB==\nindex 0"),
        (b"index 0\n", b"index 0\nAAAA\n"),
        (b"index 0\n", b"index 0\n****\n"),
        (b"\n\n", b"\n"),
    ],
)
def test_parse_malformed_file_is_refused(old: bytes, new: bytes) -> None:
    """A file that we would not have written is refused, naming the line."""
    assert old in FILE
    with pytest.raises(ProofFileError):
        parse_proof_file(FILE.replace(old, new))


def test_parse_too_long_file_is_refused() -> None:
    """A proof has at most 63 hashes, a file a size limit, and a checkpoint must follow."""
    with pytest.raises(ProofFileError):
        parse_proof_file(b"x" * 2_000_000)
    line = FILE.split(b"\n")[2] + b"\n"
    assert len(parse_proof_file(FILE.replace(line, line * 63)).proof) == 63
    for data in (FILE.replace(line, line * 64), FILE[: FILE.index(b"\n\n") + 2], b""):
        with pytest.raises(ProofFileError):
            parse_proof_file(data)


@pytest.mark.parametrize(
    ("index", "proof", "extra"),
    [
        (-1, [], None),
        (2**63, [], None),
        (0, [b"x"], None),
        (0, [LEAF] * 64, None),
        (0, [], b""),
        (0, [], b"x" * 65_537),
    ],
)
def test_write_impossible_file_is_refused(index: int, proof: list[bytes], extra: bytes | None) -> None:
    """What could not be read again is not written."""
    with pytest.raises(ProofFileError):
        write_proof_file(index, proof, NOTE, extra)
