"""`diya desk`: who must act on which case, and the registry's statements for day-end reconciliation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.certificate import demanded_suites
from gateway.cli.receipt import TrustOption
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.desk import DeskClient, Kept
from gateway.client.errors import DiyaError, InputError
from gateway.client.statements import StatementInvalid, open_statement, unjudged_seal
from gateway.pb.diya.v1 import desk_service_pb2
from gateway.statements.desk import DailyStatement, PortfolioStatement
from gateway.statements.signed import DAILY_TYPE, PORTFOLIO_TYPE
from signing.errors import SigningError
from signing.trust_directory import read_trust as read_anchors

app = typer.Typer(no_args_is_help=True, help="Open cases, day-end statements, the portfolio. 机构工作台。")

InstitutionOption = Annotated[
    str, typer.Option("--institution", help="USCC of a branch for which you file; your own by default.")
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="File for the signed statement.")]
_GROUNDS = ", ".join(
    name.removeprefix("READINESS_GROUND_")
    for name, number in desk_service_pb2.ReadinessGround.items()
    if number
)


@app.command("board")
def board(
    ground: Annotated[list[str] | None, typer.Option("--ground", help=f"Only on these: {_GROUNDS}.")] = None,
    institution: Annotated[str, typer.Option("--institution", help="Only what this USCC must do.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who must act on which open case, since when and until when, the earliest deadline first (待办一览).

    \b
    Example:
      diya desk board --ground PAYOFF
    """

    async def work() -> list[desk_service_pb2.ReadinessItem]:
        async with opening.open_session(load_settings(config)) as session:
            listed = DeskClient(session).list_readiness(
                grounds=[_ground(name) for name in ground or ()], institution=institution
            )
            return [item async for item in listed]

    items = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(item) for item in items])
        return
    table = Table("截止 until", "责任人 who", "事由 ground", "申请 application", "说明 what")
    for item in items:
        until = item.until.ToDatetime(UTC).isoformat(timespec="minutes") if item.HasField("until") else "-"
        style = "red" if item.overdue else ""
        name = desk_service_pb2.ReadinessGround.Name(item.ground).removeprefix("READINESS_GROUND_")
        case = item.application.rpartition("/")[2]
        table.add_row(*map(Text, (until, item.who, name, case, f"{item.zh} {item.en}")), style=style)
    show.console().print(table)


@app.command("daily")
def daily(
    day: Annotated[
        datetime, typer.Argument(metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="A day in China.")
    ],
    institution: InstitutionOption = "",
    out: OutOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get the registry's signed statement of one day that is over (日终对账单).

    \b
    Example:
      diya desk daily 2026-11-25 --out daily-2026-11-25.json
    """

    async def work() -> Kept[DailyStatement]:
        settings = load_settings(config)
        anchors = read_anchors(settings.path("trust"))
        async with opening.open_session(settings) as session:
            return await DeskClient(session).daily_statement(day.date(), anchors, institution=institution)

    kept = outcomes.run(work(), as_json=as_json)
    _keep(kept.envelope, out)
    _print(kept.statement, as_json=as_json)


@app.command("portfolio")
def portfolio(
    institution: InstitutionOption = "",
    lines: Annotated[bool, typer.Option("--lines", help="Print the lines behind the digest too.")] = False,
    out: OutOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get the registry's signed digest of your live mortgages (抵押权汇总).

    \b
    Example:
      diya desk portfolio --out portfolio.json
    """

    async def work() -> tuple[Kept[PortfolioStatement], list[dict[str, Any]]]:
        settings = load_settings(config)
        anchors = read_anchors(settings.path("trust"))
        async with opening.open_session(settings) as session:
            desk = DeskClient(session)
            kept = await desk.portfolio_digest(anchors, institution=institution)
            if not lines:
                return kept, []
            listed = desk.list_portfolio(institution=institution, as_of_index=kept.statement.as_of_index)
            return kept, [show.to_dict(line) async for line in listed]

    kept, listed = outcomes.run(work(), as_json=as_json)
    _keep(kept.envelope, out)
    if as_json and lines:
        show.print_json({**msgspec.to_builtins(kept.statement), "lines": listed})
        return
    _print(kept.statement, as_json=as_json)
    for line in listed:
        show.console().print(Text(f"  {line}"))


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A kept day or portfolio.")],
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a kept statement offline: seal and authority (核验对账单).

    \b
    Example:
      diya desk verify daily-2026-11-25.json --trust trust
    """
    try:
        folder = trust or load_settings(config).path("trust")
        anchors, suites = read_anchors(folder), demanded_suites(folder)
        data, now = file.read_bytes(), datetime.now(UTC)
        statement: DailyStatement | PortfolioStatement
        try:
            statement = open_statement(data, DAILY_TYPE, DailyStatement, anchors, now, suites=suites)
        except StatementInvalid:
            statement = open_statement(data, PORTFOLIO_TYPE, PortfolioStatement, anchors, now, suites=suites)
    except OSError as error:
        unreadable = InputError(f"{file}: {error.strerror}", f"{file}：无法读取")
        raise outcomes.fail(unreadable, as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    show.remark(unjudged_seal(data))
    _print(statement, as_json=as_json)


def _ground(name: str) -> desk_service_pb2.ReadinessGround.ValueType:
    try:
        return desk_service_pb2.ReadinessGround.Value(f"READINESS_GROUND_{name.upper()}")
    except ValueError as error:
        raise InputError(
            f"no ground {name}; there are {_GROUNDS}", f"没有事由 {name}；可选 {_GROUNDS}"
        ) from error


def _keep(envelope: bytes, out: Path | None) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(envelope)


def _print(statement: DailyStatement | PortfolioStatement, *, as_json: bool) -> None:
    if as_json:
        show.print_json(msgspec.to_builtins(statement))
        return
    out = show.console()
    if isinstance(statement, DailyStatement):
        out.print(Text(f"{statement.institution}  {statement.day}  {statement.registry}"))
        out.print(Text(f"  账本 ledger {statement.first_index} – {statement.last_index}"))
        for kind, count in statement.counts.items():
            out.print(Text(f"  {kind}: {count}"))
        for label, rights in (("新增 begun", statement.begun), ("终止 ended", statement.ended)):
            out.print(Text(f"  {label}: {rights.count}  {_sums(rights.amounts_fen)}  {rights.digest}"))
        return
    out.print(Text(f"{statement.institution}  {statement.registry}  as of index {statement.as_of_index}"))
    out.print(Text(f"  {statement.count}  {_sums(statement.amounts_fen)}  {statement.digest}"))


def _sums(amounts: dict[str, int]) -> str:
    return " ".join(f"{fen} 分 {currency}" for currency, fen in amounts.items()) or "0"
