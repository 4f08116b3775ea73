"""A registrar's acts on a case: claim, unclaim, ask for papers, approve, refuse, suspend, resume. Pure.

An approval is checked against the register again in its own commit (EX 23): what bars it now is told to the registrar
and nothing is booked. What a rule would have referred to a person is the registrar's to weigh; what the law blocks is
nobody's.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from msgspec.structs import replace

from gateway.applications import booking
from gateway.applications.accepting import (
    QUEUE,
    Answered,
    case_of,
    check_in_time,
    record,
    state_for_a_person,
)
from gateway.applications.gates import in_the_way
from gateway.applications.own_case import check_not_own
from gateway.cases.decision import Decision
from gateway.cases.errors import CommandRefused, StateNotAllowed
from gateway.cases.model import Application, Manifest, Moment, Paper, Result, State, World
from gateway.register.authority import Registrar
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Value
from gateway.register.reasons import REASONS, finding


class Verb(StrEnum):
    """What a registrar does."""

    CLAIM = "CLAIM"
    UNCLAIM = "UNCLAIM"
    REQUEST_SUPPLEMENT = "REQUEST_SUPPLEMENT"
    APPROVE = "APPROVE"
    REFUSE = "REFUSE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"


#: States in which each verb is possible (handbook 3.6). What waits at a gate is booked by the act that opens it, and
#: what runs out its deadline is ended by the gateway itself: no registrar's act is needed there.
ALLOWED: dict[Verb, tuple[State, ...]] = {
    Verb.CLAIM: (State.ACCEPTED, State.IN_REVIEW, State.SUSPENDED),
    Verb.UNCLAIM: (State.IN_REVIEW, State.SUSPENDED),
    Verb.REQUEST_SUPPLEMENT: (State.IN_REVIEW,),
    Verb.APPROVE: (State.IN_REVIEW,),
    Verb.REFUSE: (State.IN_REVIEW,),
    Verb.SUSPEND: (State.IN_REVIEW,),
    Verb.RESUME: (State.SUSPENDED,),
}

#: These decide nothing: whoever takes a case or gives it back need not have read it to its end.
_UNREAD = frozenset({Verb.CLAIM, Verb.UNCLAIM})


class Act(Value, frozen=True, kw_only=True):
    """One signed act. `seen` is the last entry index of the case that the registrar had seen."""

    verb: Verb
    application_id: str
    manifest_sha256: str
    seen: int
    opinion: str = ""
    book: bool = True
    grounds: tuple[Finding, ...] = ()
    requests: tuple[Finding, ...] = ()
    deadline: dt.datetime | None = None  # of a supplement; the profile's when None
    reason_code: str = ""
    request_id: str
    payload_sha256: str
    created_at: dt.datetime
    not_after: dt.datetime
    signer_numbers: tuple[str, ...] = ()  # identity numbers in the certificates that signed


class ManifestMismatch(CommandRefused):
    """The act names another manifest than the one in force."""

    reason = "MANIFEST_MISMATCH"


class SeenIndexStale(CommandRefused):
    """Something happened to the case that the registrar had not seen."""

    reason = "SEEN_INDEX_STALE"


class ClaimedByOther(CommandRefused):
    """Another registrar has the case, or nobody has claimed it yet."""

    reason = "CLAIMED_BY_OTHER"


class GroundsMissing(CommandRefused):
    """A refusal or a request for papers that says nothing, or a deadline that has passed."""

    reason = "FIELD_INVALID"


class SecondPersonRequired(CommandRefused):
    """The profile asks for two persons, or this one may only review (handbook 1.4)."""

    reason = "SECOND_PERSON_REQUIRED"


def decide_review(
    world: World,
    registrar: Registrar,
    row: Application,
    manifest: Manifest,
    papers: tuple[Paper, ...],
    act: Act,
    moment: Moment,
    *,
    units_index: int = -1,
) -> Decision:
    """What one act comes to. Raises a CommandRefused when it cannot be taken at all.

    `units_index` is the last entry in which a right on a unit of the case began or ended.
    """
    check_in_time(act.created_at, act.not_after, moment.now)
    _check_possible(registrar, row, act, units_index)
    if act.verb is not Verb.UNCLAIM:  # whoever has to keep away must be able to give the case back
        books = act.verb is Verb.APPROVE and act.book
        check_not_own(world, registrar, row, manifest, act.signer_numbers, books=books)
    match act.verb:
        case Verb.CLAIM:
            return _handed(world, registrar, row, registrar.registrar_id, act, moment)
        case Verb.UNCLAIM:
            return _handed(world, registrar, row, "", act, moment)
        case Verb.SUSPEND:
            suspended = replace(row, state=State.SUSPENDED, suspension=act.reason_code)
            return _moved(world, registrar, suspended, act, moment, tells="", findings=_why(act))
        case Verb.RESUME:
            resumed = replace(row, state=State.IN_REVIEW, suspension="")
            return _moved(world, registrar, resumed, act, moment, tells="RESUMED")
        case Verb.REQUEST_SUPPLEMENT:
            return _ask(world, registrar, row, act, moment)
        case Verb.REFUSE:
            return _refuse(world, registrar, row, papers, act, moment)
        case Verb.APPROVE:
            return _approve(world, registrar, row, manifest, papers, act, moment)


def _check_possible(registrar: Registrar, row: Application, act: Act, units_index: int) -> None:
    if row.state not in ALLOWED[act.verb]:
        raise StateNotAllowed(act.verb.value, row.state.value, tuple(s.value for s in ALLOWED[act.verb]))
    if act.manifest_sha256 != row.payload_sha256:
        raise ManifestMismatch(
            "所签行为针对的清单不是现行清单；请重新读取后再签",
            "the act names another manifest than the one in force",
        )
    last = max(row.last_index, units_index)
    if act.seen < last and act.verb not in _UNREAD:
        raise SeenIndexStale(
            f"案件或者其单元在您查看之后有变动（第 {last} 号记录）；请重新查看后再签",
            f"entry {last}, on the case or its units, came after what you had seen; look again, then sign again",
            lastIndex=str(last),
        )
    mine = row.claimed_by == registrar.registrar_id
    if (act.verb is Verb.CLAIM and row.claimed_by and not mine) or (act.verb is not Verb.CLAIM and not mine):
        holder = row.claimed_by or "-"
        raise ClaimedByOther(
            f"案件由 {holder} 领取；须由领取人办理（先领取）",
            f"the case is claimed by {holder}; claim it first, only its holder acts on it",
            claimedBy=row.claimed_by,
        )


def _handed(
    world: World, registrar: Registrar, row: Application, holder: str, act: Act, moment: Moment
) -> Decision:
    """The case gets a holder, or none; the institutions are told when that moves its state (handbook 3.6)."""
    row = replace(row, claimed_by=holder)
    if row.state is State.SUSPENDED:
        return _moved(world, registrar, row, act, moment)
    state = state_for_a_person(row)
    tells = "" if state is not row.state else None
    return _moved(world, registrar, replace(row, state=state), act, moment, tells=tells)


def _refuse(
    world: World, registrar: Registrar, row: Application, papers: tuple[Paper, ...], act: Act, moment: Moment
) -> Decision:
    """Refusal in writing, with its grounds (IR 22)."""
    if not act.grounds:
        raise GroundsMissing("不予登记须写明理由", "a refusal needs at least one ground", field="grounds")
    closed = replace(
        row, state=State.REFUSED, reviewed_by=registrar.registrar_id, decided_at=moment.now, claimed_by=""
    )
    return _moved(
        world,
        registrar,
        closed,
        act,
        moment,
        tells="",
        result=Result.REFUSED,
        findings=act.grounds,
        frees=papers,
    )


def _ask(world: World, registrar: Registrar, row: Application, act: Act, moment: Moment) -> Decision:
    """Ask for papers, once and for everything (IR 17(3)): place kept, clock stopped, deadline (handbook 3.6)."""
    until = act.deadline or moment.now + dt.timedelta(days=world.profile.supplement_days)
    if not act.requests:
        raise GroundsMissing(
            "补正通知须列明所需材料", "a request for papers names at least one", field="requests"
        )
    if until <= moment.now:
        raise GroundsMissing("补正期限须在将来", "the deadline must lie in the future", field="deadline")
    asked = replace(
        row,
        state=State.SUPPLEMENT_REQUESTED,
        supplement_asked=act.payload_sha256,
        supplement_until=until,
        clock_stopped_on=moment.now.astimezone(CHINA).date(),
        clock_stopped_at=moment.now,
    )
    return _moved(world, registrar, asked, act, moment, tells="", findings=act.requests)


def _why(act: Act) -> tuple[Finding, ...]:
    """The reason of a suspension as the institutions are told it. Raises GroundsMissing for an unknown code."""
    if not act.reason_code.startswith("S-") or act.reason_code == QUEUE or act.reason_code not in REASONS:
        raise GroundsMissing(
            f"中止理由代码 {act.reason_code} 无效",
            f"{act.reason_code!r} is no reason for which a registrar suspends",
            field="reason_code",
        )
    return (finding(act.reason_code, Severity.WAITS),)


def _approve(
    world: World,
    registrar: Registrar,
    row: Application,
    manifest: Manifest,
    papers: tuple[Paper, ...],
    act: Act,
    moment: Moment,
) -> Decision:
    if not act.book:
        reviewed = replace(row, reviewed_by=registrar.registrar_id, claimed_by="")
        return _moved(world, registrar, reviewed, act, moment)
    if not registrar.may_book:
        raise SecondPersonRequired(
            "您的权限限于审核；请以 book=false 同意，由登簿人员登簿",
            "you may review, not book: approve with book=false, and a registrar who may book goes on",
        )
    if world.profile.two_person_review and row.reviewed_by in ("", registrar.registrar_id):
        raise SecondPersonRequired(
            "本登记机构要求审核与登簿由两人办理；请以 book=false 同意后交还，由另一登簿人员领取并登簿",
            "this registry asks for two persons: one approves with book=false and gives the case back, and another "
            "registrar who may book claims and books it",
        )
    case = case_of(world, row, manifest, papers, moment.now)
    stands = in_the_way(world, case)
    if stands:
        waits = all(f.severity is Severity.WAITS for f in stands)
        put = replace(row, state=State.SUSPENDED, suspension=QUEUE) if waits else row
        tells = "" if waits else None
        return _moved(
            world, registrar, put, act, moment, tells=tells, result=Result.ACCEPTED, findings=stands
        )
    reviewed = replace(row, reviewed_by=row.reviewed_by or registrar.registrar_id, disputes=())
    settled = booking.book_or_wait(world, case, reviewed, moment, registrar.name)
    return _moved(
        world,
        registrar,
        settled.row,
        act,
        moment,
        tells="",
        result=settled.result,
        findings=settled.findings,
        booked=settled.booked,
    )


def _moved(
    world: World,
    registrar: Registrar,
    row: Application,
    act: Act,
    moment: Moment,
    *,
    tells: str | None = None,
    result: Result = Result.DONE,
    findings: tuple[Finding, ...] | None = None,
    frees: tuple[Paper, ...] = (),
    booked: booking.BookedPhase | None = None,
) -> Decision:
    """The entry of an act: the new row, what was booked, who is told."""
    answered = Answered(
        kind=f"review.{act.verb.value.lower()}",
        institution=registrar.registrar_id,
        request_id=act.request_id,
        payload_sha256=act.payload_sha256,
    )
    return record(
        world, answered, row, result, moment, findings=findings, frees=frees, tells=tells, booked=booked
    )
