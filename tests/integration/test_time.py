"""Working days, deadlines and what passes with them, over the wire, with a moved clock and no sleeping."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest

from gateway.client.errors import RequestError
from gateway.client.session import Answer
from gateway.demo.cases import Filing as DemoFiling
from gateway.demo.stage import OPERATOR_KEY, REGISTRAR_KEY
from gateway.pb.diya.v1 import (
    application_pb2,
    certificate_pb2,
    codes_pb2,
    outcome_pb2,
    register_pb2,
    review_service_pb2,
    review_service_pb2_grpc,
)
from gateway.register.calendar import CHINA, PACKAGED, Calendar, OfficeHours, read_table
from gateway.register.sample import SampleUnit
from gateway.rpc.encode import date
from tests.integration.test_cli_acts import Desk
from tests.integration.test_metrics import scrape
from tests.support.calendars import december, published
from tests.support.played import audited
from tests.support.stage import MovedClock, Town, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

Kind = outcome_pb2.EventKind


def clock_in_december() -> tuple[MovedClock, dt.date]:
    """A clock at noon of a 10 December whose following year nobody has published yet."""
    clock = MovedClock()
    day = december(clock().astimezone(CHINA).date())
    noon = dt.datetime.combine(day, dt.time(12), CHINA)
    clock.move((noon - clock()).total_seconds())
    return clock, day


async def promise_nothing(town: Town) -> None:
    """The registry promises no more than the statute's 30 working days."""
    operator = await town.operator("taizhou")
    profile = (await operator.get_profile()).profile
    profile.version += 1
    profile.source = "IR 20"
    profile.ClearField("promises")
    await operator.set_profile(profile)


async def told(town: Town, key: str, name: str, kind: str, registry: str = "taizhou") -> outcome_pb2.Event:
    """The event of a kind on a case: woken by it, not by sleeping."""
    client = await town.client(key, registry)
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.application == name and event.kind == Kind.Value(f"EVENT_KIND_{kind}"):
                return event
    raise AssertionError("the stream ended")


async def kinds(town: Town, name: str) -> list[str]:
    """What bank A was told of a case."""
    client = await town.client("bank-a", "taizhou")
    events = [e async for e in client.watch_events(catch_up_only=True)]
    return [Kind.Name(e.kind).removeprefix("EVENT_KIND_") for e in events if e.application == name]


async def import_years(town: Town, *years: int) -> Calendar:
    """The operator imports tables; the calendar that is then in force."""
    operator = await town.operator("taizhou")
    tables = {year: published(year) for year in years}
    for year, table in tables.items():
        done = await operator.import_calendar(table.encode(), f"通知 {year}")
        assert (done.value.year, done.receipt is not None) == (year, True)
    return PACKAGED.with_years(Calendar(years=dict(read_table(t.splitlines()) for t in tables.values())))


def warned(row: application_pb2.Application) -> bool:
    """Whether the case says that a limit is provisional."""
    return "W-PROVISIONAL_DATE" in {f.code for f in row.findings}


async def test_import_of_a_year_makes_deadlines_certain(own_folder: Path) -> None:
    """Golden 41: accepted before the next year is published; provisional, computed anew on import, and told."""
    clock, day = clock_in_december()
    async with town_of(own_folder, clock=clock) as town:
        _, promised = await town.in_review()
        assert not promised.outcome.deadline_provisional
        assert promised.outcome.statutory_deadline_provisional
        await promise_nothing(town)
        _, answer = await town.in_review()
        name = answer.outcome.application
        assert answer.outcome.deadline_provisional
        assert answer.outcome.deadline == answer.outcome.statutory_deadline
        assert "W-PROVISIONAL_DATE" in {f.code for f in answer.outcome.findings}
        client = await town.client("bank-a", "taizhou")
        assert warned(await client.get_application(name))
        calendar = await import_years(
            town, day.year + 1, *([] if PACKAGED.is_known_year(day.year) else [day.year])
        )
        event = await told(town, "bank-a", name, "DEADLINE_CHANGED")
        row = await client.get_application(name)
        assert row.statutory_deadline == date(calendar.add_working_days(day, 30)[0])
        assert row.statutory_deadline != answer.outcome.statutory_deadline
        assert not row.statutory_deadline_provisional
        assert not row.deadline_provisional
        assert not warned(row)
        assert (event.state, event.index) == (answer.outcome.state, row.last_index)
        shown = await (await town.operator("taizhou")).get_calendar()
        assert day.year + 1 in shown.calendar.years
        assert not shown.calendar.ending


