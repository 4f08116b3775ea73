"""What operators do: signed acts, each an entry."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
from typing import Any

import pytest
from google.protobuf.message import Message

from gateway.applications.administration import ActInvalid, AlreadyRegistered, VersionConflict
from gateway.cases.errors import EnvelopeExpired, RequestIdReused
from gateway.pb.diya.v1 import admin_acts_pb2, admin_service_pb2, authority_pb2, codes_pb2
from gateway.register.import_layout import COLUMNS
from gateway.register.model import UnitHold
from gateway.rpc.admin import AdminService
from gateway.rpc.authority import encode_profile, encode_rules
from gateway.rpc.errors import Refusal
from gateway.rpc.trust import TrustLocksOut
from gateway.rpc.violations import MalformedRequest
from ledger.checkpoint import open_checkpoint
from ledger.entry import parse_entry
from ledger.hashing import leaf_hash
from ledger.proof import verify_inclusion
from signing.envelope import pae
from signing.errors import CertificateRefused, SignatureInvalid
from signing.pki import DevelopmentPKI
from signing.trust import Purpose
from tests.support.cases import PROFILE
from tests.support.pki import BANK_USCC, FUND_CENTRE_USCC, REGISTRY_USCC, SECOND_BANK_USCC, sample_pki
from tests.support.register_rows import CODE, MORTGAGE, OTHER, OWNERSHIP
from tests.support.spine import (
    OFFICER,
    PARENT,
    REGISTRY,
    FakeContext,
    Spine,
    header,
    signed,
    stream_of,
)

acts = admin_acts_pb2
pb = admin_service_pb2
CONTEXT: Any = FakeContext()


@pytest.fixture
def service(spine: Spine) -> AdminService:
    """The servicer."""
    return AdminService(
        **spine.shared,
        files=spine.files,
        trust_of=spine.trust,
        executor=spine.executor,
        limits=spine.limits,
        keys=lambda **_: None,  # see tests/integration/test_keys.py
    )


def request_of(act: Any, kind: Any, **changes: Any) -> Any:
    """The request that carries an act, its outer fields as signed."""
    fields = {"parent": PARENT, "request_id": act.header.request_id, "envelope": signed(act), **changes}
    return kind(**fields)


def suspend(spine: Spine, uscc: str = BANK_USCC, **changes: Any) -> acts.SuspendInstitutionAct:
    """An act that suspends a bank."""
    return acts.SuspendInstitutionAct(header=header(spine.clock(), **changes), uscc=uscc, reason="协议到期")


async def send(service: AdminService, act: acts.SuspendInstitutionAct, **changes: Any) -> Any:
    """Send a suspension."""
    return await service.SuspendInstitution(request_of(act, pb.SuspendInstitutionRequest, **changes), CONTEXT)


def check_receipt(spine: Spine, receipt: Any, payload_type: str, act: Message) -> None:
    """Check a receipt as a client must, from the bytes that were sent."""
    checkpoint = open_checkpoint(receipt.checkpoint, spine.signer.vkey)
    proof = list(receipt.inclusion_proof)
    verify_inclusion(receipt.index, checkpoint.size, leaf_hash(receipt.entry), proof, checkpoint.root)
    opening = receipt.openings[0]
    message = pae(payload_type, act.SerializeToString())
    digest = hashlib.sha256(opening.salt + message).digest()
    assert dict(parse_entry(receipt.entry).commitments)[opening.name] == digest


# -- who signs, and what ---------------------------------------------------------------------------------------------


async def test_suspension_holds_from_its_commit_on_and_proves_itself(
    spine: Spine, service: AdminService
) -> None:
    """An act is in force with its commit; its receipt verifies from the bytes that were sent."""
    act = suspend(spine)
    answer = await send(service, act)
    assert answer.institution.suspended
    assert answer.institution.suspension_reason == "协议到期"
    assert answer.institution.index == answer.receipt.index == 1
    assert spine.sequencer.settings(REGISTRY).institutions[BANK_USCC].suspended
    kind = "application/vnd.diya.admin.suspend-institution.v1+protobuf"
    check_receipt(spine, answer.receipt, kind, act)
    resume = acts.ResumeInstitutionAct(header=header(spine.clock()), uscc=BANK_USCC, reason="续签")
    resumed = await service.ResumeInstitution(request_of(resume, pb.ResumeInstitutionRequest), CONTEXT)
    assert not resumed.institution.suspended
    assert not spine.sequencer.settings(REGISTRY).institutions[BANK_USCC].suspended


async def test_act_sent_again_gets_the_stored_answer(spine: Spine, service: AdminService) -> None:
    """The same act again, even signed anew and past its time, changes nothing and gets its first receipt."""
    act = suspend(spine)
    first = await send(service, act)
    spine.clock.move(7200)
    second = await send(service, act)
    assert second.receipt.entry == first.receipt.entry
    assert (await spine.queries.head(REGISTRY)).size == 2


async def test_request_id_with_another_act_is_refused(spine: Spine, service: AdminService) -> None:
    """A request id stands for one act."""
    act = suspend(spine)
    await send(service, act)
    act.reason = "另一原因"
    with pytest.raises(RequestIdReused):
        await send(service, act)


async def test_act_past_its_time_is_refused(spine: Spine, service: AdminService) -> None:
    """An act first seen after its not_after is not taken."""
    act = suspend(spine)
    spine.clock.move(7200)
    with pytest.raises(EnvelopeExpired):
        await send(service, act)


async def test_act_signed_by_no_operator_is_refused(spine: Spine, service: AdminService) -> None:
    """An operator's certificate alone is not enough: the key must be registered; other purposes never do."""
    pki = sample_pki()
    stranger = pki.pki.issue_operator("999999199005050051", "另一人")
    act = suspend(spine)
    with pytest.raises(Refusal) as caught:
        await send(service, act, envelope=signed(act, by=stranger))
    assert caught.value.reason == "KEY_NOT_REGISTERED"
    for other in (pki.bank, pki.registrar):
        with pytest.raises(CertificateRefused):
            await send(service, act, envelope=signed(act, by=other))


