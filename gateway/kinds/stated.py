"""What the parties state beside the operations, held against the register (handbook 3.6; IR 18).

A location that differs is a finding, never a correction of the register. A declaration counts where the law asks for
that word (blocks.csv), and it binds the party with the terms. What can have no effect is told, not dropped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.cases.model import Manifest
from gateway.cases.stated import DeclarationKind
from gateway.cases.terms import AnyOperation, IdentityCheck, transfer_in
from gateway.kinds.clean import refer
from gateway.kinds.law import Case
from gateway.kinds.powers import is_signed_by
from gateway.register.bearing import Bearing
from gateway.register.blocks import UnitStateCode
from gateway.register.findings import Finding, Severity
from gateway.register.model import Party, UnitState
from gateway.register.reasons import finding

#: The statement for the ward's benefit, and the acceptance of a dissent's risk (documents.csv).
GUARDIAN: Final = "GUARDIAN"
RISK_STATEMENT: Final = "RISK_STATEMENT"

#: The evidence of a remote identity check.
REMOTE_IDENTITY: Final = "REMOTE_IDENTITY"


def stated_findings(manifest: Manifest, units: Mapping[str, UnitState]) -> list[Finding]:
    """Locations against the register; and what nobody but a person can read or weigh."""
    terms = manifest.terms
    found = []
    if terms.separate_certificates and not any(_leaves_co_owners(op) for op in terms.operations):
        found.append(
            finding(
                "C-CORRECT_ON_THE_SPOT",
                Severity.BLOCKS,
                field="terms.separate_certificates",
                article="RD 21",
                zh="本阶段没有由共有人取得所有权的转移登记，不能申请分别持证；请取消该项，或者在办理转移登记的阶段申请",
                en="no step of this phase books a unit to co-owners, who alone hold certificates separately: leave it "
                "out, or ask for it in the phase that books the transfer",
            )
        )
    for number, unit in enumerate(terms.stated_units):
        state = units.get(unit.unit_code)
        if state is not None and unit.location and not _same(unit.location, state.unit.location):
            found.append(_elsewhere(unit.unit_code, f"terms.units[{number}].location"))
    found += [
        refer(
            f"terms.parties[{number}].person.capacity",
            "CC 35; RD 11",
            f"未说明{stated.person.name}的行为能力",
            f"the capacity of {stated.person.name} is not stated",
            rule="FULL_CAPACITY",
        )
        for number, stated in enumerate(terms.parties)
        if not stated.has_capacity_stated
    ]
    if terms.note:
        found.append(
            refer(
                "terms.note",
                "handbook 1.4",
                "当事人申请记载附记",
                "the parties ask for a note on the register",
                rule="NO_NOTE",
            )
        )
    checks = terms.identity_checks + manifest.evidence.identity_checks
    found += [_other_evidence(check) for check in checks if not _is_evidence_filed(check, manifest)]
    if any(not check.passed for check in checks):
        found.append(
            refer(
                "terms.identity_checks",
                "IR 16(2)",
                "身份核验未通过",
                "an identity check failed",
                rule="IDENTITY_CHECKED",
            )
        )
    return found


def _leaves_co_owners(operation: AnyOperation) -> bool:
    """Whether the step books a unit to several buyers, or a share of it beside other owners."""
    sale = transfer_in(operation)
    return sale is not None and (len(sale.buyers) > 1 or sale.share_sold is not None)


def has_declared(party: Party, kind: DeclarationKind, case: Case) -> bool:
    """Whether this party declares it in the terms, by which it is bound."""
    return any(d.kind is kind and d.party.key == party.key for d in case.manifest.terms.declarations)


def is_in_writing(paper_code: str, kind: DeclarationKind, parties: Iterable[Party], case: Case) -> bool:
    """Whether the paper is there, whole, and each party has signed it or declares the same in the terms."""
    papers = [p for p in case.papers_of(paper_code) if p.found and not p.problems and not p.backs]
    return bool(papers) and all(
        has_declared(party, kind, case) or any(is_signed_by(p, party, case) for p in papers)
        for party in parties
    )


def is_known(found: Bearing, case: Case, obligors: Iterable[Party], told: Iterable[Party]) -> bool:
    """Whether those whom a warning is for declare that they know, or that they have told (CC 366-370, 406)."""
    match found.state:
        case UnitStateCode.HABITATION:
            return _all_declare(told, DeclarationKind.HABITATION_KNOWN, case)
        case UnitStateCode.MORTGAGE_UNRESTRICTED | UnitStateCode.MORTGAGE_PRE_2021:
            return _all_declare(obligors, DeclarationKind.MORTGAGEE_TOLD, case)
    return False


def _all_declare(parties: Iterable[Party], kind: DeclarationKind, case: Case) -> bool:
    people = tuple(parties)
    return bool(people) and all(has_declared(party, kind, case) for party in people)


def _is_evidence_filed(check: IdentityCheck, manifest: Manifest) -> bool:
    """Whether the evidence of a check is the file that is brought as this person's, where one is (IR 16(2))."""
    ids = {p.id for p in manifest.terms.parties if p.person.id_number == check.person_id_number}
    filed = {
        f.sha256 for f in manifest.files if f.paper_code == REMOTE_IDENTITY and not ids.isdisjoint(f.parties)
    }
    return not filed or not check.evidence_sha256 or check.evidence_sha256 in filed


def _other_evidence(check: IdentityCheck) -> Finding:
    return finding(
        "C-MISMATCH",
        Severity.BLOCKS,
        field="terms.identity_checks",
        file=REMOTE_IDENTITY,
        article="IR 16(2)",
        zh=f"{check.provider}的核验证据摘要与随附的实名认证记录不一致",
        en=f"the evidence digest of {check.provider}'s check is not that of the file brought for this person",
    )


def _same(one: str, other: str) -> bool:
    """Equal but for widths, signs of compatibility and spaces (terms.proto: after NFKC)."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _elsewhere(code: str, field: str) -> Finding:
    return finding(
        "C-MISMATCH",
        Severity.BLOCKS,
        rule="R-CONFLICT",
        field=field,
        article="IR 18(1); OS 4.8",
        zh=f"所填坐落与单元 {code} 登记簿记载不一致",
        en=f"the location stated is not that of record of unit {code}",
    )
