"""`diya application`: what became of one's cases."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import InputError
from gateway.client.submissions import KINDS
from gateway.pb.diya.v1 import application_pb2, codes_pb2

app = typer.Typer(no_args_is_help=True, help="Look at applications. 查询登记申请。")


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="Resource name, or the id at its end.")],
    full: Annotated[bool, typer.Option("--full", help="With the dossier; only with --json.")] = False,
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
    out = show.console()
    out.print(Text(f"{found.name}  {show.state_name(found.state)}", style="bold"))
    for label, value in (
        ("case number 业务号", found.case_number),
        ("units 单元", "、".join(found.unit_codes)),
        ("accepted 受理", show.time_text(found.milestones.accepted_at)),
        ("booked 登簿", show.time_text(found.milestones.booked_at)),
        ("decided by 登簿人", found.booked_by),
        ("certificates 证书", "、".join(found.certificates)),
    ):
        if value:
            out.print(Text(f"  {label:<18} {value}"))
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
