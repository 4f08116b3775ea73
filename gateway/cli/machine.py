"""What `diya init`, `serve` and `demo` do: the part of the command line that is the server's side."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Sequence
from pathlib import Path

import typer
import uvloop
from rich.console import Console
from rich.text import Text

from gateway.app import Gateway, settle_collector, utc_now
from gateway.cli import ledger_local, outcomes
from gateway.client.local_files import not_written
from gateway.config import Config, ConfigError, load_config
from gateway.setup import SetupRefused, initialise
from gateway.startup import LedgerRefused
from gateway.storage.engine import SecondWriter
from gateway.telemetry import configure_logging
from ledger.errors import LedgerError
from ledger.vault import PartCipher

_out = Console()
_err = Console(stderr=True)


def init(folder: Path, *, sm4: bool, sm2_seals: Sequence[str]) -> None:
    """Set up a gateway in `folder`."""
    from gateway.demo.cast import sample_seeds  # noqa: PLC0415  the demo's parts are not needed to serve

    try:
        cipher = PartCipher.SM4_GCM if sm4 else PartCipher.AES_256_GCM
        config = initialise(folder, sample_seeds(), now=utc_now(), part_cipher=cipher, both_suites=sm2_seals)
    except SetupRefused as error:
        _err.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    except OSError as error:
        raise _not_written(error) from error
    _out.print(f"{folder}/diya.toml written; registries: {', '.join(r.id for r in config.registries)}")
    _out.print(
        "[bold]The keys and certificates made here are for development only[/bold] (开发用，不得用于生产)."
    )
    _out.print(f"Next: diya serve --config {folder}/diya.toml")


def serve(config: Path) -> None:
    """Serve until a signal comes."""
    settings = ledger_local.load(config)
    configure_logging(json=settings.log_json)
    try:
        uvloop.run(_serve(settings, config))
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


async def _serve(settings: Config, path: Path) -> None:
    gateway = Gateway(settings, reread=lambda: load_config(path))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    await gateway.start()
    settle_collector()
    ready = {
        "listen": gateway.ports["listen"],
        "public": gateway.ports["public"],
        "metrics": gateway.metrics_port,
        "tiles": gateway.tiles_port,
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
        uvloop.run(play(out, _out, (port, port + 1, port + 2, port + 3)))
    except SetupRefused as error:
        _err.print(Text(str(error), style="red"))
        raise typer.Exit(2) from error
    except DemoFailed as error:
        _err.print(Text(f"The demo failed 演示失败: {error}", style="red"))
        raise typer.Exit(1) from error
    except OSError as error:
        raise _not_written(error) from error


def _not_written(error: OSError) -> typer.Exit:
    """The end of a command that cannot write its folder. Raises the error where it is about no file."""
    if error.filename is None:
        raise error
    return outcomes.fail(not_written(Path(error.filename), error))
