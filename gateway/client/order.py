"""Verifying a statement of what came first, offline, with the registry's verifier key alone (docs/order-statement.md).

The signature says that the authority states this order; the proofs say that every entry it names is in the ledger, at
that place and time, for ever. What an entry holds is encrypted: that a line is about it is the authority's word.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from gateway.client.errors import DownloadInvalid
from ledger.checkpoint import Checkpoint, open_checkpoint, open_note
from ledger.entry import Entry, parse_entry, parse_time
from ledger.errors import LedgerError
from ledger.hashing import leaf_hash
from ledger.proof import verify_inclusion

SCHEMA: Final = "diya-order-file/v1"
VERSION: Final = "diya-order/v1"
_HEAD_LINES: Final = 5
_FIELDS: Final = 6


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One fact, as the authority states it, with the entry that it rests on."""

    number: int
    at: datetime
    fact: str
    subject: str
    identity: str
    reference: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class OrderStatement:
    """A statement that holds: whose ledger, which unit, when it was made, its lines in order."""

    registry: str
    unit_code: str
    made_at: datetime
    checkpoint: Checkpoint
    lines: tuple[OrderLine, ...]


def verify_order(data: bytes, vkeys: Sequence[str]) -> OrderStatement:
    """The statement in a file, verified by any of the registry's verifier keys. Raises DownloadInvalid."""
    try:
        file = json.loads(data)
        if file["schema"] != SCHEMA:
            raise _wrong("it is no statement of order", "不是先后证明")
        note, checkpoint = file["note"].encode(), file["checkpoint"].encode()
        entries = {int(e["index"]): e for e in file["entries"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong("it is no statement of order", "不是先后证明") from error
    found: LedgerError | None = None
    for vkey in vkeys:
        try:
            return _read(open_note(note, vkey), open_checkpoint(checkpoint, vkey), entries)
        except LedgerError as error:
            found = error
    raise _wrong(f"no trusted key verifies it: {found}", "没有可信的公钥能验证它")


def _read(text: str, checkpoint: Checkpoint, entries: dict[int, Any]) -> OrderStatement:
    head, body = text.splitlines()[:_HEAD_LINES], text.splitlines()[_HEAD_LINES:]
    if len(head) < _HEAD_LINES or head[0] != VERSION or head[1] != checkpoint.origin:
        raise _wrong("its head is not that of a statement of this ledger", "首部不是本账本的先后证明")
    proven = {index: _entry(index, entry, checkpoint) for index, entry in entries.items()}
    lines = tuple(_line(number, line, proven) for number, line in enumerate(body, start=1))
    if any(a.at > b.at for a, b in pairwise(lines)):
        raise _wrong("its lines are not in order", "各行次序有误")
    return OrderStatement(
        registry=head[2].removeprefix("registry "),
        unit_code=head[3].removeprefix("unit "),
        made_at=parse_time(head[4].removeprefix("made-at ")),
        checkpoint=checkpoint,
        lines=lines,
    )


def _entry(index: int, file: Any, checkpoint: Checkpoint) -> Entry:
    """One entry, proven to be in the tree of the checkpoint. Raises LedgerError, DownloadInvalid."""
    try:
        data = b64decode(file["entry"], validate=True)
        proof = [b64decode(hash_, validate=True) for hash_ in file["proof"]]
    except (Base64Error, KeyError, TypeError, ValueError) as error:
        raise _wrong(f"entry {index} is malformed", f"第 {index} 号记录格式错误") from error
    verify_inclusion(index, checkpoint.size, leaf_hash(data), proof, checkpoint.root)
    entry = parse_entry(data)
    if entry.index != index or entry.origin != checkpoint.origin:
        raise _wrong(f"entry {index} is another one", f"第 {index} 号记录不符")
    return entry


def _line(number: int, text: str, proven: dict[int, Entry]) -> OrderLine:
    fields = text.split(" ", _FIELDS - 1)
    try:
        stated, at, index, fact, subject, names = fields
        identity, reference = json.loads(names)
        entry = proven[int(index)]
        counts_from = parse_time(at)
    except (ValueError, KeyError, TypeError, LedgerError) as error:
        raise _wrong(
            f"line {number} rests on no entry of the file", f"第 {number} 行没有对应的账本记录"
        ) from error
    if int(stated) != number or counts_from > entry.time:
        raise _wrong(f"line {number} is not what it should be", f"第 {number} 行有误")
    return OrderLine(number, counts_from, fact, subject, identity, reference, entry)


def _wrong(en: str, zh: str) -> DownloadInvalid:
    return DownloadInvalid("order statement", en, zh)
