"""`diya feed`: the authority's own counter system, and what a registrar asks of its feed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import ParseDict, ParseError

from gateway.cli import opening, outcomes, show
from gateway.cli.receipt import TrustOption
from gateway.cli.settings import ClientSettings, ConfigOption, JsonOption, load_settings
from gateway.client.errors import DiyaError, InputError
from gateway.client.feed import FeedAct
from gateway.client.order import OrderStatement, verify_order
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.session import Answer
from gateway.client.trust import read_trust
from gateway.pb.diya.v1 import acts_pb2, feed_service_pb2

app = typer.Typer(
    no_args_is_help=True,
    help="Feed the register from the authority's own counter, and ask what came first. 登记大厅数据。",
)


@app.command("push")
def push(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.json",
            help='Protobuf JSON {"counter": CounterAct} or {"restriction": RestrictionAct}, without header.',
        ),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", help="Signing key, PEM; that of the settings when left out.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Its certificate chain, PEM; beside --key.")
    ] = None,
    receipts: Annotated[Path, typer.Option("--receipts", help="Folder that keeps the receipts.")] = Path(
        "receipts"
    ),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign one act of the counter's feed and send it (报送).

    Without a sequence it gets the number after the last one that the gateway has. The receipt holds
    the signed bytes: the same bytes sent again are answered as before.

    \b
    Example:
      diya feed push seizure.json --key clients/counter/sign.key.pem
    """

    async def work() -> Answer:
        act = read_act_file(file)
        settings = _with_key(load_settings(config), key, certificate)
        async with opening.open_feed(settings, signs=True) as feed:
            if not act.sequence:
                act.sequence = (await feed.status()).highest_sequence + 1
            return await feed.push(act)

    answer = outcomes.run(work(), as_json=as_json)
    receipts.mkdir(parents=True, exist_ok=True)
    kept = receipts / f"{answer.request_id}.json"
    write_act(kept, KeptAct.of_answer(answer))
    if as_json:
        show.print_json({"outcome": show.to_dict(answer.outcome), "kept": str(kept)})
        return
    out = show.console()
    out.print(f"✓ entry {answer.outcome.receipt.index}, receipt in {kept}")
    for finding in answer.outcome.findings:
        out.print(f"  {finding.code}  {finding.zh}\n    {finding.en}")


@app.command("status")
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show where the feed stands: what is missing, whether rules decide (接入状态).

    \b
    Example:
      diya feed status
    """

    async def work() -> feed_service_pb2.FeedStatus:
        async with opening.open_feed(load_settings(config)) as feed:
            return await feed.status()

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(found))
        return
    missing = ", ".join(f"{r.first}-{r.last}" if r.first != r.last else f"{r.first}" for r in found.missing)
    out = show.console()
    out.print(f"last {found.last_sequence}, highest {found.highest_sequence}, missing {missing or '-'}")
    out.print(f"known until {show.time_text(found.as_of) or '-'}, {found.held} held")
    out.print("rules decide: " + ("NO 已停止自动决定" if found.automatic_decisions_stopped else "yes"))


@app.command("since-service")
def since_service(
    right_id: Annotated[str, typer.Argument(metavar="RIGHT", help="Id of the seizure in the register.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was booked between a seizure's service and its entry, for the court (送达后登簿清单).

    \b
    Example:
      diya feed since-service 57.1 --json > list-for-the-court.json
    """

    async def work() -> list[feed_service_pb2.BookingSinceService]:
        async with opening.open_feed(load_settings(config)) as feed:
            return [one async for one in feed.bookings_since_service(right_id)]

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([show.to_dict(one) for one in found])
        return
    for one in found:
        what = "ended" if one.ended else "booked"
        show.console().print(
            f"{show.time_text(one.at)}  {one.right_kind} {one.right_id} {what}, entry {one.index}"
        )


@app.command("order")
def order(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="Unit code, 28 characters.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to keep it in.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get the signed statement of what came first on a unit, verified (先后证明).

    \b
    Example:
      diya feed order 320281001001GB00001F00010001 -o order.json
    """
    settings = load_settings(config)

    async def work() -> bytes:
        async with opening.open_feed(settings) as feed:
            return await feed.order_statement(unit)

    data = outcomes.run(work(), as_json=as_json)
    if output is not None:
        output.write_bytes(data)
    _tell(
        _verified(data, settings.path("trust"), settings.text("registry"), as_json=as_json), as_json=as_json
    )


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="ORDER.json", help="A statement that was kept.")],
    trust: TrustOption = None,
    registry: Annotated[str, typer.Option("--registry", help="Registry id; that of the settings.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a statement of what came first, offline (核验先后证明).

    \b
    Example:
      diya feed check order.json --trust trust --registry jiangyin
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        unreadable = InputError(f"{file}: {error.strerror}", f"{file}：无法读取")
        raise outcomes.fail(unreadable, as_json=as_json) from error
    folder = trust or load_settings(config).path("trust")
    name = registry or load_settings(config).text("registry")
    _tell(_verified(data, folder, name, as_json=as_json), as_json=as_json)


def read_act_file(file: Path) -> FeedAct:
    """The act in a file, without its header. Raises InputError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        [(which, body)] = content.items()
        act: FeedAct = {"counter": acts_pb2.CounterAct, "restriction": acts_pb2.RestrictionAct}[which]()
        ParseDict(body, act)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", f"{file}：无法读取") from error
    except (ValueError, AttributeError, KeyError, ParseError) as error:
        raise InputError(
            f"{file} holds neither a counter act nor a restriction act: {error}",
            f"{file} 不是 counter 或者 restriction 行为",
        ) from error
    return act


def _with_key(settings: ClientSettings, key: Path | None, certificate: Path | None) -> ClientSettings:
    """The settings with another signing key; its certificate lies beside it unless it is named."""
    if key is None:
        return settings
    chain = certificate or key.with_name(key.name.removesuffix(".pem").removesuffix(".key") + ".pem")
    return settings.model_copy(update={"signing_key": key, "signing_certificate": chain})


def _verified(data: bytes, trust: Path, registry: str, *, as_json: bool) -> OrderStatement:
    try:
        return verify_order(data, read_trust(trust).vkeys(registry))
    except DiyaError as error:
        raise outcomes.fail(error, as_json=as_json) from error


def _tell(statement: OrderStatement, *, as_json: bool) -> None:
    lines: list[dict[str, Any]] = [
        {
            "number": line.number,
            "at": line.at.isoformat(),
            "fact": line.fact,
            "subject": line.subject,
            "identity": line.identity,
            "reference": line.reference,
            "entry": line.entry.index,
            "entered": line.entry.time.isoformat(),
        }
        for line in statement.lines
    ]
    if as_json:
        show.print_json({"registry": statement.registry, "unit": statement.unit_code, "lines": lines})
        return
    out = show.console()
    out.print(f"✓ signed by the ledger of {statement.registry}, unit {statement.unit_code}")
    for line in lines:
        out.print(
            f"{line['number']:>3}  {line['at']}  {line['fact']} {line['subject']} {line['identity']} "
            f"{line['reference']}  (entry {line['entry']}, {line['entered']})"
        )
