"""Cosignatures, policies and the witness's judgement, beside the C2SP specifications."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.cosignature import Cosigner, pick_cosignature, read_cosignature
from ledger.errors import CheckpointError, PolicyError, QuorumError
from ledger.hashing import leaf_hash
from ledger.policy import Policy, parse_policy
from ledger.tables import VKEY_CHARACTERS_MAX
from ledger.tile import TileTree
from ledger.tree import consistency_proof, root
from ledger.witness import (
    AddCheckpoint,
    Seen,
    WitnessRefusal,
    judge,
    open_request,
    parse_request,
    write_request,
)
from tests.support.ledger_database import ORIGIN, make_signer

LOG = make_signer()


def cosigner(number: int) -> Cosigner:
    """A witness with a key of its own."""
    return Cosigner(f"w{number}.example", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


W1, W2, W3, W4 = map(cosigner, range(1, 5))


def tree(size: int, *, fork: bool = False) -> TileTree:
    """A tree of so many leaves; the last one differs in a fork."""
    made = TileTree("r")
    made.extend(leaf_hash(f"{number} {fork and number == size - 1}".encode()) for number in range(size))
    return made


def load(*_: object) -> bytes:
    """No tile of these small trees is full."""
    raise AssertionError


def note(size: int, *, fork: bool = False) -> bytes:
    """A checkpoint of it, signed."""
    return sign_checkpoint(Checkpoint(ORIGIN, size, root(size, tree(size, fork=fork).reader(load))), LOG)


def request(old: int, size: int, *, fork: bool = False) -> AddCheckpoint:
    """The way from one size to another."""
    proof = consistency_proof(old, size, tree(size, fork=fork).reader(load)) if old else []
    return AddCheckpoint(old, tuple(proof), note(size, fork=fork))


def seen(size: int) -> Seen:
    """A witness that cosigned so many."""
    return Seen(size, root(size, tree(size).reader(load))) if size else Seen()


# -- cosignatures ------------------------------------------------------------------------------------------------------


def test_cosignature_is_that_of_the_specification() -> None:
    """Byte by byte as tlog-cosignature has it, checked without our reader."""
    checkpoint = note(5)
    line = W1.cosign(checkpoint, 1_679_315_147).decode()
    dash, name, value = line.rstrip("\n").split(" ")
    decoded = base64.b64decode(value)
    public = base64.b64decode(W1.vkey.split("+", 2)[2])
    assert (dash, name, public[0]) == ("\u2014", "w1.example", 4)
    assert decoded[:4] == hashlib.sha256(b"w1.example\n" + public).digest()[:4]
    assert decoded[4:12] == (1_679_315_147).to_bytes(8, "big")
    text = checkpoint.partition(b"\n\n")[0] + b"\n"
    message = b"cosignature/v1\ntime 1679315147\n" + text
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(decoded[12:], message)


def test_cosignature_is_read_and_log_signature_still_opens() -> None:
    """A witness's line is one more on the note; who does not know it skips it."""
    cosigned = note(5) + W1.cosign(note(5), 7)
    assert read_cosignature(cosigned, W1.vkey) == 7
    assert read_cosignature(cosigned, W2.vkey) is None
    assert open_checkpoint(cosigned, LOG.vkey).size == 5
    with pytest.raises(CheckpointError, match="type 0x04"):
        read_cosignature(cosigned, LOG.vkey)
    with pytest.raises(CheckpointError, match="type 0x01"):
        open_checkpoint(cosigned, W1.vkey)


def test_cosignature_every_changed_byte_is_refused() -> None:
    """No byte of text or cosignature can be changed, nor moved to another checkpoint."""
    whole = note(5) + W1.cosign(note(5), 7)
    start = len(note(5))
    for at in [*range(whole.index(b"\n\n")), *range(start, len(whole))]:
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            assert read_cosignature(changed, W1.vkey) is None
        except CheckpointError:
            continue
    with pytest.raises(CheckpointError, match="does not hold"):
        read_cosignature(note(6) + W1.cosign(note(5), 7), W1.vkey)


def test_cosignature_without_time_is_refused() -> None:
    """A time of zero says nothing, whether it is made or read."""
    with pytest.raises(CheckpointError, match="time"):
        W1.cosign(note(5), 0)


