"""Institutions, registrars, profiles, rule sets and trust between the wire and the domain: form only, both ways.

`read_*` note every violation and never raise; whoever calls them ends the reading (`Violations.refuse_if_any`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.kinds.rules import RULES, RULES_OF
from gateway.pb.diya.v1 import authority_pb2, codes_pb2
from gateway.register.authority import (
    Institution,
    InstitutionCode,
    InstitutionKind,
    KeyRole,
    OperationRules,
    Place,
    Profile,
    RegisteredKey,
    Registrar,
    RuleSet,
    Waiver,
)
from gateway.register.calendar import OfficeHours
from gateway.rpc.act_fields import enum_name, enums, instant_of, limit, not_negative, uscc, usccs
from gateway.rpc.encode import date, timestamp
from gateway.rpc.mandates import (
    encode_clerk,
    encode_mandate,
    encode_staff_risks,
    read_clerks,
    read_mandate,
    read_outlet,
    read_staff_risks,
)
from gateway.rpc.violations import Violations

KEYS_MAX: Final = 64
LIST_MAX: Final = 1000
REMINDERS_MAX: Final = 10
DAY_MINUTES: Final = 24 * 60
TEXT_CHARACTERS_MAX: Final = 2000
PUBLIC_KEY_BYTES_MAX: Final = 4096

_KEY_ID = re.compile(r"[0-9a-f]{64}")
_REGISTRAR_ID = re.compile(r"[a-z0-9-]{1,32}")
_COUNTY = re.compile(r"[0-9]{6}")
_OPERATION = "OPERATION_KIND_"
_MODE = "ENCUMBERED_TRANSFER_MODE_"
_STANCES: Final = (
    "unrecorded_restriction",
    "pre_2021_changed_to_none",
    "two_thirds_disposal",
    "securer_without_consent",
    "minors",
)
_SAME_NAME: Final = (
    "version",
    "source",
    "authority_name",
    "ended_case_retention_days",
    "convert_on_transfer",
    "lock_payee_to_seller",
    "risk_notice_required",
    "submissions_per_day",
    "max_file_bytes",
    "max_case_bytes",
    "counter_feed_max_lag_minutes",
    "two_person_review",
    "own_case_forbidden",
    "production",
)
#: Fields of a profile for which 0 on the wire stands for the place's default.
_DEFAULTED: Final = (
    "awaiting_parties_days",
    "supplement_days",
    "tax_days",
    "payoff_days",
    "unclaimed_upload_days",
    "validate_only_per_day",
)


# -- institutions and registrars -----------------------------------------------------------------------------------


def read_institution(wire: authority_pb2.Institution, wrong: Violations) -> Institution:
    """An institution as it shall stand; output-only fields are left alone."""
    path = "institution"
    kind = enum_name(codes_pb2.InstitutionKind, wire.kind, "INSTITUTION_KIND_")
    if not kind:
        wrong.add(path + ".kind", "必填", "is required")
    if not wire.names or not all(name.strip() for name in wire.names):
        wrong.add(path + ".names", "至少一个名称，且不得为空", "needs at least one name, none of them empty")
    for name in ("names", "uscc_aliases", "permitted_modes", "files_for", "codes"):
        limit(getattr(wire, name), LIST_MAX, f"{path}.{name}", wrong)
    return Institution(
        uscc=uscc(wire.uscc, path + ".uscc", wrong),
        kind=InstitutionKind(kind or "OTHER"),
        names=tuple(name.strip() for name in wire.names),
        uscc_aliases=usccs(wire.uscc_aliases, path + ".uscc_aliases", wrong),
        agreement_no=wire.agreement_number,
        permitted_modes=enums(
            codes_pb2.EncumberedTransferMode, wire.permitted_modes, _MODE, path + ".permitted_modes", wrong
        ),
        files_for=usccs(wire.files_for, path + ".files_for", wrong),
        head_office=uscc(wire.head_office, path + ".head_office", wrong) if wire.head_office else "",
        keys=read_keys(wire.keys, path + ".keys", wrong),
        codes=tuple(InstitutionCode(kind=c.kind, code=c.code) for c in wire.codes),
        mandate=read_mandate(wire.mandate, path + ".mandate", wrong),
        submissions_per_day=not_negative(wire, "submissions_per_day", path, wrong),
        second_key_from_fen=not_negative(wire, "second_key_from_fen", path, wrong),
        clerks=read_clerks(wire.clerks, path + ".clerks", wrong),
    )


def read_registrar(wire: authority_pb2.Registrar, wrong: Violations) -> Registrar:
    """A registrar as they shall stand: a key has the role TLS, or none and signs."""
    path = "registrar"
    if not _REGISTRAR_ID.fullmatch(wire.registrar_id):
        wrong.add(path + ".registrar_id", "应为 [a-z0-9-]{1,32}", "must match [a-z0-9-]{1,32}")
    if not wire.display_name.strip():
        wrong.add(path + ".display_name", "必填", "is required")
    keys = read_keys(wire.keys, path + ".keys", wrong, personal=True)
    return Registrar(
        registrar_id=wire.registrar_id,
        name=wire.display_name.strip(),
        key_ids=tuple(k.key_id for k in keys if KeyRole.TLS not in k.roles),
        tls_key_ids=tuple(k.key_id for k in keys if KeyRole.TLS in k.roles),
        keys=keys,
        may_book=wire.may_book and not wire.feeds,
        suspended=wire.suspended,
        feeds=wire.feeds,
    )


def read_keys(
    wires: Iterable[authority_pb2.RegisteredKey], path: str, wrong: Violations, *, personal: bool = False
) -> tuple[RegisteredKey, ...]:
    """Registered keys, each once; TLS stands alone. `personal`: a registrar's, where only TLS is a role."""
    keys: dict[str, RegisteredKey] = {}
    wires = list(wires)
    limit(wires, KEYS_MAX, path, wrong)
    for number, wire in enumerate(wires[:KEYS_MAX]):
        at = f"{path}[{number}]"
        if not _KEY_ID.fullmatch(wire.key_id):
            wrong.add(at + ".key_id", "应为 64 位小写十六进制", "must be 64 lower-case hexadecimal digits")
        if wire.key_id in keys:
            wrong.add(at + ".key_id", "密钥重复", "is named twice")
        roles = enums(authority_pb2.KeyRole, wire.roles, "KEY_ROLE_", at + ".roles", wrong)
        if "TLS" in roles and len(roles) > 1:
            wrong.add(
                at + ".roles", "TLS 须单独登记：通信密钥不得签署", "TLS stands alone: a TLS key never signs"
            )
        if personal and set(roles) - {"TLS"}:
            wrong.add(at + ".roles", "登记人员的签名密钥不列用途", "a registrar's signing key lists no role")
        if not personal and not roles:
            wrong.add(at + ".roles", "必填", "is required")
        if wire.public_key and hashlib.sha256(wire.public_key).hexdigest() != wire.key_id:
            wrong.add(at + ".public_key", "摘要与 key_id 不符", "its SHA-256 is not key_id")
        if len(wire.public_key) > PUBLIC_KEY_BYTES_MAX:
            wrong.add(at + ".public_key", "过长", f"is above {PUBLIC_KEY_BYTES_MAX} bytes")
        keys[wire.key_id] = RegisteredKey(
            key_id=wire.key_id,
            roles=tuple(KeyRole(role) for role in roles),
            public_key=wire.public_key,
            not_before=instant_of(wire, "not_before", at, wrong),
            not_after=instant_of(wire, "not_after", at, wrong),
            note=wire.note[:TEXT_CHARACTERS_MAX],
            mandate=read_mandate(wire.mandate, at + ".mandate", wrong),
            outlet=read_outlet(wire.outlet, at + ".outlet", wrong),
        )
    return tuple(keys.values())


