"""`diya party`: joining and consenting to cases that another institution filed, and what a lender states on its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.cli import opening, outcomes, show
from gateway.cli.acts import (
    RECEIPTS,
    NameArgument,
    PartyOption,
    ReasonOption,
    ReceiptsOption,
    finish,
)
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.dossier import Dossier
from gateway.client.errors import InputError
from gateway.client.party import PartyClient
from gateway.client.payloads import parse_payload
from gateway.client.receipt_file import read_act
from gateway.client.session import Answer
from gateway.pb.diya.v1 import acts_pb2, finding_pb2, party_service_pb2
from signing.envelope import payload_digest

app = typer.Typer(
    no_args_is_help=True,
    help="Join, consent and decline, on cases that wait for us. 共同申请与同意。\n\n"
    "Read the terms first (`diya party show`): an act binds to exactly these bytes.",
)

Act = Callable[[PartyClient, Dossier], Awaitable[Answer]]

OperationOption = Annotated[
    list[int] | None,
    typer.Option(
        "--operation",
        min=0,
        help="Position of an operation of the terms, from 0; repeat it. None: all of ours.",
    ),
]


@app.command("list")
def list_pending(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the cases that await an act of ours (待办列表).

    \b
    Example:
      diya party list
    """

    async def work() -> list[party_service_pb2.PendingCase]:
        async with opening.open_party(load_settings(config)) as party:
            return [one async for one in party.list_pending()]

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
        return
    table = Table("Application 申请", "State 状态", "Awaited 待办", "Until 截止")
    for one in found:
        roles = (finding_pb2.PartyRole.Name(awaited.role) for awaited in one.awaited)
        table.add_row(
            one.application.name,
            show.state_name(one.application.state),
            ", ".join(role.removeprefix("PARTY_ROLE_") for role in roles),
            show.china_time(one.application.parties_expire_at),
        )
    show.console().print(table)


@app.command("show")
def show_terms(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the terms of a case: what an act binds to (查看申请内容).

    \b
    Example:
      diya party show 0192f0c1-…
    """

    async def work() -> Dossier:
        async with opening.open_party(load_settings(config)) as party:
            return await party.open(name)

    terms = show.to_dict(outcomes.run(work(), as_json=as_json).terms)
    if as_json:
        show.print_json(terms)
    else:
        show.print_fields(terms)


@app.command("join")
def join(
    name: NameArgument,
    party: PartyOption = None,
    operation: OperationOption = None,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply together, for the parties named, on the same terms (共同申请).

    Without --party: for those that are awaited of us (`diya party list`).

    \b
    Example:
      diya party join 0192f0c1-… --party old-bank
    """

    async def act(client: PartyClient, case: Dossier) -> Answer:
        parties = party or await _awaited(client, case)
        return await client.join(case.target, parties, operations=operation or ())

    _act(act, name, receipts, config, as_json)


@app.command("consent")
def consent(
    name: NameArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="TO_TERMS, PAYOFF_CONFIRMED, PAYOFF_UNDERTAKING, PAYOFF_UNDERTAKING_ACCEPTED, PAID_OUT, "
            "FUNDS_HELD, FUNDS_RELEASED.",
        ),
    ] = "TO_TERMS",
    party: PartyOption = None,
    operation: OperationOption = None,
    amount_fen: Annotated[
        int | None, typer.Option("--amount-fen", min=0, help="Amount paid off or out, in fen 分.")
    ] = None,
    happened_on: Annotated[
        datetime | None,
        typer.Option("--happened-on", formats=["%Y-%m-%d"], help="Day of the payment, in China."),
    ] = None,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Consent, or state a payoff, an undertaking or a payout (同意).

    Any case of ours can be named, whether or not it waits for us: a lender states its payout on a
    booked one, the new mortgagee its undertaking on one that waits for the old.

    \b
    Example:
      diya party consent 0192f0c1-… --kind PAYOFF_CONFIRMED \\
          --amount-fen 60000000 --happened-on 2026-11-20
    """

    try:
        value = _consent_kind(kind)
    except InputError as error:
        raise outcomes.fail(error, as_json=as_json) from error

    async def act(client: PartyClient, case: Dossier) -> Answer:
        return await client.consent(
            case.target,
            value,
            parties=party or (),
            operations=operation or (),
            amount_fen=amount_fen,
            happened_on=happened_on.date() if happened_on else None,
        )

    _act(act, name, receipts, config, as_json)


@app.command("decline")
def decline(
    name: NameArgument,
    reason: ReasonOption,
    party: PartyOption = None,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decline to join or to consent; a person looks into it (拒绝).

    \b
    Example:
      diya party decline 0192f0c1-… --reason "贷款尚未结清"
    """

    async def act(client: PartyClient, case: Dossier) -> Answer:
        return await client.decline(case.target, reason, parties=party or ())

    _act(act, name, receipts, config, as_json)


