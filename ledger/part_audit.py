"""Checking parts and keys against the entries that commit to them.

Without a vault: each commitment has its part, each part its commitment and its key (or an entry that
destroyed it), each key the part that used it first. With a vault each part is also opened, at its
place, and its salt and content are hashed and compared with the commitment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, null, select

from ledger.entry import SALT_BYTES, parse_commitments
from ledger.erasure import ERASED_KEYS, Erasures, listed_keys
from ledger.errors import EntryInvalidError, LedgerError, SealBrokenError
from ledger.hashing import salted_hash
from ledger.report import Findings
from ledger.rows import read_rows, stream_rows
from ledger.tables import ledger_erasure, ledger_key, ledger_part
from ledger.vault import PartKey, Vault, key_aad, part_aad

KEY_CAME_BACK: Final = "KEY_CAME_BACK"
ERASURE_CHANGED: Final = "ERASURE_CHANGED"
"""What a rebuild mends: the entry destroyed the key, and the record of erasures is made anew from the entries."""
_KEY_ROWS: Final = 1000

_JOINED: Final = ledger_part.outerjoin(
    ledger_key,
    (ledger_key.c.registry == ledger_part.c.registry) & (ledger_key.c.key_id == ledger_part.c.key_id),
)


def _select_parts(*, sealed: bool) -> Select[Any]:
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
_KEYS_MADE: Final = (
    select(func.count())
    .select_from(ledger_key)
    .where(
        ledger_key.c.registry == bindparam("registry"),
        ledger_key.c.created_index >= bindparam("first"),
        ledger_key.c.created_index < bindparam("size"),
    )
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


@dataclass(slots=True)
class PartsSeen:
    """What came of the parts of some entries; it travels between processes.

    parts, opened: rows, and those of them that were decrypted. keys_made: keys that a part of the entry which made them
    is sealed under. keyless: by id of a key without a row, the first part under it and the entries of all. listed: keys
    that an entry destroyed, as it says: by which. findings: what diverges.
    """

    parts: int = 0
    opened: int = 0
    keys_made: int = 0
    keyless: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


def read_parts(
    conn: Connection,
    vault: Vault | None,
    *,
    registry: str,
    start: int,
    rows: Sequence[tuple[int, bytes]],
) -> PartsSeen:
    """Look at the parts from entry `start` up to the last of `rows`, the entries there (index, bytes)."""
    seen = PartsSeen()
    committed: dict[tuple[int, str], bytes] = {}
    for index, data in rows:
        try:
            said, names, digests = parse_commitments(data)
        except LedgerError as error:
            seen.findings.entry(index, "ENTRY_CHANGED", str(error))
            continue
        if said == index:
            committed.update(zip(zip(repeat(index), names), digests, strict=False))
    place = {"registry": registry, "start": start, "stop": rows[-1][0] + 1}
    keys: dict[str, PartKey | None] = {}
    for index, name, key_id, sealed, wrapped, created_index in stream_rows(
        conn, _PARTS if vault is None else _SEALED_PARTS, place
    ):
        seen.parts += 1
        digest = committed.pop((index, name), None)
        if digest is None:
            _note(seen.findings, index, name, "PART_UNKNOWN", "no entry commits to it")
        elif wrapped is None:
            # Whether an entry destroyed it, a later one tells: see PartAudit.check_erased.
            seen.keyless.setdefault(key_id, (f"entry {index}, part {name}", []))[1].append(index)
        elif created_index > index:
            rule = f"entry {index} used it before it was made"
            seen.findings.row("ledger_key", key_id, "KEY_CHANGED", rule)
        else:
            if key_id not in keys:  # once a range: all rows of one statement say the same of a key
                key_row = (key_id, wrapped, created_index)
                keys[key_id] = None if vault is None else _open_key(vault, registry, key_row, seen.findings)
                seen.keys_made += created_index == index
            key = keys[key_id]
            if key is not None:
                _check_content(key, part_aad(registry, index, name), sealed, (index, name, digest), seen)
    for index, name in committed:
        _note(seen.findings, index, name, "PART_MISSING", "its entry commits to it, its row is missing")
    return seen


def _check_content(
    key: PartKey, aad: bytes, sealed: bytes, commitment: tuple[int, str, bytes], seen: PartsSeen
) -> None:
    index, name, digest = commitment
    try:
        salted = key.open(aad, sealed)
    except SealBrokenError:
        _note(seen.findings, index, name, "PART_CHANGED", "it does not open at this place with its key")
        return
    seen.opened += 1
    if salted_hash(salted) != digest:
        _note(seen.findings, index, name, "PART_CHANGED", "its content is not what the entry commits to")
    elif name == ERASED_KEYS:
        seen.listed.update(dict.fromkeys(_keys_in(salted), index))


def _open_key(
    vault: Vault, registry: str, key_row: tuple[str, bytes, int], findings: Findings
) -> PartKey | None:
    """Return a key (id, wrapped, index of its first use) ready for use, or note that it does not unwrap."""
    key_id, wrapped, created_index = key_row
    try:
        return vault.part_key(vault.unwrap(wrapped, key_aad(registry, key_id, created_index)))
    except SealBrokenError:
        findings.row("ledger_key", key_id, "KEY_CHANGED", "it does not unwrap under this key")
        return None


class PartAudit:
    """Gathers what was seen of the parts of one registry, range by range, then checks its keys."""

    def __init__(self, conn: Connection, registry: str, findings: Findings, vault: Vault | None) -> None:
        """Take where to read, where to note what diverges, and the vault or None."""
        self._conn = conn
        self._registry = registry
        self._findings = findings
        self._vault = vault
        self.parts = 0
        self.parts_opened = 0
        self.erased: Counter[int] = Counter()
        self.keys = 0
        self._keys_made = 0
        self._keyless: dict[str, tuple[str, list[int]]] = {}
        self._listed: dict[str, int] = {}

    def take(self, seen: PartsSeen) -> None:
        """Add what was seen of the next range."""
        self.parts += seen.parts
        self.parts_opened += seen.opened
        self._keys_made += seen.keys_made
        for key_id, (where, entries) in seen.keyless.items():
            self._keyless.setdefault(key_id, (where, []))[1].extend(entries)
        self._listed.update(seen.listed)
        self._findings.add(seen.findings)

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
            _note(self._findings, index, name, "PART_UNKNOWN", "there is no entry of this index")

    def check_keys(self, first: int, size: int, step: Callable[[], None]) -> None:
        """After all parts of the entries [first, size): was each key made by the entry that its row names, and did none
        come back that an entry destroyed? Keys of earlier entries are left out. step: called between pages.

        A key was seen with a part of the entry that made it. Where there are just as many as were seen, these are all
        there are; else they are gone through, row by row.
        """
        values = {"registry": self._registry, "first": first, "size": size}
        made = self._conn.execute(_KEYS_MADE, values).scalar_one()
        if made == self._keys_made and not self._came_back():
            self.keys += made
            first = size
        after = ""
        while True:
            rows = self._conn.execute(
                _KEYS, {"registry": self._registry, "after": after, "first": first}
            ).all()
            self._check_key_rows(rows)
            if len(rows) < _KEY_ROWS:  # what is entered meanwhile is for the next verification
                return
            after = rows[-1].key_id
            step()

    def _came_back(self) -> bool:
        listed = [(key_id,) for key_id in self._listed]
        return bool(read_rows(self._conn, ledger_key, self._registry, ["key_id"], listed))

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
                key_row = (key_id, wrapped, created_index)
                _open_key(self._vault, self._registry, key_row, self._findings)


def _note(findings: Findings, index: int, name: str, reason: str, rule: str) -> None:
    findings.row("ledger_part", f"{index} {name}", reason, rule, of_entry=index)


def _keys_in(salted: bytes) -> list[str]:
    """The keys that a part `erased-keys` lists; none where it is no such list."""
    try:
        return listed_keys(salted[SALT_BYTES:])
    except EntryInvalidError:
        return []
