"""What bears on an operation: the cells of blocks.csv that a unit's states open.

`bearing` answers for one unit and one operation; in a combined phase it is asked for each step
with the state that the steps before it leave (handbook 3.4). It does not know who may apply or
which papers are there: `Context` says that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TypeAlias

from gateway.register.blocks import ANY, Cell, UnitStateCode, Verdict, variants_of, verdict
from gateway.register.model import (
    AnyRight,
    Mortgage,
    Ownership,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    TransferRestriction,
    UnitState,
    Value,
)
from gateway.register.states import (
    SALE_KINDS,
    Facts,
    StateFound,
    is_under_guardianship,
    states_of,
)

#: A party's `key`: id kind and canonical number.
PartyKey: TypeAlias = tuple[str, str]

_KIND_NUMBER = {
    PreNoticeKind.PRESALE_SALE: 1,
    PreNoticeKind.OTHER_SALE: 2,
    PreNoticeKind.PRESALE_MORTGAGE: 3,
    PreNoticeKind.OTHER_MORTGAGE: 4,
}

#: CC 301: co-owners by shares dispose with two thirds of the shares.
_TWO_THIRDS = Fraction(2, 3)

#: States whose ALLOW_WITH_CONSENT asks for a paper, besides or instead of a person's consent.
_PAPER_STATES = frozenset(
    {
        UnitStateCode.CO_OWNED_BY_SHARES,  # notice to the co-owners, first refusal (CC 305, 306)
        UnitStateCode.MAX_AMOUNT_NOT_FIXED,  # agreement that the mortgage follows (CC 421)
        UnitStateCode.CONSTRUCTION_MORTGAGE_LIVE,  # its release in the same case (RD 86)
        UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER,  # statement for the ward's benefit (RD 11)
    }
)

#: States whose persons must apply; elsewhere a written consent does.
_JOIN_STATES = frozenset(
    {
        UnitStateCode.CO_OWNED_JOINT,  # CC 301; RD 10
        UnitStateCode.MORTGAGE_RESTRICTED,  # N54; SIG 43
        UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER,  # RD 11
    }
)

#: What a profile may make of MORTGAGE_UNRECORDED, and of two thirds of the shares disposing.
_UNRECORDED_CHOICES = {v: Verdict[v] for v in ("REFER", "ALLOW_WITH_CONSENT", "BLOCK")}
_TWO_THIRDS_CHOICES = {v: Verdict[v] for v in ("REFER", "ALLOW")}

#: And of a mortgage of before 2021 that was changed since and now says NONE. With REFER it is still PRE_2021 (handbook
#: 3.1): its mortgagee consents in writing, and a unit that carries a mortgage goes to a person anyway (handbook 1.4).
_CHANGED_TO_NONE = {
    "ALLOW": Verdict.ALLOW,
    "WARN": Verdict.WARN,
    "REFER": Verdict.ALLOW_WITH_CONSENT,
    "BLOCK": Verdict.BLOCK,
}


class ContextError(Exception):
    """A cell is split by a fact that the context does not state: a defect of the caller."""

    reason = "CONTEXT_INCOMPLETE"


class Context(Facts, frozen=True, kw_only=True):
    """One operation as the table needs to know it. Parties are given by `Party.key`.

    `rights`: existing rights that the operation names, by `identity`. `applicants` are bound to the terms,
    `consenting` agreed to all of them; `consenting_to` says who gave a written consent for the sake of
    one state only. `obligors` are mortgagors, sellers or obligors of a
    pre-notice; `transferees` its buyers. `adds_burden` belongs to changes, `pre_notice_kind` to
    pre-notices, `own_share` to a co-owner who disposes of his share alone. `papers` lists states
    whose paper is there. The last three are the profile's.
    """

    rights: tuple[str, ...] = ()
    applicants: frozenset[PartyKey] = frozenset()
    consenting: frozenset[PartyKey] = frozenset()
    consenting_to: dict[UnitStateCode, frozenset[PartyKey]] = {}
    obligors: frozenset[PartyKey] = frozenset()
    transferees: frozenset[PartyKey] = frozenset()
    adds_burden: bool | None = None
    own_share: bool = False
    pre_notice_kind: PreNoticeKind | None = None
    papers: frozenset[UnitStateCode] = frozenset()
    risk_statement: bool = False
    unrecorded_restriction: str = "REFER"
    two_thirds_disposal: str = "REFER"
    pre_2021_changed_to_none: str = "REFER"


class Bearing(Value, frozen=True, kw_only=True):
    """One cell that bears on the operation.

    `verdict` and `reason_code` are the cell's, as the profile and the context leave them. With
    ALLOW_WITH_CONSENT: `consent_of` are asked, `missing` have neither applied nor consented,
    `must_join` says that only applying counts, and `is_met` that nothing more is wanted.
    """

    state: UnitStateCode
    cell: Cell
    verdict: Verdict
    reason_code: str
    right: AnyRight | None = None
    case: str = ""
    consent_of: tuple[Party, ...] = ()
    missing: tuple[Party, ...] = ()
    must_join: bool = False
    is_met: bool = True

    @property
    def stops(self) -> bool:
        """Whether the operation cannot simply be booked: an unmet consent, REFER, WAIT or BLOCK."""
        return self.verdict >= Verdict.REFER or not self.is_met


def bearing(state: UnitState, operation: str, context: Context) -> tuple[Bearing, ...]:
    """The cells that bear on `operation`, strictest first; NOT_APPLICABLE ones are left out.

    Raises BlocksTableError for an unknown operation and ContextError when a cell is split by a
    fact that the context leaves open.
    """
    found = [
        _bearing(state_found, operation, context)
        for state_found in states_of(state, context)
        if _concerns(state_found, operation, context)
    ]
    kept = [b for b in found if b.verdict is not Verdict.NOT_APPLICABLE]
    return tuple(sorted(kept, key=lambda b: -b.verdict))


def strictest(found: Iterable[Bearing]) -> Verdict:
    """The verdict that rules; ALLOW when nothing bears on the operation."""
    return max((b.verdict for b in found), default=Verdict.ALLOW)


def _concerns(found: StateFound, operation: str, context: Context) -> bool:
    """A ward among the holders of a pre-notice matters to its end and to its conversion, to nobody else's; a ward among
    the owners to everything but the end of a pre-notice (RD 11), and one whose co-owner sells a share of his own to
    nothing (CC 305).
    """
    if found.code is not UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER:
        return True
    if not _wards(found.right, context):
        return False
    if isinstance(found.right, PreNotice):
        ends = operation in ("PRE_NOTICE_CONVERT", "PRE_NOTICE_RELEASE")
        return ends and found.right.identity in context.rights
    return operation != "PRE_NOTICE_RELEASE"


def _bearing(found: StateFound, operation: str, context: Context) -> Bearing:
    column = _column(found, operation, context)
    splits = variants_of(found.code, column)
    variant = ANY if ANY in splits else _variant(found, splits, context)
    cell = verdict(found.code, column, variant)
    ruling = _ruling(cell, found, context)
    first = Bearing(
        state=found.code,
        cell=cell,
        verdict=ruling,
        reason_code=_reason(cell, ruling, context),
        right=found.right,
        case=found.case.application_id if found.case else "",
    )
    if ruling is not Verdict.ALLOW_WITH_CONSENT:
        return first
    return _with_consents(first, cell, context)


def _column(found: StateFound, operation: str, context: Context) -> str:
    """The operation whose cells rule.

    A conversion reads as the final act where somebody else's pre-notice stands in the way ("else as
    OWNERSHIP_TRANSFER" in the table; CC 221; SIP 4).
    """
    notice = found.right
    if operation != "PRE_NOTICE_CONVERT" or not isinstance(notice, PreNotice):
        return operation
    is_sale = _leg(context) == "SALE"
    if found.code is UnitStateCode.PN_SALE_LIVE:
        if is_sale:
            return operation if notice.identity in context.rights else "OWNERSHIP_TRANSFER"
        return operation if _are_all(context.obligors, notice.holders) else "MORTGAGE_FIRST"
    if found.code is UnitStateCode.PN_MORTGAGE_LIVE:
        if is_sale:
            named = _are_all(context.transferees, notice.obligors)
            return operation if named else "OWNERSHIP_TRANSFER"
        return operation if notice.identity in context.rights else "MORTGAGE_FIRST"
    return operation


def _variant(found: StateFound, splits: frozenset[str], context: Context) -> str:
    """Which part of a split cell the context is in."""
    if "ADDS_BURDEN" in splits:
        if context.adds_burden is None:
            raise ContextError(f"{found.code}: does the change add a burden?")
        return "ADDS_BURDEN" if context.adds_burden else "NO_BURDEN"
    if "NAMES_SAME_RIGHT" in splits:
        named = set(found.case.rights) if found.case else set()
        return "NAMES_SAME_RIGHT" if named & set(context.rights) else "OTHER_RIGHT"
    if "ALL_OWNERS" in splits:
        return _shares(found.right, context)
    if "SALE_ALL_OWNERS" in splits:
        leg = _leg(context)
        return leg if leg == "MORTGAGE" else f"SALE_{_shares(found.right, context)}"
    if "SALE" in splits:
        return _leg(context)
    return _kind(found, splits, context)


def _kind(found: StateFound, splits: frozenset[str], context: Context) -> str:
    """KIND_n, with BY_HOLDER or BY_OTHER where the sale pre-notice's holder may give a mortgage."""
    kind = f"KIND_{_KIND_NUMBER[_pre_notice_kind(context)]}"
    if kind in splits:
        return kind
    holders = found.right.holders if isinstance(found.right, PreNotice) else ()
    return f"{kind}_BY_{'HOLDER' if _are_all(context.obligors, holders) else 'OTHER'}"


