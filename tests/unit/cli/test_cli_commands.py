"""The command line through a fake client: help, application files, exit statuses, what is
printed.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2
from rich.console import Console
from typer.testing import CliRunner

from gateway.cli import opening, outcomes, show
from gateway.cli.app import build_app
from gateway.cli.application_file import parse_file_option, read_application, terms_of
from gateway.cli.settings import ClientSettings, load_settings
from gateway.client.errors import InputError, ReceiptInvalid, RequestError
from gateway.client.files import SIGNATURE, UploadedFile
from gateway.client.payloads import manifest_of
from gateway.client.receipt_file import KeptAct, read_act, write_act
from gateway.client.session import Answer
from gateway.client.status import error_of_status
from gateway.pb.diya.v1 import application_pb2, file_pb2, finding_pb2, outcome_pb2
from signing.envelope import Envelope
from tests.support.pki import BANK_USCC, NOW, sample_pki
from tests.unit.client.fake_gateway import refusal
from tests.unit.client.sample_case import sample_terms, signed
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger

runner = CliRunner()
APPLICATION = f"registries/{REGISTRY}/applications/0192f0c1-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """The whole command tree."""
    return build_app()


class FakeSession:
    """Ids and times for a fake client."""

    def new_request_id(self) -> str:
        """Always the same."""
        return "00000000-0000-4000-8000-000000000001"

    def clock(self) -> Any:
        """Always the same."""
        return NOW

    def name(self, collection: str, identifier: str) -> str:
        """A resource name."""
        return f"registries/{REGISTRY}/{collection}/{identifier}"


class FakeClient:
    """Answers a submission as told."""

    def __init__(self) -> None:
        self.session = FakeSession()
        self.outcome = outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_BOOKED, application=APPLICATION)
        self.error: Exception | None = None
        self.sent: list[Envelope] = []
        self.uploaded: list[Path] = []

    async def upload_file(
        self, path: Path, *, media_type: str = "", signs: bytes = b"", progress: Any = None
    ) -> UploadedFile:
        """Has everything at once."""
        self.uploaded.append(path)
        assert (media_type == SIGNATURE) is bool(signs)
        progress(3, 3)
        problem = file_pb2.FileProblem(code="FILE_XFA", zh="含XFA", en="has XFA")
        file = file_pb2.File(verdict=file_pb2.FileVerdict(problems=[problem]))
        return UploadedFile(hashlib.sha256(path.name.encode()).digest(), 3, file, signs)

    async def submit(self, envelope: Envelope, sections: Any = ()) -> Answer:
        """The answer, or the error."""
        self.sent.append(envelope)
        if self.error:
            raise self.error
        return Answer(envelope, self.outcome, None)

    async def complete(self, answer: Answer, *, again: bool = False) -> Answer:
        """Nothing new."""
        return answer

    async def list_applications(self, **filters: Any) -> AsyncIterator[application_pb2.Application]:
        """Two cases."""
        for state in filters["states"] or (application_pb2.Application.STATE_BOOKED,):
            yield application_pb2.Application(name=APPLICATION, state=state)

    async def watch_events(self, after: int, **options: Any) -> AsyncIterator[outcome_pb2.Event]:
        """Two events."""
        for sequence in (after + 1, after + 2):
            event = outcome_pb2.Event(sequence=sequence, kind=outcome_pb2.EVENT_KIND_BOOKED)
            event.time.FromJsonString("2026-11-30T23:30:00.123456Z")
            yield event


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """A fake in the place of every connection."""
    fake = FakeClient()

    @asynccontextmanager
    async def open_client(settings: ClientSettings) -> AsyncIterator[FakeClient]:
        yield fake

    monkeypatch.setattr(opening, "open_client", open_client)
    monkeypatch.setattr(opening, "open_signer", lambda settings: sample_pki().bank.signer())
    monkeypatch.setenv("DIYA_REGISTRY", REGISTRY)
    monkeypatch.setenv("DIYA_CHANNEL_INSTITUTION", BANK_USCC)
    return fake


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application file with one paper beside it, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "id.pdf").write_bytes(b"pdf")
    (tmp_path / "loan.json").write_bytes(b"{}")
    path = tmp_path / "case.json"
    write_application(path)
    return path


def write_application(path: Path, **changes: Any) -> None:
    """The sample terms as protobuf JSON, with header fields, a paper and a section."""
    data: dict[str, Any] = {
        "header": {"clerk": {"name": "经办员", "employeeNumber": "A-001"}},
        "terms": MessageToDict(sample_terms()),
        "files": [{"paperCode": "IDENTITY", "path": "id.pdf", "parties": ["owner"]}],
        "sections": [{"name": "loan", "path": "loan.json"}],
        "answers": [{"party": "owner", "question": "TRUE_INTENT", "answer": "是"}],
    }
    data.update(changes)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


# -- papers ------------------------------------------------------------------------------------


def test_signatures_beside_a_paper_are_uploaded_after_it_and_name_it(
    app: typer.Typer, client: FakeClient, application: Path, tmp_path: Path
) -> None:
    """Any suffix will do for a signature; the manifest says over which file it is, under the same code."""
    for name in ("scan.tif", "people.p7s", "bank.signed"):
        (tmp_path / name).write_bytes(b"x")
    scan = {"paperCode": "MORTGAGE_CONTRACT", "path": "scan.tif", "signatures": ["people.p7s", "bank.signed"]}
    write_application(application, files=[scan])
    runner.invoke(app, ["submit", "mortgage", str(application)])
    assert [one.name for one in client.uploaded] == ["scan.tif", "people.p7s", "bank.signed"]
    named = manifest_of(client.sent[0]).files
    digest = hashlib.sha256(b"scan.tif").digest()
    assert [one.signs for one in named] == [b"", digest, digest]
    assert {one.paper_code for one in named} == {"MORTGAGE_CONTRACT"}


# -- help --------------------------------------------------------------------------------------


def commands(group: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        yield (*prefix, name), command


def test_help_of_every_command_renders_with_an_example(
    app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's help says what it does, and each leaf shows an example."""
    tree = typer.main.get_command(app)  # once: the runner would build all of it anew for each command
    found = list(commands(tree))
    assert len(found) > 40
    for words, command in found:
        assert tree.main([*words, "--help"], prog_name="diya", standalone_mode=False) == 0, words
        assert "--help" in capsys.readouterr().out, words
        assert command.help, words
        if not hasattr(command, "commands"):
            assert "Example" in command.help, words


