"""What a token's process and whoever asks it say to each other: msgpack behind a four-byte length."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from signing.algorithms import Algorithm

LENGTH_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Some mechanisms hash in the token, so a whole statement may have to go there."""


class Work(StrEnum):
    """What is asked of an object of a token."""

    FIND = "find"  # is it there? b""
    SIGN = "sign"  # the signature over `data`, in the form of `Algorithm`
    PUBLIC = "public"  # the Ed25519 public key beside it, 32 bytes
    SEAL = "seal"  # AES-GCM: nonce (12 bytes) || ciphertext || tag (16 bytes)
    OPEN = "open"  # what SEAL sealed


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work. key: a `TokenKey` as its setting. algorithm: None for an AES key. refused: digests of PINs
    that are not tried again. Answered by `Done` or `Failed`.
    """

    key: str
    work: Work
    algorithm: Algorithm | None = None
    data: bytes = b""
    refused: tuple[bytes, ...] = ()


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process is there; it has not touched the maker's module yet."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What came of it."""

    value: bytes


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A `SigningError` of the given reason. refused: digests of all PINs that were ever refused."""

    reason: str
    message: str
    refused: tuple[bytes, ...] = ()


Answer = Ready | Done | Failed

ASKS: Final[msgspec.msgpack.Decoder[Ask]] = msgspec.msgpack.Decoder(Ask)
ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def frame(message: Ask | Answer) -> bytes:
    """The message with its length, big-endian, in front."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
