"""From the register's states to findings: what blocks.csv says of one operation on one unit, in words.

Before acceptance a bar is N-BARRED with the R- code it would be as its rule; the applicant may cure it or insist
(handbook 3.6, 3.7). The strictest verdict rules, every reason is listed (handbook 3.4).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.cases.stated import DeclarationKind
from gateway.kinds.applicants import CO_OWNER_CONSENT, has_consented, is_bound
from gateway.kinds.clean import named, refer
from gateway.kinds.law import Case
from gateway.kinds.named import keys, present_keys
from gateway.kinds.stated import GUARDIAN, RISK_STATEMENT, is_in_writing, is_known
from gateway.kinds.wards import as_wards, wards_asked
from gateway.register.authority import Stance
from gateway.register.bearing import Bearing, Context, PartyKey, bearing
from gateway.register.blocks import UnitStateCode, Verdict
from gateway.register.calendar import CHINA
from gateway.register.findings import Finding, Severity
from gateway.register.model import Dissent, Ownership, Party, PreNotice, PreNoticeKind, UnitState
from gateway.register.reasons import finding
from gateway.register.states import is_claim_seized, is_first_registered

_WARD: Final = UnitStateCode.UNDER_AGE_OR_INCAPABLE_OWNER
_BENEFIT: Final = DeclarationKind.WARD_BENEFIT
_RISK: Final = DeclarationKind.DISSENT_RISK

_RELEASES: Final = ("MORTGAGE_RELEASE", "CONSTRUCTION_MORTGAGE_RELEASE", "PRE_NOTICE_RELEASE")

#: The paper on which a state's people consent: it is a consent to nothing else (documents.csv).
_CONSENTS: Final[Mapping[UnitStateCode, Sequence[str]]] = {
    UnitStateCode.PN_SALE_LIVE: ("PRE_NOTICE_HOLDER_CONSENT",),
    UnitStateCode.PN_MORTGAGE_LIVE: ("PRE_NOTICE_HOLDER_CONSENT",),
    UnitStateCode.ADVERSE_TO_OTHER_MORTGAGEE: ("OTHER_MORTGAGEE_CONSENT",),
    UnitStateCode.MORTGAGE_RESTRICTED: ("MORTGAGEE_JOINT",),
    UnitStateCode.MORTGAGE_PRE_2021: ("MORTGAGEE_JOINT",),
    UnitStateCode.MORTGAGE_UNRECORDED: ("MORTGAGEE_JOINT",),
    UnitStateCode.CO_OWNED_BY_SHARES: (CO_OWNER_CONSENT,),
}


def register_findings(
    state: UnitState,
    operation: str,
    case: Case,
    field: str,
    *,
    rights: tuple[str, ...] = (),
    obligors: tuple[Party, ...] = (),
    transferees: tuple[Party, ...] = (),
    joining: tuple[Party, ...] = (),
    consenters: tuple[Party, ...] = (),
    pre_notice_kind: PreNoticeKind | None = None,
    adds_burden: bool | None = None,
    adverse_to: tuple[str, ...] = (),
    own_share: bool = False,
    papers: frozenset[UnitStateCode] = frozenset(),
) -> list[Finding]:
    """What the state of one unit has to say about one operation; see `Context` for the arguments.

    `joining` and `consenters` are those whom the terms name as applicants or as consenting besides the obligors: the
    table takes their act, and that of a ward's guardian, for granted, and the case is not accepted before it is there
    (applicants.py, `awaited`).
    """
    state = as_wards(state, case)
    people = _people(state, obligors)
    wards = wards_asked(state, operation, rights, case, obligors if own_share else None)
    guardians = tuple(ward.guardian for ward in wards if ward.guardian is not None)
    people += guardians
    acting = (*obligors, *joining)
    acting += tuple(p.guardian for p in acting if p.guardian is not None)
    granted = _among(people, acting, case)
    context = Context(
        now=case.now,
        open_cases=case.open_cases.get(state.unit.unit_code, ()),
        own_case=case.own_application,
        own_accepted_index=case.accepted_index,
        accepted_at=case.accepted_at,
        feed_gap=case.feed_gap,
        rights=rights,
        applicants=frozenset(p.key for p in (*people, *joining) if p.key in granted or is_bound(p, case)),
        consenting=_among(people, consenters, case),
        consenting_to={
            code: frozenset(p.key for p in people if has_consented(p, case, papers_of_it))
            for code, papers_of_it in _CONSENTS.items()
        },
        obligors=frozenset(p.key for p in obligors),
        transferees=frozenset(p.key for p in transferees),
        pre_notice_kind=pre_notice_kind,
        adds_burden=adds_burden,
        adverse_to=adverse_to,
        own_share=own_share,
        papers=papers | ({_WARD} if is_in_writing(GUARDIAN, _BENEFIT, guardians, case) else frozenset()),
        risk_statement=is_in_writing(RISK_STATEMENT, _RISK, (*obligors, *joining), case),
        pre_2021_changed_to_none=case.profile.pre_2021_changed_to_none,
        unrecorded_restriction=case.profile.unrecorded_restriction,
        two_thirds_disposal=case.profile.two_thirds_disposal,
    )
    told = transferees or joining
    found: list[Finding] = []
    for borne in bearing(state, operation, context):
        if borne.verdict is Verdict.WARN and is_known(borne, case, obligors, told):
            continue
        over = _presumed_over(borne, state, case, field + ".units")
        if over is not None:
            found.append(over)
            continue
        if borne.state is _WARD:
            found += _minors(state, case, field)
        found += _finding(borne, state, field)
    if operation in _RELEASES and is_claim_seized(rights, state, case.now):
        found.append(_claim_seized(state, field))
    return found


def _claim_seized(state: UnitState, field: str) -> Finding:
    """A release passes every seizure of the unit, and not the one of the claim that its own mortgage secures."""
    code = state.unit.unit_code
    return refer(
        field + ".units",
        "CC 407; EX 24",
        f"单元 {code} 上该权利人的债权已被法院查封",
        f"unit {code}: a court has seized the claim of who holds the right",
        rule=f"BLOCKS_{UnitStateCode.SEIZURE_TARGET_NOT_OWNER.value}",
    )


def _presumed_over(borne: Bearing, state: UnitState, case: Case, field: str) -> Finding | None:
    """A right whose term has run out, which no registrar has confirmed yet: neither a bar nor nothing.

    A pre-notice past its 90 days (CC 221), and a dissent past its 15 without a suit on record (CC 220): whether one was
    filed at the last moment the register does not know by itself.
    """
    right = borne.right
    passes = borne.verdict is Verdict.ALLOW or (borne.verdict is Verdict.ALLOW_WITH_CONSENT and borne.is_met)
    if passes:
        return None
    if isinstance(right, PreNotice):
        since = _presumed_since(right, state, case)
        if since is not None:
            return refer(
                field,
                "CC 221; handbook 3.5",
                f"预告登记自 {since} 起推定失效，尚未确认",
                f"a pre-notice is presumed to have lapsed on {since}, which nobody has confirmed yet",
                rule="LAPSE_CONFIRMED",
            )
    if isinstance(right, Dissent) and right.suit_filed_on is None:
        last, _ = case.calendar.suit_due_on(right.booked_at.astimezone(CHINA).date())
        if case.now.astimezone(CHINA).date() > last:
            return refer(
                field,
                "CC 220",
                f"异议登记后至 {last} 未见起诉记载，异议推定失效，尚未确认",
                f"no suit over a dissent is on record until {last}: it is presumed to have lapsed, unconfirmed",
                rule="LAPSE_CONFIRMED",
            )
    return None


def _presumed_since(notice: PreNotice, state: UnitState, case: Case) -> dt.date | None:
    """From which day a pre-notice is presumed to have lapsed, whether the clock has said so yet or, in a year without a
    table, never will. None while it runs, before the first registration, and while a case is open that names it: its
    holder has applied (CC 221).
    """
    if notice.lapse_presumed_on is not None:
        return notice.lapse_presumed_on
    if notice.registrable_from is None or not is_first_registered(state):
        return None
    if any(notice.identity in other.rights for other in case.open_cases.get(state.unit.unit_code, ())):
        return None
    last, _ = case.calendar.lapses_after(notice.registrable_from)
    return last + dt.timedelta(days=1) if case.now.astimezone(CHINA).date() > last else None


def pending_findings(state: UnitState, identity: str, case: Case, field: str) -> list[Finding]:
    """An earlier open case that names the same right goes first (RD 67; handbook 3.2).

    For acts that the table of the register's states has no column for: they dispose of nothing.
    """
    earlier = [
        other
        for other in case.open_cases.get(state.unit.unit_code, ())
        if other.application_id != case.own_application
        and (case.accepted_index is None or other.accepted_index < case.accepted_index)
        and identity in other.rights
    ]
    if not earlier:
        return []
    code = state.unit.unit_code
    return [
        finding(
            "S-QUEUE",
            Severity.WAITS,
            field=field + ".units",
            article="RD 67",
            zh=f"单元 {code} 上同一权利有在先受理的案件",
            en=f"an earlier case on unit {code} names the same right",
        )
    ]


def _minors(state: UnitState, case: Case, field: str) -> list[Finding]:
    """What the place makes of it: never a rule's to decide (handbook 1.4); with BLOCK it does not pass here at all."""
    code = state.unit.unit_code
    zh = f"单元 {code} 的权利人未成年或者行为能力受限"
    en = f"who holds the right on unit {code} is a minor or a ward"
    if case.profile.minors == Stance.BLOCK:
        return [_barred("R-GUARDIAN", field + ".units", "CC 35; RD 11", zh, en)]
    return [refer(field + ".units", "CC 35; RD 11", zh, en, rule="WARD_OWNER")]


