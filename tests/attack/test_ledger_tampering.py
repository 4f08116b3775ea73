"""Somebody who can write to the database changes it: every change is found, and the row is named.

That no table and no column is left out is test_every_column.py; here are the changes that took thought.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, Table, insert, select, update

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.cosignature import Cosigner
from ledger.cosignature_store import cosignature_lines, drop_faulty_cosignatures, store_cosignature
from ledger.entry import parse_entry, to_microseconds
from ledger.errors import CheckpointError, RegistryUnknownError
from ledger.hashing import leaf_hash
from ledger.report import Report
from ledger.tables import (
    ledger_checkpoint,
    ledger_cosignature,
    ledger_entry,
    ledger_head,
    ledger_key,
    ledger_part,
    ledger_published,
    ledger_tile,
)
from ledger.tree import Frontier
from ledger.verify import verify_ledger
from tests.support.ledger_database import REGISTRY, TestLedger, make_engine, make_signer, make_vault

BATCHES = (10, 90, 160, 30, 20)
SIZES = (10, 100, 260, 290)
"""Sizes of the checkpoints; the last 20 entries are not published."""
SIZE = 310


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    opened = TestLedger(path)
    for number, batch in enumerate(BATCHES):
        opened.append(batch)
        if number < len(SIZES):
            opened.publish()
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


def verify(conn: Connection, *, vault: bool = True) -> Report:
    return verify_ledger(conn, REGISTRY, make_signer().vkey, vault=make_vault() if vault else None)


def row_of(report: Report) -> str:
    assert report.first is not None, "nothing was found"
    return f"{report.first.table} {report.first.row}"


def tamper(conn: Connection, table: Table, column: str, **where: object) -> None:
    """Change one column of one row: a bit of bytes, one more of a number, a letter of a text."""
    condition = [table.c[name] == value for name, value in where.items()]
    old: Any = conn.execute(select(table.c[column]).where(*condition)).scalar_one()
    kind = table.c[column].type
    new: Any
    if isinstance(kind, LargeBinary):
        new = old[: len(old) // 2] + bytes([old[len(old) // 2] ^ 1]) + old[len(old) // 2 + 1 :]
    elif isinstance(kind, BigInteger | Integer):
        new = 1_000_001 if old is None else old + 1_000_000
    else:
        new = old[:-1] + ("x" if old[-1] != "x" else "y")
    changed = conn.execute(update(table).where(*condition).values({column: new}))
    assert changed.rowcount == 1


def test_verify_untouched_ledger_finds_nothing(conn: Connection) -> None:
    """A sound ledger diverges nowhere, and everything in it was looked at."""
    seen = []
    report = verify_ledger(
        conn, REGISTRY, make_signer().vkey, lambda done, size: seen.append((done, size)), make_vault()
    )
    assert report.ok
    assert report.first is None
    assert (report.size, report.published_size, report.entries) == (SIZE, 290, SIZE)
    assert (report.parts, report.parts_opened, report.keys) == (SIZE * 3, SIZE * 3, SIZE + 1)
    assert (report.checkpoints, report.tiles) == (4, 1)
    assert seen[0] == seen[-1] == (SIZE, SIZE)
    assert verify(conn, vault=False).parts_opened == 0


ENTRIES = (0, 1, 99, 100, 200, 255, 256, 289, 290, 300, 309)


@pytest.mark.parametrize("index", ENTRIES)
@pytest.mark.parametrize("column", [column.name for column in ledger_entry.columns])
def test_verify_entry_column_changed_names_entry(conn: Connection, column: str, index: int) -> None:
    """Any column of any entry: the entry is named."""
    tamper(conn, ledger_entry, column, entry_index=index)
    assert row_of(verify(conn, vault=False)) == f"ledger_entry {index}"


@pytest.mark.parametrize("index", ENTRIES)
def test_verify_any_byte_of_entry_changed_names_entry(conn: Connection, index: int) -> None:
    """Any byte of an entry, whichever line it is in: the entry is named, and nothing else."""
    where = ledger_entry.c.entry_index == index
    data = conn.execute(select(ledger_entry.c.entry).where(where)).scalar_one()
    for at in range(0, len(data), 23):
        changed = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        conn.execute(update(ledger_entry).where(where).values(entry=changed))
        report = verify(conn, vault=False)
        assert [f"{found.table} {found.row}" for found in report.divergences] == [f"ledger_entry {index}"], at


@pytest.mark.parametrize("column", [column.name for column in ledger_part.columns])
@pytest.mark.parametrize(
    ("index", "name"), [(0, "evidence"), (150, "certificate/1"), (309, "mortgage.booked.v1")]
)
def test_verify_part_column_changed_names_part(conn: Connection, column: str, index: int, name: str) -> None:
    """Any column of any part: the part is named, or the key that it claims."""
    tamper(conn, ledger_part, column, entry_index=index, name=name)
    rows = {f"{found.table} {found.row}" for found in verify(conn).divergences}
    if column == "key_id":
        assert any(row.startswith("ledger_key ") for row in rows)
    else:
        assert f"ledger_part {index} {name}" in rows
    assert verify(conn, vault=False).ok == (column == "sealed")


def test_verify_part_sealed_under_other_existing_key_names_part(conn: Connection) -> None:
    """A part that claims another key that exists does not open."""
    conn.execute(
        update(ledger_part)
        .where(ledger_part.c.entry_index == 5, ledger_part.c.name == "certificate/1")
        .values(key_id="application-3")
    )
    assert row_of(verify(conn)) == "ledger_part 5 certificate/1"


@pytest.mark.parametrize("column", [column.name for column in ledger_key.columns])
@pytest.mark.parametrize("key_id", ["application-0", "application-77", "registry"])
def test_verify_key_column_changed_names_key(conn: Connection, column: str, key_id: str) -> None:
    """Any column of any key: the key is named."""
    tamper(conn, ledger_key, column, key_id=key_id)
    report = verify(conn)
    assert row_of(report) == f"ledger_key {key_id}"
    assert verify(conn, vault=False).ok == (column == "wrapped")


@pytest.mark.parametrize("column", [column.name for column in ledger_checkpoint.columns])
@pytest.mark.parametrize("size", SIZES)
def test_verify_checkpoint_column_changed_names_checkpoint(conn: Connection, column: str, size: int) -> None:
    """Any column of any checkpoint: it is named, or the one after it where its key was changed."""
    tamper(conn, ledger_checkpoint, column, size=size)
    after = SIZES[min(SIZES.index(size) + 1, len(SIZES) - 1)]
    expected = {f"ledger_checkpoint size {size}"}
    if column in {"registry", "size"}:
        expected = {f"ledger_checkpoint size {after}", f"ledger_checkpoint size {size + 1_000_000}"}
    assert row_of(verify(conn)) in expected


@pytest.mark.parametrize("size", [0, 100, 290, 309, 311, -1])
def test_verify_head_size_changed_names_head(conn: Connection, size: int) -> None:
    """A head of another size, larger or smaller, does not hide or invent entries."""
    conn.execute(update(ledger_head).values(size=size))
    assert row_of(verify(conn)) == "ledger_head size"


def test_verify_head_of_other_registry_is_refused(conn: Connection) -> None:
    """Without its head a ledger is unknown."""
    tamper(conn, ledger_head, "registry", registry=REGISTRY)
    with pytest.raises(RegistryUnknownError):
        verify(conn)


@pytest.mark.parametrize("size", [0, 100, 289, 291, 310])
def test_verify_published_size_changed_names_row(conn: Connection, size: int) -> None:
    """Another size that was never signed, or is not the last: that row is named."""
    conn.execute(update(ledger_published).values(size=size))
    assert row_of(verify(conn)) == "ledger_published -"


@pytest.mark.parametrize(
    ("table", "where", "expected"),
    [
        (ledger_entry, {"entry_index": 0}, "ledger_entry 0"),
        (ledger_entry, {"entry_index": 200}, "ledger_entry 200"),
        (ledger_entry, {"entry_index": 309}, "ledger_entry 309"),
        (ledger_part, {"entry_index": 200, "name": "evidence"}, "ledger_part 200 evidence"),
        (ledger_key, {"key_id": "application-200"}, "ledger_key application-200"),
        (ledger_checkpoint, {"size": 10}, "ledger_checkpoint size 100"),
        (ledger_checkpoint, {"size": 290}, "ledger_checkpoint size 290"),
        (ledger_published, {}, "ledger_published -"),
        (ledger_tile, {}, "ledger_tile level 0, tile 0"),
    ],
)
def test_verify_row_deleted_names_row(
    conn: Connection, table: Table, where: dict[str, object], expected: str
) -> None:
    """A row of any kind that is gone is named; a checkpoint by the one that follows it."""
    assert conn.execute(table.delete().where(*(table.c[k] == v for k, v in where.items()))).rowcount == 1
    assert row_of(verify(conn)) == expected


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        (ledger_entry, {"entry_index": SIZE, "entry": b"x"}, f"ledger_entry {SIZE}"),
        (ledger_entry, {"entry_index": -1, "entry": b"x"}, "ledger_entry -1"),
        (
            ledger_part,
            {"entry_index": 3, "name": "x", "key_id": "registry", "sealed": b"x"},
            "ledger_part 3 x",
        ),
        (
            ledger_part,
            {"entry_index": SIZE, "name": "x", "key_id": "registry", "sealed": b"x"},
            f"ledger_part {SIZE} x",
        ),
        (
            ledger_part,
            {"entry_index": -1, "name": "x", "key_id": "registry", "sealed": b"x"},
            "ledger_part -1 x",
        ),
        (ledger_key, {"key_id": "x", "wrapped": b"x", "created_index": 3}, "ledger_key x"),
        (
            ledger_checkpoint,
            {"size": 50, "previous_size": 10, "root": bytes(32), "note": b"x"},
            "ledger_checkpoint size 50",
        ),
        (
            ledger_checkpoint,
            {"size": 305, "previous_size": 290, "root": bytes(32), "note": b"x"},
            "ledger_checkpoint size 305",
        ),
        (
            ledger_checkpoint,
            {"size": -5, "previous_size": None, "root": bytes(32), "note": b"x"},
            "ledger_checkpoint size -5",
        ),
        (ledger_tile, {"level": 0, "tile_index": 1, "hashes": bytes(8192)}, "ledger_tile level 0, tile 1"),
        (ledger_tile, {"level": 1, "tile_index": 0, "hashes": bytes(8192)}, "ledger_tile level 1, tile 0"),
        (ledger_tile, {"level": 0, "tile_index": -1, "hashes": bytes(8192)}, "ledger_tile level 0, tile -1"),
    ],
)
def test_verify_row_inserted_names_row(
    conn: Connection, table: Table, values: dict[str, object], expected: str
) -> None:
    """A row of any kind that was never written is named."""
    conn.execute(insert(table).values(registry=REGISTRY, **values))
    assert row_of(verify(conn)) == expected


@pytest.mark.parametrize(("one", "other"), [(3, 4), (100, 200), (255, 256), (295, 309)])
def test_verify_entries_swapped_names_first(conn: Connection, one: int, other: int) -> None:
    """Two entries that changed places: both are named, the first one first."""
    _swap(conn, ledger_entry, "entry", {"entry_index": one}, {"entry_index": other})
    report = verify(conn, vault=False)
    assert [found.row for found in report.divergences] == [str(one), str(other)]


def test_verify_parts_swapped_names_both(conn: Connection) -> None:
    """A part cannot stand for another one, not even under the same key."""
    _swap(
        conn,
        ledger_part,
        "sealed",
        {"entry_index": 3, "name": "certificate/1"},
        {"entry_index": 4, "name": "certificate/1"},
    )
    assert [found.row for found in verify(conn).divergences] == ["3 certificate/1", "4 certificate/1"]


def test_verify_keys_and_notes_swapped_are_named(conn: Connection) -> None:
    """Wrapped keys and signed notes belong to their rows."""
    _swap(conn, ledger_key, "wrapped", {"key_id": "application-1"}, {"key_id": "application-2"})
    _swap(conn, ledger_checkpoint, "note", {"size": 10}, {"size": 100})
    rows = {f"{found.table} {found.row}" for found in verify(conn).divergences}
    assert rows == {
        "ledger_key application-1",
        "ledger_key application-2",
        "ledger_checkpoint size 10",
        "ledger_checkpoint size 100",
    }


def test_verify_entry_replayed_names_copy(conn: Connection) -> None:
    """An old entry copied over a newer one is named."""
    data = conn.execute(select(ledger_entry.c.entry).where(ledger_entry.c.entry_index == 5)).scalar_one()
    conn.execute(update(ledger_entry).where(ledger_entry.c.entry_index == 205).values(entry=data))
    assert row_of(verify(conn, vault=False)) == "ledger_entry 205"


@pytest.mark.parametrize("keep", [0, 100, 280, 290, 305])
def test_verify_end_cut_off_names_first_missing(conn: Connection, keep: int) -> None:
    """Entries cut off at the end, the head left or put back: the first missing one is named."""
    hashes, times = _cut(conn, keep)
    assert row_of(verify(conn, vault=False)) == f"ledger_entry {keep}"
    _put_back_head(conn, hashes[:keep], times[:keep])
    report = verify(conn, vault=False)
    if keep >= 290:
        # Nothing was ever signed over what is gone: only a receipt's holder could know.
        assert report.ok
    else:
        assert row_of(report) == f"ledger_entry {keep}"


def test_verify_end_and_last_checkpoint_cut_off_is_found(conn: Connection) -> None:
    """Entries, head and last checkpoint put back together: the published row knows."""
    hashes, times = _cut(conn, 260)
    _put_back_head(conn, hashes[:260], times[:260])
    conn.execute(ledger_checkpoint.delete().where(ledger_checkpoint.c.size > 260))
    assert row_of(verify(conn, vault=False)) == "ledger_published -"


@pytest.mark.parametrize("first", [0, 5, 99, 100, 255])
def test_verify_suffix_rewritten_with_right_chain_names_first(conn: Connection, first: int) -> None:
    """Every entry from one on rewritten, with a right chain and head: the signed roots tell."""
    _rewrite(conn, first)
    report = verify(conn, vault=False)
    assert row_of(report) == f"ledger_entry {first}"
    assert report.first is not None
    assert report.first.reason == "ENTRY_REWRITTEN"


@pytest.mark.parametrize(("first", "named"), [(5, 0), (99, 10), (255, 100), (270, 260)])
def test_verify_suffix_and_tiles_rewritten_names_first_after_last_good_checkpoint(
    conn: Connection, first: int, named: int
) -> None:
    """Tiles rewritten too: what is named is the first entry that no good checkpoint covers."""
    leaves = _rewrite(conn, first)
    conn.execute(update(ledger_tile).values(hashes=b"".join(leaves[:256])))
    report = verify(conn, vault=False)
    assert row_of(report) == f"ledger_entry {named}"
    assert "checkpoint" in str(report.first)


def test_verify_everything_rewritten_and_signed_with_other_key_is_found(conn: Connection) -> None:
    """Whoever rewrites all and signs with a key of their own is refused by the verifier key."""
    assert not verify_ledger(conn, REGISTRY, make_signer(seed=8).vkey).ok
    with pytest.raises(CheckpointError):
        verify_ledger(conn, REGISTRY, "no key")


def test_verify_wrong_kek_names_head_and_keys(conn: Connection) -> None:
    """With another key-encryption key nothing opens, and the report says so."""
    report = verify_ledger(conn, REGISTRY, make_signer().vkey, vault=make_vault(bytes(32)))
    assert row_of(report) == "ledger_head key_check" or row_of(report).startswith("ledger_key")
    assert report.parts_opened == 0


def test_verify_published_row_deleted_and_root_of_unsigned_ledger_changed(tmp_path: Path) -> None:
    """Before the first checkpoint the published row says size 0 and the empty root."""
    opened = TestLedger(tmp_path / "new.db")
    opened.append(3)
    with opened.engine.connect() as conn:
        assert verify(conn).ok
        conn.execute(update(ledger_published).values(root=bytes(32)))
        assert row_of(verify(conn)) == "ledger_published -"


@pytest.mark.parametrize("index", [0, 100, 255])
def test_verify_tile_and_entry_changed_names_entry_only(conn: Connection, index: int) -> None:
    """A tile that differs only because an entry under it was changed is not blamed."""
    tamper(conn, ledger_entry, "entry", entry_index=index)
    assert {found.table for found in verify(conn, vault=False).divergences} == {"ledger_entry"}


@pytest.mark.parametrize("size", [0, 8160, 8224])
def test_verify_tile_of_other_length_names_tile(conn: Connection, size: int) -> None:
    """A tile cut short or grown is named."""
    conn.execute(update(ledger_tile).values(hashes=bytes(size)))
    assert row_of(verify(conn)) == "ledger_tile level 0, tile 0"


def test_verify_many_changes_are_all_named_in_order(conn: Connection) -> None:
    """Several changes at once are all named, in the order of the ledger."""
    for index in (20, 150, 270, 300):
        tamper(conn, ledger_entry, "entry", entry_index=index)
    tamper(conn, ledger_part, "sealed", entry_index=40, name="evidence")
    report = verify(conn)
    assert [found.row for found in report.divergences] == ["20", "150", "270", "300", "40 evidence"]


def test_verify_may_end_transaction_between_chunks(original: Path, tmp_path: Path) -> None:
    """A live server's verification holds no transaction across chunks, and appends may go on."""
    shutil.copy(original, tmp_path / "live.db")
    engine = make_engine(tmp_path / "live.db")
    with engine.connect() as conn:
        calls: list[Callable[[], None]] = []

        def between(_done: int, _size: int) -> None:
            conn.rollback()
            calls.append(conn.rollback)

        assert verify_ledger(conn, REGISTRY, make_signer().vkey, between).ok
    assert calls


