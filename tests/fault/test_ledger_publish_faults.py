"""Faults between append and publish: nothing is signed that is not what was appended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Connection, event, func, select, text, update

from ledger.checkpoint import NoteSigner
from ledger.errors import (
    CheckpointRaceError,
    LedgerDamagedError,
    LedgerError,
    RolledBackError,
    SecondSignerError,
    SignerMismatchError,
)
from ledger.publish import Publisher
from ledger.tables import ledger_checkpoint, ledger_entry, ledger_head, ledger_published, ledger_tile
from tests.support.ledger_database import (
    ORIGIN,
    REGISTRY,
    START,
    TestLedger,
    draft,
    make_engine,
    make_publisher,
    make_signer,
)


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


def checkpoints(opened: TestLedger) -> int:
    with opened.engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(ledger_checkpoint)).scalar() or 0


def flip(conn: Connection, index: int, at: int) -> None:
    """Flip one bit of a stored entry."""
    where = ledger_entry.c.entry_index == index
    data = bytearray(conn.execute(select(ledger_entry.c.entry).where(where)).scalar_one())
    data[at] ^= 1
    conn.execute(update(ledger_entry).where(where).values(entry=bytes(data)))


class CountingSigner(NoteSigner):
    """Counts its signatures."""

    __slots__ = ("count",)

    def signature_line(self, note_text: bytes) -> bytes:
        self.count = getattr(self, "count", 0) + 1
        return super().signature_line(note_text)


@pytest.mark.parametrize("published_before", [0, 2, 256])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_publish_one_bit_flipped_in_stored_entry_signs_nothing(
    opened: TestLedger, published_before: int, place: str
) -> None:
    """One bit changed after the append, in any byte of any new entry, and no signature is made."""
    if published_before:
        opened.append(published_before)
        opened.publish()
    before = checkpoints(opened)
    opened.append(5)
    index = published_before + {"first": 0, "middle": 2, "last": 4}[place]
    with opened.engine.connect() as conn:
        data = opened.ledger.read_entry(conn, REGISTRY, index).data
    signer = CountingSigner(ORIGIN, make_signer()._private_key)
    publisher = Publisher(lambda _registry: signer)
    for at in range(0, len(data), 7):
        with opened.engine.begin() as conn:
            flip(conn, index, at)
        with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError) as caught:
            publisher.publish(conn, REGISTRY)
        assert caught.value.row == f"ledger_entry {index}"
        with opened.engine.begin() as conn:
            flip(conn, index, at)
    assert getattr(signer, "count", 0) == 0
    assert checkpoints(opened) == before
    opened.publisher = publisher
    assert opened.publish().size == published_before + 5
    assert signer.count == 1


@pytest.mark.parametrize(
    "values",
    [
        {"head_hash": bytes(32)},
        {"head_time": 1},
        {"frontier": (5).to_bytes(8, "big") + bytes(64)},
        {"size": 4, "frontier": (4).to_bytes(8, "big") + bytes(32)},
        {"size": 6, "frontier": (6).to_bytes(8, "big") + bytes(64)},
    ],
    ids=str,
)
def test_publish_head_that_contradicts_entries_signs_nothing(
    opened: TestLedger, values: dict[str, object]
) -> None:
    """A head row that is not that of the stored entries stops the signing."""
    opened.append(5)
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_head).values(**values))
    with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError):
        opened.publisher.publish(conn, REGISTRY)
    assert checkpoints(opened) == 0


@pytest.mark.parametrize("index", [0, 2, 4])
def test_publish_missing_entry_signs_nothing(opened: TestLedger, index: int) -> None:
    """A row that is gone stops the signing and is named."""
    opened.append(5)
    with opened.engine.begin() as conn:
        conn.execute(ledger_entry.delete().where(ledger_entry.c.entry_index == index))
    with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError) as caught:
        opened.publisher.publish(conn, REGISTRY)
    assert caught.value.row == f"ledger_entry {index}"


def test_publish_covered_entry_changed_is_noticed_at_next_publish(opened: TestLedger) -> None:
    """The last covered entry is read again, and a restart checks the tail against the root."""
    opened.append(5)
    opened.publish()
    opened.append(1)
    with opened.engine.begin() as conn:
        flip(conn, 4, 60)
    for publisher in (opened.publisher, make_publisher()):
        with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError):
            publisher.publish(conn, REGISTRY)


def test_publish_changed_tile_signs_nothing_after_restart(opened: TestLedger) -> None:
    """A full tile that does not lead to the published root stops the signing."""
    opened.append(300)
    opened.publish()
    opened.append(1)
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_tile).values(hashes=bytes(8192)))
    with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError):
        make_publisher().publish(conn, REGISTRY)
    with opened.engine.begin() as conn:
        conn.execute(ledger_tile.delete())
    with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError):
        make_publisher().publish(conn, REGISTRY)


def test_publish_compare_and_swap_lost_signs_nothing(opened: TestLedger) -> None:
    """If the last checkpoint moves between read and swap, nothing is signed."""
    opened.append(3)
    signer = CountingSigner(ORIGIN, make_signer()._private_key)
    publisher = Publisher(lambda _registry: signer)

    interfered: list[str] = []

    @event.listens_for(opened.engine, "before_cursor_execute")
    def _interfere(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE ledger_published") and not interfered:
            interfered.append(statement)
            conn.execute(text("UPDATE ledger_published SET size = 2"))

    with opened.engine.connect() as conn, pytest.raises(CheckpointRaceError) as caught:
        publisher.publish(conn, REGISTRY)
    assert caught.value.retryable
    assert getattr(signer, "count", 0) == 0
    opened.publisher = publisher
    assert opened.publish().size == 3


def test_publish_rolled_back_by_caller_is_repeated_with_same_bytes(opened: TestLedger) -> None:
    """A checkpoint that was signed and never committed is signed again, bit for bit."""
    opened.append(300)
    with opened.engine.connect() as conn:
        conn.begin()
        lost = opened.publisher.publish(conn, REGISTRY)
        conn.rollback()
    assert checkpoints(opened) == 0
    assert opened.publish() == lost
    opened.append(2)
    with opened.engine.connect() as conn:
        conn.begin()
        opened.publisher.publish(conn, REGISTRY)
        conn.rollback()
    opened.append(2)
    assert opened.publish().size == 304
    assert checkpoints(opened) == 2


def test_publish_over_entries_rolled_back_after_it_is_never_contradicted(opened: TestLedger) -> None:
    """Entries that vanish after they were signed, committed or not, stop the signing."""
    opened.append(250)
    opened.publish()
    with opened.engine.connect() as conn:
        conn.begin()
        head = opened.ledger.head(conn, REGISTRY)
        opened.ledger.append(
            conn, head, [draft(number) for number in range(9000, 9020)], START.replace(year=2027)
        )
        opened.publisher.publish(conn, REGISTRY)
        conn.rollback()
    for _ in range(3):
        with opened.engine.connect() as conn, pytest.raises(RolledBackError):
            opened.publisher.publish(conn, REGISTRY)
        opened.append(10)


def test_publish_second_signer_is_refused_and_reads_go_on(opened: TestLedger) -> None:
    """Two processes signing for one registry: the one that finds a stranger's checkpoint stops."""
    opened.append(3)
    opened.publish()
    second = make_publisher()
    appended = opened.append(2)
    with opened.engine.begin() as conn:
        signed = second.publish(conn, REGISTRY)
    opened.append(1)
    with opened.engine.connect() as conn, pytest.raises(SecondSignerError) as caught:
        opened.publisher.publish(conn, REGISTRY)
    assert (caught.value.known_size, caught.value.stored_size) == (3, 5)
    with opened.engine.connect() as conn:
        assert opened.publisher.latest(conn, REGISTRY) == signed
        assert opened.publisher.prove_inclusion(conn, REGISTRY, appended[0].index, 5)
    opened.publisher.forget(REGISTRY)
    assert opened.publish().size == 6


