"""A submission is answered at once, with everything the machine sees, in one list (IR 17; handbook 3.6).

`decide_submission` is the whole decision path, pure: jurisdiction → who applies → papers → register → acceptance →
rule or person → booking. Findings are gathered, never cut short; only then is the result drawn from them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from gateway.applications import booking, events
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CounterMoved,
    PapersBound,
    RequestAnswered,
)
from gateway.cases.errors import EnvelopeExpired, KindNotAvailable
from gateway.cases.model import (
    Application,
    Awaited,
    Manifest,
    Moment,
    Outcome,
    Paper,
    Result,
    State,
    World,
)
from gateway.cases.terms import Operation, operation_name
from gateway.kinds.applicants import applicant_findings
from gateway.kinds.law import CHINA, Case
from gateway.kinds.laws import law_of
from gateway.kinds.papers import REUSABLE_PAPERS, paper_findings
from gateway.register.calendar import add_working_days
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import format_case_number
from gateway.register.model import UnitState, Value
from gateway.register.reasons import finding

#: IR 20: every registration within 30 working days from acceptance.
STATUTORY_WORKING_DAYS = 30

#: The same few dates are asked for all day.
_add_working_days = lru_cache(maxsize=256)(add_working_days)

#: A claimed time may be ahead of ours by this much.
CLOCK_SKEW = dt.timedelta(minutes=5)


class Submission(Value, frozen=True, kw_only=True):
    """One verified submission: its manifest, the digest of its signed bytes, its papers as found."""

    manifest: Manifest
    payload_sha256: str
    papers: tuple[Paper, ...]


def decide_submission(world: World, submission: Submission, moment: Moment) -> Decision:
    """The outcome of one submission in `world` at `moment`, with all that it changes.

    Raises EnvelopeExpired or KindNotAvailable when nothing can be answered by the law at all.
    """
    manifest = submission.manifest
    header = manifest.header
    if not header.created_at - CLOCK_SKEW <= moment.now <= header.not_after:
        raise EnvelopeExpired(header.not_after.isoformat())
    case = Case(
        manifest=manifest,
        papers=submission.papers,
        applying_institution=header.applicant_institution,
        institutions=world.institutions,
        profile=world.profile,
        rules=world.rules,
        open_cases=world.open_cases,
        now=moment.now,
    )
    findings, awaiting = examine(world, case)
    draft = _draft(world, submission, moment)
    if any(f.severity is Severity.BLOCKS for f in findings):
        return _answer(world, submission, draft, State.NOT_ACCEPTED, Result.NOT_ACCEPTED, findings, moment)
    if awaiting:
        until = moment.now + dt.timedelta(days=world.profile.awaiting_parties_days)
        draft = replace(draft, parties_expire_at=until)
        return _answer(
            world,
            submission,
            draft,
            State.AWAITING_PARTIES,
            Result.AWAITING_PARTIES,
            findings,
            moment,
            awaiting,
        )
    accepted = _accept(world, draft, moment)
    if any(f.severity in (Severity.WAITS, Severity.REFERS) for f in findings):
        waits = all(f.severity is not Severity.REFERS for f in findings)
        state = State.SUSPENDED if waits else State.IN_REVIEW
        return _answer(world, submission, accepted, state, Result.ACCEPTED, findings, moment)
    assert world.rules is not None  # examine() refers every case when no rule set is in force
    return _book(world, submission, accepted, findings, moment, world.rules.officer, world.rules.version)


def examine(world: World, case: Case) -> tuple[list[Finding], tuple[Awaited, ...]]:
    """Everything the machine sees, in reading order, and the parties still to sign."""
    findings: list[Finding] = []
    awaiting: list[Awaited] = []
    states = dict(world.units)
    for number, operation in enumerate(case.manifest.terms.operations):
        field = f"terms.operations[{number}]"
        law = law_of(operation)
        if law is None:
            raise KindNotAvailable(getattr(operation, "name", type(operation).__name__))
        unknown = [_unknown_unit(world, code, field) for code in operation.units if code not in states]
        if unknown:
            findings += unknown
            continue
        here = [states[code] for code in operation.units]
        wanted = law.applicants(operation, here)
        missing, awaited = applicant_findings(wanted, case, field)
        findings += missing + paper_findings(law.papers(operation, here), case, field)
        findings += law.conditions(operation, here, case, field)
        findings += _only_a_person(world, law.only_a_person(operation, here, case, field), operation, field)
        awaiting += awaited
    return findings, tuple(dict.fromkeys(awaiting))


def _only_a_person(world: World, found: list[Finding], operation: Operation, field: str) -> list[Finding]:
    """A rule decides only what both the profile and the published rule set name (handbook 1.4, 12.8)."""
    name = operation_name(operation)
    rules = world.rules
    if rules is None or name not in rules.decides or name not in world.profile.instant:
        found = [
            *found,
            finding(
                "M-REFER",
                Severity.REFERS,
                field=field,
                article="OBE 47",
                zh=f"本登记机构对 {name} 不作自动决定，由登记员决定",
                en=f"this registry lets no rule decide {name}: a registrar decides",
            ),
        ]
    return found


def _unknown_unit(world: World, code: str, field: str) -> Finding:
    """Another authority's unit, or none that the register knows (IR 7; IR 17(4))."""
    if world.profile.place(code[:6]) is None:
        return finding(
            "N-OUT_OF_JURISDICTION",
            Severity.BLOCKS,
            field=field + ".units",
            article="IR 7; IR 17(4)",
            zh=f"单元 {code} 属区划 {code[:6]}，不由本登记机构登记；请向该区划的登记机构申请",
            en=f"unit {code} lies in county {code[:6]}, which this authority does not register; "
            "apply to the authority of that county",
        )
    return finding(
        "N-BARRED",
        Severity.BLOCKS,
        rule="R-CONFLICT",
        field=field + ".units",
        article="OS 4.8",
        zh=f"登记簿中没有单元 {code}；请核对单元代码",
        en=f"the register has no unit {code}; check the unit code",
    )


