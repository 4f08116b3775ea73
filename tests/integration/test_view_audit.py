"""Whatever somebody changes in a view past the gateway is found, and named: table, row and column."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, text
from sqlalchemy.exc import OperationalError

from gateway.config import load_config
from gateway.storage import tables
from gateway.storage.engine import auditor_engine
from gateway.storage.rebuild import digest_views, key_columns
from gateway.storage.view_audit import NAMED_MAX, ViewReport
from ledger.report import Divergence
from tests.support.mutations import (
    COLUMN_CHANGES,
    ROW_CHANGES,
    Row,
    change_column,
    change_rows,
    other,
    rows_of,
)
from tests.support.played import audited, copied, opened
from tests.support.stage import REGISTRIES, town_of

VIEWS = {table.name: table for table in tables.VIEWS}
COLUMNS = {
    table.name: [column.name for column in table.columns if not column.primary_key] for table in tables.VIEWS
}
KEYS = {table.name: [column.name for column in key_columns(table)] for table in tables.VIEWS}


@pytest.fixture
def folder(played: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return copied(played, tmp_path)


def some_row(connection: sqlite3.Connection, name: str) -> tuple[str, dict[str, Any]]:
    """The registry and the key of the row in the middle of a view."""
    keys = [column.name for column in key_columns(VIEWS[name])]
    for registry in REGISTRIES:
        rows = connection.execute(
            f'SELECT {", ".join(keys)} FROM "{name}" WHERE registry = ? ORDER BY {", ".join(keys)}',
            (registry,),
        ).fetchall()
        if rows:
            return registry, dict(zip(keys, rows[len(rows) // 2], strict=True))
    raise AssertionError(f"nothing in {name}: the test would show nothing")


def change(connection: sqlite3.Connection, name: str, key: dict[str, Any], registry: str, column: str) -> Any:
    """Change one column of one row; its new value."""
    where = " AND ".join(f"{k} = ?" for k in ("registry", *key))
    values = (registry, *key.values())
    (old,) = connection.execute(f'SELECT "{column}" FROM "{name}" WHERE {where}', values).fetchone()
    new = other(old, VIEWS[name].c[column])
    assert (
        connection.execute(f'UPDATE "{name}" SET "{column}" = ? WHERE {where}', (new, *values)).rowcount == 1
    )
    return new


def told(key: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())


def lines(report: ViewReport) -> list[tuple[str, str, str]]:
    return [(d.table, d.row, d.reason) for d in report.divergences]


def of_number(names: dict[str, list[str]], number: int) -> list[tuple[str, str]]:
    """Of every view that has so many, the column of this number."""
    return [(name, columns[number]) for name, columns in names.items() if number < len(columns)]


def most(names: dict[str, list[str]]) -> int:
    """The columns of the view that has most."""
    return max(map(len, names.values()))


def diverging(folder: Path) -> list[Divergence]:
    """All that diverges in either registry, each counted and named: views are compared one by one, so one audit
    judges a change in each of them.
    """
    found: list[Divergence] = []
    for report in (audited(folder, registry) for registry in REGISTRIES):
        assert report.diverging == Counter(d.table for d in report.divergences)
        found += report.divergences
    return found


def diverging_rows(folder: Path) -> list[tuple[str, str, str]]:
    """The same without its rules, sorted."""
    return sorted((d.table, d.row, d.reason) for d in diverging(folder))


def test_every_table_is_a_view_or_is_named_here() -> None:
    """A table that no audit looks at is a decision: uploads have no entry (their bytes are hashed, see
    test_evidence_audit.py), rehearsals leave nothing in the ledger, which case names which file is read out of it,
    statements have no entry.
    """
    assert tables.metadata.tables.keys() - VIEWS.keys() == {
        "file",
        "file_claim",
        "file_claims_read",
        "rehearsal_count",
        "sealed_answer",
    }


def test_untouched_views_are_whole(folder: Path) -> None:
    """Every view has rows, all were compared, none diverges: for both registries."""
    reports = [audited(folder, registry) for registry in REGISTRIES]
    assert [report.divergences for report in reports] == [(), ()]
    with opened(folder) as connection:
        for name in VIEWS:
            (rows,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            assert rows == sum(report.rows[name] for report in reports) > 0, name


def test_digests_are_of_all_rows_on_both_sides(folder: Path) -> None:
    """Of every view what the table holds and what the entries say, the same, and the same as of the whole table."""
    report = audited(folder, "jiangyin")
    assert set(report.digests) == set(VIEWS)
    for name, found in report.digests.items():
        assert (found.stored, report.rows[name]) == digest_of(folder, name), name
        assert (found.entries, found.folded) == (report.entries, found.stored), name
    assert len({found.stored for found in report.digests.values()}) > len(VIEWS) / 2


@pytest.mark.parametrize("rows", [1, 3, 500])
def test_digest_of_a_changed_view_differs_from_the_ledgers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Whatever the size of a page: the ledger's digest stays, the table's is its own, and the row is named."""
    before = audited(folder, "jiangyin").digests
    with opened(folder) as connection:
        _, key = some_row(connection, "unit_right")
        change(connection, "unit_right", key, "jiangyin", "live")
        connection.execute("DELETE FROM paper WHERE registry = 'jiangyin' AND rowid % 3 = 0")
    monkeypatch.setattr("gateway.storage.view_audit.ROWS_READ", rows)
    report = audited(folder, "jiangyin")
    after = report.digests
    assert {name: found.folded for name, found in after.items()} == {
        name: found.folded for name, found in before.items()
    }
    assert {name for name, found in after.items() if found.stored != found.folded} == {"unit_right", "paper"}
    assert (after["paper"].stored, report.rows["paper"]) == digest_of(folder, "paper")
    assert ("unit_right", told(key), "VIEW_ROW_CHANGED") in lines(report)
    assert set(report.diverging) == {"unit_right", "paper"}


