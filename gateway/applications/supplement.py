"""Supplement 补充材料: papers that were awaited, that a registrar asked for, or that a gate waits for. Pure.

A supplement adds files and evidence only; changed facts are new terms (handbook 3.6). Asked for in review, the case
keeps its place and its clock stands still until they come: the deadline moves by the working days that passed.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gateway.applications.accepting import state_for_a_person
from gateway.applications.expiry import decide_overdue, is_overdue
from gateway.applications.later import (
    Dossier,
    LaterAct,
    Progress,
    advance,
    as_refusals,
    check_act,
    check_role,
    is_same,
    moved,
    not_taken,
    spoiled,
    standing_disputes,
    through_gates,
    with_evidence,
)
from gateway.applications.limits import clock_goes_on, provisional_date
from gateway.applications.submit import examine
from gateway.cases.decision import Decision
from gateway.cases.errors import CommandRefused, NotPermitted
from gateway.cases.model import Application, Moment, Result, State
from gateway.cases.terms import Evidence
from gateway.register.authority import KeyRole

STATES: Final = (
    State.AWAITING_PARTIES,
    State.SUPPLEMENT_REQUESTED,
    State.AWAITING_TAX,
    State.AWAITING_PAYOFF,
)

_KIND: Final = "application.supplemented"


class Supplement(LaterAct, frozen=True, kw_only=True):
    """Files and evidence; `answers_sha256` names the act that asked (hex payload digest), empty when nobody did."""

    evidence: Evidence = Evidence()
    answers_sha256: str = ""


class NotAsked(CommandRefused):
    """The supplement answers another request than the one that stands."""

    reason = "FIELD_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "answers_digest 不是现行补正要求的摘要",
            "answers_digest is not that of the request which stands",
            field="answers_digest",
        )


class NothingBrought(CommandRefused):
    """A supplement without files and without evidence."""

    reason = "FIELD_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "补充材料须至少有一个文件或者一项证据", "a supplement brings files or evidence", field="files"
        )


def decide_supplement(dossier: Dossier, act: Supplement, moment: Moment) -> Decision:
    """The papers join the case, and what waited for them goes on. Raises CommandRefused."""
    row = dossier.row
    check_act(dossier, act, "SupplementApplication", STATES, moment)
    check_role(act, KeyRole.SUBMIT)
    _check_applicant(dossier, act)
    if is_overdue(row, moment):
        return decide_overdue(dossier, act.answered(_KIND), moment)
    if act.answers_sha256 not in ("", row.supplement_asked):
        raise NotAsked
    if not act.files and act.evidence == Evidence():
        raise NothingBrought
    wrong = spoiled(dossier.new_papers)
    if wrong:
        return not_taken(dossier, act, _KIND, wrong, moment)
    row = replace(
        with_evidence(dossier, row, act.evidence, moment),
        brought=row.brought + act.brings(moment.index),
        institutions=tuple(dict.fromkeys((*row.institutions, act.channel))),
    )
    match row.state:
        case State.AWAITING_PARTIES:
            progress = advance(dossier, row, moment)
        case State.SUPPLEMENT_REQUESTED:
            progress = _back_to_review(dossier, row, moment)
        case _:
            progress = through_gates(dossier, row, moment)
    return moved(dossier, act, _KIND, progress, "SUPPLEMENTED", moment)


def _check_applicant(dossier: Dossier, act: Supplement) -> None:
    row = dossier.row
    if not any(is_same(dossier.world, act.institution, code) for code in row.applied_by):
        raise NotPermitted(
            f"机构 {act.institution} 不是本申请的申请人；共同申请人请先加入",
            f"institution {act.institution} is no applicant here yet: a co-applicant joins first (party join)",
        )


def _back_to_review(dossier: Dossier, row: Application, moment: Moment) -> Progress:
    """To the registrar who asked, with what the machine sees now; the clock goes on."""
    row = replace(
        row,
        state=state_for_a_person(row),
        supplement_asked="",
        supplement_until=None,
    )
    row = clock_goes_on(row, moment.now, dossier.world.calendar)
    findings, _ = examine(dossier.world, dossier.case(row, moment.now))
    told = (*as_refusals(findings), *standing_disputes(row), *provisional_date(row))
    return Progress(row=row, result=Result.ACCEPTED, findings=told)
