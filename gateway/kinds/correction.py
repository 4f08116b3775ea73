"""CORRECTION 更正登记: a row of the register that is wrong is put right (CC 220; RD 79-81).

The holder, or whoever is interested, applies; the holder's written consent or proof that the row is wrong carries it
(CC 220). The wrong row is superseded by a right one under a new proof: never edited (IR 10). What a correction may
touch is what was copied wrongly; it makes no new right, moves none and changes no rank. A registrar always decides.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from gateway.cases.terms import Correction, CorrectionItem
from gateway.certificates import wording
from gateway.certificates.content import CertificateKind
from gateway.kinds import mortgage, pre_notice
from gateway.kinds.blocking import pending_findings
from gateway.kinds.clean import refer, unclean
from gateway.kinds.holding import Asked
from gateway.kinds.law import Applicant, Booking, Case, NotBookable, PaperRule
from gateway.kinds.named import holders_of, identity_of, keys, no_such_right, right_named, units_agree
from gateway.kinds.papers import forms_of
from gateway.register.authority import Institution
from gateway.register.findings import Finding, Severity
from gateway.register.model import Mortgage, Party, PreNotice, Seizure, UnitState
from gateway.register.reasons import finding

#: Why the old row is historical, as the register says it.
CORRECTED: Final = "更正登记"

_FEN_PER_WAN: Final = 1_000_000


def _names(text: str, before: tuple[Party, ...]) -> tuple[Party, ...]:
    """Names joined by 、, in the order of record; the numbers stay."""
    names = [name.strip() for name in text.split("、")]
    if len(names) != len(before) or not all(names):
        raise ValueError("as many names as there are, joined by 、")
    return tuple(replace(party, name=name) for party, name in zip(before, names, strict=True))


def _fen(text: str, before: Any) -> int:
    """万元 with up to six decimals, as the register has it."""
    whole, _, rest = text.removesuffix("万元").partition(".")
    if not whole.isdigit() or len(rest) > 6 or (rest and not rest.isdigit()):
        raise ValueError("an amount in 万元 with at most six decimals")
    fen = int(whole) * _FEN_PER_WAN + int(rest.ljust(6, "0") or "0")
    if not fen:
        raise ValueError("an amount above zero")
    if before is None:
        raise ValueError("a right of this kind has no such amount")
    return fen


def _day(text: str, before: Any) -> dt.date:
    return dt.date.fromisoformat(text)


def _text(text: str, before: Any) -> str:
    return text


#: Field of the exchange format → attribute of the row, and how its text is read. Only these are corrected here.
_MORTGAGE_FIELDS: Final[Mapping[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "DYR": ("mortgagors", _names),
    "QLR": ("mortgagees", _names),
    "ZWR": ("debtors", _names),
    "BDBZZQSE": ("claim_amount_fen", _fen),
    "ZGZQSE": ("max_claim_amount_fen", _fen),
    "ZWLXQSSJ": ("term_start", _day),
    "ZWLXJSSJ": ("term_end", _day),
    "DBFW": ("secured_scope", _text),
    "ZJJZWZL": ("construction_location", _text),
    "ZJJZWDYFW": ("construction_scope", _text),
}
_NOTICE_FIELDS: Final[Mapping[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "QLR": ("holders", _names),
    "YWR": ("obligors", _names),
    "QDJG": ("amount_fen", _fen),
    "JYHTH": ("contract_number", _text),
    "DBFW": ("secured_scope", _text),
    "ZWLXQSSJ": ("term_start", _day),
    "ZWLXJSSJ": ("term_end", _day),
}


#: Fields of a claim, a ceiling or a price.
_AMOUNTS: Final = frozenset({"BDBZZQSE", "ZGZQSE", "QDJG"})


def applicants(
    op: Correction, states: Sequence[UnitState], institutions: Mapping[str, Institution]
) -> tuple[Applicant, ...]:
    """Whom the terms name: the holder of the right, or somebody interested (CC 220; RD 79)."""
    return tuple(
        Applicant(party=p, role_zh="更正申请人", role_en="applicant", article="CC 220; RD 79")
        for p in op.applicants
    )


def papers(op: Correction, states: Sequence[UnitState]) -> tuple[PaperRule, ...]:
    """The forms of persons, and what proves the row wrong (RD 79, 80)."""
    people = [p for p in op.applicants if not p.is_institution]
    return (
        *(forms_of(people) if people else ()),
        PaperRule(
            code="CORRECTION_PROOF",
            zh="证明登记簿记载错误的材料",
            en="proof that the register is wrong",
            article="CC 220; RD 79, 80",
        ),
    )


def conditions(op: Correction, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """The row exists, says what the application says it says, and can be put right so (RD 79-81)."""
    right = right_named(op.proof, states)
    if right is None:
        return [no_such_right(op.proof, states, field + ".right", "权利", "right", "RD 79; OS 4.8")]
    found = units_agree(op.units, right.units, field, "RD 79")
    if not op.applicants:
        found.append(_wrong("N-NOT_APPLICANT", field + ".applicants", "须列明申请人", "name who applies"))
    for number, item in enumerate(op.items):
        found += _item(right, item, f"{field}.correction.items[{number}]")
    found += _fit_together(op, right, field) if not found else []
    for state in states:
        found += pending_findings(state, right.identity, case, field) + _weighed(op, right, state, field)
    if not keys(op.applicants) & keys(holders_of(right)) and not case.papers_of("OTHER_MORTGAGEE_CONSENT"):
        found.append(
            refer(
                field,
                "CC 220",
                "申请人不是权利人，须权利人书面同意或者有证据",
                "the applicant is not the holder",
                rule="HOLDER_APPLIES",
            )
        )
    return found


def only_a_person(op: Correction, states: Sequence[UnitState], case: Case, field: str) -> list[Finding]:
    """Always: whether the register is wrong is for a registrar to see (CC 220; RD 81)."""
    return unclean("CORRECTION", Asked(case=case, states=tuple(states), field=field))


def names_rights(op: Correction, states: Sequence[UnitState]) -> tuple[str, ...]:
    """The right whose row is wrong."""
    return identity_of(right_named(op.proof, states))


def book(op: Correction, booking: Booking) -> None:
    """The wrong row is superseded by the right one, with a new proof; dates and ranks are kept (IR 10; RD 81)."""
    states = [booking.states[c] for c in op.units]
    right = right_named(op.proof, states)
    if right is None:
        raise NotBookable(f"no live right has proof number {op.proof.number} on these units")
    if any(_item(right, item, "") for item in op.items):
        raise NotBookable("an item cannot be put right as it is stated")
    draft = booking.draft_certificate(CertificateKind.PROOF, states[0].unit.county_code)
    new = replace(_corrected(op, right), right_id=booking.new_right_id(), proof=draft.reference)
    booking.supersede(right, new, CORRECTED)
    if isinstance(new, Mortgage):
        mortgage.issue_proof(new, booking, draft, right.proof)
    else:
        pre_notice.issue_proof(new, booking, draft, right.proof)


def _corrected(op: Correction, right: Mortgage | PreNotice) -> Mortgage | PreNotice:
    """The right with every item as it should have been."""
    fields = _fields(right)
    read = {fields[item.field][0]: (fields[item.field][1], item.corrected) for item in op.items}
    return replace(right, **{name: how(text, getattr(right, name)) for name, (how, text) in read.items()})


def _fit_together(op: Correction, right: Mortgage | PreNotice, field: str) -> list[Finding]:
    """Each field is put right once, and what comes out is a row that the register could have had (fields.csv)."""
    path = field + ".correction.items"
    found = []
    if len({item.field for item in op.items}) < len(op.items):
        found.append(_wrong("C-MISMATCH", path, "同一字段只能更正一次", "a field is corrected once"))
    new = _corrected(op, right)
    if new.term_start is not None and new.term_end is not None and new.term_start > new.term_end:
        found.append(
            _wrong("C-MISMATCH", path, "更正后债务履行期限止早于起", "the term would end before it begins")
        )
    return found


def _weighed(op: Correction, right: Mortgage | PreNotice, state: UnitState, field: str) -> list[Finding]:
    """What others on the unit have at stake where the recorded amount is put right (CC 220, 399(5), 409)."""
    raised = any(item.field in _AMOUNTS for item in op.items)
    others = [r for r in state.rights if isinstance(r, Mortgage | PreNotice | Seizure) and r != right]
    if not raised or not others:
        return []
    code = state.unit.unit_code
    return [
        refer(
            field,
            "CC 220, 409; EX 24",
            f"更正债权数额，单元 {code} 上另有抵押权、预告登记或者查封",
            f"the amount is corrected while unit {code} carries another mortgage, a pre-notice or a seizure",
            rule="NOBODY_ELSE_AT_STAKE",
        )
    ]


def _fields(right: Mortgage | PreNotice) -> Mapping[str, tuple[str, Callable[[str, Any], Any]]]:
    return _MORTGAGE_FIELDS if isinstance(right, Mortgage) else _NOTICE_FIELDS


def _item(right: Mortgage | PreNotice, item: CorrectionItem, path: str) -> list[Finding]:
    """The field may be corrected, stands as told, and the new value can be read."""
    fields = _fields(right)
    if item.field not in fields:
        known = ", ".join(sorted(fields))
        return [
            _wrong(
                "C-MISMATCH",
                path + ".field",
                f"字段 {item.field} 不能以更正登记改正；可更正的字段：{known}",
                f"field {item.field} is not corrected here; these are: {known}",
            )
        ]
    name, read = fields[item.field]
    recorded = getattr(right, name)
    if _printed(recorded) != item.recorded:
        return [
            _wrong(
                "C-MISMATCH",
                path + ".recorded",
                f"登记簿现记载为 {_printed(recorded)}",
                f"the register says {_printed(recorded)}",
            )
        ]
    try:
        corrected = read(item.corrected, recorded)
    except ValueError as error:
        return [_wrong("C-MISMATCH", path + ".corrected", f"无法读取：{error}", f"cannot be read: {error}")]
    if corrected == recorded:
        return [
            _wrong("C-MISMATCH", path + ".corrected", "与原记载相同", "is what the register says already")
        ]
    return []


def _printed(value: Any) -> str:
    """A recorded value as its text in the exchange format."""
    if isinstance(value, tuple):
        return wording.names(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, int):
        return wording.wan_yuan(value)
    return str(value or "")


def _wrong(code: str, field: str, zh: str, en: str) -> Finding:
    return finding(
        code, Severity.BLOCKS, rule="R-CONFLICT", field=field, article="CC 220; RD 79", zh=zh, en=en
    )
