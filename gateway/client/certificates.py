"""E-certificates: read, listed, downloaded and verified.

A seal proves that a certificate was issued; whether the right still lives is what
`verify_certificate` asks. The seal inside a PDF is checked by whoever holds the registry's anchors
(`pdfsig`, or the command `diya certificate verify`); here the bytes are compared with the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.client.errors import ProtocolBroken, ReceiptInvalid
from gateway.client.files import ProgressCallback, receive
from gateway.client.receipt import VerifiedReceipt, verify_part
from gateway.client.session import Session
from gateway.client.statements import verify_payout
from gateway.pb.diya.v1 import certificate_pb2
from gateway.pb.diya.v1 import certificate_service_pb2 as pb
from gateway.pb.diya.v1.certificate_service_pb2_grpc import CertificateServiceStub
from gateway.statements.payout import PayoutStatement
from signing.trust import TrustStore


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A certificate whose content is the one that the ledger commits to. receipt: None while
    pending.
    """

    certificate: certificate_pb2.Certificate
    receipt: VerifiedReceipt | None


@dataclass(frozen=True, slots=True)
class CheckedPayout:
    """A payout statement that verified, with the envelope to keep."""

    statement: PayoutStatement
    envelope: bytes


class Certificates:
    """The certificates that a session may read."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = CertificateServiceStub(session.connection.channel)

    async def get(self, name: str) -> VerifiedCertificate:
        """A certificate with its content, checked against the receipt of its booking.

        name: resource name or identifier. Raises RequestError, ReceiptInvalid.
        """
        name = self._session.name("certificates", name)
        response = await self._session.call(self._stub.GetCertificate, pb.GetCertificateRequest(name=name))
        certificate = response.certificate
        if certificate.name != name:
            raise ProtocolBroken(
                f"asked for {name}, {certificate.name} came",
                f"所查证照为 {name}，答复为 {certificate.name}",
            )
        receipt = await self._session.check_receipt(response.receipt, None)
        if receipt is not None:
            if certificate.index != receipt.index:
                raise ReceiptInvalid(
                    6,
                    f"the certificate was booked by entry {certificate.index}",
                    f"证照登簿于第 {certificate.index} 号记录",
                )
            verify_part(receipt.entry, certificate.part, certificate.salt, certificate.content)
        return VerifiedCertificate(certificate, receipt)

    async def list(
        self,
        *,
        application: str = "",
        states: Sequence[certificate_pb2.Certificate.State.ValueType] = (),
        unit_code: str = "",
        number: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[certificate_pb2.Certificate]:
        """Certificates without content, newest booking first, over all pages. Raises
        RequestError.
        """
        request = pb.ListCertificatesRequest(
            parent=self._session.parent,
            application=application,
            states=states,
            unit_code=unit_code,
            number=number,
            page_size=page_size,
        )
        async for page in self._session.pages(self._stub.ListCertificates, request):
            for one in page.certificates:
                yield one

    async def download(
        self, name: str, to: Path, *, progress: ProgressCallback | None = None
    ) -> VerifiedCertificate:
        """The sealed PDF into `to`. Its SHA-256 is compared before the file appears; the content is
        compared with the ledger as `get` does. One that is not sealed yet is waited for as the
        retry policy allows.

        Raises RequestError (CERTIFICATE_NOT_SEALED, CERTIFICATE_AWAITS_TIMESTAMP), DownloadInvalid, ReceiptInvalid.
        """
        name = self._session.name("certificates", name)
        described: list[certificate_pb2.Certificate] = []

        async def chunks(offset: int) -> AsyncIterator[bytes]:
            call = self._stub.DownloadCertificate(
                pb.DownloadCertificateRequest(name=name, offset=offset),
                timeout=self._session.connection.deadlines.transfer,
            )
            async for message in call:
                if message.WhichOneof("message") == "certificate":
                    described[:] = [message.certificate]
                else:
                    yield message.chunk

        def expected() -> tuple[bytes, int]:
            if not described:
                return b"", 0
            return described[0].pdf_sha256, described[0].pdf_size_bytes

        await receive(self._session, name, to, chunks, expected, progress)
        return await self.get(name)

    async def check_payout(
        self,
        anchors: TrustStore,
        *,
        certificate: str = "",
        application: str = "",
        expected_amount_fen: int = 0,
        expected_rank: int = 0,
    ) -> tuple[CheckedPayout, ...]:
        """Whether a loan may be paid out now: the registry's signed answer, verified under `anchors`.

        certificate: resource name or identifier. application: of a booked application, every proof
        that it brought of a right of yours. Pay out where `statement.safe`, and keep the envelope.
        Raises RequestError, StatementInvalid.
        """
        request = pb.CheckPayoutRequest(
            parent=self._session.parent,
            expected_amount_fen=expected_amount_fen,
            expected_rank=expected_rank,
        )
        if certificate:
            request.certificate = self._session.name("certificates", certificate)
        elif application:
            request.application = self._session.name("applications", application)
        response = await self._session.call(self._stub.CheckPayout, request)
        return tuple(
            CheckedPayout(
                verify_payout(
                    one.statement,
                    anchors,
                    self._session.clock(),
                    registry=self._session.registry,
                    certificate=certificate or one.certificate,
                ),
                one.statement,
            )
            for one in response.checks
        )

    async def verify(
        self, *, identifier: str = "", code: str = "", pdf_sha256: bytes = b""
    ) -> pb.VerifyCertificateResponse:
        """The live state, by identifier and code (both in the QR code), or by the file's SHA-256.

        Pay out on STATE_SEALED alone. Works without a client certificate (`connect_public`). Raises
        RequestError.
        """
        request = pb.VerifyCertificateRequest(parent=self._session.parent)
        if pdf_sha256:
            request.pdf_sha256 = pdf_sha256
        else:
            request.code.CopyFrom(pb.CertificateCode(identifier=identifier, code=code))
        return await self._session.call(self._stub.VerifyCertificate, request)
