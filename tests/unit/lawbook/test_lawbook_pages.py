"""docs/law.md and its pages say what the code does, and a difference is told by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.kinds import laws
from gateway.kinds.modes import ET_SEGMENTED, MODES, Gate
from gateway.lawbook.__main__ import DOCS, main
from gateway.lawbook.kind_page import SAMPLES, name_of
from gateway.lawbook.mode_page import mode_page
from gateway.lawbook.pages import pages, stale
from gateway.lawbook.words import KINDS
from gateway.lawbook.words import MODES as SUMMARIES
from gateway.register.reasons import REASONS


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """Every page as the code has it."""
    return pages()


def test_pages_in_docs_are_what_the_code_gives(written: dict[str, str]) -> None:
    """Whoever changes the law runs `make pages`."""
    assert stale(DOCS, written) == []


def test_every_law_and_every_mode_has_a_page(written: dict[str, str]) -> None:
    """A new kind or mode is not booked before a registrar can read its page."""
    kinds = {name_of(module) for module in laws._LAWS.values()}  # type: ignore[arg-type]
    assert {name_of(module) for module, _ in SAMPLES} == kinds == set(KINDS)
    assert set(SUMMARIES) == set(MODES)
    assert {f"law/{name}.md" for name in kinds} | {f"law/{code.lower()}.md" for code in MODES} == {
        name for name in written if name.startswith("law/")
    }


def test_every_reason_is_in_the_catalogue_page_once(written: dict[str, str]) -> None:
    """The page is the catalogue, whole."""
    rows = [line for line in written["reasons.md"].splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(REASONS)


def test_a_gate_that_is_taken_away_changes_the_page() -> None:
    """The page is read from the mode, not written beside it."""
    phases = tuple(replace(phase, gates=frozenset()) for phase in ET_SEGMENTED.phases)
    before, after = mode_page(ET_SEGMENTED), mode_page(replace(ET_SEGMENTED, phases=phases))
    assert f"gates: {Gate.TAX}" in before
    assert f"gates: {Gate.TAX}" not in after


def test_check_names_a_page_that_differs_is_missing_or_has_no_law(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make check` fails on any of the three, and `make pages` cures them."""
    assert main([], docs=tmp_path) == 0
    assert main(["--check"], docs=tmp_path) == 0
    mortgage = tmp_path / "law/mortgage.md"
    mortgage.write_text(mortgage.read_text(encoding="utf-8").replace("CC 301", "CC 302"), encoding="utf-8")
    (tmp_path / "reasons.md").unlink()
    (tmp_path / "law/et_old_mode.md").write_text("a mode that is gone", encoding="utf-8")
    assert main(["--check"], docs=tmp_path) == 1
    told = capsys.readouterr().err
    assert [line.split()[0] for line in told.splitlines()] == [
        "docs/law/et_old_mode.md",
        "docs/law/mortgage.md",
        "docs/reasons.md",
    ]
    main([], docs=tmp_path)
    assert main(["--check"], docs=tmp_path) == 0


def test_links_of_the_pages_lead_somewhere(written: dict[str, str]) -> None:
    """Every relative link of a page is a file of the repository or another page."""
    for name, text in written.items():
        for target in {part.split(")")[0] for part in text.split("](")[1:]}:
            path = (DOCS / name).parent / target
            assert path.resolve().is_file(), f"{name} links to {target}"


def test_no_page_has_an_unbalanced_row(written: dict[str, str]) -> None:
    """A row has as many cells as its table has heads, else GitHub drops some."""
    for name, text in written.items():
        heads = 0
        for line in text.splitlines():
            if not line.startswith("|"):
                heads = 0
                continue
            cells = line.replace("\\|", "").count("|") - 1
            heads = heads or cells
            assert cells == heads, f"{name}: {line}"