def digest_of(folder: Path, name: str) -> tuple[str, int]:
    """Digest and rows of a table, as a whole."""
    engine = auditor_engine(load_config(folder / "diya.toml").storage.database)
    with engine.begin() as connection:
        rows, digest = digest_views(connection, "jiangyin")[name]
    engine.dispose()
    return digest, rows


@pytest.mark.parametrize("number", range(most(COLUMNS)))
def test_changed_column_is_named(folder: Path, number: int) -> None:
    """One value of one row of each view: its table, its key and its column, and nothing else."""
    wanted = []
    with opened(folder) as connection:
        for name, column in of_number(COLUMNS, number):
            registry, key = some_row(connection, name)
            change(connection, name, key, registry, column)
            rule = f"column {column} is not what the entries say"
            wanted.append((name, told(key), "VIEW_ROW_CHANGED", rule))
    assert sorted((d.table, d.row, d.reason, d.rule) for d in diverging(folder)) == sorted(wanted)


@pytest.mark.parametrize("number", range(most(KEYS)))
def test_changed_key_is_a_row_too_few_and_one_too_many(folder: Path, number: int) -> None:
    """A row of each view under another key is missed where it belongs and noticed where it lies."""
    wanted = []
    with opened(folder) as connection:
        for name, column in of_number(KEYS, number):
            registry, key = some_row(connection, name)
            new = change(connection, name, key, registry, column)
            wanted.append((name, told(key), "VIEW_ROW_MISSING"))
            wanted.append((name, told({**key, column: new}), "VIEW_ROW_UNKNOWN"))
    assert diverging_rows(folder) == sorted(wanted)


def test_deleted_row_is_missed(folder: Path) -> None:
    """A row of each view that is gone, in the middle of a view or the view's only one."""
    wanted = []
    with opened(folder) as connection:
        for name in VIEWS:
            registry, key = some_row(connection, name)
            where = " AND ".join(f"{k} = ?" for k in ("registry", *key))
            connection.execute(f'DELETE FROM "{name}" WHERE {where}', (registry, *key.values()))
            wanted.append((name, told(key), "VIEW_ROW_MISSING"))
    assert diverging_rows(folder) == sorted(wanted)