def kept(conn: Connection, size: int) -> Checkpoint:
    """The checkpoint of a size, as whoever kept its note opens it."""
    where = ledger_checkpoint.c.size == size
    note = conn.execute(select(ledger_checkpoint.c.note).where(where)).scalar_one()
    return open_checkpoint(note, make_signer().vkey)


def verify_since(conn: Connection, since: Checkpoint) -> Report:
    return verify_ledger(conn, REGISTRY, make_signer().vkey, vault=make_vault(), since=since)


@pytest.mark.parametrize("size", SIZES)
def test_verify_since_checkpoint_looks_at_what_came_after(conn: Connection, size: int) -> None:
    """Entries, parts, keys and checkpoints behind the one that was kept, and the tile that became full."""
    report = verify_since(conn, kept(conn, size))
    assert report.ok
    new = SIZE - size
    assert (report.since, report.size, report.entries, report.parts) == (size, SIZE, new, new * 3)
    assert (report.checkpoints, report.keys) == (len(SIZES) - SIZES.index(size), new)
    assert report.tiles == (size < 256)


@pytest.mark.parametrize("column", [column.name for column in ledger_entry.columns])
@pytest.mark.parametrize("index", [289, 290, 300, 309])
def test_verify_since_checkpoint_names_entry_changed_after_it(
    conn: Connection, column: str, index: int
) -> None:
    """What came after is looked at as in a whole verification; the last entry before is too."""
    since = kept(conn, 290)
    tamper(conn, ledger_entry, column, entry_index=index)
    report = verify_since(conn, since)
    assert not report.ok
    if index >= 290:
        assert row_of(report) == f"ledger_entry {index}"
    else:
        assert report.first is not None
        assert report.first.reason == "CHECKPOINT_NOT_A_PREFIX"


