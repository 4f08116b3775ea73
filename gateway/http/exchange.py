"""One request and its answer over HTTP, within limits. Blocking: call it in a thread.

Whoever is asked may be down, slow or hostile: the whole exchange has one limit of time, however slowly the bytes drip,
and the answer one of size. No redirect is followed and no answer that ends early is taken. What a body says is for the
caller to verify.
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import SplitResult

_KINDS: Final[dict[str, type[http.client.HTTPConnection]]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}

_LATE: Final = "no whole answer within {:g} s"


class ExchangeFailed(Exception):
    """There was no answer, or none within the limits; its cause, where it has one, is what the connection raised."""


class Answer(NamedTuple):
    """status: of HTTP. kind: the content type, without parameters."""

    status: int
    kind: str
    body: bytes


def is_server(parts: SplitResult) -> bool:
    """Whether an address names a server that can be asked: http(s), a host, and nothing odd."""
    try:
        _ = parts.port  # raises where it is none
    except ValueError:
        return False
    return parts.scheme in _KINDS and bool(parts.hostname) and not parts.fragment and parts.username is None


def connection_to(parts: SplitResult, seconds: float) -> http.client.HTTPConnection:
    """A connection to a server (`is_server`), not opened yet; `seconds` for each of its steps."""
    return _KINDS[parts.scheme](parts.hostname or "", parts.port, timeout=seconds)


def target_of(parts: SplitResult) -> str:
    """What is asked for: the path, and the query where there is one."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    seconds: float,
    bytes_max: int,
) -> Answer:
    """Ask over a connection, which is opened where it is not open; it may be used again unless this raises.

    seconds: for all of it. bytes_max: of the answer's body. Raises `ExchangeFailed`; the connection is closed then.
    """
    opened: list[socket.socket] = []  # http.client lets go of its own before an answer without length is read
    is_late = threading.Event()

    def cut() -> None:
        """Time is up, though bytes drip in: whoever reads is woken, and sees an end."""
        is_late.set()
        for one in (connection.sock, *opened):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    late = threading.Timer(seconds, cut)
    late.daemon = True
    late.start()
    try:
        if connection.sock is None:
            connection.connect()
        opened.append(connection.sock)
        connection.request(method, target, body, headers or {})
        with connection.getresponse() as answer:
            data = answer.read(bytes_max + 1)
            if is_late.is_set():
                raise ExchangeFailed(_LATE.format(seconds))
            if len(data) > bytes_max:
                raise ExchangeFailed(f"an answer of more than {bytes_max} bytes")
            if answer.length:
                raise ExchangeFailed(f"an answer that was cut short after {len(data)} bytes")
            return Answer(answer.status, answer.headers.get_content_type(), data)
    except ExchangeFailed:
        connection.close()
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        if is_late.is_set():
            raise ExchangeFailed(_LATE.format(seconds)) from None
        raise ExchangeFailed(f"{type(error).__name__}: {error}".rstrip(": ")) from error
    finally:
        late.cancel()