def test_help_of_the_root_documents_the_exit_statuses(app: typer.Typer) -> None:
    """A script's author finds the statuses in --help."""
    result = runner.invoke(app, ["--help"])
    assert "Exit status" in result.output


# -- settings and application files ------------------------------------------------------------


def test_settings_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values come from the file, paths relative to it, and the environment overrides."""
    path = tmp_path / "diya-client.toml"
    path.write_text(
        'target = "a:1"\nregistry = "r"\ntrust = "trust"\n[clerk]\nname = "甲"\n', encoding="utf-8"
    )
    monkeypatch.setenv("DIYA_TARGET", "b:2")
    settings = load_settings(path)
    assert (settings.target, settings.registry, settings.clerk.name) == ("b:2", "r", "甲")
    assert settings.trust == tmp_path / "trust"


@pytest.mark.parametrize("text", ["targt = 'a'", "target = 1.5", "not toml"])
def test_settings_with_a_mistake_are_refused(tmp_path: Path, text: str) -> None:
    """A misspelt setting is not silently ignored."""
    path = tmp_path / "diya-client.toml"
    path.write_text(text)
    with pytest.raises(InputError):
        load_settings(path)


def test_settings_missing_one_names_the_ways_to_set_it() -> None:
    """What a command lacks is named with its file and its variable."""
    with pytest.raises(InputError, match="DIYA_TARGET"):
        ClientSettings().text("target")


def test_application_file_reads_all_its_parts(application: Path) -> None:
    """Terms, header, papers, sections and answers are read from one file."""
    read = read_application(application)
    assert read.terms == sample_terms()
    assert read.manifest.header.clerk.name == "经办员"
    assert read.files[0].path == application.parent / "id.pdf"
    assert read.sections[0][1].content == b"{}"
    assert read.answers[0].question == "TRUE_INTENT"


def test_application_file_terms_are_the_same_bytes_every_time(application: Path) -> None:
    """Forms and submission bind to one serialization."""
    settings = ClientSettings(registry=REGISTRY)
    assert terms_of(read_application(application), settings) == terms_of(
        read_application(application), settings
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": {"unitz": []}},
        {"terms": {"loanKind": "LOAN_KIND_NICE"}},
        {"terms": "bytes"},
        {"header": {"clerk": 5}},
        {"files": [{"path": "id.pdf"}]},
        {"sections": [{"name": "loan", "path": "missing.json"}]},
        {"something": 1},
    ],
)
def test_application_file_with_a_mistake_is_refused(application: Path, changes: dict[str, Any]) -> None:
    """A misspelt field, an unknown value or a missing file is named, not ignored."""
    write_application(application, **changes)
    with pytest.raises(InputError, match=r"case\.json"):
        read_application(application)


@pytest.mark.parametrize("text", ["contract.pdf", "=contract.pdf", "CODE="])
def test_file_option_without_code_or_path_is_refused(text: str) -> None:
    """--file is CODE=PATH."""
    with pytest.raises(InputError):
        parse_file_option(text)


# -- submit ------------------------------------------------------------------------------------


def test_submit_signs_uploads_and_keeps_the_receipt(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """One command uploads, signs, submits and keeps what was sent and answered."""
    (application.parent / "c.pdf").write_bytes(b"pdf")
    result = runner.invoke(
        app, ["submit", "mortgage", "case.json", "--file", "MORTGAGE_CONTRACT=c.pdf", "--json"]
    )
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["result"] == "BOOKED"
    manifest = manifest_of(client.sent[0])
    assert [one.paper_code for one in manifest.files] == ["IDENTITY", "MORTGAGE_CONTRACT"]
    assert manifest.header.applicant_institution == BANK_USCC
    assert manifest.header.request_id == printed["requestId"]
    kept = read_act(Path(printed["file"]))
    assert kept.envelope == client.sent[0]
    assert kept.sections[0].name == "loan"


def test_submit_rehearsal_is_signed_as_one(app: typer.Typer, client: FakeClient, application: Path) -> None:
    """--validate-only stands inside the signed bytes."""
    client.outcome = outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_VALID, validate_only=True)
    result = runner.invoke(app, ["submit", "mortgage", "case.json", "--validate-only"])
    assert result.exit_code == 0, result.output
    assert manifest_of(client.sent[0]).header.validate_only
    assert "校验通过" in result.output


@pytest.mark.parametrize(
    ("result_value", "status"),
    [
        (outcome_pb2.OUTCOME_RESULT_BOOKED, 0),
        (outcome_pb2.OUTCOME_RESULT_ACCEPTED, 0),
        (outcome_pb2.OUTCOME_RESULT_AWAITING_PARTIES, 0),
        (outcome_pb2.OUTCOME_RESULT_NOT_ACCEPTED, 3),
        (outcome_pb2.OUTCOME_RESULT_REFUSED, 3),
    ],
)
def test_submit_exit_status_follows_the_law(
    app: typer.Typer, client: FakeClient, application: Path, result_value: Any, status: int
) -> None:
    """The law's no is status 3, with all findings in both languages; the rest is 0."""
    client.outcome.result = result_value
    client.outcome.findings.add(
        code="N-INCOMPLETE",
        zh="缺少抵押合同",
        en="mortgage contract is missing",
        cure_zh="请补充",
        severity=finding_pb2.SEVERITY_BLOCKS,
    )
    result = runner.invoke(app, ["submit", "mortgage", "case.json"])
    assert result.exit_code == status
    for text in ("N-INCOMPLETE", "缺少抵押合同", "mortgage contract is missing", "请补充"):
        assert text in result.output


