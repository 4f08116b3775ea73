"""The store: one chain a registry, in the caller's transaction, keys that survive a rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, update

from ledger.entry import NO_PREVIOUS, commit_part
from ledger.errors import (
    EntryInvalidError,
    EntryNotFoundError,
    EntryTooLargeError,
    HeadMovedError,
    LedgerDamagedError,
    PartKeyMissingError,
    PartNotFoundError,
    RangeError,
    RegistryExistsError,
    RegistryUnknownError,
    SealBrokenError,
    TimeWentBackError,
    WrongKeyError,
)
from ledger.store import PART_BYTES_MAX, REGISTRY_KEY, EntryDraft, Ledger, PartDraft
from ledger.tables import ledger_entry, ledger_head, ledger_key, ledger_part
from ledger.vault import PartCipher, Vault
from tests.support.ledger_database import ORIGIN, REGISTRY, START, TestLedger, draft, make_vault


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


def test_append_batches_make_one_chain(opened: TestLedger) -> None:
    """Entries follow each other by index and previous hash across batches."""
    appended = opened.append(3) + opened.append(2)
    with opened.engine.connect() as conn:
        stored = opened.ledger.read_entries(conn, REGISTRY, 0, 100)
        head = opened.ledger.head(conn, REGISTRY)
    assert [entry.index for entry in stored] == [place.index for place in appended] == [0, 1, 2, 3, 4]
    previous = NO_PREVIOUS
    for entry, place in zip(stored, appended, strict=True):
        parsed = entry.parse()
        assert (parsed.origin, parsed.index, parsed.previous_hash) == (ORIGIN, entry.index, previous)
        assert entry.entry_hash() == place.entry_hash
        assert entry.data == place.data
        previous = place.entry_hash
    assert (head.size, head.head_hash, head.head_time) == (5, previous, START + timedelta(seconds=3))


def test_append_parts_are_committed_to_and_come_back(opened: TestLedger) -> None:
    """Each part opens to what was given, and its salted digest is in the entry, in draft order."""
    opened.append(2)
    with opened.engine.connect() as conn:
        parsed = opened.ledger.read_entry(conn, REGISTRY, 1).parse()
        parts = {part.name: part for part in draft(1).parts}
        assert [name for name, _ in parsed.commitments] == list(parts)
        for name, digest in parsed.commitments:
            salt, content = opened.ledger.read_part(conn, REGISTRY, 1, name)
            assert (salt, content) == (parts[name].salt, parts[name].content)
            assert commit_part(salt, content) == digest
        effects = opened.ledger.read_parts(conn, REGISTRY, 0, 2, key_id=REGISTRY_KEY)
        assert len(opened.ledger.read_parts(conn, REGISTRY, 0, 2)) == 6
    assert [(part.index, part.name) for part in effects] == [
        (0, "certificate/1"),
        (0, "mortgage.booked.v1"),
        (1, "certificate/1"),
        (1, "mortgage.booked.v1"),
    ]


def test_append_contents_do_not_lie_in_the_clear(opened: TestLedger, tmp_path: Path) -> None:
    """Neither contents nor salts can be found in the database's files."""
    opened.append(1)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"application.submitted" in files
    for part in draft(0).parts:
        assert part.content not in files
        assert part.salt not in files


def test_append_rolled_back_leaves_nothing_and_key_is_made_anew(opened: TestLedger) -> None:
    """A key whose transaction rolled back is never used again: all that is stored can be read."""
    with opened.engine.connect() as conn:
        conn.begin()
        head = opened.ledger.head(conn, REGISTRY)
        opened.ledger.append(conn, head, [draft(0)], START)
        lost = conn.execute(select(ledger_key.c.wrapped)).scalars().all()
        conn.rollback()
    opened.append(1)
    with opened.engine.connect() as conn:
        stored = conn.execute(select(ledger_key.c.wrapped)).scalars().all()
        assert not set(lost) & set(stored)
        # A process that starts afresh has no memory of keys.
        fresh = Ledger(make_vault())
        for part in draft(0).parts:
            assert fresh.read_part(conn, REGISTRY, 0, part.name) == (part.salt, part.content)