def test_publish_other_key_of_same_name_is_refused(opened: TestLedger) -> None:
    """A signer with another key cannot continue what this key has signed."""
    opened.append(3)
    opened.publish()
    opened.append(1)
    with opened.engine.connect() as conn, pytest.raises(SignerMismatchError):
        make_publisher(seed=8).publish(conn, REGISTRY)


def test_publish_restored_database_is_refused(opened: TestLedger, tmp_path: Path) -> None:
    """A database older than what this process signed gets no further signature."""
    opened.append(3)
    opened.publish()
    opened.engine.dispose()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "backup.db")
    opened.append(2)
    opened.publish()
    opened.engine.dispose()
    opened.engine = make_engine(tmp_path / "backup.db")
    opened.append(1)
    with opened.engine.connect() as conn, pytest.raises(RolledBackError):
        opened.publisher.publish(conn, REGISTRY)


def test_publish_truncated_below_checkpoint_is_refused(opened: TestLedger) -> None:
    """Entries and head put back behind the last checkpoint: refused, also after a restart."""
    opened.append(3)
    with opened.engine.connect() as conn:
        row = conn.execute(select(ledger_head)).mappings().one()
    opened.append(2)
    opened.publish()
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_head).values(**row))
        conn.execute(ledger_entry.delete().where(ledger_entry.c.entry_index >= 3))
    with opened.engine.connect() as conn, pytest.raises(RolledBackError):
        make_publisher().publish(conn, REGISTRY)


