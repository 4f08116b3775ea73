"""The named rules of instant decisions: what must hold for a rule set to decide an operation (handbook 1.4; S15).

Linyi publishes the rules by which eleven types of request are decided at once (S15), and so does every registry here:
its rule set names, per operation, the rules that must hold, by their ids in `RULES`. A rule that does not hold hands
the case to a registrar (M-REFER); it never refuses anything. Ids are never reused: findings name them for ever.

That every paper binds the same terms is no rule of this table: papers that do not are C-MISMATCH (papers.py), and no
place can leave that out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.kinds import holding
from gateway.kinds.holding import Asked, Breach
from gateway.register.authority import RuleSet
from gateway.register.blocks import UnitStateCode
from gateway.register.model import Value


class Standing(StrEnum):
    """Who may leave a rule out."""

    CLEAN = "CLEAN"  # the handbook calls it clean (1.4): left out only by a waiver that names its source
    PLACE = "PLACE"  # our own caution: a place may leave it out
    FIXED = "FIXED"  # the law itself asks for a person: nobody leaves it out


Predicate = Callable[[Asked], list[Breach]]


class Rule(Value, frozen=True, kw_only=True):
    """One rule: what must hold, in both languages, with its article.

    `broken` gives each breach. None: it is looked at among the conditions of its kind, whoever decides.
    """

    id: str
    article: str
    zh: str
    en: str
    standing: Standing
    broken: Predicate | None = None


# -- the table -----------------------------------------------------------------------------------------------------


def _rule(
    rule_id: str, article: str, zh: str, en: str, standing: Standing, broken: Predicate | None = None
) -> Rule:
    return Rule(id=rule_id, article=article, zh=zh, en=en, standing=standing, broken=broken)


def _person(operation: str, article: str, zh: str, en: str) -> Rule:
    """An operation that a person always decides."""

    def always(asked: Asked) -> list[Breach]:
        return [Breach(path=asked.field, zh=zh, en=en)]

    return _rule(
        f"PERSON_{operation}",
        article,
        f"{zh}由登记员决定",
        f"a registrar decides {en}",
        Standing.FIXED,
        always,
    )


_CLEAN, _PLACE, _FIXED = Standing.CLEAN, Standing.PLACE, Standing.FIXED

_PERSONS: Final = (
    _rule(
        "NATURAL_PERSONS",
        "OS 14.1",
        "当事人为自然人",
        "the parties are natural persons",
        _CLEAN,
        holding.legal_persons,
    ),
    _rule(
        "AGE_KNOWN",
        "CC 17",
        "证件号码可判定年龄",
        "the identity numbers tell the age",
        _CLEAN,
        holding.age_unknown,
    ),
    _rule(
        "FULL_CAPACITY",
        "CC 35; RD 11",
        "当事人均为成年人且具有完全民事行为能力",
        "the parties are adults with full capacity",
        _FIXED,
        holding.under_guardianship,
    ),
    _rule("SOLE_OWNER", "CC 301", "不动产为单独所有", "the unit has a sole owner", _CLEAN, holding.co_owned),
)
_UNITS: Final = (
    _rule(
        "MARKET_HOUSING",
        "OS 14.1",
        "国有建设用地上的市场化商品住房",
        "residential market housing on state construction land",
        _CLEAN,
        holding.no_market_housing,
    ),
    _rule(
        "UNENCUMBERED",
        "RD 66",
        "无其他权利或者限制",
        "no other right or limit on the unit",
        _CLEAN,
        holding.encumbered,
    ),
    _rule(
        "NO_OTHER_CASE",
        "RD 67",
        "无其他在办案件",
        "no other open case on the unit",
        _CLEAN,
        holding.other_case,
    ),
    _rule("ONE_UNIT", "RD 66, 87", "一个不动产单元", "one unit", _PLACE, holding.several_units),
)
_CLAIM: Final = (
    _rule(
        "KNOWN_MORTGAGEE",
        "OS 14.1",
        "抵押权人为已登记机构",
        "the mortgagee is a registered institution",
        _PLACE,
        holding.unknown_lender,
    ),
    _rule("ONE_MORTGAGEE", "RD 67, 88", "一个抵押权人", "one mortgagee", _PLACE, holding.several_lenders),
    _rule(
        "ORDINARY_MORTGAGE", "CC 420", "一般抵押权", "an ordinary mortgage", _PLACE, holding.maximum_amount
    ),
    _rule("OWN_DEBT", "CC 391", "抵押人即债务人", "the mortgagor is the debtor", _CLEAN, holding.for_another),
)
_NO_AGREED_RANK: Final = _rule(
    "NO_AGREED_RANK", "RD 67; CC 409", "未约定顺位", "no agreed rank", _PLACE, holding.agreed_rank
)
_FINISHED: Final = _rule(
    "NOT_UNDER_CONSTRUCTION",
    "RD 75, 77",
    "不是在建建筑物",
    "no building under construction",
    _PLACE,
    holding.under_construction,
)
_NOT_PRE_SOLD: Final = _rule(
    "NOT_PRE_SOLD", "RD 86", "不是预购商品房", "no pre-sold unit", _PLACE, holding.pre_sold
)
_WHOLE: Final = _rule("WHOLE_RELEASE", "RD 70", "全部注销", "a release of all units", _PLACE, holding.partial)
_OWN_WORD: Final = _rule(
    "OWN_WORD",
    "CC 221, 393; RD 89",
    "债权消灭或者权利人放弃",
    "the claim has ended, or the holder waives the right",
    _FIXED,
    holding.other_ground,
)

_FIRST: Final = (*_CLAIM, _NO_AGREED_RANK, *_UNITS, _FINISHED, *_PERSONS)
_RELEASE: Final = (_WHOLE, _FINISHED, _OWN_WORD)
_CHANGE: Final = _person("MORTGAGE_CHANGE", "RD 68; handbook 1.4", "抵押权变更登记", "a change of a mortgage")
_MOVE: Final = _person(
    "MORTGAGE_TRANSFER", "RD 69; handbook 1.4", "抵押权转移登记", "a transfer of a mortgage"
)
_FIXING: Final = _person("MORTGAGE_CLAIM_FIXING", "CC 423", "最高额抵押权确定登记", "the fixing of a claim")
_SALE: Final = _person("OWNERSHIP_TRANSFER", "handbook 1.4; N29", "转移登记", "a transfer of ownership")
_CONVERT: Final = _person(
    "PRE_NOTICE_CONVERT", "RD 85; handbook 1.4", "预告转本登记", "the conversion of a pre-notice"
)
_CORRECTION: Final = _person("CORRECTION", "CC 220; RD 81", "更正登记", "a correction")
_REISSUE: Final = _person("REISSUE", "RD 22, 23", "换证、补证", "a re-issue")

#: The rules of each operation, in the order in which their findings are told.
RULES_OF: Final[Mapping[str, tuple[Rule, ...]]] = MappingProxyType(
    {
        "MORTGAGE_FIRST": _FIRST,
        "MORTGAGE_CHANGE": (_CHANGE,),
        "MORTGAGE_TRANSFER": (_MOVE,),
        "MORTGAGE_RELEASE": _RELEASE,
        "MORTGAGE_CLAIM_FIXING": (_FIXING,),
        "CONSTRUCTION_MORTGAGE_FIRST": _FIRST,
        "CONSTRUCTION_MORTGAGE_CHANGE": (_CHANGE,),
        "CONSTRUCTION_MORTGAGE_TRANSFER": (_MOVE,),
        "CONSTRUCTION_MORTGAGE_RELEASE": _RELEASE,
        "OWNERSHIP_TRANSFER": (_SALE,),
        "PRE_NOTICE_CREATE": (_NOT_PRE_SOLD, *_CLAIM, *_UNITS, *_PERSONS),
        "PRE_NOTICE_CONVERT": (_CONVERT,),
        "PRE_NOTICE_RELEASE": (_OWN_WORD,),
        "CORRECTION": (_CORRECTION,),
        "REISSUE": (_REISSUE,),
    }
)

#: What sends any case to a person, whatever a rule set says; found among the conditions, each where its law stands.
_ALWAYS: Final = (
    _rule(
        "OPERATION_PUBLISHED",
        "OBE 47",
        "登记机构的配置和公布的规则集均列明该事项",
        "profile and published rule set both name the operation",
        _FIXED,
    ),
    _rule(
        "WARD_OWNER",
        "CC 35; RD 11",
        "权利人和当事人均具有完全民事行为能力",
        "no owner or party is a minor or a ward",
        _FIXED,
    ),
    _rule(
        "NO_STAFF_RISK",
        "S15",
        "未触发登记机构的廉政风险防控规则",
        "none of the registry's rules against staff risks is hit",
        _FIXED,
    ),
    _rule("NO_AGENT", "RD 12(3)", "当事人本人申请", "the parties apply themselves", _FIXED),
    _rule(
        "SECURER_AGREES",
        "CC 391",
        "提供担保的第三人同意债务转移",
        "the third party that secured the debt agrees to the new debtor",
        _FIXED,
    ),
    _rule(
        "NOBODY_ELSE_AT_STAKE",
        "CC 220, 409",
        "更正债权数额不影响单元上的其他权利",
        "no other right on the unit is touched by the amount's correction",
        _FIXED,
    ),
    _rule("NO_NOTE", "handbook 1.4", "未申请记载附记", "no note is asked for on the register", _FIXED),
    _rule("IDENTITY_CHECKED", "IR 16(2)", "身份核验均已通过", "every identity check was passed", _FIXED),
    _rule("HOLDER_APPLIES", "CC 220", "更正由权利人申请", "the holder applies for the correction", _FIXED),
    _rule("STATEMENT_IN_TIME", "N29", "还款确认书在有效期内", "the payoff statement has not run out", _FIXED),
    _rule(
        "OLD_LOAN_OF_A_BANK",
        "N29",
        "原贷款由银行业金融机构或者公积金中心发放",
        "the old loan is a bank's or a fund centre's",
        _FIXED,
    ),
    _rule(
        "ALL_MORTGAGES_IN_DEAL",
        "CC 406, 414",
        "所有抵押权均在本次办理之列",
        "the deal is about every mortgage",
        _FIXED,
    ),
    _rule(
        "LAPSE_CERTAIN",
        "CC 221, 203",
        "预告登记是否失效可以确定",
        "whether the pre-notice lapsed is certain",
        _FIXED,
    ),
    _rule(
        "LAPSE_CONFIRMED",
        "CC 220, 221",
        "推定失效的预告登记或者异议登记已经确认",
        "a pre-notice or dissent that is presumed to have lapsed is confirmed to have",
        _FIXED,
    ),
    _rule(
        "OBLIGOR_OWNS",
        "CC 221, 1161",
        "预告登记的义务人仍为不动产权利人",
        "who promised the registration in the pre-notice still owns",
        _FIXED,
    ),
    _rule("NOT_PRE_SEIZED", "法发〔2004〕5号", "权利人未被预查封", "the holder is not pre-seized", _FIXED),
    _rule(
        "NOTHING_RESTS_ON_IT",
        "RD 78; CC 221",
        "无抵押预告登记以其为基础",
        "no mortgage pre-notice rests on it",
        _FIXED,
    ),
    *(
        _rule(
            f"BLOCKS_{code.value}",
            "blocks.csv",
            f"登记簿状态 {code.value} 不须由登记员判断",
            f"the state {code.value} leaves nothing for a registrar to weigh",
            _FIXED,
        )
        for code in UnitStateCode
    ),
)

#: Every rule by its id.
RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {rule.id: rule for rules in (*RULES_OF.values(), _ALWAYS) for rule in rules}
)


def must_hold(rule: Rule, operation: str, rules: RuleSet | None) -> bool:
    """Whether the rule set in force asks for the rule. One that lists none of an operation's rules asks for all.

    What the handbook calls clean is left out by a waiver alone, whatever the list says.
    """
    if rules is None or rule.standing is Standing.FIXED:
        return True
    listed = next((h.rules for h in rules.holds if h.operation == operation), None)
    if listed is None or rule.id in listed:
        return True
    waived = any(w.operation == operation and w.rule == rule.id for w in rules.waivers)
    return rule.standing is Standing.CLEAN and not waived


def breaches(operation: str, asked: Asked) -> list[tuple[Rule, Breach]]:
    """Every rule of the operation that must hold and does not, in the table's order."""
    return [
        (rule, breach)
        for rule in RULES_OF[operation]
        if rule.broken is not None and must_hold(rule, operation, asked.case.rules)
        for breach in rule.broken(asked)
    ]