def _leg(context: Context) -> str:
    return "SALE" if _pre_notice_kind(context) in SALE_KINDS else "MORTGAGE"


def _pre_notice_kind(context: Context) -> PreNoticeKind:
    if context.pre_notice_kind is None:
        raise ContextError("of which kind is the pre-notice?")
    return context.pre_notice_kind


def _shares(right: AnyRight | None, context: Context) -> str:
    """How many of the shares signed (CC 301). Applying and consenting in writing both count."""
    if context.own_share:
        return "OWN_SHARE"
    owners = right.owners if isinstance(right, Ownership) else ()
    agreed = context.consenting | context.consenting_to.get(UnitStateCode.CO_OWNED_BY_SHARES, frozenset())
    signed = [o for o in owners if o.person.key in context.applicants | agreed]
    if owners and len(signed) == len(owners):
        return "ALL_OWNERS"
    # An unrecorded share counts nothing: CC 309 would divide by contribution, which is not ours.
    total = sum((Fraction(o.share.numerator, o.share.denominator) for o in signed if o.share), Fraction())
    return "TWO_THIRDS" if total >= _TWO_THIRDS else "UNDER_TWO_THIRDS"


def _ruling(cell: Cell, found: StateFound, context: Context) -> Verdict:
    """The cell's verdict, as profile and context leave it."""
    if "profile unrecorded_restriction" in cell.condition:
        return _choice("unrecorded_restriction", context.unrecorded_restriction, _UNRECORDED_CHOICES)
    if cell.variant in ("TWO_THIRDS", "SALE_TWO_THIRDS") and cell.verdict is Verdict.REFER:
        return _choice("two_thirds_disposal", context.two_thirds_disposal, _TWO_THIRDS_CHOICES)
    if _is_changed_to_none(cell, found.right):
        return _choice("pre_2021_changed_to_none", context.pre_2021_changed_to_none, _CHANGED_TO_NONE)
    if _is_transfer_to_its_mortgagor(cell, found.right, context):
        return Verdict.ALLOW
    if _is_of_anothers_share(cell, found.right, context):
        return Verdict.REFER
    return cell.verdict


