"""A file to check, as the parser reads it: small files in memory, large ones from the disk.

The parser keeps every object that it has read, and the bulk of a large file is page images that nobody here decodes.
So a large file is mapped, and a long read, which is what a stream's payload is, gives a view of the mapping instead of
a copy: its pages are never touched. Everything else is read from the file in small pieces. A check of 200 MB then
takes hardly more memory than one of 200 kB.
"""

from __future__ import annotations

import io
import mmap
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

MAPPED_BYTES_MIN: Final = 4 * 1024 * 1024
"""Files from this size on are mapped."""

VIEW_BYTES_MIN: Final = 256 * 1024
"""Reads from this length on give a view."""

BLOCK_BYTES: Final = 64 * 1024
"""What is read at once by whoever goes through the whole file."""


def source_of(file: BinaryIO) -> BinaryIO:
    """The open file as the parser shall read it."""
    if os.fstat(file.fileno()).st_size < MAPPED_BYTES_MIN:
        return io.BytesIO(file.read())
    source: Any = _MappedFile(file)
    return source  # type: ignore[no-any-return]  # it reads, seeks and tells, which is all that is asked of it


class _MappedFile(io.RawIOBase):
    """A file of which long reads are views of a mapping."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, size: int = -1) -> Any:
        """Bytes; a view of them where they are many."""
        if 0 <= size < VIEW_BYTES_MIN:
            return self._file.read(size)
        start = self._file.tell()
        end = len(self._map) if size < 0 else min(start + size, len(self._map))
        self._file.seek(end)
        return memoryview(self._map)[start:end]

    def readinto(self, buffer: Any) -> int:
        """Copied, and not through the mapping."""
        view = memoryview(buffer)
        block = self._file.read(len(view))
        view[: len(block)] = block
        return len(block)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True


def size_of(source: BinaryIO) -> int:
    """Bytes in all."""
    return source.seek(0, io.SEEK_END)


def blocks(source: BinaryIO, start: int = 0, length: int = sys.maxsize) -> Iterator[bytes]:
    """The bytes from `start` on, a block at a time: `length` of them, or all that there are."""
    source.seek(start)
    while block := source.read(min(BLOCK_BYTES, length)):
        length -= len(block)
        yield block


def contains(source: BinaryIO, token: bytes) -> bool:
    """Whether these bytes are anywhere in the file."""
    kept = b""
    for block in blocks(source):
        if token in kept + block:
            return True
        kept = block[-(len(token) - 1) :]
    return False


def find_last(source: BinaryIO, token: bytes) -> int:
    """Where these bytes are found last; -1 where they are not."""
    end = size_of(source)
    while end > 0:
        start = max(end - BLOCK_BYTES, 0)
        source.seek(start)
        found = source.read(end - start + len(token) - 1).rfind(token)
        if found >= 0:
            return start + found
        end = start
    return -1
