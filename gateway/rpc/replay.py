"""A case decided once more, years later: the same pure decisions on the register as the ledger had it then.

The effects of the ledger are folded into a scratch database up to the entry; payload, papers and time are what was kept
with it; the draws of a booking stand in its certificates (their codes). What comes out is compared with the entry: the
same, or where it differs. Only places are told, never contents. Nothing is written outside the scratch database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, select

from gateway.applications.accepting import Answered
from gateway.applications.later import Dossier, LaterAct
from gateway.applications.review import decide_review
from gateway.applications.submit import Submission, decide_submission
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, RequestAnswered, decode_effects, encode_effects
from gateway.cases.errors import ApplicationNotFound, CommandRefused
from gateway.cases.model import Application, Moment, Outcome, Paper
from gateway.certificates.content import CertificateContent, encode_content
from gateway.register.authority import RuleSet
from gateway.rounds.clockwork import PROMPTS, Prompt
from gateway.rounds.sealing import SEALED_TYPE
from gateway.rounds.term_clock import CLOCKWORK_TYPE
from gateway.rpc.acts import PAYLOAD_TYPES, Filed, filed_from, signed_act
from gateway.rpc.case_view import REVIEW_TYPE
from gateway.rpc.decode import decode_act, decode_manifest
from gateway.rpc.errors import Refusal
from gateway.rpc.party import PARTY_ACTS
from gateway.rpc.registration import REGISTRATION_ACTS
from gateway.rpc.review_acts import parse_review_act, review_act
from gateway.rpc.submission import MANIFEST_TYPE, roles_of_signers
from gateway.rpc.trust import trust_store
from gateway.rpc.violations import MalformedRequest
from gateway.sequencer import ENTROPY_BYTES
from gateway.storage import tables as t
from gateway.storage.engine import scratch_engine
from gateway.storage.rebuild import ENTRIES_READ, Fold, create_scratch_views
from gateway.storage.settings import Settings, load_settings
from gateway.storage.statements import find_application
from gateway.storage.working import Working
from gateway.worlds.world import world_of
from ledger.errors import PartKeyMissingError, PartNotFoundError
from ledger.store import Ledger
from signing.envelope import Envelope, EnvelopeSignature, split_pae
from signing.errors import SigningError
from signing.trust import Purpose
from signing.verify import VerifiedEnvelope, verify_envelope

#: Places named of one decision; one that differs in more is another decision.
DIFFERENCES_MAX: Final = 100

_ERASED: Final = "its evidence was erased"
_ACTS: Final = {
    PAYLOAD_TYPES[kind]: (kind, *how) for kind, how in {**PARTY_ACTS, **REGISTRATION_ACTS}.items()
}

_encode = msgspec.json.Encoder().encode


class Judged(msgspec.Struct, frozen=True):
    """As much of a part `evidence/verdicts` as is read again. `papers` is None where none were kept; `trust` is the
    digest of the trust store by which the envelope was judged.
    """

    received_at: dt.datetime | None = None
    trust: str = ""
    signatures: tuple[EnvelopeSignature, ...] = ()
    papers: tuple[Paper, ...] | None = None


class CannotReplay(Exception):
    """An entry cannot be decided again; the message says why."""


class NoLongerWanted(Exception):
    """Whoever asked has gone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry with the parts that a decision made or read."""

    index: int
    kind: str
    time: dt.datetime
    payload_type: str
    payload: bytes
    judged: Judged
    outcome: bytes
    effects: bytes
    contents: tuple[bytes, ...]

    @property
    def answered(self) -> RequestAnswered:
        """Whose request it was."""
        return next(e for e in decode_effects(self.effects) if isinstance(e, RequestAnswered))

    @property
    def result(self) -> str:
        """What the entry says."""
        return msgspec.json.decode(self.outcome, type=Outcome).result.value

    @property
    def papers(self) -> tuple[Paper, ...]:
        """The papers as they were found then. Raises CannotReplay."""
        if self.judged.papers is None:
            raise CannotReplay("its papers were not kept")
        return self.judged.papers

    def moment(self, application_id: str) -> Moment:
        """What was drawn: time and index of the entry, and the codes of its certificates in order."""
        drawn = b"".join(
            bytes.fromhex(msgspec.json.decode(content, type=CertificateContent).code)
            for content in self.contents
        )
        entropy = drawn[:ENTROPY_BYTES].ljust(ENTROPY_BYTES, b"\0")
        return Moment(now=self.time, index=self.index, application_id=application_id, entropy=entropy)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision, made again. `rule_version` is that of the rule set in force before the entry, 0 without one."""

    index: int
    kind: str
    result: str
    rule_version: int
    differences: tuple[str, ...] = ()
    not_replayed: str = ""

    @property
    def same(self) -> bool:
        """Whether everything comes out as it was kept."""
        return not self.differences and not self.not_replayed


