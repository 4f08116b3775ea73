"""docs/threat-model.md names files and tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
FILES = sorted(set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|Makefile|pyproject\.toml|requirements\.lock)`", PAGE)))


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize(("path", "name"), TESTS, ids=[name for _, name in TESTS])
def test_test_that_the_page_names_exists(path: str, name: str) -> None:
    """A test that was renamed or dropped is one that shows nothing."""
    assert name.startswith("test_")
    assert name in _functions(ROOT / path)


@pytest.mark.parametrize("path", FILES)
def test_file_that_the_page_names_exists(path: str) -> None:
    """So is a check that has moved."""
    assert (ROOT / path).exists()


def test_every_row_names_a_check_and_a_test_or_says_that_there_is_none() -> None:
    """A row of a table of attacks has three cells: no attack without a word on what stops it."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    attacks = [row for row in rows if not row.startswith("| attack |")]
    assert len(attacks) > 60
    for row in attacks:
        _, stops, shown = row.strip("| ").split(" | ")
        assert stops
        assert "::" in shown or shown == "–", row


def test_nothing_in_ticks_looks_like_a_test_and_is_none() -> None:
    """Each `…::…` of the page is of the form that the tests above follow."""
    assert len(re.findall("::", PAGE)) == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PAGE))
