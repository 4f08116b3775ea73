"""CheckPayout: from a certificate's record, as of one entry, to a statement under the registry's seal."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from gateway.applications.payout import (
    VOIDED_BY,
    FeedState,
    PayoutFacts,
    conditions_of,
    secured_of,
)
from gateway.cases.errors import ApplicationNotFound, StateNotAllowed
from gateway.cases.model import Application, State
from gateway.cases.terms import FundsLeg, FundsPlan, FundsTrigger
from gateway.certificates.content import decode_content
from gateway.kinds.funds_due import LegStanding, standings
from gateway.pb.diya.v1 import certificate_service_pb2
from gateway.register.authority import Profile
from gateway.register.model import Mortgage, PreNotice
from gateway.rpc import encode
from gateway.rpc.case_view import Reader
from gateway.rpc.funds import plan_of
from gateway.rpc.names import malformed
from gateway.rpc.sealed_answers import SealedAnswers
from gateway.rpc.statements import profile_of
from gateway.statements.payout import HOLDS, PAYOUT_SCHEMA, Leg, PayoutStatement, Proof
from gateway.statements.signed import PAYOUT_TYPE
from gateway.storage.payout_reads import PayoutRecord
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings

_pb = certificate_service_pb2

#: So long a statement holds: time to pay out, and not to put it into a drawer.
VALID_FOR: Final = dt.timedelta(minutes=15)

_ACCOUNT_DIGITS_SHOWN: Final = 4


async def payout_check(
    request: Any,
    record: PayoutRecord,
    *,
    registry: str,
    reader: Reader,
    settings: Settings,
    queries: Queries,
    answers: SealedAnswers,
    now: dt.datetime,
) -> certificate_service_pb2.PayoutCheck:
    """The signed answer for one certificate."""
    profile = profile_of(registry, settings)
    plan = await plan_of(queries, record.application) if record.application else None
    facts = _facts(request, record, plan, profile, settings, reader, now)
    conditions = conditions_of(facts)
    content = decode_content(record.content)
    statement = PayoutStatement(
        schema=PAYOUT_SCHEMA,
        registry=registry,
        issuer_name=profile.authority_name,
        issuer_code=profile.authority_code,
        asked_by=reader.caller.id,
        application=record.application.name if record.application else "",
        case_number=content.case_number,
        proof=Proof(
            identifier=content.identifier,
            number=content.number,
            state=record.certificate["state"],
            content_sha256=record.content_sha256,
            pdf_sha256=record.certificate["pdf_sha256"] or "",
            index=record.certificate["entry_index"],
            part=record.certificate["part"],
        ),
        secured=secured_of(facts),
        safe=all(one.result == HOLDS for one in conditions),
        conditions=conditions,
        legs=_legs(plan, record),
        origin=record.head.origin,
        as_of_index=record.head.size - 1,
        as_of=record.head.head_time,
        as_of_hash=record.head.head_hash.hex(),
        made_at=now,
        valid_until=now + VALID_FOR,
        voided_by=VOIDED_BY,
        test=not profile.production,
    )
    made = await answers.statement(
        statement,
        PAYOUT_TYPE,
        kind="PAYOUT",
        asked_by=reader.caller.id,
        subject=content.identifier,
        index=statement.as_of_index,
    )
    return _pb.PayoutCheck(
        certificate=f"registries/{registry}/certificates/{content.identifier}",
        safe=statement.safe,
        statement=made.data,
        time_stamped=made.stamped is True,
        valid_until=encode.timestamp(statement.valid_until),
    )


async def proofs_of(queries: Queries, row: Application, reader: Reader) -> list[PayoutRecord]:
    """The records of the proofs that a booked application brought of rights that the reader holds, by number.

    Raises StateNotAllowed before its booking, ApplicationNotFound where none is the reader's.
    """
    if row.state is not State.BOOKED:
        raise StateNotAllowed("CheckPayout", row.state.value, (State.BOOKED.value,))
    records = [await queries.payout_record(row.registry, one) for one in row.certificates]
    own = [r for r in records if r is not None and r.right is not None and _is_holder(r, reader)]
    if not own:
        raise ApplicationNotFound(row.name, "application")
    return sorted(own, key=lambda record: str(record.certificate["number"]))


def check_expectations(request: Any) -> None:
    """What the lender's file expects cannot be below zero."""
    for name in ("expected_amount_fen", "expected_rank"):
        if getattr(request, name) < 0:
            raise malformed(name, "不得小于零", "must not be below zero")


def feed_of(settings: Settings, profile: Profile, now: dt.datetime) -> FeedState | None:
    """Where the counter's feed stands; None where nothing of one has come; the profile says whether one is to."""
    feed, lag = settings.feed, profile.counter_feed_max_lag_minutes
    if feed.as_of is None and not feed.ahead:
        return None
    return FeedState(as_of=feed.as_of, stopped=feed.is_gap(lag, now))


def _facts(
    request: Any,
    record: PayoutRecord,
    plan: FundsPlan | None,
    profile: Profile,
    settings: Settings,
    reader: Reader,
    now: dt.datetime,
) -> PayoutFacts:
    return PayoutFacts(
        certificate_state=record.certificate["state"],
        right=record.right,
        live=record.live,
        booked_index=record.booked_index,
        units=record.units,
        open_cases=record.open_cases,
        application=record.application,
        asking=reader.codes,
        pays_on_pre_notice=plan is not None
        and any(leg.trigger is FundsTrigger.ON_PRE_NOTICE for leg in plan.legs),
        feed_expected=profile.counter_feed_max_lag_minutes > 0,
        feed=feed_of(settings, profile, now),
        expected_amount_fen=request.expected_amount_fen,
        expected_rank=request.expected_rank,
    )


def _legs(plan: FundsPlan | None, record: PayoutRecord) -> tuple[Leg, ...]:
    if plan is None or record.application is None:
        return ()
    stand = standings(plan, record.application, record.phases, record.sealed_at)
    return tuple(_leg(leg, standing) for leg, standing in zip(plan.legs, stand, strict=True))


def _leg(leg: FundsLeg, standing: LegStanding) -> Leg:
    return Leg(
        leg=standing.leg,
        trigger=standing.trigger.value,
        state=standing.state.value,
        purpose=leg.purpose.value,
        amount_fen=leg.amount_fen,
        payer=leg.payer.name,
        payee=leg.payee.name,
        payee_locked=leg.payee_locked,
        account_ending=leg.account.number[-_ACCOUNT_DIGITS_SHOWN:],
        since=standing.since,
        zh=standing.zh,
        en=standing.en,
    )


def _is_holder(record: PayoutRecord, reader: Reader) -> bool:
    match record.right:
        case Mortgage():
            holders = record.right.mortgagees
        case PreNotice():
            holders = record.right.holders
        case _:
            return False
    return any(p.is_institution and p.id_number in reader.codes for p in holders)