async def test_act_changed_after_signing_is_refused(spine: Spine, service: AdminService) -> None:
    """What is signed is the bytes that were sent."""
    act = suspend(spine)
    envelope = signed(act)
    envelope.payload = envelope.payload.replace(BANK_USCC.encode(), SECOND_BANK_USCC.encode())
    with pytest.raises(SignatureInvalid):
        await send(service, act, envelope=envelope)


async def test_act_of_another_kind_is_refused(spine: Spine, service: AdminService) -> None:
    """A resumption is not taken for a suspension, though their fields are the same."""
    act = acts.ResumeInstitutionAct(header=header(spine.clock()), uscc=BANK_USCC, reason="x")
    with pytest.raises(Refusal) as caught:
        await service.SuspendInstitution(request_of(act, pb.SuspendInstitutionRequest), CONTEXT)
    assert caught.value.reason == "ENVELOPE_MALFORMED"


@pytest.mark.parametrize(
    ("inner", "outer", "reason"),
    [
        ({"registry": "yunling"}, {}, "HEADER_MISMATCH"),
        ({}, {"request_id": "0197b1c4-0000-7000-8000-000000000001"}, "HEADER_MISMATCH"),
        ({"validate_only": True}, {}, "VALIDATE_ONLY_MISMATCH"),
        ({}, {"parent": "registries/nowhere"}, "REGISTRY_NOT_FOUND"),
    ],
)
async def test_act_whose_header_differs_is_refused(
    spine: Spine, service: AdminService, inner: dict[str, Any], outer: dict[str, Any], reason: str
) -> None:
    """Registry and request id outside are those inside the signed bytes, and nothing is a rehearsal."""
    with pytest.raises(Refusal) as caught:
        await send(service, suspend(spine, **inner), **outer)
    assert caught.value.reason == reason
    assert (await spine.queries.head(REGISTRY)).size == 1


async def test_act_malformed_tells_every_field(spine: Spine, service: AdminService) -> None:
    """Bad fields of the act come all at once."""
    act = acts.SuspendInstitutionAct(header=header(spine.clock()), uscc="x")
    with pytest.raises(MalformedRequest) as caught:
        await send(service, act)
    assert [v.path for v in caught.value.violations] == ["uscc", "reason"]


async def test_suspension_of_a_stranger_is_refused_and_leaves_nothing(
    spine: Spine, service: AdminService
) -> None:
    """An institution that is not registered cannot be suspended; no entry remains of the try."""
    with pytest.raises(ActInvalid):
        await send(service, suspend(spine, uscc=FUND_CENTRE_USCC))
    assert (await spine.queries.head(REGISTRY)).size == 1


# -- institutions, registrars, profile, rules, trust -----------------------------------------------------------------


