"""Who may sign what: the limits of an institution, of its clerks and of its keys, as the registry entered them. Pure.

A place lets each bank do so much and no more: certain registrations, up to an amount, by the clerks of its authorised
outlets (Chengdu's agreements with each bank; the outlets that Taizhou and Tangshan authorise, S11, S13, S16). Above a
sum the bank itself may want two of its keys under an application. All of it is entered by an operator's signed act, so
that whoever judges the envelope years later finds what held then. What is over a limit is refused and leaves nothing:
the bank has somebody else sign it. Registries keep lists of their own, so a key is limited to those that know it.

Submissions, joins and consents are held against the same limits, by `check_mandates`:
- the amount is the sum of what one act has secured, so that a mortgage split into several steps stays one amount;
- a limit is in fen of CNY, and no rate of exchange is known here (handbook 4.7: an amount keeps its currency). What is
  in another currency is within no limit of amount, so somebody without one signs it; and it always takes the second key
  of an institution that wants two from a sum on [D].
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import NamedTuple

from gateway.cases.errors import CommandRefused
from gateway.cases.model import Clerk
from gateway.cases.terms import (
    AnyOperation,
    ClaimFixing,
    MortgageChange,
    MortgageFirst,
    PreNoticeCreate,
    Terms,
    mortgage_in,
    operation_name,
)
from gateway.register.authority import Institution, KeyRole, Mandate, RegisteredClerk, RegisteredKey
from gateway.register.model import Value

#: Currency of every limit.
CNY = "CNY"

#: What is too much, in Chinese and English and as metadata.
_Excess = tuple[str, str, dict[str, str]]


class MandateExceeded(CommandRefused):
    """A registration, or an amount, that the institution, the clerk or the key may not apply for."""

    reason = "MANDATE_EXCEEDED"


class ClerkNotRegistered(CommandRefused):
    """The institution has its clerks registered, and the header names another."""

    reason = "CLERK_NOT_REGISTERED"


class SecondSignatureRequired(CommandRefused):
    """The institution wants two of its keys under an act of this size."""

    reason = "SECOND_SIGNATURE_REQUIRED"


class Asked(Value, frozen=True, kw_only=True):
    """One thing that an act asks for, as limits look at it: where it stands, which operation it is ("" for a statement
    about money), and what it has secured, or states, in hundredths of its currency; 0 for nothing.
    """

    field: str
    operation: str = ""
    fen: int = 0
    currency: str = CNY


def steps_asked(terms: Terms, numbers: Collection[int] | None = None) -> tuple[Asked, ...]:
    """Steps of an application, by their positions in the terms; None: all of them."""
    return tuple(
        Asked(
            field=f"terms.operations[{number}]",
            operation=operation_name(operation),
            fen=claim_of(operation)[0],
            currency=claim_of(operation)[1],
        )
        for number, operation in enumerate(terms.operations)
        if numbers is None or number in numbers
    )


def check_mandates(
    clerk: Clerk,
    asked: Sequence[Asked],
    institutions: Sequence[Institution],
    key_ids: Collection[str],
    wanted: Collection[KeyRole],
    at: dt.datetime,
) -> None:
    """Hold an act against every limit that is entered for whoever brings it.

    clerk: whom the header names. institutions: the applicant first, then the channel. key_ids: of the keys that signed.
    wanted: roles of which a key must have one. Raises MandateExceeded, ClerkNotRegistered or SecondSignatureRequired.
    """
    for institution in {one.uscc: one for one in institutions}.values():  # a channel files for itself, too
        _check(_institution(institution.uscc), _excess(institution.mandate, asked))
    registered = check_clerk(clerk, institutions[0], at)
    if registered is not None:
        _check(_clerk(institutions[0].uscc, registered.employee_no), _excess(registered.mandate, asked))
    _check_keys(asked, registered, institutions, key_ids, wanted, at)


def check_clerk(named: Clerk, applicant: Institution, at: dt.datetime) -> RegisteredClerk | None:
    """The registered clerk whom the header names; None where the institution's clerks are not registered one by one.

    Raises ClerkNotRegistered.
    """
    if not applicant.clerks:
        return None
    for clerk in applicant.clerks:
        if clerk.employee_no == named.employee_no and clerk.name == named.name and clerk.is_usable(at):
            return clerk
    raise ClerkNotRegistered(
        f"经办人（工号 {named.employee_no}）未登记为机构 {applicant.uscc} 的经办人，或者不在启用期内；"
        f"请核对姓名和工号，或者由机构 {applicant.uscc} 请登记机构登记该经办人"
        f"（运维人员：diya institution add-clerk {applicant.uscc} {named.employee_no} 姓名）",
        f"the clerk with number {named.employee_no} is not registered for institution {applicant.uscc}, or not for "
        f"this time: check name and number, or have institution {applicant.uscc} ask the authority to register the "
        f"clerk (an operator runs diya institution add-clerk {applicant.uscc} {named.employee_no} NAME)",
        employeeNumber=named.employee_no,
        applicant=applicant.uscc,
    )


def _check_keys(
    asked: Sequence[Asked],
    clerk: RegisteredClerk | None,
    institutions: Sequence[Institution],
    key_ids: Collection[str],
    wanted: Collection[KeyRole],
    at: dt.datetime,
) -> None:
    """One key that may is enough, the channel's too; from the applicant's own sum on two of the applicant's."""
    known = {
        institution.uscc: [
            key
            for key in institution.keys
            if key.key_id in key_ids and key.is_usable(at) and set(key.roles) & set(wanted)
        ]
        for institution in institutions
    }
    able = {uscc: [key for key in keys if _lacks(key, clerk, asked) is None] for uscc, keys in known.items()}
    signed = [(uscc, key) for uscc, keys in known.items() for key in keys]
    if signed and not any(able.values()):
        uscc, key = signed[0]
        _check(_key(uscc, key.key_id), _lacks(key, clerk, asked))
    applicant = institutions[0]
    if _wants_second(applicant, asked) and len(able[applicant.uscc]) < 2:
        from_fen, foreign = applicant.second_key_from_fen, _foreign(asked)
        also_zh = f"、或者以 {foreign.currency} 计价" if foreign else ""
        also_en = f", and under any in {foreign.currency}" if foreign else ""
        raise SecondSignatureRequired(
            f"机构 {applicant.uscc} 规定金额合计达 {from_fen} 分{also_zh}的申请或者同意须由两个登记密钥签名；"
            "请由另一有权密钥加签后提交（diya submit countersign）",
            f"institution {applicant.uscc} wants two of its registered keys under an act that comes to {from_fen} fen "
            f"or more{also_en}: add the signature of another key that may sign it (diya submit countersign)",
            secondKeyFromFen=str(from_fen),
            claimFen=str(_sum(asked)),
            **({"currency": foreign.currency} if foreign else {}),
        )


