"""监护: whose right it is that a ward gives up, and a ward who only gains: a minor who buys (CC 19-23; RD 11).

Whoever lacks full capacity applies by its guardian (applicants.py), who proves to be one [M]. Where the ward gives up
what it has, the table of the register's states asks more: the guardian of record, and in writing that it is for the
ward's benefit (blocking.py, UNDER_AGE_OR_INCAPABLE_OWNER). Here it only gains, so the proof of guardianship does. A
person decides either way (handbook 1.4), or the case does not pass at all where the place says so (profile `minors`).

The register may not know that somebody is a ward, nor by whom: capacity is lost after the booking (CC 24), and old rows
name no guardian. There the word of the terms counts beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from gateway.cases.terms import AnyOperation, OwnershipTransfer, operation_name
from gateway.kinds.clean import refer
from gateway.kinds.law import Applicant, Case
from gateway.kinds.named import keys
from gateway.kinds.powers import as_ward
from gateway.kinds.stated import GUARDIAN
from gateway.register.authority import Stance
from gateway.register.blocks import OPERATIONS, UnitStateCode, Verdict, verdict
from gateway.register.findings import Finding, Severity
from gateway.register.model import AnyRight, Ownership, Party, PreNotice, UnitState
from gateway.register.reasons import finding
from gateway.register.states import is_under_guardianship

_ARTICLE = "CC 23, 34; RD 11"
_WARD: Final = UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER


def ward_findings(
    wanted: Sequence[Applicant],
    states: Sequence[UnitState],
    operation: AnyOperation,
    rights: Sequence[str],
    case: Case,
    field: str,
) -> list[Finding]:
    """For each applicant under guardianship whose right the step is not about. `rights` are those that it names."""
    name, sellers = operation_name(operation), _sellers_of_share(operation)
    asked = keys([p for s in states for p in wards_asked(as_wards(s, case), name, rights, case, sellers)])
    wards = {a.party.key: a for a in wanted if is_under_guardianship(as_ward(a.party, case), case.now)}
    found: list[Finding] = []
    for key, applicant in wards.items():
        if key in asked:
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


def as_wards(state: UnitState, case: Case) -> UnitState:
    """The unit with its owners and holders of pre-notices as wards where the register or the terms have them as such.

    A seizure's target and the like stay as they are: nobody asks them anything.
    """
    return replace(state, rights=tuple(_with_wards(right, case) for right in state.rights))


def _with_wards(right: AnyRight, case: Case) -> AnyRight:
    if isinstance(right, Ownership):
        owners = tuple(replace(owner, person=as_ward(owner.person, case)) for owner in right.owners)
        return replace(right, owners=owners)
    if isinstance(right, PreNotice):
        return replace(right, holders=tuple(as_ward(holder, case) for holder in right.holders))
    return right


def wards_asked(
    state: UnitState, operation: str, rights: Sequence[str], case: Case, sellers: Sequence[Party] | None
) -> list[Party]:
    """Those under guardianship whose right it is about, so that the table asks their guardians (RD 11).

    Owners; the holders of the pre-notice that is converted; of one that is released, its holders alone. Where a share
    is sold, only its `sellers`: the others dispose of nothing (CC 305). Nobody where the table has them as no party.
    """
    if operation not in OPERATIONS or verdict(_WARD, operation).verdict is Verdict.NOT_APPLICABLE:
        return []
    people = [p for notice in state.pre_notices if notice.identity in rights for p in notice.holders]
    if operation != "PRE_NOTICE_RELEASE" and state.ownership is not None:
        owners = [owner.person for owner in state.ownership.owners]
        people += owners if sellers is None else [p for p in owners if p.key in keys(sellers)]
    return [p for p in people if is_under_guardianship(p, case.now)]


def _sellers_of_share(operation: AnyOperation) -> tuple[Party, ...] | None:
    """Who sells, where it is a share that is sold; else None."""
    if isinstance(operation, OwnershipTransfer) and operation.share_sold is not None:
        return operation.sellers
    return None


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
