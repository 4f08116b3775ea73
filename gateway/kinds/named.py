"""The existing right that an operation is about, found by its live proof; and the findings when there is none.

A proof names one right; the units of the step must be those that the right lies on (IR 18; OS 4.8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from gateway.kinds.law import NOT_BOOKED, Case, NotBookable
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.identifiers import same_certificate_number
from gateway.register.model import CertificateRef, Mortgage, Party, PreNotice, UnitState
from gateway.register.reasons import finding
from gateway.register.states import CONSTRUCTION_COLLATERAL

_Named = TypeVar("_Named", Mortgage, PreNotice)


def mortgage_named(proof: CertificateRef, states: Sequence[UnitState]) -> Mortgage | None:
    """The live mortgage with this proof on one of the units."""
    found = (m for state in states for m in state.mortgages if is_proof_of(proof, m.proof))
    return next(found, None)


def pre_notice_named(proof: CertificateRef, states: Sequence[UnitState]) -> PreNotice | None:
    """The live pre-notice with this proof on one of the units."""
    found = (n for state in states for n in state.pre_notices if is_proof_of(proof, n.proof))
    return next(found, None)


def right_named(proof: CertificateRef, states: Sequence[UnitState]) -> Mortgage | PreNotice | None:
    """The live mortgage or pre-notice with this proof on one of the units."""
    return mortgage_named(proof, states) or pre_notice_named(proof, states)


def bookable(right: _Named | None, proof: CertificateRef, what: str) -> _Named:
    """The right that a booking ends or supersedes. Raises NotBookable where it was not found."""
    if right is None:
        raise NotBookable(f"no live {what} has proof number {proof.number} on these units")
    return right


def identity_of(right: Mortgage | PreNotice | None) -> tuple[str, ...]:
    """The right by which an operation stands in the queue, if it is there (handbook 3.2)."""
    return (right.identity,) if right is not None else ()


def holders_of(right: Mortgage | PreNotice) -> tuple[Party, ...]:
    """Whose right it is."""
    return right.mortgagees if isinstance(right, Mortgage) else right.holders


def is_proof_of(cited: CertificateRef, recorded: CertificateRef) -> bool:
    """Whether a certificate that is cited is the one of record."""
    return same_certificate_number(cited.number, recorded.number)


def no_such_right(
    proof: CertificateRef, states: Sequence[UnitState], field: str, zh: str, en: str, article: str
) -> Finding:
    """No live right of this sort has the proof on these units.

    A right that goes on under another proof is not followed there: the proof is in what the parties signed, and of what
    was changed they have said nothing. Changed facts are new terms, accepted anew (handbook 3.6).
    """
    booked = (right for right in _rights(states) if not right.right_id.startswith(NOT_BOOKED))
    now = next((right for right in booked if _was_proof_of(proof, right)), None)
    number = now.proof.number if now is not None else ""
    zh_now = f"；该证明已换为 {number}，请按现登记内容重新签署申请" if number else ""
    en_now = f"; {number} replaced it: read the register again and sign new terms" if number else ""
    return finding(
        "N-BARRED",
        Severity.BLOCKS,
        rule="R-CONFLICT",
        field=field,
        article=article,
        zh=f"登记簿上没有证明号为 {proof.number} 的现势{zh}{zh_now}",
        en=f"no live {en} has proof number {proof.number} on these units{en_now}",
    )


def _rights(states: Sequence[UnitState]) -> list[Mortgage | PreNotice]:
    return [r for state in states for r in state.rights if isinstance(r, Mortgage | PreNotice)]


def is_or_was_proof_of(cited: CertificateRef, right: Mortgage | PreNotice) -> bool:
    """Whether a certificate that is cited proves the right, or did before another replaced it."""
    return is_proof_of(cited, right.proof) or _was_proof_of(cited, right)


def _was_proof_of(cited: CertificateRef, right: Mortgage | PreNotice) -> bool:
    return any(same_certificate_number(cited.number, number) for number in right.replaced_proofs)


def units_agree(named: Sequence[str], recorded: Sequence[str], field: str, article: str) -> list[Finding]:
    """The step names every unit of the right, and no other."""
    if set(named) == set(recorded):
        return []
    return [
        finding(
            "N-INCOMPLETE",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".units",
            article=article,
            zh="须列明该权利的全部不动产单元，且不得列其他单元：" + "、".join(recorded),
            en="the step names every unit of the right and no other: " + ", ".join(recorded),
        )
    ]


def sort_fits(*, construction: bool, mortgage: Mortgage, field: str) -> list[Finding]:
    """A mortgage of a building under construction is dealt with as one, any other as what it is (RD 75-77)."""
    if construction is (mortgage.collateral_kind == CONSTRUCTION_COLLATERAL):
        return []
    return [
        finding(
            "C-MISMATCH",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field + ".proof",
            article="RD 75-77",
            zh="在建建筑物抵押权与其他抵押权须以各自的登记类型办理",
            en="a construction mortgage is dealt with as one, any other mortgage as a mortgage",
        )
    ]


def strangers(
    applicants: Sequence[Party], concerned: Sequence[Party], field: str, article: str, zh: str, en: str
) -> list[Finding]:
    """Whoever applies alone is a party of record of the right, under the number or under the name of record."""
    known, names = keys(concerned), {p.name for p in concerned}
    others = [p for p in applicants if p.key not in known and p.name not in names]
    if not others:
        return []
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            field=field + ".applicants",
            article=article,
            zh=f"{zh}：" + "、".join(p.name for p in others),
            en=f"{en}, not " + ", ".join(p.name for p in others),
        )
    ]


def holders_agree(
    named: Sequence[Party],
    recorded: Sequence[Party],
    case: Case,
    field: str,
    article: str,
    zh: str,
    en: str,
) -> list[Finding]:
    """Those who act as holders of the right are its holders of record, all of them.

    An institution that was renamed or merged is who it is now, under whichever code it is named (handbook 3.1).
    """
    if present_keys(named, case.institutions) == present_keys(recorded, case.institutions):
        return []
    return [
        finding(
            "N-NOT_APPLICANT",
            Severity.BLOCKS,
            rule="R-CONFLICT",
            field=field,
            article=article,
            zh=f"与登记簿记载的{zh}不一致：" + "、".join(p.name for p in recorded),
            en=f"differ from the {en} of record: " + ", ".join(p.name for p in recorded),
        )
    ]


def present_keys(
    parties: Sequence[Party], institutions: Mapping[str, Institution]
) -> frozenset[tuple[str, str]]:
    """Who they are; of an institution its present code, where it is cited by a former one (handbook 3.1)."""
    return frozenset(
        next(((p.id_kind, i.uscc) for i in institutions.values() if i.is_known_as(p.id_number)), p.key)
        if p.is_institution
        else p.key
        for p in parties
    )


def once(parties: Sequence[Party]) -> tuple[Party, ...]:
    """Each person once, in order of first mention."""
    return tuple({p.key: p for p in parties}.values())


def keys(parties: Sequence[Party]) -> frozenset[tuple[str, str]]:
    """Who they are, for comparison."""
    return frozenset(p.key for p in parties)
