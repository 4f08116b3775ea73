"""The 90 days of a pre-notice (CC 221; handbook 3.5): warnings, the presumption, the registrar who confirms it. Pure.

A pre-notice lapses when nobody applies within 90 days of the registration becoming possible. What follows from the
register is computed: the days of a pre-sale begin with the first registration that the counter books, never before,
whatever day was agreed. The rest (hand-over, a condition met) the register does not know of itself, so nothing ends by
the clock: its holders are warned at 60, 75 and 85 days; past the last day (rolled to a working day, CC 203) it is
*presumed* to have lapsed, and a registrar confirms it, or states from when it was registrable. In a year whose days off
nobody has published not even that: the last day is not known (handbook 10).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from gateway.applications.accepting import Answered, check_in_time
from gateway.applications.events import PRE_NOTICE_STANDS, counter_name
from gateway.applications.expiry import NothingDue
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    CertificateEnded,
    CounterMoved,
    EventRecorded,
    PreNoticeTermMoved,
    RequestAnswered,
    RightEnded,
)
from gateway.cases.errors import CommandRefused
from gateway.cases.model import Moment, OpenCase, Outcome, Result
from gateway.register.authority import Institution, Registrar
from gateway.register.calendar import CHINA, Calendar
from gateway.register.model import PreNotice, Value

#: Days after the registration became possible at which the holders are warned.
WARNINGS: Final = (60, 75, 85)

#: Why the row is historical, as the register says it.
LAPSED: Final = "预告登记失效（民法典第221条）"

_DAY: Final = dt.timedelta(days=1)


class NoticeWorld(Value, frozen=True, kw_only=True):
    """All that deciding on one pre-notice reads. `told` are the institutions that hold it or were shown its proof;
    `certificate` is its e-proof's identifier, empty for one that we did not issue.
    """

    notice: PreNotice
    is_registrable: bool = True  # its units have had their first registration
    calendar: Calendar
    open_cases: tuple[OpenCase, ...] = ()
    institutions: Mapping[str, Institution] = {}
    told: tuple[str, ...] = ()
    certificate: str = ""
    counters: Mapping[str, int] = {}


class TermAct(Value, frozen=True, kw_only=True):
    """A registrar's act on a pre-notice: it has lapsed, or, with `registrable_from`, from when it is registrable."""

    registrable_from: dt.date | None = None
    evidence: str = ""
    opinion: str = ""
    request_id: str
    payload_sha256: str
    created_at: dt.datetime
    not_after: dt.datetime


class NotYetRegistrable(NothingDue):
    """Its days do not run before the first registration of its unit, whose entry moves its term."""


class TermNotStated(CommandRefused):
    """The pre-notice is not live, or what is stated does not fit it; `field` names what."""

    reason = "FIELD_INVALID"


def due_at(notice: PreNotice, calendar: Calendar) -> dt.datetime | None:
    """When the clock next has something to say of it: a warning, or the presumption; None when it never has."""
    step = _next(notice, calendar)
    return None if step is None else _midnight(step[0])


def _next(notice: PreNotice, calendar: Calendar) -> tuple[dt.date, int] | None:
    """The day of the next step, and the warning that it is; 0 for the presumption."""
    if notice.registrable_from is None or notice.lapse_presumed_on is not None:
        return None
    for days in WARNINGS:
        if days > notice.warned_days:
            return notice.registrable_from + days * _DAY, days
    last, provisional = calendar.lapses_after(notice.registrable_from)
    return None if provisional else (last + _DAY, 0)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), CHINA).astimezone(dt.UTC)


# -- the clock -----------------------------------------------------------------------------------------------------


def decide_due(world: NoticeWorld, answered: Answered, moment: Moment) -> Decision:
    """What has come by now: the latest warning that is due, or the presumption. Raises NothingDue.

    Steps that were missed are not told one by one. While a case is open that names the pre-notice, whoever holds it has
    applied: nothing is presumed before that case has ended. Before the first registration nothing can be due at all.
    """
    notice, calendar = world.notice, world.calendar
    if not world.is_registrable:
        raise NotYetRegistrable
    today = moment.now.astimezone(CHINA).date()
    step = _next(notice, calendar)
    if step is None or today < step[0]:
        raise NothingDue
    assert notice.registrable_from is not None  # or there would be no step
    last, provisional = calendar.lapses_after(notice.registrable_from)
    if today > last and not provisional:
        if any(notice.identity in case.rights for case in world.open_cases):
            raise NothingDue
        moved = replace(notice, warned_days=WARNINGS[-1], lapse_presumed_on=today)
        return _told(world, "lapse_presumed", moved, "PRE_NOTICE_LAPSE_PRESUMED", answered, moment)
    elapsed = (today - notice.registrable_from).days
    warned = max(days for days in WARNINGS if days <= elapsed)
    if warned <= notice.warned_days:
        raise NothingDue
    return _told(
        world, "lapsing", replace(notice, warned_days=warned), "PRE_NOTICE_LAPSING", answered, moment
    )