async def test_calendar_outlives_the_gateway_and_a_crash_before_the_deadlines(own_folder: Path) -> None:
    """What an import left to do is found at the next start; the calendar is one of the registry's settings."""
    clock, day = clock_in_december()
    async with town_of(own_folder, clock=clock) as town:
        _, answer = await town.in_review()
        await town.gateway.clockwork.stop()  # as if it had died between the two entries
        calendar = await import_years(town, day.year, day.year + 1)
        assert "DEADLINE_CHANGED" not in await kinds(town, answer.outcome.application)
    async with town_of(own_folder, clock=clock) as town:
        await told(town, "bank-a", answer.outcome.application, "DEADLINE_CHANGED")
        _, later = await town.in_review()
        assert later.outcome.statutory_deadline == date(calendar.add_working_days(day, 30)[0])
        assert not later.outcome.statutory_deadline_provisional


async def test_table_that_no_council_published_is_refused_whole(own_folder: Path) -> None:
    """The line is named, nothing is kept; the calendar stands as it was."""
    async with town_of(own_folder) as town:
        before = town.ledger_size("taizhou")
        operator = await town.operator("taizhou")
        table = published(2041).replace(",Tue,holiday", ",Wed,holiday", 1)
        with pytest.raises(RequestError) as caught:
            await operator.import_calendar(table.encode())
        assert caught.value.reason == "FIELD_INVALID"
        [(field, words)] = caught.value.violations
        assert field == "table"
        assert "line " in words
        assert town.ledger_size("taizhou") == before


async def test_operator_imports_and_looks_by_commands(own_folder: Path, tmp_path: Path) -> None:
    """`diya calendar import FILE.csv` and `show`, as an operator types them; a mistyped file ends with a status."""
    table = tmp_path / "calendar_2041.csv"
    table.write_text(published(2041), encoding="utf-8")
    async with town_of(own_folder) as town:
        desk = Desk(town, tmp_path, OPERATOR_KEY)
        done = await desk.json("calendar", "import", str(table), "--source", "通知")
        assert done["year"] == 2041
        assert 2041 in (await desk.json("calendar", "show"))["calendar"]["years"]
        status, out, _ = await desk.run("calendar", "show")
        assert status == 0
        assert "2041" in out
        table.write_text("date\n", encoding="utf-8")
        status, _, err = await desk.run("calendar", "import", str(table))
        assert status != 0
        assert "FIELD_INVALID" in err
        status, _, err = await desk.run("calendar", "import", str(tmp_path / "none.csv"))
        assert status != 0
        assert "none.csv" in err


async def test_case_that_is_late_is_on_record_once(own_folder: Path) -> None:
    """The promise of two working days passes: an entry, an event and a metric; the case goes on."""
    clock, _ = clock_in_december()
    async with town_of(own_folder, clock=clock) as town:
        _, answer = await town.in_review()
        name, last = answer.outcome.application, answer.outcome.deadline
        before = (await scrape(town)).of("diya_deadline_breached_total", registry="taizhou", kind="MORTGAGE")
        over = dt.datetime(last.year, last.month, last.day, tzinfo=CHINA) + dt.timedelta(days=1)
        clock.move((over - clock()).total_seconds())
        town.gateway.clockwork.look()
        event = await told(town, "bank-a", name, "DEADLINE_BREACHED")
        row = await (await town.client("bank-a", "taizhou")).get_application(name)
        assert row.deadline_breached_at == event.time
        assert row.state == answer.outcome.state
        clock.move(3 * 24 * 3600.0)
        review = await town.registrar()
        await review.claim(await review.open(name))
        approved = await review.approve(await review.open(name))
        assert approved.result == "BOOKED"
        assert (await kinds(town, name)).count("DEADLINE_BREACHED") == 1
        found = await scrape(town)
        assert found.of("diya_deadline_breached_total", registry="taizhou", kind="MORTGAGE") == before + 1
        assert found.of("diya_calendar_ending", registry="taizhou") == 1


