"""CheckPayout over the real wire: signed, expiring, verifiable offline, and no where it must be no."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.client import manifest as build
from gateway.client.acts import target_of_envelope
from gateway.client.session import Answer
from gateway.client.statements import StatementInvalid, verify_payout
from gateway.demo.readme import client_settings
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import (
    acts_pb2,
    application_pb2,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    outcome_pb2,
    terms_pb2,
)
from gateway.register.calendar import CHINA
from gateway.statements.payout import PayoutStatement
from signing.trust import TrustStore
from signing.trust_directory import read_trust as read_anchors
from tests.integration.test_party_service import party
from tests.support.feeding import Counter, seizure
from tests.support.filing import Filing
from tests.support.founding import copy_of
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
pb = certificate_service_pb2
ROOT = Path(__file__).resolve().parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealing_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway that seals, with a clock of its own."""
    folder = copy_of(founded, tmp_path_factory.mktemp("payout"))
    async with town_of(folder, sealing=True, clock=MovedClock()) as running:
        yield running


def anchors(town: Town) -> TrustStore:
    """What a bank obtained once from the authority."""
    return read_anchors(town.folder / "trust")


async def sealed(town: Town, answer: Answer, key: str = "bank-a") -> str:
    """The identifier of the certificate of a booking, once it is sealed."""
    client = await town.client(key)
    [name] = [one.name for one in answer.outcome.certificates]
    after = 0
    async with asyncio.timeout(30):
        async for event in client.watch_events(after):
            if event.kind == outcome_pb2.EVENT_KIND_SEALED and event.certificate == name:
                return name.rpartition("/")[2]
    raise AssertionError("not sealed")


async def asked(town: Town, key: str = "bank-a", **how: Any) -> PayoutStatement:
    """The one statement that answers."""
    [one] = await (await town.client(key)).check_payout(anchors(town), **how)
    return one.statement


def failing(statement: PayoutStatement) -> list[str]:
    """Codes of the conditions that do not hold."""
    return [one.code for one in statement.failing]


