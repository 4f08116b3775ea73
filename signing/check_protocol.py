"""What a file checker and its working processes say to each other: msgpack behind a four-byte
length.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from signing.trust import Purpose
from signing.verdict import FileVerdict

LENGTH_BYTES: Final = 4
REQUEST_BYTES_MAX: Final = 512 * 1024 * 1024
"""A trust store with large revocation lists travels in one frame."""
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024

EXIT_MEMORY: Final = 3
"""How a process ends that ran out of memory and could not say so."""


class SetTrust(msgspec.Struct, frozen=True, tag="trust"):
    """Use this store (`TrustStore.to_bytes`) from now on. Answered with `Ready` when it has been read."""

    store: bytes


class CheckFile(msgspec.Struct, frozen=True, tag="check"):
    """Check the file at `path`, judged at `at`, within these limits: a PDF, or, where `signed` is the path of another
    file, a detached signature over that.
    """

    path: str
    at: datetime
    memory_bytes_max: int
    cpu_seconds_max: int
    signed: str = ""


class Watched(msgspec.Struct, frozen=True):
    """A `WatchedLink` of a chain that was judged: certificates as DER."""

    purpose: Purpose
    anchor: str
    subject: bytes
    issuer: bytes


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process is warm, and knows by whose trust to judge."""


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """The answer to `CheckFile`. watched: links judged since the last `SetTrust` that were not told yet."""

    verdict: FileVerdict
    watched: tuple[Watched, ...] = ()


class OutOfMemory(msgspec.Struct, frozen=True, tag="memory"):
    """The other answer to `CheckFile`; the process ends after it."""


Request = SetTrust | CheckFile
Answer = Ready | Checked | OutOfMemory

REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def frame(message: Request | Answer) -> bytes:
    """The message with its length, big-endian, in front."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
