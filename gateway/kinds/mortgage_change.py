"""MORTGAGE_CHANGE 抵押权变更登记: what a mortgage says is changed (RD 68; CC 409, 422).

Who applies: mortgagor and mortgagee together; a mere change of one's own name or document, alone (IR 14; OS 14.2).
The row is superseded by a changed one under a new proof; rank and first registration stay. What the change is adverse
to, needs the other mortgagee's written consent (CC 409); a debt that passes to another debtor frees a third party's
security unless it agrees (CC 391). In a sale the buyer steps in as mortgagor (N29 mode 3; S11, S12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.stated import DeclarationKind
from gateway.cases.terms import ChangeItem, MortgageChange, operation_name
from gateway.certificates.content import CertificateKind
from gateway.kinds.applicants import has_consented
from gateway.kinds.blocking import register_findings
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.mortgage import Content, content_of, issue_proof
from gateway.kinds.named import (
    holders_agree,
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
from gateway.register.authority import Stance
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, MortgagorRelation, Party, TransferRestriction, UnitState
from gateway.register.rank import current_ranks
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
CHANGED: Final = "变更登记"

#: A change of nothing but this may be applied for by the person concerned alone (OS 14.2).
_OWN_NAME: Final = frozenset({ChangeItem.NAME_OR_IDENTITY})

#: Fields that stand as recorded where the terms say nothing of them.
_NEED_NOT_BE_REPEATED: Final = ("loan_portions", "contract_number", "restriction_text")

#: The fields of the row that each item is about.
_FIELDS_OF: Final[Mapping[ChangeItem, tuple[str, ...]]] = {
    ChangeItem.MORTGAGOR: ("mortgagors", "mortgagor_relation"),
    ChangeItem.DEBTOR: ("debtors", "mortgagor_relation"),
    ChangeItem.AMOUNT: ("claim_amount_fen", "max_claim_amount_fen", "currency", "loan_portions"),
    ChangeItem.TERM: ("term_start", "term_end", "loan_portions"),
    ChangeItem.SECURED_SCOPE: ("secured_scope",),
    ChangeItem.TRANSFER_RESTRICTION: ("transfer_restriction", "restriction_text"),
    ChangeItem.UNITS: ("collateral_kind", "construction_location", "construction_scope"),
}


def applicants(op: MortgageChange, states: Sequence[UnitState]) -> tuple[Applicant, ...]:
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
        return [no_such_right(op.proof, field + ".proof", "抵押权", "mortgage", "RD 68; OS 4.8")]
    found = units_agree(op.units, old.units, field, "RD 68")
    found += sort_fits(construction=op.construction is not None, mortgage=old, field=field)
    found += _own_name_is_ones_own(op, old, field) + _securers_agree(op, old, case, field)
    if ChangeItem.NAME_OR_IDENTITY not in op.items:
        found += holders_agree(
            op.content.mortgagees,
            old.mortgagees,
            field + ".content.mortgagees",
            "RD 68, 69",
            "抵押权人",
            "mortgagees",
            case.institutions,
        )
    found += (
        _items_agree(op, old, field)
        + _kind_stays(op, old, field)
        + _new_mortgagors_own(op, old, states, field)
    )
    for state in states:
        harmed = _harmed(op, old, state)
        found += register_findings(
            state,
            operation_name(op),
            case,
            field,
            rights=(old.right_id,),
            obligors=op.content.mortgagors,
            joining=op.content.mortgagees + _leaving(op, old),
            consenters=op.consenters,
            adds_burden=adds_burden(op, old),
            adverse_to=tuple(m.right_id for m in harmed),
        )
    return found


def only_a_person(op: MortgageChange, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Always: the unit carries a mortgage, so the case is not clean (handbook 1.4)."""
    return unclean(operation_name(op), Asked(case=case, states=tuple(states), field=field))


