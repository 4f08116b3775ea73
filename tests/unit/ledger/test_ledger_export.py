"""The ledger as static files: whole, extended, interrupted, and of something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from ledger.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ExportError,
    LedgerDamagedError,
)
from ledger.export import export_ledger
from ledger.tables import ledger_entry
from tests.support.ledger_database import ORIGIN, REGISTRY, TestLedger, make_signer
from tests.support.tlog import names_of, read_log


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


def export(opened: TestLedger, folder: Path, vkey: str = "") -> int:
    """Export; the size of the checkpoint."""
    with opened.engine.connect() as conn:
        return export_ledger(
            conn, REGISTRY, vkey or opened.vkey, folder, lambda _done, _total: conn.rollback()
        ).size


def files(folder: Path) -> dict[str, bytes]:
    """Every file by its path in the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
def test_export_holds_what_the_standard_names_and_a_plain_reader_checks_it(
    opened: TestLedger, tmp_path: Path, size: int
) -> None:
    """Exactly the files of a tlog-tiles log of this size, and a reader of ours own shares no code with us."""
    opened.append(size)
    signed = opened.publish()
    folder = tmp_path / "out" / REGISTRY
    assert export(opened, folder) == size
    assert sorted(files(folder)) == sorted([*names_of(size), "checkpoint", "vkey"])
    read = read_log(lambda name: (folder / name).read_bytes(), (folder / "vkey").read_text().strip(), ORIGIN)
    assert read[:2] == (size, signed.root)
    with opened.engine.connect() as conn:
        assert read[2] == [opened.ledger.read_entry(conn, REGISTRY, n).data for n in range(size)]


def test_export_extended_is_the_same_as_made_at_once(opened: TestLedger, tmp_path: Path) -> None:
    """Growing over a full tile; what is full now has no partial form any more, the other edges stay."""
    grown = tmp_path / "grown"
    for count, size in ((3, 3), (250, 253), (10, 263), (0, 263), (500, 763)):
        opened.append(count)
        opened.publish()
        assert export(opened, grown) == size
    fresh = tmp_path / "fresh"
    export(opened, fresh)
    kept = {"tile/1/000.p/1": b"", **files(grown)}
    assert {name: data for name, data in kept.items() if name in files(fresh)} == files(fresh)
    assert sorted(set(files(grown)) - set(files(fresh))) == ["tile/1/000.p/1"]


def test_export_interrupted_goes_on_and_has_no_checkpoint_before_its_end(
    opened: TestLedger, tmp_path: Path
) -> None:
    """Stopped between two bundles, then finished: nothing that was written is written again."""
    opened.append(600)
    opened.publish()
    folder = tmp_path / "out"

    class StopError(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done >= 512:
            raise StopError

    with opened.engine.connect() as conn, pytest.raises(StopError):
        export_ledger(conn, REGISTRY, opened.vkey, folder, stop)
    assert not (folder / "checkpoint").exists()
    first = (folder / "tile/0/001").stat().st_mtime_ns
    seen: list[int] = []
    with opened.engine.connect() as conn:
        export_ledger(conn, REGISTRY, opened.vkey, folder, lambda done, _total: seen.append(done))
    assert seen == [512, 600]
    assert (folder / "tile/0/001").stat().st_mtime_ns == first
    assert read_log(lambda name: (folder / name).read_bytes(), opened.vkey, ORIGIN)[0] == 600


def test_export_file_that_is_gone_comes_back(opened: TestLedger, tmp_path: Path) -> None:
    """A missing bundle or tile is written again."""
    opened.append(600)
    opened.publish()
    folder = tmp_path / "out"
    export(opened, folder)
    whole = files(folder)
    for name in ("tile/entries/001", "tile/0/000", "tile/0/002.p/88", "checkpoint"):
        (folder / name).unlink()
    export(opened, folder)
    assert files(folder) == whole


def test_export_folder_of_another_log_is_refused(opened: TestLedger, tmp_path: Path) -> None:
    """Another key's checkpoint, or a note that is none; the folder stays as it was."""
    opened.append(3)
    opened.publish()
    folder = tmp_path / "out"
    export(opened, folder)
    other = make_signer("ledger.example/other", 9)
    for note in (
        b"hello",
        (folder / "checkpoint").read_bytes()[:-9],
        b"x\n1\nAA==\n\n" + other.signature_line(b"x"),
    ):
        (folder / "checkpoint").write_bytes(note)
        before = files(folder)
        with pytest.raises(ExportError, match="not of the log"):
            export(opened, folder)
        assert files(folder) == before
    with pytest.raises(CheckpointError):
        export(opened, tmp_path / "new", other.vkey)


def test_export_older_or_other_history_is_refused(opened: TestLedger, tmp_path: Path) -> None:
    """A restored database, and a ledger whose beginning was rewritten, do not get into a folder that knows better."""
    folder = tmp_path / "out"
    opened.append(3)
    opened.publish()
    opened.append(300)
    opened.publish()
    export(opened, folder)
    before = files(folder)
    older = TestLedger(tmp_path / "older.db")
    older.append(3)
    older.publish()
    with pytest.raises(ExportError, match="older than the export"):
        export(older, folder)
    forked = TestLedger(tmp_path / "forked.db")
    forked.count = 1000  # other entries
    forked.append(400)
    forked.publish()
    with pytest.raises(ExportError, match="is not how this ledger begins"):
        export(forked, folder)
    assert files(folder) == before


@pytest.mark.parametrize("where", ["tile/0/000", "tile/1/000.p/2"])
def test_export_over_changed_tiles_is_refused_or_mended(
    opened: TestLedger, tmp_path: Path, where: str
) -> None:
    """A flipped bit in a full tile is found; a partial one is written anew."""
    opened.append(600)
    opened.publish()
    folder = tmp_path / "out"
    export(opened, folder)
    whole = files(folder)
    (folder / where).write_bytes(bytes([whole[where][0] ^ 1]) + whole[where][1:])
    if where.endswith("000"):
        with pytest.raises(ExportError, match="export anew"):
            export(opened, folder)
        (folder / where).write_bytes(whole[where][:100])
        with pytest.raises(ExportError, match="100 bytes"):
            export(opened, folder)
    else:
        export(opened, folder)
        assert files(folder) == whole


def test_export_of_changed_entries_has_no_checkpoint(opened: TestLedger, tmp_path: Path) -> None:
    """Entries that do not lead to the signed root are not given out under it."""
    opened.append(5)
    opened.publish()
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_entry).where(ledger_entry.c.entry_index == 2).values(entry=b"other"))
    with pytest.raises(LedgerDamagedError, match="do not lead to its root"):
        export(opened, tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_export_before_the_first_checkpoint_is_refused(opened: TestLedger, tmp_path: Path) -> None:
    """Nothing is signed, so nothing is given out; entries behind the last checkpoint are not either."""
    opened.append(2)
    with pytest.raises(CheckpointNotFoundError):
        export(opened, tmp_path / "out")
    opened.publish()
    opened.append(2)
    assert export(opened, tmp_path / "out") == 2