async def test_sealed_mortgage_is_safe_and_its_statement_verifies_offline(sealing_town: Town) -> None:
    """Every condition holds; the statement names the entry that it rests on; changed, late or elsewhere it fails."""
    town = sealing_town
    filing, answer = await town.booked(claim_fen=80_000_000)
    identifier = await sealed(town, answer)
    client = await town.client("bank-a")
    [one] = await client.check_payout(
        anchors(town), certificate=identifier, expected_amount_fen=80_000_000, expected_rank=1
    )
    said = one.statement
    assert said.safe, said.failing
    assert said.secured is not None
    assert (said.secured.amount_fen, said.secured.rank_printed) == (80_000_000, 1)
    assert said.secured.ranks_now == {filing.unit.unit_code: 1}
    assert answer.receipt.index < said.as_of_index < town.ledger_size()
    assert (said.proof.identifier, said.proof.state) == (identifier, "SEALED")
    got = await client.get_certificate(identifier)
    assert said.proof.pdf_sha256 == got.certificate.pdf_sha256.hex()
    now = town.clock()
    assert verify_payout(one.envelope, anchors(town), now, registry="jiangyin") == said
    with pytest.raises(StatementInvalid):
        verify_payout(one.envelope, anchors(town), said.valid_until, registry="jiangyin")
    with pytest.raises(StatementInvalid):
        verify_payout(one.envelope, anchors(town), now, registry="taizhou")
    with pytest.raises(StatementInvalid):
        verify_payout(one.envelope, TrustStore({}), now)
    forged = json.loads(one.envelope)
    payload = base64.b64decode(forged["payload"]).replace(b"80000000", b"90000000")
    forged["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(StatementInvalid):
        verify_payout(json.dumps(forged).encode(), anchors(town), now)


async def test_bank_that_signs_a_statement_itself_is_not_believed(sealing_town: Town) -> None:
    """A certificate of the purpose INSTITUTION seals nothing, and another authority's seal is not this one's."""
    from signing.envelope import envelope_from_json, envelope_to_json
    from signing.pki import DevelopmentPKI
    from signing.signer import sign_envelope

    town = sealing_town
    _, answer = await town.booked()
    identifier = await sealed(town, answer)
    [one] = await (await town.client("bank-a")).check_payout(anchors(town), certificate=identifier)
    envelope = envelope_from_json(one.envelope)
    own = sign_envelope(envelope.payload_type, envelope.payload, [town.key("bank-a").signer()])
    pki: DevelopmentPKI = town.pki
    bank = town.stage.signer("bank-a").certificate.identity
    assert bank is not None
    other = pki.issue_seal(bank.number, "另一登记机构").signer()
    elsewhere = sign_envelope(envelope.payload_type, envelope.payload, [other])
    for forged in (own, elsewhere):
        with pytest.raises(StatementInvalid):
            verify_payout(envelope_to_json(forged), anchors(town), town.clock())


async def test_expectations_of_the_loan_file_are_held_against_the_register(sealing_town: Town) -> None:
    """Another amount fails AMOUNT and nothing else."""
    town = sealing_town
    _, answer = await town.booked(claim_fen=50_000_000)
    identifier = await sealed(town, answer)
    said = await asked(town, certificate=identifier, expected_amount_fen=60_000_000)
    assert (said.safe, failing(said)) == (False, ["AMOUNT"])


async def test_released_mortgage_is_not_safe_any_more(sealing_town: Town) -> None:
    """After its release: the right has ended and the certificate is cancelled."""
    town = sealing_town
    filing, answer = await town.booked()
    identifier = await sealed(town, answer)
    assert (await asked(town, application=answer.outcome.application)).safe
    number = answer.outcome.certificates[0].number
    release = await town.release(filing, number).sign().upload()
    assert (await release.submit()).result == "BOOKED"
    said = await asked(town, certificate=identifier)
    assert not said.safe
    assert {"SEALED", "RIGHT_LIVE"} <= set(failing(said))


async def test_seizure_that_the_counter_feeds_stops_the_payout_at_once(sealing_town: Town) -> None:
    """Safe before it, not after; a hole of the feed leaves the register unknown until it is closed."""
    town = sealing_town
    filing, answer = await town.booked()
    name = answer.outcome.application
    await sealed(town, answer)
    counter = Counter(town, "jiangyin")
    assert (await asked(town, application=name)).safe
    served = town.clock() - dt.timedelta(seconds=1)
    await counter.restrict(seizure=seizure(filing.unit.unit_code, filing.owners[0], served))
    said = await asked(town, application=name)
    assert (said.safe, failing(said)) == (False, ["NO_SEIZURE"])
    other = town.flat()
    hole = await counter.next()
    late = seizure(other.unit_code, other.owners[0], served)
    await counter.restrict(sequence=hole + 1, seizure=late)
    assert "REGISTER_CURRENT" in failing(await asked(town, application=name))
    third = town.flat()
    await counter.restrict(sequence=hole, seizure=seizure(third.unit_code, third.owners[0], served))
    assert "REGISTER_CURRENT" not in failing(await asked(town, application=name))


async def test_payout_is_told_to_whoever_may_read_the_certificate_alone(sealing_town: Town) -> None:
    """Another bank, an unknown certificate and none at all: the refusals of reading."""
    town = sealing_town
    _, answer = await town.booked()
    identifier = await sealed(town, answer)
    name = f"registries/jiangyin/certificates/{identifier}"
    stub = town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "bank-b")
    parent = "registries/jiangyin"
    for request, reason in (
        (pb.CheckPayoutRequest(parent=parent, certificate=name), "CERTIFICATE_NOT_FOUND"),
        (
            pb.CheckPayoutRequest(parent=parent, application=answer.outcome.application),
            "APPLICATION_NOT_FOUND",
        ),
        (pb.CheckPayoutRequest(parent=parent), "FIELD_INVALID"),
        (pb.CheckPayoutRequest(parent=parent, certificate=name, expected_rank=-1), "FIELD_INVALID"),
    ):
        await town.told(lambda request=request: stub.CheckPayout(request), reason)


async def test_application_that_is_not_booked_names_the_state_that_allows(sealing_town: Town) -> None:
    """STATE_NOT_ALLOWED before the booking."""
    town = sealing_town
    _, answer = await town.in_review()
    stub = town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "bank-a")
    request = pb.CheckPayoutRequest(parent="registries/taizhou", application=answer.outcome.application)
    await town.told(lambda: stub.CheckPayout(request), "STATE_NOT_ALLOWED")


async def test_registry_that_cannot_sign_says_so_and_asks_for_patience(town: Town) -> None:
    """With sealing off: UNAVAILABLE with a delay, never an unsigned answer."""
    _, answer = await town.booked()
    stub = town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "bank-a")
    request = pb.CheckPayoutRequest(parent="registries/jiangyin", application=answer.outcome.application)
    await town.refusal(lambda: stub.CheckPayout(request), "SHUTTING_DOWN", "UNAVAILABLE")


def with_plan(filing: Filing, *triggers: int) -> Filing:
    """A plan in which the bank pays the first owner, one leg for each trigger, the payee locked."""
    filing.terms.funds_plan.legs.extend(
        terms_pb2.FundsLeg(
            payer="bank",
            payee="owner-1",
            payee_locked=True,
            amount=build.money(10_000_000),
            trigger=trigger,
            purpose=terms_pb2.FUNDS_PURPOSE_PRICE,
            account=terms_pb2.Account(holder_name=filing.owners[0].name, number="6222000011112222"),
        )
        for trigger in triggers
    )
    return filing


