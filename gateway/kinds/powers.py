"""授权委托: whether an agent's signature counts for whom it acts (IR 16(2); RD 12(3); handbook 1.3).

A natural person who disposes (sells, mortgages, or notes either in advance) acts by an agent only on a power signed by
both before the authority's officer, notarised, or from abroad notarised or certified. Everybody else acts on a power
that the principal signed. A bank is never its customer's agent on a plain power. A power covers the act and the unit,
has not run out and is not revoked: at acceptance, and again whenever the case is looked at up to its booking. What an
agent signed is always for a person to look at (applicants.py). A ward gives no power and is nobody's agent (CC 144,
173).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from gateway.cases.model import Paper
from gateway.cases.terms import (
    AnyOperation,
    MortgageChange,
    MortgageFirst,
    Operation,
    OwnershipTransfer,
    PowerForm,
    PowerOfAttorney,
    PreNoticeConvert,
    PreNoticeCreate,
    mortgage_in,
    operation_name,
    transfer_in,
)
from gateway.kinds.acting import speaks_for, staff_of
from gateway.kinds.law import Case
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding
from gateway.register.states import is_under_guardianship

#: The paper by which the power was given.
AUTHORISATION: Final = "AUTHORISATION"

#: Forms on which a natural person may dispose by an agent (RD 12(3)).
_WITNESSED: Final = frozenset(
    {PowerForm.SIGNED_AT_AUTHORITY, PowerForm.NOTARISED, PowerForm.CERTIFIED_ABROAD}
)

#: Forms that come with a deed of their own number.
_DEEDS: Final = frozenset({PowerForm.NOTARISED, PowerForm.CERTIFIED_ABROAD})

#: What is wrong with a power, in Chinese and English.
Fault = tuple[str, str]


def powers_of(principal: Party, case: Case) -> tuple[tuple[int, PowerOfAttorney], ...]:
    """The powers that the terms name for this person, each with its place."""
    powers = enumerate(case.manifest.terms.powers_of_attorney)
    return tuple((number, power) for number, power in powers if power.principal.key == principal.key)


def is_signed_by(paper: Paper, party: Party, case: Case) -> bool:
    """Whether a paper that is for this person is signed by them.

    An institution's seal follows the rule of its envelope: whoever speaks for it seals for it (acting.py).
    """
    if not case.is_about(paper, party):
        return False
    if not party.is_institution:
        return paper.is_signed_by(party.id_number)
    terms, institutions = case.manifest.terms, case.institutions
    return any(
        speaks_for(signature.number, party, terms, institutions)
        for signature in paper.signatures
        if not signature.revoked
    )


def is_signed_for(paper: Paper, party: Party, case: Case) -> bool:
    """Whether a paper is signed by this person, or for them by an agent whose power stands, or by a ward's guardian."""
    if is_signed_by(paper, party, case) or is_signed_by_guardian(paper, party, case):
        return True
    return case.is_about(paper, party) and any(
        paper.is_signed_by(power.agent.id_number) and not _standing_faults(power, case)
        for _, power in powers_of(party, case)
    )


def is_signed_by_guardian(paper: Paper, party: Party, case: Case) -> bool:
    """Whether a paper that is for a ward is signed by the guardian whom the terms name (CC 23, 34; RD 11).

    What a guardian signs binds no ward that the terms do not name: it may be there for another, or for itself.
    """
    if not is_under_guardianship(party, case.now):
        return False
    guardian = _guardian_named(party, case)
    return guardian is not None and paper.is_signed_by(guardian.id_number) and case.is_about(paper, party)


def as_ward(person: Party, case: Case) -> Party:
    """Somebody of record, as a ward where the register or the terms have them as one: the stricter of both (CC 24).

    A ward of record keeps the guardian of record; where there is none, the one whom the terms name stands for the ward
    (CC 23, 34; RD 11), and proves to be one.
    """
    guardian = _guardian_named(person, case)
    if is_under_guardianship(person, case.now):
        return person if person.guardian is not None else replace(person, guardian=guardian)
    mentions = case.manifest.terms.mentions(person)
    ward = next((p for p in mentions if is_under_guardianship(p, case.now)), None)
    if ward is None:
        return person
    return replace(person, capacity=ward.capacity, birth_date=ward.birth_date, guardian=guardian)


def _guardian_named(party: Party, case: Case) -> Party | None:
    """The guardian whom the terms name for this person, wherever they name the person."""
    mentions = case.manifest.terms.mentions(party)
    return next((p.guardian for p in mentions if p.guardian is not None), None)


def is_consented_for(paper: Paper, party: Party, case: Case) -> bool:
    """Whether a paper is this person's consent to the step: by an agent only if the power is for such a step."""
    if is_signed_by(paper, party, case) or is_signed_by_guardian(paper, party, case):
        return True
    terms = case.manifest.terms
    steps = terms.operations if case.step is None else terms.operations[case.step : case.step + 1]
    return case.is_about(paper, party) and any(
        paper.is_signed_by(power.agent.id_number) and all(not faults_of(power, op, case) for op in steps)
        for _, power in powers_of(party, case)
    )


def power_findings(
    principal: Party, operation: AnyOperation, case: Case, role: tuple[str, str]
) -> list[Finding]:
    """N-AUTHORISATION for each of this person's powers that does not carry the operation, naming what is wrong.

    One power that carries it is enough. Empty for somebody without a power.
    """
    refused: list[Finding] = []
    for number, power in powers_of(principal, case):
        faults = faults_of(power, operation, case)
        if not faults:
            return []
        refused.append(_refused(principal, power, faults, number, role))
    return refused


