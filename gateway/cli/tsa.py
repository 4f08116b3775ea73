"""`diya tsa serve`: a time stamp authority for development and tests."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli import outcomes

app = typer.Typer(
    no_args_is_help=True, help="A time stamp authority FOR DEVELOPMENT ONLY. 时间戳（仅供开发测试）。"
)

_err = Console(stderr=True)


@app.command("serve")
def serve(
    key: Annotated[Path, typer.Option(help="Its private key, PEM.")] = Path("keys/tsa.key.pem"),
    certificate: Annotated[
        Path, typer.Option(help="Its certificates, PEM, own first: for time stamping alone.")
    ] = Path("keys/tsa.pem"),
    listen: Annotated[str, typer.Option(help="HOST:PORT to serve plain HTTP on.")] = "127.0.0.1:7447",
    policy: Annotated[str, typer.Option(help="OID of the policy that tokens name.")] = "",
) -> None:
    """Give RFC 3161 time stamps until SIGINT or SIGTERM, FOR DEVELOPMENT ONLY: this machine's clock and a key of the
    development PKI prove nothing to anybody (测试时间戳服务).

    `diya init` makes key and certificate, and trusts them as it trusts all of its development PKI. Name the authority
    in diya.toml under [registries.timestamp].

    \b
    Example:
      diya tsa serve --key demo-out/keys/tsa.key.pem --certificate demo-out/keys/tsa.pem
    """
    from gateway.app import utc_now  # noqa: PLC0415
    from gateway.http.tsa import TimestampServer  # noqa: PLC0415
    from signing.algorithms import Algorithm  # noqa: PLC0415
    from signing.errors import SigningError  # noqa: PLC0415
    from signing.signer import LocalSigner  # noqa: PLC0415
    from signing.timestamp_authority import POLICY, TimestampAuthority  # noqa: PLC0415

    host, _, port = listen.rpartition(":")
    try:
        pems = key.read_bytes(), certificate.read_bytes()
        signer = LocalSigner.from_pem(*pems)
        if signer.algorithm is Algorithm.RSA_PSS_SHA256:  # which `openssl ts` does not know
            signer = LocalSigner.from_pem(*pems, algorithm=Algorithm.RSA_PKCS1_SHA256)
        authority = TimestampAuthority(signer, utc_now, policy=policy or POLICY)
        server = TimestampServer(authority, host, int(port))
    except (OSError, ValueError, SigningError) as error:
        _err.print(Text(str(error), style="red"), soft_wrap=True)
        raise typer.Exit(outcomes.USAGE) from error
    _err.print(Text("仅供开发测试 / FOR DEVELOPMENT ONLY: these time stamps prove nothing", style="yellow"))
    with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            # `shutdown` waits for the loop below, which this thread runs.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        typer.echo(json.dumps({"ready": {"listen": server.server_port}}))
        server.serve_forever()
