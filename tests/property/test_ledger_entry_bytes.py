"""Any entry survives writing and reading; any other bytes are refused."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import Entry, from_microseconds, parse_entry, to_microseconds
from ledger.errors import EntryInvalidError

names = st.from_regex(r"[a-z0-9./_-]{1,128}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32)
times = st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001
entries = st.builds(
    Entry,
    origin=st.from_regex(r"[!-*,-~]{1,255}", fullmatch=True),
    index=st.integers(0, 2**63 - 1),
    previous_hash=digests,
    time=times,
    kind=names,
    commitments=st.lists(st.tuples(names, digests), max_size=5, unique_by=lambda part: part[0]).map(tuple),
)


@given(entries)
def test_parse_encoded_entry_returns_entry(entry: Entry) -> None:
    """Writing and reading are inverse for every entry."""
    assert parse_entry(entry.encode()) == entry


@given(entries, st.data())
def test_parse_changed_bytes_are_refused_or_another_entry(entry: Entry, data: st.DataObject) -> None:
    """One changed byte gives no entry, or another one whose bytes are exactly those."""
    encoded = entry.encode()
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes([encoded[at] ^ data.draw(st.integers(1, 255))]) + encoded[at + 1 :]
    try:
        parsed = parse_entry(changed)
    except EntryInvalidError:
        return
    assert parsed != entry
    assert parsed.encode() == changed


@given(st.binary(max_size=300))
def test_parse_any_bytes_are_refused_with_typed_error(data: bytes) -> None:
    """Rubbish is refused by a typed error, never by another exception."""
    try:
        parsed = parse_entry(data)
    except EntryInvalidError:
        return
    assert parsed.encode() == data


@given(times)
def test_microseconds_any_time_come_back_exactly(time: datetime) -> None:
    """The head's integer keeps a time exactly."""
    assert from_microseconds(to_microseconds(time)) == time
