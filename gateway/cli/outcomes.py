"""What a command ends with: exit statuses, and errors shown in both languages.

0 success · 1 a proof that does not hold, or any other failure · 2 bad usage or settings · 3 the
law's no (NOT_ACCEPTED, REFUSED) · 4 the gateway did not take the call · 5 nobody knows or not yet: the
gateway cannot be reached, is overloaded or has a defect, and the same bytes are to be sent again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from gateway.client.errors import (
    DeadlinePassed,
    DiyaError,
    InputError,
    Overloaded,
    OwnCertificateRefused,
    RequestError,
    ServerDefect,
    Unavailable,
)
from gateway.client.local_files import not_read
from signing.errors import SigningError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED_BY_LAW: Final = 3
NOT_TAKEN: Final = 4
UNAVAILABLE: Final = 5

HELP: Final = (
    "Exit status: 0 success; 1 a proof that does not hold, or any other failure; "
    "2 bad usage or settings; 3 NOT_ACCEPTED or REFUSED; "
    "4 not taken by the gateway (malformed, not allowed, wrong state …); "
    "5 gateway unreachable, overloaded or defective: whether it took an act is unknown, "
    "so send the same bytes again (diya submit resend)."
)

Result = TypeVar("Result")


def exit_status(error: Exception) -> int:
    """The exit status of an error."""
    match error:
        case InputError() | OwnCertificateRefused() | SigningError():
            return USAGE
        case Unavailable() | DeadlinePassed() | ServerDefect():
            return UNAVAILABLE
        case Overloaded() if error.may_retry:
            return UNAVAILABLE
        case RequestError():
            return NOT_TAKEN
    return FAILED


def run(work: Coroutine[Any, Any, Result], *, as_json: bool = False) -> Result:
    """Run a command's work; show its error and end with the status that belongs to it."""
    try:
        return asyncio.run(work)
    except (DiyaError, SigningError) as error:
        raise fail(error, as_json=as_json) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise fail(not_read(Path(error.filename), error), as_json=as_json) from error


def fail(error: DiyaError | SigningError, *, as_json: bool = False) -> typer.Exit:
    """Show an error on standard error (as JSON on standard output too, when asked); the exit to
    raise.
    """
    en, zh = (error.en, error.zh) if isinstance(error, DiyaError) else (error.message, error.zh)
    console = Console(stderr=True, highlight=False, soft_wrap=True)  # a command in it is to be copied
    console.print(Text(f"{error.reason}  {zh}", style="red"))
    if en != zh:
        console.print(Text(en))
    violations = error.violations if isinstance(error, DiyaError) else ()
    for field, description in violations:
        console.print(Text(f"  {field}: {description}"))
    if as_json:
        body = {
            "reason": error.reason,
            "zh": zh,
            "en": en,
            "violations": [{"field": f, "description": d} for f, d in violations],
            "metadata": error.metadata if isinstance(error, DiyaError) else {},
        }
        typer.echo(json.dumps({"error": body}, ensure_ascii=False))
    return typer.Exit(exit_status(error))