def institution(uscc: str = FUND_CENTRE_USCC, key_id: str = "ab" * 32) -> authority_pb2.Institution:
    """A fund centre with a connection key."""
    return authority_pb2.Institution(
        uscc=uscc,
        kind=codes_pb2.INSTITUTION_KIND_FUND_CENTRE,
        names=["测试市住房公积金中心"],
        keys=[authority_pb2.RegisteredKey(key_id=key_id, roles=[authority_pb2.KEY_ROLE_TLS])],
    )


async def test_institution_set_is_known_and_listed(spine: Spine, service: AdminService) -> None:
    """A new institution is known from its commit on, and listed by its code, page by page."""
    act = acts.SetInstitutionAct(header=header(spine.clock()), institution=institution())
    answer = await service.SetInstitution(request_of(act, pb.SetInstitutionRequest), CONTEXT)
    assert answer.institution.name == f"{PARENT}/institutions/{FUND_CENTRE_USCC}"
    seen: list[str] = []
    token = ""
    for _ in range(5):
        request = pb.ListInstitutionsRequest(parent=PARENT, page_size=2, page_token=token)
        page = await service.ListInstitutions(request, CONTEXT)
        seen += [i.uscc for i in page.institutions]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted([BANK_USCC, SECOND_BANK_USCC, FUND_CENTRE_USCC])
    one = await service.ListInstitutions(
        pb.ListInstitutionsRequest(parent=PARENT, uscc=FUND_CENTRE_USCC), CONTEXT
    )
    assert [i.uscc for i in one.institutions] == [FUND_CENTRE_USCC]
    assert one.institutions[0] == answer.institution


async def test_registrar_set_is_known_and_listed(spine: Spine, service: AdminService) -> None:
    """A new registrar is known from its commit on."""
    act = acts.SetRegistrarAct(header=header(spine.clock()))
    act.registrar.registrar_id = "deng-2"
    act.registrar.display_name = "登二"
    act.registrar.keys.add(key_id="cd" * 32)
    answer = await service.SetRegistrar(request_of(act, pb.SetRegistrarRequest), CONTEXT)
    page = await service.ListRegistrars(pb.ListRegistrarsRequest(parent=PARENT), CONTEXT)
    assert [r.registrar_id for r in page.registrars] == [OFFICER, "deng-2"]
    assert page.registrars[1] == answer.registrar
    assert not spine.sequencer.settings(REGISTRY).registrars["deng-2"].may_book


async def test_auditors_keys_are_replaced_and_the_operators_stay(spine: Spine, service: AdminService) -> None:
    """Who connects as an auditor is set by an operator's act, all of them at once."""
    before = spine.sequencer.settings(REGISTRY).operators
    for ids in (("cd" * 32, "ef" * 32), ()):
        act = acts.SetAuditorsAct(header=header(spine.clock()))
        for key_id in ids:
            act.keys.add(key_id=key_id, roles=[authority_pb2.KEY_ROLE_TLS])
        answer = await service.SetAuditors(request_of(act, pb.SetAuditorsRequest), CONTEXT)
        got = await service.GetAuditors(pb.GetAuditorsRequest(parent=PARENT), CONTEXT)
        assert (list(got.keys), got.index) == (list(answer.keys), answer.receipt.index)
        stands = spine.sequencer.settings(REGISTRY).operators
        assert before is not None
        assert stands is not None
        assert stands.auditor_tls_key_ids == tuple(k.key_id for k in got.keys) == ids
        assert (stands.key_ids, stands.tls_key_ids) == (before.key_ids, before.tls_key_ids)


@pytest.mark.parametrize("whose", ["institution", "registrar", "operator"])
async def test_key_of_somebody_else_makes_no_auditor(spine: Spine, service: AdminService, whose: str) -> None:
    """A key has one owner: it would take their own rights from them, or give them the auditor's."""
    settings = spine.sequencer.settings(REGISTRY)
    assert settings.operators is not None
    key_id = {
        "institution": settings.institutions[BANK_USCC].keys[0].key_id,
        "registrar": settings.registrars[OFFICER].key_ids[0],
        "operator": settings.operators.key_ids[0],
    }[whose]
    act = acts.SetAuditorsAct(header=header(spine.clock()))
    act.keys.add(key_id=key_id, roles=[authority_pb2.KEY_ROLE_TLS])
    with pytest.raises(ActInvalid):
        await service.SetAuditors(request_of(act, pb.SetAuditorsRequest), CONTEXT)


