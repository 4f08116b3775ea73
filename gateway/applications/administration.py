"""Acts of operators: institutions, registrars, profile, rule set, trust, and the import of a register. Pure.

Each act is one entry. What an act says was read and checked for form before; here it is held against what is in
force now, under the registry's lock: versions go up by one, a key belongs to one owner, a suspension is ended only by
its own act.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from msgspec.structs import replace

from gateway.applications.accepting import CLOCK_SKEW
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    CalendarSet,
    InstitutionSet,
    OperatorSet,
    ProfileSet,
    RegistrarSet,
    RequestAnswered,
    RightBooked,
    RuleSetSet,
    TrustSet,
    UnitRecorded,
)
from gateway.cases.errors import CommandRefused, EnvelopeExpired
from gateway.cases.model import Moment, Outcome, Result
from gateway.kinds.rules import RULES_OF, Rule, Standing
from gateway.register.authority import Institution, Profile, RegisteredKey, Registrar, RuleSet
from gateway.register.calendar import Calendar
from gateway.register.model import AnyRight, Unit, Value

#: Whose request ids the acts of operators are: one name space a registry, whichever operator signs.
OPERATORS = "operators"

#: What an act has seen of an institution that nobody has registered.
NOT_REGISTERED = -1

#: Kind of the entry with which a ledger goes on under a new origin.
RECOVERED = "ledger.recovered"


class OperatorAct(Value, frozen=True, kw_only=True):
    """What every signed act of an operator says besides its matter."""

    request_id: str
    payload_sha256: str
    created_at: dt.datetime
    not_after: dt.datetime


class ActInvalid(CommandRefused):
    """The act does not fit what is in force; `field` names what to change."""

    reason = "FIELD_INVALID"


class VersionConflict(CommandRefused):
    """A profile or rule set whose version is not one more than the last."""

    reason = "VERSION_CONFLICT"

    def __init__(self, what: str, version: int, wanted: int) -> None:
        super().__init__(
            f"{what} 的版本为 {version}，应为 {wanted}；请先查询现行版本",
            f"the version of the {what} is {version}, it must be {wanted}: read the one in force first",
            version=str(version),
            wanted=str(wanted),
        )


class InstitutionChanged(CommandRefused):
    """The institution is not any more as it was read before it was edited."""

    reason = "SEEN_INDEX_STALE"

    def __init__(self, uscc: str, seen: int, last: int) -> None:
        super().__init__(
            f"机构 {uscc} 读取时为第 {seen} 号记录所设，现为第 {last} 号记录所设，本次修改未保存；"
            "请重新读取该机构，在其上修改后再签（-1 表示未登记）",
            f"institution {uscc} was read as entry {seen} left it, and entry {last} changed it since: nothing was "
            "kept, read it again, change that, and sign again (-1: not registered)",
            uscc=uscc,
            seenIndex=str(seen),
            lastIndex=str(last),
        )


class AlreadyRegistered(CommandRefused):
    """An import names a unit or right that the register has already; nothing of it was kept."""

    reason = "FIELD_INVALID"


def decide_institution(
    institution: Institution,
    known: Mapping[str, Institution],
    act: OperatorAct,
    moment: Moment,
    *,
    seen: int = 0,
) -> Decision:
    """Enter or replace an institution; whether it is suspended stays as it was.

    `seen`: its index as the operator read it before changing it, NOT_REGISTERED for none; 0 replaces whatever stands.
    Two operators who edit what both have read would else undo each other's limits and keys in silence.
    """
    before = known.get(institution.uscc)
    last = before.index if before else NOT_REGISTERED
    if seen not in (0, last):
        raise InstitutionChanged(institution.uscc, seen, last)
    codes = {institution.uscc, *institution.uscc_aliases}
    keys = {key.key_id for key in institution.keys}
    for other in known.values():
        if other.uscc == institution.uscc:
            continue
        if codes & {other.uscc, *other.uscc_aliases}:
            raise ActInvalid(
                f"代码已属于机构 {other.uscc}；请先更改该机构的代码沿革",
                f"a code of it belongs to institution {other.uscc}: change that institution's aliases first",
                field="institution.uscc_aliases",
            )
        if keys & {key.key_id for key in other.keys}:
            raise ActInvalid(
                f"密钥已登记在机构 {other.uscc} 名下；一个密钥只能属于一个机构",
                f"a key of it is registered for institution {other.uscc}: a key has one owner",
                field="institution.keys",
            )
    stands = replace(
        institution,
        suspended=before.suspended if before else False,
        suspension_reason=before.suspension_reason if before else "",
        index=moment.index,
    )
    return _done("institution.set", InstitutionSet(institution=stands), act, moment)


def decide_suspension(
    uscc: str,
    known: Mapping[str, Institution],
    *,
    suspended: bool,
    reason: str,
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Suspend an institution, or end its suspension. Its open cases stay as they are."""
    before = known.get(uscc)
    if before is None:
        raise ActInvalid(
            f"没有登记机构代码 {uscc}", f"no institution {uscc} is registered", field="uscc", uscc=uscc
        )
    stands = replace(
        before, suspended=suspended, suspension_reason=reason if suspended else "", index=moment.index
    )
    kind = "institution.suspended" if suspended else "institution.resumed"
    return _done(kind, InstitutionSet(institution=stands), act, moment)


