"""What co-applicants and consenting institutions do on a case that somebody else filed. Pure.

Join binds a co-applicant to the terms (IR 14); with the last of them the case is accepted, with its place from then
on (handbook 3.6; golden 25). Consent, and statements on the payoff, come from those who need not apply (CC 221, 406,
409). Decline and the revocation of a consent end nothing by themselves: a person looks into it.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gateway.applications.expiry import decide_overdue, is_overdue
from gateway.applications.gates import AT_A_GATE, check_statement
from gateway.applications.later import (
    Dossier,
    LaterAct,
    Progress,
    advance,
    applicants_of,
    as_refusals,
    check_act,
    check_limits,
    check_named,
    check_role,
    dispute,
    disputed,
    holds_right,
    is_same,
    moved,
    not_taken,
    speaks,
    spoiled,
    through_gates,
    to_a_person,
    with_evidence,
)
from gateway.applications.mandates import Asked, steps_asked
from gateway.applications.submit import examine
from gateway.cases.decision import Decision
from gateway.cases.errors import CommandRefused, NotPermitted
from gateway.cases.model import (
    OPEN,
    Application,
    ConsentGiven,
    ConsentKind,
    Dispute,
    Moment,
    Objection,
    PartlyJoined,
    Result,
    State,
)
from gateway.cases.terms import Evidence, MortgageRelease
from gateway.kinds.applicants import is_bound
from gateway.kinds.funds_due import escrow_banks
from gateway.register.authority import KeyRole
from gateway.register.findings import Severity
from gateway.register.model import Party

_DECLINABLE: Final = tuple(s for s in OPEN if s not in (State.SUSPENDED, State.AWAITING_TAX))


#: Statements that money was moved, by whoever moved it: before the booking or after it, and never taken back.
_OF_MONEY: Final = frozenset({ConsentKind.PAID_OUT, ConsentKind.FUNDS_HELD, ConsentKind.FUNDS_RELEASED})


class Join(LaterAct, frozen=True, kw_only=True):
    """A co-applicant applies for its operations on the same terms. No `operations`: all in which it is an applicant."""

    parties: tuple[Party, ...]
    operations: tuple[int, ...] = ()
    evidence: Evidence = Evidence()


class Consent(LaterAct, frozen=True, kw_only=True):
    """A consent to the terms, or a statement on payoff or payout, and then of how much. No `operations`: about all."""

    kind: ConsentKind
    parties: tuple[Party, ...] = ()
    operations: tuple[int, ...] = ()
    amount_fen: int = 0
    currency: str = "CNY"


class Decline(LaterAct, frozen=True, kw_only=True):
    """An institution that was asked will not join or consent."""

    parties: tuple[Party, ...] = ()


class Revoke(LaterAct, frozen=True, kw_only=True):
    """A consent is taken back; `consent_sha256` is the payload digest (hex) of the ConsentAct."""

    consent_sha256: str


class ConsentNotFound(CommandRefused):
    """No consent of this institution stands under that digest."""

    reason = "FIELD_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "本机构没有该摘要的有效同意；consent_digest 应为同意报文的载荷摘要",
            "no consent of this institution stands under that digest: consent_digest is that of the ConsentAct",
            field="consent_digest",
        )


def decide_join(dossier: Dossier, act: Join, moment: Moment) -> Decision:
    """A co-applicant is bound to the terms; raises CommandRefused when it cannot join at all."""
    row = dossier.row
    check_act(dossier, act, "Join", (State.AWAITING_PARTIES,), moment)
    check_named(dossier, act, act.parties)
    own, joined_now = _check_joins(dossier, act)
    if is_overdue(row, moment):
        return decide_overdue(dossier, act.answered("party.join"), moment)
    wrong = spoiled(dossier.new_papers)
    if wrong:
        return not_taken(dossier, act, "party.join", wrong, moment)
    joined = replace(
        _bound(with_evidence(dossier, row, act.evidence, moment), act.institution, own, joined_now),
        institutions=tuple(dict.fromkeys((*row.institutions, act.institution, act.channel))),
        brought=row.brought + act.brings(moment.index),
        disputes=tuple(d for d in row.disputes if d.institution != act.institution),
    )
    return moved(dossier, act, "party.join", advance(dossier, joined, moment), "JOINED", moment)


def _bound(row: Application, institution: str, own: frozenset[int], joined: frozenset[int]) -> Application:
    """The row once the institution is bound to the steps that it joins, besides those that it had joined before."""
    before = {j.institution: j.operations for j in row.partly_joined}
    there = joined.union(before.pop(institution, ()))
    bound = dict.fromkeys(row.bound_institutions)
    if there >= own:
        bound[institution] = None
    elif institution not in bound:
        before[institution] = tuple(sorted(there))
    return replace(
        row,
        bound_institutions=tuple(b for b in bound if b != row.applicant_institution),
        partly_joined=tuple(PartlyJoined(institution=i, operations=o) for i, o in before.items()),
    )


def _check_joins(dossier: Dossier, act: Join) -> tuple[frozenset[int], frozenset[int]]:
    """The steps for which the institution is to apply, and those that it joins now.

    It applies for what it joins, and its key may: a release alone needs no more than RELEASE.
    """
    operations = dossier.manifest.terms.operations
    own = frozenset(
        number
        for applicant, number in applicants_of(dossier)
        if applicant.party.is_institution and speaks(dossier, act.institution, applicant.party)
    )
    joined = own.intersection(act.operations) if act.operations else own
    if not joined or not joined.issuperset(act.operations):
        raise NotPermitted(
            f"机构 {act.institution} 不是所列登记的共同申请人；请由申请内容所列的共同申请机构加入，"
            "或者在 operations 中只列本机构的登记",
            f"institution {act.institution} is no applicant of what it joins: the co-applicant whom the terms name "
            "joins it, or operations names this institution's own",
        )
    releases = all(isinstance(operations[number], MortgageRelease) for number in joined)
    wanted = (KeyRole.SUBMIT, KeyRole.RELEASE) if releases else (KeyRole.SUBMIT,)
    check_role(act, *wanted)
    check_limits(dossier, act, steps_asked(dossier.manifest.terms, joined), *wanted)
    return own, joined


def decide_consent(dossier: Dossier, act: Consent, moment: Moment) -> Decision:
    """A consent is recorded; what it was the last to be missing for goes on."""
    row = dossier.row
    allowed = (*OPEN, State.BOOKED) if act.kind in _OF_MONEY else OPEN
    check_act(dossier, act, "Consent", allowed, moment, holder=True)
    check_role(act, KeyRole.CONSENT)
    check_named(dossier, act, act.parties)
    _check_may_say(dossier, act, moment)
    check_limits(dossier, act, _asked(dossier, act), KeyRole.CONSENT)
    if is_overdue(row, moment):
        return decide_overdue(dossier, act.answered("party.consent"), moment)
    wrong = spoiled(dossier.new_papers)
    if wrong:
        return not_taken(dossier, act, "party.consent", wrong, moment)
    given = ConsentGiven(
        institution=act.institution,
        kind=act.kind,
        payload_sha256=act.payload_sha256,
        index=moment.index,
        at=moment.now,
        operations=act.operations,
    )
    said = replace(
        row,
        consents=(*row.consents, given),
        institutions=tuple(dict.fromkeys((*row.institutions, act.institution, act.channel))),
        brought=row.brought + act.brings(moment.index),
        disputes=tuple(
            d
            for d in row.disputes
            if d.institution != act.institution or d.objection is not Objection.DECLINED
        ),
    )
    return moved(
        dossier, act, "party.consent", _after_consent(dossier, said, moment), _told(act.kind), moment
    )


def _asked(dossier: Dossier, act: Consent) -> tuple[Asked, ...]:
    """What a consent is held against limits for: the steps that it lets pass, or the money that it states."""
    if act.kind is not ConsentKind.TO_TERMS:
        return (Asked(field="amount", fen=act.amount_fen, currency=act.currency),)
    return steps_asked(dossier.manifest.terms, act.operations or None)


def _check_may_say(dossier: Dossier, act: Consent, moment: Moment) -> None:
    case = dossier.case(dossier.row, moment.now)
    match act.kind:
        case ConsentKind.TO_TERMS:
            steps = enumerate(dossier.manifest.terms.operations)
            meant = [op for number, op in steps if not act.operations or number in act.operations]
            named = [p for op in meant for p in op.consenters if p.is_institution]
            may = holds_right(dossier, act.institution) or any(
                speaks(dossier, act.institution, p) for p in named
            )
        case ConsentKind.PAID_OUT:
            lenders = dossier.row.applied_by[1:]  # without the channel, which may be another's system
            may = any(is_same(dossier.world, act.institution, code) for code in lenders)
        case ConsentKind.FUNDS_HELD | ConsentKind.FUNDS_RELEASED:
            may = any(speaks(dossier, act.institution, p) for p in escrow_banks(dossier.manifest.terms))
        case _:
            check_statement(case, act.institution, act.kind)
            may = True
    if not may:
        raise NotPermitted(
            f"{act.kind.value} 不应由机构 {act.institution} 作出；请由该事项所属的当事机构作出",
            f"{act.kind.value} is not for institution {act.institution} to say on this case: the institution whose "
            "consent, loan or escrow it is says it",
        )


def _after_consent(dossier: Dossier, row: Application, moment: Moment) -> Progress:
    if row.state is State.AWAITING_PARTIES:
        return advance(dossier, row, moment)
    if row.state in AT_A_GATE:
        progress = through_gates(dossier, row, moment)
        still = progress.row.state is row.state
        return replace(progress, result=Result.DONE) if still else progress
    return Progress(row=row, result=Result.DONE)


def _told(kind: ConsentKind) -> str:
    """The event of a consent."""
    if kind in _OF_MONEY:
        return kind.value
    confirmed = (ConsentKind.PAYOFF_CONFIRMED, ConsentKind.PAYOFF_UNDERTAKING_ACCEPTED)
    return "PAYOFF_CONFIRMED" if kind in confirmed else "CONSENTED"


def decide_decline(dossier: Dossier, act: Decline, moment: Moment) -> Decision:
    """Noted as a dispute. An accepted case goes to a person; before acceptance the others are told, nothing ends."""
    row = dossier.row
    check_act(dossier, act, "Decline", _DECLINABLE, moment)
    check_role(act, KeyRole.SUBMIT, KeyRole.CONSENT)
    check_named(dossier, act, act.parties, relayed=True)
    if is_same(dossier.world, act.institution, row.applicant_institution):
        raise NotPermitted(
            "提交申请的机构不能拒绝自己的申请；如不再办理请撤回",
            "the institution that filed cannot decline its own application: withdraw it",
        )
    noted = Dispute(institution=act.institution, objection=Objection.DECLINED, index=moment.index)
    row = replace(row, disputes=(*row.disputes, noted))
    found = dispute(
        f"机构 {act.institution} 拒绝；由登记员审核",
        f"institution {act.institution} declines: a registrar looks into it",
    )
    return disputed(dossier, act, "party.decline", row, (found,), "DECLINED", moment)


def decide_revoke(dossier: Dossier, act: Revoke, moment: Moment) -> Decision:
    """A non-applicant takes its consent back, unless a payout has relied on it since (handbook 3.6; golden 39)."""
    row = dossier.row
    check_act(dossier, act, "Revoke", OPEN, moment, holder=True)
    check_role(act, KeyRole.CONSENT)
    given = next(
        (
            c
            for c in row.consents
            if c.payload_sha256 == act.consent_sha256 and c.institution == act.institution and c.stands
        ),
        None,
    )
    if given is None or given.kind in _OF_MONEY:
        raise ConsentNotFound
    _check_no_applicant(dossier, act, moment)
    relied = any(c.kind is ConsentKind.PAID_OUT and c.index > given.index for c in row.consents)
    if relied:
        noted = Dispute(institution=act.institution, objection=Objection.REVOCATION, index=moment.index)
        found = dispute(
            "已有放款信赖该同意，撤回不予采纳，由登记员审核",
            "a payout relied on the consent: it is not taken back, and a registrar is told",
        )
        row = replace(row, disputes=(*row.disputes, noted))
        return disputed(dossier, act, "party.revoke", row, (found,), "REVOKED", moment)
    taken_back = replace(given, revoked_index=moment.index)
    row = replace(row, consents=tuple(taken_back if c == given else c for c in row.consents))
    case = dossier.case(row, moment.now)
    findings, awaiting = examine(dossier.world, case)
    if row.state is State.AWAITING_PARTIES:
        progress = replace(advance(dossier, row, moment), result=Result.DONE)
        return moved(dossier, act, "party.revoke", progress, "REVOKED", moment)
    stopping = [f for f in findings if f.severity in (Severity.BLOCKS, Severity.AWAITS)]
    if (awaiting or stopping) and row.state is not State.SUSPENDED:
        progress = replace(to_a_person(row, as_refusals(findings)), result=Result.DONE)
    else:
        progress = Progress(row=row, result=Result.DONE, findings=tuple(findings))
    return moved(dossier, act, "party.revoke", progress, "REVOKED", moment)


def _check_no_applicant(dossier: Dossier, act: Revoke, moment: Moment) -> None:
    """What was applied for together is withdrawn together: an applicant's word is not taken back alone (IR 15)."""
    case = dossier.case(dossier.row, moment.now)
    for applicant, number in applicants_of(dossier):
        party = applicant.party
        own = party.is_institution and speaks(dossier, act.institution, party)
        if own and is_bound(party, case.at(number)):
            raise NotPermitted(
                "共同申请人不能单方撤回同意；撤回申请须由全体申请人提出",
                "an applicant cannot take its word back alone: a withdrawal is by all applicants (IR 15)",
            )
