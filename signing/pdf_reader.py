"""A PDF read in time that grows with its size: what the library's parser is given, and how it finds objects.

The library is right and slow: it reads text byte by byte, an object of a stream by reading that stream from its
beginning, and an object at whatever place the table says. So a few kilobytes can keep it busy for seconds: a
megabyte of zeros in an array, a thousand objects in one stream, objects that lie inside each other. Here the text is
measured before it is parsed, an object stream is read once, and objects that overlap are refused.

What is measured is all that lies between the payloads of streams, which nobody parses. A file that hides text from
the measure, in what only looks like a payload, is ended by the limits of the checking process.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any, BinaryIO, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.decode_limits import (
    DEFAULT_PURPOSE_LIMITS,
    DecodeLimits,
    DecodePurpose,
    StreamDecodeLimits,
)
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.pdf_source import blocks

OBJECTS_MAX: Final = 200_000
TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a file outside its streams, and of one object stream. Two thousand pages of a scan have a sixth of it."""
TOKENS_MAX: Final = 500_000
"""Of the same, about: blanks, names, and openings of strings, arrays and dictionaries."""
TEXT_PARSED_MAX: Final = 4 * TEXT_BYTES_MAX
"""Bytes parsed in all: each revision is read again for the signature that it bears."""

_XREF_ROW_BYTES_MAX: Final = 12
_DECODE_LIMITS: Final = DecodeLimits(
    per_purpose={
        **DEFAULT_PURPOSE_LIMITS,
        DecodePurpose.XREF_STREAM: StreamDecodeLimits(max_output_size=OBJECTS_MAX * _XREF_ROW_BYTES_MAX),
        DecodePurpose.OBJECT_STREAM: StreamDecodeLimits(max_output_size=TEXT_BYTES_MAX),
    }
)
"""The library's limits, and no table of more objects than we would look at: 30 kB can hold ten million rows."""

_STREAM: Final = b"stream"
_END_OF_STREAM: Final = b"endstream"
_TOKEN_STARTS: Final = (b" ", b"\n", b"\r", b"/", b"[", b"(", b"<")
_ROWS_OF_NOTHING: Final = re.compile(rb"/W\s*\[\s*0+\s+0+\s+0+\s*\]")
"""A table whose rows have no bytes may claim a hundred million of them."""
_NUMBERS: Final = re.compile(rb"[0-9 \t\r\n\f\0]*")


class TooComplex(Exception):  # a signal inside the check, never shown
    """A limit of what is looked at was reached."""


def measure_text(source: BinaryIO) -> None:
    """See that the text of a file can be parsed soon. Raises `TooComplex`."""
    text_bytes = tokens = 0
    for text in _between_streams(source):
        text_bytes += len(text)
        if text_bytes > TEXT_BYTES_MAX:
            raise TooComplex(f"more than {TEXT_BYTES_MAX} bytes outside of streams")
        tokens += _tokens(text)
        if tokens > TOKENS_MAX:
            raise TooComplex(f"more than {TOKENS_MAX} tokens outside of streams")
        if _ROWS_OF_NOTHING.search(text):
            raise TooComplex("a table of rows without a byte")


def _between_streams(source: BinaryIO) -> Iterator[bytes]:
    """What lies before, between and after the payloads of streams, a block at a time."""
    data, inside, at = b"", False, 0
    for block in blocks(source):
        data += block
        pieces: list[bytes] = []
        start = 0  # of what is not yet told; `at`: of what is not yet looked at
        while (found := data.find(_END_OF_STREAM if inside else _STREAM, at)) >= 0:
            at = found + len(_END_OF_STREAM if inside else _STREAM)
            if inside:
                start, inside = at, False
            elif at == len(data):
                at = found
                break  # what follows the word is in the next block
            elif _begins_a_payload(data, found, at):
                pieces.append(data[start:at])
                start, inside = at, True
        kept = max(start, len(data) - len(_END_OF_STREAM))
        if not inside:
            pieces.append(data[start:kept])
        data, at = data[kept:], max(at - kept, 0)
        yield b"".join(pieces)
    if not inside:
        yield data


