"""What ends, or goes on, by the passing of time or by the end of another case, with nobody's request. Pure.

A state that is due ends the same way whether the clock or a late act finds it so: `overdue` is asked by both.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.applications.accepting import QUEUE, Answered, conclude, record
from gateway.applications.later import (
    Dossier,
    Progress,
    as_refusals,
    standing_disputes,
    to_a_person,
)
from gateway.applications.payoff_watch import decide_payoff
from gateway.applications.submit import examine
from gateway.cases.decision import Decision
from gateway.cases.errors import CommandRefused
from gateway.cases.model import CLOSED, PARTIES_REMINDED, Application, Moment, Result, State
from gateway.register.findings import Finding, Severity
from gateway.register.reasons import finding


class NothingDue(CommandRefused):
    """The case has moved on, or its time has not come: nothing is entered."""

    reason = "STATE_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("案件尚无到期事项", "nothing of this case is due")


def is_overdue(row: Application, moment: Moment) -> bool:
    """Whether the present state has run out by the commit's time."""
    return row.due_at is not None and moment.now >= row.due_at


def decide_overdue(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """A state that has run out: EXPIRED before acceptance; afterwards refused, or to a person. Raises NothingDue.

    Its papers may back another case.
    """
    row = dossier.row
    if not is_overdue(row, moment):
        raise NothingDue
    progress = _run_out(row, moment)
    return record(
        dossier.world,
        replace(answered, kind=f"application.{_KINDS[row.state]}"),
        progress.row,
        progress.result,
        moment,
        findings=progress.findings,
        frees=dossier.papers if progress.row.state in CLOSED else (),
        tells="",
    )


def decide_woken(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """What the clock brings: a state that has run out, a reminder, or a booked phase's payoff. Raises NothingDue."""
    row = dossier.row
    if row.state is State.AWAITING_PARTIES and not is_overdue(row, moment):
        return _remind(dossier, answered, moment)
    if row.state is not State.BOOKED:
        return decide_overdue(dossier, answered, moment)
    if row.wakes_at is None or moment.now < row.wakes_at:
        raise NothingDue
    return decide_payoff(dossier.world, row, answered, moment)


def _remind(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """Whoever has not signed or consented is reminded, and who filed hears it too; several that were missed, once.

    It changes nothing else: the case has no place and no clock, and ends at its time (handbook 3.6).
    """
    row = dossier.row
    to_come = tuple(at for at in row.reminders if at > moment.now)
    if to_come == row.reminders:
        raise NothingDue
    reminded = replace(row, reminders=to_come, reminded_at=moment.now)
    kind = replace(answered, kind="application.reminded")
    return record(dossier.world, kind, reminded, Result.AWAITING_PARTIES, moment, tells=PARTIES_REMINDED)


_KINDS = {
    State.AWAITING_PARTIES: "expired",
    State.SUPPLEMENT_REQUESTED: "not_supplemented",
    State.AWAITING_TAX: "tax_overdue",
    State.AWAITING_PAYOFF: "payoff_overdue",
}


def _run_out(row: Application, moment: Moment) -> Progress:
    match row.state:
        case State.AWAITING_PARTIES:
            closed = replace(row, state=State.EXPIRED, awaiting=())
            return Progress(
                row=closed,
                result=Result.NOT_ACCEPTED,
                findings=(finding("E-EXPIRED", Severity.BLOCKS),),
            )
        case State.SUPPLEMENT_REQUESTED:
            return _refused(row, finding("R-NOT_SUPPLEMENTED", Severity.BLOCKS), moment)
        case State.AWAITING_TAX:
            return _refused(row, finding("R-TAX", Severity.BLOCKS), moment)
        case _:
            late = finding(
                "S-PAYOFF",
                Severity.REFERS,
                zh="等待期限已过，由登记员决定",
                en="the time to wait for it has passed: a registrar decides",
            )
            return to_a_person(row, (late,))


def _refused(row: Application, ground: Finding, moment: Moment) -> Progress:
    closed = replace(
        row,
        state=State.REFUSED,
        decided_at=moment.now,
        claimed_by="",
        supplement_until=None,
        gate_expires_at=None,
    )
    return Progress(row=closed, result=Result.REFUSED, findings=(ground,))


def decide_reconsidered(dossier: Dossier, answered: Answered, moment: Moment) -> Decision:
    """A case that waited behind an earlier one, now that one has ended (RD 67): booked by rule when clean, or reviewed.

    Raises NothingDue while it still waits.
    """
    row = dossier.row
    if row.state is not State.SUSPENDED or row.suspension != QUEUE:
        raise NothingDue
    case = dossier.case(row, moment.now)
    findings, awaiting = examine(dossier.world, case)
    if any(f.severity is Severity.WAITS for f in findings):
        raise NothingDue
    told = (*as_refusals(findings), *standing_disputes(row))
    if awaiting or any(f.severity is Severity.AWAITS for f in findings):
        progress = to_a_person(row, told)
        settled_row, result, booked = progress.row, progress.result, None
    else:
        settled = conclude(dossier.world, case, row, told, moment)
        settled_row, result, booked, told = settled.row, settled.result, settled.booked, settled.findings
    return record(
        dossier.world, answered, settled_row, result, moment, findings=told, tells="", booked=booked
    )
