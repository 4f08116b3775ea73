"""`diya calendar`: the State Council's tables of working days, imported each autumn by an operator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.errors import InputError
from gateway.pb.diya.v1 import admin_service_pb2

app = typer.Typer(
    no_args_is_help=True, help="Import and show the working calendar of the registry. 工作日历。"
)


@app.command("import")
def import_calendar(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Table of one year, UTF-8.")],
    source: Annotated[
        str, typer.Option("--source", help="The notice that published it, such as 国办发明电〔2025〕7号.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the State Council's table of one year in force, as an operator (导入工作日历).

    Heading date,weekday,kind,name,is_workday; one line for each day off and for each weekend day
    that is worked. Open cases whose deadline it moves, or makes certain, are computed anew, each
    in an entry of its own, and their institutions are told. Until a year is imported its dates are
    provisional, and no right lapses in it without a person.

    \b
    Example:
      diya calendar import calendar_2027.csv --source "国办发明电〔2026〕8号" --config operator.toml
    """

    async def work() -> Done[admin_service_pb2.ImportCalendarResponse]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.import_calendar(_read(file), source or file.name)

    response = outcomes.run(work(), as_json=as_json).value
    if as_json:
        show.print_json(show.to_dict(response))
        return
    head = f"IMPORTED 已导入: {response.year}, ledger index {response.receipt.index}"
    show.console().print(Text(head, style="bold green"))
    _print(response.calendar)


@app.command("show")
def show_calendar(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show of which years a table is known, and until when (查询工作日历).

    \b
    Example:
      diya calendar show --config operator.toml
    """

    async def work() -> admin_service_pb2.GetCalendarResponse:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.get_calendar()

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(found))
    else:
        _print(found.calendar)


def _read(file: Path) -> bytes:
    """The table as it is. Raises InputError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", f"{file}：无法读取") from error


def _print(calendar: admin_service_pb2.WorkingCalendar) -> None:
    end = calendar.table_end
    out = show.console()
    out.print(f"years {', '.join(map(str, calendar.years))}; until {end.year}-{end.month:02}-{end.day:02}")
    if calendar.ending:
        out.print(Text("import the next year: its dates are provisional 请导入次年日历", style="yellow"))
