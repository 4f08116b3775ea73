"""An entry of the ledger, byte for byte (docs/ledger-format.md, section 1).

An entry is a few lines of ASCII: which log, which index, what came before, when, what kind of act,
and one commitment for each part. It names no person, unit or institution: the parts lie beside the
chain, encrypted. This module never reads a database, a clock or a source of randomness.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from ledger.errors import EntryInvalidError, EntryTooLargeError
from ledger.hashing import HASH_BYTES, leaf_hash, salted_hash

ENTRY_VERSION: Final = "diya-entry/v1"
ENTRY_BYTES_MAX: Final = 65_535
"""An entry bundle of C2SP tlog-tiles gives the length of an entry in 16 bits."""
INDEX_MAX: Final = 2**63 - 1
"""The largest index that a BIGINT column holds."""
NAME_CHARACTERS_MAX: Final = 128
ORIGIN_CHARACTERS_MAX: Final = 255
SALT_BYTES: Final = 32
NO_PREVIOUS: Final = bytes(HASH_BYTES)
"""The previous hash of entry 0."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NAME: Final = re.compile(rf"[a-z0-9./_-]{{1,{NAME_CHARACTERS_MAX}}}")
# A signed note's key name has no space and no plus sign, and ours equals the origin.
_ORIGIN: Final = re.compile(rf"[!-*,-~]{{1,{ORIGIN_CHARACTERS_MAX}}}")
# 32 bytes in base64 have 43 digits, of which the last carries two unused bits: only zero is valid.
_DIGEST: Final = r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_ENTRY: Final = re.compile(
    rf"""{re.escape(ENTRY_VERSION)}\n
    ({_ORIGIN.pattern})\n
    (0|[1-9][0-9]{{0,18}})\n
    ({_DIGEST})\n
    ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\.[0-9]{{6}}Z)\n
    ({_NAME.pattern})\n
    ((?:{_NAME.pattern}[ ]{_DIGEST}\n)*)""".encode(),
    re.VERBOSE,
)
_TIME_LINE: Final = 4  # from 0
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    origin: the log's name, 1..255 visible ASCII characters without "+".
    index: place in the log, from 0.
    previous_hash: entry hash of the entry before, 32 bytes; 32 zero bytes for index 0.
    time: aware datetime; stored in UTC with microseconds.
    kind: what happened, 1..128 of [a-z0-9./_-].
    commitments: (part name, SHA-256(salt || content)) in the order of the draft; names differ.
    """

    origin: str
    index: int
    previous_hash: bytes
    time: datetime
    kind: str
    commitments: tuple[tuple[str, bytes], ...]

    def encode(self) -> bytes:
        """Return the bytes of the entry, at most 65,535.

        Raises EntryInvalidError where a field breaks its rule, EntryTooLargeError over the limit.
        """
        check_origin(self.origin)
        _check_index(self.index)
        _check_digest("previous_hash", self.previous_hash)
        for name, digest in self.commitments:
            _check_digest(f"commitment of part {name}", digest)
        _check_distinct([name for name, _ in self.commitments])
        lines = b"".join(part_line_start(name) + b2a_base64(digest) for name, digest in self.commitments)
        prefix = entry_prefix(self.origin)
        middle = format_time(self.time).encode() + b"\n"
        return join_entry(prefix, self.index, self.previous_hash, middle + kind_line(self.kind) + lines)

    def entry_hash(self) -> bytes:
        """Return the RFC 6962 leaf hash of the entry's bytes: the next entry's previous hash."""
        return leaf_hash(self.encode())


def parse_entry(data: bytes) -> Entry:
    """Return the entry whose one and only encoding is `data`.

    Raises EntryTooLargeError over 65,535 bytes, EntryInvalidError for anything that `encode` would
    not have written: there are no two spellings of one entry.
    """
    match = _match(data)
    origin, _, previous, time_text, kind, _ = match.groups()
    index, names, digests = _read_match(match)
    return Entry(
        origin=origin.decode(),
        index=index,
        previous_hash=a2b_base64(previous),
        time=parse_time(time_text.decode()),
        kind=kind.decode(),
        commitments=tuple(zip(names, digests, strict=True)),
    )


def read_entry_time(data: bytes) -> datetime:
    """Return the time of an entry, UTC, whose other lines are not looked at. Raises EntryInvalidError."""
    lines = data.split(b"\n", _TIME_LINE + 1)
    if len(lines) <= _TIME_LINE:
        raise EntryInvalidError("bytes", "are not the lines of docs/ledger-format.md, section 1")
    return parse_time(lines[_TIME_LINE].decode("ascii", "replace"))


def parse_commitments(data: bytes) -> tuple[int, list[str], list[bytes]]:
    """Return the index of an entry, the names of its parts and what it commits to, 32 bytes each.

    Raises whatever `parse_entry` raises, and builds nothing else: for those who read millions.
    """
    match = _match(data)
    parse_time(match[4].decode())
    return _read_match(match)


def _match(data: bytes) -> re.Match[bytes]:
    if len(data) > ENTRY_BYTES_MAX:
        raise EntryTooLargeError("entry", len(data), ENTRY_BYTES_MAX)
    match = _ENTRY.fullmatch(data)
    if match is None:
        raise EntryInvalidError("bytes", "are not the lines of docs/ledger-format.md, section 1")
    return match


def _read_match(match: re.Match[bytes]) -> tuple[int, list[str], list[bytes]]:
    index = int(match[2])
    _check_index(index)
    fields = match[6].split()
    names = [name.decode() for name in fields[::2]]
    _check_distinct(names)
    return index, names, [a2b_base64(digest) for digest in fields[1::2]]


def commit_part(salt: bytes, content: bytes) -> bytes:
    """Return SHA-256(salt || content), 32 bytes.

    `salt` is 32 random bytes: whoever holds it can prove the content, nobody else can guess it.
    Raises EntryInvalidError for a salt of another length.
    """
    if len(salt) != SALT_BYTES:
        raise EntryInvalidError("salt", f"must have {SALT_BYTES} bytes, it has {len(salt)}")
    return salted_hash(salt + content)


def check_origin(origin: str) -> None:
    """Raise EntryInvalidError unless `origin` can name a log."""
    if _ORIGIN.fullmatch(origin) is None:
        raise EntryInvalidError("origin", "must be 1..255 visible ASCII characters without '+'")


@lru_cache(maxsize=1024)
def kind_line(kind: str) -> bytes:
    """Return the line of a kind, with its newline. Raises EntryInvalidError."""
    return check_name("kind", kind) + b"\n"


@lru_cache(maxsize=1024)
def part_line_start(name: str) -> bytes:
    """Return the name and the space that begin the line of a part. Raises EntryInvalidError."""
    return check_name("part name", name) + b" "


def check_name(field: str, name: str) -> bytes:
    """Return `name` as bytes; raise EntryInvalidError unless it is 1..128 of [a-z0-9./_-]."""
    if _NAME.fullmatch(name) is None:
        raise EntryInvalidError(field, f"must be 1..{NAME_CHARACTERS_MAX} of a-z 0-9 . / _ -")
    return name.encode()


def format_time(time: datetime) -> str:
    """Return `time` in UTC as YYYY-MM-DDTHH:MM:SS.ffffffZ. Raises EntryInvalidError if naive."""
    if time.tzinfo is None:
        raise EntryInvalidError("time", "must carry its time zone")
    return time.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


@lru_cache(maxsize=1024)
def parse_time(text: str) -> datetime:
    """Return the UTC datetime that `format_time` wrote. Raises EntryInvalidError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise EntryInvalidError("time", "is no time of the calendar") from error
    if time.tzinfo is None or format_time(time) != text:
        raise EntryInvalidError("time", "is not written as YYYY-MM-DDTHH:MM:SS.ffffffZ")
    return time