async def test_auditors_key_signs_nothing(spine: Spine, service: AdminService) -> None:
    """Its role is TLS, and no other."""
    act = acts.SetAuditorsAct(header=header(spine.clock()))
    act.keys.add(key_id="cd" * 32, roles=[authority_pb2.KEY_ROLE_SUBMIT])
    with pytest.raises(MalformedRequest) as caught:
        await service.SetAuditors(request_of(act, pb.SetAuditorsRequest), CONTEXT)
    assert [v.path for v in caught.value.violations] == ["keys[0].roles"]


async def test_profile_goes_up_by_one_version(spine: Spine, service: AdminService) -> None:
    """The next version comes into force; the same version again, by another act, does not."""
    act = acts.SetProfileAct(header=header(spine.clock()), profile=encode_profile(PROFILE))
    act.profile.version = 2
    act.profile.source, act.profile.authority_code = "规范（2026）", REGISTRY_USCC
    answer = await service.SetProfile(request_of(act, pb.SetProfileRequest), CONTEXT)
    got = await service.GetProfile(pb.GetProfileRequest(parent=PARENT), CONTEXT)
    assert (got.profile, got.index) == (answer.profile, answer.receipt.index)
    assert got.rule_set.version == 3
    act.header.CopyFrom(header(spine.clock()))
    with pytest.raises(VersionConflict):
        await service.SetProfile(request_of(act, pb.SetProfileRequest), CONTEXT)


async def test_profile_that_a_decision_was_made_under_is_still_told(
    spine: Spine, service: AdminService
) -> None:
    """By its version, or as of an instant; with the rule set that was in force with it (decisions keep both)."""
    first = await service.GetProfile(pb.GetProfileRequest(parent=PARENT), CONTEXT)
    between = spine.clock() + dt.timedelta(seconds=1)
    spine.clock.move(2)
    act = acts.SetProfileAct(header=header(spine.clock()), profile=encode_profile(PROFILE))
    act.profile.version, act.profile.source = 2, "规范（2026）"
    act.profile.authority_code = REGISTRY_USCC
    await service.SetProfile(request_of(act, pb.SetProfileRequest), CONTEXT)
    rules = spine.sequencer.settings(REGISTRY).rules
    assert rules is not None
    later = acts.SetRuleSetAct(header=header(spine.clock()), rule_set=encode_rules(rules))
    later.rule_set.version, later.rule_set.officer = 4, OFFICER
    await service.SetRuleSet(request_of(later, pb.SetRuleSetRequest), CONTEXT)

    async def told(**which: Any) -> Any:
        return await service.GetProfile(pb.GetProfileRequest(parent=PARENT, **which), CONTEXT)

    now = await told()
    assert (now.profile.version, now.rule_set.version) == (2, 4)
    for old in (await told(version=1), await told(as_of=between)):
        assert (old.profile, old.rule_set, old.index) == (first.profile, first.rule_set, first.index)
        assert old.in_force_from == first.in_force_from
    assert (await told(version=2)).rule_set.version == 3
    assert (await told(as_of=spine.clock())).rule_set.version == 4
    before = first.in_force_from.ToDatetime(dt.UTC) - dt.timedelta(days=1)
    for which in ({"version": 9}, {"as_of": before}, {"version": 1, "as_of": between}):
        with pytest.raises(MalformedRequest) as refused:
            await told(**which)
        assert [v.path for v in refused.value.violations] == [[*which][-1]]


async def test_rules_disabled_stop_every_decision_by_rule(spine: Spine, service: AdminService) -> None:
    """A disabled rule set leaves nothing for a rule to decide."""
    rules = spine.sequencer.settings(REGISTRY).rules
    assert rules is not None
    act = acts.SetRuleSetAct(header=header(spine.clock()), rule_set=encode_rules(rules))
    act.rule_set.version, act.rule_set.officer, act.rule_set.disabled = 4, OFFICER, True
    answer = await service.SetRuleSet(request_of(act, pb.SetRuleSetRequest), CONTEXT)
    assert answer.rule_set.decides
    stands = spine.sequencer.settings(REGISTRY).rules
    assert stands is not None
    assert stands.decides == ()


