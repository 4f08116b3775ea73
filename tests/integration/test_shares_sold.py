"""The sale of a share, and a certificate for each co-owner, end to end: signed papers, mutual TLS, a registrar."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader

from gateway.client import operations
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import certificate_pb2, common_pb2, operations_pb2
from gateway.register.model import CoOwnership, Share
from gateway.register.sample import SampleUnit
from tests.support.dealing import (
    Deal,
    citizen,
    codes,
    contracted,
    deal,
    mortgaged,
    old_loan,
    owners,
    ranks,
    state_of,
    taxed,
    told,
)
from tests.support.stage import Town
from tests.support.steps import CLAIM_FEN, PRICE_FEN, content

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"]
HALF = common_pb2.Fraction(numerator=1, denominator=2)
Y, Z = citizen(71), citizen(72)


def half_of(titles: list[str], seller: str, buyer: str) -> operations_pb2.Operation:
    """Half of the flat passes."""
    return operations.ownership_transfer(
        sellers=[seller], buyers=[buyer], titles=titles, price_fen=PRICE_FEN, share_sold=HALF
    )


def case_of(
    town: Town, unit: SampleUnit, proof: str, title: str, seller: str, buyer: str, *held: str
) -> Deal:
    """The segmented sale of a half, under A's mortgage; all who own afterwards mortgage to B."""
    people = {"S": unit.owner, "Y": Y, "Z": Z, "A": A, "B": B}
    named = {key: people[key] for key in dict.fromkeys((seller, buyer, *held, "A", "B"))}
    case = deal(
        town,
        unit,
        named,
        half_of([title], seller, buyer),
        operations.mortgage_first(content(town, held, "B", CLAIM_FEN)),
        mode="ET_SEGMENTED",
    )
    return taxed(old_loan(contracted(case), proof))


async def test_owner_sells_half_and_the_buyer_a_share_of_it_on_notice(market: Town) -> None:
    """A sole owner takes a co-owner in, who then sells to a stranger, having told the other (CC 305, 306; RD 21)."""
    unit, proof = await mortgaged(market)
    first = case_of(market, unit, proof, unit.title_number, "S", "Y", "S", "Y")
    first.terms.separate_certificates = True
    answer = await first.booked()
    kinds = [certificate_pb2.CertificateKind.Name(one.kind) for one in answer.outcome.certificates]
    assert [kind.rpartition("_")[2] for kind in kinds] == ["TITLE", "TITLE", "PROOF"]
    state = await state_of(market, unit.unit_code)
    assert state.ownership is not None
    assert owners(state) == [unit.owner.name, Y.name]
    assert {o.share for o in state.ownership.owners} == {Share(numerator=1, denominator=2)}
    assert ranks(state) == [(A.name, 1, 1), (B.name, 2, 2)]
    titles = [title.number for title in state.ownership.titles]
    assert len(set(titles)) == 2

    second = case_of(market, unit, proof, titles[1], "Y", "Z", "S", "Z")
    del second.terms.units[0].titles[:]
    untold = await second.by_law(without=["CO_OWNER_NOTICE"]).filed()
    assert untold.result == "NOT_ACCEPTED"
    assert ("N-INCOMPLETE", "R-CO_OWNER") in codes(untold)

    third = case_of(market, unit, proof, titles[1], "Y", "Z", "S", "Z")
    del third.terms.units[0].titles[:]
    booked = await third.booked()
    assert booked.result == "BOOKED", told(booked)
    state = await state_of(market, unit.unit_code)
    assert state.ownership is not None
    assert owners(state) == [unit.owner.name, Z.name]
    assert state.ownership.co_ownership is CoOwnership.BY_SHARES
    assert len(state.ownership.titles) == 2
    client = await market.client("bank-b")
    live = {c.number: type(c).State.Name(c.state) async for c in client.certificates.list()}
    assert {live[number] for number in titles} == {"STATE_CANCELLED"}


async def test_share_and_separate_certificates_stand_on_the_form_that_is_signed(market: Town) -> None:
    """Each party signs what it agrees to: which share, and who holds certificates."""
    unit, proof = await mortgaged(market)
    case = case_of(market, unit, proof, unit.title_number, "S", "Y", "S", "Y")
    case.terms.separate_certificates = True
    forms = await case.rendered()
    pages = PdfReader(io.BytesIO(forms["APPLICATION"])).pages
    text = "".join("".join(page.extract_text().split()) for page in pages)
    assert "转让份额" in text
    assert "1/2" in text
    assert "申请分别持证" in text
