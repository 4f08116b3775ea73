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
from gateway.pb.diya.v1 import admin_service_pb2, codes_pb2, register_service_pb2

app = typer.Typer(no_args_is_help=True, help="Import and look at the register. 不动产登记簿。")

UnitArgument = Annotated[str, typer.Argument(help="Unit code, 28 characters of GB/T 37346.")]
OwnRightOption = Annotated[str, typer.Option("--own-right", help="Number of our own live proof on the unit.")]
ApplicationOption = Annotated[
    str, typer.Option("--application", help="Our own open application on the unit.")
]
AuthorisationOption = Annotated[
    str, typer.Option("--authorisation", help="SHA-256 (hex) of the owner's uploaded authorisation.")
]


InstrumentOption = Annotated[
    str, typer.Option("--instrument", help="Of a court: number of the instrument by which it asks.")
]


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
            with show.Transfers(hidden=as_json) as transfers:
                return await admin.import_register(
                    file,
                    quarantine=quarantine,
                    as_of=as_of,
                    source=source or file.name,
                    progress=transfers.bar(file.name),
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
    unit: UnitArgument,
    own_right: OwnRightOption = "",
    application: ApplicationOption = "",
    authorisation: AuthorisationOption = "",
    instrument: InstrumentOption = "",
    purpose: Annotated[str, typer.Option("--purpose", help="What for; kept with the record.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the register says of a unit (查询不动产单元). Every look is recorded with its basis.

    An institution states one basis, a court its instrument; a registrar none.

    \b
    Example:
      diya register show 320281001001GB00001F00010001 \\
          --own-right "苏(2026)江阴市不动产证明第0000001号"
    """

    async def work() -> register_service_pb2.GetUnitResponse:
        digest = _digest(authorisation)
        async with opening.open_client(load_settings(config)) as client:
            return await client.get_unit(
                unit,
                own_right=own_right,
                application=application,
                authorisation_sha256=digest,
                instrument=instrument,
                purpose=purpose,
            )

    found = show.to_dict(outcomes.run(work(), as_json=as_json))
    if as_json:
        show.print_json(found)
    else:
        show.print_fields(found)


def suggest_modes(
    unit: UnitArgument,
    lender: Annotated[
        list[str] | None,
        typer.Option("--lender", "-l", help="USCC of who would lend to the buyer. May be repeated."),
    ] = None,
    own_right: OwnRightOption = "",
    application: ApplicationOption = "",
    authorisation: AuthorisationOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print which modes of encumbered transfer fit a unit, and why the others do not (带押过户模式建议).

    Without --lender the buyer takes no loan; name the old bank where it goes on lending. An
    institution states one basis, as for `register show`; a registrar none.

    \b
    Example:
      diya suggest-modes 320281001001GB00001F00010001 --lender 91999999600001015C \\
          --own-right "苏(2026)江阴市不动产证明第0000001号"
    """

    async def work() -> register_service_pb2.SuggestModesResponse:
        digest = _digest(authorisation)
        async with opening.open_client(load_settings(config)) as client:
            return await client.suggest_modes(
                unit,
                lender or [],
                own_right=own_right,
                application=application,
                authorisation_sha256=digest,
            )

    response = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(response))
        return
    for suggestion in response.suggestions:
        _print_suggestion(suggestion)


def _print_suggestion(suggestion: register_service_pb2.ModeSuggestion) -> None:
    out = show.console()
    mode = codes_pb2.EncumberedTransferMode.Name(suggestion.mode).removeprefix("ENCUMBERED_TRANSFER_MODE_")
    mark, style = ("fits 适用", "bold green") if suggestion.fits else ("does not fit 不适用", "yellow")
    out.print(Text(f"{mode}: {mark}", style=style))
    for title, findings in (
        ("because 原因", suggestion.reasons),
        ("needed 须办理", suggestion.needed),
        ("note 提示", suggestion.cautions),
    ):
        for found in findings:
            out.print(Text(f"  {title} [{found.article}] {found.code}: {found.zh} / {found.en}"))
    if not suggestion.fits:
        return
    for phase in suggestion.phases:
        gates = f"  ({', '.join(phase.gates)})" if phase.gates else ""
        out.print(Text(f"  phase 阶段 {phase.number}{gates}"))
        for step in phase.steps:
            who = "、".join(f"{a.name}（{a.role_zh}）" for a in step.applicants)
            papers = " ".join(paper.paper_code for paper in step.papers)
            out.print(Text(f"    {step.step}: {who}; {papers}"))
        if phase.papers:
            out.print(Text(f"    all 共同: {' '.join(paper.paper_code for paper in phase.papers)}"))


@app.command("extract")
def extract(
    unit: UnitArgument,
    purpose: Annotated[str, typer.Option("--purpose", help="What for; printed on the extract.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("extract.pdf"),
    own_right: OwnRightOption = "",
    application: ApplicationOption = "",
    authorisation: AuthorisationOption = "",
    instrument: InstrumentOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get a sealed extract of a unit, the equal of a counter's print-out (出具不动产登记查询结果).

    An institution states one basis, a court its instrument; a registrar none. `diya extract verify` checks it offline.

    \b
    Example:
      diya register extract 320281001001GB00001F00010001 --purpose "贷前审查" \
          --own-right "苏(2026)江阴市不动产证明第0000001号" --out extract.pdf
    """

    async def work() -> register_service_pb2.GetExtractResponse:
        digest = _digest(authorisation)
        async with opening.open_client(load_settings(config)) as client:
            return await client.get_extract(
                unit,
                purpose=purpose,
                own_right=own_right,
                application=application,
                authorisation_sha256=digest,
                instrument=instrument,
            )

    got = outcomes.run(work(), as_json=as_json)
    try:
        out.write_bytes(got.pdf)
    except OSError as error:
        unwritable = InputError(f"{out}: {error.strerror}", f"{out}：无法写入")
        raise outcomes.fail(unwritable, as_json=as_json) from error
    if as_json:
        told = show.to_dict(got)
        told.pop("pdf", None)
        show.print_json({"file": str(out), **told})
    else:
        show.console().print(Text(f"{got.number}  as of index {got.as_of_index}  {out}"))


@app.command("search")
def search(
    number: Annotated[str, typer.Argument(help="Identity number of the person, or USCC of the company.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What for; kept with the record.")],
    instrument: Annotated[
        str,
        typer.Option(
            "--instrument", help="Number of the instrument that asks for it; a registrar needs none."
        ),
    ] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="Kind of document: RESIDENT_ID, USCC, PASSPORT …")
    ] = "RESIDENT_ID",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search what a person holds, as a court or a registrar (按人查询). Recorded whatever it finds.

    \b
    Example:
      diya register search 999999199003071234 --instrument "(2026)苏0281执1号" --purpose "执行查控"
    """

    async def work() -> register_service_pb2.SearchUnitsResponse:
        if f"ID_KIND_{kind}" not in codes_pb2.IdKind.DESCRIPTOR.values_by_name:
            raise InputError(f"--kind: no kind of document {kind}", f"--kind：没有证件种类 {kind}")
        async with opening.open_client(load_settings(config)) as client:
            return await client.search_units(
                number,
                purpose=purpose,
                instrument=instrument,
                id_kind=codes_pb2.IdKind.Value(f"ID_KIND_{kind}"),
            )

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(found))
        return
    out = show.console()
    for right in found.rights:
        seized = "  查封 SEIZED" if right.seized else ""
        out.print(
            Text(f"{right.unit_code}  {right.role}  {right.certificate_number}  {right.location}{seized}")
        )
    out.print(Text(f"{len(found.rights)} found 查得, as of index {found.as_of_index}"))


def _digest(authorisation: str) -> bytes:
    try:
        return bytes.fromhex(authorisation)
    except ValueError as error:
        raise InputError("--authorisation must be hexadecimal", "--authorisation 应为十六进制摘要") from error


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
