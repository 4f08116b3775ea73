"""Every kind of decision, made again from the ledger: the same to the byte; under other rules, where it differs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.errors import RequestError
from gateway.client.party import PartyClient
from gateway.client.replay import replay_application
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.rpc.acts import PAYLOAD_TYPES
from gateway.rpc.party import PARTY_ACTS
from gateway.rpc.registration import REGISTRATION_ACTS
from gateway.rpc.replay import Replayed, replay_case
from gateway.storage import tables
from signing.envelope import payload_digest
from tests.integration import test_clockwork as by_itself
from tests.integration import test_party_service as party_acts
from tests.integration import test_review as review_acts
from tests.integration.test_cli_acts import Desk
from tests.support.stage import AUDITOR_KEY, MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

REGISTRIES = ("jiangyin", "taizhou")

#: Plays of other tests, each of which leaves cases behind.
PLAYS = (
    party_acts.test_fund_centre_finds_the_case_reads_it_and_joins,
    party_acts.test_decline_is_told_and_the_case_goes_on_waiting,
    party_acts.test_consent_and_its_revocation_are_receipted,
    party_acts.test_owner_signs_later_and_the_bank_supplements,
    party_acts.test_registrar_asks_and_the_bank_answers,
    party_acts.test_bank_alone_does_not_withdraw_with_the_owner_it_does,
    review_acts.test_approval_books,
    review_acts.test_refusal_frees_the_papers_and_the_place,
)

#: Kinds of entry that these plays leave, and that a replay therefore has to make again.
KINDS = {
    "application.submitted",
    "application.supplemented",
    "application.withdrawal",
    "application.expired",
    "application.turn_came",
    "party.join",
    "party.decline",
    "party.consent",
    "party.revoke",
    "review.claim",
    "review.unclaim",
    "review.suspend",
    "review.resume",
    "review.request_supplement",
    "review.approve",
    "review.refuse",
}


def cases(town: Town, registry: str) -> list[str]:
    """Ids of all applications of a registry."""
    table = tables.application
    with town.gateway._reader.begin() as connection:
        found = connection.execute(select(table.c.application_id).where(table.c.registry == registry))
        return list(found.scalars())


def replayed(town: Town, registry: str, application_id: str) -> list[Replayed]:
    """The case decided again, past the wire."""
    return replay_case(town.gateway._reader, town.gateway.ledger, registry, application_id)


def wrong(found: Sequence[Replayed]) -> list[Replayed]:
    """What did not come out the same."""
    return [one for one in found if not one.same]


async def test_replay_of_every_kind_of_decision_is_equal(own_folder: Path) -> None:
    """Submissions, acts of parties and registrars, and what the gateway does by itself: byte for byte as kept."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        for play in PLAYS:
            await play(town)
        await revocation(town)
        await queue_and_expiry(town, clock)
        found = [
            one
            for registry in REGISTRIES
            for case in cases(town, registry)
            for one in replayed(town, registry, case)
        ]
    assert wrong(found) == []
    assert KINDS - {one.kind for one in found} == set(), sorted({one.kind for one in found})
    assert {one.result for one in found} >= {"BOOKED", "ACCEPTED", "AWAITING_PARTIES", "REFUSED", "DONE"}


async def revocation(town: Town) -> None:
    """Bank B consents to a case that a person decides, and takes it back; a registrar suspends and resumes."""
    filing = town.mortgage(registry="taizhou")
    bank = INSTITUTIONS["bank-b"]
    filing.terms.parties.append(build.institution_party("other", bank.name, bank.id_number))
    filing.terms.operations[0].consenters.append("other")
    answer = await (await filing.sign().upload()).submit()
    name = answer.outcome.application
    other = PartyClient(
        await town.session("bank-b", "taizhou"), town.key("bank-b").signer(), party_acts.actor("bank-b")
    )
    target = target_of_envelope(name, answer.envelope)
    given = await other.consent(target)
    assert given.result == "ACCEPTED", given.outcome
    digest = payload_digest(given.envelope.payload_type, given.envelope.payload)
    await other.revoke(target, digest, "不再同意")
    review = await town.registrar()
    await review.claim(await review.open(name))
    await review.suspend(await review.open(name), "S-INVESTIGATION")
    await review.resume(await review.open(name))
    await review.unclaim(await review.open(name))


