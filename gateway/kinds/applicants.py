"""Who must apply or consent, and whether they have (IR 14; CC 221, 406, 409; handbook 1.2).

An institution is bound by its signed envelope (the submission's, or a Join of its own), a natural person (or a
company that mortgages) by its signature on the application form that embeds the very bytes of the terms. Named but
not yet bound: the case awaits the party. Consents are given by an envelope too, or by a signed paper. An agent's
signature counts where the power does (powers.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from gateway.cases.model import Awaited, Paper
from gateway.cases.terms import AnyOperation, PowerOfAttorney
from gateway.kinds.acting import office_of, speaks_for
from gateway.kinds.clean import refer
from gateway.kinds.law import Applicant, Case
from gateway.kinds.powers import (
    AUTHORISATION,
    as_ward,
    is_consented_for,
    is_signed_by,
    is_signed_by_guardian,
    is_signed_for,
    power_findings,
    powers_of,
)
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding
from gateway.register.states import is_under_guardianship

#: The form on which a person applies.
APPLICATION_FORM = "APPLICATION"

#: A co-owner's written consent to what the others do with the whole unit (CC 301; REAL 38(4)).
CO_OWNER_CONSENT = "CO_OWNER_CONSENT"

#: The sellers' notice of a share's sale to the other co-owners, on which these may waive their first refusal (CC 306).
CO_OWNER_NOTICE = "CO_OWNER_NOTICE"

#: Papers that are a person's written consent (documents.csv).
CONSENT_PAPERS = (
    "PRE_NOTICE_HOLDER_CONSENT",
    "OTHER_MORTGAGEE_CONSENT",
    "MORTGAGEE_JOINT",
    "GUARANTOR_CONSENT",
    "SECURER_CONSENT",
    CO_OWNER_CONSENT,
    CO_OWNER_NOTICE,
)

#: `Awaited.role` of somebody who is to consent, not to apply.
CONSENTER = "consenter"


def applicant_findings(
    wanted: Sequence[Applicant], operation: AnyOperation, case: Case, field: str
) -> tuple[list[Finding], list[Awaited]]:
    """Findings on the applicants of one operation, and those whose act is still to come."""
    findings: list[Finding] = []
    awaiting: list[Awaited] = []
    for named in wanted:
        applicant = replace(named, party=as_ward(named.party, case))
        party = applicant.party
        if _is_ward(party, case):
            found, awaited = _guardian_findings(applicant, case, field)
            findings += [one for one in found if one not in findings]
            awaiting += awaited
            continue
        if _applies_itself(party, case) and not _relies_on_agent(party, case):
            continue
        powers = power_findings(party, operation, case, (applicant.role_zh, applicant.role_en))
        findings += [found for found in powers if found not in findings]
        if any(found.severity is Severity.BLOCKS for found in powers) or is_bound(party, case):
            continue
        awaiting.append(
            Awaited(
                name=party.name,
                role=applicant.role_en,
                institution=office_of(party, case),
            )
        )
        findings.append(
            finding(
                "N-NOT_APPLICANT",
                Severity.AWAITS,
                field=field,
                article=applicant.article,
                zh=f"尚未受理：等待{applicant.role_zh}{party.name}签署",
                en=f"not accepted yet: awaiting the signature of {applicant.role_en} {party.name}",
            )
        )
    return findings, awaiting


def _guardian_findings(applicant: Applicant, case: Case, field: str) -> tuple[list[Finding], list[Awaited]]:
    """For a ward the guardian applies (CC 23, 34; RD 11): whom the terms name as such, and who has signed."""
    ward = applicant.party
    if ward.guardian is None:
        return [
            finding(
                "N-AUTHORISATION",
                Severity.BLOCKS,
                rule="R-GUARDIAN",
                field="terms.parties",
                article="CC 23; RD 11",
                zh=f"{applicant.role_zh}{ward.name}未成年或者行为能力受限，须填写监护人（person.guardian），由其代为申请",
                en=f"{applicant.role_en} {ward.name} is a minor or a ward: name the guardian (person.guardian), "
                "who applies",
            )
        ], []
    if is_bound(ward, case):
        return [], []
    name = ward.guardian.name
    awaited = Awaited(name=name, role=f"guardian of {applicant.role_en}")
    told = finding(
        "N-NOT_APPLICANT",
        Severity.AWAITS,
        field=field,
        article="CC 23; RD 11",
        zh=f"尚未受理：等待{applicant.role_zh}{ward.name}的监护人{name}签署",
        en=f"not accepted yet: awaiting the signature of {name}, guardian of {applicant.role_en} {ward.name}",
    )
    return [told], [awaited]


def _is_ward(party: Party, case: Case) -> bool:
    return is_under_guardianship(party, case.now)


def _relies_on_agent(party: Party, case: Case) -> bool:
    """Whether somebody who applies in person leaves a paper of the step to an agent."""
    agents = [power.agent.id_number for _, power in powers_of(party, case)]
    return any(
        not paper.is_signed_by(party.id_number)
        and paper.reference.paper_code != AUTHORISATION
        and any(paper.is_signed_by(number) for number in agents)
        for paper in case.signed_papers
    )


def agent_findings(case: Case) -> list[Finding]:
    """Whoever acts by an agent is for a person to look at (handbook 1.4); not an institution that applied itself."""
    found = []
    for number, power in enumerate(case.manifest.terms.powers_of_attorney):
        if _applies_by_envelope(power.principal, case):
            continue
        zh = f"{power.principal.name}由代理人{power.agent.name}办理"
        en = f"agent {power.agent.name} acts for {power.principal.name}"
        article = "RD 12(3); handbook 1.4"
        if _acts_for_another_side(power, case):
            zh += "，同时代理他方或者自己为他方，须经双方被代理人同意或者追认"
            en += " and is, or acts for, another party too: both principals must agree to it"
            article += "; CC 168"
        field = f"terms.powers_of_attorney[{number}]"
        found.append(refer(field, article, zh, en, rule="NO_AGENT"))
    return found


def _acts_for_another_side(power: PowerOfAttorney, case: Case) -> bool:
    """Whether the agent is a party too, or another party's agent (CC 168): a person sees whether both agreed."""
    terms = case.manifest.terms
    others = [p.agent.key for p in terms.powers_of_attorney if p.principal.key != power.principal.key]
    return power.agent.key in (*others, *(p.person.key for p in terms.parties))


