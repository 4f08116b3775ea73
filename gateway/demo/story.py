"""The demo's story, act by act, each line of the table as it happens; `play` is what `make demo` runs."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
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
from gateway.demo.cases import Filing
from gateway.demo.cast import REGISTRAR, REGISTRAR_ID
from gateway.demo.readme import write_readme
from gateway.demo.stage import INSTITUTIONS, OPERATOR_KEY, REGISTRAR_KEY, Stage, open_stage, prepare
from gateway.kinds.law import CHINA
from gateway.pb.diya.v1 import acts_pb2, application_pb2, authority_pb2, codes_pb2
from gateway.register.sample import SAMPLE, SampleRegistry, write_register_csv
from signing.trust_directory import read_trust as read_signing_trust

_ROLES = (
    authority_pb2.KEY_ROLE_SUBMIT,
    authority_pb2.KEY_ROLE_CONSENT,
    authority_pb2.KEY_ROLE_RELEASE,
    authority_pb2.KEY_ROLE_READ,
)


@dataclass
class Board:
    """The live table: who, what, state, ledger index, certificate number."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, who: str, what: str, state: str, index: int | str = "", number: str = "") -> None:
        """One more line."""
        self.rows.append((who, what, state, str(index), number))

    def __rich__(self) -> Table:
        table = Table(title="Diya 抵押 · demo", title_justify="left")
        for name, style in (
            ("who", ""),
            ("what", ""),
            ("state", "bold"),
            ("ledger", "cyan"),
            ("certificate", "green"),
        ):
            table.add_column(name, style=style, overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


async def play(folder: Path, console: Console) -> bool:
    """Play it all in `folder`, which is made anew; whether every step came out as it must."""
    board = Board()
    with Live(board, console=console, refresh_per_second=8):
        now = utc_now()
        await asyncio.to_thread(prepare, folder, now=now - dt.timedelta(minutes=5), ports=(0, 0, 0))
        async with AsyncExitStack() as stack:
            stage = await open_stage(folder, stack)
            await _set_up(stage, board)
            number = await _decided_by_rule(stage, board)
            await _decided_by_person(stage, board)
            await _pre_notices(stage, board)
            await _portfolio(stage, board)
            await _transfer(stage, board)
            await _not_accepted(stage, board)
            await _released(stage, board, number)
            good = await _verified(stage, board)
    _standard_ports(folder)
    write_readme(folder)
    console.print(f"\nEverything is in [bold]{folder}/[/bold]; its README.md has ten commands to try next.")
    return good


async def _set_up(stage: Stage, board: Board) -> None:
    """The operator's acts: institutions and their keys, a registrar, the register."""
    for registry in (SAMPLE.jiangyin, SAMPLE.taizhou):
        admin = AdminClient(
            await stage.session(OPERATOR_KEY, registry.registry), stage.signer(OPERATOR_KEY).signer()
        )
        for key in INSTITUTIONS:
            await admin.set_institution(_institution(stage, key))
        done = await admin.set_registrar(_registrar(stage))
        board.add("operator", f"{registry.registry}: institutions, registrar", "SET", _index(done.wire.index))
        path = stage.folder / f"register-{registry.registry}.csv"
        rows = _write_register(registry, path)
        imported = await admin.import_register(path, source="sample")
        board.add(
            "operator",
            f"{registry.registry}: register of {rows} rows",
            "IMPORTED",
            _index(imported.wire.index),
        )


async def _decided_by_rule(stage: Stage, board: Board) -> str:
    """Bank A files for its branch; a clean case is booked within its submission. Returns the proof's number."""
    client = await stage.client("bank-a", "jiangyin")
    filing = Filing(
        stage, client, "bank-a", "bank-a-branch", stage.folder / "papers" / "mortgage-rule", utc_now()
    )
    answer = await filing.mortgage(SAMPLE.sole_free_jiangyin, 80_000_000)
    number = _told(stage, board, "bank A for its branch", "mortgage, decided by rule", answer)
    await _sealed(stage, board, filing, answer)
    return number


async def _decided_by_person(stage: Stage, board: Board) -> None:
    """In the second registry a person decides: accepted, claimed, approved, booked."""
    client = await stage.client("bank-b", "taizhou")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "mortgage-person", utc_now())
    answer = await filing.mortgage(SAMPLE.sole_free_taizhou, 120_000_000)
    _told(stage, board, "bank B", "mortgage, to a registrar", answer)
    await _sealed(stage, board, filing, await _approved(stage, board, "taizhou", answer.outcome.application))


