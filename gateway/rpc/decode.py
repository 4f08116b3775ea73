"""Wire to domain, syntax only: a manifest's bytes into values, with every violation at once.

Nothing is judged here but form: enums known, identifiers well-formed, amounts positive, dates real and in order. What
the law says of them is the kinds' business.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.cases import terms as ops
from gateway.cases.model import Clerk, FileReference, Header, Kind, Manifest, SectionReference
from gateway.pb.diya.v1 import codes_pb2, common_pb2, envelope_pb2, operations_pb2, terms_pb2
from gateway.register import model as m
from gateway.register.identifiers import (
    canonical_party,
    normalise_certificate_number,
    normalise_unit_code,
    normalise_uscc,
)
from gateway.rpc.violations import Violations

#: What one manifest may hold.
OPERATIONS_MAX = 8
UNITS_MAX = 200
PARTIES_MAX = 200
FILES_MAX = 200
SECTIONS_MAX = 20
TEXT_CHARACTERS_MAX = 4000

_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")

_KIND_OF_OPERATIONS: dict[str, Kind] = {
    "mortgage_first": Kind.MORTGAGE,
    "mortgage_change": Kind.MORTGAGE,
    "mortgage_transfer": Kind.MORTGAGE,
    "claim_fixing": Kind.MORTGAGE,
    "construction_mortgage_first": Kind.MORTGAGE,
    "construction_mortgage_change": Kind.MORTGAGE,
    "construction_mortgage_transfer": Kind.MORTGAGE,
    "correction": Kind.MORTGAGE,
    "reissue": Kind.MORTGAGE,
    "mortgage_release": Kind.MORTGAGE_RELEASE,
    "construction_mortgage_release": Kind.MORTGAGE_RELEASE,
    "pre_notice_create": Kind.PRE_NOTICE,
    "pre_notice_convert": Kind.PRE_NOTICE,
    "pre_notice_release": Kind.PRE_NOTICE,
}


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
    terms = _terms(terms_wire, kind, wrong)
    files = _files(wire, wrong)
    sections = tuple(
        SectionReference(name=s.name, sha256=s.sha256.hex(), readers=tuple(s.readers)) for s in wire.sections
    )
    _limit(len(sections), SECTIONS_MAX, "sections", wrong)
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
    terms = _terms(wire, kind, wrong)
    wrong.refuse_if_any()
    assert terms is not None
    return terms


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
    created = _instant(wire, "created_at", path, wrong)
    until = _instant(wire, "not_after", path, wrong)
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


def _files(wire: envelope_pb2.Manifest, wrong: Violations) -> tuple[FileReference, ...]:
    _limit(len(wire.files), FILES_MAX, "files", wrong)
    found = []
    for number, reference in enumerate(wire.files[:FILES_MAX]):
        path = f"files[{number}]"
        if len(reference.sha256) != 32:
            wrong.add(path + ".sha256", "必须是 32 字节", "must be 32 bytes")
        if reference.size_bytes <= 0:
            wrong.add(path + ".size_bytes", "必须大于零", "must be greater than zero")
        if not reference.paper_code:
            wrong.add(path + ".paper_code", "必填", "is required")
        found.append(
            FileReference(
                sha256=reference.sha256.hex(),
                size_bytes=reference.size_bytes,
                paper_code=reference.paper_code,
                readers=tuple(reference.readers),
                operations=tuple(reference.operations),
            )
        )
    return tuple(found)


# -- terms ---------------------------------------------------------------------------------------------------------


def _terms(wire: terms_pb2.Terms, kind: Kind | None, wrong: Violations) -> ops.Terms | None:
    _limit(len(wire.operations), OPERATIONS_MAX, "terms.operations", wrong)
    _limit(len(wire.units), UNITS_MAX, "terms.units", wrong)
    _limit(len(wire.parties), PARTIES_MAX, "terms.parties", wrong)
    if not wire.operations:
        wrong.add("terms.operations", "至少一项登记", "names no operation")
    if not wire.units:
        wrong.add("terms.units", "至少一个不动产单元", "names no unit")
    units = _units(wire, wrong)
    parties = _parties(wire, wrong)
    operations = []
    for number, operation in enumerate(wire.operations[:OPERATIONS_MAX]):
        reader = _OperationReader(f"terms.operations[{number}]", wire, units, parties, wrong)
        operations.append(reader.read(operation, kind))
    checks = tuple(
        ops.IdentityCheck(
            person_id_number=parties[c.party].id_number if c.party in parties else "",
            method=common_pb2.IdentityCheckMethod.Name(c.method),
            provider=c.provider,
            passed=c.result == common_pb2.IDENTITY_CHECK_RESULT_PASSED,
            checked_at=c.checked_at.ToDatetime(dt.UTC),
            evidence_sha256=c.evidence_sha256.hex(),
        )
        for c in wire.identity_checks
    )
    powers = _powers(wire, parties, wrong)
    if wrong.found:
        return None
    return ops.Terms(
        registry=wire.registry,
        version=wire.version or 1,
        operations=tuple(operations),
        loan_kind=ops.LoanKind(_name(codes_pb2.LoanKind, wire.loan_kind, "LOAN_KIND_") or "NONE"),
        mode=_name(codes_pb2.EncumberedTransferMode, wire.mode, "ENCUMBERED_TRANSFER_MODE_"),
        identity_checks=checks,
        powers_of_attorney=powers,
    )


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
                _certificate(t, f"{path}.titles[{n}]", wrong) for n, t in enumerate(unit.titles)
            )
    return units


def _parties(wire: terms_pb2.Terms, wrong: Violations) -> dict[str, m.Party]:
    parties: dict[str, m.Party] = {}
    for number, party in enumerate(wire.parties[:PARTIES_MAX]):
        path = f"terms.parties[{number}]"
        if not party.id or party.id in parties:
            wrong.add(path + ".id", "必填且不得重复", "is required and must be unique in the terms")
            continue
        read = _party(party.person, path + ".person", wrong)
        if read is not None:
            parties[party.id] = read
    return parties


def _party(person: common_pb2.Person, path: str, wrong: Violations) -> m.Party | None:
    if not person.name.strip() or len(person.name) > TEXT_CHARACTERS_MAX:
        wrong.add(path + ".name", "必填", "is required")
    id_kind = _name(codes_pb2.IdKind, person.identity.kind, "ID_KIND_")
    if not id_kind:
        wrong.add(path + ".identity.kind", "必填", "is required")
        return None
    reason = {"RESIDENT_ID": "CITIZEN_ID_MALFORMED", "USCC": "USCC_MALFORMED"}.get(id_kind, "FIELD_INVALID")
    guardian = _party(person.guardian, path + ".guardian", wrong) if person.HasField("guardian") else None
    canonical: m.Party | None = None
    with wrong.at(path + ".identity.number", reason):
        canonical = canonical_party(
            m.Party(
                name=person.name.strip(),
                id_kind=m.IdKind(id_kind),
                id_number=person.identity.number,
                country=person.country or "CN",
                phone=person.phone,
                address=person.address,
                capacity=m.Capacity(_name(codes_pb2.Capacity, person.capacity, "CAPACITY_") or "FULL"),
                guardian=guardian,
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
        agent = _party(power.agent, path + ".agent", wrong)
        form = _name(common_pb2.PowerOfAttorneyForm, power.form, "POWER_OF_ATTORNEY_FORM_")
        if principal is None:
            wrong.add(path + ".principal", "不是本申请的当事人", "is no party of these terms")
        if not form:
            wrong.add(path + ".form", "必填", "is required")
        if principal is not None and agent is not None and form:
            powers.append(
                ops.PowerOfAttorney(
                    principal=principal,
                    agent=agent,
                    acts=tuple(codes_pb2.OperationKind.Name(a) for a in power.acts),
                    valid_until=_date(power, "valid_until", path, wrong, required=False),
                    form=ops.PowerForm(form),
                    deed_no=power.deed_number,
                    revoked=power.HasField("revoked_at"),
                )
            )
    return tuple(powers)


class _OperationReader:
    """Reads one operation; `path` is its place in the terms."""

    def __init__(
        self,
        path: str,
        terms: terms_pb2.Terms,
        units: dict[str, tuple[m.CertificateRef, ...]],
        parties: dict[str, m.Party],
        wrong: Violations,
    ) -> None:
        self._path = path
        self._terms = terms
        self._units = units
        self._parties = parties
        self._wrong = wrong

    def read(self, wire: operations_pb2.Operation, kind: Kind | None) -> ops.AnyOperation:
        """The operation as a value; violations are noted, never raised."""
        which = wire.WhichOneof("kind") or ""
        if not which:
            self._wrong.add(self._path + ".kind", "必填", "is required")
        expected = _KIND_OF_OPERATIONS.get(which)
        if kind is not None and kind is not Kind.ENCUMBERED_TRANSFER and expected is not kind:
            self._wrong.add(
                self._path,
                f"{which} 不能经此方法提交",
                f"{which} is not submitted through this method",
                "OPERATION_NOT_OF_KIND",
            )
        units = self._unit_codes(wire)
        if which == "mortgage_first":
            return self._mortgage_first(wire.mortgage_first.content, units)
        if which == "mortgage_release":
            return self._mortgage_release(wire, units)
        return ops.OtherOperation(name=which.upper(), units=units)

    def _mortgage_first(
        self, content: operations_pb2.MortgageContent, units: tuple[str, ...]
    ) -> ops.MortgageFirst:
        path = f"{self._path}.mortgage_first.content"
        kind = _name(codes_pb2.MortgageKind, content.kind, "MORTGAGE_KIND_")
        ordinary = kind != "MAXIMUM_AMOUNT"
        self._required(kind, path + ".kind")
        claim = self._money(content, "claim_amount", path, required=ordinary)
        ceiling = self._money(content, "max_claim_amount", path, required=not ordinary)
        if (ordinary and ceiling) or (not ordinary and claim):
            self._wrong.add(
                path + (".max_claim_amount" if ordinary else ".claim_amount"),
                "一般抵押只填 claim_amount，最高额抵押只填 max_claim_amount",
                "an ordinary mortgage has claim_amount only, a maximum-amount one max_claim_amount only",
            )
        start = _date(content, "term_start", path, self._wrong)
        end = _date(content, "term_end", path, self._wrong)
        if start and end and start > end:
            self._wrong.add(path + ".term_end", "早于 term_start", "is before term_start")
        restriction = _name(
            codes_pb2.TransferRestriction, content.transfer_restriction, "TRANSFER_RESTRICTION_"
        )
        if restriction not in ("NONE", "RESTRICTED"):
            self._wrong.add(
                path + ".transfer_restriction",
                "新设抵押权须记载 NONE 或 RESTRICTED（是否约定禁止或限制转让）",
                "a new mortgage records NONE or RESTRICTED",
            )
            restriction = "NONE"
        if not content.secured_scope.strip() or len(content.secured_scope) > TEXT_CHARACTERS_MAX:
            self._wrong.add(
                path + ".secured_scope", "必填；没有约定填 /", "is required; put / when none is agreed"
            )
        relation = _name(codes_pb2.MortgagorRelation, content.mortgagor_relation, "MORTGAGOR_RELATION_")
        self._required(relation, path + ".mortgagor_relation")
        today = dt.date(2000, 1, 1)
        return ops.MortgageFirst(
            units=units,
            kind=m.MortgageKind(kind or "ORDINARY"),
            mortgagors=self._named(content.mortgagors, path + ".mortgagors"),
            mortgagees=self._named(content.mortgagees, path + ".mortgagees"),
            debtors=self._named(content.debtors, path + ".debtors"),
            mortgagor_relation=m.MortgagorRelation(relation or "DEBTOR"),
            claim_amount_fen=claim[0] if claim else None,
            max_claim_amount_fen=ceiling[0] if ceiling else None,
            currency=(claim or ceiling or (0, "CNY"))[1],
            loan_portions=tuple(
                self._portion(p, f"{path}.loan_portions[{n}]") for n, p in enumerate(content.loan_portions)
            ),
            term_start=start or today,
            term_end=end or today,
            secured_scope=content.secured_scope.strip() or "/",
            transfer_restriction=m.TransferRestriction(restriction),
            contract_number=content.mortgage_contract_number,
            agreed_rank=content.agreed_rank or None,
            titles=tuple(t for code in units for t in self._units.get(code, ())),
        )

    def _mortgage_release(
        self, wire: operations_pb2.Operation, units: tuple[str, ...]
    ) -> ops.MortgageRelease:
        path = f"{self._path}.mortgage_release"
        release = wire.mortgage_release
        ground = _name(operations_pb2.ReleaseGround, release.ground, "RELEASE_GROUND_")
        self._required(ground, path + ".ground")
        known = {g.value for g in ops.ReleaseGround}
        return ops.MortgageRelease(
            units=units,
            proof=_certificate(release.mortgage.certificate, path + ".mortgage.certificate", self._wrong),
            mortgagees=self._named(wire.applicants, self._path + ".applicants"),
            ground=ops.ReleaseGround(ground if ground in known else "OTHER"),
            settled_on=_date(release, "ended_on", path, self._wrong, required=False),
        )

    def _unit_codes(self, wire: operations_pb2.Operation) -> tuple[str, ...]:
        """The units of the operation; none named means every unit of the terms."""
        if not wire.unit_codes:
            return tuple(self._units)
        codes = []
        for number, text in enumerate(wire.unit_codes):
            path = f"{self._path}.unit_codes[{number}]"
            with self._wrong.at(path, "UNIT_CODE_MALFORMED"):
                code = normalise_unit_code(text)
                if code not in self._units:
                    self._wrong.add(path, "不在 terms.units 中", "is not among terms.units")
                codes.append(code)
        return tuple(codes)

    def _named(self, ids: Any, path: str) -> tuple[m.Party, ...]:
        if not ids:
            self._wrong.add(path, "必填", "is required")
        found = []
        for number, name in enumerate(ids):
            if name in self._parties:
                found.append(self._parties[name])
            elif not any(v.path.startswith("terms.parties") for v in self._wrong.found):
                self._wrong.add(
                    f"{path}[{number}]", f"terms.parties 中没有 {name}", f"no party {name} in the terms"
                )
        return tuple(found)

    def _portion(self, wire: operations_pb2.LoanPortion, path: str) -> m.LoanPortion:
        kind = _name(codes_pb2.LoanPortionKind, wire.kind, "LOAN_PORTION_KIND_")
        self._required(kind, path + ".kind")
        amount = self._money(wire, "amount", path, required=True)
        return m.LoanPortion(
            kind=m.LoanPortionKind(kind or "COMMERCIAL"),
            creditor=_institution(wire.creditor, path + ".creditor", self._wrong),
            entrusted_bank=(
                _institution(wire.entrusted_bank, path + ".entrusted_bank", self._wrong)
                if wire.HasField("entrusted_bank")
                else None
            ),
            amount_fen=amount[0] if amount else 0,
            term_start=_date(wire, "term_start", path, self._wrong, required=False),
            term_end=_date(wire, "term_end", path, self._wrong, required=False),
        )

    def _money(self, holder: Any, name: str, path: str, *, required: bool) -> tuple[int, str] | None:
        path = f"{path}.{name}"
        if not holder.HasField(name):
            if required:
                self._wrong.add(path, "必填", "is required")
            return None
        money = getattr(holder, name)
        if money.amount_fen <= 0:
            self._wrong.add(path + ".amount_fen", "必须大于零", "must be greater than zero")
        if not re.fullmatch(r"[A-Z]{3}", money.currency):
            self._wrong.add(
                path + ".currency", "必须是 ISO 4217 代码，如 CNY", "must be an ISO 4217 code such as CNY"
            )
        return money.amount_fen, money.currency

    def _required(self, value: str, path: str) -> None:
        if not value:
            self._wrong.add(path, "必填", "is required")


# -- small readers -------------------------------------------------------------------------------------------------


def _certificate(wire: common_pb2.CertificateReference, path: str, wrong: Violations) -> m.CertificateRef:
    scheme = _name(common_pb2.CertificateScheme, wire.scheme, "CERTIFICATE_SCHEME_") or "NATIONAL"
    number = wire.number
    if not number.strip():
        wrong.add(path + ".number", "必填", "is required")
    elif scheme == "NATIONAL":
        with wrong.at(path + ".number", "CERTIFICATE_NUMBER_MALFORMED"):
            number = normalise_certificate_number(number)
    medium = _name(common_pb2.CertificateMedium, wire.medium, "CERTIFICATE_MEDIUM_") or "PAPER"
    return m.CertificateRef(
        number=number,
        scheme=m.CertificateScheme(scheme),
        medium=m.Medium(medium),
        surrendered=wire.surrendered,
        declared_void=wire.declared_void,
    )


def _institution(wire: common_pb2.InstitutionReference, path: str, wrong: Violations) -> m.Party:
    uscc = wire.uscc
    with wrong.at(path + ".uscc", "USCC_MALFORMED"):
        uscc = normalise_uscc(wire.uscc)
    return m.Party(name=wire.name, id_kind=m.IdKind.USCC, id_number=uscc)


def _date(holder: Any, name: str, path: str, wrong: Violations, *, required: bool = True) -> dt.date | None:
    if not holder.HasField(name):
        if required:
            wrong.add(f"{path}.{name}", "必填", "is required")
        return None
    value: Date = getattr(holder, name)
    try:
        return dt.date(value.year, value.month, value.day)
    except ValueError:
        wrong.add(f"{path}.{name}", "不是完整的日期", "is not a full date (year, month, day)")
        return None


def _instant(holder: Any, name: str, path: str, wrong: Violations) -> dt.datetime | None:
    if not holder.HasField(name):
        wrong.add(f"{path}.{name}", "必填", "is required")
        return None
    value: Timestamp = getattr(holder, name)
    try:
        return value.ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        wrong.add(f"{path}.{name}", "不是有效的时间", "is not a valid instant")
        return None


def _name(enum: Any, number: int, prefix: str) -> str:
    """An enum value's name without its prefix; empty for _UNSPECIFIED and for values we do not know."""
    try:
        name: str = enum.Name(number)
    except ValueError:
        return ""
    return "" if number == 0 else name.removeprefix(prefix)


def _limit(count: int, limit: int, path: str, wrong: Violations) -> None:
    if count > limit:
        wrong.add(path, f"最多 {limit} 项", f"may have at most {limit} items")
