"""`diya register`: the land register, imported and looked at."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.errors import InputError
from gateway.pb.diya.v1 import admin_service_pb2, register_service_pb2

app = typer.Typer(no_args_is_help=True, help="Import and look at the register. 不动产登记簿。")


@app.command("import")
def import_register(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8 with the exchange field names.")],
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Leave bad rows out and put their units on hold.")
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            help="Instant up to which the rows are true, with its zone.",
            formats=["%Y-%m-%dT%H:%M:%S%z"],
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", help="System that the rows were taken from.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import register rows from CSV, as an operator: all or nothing (导入登记簿).

    The heading uses the names of the exchange format (BDCDYH, QLR, ZJH …). Every bad row is
    reported by line and field; then nothing is imported and the exit status is 1, unless
    --quarantine.

    \b
    Example:
      diya register import register-2026.csv --quarantine --as-of 2026-11-01T00:00:00+0800
    """

    async def work() -> Done[admin_service_pb2.ImportRegisterResponse]:
        async with opening.open_admin(load_settings(config)) as admin:
            with show.transfer_progress(hidden=as_json) as bars:
                task = bars.add_task(file.name, total=None)
                return await admin.import_register(
                    file,
                    quarantine=quarantine,
                    as_of=as_of,
                    source=source or file.name,
                    progress=lambda done, total: bars.update(task, completed=done, total=total),
                )

    done = outcomes.run(work(), as_json=as_json)
    response = done.value
    if as_json:
        show.print_json(show.to_dict(response))
    else:
        _print_import(response)
    raise typer.Exit(outcomes.OK if response.applied else outcomes.FAILED)


@app.command("show")
def show_unit(
    unit: Annotated[str, typer.Argument(help="Unit code, 28 characters of GB/T 37346.")],
    own_right: Annotated[
        str, typer.Option("--own-right", help="Number of our own live proof on the unit.")
    ] = "",
    application: Annotated[
        str, typer.Option("--application", help="Our own open application on the unit.")
    ] = "",
    authorisation: Annotated[
        str,
        typer.Option("--authorisation", help="SHA-256 (hex) of the owner's uploaded authorisation."),
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the register says of a unit (查询不动产单元). Every look is logged with its basis.

    An institution states one basis; a registrar none.

    \b
    Example:
      diya register show 320281001001GB00001F00010001 \\
          --own-right "苏(2026)江阴市不动产证明第0000001号"
    """

    async def work() -> register_service_pb2.GetUnitResponse:
        try:
            digest = bytes.fromhex(authorisation)
        except ValueError as error:
            raise InputError(
                "--authorisation must be hexadecimal", "--authorisation 应为十六进制摘要"
            ) from error
        async with opening.open_client(load_settings(config)) as client:
            return await client.get_unit(
                unit, own_right=own_right, application=application, authorisation_sha256=digest
            )

    found = show.to_dict(outcomes.run(work(), as_json=as_json))
    if as_json:
        show.print_json(found)
    else:
        show.print_fields(found)


def _print_import(response: admin_service_pb2.ImportRegisterResponse) -> None:
    out = show.console()
    for problem in response.problems:
        where = f"line {problem.line} {problem.field} {problem.code}"
        out.print(Text(f"  {where}: {problem.zh} / {problem.en}", style="yellow"))
    if len(response.problems) < response.problem_total:
        out.print(Text(f"  … {response.problem_total - len(response.problems)} more"))
    if not response.applied:
        out.print(
            Text(
                f"NOT IMPORTED 未导入: {response.problem_total} problems in {response.rows} rows; "
                "nothing was kept",
                style="bold red",
            )
        )
        return
    out.print(
        Text(
            f"IMPORTED 已导入: {response.rows} rows, {response.units} units, "
            f"{response.rights} rights, "
            f"{response.quarantined_rows} rows left out, {response.units_on_hold} units on hold, "
            f"ledger index {response.receipt.index}",
            style="bold green",
        )
    )
