"""Every field of what an institution signs is read, or its comment says that it is kept as evidence.

The descriptors are walked: in lawful samples each field is set or changed, one at a time, and what the decoder makes of
the whole must differ then, be it a value or a violation. A new field that nobody reads fails here, and so does one that
no sample reaches.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from msgspec.structs import replace

from gateway.cases.model import Kind
from gateway.client import manifest as build
from gateway.client import operations
from gateway.pb.diya.v1 import acts_pb2, codes_pb2, common_pb2, envelope_pb2, operations_pb2, terms_pb2
from gateway.rpc.acts import PAYLOAD_TYPES, filed_from, signed_act
from gateway.rpc.decode import decode_act, decode_manifest, decode_terms
from gateway.rpc.party import PARTY_ACTS
from gateway.rpc.registration import REGISTRATION_ACTS
from gateway.rpc.sections import section_references
from gateway.rpc.submission import MANIFEST_TYPE
from gateway.rpc.violations import MalformedRequest
from signing.envelope import pae
from tests.support import cases as c
from tests.support import deals as d
from tests.support import later
from tests.unit.rpc.test_decode import mortgage_content, steps, wire_terms
from tests.unit.test_contract import load_generator, walk

#: How a comment says that a field decides nothing.
EVIDENCE: Final = "Kept as evidence"

DAY: Final = build.day(dt.date(2026, 11, 2))
USCC: Final = d.A.id_number

#: The number of a natural person who is no party.
SOMEBODY: Final = "999999198505050017"

#: What a message that is not there is set to, by its name.
MESSAGES: Final[dict[str, Callable[[], Message]]] = {
    "google.type.Date": lambda: DAY,
    "google.protobuf.Timestamp": lambda: build.instant(c.NOW),
    "diya.v1.Money": lambda: build.money(7),
    "diya.v1.Fraction": lambda: common_pb2.Fraction(numerator=1, denominator=3),
    "diya.v1.CertificateReference": lambda: build.certificate(c.PROOF),
    "diya.v1.RightReference": lambda: common_pb2.RightReference(certificate=build.certificate(c.PROOF)),
    "diya.v1.Person": lambda: build.person("x", "监护人", SOMEBODY).person,
    "diya.v1.InstitutionReference": lambda: common_pb2.InstitutionReference(uscc=USCC, name="某行"),
    "diya.v1.LoanPortion": lambda: operations.loan_portion(USCC, "某行", 80, entrusted_bank_uscc=USCC),
}

#: Everything that an institution signs about a case, with its reader.
ACTS: Final = {**PARTY_ACTS, **REGISTRATION_ACTS}


# -- samples -------------------------------------------------------------------------------------------------------


def everything(*more: operations_pb2.Operation) -> terms_pb2.Terms:
    """Terms of a combined case that say whatever terms can say; `more` operations beside its own."""
    value = wire_terms([*steps(), *more])
    value.powers_of_attorney.add(
        principal="seller",
        agent=build.person("x", "代理人", SOMEBODY).person,
        acts=[codes_pb2.OPERATION_KIND_OWNERSHIP_TRANSFER],
        unit_codes=[c.UNIT],
        form=common_pb2.POWER_OF_ATTORNEY_FORM_NOTARISED,
        notary="示例公证处",
        deed_number="1",
    )
    value.declarations.add(party="seller", kind=terms_pb2.DECLARATION_KIND_MORTGAGEE_TOLD)
    return value


def more_operations() -> Iterator[operations_pb2.Operation]:
    """One of each operation that the combined case does not have."""
    right = common_pb2.RightReference(certificate=build.certificate(c.PROOF), unit_codes=[c.UNIT])
    content = mortgage_content(portions=[operations.loan_portion(USCC, "某行", d.CLAIM_FEN)])
    most = operations_pb2.MortgageContent()
    most.CopyFrom(content)
    most.ClearField("claim_amount")
    most.ClearField("loan_portions")
    most.kind = codes_pb2.MORTGAGE_KIND_MAXIMUM_AMOUNT
    most.max_claim_amount.CopyFrom(build.money(d.CLAIM_FEN))
    scope = operations_pb2.ConstructionScope(location="一期", scope="1至3层", permit_number="建字1号")
    built = operations_pb2.MortgageContent()
    built.CopyFrom(content)
    built.collateral_kind = codes_pb2.COLLATERAL_KIND_LAND_AND_CONSTRUCTION
    change = operations_pb2.MortgageChange(
        mortgage=right, items=[operations_pb2.MORTGAGE_CHANGE_ITEM_TERM], content=content
    )
    changed = operations_pb2.MortgageChange()
    changed.CopyFrom(change)
    changed.content.CopyFrom(built)
    transfer = operations_pb2.MortgageTransfer(
        mortgage=right,
        assignors=["old-bank"],
        assignees=["new-bank"],
        ground=operations_pb2.MORTGAGE_TRANSFER_GROUND_CLAIM_ASSIGNMENT,
    )
    release = operations_pb2.MortgageRelease(
        mortgage=right, ground=operations_pb2.RELEASE_GROUND_WAIVED, mortgagees=["old-bank"]
    )
    sale = steps()[0].ownership_transfer
    kinds: tuple[dict[str, Any], ...] = (
        {"mortgage_first": operations_pb2.MortgageFirst(content=content)},
        {"mortgage_first": operations_pb2.MortgageFirst(content=most)},
        {"mortgage_change": change},
        {"mortgage_transfer": transfer},
        {"mortgage_release": release},
        {
            "claim_fixing": operations_pb2.ClaimFixing(
                mortgage=right,
                fixing_fact="期间届满",
                fixed_on=DAY,
                fixed_amount=build.money(5),
                mortgagors=["buyer"],
                mortgagees=["new-bank"],
            )
        },
        {
            "construction_mortgage_first": operations_pb2.ConstructionMortgageFirst(
                content=built, construction=scope
            )
        },
        {
            "construction_mortgage_change": operations_pb2.ConstructionMortgageChange(
                change=changed, construction=scope
            )
        },
        {"construction_mortgage_transfer": operations_pb2.ConstructionMortgageTransfer(transfer=transfer)},
        {"construction_mortgage_release": operations_pb2.ConstructionMortgageRelease(release=release)},
        {"pre_notice_convert": operations_pb2.PreNoticeConvert(pre_notice=right, ownership_transfer=sale)},
        {
            "pre_notice_convert": operations_pb2.PreNoticeConvert(
                pre_notice=right, mortgage_first=operations_pb2.MortgageFirst(content=content)
            )
        },
        {
            "pre_notice_release": operations_pb2.PreNoticeRelease(
                pre_notice=right, ground=operations_pb2.RELEASE_GROUND_WAIVED, holders=["new-bank"]
            )
        },
        {
            "correction": operations_pb2.Correction(
                right=right,
                items=[operations_pb2.CorrectionItem(field="ZWLXJSSJ", recorded="1", corrected="2")],
            )
        },
        {"reissue": operations_pb2.Reissue(right=right, ground=operations_pb2.REISSUE_GROUND_LOST)},
    )
    shared = operations.ownership_transfer(
        sellers=["seller"],
        buyers=["buyer", "seller"],
        titles=[c.TITLE],
        price_fen=1,
        co_ownership=codes_pb2.CO_OWNERSHIP_BY_SHARES,
        shares=[common_pb2.Fraction(numerator=n, denominator=3) for n in (1, 2)],
    )
    yield shared
    for kind in kinds:
        yield operations_pb2.Operation(reason="原因", applicants=["buyer", "new-bank"], **kind)
    yield operations.pre_notice_of_sale(buyers=["buyer"], sellers=["seller"], price_fen=9)
    yield operations.pre_notice_of_mortgage(content)


def manifest() -> envelope_pb2.Manifest:
    """A manifest that says whatever a manifest can say."""
    header = build.header(
        c.REGISTRY,
        request_id="018f0000-0000-7000-8000-000000000001",
        created_at=c.NOW,
        channel_institution=d.B.id_number,
        clerk=build.clerk("经办", "1"),
    )
    full = everything()
    return build.manifest(
        codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER,
        header,
        build.terms_bytes(full),
        files=[build.file_reference("TITLE", bytes(32), 9)],
        sections=[envelope_pb2.SectionReference(name="loan", sha256=bytes(32))],
        evidence=terms_pb2.Evidence(
            tax_clearances=full.tax_clearances,
            identity_checks=full.identity_checks,
            risk_notices=full.risk_notices,
        ),
        contacts=[envelope_pb2.Contact(name="联系人")],
    )


def act(kind: type[Any]) -> Any:
    """A later act with all that its message has."""
    value = kind(header=manifest().header)
    value.target.application = f"registries/{c.REGISTRY}/applications/{c.moment().application_id}"
    value.target.manifest_digest = bytes(32)
    fields = kind.DESCRIPTOR.fields_by_name
    if "parties" in fields:
        value.parties.append("old-bank")
    if "reason" in fields:
        value.reason = "原因"
    if "consent_digest" in fields:
        value.consent_digest = bytes(32)
    if kind is acts_pb2.ConsentAct:
        value.kind = acts_pb2.CONSENT_KIND_PAYOFF_CONFIRMED
        value.amount.CopyFrom(build.money(5))
        value.happened_on.CopyFrom(DAY)
    if "files" in fields:
        value.files.append(build.file_reference("TITLE", bytes(32), 9))
    if "sections" in fields:
        value.sections.add(name="loan", sha256=bytes(32))
    if "evidence" in fields:
        value.evidence.CopyFrom(manifest().evidence)
    return value


# -- what the decoder makes of them --------------------------------------------------------------------------------


def judged(read: Callable[[Any], Any], value: Any) -> object:
    """What was read, or everything that was wrong with it."""
    try:
        return repr(read(value))
    except MalformedRequest as refused:
        return frozenset((v.path, v.en) for v in refused.violations)


def read_manifest(value: Any) -> Any:
    """A manifest from its bytes."""
    return decode_manifest(value.SerializeToString(), Kind.ENCUMBERED_TRANSFER)


def read_terms(value: Any) -> Any:
    """Terms from their bytes."""
    return decode_terms(value.SerializeToString(), Kind.ENCUMBERED_TRANSFER)


def reader_of(kind: type[Any]) -> Callable[[Any], Any]:
    """What the service makes of an act on the case of `manifest`."""
    row = later.filed(later.world(), later.portfolio())
    payload = manifest().SerializeToString()
    filed = filed_from(replace(row, kind=Kind.ENCUMBERED_TRANSFER), pae(MANIFEST_TYPE, payload))
    verified: Any = SimpleNamespace(digest=bytes(32), signers=())
    none: Any = None

    def read(value: Any) -> Any:
        header, files = decode_act(value)
        signed = signed_act(value, header, files, none, verified, (), {}, c.NOW)
        filed.check_files(files)
        sections = section_references(getattr(value, "sections", ()))
        return header, ACTS[kind][0](signed, filed), sections

    return read


# -- the walk ------------------------------------------------------------------------------------------------------


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a list."""
    return bool(field.is_repeated)


