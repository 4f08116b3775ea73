"""PRE_NOTICE_CONVERT 预告转本登记: the pre-notice ends and the final right is booked (CC 221; RD 85; SIG 52).

A sale pre-notice becomes a transfer of ownership, with the taxes of one (handbook 9); a mortgage pre-notice becomes a
mortgage that counts from the date of the pre-notice (SIG 52). The law of the final registration holds as for any
other, by delegation to its own file. Ninety days after the registration became possible the pre-notice has lapsed
(CC 221): nothing is left to convert. A pre-seizure of the holder becomes a seizure of the unit in the same booking,
counted from the pre-seizure (法发〔2004〕5号; handbook 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import MortgageFirst, OwnershipTransfer, PreNoticeConvert
from gateway.kinds import mortgage, ownership_transfer
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import CHINA, Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.named import keys, no_such_right, pre_notice_named, units_agree
from gateway.register.findings import Finding, Severity
from gateway.register.model import PreNotice, Seizure, SeizureKind, UnitState
from gateway.register.reasons import finding
from gateway.register.states import SALE_KINDS, pre_seized_notices

OPERATION: Final = "PRE_NOTICE_CONVERT"

#: Why the pre-notice row is historical, as the register says it.
CONVERTED: Final = "预告转本登记"

#: A pre-seizure, and what it is once the unit is booked into the holder's name.
_TURNS_INTO: Final = {
    SeizureKind.PRE_SEIZURE: SeizureKind.SEIZURE,
    SeizureKind.WAITING_PRE_SEIZURE: SeizureKind.WAITING_SEIZURE,
}


def applicants(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[Applicant, ...]:
    """The parties of the final registration (RD 85)."""
    if op.transfer is not None:
        return ownership_transfer.applicants(_transfer(op), states)
    return mortgage.applicants(_mortgage(op), states)


def papers(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """Whatever the final registration needs; the pre-notice is cited by its proof's number (documents.csv)."""
    if op.transfer is not None:
        return ownership_transfer.papers(_transfer(op), states)
    return mortgage.papers(_mortgage(op), states)


