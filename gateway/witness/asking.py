"""How a log asks a witness, over HTTP (C2SP tlog-witness). Blocking: call it in a thread.

One connection a witness is kept open between requests. Whatever goes wrong is WitnessDown, or a WitnessRefusal with
the witness's own word; a cosignature that comes back is checked by the caller.
"""

from __future__ import annotations

import http.client
from errno import errorcode
from typing import Final
from urllib.parse import urlsplit

from gateway.http.exchange import Answer, ExchangeFailed, connection_to, exchange, is_server
from ledger.checkpoint import parse_size
from ledger.errors import CheckpointError
from ledger.witness import SIZE_TYPE, AddCheckpoint, WitnessRefusal, checkpoint_path, write_request

ANSWER_BYTES_MAX: Final = 64 * 1024
SAID_CHARACTERS_MAX: Final = 200

#: What the end of a connection that the other side had closed looks like.
_CLOSED: Final = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class WitnessDown(Exception):
    """The witness could not be reached, or gave no answer that the protocol knows. The message names nobody."""


class AskedWitness:
    """The other end of one witness. Not thread-safe: one request at a time."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Take the submission prefix. Raises ValueError unless it is an http(s) URL without query."""
        parts = urlsplit(url)
        if not is_server(parts) or parts.query:
            raise ValueError(f"{url} is not the URL of a witness: http(s)://HOST[:PORT][/PREFIX]")
        self._connection = connection_to(parts, timeout_seconds)
        self._seconds = timeout_seconds
        self._is_closed = False
        self._prefix = parts.path.rstrip("/")

    def add_checkpoint(self, request: AddCheckpoint) -> bytes:
        """The signature lines that came back. Raises WitnessDown, WitnessRefusal (409 with a size as its body)."""
        status, kind, body = self._call("POST", "add-checkpoint", write_request(request))
        if status == 200:
            return body
        if status == 409 and kind != SIZE_TYPE:
            raise WitnessDown("a 409 of another content type")
        if status in {400, 403, 404, 409, 422}:
            raise WitnessRefusal(status, _first_line(body))
        raise WitnessDown(f"HTTP status {status}")

    def last_checkpoint(self, origin: str) -> bytes | None:
        """The note that the witness cosigned last of a log; None where it says nothing. Raises WitnessDown."""
        status, _, body = self._call("GET", checkpoint_path(origin), None)
        return body if status == 200 else None

    def close(self) -> None:
        """Close the connection; what another thread is about closes its own when it ends."""
        self._is_closed = True
        self._connection.close()

    def _call(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        kept_open = self._connection.sock is not None
        try:
            return self._once(method, path, body)
        except ExchangeFailed as error:
            # A connection that lay idle may have been closed by the other end: once more, on a new one.
            if not kept_open or not isinstance(error.__cause__, _CLOSED):
                raise WitnessDown(_why(error)) from error
        try:
            return self._once(method, path, body)
        except ExchangeFailed as error:
            raise WitnessDown(_why(error)) from error

    def _once(self, method: str, path: str, body: bytes | None) -> Answer:
        try:
            return exchange(
                self._connection,
                method,
                f"{self._prefix}/{path}",
                body,
                seconds=self._seconds,
                bytes_max=ANSWER_BYTES_MAX,
            )
        finally:
            if self._is_closed:
                self._connection.close()


def conflicting_size(refusal: WitnessRefusal) -> int:
    """The size in a 409. Raises WitnessDown where there is none."""
    try:
        return parse_size(refusal.body)
    except CheckpointError as error:
        raise WitnessDown("a 409 without a size") from error


def _first_line(body: bytes) -> str:
    """What a witness says, as much as fits a log line."""
    return body.decode(errors="replace").strip().partition("\n")[0][:SAID_CHARACTERS_MAX]


def _why(error: ExchangeFailed) -> str:
    """The kind of error: what a connection says of it may hold the name of the host, and so of the institution."""
    cause = error.__cause__
    if cause is None:
        return str(error)
    number = errorcode.get(cause.errno or 0, "") if isinstance(cause, OSError) else ""
    return f"{type(cause).__name__} {number}".rstrip()
