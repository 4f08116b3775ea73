"""A verification whose rows are read by other processes finds what one process finds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, text, update

from gateway.storage.audit_readers import audit_readers
from ledger.readers import Readers
from ledger.report import Report
from ledger.tables import ledger_entry, ledger_key, ledger_part
from ledger.vault import Vault
from ledger.verify import verify_ledger
from tests.support.ledger_database import KEK, REGISTRY, TestLedger, make_engine, make_signer, make_vault

ENTRIES = 1200
"""More than two chunks: both processes have something to do."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readers") / "ledger.db"
    opened = TestLedger(path)
    opened.append(ENTRIES)
    opened.publish()
    opened.engine.dispose()  # the last connection folds the WAL back
    return path


@pytest.fixture
def database(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path / "ledger.db"))


@pytest.fixture
def readers(database: Path) -> Iterator[Readers]:
    with audit_readers(f"sqlite:///{database}", KEK, 2) as two:
        yield two


@pytest.fixture
def conn(database: Path) -> Iterator[Connection]:
    """Whoever changes rows, and commits: readers see nothing else."""
    engine = make_engine(database)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def verify(conn: Connection, readers: Readers | None) -> Report:
    return verify_ledger(conn, REGISTRY, make_signer().vkey, vault=make_vault(), readers=readers)


def test_sound_ledger_is_read_whole(conn: Connection, readers: Readers) -> None:
    report = verify(conn, readers)
    assert report == verify(conn, None)
    assert report.ok
    assert (report.entries, report.parts_opened, report.keys) == (ENTRIES, 3 * ENTRIES, ENTRIES + 1)


def test_whatever_one_process_finds_others_find(conn: Connection, readers: Readers) -> None:
    here = ledger_part.c.registry == REGISTRY
    conn.execute(
        update(ledger_part).where(here, ledger_part.c.entry_index == 7).values(sealed=b"changed" * 9)
    )
    conn.execute(delete(ledger_part).where(here, ledger_part.c.entry_index == 1100))
    conn.execute(delete(ledger_key).where(ledger_key.c.created_index == 40))
    conn.execute(update(ledger_key).where(ledger_key.c.created_index == 600).values(created_index=599))
    conn.execute(update(ledger_entry).where(ledger_entry.c.entry_index == 900).values(entry=b"nothing"))
    conn.commit()
    report = verify(conn, readers)
    assert set(report.divergences) == set(verify(conn, None).divergences)
    found = {divergence.row for divergence in report.divergences}
    assert {"900", "7 evidence", "1100 evidence"} <= found
    assert report.first is not None
    assert report.first.row == "900"


def test_value_of_another_kind_is_found_before_anything_is_read(conn: Connection, readers: Readers) -> None:
    conn.execute(
        text("UPDATE ledger_part SET sealed = 'text' WHERE entry_index = 1100 AND name = 'evidence'")
    )
    conn.commit()
    report = verify(conn, readers)
    assert [(found.row, found.reason) for found in report.divergences] == [("1100 evidence", "KIND_CHANGED")]
    assert report == verify(conn, None)


def test_process_that_ends_ends_the_verification(database: Path, conn: Connection) -> None:
    """A ledger of which a part was not read is never called whole."""
    with audit_readers(f"sqlite:///{database}", KEK, 1) as readers:
        readers.begin(partial(_end))
        with pytest.raises(BrokenProcessPool):
            verify(conn, readers)


def _end(_conn: Connection, _vault: Vault | None) -> None:
    os._exit(1)