def conditions(op: PreNoticeConvert, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live pre-notice of these parties, not lapsed; the final right may be booked (RD 85)."""
    notice = pre_notice_named(op.proof, states)
    if notice is None:
        return [no_such_right(op.proof, field + ".proof", "预告登记", "pre-notice", "RD 85; OS 4.8")]
    found = units_agree(op.units, notice.units, field, "RD 85")
    found += _fits(op, notice, field) + _lapsed(notice, case, field)
    for state in states:
        found += _final(op, state, notice, case, field)
    return found


def only_a_person(op: PreNoticeConvert, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A conversion books a transfer, or follows one; the unit carries the pre-notice (handbook 1.4)."""
    return unclean(OPERATION, Asked(case=case, states=tuple(states), field=field))


def names_rights(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The pre-notice, and what the final registration is about."""
    notice = pre_notice_named(op.proof, states)
    named = (notice.right_id,) if notice else ()
    return (*named, *(ownership_transfer.names_rights(_transfer(op), states) if op.transfer else ()))


def book(op: PreNoticeConvert, booking: Booking) -> None:
    """The pre-notice ends, its proof is void, the final right is booked, all in one (RD 85)."""
    notice = pre_notice_named(op.proof, [booking.states[c] for c in op.units])
    if notice is None:
        raise NotBookable(f"no live pre-notice has proof number {op.proof.number} on these units")
    pre_seized = [
        (state, seizure)
        for state in (booking.states[c] for c in op.units)
        for seizure in state.seizures
        if op.transfer is not None and notice in pre_seized_notices(seizure, state)
    ]
    booking.end(notice, reason=CONVERTED)
    booking.cancel_certificate(notice.proof.number)
    if op.transfer is not None:
        ownership_transfer.book(_transfer(op), booking)
    else:
        mortgage.book_first(
            _mortgage(op), booking, priority_date=notice.booked_at, from_pre_notice=notice.right_id
        )
    for _, seizure in pre_seized:
        turned = replace(
            seizure,
            right_id=booking.new_right_id(),
            kind=_TURNS_INTO.get(seizure.kind, seizure.kind),
            from_pre_seizure=seizure.right_id,
            case_number=booking.case_number,
            booked_at=booking.now,
            booked_by=booking.booked_by,
        )
        booking.end(seizure, reason=CONVERTED, by=turned.right_id)
        booking.book(turned)


def _final(
    op: PreNoticeConvert, state: UnitState, notice: PreNotice, case: Case, field: str
) -> list[Finding]:
    """The law of the final registration, and what the table says of a conversion on this unit."""
    if op.transfer is not None:
        step = _transfer(op)
        return [
            *ownership_transfer.agreement(step, (state,), case, field),
            *register_findings(
                state,
                OPERATION,
                case,
                field,
                rights=(notice.right_id,),
                obligors=step.sellers,
                transferees=step.buying,
                joining=step.buying + ownership_transfer.joining(step, (state,)),
                consenters=op.consenters,
                pre_notice_kind=notice.kind,
            ),
        ]
    first = _mortgage(op)
    turned = _turned_here(state, case)
    rest = tuple(right for right in state.rights if right not in turned)
    found = mortgage.agreement(first, (state,), case, field)
    if turned:
        found.append(
            refer(
                field,
                "法发〔2004〕5号",
                "被预查封的权利人设定抵押",
                "the pre-seized holder would mortgage the unit",
                rule="NOT_PRE_SEIZED",
            )
        )
    return [
        *found,
        *register_findings(
            UnitState(unit=state.unit, rights=rest),
            OPERATION,
            case,
            field,
            rights=(notice.right_id,),
            obligors=first.mortgagors,
            joining=first.mortgagees,
            consenters=op.consenters,
            pre_notice_kind=notice.kind,
        ),
    ]


def _turned_here(state: UnitState, case: Case) -> tuple[Seizure, ...]:
    """Pre-seizures that the sale's conversion, a step before in this phase, has turned into seizures.

    For the mortgage of the same phase they are what they were: practice differs, so a person decides (handbook 3.4).
    """
    return tuple(s for s in state.seizures if s.from_pre_seizure and s.booked_at == case.now)


def _fits(op: PreNoticeConvert, notice: PreNotice, field: str) -> list[Finding]:
    """A sale pre-notice becomes the sale that it noted, a mortgage pre-notice the mortgage (CC 221)."""
    sale = notice.kind in SALE_KINDS
    if sale is not (op.transfer is not None):
        return [
            _conflict(
                field, "本登记与预告登记的种类不符", "the final registration is not of the pre-notice's kind"
            )
        ]
    if op.transfer is not None:
        agree = keys(op.transfer.buying) == keys(notice.holders) and keys(op.transfer.sellers) == keys(
            notice.obligors
        )
        amount = op.transfer.price_fen == notice.amount_fen
    else:
        first = _mortgage(op)
        agree = keys(first.mortgagees) == keys(notice.holders) and keys(first.mortgagors) == keys(
            notice.obligors
        )
        amount = (first.claim_amount_fen or first.max_claim_amount_fen or 0) <= notice.amount_fen
    found = []
    if op.transfer is not None and op.transfer.share_sold is not None:
        found.append(
            _conflict(
                field + ".ownership_transfer.share_sold",
                "预告登记的是整个不动产单元，不能转为份额的转移登记；请先就该份额重新办理预告登记或者直接申请转移登记",
                "the pre-notice is of the whole unit and becomes no transfer of a share: sell the share directly",
            )
        )
    if not agree:
        found.append(
            _conflict(field, "当事人与预告登记不一致", "the parties are not those of the pre-notice")
        )
    if not amount:
        found.append(
            _conflict(field, "金额与预告登记不一致", "the amount differs from what the pre-notice secures")
        )
    return found


def _lapsed(notice: PreNotice, case: Case, field: str) -> list[Finding]:
    """Ninety days after the registration became possible, rolled to a working day, it has lapsed (CC 203, 221)."""
    if notice.registrable_from is None:
        return []
    last, provisional = case.calendar.lapses_after(notice.registrable_from)
    today = case.now.astimezone(CHINA).date()
    if today <= last or (case.accepted_at is not None and case.accepted_at.astimezone(CHINA).date() <= last):
        return []
    if provisional:
        return [
            refer(
                field + ".proof",
                "CC 221, 203",
                f"预告登记推定于 {last} 后失效，该年放假安排尚未公布",
                f"the pre-notice is presumed to have lapsed after {last}, in a year whose days off are unknown",
                rule="LAPSE_CERTAIN",
            )
        ]
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-PRE_NOTICE_LAPSED",
            field=field + ".proof",
            article="CC 221; SIG 52",
            zh=f"自 {notice.registrable_from} 起九十日内未申请登记，预告登记已于 {last} 后失效",
            en=f"no registration was applied for within 90 days of {notice.registrable_from}: it lapsed after {last}",
        )
    ]


def _conflict(field: str, zh: str, en: str) -> Finding:
    return finding(
        "N-BARRED", Severity.BLOCKS, rule="R-CONFLICT", field=field, article="CC 221; RD 85", zh=zh, en=en
    )


def _transfer(op: PreNoticeConvert) -> OwnershipTransfer:
    """The transfer as a step of its own, with the applicants and consenters of the conversion."""
    assert op.transfer is not None
    return replace(op.transfer, applicants=op.applicants, consenters=op.consenters)


def _mortgage(op: PreNoticeConvert) -> MortgageFirst:
    assert op.mortgage is not None
    return replace(op.mortgage, applicants=op.applicants, consenters=op.consenters)
