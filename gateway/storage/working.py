"""The working set of one batch for one registry: rows loaded in bulk, changed in memory, written back in bulk.

`fold` is the only code that turns effects into view rows; the sequencer and a rebuild both go through it. A row that
was not prefetched is fetched singly, so prefetching is speed, never correctness.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, select

from gateway.cases import effects as fx
from gateway.cases.model import QUEUED, Application, OpenCase
from gateway.cases.trust import Evidence, EvidenceKind, evidence_of
from gateway.register.holding import whose
from gateway.register.model import AnyRight, PreNotice, Unit, UnitState, certificate_numbers
from gateway.storage import tables as t
from gateway.storage.settings import Settings
from ledger.rows import read_rows, write_rows

_encode = msgspec.json.Encoder().encode
_decode_unit = msgspec.json.Decoder(Unit).decode
_decode_right = msgspec.json.Decoder(AnyRight).decode
_decode_application = msgspec.json.Decoder(Application).decode

Row = dict[str, Any]

#: Registry, kind and value in; a keyed hash (hex) out.
Subject = Callable[[str, str, str], str]


@dataclass(slots=True)
class Wants:
    """What a command will read, so that a batch loads it in a few queries."""

    requests: set[tuple[str, str]] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    files: set[tuple[str, str]] = field(default_factory=set)
    papers: set[str] = field(default_factory=set)
    applications: set[str] = field(default_factory=set)
    certificate_numbers: set[str] = field(default_factory=set)
    certificates: set[str] = field(default_factory=set)
    counters: set[str] = field(default_factory=set)

    def merge(self, other: Wants) -> None:
        """Add another command's wants."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))


@dataclass(slots=True)
class _Pending:
    """A row to write: inserted when new, else upserted whole; without one, the row of that key is to go."""

    row: Row | None
    new: bool


