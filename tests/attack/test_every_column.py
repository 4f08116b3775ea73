"""Every column of every table of the ledger, changed in every way: always found, and located to the row.

The list of tables and columns is the metadata: a new one is attacked as soon as it is declared, and this file fails
until it says how its rows are called.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Table, select

from ledger.cosignature import Cosigner
from ledger.cosignature_store import store_cosignature
from ledger.erasure import ERASED_KEYS, list_keys
from ledger.errors import RegistryUnknownError
from ledger.kind_audit import unknown_registries
from ledger.publish import read_checkpoint
from ledger.report import Divergence, Findings, name_row
from ledger.stamp_store import audit_stamps, store_stamp
from ledger.store import REGISTRY_KEY, EntryDraft, PartDraft
from ledger.tables import ledger_checkpoint, ledger_part, metadata
from ledger.verify import verify_ledger
from tests.support.ledger_database import START, TestLedger, draft, make_signer, make_vault
from tests.support.mutations import (
    COLUMN_CHANGES,
    ROW_CHANGES,
    Row,
    change_column,
    change_rows,
    rows_of,
    spots,
)

REGISTRIES = ("r1", "r2")
TABLES = {table.name: table for table in metadata.sorted_tables}
COLUMNS = [(table.name, column.name) for table in TABLES.values() for column in table.columns]
ENTRIES = 262
CHECKPOINTS = (4, 258, 260)
WITNESSES = [
    Cosigner(f"{name}.example", Ed25519PrivateKey.from_private_bytes(name.encode() * 32)) for name in "vw"
]

#: What nothing tells of: a cosignature or a time stamp taken away. The log does without, and whoever has it shows it.
UNSEEN = {
    (table, change)
    for table in ("ledger_cosignature", "ledger_stamp")
    for change in ("delete", "cut off", "empty table")
}


def token_over(note: bytes) -> bytes:
    """What stands for a time stamp here: the ledger does not know what tokens say, whoever judges them does."""
    return b"at some time there was " + sha256(note).digest()


def what_is_wrong(note: bytes, token: bytes) -> str:
    """A judge of such tokens."""
    return "" if token == token_over(note) else "it is over another checkpoint"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestLedger]:
    """Two ledgers in one database, each with a full tile; the first with three checkpoints and unpublished entries."""
    opened = TestLedger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    for batch in (4, ENTRIES - 8):
        opened.append(batch)
        opened.publish()
    opened.append(2)
    opened.publish()
    with opened.engine.begin() as conn:
        # Evidence of two entries is erased, by an entry each.
        for gone in ("application-2", "application-5"):
            part = PartDraft(ERASED_KEYS, list_keys([gone]), REGISTRY_KEY, bytes(32))
            head = opened.ledger.head(conn, "r1")
            opened.ledger.append(conn, head, [EntryDraft("evidence.erased", (part,))], head.head_time)
    with opened.engine.begin() as conn:
        opened.ledger.create(conn, "r2", "ledger.example/r2")
        head = opened.ledger.head(conn, "r2")
        small = [EntryDraft("register.imported", ())] * 254
        opened.ledger.append(conn, head, [*(draft(n + 5000) for n in range(3)), *small], START)
        opened.publisher.publish(conn, "r2")
    with opened.engine.begin() as conn:
        for registry in REGISTRIES:
            for size in sizes_of(conn, registry):
                note = read_checkpoint(conn, registry, size)
                assert note is not None
                for witness in WITNESSES:
                    store_cosignature(conn, registry, size, witness.vkey, witness.cosign(note.note, 7))
                store_stamp(conn, registry, size, token_over(note.note))
    yield opened
    opened.engine.dispose()


def sizes_of(conn: Connection, registry: str) -> list[int]:
    """Sizes of a registry's checkpoints."""
    sizes = select(ledger_checkpoint.c.size).where(ledger_checkpoint.c.registry == registry)
    return list(conn.execute(sizes).scalars())


@pytest.fixture
def conn(ledger: TestLedger) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with ledger.engine.connect() as connection:
        yield connection
        connection.rollback()


