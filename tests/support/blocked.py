"""Every cell of the blocks table as a scene: an operation filed on a flat in one state (blocks.csv; handbook 3.4).

`scenes_of` gives what is filed, and on what it needs to stand; `STATES` brings the flat, or the case, into the state.
No I/O, no clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.model import Kind, Manifest, OpenCase, Paper, World
from gateway.cases.stated import Declaration
from gateway.cases.terms import (
    AnyOperation,
    ChangeItem,
    ClaimFixing,
    ConstructionScope,
    MortgageChange,
    MortgageFirst,
    MortgageRelease,
    MortgageTransfer,
    PreNoticeConvert,
    PreNoticeRelease,
    ReleaseGround,
    TransferGround,
)
from gateway.kinds.modes import MODES
from gateway.register.model import (
    AnyRight,
    CertificateRef,
    CoOwnership,
    IdKind,
    Mortgage,
    MortgageKind,
    Owner,
    Party,
    PreNotice,
    PreNoticeKind,
    UnitHold,
    UnitState,
    Value,
)
from tests.support import cases as c
from tests.support import deals as d
from tests.support.play import complete

S, Y, A, B, THIRD = d.SELLER, d.BUYER, d.A, d.B, c.SPOUSE
BROTHER = Party(name="张三", id_kind=IdKind.RESIDENT_ID, id_number="999999197502020036")
DEVELOPER = Party(name="示例置业有限公司", id_kind=IdKind.USCC, id_number="91320281MA1DEV001D")
OTHER_BANK = d.FUND
MODE = "ET_COMBINED"

BUILT = ConstructionScope(location="江阴市示例路1号工地", scope="一至三层", permit_number="建字第1号")
M1 = c.mortgage_row()
MAXIMUM = c.mortgage_row(
    kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=90_000_000
)
BUILDING = c.mortgage_row(
    mortgagors=(DEVELOPER,),
    debtors=(DEVELOPER,),
    collateral_kind="LAND_AND_CONSTRUCTION",
    construction_location=BUILT.location,
    construction_scope=BUILT.scope,
)
BEHIND = c.mortgage_row(
    right_id="0.3",
    mortgagees=(OTHER_BANK,),
    rank_at_registration=2,
    priority_date=dt.datetime(2023, 5, 1, tzinfo=dt.UTC),
    first_registered_at=dt.datetime(2023, 5, 1, tzinfo=dt.UTC),
    proof=CertificateRef(number="苏(2023)江阴市不动产证明第0000077号"),
)


def notice(kind: PreNoticeKind, holder: Party, obligor: Party, number: int) -> PreNotice:
    """A live pre-notice of the month of the case."""
    return PreNotice(
        right_id=f"5.{number}",
        units=(c.UNIT,),
        case_number="",
        booked_at=dt.datetime(2026, 11, 2, 2, tzinfo=dt.UTC),
        booked_by="登记员乙",
        kind=kind,
        holders=(holder,),
        obligors=(obligor,),
        amount_fen=d.CLAIM_FEN if kind.value.endswith("MORTGAGE") else d.PRICE_FEN,
        registrable_from=dt.date(2026, 11, 2),
        proof=CertificateRef(number=f"苏(2026)江阴市不动产证明第{number:07d}号"),
    )


SALE = notice(PreNoticeKind.OTHER_SALE, Y, S, 101)
LOAN = notice(PreNoticeKind.OTHER_MORTGAGE, B, Y, 102)


#: Every mode is on offer, and a securer who is not heard stops the change (handbook 2.2).
PROFILE = replace(d.PROFILE, modes=tuple(MODES), securer_without_consent="BLOCK")


class Scene(Value, frozen=True, kw_only=True):
    """What is filed, which of its steps is looked at, and what the flat carries so that it can be filed at all."""

    steps: tuple[AnyOperation, ...]
    step: int = 0
    kind: Kind = Kind.MORTGAGE
    mode: str = ""
    rights: tuple[AnyRight, ...] = ()
    owners: tuple[Owner, ...] = (Owner(person=S),)
    co_ownership: CoOwnership = CoOwnership.SOLE
    built: bool = True
    holds: tuple[UnitHold, ...] = ()
    taxed: bool = True
    feed_gap: bool = False
    before: OpenCase | None = None
    declared: tuple[Declaration, ...] = ()
    bound: tuple[Party, ...] = (A, B)
    consents: tuple[Paper, ...] = ()

    @property
    def operation(self) -> AnyOperation:
        """The step that is looked at."""
        return self.steps[self.step]

    def with_step(self, **changes: Any) -> Scene:
        """The step looked at, changed."""
        steps = list(self.steps)
        steps[self.step] = replace(self.operation, **changes)
        return replace(self, steps=tuple(steps))

    def state(self) -> UnitState:
        """The flat."""
        bare = c.unit_state(first_registered=self.built, holds=self.holds)
        rights = self.rights
        if self.built:
            assert bare.ownership is not None
            owned = replace(bare.ownership, owners=self.owners, co_ownership=self.co_ownership)
            rights = (owned, *rights)
        return UnitState(unit=bare.unit, rights=rights)

    def world(self) -> World:
        """A registry that offers every mode and has this flat."""
        here = d.world(self.state(), profile=PROFILE)
        modes = {uscc: replace(i, permitted_modes=tuple(MODES)) for uscc, i in here.institutions.items()}
        cases = {c.UNIT: (self.before,)} if self.before else {}
        return replace(here, institutions=modes, open_cases=cases, feed_gap=self.feed_gap)

    def manifest(self) -> Manifest:
        """The case as B files it."""
        base = c.submission(self.steps[0], {}, applicant=B).manifest
        terms = replace(
            base.terms,
            operations=self.steps,
            mode=self.mode,
            sale_contracts=(d.contract(),),
            payoff_statements=(d.statement(),) if self.mode else (),
            tax_clearances=(*d.TAXES, d.cleared(d.TaxKind.LAND_VAT)) if self.taxed else (),
            declarations=self.declared,
        )
        return replace(base, kind=self.kind, terms=terms)

    def submission(self, *, without: Sequence[str] = ()) -> Submission:
        """The case with every paper the law asks for but `without`, signed by all who must."""
        manifest = self.manifest()
        filed = complete(self.world(), manifest, bound=self.bound)
        filed |= {paper.reference.paper_code: paper for paper in self.consents}
        there = tuple(paper for code, paper in filed.items() if code not in without)
        manifest = replace(manifest, files=tuple(p.reference for p in there))
        return Submission(manifest=manifest, payload_sha256="66" * 32, papers=there)

    def decided(self, *, without: Sequence[str] = ()) -> Decision:
        """What the machine answers."""
        return c.decide(self.world(), self.submission(without=without))


# -- operations ----------------------------------------------------------------------------------------------------


def first(**changes: Any) -> MortgageFirst:
    """S mortgages the flat to B."""
    return c.mortgage_first(mortgagees=(B,), **changes)


def content(old: Mortgage, **changes: Any) -> MortgageFirst:
    """What a mortgage of record says, with changes."""
    same = {name: getattr(old, name) for name in MortgageFirst.__struct_fields__ if hasattr(old, name)}
    return MortgageFirst(**{**same, **changes})


def changed(old: Mortgage, more: bool) -> MortgageChange:
    """The claim, or its ceiling, grows or shrinks."""
    by = 10_000_000 if more else -10_000_000
    field = "claim_amount_fen" if old.claim_amount_fen else "max_claim_amount_fen"
    return MortgageChange(
        units=old.units,
        proof=old.proof,
        items=(ChangeItem.AMOUNT,),
        content=content(old, **{field: getattr(old, field) + by}),
    )


def moved(old: Mortgage = M1) -> MortgageTransfer:
    """A assigns its claim to B."""
    return MortgageTransfer(
        units=old.units,
        proof=old.proof,
        assignors=old.mortgagees,
        assignees=(B,),
        ground=TransferGround.CLAIM_ASSIGNMENT,
        debtor_told_on=dt.date(2026, 11, 19),
    )


def released(old: Mortgage = M1) -> MortgageRelease:
    """A's loan is settled."""
    return c.mortgage_release(proof=old.proof, mortgagees=old.mortgagees, applicants=old.mortgagees)