async def _approved(stage: Stage, board: Board, registry: str, application: str) -> Answer:
    """The registrar claims a case, looks at it, approves."""
    review = ReviewClient(await stage.session(REGISTRAR_KEY, registry), stage.signer(REGISTRAR_KEY).signer())
    await review.claim(await review.open(application))
    decided = await review.approve(await review.open(application), opinion="符合登记条件")
    _told(stage, board, f"registrar {REGISTRAR.name}", "approved", decided)
    return decided


async def _pre_notices(stage: Stage, board: Board) -> None:
    """A second-hand flat is sold: sale and mortgage pre-noticed together, decided by rule."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "pre-notices", utc_now())
    flat, other = SAMPLE.free("jiangyin")[1:3]
    answer = await filing.pre_notices(flat, other.owner, 180_000_000, 90_000_000)
    _told(stage, board, "bank B", "pre-notices of a sale and its mortgage", answer)
    if answer.result == "ACCEPTED":
        answer = await _approved(stage, board, "jiangyin", answer.outcome.application)
    await _sealed(stage, board, filing, answer)


async def _portfolio(stage: Stage, board: Board) -> None:
    """A portfolio loan: the bank files, the fund centre joins on the same terms, a person decides."""
    client = await stage.client("bank-b", "taizhou")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "portfolio", utc_now())
    answer = await filing.mortgage(SAMPLE.free("taizhou")[1], 30_000_000, fund_fen=50_000_000)
    _told(stage, board, "bank B", "portfolio loan with the fund centre", answer)
    await _joined(stage, board, "fund-centre", "taizhou", answer, ["fund"])
    await _sealed(stage, board, filing, await _approved(stage, board, "taizhou", answer.outcome.application))


async def _transfer(stage: Stage, board: Board) -> None:
    """带押过户: bank B's buyer buys a flat that bank A still holds a mortgage on; one case, one booking."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "transfer", utc_now())
    flat, buyer = SAMPLE.mortgaged_by_bank_a_jiangyin, SAMPLE.free("jiangyin")[3].owner
    answer = await filing.transfer(flat, buyer, 200_000_000, 100_000_000, "bank-a")
    _told(stage, board, "bank B", "encumbered transfer, combined", answer)
    await _joined(stage, board, "bank-a", "jiangyin", answer, ["old"])
    decided = await _approved(stage, board, "jiangyin", answer.outcome.application)
    if decided.result != "BOOKED":
        party = await _party(stage, "bank-a", "jiangyin")
        decided = await party.consent(
            target_of_envelope(answer.outcome.application, answer.envelope),
            acts_pb2.CONSENT_KIND_PAYOFF_CONFIRMED,
            parties=["old"],
            operations=[1],
            amount_fen=50_000_000,
            happened_on=utc_now().astimezone(CHINA).date(),
        )
        _told(stage, board, "bank A", "payoff confirmed", decided)
    await _sealed(stage, board, filing, decided)


async def _joined(
    stage: Stage, board: Board, key: str, registry: str, answer: Answer, parties: list[str]
) -> None:
    """A co-applicant reads the terms, agrees, and joins with its own key."""
    party = await _party(stage, key, registry)
    joined = await party.join(target_of_envelope(answer.outcome.application, answer.envelope), parties)
    _told(stage, board, INSTITUTIONS[key].name, "joined on the same terms", joined)


async def _party(stage: Stage, key: str, registry: str) -> PartyClient:
    actor = Actor(INSTITUTIONS[key].id_number, clerk("经办员", "P-001"))
    return PartyClient(await stage.session(key, registry), stage.signer(key).signer(), actor)


