"""No name, identity number, unit, institution or certificate number in what is public or logged, in any usual spelling.

A town is played from founding to erasure, with sealing on and things going wrong. Then everything that the ledger shows
(entries, checkpoints, tiles, as stored, as served and as exported), every log line and every metric is searched for
everything personal that the town knows, as it is and as it would look encoded or plainly hashed.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import logging
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.client.client import DiyaClient
from gateway.client.errors import RequestError
from gateway.demo.cast import REGISTRAR
from gateway.demo.stage import INSTITUTIONS
from gateway.pb.diya.v1 import ledger_service_pb2 as ledger_pb
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from gateway.register.sample import SAMPLE, write_register_csv
from gateway.telemetry import configure_logging
from tests.integration import test_party_service as party_acts
from tests.integration import test_review as review_acts
from tests.support.founding import copy_of
from tests.support.payoffs import leave_a_payoff
from tests.support.played import _erased, _fed, database
from tests.support.stage import REGISTRIES, SECOND_REGISTRAR, SUSPENDED, Town, town_of
from tests.support.wire import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A spelling is looked for when it has at least so many bytes of its kind: shorter ones are in any hash by chance.
RAW_MIN, TEXT_MIN = 6, 9

#: Columns of the register file that say who or what: units, places, persons, case and certificate numbers, courts.
PERSONAL = (
    *("BDCDYH", "ZL", "YWH", "DBR", "QLR", "ZJH", "BDCQZH", "DYR", "DYRZJH", "ZWR", "ZWRZJH", "BDCDJZMH"),
    *("YWR", "YWRZJH", "CFJG", "CFWH", "SLAH", "JYHTH", "JHR", "JHRZJH"),
)

LEDGER_TABLES = ("ledger_head", "ledger_entry", "ledger_checkpoint", "ledger_published", "ledger_tile")


class Played:
    """What a town left to be seen: by where it was seen."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.seen: dict[str, bytes] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A town, played."""
    folder = copy_of(founded, tmp_path_factory.mktemp("clear"))
    played = Played()
    with logged() as log:
        async with town_of(folder, sealing=True) as town:
            await play(town)
            played.seen |= await served(town)
            port = town.gateway.metrics_port
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                played.seen["metrics"] = answer.read()
        async with town_of(folder):
            pass  # what a second start has to say
    played.seen["log"] = log.getvalue().encode()
    played.seen |= stored(folder)
    played.seen |= exported(folder)
    played.secrets = secrets_of(folder)
    return played


class logged:
    """All that goes to the log, as `diya serve` writes it, but every level of it."""

    def __enter__(self) -> io.StringIO:
        root = logging.getLogger()
        self._before = root.handlers, root.level
        configure_logging(json=True, level=logging.DEBUG)
        [handler] = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        stream = io.StringIO()
        handler.setStream(stream)
        return stream

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.handlers, level = self._before
        root.setLevel(level)


async def play(town: Town) -> None:
    """A little of everything, and everything that goes wrong."""
    filing, answer = await town.booked()
    await leave_a_payoff(town, answer.outcome.application, town.clock())
    filing, answer = await town.booked()
    release = await town.release(filing, answer.outcome.certificates[0].number).sign().upload()
    await release.submit()
    for act in (
        party_acts.test_fund_centre_finds_the_case_reads_it_and_joins,
        party_acts.test_decline_is_told_and_the_case_goes_on_waiting,
        party_acts.test_registrar_asks_and_the_bank_answers,
        party_acts.test_bank_alone_does_not_withdraw_with_the_owner_it_does,
        review_acts.test_approval_books,
        review_acts.test_refusal_frees_the_papers_and_the_place,
        review_acts.test_case_given_back_is_open_to_others,
    ):
        await act(town)
    bank, operator = await town.client("bank-a"), await town.operator()
    looked, booked = await town.booked()
    await bank.get_unit(looked.unit.unit_code, own_right=booked.outcome.certificates[0].number)
    await (await town.mortgage().sign().upload()).submit(validate_only=True)
    registrar = DiyaClient(await town.session("registrar"))
    found = await registrar.search_units(
        looked.owners[0].id_number, purpose="依职权核查", instrument="协查一号"
    )
    assert found.rights
    await _go_wrong(town)
    await _erased(town)
    await _fed(town)
    await operator.suspend_institution(SUSPENDED.id_number, f"{SUSPENDED.name} 协议到期")
    sealing = town.gateway.sealing
    assert sealing is not None
    await sealing._queue.join()


