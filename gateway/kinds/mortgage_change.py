"""MORTGAGE_CHANGE 抵押权变更登记: what a mortgage says is changed (RD 68; CC 409, 422).

Who applies: mortgagor and mortgagee together; a mere change of one's own name or document, alone (IR 14; OS 14.2).
The row is superseded by a changed one under a new proof; rank and first registration stay. What the change is adverse
to, needs the other mortgagee's written consent (CC 409); a debt that passes to another debtor frees a third party's
security unless it agrees (CC 391). In a sale the buyer steps in as mortgagor (N29 mode 3; S11, S12).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.stated import DeclarationKind
from gateway.cases.terms import ChangeItem, MortgageChange, operation_name
from gateway.certificates.content import CertificateKind
from gateway.kinds.applicants import has_consented, is_bound
from gateway.kinds.blocking import register_findings
from gateway.kinds.change_items import NEED_NOT_BE_REPEATED, items_agree, kind_stays, portions_add_up
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.mortgage import (
    content_of,
    issue_proof,
    mortgagors_own,
    owners_are_mortgagors,
    sides_agree,
)
from gateway.kinds.named import (
    bookable,
    holders_agree,
    identity_of,
    keys,
    mortgage_named,
    no_such_right,
    once,
    sort_fits,
    strangers,
    units_agree,
)
from gateway.kinds.papers import forms_of
from gateway.kinds.stated import has_declared
from gateway.register.authority import Institution, Stance
from gateway.register.findings import Finding, Severity
from gateway.register.model import (
    Mortgage,
    MortgagorRelation,
    Party,
    TransferRestriction,
    UnitState,
)
from gateway.register.rank import current_ranks, passed_by, place_agreed
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
CHANGED: Final = "变更登记"

#: A change of nothing but this may be applied for by the person concerned alone (OS 14.2).
_OWN_NAME: Final = frozenset({ChangeItem.NAME_OR_IDENTITY})

#: With a change of one of these the relation of mortgagors and debtors is said anew.
_SIDES: Final = frozenset({ChangeItem.MORTGAGOR, ChangeItem.DEBTOR})


def applicants(
    op: MortgageChange, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Mortgagors, those who step in among them, and mortgagees; for one's own name whoever it is about."""
    content = op.content
    if is_own_name(op):
        alone = op.applicants or content.mortgagees
        return tuple(_applies("申请人", "applicant", p, "IR 14; OS 14.2") for p in alone)
    leaving = _leaving(op, mortgage_named(op.proof, states))
    sides = [("抵押人", "mortgagor", p) for p in content.mortgagors]
    sides += [("原抵押人", "former mortgagor", p) for p in leaving]
    if ChangeItem.DEBTOR in op.items:
        new = [p for p in content.debtors if p.key not in keys((*content.mortgagors, *leaving))]
        sides += [("新债务人", "new debtor", p) for p in new]
    sides += [("抵押权人", "mortgagee", p) for p in content.mortgagees]
    return tuple(_applies(zh, en, p, "IR 14; RD 68") for zh, en, p in sides)


def _leaving(op: MortgageChange, old: Mortgage | None) -> tuple[Party, ...]:
    """Mortgagors of record who are none afterwards: they apply too, but not where only a name changes."""
    if old is None or is_own_name(op):
        return ()
    return tuple(p for p in old.mortgagors if p.key not in keys(op.content.mortgagors))