def names_rights(op: MortgageChange, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The mortgage that is changed."""
    mortgage = mortgage_named(op.proof, states)
    return (mortgage.right_id,) if mortgage else ()


def book(op: MortgageChange, booking: Booking) -> None:
    """The row is superseded by the changed one under a new proof; rank and first registration are kept (RD 68)."""
    old = mortgage_named(op.proof, [booking.states[c] for c in op.units])
    if old is None:
        raise NotBookable(f"no live mortgage has proof number {op.proof.number} on these units")
    units = op.content.units if ChangeItem.UNITS in op.items else old.units
    if any(code not in booking.states for code in units):
        raise NotBookable("a unit that the change adds is not among those of the case")
    draft = booking.draft_certificate(CertificateKind.PROOF, booking.states[units[0]].unit.county_code)
    changed: dict[str, Any] = dict(content_of(op.content))
    for name in _NEED_NOT_BE_REPEATED:
        changed[name] = changed[name] or getattr(old, name)
    new = replace(
        old,
        **changed,
        units=units,
        mortgagees=op.content.mortgagees,
        right_id=booking.new_right_id(),
        case_number=booking.case_number,
        booked_at=booking.now,
        booked_by=booking.booked_by,
        agreed_rank=op.content.agreed_rank if ChangeItem.RANK in op.items else old.agreed_rank,
        proof=draft.reference,
    )
    booking.supersede(old, new, CHANGED)
    issue_proof(new, booking, draft, old.proof)


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
    """Whether what it takes before others grows: a larger, longer, wider claim, more units, a rank (CC 409; RD 68)."""
    new = op.content
    return (
        _amount(new.claim_amount_fen, new.max_claim_amount_fen)
        > _amount(old.claim_amount_fen, old.max_claim_amount_fen)
        or new.currency != old.currency  # what it comes to in another currency moves with the rate
        or new.term_end > old.term_end
        or new.secured_scope != old.secured_scope
        or (ChangeItem.UNITS in op.items and not set(new.units) <= set(old.units))
        or (ChangeItem.RANK in op.items and new.agreed_rank is not None)
    )


# -- what differs --------------------------------------------------------------------------------------------------


def _items_agree(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """A difference that no item names is R-CONFLICT; so is an item that changes nothing."""
    new = content_of(op.content)
    named = {name for item in op.items for name in _FIELDS_OF.get(item, ())}
    found = [
        _differs(
            f"{field}.content.{name}",
            f"{name} 与登记簿不同而未列入变更事项",
            f"{name} differs unnamed by any item",
        )
        for name in new
        if _is_different(name, new, old) and name not in named and not _is_identity(op, name, new, old)
    ]
    if set(op.content.units) != set(old.units) and ChangeItem.UNITS not in op.items:
        found.append(
            _differs(
                f"{field}.content.units",
                "抵押财产不同而未列入变更事项",
                "the units differ unnamed by any item",
            )
        )
    for item in op.items:
        fields = _FIELDS_OF.get(item, ())
        same_units = item is ChangeItem.UNITS and set(op.content.units) == set(old.units)
        if (
            fields
            and not any(_is_different(name, new, old) for name in fields)
            and (item is not ChangeItem.UNITS or same_units)
        ):
            found.append(
                _differs(
                    f"{field}.items", f"变更事项 {item.value} 没有变化", f"item {item.value} changes nothing"
                )
            )
    return found


def _is_different(name: str, new: Content, old: Mortgage) -> bool:
    value: Any = new[name]  # type: ignore[literal-required]
    recorded = getattr(old, name)
    if name in ("mortgagors", "debtors"):
        return keys(value) != keys(recorded)
    if name in _NEED_NOT_BE_REPEATED and not value:
        return False
    return bool(value != recorded) and not (name == "contract_number" and not recorded)


def _is_identity(op: MortgageChange, name: str, new: Content, old: Mortgage) -> bool:
    """Another document of the same people: their names stay, or their numbers do (a person compares the paper)."""
    if ChangeItem.NAME_OR_IDENTITY not in op.items or name not in ("mortgagors", "debtors"):
        return False
    value: Sequence[Party] = new["mortgagors"] if name == "mortgagors" else new["debtors"]
    recorded: Sequence[Party] = getattr(old, name)
    return {p.name for p in value} == {p.name for p in recorded}


def _kind_stays(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """A maximum-amount mortgage becomes an ordinary one by fixing its claim, not by a change (CC 423; RD 73)."""
    if op.content.kind is old.kind:
        return []
    return [
        _differs(
            field + ".content.kind",
            "抵押方式不能以变更登记改变；最高额抵押权确定请申请确定登记",
            "the kind of mortgage is not changed here: apply for the fixing of the claim",
        )
    ]


def _new_mortgagors_own(
    op: MortgageChange, old: Mortgage, states: Sequence[UnitState], field: str
) -> list[Finding]:
    """Whoever steps in as mortgagor owns the unit by then (CC 395); the mortgagor of record need not (CC 406)."""
    new = [p for p in op.content.mortgagors if p.key not in keys(old.mortgagors)]
    if not new or ChangeItem.MORTGAGOR not in op.items:
        return []
    found = []
    for state in states:
        owners = keys([o.person for o in state.ownership.owners]) if state.ownership else frozenset()
        found += [
            finding(
                "N-NOT_APPLICANT",
                Severity.BLOCKS,
                rule="R-CONFLICT",
                field=field + ".content.mortgagors",
                article="CC 395, 406",
                zh=f"{party.name}不是单元 {state.unit.unit_code} 的权利人",
                en=f"{party.name} does not own unit {state.unit.unit_code}",
            )
            for party in new
            if party.key not in owners
        ]
    return found


# -- whom it harms -------------------------------------------------------------------------------------------------


def _harmed(op: MortgageChange, old: Mortgage, state: UnitState) -> tuple[Mortgage, ...]:
    """Other mortgages beside or behind a burden that grows, or that a new agreed rank passes (CC 409; RD 68)."""
    if not grows(op, old):
        return ()
    ranks = current_ranks(state.mortgages)
    own = ranks.get(old.right_id, 1)
    if ChangeItem.RANK in op.items and op.content.agreed_rank is not None:
        own = min(own, op.content.agreed_rank)
    return tuple(m for m in state.mortgages if m.right_id != old.right_id and ranks[m.right_id] >= own)


def _own_name_is_ones_own(op: MortgageChange, old: Mortgage, field: str) -> list[Finding]:
    """Alone one applies for one's own name or document, not for another's (IR 14; OS 14.2)."""
    if not is_own_name(op):
        return []
    return strangers(
        op.applicants,
        (*old.mortgagors, *old.mortgagees, *old.debtors),
        field,
        "IR 14; OS 14.2",
        "单方申请姓名、名称或者证件变更的须为该抵押权的当事人",
        "a party of the mortgage applies for its own name or document",
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
    """Third parties who gave their own property for the debt that now passes to another debtor (CC 391)."""
    if ChangeItem.DEBTOR not in op.items or old.mortgagor_relation is not MortgagorRelation.THIRD_PARTY:
        return ()
    return tuple(p for p in old.mortgagors if p.key not in keys(old.debtors))


def _is_restricted_anew(new: TransferRestriction, old: TransferRestriction) -> bool:
    return new is TransferRestriction.RESTRICTED and old is not TransferRestriction.RESTRICTED


def _amount(claim: int | None, ceiling: int | None) -> int:
    return claim or ceiling or 0


def _differs(field: str, zh: str, en: str) -> Finding:
    return finding(
        "C-MISMATCH", Severity.BLOCKS, rule="R-CONFLICT", field=field, article="RD 68; IR 18(2)", zh=zh, en=en
    )


def _applies(zh: str, en: str, party: Party, article: str) -> Applicant:
    return Applicant(party=party, role_zh=zh, role_en=en, article=article)
