"""监护: a party under guardianship whose right on the register it is not about: a minor who buys (CC 19-23; RD 11).

Whoever lacks full capacity applies by its guardian (applicants.py), who proves to be one [M]. Where the ward gives up
what it has, the table of the register's states asks more: the guardian of record, and in writing that it is for the
ward's benefit (blocking.py, UNDER_AGE_OR_INCAPABLE_OWNER). Here it only gains, so the proof of guardianship does. A
person decides either way (handbook 1.4), or the case does not pass at all where the place says so (profile `minors`).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.kinds.clean import refer
from gateway.kinds.law import Applicant, Case
from gateway.kinds.stated import GUARDIAN
from gateway.register.authority import Stance
from gateway.register.findings import Finding, Severity
from gateway.register.model import Ownership, Party, PreNotice, UnitState
from gateway.register.reasons import finding
from gateway.register.states import is_under_guardianship

_ARTICLE = "CC 23, 34; RD 11"


def ward_findings(
    wanted: Sequence[Applicant],
    states: Sequence[UnitState],
    rights: Sequence[str],
    case: Case,
    field: str,
) -> list[Finding]:
    """For each applicant under guardianship whose right the step is not about. `rights` are those that it names."""
    of_record = {p.key for state in states for p in _holders(state, rights)}
    wards = {a.party.key: a for a in wanted if is_under_guardianship(a.party, case.now)}
    found: list[Finding] = []
    for key, applicant in wards.items():
        if key in of_record:
            continue
        ward = applicant.party
        zh = f"{applicant.role_zh}{ward.name}未成年或者行为能力受限"
        en = f"{applicant.role_en} {ward.name} is a minor or a ward"
        if case.profile.minors == Stance.BLOCK:
            found.append(_told("N-BARRED", field, zh, en, rule="R-GUARDIAN"))
            continue
        found.append(refer(field, _ARTICLE, zh, en, rule="WARD_OWNER"))
        found += _proof(case, field, zh, en)
    return found


def _holders(state: UnitState, rights: Sequence[str]) -> list[Party]:
    """Those whose guardians the table asks: the owners', and the holders' of the pre-notice that the step names."""
    people: list[Party] = []
    for right in state.rights:
        if isinstance(right, Ownership):
            people += [owner.person for owner in right.owners]
        elif isinstance(right, PreNotice) and right.identity in rights:
            people += right.holders
    return people


def _proof(case: Case, field: str, zh: str, en: str) -> list[Finding]:
    if any(paper.found and not paper.problems and not paper.backs for paper in case.papers_of(GUARDIAN)):
        return []
    to_come = GUARDIAN in case.manifest.papers_to_come
    return [
        _told(
            "N-INCOMPLETE",
            field,
            f"{zh}，缺少监护关系证明",
            f"{en}: the proof of guardianship is missing",
            file=GUARDIAN,
            severity=Severity.AWAITS if to_come else Severity.BLOCKS,
        )
    ]


def _told(
    code: str,
    field: str,
    zh: str,
    en: str,
    *,
    rule: str = "",
    file: str = "",
    severity: Severity = Severity.BLOCKS,
) -> Finding:
    return finding(code, severity, rule=rule, field=field, file=file, article=_ARTICLE, zh=zh, en=en)
