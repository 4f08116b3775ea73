"""The walk along stored entries: which row is to blame where the chain breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ledger.chain import ChainWalk
from ledger.entry import NO_PREVIOUS, Entry

ORIGIN = "ledger.example/r1"
START = datetime(2026, 3, 2, tzinfo=UTC)


def make_chain(count: int, first_previous: bytes = NO_PREVIOUS) -> list[Entry]:
    chain: list[Entry] = []
    for index in range(count):
        previous = chain[-1].entry_hash() if chain else first_previous
        chain.append(Entry(ORIGIN, index, previous, START + timedelta(seconds=index), "a", ()))
    return chain


def faults_of(chain: list[Entry], *, start: int = 0, head_hash: bytes | None = None) -> list[int]:
    """Walk the chain in two pieces and return the indexes that are blamed."""
    rows = [(entry.index, entry.encode()) for entry in chain if entry.index >= start]
    previous = make_chain(start)[-1].entry_hash() if start else NO_PREVIOUS
    walk = ChainWalk(ORIGIN, start, previous)
    stop = rows[0][0] + len(rows) // 2
    walk.walk([row for row in rows if row[0] < stop], stop)
    walk.walk([row for row in rows if row[0] >= stop], rows[-1][0] + 1)
    walk.finish(head_hash or chain[-1].entry_hash())
    return [fault.index for fault in walk.faults]


def test_walk_sound_chain_finds_nothing() -> None:
    """A sound chain has no faults, from its beginning or from a known entry on."""
    assert faults_of(make_chain(8)) == []
    assert faults_of(make_chain(8), start=3) == []


def test_walk_first_entry_with_a_previous_hash_is_blamed() -> None:
    """Entry 0 names 32 zero bytes; a whole chain built upon anything else is refused."""
    assert faults_of(make_chain(8, bytes([1]) * 32)) == [0]
    assert faults_of(make_chain(1, bytes([1]) * 32)) == [0]


def test_walk_chain_that_leaves_a_known_entry_is_blamed_on_the_first_new_one() -> None:
    """After a known entry, a right chain that does not follow it is the newcomers' fault."""
    assert faults_of(make_chain(8, bytes([1]) * 32), start=3) == [3]


def test_walk_changed_content_previous_hash_or_both_blames_the_row() -> None:
    """A changed row is told from its neighbours by what the row after it names."""
    for index in range(7):
        for change in ({"kind": "b"}, {"previous_hash": bytes([1]) * 32}):
            chain = make_chain(8)
            chain[index] = replace(chain[index], **change)
            assert faults_of(chain) == [index], (index, change)
        chain = make_chain(8)
        chain[index] = replace(chain[index], kind="b", previous_hash=bytes([1]) * 32)
        assert faults_of(chain) == [index]


def test_walk_last_row_that_head_does_not_know_is_blamed() -> None:
    """The head bears witness for the last row."""
    chain = make_chain(8)
    assert faults_of(chain, head_hash=bytes(32)) == [7]
    changed = [*chain[:7], replace(chain[7], previous_hash=bytes([1]) * 32)]
    assert faults_of(changed, head_hash=chain[7].entry_hash()) == [7]
    changed = [*chain[:6], replace(chain[6], kind="b"), chain[7]]
    assert faults_of(changed, head_hash=chain[7].entry_hash()) == [6]


def test_walk_missing_rows_are_one_fault() -> None:
    """A gap of any length is one fault, named by its first index."""
    chain = make_chain(8)
    assert faults_of(chain[:2] + chain[5:]) == [2]
    assert faults_of([*chain[:3], replace(chain[3], previous_hash=bytes([1]) * 32), *chain[5:]]) == [3, 4]


def test_walk_time_that_goes_back_is_blamed_even_in_a_right_chain() -> None:
    """A chain whose hashes are right and whose time goes back is not sound."""
    chain = make_chain(3)
    late = replace(chain[2], index=3, previous_hash=chain[2].entry_hash(), time=START)
    assert faults_of([*chain, late]) == [3]
