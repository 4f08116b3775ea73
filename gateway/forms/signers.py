"""Who signs the forms: everyone who applies and is not an institution that signs the envelope."""

from __future__ import annotations

from gateway.cases.terms import MortgageFirst, Operation, OwnershipTransfer, PreNoticeCreate, Terms
from gateway.register.model import Party


def signers_of(terms: Terms) -> tuple[Party, ...]:
    """The persons, natural or legal, who sign the application form and a record of questions, once each."""
    people = [party for operation in terms.operations for party in _in_person(operation)]
    return tuple({p.key: p for p in people}.values())


def _in_person(operation: Operation) -> tuple[Party, ...]:
    """The sides that apply in person: who gives a right and who buys. Mortgagees apply by their envelope."""
    match operation:
        case MortgageFirst():
            return operation.mortgagors
        case OwnershipTransfer():
            return operation.sellers + operation.buying
        case PreNoticeCreate() if operation.mortgage is None:
            return operation.obligors + operation.holders
        case PreNoticeCreate():
            return operation.obligors
    return ()