def decide_registrar(
    registrar: Registrar, known: Mapping[str, Registrar], act: OperatorAct, moment: Moment
) -> Decision:
    """Enter or replace a registrar: no two persons share a key."""
    keys = {*registrar.key_ids, *registrar.tls_key_ids}
    for other in known.values():
        if other.registrar_id != registrar.registrar_id and keys & {*other.key_ids, *other.tls_key_ids}:
            raise ActInvalid(
                f"密钥已登记在 {other.registrar_id} 名下；登记人员的密钥不得共用",
                f"a key of it is registered for {other.registrar_id}: registrars do not share keys",
                field="registrar.keys",
            )
    return _done("registrar.set", RegistrarSet(registrar=replace(registrar, index=moment.index)), act, moment)


def decide_auditors(
    keys: tuple[RegisteredKey, ...],
    before: OperatorSet | None,
    institutions: Mapping[str, Institution],
    registrars: Mapping[str, Registrar],
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Replace the auditors' keys; the operators' stay. Somebody else's key makes nobody an auditor."""
    before = before or OperatorSet(key_ids=())
    taken = {*before.key_ids, *before.tls_key_ids}
    taken.update(key.key_id for institution in institutions.values() for key in institution.keys)
    taken.update(k for r in registrars.values() for k in (*r.key_ids, *r.tls_key_ids))
    ids = tuple(key.key_id for key in keys)
    if taken & set(ids):
        raise ActInvalid(
            "密钥已登记在他人名下；审计人员须用自己的密钥",
            "a key of them is registered for somebody else: auditors have keys of their own",
            field="keys",
        )
    return _done("auditors.set", replace(before, auditor_tls_key_ids=ids, auditor_keys=keys), act, moment)


def decide_profile(profile: Profile, before: Profile | None, act: OperatorAct, moment: Moment) -> Decision:
    """Put a new version of the profile in force."""
    _check_version("profile", profile.version, before.version if before else 0)
    return _done("profile.set", ProfileSet(profile=profile), act, moment)


def decide_rules(
    rules: RuleSet,
    before: RuleSet | None,
    registrars: Mapping[str, Registrar],
    act: OperatorAct,
    moment: Moment,
) -> Decision:
    """Put a new rule set in force; the officer who answers for it is a registrar who may book (handbook 1.4)."""
    _check_version("rule set", rules.version, before.version if before else 0)
    officer = registrars.get(rules.officer)
    if officer is None or officer.suspended or officer.feeds or not officer.may_book:
        raise ActInvalid(
            f"责任登簿人 {rules.officer} 不是可登簿的登记人员；请先登记该人员",
            f"officer {rules.officer} is not a registrar who may book: register that person first",
            field="rule_set.officer",
        )
    _check_listed(rules)
    return _done("rules.set", RuleSetSet(rules=rules), act, moment)


def _check_listed(rules: RuleSet) -> None:
    """The set lists rules of the table only, and leaves out none that may not be left out (handbook 1.4)."""
    listed = {line.operation: line.rules for line in rules.holds}
    waived = {(waiver.operation, waiver.rule) for waiver in rules.waivers}
    for operation, ids in listed.items():
        known = {rule.id: rule for rule in RULES_OF.get(operation, ())}
        for unknown in (rule_id for rule_id in ids if rule_id not in known):
            raise ActInvalid(
                f"{operation} 没有规则 {unknown[:100]}；规则目录见 GetProfile",
                f"{operation} has no rule {unknown[:100]}: GetProfile gives the catalogue",
                field="rule_set.rules",
            )
        for rule in known.values():
            if rule.id not in ids:
                _check_left_out(operation, rule, waived)
    for operation, rule_id in sorted(waived):
        rules_here = {rule.id: rule for rule in RULES_OF.get(operation, ())}
        left_out = operation in listed and rule_id not in listed[operation]
        if rule_id not in rules_here or rules_here[rule_id].standing is not Standing.CLEAN or not left_out:
            raise ActInvalid(
                f"豁免 {operation} / {rule_id[:100]} 不对应任何已略去的必要条件",
                f"the waiver of {rule_id[:100]} for {operation} is of no CLEAN rule that the set leaves out",
                field="rule_set.waivers",
            )


def _check_left_out(operation: str, rule: Rule, waived: set[tuple[str, str]]) -> None:
    if rule.standing is Standing.FIXED:
        raise ActInvalid(
            f"{operation} 的规则 {rule.id}（{rule.article}）不得略去",
            f"rule {rule.id} ({rule.article}) of {operation} cannot be left out",
            field="rule_set.rules",
        )
    if rule.standing is Standing.CLEAN and (operation, rule.id) not in waived:
        raise ActInvalid(
            f"略去 {operation} 的必要条件 {rule.id}（{rule.article}）须在 waivers 中写明依据",
            f"leaving out {rule.id} ({rule.article}) of {operation}, which is called clean, needs a waiver with its "
            "source",
            field="rule_set.waivers",
        )


def decide_calendar(
    year: int, table: dict[dt.date, bool], before: Calendar | None, act: OperatorAct, moment: Moment
) -> Decision:
    """Put the table of one year in force, over what was known of it. Deadlines that it moves are computed anew in
    entries of their own (`deadlines.decide_recomputed`).
    """
    known = before or Calendar()
    if known.years.get(year) == table:
        raise ActInvalid(
            f"{year} 年的日历表与现行的相同", f"the table of {year} is in force already", field="table"
        )
    imported = known.with_years(Calendar(years={year: table}))
    return _done("calendar.set", CalendarSet(calendar=imported), act, moment)


def decide_recovery(act: OperatorAct, moment: Moment) -> Decision:
    """Say in the ledger that it goes on under a new origin, and what is lost; the act itself is the evidence."""
    return answered(RECOVERED, [], act, moment)


def decide_trust(trust: TrustSet, act: OperatorAct, moment: Moment) -> Decision:
    """Put anchors and revocation lists in force."""
    return _done("trust.set", trust, act, moment)


def decide_import(
    units: tuple[Unit, ...], rights: tuple[AnyRight, ...], present: str, act: OperatorAct, moment: Moment
) -> Decision:
    """Enter a register's rows, all in one entry. `present` names a row that is there already; then nothing is kept."""
    if present:
        raise AlreadyRegistered(
            f"登记簿中已有 {present}；导入只录入新的单元，已有的不覆盖，整批未录入",
            f"the register has {present} already: an import enters new units and overwrites none; nothing was kept",
            present=present,
        )
    effects: list[AnyEffect] = [UnitRecorded(unit=unit) for unit in units]
    effects += [RightBooked(right=right) for right in rights]
    return answered("register.imported", effects, act, moment)


def _check_version(what: str, version: int, last: int) -> None:
    if version != last + 1:
        raise VersionConflict(what, version, last + 1)


def _done(kind: str, effect: AnyEffect, act: OperatorAct, moment: Moment) -> Decision:
    return answered(kind, [effect], act, moment)


def answered(kind: str, effects: list[AnyEffect], act: OperatorAct, moment: Moment) -> Decision:
    """The decision of an act that moves no case. Raises EnvelopeExpired."""
    if not act.created_at - CLOCK_SKEW <= moment.now <= act.not_after:
        raise EnvelopeExpired(act.not_after.isoformat())
    request = RequestAnswered(
        institution=OPERATORS, request_id=act.request_id, payload_sha256=act.payload_sha256
    )
    outcome = Outcome(result=Result.DONE, application="")
    return Decision(kind=kind, outcome=outcome, effects=(request, *effects))