def error(code: int, reason: str, seconds: float | None = None) -> RequestError:
    """An error of the gateway."""
    return error_of_status(
        refusal(
            code,
            reason,
            message="单元号格式错误 / unit code malformed",
            retry_seconds=seconds,
            violations=(("terms.units[0]", "28 位 / 28 characters"),),
        )
    )


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (InputError("bad", "错"), 2),
        (error(code_pb2.INVALID_ARGUMENT, "UNIT_CODE_MALFORMED"), 4),
        (error(code_pb2.PERMISSION_DENIED, "KEY_WITHOUT_ROLE"), 4),
        (error(code_pb2.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"), 4),
        (error(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", 0.5), 5),
        (error(code_pb2.UNAVAILABLE, "SHUTTING_DOWN", 2), 5),
        (error(code_pb2.DEADLINE_EXCEEDED, "DEADLINE_PASSED"), 5),
        (error(code_pb2.INTERNAL, "INTERNAL"), 5),  # perhaps it was taken: to be sent again
        (ReceiptInvalid(5, "other root", "根不符"), 1),
    ],
)
def test_submit_exit_status_follows_the_error(
    app: typer.Typer, client: FakeClient, application: Path, raised: Exception, status: int
) -> None:
    """Each kind of failure has its status; the request is kept to be sent again."""
    client.error = raised
    result = runner.invoke(app, ["submit", "mortgage", "case.json", "--json"])
    assert result.exit_code == status
    told = json.loads(result.stdout)["error"]
    (kept,) = (application.parent / "receipts").iterdir()
    says_so = f"diya submit resend receipts/{kept.name}" in result.stderr
    has_file = told["metadata"].get("kept") == f"receipts/{kept.name}"
    is_unsettled = isinstance(raised, RequestError) and (raised.is_outcome_unknown or raised.may_retry)
    assert says_so is has_file is is_unsettled
    assert read_act(kept).answer is None
    client.error = None
    again = runner.invoke(app, ["submit", "resend", str(kept)])
    assert again.exit_code == 0, again.output
    assert client.sent[0] == client.sent[1]
    assert read_act(kept).answer is not None


def test_submit_error_shows_both_languages_and_every_violation(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """The clerk and the developer each find their line."""
    client.error = error(code_pb2.INVALID_ARGUMENT, "UNIT_CODE_MALFORMED")
    result = runner.invoke(app, ["submit", "mortgage", "case.json"])
    for text in ("单元号格式错误", "unit code malformed", "terms.units[0]", "UNIT_CODE_MALFORMED"):
        assert text in result.output


def test_submit_bad_usage_is_status_2(app: typer.Typer, client: FakeClient, application: Path) -> None:
    """A missing file or a wrong option is bad usage."""
    for arguments in (["missing.json"], ["case.json", "--file", "x"], ["--no-such-option"], []):
        assert runner.invoke(app, ["submit", "mortgage", *arguments]).exit_code == 2
    assert client.sent == []


def test_submit_file_of_another_kind_is_refused(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """A file that says that it is a release is not sent as a mortgage."""
    write_application(application, kind="APPLICATION_KIND_MORTGAGE_RELEASE")
    assert runner.invoke(app, ["submit", "mortgage", "case.json"]).exit_code == 2


# -- other commands ----------------------------------------------------------------------------


def test_application_list_filters_by_state(app: typer.Typer, client: FakeClient) -> None:
    """States are named without their prefix; an unknown one is bad usage."""
    result = runner.invoke(app, ["application", "list", "--state", "in-review", "--json"])
    assert json.loads(result.stdout)[0]["state"] == "STATE_IN_REVIEW"
    assert runner.invoke(app, ["application", "list", "--state", "lost"]).exit_code == 2
    table = runner.invoke(app, ["application", "list"]).output
    assert "BOOKED" in table
    assert APPLICATION.rpartition("/")[2] in table


def test_watch_keeps_the_last_sequence(app: typer.Typer, client: FakeClient, tmp_path: Path) -> None:
    """The state file makes the next run go on after the last event."""
    state = tmp_path / "last.txt"
    arguments = ["watch", "--catch-up-only", "--state", str(state), "--json"]
    first = runner.invoke(app, arguments)
    second = runner.invoke(app, arguments)
    lines = [json.loads(line) for line in (first.stdout + second.stdout).splitlines()]
    assert [line["sequence"] for line in lines] == ["1", "2", "3", "4"]
    assert state.read_text() == "4\n"


def kept_receipt(path: Path) -> SampleLedger:
    """A kept act with its receipt, and the ledger that it is in."""
    ledger = SampleLedger()
    ledger.fill(2)
    envelope = signed()
    outcome = outcome_pb2.Outcome(result=outcome_pb2.OUTCOME_RESULT_BOOKED, application=APPLICATION)
    outcome.receipt.CopyFrom(ledger.receipt(ledger.append_act(envelope, outcome)))
    write_act(path, KeptAct.of_answer(Answer(envelope, outcome, None)))
    return ledger


def test_receipt_verify_offline_says_which_check_fails(app: typer.Typer, tmp_path: Path) -> None:
    """A receipt verifies with the trust folder alone; another key makes check 3 red."""
    path, trust = tmp_path / "receipt.json", tmp_path / "trust"
    ledger = kept_receipt(path)
    trust.mkdir()
    vkey = trust / f"{REGISTRY}.vkey"
    vkey.write_text(ledger.signer.vkey)
    arguments = ["receipt", "verify", str(path), "--trust", str(trust)]
    good = runner.invoke(app, [*arguments, "--json"])
    assert good.exit_code == 0, good.output
    assert json.loads(good.stdout)["index"] == 2
    assert "✓ 9" in runner.invoke(app, arguments).output
    vkey.write_text(SampleLedger(seed=9).signer.vkey)
    bad = runner.invoke(app, arguments)
    assert bad.exit_code == 1
    assert "✗ 3" in bad.output
    assert "第 3 项" in bad.output


def test_receipt_complete_of_a_complete_file_verifies_it(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there already is verified and said to be, without any call."""
    path = tmp_path / "receipt.json"
    ledger = kept_receipt(path)
    (tmp_path / f"{REGISTRY}.vkey").write_text(ledger.signer.vkey)
    monkeypatch.setenv("DIYA_TRUST", str(tmp_path))
    result = runner.invoke(app, ["receipt", "complete", str(path)])
    assert result.exit_code == 0, result.output
    assert "index 2, VERIFIED" in result.stdout


def test_receipt_that_is_to_come_is_fetched_by_a_command_that_is_named(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """A pending answer names `receipt complete`; that one says where it stands, without the findings again."""
    client.outcome.receipt.pending = True
    client.outcome.receipt.index = 21
    client.outcome.findings.add(code="M-REFER", zh="转人工", en="a person decides")
    result = runner.invoke(app, ["submit", "mortgage", "case.json"])
    (kept,) = (application.parent / "receipts").iterdir()
    assert f"diya receipt complete receipts/{kept.name}" in result.stdout
    waiting = runner.invoke(app, ["receipt", "complete", str(kept)])
    assert waiting.exit_code == 5
    assert "index 21, PENDING" in waiting.stdout
    assert "M-REFER" not in waiting.stdout


def test_rehearsal_has_no_receipt_to_complete(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """That is said, and nothing is asked."""
    client.outcome.validate_only = True
    runner.invoke(app, ["submit", "mortgage", "case.json", "--validate-only"])
    (kept,) = (application.parent / "receipts").iterdir()
    result = runner.invoke(app, ["receipt", "complete", str(kept)])
    assert result.exit_code == 2
    assert "rehearsal" in result.stderr


def test_times_are_chinas_for_people_and_utc_for_programs(app: typer.Typer, client: FakeClient) -> None:
    """To the second and with the offset, as on the certificates; --json stays RFC 3339 in UTC."""
    told = runner.invoke(app, ["watch", "--catch-up-only"]).stdout
    assert "2026-12-01 07:30:00+08:00" in told
    event = runner.invoke(app, ["watch", "--catch-up-only", "--json"]).stdout.splitlines()[0]
    assert json.loads(event)["time"] == "2026-11-30T23:30:00.123456Z"


def test_fields_for_people_have_chinas_times(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a whole message is printed."""
    show.print_fields({"acceptedAt": "2026-11-30T23:30:00.123456Z", "note": "2026-11-30"})
    assert capsys.readouterr().out == "acceptedAt: 2026-12-01 07:30:00+08:00\nnote: 2026-11-30\n"


def test_nothing_but_the_error_is_on_standard_error(
    app: typer.Typer, client: FakeClient, application: Path
) -> None:
    """No empty bar before a file that fails, no empty line before an error."""
    client.error = error(code_pb2.INVALID_ARGUMENT, "UNIT_CODE_MALFORMED")
    write_application(application, files=[])
    result = runner.invoke(app, ["submit", "mortgage", "case.json"])
    assert result.stderr.startswith("UNIT_CODE_MALFORMED")


def test_bar_of_a_transfer_begins_with_its_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal too nothing is drawn for what never began, and what is done has no question mark."""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=100)
    monkeypatch.setattr(show, "Console", lambda **_: terminal)
    with show.Transfers(hidden=False) as transfers:
        transfers.bar("never.pdf")
    assert out.getvalue() == ""
    with show.Transfers(hidden=False) as transfers:
        transfers.bar("there.pdf")(3, 3)
    assert "there.pdf" in out.getvalue()
    assert "?" not in out.getvalue().replace("?25", "")  # but for the cursor's codes


def test_receipt_verify_of_a_foreign_file_is_bad_usage(app: typer.Typer, tmp_path: Path) -> None:
    """A file that is no kept act is not a failed proof."""
    path = tmp_path / "receipt.json"
    path.write_text("{}")
    result = runner.invoke(app, ["receipt", "verify", str(path), "--trust", str(tmp_path)])
    assert result.exit_code == 2


def test_root_config_serves_the_command_after_it(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`diya --config FILE command` and `diya command --config FILE` mean the same; the latter
    wins.
    """
    seen: list[ClientSettings] = []

    @asynccontextmanager
    async def open_client(settings: ClientSettings) -> AsyncIterator[FakeClient]:
        seen.append(settings)
        yield FakeClient()

    monkeypatch.setattr(opening, "open_client", open_client)
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text('target = "one:1"')
    two.write_text('target = "two:2"')
    runner.invoke(app, ["--config", str(one), "application", "list"])
    runner.invoke(app, ["--config", str(one), "application", "list", "--config", str(two)])
    runner.invoke(app, ["--config", str(tmp_path / "none.toml"), "application", "list"])
    assert [settings.target for settings in seen] == ["one:1", "two:2"]


def test_exit_status_of_an_unknown_failure_is_1() -> None:
    """What nobody foresaw is a failure."""
    assert outcomes.exit_status(RuntimeError()) == outcomes.FAILED
