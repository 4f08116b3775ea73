"""Golden scenarios of handbook 11 in which time passes or a court comes between, end to end over mutual TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from gateway.client import manifest as build
from gateway.client import operations
from gateway.client.session import Answer
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.kinds.law import CHINA
from gateway.pb.diya.v1 import (
    application_pb2,
    codes_pb2,
    common_pb2,
    finding_pb2,
    operations_pb2,
    outcome_pb2,
    register_pb2,
    terms_pb2,
)
from gateway.register.calendar import PACKAGED
from gateway.register.model import Party, PreNotice, SeizureKind
from gateway.register.sample import SampleUnit
from tests.integration.test_clockwork import heard, until
from tests.integration.test_desk_service import board, ground
from tests.integration.test_golden_modes import (
    Y,
    between_two_banks,
    people,
    release_by_a,
    sale_notice,
    whole,
)
from tests.support.calendars import published
from tests.support.dealing import (
    BALANCE_FEN,
    approve,
    citizen,
    codes,
    contracted,
    deal,
    mortgaged,
    offer_every_mode,
    owners,
    proof_of,
    ranks,
    state_of,
    taxed,
    told,
)
from tests.support.feeding import Counter, day, person, seizure, stamp
from tests.support.played import audited
from tests.support.stage import MovedClock, Town, town_of
from tests.support.steps import CLAIM_FEN, agreed, content, converted_mortgage, converted_sale, sold

pytestmark = pytest.mark.asyncio(loop_scope="session")

A, B = INSTITUTIONS["bank-a"], INSTITUTIONS["bank-b"]
DAY = 24 * 3600.0
PRE_NOTICE = codes_pb2.APPLICATION_KIND_PRE_NOTICE
Z = citizen(33, "次买受人")


async def test_8_claim_that_is_asked_for_and_never_comes_is_refused(own_folder: Path) -> None:
    """C-MISMATCH is asked about, nobody answers: R-NOT_SUPPLEMENTED by the clock, and the register is as it was."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        await offer_every_mode(town)
        unit, case = await between_two_banks(town)
        accepted = await case.filed(bound=(A,))
        assert accepted.result == "ACCEPTED", told(accepted)
        name = accepted.outcome.application
        registrar = await town.registrar(registry="jiangyin")
        await registrar.claim(await registrar.open(name))
        asked = finding_pb2.Finding(
            code="C-MISMATCH",
            rule="R-NO_CLAIM_ASSIGNMENT",
            file="CLAIM_ASSIGNMENT",
            article="CC 407; RD 69",
            zh="转让协议所载债权不是本抵押权担保的债权",
            en="the agreement assigns another claim",
        )
        answer = await registrar.request_supplement(await registrar.open(name), [asked])
        assert answer.result == "DONE", told(answer)
        clock.move(15 * DAY)
        town.gateway.clockwork.look()
        ended = await until(town, "bank-b", name, "REFUSED")
        assert [f.code for f in ended.findings] == ["R-NOT_SUPPLEMENTED"]
        state = await state_of(town, unit.unit_code)
        assert (owners(state), ranks(state)) == ([unit.owner.name], [(A.name, 1, 1)])


async def noted(town: Town, *, loan: bool = False) -> SampleUnit:
    """Y holds a sale pre-notice on S's flat, B one of the mortgage too."""
    unit = town.flat()
    steps = [sale_notice()]
    steps += [agreed(operations.pre_notice_of_mortgage(content(town, "Y", "B", CLAIM_FEN)))] if loan else []
    parties = {"S": unit.owner, "Y": Y, "B": B}
    await contracted(deal(town, unit, parties, *steps, kind=PRE_NOTICE)).booked()
    return unit


async def pre_seize(town: Town, unit: SampleUnit) -> None:
    """The court pre-seizes against Y."""
    served = town.clock() - dt.timedelta(seconds=1)
    against = seizure(unit.unit_code, Y, served, kind=register_pb2.SEIZURE_KIND_PRE_SEIZURE)
    entered = await Counter(town, "jiangyin").restrict(seizure=against)
    assert entered.result == "DONE"


async def pre_seized(town: Town, *, loan: bool = False) -> SampleUnit:
    """`noted`, and then the court."""
    unit = await noted(town, loan=loan)
    await pre_seize(town, unit)
    return unit