def read_auditor_keys(
    wires: Iterable[authority_pb2.RegisteredKey], wrong: Violations
) -> tuple[RegisteredKey, ...]:
    """Keys of auditors: they connect, and sign nothing."""
    keys = read_keys(wires, "keys", wrong)
    for number, key in enumerate(keys):
        if key.roles and key.roles != (KeyRole.TLS,):
            wrong.add(
                f"keys[{number}].roles", "审计密钥只能用于通信（TLS）", "an auditor's key has the role TLS"
            )
    return keys


def encode_institution(value: Institution, registry: str) -> authority_pb2.Institution:
    """An institution on the wire."""
    return authority_pb2.Institution(
        name=f"registries/{registry}/institutions/{value.uscc}",
        uscc=value.uscc,
        kind=codes_pb2.InstitutionKind.Value(f"INSTITUTION_KIND_{value.kind.value}"),
        names=value.names,
        uscc_aliases=value.uscc_aliases,
        agreement_number=value.agreement_no,
        permitted_modes=[codes_pb2.EncumberedTransferMode.Value(_MODE + m) for m in value.permitted_modes],
        files_for=value.files_for,
        head_office=value.head_office,
        keys=encode_keys(value.keys),
        codes=[authority_pb2.InstitutionCode(kind=c.kind, code=c.code) for c in value.codes],
        mandate=encode_mandate(value.mandate),
        submissions_per_day=value.submissions_per_day,
        second_key_from_fen=value.second_key_from_fen,
        clerks=[encode_clerk(one) for one in value.clerks],
        suspended=value.suspended,
        suspension_reason=value.suspension_reason,
        index=value.index,
    )


