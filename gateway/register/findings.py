"""A finding: one thing the law has to say about a request, with the way out, in Chinese and English.

Codes come from the catalogue `reasons.csv` (handbook 3.7). A finding before acceptance carries an
N- or C- code and names the R- code it would be in `rule` (handbook 3.6).
"""

from __future__ import annotations

from enum import StrEnum

from gateway.register.model import Value


class Severity(StrEnum):
    """What a finding does to its case; the strictest of all findings rules."""

    BLOCKS = "BLOCKS"  # not accepted, or refused
    AWAITS = "AWAITS"  # a party or paper is to come: not accepted yet
    WAITS = "WAITS"  # accepted, place kept, cannot be booked now
    REFERS = "REFERS"  # a person decides
    WARNS = "WARNS"  # passes, people are told


class Finding(Value, frozen=True, kw_only=True):
    """One finding. `field` is a path into the terms or header, `file` a digest or paper code.

    Of M-REFER `rule` is the rule that hands the case to a person (gateway/kinds/rules.py), and `rule_version` the
    version of the rule set in force then, 0 where there was none.
    """

    code: str
    severity: Severity
    zh: str
    en: str
    rule: str = ""
    field: str = ""
    file: str = ""
    article: str = ""
    cure_zh: str = ""
    cure_en: str = ""
    rule_version: int = 0
