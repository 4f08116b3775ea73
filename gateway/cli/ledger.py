"""`diya ledger`: the public chain, read through the gateway. `verify`, on the database itself, is
local.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.receipt import PolicyOption
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.ledger import VerifiedCheckpoint, VerifiedEntry
from gateway.client.receipt import verify_quorum
from gateway.client.trust import read_policy

app = typer.Typer(no_args_is_help=True, help="Look at the ledger. 账本。")


@app.command("show")
def show_entry(
    index: Annotated[int, typer.Argument(metavar="N", min=0, help="Index of the entry, from 0.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry, proven to be in the latest checkpoint (查看账本记录).

    \b
    Example:
      diya ledger show 12
    """

    async def work() -> VerifiedEntry:
        async with opening.open_ledger(load_settings(config)) as ledger:
            return await ledger.entry(index)

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        entry = found.entry
        show.print_json(
            {
                "origin": entry.origin,
                "index": entry.index,
                "previousHash": entry.previous_hash.hex(),
                "entryHash": entry.entry_hash().hex(),
                "time": entry.time.isoformat(),
                "kind": entry.kind,
                "parts": {name: digest.hex() for name, digest in entry.commitments},
                "checkpointSize": found.checkpoint.size,
            }
        )
        return
    out = show.console()
    out.print(Text(found.data.decode(), end=""))
    out.print(Text(f"✓ in the signed checkpoint of {found.checkpoint.size} entries", style="green"))


@app.command("checkpoint")
def checkpoint(
    min_size: Annotated[
        int, typer.Option("--min-size", min=0, help="The first one of at least so many entries.")
    ] = 0,
    policy: PolicyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the latest checkpoint as a signed note, its signature checked (查询检查点). With --policy,
    the latest that the registry's witnesses cosigned, its quorum checked.

    \b
    Example:
      diya ledger checkpoint > checkpoint.txt
    """

    async def work() -> VerifiedCheckpoint:
        async with opening.open_ledger(load_settings(config)) as ledger:
            if policy is None:
                return await ledger.checkpoint(min_size)
            demanded = read_policy(policy)
            found = await ledger.checkpoint(min_size, cosigned=True)
            verify_quorum(found.note, demanded)
            return found

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(
            {
                "origin": found.checkpoint.origin,
                "size": found.checkpoint.size,
                "root": found.checkpoint.root.hex(),
                "note": found.note.decode(),
                "publishedAt": show.time_text(found.wire.published_at),
            }
        )
    else:
        typer.echo(found.note.decode(), nl=False)
