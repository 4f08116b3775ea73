"""`diya ledger`: the public chain, read through the gateway. `verify`, on the database itself, is
local.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.receipt import TrustOption, trust_of
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import DiyaError
from gateway.client.ledger import VerifiedCheckpoint, VerifiedEntry
from gateway.client.proof_file import check_proof

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


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.tlog-proof", help="A proof file, of whatever origin.")
    ],
    entry: Annotated[
        Path | None, typer.Option("--entry", help="The entry's bytes, where the file does not carry them.")
    ] = None,
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a proof file offline: that its entry is in the log of a trusted key (核验包含证明).

    \b
    Example:
      diya ledger check 6f0c.tlog-proof --trust trust
    """
    try:
        found = check_proof(file, trust_of(trust, config), entry)
    except DiyaError as error:
        raise outcomes.fail(error, as_json=as_json) from error
    if as_json:
        facts = {"origin": found.entry.origin, "index": found.entry.index, "kind": found.entry.kind}
        time, size = found.entry.time.isoformat(), found.checkpoint.size
        show.print_json({"verified": True, **facts, "time": time, "checkpointSize": size})
        return
    out = show.console()
    out.print(Text(found.data.decode(), end=""))
    out.print(Text(f"✓ in the signed checkpoint of {found.checkpoint.size} entries", style="green"))


@app.command("checkpoint")
def checkpoint(
    min_size: Annotated[
        int, typer.Option("--min-size", min=0, help="The first one of at least so many entries.")
    ] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the latest checkpoint as a signed note, its signature checked (查询检查点).

    \b
    Example:
      diya ledger checkpoint > checkpoint.txt
    """

    async def work() -> VerifiedCheckpoint:
        async with opening.open_ledger(load_settings(config)) as ledger:
            return await ledger.checkpoint(min_size)

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
