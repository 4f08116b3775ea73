"""Erasing parts: destroying the key that seals them, by an entry that says so.

The entry carries a part `erased-keys` that lists the keys; `Ledger.append` destroys them in the transaction that
appends it, so that key and entry never part. What the parts committed to stays proven to have been there; what they
said is gone for everybody, us included. `ledger_erasure` only says where to look: it is made again from the entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from ledger.entry import SALT_BYTES
from ledger.errors import EntryInvalidError, KeyErasedError, SealBrokenError
from ledger.rows import read_rows, write_rows
from ledger.tables import ledger_erasure, ledger_key, ledger_part
from ledger.vault import Vault, key_aad, part_aad

ERASED_KEYS: Final = "erased-keys"
"""Name of the part that lists the keys that its entry destroyed: one key id a line."""

_LISTS_CACHED_MAX: Final = 1024

_DESTROY: Final = delete(ledger_key).where(
    ledger_key.c.registry == bindparam("of_registry"), ledger_key.c.key_id == bindparam("destroyed")
)
_CAME_BACK: Final = select(ledger_key.c.key_id).where(
    ledger_key.c.registry == bindparam("registry"),
    ledger_key.c.key_id.in_(
        select(ledger_erasure.c.key_id).where(ledger_erasure.c.registry == bindparam("registry"))
    ),
)
_ERASING: Final = (
    select(ledger_part.c.entry_index)
    .where(ledger_part.c.registry == bindparam("registry"), ledger_part.c.name == ERASED_KEYS)
    .order_by(ledger_part.c.entry_index)
)

_PARTS_RECORDED: Final = (
    select(ledger_part.c.entry_index, ledger_part.c.name, ledger_erasure.c.entry_index)
    .join_from(
        ledger_part,
        ledger_erasure,
        (ledger_erasure.c.registry == ledger_part.c.registry)
        & (ledger_erasure.c.key_id == ledger_part.c.key_id),
    )
    .where(
        ledger_part.c.registry == bindparam("registry"),
        ledger_part.c.entry_index >= bindparam("start"),
        ledger_part.c.entry_index < bindparam("stop"),
    )
)
_LIST: Final = select(
    ledger_part.c.key_id, ledger_part.c.sealed, ledger_key.c.wrapped, ledger_key.c.created_index
).where(
    ledger_part.c.registry == bindparam("registry"),
    ledger_part.c.entry_index == bindparam("index"),
    ledger_part.c.name == ERASED_KEYS,
    ledger_key.c.registry == ledger_part.c.registry,
    ledger_key.c.key_id == ledger_part.c.key_id,
)


def list_keys(key_ids: Iterable[str]) -> bytes:
    """The content of a part `erased-keys`."""
    return "".join(f"{key_id}\n" for key_id in key_ids).encode()


def listed_keys(content: bytes) -> list[str]:
    """The keys that a part `erased-keys` lists. Raises EntryInvalidError."""
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise EntryInvalidError(ERASED_KEYS, "is not ASCII") from error
    if lines.pop() or not all(lines):
        raise EntryInvalidError(ERASED_KEYS, "is not one key id a line")
    return lines


def erased_by(conn: Connection, registry: str, key_ids: Iterable[str]) -> dict[str, int]:
    """Of those of `key_ids` that were destroyed: the index of the entry that did it. Needs no vault.

    A part whose key is among these is not lost: it is "erased by entry N". `Erasures` proves it.
    """
    asked = [(key_id,) for key_id in key_ids]
    return {row[1]: row[2] for row in read_rows(conn, ledger_erasure, registry, ["key_id"], asked)}


def erased_parts(conn: Connection, registry: str, start: int, stop: int) -> dict[tuple[int, str], int]:
    """Of the parts of entries [start, stop) those that were erased, by (index, name): by which entry."""
    rows = conn.execute(_PARTS_RECORDED, {"registry": registry, "start": start, "stop": stop})
    return {(index, name): by for index, name, by in rows}


def check_not_erased(conn: Connection, registry: str, key_ids: Iterable[str]) -> None:
    """Raise KeyErasedError for a key that was destroyed: nothing is ever sealed under its name again."""
    for key_id, index in erased_by(conn, registry, key_ids).items():
        raise KeyErasedError(registry, key_id, index)


def destroy_keys(conn: Connection, registry: str, index: int, key_ids: list[str]) -> None:
    """Destroy keys by entry `index`, which lists them; in the caller's transaction."""
    rows = [{"registry": registry, "key_id": key_id, "entry_index": index} for key_id in key_ids]
    write_rows(conn, ledger_erasure, rows, upsert=True)
    _destroy(conn, registry, key_ids)


