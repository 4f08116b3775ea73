"""The states of the blocks table, each as a change of a scene: the flat, or the case, comes into it; and what cures it.

A state comes alone as far as the law lets it: what an operation needs in order to be filed is there before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from gateway.cases.model import OpenCase
from gateway.cases.stated import Declaration, DeclarationKind
from gateway.cases.terms import MortgageFirst, PreNoticeCreate, PreNoticeRelease, operation_name
from gateway.register.model import (
    Capacity,
    CertificateRef,
    CoOwnership,
    Dissent,
    Habitation,
    Mortgage,
    MortgageKind,
    Owner,
    Party,
    PreNotice,
    PreNoticeKind,
    Seizure,
    SeizureKind,
    Share,
    TransferRestriction,
    UnitHold,
    Value,
)
from tests.support import blocked as b
from tests.support import cases as c
from tests.support.blocked import Scene

PRE_2021 = dt.datetime(2019, 5, 1, 2, tzinfo=dt.UTC)
TENANT = b.BROTHER
GUARDIAN = b.BROTHER


def seizure(target: Party, kind: SeizureKind = SeizureKind.SEIZURE, number: int = 1) -> Seizure:
    """A seizure of this month that has not run out."""
    return Seizure(
        right_id=f"6.{number}",
        units=(c.UNIT,),
        case_number="",
        booked_at=c.NOW - dt.timedelta(days=10 - number),
        booked_by="导入",
        kind=kind,
        target=target,
        extent="全部",
        authority="示例市人民法院",
        instrument_no=f"(2026)示01执{number}号",
        served_at=c.NOW - dt.timedelta(days=10 - number),
        until=dt.date(2029, 11, 9),
    )


DISSENT = Dissent(
    right_id="7.1",
    units=(c.UNIT,),
    case_number="",
    booked_at=c.NOW - dt.timedelta(days=2),
    booked_by="导入",
    applicant=b.BROTHER,
    matter="权属",
)
HABITATION = Habitation(
    right_id="8.1", units=(c.UNIT,), case_number="", booked_at=PRE_2021, booked_by="导入", holder=TENANT
)


def owner_of(scene: Scene) -> Party:
    """Whose flat it is; a building site is the developer's."""
    return scene.owners[0].person if scene.built else b.DEVELOPER


def cured(scene: Scene, rule: str) -> Scene:
    """What the catalogue says would cure it has happened (reasons.csv)."""
    match rule:
        case "R-PRE_NOTICE":
            holders = [p for r in scene.rights if isinstance(r, PreNotice) for p in r.holders]
            return consented(scene, "PRE_NOTICE_HOLDER_CONSENT", *holders)
        case "R-OTHER_MORTGAGEE":
            return consented(scene, "OTHER_MORTGAGEE_CONSENT", b.A, b.OTHER_BANK)
        case "R-PRE_CODE_MORTGAGE":
            return consented(scene, "MORTGAGEE_JOINT", b.A)
        case "R-RESTRICTION":
            return replace(
                scene.with_step(applicants=(*scene.operation.applicants, b.A)), bound=(*scene.bound, b.A)
            )
        case "R-CO_OWNER" if getattr(scene.operation, "share_sold", None):
            return scene  # the notice is a paper that the law asks for
        case "R-CO_OWNER":
            others = tuple(owner.person for owner in scene.owners[1:])
            steps = joined(scene.steps, scene.owners[0].person, *others)
            return replace(scene, steps=steps, bound=(*scene.bound, *others))
        case "R-GUARDIAN":
            benefit = Declaration(party=GUARDIAN, kind=DeclarationKind.WARD_BENEFIT)
            return replace(
                consented(scene, "GUARDIAN", GUARDIAN),
                bound=(*scene.bound, GUARDIAN),
                declared=(benefit,),
            )
        case "R-MAX_NOT_FIXED":
            return scene.with_step(follows_part=True)
        case "R-CONSTRUCTION":
            freed = replace(b.released(BUILDING_TOO), construction=True)
            return replace(scene, steps=(freed, *scene.steps), step=scene.step + 1, mode="NB_PRESALE_CASH")
    raise KeyError(rule)


