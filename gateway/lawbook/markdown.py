"""Markdown and mermaid as GitHub shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Every generated page begins with this, so that nobody mends it by hand.
GENERATED = "<!-- Written by gateway/lawbook from the code: do not edit, run `make pages`. -->\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a line break inside a cell is `<br>`."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns: what it is about, and what holds."""
    return table(("事项 item", "内容 content"), rows)


def page(*blocks: str) -> str:
    """Blocks one below the other, empty ones left out."""
    return GENERATED + "\n" + "\n".join(block.rstrip("\n") + "\n" for block in blocks if block)


def listed(items: Iterable[str]) -> str:
    """A list, one item a line."""
    return "\n".join(f"- {item}" for item in items) + "\n"


def diagram(lines: Iterable[str], direction: str = "LR") -> str:
    """A mermaid flow chart."""
    return "```mermaid\nflowchart " + direction + "\n" + "\n".join(f"  {line}" for line in lines) + "\n```\n"


def box(name: str, *lines: str, shape: str = "[]") -> str:
    """A box of a flow chart with its lines of text."""
    text = "<br/>".join(line.replace('"', "#quot;") for line in lines if line)
    return f'{name}{shape[: len(shape) // 2]}"{text}"{shape[len(shape) // 2 :]}'


def many(items: Iterable[str]) -> str:
    """Several things in a cell, each once; a dash for none."""
    return "<br>".join(dict.fromkeys(items)) or "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
