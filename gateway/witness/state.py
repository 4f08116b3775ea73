"""What a witness remembers, in one file: of each log the last checkpoint that it cosigned.

The file moves by compare-and-swap: under a lock the stored size and root must be those that were judged, then a new
file is synced and renamed over the old one, and the folder synced. Only then may the witness cosign. Several threads
and, by mistake, several processes may share it. It is never restored from a backup: a witness whose file is lost is
founded anew, under another key, or it would cosign a second history.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from ledger.checkpoint import parse_checkpoint
from ledger.errors import CheckpointError
from ledger.witness import Seen

_VERSION: Final = "diya-witness-state/v1"


class StateUnusable(Exception):
    """The state file is missing or not ours; the message says what to do."""


class WitnessState:
    """The state file at a path. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open an existing file. Raises StateUnusable."""
        self._path = path
        self._threads = Lock()
        self._read()

    @staticmethod
    def create(path: Path) -> WitnessState:
        """Write an empty file where none is. Raises FileExistsError."""
        with path.open("x", encoding="utf-8") as file:
            file.write(_encode({}))
        return WitnessState(path)

    def seen(self, origin: str) -> Seen:
        """What was cosigned last of a log. Raises StateUnusable."""
        return _seen(self._read().get(origin))

    def note(self, origin: str) -> bytes | None:
        """The checkpoint cosigned last, with the log's signature and ours; None before the first."""
        note = self._read().get(origin)
        return None if note is None else note.encode()

    def swap(self, origin: str, old: Seen, note: bytes) -> bool:
        """Keep `note` as the last of a log, if what is stored is still `old`; durable when it returns True."""
        with self._locked():
            notes = self._read()
            if _seen(notes.get(origin)) != old:
                return False
            self._write({**notes, origin: note.decode()})
            return True

    def _read(self) -> dict[str, str]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["version"] != _VERSION:
                raise ValueError(stored["version"])
            notes = {str(origin): str(note) for origin, note in stored["logs"].items()}
            for note in notes.values():
                parse_checkpoint(note.encode())
        except FileNotFoundError as error:
            raise StateUnusable(
                f"{self._path}: the witness's memory is gone. Do not put an old copy back: "
                "found a new witness with `diya witness init`, whose key the banks and the registry then take"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, CheckpointError) as error:
            raise StateUnusable(f"{self._path}: not a witness's memory; it was changed or cut off") from error
        return notes

    def _write(self, notes: Mapping[str, str]) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(_encode(notes))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time: among threads by a lock, among processes by one on a file beside the state."""
        with self._threads:
            handle = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


def _seen(note: str | None) -> Seen:
    if note is None:
        return Seen()
    checkpoint = parse_checkpoint(note.encode())
    return Seen(checkpoint.size, checkpoint.root)


def _encode(notes: Mapping[str, str]) -> str:
    return json.dumps({"version": _VERSION, "logs": notes}, ensure_ascii=False, indent=1) + "\n"