@app.command("revoke")
def revoke(
    name: NameArgument,
    reason: ReasonOption,
    consent: Annotated[
        Path | None,
        typer.Option("--consent", metavar="FILE.json", help="The consent as `diya party consent` kept it."),
    ] = None,
    digest: Annotated[
        str, typer.Option("--digest", help="Instead: payload digest of the consent, 64 hexadecimal digits.")
    ] = "",
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a consent back, before booking and not after a payout that relied on it (撤回同意).

    An applicant cannot: what was applied for together is withdrawn together
    (`diya application withdraw`).

    \b
    Example:
      diya party revoke 0192f0c1-… --consent receipts/6f0c….json --reason "条件未满足"
    """

    async def act(client: PartyClient, case: Dossier) -> Answer:
        return await client.revoke(case.target, _consent_digest(consent, digest), reason)

    _act(act, name, receipts, config, as_json)


def _act(act: Act, name: str, receipts: Path, config: Path | None, as_json: bool) -> None:
    async def work() -> Answer:
        async with opening.open_party(load_settings(config)) as party:
            return await act(party, await party.open(name))

    finish(work(), receipts, as_json=as_json)


async def _awaited(party: PartyClient, case: Dossier) -> list[str]:
    """Parties of the terms for whom an act of ours is awaited. Raises InputError when there is none."""
    async for one in party.list_pending():
        if one.application.name == case.application.name:
            return list(dict.fromkeys(awaited.party for awaited in one.awaited if awaited.party))
    raise InputError(
        f"{case.application.name} does not wait for us; see diya party list, or name a --party",
        f"{case.application.name} 没有待本机构办理的事项；见 diya party list，或者用 --party 指明",
    )


def _consent_digest(consent: Path | None, digest: str) -> bytes:
    """The payload digest of the consent meant. Raises InputError unless exactly one of the two names it."""
    if (consent is None) == (not digest):
        raise InputError(
            "exactly one of --consent FILE.json and --digest is needed",
            "--consent 与 --digest 须且只须有一个",
        )
    if consent is not None:
        envelope = read_act(consent).envelope
        if not isinstance(parse_payload(envelope), acts_pb2.ConsentAct):
            raise InputError(f"{consent} keeps no consent", f"{consent} 存的不是同意")
        return payload_digest(envelope.payload_type, envelope.payload)
    try:
        return bytes.fromhex(digest)
    except ValueError as error:
        raise InputError("--digest must be hexadecimal", "--digest 应为十六进制摘要") from error


def _consent_kind(text: str) -> acts_pb2.ConsentKind.ValueType:
    """A kind of consent by its name without prefix. Raises InputError listing all of them."""
    kinds = acts_pb2.ConsentKind
    name = f"CONSENT_KIND_{text.upper().replace('-', '_')}"
    if name not in kinds.keys()[1:]:
        known = ", ".join(one.removeprefix("CONSENT_KIND_") for one in kinds.keys()[1:])
        raise InputError(f"--kind {text}: one of {known}", f"--kind {text}：应为 {known} 之一")
    return kinds.Value(name)