def replay_case(
    engine: Engine,
    ledger: Ledger,
    registry: str,
    application_id: str,
    *,
    wanted: Callable[[], bool] = lambda: True,
    under: RuleSet | None = None,
) -> list[Replayed]:
    """Every decision on a case, made again, in order.

    `wanted` is asked between steps. `under`: decide by this rule set instead of the one then in force. Raises
    ApplicationNotFound, NotFolded (the ledger does not fold), NoLongerWanted.
    """
    with engine.begin() as connection:
        row = find_application(connection, registry, application_id)
        if row is None:
            raise ApplicationNotFound(f"registries/{registry}/applications/{application_id}")
        indexes = _entries_of(connection, row)
    with _scratch() as scratch:
        fold = Fold(ledger, registry, scratch)
        found = []
        for index in indexes:
            while fold.size < index:
                if not wanted():
                    raise NoLongerWanted
                with engine.begin() as connection:  # a snapshot each, so that the WAL can be reset
                    fold.grow(connection, min(index, fold.size + ENTRIES_READ))
            with engine.begin() as connection:
                one = _Replay(connection, scratch, ledger, row, index, under).run()
            if one is not None:
                found.append(one)
    return found


@contextmanager
def _scratch() -> Iterator[Connection]:
    engine = scratch_engine()
    try:
        with engine.begin() as connection:
            create_scratch_views(connection)
            yield connection
    finally:
        engine.dispose()


def _entries_of(connection: Connection, row: Application) -> list[int]:
    """Entries that answered a request on the case, the submission first."""
    request = t.request
    statement = (
        select(request.c.entry_index)
        .where(request.c.registry == row.registry, request.c.application_id == row.application_id)
        .order_by(request.c.entry_index)
    )
    return list(connection.execute(statement).scalars())