async def queue_and_expiry(town: Town, clock: MovedClock) -> None:
    """A case that waits its turn and is booked by rule, and one that nobody signs."""
    filing, booked = await town.booked()
    number = booked.outcome.certificates[0].number
    first = town.release(filing, number)
    first.terms.operations[0].mortgage_release.ground = 3  # realised: a person decides
    waiting = await (await first.sign().upload()).submit()
    second = await (await town.release(filing, number).sign().upload()).submit()
    client = await town.client("bank-a")
    await client.withdraw(
        town.key("bank-a").signer(),
        party_acts.actor("bank-a"),
        target_of_envelope(waiting.outcome.application, waiting.envelope),
        parties=["bank"],
    )
    await by_itself.until(town, "bank-a", second.outcome.application, "BOOKED")
    unsigned = await (await party_acts.portfolio(town).upload()).submit()
    clock.move(10 * by_itself.DAY)
    town.gateway.clockwork.look()
    await by_itself.until(town, "bank-a", unsigned.outcome.application, "EXPIRED")


async def test_replay_under_another_rule_set_shows_where_it_differs(town: Town) -> None:
    """Had the rule not been published, a person would have decided: result, findings and effects differ."""
    _, answer = await town.booked()
    case = answer.outcome.application.rpartition("/")[2]
    rules = town.gateway.sequencer.settings("jiangyin").rules
    assert rules is not None
    store = (town.gateway._reader, town.gateway.ledger, "jiangyin", case)
    [same] = replay_case(*store)
    assert (same.same, same.result, same.rule_version) == (True, "BOOKED", rules.version)
    [other] = replay_case(*store, under=replace(rules, version=rules.version + 1, decides=()))
    assert not other.same
    assert {"outcome.result", "outcome.certificates"} <= set(other.differences)
    assert any(place.startswith("effects[") for place in other.differences)
    assert answer.outcome.certificates[0].number not in "".join(other.differences)


async def test_replay_is_for_registrars_and_auditors(town: Town) -> None:
    """Over the wire: the same answer to both, and nothing of the case in it; an unknown case is unknown."""
    _, answer = await town.in_review()
    for key in (REGISTRAR_KEY, AUDITOR_KEY):
        session = await town.session(key, "taizhou" if key == REGISTRAR_KEY else "jiangyin")
        if key == AUDITOR_KEY:
            _, answer = await town.booked()
        [one] = await replay_application(session, answer.outcome.application)
        assert (one.same, one.kind, list(one.differences)) == (True, "application.submitted", [])
    with pytest.raises(RequestError) as caught:
        await replay_application(session, "018f0000-0000-7000-8000-000000000000")
    assert caught.value.reason == "APPLICATION_NOT_FOUND"


async def test_replay_by_the_command_says_same_or_where(town: Town, tmp_path: Path) -> None:
    """`diya review replay`: a line for each entry of the case; 0 when all of them come out the same."""
    _, answer = await town.in_review()
    desk = Desk(town, tmp_path, REGISTRAR_KEY, "taizhou")
    [one] = await desk.json("review", "replay", answer.outcome.application)
    assert (one["kind"], one["result"], one["same"]) == (
        "application.submitted",
        "OUTCOME_RESULT_ACCEPTED",
        True,
    )
    status, out, err = await desk.run("review", "replay", answer.outcome.application.rpartition("/")[2])
    assert (status, err) == (0, "")
    assert "same" in out


async def test_act_of_every_kind_can_be_replayed() -> None:
    """Whatever act the gateway takes on a case, its replay knows how that was decided."""
    assert {*PARTY_ACTS, *REGISTRATION_ACTS} == set(PAYLOAD_TYPES)


async def test_replay_one_at_a_time(town: Town) -> None:
    """A second replay meanwhile is told to come again: the ledger is not folded many times at once."""
    _, answer = await town.booked()
    session = await town.session(AUDITOR_KEY)
    answers = await asyncio.gather(
        *(replay_application(session, answer.outcome.application) for _ in range(4)), return_exceptions=True
    )
    refused = [one.reason for one in answers if isinstance(one, RequestError)]
    assert set(refused) == {"OVERLOADED"}
    assert len(refused) < len(answers)
