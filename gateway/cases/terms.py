"""The operations of a case as the parties state them: the terms, and nothing private to one of them.

A case has one or more phases; a phase is an ordered list of operations, booked all or none (handbook 2.3).
`Terms` is decoded from the exact bytes that every applicant is bound to: institutions through the envelope,
natural persons through the forms that embed them.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

from msgspec.structs import astuple

from gateway.cases.stated import Declaration, StatedParty, StatedUnit
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    LoanPortion,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Party,
    PreNoticeKind,
    Share,
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
    """One step of a phase.

    `applicants` and `consenters` are the parties whom the terms name as such for this step; none named means that
    the terms leave it to the law who applies. `reason` is what the register row says of why it was booked (DJYY).
    """

    reason: str = ""

    applicants: tuple[Party, ...] = ()
    consenters: tuple[Party, ...] = ()


class ConstructionScope(Value, frozen=True, kw_only=True):
    """What a mortgage of a building under construction covers besides the land 在建建筑物 (RD 75, 76)."""

    location: str
    scope: str
    permit_number: str


class MortgageFirst(Operation, tag="MORTGAGE_FIRST", frozen=True, kw_only=True):
    """First registration of a mortgage 抵押权首次登记 (CC 402; RD 66); with `construction`, of one on a building
    under construction (RD 75).
    """

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
    restriction_text: str = ""
    collateral_kind: str = "LAND_AND_BUILDING"
    contract_number: str = ""
    loan_contract_number: str = ""
    area: int | None = None  # DYMJ, in hundredths of a square metre; None: the whole of the units
    existing_claim_fen: int | None = None
    agreed_rank: int | None = None
    titles: tuple[CertificateRef, ...] = ()
    construction: ConstructionScope | None = None


class ChangeItem(StrEnum):
    """变更事项: what a change changes, named so that a reader sees it at once (RD 68)."""

    MORTGAGOR = "MORTGAGOR"
    DEBTOR = "DEBTOR"
    AMOUNT = "AMOUNT"
    TERM = "TERM"
    SECURED_SCOPE = "SECURED_SCOPE"
    TRANSFER_RESTRICTION = "TRANSFER_RESTRICTION"
    RANK = "RANK"
    NAME_OR_IDENTITY = "NAME_OR_IDENTITY"
    UNITS = "UNITS"


class MortgageChange(Operation, tag="MORTGAGE_CHANGE", frozen=True, kw_only=True):
    """Change of a mortgage 抵押权变更登记 (RD 68). `content` is the whole mortgage as it is to be afterwards;
    `units` are those that it lies on before, and those that it adds.
    """

    units: tuple[str, ...]
    proof: CertificateRef
    items: tuple[ChangeItem, ...]
    content: MortgageFirst
    construction: ConstructionScope | None = None


class TransferGround(StrEnum):
    """Why a mortgage moves to another mortgagee (CC 407, 421; RD 69; Company Law 221)."""

    CLAIM_ASSIGNMENT = "CLAIM_ASSIGNMENT"
    MERGER = "MERGER"
    JUDGMENT = "JUDGMENT"


class MortgageTransfer(Operation, tag="MORTGAGE_TRANSFER", frozen=True, kw_only=True):
    """Transfer of a mortgage 抵押权转移登记 (RD 69; OS 14.3): the mortgage follows its claim, rank is kept.

    `assigned_fen` None: the whole claim. `follows_part`: the parties to an unfixed maximum-amount mortgage agreed
    that it follows a part of the claim (CC 421).
    """

    units: tuple[str, ...]
    proof: CertificateRef
    assignors: tuple[Party, ...]
    assignees: tuple[Party, ...]
    ground: TransferGround
    assigned_fen: int | None = None
    follows_part: bool = False
    debtor_told_on: dt.date | None = None
    construction: bool = False


class ClaimFixing(Operation, tag="MORTGAGE_CLAIM_FIXING", frozen=True, kw_only=True):
    """Fixing of the claim 最高额抵押权确定登记 (CC 423; RD 73): the mortgage becomes an ordinary one."""

    units: tuple[str, ...]
    proof: CertificateRef
    mortgagors: tuple[Party, ...]
    mortgagees: tuple[Party, ...]
    fixing_fact: str
    fixed_on: dt.date
    fixed_fen: int
    currency: str = "CNY"
    term_end: dt.date | None = None


class ReleaseGround(StrEnum):
    """Why a mortgage or a pre-notice ends (CC 221, 393)."""

    CLAIM_SETTLED = "CLAIM_SETTLED"
    WAIVED = "WAIVED"
    REALISED = "REALISED"
    JUDGMENT = "JUDGMENT"  # the mortgagor may apply alone (OS 14.4)
    AGREEMENT = "AGREEMENT"  # both sides
    UNDERTAKING = "UNDERTAKING"  # released on payoff; only where both are booked together (handbook 2.3)
    OTHER = "OTHER"


class MortgageRelease(Operation, tag="MORTGAGE_RELEASE", frozen=True, kw_only=True):
    """Release of a mortgage 抵押权注销登记 (CC 393; RD 70); `partial` for `units` only, the rest stays mortgaged."""

    units: tuple[str, ...]
    proof: CertificateRef
    mortgagees: tuple[Party, ...]
    ground: ReleaseGround
    settled_on: dt.date | None = None
    partial: bool = False
    construction: bool = False


class OwnershipTransfer(Operation, tag="OWNERSHIP_TRANSFER", frozen=True, kw_only=True):
    """Transfer by sale 转移登记 (IR 14; OS 9.3), of the whole of each unit or of a share of it; only inside a combined
    case.

    `share_sold` is a share of the unit, None the whole; `buyers` then divide what is sold. `price_fen` is the price of
    all `units` of this step together.
    """

    units: tuple[str, ...]
    sellers: tuple[Party, ...]
    buyers: tuple[Owner, ...]
    co_ownership: CoOwnership
    price_fen: int
    share_sold: Share | None = None
    titles: tuple[CertificateRef, ...] = ()

    @property
    def buying(self) -> tuple[Party, ...]:
        """The buyers, without their shares."""
        return tuple(buyer.person for buyer in self.buyers)


class SaleNotice(Value, frozen=True, kw_only=True):
    """What a sale pre-notice secures: the price, the contract, and how the buyers are to hold."""

    price_fen: int
    contract_number: str = ""
    buyers: tuple[Owner, ...] = ()
    co_ownership: CoOwnership = CoOwnership.SOLE


class PreNoticeCreate(Operation, tag="PRE_NOTICE_CREATE", frozen=True, kw_only=True):
    """A pre-notice 预告登记 (CC 221; RD 85-88) of a sale or of a mortgage, on a pre-sold or on any other unit.

    Exactly one of `sale` and `mortgage` is set, by `kind`. `mortgage` is the mortgage as it is to be registered
    later; its mortgagors are the obligors and its mortgagees the holders.
    """

    units: tuple[str, ...]
    kind: PreNoticeKind
    holders: tuple[Party, ...]
    obligors: tuple[Party, ...]
    sale: SaleNotice | None = None
    mortgage: MortgageFirst | None = None
    agreed_in_contract: bool = False
    registrable_from: dt.date | None = None
    titles: tuple[CertificateRef, ...] = ()
    sale_proof: CertificateRef | None = (
        None  # of the sale pre-notice that a pre-sale mortgage's rests on (RD 78)
    )


class PreNoticeConvert(Operation, tag="PRE_NOTICE_CONVERT", frozen=True, kw_only=True):
    """Conversion 预告转本登记 (RD 85; SIG 52): the pre-notice ends and the final right is booked.

    Exactly one of `transfer` and `mortgage` is set; it has the same units.
    """

    units: tuple[str, ...]
    proof: CertificateRef
    transfer: OwnershipTransfer | None = None
    mortgage: MortgageFirst | None = None


class PreNoticeRelease(Operation, tag="PRE_NOTICE_RELEASE", frozen=True, kw_only=True):
    """Release of a pre-notice 预告注销登记 (CC 221; RD 89)."""

    units: tuple[str, ...]
    proof: CertificateRef
    holders: tuple[Party, ...]
    ground: ReleaseGround
    ended_on: dt.date | None = None


class CorrectionItem(Value, frozen=True, kw_only=True):
    """One wrong item of a register row, as it stands and as it should be."""

    field: str
    recorded: str
    corrected: str


class Correction(Operation, tag="CORRECTION", frozen=True, kw_only=True):
    """Correction of the row of a mortgage or a pre-notice 更正登记 (CC 220; RD 79-81)."""

    units: tuple[str, ...]
    proof: CertificateRef
    items: tuple[CorrectionItem, ...]


class ReissueGround(StrEnum):
    """Why a certificate is issued again (RD 22, 23)."""

    DAMAGED = "DAMAGED"
    LOST = "LOST"
    MEDIUM = "MEDIUM"
    LEGACY = "LEGACY"


class Reissue(Operation, tag="REISSUE", frozen=True, kw_only=True):
    """The same right under a new certificate 换证、补证 (RD 22, 23)."""

    units: tuple[str, ...]
    proof: CertificateRef
    ground: ReissueGround
    declared_void_at: dt.datetime | None = None


class OtherOperation(Operation, tag="OTHER", frozen=True, kw_only=True):
    """An operation that the contract knows and this version does not yet book; `name` is its API name."""

    name: str
    units: tuple[str, ...] = ()


AnyOperation: TypeAlias = (
    MortgageFirst
    | MortgageChange
    | MortgageTransfer
    | ClaimFixing
    | MortgageRelease
    | OwnershipTransfer
    | PreNoticeCreate
    | PreNoticeConvert
    | PreNoticeRelease
    | Correction
    | Reissue
    | OtherOperation
)


def operation_name(operation: Operation) -> str:
    """The operation's API name, as handbook 1.1 lists it: MORTGAGE_FIRST, CONSTRUCTION_MORTGAGE_FIRST and so on."""
    if isinstance(operation, OtherOperation):
        return operation.name
    name = str(type(operation).__struct_config__.tag)
    return f"CONSTRUCTION_{name}" if getattr(operation, "construction", None) else name


