"""What a user hands in, or names for what comes out: each error names the file, what is wrong, what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import opening
from gateway.cli.settings import ClientSettings, load_settings
from gateway.client.errors import InputError
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.trust import read_trust
from gateway.config import ConfigError, load_config
from tests.unit.cli.test_cli_commands import FakeClient, app, application, client
from tests.unit.client.sample_case import signed

__all__ = ["app", "application", "client"]

runner = CliRunner()


def told(app: typer.Typer, *arguments: str) -> dict[str, Any]:
    """The error of a command that ends as bad usage, in both languages."""
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 2, result.output
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    assert error["zh"] != error["en"]
    return error


# -- what is written ---------------------------------------------------------------------------


@pytest.mark.parametrize("receipts", ["a-file", "a-file/below", "/proc/no/such"])
def test_submit_into_a_place_that_is_no_folder_sends_nothing(
    app: typer.Typer, client: FakeClient, application: Path, receipts: str
) -> None:
    """Where what is signed cannot be kept, nothing is sent."""
    Path("a-file").write_text("x")
    error = told(app, "submit", "mortgage", str(application), "--receipts", receipts)
    assert "cannot be written" in error["en"]
    assert not client.sent
    assert not client.uploaded


def test_forms_into_a_file_are_refused_before_any_call(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """The folder is made first: forms that cannot be kept are not asked for."""
    Path("a-file").write_text("x")
    error = told(app, "forms", str(application), "--out", "a-file")
    assert "a-file cannot be written" in error["en"]


@pytest.mark.parametrize("where", ["a-file", "/proc/no-such-place"])
def test_init_and_demo_in_a_place_that_is_no_folder(app: typer.Typer, tmp_path: Path, where: str) -> None:
    """Status 2 and the place, no traceback."""
    (tmp_path / "a-file").write_text("x")
    place = str(tmp_path / where)
    for arguments in (["init", place], ["demo", "--out", place]):
        result = runner.invoke(app, arguments)
        assert result.exit_code == 2, result.output
        assert where.rpartition("/")[2] in result.stderr.replace("\n", "")


# -- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", '"schema" is missing'),
        ("{not json", "no JSON at line 1 column 2"),
        ('{"schema": "other/v1"}', "other/v1"),
        ("[]", "other types"),
    ],
)
def test_kept_act_that_is_none_says_what_it_lacks(tmp_path: Path, text: str, why: str) -> None:
    """The words are for people who do not know Python."""
    path = tmp_path / "case.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_act(path)
    assert str(path) in caught.value.en
    assert why in caught.value.en
    assert "diya submit" in caught.value.zh


@pytest.mark.parametrize("text", ["garbage\n", "# only a comment\n", "name+00000000+AAAA\n"])
def test_trust_file_that_is_no_key_is_named(tmp_path: Path, text: str) -> None:
    """Passed over, it would look like a registry that nobody trusts."""
    (tmp_path / "jiangyin.vkey").write_text(text)
    with pytest.raises(InputError, match=r"jiangyin\.vkey is not a verifier key") as caught:
        read_trust(tmp_path)
    assert "可信途径" in caught.value.zh


@pytest.mark.parametrize(
    "content", [b'{"units": []}', b"", b"\xff\xff\xff"], ids=["json", "empty", "garbage"]
)
def test_terms_that_are_not_serialized_are_named(
    app: typer.Typer, client: FakeClient, application: Path, content: bytes
) -> None:
    """--terms wants terms.bin; the JSON of the terms is told from it here, and nothing is sent."""
    Path("terms.json").write_bytes(content)
    error = told(app, "submit", "mortgage", str(application), "--terms", "terms.json")
    assert "terms.bin" in error["en"]
    assert not client.sent


def test_application_that_is_not_json_says_where(
    app: typer.Typer, client: FakeClient, tmp_path: Path
) -> None:
    """Line and column of the fault, and where the form of the file is written down."""
    path = tmp_path / "case.json"
    path.write_text('{"terms":\n  oops}')
    error = told(app, "submit", "mortgage", str(path))
    assert "line 2 column 3" in error["en"]
    assert "docs/client.md" in error["en"]


@pytest.mark.parametrize(("text", "why"), [("no number", "sequence"), ("-3\n", "sequence")])
def test_watch_state_without_a_sequence_is_named(
    app: typer.Typer, client: FakeClient, tmp_path: Path, text: str, why: str
) -> None:
    """A file of something else is not taken for the beginning."""
    path = tmp_path / "state.txt"
    path.write_text(text)
    assert why in told(app, "watch", "--state", str(path))["en"]


@pytest.mark.parametrize(
    "options",
    [["--after", "-1"], ["--institution", "nope"], ["--institution", "91999999600001015D"]],
)
def test_watch_arguments_that_cannot_be_are_bad_usage(
    app: typer.Typer, client: FakeClient, options: list[str]
) -> None:
    """No alarm for a number below zero, no other institution's events for a mistyped code."""
    result = runner.invoke(app, ["watch", "--catch-up-only", *options])
    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_watch_of_a_branch_is_let_through(app: typer.Typer, client: FakeClient) -> None:
    """A good code with its check character is asked for."""
    result = runner.invoke(app, ["watch", "--catch-up-only", "--institution", "91999999600001015C"])
    assert result.exit_code == 0, result.output


