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
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from gateway.cases.effects import CertificateSealed, TrustSet, decode_effects
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
from gateway.sealing import SEALED_TYPE
from gateway.setup import GENESIS_TYPE
from gateway.storage import tables as t
from gateway.storage.files import path_of
from gateway.storage.rebuild import Key, Progress, key_of, read_page
from gateway.storage.view_audit import key_text
from gateway.term_clock import CLOCKWORK_TYPE
from gateway.verdict_audit import VerdictAudit
from ledger.report import DIVERGENCES_MAX, Divergence, Findings
from ledger.stamp_store import audit_stamps
from ledger.store import Ledger, StoredPart
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
UNSIGNED: Final = frozenset({GENESIS_TYPE, SEALED_TYPE, CLOCKWORK_TYPE, LOOK_TYPE, READ_TYPE})

#: An act may be so long under way between its verification and its entry, and the trust may change meanwhile.
UNDER_WAY_MAX: Final = dt.timedelta(minutes=2)

ENTRIES_READ: Final = 200
_FILES_KNOWN_MAX: Final = 100_000
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
    engine: Engine, ledger: Ledger, registry: str, files: Path, progress: Progress, since: int = 0
) -> EvidenceReport:
    """Verify the evidence of the entries of `registry` from index `since` on, and the files it names under `files`.

    Effects are read from the first entry on all the same: they say which trust was in force, and nothing but them is
    proof of it. Uploads that no entry names are looked at in a whole audit (`since` 0) only. progress: (entries done,
    entries in all). Raises LedgerError where a part does not open: verify the ledger itself first.
    """
    return _Audit(engine, ledger, registry, files, progress).run(since)


class _Trusts:
    """The trust sets that the ledger had in force, one after the other."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[TrustStore, dt.datetime | None]] = {}
        self._now = ""

    def set(self, trust: TrustSet, at: dt.datetime) -> None:
        """From `at` on this trust is in force."""
        if self._now:
            self._until[self._now] = (self._until[self._now][0], at)
        store = trust_store(trust)
        self._now = store.digest()
        self._until[self._now] = (store, None)

    def store(self, digest: str, at: dt.datetime) -> TrustStore | None:
        """The trust of this digest, if it was in force at `at` or had just been."""
        store, until = self._until.get(digest, (None, None))
        return None if until is not None and at > until + UNDER_WAY_MAX else store

    def not_ended(self, at: dt.datetime) -> list[TrustStore]:
        """The trust that was in force at `at`, and what came after it."""
        return [
            store for store, until in self._until.values() if until is None or at <= until + UNDER_WAY_MAX
        ]


class _Audit:
    def __init__(
        self, engine: Engine, ledger: Ledger, registry: str, files: Path, progress: Progress
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._registry = registry
        self._files = files
        self._progress = progress
        self._trusts = _Trusts()
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._file_rows = VerdictAudit()
        self._report = EvidenceReport()

    def run(self, since: int) -> EvidenceReport:
        with self._engine.begin() as connection:
            size = self._ledger.head(connection, self._registry, for_update=False).size
        for start in range(0, size, ENTRIES_READ):
            stop = min(size, start + ENTRIES_READ)
            with self._engine.begin() as connection:
                self._check(connection, start, stop, since)
            self._progress(stop, size)
        self._check_stamps()
        if since == 0:
            for row, fault in self._uploads():
                where = key_text(t.file, key_of(t.file, row))
                if fault:
                    self._report.note("file", where, "FILE_VERDICT_CHANGED", fault)
                self._check_file(row[t.file.columns.keys().index("sha256")], where)
        return self._report

    def _check(self, connection: Connection, start: int, stop: int, since: int) -> None:
        """Entries [start, stop): each by the trust before it, then what it sets. Before `since` only the latter."""
        effects = {part.index: part.content for part in self._parts(connection, "effects", start, stop)}
        old = stop <= since
        payloads = {} if old else {p.index: p for p in self._parts(connection, _PAYLOAD, start, stop)}
        verdicts = {} if old else {p.index: p for p in self._parts(connection, _VERDICTS, start, stop)}
        for entry in self._ledger.read_entries(connection, self._registry, start, stop - start):
            index, content = entry.index, effects.get(entry.index, b"")
            time = entry.parse().time
            if index >= since:
                self._report.entries += 1
                if index in payloads and index in verdicts:
                    self._check_entry(index, time, payloads[index].content, verdicts[index].content)
                else:
                    self._report.gone += 1
            for effect in self._told(content):
                if isinstance(effect, TrustSet):
                    self._trusts.set(effect, time)
                elif isinstance(effect, CertificateSealed) and index >= since:
                    self._check_file(effect.pdf_sha256, f"entry {index}, sealed certificate")

    def _parts(self, connection: Connection, name: str, start: int, stop: int) -> Iterator[StoredPart]:
        return self._ledger.iterate_part(connection, self._registry, name, start, stop, skip_lost=True)

    def _told(self, content: bytes) -> tuple[object, ...]:
        """The effects, where there are any that are looked at here: most entries have none."""
        wanted = b'"trust.set.v1"' in content or b'"certificate.sealed.v1"' in content
        return decode_effects(content) if wanted else ()

    def _check_entry(self, index: int, time: dt.datetime, message: bytes, verdicts: bytes) -> None:
        try:
            payload_type, payload = split_pae(message)
            judged = _decode_judged(verdicts)
        except (SigningError, msgspec.MsgspecError) as error:
            self._note(index, "EVIDENCE_UNREADABLE", f"it is no evidence ({type(error).__name__})")
            return
        if payload_type in UNSIGNED and (payload_type != GENESIS_TYPE or index == 0):
            return
        if payload_type not in SIGNED:
            self._note(index, "EVIDENCE_UNKNOWN", f"nobody knows here who signs {payload_type}")
            return
        envelope = Envelope(payload_type=payload_type, payload=payload, signatures=judged.signatures)
        self._check_envelope(index, time, envelope, judged)
        papers = judged.papers or ()
        self._file_rows.note(index, judged.received_at or time, papers)
        for paper in papers:
            if paper.found:
                self._check_file(paper.reference.sha256, f"entry {index}")

    def _check_envelope(self, index: int, time: dt.datetime, envelope: Envelope, judged: Judged) -> None:
        at = judged.received_at
        if at is None or abs(time - at) > UNDER_WAY_MAX:
            self._note(index, "EVIDENCE_TIME", f"it says to have come at {at}, the entry is of {time}")
            return
        trust = self._trusts.store(judged.trust, at)
        if trust is None:
            self._note(index, "TRUST_NOT_IN_FORCE", "it was judged by a trust that was not in force then")
            return
        try:
            verify_envelope(envelope, SIGNED[envelope.payload_type], trust, at)
        except SigningError as error:
            number = error.signature_index
            which = "" if number is None else f", signature {number}"
            self._note(index, "SIGNATURE_REFUSED", f"its envelope did not hold then{which}: {error.reason}")
            return
        self._report.signatures += len(envelope.signatures)

    def _note(self, index: int, reason: str, rule: str) -> None:
        self._report.note("ledger_part", f"{index} {_VERDICTS}", reason, rule)

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
            for trust in self._trusts.not_ended(at):
                try:
                    verify_token(token, note, trust, at)
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