def transfer_in(operation: Operation) -> OwnershipTransfer | None:
    """The transfer of ownership that a step books, by itself or by converting a sale pre-notice."""
    if isinstance(operation, PreNoticeConvert):
        return operation.transfer
    return operation if isinstance(operation, OwnershipTransfer) else None


def mortgage_in(operation: Operation) -> MortgageFirst | None:
    """The new mortgage that a step books, by itself or by converting a mortgage pre-notice."""
    if isinstance(operation, PreNoticeConvert):
        return operation.mortgage
    return operation if isinstance(operation, MortgageFirst) else None


class SaleContract(Value, frozen=True, kw_only=True):
    """A sale contract, filed online or not. No `units` means every unit of the terms."""

    contract_number: str = ""
    filing_number: str = ""
    signed_on: dt.date
    price_fen: int
    units: tuple[str, ...] = ()
    registrable_from: dt.date | None = None

    def is_about(self, code: str) -> bool:
        """Whether it sells this unit."""
        return not self.units or code in self.units


class Account(Value, frozen=True, kw_only=True):
    """A bank account of record. The gateway moves no money."""

    holder_name: str
    number: str
    bank_name: str = ""
    cnaps: str = ""


class PayoffStatement(Value, frozen=True, kw_only=True):
    """The old mortgagee's statement on the loan that is to be paid off (handbook 2.2)."""

    proof: CertificateRef
    balance_fen: int
    as_of: dt.date
    per_diem_fen: int = 0
    account: Account
    overdue: bool = False
    valid_until: dt.date
    mortgagee: Party


