"""Files by content address on a local disk: `<root>/<first two hex>/<sha256>`; complete or absent, never partial.

An upload is written to `<root>/incoming/` while it is hashed, synced, and only then renamed to its digest; the
folder is synced after the rename. What a crash leaves in `incoming/` is swept at start-up.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self


def path_of(root: Path, sha256: str) -> Path:
    """Where a file of this digest lies in the store under `root`, for whoever only reads."""
    return root / sha256[:2] / sha256


class FileStore:
    """Content-addressed files under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where a file of this digest lies, whether or not it is there."""
        return path_of(self._root, sha256)

    def has(self, sha256: str) -> bool:
        """Whether the file is there, whole."""
        return self.path(sha256).is_file()

    def read(self, sha256: str) -> bytes:
        """The whole file; raises FileNotFoundError. For files within the size limit only."""
        return self.path(sha256).read_bytes()

    def write(self) -> Incoming:
        """Begin a new file; used as a context manager, it leaves nothing behind unless `keep` was called."""
        return Incoming(self, self._incoming / secrets.token_hex(16))

    def put(self, data: bytes) -> str:
        """Store bytes at once; returns their hex SHA-256."""
        with self.write() as incoming:
            incoming.append(data)
            return incoming.keep()

    def remove(self, sha256: str) -> bool:
        """Take a file away for good; whether it was there. Durable when this returns."""
        target = self.path(sha256)
        try:
            target.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(target.parent)
        return True

    def sweep(self) -> int:
        """Remove what interrupted uploads left; returns how many. Call before serving."""
        leftovers = list(self._incoming.iterdir())
        for leftover in leftovers:
            leftover.unlink()
        return len(leftovers)

    def adopt(self, temporary: Path, sha256: str) -> None:
        """Move a synced temporary file to its digest and make the move durable."""
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        temporary.replace(target)
        _sync_folder(target.parent)


class Incoming:
    """A file being received: `append` chunks, then `keep` it under its digest."""

    def __init__(self, store: FileStore, temporary: Path) -> None:
        self._store = store
        self._path = temporary
        self._digest = hashlib.sha256()
        self._handle = temporary.open("xb", buffering=0)
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._handle.close()
        self._path.unlink(missing_ok=True)

    def append(self, chunk: bytes) -> None:
        """Hash and write one chunk, all of it: a disk that is nearly full takes a part, and says so only then."""
        self._digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._handle.write(rest) :]
        self.size_bytes += len(chunk)

    @property
    def sha256(self) -> str:
        """Hex digest of what has come so far."""
        return self._digest.hexdigest()

    @property
    def path(self) -> Path:
        """The temporary file, for a check before it is kept."""
        return self._path

    def keep(self) -> str:
        """Sync and move to the digest's place; returns the hex SHA-256."""
        os.fsync(self._handle.fileno())
        self._store.adopt(self._path, self.sha256)
        return self.sha256


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