def test_inserted_row_is_noticed(folder: Path) -> None:
    """A copy of a row of each view under a key of its own, behind all the others."""
    wanted = []
    with opened(folder) as connection:
        for name, table in VIEWS.items():
            registry, key = some_row(connection, name)
            forged = {k: v + "~" if isinstance(v, str) else v + 1_000_000 for k, v in key.items()}
            columns = ", ".join(f'"{c}"' for c in table.columns.keys())
            values = ", ".join("?" if c in key else f'"{c}"' for c in table.columns.keys())
            where = " AND ".join(f"{k} = ?" for k in ("registry", *key))
            connection.execute(
                f'INSERT INTO "{name}" ({columns}) SELECT {values} FROM "{name}" WHERE {where}',
                (*forged.values(), registry, *key.values()),
            )
            wanted.append((name, told(forged), "VIEW_ROW_UNKNOWN"))
    assert diverging_rows(folder) == sorted(wanted)


def test_emptied_view_is_missed_row_by_row(folder: Path) -> None:
    """All rows of each view gone: as many diverge as there were, also where they fill more than a page."""
    wanted: dict[str, dict[str, int]] = {registry: {} for registry in REGISTRIES}
    with opened(folder) as connection:
        for name in VIEWS:
            registry, _ = some_row(connection, name)
            deleted = connection.execute(f'DELETE FROM "{name}" WHERE registry = ?', (registry,))
            wanted[registry][name] = deleted.rowcount
    reports = {registry: audited(folder, registry) for registry in REGISTRIES}
    assert {registry: report.diverging for registry, report in reports.items()} == wanted
    assert {d.reason for report in reports.values() for d in report.divergences} == {"VIEW_ROW_MISSING"}


@pytest.mark.parametrize("number", range(max(len(table.columns) for table in tables.VIEWS)))
@pytest.mark.parametrize("change", COLUMN_CHANGES)
def test_every_column_changed_in_every_way_is_located(folder: Path, change: str, number: int) -> None:
    """The column of this number, in every view at once: each view whose value could be changed names the row."""
    touched: dict[str, list[Row]] = {}
    with opened(folder) as connection:
        for name, table in VIEWS.items():
            if number < len(table.columns):
                column = table.columns.keys()[number]
                registry, rows = most_rows(connection, table)
                both = (registry, *(one for one in REGISTRIES if one != registry))
                at = len(rows) // 2
                if changed := change_column(connection, table, column, change, both, at):
                    touched[name] = changed
    assert_located(folder, touched)


@pytest.mark.parametrize("change", ROW_CHANGES)
def test_rows_changed_in_every_way_are_located(folder: Path, change: str) -> None:
    """Rows deleted, put in, cut off at the end or all gone, in every view at once."""
    with opened(folder) as connection:
        found = {name: most_rows(connection, table) for name, table in VIEWS.items()}
        touched = {
            name: change_rows(connection, VIEWS[name], change, registry, -1)
            for name, (registry, _) in found.items()
        }
    assert_located(folder, {name: rows for name, rows in touched.items() if rows})


def most_rows(connection: sqlite3.Connection, table: Table) -> tuple[str, list[Row]]:
    """The registry that has more rows in a view, and these."""
    found = {registry: rows_of(connection, table, registry) for registry in REGISTRIES}
    return max(found.items(), key=lambda item: len(item[1]))


def assert_located(folder: Path, touched: dict[str, list[Row]]) -> None:
    """In every view that was changed, each row of a known registry is named, and no view besides them is."""
    reports = {registry: audited(folder, registry) for registry in REGISTRIES}
    named = {(registry, d.table, d.row) for registry, report in reports.items() for d in report.divergences}
    for name, rows in touched.items():
        keys = [column.name for column in key_columns(VIEWS[name])]
        for row in rows[:NAMED_MAX]:
            if row["registry"] in REGISTRIES:
                assert (row["registry"], name, told({key: row[key] for key in keys})) in named, name
    assert {table for _, table, _ in named} == set(touched)


