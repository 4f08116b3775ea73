"""Asking a time stamp authority for a token over HTTP (RFC 3161 section 3.4). Blocking: call it in a thread.

One request a connection; the whole exchange has one limit of time, however slowly the bytes drip, and the answer one of
size. Redirects are not followed. What comes back is verified before it is returned.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from signing.errors import TimestampInvalid, TimestampUnavailable
from signing.timestamp import (
    SKEW_MAX,
    TOKEN_BYTES_MAX,
    Timestamp,
    decode_response,
    encode_request,
    verify_token,
)
from signing.trust import TrustStore

REQUEST_TYPE: Final = "application/timestamp-query"
RESPONSE_TYPE: Final = "application/timestamp-reply"
_NONCE_BITS: Final = 64
_STATUS_AROUND_BYTES: Final = 1024
"""What a response holds beside its token."""


class TimestampClient:
    """One authority at a URL. Threads may share it: it keeps nothing between requests."""

    def __init__(self, url: str, *, policy: str = "", timeout_seconds: float = 5.0) -> None:
        """policy: OID that tokens must be given under; any if empty. Raises ValueError unless `url` is http(s)."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment or parts.username:
            raise ValueError(f"{url} is not the URL of a time stamp authority: http(s)://HOST[:PORT][/PATH]")
        self._host, self._port = parts.hostname, parts.port
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._policy = policy
        self._seconds = timeout_seconds

    def stamp(self, data: bytes, trust: TrustStore, clock: Callable[[], datetime]) -> tuple[bytes, Timestamp]:
        """A token (DER) over `data`, just made, and what it proves.

        Raises `TimestampUnavailable` (no answer), `TimestampRefused` (no token), `TimestampInvalid` (one that does not
        hold, or whose time is not now).
        """
        nonce = secrets.randbits(_NONCE_BITS)
        token = decode_response(self._ask(encode_request(data, nonce=nonce, policy=self._policy)))
        now = clock()
        found = verify_token(token, data, trust, now, nonce=nonce, policy=self._policy)
        if now - found.time > SKEW_MAX:
            raise TimestampInvalid(
                f"the authority says {found.time.isoformat()}, our clock {now.isoformat()}: one of them is wrong"
            )
        return token, found

    def _ask(self, request: bytes) -> bytes:
        connection = self._kind(self._host, self._port, timeout=self._seconds)
        opened: list[
            socket.socket
        ] = []  # http.client lets go of its own before an answer without length is read

        def cut() -> None:
            """Time is up, though bytes drip in: whoever reads is woken with an error."""
            for one in (connection.sock, *opened):
                if one is not None:
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)

        late = threading.Timer(self._seconds, cut)
        late.daemon = True
        late.start()
        try:
            connection.connect()
            opened.append(connection.sock)
            connection.request("POST", self._path, request, {"Content-Type": REQUEST_TYPE})
            with connection.getresponse() as answer:
                body = answer.read(TOKEN_BYTES_MAX + _STATUS_AROUND_BYTES + 1)
                status, kind = answer.status, answer.headers.get_content_type()
                is_whole = not answer.length
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise TimestampUnavailable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        finally:
            late.cancel()
            connection.close()
        if status != http.client.OK or kind != RESPONSE_TYPE:
            raise TimestampUnavailable(f"HTTP status {status}, {kind}")
        if len(body) > TOKEN_BYTES_MAX + _STATUS_AROUND_BYTES:
            raise TimestampUnavailable(f"an answer of more than {TOKEN_BYTES_MAX} bytes")
        if not is_whole:
            raise TimestampUnavailable(f"an answer that ends after {len(body)} bytes")
        return body
