"""`diya payout`: may this loan be paid out now? Asked of the registry, and verified offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.certificate import demanded_suites
from gateway.cli.receipt import TrustOption
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.certificates import CheckedPayout
from gateway.client.errors import DiyaError, InputError
from gateway.client.statements import unjudged_seal, verify_payout
from gateway.statements.payout import HOLDS, PayoutStatement
from signing.errors import SigningError
from signing.trust_directory import read_trust as read_anchors

app = typer.Typer(no_args_is_help=True, help="Check whether a loan may be paid out. 放款核查。")


@app.command("check")
def check(
    name: Annotated[
        str, typer.Argument(help="Certificate (name or identifier), or with --application an application.")
    ],
    application: Annotated[
        bool, typer.Option("--application", help="NAME is a booked application: all proofs of yours in it.")
    ] = False,
    amount_fen: Annotated[
        int, typer.Option("--amount-fen", min=0, help="Amount that your loan file has, in fen.")
    ] = 0,
    rank: Annotated[int, typer.Option("--rank", min=0, help="Lowest rank that your loan file allows.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder in which the signed statements are kept.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the registry whether a loan may be paid out now; its answer is signed and expires (放款核查).

    Exits with 1 when a condition does not hold.

    \b
    Example:
      diya payout check 1.2.156.3005.2.… --amount-fen 80000000 --rank 1 --out payouts
    """

    async def work() -> tuple[CheckedPayout, ...]:
        settings = load_settings(config)
        anchors = read_anchors(settings.path("trust"))
        async with opening.open_client(settings) as client:
            return await client.check_payout(
                anchors,
                certificate="" if application else name,
                application=name if application else "",
                expected_amount_fen=amount_fen,
                expected_rank=rank,
            )

    found = outcomes.run(work(), as_json=as_json)
    for one in found:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{one.statement.proof.identifier}.json").write_bytes(one.envelope)
    _print([one.statement for one in found], as_json=as_json)


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A kept statement.")],
    trust: TrustOption = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at", help="Verify as of this instant (UTC), for instance when you paid; now by default."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a kept statement offline: seal, authority, time (核验放款核查证明).

    The trust folder holds the registry's anchors (registry.pem). Exits with 1 when it does not hold, is over, or says
    that a condition fails.

    \b
    Example:
      diya payout verify payouts/1.2.156….json --trust trust
    """
    try:
        folder = trust or load_settings(config).path("trust")
        anchors = read_anchors(folder)
        when = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
        data = file.read_bytes()
        statement = verify_payout(data, anchors, when, suites=demanded_suites(folder))
    except OSError as error:
        unreadable = InputError(f"{file}: {error.strerror}", f"{file}：无法读取")
        raise outcomes.fail(unreadable, as_json=as_json) from error
    except (DiyaError, SigningError) as error:
        raise outcomes.fail(error, as_json=as_json) from error
    show.remark(unjudged_seal(data))
    _print([statement], as_json=as_json)


def _print(statements: list[PayoutStatement], *, as_json: bool) -> None:
    """The statements; the exit status says whether all of them say that it is safe."""
    if as_json:
        body: list[Any] = [msgspec.to_builtins(one) for one in statements]
        show.print_json(body)
    for one in [] if as_json else statements:
        _print_one(one)
    safe = bool(statements) and all(one.safe for one in statements)
    raise typer.Exit(outcomes.OK if safe else outcomes.FAILED)


def _print_one(statement: PayoutStatement) -> None:
    out = show.console()
    verdict, style = ("可以放款 safe", "green") if statement.safe else ("不可放款 not safe", "red")
    out.print(Text(f"{statement.proof.number}  {verdict}", style=style))
    for condition in statement.conditions:
        mark, style = ("✓", "green") if condition.result == HOLDS else ("✗", "red")
        out.print(Text(f"  {mark} {condition.code}  {condition.zh}  {condition.en}", style=style))
    for leg in statement.legs:
        locked = "（锁定收款人 locked）" if leg.payee_locked else ""
        out.print(
            Text(f"  {leg.leg}. {leg.state}  {leg.amount_fen} 分 → {leg.payee}{locked}  {leg.zh}  {leg.en}")
        )
    out.print(
        Text(
            f"  账本序号 as of index {statement.as_of_index}, "
            f"有效期至 valid until {statement.valid_until.isoformat()}"
        )
    )