def test_value_of_another_kind_is_noticed(folder: Path) -> None:
    """SQLite takes a text where a number belongs, in a key too, and 2 for a truth: nothing of it passes."""
    with opened(folder) as connection:
        connection.execute("UPDATE unit_right SET live = 2 WHERE rowid = (SELECT min(rowid) FROM unit_right)")
        connection.execute("UPDATE event SET sequence = 'first' WHERE sequence = 1")
        connection.execute("UPDATE unit SET body = CAST(body AS TEXT) WHERE rowid = 1")
    found: dict[str, int] = {}
    for registry in REGISTRIES:
        for name, count in audited(folder, registry).diverging.items():
            found[name] = found.get(name, 0) + count
    assert found["unit_right"] == 1
    assert found["unit"] == 1
    assert found["event"] >= 2


def test_view_that_is_gone_is_named(folder: Path) -> None:
    """A dropped table diverges as a whole, and the others are still compared."""
    with opened(folder) as connection:
        connection.execute("DROP TABLE paper")
    report = audited(folder, "jiangyin")
    (found,) = report.divergences
    assert (found.table, found.reason) == ("paper", "VIEW_UNREADABLE")
    assert report.rows["event"]
    assert set(VIEWS) - set(report.digests) == {"paper"}


def test_effects_that_do_not_open_end_the_comparison(folder: Path) -> None:
    """Without an entry's effects nothing can be said of the views: the entry is named."""
    with opened(folder) as connection:
        connection.execute(
            "UPDATE ledger_part SET sealed = zeroblob(100) WHERE registry = 'jiangyin' AND entry_index = 7 "
            "AND name = 'effects'"
        )
    report = audited(folder, "jiangyin")
    (found,) = report.divergences
    assert (found.table, found.row, found.reason) == ("ledger_part", "7 effects", "EFFECTS_NOT_FOLDED")
    assert report.digests == {}


def test_auditor_cannot_write_and_makes_no_database(folder: Path) -> None:
    """The audit's connection is read only, and of a database that is not there it makes none."""
    engine = auditor_engine(load_config(folder / "diya.toml").storage.database)
    with pytest.raises(OperationalError, match="readonly"), engine.begin() as connection:
        connection.execute(text("DELETE FROM paper"))
    engine.dispose()
    absent = auditor_engine(f"sqlite:///{folder}/absent.db")
    with pytest.raises(OperationalError), absent.begin():
        pass
    absent.dispose()
    assert not (folder / "absent.db").exists()


@pytest.mark.asyncio(loop_scope="session")
async def test_serving_gateway_is_whole_while_it_books(own_folder: Path) -> None:
    """Entries come in between the pages of an audit: each page is compared with the fold of its own instant."""
    async with town_of(own_folder) as town:
        loop, before = asyncio.get_running_loop(), town.ledger_size()
        booked: list[int] = []

        def progress(done: int, total: int) -> None:
            if len(booked) < 6:
                booked.append(done)
                asyncio.run_coroutine_threadsafe(town.booked(), loop).result(30)

        report = await asyncio.to_thread(audited, own_folder, "jiangyin", progress)
        assert report.ok, report.divergences
        assert booked[0] == before
        assert report.entries == town.ledger_size() == before + 6


@pytest.mark.asyncio(loop_scope="session")
async def test_view_of_many_instants_has_no_digest(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view read in several snapshots while entries came in is compared, but its digest would be of no instant."""
    monkeypatch.setattr("gateway.storage.view_audit.PAGES_A_SNAPSHOT", 1)
    monkeypatch.setattr("gateway.storage.view_audit.ROWS_READ", 20)
    async with town_of(own_folder) as town:
        loop = asyncio.get_running_loop()
        await town.booked()
        size = town.ledger_size()
        rests = []

        def progress(done: int, total: int) -> None:
            if done >= size and len(rests) < 2:  # between the first two pages of the first view
                asyncio.run_coroutine_threadsafe(town.booked(), loop).result(30)
                rests.append(done)

        report = await asyncio.to_thread(audited, own_folder, "jiangyin", progress)
    assert report.ok, report.divergences
    assert report.rows["unit"] > 20
    assert "unit" not in report.digests
    assert report.digests["event"].entries == report.entries == size + 2