def consenter_findings(
    consenters: Sequence[Party], case: Case, field: str
) -> tuple[list[Finding], list[Awaited]]:
    """Whom the terms name as consenting and who has not consented yet: not accepted before it is there."""
    missing = [p for p in consenters if not has_consented(p, case)]
    findings = [
        finding(
            "N-INCOMPLETE",
            Severity.AWAITS,
            field=field + ".consenters",
            article="CC 221, 406, 409",
            zh=f"尚未受理：等待{party.name}书面同意",
            en=f"not accepted yet: awaiting the written consent of {party.name}",
        )
        for party in missing
    ]
    awaiting = [Awaited(name=p.name, role=CONSENTER, institution=office_of(p, case)) for p in missing]
    return findings, awaiting


def has_consented(party: Party, case: Case, papers: Sequence[str] = CONSENT_PAPERS) -> bool:
    """A consent under the institution's own signature, or one of these papers with this person's (CC 221, 406, 409)."""
    if party.is_institution and _is_one_of(party, case.consenting_institutions, case):
        return True
    return any(
        is_consented_for(paper, party, case) and not paper.problems
        for code in papers
        for paper in case.papers_of(code)
    )


def is_bound(party: Party, case: Case) -> bool:
    """Whether this party has applied for exactly these terms, itself or by an agent whose power stands."""
    if _applies_by_envelope(party, case):
        return True
    if _is_ward(party, case):
        return any(is_signed_by_guardian(paper, party, case) for paper in _bound_forms(case))
    return any(is_signed_for(paper, party, case) for paper in _bound_forms(case))


def _applies_itself(party: Party, case: Case) -> bool:
    """Whether this party has applied with nobody acting for it: a power is then of no matter."""
    if _applies_by_envelope(party, case):
        return True
    return any(is_signed_by(paper, party, case) for paper in _bound_forms(case))


def _applies_by_envelope(party: Party, case: Case) -> bool:
    applied = (case.applying_institution, *case.bound_institutions)
    return party.is_institution and _is_one_of(party, applied, case)


def _bound_forms(case: Case) -> list[Paper]:
    """Application forms that embed exactly these terms."""
    forms = [paper for paper in case.papers_of(APPLICATION_FORM) if not paper.problems]
    return [paper for paper in forms if paper.terms_sha256 == case.manifest.terms_sha256]


def _is_one_of(party: Party, codes: Iterable[str], case: Case) -> bool:
    """Whether one of these institutions speaks for the party (acting.py)."""
    return any(speaks_for(code, party, case.manifest.terms, case.institutions) for code in codes)