class Working:
    """Views of one registry, as of the transaction of `connection`, with this batch's changes."""

    def __init__(
        self, connection: Connection, registry: str, settings: Settings, subject: Subject | None = None
    ) -> None:
        """`subject` hashes identity numbers (`Ledger.subject`); who only reads needs none."""
        self._subject = subject
        self.registry = registry
        self.settings = settings
        self._connection = connection
        self._rows: dict[Table, dict[tuple[Any, ...], Row | None]] = {
            table: {} for table in (*t.VIEWS, t.file)
        }
        self._pending: dict[Table, dict[tuple[Any, ...], _Pending]] = {}
        self._live_rights: dict[str, dict[str, AnyRight]] = {}
        self._open_cases: dict[str, dict[str, OpenCase]] = {}
        self._by_number: dict[str, str] = {}

    # -- loading -------------------------------------------------------------------------------------------------

    def prefetch(self, wants: Wants) -> None:
        """Load what a batch wants, one query a table."""
        self._load(t.request, wants.requests)
        self._load(t.unit, {(u,) for u in wants.units})
        self._load(t.file, wants.files)
        self._load(t.paper, {(p,) for p in wants.papers})
        self._load(t.application, {(a,) for a in wants.applications})
        self._load(t.certificate, {(c,) for c in wants.certificates})
        self._load(t.counter, {(c,) for c in wants.counters})
        self._load_rights(wants.units - self._live_rights.keys())
        self._load_open_cases(wants.units - self._open_cases.keys())
        # Each of these units is looked at with the numbers of its papers: asked for here, one query serves the batch.
        numbers = set(wants.certificate_numbers)
        for code in wants.units:
            numbers |= certificate_numbers(self._live_rights[code].values())
        self._load_numbers(numbers - self._by_number.keys())

    def _load(self, table: Table, keys: Iterable[tuple[Any, ...]]) -> None:
        cache = self._rows[table]
        missing = [key for key in keys if key not in cache]
        if not missing:
            return
        columns = [c.name for c in table.primary_key.columns][1:]
        for key in missing:
            cache[key] = None
        names = table.columns.keys()
        places = [names.index(name) for name in columns]
        for found in read_rows(self._connection, table, self.registry, columns, missing):
            cache[tuple(found[place] for place in places)] = dict(zip(names, found, strict=True))

    def _load_rights(self, units: set[str]) -> None:
        """The live rights of units, in the order in which they were booked."""
        if not units:
            return
        for code in units:
            self._live_rights[code] = {}
        links = [
            (link["unit_code"], link["right_id"])
            for link in self._read(t.unit_right, "unit_code", units)
            if link["live"]
        ]
        rights = {row["right_id"]: row for row in self._read(t.right, "right_id", {r for _, r in links})}
        for code, right_id in sorted(links, key=lambda link: (rights[link[1]]["booked_index"], link[1])):
            self._live_rights[code][right_id] = _decode_right(rights[right_id]["body"])

    def _load_open_cases(self, units: set[str]) -> None:
        for code in units:
            self._open_cases[code] = {}
        for found in self._read(t.open_case, "unit_code", units):
            if found["is_open"]:
                self._open_cases[found["unit_code"]][found["application_id"]] = OpenCase(
                    application_id=found["application_id"],
                    accepted_index=found["accepted_index"],
                    rights=tuple(filter(None, found["rights"].split(","))),
                )

    def _load_numbers(self, numbers: set[str]) -> None:
        # Numbers of papers that we did not issue are common: an absence is remembered too.
        self._by_number.update(dict.fromkeys(numbers, ""))
        for found in self._read(t.certificate, "number", numbers):
            self._by_number[found["number"]] = found["identifier"]
            # Whoever asks for the certificate of a number asks for its holders next.
            self._rows[t.certificate].setdefault((found["identifier"],), found)

    def _read(self, table: Table, column: str, values: Iterable[str]) -> list[Row]:
        """Rows by one column."""
        names = table.columns.keys()
        keys = [(value,) for value in values]
        found = read_rows(self._connection, table, self.registry, [column], keys)
        return [dict(zip(names, row, strict=True)) for row in found]

    # -- reading -------------------------------------------------------------------------------------------------

    def row(self, table: Table, *key: Any) -> Row | None:
        """A row by its key without the registry; None when there is none."""
        cache = self._rows[table]
        if key not in cache:
            self._load(table, {key})
        return cache[key]

    def unit_state(self, code: str) -> UnitState | None:
        """A unit with its live rights; None when the register has no such unit."""
        row = self.row(t.unit, code)
        if row is None:
            return None
        self._load_rights({code} - self._live_rights.keys())
        return UnitState(unit=_decode_unit(row["body"]), rights=tuple(self._live_rights[code].values()))

    def unit_index(self, code: str) -> int:
        """The last entry in which a right on the unit began or ended; -1 when none ever did."""
        links = self._read(t.unit_right, "unit_code", {code})
        ids = {link["right_id"] for link in links} | {r for c, r in self._rows[t.unit_right] if c == code}
        self._load(t.right, {(right_id,) for right_id in ids})
        rows = [row for right_id in ids if (row := self.row(t.right, right_id)) is not None]
        return max((max(row["booked_index"], row["ended_index"] or -1) for row in rows), default=-1)

    def open_cases(self, code: str) -> tuple[OpenCase, ...]:
        """Accepted, unfinished cases on a unit, in order of acceptance."""
        self._load_open_cases({code} - self._open_cases.keys())
        return tuple(sorted(self._open_cases[code].values(), key=lambda c: c.accepted_index))

    def application(self, application_id: str) -> Application | None:
        """An application's row; None when unknown."""
        row = self.row(t.application, application_id)
        return None if row is None else _decode_application(row["body"])

    def phases(self, case_id: str) -> tuple[Application, ...]:
        """Every application of a case, its first phase first, in order of submission."""
        found = {row["application_id"] for row in self._read(t.application, "case_id", {case_id})}
        found |= {a for (a,), row in self._rows[t.application].items() if row and row["case_id"] == case_id}
        rows = [row for application_id in found if (row := self.application(application_id)) is not None]
        return tuple(sorted(rows, key=lambda row: row.submitted_index))

    def counter(self, name: str) -> int:
        """A counter's value, 0 before its first use."""
        row = self.row(t.counter, name)
        return 0 if row is None else int(row["value"])

    def certificate_identifiers(self, numbers: set[str]) -> dict[str, str]:
        """The e-certificates of numbers; those that we did not issue are left out."""
        self._load_numbers(numbers - self._by_number.keys())
        return {number: found for number in numbers if (found := self._by_number[number])}

    def certificate_holders(self, identifier: str) -> tuple[str, ...]:
        """The institutions that may read an e-certificate of ours."""
        return tuple(filter(None, self._certificate(identifier)["institutions"].split(",")))

    # -- changing ------------------------------------------------------------------------------------------------

    def fold(self, index: int, effects: Iterable[fx.AnyEffect]) -> None:
        """Apply an entry's effects to the views, in order."""
        for effect in effects:
            _FOLDS[type(effect)](self, index, effect)

    def _insert(self, table: Table, key: tuple[Any, ...], row: Row) -> None:
        row["registry"] = self.registry
        self._rows[table][key] = row
        self._pending.setdefault(table, {})[key] = _Pending(row, new=True)

    def _put(self, table: Table, key: tuple[Any, ...], row: Row) -> None:
        """Insert or replace."""
        row["registry"] = self.registry
        pending = self._pending.setdefault(table, {})
        known = pending.get(key)
        self._rows[table][key] = row
        pending[key] = _Pending(row, new=known.new if known else False)

    def _drop(self, table: Table, key: tuple[Any, ...]) -> None:
        """Take a row away, if there is one."""
        self._rows[table][key] = None
        self._pending.setdefault(table, {})[key] = _Pending(None, new=False)

    def flush(self) -> None:
        """Write every change, one executemany a table and manner."""
        for table, pending in self._pending.items():
            new = [p.row for p in pending.values() if p.row is not None and p.new]
            changed = [p.row for p in pending.values() if p.row is not None and not p.new]
            gone = [key for key, p in pending.items() if p.row is None]
            if new:
                write_rows(self._connection, table, new)
            if changed:
                write_rows(self._connection, table, changed, upsert=True)
            if gone:
                self._delete(table, gone)
        self._pending = {}

    def _delete(self, table: Table, keys: list[tuple[Any, ...]]) -> None:
        columns = list(table.primary_key.columns)[1:]
        statement = delete(table).where(
            table.c.registry == self.registry, *(c == bindparam(f"of_{c.name}") for c in columns)
        )
        names = [f"of_{c.name}" for c in columns]
        self._connection.execute(statement, [dict(zip(names, key, strict=True)) for key in keys])

    def _request_answered(self, index: int, effect: fx.RequestAnswered) -> None:
        self._insert(
            t.request,
            (effect.institution, effect.request_id),
            {
                "institution": effect.institution,
                "request_id": effect.request_id,
                "payload_sha256": effect.payload_sha256,
                "entry_index": index,
                "application_id": effect.application_id,
            },
        )

    def _application_recorded(self, index: int, effect: fx.ApplicationRecorded) -> None:
        row = effect.application
        key = (row.application_id,)
        body = {
            "application_id": row.application_id,
            "state": row.state.value,
            "submitted_index": row.submitted_index,
            "case_id": row.case.rpartition("/")[2] or row.application_id,
            "case_number": row.case_number,
            "body": _encode(row),
        }
        if row.submitted_index == index:
            self._insert(t.application, key, body)
            self._link(row, row.institutions)
            self._name_units(row)
        else:
            before = self.application(row.application_id)
            known = before.institutions if before is not None else ()
            self._put(t.application, key, body)
            self._link(row, [uscc for uscc in row.institutions if uscc not in known])
        self._place_in_queue(row)
        if row.payoff_until is not None:
            watched = {
                "application_id": row.application_id,
                "until": instant(row.payoff_until),
                "is_open": not row.payoff_settled,
            }
            self._put(t.payoff_watch, key, watched)

    def _link(self, row: Application, institutions: Iterable[str]) -> None:
        """Let institutions find the case among theirs."""
        for uscc in institutions:
            self._insert(
                t.application_institution,
                (uscc, row.submitted_index),
                {
                    "institution": uscc,
                    "submitted_index": row.submitted_index,
                    "application_id": row.application_id,
                },
            )

    def _name_units(self, row: Application) -> None:
        """Let the case be found by its units, whatever became of it."""
        for code in dict.fromkeys(row.units):
            self._insert(
                t.application_unit,
                (code, row.submitted_index),
                {
                    "unit_code": code,
                    "submitted_index": row.submitted_index,
                    "application_id": row.application_id,
                },
            )

    def _place_in_queue(self, row: Application) -> None:
        """Hold or give up the case's place on each of its units."""
        holds = row.state in QUEUED
        for code in row.units:
            self._hold_place(code, row.application_id, row.accepted_index or 0, row.rights, holds=holds)

    def _hold_place(
        self, code: str, case_id: str, place: int, rights: tuple[str, ...], *, holds: bool
    ) -> None:
        """Hold or give up one place; a case that had none gives up nothing."""
        self._load_open_cases({code} - self._open_cases.keys())
        known = self._open_cases[code]
        if not holds and case_id not in known:
            return
        if holds:
            known[case_id] = OpenCase(application_id=case_id, accepted_index=place, rights=rights)
        else:
            known.pop(case_id)
        self._put(
            t.open_case,
            (code, case_id),
            {
                "unit_code": code,
                "application_id": case_id,
                "accepted_index": place,
                "rights": ",".join(rights),
                "is_open": holds,
            },
        )

    def _papers_bound(self, index: int, effect: fx.PapersBound) -> None:
        for sha256 in effect.papers:
            row = {"sha256": sha256, "application_id": effect.application_id, "is_open": True}
            self._put(t.paper, (sha256,), row)

    def _papers_freed(self, index: int, effect: fx.PapersFreed) -> None:
        for sha256 in effect.papers:
            row = {"sha256": sha256, "application_id": effect.application_id, "is_open": False}
            self._put(t.paper, (sha256,), row)

    def _evidence_erased(self, index: int, effect: fx.EvidenceErased) -> None:
        """Nothing finds the case by a unit or a paper any more. Its row itself is recorded beside this effect."""
        key = effect.application_id
        row = self.application(key)
        if row is None:
            raise ValueError(f"application {key} cannot be erased: there is none")
        for code in dict.fromkeys(row.units):
            self._load_open_cases({code} - self._open_cases.keys())
            self._open_cases[code].pop(key, None)
            self._drop(t.application_unit, (code, row.submitted_index))
            self._drop(t.open_case, (code, key))
        for file in effect.files:
            paper = self.row(t.paper, file.sha256)
            if paper is not None and paper["application_id"] == key:
                self._drop(t.paper, (file.sha256,))
        files = _encode(effect.files)
        erased = {"entry_index": index, "ground": effect.ground, "files": files, "at": instant(effect.at)}
        self._insert(t.erasure, (key,), {"application_id": key, **erased})

    def _unit_recorded(self, index: int, effect: fx.UnitRecorded) -> None:
        code = effect.unit.unit_code
        self._put(t.unit, (code,), {"unit_code": code, "body": _encode(effect.unit)})
        self._live_rights.setdefault(code, {})

    def _right_booked(self, index: int, effect: fx.RightBooked) -> None:
        right = effect.right
        self._insert(
            t.right,
            (right.right_id,),
            {
                "right_id": right.right_id,
                "kind": str(type(right).__struct_config__.tag),
                "live": True,
                "body": _encode(right),
                "booked_index": index,
                "ended_index": None,
                "ended": None,
            },
        )
        for code in right.units:
            self._load_rights({code} - self._live_rights.keys())
            self._live_rights[code][right.right_id] = right
            row = {"unit_code": code, "right_id": right.right_id, "live": True}
            self._insert(t.unit_right, (code, right.right_id), row)
        self._name_persons(right, live=True)

    def _name_persons(self, right: AnyRight, *, live: bool) -> None:
        """Let a right be found by those whose right it is."""
        if self._subject is None:
            raise ValueError("rights are folded with the hash of the ledger, or nobody finds them")
        for key, role in whose(right).items():
            person = self._subject(self.registry, "person", key)
            row = {"person": person, "right_id": right.right_id, "role": role, "live": live}
            (self._insert if live else self._put)(t.person_right, (person, right.right_id), row)

    def _right_ended(self, index: int, effect: fx.RightEnded) -> None:
        row = self.row(t.right, effect.right_id)
        if row is None:
            raise ValueError(f"right {effect.right_id} cannot end: the register has no such right")
        ended = {**row, "live": False, "ended_index": index, "ended": _encode(effect)}
        self._put(t.right, (effect.right_id,), ended)
        right = _decode_right(row["body"])
        self._name_persons(right, live=False)
        for code in right.units:
            if code in self._live_rights:
                self._live_rights[code].pop(effect.right_id, None)
            link = {"unit_code": code, "right_id": effect.right_id, "live": False}
            self._put(t.unit_right, (code, effect.right_id), link)

    def _pre_notice_term_moved(self, index: int, effect: fx.PreNoticeTermMoved) -> None:
        row = self.row(t.right, effect.right_id)
        right = None if row is None else _decode_right(row["body"])
        if row is None or not isinstance(right, PreNotice):
            raise ValueError(f"right {effect.right_id} is no pre-notice of the register")
        right = msgspec.structs.replace(
            right,
            registrable_from=effect.registrable_from,
            warned_days=effect.warned_days,
            lapse_presumed_on=effect.lapse_presumed_on,
        )
        self._put(t.right, (effect.right_id,), {**row, "body": _encode(right)})
        for code in right.units:
            if effect.right_id in self._live_rights.get(code, {}):
                self._live_rights[code][effect.right_id] = right

    def _certificate_numbered(self, index: int, effect: fx.CertificateNumbered) -> None:
        self._by_number[effect.number] = effect.identifier
        self._insert(
            t.certificate,
            (effect.identifier,),
            {
                "identifier": effect.identifier,
                "number": effect.number,
                "kind": effect.kind,
                "state": "NUMBERED",
                "entry_index": index,
                "part": effect.part,
                "right_id": effect.right_id,
                "application_id": effect.application_id,
                "institutions": ",".join(effect.institutions),
                "pdf_sha256": None,
                "size_bytes": None,
                "sealed_at": None,
                "seal_key_id": None,
                "national_key_id": None,
                "ended_at": None,
                "ended_case": None,
            },
        )

    def _certificate_sealed(self, index: int, effect: fx.CertificateSealed) -> None:
        row = self._certificate(effect.identifier)
        # A certificate whose right ended before its PDF was sealed stays CANCELLED.
        state = "SEALED" if row["state"] == "NUMBERED" else row["state"]
        sealed = {
            **row,
            "state": state,
            "pdf_sha256": effect.pdf_sha256,
            "size_bytes": effect.size_bytes,
            "sealed_at": instant(effect.sealed_at),
            "seal_key_id": effect.seal_key_id or None,
            "national_key_id": effect.national_key_id or None,
        }
        self._put(t.certificate, (effect.identifier,), sealed)

    def _certificate_ended(self, index: int, effect: fx.CertificateEnded) -> None:
        row = self._certificate(effect.identifier)
        ended = {
            **row,
            "state": effect.state,
            "ended_at": instant(effect.ended_at),
            "ended_case": effect.case_number,
        }
        self._put(t.certificate, (effect.identifier,), ended)

    def _certificate(self, identifier: str) -> Row:
        row = self.row(t.certificate, identifier)
        if row is None:
            raise ValueError(f"no certificate {identifier}")
        return row

    def _event_recorded(self, index: int, effect: fx.EventRecorded) -> None:
        self._insert(
            t.event,
            (effect.institution, effect.sequence),
            {
                "institution": effect.institution,
                "sequence": effect.sequence,
                "entry_index": index,
                "kind": effect.kind,
                "application_id": effect.application_id,
                "state": effect.state,
                "at": instant(effect.at),
                "certificate": effect.certificate,
                "unit_code": effect.unit_code,
                "case_number": effect.case_number,
            },
        )

    def _counter_moved(self, index: int, effect: fx.CounterMoved) -> None:
        self._put(t.counter, (effect.name,), {"name": effect.name, "value": effect.value})

    def _feed_taken(self, index: int, effect: fx.FeedTaken) -> None:
        held = None if effect.held is None else _encode(effect.held)
        self._insert(
            t.feed_act,
            (effect.sequence,),
            {
                "sequence": effect.sequence,
                "payload_sha256": effect.payload_sha256,
                "entry_index": index,
                "applied_index": index if held is None else None,
                "held": held,
            },
        )

    def _feed_applied(self, index: int, effect: fx.FeedApplied) -> None:
        row = self.row(t.feed_act, effect.sequence)
        if row is None:
            raise ValueError(f"act {effect.sequence} of the feed has not come")
        self._put(t.feed_act, (effect.sequence,), {**row, "applied_index": index, "held": None})

    def _feed_moved(self, index: int, effect: fx.FeedMoved) -> None:
        row = {"name": "counter", "body": _encode(effect.state), "entry_index": index}
        self._put(t.feed, ("counter",), row)
        self.settings = self.settings.with_setting("feed", effect.state)

    def _counter_case_recorded(self, index: int, effect: fx.CounterCaseRecorded) -> None:
        case = effect.case
        row = {
            "case_number": case.case_number,
            "is_open": case.is_open,
            "body": _encode(case),
            "entry_index": index,
        }
        self._put(t.counter_case, (case.case_number,), row)
        for code, place in case.places.items():
            self._hold_place(code, case.queue_id, place, case.rights, holds=case.is_open)

    def _lender_told(self, index: int, effect: fx.LenderTold) -> None:
        self._insert(
            t.notification,
            (effect.right_id, effect.institution),
            {
                "right_id": effect.right_id,
                "institution": effect.institution,
                "unit_code": effect.unit_code,
                "sequence": effect.sequence,
                "told_at": instant(effect.told_at),
                "maximum_amount": effect.maximum_amount,
                "read_at": None,
            },
        )

    def _lender_read(self, index: int, effect: fx.LenderRead) -> None:
        row = self.row(t.notification, effect.right_id, effect.institution)
        if row is None:
            raise ValueError(f"{effect.institution} was not told of {effect.right_id}")
        read = {**row, "read_at": instant(effect.read_at)}
        self._put(t.notification, (effect.right_id, effect.institution), read)

    def _institution_set(self, index: int, effect: fx.InstitutionSet) -> None:
        uscc = effect.institution.uscc
        self._put(t.institution, (uscc,), {"uscc": uscc, "body": _encode(effect.institution)})
        self.settings = self.settings.with_institution(effect.institution)

    def _registrar_set(self, index: int, effect: fx.RegistrarSet) -> None:
        key = effect.registrar.registrar_id
        self._put(t.registrar, (key,), {"registrar_id": key, "body": _encode(effect.registrar)})
        self.settings = self.settings.with_registrar(effect.registrar)

    def _query_recorded(self, index: int, effect: fx.QueryRecorded) -> None:
        row = {
            "entry_index": index,
            "query": effect.query,
            "caller_kind": effect.caller_kind,
            "caller": effect.caller,
            "basis": effect.basis,
            "subject": effect.subject,
            "number": effect.number,
            "at": instant(effect.at),
        }
        self._insert(t.look, (index,), row)

    def _setting(self, index: int, effect: Any) -> None:
        name, value = self.settings.named(effect)
        row = {"name": name, "body": _encode(value), "entry_index": index}
        self._put(t.setting, (name,), row)
        if isinstance(effect, fx.ProfileSet | fx.RuleSetSet):
            self._insert(t.setting_version, (name, index), dict(row))
        self.settings = self.settings.with_setting(name, value)

    def _trust_set(self, index: int, effect: fx.TrustSet) -> None:
        """What was noted goes with the trust it was noted for: the act says what stays of it."""
        table = t.trust_evidence
        stored = select(table.c.kind, table.c.sha256).where(table.c.registry == self.registry)
        for key in {*map(tuple, self._connection.execute(stored)), *self._rows[table]}:
            self._drop(table, key)
        before = self.settings.trust
        self._setting(index, effect)
        if before is not None and before.is_judged_by and self.settings.trust is not None:
            _ = (
                self.settings.trust.store
            )  # made here: its lists may be large, and the event loop waits for nobody

    def _revocation_noted(self, index: int, effect: fx.RevocationNoted) -> None:
        trust = self.settings.trust
        if trust is None:
            raise ValueError("revocation evidence came before any trust")
        for sha256 in effect.superseded:
            for kind in (EvidenceKind.CRL, EvidenceKind.OCSP):
                self._drop(t.trust_evidence, (kind, sha256))
            if sha256 in trust.act:
                self._put_evidence(index, 0, Evidence(EvidenceKind.GONE, sha256, b""))
        for place, one in enumerate(evidence_of(effect)):
            self._put_evidence(index, place, one)
        self.settings = self.settings.with_setting("trust", trust.noted(effect))

    def _put_evidence(self, index: int, place: int, one: Evidence) -> None:
        row = {
            "kind": one.kind.value,
            "sha256": one.sha256,
            "entry_index": index,
            "place": place,
            "standing": one.standing,
            "der": one.der or None,
        }
        self._put(t.trust_evidence, (one.kind.value, one.sha256), row)


