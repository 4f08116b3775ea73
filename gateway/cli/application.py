"""`diya application`: what became of one's cases, and what their applicants do on them later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.acts import RECEIPTS, NameArgument, ReceiptsOption, finish
from gateway.cli.application_file import PaperFile, parse_file_option
from gateway.cli.papers import upload
from gateway.cli.reading import read_message
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.dossier import open_dossier
from gateway.client.errors import InputError
from gateway.client.session import Answer
from gateway.client.submissions import KINDS
from gateway.pb.diya.v1 import application_pb2, codes_pb2, terms_pb2

FileOption = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="CODE=PATH", help="A paper by its code. May be repeated."),
]

app = typer.Typer(
    no_args_is_help=True,
    help="Look at applications, add papers to them, withdraw them. 查询、补充、撤回登记申请。",
)


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="Resource name, or the id at its end.")],
    full: Annotated[bool, typer.Option("--full", help="Everything, with the dossier.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one application (查询申请).

    \b
    Example:
      diya application get 0192f0c1-…
    """

    async def work() -> application_pb2.Application:
        async with opening.open_client(load_settings(config)) as client:
            return await client.get_application(name, full=full)

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(found))
        return
    if full:
        show.print_fields(show.whole_case(found))
        return
    out = show.console()
    out.print(Text(f"{found.name}  {show.state_name(found.state)}", style="bold"))
    for label, value in (
        ("case number 业务号", found.case_number),
        ("units 单元", "、".join(found.unit_codes)),
        ("accepted 受理", show.china_time(found.milestones.accepted_at)),
        ("booked 登簿", show.china_time(found.milestones.booked_at)),
        ("decided by 登簿人", found.booked_by),
        ("certificates 证书", "、".join(found.certificates)),
    ):
        if value:
            out.print(Text(f"  {label:<18} {value}"))
    for leg in found.funds_legs:
        state = application_pb2.FundsLegStanding.State.Name(leg.state).removeprefix("STATE_")
        out.print(Text(f"  {'leg 付款':<17} {leg.leg}. {state}  {leg.reason_zh}  {leg.reason_en}"))
    show.print_findings(found.findings)


@app.command("list")
def list_applications(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only in this state, such as IN_REVIEW. Repeatable."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help=f"Only of this kind: {', '.join(KINDS)}.")
    ] = None,
    unit: Annotated[str, typer.Option("--unit", help="Only on this unit, 28 characters.")] = "",
    case_number: Annotated[str, typer.Option("--case-number", help="Only with this number 业务号.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List applications, newest first (申请列表).

    \b
    Example:
      diya application list --state IN_REVIEW --state ACCEPTED
    """

    async def work() -> list[application_pb2.Application]:
        found: list[application_pb2.Application] = []
        states = [parse_state(one) for one in state or ()]
        kinds = [_kind(one) for one in kind or ()]
        async with opening.open_client(load_settings(config)) as client:
            async for one in client.list_applications(
                states=states, kinds=kinds, unit_code=unit, case_number=case_number
            ):
                found.append(one)
                if len(found) == limit:
                    break
        return found

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
    else:
        show.console().print(show.applications_table(found))


@app.command("supplement")
def supplement(
    name: NameArgument,
    file: FileOption = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="EVIDENCE.json", help="Protobuf JSON of diya.v1.Evidence."),
    ] = None,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add papers and facts: that were asked for, or that a gate waits for, such as taxes (补充材料).

    Facts that change what the parties agreed to are a new application, not a supplement.

    \b
    Example:
      diya application supplement 0192f0c1-… --evidence taxes.json --file TAX_CLEARANCE=tax.pdf
      taxes.json: {"taxClearances": [{"kind": "TAX_KIND_DEED", "number": "…", "taxpayer": "buyer",
        "amount": {"amountFen": "100", "currency": "CNY"}, "clearedAt": "2026-11-20T02:00:00Z"}]}
    """

    async def work() -> Answer:
        settings = load_settings(config)
        signer, actor = opening.open_signer(settings), opening.actor_of(settings)
        papers, facts = _papers(file), _evidence(evidence)
        async with opening.open_client(settings) as client:
            case = await open_dossier(client.session, name)
            references = await upload(client, papers, hidden=as_json)
            return await client.supplement(signer, actor, case.target, files=references, evidence=facts)

    finish(work(), receipts, as_json=as_json)


@app.command("withdraw")
def withdraw(
    name: NameArgument,
    party: Annotated[
        list[str],
        typer.Option("--party", help="Id of a party of the terms that withdraws. May be repeated."),
    ],
    file: FileOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for withdrawal, before booking: it takes effect when every applicant has asked (撤回申请).

    An institution asks by this act, a natural person by the paper WITHDRAWAL that it has signed.

    \b
    Example:
      diya application withdraw 0192f0c1-… --party bank --party owner --file WITHDRAWAL=signed.pdf
    """

    async def work() -> Answer:
        settings = load_settings(config)
        signer, actor = opening.open_signer(settings), opening.actor_of(settings)
        papers = _papers(file)
        async with opening.open_client(settings) as client:
            case = await open_dossier(client.session, name)
            references = await upload(client, papers, hidden=as_json)
            return await client.withdraw(
                signer, actor, case.target, parties=party, files=references, reason=reason
            )

    finish(work(), receipts, as_json=as_json)


def parse_state(text: str) -> application_pb2.Application.State.ValueType:
    """A state by its name without prefix. Raises InputError listing all of them."""
    states = application_pb2.Application.State
    name = f"STATE_{text.upper().replace('-', '_')}"
    if name not in states.keys():  # noqa: SIM118  # an enum wrapper is no mapping
        known = ", ".join(one.removeprefix("STATE_") for one in states.keys()[1:])
        raise InputError(f"--state {text}: one of {known}", f"--state {text}：应为 {known} 之一")
    return states.Value(name)


def _kind(text: str) -> codes_pb2.ApplicationKind.ValueType:
    if text not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(f"--kind {text}: one of {known}", f"--kind {text}：应为 {known} 之一")
    return KINDS[text]


def _papers(options: list[str] | None) -> list[PaperFile]:
    return [parse_file_option(one) for one in options or ()]


def _evidence(path: Path | None) -> terms_pb2.Evidence | None:
    """Facts that came up later. Raises InputError naming the file and the first fault."""
    return None if path is None else read_message(path, terms_pb2.Evidence())