def fixed(old: Mortgage = MAXIMUM) -> ClaimFixing:
    """S and A fix the claim."""
    return ClaimFixing(
        units=old.units,
        proof=old.proof,
        mortgagors=old.mortgagors,
        mortgagees=old.mortgagees,
        fixing_fact="债权确定期间届满",
        fixed_on=dt.date(2026, 11, 1),
        fixed_fen=80_000_000,
    )


def noted(kind: int, **changes: Any) -> Any:
    """A pre-notice of one of the four kinds."""
    sale = {1: PreNoticeKind.PRESALE_SALE, 2: PreNoticeKind.OTHER_SALE}
    loan = {3: PreNoticeKind.PRESALE_MORTGAGE, 4: PreNoticeKind.OTHER_MORTGAGE}
    titled = {"titles": (CertificateRef(number=c.TITLE),)} if kind in (2, 4) else {"titles": ()}
    if kind in sale:
        return d.sale_notice(kind=sale[kind], **{**titled, **changes})
    return d.mortgage_notice(kind=loan[kind], **{**titled, **changes})


def converted_sale(**changes: Any) -> PreNoticeConvert:
    """Y's pre-notice becomes the transfer."""
    whole = {"proof": SALE.proof, "transfer": d.transfer(applicants=()), "applicants": (S, Y)}
    return PreNoticeConvert(units=(c.UNIT,), **{**whole, **changes})


