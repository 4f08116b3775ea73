"""`diya keys`: the registry's own keys, listed, replaced, retired, by an operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ClientSettings, ConfigOption, JsonOption, load_settings
from gateway.client.admin import AdminClient, Done
from gateway.client.errors import InputError
from gateway.client.trust import SUFFIX, read_trust
from gateway.pb.diya.v1 import admin_service_pb2, authority_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="The registry's own keys: list, replace, retire, as an operator. 登记机构密钥。",
)

_SEALS = (authority_pb2.KEY_USE_SEAL, authority_pb2.KEY_USE_NATIONAL_SEAL)

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it goes into the ledger.")]
SinceOption = Annotated[
    str,
    typer.Option(
        "--compromised-since",
        metavar="TIME",
        help="From when on somebody else may have had it, RFC 3339, such as 2026-11-02T08:00:00+08:00.",
    ),
]


class Use(StrEnum):
    """What a key is for, as one writes it."""

    SEAL = "seal"
    NATIONAL_SEAL = "national-seal"
    CHECKPOINT = "checkpoint"
    CONNECTION = "connection"
    ENCRYPTION = "encryption"


#: Keys that are not replaced by an act of this command, and how they are.
_ELSEWHERE = {
    Use.CONNECTION: (
        "replace server.certificate and server.key, and start the gateway anew: its address, not its key, is its name",
        "请更换 server.certificate 与 server.key 后重新启动",
    ),
    Use.ENCRYPTION: (
        "run `diya keys rotate-kek` on the gateway's machine, with the server down",
        "请在网关主机上停止服务后运行 diya keys rotate-kek",
    ),
}


#: Keys that are: how the contract calls each use, and the settings of the next one.
_ROTATED = {
    Use.SEAL: (authority_pb2.KEY_USE_SEAL, ("next_seal_certificate", "next_seal_key")),
    Use.NATIONAL_SEAL: (
        authority_pb2.KEY_USE_NATIONAL_SEAL,
        ("next_national_seal_certificate", "next_national_seal_key"),
    ),
    Use.CHECKPOINT: (authority_pb2.KEY_USE_CHECKPOINT, ("next_ledger_key",)),
}


@app.command("list")
def list_keys(
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help="Also write the seal keys' times and the checkpoint keys into this trust folder, for whoever verifies "
            "offline.",
        ),
    ] = None,
    local: Annotated[
        Path | None,
        typer.Option(
            "--local",
            metavar="DIYA.TOML",
            help="Read the database of these settings of the gateway, on its machine; the server may be down.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the registry's keys: what for, where, since when, how long, how much each signed (密钥列表).

    \b
    Examples:
      diya keys list --config operator.toml --trust trust
      diya keys list --local diya.toml
    """

    async def work(settings: ClientSettings) -> list[authority_pb2.RegistryKey]:
        async with opening.open_admin(settings) as admin:
            return await admin.list_keys()

    if local is not None:
        from gateway.cli import keys_local  # noqa: PLC0415 the gateway's own package, which a bank's machine has not

        registries = keys_local.list_keys(local, "")
    else:
        settings = load_settings(config)
        registries = {settings.text("registry"): outcomes.run(work(settings), as_json=as_json)}
    for registry, found in registries.items():
        if trust is not None:
            _write_terms(trust, registry, found)
            _write_vkeys(trust, registry, found)
        if not as_json and local is not None:
            show.console().print(registry)
        if not as_json:
            show.console().print(_table(found))
    if as_json:
        listed = {name: [show.to_dict(one) for one in found] for name, found in registries.items()}
        show.print_json(listed if local is not None else next(iter(listed.values())))


