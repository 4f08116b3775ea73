"""`diya institution`: an operator's acts on banks and fund centres."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from gateway.cli import opening, outcomes, show
from gateway.cli.reading import read_file, read_message
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done, institution_of
from gateway.client.errors import InputError
from gateway.pb.diya.v1 import authority_pb2, codes_pb2
from signing.certificates import certificates_from_pem, parse_certificate
from signing.errors import SigningError

app = typer.Typer(
    no_args_is_help=True, help="Enter, list and suspend institutions, as an operator. 机构管理。"
)

UsccArgument = Annotated[str, typer.Argument(metavar="USCC", help="18 characters of GB 32100.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it goes into the ledger.")]


@app.command("list")
def list_institutions(
    uscc: Annotated[str, typer.Option("--uscc", help="Only this one, present or former USCC.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List institutions with their keys (机构列表).

    \b
    Example:
      diya institution list --config operator.toml
    """

    async def work() -> list[authority_pb2.Institution]:
        async with opening.open_admin(load_settings(config)) as admin:
            return [one async for one in admin.list_institutions(uscc)]

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
        return
    table = Table("USCC", "Name 名称", "Kind 类别", "Keys 密钥", "Limits 权限", "Suspended 暂停")
    for one in found:
        table.add_row(
            one.uscc,
            one.names[0] if one.names else "",
            codes_pb2.InstitutionKind.Name(one.kind).removeprefix("INSTITUTION_KIND_"),
            "\n".join(_key_text(key) for key in one.keys),
            _limits_text(one, datetime.now(UTC)),
            one.suspension_reason or "yes" if one.suspended else "",
        )
    show.console().print(table)


