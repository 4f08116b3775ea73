"""The operations of a case as the parties state them: the terms, and nothing private to one of them.

A case has one or more phases; a phase is an ordered list of operations, booked all or none (handbook 2.3).
`Terms` is decoded from the exact bytes that every applicant is bound to: institutions through the envelope,
natural persons through the forms that embed them.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TypeAlias

from gateway.register.model import (
    CertificateRef,
    LoanPortion,
    MortgageKind,
    MortgagorRelation,
    Party,
    TransferRestriction,
    Value,
)


class LoanKind(StrEnum):
    """贷款类别, for the cities' statistics."""

    NONE = "NONE"
    COMMERCIAL = "COMMERCIAL"
    PROVIDENT_FUND = "PROVIDENT_FUND"
    PORTFOLIO = "PORTFOLIO"


class Operation(Value, tag_field="operation", frozen=True, kw_only=True):
    """One step of a phase."""


def operation_name(operation: Operation) -> str:
    """The operation's API name, as handbook 1.1 lists it: MORTGAGE_FIRST and so on."""
    return str(type(operation).__struct_config__.tag)


class MortgageFirst(Operation, tag="MORTGAGE_FIRST", frozen=True, kw_only=True):
    """First registration of a mortgage 抵押权首次登记 (CC 402; RD 66)."""

    units: tuple[str, ...]
    kind: MortgageKind
    mortgagors: tuple[Party, ...]
    mortgagees: tuple[Party, ...]
    debtors: tuple[Party, ...]
    mortgagor_relation: MortgagorRelation
    claim_amount_fen: int | None = None
    max_claim_amount_fen: int | None = None
    currency: str = "CNY"
    loan_portions: tuple[LoanPortion, ...] = ()
    term_start: dt.date
    term_end: dt.date
    secured_scope: str
    transfer_restriction: TransferRestriction
    contract_number: str = ""
    agreed_rank: int | None = None
    titles: tuple[CertificateRef, ...] = ()


class ReleaseGround(StrEnum):
    """Why the mortgage ends (CC 393)."""

    CLAIM_SETTLED = "CLAIM_SETTLED"
    WAIVED = "WAIVED"
    REALISED = "REALISED"
    OTHER = "OTHER"


class MortgageRelease(Operation, tag="MORTGAGE_RELEASE", frozen=True, kw_only=True):
    """Release of a mortgage 抵押权注销登记 (CC 393; RD 70). Full release only in this version."""

    units: tuple[str, ...]
    proof: CertificateRef
    mortgagees: tuple[Party, ...]
    ground: ReleaseGround
    settled_on: dt.date | None = None


class OtherOperation(Operation, tag="OTHER", frozen=True, kw_only=True):
    """An operation that the contract knows and this version does not yet book; `name` is its API name."""

    name: str
    units: tuple[str, ...] = ()


AnyOperation: TypeAlias = MortgageFirst | MortgageRelease | OtherOperation


class IdentityCheck(Value, frozen=True, kw_only=True):
    """Result of a remote identity check of a natural person (PIPL 28: the result, never the face)."""

    person_id_number: str
    method: str
    provider: str
    passed: bool
    checked_at: dt.datetime
    evidence_sha256: str = ""


class PowerForm(StrEnum):
    """Form of a power of attorney (RD 12(3)). The form decides whether it counts (handbook 1.3)."""

    SIGNED_AT_AUTHORITY = "SIGNED_AT_AUTHORITY"
    NOTARISED = "NOTARISED"
    CERTIFIED_ABROAD = "CERTIFIED_ABROAD"
    STANDING_INSTITUTION = "STANDING_INSTITUTION"
    PLAIN = "PLAIN"


class PowerOfAttorney(Value, frozen=True, kw_only=True):
    """A power of attorney 授权委托书."""

    principal: Party
    agent: Party
    acts: tuple[str, ...]
    unit_code: str = ""
    valid_until: dt.date | None = None
    form: PowerForm
    deed_no: str = ""
    revoked: bool = False


class Terms(Value, frozen=True, kw_only=True):
    """What all parties of one phase agree to."""

    registry: str
    version: int = 1
    operations: tuple[AnyOperation, ...]
    loan_kind: LoanKind = LoanKind.NONE
    mode: str = ""
    identity_checks: tuple[IdentityCheck, ...] = ()
    powers_of_attorney: tuple[PowerOfAttorney, ...] = ()

    @property
    def unit_codes(self) -> tuple[str, ...]:
        """Every unit that the phase touches, once, in order of first mention."""
        return tuple(dict.fromkeys(code for op in self.operations for code in op.units))
