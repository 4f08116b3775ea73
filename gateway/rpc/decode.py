"""Wire to domain, syntax only: a manifest's bytes into values, with every violation at once.

Nothing is judged here but form: enums known, identifiers well-formed, amounts positive, dates real and in order. What
the law says of them is the kinds' business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from gateway.cases import terms as ops
from gateway.cases.model import Clerk, FileReference, Header, Kind, Manifest, SectionReference
from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, terms_pb2
from gateway.register import model as m
from gateway.register.identifiers import canonical_party, normalise_unit_code, normalise_uscc
from gateway.rpc import decode_fields as read
from gateway.rpc.decode_deal import DealReader
from gateway.rpc.decode_operations import read_operation
from gateway.rpc.decode_parts import TEXT_CHARACTERS_MAX
from gateway.rpc.decode_stated import check_phase, stated
from gateway.rpc.violations import Violations

#: What one manifest may hold.
OPERATIONS_MAX = 8
UNITS_MAX = 200
PARTIES_MAX = 200
FILES_MAX = 200
SECTIONS_MAX = 20
PAPERS_TO_COME_MAX = 50

_PHONE = re.compile(r"\+?[0-9]{3,20}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def decode_manifest(payload: bytes, kind: Kind) -> Manifest:
    """The manifest in `payload` (serialized diya.v1.Manifest), as a submission of `kind`.

    Raises MalformedRequest with every violation found.
    """
    wrong = Violations()
    wire = envelope_pb2.Manifest()
    terms_wire = terms_pb2.Terms()
    try:
        wire.ParseFromString(payload)
        terms_wire.ParseFromString(wire.terms)
    except DecodeError:
        wrong.add(
            "envelope.payload", "不是 diya.v1.Manifest", "is not a diya.v1.Manifest", "ENVELOPE_MALFORMED"
        )
        wrong.refuse_if_any()
    if wire.kind != codes_pb2.ApplicationKind.Value(f"APPLICATION_KIND_{kind.value}"):
        wrong.add(
            "kind",
            f"签名内容的 kind 不是 {kind.value}",
            f"the signed kind is not {kind.value}",
            "HEADER_MISMATCH",
        )
    header = _header(wire.header, wrong)
    check_phase(wire.header, wrong)
    units, parties = _units(terms_wire, wrong), _parties(terms_wire, wrong)
    terms = _terms(terms_wire, units, parties, kind, wrong)
    evidence = DealReader("evidence", units, parties, wrong).evidence(wire.evidence)
    files = _files(wire, wrong)
    check_files(files, len(terms_wire.operations), parties, wrong)
    sections = tuple(
        SectionReference(name=s.name, sha256=s.sha256.hex(), readers=tuple(s.readers)) for s in wire.sections
    )
    read.limit(len(sections), SECTIONS_MAX, "sections", wrong)
    _contacts(wire.contacts, wrong)
    read.limit(len(wire.papers_to_come), PAPERS_TO_COME_MAX, "papers_to_come", wrong)
    wrong.refuse_if_any()
    assert header is not None  # a missing one left a violation
    assert terms is not None
    return Manifest(
        header=header,
        kind=kind,
        terms=terms,
        terms_sha256=hashlib.sha256(wire.terms).hexdigest(),
        sections=sections,
        files=files,
        evidence=evidence,
        insist=wire.insist,
        papers_to_come=tuple(wire.papers_to_come),
    )


def decode_terms(data: bytes, kind: Kind | None = None) -> ops.Terms:
    """Terms alone, as RenderForms takes them. Raises MalformedRequest."""
    wrong = Violations()
    wire = terms_pb2.Terms()
    try:
        wire.ParseFromString(data)
    except DecodeError:
        wrong.add("terms", "不是 diya.v1.Terms", "is not a diya.v1.Terms", "ENVELOPE_MALFORMED")
        wrong.refuse_if_any()
    terms = _terms(wire, _units(wire, wrong), _parties(wire, wrong), kind, wrong)
    wrong.refuse_if_any()
    assert terms is not None
    return terms


def decode_evidence(wire: terms_pb2.Evidence, terms: terms_pb2.Terms) -> ops.Evidence:
    """The evidence of a later act (a join, a supplement) on a case with these terms. Raises MalformedRequest."""
    wrong = Violations()
    units, parties = _units(terms, wrong), _parties(terms, wrong)
    evidence = DealReader("evidence", units, parties, wrong).evidence(wire)
    wrong.refuse_if_any()
    return evidence


def decode_parties(wire: terms_pb2.Terms) -> dict[str, m.Party]:
    """The parties of terms that were taken before, by their ids in them."""
    return _parties(wire, Violations())


def decode_act(act: Any) -> tuple[Header, tuple[FileReference, ...]]:
    """Header and files of an institution's later act (any message with `header`). Raises MalformedRequest."""
    wrong = Violations()
    header = _header(act.header, wrong)
    files = _files(act, wrong) if "files" in act.DESCRIPTOR.fields_by_name else ()
    wrong.refuse_if_any()
    assert header is not None  # a missing one left a violation
    return header, files


