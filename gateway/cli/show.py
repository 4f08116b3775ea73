"""Printing: outcomes with their findings in both languages, applications, events, certificates; or
JSON.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, Self

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from gateway.cli import outcomes
from gateway.client.files import ProgressCallback
from gateway.client.session import Answer
from gateway.pb.diya.v1 import (
    application_pb2,
    certificate_pb2,
    codes_pb2,
    envelope_pb2,
    finding_pb2,
    outcome_pb2,
    terms_pb2,
)

RESULTS_ZH: Final = {
    "BOOKED": "已登簿",
    "ACCEPTED": "已受理",
    "AWAITING_PARTIES": "尚未受理，待各方签署",
    "NOT_ACCEPTED": "不予受理",
    "REFUSED": "不予登记",
    "VALID": "校验通过",
    "DONE": "已办",
}
_CHINA: Final = timezone(timedelta(hours=8))
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
PIPE_WIDTH: Final = 200
VALUE_WIDTH: Final = 500
_STYLES: Final = {
    finding_pb2.SEVERITY_BLOCKS: "red",
    finding_pb2.SEVERITY_AWAITS: "yellow",
    finding_pb2.SEVERITY_WAITS: "yellow",
}


def console() -> Console:
    """Standard output, for people. Where it is no terminal, lines are long enough for a table's
    names.
    """
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(highlight=False, soft_wrap=True, width=width)


def remark(words: tuple[str, str] | None) -> None:
    """What people should know beside an answer (zh, en), on standard error; the answer itself may be JSON."""
    for line in words or ():
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2))


def print_json_line(data: Any) -> None:
    """One JSON document on one line, for streams."""
    typer.echo(json.dumps(data, ensure_ascii=False))


def print_fields(data: Any) -> None:
    """Nested fields for people, in the contract's order, one line a value; a long one is cut short."""
    out = console()
    for line in _field_lines(data):
        out.print(Text(line))


def whole_case(application: application_pb2.Application) -> dict[str, Any]:
    """A case with its dossier for people: the terms that the manifest holds in the place of its bytes."""
    data = to_dict(application)
    if data.get("dossier", {}).pop("manifest", None) is not None:
        manifest = envelope_pb2.Manifest.FromString(application.dossier.manifest)
        data["terms"] = to_dict(terms_pb2.Terms.FromString(manifest.terms))
    return data


def _field_lines(data: Any, indent: str = "") -> Iterator[str]:
    named = data.items() if isinstance(data, dict) else (("-", one) for one in data)
    for name, value in named:
        label = name if name == "-" else f"{name}:"
        if isinstance(value, dict | list):
            yield f"{indent}{label}"
            yield from _field_lines(value, indent + "  ")
        else:
            text = _told(str(value))
            rest = f" … ({len(text)} characters; whole with --json)" if len(text) > VALUE_WIDTH else ""
            yield f"{indent}{label} {text[:VALUE_WIDTH]}{rest}"


def _told(text: str) -> str:
    """A value for people: an instant in China time, anything else as it is."""
    return china_text(datetime.fromisoformat(text)) if _INSTANT.fullmatch(text) else text


def to_dict(message: Message) -> dict[str, Any]:
    """The protobuf JSON mapping of a message."""
    return MessageToDict(message)


def answer_to_dict(answer: Answer) -> dict[str, Any]:
    """An answer for programs: result first, then the whole outcome."""
    return {
        "requestId": answer.request_id,
        "result": answer.result,
        "receipt": receipt_state(answer),
        "outcome": to_dict(answer.outcome),
    }


def receipt_state(answer: Answer) -> str:
    """NONE (rehearsal), PENDING, VERIFIED, or VERIFIED_NOT_COMPARED (no consistency proof to be
    had).
    """
    if answer.is_pending:
        return "PENDING"
    if answer.receipt is None:
        return "NONE"
    return "VERIFIED" if answer.receipt.is_consistent else "VERIFIED_NOT_COMPARED"


def print_answer(answer: Answer) -> None:
    """An answer for people."""
    outcome = answer.outcome
    result = answer.result
    out = console()
    good = exit_status_of(answer) == outcomes.OK
    heading = f"{result}  {RESULTS_ZH.get(result, '')}"
    if outcome.validate_only:
        would_be = outcome_pb2.OutcomeResult.Name(outcome.would_be).removeprefix("OUTCOME_RESULT_")
        heading += f"  (rehearsal 仅校验; would be {would_be}, as of index {outcome.as_of_index})"
    out.print(Text(heading, style="bold green" if good else "bold red"))
    rows = [
        ("application 申请", outcome.application),
        ("case number 业务号", outcome.case_number),
        ("state 状态", state_name(outcome.state)),
        ("accepted 受理", china_time(outcome.accepted_at)),
        ("booked 登簿", china_time(outcome.booked_at)),
    ]
    if outcome.HasField("receipt"):
        rows.append(("ledger 账本", f"index {outcome.receipt.index}, {receipt_state(answer)}"))
    rows += [("certificate 证书", f"{one.number}  {one.name}") for one in outcome.certificates]
    for awaited in outcome.awaiting:
        role = finding_pb2.PartyRole.Name(awaited.role).removeprefix("PARTY_ROLE_")
        rows.append(("awaiting 待办", f"{awaited.name or awaited.institution.uscc} ({role})"))
    rows += _prediction(outcome)
    for label, value in rows:
        if value:
            out.print(Text(f"  {label:<18} {value}"))
    print_findings(outcome.findings)


def print_receipt(answer: Answer) -> None:
    """Where an act stands in the ledger, without the answer again."""
    outcome = answer.outcome
    console().print(
        Text(f"{outcome.application}  index {outcome.receipt.index}, {receipt_state(answer)}", style="bold")
    )


