"""What the commands that send an act keep of it, and what they refuse before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from google.rpc import code_pb2
from typer.testing import CliRunner

from gateway.cli import acts, opening, party
from gateway.cli.app import build_app
from gateway.client.errors import InputError, RequestError
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.session import Answer
from gateway.client.status import error_of_status
from tests.support.pki import sample_pki
from tests.unit.cli.test_cli_commands import APPLICATION, FakeClient
from tests.unit.client.fake_gateway import refusal
from tests.unit.client.sample_case import signed


def refused(code: int, reason: str) -> RequestError:
    """An error of the gateway about an act that was signed."""
    error = error_of_status(refusal(code, reason, message="稍后 / later"))
    error.envelope = signed()
    return error


@pytest.mark.parametrize(
    ("code", "reason", "is_kept"),
    [
        (code_pb2.INTERNAL, "INTERNAL", True),
        (code_pb2.FAILED_PRECONDITION, "STATE_NOT_ALLOWED", False),
    ],
)
def test_act_of_which_nobody_knows_whether_it_was_taken_is_kept_to_be_sent_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, reason: str, is_kept: bool
) -> None:
    """The signed bytes are on disk, and standard error says how to send them again; what was refused is not kept."""
    error = refused(code, reason)

    async def work() -> Answer:
        raise error

    with pytest.raises(typer.Exit):
        acts.finish(work(), tmp_path, as_json=True)
    printed = capsys.readouterr()
    kept = list(tmp_path.iterdir())
    assert bool(kept) is is_kept
    assert ("diya submit resend" in printed.err) is is_kept
    assert json.loads(printed.out)["error"]["reason"] == reason
    if kept:
        assert error.envelope is not None
        assert read_act(kept[0]) == KeptAct(error.envelope)


@pytest.fixture
def clerk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a signer and a client that must not be reached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_signer", lambda settings: sample_pki().bank.signer())
    monkeypatch.setattr(opening, "open_client", lambda settings: FakeClient())
    monkeypatch.setenv("DIYA_CHANNEL_INSTITUTION", "91999999600001015C")
    return tmp_path


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"taxes": []}', '{"taxClearances": [{"kind": "TAX_KIND_X"}]}']
)
def test_supplement_with_a_mistake_in_its_evidence_names_the_file(clerk: Path, text: str) -> None:
    """A misspelt field is not silently left out of what is signed."""
    (clerk / "taxes.json").write_text(text)
    result = CliRunner().invoke(
        build_app(), ["application", "supplement", APPLICATION, "--evidence", "taxes.json"]
    )
    assert result.exit_code == 2, result.output
    assert "taxes.json" in result.output


def test_withdrawal_names_whom_it_is_for(clerk: Path) -> None:
    """Nobody withdraws for everybody by leaving something out."""
    assert CliRunner().invoke(build_app(), ["application", "withdraw", APPLICATION]).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--digest", "zz"],
        ["--consent", "submission.json"],
        ["--consent", "submission.json", "--digest", "00" * 32],
        ["--consent", "missing.json"],
    ],
)
def test_revocation_names_one_consent(clerk: Path, options: list[str]) -> None:
    """Exactly one, by its kept file or by its digest; a kept file of something else is none."""
    write_act(clerk / "submission.json", KeptAct(signed()))
    consent = Path(options[options.index("--consent") + 1]) if "--consent" in options else None
    digest = options[options.index("--digest") + 1] if "--digest" in options else ""
    with pytest.raises(InputError):
        party._consent_digest(consent, digest)
