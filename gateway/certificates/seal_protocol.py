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
    """Work with this from now on: the seals of each registry id, the international one first, and what the self-check
    believes.

    `trust` is `TrustStore.to_bytes`, `vkeys` are the logs' verifier keys by origin, `verification_url` is the
    base of the public check. Answered by `Ready` or `Failed`.
    """

    seals: dict[str, tuple[SealKey, ...]]
    trust: bytes
    vkeys: dict[str, tuple[str, ...]]
    verification_url: str


class Make(msgspec.Struct, frozen=True, kw_only=True, tag="make"):
    """Render, seal at `at` (aware), check. Answered by `Sealed` or `Failed`.

    `stamp_room`: put one seal on, leave room for its time stamp, and say what it is to be over; the next seal, which
    covers the stamp, is the next order's. `begun`: what such an order made, to be gone on with.
    """

    content: bytes
    proof: LedgerProof
    at: dt.datetime
    stamp_room: bool = False
    begun: bytes = b""


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

    `signature`: the last seal's value, which a time stamp is over; empty where no room was left for one. `key_ids`: of
    all seals that the registry puts on. `whole`: no further one is to come.
    """

    pdf: bytes
    signature: bytes = b""
    key_ids: tuple[str, ...] = ()
    whole: bool = True


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
