"""`diya signature`: any signed file, looked into and verified offline."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from cryptography import x509
from rich.table import Table
from rich.text import Text

from gateway.cli import outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import DiyaError
from gateway.client.local_files import not_written
from signing.algorithms import Algorithm
from signing.certificates import parse_certificate
from signing.errors import SigningError
from signing.indication import result_of, result_of_all
from signing.trust import Purpose, TrustStore
from signing.trust_directory import read_trust

if TYPE_CHECKING:
    from gateway.cli.signature_file import Held, Judged
    from signing.inspection import SeenSignature
    from signing.verdict import FileProblem

app = typer.Typer(no_args_is_help=True, help="Look into and verify signed files. 电子签名。")

CHECKS: Final = (
    ("FORMAT", "格式与覆盖范围", "结构完整可读", "the structure is read whole, and covers what it must"),
    (
        "INTACT",
        "内容与签名值",
        "签名值相符，内容未改动",
        "the signature value verifies over the signed bytes, unchanged",
    ),
    (
        "TIME",
        "时间",
        "时间戳成立，或以核验时点为准",
        "time stamps hold; without one the time of this check counts",
    ),
    (
        "CERTIFICATE",
        "证书与信任链",
        "追溯到该用途的信任锚",
        "it chains to an anchor of a purpose that it may have",
    ),
    (
        "REVOCATION",
        "吊销",
        "信任目录中没有其吊销记录",
        "no list of the trust folder revokes a link of the chain",
    ),
)
"""What is asked of every signature, in this order; what comes after a check that fails is not asked."""

_CHECK_OF: Final = {
    "SIGNATURE_INVALID": "INTACT",
    "SIGNED_CONTENT_CHANGED": "INTACT",
    "ALGORITHM_REFUSED": "INTACT",
    "ALGORITHM_UNAVAILABLE": "INTACT",
    "FILE_CHANGED_AFTER_SIGNING": "INTACT",
    "FILE_TIMESTAMP_INVALID": "TIME",
    "CERTIFICATE_MALFORMED": "FORMAT",
    "CERTIFICATE_REVOKED": "REVOCATION",
    "CERTIFICATE_REVOCATION_UNKNOWN": "REVOCATION",
}
"""The check that a problem is about; other certificate problems are CERTIFICATE's, the rest FORMAT's."""

_IN_LINES: Final = frozenset({"path", "evidence"})
"""What of a signature the JSON gives in its own shape."""

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="PDF, CMS or GB/T 35275 file, envelope, or any file with --signature. "
        "PDF、CMS、GB/T 35275 文件或信封；其他文件须加 --signature。",
    ),
]
SignatureOption = Annotated[
    Path | None,
    typer.Option(
        "--signature",
        "-s",
        metavar="SIG",
        help="Detached signature: CMS, GB/T 35275 or a bare value. 分离式签名文件，或裸签名值。",
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        metavar="CERT",
        help="PEM or DER of the signer of a bare value; PEM may add its chain. 裸签名值的签名人证书。",
    ),
]


@app.command("inspect")
def inspect(
    file: FileArgument,
    signature: SignatureOption = None,
    certificate: CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a signed file says of itself; nothing is verified (查看签名).

    Who signed, with what, when by his own word, and what lies in the file that `verify` does not use. Exit status:
    0 it is shown, 2 the file cannot be read. 只显示签名自述内容，不作核验。

    \b
    Examples:
      diya signature inspect contract.pdf
      diya signature inspect photo.jpg.p7s
    """
    from gateway.cli.signature_file import open_signed  # noqa: PLC0415  # it needs the parsers of PDF

    try:
        opened = open_signed(file, signature, certificate)
        if opened.unread is not None:
            raise opened.unread
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    if as_json:
        show.print_json({"kind": opened.kind, "signatures": [_seen_json(one) for one in opened.seen]})
        return
    out = show.console()
    out.print(
        Text(f"{opened.kind}: {len(opened.seen)} signature(s), none verified here  未核验", style="bold")
    )
    for one in opened.seen:
        out.print(_seen_table(one))


