"""What a certificate sealer and its worker processes say to each other: msgpack behind a four-byte length.

Keys never travel: the worker opens them where `Configure` says.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from gateway.certificates.proof import LedgerProof

LENGTH_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 256 << 20
"""A trust store with large revocation lists travels in one message."""


class SealKey(msgspec.Struct, frozen=True, kw_only=True):
    """Where a registry's seal lies: its key as a setting (`signing/key_source.py`), and PEM certificates, own first."""

    key: str
    chain_path: str


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """Work with this from now on: seals by registry id, and what the self-check believes.

    `trust` is `TrustStore.to_bytes`, `vkeys` are the logs' verifier keys by origin, `verification_url` is the
    base of the public check. Answered by `Ready` or `Failed`.
    """

    seals: dict[str, SealKey]
    trust: bytes
    vkeys: dict[str, str]
    verification_url: str


class Make(msgspec.Struct, frozen=True, kw_only=True, tag="make"):
    """Render, seal at `at` (aware), check. Answered by `Sealed` or `Failed`.

    `stamp_room`: leave room for a time stamp, and say what it is to be over.
    """

    content: bytes
    proof: LedgerProof
    at: dt.datetime
    stamp_room: bool = False


class Stamp(msgspec.Struct, frozen=True, kw_only=True, tag="stamp"):
    """Put a time stamp (DER) into what a `Make` made with room for one, check at `at` that it proves the time.

    Answered by `Sealed` or `Failed`.
    """

    pdf: bytes
    token: bytes
    at: dt.datetime


class Sign(msgspec.Struct, frozen=True, kw_only=True, tag="sign"):
    """Sign a statement of the registry's with its seal key, check at `at` (aware). Answered by `Signed` or `Failed`."""

    registry: str
    payload_type: str
    payload: bytes
    at: dt.datetime


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker is warm and configured."""


class Sealed(msgspec.Struct, frozen=True, tag="sealed"):
    """A sealed certificate that passed the worker's own verification.

    `signature`: the seal's value, which a time stamp is over; empty where no room was left for one.
    """

    pdf: bytes
    signature: bytes = b""
    key_id: str = ""  # of the seal


class Signed(msgspec.Struct, frozen=True, tag="signed"):
    """A DSSE envelope in JSON that passed the worker's own verification."""

    envelope: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Nothing was made; the worker goes on. `reason` is UPPER_SNAKE."""

    reason: str
    message: str


Request = Configure | Make | Stamp | Sign
Answer = Ready | Sealed | Signed | Failed

REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def frame(message: Request | Answer) -> bytes:
    """The message with its length, big-endian, in front."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
