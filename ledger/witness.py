"""The C2SP tlog-witness protocol: what a log sends to a witness, and what a witness makes of it (no I/O).

`judge` decides; whoever serves it stores the new checkpoint by compare-and-swap BEFORE it cosigns
(gateway/witness). A witness that forgets, or cosigns before it has stored, is none.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, parse_size
from ledger.errors import CheckpointError, ProofError
from ledger.hashing import EMPTY_ROOT, HASH_BYTES
from ledger.note import decode, parse_vkey, split_note
from ledger.proof import verify_consistency

PROOF_LINES_MAX: Final = 63
REQUEST_BYTES_MAX: Final = 256 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of a 409: the size that the witness cosigned last."""

_OLD: Final = b"old "


class WitnessRefusal(Exception):
    """A witness's No. status: of HTTP. body: what it says, one line."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size cosigned last, the way from there to the checkpoint, its note."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness keeps of a log: the size and root that it cosigned last; (0, EMPTY_ROOT) at first."""

    size: int = 0
    root: bytes = EMPTY_ROOT


def write_request(request: AddCheckpoint) -> bytes:
    """Return the body of a POST to add-checkpoint."""
    lines = [f"old {request.old_size}", *(b64encode(value).decode() for value in request.proof)]
    return "\n".join(lines).encode() + b"\n\n" + request.note


def parse_request(body: bytes) -> AddCheckpoint:
    """Parse the body of a POST to add-checkpoint. Raises WitnessRefusal (400)."""
    head, separator, note = body.partition(b"\n\n")
    if len(body) > REQUEST_BYTES_MAX or not separator or not head.startswith(_OLD):
        raise WitnessRefusal(400, "the body must be an old size, a proof, an empty line and a checkpoint")
    old, *lines = head.removeprefix(_OLD).split(b"\n")
    if len(lines) > PROOF_LINES_MAX:
        raise WitnessRefusal(400, f"a proof has at most {PROOF_LINES_MAX} lines")
    try:
        proof = tuple(decode("proof", line.decode("ascii"), HASH_BYTES) for line in lines)
        return AddCheckpoint(parse_size(old.decode("ascii")), proof, note)
    except (CheckpointError, UnicodeDecodeError) as error:
        raise WitnessRefusal(400, str(error)) from error


def open_request(request: AddCheckpoint, logs: Mapping[str, Sequence[str]]) -> tuple[Checkpoint, bytes]:
    """Return the checkpoint once trusted keys of its log have signed it, and its note with their lines alone.

    logs: origin → vkeys. Raises WitnessRefusal: 400 (no checkpoint), 404 (log unknown), 403 (no signature that holds),
    400 (it has shrunk).
    """
    try:
        checkpoint = parse_checkpoint(request.note)
        text, lines = split_note(request.note)
        vkeys = logs.get(checkpoint.origin)
        if not vkeys:
            raise WitnessRefusal(404, "the log is not known here")
        keys = [(vkey, parse_vkey(vkey)) for vkey in vkeys]
        signed = [line for line in lines if any(key.signatures_in([line]) for _, key in keys)]
    except CheckpointError as error:
        raise WitnessRefusal(400, str(error)) from error
    if not signed:
        raise WitnessRefusal(403, "no key of the log has signed the checkpoint")
    for vkey, key in keys:
        if key.signatures_in(signed):
            try:
                open_checkpoint(request.note, vkey)
            except CheckpointError as error:
                raise WitnessRefusal(403, str(error)) from error
    if request.old_size > checkpoint.size:
        raise WitnessRefusal(400, "the old size is above the checkpoint's")
    return checkpoint, f"{text}\n".encode() + "".join(f"{line}\n" for line in signed).encode()


def judge(request: AddCheckpoint, checkpoint: Checkpoint, seen: Seen) -> Seen:
    """Return what to keep of the log once `checkpoint` may be cosigned. seen: what is kept of it now.

    Raises WitnessRefusal: 409 (the old size is not the one kept; the body is that one), 422 (proof or root).
    """
    if request.old_size != seen.size:
        raise WitnessRefusal(409, str(seen.size))
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise WitnessRefusal(422, "the root of an empty log is not that of an empty tree")
    if seen.size == 0:
        if request.proof:
            raise WitnessRefusal(422, "from an empty log there is no proof")
    else:
        try:
            verify_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, request.proof)
        except ProofError as error:
            raise WitnessRefusal(422, str(error)) from error
    return Seen(checkpoint.size, checkpoint.root)


def checkpoint_path(origin: str) -> str:
    """Where a witness serves the log's checkpoint that it cosigned last, under its monitoring prefix."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"
