"""Checking parts and keys against the entries that commit to them.

Without a vault: each commitment has its part, each part its commitment and its key (or an entry that
destroyed it), each key the part that used it first. With a vault each part is also opened, at its
place, and its salt and content are hashed and compared with the commitment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, null, select

from ledger.entry import SALT_BYTES, Entry
from ledger.erasure import ERASED_KEYS, Erasures, listed_keys
from ledger.errors import EntryInvalidError, SealBrokenError
from ledger.hashing import salted_hash
from ledger.report import Findings
from ledger.tables import ledger_erasure, ledger_key, ledger_part
from ledger.vault import PartKey, Vault, key_aad, part_aad

KEY_CAME_BACK: Final = "KEY_CAME_BACK"
ERASURE_CHANGED: Final = "ERASURE_CHANGED"
"""What a rebuild mends: the entry destroyed the key, and the record of erasures is made anew from the entries."""
_KEYS_CACHED_MAX: Final = 4096
_KEY_ROWS: Final = 1000

_JOINED: Final = ledger_part.outerjoin(
    ledger_key,
    (ledger_key.c.registry == ledger_part.c.registry) & (ledger_key.c.key_id == ledger_part.c.key_id),
)


def _select_parts(*, sealed: bool) -> Any:
    return (
        select(
            ledger_part.c.entry_index,
            ledger_part.c.name,
            ledger_part.c.key_id,
            ledger_part.c.sealed if sealed else null(),
            ledger_key.c.wrapped,
            ledger_key.c.created_index,
        )
        .select_from(_JOINED)
        .where(
            ledger_part.c.registry == bindparam("registry"),
            ledger_part.c.entry_index >= bindparam("start"),
            ledger_part.c.entry_index < bindparam("stop"),
        )
        .order_by(ledger_part.c.entry_index, ledger_part.c.name)
    )


_PARTS: Final = _select_parts(sealed=False)
_SEALED_PARTS: Final = _select_parts(sealed=True)
_STRAY_PARTS: Final = select(ledger_part.c.entry_index, ledger_part.c.name).where(
    ledger_part.c.registry == bindparam("registry"),
    (ledger_part.c.entry_index < 0) | (ledger_part.c.entry_index >= bindparam("size")),
    ledger_part.c.entry_index <= bindparam("last"),
)
_KEYS: Final = (
    select(ledger_key.c.key_id, ledger_key.c.wrapped, ledger_key.c.created_index)
    .where(
        ledger_key.c.registry == bindparam("registry"),
        ledger_key.c.key_id > bindparam("after"),
        ledger_key.c.created_index >= bindparam("first"),
    )
    .order_by(ledger_key.c.key_id)
    .limit(_KEY_ROWS)
)
_KEY_USES: Final = select(ledger_part.c.entry_index, ledger_part.c.key_id).where(
    ledger_part.c.registry == bindparam("registry"),
    ledger_part.c.entry_index.in_(bindparam("indexes", expanding=True)),
)
_RECORD: Final = select(ledger_erasure.c.key_id, ledger_erasure.c.entry_index).where(
    ledger_erasure.c.registry == bindparam("registry"),
    ledger_erasure.c.entry_index >= bindparam("first"),
    ledger_erasure.c.entry_index < bindparam("size"),
)


class PartAudit:
    """Checks the parts of one registry, range by range, then its keys."""

    def __init__(self, conn: Connection, registry: str, findings: Findings, vault: Vault | None) -> None:
        """Take where to read, where to note what diverges, and the vault or None."""
        self._conn = conn
        self._registry = registry
        self._findings = findings
        self._vault = vault
        self._open_key = lru_cache(maxsize=_KEYS_CACHED_MAX)(self._unwrap)
        self.parts = 0
        self._keyless: dict[str, tuple[str, list[int]]] = {}  # by key id: the first part, entries of all
        self._listed: dict[str, int] = {}  # keys that entries destroyed, as these say: by which
        self.parts_opened = 0
        self.erased: Counter[int] = Counter()
        self.keys = 0

    def check_parts(self, start: int, stop: int, entries: Iterable[Entry]) -> None:
        """Compare the parts of entries [start, stop) with the commitments of `entries`."""
        committed = {(entry.index, name): digest for entry in entries for name, digest in entry.commitments}
        statement = _PARTS if self._vault is None else _SEALED_PARTS
        # All at once: a row at a time costs more than opening it.
        rows = self._conn.execute(statement, {"registry": self._registry, "start": start, "stop": stop}).all()
        self.parts += len(rows)
        for index, name, key_id, sealed, wrapped, created_index in rows:
            digest = committed.pop((index, name), None)
            if digest is None:
                self._note(index, name, "PART_UNKNOWN", "no entry commits to it")
            elif wrapped is None:
                # Whether an entry destroyed it, a later one tells: see check_erased.
                self._keyless.setdefault(key_id, (f"entry {index}, part {name}", []))[1].append(index)
            elif created_index > index:
                self._findings.row(
                    "ledger_key", key_id, "KEY_CHANGED", f"entry {index} used it before it was made"
                )
            elif self._vault is not None:
                aad = key_aad(self._registry, key_id, created_index)
                self._check_content(index, name, (aad, wrapped, key_id), sealed, digest)
        for index, name in committed:
            self._note(index, name, "PART_MISSING", "its entry commits to it, its row is missing")

    def check_erased(self, first: int, size: int) -> None:
        """After all parts: which of those without a key were erased, and is `ledger_erasure` what entries say.

        first, size: entries before and from there on were not looked at; a gateway that serves may have erased more
        since, which its own list proves. Without a vault nobody can read what entries say of it: the table is believed
        where the entry that it names has such a list.
        """
        erasures = Erasures(self._conn, self._registry, self._vault)
        # A list that itself has no key explains the others: it comes first.
        lists_first = sorted(self._keyless.items(), key=lambda item: not item[1][0].endswith(ERASED_KEYS))
        for key_id, (where, entries) in lists_first:
            by = self._listed.get(key_id)
            if by is None:
                later = erasures.of(key_id)
                by = later if self._vault is None or (later is not None and later >= size) else None
            if by is None:
                rule = f"its row is missing, or {where} names another key"
                self._findings.row("ledger_key", key_id, "KEY_MISSING", rule)
            else:
                self.erased[by] += len(entries)
        if self._vault is not None:
            self._check_record(first, size)

    def _check_record(self, first: int, size: int) -> None:
        rows = self._conn.execute(_RECORD, {"registry": self._registry, "first": first, "size": size})
        stored: dict[str, int] = {row.key_id: row.entry_index for row in rows}
        for key_id in sorted(stored.keys() | self._listed.keys()):
            by = self._listed.get(key_id)
            if stored.get(key_id) != by:
                rule = (
                    "no entry destroyed it"
                    if by is None
                    else f"entry {by} destroyed it, which it does not say"
                )
                self._findings.row("ledger_erasure", key_id, ERASURE_CHANGED, rule)

    def check_strays(self, size: int, last: int) -> None:
        """Note parts before index 0 and those of entries [size, last], where no entry is."""
        rows = self._conn.execute(_STRAY_PARTS, {"registry": self._registry, "size": size, "last": last})
        for index, name in rows:
            self._note(index, name, "PART_UNKNOWN", "there is no entry of this index")

    def check_keys(self, first: int, step: Callable[[], None]) -> None:
        """Check that each key was made by the entry its row names, of those that say it was entry `first` or a later
        one; call `step` between pages.
        """
        after = ""
        while True:
            rows = self._conn.execute(
                _KEYS, {"registry": self._registry, "after": after, "first": first}
            ).all()
            if not rows:
                return
            self._check_key_rows(rows)
            after = rows[-1].key_id
            step()

    def _check_key_rows(self, rows: Sequence[Any]) -> None:
        uses = self._conn.execute(
            _KEY_USES,
            {"registry": self._registry, "indexes": [row.created_index for row in rows]},
        )
        used = {(index, key_id) for index, key_id in uses}
        for key_id, wrapped, created_index in rows:
            self.keys += 1
            if key_id in self._listed:
                rule = f"entry {self._listed[key_id]} destroyed it, and it is there"
                self._findings.row("ledger_key", key_id, KEY_CAME_BACK, rule)
            elif (created_index, key_id) not in used:
                self._findings.row(
                    "ledger_key",
                    key_id,
                    "KEY_CHANGED",
                    f"no part of entry {created_index} is sealed under it",
                )
            elif self._vault is not None:
                self._opens(key_aad(self._registry, key_id, created_index), wrapped, key_id)

    def _check_content(
        self, index: int, name: str, key: tuple[bytes, bytes, str], sealed: bytes, digest: bytes
    ) -> None:
        part_key = self._opens(*key)
        if part_key is None:
            return
        try:
            salted = part_key.open(part_aad(self._registry, index, name), sealed)
        except SealBrokenError:
            self._note(index, name, "PART_CHANGED", "it does not open at this place with its key")
            return
        self.parts_opened += 1
        if salted_hash(salted) != digest:
            self._note(index, name, "PART_CHANGED", "its content is not what the entry commits to")
        elif name == ERASED_KEYS:
            self._listed.update(dict.fromkeys(_keys_in(salted), index))

    def _opens(self, aad: bytes, wrapped: bytes, key_id: str) -> PartKey | None:
        try:
            return self._open_key(aad, wrapped)
        except SealBrokenError:
            self._findings.row("ledger_key", key_id, "KEY_CHANGED", "it does not unwrap under this key")
            return None

    def _unwrap(self, aad: bytes, wrapped: bytes) -> PartKey:
        if self._vault is None:
            message = "a key is unwrapped only with a vault"
            raise TypeError(message)
        return self._vault.part_key(self._vault.unwrap(wrapped, aad))

    def _note(self, index: int, name: str, reason: str, rule: str) -> None:
        self._findings.row("ledger_part", f"{index} {name}", reason, rule, of_entry=index)


def _keys_in(salted: bytes) -> list[str]:
    """The keys that a part `erased-keys` lists; none where it is no such list."""
    try:
        return listed_keys(salted[SALT_BYTES:])
    except EntryInvalidError:
        return []
