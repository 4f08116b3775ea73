"""The named rules of instant decisions: each can be broken, each referral names its rule, a rule set chooses."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import gateway
from gateway.applications.submit import Submission
from gateway.cases.decision import Decision
from gateway.cases.model import OpenCase, Result
from gateway.kinds.rules import RULES, RULES_OF, Standing
from gateway.register.authority import OperationRules, RuleSet, Waiver
from gateway.register.blocks import UnitStateCode
from gateway.register.model import CertificateRef, MortgageKind, MortgagorRelation, Party
from tests.support import cases as c

FIRST = tuple(rule.id for rule in RULES_OF["MORTGAGE_FIRST"])
MAXIMUM = c.mortgage_first(
    kind=MortgageKind.MAXIMUM_AMOUNT, claim_amount_fen=None, max_claim_amount_fen=90_000_000
)
THIRD = c.mortgage_first(debtors=(c.SPOUSE,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)


def papers(*people: Party) -> dict[str, Any]:
    """Papers for whatever the cases of this file ask for."""
    found = c.mortgage_papers(*people)
    found["PRINCIPAL_CONTRACT"] = c.paper("PRINCIPAL_CONTRACT", c.OWNER, c.SPOUSE, c.BANK)
    found["RANK_AGREEMENT"] = c.paper("RANK_AGREEMENT", c.OWNER, c.BANK)
    found["MAX_AMOUNT_CONTRACT"] = c.paper("MAX_AMOUNT_CONTRACT", c.OWNER, c.BANK)
    return found


def decided(operation: Any, state: Any = None, people: tuple[Party, ...] = (), **world: Any) -> Decision:
    """A first registration on one flat."""
    what: Submission = c.submission(operation, papers(*people))
    return c.decide(c.world(state or c.unit_state(), **world), what)


def referred(decision: Decision) -> set[str]:
    """The rules that hand the case to a person."""
    return {f.rule for f in decision.outcome.findings if f.code == "M-REFER"}


def ruling(*left_out: str, waived: tuple[str, ...] = ()) -> RuleSet:
    """A rule set whose line for a first registration leaves rules out."""
    line = OperationRules(operation="MORTGAGE_FIRST", rules=tuple(r for r in FIRST if r not in left_out))
    waivers = tuple(Waiver(operation="MORTGAGE_FIRST", rule=r, source="某市规则 2026-01-01") for r in waived)
    return replace(c.RULES, holds=(line,), waivers=waivers)


@pytest.mark.parametrize(
    ("rule", "operation", "state", "world"),
    [
        ("OWN_DEBT", THIRD, None, {}),
        ("ORDINARY_MORTGAGE", MAXIMUM, None, {}),
        ("NO_AGREED_RANK", c.mortgage_first(agreed_rank=1), None, {}),
        ("KNOWN_MORTGAGEE", c.mortgage_first(mortgagees=(replace(c.BANK, name="改名银行"),)), None, {}),
        ("MARKET_HOUSING", c.mortgage_first(), c.unit_state(use="COMMERCIAL"), {}),
        (
            "UNENCUMBERED",
            c.mortgage_first(),
            c.unit_state(c.mortgage_row(mortgagees=(c.OTHER_BANK,), proof=CertificateRef(number="9"))),
            {},
        ),
        (
            "NO_OTHER_CASE",
            c.mortgage_first(),
            None,
            {"open_cases": {c.UNIT: (OpenCase(application_id="other", accepted_index=3),)}},
        ),
        ("OPERATION_PUBLISHED", c.mortgage_first(), None, {"rules": replace(c.RULES, decides=())}),
    ],
)
def test_rule_that_does_not_hold_is_named_with_its_version(
    rule: str, operation: Any, state: Any, world: dict[str, Any]
) -> None:
    """A referral says which rule of which version hands the case to a person, and its article."""
    decision = decided(operation, state, **world)
    assert decision.outcome.result is Result.ACCEPTED
    found = next(f for f in decision.outcome.findings if f.rule == rule)
    assert found.code == "M-REFER"
    assert found.rule_version == c.RULES.version
    assert found.article == RULES[rule].article


def test_clean_case_is_booked_under_the_version_in_force() -> None:
    """An instant decision keeps the version of the rules that made it."""
    decision = decided(c.mortgage_first())
    row = next(e.application for e in decision.effects if hasattr(e, "application"))
    assert (decision.outcome.result, row.rules_version) == (Result.BOOKED, c.RULES.version)


def test_referral_without_a_rule_set_says_version_zero() -> None:
    """Where no rule set is in force no version is claimed."""
    decision = decided(c.mortgage_first(), rules=None)
    assert {f.rule_version for f in decision.outcome.findings if f.code == "M-REFER"} == {0}


def test_rule_left_out_by_the_place_refers_no_more() -> None:
    """What is our own caution a place may leave out, and then decides at once."""
    assert referred(decided(MAXIMUM)) == {"ORDINARY_MORTGAGE"}
    assert decided(MAXIMUM, rules=ruling("ORDINARY_MORTGAGE")).outcome.result is Result.BOOKED
    assert referred(decided(THIRD, rules=ruling("ORDINARY_MORTGAGE"))) == {"OWN_DEBT"}


def test_clean_rule_is_left_out_by_a_waiver_alone() -> None:
    """What the handbook calls clean holds although the line leaves it out, until a waiver names its source."""
    assert referred(decided(THIRD, rules=ruling("OWN_DEBT"))) == {"OWN_DEBT"}
    waived = ruling("OWN_DEBT", waived=("OWN_DEBT",))
    assert decided(THIRD, rules=waived).outcome.result is Result.BOOKED


def test_waiver_of_one_operation_is_of_no_other() -> None:
    """A line and its waivers are of one operation."""
    other = replace(
        c.RULES,
        holds=(OperationRules(operation="PRE_NOTICE_CREATE", rules=()),),
        waivers=(Waiver(operation="PRE_NOTICE_CREATE", rule="OWN_DEBT", source="某市规则"),),
    )
    assert referred(decided(THIRD, rules=other)) == {"OWN_DEBT"}


def test_table_has_words_in_both_languages_and_an_article_for_each() -> None:
    """The catalogue can be published as it stands."""
    for rule in RULES.values():
        assert rule.article, rule.id
        assert rule.zh, rule.id
        assert rule.en, rule.id
        assert rule.zh != rule.en, rule.id


def test_rule_of_an_operation_has_a_predicate() -> None:
    """Whatever a rule set can list can be looked at; the rest is nobody's to leave out."""
    listed = {rule.id for rules in RULES_OF.values() for rule in rules}
    for rule in RULES.values():
        assert (rule.broken is not None) == (rule.id in listed), rule.id
        assert rule.id in listed or rule.standing is Standing.FIXED, rule.id


def test_handbooks_clean_rules_are_clean() -> None:
    """Handbook 1.4, word by word; capacity is the law's own, and never left out."""
    clean = {rule.id for rule in RULES_OF["MORTGAGE_FIRST"] if rule.standing is Standing.CLEAN}
    assert clean == {
        "NATURAL_PERSONS",
        "AGE_KNOWN",
        "OWN_DEBT",
        "MARKET_HOUSING",
        "SOLE_OWNER",
        "UNENCUMBERED",
        "NO_OTHER_CASE",
    }
    assert RULES["FULL_CAPACITY"].standing is Standing.FIXED


def test_every_referral_in_the_code_names_a_rule_of_the_table() -> None:
    """`refer(…, rule="…")`, wherever it stands, names a rule that exists; each state of blocks.csv has one."""
    named = set()
    for path in Path(gateway.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "refer":
                named |= {k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
    assert len(named) > 5
    assert named <= RULES.keys()
    assert {f"BLOCKS_{code.value}" for code in UnitStateCode} <= RULES.keys()