def encode_registrar(value: Registrar, registry: str) -> authority_pb2.Registrar:
    """A registrar on the wire."""
    keys = value.keys or (
        *(RegisteredKey(key_id=k) for k in value.key_ids),
        *(RegisteredKey(key_id=k, roles=(KeyRole.TLS,)) for k in value.tls_key_ids),
    )
    return authority_pb2.Registrar(
        name=f"registries/{registry}/registrars/{value.registrar_id}",
        registrar_id=value.registrar_id,
        display_name=value.name,
        keys=encode_keys(keys),
        may_book=value.may_book,
        suspended=value.suspended,
        feeds=value.feeds,
        index=value.index,
    )


def encode_keys(values: Iterable[RegisteredKey]) -> list[authority_pb2.RegisteredKey]:
    """Registered keys on the wire."""
    return [_key(value) for value in values]


def _key(value: RegisteredKey) -> authority_pb2.RegisteredKey:
    return authority_pb2.RegisteredKey(
        key_id=value.key_id,
        roles=[authority_pb2.KeyRole.Value(f"KEY_ROLE_{role.value}") for role in value.roles],
        public_key=value.public_key,
        not_before=timestamp(value.not_before),
        not_after=timestamp(value.not_after),
        note=value.note,
        mandate=encode_mandate(value.mandate),
        outlet=value.outlet,
    )


# -- profile and rule set ------------------------------------------------------------------------------------------


def read_profile(wire: authority_pb2.Profile, wrong: Violations) -> Profile:
    """A profile: zeros stand for the defaults that the contract names, an unstated stance for REFER."""
    path = "profile"
    for name in ("source", "authority_name"):
        if not getattr(wire, name).strip():
            wrong.add(f"{path}.{name}", "必填", "is required")
    for name in (*_DEFAULTED, *_SAME_NAME):
        value = getattr(wire, name)
        if isinstance(value, int) and value < 0:
            wrong.add(f"{path}.{name}", "不得小于零", "must not be below zero")
    if wire.version < 1:
        wrong.add(path + ".version", "从 1 开始", "begins at 1")
    stances: dict[str, Any] = {
        name: enum_name(authority_pb2.Stance, getattr(wire, name), "STANCE_") or "REFER" for name in _STANCES
    }
    if stances["minors"] == "ALLOW":
        wrong.add(
            path + ".minors", "涉未成年人不得由规则准予", "a rule never decides where an owner is a minor"
        )
    return Profile(
        **{name: getattr(wire, name) for name in _SAME_NAME},
        **{name: getattr(wire, name) for name in _DEFAULTED if getattr(wire, name)},
        **stances,
        authority_code=uscc(wire.authority_code, path + ".authority_code", wrong),
        places=_places(wire.places, path + ".places", wrong),
        instant=enums(
            codes_pb2.OperationKind, wire.instant_operations, _OPERATION, path + ".instant_operations", wrong
        ),
        modes=enums(codes_pb2.EncumberedTransferMode, wire.modes, _MODE, path + ".modes", wrong),
        **_promises(wire, path + ".promises", wrong),
        **_reminders(wire.party_reminder_days, path + ".party_reminder_days", wrong),
        office=_office(wire, path + ".office_hours", wrong),
        staff_risks=read_staff_risks(wire.staff_risks, path + ".staff_risks", wrong),
    )