def consented(scene: Scene, code: str, *signers: Party) -> Scene:
    """A written consent is there."""
    return replace(scene, consents=(*scene.consents, c.paper(code, *signers)))


def add(scene: Scene, *rights: Any) -> Scene:
    """The flat carries these too."""
    return replace(scene, rights=(*scene.rights, *rights))


def held(hold: UnitHold) -> Callable[[Scene], Scene]:
    """A fact about the unit."""
    return lambda scene: replace(scene, holds=(*scene.holds, hold))


def _pre_seized(scene: Scene) -> Scene:
    """Y holds a sale pre-notice, and a court has pre-seized what Y is to get."""
    noted = scene if b.SALE in scene.rights else add(scene, b.SALE)
    return add(noted, seizure(b.Y, SeizureKind.PRE_SEIZURE))


def _sale_noted(scene: Scene) -> Scene:
    """A third person's sale pre-notice; a conversion or a release is by its holder."""
    if b.SALE in scene.rights:
        return scene
    steps = [operation_name(step) for step in scene.steps]
    if steps == ["PRE_NOTICE_CREATE"] * 2:  # the mortgage pre-notice by itself, beside a sale noted before
        kind = scene.operation.kind
        sale = b.SALE if kind is PreNoticeKind.OTHER_MORTGAGE else PRESALE
        return add(replace(scene, steps=(_resting(scene.operation, sale),), step=0), sale)
    return add(scene, b.notice(PreNoticeKind.OTHER_SALE, TENANT, owner_of(scene), 111))


PRESALE = b.notice(PreNoticeKind.PRESALE_SALE, b.Y, b.DEVELOPER, 103)


def _resting(operation: Any, sale: Any) -> Any:
    """A mortgage pre-notice that rests on a sale pre-notice of record (RD 78)."""
    assert isinstance(operation, PreNoticeCreate)
    return replace(operation, sale_proof=sale.proof)


def by_other(scene: Scene) -> Scene:
    """A mortgage pre-notice that the owner gives, beside a third person's sale pre-notice."""
    owner = owner_of(scene)
    mine = replace(scene.operation, obligors=(owner,), applicants=(owner, b.B))
    mine = replace(mine, mortgage=replace(mine.mortgage, mortgagors=(owner,), debtors=(owner,)))
    sold = b.notice(PreNoticeKind.OTHER_SALE, TENANT, owner, 111)
    return add(replace(scene, steps=(mine,), step=0), sold)


def _loan_noted(scene: Scene) -> Scene:
    """A third bank's mortgage pre-notice; the buyer's own, where a sale pre-notice is converted."""
    if b.LOAN in scene.rights:
        return scene
    obligor = b.Y if operation_name(scene.operation) == "PRE_NOTICE_CONVERT" else owner_of(scene)
    return add(scene, b.notice(PreNoticeKind.OTHER_MORTGAGE, b.OTHER_BANK, obligor, 112))


def _mortgaged(**changes: Any) -> Callable[[Scene], Scene]:
    """The mortgage of record is so, or one is there that is."""

    def brought(scene: Scene) -> Scene:
        rows = [r for r in scene.rights if isinstance(r, Mortgage)]
        if not rows or not scene.built:
            beside = (
                replace(b.M1, right_id="0.5", proof=BESIDE, **changes) if rows else replace(b.M1, **changes)
            )
            return add(scene, beside)
        rights = tuple(replace(r, **changes) if r in rows else r for r in scene.rights)
        return _content_follows(replace(scene, rights=rights), changes)

    return brought


def _content_follows(scene: Scene, changes: dict[str, Any]) -> Scene:
    """A change states the whole mortgage: what it does not change is as the register has it."""
    kept = {k: v for k, v in changes.items() if k in MortgageFirst.__struct_fields__}
    steps = tuple(
        replace(s, content=replace(s.content, **kept)) if operation_name(s).endswith("MORTGAGE_CHANGE") else s
        for s in scene.steps
    )
    return replace(scene, steps=steps)


BESIDE = CertificateRef(number="苏(2022)江阴市不动产证明第0000043号")