def test_parts_of_both_ciphers_lie_in_one_ledger(opened: TestLedger) -> None:
    """New keys are of the registry's cipher, old ones stay; who reads needs no setting."""
    opened.append(1)
    changed = Ledger(make_vault(), {REGISTRY: PartCipher.SM4_GCM})
    with opened.engine.begin() as conn:
        head = changed.head(conn, REGISTRY)
        changed.append(conn, head, [draft(1, key_id="application-sm4")], head.head_time)
        sizes = {row.key_id: len(row.wrapped) for row in conn.execute(select(ledger_key))}
        assert sizes.pop("application-sm4") == 44
        assert set(sizes.values()) == {60}
        for index in (0, 1):
            for part in draft(index).parts:
                read = Ledger(make_vault()).read_part(conn, REGISTRY, index, part.name)
                assert read == (part.salt, part.content)


def test_append_twice_in_one_transaction_uses_one_key(opened: TestLedger) -> None:
    """A key made earlier in the same transaction is found, not made twice."""
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        for number in range(3):
            _, head = opened.ledger.append(conn, head, [draft(number, key_id="application-1")], START)
        assert conn.execute(select(func.count()).select_from(ledger_key)).scalar() == 2
        assert conn.execute(select(ledger_key.c.created_index).distinct()).scalars().all() == [0]


def test_append_time_before_head_is_refused_and_equal_is_not(opened: TestLedger) -> None:
    """Time never goes back along the chain; a batch may have the time of the one before."""
    opened.append(1)
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        with pytest.raises(TimeWentBackError) as caught:
            opened.ledger.append(conn, head, [draft(1)], head.head_time - timedelta(microseconds=1))
        assert caught.value.reason == "TIME_WENT_BACK"
        _, head = opened.ledger.append(conn, head, [draft(1)], head.head_time)
    assert head.size == 2


def test_append_stale_head_is_refused(opened: TestLedger) -> None:
    """A head that somebody else has moved on from cannot fork the chain."""
    with opened.engine.begin() as conn:
        stale = opened.ledger.head(conn, REGISTRY)
    opened.append(1)
    with opened.engine.connect() as conn, pytest.raises(HeadMovedError) as caught:
        opened.ledger.append(conn, stale, [draft(5)], START)
    assert caught.value.retryable


def test_append_nothing_writes_nothing(opened: TestLedger) -> None:
    """An empty batch leaves the head as it was."""
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        assert opened.ledger.append(conn, head, [], datetime(1, 1, 1, tzinfo=UTC)) == ([], head)


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((PartDraft("a", b"", "k", bytes(31)),), EntryInvalidError),
        ((PartDraft("A", b"", "k", bytes(32)),), EntryInvalidError),
        ((PartDraft("a", b"", "K", bytes(32)),), EntryInvalidError),
        ((PartDraft("a", b"", "", bytes(32)),), EntryInvalidError),
        ((PartDraft("a", b"", "k", bytes(32)), PartDraft("a", b"", "k", bytes(32))), EntryInvalidError),
        ((PartDraft("a", bytes(PART_BYTES_MAX + 1), "k", bytes(32)),), EntryTooLargeError),
        (tuple(PartDraft(f"{i}", b"", "k", bytes(32)) for i in range(1400)), EntryTooLargeError),
    ],
)
def test_append_bad_draft_is_refused(
    opened: TestLedger, parts: tuple[PartDraft, ...], error: type[Exception]
) -> None:
    """A draft that breaks the format is refused before anything is written."""
    with opened.engine.begin() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        with pytest.raises(error):
            opened.ledger.append(conn, head, [EntryDraft("a", parts)], START)
        assert opened.ledger.head(conn, REGISTRY) == head
        with pytest.raises(EntryInvalidError):
            opened.ledger.append(conn, head, [EntryDraft("Bad kind", ())], START)
        with pytest.raises(EntryInvalidError):
            opened.ledger.append(conn, head, [EntryDraft("a", ())], datetime(2026, 3, 2))  # noqa: DTZ001