class QuantumSafe:
    """A witness with an ML-DSA-44 key, written from tlog-cosignature and without our code."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(name.encode()).digest())
        self.public = b"\x06" + self.key.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]
        self.vkey = f"{name}+{self.key_id.hex()}+{base64.b64encode(self.public).decode()}"

    def cosign(self, checkpoint: bytes, time: int, /, **changed: bytes) -> bytes:
        """The line at a time; `changed`: fields of the signed structure that say otherwise than they should."""
        origin, size, tree_root = checkpoint.split(b"\n")[:3]
        message = {
            "label": b"subtree/v1\n\x00",
            "name": bytes([len(self.name) % 256]) + self.name.encode(),
            "time": struct.pack(">Q", time),
            "origin": bytes([len(origin)]) + origin,
            "start": bytes(8),
            "end": struct.pack(">Q", int(size)),
            "root": base64.b64decode(tree_root),
        }
        signature = self.key.sign(b"".join((message | changed).values()))
        value = base64.b64encode(self.key_id + struct.pack(">Q", time) + signature)
        return b"\xe2\x80\x94 " + self.name.encode() + b" " + value + b"\n"


def test_ml_dsa_cosignature_counts_beside_one_of_ed25519() -> None:
    """Signature type 0x06 of tlog-cosignature: in an answer, on a note, in a policy's quorum, in the table."""
    safe = QuantumSafe("safe.example")
    checkpoint = note(5)
    line = pick_cosignature(checkpoint, W1.cosign(checkpoint, 7) + safe.cosign(checkpoint, 8), safe.vkey)
    both = checkpoint + W1.cosign(checkpoint, 7) + line
    assert (read_cosignature(both, W1.vkey), read_cosignature(both, safe.vkey)) == (7, 8)
    assert open_checkpoint(both, LOG.vkey).size == 5
    text = f"log {LOG.vkey}\nwitness a {W1.vkey}\nwitness b {safe.vkey}\ngroup g all a b\nquorum g\n"
    policy = parse_policy(text.encode())
    assert policy.check(both).size == 5
    with pytest.raises(QuorumError):
        policy.check(checkpoint + W1.cosign(checkpoint, 7))
    assert len(safe.vkey) <= VKEY_CHARACTERS_MAX