# -- the registrar -------------------------------------------------------------------------------------------------


def decide_term_act(
    world: NoticeWorld | None, registrar: Registrar, act: TermAct, moment: Moment
) -> Decision:
    """The lapse is confirmed, or the 90 days run from another day. Raises CommandRefused."""
    check_in_time(act.created_at, act.not_after, moment.now)
    if world is None:
        raise TermNotStated(
            "该单元上没有此有效的预告登记", "no such live pre-notice lies on this unit", field="right_id"
        )
    answered = Answered(
        kind="",
        institution=registrar.registrar_id,
        request_id=act.request_id,
        payload_sha256=act.payload_sha256,
    )
    if act.registrable_from is None:
        return _confirm(world, registrar, answered, moment)
    return _registrable(world, act.registrable_from, answered, moment)


def _confirm(world: NoticeWorld, registrar: Registrar, answered: Answered, moment: Moment) -> Decision:
    """It ends, its proof is void, its holders are told (CC 221). Only past its last day, presumed or not."""
    notice = world.notice
    today = moment.now.astimezone(CHINA).date()
    runs_from = notice.registrable_from if world.is_registrable else None
    last = world.calendar.lapses_after(runs_from)[0] if runs_from else None
    if last is None or today <= last:
        raise TermNotStated(
            f"该预告登记的期限至 {last or '（可申请登记之日未定）'}，尚未届满",
            f"the term of this pre-notice has not run out: its last day is {last or 'not known'}",
            field="act",
        )
    if not registrar.may_book:
        raise TermNotStated(
            "您的权限限于审核；预告登记失效由登簿人员确认",
            "you may review, not book: a registrar who may book confirms a lapse",
            field="act",
        )
    ended: list[AnyEffect] = [
        RightEnded(
            right_id=notice.right_id,
            ended_at=moment.now,
            case_number="",
            reason=LAPSED,
            ended_by=registrar.name,
        )
    ]
    if world.certificate:
        ended.append(
            CertificateEnded(
                identifier=world.certificate, state="CANCELLED", case_number="", ended_at=moment.now
            )
        )
    return _answer(world, "lapse_confirmed", ended, "PRE_NOTICE_LAPSED", answered, moment)


def _registrable(world: NoticeWorld, day: dt.date, answered: Answered, moment: Moment) -> Decision:
    """The 90 days run from `day`; a presumption that rested on another day is gone."""
    notice = world.notice
    if day < notice.booked_at.astimezone(CHINA).date():
        raise TermNotStated(
            f"可申请登记之日 {day} 早于预告登记登簿之日",
            f"{day} lies before the booking of the pre-notice",
            field="registrable.registrable_from",
        )
    moved = _running_from(notice, day)
    return _told(world, "registrable", moved, PRE_NOTICE_STANDS, answered, moment)


def registrable_since(notice: PreNotice, first_registered_on: dt.date) -> PreNotice:
    """The pre-notice once its unit has had its first registration: registrable from then on, or from the later day
    that the parties agreed on (handbook 3.5).
    """
    return _running_from(notice, max(first_registered_on, notice.registrable_from or first_registered_on))


def _running_from(notice: PreNotice, day: dt.date) -> PreNotice:
    """The 90 days begin anew."""
    return replace(notice, registrable_from=day, warned_days=0, lapse_presumed_on=None)


# -- what it comes to ------------------------------------------------------------------------------------------------


def _told(
    world: NoticeWorld, kind: str, moved: PreNotice, event: str, answered: Answered, moment: Moment
) -> Decision:
    effect = PreNoticeTermMoved(
        right_id=moved.right_id,
        registrable_from=moved.registrable_from,
        warned_days=moved.warned_days,
        lapse_presumed_on=moved.lapse_presumed_on,
    )
    return _answer(world, kind, [effect], event, answered, moment)


def _answer(
    world: NoticeWorld,
    kind: str,
    effects: list[AnyEffect],
    event: str,
    answered: Answered,
    moment: Moment,
) -> Decision:
    """An entry of its own, of no case; one event for each registered institution behind the pre-notice."""
    request = RequestAnswered(
        institution=answered.institution,
        request_id=answered.request_id,
        payload_sha256=answered.payload_sha256,
    )
    events: list[AnyEffect] = []
    for uscc in world.told:
        name = counter_name(uscc)
        sequence = world.counters.get(name, 0) + 1
        events += [
            EventRecorded(
                institution=uscc,
                sequence=sequence,
                kind=event,
                application_id="",
                state="",
                at=moment.now,
                certificate=world.certificate,
                unit_code=world.notice.units[0],
            ),
            CounterMoved(name=name, value=sequence),
        ]
    return Decision(
        kind=f"pre_notice.{kind}",
        outcome=Outcome(result=Result.DONE, application=""),
        effects=(request, *effects, *events),
    )
