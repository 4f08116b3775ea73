"""Withdrawal 撤回申请: by all who applied, before booking (IR 15; OS 1.10.2; handbook 3.6). Pure.

An institution asks by its own envelope, a natural person by a signed paper WITHDRAWAL that some applicant brings. Asked
by some only it is not taken: what was asked is kept, and a person looks into the dispute.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gateway.applications.accepting import record
from gateway.applications.expiry import decide_overdue, is_overdue
from gateway.applications.later import (
    Dossier,
    LaterAct,
    applicants_of,
    check_act,
    check_named,
    check_role,
    dispute,
    disputed,
    is_same,
    not_taken,
    speaks,
    spoiled,
)
from gateway.cases.decision import Decision
from gateway.cases.errors import NotPermitted
from gateway.cases.model import OPEN, Application, Dispute, Moment, Objection, Result, State
from gateway.cases.papers import assembled
from gateway.kinds.applicants import is_bound
from gateway.kinds.law import Case
from gateway.kinds.powers import is_signed_by, is_signed_by_guardian
from gateway.register.authority import KeyRole
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding

#: The paper on which natural persons ask for withdrawal.
WITHDRAWAL: Final = "WITHDRAWAL"

_KIND: Final = "application.withdrawal"


class Withdrawal(LaterAct, frozen=True, kw_only=True):
    """Parties of the terms for whom withdrawal is asked: the institution itself, and persons by their signed paper."""

    parties: tuple[Party, ...]


def decide_withdrawal(dossier: Dossier, act: Withdrawal, moment: Moment) -> Decision:
    """WITHDRAWN when everyone who applied has asked; otherwise noted for a person. Raises CommandRefused."""
    row = dossier.row
    check_act(dossier, act, "WithdrawApplication", OPEN, moment)
    check_role(act, KeyRole.SUBMIT)
    check_named(dossier, act, act.parties, relayed=True)
    _check_applicant(dossier, act)
    if is_overdue(row, moment):
        return decide_overdue(dossier, act.answered(_KIND), moment)
    wrong = (*spoiled(dossier.new_papers), *_unsigned(dossier, act, moment))
    if wrong:
        return not_taken(dossier, act, _KIND, wrong, moment)
    own = (act.institution,) if any(p.is_institution for p in act.parties) else ()
    asked = replace(
        row,
        withdrawn_by=tuple(dict.fromkeys((*row.withdrawn_by, *own))),
        brought=row.brought + act.brings(moment.index),
        institutions=tuple(dict.fromkeys((*row.institutions, act.channel))),
    )
    missing = _not_yet(dossier, asked, moment)
    if not missing:
        closed = replace(asked, state=State.WITHDRAWN, claimed_by="", awaiting=(), suspension="")
        return record(
            dossier.world,
            act.answered(_KIND),
            closed,
            Result.DONE,
            moment,
            findings=(finding("E-WITHDRAWN", Severity.WARNS),),
            frees=dossier.papers,
            tells="",
        )
    noted = Dispute(institution=act.institution, objection=Objection.WITHDRAWAL, index=moment.index)
    names = "、".join(p.name for p in missing)
    found = dispute(
        f"撤回须由全体申请人提出，尚缺 {names}；由登记员审核",
        f"a withdrawal is by all applicants, still missing {names}: a registrar looks into it",
    )
    row = replace(asked, disputes=(*asked.disputes, noted))
    return disputed(dossier, act, _KIND, row, (found,), "DECLINED", moment)


def _check_applicant(dossier: Dossier, act: Withdrawal) -> None:
    """Only an institution that applied brings a withdrawal, its own or a person's."""
    row = dossier.row
    if not act.parties or not any(is_same(dossier.world, act.institution, code) for code in row.applied_by):
        raise NotPermitted(
            f"机构 {act.institution} 不是本申请的申请人，或者未列明为谁撤回；请由申请机构提出并在 parties 中列明",
            f"institution {act.institution} is no applicant here, or names nobody for whom it withdraws: an "
            "institution that applied brings it, with those persons in parties",
        )


def _unsigned(dossier: Dossier, act: Withdrawal, moment: Moment) -> list[Finding]:
    """Every natural person named has signed a WITHDRAWAL of this case."""
    case = dossier.case(dossier.row, moment.now)
    return [
        finding(
            "C-SIGNATURE",
            Severity.BLOCKS,
            file=WITHDRAWAL,
            article="IR 15; ESL 13",
            zh=f"撤回申请书缺少{party.name}的有效签名",
            en=f"the withdrawal has no valid signature of {party.name}",
        )
        for party in act.parties
        if not party.is_institution and not _has_signed(party, case, dossier)
    ]


def _has_signed(party: Party, case: Case, dossier: Dossier) -> bool:
    """On a paper WITHDRAWAL that is whole, for a ward its guardian; one that embeds terms embeds these."""
    return any(
        (is_signed_by(paper, party, case) or is_signed_by_guardian(paper, party, case))
        and paper.found
        and not paper.problems
        and paper.terms_sha256 in ("", dossier.row.terms_sha256)
        for paper in assembled(dossier.all_papers)
        if paper.reference.paper_code == WITHDRAWAL
    )


def _not_yet(dossier: Dossier, row: Application, moment: Moment) -> tuple[Party, ...]:
    """Those who applied and have not asked; who never signed does not have to."""
    case = dossier.case(row, moment.now)
    applied = {a.party.key: a.party for a, n in applicants_of(dossier) if is_bound(a.party, case.at(n))}
    return tuple(
        party
        for party in applied.values()
        if not (
            any(speaks(dossier, code, party) for code in row.withdrawn_by)
            if party.is_institution
            else _has_signed(party, case, dossier)
        )
    )
