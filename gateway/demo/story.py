"""The demo's story, act by act, each line of the table as it happens; `play` is what `make demo` runs.

Every act says what it must come to. The first that comes to something else ends the play with DemoFailed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table

from gateway.app import utc_now
from gateway.certificates.verify import verify_certificate
from gateway.client.acts import target_of_envelope
from gateway.client.admin import AdminClient
from gateway.client.manifest import clerk
from gateway.client.party import PartyClient
from gateway.client.receipt_file import KeptAct, write_act
from gateway.client.review import ReviewClient
from gateway.client.session import Actor, Answer
from gateway.client.trust import read_trust
from gateway.demo import feeding
from gateway.demo.cases import Filing
from gateway.demo.cast import CLERK_NAME, CLERK_NUMBER, REGISTRAR, REGISTRAR_ID
from gateway.demo.readme import Left, write_readme
from gateway.demo.stage import (
    BOTH_SUITES,
    INSTITUTIONS,
    OPERATOR_KEY,
    PORTS,
    REGISTRAR_KEY,
    Ports,
    Stage,
    clear,
    move_authority,
    name_authority,
    open_stage,
    prepare,
    set_ports,
    time_authority,
)
from gateway.pb.diya.v1 import acts_pb2, application_pb2, authority_pb2, codes_pb2
from gateway.register.calendar import CHINA
from gateway.register.sample import SAMPLE, SampleRegistry, write_register_csv
from signing.algorithms import Suite
from signing.trust_directory import read_trust as read_signing_trust

_ROLES = (
    authority_pb2.KEY_ROLE_SUBMIT,
    authority_pb2.KEY_ROLE_CONSENT,
    authority_pb2.KEY_ROLE_RELEASE,
    authority_pb2.KEY_ROLE_READ,
)


#: A case that a person decides: accepted, and perhaps taken up already.
_FOR_A_PERSON = ("ACCEPTED", "IN_REVIEW")

#: The longest names of states: they are not to be broken in two.
_STATE_WIDTH = len("AWAITING_PARTIES")

#: A long certificate number, 浙(2026)台州椒江区不动产证明第0000001号, in columns; on a terminal that is not wide it
#: takes two lines. Both widths are fixed, because a table that is squeezed drops characters.
_NUMBER_WIDTH = 40
_WIDE = 110

#: Who is who in the table, for people: one name each.
_NAMES = {
    "bank-a": "bank A",
    "bank-a-branch": "bank A for its branch",
    "bank-b": "bank B",
    "fund-centre": "fund centre",
}

#: A seal takes well under a second; whoever waits so long waits for nothing.
_SEAL_SECONDS_MAX = 60.0


class DemoFailed(Exception):
    """Something came out otherwise than it must; the message names it."""


@dataclass
class Board:
    """The live table: who, what, state, ledger index, certificate number. `numbers` are all that were taken."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    is_whole: bool = False

    def add(self, who: str, what: str, state: str, ledger: str = "", number: str = "") -> None:
        """One more line. `ledger`: whose, and the index there."""
        self.rows.append((who, what, state, ledger, number))

    def __enter__(self) -> None:
        """The play begins."""

    def __exit__(self, *raised: object) -> None:
        """The play is over, whatever came of it: all that there is to see is shown."""
        self.is_whole = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All rows once it is whole; before, as many of the newest as the terminal has lines for."""
        shown = len(self.rows)
        if console.is_terminal and not self.is_whole:
            lines = console.size.height - 1
            shown = min(shown, lines)
            while (
                shown > 1
                and len(console.render_lines(self._table(shown, options.max_width), options, pad=False))
                > lines
            ):
                shown -= 1
        yield self._table(shown, options.max_width)

    def _table(self, shown: int, columns: int) -> Table:
        left_out = len(self.rows) - shown
        title = "Diya 抵押 · demo" + (f" · {left_out} rows above" if left_out else "")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("who", overflow="fold")
        table.add_column("what", overflow="fold")
        table.add_column("state", style="bold", width=_STATE_WIDTH)
        table.add_column("ledger", style="cyan", no_wrap=True)
        lines = 1 if columns >= _WIDE else 2
        table.add_column("certificate", style="green", width=_NUMBER_WIDTH // lines, overflow="fold")
        for row in self.rows[left_out:]:
            table.add_row(*row)
        return table


async def play(folder: Path, console: Console, ports: Ports = PORTS) -> None:
    """Play it all in `folder`, which is made anew; what stays behind serves on `ports`.

    Raises SetupRefused for a folder that is not a demo's, and DemoFailed when something came out otherwise.
    """
    await asyncio.to_thread(clear, folder)
    board = Board()
    with Live(board, console=console, refresh_per_second=8, vertical_overflow="visible"), board:
        now = utc_now()
        await asyncio.to_thread(prepare, folder, now=now - dt.timedelta(minutes=5), ports=(0, 0, 0, 0))
        async with AsyncExitStack() as stack:
            url = stack.enter_context(time_authority(folder))
            # Not required: what stays behind is served without an authority too.
            name_authority(folder, SAMPLE.jiangyin.registry, url, required=False, grace_seconds=0)
            stage = await open_stage(folder, stack)
            await _set_up(stage, board)
            number = await _decided_by_rule(stage, board)
            left = await _decided_by_person(stage, board)
            await _pre_notices(stage, board)
            await _portfolio(stage, board)
            await _transfer(stage, board)
            await _not_accepted(stage, board)
            await _seized(stage, board)
            await _released(stage, board, number)
            await _verified(stage, board)
    set_ports(folder, (0, 0, 0, 0), ports)
    move_authority(folder, url, f"http://127.0.0.1:{ports[-1] + 1}/")
    write_readme(folder, left, ports)
    console.print(f"\nEverything is in [bold]{folder}/[/bold]; its README.md has ten commands to try next.")


async def _set_up(stage: Stage, board: Board) -> None:
    """The operator's acts: institutions and their keys, a registrar, the register."""
    for registry in (SAMPLE.jiangyin, SAMPLE.taizhou):
        admin = AdminClient(
            await stage.session(OPERATOR_KEY, registry.registry), stage.signer(OPERATOR_KEY).signer()
        )
        for key in INSTITUTIONS:
            await admin.set_institution(_institution(stage, key))
        await admin.set_registrar(feeding.counter(stage))
        done = await admin.set_registrar(_registrar(stage))
        board.add(
            "operator",
            "institutions, registrar",
            "SET",
            f"{registry.registry} {done.wire.index}",
        )
        path = stage.folder / f"register-{registry.registry}.csv"
        rows = _write_register(registry, path)
        imported = await admin.import_register(path, source="sample")
        board.add(
            "operator",
            f"register of {rows} rows",
            "IMPORTED",
            f"{registry.registry} {imported.wire.index}",
        )


