"""`diya ledger`: the public chain, read through the gateway. `verify`, on the database itself, is
local.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli import opening, outcomes, show
from gateway.cli.entry_view import Existed, entry_json, kind_text, print_entry
from gateway.cli.reading import read_file
from gateway.cli.receipt import PolicyOption, TrustOption, trust_of
from gateway.cli.settings import ConfigOption, JsonOption, load_settings
from gateway.client.admin import Done
from gateway.client.errors import DiyaError, InputError, ReceiptInvalid
from gateway.client.ledger import Compared, VerifiedCheckpoint, VerifiedEntry
from gateway.client.proof_file import check_proof
from gateway.client.receipt import verify_quorum
from gateway.client.trust import read_policy
from gateway.pb.diya.v1 import admin_service_pb2
from ledger.entry import Entry, parse_entry
from ledger.errors import LedgerError
from signing.errors import SigningError
from signing.trust import TrustStore
from signing.trust_directory import read_trust as read_anchors

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

AfterOption = Annotated[
    datetime | None,
    typer.Option("--after", formats=TIMES, help="Only of this time, in China, or later."),
]
BeforeOption = Annotated[
    datetime | None, typer.Option("--before", formats=TIMES, help="Only before this time, in China.")
]
CheckpointArgument = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="File with a signed note, or the size of a published one.")
]

app = typer.Typer(no_args_is_help=True, help="Look at the ledger. 账本。")


@app.command("list")
def list_entries(
    after: AfterOption = None,
    before: BeforeOption = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only of this kind, such as application.submitted. Repeatable."),
    ] = None,
    application: Annotated[
        str, typer.Option("--application", help="Only of this application, by name or by the id at its end.")
    ] = "",
    unit: Annotated[str, typer.Option("--unit", help="Only about this unit, 28 characters.")] = "",
    start: Annotated[int, typer.Option("--from", min=0, help="Index of the first entry wanted.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List entries, oldest first (账本记录列表).

    Everybody may list by time and kind. By application and unit: auditors and operators, and an institution for its own
    cases. What a line says is not proven here: `diya ledger show N` proves one entry, `diya ledger diff` a stretch.

    \b
    Examples:
      diya ledger list --after 2026-11-20 --before 2026-11-21 --kind application.submitted
      diya ledger list --unit 320281001001GB00001F00010001 --config auditor.toml
    """

    async def work() -> tuple[list[Entry], bool]:
        found: list[Entry] = []
        async with opening.open_ledger(load_settings(config)) as ledger:
            async for one in ledger.entries(
                start,
                page_size=min(limit + 1, 1000),
                after=show.from_china(after),
                before=show.from_china(before),
                kinds=kind or (),
                application=application,
                unit_code=unit,
            ):
                if len(found) == limit:
                    return found, True
                found.append(_parse(one.entry))
        return found, False

    found, more = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json([_line_json(entry) for entry in found])
        return
    if not found:
        show.console().print(Text("没有符合条件的记录 / no entry fits"))
        return
    table = Table()
    for heading in ("Index 序号", "Time 时间", "Kind 种类", "Parts 部分"):
        table.add_column(heading, overflow="fold")
    for entry in found:
        parts = ", ".join(name for name, _ in entry.commitments)
        table.add_row(str(entry.index), show.china_text(entry.time), kind_text(entry.kind), parts)
    out = show.console()
    out.print(table)
    if more:
        out.print(Text(f"there are more 尚有更多: --from {found[-1].index + 1}", style="dim"))