def destroy_again(conn: Connection, registry: str, vault: Vault) -> int:
    """Destroy keys that came back, as with a table restored from a backup; how many there were.

    Only those that the entry lists: nobody destroys evidence by a row beside the ledger.
    """
    erasures = Erasures(conn, registry, vault)
    back = conn.execute(_CAME_BACK, {"registry": registry}).scalars().all()
    listed = [key_id for key_id in back if erasures.of(key_id) is not None]
    if listed:
        _destroy(conn, registry, listed)
    return len(listed)


def record_again(conn: Connection, registry: str, vault: Vault) -> None:
    """Make `ledger_erasure` anew from the entries. Reads the name of every part. Raises SealBrokenError."""
    conn.execute(delete(ledger_erasure).where(ledger_erasure.c.registry == registry))
    for index in conn.execute(_ERASING, {"registry": registry}).scalars().all():
        listed = _read_list(conn, registry, index, vault)
        rows = [{"registry": registry, "key_id": k, "entry_index": index} for k in listed]
        write_rows(conn, ledger_erasure, rows, upsert=True)


class Erasures:
    """For an auditor: by which entry a key was destroyed, proven by the list that the entry commits to.

    The list is a part like any other: that it is what the entry commits to is checked where parts are.
    """

    def __init__(self, conn: Connection, registry: str, vault: Vault | None) -> None:
        """Without a vault the list cannot be read, and an entry that has one is believed."""
        self._conn = conn
        self._registry = registry
        self._vault = vault
        self._lists = lru_cache(maxsize=_LISTS_CACHED_MAX)(self._list)

    def of(self, key_id: str) -> int | None:
        """The index of the entry that destroyed the key; None when none did: the key is there, or was lost."""
        index = erased_by(self._conn, self._registry, [key_id]).get(key_id)
        if index is None:
            return None
        listed = self._lists(index)
        return index if listed is None or key_id in listed else None

    def _list(self, index: int) -> frozenset[str] | None:
        """What an entry lists; None when that cannot be read for want of a vault."""
        if self._vault is None:
            place = {"registry": self._registry, "index": index}
            return frozenset() if self._conn.execute(_LIST, place).first() is None else None
        try:
            return frozenset(_read_list(self._conn, self._registry, index, self._vault))
        except (SealBrokenError, EntryInvalidError):
            return frozenset()


def _read_list(conn: Connection, registry: str, index: int, vault: Vault) -> list[str]:
    row = conn.execute(_LIST, {"registry": registry, "index": index}).first()
    if row is None:
        return []
    key_id, sealed, wrapped, created_index = row
    key = vault.unwrap(wrapped, key_aad(registry, key_id, created_index))
    return listed_keys(vault.open(key, part_aad(registry, index, ERASED_KEYS), sealed)[SALT_BYTES:])


def _destroy(conn: Connection, registry: str, key_ids: list[str]) -> None:
    with leaving_nothing(conn):
        conn.execute(_DESTROY, [{"of_registry": registry, "destroyed": key_id} for key_id in key_ids])


@contextmanager
def leaving_nothing(conn: Connection) -> Iterator[None]:
    """Within the block what is deleted or replaced is overwritten: on SQLite it would lie on in a free page."""
    if conn.dialect.name != "sqlite":
        yield
        return
    before = conn.exec_driver_sql("PRAGMA secure_delete").scalar()  # Debian's default is on
    conn.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        conn.exec_driver_sql(f"PRAGMA secure_delete={before}")