class FundsTrigger(StrEnum):
    """付款条件: the event that makes a leg payable (handbook 2.4)."""

    ON_PRE_NOTICE = "ON_PRE_NOTICE"
    ON_ACCEPTANCE = "ON_ACCEPTANCE"
    ON_BOOKING = "ON_BOOKING"
    ON_PROOF = "ON_PROOF"
    ON_RELEASE = "ON_RELEASE"
    MANUAL = "MANUAL"


class FundsPurpose(StrEnum):
    """付款用途: what a leg pays."""

    PAYOFF = "PAYOFF"
    PRICE = "PRICE"
    ESCROW = "ESCROW"
    TAX = "TAX"
    OTHER = "OTHER"


class FundsLeg(Value, frozen=True, kw_only=True):
    """One money leg, in the order in which the parties agreed to pay."""

    payer: Party
    payee: Party
    payee_locked: bool = False
    amount_fen: int
    trigger: FundsTrigger
    purpose: FundsPurpose
    account: Account


class FundsPlan(Value, frozen=True, kw_only=True):
    """资金计划: who pays whom, how much, on which event."""

    legs: tuple[FundsLeg, ...]
    escrow_agreement_number: str = ""


class TaxKind(StrEnum):
    """Taxes whose clearance gates a transfer (handbook 9)."""

    DEED = "DEED"
    INCOME = "INCOME"
    LAND_VAT = "LAND_VAT"


class TaxClearance(Value, frozen=True, kw_only=True):
    """One tax paid or exempt. No `taxpayer` means whoever owes it, no `units` every unit of the terms."""

    kind: TaxKind
    number: str
    amount_fen: int
    cleared_at: dt.datetime
    exempt_ground: str = ""
    taxpayer: Party | None = None
    units: tuple[str, ...] = ()


class IdentityCheck(Value, frozen=True, kw_only=True):
    """Result of a remote identity check of a natural person (PIPL 28: the result, never the face)."""

    person_id_number: str
    method: str
    provider: str
    passed: bool
    checked_at: dt.datetime
    evidence_sha256: str = ""


class RiskNotice(Value, frozen=True, kw_only=True):
    """A risk notice 风险告知, with its version and who acknowledged it (S13)."""

    version: str
    shown_at: dt.datetime
    acknowledged_by: tuple[Party, ...] = ()


