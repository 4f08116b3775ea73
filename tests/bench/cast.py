"""What both sides of the bench agree on: a bank, an owner, many flats, and one complete case for each."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from pathlib import Path

import msgspec

from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, registration_service_pb2, terms_pb2
from signing.pki import Credential
from signing.signer import LocalSigner, sign_envelope

REGISTRY = "jiangyin"
PARENT = f"registries/{REGISTRY}"
BANK_USCC = "913202810000BK1K5U"
BANK_NAME = "示例银行"
OWNER_ID = "999999199003071234"
OWNER_NAME = "张一"
MANIFEST_TYPE = "application/vnd.diya.manifest.v1+protobuf"
PAPERS = ("APPLICATION", "INQUIRY_RECORD", "PRINCIPAL_CONTRACT", "MORTGAGE_CONTRACT", "REMOTE_IDENTITY")
FILE_BYTES = 120_000


class Seed(msgspec.Struct, frozen=True):
    """What the server must hold before the run: flats, and the verdicts of each case's five files."""

    units: list[str]
    files: list[tuple[str, str, str]]  # sha256, paper code, terms sha256 (empty where not embedded)
    key_id: str
    tls_key_id: str


def unit_code(number: int) -> str:
    """The code of flat `number`."""
    return f"320281001001GB00001F{number:08d}"


def mortgage_request(
    number: int, signer: LocalSigner, now: dt.datetime
) -> tuple[bytes, list[tuple[str, str, str]]]:
    """A signed, serialized SubmitMortgageRequest on flat `number`, and the files it names."""
    terms = terms_pb2.Terms(registry=REGISTRY, version=1, loan_kind=codes_pb2.LOAN_KIND_COMMERCIAL)
    terms.units.add(unit_code=unit_code(number))
    terms.parties.add(id="owner", person=_person(OWNER_NAME, codes_pb2.ID_KIND_RESIDENT_ID, OWNER_ID))
    terms.parties.add(id="bank", person=_person(BANK_NAME, codes_pb2.ID_KIND_USCC, BANK_USCC))
    operation = terms.operations.add(reason="抵押贷款", applicants=["owner", "bank"])
    content = operation.mortgage_first.content
    content.kind = codes_pb2.MORTGAGE_KIND_ORDINARY
    content.mortgagors.append("owner")
    content.mortgagees.append("bank")
    content.debtors.append("owner")
    content.mortgagor_relation = codes_pb2.MORTGAGOR_RELATION_DEBTOR
    content.claim_amount.amount_fen = 80_000_000
    content.claim_amount.currency = "CNY"
    content.secured_scope = "主债权、利息、违约金"
    content.transfer_restriction = codes_pb2.TRANSFER_RESTRICTION_NONE
    content.collateral_kind = codes_pb2.COLLATERAL_KIND_LAND_AND_BUILDING
    for date, year in ((content.term_start, 2026), (content.term_end, 2046)):
        date.year, date.month, date.day = year, 11, 1
    encoded = terms.SerializeToString()
    bound = hashlib.sha256(encoded).hexdigest()
    manifest = envelope_pb2.Manifest(terms=encoded, kind=codes_pb2.APPLICATION_KIND_MORTGAGE)
    header = manifest.header
    header.registry = REGISTRY
    header.channel_institution = header.applicant_institution = BANK_USCC
    header.clerk.name, header.clerk.employee_number = "经办", "1"
    header.request_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    header.created_at.FromDatetime(now)
    header.not_after.FromDatetime(now + dt.timedelta(days=1))
    files = []
    for code in PAPERS:
        digest = hashlib.sha256(f"{number}/{code}".encode())
        manifest.files.add(sha256=digest.digest(), size_bytes=FILE_BYTES, paper_code=code)
        files.append((digest.hexdigest(), code, bound if code in PAPERS[:2] else ""))
    envelope = sign_envelope(MANIFEST_TYPE, manifest.SerializeToString(), [signer])
    wire = envelope_pb2.Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
    for one in envelope.signatures:
        wire.signatures.add(
            key_id=one.key_id,
            algorithm=envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
            certificates=one.certificates,
            signature=one.signature,
        )
    request = registration_service_pb2.SubmitMortgageRequest(
        parent=PARENT, request_id=header.request_id, envelope=wire
    )
    return request.SerializeToString(), files


def credentials(folder: Path) -> tuple[Credential, Credential]:
    """The bank's signing and connection credentials, as the orchestrator wrote them."""
    return Credential.read(folder / "bank", "sign"), Credential.read(folder / "bank", "tls")


def _person(name: str, kind: int, number: str) -> common_pb2.Person:
    holder = codes_pb2.HOLDER_TYPE_ENTERPRISE if number == BANK_USCC else codes_pb2.HOLDER_TYPE_PERSON
    return common_pb2.Person(name=name, identity=common_pb2.Identity(kind=kind, number=number), type=holder)
