"""What the register says: units, parties and rights, as frozen values.

Everything is plural (handbook 3.1): several units under one mortgage, several mortgages on one
unit, several owners, mortgagors, debtors, mortgagees. A row is never edited: a change books a new
row and the old one becomes HISTORICAL (IR 10).

Units of measure: money in fen (1/100 CNY unless `currency` says otherwise), areas in 1/100 m²,
shares as exact fractions, instants in UTC, dates in China time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from enum import StrEnum
from functools import cached_property
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every register value: frozen, keyword-only, encoded without its defaults."""


class IdKind(StrEnum):
    """Kind of identity document 证件种类 (ZJZL)."""

    RESIDENT_ID = "RESIDENT_ID"
    HKMOTW_ID = "HKMOTW_ID"
    PASSPORT = "PASSPORT"
    HUKOU = "HUKOU"
    MILITARY_ID = "MILITARY_ID"
    ORG_CODE = "ORG_CODE"
    USCC = "USCC"  # ZJZL 7, business licence: its number is the unified social credit code
    OTHER = "OTHER"


#: Documents that only legal persons have.
_LEGAL_PERSONS: Final = (IdKind.USCC, IdKind.ORG_CODE)


class Capacity(StrEnum):
    """Capacity for civil conduct 行为能力 (CC 17-24)."""

    FULL = "FULL"
    LIMITED = "LIMITED"
    NONE = "NONE"


class Party(Value, frozen=True, kw_only=True):
    """A natural or legal person 当事人. Natural unless `id_kind` is USCC or ORG_CODE."""

    name: str
    id_kind: IdKind
    id_number: str
    country: str = "CN"
    phone: str = ""
    address: str = ""
    capacity: Capacity = Capacity.FULL
    guardian: Party | None = None
    birth_date: dt.date | None = None  # as stated, of somebody whose document does not tell it

    @property
    def key(self) -> tuple[str, str]:
        """Who this is, for comparison: id kind and canonical number, never the name."""
        return (self.id_kind, self.id_number)

    @property
    def is_institution(self) -> bool:
        """Whether this is a legal person."""
        return self.id_kind in _LEGAL_PERSONS


class Share(Value, frozen=True, kw_only=True):
    """An exact share 份额: numerator / denominator, in (0, 1]."""

    numerator: int
    denominator: int


class CertificateScheme(StrEnum):
    """NATIONAL: 不动产权/证明 number. LEGACY: 房产证, 房他证, 土地证, opaque."""

    NATIONAL = "NATIONAL"
    LEGACY = "LEGACY"


class Medium(StrEnum):
    """Paper or electronic certificate."""

    PAPER = "PAPER"
    ELECTRONIC = "ELECTRONIC"


class CertificateRef(Value, frozen=True, kw_only=True):
    """A certificate named in a case or behind a right 证书（证明）号."""

    number: str
    scheme: CertificateScheme = CertificateScheme.NATIONAL
    medium: Medium = Medium.PAPER
    surrendered: bool = False
    declared_void: bool = False


class UnitKind(StrEnum):
    """What the unit is 单元种类."""

    FLAT = "FLAT"
    PARKING = "PARKING"
    STOREROOM = "STOREROOM"
    LAND = "LAND"
    OTHER = "OTHER"


class UnitHold(StrEnum):
    """Facts about a unit that stop or refer operations; each is a state of blocks.csv."""

    QUARANTINED = "QUARANTINED"  # its import row was bad; a person looks first
    DISPUTED = "DISPUTED"
    PROHIBITED_COLLATERAL = "PROHIBITED_COLLATERAL"  # CC 399
    CORRECTION_PENDING = "CORRECTION_PENDING"
    RIGHT_EXPIRED = "RIGHT_EXPIRED"


class Unit(Value, frozen=True, kw_only=True):
    """A real-estate unit 不动产单元, the smallest thing a register page is about (IR 8)."""

    unit_code: str
    kind: UnitKind
    county_code: str
    location: str
    use: str = "RESIDENTIAL"
    housing_kind: str = "MARKET"
    land_nature: str = "STATE_CONSTRUCTION_LAND"
    floor_area: int = 0
    floor: str = ""
    floors_total: int = 0
    land_term_end: dt.date | None = None
    first_registered: bool = True
    holds: tuple[UnitHold, ...] = ()


class Right(Value, tag_field="right", frozen=True, kw_only=True):
    """What every right has: its id, its units, the case and the instant at which it was booked."""

    right_id: str
    units: tuple[str, ...]
    case_number: str
    booked_at: dt.datetime
    booked_by: str
    note: str = ""  # FJ 附记, as the parties asked for it
    reason: str = ""  # DJYY 登记原因, as they stated it

    @property
    def identity(self) -> str:
        """Which right this is, whatever row it stands in by now: what a case names."""
        return self.right_id


