"""What both sides of the bench agree on: a bank, an owner, many flats, and one complete case for each."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.payloads import envelope_to_wire
from gateway.pb.diya.v1 import codes_pb2, envelope_pb2, registration_service_pb2, terms_pb2
from signing.pki import Credential, DevelopmentPKI
from signing.signer import Signer, sign_batch, sign_envelope
from tests.bench.paperwork import Template

REGISTRY = "jiangyin"
PARENT = f"registries/{REGISTRY}"
BANK_USCC = "913202810000BK1K5U"
BANK_NAME = "示例银行"
OWNER_ID = "999999199003071234"
OWNER_NAME = "张一"
MANIFEST_TYPE = "application/vnd.diya.manifest.v1+protobuf"


class Seed(msgspec.Struct, frozen=True):
    """What the server must hold before the run: flats, and the bank with its keys."""

    units: int
    key_id: str
    tls_key_id: str


def unit_code(number: int) -> str:
    """The code of flat `number`."""
    return f"320281001001GB00001F{number:08d}"


class Desk:
    """The bank's desk: papers and requests by the number of their case."""

    def __init__(self, folder: Path, now: dt.datetime) -> None:
        """`folder` is the gateway's; the owner's certificate is issued by its development PKI."""
        self.now = now
        self.signer: Signer = Credential.read(folder / "bank", "sign").signer()
        owner = DevelopmentPKI.load(folder / "pki", now).issue_person(OWNER_ID, OWNER_NAME).signer()
        both = (owner, self.signer)
        terms = mortgage_terms(0)
        self._mortgage = {
            "APPLICATION": Template("application", [owner], terms=terms, at=now),
            "INQUIRY_RECORD": Template("record of questions", [owner], terms=terms, at=now),
            "PRINCIPAL_CONTRACT": Template("loan contract", both, at=now),
            "MORTGAGE_CONTRACT": Template("mortgage contract", both, at=now),
            "REMOTE_IDENTITY": Template("remote identity", [], at=now),
        }
        self._settled = Template("claim settled", [self.signer], at=now)
        self._both = both

    def mortgage_papers(self, number: int) -> dict[str, bytes]:
        """The five papers of a mortgage on flat `number`, signed; no two in the bench are alike."""
        terms = mortgage_terms(number)
        return {
            code: template.paper(number, terms=terms if code in ("APPLICATION", "INQUIRY_RECORD") else b"")
            for code, template in self._mortgage.items()
        }

    def release_papers(self, number: int) -> dict[str, bytes]:
        """What proves that the claim has ended."""
        return {"EXTINCTION": self._settled.paper(number)}

    def scans(self, size_bytes: int, *, signed: bool = True) -> Template:
        """Papers scanned to about so many bytes, signed by owner and bank as a contract is, or by nobody."""
        room = 64 * 1024
        return Template("scan", self._both if signed else (), scan=os.urandom(size_bytes - room), at=self.now)

    def mortgage_request(self, number: int, files: Mapping[str, bytes]) -> bytes:
        """A signed, serialized SubmitMortgageRequest that names uploaded files, by paper code."""
        kind = codes_pb2.APPLICATION_KIND_MORTGAGE
        request = registration_service_pb2.SubmitMortgageRequest
        return self._request(f"mortgage/{number}", kind, mortgage_terms(number), files, request)

    def signed_together(self, requests: list[bytes]) -> list[registration_service_pb2.SubmitMortgageRequest]:
        """The same requests with one signature value over all their manifests, in place of one for each."""
        together = [registration_service_pb2.SubmitMortgageRequest.FromString(one) for one in requests]
        payloads = [(one.envelope.payload_type, one.envelope.payload) for one in together]
        for request, envelope in zip(together, sign_batch(payloads, self.signer), strict=True):
            request.envelope.CopyFrom(envelope_to_wire(envelope))
        return together

    def release_request(self, number: int, proof_number: str, files: Mapping[str, bytes]) -> bytes:
        """A signed, serialized SubmitMortgageReleaseRequest of the mortgage with this proof."""
        terms = build.terms(
            REGISTRY,
            units=[build.unit(unit_code(number))],
            parties=[build.institution_party("bank", BANK_NAME, BANK_USCC)],
            operations=[
                operations.mortgage_release(proof_number, applicants=["bank"], ended_on=self.now.date())
            ],
            loan_kind=codes_pb2.LOAN_KIND_NONE,
        )
        kind = codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE
        request = registration_service_pb2.SubmitMortgageReleaseRequest
        return self._request(f"release/{number}", kind, build.terms_bytes(terms), files, request)

    def _request(
        self, name: str, kind: Any, terms: bytes, files: Mapping[str, bytes], request_type: Any
    ) -> bytes:
        header = build.header(
            REGISTRY,
            request_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
            created_at=self.now,
            channel_institution=BANK_USCC,
            applicant_institution=BANK_USCC,
            clerk=build.clerk("经办", "1"),
        )
        references = [
            build.file_reference(code, hashlib.sha256(data).digest(), len(data))
            for code, data in files.items()
        ]
        manifest = build.manifest(kind, header, terms, files=references)
        envelope: envelope_pb2.Envelope = envelope_to_wire(
            sign_envelope(MANIFEST_TYPE, manifest.SerializeToString(deterministic=True), [self.signer])
        )
        request = request_type(parent=PARENT, request_id=header.request_id, envelope=envelope)
        encoded: bytes = request.SerializeToString()
        return encoded


def mortgage_terms(number: int) -> bytes:
    """Terms of a mortgage on flat `number`; of the same length whatever the number."""
    content = operations.mortgage_content(
        mortgagors=["owner"],
        mortgagees=["bank"],
        debtors=["owner"],
        claim_fen=80_000_000,
        term=(dt.date(2026, 11, 1), dt.date(2046, 11, 1)),
        restricted=False,
        secured_scope="主债权、利息、违约金",
    )
    terms: terms_pb2.Terms = build.terms(
        REGISTRY,
        units=[build.unit(unit_code(number))],
        parties=[
            build.person("owner", OWNER_NAME, OWNER_ID),
            build.institution_party("bank", BANK_NAME, BANK_USCC),
        ],
        operations=[operations.mortgage_first(content)],
    )
    return build.terms_bytes(terms)
