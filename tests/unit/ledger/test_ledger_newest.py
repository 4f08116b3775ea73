"""Before a process takes a ledger over, the newest stretch is read back: whatever was changed in it is named."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, select, update

from ledger.errors import LedgerDamagedError, LedgerError, RolledBackError, SignerMismatchError
from ledger.hashing import leaf_hash
from ledger.publish import Publisher
from ledger.tables import ledger_checkpoint, ledger_entry, ledger_head, ledger_published, ledger_tile
from tests.support.ledger_database import REGISTRY, TestLedger, make_engine, make_publisher, make_signer

PUBLISHED, SIZE = 290, 310


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    opened = TestLedger(path)
    for batch in (10, 250, 30):
        opened.append(batch)
        opened.publish()
    opened.append(SIZE - PUBLISHED)
    with opened.engine.connect() as conn:
        conn.exec_driver_sql("COMMIT")
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.exec_driver_sql("BEGIN")
    opened.engine.dispose()
    return path


@pytest.fixture
def conn(original: Path, tmp_path: Path) -> Iterator[Connection]:
    shutil.copy(original, tmp_path / "copy.db")
    engine = make_engine(tmp_path / "copy.db")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def check(conn: Connection, entries_max: int = 4096) -> int:
    """The size that a new process finds, if it finds nothing else."""
    return make_publisher().check_newest(conn, REGISTRY, entries_max).size


@pytest.mark.parametrize("entries_max", [0, 1, 30, 256, 289, 290, 4096])
def test_sound_ledger_is_taken_over_and_published(conn: Connection, entries_max: int) -> None:
    """However little is read, a sound ledger passes, and what was left unpublished can be published at once."""
    publisher = make_publisher()
    assert publisher.check_newest(conn, REGISTRY, entries_max).size == SIZE
    assert conn.execute(select(func.max(ledger_checkpoint.c.size))).scalar() == PUBLISHED, (
        "nothing is written"
    )
    assert publisher.publish(conn, REGISTRY).size == SIZE


def test_ledger_without_entries_is_taken_over(tmp_path: Path) -> None:
    """A ledger that was only just begun has nothing to read."""
    opened = TestLedger(tmp_path / "new.db")
    with opened.engine.connect() as conn:
        assert make_publisher().check_newest(conn, REGISTRY).size == 0


@pytest.mark.parametrize("index", [0, 1, 9, 10, 255, 256, 289, 290, 300, 309])
def test_changed_entry_of_the_stretch_is_named(conn: Connection, index: int) -> None:
    """Any byte, published or not; or the row gone."""
    where = ledger_entry.c.entry_index == index
    data = bytes(conn.execute(select(ledger_entry.c.entry).where(where)).scalar_one())
    for at in range(0, len(data), 41):
        changed = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        conn.execute(update(ledger_entry).where(where).values(entry=changed))
        with pytest.raises(LedgerDamagedError) as caught:
            check(conn)
        assert caught.value.row == f"ledger_entry {index}", at
    conn.execute(delete(ledger_entry).where(where))
    with pytest.raises(LedgerDamagedError) as caught:
        check(conn)
    assert caught.value.row == f"ledger_entry {index}"


def test_history_written_anew_contradicts_the_checkpoint(conn: Connection) -> None:
    """Entries 270 to the end replaced, each link and the head right: what was signed still says otherwise."""
    rows = conn.execute(
        select(ledger_entry.c.entry_index, ledger_entry.c.entry)
        .where(ledger_entry.c.entry_index >= 269)
        .order_by(ledger_entry.c.entry_index)
    ).all()
    previous = leaf_hash(rows[0].entry)
    for index, data in rows[1:]:
        lines = data.split(b"\n")
        lines[3] = base64.b64encode(previous)
        lines[5] = b"another.kind"
        forged = b"\n".join(lines)
        conn.execute(update(ledger_entry).where(ledger_entry.c.entry_index == index).values(entry=forged))
        previous = leaf_hash(forged)
    conn.execute(update(ledger_head).values(head_hash=previous))
    with pytest.raises(LedgerDamagedError) as caught:
        check(conn)
    assert "published root" in caught.value.rule


@pytest.mark.parametrize("column", ["size", "head_hash", "head_time", "frontier", "origin"])
def test_changed_head_is_noticed(conn: Connection, column: str) -> None:
    """Each column of the head that says something of the entries."""
    old = conn.execute(select(ledger_head.c[column])).scalar_one()
    new = (
        old[:-1] + bytes([old[-1] ^ 1])
        if isinstance(old, bytes)
        else old + ("x" if column == "origin" else 1)
    )
    conn.execute(update(ledger_head).values({column: new}))
    with pytest.raises(LedgerError):
        check(conn)


def test_changed_tile_is_noticed(conn: Connection) -> None:
    """A tile that does not lead to what was signed."""
    hashes = conn.execute(select(ledger_tile.c.hashes)).scalar_one()
    conn.execute(update(ledger_tile).values(hashes=bytes([hashes[0] ^ 1]) + hashes[1:]))
    with pytest.raises(LedgerDamagedError):
        check(conn)


def test_changed_publication_is_noticed(conn: Connection) -> None:
    """The row of the last checkpoint, the checkpoint itself, and a ledger shorter than what was signed."""
    conn.execute(update(ledger_published).values(root=bytes(32)))
    with pytest.raises(LedgerDamagedError):
        check(conn)
    conn.rollback()
    conn.execute(delete(ledger_checkpoint).where(ledger_checkpoint.c.size == PUBLISHED))
    with pytest.raises(LedgerDamagedError):
        check(conn)
    conn.rollback()
    opened = conn.execute(select(ledger_checkpoint.c.note).where(ledger_checkpoint.c.size == 10)).scalar_one()
    conn.execute(update(ledger_checkpoint).where(ledger_checkpoint.c.size == PUBLISHED).values(note=opened))
    with pytest.raises(LedgerDamagedError):
        check(conn)


def test_ledger_cut_back_is_noticed(tmp_path: Path) -> None:
    """Head and entries of an older copy beside a newer publication."""
    opened = TestLedger(tmp_path / "ledger.db")
    opened.append(3)
    with opened.engine.connect() as conn:
        old = conn.execute(select(ledger_head)).mappings().one()
    opened.append(2)
    opened.publish()
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_head).values(dict(old)))
        conn.execute(delete(ledger_entry).where(ledger_entry.c.entry_index >= 3))
    with opened.engine.connect() as conn, pytest.raises(RolledBackError):
        make_publisher().check_newest(conn, REGISTRY)


def test_another_signer_is_refused(conn: Connection) -> None:
    """Another key, or the key under another name, takes nothing over."""
    for signer in (make_signer(seed=9), make_signer("ledger.example/other")):
        with pytest.raises(SignerMismatchError):
            Publisher(lambda _registry, signer=signer: signer).check_newest(conn, REGISTRY)


def test_older_entries_are_left_to_a_full_verification(conn: Connection) -> None:
    """What lies before the stretch is seen through its tiles only: that keeps a start short."""
    conn.execute(update(ledger_entry).where(ledger_entry.c.entry_index == 5).values(entry=b"x"))
    assert check(conn, entries_max=20) == SIZE
    with pytest.raises(LedgerDamagedError):
        check(conn)
