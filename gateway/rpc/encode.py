"""Domain to wire: outcomes, receipts, applications, certificates and events. No decisions here."""

from __future__ import annotations

import datetime as dt
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.applications.prediction import Prediction
from gateway.applications.rehearsal import Rehearsed
from gateway.cases.model import Application, ConsentKind, FileReference, Outcome
from gateway.certificates.content import CertificateContent
from gateway.commands import Answer, Receipt
from gateway.kinds.applicants import CONSENTER
from gateway.kinds.funds_due import LegStanding
from gateway.pb.diya.v1 import (
    application_pb2,
    certificate_pb2,
    codes_pb2,
    common_pb2,
    envelope_pb2,
    finding_pb2,
    outcome_pb2,
    terms_pb2,
)
from gateway.register.findings import Finding
from gateway.register.model import Party

#: `Awaited.role` of those who are not to apply.
_ROLES = {CONSENTER: finding_pb2.PARTY_ROLE_CONSENTER}
_ID_KINDS = {k.removeprefix("ID_KIND_"): v for k, v in codes_pb2.IdKind.items()}


def timestamp(value: dt.datetime | None) -> Timestamp | None:
    """An instant as the wire has it; None stays unset."""
    if value is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp


def date(value: dt.date | None) -> Date | None:
    """A date as the wire has it; None stays unset."""
    return None if value is None else Date(year=value.year, month=value.month, day=value.day)


def outcome(answer: Answer) -> outcome_pb2.Outcome:
    """An answer with its receipt."""
    wire = bare_outcome(answer.outcome, answer.receipt.registry)
    wire.receipt.CopyFrom(receipt(answer.receipt))
    wire.replayed = answer.replayed
    return wire


def bare_outcome(value: Outcome, registry: str) -> outcome_pb2.Outcome:
    """An outcome without a receipt, as a rehearsal has it."""
    wire = outcome_pb2.Outcome(
        result=outcome_pb2.OutcomeResult.Value(f"OUTCOME_RESULT_{value.result.value}"),
        application=value.application,
        findings=[finding(f) for f in value.findings],
        certificates=[
            certificate_pb2.Certificate(
                name=f"registries/{registry}/certificates/{c.identifier}",
                identifier=c.identifier,
                number=c.number,
                kind=certificate_pb2.CertificateKind.Value(f"CERTIFICATE_KIND_{c.kind}"),
                state=certificate_pb2.Certificate.STATE_NUMBERED,
                application=value.application,
                case_number=value.case_number,
            )
            for c in value.certificates
        ],
        awaiting=[
            finding_pb2.PartyReference(
                name=a.name,
                role=_ROLES.get(a.role, finding_pb2.PARTY_ROLE_CO_APPLICANT),
                institution=common_pb2.InstitutionReference(uscc=a.institution) if a.institution else None,
            )
            for a in value.awaiting
        ],
        as_of_index=value.as_of_index or 0,
        case_number=value.case_number,
        accepted_at=timestamp(value.accepted_at),
        deadline=date(value.deadline),
        deadline_provisional=value.deadline_provisional,
        statutory_deadline=date(value.statutory_deadline),
        statutory_deadline_provisional=value.statutory_provisional,
        deadline_at=timestamp(value.deadline_at),
        booked_at=timestamp(value.booked_at),
        parties_expire_at=timestamp(value.parties_expire_at),
    )
    if value.state is not None:
        wire.state = application_pb2.Application.State.Value(f"STATE_{value.state.value}")
    return wire


def rehearsal(value: Rehearsed) -> outcome_pb2.Outcome:
    """The answer to a rehearsal: no application, no receipt; `would_be` unspecified where it is withheld."""
    told = Outcome(
        result=value.result, application="", findings=value.findings, awaiting=value.awaiting,
        as_of_index=value.as_of_index,
    )  # fmt: skip
    wire = bare_outcome(told, "")
    wire.validate_only = True
    if value.would_be is not None:
        wire.would_be = outcome_pb2.OutcomeResult.Value(f"OUTCOME_RESULT_{value.would_be.value}")
    if value.prediction is not None:
        wire.prediction.CopyFrom(prediction(value.prediction))
    return wire


def prediction(value: Prediction) -> outcome_pb2.Prediction:
    """What a rehearsal foresees."""
    return outcome_pb2.Prediction(
        cases_before=value.cases_before,
        ranks=[
            outcome_pb2.PredictedRank(
                operation=one.operation,
                unit_code=one.unit_code,
                rank=one.rank,
                rank_at_worst=one.rank_at_worst,
            )
            for one in value.ranks
        ],
        accepted_at=timestamp(value.accepted_at),
        deadline=date(value.deadline),
        deadline_at=timestamp(value.deadline_at),
        deadline_provisional=value.deadline_provisional,
    )