async def _decided_by_rule(stage: Stage, board: Board) -> str:
    """Bank A files for its branch; a clean case is booked within its submission. Returns the proof's number."""
    client = await stage.client("bank-a", "jiangyin")
    filing = Filing(
        stage, client, "bank-a", "bank-a-branch", stage.folder / "papers" / "mortgage-rule", utc_now()
    )
    answer = await filing.mortgage(SAMPLE.sole_free_jiangyin, 80_000_000)
    number = _told(stage, board, "bank A for its branch", "mortgage, decided by rule", answer, "BOOKED")
    await _sealed(stage, board, filing, answer)
    return number


async def _decided_by_person(stage: Stage, board: Board) -> Left:
    """In the second registry a person decides: accepted, claimed, approved, booked. Returns what the README names."""
    client = await stage.client("bank-b", "taizhou")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "mortgage-person", utc_now())
    flat, amount_fen = SAMPLE.sole_free_taizhou, 120_000_000
    answer = await filing.mortgage(flat, amount_fen)
    _told(stage, board, "bank B", "mortgage, to a registrar", answer, *_FOR_A_PERSON)
    decided = await _approved(stage, board, "taizhou", answer, "BOOKED")
    await _sealed(stage, board, filing, decided)
    return Left(
        application=answer.outcome.application,
        number=decided.outcome.certificates[0].number,
        receipt=_receipt_name(decided),
        unit_code=flat.unit_code,
        amount_fen=amount_fen,
    )