def changed(holder: Message, field: FieldDescriptor) -> Iterator[None]:
    """Make a scalar, or a list of scalars, say something else: once for each value worth trying."""
    value = getattr(holder, field.name)
    if is_repeated(field):
        other = {field.TYPE_STRING: "x", field.TYPE_BYTES: b"x"}.get(field.type, 2)
        value.append(other)
        yield
    elif field.type == field.TYPE_ENUM:
        for known in field.enum_type.values:
            setattr(holder, field.name, known.number)
            yield
    elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        setattr(holder, field.name, f"{value}x" if field.type == field.TYPE_STRING else bytes(31) + b"x")
        yield
    elif field.type == field.TYPE_BOOL:
        setattr(holder, field.name, not value)
        yield
    else:
        for other in (value + 1, value + 2):
            setattr(holder, field.name, other)
            yield


def reads(root: Any, read: Callable[[Any], Any]) -> dict[str, bool]:
    """Of every field that the sample reaches, whether changing it changed what was read."""
    before = judged(read, root)
    found: dict[str, bool] = {}

    def visit(holder: Any, *, compare: object) -> None:
        for field in holder.DESCRIPTOR.fields:
            name = f"{holder.DESCRIPTOR.full_name}.{field.name}"
            kept = type(holder)()
            kept.CopyFrom(holder)
            if field.message_type is None:
                for _ in changed(holder, field):
                    found[name] = found.get(name, False) or judged(read, root) != compare
            elif field.message_type.full_name not in MESSAGES:
                for one in _messages(holder, field):
                    visit(one, compare=compare)
                found[name] = found.get(name, False) or bool(_messages(holder, field))
                continue
            else:
                there = _messages(holder, field)
                for one in there:
                    visit(one, compare=compare)
                if there and not is_repeated(field):
                    holder.ClearField(field.name)
                else:
                    set_to = MESSAGES[field.message_type.full_name]()
                    if is_repeated(field):
                        getattr(holder, field.name).append(set_to)
                    else:
                        getattr(holder, field.name).CopyFrom(set_to)
                    now = judged(read, root)
                    if (
                        field.message_type is not holder.DESCRIPTOR
                    ):  # a guardian's guardian is one more person
                        for one in _messages(holder, field):
                            visit(one, compare=now)
            found[name] = found.get(name, False) or judged(read, root) != compare
            holder.CopyFrom(kept)

    visit(root, compare=before)
    return found


