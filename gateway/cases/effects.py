"""What an entry changes, complete and versioned: the `effects` part of every entry.

A view is the fold of these, in order. A name is never reused and its fold is never deleted
(design: *an entry, byte for byte*).
"""

from __future__ import annotations

import datetime as dt
from typing import TypeAlias

import msgspec

from gateway.cases.feed import AnyFeedAct, CounterCase, FeedState
from gateway.cases.model import Application
from gateway.register.authority import (
    Institution,
    LedgerKeyTerm,
    Profile,
    RegisteredKey,
    Registrar,
    RuleSet,
    SealTerm,
)
from gateway.register.calendar import Calendar
from gateway.register.model import AnyRight, Unit, Value
from signing.anchors import AnchorPolicy


class Effect(Value, tag_field="effect", frozen=True, kw_only=True):
    """Base of every effect."""


class RequestAnswered(Effect, tag="request.answered.v1", frozen=True, kw_only=True):
    """A request id is used up; a replay finds the stored outcome at this entry."""

    institution: str
    request_id: str
    payload_sha256: str
    application_id: str = ""


class ApplicationRecorded(Effect, tag="application.recorded.v1", frozen=True, kw_only=True):
    """The application's row as it stands after this entry."""

    application: Application


class PapersBound(Effect, tag="papers.bound.v1", frozen=True, kw_only=True):
    """Signed papers that now back this open or booked case, and no other (hex SHA-256)."""

    application_id: str
    papers: tuple[str, ...]


class ErasedFile(Value, frozen=True, kw_only=True):
    """A file that a case named: who uploaded it (USCC), its hex SHA-256."""

    institution: str
    sha256: str


class EvidenceErased(Effect, tag="evidence.erased.v1", frozen=True, kw_only=True):
    """The evidence of an application that ended unbooked is gone from this entry on: its key is destroyed, nothing
    finds it by unit or paper any more, and its files go where no other case names them (handbook 3.6).
    """

    application_id: str
    ground: str
    files: tuple[ErasedFile, ...] = ()
    at: dt.datetime


class PapersFreed(Effect, tag="papers.freed.v1", frozen=True, kw_only=True):
    """The case ended unbooked: its papers may back another."""

    application_id: str
    papers: tuple[str, ...]


class UnitRecorded(Effect, tag="unit.recorded.v1", frozen=True, kw_only=True):
    """A unit as it stands after this entry."""

    unit: Unit


class RightBooked(Effect, tag="right.booked.v1", frozen=True, kw_only=True):
    """A right exists from this entry on."""

    right: AnyRight


class RightEnded(Effect, tag="right.ended.v1", frozen=True, kw_only=True):
    """A right became historical; `by` is the right that took its place, if one did."""

    right_id: str
    ended_at: dt.datetime
    case_number: str
    reason: str
    ended_by: str
    by: str = ""


class PreNoticeTermMoved(Effect, tag="pre_notice.term.v1", frozen=True, kw_only=True):
    """Where the 90 days of a live pre-notice stand from this entry on (CC 221): noted beside its row, which stays."""

    right_id: str
    registrable_from: dt.date | None = None
    warned_days: int = 0
    lapse_presumed_on: dt.date | None = None


class CertificateNumbered(Effect, tag="certificate.numbered.v1", frozen=True, kw_only=True):
    """A certificate exists: number, content and digest are fixed. Its content is the part `certificate/n`."""

    identifier: str
    number: str
    kind: str
    part: str
    right_id: str
    application_id: str
    institutions: tuple[str, ...]


class CertificateSealed(Effect, tag="certificate.sealed.v1", frozen=True, kw_only=True):
    """The PDF was sealed; banks pay out on this."""

    identifier: str
    pdf_sha256: str
    size_bytes: int
    sealed_at: dt.datetime
    seal_key_id: str = ""  # empty in entries made before a registry had more than one
    national_key_id: str = ""  # of the second seal, where the registry seals in both suites


class CertificateEnded(Effect, tag="certificate.ended.v1", frozen=True, kw_only=True):
    """A certificate no longer proves a live right: CANCELLED, or SUPERSEDED by a new one."""

    identifier: str
    state: str
    case_number: str
    ended_at: dt.datetime


class EventRecorded(Effect, tag="event.recorded.v1", frozen=True, kw_only=True):
    """An event for one institution, numbered without gaps from 1."""

    institution: str
    sequence: int
    kind: str
    application_id: str
    state: str
    at: dt.datetime
    certificate: str = ""
    unit_code: str = ""  # of an event on a unit
    case_number: str = ""


class CounterMoved(Effect, tag="counter.moved.v1", frozen=True, kw_only=True):
    """A gap-free counter now stands at this value."""

    name: str
    value: int


class InstitutionSet(Effect, tag="institution.set.v1", frozen=True, kw_only=True):
    """An institution as it is known from this entry on."""

    institution: Institution


class RegistrarSet(Effect, tag="registrar.set.v1", frozen=True, kw_only=True):
    """A registrar as known from this entry on."""

    registrar: Registrar


class ProfileSet(Effect, tag="profile.set.v1", frozen=True, kw_only=True):
    """The registry's profile in force from this entry on."""

    profile: Profile


