"""DiyaClient: what a bank's or a fund centre's loan system does with its own cases.

    async with connect(target, server_roots=…, certificate_chain=…, private_key=…) as connection:
        client = DiyaClient(Session(connection, "jiangyin", read_trust(Path("trust"))))
        answer = await client.submit_mortgage(sign_submission(signer, manifest))

Every receipt that comes back is verified before it is handed on. docs/client.md walks through a
case.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from gateway.client import events
from gateway.client.acts import send_act
from gateway.client.certificates import Certificates, CheckedPayout, VerifiedCertificate
from gateway.client.errors import InputError, ProtocolBroken, ReceiptInvalid
from gateway.client.files import FileTransfer, ProgressCallback, UploadedFile
from gateway.client.manifest import instant
from gateway.client.payloads import header_of, sign_payload
from gateway.client.receipt import VerifiedReceipt, verify_answer
from gateway.client.session import Actor, Answer, Session
from gateway.client.stream import UNANSWERED_MAX, StreamAnswer, SubmitStream
from gateway.client.submissions import KINDS, Submission, submit
from gateway.pb.diya.v1 import (
    acts_pb2,
    application_pb2,
    certificate_service_pb2,
    codes_pb2,
    common_pb2,
    envelope_pb2,
    file_pb2,
    outcome_pb2,
    register_service_pb2,
    terms_pb2,
)
from gateway.pb.diya.v1 import registration_service_pb2 as pb
from gateway.pb.diya.v1.register_service_pb2_grpc import RegisterServiceStub
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub
from signing.envelope import Envelope
from signing.signer import Signer
from signing.trust import TrustStore

Sections = Sequence[envelope_pb2.Section]


class DiyaClient:
    """One institution's client of one registry. Safe to share between tasks of one event loop."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.files = FileTransfer(session)
        self.certificates = Certificates(session)
        self._stub = RegistrationServiceStub(session.connection.channel)
        self._register = RegisterServiceStub(session.connection.channel)

    # -- papers --------------------------------------------------------------------------------

    async def upload_file(
        self,
        path: Path,
        *,
        media_type: str = "",
        signs: bytes = b"",
        progress: ProgressCallback | None = None,
    ) -> UploadedFile:
        """Upload a paper; see `FileTransfer.upload`."""
        return await self.files.upload(path, media_type=media_type, signs=signs, progress=progress)

    async def download_file(self, sha256: bytes, to: Path, *, application: str = "") -> file_pb2.File:
        """Download a file of a case; see `FileTransfer.download`."""
        return await self.files.download(sha256, to, application=application)

    async def render_forms(
        self,
        terms: bytes,
        *,
        parties: Sequence[str] = (),
        answers: Sequence[pb.InquiryAnswer] = (),
    ) -> tuple[pb.RenderedForm, ...]:
        """Application form and records of questions as PDF for persons to sign.

        terms: the bytes that will stand in the manifest. Raises RequestError.
        """
        response = await self.session.act(
            self._stub.RenderForms,
            pb.RenderFormsRequest(parent=self.session.parent, terms=terms, parties=parties, answers=answers),
        )
        return tuple(response.forms)

    # -- submissions ---------------------------------------------------------------------------

    async def submit(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """Send a signed manifest by the call of its kind. Sending the same envelope again is
        harmless: the stored answer comes back.

        Raises InputError, RequestError (with the envelope), ReceiptInvalid, ProtocolBroken.
        """
        return await submit(self.session, Submission(envelope, tuple(sections)))

    async def submit_mortgage(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """Mortgages: first registration, change, transfer, fixing, construction. As `submit`."""
        return await self._submit("mortgage", envelope, sections)

    async def submit_mortgage_release(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """Release of mortgages. As `submit`."""
        return await self._submit("mortgage-release", envelope, sections)

    async def submit_pre_notice(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """Pre-notices. As `submit`."""
        return await self._submit("pre-notice", envelope, sections)

    async def submit_encumbered_transfer(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """The first phase of an encumbered transfer. As `submit`."""
        return await self._submit("encumbered-transfer", envelope, sections)

    async def advance_case(self, envelope: Envelope, sections: Sections = ()) -> Answer:
        """The next phase of an encumbered transfer: the header names `case` and `phase`, from 2 on.
        A phase that only releases may be signed with a key for releases. As `submit`.
        """
        if not Submission(envelope).is_later_phase:
            raise InputError(
                "the header names no phase from 2 on: a first phase is submitted by submit_encumbered_transfer",
                "信头未注明第二阶段起的 phase：第一阶段请用 submit_encumbered_transfer",
            )
        return await self._submit("encumbered-transfer", envelope, sections)

    async def _submit(self, kind: str, envelope: Envelope, sections: Sections) -> Answer:
        return await submit(self.session, Submission(envelope, tuple(sections)), KINDS[kind])

    def submit_stream(
        self, submissions: AsyncIterable[Submission], *, window: int = UNANSWERED_MAX
    ) -> AsyncIterator[StreamAnswer]:
        """Many submissions over one stream, answered in order; see `SubmitStream`. `window` of
        them, at most 64, are unanswered at any time: the source is read no further.
        """
        return SubmitStream(self.session, submissions, window=window).answers()

    # -- cases ---------------------------------------------------------------------------------

    async def get_application(self, name: str, *, full: bool = False) -> application_pb2.Application:
        """One application; `full` with its dossier. name: resource name or id. Raises
        RequestError.
        """
        view = application_pb2.APPLICATION_VIEW_FULL if full else application_pb2.APPLICATION_VIEW_BASIC
        response = await self.session.call(
            self._stub.GetApplication,
            pb.GetApplicationRequest(name=self.session.name("applications", name), view=view),
        )
        return response.application

    async def list_applications(
        self,
        *,
        states: Sequence[application_pb2.Application.State.ValueType] = (),
        kinds: Sequence[codes_pb2.ApplicationKind.ValueType] = (),
        unit_code: str = "",
        applicant_institution: str = "",
        case: str = "",
        case_number: str = "",
        submitted_after: datetime | None = None,
        submitted_before: datetime | None = None,
        page_size: int = 0,
    ) -> AsyncIterator[application_pb2.Application]:
        """Applications, newest first, over all pages. Raises RequestError."""
        request = pb.ListApplicationsRequest(
            parent=self.session.parent,
            states=states,
            kinds=kinds,
            unit_code=unit_code,
            applicant_institution=applicant_institution,
            case=case,
            case_number=case_number,
            submitted_after=None if submitted_after is None else instant(submitted_after),
            submitted_before=None if submitted_before is None else instant(submitted_before),
            page_size=page_size,
        )
        async for page in self.session.pages(self._stub.ListApplications, request):
            for one in page.applications:
                yield one

    def watch_events(
        self, after_sequence: int = 0, *, catch_up_only: bool = False, institution: str = ""
    ) -> AsyncIterator[outcome_pb2.Event]:
        """Events above `after_sequence`, each once and without a gap, resumed by itself after a
        broken stream. Keep the last sequence that you handled. institution: a branch's USCC.

        Raises RequestError, EventGap.
        """
        return events.watch(
            self.session, after_sequence, catch_up_only=catch_up_only, institution=institution
        )

    async def supplement(
        self,
        signer: Signer,
        actor: Actor,
        target: acts_pb2.ActTarget,
        *,
        files: Sequence[envelope_pb2.FileReference] = (),
        evidence: terms_pb2.Evidence | None = None,
        answers_digest: bytes = b"",
        request_id: str = "",
    ) -> Answer:
        """Add papers and facts that were asked for. Raises as `submit`."""
        act = acts_pb2.SupplementAct(
            header=self.session.header(actor, request_id),
            target=target,
            files=files,
            evidence=evidence,
            answers_digest=answers_digest,
        )
        return await send_act(self.session, sign_payload(signer, act))

    async def withdraw(
        self,
        signer: Signer,
        actor: Actor,
        target: acts_pb2.ActTarget,
        *,
        parties: Sequence[str],
        files: Sequence[envelope_pb2.FileReference] = (),
        reason: str = "",
        request_id: str = "",
    ) -> Answer:
        """Ask for withdrawal on behalf of `parties`. Raises as `submit`."""
        act = acts_pb2.WithdrawalAct(
            header=self.session.header(actor, request_id),
            target=target,
            parties=parties,
            files=files,
            reason=reason,
        )
        return await send_act(self.session, sign_payload(signer, act))

    # -- proofs --------------------------------------------------------------------------------

    async def get_receipt(self, envelope: Envelope) -> VerifiedReceipt | None:
        """The receipt of an act that this side sent, verified against its bytes; None while
        pending.

        Raises RequestError, ReceiptInvalid.
        """
        receipt = await self.fetch_receipt(envelope)
        return await self.session.check_receipt(receipt, envelope)

    async def fetch_receipt(self, envelope: Envelope) -> outcome_pb2.Receipt:
        """The receipt as it came, unchecked. Raises RequestError."""
        header = header_of(envelope)
        response = await self.session.call(
            self._stub.GetReceipt,
            pb.GetReceiptRequest(
                parent=self.session.parent,
                request_id=header.request_id,
                applicant_institution=header.applicant_institution,
            ),
        )
        return response.receipt

    async def complete(self, answer: Answer, *, again: bool = False) -> Answer:
        """A pending answer with its receipt, if that is there now; otherwise the answer as it was.

        again: fetch the receipt also where there is one, for the cosignatures that have come since. Raises
        RequestError, ReceiptInvalid.
        """
        if not (answer.is_pending or again):
            return answer
        receipt = await self.fetch_receipt(answer.envelope)
        pending = answer.outcome.receipt
        if receipt.index != pending.index or receipt.entry != pending.entry:
            raise ReceiptInvalid(
                6, "it is of another entry than the pending one", "回执与此前待发布的记录不是同一条"
            )
        verified = await self.session.check_receipt(receipt, answer.envelope)
        if verified is None:
            return answer
        outcome = outcome_pb2.Outcome()
        outcome.CopyFrom(answer.outcome)
        outcome.receipt.CopyFrom(receipt)
        verify_answer(outcome, verified)
        return Answer(answer.envelope, outcome, verified)

    # -- certificates and register -------------------------------------------------------------

    async def get_certificate(self, name: str) -> VerifiedCertificate:
        """A certificate checked against the ledger; see `Certificates.get`."""
        return await self.certificates.get(name)

    async def download_certificate(
        self, name: str, to: Path, *, progress: ProgressCallback | None = None
    ) -> VerifiedCertificate:
        """A sealed PDF; see `Certificates.download`."""
        return await self.certificates.download(name, to, progress=progress)

    async def verify(
        self, *, identifier: str = "", code: str = "", pdf_sha256: bytes = b""
    ) -> certificate_service_pb2.VerifyCertificateResponse:
        """The live state of any certificate; see `Certificates.verify`."""
        return await self.certificates.verify(identifier=identifier, code=code, pdf_sha256=pdf_sha256)

    async def check_payout(
        self,
        anchors: TrustStore,
        *,
        certificate: str = "",
        application: str = "",
        expected_amount_fen: int = 0,
        expected_rank: int = 0,
    ) -> tuple[CheckedPayout, ...]:
        """Whether a loan may be paid out now, signed; see `Certificates.check_payout`."""
        return await self.certificates.check_payout(
            anchors,
            certificate=certificate,
            application=application,
            expected_amount_fen=expected_amount_fen,
            expected_rank=expected_rank,
        )

    async def get_unit(
        self,
        unit_code: str,
        *,
        own_right: str = "",
        application: str = "",
        authorisation_sha256: bytes = b"",
        instrument: str = "",
        purpose: str = "",
    ) -> register_service_pb2.GetUnitResponse:
        """A unit as far as the basis reaches: exactly one of them for an institution, none for a
        registrar. own_right: number of one's own live proof. instrument: of a court, with a purpose.
        Raises RequestError.
        """
        name = self.session.name("units", unit_code)
        request = register_service_pb2.GetUnitRequest(name=name, purpose=purpose)
        self._state_basis(request, own_right, application, authorisation_sha256)
        if instrument:
            request.instrument = instrument
        response = await self.session.call(self._register.GetUnit, request)
        if response.unit_state.unit.unit_code not in ("", unit_code.rpartition("/")[2]):
            raise ProtocolBroken(f"another unit than {unit_code} came", "答复的不动产单元不符")
        return response

    async def suggest_modes(
        self,
        unit_code: str,
        lenders: Sequence[str] = (),
        *,
        own_right: str = "",
        application: str = "",
        authorisation_sha256: bytes = b"",
    ) -> register_service_pb2.SuggestModesResponse:
        """Which modes of encumbered transfer fit a unit and its new lenders (USCCs, none for a buyer
        without a loan), and why the others do not. The basis is that of `get_unit`. Raises
        RequestError.
        """
        name = self.session.name("units", unit_code)
        request = register_service_pb2.SuggestModesRequest(name=name, lenders=lenders)
        self._state_basis(request, own_right, application, authorisation_sha256)
        return await self.session.call(self._register.SuggestModes, request)

    async def get_extract(
        self,
        unit_code: str,
        *,
        purpose: str,
        own_right: str = "",
        application: str = "",
        authorisation_sha256: bytes = b"",
        instrument: str = "",
    ) -> register_service_pb2.GetExtractResponse:
        """A sealed extract of a unit, on a basis as of `get_unit`; `pdf` has the digest that came with
        it. Raises RequestError, ProtocolBroken.
        """
        name = self.session.name("units", unit_code)
        request = register_service_pb2.GetExtractRequest(name=name, purpose=purpose)
        self._state_basis(request, own_right, application, authorisation_sha256)
        if instrument:
            request.instrument = instrument
        response = await self.session.call(self._register.GetExtract, request)
        if sha256(response.pdf).digest() != response.sha256:
            raise ProtocolBroken("the extract is not what its digest says", "查询结果与摘要不符")
        return response

    async def search_units(
        self,
        id_number: str,
        *,
        purpose: str,
        instrument: str = "",
        id_kind: codes_pb2.IdKind.ValueType = codes_pb2.ID_KIND_RESIDENT_ID,
    ) -> register_service_pb2.SearchUnitsResponse:
        """What a person holds, for a court with its instrument, or a registrar. Raises RequestError."""
        request = register_service_pb2.SearchUnitsRequest(
            parent=self.session.parent,
            identity=common_pb2.Identity(kind=id_kind, number=id_number),
            instrument=instrument,
            purpose=purpose,
        )
        return await self.session.call(self._register.SearchUnits, request)

    def _state_basis(
        self,
        request: register_service_pb2.GetUnitRequest
        | register_service_pb2.SuggestModesRequest
        | register_service_pb2.GetExtractRequest,
        own_right: str,
        application: str,
        authorisation_sha256: bytes,
    ) -> None:
        if own_right:
            request.own_right = own_right
        elif application:
            request.application = self.session.name("applications", application)
        elif authorisation_sha256:
            request.authorisation_sha256 = authorisation_sha256
