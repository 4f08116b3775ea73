"""Later acts: signed by the actor, sent by the call that takes them, their receipts verified."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from google.rpc import code_pb2

from gateway.client.acts import send_act
from gateway.client.admin import AdminClient
from gateway.client.certificates import Certificates
from gateway.client.client import DiyaClient
from gateway.client.errors import InputError, NotNow, ProtocolBroken, ReceiptInvalid
from gateway.client.manifest import clerk
from gateway.client.party import PartyClient, target_of_pending
from gateway.client.payloads import MANIFEST
from gateway.client.review import ReviewClient
from gateway.client.session import Actor
from gateway.pb.diya.v1 import (
    acts_pb2,
    admin_acts_pb2,
    admin_service_pb2,
    admin_service_pb2_grpc,
    application_pb2,
    authority_pb2,
    certificate_pb2,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    finding_pb2,
    outcome_pb2,
    party_service_pb2,
    party_service_pb2_grpc,
    registration_service_pb2,
    registration_service_pb2_grpc,
    review_service_pb2,
    review_service_pb2_grpc,
)
from gateway.pb.diya.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from signing.envelope import Envelope, payload_digest
from tests.support.pki import BANK_USCC, SECOND_BANK_USCC, sample_pki
from tests.unit.client.fake_gateway import FakeLedgerService, abort, refusal
from tests.unit.client.sample_case import Naps, serving, session_on, signed
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger, salt

NAME = f"registries/{REGISTRY}/applications/a"
STALE = refusal(code_pb2.ABORTED, "SEEN_INDEX_STALE")


class Acts:
    """What every servicer below does with an act: log it and answer."""

    def __init__(self) -> None:
        self.ledger = SampleLedger()
        self.seen: list[Any] = []
        self.failures: list[Any] = []

    async def take(self, request: Any, context: Any, act: Any, response_of: Any) -> Any:
        """Log the act and answer DONE."""
        if self.failures:
            await abort(context, self.failures.pop(0))
        act.ParseFromString(request.envelope.payload)
        assert (request.name, request.request_id) == (NAME, act.header.request_id)
        self.seen.append(act)
        outcome = outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_DONE, application=request.name)
        wire = request.envelope
        index = self.ledger.append_act(Envelope(wire.payload_type, wire.payload, ()), outcome)
        outcome.receipt.CopyFrom(self.ledger.receipt(index))
        return response_of(outcome=outcome)


class FakeReview(review_service_pb2_grpc.ReviewServiceServicer):
    """Every verb of a registrar."""

    def __init__(self, acts: Acts) -> None:
        for verb in (
            "Claim",
            "Unclaim",
            "RequestSupplement",
            "Approve",
            "Refuse",
            "Suspend",
            "Resume",
        ):
            setattr(self, verb, self._verb(acts, verb))

    def _verb(self, acts: Acts, verb: str) -> Any:
        response_of = getattr(review_service_pb2, f"{verb}Response")

        async def answer(request: Any, context: Any) -> Any:
            return await acts.take(request, context, acts_pb2.ReviewAct(), response_of)

        return answer


class FakeCases(registration_service_pb2_grpc.RegistrationServiceServicer):
    """One case with its dossier, and the acts of its applicants."""

    def __init__(self, acts: Acts, application: application_pb2.Application) -> None:
        self.acts = acts
        self.application = application

    async def GetApplication(self, request: Any, context: Any) -> Any:
        """The case, with its dossier when asked for."""
        answer = application_pb2.Application()
        answer.CopyFrom(self.application)
        if request.view != application_pb2.APPLICATION_VIEW_FULL:
            answer.ClearField("dossier")
        return registration_service_pb2.GetApplicationResponse(application=answer)

    async def SupplementApplication(self, request: Any, context: Any) -> Any:
        """Take papers."""
        of = registration_service_pb2.SupplementApplicationResponse
        return await self.acts.take(request, context, acts_pb2.SupplementAct(), of)

    async def WithdrawApplication(self, request: Any, context: Any) -> Any:
        """Take a withdrawal."""
        of = registration_service_pb2.WithdrawApplicationResponse
        return await self.acts.take(request, context, acts_pb2.WithdrawalAct(), of)


class FakeParty(party_service_pb2_grpc.PartyServiceServicer):
    """One waiting case."""

    def __init__(self, acts: Acts, manifest: bytes) -> None:
        self.acts = acts
        self.manifest = manifest

    async def ListPending(self, request: Any, context: Any) -> Any:
        """The case."""
        case = party_service_pb2.PendingCase(
            application=application_pb2.Application(name=NAME),
            manifest=self.manifest,
            manifest_payload_type=MANIFEST,
        )
        return party_service_pb2.ListPendingResponse(pending_cases=[case])

    async def Join(self, request: Any, context: Any) -> Any:
        """Take a join."""
        return await self.acts.take(request, context, acts_pb2.JoinAct(), party_service_pb2.JoinResponse)

    async def Consent(self, request: Any, context: Any) -> Any:
        """Take a consent."""
        return await self.acts.take(
            request, context, acts_pb2.ConsentAct(), party_service_pb2.ConsentResponse
        )

    async def Decline(self, request: Any, context: Any) -> Any:
        """Take a refusal to join."""
        return await self.acts.take(
            request, context, acts_pb2.DeclineAct(), party_service_pb2.DeclineResponse
        )

    async def Revoke(self, request: Any, context: Any) -> Any:
        """Take a consent back."""
        return await self.acts.take(request, context, acts_pb2.RevokeAct(), party_service_pb2.RevokeResponse)


@pytest.fixture
def acts() -> Acts:
    """An empty ledger."""
    return Acts()


@pytest.fixture
def application() -> application_pb2.Application:
    """A case as a registrar sees it."""
    envelope = signed()
    return application_pb2.Application(
        name=NAME,
        manifest_digest=payload_digest(MANIFEST, envelope.payload),
        last_index=17,
        findings=[finding_pb2.Finding(code="M-REFER")],
        dossier=application_pb2.Dossier(manifest=envelope.payload),
    )


def served(acts: Acts, application: application_pb2.Application) -> Any:
    """A connection to all of it."""
    return serving(
        (review_service_pb2_grpc.add_ReviewServiceServicer_to_server, FakeReview(acts)),
        (
            registration_service_pb2_grpc.add_RegistrationServiceServicer_to_server,
            FakeCases(acts, application),
        ),
        (
            party_service_pb2_grpc.add_PartyServiceServicer_to_server,
            FakeParty(acts, signed().payload),
        ),
        (add_LedgerServiceServicer_to_server, FakeLedgerService(acts.ledger)),
    )


async def test_review_every_verb_signs_what_was_seen(
    acts: Acts, application: application_pb2.Application
) -> None:
    """Each act names the manifest, the last index seen and the findings, and carries its own
    arm.
    """
    async with served(acts, application) as connection:
        review = ReviewClient(session_on(connection, acts.ledger.trust), sample_pki().registrar.signer())
        dossier = await review.open(NAME)
        ground = finding_pb2.Finding(code="R-SEIZED")
        for answer in (
            await review.claim(dossier),
            await review.unclaim(dossier),
            await review.request_supplement(dossier, [ground]),
            await review.approve(dossier, book=False, opinion="同意"),
            await review.refuse(dossier, [ground]),
            await review.suspend(dossier, "S-INVESTIGATION"),
            await review.resume(dossier),
        ):
            assert answer.receipt is not None
    arms = [act.WhichOneof("act") for act in acts.seen]
    assert arms == [
        "claim",
        "unclaim",
        "request_supplement",
        "approve",
        "refuse",
        "suspend",
        "resume",
    ]
    for act in acts.seen:
        assert act.last_index_seen == 17
        assert act.target.manifest_digest == application.manifest_digest
        assert act.findings[0].code == "M-REFER"
        assert not act.header.channel_institution
    assert not acts.seen[3].approve.book


async def test_review_manifest_other_than_in_force_is_refused(
    acts: Acts, application: application_pb2.Application
) -> None:
    """A registrar does not sign for a manifest that was not shown."""
    application.manifest_digest = bytes(32)
    async with served(acts, application) as connection:
        review = ReviewClient(session_on(connection, acts.ledger.trust), sample_pki().registrar.signer())
        with pytest.raises(ProtocolBroken):
            await review.open(NAME)


async def test_review_stale_act_is_not_sent_again(
    acts: Acts, application: application_pb2.Application
) -> None:
    """Whoever decided on less than there is must look again: no retry, and the envelope is at
    hand.
    """
    acts.failures = [STALE]
    naps = Naps()
    async with served(acts, application) as connection:
        session = session_on(connection, acts.ledger.trust, naps=naps)
        review = ReviewClient(session, sample_pki().registrar.signer())
        with pytest.raises(NotNow) as caught:
            await review.approve(await review.open(NAME))
        assert naps.taken == []
        assert caught.value.envelope is not None
        answer = await send_act(session, caught.value.envelope)
    assert answer.result == "DONE"


async def test_party_acts_bind_to_the_manifest_that_was_read(
    acts: Acts, application: application_pb2.Application
) -> None:
    """A co-applicant's acts name digests computed from the manifest's own bytes."""
    async with served(acts, application) as connection:
        actor = Actor(SECOND_BANK_USCC, clerk("经办员", "B-001"))
        party = PartyClient(
            session_on(connection, acts.ledger.trust), sample_pki().second_bank.signer(), actor
        )
        (pending,) = [one async for one in party.list_pending()]
        target = target_of_pending(pending)
        await party.join(target, ["old-bank"])
        consent = await party.consent(target, acts_pb2.CONSENT_KIND_PAYOFF_CONFIRMED, amount_fen=60_000_000)
        await party.decline(target, "贷款尚未结清")
        digest = payload_digest(consent.envelope.payload_type, consent.envelope.payload)
        await party.revoke(target, digest, "撤回")
    join, consent_act, decline, revoke = acts.seen
    assert list(join.parties) == ["old-bank"]
    assert join.target.manifest_digest == application.manifest_digest
    assert consent_act.amount.amount_fen == 60_000_000
    assert decline.header.channel_institution == SECOND_BANK_USCC
    assert revoke.consent_digest == digest


async def test_client_supplement_and_withdrawal_are_acts_too(
    acts: Acts, application: application_pb2.Application
) -> None:
    """Papers and withdrawals are envelopes of their own."""
    async with served(acts, application) as connection:
        client = DiyaClient(session_on(connection, acts.ledger.trust))
        actor = Actor(BANK_USCC, clerk("经办员", "A-001"))
        signer = sample_pki().bank.signer()
        target = acts_pb2.ActTarget(application=NAME, manifest_digest=application.manifest_digest)
        await client.supplement(signer, actor, target)
        await client.withdraw(signer, actor, target, parties=["bank"], reason="客户放弃")
        with pytest.raises(InputError):
            await send_act(client.session, signed())
    supplement, withdrawal = acts.seen
    assert supplement.header.applicant_institution == BANK_USCC
    assert list(withdrawal.parties) == ["bank"]


class FakeAdmin(admin_service_pb2_grpc.AdminServiceServicer):
    """Enters institutions and imports registers."""

    def __init__(self, ledger: SampleLedger) -> None:
        self.ledger = ledger
        self.applied = True
        self.data = b""

    def _receipt(self, wire: Any) -> outcome_pb2.Receipt:
        envelope = Envelope(wire.payload_type, wire.payload, ())
        return self.ledger.receipt(self.ledger.append_act(envelope, outcome_pb2.Outcome()))

    async def SetInstitution(self, request: Any, context: Any) -> Any:
        """Enter it."""
        act = admin_acts_pb2.SetInstitutionAct.FromString(request.envelope.payload)
        return admin_service_pb2.SetInstitutionResponse(
            institution=act.institution, receipt=self._receipt(request.envelope)
        )

    async def ImportRegister(self, requests: Any, context: Any) -> Any:
        """Take the file whose digest was signed."""
        envelope: Any = None
        async for message in requests:
            if message.WhichOneof("message") == "metadata":
                envelope = message.metadata.envelope
            else:
                self.data += message.chunk
        act = admin_acts_pb2.ImportRegisterAct.FromString(envelope.payload)
        assert hashlib.sha256(self.data).digest() == act.sha256
        if not self.applied:
            problem = admin_service_pb2.RowProblem(line=2, field="BDCDYH")
            return admin_service_pb2.ImportRegisterResponse(problems=[problem], problem_total=1)
        return admin_service_pb2.ImportRegisterResponse(applied=True, rows=1, receipt=self._receipt(envelope))


async def test_admin_acts_are_signed_and_their_receipts_verified(tmp_path: Path) -> None:
    """An operator's act comes back with a verified receipt; a stopped import has none."""
    path = tmp_path / "register.csv"
    path.write_bytes(b"BDCDYH\n" + b"x" * 300_000)
    fake = FakeAdmin(SampleLedger())
    async with serving(
        (admin_service_pb2_grpc.add_AdminServiceServicer_to_server, fake),
        (add_LedgerServiceServicer_to_server, FakeLedgerService(fake.ledger)),
    ) as connection:
        admin = AdminClient(session_on(connection, fake.ledger.trust), sample_pki().operator.signer())
        done = await admin.set_institution(authority_pb2.Institution(uscc=BANK_USCC))
        assert done.value.uscc == BANK_USCC
        assert done.receipt is not None
        told: list[int] = []
        imported = await admin.import_register(path, progress=lambda at, _: told.append(at))
        assert imported.value.applied
        assert imported.receipt is not None
        assert told[-1] == path.stat().st_size
        fake.applied, fake.data = False, b""
        stopped = await admin.import_register(path, quarantine=False)
    assert (stopped.value.applied, stopped.receipt) == (False, None)


