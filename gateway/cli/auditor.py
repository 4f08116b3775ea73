"""`diya auditor`: who may read the ledger as an auditor, set by an operator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.cli import opening, outcomes, show
from gateway.cli.institution import key_id_of
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.pb.diya.v1 import admin_service_pb2, authority_pb2

app = typer.Typer(
    no_args_is_help=True, help="Set and show the keys of auditors, as an operator. 审计人员管理。"
)

_TLS = (authority_pb2.KEY_ROLE_TLS,)


@app.command("show")
def show_auditors(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the keys by which auditors connect (查询审计人员).

    \b
    Example:
      diya auditor show --config operator.toml
    """

    async def work() -> admin_service_pb2.GetAuditorsResponse:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.get_auditors()

    found = outcomes.run(work(), as_json=as_json)
    _print(found.keys, found.index, as_json=as_json)


@app.command("set")
def set_auditors(
    certificates: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CERTIFICATE.pem]...", help="TLS certificates of all auditors from now on."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="There is no auditor any more.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the keys by which auditors connect: those of these certificates, and no others (设置审计人员).

    Auditors read the ledger and nothing else: every entry with its proof, and in words what it is about (diya ledger
    list, show, diff). They sign nothing.

    \b
    Examples:
      diya auditor set auditor-1.pem auditor-2.pem --config operator.toml
      diya auditor set --none --config operator.toml
    """
    if bool(certificates) is none:
        raise typer.BadParameter("name the certificates of all auditors, or say --none")

    async def work() -> Done[tuple[authority_pb2.RegisteredKey, ...]]:
        keys = [
            authority_pb2.RegisteredKey(key_id=key_id_of(path), roles=_TLS, note=path.stem)
            for path in certificates or ()
        ]
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.set_auditors(keys)

    done = outcomes.run(work(), as_json=as_json)
    _print(done.value, done.wire.index, as_json=as_json)


def _print(keys: Iterable[authority_pb2.RegisteredKey], index: int, *, as_json: bool) -> None:
    if as_json:
        show.print_json({"keys": [show.to_dict(key) for key in keys], "index": index})
        return
    table = Table("Key 密钥", "Note 说明", title=f"ledger index {index}", title_justify="left")
    for key in keys:
        table.add_row(key.key_id, key.note)
    show.console().print(table)
