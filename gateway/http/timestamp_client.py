"""Asking a time stamp authority for a token over HTTP (RFC 3161 section 3.4). Blocking: call it in a thread.

One request a connection. What comes back is verified before it is returned.
"""

from __future__ import annotations

import http
import secrets
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.http.exchange import ExchangeFailed, connection_to, exchange, is_server, target_of
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
        if not is_server(parts):
            raise ValueError(f"{url} is not the URL of a time stamp authority: http(s)://HOST[:PORT][/PATH]")
        self._parts = parts
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
        with closing(connection_to(self._parts, self._seconds)) as connection:
            try:
                answer = exchange(
                    connection,
                    "POST",
                    target_of(self._parts),
                    request,
                    {"Content-Type": REQUEST_TYPE},
                    seconds=self._seconds,
                    bytes_max=TOKEN_BYTES_MAX + _STATUS_AROUND_BYTES,
                )
            except ExchangeFailed as error:
                raise TimestampUnavailable(str(error)) from error
        if answer.status != http.HTTPStatus.OK or answer.kind != RESPONSE_TYPE:
            raise TimestampUnavailable(f"HTTP status {answer.status}, {answer.kind}")
        return answer.body
