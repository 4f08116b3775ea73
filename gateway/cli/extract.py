"""`diya extract`: sealed extracts of the register, verified offline. They are got by `diya register extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import outcomes, show
from gateway.cli.certificate import checks_as_json, offline_trust, print_checks
from gateway.cli.receipt import TrustOption
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import DiyaError, InputError
from signing.errors import SigningError

app = typer.Typer(no_args_is_help=True, help="Verify sealed extracts of the register. 不动产登记查询结果。")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.pdf", help="The sealed extract.")],
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify an extract offline: seal, data against print, ledger proof (核验查询结果).

    The trust folder holds the registry's seal anchors (registry.pem) and ledger keys (<registry>.vkey). A sound
    extract says what the register said at its time; what was booked since, only another look can tell.

    \\b
    Example:
      diya extract verify extract.pdf --trust trust
    """
    # The checks of printing and data belong to the gateway's package; only this command needs them.
    from gateway.certificates.extract_verify import verify_extract  # noqa: PLC0415

    try:
        verdict = verify_extract(
            file.read_bytes(), **offline_trust(trust or load_settings(config).path("trust"))
        )
    except OSError as error:
        unreadable = InputError(f"{file}: {error.strerror}", f"{file}：无法读取")
        raise outcomes.fail(unreadable, as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    content = verdict.content
    if as_json:
        body = {"sound": verdict.sound, "sha256": verdict.sha256, "checks": checks_as_json(verdict.checks)}
        if content is not None:
            body |= {"number": content.number, "asOfIndex": content.as_of_index}
        show.print_json(body)
    else:
        print_checks(verdict.checks)
        if content is not None and verdict.sound:
            at = f"{content.asked_at:%Y-%m-%d %H:%M:%S} UTC, ledger index {content.as_of_index}"
            show.console().print(Text(f"  {content.number}: as of 截至 {at}", style="green"))
    raise typer.Exit(outcomes.OK if verdict.sound else outcomes.FAILED)
