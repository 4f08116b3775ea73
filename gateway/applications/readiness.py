"""待办: whom an open case waits for, since when, until when and on which ground, as its row and findings say. Pure.

One item for each who must act. A case that waits for nobody nameable waits for the registrar: nothing is ever left
without somebody to ask.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

from gateway.cases.model import Application, Awaited, State
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party, Value


class Ground(StrEnum):
    """On which ground a case waits; values of ReadinessGround."""

    PARTY = "PARTY"
    PAPER = "PAPER"
    TAX = "TAX"
    PAYOFF = "PAYOFF"
    REGISTRAR = "REGISTRAR"
    QUEUE = "QUEUE"
    RESTRICTION = "RESTRICTION"
    PAYOFF_DEADLINE = "PAYOFF_DEADLINE"


class Wait(Value, frozen=True, kw_only=True):
    """One who must act on one case. `institution` is a USCC, empty when it is none; `who` is for people."""

    ground: Ground
    institution: str = ""
    who: str
    since: dt.datetime
    until: dt.datetime | None = None
    code: str = ""
    zh: str
    en: str
    reminded_at: dt.datetime | None = None

    def is_overdue(self, now: dt.datetime) -> bool:
        """Whether its time has passed."""
        return self.until is not None and now >= self.until


_REGISTRAR = "登记人员"

#: Reasons of a suspension under which something outside the case must end first.
_RESTRICTED = ("R-SEIZED", "R-DISPUTE")


def waits_of(
    row: Application,
    *,
    awaited: Sequence[Awaited] = (),
    findings: Sequence[Finding] = (),
    payoff_by: Sequence[Party] = (),
    owes: Sequence[Party] = (),
) -> tuple[Wait, ...]:
    """Everyone whom the case waits for.

    `awaited` and `findings` are those that stand; `payoff_by` the old mortgagees that have not yet spoken on a payoff;
    `owes` the mortgagees of the old mortgages that a booked phase still has to see released.
    """
    match row.state:
        case State.AWAITING_PARTIES:
            return _parties(row, awaited, findings)
        case State.SUPPLEMENT_REQUESTED:
            return (
                Wait(
                    ground=Ground.PAPER,
                    institution=row.applicant_institution,
                    who=row.applicant_institution,
                    since=_start_of(row.clock_stopped_on) or row.submitted_at,
                    until=row.supplement_until,
                    code=_code(findings, "N-INCOMPLETE"),
                    zh="补充登记机构要求的材料",
                    en="send the papers that the registrar asked for",
                ),
            )
        case State.AWAITING_TAX:
            return (
                Wait(
                    ground=Ground.TAX,
                    institution=row.applicant_institution,
                    who=row.applicant_institution,
                    since=row.decided_at or row.submitted_at,
                    until=row.gate_expires_at,
                    code="S-TAX",
                    zh="缴清税款，提交完税或者免税凭证",
                    en="clear the taxes, or prove the exemption",
                ),
            )
        case State.AWAITING_PAYOFF:
            return _payoff(row, payoff_by)
        case State.SUSPENDED if row.suspension == "S-QUEUE":
            return (_of_registrar(row, Ground.QUEUE, "等待在先受理的案件办结", "an earlier case goes first"),)
        case State.SUSPENDED:
            restricted = row.suspension in _RESTRICTED
            ground = Ground.RESTRICTION if restricted else Ground.REGISTRAR
            return (_of_registrar(row, ground, "案件中止，待恢复", "suspended, to be resumed"),)
        case State.ACCEPTED | State.IN_REVIEW:
            ground, zh, en = _why(findings)
            return (_of_registrar(row, ground, zh, en),)
        case State.BOOKED:
            return _releases(row, owes)
    return ()


def _parties(row: Application, awaited: Sequence[Awaited], findings: Sequence[Finding]) -> tuple[Wait, ...]:
    """Each who has not signed; where all have, the papers that are to come."""
    signing = [
        Wait(
            ground=Ground.PARTY,
            institution=one.institution,
            who=one.name,
            since=row.submitted_at,
            until=row.parties_expire_at,
            code="N-NOT_APPLICANT",
            zh=f"{one.name}签署",
            en=f"{one.name} is to sign ({one.role})",
            reminded_at=row.reminded_at,
        )
        for one in dict.fromkeys(awaited)
    ]
    papers = [
        Wait(
            ground=Ground.PAPER,
            institution=row.applicant_institution,
            who=row.applicant_institution,
            since=row.submitted_at,
            until=row.parties_expire_at,
            code=found.code,
            zh=found.zh,
            en=found.en,
            reminded_at=row.reminded_at,
        )
        for found in findings
        if found.severity is Severity.AWAITS and found.file
    ]
    return (*signing, *papers) or (
        _of_registrar(row, Ground.PARTY, "等待各方签署", "the parties are to sign"),
    )


def _payoff(row: Application, payoff_by: Sequence[Party]) -> tuple[Wait, ...]:
    """The old mortgagees that have not spoken; where all have, the new lender whose undertaking is to come."""
    silent = [(p.id_number, p.name) for p in payoff_by if p.is_institution]
    return tuple(
        Wait(
            ground=Ground.PAYOFF,
            institution=institution,
            who=who,
            since=row.decided_at or row.submitted_at,
            until=row.gate_expires_at,
            code="S-PAYOFF",
            zh="确认结清，或者接受代偿承诺",
            en="confirm the payoff, or accept the undertaking to pay",
        )
        for institution, who in silent or [(row.applicant_institution, row.applicant_institution)]
    )


def _releases(row: Application, owes: Sequence[Party]) -> tuple[Wait, ...]:
    """A booked phase that leaves the old mortgage to be paid off and released by a day (handbook 2.2; N29)."""
    if row.payoff_until is None or row.payoff_settled or row.booked_at is None:
        return ()
    return tuple(
        Wait(
            ground=Ground.PAYOFF_DEADLINE,
            institution=p.id_number if p.is_institution else "",
            who=p.name,
            since=row.booked_at,
            until=row.payoff_until,
            code="S-PAYOFF",
            zh="结清原贷款并申请注销原抵押权",
            en="the old loan is to be paid off and its mortgage released",
        )
        for p in owes
    )


def _of_registrar(row: Application, ground: Ground, zh: str, en: str) -> Wait:
    """The registrar's turn, until the day by which the case must be decided (IR 20)."""
    return Wait(
        ground=ground,
        who=row.claimed_by or _REGISTRAR,
        since=row.accepted_at or row.submitted_at,
        until=row.deadline_at or _end_of(row.deadline),
        code=row.suspension,
        zh=zh,
        en=en,
    )


def _why(findings: Sequence[Finding]) -> tuple[Ground, str, str]:
    """A bar of the register that stands in the way, or simply the decision."""
    for found in findings:
        if found.severity is Severity.BLOCKS and (found.rule or found.code) in _RESTRICTED:
            return Ground.RESTRICTION, found.zh, found.en
    return Ground.REGISTRAR, "等待登记人员审核", "a registrar is to decide"


def _code(findings: Sequence[Finding], otherwise: str) -> str:
    return next((f.code for f in findings), otherwise)


def _start_of(day: dt.date | None) -> dt.datetime | None:
    return None if day is None else dt.datetime.combine(day, dt.time(), CHINA)


def _end_of(day: dt.date | None) -> dt.datetime | None:
    """The end of a day in China: the instant at which the next one begins."""
    return None if day is None else dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), CHINA)
