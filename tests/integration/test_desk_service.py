"""The lender's desk over the real wire: who must act, the day's statement, the portfolio."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.type.date_pb2 import Date

from gateway.client.desk import DeskClient
from gateway.demo.readme import client_settings
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import desk_service_pb2, desk_service_pb2_grpc, finding_pb2, outcome_pb2
from gateway.register.calendar import CHINA
from signing.envelope import envelope_from_json
from signing.trust import TrustStore
from signing.trust_directory import read_trust as read_anchors
from tests.integration.test_party_service import portfolio
from tests.support.founding import copy_of
from tests.support.payoffs import leave_a_payoff
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
pb = desk_service_pb2
ROOT = Path(__file__).resolve().parents[2]
DAY_SECONDS = 86400


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealing_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A gateway that signs, with a clock that a test moves forward."""
    folder = copy_of(founded, tmp_path_factory.mktemp("desk"))
    async with town_of(folder, sealing=True, clock=MovedClock()) as running:
        yield running


def anchors(town: Town) -> TrustStore:
    """What a bank obtained once from the authority."""
    return read_anchors(town.folder / "trust")


async def desk(town: Town, key: str = "bank-a", registry: str = "jiangyin") -> DeskClient:
    """Somebody's desk."""
    session = await town.session(key, registry)
    session.clock = town.clock
    return DeskClient(session)


async def board(town: Town, key: str, registry: str, application: str = "", **how: Any) -> list[Any]:
    """What the board says, of one application."""
    listed = (await desk(town, key, registry)).list_readiness(**how)
    return [item async for item in listed if application in ("", item.application)]


def ground(item: Any) -> str:
    """The ground's name."""
    return pb.ReadinessGround.Name(item.ground).removeprefix("READINESS_GROUND_")


async def test_board_names_the_registrar_until_the_day_of_decision(town: Town) -> None:
    """An accepted case: the registrar, since acceptance, until the end of its deadline's day."""
    _, answer = await town.in_review()
    name = answer.outcome.application
    [item] = await board(town, "bank-a", "taizhou", name)
    assert (ground(item), item.institution, item.overdue) == ("REGISTRAR", "", False)
    assert item.since.ToDatetime() == answer.outcome.accepted_at.ToDatetime()
    deadline = answer.outcome.deadline
    day = dt.date(deadline.year, deadline.month, deadline.day)
    assert item.until.ToDatetime(CHINA) == dt.datetime.combine(
        day + dt.timedelta(days=1), dt.time(), CHINA
    ).replace(tzinfo=CHINA)
    assert [i.application for i in await board(town, REGISTRAR_KEY, "taizhou", name)] == [name]
    assert await board(town, "bank-b", "taizhou", name) == []


async def test_board_names_each_party_that_has_not_signed(town: Town) -> None:
    """A portfolio loan that the fund centre has yet to join: the centre, and both see it until the time runs out."""
    answer = await (await portfolio(town).upload()).submit()
    assert answer.result == "AWAITING_PARTIES", answer.outcome.findings
    name, fund = answer.outcome.application, INSTITUTIONS["fund-centre"]
    for key in ("bank-a", "fund-centre"):
        items = await board(town, key, "jiangyin", name, institution=fund.id_number)
        assert [(ground(item), item.who) for item in items] == [("PARTY", fund.name)]
        assert items[0].until.ToDatetime() == answer.outcome.parties_expire_at.ToDatetime()
    only = await board(town, "bank-a", "jiangyin", name, grounds=[pb.READINESS_GROUND_TAX])
    assert only == []


async def test_board_comes_page_by_page_in_order_of_deadline(town: Town) -> None:
    """Two to a page or all at once: the same items, earliest deadline first, each once."""
    for _ in range(3):
        await town.in_review()
    whole = await board(town, "bank-a", "taizhou")
    paged = await board(town, "bank-a", "taizhou", page_size=2)
    assert [(i.application, i.ground, i.who) for i in paged] == [
        (i.application, i.ground, i.who) for i in whole
    ]
    until = [item.until.ToDatetime() for item in whole if item.HasField("until")]
    assert until == sorted(until)


async def test_supplement_asked_for_is_the_applicants_to_send(town: Town) -> None:
    """SUPPLEMENT_REQUESTED: the applicant institution, until the deadline that the registrar set."""
    _, answer = await town.in_review()
    name = answer.outcome.application
    review = await town.registrar()
    await review.claim(await review.open(name))
    wanted = finding_pb2.Finding(code="N-INCOMPLETE", file="PROOF", zh="请补充", en="bring it")
    await review.request_supplement(await review.open(name), [wanted])
    [item] = await board(town, "bank-a", "taizhou", name)
    assert (ground(item), item.institution) == ("PAPER", INSTITUTIONS["bank-a"].id_number)
    assert item.HasField("until")


