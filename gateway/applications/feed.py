"""The counter's feed: gap-free, in its order, into the one order of everything (handbook 1.5). Pure.

One act, one entry. In order, it has its effect. Past a hole it is entered as evidence and the hole stops every
automatic decision of the registry; what must not be waited with (a restriction that was served, a place in the queue)
has its effect at once, the rest in the entry that closes the hole, in the order of the feed's own numbers.
"""

from __future__ import annotations

import datetime as dt

from gateway.applications.accepting import CLOCK_SKEW, check_in_time
from gateway.applications.counter import apply_counter
from gateway.applications.feed_book import FeedBook, FeedWorld
from gateway.applications.restrictions import apply_restriction
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    FeedApplied,
    FeedMoved,
    FeedTaken,
    LenderRead,
    RequestAnswered,
)
from gateway.cases.errors import CommandRefused
from gateway.cases.feed import AnyFeedAct, Notice, Restriction
from gateway.cases.model import Moment, Outcome, Result
from gateway.register.findings import Finding, Severity
from gateway.register.model import Value
from gateway.register.reasons import finding

#: This many acts may wait behind a hole; more would make the entry that closes it too large.
HELD_ACTS_MAX = 500


class FeedSequenceReused(CommandRefused):
    """The number came before, with other bytes."""

    reason = "FEED_SEQUENCE_REUSED"


class FeedGapTooLarge(CommandRefused):
    """Too much waits behind a hole."""

    reason = "FEED_GAP_TOO_LARGE"


class FeedActInvalid(CommandRefused):
    """The act cannot be of this feed; `field` names what to change."""

    reason = "FIELD_INVALID"


class NothingToRead(CommandRefused):
    """No notice of this institution is unread up to that number: nothing is entered."""

    reason = "STATE_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("没有待确认的通知", "no notice waits to be acknowledged")


class SignedFeedAct(Value, frozen=True, kw_only=True):
    """An act as it was signed: which system sends it, by what request, and how long it may be taken."""

    source: str
    act: AnyFeedAct
    request_id: str
    payload_sha256: str
    created_at: dt.datetime
    not_after: dt.datetime


def decide_feed(world: FeedWorld, signed: SignedFeedAct, moment: Moment) -> Decision:
    """What one act comes to. Raises a CommandRefused when it cannot be taken at all."""
    act, feed = signed.act, world.feed
    check_in_time(signed.created_at, signed.not_after, moment.now)
    _check_new(world, act, moment)
    book = FeedBook(world, moment, signed.source)
    in_order = act.sequence == feed.last + 1
    has_effect = in_order or act.has_effect_at_once
    taken = FeedTaken(
        sequence=act.sequence, payload_sha256=signed.payload_sha256, held=None if has_effect else act
    )
    if has_effect:
        _apply(book, act)
    stands = feed.taking(act.sequence, act.as_of)
    applied: list[AnyEffect] = []
    for number in range(feed.last + 1, stands.last + 1):
        held = world.held.get(number)
        if held is not None:
            _apply(book, held)
            applied.append(FeedApplied(sequence=number))
    if stands.missing:
        book.findings.append(_gap(stands.missing))
    effects: list[AnyEffect] = [
        RequestAnswered(
            institution=signed.source, request_id=signed.request_id, payload_sha256=signed.payload_sha256
        ),
        taken,
        FeedMoved(state=stands),
        *applied,
        *book.effects,
        *book.counters_moved(),
    ]
    outcome = Outcome(result=Result.DONE, application="", findings=tuple(book.findings), about=book.about)
    return Decision(kind=_kind(act), outcome=outcome, effects=tuple(effects))


def _kind(act: AnyFeedAct) -> str:
    """Kind of the entry; it says no more than the class of the act."""
    if isinstance(act, Restriction):
        return f"restriction.{act.verb.value.lower()}"
    if not act.case_number:
        return "counter.alive"
    return "counter.booked" if act.booked_at else "counter.closed" if act.closed else "counter.accepted"


def _check_new(world: FeedWorld, act: AnyFeedAct, moment: Moment) -> None:
    feed = world.feed
    if world.taken or act.sequence <= feed.last:
        raise FeedSequenceReused(
            f"序号 {act.sequence} 已报送，内容不同；已连续收到 {feed.last}",
            f"number {act.sequence} came before with other bytes; nothing is missing up to {feed.last}",
            lastSequence=str(feed.last),
        )
    if act.as_of > moment.now + CLOCK_SKEW:
        raise FeedActInvalid("数据截至时间在将来", "as_of lies in the future", field="as_of")
    if len(feed.ahead) >= HELD_ACTS_MAX and act.sequence > feed.last + 1 and act.sequence > feed.ahead[0]:
        raise FeedGapTooLarge(
            f"缺失序号 {feed.missing[0][0]}，其后已有 {len(feed.ahead)} 件等待；请先补报",
            f"number {feed.missing[0][0]} is missing and {len(feed.ahead)} acts wait behind it: send that first",
            missing=str(feed.missing[0][0]),
        )


def _gap(missing: tuple[tuple[int, int], ...]) -> Finding:
    numbers = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in missing[:10])
    return finding(
        "M-REFER",
        Severity.REFERS,
        field="sequence",
        zh=f"大厅数据缺失序号 {numbers}；补齐之前本登记机构停止自动决定",
        en=f"numbers {numbers} of the counter's feed are missing: no rule decides in this registry until they came",
    )


def _apply(book: FeedBook, act: AnyFeedAct) -> None:
    if isinstance(act, Restriction):
        apply_restriction(book, act)
    else:
        apply_counter(book, act)


def decide_read(
    institution: str, notices: tuple[Notice, ...], request_id: str, payload_sha256: str, moment: Moment
) -> Decision:
    """The lender states that it has read its events up to a number: the instant is kept (CC 423(4); EX 25)."""
    if not notices:
        raise NothingToRead
    effects: tuple[AnyEffect, ...] = (
        RequestAnswered(institution="", request_id=request_id, payload_sha256=payload_sha256),
        *(LenderRead(right_id=n.right_id, institution=institution, read_at=moment.now) for n in notices),
    )
    return Decision(kind="lender.read", outcome=Outcome(result=Result.DONE, application=""), effects=effects)
