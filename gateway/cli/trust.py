"""`diya trust`: whom a registry believes, read and set by an operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography import x509
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.errors import InputError
from gateway.client.trust_sets import sets_of, store_of
from gateway.pb.diya.v1 import admin_service_pb2, authority_pb2
from signing.anchors import AnchorPolicy
from signing.certificates import Certificate, parse_certificate
from signing.errors import SigningError
from signing.ocsp import read_answer
from signing.revocation import list_dates
from signing.trust import Purpose, TrustStore
from signing.trust_directory import POLICIES, policy_fields, read_trust, write_trust

app = typer.Typer(
    no_args_is_help=True,
    help="Show and set whom a registry believes: anchors, policies, revocation evidence. 信任设置。",
)

_ZH: Final = {
    Purpose.INSTITUTION: "机构",
    Purpose.PERSON: "自然人",
    Purpose.REGISTRAR: "登记人员",
    Purpose.OPERATOR: "运维人员",
    Purpose.REGISTRY: "登记机构印章",
    Purpose.TLS: "传输",
    Purpose.TSA: "时间戳",
}


@app.command("show")
def show_trust(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it into this new folder too, to be changed and set again."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show anchors with their dates, policies and sources, and the lists and answers in force (查询信任设置).

    With --out it becomes a folder: <purpose>.pem, intermediates.pem, *.crl, *.ocsp, policies.json.

    \b
    Examples:
      diya trust show --config operator.toml
      diya trust show --out trust-in-force --config operator.toml
    """
    if out is not None and out.exists():
        raise typer.BadParameter(f"{out} is there already: name a new folder 目录已存在，请另取名称")

    async def work() -> tuple[TrustStore, int]:
        async with opening.open_admin(load_settings(config)) as admin:
            found = await admin.get_trust()
        store = _readable(found.trust)
        if out is not None:
            write_trust(store, out)
        return store, found.index

    store, index = outcomes.run(work(), as_json=as_json)
    _print(store, index, as_json=as_json)