class CoOwnership(StrEnum):
    """GYFS, CC 297-299."""

    SOLE = "SOLE"
    JOINT = "JOINT"
    BY_SHARES = "BY_SHARES"
    OTHER = "OTHER"


class Owner(Value, frozen=True, kw_only=True):
    """An owner with a share where co-ownership is by shares."""

    person: Party
    share: Share | None = None


class Ownership(Right, tag="OWNERSHIP", frozen=True, kw_only=True):
    """Ownership 所有权 of a unit, with its title certificate: one for all owners, or one for each where they hold
    separately 分别持证 (RD 21), in the order of the owners.
    """

    owners: tuple[Owner, ...]
    co_ownership: CoOwnership
    title: CertificateRef
    further_titles: tuple[CertificateRef, ...] = ()  # of the second owner and on, where each holds one
    price_fen: int | None = None

    @property
    def titles(self) -> tuple[CertificateRef, ...]:
        """Every live title of the unit."""
        return (self.title, *self.further_titles)


class MortgageKind(StrEnum):
    """DYFS: ordinary 一般抵押, maximum-amount 最高额抵押."""

    ORDINARY = "ORDINARY"
    MAXIMUM_AMOUNT = "MAXIMUM_AMOUNT"


class MortgagorRelation(StrEnum):
    """Whether the mortgagor owes the debt or secures somebody else's."""

    DEBTOR = "DEBTOR"
    THIRD_PARTY = "THIRD_PARTY"


class TransferRestriction(StrEnum):
    """是否存在禁止或限制转让抵押不动产的约定 (CC 406; N54). UNRECORDED is never NONE."""

    NONE = "NONE"
    RESTRICTED = "RESTRICTED"
    UNRECORDED = "UNRECORDED"


class LoanPortionKind(StrEnum):
    """Commercial or provident-fund money."""

    COMMERCIAL = "COMMERCIAL"
    PROVIDENT_FUND = "PROVIDENT_FUND"


class LoanPortion(Value, frozen=True, kw_only=True):
    """One part of a loan 贷款组成; the creditor need not be the mortgagee of record (SIG 4)."""

    kind: LoanPortionKind
    creditor: Party
    amount_fen: int
    entrusted_bank: Party | None = None
    term_start: dt.date | None = None
    term_end: dt.date | None = None


class AgreedPlace(Value, frozen=True, kw_only=True):
    """The place that an agreed rank 约定顺位 was on the day of its booking (RD 67; CC 409).

    A number says nothing once a mortgage before it is released, so what is kept is whom it stands behind, beside and
    before, each by `identity`. `row` is the right id of the row that booked it.
    """

    at: dt.datetime
    row: str
    behind: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


class Mortgage(Right, tag="MORTGAGE", frozen=True, kw_only=True):
    """A mortgage 抵押权 (CC 394-424), as QLF_QL_DYAQ has it."""

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
    secured_scope: str = "/"
    transfer_restriction: TransferRestriction
    restriction_text: str = ""
    first_registered_at: dt.datetime
    collateral_kind: str = "LAND_AND_BUILDING"
    rank_at_registration: int
    priority_date: dt.datetime
    agreed_rank: int | None = None
    agreed_place: AgreedPlace | None = None  # absent where another system booked the agreement
    proof: CertificateRef
    from_pre_notice: str | None = None
    fixing_fact: str = ""  # ZGZQQDSS, once a maximum-amount mortgage's claim is fixed (CC 423)
    construction_location: str = ""  # ZJJZWZL
    construction_scope: str = ""  # ZJJZWDYFW
    contract_number: str = ""
    began_as: str = ""  # right id of the first row of this mortgage; empty on that row itself
    replaced_proofs: tuple[str, ...] = ()  # numbers of its proofs before this one

    @property
    def identity(self) -> str:
        return self.began_as or self.right_id


class PreNoticeKind(StrEnum):
    """YGDJZL."""

    PRESALE_SALE = "PRESALE_SALE"
    OTHER_SALE = "OTHER_SALE"
    PRESALE_MORTGAGE = "PRESALE_MORTGAGE"
    OTHER_MORTGAGE = "OTHER_MORTGAGE"


