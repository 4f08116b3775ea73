"""CertificateService: e-certificates for their holders, and the public check of the live state.

A certificate is read by the institutions of its case and by registrars. The public check takes what is in the
QR code or the digest of the file, and tells nothing personal: whoever asks compares with the paper in hand.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

import grpc

from gateway.applications.seal_keys import is_compromised
from gateway.cases.errors import ApplicationNotFound
from gateway.certificates.content import CertificateContent, decode_content
from gateway.config import Limits
from gateway.pb.diya.v1 import (
    certificate_pb2,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    outcome_pb2,
)
from gateway.register.identifiers import normalise_unit_code, parse_certificate_identifier
from gateway.rpc import encode
from gateway.rpc.case_view import Reader
from gateway.rpc.errors import Refusal
from gateway.rpc.files import check_offset, stored_chunks
from gateway.rpc.guard import caller_now
from gateway.rpc.names import check_registry, enum_names, malformed, registry_in, split_name
from gateway.rpc.paging import page_size
from gateway.rpc.payout import check_expectations, payout_check, proofs_of
from gateway.rpc.quota import AddressQuota
from gateway.rpc.rights import CallerKind, may_see
from gateway.rpc.sealed_answers import SealedAnswers
from gateway.rpc.violations import Violations
from gateway.sequencer import Sequencer
from gateway.storage.files import FileStore
from gateway.storage.payout_reads import PayoutRecord
from gateway.storage.queries import EntryProof, Queries
from gateway.storage.statements import CertificateFilter
from gateway.storage.working import Row

_pb = certificate_service_pb2

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 500

#: Public verifications from one address: at once, and per second in the long run.
VERIFY_BURST: Final = 60.0
VERIFY_PER_SECOND: Final = 5.0

#: A certificate is sealed within a second as a rule.
NOT_SEALED_RETRY_SECONDS: Final = 1.0

_DIGEST_BYTES: Final = 32
_CODE = re.compile(r"[0-9a-f]{32}")


class StampQueue(Protocol):
    """Who seals certificates, as far as it is asked here."""

    def seconds_to_stamp(self, registry: str, identifier: str) -> float | None:
        """In how many seconds a waiting certificate's time stamp is asked for again; None where it waits for none."""