@pytest.mark.parametrize(
    "damage",
    [
        lambda conn: conn.execute(ledger_checkpoint.delete()),
        lambda conn: conn.execute(update(ledger_checkpoint).values(root=bytes(32))),
        lambda conn: conn.execute(update(ledger_published).values(root=bytes(32))),
        lambda conn: conn.execute(update(ledger_head).values(frontier=(3).to_bytes(8, "big") + bytes(64))),
    ],
    ids=["checkpoint gone", "checkpoint root", "published root", "frontier"],
)
def test_publish_damaged_last_checkpoint_is_refused(
    opened: TestLedger, damage: Callable[[Connection], object]
) -> None:
    """Where the rows about the last checkpoint contradict each other, nothing is handed out."""
    opened.append(3)
    opened.publish()
    with opened.engine.begin() as conn:
        damage(conn)
    for publisher in (opened.publisher, make_publisher()):
        with opened.engine.connect() as conn, pytest.raises(LedgerError) as caught:
            publisher.publish(conn, REGISTRY)
        assert caught.value.reason in {"LEDGER_DAMAGED", "SECOND_SIGNER"}


def test_publish_note_of_other_checkpoint_in_last_row_is_refused_after_restart(opened: TestLedger) -> None:
    """A right note in the wrong row is noticed when a process takes over."""
    opened.append(3)
    first = opened.publish()
    opened.append(1)
    opened.publish()
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_checkpoint).where(ledger_checkpoint.c.size == 4).values(note=first.note))
    with opened.engine.connect() as conn, pytest.raises(LedgerDamagedError) as caught:
        make_publisher().publish(conn, REGISTRY)
    assert caught.value.row == "ledger_checkpoint size 4"


class FaultySigner(NoteSigner):
    """A key store that returns what it should not."""

    __slots__ = ()

    def signature_line(self, note_text: bytes) -> bytes:
        line = super().signature_line(note_text)
        return line[:-8] + (b"AAAA" if line[-8:-4] != b"AAAA" else b"BBBB") + line[-4:]


def test_publish_signature_that_does_not_hold_is_not_stored(opened: TestLedger) -> None:
    """A signature is checked before anybody gets it: a faulty key store signs nothing."""
    opened.append(3)
    signer = FaultySigner(ORIGIN, make_signer()._private_key)
    with pytest.raises(SignerMismatchError), opened.engine.begin() as conn:
        Publisher(lambda _registry: signer).publish(conn, REGISTRY)
    assert checkpoints(opened) == 0
    assert opened.publish().size == 3


def test_publish_checkpoint_row_already_there_is_refused(opened: TestLedger) -> None:
    """Two signers that get past the swap cannot both store a checkpoint of one size."""
    opened.append(3)
    with opened.engine.begin() as conn:
        values = {"registry": REGISTRY, "size": 3, "previous_size": None, "root": bytes(32), "note": b"x"}
        conn.execute(ledger_checkpoint.insert().values(**values))
    with opened.engine.connect() as conn, pytest.raises(CheckpointRaceError):
        opened.publisher.publish(conn, REGISTRY)


def test_publish_rolled_back_and_truncated_is_never_contradicted(opened: TestLedger) -> None:
    """Where entries under a signed and uncommitted checkpoint are gone, nothing smaller is handed out."""
    opened.append(3)
    opened.publish()
    with opened.engine.connect() as conn:
        row = conn.execute(select(ledger_head)).mappings().one()
    opened.append(2)
    with opened.engine.connect() as conn:
        conn.begin()
        opened.publisher.publish(conn, REGISTRY)
        conn.rollback()
    with opened.engine.begin() as conn:
        conn.execute(update(ledger_head).values(**row))
        conn.execute(ledger_entry.delete().where(ledger_entry.c.entry_index >= 3))
    with opened.engine.connect() as conn, pytest.raises(RolledBackError):
        opened.publisher.publish(conn, REGISTRY)


def test_append_and_publish_from_threads_keep_one_chain(opened: TestLedger) -> None:
    """Six threads that append and publish at once make one chain without a break."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                with opened.engine.begin() as conn:
                    head = opened.ledger.head(conn, REGISTRY)
                    drafts = [draft(number * 100 + step)]
                    opened.ledger.append(conn, head, drafts, max(START, head.head_time))
                opened.publish()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert opened.publish().size == 30
