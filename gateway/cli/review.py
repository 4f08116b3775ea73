"""`diya review`: a registrar's work, each act signed with the registrar's own key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import ParseDict
from rich.table import Table

from gateway.cli import opening, outcomes, show
from gateway.cli.acts import RECEIPTS, NameArgument, ReceiptsOption, finish
from gateway.cli.application import parse_state
from gateway.cli.reading import FAULTS, read_json
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.dossier import Dossier
from gateway.client.errors import InputError
from gateway.client.local_files import not_such_a_file
from gateway.client.replay import replay_application
from gateway.client.review import ReviewClient
from gateway.client.session import Answer
from gateway.pb.diya.v1 import application_pb2, finding_pb2, outcome_pb2, review_service_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="Review cases as a registrar. 审核。\n\n"
    "Every act reads the case first and states the last ledger entry "
    "seen: when something was entered in between, look again.",
)

OpinionOption = Annotated[str, typer.Option("--opinion", help="Opinion for the file 审核意见.")]
FindingOption = Annotated[
    list[str] | None,
    typer.Option("--finding", metavar="CODE=TEXT", help="A finding by code and text. May be repeated."),
]
FindingsOption = Annotated[
    Path | None,
    typer.Option("--findings", help="JSON array of findings (protobuf JSON), with zh, en and cures."),
]
_FINDINGS: Final = (
    "an array of findings (protobuf JSON of diya.v1.Finding)",
    "审查意见的 JSON 数组（diya.v1.Finding 的 protobuf JSON）",
)
Act = Callable[[ReviewClient, Dossier], Awaitable[Answer]]


@app.command("queue")
def queue(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state. May be repeated.")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only cases that I have claimed.")] = False,
    unclaimed: Annotated[bool, typer.Option("--unclaimed", help="Only cases nobody has claimed.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the cases that wait for a person, in order of acceptance (待审列表).

    \b
    Example:
      diya review queue --unclaimed
    """

    async def work() -> list[application_pb2.Application]:
        states = [parse_state(one) for one in state or ()]
        async with opening.open_review(load_settings(config)) as review:
            listed = review.list_queue(states=states, mine=mine, unclaimed=unclaimed)
            return [one async for one in listed]

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
    else:
        show.console().print(show.applications_table(found))