class RuleSetSet(Effect, tag="rules.set.v1", frozen=True, kw_only=True):
    """The registry's rule set in force from this entry on."""

    rules: RuleSet


class CalendarSet(Effect, tag="calendar.set.v1", frozen=True, kw_only=True):
    """The years whose table of working days was imported, all of them, as they stand from this entry on."""

    calendar: Calendar


class TrustSet(Effect, tag="trust.set.v1", frozen=True, kw_only=True):
    """Trust anchors and revocation evidence in force from this entry on: purpose -> DER certificates; DER lists and
    OCSP answers; purpose -> policies of some of its anchors.
    """

    anchors: dict[str, tuple[bytes, ...]]
    crls: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    policies: dict[str, tuple[AnchorPolicy, ...]] = {}


class RevocationNoted(Effect, tag="revocation.noted.v1", frozen=True, kw_only=True):
    """Lists and OCSP answers that the gateway fetched (DER), in force from this entry on; `superseded` (hex SHA-256)
    are so no longer. intermediates: authorities of theirs that the trust did not hold yet. standing: of these answers
    those about certificates of registered keys (hex SHA-256), for which the answers about others make room.
    """

    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    superseded: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()


class SealTermsSet(Effect, tag="seal-terms.set.v1", frozen=True, kw_only=True):
    """Every key that ever sealed for the registry and is known by an act, with its time, in order of use."""

    keys: tuple[SealTerm, ...]


class LedgerKeysSet(Effect, tag="ledger-keys.set.v1", frozen=True, kw_only=True):
    """Every key that ever signed the registry's checkpoints, with its time, in order of use; from the first act on."""

    keys: tuple[LedgerKeyTerm, ...]


class OperatorSet(Effect, tag="operator.set.v1", frozen=True, kw_only=True):
    """The operators' keys (hex key ids) and the auditors' from this entry on; `auditor_keys` says more of each."""

    key_ids: tuple[str, ...]
    tls_key_ids: tuple[str, ...] = ()
    auditor_tls_key_ids: tuple[str, ...] = ()
    auditor_keys: tuple[RegisteredKey, ...] = ()


class QueryRecorded(Effect, tag="query.recorded.v1", frozen=True, kw_only=True):
    """Somebody looked into the register (IR 27, 28). `subject` is a keyed hash: it says which looks were at one unit,
    and to nobody at which. What was asked and for what purpose is the entry's evidence.
    """

    query: str  # UNIT, EXTRACT, PERSON
    caller_kind: str
    caller: str  # USCC or registrar id
    basis: str
    subject: str
    number: str = ""  # of the extract
    at: dt.datetime


class FeedTaken(Effect, tag="feed.taken.v1", frozen=True, kw_only=True):
    """An act of the counter's feed came. `held` is one that has effect only once the hole before it is closed."""

    sequence: int
    payload_sha256: str
    held: AnyFeedAct | None = None


class FeedApplied(Effect, tag="feed.applied.v1", frozen=True, kw_only=True):
    """An act that was held has effect from this entry on."""

    sequence: int


class FeedMoved(Effect, tag="feed.moved.v1", frozen=True, kw_only=True):
    """Where the feed stands from this entry on."""

    state: FeedState


class CounterCaseRecorded(Effect, tag="counter.case.recorded.v1", frozen=True, kw_only=True):
    """A case of the counter as it stands after this entry; an open one holds its places in the queue."""

    case: CounterCase


class LenderTold(Effect, tag="lender.told.v1", frozen=True, kw_only=True):
    """A lender was told of a seizure by event `sequence` of its own; `maximum_amount`: its claim grows no more from
    then on (CC 423(4); EX 25).
    """

    right_id: str
    unit_code: str
    institution: str
    sequence: int
    told_at: dt.datetime
    maximum_amount: bool = False


class LenderRead(Effect, tag="lender.read.v1", frozen=True, kw_only=True):
    """The lender stated that it has read that event."""

    right_id: str
    institution: str
    read_at: dt.datetime


AnyEffect: TypeAlias = (
    RequestAnswered
    | ApplicationRecorded
    | PapersBound
    | PapersFreed
    | EvidenceErased
    | UnitRecorded
    | RightBooked
    | RightEnded
    | PreNoticeTermMoved
    | CertificateNumbered
    | CertificateSealed
    | CertificateEnded
    | EventRecorded
    | CounterMoved
    | FeedTaken
    | FeedApplied
    | FeedMoved
    | CounterCaseRecorded
    | LenderTold
    | LenderRead
    | InstitutionSet
    | RegistrarSet
    | ProfileSet
    | RuleSetSet
    | CalendarSet
    | TrustSet
    | SealTermsSet
    | LedgerKeysSet
    | RevocationNoted
    | OperatorSet
    | QueryRecorded
)

_encoder = msgspec.json.Encoder()


def encode_effects(effects: tuple[AnyEffect, ...]) -> bytes:
    """The `effects` part: a JSON array in order."""
    return _encoder.encode(effects)


_decoder = msgspec.json.Decoder(tuple[AnyEffect, ...])


def decode_effects(part: bytes) -> tuple[AnyEffect, ...]:
    """The effects of an `effects` part, in order. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(part)