def _is_transfer_to_its_mortgagor(cell: Cell, right: AnyRight | None, context: Context) -> bool:
    """Whether the transferee is the mortgagor whom the mortgage pre-notice names (CC 221)."""
    return (
        cell.state is UnitStateCode.PN_MORTGAGE_LIVE
        and cell.operation == "OWNERSHIP_TRANSFER"
        and isinstance(right, PreNotice)
        and _are_all(context.transferees, right.obligors)
    )


def _is_of_anothers_share(cell: Cell, right: AnyRight | None, context: Context) -> bool:
    """Whether a seizure lies on the share of one co-owner and another disposes of his own: a seizure is keyed by target
    and extent (handbook 3.4), and no cell says what it does to the rest, so a person decides.
    """
    return (
        context.own_share
        and cell.verdict is Verdict.BLOCK
        and isinstance(right, Seizure)
        and right.share is not None
        and right.target.key not in context.obligors
    )


def _choice(name: str, value: str, allowed: Mapping[str, Verdict]) -> Verdict:
    if value not in allowed:
        raise ContextError(f"profile {name}: {value!r} is none of {sorted(allowed)}")
    return allowed[value]


def _is_changed_to_none(cell: Cell, right: AnyRight | None) -> bool:
    """Whether consent is asked of a mortgage of before 2021 that records NONE: that word came with a later change."""
    return (
        cell.state is UnitStateCode.MORTGAGE_PRE_2021
        and cell.verdict is Verdict.ALLOW_WITH_CONSENT
        and isinstance(right, Mortgage)
        and right.transfer_restriction is TransferRestriction.NONE
    )


