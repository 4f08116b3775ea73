"""Publishing: idempotent, provable at once, the same after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import RangeError, RegistryUnknownError, SignerMismatchError
from ledger.hashing import EMPTY_ROOT
from ledger.proof import verify_consistency, verify_inclusion
from ledger.publish import Publisher
from ledger.tables import ledger_checkpoint, ledger_tile
from ledger.tile import TILE_WIDTH, TILES_CACHED_MAX
from tests.support.ledger_database import ORIGIN, REGISTRY, TestLedger, make_publisher, make_signer


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


def test_publish_new_entries_signs_their_root(opened: TestLedger) -> None:
    """The note opens to origin, size and the root of all entries."""
    opened.append(3)
    signed = opened.publish()
    with opened.engine.connect() as conn:
        head = opened.ledger.head(conn, REGISTRY)
        assert opened.publisher.latest(conn, REGISTRY) == signed
    assert (signed.size, signed.root) == (3, head.frontier.root())
    assert open_checkpoint(signed.note, opened.vkey) == Checkpoint(ORIGIN, 3, signed.root)


def test_publish_nothing_new_returns_last_and_writes_nothing(opened: TestLedger) -> None:
    """Publishing is idempotent, in this process and after a restart."""
    opened.append(3)
    signed = opened.publish()
    assert opened.publish() == signed
    opened.publisher = make_publisher()
    assert opened.publish() == signed
    with opened.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(ledger_checkpoint)).scalar() == 1


def test_publish_empty_ledger_signs_empty_root_once(opened: TestLedger) -> None:
    """A ledger without entries has a checkpoint too, and it is signed once."""
    with opened.engine.connect() as conn:
        assert opened.publisher.latest(conn, REGISTRY) is None
    signed = opened.publish()
    assert (signed.size, signed.root) == (0, EMPTY_ROOT)
    assert opened.publish() == signed
    opened.append(1)
    assert opened.publish().size == 1


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_prove_any_entry_under_any_checkpoint_verifies(opened: TestLedger, restart: bool) -> None:
    """Each entry is provable under each later checkpoint, and each checkpoint extends the last."""
    hashes, signed = [], []
    for count in (1, 2, 250, 3, 1, 255, 300):
        hashes += [place.entry_hash for place in opened.append(count)]
        signed.append(opened.publish())
        if restart:
            opened.publisher = make_publisher()
    with opened.engine.connect() as conn:
        stored = conn.execute(select(ledger_tile.c.level, ledger_tile.c.tile_index)).all()
        for number, point in enumerate(signed):
            for index in {0, 1, 255, 256, 511, 512, point.size - 1}:
                if index >= point.size:
                    continue
                proof = opened.publisher.prove_inclusion(conn, REGISTRY, index, point.size)
                verify_inclusion(index, point.size, hashes[index], proof, point.root)
            for before in signed[: number + 1]:
                proof = opened.publisher.prove_consistency(conn, REGISTRY, before.size, point.size)
                verify_consistency(before.size, before.root, point.size, point.root, proof)
    assert sorted(tuple(row) for row in stored) == [(0, 0), (0, 1), (0, 2)]


def test_prove_fresh_entries_reads_no_database(opened: TestLedger) -> None:
    """A proof for an entry just published comes out of memory."""
    opened.append(700)
    signed = opened.publish()
    with opened.engine.connect() as conn:
        statements = []
        event.listen(opened.engine, "after_cursor_execute", lambda *a: statements.append(a[2]))
        for index in range(700):
            opened.publisher.prove_inclusion(conn, REGISTRY, index, signed.size)
    assert statements == []


def test_publish_restart_reads_few_entries(opened: TestLedger) -> None:
    """A restart reads the entries after the last full tile, not all of them."""
    opened.append(800)
    opened.publish()
    opened.append(1)
    opened.publisher = make_publisher()
    read = []

    def note(
        _conn: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object
    ) -> None:
        if "FROM ledger_entry" in statement:
            read.append(parameters)

    event.listen(opened.engine, "after_cursor_execute", note)
    opened.publish()
    assert read == [(REGISTRY, 768, 800), (REGISTRY, 799, 800), (REGISTRY, 800, 801)]


def test_prove_in_another_process_follows_what_was_published(opened: TestLedger) -> None:
    """A process that never publishes proves what another one has published since."""
    reader = make_publisher()
    for count in (3, 300, 5):
        appended = opened.append(count)
        signed = opened.publish()
        with opened.engine.connect() as conn:
            proof = reader.prove_inclusion(conn, REGISTRY, appended[0].index, signed.size)
        verify_inclusion(appended[0].index, signed.size, appended[0].entry_hash, proof, signed.root)


def test_prove_out_of_range_is_refused(opened: TestLedger) -> None:
    """Only what a published tree holds can be proven."""
    opened.append(3)
    opened.publish()
    opened.append(1)
    with opened.engine.connect() as conn:
        for index, size in ((3, 3), (-1, 3), (0, 4), (0, 0)):
            with pytest.raises(RangeError):
                opened.publisher.prove_inclusion(conn, REGISTRY, index, size)
        for old, new in ((3, 2), (-1, 3), (1, 4)):
            with pytest.raises(RangeError):
                opened.publisher.prove_consistency(conn, REGISTRY, old, new)
        with pytest.raises(RegistryUnknownError):
            opened.publisher.prove_inclusion(conn, "r9", 0, 1)
        with pytest.raises(RegistryUnknownError):
            opened.publisher.latest(conn, "r9")
        with pytest.raises(RegistryUnknownError):
            opened.publisher.publish(conn, "r9")


def test_publish_signer_of_other_name_is_refused(opened: TestLedger) -> None:
    """A key that is named otherwise than the origin signs nothing."""
    opened.append(1)
    stranger = Publisher(lambda _registry: make_signer("ledger.example/other"))
    with opened.engine.connect() as conn, pytest.raises(SignerMismatchError):
        stranger.publish(conn, REGISTRY)


def test_publish_more_tiles_at_once_than_are_kept_in_memory(opened: TestLedger) -> None:
    """After a long time without a checkpoint: the proof from the last one needs tiles that are not stored yet."""
    opened.append(3)
    before = opened.publish()
    opened.append((TILES_CACHED_MAX + 3) * TILE_WIDTH)
    signed = opened.publish()
    with opened.engine.connect() as conn:
        proof = opened.publisher.prove_consistency(conn, REGISTRY, before.size, signed.size)
    verify_consistency(before.size, before.root, signed.size, signed.root, proof)
