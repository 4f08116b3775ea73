"""Entries of the ledger as an auditor reads them: found by time, kind, application and unit, and opened.

All on a connection that the caller opened, and only what a checkpoint covers. Who may read what is decided by the
caller: an institution is a test on a case's row (`mine`), without which everything is told. What was erased reads as
erased, it does not fail.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from gateway.applications.sealing import request_id
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    QueryRecorded,
    RequestAnswered,
    decode_effects,
)
from gateway.cases.model import Application, Outcome
from gateway.storage import tables as t
from gateway.storage.statements import PublishedCheckpoint, find_application, find_checkpoint
from ledger.entry import Entry
from ledger.erasure import erased_parts
from ledger.errors import PartErasedError
from ledger.publish import Publisher
from ledger.store import Ledger, StoredEntry

#: Entries that a page filtered by kind looks at before it is given back short.
SCANNED_ENTRIES_MAX: Final = 5000
_SCAN_ENTRIES: Final = 500

OUTCOME_PART: Final = "outcome"
_EFFECTS_PART: Final = "effects"

Mine = Callable[[Application], bool]

_decode_outcome = msgspec.json.Decoder(Outcome).decode


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries a list holds; None and empty mean all. `subject` is the keyed hash of the unit, under which looks
    at it are found; empty leaves them out.
    """

    after: dt.datetime | None = None
    before: dt.datetime | None = None
    kinds: tuple[str, ...] = ()
    application_id: str = ""
    unit_code: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A part of an entry. `opened` is (salt, content) where it is shown; `erased`: nobody can open it any more."""

    name: str
    opened: tuple[bytes, bytes] | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What an entry is about. `outcome` is None where it was erased; `row` is the application of its act as it stands
    now, None for an act on none; `touched` are all applications that it changed, as it left them.
    """

    actor: str
    request_id: str
    row: Application | None
    touched: tuple[Application, ...]
    outcome: Outcome | None
    effects: tuple[AnyEffect, ...]


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """An entry under a checkpoint with its proof, its parts, what it is about (None: not for this reader), and which
    entry erased its evidence, if one did.
    """

    data: bytes
    origin: str
    checkpoint: PublishedCheckpoint
    inclusion: tuple[bytes, ...]
    parts: tuple[OpenedPart, ...]
    about: About | None
    erased_by: int | None


def instant_index(
    connection: Connection, ledger: Ledger, registry: str, size: int, instant: dt.datetime
) -> int:
    """The first of `size` entries that is not before this instant; `size` where all are.

    Time never goes back along the chain, so an instant has its place there, found by halving.
    """

    def time_of(index: int) -> dt.datetime:
        return ledger.read_entry(connection, registry, index).parse().time

    return bisect_left(range(size), instant, key=time_of)


def read_entry_page(
    connection: Connection,
    ledger: Ledger,
    registry: str,
    wanted: EntryFilter,
    *,
    start: int,
    count: int,
    mine: Mine | None = None,
) -> tuple[list[StoredEntry], int | None]:
    """At most `count` entries from index `start` on that fit, and where the list goes on; None at its end."""
    newest = find_checkpoint(connection, registry)
    stop = newest.size if newest else 0
    if wanted.before is not None:
        stop = instant_index(connection, ledger, registry, stop, wanted.before)
    if wanted.after is not None:
        start = max(start, instant_index(connection, ledger, registry, stop, wanted.after))
    if wanted.application_id or wanted.unit_code:
        places = _places(connection, registry, wanted, mine)
        indexes = [index for index in sorted(places) if start <= index < stop]
        found = [ledger.read_entry(connection, registry, index) for index in indexes]
        fitting = [entry for entry in found if _fits(entry, wanted)]
        return fitting[:count], fitting[count].index if len(fitting) > count else None
    return _scan(connection, ledger, registry, wanted, start, stop, count)


def _scan(
    connection: Connection,
    ledger: Ledger,
    registry: str,
    wanted: EntryFilter,
    start: int,
    stop: int,
    count: int,
) -> tuple[list[StoredEntry], int | None]:
    page: list[StoredEntry] = []
    until = min(stop, start + max(SCANNED_ENTRIES_MAX, count))
    at = start
    while at < until and len(page) < count:
        step = count - len(page) if not wanted.kinds else _SCAN_ENTRIES
        for entry in ledger.read_entries(connection, registry, at, min(step, until - at)):
            at = entry.index + 1
            if _fits(entry, wanted):
                page.append(entry)
                if len(page) == count:
                    break
    return page, at if at < stop else None


def _fits(entry: StoredEntry, wanted: EntryFilter) -> bool:
    return not wanted.kinds or entry.parse().kind in wanted.kinds


def _places(connection: Connection, registry: str, wanted: EntryFilter, mine: Mine | None) -> set[int]:
    """The indexes of the entries of an application, of a unit, or of both."""
    found: list[set[int]] = []
    if wanted.application_id:
        row = find_application(connection, registry, wanted.application_id)
        found.append(_of_application(connection, row) if row is not None and _is_open(row, mine) else set())
    if wanted.unit_code:
        found.append(_of_unit(connection, registry, wanted.unit_code, wanted.subject, mine))
    return set.intersection(*found)


