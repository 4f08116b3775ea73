"""PRE_NOTICE_CONVERT 预告转本登记: the pre-notice ends and the final right is booked (CC 221; RD 85; SIG 52).

A sale pre-notice becomes a transfer of ownership, with the taxes of one (handbook 9); a mortgage pre-notice becomes a
mortgage that counts from the date of the pre-notice (SIG 52). The law of the final registration holds as for any
other, by delegation to its own file. Ninety days after the registration became possible the pre-notice has lapsed
(CC 221): nothing is left to convert, and the final registration may be applied for without it. A pre-seizure of the
holder becomes a seizure of the unit in the same booking, counted from the pre-seizure (法发〔2004〕5号; handbook 3.4).
Where the place has it so, the mortgage pre-notice of a pre-sold unit turns into the mortgage with the transfer, and
nobody applies for it (Zhongshan, ZS; handbook 2.3). Where somebody else owns by now what the obligor promised (an heir;
a buyer to whom the holder consented), whether the owner owes the registration is a person's to find out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import MortgageFirst, OwnershipTransfer, PreNoticeConvert, Terms
from gateway.kinds import mortgage, ownership_transfer
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, PaperRule
from gateway.kinds.named import bookable, is_proof_of, keys, no_such_right, pre_notice_named, units_agree
from gateway.register.authority import Institution, Profile
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    AnyRight,
    MortgageKind,
    MortgagorRelation,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    UnitState,
)
from gateway.register.reasons import finding
from gateway.register.states import SALE_KINDS, is_first_registered, pre_seized_notices

OPERATION: Final = "PRE_NOTICE_CONVERT"

#: Why the pre-notice row is historical, as the register says it.
CONVERTED: Final = "预告转本登记"

#: What its parties can still do when it has lapsed, by whether it was a sale's: it bars none of it.
_PLAINLY: Final = {
    True: (
        "可不经预告登记申请转移登记（带押过户模式，或者大厅办理），也可注销后重新预告登记",
        "apply for the transfer without it (by a mode, or at the counter), or release it and note the sale anew",
    ),
    False: (
        "可直接申请抵押权首次登记，顺位自该登记起算",
        "apply for the mortgage without it (MORTGAGE_FIRST), its rank from that registration on",
    ),
}

#: A pre-seizure, and what it is once the unit is booked into the holder's name.
_TURNS_INTO: Final = {
    SeizureKind.PRE_SEIZURE: SeizureKind.SEIZURE,
    SeizureKind.WAITING_PRE_SEIZURE: SeizureKind.WAITING_SEIZURE,
}


def applicants(
    op: PreNoticeConvert, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """The parties of the final registration (RD 85)."""
    if op.transfer is not None:
        return ownership_transfer.applicants(_transfer(op), states, institutions)
    return mortgage.applicants(_mortgage(op), states, institutions)


def papers(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """Whatever the final registration needs; the pre-notice is cited by its proof's number (documents.csv)."""
    if op.transfer is not None:
        return ownership_transfer.papers(_transfer(op), states)
    return mortgage.papers(_mortgage(op), states)


