"""`diya ledger`: the public chain, read through the gateway. `verify`, on the database itself, is
local.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.ledger import VerifiedCheckpoint, VerifiedEntry
from gateway.pb.diya.v1 import admin_service_pb2

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
                **({} if found.erased_by is None else {"erasedBy": found.erased_by}),
            }
        )
        return
    out = show.console()
    out.print(Text(found.data.decode(), end=""))
    if found.erased_by is not None:
        out.print(Text(f"evidence and outcome: erased by entry {found.erased_by} 材料已依法销毁"))
    out.print(Text(f"✓ in the signed checkpoint of {found.checkpoint.size} entries", style="green"))


class Ground(StrEnum):
    """Why evidence may be erased."""

    NEVER_ACCEPTED = "never-accepted"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


@app.command("erase")
def erase(
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its id, or its name.")],
    ground: Annotated[Ground, typer.Option("--ground", help="On which ground: what became of the case.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What gave rise to it. It is kept for ever: name nobody in it.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase the evidence of a case that ended unbooked, as an operator (依法销毁材料).

    Its key is destroyed by an entry of its own, for good; entries and proofs stay. Refused, with the article, for what
    was booked, is under way, or is still to be kept. Once more is harmless.

    \b
    Example:
      diya ledger erase 0192f0c1-… --ground never-accepted --reason "本人申请 2026-17"
    """

    async def work() -> Done[admin_service_pb2.EraseEvidenceResponse]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.erase_evidence(application, ground.name, reason)

    done = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(done.value))
        return
    already = "" if done.value.HasField("receipt") else " already 此前已销毁"
    show.console().print(
        Text(f"{done.value.application}: erased by entry {done.value.erased_index}{already}"), soft_wrap=True
    )


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
