"""What an entry changed, in words: one sentence for each effect, in Chinese and English.

Rights, units, certificates and cases by their numbers; no natural person's name or identity number. Counters and
answered request ids are bookkeeping and told of by `EntryAbout` otherwise: they have no sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.cases.effects import (
    AnyEffect,
    ApplicationRecorded,
    CalendarSet,
    CertificateEnded,
    CertificateNumbered,
    CertificateSealed,
    CounterCaseRecorded,
    CounterMoved,
    EventRecorded,
    FeedApplied,
    FeedMoved,
    FeedTaken,
    InstitutionSet,
    LedgerKeysSet,
    LenderRead,
    LenderTold,
    OperatorSet,
    PapersBound,
    PapersFreed,
    PreNoticeTermMoved,
    ProfileSet,
    QueryRecorded,
    RegistrarSet,
    RequestAnswered,
    RevocationNoted,
    RightBooked,
    RightEnded,
    RuleSetSet,
    SealTermsSet,
    TrustSet,
    UnitRecorded,
)
from gateway.cases.model import Application
from gateway.register.model import AnyRight

#: How an effect reads: (kind as in the ledger, Chinese, English).
Words = tuple[str, str, str]

_RIGHTS: Final = {
    "OWNERSHIP": ("所有权", "ownership"),
    "MORTGAGE": ("抵押权", "mortgage"),
    "PRE_NOTICE": ("预告登记", "pre-notice"),
    "SEIZURE": ("查封", "seizure"),
    "DISSENT": ("异议登记", "dissent"),
    "HABITATION": ("居住权", "habitation"),
    "EASEMENT": ("地役权", "easement"),
}
_QUERIES: Final = {
    "UNIT": ("查询了一个不动产单元", "looked at a unit"),
    "EXTRACT": ("出具了查询结果证明", "took an extract of a unit"),
    "PERSON": ("按权利人查询", "searched by person"),
}


def told(effects: Iterable[AnyEffect]) -> list[Words]:
    """The sentences of effects, in order; those that are bookkeeping are left out."""
    return [
        (str(effect.__struct_config__.tag), *words)
        for effect in effects
        if (words := sentence(effect)) is not None
    ]


def concerns(effect: AnyEffect, row: Application, institutions: frozenset[str]) -> bool:
    """Whether an effect of an entry on the case `row` concerns that case, for an institution that is of it.

    An entry may touch other cases in passing; these, and what other institutions were told, are theirs.
    """
    match effect:
        case EventRecorded():
            return effect.institution in institutions and effect.application_id == row.application_id
        case LenderTold() | LenderRead():
            return effect.institution in institutions
        case ApplicationRecorded():
            return effect.application.application_id == row.application_id
        case PapersBound() | PapersFreed() | CertificateNumbered():
            return effect.application_id == row.application_id
        case CertificateSealed():
            return effect.identifier in row.certificates
        case CertificateEnded() | RightEnded():
            return effect.case_number == row.case_number
        case RightBooked():
            return effect.right.case_number == row.case_number
        case UnitRecorded():
            return effect.unit.unit_code in row.units
    return False


def sentence(effect: AnyEffect) -> tuple[str, str] | None:
    """One effect in Chinese and English; None for bookkeeping."""
    match effect:
        case RequestAnswered() | CounterMoved() | FeedMoved():
            return None
        case ApplicationRecorded(application=row):
            number = f"（{row.case_number}）" if row.case_number else ""
            case = f" ({row.case_number})" if row.case_number else ""
            return (
                f"申请 {row.application_id}{number}：{row.state.value}",
                f"application {row.application_id}{case}: {row.state.value}",
            )
        case PapersBound(papers=papers):
            return f"{len(papers)} 份材料归入本案", f"{len(papers)} papers back this case"
        case PapersFreed(papers=papers):
            return f"{len(papers)} 份材料不再归入本案", f"{len(papers)} papers are free again"
        case UnitRecorded(unit=unit):
            return f"记载单元 {unit.unit_code}", f"unit {unit.unit_code} recorded"
        case RightBooked(right=right):
            zh, en = _named(right)
            return (
                f"登簿{zh} {right.right_id}，单元 {_codes(right.units, '、')}，业务号 {right.case_number}",
                f"{en} {right.right_id} booked on {_codes(right.units, ', ')}, case {right.case_number}",
            )
        case RightEnded():
            by = (f"，由 {effect.by} 取代", f", replaced by {effect.by}") if effect.by else ("", "")
            return (
                f"权利 {effect.right_id} 终止（{effect.reason}）{by[0]}",
                f"right {effect.right_id} ended ({effect.reason}){by[1]}",
            )
        case PreNoticeTermMoved():
            return _term(effect)
    return _of_certificate(effect) or _of_event(effect) or _of_feed(effect) or _of_setting(effect)


def _term(effect: PreNoticeTermMoved) -> tuple[str, str]:
    right = effect.right_id
    if effect.lapse_presumed_on is not None:
        day = effect.lapse_presumed_on.isoformat()
        return (
            f"预告登记 {right} 推定自 {day} 失效",
            f"pre-notice {right} is presumed to have lapsed on {day}",
        )
    if effect.registrable_from is not None:
        day = effect.registrable_from.isoformat()
        return f"预告登记 {right} 自 {day} 起可办理本登记", f"pre-notice {right} is registrable from {day} on"
    return f"预告登记 {right} 的期限有变动", f"the term of pre-notice {right} moved"


def _of_certificate(effect: AnyEffect) -> tuple[str, str] | None:
    match effect:
        case CertificateNumbered(number=number, identifier=identifier):
            return f"赋号 {number}（{identifier}）", f"certificate numbered: {number} ({identifier})"
        case CertificateSealed(identifier=identifier, pdf_sha256=digest):
            return (
                f"证照 {identifier} 已签章，PDF 摘要 {digest}",
                f"certificate {identifier} sealed, digest of its PDF {digest}",
            )
        case CertificateEnded(identifier=identifier, state=state):
            return f"证照 {identifier}：{state}", f"certificate {identifier}: {state}"
    return None


def _of_event(effect: AnyEffect) -> tuple[str, str] | None:
    match effect:
        case EventRecorded():
            told = f"{effect.kind} (#{effect.sequence})"
            return f"通知机构 {effect.institution}：{told}", f"institution {effect.institution} told: {told}"
        case LenderTold():
            return (
                f"就单元 {effect.unit_code} 的查封告知抵押权人 {effect.institution}",
                f"lender {effect.institution} told of the seizure of unit {effect.unit_code}",
            )
        case LenderRead():
            return (
                f"抵押权人 {effect.institution} 声明已阅读查封通知",
                f"lender {effect.institution} stated that it has read of the seizure",
            )
        case QueryRecorded():
            zh, en = _QUERIES.get(effect.query, (effect.query, effect.query))
            number = f" {effect.number}" if effect.number else ""
            return (
                f"{effect.caller_kind} {effect.caller} {zh}{number}，依据 {effect.basis}",
                f"{effect.caller_kind} {effect.caller} {en}{number}, basis {effect.basis}",
            )
    return None


def _of_feed(effect: AnyEffect) -> tuple[str, str] | None:
    match effect:
        case FeedTaken(sequence=number, held=held):
            return (
                f"收到柜面第 {number} 号" + ("，因前号缺失暂存" if held else ""),
                f"act {number} of the counter came"
                + (", held until the hole before it is closed" if held else ""),
            )
        case FeedApplied(sequence=number):
            return f"柜面第 {number} 号生效", f"act {number} of the counter has effect"
        case CounterCaseRecorded(case=case):
            return (
                f"柜面业务 {case.case_number}：{'在办' if case.is_open else '办结'}",
                f"case {case.case_number} of the counter: {'open' if case.is_open else 'ended'}",
            )
    return None


def _of_setting(effect: AnyEffect) -> tuple[str, str] | None:
    match effect:
        case InstitutionSet(institution=one):
            state = ("（暂停）", " (suspended)") if one.suspended else ("", "")
            return (
                f"设置机构 {one.uscc}{state[0]}，{len(one.keys)} 个密钥",
                f"institution {one.uscc} set{state[1]}, {len(one.keys)} keys",
            )
        case RegistrarSet(registrar=one):
            return f"设置登记员 {one.registrar_id}", f"registrar {one.registrar_id} set"
        case ProfileSet(profile=profile):
            return f"设置登记机构参数，第 {profile.version} 版", f"profile set, version {profile.version}"
        case RuleSetSet(rules=rules):
            return f"设置规则集，第 {rules.version} 版", f"rule set set, version {rules.version}"
        case CalendarSet():
            return "导入工作日历", "calendar of working days imported"
        case TrustSet(anchors=anchors, crls=crls):
            count = sum(map(len, anchors.values()))
            return (
                f"设置信任：{count} 个根证书，{len(crls)} 个吊销列表",
                f"trust set: {count} anchors, {len(crls)} revocation lists",
            )
        case SealTermsSet(keys=keys):
            return f"设置印章密钥：{len(keys)} 个", f"seal keys set: {len(keys)} with their times"
        case LedgerKeysSet(keys=keys):
            return f"设置检查点密钥：{len(keys)} 个", f"checkpoint keys set: {len(keys)} with their times"
        case RevocationNoted():
            return (
                f"更新吊销信息：{len(effect.crls)} 个吊销列表，{len(effect.ocsp)} 个在线状态应答",
                f"revocation evidence fetched: {len(effect.crls)} lists, {len(effect.ocsp)} OCSP answers",
            )
        case OperatorSet():
            auditors = len(effect.auditor_tls_key_ids)
            return (
                f"设置操作员：{len(effect.key_ids)} 个密钥；审计人员：{auditors} 个密钥",
                f"operators set: {len(effect.key_ids)} keys; auditors: {auditors} keys",
            )
    return None


def _named(right: AnyRight) -> tuple[str, str]:
    tag = str(right.__struct_config__.tag)
    return _RIGHTS.get(tag, (tag, tag))


def _codes(units: tuple[str, ...], between: str) -> str:
    shown = between.join(units[:3])
    return shown + f" … ({len(units)})" * (len(units) > 3)