async def _approved(stage: Stage, board: Board, registry: str, answer: Answer, expected: str) -> Answer:
    """The registrar claims a case, looks at it, approves."""
    application = answer.outcome.application
    review = ReviewClient(await stage.session(REGISTRAR_KEY, registry), stage.signer(REGISTRAR_KEY).signer())
    await review.claim(await review.open(application))
    decided = await review.approve(await review.open(application), opinion="符合登记条件")
    _told(stage, board, f"registrar {REGISTRAR.name}", "approved", decided, expected)
    return decided


async def _pre_notices(stage: Stage, board: Board) -> None:
    """A second-hand flat is sold: sale and mortgage pre-noticed together, decided by rule."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "pre-notices", utc_now())
    flat, other = SAMPLE.free("jiangyin")[1:3]
    answer = await filing.pre_notices(flat, other.owner, 180_000_000, 90_000_000)
    _told(stage, board, "bank B", "pre-notices of a sale and its mortgage", answer, "BOOKED")
    await _sealed(stage, board, filing, answer)


async def _portfolio(stage: Stage, board: Board) -> None:
    """A portfolio loan: the bank files, the fund centre joins on the same terms, a person decides."""
    client = await stage.client("bank-b", "taizhou")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "portfolio", utc_now())
    answer = await filing.mortgage(SAMPLE.free("taizhou")[1], 30_000_000, fund_fen=50_000_000)
    _told(stage, board, "bank B", "portfolio loan with the fund centre", answer, "AWAITING_PARTIES")
    await _joined(stage, board, "fund-centre", "taizhou", answer, ["fund"])
    await _sealed(stage, board, filing, await _approved(stage, board, "taizhou", answer, "BOOKED"))


async def _transfer(stage: Stage, board: Board) -> None:
    """带押过户: bank B's buyer buys a flat that bank A still holds a mortgage on; one case, two gates, one booking."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "transfer", utc_now())
    flat, buyer = SAMPLE.mortgaged_by_bank_a_jiangyin, SAMPLE.free("jiangyin")[3].owner
    answer = await filing.transfer(flat, buyer, 200_000_000, 100_000_000, "bank-a")
    _told(stage, board, "bank B", "encumbered transfer, combined", answer, "AWAITING_PARTIES")
    await _joined(stage, board, "bank-a", "jiangyin", answer, ["old"])
    await _approved(stage, board, "jiangyin", answer, "AWAITING_TAX")
    taxed = await filing.taxes_cleared(answer)
    _told(stage, board, "bank B", "taxes cleared, by a supplement", taxed, "AWAITING_PAYOFF")
    party = await _party(stage, "bank-a", "jiangyin")
    decided = await party.consent(
        target_of_envelope(answer.outcome.application, answer.envelope),
        acts_pb2.CONSENT_KIND_PAYOFF_CONFIRMED,
        parties=["old"],
        operations=[1],
        amount_fen=50_000_000,
        happened_on=utc_now().astimezone(CHINA).date(),
    )
    _told(stage, board, "bank A", "payoff confirmed", decided, "BOOKED")
    await _sealed(stage, board, filing, decided)


async def _joined(
    stage: Stage, board: Board, key: str, registry: str, answer: Answer, parties: list[str]
) -> None:
    """A co-applicant reads the terms, agrees, and joins with its own key."""
    party = await _party(stage, key, registry)
    joined = await party.join(target_of_envelope(answer.outcome.application, answer.envelope), parties)
    _told(stage, board, _NAMES[key], "joined on the same terms", joined, *_FOR_A_PERSON)


async def _party(stage: Stage, key: str, registry: str) -> PartyClient:
    actor = Actor(INSTITUTIONS[key].id_number, clerk(CLERK_NAME, CLERK_NUMBER))
    return PartyClient(await stage.session(key, registry), stage.signer(key).signer(), actor)


