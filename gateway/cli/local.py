"""Commands of the machine the gateway runs on: init, serve, demo, and `ledger_local` for the ledger's."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.text import Text

from gateway.app import Gateway, utc_now
from gateway.cli import ledger_local, outcomes
from gateway.cli.ledger_local import ConfigOption, load
from gateway.config import Config, ConfigError
from gateway.setup import SetupRefused, initialise
from gateway.startup import LedgerRefused
from gateway.storage.engine import SecondWriter
from gateway.telemetry import configure_logging
from ledger.errors import LedgerError

_out = Console()
_err = Console(stderr=True)


def register(app: typer.Typer, ledger: typer.Typer) -> None:
    """Add the commands to the application and to its `ledger` group."""
    app.command("init")(init)
    app.command("serve")(serve)
    app.command("demo")(demo)
    ledger.command("verify")(ledger_local.verify)
    ledger.command("rebuild")(ledger_local.rebuild)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to set up; must not hold a gateway yet.")],
) -> None:
    """Set up a gateway: a commented diya.toml, keys, two sample registries, and a PKI FOR DEVELOPMENT ONLY.

    Example: diya init ./my-gateway && diya serve --config ./my-gateway/diya.toml
    """
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


def serve(config: ConfigOption = Path("diya.toml")) -> None:
    """Serve a gateway until SIGINT or SIGTERM; then finish what is in hand and stop.

    Example: diya serve --config demo-out/diya.toml
    """
    settings = load(config)
    configure_logging(json=settings.log_json)
    try:
        uvloop.run(_serve(settings))
    except LedgerRefused as error:
        _err.print(Text(f"{error.what}. Nothing is served. Run:", style="red"), soft_wrap=True)
        _err.print(Text(f"  {error.cure} --config {config}"), soft_wrap=True)
        raise typer.Exit(outcomes.FAILED) from error
    except ConfigError as error:
        _err.print(Text(f"{config}: {error}", style="red"), soft_wrap=True)
        raise typer.Exit(outcomes.USAGE) from error
    except (SecondWriter, LedgerError, OSError, RuntimeError) as error:
        _err.print(Text(str(error), style="red"), soft_wrap=True)
        raise typer.Exit(outcomes.FAILED) from error


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


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for all that comes out; replaced.")] = Path(
        "demo-out"
    ),
) -> None:
    """Do the whole job for real on this machine: set up, import, submit, decide, seal, verify.

    Everything it makes stays in the folder, with a README of commands to try next.
    """
    from gateway.demo.story import play  # noqa: PLC0415

    configure_logging(json=False, level=logging.ERROR)
    if not uvloop.run(play(out, _out)):
        raise typer.Exit(1)