def to_microseconds(time: datetime) -> int:
    """Return the microseconds from 1970-01-01T00:00:00Z to an aware `time`, exactly."""
    return (time - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC datetime `microseconds` after 1970-01-01T00:00:00Z, exactly."""
    return EPOCH + timedelta(microseconds=microseconds)


def entry_prefix(origin: str) -> bytes:
    """Return the first two lines of every entry of a log, which `origin` names."""
    return f"{ENTRY_VERSION}\n{origin}\n".encode()


def link_line(index: int, previous_hash: bytes) -> bytes:
    """Return the lines of index and previous hash: what ties an entry to its place."""
    return b"%d\n%b" % (index, b2a_base64(previous_hash))


def join_entry(prefix: bytes, index: int, previous_hash: bytes, rest: bytes) -> bytes:
    """Return the bytes of an entry from lines that were checked before; check the total size.

    prefix: from `entry_prefix`. rest: the lines of time, kind and parts. Raises EntryTooLargeError.
    """
    data = prefix + link_line(index, previous_hash) + rest
    if len(data) > ENTRY_BYTES_MAX:
        raise EntryTooLargeError(f"entry {index}", len(data), ENTRY_BYTES_MAX)
    return data


def _check_index(index: int) -> None:
    if not 0 <= index <= INDEX_MAX:
        raise EntryInvalidError("index", f"must lie in 0..{INDEX_MAX}")


def _check_digest(field: str, digest: bytes) -> None:
    if len(digest) != HASH_BYTES:
        raise EntryInvalidError(field, f"must have {HASH_BYTES} bytes, it has {len(digest)}")


def _check_distinct(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise EntryInvalidError("part names", "must differ from each other")