@pytest.mark.parametrize(
    "changed",
    [
        {"label": b"subtree/v2\n\x00"},
        {"name": b"\x0cevil.example"},
        {"time": struct.pack(">Q", 9)},
        {"origin": b"\x01o"},
        {"start": struct.pack(">Q", 1)},
        {"end": struct.pack(">Q", 6)},
        {"root": bytes(32)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_ml_dsa_cosignature_commits_to_every_field(changed: dict[str, bytes]) -> None:
    """A signature over anything else does not hold."""
    safe, checkpoint = QuantumSafe("safe.example"), note(5)
    with pytest.raises(CheckpointError, match="does not hold"):
        read_cosignature(checkpoint + safe.cosign(checkpoint, 8, **changed), safe.vkey)


def test_ml_dsa_cosignature_or_key_that_is_malformed_is_refused() -> None:
    """Without a time, of another length, of another name; a log has no such key."""
    safe, checkpoint = QuantumSafe("safe.example"), note(5)
    with pytest.raises(CheckpointError, match="has no time"):
        read_cosignature(checkpoint + safe.cosign(checkpoint, 0), safe.vkey)
    short = f"\u2014 safe.example {base64.b64encode(safe.key_id + bytes(72)).decode()}\n".encode()
    with pytest.raises(CheckpointError, match="wrong length"):
        read_cosignature(checkpoint + short, safe.vkey)
    name, key_id, _ = safe.vkey.split("+", 2)
    cut = f"{name}+{key_id}+{base64.b64encode(safe.public[:-1]).decode()}"
    with pytest.raises(CheckpointError, match="must have 1313 bytes, it has 1312"):
        read_cosignature(checkpoint, cut)
    with pytest.raises(CheckpointError, match="its name and key"):
        read_cosignature(checkpoint, "other" + safe.vkey)
    with pytest.raises(CheckpointError, match="not of type 0x01"):
        open_checkpoint(checkpoint, safe.vkey)
    long = QuantumSafe("w" * 300)
    with pytest.raises(CheckpointError, match="at most 255"):
        read_cosignature(checkpoint + long.cosign(checkpoint, 8, name=b""), long.vkey)


def test_answer_is_taken_for_the_known_key_alone() -> None:
    """Lines of strangers in a witness's answer are left out; a line that does not hold is no answer."""
    mine = W1.cosign(note(5), 7)
    assert pick_cosignature(note(5), W2.cosign(note(5), 9) + mine, W1.vkey) == mine
    for answer in (W2.cosign(note(5), 9), W1.cosign(note(6), 7), b"", b"nonsense\n"):
        with pytest.raises(CheckpointError):
            pick_cosignature(note(5), answer, W1.vkey)


# -- policies ----------------------------------------------------------------------------------------------------------

HEAD = f"""# a policy
log {LOG.vkey}\thttps://log.example

  witness A {W1.vkey} http://127.0.0.1:1/
witness B {W2.vkey}
witness C {W3.vkey}
witness D {W4.vkey}
"""


def policy(text: str) -> Policy:
    return parse_policy((HEAD + text).encode())


@pytest.mark.parametrize(
    ("text", "met", "missed"),
    [
        ("quorum none\n", [[]], []),
        ("quorum A\n", [[W1], [W1, W2]], [[], [W2, W3, W4]]),
        ("group g any A B\nquorum g\n", [[W1], [W2]], [[], [W3, W4]]),
        ("group g all A B\nquorum g\n", [[W1, W2]], [[W1], [W2], [W1, W3]]),
        ("group g 2 A B C\nquorum g\n", [[W1, W3], [W1, W2, W3]], [[W1], [W1, W4]]),
        (
            "group x 2 A B C\ngroup y any D\ngroup both all x y\nquorum both\n",
            [[W1, W2, W4]],
            [[W1, W2, W3], [W4, W1]],
        ),
    ],
)
def test_policy_quorum(text: str, met: list[list[Cosigner]], missed: list[list[Cosigner]]) -> None:
    """Witnesses and groups count as tlog-policy says; a checkpoint needs the log's signature and the quorum."""
    parsed = policy(text)
    for cosigners in met:
        cosigned = note(5) + b"".join(one.cosign(note(5), 7) for one in cosigners)
        assert parsed.check(cosigned).size == 5
    for cosigners in missed:
        cosigned = note(5) + b"".join(one.cosign(note(5), 7) for one in cosigners)
        with pytest.raises(QuorumError):
            parsed.check(cosigned)


def test_policy_of_other_log_or_broken_line_is_refused() -> None:
    """Another log's checkpoint, another key's, and a known witness's line that does not hold."""
    parsed = policy("quorum none\n")
    stranger = sign_checkpoint(Checkpoint("elsewhere", 5, bytes(32)), make_signer("elsewhere"))
    with pytest.raises(CheckpointError, match="none of the policy"):
        parsed.check(stranger)
    with pytest.raises(CheckpointError, match="no signature"):
        parsed.check(sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), make_signer(seed=9)))
    with pytest.raises(CheckpointError, match="does not hold"):
        parsed.check(note(5) + W2.cosign(note(6), 7))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no quorum"),
        ("quorum A", "newline"),
        ("quorum A\nquorum A\n", "second quorum"),
        ("quorum X\n", "not defined"),
        ("quorum g\ngroup g any A\n", "not defined"),
        ("group g any X\nquorum g\n", "not defined"),
        ("group g any none\nquorum g\n", "not defined"),
        ("group g any\nquorum g\n", "number of words"),
        ("group g 0 A\nquorum g\n", "threshold"),
        ("group g 3 A B\nquorum g\n", "threshold"),
        ("group g 01 A B\nquorum g\n", "threshold"),
        ("group g most A B\nquorum g\n", "threshold"),
        ("group g any A\ngroup h any A\nquorum g\n", "member already"),
        ("group g 1 A A\nquorum g\n", "member already"),
        ("group A any B\nquorum A\n", "taken"),
        ("group none any B\nquorum A\n", "taken"),
        (f"witness none {cosigner(9).vkey}\nquorum A\n", "taken"),
        (f"witness E {W1.vkey}\nquorum A\n", "twice"),
        (f"witness E {LOG.vkey}\nquorum A\n", "type 0x04"),
        (f"log {LOG.vkey}\nquorum A\n", "twice"),
        (f"log {W1.vkey}\nquorum A\n", "type 0x01"),
        ("witness E x+00000000+AAAA\nquorum A\n", "verifier key"),
        ("witness\nquorum A\n", "number of words"),
        ("quorum A B\n", "number of words"),
        ("watch A\nquorum A\n", "none of"),
        ("quorum A\r\n", "control"),
    ],
)
def test_policy_malformed_is_refused_with_its_line(text: str, rule: str) -> None:
    """Whatever the specification forbids; the line is named."""
    with pytest.raises(PolicyError, match=rule) as caught:
        policy(text)
    assert caught.value.line >= HEAD.count("\n")


def test_policy_names_are_octets() -> None:
    """Names that are not UTF-8, or look alike in Unicode, stay apart."""
    lines = [b"witness \xff " + W1.vkey.encode(), b"witness K " + W2.vkey.encode()]
    lines.append("witness \u212a ".encode() + W3.vkey.encode())
    parsed = parse_policy(b"\n".join([*lines, b"quorum \xff", b""]))
    assert len(parsed.witnesses) == 3
    assert parsed.is_met({W1.vkey})
    assert not parsed.is_met({W2.vkey, W3.vkey})


