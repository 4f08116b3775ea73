"""Every page by its path under docs/, as the code has it now; and those of a folder that differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.kinds.modes import MODES
from gateway.lawbook.index_page import index_page
from gateway.lawbook.kind_page import SAMPLES, kind_page, name_of, ways_of
from gateway.lawbook.mode_page import mode_page
from gateway.lawbook.reasons_page import reasons_page


def pages() -> dict[str, str]:
    """Path under docs/ -> text."""
    kinds = tuple((module, ways_of(shown)) for module, shown in SAMPLES)
    found = {"law.md": index_page(kinds), "reasons.md": reasons_page()}
    found |= {f"law/{name_of(module)}.md": kind_page(module, ways) for module, ways in kinds}
    found |= {f"law/{code.lower()}.md": mode_page(mode) for code, mode in MODES.items()}
    return found


def write(docs: Path, written: Mapping[str, str]) -> None:
    """Write every page, and take away those of the folder that there is no kind or mode for."""
    (docs / "law").mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (docs / name).write_text(text, encoding="utf-8")
    for name in _strangers(docs, written):
        (docs / name).unlink()


def stale(docs: Path, written: Mapping[str, str]) -> list[str]:
    """Names of pages that are missing, differ from the code, or that there is no kind or mode for."""
    differ = [name for name, text in written.items() if _read(docs / name) != text]
    return sorted(differ + _strangers(docs, written))


def _strangers(docs: Path, written: Mapping[str, str]) -> list[str]:
    there = [f"law/{path.name}" for path in (docs / "law").glob("*.md")]
    return [name for name in there if name not in written]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