def finding(value: Finding) -> finding_pb2.Finding:
    """One finding."""
    return finding_pb2.Finding(
        code=value.code,
        rule=value.rule,
        field=value.field,
        file=value.file,
        article=value.article,
        zh=value.zh,
        en=value.en,
        cure_zh=value.cure_zh,
        cure_en=value.cure_en,
        severity=finding_pb2.Severity.Value(f"SEVERITY_{value.severity.value}"),
        rule_version=value.rule_version,
    )


def receipt(value: Receipt) -> outcome_pb2.Receipt:
    """A receipt; pending when no checkpoint covers the entry yet."""
    return outcome_pb2.Receipt(
        registry=value.registry,
        origin=value.origin,
        index=value.index,
        entry=value.entry,
        entry_hash=value.entry_hash,
        checkpoint=value.checkpoint or b"",
        inclusion_proof=value.inclusion_proof,
        openings=[
            outcome_pb2.PartOpening(name="evidence/payload", salt=value.payload_salt),
            outcome_pb2.PartOpening(name="outcome", salt=value.outcome_salt, content=value.outcome_part),
        ],
        pending=value.checkpoint is None,
    )


def application(value: Application) -> application_pb2.Application:
    """An application's row: what every institution of the case is told, and `case_view` adds to."""
    prefix = f"registries/{value.registry}/"
    return application_pb2.Application(
        name=value.name,
        case_number=value.case_number,
        kind=codes_pb2.ApplicationKind.Value(f"APPLICATION_KIND_{value.kind.value}"),
        state=application_pb2.Application.State.Value(f"STATE_{value.state.value}"),
        operations=[_operation_kind(name) for name in value.operations],
        unit_codes=value.units,
        case=value.case,
        phase=value.phase,
        supersedes=value.supersedes,
        terms_version=value.terms_version,
        loan_kind=codes_pb2.LoanKind.Value(f"LOAN_KIND_{value.loan_kind}"),
        channel_institution=common_pb2.InstitutionReference(uscc=value.channel_institution),
        applicant_institution=common_pb2.InstitutionReference(uscc=value.applicant_institution),
        manifest_digest=bytes.fromhex(value.payload_sha256),
        terms_sha256=bytes.fromhex(value.terms_sha256),
        last_index=value.last_index,
        certificates=[prefix + "certificates/" + c for c in value.certificates],
        accepted_by=value.accepted_by,
        claimed_by=value.claimed_by,
        reviewed_by=value.reviewed_by,
        booked_by=value.booked_by,
        rule_set=str(value.rules_version) if value.rules_version is not None else "",
        deadline=date(value.deadline),
        deadline_provisional=value.deadline_provisional,
        statutory_deadline=date(value.statutory_deadline),
        statutory_deadline_provisional=value.statutory_provisional,
        deadline_at=timestamp(value.deadline_at),
        deadline_breached_at=timestamp(value.breached_at),
        parties_expire_at=timestamp(value.parties_expire_at),
        waits_until=timestamp(value.due_at) if value.accepted_at is not None else None,
        milestones=_milestones(value),
        erased_index=value.erased_index or 0,
    )


def _milestones(value: Application) -> application_pb2.Milestones:
    """The instants that a row knows; of several statements of one kind the last that stands."""

    def stated(kind: ConsentKind) -> Timestamp | None:
        return timestamp(max((c.at for c in value.consents if c.kind is kind and c.stands), default=None))

    releases = any(name.endswith("MORTGAGE_RELEASE") for name in value.operations)
    return application_pb2.Milestones(
        submitted_at=timestamp(value.submitted_at),
        accepted_at=timestamp(value.accepted_at),
        decided_at=timestamp(value.decided_at),
        booked_at=timestamp(value.booked_at),
        paid_out_at=stated(ConsentKind.PAID_OUT),
        payoff_confirmed_at=stated(ConsentKind.PAYOFF_CONFIRMED),
        released_at=timestamp(value.booked_at) if releases else None,
        closed_at=timestamp(value.closed_at),
    )


def file_reference(value: FileReference) -> envelope_pb2.FileReference:
    """A paper as an act named it."""
    return envelope_pb2.FileReference(
        sha256=bytes.fromhex(value.sha256),
        size_bytes=value.size_bytes,
        paper_code=value.paper_code,
        readers=value.readers,
        operations=value.operations,
        parties=value.parties,
        signs=bytes.fromhex(value.signs),
    )


