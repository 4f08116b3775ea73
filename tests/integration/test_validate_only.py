"""validate_only over the real wire: the same answer, nothing kept, a quota, and no window into the register."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.cases.decision import Decision
from gateway.cases.effects import ProfileSet, RequestAnswered
from gateway.cases.model import Moment, Outcome, Result
from gateway.client import manifest as build
from gateway.client.submissions import Submission
from gateway.commands import Command
from gateway.pb.diya.v1 import outcome_pb2
from gateway.register.sample import SAMPLE
from gateway.storage.working import Wants, Working
from tests.support.filing import Filing
from tests.support.signed_papers import form
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


def result(value: int) -> str:
    """An OutcomeResult's name."""
    return outcome_pb2.OutcomeResult.Name(value).removeprefix("OUTCOME_RESULT_")


async def test_rehearsal_tells_what_a_submission_would_come_to_and_keeps_nothing(town: Town) -> None:
    """VALID, would be BOOKED, as of the last entry; no entry, no row; the submission after it is booked."""
    filing = await town.mortgage().sign().upload()
    before = town.footprint()
    outcome = await filing.send(filing.request(filing.envelope(filing.manifest(validate_only=True))))
    assert (result(outcome.result), result(outcome.would_be)) == ("VALID", "BOOKED"), outcome
    assert outcome.validate_only
    assert outcome.as_of_index == town.ledger_size() - 1
    assert (outcome.application, outcome.case_number, len(outcome.certificates)) == ("", "", 0)
    assert not outcome.HasField("receipt")
    assert town.footprint() == before
    answer = await filing.submit()
    assert answer.result == "BOOKED"


async def test_rehearsal_predicts_place_rank_and_day(town: Town) -> None:
    """On a free flat rank 1 and nobody before it; behind an open case, then a mortgage, it says so."""
    filing = await town.mortgage(registry="taizhou").sign().upload()
    rehearsal = filing.request(filing.envelope(filing.manifest(validate_only=True)))
    told = (await filing.send(rehearsal)).prediction
    assert told.cases_before == 0
    assert [(r.operation, r.unit_code, r.rank, r.rank_at_worst) for r in told.ranks] == [
        (0, filing.unit.unit_code, 1, 1)
    ]
    answer = await filing.submit()
    assert answer.result == "ACCEPTED"
    assert told.deadline == answer.outcome.deadline
    behind = await town.mortgage(filing.unit, registry="taizhou", claim_fen=90_000_000).sign().upload()
    told = (
        await behind.send(behind.request(behind.envelope(behind.manifest(validate_only=True))))
    ).prediction
    assert told.cases_before == 1
    assert [(r.rank, r.rank_at_worst) for r in told.ranks] == [(1, 2)]
    registrar = await town.registrar()
    await registrar.claim(await registrar.open(answer.outcome.application))
    await registrar.approve(await registrar.open(answer.outcome.application))
    told = (
        await behind.send(behind.request(behind.envelope(behind.manifest(validate_only=True))))
    ).prediction
    assert told.cases_before == 0
    assert [(r.rank, r.rank_at_worst) for r in told.ranks] == [(2, 2)]


async def test_client_takes_a_rehearsal_for_what_it_is(town: Town) -> None:
    """The bank's client gives it without a receipt."""
    filing = await town.mortgage().sign().upload()
    answer = await filing.submit(validate_only=True)
    assert (answer.result, answer.receipt) == ("VALID", None)


async def test_rehearsal_is_never_a_submission_nor_the_other_way_round(town: Town) -> None:
    """validate_only is inside the signed bytes."""
    filing = await town.mortgage().sign().upload()
    rehearsal = filing.envelope(filing.manifest(validate_only=True))
    await filing.refused(
        "VALIDATE_ONLY_MISMATCH", "INVALID_ARGUMENT", filing.request(rehearsal, validate_only=False)
    )
    real = filing.request(filing.envelope(), validate_only=True)
    await filing.refused("VALIDATE_ONLY_MISMATCH", "INVALID_ARGUMENT", real)