def raw(conn: Connection) -> sqlite3.Connection:
    """The driver's connection, in the transaction of `conn`."""
    conn.exec_driver_sql("SELECT 1")  # begins it
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def found(conn: Connection) -> list[Divergence]:
    """What a verification of both registries finds, in its order."""
    divergences = [
        Divergence(table, "-", "REGISTRY_UNKNOWN", str(registry))
        for table, registry in unknown_registries(conn, TABLES.values(), REGISTRIES)
    ]
    for registry in REGISTRIES:
        vkey = make_signer(f"ledger.example/{registry}").vkey
        try:
            divergences += verify_ledger(conn, registry, vkey, vault=make_vault()).divergences
            findings = Findings()
            audit_stamps(conn, registry, findings, what_is_wrong)
            divergences += findings.divergences()
        except RegistryUnknownError:
            divergences.append(Divergence("ledger_head", "registry", "HEAD_MISSING", "its row is missing"))
    return divergences


def assert_located(conn: Connection, table: Table, column: str, rows: list[Row]) -> None:
    """What is found first is one of these rows, or what the change must show in first (see `leaning`)."""
    divergences = found(conn)
    assert divergences, "nothing was found"
    named = (divergences[0].table, divergences[0].row)
    wanted = {(table.name, name_row(table.name, column, row)) for row in rows}
    wanted |= {one for row in rows for one in leaning(table, column, row)}
    assert named in wanted, f"{[str(d) for d in divergences[:5]]} begins with none of {wanted}"


def leaning(table: Table, column: str, row: Row) -> set[tuple[str, str]]:
    """Rows that are named where the row itself has gone and only they tell of it."""
    if column == "registry" and row["registry"] not in REGISTRIES:
        return {(table.name, "-")}
    if table.name == "ledger_head" and column == "registry":
        return {(table.name, other.name) for other in table.columns}
    if table.name == "ledger_checkpoint" and column in {"registry", "size"}:
        # The chain of checkpoints lost a link: the next one shows it.
        return {("ledger_checkpoint", f"size {row_after(row['size'])}")}
    if table.name == "ledger_part" and column == "key_id":
        return {("ledger_key", str(row["key_id"]))}
    return set()


def row_after(size: object) -> int:
    return min((s for s in CHECKPOINTS if isinstance(size, int) and s > size), default=CHECKPOINTS[-1])


@pytest.mark.parametrize("change", COLUMN_CHANGES)
@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_column_changed_is_found_and_located(conn: Connection, name: str, column: str, change: str) -> None:
    """The first, a middle and the last row: each change that the database lets happen is named."""
    table = TABLES[name]
    for at in spots(len(rows_of(raw(conn), table, "r1"))):
        driver = raw(conn)
        touched = change_column(driver, table, column, change, REGISTRIES, at)
        if touched:
            assert_located(conn, table, column, touched)
        conn.rollback()


@pytest.mark.parametrize("change", ROW_CHANGES)
@pytest.mark.parametrize("name", TABLES)
def test_rows_changed_are_found_and_located(conn: Connection, name: str, change: str) -> None:
    """Rows deleted, put in, cut off at the end, or all gone."""
    table = TABLES[name]
    for at in spots(len(rows_of(raw(conn), table, "r1"))):
        touched = change_rows(raw(conn), table, change, "r1", at)
        if (name, change) in UNSEEN:
            assert found(conn) == []
        elif touched:
            assert_located(conn, table, "registry", touched)
        conn.rollback()


def test_every_change_happens_somewhere(conn: Connection) -> None:
    """No kind of change is passed over for every row of a table: else the tests above would show nothing."""
    for table in TABLES.values():
        for change in COLUMN_CHANGES:
            done = []
            for column in table.columns.keys():
                done += change_column(raw(conn), table, column, change, REGISTRIES, -1)
                conn.rollback()
            nullable = any(column.nullable for column in table.columns)
            assert done or (change == "empty" and not nullable), f"{table.name}: {change} never happens"


def test_untouched_ledgers_are_whole(conn: Connection) -> None:
    """Nothing is found where nothing was changed, and there is something of every kind to change."""
    assert found(conn) == []
    assert all(rows_of(raw(conn), table, "r1") for table in TABLES.values())
    assert len(rows_of(raw(conn), ledger_part, "r1")) == (ENTRIES - 2) * 3 + 2
