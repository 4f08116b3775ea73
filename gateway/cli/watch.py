"""`diya watch`: the institution's events, gap-free."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import opening, outcomes, show
from gateway.cli.reading import read_file
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import InputError
from gateway.client.identifiers import is_uscc


def watch(
    after: Annotated[int, typer.Option("--after", min=0, help="Last sequence that was handled.")] = 0,
    catch_up_only: Annotated[
        bool,
        typer.Option("--catch-up-only", "--catch-up", help="End when no more events are there."),
    ] = False,
    institution: Annotated[
        str, typer.Option("--institution", help="USCC of a branch; one's own events by default.")
    ] = "",
    state: Annotated[
        Path | None,
        typer.Option("--state", help="File that keeps the last sequence; read at the start."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch events: bookings, sealed certificates, what is asked of us (订阅事件).

    Resumes by itself after a broken connection, and fails when an event is missing. With --json one
    event is one line.

    \b
    Example:
      diya watch --state last-event.txt --json | while read -r event; do …; done
    """

    async def work() -> None:
        if institution and not is_uscc(institution):
            raise InputError(
                f"--institution {institution} is not a USCC: 18 characters with a check character (GB 32100)",
                f"--institution {institution} 不是统一社会信用代码：应为18位，含校验码（GB 32100）",
            )
        start = _read(state) if state and state.exists() else after
        async with opening.open_client(load_settings(config)) as client:
            async for event in client.watch_events(
                start, catch_up_only=catch_up_only, institution=institution
            ):
                if as_json:
                    show.print_json_line(show.to_dict(event))
                else:
                    show.console().print(show.event_line(event))
                if state:
                    state.write_text(f"{event.sequence}\n", encoding="ascii")

    try:
        outcomes.run(work(), as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(outcomes.OK) from None


def _read(state: Path) -> int:
    try:
        sequence = int(read_file(state))
    except ValueError:
        sequence = -1
    if sequence < 0:
        raise InputError(
            f"{state} holds no sequence number: write the last one handled into it, or remove it to begin anew",
            f"{state} 中没有事件序号：请写入最后处理的序号，或者删除该文件从头开始",
        )
    return sequence
