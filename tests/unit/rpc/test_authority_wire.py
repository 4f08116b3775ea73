"""Institutions, registrars, profiles and rule sets between the wire and the domain."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from gateway.kinds.rules import RULES
from gateway.pb.diya.v1 import authority_pb2, codes_pb2
from gateway.register.calendar import OfficeHours
from gateway.rpc.authority import (
    encode_institution,
    encode_profile,
    encode_registrar,
    encode_rule_catalogue,
    encode_rules,
    read_institution,
    read_profile,
    read_registrar,
    read_rules,
)
from gateway.rpc.violations import Violations
from tests.support.pki import BANK_USCC, FUND_CENTRE_USCC, REGISTRY_USCC

PUBLIC_KEY = b"subject public key info"
KEY_ID = hashlib.sha256(PUBLIC_KEY).hexdigest()


def wire_institution(**changes: Any) -> authority_pb2.Institution:
    """An institution with every field that an operator sets."""
    wire = authority_pb2.Institution(
        name=f"registries/jiangyin/institutions/{BANK_USCC}",
        uscc=BANK_USCC,
        kind=codes_pb2.INSTITUTION_KIND_BANK,
        names=["澄江测试银行", "旧名银行"],
        uscc_aliases=[REGISTRY_USCC],
        agreement_number="2026-17",
        permitted_modes=[codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED],
        files_for=[FUND_CENTRE_USCC],
        head_office=FUND_CENTRE_USCC,
        keys=[
            authority_pb2.RegisteredKey(
                key_id=KEY_ID,
                roles=[authority_pb2.KEY_ROLE_SUBMIT, authority_pb2.KEY_ROLE_RELEASE],
                public_key=PUBLIC_KEY,
                note="loan system",
                outlet="城东支行",
            )
        ],
        codes=[authority_pb2.InstitutionCode(kind="CNAPS", code="313302000001")],
    )
    wire.keys[0].not_before.FromJsonString("2026-01-01T00:00:00Z")
    for name, value in changes.items():
        wire.ClearField(name)
        field = getattr(wire, name)
        field.extend(value) if hasattr(field, "extend") else setattr(wire, name, value)
    return wire


def wire_profile() -> authority_pb2.Profile:
    """A profile in which every field differs from its default."""
    wire = authority_pb2.Profile(
        source="测试市不动产登记规范（2026-01-01）",
        authority_name="测试市不动产登记中心",
        authority_code=REGISTRY_USCC,
        places=[authority_pb2.Place(county_code="999901", province="测", name="测试市")],
        instant_operations=[codes_pb2.OPERATION_KIND_MORTGAGE_FIRST],
        modes=[codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED],
        promises=[
            authority_pb2.ServicePromise(
                operation=codes_pb2.OPERATION_KIND_MORTGAGE_RELEASE, working_hours=4
            ),
            authority_pb2.ServicePromise(mode=codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED, working_days=3),
        ],
        party_reminder_days=[5, 2],
        office_hours=authority_pb2.OfficeHours(opens_minute=510, closes_minute=1050),
    )
    for number, field in enumerate(wire.DESCRIPTOR.fields, start=2):
        if field.is_repeated or field.type in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        if field.type == field.TYPE_ENUM:
            setattr(wire, field.name, authority_pb2.STANCE_BLOCK)
        else:
            setattr(wire, field.name, True if field.type == field.TYPE_BOOL else number)
    return wire


def test_institution_sent_comes_back_without_loss() -> None:
    """Nothing that an operator sends about an institution is lost on its way into the ledger and back."""
    wrong = Violations()
    wire = wire_institution()
    kept = msgspec.json.encode(read_institution(wire, wrong))
    assert not wrong.found
    institution = msgspec.json.decode(kept, type=type(read_institution(wire, wrong)))
    assert encode_institution(institution, "jiangyin") == wire


def test_institution_output_only_fields_are_ignored() -> None:
    """Whether an institution is suspended is set by its own act, never by SetInstitution."""
    wrong = Violations()
    read = read_institution(wire_institution(suspended=True, suspension_reason="x", index=9), wrong)
    assert (read.suspended, read.suspension_reason, read.index) == (False, "", 0)


def test_institution_malformed_tells_every_violation() -> None:
    """All violations come at once, each with its path and reason."""
    wrong = Violations()
    wire = wire_institution(uscc="91999999MA00BANK10", names=[], kind=0, files_for=["x"])
    wire.keys[0].roles.append(authority_pb2.KEY_ROLE_TLS)
    wire.keys.append(wire.keys[0])
    wire.keys.add(key_id="short", public_key=b"other")
    read_institution(wire, wrong)
    assert {(v.path, v.reason) for v in wrong.found} == {
        ("institution.uscc", "USCC_MALFORMED"),
        ("institution.names", "FIELD_INVALID"),
        ("institution.kind", "FIELD_INVALID"),
        ("institution.files_for[0]", "USCC_MALFORMED"),
        ("institution.keys[0].roles", "FIELD_INVALID"),
        ("institution.keys[1].roles", "FIELD_INVALID"),
        ("institution.keys[1].key_id", "FIELD_INVALID"),
        ("institution.keys[2].key_id", "FIELD_INVALID"),
        ("institution.keys[2].roles", "FIELD_INVALID"),
        ("institution.keys[2].public_key", "FIELD_INVALID"),
    }


def test_profile_sent_comes_back_without_loss() -> None:
    """Every setting of a profile survives the way into the ledger and back."""
    wrong = Violations()
    wire = wire_profile()
    profile = read_profile(wire, wrong)
    assert not wrong.found
    kept = msgspec.json.decode(msgspec.json.encode(profile), type=type(profile))
    assert encode_profile(kept) == wire


def test_profile_zero_stands_for_the_named_default() -> None:
    """A zero on the wire is the default that the contract names, and an unstated stance refers."""
    wire = wire_profile()
    for name in ("awaiting_parties_days", "tax_days", "validate_only_per_day", "minors"):
        wire.ClearField(name)
    profile = read_profile(wire, Violations())
    assert (profile.awaiting_parties_days, profile.tax_days) == (10, 30)
    assert (profile.validate_only_per_day, profile.minors) == (1000, "REFER")


def test_profile_without_reminders_or_office_hours_has_the_defaults() -> None:
    """Empty is the default that the contract names, a single 0 is never."""
    wire = wire_profile()
    wire.ClearField("party_reminder_days")
    wire.ClearField("office_hours")
    profile = read_profile(wire, Violations())
    assert (profile.party_reminder_days, profile.office) == ((3, 1), OfficeHours(opens=540, closes=1020))
    wire.party_reminder_days.append(0)
    never = read_profile(wire, Violations())
    assert never.party_reminder_days == ()
    assert list(encode_profile(never).party_reminder_days) == [0]


def test_profile_with_impossible_hours_or_reminders_is_refused() -> None:
    """An office that closes before it opens; a reminder after the end."""
    wire = wire_profile()
    wire.office_hours.closes_minute = 300
    wire.party_reminder_days.append(-1)
    wrong = Violations()
    read_profile(wire, wrong)
    assert {v.path for v in wrong.found} == {"profile.office_hours", "profile.party_reminder_days[2]"}


def test_profile_that_lets_rules_decide_for_minors_is_refused() -> None:
    """Where an owner is a minor a rule never decides, whatever the place would like."""
    wrong = Violations()
    wire = wire_profile()
    wire.minors = authority_pb2.STANCE_ALLOW
    read_profile(wire, wrong)
    assert [v.path for v in wrong.found] == ["profile.minors"]


def test_rules_disabled_decide_nothing_and_lose_nothing() -> None:
    """A disabled rule set decides nothing, and still shows what it would decide."""
    wire = authority_pb2.RuleSet(
        version=2, officer="deng-1", decides=[codes_pb2.OPERATION_KIND_MORTGAGE_FIRST], disabled=True
    )
    wire.published_on.year, wire.published_on.month, wire.published_on.day = 2026, 1, 1
    wrong = Violations()
    rules = read_rules(wire, wrong)
    assert not wrong.found
    assert rules.decides == ()
    assert encode_rules(rules) == wire


def wire_rules(**changes: Any) -> authority_pb2.RuleSet:
    """A rule set that lists the rules of a release and waives one of a first registration."""
    fields: dict[str, Any] = {
        "version": 2,
        "officer": "deng-1",
        "decides": [codes_pb2.OPERATION_KIND_MORTGAGE_FIRST],
        "rules": [
            authority_pb2.OperationRules(
                operation=codes_pb2.OPERATION_KIND_MORTGAGE_FIRST, rule_ids=["ONE_UNIT"]
            )
        ],
        "waivers": [
            authority_pb2.RuleWaiver(
                operation=codes_pb2.OPERATION_KIND_MORTGAGE_FIRST, rule_id="SOLE_OWNER", source="某市规则"
            )
        ],
    }
    wire = authority_pb2.RuleSet(**{**fields, **changes})
    wire.published_on.year, wire.published_on.month, wire.published_on.day = 2026, 1, 1
    return wire


def test_rules_with_lines_and_waivers_come_back_as_they_went() -> None:
    """What is set is what is shown."""
    wrong = Violations()
    rules = read_rules(wire_rules(), wrong)
    assert not wrong.found
    assert encode_rules(rules) == wire_rules()


def test_rules_name_an_operation_once_and_a_waiver_its_source() -> None:
    """A second line for an operation, and a waiver without its source, are refused."""
    line = authority_pb2.OperationRules(operation=codes_pb2.OPERATION_KIND_MORTGAGE_FIRST)
    waiver = authority_pb2.RuleWaiver(
        operation=codes_pb2.OPERATION_KIND_MORTGAGE_FIRST, rule_id="X", source=" "
    )
    wrong = Violations()
    read_rules(wire_rules(rules=[line, line], waivers=[waiver]), wrong)
    assert [v.path for v in wrong.found] == ["rule_set.rules[1].operation", "rule_set.waivers[0].source"]


def test_rule_catalogue_has_words_for_every_rule() -> None:
    """The ids of a rule set mean something to whoever reads it."""
    told = {rule.rule_id: rule for rule in encode_rule_catalogue()}
    assert told.keys() == RULES.keys()
    sole = told["SOLE_OWNER"]
    assert (sole.article, sole.standing) == ("CC 301", authority_pb2.RULE_STANDING_CLEAN)
    assert codes_pb2.OPERATION_KIND_MORTGAGE_FIRST in sole.operations


def test_registrar_keys_are_told_apart_by_role() -> None:
    """A registrar's key with the role TLS identifies connections, one without a role signs; others are refused."""
    wire = authority_pb2.Registrar(
        name="registries/jiangyin/registrars/deng-1",
        registrar_id="deng-1",
        display_name="登测试",
        keys=[
            authority_pb2.RegisteredKey(key_id="a" * 64),
            authority_pb2.RegisteredKey(key_id="b" * 64, roles=[authority_pb2.KEY_ROLE_TLS]),
        ],
        may_book=True,
    )
    wrong = Violations()
    registrar = read_registrar(wire, wrong)
    assert not wrong.found
    assert (registrar.key_ids, registrar.tls_key_ids) == (("a" * 64,), ("b" * 64,))
    assert encode_registrar(registrar, "jiangyin") == wire
    wire.keys[0].roles.append(authority_pb2.KEY_ROLE_SUBMIT)
    read_registrar(wire, wrong)
    assert [v.path for v in wrong.found] == ["registrar.keys[0].roles"]


@pytest.mark.parametrize("registrar_id", ["", "Deng", "a" * 33, "a_b"])
def test_registrar_id_has_a_form(registrar_id: str) -> None:
    """A registrar's id is a lower-case word, for it stands in resource names."""
    wrong = Violations()
    read_registrar(authority_pb2.Registrar(registrar_id=registrar_id, display_name="x"), wrong)
    assert [v.path for v in wrong.found] == ["registrar.registrar_id"]
