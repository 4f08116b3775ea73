"""What the terms state beside the operations, from the wire: nothing is dropped, everything has a limit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cases.stated import Declaration, DeclarationKind, StatedUnit
from gateway.client import manifest as build
from gateway.pb.diya.v1 import codes_pb2, terms_pb2
from gateway.rpc.decode import decode_manifest
from gateway.rpc.decode_stated import DECLARATIONS_MAX, LOCATION_CHARACTERS_MAX, NOTE_CHARACTERS_MAX
from gateway.rpc.violations import MalformedRequest
from tests.support import cases as c
from tests.support import deals as d
from tests.unit.rpc.test_decode import Kind, decoded, manifest, violations, wire_terms


def test_what_is_stated_is_read() -> None:
    """Location, declarations, note and the wish for separate certificates."""
    wire = wire_terms()
    wire.units[0].location = " 江阴市示例路1号101室 "
    wire.note = "附记一行"
    wire.separate_certificates = True
    wire.declarations.add(
        party="seller",
        kind=terms_pb2.DECLARATION_KIND_MORTGAGEE_TOLD,
        text="电话告知",
        declared_on=build.day(dt.date(2026, 11, 2)),
    )
    terms = decoded(wire)
    assert terms.stated_units == (StatedUnit(unit_code=c.UNIT, location="江阴市示例路1号101室"),)
    assert (terms.note, terms.separate_certificates) == ("附记一行", True)
    assert terms.declarations == (
        Declaration(
            party=d.SELLER,
            kind=DeclarationKind.MORTGAGEE_TOLD,
            text="电话告知",
            declared_on=dt.date(2026, 11, 2),
        ),
    )


def _declare(**fields: Any) -> Callable[[terms_pb2.Terms], None]:
    values = {"party": "seller", "kind": terms_pb2.DECLARATION_KIND_MORTGAGEE_TOLD, **fields}
    return lambda wire: wire.declarations.add(**values) and None


def _crowd(wire: terms_pb2.Terms) -> None:
    for _ in range(DECLARATIONS_MAX + 1):
        _declare()(wire)


def _second_unit(wire: terms_pb2.Terms) -> None:
    for operation in wire.operations:
        operation.unit_codes.append(c.UNIT)
    wire.units.add(unit_code="320281001001GB00001F00010002")


def _note(wire: terms_pb2.Terms) -> None:
    wire.note = "x" * (NOTE_CHARACTERS_MAX + 1)


def _location(wire: terms_pb2.Terms) -> None:
    wire.units[0].location = "x" * (LOCATION_CHARACTERS_MAX + 1)


@pytest.mark.parametrize(
    ("spoil", "path"),
    [
        (_declare(party="nobody"), "terms.declarations[0].party"),
        (_declare(kind=terms_pb2.DECLARATION_KIND_UNSPECIFIED), "terms.declarations[0].kind"),
        (_declare(text="x" * (NOTE_CHARACTERS_MAX + 1)), "terms.declarations[0].text"),
        (_crowd, "terms.declarations"),
        (_note, "terms.note"),
        (_location, "terms.units[0].location"),
        (_second_unit, "terms.units[1].unit_code"),
    ],
    ids=["stranger", "no-kind", "long-text", "too-many", "long-note", "long-location", "unused-unit"],
)
def test_what_is_stated_wrongly_is_a_violation(spoil: Callable[[Any], None], path: str) -> None:
    """Also a unit that no operation is about: it would be signed and come to nothing."""
    wire = wire_terms()
    spoil(wire)
    assert violations(wire) == {path}


@pytest.mark.parametrize("insist", [False, True])
def test_insistence_is_read(insist: bool) -> None:
    """IR 22."""
    assert manifest(insist=insist).insist is insist


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ({"phase": 2}, "header.case"),
        ({"case": "registries/jiangyin/applications/x"}, "header.case"),
        ({"phase": -1}, "header.phase"),
    ],
    ids=["phase-without-case", "case-without-phase", "below-one"],
)
def test_phase_and_case_go_together(header: dict[str, Any], path: str) -> None:
    """A first phase names no case, a later one does."""
    made = build.header(
        c.REGISTRY,
        request_id="018f0000-0000-7000-8000-000000000001",
        created_at=c.NOW,
        channel_institution=d.B.id_number,
        clerk=build.clerk("经办", "1"),
        **header,
    )
    wire = build.manifest(
        codes_pb2.APPLICATION_KIND_ENCUMBERED_TRANSFER, made, build.terms_bytes(wire_terms())
    )
    with pytest.raises(MalformedRequest) as refused:
        decode_manifest(wire.SerializeToString(), Kind.ENCUMBERED_TRANSFER)
    assert {v.path for v in refused.value.violations} == {path}
