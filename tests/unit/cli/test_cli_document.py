"""docs/client.md says what works: its Python compiles, its settings load, its application file parses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from typer.testing import CliRunner

import gateway.client
from gateway.cli import institution, keys, ledger
from gateway.cli.app import build_app
from gateway.cli.application_file import read_application
from gateway.cli.settings import load_settings
from gateway.client.reasons import ErrorReason

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "client.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_document_python_imports_exist() -> None:
    """Every name that the example imports is there."""
    tree = ast.parse(blocks("python")[0])
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        exec(compile(ast.Module([node], []), "docs/client.md", "exec"), {})


def test_document_settings_load(tmp_path: Path) -> None:
    """The settings file of the document has no unknown key."""
    path = tmp_path / "diya-client.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")
    assert load_settings(path).clerk.employee_number == "A-001"


def test_document_application_file_parses(tmp_path: Path) -> None:
    """The application file of the document is one."""
    path = tmp_path / "case.json"
    path.write_text(blocks("json")[0], encoding="utf-8")
    assert read_application(path).terms.operations[0].HasField("mortgage_first")


def test_document_commands_exist() -> None:
    """Every `diya …` line names a command that there is."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    found = [line.split() for line in lines if line.startswith("diya ")]
    assert len(found) > 5
    for _, *words in found:
        names = words[:1] if words[0] in {"forms", "watch", "suggest-modes"} else words[:2]
        assert CliRunner().invoke(build_app(), [*names, "--help"]).exit_code == 0, names


def test_every_command_stands_once_in_its_group() -> None:
    """However often the application is asked for: the groups are their modules', and each building would add anew."""
    for _ in range(2):
        build_app()
    for group in (institution.app, keys.app, ledger.app):
        names = [command.name for command in group.registered_commands]
        assert len(names) > 3
        assert len(set(names)) == len(names)


def test_client_exports_what_it_names() -> None:
    """The package's own list of names holds, and reasons are plain strings."""
    assert all(hasattr(gateway.client, name) for name in gateway.client.__all__)
    assert ErrorReason.OVERLOADED == "OVERLOADED"