async def test_33_conversion_of_the_sale_turns_the_pre_seizure_into_a_seizure(fed_town: Town) -> None:
    """Alone it is booked: Y owns, the seizure lies on Y's flat and counts from the service of the pre-seizure."""
    town = fed_town
    unit = await pre_seized(town)
    before = await state_of(town, unit.unit_code)
    [was] = before.seizures
    step = converted_sale(proof_of(before, Y, PreNotice), unit)
    case = deal(town, unit, {"S": unit.owner, "Y": Y, "B": B}, step, kind=PRE_NOTICE)
    await taxed(contracted(case)).booked()
    state = await state_of(town, unit.unit_code)
    [now] = state.seizures
    assert (owners(state), state.pre_notices) == ([Y.name], ())
    assert (was.kind, now.kind) == (SeizureKind.PRE_SEIZURE, SeizureKind.SEIZURE)
    assert (now.served_at, now.until, now.from_pre_seizure) == (was.served_at, was.until, was.right_id)
    sale = deal(town, unit, {"S": Y, "Y": Z, "B": B}, sale_notice(), kind=PRE_NOTICE)
    barred = await contracted(sale).filed()
    assert ("N-BARRED", "R-SEIZED") in codes(barred), told(barred)


async def test_33_with_the_mortgage_the_whole_phase_is_a_persons(fed_town: Town) -> None:
    """Practice differs: nothing bars it, M-REFER, and what the registrar approves is booked in one."""
    town = fed_town
    unit = await pre_seized(town, loan=True)
    state = await state_of(town, unit.unit_code)
    steps = (
        converted_sale(proof_of(state, Y, PreNotice), unit),
        converted_mortgage(proof_of(state, B, PreNotice), content(town, "Y", "B", CLAIM_FEN)),
    )
    case = deal(town, unit, {"S": unit.owner, "Y": Y, "B": B}, *steps, kind=PRE_NOTICE)
    answer = await taxed(contracted(case)).filed()
    assert answer.result == "ACCEPTED", told(answer)
    assert ("M-REFER", "NOT_PRE_SEIZED") in codes(answer)
    assert (await approve(town, answer.outcome.application)).result == "BOOKED"
    after = await state_of(town, unit.unit_code)
    assert (owners(after), ranks(after)) == ([Y.name], [(B.name, 1, 1)])


def waived(proof: str) -> operations_pb2.Operation:
    """Y gives its pre-notice up."""
    return operations_pb2.Operation(
        reason="放弃",
        applicants=["Y"],
        pre_notice_release=operations_pb2.PreNoticeRelease(
            pre_notice=build.right(proof), ground=operations_pb2.RELEASE_GROUND_WAIVED, holders=["Y"]
        ),
    )


async def test_34_pre_seized_holder_gives_nothing_away_and_the_seller_sells_to_nobody_else(
    fed_town: Town,
) -> None:
    """Both N-BARRED by R-SEIZED at once, and nothing is in the register of it."""
    town = fed_town
    unit = await pre_seized(town)
    before = await state_of(town, unit.unit_code)
    release = deal(town, unit, {"Y": Y, "B": B}, waived(proof_of(before, Y, PreNotice)), kind=PRE_NOTICE)
    given_up = await release.filed()
    assert ("N-BARRED", "R-SEIZED") in codes(given_up), told(given_up)
    again = deal(town, unit, {"S": unit.owner, "Y": Z, "B": B}, sale_notice(), kind=PRE_NOTICE)
    sold_twice = await contracted(again).filed()
    assert ("N-BARRED", "R-SEIZED") in codes(sold_twice), told(sold_twice)
    assert await state_of(town, unit.unit_code) == before


async def test_34_release_accepted_before_the_pre_seizure_is_stopped_by_it(fed_town: Town) -> None:
    """After acceptance the same is R-SEIZED: a person holds it, and an approval does not book it."""
    town = fed_town
    unit = await noted(town)
    state = await state_of(town, unit.unit_code)
    release = deal(town, unit, {"Y": Y, "B": B}, waived(proof_of(state, Y, PreNotice)), kind=PRE_NOTICE)
    accepted = await release.filed()
    assert accepted.result == "ACCEPTED", told(accepted)
    await pre_seize(town, unit)
    refused = await approve(town, accepted.outcome.application)
    assert refused.result == "ACCEPTED"
    assert "R-SEIZED" in {f.code for f in refused.outcome.findings}, told(refused)
    assert [n.holders[0].key for n in (await state_of(town, unit.unit_code)).pre_notices] == [Y.key]


