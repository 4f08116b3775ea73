"""Commands of the machine the gateway runs on: init, serve, demo, report, ledger verify, export, rebuild,
recover, keys, tsa.

What they do is in `machine.py`, `report.py` and `ledger_local.py`, which import the server: each is imported
by the command that runs, so that every other command starts without it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import tsa

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The gateway's diya.toml.")]
RegistryOption = Annotated[str, typer.Option(help="Only this registry; all of them by default.")]


def register(app: typer.Typer, ledger: typer.Typer, keys: typer.Typer) -> None:
    """Add the commands to the application and to its groups `ledger` and `keys`."""
    app.command("init")(init)
    app.command("serve")(serve)
    app.command("demo")(demo)
    app.command("report")(report)
    ledger.command("verify")(verify)
    ledger.command("export")(export)
    ledger.command("rebuild")(rebuild)
    ledger.command("recover")(recover)
    keys.command("rotate-kek")(rotate_kek)
    keys.command("wrap-kek")(wrap_kek)
    app.add_typer(tsa.app, name="tsa")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to set up; must not hold a gateway yet.")],
    sm4: Annotated[
        bool, typer.Option("--sm4", help="Seal the ledgers' parts with SM4-GCM, not AES-256-GCM.")
    ] = False,
    sm2_seal: Annotated[
        list[str] | None,
        typer.Option(
            "--sm2-seal",
            metavar="REGISTRY",
            help="Give this registry an SM2 seal beside the first, on all that it seals; may be repeated.",
        ),
    ] = None,
) -> None:
    """Set up a gateway: a commented diya.toml, keys, two sample registries, and a PKI FOR DEVELOPMENT ONLY
    (建立网关，证书仅供开发测试).

    Example: diya init ./my-gateway && diya serve --config ./my-gateway/diya.toml
    """
    from gateway.cli import machine  # noqa: PLC0415

    machine.init(folder, sm4=sm4, sm2_seals=sm2_seal or [])


def serve(config: ConfigOption = Path("diya.toml")) -> None:
    """Serve a gateway until SIGINT or SIGTERM; then finish what is in hand and stop (运行网关).

    Example: diya serve --config demo-out/diya.toml
    """
    from gateway.cli import machine  # noqa: PLC0415

    machine.serve(config)


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for all that comes out. What an earlier demo left there is replaced."
        ),
    ] = Path("demo-out"),
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=1,
            max=65531,
            help="First of the ports that what stays behind serves on: banks, the public, metrics, tiles; and the "
            "port where it asks for time stamps.",
        ),
    ] = 7443,
) -> None:
    """Do the whole job for real on this machine: set up, import, submit, decide, seal, verify (全流程演示).

    Everything it makes stays in the folder, with a README of commands to try next. Exits with 1, and says at which
    case, when anything came out otherwise than it must; with 2 when the folder holds something else than a demo.

    Example: diya demo --out demo-out
    """
    from gateway.cli import machine  # noqa: PLC0415

    machine.demo(out, port)


def report(
    config: ConfigOption = Path("diya.toml"),
    registry: RegistryOption = "",
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in China, whose bookings are counted."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="First day that is not counted any more."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw FILE.svg or FILE.png too; needs one --registry.")
    ] = None,
    cost_before: Annotated[
        float | None,
        typer.Option(help="Cost of advancing an old loan, as a share of it; Jinan's by default."),
    ] = None,
    cost_after: Annotated[
        float | None, typer.Option(help="What is left of that cost, as a share; Jinan's by default.")
    ] = None,
) -> None:
    """Count what the cities count, from the ledger alone (登记统计): deals by mode, amounts, days, shares, cost.

    Jinan's deals, amount and cost, Chengdu's days, Jiangyin's applications saved, Taizhou's share of second-hand
    sales with pre-notice, Linyi's online rate. Read only; safe beside a running gateway. Costs are estimates from the
    old loans that nobody had to pay off in advance.

    \b
    Example:
      diya report --config demo-out/diya.toml --registry jiangyin --chart report.svg
    """
    from gateway.cli import report as reporting  # noqa: PLC0415
    from gateway.reports.figures import COST_AFTER, COST_BEFORE  # noqa: PLC0415

    if form not in list(reporting.Format):
        raise typer.BadParameter(f"{form} is none of {', '.join(reporting.Format)}", param_hint="--format")
    reporting.report(
        config,
        registry,
        (since.date() if since else None, until.date() if until else None),
        (
            COST_BEFORE if cost_before is None else cost_before,
            COST_AFTER if cost_after is None else cost_after,
        ),
        reporting.Format(form),
        chart,
    )


def verify(
    config: ConfigOption = Path("diya.toml"),
    registry: RegistryOption = "",
    views: Annotated[
        bool | None,
        typer.Option(
            "--views/--no-views",
            help="Fold the ledger and compare every view with it. By default, unless --since is given.",
        ),
    ] = None,
    evidence: Annotated[
        bool,
        typer.Option("--evidence/--no-evidence", help="Verify every envelope again, and hash the files."),
    ] = True,
    since: Annotated[
        Path | None,
        typer.Option(
            "--since", help="A checkpoint that was verified before: only what came after it is looked at."
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", help="Where to write the newest checkpoint, when all holds: the next --since."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a registry.")] = False,
) -> None:
    """Check the ledger's every byte, and that the register is what the ledger says (账本核验).

    Chain, tree, every checkpoint ever signed, every part's commitment; every envelope's signatures as of their time, by
    the trust that was in force then, and the files; then the effects of all entries are folded anew and every view
    (register, cases, certificates, events …) is compared with them, row by row and column by column. Read only; safe
    beside a running gateway. Names the first row that diverges and exits with 1.

    For every day: --since yesterday's checkpoint, which the ledger must be proven to extend. Keep checkpoints where
    nobody who can write to this database can change them: a ledger rewritten with its own key shows in nothing else.

    \b
    Example:
      diya ledger verify --config demo-out/diya.toml --registry jiangyin --keep jiangyin.note
      diya ledger verify --config demo-out/diya.toml --since jiangyin.note --keep jiangyin.note
    """
    from gateway.cli import ledger_local  # noqa: PLC0415

    wanted = ledger_local.Wanted(views=since is None if views is None else views, evidence=evidence)
    ledger_local.verify(config, registry, wanted=wanted, since=since, keep=keep, as_json=as_json)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="One folder a registry is written in it.")],
    config: ConfigOption = Path("diya.toml"),
    registry: RegistryOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a registry.")] = False,
) -> None:
    """Write the published ledger as static files that anyone can check and any web server can serve (导出账本).

    Each folder is a C2SP tlog-tiles log: checkpoint, hash tiles, entry bundles, beside them the verifier key. No part
    is in it, so no name and no amount. Read only; safe beside a running gateway. A folder that is there is extended,
    also after an interruption; the checkpoint is written last.

    \b
    Example:
      diya ledger export ledger-export --config demo-out/diya.toml
    """
    from gateway.cli import ledger_local  # noqa: PLC0415

    ledger_local.export(config, folder, registry, as_json=as_json)


def rebuild(config: ConfigOption = Path("diya.toml"), registry: RegistryOption = "") -> None:
    """Drop the views and make them anew from the ledger, with the server down (重建登记簿视图).

    The ledger is verified first: from a broken one nothing is rebuilt. All in one transaction: until the end the old
    views stand. Files, sealed certificates, keys and the ledger itself are not touched.

    \b
    Example:
      diya ledger rebuild --config demo-out/diya.toml
    """
    from gateway.cli import ledger_local  # noqa: PLC0415

    ledger_local.rebuild(config, registry)


def rotate_kek(config: ConfigOption = Path("diya.toml")) -> None:
    """Replace the key-encryption key by a new one, with the server down (更换主密钥).

    Every part key is wrapped anew; what they seal is not touched. Broken off, it goes on where it ended when it is run
    again, and nothing is served before. The old key stays beside the new one as FILE.old: older backups of the database
    want it. docs/operating.md says what to do with either.

    \b
    Example:
      diya keys rotate-kek --config demo-out/diya.toml
    """
    from gateway.cli import ledger_local  # noqa: PLC0415

    ledger_local.rotate_kek(config)


def wrap_kek(config: ConfigOption = Path("diya.toml")) -> None:
    """Wrap the key-encryption key, which lies in the clear, as the settings say, with the server down (封装主密钥).

    storage.key_encryption_key_wrapping is where a passphrase stands (file:PATH, env:NAME, credential:NAME), or an AES
    key in a token (pkcs11:…). The key stays the same; so do the database and its backups. The backup of the key is
    wrapped with it.

    \b
    Example:
      diya keys wrap-kek --config demo-out/diya.toml
    """
    from gateway.cli import ledger_local  # noqa: PLC0415

    ledger_local.wrap_kek(config)


def recover(
    registry: Annotated[str, typer.Option(help="Whose ledger.")],
    signer: Annotated[
        Path, typer.Option(help="Folder of an operator's personal key: sign.pem and sign.key.pem.")
    ],
    former_vkey: Annotated[str, typer.Option(help="Verifier key of the ledger until now.")],
    reached: Annotated[
        int, typer.Option(min=1, help="Size that it reached, by the newest checkpoint that anybody holds.")
    ],
    reason: Annotated[str, typer.Option(help="What happened, in words.")],
    config: ConfigOption = Path("diya.toml"),
) -> None:
    """Go on under a new origin, after entries that were signed for are lost (账本恢复). With the server down.

    For a restored database that a witness or a bank knows to be older than what was signed: under its own name it may
    sign nothing more. Write the new origin into the settings first. What is left is verified and copied aside; it
    becomes the beginning of the new ledger, and the operator's signed act the entry that names what is lost.
    Receipts of the former ledger hold as before, against the former key.

    \b
    Example:
      diya ledger recover --registry jiangyin --signer clients/operator --former-vkey "$(cat trust/jiangyin.vkey)" \\
        --reached 1201 --reason "disk lost, restored from the backup of 3 March"
    """
    from gateway.cli import ledger_local  # noqa: PLC0415
    from gateway.recovery import Loss  # noqa: PLC0415

    ledger_local.recover(config, registry, signer, Loss(former_vkey.strip(), reached, reason))