def instant(value: dt.datetime) -> str:
    """An instant as the views keep it: UTC, microseconds, sorts as text."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_FOLDS: dict[type, Any] = {
    fx.RequestAnswered: Working._request_answered,
    fx.ApplicationRecorded: Working._application_recorded,
    fx.PapersBound: Working._papers_bound,
    fx.PapersFreed: Working._papers_freed,
    fx.EvidenceErased: Working._evidence_erased,
    fx.UnitRecorded: Working._unit_recorded,
    fx.RightBooked: Working._right_booked,
    fx.RightEnded: Working._right_ended,
    fx.PreNoticeTermMoved: Working._pre_notice_term_moved,
    fx.CertificateNumbered: Working._certificate_numbered,
    fx.CertificateSealed: Working._certificate_sealed,
    fx.CertificateEnded: Working._certificate_ended,
    fx.EventRecorded: Working._event_recorded,
    fx.CounterMoved: Working._counter_moved,
    fx.FeedTaken: Working._feed_taken,
    fx.FeedApplied: Working._feed_applied,
    fx.FeedMoved: Working._feed_moved,
    fx.CounterCaseRecorded: Working._counter_case_recorded,
    fx.LenderTold: Working._lender_told,
    fx.LenderRead: Working._lender_read,
    fx.InstitutionSet: Working._institution_set,
    fx.RegistrarSet: Working._registrar_set,
    fx.ProfileSet: Working._setting,
    fx.RuleSetSet: Working._setting,
    fx.CalendarSet: Working._setting,
    fx.TrustSet: Working._trust_set,
    fx.RevocationNoted: Working._revocation_noted,
    fx.OperatorSet: Working._setting,
    fx.SealTermsSet: Working._setting,
    fx.LedgerKeysSet: Working._setting,
    fx.QueryRecorded: Working._query_recorded,
}
