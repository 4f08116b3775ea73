"""What a rule may not decide: everything that is not clean goes to a person (handbook 1.4, S15).

The rules stand in rules.py, by name; here a rule that does not hold becomes a finding that names it. The version of the
rule set in force is put beside the name where all findings of a case come together (applications/submit.py).
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.kinds.holding import Asked
from gateway.kinds.rules import RULES, breaches
from gateway.register.findings import Finding, Severity
from gateway.register.reasons import finding


def refer(field: str, article: str, zh: str, en: str, *, rule: str) -> Finding:
    """A finding that hands the case to a registrar, because of a rule of the table. Raises KeyError for another."""
    found = finding(
        "M-REFER",
        Severity.REFERS,
        field=field,
        article=article,
        zh=zh + "，由登记员决定",
        en=en + ": a registrar decides",
    )
    return named(found, rule)


def named(found: Finding, rule: str) -> Finding:
    """A referral with the rule behind it. Raises KeyError for one that the table does not have."""
    return replace(found, rule=RULES[rule].id)


def unclean(operation: str, asked: Asked) -> list[Finding]:
    """A finding for each breach of a rule that must hold for the operation."""
    return [
        refer(breach.path, rule.article, breach.zh, breach.en, rule=rule.id)
        for rule, breach in breaches(operation, asked)
    ]