class PreNotice(Right, tag="PRE_NOTICE", frozen=True, kw_only=True):
    """A pre-notice 预告登记 (CC 221)."""

    kind: PreNoticeKind
    holders: tuple[Party, ...]
    obligors: tuple[Party, ...]
    amount_fen: int
    contract_number: str = ""
    secured_scope: str = "/"
    transfer_restriction: TransferRestriction = TransferRestriction.UNRECORDED
    restriction_text: str = ""
    term_start: dt.date | None = None
    term_end: dt.date | None = None
    #: Of a mortgage, what it is to be besides: where it turns into one by itself, nobody states it again.
    mortgage_kind: MortgageKind = MortgageKind.ORDINARY
    debtors: tuple[Party, ...] = ()  # where not the obligors
    currency: str = "CNY"
    loan_portions: tuple[LoanPortion, ...] = ()
    registrable_from: dt.date | None = None
    warned_days: int = 0  # of the 90 days of CC 221: the last warning that its holders had
    lapse_presumed_on: dt.date | None = (
        None  # since when it is presumed to have lapsed; a registrar confirms it
    )
    proof: CertificateRef
    began_as: str = ""  # right id of the first row of this pre-notice; empty on that row itself
    replaced_proofs: tuple[str, ...] = ()  # numbers of its proofs before this one

    @property
    def identity(self) -> str:
        return self.began_as or self.right_id


class SeizureKind(StrEnum):
    """CFLX."""

    SEIZURE = "SEIZURE"
    WAITING_SEIZURE = "WAITING_SEIZURE"
    PRE_SEIZURE = "PRE_SEIZURE"
    WAITING_PRE_SEIZURE = "WAITING_PRE_SEIZURE"


class Seizure(Right, tag="SEIZURE", frozen=True, kw_only=True):
    """A seizure 查封; order and effect follow the service on the authority (EX 23)."""

    kind: SeizureKind
    target: Party
    extent: str
    authority: str
    instrument_no: str
    served_at: dt.datetime
    until: dt.date
    from_pre_seizure: str = (
        ""  # right id of the pre-seizure that it was before the unit was booked to its target
    )
    share: Share | None = None  # absent: the whole unit
    instrument: str = ""  # CFWJ
    starts_on: dt.date | None = None  # CFQSSJ
    proof_of_service: str = ""  # hex SHA-256 of the proof of service 送达回证
    renewed_from: str = ""  # right id of the row that this renewal superseded (CPL 485)


class Dissent(Right, tag="DISSENT", frozen=True, kw_only=True):
    """A dissent 异议登记 (CC 220)."""

    applicant: Party
    matter: str
    suit_filed_on: dt.date | None = None
    court_case_number: str = ""


class Habitation(Right, tag="HABITATION", frozen=True, kw_only=True):
    """A right of habitation 居住权 (CC 366). `others` hold it together with `holder`."""

    holder: Party
    others: tuple[Party, ...] = ()
    until: dt.date | None = None


class Easement(Right, tag="EASEMENT", frozen=True, kw_only=True):
    """An easement 地役权 (CC 372); it lies on both units, the servient one first."""

    content: str = ""


AnyRight: TypeAlias = Ownership | Mortgage | PreNotice | Seizure | Dissent | Habitation | Easement


class UnitState(Value, frozen=True, kw_only=True, dict=True):
    """One unit with its LIVE rights, as a decision sees it. Mortgages come in order of priority."""

    unit: Unit
    rights: tuple[AnyRight, ...] = ()

    @cached_property
    def ownership(self) -> Ownership | None:
        """The live ownership row; None before first registration."""
        return next((r for r in self.rights if isinstance(r, Ownership)), None)

    @cached_property
    def mortgages(self) -> tuple[Mortgage, ...]:
        """Live mortgages in order of rank: priority date, then printed rank, agreements applied."""
        rows = [r for r in self.rights if isinstance(r, Mortgage)]
        return tuple(mortgage for rank in in_order_of_rank(rows) for mortgage in rank)

    @cached_property
    def pre_notices(self) -> tuple[PreNotice, ...]:
        """Live pre-notices."""
        return tuple(r for r in self.rights if isinstance(r, PreNotice))

    @cached_property
    def seizures(self) -> tuple[Seizure, ...]:
        """Live and waiting seizures by service (EX 23; F5 19)."""
        rows = [r for r in self.rights if isinstance(r, Seizure)]
        return tuple(sorted(rows, key=lambda s: s.served_at))


def certificate_numbers(rights: Collection[AnyRight]) -> set[str]:
    """Numbers of the certificates, paper or electronic, that show these rights (RD 20)."""
    titles = {title.number for right in rights if isinstance(right, Ownership) for title in right.titles}
    proofs = {right.proof.number for right in rights if isinstance(right, Mortgage | PreNotice)}
    return (titles | proofs) - {""}