def _is_open(row: Application, mine: Mine | None) -> bool:
    return mine is None or mine(row)


def _of_application(connection: Connection, row: Application) -> set[int]:
    """Entries of acts on it, of its certificates' seals, and whatever else its row says changed it."""
    request = t.request
    acts = select(request.c.entry_index).where(
        request.c.registry == row.registry, request.c.application_id == row.application_id
    )
    seals = select(request.c.entry_index).where(
        request.c.registry == row.registry,
        request.c.institution == "",
        request.c.request_id.in_([request_id(identifier) for identifier in row.certificates]),
    )
    marks = (row.submitted_index, row.accepted_index, row.findings_index, row.last_index)
    found = {index for index in marks if index is not None}
    for statement in (acts, seals):
        found |= set(connection.execute(statement).scalars())
    return found


def _of_unit(
    connection: Connection, registry: str, unit_code: str, subject: str, mine: Mine | None
) -> set[int]:
    link = t.application_unit
    ids = select(link.c.application_id).where(link.c.registry == registry, link.c.unit_code == unit_code)
    found: set[int] = set()
    for application_id in connection.execute(ids).scalars().all():
        row = find_application(connection, registry, application_id)
        if row is not None and _is_open(row, mine):
            found |= _of_application(connection, row)
    if mine is not None:
        return found
    right, unit_right = t.right, t.unit_right
    rows = connection.execute(
        select(right.c.booked_index, right.c.ended_index)
        .select_from(
            unit_right.join(
                right,
                (right.c.registry == unit_right.c.registry) & (right.c.right_id == unit_right.c.right_id),
            )
        )
        .where(unit_right.c.registry == registry, unit_right.c.unit_code == unit_code)
    )
    found |= {index for row in rows for index in row if index is not None}
    if subject:
        look = t.look
        looks = select(look.c.entry_index).where(look.c.registry == registry, look.c.subject == subject)
        found |= set(connection.execute(looks).scalars())
    return found


# -- one entry ---------------------------------------------------------------------------------------------------------


def read_entry_record(
    connection: Connection,
    ledger: Ledger,
    publisher: Publisher,
    registry: str,
    index: int,
    may_know: Callable[[About], bool],
    may_open: Callable[[About], bool],
) -> EntryRecord | None:
    """An entry with its proof under the newest checkpoint; None when none covers it.

    may_know: whether the reader is told what the entry is about. may_open: whether it is shown the outcome, bytes and
    salt; these may speak of other cases too.
    """
    newest = find_checkpoint(connection, registry)
    if newest is None or not 0 <= index < newest.size:
        return None
    stored = ledger.read_entry(connection, registry, index)
    entry = stored.parse()
    opened = {name: _open(connection, ledger, registry, index, name) for name, _ in entry.commitments}
    about = _about(connection, registry, opened)
    return EntryRecord(
        data=stored.data,
        origin=entry.origin,
        checkpoint=newest,
        inclusion=tuple(publisher.prove_inclusion(connection, registry, index, newest.size)),
        parts=tuple(_shown(entry, opened, may_open(about))),
        about=about if may_know(about) else None,
        erased_by=next(iter(erased_parts(connection, registry, index, index + 1).values()), None),
    )


def _open(
    connection: Connection, ledger: Ledger, registry: str, index: int, name: str
) -> tuple[bytes, bytes] | None:
    """(salt, content) of a part that the entry commits to; None when its key was destroyed."""
    try:
        return ledger.read_part(connection, registry, index, name)
    except PartErasedError:
        return None


def _shown(
    entry: Entry, opened: dict[str, tuple[bytes, bytes] | None], open_outcome: bool
) -> Iterable[OpenedPart]:
    for name, _ in entry.commitments:
        part = opened[name]
        yield OpenedPart(name, part if open_outcome and name == OUTCOME_PART else None, erased=part is None)


def _about(connection: Connection, registry: str, opened: dict[str, tuple[bytes, bytes] | None]) -> About:
    answer, changes = opened.get(OUTCOME_PART), opened.get(_EFFECTS_PART)
    outcome = _decode_outcome(answer[1]) if answer else None
    effects = decode_effects(changes[1]) if changes else ()
    answered = next((e for e in effects if isinstance(e, RequestAnswered)), None)
    looked = next((e for e in effects if isinstance(e, QueryRecorded)), None)
    application_id = answered.application_id if answered else ""
    if not application_id and outcome is not None:
        application_id = outcome.application.rpartition("/")[2]
    return About(
        actor=answered.institution if answered else looked.caller if looked else "",
        request_id=answered.request_id if answered else "",
        row=find_application(connection, registry, application_id) if application_id else None,
        touched=tuple(e.application for e in effects if isinstance(e, ApplicationRecorded)),
        outcome=outcome,
        effects=effects,
    )
