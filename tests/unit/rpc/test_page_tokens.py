"""Page tokens and pages."""

from __future__ import annotations

import pytest

from gateway.rpc.paging import page_of_mapping, page_size
from gateway.rpc.violations import MalformedRequest
from gateway.storage.paging import PageTokenInvalid, make_token, read_token


def _other_first_letter(token: str) -> str:
    return ("B" if token[0] == "A" else "A") + token[1:]


QUERY = ("applications", "r1", "bank", ["BOOKED"])


def test_token_of_the_same_query_gives_its_position_back() -> None:
    """A token leads to the position that it was made of."""
    assert read_token(make_token(QUERY, (17, "x")), QUERY, (int, str)) == (17, "x")


def test_token_empty_means_the_first_page() -> None:
    """Without a token a list begins at its beginning."""
    assert read_token("", QUERY, (int,)) is None


@pytest.mark.parametrize(
    ("token", "query", "columns"),
    [
        (make_token(QUERY, (17,)), ("applications", "r1", "other bank", ["BOOKED"]), (int,)),
        (make_token(QUERY, (17,)), QUERY, (str,)),
        (make_token(QUERY, (17,)), QUERY, (int, int)),
        (make_token(QUERY, (17,))[:-2], QUERY, (int,)),
        (_other_first_letter(make_token(QUERY, (17,))), QUERY, (int,)),
        ("not base64 at all!", QUERY, (int,)),
        ("AAAA", QUERY, (int,)),
        ("A" * 600, QUERY, (int,)),
    ],
)
def test_token_foreign_or_damaged_is_refused(
    token: str, query: tuple[object, ...], columns: tuple[type, ...]
) -> None:
    """A token of another list, of another shape, or damaged, is PAGE_TOKEN_INVALID."""
    with pytest.raises(PageTokenInvalid) as caught:
        read_token(token, query, columns)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_page_of_mapping_walks_everything_once_in_order() -> None:
    """Pages of a list in memory come in the order of its keys, each item once, with a last page without a token."""
    items = {key: key.upper() for key in "gcabfed"}
    seen: list[str] = []
    token = ""
    for _ in range(10):
        page, token = page_of_mapping(items, query=("letters",), size=3, token=token)
        seen += page
        if not token:
            break
    assert seen == list("ABCDEFG")


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (7, 7), (999, 200)])
def test_page_size_has_a_default_and_a_maximum(asked: int, given: int) -> None:
    """0 means the default, more than the maximum the maximum."""
    assert page_size(asked, default=50, maximum=200) == given


def test_page_size_below_zero_is_refused() -> None:
    """A negative page size is a bad field: to a database it could mean no limit at all."""
    with pytest.raises(MalformedRequest):
        page_size(-1, default=50, maximum=200)