def conditions(op: PreNoticeConvert, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live pre-notice of these parties, not lapsed; the final right may be booked (RD 85)."""
    notice = pre_notice_named(op.proof, states)
    if notice is None:
        return [no_such_right(op.proof, states, field + ".proof", "预告登记", "pre-notice", "RD 85; OS 4.8")]
    found = units_agree(op.units, notice.units, field, "RD 85")
    found += _fits(op, notice, states, field)
    if all(is_first_registered(state) for state in states):
        found += _lapsed(notice, case, field)
    for state in states:
        found += _final(op, state, notice, case, field)
    for mortgage_notice in by_itself(op, states, case.profile, case.manifest.terms):
        for state in states:
            found += [one for one in _of_itself(mortgage_notice, state, case, field) if one not in found]
    return found


def by_itself(
    op: PreNoticeConvert, states: Sequence[UnitState], profile: Profile, terms: Terms
) -> tuple[PreNotice, ...]:
    """Mortgage pre-notices that turn into mortgages with this transfer, no step of the terms asking for it (ZS).

    Of a pre-sold unit, given by its buyers alone; not one that is presumed to have lapsed or does not say its term.
    """
    sale = pre_notice_named(op.proof, states)
    if not profile.convert_on_transfer or op.transfer is None:
        return ()
    if sale is None or sale.kind is not PreNoticeKind.PRESALE_SALE:
        return ()
    asked = [step.proof for step in terms.operations if isinstance(step, PreNoticeConvert) and step.mortgage]
    found = {
        notice.right_id: notice
        for state in states
        for notice in state.pre_notices
        if notice.kind is PreNoticeKind.PRESALE_MORTGAGE
        and keys(notice.obligors) == keys(op.transfer.buying)
        and set(notice.units) <= set(op.units)
        and notice.lapse_presumed_on is None
        and notice.term_start is not None
        and notice.term_end is not None
        and not any(is_proof_of(proof, notice.proof) for proof in asked)
    }
    return tuple(sorted(found.values(), key=lambda notice: (notice.booked_at, notice.right_id)))


def only_a_person(op: PreNoticeConvert, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """A conversion books a transfer, or follows one; the unit carries the pre-notice (handbook 1.4)."""
    return unclean(OPERATION, Asked(case=case, states=tuple(states), field=field))


def names_rights(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The pre-notice, and what the final registration is about."""
    notice = pre_notice_named(op.proof, states)
    named = (notice.identity,) if notice else ()
    if op.transfer is None:
        return named
    return (*named, *_of_the_buyers(op, states), *ownership_transfer.names_rights(_transfer(op), states))


def _of_the_buyers(op: PreNoticeConvert, states: Sequence[UnitState]) -> tuple[str, ...]:
    """Mortgage pre-notices of a pre-sold unit that its buyers gave: what may turn with the transfer (`by_itself`) is of
    this case from its acceptance, so that it does not lapse while the case waits (CC 221).
    """
    buying = keys(op.transfer.buying) if op.transfer is not None else frozenset()
    noted = [n for state in states for n in state.pre_notices if n.kind is PreNoticeKind.PRESALE_MORTGAGE]
    return tuple(n.identity for n in noted if keys(n.obligors) == buying)


def book(op: PreNoticeConvert, booking: Booking) -> None:
    """The pre-notice ends, its proof is void, the final right is booked, all in one (RD 85)."""
    notice = bookable(
        pre_notice_named(op.proof, [booking.states[c] for c in op.units]), op.proof, "pre-notice"
    )
    pre_seized = [
        (state, seizure)
        for state in (booking.states[c] for c in op.units)
        for seizure in state.seizures
        if op.transfer is not None and notice in pre_seized_notices(seizure, state)
    ]
    following = by_itself(op, [booking.states[c] for c in op.units], booking.profile, booking.terms)
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
    for mortgage_notice in following:
        booking.end(mortgage_notice, reason=CONVERTED)
        booking.cancel_certificate(mortgage_notice.proof.number)
        mortgage.book_first(
            _as_noted(mortgage_notice),
            booking,
            priority_date=mortgage_notice.booked_at,
            from_pre_notice=mortgage_notice.right_id,
        )


def _as_noted(notice: PreNotice) -> MortgageFirst:
    """The mortgage that the pre-notice secures, in its own words."""
    assert notice.term_start is not None  # by_itself
    assert notice.term_end is not None
    maximum = notice.mortgage_kind is MortgageKind.MAXIMUM_AMOUNT
    relation = MortgagorRelation.THIRD_PARTY if notice.debtors else MortgagorRelation.DEBTOR
    return MortgageFirst(
        units=notice.units,
        kind=notice.mortgage_kind,
        mortgagors=notice.obligors,
        mortgagees=notice.holders,
        debtors=notice.debtors or notice.obligors,
        mortgagor_relation=relation,
        claim_amount_fen=None if maximum else notice.amount_fen,
        max_claim_amount_fen=notice.amount_fen if maximum else None,
        currency=notice.currency,
        loan_portions=notice.loan_portions,
        term_start=notice.term_start,
        term_end=notice.term_end,
        secured_scope=notice.secured_scope,
        transfer_restriction=notice.transfer_restriction,
        restriction_text=notice.restriction_text,
        contract_number=notice.contract_number,
    )


def _of_itself(notice: PreNotice, state: UnitState, case: Case, field: str) -> list[Finding]:
    """What the table says of the mortgage that comes with the transfer."""
    return register_findings(
        state,
        OPERATION,
        case,
        field,
        rights=(notice.identity,),
        obligors=notice.obligors,
        joining=notice.holders,
        pre_notice_kind=notice.kind,
    )


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
                rights=(notice.identity,),
                obligors=step.sellers,
                transferees=step.buying,
                joining=step.buying + ownership_transfer.joining(step, (state,), case.institutions),
                consenters=op.consenters,
                pre_notice_kind=notice.kind,
            ),
        ]
    first = _mortgage(op)
    turned = _turned_here(state, case)
    of_later = _of_later_holders(state, notice)
    aside = (*turned, *of_later)
    rest = tuple(right for right in state.rights if right not in aside and not _stands_behind(right, notice))
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
    if of_later:
        found.append(
            refer(
                field,
                "法发〔2004〕5号",
                "在后抵押预告登记的权利人被查封",
                "the holder of a later mortgage pre-notice is seized",
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
            rights=(notice.identity,),
            obligors=first.mortgagors,
            joining=first.mortgagees,
            consenters=op.consenters,
            pre_notice_kind=notice.kind,
        ),
    ]