# -- header and files ----------------------------------------------------------------------------------------------


def _header(wire: envelope_pb2.Header, wrong: Violations) -> Header | None:
    path = "header"
    if not wire.registry:
        wrong.add(path + ".registry", "必填", "is required")
    if not _UUID.match(wire.request_id):
        wrong.add(path + ".request_id", "必须是 UUID", "must be a UUID")
    for name in ("channel_institution", "applicant_institution"):
        with wrong.at(f"{path}.{name}", "USCC_MALFORMED"):
            normalise_uscc(getattr(wire, name))
    if not wire.clerk.name or not wire.clerk.employee_number:
        wrong.add(
            path + ".clerk", "经办人姓名和工号必填", "the clerk's name and employee number are required"
        )
    created = read.instant(wire, "created_at", path, wrong)
    until = read.instant(wire, "not_after", path, wrong)
    if created is None or until is None:
        return None
    if until <= created:
        wrong.add(path + ".not_after", "必须晚于 created_at", "must be after created_at")
    return Header(
        registry=wire.registry,
        channel_institution=wire.channel_institution.strip().upper(),
        applicant_institution=wire.applicant_institution.strip().upper(),
        clerk=Clerk(
            name=wire.clerk.name,
            employee_no=wire.clerk.employee_number,
            authorisation_no=wire.clerk.authorisation_number,
        ),
        request_id=wire.request_id.lower(),
        validate_only=wire.validate_only,
        created_at=created,
        not_after=until,
        supersedes=wire.supersedes,
        case=wire.case,
        phase=wire.phase or 1,
    )


def _files(wire: Any, wrong: Violations) -> tuple[FileReference, ...]:
    read.limit(len(wire.files), FILES_MAX, "files", wrong)
    found = []
    for number, reference in enumerate(wire.files[:FILES_MAX]):
        path = f"files[{number}]"
        if len(reference.sha256) != 32:
            wrong.add(path + ".sha256", "必须是 32 字节", "must be 32 bytes")
        if reference.size_bytes <= 0:
            wrong.add(path + ".size_bytes", "必须大于零", "must be greater than zero")
        if len(reference.signs) not in (0, 32):
            wrong.add(path + ".signs", "必须是 32 字节，或者为空", "must be 32 bytes, or empty")
        if not reference.paper_code:
            wrong.add(path + ".paper_code", "必填", "is required")
        found.append(
            FileReference(
                sha256=reference.sha256.hex(),
                size_bytes=reference.size_bytes,
                paper_code=reference.paper_code,
                readers=tuple(reference.readers),
                operations=tuple(dict.fromkeys(reference.operations)),
                parties=tuple(dict.fromkeys(reference.parties)),
                signs=reference.signs.hex(),
            )
        )
    return tuple(found)


def check_files(
    files: Iterable[FileReference], operations: int, parties: read.Parties, wrong: Violations
) -> None:
    """Papers are for operations and parties that the terms have."""
    for number, file in enumerate(files):
        read.positions(file.operations, operations, f"files[{number}].operations", wrong)
        for place, party in enumerate(file.parties):
            read.party(party, parties, f"files[{number}].parties[{place}]", wrong)