def _draft(world: World, submission: Submission, moment: Moment) -> Application:
    """The application's row before its state is known."""
    manifest = submission.manifest
    header = manifest.header
    terms = manifest.terms
    named = [
        p.id_number for op in terms.operations for p in getattr(op, "mortgagees", ()) if p.is_institution
    ]
    rights: list[str] = []
    for operation in terms.operations:
        law = law_of(operation)
        states: Sequence[UnitState] = [world.units[c] for c in operation.units if c in world.units]
        if law is not None and states:
            rights += law.names_rights(operation, states)
    return Application(
        registry=world.registry,
        application_id=moment.application_id,
        kind=manifest.kind,
        operations=tuple(operation_name(op) for op in terms.operations),
        units=terms.unit_codes,
        rights=tuple(dict.fromkeys(rights)),
        channel_institution=header.channel_institution,
        applicant_institution=header.applicant_institution,
        institutions=tuple(dict.fromkeys([header.channel_institution, header.applicant_institution, *named])),
        request_id=header.request_id,
        case=header.case,
        phase=header.phase,
        supersedes=header.supersedes,
        payload_sha256=submission.payload_sha256,
        terms_sha256=manifest.terms_sha256,
        terms_version=terms.version,
        loan_kind=terms.loan_kind.value,
        state=State.NOT_ACCEPTED,
        submitted_at=moment.now,
        submitted_index=moment.index,
        last_index=moment.index,
        profile_version=world.profile.version,
    )


def _accept(world: World, draft: Application, moment: Moment) -> Application:
    """Acceptance: every applicant has signed and every paper is there; clock and place run from here (RD 67)."""
    serial = world.counters.get("case", 0) + 1
    today = moment.now.astimezone(CHINA).date()
    promised = [
        world.profile.promised_working_days.get(op, STATUTORY_WORKING_DAYS) for op in draft.operations
    ]
    deadline, provisional = _add_working_days(today, min(max(promised), STATUTORY_WORKING_DAYS))
    return replace(
        draft,
        accepted_at=moment.now,
        accepted_index=moment.index,
        case_number=format_case_number(today, draft.units[0][:6], serial),
        deadline=deadline,
        deadline_provisional=provisional,
    )


def _book(
    world: World,
    submission: Submission,
    accepted: Application,
    findings: list[Finding],
    moment: Moment,
    officer: str,
    rules_version: int,
) -> Decision:
    """Decided by the rule set and booked in this same entry, in the officer's name (handbook 1.4)."""
    booked = booking.book_phase(world, submission.manifest.terms, accepted, moment, officer)
    row = replace(
        accepted,
        state=State.BOOKED,
        decided_at=moment.now,
        booked_at=moment.now,
        booked_by=officer,
        rules_version=rules_version,
        certificates=tuple(c.identifier for c in booked.contents),
    )
    return _answer(world, submission, row, State.BOOKED, Result.BOOKED, findings, moment, booked=booked)


def _answer(
    world: World,
    submission: Submission,
    row: Application,
    state: State,
    result: Result,
    findings: list[Finding],
    moment: Moment,
    awaiting: tuple[Awaited, ...] = (),
    booked: booking.BookedPhase | None = None,
) -> Decision:
    """Effects in the order in which the views fold them."""
    row = replace(row, state=state)
    counters = dict(booked.counters) if booked else {}
    if row.case_number:
        counters["case"] = world.counters.get("case", 0) + 1
    effects: list[AnyEffect] = [
        RequestAnswered(
            institution=row.channel_institution,
            request_id=row.request_id,
            payload_sha256=row.payload_sha256,
            application_id=row.application_id,
        ),
        ApplicationRecorded(application=row),
    ]
    if result is not Result.NOT_ACCEPTED:
        bound = tuple(
            p.reference.sha256 for p in submission.papers if p.reference.paper_code not in REUSABLE_PAPERS
        )
        effects.append(PapersBound(application_id=row.application_id, papers=bound))
    if booked:
        effects += booked.effects
    told, counters = events.tell(world, row, moment, counters)
    effects += told
    effects += [CounterMoved(name=name, value=value) for name, value in sorted(counters.items())]
    outcome = Outcome(
        result=result,
        application=row.name,
        state=state,
        findings=tuple(findings),
        certificates=booked.issued if booked else (),
        awaiting=awaiting,
        case_number=row.case_number,
        accepted_at=row.accepted_at,
        deadline=row.deadline,
        deadline_provisional=row.deadline_provisional,
    )
    contents = booked.contents if booked else ()
    return Decision(kind="application.submitted", outcome=outcome, effects=tuple(effects), contents=contents)