# -- what a witness makes of a request ---------------------------------------------------------------------------------


def test_request_is_that_of_the_specification() -> None:
    """Old size, proof, empty line, checkpoint; read back it is the same."""
    made = request(3, 5)
    head, _, rest = write_request(made).partition(b"\n\n")
    assert head.split(b"\n")[0] == b"old 3"
    assert [base64.b64decode(line) for line in head.split(b"\n")[1:]] == list(made.proof)
    assert rest == note(5)
    assert parse_request(write_request(made)) == made


@pytest.mark.parametrize(("old", "size"), [(0, 0), (0, 5), (3, 5), (5, 5), (4, 200), (1, 2)])
def test_judge_takes_what_extends_what_was_seen(old: int, size: int) -> None:
    """First checkpoint, growth, the same again."""
    made = request(old, size)
    if old == size:
        made = AddCheckpoint(old, (), made.note)
    checkpoint, _ = open_request(made, {ORIGIN: [LOG.vkey]})
    assert judge(made, checkpoint, seen(old)) == Seen(checkpoint.size, checkpoint.root)


def _replaced(made: AddCheckpoint, **changes: object) -> AddCheckpoint:
    fields = {"old_size": made.old_size, "proof": made.proof, "note": made.note, **changes}
    return AddCheckpoint(**fields)  # type: ignore[arg-type]


REFUSALS: dict[str, tuple[Callable[[], AddCheckpoint], int, int]] = {
    "not the size seen": (lambda: request(3, 5), 4, 409),
    "a first one again": (lambda: request(0, 5), 3, 409),
    "rolled back": (lambda: request(3, 5), 8, 409),
    "old above new": (lambda: _replaced(request(0, 5), old_size=6), 6, 400),
    "fork of equal size": (lambda: AddCheckpoint(5, (), note(5, fork=True)), 5, 422),
    "fork under a longer tree": (lambda: _replaced(request(5, 9), proof=request(4, 9).proof), 5, 422),
    "no proof": (lambda: _replaced(request(3, 5), proof=()), 3, 422),
    "proof from nothing": (lambda: _replaced(request(0, 5), proof=(bytes(32),)), 0, 422),
    "empty tree, other root": (
        lambda: AddCheckpoint(0, (), sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG)),
        0,
        422,
    ),
    "another log": (
        lambda: AddCheckpoint(0, (), sign_checkpoint(Checkpoint("x", 5, bytes(32)), make_signer("x"))),
        0,
        404,
    ),
    "another key": (
        lambda: AddCheckpoint(0, (), sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), make_signer(seed=9))),
        0,
        403,
    ),
    "signature broken": (
        lambda: AddCheckpoint(0, (), note(6)[: note(6).index(b"\n\n")] + note(5)[note(5).index(b"\n\n") :]),
        0,
        403,
    ),
    "no checkpoint": (lambda: AddCheckpoint(0, (), b"hello\n"), 0, 400),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_judge_refuses(case: str) -> None:
    """Each with the status that tlog-witness gives it; a 409 says the size kept."""
    make, kept, status = REFUSALS[case]
    made = make()
    with pytest.raises(WitnessRefusal) as caught:
        judge(made, open_request(made, {ORIGIN: [LOG.vkey]})[0], seen(kept))
    assert caught.value.status == status
    if status == 409:
        assert caught.value.body == str(kept)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n" + note(5),
        b"new 0\n\n" + note(5),
        b"old 00\n\n" + note(5),
        b"old -1\n\n" + note(5),
        b"old 3\nAAAA\n\n" + note(5),
        b"old 3\n\xff\n\n" + note(5),
        b"old 3\n" + b"\n".join([base64.b64encode(bytes(32))] * 64) + b"\n\n" + note(5),
        b"old 0\n\n" + note(5) + b"x" * 300_000,
    ],
)
def test_request_malformed_is_refused(body: bytes) -> None:
    """400, and never a traceback."""
    with pytest.raises(WitnessRefusal) as caught:
        parse_request(body)
    assert caught.value.status == 400


def test_request_foreign_lines_are_not_kept() -> None:
    """A note may carry anybody's lines; what the witness keeps and hands on are the log's."""
    stranger = make_signer("stranger", 9)
    made = AddCheckpoint(0, (), note(5) + stranger.signature_line(b"x") + W2.cosign(note(5), 7))
    _, kept = open_request(made, {ORIGIN: [LOG.vkey]})
    assert kept == note(5)
