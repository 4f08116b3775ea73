"""Whether what the ledger keeps as evidence still holds: who signed each act, and the bytes of the files it names.

Each envelope is verified again as of the time at which it came, by the trust that the ledger itself says was in force
then: anchors and revocation lists are entries like any other. What was good then stays good when an anchor goes, and
what was revoked then stays refused. Files are read in the file store and hashed.

It reads only, a few hundred entries in one read transaction. Evidence whose key is gone is counted, not judged: whether
the key went by law is the ledger's own question (`ledger.part_audit`). What somebody signed is not judged anew here
either: deciding a case again is `rpc/replay.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from gateway.audit.verdicts import VerdictAudit
from gateway.cases.effects import CertificateSealed, RevocationNoted, TrustSet, decode_effects
from gateway.cases.model import Paper
from gateway.cases.trust import Trust
from gateway.revocation import REVOCATION_TYPE, Fetched, note
from gateway.rounds.sealing import SEALED_TYPE
from gateway.rounds.term_clock import CLOCKWORK_TYPE
from gateway.rpc.acts import PAYLOAD_TYPES as ACT_TYPES
from gateway.rpc.case_view import REVIEW_TYPE
from gateway.rpc.feed import COUNTER_TYPE, RESTRICTION_TYPE
from gateway.rpc.looks import LOOK_TYPE
from gateway.rpc.notice_terms import TERM_TYPE
from gateway.rpc.operator_acts import PAYLOAD_TYPES as OPERATOR_TYPES
from gateway.rpc.reading_notices import READ_TYPE
from gateway.rpc.replay import Judged
from gateway.rpc.submission import MANIFEST_TYPE
from gateway.rpc.trust import trust_store
from gateway.setup import GENESIS_TYPE
from gateway.storage import tables as t
from gateway.storage.files import path_of
from gateway.storage.rebuild import Key, Progress, key_of, read_page
from gateway.storage.view_audit import key_text
from ledger.readers import Here, Readers, Task, in_order
from ledger.records import StoredEntry
from ledger.report import DIVERGENCES_MAX, Divergence, Findings
from ledger.stamp_store import audit_stamps
from ledger.store import Ledger
from ledger.vault import Vault
from signing.envelope import Envelope, split_pae
from signing.errors import SigningError, TimestampInvalid
from signing.timestamp import stated_time, verify_token
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope

#: Who signs the payloads of each type.
SIGNED: Final[dict[str, Purpose]] = {
    MANIFEST_TYPE: Purpose.INSTITUTION,
    **dict.fromkeys(ACT_TYPES.values(), Purpose.INSTITUTION),
    **dict.fromkeys((REVIEW_TYPE, RESTRICTION_TYPE, COUNTER_TYPE, TERM_TYPE), Purpose.REGISTRAR),
    **dict.fromkeys(OPERATOR_TYPES.values(), Purpose.OPERATOR),
}

#: Payloads that are the gateway's own word; nobody signs them.
UNSIGNED: Final = frozenset(
    {GENESIS_TYPE, SEALED_TYPE, CLOCKWORK_TYPE, LOOK_TYPE, READ_TYPE, REVOCATION_TYPE}
)

#: An act may be so long under way between its verification and its entry, and the trust may change meanwhile.
UNDER_WAY_MAX: Final = dt.timedelta(minutes=2)

ENTRIES_READ: Final = 200
_FILES_KNOWN_MAX: Final = 100_000
TRUSTS_KEPT_MAX: Final = 16
_MARKS: Final = (b'"trust.set.v1"', b'"revocation.noted.v1"', b'"certificate.sealed.v1"')
_PAYLOAD: Final = "evidence/payload"
_VERDICTS: Final = "evidence/verdicts"
_decode_judged = msgspec.json.Decoder(Judged).decode


@dataclass(slots=True)
class EvidenceReport:
    """What an audit of the evidence says.

    entries: looked at. signatures: of envelopes, that held. files: read and hashed. stamps: time stamps of checkpoints.
    gone: entries whose evidence has no key any more. divergences: in the order of the ledger, at most 1000.
    """

    entries: int = 0
    signatures: int = 0
    files: int = 0
    stamps: int = 0
    gone: int = 0
    divergences: list[Divergence] = field(default_factory=list)

    def note(self, table: str, row: str, reason: str, rule: str) -> None:
        """Note a row that diverges."""
        if len(self.divergences) < DIVERGENCES_MAX:
            self.divergences.append(Divergence(table, row, reason, rule))


def audit_evidence(
    engine: Engine,
    ledger: Ledger,
    registry: str,
    files: Path,
    progress: Progress,
    since: int = 0,
    readers: Readers | None = None,
) -> EvidenceReport:
    """Verify the evidence of the entries of `registry` from index `since` on, and the files it names under `files`.

    Effects are read from the first entry on all the same: they say which trust was in force, and nothing but them is
    proof of it. Uploads that no entry names are looked at in a whole audit (`since` 0) only. progress: (entries done,
    entries in all). readers: who verifies, beside this process; without any it is done here. Raises LedgerError where a
    part does not open: verify the ledger itself first.
    """
    readers = readers or Here(engine.begin, ledger.vault)
    return _Audit(engine, ledger, registry, files, progress).run(since, readers)


Trusts = dict[str, tuple[bytes, dt.datetime | None]]
"""By digest: a trust as data, and until when it was in force, None for the one that is."""


@dataclass(slots=True)
class _Acts:
    """What came of the acts of some entries; it travels between processes.

    stop: index behind them. gone: entries whose evidence has no key. papers: by which
    entry, when it came, on which it was decided.
    """

    stop: int
    signatures: int = 0
    gone: int = 0
    papers: list[tuple[int, dt.datetime, tuple[Paper, ...]]] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)

    def note(self, index: int, reason: str, rule: str) -> None:
        self.divergences.append(Divergence("ledger_part", f"{index} {_VERDICTS}", reason, rule))


def check_acts(
    connection: Connection, vault: Vault | None, *, registry: str, start: int, stop: int, trusts: Trusts
) -> _Acts:
    """Verify the envelopes of the entries [start, stop), in which no trust is set."""
    assert vault is not None
    ledger, acts, known = Ledger(vault), _Acts(stop), _Known(trusts)
    parts = ledger.iterate_parts(connection, registry, [_PAYLOAD, _VERDICTS], start, stop, skip_lost=True)
    found = {(part.index, part.name): part.content for part in parts}
    for entry in ledger.read_entries(connection, registry, start, stop - start):
        payload, verdicts = found.get((entry.index, _PAYLOAD)), found.get((entry.index, _VERDICTS))
        if payload is None or verdicts is None:
            acts.gone += 1
        else:
            _check_act(acts, known, entry, payload, verdicts)
    return acts


def _check_act(acts: _Acts, known: _Known, entry: StoredEntry, message: bytes, verdicts: bytes) -> None:
    index = entry.index
    try:
        payload_type, payload = split_pae(message)
        judged = _decode_judged(verdicts)
    except (SigningError, msgspec.MsgspecError) as error:
        acts.note(index, "EVIDENCE_UNREADABLE", f"it is no evidence ({type(error).__name__})")
        return
    if payload_type in UNSIGNED and (payload_type != GENESIS_TYPE or index == 0):
        return
    if payload_type not in SIGNED:
        acts.note(index, "EVIDENCE_UNKNOWN", f"nobody knows here who signs {payload_type}")
        return
    envelope = Envelope(payload_type=payload_type, payload=payload, signatures=judged.signatures)
    _check_envelope(acts, known, entry, envelope, judged)
    if judged.papers:
        acts.papers.append((index, judged.received_at or entry.time(), judged.papers))


def _check_envelope(
    acts: _Acts, known: _Known, entry: StoredEntry, envelope: Envelope, judged: Judged
) -> None:
    index, at, time = entry.index, judged.received_at, entry.time()
    if at is None or abs(time - at) > UNDER_WAY_MAX:
        acts.note(index, "EVIDENCE_TIME", f"it says to have come at {at}, the entry is of {time}")
        return
    trust = known.store(judged.trust, at)
    if trust is None:
        acts.note(index, "TRUST_NOT_IN_FORCE", "it was judged by a trust that was not in force then")
        return
    try:
        verify_envelope(envelope, SIGNED[envelope.payload_type], trust, at)
    except SigningError as error:
        number = error.signature_index
        which = "" if number is None else f", signature {number}"
        acts.note(index, "SIGNATURE_REFUSED", f"its envelope did not hold then{which}: {error.reason}")
        return
    acts.signatures += len(envelope.signatures)


@lru_cache(maxsize=TRUSTS_KEPT_MAX)
def _store_of(data: bytes) -> TrustStore:
    """Of one trust the same store, which remembers sound chains."""
    return TrustStore.from_bytes(data)


class _Known:
    """The trusts that acts may have been judged by."""

    def __init__(self, trusts: Trusts) -> None:
        self._trusts = trusts

    def store(self, digest: str, at: dt.datetime) -> TrustStore | None:
        """The trust of this digest, if it was in force at `at` or had just been."""
        data, until = self._trusts.get(digest, (None, None))
        if data is None or (until is not None and at > until + UNDER_WAY_MAX):
            return None
        return _store_of(data)


@dataclass(slots=True)
class _TimeTrust:
    """A trust by which time stamps are judged, and until when it was in force, None for the one that is."""

    store: TrustStore
    until: dt.datetime | None = None

    @property
    def names(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Whom it believes to tell the time."""
        return self.store.anchors[Purpose.TSA], self.store.intermediates


