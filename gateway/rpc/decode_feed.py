"""Wire to domain: the acts of the counter's feed. Syntax only, every violation at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from gateway.cases.feed import (
    AnyRestriction,
    CounterEntry,
    CounterUnit,
    Restriction,
    RestrictionVerb,
)
from gateway.pb.diya.v1 import acts_pb2, codes_pb2, register_pb2
from gateway.register import model as m
from gateway.rpc import decode_fields as read
from gateway.rpc.decode_register import LIST_MAX, RegisterParts
from gateway.rpc.violations import Violations

#: A case number of the counter, as the queue keeps it.
CASE_NUMBER_CHARACTERS_MAX: Final = 28

#: What stands for an instant while a violation is already noted.
_NEVER: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)

_Read = Callable[..., tuple[m.AnyRight, bool]]


def decode_restriction(wire: acts_pb2.RestrictionAct, received_at: dt.datetime) -> Restriction:
    """A restriction act. Raises MalformedRequest."""
    wrong = Violations()
    verb = read.enum_name(acts_pb2.RestrictionVerb, wire.verb, "RESTRICTION_VERB_")
    read.required(verb, "verb", wrong)
    which = wire.WhichOneof("restriction") or ""
    read.required(which, "restriction", wrong)
    enters = verb == "ENTER"
    as_of = _head(wire, wrong)
    right = _restriction(wire, which, RegisterParts(received_at, wrong), enters)
    if enters and right is not None:
        right = _renamed(right)
    if verb == "RENEW" and which == "seizure" and not wire.seizure.HasField("until"):
        wrong.add("seizure.until", "必填", "is required")
    if verb == "SUIT_FILED" and which == "dissent":
        read.required(wire.dissent.HasField("suit_filed_on"), "dissent.suit_filed_on", wrong)
        read.required(wire.dissent.court_case_number, "dissent.court_case_number", wrong)
    wrong.refuse_if_any()
    assert right is not None  # a missing one left a violation
    return Restriction(sequence=wire.sequence, as_of=as_of, verb=RestrictionVerb(verb), right=right)


def _renamed(right: AnyRestriction) -> AnyRestriction:
    """A restriction that is entered has no id of the register yet, whatever the counter calls it."""
    fields = {name: getattr(right, name) for name in right.__struct_fields__}
    return type(right)(**{**fields, "right_id": ""})


def _restriction(
    wire: acts_pb2.RestrictionAct, which: str, parts: RegisterParts, whole: bool
) -> AnyRestriction | None:
    match which:
        case "seizure":
            code = parts.code(wire.seizure.unit_code, "seizure.unit_code")
            return parts.seizure(wire.seizure, code, "seizure", whole=whole)[0]
        case "dissent":
            code = parts.code(wire.dissent.unit_code, "dissent.unit_code")
            return parts.dissent(wire.dissent, code, "dissent", whole=whole)[0]
        case "habitation":
            code = parts.code(wire.habitation.unit_code, "habitation.unit_code")
            return parts.habitation(wire.habitation, code, "habitation", whole=whole)[0]
        case "easement":
            return parts.easement(wire.easement, "easement")[0]
    return None


def decode_counter(wire: acts_pb2.CounterAct, received_at: dt.datetime) -> CounterEntry:
    """A counter act. Raises MalformedRequest."""
    wrong = Violations()
    as_of = _head(wire, wrong)
    case_number = wire.case_number.strip()
    kind = read.enum_name(codes_pb2.RegistrationType, wire.type, "REGISTRATION_TYPE_")
    accepted = read.instant(wire, "accepted_at", "", wrong) if wire.HasField("accepted_at") else None
    booked = read.instant(wire, "booked_at", "", wrong) if wire.HasField("booked_at") else None
    if case_number:
        read.required(kind, "type", wrong)
        if len(case_number) > CASE_NUMBER_CHARACTERS_MAX:
            wrong.add(
                "case_number",
                f"不得超过 {CASE_NUMBER_CHARACTERS_MAX} 个字符",
                f"must not exceed {CASE_NUMBER_CHARACTERS_MAX} characters",
            )
        if not wire.units and not wire.closed:
            wrong.add("units", "必填", "is required")
        if not wire.closed and booked is None and accepted is None:
            wrong.add("accepted_at", "在办案件必填", "is required of an open case")
        if wire.closed and booked is not None:
            wrong.add("closed", "已登簿的案件不填", "does not go with booked_at")
        for name, instant in (("accepted_at", accepted), ("booked_at", booked)):
            if instant is not None and instant > received_at:
                wrong.add(name, "时间在将来", "lies in the future")
    elif wire.units or booked is not None:
        wrong.add("case_number", "必填", "is required")
    read.limit(len(wire.units), LIST_MAX, "units", wrong)
    moment = booked or received_at
    parts = RegisterParts(moment, wrong)
    named_only = booked is None
    units = tuple(
        _unit(state, parts, f"units[{n}]", wrong, named_only=named_only)
        for n, state in enumerate(wire.units[:LIST_MAX])
    )
    if len({u.unit_code for u in units}) < len(units):
        wrong.add("units", "单元重复", "names a unit twice")
    wrong.refuse_if_any()
    return CounterEntry(
        sequence=wire.sequence,
        as_of=as_of,
        type=kind,
        case_number=case_number,
        accepted_at=accepted,
        booked_at=booked,
        closed=wire.closed,
        units=units,
    )


def _head(wire: Any, wrong: Violations) -> dt.datetime:
    """The number, which must be one, and `as_of`."""
    if wire.sequence < 1:
        wrong.add("sequence", "从 1 开始", "begins at 1")
    return read.instant(wire, "as_of", "", wrong) or _NEVER


def _unit(
    wire: register_pb2.UnitState, parts: RegisterParts, path: str, wrong: Violations, *, named_only: bool
) -> CounterUnit:
    code = parts.code(wire.unit.unit_code, path + ".unit.unit_code")
    if named_only:
        return CounterUnit(unit_code=code, names=_named(wire))
    live: list[m.AnyRight] = []
    ended: list[m.AnyRight] = []
    supersedes: list[str] = []
    lenient = RegisterParts(parts.moment, Violations())
    for name, reader in _READERS.items():
        wires = getattr(wire, name)
        read.limit(len(wires), LIST_MAX, f"{path}.{name}", wrong)
        for n, one in enumerate(wires[:LIST_MAX]):
            at = f"{path}.{name}[{n}]"
            right, goes_on = reader(lenient, one, code, at)
            if goes_on:
                live.append(reader(parts, one, code, at)[0])
                supersedes.append(one.booking.previous_case_number.strip())
            else:  # what ended is only named: by id, certificate or case
                ended.append(right)
    return CounterUnit(
        unit_code=code,
        unit=parts.unit(wire.unit, path + ".unit") if wire.unit.location else None,
        live=tuple(live),
        ended=tuple(ended),
        supersedes=tuple(supersedes),
        holds=parts.holds(wire.unit),
    )


def _easement(
    parts: RegisterParts, wire: register_pb2.Easement, _: str, path: str
) -> tuple[m.Easement, bool]:
    """An easement names both of its units itself."""
    return parts.easement(wire, path)


#: The lists of rights of a unit, and what reads one of each.
_READERS: Final[dict[str, _Read]] = {
    "ownerships": RegisterParts.ownership,
    "mortgages": RegisterParts.mortgage,
    "pre_notices": RegisterParts.pre_notice,
    "seizures": RegisterParts.seizure,
    "dissents": RegisterParts.dissent,
    "habitations": RegisterParts.habitation,
    "easements": _easement,
}


def _named(wire: register_pb2.UnitState) -> tuple[str, ...]:
    """Ids, or numbers of proofs, of the rights that an open case is about."""
    notices = [notice.right_id or notice.proof.number for notice in wire.pre_notices]
    return (*(one.right_id or one.proof.number for one in wire.mortgages), *notices)