async def test_segmented_case_is_watched_until_the_old_mortgage_is_gone(own_folder: Path) -> None:
    """N29 mode 2: the old bank is reminded before the day of the payoff, everybody alarmed on it, and it stands on the
    registrar's board until the release is booked; then silence.
    """
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        await offer_every_mode(town)
        unit, proof = await mortgaged(town)
        steps = (sold(unit), operations.mortgage_first(content(town, "Y", "B", CLAIM_FEN)))
        first = await whole(deal(town, unit, people(unit), *steps, mode="ET_SEGMENTED"), proof).booked()
        name = first.outcome.application
        [item] = await board(town, "bank-a", "jiangyin", name)
        assert (ground(item), item.institution, item.overdue) == ("PAYOFF_DEADLINE", A.id_number, False)
        due = item.until.ToDatetime(dt.UTC)
        clock.move((due - dt.timedelta(days=5) - clock()).total_seconds())
        town.gateway.clockwork.look()
        for key in ("bank-a", "bank-b"):
            await heard(town, key, name, "PAYOFF_NEARS")
        clock.move((due - clock()).total_seconds())
        town.gateway.clockwork.look()
        for key in ("bank-a", "bank-b"):
            await heard(town, key, name, "PAYOFF_OVERDUE")
        [item] = await board(town, REGISTRAR_KEY, "jiangyin", name)
        assert (ground(item), item.overdue) == ("PAYOFF_DEADLINE", True)
        last = await released(town, unit, proof, name)
        assert last.result == "BOOKED"
        assert await board(town, REGISTRAR_KEY, "jiangyin", name) == []
        assert await payoff_events(town, name) == ["PAYOFF_NEARS", "PAYOFF_OVERDUE"]


async def test_release_outside_the_case_makes_the_money_payable_that_waits_for_it(own_folder: Path) -> None:
    """A releases alone, not as phase 2: when the watch looks, the leg falls due and is told to both banks."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        await offer_every_mode(town)
        unit, proof = await mortgaged(town)
        steps = (sold(unit), operations.mortgage_first(content(town, "Y", "B", CLAIM_FEN)))
        case = whole(deal(town, unit, people(unit), *steps, mode="ET_SEGMENTED"), proof)
        for payee, fen, trigger, purpose in (
            (A, BALANCE_FEN, terms_pb2.FUNDS_TRIGGER_MANUAL, terms_pb2.FUNDS_PURPOSE_PAYOFF),
            (unit.owner, 10_000_000, terms_pb2.FUNDS_TRIGGER_ON_RELEASE, terms_pb2.FUNDS_PURPOSE_PRICE),
        ):
            case.terms.funds_plan.legs.add(
                payer="B",
                payee="A" if payee is A else "S",
                payee_locked=True,
                amount=build.money(fen),
                trigger=trigger,
                purpose=purpose,
                account=terms_pb2.Account(holder_name=payee.name, number="6222000011112222"),
            )
        name = (await case.booked()).outcome.application
        client = await town.client("bank-b")
        [_, leg] = (await client.get_application(name)).funds_legs
        assert leg.state == application_pb2.FundsLegStanding.STATE_NOT_DUE
        [item] = await board(town, "bank-a", "jiangyin", name)
        alone = deal(
            town, unit, {"A": A}, release_by_a(town, proof), channel="bank-a",
            kind=codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE,
        )  # fmt: skip
        await alone.booked()
        clock.move((item.until.ToDatetime(dt.UTC) - dt.timedelta(days=5) - clock()).total_seconds())
        town.gateway.clockwork.look()
        for key in ("bank-a", "bank-b"):
            await heard(town, key, name, "FUNDS_LEG_DUE")
        [_, leg] = (await client.get_application(name)).funds_legs
        assert leg.state == application_pb2.FundsLegStanding.STATE_DUE
        assert await payoff_events(town, name) == []


async def released(town: Town, unit: SampleUnit, proof: str, case: str) -> Answer:
    """Phase 2: A releases alone."""
    step = release_by_a(town, proof)
    last = deal(town, unit, {"A": A}, step, mode="ET_SEGMENTED", channel="bank-a", case=case, phase=2)
    return await last.booked()


async def payoff_events(town: Town, name: str) -> list[str]:
    """What bank B was told of the payoff of a case, in order."""
    client = await town.client("bank-b")
    async with asyncio.timeout(20):
        kinds = [
            outcome_pb2.EventKind.Name(e.kind).removeprefix("EVENT_KIND_")
            async for e in client.watch_events(catch_up_only=True)
            if e.application == name
        ]
    return [kind for kind in kinds if kind.startswith("PAYOFF_")]


async def test_days_of_a_pre_sale_begin_with_the_first_registration_of_the_counter(own_folder: Path) -> None:
    """CC 221: the hand-over that was agreed passes and nothing is due; the counter books the building, the bank is told
    and warned 60 days later. A gateway that was down over the first registration learns it from the feed.
    """
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        operator = await town.operator()
        for year in {clock().year, clock().year + 1, clock().year + 2} - PACKAGED.years.keys():
            await operator.import_calendar(published(year).encode())
        code = town.flat().unit_code[:-4] + "9998"
        today = clock().astimezone(CHINA).date()
        agreed_on = today + dt.timedelta(days=10)
        told_unit = unbuilt(code, pre_notices=[pre_sale_mortgage(code, agreed_on)])
        counter = Counter(town, "jiangyin")
        noted = await counter.say(
            type=codes_pb2.REGISTRATION_TYPE_PRE_NOTICE,
            case_number="T-901",
            booked_at=stamp(clock()),
            units=[told_unit],
        )
        assert noted.outcome.findings == []
        registrar = await town.client(REGISTRAR_KEY)
        clock.move(150 * DAY)
        town.gateway.clockwork.look()
        [row] = (await registrar.get_unit(code)).unit_state.pre_notices
        assert (row.status, row.HasField("convertible_until")) == (register_pb2.PRE_NOTICE_STATUS_LIVE, False)
        booked = await counter.say(
            type=codes_pb2.REGISTRATION_TYPE_FIRST,
            case_number="T-902",
            booked_at=stamp(clock()),
            units=[unbuilt(code, ownerships=[first_title(code)])],
        )
        assert booked.outcome.findings == []
        assert [e.unit_code for e in await of_unit(town, code, "PRE_NOTICE_STANDS")] == [code]
        shown = (await registrar.get_unit(code)).unit_state
        first_day = clock().astimezone(CHINA).date()
        assert shown.unit.first_registered
        assert shown.pre_notices[0].registrable_from == day(first_day)
        sixty = dt.datetime.combine(first_day + dt.timedelta(days=60), dt.time(), CHINA)
        clock.move((sixty - clock()).total_seconds())
        town.gateway.clockwork.look()
        assert [e.unit_code for e in await of_unit(town, code, "PRE_NOTICE_LAPSING")] == [code]
    report = await asyncio.to_thread(audited, own_folder, "jiangyin")
    assert report.ok, report.divergences


def unbuilt(code: str, **rights: Any) -> register_pb2.UnitState:
    """A flat that the plans show."""
    return register_pb2.UnitState(
        unit=register_pb2.Unit(unit_code=code, location="示例路 9 号 998 室"), **rights
    )


def pre_sale_mortgage(code: str, registrable_from: dt.date) -> register_pb2.PreNotice:
    """B's, given by Y, with a day for the hand-over."""
    return register_pb2.PreNotice(
        unit_codes=[code],
        kind=codes_pb2.PRE_NOTICE_KIND_PRESALE_MORTGAGE,
        holders=[common_pb2.Person(name=B.name, identity=uscc(B))],
        obligors=[person(Y)],
        claim_amount=build.money(CLAIM_FEN),
        registrable_from=day(registrable_from),
        proof=common_pb2.CertificateReference(
            number="苏(2026)江阴市不动产证明第0990001号",
            scheme=common_pb2.CERTIFICATE_SCHEME_NATIONAL,
            medium=common_pb2.CERTIFICATE_MEDIUM_PAPER,
        ),
        status=register_pb2.PRE_NOTICE_STATUS_LIVE,
        booking=register_pb2.Booking(case_number="T-901", booked_by="大厅甲"),
    )


