"""Reading and writing many rows at once, against a real SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table

from gateway.app import create_tables
from gateway.storage import tables as t
from gateway.storage.engine import writer_engine
from ledger.rows import KEYS_MAX, read_rows, write_rows


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty database with every table."""
    engine = writer_engine(f"sqlite:///{tmp_path}/rows.db")
    create_tables(engine)
    yield engine
    engine.dispose()


def _counter(name: str, value: int, registry: str = "r") -> dict[str, object]:
    return {"registry": registry, "name": name, "value": value}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_rows_read_by_any_number_of_keys_come_once(engine: Engine, count: int) -> None:
    """Padding the keys to a power of two repeats none of the rows."""
    with engine.begin() as connection:
        write_rows(connection, t.counter, [_counter(f"c{n}", n) for n in range(10)])
        write_rows(connection, t.counter, [_counter("c0", 99, registry="other")])
        found = read_rows(connection, t.counter, "r", ["name"], [(f"c{n}",) for n in range(count)])
    assert sorted(found) == [("r", f"c{n}", n) for n in range(count)]


def test_rows_by_two_columns_are_those_pairs(engine: Engine) -> None:
    """A key of two columns is a pair, not a cross product."""
    rows = [
        {"registry": "r", "unit_code": u, "right_id": i, "live": True}
        for u in ("u1", "u2")
        for i in ("a", "b")
    ]
    with engine.begin() as connection:
        write_rows(connection, t.unit_right, rows)
        keys = [("u1", "a"), ("u2", "b")]
        found = read_rows(connection, t.unit_right, "r", ["unit_code", "right_id"], keys)
    assert sorted(row[1:3] for row in found) == keys


@pytest.mark.parametrize("count", [1, 2, 500])
@pytest.mark.parametrize("table", [*t.VIEWS, t.file], ids=lambda table: table.name)
def test_rows_of_every_table_are_looked_up_by_their_whole_key(
    engine: Engine, table: Table, count: int
) -> None:
    """However many keys, and whatever else the registry has: SQLite goes through no table for them."""
    names = [c.name for c in table.primary_key.columns][1:]
    asked: list[str] = []
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        read_rows(connection, table, "r", names, [tuple(f"{n}" for _ in names) for n in range(count)])
        driver.set_trace_callback(None)
        (statement,) = asked
        plan = [row[3] for row in driver.execute("EXPLAIN QUERY PLAN " + statement)]
    (search,) = [step for step in plan if step.startswith("SEARCH")]
    assert all(f"{name}=?" in search for name in ("registry", *names)), plan


def test_rows_upserted_replace_and_insert(engine: Engine) -> None:
    """An upsert changes the row that is there and inserts the one that is not."""
    with engine.begin() as connection:
        write_rows(connection, t.counter, [_counter("c", 1)])
        write_rows(connection, t.counter, [_counter("c", 2), _counter("d", 3)], upsert=True)
        found = read_rows(connection, t.counter, "r", ["name"], [("c",), ("d",)])
    assert sorted(row[2] for row in found) == [2, 3]


def test_rows_of_no_key_are_none_and_those_of_very_many_are_asked_for_in_parts(engine: Engine) -> None:
    """No keys: no query. Beyond what one statement takes: several, and each row once."""
    many = [f"c{n}" for n in range(KEYS_MAX + 1)]
    with engine.begin() as connection:
        assert read_rows(connection, t.counter, "r", ["name"], []) == []
        write_rows(connection, t.counter, [_counter(name, 1) for name in many])
        found = read_rows(connection, t.counter, "r", ["name"], [(name,) for name in many])
    assert sorted(row[1] for row in found) == sorted(many)
