"""A submission is answered at once, with everything the machine sees, in one list (IR 17; handbook 3.6).

`decide_submission` is the whole decision path, pure: jurisdiction → who applies → papers → register → acceptance →
rule or person → booking. Findings are gathered, never cut short; only then is the result drawn from them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.applications.accepting import (
    Answered,
    accept,
    check_in_time,
    conclude,
    institutions_of,
    is_awaiting,
    record,
)
from gateway.applications.booking import Ahead, BookedPhase
from gateway.applications.counting import counted_of
from gateway.applications.daily import count_submission
from gateway.applications.insisting import insisted
from gateway.applications.limits import reminders_before
from gateway.applications.named import check_named
from gateway.cases.decision import Decision
from gateway.cases.errors import KindNotAvailable
from gateway.cases.model import (
    Application,
    Awaited,
    Kind,
    Manifest,
    Moment,
    Paper,
    Result,
    State,
    World,
)
from gateway.cases.terms import AnyOperation, Operation, operation_name
from gateway.kinds.acting import branch_findings
from gateway.kinds.applicants import agent_findings, applicant_findings, consenter_findings, is_bound
from gateway.kinds.clean import refer
from gateway.kinds.law import Applicant, Case
from gateway.kinds.laws import composition_of, law_of
from gateway.kinds.papers import paper_findings
from gateway.kinds.staff_risk import staff_findings
from gateway.kinds.stated import stated_findings
from gateway.kinds.wards import ward_findings
from gateway.register.findings import Finding, Severity
from gateway.register.model import UnitState, Value
from gateway.register.reasons import finding


class Submission(Value, frozen=True, kw_only=True):
    """One verified submission: its manifest, the digest of its signed bytes, its papers as found."""

    manifest: Manifest
    payload_sha256: str
    papers: tuple[Paper, ...]


def decide_submission(world: World, submission: Submission, moment: Moment) -> Decision:
    """The outcome of one submission in `world` at `moment`, with all that it changes.

    Raises EnvelopeExpired, KindNotAvailable, ApplicationNotFound, StateNotAllowed or QuotaExceeded when nothing can be
    answered by the law at all.
    """
    manifest = submission.manifest
    header = manifest.header
    check_in_time(header.created_at, header.not_after, moment.now)
    check_named(world, header)
    counted = count_submission(world, header, moment.now)
    case = Case(
        manifest=manifest,
        papers=submission.papers,
        applying_institution=header.applicant_institution,
        institutions=world.institutions,
        profile=world.profile,
        rules=world.rules,
        calendar=world.calendar,
        open_cases=world.open_cases,
        feed_gap=world.feed_gap,
        prior=world.named.get(header.case),
        phases=world.phases,
        now=moment.now,
    )
    findings, awaiting = examine(world, case)
    findings = insisted(world, case, findings)
    draft = _draft(world, submission, moment)
    if any(f.severity is Severity.BLOCKS for f in findings):
        return _answer(world, submission, draft, Result.NOT_ACCEPTED, findings, moment, counted)
    if is_awaiting(findings, awaiting):
        expires_at = moment.now + dt.timedelta(days=world.profile.awaiting_parties_days)
        draft = replace(
            draft,
            state=State.AWAITING_PARTIES,
            parties_expire_at=expires_at,
            reminders=reminders_before(expires_at, world.profile, moment.now),
            awaiting=institutions_of(awaiting),
        )
        return _answer(world, submission, draft, Result.AWAITING_PARTIES, findings, moment, counted, awaiting)
    settled = conclude(world, case, accept(world, draft, moment), findings, moment)
    return _answer(
        world,
        submission,
        settled.row,
        settled.result,
        settled.findings,
        moment,
        counted,
        booked=settled.booked,
    )


def examine(world: World, case: Case) -> tuple[list[Finding], tuple[Awaited, ...]]:
    """Everything the machine sees, in reading order, and the parties still to sign.

    Each step meets the units as the steps before it leave them (handbook 3.4); what a mode asks of its steps together
    comes last. Raises KindNotAvailable for an operation or a mode that this version does not book.
    """
    manifest = case.manifest
    composition = composition_of(manifest)
    if manifest.kind is Kind.ENCUMBERED_TRANSFER and composition is None:
        raise KindNotAvailable(manifest.terms.mode or manifest.kind.value)
    findings: list[Finding] = []
    awaiting: list[Awaited] = []
    ahead = Ahead(world, manifest.terms, case.now)
    last = len(manifest.terms.operations) - 1
    for number, operation in enumerate(manifest.terms.operations):
        field = f"terms.operations[{number}]"
        found, awaited = _examine_step(world, case.at(number), operation, ahead.states, field)
        findings += found
        awaiting += awaited
        if number < last:
            ahead.take(operation)
    if composition is not None:
        findings += paper_findings(composition.papers(manifest), case, "terms")
        findings += composition.conditions(case, world.units)
    findings += stated_findings(manifest, world.units) + branch_findings(case) + agent_findings(case)
    findings += staff_findings(case)
    return _by_version(world, _each_paper_once(findings)), tuple(dict.fromkeys(awaiting))


def _by_version(world: World, findings: list[Finding]) -> list[Finding]:
    """Each referral with the version of the rule set by which it was found; 0 where none is in force."""
    version = world.rules.version if world.rules is not None else 0
    return [replace(f, rule_version=version) if f.code == "M-REFER" else f for f in findings]


def _examine_step(
    world: World, case: Case, operation: AnyOperation, states: Mapping[str, UnitState], field: str
) -> tuple[list[Finding], list[Awaited]]:
    """One operation: who applies and consents, its papers, the register, and whether a rule may decide."""
    law = law_of(operation)
    if law is None:
        raise KindNotAvailable(operation_name(operation))
    unknown = [unknown_unit(world, code, field) for code in operation.units if code not in states]
    if unknown:
        return unknown, []
    here = [states[code] for code in operation.units]
    wanted = law.applicants(operation, here, case.institutions)
    findings, awaiting = applicant_findings(wanted, operation, case, field)
    asked, consenting = consenter_findings(operation.consenters, case, field)
    findings += _not_named(wanted, operation, case, field)
    rights = law.names_rights(operation, here)
    findings += asked + ward_findings(wanted, here, operation, rights, case, field)
    findings += paper_findings(law.papers(operation, here), case, field)
    findings += law.conditions(operation, here, case, field)
    findings += _only_a_person(world, law.only_a_person(operation, here, case, field), operation, field)
    return findings, awaiting + consenting


def _not_named(wanted: Sequence[Applicant], operation: Operation, case: Case, field: str) -> list[Finding]:
    """Whoever must apply is an applicant by the terms, not somebody who merely consents (IR 14; handbook 2.2)."""
    named = {p.key for p in operation.applicants}
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            field=field + ".applicants",
            article=applicant.article,
            zh=f"{applicant.role_zh}{applicant.party.name}须为 {operation_name(operation)} 的共同申请人，仅同意不够",
            en=f"{applicant.role_en} {applicant.party.name} must be among the applicants of "
            f"{operation_name(operation)}; a consent does not do",
        )
        for applicant in wanted
        if named and applicant.party.key not in named and not is_bound(applicant.party, case)
    ]


def _each_paper_once(findings: list[Finding]) -> list[Finding]:
    """One form may carry every step of a case (IR 16(1)): what is wrong with a paper is told once."""
    seen: set[Finding] = set()
    kept = []
    for found in findings:
        bare = replace(found, field="") if found.file else None
        if bare is not None and bare in seen:
            continue
        if bare is not None:
            seen.add(bare)
        kept.append(found)
    return kept


def _only_a_person(world: World, found: list[Finding], operation: Operation, field: str) -> list[Finding]:
    """A rule decides only what both the profile and the published rule set name (handbook 1.4, 12.8)."""
    name = operation_name(operation)
    rules = world.rules
    if rules is None or name not in rules.decides or name not in world.profile.instant:
        found = [
            *found,
            refer(
                field,
                "OBE 47",
                f"本登记机构对 {name} 不作自动决定",
                f"this registry lets no rule decide {name}",
                rule="OPERATION_PUBLISHED",
            ),
        ]
    return found


def unknown_unit(world: World, code: str, field: str) -> Finding:
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
        institutions=tuple(
            dict.fromkeys(
                (header.channel_institution, header.applicant_institution, *terms.institution_codes)
            )
        ),
        request_id=header.request_id,
        case=header.case,
        phase=header.phase,
        mode=terms.mode,
        supersedes=header.supersedes,
        payload_sha256=submission.payload_sha256,
        terms_sha256=manifest.terms_sha256,
        terms_version=terms.version,
        loan_kind=terms.loan_kind.value,
        counted=counted_of(world, terms),
        funds=tuple(dict.fromkeys(leg.trigger.value for leg in terms.funds_plan.legs))
        if terms.funds_plan
        else (),
        state=State.NOT_ACCEPTED,
        submitted_at=moment.now,
        submitted_index=moment.index,
        last_index=moment.index,
        profile_version=world.profile.version,
    )


def _answer(
    world: World,
    submission: Submission,
    row: Application,
    result: Result,
    findings: Sequence[Finding],
    moment: Moment,
    counted: Mapping[str, int],
    awaiting: tuple[Awaited, ...] = (),
    booked: BookedPhase | None = None,
) -> Decision:
    """The entry of a submission; its papers back this case from now on, unless it was not accepted."""
    answered = Answered(
        kind="application.submitted",
        institution=row.channel_institution,
        request_id=row.request_id,
        payload_sha256=row.payload_sha256,
    )
    return record(
        world,
        answered,
        row,
        result,
        moment,
        findings=findings,
        awaiting=awaiting,
        binds=() if result is Result.NOT_ACCEPTED else submission.papers,
        tells="",
        booked=booked,
        counted=counted,
    )