def uscc(party: Party) -> common_pb2.Identity:
    """An institution's number."""
    return common_pb2.Identity(kind=codes_pb2.ID_KIND_USCC, number=party.id_number)


def first_title(code: str) -> register_pb2.Ownership:
    """The developer's; a citizen's here, which is all one to the days."""
    return register_pb2.Ownership(
        unit_code=code,
        owners=[register_pb2.Owner(person=person(Z))],
        co_ownership=codes_pb2.CO_OWNERSHIP_SOLE,
        titles=[
            common_pb2.CertificateReference(
                number="苏(2026)江阴市不动产权第0990002号",
                scheme=common_pb2.CERTIFICATE_SCHEME_NATIONAL,
                medium=common_pb2.CERTIFICATE_MEDIUM_PAPER,
            )
        ],
        booking=register_pb2.Booking(case_number="T-902", booked_by="大厅甲"),
    )


async def of_unit(town: Town, code: str, kind: str) -> list[outcome_pb2.Event]:
    """The events of a kind that bank B is told of a unit, once there is one."""
    client = await town.client("bank-b")
    found = []
    async with asyncio.timeout(20):
        async for event in client.watch_events():
            if event.unit_code == code and event.kind == outcome_pb2.EventKind.Value(f"EVENT_KIND_{kind}"):
                found.append(event)
                return found
    raise AssertionError("the stream ended")