@pytest.mark.parametrize(
    ("table", "where", "column"),
    [
        (ledger_part, {"entry_index": 300, "name": "evidence"}, "sealed"),
        (ledger_key, {"key_id": "application-300"}, "wrapped"),
        (ledger_checkpoint, {"size": 290}, "note"),
        (ledger_checkpoint, {"size": 260}, "root"),
        (ledger_head, {}, "frontier"),
        (ledger_published, {}, "root"),
    ],
)
def test_verify_since_checkpoint_finds_other_rows_changed(
    conn: Connection, table: Table, where: dict[str, object], column: str
) -> None:
    """Parts, keys, the checkpoint itself and later ones, the head and the published row."""
    since = kept(conn, 260)
    tamper(conn, table, column, **where)
    assert not verify_since(conn, since).ok


def test_verify_since_checkpoint_of_a_tile_boundary(tmp_path: Path) -> None:
    """At 256 entries nothing of the last tile is left over, and nothing came after."""
    opened = TestLedger(tmp_path / "new.db")
    opened.append(256)
    note = opened.publish().note
    with opened.engine.connect() as conn:
        assert verify_since(conn, open_checkpoint(note, opened.vkey)).ok
    opened.append(300)
    opened.publish()
    with opened.engine.connect() as conn:
        report = verify_since(conn, open_checkpoint(note, opened.vkey))
        assert (report.ok, report.entries, report.tiles) == (True, 300, 1)


