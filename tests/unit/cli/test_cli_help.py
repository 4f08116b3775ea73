"""What `--help` says of each command."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
import typer

from gateway.cli.app import build_app

HAN = re.compile(r"[\u4e00-\u9fff]")


def commands(command: click.Command, name: str = "diya") -> Iterator[tuple[str, click.Command]]:
    """Every group and command below one, by the words with which it is called."""
    yield name, command
    below: dict[str, click.Command] = getattr(
        command, "commands", {}
    )  # a group's, of whichever library's class
    for word, one in below.items():
        yield from commands(one, f"{name} {word}")


ALL = list(commands(typer.main.get_command(build_app())))


def test_every_command_is_looked_at() -> None:
    """A walk that finds the root alone would let everything pass."""
    assert {"diya serve", "diya keys rotate-kek", "diya submit resend"} <= {name for name, _ in ALL}


@pytest.mark.parametrize(("name", "command"), ALL)
def test_first_lines_are_in_both_languages(name: str, command: click.Command) -> None:
    """The line that a list of commands shows, which is its first paragraph."""
    first = (command.help or "").strip().partition("\n\n")[0]
    assert HAN.search(first), f"{name}: {first!r} has no Chinese"
    assert re.search("[a-z]{3}", first), f"{name}: {first!r} has no English"