async def test_trust_of_one_purpose_leaves_the_others(spine: Spine, service: AdminService) -> None:
    """Anchors are replaced per purpose; what was set for the others stands, their lists too."""
    before = spine.sequencer.settings(REGISTRY).trust
    assert before is not None
    anchor = DevelopmentPKI.create(spine.clock()).anchors[Purpose.PERSON].der
    act = acts.SetTrustAct(header=header(spine.clock()))
    act.trust.add(purpose=authority_pb2.TRUST_PURPOSE_PERSON, anchors=[anchor])
    answer = await service.SetTrust(request_of(act, pb.SetTrustRequest), CONTEXT)
    after = spine.sequencer.settings(REGISTRY).trust
    assert after is not None
    assert after.now.anchors == {**before.now.anchors, "PERSON": (anchor,)}
    assert set(after.now.crls) < set(before.now.crls)
    assert len(answer.trust) == len(after.now.anchors)


async def test_revocation_list_older_than_the_one_in_force_changes_nothing(
    spine: Spine, service: AdminService
) -> None:
    """A revocation is not undone by sending yesterday's list again."""
    pki = sample_pki()
    anchors = list(pki.trust.anchors[Purpose.INSTITUTION])
    newer = pki.pki.make_crls([pki.bank], now=spine.clock())
    before = spine.sequencer.settings(REGISTRY).trust
    assert before is not None
    for lists in (newer, before.now.crls):
        act = acts.SetTrustAct(header=header(spine.clock()))
        act.trust.add(purpose=authority_pb2.TRUST_PURPOSE_INSTITUTION, anchors=anchors, crls=lists)
        await service.SetTrust(request_of(act, pb.SetTrustRequest), CONTEXT)
    after = spine.sequencer.settings(REGISTRY).trust
    assert after is not None
    assert set(after.now.crls) == set(newer)


async def test_trust_that_locks_its_own_signer_out_is_refused(spine: Spine, service: AdminService) -> None:
    """No act makes trust under which it would not itself have been taken: nobody could mend it."""
    anchor = DevelopmentPKI.create(spine.clock()).anchors[Purpose.OPERATOR].der
    act = acts.SetTrustAct(header=header(spine.clock()))
    act.trust.add(purpose=authority_pb2.TRUST_PURPOSE_OPERATOR, anchors=[anchor])
    with pytest.raises(TrustLocksOut):
        await service.SetTrust(request_of(act, pb.SetTrustRequest), CONTEXT)
    assert (await spine.queries.head(REGISTRY)).size == 1


# -- import ----------------------------------------------------------------------------------------------------------