def _begins_a_payload(data: bytes, start: int, end: int) -> bool:
    """Whether the word `stream` that stands here is the one (ISO 32000-2 section 7.3.8)."""
    return data[end] in b"\r\n" and data[max(start - 3, 0) : start] != b"end"


def _tokens(text: bytes) -> int:
    return sum(text.count(one) for one in _TOKEN_STARTS)


class BoundedReader(PdfFileReader):
    """The library's reader, strict, in bounded time. What exceeds a bound raises `TooComplex`, objects that lie in each
    other are the `PdfReadError` of a malformed file.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._parsed = 0
        self._starts: list[int] = []
        self._ends: dict[int, int] = {}
        self._packed: dict[int, list[tuple[int, bytes]]] = {}
        super().__init__(source, strict=True, decode_limits=_DECODE_LIMITS)

    def _read_object(self, ref: generic.Reference, marker: Any, *args: Any, **options: Any) -> Any:
        found = super()._read_object(ref, marker, *args, **options)
        if isinstance(marker, int):
            end = self.stream.tell()
            payload = len(found.encoded_data) if isinstance(found, generic.StreamObject) else 0
            self._parsed += end - marker - payload
            if self._parsed > TEXT_PARSED_MAX:
                raise TooComplex(f"more than {TEXT_PARSED_MAX} bytes of text over all revisions")
            self._take_place(marker, end)
        return found

    def _take_place(self, start: int, end: int) -> None:
        """An object has its bytes for itself: a thousand, each inside the last one, would be read a thousand times."""
        if start in self._ends:
            return
        place = bisect(self._starts, start)
        before, after = self._starts[place - 1 : place], self._starts[place : place + 1]
        if any(self._ends[one] > start for one in before) or any(one < end for one in after):
            raise PdfReadError(f"the object at {start} lies inside another")
        self._starts.insert(place, start)
        self._ends[start] = end

    def _get_object_from_stream(self, idnum: int, stmnum: int, idx: int) -> Any:
        """The library reads the stream anew for each of its objects, and each of them as far as it goes."""
        packed = self._packed.get(stmnum)
        if packed is None:
            packed = self._packed[stmnum] = _unpacked(generic.Reference(stmnum, 0, self).get_object())
        if not 0 <= idx < len(packed) or packed[idx][0] != idnum:
            raise PdfReadError(f"object {idnum} is not at place {idx} of object stream {stmnum}")
        found = generic.read_object(BytesIO(packed[idx][1]), generic.Reference(idnum, 0, self))
        if isinstance(found, (generic.StreamObject, generic.IndirectObject)):
            raise PdfReadError("an object stream holds a stream or a reference (ISO 32000-2 section 7.5.7)")
        return found


def _unpacked(stream: Any) -> list[tuple[int, bytes]]:
    """Number and text of each object of an object stream (ISO 32000-2 section 7.5.7), whose places ascend."""
    if not isinstance(stream, generic.StreamObject) or stream["/Type"] != "/ObjStm":
        raise PdfReadError("what should be an object stream is none")
    data = stream.read_data(DecodePurpose.OBJECT_STREAM)
    count, first = int(stream["/N"]), int(stream["/First"])
    header = data[:first] if 0 <= first <= len(data) else b""
    if not 0 <= count <= OBJECTS_MAX or not _NUMBERS.fullmatch(header):
        raise PdfReadError("the header of an object stream is damaged")
    numbers = [int(one) for one in header.replace(b"\0", b" ").split()[: 2 * count]]
    places = [*numbers[1::2], len(data) - first]
    if len(numbers) != 2 * count or any(place >= following for place, following in pairwise(places)):
        raise PdfReadError("the header of an object stream is damaged")
    if _tokens(data) > TOKENS_MAX:
        raise TooComplex(f"more than {TOKENS_MAX} tokens in an object stream")
    bounds = pairwise(first + place for place in places)
    return [(number, data[start:end]) for number, (start, end) in zip(numbers[::2], bounds, strict=True)]