def _contacts(wires: Iterable[envelope_pb2.Contact], wrong: Violations) -> None:
    """Whom the authority may call: it finds them in the manifest, and nothing here rests on them."""
    for number, wire in enumerate(wires):
        path = f"contacts[{number}]"
        if not wire.name.strip():
            wrong.add(path + ".name", "必填", "is required")
        if wire.phone and not _PHONE.fullmatch(wire.phone):
            wrong.add(path + ".phone", "须为数字，可以 + 开头", "has digits, with an optional leading +")
        if wire.email and not _EMAIL.fullmatch(wire.email):
            wrong.add(path + ".email", "不是电子邮件地址", "is no e-mail address")


# -- terms ---------------------------------------------------------------------------------------------------------


def _terms(
    wire: terms_pb2.Terms,
    units: dict[str, tuple[m.CertificateRef, ...]],
    parties: read.Parties,
    kind: Kind | None,
    wrong: Violations,
) -> ops.Terms | None:
    read.limit(len(wire.operations), OPERATIONS_MAX, "terms.operations", wrong)
    read.limit(len(wire.units), UNITS_MAX, "terms.units", wrong)
    read.limit(len(wire.parties), PARTIES_MAX, "terms.parties", wrong)
    if not wire.operations:
        wrong.add("terms.operations", "至少一项登记", "names no operation")
    if not wire.units:
        wrong.add("terms.units", "至少一个不动产单元", "names no unit")
    mode = read.enum_name(codes_pb2.EncumberedTransferMode, wire.mode, "ENCUMBERED_TRANSFER_MODE_")
    if kind is Kind.ENCUMBERED_TRANSFER:
        read.required(mode, "terms.mode", wrong)
    operations = [
        read_operation(operation, kind, f"terms.operations[{number}]", units, parties, wrong)
        for number, operation in enumerate(wire.operations[:OPERATIONS_MAX])
    ]
    deal = DealReader("terms", units, parties, wrong)
    terms = ops.Terms(
        registry=wire.registry,
        version=wire.version or 1,
        operations=tuple(operations),
        loan_kind=ops.LoanKind(read.enum_name(codes_pb2.LoanKind, wire.loan_kind, "LOAN_KIND_") or "NONE"),
        mode=mode,
        sale_contracts=deal.sale_contracts(wire.sale_contracts),
        payoff_statements=deal.payoff_statements(wire.payoff_statements),
        funds_plan=deal.funds_plan(wire),
        tax_clearances=deal.tax_clearances(wire.tax_clearances),
        risk_notices=deal.risk_notices(wire.risk_notices),
        identity_checks=deal.identity_checks(wire.identity_checks),
        powers_of_attorney=_powers(wire, parties, wrong),
        **stated(wire, operations, parties, wrong),
    )
    return None if wrong.found else terms


def _units(wire: terms_pb2.Terms, wrong: Violations) -> dict[str, tuple[m.CertificateRef, ...]]:
    """Unit code -> titles cited for it, codes canonical."""
    units: dict[str, tuple[m.CertificateRef, ...]] = {}
    for number, unit in enumerate(wire.units[:UNITS_MAX]):
        path = f"terms.units[{number}]"
        with wrong.at(path + ".unit_code", "UNIT_CODE_MALFORMED"):
            code = normalise_unit_code(unit.unit_code)
            if code in units:
                wrong.add(path + ".unit_code", "单元重复", "is named twice")
            units[code] = tuple(
                read.certificate(t, f"{path}.titles[{n}]", wrong) for n, t in enumerate(unit.titles)
            )
    return units


def _parties(wire: terms_pb2.Terms, wrong: Violations) -> dict[str, m.Party]:
    parties: dict[str, m.Party] = {}
    for number, party in enumerate(wire.parties[:PARTIES_MAX]):
        path = f"terms.parties[{number}]"
        if not party.id or party.id in parties:
            wrong.add(path + ".id", "必填且不得重复", "is required and must be unique in the terms")
            continue
        read = person(party.person, path + ".person", wrong)
        if read is not None:
            parties[party.id] = read
    return parties