class CertificateService(certificate_service_pb2_grpc.CertificateServiceServicer):
    """Servicer for holders of certificates, registrars, and the public."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        queries: Queries,
        files: FileStore,
        limits: Limits,
        clock: Callable[[], dt.datetime],
        monotonic: Callable[[], float] = time.monotonic,
        answers: SealedAnswers | None = None,
        sealing: StampQueue | None = None,
    ) -> None:
        """Without `seals` no statement can be signed. `sealing` knows which certificates wait for a time stamp."""
        self._sequencer = sequencer
        self._queries = queries
        self._files = files
        self._limits = limits
        self._clock = clock
        self._answers = answers or SealedAnswers(None, sequencer, clock)
        self._sealing = sealing
        self._quota = AddressQuota(burst=VERIFY_BURST, per_second=VERIFY_PER_SECOND, now=monotonic)

    async def GetCertificate(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """One certificate with its content and the receipt of its booking."""
        row = await self._readable(request.name)
        registry, index, part = row["registry"], row["entry_index"], row["part"]
        salt, content = await self._queries.salted_part(registry, index, part)
        wire = self._certificate(row, decode_content(content))
        wire.content = content
        wire.salt = salt
        wire.parsed_content.CopyFrom(encode.certificate_content(decode_content(content)))
        proof = await self._queries.entry_proof(registry, index)
        opening = outcome_pb2.PartOpening(name=part, salt=salt, content=content)
        return _pb.GetCertificateResponse(certificate=wire, receipt=_receipt(registry, proof, opening))

    async def ListCertificates(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Certificates that the caller may read, newest booking first."""
        registry = registry_in(request.parent)
        check_registry(registry, self._sequencer.settings(registry))
        rows, token = await self._queries.certificates(
            registry,
            _filter(request, registry),
            page_size=page_size(request.page_size, default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX),
            page_token=request.page_token,
        )
        places = [(row["entry_index"], row["part"]) for row in rows]
        parts = await self._queries.salted_parts(registry, places)
        return _pb.ListCertificatesResponse(
            certificates=[
                self._certificate(row, decode_content(content))
                for row, (_, content) in zip(rows, parts, strict=True)
            ],
            next_page_token=token,
        )

    async def DownloadCertificate(
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """The sealed PDF: the certificate, then the bytes in order."""
        row = await self._readable(request.name)
        if not row["pdf_sha256"]:
            raise _not_sealed(row, self._seconds_to_stamp(row))
        check_offset(request.offset, row["size_bytes"])
        content = await self._queries.part(row["registry"], row["entry_index"], row["part"])
        certificate = self._certificate(row, decode_content(content))
        yield _pb.DownloadCertificateResponse(certificate=certificate)
        path = self._files.path(row["pdf_sha256"])
        async with aclosing(stored_chunks(path, request.offset, self._limits.chunk_bytes_max)) as chunks:
            async for chunk in chunks:
                yield _pb.DownloadCertificateResponse(chunk=chunk)

    async def VerifyCertificate(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """The live state, for everybody."""
        self._quota.take(context.peer())
        registry = registry_in(request.parent)
        check_registry(registry, self._sequencer.settings(registry))
        row, content = await self._verified(registry, request)
        head = await self._queries.head(registry)
        wire = _pb.VerifyCertificateResponse(
            identifier=row["identifier"],
            number=row["number"],
            kind=certificate_pb2.CertificateKind.Value(f"CERTIFICATE_KIND_{row['kind']}"),
            state=certificate_pb2.Certificate.State.Value(f"STATE_{row['state']}"),
            issuer_name=content.issuer_name,
            booked_at=encode.timestamp(content.booked_at),
            pdf_sha256=bytes.fromhex(row["pdf_sha256"] or ""),
            verified_at=encode.timestamp(self._clock()),
            as_of_index=head.size - 1,
            test=content.test,
        )
        for name in ("sealed_at", "ended_at"):
            if row[name]:
                getattr(wire, name).FromJsonString(row[name])
        if row["sealed_at"]:
            sealed_at = wire.sealed_at.ToDatetime(dt.UTC)
            terms = self._sequencer.settings(registry).seals
            key_ids = row["seal_key_id"] or "", row["national_key_id"] or ""
            wire.seal_compromised = is_compromised(terms, *key_ids, sealed_at)
        return wire

    async def CheckPayout(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Whether a loan may be paid out now, signed and expiring."""
        registry = registry_in(request.parent)
        settings, now = self._sequencer.settings(registry), self._clock()
        check_registry(registry, settings)
        check_expectations(request)
        reader = Reader.of(settings, caller_now.get())
        checks = [
            await payout_check(
                request,
                record,
                registry=registry,
                reader=reader,
                settings=settings,
                queries=self._queries,
                answers=self._answers,
                now=now,
            )
            for record in await self._paid_out_on(registry, request, reader)
        ]
        return _pb.CheckPayoutResponse(checks=checks)

    async def _paid_out_on(self, registry: str, request: Any, reader: Reader) -> list[PayoutRecord]:
        """The records of the certificates that are asked about."""
        which = request.WhichOneof("of")
        if which == "certificate":
            row = await self._readable(request.certificate)
            found = await self._queries.payout_record(registry, row["identifier"])
            if row["registry"] != registry or found is None:
                raise _not_found()
            return [found]
        if which != "application":
            raise malformed("of", "须给出 certificate 或者 application", "give certificate or application")
        of_registry, application_id = split_name(request.application, "applications", "application")
        case = await self._queries.application(registry, application_id)
        settings = self._sequencer.settings(registry)
        if of_registry != registry or case is None or not may_see(settings, reader.caller.id, case):
            raise ApplicationNotFound(request.application, "application")
        return await proofs_of(self._queries, case, reader)

    async def _readable(self, name: str) -> Row:
        """A certificate's row, or the same answer for unknown and for somebody else's."""
        caller = caller_now.get()
        registry, identifier = split_name(name, "certificates")
        row = await self._queries.certificate(registry, identifier)
        if row is None:
            raise _not_found()
        if caller.kind is not CallerKind.REGISTRAR and caller.id not in row["institutions"].split(","):
            raise _not_found()
        return row

    def _certificate(self, row: Row, content: CertificateContent) -> certificate_pb2.Certificate:
        """A certificate as lists have it: without content and salt."""
        wire = encode.certificate(row["registry"], row)
        wire.unit_codes[:] = content.unit_codes
        wire.case_number = content.case_number
        wire.booked_at.FromDatetime(content.booked_at)
        if not row["pdf_sha256"] and self._seconds_to_stamp(row) is not None:
            wire.seal_wait = certificate_pb2.Certificate.SEAL_WAIT_TIMESTAMP
        return wire

    def _seconds_to_stamp(self, row: Row) -> float | None:
        if self._sealing is None:
            return None
        return self._sealing.seconds_to_stamp(row["registry"], row["identifier"])

    async def _verified(self, registry: str, request: Any) -> tuple[Row, CertificateContent]:
        """The certificate that the request proves to know: one answer for whatever does not fit."""
        which = request.WhichOneof("by")
        if which == "pdf_sha256":
            if len(request.pdf_sha256) != _DIGEST_BYTES:
                raise malformed("pdf_sha256", "必须是 32 字节", "must be 32 bytes")
            row = await self._queries.certificate_of_pdf(registry, request.pdf_sha256.hex())
        elif which == "code":
            wrong = Violations()
            with wrong.at("code.identifier"):
                parse_certificate_identifier(request.code.identifier)
            if not _CODE.fullmatch(request.code.code):
                wrong.add("code.code", "应为 32 位小写十六进制", "must be 32 lower-case hexadecimal digits")
            wrong.refuse_if_any()
            row = await self._queries.certificate(registry, request.code.identifier)
        else:
            raise malformed("by", "须给出 code 或者 pdf_sha256", "give code or pdf_sha256")
        if row is None:
            raise _not_found()
        content = decode_content(await self._queries.part(registry, row["entry_index"], row["part"]))
        if which == "code" and not hmac.compare_digest(content.code, request.code.code):
            raise _not_found()
        return row, content


def _filter(request: Any, registry: str) -> CertificateFilter:
    caller = caller_now.get()
    application_id = ""
    if request.application:
        of_registry, application_id = split_name(request.application, "applications", "application")
        if of_registry != registry:
            raise malformed("application", "不属于该登记机构", "is of another registry")
    wrong = Violations()
    unit_code = request.unit_code
    if unit_code:
        with wrong.at("unit_code"):
            unit_code = normalise_unit_code(unit_code)
    wrong.refuse_if_any()
    return CertificateFilter(
        institution=caller.id if caller.kind is CallerKind.INSTITUTION else None,
        states=tuple(enum_names(certificate_pb2.Certificate.State, request.states, "STATE_", "states")),
        application_id=application_id,
        unit_code=unit_code,
        number=request.number,
    )


def _not_sealed(row: Row, seconds_to_stamp: float | None) -> Refusal:
    if seconds_to_stamp is not None:
        return Refusal(
            "CERTIFICATE_AWAITS_TIMESTAMP",
            "证照已编号，权利已登记；时间戳服务暂不可用，恢复后自动签章，请稍后再下载",
            "the certificate is numbered and the right is registered; its seal waits for the time stamp authority, "
            "which gives no time stamp now, and is made by itself afterwards: ask again after the delay",
            {"state": row["state"]},
            retry_seconds=max(seconds_to_stamp, NOT_SEALED_RETRY_SECONDS),
        )
    return Refusal(
        "CERTIFICATE_NOT_SEALED",
        "证照已编号，尚未签章；请稍后再下载",
        "the certificate is numbered and its PDF is not sealed yet: ask again after the delay",
        {"state": row["state"]},
        retry_seconds=NOT_SEALED_RETRY_SECONDS,
    )


def _receipt(registry: str, proof: EntryProof, opening: outcome_pb2.PartOpening) -> outcome_pb2.Receipt:
    """The receipt of the booking entry: of its parts only the certificate is opened."""
    return outcome_pb2.Receipt(
        registry=registry,
        origin=proof.origin,
        index=proof.entry.index,
        entry=proof.entry.data,
        entry_hash=proof.entry.entry_hash(),
        checkpoint=proof.checkpoint.note if proof.checkpoint else b"",
        inclusion_proof=proof.inclusion,
        openings=[opening],
        pending=proof.checkpoint is None,
    )


def _not_found() -> Refusal:
    return Refusal(
        "CERTIFICATE_NOT_FOUND",
        "没有该证照、校验码不符，或者您无权查看",
        "no such certificate, a wrong code, or one that is not yours to read",
    )
