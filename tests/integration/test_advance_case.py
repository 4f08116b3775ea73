"""AdvanceCase: later phases of a case, who may file them, with which key, and through which door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.errors import InputError
from gateway.client.submissions import Submission
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import outcome_pb2, registration_service_pb2
from gateway.register.sample import SampleUnit
from signing.signer import sign_envelope
from tests.integration.test_cli_acts import Desk
from tests.support.dealing import (
    Deal,
    citizen,
    codes,
    contracted,
    deal,
    mortgaged,
    old_loan,
    ranks,
    state_of,
    taxed,
)
from tests.support.filing import MANIFEST_TYPE
from tests.support.stage import Town
from tests.support.steps import CLAIM_FEN, content, sold
from tests.support.wire import as_stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"]
Y = citizen(1)
Pb = registration_service_pb2


class Segmented:
    """A sale in segments whose first phase is booked."""

    def __init__(self, town: Town, unit: SampleUnit, proof: str, case: str) -> None:
        self.town, self.unit, self.proof, self.case = town, unit, proof, case

    def release(self, *, phase: int = 2, case: str | None = None, mode: str = "ET_SEGMENTED") -> Deal:
        """Phase 2: A releases its mortgage alone, on settlement."""
        step = operations.mortgage_release(
            self.proof, applicants=["A"], ended_on=self.town.clock().date(), unit_codes=[self.unit.unit_code]
        )
        named = self.case if case is None else case
        return deal(
            self.town, self.unit, {"A": A}, step, mode=mode, channel="bank-a", case=named, phase=phase
        ).by_law()


async def segmented(town: Town) -> Segmented:
    """The first phase: the flat is Y's, M1 of A rank 1, M2 of B rank 2."""
    unit, proof = await mortgaged(town)
    people = {"S": unit.owner, "Y": Y, "A": A, "B": B}
    first = operations.mortgage_first(content(town, "Y", "B", CLAIM_FEN))
    case = contracted(deal(town, unit, people, sold(unit), first, mode="ET_SEGMENTED"))
    answer = await taxed(old_loan(case, proof)).booked()
    return Segmented(town, unit, proof, answer.outcome.application)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def standing(market: Town) -> Segmented:
    """A case for tests that book no further phase of it."""
    return await segmented(market)


async def test_old_bank_files_the_last_phase_with_a_key_for_releases(market: Town) -> None:
    """Golden 5: after the release M2 is alone, printed rank 2; A signed with a key that does nothing else."""
    sale = await segmented(market)
    assert ranks(await state_of(market, sale.unit.unit_code)) == [(A.name, 1, 1), (B.name, 2, 2)]
    last = await sale.release().upload()
    key = market.key("bank-a", "release-only")
    outcome = await last.send(last.request(last.envelope(by=key)))
    assert outcome.result == outcome_pb2.OUTCOME_RESULT_BOOKED, outcome
    assert ranks(await state_of(market, sale.unit.unit_code)) == [(B.name, 2, 1)]
    client = await market.client("bank-a")
    phases = [one async for one in client.list_applications(case=sale.case)]
    assert {(one.phase, one.case) for one in phases} == {(1, ""), (2, sale.case)}


async def test_key_for_releases_files_no_phase_that_does_more(market: Town, standing: Segmented) -> None:
    """A phase that also books something else needs the role SUBMIT."""
    mixed = standing.release()
    mixed.terms.parties.add().CopyFrom(build.person("Y", Y.name, Y.id_number))
    mixed.terms.operations.add().CopyFrom(operations.mortgage_first(content(market, "Y", "A", 1)))
    request = mixed.request(mixed.envelope(by=market.key("bank-a", "release-only")))
    refused = await mixed.refused("KEY_WITHOUT_ROLE", "PERMISSION_DENIED", request)
    assert refused.metadata["role"] == "SUBMIT"