def papers(op: MortgageChange, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms, the change agreement, and what a change of debtor or of the restriction asks for (documents.csv)."""
    if is_own_name(op):
        people = [p for p in op.applicants if not p.is_institution]
        return (
            *(forms_of(people) if people else ()),
            PaperRule(
                code="IDENTITY",
                zh="姓名、名称或者证件变更的证明",
                en="proof of the change of name or document",
                article="OS 14.2; RD 68",
            ),
        )
    old = mortgage_named(op.proof, states)
    content = op.content
    sides = (*content.mortgagors, *(old.mortgagors if old else ()), *content.mortgagees)
    debtors = (*content.debtors, *(old.debtors if old else ())) if ChangeItem.DEBTOR in op.items else ()
    rules = [
        *forms_of([p for p in once(sides) if p.key not in keys(content.mortgagees)]),
        PaperRule(
            code="CHANGE_AGREEMENT",
            zh="抵押权变更协议",
            en="change agreement",
            article="RD 68",
            signers=once((*sides, *debtors)),
            also=("MORTGAGE_CHANGE_AGREEMENT", "ASSIGN_AND_CHANGE_AGREEMENT"),
        ),
    ]
    if ChangeItem.TRANSFER_RESTRICTION in op.items:
        rules.append(
            PaperRule(
                code="RESTRICTION_CHANGE",
                zh="关于禁止或限制转让约定的变更协议",
                en="agreement that changes the transfer restriction",
                article="N54",
                signers=once((*content.mortgagors, *content.mortgagees)),
                also=("CHANGE_AGREEMENT",),
            )
        )
    return tuple(rules)


def conditions(op: MortgageChange, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The proof names a live mortgage, what differs is named, and whom it harms agrees (RD 68; CC 409)."""
    old = mortgage_named(op.proof, states)
    if old is None:
        return [no_such_right(op.proof, states, field + ".proof", "抵押权", "mortgage", "RD 68; OS 4.8")]
    added = tuple(code for code in op.content.units if code not in old.units)
    found = units_agree(op.units, (*old.units, *added), field, "RD 68")
    found += sort_fits(construction=op.construction is not None, mortgage=old, field=field)
    found += _own_name_is_ones_own(op, old, field) + _securers_agree(op, old, case, field)
    found += _mortgagees_stay(op, old, case, field)
    found += items_agree(op, old, field) + kind_stays(op, old, field) + portions_add_up(op, old, field)
    found += _new_mortgagors_own(op, old, states, field)
    if _SIDES & frozenset(op.items):
        found += sides_agree(op.content, field + ".content")
    for state in states:
        if state.unit.unit_code in added:
            found += _is_mortgaged_anew(op, old, state, case, field)
            continue
        harmed = _harmed(op, old, state, case.now)
        found += _owner_bears_it(op, old, state, case, field)
        found += register_findings(
            state,
            operation_name(op),
            case,
            field,
            rights=(old.identity,),
            obligors=op.content.mortgagors,
            joining=op.content.mortgagees + _leaving(op, old),
            consenters=op.consenters,
            adds_burden=adds_burden(op, old),
            adverse_to=tuple(m.right_id for m in harmed),
        )
    return found


def _is_mortgaged_anew(
    op: MortgageChange, old: Mortgage, state: UnitState, case: Case, field: str
) -> list[Finding]:
    """A unit that is added: its owners mortgage it, and what bars a first registration bars this (CC 395, 402).

    The mortgage keeps its date, which is older than this unit's part in it: whoever registered here in between would be
    passed, and agrees or has the new unit mortgaged by a registration of its own (CC 409, 414).
    """
    ranks = current_ranks([*state.mortgages, old])
    passed = tuple(m.right_id for m in state.mortgages if ranks[m.right_id] >= ranks[old.right_id])
    return owners_are_mortgagors(op.content, state, field + ".content") + register_findings(
        state,
        operation_name(op.content),
        case,
        field,
        obligors=op.content.mortgagors,
        joining=op.content.mortgagees,
        consenters=op.consenters,
        adverse_to=passed,
    )


def only_a_person(op: MortgageChange, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Always: the unit carries a mortgage, so the case is not clean (handbook 1.4)."""
    return unclean(operation_name(op), Asked(case=case, states=tuple(states), field=field))


def names_rights(op: MortgageChange, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage that is changed."""
    return identity_of(mortgage_named(op.proof, states))


def book(op: MortgageChange, booking: Booking) -> None:
    """The row is superseded by the changed one under a new proof; rank and first registration are kept (RD 68)."""
    old = bookable(mortgage_named(op.proof, [booking.states[c] for c in op.units]), op.proof, "mortgage")
    units = op.content.units if ChangeItem.UNITS in op.items else old.units
    if any(code not in booking.states for code in units):
        raise NotBookable("a unit that the change adds is not among those of the case")
    draft = booking.draft_certificate(CertificateKind.PROOF, booking.states[units[0]].unit.county_code)
    changed: dict[str, Any] = dict(content_of(op.content))
    for name in NEED_NOT_BE_REPEATED:
        changed[name] = changed[name] or getattr(old, name)
    new = replace(
        _placed(
            op, old, [booking.states[code] for code in units], row=booking.new_right_id(), now=booking.now
        ),
        **changed,
        units=units,
        mortgagees=op.content.mortgagees if ChangeItem.NAME_OR_IDENTITY in op.items else old.mortgagees,
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        proof=draft.reference,
    )
    booking.supersede(old, new, CHANGED)
    issue_proof(new, booking, draft, old.proof)


def _placed(
    op: MortgageChange, old: Mortgage, states: Sequence[UnitState], *, row: str, now: dt.datetime
) -> Mortgage:
    """The mortgage in a new row: where its rank is what changes, in the place that is agreed now (CC 409)."""
    new = replace(old, right_id=row, began_as=old.identity)
    if ChangeItem.RANK not in op.items:
        return new
    rank = op.content.agreed_rank
    place = place_agreed(states, rank, row=row, at=now, own=old.identity)
    return replace(new, agreed_rank=rank, agreed_place=place)


def is_own_name(op: MortgageChange) -> bool:
    """Whether nothing but somebody's own name or document changes (IR 14; OS 14.2)."""
    return frozenset(op.items) == _OWN_NAME


def adds_burden(op: MortgageChange, old: Mortgage) -> bool:
    """Whether the units bear more afterwards, or somebody new bears it (blocks.csv ADDS_BURDEN)."""
    new = op.content
    steps_in = ChangeItem.MORTGAGOR in op.items and not keys(new.mortgagors) <= keys(old.mortgagors)
    return (
        steps_in or _is_restricted_anew(new.transfer_restriction, old.transfer_restriction) or grows(op, old)
    )


def grows(op: MortgageChange, old: Mortgage) -> bool:
    """Whether what it takes before others grows: a larger, longer or wider claim, more units (CC 409; RD 68)."""
    new = op.content
    return (
        _amount(new.claim_amount_fen, new.max_claim_amount_fen)
        > _amount(old.claim_amount_fen, old.max_claim_amount_fen)
        or new.currency != old.currency  # what it comes to in another currency moves with the rate
        or new.term_end > old.term_end
        or new.secured_scope != old.secured_scope
        or (ChangeItem.UNITS in op.items and not set(new.units) <= set(old.units))
    )


# -- who stands on either side -------------------------------------------------------------------------------------


def _new_mortgagors_own(
    op: MortgageChange, old: Mortgage, states: Sequence[UnitState], field: str
) -> list[Finding]:
    """Whoever steps in as mortgagor owns a unit by then (CC 395); the mortgagor of record need not (CC 406). Whoever
    steps out leaves no unit of their own behind under the mortgage.
    """
    if ChangeItem.MORTGAGOR not in op.items:
        return []
    path = field + ".content"
    staying = keys(op.content.mortgagors)
    new = [p for p in op.content.mortgagors if p.key not in keys(old.mortgagors)]
    found = mortgagors_own(new, states, path)
    for state in states:
        owners = [owner.person for owner in state.ownership.owners] if state.ownership else []
        gone = [p for p in owners if p.key in keys(old.mortgagors) - staying]
        if state.unit.unit_code not in op.content.units or not gone or keys(owners) & staying:
            continue
        code, names = state.unit.unit_code, "、".join(p.name for p in gone)
        found.append(
            finding(
                "N-NOT_APPLICANT",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=path + ".mortgagors",
                article="CC 395, 406",
                zh=f"单元 {code} 仍属{names}所有，而其不再是抵押人；请保留该抵押人，或者将该单元移出抵押",
                en=f"unit {code} still belongs to {names}, who would be a mortgagor no more: keep the mortgagor, or "
                "take the unit out of the mortgage",
            )
        )
    return found


def _owner_bears_it(
    op: MortgageChange, old: Mortgage, state: UnitState, case: Case, field: str
) -> list[Finding]:
    """The mortgagor of record may have sold the unit (CC 406): whoever owns it by now is asked before it bears more
    (CC 395; IR 14). Of several owners the table asks the others (CO_OWNED_JOINT, CO_OWNED_BY_SHARES).
    """
    owners = [o.person for o in state.ownership.owners] if state.ownership else []
    applying = keys(op.content.mortgagors)
    if not adds_burden(op, old) or any(p.key in applying or is_bound(p, case) for p in owners):
        return []
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CO_OWNER",
            field=field + ".content.mortgagors",
            article="CC 395, 406; IR 14",
            zh=f"单元 {state.unit.unit_code} 现属{party.name}所有，加重负担须由其共同申请",
            en=f"unit {state.unit.unit_code} belongs to {party.name} by now, who applies too before it bears more",
        )
        for party in owners
    ]