def person(wire: common_pb2.Person, path: str, wrong: Violations) -> m.Party | None:
    """A person with their document, in canonical form; None where it is malformed, which is noted."""
    if not wire.name.strip() or len(wire.name) > TEXT_CHARACTERS_MAX:
        wrong.add(path + ".name", "必填", "is required")
    id_kind = read.enum_name(codes_pb2.IdKind, wire.identity.kind, "ID_KIND_")
    if not id_kind:
        wrong.add(path + ".identity.kind", "必填", "is required")
        return None
    reason = {"RESIDENT_ID": "CITIZEN_ID_MALFORMED", "USCC": "USCC_MALFORMED"}.get(id_kind, "FIELD_INVALID")
    guardian = person(wire.guardian, path + ".guardian", wrong) if wire.HasField("guardian") else None
    legal = id_kind in ("USCC", "ORG_CODE")
    if (wire.type == codes_pb2.HOLDER_TYPE_PERSON) is legal and wire.type:
        wrong.add(path + ".type", "权利人类型与证件种类不符", "does not go with the kind of document")
    canonical: m.Party | None = None
    with wrong.at(path + ".identity.number", reason):
        canonical = canonical_party(
            m.Party(
                name=wire.name.strip(),
                id_kind=m.IdKind(id_kind),
                id_number=wire.identity.number,
                country=wire.country or "CN",
                phone=wire.phone,
                address=wire.address,
                capacity=m.Capacity(read.enum_name(codes_pb2.Capacity, wire.capacity, "CAPACITY_") or "FULL"),
                guardian=guardian,
                birth_date=read.date(wire, "birth_date", path, wrong, needed=False),
            )
        )
    return canonical  # noqa: RET504  None where the block noted a violation


def _powers(
    wire: terms_pb2.Terms, parties: dict[str, m.Party], wrong: Violations
) -> tuple[ops.PowerOfAttorney, ...]:
    powers = []
    for number, power in enumerate(wire.powers_of_attorney):
        path = f"terms.powers_of_attorney[{number}]"
        principal = parties.get(power.principal)
        agent = person(power.agent, path + ".agent", wrong)
        form = read.enum_name(common_pb2.PowerOfAttorneyForm, power.form, "POWER_OF_ATTORNEY_FORM_")
        if principal is None:
            wrong.add(path + ".principal", "不是本申请的当事人", "is no party of these terms")
        if not form:
            wrong.add(path + ".form", "必填", "is required")
        if principal is not None and agent is not None and form:
            powers.append(
                ops.PowerOfAttorney(
                    principal=principal,
                    agent=agent,
                    acts=_acts(power, path, wrong),
                    unit_codes=_power_units(power, path, wrong),
                    valid_until=read.date(power, "valid_until", path, wrong, needed=False),
                    form=ops.PowerForm(form),
                    notary=power.notary.strip(),
                    deed_no=power.deed_number,
                    revoked=power.HasField("revoked_at"),
                    agency=power.agency.strip(),
                )
            )
    return tuple(powers)


def _acts(power: common_pb2.PowerOfAttorney, path: str, wrong: Violations) -> tuple[str, ...]:
    """What the agent may do, by the names of the operations."""
    names = [read.enum_name(codes_pb2.OperationKind, act, "OPERATION_KIND_") for act in power.acts]
    if not names or not all(names):
        wrong.add(path + ".acts", "至少一项已知的登记类型", "names operations, at least one")
    return tuple(dict.fromkeys(names))


def _power_units(power: common_pb2.PowerOfAttorney, path: str, wrong: Violations) -> tuple[str, ...]:
    codes = []
    for number, code in enumerate(power.unit_codes[:UNITS_MAX]):
        with wrong.at(f"{path}.unit_codes[{number}]", "UNIT_CODE_MALFORMED"):
            codes.append(normalise_unit_code(code))
    return tuple(codes)
