"""Building what a bank signs: header, terms, manifest, one small function for each thing.

Terms are serialized once (`terms_bytes`); the same bytes are rendered as forms, signed by persons,
and put into the manifest. Times, ids and request ids are parameters: nothing here reads a clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.client.payloads import sign_payload, sign_payloads
from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, operations_pb2, terms_pb2
from signing.envelope import Envelope
from signing.signer import Signer

VALID_FOR: Final = timedelta(hours=1)
"""How long an envelope may be taken, by default: the contract's advice."""
REQUEST_ID_ENTROPY_BYTES: Final = 16


def new_request_id(entropy: bytes) -> str:
    """A request id (UUID version 4) from 16 random bytes. Draw it once for each act, and keep
    it.
    """
    return str(uuid.UUID(bytes=entropy, version=4))


# -- values ------------------------------------------------------------------------------------


def money(amount_fen: int, currency: str = "CNY") -> common_pb2.Money:
    """An amount in fen (分): 1 CNY = 100 fen."""
    return common_pb2.Money(amount_fen=amount_fen, currency=currency)


def day(value: date) -> Date:
    """A calendar day in China."""
    return Date(year=value.year, month=value.month, day=value.day)


def instant(value: datetime) -> Timestamp:
    """An aware datetime. Raises ValueError for a naive one: its zone would be guessed."""
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone")
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp


def certificate(number: str, *, legacy: bool = False) -> common_pb2.CertificateReference:
    """A title or a registration proof by its printed number; `legacy` for 房产证, 房他证 and the
    like.
    """
    scheme = common_pb2.CERTIFICATE_SCHEME_LEGACY if legacy else common_pb2.CERTIFICATE_SCHEME_NATIONAL
    return common_pb2.CertificateReference(number=number, scheme=scheme)


def right(proof_number: str, unit_codes: Sequence[str] = ()) -> common_pb2.RightReference:
    """A registered right by the number of its live proof; `unit_codes` when only some units are
    meant.
    """
    return common_pb2.RightReference(certificate=certificate(proof_number), unit_codes=unit_codes)


def unit(unit_code: str, *, location: str = "", titles: Sequence[str] = ()) -> terms_pb2.UnitReference:
    """A unit by its 28-character code, with the numbers of its title certificates (national
    ones).
    """
    return terms_pb2.UnitReference(
        unit_code=unit_code, location=location, titles=[certificate(one) for one in titles]
    )


# -- parties -----------------------------------------------------------------------------------


def person(
    party_id: str,
    name: str,
    id_number: str,
    *,
    id_kind: codes_pb2.IdKind.ValueType = codes_pb2.ID_KIND_RESIDENT_ID,
    phone: str = "",
    capacity: codes_pb2.Capacity.ValueType = codes_pb2.CAPACITY_FULL,
) -> terms_pb2.Party:
    """A natural person. party_id: id inside these terms, such as "buyer-1"."""
    return terms_pb2.Party(
        id=party_id,
        person=common_pb2.Person(
            name=name,
            identity=common_pb2.Identity(kind=id_kind, number=id_number),
            type=codes_pb2.HOLDER_TYPE_PERSON,
            phone=phone,
            capacity=capacity,
        ),
    )


def institution_party(
    party_id: str,
    name: str,
    uscc: str,
    *,
    acting_institution: str = "",
    holder_type: codes_pb2.HolderType.ValueType = codes_pb2.HOLDER_TYPE_ENTERPRISE,
) -> terms_pb2.Party:
    """A bank or another institution by its USCC. acting_institution: the branch that acts, its own
    USCC.

    A provident fund centre is HOLDER_TYPE_PUBLIC_INSTITUTION.
    """
    return terms_pb2.Party(
        id=party_id,
        person=common_pb2.Person(
            name=name,
            identity=common_pb2.Identity(kind=codes_pb2.ID_KIND_USCC, number=uscc),
            type=holder_type,
        ),
        acting_institution=acting_institution,
    )


def clerk(name: str, employee_number: str, *, authorisation_number: str = "") -> common_pb2.Clerk:
    """The clerk of the applicant institution who answers for this request."""
    return common_pb2.Clerk(
        name=name, employee_number=employee_number, authorisation_number=authorisation_number
    )


# -- papers and sections -----------------------------------------------------------------------


