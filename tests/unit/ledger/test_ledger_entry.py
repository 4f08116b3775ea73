"""Entries: one spelling, every field within its rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger.entry import Entry, commit_part, parse_entry
from ledger.errors import EntryInvalidError, EntryTooLargeError

DIGEST = bytes(range(32))
ENTRY = Entry(
    origin="ledger.example/r1",
    index=7,
    previous_hash=DIGEST,
    time=datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=UTC),
    kind="application.submitted",
    commitments=(("evidence", DIGEST), ("certificate/1", bytes(32))),
)
DATA = ENTRY.encode()


def test_encode_entry_gives_documented_lines() -> None:
    """An entry is the seven kinds of line that the format names, each ended by a newline."""
    assert DATA.decode().split("\n") == [
        "diya-entry/v1",
        "ledger.example/r1",
        "7",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "2026-03-02T01:02:03.000004Z",
        "application.submitted",
        "evidence AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "certificate/1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "",
    ]
    assert parse_entry(DATA) == ENTRY


def test_encode_time_of_other_zone_is_written_in_utc() -> None:
    """A time is written in UTC, whatever zone it came in."""
    beijing = ENTRY.time.astimezone(timezone(timedelta(hours=8)))
    assert replace(ENTRY, time=beijing).encode() == DATA


@pytest.mark.parametrize(
    "change",
    [
        {"origin": ""},
        {"origin": "two words"},
        {"origin": "a+b"},
        {"origin": "a\nb"},
        {"origin": "抵押"},
        {"origin": "a" * 256},
        {"index": -1},
        {"index": 2**63},
        {"previous_hash": bytes(31)},
        {"time": datetime(2026, 3, 2)},  # noqa: DTZ001
        {"kind": ""},
        {"kind": "Upper"},
        {"kind": "a b"},
        {"kind": "a" * 129},
        {"commitments": (("evidence", bytes(33)),)},
        {"commitments": (("", bytes(32)),)},
        {"commitments": (("a b", bytes(32)),)},
        {"commitments": (("a", bytes(32)), ("a", bytes(32)))},
    ],
    ids=str,
)
def test_encode_field_out_of_rule_is_refused(change: dict[str, object]) -> None:
    """No entry is written that could not be read back."""
    with pytest.raises(EntryInvalidError):
        replace(ENTRY, **change).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"diya-entry/v1", b"diya-entry/v2"),
        (b"\n7\n", b"\n07\n"),
        (b"\n7\n", b"\n-7\n"),
        (b"\n7\n", b"\n9223372036854775808\n"),
        (b"\n7\n", b"\n99999999999999999999\n"),
        (b"\n7\n", b"\n\n"),
        (b"Hh8=\n2026", b"Hh9=\n2026"),  # same bytes, other spare bits
        (b"Hh8=\n2026", b"Hh8\n2026"),
        (b"Z\n", b"+00:00\n"),
        (b".000004Z", b".000004z"),
        (b".000004Z", b".00004Z"),
        (b"2026-03-02", b"2026-02-30"),
        (b"2026-03-02", b"0000-03-02"),
        (b"T01:", b"T24:"),
        (b"T01:", b" 01:"),
        (b"application.submitted", b"Application.submitted"),
        (b"evidence ", b"evidence  "),
        (b"evidence ", b"evidence"),
        (b"certificate/1", b"evidence"),
        (b"=\ncert", b"=\r\ncert"),
        (b"\n", b"\r\n"),
        (b"ledger.example/r1", b"ledger.example/\xc3\xa9"),
    ],
)
def test_parse_other_spelling_is_refused(old: bytes, new: bytes) -> None:
    """There are no two byte strings for one entry, and no entry outside the rules."""
    assert old in DATA
    with pytest.raises(EntryInvalidError):
        parse_entry(DATA.replace(old, new, 1))


@pytest.mark.parametrize(
    "data", [b"", b"\n", DATA[:-1], DATA + b"\n", DATA + b"x", b"\n" + DATA, DATA + DATA]
)
def test_parse_cut_or_grown_bytes_are_refused(data: bytes) -> None:
    """Bytes missing or added at an end are not overlooked."""
    with pytest.raises(EntryInvalidError):
        parse_entry(data)


def test_encode_entry_at_limit_passes_and_one_more_is_refused() -> None:
    """An entry has at most 65,535 bytes, on the way in and on the way out."""
    names = [f"{number:04d}" for number in range(1400)]
    commitments = tuple((name, DIGEST) for name in names)
    room = 65_535 - len(replace(ENTRY, commitments=()).encode())
    count, rest = divmod(room, 50)
    full = (*commitments[: count - 1], (names[count] + "x" * rest, DIGEST))
    data = replace(ENTRY, commitments=full).encode()
    assert len(data) == 65_535
    assert parse_entry(data).commitments == full
    larger = (*commitments[: count - 1], (names[count] + "x" * (rest + 1), DIGEST))
    with pytest.raises(EntryTooLargeError):
        replace(ENTRY, commitments=larger).encode()
    with pytest.raises(EntryTooLargeError):
        parse_entry(data + b"x")


def test_commit_part_salt_of_other_length_is_refused() -> None:
    """A salt has 32 bytes, so that salt and content cannot be divided in two ways."""
    assert commit_part(bytes(32), b"x") != commit_part(bytes(31) + b"\x01", b"x")
    for length in (0, 31, 33):
        with pytest.raises(EntryInvalidError):
            commit_part(bytes(length), b"x")
