"""Checkpoints: C2SP signed notes, strict in what is believed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import Checkpoint, NoteSigner, check_vkey, open_checkpoint, sign_checkpoint
from ledger.errors import CheckpointError
from tests.support.ledger_database import ORIGIN, make_signer

SIGNER = make_signer()
CHECKPOINT = Checkpoint(ORIGIN, 12, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, SIGNER)


def resigned(text: str) -> bytes:
    """Sign any text with the right key."""
    return text.encode() + b"\n" + SIGNER.signature_line(text.encode())


def test_open_published_example_vkey_is_accepted() -> None:
    """The verifier key printed in the signed-note specification has the id that we compute."""
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    assert check_vkey(vkey) == "example.com/foo"
    note = (
        "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONnc"
        "AlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    # The signature holds, so what is refused is the text, which is no checkpoint.
    with pytest.raises(CheckpointError, match="three lines"):
        open_checkpoint(note.encode(), vkey)


def test_open_signed_note_returns_checkpoint() -> None:
    """What was signed is what is read, again and again the same bytes."""
    assert open_checkpoint(NOTE, SIGNER.vkey) == CHECKPOINT
    assert sign_checkpoint(CHECKPOINT, SIGNER) == NOTE


def test_open_unknown_signatures_and_extensions_are_skipped() -> None:
    """Lines of other keys and extension lines do not disturb (signed-note, tlog-checkpoint)."""
    witness = make_signer("witness.example", 9)
    text = CHECKPOINT.text().decode()
    assert open_checkpoint(NOTE + witness.signature_line(text.encode()), SIGNER.vkey) == CHECKPOINT
    same_name = make_signer(ORIGIN, 9)
    both = NOTE + same_name.signature_line(text.encode())
    assert open_checkpoint(both, SIGNER.vkey) == open_checkpoint(both, same_name.vkey) == CHECKPOINT
    assert open_checkpoint(resigned(text + "extension\n"), SIGNER.vkey) == CHECKPOINT


def test_open_every_changed_byte_is_refused() -> None:
    """No byte of a note can be changed unnoticed."""
    for at in range(len(NOTE)):
        changed = NOTE[:at] + bytes([NOTE[at] ^ 1]) + NOTE[at + 1 :]
        with pytest.raises(CheckpointError):
            open_checkpoint(changed, SIGNER.vkey)


@pytest.mark.parametrize("at", [0, 1, 40, -1])
def test_open_cut_note_is_refused(at: int) -> None:
    """A note cut short is refused."""
    with pytest.raises(CheckpointError):
        open_checkpoint(NOTE[:at], SIGNER.vkey)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n1\n\n",
        "\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n\u0661\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n",
        "o\n1\n*AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nx\n",
        "o\to\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    ],
)
def test_open_malformed_text_is_refused_though_signed(text: str) -> None:
    """A right signature does not make a malformed text a checkpoint."""
    with pytest.raises(CheckpointError):
        open_checkpoint(resigned(text), SIGNER.vkey)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no dash\n",
        "\u2014 name\n",
        "\u2014 na+me AAAAAAA=\n",
        "\u2014 name !!!\n",
        "\u2014 name AAAA\n",
        "\u2014 name AAAAAAA=",
        "\u2014 name AAAAAAB=\n",
    ],
)
def test_open_malformed_signature_line_is_refused(line: str) -> None:
    """A malformed line spoils the whole note, whoever it claims to be of."""
    with pytest.raises(CheckpointError):
        open_checkpoint(CHECKPOINT.text() + b"\n" + line.encode(), SIGNER.vkey)


def test_open_two_signatures_by_key_both_must_hold() -> None:
    """A known key's bad signature is not outweighed by its good one."""
    other = NoteSigner.signature_line(SIGNER, b"other text\n")
    with pytest.raises(CheckpointError, match="does not hold"):
        open_checkpoint(NOTE + other, SIGNER.vkey)


def test_open_too_large_or_not_utf8_is_refused() -> None:
    """Size, number of signatures and encoding have limits."""
    line = make_signer("w", 9).signature_line(CHECKPOINT.text())
    assert open_checkpoint(NOTE + line * 99, SIGNER.vkey) == CHECKPOINT
    for note in (NOTE + line * 100, b"x" * 1_000_001, b"\xff" + NOTE):
        with pytest.raises(CheckpointError):
            open_checkpoint(note, SIGNER.vkey)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_open_malformed_vkey_is_refused(vkey: str) -> None:
    """A verifier key binds name, id and key; a slip in one of them is refused."""
    with pytest.raises(CheckpointError):
        open_checkpoint(NOTE, vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\nb", "a\tb"])
def test_signer_bad_name_is_refused(name: str) -> None:
    """A key name that a note cannot carry is refused when the signer is made."""
    with pytest.raises(CheckpointError):
        NoteSigner(name, Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 2**63, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
    ],
)
def test_sign_impossible_checkpoint_is_refused(checkpoint: Checkpoint) -> None:
    """What could not be opened again is not signed."""
    with pytest.raises(CheckpointError):
        sign_checkpoint(checkpoint, SIGNER)