def going_on(old: AnyRight, new: AnyRight) -> AnyRight:
    """`new` as the next row of the right that stood in `old`: the same right, in the same place (IR 10; RD 68)."""
    if isinstance(old, Mortgage) and isinstance(new, Mortgage):
        same = new.agreed_place is None and new.agreed_rank == old.agreed_rank
        place = old.agreed_place if same else new.agreed_place
        return replace(
            new, began_as=old.identity, agreed_place=place, replaced_proofs=_replaced(old, new.proof)
        )
    if isinstance(old, PreNotice) and isinstance(new, PreNotice):
        return replace(new, began_as=old.identity, replaced_proofs=_replaced(old, new.proof))
    return new


def _replaced(old: Mortgage | PreNotice, proof: CertificateRef) -> tuple[str, ...]:
    """The numbers that a right has had, once it has this proof."""
    return tuple(n for n in dict.fromkeys((*old.replaced_proofs, old.proof.number)) if n != proof.number)


def in_order_of_rank(mortgages: Iterable[Mortgage]) -> tuple[tuple[Mortgage, ...], ...]:
    """Live mortgages of one unit in order of rank; those within one tuple are equal by agreement.

    Rank follows the time of registration (CC 414), a converted pre-notice its own date (SIG 52);
    mortgages booked in one phase follow its steps, which the printed rank shows. Among these, those
    with an agreed rank (RD 67; CC 409) take their places in the order of their agreements: behind
    and before whom they stood on that day, and before whatever came later. Whoever was not asked is
    not passed: to a pre-notice of before the agreement that is converted after it, an agreed
    mortgage stands as its own date has it. Where another system booked the agreement there is only
    its number: it goes before every mortgage that was printed with that rank or a later one, and
    beside those that agreed the same.
    """
    rows = list(mortgages)
    order = [[m] for m in sorted((m for m in rows if m.agreed_rank is None), key=_priority)]
    for mortgage in sorted((m for m in rows if m.agreed_rank is not None), key=_agreement):
        equal = next((them for them in order if _is_beside(mortgage, them[0])), None)
        if equal is not None:
            equal.append(mortgage)
        else:
            order.insert(_place(mortgage, order), [mortgage])
    return tuple(tuple(them) for them in order)


def _priority(mortgage: Mortgage) -> tuple[dt.datetime, int, dt.datetime, tuple[int, ...], str]:
    """Of one instant (a batch reads the clock once) the entry that came first goes first, whatever changed since."""
    return (
        mortgage.priority_date,
        mortgage.rank_at_registration,
        mortgage.first_registered_at,
        _entry(mortgage.identity),
        mortgage.identity,
    )


def _agreement(mortgage: Mortgage) -> tuple[dt.datetime, int, tuple[int, ...], str]:
    """When the rank was agreed: in one instant, by the rows that booked it."""
    place = mortgage.agreed_place
    if place is not None:
        return (place.at, 0, _entry(place.row), mortgage.identity)
    printed = mortgage.rank_at_registration
    return (mortgage.priority_date, printed, _entry(mortgage.identity), mortgage.identity)


def _entry(right_id: str) -> tuple[int, ...]:
    """Ids are `<entry>.<n>`: entry 9 goes before entry 10."""
    parts = right_id.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _is_beside(mortgage: Mortgage, other: Mortgage) -> bool:
    """Whether an agreed mortgage is equal to one in the order."""
    if mortgage.agreed_place is not None:
        return other.identity in mortgage.agreed_place.beside
    return other.agreed_rank == mortgage.agreed_rank


def _place(mortgage: Mortgage, order: list[list[Mortgage]]) -> int:
    """Where in the order an agreed mortgage goes: before the first that gives way to it, behind all that do not."""
    place = mortgage.agreed_place
    ahead = [n for n, them in enumerate(order, 1) if place and any(m.identity in place.behind for m in them)]
    start = max(ahead, default=0)
    return next(
        (n for n, them in enumerate(order) if n >= start and any(_gives_way(m, mortgage) for m in them)),
        len(order),
    )


def _gives_way(other: Mortgage, agreed: Mortgage) -> bool:
    """Whether a mortgage in the order stands behind an agreed one, by the agreement or by its date."""
    place = agreed.agreed_place
    if place is None:
        printed = other.agreed_rank or other.rank_at_registration
        return printed >= (agreed.agreed_rank or 0) or other.priority_date > agreed.priority_date
    if other.identity in (*place.behind, *place.beside, *place.before):
        return other.identity in place.before
    return other.priority_date >= place.at or other.priority_date > agreed.priority_date