def test_verify_suffix_rewritten_and_signed_by_its_own_key_shows_in_a_kept_checkpoint_only(
    conn: Connection, tmp_path: Path
) -> None:
    """Whoever has database and key can write another ledger that is sound in itself: only a checkpoint that somebody
    else kept, a bank or a witness, shows it. The same for a database that was put back as a whole.
    """
    forged = TestLedger(tmp_path / "forged.db")
    forged.append(10)
    forged.publish()
    forged.append(40)
    forged.count = 1000
    for count in (50, 210):
        forged.append(count)
        forged.publish()
    with forged.engine.connect() as other:
        assert verify(other).ok
        for size in SIZES:
            report = verify_since(other, kept(conn, size))
            if size <= 10:
                assert report.ok  # before the fork: both ledgers begin like this
            else:
                assert report.first is not None
                assert report.first.reason == "CHECKPOINT_NOT_A_PREFIX"
                assert report.first.row == f"size {size}"


def test_verify_since_checkpoint_of_another_log_is_refused(conn: Connection) -> None:
    """A checkpoint begins no other ledger."""
    with pytest.raises(CheckpointError):
        verify_since(conn, Checkpoint("ledger.example/other", 10, bytes(32)))


def _swap(
    conn: Connection, table: Table, column: str, one: dict[str, object], other: dict[str, object]
) -> None:
    conditions = [[table.c[name] == value for name, value in where.items()] for where in (one, other)]
    values = [conn.execute(select(table.c[column]).where(*each)).scalar_one() for each in conditions]
    for condition, value in zip(conditions, reversed(values), strict=True):
        conn.execute(update(table).where(*condition).values({column: value}))


