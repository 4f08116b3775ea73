"""Appending entries and reading them back, in the caller's transaction.

The caller locks the head (`Ledger.head`), appends a batch, and commits. Nothing here begins,
commits or retries. A batch is one pass in Python and one executemany a table. Parts are sealed
under keys that are made on first use, in the same transaction.

No key outlives a rollback: before every append the wrapped keys are read from the database, and the
memory of unwrapped keys is looked up by the wrapped bytes. A key whose transaction rolled back has
no row, so it is never found again and another one is made.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from ledger.entry import (
    INDEX_MAX,
    NO_PREVIOUS,
    SALT_BYTES,
    check_name,
    check_origin,
    entry_prefix,
    format_time,
    from_microseconds,
    join_entry,
    kind_line,
    part_line_start,
    to_microseconds,
)
from ledger.erasure import (
    ERASED_KEYS,
    check_not_erased,
    destroy_again,
    destroy_keys,
    erased_by,
    listed_keys,
    record_again,
)
from ledger.errors import (
    EntryInvalidError,
    EntryNotFoundError,
    EntryTooLargeError,
    HeadMovedError,
    PartErasedError,
    PartKeyMissingError,
    PartNotFoundError,
    RangeError,
    RegistryExistsError,
    RegistryUnknownError,
    TimeWentBackError,
)
from ledger.hashing import EMPTY_ROOT, leaf_hash, salted_hash
from ledger.records import (
    Appended,
    EntryDraft,
    Head,
    PartDraft,
    StoredEntry,
    StoredPart,
    check_range,
    parse_head,
    read_entries,
)
from ledger.rows import read_rows, stream_rows, write_rows
from ledger.tables import (
    REGISTRY_CHARACTERS_MAX,
    ledger_entry,
    ledger_head,
    ledger_key,
    ledger_part,
    ledger_published,
)
from ledger.tree import Frontier
from ledger.vault import PartCipher, PartKey, Vault, key_aad, part_aad

__all__ = [
    "PART_BYTES_MAX",
    "REGISTRY_KEY",
    "Appended",
    "EntryDraft",
    "Head",
    "Ledger",
    "PartDraft",
    "StoredEntry",
    "StoredPart",
]

REGISTRY_KEY: Final = "registry"
"""Key of the parts that are never erased: effects and certificates."""
PART_BYTES_MAX: Final = 16 * 1024 * 1024
_KEYS_CACHED_MAX: Final = 4096


class _Keys(NamedTuple):
    """The keys of a batch by id, and the rows of those that the batch made."""

    open: dict[str, PartKey]
    rows: list[dict[str, Any]]


_SELECT_HEAD: Final = select(ledger_head).where(ledger_head.c.registry == bindparam("registry"))
_LOCK_HEAD: Final = _SELECT_HEAD.with_for_update()
_MOVE_HEAD: Final = (
    update(ledger_head)
    .where(
        ledger_head.c.registry == bindparam("at_registry"),
        ledger_head.c.size == bindparam("at_size"),
        ledger_head.c.head_hash == bindparam("at_hash"),
    )
    .values(
        size=bindparam("size"),
        head_hash=bindparam("head_hash"),
        head_time=bindparam("head_time"),
        frontier=bindparam("frontier"),
    )
)
_SELECT_PARTS: Final = (
    select(
        ledger_part.c.entry_index,
        ledger_part.c.name,
        ledger_part.c.key_id,
        ledger_part.c.sealed,
        ledger_key.c.wrapped,
        ledger_key.c.created_index,
    )
    .select_from(
        ledger_part.outerjoin(
            ledger_key,
            (ledger_key.c.registry == ledger_part.c.registry) & (ledger_key.c.key_id == ledger_part.c.key_id),
        )
    )
    .where(
        ledger_part.c.registry == bindparam("registry"),
        ledger_part.c.entry_index >= bindparam("start"),
        ledger_part.c.entry_index < bindparam("stop"),
    )
    .order_by(ledger_part.c.entry_index, ledger_part.c.name)
)
_WRAPPED: Final = 4
"""Column of `_SELECT_PARTS`."""
_NAMES: Final = ("name_1", "name_2", "name_3")


@lru_cache(maxsize=len(_NAMES))
def _select_named(count: int) -> Select[Any]:
    return _SELECT_PARTS.where(or_(*[ledger_part.c.name == bindparam(name) for name in _NAMES[:count]]))


class Ledger:
    """Appends to and reads from the ledgers of all registries of one database.

    Holds no connection and no transaction; safe to share between threads.
    """

    def __init__(self, vault: Vault, ciphers: Mapping[str, PartCipher] | None = None) -> None:
        """Take the `vault` whose key-encryption key wraps every part key.

        ciphers: what new part keys of a registry are for, AES-256-GCM where it is not named. Keys that are
        there stay what they are.
        """
        self.vault = vault
        self._ciphers = ciphers or {}
        self._open_key = lru_cache(maxsize=_KEYS_CACHED_MAX)(self._unwrap)
        self._checked: dict[str, bytes] = {}

    def create(self, conn: Connection, registry: str, origin: str) -> Head:
        """Begin the empty ledger of `registry`, whose checkpoints name `origin`.

        Raises RegistryExistsError, or EntryInvalidError for names that cannot be written.
        """
        check_name("registry", registry)
        if len(registry) > REGISTRY_CHARACTERS_MAX:
            raise EntryInvalidError("registry", f"has over {REGISTRY_CHARACTERS_MAX} characters")
        check_origin(origin)
        if conn.execute(_SELECT_HEAD, {"registry": registry}).first() is not None:
            raise RegistryExistsError(registry)
        head = Head(registry, origin, 0, NO_PREVIOUS, from_microseconds(0), Frontier())
        try:
            conn.execute(
                insert(ledger_head),
                {
                    "registry": registry,
                    "origin": origin,
                    "size": 0,
                    "head_hash": head.head_hash,
                    "head_time": 0,
                    "frontier": head.frontier.encode(),
                    "key_check": self.vault.check_value(registry),
                },
            )
        except IntegrityError as error:
            raise RegistryExistsError(registry) from error
        conn.execute(insert(ledger_published), {"registry": registry, "size": 0, "root": EMPTY_ROOT})
        return head

    def subject(self, registry: str, kind: str, value: str) -> str:
        """A keyed hash (hex) of `value`, to be found again by; see `Vault.subject`."""
        return self.vault.subject(registry, kind, value)

    def check_key(self, conn: Connection, registry: str) -> None:
        """Raise WrongKeyError unless the vault has the key this ledger was created with."""
        self.head(conn, registry, for_update=False)

    def head(self, conn: Connection, registry: str, *, for_update: bool = True) -> Head:
        """Return the end of the chain; with `for_update`, after locking it.

        On SQLite the lock is the caller's BEGIN IMMEDIATE, on PostgreSQL the row.
        Raises RegistryUnknownError, WrongKeyError, LedgerDamagedError.
        """
        statement = _LOCK_HEAD if for_update else _SELECT_HEAD
        row = conn.execute(statement, {"registry": registry}).first()
        if row is None:
            raise RegistryUnknownError(registry)
        if self._checked.get(registry) != row.key_check:
            self.vault.verify_check_value(registry, row.key_check)
            self._checked[registry] = row.key_check
        return parse_head(row)

    def append(
        self, conn: Connection, head: Head, drafts: Sequence[EntryDraft], time: datetime
    ) -> tuple[list[Appended], Head]:
        """Append `drafts` in order, all at `time`; return where they went and the new head.

        `head` was read under the lock in this transaction, or returned by an append in it. `time`
        is aware; not before the head's. A part `erased-keys` destroys the keys that it lists. One
        transaction, the caller's: on any error it must roll back. Raises TimeWentBackError,
        HeadMovedError, EntryInvalidError, EntryTooLargeError, KeyErasedError (a part under a key
        that was destroyed), SealBrokenError (a stored key was damaged).
        """
        if not drafts:
            return [], head
        time_text = format_time(time)
        if time < head.head_time:
            raise TimeWentBackError(head.registry, format_time(head.head_time), time_text)
        if head.size + len(drafts) > INDEX_MAX:
            raise RangeError("size", head.size + len(drafts), 0, INDEX_MAX)
        keys = self._read_keys(conn, head.registry, {part.key_id for draft in drafts for part in draft.parts})
        appended, entries, parts = self._encode(head, drafts, time_text.encode() + b"\n", keys)
        new_head = Head(
            registry=head.registry,
            origin=head.origin,
            size=head.size + len(drafts),
            head_hash=appended[-1].entry_hash,
            head_time=from_microseconds(to_microseconds(time)),
            frontier=head.frontier.extend(place.entry_hash for place in appended),
        )
        self._move_head(conn, head, new_head)
        write_rows(conn, ledger_entry, entries)
        if keys.rows:
            write_rows(conn, ledger_key, keys.rows)
        if parts:
            write_rows(conn, ledger_part, parts)
        for place, draft in zip(appended, drafts, strict=True):
            for part in draft.parts:
                if part.name == ERASED_KEYS:
                    destroy_keys(conn, head.registry, place.index, _erasable(part.content))
        return appended, new_head

    def destroy_again(self, conn: Connection, registry: str) -> int:
        """Destroy erased keys that came back, as from a backup; how many. See `ledger.erasure`."""
        return destroy_again(conn, registry, self.vault)

    def record_erasures(self, conn: Connection, registry: str) -> None:
        """Make the record of erased keys anew from the entries. Raises SealBrokenError."""
        record_again(conn, registry, self.vault)

    def read_entry(self, conn: Connection, registry: str, index: int) -> StoredEntry:
        """Return the entry at `index`. Raises EntryNotFoundError."""
        if 0 <= index < INDEX_MAX:
            found = self.read_entries(conn, registry, index, 1)
            if found:
                return found[0]
        raise EntryNotFoundError(registry, index)

    def read_entries(self, conn: Connection, registry: str, start: int, count: int) -> list[StoredEntry]:
        """Return at most `count` (1..10,000) entries from index `start` on, in order."""
        return read_entries(conn, registry, start, count)

    def read_part(self, conn: Connection, registry: str, index: int, name: str) -> tuple[bytes, bytes]:
        """Return (salt, content) of a part, opened.

        Raises PartNotFoundError, PartErasedError, PartKeyMissingError (its key is lost, or it was
        erased), SealBrokenError (changed).
        """
        if not 0 <= index < INDEX_MAX:
            raise PartNotFoundError(registry, index, name)
        statement = _SELECT_PARTS.where(ledger_part.c.name == name)
        row = conn.execute(statement, {"registry": registry, "start": index, "stop": index + 1}).first()
        if row is None:
            raise PartNotFoundError(registry, index, name)
        if row.wrapped is None:
            by = erased_by(conn, registry, [row.key_id])
            if by:
                raise PartErasedError(registry, index, name, row.key_id, by[row.key_id])
        part = self._open_part(registry, row)
        return part.salt, part.content

    def read_parts(
        self,
        conn: Connection,
        registry: str,
        start: int,
        count: int,
        *,
        key_id: str | None = None,
    ) -> list[StoredPart]:
        """Return the opened parts of `count` (1..10,000) entries from `start` on, by index, name.

        key_id: only parts sealed under this key; `REGISTRY_KEY` gives all that views are rebuilt
        from. Raises PartKeyMissingError, SealBrokenError.
        """
        check_range(start, count)
        statement = _SELECT_PARTS
        if key_id is not None:
            statement = statement.where(ledger_part.c.key_id == key_id)
        rows = conn.execute(statement, {"registry": registry, "start": start, "stop": start + count})
        return [self._open_part(registry, row) for row in rows]

    def iterate_part(
        self,
        conn: Connection,
        registry: str,
        name: str,
        start: int,
        stop: int,
        *,
        skip_lost: bool = False,
    ) -> Iterator[StoredPart]:
        """Yield part `name` of the entries [start, stop) in order, each opened when it is asked for.

        Entries without it are left out; with `skip_lost` those too whose key is not there.
        Raises PartKeyMissingError, SealBrokenError.
        """
        return self.iterate_parts(conn, registry, [name], start, stop, skip_lost=skip_lost)

    def iterate_parts(
        self,
        conn: Connection,
        registry: str,
        names: Sequence[str],
        start: int,
        stop: int,
        *,
        skip_lost: bool = False,
    ) -> Iterator[StoredPart]:
        """Yield the parts of these names, by index and name; see `iterate_part`."""
        statement = _select_named(len(names))
        values = {"registry": registry, "start": start, "stop": stop}
        for row in stream_rows(conn, statement, values | dict(zip(_NAMES, names, strict=False))):
            if not skip_lost or row[_WRAPPED] is not None:
                yield self._open_part(registry, row)

    def _open_part(self, registry: str, row: Any) -> StoredPart:
        index, name, key_id, sealed, wrapped, created_index = row
        if wrapped is None:
            raise PartKeyMissingError(registry, index, name, key_id)
        key = self._open_key(registry, key_id, created_index, wrapped)
        salted = key.open(part_aad(registry, index, name), sealed)
        return StoredPart(index, name, salted[:SALT_BYTES], salted[SALT_BYTES:])

    def _encode(
        self, head: Head, drafts: Sequence[EntryDraft], time_line: bytes, keys: _Keys
    ) -> tuple[list[Appended], list[dict[str, Any]], list[dict[str, Any]]]:
        """Return where each draft goes, the rows of entries and the rows of parts."""
        registry = head.registry
        prefix = entry_prefix(head.origin)
        index, previous = head.size, head.head_hash
        appended: list[Appended] = []
        entries: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        for kind, drafted in drafts:
            rest = time_line + kind_line(kind)
            names = set()
            for name, content, key_id, salt in drafted:
                if len(salt) != SALT_BYTES:
                    raise EntryInvalidError(f"salt of part {name}", f"has not {SALT_BYTES} bytes")
                if len(content) > PART_BYTES_MAX:
                    raise EntryTooLargeError(f"part {name}", len(content), PART_BYTES_MAX)
                salted = salt + content
                rest += part_line_start(name) + b2a_base64(salted_hash(salted))
                names.add(name)
                key = keys.open.get(key_id)
                if key is None:
                    key = self._make_key(registry, key_id, index, keys)
                sealed = key.seal(part_aad(registry, index, name), salted)
                parts.append(
                    {
                        "registry": registry,
                        "entry_index": index,
                        "name": name,
                        "key_id": key_id,
                        "sealed": sealed,
                    }
                )
            if len(names) != len(drafted):
                raise EntryInvalidError("part names", "must differ from each other")
            data = join_entry(prefix, index, previous, rest)
            previous = leaf_hash(data)
            appended.append(Appended(index, previous, data))
            entries.append({"registry": registry, "entry_index": index, "entry": data})
            index += 1
        return appended, entries, parts

    def _read_keys(self, conn: Connection, registry: str, key_ids: set[str]) -> _Keys:
        keys = _Keys({}, [])
        asked = [(key_id,) for key_id in key_ids]
        for _, key_id, wrapped, created_index in read_rows(conn, ledger_key, registry, ["key_id"], asked):
            keys.open[key_id] = self._open_key(registry, key_id, created_index, wrapped)
        if key_ids - keys.open.keys():
            check_not_erased(conn, registry, key_ids - keys.open.keys())
        return keys

    def _make_key(self, registry: str, key_id: str, index: int, keys: _Keys) -> PartKey:
        check_name("key id", key_id)
        key = self.vault.new_key(self._ciphers.get(registry, PartCipher.AES_256_GCM))
        keys.rows.append(
            {
                "registry": registry,
                "key_id": key_id,
                "wrapped": self.vault.wrap(key, key_aad(registry, key_id, index)),
                "created_index": index,
            }
        )
        part_key = self.vault.part_key(key)
        keys.open[key_id] = part_key
        return part_key

    def _unwrap(self, registry: str, key_id: str, created_index: int, wrapped: bytes) -> PartKey:
        return self.vault.part_key(self.vault.unwrap(wrapped, key_aad(registry, key_id, created_index)))

    def _move_head(self, conn: Connection, head: Head, new_head: Head) -> None:
        moved = conn.execute(
            _MOVE_HEAD,
            {
                "at_registry": head.registry,
                "at_size": head.size,
                "at_hash": head.head_hash,
                "size": new_head.size,
                "head_hash": new_head.head_hash,
                "head_time": to_microseconds(new_head.head_time),
                "frontier": new_head.frontier.encode(),
            },
        )
        if moved.rowcount != 1:
            raise HeadMovedError(head.registry, head.size)


def _erasable(content: bytes) -> list[str]:
    """The keys that a part lists, none of them the registry's: effects and certificates are never erased."""
    key_ids = listed_keys(content)
    if REGISTRY_KEY in key_ids:
        raise EntryInvalidError(ERASED_KEYS, f"lists the key {REGISTRY_KEY}, which is never destroyed")
    return key_ids