class _Holder(NamedTuple):
    """Who has a limit, and who mends it, in both languages."""

    zh: str
    en: str
    cure_zh: str
    cure_en: str


def _institution(uscc: str) -> _Holder:
    return _Holder(
        f"机构 {uscc} ",
        f"institution {uscc}",
        f"请由该机构请登记机构调整权限（运维人员：diya institution limits {uscc}）",
        f"the institution asks the authority for another limit (an operator runs diya institution limits {uscc})",
    )


def _clerk(uscc: str, number: str) -> _Holder:
    return _Holder(
        f"机构 {uscc} 的经办人 {number} ",
        f"clerk {number} of institution {uscc}",
        f"请由权限足够的经办人办理，或者请登记机构调整权限（运维人员：diya institution add-clerk {uscc} {number}）",
        "another clerk files, or the institution asks the authority for another limit "
        f"(an operator runs diya institution add-clerk {uscc} {number})",
    )


def _key(uscc: str, key_id: str) -> _Holder:
    return _Holder(
        f"机构 {uscc} 的签名密钥 {key_id[:16]}… ",
        f"the signing key {key_id[:16]}… of institution {uscc}",
        f"请由权限足够的密钥签名或者加签，或者请登记机构调整权限（运维人员：diya institution add-key {uscc}）",
        "another key signs, or signs too, or the institution asks the authority for another limit "
        f"(an operator runs diya institution add-key {uscc})",
    )


