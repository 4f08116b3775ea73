"""A case as a caller is told it: the view BASIC of every list, and the dossier, each as far as the caller may read it.

That the caller may see the case at all is decided before (`rights.may_see`). Here: the clerk is told to the applicant
institution, the request id to its sender, a section to its readers, a file to its readers, and everything to the
registrar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.applications.limits import provisional_date
from gateway.cases.model import CLOSED, Application
from gateway.pb.diya.v1 import acts_pb2, application_pb2, codes_pb2, envelope_pb2, terms_pb2
from gateway.rpc import encode
from gateway.rpc.acts import PAYLOAD_TYPES
from gateway.rpc.files import file_message
from gateway.rpc.rights import Caller, CallerKind, acting_for
from gateway.storage.case_reads import CaseAct, CaseRecord
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings

JOIN_TYPE: Final = PAYLOAD_TYPES[acts_pb2.JoinAct]
REVIEW_TYPE: Final = "application/vnd.diya.review.v1+protobuf"

#: A registrar's acts that are addressed to the institutions of the case; the others are the authority's own.
_ADDRESSED: Final = ("request_supplement", "refuse")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the caller, and the codes under which it reads, its own and its branches', former ones too."""

    caller: Caller
    codes: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, caller: Caller) -> Reader:
        """The reader that a caller is."""
        codes = set()
        for uscc in acting_for(settings, caller.id):
            known = settings.institutions.get(uscc)
            codes |= {uscc, *(known.uscc_aliases if known is not None else ())}
        return cls(caller, frozenset(codes))

    @property
    def is_registrar(self) -> bool:
        """Whether everything is open to it."""
        return self.caller.kind is CallerKind.REGISTRAR

    def is_among(self, institutions: Iterable[str]) -> bool:
        """Whether the reader is a registrar or one of these institutions."""
        return self.is_registrar or not self.codes.isdisjoint(institutions)


async def told(
    queries: Queries, settings: Settings, caller: Caller, registry: str, rows: Sequence[Application]
) -> list[application_pb2.Application]:
    """Cases of one registry in the view BASIC."""
    reader = Reader.of(settings, caller)
    records = await queries.case_records(registry, rows)
    return [_basic(row, record, settings, reader) for row, record in zip(rows, records, strict=True)]


async def told_in_full(
    queries: Queries, settings: Settings, caller: Caller, row: Application
) -> application_pb2.Application:
    """A case in the view FULL."""
    reader = Reader.of(settings, caller)
    [record] = await queries.case_records(row.registry, [row])
    wire = _basic(row, record, settings, reader)
    await _add_dossier(wire.dossier, row, record, queries, reader)
    return wire


def _basic(
    row: Application, record: CaseRecord, settings: Settings, reader: Reader
) -> application_pb2.Application:
    wire = encode.application(row)
    if record.outcome is not None:
        bare = encode.bare_outcome(record.outcome, row.registry)
        stood = record.outcome.findings_of(row.application_id)
        # What rests on the calendar is told below, as it is now.
        wire.findings.extend(encode.finding(f) for f in stood if f.code != "W-PROVISIONAL_DATE")
        wire.awaiting.extend(bare.awaiting)
    if row.state not in CLOSED:
        wire.findings.extend(map(encode.finding, provisional_date(row)))
    if record.sealed_at:
        wire.milestones.sealed_at.FromJsonString(record.sealed_at)
    if reader.caller.id == row.channel_institution:
        wire.request_id = row.request_id
    if record.manifest:
        manifest = envelope_pb2.Manifest.FromString(record.manifest)
        wire.mode = terms_pb2.Terms.FromString(manifest.terms).mode
        if reader.is_among([row.applicant_institution]):
            wire.clerk.CopyFrom(manifest.header.clerk)
    applicant = settings.institutions.get(row.applicant_institution)
    if applicant is not None and wire.mode != codes_pb2.ENCUMBERED_TRANSFER_MODE_UNSPECIFIED:
        wire.agreement_number = applicant.agreement_no
    return wire


async def _add_dossier(
    wire: application_pb2.Dossier, row: Application, record: CaseRecord, queries: Queries, reader: Reader
) -> None:
    """The manifest as it was signed, so that an act on the case can refer to what was read, and what lies by it."""
    papers = await queries.case_papers(row)
    manifest = envelope_pb2.Manifest.FromString(record.manifest)
    wire.manifest = record.manifest
    _add_sections(wire, manifest.sections, papers.sections, row.channel_institution, reader)
    for act in papers.acts:
        if act.payload_type == JOIN_TYPE:
            joined = acts_pb2.JoinAct.FromString(act.payload)
            _add_sections(wire, joined.sections, act.sections, act.actor, reader)
        wire.acts.add(
            index=act.index,
            time=encode.timestamp(act.time),
            payload_type=act.payload_type,
            payload=act.payload if _may_read(act, reader) else b"",
            actor=act.actor,
        )
    named = [(row.channel_institution, reference) for reference in manifest.files]
    named += [(b.institution, encode.file_reference(b.reference)) for b in row.brought]
    readable = [
        (sender, reference)
        for sender, reference in named
        if not reference.readers or reader.is_among((*reference.readers, sender))
    ]
    rows = await queries.files(row.registry, [(sender, r.sha256.hex()) for sender, r in readable])
    for (sender, reference), found in zip(readable, rows, strict=True):
        whole = reader.is_registrar or reader.caller.id == sender
        file = None if found is None else file_message(found, whole=whole)
        wire.files.add(reference=reference, file=file, institution=sender)


def _add_sections(
    wire: application_pb2.Dossier,
    references: Iterable[envelope_pb2.SectionReference],
    contents: dict[str, bytes],
    sender: str,
    reader: Reader,
) -> None:
    """A section goes to those whom its sender names, to the sender, and to the registrar; to nobody else."""
    for reference in references:
        if reference.name in contents and reader.is_among((*reference.readers, sender)):
            wire.sections.add(name=reference.name, content=contents[reference.name])


def _may_read(act: CaseAct, reader: Reader) -> bool:
    """What one institution of the case signed the others rely on; a registrar's opinion is the authority's own."""
    if act.payload_type != REVIEW_TYPE or reader.is_registrar:
        return True
    arm: Any = acts_pb2.ReviewAct.FromString(act.payload).WhichOneof("act")
    return arm in _ADDRESSED