def _mortgagees_stay(op: MortgageChange, old: Mortgage, case: Case, field: str) -> list[Finding]:
    """A change moves the mortgage to nobody: under a new name or document its holders are the same (RD 68, 69)."""
    named = op.content.mortgagees
    if ChangeItem.NAME_OR_IDENTITY in op.items:
        of_record = {p.name: p for p in old.mortgagees}
        named = tuple(of_record.get(p.name, p) for p in named)
    path = field + ".content.mortgagees"
    return holders_agree(named, old.mortgagees, case, path, "RD 68, 69", "抵押权人", "mortgagees")


# -- whom it harms -------------------------------------------------------------------------------------------------


def _harmed(op: MortgageChange, old: Mortgage, state: UnitState, now: dt.datetime) -> tuple[Mortgage, ...]:
    """Other mortgages beside or behind a burden that grows, and those that a change of rank passes (CC 409; RD 68)."""
    passed: tuple[Mortgage, ...] = ()
    if ChangeItem.RANK in op.items:
        passed = passed_by(state, old, _placed(op, old, [state], row="", now=now))
    if not grows(op, old):
        return passed
    ranks = current_ranks(state.mortgages)
    own = ranks.get(old.right_id, 1)
    behind = (m for m in state.mortgages if m.identity != old.identity and ranks[m.right_id] >= own)
    return tuple(dict.fromkeys((*passed, *behind)))


