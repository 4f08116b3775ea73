"""Acceptance and what follows from it, alike for a submission, a join, a supplement or a case whose turn has come.

`accept` starts clock and place (RD 67); `conclude` draws the consequence of what was found: a rule books what is clean,
everything else waits or goes to a person; `record` writes it down, effects in the order in which the views fold them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.applications import events
from gateway.applications.booking import BookedPhase, Settled, book_or_wait
from gateway.applications.limits import promise_of, provisional_date, with_deadlines
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CounterMoved,
    PapersBound,
    PapersFreed,
    RequestAnswered,
)
from gateway.cases.errors import EnvelopeExpired
from gateway.cases.model import (
    CLOSED,
    Application,
    Awaited,
    ConsentKind,
    Manifest,
    Moment,
    Outcome,
    Paper,
    Result,
    State,
    World,
)
from gateway.kinds.law import Case
from gateway.kinds.papers import REUSABLE_PAPERS
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import format_case_number
from gateway.register.model import Value

#: Why a case is SUSPENDED when no registrar suspended it: an earlier case on the unit (handbook 3.6).
QUEUE = "S-QUEUE"

#: A claimed time may be ahead of ours by this much.
CLOCK_SKEW = dt.timedelta(minutes=5)


class Answered(Value, frozen=True, kw_only=True):
    """The act that an entry answers: its entry kind, whose request it is, and the digest of its signed bytes."""

    kind: str
    institution: str
    request_id: str
    payload_sha256: str


def check_in_time(created_at: dt.datetime, not_after: dt.datetime, now: dt.datetime) -> None:
    """Raises EnvelopeExpired for an act that was made in the future or is taken too late."""
    if not created_at - CLOCK_SKEW <= now <= not_after:
        raise EnvelopeExpired(not_after.isoformat())


def case_of(
    world: World, row: Application, manifest: Manifest, papers: Sequence[Paper], now: dt.datetime
) -> Case:
    """A filed case as the law looks at it now: with those who joined or consented since, and its own place."""
    return Case(
        manifest=manifest,
        papers=tuple(papers),
        applying_institution=row.applicant_institution,
        bound_institutions=frozenset(row.bound_institutions),
        partly_joined=row.partly_joined,
        consents=tuple(c for c in row.consents if c.kind is ConsentKind.TO_TERMS and c.stands),
        institutions=world.institutions,
        profile=world.profile,
        rules=world.rules,
        calendar=world.calendar,
        open_cases=world.open_cases,
        own_application=row.application_id,
        prior=world.named.get(row.case),
        phases=world.phases,
        accepted_index=row.accepted_index,
        accepted_at=row.accepted_at,
        feed_gap=world.feed_gap,
        now=now,
    )


def is_awaiting(findings: Sequence[Finding], awaiting: Sequence[Awaited]) -> bool:
    """Whether a party or a paper is still to come, so that the case cannot be accepted yet (handbook 3.6)."""
    return bool(awaiting) or any(f.severity is Severity.AWAITS for f in findings)


def institutions_of(awaiting: Sequence[Awaited]) -> tuple[str, ...]:
    """Codes of the institutions among those whose act is awaited, once each."""
    return tuple(dict.fromkeys(a.institution for a in awaiting if a.institution))


def accept(world: World, draft: Application, moment: Moment) -> Application:
    """Acceptance: every applicant has signed and every paper is there; clock and place run from here (RD 67).

    It is the machine that accepts, always; the officer of the rule set in force answers for it (handbook 1.4).
    """
    serial = world.counters.get("case", 0) + 1
    today = moment.now.astimezone(CHINA).date()
    days, hours = promise_of(world.profile, draft.mode, draft.operations)
    accepted = replace(
        draft,
        promised_days=days,
        promised_hours=hours,
        accepted_at=moment.now,
        accepted_by=world.rules.officer if world.rules is not None else "",
        accepted_index=moment.index,
        case_number=format_case_number(today, draft.units[0][:6], serial),
        parties_expire_at=None,
        reminders=(),
        awaiting=(),
    )
    return with_deadlines(accepted, world.calendar)


def state_for_a_person(row: Application) -> State:
    """Where an accepted case waits for a person: ACCEPTED until a registrar has it, then IN_REVIEW (handbook 3.6)."""
    return State.IN_REVIEW if row.claimed_by or row.reviewed_by else State.ACCEPTED


def conclude(
    world: World, case: Case, accepted: Application, findings: Sequence[Finding], moment: Moment
) -> Settled:
    """A person decides, an earlier case is waited for, or the rule set decides at once (handbook 1.4).

    `findings` hold nothing that awaits a party. What blocks an accepted case is a person's to refuse (IR 22); what the
    rule set decides is booked, or waits at its gates.
    """
    severities = {f.severity for f in findings}
    told = tuple(findings)
    if severities & {Severity.REFERS, Severity.BLOCKS}:
        row = replace(accepted, state=state_for_a_person(accepted), suspension="")
        return Settled(row=row, result=Result.ACCEPTED, findings=told)
    if Severity.WAITS in severities:
        row = replace(accepted, state=State.SUSPENDED, suspension=QUEUE)
        return Settled(row=row, result=Result.ACCEPTED, findings=told)
    assert world.rules is not None  # examine() refers every case when no rule set is in force
    settled = book_or_wait(world, case, accepted, moment, world.rules.officer)
    return Settled(
        row=replace(settled.row, suspension="", rules_version=world.rules.version),
        result=settled.result,
        findings=(*told, *settled.findings),
        booked=settled.booked,
    )


def record(
    world: World,
    answered: Answered,
    row: Application,
    result: Result,
    moment: Moment,
    *,
    findings: Sequence[Finding] | None = None,
    remarks: Sequence[Finding] = (),
    awaiting: tuple[Awaited, ...] = (),
    binds: Sequence[Paper] = (),
    frees: Sequence[Paper] = (),
    tells: str | None = None,
    booked: BookedPhase | None = None,
    counted: Mapping[str, int] | None = None,
) -> Decision:
    """The decision of one act. `tells` is the event for the institutions of the case: "" that of its state, None none.

    Without `findings` those that stood go on standing; `()` says that none stand any more. `remarks` are told by this
    answer beside them.
    """
    stands = row.findings_index if findings is None else moment.index
    closed_at = row.closed_at or (moment.now if row.state in CLOSED else None)
    row = replace(row, last_index=moment.index, findings_index=stands, closed_at=closed_at)
    if row.accepted_index == moment.index and row.state not in CLOSED:
        remarks = (*remarks, *provisional_date(row))
    counters = {**(counted or {}), **(booked.counters if booked else {})}
    if row.accepted_index == moment.index:
        counters["case"] = world.counters.get("case", 0) + 1
    effects: list[AnyEffect] = [
        RequestAnswered(
            institution=answered.institution,
            request_id=answered.request_id,
            payload_sha256=answered.payload_sha256,
            application_id=row.application_id,
        ),
        ApplicationRecorded(application=row),
    ]
    if binds:
        effects.append(PapersBound(application_id=row.application_id, papers=own_papers(binds)))
    if frees:
        effects.append(PapersFreed(application_id=row.application_id, papers=own_papers(frees)))
    if booked:
        effects += booked.effects
    if tells is not None:
        told, counters = events.tell(world, row, moment, counters, kind=tells)
        effects += told
    told, counters = events.tell_due(world, row, moment, counters, booked=booked is not None)
    effects += told
    if booked:
        told, counters = events.tell_holders(world, row, moment, counters, booked.effects)
        effects += told
    effects += [CounterMoved(name=name, value=value) for name, value in sorted(counters.items())]
    outcome = Outcome(
        result=result,
        application=row.name,
        state=row.state,
        findings=(*(findings or ()), *remarks),
        certificates=booked.issued if booked else (),
        awaiting=awaiting,
        case_number=row.case_number,
        accepted_at=row.accepted_at,
        deadline=row.deadline,
        deadline_at=row.deadline_at,
        deadline_provisional=row.deadline_provisional,
        statutory_deadline=row.statutory_deadline,
        statutory_provisional=row.statutory_provisional,
        booked_at=row.booked_at,
        parties_expire_at=row.parties_expire_at if row.state is State.AWAITING_PARTIES else None,
    )
    contents = booked.contents if booked else ()
    return Decision(kind=answered.kind, outcome=outcome, effects=tuple(effects), contents=contents)


def own_papers(papers: Sequence[Paper]) -> tuple[str, ...]:
    """Digests of the papers that back one case only: they carry consent, not mere facts."""
    return tuple(p.reference.sha256 for p in papers if p.reference.paper_code not in REUSABLE_PAPERS)
