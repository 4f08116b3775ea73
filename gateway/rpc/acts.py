"""From an institution's later act to a command: envelope, header, key, target, files, in that order.

Shared by PartyService (join, consent, decline, revoke) and RegistrationService (supplement, withdrawal). Runs in a
verification thread; what it raises leaves nothing behind. The law of each act is in `gateway/applications`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError, Message

from gateway.applications.later import Dossier, LaterAct
from gateway.cases.decision import Decision
from gateway.cases.errors import ApplicationNotFound
from gateway.cases.model import Application, FileReference, Header, Manifest, Moment, Paper
from gateway.commands import Answer, Command
from gateway.config import Limits
from gateway.pb.diya.v1 import acts_pb2, envelope_pb2, terms_pb2
from gateway.register.authority import KeyRole
from gateway.register.model import Party
from gateway.rpc.decode import check_files, decode_act, decode_manifest, decode_parties
from gateway.rpc.decode_fields import positions
from gateway.rpc.errors import Refusal
from gateway.rpc.guard import caller_now
from gateway.rpc.names import split_name
from gateway.rpc.rights import Caller, may_see
from gateway.rpc.sections import checked_sections, section_references
from gateway.rpc.submission import (
    check_applicant,
    check_case_bytes,
    check_limits,
    envelope_of,
    roles_of_signers,
    verify,
)
from gateway.rpc.violations import MalformedRequest, Violations
from gateway.sequencer import Sequencer
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings
from gateway.storage.working import Working
from gateway.worlds.world import papers_of, wants_of_case, world_of
from ledger.errors import PartKeyMissingError
from signing.envelope import Envelope, EnvelopeSignature, pae, split_pae
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope

#: Payload type of each act.
PAYLOAD_TYPES: Final[dict[type[Message], str]] = {
    acts_pb2.JoinAct: "application/vnd.diya.join.v1+protobuf",
    acts_pb2.ConsentAct: "application/vnd.diya.consent.v1+protobuf",
    acts_pb2.DeclineAct: "application/vnd.diya.decline.v1+protobuf",
    acts_pb2.RevokeAct: "application/vnd.diya.revoke.v1+protobuf",
    acts_pb2.SupplementAct: "application/vnd.diya.supplement.v1+protobuf",
    acts_pb2.WithdrawalAct: "application/vnd.diya.withdrawal.v1+protobuf",
}

_DIGEST_BYTES: Final = 32

A = TypeVar("A", bound=LaterAct)

_encode = msgspec.json.Encoder().encode


class ActEvidence(msgspec.Struct, frozen=True):
    """What was judged about an act, kept with its entry."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]
    sections: dict[str, bytes]
    papers: tuple[Paper, ...]


@dataclass(frozen=True, slots=True)
class Filed:
    """A filed case as it was sent: its row when the act came, its manifest parsed and as bytes, its terms."""

    row: Application
    manifest: Manifest
    payload: bytes
    terms: terms_pb2.Terms
    parties: dict[str, Party]

    def named(self, ids: Any, path: str) -> tuple[Party, ...]:
        """Parties of the terms by their ids. Raises MalformedRequest for an id that the terms do not have."""
        wrong = Violations()
        for number, party in enumerate(ids):
            if party not in self.parties:
                wrong.add(f"{path}[{number}]", "申请内容中没有该当事人", "the terms have no such party")
        wrong.refuse_if_any()
        return tuple(self.parties[party] for party in ids)

    def steps(self, numbers: Iterable[int], path: str = "operations") -> tuple[int, ...]:
        """Positions of operations of the terms, each once. Raises MalformedRequest for one that they do not have."""
        wrong = Violations()
        positions(numbers, len(self.manifest.terms.operations), path, wrong)
        wrong.refuse_if_any()
        return tuple(dict.fromkeys(numbers))

    def check_files(self, files: Iterable[FileReference]) -> None:
        """Papers that an act brings are for operations and parties that the terms have. Raises MalformedRequest."""
        wrong = Violations()
        check_files(files, len(self.manifest.terms.operations), self.parties, wrong)
        wrong.refuse_if_any()


@dataclass(frozen=True, slots=True)
class SignedAct:
    """A verified act, parsed: `common` holds the fields that every `LaterAct` has."""

    wire: Any
    header: Header
    common: dict[str, Any]
    envelope: Envelope
    verified: VerifiedEnvelope
    sections: dict[str, bytes]
    received_at: dt.datetime