def encode_profile(value: Profile) -> authority_pb2.Profile:
    """A profile on the wire."""
    stances: dict[str, Any] = {
        name: authority_pb2.Stance.Value(f"STANCE_{getattr(value, name)}") for name in _STANCES
    }
    operations = dict.fromkeys([*value.promised_working_days, *value.promised_working_hours])
    return authority_pb2.Profile(
        **{name: getattr(value, name) for name in (*_SAME_NAME, *_DEFAULTED)},
        **stances,
        authority_code=value.authority_code,
        party_reminder_days=value.party_reminder_days or (0,),
        office_hours=authority_pb2.OfficeHours(
            opens_minute=value.office.opens, closes_minute=value.office.closes
        ),
        staff_risks=encode_staff_risks(value.staff_risks),
        places=[
            authority_pb2.Place(county_code=p.county_code, province=p.province, name=p.name)
            for p in value.places
        ],
        instant_operations=[codes_pb2.OperationKind.Value(_OPERATION + name) for name in value.instant],
        modes=[codes_pb2.EncumberedTransferMode.Value(_MODE + name) for name in value.modes],
        promises=[
            authority_pb2.ServicePromise(
                **_promised_of(name),
                working_days=value.promised_working_days.get(name, 0),
                working_hours=value.promised_working_hours.get(name, 0),
            )
            for name in operations
        ],
    )


def read_rules(wire: authority_pb2.RuleSet, wrong: Violations) -> RuleSet:
    """A rule set; of a disabled one what it would decide is kept apart, so that nothing decides by it."""
    path = "rule_set"
    if wire.version < 1:
        wrong.add(path + ".version", "从 1 开始", "begins at 1")
    if not wire.officer:
        wrong.add(path + ".officer", "必填", "is required")
    published = dt.date(1970, 1, 1)
    try:
        day = wire.published_on
        published = dt.date(day.year, day.month, day.day)
    except ValueError:
        wrong.add(
            path + ".published_on", "必填，且须为完整的日期", "is required, a full date (year, month, day)"
        )
    decides = enums(codes_pb2.OperationKind, wire.decides, _OPERATION, path + ".decides", wrong)
    return RuleSet(
        version=wire.version,
        officer=wire.officer,
        published_on=published,
        decides=() if wire.disabled else decides,
        disabled=wire.disabled,
        withheld=decides if wire.disabled else (),
        holds=_operation_rules(wire.rules, path + ".rules", wrong),
        waivers=_waivers(wire.waivers, path + ".waivers", wrong),
    )


def _operation_rules(
    wires: Sequence[authority_pb2.OperationRules], path: str, wrong: Violations
) -> tuple[OperationRules, ...]:
    """One line for each operation; which ids it may have is for the law to say (administration.py)."""
    limit(wires, LIST_MAX, path, wrong)
    lines: dict[str, OperationRules] = {}
    for number, wire in enumerate(wires):
        at = f"{path}[{number}]"
        limit(wire.rule_ids, LIST_MAX, at + ".rule_ids", wrong)
        operation = enum_name(codes_pb2.OperationKind, wire.operation, _OPERATION)
        if not operation:
            wrong.add(at + ".operation", "必填", "is required")
        if operation in lines:
            wrong.add(at + ".operation", "事项重复", "is named twice")
        lines[operation] = OperationRules(operation=operation, rules=tuple(dict.fromkeys(wire.rule_ids)))
    return tuple(lines.values())


def _waivers(wires: Sequence[authority_pb2.RuleWaiver], path: str, wrong: Violations) -> tuple[Waiver, ...]:
    limit(wires, LIST_MAX, path, wrong)
    found = []
    for number, wire in enumerate(wires):
        at = f"{path}[{number}]"
        operation = enum_name(codes_pb2.OperationKind, wire.operation, _OPERATION)
        if not operation:
            wrong.add(at + ".operation", "必填", "is required")
        source = wire.source.strip()
        if not 0 < len(source) <= TEXT_CHARACTERS_MAX:
            wrong.add(
                at + ".source",
                f"须写明依据，至多 {TEXT_CHARACTERS_MAX} 个字符",
                f"names the published rules, in at most {TEXT_CHARACTERS_MAX} characters",
            )
        found.append(Waiver(operation=operation, rule=wire.rule_id, source=source))
    return tuple(found)


