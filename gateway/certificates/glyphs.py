"""Which characters our fonts can print, and what stands for the others.

PDF/A demands a glyph for each character. A character that the fonts lack (a rare one in a name, a control
character, an emoji) is printed as its code, 〔U+2CC56〕, and the attached data keep it as it is: a
certificate must never fail to be printed because of how somebody is called. `restore` reads such text back.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from importlib.resources import files
from typing import Any, Final

FONT_PACKAGE: Final = "pylopdf_fonts_zh_cn"
FONT_FILES: Final = ("NotoSerifSC-Regular.otf", "NotoSansSC-Regular.otf")

GLOSS: Final = (
    "注：〔U+…〕表示本文件字库未收录的一个字，括号内为该字的编码（GB/T 13000），原字见所附电子数据。"
)
"""What a page says where something on it is printed by its code. Frozen like all words of a certificate."""

_MISSING: Final = "〔U+{:04X}〕"
_MISSING_PATTERN: Final = re.compile(r"〔U\+([0-9A-F]{4,6})〕")


def printable(text: str) -> str:
    """`text` as the fonts can print it: each character without a glyph becomes 〔U+…〕."""
    glyphs = _coverage()
    if all(ord(c) in glyphs for c in text):
        return text
    return "".join(_glyph(c, glyphs) for c in text)


def restore(text: str) -> str:
    """The reverse of `printable`: each 〔U+…〕 is the character that it stands for."""
    return _MISSING_PATTERN.sub(_restored, text)


def has_codes(value: Any) -> bool:
    """Whether any text of a printable document is printed by its code."""
    if isinstance(value, str):
        return _MISSING_PATTERN.search(value) is not None
    if isinstance(value, dict):
        return any(has_codes(inner) for inner in value.values())
    return isinstance(value, list) and any(has_codes(inner) for inner in value)


def _restored(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= 0x10FFFF else match[0]


def _glyph(character: str, glyphs: frozenset[int]) -> str:
    if character in "\n\r\t":
        return "\n" if character == "\n" else " "
    return character if ord(character) in glyphs else _MISSING.format(ord(character))


@cache
def _coverage() -> frozenset[int]:
    """Characters that both fonts can print: templates set headings in one and values in the other."""
    folder = files(FONT_PACKAGE)
    sets = [_cmap((folder / name).read_bytes()) for name in FONT_FILES]
    return frozenset.intersection(*sets)


def _cmap(font: bytes) -> frozenset[int]:
    """Code points of an OpenType font, from its format 12 character map (OpenType 1.9, cmap)."""
    tables = struct.unpack_from(">H", font, 4)[0]
    for n in range(tables):
        tag, _, start, _ = struct.unpack_from(">4sLLL", font, 12 + 16 * n)
        if tag == b"cmap":
            break
    else:
        raise ValueError("a font has no character map: reinstall the font package")
    for n in range(struct.unpack_from(">H", font, start + 2)[0]):
        offset = start + struct.unpack_from(">HHL", font, start + 4 + 8 * n)[2]
        if struct.unpack_from(">H", font, offset)[0] != 12:
            continue
        groups = struct.unpack_from(">L", font, offset + 12)[0]
        codes: set[int] = set()
        for first, last, _ in struct.iter_unpack(">LLL", font[offset + 16 : offset + 16 + 12 * groups]):
            codes.update(range(first, last + 1))
        return frozenset(codes)
    raise ValueError("a font has no character map of format 12: reinstall the font package")