class _Replay:
    """One entry of a case, decided again. `connection` is a snapshot of the live store, `scratch` holds the views."""

    def __init__(
        self,
        connection: Connection,
        scratch: Connection,
        ledger: Ledger,
        row: Application,
        index: int,
        under: RuleSet | None,
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._row = row
        self._index = index
        settings = load_settings(scratch, row.registry)
        self._settings: Settings = settings if under is None else replace(settings, rules=under)
        self._working = Working(scratch, row.registry, self._settings)

    def run(self) -> Replayed | None:
        """None for an entry that decided nothing: a certificate was sealed."""
        entry = self._ledger.read_entry(self._connection, self._row.registry, self._index).parse()
        outcome = self._part("outcome")
        rules = self._settings.rules
        told = Replayed(
            index=self._index,
            kind=entry.kind,
            result=msgspec.json.decode(outcome, type=Outcome).result.value if outcome else "",
            rule_version=rules.version if rules is not None else 0,
        )
        if not outcome:
            return replace(told, not_replayed=_ERASED)
        message, judged = self._part("evidence/payload"), self._part("evidence/verdicts")
        if not message or not judged:
            return replace(told, not_replayed=_ERASED)
        payload_type, payload = split_pae(message)
        if payload_type == SEALED_TYPE:
            return None
        contents: list[bytes] = []
        while content := self._part(f"certificate/{len(contents) + 1}"):
            contents.append(content)
        kept = Kept(
            index=self._index,
            kind=entry.kind,
            time=entry.time,
            payload_type=payload_type,
            payload=payload,
            judged=msgspec.json.decode(judged, type=Judged),
            outcome=outcome,
            effects=self._part("effects"),
            contents=tuple(contents),
        )
        try:
            decision = self._decide(kept)
        except CannotReplay as error:
            return replace(told, not_replayed=str(error))
        except (SigningError, Refusal, MalformedRequest) as error:
            return replace(told, not_replayed=f"its envelope no longer reads ({type(error).__name__})")
        except CommandRefused as error:
            return replace(told, differences=(f"refused: {error.reason}",))
        return replace(told, differences=tuple(compare(kept, decision)[:DIFFERENCES_MAX]))

    def _part(self, name: str) -> bytes:
        """A part of the entry; empty when there is none, or when it was erased."""
        try:
            return self._ledger.read_part(self._connection, self._row.registry, self._index, name)[1]
        except (PartNotFoundError, PartKeyMissingError):
            return b""

    # -- the decisions -------------------------------------------------------------------------------------------

    def _decide(self, kept: Kept) -> Decision:
        match kept.payload_type:
            case payload_type if payload_type == MANIFEST_TYPE:
                return self._submission(kept)
            case payload_type if payload_type == REVIEW_TYPE:
                return self._review(kept)
            case payload_type if payload_type == CLOCKWORK_TYPE:
                return self._prompted(kept)
            case payload_type if payload_type in _ACTS:
                return self._act(kept)
        raise CannotReplay(f"this version does not know how {kept.payload_type} was decided")

    def _submission(self, kept: Kept) -> Decision:
        manifest = decode_manifest(kept.payload, self._row.kind)
        what = Submission(manifest=manifest, payload_sha256=kept.answered.payload_sha256, papers=kept.papers)
        world = world_of(self._working, manifest, kept.time)
        return decide_submission(world, what, kept.moment(self._row.application_id))

    def _review(self, kept: Kept) -> Decision:
        row, filed = self._row_then(), self._filed()
        verified = self._verified(kept, Purpose.REGISTRAR)
        act = review_act(parse_review_act(verified), verified)
        world = world_of(self._working, filed.manifest, kept.time, row.institutions)
        registrar = self._settings.registrars[kept.answered.institution]
        units_index = max((self._working.unit_index(code) for code in row.units), default=-1)
        moment = kept.moment("")
        return decide_review(
            world, registrar, row, filed.manifest, kept.papers, act, moment, units_index=units_index
        )

    def _prompted(self, kept: Kept) -> Decision:
        row, filed = self._row_then(), self._filed()
        prompt = msgspec.json.decode(kept.payload, type=Prompt).prompt
        decide = PROMPTS.get(prompt)
        if decide is None:
            raise CannotReplay(f"this version does not know what {prompt} asked")
        known = kept.answered
        answered = Answered(
            kind="application.turn_came",
            institution=known.institution,
            request_id=known.request_id,
            payload_sha256=known.payload_sha256,
        )
        world = world_of(self._working, filed.manifest, kept.time, row.institutions)
        dossier = Dossier(world=world, row=row, manifest=filed.manifest, papers=kept.papers)
        return decide(dossier, answered, kept.moment(""))

    def _act(self, kept: Kept) -> Decision:
        """An institution's later act: its key's roles as they were, its papers behind those of the case."""
        kind, read, decide = _ACTS[kept.payload_type]
        row, filed = self._row_then(), self._filed()
        verified = self._verified(kept, Purpose.INSTITUTION)
        received_at = kept.judged.received_at or kept.time
        wire: Any = kind()
        wire.ParseFromString(verified.payload)
        header, files = decode_act(wire)
        known = self._settings.institutions
        signers = (known[header.applicant_institution], known[header.channel_institution])
        roles = roles_of_signers(signers, verified, received_at)
        signed = signed_act(wire, header, files, self._envelope(kept), verified, roles, {}, received_at)
        act: LaterAct = read(signed, replace(filed, row=row))
        own = len(filed.manifest.files) + len(row.brought)
        told = (*row.institutions, act.institution, act.channel)
        dossier = Dossier(
            world=world_of(self._working, filed.manifest, kept.time, told),
            row=row,
            manifest=filed.manifest,
            papers=kept.papers[:own],
            new_papers=kept.papers[own:],
        )
        decision: Decision = decide(dossier, act, kept.moment(""))
        return decision

    def _row_then(self) -> Application:
        row = self._working.application(self._row.application_id)
        if row is None:
            raise CannotReplay("the ledger has no such case before it")
        return row

    def _filed(self) -> Filed:
        """The case as it was filed. Raises CannotReplay when that was erased."""
        try:
            _, message = self._ledger.read_part(
                self._connection, self._row.registry, self._row.submitted_index, "evidence/payload"
            )
        except PartKeyMissingError as error:
            raise CannotReplay(_ERASED) from error
        return filed_from(self._row, message)

    def _envelope(self, kept: Kept) -> Envelope:
        return Envelope(
            payload_type=kept.payload_type, payload=kept.payload, signatures=kept.judged.signatures
        )

    def _verified(self, kept: Kept, purpose: Purpose) -> VerifiedEnvelope:
        """The envelope, judged as of its receipt by the trust of that time."""
        if self._settings.trust is None:
            raise CannotReplay("the registry trusted nobody then")
        trust = trust_store(self._settings.trust)
        return verify_envelope(self._envelope(kept), purpose, trust, kept.judged.received_at or kept.time)


# -- comparing -----------------------------------------------------------------------------------------------------


def compare(kept: Kept, decision: Decision) -> list[str]:
    """Where a decision differs from the entry. What was kept is read as this version reads it, defaults filled in."""
    found = [] if kept.kind == decision.kind else ["kind"]
    found += _differing(kept.outcome, _encode(decision.outcome), Outcome, "outcome")
    found += _differing(kept.effects, encode_effects(decision.effects), tuple[AnyEffect, ...], "effects")
    contents = [encode_content(content) for content in decision.contents]
    if len(contents) != len(kept.contents):
        found.append("certificates")
    for n, (old, new) in enumerate(zip(kept.contents, contents, strict=False), start=1):
        found += _differing(old, new, CertificateContent, f"certificate/{n}")
    return found


def _differing(old: bytes, new: bytes, kind: Any, name: str) -> list[str]:
    if old == new:
        return []
    return list(
        _places(
            msgspec.json.decode(_encode(msgspec.json.decode(old, type=kind))), msgspec.json.decode(new), name
        )
    )


def _places(old: Any, new: Any, path: str) -> Iterator[str]:
    """Places at which two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if key in old and key in new:
                yield from _places(old[key], new[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(old, list) and isinstance(new, list):
        for n, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _places(one, other, f"{path}[{n}]")
        if len(old) != len(new):
            yield f"{path}[{min(len(old), len(new))}]"
    elif old != new:
        yield path