async def test_promise_of_half_a_day_is_told_to_the_hour_and_kept_to_it(own_folder: Path) -> None:
    """Answer, case and receipt say the instant; a second before it nothing is late, at it the breach is on record."""
    clock, _ = clock_in_december()
    async with town_of(own_folder, clock=clock) as town:
        operator = await town.operator("taizhou")
        profile = (await operator.get_profile()).profile
        profile.version += 1
        profile.source = "服务承诺（2026-01-01）"
        profile.ClearField("promises")
        profile.promises.add(operation=codes_pb2.OPERATION_KIND_MORTGAGE_FIRST, working_hours=4)
        await operator.set_profile(profile)
        _, answer = await town.in_review()
        name, until = answer.outcome.application, answer.outcome.deadline_at.ToDatetime(dt.UTC)
        accepted = answer.outcome.accepted_at.ToDatetime(dt.UTC)
        calendar = town.gateway.sequencer.settings("taizhou").calendar_in_force
        assert until == calendar.add_office_time(accepted, dt.timedelta(hours=4), OfficeHours())[0]
        client = await town.client("bank-a", "taizhou")
        assert (await client.get_application(name)).deadline_at == answer.outcome.deadline_at
        opened = {opening.name: opening.content for opening in answer.outcome.receipt.openings}
        assert json.loads(opened["outcome"])["deadline_at"] == until.isoformat().replace("+00:00", "Z")
        clock.move((until - clock()).total_seconds() - 1)
        town.gateway.clockwork.look()
        assert "DEADLINE_BREACHED" not in await kinds(town, name)
        clock.move(1)
        town.gateway.clockwork.look()
        event = await told(town, "bank-a", name, "DEADLINE_BREACHED")
        assert abs(event.time.ToDatetime(dt.UTC) - until) < dt.timedelta(minutes=1)