class Acts:
    """Takes later acts of institutions: reads, verifies, queues, waits. One for each servicer that needs it."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        trust_of: Callable[[str], TrustStore],
        executor: Executor,
        limits: Limits,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._sequencer = sequencer
        self._queries = queries
        self._trust_of = trust_of
        self._executor = executor
        self._limits = limits
        self._clock = clock

    async def take(
        self,
        request: Any,
        kind: type[Message],
        read: Callable[[SignedAct, Filed], A],
        decide: Callable[[Dossier, A, Moment], Decision],
    ) -> Answer:
        """One act, from its request to its answer. Raises SigningError, Refusal, MalformedRequest, CommandRefused."""
        registry, application_id = split_name(request.name, "applications")
        filed = await filed_case(self._queries, registry, application_id)
        settings, trust = self._sequencer.settings(registry), self._trust_of(registry)
        caller = caller_now.get()

        def verified() -> Command:
            signed = self._verify(request, kind, registry, caller, settings, trust)
            try:
                filed.check_files(signed.common["files"])
                act = read(signed, filed)
            except MalformedRequest as error:
                if may_see(settings, caller.id, filed.row):
                    raise
                raise ApplicationNotFound(
                    request.name
                ) from error  # what it says of the case is not theirs to know
            if act.files and may_see(settings, caller.id, filed.row):
                check_case_bytes(_files_of(filed, act), self._limits, settings.profile)
            return _command(signed, act, filed, trust, decide)

        loop = asyncio.get_running_loop()
        return await self._sequencer.ask(await loop.run_in_executor(self._executor, verified))

    def _verify(
        self,
        request: Any,
        kind: type[Message],
        registry: str,
        caller: Caller,
        settings: Settings,
        trust: TrustStore,
    ) -> SignedAct:
        received_at = self._clock()
        envelope = envelope_of(request.envelope)
        verified = verify(envelope, PAYLOAD_TYPES[kind], Purpose.INSTITUTION, trust, received_at)
        wire: Any = kind()
        try:
            wire.ParseFromString(verified.payload)
        except DecodeError as error:
            name = kind.DESCRIPTOR.name
            raise Refusal("ENVELOPE_MALFORMED", f"载荷不是 {name}", f"the payload is not a {name}") from error
        header, files = decode_act(wire)
        _match_outer(request, registry, header, wire)
        channel = settings.institutions.get(header.channel_institution)
        if channel is None or channel.uscc != caller.id:
            raise _mismatch("header.channel_institution")
        applicant = check_applicant(channel, header, settings)
        check_limits(header, files, self._limits, settings.profile)
        target = wire.target
        wrong = Violations()
        if len(target.manifest_digest) != _DIGEST_BYTES:
            wrong.add("target.manifest_digest", "必须是 32 字节", "must be 32 bytes")
        if len(target.terms_sha256) not in (0, _DIGEST_BYTES) or (
            kind in (acts_pb2.JoinAct, acts_pb2.ConsentAct) and not target.terms_sha256
        ):
            wrong.add("target.terms_sha256", "必须是 32 字节", "must be 32 bytes")
        wrong.refuse_if_any()
        roles = roles_of_signers((applicant, channel), verified, received_at)
        signed = section_references(getattr(wire, "sections", ()))
        sections = checked_sections(signed, getattr(request, "sections", ()))
        return signed_act(wire, header, files, envelope, verified, roles, sections, received_at)


def signed_act(
    wire: Any,
    header: Header,
    files: tuple[FileReference, ...],
    envelope: Envelope,
    verified: VerifiedEnvelope,
    roles: Iterable[KeyRole],
    sections: dict[str, bytes],
    received_at: dt.datetime,
) -> SignedAct:
    """A verified act, parsed: header and files as `decode_act` read them, `roles` those of the signing keys."""
    common = {
        "application_id": wire.target.application.rpartition("/")[2],
        "manifest_sha256": wire.target.manifest_digest.hex(),
        "terms_sha256": wire.target.terms_sha256.hex(),
        "channel": header.channel_institution,
        "institution": header.applicant_institution,
        "clerk": header.clerk,
        "roles": tuple(sorted(roles)),
        "key_ids": tuple(signer.key_id for signer in verified.signers),
        "received_at": received_at,
        "request_id": header.request_id,
        "payload_sha256": verified.digest.hex(),
        "created_at": header.created_at,
        "not_after": header.not_after,
        "files": files,
    }
    return SignedAct(wire, header, common, envelope, verified, sections, received_at)


async def filed_case(queries: Queries, registry: str, application_id: str) -> Filed:
    """The case that an act is about. Raises ApplicationNotFound, also when its evidence has been erased."""
    name = f"registries/{registry}/applications/{application_id}"
    row = await queries.application(registry, application_id)
    if row is None:
        raise ApplicationNotFound(name)
    return await filed_of(queries, row)


async def filed_of(queries: Queries, row: Application) -> Filed:
    """The case of a row, with its manifest. Raises ApplicationNotFound when its evidence has been erased."""
    try:
        message = await queries.part(row.registry, row.submitted_index, "evidence/payload")
    except PartKeyMissingError as error:
        raise ApplicationNotFound(row.name) from error
    return filed_from(row, message)


def filed_from(row: Application, message: bytes) -> Filed:
    """The case of a row, from what was signed (a PAE of the manifest)."""
    payload = split_pae(message)[1]
    terms = terms_pb2.Terms.FromString(envelope_pb2.Manifest.FromString(payload).terms)
    return Filed(row, decode_manifest(payload, row.kind), payload, terms, decode_parties(terms))


def dossier_of(
    working: Working, filed: Filed, trust: TrustStore, moment: Moment, act: LaterAct | None = None
) -> Dossier:
    """The case as the batch finds it. Raises ApplicationNotFound."""
    row = working.application(filed.row.application_id)
    if row is None:
        raise ApplicationNotFound(filed.row.name)
    told = (*row.institutions, *((act.institution, act.channel) if act else ()))
    own = row.application_id
    papers = papers_of(working, filed.manifest, trust, moment.now, own, row.brought)
    new: tuple[Paper, ...] = ()
    if act is not None and act.files:
        none = msgspec.structs.replace(filed.manifest, files=())
        new = papers_of(working, none, trust, moment.now, own, act.brings(moment.index))
    world = world_of(working, filed.manifest, moment.now, told)
    if row.payoff_until is not None and not row.case:
        # The watch of the payoff asks whether a later phase brought the release.
        world = msgspec.structs.replace(world, phases=working.phases(own))
    return Dossier(world=world, row=row, manifest=filed.manifest, papers=papers, new_papers=new)


def _command(
    signed: SignedAct,
    act: A,
    filed: Filed,
    trust: TrustStore,
    decide: Callable[[Dossier, A, Moment], Decision],
) -> Command:
    found: list[tuple[Paper, ...]] = []

    def decided(working: Working, moment: Moment) -> Decision:
        dossier = dossier_of(working, filed, trust, moment, act)
        found.append(dossier.all_papers)
        return decide(dossier, act, moment)

    def evidence() -> bytes:
        return _encode(
            ActEvidence(
                signed.received_at, trust.digest(), signed.envelope.signatures, signed.sections, found[-1]
            )
        )

    wants = wants_of_case(filed.manifest, filed.row, signed.received_at)
    wants.requests = {(act.channel, act.request_id)}
    wants.files |= {(act.channel, f.sha256) for f in act.files}
    wants.papers |= {f.sha256 for f in act.files}
    return Command(
        registry=filed.row.registry,
        institution=act.channel,
        request_id=act.request_id,
        payload_sha256=act.payload_sha256,
        payload=pae(signed.verified.payload_type, signed.verified.payload),
        evidence=evidence,
        wants=wants,
        decide=decided,
    )


def _files_of(filed: Filed, act: LaterAct) -> tuple[FileReference, ...]:
    """The files of the case, with those that the act brings."""
    return (*filed.manifest.files, *(b.reference for b in filed.row.brought), *act.files)


def _match_outer(request: Any, registry: str, header: Header, wire: Any) -> None:
    """The outer fields say what was signed; a rehearsal of a later act there is none."""
    if header.validate_only:
        raise Refusal(
            "VALIDATE_ONLY_MISMATCH",
            "后续行为没有试算；validate_only 须为假",
            "a later act knows no rehearsal: validate_only must be false",
        )
    differing = [
        name
        for name, outer, inner in (
            ("registry", registry, header.registry),
            ("name", request.name, wire.target.application),
            ("request_id", request.request_id.lower(), header.request_id),
        )
        if outer != inner
    ]
    if differing:
        raise _mismatch(", ".join(differing))


def _mismatch(names: str) -> Refusal:
    return Refusal(
        "HEADER_MISMATCH",
        f"请求外层字段或者连接与签名内容不一致：{names}",
        f"outer fields, or the connection, differ from what was signed: {names}",
        {"fields": names},
    )
