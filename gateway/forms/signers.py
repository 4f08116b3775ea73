"""Who signs the forms: everyone who applies and is not an institution that signs the envelope."""

from __future__ import annotations

from gateway.cases.terms import (
    ClaimFixing,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    Operation,
    OwnershipTransfer,
    PreNoticeConvert,
    PreNoticeCreate,
    PreNoticeRelease,
    Terms,
)
from gateway.register.model import Party, PreNoticeKind


def signers_of(terms: Terms) -> tuple[Party, ...]:
    """The persons, natural or legal, who sign the application form and a record of questions, once each."""
    people = [party for operation in terms.operations for party in _in_person(operation)]
    return tuple({p.key: p for p in people}.values())


def _in_person(operation: Operation) -> tuple[Party, ...]:
    """The sides that apply in person: who gives a right and who buys. Mortgagees apply by their envelope."""
    match operation:
        case MortgageFirst():
            return operation.mortgagors
        case MortgageChange():
            mortgagees = {p.key for p in operation.content.mortgagees}
            steps_in = operation.content.mortgagors + operation.applicants
            return tuple(p for p in steps_in if p.key not in mortgagees)
        case ClaimFixing():
            return operation.mortgagors
        case OwnershipTransfer():
            return operation.sellers + operation.buying
        case PreNoticeConvert():
            final = operation.transfer or operation.mortgage
            return _in_person(final) if final is not None else ()
        case PreNoticeCreate() if operation.mortgage is None:
            alone = operation.kind is PreNoticeKind.PRESALE_SALE and _leaves_out_obligors(operation)
            return operation.holders if alone else operation.obligors + operation.holders
        case PreNoticeCreate():
            return operation.obligors
        case PreNoticeRelease():
            return _natural(operation.holders + operation.applicants)
        case MortgageRelease():
            mortgagees = {p.key for p in operation.mortgagees}
            others = tuple(p for p in operation.applicants if p.key not in mortgagees)
            return _natural(operation.mortgagees) + others
        case MortgageTransfer():
            return _natural(operation.assignors + operation.assignees)
    return _natural(operation.applicants)


def _leaves_out_obligors(operation: PreNoticeCreate) -> bool:
    """The pre-sale buyer applies alone where the terms name other applicants than the developer (RD 86)."""
    named = {p.key for p in operation.applicants}
    return bool(named) and not named & {p.key for p in operation.obligors}


def _natural(parties: tuple[Party, ...]) -> tuple[Party, ...]:
    return tuple(p for p in parties if not p.is_institution)
