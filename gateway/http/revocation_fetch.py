"""Fetching a revocation list or an OCSP answer over plain HTTP. Blocking: call it in a thread.

Only addresses that an operator set are asked (`AnchorPolicy`): what comes back is a stranger's word until `signing` has
authenticated it.
"""

from __future__ import annotations

import http
from collections.abc import Callable
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from gateway.http.exchange import ExchangeFailed, connection_to, exchange, target_of

#: How evidence is fetched: address, an OCSP question or None, seconds, most bytes. Raises SourceDown.
Fetch = Callable[[str, bytes | None, float, int], bytes]

_QUESTION: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_LIST: Final = {"Accept": "application/pkix-crl"}


class SourceDown(Exception):
    """The source gave nothing that could be read; the message says what it did instead, and names nobody."""


class NoAnswer(SourceDown):
    """It gave nothing at all: whoever else asks it just now waits in vain."""


def fetch(url: str, question: bytes | None, seconds: float, bytes_max: int) -> bytes:
    """GET a list (RFC 4387), or POST an OCSP question (RFC 6960 appendix A). Raises SourceDown."""
    parts = urlsplit(url)
    method, headers = ("GET", _LIST) if question is None else ("POST", _QUESTION)
    with closing(connection_to(parts, seconds)) as connection:
        try:
            answer = exchange(
                connection,
                method,
                target_of(parts),
                question,
                headers,
                seconds=seconds,
                bytes_max=bytes_max,
            )
        except ExchangeFailed as error:
            raise NoAnswer(str(error)) from error
    if answer.status != http.HTTPStatus.OK:
        raise NoAnswer(f"HTTP status {answer.status}")
    if not answer.body:
        raise SourceDown("an empty answer")
    return answer.body
