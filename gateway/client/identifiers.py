"""What can be told of an identifier without asking anybody."""

from __future__ import annotations

import re
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC: Final = re.compile(f"[{_ALPHABET}]{{18}}")


def is_uscc(text: str) -> bool:
    """Whether a text is a unified social credit code: 18 characters whose last one checks the others (GB 32100)."""
    if not _USCC.fullmatch(text):
        return False
    weighed = sum(_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(text[:17]))
    return _ALPHABET[-weighed % 31] == text[17]
