"""The command tree."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import (
    application,
    auditor,
    calendar,
    certificate,
    desk,
    extract,
    feed,
    forms,
    institution,
    keys,
    ledger,
    mandate,
    outcomes,
    party,
    payout,
    receipt,
    register,
    review,
    signature,
    submit,
    trust,
    watch,
    witness,
)
from gateway.cli.settings import ROOT_CONFIG

HELP = (
    "Diya 抵押: a bank-facing mortgage-registration gateway.\n\n"
    "Commands that call a gateway take their connection from diya-client.toml (or --config FILE) "
    "and from "
    "environment variables DIYA_TARGET, DIYA_REGISTRY, DIYA_TRUST and so on, which win."
)


@cache  # the groups are their modules' own: a second building would add every command to them once more
def build_app() -> typer.Typer:
    """The application with all its commands; those of a gateway's own machine where they are
    installed.
    """
    app = typer.Typer(
        name="diya",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,  # locals hold personal data
    )
    app.callback(help=HELP, epilog=outcomes.HELP)(_root)
    app.add_typer(submit.app, name="submit")
    app.command("forms")(forms.forms)
    app.command("watch")(watch.watch)
    app.command("suggest-modes")(register.suggest_modes)
    app.add_typer(application.app, name="application")
    app.add_typer(party.app, name="party")
    app.add_typer(review.app, name="review")
    app.add_typer(receipt.app, name="receipt")
    app.add_typer(certificate.app, name="certificate")
    app.add_typer(signature.app, name="signature")
    app.add_typer(extract.app, name="extract")
    app.add_typer(payout.app, name="payout")
    app.add_typer(desk.app, name="desk")
    app.add_typer(register.app, name="register")
    app.add_typer(calendar.app, name="calendar")
    mandate.register(institution.app)
    app.add_typer(institution.app, name="institution")
    app.add_typer(feed.app, name="feed")
    app.add_typer(trust.app, name="trust")
    app.add_typer(auditor.app, name="auditor")
    app.add_typer(keys.app, name="keys")
    app.add_typer(ledger.app, name="ledger")
    app.add_typer(witness.app, name="witness")
    if importlib.util.find_spec("gateway.cli.local"):
        # The client ships without it; and its imports (the whole server) are paid for only here.
        from gateway.cli import local  # noqa: PLC0415

        local.register(app, ledger.app, keys.app)
    return app


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"diya {metadata.version('diya')}")
        raise typer.Exit


def _root(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Connection settings for the command that follows."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    ROOT_CONFIG.set(config)
