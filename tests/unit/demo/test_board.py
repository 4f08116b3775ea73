"""The demo's live table: every column readable on a narrow terminal, the newest rows in sight on a short one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gateway.demo.story import Board

NUMBER = "苏(2026)江阴市不动产证明第0000004号"


def board(rows: int) -> Board:
    """A board with numbered rows and, last, one with everything in it."""
    filled = Board()
    for number in range(rows):
        filled.add("bank A", f"case-{number}", "BOOKED", f"jiangyin {number}")
    filled.add("bank A for its branch", "taxes cleared", "ACCEPTED AWAITING_PAYOFF", "jiangyin 117", NUMBER)
    return filled


def printed(shown: Board, *, width: int = 80, height: int = 24, terminal: bool = True) -> list[str]:
    """The lines that a terminal shows of it."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=terminal, color_system=None)
    console.print(shown)
    return out.getvalue().splitlines()


def test_table_taller_than_the_terminal_shows_its_newest_rows() -> None:
    """While it plays, what happens now is in sight, and how much is above it is said."""
    lines = printed(board(60))
    text = "\n".join(lines)
    assert len(lines) < 24
    assert "case-59" in text
    assert "case-0 " not in text
    assert "rows above" in lines[0]


def test_table_is_whole_at_the_end_and_where_no_terminal_is() -> None:
    """Nothing is left out once the play is over, nor in a log."""
    shown = board(60)
    assert "case-0 " in "\n".join(printed(shown, terminal=False))
    with shown:
        pass
    assert "case-0 " in "\n".join(printed(shown))


@pytest.mark.parametrize("width", [80, 100, 132])
def test_table_breaks_no_state_and_loses_no_digit(width: int) -> None:
    """At 80 columns a state stays one word and a number keeps every character; the ledger says whose it is."""
    lines = printed(board(0), width=width, height=60)
    first = next(number for number, line in enumerate(lines) if "jiangyin 117" in line)
    at = lines[first].index("jiangyin 117") + len("jiangyin 117")
    assert any("AWAITING_PAYOFF" in line for line in lines)
    number = [lines[first][at:], *(line.split()[-1] for line in lines[first + 1 :] if line.strip())]
    assert "".join(number).replace(" ", "").startswith(NUMBER)