async def test_funds_legs_become_due_with_their_events(sealing_town: Town) -> None:
    """Due on acceptance and booking at once, on the proof when it is sealed, by hand never; each time an event."""
    town = sealing_town
    filing = with_plan(
        town.mortgage(),
        terms_pb2.FUNDS_TRIGGER_ON_ACCEPTANCE,
        terms_pb2.FUNDS_TRIGGER_ON_PROOF,
        terms_pb2.FUNDS_TRIGGER_ON_RELEASE,
        terms_pb2.FUNDS_TRIGGER_MANUAL,
    )
    answer = await (await filing.sign().upload()).submit()
    assert answer.result == "BOOKED", answer.outcome.findings
    client = await town.client("bank-a")
    name = answer.outcome.application
    await sealed(town, answer)
    legs = (await client.get_application(name)).funds_legs
    states = [application_pb2.FundsLegStanding.State.Name(leg.state) for leg in legs]
    assert states == ["STATE_DUE", "STATE_DUE", "STATE_NOT_DUE", "STATE_MANUAL"]
    said = await asked(town, application=name)
    assert [leg.state for leg in said.legs] == ["DUE", "DUE", "NOT_DUE", "MANUAL"]
    assert said.legs[0].payee_locked
    assert said.legs[0].account_ending == "2222"
    events = [
        event.index
        async for event in client.watch_events(0, catch_up_only=True)
        if event.kind == outcome_pb2.EVENT_KIND_FUNDS_LEG_DUE and event.application == name
    ]
    assert len(events) == 2
    assert events[0] == answer.outcome.receipt.index < events[1]


async def test_escrow_bank_states_that_it_holds_and_released_the_money(sealing_town: Town) -> None:
    """Another bank's account of escrow: its two consents move the leg and are events of everybody in the case."""
    town = sealing_town
    filing = with_plan(town.mortgage(), terms_pb2.FUNDS_TRIGGER_ON_BOOKING)
    escrow = INSTITUTIONS["bank-b"]
    filing.terms.parties.append(build.institution_party("escrow", escrow.name, escrow.id_number))
    filing.terms.funds_plan.legs[0].payee = "escrow"
    filing.terms.funds_plan.legs[0].purpose = terms_pb2.FUNDS_PURPOSE_ESCROW
    filing.terms.funds_plan.escrow_agreement_number = "JG-1"
    answer = await (await filing.sign().upload()).submit()
    assert answer.result == "BOOKED", answer.outcome.findings
    name = answer.outcome.application
    client = await town.client("bank-a")
    bank_b = await party(town, "bank-b")
    target = target_of_envelope(name, answer.envelope)
    today = town.clock().astimezone(CHINA).date()
    for kind, state in (
        (acts_pb2.CONSENT_KIND_FUNDS_HELD, "STATE_HELD"),
        (acts_pb2.CONSENT_KIND_FUNDS_RELEASED, "STATE_RELEASED"),
    ):
        said = await bank_b.consent(
            target,
            kind,
            parties=["escrow"],
            amount_fen=10_000_000,
            happened_on=today,
        )
        assert said.result == "DONE"
        [leg] = (await client.get_application(name)).funds_legs
        assert application_pb2.FundsLegStanding.State.Name(leg.state) == state
    kinds = [
        outcome_pb2.EventKind.Name(event.kind).removeprefix("EVENT_KIND_")
        async for event in client.watch_events(0, catch_up_only=True)
        if event.application == name
    ]
    assert [kind for kind in kinds if kind.startswith("FUNDS")] == [
        "FUNDS_LEG_DUE",
        "FUNDS_HELD",
        "FUNDS_RELEASED",
    ]


async def test_payout_command_keeps_a_statement_that_verifies_without_the_gateway(
    sealing_town: Town, tmp_path: Path
) -> None:
    """`diya payout check` asks and keeps, `diya payout verify` needs the file and the anchors alone."""
    town = sealing_town
    _, answer = await town.booked(claim_fen=80_000_000)
    identifier = await sealed(town, answer)
    ports = town.gateway.ports
    settings = town.folder / "payout-client.toml"
    settings.write_text(client_settings("bank-a", "jiangyin", (ports["listen"], ports["public"], 0)))

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", *arguments),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    config = ("--config", str(settings))
    status, out = await run(*config, "payout", "check", identifier, "--out", "kept")
    assert status == 0, out
    file = f"kept/{identifier}.json"
    trust = ("--trust", str(town.folder / "trust"))
    status, out = await run("payout", "verify", file, *trust, "--json")
    assert status == 0, out
    assert json.loads(out)[0]["safe"] is True
    late = (town.clock() + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    status, out = await run("payout", "verify", file, *trust, "--at", late)
    assert (status, "STATEMENT_INVALID" in out) == (1, True), out
    status, out = await run(*config, "payout", "check", identifier, "--amount-fen", "70000000", "--json")
    assert (status, json.loads(out)[0]["safe"]) == (1, False)