async def test_each_phase_has_its_own_door(standing: Segmented) -> None:
    """A later phase by SubmitEncumberedTransfer, or a first one by AdvanceCase, is refused with the way out."""
    later = standing.release()
    outer = later.request()
    values = {name: getattr(outer, name) for name in ("parent", "request_id", "validate_only", "envelope")}
    refused = await later.refused(
        "FIELD_INVALID", "INVALID_ARGUMENT", Pb.SubmitEncumberedTransferRequest(**values)
    )
    assert "AdvanceCase" in str(refused.violations)
    first = standing.release(phase=1)
    outer = first.request()
    values = {name: getattr(outer, name) for name in ("parent", "request_id", "validate_only", "envelope")}
    refused = await first.refused("FIELD_INVALID", "INVALID_ARGUMENT", Pb.AdvanceCaseRequest(**values))
    assert "SubmitEncumberedTransfer" in str(refused.violations)


async def test_case_of_nobody_and_of_strangers_is_not_found(standing: Segmented) -> None:
    """The first phase must be the caller's to see."""
    unknown = standing.release(case=standing.case[:-4] + "0000")
    await unknown.refused("APPLICATION_NOT_FOUND", "NOT_FOUND")
    stranger = standing.release()
    stranger.channel = stranger.applicant = "fund-centre"
    await stranger.refused("APPLICATION_NOT_FOUND", "NOT_FOUND")


async def test_later_phase_is_rehearsed_without_a_trace(market: Town, standing: Segmented) -> None:
    """validate_only tells what the phase would come to."""
    last = await standing.release().upload()
    before = market.ledger_size()
    outcome = await last.send(last.request(last.envelope(last.manifest(validate_only=True))))
    assert outcome.result == outcome_pb2.OUTCOME_RESULT_VALID
    assert outcome.would_be == outcome_pb2.OUTCOME_RESULT_BOOKED, outcome
    assert market.ledger_size() == before


async def test_later_phase_goes_by_stream_and_replays_by_call(market: Town) -> None:
    """An arm of the stream like the others; the stored outcome comes back by the single call."""
    sale = await segmented(market)
    last = await sale.release().upload()
    request = last.request()
    call = market.registration("bank-a").SubmitStream(
        as_stream([Pb.SubmitStreamRequest(correlation=9, advance=request)])
    )
    [streamed] = [answer async for answer in call]
    assert streamed.outcome.result == outcome_pb2.OUTCOME_RESULT_BOOKED, streamed
    again = await last.send(request)
    assert (again.replayed, again.application) == (True, streamed.outcome.application)


async def test_client_sends_each_phase_by_its_call(market: Town) -> None:
    """The client chooses by the header, alone and over the stream; `advance_case` takes later phases alone."""
    sale = await segmented(market)
    last = await sale.release().upload()
    client = await market.client("bank-a")
    envelope = sign_envelope(
        MANIFEST_TYPE,
        last.manifest().SerializeToString(deterministic=True),
        [market.key("bank-a", "release-only").signer()],
    )
    answer = await client.advance_case(envelope)
    assert answer.result == "BOOKED", answer.outcome.findings

    async def source() -> Any:
        yield Submission(envelope)

    [streamed] = [one async for one in client.submit_stream(source())]
    assert streamed.answer is not None
    assert streamed.answer.outcome.replayed
    first = build.sign_submission(market.key("bank-a").signer(), sale.release(phase=1).manifest())
    with pytest.raises(InputError):
        await client.advance_case(first)


async def test_phase_that_is_not_due_is_answered_by_the_law(standing: Segmented) -> None:
    """Another mode's phase, a phase that the mode has not: findings, not a protocol error."""
    other = await standing.release(mode="ET_THREE_IN_ONE").filed()
    assert ("C-MISMATCH", "R-CONFLICT") in codes(other)
    beyond = await standing.release(phase=3).filed()
    assert "header.phase" in {f.field for f in beyond.outcome.findings}


async def test_command_files_the_next_phase(market: Town, tmp_path: Path) -> None:
    """`diya submit advance`: case and phase by options, or by the file; without either it says so before it sends."""
    sale = await segmented(market)
    last = sale.release()
    (tmp_path / "release.pdf").write_bytes(last.papers["EXTINCTION"][0])
    (tmp_path / "release.json").write_text(json.dumps({"terms": MessageToDict(last.terms)}), encoding="utf-8")
    desk = Desk(market, tmp_path, "bank-a")
    command = ("submit", "advance", "release.json", "--file", "EXTINCTION=release.pdf")
    status, _, err = await desk.run(*command)
    assert (status, "--case" in err) == (2, True)
    answer = await desk.json(*command, "--case", sale.case)
    assert answer["result"] == "BOOKED", answer