async def test_rehearsal_tells_a_bar_with_the_owners_bound_form(town: Town) -> None:
    """A seized flat: the findings of the submission itself."""
    filing = await town.mortgage(SAMPLE.seized_jiangyin).sign().upload()
    outcome = await filing.send(filing.request(filing.envelope(filing.manifest(validate_only=True))))
    assert (result(outcome.result), result(outcome.would_be)) == ("NOT_ACCEPTED", "NOT_ACCEPTED")
    assert "R-SEIZED" in {f.rule for f in outcome.findings}


async def test_rehearsal_without_the_owner_says_the_same_of_a_seized_and_a_free_flat(town: Town) -> None:
    """Without a basis the register stays closed: findings, result and would_be do not depend on it."""
    told = []
    for unit in (SAMPLE.seized_jiangyin, town.flat()):
        filing = town.mortgage(unit, owners=town.flat().owners).sign()
        filing.papers["APPLICATION"] = [form(filing.terms_bytes)]
        await filing.upload()
        outcome = await filing.send(filing.request(filing.envelope(filing.manifest(validate_only=True))))
        assert not outcome.HasField("prediction")
        told.append((result(outcome.result), outcome.would_be, [f.code for f in outcome.findings]))
    assert [codes[-1] for *_, codes in told] == ["W-WITHHELD", "W-WITHHELD"]
    assert told[0] == told[1]
    assert told[0][1] == 0


async def test_rehearsal_in_a_stream_is_answered_in_its_place(town: Town) -> None:
    """A dry run between two submissions changes neither their order nor their answers."""
    client = await town.client("bank-a")
    filings = [await town.mortgage().sign().upload() for _ in range(3)]
    signer = town.key("bank-a").signer()

    async def source() -> AsyncIterator[Submission]:
        for number, filing in enumerate(filings):
            yield Submission(build.sign_submission(signer, filing.manifest(validate_only=number == 1)), ())

    answers = [a async for a in client.submit_stream(source())]
    assert [a.answer.result for a in answers if a.answer] == ["BOOKED", "VALID", "BOOKED"]


async def test_rehearsals_beyond_the_days_quota_are_refused_with_a_delay(own_folder: Path) -> None:
    """The profile's quota, per institution and day; submissions are not touched by it."""
    async with town_of(own_folder) as town:
        await _narrow(town, 2)
        filing: Filing = await town.mortgage().sign().upload()
        for _ in range(2):
            filing.request_id = str(uuid.uuid4())
            await filing.send(filing.request(filing.envelope(filing.manifest(validate_only=True))))
        request = filing.request(filing.envelope(filing.manifest(validate_only=True)))
        refused = await filing.refused("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", request)
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds <= 24 * 3600
        assert (await filing.submit()).result == "BOOKED"


async def test_days_quota_survives_a_restart(own_folder: Path) -> None:
    """What was taken before the gateway stopped is still taken after it; the next day begins anew."""

    def again(filing: Filing) -> Any:
        filing.request_id = str(uuid.uuid4())
        return filing.request(filing.envelope(filing.manifest(validate_only=True)))

    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        await _narrow(town, 3)
        filing = await town.mortgage().sign().upload()
        for _ in range(2):
            await filing.send(again(filing))
    async with town_of(own_folder, clock=clock) as town:
        filing.town = town
        await filing.send(again(filing))
        await filing.refused("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", again(filing))
        clock.move(24 * 3600)
        await filing.send(again(filing))


async def _narrow(town: Town, per_day: int) -> None:
    """The same profile with another quota."""
    profile = town.gateway.sequencer.settings("jiangyin").profile
    assert profile is not None
    effect = ProfileSet(profile=replace(profile, validate_only_per_day=per_day))

    def decide(working: Working, moment: Moment) -> Decision:
        answered = RequestAnswered(institution="", request_id="quota", payload_sha256="0" * 64)
        outcome = Outcome(result=Result.DONE, application="")
        return Decision(kind="test.profile", outcome=outcome, effects=(answered, effect))

    command = Command(
        registry="jiangyin", institution="", request_id="quota", payload_sha256="0" * 64, payload=b"quota",
        evidence=lambda: b"{}", wants=Wants(), decide=decide,
    )  # fmt: skip
    await asyncio.to_thread(town.gateway.sequencer.submit(command).result)