@app.command("show")
def show_entry(
    index: Annotated[int, typer.Argument(metavar="N", min=0, help="Index of the entry, from 0.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry, proven to be in the latest checkpoint (查看账本记录).

    Who did what, on which application and unit, what was answered and changed, is told to auditors and operators of
    every entry, to an institution of its own acts and cases; to others, time, kind, commitments and proof. Where a time
    stamp covers it, the time by which it existed is proven by an authority that the trust folder names (tsa.pem).

    \b
    Example:
      diya ledger show 12
    """

    async def work() -> tuple[VerifiedEntry, Existed | None]:
        settings = load_settings(config)
        async with opening.open_ledger(settings) as ledger:
            entry = await ledger.entry(index)
            folder = settings.path("trust")
            try:
                trust = read_anchors(folder) if (folder / "tsa.pem").exists() else TrustStore({})
                existed = await ledger.existed_by(entry, trust, datetime.now(UTC))
            except SigningError as error:
                return entry, Existed(problem=error)
        return entry, None if existed is None else Existed(*existed)

    found, existed = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(entry_json(found, existed))
    else:
        print_entry(found, existed)


@app.command("diff")
def diff(
    one: CheckpointArgument,
    other: CheckpointArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that two checkpoints are of one history, and tell what lies between them (比对两个检查点).

    Both notes must be signed by a trusted key of the registry, and the newer must begin with the older: if it does not,
    keep both files, they are the proof of a fork. The entries between are chained to the last one, which is proven to
    be in the newer tree.

    \b
    Examples:
      diya ledger diff yesterday.txt today.txt
      diya ledger diff 1200 1300
    """

    async def work() -> tuple[Compared, list[_Stretch]]:
        wanted = [_checkpoint(text) for text in (one, other)]
        async with opening.open_ledger(load_settings(config)) as ledger:
            compared = await ledger.compare(*wanted)
            between = _Between()
            async for entry in ledger.between(compared):
                between.take(entry)
            return compared, between.stretches()

    compared, stretches = outcomes.run(work(), as_json=as_json)
    older, newer = compared.older, compared.newer
    if as_json:
        show.print_json(
            {
                "origin": newer.origin,
                "older": {"size": older.size, "root": older.root.hex()},
                "newer": {"size": newer.size, "root": newer.root.hex()},
                "consistent": True,
                "entries": newer.size - older.size,
                "between": [
                    {"day": day, "kind": kind, "count": count, "first": first, "last": last}
                    for day, kind, count, first, last in stretches
                ],
            }
        )
        return
    out = show.console()
    out.print(Text(f"{newer.origin}: {older.size} → {newer.size}", style="bold"))
    out.print(Text("✓ 两个检查点均由受信任的公钥签名 / both are signed by a trusted key", style="green"))
    out.print(
        Text(
            f"✓ {newer.size} 条的账本以 {older.size} 条的账本开头 / the newer begins with the older",
            style="green",
        )
    )
    if not stretches:
        out.print(Text("其间没有记录 / nothing lies between them"))
        return
    count = newer.size - older.size
    out.print(
        Text(f"✓ 其间 {count} 条记录均在其中 / the {count} entries between are all in it", style="green")
    )
    table = Table()
    for heading in ("Day 日期", "Kind 种类", "Count 数量", "First 首条", "Last 末条"):
        table.add_column(heading, overflow="fold")
    for day, kind, number, first, last in stretches:
        table.add_row(day, kind_text(kind), str(number), str(first), str(last))
    out.print(table)


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.tlog-proof", help="A proof file, of whatever origin.")
    ],
    entry: Annotated[
        Path | None, typer.Option("--entry", help="The entry's bytes, where the file does not carry them.")
    ] = None,
    trust: TrustOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a proof file offline: that its entry is in the log of a trusted key (核验包含证明).

    \b
    Example:
      diya ledger check 6f0c.tlog-proof --trust trust
    """
    try:
        found = check_proof(file, trust_of(trust, config), entry)
    except DiyaError as error:
        raise outcomes.fail(error, as_json=as_json) from error
    if as_json:
        facts = {"origin": found.entry.origin, "index": found.entry.index, "kind": found.entry.kind}
        time, size = found.entry.time.isoformat(), found.checkpoint.size
        show.print_json({"verified": True, **facts, "time": time, "checkpointSize": size})
        return
    out = show.console()
    out.print(Text(found.data.decode(), end=""))
    out.print(Text(f"✓ in the signed checkpoint of {found.checkpoint.size} entries", style="green"))


class Ground(StrEnum):
    """Why evidence may be erased."""

    NEVER_ACCEPTED = "never-accepted"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


@app.command("erase")
def erase(
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its id, or its name.")],
    ground: Annotated[Ground, typer.Option("--ground", help="On which ground: what became of the case.")],
    reason: Annotated[
        str, typer.Option("--reason", help="What gave rise to it. It is kept for ever: name nobody in it.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase the evidence of a case that ended unbooked, as an operator (依法销毁材料).

    Its key is destroyed by an entry of its own, for good; entries and proofs stay. Refused, with the article, for what
    was booked, is under way, or is still to be kept. Once more is harmless.

    \b
    Example:
      diya ledger erase 0192f0c1-… --ground never-accepted --reason "本人申请 2026-17"
    """

    async def work() -> Done[admin_service_pb2.EraseEvidenceResponse]:
        async with opening.open_admin(load_settings(config)) as admin:
            return await admin.erase_evidence(application, ground.name, reason)

    done = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(show.to_dict(done.value))
        return
    already = "" if done.value.HasField("receipt") else " already 此前已销毁"
    show.console().print(
        Text(f"{done.value.application}: erased by entry {done.value.erased_index}{already}"), soft_wrap=True
    )


@app.command("checkpoint")
def checkpoint(
    min_size: Annotated[
        int, typer.Option("--min-size", min=0, help="The first one of at least so many entries.")
    ] = 0,
    policy: PolicyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the latest checkpoint as a signed note, its signature checked (查询检查点). With --policy,
    the latest that the registry's witnesses cosigned, its quorum checked.

    \b
    Example:
      diya ledger checkpoint > checkpoint.txt
    """

    async def work() -> VerifiedCheckpoint:
        async with opening.open_ledger(load_settings(config)) as ledger:
            if policy is None:
                return await ledger.checkpoint(min_size)
            demanded = read_policy(policy)
            found = await ledger.checkpoint(min_size, cosigned=True)
            verify_quorum(found.note, demanded)
            return found

    found = outcomes.run(work(), as_json=as_json)
    if as_json:
        show.print_json(
            {
                "origin": found.checkpoint.origin,
                "size": found.checkpoint.size,
                "root": found.checkpoint.root.hex(),
                "note": found.note.decode(),
                "publishedAt": show.time_text(found.wire.published_at),
            }
        )
    else:
        typer.echo(found.note.decode(), nl=False)


#: Entries of one kind on one day in China: day, kind, how many, index of the first and of the last.
_Stretch = tuple[str, str, int, int, int]


class _Between:
    """Counts entries by day and kind; the list of a long stretch need not fit into memory."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ends: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, entry: Entry) -> None:
        """Count one."""
        key = (show.china_text(entry.time)[:10], entry.kind)
        self._counts[key] += 1
        first, _ = self._ends.get(key, (entry.index, 0))
        self._ends[key] = (first, entry.index)

    def stretches(self) -> list[_Stretch]:
        """By day, then kind."""
        return [(*key, self._counts[key], *self._ends[key]) for key in sorted(self._counts)]


def _checkpoint(text: str) -> bytes | int:
    """A size, or the bytes of a note. Raises InputError."""
    if text.isascii() and text.isdigit():
        size = int(text)
        if size == 0:
            raise InputError(
                "nothing can be said of 0 entries: name a checkpoint", "0 条记录无从比对，请指定检查点"
            )
        return size
    return read_file(Path(text))


def _parse(data: bytes) -> Entry:
    try:
        return parse_entry(data)
    except LedgerError as error:
        raise ReceiptInvalid(6, str(error), "记录格式错误") from error


def _line_json(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "time": entry.time.isoformat(),
        "kind": entry.kind,
        "entryHash": entry.entry_hash().hex(),
        "parts": {name: digest.hex() for name, digest in entry.commitments},
    }
