"""PRE_NOTICE_RELEASE 预告注销登记: a pre-notice ends (CC 221; RD 89).

Its holder may apply alone, because the claim ended or is waived; both sides by agreement. Nobody else is harmed by it,
so it does not wait behind another right's case (handbook 3.2); what a court has pre-seized may not be given away.
A sale pre-notice does not go before the mortgage pre-notice that rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.cases.terms import PreNoticeRelease, ReleaseGround
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, PaperRule
from gateway.kinds.named import (
    bookable,
    holders_agree,
    identity_of,
    keys,
    no_such_right,
    once,
    pre_notice_named,
    strangers,
    units_agree,
)
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.findings import Finding
from gateway.register.model import PreNotice, UnitState
from gateway.register.states import SALE_KINDS

OPERATION: Final = "PRE_NOTICE_RELEASE"

#: Grounds that are the holder's own word.
_OWN_WORD: Final = frozenset({ReleaseGround.CLAIM_SETTLED, ReleaseGround.WAIVED})


def applicants(
    op: PreNoticeRelease, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """The holder alone; by agreement both sides; with a judgment whoever it entitles (RD 89)."""
    if op.ground is ReleaseGround.JUDGMENT:
        sides = [("申请人", "applicant", p) for p in op.applicants or op.holders]
    else:
        sides = [("预告登记权利人", "holder", p) for p in op.holders]
        notice = pre_notice_named(op.proof, states)
        if op.ground is ReleaseGround.AGREEMENT and notice is not None:
            sides += [("预告登记义务人", "obligor", p) for p in notice.obligors]
    return tuple(Applicant(party=p, role_zh=zh, role_en=en, article="CC 221; RD 89") for zh, en, p in sides)


def papers(op: PreNoticeRelease, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms of persons, and the paper by which the claim ended or is waived (documents.csv)."""
    notice = pre_notice_named(op.proof, states)
    obligors = notice.obligors if notice and op.ground is ReleaseGround.AGREEMENT else ()
    people = [p for p in (*op.holders, *obligors) if not p.is_institution]
    if op.ground is ReleaseGround.JUDGMENT:
        people = [p for p in op.applicants if not p.is_institution]
    forms = forms_of(people) if people else ()
    if op.ground is ReleaseGround.JUDGMENT:
        judgment = PaperRule(
            code="JUDGMENT", zh="生效法律文书", en="effective judgment or award", article="IR 14(2)(3); RD 89"
        )
        return (*forms, judgment)
    return (
        *forms,
        PaperRule(
            code="EXTINCTION",
            zh="债权消灭或者权利人放弃预告登记的材料",
            en="proof that the claim ended, or waiver",
            article="CC 221; RD 89",
            signers=once((*op.holders, *obligors)),
        ),
    )


def conditions(op: PreNoticeRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live pre-notice of the applicant, on which nothing else rests (CC 221; RD 89)."""
    notice = pre_notice_named(op.proof, states)
    if notice is None:
        return [no_such_right(op.proof, states, field + ".proof", "预告登记", "pre-notice", "RD 89; OS 4.8")]
    found = units_agree(op.units, notice.units, field, "RD 89")
    found += holders_agree(
        op.holders, notice.holders, case, field + ".holders", "CC 221; RD 89", "预告登记权利人", "holders"
    )
    if op.ground is ReleaseGround.JUDGMENT:
        found += strangers(
            op.applicants,
            (*notice.holders, *notice.obligors),
            field,
            "IR 14(2)(3); RD 89",
            "凭生效法律文书申请的须为预告登记的权利人或者义务人",
            "with a judgment the holder or the obligor applies",
        )
    for state in states:
        found += _rested_on(notice, state, field)
        found += register_findings(
            state,
            OPERATION,
            case,
            field,
            rights=(notice.identity,),
            joining=op.holders,
            pre_notice_kind=notice.kind,
        )
    return found


def only_a_person(op: PreNoticeRelease, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The end of the claim and a waiver are the holder's own word (CC 221); any other ground is for a person."""
    asked = Asked(case=case, states=tuple(states), field=field, is_own_word=op.ground in _OWN_WORD)
    return unclean(OPERATION, asked)


def names_rights(op: PreNoticeRelease, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The pre-notice that ends."""
    return identity_of(pre_notice_named(op.proof, states))


def book(op: PreNoticeRelease, booking: Booking) -> None:
    """The row becomes historical, its proof is void (RD 89)."""
    notice = bookable(
        pre_notice_named(op.proof, [booking.states[c] for c in op.units]), op.proof, "pre-notice"
    )
    booking.end(notice, reason=op.ground.value)
    booking.cancel_certificate(notice.proof.number)


def _rested_on(notice: PreNotice, state: UnitState, field: str) -> list[Finding]:
    """A mortgage pre-notice of the same buyer rests on the sale pre-notice: whether it may stand alone is a person's
    to decide (RD 78; CC 221).
    """
    if notice.kind not in SALE_KINDS:
        return []
    resting = [
        n for n in state.pre_notices if n.kind not in SALE_KINDS and keys(n.obligors) <= keys(notice.holders)
    ]
    return [
        refer(
            field + ".proof",
            "RD 78; CC 221",
            f"抵押预告登记 {other.proof.number} 以该买卖预告登记为基础",
            f"mortgage pre-notice {other.proof.number} rests on it",
            rule="NOTHING_RESTS_ON_IT",
        )
        for other in resting
    ]