def _adverse(scene: Scene) -> Scene:
    """Another mortgagee is passed by a rank, or stands behind what grows."""
    if operation_name(scene.operation).endswith("MORTGAGE_FIRST"):
        before = b.M1 if scene.built else b.BUILDING
        return add(scene.with_step(agreed_rank=1), before)
    return add(scene, b.BEHIND)


def _max_not_fixed(scene: Scene) -> Scene:
    """A maximum-amount mortgage; a part of its claim is assigned."""
    new = {
        "kind": MortgageKind.MAXIMUM_AMOUNT,
        "claim_amount_fen": None,
        "max_claim_amount_fen": 90_000_000,
    }
    scene = _mortgaged(**new)(scene)
    if not scene.built:
        return scene
    if operation_name(scene.operation).endswith("MORTGAGE_CHANGE"):
        [row] = [r for r in scene.rights if isinstance(r, Mortgage)]
        [was] = scene.steps
        more = was.content.claim_amount_fen is None or was.content.claim_amount_fen > 50_000_000
        step = replace(b.changed(row, more), construction=was.construction)
        if was.construction:
            step = replace(step, content=replace(step.content, construction=was.construction))
        return replace(scene, steps=(step,))
    if operation_name(scene.operation).endswith("MORTGAGE_TRANSFER"):
        return scene.with_step(assigned_fen=10_000_000)
    return scene


def _owned(scene: Scene, *owners: Owner, form: CoOwnership) -> Scene:
    return replace(scene, owners=owners, co_ownership=form)


def finished(scene: Scene) -> Scene:
    """A site on land of S that is registered: only then is there an owner of record."""
    if scene.built:
        return scene
    swap = {b.DEVELOPER: b.S}
    return replace(
        scene,
        built=True,
        steps=tuple(recast(step, swap) for step in scene.steps),
        rights=tuple(recast(right, swap) for right in scene.rights),
    )


def recast(value: Any, swap: dict[Party, Party]) -> Any:
    """The value with other people in the parts."""
    if isinstance(value, Party):
        return swap.get(value, value)
    if isinstance(value, tuple):
        return tuple(recast(one, swap) for one in value)
    if isinstance(value, Value):
        return replace(value, **{f: recast(getattr(value, f), swap) for f in value.__struct_fields__})
    return value


def _settled(scene: Scene) -> Scene:
    """A mortgage pre-notice that is converted after its sale was: the buyer is the owner."""
    if operation_name(scene.operation) != "PRE_NOTICE_CONVERT" or scene.step == 0:
        return finished(scene)
    kept = tuple(right for right in scene.rights if right != b.SALE)
    return replace(scene, steps=(scene.operation,), step=0, rights=kept, owners=(Owner(person=b.Y),))


def _with_brother(scene: Scene, form: CoOwnership, *shares: int) -> Scene:
    """The owner owns together with a brother, or with two, and applies without them."""
    scene = _settled(scene)
    owner = scene.owners[0].person
    people = (owner, b.BROTHER, b.THIRD)[: len(shares) or 2]
    parts = [Share(numerator=n, denominator=sum(shares)) for n in shares] or [None] * len(people)
    return _owned(scene, *(Owner(person=p, share=s) for p, s in zip(people, parts, strict=True)), form=form)


def joined(value: Any, owner: Party, *others: Party) -> Any:
    """The steps with the others wherever the owner takes part."""
    if isinstance(value, tuple):
        named = tuple(joined(one, owner, *others) for one in value)
        return (*named, *others) if owner in value else named
    if isinstance(value, Value) and not isinstance(value, Party):
        return replace(
            value, **{f: joined(getattr(value, f), owner, *others) for f in value.__struct_fields__}
        )
    return value


def by_shares(variant: str) -> Callable[[Scene], Scene]:
    """Three owners by thirds, of whom three, two or one act."""

    def brought(scene: Scene) -> Scene:
        scene = _with_brother(scene, CoOwnership.BY_SHARES, 1, 1, 1)
        count = 2 if variant.endswith("ALL_OWNERS") else 1 if variant.endswith("TWO_THIRDS") else 0
        if variant.endswith("UNDER_TWO_THIRDS") or variant in ("*", "SALE", "MORTGAGE"):
            count = 0
        others = (b.BROTHER, b.THIRD)[:count]
        return replace(
            scene,
            steps=joined(scene.steps, scene.owners[0].person, *others),
            rights=joined(scene.rights, scene.owners[0].person, *others),
            bound=(*scene.bound, *others),
        )

    return brought