def converted_loan(**changes: Any) -> PreNoticeConvert:
    """B's pre-notice becomes the mortgage."""
    whole = {"proof": LOAN.proof, "mortgage": d.new_mortgage(applicants=()), "applicants": (Y, B)}
    return PreNoticeConvert(units=(c.UNIT,), **{**whole, **changes})


def waived() -> PreNoticeRelease:
    """Y waives its pre-notice."""
    return PreNoticeRelease(
        units=(c.UNIT,), proof=SALE.proof, holders=(Y,), ground=ReleaseGround.WAIVED, applicants=(Y,)
    )


def _by_developer(mortgage: MortgageFirst) -> MortgageFirst:
    return replace(
        mortgage,
        mortgagors=(DEVELOPER,),
        debtors=(DEVELOPER,),
        collateral_kind="LAND_AND_CONSTRUCTION",
        construction=BUILT,
    )


def _site(*steps: AnyOperation, **changes: Any) -> Scene:
    """On a building that is not registered yet."""
    return Scene(steps=steps, built=False, bound=(A, B, DEVELOPER), **changes)


def _sites_change(more: bool) -> Scene:
    step = changed(BUILDING, more)
    content = replace(step.content, construction=BUILT)
    return _site(replace(step, construction=BUILT, content=content), rights=(BUILDING,))


_PRESOLD = noted(1, obligors=(DEVELOPER,), applicants=(DEVELOPER, Y))
_NOTICE = Kind.PRE_NOTICE

#: Operation and variant → what is filed.
_SCENES: dict[tuple[str, str], Scene] = {
    ("OWNERSHIP_TRANSFER", "*"): Scene(
        steps=d.steps(), mode=MODE, kind=Kind.ENCUMBERED_TRANSFER, rights=(M1,)
    ),
    ("MORTGAGE_FIRST", "*"): Scene(steps=(first(),)),
    ("MORTGAGE_CHANGE", "ADDS_BURDEN"): Scene(steps=(changed(M1, True),), rights=(M1,)),
    ("MORTGAGE_CHANGE", "NO_BURDEN"): Scene(steps=(changed(M1, False),), rights=(M1,)),
    ("MORTGAGE_TRANSFER", "*"): Scene(steps=(moved(),), rights=(M1,)),
    ("MORTGAGE_RELEASE", "*"): Scene(steps=(released(),), rights=(M1,), kind=Kind.MORTGAGE_RELEASE),
    ("MORTGAGE_CLAIM_FIXING", "*"): Scene(steps=(fixed(),), rights=(MAXIMUM,)),
    ("PRE_NOTICE_CREATE", "KIND_1"): _site(_PRESOLD, kind=_NOTICE),
    ("PRE_NOTICE_CREATE", "KIND_2"): Scene(steps=(noted(2),), kind=_NOTICE),
    ("PRE_NOTICE_CREATE", "KIND_3"): _site(_PRESOLD, noted(3), step=1, kind=_NOTICE),
    ("PRE_NOTICE_CREATE", "KIND_4"): Scene(steps=(noted(2), noted(4)), step=1, kind=_NOTICE),
    ("PRE_NOTICE_CONVERT", "SALE"): Scene(steps=(converted_sale(),), rights=(SALE,), kind=_NOTICE),
    ("PRE_NOTICE_CONVERT", "MORTGAGE"): Scene(
        steps=(converted_sale(), converted_loan()), step=1, rights=(SALE, LOAN), kind=_NOTICE
    ),
    ("PRE_NOTICE_RELEASE", "*"): Scene(steps=(waived(),), rights=(SALE,), kind=_NOTICE),
    ("CONSTRUCTION_MORTGAGE_FIRST", "*"): _site(_by_developer(first())),
    ("CONSTRUCTION_MORTGAGE_CHANGE", "ADDS_BURDEN"): _sites_change(True),
    ("CONSTRUCTION_MORTGAGE_CHANGE", "NO_BURDEN"): _sites_change(False),
    ("CONSTRUCTION_MORTGAGE_TRANSFER", "*"): _site(
        replace(moved(BUILDING), construction=True), rights=(BUILDING,)
    ),
    ("CONSTRUCTION_MORTGAGE_RELEASE", "*"): _site(
        replace(released(BUILDING), construction=True), rights=(BUILDING,), kind=Kind.MORTGAGE_RELEASE
    ),
}


def scenes_of(operation: str, variant: str = "*") -> list[Scene]:
    """What to file for a column of the table; several where the cell does not ask which."""
    ways = [way for column, way in _SCENES if column == operation]
    if operation == "PRE_NOTICE_CREATE" and variant in ("SALE", "MORTGAGE"):
        ways = ["KIND_1", "KIND_2"] if variant == "SALE" else ["KIND_3", "KIND_4"]
    elif variant in ways:
        ways = [variant]
    return [_SCENES[operation, way] for way in ways]