def _prediction(outcome: outcome_pb2.Outcome) -> list[tuple[str, str]]:
    """What a rehearsal foresees; empty where it says nothing."""
    if not outcome.HasField("prediction"):
        return []
    told = outcome.prediction
    day = china_time(told.deadline_at) if told.HasField("deadline_at") else china_day(told.deadline)
    rows = [
        ("before it 在先", str(told.cases_before)),
        ("decided by 承诺", day),
    ]
    rows += [
        ("rank 顺位", f"{one.unit_code}: {one.rank} (at worst 最低 {one.rank_at_worst})")
        for one in told.ranks
    ]
    return rows


def print_findings(findings: Iterable[finding_pb2.Finding]) -> None:
    """All findings, each in both languages with its cure."""
    out = console()
    for one in findings:
        severity = finding_pb2.Severity.Name(one.severity).removeprefix("SEVERITY_")
        where = " ".join(part for part in (one.field, one.file, one.unit_code) if part)
        out.print(Text(f"  [{severity}] {one.code}  {where}", style=_STYLES.get(one.severity, "")))
        for line in (one.zh, one.en, one.cure_zh and f"→ {one.cure_zh}", one.cure_en):
            if line:
                out.print(Text(f"      {line}"))
        if one.article:
            out.print(Text(f"      {one.article}", style="dim"))


def exit_status_of(answer: Answer) -> int:
    """0, or 3 when the law said no."""
    is_no = answer.result in {"NOT_ACCEPTED", "REFUSED"}
    return outcomes.REFUSED_BY_LAW if is_no else outcomes.OK


def applications_table(applications: Iterable[application_pb2.Application]) -> Table:
    """Applications, one a row."""
    table = Table()
    table.add_column("Application 申请", no_wrap=True, overflow="fold")  # to be copied into a command
    for heading in ("Kind 种类", "State 状态", "Case no. 业务号", "Units 单元", "Due 期限"):
        table.add_column(heading, overflow="fold")
    for one in applications:
        table.add_row(
            one.name.rpartition("/")[2],
            codes_pb2.ApplicationKind.Name(one.kind).removeprefix("APPLICATION_KIND_"),
            state_name(one.state),
            one.case_number,
            "\n".join(one.unit_codes),
            china_time(one.deadline_at) if one.HasField("deadline_at") else china_day(one.deadline),
        )
    return table


def certificates_table(certificates: Iterable[certificate_pb2.Certificate]) -> Table:
    """Certificates, one a row."""
    table = Table()
    table.add_column("Identifier 证照标识", no_wrap=True, overflow="fold")
    for heading in ("Number 证号", "Kind 种类", "State 状态", "Booked 登簿"):
        table.add_column(heading, overflow="fold")
    for one in certificates:
        table.add_row(
            one.identifier,
            one.number,
            certificate_pb2.CertificateKind.Name(one.kind).removeprefix("CERTIFICATE_KIND_"),
            certificate_pb2.Certificate.State.Name(one.state).removeprefix("STATE_")
            + (" 等待时间戳 awaits a time stamp" if one.seal_wait else ""),
            china_time(one.booked_at),
        )
    return table


def event_line(event: outcome_pb2.Event) -> Text:
    """An event on one line."""
    kind = outcome_pb2.EventKind.Name(event.kind).removeprefix("EVENT_KIND_")
    about = event.certificate or event.application or event.unit_code
    return Text(f"{event.sequence:>6}  {china_time(event.time)}  {kind:<22} {about}")


def state_name(state: application_pb2.Application.State.ValueType) -> str:
    """The state without its prefix; empty when unspecified."""
    return application_pb2.Application.State.Name(state).removeprefix("STATE_") if state else ""


def time_text(stamp: Timestamp) -> str:
    """An instant for programs, RFC 3339 in UTC; empty when absent."""
    return stamp.ToJsonString() if stamp.seconds else ""


def china_time(stamp: Timestamp) -> str:
    """An instant for people, see `china_text`; empty when absent."""
    return china_text(stamp.ToDatetime(tzinfo=UTC)) if stamp.seconds else ""


def china_day(day: Date) -> str:
    """A day for people; empty when absent."""
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}" if day.year else ""


def china_text(instant: datetime) -> str:
    """An instant for people: China time to the second, with its offset, as the certificates print it. Programs get RFC
    3339 in UTC with --json.
    """
    return instant.astimezone(_CHINA).isoformat(sep=" ", timespec="seconds")


def from_china(told: datetime | None) -> datetime | None:
    """What a person wrote as a time in China, as an instant."""
    return None if told is None else told.replace(tzinfo=_CHINA)


class Transfers:
    """Progress of transfers on standard error, one bar each, from the first byte on: what fails before it, or needs
    none, shows none. Nothing at all where standard error is no terminal.
    """

    def __init__(self, *, hidden: bool) -> None:
        self.console = Console(stderr=True)
        self._hidden = hidden or not self.console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), _Speed(), console=self.console
        )

    def bar(self, description: str) -> ProgressCallback:
        """The progress callback of one transfer."""
        task: TaskID | None = None

        def update(done: int, total: int) -> None:
            nonlocal task
            if self._hidden:
                return
            if task is None:
                self._bars.start()
                task = self._bars.add_task(description, total=total)
            self._bars.update(task, completed=done, total=total)

        return update

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bars.live.is_started:
            self._bars.stop()


class _Speed(TransferSpeedColumn):
    """The speed while there is one: a file that was there already moved no byte."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.finished_speed or task.speed else Text()