@app.command("verify")
def verify(
    file: FileArgument,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help="Folder with <purpose>.pem, intermediates.pem, *.crl, *.ocsp and policies.json; "
            "that of the settings by default. 信任目录。",
        ),
    ] = None,
    signature: SignatureOption = None,
    certificate: CertificateOption = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"],
            help="Judge as of this time (UTC if no zone); now by default. A time that a time stamp proves outweighs "
            "it. 核验时点，以时间戳证明的时间为先。",
        ),
    ] = None,
    purpose: Annotated[
        list[Purpose] | None,
        typer.Option(
            "--purpose",
            case_sensitive=False,
            help="Only signers of this purpose; more than one may be given. By default whatever the signer's kind of "
            "identity may be. 签名人用途。",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the signatures of a file: who signed, with what, which checks hold, on which evidence (核验签名).

    FILE is a PDF, a CMS (RFC 5652, CAdES) or GB/T 35275 file with its content inside, or an envelope; any
    other file takes its detached signature by --signature. A bare value is DER of r and s (ECDSA, SM2), RSA or
    Ed25519, over the file. What fails is named by its reason and by the indication and sub-indication of
    ETSI EN 319 102-1. Judged up to B-T; archive data is named and not used.

    Exit status 退出码: 0 every signature holds 全部有效; 1 one does not, or there is none, or the file is damaged or
    encrypted 无效、无签名或文件损坏; 2 no such file, or nothing that this command verifies 文件无法识别.

    \b
    Examples:
      diya signature verify contract.pdf --trust trust
      diya signature verify photo.jpg --signature photo.jpg.p7s --trust trust --purpose person
      diya signature verify data.xml -s data.sig --certificate bank.pem --trust trust
      diya signature verify envelope.json --trust trust --at 2026-11-02T09:00:00Z --json
    """
    from gateway.cli.signature_file import open_signed  # noqa: PLC0415  # as above

    when = datetime.now(UTC) if at is None else at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        store = read_trust(trust or load_settings(config).path("trust"))
        judged = open_signed(file, signature, certificate).judged(store, when, purpose or None)
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    if as_json:
        show.print_json(_judged_json(judged, store, when))
    else:
        _print_judged(judged, store, when)
    raise typer.Exit(outcomes.OK if judged.holds else outcomes.FAILED)


@app.command("sign")
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any file; it is not changed.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; FILE.p7s by default.")
    ] = None,
    national: Annotated[
        bool,
        typer.Option("--national", help="Refuse any form but GB/T 35275, which an SM2 key signs in anyway."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign any file with the signing key of the settings: a detached CAdES B-B or GB/T 35275 file (签署文件).

    \b
    Examples:
      diya signature sign contract.ofd
      diya signature sign photo.jpg --national --out photo.sig
    """
    from gateway.cli import opening  # noqa: PLC0415  # a client that only verifies does without
    from gateway.cli.reading import read_file  # noqa: PLC0415
    from signing.cms_sign import sign_35275, sign_cms  # noqa: PLC0415

    target = out or file.with_name(file.name + ".p7s")
    try:
        signer = opening.open_signer(load_settings(config))
        make = sign_35275 if national or signer.algorithm is Algorithm.SM2_SM3 else sign_cms
        made = make(read_file(file), [signer], datetime.now(UTC))
        target.write_bytes(made)
    except OSError as error:
        raise outcomes.fail(not_written(target, error), as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    if as_json:
        show.print_json({"signature": str(target)})
    else:
        show.console().print(Text(str(target)))


# -- printing ------------------------------------------------------------------------------------------


def _print_judged(judged: Judged, store: TrustStore, when: datetime) -> None:
    out = show.console()
    word = (
        Text("holds  有效", style="bold green")
        if judged.holds
        else Text("does not hold  无效", style="bold red")
    )
    out.print(Text(f"{judged.kind}: ", style="bold") + word)
    if judged.is_read and not judged.seen:
        out.print(Text("  no signature in it  文件中没有签名", style="red"))
    seen = {one.field: one for one in judged.seen}
    for one in judged.held:
        out.print(_held_table(one, store, seen.get(one.field)))
    for problem in judged.problems:
        out.print(_problem_table(problem, seen.get(problem.field), when))


def _held_table(one: Held, store: TrustStore, seen: SeenSignature | None) -> Table:
    table = _table(one.field, f"{one.signer}  {one.identity}", "green")
    table.add_row("", "purpose 用途", one.purpose)
    table.add_row("", "algorithm 算法", f"{one.algorithm}  {one.form}")
    if one.claimed_at is not None:
        table.add_row("", "claimed time 声称时间", f"{_time(one.claimed_at)}  (proves nothing 不作证明)")
    for name, zh, told, en in CHECKS:
        table.add_row(Text("✓", style="green"), f"{name} {zh}", f"{told}  {en}")
    proven = "by time stamp 时间戳" if one.proven_at else "no time stamp 无时间戳"
    table.add_row("", "judged at 核验时点", f"{_time(one.judged_at)}  {proven}")
    for line in _evidence(one, store):
        table.add_row("", "evidence 依据", line)
    for line in seen.unused if seen else ():
        table.add_row("", "not verified 未核验", line)
    return table


def _problem_table(problem: FileProblem, seen: SeenSignature | None, when: datetime) -> Table:
    who = "" if seen is None else f"{seen.name or seen.subject}  {_identity(seen)}"
    table = _table(problem.field, who, "red")
    failed = check_of(problem.code)
    for name, zh, told, en in CHECKS:
        if name == failed:
            table.add_row(Text("✗", style="red"), f"{name} {zh}", f"{problem.code}  {problem.zh}")
            table.add_row("", "", problem.en)
            result = result_of(problem.code)
            table.add_row("", "", f"{result.indication.value} {result.sub_indication}  (ETSI EN 319 102-1)")
            break
        table.add_row(Text("✓", style="green"), f"{name} {zh}", f"{told}  {en}")
    table.add_row("", "judged at 核验时点", _time(when))
    return table


def _seen_table(one: SeenSignature) -> Table:
    table = _table(one.field, f"{one.name}  {_identity(one)}", "bold")
    for label, text in (
        ("form 形式", one.form),
        ("algorithm 算法", one.algorithm),
        ("claimed time 声称时间", "" if one.claimed_at is None else _time(one.claimed_at)),
        ("time stamps 时间戳", str(one.stamps) if one.stamps else ""),
        ("subject 主体", one.subject),
        ("issuer 颁发者", one.issuer),
        ("serial 序列号", one.serial),
        (
            "valid 有效期",
            ""
            if one.not_before is None or one.not_after is None
            else f"{_time(one.not_before)} – {_time(one.not_after)}",
        ),
        ("SHA-256", one.fingerprint),
        *[("not used 不采用", line) for line in one.unused],
        ("fault 问题", one.fault),
    ):
        if text:
            table.add_row("", label, text)
    return table


def _table(field: str, who: str, style: str) -> Table:
    table = Table(
        title=Text(f"{field or 'file 文件'}  {who}", style=style),
        show_header=False,
        box=None,
        title_justify="left",
    )
    table.add_column()
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def check_of(code: str) -> str:
    """The name of the check that a problem's code is about."""
    if code in _CHECK_OF:
        return _CHECK_OF[code]
    return "CERTIFICATE" if code.startswith("CERTIFICATE_") else "FORMAT"


def _evidence(one: Held, store: TrustStore) -> list[str]:
    """What the verdict rests on: each certificate of the path with its issuer's lists, and the anchor."""
    anchors = [(p, parse_certificate(der)) for p, ders in store.anchors.items() for der in ders]
    authorities = {held.key_id: held for held in map(parse_certificate, store.intermediates)}
    authorities |= {held.key_id: held for _, held in anchors}
    lists = [x509.load_der_x509_crl(der) for der in store.crls]
    lines = []
    for link in one.path:
        issuer = authorities.get(link.issuer_key_id)
        name = "its issuer came with the file 颁发者证书随文件附带" if issuer is None else issuer.subject
        lines.append(f"certificate 证书 {link.fingerprint}  until {_time(link.not_after)}  by {name}")
        own = [] if issuer is None else [c for c in lists if c.issuer.public_bytes() == issuer.subject_name]
        lines += [f"revocation list 吊销列表 of {_time(crl.last_update_utc)}" for crl in own]
        if not own and not one.evidence:
            lines.append(
                "no revocation list of this issuer in the trust folder 信任目录中没有该颁发者的吊销列表"
            )
    for piece in one.evidence:
        until = "" if piece.until is None else f" until 至 {_time(piece.until)}"
        lines.append(f"{piece.kind} of {_time(piece.this_update)}{until}  SHA-256 {piece.sha256}")
    if one.in_grace:
        lines.append("it had ended by then, within the grace of the policy 已过期，在策略宽限期内")
    for purpose, held in anchors:
        if held.fingerprint == one.anchor:
            lines.append(f"anchor 信任锚 {purpose.value.lower()}.pem  {held.subject}  {held.fingerprint}")
    return lines


def _judged_json(judged: Judged, store: TrustStore, when: datetime) -> dict[str, Any]:
    names = [name for name, *_ in CHECKS]
    return {
        "kind": judged.kind,
        "holds": judged.holds,
        "indication": result_of_all(one.code for one in judged.problems).indication.value
        if judged.seen or not judged.is_read
        else "",
        "judged_at": _time(when),
        "signatures": [
            {
                **{key: _plain(value) for key, value in asdict(one).items() if key not in _IN_LINES},
                "checks": dict.fromkeys(names, "HOLDS"),
                "path": [
                    {"sha256": link.fingerprint, "serial": link.serial, "not_after": _time(link.not_after)}
                    for link in one.path
                ],
                "evidence": _evidence(one, store),
            }
            for one in judged.held
        ],
        "problems": [
            {
                "field": one.field,
                "code": one.code,
                "indication": result_of(one.code).indication.value,
                "sub_indication": result_of(one.code).sub_indication,
                "zh": one.zh,
                "en": one.en,
                "checks": _checks_until(check_of(one.code), names),
            }
            for one in judged.problems
        ],
        "seen": [_seen_json(one) for one in judged.seen],
    }


def _checks_until(failed: str, names: list[str]) -> dict[str, str]:
    at = names.index(failed)
    return {name: "HOLDS" if n < at else "FAILS" if n == at else "NOT_ASKED" for n, name in enumerate(names)}


def _seen_json(one: SeenSignature) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    return {name: _identity(one) if name == "identity" else _plain(value) for name, value in fields.items()}


def _identity(one: SeenSignature) -> str:
    return "" if one.identity is None else f"{one.identity.scheme}-{one.identity.number}"


def _plain(value: object) -> object:
    return _time(value) if isinstance(value, datetime) else value


def _time(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