def own_share(scene: Scene) -> Scene:
    """Three owners by thirds, of whom one sells his third."""
    third = Share(numerator=1, denominator=3)
    return _with_brother(scene.with_step(share_sold=third), CoOwnership.BY_SHARES, 1, 1, 1)


def _joint(scene: Scene) -> Scene:
    """Two own together; one of them applies."""
    return _with_brother(scene, CoOwnership.JOINT)


def _ward(scene: Scene) -> Scene:
    """The owner is a child; who releases a pre-notice is its holder, a child too."""
    if isinstance(scene.operation, PreNoticeRelease):
        child = replace(b.Y, capacity=Capacity.LIMITED, guardian=GUARDIAN)
        rights = tuple(replace(r, holders=(child,)) if r == b.SALE else r for r in scene.rights)
        return replace(scene, rights=rights)
    scene = _settled(scene)
    child = replace(scene.owners[0].person, capacity=Capacity.LIMITED, guardian=GUARDIAN)
    return replace(scene, owners=(Owner(person=child),))


def queued(variant: str) -> Callable[[Scene], Scene]:
    """An earlier case is open, which names the right in question or none."""

    def brought(scene: Scene) -> Scene:
        rights = tuple(r.right_id for r in scene.rights) if variant == "NAMES_SAME_RIGHT" else ()
        return replace(scene, before=OpenCase(application_id="earlier", accepted_index=1, rights=rights))

    return brought


STATES: dict[str, Callable[[Scene], Scene]] = {
    "SEIZED": lambda s: add(s, seizure(owner_of(s))),
    "SEIZED_WAITING": lambda s: add(
        s, seizure(owner_of(s)), seizure(owner_of(s), SeizureKind.WAITING_SEIZURE, 2)
    ),
    "PRE_SEIZED_HOLDER": _pre_seized,
    "CORRECTION_PENDING": held(UnitHold.CORRECTION_PENDING),
    "DISSENT": lambda s: add(s, DISSENT),
    "PN_SALE_LIVE": _sale_noted,
    "PN_MORTGAGE_LIVE": _loan_noted,
    "MORTGAGE_RESTRICTED": _mortgaged(transfer_restriction=TransferRestriction.RESTRICTED),
    "MORTGAGE_UNRESTRICTED": _mortgaged(),
    "MORTGAGE_PRE_2021": _mortgaged(
        transfer_restriction=TransferRestriction.UNRECORDED, first_registered_at=PRE_2021
    ),
    "MORTGAGE_UNRECORDED": _mortgaged(transfer_restriction=TransferRestriction.UNRECORDED),
    "ADVERSE_TO_OTHER_MORTGAGEE": _adverse,
    "MAX_AMOUNT_NOT_FIXED": _max_not_fixed,
    "CO_OWNED_JOINT": _joint,
    "HABITATION": lambda s: add(s, HABITATION),
    "NOT_FIRST_REGISTERED": lambda s: replace(s, built=False),
    "PROHIBITED_COLLATERAL": held(UnitHold.PROHIBITED_COLLATERAL),
    "DISPUTED": held(UnitHold.DISPUTED),
    "RIGHT_EXPIRED": held(UnitHold.RIGHT_EXPIRED),
    "DATA_FEED_GAP": lambda s: replace(s, feed_gap=True),
    "TAX_UNCLEARED": lambda s: replace(s, taxed=False),
    "CONSTRUCTION_MORTGAGE_LIVE": lambda s: s if b.BUILDING in s.rights else add(s, BUILDING_TOO),
    "UNDER_AGE_OR_INCAPABLE_OWNER": _ward,
    "QUARANTINED": held(UnitHold.QUARANTINED),
    "SEIZURE_TARGET_NOT_OWNER": lambda s: add(s, seizure(b.BROTHER)),
}
BUILDING_TOO = replace(b.BUILDING, right_id="0.9", mortgagees=(b.OTHER_BANK,), proof=b.BEHIND.proof)
