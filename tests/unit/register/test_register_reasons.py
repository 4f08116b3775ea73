"""The catalogue of reasons, and findings made from it (handbook 3.6, 3.7)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.register.findings import Severity
from gateway.register.reasons import REASONS, finding, reason_of

GATEWAY = Path(__file__).parents[3] / "gateway"


def test_catalogue_has_both_cures_for_every_code() -> None:
    """Each answer carries what would cure it, in both languages."""
    assert len(REASONS) == 45
    for reason in REASONS.values():
        assert re.search("[\u4e00-\u9fff]", reason.cure_zh), reason.code
        assert reason.cure_en.isascii(), reason.code


def test_finding_without_words_has_those_of_the_catalogue() -> None:
    """The general words, ground and cure come from the catalogue."""
    found = finding("R-SEIZED", Severity.BLOCKS, field="terms.units[0]")
    reason = reason_of("R-SEIZED")
    assert (found.zh, found.en, found.article) == (reason.name_zh, reason.name_en, reason.legal_basis)
    assert (found.cure_zh, found.cure_en) == (reason.cure_zh, reason.cure_en)


def test_finding_with_words_appends_them() -> None:
    """What is special to the case follows the general words."""
    found = finding("M-REFER", Severity.REFERS, zh="多个单元", en="several units", article="RD 66")
    assert found.zh == "转人工审核；多个单元"
    assert found.en.endswith("; several units")
    assert found.article == "RD 66"


def test_finding_before_acceptance_names_ground_and_cure_of_its_rule() -> None:
    """N-BARRED has the rule's own ground (reasons.csv) and both cures."""
    found = finding("N-BARRED", Severity.BLOCKS, rule="R-SEIZED")
    rule = reason_of("R-SEIZED")
    assert found.rule == "R-SEIZED"
    assert found.article == rule.legal_basis
    assert found.cure_en.startswith(rule.cure_en)
    assert rule.name_zh in found.zh


@pytest.mark.parametrize(("code", "rule"), [("R-NONSENSE", ""), ("N-BARRED", "R-NONSENSE")])
def test_finding_of_unknown_code_is_a_clear_error(code: str, rule: str) -> None:
    """No answer carries a code that the catalogue does not know."""
    with pytest.raises(KeyError, match=r"R-NONSENSE.*reasons\.csv"):
        finding(code, Severity.BLOCKS, rule=rule)


def test_every_code_in_the_source_is_in_the_catalogue() -> None:
    """A code is found missing by the tests, not by a bank."""
    source = "".join(p.read_text("utf-8") for p in GATEWAY.rglob("*.py") if "pb" not in p.parts)
    codes = set(re.findall(r'"([NCSRWEM]-[A-Z_]{3,})"', source))
    assert codes
    assert codes <= set(REASONS)
