"""What a manifest may not say, whatever the law would make of it."""

from __future__ import annotations

import pytest

from gateway.client import manifest as build
from gateway.client import operations
from gateway.pb.diya.v1 import application_pb2, terms_pb2
from gateway.rpc.decode import decode_terms
from gateway.rpc.decode_fields import AMOUNT_FEN_MAX, enum_names
from gateway.rpc.violations import MalformedRequest
from tests.support import cases as c


def _terms(claim_fen: int = 1, mortgagors: tuple[str, ...] = ("owner",)) -> terms_pb2.Terms:
    content = operations.mortgage_content(
        mortgagors=mortgagors,
        mortgagees=["bank"],
        debtors=["owner"],
        claim_fen=claim_fen,
        term=(c.mortgage_first().term_start, c.mortgage_first().term_end),
    )
    people = [build.person(name, c.OWNER.name, c.OWNER.id_number) for name in ("owner", "owner-again")]
    return build.terms(
        c.REGISTRY,
        units=[build.unit(c.UNIT)],
        parties=[*people, build.institution_party("bank", c.BANK.name, c.BANK.id_number)],
        operations=[operations.mortgage_first(content)],
    )


def _paths(terms: terms_pb2.Terms) -> set[str]:
    with pytest.raises(MalformedRequest) as caught:
        decode_terms(build.terms_bytes(terms))
    return {violation.path for violation in caught.value.violations}


def test_amount_at_the_register_limit_is_read() -> None:
    """decimal(15,6) of 万元 holds 10^15 - 1 fen."""
    [operation] = decode_terms(build.terms_bytes(_terms(AMOUNT_FEN_MAX))).operations
    assert operation.claim_amount_fen == AMOUNT_FEN_MAX


def test_amount_over_the_register_limit_is_refused() -> None:
    """What the register cannot hold is refused before the law sees it."""
    assert any(path.endswith("claim_amount.amount_fen") for path in _paths(_terms(AMOUNT_FEN_MAX + 1)))


def test_same_person_twice_under_two_ids_is_refused() -> None:
    """Two ids of one identity number do not make two mortgagors."""
    assert any(path.endswith(".mortgagors") for path in _paths(_terms(mortgagors=("owner", "owner-again"))))


def test_filter_by_unknown_value_names_its_position() -> None:
    """A value that the contract does not have is refused with its place in the list."""
    with pytest.raises(MalformedRequest) as caught:
        enum_names(application_pb2.Application.State, [1, 99], "STATE_", "states")
    assert [violation.path for violation in caught.value.violations] == ["states[1]"]
