"""SuggestModes over the wire: on the basis of GetUnit, without an identity number, and true when it is then filed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson

from gateway.client import operations
from gateway.client.errors import RequestError
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import codes_pb2
from gateway.pb.diya.v1 import register_service_pb2 as pb
from gateway.pb.diya.v1.register_service_pb2_grpc import RegisterServiceStub
from gateway.register.sample import SAMPLE, SampleUnit
from tests.integration.test_cli_acts import Desk
from tests.support.dealing import citizen, contracted, deal, mortgaged, old_loan, taxed, told
from tests.support.stage import Town
from tests.support.steps import CLAIM_FEN, content, sold

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def flat(market: Town) -> tuple[SampleUnit, str]:
    """A flat under a mortgage of A, and the number of its proof."""
    return await mortgaged(market)


def by_mode(response: pb.SuggestModesResponse) -> dict[str, Any]:
    """Suggestions by the mode's code."""
    name = codes_pb2.EncumberedTransferMode.Name
    return {name(s.mode).removeprefix("ENCUMBERED_TRANSFER_MODE_"): s for s in response.suggestions}


async def test_old_bank_asks_for_its_customer(market: Town, flat: tuple[SampleUnit, str]) -> None:
    """Its own proof is the basis; every mode is there, and nobody's number."""
    unit, proof = flat
    client = await market.client("bank-a")
    response = await client.suggest_modes(unit.unit_code, [B.id_number], own_right=proof)
    found = by_mode(response)
    assert len(found) == len(codes_pb2.EncumberedTransferMode.items()) - 1
    assert found["ET_COMBINED"].fits
    assert not found["ET_CASH_PRE_NOTICE"].fits
    assert all(reason.article for s in response.suggestions for reason in s.reasons)
    [phase] = found["ET_COMBINED"].phases
    assert [step.step for step in phase.steps] == ["OWNERSHIP_TRANSFER", "MORTGAGE_RELEASE", "MORTGAGE_FIRST"]
    assert (list(phase.gates), list(phase.taxes)) == (
        ["PAYOFF", "TAX"],
        [codes_pb2.TAX_KIND_DEED, codes_pb2.TAX_KIND_INCOME],
    )
    printed = MessageToJson(response, ensure_ascii=False)
    assert unit.owner.name in printed
    assert unit.owner.id_number not in printed


async def test_mode_that_fits_is_accepted_with_the_papers_that_were_told(
    market: Town, flat: tuple[SampleUnit, str]
) -> None:
    """What was suggested holds when it is filed: those papers, and no more, make a case that is accepted."""
    unit, proof = flat
    client = await market.client("bank-a")
    response = await client.suggest_modes(unit.unit_code, [B.id_number], own_right=proof)
    [phase] = by_mode(response)["ET_SEGMENTED"].phases[:1]
    asked = {p.paper_code for step in phase.steps for p in step.papers}
    asked |= {p.paper_code for p in phase.papers}
    people = {"S": unit.owner, "Y": citizen(81), "A": A, "B": B}
    first = operations.mortgage_first(content(market, "Y", "B", CLAIM_FEN))
    case = contracted(deal(market, unit, people, sold(unit), first, mode="ET_SEGMENTED"))
    case = taxed(old_loan(case, proof)).by_law()
    assert set(case.papers) == asked
    answer = await case.filed()
    assert answer.result == "ACCEPTED", told(answer)


async def test_without_a_basis_there_is_no_such_unit(market: Town, flat: tuple[SampleUnit, str]) -> None:
    """The same answer for an unknown unit and for a missing basis; nothing is told of the register."""
    unit, proof = flat
    client = await market.client("bank-b")
    for code, basis in (
        (unit.unit_code, {}),
        (unit.unit_code, {"own_right": proof}),
        (unit.unit_code[:-1] + "9", {"own_right": proof}),
    ):
        with pytest.raises(RequestError) as caught:
            await client.suggest_modes(code, [B.id_number], **basis)
        assert caught.value.reason == "UNIT_NOT_FOUND"


async def test_registrar_asks_without_a_basis_and_lenders_are_checked(market: Town) -> None:
    """A registrar names none; a lender's code is checked like any."""
    unit = SAMPLE.unit("seized", "jiangyin")
    name = f"registries/jiangyin/units/{unit.unit_code}"
    stub = market.stub(RegisterServiceStub, "registrar")
    response = await stub.SuggestModes(pb.SuggestModesRequest(name=name, lenders=[B.id_number]))
    assert not any(s.fits for s in response.suggestions)
    assert "R-SEIZED" in {f.rule for f in by_mode(response)["PN_SALE_THEN_CONVERT"].reasons}
    for lenders in (["91110000600037341X"], [B.id_number] * 9):
        request = pb.SuggestModesRequest(name=name, lenders=lenders)
        refused = await market.refusal(
            lambda request=request: stub.SuggestModes(request), {"USCC_MALFORMED", "FIELD_INVALID"}
        )
        assert "lenders" in refused.violations[0][0]


async def test_command_prints_what_fits_and_why_not(
    market: Town, flat: tuple[SampleUnit, str], tmp_path: Path
) -> None:
    """`diya suggest-modes`, for people and for programs."""
    unit, proof = flat
    desk = Desk(market, tmp_path, "bank-a")
    command = ("suggest-modes", unit.unit_code, "--lender", B.id_number, "--own-right", proof)
    status, out, err = await desk.run(*command)
    assert status == 0, err
    assert "ET_COMBINED: fits" in out
    assert "ET_CASH_PRE_NOTICE: does not fit" in out
    assert len((await desk.json(*command))["suggestions"]) == 10
