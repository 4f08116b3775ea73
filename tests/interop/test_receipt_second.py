"""A real receipt checked by a second implementation: standard library and Ed25519 alone, none of our code.

Written from docs/ledger-format.md, the comments of `Receipt` in the contract, RFC 6962 and the C2SP notes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.pb.diya.v1 import outcome_pb2
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _root(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that an audit path leads to (RFC 9162 section 2.1.3.2, the algorithm of RFC 6962's proofs)."""
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            value = _sha256(b"\x01" + sibling + value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = _sha256(b"\x01" + value + sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return value


def _open_note(note: bytes, vkey: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a signed checkpoint (C2SP tlog-checkpoint, signed-note)."""
    name, key_hash, encoded = vkey.strip().split("+", 2)
    key = base64.b64decode(encoded)
    if key[0] != 1:
        raise ValueError("no Ed25519 key")
    if _sha256(name.encode() + b"\n" + key)[:4].hex() != key_hash:
        raise ValueError("the verifier key contradicts itself")
    text, signatures = note.split(b"\n\n", 1)
    text += b"\n"
    for line in signatures.decode().splitlines():
        dash, signer, value = line.split(" ")
        raw = base64.b64decode(value)
        if (dash, signer, raw[:4].hex()) == ("\u2014", name, key_hash):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], text)
            origin, size, root = text.decode().splitlines()[:3]
            return origin, int(size), base64.b64decode(root)
    raise ValueError("the key did not sign this note")


def _pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def check(receipt: outcome_pb2.Receipt, sent: bytes, vkey: str) -> dict[str, bytes]:
    """The contents that the receipt opens, when all of it holds. Raises ValueError or InvalidSignature."""
    if receipt.pending:
        raise ValueError("pending")
    origin, size, root = _open_note(receipt.checkpoint, vkey)
    leaf = _sha256(b"\x00" + receipt.entry)
    if leaf != receipt.entry_hash:
        raise ValueError("the entry's hash is another")
    if _root(receipt.index, size, leaf, list(receipt.inclusion_proof)) != root:
        raise ValueError("the entry is not under the checkpoint")
    lines = receipt.entry.decode().split("\n")
    if lines.pop() != "" or lines[:3] != ["diya-entry/v1", origin, str(receipt.index)]:
        raise ValueError("not the entry of this origin and index")
    if origin != receipt.origin:
        raise ValueError("another ledger")
    parts = {name: base64.b64decode(digest) for name, digest in (line.split(" ") for line in lines[6:])}
    contents = {}
    for opening in receipt.openings:
        content = sent if opening.name == "evidence/payload" else opening.content
        if _sha256(opening.salt + content) != parts[opening.name]:
            raise ValueError(f"{opening.name} was another")
        contents[opening.name] = content
    if {"evidence/payload", "outcome"} - contents.keys():
        raise ValueError("the receipt opens less than it must")
    return contents


async def test_second_implementation_accepts_a_real_receipt(town: Town) -> None:
    """Entry, tree, checkpoint and openings hold for somebody who has none of our code."""
    filing = await town.mortgage().sign().upload()
    answer = await filing.submit()
    sent = _pae(answer.envelope.payload_type, answer.envelope.payload)
    vkey = (Path(town.folder) / "trust" / "jiangyin.vkey").read_text()
    contents = check(answer.outcome.receipt, sent, vkey)
    logged = json.loads(contents["outcome"])
    assert logged["result"] == "BOOKED"
    assert logged["application"] == answer.outcome.application


@pytest.mark.parametrize(
    "field", ["entry", "entry_hash", "checkpoint", "inclusion_proof", "index", "openings", "sent"]
)
async def test_second_implementation_refuses_a_spoiled_receipt(town: Town, field: str) -> None:
    """One changed byte in any part of the receipt, or in what was sent, and it proves nothing."""
    filing = await town.mortgage().sign().upload()
    answer = await filing.submit()
    sent = _pae(answer.envelope.payload_type, answer.envelope.payload)
    receipt = outcome_pb2.Receipt()
    receipt.CopyFrom(answer.outcome.receipt)
    if field == "sent":
        sent = sent[:-1] + bytes([sent[-1] ^ 1])
    elif field == "index":
        receipt.index -= 1
    elif field == "inclusion_proof":
        receipt.inclusion_proof[0] = bytes(32)
    elif field == "openings":
        next(o for o in receipt.openings if o.name == "outcome").content += b" "
    else:
        value = bytearray(getattr(receipt, field))
        value[len(value) // 2] ^= 1
        setattr(receipt, field, bytes(value))
    vkey = (Path(town.folder) / "trust" / "jiangyin.vkey").read_text()
    with pytest.raises((ValueError, InvalidSignature)):
        check(receipt, sent, vkey)


async def test_checkpoint_of_another_registry_is_refused(town: Town) -> None:
    """A receipt holds under its own registry's key and under no other."""
    filing = await town.mortgage().sign().upload()
    answer = await filing.submit()
    sent = _pae(answer.envelope.payload_type, answer.envelope.payload)
    vkey = (Path(town.folder) / "trust" / "taizhou.vkey").read_text()
    with pytest.raises(ValueError, match="did not sign"):
        check(answer.outcome.receipt, sent, vkey)