def _reason(cell: Cell, ruling: Verdict, context: Context) -> str:
    if ruling <= Verdict.ALLOW:
        return ""
    if ruling is Verdict.REFER and cell.verdict is Verdict.BLOCK:
        return "M-REFER"  # the bar is of another's share
    if cell.reason_code == "C-DISSENT" and context.risk_statement:
        return "M-REFER"  # the risk is accepted: a person decides (RD 84)
    if cell.state is UnitStateCode.MORTGAGE_PRE_2021 and ruling is Verdict.WARN:
        return "W-NOTIFY_MORTGAGEE"  # it reads as unrestricted: the mortgagee is told (CC 406)
    if cell.reason_code == "M-REFER" and ruling in (Verdict.ALLOW_WITH_CONSENT, Verdict.BLOCK):
        return "R-RESTRICTION"  # a profile that reads silence as a restriction (SIG 43)
    return cell.reason_code


def _with_consents(bearing: Bearing, cell: Cell, context: Context) -> Bearing:
    """Fill in whose consent is asked and whether it is there. A ward's own word never counts."""
    asked = _asked(bearing.state, bearing.right, context)
    must_join = bearing.state in _JOIN_STATES and cell.operation != "PRE_NOTICE_CREATE"
    if bearing.state is UnitStateCode.CO_OWNED_JOINT:
        must_join = True
    there = context.applicants
    if not must_join:
        there |= context.consenting | context.consenting_to.get(bearing.state, frozenset())
    wards = {w.key for w in _wards(bearing.right, context) if w.guardian is None}
    missing = tuple(p for p in asked if p.key not in there or p.key in wards)
    has_paper = bearing.state not in _PAPER_STATES or bearing.state in context.papers
    return Bearing(
        state=bearing.state,
        cell=cell,
        verdict=bearing.verdict,
        reason_code=bearing.reason_code,
        right=bearing.right,
        case=bearing.case,
        consent_of=asked,
        missing=missing,
        must_join=must_join,
        is_met=not missing and has_paper,
    )


def _asked(state: UnitStateCode, right: AnyRight | None, context: Context) -> tuple[Party, ...]:
    """Whom the cell asks: mortgagees, holders of the pre-notice, co-owners, guardians."""
    if state is UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER:
        return tuple(_guardian_of(person) for person in _wards(right, context))
    if state is UnitStateCode.CO_OWNED_JOINT and isinstance(right, Ownership):
        return tuple(owner.person for owner in right.owners)
    if isinstance(right, Mortgage) and state not in _PAPER_STATES:
        return right.mortgagees
    if isinstance(right, PreNotice):
        return right.holders
    return ()


def _wards(right: AnyRight | None, context: Context) -> list[Party]:
    """Those under guardianship whose right it is about: of a share that is sold, its sellers alone."""
    persons: Iterable[Party] = ()
    if isinstance(right, Ownership):
        owners = (owner.person for owner in right.owners)
        persons = (p for p in owners if not context.own_share or p.key in context.obligors)
    elif isinstance(right, PreNotice):
        persons = right.holders
    return [person for person in persons if is_under_guardianship(person, context.now)]


def _guardian_of(ward: Party) -> Party:
    """The guardian of record; where none is recorded the ward stands for whoever proves to be."""
    return ward.guardian or ward


def _are_all(keys: frozenset[PartyKey], parties: Iterable[Party]) -> bool:
    """Whether there are `keys` and all of them are among `parties`."""
    return bool(keys) and keys <= {party.key for party in parties}