async def _not_accepted(stage: Stage, board: Board) -> None:
    """A seized flat: answered at once, with the rule and the way out."""
    client = await stage.client("bank-b", "jiangyin")
    filing = Filing(stage, client, "bank-b", "bank-b", stage.folder / "papers" / "mortgage-seized", utc_now())
    answer = await filing.mortgage(SAMPLE.seized_jiangyin, 50_000_000)
    findings = "; ".join(f"{f.code} {f.rule}".strip() for f in answer.outcome.findings)
    _told(stage, board, "bank B", f"mortgage of a seized flat: {findings}", answer)


async def _released(stage: Stage, board: Board, proof_number: str) -> None:
    """The loan is paid: the mortgagee releases alone, at once, and its proof is void."""
    client = await stage.client("bank-a", "jiangyin")
    filing = Filing(stage, client, "bank-a", "bank-a-branch", stage.folder / "papers" / "release", utc_now())
    answer = await filing.release(SAMPLE.sole_free_jiangyin, proof_number)
    _told(stage, board, "bank A for its branch", f"release of {proof_number}", answer)
    async for one in client.certificates.list(number=proof_number):
        state = one.State.Name(one.state).removeprefix("STATE_")
        board.add("jiangyin", "the released proof", state, number=one.number)


async def _verified(stage: Stage, board: Board) -> bool:
    """Offline, with the public trust folder alone: seals, data, print, ledger proofs."""
    trust = read_signing_trust(stage.folder / "trust")
    ledgers = read_trust(stage.folder / "trust")
    vkeys = {vkey.partition("+")[0]: vkey for name in ledgers.registries for vkey in ledgers.vkeys(name)}
    good = True
    for path in sorted((stage.folder / "certificates").glob("*.pdf")):
        verdict = await asyncio.to_thread(
            verify_certificate, path.read_bytes(), trust=trust, vkeys=vkeys, at=utc_now()
        )
        good = good and verdict.sound
        board.add("anyone, offline", path.name, "VALID" if verdict.sound else "INVALID")
    return good


async def _sealed(stage: Stage, board: Board, filing: Filing, answer: Answer) -> None:
    """Wait for the sealed event, download, check against the ledger."""
    folder = stage.folder / "certificates"
    folder.mkdir(exist_ok=True)
    wanted = {c.name for c in answer.outcome.certificates}
    async for event in filing.client.watch_events():
        if event.certificate in wanted:
            wanted.discard(event.certificate)
            number = next(c.number for c in answer.outcome.certificates if c.name == event.certificate)
            await filing.client.download_certificate(event.certificate, folder / f"{number}.pdf")
            board.add(
                filing.mortgagee.name, "e-certificate sealed and downloaded", "SEALED", event.index, number
            )
        if not wanted:
            return


def _told(stage: Stage, board: Board, who: str, what: str, answer: Answer) -> str:
    """A line for an answer; its receipt goes to receipts/. Returns the first certificate's number."""
    numbers = [c.number for c in answer.outcome.certificates]
    index = answer.outcome.receipt.index
    state = application_pb2.Application.State.Name(answer.outcome.state).removeprefix("STATE_")
    board.add(
        who,
        what,
        answer.result if answer.result == state else f"{answer.result} {state}",
        index,
        "、".join(numbers),
    )
    name = f"{answer.outcome.receipt.registry}-{index}.json"
    write_act(stage.folder / "receipts" / name, KeptAct.of_answer(answer))
    return numbers[0] if numbers else ""


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


def _index(value: int) -> int | str:
    return value if value >= 0 else ""


def _standard_ports(folder: Path) -> None:
    """The demo ran on free ports; what stays behind serves on the usual ones."""
    path = folder / "diya.toml"
    text = path.read_text(encoding="utf-8")
    for name, port in (("listen", 7443), ("public", 7444), ("metrics", 7445)):
        text = text.replace(f'{name} = "127.0.0.1:0"', f'{name} = "127.0.0.1:{port}"')
    path.write_text(text, encoding="utf-8")
