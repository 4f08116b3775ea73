"""Fetching a revocation list or an OCSP answer over plain HTTP. Blocking: call it in a thread.

Only addresses that an operator set are asked (`AnchorPolicy`), no redirect is followed, and size and time of the whole
answer are limited: what comes back is a stranger's word until `signing` has authenticated it.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final
from urllib.parse import urlsplit

#: How evidence is fetched: address, an OCSP question or None, seconds, most bytes. Raises SourceDown.
Fetch = Callable[[str, bytes | None, float, int], bytes]

_QUESTION: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_LIST: Final = {"Accept": "application/pkix-crl"}


class SourceDown(Exception):
    """The source gave nothing that could be read; the message says what it did instead."""


def fetch(url: str, question: bytes | None, seconds: float, bytes_max: int) -> bytes:
    """GET a list (RFC 4387), or POST an OCSP question (RFC 6960 appendix A). Raises SourceDown."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)) as connection:
        late = threading.Timer(seconds, _cut, [connection])
        late.daemon = True
        late.start()
        try:
            if question is None:
                connection.request("GET", path, headers=_LIST)
            else:
                connection.request("POST", path, question, _QUESTION)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise SourceDown(f"HTTP status {answer.status}")
            data = answer.read(bytes_max + 1)
            if len(data) <= bytes_max and answer.length:
                raise SourceDown("an answer that was cut short")
        except (OSError, UnicodeError, ValueError, http.client.HTTPException) as error:
            raise SourceDown(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        finally:
            late.cancel()
    if len(data) > bytes_max:
        raise SourceDown(f"more than {bytes_max} bytes")
    if not data:
        raise SourceDown("an empty answer")
    return data


def _cut(connection: http.client.HTTPConnection) -> None:
    """The whole answer is late, though its bytes drip in time: whoever reads it is woken with an error."""
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