async def _go_wrong(town: Town) -> None:
    """Calls that are refused with much in them, a sealer that fails, and a defect in the middle of a decision."""
    filing = town.mortgage().sign()
    filing.terms.parties[0].person.identity.number = "32028119900101001X"
    with pytest.raises(RequestError):
        await filing.submit()
    bank = await town.client("bank-a")
    for call in (
        lambda: bank.get_unit(SAMPLE.sole_free_jiangyin.unit_code + "9", own_right="x"),
        lambda: bank.get_application("0192f0c1-0000-7000-8000-000000000000"),
    ):
        with pytest.raises(RequestError):
            await call()
    sealer = town.gateway._sealer
    seal = sealer.seal

    async def fails(content: Any, proof: Any, *, at: Any) -> tuple[bytes, str]:
        sealer.seal = seal
        raise ValueError(f"cannot print {content!r} for {SAMPLE.sole_free_jiangyin.owner.name}")

    sealer.seal = fails
    await town.booked()
    await until(lambda: sealer.seal == seal, seconds=60)

    def defect(_connection: Any) -> None:
        raise ValueError(f"{SAMPLE.sole_free_jiangyin.owner.id_number} {SAMPLE.sole_free_jiangyin.unit_code}")

    with pytest.raises(ValueError, match=SAMPLE.sole_free_jiangyin.unit_code):
        town.gateway.sequencer.run(defect).result(timeout=10)


# -- what there is to see --------------------------------------------------------------------------------------------


def stored(folder: Path) -> dict[str, bytes]:
    """The tables of the ledger that anyone may have: every column of every row, bytes as they are."""
    found = {}
    with closing(sqlite3.connect(database(folder))) as connection:
        for table in LEDGER_TABLES:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            found[table] = b"\n".join(
                value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
            )
        rows = connection.execute("SELECT registry, name, key_id FROM ledger_part").fetchall()
        rows += connection.execute("SELECT registry, key_id, entry_index FROM ledger_erasure").fetchall()
        found["names of parts and keys"] = repr(rows).encode()
    assert len(found["ledger_entry"]) > 20_000
    return found


async def served(town: Town) -> dict[str, bytes]:
    """All that LedgerService gives to an auditor, as it goes over the wire."""
    stub = town.stub(LedgerServiceStub, "auditor")
    found = {}
    for registry in REGISTRIES:
        parent = f"registries/{registry}"
        page = await stub.ListEntries(ledger_pb.ListEntriesRequest(parent=parent, page_size=1000))
        answers = [
            page,
            await stub.GetCheckpoint(ledger_pb.GetCheckpointRequest(parent=parent)),
            await stub.GetInclusionProof(ledger_pb.GetInclusionProofRequest(parent=parent, index=1)),
            await stub.GetConsistencyProof(ledger_pb.GetConsistencyProofRequest(parent=parent, old_size=2)),
        ]
        found[f"served {registry}"] = b"\n".join(answer.SerializeToString() for answer in answers)
        assert len(page.entries) > 5
    return found


def exported(folder: Path) -> dict[str, bytes]:
    """Every file of an export, where this version writes one."""
    runner, out = CliRunner(), folder.parent / "export"
    known = runner.invoke(build_app(), ["ledger", "--help"]).output
    if "export" not in known:
        return {}
    result = runner.invoke(build_app(), ["ledger", "export", str(out), "--config", str(folder / "diya.toml")])
    assert result.exit_code == 0, result.output
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


# -- what must not be seen -------------------------------------------------------------------------------------------


def secrets_of(folder: Path) -> set[str]:
    """Everything that the town knows of persons, units, institutions and certificates."""
    found = {p.name for p in (*INSTITUTIONS.values(), REGISTRAR, SECOND_REGISTRAR, SUSPENDED)}
    found |= {p.id_number for p in (*INSTITUTIONS.values(), REGISTRAR, SECOND_REGISTRAR, SUSPENDED)}
    for registry in (SAMPLE.jiangyin, SAMPLE.taizhou):
        text = io.StringIO()
        write_register_csv(registry, text)
        text.seek(0)
        for row in csv.DictReader(text):
            found |= {row[column] or "" for column in PERSONAL}
    with closing(sqlite3.connect(database(folder))) as connection:
        for column, table in (
            ("identifier", "certificate"),
            ("number", "certificate"),
            ("unit_code", "unit"),
            ("uscc", "institution"),
        ):
            found |= {row[0] for row in connection.execute(f"SELECT {column} FROM {table}")}
        for (body,) in connection.execute("SELECT body FROM application"):
            found.add(json.loads(body).get("case_number", ""))
    # Yes, no and the like are nobody's; the registry's own id is in the origin of its ledger.
    return {value.strip() for value in found if len(value.strip()) > 1} - {*REGISTRIES, "男", "女"}


