"""Wire to domain: what the terms state beside the operations (gateway/cases/stated.py). Syntax only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.cases.stated import Declaration, DeclarationKind, StatedParty, StatedUnit
from gateway.cases.terms import AnyOperation
from gateway.pb.diya.v1 import envelope_pb2, terms_pb2
from gateway.register.identifiers import IdentifierError, normalise_unit_code, normalise_uscc
from gateway.rpc import decode_fields as read
from gateway.rpc.violations import Violations

DECLARATIONS_MAX: Final = 200
LOCATION_CHARACTERS_MAX: Final = 1000

#: A note stands on a register row and in the 附记 of a certificate: a few lines.
NOTE_CHARACTERS_MAX: Final = 1000


def stated(
    wire: terms_pb2.Terms, operations: Sequence[AnyOperation], parties: read.Parties, wrong: Violations
) -> dict[str, Any]:
    """The fields of `Terms` that state something; violations are noted."""
    note = wire.note.strip()
    _text(note, NOTE_CHARACTERS_MAX, "terms.note", wrong)
    return {
        "parties": _parties(wire.parties, parties, wrong),
        "stated_units": _units(wire.units, operations, wrong),
        "declarations": _declarations(wire.declarations, parties, wrong),
        "separate_certificates": wire.separate_certificates,
        "note": note,
    }


def check_phase(header: envelope_pb2.Header, wrong: Violations) -> None:
    """A later phase names its case, and nothing else does (handbook 2.3)."""
    if header.phase < 0:
        wrong.add("header.phase", "从 1 开始", "begins at 1")
    if (header.phase > 1) != bool(header.case):
        wrong.add(
            "header.case",
            "第二阶段起须填写第一阶段的申请名，第一阶段不填",
            "names the application of the first phase, from the second phase on and only then",
        )


def _units(
    wires: Sequence[terms_pb2.UnitReference], operations: Sequence[AnyOperation], wrong: Violations
) -> tuple[StatedUnit, ...]:
    """Every unit is there for some operation: what is signed must come to something."""
    used = {code for operation in operations for code in operation.units}
    units = []
    for number, wire in enumerate(wires):
        path = f"terms.units[{number}]"
        try:
            code = normalise_unit_code(wire.unit_code)
        except IdentifierError:
            continue  # noted where the unit codes are read
        if code not in used:
            wrong.add(path + ".unit_code", "没有任何一项登记涉及该单元", "is named by no operation")
        _text(wire.location, LOCATION_CHARACTERS_MAX, path + ".location", wrong)
        units.append(StatedUnit(unit_code=code, location=wire.location.strip()))
    return tuple(units)


def _parties(
    wires: Sequence[terms_pb2.Party], parties: read.Parties, wrong: Violations
) -> tuple[StatedParty, ...]:
    """Who the parties are, and the branch that acts for an institution."""
    found = []
    for number, wire in enumerate(wires):
        person = parties.get(wire.id)
        if person is None:
            continue  # noted where the parties are read
        path = f"terms.parties[{number}].acting_institution"
        acting = ""
        if wire.acting_institution:
            with wrong.at(path, "USCC_MALFORMED"):
                acting = normalise_uscc(wire.acting_institution)
            if not person.is_institution:
                wrong.add(path, "自然人没有申请网点", "belongs to an institution alone")
        stated_capacity = person.is_institution or bool(wire.person.capacity)
        found.append(
            StatedParty(
                id=wire.id,
                person=person,
                acting_institution=acting,
                has_capacity_stated=stated_capacity,
            )
        )
    return tuple(found)


def _declarations(
    wires: Sequence[terms_pb2.PartyDeclaration], parties: read.Parties, wrong: Violations
) -> tuple[Declaration, ...]:
    read.limit(len(wires), DECLARATIONS_MAX, "terms.declarations", wrong)
    found = []
    for number, wire in enumerate(wires[:DECLARATIONS_MAX]):
        path = f"terms.declarations[{number}]"
        party = read.party(wire.party, parties, path + ".party", wrong)
        kind = read.enum_name(terms_pb2.DeclarationKind, wire.kind, "DECLARATION_KIND_")
        read.required(kind, path + ".kind", wrong)
        _text(wire.text, NOTE_CHARACTERS_MAX, path + ".text", wrong)
        day = read.date(wire, "declared_on", path, wrong, needed=False)
        if party is not None and kind:
            found.append(
                Declaration(party=party, kind=DeclarationKind(kind), text=wire.text.strip(), declared_on=day)
            )
    return tuple(found)


def _text(text: str, most: int, path: str, wrong: Violations) -> None:
    if len(text) > most:
        wrong.add(path, f"最多 {most} 个字符", f"may have at most {most} characters")