def _people(state: UnitState, obligors: tuple[Party, ...]) -> list[Party]:
    """Everybody whom the register might ask: the holders of every live right, and the parties."""
    people = list(obligors)
    for right in state.rights:
        if isinstance(right, Ownership):
            people += [owner.person for owner in right.owners]
        for name in ("mortgagees", "holders"):
            people += getattr(right, name, ())
    return list({p.key: p for p in people}.values())


def _among(people: Sequence[Party], named: Sequence[Party], case: Case) -> frozenset[PartyKey]:
    """Keys of those who are named, and those under which the register knows them (alias table, handbook 3.1)."""
    present = present_keys(named, case.institutions)
    return keys(named) | keys([p for p in people if present_keys((p,), case.institutions) <= present])


def _finding(found: Bearing, state: UnitState, field: str) -> list[Finding]:
    """One bearing in words; empty for what passes in silence."""
    code = state.unit.unit_code
    zh = f"单元 {code}：{found.cell.state_zh}"
    en = f"unit {code}: {found.state.value}"
    if found.cell.condition:
        en += f" ({found.cell.condition})"
    article = found.cell.legal_basis
    field = field + ".units"
    match found.verdict:
        case Verdict.BLOCK:
            return [_barred(found.reason_code, field, article, zh, en)]
        case Verdict.WAIT:
            return [finding(found.reason_code, Severity.WAITS, field=field, article=article, zh=zh, en=en)]
        case Verdict.REFER:
            reason = found.reason_code or "M-REFER"
            severity = Severity.BLOCKS if reason.startswith("C-") else Severity.REFERS
            told = finding(reason, severity, field=field, article=article, zh=zh, en=en)
            return [named(told, f"BLOCKS_{found.state.value}") if reason == "M-REFER" else told]
        case Verdict.ALLOW_WITH_CONSENT if not found.is_met:
            if not found.missing:
                return [_paper_wanted(found, field, article, zh, en)]
            who = "、".join(p.name for p in found.missing)
            wanted = "N-NOT_APPLICANT" if found.must_join else "N-INCOMPLETE"
            return [
                finding(
                    wanted,
                    Severity.BLOCKS,
                    rule=found.reason_code if found.reason_code.startswith("R-") else "",
                    field=field,
                    article=article,
                    zh=f"{zh}；须由 {who} {'共同申请' if found.must_join else '书面同意'}",
                    en=f"{en}; {'joint application' if found.must_join else 'written consent'} of {who} is needed",
                )
            ]
        case Verdict.WARN:
            return [finding(found.reason_code, Severity.WARNS, field=field, article=article, zh=zh, en=en)]
    return []


def _paper_wanted(found: Bearing, field: str, article: str, zh: str, en: str) -> Finding:
    """What the cell asks for is a paper or an act of the same case, of nobody in particular; `en` tells it."""
    return finding(
        "N-INCOMPLETE",
        Severity.BLOCKS,
        rule=found.reason_code if found.reason_code.startswith("R-") else "",
        field=field,
        article=article,
        zh=zh,
        en=en,
    )


def _barred(reason: str, field: str, article: str, zh: str, en: str) -> Finding:
    """N-BARRED with the R- rule; a reason that is no R- code speaks for itself."""
    if reason.startswith("R-"):
        return finding("N-BARRED", Severity.BLOCKS, rule=reason, field=field, article=article, zh=zh, en=en)
    return finding(reason, Severity.BLOCKS, field=field, article=article, zh=zh, en=en)