def _cut(conn: Connection, keep: int) -> tuple[list[bytes], list[int]]:
    rows = conn.execute(select(ledger_entry.c.entry).order_by(ledger_entry.c.entry_index)).scalars().all()
    conn.execute(ledger_entry.delete().where(ledger_entry.c.entry_index >= keep))
    conn.execute(ledger_part.delete().where(ledger_part.c.entry_index >= keep))
    conn.execute(ledger_key.delete().where(ledger_key.c.created_index >= keep))
    return [leaf_hash(data) for data in rows], [to_microseconds(parse_entry(data).time) for data in rows]


def _put_back_head(conn: Connection, hashes: list[bytes], times: list[int]) -> None:
    conn.execute(
        update(ledger_head).values(
            size=len(hashes),
            head_hash=hashes[-1] if hashes else bytes(32),
            head_time=times[-1] if times else 0,
            frontier=Frontier().extend(hashes).encode(),
        )
    )


def _rewrite(conn: Connection, first: int) -> list[bytes]:
    """Write other entries from `first` on, as a right append would have, and return all hashes."""
    rows = conn.execute(select(ledger_entry.c.entry).order_by(ledger_entry.c.entry_index)).scalars().all()
    hashes: list[bytes] = []
    times: list[int] = []
    for index, data in enumerate(rows):
        entry = parse_entry(data)
        if index >= first:
            entry = replace(
                entry,
                previous_hash=hashes[-1] if hashes else bytes(32),
                time=entry.time + timedelta(seconds=1),
            )
            where = ledger_entry.c.entry_index == index
            conn.execute(update(ledger_entry).where(where).values(entry=entry.encode()))
        hashes.append(entry.entry_hash())
        times.append(to_microseconds(entry.time))
    _put_back_head(conn, hashes, times)
    return hashes


