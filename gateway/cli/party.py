"""`diya party`: joining and consenting to cases that another institution filed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from gateway.cli import opening, outcomes, show
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.errors import InputError
from gateway.client.party import PartyClient, target_of_pending
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.session import Answer
from gateway.pb.diya.v1 import acts_pb2, envelope_pb2, finding_pb2, party_service_pb2, terms_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="Join, consent and decline, on cases that wait for us. 共同申请与同意。\n\n"
    "Read the terms first (`diya party show`): an act binds to exactly these bytes.",
)

NameArgument = Annotated[str, typer.Argument(help="Resource name of the application, or its id.")]
PartyOption = Annotated[
    list[str] | None, typer.Option("--party", help="Id of a party of the terms. May be repeated.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
ReceiptsOption = Annotated[Path, typer.Option("--receipts", help="Folder that keeps the receipts.")]
RECEIPTS: Final = Path("receipts")

Act = Callable[[PartyClient, party_service_pb2.PendingCase], Awaitable[Answer]]


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
            show.time_text(one.application.parties_expire_at),
        )
    show.console().print(table)


@app.command("show")
def show_terms(name: NameArgument, config: ConfigOption = None) -> None:
    """Print the terms of a waiting case as JSON: what an act binds to (查看申请内容).

    \b
    Example:
      diya party show 0192f0c1-…
    """

    async def work() -> party_service_pb2.PendingCase:
        async with opening.open_party(load_settings(config)) as party:
            return await _find(party, name)

    manifest = envelope_pb2.Manifest()
    manifest.ParseFromString(outcomes.run(work(), as_json=True).manifest)
    terms = terms_pb2.Terms()
    terms.ParseFromString(manifest.terms)
    show.print_json(show.to_dict(terms))


@app.command("join")
def join(
    name: NameArgument,
    party: PartyOption = None,
    receipts: ReceiptsOption = RECEIPTS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply together, for the parties named, on the same terms (共同申请).

    \b
    Example:
      diya party join 0192f0c1-… --party old-bank
    """

    async def act(client: PartyClient, case: party_service_pb2.PendingCase) -> Answer:
        parties = party or list(dict.fromkeys(one.party for one in case.awaited if one.party))
        return await client.join(target_of_pending(case), parties)

    _act(act, name, receipts, config, as_json)


@app.command("consent")
def consent(
    name: NameArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="TO_TERMS, PAYOFF_CONFIRMED, PAYOFF_UNDERTAKING, PAYOFF_UNDERTAKING_ACCEPTED, PAID_OUT.",
        ),
    ] = "TO_TERMS",
    party: PartyOption = None,
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

    \b Example: diya party consent 0192f0c1-… --kind PAYOFF_CONFIRMED --amount-fen 60000000
    --happened-on 2026-11-20
    """

    async def act(client: PartyClient, case: party_service_pb2.PendingCase) -> Answer:
        value = f"CONSENT_KIND_{kind.upper()}"
        if value not in acts_pb2.ConsentKind.keys():  # noqa: SIM118  # an enum wrapper is no mapping
            raise InputError(f"--kind {kind}: see --help", f"--kind {kind}：取值见 --help")
        return await client.consent(
            target_of_pending(case),
            acts_pb2.ConsentKind.Value(value),
            parties=party or (),
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

    async def act(client: PartyClient, case: party_service_pb2.PendingCase) -> Answer:
        return await client.decline(target_of_pending(case), reason, parties=party or ())

    _act(act, name, receipts, config, as_json)


def _act(act: Act, name: str, receipts: Path, config: Path | None, as_json: bool) -> None:
    async def work() -> Answer:
        async with opening.open_party(load_settings(config)) as party:
            answer = await act(party, await _find(party, name))
        write_act(receipts / f"{answer.request_id}.json", KeptAct.of_answer(answer))
        return answer

    answer = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.answer_to_dict(answer))
    else:
        show.print_answer(answer)
    raise typer.Exit(show.exit_status_of(answer))


async def _find(party: PartyClient, name: str) -> party_service_pb2.PendingCase:
    async for one in party.list_pending():
        if name in (one.application.name, one.application.name.rpartition("/")[2]):
            return one
    raise InputError(
        f"{name} does not wait for an act of ours; see diya party list",
        f"{name} 没有待本机构办理的事项；见 diya party list",
    )