def certificate(registry: str, row: dict[str, Any]) -> certificate_pb2.Certificate:
    """A certificate from its view row, without its content."""
    wire = certificate_pb2.Certificate(
        name=f"registries/{registry}/certificates/{row['identifier']}",
        identifier=row["identifier"],
        number=row["number"],
        kind=certificate_pb2.CertificateKind.Value(f"CERTIFICATE_KIND_{row['kind']}"),
        state=certificate_pb2.Certificate.State.Value(f"STATE_{row['state']}"),
        right_id=row["right_id"],
        application=f"registries/{registry}/applications/{row['application_id']}",
        ended_by_case_number=row["ended_case"] or "",
        part=row["part"],
        index=row["entry_index"],
        pdf_sha256=bytes.fromhex(row["pdf_sha256"] or ""),
        pdf_size_bytes=row["size_bytes"] or 0,
    )
    for name in ("sealed_at", "ended_at"):
        if row[name]:
            getattr(wire, name).FromJsonString(row[name])
    return wire


def certificate_content(value: CertificateContent) -> certificate_pb2.CertificateContent:
    """What a certificate says, parsed for those who do not read its JSON."""
    return certificate_pb2.CertificateContent(
        schema=value.schema,
        kind=certificate_pb2.CertificateKind.Value(f"CERTIFICATE_KIND_{value.kind.value}"),
        identifier=value.identifier,
        number=value.number,
        code=value.code,
        registry=value.registry,
        issuer_name=value.issuer_name,
        issuer_code=value.issuer_code,
        issued_on=date(value.issued_on),
        matter=value.matter,
        holders=[person(p) for p in value.holders],
        obligors=[person(p) for p in value.obligors],
        location=value.location,
        unit_codes=value.unit_codes,
        other=[certificate_pb2.CertificateLine(label=li.label, value=li.value) for li in value.other],
        note=value.note,
        co_ownership=value.co_ownership,
        right_kind=value.right_kind,
        right_nature=value.right_nature,
        use=value.use,
        area=value.area,
        term=value.term,
        right_id=value.right_id,
        application=value.application,
        case_number=value.case_number,
        booked_at=timestamp(value.booked_at),
        test=value.test,
    )


def person(value: Party) -> common_pb2.Person:
    """A party."""
    holder = codes_pb2.HOLDER_TYPE_ENTERPRISE if value.is_institution else codes_pb2.HOLDER_TYPE_PERSON
    return common_pb2.Person(
        name=value.name,
        identity=common_pb2.Identity(kind=_ID_KINDS[value.id_kind.value], number=value.id_number),
        type=holder,
        country=value.country,
        phone=value.phone,
        address=value.address,
        capacity=codes_pb2.Capacity.Value(f"CAPACITY_{value.capacity.value}"),
    )


def funds_leg(standing: LegStanding) -> application_pb2.FundsLegStanding:
    """Where a leg of the funds plan stands."""
    return application_pb2.FundsLegStanding(
        leg=standing.leg,
        trigger=terms_pb2.FundsTrigger.Value(f"FUNDS_TRIGGER_{standing.trigger}"),
        state=application_pb2.FundsLegStanding.State.Value(f"STATE_{standing.state}"),
        since=timestamp(standing.since),
        reason_zh=standing.zh,
        reason_en=standing.en,
    )


def event(registry: str, row: dict[str, Any]) -> outcome_pb2.Event:
    """An event from its view row; one on a unit alone has no application."""
    kind = row["kind"].removeprefix("APPLICATION_")
    wire = outcome_pb2.Event(
        sequence=row["sequence"],
        kind=outcome_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
        certificate=f"registries/{registry}/certificates/{row['certificate']}" if row["certificate"] else "",
        unit_code=row["unit_code"],
        case_number=row["case_number"],
        index=row["entry_index"],
    )
    if row["application_id"]:
        wire.application = f"registries/{registry}/applications/{row['application_id']}"
        wire.state = application_pb2.Application.State.Value(f"STATE_{row['state']}")
    wire.time.FromJsonString(row["at"])
    return wire


def _operation_kind(name: str) -> codes_pb2.OperationKind.ValueType:
    """The contract's value; UNSPECIFIED for an operation that it does not list."""
    return dict(codes_pb2.OperationKind.items()).get(
        f"OPERATION_KIND_{name}", codes_pb2.OPERATION_KIND_UNSPECIFIED
    )
