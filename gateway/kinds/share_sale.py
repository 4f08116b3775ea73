"""转让份额: what the sale of a share asks beside that of a whole unit (CC 298, 301, 305, 306; blocks.csv OWN_SHARE).

A co-owner by shares sells what is his without the others' vote, but tells them first: on equal terms they buy before
a stranger (CC 305, 306). Between co-owners nobody goes first (SIP 13). What is held jointly has no shares: those are
agreed and registered before one can be sold (CC 299, 303). A sole owner may sell a share and becomes a co-owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import OwnershipTransfer
from gateway.certificates.wording import CO_OWNERSHIP
from gateway.kinds.applicants import CO_OWNER_NOTICE
from gateway.kinds.law import Case, NotBookable, PaperRule
from gateway.kinds.named import keys, once
from gateway.register.findings import Finding, Severity
from gateway.register.model import CoOwnership, Owner, Ownership, Party, Share, UnitState
from gateway.register.reasons import finding

_WHOLE: Final = Fraction(1)
_DIVIDED: Final = (CoOwnership.SOLE, CoOwnership.BY_SHARES)


def first_refusal(op: OwnershipTransfer, states: Sequence[UnitState]) -> tuple[Party, ...]:
    """The co-owners whom the sellers tell: all others, unless everybody who buys is one of them (CC 305; SIP 13)."""
    if op.share_sold is None:
        return ()
    asked: list[Party] = []
    for state in states:
        owners = tuple(o.person for o in state.ownership.owners) if state.ownership else ()
        if not keys(op.buying) <= keys(owners):
            asked += [p for p in owners if p.key not in keys(op.sellers)]
    return once(asked)


def papers(op: OwnershipTransfer, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The sellers' notice to the co-owners; not to those who by the terms apply or consent themselves (CC 306)."""
    there = keys(op.applicants + op.consenters)
    if all(p.key in there for p in first_refusal(op, states)):
        return ()
    return (
        PaperRule(
            code=CO_OWNER_NOTICE,
            zh="已将转让条件通知其他按份共有人的材料（或者其放弃优先购买权的声明）",
            en="notice of the terms of the sale to the other co-owners, or their waiver of first refusal",
            article="CC 305, 306",
            signers=op.sellers,
            rule="R-CO_OWNER",
        ),
    )


def is_told(op: OwnershipTransfer, state: UnitState, case: Case) -> bool:
    """Whether the notice is there or not wanted; whether it was in time, a person sees (CC 306)."""
    return not papers(op, (state,)) or bool(case.papers_of(CO_OWNER_NOTICE))


def findings(op: OwnershipTransfer, state: UnitState, field: str) -> list[Finding]:
    """There is a share, and the sellers have what they sell (CC 298, 299)."""
    ownership = state.ownership
    if op.share_sold is None or ownership is None:
        return []
    code, field = state.unit.unit_code, field + ".share_sold"
    shares = _shares(ownership)
    selling = [shares[key] for key in keys(op.sellers) if key in shares]
    if not selling:
        return []  # selling.py says that nobody sells what is another's
    if any(share is None for share in selling):
        return [
            _barred(
                field,
                "CC 299, 303",
                f"单元 {code} 登记为{CO_OWNERSHIP[ownership.co_ownership]}，转让人没有登记的份额；"
                "请先约定份额并办理登记",
                f"unit {code} is registered without a share of the seller: agree on the shares and have them "
                "registered first",
            )
        ]
    held = sum((share for share in selling if share), Fraction())
    sold = _fraction(op.share_sold)
    found = []
    if sold > held:
        found.append(
            _barred(
                field,
                "CC 298, 301",
                f"转让份额 {sold} 超过转让人在单元 {code} 上登记的份额 {held}",
                f"the share sold, {sold}, is more than the sellers hold in unit {code}, {held}",
            )
        )
    elif len(selling) > 1 and sold < held:
        found.append(
            _correct(
                field,
                "CC 298",
                f"多个转让人一并转让的，须转让其全部份额（合计 {held}）；只转让部分的，请分别列明",
                f"several sellers of one step sell all that they hold, {held} together; of a part, each in a step",
            )
        )
    if op.co_ownership not in _DIVIDED and keys(op.buying) & set(shares):
        found.append(
            _correct(
                field,
                "CC 298, 299",
                "原共有人与他人共同受让份额的，须约定按份共有",
                "a co-owner who buys together with others holds by shares",
            )
        )
    return found


def owners_after(op: OwnershipTransfer, old: Ownership) -> tuple[tuple[Owner, ...], CoOwnership]:
    """Who owns once it is booked, and how: the buyers alone, or beside those who keep a share (CC 298, 308).

    Raises NotBookable where the sellers have no such share.
    """
    if op.share_sold is None:
        return op.buyers, op.co_ownership
    sold, sellers = _fraction(op.share_sold), keys(op.sellers)
    kept = {o.person.key: o for o in old.owners}
    shares = _shares(old)
    held = [shares.get(key) or Fraction() for key in sellers]
    left = sum(held, Fraction()) - sold
    if not all(held) or left < 0 or (left and len(sellers) > 1):
        raise NotBookable(f"the sellers do not hold the share {sold} that they sell")
    for key in sellers:
        shares[key] = left
        if not left:
            del shares[key], kept[key]
    for buyer in op.buyers:
        key = buyer.person.key
        kept.setdefault(key, buyer)
        if op.co_ownership in _DIVIDED:
            bought = sold * (_fraction(buyer.share) if buyer.share else _WHOLE)
            shares[key] = (shares.get(key) or Fraction()) + bought
        else:
            shares[key] = None  # held jointly with the other buyers
    if len(kept) == 1:
        [only] = kept.values()
        return (replace(only, share=None),), CoOwnership.SOLE
    owners = tuple(replace(owner, share=_share(shares[key])) for key, owner in kept.items())
    all_divided = all(owner.share for owner in owners)
    return owners, CoOwnership.BY_SHARES if all_divided else CoOwnership.OTHER


def _shares(ownership: Ownership) -> dict[tuple[str, str], Fraction | None]:
    """Each owner's recorded share; a sole owner's is the whole."""
    if ownership.co_ownership is CoOwnership.SOLE:
        return {owner.person.key: _WHOLE for owner in ownership.owners}
    return {o.person.key: _fraction(o.share) if o.share else None for o in ownership.owners}


def _fraction(share: Share) -> Fraction:
    return Fraction(share.numerator, share.denominator)


def _share(value: Fraction | None) -> Share | None:
    return Share(numerator=value.numerator, denominator=value.denominator) if value is not None else None


def _barred(field: str, article: str, zh: str, en: str) -> Finding:
    return finding("N-BARRED", Severity.BLOCKS, rule="R-CO_OWNER", field=field, article=article, zh=zh, en=en)


def _correct(field: str, article: str, zh: str, en: str) -> Finding:
    return finding("C-CORRECT_ON_THE_SPOT", Severity.BLOCKS, field=field, article=article, zh=zh, en=en)
