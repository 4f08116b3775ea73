"""Page tokens: where a list goes on, bound to the list that it belongs to.

A token is `base64url(check ‖ JSON position)`; `check` is the first 12 bytes of SHA-256 over the list's name, its
filters and the position. It guards against mistakes (a token of another list, a damaged one), not against forgery:
a position opens nothing, because every page applies the caller's own filter anew. So there is no key to keep, and a
token outlives a restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final

import msgspec

from gateway.cases.errors import CommandRefused

#: A position: one integer or text per column of the list's order.
Position = tuple[int | str, ...]

TOKEN_CHARACTERS_MAX: Final = 512
_CHECK_BYTES: Final = 12

_decode_position = msgspec.json.Decoder(tuple[int | str, ...]).decode


class PageTokenInvalid(CommandRefused):
    """The page token is not ours, or of another list."""

    reason = "PAGE_TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "分页令牌无效，或者属于另一项查询；请从第一页重新开始",
            "the page token is not ours, or belongs to another query; begin again with the first page",
        )


def make_token(query: tuple[Any, ...], position: Position) -> str:
    """The token of the page after `position`. `query` is the list's name and everything that filters it."""
    encoded = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(_check(query, encoded) + encoded).rstrip(b"=").decode()


def read_token(token: str, query: tuple[Any, ...], columns: tuple[type, ...]) -> Position | None:
    """The position in a token of this very query; None for the empty token (first page).

    `columns` gives the type of each part of the position. Raises PageTokenInvalid.
    """
    if not token:
        return None
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise PageTokenInvalid
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = _decode_position(data[_CHECK_BYTES:])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise PageTokenInvalid from error
    if data[:_CHECK_BYTES] != _check(query, data[_CHECK_BYTES:]):
        raise PageTokenInvalid
    if tuple(type(part) for part in position) != columns:
        raise PageTokenInvalid
    return position


def _check(query: tuple[Any, ...], position: bytes) -> bytes:
    filters = msgspec.json.encode(query)
    return hashlib.sha256(len(filters).to_bytes(4, "big") + filters + position).digest()[:_CHECK_BYTES]