# -- settings ----------------------------------------------------------------------------------


def test_settings_say_what_is_wrong_without_links(tmp_path: Path) -> None:
    """Name and reason of each bad setting, on either side; no address of a library's web pages."""
    path = tmp_path / "diya-client.toml"
    path.write_text("target = 5\nno_such = 1\n")
    with pytest.raises(InputError) as caught:
        load_settings(path)
    assert "no_such" in caught.value.en
    assert "target (" in caught.value.en
    server = tmp_path / "diya.toml"
    server.write_text("registries = 5\n")
    with pytest.raises(ConfigError) as refused:
        load_config(server)
    assert "registries: " in str(refused.value)
    assert "http" not in str(refused.value) + caught.value.en


async def test_settings_whose_files_are_not_pem_are_named(tmp_path: Path) -> None:
    """Roots that are none are found before anything is dialled, and the setting is named."""
    for name in ("roots", "certificate", "key"):
        (tmp_path / name).write_text("not PEM")
    settings = ClientSettings(
        target="localhost:1",
        registry="r",
        roots=tmp_path / "roots",
        certificate=tmp_path / "certificate",
        key=tmp_path / "key",
        signing_key=tmp_path / "key",
        signing_certificate=tmp_path / "certificate",
        trust=tmp_path,
    )
    with pytest.raises(InputError, match="no PEM certificates") as caught:
        async with opening.open_session(settings):
            pass
    assert f"roots = {tmp_path / 'roots'}" in caught.value.en
    with pytest.raises(InputError) as unusable:
        opening.open_signer(settings)
    assert f"signing_key = {tmp_path / 'key'}" in unusable.value.en


# -- the rest ----------------------------------------------------------------------------------


def test_version_is_said(app: typer.Typer) -> None:
    """`diya --version` names itself and ends well."""
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("diya ")


def test_consent_of_an_unknown_kind_is_refused_before_any_call(app: typer.Typer) -> None:
    """The kinds are listed; without settings of any sort nothing was even looked up."""
    error = told(app, "party", "consent", "0192f0c1", "--kind", "FOO")
    assert "TO_TERMS" in error["en"]
    assert "UNSPECIFIED" not in error["en"]


def test_kept_act_is_written_where_its_folder_can_be_made(tmp_path: Path) -> None:
    """Missing folders are made; a file in the way is named."""
    write_act(tmp_path / "a" / "b" / "act.json", KeptAct(signed()))
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        write_act(tmp_path / "file" / "act.json", KeptAct(signed()))


def test_setting_that_is_missing_is_named_once() -> None:
    """The way out names the setting, the file and the variable, without saying any of it twice."""
    with pytest.raises(InputError) as missing:
        opening.open_signer(ClientSettings())
    assert missing.value.en.count("setting signing_key") == 1
    assert missing.value.zh.count("设置 signing_key") == 1
    assert "DIYA_SIGNING_KEY" in missing.value.en
