"""Processes that read for `diya ledger verify` beside the one that walks the chain (see `ledger.readers`).

Each has a read-only connection of its own, and a transaction for each task.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from sqlalchemy import Engine

from gateway.storage.engine import auditor_engine
from ledger.readers import Readers, T, Task
from ledger.vault import Vault

_here: list[tuple[Engine, Vault]] = []  # one, in a process that reads


@contextmanager
def audit_readers(url: str, secret: bytes, processes: int) -> Iterator[Readers]:
    """Yield so many processes. url: of the database. secret: of its vault.

    One that dies ends the verification with BrokenProcessPool.
    """
    # Fresh processes, not copies of this one, which may have threads and an open database.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (url, secret)) as pool:
        yield _Readers(pool)


class _Readers:
    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def begin(self, task: Task[T]) -> Future[T]:
        return self._pool.submit(_run, task)


def _begin(url: str, secret: bytes) -> None:
    _here.append((auditor_engine(url), Vault(secret)))


def _run(task: Task[T]) -> T:
    [(engine, vault)] = _here
    with engine.begin() as connection:
        return task(connection, vault)
