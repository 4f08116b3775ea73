"""The only tables that join an operation, and a mode of several operations, to their law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from gateway.cases.model import Manifest
from gateway.cases.terms import (
    AnyOperation,
    ClaimFixing,
    Correction,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    OwnershipTransfer,
    PreNoticeConvert,
    PreNoticeCreate,
    PreNoticeRelease,
    Reissue,
)
from gateway.kinds import (
    claim_fixing,
    correction,
    encumbered_transfer,
    mortgage,
    mortgage_change,
    mortgage_release,
    mortgage_transfer,
    ownership_transfer,
    pre_notice,
    pre_notice_convert,
    pre_notice_release,
    reissue,
)
from gateway.kinds.law import Case, Law, PaperRule
from gateway.kinds.modes import MODES, Gate
from gateway.register.findings import Finding
from gateway.register.model import UnitState


class Composition(Protocol):
    """The law of a case as a whole: what binds its steps together. A mode's module has these functions."""

    def papers(self, manifest: Manifest) -> tuple[PaperRule, ...]:
        """Papers of the deal, besides those of each step."""

    def conditions(self, case: Case, units: Mapping[str, UnitState]) -> list[Finding]:
        """What must hold of the steps together; `units` as the register has them before the first step."""

    def gates(self, manifest: Manifest) -> frozenset[Gate]:
        """What must hold at booking."""


_LAWS: dict[type, Law] = {
    MortgageFirst: cast("Law", mortgage),
    MortgageChange: cast("Law", mortgage_change),
    MortgageTransfer: cast("Law", mortgage_transfer),
    ClaimFixing: cast("Law", claim_fixing),
    MortgageRelease: cast("Law", mortgage_release),
    OwnershipTransfer: cast("Law", ownership_transfer),
    PreNoticeCreate: cast("Law", pre_notice),
    PreNoticeConvert: cast("Law", pre_notice_convert),
    PreNoticeRelease: cast("Law", pre_notice_release),
    Correction: cast("Law", correction),
    Reissue: cast("Law", reissue),
}

#: Modes of encumbered transfer; each new mode is an entry of its own module's table.
_COMPOSITIONS: dict[str, Composition] = dict.fromkeys(MODES, cast("Composition", encumbered_transfer))


def law_of(operation: AnyOperation) -> Law | None:
    """The law of an operation; None for one that this version does not book."""
    return _LAWS.get(type(operation))


def composition_of(manifest: Manifest) -> Composition | None:
    """The law of the case's mode; None for a case without a mode, or with one that this version does not book."""
    return _COMPOSITIONS.get(manifest.terms.mode)
