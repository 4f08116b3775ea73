"""Who may sign what: the limits of an institution, of its clerks and of its keys, as the registry entered them. Pure.

A place lets each bank do so much and no more: certain registrations, up to an amount, by the clerks of its authorised
outlets (Chengdu's agreements with each bank; the outlets that Taizhou and Tangshan authorise, S11, S13, S16). Above a
sum the bank itself may want two of its keys under an application. All of it is entered by an operator's signed act, so
that whoever judges the envelope years later finds what held then. What is over a limit is refused and leaves nothing:
the bank has somebody else sign it. Registries keep lists of their own, so a key is limited to those that know it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from gateway.cases.errors import CommandRefused
from gateway.cases.model import Header
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
from gateway.register.authority import Institution, KeyRole, Mandate, RegisteredClerk


class MandateExceeded(CommandRefused):
    """A registration, or an amount, that the institution, the clerk or the key may not apply for."""

    reason = "MANDATE_EXCEEDED"


class ClerkNotRegistered(CommandRefused):
    """The institution has its clerks registered, and the header names another."""

    reason = "CLERK_NOT_REGISTERED"


class SecondSignatureRequired(CommandRefused):
    """The institution wants two of its keys under an application of this size."""

    reason = "SECOND_SIGNATURE_REQUIRED"


def check_mandates(
    header: Header,
    terms: Terms,
    institutions: Sequence[Institution],
    key_ids: Collection[str],
    wanted: Collection[KeyRole],
    at: dt.datetime,
) -> None:
    """Hold an application against every limit that is entered for whoever files it.

    institutions: the applicant first, then the channel. key_ids: of the keys that signed. wanted: roles of which a key
    must have one. Raises MandateExceeded, ClerkNotRegistered or SecondSignatureRequired.
    """
    for institution in {one.uscc: one for one in institutions}.values():  # a channel files for itself, too
        _check(institution.mandate, terms, f"机构 {institution.uscc}", f"institution {institution.uscc}")
    clerk = _clerk_of(header, institutions[0], at)
    if clerk is not None:
        _check(clerk.mandate, terms, f"经办人 {clerk.employee_no}", f"clerk {clerk.employee_no}")
    _check_keys(terms, institutions, key_ids, wanted, at)


def _check_keys(
    terms: Terms,
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
    able = {uscc: [key for key in keys if not _excess(key.mandate, terms)] for uscc, keys in known.items()}
    signed = [key for keys in known.values() for key in keys]
    if signed and not any(able.values()):
        key = signed[0]
        short = key.key_id[:16]
        _check(key.mandate, terms, f"签名密钥 {short}…", f"the signing key {short}…")
    second_from = institutions[0].second_key_from_fen
    claim = max(map(claim_of, terms.operations), default=0)
    is_large = claim >= second_from or any(map(foreign_currency_of, terms.operations))
    if second_from and is_large and len(able[institutions[0].uscc]) < 2:
        raise SecondSignatureRequired(
            f"机构 {institutions[0].uscc} 规定债权数额达 {second_from} 分的申请须由两个登记密钥签名；"
            "请由另一有权密钥加签后提交",
            f"institution {institutions[0].uscc} wants two of its registered keys under an application from "
            f"{second_from} fen on: add the signature of another key that may sign it",
            secondKeyFromFen=str(second_from),
            claimFen=str(claim),
        )


def _clerk_of(header: Header, applicant: Institution, at: dt.datetime) -> RegisteredClerk | None:
    """The clerk whom the header names; None where the institution's clerks are not registered one by one."""
    if not applicant.clerks:
        return None
    named = header.clerk
    for clerk in applicant.clerks:
        if clerk.employee_no == named.employee_no and clerk.name == named.name and clerk.is_usable(at):
            return clerk
    raise ClerkNotRegistered(
        f"经办人（工号 {named.employee_no}）未登记为机构 {applicant.uscc} 的经办人，或者不在启用期内；"
        "请核对姓名和工号，或者请登记机构登记该经办人",
        f"the clerk with number {named.employee_no} is not registered for institution {applicant.uscc}, or not for "
        "this time: check name and number, or have the authority register the clerk",
        employeeNumber=named.employee_no,
        applicant=applicant.uscc,
    )


def _check(mandate: Mandate, terms: Terms, zh: str, en: str) -> None:
    for number, name, claim in _excess(mandate, terms):
        if claim:
            currency = foreign_currency_of(terms.operations[number]) or "CNY"
            raise MandateExceeded(
                f"{zh} 至多可申请 {mandate.claim_fen_max} 分人民币的债权，本件为 {claim} 分（{currency}）；"
                "请由权限足够者办理",
                f"{en} may apply for claims up to {mandate.claim_fen_max} fen of CNY, this one is of {claim} "
                f"in {currency}: have it signed by somebody whose limit allows it",
                field=f"terms.operations[{number}]",
                limitFen=str(mandate.claim_fen_max),
                claimFen=str(claim),
            )
        raise MandateExceeded(
            f"{zh} 无权申请 {name}；可申请：{'、'.join(mandate.operations)}",
            f"{en} may not apply for {name}, only for {', '.join(mandate.operations)}",
            field=f"terms.operations[{number}]",
            operation=name,
        )


def _excess(mandate: Mandate, terms: Terms) -> list[tuple[int, str, int]]:
    """Each step beyond the mandate: its place, its name, and its claim where that is what is too much."""
    found = []
    for number, operation in enumerate(terms.operations):
        name, claim = operation_name(operation), claim_of(operation)
        if mandate.operations and name not in mandate.operations:
            found.append((number, name, 0))
        elif (
            mandate.claim_fen_max
            and claim
            and (claim > mandate.claim_fen_max or foreign_currency_of(operation))
        ):
            found.append((number, name, claim))
    return found


def claim_of(operation: AnyOperation) -> int:
    """What the step has secured, as it is to stand afterwards: the claim or the maximum (CC 420), in hundredths of its
    currency; 0 where it secures nothing.
    """
    if isinstance(operation, ClaimFixing):
        return operation.fixed_fen
    mortgage = _mortgage_of(operation)
    if mortgage is None:
        return 0
    return max(mortgage.claim_amount_fen or 0, mortgage.max_claim_amount_fen or 0)


def foreign_currency_of(operation: AnyOperation) -> str:
    """The currency of what the step has secured where that is not the yuan, in which limits are; else empty.

    Who knows no rate cannot say that a million dollars is within five million yuan: it is beyond any limit.
    """
    mortgage = _mortgage_of(operation)
    return "" if mortgage is None or mortgage.currency == "CNY" else mortgage.currency


def _mortgage_of(operation: AnyOperation) -> MortgageFirst | None:
    """The mortgage as it is to stand after the step; None where it makes or changes none."""
    if isinstance(operation, MortgageChange):
        return operation.content
    if isinstance(operation, PreNoticeCreate):
        return operation.mortgage
    return mortgage_in(operation)
