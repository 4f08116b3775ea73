"""How a log asks a witness, over HTTP (C2SP tlog-witness). Blocking: call it in a thread.

One connection a witness is kept open between requests. Whatever goes wrong is WitnessDown, or a WitnessRefusal with
the witness's own word; a cosignature that comes back is checked by the caller.
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from errno import errorcode
from typing import Final
from urllib.parse import urlsplit

from ledger.checkpoint import parse_size
from ledger.errors import CheckpointError
from ledger.witness import SIZE_TYPE, AddCheckpoint, WitnessRefusal, checkpoint_path, write_request

ANSWER_BYTES_MAX: Final = 64 * 1024
SAID_CHARACTERS_MAX: Final = 200


class WitnessDown(Exception):
    """The witness could not be reached, or gave no answer that the protocol knows. The message names nobody."""


class AskedWitness:
    """The other end of one witness. Not thread-safe: one request at a time."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Take the submission prefix. Raises ValueError unless it is an http(s) URL without query."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url} is not the URL of a witness: http(s)://HOST[:PORT][/PREFIX]")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
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
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            # A connection that lay idle may have been closed by the other end: once more, on a new one.
            if not kept_open:
                raise WitnessDown(_why(error)) from error
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise WitnessDown(_why(error)) from error
        try:
            return self._once(method, path, body)
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise WitnessDown(_why(error)) from error

    def _cut(self) -> None:
        """The whole answer is late, though its bytes drip in time: whoever reads it is woken with an error."""
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        late = threading.Timer(self._seconds, self._cut)
        late.daemon = True
        late.start()
        try:
            self._connection.request(method, f"{self._prefix}/{path}", body)
            answer = self._connection.getresponse()
            data = answer.read(ANSWER_BYTES_MAX + 1)
        except BaseException:
            self._connection.close()
            raise
        finally:
            late.cancel()
            if self._is_closed:
                self._connection.close()
        if len(data) > ANSWER_BYTES_MAX:
            self._connection.close()
            raise WitnessDown("an answer without end")
        return answer.status, answer.headers.get_content_type(), data


def conflicting_size(refusal: WitnessRefusal) -> int:
    """The size in a 409. Raises WitnessDown where there is none."""
    try:
        return parse_size(refusal.body)
    except CheckpointError as error:
        raise WitnessDown("a 409 without a size") from error


def _first_line(body: bytes) -> str:
    """What a witness says, as much as fits a log line."""
    return body.decode(errors="replace").strip().partition("\n")[0][:SAID_CHARACTERS_MAX]


def _why(error: Exception) -> str:
    """The kind of error: its text may hold the name of the host, and so of the institution."""
    number = errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return f"{type(error).__name__} {number}".rstrip()