class _Audit:
    def __init__(
        self, engine: Engine, ledger: Ledger, registry: str, files: Path, progress: Progress
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._registry = registry
        self._files = files
        self._progress = progress
        self._trusts: Trusts = {}
        self._trust_now = ""
        self._time_trusts: list[_TimeTrust] = []
        self._trust: Trust | None = None
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._file_rows = VerdictAudit()
        self._report = EvidenceReport()

    def run(self, since: int, readers: Readers) -> EvidenceReport:
        with self._engine.begin() as connection:
            size = self._ledger.head(connection, self._registry, for_update=False).size
        report = self._report
        for acts in in_order(readers, self._tasks(since, size)):
            report.signatures += acts.signatures
            report.gone += acts.gone
            for divergence in acts.divergences:
                report.note(divergence.table, divergence.row, divergence.reason, divergence.rule)
            for index, at, papers in acts.papers:
                self._file_rows.note(index, at, papers)
                for paper in papers:
                    if paper.found:
                        self._check_file(paper.reference.sha256, f"entry {index}")
            self._progress(acts.stop, size)
        report.entries = max(0, size - since)
        self._check_stamps()
        if since == 0:
            for row, fault in self._uploads():
                where = key_text(t.file, key_of(t.file, row))
                if fault:
                    self._report.note("file", where, "FILE_VERDICT_CHANGED", fault)
                self._check_file(row[t.file.columns.keys().index("sha256")], where)
        return report

    def _tasks(self, since: int, size: int) -> Iterator[Task[_Acts]]:
        """Entry by entry what it sets; what it was judged by was in force before it."""
        for start in range(0, size, ENTRIES_READ):
            stop = min(size, start + ENTRIES_READ)
            first = max(start, since)
            told = self._told(start, stop)
            for index, time, effects in told:
                trusts = [effect for effect in effects if isinstance(effect, TrustSet | RevocationNoted)]
                if trusts and first <= index:
                    yield self._task(first, index + 1)
                    first = index + 1
                for trust in trusts:
                    if isinstance(trust, TrustSet):
                        self._set(Trust.of(trust), time)
                    else:
                        self._take_evidence(index, trust, time, since)
                if index >= since:
                    for effect in effects:
                        if isinstance(effect, CertificateSealed):
                            self._check_file(effect.pdf_sha256, f"entry {index}, sealed certificate")
            if first < stop:
                yield self._task(first, stop)

    def _task(self, start: int, stop: int) -> Task[_Acts]:
        return partial(check_acts, registry=self._registry, start=start, stop=stop, trusts=dict(self._trusts))

    def _set(self, trust: Trust, at: dt.datetime) -> None:
        """From `at` on this trust is in force; those that went long before serve nobody any more."""
        if self._trust_now:
            self._trusts[self._trust_now] = (self._trusts[self._trust_now][0], at)
        for digest, (_, until) in list(self._trusts.items()):
            if until is not None and at > until + 2 * UNDER_WAY_MAX:
                del self._trusts[digest]
        self._trust = trust
        store = trust_store(trust)
        self._trust_now = store.digest()
        self._trusts[self._trust_now] = (store.to_bytes(), None)
        self._set_time_trust(store, at)

    def _set_time_trust(self, store: TrustStore, at: dt.datetime) -> None:
        """The same for who tells the time; of the same authorities the newest lists alone, which know the most."""
        last = self._time_trusts[-1] if self._time_trusts else None
        if last is not None and last.names == (store.anchors[Purpose.TSA], store.intermediates):
            last.store = store
            return
        if last is not None:
            last.until = at
        self._time_trusts.append(_TimeTrust(store))

    def _take_evidence(self, index: int, effect: RevocationNoted, time: dt.datetime, since: int) -> None:
        """Fetched evidence, which nobody of ours signed: is it authentic, and did it replace only what it may?"""
        trust = self._trust or Trust.of(TrustSet(anchors={}, crls=()))
        standing = frozenset(
            effect.standing
        )  # whose keys were registered is not asked again: it opens no door
        try:
            due = note(trust, Fetched(effect.crls, effect.ocsp, effect.intermediates, standing), time)
        except SigningError:
            due = None
        if due == effect:
            self._set(trust.noted(effect), time)
        elif index >= since:
            what = "its revocation evidence is not authentic, or replaced what it may not"
            self._report.note("ledger_part", f"{index} effects", "REVOCATION_NOT_DERIVED", what)

    def _told(self, start: int, stop: int) -> list[tuple[int, dt.datetime, tuple[object, ...]]]:
        """The effects of the entries that have any which are looked at here, with their times: most have none."""
        with self._engine.begin() as connection:
            parts = self._ledger.iterate_part(
                connection, self._registry, "effects", start, stop, skip_lost=True
            )
            wanted = [part for part in parts if any(mark in part.content for mark in _MARKS)]
            return [
                (
                    part.index,
                    self._ledger.read_entry(connection, self._registry, part.index).time(),
                    decode_effects(part.content),
                )
                for part in wanted
            ]

    # -- time stamps of checkpoints ------------------------------------------------------------------------------

    def _check_stamps(self) -> None:
        findings = Findings()
        with self._engine.begin() as connection:
            self._report.stamps = audit_stamps(connection, self._registry, findings, self._what_is_wrong)
        for found in findings.divergences():
            self._report.note(found.table, found.row, found.reason, found.rule)

    def _what_is_wrong(self, note: bytes, token: bytes) -> str:
        """A token holds if an authority gave it that the ledger believed then, or since: one may be named late."""
        wrong = "the ledger has never named an authority to tell the time"
        try:
            at = stated_time(token)
            for one in self._time_trusts:
                if one.until is not None and at > one.until + UNDER_WAY_MAX:
                    continue
                try:
                    verify_token(token, note, one.store, at)
                except TimestampInvalid as error:
                    wrong = error.message
                else:
                    return ""
        except TimestampInvalid as error:
            wrong = error.message
        return wrong

    # -- files -----------------------------------------------------------------------------------------------------

    def _check_file(self, sha256: str, named_by: str) -> None:
        """Hash a file once, whoever names it; say who named it first."""
        if sha256 in self._known:
            self._known.move_to_end(sha256)
            return
        self._known[sha256] = True
        if len(self._known) > _FILES_KNOWN_MAX:
            self._known.popitem(last=False)
        self._report.files += 1
        try:
            with path_of(self._files, sha256).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            rule = f"{named_by} names it, and it cannot be read: {error.strerror}"
            self._report.note("file store", sha256, "FILE_MISSING", rule)
            return
        if found != sha256:
            self._report.note(
                "file store", sha256, "FILE_CHANGED", f"{named_by} names it; its bytes are others"
            )

    def _uploads(self) -> Iterator[tuple[Key, str]]:
        """The rows of files, page by page, each page a transaction, and what is wrong with the verdict in each."""
        after: Key | None = None
        while True:
            with self._engine.begin() as connection:
                page = read_page(connection, t.file, self._registry, after)
                judged = [(row, self._file_rows.fault(connection, row)) for row in page]
            if not judged:
                return
            yield from judged
            after = key_of(t.file, page[-1])
