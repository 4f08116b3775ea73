"""Who reads for a verification: this process, or others beside it.

Most of a verification is reading ranges of rows, each of which stands for itself. Such a piece of work is a task: a
picklable function of a connection and of the vault, or None. Results are taken in the order of the tasks, so that a
report does not depend on who was first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection

from ledger.vault import Vault

UNDER_WAY_MAX: Final = 8
"""Tasks begun whose results were not taken yet: what is in memory at once."""

T = TypeVar("T")
Task = Callable[[Connection, Vault | None], T]


class Readers(Protocol):
    """Does tasks, on connections to one database and with one vault."""

    def begin(self, task: Task[T]) -> Future[T]:
        """Begin `task`; its result or what it raised is in the future."""
        ...


class Here:
    """Does each task at once, in this process."""

    def __init__(
        self, connection: Callable[[], AbstractContextManager[Connection]], vault: Vault | None
    ) -> None:
        """Take what gives the connection for a task, such as `engine.begin`, and the vault."""
        self._connection = connection
        self._vault = vault

    def begin(self, task: Task[T]) -> Future[T]:
        """Do `task`; what it raises is raised here."""
        future: Future[T] = Future()
        with self._connection() as conn:
            future.set_result(task(conn, self._vault))
        return future


def in_order(readers: Readers, tasks: Iterable[Task[T]]) -> Iterator[T]:
    """Yield the results of `tasks`, a few of which are under way while the next are made."""
    under_way: deque[Future[T]] = deque()
    for task in tasks:
        if len(under_way) == UNDER_WAY_MAX:
            yield under_way.popleft().result()
        under_way.append(readers.begin(task))
    while under_way:
        yield under_way.popleft().result()