@app.command("show")
def show_case(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the whole case: application, terms, findings, files with verdicts, later acts (全卷).

    Without --json the manifest's bytes are left out, and its terms shown in their place.

    \b
    Example:
      diya review show 0192f0c1-… --json | jq .findings
    """

    async def work() -> Dossier:
        async with opening.open_review(load_settings(config)) as review:
            return await review.open(name)

    found = outcomes.run(work(), as_json=as_json)
    data = show.to_dict(found.application)
    if as_json:
        show.print_json(data)
        return
    show.print_fields(show.whole_case(found.application))


@app.command("claim")
def claim(
    name: NameArgument,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a case from the queue (领取).

    \b
    Example:
      diya review claim 0192f0c1-…
    """
    _act(lambda review, dossier: review.claim(dossier), name, receipts, config, as_json)


@app.command("unclaim")
def unclaim(
    name: NameArgument,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a case back to the queue (退回).

    \b
    Example:
      diya review unclaim 0192f0c1-…
    """
    _act(lambda review, dossier: review.unclaim(dossier), name, receipts, config, as_json)


@app.command("approve")
def approve(
    name: NameArgument,
    opinion: OpinionOption = "",
    no_book: Annotated[
        bool, typer.Option("--no-book", help="Approve only; a second person books 由他人登簿.")
    ] = False,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a case, and book it when no gate is closed (同意登记).

    \b
    Example:
      diya review approve 0192f0c1-… --opinion "符合登记条件"
    """

    async def act(review: ReviewClient, dossier: Dossier) -> Answer:
        return await review.approve(dossier, book=not no_book, opinion=opinion)

    _act(act, name, receipts, config, as_json)


@app.command("refuse")
def refuse(
    name: NameArgument,
    finding: FindingOption = None,
    findings: FindingsOption = None,
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a case in writing, on at least one R- ground (不予登记). Exits with 3 when it was
    refused.

    \b
    Example:
      diya review refuse 0192f0c1-… --finding "R-SEIZED=该不动产已被查封"
    """

    async def act(review: ReviewClient, dossier: Dossier) -> Answer:
        return await review.refuse(dossier, _findings(finding, findings), opinion=opinion)

    _act(act, name, receipts, config, as_json)


@app.command("request-supplement")
def request_supplement(
    name: NameArgument,
    finding: FindingOption = None,
    findings: FindingsOption = None,
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for papers: once, for everything (要求补充材料).

    \b
    Example:
      diya review request-supplement 0192f0c1-… --finding "N-INCOMPLETE=请补充抵押合同"
    """

    async def act(review: ReviewClient, dossier: Dossier) -> Answer:
        return await review.request_supplement(dossier, _findings(finding, findings), opinion=opinion)

    _act(act, name, receipts, config, as_json)


@app.command("suspend")
def suspend(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="S- code, such as S-INVESTIGATION.")],
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Suspend a case for an inquiry or a correction (中止办理).

    \b
    Example:
      diya review suspend 0192f0c1-… --reason S-INVESTIGATION
    """

    async def act(review: ReviewClient, dossier: Dossier) -> Answer:
        return await review.suspend(dossier, reason, opinion=opinion)

    _act(act, name, receipts, config, as_json)


@app.command("resume")
def resume(
    name: NameArgument,
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a suspension (恢复办理).

    \b
    Example:
      diya review resume 0192f0c1-…
    """

    async def act(review: ReviewClient, dossier: Dossier) -> Answer:
        return await review.resume(dossier, opinion=opinion)

    _act(act, name, receipts, config, as_json)


@app.command("replay")
def replay(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Decide every act of a case once more, as of then, and compare with the ledger (复演).

    For registrars and auditors; signs nothing. Exits with 1 when a decision comes out otherwise, or
    cannot be made again.

    \b
    Example:
      diya review replay 0192f0c1-…
    """

    async def work() -> Sequence[review_service_pb2.ReplayedDecision]:
        async with opening.open_session(load_settings(config)) as session:
            return await replay_application(session, name)

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
    else:
        show.console().print(_replay_table(found))
    if not all(one.same for one in found):
        raise typer.Exit(outcomes.FAILED)


def _replay_table(found: Sequence[review_service_pb2.ReplayedDecision]) -> Table:
    table = Table("Entry 记录", "Kind 种类", "Result 结果", "Rules 规则集", "Replay 复演")
    for one in found:
        told = one.not_replayed or "\n".join(one.differences) or "same 一致"
        result = outcome_pb2.OutcomeResult.Name(one.result).removeprefix("OUTCOME_RESULT_")
        table.add_row(str(one.index), one.kind, result, str(one.rule_version or "-"), told)
    return table


@app.command("confirm-lapse")
def confirm_lapse(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A unit of the pre-notice, 28 characters.")],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="Its right id, as GetUnit tells it.")],
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm that a pre-notice past its 90 days has lapsed; it ends (确认预告登记失效).

    \b
    Example:
      diya review confirm-lapse 320281001001GB00001F00010001 57.2 --opinion "逾期未申请本登记"
    """

    async def work() -> Answer:
        async with opening.open_review(load_settings(config)) as review:
            return await review.confirm_lapse(unit, right, opinion=opinion)

    finish(work(), receipts, as_json=as_json)


@app.command("registrable")
def registrable(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A unit of the pre-notice, 28 characters.")],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="Its right id, as GetUnit tells it.")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Day in China.")],
    evidence: Annotated[str, typer.Option("--evidence", help="What it rests on.")],
    opinion: OpinionOption = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """State from when the final registration is possible: a pre-notice's 90 days run from it (可申请登记之日).

    \b
    Example:
      diya review registrable 320281001001GB00001F00010001 57.2 --from 2026-07-03 \\
          --evidence "首次登记 20260703…"
    """

    async def work() -> Answer:
        async with opening.open_review(load_settings(config)) as review:
            return await review.registrable(unit, right, since.date(), evidence, opinion=opinion)

    finish(work(), receipts, as_json=as_json)


def _act(act: Act, name: str, receipts: Path, config: Path | None, as_json: bool) -> None:
    async def work() -> Answer:
        async with opening.open_review(load_settings(config)) as review:
            return await act(review, await review.open(name))

    finish(work(), receipts, as_json=as_json)


def _findings(options: list[str] | None, path: Path | None) -> list[finding_pb2.Finding]:
    """Findings of --finding and --findings together. Raises InputError when there is none."""
    found = []
    if path is not None:
        listed = read_json(path, *_FINDINGS)
        try:
            if not isinstance(listed, list):
                raise ValueError("an array […] is expected")
            found += [ParseDict(one, finding_pb2.Finding()) for one in listed]
        except FAULTS as error:
            raise not_such_a_file(path, error, *_FINDINGS) from error
    for option in options or ():
        code, equals, text = option.partition("=")
        if not equals or not text:
            raise InputError(
                f"--finding {option}: CODE=TEXT is expected", f"--finding {option}：应为 代码=说明"
            )
        found.append(finding_pb2.Finding(code=code, zh=text, en=text))
    if not found:
        raise InputError("at least one --finding CODE=TEXT is needed", "至少需要一个 --finding 代码=说明")
    return found
