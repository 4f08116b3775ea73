"""`diya certificate`: e-certificates, verified offline and asked for live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.receipt import PolicyOption, TrustOption, show_proof_written
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.certificates import VerifiedCertificate
from gateway.client.errors import DiyaError, InputError
from gateway.client.local_files import not_read
from gateway.client.proof_file import SUFFIX, check_proof, save_proof
from gateway.client.trust import read_policy, read_trust
from gateway.pb.diya.v1 import certificate_pb2, certificate_service_pb2
from signing.algorithms import Suite
from signing.errors import SigningError
from signing.trust_directory import read_trust as read_anchors

if TYPE_CHECKING:
    from gateway.certificates.verdict import CertificateVerdict, Check

app = typer.Typer(no_args_is_help=True, help="Get and verify e-certificates. 电子证照。")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.pdf", help="The sealed certificate.")],
    trust: TrustOption = None,
    policy: PolicyOption = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the public listener for the live state too.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a certificate: seal, data against print, ledger proof; with --online its live state
    (核验证照).

    The trust folder holds the registry's seal anchors (registry.pem) and ledger keys
    (<registry>.vkey). A good seal proves that the certificate was issued; only the live state says
    that the right still lives.

    \b
    Example:
      diya certificate verify "苏(2026)江阴市不动产证明第0000001号.pdf" --trust trust --online
    """
    try:
        data = file.read_bytes()
        verdict = _check(data, trust or load_settings(config).path("trust"), policy)
    except OSError as error:
        unreadable = InputError(f"{file}: {error.strerror}", f"{file}：无法读取")
        raise outcomes.fail(unreadable, as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    live = None
    if online:
        live = outcomes.run(_ask(data, config), as_json=as_json)
        state = certificate_pb2.Certificate.State.Name(live.state).removeprefix("STATE_")
        verdict = verdict.answered(state, compromised=live.seal_compromised)
    _print_verdict(verdict, live, as_json=as_json)
    raise typer.Exit(outcomes.FAILED if verdict.failed or not verdict.sound else outcomes.OK)


@app.command("proof")
def proof(
    file: Annotated[Path, typer.Argument(metavar="FILE.pdf", help="The sealed certificate.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; FILE.tlog-proof by default.")
    ] = None,
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the proof of a certificate's entry for anyone's tools: c2sp.org/tlog-proof@v1, once the
    certificate is verified (导出证照的包含证明).

    \b
    Example:
      diya certificate proof proof.pdf --out proof.tlog-proof
    """
    target = out or file.with_suffix(SUFFIX)
    try:
        folder = trust or load_settings(config).path("trust")
        verdict = _check(file.read_bytes(), folder, None)
        if not verdict.sound or verdict.proof is None:
            _print_verdict(verdict, None, as_json=as_json)
            raise typer.Exit(outcomes.FAILED)
        kept = verdict.proof
        save_proof(target, kept.entry, kept.index, kept.inclusion, kept.checkpoint.encode())
        written = check_proof(target, read_trust(folder))
    except OSError as error:
        raise outcomes.fail(not_read(file, error), as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    show_proof_written(target, written, as_json=as_json)


@app.command("download")
def download(
    name: Annotated[str, typer.Argument(help="Resource name or identifier of the certificate.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; named by its number by default."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a sealed certificate; its digest and its content are compared with the ledger
    (下载证照).

    \b
    Example:
      diya certificate download 1.2.156.3005.2.… --out proof.pdf
    """

    async def work() -> tuple[VerifiedCertificate, Path]:
        async with opening.open_client(load_settings(config)) as client:
            number = "" if out else (await client.get_certificate(name)).certificate.number
            target = out or Path(f"{number.replace('/', '_')}.pdf")
            with show.Transfers(hidden=as_json) as transfers:
                got = await client.download_certificate(name, target, progress=transfers.bar(target.name))
            return got, target

    got, target = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json({"file": str(target), "certificate": show.to_dict(got.certificate)})
        return
    state = certificate_pb2.Certificate.State.Name(got.certificate.state).removeprefix("STATE_")
    show.console().print(Text(f"{got.certificate.number}  {state}  {target}"))


@app.command("list")
def list_certificates(
    application: Annotated[str, typer.Option("--application", help="Only of this application.")] = "",
    unit: Annotated[str, typer.Option("--unit", help="Only on this unit, 28 characters.")] = "",
    number: Annotated[str, typer.Option("--number", help="Only with this number 证号.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List certificates, newest booking first (证照列表).

    \b
    Example:
      diya certificate list --unit 320281001001GB00001F00010001
    """

    async def work() -> list[certificate_pb2.Certificate]:
        async with opening.open_client(load_settings(config)) as client:
            listed = client.certificates.list(
                application=client.session.name("applications", application) if application else "",
                unit_code=unit,
                number=number,
            )
            return [one async for one in listed]

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
    else:
        show.console().print(show.certificates_table(found))


def _check(data: bytes, trust: Path, policy: Path | None) -> CertificateVerdict:
    # The checks of printing and data belong to the gateway's package; only this command needs them.
    from gateway.certificates.verify import verify_certificate  # noqa: PLC0415

    demanded = read_policy(policy) if policy else None
    return verify_certificate(data, **offline_trust(trust), policy=demanded)


async def _ask(data: bytes, config: Path | None) -> certificate_service_pb2.VerifyCertificateResponse:
    async with opening.open_public(load_settings(config)) as client:
        return await client.verify(pdf_sha256=sha256(data).digest())


def print_checks(checks: Sequence[Check]) -> None:
    """Each check with its mark, and why it does not hold."""
    out = show.console()
    marks = {"HOLDS": ("✓", "green"), "FAILS": ("✗", "red")}
    for one in checks:
        mark, style = marks.get(one.result.value, ("·", "dim"))
        out.print(Text(f"  {mark} {one.number:>2}  {one.zh}  {one.en}", style=style))
        if one.why_zh:
            out.print(Text(f"        {one.why_zh}"))
            out.print(Text(f"        {one.why_en}"))


def checks_as_json(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """The checks as plain data."""
    return [
        {
            "number": one.number,
            "step": one.step.value,
            "result": one.result.value,
            "code": one.code,
            "zh": one.why_zh or one.zh,
            "en": one.why_en or one.en,
        }
        for one in checks
    ]


def offline_trust(trust: Path) -> dict[str, Any]:
    """What verifies sealed documents: the seal anchors, the ledgers' keys, the times of seal keys and the demanded
    suites of a trust folder, and the time now. Raises InputError.
    """
    from gateway.certificates.seal_terms import SealTermsUnreadable, read_seal_terms  # noqa: PLC0415 as below

    try:
        seals, suites = read_seal_terms(trust), demanded_suites(trust)
    except SealTermsUnreadable as error:
        raise InputError(str(error), f"{error}：无法读取信任目录中的印章设置") from error
    return {
        "trust": read_anchors(trust),
        "vkeys": read_trust(trust).by_origin(),
        "at": datetime.now(UTC),
        "seals": seals,
        "suites": suites,
    }


def demanded_suites(trust: Path) -> dict[str, frozenset[Suite]]:
    """The suites that a trust folder demands of each registry's seals. Raises InputError."""
    from gateway.certificates.seal_terms import SealTermsUnreadable, read_demanded_suites  # noqa: PLC0415

    try:
        return read_demanded_suites(trust)
    except SealTermsUnreadable as error:
        raise InputError(str(error), f"{error}：无法读取信任目录中的印章设置") from error


def _print_verdict(
    verdict: CertificateVerdict,
    live: certificate_service_pb2.VerifyCertificateResponse | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        checks = checks_as_json(verdict.checks)
        body: dict[str, Any] = {
            "sound": verdict.sound,
            "sha256": verdict.sha256,
            "suites": verdict.suites,
            "checks": checks,
        }
        if live is not None:
            body["live"] = show.to_dict(live)
        show.print_json(body)
        return
    print_checks(verdict.checks)
    if live is not None:
        state = certificate_pb2.Certificate.State.Name(live.state).removeprefix("STATE_")
        good = live.state == certificate_pb2.Certificate.STATE_SEALED
        show.console().print(
            Text(
                f"  live state 当前状态: {state}, as of index {live.as_of_index}",
                style="green" if good else "red",
            )
        )