# -- cosignatures ------------------------------------------------------------------------------------------------------

WITNESS = Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def cosign(conn: Connection) -> None:
    """A witness's line on each of two checkpoints."""
    for size in SIZES[:2]:
        where = ledger_checkpoint.c.size == size
        note = conn.execute(select(ledger_checkpoint.c.note).where(where)).scalar_one()
        store_cosignature(conn, REGISTRY, size, WITNESS.vkey, WITNESS.cosign(note, 7))


def test_verify_cosignatures_that_hold_find_nothing(conn: Connection) -> None:
    """Nor does a ledger of a version that had no table of them."""
    cosign(conn)
    assert verify(conn).ok
    ledger_cosignature.drop(conn)
    assert verify(conn).ok


@pytest.mark.parametrize(
    "column", [column.name for column in ledger_cosignature.columns if column.name != "registry"]
)
def test_verify_cosignature_column_changed_names_it(conn: Connection, column: str) -> None:
    """Any column of a cosignature: its row is named."""
    cosign(conn)
    tamper(conn, ledger_cosignature, column, size=SIZES[0])
    assert row_of(verify(conn)).startswith("ledger_cosignature size ")


def test_cosignature_that_does_not_hold_is_given_to_nobody_and_replaced(conn: Connection) -> None:
    """A checkpoint with one holds all the same; given again it takes the place of the changed one, and only of that."""
    cosign(conn)
    size = SIZES[1]
    note = conn.execute(select(ledger_checkpoint.c.note).where(ledger_checkpoint.c.size == size)).scalar_one()
    good = WITNESS.cosign(note, 7)
    assert cosignature_lines(conn, REGISTRY, size, note) == good
    tamper(conn, ledger_cosignature, "line", size=size)
    assert cosignature_lines(conn, REGISTRY, size, note) == b""
    [found] = verify(conn).divergences
    assert "given to nobody; `diya ledger rebuild` takes it away" in found.rule
    store_cosignature(conn, REGISTRY, size, WITNESS.vkey, good)
    assert verify(conn).ok
    store_cosignature(conn, REGISTRY, size, WITNESS.vkey, WITNESS.cosign(note, 8))
    assert cosignature_lines(conn, REGISTRY, size, note) == good