async def _not_accepted(stage: Stage, board: Board) -> None:
    """A seized flat: answered at once, with the rule and the way out."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "mortgage-seized", utc_now())
    answer = await filing.mortgage(SAMPLE.seized_jiangyin, 50_000_000)
    findings = "; ".join(f"{f.code} {f.rule}".strip() for f in answer.outcome.findings)
    _told(stage, board, "bank B", f"mortgage of a seized flat: {findings}", answer, "NOT_ACCEPTED")
    if "R-SEIZED" not in {f.rule for f in answer.outcome.findings}:
        raise DemoFailed(f"mortgage of a seized flat: expected the ground R-SEIZED, came {findings}")


async def _seized(stage: Stage, board: Board) -> None:
    """A court's seizure comes from the counter while a case waits: it stops there and then, and nothing is undone."""
    client = await stage.client("bank-b", "taizhou")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "mortgage-raced", utc_now())
    flat = SAMPLE.free("taizhou")[2]
    answer = await filing.mortgage(flat, 60_000_000)
    _told(stage, board, "bank B", "mortgage, to a registrar", answer, *_FOR_A_PERSON)
    entered = await feeding.seize(stage, "taizhou", flat)
    board.add(
        "counter",
        "seizure of that flat, by the feed",
        "ENTERED",
        f"taizhou {entered.outcome.receipt.index}",
    )
    write_act(stage.folder / "receipts" / _receipt_name(entered), KeptAct.of_answer(entered))
    case = await client.get_application(answer.outcome.application)
    found = [f.code for f in case.findings]
    board.add("bank B", f"the case that waited: {'; '.join(found)}", "STOPPED")
    if found != ["R-SEIZED"]:
        raise DemoFailed(f"a case that a seizure met: expected R-SEIZED, came {found}")
    stated = await feeding.what_came_first(stage, "taizhou", flat, stage.folder / "order.json")
    board.add("anyone, offline", f"order.json: {len(stated.lines)} facts, in the order of law", "VALID")


async def _released(stage: Stage, board: Board, proof_number: str) -> None:
    """The loan is paid: the mortgagee releases alone, at once, and its proof is void."""
    client = await stage.client("bank-a", "jiangyin")
    filing = Filing(stage, client, "bank-a", "bank-a-branch", stage.folder / "papers" / "release", utc_now())
    answer = await filing.release(SAMPLE.sole_free_jiangyin, proof_number)
    _told(stage, board, "bank A for its branch", "mortgage released", answer, "BOOKED")
    states = []
    async for one in client.certificates.list(number=proof_number):
        states.append(one.State.Name(one.state).removeprefix("STATE_"))
        board.add("jiangyin", "the released proof", states[-1], number=one.number)
    if states != ["CANCELLED"]:
        raise DemoFailed(f"the released proof {proof_number}: expected CANCELLED, came {states}")


async def _verified(stage: Stage, board: Board) -> None:
    """Offline, with the public trust folder alone: seal, data, print and proof of every number that was taken."""
    trust = read_signing_trust(stage.folder / "trust")
    vkeys = read_trust(stage.folder / "trust").by_origin()
    sound: list[str] = []
    is_stamped = False
    suites: set[Suite] = set()
    for path in sorted((stage.folder / "certificates").glob("*.pdf")):
        verdict = await asyncio.to_thread(
            verify_certificate, path.read_bytes(), trust=trust, vkeys=vkeys, at=utc_now()
        )
        both = ", both seals" if len(verdict.suites) > 1 else ""
        what = "verified offline" + both + (", its time proven" if verdict.proven_at else "")
        board.add("anyone", what, "VALID" if verdict.sound else "INVALID", number=path.stem)
        if verdict.sound:
            sound.append(path.stem)
            is_stamped = is_stamped or verdict.proven_at is not None
            suites.update(verdict.suites)
    unproven = sorted(set(board.numbers) - set(sound))
    if unproven or not sound:
        raise DemoFailed(
            f"certificates that do not verify offline, or are not there: {'、'.join(unproven) or 'all'}"
        )
    if not is_stamped:
        raise DemoFailed("no seal bears a time stamp")
    if BOTH_SUITES and suites != set(Suite):
        raise DemoFailed("nothing is sealed in both suites")