async def test_daily_statement_is_the_same_bytes_whenever_it_is_asked_for(sealing_town: Town) -> None:
    """A day with a mortgage, another one released: counts, sums, ledger range, digests that a bank recomputes."""
    town = sealing_town
    town.clock.move(DAY_SECONDS)  # a day of its own, whatever was booked here before
    filing, first = await town.booked(claim_fen=80_000_000)
    _, second = await town.booked(claim_fen=30_000_000)
    release = await town.release(filing, first.outcome.certificates[0].number).sign().upload()
    released = await release.submit()
    assert released.result == "BOOKED"
    today = town.clock().astimezone(CHINA).date()
    stub = town.stub(desk_service_pb2_grpc.DeskServiceStub, "bank-a")
    request = pb.GetDailyStatementRequest(
        parent="registries/jiangyin", day=Date(year=today.year, month=today.month, day=today.day)
    )
    await town.told(lambda: stub.GetDailyStatement(request), "FIELD_INVALID")
    town.clock.move(2 * DAY_SECONDS)
    mine = await desk(town)
    kept = await mine.daily_statement(today, anchors(town))
    said = kept.statement
    assert said.institution == INSTITUTIONS["bank-a"].id_number
    assert said.counts["BOOKED"] == 3
    assert (said.begun.count, said.begun.amounts_fen) == (2, {"CNY": 110_000_000})
    assert (said.ended.count, said.ended.amounts_fen) == (1, {"CNY": 80_000_000})
    assert said.first_index <= first.outcome.receipt.index < released.outcome.receipt.index <= said.last_index
    assert said.last_sequence - said.first_sequence + 1 == len(said.events) == sum(said.counts.values())
    lines = "".join(f"{e.sequence} {e.kind} {e.application} {e.index}\n" for e in said.events)
    assert said.events_digest == hashlib.sha256(lines.encode()).hexdigest()
    lines = "".join(
        f"{r.right_id} {r.proof_number} {r.amount_fen} {r.currency} {r.rank}\n" for r in said.begun.lines
    )
    assert said.begun.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert {r.proof_number for r in said.begun.lines} == {
        first.outcome.certificates[0].number,
        second.outcome.certificates[0].number,
    }
    _, later = await town.booked()
    assert later.result == "BOOKED"
    again = await mine.daily_statement(today, anchors(town))
    assert envelope_from_json(again.envelope).payload == envelope_from_json(kept.envelope).payload
    empty = await (await desk(town, "bank-b")).daily_statement(today, anchors(town))
    assert (empty.statement.counts, empty.statement.begun.count) == ({}, 0)
    branch = INSTITUTIONS["bank-a-branch"].id_number
    of_branch = await mine.daily_statement(today, anchors(town), institution=branch)
    assert of_branch.statement.institution == branch
    request.institution = INSTITUTIONS["bank-b"].id_number
    await town.told(lambda: stub.GetDailyStatement(request), "CHANNEL_NOT_AUTHORISED")


async def test_portfolio_digest_is_what_the_lines_come_to(sealing_town: Town) -> None:
    """Every live mortgage of the lender, imported ones too; a booking moves it, an older index says the same."""
    town = sealing_town
    mine = await desk(town)
    before = (await mine.portfolio_digest(anchors(town))).statement
    _, answer = await town.booked(claim_fen=12_345_600)
    after = (await mine.portfolio_digest(anchors(town))).statement
    assert after.count == before.count + 1
    assert after.amounts_fen["CNY"] == before.amounts_fen["CNY"] + 12_345_600
    for said in (before, after):
        lines = [line async for line in mine.list_portfolio(as_of_index=said.as_of_index, page_size=2)]
        text = "".join(
            f"{x.right_id} {x.proof_number} {x.amount.amount_fen} {x.amount.currency} {x.rank}\n"
            for x in lines
        )
        assert (len(lines), hashlib.sha256(text.encode()).hexdigest()) == (said.count, said.digest)
    assert answer.outcome.certificates[0].number in {x.proof_number for x in lines}


async def test_desk_command_prints_keeps_and_verifies(sealing_town: Town, tmp_path: Path) -> None:
    """`diya desk board`, `portfolio --out`, `verify`; a file that was changed does not verify."""
    town = sealing_town
    ports = town.gateway.ports
    settings = town.folder / "desk-client.toml"
    settings.write_text(client_settings("bank-a", "jiangyin", (ports["listen"], ports["public"], 0)))

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "--config", str(settings), *arguments),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    status, out = await run("desk", "board", "--json")
    assert (status, isinstance(json.loads(out), list)) == (0, True)
    status, out = await run("desk", "portfolio", "--out", "kept.json", "--json")
    assert status == 0, out
    status, shown = await run("desk", "verify", "kept.json", "--json")
    assert (status, json.loads(shown)) == (0, json.loads(out))
    changed = json.loads((tmp_path / "kept.json").read_text())
    changed["payloadType"] = "application/vnd.diya.daily.v1+json"
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    status, out = await run("desk", "verify", "changed.json")
    assert (status, "STATEMENT_INVALID" in out) == (1, True), out


async def test_payoff_watch_wakes_by_itself_and_survives_a_restart(own_folder: Path) -> None:
    """Reminded before the day and alarmed on it, by the clock alone; what was missed comes at the start."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        _, answer = await town.booked()
        name = answer.outcome.application
        due = clock() + dt.timedelta(days=30)
        await leave_a_payoff(town, name, due)
        [item] = await board(town, "bank-a", "jiangyin", name)
        assert (ground(item), item.overdue) == ("PAYOFF_DEADLINE", False)
        clock.move(26 * DAY_SECONDS)
        town.gateway.clockwork.look()
        await told(town, name, "PAYOFF_NEARS")
    clock.move(10 * DAY_SECONDS)
    async with town_of(own_folder, clock=clock) as town:
        await told(town, name, "PAYOFF_OVERDUE")
        [item] = await board(town, REGISTRAR_KEY, "jiangyin", name)
        assert (ground(item), item.overdue) == ("PAYOFF_DEADLINE", True)


async def told(town: Town, name: str, kind: str) -> None:
    """Wait for an event of an application."""
    client = await town.client("bank-a")
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.application == name and outcome_pb2.EventKind.Name(event.kind) == f"EVENT_KIND_{kind}":
                return