def test_append_batch_costs_a_fixed_number_of_statements(opened: TestLedger) -> None:
    """A batch of any size is the same few statements."""
    statements = []
    event.listen(opened.engine, "after_cursor_execute", lambda *a: statements.append(a[2]))
    opened.append(1)
    first = len(statements)
    opened.append(200)
    assert first == len(statements) - first <= 8


def test_append_registries_have_chains_of_their_own(opened: TestLedger) -> None:
    """Each registry counts from 0, under its own origin and keys."""
    with opened.engine.begin() as conn:
        opened.ledger.create(conn, "r2", "ledger.example/r2")
        head = opened.ledger.head(conn, "r2")
        appended, _ = opened.ledger.append(conn, head, [draft(0)], START)
        assert appended[0].index == 0
        assert opened.ledger.head(conn, REGISTRY).size == 0


def test_create_twice_or_bad_name_is_refused(opened: TestLedger) -> None:
    """A registry has one ledger, with a name that fits everywhere."""
    with opened.engine.begin() as conn:
        with pytest.raises(RegistryExistsError):
            opened.ledger.create(conn, REGISTRY, ORIGIN)
        for registry, origin in (("R3", "o"), ("", "o"), ("r" * 65, "o"), ("r3", "with space"), ("r3", "")):
            with pytest.raises(EntryInvalidError):
                opened.ledger.create(conn, registry, origin)


def test_head_wrong_kek_is_refused(opened: TestLedger) -> None:
    """With another key-encryption key nothing is read or written."""
    wrong = Ledger(Vault(bytes(32)))
    with opened.engine.connect() as conn:
        with pytest.raises(WrongKeyError):
            wrong.check_key(conn, REGISTRY)
        with pytest.raises(WrongKeyError):
            wrong.head(conn, REGISTRY)
        opened.ledger.check_key(conn, REGISTRY)


def test_head_unknown_registry_or_damaged_row_is_refused(opened: TestLedger) -> None:
    """A head that is not there, or contradicts itself, is no head."""
    with opened.engine.begin() as conn:
        with pytest.raises(RegistryUnknownError):
            opened.ledger.head(conn, "r9")
        conn.execute(update(ledger_head).values(size=1))
        with pytest.raises(LedgerDamagedError):
            opened.ledger.head(conn, REGISTRY)
        conn.execute(update(ledger_head).values(frontier=b"x"))
        with pytest.raises(LedgerDamagedError):
            opened.ledger.head(conn, REGISTRY)


def test_read_what_is_not_there_is_refused(opened: TestLedger) -> None:
    """Unknown entries, parts, erased keys and changed bytes are told apart by type."""
    opened.append(1)
    ledger = opened.ledger
    with opened.engine.begin() as conn:
        for index in (-1, 1, 2**63):
            with pytest.raises(EntryNotFoundError):
                ledger.read_entry(conn, REGISTRY, index)
            with pytest.raises(PartNotFoundError):
                ledger.read_part(conn, REGISTRY, index, "evidence")
        with pytest.raises(PartNotFoundError):
            ledger.read_part(conn, REGISTRY, 0, "nothing")
        for start, count in ((0, 0), (0, 10_001), (-1, 1)):
            with pytest.raises(RangeError):
                ledger.read_entries(conn, REGISTRY, start, count)
            with pytest.raises(RangeError):
                ledger.read_parts(conn, REGISTRY, start, count)
        conn.execute(ledger_key.delete().where(ledger_key.c.key_id == "application-0"))
        with pytest.raises(PartKeyMissingError):
            ledger.read_part(conn, REGISTRY, 0, "evidence")
        conn.execute(
            update(ledger_part).where(ledger_part.c.name == "certificate/1").values(sealed=b"x" * 50)
        )
        with pytest.raises(SealBrokenError):
            ledger.read_part(conn, REGISTRY, 0, "certificate/1")


def test_primary_keys_begin_with_registry_and_no_other_index_exists() -> None:
    """Every key starts with the registry, and no table has a second index."""
    for table in ledger_entry.metadata.sorted_tables:
        assert next(iter(table.primary_key.columns)).name == "registry"
        assert not table.indexes
        assert all(not column.unique for column in table.columns)