def _stands_behind(right: AnyRight, notice: PreNotice) -> bool:
    """Another mortgage pre-notice, noted no earlier: what is converted counts from its own date, before or beside it,
    and takes nothing from it (CC 414; SIG 52).
    """
    return (
        isinstance(right, PreNotice)
        and right.right_id != notice.right_id
        and right.kind not in SALE_KINDS
        and right.booked_at >= notice.booked_at
    )


def _of_later_holders(state: UnitState, notice: PreNotice) -> tuple[Seizure, ...]:
    """Seizures of those alone who hold a later mortgage pre-notice: what they have is not taken from them here."""
    return tuple(
        seizure
        for seizure in state.seizures
        if (noted := pre_seized_notices(seizure, state)) and all(_stands_behind(n, notice) for n in noted)
    )


def _turned_here(state: UnitState, case: Case) -> tuple[Seizure, ...]:
    """Pre-seizures that the sale's conversion, a step before in this phase, has turned into seizures.

    For the mortgage of the same phase they are what they were: practice differs, so a person decides (handbook 3.4).
    """
    return tuple(s for s in state.seizures if s.from_pre_seizure and s.booked_at == case.now)


def _fits(op: PreNoticeConvert, notice: PreNotice, states: Sequence[UnitState], field: str) -> list[Finding]:
    """A sale pre-notice becomes the sale that it noted, a mortgage pre-notice the mortgage (CC 221)."""
    sale = notice.kind in SALE_KINDS
    if sale is not (op.transfer is not None):
        return [
            _conflict(
                field, "本登记与预告登记的种类不符", "the final registration is not of the pre-notice's kind"
            )
        ]
    if op.transfer is not None:
        holders, obligors = op.transfer.buying, op.transfer.sellers
        amount = op.transfer.price_fen == notice.amount_fen
    else:
        first = _mortgage(op)
        holders, obligors = first.mortgagees, first.mortgagors
        amount = (first.claim_amount_fen or first.max_claim_amount_fen or 0) <= notice.amount_fen
    found = []
    if op.transfer is not None and op.transfer.share_sold is not None:
        found.append(
            _conflict(
                field + ".ownership_transfer.share_sold",
                "预告登记的是整个不动产单元，不能转为份额的转移登记；请先注销预告登记，再以带押过户模式或者到窗口转让该份额",
                "the pre-notice is of the whole unit and becomes no transfer of a share: release it, and sell the "
                "share by a mode of encumbered transfer or at the counter",
            )
        )
    if keys(holders) != keys(notice.holders):
        found.append(
            _conflict(field, "权利人与预告登记不一致", "the holders are not those of the pre-notice")
        )
    if keys(obligors) != keys(notice.obligors):
        found.append(_of_another_obligor(obligors, states, field))
    if not amount:
        found.append(
            _conflict(field, "金额与预告登记不一致", "the amount differs from what the pre-notice secures")
        )
    return found


def _of_another_obligor(acting: Sequence[Party], states: Sequence[UnitState], field: str) -> Finding:
    """Somebody else than who promised it: a person's to judge of the owners of record, else a bar (CC 221, 1161)."""
    owned = [state.ownership for state in states if state.ownership]
    if owned and all(keys(acting) == keys([o.person for o in row.owners]) for row in owned):
        return refer(
            field,
            "CC 221, 1161",
            "不动产现权利人不是预告登记的义务人",
            "the owner of record is not the obligor of the pre-notice",
            rule="OBLIGOR_OWNS",
        )
    return _conflict(field, "义务人与预告登记不一致", "the obligors are not those of the pre-notice")


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
    plainly = _PLAINLY[notice.kind in SALE_KINDS]
    return [
        finding(
            "N-BARRED",
            Severity.BLOCKS,
            rule="R-PRE_NOTICE_LAPSED",
            field=field + ".proof",
            article="CC 221; SIG 52",
            zh=f"自 {notice.registrable_from} 起九十日内未申请登记，预告登记已于 {last} 后失效；{plainly[0]}",
            en=f"no registration was applied for within 90 days of {notice.registrable_from}: it lapsed after {last}; "
            + plainly[1],
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
