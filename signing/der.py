"""DER, read one element at a time and written: the few rules of ITU-T X.690 that signed data need.

Nothing here recurses or looks ahead. A reader asks for the children of an element whose grammar it
knows, so depth is bounded by the reader's own code, and the number of children by the limit that it
passes. Lengths are definite and minimal, tags below 31, and nothing may follow the last element: a
structure has one encoding, or it is refused (`SignatureMalformed`).

`definite` brings the indefinite lengths that some makers of CMS write (X.690 section 8.1.3.6) into
that form first, iteratively and under limits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from signing.errors import SignatureMalformed

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

OID_BYTES_MAX: Final = 32
OIDS_CACHED: Final = 1024
"""The same few are read in every file."""
DEPTH_MAX: Final = 16
PIECES_MAX: Final = 4096
"""How many elements of indefinite length, with what they hold, are brought into DER."""

_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_LENGTH_BYTES_MAX: Final = 4


class Element(msgspec.Struct, frozen=True, gc=False):
    """One element of `data`: tag byte, where it starts, where its content starts and ends.

    The cheapest kind of value: a file has a hundred of them.
    """

    data: bytes
    tag: int
    start: int
    body: int
    end: int

    @property
    def content(self) -> bytes:
        """The content octets."""
        return self.data[self.body : self.end]

    @property
    def whole(self) -> bytes:
        """Tag, length and content."""
        return self.data[self.start : self.end]


def element_of(data: bytes) -> Element:
    """The one element that `data` is. Raises `SignatureMalformed`, also where bytes follow it."""
    one = _read(data, 0, len(data))
    if one.end != len(data):
        raise SignatureMalformed(f"{len(data) - one.end} bytes follow the end of the structure")
    return one


def first_element(data: bytes) -> Element:
    """The element that `data` begins with, whatever follows: PDF pads signatures with zeros."""
    return _read(data, 0, len(data))


def children(parent: Element, count_max: int) -> list[Element]:
    """The elements inside a constructed one, at most `count_max`."""
    if not parent.tag & _CONSTRUCTED:
        raise SignatureMalformed(f"an element with tag {parent.tag:#04x} holds no others")
    found: list[Element] = []
    data, at, end = parent.data, parent.body, parent.end
    while at < end:
        if len(found) == count_max:
            raise SignatureMalformed(f"more than {count_max} elements in one")
        body = at + 2
        # `_read` in short, for nearly all: a call would cost as much as the rest.
        if body < end and data[at + 1] < _INDEFINITE and data[at] & _LONG_TAG != _LONG_TAG:
            after = body + data[at + 1]
            if after <= end:
                found.append(Element(data, data[at], at, body, after))
                at = after
                continue
        one = _read(data, at, end)
        found.append(one)
        at = one.end
    return found


def expect(one: Element, tag: int, what: str) -> Element:
    """The same element, if it has this tag."""
    if one.tag != tag:
        raise SignatureMalformed(f"{what} has tag {one.tag:#04x}, not {tag:#04x}")
    return one


def oid_of(one: Element, what: str) -> str:
    """An object identifier in dots."""
    dotted = _dotted(expect(one, OID, what).content)
    if not dotted:
        raise SignatureMalformed(f"{what} is no object identifier of at most {OID_BYTES_MAX} bytes")
    return dotted


@lru_cache(maxsize=OIDS_CACHED)
def _dotted(raw: bytes) -> str:
    """Empty where it is no object identifier (X.690 section 8.19)."""
    if not 0 < len(raw) <= OID_BYTES_MAX or raw[-1] & 0x80:
        return ""
    arcs: list[int] = []
    value = 0
    begun = False
    for byte in raw:
        if not begun and byte == 0x80:  # leading zeros of an arc
            return ""
        value = value << 7 | byte & 0x7F
        begun = bool(byte & 0x80)
        if not begun:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def integer_of(one: Element, what: str, *, bytes_max: int = 64) -> int:
    """An integer of at most `bytes_max` bytes, in its only encoding."""
    raw = expect(one, INTEGER, what).content
    if not 0 < len(raw) <= bytes_max:
        raise SignatureMalformed(f"{what} has {len(raw)} bytes; 1 to {bytes_max} are allowed")
    if len(raw) > 1 and (raw[0], raw[1] >> 7) in ((0x00, 0), (0xFF, 1)):
        raise SignatureMalformed(f"{what} is not encoded in as few bytes as possible")
    return int.from_bytes(raw, "big", signed=True)


def encode(tag: int, *contents: bytes) -> bytes:
    """One element of these contents."""
    content = b"".join(contents)
    size = len(content)
    if size < _INDEFINITE:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _INDEFINITE | len(length))) + length + content


def encode_integer(value: int) -> bytes:
    """A non-negative integer."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return encode(OID, bytes(out))


def encode_set(tag: int, members: list[bytes]) -> bytes:
    """SET OF in its DER order (X.690 section 11.6)."""
    return encode(tag, *sorted(members))


def definite(data: bytes) -> bytes:
    """The first element of `data` in definite lengths; what follows it is kept.

    Segments of an octet string are joined. What has a definite length already is copied as it is,
    so signed parts stay the bytes that were signed.
    """
    if len(data) < 2 or data[1] != _INDEFINITE:
        return data
    # An open element of indefinite length: its tag, and the encodings that it holds so far.
    tags: list[int] = []
    parts: list[list[bytes]] = []
    at = 0
    pieces = 0
    while True:
        pieces += 1
        if pieces > PIECES_MAX:
            raise SignatureMalformed(f"more than {PIECES_MAX} elements of indefinite length: send DER")
        if tags and data[at : at + 2] == b"\0\0":
            at += 2
            done = _closed(tags.pop(), parts.pop())
        elif (
            data[at + 1 : at + 2] == b"\x80" and data[at] & _CONSTRUCTED and data[at] & _LONG_TAG != _LONG_TAG
        ):
            if len(tags) == DEPTH_MAX:
                raise SignatureMalformed(f"elements of indefinite length nest deeper than {DEPTH_MAX}")
            tags.append(data[at])
            parts.append([])
            at += 2
            continue
        else:
            one = _read(data, at, len(data))
            at = one.end
            done = one.whole
        if not tags:
            return done + data[at:]
        parts[-1].append(done)


def _closed(tag: int, parts: list[bytes]) -> bytes:
    if tag == OCTET_STRING | _CONSTRUCTED:
        segments = [expect(element_of(one), OCTET_STRING, "a segment of an octet string") for one in parts]
        return encode(OCTET_STRING, *[one.content for one in segments])
    return encode(tag, *parts)


def _read(data: bytes, at: int, limit: int) -> Element:
    """The element at `at`, which must end at or before `limit`."""
    if at + 2 > limit:
        raise SignatureMalformed("the structure is cut short")
    tag, length = data[at], data[at + 1]
    if tag & _LONG_TAG == _LONG_TAG:
        raise SignatureMalformed("a tag number above 30 is used nowhere in signed data")
    body = at + 2
    if length >= _INDEFINITE:
        count = length - _INDEFINITE
        if not 0 < count <= _LENGTH_BYTES_MAX or body + count > limit:
            raise SignatureMalformed("a length is indefinite, too long or cut short: DER is required")
        length = int.from_bytes(data[body : body + count], "big")
        if length < _INDEFINITE or length >> 8 * (count - 1) == 0:
            raise SignatureMalformed("a length is not encoded in as few bytes as possible")
        body += count
    if body + length > limit:
        raise SignatureMalformed("an element is longer than what it lies in")
    return Element(data, tag, at, body, body + length)
