"""Erasing parts: the key is destroyed in the commit of the entry that says so, and stays destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from ledger.erasure import ERASED_KEYS, erased_by, erased_parts, list_keys, listed_keys
from ledger.errors import EntryInvalidError, KeyErasedError, PartErasedError
from ledger.report import Report
from ledger.store import REGISTRY_KEY, EntryDraft, PartDraft
from ledger.tables import ledger_erasure, ledger_key
from ledger.verify import verify_ledger
from tests.support.ledger_database import REGISTRY, START, TestLedger, draft, make_vault

GONE = "application-1"


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    """A ledger of three applications."""
    opened = TestLedger(tmp_path / "ledger.db")
    opened.append(3)
    return opened


def erase(opened: TestLedger, *key_ids: str) -> int:
    """Append an entry that erases; its index."""
    listed = PartDraft(ERASED_KEYS, list_keys(key_ids), REGISTRY_KEY, b"s" * 32)
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        draft = EntryDraft("evidence.erased", (listed,))
        appended, _ = opened.ledger.append(conn, head, [draft], head.head_time)
    return appended[0].index


def keys(opened: TestLedger) -> dict[str, tuple[bytes, int]]:
    """The keys that are there."""
    with opened.engine.connect() as conn:
        rows = conn.execute(select(ledger_key.c.key_id, ledger_key.c.wrapped, ledger_key.c.created_index))
        return {key_id: (wrapped, index) for key_id, wrapped, index in rows}


def verify(conn: Connection, opened: TestLedger, *, vault: bool = True) -> Report:
    """The ledger verified."""
    return verify_ledger(conn, REGISTRY, opened.vkey, vault=make_vault() if vault else None)


def put_back(opened: TestLedger, key_id: str, row: tuple[bytes, int]) -> None:
    """What a restored table does."""
    values = {"registry": REGISTRY, "key_id": key_id, "wrapped": row[0], "created_index": row[1]}
    with opened.engine.begin() as conn:
        conn.execute(insert(ledger_key).values(**values))


def test_erased_part_is_told_by_its_entry_and_others_open(opened: TestLedger) -> None:
    """The evidence of one application is gone, by which entry is told; nothing else is, nor any proof."""
    index = erase(opened, GONE)
    with opened.engine.connect() as conn:
        with pytest.raises(PartErasedError) as caught:
            opened.ledger.read_part(conn, REGISTRY, 1, "evidence")
        assert (caught.value.erased_by, str(caught.value)) == (
            index,
            f"registry r1, entry 1, part evidence: erased by entry {index}",
        )
        for at, name in ((0, "evidence"), (2, "evidence"), (1, "certificate/1"), (1, "mortgage.booked.v1")):
            opened.ledger.read_part(conn, REGISTRY, at, name)
        assert erased_by(conn, REGISTRY, [GONE, "application-0", "application-9"]) == {GONE: index}
        assert erased_parts(conn, REGISTRY, 0, 4) == {(1, "evidence"): index}
        for vault in (True, False):
            report = verify(conn, opened, vault=vault)
            assert (report.divergences, report.parts_erased) == ((), 1)


def test_what_is_erased_while_a_ledger_is_verified_is_no_damage(opened: TestLedger) -> None:
    """The gateway goes on: an erasure behind the verified size is proven by its own list."""
    opened.append(600)
    by: list[int] = []
    with opened.engine.connect() as conn:

        def progress(done: int, _: int) -> None:
            conn.rollback()
            if done and not by:
                by.append(erase(opened, "application-598"))

        report = verify_ledger(conn, REGISTRY, opened.vkey, progress, make_vault())
    assert report.ok, report.first
    assert list(report.erased) == by


def test_destroyed_key_is_nowhere_in_the_files(opened: TestLedger, tmp_path: Path) -> None:
    """Not its row alone: its bytes are in no free page and, once the log is folded back, nowhere."""
    wrapped, _ = keys(opened)[GONE]
    opened.engine.dispose()
    assert any(wrapped in path.read_bytes() for path in tmp_path.iterdir())
    erase(opened, GONE)
    with opened.engine.connect() as conn:
        conn.exec_driver_sql("COMMIT")
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.exec_driver_sql("BEGIN")
    opened.engine.dispose()
    assert not any(wrapped in path.read_bytes() for path in tmp_path.iterdir())


def test_erasure_that_rolls_back_erases_nothing(opened: TestLedger) -> None:
    """Key and entry are one commit: without the entry the key is there."""
    listed = PartDraft(ERASED_KEYS, list_keys([GONE]), REGISTRY_KEY, b"s" * 32)
    with opened.engine.connect() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        opened.ledger.append(conn, head, [EntryDraft("evidence.erased", (listed,))], head.head_time)
        conn.rollback()
        opened.ledger.read_part(conn, REGISTRY, 1, "evidence")
        assert erased_by(conn, REGISTRY, [GONE]) == {}


def test_registrys_key_is_never_destroyed(opened: TestLedger) -> None:
    """Effects and certificates are kept for ever, whatever a part lists."""
    with pytest.raises(EntryInvalidError):
        erase(opened, GONE, REGISTRY_KEY)
    assert {GONE, REGISTRY_KEY} <= keys(opened).keys()


def test_nothing_is_sealed_under_a_destroyed_key_again(opened: TestLedger) -> None:
    """A later entry of that application is refused: its evidence would lie under a key that is to be gone."""
    erase(opened, GONE)
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        with pytest.raises(KeyErasedError):
            opened.ledger.append(conn, head, [draft(9, key_id=GONE)], START.replace(year=2027))


def test_key_that_came_back_is_found_and_destroyed_again(opened: TestLedger) -> None:
    """A restored table of keys: verify says so, and the next start ends it; once more does nothing."""
    row = keys(opened)[GONE]
    index = erase(opened, GONE)
    put_back(opened, GONE, row)
    with opened.engine.begin() as conn:
        first = verify(conn, opened).first
        assert first is not None
        assert (first.table, first.row, first.reason) == ("ledger_key", GONE, "KEY_CAME_BACK")
        assert f"entry {index}" in first.rule
        assert opened.ledger.destroy_again(conn, REGISTRY) == 1
        assert opened.ledger.destroy_again(conn, REGISTRY) == 0
        assert verify(conn, opened).ok
    assert GONE not in keys(opened)


def test_record_that_was_lost_is_made_again_from_the_entries(opened: TestLedger) -> None:
    """The entry knows: without the table a rebuild finds what was erased, keys that came back too."""
    row = keys(opened)[GONE]
    index = erase(opened, GONE)
    put_back(opened, GONE, row)
    with opened.engine.begin() as conn:
        conn.execute(delete(ledger_erasure))
        opened.ledger.record_erasures(conn, REGISTRY)
        assert erased_by(conn, REGISTRY, [GONE]) == {GONE: index}
        assert opened.ledger.destroy_again(conn, REGISTRY) == 1
        assert verify(conn, opened).ok


@pytest.mark.parametrize("where", [0, 3], ids=["an entry that lists nothing", "one that lists another key"])
def test_planted_record_destroys_nothing_and_hides_nothing(opened: TestLedger, where: int) -> None:
    """A row beside the ledger that says a key was erased: the key stays; a key that is lost is lost all the same."""
    assert erase(opened, "application-2") == 3
    planted = {"registry": REGISTRY, "key_id": GONE, "entry_index": where}
    with opened.engine.begin() as conn:
        conn.execute(insert(ledger_erasure).values(**planted))
        assert opened.ledger.destroy_again(conn, REGISTRY) == 0
        assert not verify(conn, opened).ok
        conn.execute(delete(ledger_key).where(ledger_key.c.key_id == GONE))
        first = verify(conn, opened).first
        assert first is not None
        assert (first.table, first.row, first.reason) == ("ledger_key", GONE, "KEY_MISSING")


@pytest.mark.parametrize("column", ["registry", "key_id", "entry_index"])
def test_record_that_was_changed_is_noticed(opened: TestLedger, column: str) -> None:
    """Each column of its row: the entry knows better, and the row is named; that the key was erased stays known."""
    erase(opened, GONE)
    new = {"registry": "r2", "key_id": "application-x", "entry_index": 0}[column]
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_erasure).values({column: new}))
        report = verify(conn, opened)
        rows = [(found.table, found.row, found.reason) for found in report.divergences]
        assert ("ledger_erasure", GONE, "ERASURE_CHANGED") in rows
        assert {table for table, _, _ in rows} == {"ledger_erasure"}
        assert report.parts_erased == 1


@pytest.mark.parametrize("content", [b"no newline", b"\n", b"a\n\nb\n", "抵押\n".encode()])
def test_malformed_list_is_refused(content: bytes) -> None:
    """One key id a line, ASCII, each line ended."""
    with pytest.raises(EntryInvalidError):
        listed_keys(content)
    assert listed_keys(b"") == []
    assert listed_keys(list_keys(["a", "b"])) == ["a", "b"]
