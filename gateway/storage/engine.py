"""Database engines with the settings that durability rests on.

SQLite (the embedded default): WAL, synchronous=FULL, set and read back; every write transaction is BEGIN IMMEDIATE;
one writer connection, which is also the only one that checkpoints the WAL. SQLite before 3.51.3 can corrupt a WAL
database when two connections write or checkpoint at once (fixed upstream in 3.51.3), so a second writer process is
refused by a lock file beside the database.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from gateway.storage.later import stand_in_for_missing

#: Pages after which the writer folds the WAL back (4 KiB each).
WAL_AUTOCHECKPOINT_PAGES = 4000

#: How much of a database an auditor's pages come out of the page cache of the system, uncopied; beyond, they are read.
AUDITOR_MMAP_BYTES = 2**36

#: Memory of a scratch database before it goes to a temporary file.
SCRATCH_CACHE_KIB = 32 * 1024


class SecondWriter(Exception):
    """Another process holds the writer's lock of this database."""


class NotDurable(Exception):
    """The database did not take a setting that durability needs."""


class WriterLock:
    """An exclusive lock on `<database>.writer`; held for the life of the writing process."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".writer")
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise SecondWriter at once, naming who holds it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            message = f"process {holder or '?'} already writes to this database; stop it first ({self._path})"
            raise SecondWriter(message) from error
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def database_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for a server's database."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def file_watch(url: str) -> Callable[[], bool]:
    """A function that tells whether the database is another file by now than it is at this call.

    A process goes on writing to a file that somebody has renamed another one over, and all of it would be lost.
    """
    path = database_file(url)
    if path is None:
        return bool

    def identity() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    opened = identity()
    return lambda: identity() != opened


def writer_engine(url: str) -> Engine:
    """The engine of the one writing thread. SQLite: a single connection, FULL, the only checkpointer."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=4)
    engine = create_engine(
        url, poolclass=StaticPool, connect_args={"check_same_thread": False, "cached_statements": 512}
    )
    _set_pragmas(engine, autocheckpoint=WAL_AUTOCHECKPOINT_PAGES)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A deferred read-then-write fails at once with SQLITE_BUSY_SNAPSHOT; take the lock first.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reader_engine(url: str) -> Engine:
    """Engine for snapshots: several connections that never write and never checkpoint."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=8, max_overflow=8)
    engine = create_engine(url, pool_size=4, max_overflow=4, connect_args={"check_same_thread": False})
    _set_pragmas(engine, autocheckpoint=0, read_only=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def auditor_engine(url: str) -> Engine:
    """The engine of whoever looks from outside, beside a serving gateway or without one.

    SQLite: opened read only, so that it never creates a database, and never checkpoints when it is the last to leave.
    Tables that a later version added are empty in it where a start has not made them yet.
    """
    path = database_file(url)
    if path is None:
        engine = create_engine(url)
        stand_in_for_missing(engine)
        return engine
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5
        ),
        poolclass=StaticPool,
    )
    stand_in_for_missing(engine)

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA mmap_size={AUDITOR_MMAP_BYTES}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def scratch_engine() -> Engine:
    """A private database that nobody else can open and nothing is left of: SQLite keeps it in memory while small."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect("", isolation_level=None, check_same_thread=False),
        poolclass=StaticPool,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=OFF")
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.execute(f"PRAGMA cache_size=-{SCRATCH_CACHE_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _set_pragmas(engine: Engine, *, autocheckpoint: int, read_only: bool = False) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            mode = str((cursor.fetchone() or [""])[0])
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA synchronous")
            level = int((cursor.fetchone() or [-1])[0])
            if mode != "wal" or level != 2:
                raise NotDurable(
                    f"SQLite answered journal_mode={mode}, synchronous={level}; wanted wal and 2 (FULL)"
                )
            cursor.execute(f"PRAGMA wal_autocheckpoint={autocheckpoint}")
            cursor.execute("PRAGMA busy_timeout=5000")
            cursor.execute("PRAGMA foreign_keys=ON")
            if read_only:
                cursor.execute("PRAGMA query_only=ON")
        finally:
            cursor.close()
