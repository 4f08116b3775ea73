"""`diya witness`: a small witness that a bank runs to watch a registry's ledger."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli import outcomes
from gateway.witness.settings import LISTEN, WitnessUnusable, create_witness, read_witness
from gateway.witness.state import StateUnusable

app = typer.Typer(no_args_is_help=True, help="Watch a ledger and cosign its checkpoints. 见证。")

_err = Console(stderr=True)

FolderArgument = Annotated[Path, typer.Argument(help="The witness's folder.")]


@app.command("init")
def init(
    folder: FolderArgument,
    name: Annotated[
        str, typer.Option(help="The witness's name, like a URL without scheme: witness.bank-a.example.")
    ],
    logs: Annotated[
        list[str], typer.Option("--log", help="A ledger's verifier key; once for each that is watched.")
    ],
    listen: Annotated[str, typer.Option(help="HOST:PORT to serve plain HTTP on.")] = LISTEN,
) -> None:
    """Found a witness: its settings, a new key, an empty memory; prints its verifier key (设立见证人).

    The registry puts that key, and where the witness is reached, into its policy; the banks put it into theirs.

    \b
    Example:
      diya witness init ./witness --name witness.bank-a.example --log "$(cat trust/jiangyin.vkey)"
    """
    try:
        cosigner = create_witness(folder, name, logs, listen)
    except (WitnessUnusable, OSError) as error:
        raise _refused(error, outcomes.USAGE) from error
    typer.echo(cosigner.vkey)


@app.command("serve")
def serve(folder: FolderArgument) -> None:
    """Serve a witness until SIGINT or SIGTERM: it cosigns what extends all that it saw, and nothing else (运行见证人).

    A checkpoint that does not is refused and logged whole: it may be the proof of a fraud. The memory in the folder is
    written before each cosignature and is never restored from a backup.

    \b
    Example:
      diya witness serve ./witness
    """
    from gateway.witness.server import WitnessServer  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = WitnessServer(read_witness(folder), time.time)
    except (WitnessUnusable, StateUnusable, OSError) as error:
        raise _refused(error, outcomes.USAGE) from error
    with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            # `shutdown` waits for the loop below, which this thread runs.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        typer.echo(json.dumps({"ready": {"listen": server.server_port}}))
        server.serve_forever()


def _refused(error: Exception, status: int) -> typer.Exit:
    _err.print(Text(str(error), style="red"), soft_wrap=True)
    return typer.Exit(status)