@app.command("show")
def show_institution(uscc: UsccArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one institution: its branches, outlets, clerks and keys, each with its limits (查看机构).

    \b
    Example:
      diya institution show 91999999MA00BANK1X
    """

    async def work() -> tuple[authority_pb2.Institution, list[authority_pb2.Institution]]:
        async with opening.open_admin(load_settings(config)) as admin:
            known = [one async for one in admin.list_institutions()]
            return institution_of(uscc, known), known

    found, known = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(found))
        return
    show.console().print(_tree(found, known))


@app.command("set")
def set_institution(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="INSTITUTION.json",
            help="Protobuf JSON of diya.v1.Institution; with an index, as `list --json` has it, only if it stands so.",
        ),
    ],
    sign_key: Annotated[
        list[Path] | None,
        typer.Option("--sign-key", help="PEM certificate to add, roles SUBMIT, CONSENT and RELEASE."),
    ] = None,
    tls_key: Annotated[
        list[Path] | None, typer.Option("--tls-key", help="PEM certificate to add, role TLS.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter or replace an institution with its keys (设置机构).

    \b
    Example:
      diya institution set bank-a.json --sign-key bank-a.pem --tls-key bank-a-tls.pem
    """

    async def work() -> Done[authority_pb2.Institution]:
        institution = read_message(file, authority_pb2.Institution())
        signing = (
            authority_pb2.KEY_ROLE_SUBMIT,
            authority_pb2.KEY_ROLE_CONSENT,
            authority_pb2.KEY_ROLE_RELEASE,
        )
        for path in sign_key or ():
            institution.keys.add(key_id=key_id_of(path), roles=signing)
        for path in tls_key or ():
            institution.keys.add(key_id=key_id_of(path), roles=[authority_pb2.KEY_ROLE_TLS])
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.set_institution(institution, seen_index=institution.index)

    print_done(outcomes.run(work(), as_json=as_json), as_json=as_json)


@app.command("suspend")
def suspend(
    uscc: UsccArgument,
    reason: ReasonOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Suspend an institution, at once; its open cases stay (暂停机构).

    \b
    Example:
      diya institution suspend 91999999MA00BANK1X --reason "密钥泄露"
    """

    async def work() -> Done[authority_pb2.Institution]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.suspend_institution(uscc, reason)

    print_done(outcomes.run(work(), as_json=as_json), as_json=as_json)


@app.command("resume")
def resume(
    uscc: UsccArgument,
    reason: ReasonOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a suspension (恢复机构).

    \b
    Example:
      diya institution resume 91999999MA00BANK1X --reason "密钥已更换"
    """

    async def work() -> Done[authority_pb2.Institution]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.resume_institution(uscc, reason)

    print_done(outcomes.run(work(), as_json=as_json), as_json=as_json)


def print_done(done: Done[authority_pb2.Institution], *, as_json: bool) -> None:
    """The institution as it stands now, and the entry that set it."""
    if as_json:
        show.print_json({"institution": show.to_dict(done.value), "index": done.wire.index})
        return
    state = "suspended 已暂停" if done.value.suspended else "in force 有效"
    name = done.value.names[0] if done.value.names else ""
    show.console().print(Text(f"{done.value.uscc}  {name}  {state}  ledger index {done.wire.index}"))


def _tree(one: authority_pb2.Institution, known: Iterable[authority_pb2.Institution]) -> Tree:
    """The institution with its branches, and by outlet who files for it and with which keys."""
    kind = codes_pb2.InstitutionKind.Name(one.kind).removeprefix("INSTITUTION_KIND_")
    state = f"suspended 已暂停: {one.suspension_reason}" if one.suspended else "in force 有效"
    tree = Tree(Text(f"{one.uscc}  {one.names[0] if one.names else ''}  {kind}  {state}  index {one.index}"))
    for label, codes in (
        ("branch of 上级机构", [one.head_office] if one.head_office else []),
        ("branches 分支机构", [other.uscc for other in known if other.head_office == one.uscc]),
        ("files for 代为报送", one.files_for),
    ):
        if codes:
            tree.add(Text(f"{label}: {', '.join(codes)}"))
    limits = _limits_text(one, datetime.now(UTC)).replace("\n", "; ")
    tree.add(Text(f"limits 权限: {limits or 'none 无'}"))
    outlets = {"": tree}
    parts = [(clerk.outlet, _clerk_text(clerk)) for clerk in one.clerks]
    parts += [(key.outlet, f"key 密钥 {_key_text(key)}") for key in one.keys]
    for outlet, text in parts:
        if outlet not in outlets:
            outlets[outlet] = tree.add(Text(f"outlet 网点 {outlet}"))
        outlets[outlet].add(Text(text))
    return tree


def _clerk_text(clerk: authority_pb2.RegisteredClerk) -> str:
    limit = mandate_text(clerk.mandate)
    told = f"{clerk.employee_number} {clerk.display_name}{f' ({limit})' if limit else ''}"
    return f"clerk 经办人 {told}{_window_text(clerk)}"


def _key_text(key: authority_pb2.RegisteredKey) -> str:
    roles = (authority_pb2.KeyRole.Name(one).removeprefix("KEY_ROLE_") for one in key.roles)
    limit = mandate_text(key.mandate)
    told = f"{key.key_id[:12]}… {' '.join(roles)}{f' ({limit})' if limit else ''}{_window_text(key)}"
    return f"{told} {key.note}".rstrip()


def _window_text(one: authority_pb2.RegisteredKey | authority_pb2.RegisteredClerk) -> str:
    """From and until when it may be used, China time; empty where both are open."""
    begins = f" from 自 {show.china_time(one.not_before)}" if one.HasField("not_before") else ""
    ends = f" until 至 {show.china_time(one.not_after)}" if one.HasField("not_after") else ""
    return begins + ends


def mandate_text(mandate: authority_pb2.Mandate) -> str:
    """A limit in one line; empty for none."""
    names = [codes_pb2.OperationKind.Name(one).removeprefix("OPERATION_KIND_") for one in mandate.operations]
    most = [f"≤ {mandate.claim_fen_max} 分"] if mandate.claim_fen_max else []
    return ", ".join([*names, *most])


def _limits_text(institution: authority_pb2.Institution, now: datetime) -> str:
    """What the institution as a whole may do, line by line."""
    lines = [mandate_text(institution.mandate)]
    if institution.submissions_per_day:
        lines.append(f"{institution.submissions_per_day} a day 件/日")
    if institution.second_key_from_fen:
        lines.append(f"two keys from 双签起点 {institution.second_key_from_fen} 分")
    if institution.clerks:
        ended = sum(
            one.HasField("not_after") and one.not_after.ToDatetime(UTC) <= now for one in institution.clerks
        )
        gone = f", {ended} ended 已停用" if ended else ""
        lines.append(f"{len(institution.clerks)} clerks 名经办人{gone}")
    return "\n".join(line for line in lines if line)


def key_id_of(path: Path) -> str:
    """The key id of a certificate in a PEM file. Raises InputError."""
    try:
        return parse_certificate(certificates_from_pem(read_file(path))[0]).key_id
    except SigningError as error:
        raise InputError(
            f"{path} is not a PEM certificate: {error.message}", f"{path} 不是 PEM 证书：{error.zh}"
        ) from error