def faults_of(power: PowerOfAttorney, operation: AnyOperation, case: Case) -> tuple[Fault, ...]:
    """Everything that keeps a power from carrying this operation; empty when it does."""
    disposes = not power.principal.is_institution and power.principal.key in {
        p.key for p in disposing(operation)
    }
    return (
        *_form_faults(power, disposes=disposes),
        *_standing_faults(power, case),
        *_scope_faults(power, operation, disposes=disposes),
    )


def disposing(operation: Operation) -> tuple[Party, ...]:
    """Whoever gives up or burdens property by it: sellers and mortgagors, also those who promise it (RD 12(3))."""
    match operation:
        case MortgageFirst():
            return operation.mortgagors
        case OwnershipTransfer():
            return operation.sellers
        case PreNoticeCreate():
            return operation.obligors
        case PreNoticeConvert():
            final = transfer_in(operation) or mortgage_in(operation)
            return disposing(final) if final is not None else ()
        case MortgageChange():
            mortgagees = {p.key for p in operation.content.mortgagees}
            sides = operation.content.mortgagors + operation.applicants
            return tuple(p for p in sides if p.key not in mortgagees)
    return ()


def _form_faults(power: PowerOfAttorney, *, disposes: bool) -> list[Fault]:
    """The form that the act needs (RD 12(3)); an institution's standing power is for its own staff alone."""
    found = []
    if disposes and power.form not in _WITNESSED:
        zh = "自然人处分不动产的委托书须在登记机构当场签订或者经公证，境外形成的须经公证或者认证"
        en = "a natural person disposes on a power signed at the authority, notarised, or certified abroad"
        found.append((zh, en))
    elif power.form is PowerForm.STANDING_INSTITUTION and not power.principal.is_institution:
        found.append(
            ("机构常年授权不能用于自然人", "a standing power of an institution is none of a natural person's")
        )
    if power.form in _DEEDS and not power.deed_no:
        found.append(("未写明公证书或者认证书号", "the number of the deed is missing"))
    if power.form in _DEEDS and not power.notary:
        found.append(("未写明公证机构或者认证机构", "who notarised or certified it is missing"))
    return found


def _standing_faults(power: PowerOfAttorney, case: Case) -> list[Fault]:
    """Whether the power stands now, whatever it is used for: not revoked, not over, there, given by the principal."""
    found = []
    if is_under_guardianship(power.principal, case.now):
        found.append(("委托人须由监护人代理", "the principal is a ward: the guardian acts"))
    if is_under_guardianship(power.agent, case.now):
        found.append(("代理人未成年或者行为能力受限", "the agent is a minor or a ward"))
    if power.revoked:
        found.append(("委托已被撤销", "it was revoked"))
    if power.valid_until is not None and power.valid_until < case.now.astimezone(CHINA).date():
        found.append((f"委托有效期至 {power.valid_until}，已过期", f"it ran out on {power.valid_until}"))
    if power.form is PowerForm.PLAIN and _is_of_an_institution(power, case):
        found.append(
            (
                "银行及其工作人员不能凭一般委托书代理其客户",
                "a bank, or one of its staff, is not its customer's agent on a plain power",
            )
        )
    principal = power.principal
    papers = [
        p for p in case.papers_of(AUTHORISATION) if p.found and not p.problems and case.is_about(p, principal)
    ]
    if not papers:
        found.append(("缺少授权委托书", "the power itself (AUTHORISATION) is missing"))
    elif power.form not in _WITNESSED and not any(is_signed_by(p, principal, case) for p in papers):
        found.append(("授权委托书没有委托人的有效签名", "it is not signed by the principal"))
    return found


def _scope_faults(power: PowerOfAttorney, operation: AnyOperation, *, disposes: bool) -> list[Fault]:
    """The power names the act, and the units: a person who disposes names each of them."""
    found = []
    name = operation_name(operation)
    if name not in power.acts:
        found.append((f"委托事项不含 {name}", f"it does not cover {name}"))
    outside = [code for code in operation.units if code not in power.unit_codes]
    if outside and (power.unit_codes or disposes):
        codes = "、".join(outside)
        found.append((f"委托书未写明单元 {codes}", f"it does not name unit {', '.join(outside)}"))
    return found


def _is_of_an_institution(power: PowerOfAttorney, case: Case) -> bool:
    """Whether the agent is an institution, the clerk who files, a registered clerk of an institution of the case, or
    said to work for one (handbook 1.3; golden 42).
    """
    agent = power.agent
    if agent.is_institution or agent.name == case.manifest.header.clerk.name:
        return True
    if any(clerk.id_number == agent.id_number for clerk in staff_of(case)):
        return True
    return any(
        institution.is_known_as(power.agency) or power.agency in institution.names
        for institution in case.institutions.values()
        if power.agency
    )


def _refused(
    principal: Party, power: PowerOfAttorney, faults: tuple[Fault, ...], number: int, role: tuple[str, str]
) -> Finding:
    zh = "；".join(text for text, _ in faults)
    en = "; ".join(text for _, text in faults)
    return finding(
        "N-AUTHORISATION",
        Severity.BLOCKS,
        field=f"terms.powers_of_attorney[{number}]",
        file=AUTHORISATION,
        article="IR 16(2); RD 12(3)",
        zh=f"{role[0]}{principal.name}委托{power.agent.name}的授权不符合要求：{zh}",
        en=f"the power by which {power.agent.name} acts for {role[1]} {principal.name} does not do: {en}",
    )