def _own_name_is_ones_own(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """Alone one applies for one's own name or document, not for another's (IR 14; OS 14.2)."""
    if not is_own_name(op):
        return []
    new = (*op.content.mortgagors, *op.content.mortgagees, *op.content.debtors)
    recorded = (*old.mortgagors, *old.mortgagees, *old.debtors)
    as_recorded = {(p.key, p.name) for p in recorded}
    renamed = [p for p in new if (p.key, p.name) not in as_recorded]
    return strangers(
        op.applicants,
        (*recorded, *renamed),
        field,
        "IR 14; OS 14.2",
        "单方申请姓名、名称或者证件变更的须为该抵押权的当事人",
        "a party of the mortgage applies for its own name or document",
    ) + strangers(
        renamed,
        op.applicants or op.content.mortgagees,
        field,
        "IR 14; OS 14.2",
        "姓名、名称或者证件变更的须由其本人申请",
        "whose name or document changes applies for it",
    )


#: A third party's consent to the new debtor: under either name of the table of papers (documents.csv).
_SECURERS_CONSENT = ("GUARANTOR_CONSENT", "SECURER_CONSENT")


def _securers_agree(op: MortgageChange, old: Mortgage, case: Case, field: str) -> list[Finding]:
    """A third party that secured the debt agrees to the new debtor, or the creditor gives that security up (CC 391).

    Without either it would be freed: whether that stops the change, or a person weighs it, is the place's
    (handbook 2.2).
    """
    missing = [p for p in _securers(op, old) if not has_consented(p, case, _SECURERS_CONSENT)]
    given_up = all(has_declared(p, DeclarationKind.SECURITY_GIVEN_UP, case) for p in op.content.mortgagees)
    if not missing or given_up:
        return []
    names = "、".join(p.name for p in missing)
    zh, en = f"{names}尚未书面同意债务转移", f"{names} has not agreed in writing to the new debtor"
    match Stance(case.profile.securer_without_consent):
        case Stance.BLOCK:
            return [
                finding(
                    "N-INCOMPLETE",
                    Severity.BLOCKS,
                    rule="R-SECURER",
                    field=field,
                    file="GUARANTOR_CONSENT",
                    article="CC 391",
                    zh=zh,
                    en=en,
                )
            ]
        case Stance.WARN | Stance.ALLOW:
            return [finding("R-SECURER", Severity.WARNS, field=field, article="CC 391", zh=zh, en=en)]
        case _:
            return [refer(field, "CC 391", zh, en, rule="SECURER_AGREES")]


def _securers(op: MortgageChange, old: Mortgage) -> tuple[Party, ...]:
    """Third parties who gave their own property for the debt that now passes to another debtor (CC 391): a mortgagor
    who goes on and did not owe it is one, whatever the relation was recorded as.
    """
    if ChangeItem.DEBTOR not in op.items:
        return ()
    concerned = old.mortgagors
    if old.mortgagor_relation is MortgagorRelation.DEBTOR:
        concerned = tuple(p for p in concerned if p.key in keys(op.content.mortgagors))
    return tuple(p for p in concerned if p.key not in keys(old.debtors))


def _is_restricted_anew(new: TransferRestriction, old: TransferRestriction) -> bool:
    return new is TransferRestriction.RESTRICTED and old is not TransferRestriction.RESTRICTED


def _amount(claim: int | None, ceiling: int | None) -> int:
    return claim or ceiling or 0


def _applies(zh: str, en: str, party: Party, article: str) -> Applicant:
    return Applicant(party=party, role_zh=zh, role_en=en, article=article)
