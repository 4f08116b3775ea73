"""Whose word an institution's envelope or seal is (handbook 1.3, 3.1).

Its own, under its present or a former code; and, where the terms say so, that of the institution whose branch it is.
That a branch is one the registry knows from its own directory (`Institution.head_office`), never from the terms alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.cases.terms import Terms
from gateway.kinds.law import Case
from gateway.register.authority import Institution, RegisteredClerk
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party
from gateway.register.reasons import finding


def speaks_for(code: str, party: Party, terms: Terms, institutions: Mapping[str, Institution]) -> bool:
    """Whether what the institution `code` signs is this party's word."""
    return is_same_institution(code, party.id_number, institutions) or (
        terms.acting_for(party) == code and is_branch_of(code, party, institutions)
    )


def is_same_institution(code: str, other: str, institutions: Mapping[str, Institution]) -> bool:
    """Whether both codes are, or were, those of one institution (alias table)."""
    return code == other or any(i.is_known_as(code) and i.is_known_as(other) for i in institutions.values())


def is_branch_of(code: str, party: Party, institutions: Mapping[str, Institution]) -> bool:
    """Whether the institution `code` is registered as a branch of this party."""
    branch = institutions.get(code)
    if branch is None or not branch.head_office:
        return False
    return is_same_institution(branch.head_office, party.id_number, institutions)


def office_of(party: Party, case: Case) -> str:
    """Code of the institution whose act is awaited for this party; empty for a natural person."""
    if not party.is_institution:
        return ""
    acting = case.manifest.terms.acting_for(party)
    return acting if acting and is_branch_of(acting, party, case.institutions) else party.id_number


def staff_of(case: Case) -> Iterator[RegisteredClerk]:
    """Registered clerks of every institution that files or is a party, usable now or not."""
    header = case.manifest.header
    codes = {header.channel_institution, header.applicant_institution, *case.manifest.terms.institution_codes}
    for institution in case.institutions.values():
        if any(institution.is_known_as(code) for code in codes):
            yield from institution.clerks


def branch_findings(case: Case) -> list[Finding]:
    """N-AUTHORISATION for each branch that the terms let act and that the registry does not know as one."""
    return [
        finding(
            "N-AUTHORISATION",
            Severity.BLOCKS,
            field=f"terms.parties[{number}].acting_institution",
            article="IR 16(2); handbook 1.3",
            zh=f"{stated.acting_institution} 未登记为{stated.person.name}的分支机构，不能代其申请",
            en=f"{stated.acting_institution} is registered as no branch of {stated.person.name}: it cannot act for it",
        )
        for number, stated in enumerate(case.manifest.terms.parties)
        if stated.acting_institution not in ("", stated.person.id_number)
        and not is_branch_of(stated.acting_institution, stated.person, case.institutions)
    ]