class FakeCertificates(certificate_service_pb2_grpc.CertificateServiceServicer):
    """One certificate, booked by entry 1."""

    def __init__(self) -> None:
        self.ledger = SampleLedger()
        self.ledger.fill(1)
        self.content = b'{"schema":"diya-certificate/v1"}'
        self.index = self.ledger.append({"certificate/1": self.content})
        self.pdf = b"%PDF-1.7 sealed"
        self.unsealed = 0
        self.changed = b""

    def _certificate(self) -> certificate_pb2.Certificate:
        return certificate_pb2.Certificate(
            name=f"registries/{REGISTRY}/certificates/1.2.3",
            identifier="1.2.3",
            number="苏(2026)澄江市不动产证明第0000001号",
            state=certificate_pb2.Certificate.STATE_SEALED,
            content=self.changed or self.content,
            salt=salt("certificate/1", self.index),
            part="certificate/1",
            index=self.index,
            pdf_sha256=hashlib.sha256(self.pdf).digest(),
            pdf_size_bytes=len(self.pdf),
        )

    async def GetCertificate(self, request: Any, context: Any) -> Any:
        """With the receipt of its booking."""
        return certificate_service_pb2.GetCertificateResponse(
            certificate=self._certificate(), receipt=self.ledger.receipt(self.index)
        )

    async def DownloadCertificate(self, request: Any, context: Any) -> Any:
        """The PDF, once it is sealed."""
        if self.unsealed:
            self.unsealed -= 1
            await abort(
                context,
                refusal(code_pb2.FAILED_PRECONDITION, "CERTIFICATE_NOT_SEALED", retry_seconds=0.2),
            )
        response = certificate_service_pb2.DownloadCertificateResponse
        yield response(certificate=self._certificate())
        yield response(chunk=self.pdf[request.offset :])

    async def VerifyCertificate(self, request: Any, context: Any) -> Any:
        """The live state."""
        return certificate_service_pb2.VerifyCertificateResponse(
            state=certificate_pb2.Certificate.STATE_SEALED, pdf_sha256=request.pdf_sha256
        )


