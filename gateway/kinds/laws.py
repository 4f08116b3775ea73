"""The only table that joins an operation to its law."""

from __future__ import annotations

from typing import cast

from gateway.cases.terms import AnyOperation, MortgageFirst, MortgageRelease
from gateway.kinds import mortgage, mortgage_release
from gateway.kinds.law import Law

_LAWS: dict[type, Law] = {
    MortgageFirst: cast("Law", mortgage),
    MortgageRelease: cast("Law", mortgage_release),
}


def law_of(operation: AnyOperation) -> Law | None:
    """The law of an operation; None for one that this version does not book."""
    return _LAWS.get(type(operation))