def _messages(holder: Any, field: FieldDescriptor) -> list[Any]:
    if is_repeated(field):
        return list(getattr(holder, field.name))
    return [getattr(holder, field.name)] if holder.HasField(field.name) else []


def reachable(root: Descriptor) -> dict[str, FieldDescriptor]:
    """Every field of a message and of the messages of ours that it holds."""
    found: dict[str, FieldDescriptor] = {}

    def visit(message: Descriptor) -> None:
        for field in message.fields:
            name = f"{message.full_name}.{field.name}"
            if name in found or not message.full_name.startswith("diya."):
                continue
            found[name] = field
            if field.message_type is not None:
                visit(field.message_type)

    visit(root)
    return found


@pytest.fixture(scope="module")
def read_fields() -> dict[str, bool]:
    """Of every field that a sample reaches, whether it is read."""
    found: dict[str, bool] = {}
    samples: list[tuple[Any, Callable[[Any], Any]]] = [
        (manifest(), read_manifest),
        (everything(), read_terms),
    ]
    samples += [(everything(more), read_terms) for more in more_operations()]
    samples += [(act(kind), reader_of(kind)) for kind in ACTS]
    for value, read in samples:
        assert isinstance(judged(read, value), str), judged(read, value)
        for name, is_read in reads(value, read).items():
            found[name] = found.get(name, False) or is_read
    return found


