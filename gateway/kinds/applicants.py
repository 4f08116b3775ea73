"""Who must apply, and whether they are bound to the terms (IR 14; handbook 1.2).

An institution is bound by the signed envelope, a natural person (or a company that mortgages) by its signature on
the application form that embeds the very bytes of the terms. Named but not yet bound: the case awaits the party.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cases.model import Awaited
from gateway.kinds.law import Applicant, Case
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding

#: The form on which a person applies.
APPLICATION_FORM = "APPLICATION"


def applicant_findings(
    wanted: Sequence[Applicant], case: Case, field: str
) -> tuple[list[Finding], list[Awaited]]:
    """Findings on the applicants, and those whose act is still to come."""
    findings: list[Finding] = []
    awaiting: list[Awaited] = []
    for applicant in wanted:
        if is_bound(applicant.party, case):
            continue
        party = applicant.party
        if not party.is_institution and _is_acted_for(party, case):
            findings.append(_power_refused(applicant, field))
            continue
        awaiting.append(
            Awaited(
                name=party.name,
                role=applicant.role_en,
                institution=party.id_number if party.is_institution else "",
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


def is_bound(party: Party, case: Case) -> bool:
    """Whether this party has applied for exactly these terms."""
    if party.is_institution and _is_applying_institution(party, case):
        return True
    return any(
        paper.is_signed_by(party.id_number) and paper.terms_sha256 == case.manifest.terms_sha256
        for paper in case.papers_of(APPLICATION_FORM)
        if not paper.problems
    )


def _is_applying_institution(party: Party, case: Case) -> bool:
    """The applicant institution of the verified envelope, under a present or former code (handbook 3.1)."""
    if party.id_number == case.applying_institution:
        return True
    institution = case.institutions.get(case.applying_institution)
    return institution is not None and institution.is_known_as(party.id_number)


def _is_acted_for(party: Party, case: Case) -> bool:
    """Whether the terms say that somebody acts for this person."""
    return any(p.principal.key == party.key for p in case.manifest.terms.powers_of_attorney)


def _power_refused(applicant: Applicant, field: str) -> Finding:
    """A natural person who disposes acts by an agent only on a power of the right form (RD 12(3))."""
    return finding(
        "N-AUTHORISATION",
        Severity.BLOCKS,
        field="terms.powers_of_attorney",
        article="IR 16(2); RD 12(3)",
        zh=f"{applicant.role_zh}{applicant.party.name}的代理申请须由登记员在登记机构办理，或由本人签署",
        en=f"{applicant.role_en} {applicant.party.name} must sign in person: an agent's application is taken at the "
        "authority",
    )