@app.command("rotate")
def rotate(
    use: Annotated[Use, typer.Argument(help="Which key.")] = Use.SEAL,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on to the next key, while the gateway serves (更换密钥). No request fails meanwhile.

    Write next_seal_certificate and next_seal_key into the gateway's settings first; it reads them anew, tries the key
    and judges the certificate before it enters the act. What the former key sealed holds.
    Afterwards write the two over seal_certificate and seal_key, and take the next_ ones out.

    The national seal beside the first is changed likewise, by next_national_seal_certificate and _key. A certificate
    bears both or none.

    Of the checkpoint key, next_ledger_key likewise. From then on both sign every checkpoint: give everybody the new
    verifier key beside the former one (`list --trust DIR` writes it), then retire the former.

    \b
    Examples:
      diya keys rotate --config operator.toml
      diya keys rotate national-seal --config operator.toml
      diya keys rotate checkpoint --config operator.toml
    """
    if use in _ELSEWHERE:
        raise outcomes.fail(InputError(*_ELSEWHERE[use]), as_json=as_json)

    async def work() -> Done[authority_pb2.RegistryKey]:
        async with opening.open_admin(load_settings(config)) as admin:
            wire, names = _ROTATED[use]
            keys = [key for key in await admin.list_keys() if key.use == wire]
            following = [key for key in keys if key.state == authority_pb2.KEY_STATE_NEXT]
            if not following:
                raise InputError(
                    f"the gateway's settings name no next {use}: write {' and '.join(names)} there, of a key that was "
                    "not in use yet",
                    f"网关设置中没有待用密钥；请先设置 {' 与 '.join(names)}，须为尚未启用过的密钥",
                )
            former = [key.key_id for key in keys if key.state == authority_pb2.KEY_STATE_ACTIVE]
            if use is Use.CHECKPOINT:
                return await admin.rotate_ledger_key(former[0], following[0].key_id)
            return await admin.rotate_seal(former[0] if former else "", following[0].certificate)

    done = outcomes.run(work(), as_json=as_json)
    _print_done(done, as_json=as_json)


@app.command("retire")
def retire(
    key_id: Annotated[
        str,
        typer.Argument(
            metavar="KEY_ID",
            help="Of a seal or checkpoint key, or how it alone begins; `diya keys list` shows it.",
        ),
    ],
    reason: ReasonOption,
    compromised_since: SinceOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign no more with a key (停用密钥). Where it is the seal in use, certificates wait for the next rotation; a
    checkpoint key ends only beside another, and whoever has not taken that one into `<registry>.vkey` must first.

    With --compromised-since all that it sealed from then on is listed, and no verification lets it hold any more; what
    was sealed before, by a proven time, stays good. It may be declared of a retired key, and be moved back.

    \b
    Examples:
      diya keys retire 3f2b8c01d99a --reason "更换设备" --config operator.toml
      diya keys retire 3f2b8c01d99a --reason "密钥泄露" --compromised-since 2026-11-02T08:00:00+08:00 --json
    """
    since = _instant(compromised_since, as_json=as_json) if compromised_since else None

    async def work() -> tuple[Done[authority_pb2.RegistryKey], _Signed]:
        settings = load_settings(config)
        async with opening.open_admin(settings) as admin:
            keys = await admin.list_keys()
            named = _named(keys, key_id)
            if _is_vkey(named):
                _receipt_can_be_checked(keys, named, settings)
            retire = admin.retire_ledger_key if _is_vkey(named) else admin.retire_seal
            done = await retire(named, reason, compromised_since=since)
            return done, await _all_signed(admin, named, since) if since else _Signed()

    done, affected = outcomes.run(work(), as_json=as_json)
    _print_done(done, affected if since else None, as_json=as_json)


@app.command("sealed")
def sealed(
    key_id: Annotated[
        str,
        typer.Argument(metavar="KEY_ID", help="Of a seal or checkpoint key, or how it alone begins."),
    ],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Only from then on, RFC 3339.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a key signed: certificates, then statements and extracts; or checkpoints of it alone (密钥所签).

    \b
    Example:
      diya keys sealed 3f2b8c01d99a --since 2026-11-02T08:00:00+08:00 --config operator.toml --json
    """
    start = _instant(since, as_json=as_json) if since else None

    async def work() -> _Signed:
        async with opening.open_admin(load_settings(config)) as admin:
            return await _all_signed(admin, _named(await admin.list_keys(), key_id), start)

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(found.as_json())
    else:
        _print_signed(found)


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a key signed: a seal's key certificates and answers; a ledger's, the checkpoints that rest on it alone."""

    certificates: tuple[admin_service_pb2.SealedCertificate, ...] = ()
    answers: tuple[admin_service_pb2.SealedAnswer, ...] = ()
    checkpoints: tuple[admin_service_pb2.SignedCheckpoint, ...] = ()

    def as_json(self) -> list[dict[str, Any]]:
        """One list, the certificates first; statements and extracts are told by their `kind`."""
        return [show.to_dict(one) for one in (*self.certificates, *self.answers, *self.checkpoints)]


def _is_vkey(key_id: str) -> bool:
    """Whether it names a checkpoint key: a seal's id is hexadecimal."""
    return "+" in key_id


def _named(keys: list[authority_pb2.RegistryKey], beginning: str) -> str:
    """The id of the one seal or checkpoint key that begins so. Raises InputError: an id that is mistyped must not
    read like a key that signed nothing.
    """
    ids = [key.key_id for key in keys if key.use in (*_SEALS, authority_pb2.KEY_USE_CHECKPOINT)]
    if beginning in ids:
        return beginning
    found = [one for one in ids if beginning and one.startswith(beginning)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} seal and checkpoint keys begin with {beginning!r}: see `diya keys list`",
            f"有 {len(found)} 个印章或检查点密钥以 {beginning!r} 开头；请以 diya keys list 核对",
        )
    return found[0]


def _receipt_can_be_checked(
    keys: list[authority_pb2.RegistryKey], ending: str, settings: ClientSettings
) -> None:
    """Whether our own trust folder has a key that goes on signing. Raises InputError, before anything is sent: the
    act would be entered, and its receipt, under that key alone, look refused here.
    """
    going_on = {
        key.key_id
        for key in keys
        if key.use == authority_pb2.KEY_USE_CHECKPOINT
        and key.state == authority_pb2.KEY_STATE_ACTIVE
        and key.key_id != ending
    }
    folder, registry = settings.path("trust"), settings.text("registry")
    if going_on and not going_on & set(read_trust(folder).vkeys(registry)):
        command = f"diya keys list --trust {folder}"
        raise InputError(
            f"{folder / (registry + SUFFIX)} has no checkpoint key that goes on; nothing was sent. "
            f"Take it over first: `{command}`",
            f"{folder / (registry + SUFFIX)} 中没有将继续使用的检查点公钥，未发送任何请求；请先运行 {command}",
        )


async def _all_signed(admin: AdminClient, key_id: str, since: datetime | None) -> _Signed:
    if _is_vkey(key_id):
        return _Signed(checkpoints=tuple([one async for one in admin.list_signed_checkpoints(key_id, since)]))
    return _Signed(
        tuple([one async for one in admin.list_sealed(key_id, since)]),
        tuple([one async for one in admin.list_sealed_answers(key_id, since)]),
    )


def _instant(text: str, *, as_json: bool) -> datetime:
    """An instant with its offset: what is meant must not hang on where the operator sits."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        wrong = InputError(
            f"{text} is not an instant with its offset, such as 2026-11-02T08:00:00+08:00",
            f"{text} 不是带时区的时间",
        )
        raise outcomes.fail(wrong, as_json=as_json)
    return value.astimezone(UTC)


def _print_done(
    done: Done[authority_pb2.RegistryKey],
    affected: _Signed | None = None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        body: dict[str, Any] = {"key": show.to_dict(done.value), "index": done.wire.index}
        if affected is not None:
            body["sealedSince"] = affected.as_json()
        show.print_json(body)
        return
    show.console().print(_table([done.value]))
    if affected is not None:
        _print_signed(affected)


def _table(keys: list[authority_pb2.RegistryKey]) -> Table:
    table = Table("Use 用途", "State 状态")
    table.add_column("Key 密钥", overflow="fold")  # whole, however narrow: it is to be copied into an act
    table.add_column("Where 位置", overflow="fold")
    for name in ("Since 启用", "Certificate 证书", "Signed 签署"):
        table.add_column(name)
    for key in keys:
        state = authority_pb2.KeyState.Name(key.state).removeprefix("KEY_STATE_").lower()
        if key.HasField("compromised_since"):
            state += f" since {key.compromised_since.ToJsonString()}"
        elif key.HasField("retired_at"):
            state += f" {key.retired_at.ToJsonString()}"
        count = str(key.signed_count) if key.use in (*_SEALS, authority_pb2.KEY_USE_CHECKPOINT) else ""
        if key.HasField("compromised_since"):
            count += f", {key.signed_since_compromised} since then"
        validity = ""
        if key.HasField("not_after"):
            validity = f"{key.not_before.ToJsonString()} – {key.not_after.ToJsonString()}"
        table.add_row(
            authority_pb2.KeyUse.Name(key.use).removeprefix("KEY_USE_").lower(),
            state,
            key.key_id,
            key.place + (" (in the clear 明文)" if key.in_clear else ""),
            key.active_from.ToJsonString() if key.HasField("active_from") else "the beginning 起始",
            validity,
            count,
        )
    return table


def _print_signed(found: _Signed) -> None:
    if found.checkpoints:
        show.console().print(_checkpoints_table(found.checkpoints))
        return
    show.console().print(_certificates_table(found.certificates))
    if found.answers:
        show.console().print(_answers_table(found.answers))


def _checkpoints_table(found: Iterable[admin_service_pb2.SignedCheckpoint]) -> Table:
    table = Table("Entries 记录数", "Root 根", "Newest entry at 最新记录时间")
    for one in found:
        table.add_row(str(one.size), one.root.hex(), one.newest_entry_at.ToJsonString())
    return table


def _answers_table(found: Iterable[admin_service_pb2.SealedAnswer]) -> Table:
    table = Table(
        "Statement 证明", "Subject 对象", "Asked by 申请人", "Sealed at 签章时间", "Stamped 时间戳", "SHA-256"
    )
    for one in found:
        stamped = "yes 有" if one.time_stamped else "no 无"
        table.add_row(
            one.kind, one.subject, one.asked_by, one.sealed_at.ToJsonString(), stamped, one.sha256.hex()
        )
    return table


def _certificates_table(found: Iterable[admin_service_pb2.SealedCertificate]) -> Table:
    table = Table("Certificate 证照", "Number 证号", "State 状态", "Sealed at 签章时间", "Entry 账本序号")
    for one in found:
        table.add_row(
            one.certificate.rpartition("/")[2],
            one.number,
            one.state,
            one.sealed_at.ToJsonString(),
            str(one.index),
        )
    return table


def _write_vkeys(folder: Path, registry: str, keys: list[authority_pb2.RegistryKey]) -> None:
    """Put the checkpoint keys that are missing behind those that the folder has."""
    path = folder / f"{registry}{SUFFIX}"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for key in keys:
        known = key.key_id in text or key.state == authority_pb2.KEY_STATE_NEXT
        if key.use == authority_pb2.KEY_USE_CHECKPOINT and not known:
            text = f"{text.rstrip()}\n".lstrip() + f"# since {key.active_from.ToJsonString()}\n{key.key_id}\n"
    path.write_text(text, encoding="utf-8")


def _write_terms(folder: Path, registry: str, keys: list[authority_pb2.RegistryKey]) -> None:
    # The times are read by what verifies certificates, which is the gateway's package.
    from gateway.certificates.seal_terms import write_seal_terms  # noqa: PLC0415
    from gateway.register.authority import SealTerm  # noqa: PLC0415

    def at(key: authority_pb2.RegistryKey, name: str) -> datetime | None:
        given = {field.name: value for field, value in key.ListFields()}
        return given[name].ToDatetime(UTC) if name in given else None

    terms = [
        SealTerm(
            key_id=key.key_id,
            active_from=at(key, "active_from"),
            retired_at=at(key, "retired_at"),
            compromised_since=at(key, "compromised_since"),
            reason=key.reason,
            index=key.index,
            national=key.use == authority_pb2.KEY_USE_NATIONAL_SEAL,
        )
        for key in keys
        if key.use in _SEALS and key.state != authority_pb2.KEY_STATE_NEXT
    ]
    write_seal_terms(folder, registry, terms)
