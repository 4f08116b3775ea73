"""Reading a certificate's PDF back: its attachments, and the words on its pages.

A second parser (pypdf) beside the one that checks seals (pyHanko); `verify.py` demands that both see the same
attachments. White space, line breaks and compatibility forms of characters are not compared: a glyph that two
characters share comes back as either.
"""

from __future__ import annotations

import io
import unicodedata

import pypdf

from gateway.certificates.glyphs import GLOSS, restore
from gateway.certificates.layout import Layout

_SHOWN_CHARACTERS = 12


class UnreadableError(Exception):
    """The parser cannot read the file."""


def read_attachments(pdf: bytes) -> dict[str, list[bytes]]:
    """Embedded files by name; several under one name are all listed. Raises UnreadableError."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
        return {name: list(found) for name, found in reader.attachments.items()}
    except Exception as error:  # a parser of foreign bytes may raise nearly anything
        raise UnreadableError(f"attachments: {type(error).__name__}: {str(error)[:200]}") from error


def read_body(pdf: bytes, layout: Layout) -> str:
    """The words of all pages in reading order, without head and foot of each page.

    A page without its head or foot keeps all its words, so that a comparison sees it.
    Raises UnreadableError.
    """
    try:
        reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
        pages = [plain(page.extract_text()) for page in reader.pages]
    except Exception as error:  # as above
        raise UnreadableError(f"pages: {type(error).__name__}: {str(error)[:200]}") from error
    words = []
    for number, text in enumerate(pages, start=1):
        foot = plain(layout.page_foot(number, len(pages)))
        heads = [plain(head) for head in layout.page_heads(number)]
        words.append(next((body for head in heads if (body := _between(head, text, foot)) is not None), text))
    return "".join(words)


def _between(head: str, text: str, foot: str) -> str | None:
    """`text` without its head and foot, or None where it has not both."""
    if text.startswith(head) and text.endswith(foot) and len(text) >= len(head) + len(foot):
        return text[len(head) : len(text) - len(foot)]
    return None


def first_difference(layout: Layout, found: str) -> tuple[int, str, str] | None:
    """Where the words read differ from those laid out: position, words expected and found there; or None.

    Whether a page glosses codes depends on the fonts of whoever printed it, so that both are as good.
    """
    expected = plain(layout.body())
    if found in (expected, plain(layout.body(GLOSS))):
        return None
    shorter = min(len(found), len(expected))
    position = next((n for n in range(shorter) if found[n] != expected[n]), shorter)
    start = max(0, position - _SHOWN_CHARACTERS // 2)
    return position, expected[start:][:_SHOWN_CHARACTERS], found[start:][:_SHOWN_CHARACTERS]


def plain(text: str) -> str:
    """Text for comparison: 〔U+…〕 read back, NFKC, no white space."""
    return _compact(restore(_compact(text)))


def _compact(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())