def test_cosignatures_that_do_not_hold_are_taken_away(conn: Connection) -> None:
    """Changed, or on a checkpoint that is not there; what holds stays."""
    cosign(conn)
    tamper(conn, ledger_cosignature, "line", size=SIZES[0])
    conn.execute(
        insert(ledger_cosignature).values(registry=REGISTRY, size=-1, vkey=WITNESS.vkey, line=b"\xe2\x80\x94")
    )
    assert len(verify(conn).divergences) == 2
    assert drop_faulty_cosignatures(conn, REGISTRY) == 2
    assert verify(conn).ok
    assert conn.execute(select(ledger_cosignature.c.size)).scalars().all() == [SIZES[1]]


def test_verify_since_looks_at_later_cosignatures_page_by_page(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those on the checkpoint that was kept may have come after it; those before it are a whole verification's."""
    monkeypatch.setattr("ledger.cosignature_store._ROWS_READ", 1)
    cosign(conn)
    later = kept(conn, SIZES[1])
    for size in SIZES[:2]:
        tamper(conn, ledger_cosignature, "line", size=size)
    assert len(verify(conn).divergences) == 2
    report = verify_since(conn, later)
    assert [one.row for one in report.divergences] == [f"size {SIZES[1]} {WITNESS.vkey}"]


def test_verify_cosignatures_swapped_or_doubled_names_both(conn: Connection) -> None:
    """Right lines on the wrong checkpoints; and a line that smuggles in another one."""
    cosign(conn)
    table = ledger_cosignature
    lines = conn.execute(select(table.c.line).order_by(table.c.size)).scalars().all()
    for size, line in zip(SIZES[:2], reversed(lines), strict=True):
        conn.execute(update(table).where(table.c.size == size).values(line=line))
    assert len(verify(conn).divergences) == 2
    for size, line in zip(SIZES[:2], lines, strict=True):
        conn.execute(update(table).where(table.c.size == size).values(line=line + line))
    assert len(verify(conn).divergences) == 2
