"""Reads on snapshots, for everything that is not a decision.

Each method is one read transaction on the reader engine, run in a thread of its own small pool, so that neither the
event loop nor the writer waits for it. Rights are the caller's business: nothing here knows who asks, but where a
method takes an `institution` it gives that institution's rows only.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, func, literal, select, tuple_

from gateway.cases.effects import ErasedFile
from gateway.cases.feed import CounterCase, Notice
from gateway.cases.model import QUEUED, Application
from gateway.certificates.proof import LedgerProof
from gateway.commands import Receipt
from gateway.register.identifiers import county_of
from gateway.register.model import AnyRight, PreNotice, UnitState
from gateway.register.order import OrderLine, RightHistory, in_order
from gateway.statements.desk import RightLine
from gateway.storage import tables as t
from gateway.storage.case_reads import CasePapers, CaseRecord, read_case_papers, read_case_record
from gateway.storage.claims import files_of_case
from gateway.storage.desk_reads import Day, read_day, read_portfolio
from gateway.storage.entry_reads import (
    About,
    EntryFilter,
    EntryRecord,
    Mine,
    instant_index,
    read_entry_page,
    read_entry_record,
)
from gateway.storage.history import cases_of_unit, open_counter_cases, right_history, rights_of_unit
from gateway.storage.paging import make_token, read_token
from gateway.storage.payout_reads import PayoutRecord, phases_of, read_payout, sealed_at
from gateway.storage.settings import Settings, SettingVersion, load_versions
from gateway.storage.statements import (
    ApplicationFilter,
    CertificateFilter,
    PublishedCheckpoint,
    decode_application,
    find_application,
    find_checkpoint,
    find_request,
    first,
    one,
    select_certificates,
    select_newest_applications,
)
from gateway.storage.working import Row, Working
from ledger.erasure import erased_parts
from ledger.publish import Publisher
from ledger.stamp_store import StampedCheckpoint, first_stamped, newest_stamped
from ledger.store import Head, Ledger, StoredEntry

T = TypeVar("T")

#: Read transactions under way at once.
READERS_MAX: Final = 4

#: Events in one answer of `events`; whoever wants more asks again after the last.
EVENTS_MAX: Final = 500

#: Rows that a filtered page looks at before it is given back short, with a token.
SCANNED_ROWS_MAX: Final = 5000

_SCAN_ROWS: Final = 200

_decode_right = msgspec.json.Decoder(AnyRight).decode
_decode_pre_notice = msgspec.json.Decoder(PreNotice).decode


def _none(_registry: str) -> int:
    return 0


class NotYetPublishedError(Exception):
    """No checkpoint covers the entry yet; ask again when one does."""


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry with the way to the newest checkpoint; `checkpoint` is None while none covers it."""

    origin: str
    entry: StoredEntry
    checkpoint: PublishedCheckpoint | None
    inclusion: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UnitView:
    """A unit with its live rights and its open cases in order of acceptance, at one ledger index."""

    state: UnitState
    open_cases: tuple[Application, ...]
    as_of_index: int
    as_of: dt.datetime
    counter_cases: tuple[CounterCase, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A right that somebody holds in some role, and its units as they stand."""

    right: AnyRight
    role: str
    states: tuple[UnitState, ...]


@dataclass(frozen=True, slots=True)
class PersonView:
    """What a person holds, as of a ledger index and its time."""

    held: tuple[Held, ...]
    as_of_index: int
    as_of: dt.datetime


class Queries:
    """The read side. `engine` is the reader engine; `ledger` and `publisher` are shared with the writer."""

    def __init__(self, engine: Engine, ledger: Ledger, publisher: Publisher) -> None:
        self._engine = engine
        self._ledger = ledger
        self._publisher = publisher
        self.cosigned: Callable[[str], int] = (
            _none  # size of a registry's newest checkpoint with a quorum; set once
        )
        self._executor = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="read")

    def close(self) -> None:
        """Let reads under way end, then give the threads back."""
        self._executor.shutdown()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot, in a thread."""

        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    async def apart(self, work: Callable[[Engine, Ledger], T]) -> T:
        """Run `work`, which takes long and opens snapshots of its own, in a thread that no other read waits for."""
        return await asyncio.to_thread(work, self._engine, self._ledger)

    async def snapshot(self, registry: str, work: Callable[[Connection, Head], T]) -> T:
        """Run `work` on one snapshot, told where the chain ends in it."""

        def run(connection: Connection) -> T:
            return work(connection, self._ledger.head(connection, registry, for_update=False))

        return await self.read(run)

    # -- applications and events ---------------------------------------------------------------------------------

    async def application(self, registry: str, application_id: str) -> Application | None:
        """An application's row; None when unknown."""
        return await self.read(lambda connection: find_application(connection, registry, application_id))

    async def units_index(self, registry: str, codes: Sequence[str]) -> int:
        """The last entry in which a right on one of these units began or ended; -1 when none ever did."""

        def work(connection: Connection) -> int:
            working = Working(connection, registry, Settings())
            return max((working.unit_index(code) for code in codes), default=-1)

        return await self.read(work)

    async def applications(
        self,
        registry: str,
        wanted: ApplicationFilter,
        *,
        page_size: int,
        page_token: str = "",
    ) -> tuple[list[Application], str]:
        """Applications, newest first, and the next page's token.

        A page may be short, even empty, while its token says that there is more. Raises PageTokenInvalid.
        """
        query = ("applications", registry, wanted)
        position = read_token(page_token, query, (int,))
        size = max(page_size, 1)

        def work(connection: Connection) -> tuple[list[Application], int | None]:
            """The page, and the last index looked at when there is more."""
            rows: list[Application] = []
            start, before = self._places(connection, registry, wanted)
            before = before if position is None else int(position[0])
            scanned = 0
            while True:
                statement = select_newest_applications(registry, wanted, start, before)
                found = connection.execute(statement.limit(_SCAN_ROWS)).all()
                for index, body in found:
                    row = decode_application(body)
                    fits = wanted.fits(row)
                    if scanned >= SCANNED_ROWS_MAX or (fits and len(rows) == size):
                        return rows, before
                    if fits:
                        rows.append(row)
                    before, scanned = index, scanned + 1
                if len(found) < _SCAN_ROWS:
                    return rows, None

        rows, last = await self.read(work)
        return rows, "" if last is None else make_token(query, (last,))

    def _places(
        self, connection: Connection, registry: str, wanted: ApplicationFilter
    ) -> tuple[int, int | None]:
        """The indexes from which and below which everything was submitted in the wanted time."""
        after, before = wanted.submitted_after, wanted.submitted_before
        if after is None and before is None:
            return 0, None
        size = self._ledger.head(connection, registry, for_update=False).size
        start = 0 if after is None else instant_index(connection, self._ledger, registry, size, after)
        if before is None:
            return start, None
        return start, instant_index(connection, self._ledger, registry, size, before)

    async def case_records(self, registry: str, rows: Sequence[Application]) -> list[CaseRecord]:
        """What is told of each of these cases besides its row, on one snapshot."""
        return await self.read(
            lambda connection: [read_case_record(connection, self._ledger, row) for row in rows]
        )

    async def case_papers(self, row: Application) -> CasePapers:
        """The sections of a case and the later acts on it."""
        return await self.read(lambda connection: read_case_papers(connection, self._ledger, row))

    async def case_phases(self, row: Application) -> tuple[tuple[Application, ...], dt.datetime | None]:
        """Every application of the same case, and when the last certificate of this one was sealed."""
        return await self.read(lambda connection: (phases_of(connection, row), sealed_at(connection, row)))

    async def applications_in(self, registry: str, states: Sequence[str]) -> list[Application]:
        """Every application in one of these states."""
        statement = select(t.application.c.body).where(
            t.application.c.registry == registry, t.application.c.state.in_(states)
        )
        return await self.read(
            lambda connection: [decode_application(body) for (body,) in connection.execute(statement)]
        )

    async def payoffs_watched(self, registry: str) -> list[Application]:
        """Booked phases that left an old mortgage to be released and were not found settled, earliest day first."""
        watch = t.payoff_watch
        statement = (
            select(watch.c.application_id)
            .where(watch.c.registry == registry, watch.c.is_open.is_(True))
            .order_by(watch.c.until, watch.c.application_id)
        )

        def work(connection: Connection) -> list[Application]:
            ids = connection.execute(statement).scalars()
            rows = [find_application(connection, registry, one) for one in ids]
            return [row for row in rows if row is not None]

        return await self.read(work)

    async def unit_states(self, registry: str, codes: Sequence[str]) -> list[UnitState]:
        """Units as they stand, with their live rights; those that the register does not have are left out."""

        def work(connection: Connection) -> list[UnitState]:
            working = Working(connection, registry, Settings())
            return [state for code in codes if (state := working.unit_state(code)) is not None]

        return await self.read(work)

    async def waiting_on(self, registry: str, units: Sequence[str], suspension: str) -> list[Application]:
        """Open cases on these units that are suspended for this reason, in order of acceptance."""
        case = t.open_case
        statement = select(case.c.application_id).where(
            case.c.registry == registry, case.c.unit_code.in_(units), case.c.is_open.is_(True)
        )

        def work(connection: Connection) -> list[Application]:
            ids = set(connection.execute(statement).scalars())
            rows = [find_application(connection, registry, application_id) for application_id in ids]
            waiting = [row for row in rows if row is not None and row.suspension == suspension]
            return sorted(waiting, key=lambda row: row.accepted_index or 0)

        return await self.read(work)

    async def queue(
        self,
        registry: str,
        *,
        states: Sequence[str] = (),
        claimed_by: str | None = None,
        operations: Sequence[str] = (),
        county_code: str = "",
        page_size: int,
        page_token: str = "",
    ) -> tuple[list[Application], str]:
        """Accepted, unfinished cases, oldest acceptance first; `claimed_by` empty means unclaimed, None all.

        `operations`: with one of these at least; `county_code`: with a unit there.

        The queue is read whole: it holds what people have yet to decide, not what the registry has ever done.
        Raises PageTokenInvalid.
        """
        held = sorted(state.value for state in QUEUED)
        states = [s for s in states if s in held] if states else held
        query = ("queue", registry, sorted(states), claimed_by, sorted(operations), county_code)
        position = read_token(page_token, query, (int,))
        statement = select(t.application.c.body).where(
            t.application.c.registry == registry, t.application.c.state.in_(states)
        )

        def work(connection: Connection) -> list[Application]:
            return [decode_application(body) for (body,) in connection.execute(statement)]

        def fits(row: Application) -> bool:
            return (
                claimed_by in (None, row.claimed_by)
                and (not operations or any(name in operations for name in row.operations))
                and (not county_code or any(county_of(code) == county_code for code in row.units))
            )

        after = -1 if position is None else int(position[0])
        waiting = sorted(
            (row for row in await self.read(work) if (row.accepted_index or 0) > after and fits(row)),
            key=lambda row: row.accepted_index or 0,
        )
        rows = waiting[: max(page_size, 1)]
        more = len(waiting) > len(rows)
        return rows, make_token(query, (rows[-1].accepted_index or 0,)) if more else ""

    async def events(self, registry: str, institution: str, after: int) -> tuple[list[Row], int]:
        """At most 500 event rows after a sequence, in order, and the last sequence there is (0 before the first)."""
        table = t.event
        own = (table.c.registry == registry, table.c.institution == institution)

        def work(connection: Connection) -> tuple[list[Row], int]:
            newest = select(table.c.sequence).where(*own).order_by(table.c.sequence.desc()).limit(1)
            last = connection.execute(newest).scalar() or 0
            following = select(table).where(*own, table.c.sequence > after).order_by(table.c.sequence)
            return [dict(row) for row in connection.execute(following.limit(EVENTS_MAX)).mappings()], last

        return await self.read(work)

    # -- the ledger ----------------------------------------------------------------------------------------------

    async def part(self, registry: str, index: int, name: str) -> bytes:
        """The content of an entry's part. Raises PartNotFoundError, PartKeyMissingError (erased)."""
        return (await self.salted_part(registry, index, name))[1]

    async def salted_part(self, registry: str, index: int, name: str) -> tuple[bytes, bytes]:
        """(salt, content) of an entry's part. Raises as `part`."""
        return await self.read(lambda connection: self._ledger.read_part(connection, registry, index, name))

    async def salted_parts(
        self, registry: str, places: Sequence[tuple[int, str]]
    ) -> list[tuple[bytes, bytes]]:
        """(salt, content) of several parts, each named by index and name, on one snapshot."""
        return await self.read(
            lambda connection: [self._ledger.read_part(connection, registry, *place) for place in places]
        )

    async def head(self, registry: str) -> Head:
        """The end of the chain. Raises RegistryUnknownError."""
        return await self.read(lambda connection: self._ledger.head(connection, registry, for_update=False))

    async def entries(self, registry: str, start: int, count: int) -> list[StoredEntry]:
        """At most `count` entries from an index on, without their parts; only those a checkpoint covers."""

        def work(connection: Connection) -> list[StoredEntry]:
            newest = find_checkpoint(connection, registry)
            covered = min(count, (newest.size if newest else 0) - start)
            return self._ledger.read_entries(connection, registry, start, covered) if covered > 0 else []

        return await self.read(work)

    async def entry_page(
        self, registry: str, wanted: EntryFilter, *, start: int, count: int, mine: Mine | None = None
    ) -> tuple[list[StoredEntry], int | None]:
        """At most `count` entries from an index on that fit, and where the list goes on; see `read_entry_page`."""
        return await self.read(
            lambda connection: read_entry_page(
                connection, self._ledger, registry, wanted, start=start, count=count, mine=mine
            )
        )

    async def entry_record(
        self,
        registry: str,
        index: int,
        *,
        may_know: Callable[[About], bool],
        may_open: Callable[[About], bool],
    ) -> EntryRecord | None:
        """An entry with its proof and what it is about; None when no checkpoint covers it."""
        return await self.read(
            lambda connection: read_entry_record(
                connection, self._ledger, self._publisher, registry, index, may_know, may_open
            )
        )

    async def erased_entries(self, registry: str, start: int, stop: int) -> dict[int, int]:
        """Of the entries [start, stop) those whose evidence was erased: by which entry."""

        def work(connection: Connection) -> dict[int, int]:
            return {i: by for (i, _), by in erased_parts(connection, registry, start, stop).items()}

        return await self.read(work)

    async def files_of_case(self, row: Application) -> tuple[ErasedFile, ...]:
        """The files that a case and its later acts name, of those that its institutions uploaded."""
        own = {row.channel_institution, *row.institutions}
        return await self.read(
            lambda connection: files_of_case(connection, self._ledger, row.registry, row.application_id, own)
        )

    async def checkpoint(
        self, registry: str, *, min_size: int = 0, exact: int | None = None
    ) -> PublishedCheckpoint | None:
        """The newest checkpoint, or the first of at least `min_size` entries, or the one of `exact` entries."""
        return await self.read(lambda connection: find_checkpoint(connection, registry, min_size, exact))

    async def stamped_checkpoint(self, registry: str, min_size: int) -> StampedCheckpoint | None:
        """The first checkpoint of at least `min_size` entries that has a time stamp; the newest of them with 0."""
        if not min_size:
            return await self.read(lambda connection: newest_stamped(connection, registry))
        return await self.read(lambda connection: first_stamped(connection, registry, min_size))

    async def inclusion_proof(self, registry: str, index: int, size: int) -> tuple[StoredEntry, list[bytes]]:
        """An entry, and the proof that it is in the tree of `size` entries (`index` < `size`, published)."""

        def work(connection: Connection) -> tuple[StoredEntry, list[bytes]]:
            entry = self._ledger.read_entry(connection, registry, index)
            return entry, list(self._publisher.prove_inclusion(connection, registry, index, size))

        return await self.read(work)

    async def consistency_proof(self, registry: str, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `old` entries is the beginning of that of `new` (both published)."""
        return await self.read(
            lambda connection: list(self._publisher.prove_consistency(connection, registry, old, new))
        )

    async def entry_proof(self, registry: str, index: int) -> EntryProof:
        """An entry and the way to the newest checkpoint; to the newest with a quorum of witnesses, where it is in one.

        Raises EntryNotFoundError."""
        return await self.read(lambda connection: self._entry_proof(connection, registry, index))

    async def receipt(
        self,
        registry: str,
        actor: str,
        *,
        request_id: str | None = None,
        index: int | None = None,
        applicant: str = "",
    ) -> Receipt | None:
        """The receipt of an act under the newest checkpoint; None unless the act was this institution's or registrar's,
        and on a case of `applicant` where one is named.
        """

        def work(connection: Connection) -> Receipt | None:
            row = find_request(connection, registry, actor, request_id, index)
            if row is None:
                return None
            if applicant:
                case = find_application(connection, registry, row["application_id"])
                if case is None or case.applicant_institution != applicant:
                    return None
            return self._receipt(connection, registry, row["entry_index"])

        return await self.read(work)

    def _entry_proof(
        self, connection: Connection, registry: str, index: int, *, last: int | None = None
    ) -> EntryProof:
        """An entry under the checkpoint that is handed out for `last`, an entry not before it, by default itself."""
        head = self._ledger.head(connection, registry, for_update=False)
        entry = self._ledger.read_entry(connection, registry, index)
        cosigned = self.cosigned(registry)
        covered = (index if last is None else last) < cosigned
        newest = find_checkpoint(connection, registry, exact=cosigned if covered else None)
        if newest is None or newest.size <= index:
            return EntryProof(head.origin, entry, None, ())
        proof = self._publisher.prove_inclusion(connection, registry, index, newest.size)
        return EntryProof(head.origin, entry, newest, tuple(proof))

    def _receipt(self, connection: Connection, registry: str, index: int) -> Receipt:
        proof = self._entry_proof(connection, registry, index)
        payload_salt, _ = self._ledger.read_part(connection, registry, index, "evidence/payload")
        outcome_salt, outcome_part = self._ledger.read_part(connection, registry, index, "outcome")
        return Receipt(
            registry=registry,
            origin=proof.origin,
            index=index,
            entry=proof.entry.data,
            entry_hash=proof.entry.entry_hash(),
            checkpoint=proof.checkpoint.note if proof.checkpoint else None,
            inclusion_proof=proof.inclusion,
            payload_salt=payload_salt,
            outcome_salt=outcome_salt,
            outcome_part=outcome_part,
        )

    # -- certificates --------------------------------------------------------------------------------------------

    async def certificate(self, registry: str, identifier: str) -> Row | None:
        """A certificate's row; None when unknown."""
        return await self.read(lambda connection: one(connection, t.certificate, registry, identifier))

    async def certificate_of_pdf(self, registry: str, pdf_sha256: str) -> Row | None:
        """The certificate whose sealed PDF has this hex digest."""
        table = t.certificate
        statement = select(table).where(table.c.registry == registry, table.c.pdf_sha256 == pdf_sha256)
        return await self.read(lambda connection: first(connection, statement))

    async def certificates(
        self, registry: str, wanted: CertificateFilter, *, page_size: int, page_token: str = ""
    ) -> tuple[list[Row], str]:
        """Certificate rows, newest booking first, and the next page's token. Raises PageTokenInvalid."""
        query = ("certificates", registry, wanted)
        position = read_token(page_token, query, (int, str))
        size = max(page_size, 1)
        table = t.certificate

        def work(connection: Connection) -> list[Row]:
            statement = select_certificates(connection, registry, wanted)
            if position is not None:
                statement = statement.where(
                    tuple_(table.c.entry_index, table.c.part) < tuple_(*map(literal, position))
                )
            statement = statement.order_by(table.c.entry_index.desc(), table.c.part.desc()).limit(size + 1)
            return [dict(row) for row in connection.execute(statement).mappings()]

        found = await self.read(work)
        rows = found[:size]
        token = make_token(query, (rows[-1]["entry_index"], rows[-1]["part"])) if len(found) > size else ""
        return rows, token

    async def payout_record(self, registry: str, identifier: str) -> PayoutRecord | None:
        """What a payout check is answered from, on one snapshot; None for an unknown certificate."""
        return await self.read(lambda connection: read_payout(connection, self._ledger, registry, identifier))

    async def unsealed_certificates(self, registry: str) -> list[str]:
        """Identifiers of the certificates that are numbered and have no PDF yet, oldest first."""
        table = t.certificate
        statement = (
            select(table.c.identifier)
            .where(table.c.registry == registry, table.c.state == "NUMBERED", table.c.pdf_sha256.is_(None))
            .order_by(table.c.entry_index, table.c.part)
        )
        return await self.read(lambda connection: list(connection.execute(statement).scalars()))

    async def unsealed_since(self, registry: str) -> list[tuple[str, dt.datetime]]:
        """The same, each with the time of the entry that numbered it."""
        identifiers = await self.unsealed_certificates(registry)

        def work(connection: Connection) -> list[tuple[str, dt.datetime]]:
            found = []
            for identifier in identifiers:
                row = one(connection, t.certificate, registry, identifier)
                if row is not None:
                    entry = self._ledger.read_entry(connection, registry, row["entry_index"])
                    found.append((identifier, entry.parse().time))
            return found

        return await self.read(work)

    async def certificate_proof(self, registry: str, index: int, part: str) -> LedgerProof:
        """The proof that goes into a certificate's PDF. Raises NotYetPublishedError while no checkpoint covers it."""

        def work(connection: Connection) -> LedgerProof:
            proof = self._entry_proof(connection, registry, index)
            if proof.checkpoint is None:
                raise NotYetPublishedError(f"entry {index} of {registry} is under no checkpoint yet")
            salt, _ = self._ledger.read_part(connection, registry, index, part)
            return LedgerProof(
                origin=proof.origin,
                index=index,
                part=part,
                salt=salt,
                entry=proof.entry.data,
                inclusion=proof.inclusion,
                checkpoint=proof.checkpoint.note.decode(),
            )

        return await self.read(work)

    def subject(self, registry: str, kind: str, value: str) -> str:
        """A keyed hash (hex) of `value`, to be found again by; nobody reads it back."""
        return self._ledger.subject(registry, kind, value)

    # -- the counter's feed ----------------------------------------------------------------------------------------

    async def feed_acts_held(self, registry: str) -> int:
        """How many acts of the feed wait for a hole to be closed."""
        table = t.feed_act
        held = table.c.applied_index.is_(None)
        statement = select(func.count()).where(table.c.registry == registry, held)
        return await self.read(lambda connection: connection.execute(statement).scalar() or 0)

    async def unread_notices(self, registry: str, institution: str, upto: int) -> list[Notice]:
        """Seizures that an institution was told of, up to an event, and has not yet stated to have read."""
        table = t.notification
        statement = select(table.c.right_id, table.c.sequence).where(
            table.c.registry == registry,
            table.c.institution == institution,
            table.c.read_at.is_(None),
            table.c.sequence <= upto,
        )
        return await self.read(
            lambda connection: [
                Notice(right_id=right, sequence=sequence) for right, sequence in connection.execute(statement)
            ]
        )

    async def notices(self, registry: str, unit_code: str) -> list[Row]:
        """Who was told of the seizures of a unit, in order."""
        table = t.notification
        statement = (
            select(table)
            .where(table.c.registry == registry, table.c.unit_code == unit_code)
            .order_by(table.c.told_at, table.c.institution)
        )
        return await self.read(
            lambda connection: [dict(row) for row in connection.execute(statement).mappings()]
        )

    async def right(self, registry: str, right_id: str) -> RightHistory | None:
        """A right with the entries that booked and ended it; None when the register never had it."""
        return await self.read(lambda connection: right_history(connection, registry, right_id))

    async def history(self, registry: str, unit_codes: Sequence[str]) -> list[RightHistory]:
        """Every right that was ever booked on these units, each once, in order of the ledger."""

        def work(connection: Connection) -> list[RightHistory]:
            rows = [row for code in unit_codes for row in rights_of_unit(connection, registry, code)]
            return list({row.right.right_id: row for row in rows}.values())

        return await self.read(work)

    async def order_of_unit(
        self, registry: str, unit_code: str
    ) -> tuple[tuple[OrderLine, ...], list[EntryProof]] | None:
        """What came first on a unit, and each entry that it rests on under the newest checkpoint; None without such
        a unit. Raises NotYetPublishedError while a checkpoint is late.
        """

        def work(connection: Connection) -> tuple[tuple[OrderLine, ...], list[EntryProof]] | None:
            if one(connection, t.unit, registry, unit_code) is None:
                return None
            lines = in_order(
                rights_of_unit(connection, registry, unit_code),
                cases_of_unit(connection, registry, unit_code),
            )
            indexes = sorted({line.index for line in lines})
            proofs = [self._entry_proof(connection, registry, index, last=indexes[-1]) for index in indexes]
            if any(proof.checkpoint is None for proof in proofs):
                raise NotYetPublishedError(f"entries of {registry} are under no checkpoint yet")
            return lines, proofs

        return await self.read(work)

    # -- a lender's desk -----------------------------------------------------------------------------------------

    async def day(
        self, registry: str, institution: str, codes: frozenset[str], start: dt.datetime, end: dt.datetime
    ) -> Day:
        """What an institution was told from `start` to before `end`."""
        return await self.read(
            lambda connection: read_day(connection, self._ledger, registry, institution, codes, start, end)
        )

    async def portfolio(
        self, registry: str, codes: frozenset[str], as_of_index: int, after: str = ""
    ) -> tuple[list[RightLine], str]:
        """One chunk of the mortgages that were live at an entry, and after which right id the next one begins."""
        return await self.read(
            lambda connection: read_portfolio(connection, registry, codes, as_of_index, after)
        )

    # -- register and files --------------------------------------------------------------------------------------

    async def unit(self, registry: str, unit_code: str) -> UnitView | None:
        """A unit as it stands, with its live rights and open cases; None when the register has no such unit."""

        def work(connection: Connection) -> UnitView | None:
            working = Working(connection, registry, Settings())
            state = working.unit_state(unit_code)
            if state is None:
                return None
            head = self._ledger.head(connection, registry, for_update=False)
            cases = [working.application(case.application_id) for case in working.open_cases(unit_code)]
            return UnitView(
                state,
                tuple(c for c in cases if c is not None),
                head.size - 1,
                head.head_time,
                tuple(open_counter_cases(connection, registry, unit_code)),
            )

        return await self.read(work)

    async def rights_of(self, registry: str, person: str) -> PersonView:
        """The live rights of a person, by its keyed hash, each with its role and the units that it lies on."""
        found = t.person_right
        statement = select(found.c.right_id, found.c.role).where(
            found.c.registry == registry, found.c.person == person, found.c.live
        )

        def work(connection: Connection) -> PersonView:
            head = self._ledger.head(connection, registry, for_update=False)
            roles = {row.right_id: row.role for row in connection.execute(statement)}
            working = Working(connection, registry, Settings())
            held = []
            for right_id, role in roles.items():
                row = working.row(t.right, right_id)
                assert row is not None  # a person's right is a right
                right = _decode_right(row["body"])
                states = tuple(state for code in right.units if (state := working.unit_state(code)))
                held.append(Held(right, role, states))
            held.sort(key=lambda one: (one.right.booked_at, one.right.right_id))
            return PersonView(tuple(held), head.size - 1, head.head_time)

        return await self.read(work)

    async def unit_codes(self, registry: str) -> frozenset[str]:
        """The code of every unit that the register has."""
        statement = select(t.unit.c.unit_code).where(t.unit.c.registry == registry)
        return await self.read(lambda connection: frozenset(connection.execute(statement).scalars()))

    async def rights(self, registry: str, unit_code: str) -> list[tuple[AnyRight, bool]]:
        """Every right that was ever booked on a unit, in order of booking, each with whether it is live."""
        join = t.unit_right.join(
            t.right,
            (t.right.c.registry == t.unit_right.c.registry) & (t.right.c.right_id == t.unit_right.c.right_id),
        )
        statement = (
            select(t.right.c.body, t.right.c.live)
            .select_from(join)
            .where(t.unit_right.c.registry == registry, t.unit_right.c.unit_code == unit_code)
            .order_by(t.right.c.booked_index, t.right.c.right_id)
        )
        return await self.read(
            lambda connection: [(_decode_right(body), live) for body, live in connection.execute(statement)]
        )

    async def live_pre_notices(self, registry: str) -> list[PreNotice]:
        """Every live pre-notice of a registry."""
        statement = select(t.right.c.body).where(
            t.right.c.registry == registry, t.right.c.kind == "PRE_NOTICE", t.right.c.live.is_(True)
        )
        return await self.read(
            lambda connection: [_decode_pre_notice(body) for (body,) in connection.execute(statement)]
        )

    async def live_pre_notice(self, registry: str, right_id: str) -> PreNotice | None:
        """A live pre-notice; None when no live right of that id is one."""
        row = await self.read(lambda connection: one(connection, t.right, registry, right_id))
        if row is None or not row["live"] or row["kind"] != "PRE_NOTICE":
            return None
        return _decode_pre_notice(row["body"])

    async def file(self, registry: str, institution: str, sha256: str) -> Row | None:
        """The row of a file in an institution's own name space; None when that institution did not upload it."""
        return await self.read(lambda connection: one(connection, t.file, registry, institution, sha256))

    async def files(self, registry: str, places: Sequence[tuple[str, str]]) -> list[Row | None]:
        """The rows of several files, each named by institution and digest; None for one that is not there."""
        return await self.read(
            lambda connection: [one(connection, t.file, registry, *place) for place in places]
        )

    async def paper(self, registry: str, sha256: str) -> Row | None:
        """Which case a signed paper backs or backed last; None when none."""
        return await self.read(lambda connection: one(connection, t.paper, registry, sha256))

    async def request(self, registry: str, institution: str, request_id: str) -> Row | None:
        """What became of a request id; None when it was never used."""
        return await self.read(
            lambda connection: find_request(connection, registry, institution, request_id, None)
        )

    async def setting_versions(self, registry: str, name: str) -> list[tuple[dt.datetime, SettingVersion]]:
        """Every version of the profile or of the rule set (`rules`) with the instant of its entry, the first first."""

        def work(connection: Connection) -> list[tuple[dt.datetime, SettingVersion]]:
            ledger = self._ledger
            return [
                (ledger.read_entry(connection, registry, one.entry_index).parse().time, one)
                for one in load_versions(connection, registry, name)
            ]

        return await self.read(work)

    async def setting_index(self, registry: str, name: str) -> int:
        """Index of the entry that set a setting (`profile`, `rules`, …); 0 when it was never set."""
        row = await self.read(lambda connection: one(connection, t.setting, registry, name))
        return int(row["entry_index"]) if row else 0