async def test_certificate_download_waits_for_the_seal_and_checks_the_ledger(
    tmp_path: Path,
) -> None:
    """A certificate that is not sealed yet is waited for; its bytes and its content are checked."""
    fake, naps = FakeCertificates(), Naps()
    fake.unsealed = 2
    out = tmp_path / "proof.pdf"
    async with serving(
        (certificate_service_pb2_grpc.add_CertificateServiceServicer_to_server, fake)
    ) as connection:
        certificates = Certificates(session_on(connection, fake.ledger.trust, naps=naps))
        got = await certificates.download("1.2.3", out)
        live = await certificates.verify(pdf_sha256=hashlib.sha256(fake.pdf).digest())
    assert out.read_bytes() == fake.pdf
    assert got.receipt is not None
    assert len(naps.taken) == 2
    assert live.state == certificate_pb2.Certificate.STATE_SEALED


async def test_certificate_with_other_content_raises_check_7() -> None:
    """Content that the ledger does not commit to is an alarm."""
    fake = FakeCertificates()
    fake.changed = b'{"schema":"diya-certificate/v1","x":1}'
    async with serving(
        (certificate_service_pb2_grpc.add_CertificateServiceServicer_to_server, fake)
    ) as connection:
        with pytest.raises(ReceiptInvalid) as caught:
            await Certificates(session_on(connection, fake.ledger.trust)).get("1.2.3")
    assert caught.value.check == 7


async def test_certificate_other_than_asked_for_is_refused() -> None:
    """An answer about another certificate is not taken for the one asked for."""
    fake = FakeCertificates()
    async with serving(
        (certificate_service_pb2_grpc.add_CertificateServiceServicer_to_server, fake)
    ) as connection:
        with pytest.raises(ProtocolBroken):
            await Certificates(session_on(connection, fake.ledger.trust)).get("9.9.9")