@pytest.fixture(scope="module")
def evidence_fields(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Fields whose comments say that they are kept as evidence."""
    image = tmp_path_factory.mktemp("contract") / "image.binpb"
    load_generator().write_image(image)
    compiled = FileDescriptorSet.FromString(image.read_bytes())
    return {
        f"diya.v1{one.name}"
        for file in compiled.file
        if file.package == "diya.v1"
        for one in walk(file)
        if one.kind == "field" and EVIDENCE in " ".join(one.comment.split())
    }


SIGNED: Final = (envelope_pb2.Manifest, terms_pb2.Terms, *ACTS)


def test_every_act_of_an_institution_is_walked() -> None:
    """An act with a payload type of its own has a reader, and so a sample here."""
    assert set(ACTS) == set(PAYLOAD_TYPES)


@pytest.mark.parametrize("root", SIGNED, ids=lambda kind: kind.DESCRIPTOR.name)
def test_every_field_is_read_or_said_to_be_evidence(
    root: Any, read_fields: dict[str, bool], evidence_fields: set[str]
) -> None:
    """What is signed has its effect, or its comment says that it has none."""
    undecided = {
        name
        for name in reachable(root.DESCRIPTOR)
        if not read_fields.get(name, False) and name not in evidence_fields
    }
    assert undecided == set()