class Evidence(Value, frozen=True, kw_only=True):
    """Facts that came up after the terms were fixed 办理证据. They add to the terms' lists and bind nobody."""

    tax_clearances: tuple[TaxClearance, ...] = ()
    identity_checks: tuple[IdentityCheck, ...] = ()
    risk_notices: tuple[RiskNotice, ...] = ()


class PowerForm(StrEnum):
    """Form of a power of attorney (RD 12(3)). The form decides whether it counts (handbook 1.3)."""

    SIGNED_AT_AUTHORITY = "SIGNED_AT_AUTHORITY"
    NOTARISED = "NOTARISED"
    CERTIFIED_ABROAD = "CERTIFIED_ABROAD"
    STANDING_INSTITUTION = "STANDING_INSTITUTION"
    PLAIN = "PLAIN"


class PowerOfAttorney(Value, frozen=True, kw_only=True):
    """A power of attorney 授权委托书; `agency` is what the agent works for 代理机构."""

    principal: Party
    agent: Party
    acts: tuple[str, ...]
    unit_codes: tuple[str, ...] = ()
    valid_until: dt.date | None = None
    form: PowerForm
    notary: str = ""
    deed_no: str = ""
    revoked: bool = False
    agency: str = ""


#: Numbers, texts and dates are most of what terms say; they are passed over.
_MAY_HOLD_PARTIES: Final = (Value, tuple)


class Terms(Value, frozen=True, kw_only=True, dict=True):
    """What all parties of one phase agree to."""

    registry: str
    version: int = 1
    operations: tuple[AnyOperation, ...]
    parties: tuple[StatedParty, ...] = ()
    loan_kind: LoanKind = LoanKind.NONE
    mode: str = ""
    sale_contracts: tuple[SaleContract, ...] = ()
    payoff_statements: tuple[PayoffStatement, ...] = ()
    funds_plan: FundsPlan | None = None
    tax_clearances: tuple[TaxClearance, ...] = ()
    risk_notices: tuple[RiskNotice, ...] = ()
    identity_checks: tuple[IdentityCheck, ...] = ()
    powers_of_attorney: tuple[PowerOfAttorney, ...] = ()
    stated_units: tuple[StatedUnit, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    separate_certificates: bool = False  # SQFBCZ
    note: str = ""  # FJ

    @cached_property
    def everybody(self) -> tuple[Party, ...]:
        """Every party that the terms name in any role, guardians and agents too; one named twice comes twice."""
        found: list[Party] = []
        _gather_parties(self, found)
        return tuple(found)

    def mentions(self, party: Party) -> tuple[Party, ...]:
        """This person as the terms name it, in any role: each way of naming it once."""
        return self._by_key.get(party.key, ())

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], tuple[Party, ...]]:
        found: dict[tuple[str, str], tuple[Party, ...]] = {}
        for party in self.everybody:
            known = found.get(party.key, ())
            if party not in known:
                found[party.key] = (*known, party)
        return found

    @cached_property
    def unit_codes(self) -> tuple[str, ...]:
        """Every unit that the phase touches, once, in order of first mention."""
        return tuple(dict.fromkeys(code for op in self.operations for code in op.units))

    @cached_property
    def institution_codes(self) -> tuple[str, ...]:
        """Code of every institution of a step, whose old loan is paid off, or that holds escrow, and of the branch that
        acts for it, once.
        """
        sides = ("mortgagees", "assignors", "assignees", "holders", "applicants", "consenters")
        steps = [one for op in self.operations for one in (op, mortgage_in(op), getattr(op, "content", None))]
        parties = [p for step in steps for side in sides for p in getattr(step, side, ())]
        parties += [statement.mortgagee for statement in self.payoff_statements]
        legs = self.funds_plan.legs if self.funds_plan else ()
        parties += [p for leg in legs if leg.purpose is FundsPurpose.ESCROW for p in (leg.payer, leg.payee)]
        codes = [(p.id_number, self.acting_for(p)) for p in parties if p.is_institution]
        return tuple(dict.fromkeys(code for both in codes for code in both if code))

    def acting_for(self, party: Party) -> str:
        """Code of the branch that the terms let act for an institution; empty when it acts itself."""
        return next((p.acting_institution for p in self.parties if p.person.key == party.key), "")


def _gather_parties(value: Any, found: list[Party]) -> None:
    if isinstance(value, Party):
        found.append(value)
        parts: tuple[Any, ...] = (value.guardian,)
    else:
        parts = value if isinstance(value, tuple) else astuple(value)
    for part in parts:
        if isinstance(part, _MAY_HOLD_PARTIES):
            _gather_parties(part, found)
