"""AdminClient: an operator's acts, each signed with the operator's personal key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Generic, TypeVar

import grpc

from gateway.client.errors import InputError, RequestError
from gateway.client.files import CHUNK_BYTES, ProgressCallback, hash_file
from gateway.client.manifest import instant
from gateway.client.payloads import envelope_to_wire, sign_payload
from gateway.client.reasons import ErrorReason
from gateway.client.receipt import VerifiedReceipt
from gateway.client.session import Session, translated
from gateway.pb.diya.v1 import admin_acts_pb2, authority_pb2, outcome_pb2
from gateway.pb.diya.v1 import admin_service_pb2 as pb
from gateway.pb.diya.v1.admin_service_pb2_grpc import AdminServiceStub
from signing.envelope import Envelope
from signing.signer import Signer

#: What is seen of an institution that nobody has registered.
NOT_REGISTERED: Final = -1

Value = TypeVar("Value")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """What stands after an act. receipt: verified; None while pending, or when nothing was kept."""

    value: Value
    envelope: Envelope
    wire: outcome_pb2.Receipt
    receipt: VerifiedReceipt | None


class AdminClient:
    """Acts of one operator. Every act raises RequestError (with the envelope) and
    ReceiptInvalid.
    """

    def __init__(self, session: Session, signer: Signer) -> None:
        self._session = session
        self._signer = signer
        self._stub = AdminServiceStub(session.connection.channel)

    async def import_register(
        self,
        path: Path,
        *,
        quarantine: bool = False,
        as_of: datetime | None = None,
        source: str = "",
        progress: ProgressCallback | None = None,
    ) -> Done[pb.ImportRegisterResponse]:
        """Import register rows from a CSV file. `value.applied` is False when bad rows stopped it:
        all of them are in `value.problems`, and nothing was kept. quarantine: leave bad rows out,
        their units on hold. Raises InputError too.
        """
        digest, size = await asyncio.to_thread(hash_file, path)
        act = admin_acts_pb2.ImportRegisterAct(
            header=self._session.header(None),
            sha256=digest,
            size_bytes=size,
            quarantine=quarantine,
            as_of=None if as_of is None else instant(as_of),
            source=source,
        )
        envelope = sign_payload(self._signer, act)
        metadata = pb.ImportRegisterMetadata(
            parent=self._session.parent,
            request_id=act.header.request_id,
            envelope=envelope_to_wire(envelope),
        )

        async def attempt() -> pb.ImportRegisterResponse:
            async with translated() as ending:
                call = self._stub.ImportRegister(
                    _messages(metadata, path, size, progress),
                    timeout=self._session.connection.deadlines.transfer,
                )
                ending.watch(call)
                return await call

        try:
            response = await self._session.retrying(attempt)
        except RequestError as error:
            error.envelope = envelope
            raise
        if not response.applied:
            return Done(response, envelope, response.receipt, None)
        return await self._done(response, envelope, response.receipt)

    async def set_institution(
        self, institution: authority_pb2.Institution, *, seen_index: int = 0
    ) -> Done[authority_pb2.Institution]:
        """Enter or replace an institution with its keys (设置机构). seen_index: its `index` as it was read before it
        was changed, NOT_REGISTERED where there was none; another act since then is SEEN_INDEX_STALE. 0 replaces
        whatever stands.
        """
        act = admin_acts_pb2.SetInstitutionAct(
            header=self._session.header(None), institution=institution, seen_index=seen_index
        )
        envelope, response = await self._send(self._stub.SetInstitution, pb.SetInstitutionRequest, act)
        return await self._done(response.institution, envelope, response.receipt)

    async def change_institution(
        self, uscc: str, edit: Callable[[authority_pb2.Institution], None]
    ) -> Done[authority_pb2.Institution]:
        """Change an institution as it stands; once more on what stands then, when another act came between.

        `edit` changes what it is given, and may raise. Raises InputError where none is registered.
        """
        try:
            return await self._change(uscc, edit)
        except RequestError as error:
            if error.reason != ErrorReason.SEEN_INDEX_STALE:
                raise
            return await self._change(uscc, edit)

    async def _change(
        self, uscc: str, edit: Callable[[authority_pb2.Institution], None]
    ) -> Done[authority_pb2.Institution]:
        institution = institution_of(uscc, [one async for one in self.list_institutions(uscc)])
        edit(institution)
        return await self.set_institution(institution, seen_index=institution.index)

    async def suspend_institution(self, uscc: str, reason: str) -> Done[authority_pb2.Institution]:
        """Suspend an institution, at once (暂停机构)."""
        act = admin_acts_pb2.SuspendInstitutionAct(
            header=self._session.header(None), uscc=uscc, reason=reason
        )
        envelope, response = await self._send(
            self._stub.SuspendInstitution, pb.SuspendInstitutionRequest, act
        )
        return await self._done(response.institution, envelope, response.receipt)

    async def resume_institution(self, uscc: str, reason: str) -> Done[authority_pb2.Institution]:
        """End a suspension (恢复机构)."""
        act = admin_acts_pb2.ResumeInstitutionAct(header=self._session.header(None), uscc=uscc, reason=reason)
        envelope, response = await self._send(self._stub.ResumeInstitution, pb.ResumeInstitutionRequest, act)
        return await self._done(response.institution, envelope, response.receipt)

    async def erase_evidence(
        self, application: str, ground: str, reason: str = ""
    ) -> Done[pb.EraseEvidenceResponse]:
        """Erase the evidence of an application that ended unbooked (销毁材料). `application`: id or name; `ground`:
        NEVER_ACCEPTED, WITHDRAWN or REFUSED. Without a new entry, and a receipt, where it was erased before.
        """
        act = admin_acts_pb2.EraseEvidenceAct(
            header=self._session.header(None),
            application=self._session.name("applications", application),
            ground=admin_acts_pb2.ErasureGround.Value(f"ERASURE_GROUND_{ground}"),
            reason=reason,
        )
        envelope, response = await self._send(self._stub.EraseEvidence, pb.EraseEvidenceRequest, act)
        if not response.HasField("receipt"):
            return Done(response, envelope, response.receipt, None)
        return await self._done(response, envelope, response.receipt)

    async def set_registrar(self, registrar: authority_pb2.Registrar) -> Done[authority_pb2.Registrar]:
        """Enter or replace a registrar with their keys (设置登记人员)."""
        act = admin_acts_pb2.SetRegistrarAct(header=self._session.header(None), registrar=registrar)
        envelope, response = await self._send(self._stub.SetRegistrar, pb.SetRegistrarRequest, act)
        return await self._done(response.registrar, envelope, response.receipt)

    async def set_auditors(
        self, keys: Sequence[authority_pb2.RegisteredKey]
    ) -> Done[tuple[authority_pb2.RegisteredKey, ...]]:
        """Replace the keys by which auditors connect (设置审计人员)."""
        act = admin_acts_pb2.SetAuditorsAct(header=self._session.header(None), keys=keys)
        envelope, response = await self._send(self._stub.SetAuditors, pb.SetAuditorsRequest, act)
        return await self._done(tuple(response.keys), envelope, response.receipt)

    async def set_profile(self, profile: authority_pb2.Profile) -> Done[authority_pb2.Profile]:
        """Put the next version of the profile in force (设置地方配置)."""
        act = admin_acts_pb2.SetProfileAct(header=self._session.header(None), profile=profile)
        envelope, response = await self._send(self._stub.SetProfile, pb.SetProfileRequest, act)
        return await self._done(response.profile, envelope, response.receipt)

    async def set_rule_set(self, rule_set: authority_pb2.RuleSet) -> Done[authority_pb2.RuleSet]:
        """Put the next rule set in force (设置规则集)."""
        act = admin_acts_pb2.SetRuleSetAct(header=self._session.header(None), rule_set=rule_set)
        envelope, response = await self._send(self._stub.SetRuleSet, pb.SetRuleSetRequest, act)
        return await self._done(response.rule_set, envelope, response.receipt)

    async def set_trust(
        self, trust: Sequence[authority_pb2.TrustSet]
    ) -> Done[tuple[authority_pb2.TrustSet, ...]]:
        """Replace anchors and revocation lists of the purposes named (设置信任)."""
        act = admin_acts_pb2.SetTrustAct(header=self._session.header(None), trust=trust)
        envelope, response = await self._send(self._stub.SetTrust, pb.SetTrustRequest, act)
        return await self._done(tuple(response.trust), envelope, response.receipt)

    async def rotate_seal(self, former_key_id: str, certificate: bytes) -> Done[authority_pb2.RegistryKey]:
        """Go on to the next seal of the gateway's settings (更换印章). former_key_id: of the one in use, empty where
        none is. certificate: of the next one, DER.
        """
        act = admin_acts_pb2.RotateSealAct(
            header=self._session.header(None), former_key_id=former_key_id, certificate=certificate
        )
        envelope, response = await self._send(self._stub.RotateSeal, pb.RotateSealRequest, act)
        return await self._done(response.key, envelope, response.receipt)

    async def retire_seal(
        self, key_id: str, reason: str, *, compromised_since: datetime | None = None
    ) -> Done[authority_pb2.RegistryKey]:
        """Seal no more with a key, and say since when it was not the registry's alone (停用印章)."""
        act = admin_acts_pb2.RetireSealAct(
            header=self._session.header(None),
            key_id=key_id,
            reason=reason,
            compromised_since=None if compromised_since is None else instant(compromised_since),
        )
        envelope, response = await self._send(self._stub.RetireSeal, pb.RetireSealRequest, act)
        return await self._done(response.key, envelope, response.receipt)

    async def list_keys(self) -> list[authority_pb2.RegistryKey]:
        """The registry's own keys, over all pages. Raises RequestError."""
        request = pb.ListKeysRequest(parent=self._session.parent)
        return [one async for page in self._session.pages(self._stub.ListKeys, request) for one in page.keys]

    async def list_sealed(
        self, key_id: str, since: datetime | None = None
    ) -> AsyncIterator[pb.SealedCertificate]:
        """The certificates that a seal key sealed, from an instant on, over all pages. Raises RequestError."""
        request = pb.ListSealedRequest(parent=self._session.parent, key_id=key_id, page_size=200)
        if since is not None:
            request.since.FromDatetime(since)
        async for page in self._session.pages(self._stub.ListSealed, request):
            for one in page.certificates:
                yield one

    async def list_sealed_answers(
        self, key_id: str, since: datetime | None = None
    ) -> AsyncIterator[pb.SealedAnswer]:
        """The statements and extracts that it sealed, likewise."""
        request = pb.ListSealedAnswersRequest(parent=self._session.parent, key_id=key_id, page_size=200)
        if since is not None:
            request.since.FromDatetime(since)
        async for page in self._session.pages(self._stub.ListSealedAnswers, request):
            for one in page.answers:
                yield one

    async def rotate_ledger_key(self, former_vkey: str, vkey: str) -> Done[authority_pb2.RegistryKey]:
        """Let the next ledger key of the gateway's settings sign checkpoints beside the one in use (启用新检查点
        密钥).
        """
        act = admin_acts_pb2.RotateLedgerKeyAct(
            header=self._session.header(None), former_vkey=former_vkey, vkey=vkey
        )
        envelope, response = await self._send(self._stub.RotateLedgerKey, pb.RotateLedgerKeyRequest, act)
        return await self._done(response.key, envelope, response.receipt)

    async def retire_ledger_key(
        self, vkey: str, reason: str, *, compromised_since: datetime | None = None
    ) -> Done[authority_pb2.RegistryKey]:
        """Sign no more checkpoints with a key, and say since when it was not the registry's alone (停用检查点密钥).

        The receipt is under the key that goes on: have that in the trust folder first.
        """
        act = admin_acts_pb2.RetireLedgerKeyAct(
            header=self._session.header(None),
            vkey=vkey,
            reason=reason,
            compromised_since=None if compromised_since is None else instant(compromised_since),
        )
        envelope, response = await self._send(self._stub.RetireLedgerKey, pb.RetireLedgerKeyRequest, act)
        return await self._done(response.key, envelope, response.receipt)

    async def list_signed_checkpoints(
        self, vkey: str, since: datetime | None = None
    ) -> AsyncIterator[pb.SignedCheckpoint]:
        """The checkpoints that a key signed alone, from an instant on, over all pages. Raises RequestError."""
        request = pb.ListSignedCheckpointsRequest(parent=self._session.parent, vkey=vkey, page_size=200)
        if since is not None:
            request.since.FromDatetime(since)
        async for page in self._session.pages(self._stub.ListSignedCheckpoints, request):
            for one in page.checkpoints:
                yield one

    async def import_calendar(self, table: bytes, source: str = "") -> Done[pb.ImportCalendarResponse]:
        """Put the State Council's table of one year in force (导入工作日历). table: the CSV, as it is."""
        act = admin_acts_pb2.ImportCalendarAct(header=self._session.header(None), table=table, source=source)
        envelope, response = await self._send(self._stub.ImportCalendar, pb.ImportCalendarRequest, act)
        return await self._done(response, envelope, response.receipt)

    async def get_calendar(self) -> pb.GetCalendarResponse:
        """The years of which a table is known, and until when. Raises RequestError."""
        request = pb.GetCalendarRequest(parent=self._session.parent)
        return await self._session.call(self._stub.GetCalendar, request)

    async def get_profile(self, version: int = 0, *, as_of: datetime | None = None) -> pb.GetProfileResponse:
        """Profile and rule set in force; of a version, or as of an instant, instead. Raises RequestError."""
        request = pb.GetProfileRequest(parent=self._session.parent, version=version)
        if as_of is not None:
            request.as_of.FromDatetime(as_of)
        return await self._session.call(self._stub.GetProfile, request)

    async def get_auditors(self) -> pb.GetAuditorsResponse:
        """The keys by which auditors connect. Raises RequestError."""
        request = pb.GetAuditorsRequest(parent=self._session.parent)
        return await self._session.call(self._stub.GetAuditors, request)

    async def get_trust(self) -> pb.GetTrustResponse:
        """Whom the registry believes, with the evidence in force. Raises RequestError."""
        request = pb.GetTrustRequest(parent=self._session.parent)
        return await self._session.call(self._stub.GetTrust, request)

    async def list_institutions(self, uscc: str = "") -> AsyncIterator[authority_pb2.Institution]:
        """Institutions with their keys, over all pages. Raises RequestError."""
        request = pb.ListInstitutionsRequest(parent=self._session.parent, uscc=uscc)
        async for page in self._session.pages(self._stub.ListInstitutions, request):
            for one in page.institutions:
                yield one

    async def list_registrars(self) -> AsyncIterator[authority_pb2.Registrar]:
        """Registrars with their keys, over all pages. Raises RequestError."""
        request = pb.ListRegistrarsRequest(parent=self._session.parent)
        async for page in self._session.pages(self._stub.ListRegistrars, request):
            for one in page.registrars:
                yield one

    async def _send(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Any, Response],
        request_of: Callable[..., Any],
        act: Any,
    ) -> tuple[Envelope, Response]:
        """Sign an act and send it; request_of: the request's class, all of which are alike."""
        envelope = sign_payload(self._signer, act)
        request = request_of(
            parent=self._session.parent,
            request_id=act.header.request_id,
            envelope=envelope_to_wire(envelope),
        )
        try:
            return envelope, await self._session.act(method, request)
        except RequestError as error:
            error.envelope = envelope
            raise

    async def _done(self, value: Value, envelope: Envelope, receipt: outcome_pb2.Receipt) -> Done[Value]:
        verified = await self._session.check_receipt(receipt, envelope)
        return Done(value, envelope, receipt, verified)


def institution_of(uscc: str, known: Iterable[authority_pb2.Institution]) -> authority_pb2.Institution:
    """The one of these with a present or former code. Raises InputError where there is none."""
    found = next((one for one in known if uscc in (one.uscc, *one.uscc_aliases)), None)
    if found is None:
        raise InputError(
            f"no institution {uscc} is registered: enter it by `diya institution set` first",
            f"没有登记机构 {uscc}；请先以 diya institution set 登记",
        )
    return found


async def _messages(
    metadata: pb.ImportRegisterMetadata, path: Path, size: int, progress: ProgressCallback | None
) -> AsyncIterator[pb.ImportRegisterRequest]:
    yield pb.ImportRegisterRequest(metadata=metadata)
    done = 0
    file: BinaryIO = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield pb.ImportRegisterRequest(chunk=chunk)
            done += len(chunk)
            if progress:
                progress(done, size)
    finally:
        file.close()
