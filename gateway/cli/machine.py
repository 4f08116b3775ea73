"""What `diya init`, `serve`, `demo` and `ledger verify` do: the part of the command line that is the server's side."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from gateway.app import Gateway, note_signer, read_key_encryption_key, utc_now
from gateway.config import Config, ConfigError, load_config
from gateway.setup import SetupRefused, initialise
from gateway.storage.engine import SecondWriter, reader_engine
from gateway.telemetry import configure_logging
from ledger.errors import LedgerError
from ledger.vault import Vault
from ledger.verify import Report, verify_ledger

_out = Console()
_err = Console(stderr=True)


def init(folder: Path) -> None:
    """Set up a gateway in `folder`."""
    from gateway.demo.cast import sample_seeds  # noqa: PLC0415  the demo's parts are not needed to serve

    try:
        config = initialise(folder, sample_seeds(), now=utc_now())
    except SetupRefused as error:
        _err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    _out.print(f"{folder}/diya.toml written; registries: {', '.join(r.id for r in config.registries)}")
    _out.print(
        "[bold]The keys and certificates made here are for development only[/bold] (开发用，不得用于生产)."
    )
    _out.print(f"Next: diya serve --config {folder}/diya.toml")


def serve(config: Path) -> None:
    """Serve until a signal comes."""
    settings = _load(config)
    configure_logging(json=settings.log_json)
    try:
        uvloop.run(_serve(settings))
    except (SecondWriter, ConfigError, LedgerError, OSError, RuntimeError) as error:
        _err.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error


async def _serve(settings: Config) -> None:
    gateway = Gateway(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    await gateway.start()
    ready = {
        "listen": gateway.ports["listen"],
        "public": gateway.ports["public"],
        "metrics": gateway.metrics_port,
    }
    typer.echo(json.dumps({"ready": ready}))
    try:
        await stopped.wait()
        logging.getLogger(__name__).info("stopping")
    finally:
        await gateway.stop()


def demo(out: Path, port: int) -> None:
    """Play the demo in `out`."""
    from gateway.demo.story import DemoFailed, play  # noqa: PLC0415

    configure_logging(json=False, level=logging.ERROR)
    try:
        uvloop.run(play(out, _out, (port, port + 1, port + 2)))
    except SetupRefused as error:
        _err.print(Text(str(error), style="red"))
        raise typer.Exit(2) from error
    except DemoFailed as error:
        _err.print(Text(f"The demo failed 演示失败: {error}", style="red"))
        raise typer.Exit(1) from error


def verify(config: Path, registry: str, *, as_json: bool) -> None:
    """Check the ledgers of a gateway, or one of them."""
    settings = _load(config)
    engine = reader_engine(settings.storage.database)
    vault = Vault(read_key_encryption_key(settings.storage.key_encryption_key))
    good = True
    for one in settings.registries:
        if registry and one.id != registry:
            continue
        vkey = note_signer(one.origin, one.ledger_key).vkey
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=_err,
        ) as bar:
            task = bar.add_task(one.id, total=None)
            with engine.connect() as connection, connection.begin():
                report = verify_ledger(
                    connection,
                    one.id,
                    vkey,
                    vault=vault,
                    progress=_shown_by(bar, task),
                )
        good = _told(one.id, report, as_json=as_json) and good
    if not good:
        raise typer.Exit(1)


def _shown_by(bar: Progress, task: TaskID) -> Callable[[int, int], None]:
    return lambda done, total: bar.update(task, completed=done, total=total)


def _told(registry: str, report: Report, *, as_json: bool) -> bool:
    """Print a report; whether the ledger is whole."""
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report) | {"ok": report.ok}, ensure_ascii=False))
    elif report.ok:
        _out.print(
            f"[green]{registry}: whole[/green] — {report.entries} entries, {report.parts_opened} parts opened, "
            f"{report.checkpoints} checkpoints, {report.published_size} entries under the last one"
        )
    else:
        _out.print(f"[red]{registry}: BROKEN[/red] — {report.first}")
        for divergence in report.divergences[1:20]:
            _out.print(f"  then: {divergence}")
    return report.ok


def _load(path: Path) -> Config:
    try:
        return load_config(path)
    except ConfigError as error:
        _err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
