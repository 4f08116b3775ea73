"""Limits, clerks and staff-risk rules between the wire and the domain: form only, both ways (rpc/authority.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.pb.diya.v1 import authority_pb2, codes_pb2
from gateway.register.authority import Mandate, RegisteredClerk
from gateway.register.identifiers import IdentifierError, normalise_citizen_id
from gateway.rpc.act_fields import enum_name, enums, instant_of, limit, not_negative
from gateway.rpc.encode import timestamp
from gateway.rpc.violations import Violations

CLERKS_MAX: Final = 1000
TEXT_CHARACTERS_MAX: Final = 100

_OPERATION: Final = "OPERATION_KIND_"
_STANCES: Final = ("WARN", "REFER")


def read_mandate(wire: authority_pb2.Mandate, path: str, wrong: Violations) -> Mandate:
    """Operations and the largest claim; an absent one leaves both open."""
    return Mandate(
        operations=enums(codes_pb2.OperationKind, wire.operations, _OPERATION, path + ".operations", wrong),
        claim_fen_max=not_negative(wire, "claim_fen_max", path, wrong),
    )


def encode_mandate(value: Mandate) -> authority_pb2.Mandate | None:
    """A mandate on the wire; none where it leaves everything open."""
    if value == Mandate():
        return None
    return authority_pb2.Mandate(
        operations=[codes_pb2.OperationKind.Value(_OPERATION + name) for name in value.operations],
        claim_fen_max=value.claim_fen_max,
    )


def read_clerks(
    wires: Sequence[authority_pb2.RegisteredClerk], path: str, wrong: Violations
) -> tuple[RegisteredClerk, ...]:
    """Registered clerks, each number once."""
    limit(wires, CLERKS_MAX, path, wrong)
    clerks: dict[str, RegisteredClerk] = {}
    for number, wire in enumerate(wires[:CLERKS_MAX]):
        at = f"{path}[{number}]"
        for name in ("employee_number", "display_name"):
            if not getattr(wire, name).strip():
                wrong.add(f"{at}.{name}", "必填", "is required")
        for name in ("employee_number", "display_name"):
            _text(getattr(wire, name), f"{at}.{name}", wrong)
        if wire.employee_number in clerks:
            wrong.add(at + ".employee_number", "工号重复", "is named twice")
        clerks[wire.employee_number] = RegisteredClerk(
            employee_no=wire.employee_number,
            name=wire.display_name,
            outlet=read_outlet(wire.outlet, at + ".outlet", wrong),
            id_number=_citizen(wire.id_number, at + ".id_number", wrong),
            mandate=read_mandate(wire.mandate, at + ".mandate", wrong),
            not_before=instant_of(wire, "not_before", at, wrong),
            not_after=instant_of(wire, "not_after", at, wrong),
        )
    return tuple(clerks.values())


def read_outlet(text: str, path: str, wrong: Violations) -> str:
    """An outlet's name, which clerks and keys of it share to the letter."""
    return _text(text.strip(), path, wrong)


def _text(text: str, path: str, wrong: Violations) -> str:
    if len(text) > TEXT_CHARACTERS_MAX:
        most = TEXT_CHARACTERS_MAX
        wrong.add(path, f"至多 {most} 个字符", f"may have at most {most} characters")
    return text


def encode_clerk(value: RegisteredClerk) -> authority_pb2.RegisteredClerk:
    """A clerk on the wire."""
    return authority_pb2.RegisteredClerk(
        employee_number=value.employee_no,
        display_name=value.name,
        outlet=value.outlet,
        id_number=value.id_number,
        mandate=encode_mandate(value.mandate),
        not_before=timestamp(value.not_before),
        not_after=timestamp(value.not_after),
    )


def read_staff_risks(
    wires: Iterable[authority_pb2.StaffRiskRule], path: str, wrong: Violations
) -> dict[str, str]:
    """Which signs are looked for, each once, and whether one is told or handed to a registrar."""
    rules: dict[str, str] = {}
    for number, wire in enumerate(wires):
        at = f"{path}[{number}]"
        risk = enum_name(authority_pb2.StaffRisk, wire.risk, "STAFF_RISK_")
        stance = enum_name(authority_pb2.Stance, wire.stance, "STANCE_")
        if not risk or risk in rules:
            wrong.add(at + ".risk", "必填，且不得重复", "is required, each once")
        if stance not in _STANCES:
            wrong.add(at + ".stance", "应为 WARN 或者 REFER", "must be WARN or REFER")
        rules[risk] = stance
    return rules


def encode_staff_risks(value: Mapping[str, str]) -> list[authority_pb2.StaffRiskRule]:
    """The rules on the wire."""
    return [
        authority_pb2.StaffRiskRule(
            risk=authority_pb2.StaffRisk.Value(f"STAFF_RISK_{risk}"),
            stance=authority_pb2.Stance.Value(f"STANCE_{stance}"),
        )
        for risk, stance in value.items()
    ]


def _citizen(text: str, path: str, wrong: Violations) -> str:
    if not text:
        return ""
    try:
        return normalise_citizen_id(text)
    except IdentifierError as error:
        wrong.add(path, error.zh, error.en, "CITIZEN_ID_MALFORMED")
        return ""