@app.command("set")
def set_trust(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As `diya trust show --out` writes one.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what a folder holds, by a signed act (设置信任).

    <purpose>.pem (institution, person, registrar, operator, registry, tls, tsa) replaces the anchors of that purpose,
    policies.json their policies; a purpose without a file stays as it is. Lists (*.crl) and OCSP answers (*.ocsp),
    DER, take the place of older ones and of nothing else. An act under which no operator could act again is refused.

    \b
    Example:
      diya trust set trust-in-force --config operator.toml
    """

    async def work() -> Done[tuple[authority_pb2.TrustSet, ...]]:
        async with opening.open_admin(load_settings(config)) as admin:
            store = _read(folder)
            if not (folder / POLICIES).exists():
                _refuse_to_drop_policies(folder, store, await admin.get_trust())
            return await admin.set_trust(sets_of(store))

    done = outcomes.run(work(), as_json=as_json)
    _print(_readable(done.value), done.wire.index, as_json=as_json)


def _read(folder: Path) -> TrustStore:
    """The folder's store. Raises InputError naming the file."""
    try:
        return read_trust(folder, whole=True)  # what is left out would be trusted no more
    except SigningError as error:
        raise InputError(
            f"{folder} cannot be set as trust: {error.message}",
            f"{folder} 不能用作信任设置：{error.zh}（{error.message}）",
        ) from error


def _readable(wires: Iterable[authority_pb2.TrustSet]) -> TrustStore:
    """What the gateway answered. Raises InputError where this machine cannot read it, such as SM2 without the extra."""
    try:
        return store_of(wires)
    except SigningError as error:
        raise InputError(
            f"the registry's trust cannot be read here: {error.message}",
            f"本机不能读取信任设置：{error.zh}（{error.message}）",
        ) from error


def _refuse_to_drop_policies(
    folder: Path, store: TrustStore, stands: admin_service_pb2.GetTrustResponse
) -> None:
    """Policies go with the anchors that are replaced; nobody shall lose dates and sources by a forgotten file."""
    have = [purpose.value for purpose in store_of(stands.trust).policies if store.anchors[purpose]]
    if have:
        names = ", ".join(have)
        raise InputError(
            f"policies are in force for {names}, and {folder} has no {POLICIES}: take it from "
            "`diya trust show --out FOLDER`, or write {} into it to set these anchors without policies",
            f"{names} 已有信任锚策略，而 {folder} 没有 {POLICIES}：请从 diya trust show --out 目录 取得；"
            "确要取消策略的，请写入 {}",
        )


def _print(store: TrustStore, index: int, *, as_json: bool) -> None:
    if as_json:
        show.print_json({**_told(store), "index": index})
        return
    out = show.console()
    for line in _lines(store, datetime.now(UTC)):
        out.print(Text(line))
    out.print(Text(f"ledger index 账本序号 {index}"))


def _told(store: TrustStore) -> dict[str, Any]:
    """All of it for programs: instants in RFC 3339, UTC."""
    return {
        "anchors": [
            {
                "purpose": purpose.value,
                "subject": anchor.subject,
                "sha256": anchor.fingerprint,
                "notBefore": _utc(anchor.not_before),
                "notAfter": _utc(anchor.not_after),
                "policy": policy and policy_fields(policy),
            }
            for purpose, anchor, policy in _anchors(store)
        ],
        "lists": [
            {
                "issuer": issuer,
                "thisUpdate": _utc(since),
                "nextUpdate": until and _utc(until),
                "revoked": revoked,
            }
            for issuer, since, until, revoked in _lists(store)
        ],
        "answers": [
            {
                "issuer": issuer,
                "serial": serial,
                "thisUpdate": _utc(since),
                "until": _utc(until),
                "status": status,
            }
            for issuer, serial, since, until, status in _answers(store)
        ],
        "intermediates": [parse_certificate(der).subject for der in store.intermediates],
    }


def _lines(store: TrustStore, now: datetime) -> Iterator[str]:
    """All of it for people, China time; what has ended says so."""
    shown = None
    for purpose, anchor, policy in _anchors(store):
        if purpose is not shown:
            yield f"{purpose.value} {_ZH[purpose]}"
        shown = purpose
        yield f"  {anchor.subject}"
        yield f"    sha256 {anchor.fingerprint}"
        yield f"    {_span(anchor.not_before, anchor.not_after, now)}"
        yield from _policy_lines(policy, now)
    yield f"Revocation lists 吊销列表 ({len(store.crls)})"
    for issuer, since, until, revoked in _lists(store):
        yield f"  {issuer}  revoked 已吊销 {revoked}  {_span(since, until, now)}"
    yield f"OCSP answers 在线状态应答 ({len(store.ocsp)})"
    for issuer, serial, since, until, status in _answers(store):
        yield f"  {issuer}  serial {serial}  {status}  {_span(since, until, now)}"
    yield f"Intermediates 中间证书 ({len(store.intermediates)})"
    for der in store.intermediates:
        yield f"  {parse_certificate(der).subject}"


def _policy_lines(policy: AnchorPolicy | None, now: datetime) -> Iterator[str]:
    if policy is None:
        yield "    no policy: believed within its own dates, nothing is fetched 无策略：按证书有效期，不联网获取"
        return
    if policy.not_before or policy.not_after:
        yield f"    believed 信任期间 {_span(policy.not_before, policy.not_after, now)}"
    required = "required 须可查" if policy.revocation_required else "not required 不强制"
    yield f"    revocation 吊销 {required}, grace 宽限 {policy.grace_hours} h"
    for kind, urls in (("CRL", policy.crl_urls), ("OCSP", policy.ocsp_urls)):
        for url in urls:
            yield f"    {kind} {url}"


def _span(since: datetime | None, until: datetime | None, now: datetime) -> str:
    begins, ends = ("…" if one is None else show.china_text(one) for one in (since, until))
    over = " ended 已过期" if until is not None and until <= now else ""
    early = " not yet 尚未生效" if since is not None and since > now else ""
    return f"{begins} – {ends}{over}{early}"


def _anchors(store: TrustStore) -> Iterator[tuple[Purpose, Certificate, AnchorPolicy | None]]:
    for purpose, ders in store.anchors.items():
        policies = {one.anchor: one for one in store.policies.get(purpose, ())}
        for der in ders:
            anchor = parse_certificate(der)
            yield purpose, anchor, policies.get(anchor.fingerprint)


def _lists(store: TrustStore) -> Iterator[tuple[str, datetime, datetime | None, int]]:
    """Each list: issuer, as of when it speaks, when the next one comes, how many it revokes."""
    for der in store.crls:
        crl = x509.load_der_x509_crl(der)
        yield crl.issuer.rfc4514_string(), *list_dates(der, store.authorities), len(crl)


def _answers(store: TrustStore) -> Iterator[tuple[str, str, datetime, datetime, str]]:
    """Each statement of an answer: issuer, serial number in hex, as of when, until when, GOOD, REVOKED or UNKNOWN."""
    names = {one.key_id: one.subject for one in store.authorities}
    for der in store.ocsp:
        for said in read_answer(der, store.authorities):
            status = "REVOKED" if said.revoked_since else "GOOD" if said.known else "UNKNOWN"
            issuer = names[said.issuer_key_id]
            yield issuer, f"{said.serial:x}", said.this_update, said.until, status


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
