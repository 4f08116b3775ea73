"""Files by content address: whole or absent."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

import pytest

from gateway.storage.files import FileStore


def test_file_kept_lies_under_its_digest(tmp_path: Path) -> None:
    """What was appended is found again under its SHA-256, and nothing stays in incoming/."""
    store = FileStore(tmp_path)
    with store.write() as incoming:
        incoming.append(b"one ")
        incoming.append(b"two")
        digest = incoming.keep()
    assert digest == hashlib.sha256(b"one two").hexdigest()
    assert store.read(digest) == b"one two"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_file_not_kept_leaves_nothing(tmp_path: Path) -> None:
    """An upload that ends early leaves neither a file nor a temporary one."""
    store = FileStore(tmp_path)
    with pytest.raises(RuntimeError), store.write() as incoming:
        incoming.append(b"half")
        raise RuntimeError
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_file_that_finds_no_room_is_not_kept(tmp_path: Path) -> None:
    """The system takes a part of what is written and says nothing; only the next write fails."""
    store = FileStore(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            store.put(b"x" * 1_500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_sweep_removes_what_a_crash_left(tmp_path: Path) -> None:
    """Temporary files of a killed process are removed at start-up; kept files stay."""
    store = FileStore(tmp_path)
    digest = store.put(b"kept")
    (tmp_path / "incoming" / "abandoned").write_bytes(b"x")
    assert FileStore(tmp_path).sweep() == 1
    assert store.has(digest)
    assert not (tmp_path / "incoming" / "abandoned").exists()


def test_same_bytes_twice_are_one_file(tmp_path: Path) -> None:
    """Putting the same bytes again is harmless."""
    store = FileStore(tmp_path)
    assert store.put(b"same") == store.put(b"same")