async def _sealed(stage: Stage, board: Board, filing: Filing, answer: Answer) -> None:
    """Wait for the sealed event of each certificate, download it, check it against the ledger."""
    folder = stage.folder / "certificates"
    folder.mkdir(exist_ok=True)
    wanted = {c.name: c.number for c in answer.outcome.certificates}
    if not wanted:
        raise DemoFailed(f"{answer.outcome.application}: booked without a certificate")
    try:
        async with asyncio.timeout(_SEAL_SECONDS_MAX):
            async for event in filing.client.watch_events():
                number = wanted.pop(event.certificate, "")
                if number:
                    await filing.client.download_certificate(event.certificate, folder / f"{number}.pdf")
                    told = "e-certificate sealed and downloaded"
                    ledger = f"{answer.outcome.receipt.registry} {event.index}"
                    board.add(_NAMES[filing.applicant], told, "SEALED", ledger, number)
                if not wanted:
                    return
    except TimeoutError as error:
        missing = "、".join(wanted.values())
        raise DemoFailed(f"not sealed within {_SEAL_SECONDS_MAX:.0f} s: {missing}") from error


def _told(stage: Stage, board: Board, who: str, what: str, answer: Answer, *expected: str) -> str:
    """A line for an answer; its receipt goes to receipts/. Returns the first certificate's number.

    Raises DemoFailed unless the case is in one of the `expected` states.
    """
    numbers = [c.number for c in answer.outcome.certificates]
    state = application_pb2.Application.State.Name(answer.outcome.state).removeprefix("STATE_")
    came = answer.result if answer.result == state else f"{answer.result} {state}"
    receipt = answer.outcome.receipt
    board.add(who, what, came, f"{receipt.registry} {receipt.index}", "、".join(numbers))
    board.numbers += numbers
    write_act(stage.folder / "receipts" / _receipt_name(answer), KeptAct.of_answer(answer))
    if state not in expected:
        why = "".join(f"\n  {f.code} {f.rule} {f.zh} / {f.en}" for f in answer.outcome.findings)
        raise DemoFailed(f"{who}, {what}: expected {' or '.join(expected)}, came {came}{why}")
    return numbers[0] if numbers else ""


def _receipt_name(answer: Answer) -> str:
    receipt = answer.outcome.receipt
    return f"{receipt.registry}-{receipt.index}.json"


def _institution(stage: Stage, key: str) -> authority_pb2.Institution:
    party = INSTITUTIONS[key]
    sign = stage.signer(key).certificate.key_id
    tls = _tls_key_id(stage, key)
    files_for = [INSTITUTIONS["bank-a-branch"].id_number] if key == "bank-a" else []
    kind = "FUND_CENTRE" if key == "fund-centre" else "BANK"
    return authority_pb2.Institution(
        uscc=party.id_number,
        permitted_modes=[codes_pb2.ENCUMBERED_TRANSFER_MODE_ET_COMBINED],
        kind=codes_pb2.InstitutionKind.Value(f"INSTITUTION_KIND_{kind}"),
        names=[party.name],
        agreement_number=f"示例-{key}",
        files_for=files_for,
        keys=[
            authority_pb2.RegisteredKey(key_id=sign, roles=_ROLES),
            authority_pb2.RegisteredKey(key_id=tls, roles=[authority_pb2.KEY_ROLE_TLS]),
        ],
    )


def _registrar(stage: Stage) -> authority_pb2.Registrar:
    return authority_pb2.Registrar(
        registrar_id=REGISTRAR_ID,
        display_name=REGISTRAR.name,
        may_book=True,
        keys=[
            authority_pb2.RegisteredKey(key_id=stage.signer(REGISTRAR_KEY).certificate.key_id),
            authority_pb2.RegisteredKey(
                key_id=_tls_key_id(stage, REGISTRAR_KEY), roles=[authority_pb2.KEY_ROLE_TLS]
            ),
        ],
    )


def _tls_key_id(stage: Stage, key: str) -> str:
    return stage.credential(key, "tls").certificate.key_id


def _write_register(registry: SampleRegistry, path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as stream:
        return write_register_csv(registry, stream)
