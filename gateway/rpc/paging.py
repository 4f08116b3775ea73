"""Pages on the wire: how many items a page has, and pages of a list that is small and kept in memory.

Tokens are made and read by `gateway.storage.paging`, whose errors become PAGE_TOKEN_INVALID.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from gateway.rpc.names import malformed
from gateway.storage.paging import PageTokenInvalid, Position, make_token, read_token

__all__ = ["PageTokenInvalid", "Position", "make_token", "page_of_mapping", "page_size", "read_token"]

Item = TypeVar("Item")


def page_size(asked: int, *, default: int, maximum: int) -> int:
    """The size of a page: `default` when none was asked for, never above `maximum`. Raises MalformedRequest below 0."""
    if asked < 0:
        raise malformed("page_size", "不得小于零", "must not be below zero")
    return min(asked or default, maximum)


def page_of_mapping(
    items: Mapping[str, Item], *, query: tuple[Any, ...], size: int, token: str
) -> tuple[list[Item], str]:
    """A page of a mapping in the order of its keys, and the token of the next; empty when this is the last."""
    position = read_token(token, query, (str,))
    keys = sorted(key for key in items if position is None or key > str(position[0]))
    page = keys[:size]
    more = len(keys) > len(page)
    return [items[key] for key in page], make_token(query, (page[-1],)) if more and page else ""