async def test_day_stated_anew_is_warned_of_anew(own_folder: Path, tmp_path: Path) -> None:
    """A registrar restates the very day after a warning: the days run anew and the warning comes again."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        today = clock().astimezone(CHINA).date()
        operator = await town.operator()
        for year in {today.year, today.year + 1} - PACKAGED.years.keys():
            await operator.import_calendar(published(year).encode())
        unit, _ = await pre_noticed(town, tmp_path)
        clock.move(61 * 24 * 3600.0)
        town.gateway.clockwork.look()
        await told_of_unit(town, unit, "PRE_NOTICE_LAPSING", 2)
        registrar = await town.client(REGISTRAR_KEY)
        [sale, _] = (await registrar.get_unit(unit.unit_code)).unit_state.pre_notices
        review = await town.registrar(registry="jiangyin")
        stood = await review.registrable(unit.unit_code, sale.right_id, today, "合同约定的交付日")
        assert stood.result == "DONE"
        clock.move(1)
        town.gateway.clockwork.look()
        assert len(await told_of_unit(town, unit, "PRE_NOTICE_LAPSING", 3)) == 3


async def pre_noticed(town: Town, folder: Path) -> tuple[SampleUnit, Answer]:
    """A sale and its mortgage pre-noticed today, by rule: registrable from now on (handbook 3.5)."""
    client = await town.client("bank-b")
    flat, buyer = town.flat(), town.flat().owner
    filing = DemoFiling(town.stage, client, "bank-b", "bank-b", folder / "papers", town.clock())
    answer = await filing.pre_notices(flat, buyer, 180_000_000, 90_000_000)
    assert answer.result == "BOOKED", answer.outcome.findings
    return flat, answer


async def told_of_unit(town: Town, unit: SampleUnit, kind: str, times: int) -> list[outcome_pb2.Event]:
    """The events of a kind that bank B is told of a unit, once there are so many."""
    client = await town.client("bank-b")
    found = []
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.unit_code == unit.unit_code and event.kind == Kind.Value(f"EVENT_KIND_{kind}"):
                found.append(event)
                if len(found) == times:
                    return found
    raise AssertionError("the stream ended")


async def test_pre_notice_is_warned_of_presumed_lapsed_and_ended_by_a_registrar(
    own_folder: Path, tmp_path: Path
) -> None:
    """Golden 16 with a moved clock: 60, 75, 85 days, the day after the rolled last one; never without a person."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        today = clock().astimezone(CHINA).date()
        operator = await town.operator()
        for year in {today.year, today.year + 1} - PACKAGED.years.keys():
            await operator.import_calendar(published(year).encode())
        calendar = town.gateway.sequencer.settings("jiangyin").calendar_in_force
        unit, answer = await pre_noticed(town, tmp_path)
        last, provisional = calendar.lapses_after(today)
        assert not provisional
        for number, days in enumerate((60, 75, 85), start=1):
            midnight = dt.datetime.combine(today + dt.timedelta(days=days), dt.time(), CHINA)
            clock.move((midnight - clock()).total_seconds())
            town.gateway.clockwork.look()
            events = await told_of_unit(town, unit, "PRE_NOTICE_LAPSING", 2 * number)
        assert {e.certificate for e in events[-2:]} == {c.name for c in answer.outcome.certificates}
        registrar = await town.client(REGISTRAR_KEY)
        [sale, loan] = (await registrar.get_unit(unit.unit_code)).unit_state.pre_notices
        assert {sale.status, loan.status} == {register_pb2.PRE_NOTICE_STATUS_LIVE}
        assert sale.convertible_until == date(last)
        review = await town.registrar(registry="jiangyin")
        with pytest.raises(RequestError) as caught:
            await review.confirm_lapse(unit.unit_code, loan.right_id)
        assert caught.value.reason == "FIELD_INVALID"
        over = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), CHINA)
        clock.move((over - clock()).total_seconds())
        town.gateway.clockwork.look()
        await told_of_unit(town, unit, "PRE_NOTICE_LAPSE_PRESUMED", 2)
        [sale, loan] = (await registrar.get_unit(unit.unit_code)).unit_state.pre_notices
        assert {sale.status, loan.status} == {register_pb2.PRE_NOTICE_STATUS_LAPSED_PRESUMED}
        done = await review.confirm_lapse(unit.unit_code, loan.right_id, opinion="逾期未申请本登记")
        assert (done.result, done.receipt is not None) == ("DONE", True)
        [event] = await told_of_unit(town, unit, "PRE_NOTICE_LAPSED", 1)
        stood = await review.registrable(unit.unit_code, sale.right_id, last, "补充协议约定的交付日")
        assert stood.result == "DONE"
        [sale] = (await registrar.get_unit(unit.unit_code)).unit_state.pre_notices
        assert (sale.status, sale.registrable_from) == (register_pb2.PRE_NOTICE_STATUS_LIVE, date(last))
        bank = await town.client("bank-b")
        ended = await bank.get_certificate(event.certificate)
        assert ended.certificate.state == certificate_pb2.Certificate.STATE_CANCELLED
    report = await asyncio.to_thread(audited, own_folder, "jiangyin")
    assert report.ok, report.divergences


async def test_term_of_a_pre_notice_is_stated_by_commands_and_by_registrars_alone(
    own_folder: Path, tmp_path: Path
) -> None:
    """`diya review registrable` and `confirm-lapse`; whoever has no right to it is told so."""
    async with town_of(own_folder) as town:
        unit, _ = await pre_noticed(town, tmp_path)
        client = await town.client(REGISTRAR_KEY)
        [sale, _] = (await client.get_unit(unit.unit_code)).unit_state.pre_notices
        desk = Desk(town, tmp_path, REGISTRAR_KEY)
        day = (town.clock().astimezone(CHINA).date() + dt.timedelta(days=30)).isoformat()
        words = ("--from", day, "--evidence", "首次登记")
        done = await desk.json("review", "registrable", unit.unit_code, sale.right_id, *words)
        assert done["outcome"]["result"] == "OUTCOME_RESULT_DONE", done
        status, _, err = await desk.run("review", "confirm-lapse", unit.unit_code, sale.right_id)
        assert status != 0
        assert "FIELD_INVALID" in err
        stub = town.stub(review_service_pb2_grpc.ReviewServiceStub, "bank-b")
        request = review_service_pb2.StatePreNoticeTermRequest(parent="registries/jiangyin")
        await town.refusal(lambda: stub.StatePreNoticeTerm(request), "PERMISSION_DENIED")