def file_reference(
    paper_code: str,
    sha256_digest: bytes,
    size_bytes: int,
    *,
    readers: Sequence[str] = (),
    operations: Sequence[int] = (),
    parties: Sequence[str] = (),
    signs: bytes = b"",
) -> envelope_pb2.FileReference:
    """An uploaded file as the paper `paper_code`. `UploadedFile.as_paper` makes one from an upload.

    readers: USCCs that may read it, none for every institution of the case. operations: positions
    from 0, none for all. parties: ids of the persons it is about. signs: of a detached signature, SHA-256 of
    the file that it is over, which the manifest names too.
    """
    return envelope_pb2.FileReference(
        sha256=sha256_digest,
        size_bytes=size_bytes,
        paper_code=paper_code,
        readers=readers,
        operations=operations,
        parties=parties,
        signs=signs,
    )


def section(
    name: str, content: bytes, readers: Sequence[str] = ()
) -> tuple[envelope_pb2.SectionReference, envelope_pb2.Section]:
    """A section's reference, for the manifest, and its bytes, which travel beside the envelope."""
    return (
        envelope_pb2.SectionReference(name=name, readers=readers, sha256=sha256(content).digest()),
        envelope_pb2.Section(name=name, content=content),
    )


# -- terms, header, manifest -------------------------------------------------------------------


def terms(
    registry: str,
    *,
    units: Sequence[terms_pb2.UnitReference],
    parties: Sequence[terms_pb2.Party],
    operations: Sequence[operations_pb2.Operation],
    loan_kind: codes_pb2.LoanKind.ValueType = codes_pb2.LOAN_KIND_COMMERCIAL,
    version: int = 1,
    note: str = "",
) -> terms_pb2.Terms:
    """Terms of one phase. Contracts, payoff statements, checks and the rest are added to the
    message.
    """
    return terms_pb2.Terms(
        registry=registry,
        version=version,
        units=units,
        parties=parties,
        operations=operations,
        loan_kind=loan_kind,
        note=note,
    )


def terms_bytes(value: terms_pb2.Terms) -> bytes:
    """The terms serialized, once and for all: everybody is bound to exactly these bytes."""
    return value.SerializeToString(deterministic=True)


def header(
    registry: str,
    *,
    request_id: str,
    created_at: datetime,
    channel_institution: str = "",
    applicant_institution: str = "",
    clerk: common_pb2.Clerk | None = None,
    valid_for: timedelta = VALID_FOR,
    validate_only: bool = False,
    supersedes: str = "",
    case: str = "",
    phase: int = 0,
) -> envelope_pb2.Header:
    """A header. applicant_institution: the branch, by default the channel itself. Registrars and
    operators leave institutions and clerk out.
    """
    return envelope_pb2.Header(
        registry=registry,
        channel_institution=channel_institution,
        applicant_institution=applicant_institution or channel_institution,
        clerk=clerk,
        request_id=request_id,
        validate_only=validate_only,
        created_at=instant(created_at),
        not_after=instant(created_at + valid_for),
        supersedes=supersedes,
        case=case,
        phase=phase,
    )


def manifest(
    kind: codes_pb2.ApplicationKind.ValueType,
    header: envelope_pb2.Header,
    terms: bytes,
    *,
    files: Sequence[envelope_pb2.FileReference] = (),
    sections: Sequence[envelope_pb2.SectionReference] = (),
    papers_to_come: Sequence[str] = (),
    evidence: terms_pb2.Evidence | None = None,
    insist: bool = False,
    contacts: Sequence[envelope_pb2.Contact] = (),
) -> envelope_pb2.Manifest:
    """The payload of a submission. terms: from `terms_bytes`, the bytes that persons signed."""
    return envelope_pb2.Manifest(
        kind=kind,
        header=header,
        terms=terms,
        files=files,
        sections=sections,
        papers_to_come=papers_to_come,
        evidence=evidence,
        insist=insist,
        contacts=contacts,
    )


def sign_submissions(signer: Signer, manifests: Sequence[envelope_pb2.Manifest]) -> tuple[Envelope, ...]:
    """Many manifests signed at once, an envelope for each, in order: one operation of the key for up to 65,536. Each
    envelope is sent, kept and retried by itself, like one of `sign_submission`.
    """
    return sign_payloads(signer, manifests)


def sign_submission(signer: Signer, manifest: envelope_pb2.Manifest) -> Envelope:
    """The manifest serialized once and signed. Keep the envelope until its receipt has come: a
    retry sends these same bytes.
    """
    return sign_payload(signer, manifest)