def spellings(value: str) -> Iterator[bytes]:
    """How a value may look: as text, in other encodings of characters and bytes, and plainly hashed."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        raw = value.encode(encoding)
        if len(raw) >= RAW_MIN:
            yield raw
        yield from _as_text(raw)
    yield json.dumps(value).strip('"').encode()
    yield urllib.parse.quote(value).encode()
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(algorithm, value.encode()).digest()
        yield digest
        yield from _as_text(digest)


def _as_text(raw: bytes) -> Iterator[bytes]:
    """In hex and base64, at any place within longer bytes."""
    texts = [raw.hex(), raw.hex().upper(), base64.b32encode(raw).decode().strip("=")[:-1]]
    for at in range(3):
        inner = base64.b64encode(b"\0" * at + raw).decode().rstrip("=")[at + (at > 0) : -1]
        texts += [inner, inner.replace("+", "-").replace("/", "_")]
    yield from (text.encode() for text in texts if len(text) >= TEXT_MIN)


class Search:
    """Looks for secrets in every spelling at once: each place of what is seen is looked up by its first bytes."""

    def __init__(self, secrets: set[str]) -> None:
        self._by_start: dict[bytes, list[tuple[bytes, str]]] = {}
        for secret in secrets:
            for spelling in spellings(secret):
                if len(spelling) >= RAW_MIN:
                    self._by_start.setdefault(spelling[:RAW_MIN], []).append((spelling, secret))

    def leaks(self, seen: bytes) -> dict[str, bytes]:
        """The secrets that are in it, each with where it was seen first."""
        found: dict[str, bytes] = {}
        for at in range(len(seen)):
            for spelling, secret in self._by_start.get(seen[at : at + RAW_MIN], ()):
                if secret not in found and seen.startswith(spelling, at):
                    found[secret] = seen[max(at - 80, 0) : at + 80]
        return found


async def test_no_person_unit_institution_or_certificate_is_in_the_clear(told: Played) -> None:
    """Nothing of any of them, anywhere: not in the ledger, not in the log, not in the metrics."""
    assert len(told.secrets) > 300
    assert {"metrics", "log", "ledger_entry", "ledger_checkpoint", "served jiangyin"} <= told.seen.keys()
    search = Search(told.secrets)
    assert {where: found for where, seen in told.seen.items() if (found := search.leaks(seen))} == {}


async def test_log_has_what_went_wrong(told: Played) -> None:
    """The search is of a log that says something: a failed seal, a defect, where it came from, a start."""
    text = told.seen["log"].decode()
    for word in ("certificate not sealed", "batch not committed", '"error": "ValueError"', '"entry": '):
        assert word in text, word


PLANTED: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in UTF-16": lambda s: s.encode("utf-16-le"),
    "in GB 18030": lambda s: s.encode("gb18030"),
    "in hex": lambda s: s.encode().hex().encode(),
    "in base64 within something": lambda s: base64.b64encode(b'{"who":"' + s.encode() + b'"}'),
    "in URL-safe base64": lambda s: base64.urlsafe_b64encode(b"/" + s.encode() + b"?"),
    "as JSON escapes": lambda s: json.dumps({"who": s}).encode(),
    "in a URL": lambda s: urllib.parse.quote(s).encode(),
    "hashed": lambda s: hashlib.sha256(s.encode()).hexdigest().encode(),
    "hashed, in base64": lambda s: base64.b64encode(hashlib.sha256(s.encode()).digest()),
}


@pytest.mark.parametrize("how", PLANTED)
async def test_planted_secret_is_found(told: Played, how: str) -> None:
    """The search sees what it looks for: a name, a number, a unit planted in the entries, in each spelling."""
    owner = SAMPLE.sole_free_jiangyin.owner
    for secret in (owner.name, owner.id_number, SAMPLE.sole_free_jiangyin.unit_code):
        assert secret in told.secrets
        planted = told.seen["ledger_entry"][:9000] + PLANTED[how](secret) + told.seen["ledger_entry"][9000:]
        assert Search({secret}).leaks(planted).keys() == {secret}
