"""`diya report`: what the cities count, from the ledger itself, on the gateway's own machine."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from pathlib import Path

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import DatabaseError

from gateway.cli import outcomes
from gateway.cli.ledger_local import bar, opened, refused
from gateway.register.calendar import CHINA
from gateway.reports.chart import as_png, as_svg
from gateway.reports.figures import Figures, figures_of
from gateway.reports.reading import tally_ledger
from gateway.reports.tally import Tally
from gateway.reports.writing import as_csv, days, lines_of, wan
from gateway.storage.engine import auditor_engine
from ledger.errors import LedgerError
from ledger.store import Ledger
from ledger.vault import Vault

_out = Console()


class Format(StrEnum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def report(
    config: Path,
    registry: str,
    period: tuple[dt.date | None, dt.date | None],
    costs: tuple[float, float],
    form: Format,
    chart: Path | None,
) -> None:
    """Print the figures of a gateway's registries; exits with 1 when a ledger cannot be read."""
    settings, chosen, key, _ = opened(config, registry)
    if chart is not None and (len(chosen) > 1 or chart.suffix.lower() not in (".svg", ".png")):
        raise refused("--chart takes FILE.svg or FILE.png, and one --registry", outcomes.USAGE)
    start, stop = period
    engine = auditor_engine(settings.storage.database)
    try:
        for number, one in enumerate(chosen):
            tally = Tally(_midnight(start), _midnight(stop))
            with engine.connect() as connection, bar(one.id) as progress:
                tally_ledger(connection, Ledger(Vault(key)), one.id, tally, progress)
            figures = figures_of(
                tally,
                one.id,
                tally.calendar.is_working_day,
                start=start,
                stop=stop,
                cost_before=costs[0],
                cost_after=costs[1],
            )
            _tell(figures, form, headed=number == 0)
            if chart is not None:
                _draw(figures, chart)
    except (LedgerError, DatabaseError, msgspec.MsgspecError) as error:
        raise refused(f"the ledger cannot be read: {error}", outcomes.FAILED) from error
    finally:
        engine.dispose()


def _midnight(day: dt.date | None) -> dt.datetime | None:
    """When a day begins in China."""
    return dt.datetime.combine(day, dt.time(), tzinfo=CHINA) if day else None


def _draw(figures: Figures, chart: Path) -> None:
    try:
        if chart.suffix.lower() == ".png":
            chart.write_bytes(as_png(figures))
        else:
            chart.write_text(as_svg(figures), encoding="utf-8")
    except OSError as error:
        raise refused(f"{chart}: {error.strerror}", outcomes.USAGE) from error


def _tell(figures: Figures, form: Format, *, headed: bool) -> None:
    match form:
        case Format.JSON:
            typer.echo(msgspec.json.encode(figures).decode())
        case Format.CSV:
            text = as_csv(figures)
            typer.echo(text if headed else text.partition("\n")[2], nl=False)
        case Format.TABLE:
            _tables(figures)


def _tables(figures: Figures) -> None:
    title = f"{figures.registry} · 办理模式 modes (days: mean, median, working)"
    modes = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    modes.add_column("mode", no_wrap=True)
    for heading in ("deals", "cases", "steps", "saved", "万元", "mean", "median", "working"):
        modes.add_column(heading, justify="right")
    for m in figures.modes:
        counts = (m.deals, m.applications, m.operations, m.applications_saved)
        spans = (days(m.days.mean), days(m.days.median), days(m.working_days))
        modes.add_row(Text(m.mode), *(str(n) for n in counts), wan(m.amount_fen), *spans)
    _out.print(modes)
    table = Table(show_header=False)
    for line in lines_of(figures):
        table.add_row(line.zh, line.en, Text(line.told, justify="right"), line.city)
    _out.print(table)
