"""A registrar's acts on a case: claim, unclaim, approve, refuse, suspend, resume. Pure.

An approval is checked against the register again in its own commit (EX 23): what bars it now is told to the registrar
and nothing is booked. What a rule would have referred to a person is the registrar's to weigh; what the law blocks is
nobody's.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from msgspec.structs import replace

from gateway.applications import booking, events
from gateway.applications.submit import examine
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CounterMoved,
    PapersFreed,
    RequestAnswered,
)
from gateway.cases.errors import CommandRefused, StateNotAllowed
from gateway.cases.model import Application, Manifest, Moment, Outcome, Paper, Result, State, World
from gateway.kinds.law import Case
from gateway.kinds.papers import REUSABLE_PAPERS
from gateway.register.authority import Registrar
from gateway.register.findings import Finding, Severity
from gateway.register.model import Value


class Verb(StrEnum):
    """What a registrar does."""

    CLAIM = "CLAIM"
    UNCLAIM = "UNCLAIM"
    APPROVE = "APPROVE"
    REFUSE = "REFUSE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"


#: States in which each verb is possible.
ALLOWED: dict[Verb, tuple[State, ...]] = {
    Verb.CLAIM: (State.IN_REVIEW, State.SUSPENDED),
    Verb.UNCLAIM: (State.IN_REVIEW, State.SUSPENDED),
    Verb.APPROVE: (State.IN_REVIEW,),
    Verb.REFUSE: (State.IN_REVIEW, State.SUSPENDED),
    Verb.SUSPEND: (State.IN_REVIEW,),
    Verb.RESUME: (State.SUSPENDED,),
}


class Act(Value, frozen=True, kw_only=True):
    """One signed act. `seen` is the last entry index of the case that the registrar had seen."""

    verb: Verb
    application_id: str
    manifest_sha256: str
    seen: int
    opinion: str = ""
    book: bool = True
    grounds: tuple[Finding, ...] = ()
    reason_code: str = ""
    request_id: str
    payload_sha256: str


class ManifestMismatch(CommandRefused):
    """The act names another manifest than the one in force."""

    reason = "MANIFEST_MISMATCH"


class SeenIndexStale(CommandRefused):
    """Something happened to the case that the registrar had not seen."""

    reason = "SEEN_INDEX_STALE"


class ClaimedByOther(CommandRefused):
    """Another registrar has the case, or nobody has claimed it yet."""

    reason = "CLAIMED_BY_OTHER"


class SecondPersonRequired(CommandRefused):
    """The profile asks for two persons (handbook 1.4)."""

    reason = "SECOND_PERSON_REQUIRED"


def decide_review(
    world: World,
    registrar: Registrar,
    row: Application,
    manifest: Manifest,
    papers: tuple[Paper, ...],
    act: Act,
    moment: Moment,
) -> Decision:
    """What one act comes to. Raises a CommandRefused when it cannot be taken at all."""
    _check_possible(registrar, row, act)
    match act.verb:
        case Verb.CLAIM:
            return _moved(world, registrar, replace(row, claimed_by=registrar.registrar_id), act, moment)
        case Verb.UNCLAIM:
            return _moved(world, registrar, replace(row, claimed_by=""), act, moment)
        case Verb.SUSPEND:
            return _moved(world, registrar, replace(row, state=State.SUSPENDED), act, moment, tell=True)
        case Verb.RESUME:
            return _moved(world, registrar, replace(row, state=State.IN_REVIEW), act, moment, tell=True)
        case Verb.REFUSE:
            return _refuse(world, registrar, row, papers, act, moment)
        case Verb.APPROVE:
            return _approve(world, registrar, row, manifest, papers, act, moment)


def _check_possible(registrar: Registrar, row: Application, act: Act) -> None:
    if row.state not in ALLOWED[act.verb]:
        raise StateNotAllowed(act.verb.value, row.state.value, tuple(s.value for s in ALLOWED[act.verb]))
    if act.manifest_sha256 != row.payload_sha256:
        raise ManifestMismatch(
            "所签行为针对的清单不是现行清单；请重新读取后再签",
            "the act names another manifest than the one in force",
        )
    if act.seen < row.last_index:
        raise SeenIndexStale(
            f"案件在您查看之后有变动（第 {row.last_index} 号记录）；请重新查看后再签",
            f"entry {row.last_index} came after what you had seen; look again, then sign again",
            lastIndex=str(row.last_index),
        )
    mine = row.claimed_by == registrar.registrar_id
    if (act.verb is Verb.CLAIM and row.claimed_by and not mine) or (act.verb is not Verb.CLAIM and not mine):
        holder = row.claimed_by or "-"
        raise ClaimedByOther(
            f"案件由 {holder} 领取；须由领取人办理（先领取）",
            f"the case is claimed by {holder}; claim it first, only its holder acts on it",
            claimedBy=row.claimed_by,
        )


def _refuse(
    world: World, registrar: Registrar, row: Application, papers: tuple[Paper, ...], act: Act, moment: Moment
) -> Decision:
    """Refusal in writing, with its grounds (IR 22)."""
    if not act.grounds:
        raise CommandRefused("不予登记须写明理由", "a refusal needs at least one ground")
    closed = replace(
        row, state=State.REFUSED, reviewed_by=registrar.registrar_id, decided_at=moment.now, claimed_by=""
    )
    bound = tuple(p.reference.sha256 for p in papers if p.reference.paper_code not in REUSABLE_PAPERS)
    freed: list[AnyEffect] = [PapersFreed(application_id=row.application_id, papers=bound)]
    return _moved(
        world,
        registrar,
        closed,
        act,
        moment,
        tell=True,
        result=Result.REFUSED,
        findings=act.grounds,
        extra=freed,
    )


def _approve(
    world: World,
    registrar: Registrar,
    row: Application,
    manifest: Manifest,
    papers: tuple[Paper, ...],
    act: Act,
    moment: Moment,
) -> Decision:
    if world.profile.two_person_review:
        if not act.book:
            reviewed = replace(row, reviewed_by=registrar.registrar_id, claimed_by="")
            return _moved(world, registrar, reviewed, act, moment)
        if row.reviewed_by in ("", registrar.registrar_id):
            raise SecondPersonRequired(
                "本登记机构要求审核与登簿由两人办理",
                "this registry asks for two persons: one reviews, another books",
            )
    stands = _what_stands_in_the_way(world, row, manifest, papers, moment.now)
    if stands:
        return _moved(world, registrar, row, act, moment, result=Result.ACCEPTED, findings=stands)
    booked = booking.book_phase(world, manifest.terms, row, moment, registrar.name)
    done = replace(
        row,
        state=State.BOOKED,
        claimed_by="",
        reviewed_by=row.reviewed_by or registrar.registrar_id,
        decided_at=moment.now,
        booked_at=moment.now,
        booked_by=registrar.name,
        certificates=tuple(c.identifier for c in booked.contents),
    )
    return _moved(world, registrar, done, act, moment, tell=True, result=Result.BOOKED, booked=booked)


def _what_stands_in_the_way(
    world: World, row: Application, manifest: Manifest, papers: tuple[Paper, ...], now: dt.datetime
) -> tuple[Finding, ...]:
    """What bars or delays the booking now; N- codes of the submission become the R- codes of a decision."""
    case = Case(
        manifest=manifest,
        papers=papers,
        applying_institution=row.applicant_institution,
        institutions=world.institutions,
        profile=world.profile,
        rules=world.rules,
        open_cases=world.open_cases,
        own_application=row.application_id,
        accepted_index=row.accepted_index,
        now=now,
    )
    findings, _ = examine(world, case)
    stopping = (Severity.BLOCKS, Severity.AWAITS, Severity.WAITS)
    return tuple(
        replace(f, code=f.rule or f.code) if f.severity is Severity.BLOCKS else f
        for f in findings
        if f.severity in stopping
    )


def _moved(
    world: World,
    registrar: Registrar,
    row: Application,
    act: Act,
    moment: Moment,
    *,
    tell: bool = False,
    result: Result = Result.DONE,
    findings: tuple[Finding, ...] = (),
    extra: list[AnyEffect] | None = None,
    booked: booking.BookedPhase | None = None,
) -> Decision:
    """The entry of an act: the new row, what was booked, who is told."""
    row = replace(row, last_index=moment.index)
    effects: list[AnyEffect] = [
        RequestAnswered(
            institution=registrar.registrar_id,
            request_id=act.request_id,
            payload_sha256=act.payload_sha256,
            application_id=row.application_id,
        ),
        ApplicationRecorded(application=row),
        *(extra or []),
        *(booked.effects if booked else ()),
    ]
    counters = dict(booked.counters) if booked else {}
    if tell:
        told, counters = events.tell(world, row, moment, counters)
        effects += told
    effects += [CounterMoved(name=name, value=value) for name, value in sorted(counters.items())]
    outcome = Outcome(
        result=result,
        application=row.name,
        state=row.state,
        findings=findings,
        certificates=booked.issued if booked else (),
        case_number=row.case_number,
        accepted_at=row.accepted_at,
        deadline=row.deadline,
        deadline_provisional=row.deadline_provisional,
    )
    return Decision(
        kind=f"review.{act.verb.value.lower()}",
        outcome=outcome,
        effects=tuple(effects),
        contents=booked.contents if booked else (),
    )