def encode_rules(value: RuleSet) -> authority_pb2.RuleSet:
    """A rule set on the wire."""
    return authority_pb2.RuleSet(
        version=value.version,
        officer=value.officer,
        published_on=date(value.published_on),
        decides=[
            codes_pb2.OperationKind.Value(_OPERATION + name) for name in value.decides or value.withheld
        ],
        disabled=value.disabled,
        rules=[
            authority_pb2.OperationRules(
                operation=codes_pb2.OperationKind.Value(_OPERATION + line.operation), rule_ids=line.rules
            )
            for line in value.holds
        ],
        waivers=[
            authority_pb2.RuleWaiver(
                operation=codes_pb2.OperationKind.Value(_OPERATION + waiver.operation),
                rule_id=waiver.rule,
                source=waiver.source,
            )
            for waiver in value.waivers
        ],
    )


def encode_rule_catalogue() -> list[authority_pb2.Rule]:
    """Every rule of the table with its words, and the operations that it belongs to."""
    return [
        authority_pb2.Rule(
            rule_id=rule.id,
            article=rule.article,
            zh=rule.zh,
            en=rule.en,
            standing=authority_pb2.RuleStanding.Value(f"RULE_STANDING_{rule.standing.value}"),
            operations=[
                codes_pb2.OperationKind.Value(_OPERATION + name)
                for name, rules in RULES_OF.items()
                if rule in rules
            ],
        )
        for rule in RULES.values()
    ]


def _places(wires: Iterable[authority_pb2.Place], path: str, wrong: Violations) -> tuple[Place, ...]:
    places: dict[str, Place] = {}
    for number, wire in enumerate(wires):
        at = f"{path}[{number}]"
        if not _COUNTY.fullmatch(wire.county_code):
            wrong.add(at + ".county_code", "应为 6 位区划代码", "must be the 6 digits of a county")
        if wire.county_code in places:
            wrong.add(at + ".county_code", "区县重复", "is named twice")
        if not wire.province or not wire.name:
            wrong.add(at, "省级简称和市县全称必填", "province sign and name are required")
        places[wire.county_code] = Place(county_code=wire.county_code, province=wire.province, name=wire.name)
    if not places:
        wrong.add(path, "至少一个区县", "needs at least one county")
    return tuple(places.values())


def _reminders(days: Sequence[int], path: str, wrong: Violations) -> dict[str, Any]:
    """As the wire says; nothing where it leaves the default."""
    limit(days, REMINDERS_MAX, path, wrong)
    if list(days) == [0]:
        return {"party_reminder_days": ()}
    for number, before in enumerate(days):
        if before < 1:
            wrong.add(f"{path}[{number}]", "不得小于 1", "must not be below 1")
    return {"party_reminder_days": tuple(days)} if days else {}


def _office(wire: authority_pb2.Profile, path: str, wrong: Violations) -> OfficeHours:
    if not wire.HasField("office_hours"):
        return OfficeHours()
    told = OfficeHours(opens=wire.office_hours.opens_minute, closes=wire.office_hours.closes_minute)
    if not 0 <= told.opens < told.closes <= DAY_MINUTES:
        wrong.add(
            path,
            f"须为当日内的时段：0 <= 开始 < 结束 <= {DAY_MINUTES}",
            f"must lie within a day: 0 <= opens < closes <= {DAY_MINUTES} minutes",
        )
    return told


def _promised_of(name: str) -> dict[str, Any]:
    """The operation, or else the mode, that a promise of the profile is for."""
    if _OPERATION + name in codes_pb2.OperationKind.keys():  # noqa: SIM118 - an enum is no mapping
        return {"operation": codes_pb2.OperationKind.Value(_OPERATION + name)}
    return {"mode": codes_pb2.EncumberedTransferMode.Value(_MODE + name)}


def _promises(wire: authority_pb2.Profile, path: str, wrong: Violations) -> dict[str, Any]:
    days: dict[str, int] = {}
    hours: dict[str, int] = {}
    for number, promise in enumerate(wire.promises):
        operation = enum_name(codes_pb2.OperationKind, promise.operation, _OPERATION)
        mode = enum_name(codes_pb2.EncumberedTransferMode, promise.mode, _MODE)
        name = operation or mode
        at = f"{path}[{number}]"
        if not name or name in days or (operation and mode):
            wrong.add(
                at + ".operation",
                "登记操作和模式须填其一，且不得重复",
                "an operation or a mode is required, each once",
            )
        if promise.working_days < 0 or promise.working_hours < 0:
            wrong.add(at, "不得小于零", "must not be below zero")
        days[name] = promise.working_days
        if promise.working_hours:
            hours[name] = promise.working_hours
    return {"promised_working_days": days, "promised_working_hours": hours}
