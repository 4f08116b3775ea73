"""From a submit request to a command for the sequencer: envelope, manifest, rights of the key, in that order.

Runs in a verification thread: everything here is computing. What it raises leaves nothing behind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from gateway.applications.later import check_key_role
from gateway.applications.mandates import check_mandates, steps_asked
from gateway.applications.rehearsal import Rehearsed, rehearse
from gateway.applications.submit import Submission, decide_submission
from gateway.cases.decision import Decision
from gateway.cases.model import FileReference, Header, Kind, Manifest, Moment, Paper
from gateway.cases.terms import MortgageRelease
from gateway.commands import Command
from gateway.config import Limits
from gateway.pb.diya.v1 import envelope_pb2
from gateway.register.authority import Institution, KeyRole, Profile, Registrar
from gateway.rpc.decode import decode_manifest
from gateway.rpc.errors import Refusal
from gateway.rpc.names import malformed
from gateway.rpc.rights import Caller
from gateway.rpc.sections import checked_sections
from gateway.sequencer import ENTROPY_BYTES
from gateway.storage.settings import Settings
from gateway.storage.working import Working
from gateway.telemetry import metrics
from gateway.worlds.world import papers_of, wants_of, world_of
from ledger.store import Head
from signing.batch import BatchPath
from signing.envelope import Envelope, EnvelopeSignature, pae
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore
from signing.verify import VerifiedEnvelope, verify_envelope

MANIFEST_TYPE: Final = "application/vnd.diya.manifest.v1+protobuf"

#: A key that may submit may submit a release too; one for releases does nothing else.
_SUBMITTING: Final = (KeyRole.SUBMIT,)
_RELEASING: Final = (KeyRole.SUBMIT, KeyRole.RELEASE)

_ALGORITHMS = {
    number: name.removeprefix("SIGNATURE_ALGORITHM_")
    for name, number in envelope_pb2.SignatureAlgorithm.items()
}
_encode = msgspec.json.Encoder().encode


class Entrance(msgspec.Struct, frozen=True):
    """What one submitting method takes: manifests of one kind, and of a case its first phase or a later one."""

    kind: Kind
    later: bool = False


MORTGAGE: Final = Entrance(Kind.MORTGAGE)
MORTGAGE_RELEASE: Final = Entrance(Kind.MORTGAGE_RELEASE)
PRE_NOTICE: Final = Entrance(Kind.PRE_NOTICE)
ENCUMBERED_TRANSFER: Final = Entrance(Kind.ENCUMBERED_TRANSFER)
ADVANCE: Final = Entrance(Kind.ENCUMBERED_TRANSFER, later=True)


class SubmissionEvidence(msgspec.Struct, frozen=True):
    """What was judged, kept with the entry: enough to judge it again years later without us."""

    received_at: dt.datetime
    trust: str
    signatures: tuple[EnvelopeSignature, ...]
    sections: dict[str, bytes]
    papers: tuple[Paper, ...]


class VerifiedSubmission(msgspec.Struct, frozen=True):
    """A submission whose envelope holds, whose fields are well-formed, and whose sender may file it."""

    manifest: Manifest
    digest: str
    envelope: Envelope
    sections: dict[str, bytes]
    received_at: dt.datetime

    def submitted(self, papers: tuple[Paper, ...]) -> Submission:
        """The submission with its papers as found."""
        return Submission(manifest=self.manifest, payload_sha256=self.digest, papers=papers)


def verify_submission(
    request: Any,
    entrance: Entrance,
    registry: str,
    caller: Caller,
    settings: Settings,
    trust: TrustStore,
    limits: Limits,
    clock: Callable[[], dt.datetime],
) -> VerifiedSubmission:
    """Everything that is checked before the law is asked. Raises SigningError, MalformedRequest or Refusal."""
    received_at = clock()
    envelope = envelope_of(request.envelope)
    verified = verify(envelope, MANIFEST_TYPE, Purpose.INSTITUTION, trust, received_at)
    manifest = decode_manifest(verified.payload, entrance.kind)
    _match_outer(request, registry, manifest)
    _check_phase(manifest.header, entrance)
    channel = _channel(caller, manifest, settings)
    applicant = check_applicant(channel, manifest.header, settings)
    roles = roles_of_signers((applicant, channel), verified, received_at)
    wanted = _RELEASING if _only_releases(manifest) else _SUBMITTING
    check_key_role(roles, wanted, applicant.uscc)
    key_ids = [signer.key_id for signer in verified.signers]
    asked = steps_asked(manifest.terms)
    check_mandates(manifest.header.clerk, asked, (applicant, channel), key_ids, wanted, received_at)
    check_limits(manifest.header, manifest.files, limits, settings.profile)
    sections = checked_sections(manifest.sections, request.sections)
    return VerifiedSubmission(manifest, verified.digest.hex(), envelope, sections, received_at)


def command_of(submission: VerifiedSubmission, trust: TrustStore) -> Command:
    """The command that decides a verified submission."""
    manifest, envelope = submission.manifest, submission.envelope
    found: list[tuple[Paper, ...]] = []

    def decide(working: Working, moment: Moment) -> Decision:
        papers = papers_of(working, manifest, trust, moment.now)
        found.append(papers)
        world = world_of(working, manifest, moment.now)
        return decide_submission(world, submission.submitted(papers), moment)

    def evidence() -> bytes:
        return _encode(
            SubmissionEvidence(
                submission.received_at, trust.digest(), envelope.signatures, submission.sections, found[-1]
            )
        )

    return Command(
        registry=manifest.header.registry,
        institution=manifest.header.channel_institution,
        request_id=manifest.header.request_id,
        payload_sha256=submission.digest,
        payload=pae(envelope.payload_type, envelope.payload),
        evidence=evidence,
        wants=wants_of(manifest),
        decide=decide,
    )


def rehearsal_of(
    submission: VerifiedSubmission, settings: Settings, trust: TrustStore, now: dt.datetime
) -> Callable[[Connection, Head], Rehearsed]:
    """What a rehearsal does on one snapshot: the same reads and the same law, and nothing folded or written."""
    manifest = submission.manifest

    def work(connection: Connection, head: Head) -> Rehearsed:
        working = Working(connection, manifest.header.registry, settings)
        working.prefetch(wants_of(manifest))
        at = max(now, head.head_time)
        papers = papers_of(working, manifest, trust, at)
        moment = Moment(now=at, index=head.size, application_id="rehearsal", entropy=bytes(ENTROPY_BYTES))
        return rehearse(world_of(working, manifest, at), submission.submitted(papers), moment)

    return work


def envelope_of(wire: envelope_pb2.Envelope) -> Envelope:
    """The envelope as signing knows it; an algorithm number that we do not know stays unknown."""
    return Envelope(
        payload_type=wire.payload_type,
        payload=wire.payload,
        signatures=tuple(
            EnvelopeSignature(
                key_id=s.key_id,
                algorithm=_ALGORITHMS.get(s.algorithm, f"UNKNOWN_{s.algorithm}"),
                certificates=tuple(s.certificates),
                signature=s.signature,
                batch=_batch_of(s.batch) if s.HasField("batch") else None,
            )
            for s in wire.signatures
        ),
    )


def _batch_of(wire: envelope_pb2.BatchPath) -> BatchPath:
    return BatchPath(index=wire.index, size=wire.size, hashes=tuple(wire.hashes))


def verify(
    envelope: Envelope, payload_type: str, purpose: Purpose, trust: TrustStore, at: dt.datetime
) -> VerifiedEnvelope:
    """The envelope verified as a payload of one type; counts the verdict."""
    if envelope.payload_type != payload_type:
        raise Refusal(
            "ENVELOPE_MALFORMED",
            f"payload_type 应为 {payload_type}",
            f"payload_type must be {payload_type} here",
            {"payloadType": envelope.payload_type[:100]},
        )
    try:
        verified = verify_envelope(envelope, purpose, trust, at)
    except SigningError as error:
        metrics.signature("envelope", error.reason)
        raise
    metrics.signature("envelope", "ok")
    return verified


def check_registrar(registrar: Registrar, verified: VerifiedEnvelope, at: dt.datetime) -> None:
    """The act is signed by the registrar of the connection, with a personal key registered for `at`."""
    if not any(registrar.signs_with(signer.key_id, at) for signer in verified.signers):
        raise Refusal(
            "KEY_NOT_REGISTERED",
            f"签名密钥不是登记员 {registrar.registrar_id} 登记的密钥，或者不在其启用期内；"
            "请以本人登记的密钥签名，或者请运维人员登记该密钥（SetRegistrar）",
            f"the signing key is not registered for registrar {registrar.registrar_id}, or not for this time: sign "
            "with your own registered key, or have an operator register this one (SetRegistrar)",
            {"keyId": verified.signers[0].key_id},
        )


def roles_of_signers(
    institutions: Sequence[Institution], verified: VerifiedEnvelope, at: dt.datetime
) -> frozenset[KeyRole]:
    """Roles of the signing keys that are registered for one of these institutions. Raises Refusal when none is.

    The institutions are those whose word the act is: the applicant, and the channel that may file for it
    (`check_applicant`). A certificate says whose a key is by its identity number; being registered says what it may.
    """
    roles = {
        role
        for signer in verified.signers
        for institution in institutions
        if signer.identity is not None and institution.is_known_as(signer.identity.number)
        for role in institution.roles_of(signer.key_id, at)
    }
    if not roles:
        names = " / ".join(dict.fromkeys(institution.uscc for institution in institutions))
        uscc = institutions[0].uscc
        raise Refusal(
            "KEY_NOT_REGISTERED",
            f"签名密钥未登记为机构 {names} 的密钥，或者不在其启用期内；请以已登记的密钥签名，"
            f"或者由机构 {uscc} 请登记机构登记（运维人员：diya institution add-key {uscc} 证书.pem --role SUBMIT）",
            f"the signing key is not registered as one of institution {names}, or not for this time: sign with one "
            f"that is, or have institution {uscc} ask the authority to register it (an operator runs "
            f"diya institution add-key {uscc} CERTIFICATE.pem --role SUBMIT)",
            {"keyId": verified.signers[0].key_id, "institution": uscc},
        )
    return frozenset(roles)


def _only_releases(manifest: Manifest) -> bool:
    """Releases of mortgages and nothing else: by themselves, or as the phase of a case that ends the old ones."""
    if manifest.kind is Kind.MORTGAGE_RELEASE:
        return True
    steps = manifest.terms.operations
    return manifest.header.phase > 1 and all(isinstance(step, MortgageRelease) for step in steps)


def _check_phase(header: Header, entrance: Entrance) -> None:
    """A case begins by the method of its kind and goes on by AdvanceCase (handbook 2.3)."""
    if entrance.later and header.phase < 2:
        raise malformed(
            "header.phase",
            "AdvanceCase 用于第二阶段起；第一阶段请用 SubmitEncumberedTransfer",
            "AdvanceCase files phases from 2 on; submit the first phase by SubmitEncumberedTransfer",
        )
    if header.phase > 1 and not entrance.later:
        raise malformed(
            "header.phase",
            "第二阶段起请用 AdvanceCase 提交，此方法只用于第一阶段",
            "file a phase from 2 on by AdvanceCase; this method takes first phases alone",
        )


def _match_outer(request: Any, registry: str, manifest: Manifest) -> None:
    """The outer fields say what the signed header says; only the header counts."""
    header = manifest.header
    if request.validate_only != header.validate_only:
        raise Refusal(
            "VALIDATE_ONLY_MISMATCH",
            "validate_only 与签名内的 header 不一致；试算报文不能作为正式提交，反之亦然",
            "validate_only differs from the signed header: a rehearsal is never a submission, nor the other way round",
        )
    differing = [
        name
        for name, outer, inner in (
            ("registry", registry, header.registry),
            ("registry", registry, manifest.terms.registry),
            ("request_id", request.request_id.lower(), header.request_id),
        )
        if outer != inner
    ]
    if differing:
        names = ", ".join(dict.fromkeys(differing))
        raise Refusal(
            "HEADER_MISMATCH",
            f"请求外层字段与签名内容不一致：{names}",
            f"outer fields differ from what was signed: {names}",
            {"fields": names},
        )


def _channel(caller: Caller, manifest: Manifest, settings: Settings) -> Institution:
    """The institution whose system sent it: the caller itself."""
    header = manifest.header
    institution = settings.institutions.get(header.channel_institution)
    if institution is None or header.channel_institution != caller.id:
        raise Refusal(
            "HEADER_MISMATCH",
            "header.channel_institution 不是本连接所登记的机构",
            "header.channel_institution is not the institution registered for this connection",
            {"fields": "header.channel_institution"},
        )
    return institution


def check_applicant(channel: Institution, header: Header, settings: Settings) -> Institution:
    """The applicant: the channel acts for itself or for those it is registered to file for (handbook 1.3)."""
    applicant = header.applicant_institution
    if applicant != channel.uscc and applicant not in channel.files_for:
        raise Refusal(
            "CHANNEL_NOT_AUTHORISED",
            f"机构 {channel.uscc} 未获授权代 {applicant} 申请；请机构 {applicant} 请登记机构将其列入"
            f" {channel.uscc} 的代为报送机构（运维人员：diya institution set，filesFor 加 {applicant}）",
            f"institution {channel.uscc} is not registered to file for {applicant}: {applicant} asks the authority to "
            f"enter it among those that {channel.uscc} files for (an operator runs diya institution set with "
            f"{applicant} in filesFor)",
            {"channel": channel.uscc, "applicant": applicant},
        )
    known = settings.institutions.get(applicant)
    if known is None or known.suspended:
        raise Refusal(
            "INSTITUTION_SUSPENDED",
            f"申请机构 {applicant} 未登记或者已被暂停；请该机构请登记机构登记或者恢复"
            f"（运维人员：diya institution set，或者 diya institution resume {applicant}）",
            f"applicant institution {applicant} is not registered or is suspended: it asks the authority to register "
            f"it, or to end that (an operator runs diya institution set, or diya institution resume {applicant})",
            {"applicant": applicant},
        )
    return known


def check_limits(
    header: Header, files: Sequence[FileReference], limits: Limits, profile: Profile | None
) -> None:
    """How much one act may bring, and how long its envelope may be valid."""
    check_case_bytes(files, limits, profile)
    if (header.not_after - header.created_at).days > limits.envelope_days_max:
        raise Refusal(
            "ENVELOPE_EXPIRED",
            f"报文有效期不得超过 {limits.envelope_days_max} 天",
            f"an envelope may be valid for at most {limits.envelope_days_max} days",
            {"days": str(limits.envelope_days_max)},
        )


def check_case_bytes(files: Iterable[FileReference], limits: Limits, profile: Profile | None) -> None:
    """How much the files of one case may have together, each counted once; the registry's limit, else ours."""
    total = sum({f.sha256: f.size_bytes for f in files}.values())
    limit = (profile.max_case_bytes if profile else 0) or limits.case_bytes_max
    if total > limit:
        raise Refusal(
            "CASE_FILES_TOO_LARGE",
            f"本件文件共 {total} 字节，上限 {limit} 字节",
            f"the files of this case have {total} bytes, the limit is {limit}",
            {"bytes": str(total), "limit": str(limit)},
        )
