"""Which keys sign the checkpoint of a size, and what is believed of one that others signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, open_by_any, open_checkpoint, sign_checkpoint
from ledger.errors import CheckpointError, OriginError, SignerMismatchError
from ledger.export import export_ledger
from ledger.log_keys import LogKey, LogKeys, LogSigners
from ledger.publish import Publisher
from ledger.verify import verify_ledger
from tests.support.ledger_database import ORIGIN, REGISTRY, TestLedger, make_signer

OLD, NEW, STRANGER = (make_signer(seed=seed) for seed in (7, 8, 9))


def keys(begun: int = 3, ended: int | None = 5) -> LogKeys:
    """Both sign what covers entry `begun`, the new one alone what covers entry `ended`."""
    return LogKeys([LogKey(OLD.vkey, None, ended), LogKey(NEW.vkey, begun)])


def signers(of: LogKeys) -> LogSigners:
    """Both at hand."""
    return LogSigners(of, {OLD.vkey: OLD, NEW.vkey: NEW})


def test_size_says_which_keys_sign() -> None:
    """Up to the begin the old one, up to the end both, then the new one; alone is the rest of each."""
    by_size = [keys().at(size) for size in range(8)]
    assert by_size == [(OLD.vkey,)] * 4 + [(OLD.vkey, NEW.vkey)] * 2 + [(NEW.vkey,)] * 2
    assert [list(some)[:9] for some in keys().alone(OLD.vkey)] == [[0, 1, 2, 3]]
    [after] = keys().alone(NEW.vkey)
    assert (after.start, 2**63 - 1 in after) == (6, True)
    assert keys(ended=None).alone(NEW.vkey) == []


def test_key_between_that_ended_first_leaves_the_former_alone_again() -> None:
    """Two stretches of one key."""
    three = LogKeys([LogKey(OLD.vkey, None, 9), LogKey(NEW.vkey, 3, 5), LogKey(STRANGER.vkey, 7)])
    assert three.alone(OLD.vkey) == [range(4), range(6, 8)]
    assert three.alone(NEW.vkey) == []


def test_checkpoint_opens_only_with_every_key_of_its_size() -> None:
    """One of two lines is not enough, nor another's; any one that is trusted alone is, for who has only that."""
    both = Checkpoint(ORIGIN, 5, bytes(32))
    note = signers(keys()).sign(both)
    assert keys().open(note) == both
    for signer in (OLD, NEW):
        with pytest.raises(CheckpointError):
            keys().open(sign_checkpoint(both, signer))
        assert open_checkpoint(note, signer.vkey) == both
        assert open_by_any(note, [STRANGER.vkey, signer.vkey]) == both
    with pytest.raises(CheckpointError):
        open_by_any(note, [STRANGER.vkey])
    spoiled = note.replace(b"\n5\n", b"\n6\n")
    with pytest.raises(CheckpointError):
        open_by_any(spoiled, [OLD.vkey, NEW.vkey])
    with pytest.raises(OriginError):
        keys().open(sign_checkpoint(Checkpoint("ledger.example/other", 5, bytes(32)), OLD))
    with pytest.raises(CheckpointError, match="one name"):
        LogKeys([LogKey(OLD.vkey), LogKey(make_signer("ledger.example/other").vkey)])


def published(path: Path, of: LogKeys, entries: int) -> TestLedger:
    """A ledger whose every entry has its checkpoint, signed by those of `of`."""
    ledger = TestLedger(path)
    ledger.publisher = Publisher(lambda _: signers(of))
    for _ in range(entries):
        ledger.append(1)
        ledger.publish()
    return ledger


def test_publisher_signs_by_size_and_refuses_without_a_key(tmp_path: Path) -> None:
    """What it publishes verifies with all keys, whole; without the second key nothing is signed."""
    of = keys(begun=2, ended=4)
    ledger = published(tmp_path / "ledger.db", of, 6)
    with ledger.engine.begin() as conn:
        assert verify_ledger(conn, REGISTRY, of).ok
        assert not verify_ledger(conn, REGISTRY, OLD.vkey).ok
        assert not verify_ledger(conn, REGISTRY, keys(begun=2, ended=5)).ok
        assert Publisher(lambda _: signers(of)).check_newest(conn, REGISTRY).size == 6
        with pytest.raises(SignerMismatchError):
            Publisher(lambda _: signers(keys(begun=2, ended=None))).check_newest(conn, REGISTRY)
    ledger.append(1)
    ledger.publisher = Publisher(lambda _: LogSigners(of, {OLD.vkey: OLD}))
    with pytest.raises(SignerMismatchError, match="not at hand"):
        ledger.publish()


def test_key_that_shares_no_checkpoint_with_the_one_before_is_not_believed(tmp_path: Path) -> None:
    """Each checkpoint is sound by its own key; but nobody who signed the one before vouches for the next key."""
    of = keys(begun=2, ended=2)
    ledger = published(tmp_path / "ledger.db", of, 4)
    with ledger.engine.begin() as conn:
        report = verify_ledger(conn, REGISTRY, of)
    assert not report.ok
    assert "nobody vouches" in report.divergences[0].rule


def test_publisher_builds_on_no_checkpoint_that_no_key_in_use_signed(tmp_path: Path) -> None:
    """Keys are read out of the database, which whoever has an ended key may write: a history that it alone signed, and
    a row by which the key in use begins right behind it, are no ledger to go on with.
    """
    ended_alone = LogKeys([LogKey(OLD.vkey, None, 3), LogKey(NEW.vkey, 3)])
    ledger = published(tmp_path / "ledger.db", ended_alone, 3)
    ledger.publisher = Publisher(lambda _: LogSigners(ended_alone, {NEW.vkey: NEW}))
    with ledger.engine.begin() as conn, pytest.raises(SignerMismatchError, match="no key in use signed"):
        ledger.publisher.check_newest(conn, REGISTRY)
    ledger.append(1)
    with pytest.raises(SignerMismatchError, match="no key in use signed"):
        ledger.publish()


def test_export_opens_each_checkpoint_by_the_keys_of_its_size(tmp_path: Path) -> None:
    """An export that an old key began is gone on with by the new one, and says whose signatures are on it."""
    of = keys(begun=2, ended=4)
    ledger = published(tmp_path / "ledger.db", of, 2)
    for size, vkeys in ((2, [OLD]), (4, [OLD, NEW]), (6, [NEW])):
        while size > ledger.count:
            ledger.append(1)
            ledger.publish()
        with ledger.engine.connect() as conn:
            assert export_ledger(conn, REGISTRY, of, tmp_path / "export").size == size
        assert (tmp_path / "export" / "vkey").read_text().split() == [one.vkey for one in vkeys]