def _wants_second(applicant: Institution, asked: Sequence[Asked]) -> bool:
    from_fen = applicant.second_key_from_fen
    return bool(from_fen) and (_foreign(asked) is not None or _sum(asked) >= from_fen)


def _check(holder: _Holder, excess: _Excess | None) -> None:
    if excess is not None:
        zh, en, told = excess
        raise MandateExceeded(
            f"{holder.zh}{zh}；{holder.cure_zh}", f"{holder.en} {en}: {holder.cure_en}", **told
        )


def _lacks(key: RegisteredKey, clerk: RegisteredClerk | None, asked: Sequence[Asked]) -> _Excess | None:
    """Why a key may not sign this; None when it may. An outlet's key signs for its clerks alone (S13, S16)."""
    if key.outlet and (clerk is None or clerk.outlet != key.outlet):
        return (
            f"属于网点“{key.outlet}”，只签署该网点登记经办人经办的事项",
            f"belongs to outlet “{key.outlet}”, and signs only what a registered clerk of that outlet brings",
            {"field": "header.clerk", "outlet": key.outlet},
        )
    return _excess(key.mandate, asked)


def _excess(mandate: Mandate, asked: Sequence[Asked]) -> _Excess | None:
    """What is beyond the mandate; None when all of it is within."""
    for one in asked:
        if mandate.operations and one.operation and one.operation not in mandate.operations:
            return (
                f"无权办理 {one.operation}；可办理：{'、'.join(mandate.operations)}",
                f"may not sign {one.operation}, only {', '.join(mandate.operations)}",
                {"field": one.field, "operation": one.operation},
            )
    foreign, limit, claim = _foreign(asked), mandate.claim_fen_max, _sum(asked)
    if limit and foreign is not None:
        return (
            f"的金额上限为人民币 {limit} 分，本件金额以 {foreign.currency} 计价，不能比较",
            f"has a limit of {limit} fen of CNY, and this amount is in {foreign.currency}, which cannot be compared",
            {"field": foreign.field, "limitFen": str(limit), "currency": foreign.currency},
        )
    if limit and claim > limit:
        field = next((one.field for one in asked if one.fen > limit), asked[0].field.partition("[")[0])
        return (
            f"一次至多可办理合计 {limit} 分的金额，本件合计 {claim} 分",
            f"may sign for up to {limit} fen in one act, this one comes to {claim}",
            {"field": field, "limitFen": str(limit), "claimFen": str(claim)},
        )
    return None


def _sum(asked: Sequence[Asked]) -> int:
    """What is asked for in fen of CNY, all together."""
    return sum(one.fen for one in asked if one.currency == CNY)


def _foreign(asked: Sequence[Asked]) -> Asked | None:
    """Something asked for whose amount is in another currency."""
    return next((one for one in asked if one.fen and one.currency != CNY), None)


def claim_of(operation: AnyOperation) -> tuple[int, str]:
    """What the step has secured, as it is to stand afterwards: the claim or the maximum (CC 420), in hundredths of its
    currency, and the currency; 0 where it secures nothing.
    """
    if isinstance(operation, ClaimFixing):
        return operation.fixed_fen, operation.currency
    if isinstance(operation, MortgageChange):
        mortgage: MortgageFirst | None = operation.content
    elif isinstance(operation, PreNoticeCreate):
        mortgage = operation.mortgage
    else:
        mortgage = mortgage_in(operation)
    if mortgage is None:
        return 0, CNY
    return max(mortgage.claim_amount_fen or 0, mortgage.max_claim_amount_fen or 0), mortgage.currency