def register_file(*rows: dict[str, str]) -> bytes:
    """A register file of these rows."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


async def import_file(
    service: AdminService,
    now: dt.datetime,
    data: bytes,
    *,
    sent: bytes | None = None,
    quarantine: bool = False,
) -> Any:
    """Import `data` (sending `sent` instead, if given)."""
    act = acts.ImportRegisterAct(
        header=header(now),
        sha256=hashlib.sha256(data).digest(),
        size_bytes=len(data),
        quarantine=quarantine,
        source="测试",
    )
    metadata = request_of(act, pb.ImportRegisterMetadata)
    body = data if sent is None else sent
    messages = [pb.ImportRegisterRequest(metadata=metadata)]
    messages += [pb.ImportRegisterRequest(chunk=body[at : at + 300]) for at in range(0, len(body), 300)]
    return await service.ImportRegister(stream_of(messages), CONTEXT)


def stored(spine: Spine) -> list[str]:
    """Every file in the store, complete or not."""
    return [p.name for p in (spine.folder / "files").rglob("*") if p.is_file()]


async def test_import_enters_units_and_rights_in_one_entry(spine: Spine, service: AdminService) -> None:
    """A good file is one entry; its bytes are kept under the digest that the act names."""
    data = register_file(OWNERSHIP, MORTGAGE, OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L8"})
    answer = await import_file(service, spine.clock(), data)
    assert (answer.applied, answer.rows, answer.units, answer.rights) == (True, 3, 2, 3)
    assert (answer.receipt.index, answer.problem_total) == (1, 0)
    view = await spine.queries.unit(REGISTRY, CODE)
    assert view is not None
    assert [r.case_number for r in view.state.rights] == ["L1", "L2"]
    assert stored(spine) == [hashlib.sha256(data).hexdigest()]


async def test_import_with_a_bad_row_keeps_nothing_and_tells_every_row(
    spine: Spine, service: AdminService
) -> None:
    """One bad row stops the whole import: all problems are told, no entry, no unit and no file remain."""
    bad = MORTGAGE | {"DYQSW": "", "ZWLXQSSJ": "yesterday"}
    answer = await import_file(service, spine.clock(), register_file(OWNERSHIP, bad))
    assert not answer.applied
    assert not answer.HasField("receipt")
    assert {(p.line, p.field, p.code) for p in answer.problems} == {
        (3, "DYQSW", "FIELD_REQUIRED"),
        (3, "ZWLXQSSJ", "FIELD_INVALID"),
    }
    assert answer.problem_total == 2
    assert await spine.queries.unit(REGISTRY, CODE) is None
    assert (await spine.queries.head(REGISTRY)).size == 1
    assert stored(spine) == []


async def test_import_with_quarantine_holds_the_units_of_bad_rows(
    spine: Spine, service: AdminService
) -> None:
    """With quarantine bad rows stay out and their units are on hold; the rest enters."""
    data = register_file(OWNERSHIP, MORTGAGE | {"DYQSW": ""})
    answer = await import_file(service, spine.clock(), data, quarantine=True)
    assert (answer.applied, answer.quarantined_rows, answer.units_on_hold) == (True, 1, 1)
    view = await spine.queries.unit(REGISTRY, CODE)
    assert view is not None
    assert view.state.unit.holds == (UnitHold.QUARANTINED,)


async def test_import_of_a_bad_row_holds_a_unit_that_was_there_before(
    spine: Spine, service: AdminService
) -> None:
    """A quarantined row about a unit of the register puts that unit on hold too."""
    await import_file(service, spine.clock(), register_file(OWNERSHIP))
    data = register_file(MORTGAGE | {"DYQSW": ""})
    answer = await import_file(service, spine.clock(), data, quarantine=True)
    assert (answer.applied, answer.units_on_hold) == (True, 1)
    view = await spine.queries.unit(REGISTRY, CODE)
    assert view is not None
    assert view.state.unit.holds == (UnitHold.QUARANTINED,)
    assert [r.case_number for r in view.state.rights] == ["L1"]


async def test_import_may_add_rights_to_units_that_are_there(spine: Spine, service: AdminService) -> None:
    """Rights of a second file may lie on units of a first; the same right twice may not."""
    await import_file(service, spine.clock(), register_file(OWNERSHIP))
    assert (await import_file(service, spine.clock(), register_file(MORTGAGE))).applied
    with pytest.raises(AlreadyRegistered):
        await import_file(service, spine.clock(), register_file(MORTGAGE))


async def test_import_of_a_unit_that_is_there_keeps_nothing(spine: Spine, service: AdminService) -> None:
    """An import overwrites nothing: a unit that is there refuses all of it, and the file goes."""
    first = register_file(OWNERSHIP)
    await import_file(service, spine.clock(), first)
    with pytest.raises(AlreadyRegistered):
        await import_file(
            service, spine.clock(), register_file(OWNERSHIP, OWNERSHIP | {"BDCDYH": OTHER, "YWH": "L8"})
        )
    assert await spine.queries.unit(REGISTRY, OTHER) is None
    assert stored(spine) == [hashlib.sha256(first).hexdigest()]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"x" * 10, "FILE_SIZE_MISMATCH"), (None, "FILE_DIGEST_MISMATCH")],
)
async def test_import_of_other_bytes_than_signed_keeps_nothing(
    spine: Spine, service: AdminService, sent: bytes | None, reason: str
) -> None:
    """The operator signed a digest: other bytes are not imported."""
    data = register_file(OWNERSHIP)
    with pytest.raises(Refusal) as caught:
        await import_file(
            service, spine.clock(), data, sent=sent or data.replace("沈知夏".encode(), "沈知秋".encode())
        )
    assert caught.value.reason == reason
    assert stored(spine) == []


async def test_import_that_is_no_text_is_refused(spine: Spine, service: AdminService) -> None:
    """A file in another encoding is told so; nothing is guessed."""
    with pytest.raises(MalformedRequest):
        await import_file(service, spine.clock(), "不动产".encode("gbk"))
    assert stored(spine) == []


async def test_import_unsigned_is_refused_before_any_byte(spine: Spine, service: AdminService) -> None:
    """Who may not import is told at once; the chunks are not read."""
    act = acts.ImportRegisterAct(header=header(spine.clock()), sha256=bytes(32), size_bytes=1)
    metadata = request_of(act, pb.ImportRegisterMetadata, envelope=signed(act, by=sample_pki().bank))
    read: list[int] = []

    async def messages() -> Any:
        yield pb.ImportRegisterRequest(metadata=metadata)
        read.append(1)
        yield pb.ImportRegisterRequest(chunk=b"x")

    with pytest.raises(CertificateRefused):
        await service.ImportRegister(messages(), CONTEXT)
    assert read == []
