"""A gateway whose checkpoints witnesses cosign: quorum, a witness that is down, and what only a witness can see."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import generate_latest
from typer.testing import CliRunner

from gateway.app import Gateway
from gateway.cli.app import build_app
from gateway.client.ledger import LedgerClient
from gateway.client.receipt import verify_quorum
from gateway.client.receipt_file import KeptAct, write_act
from gateway.config import ConfigError
from gateway.pb.diya.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from gateway.telemetry import metrics
from ledger.cosignature import read_cosignature
from ledger.errors import QuorumError
from ledger.policy import parse_policy
from ledger.witness import WitnessRefusal
from tests.support.played import database
from tests.support.stage import Town, configured, town_of
from tests.support.watching import Watching, watched_by, witness
from tests.support.wire import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Rounds at once, and a witness that is down tried again at once.
QUICK = {
    "witness_interval_seconds": 0.01,
    "witness_retry_seconds_max": 0.01,
    "witness_timeout_seconds": 5.0,
}


def vkey_of(folder: Path) -> str:
    """The verifier key of jiangyin's ledger."""
    return (folder / "trust" / "jiangyin.vkey").read_text().strip()


@pytest.fixture
def pair(own_folder: Path, tmp_path: Path) -> list[Watching]:
    """Two banks' witnesses."""
    return [witness(tmp_path / name, f"{name}.example", [vkey_of(own_folder)]) for name in ("w-a", "w-b")]


async def act(town: Town) -> Any:
    """An act that is entered; in a folder that is served again it may be about a flat that is taken."""
    return await (await town.mortgage().sign().upload()).submit()


async def cosigned(town: Town, size: int = 0) -> None:
    """Wait until a quorum covers the ledger of jiangyin, or so many entries of it."""
    wanted = size or town.ledger_size()
    await until(lambda: town.gateway._witnessing.cosigned("jiangyin") >= wanted)


async def checkpoint(town: Town, **how: Any) -> Any:
    """GetCheckpoint."""
    stub = town.stub(ledger_service_pb2_grpc.LedgerServiceStub, "bank-a")
    request = ledger_service_pb2.GetCheckpointRequest(parent="registries/jiangyin", **how)
    return (await stub.GetCheckpoint(request)).checkpoint


async def health(town: Town) -> Any:
    """What the gateway says of itself."""
    stub = health_pb2_grpc.HealthStub(town.channel("bank-a"))
    return (await stub.Check(health_pb2.HealthCheckRequest(service=""))).status


def key_id(one: Watching) -> str:
    """What a witness is called in the log and in metrics."""
    return one.vkey.split("+")[1]


def gauge(name: str, **labels: str) -> float | None:
    """A sample of this process's metrics."""
    return metrics.collectors.get_sample_value(name, labels)


# -- a quorum ----------------------------------------------------------------------------------------------------------


async def test_checkpoint_is_handed_out_with_its_cosignatures(own_folder: Path, pair: list[Watching]) -> None:
    """Receipt and GetCheckpoint carry a quorum; the bank checks it with the policy alone. A restart keeps it."""
    policy = parse_policy(watched_by(own_folder, pair).read_bytes())
    with pair[0].serving(), pair[1].serving():
        async with town_of(own_folder, **QUICK) as town:
            answer = await act(town)
            await cosigned(town)
            client = await town.client("bank-a")
            receipt = await client.get_receipt(answer.envelope)
            assert policy.check(receipt.note).size == town.ledger_size()
            for note in ((await checkpoint(town)).note, (await checkpoint(town, cosigned=True)).note):
                assert policy.check(note).size == town.ledger_size()
            assert gauge("diya_cosigned_entries", registry="jiangyin") == town.ledger_size()
            replayed = await client.submit(answer.envelope)
            policy.check(replayed.outcome.receipt.checkpoint)
    async with town_of(own_folder, **QUICK) as town:  # the witnesses are away: what they said is still given
        policy.check((await checkpoint(town, cosigned=True)).note)


async def test_quorum_counts_as_the_policy_says(own_folder: Path, pair: list[Watching]) -> None:
    """One of two is enough where the policy says so, and the receipt is under the newest checkpoint that has it."""
    policy = parse_policy(watched_by(own_folder, pair, "any").read_bytes())
    with pair[0].serving():
        async with town_of(own_folder, **QUICK) as town:
            answer = await act(town)
            await cosigned(town)
            receipt = await (await town.client("bank-a")).get_receipt(answer.envelope)
            assert policy.check_quorum(receipt.note) == {pair[0].vkey}


async def test_receipt_stays_under_a_quorum_while_the_witness_is_away(
    own_folder: Path, pair: list[Watching]
) -> None:
    """What a quorum covers is proven under it, though newer checkpoints have none yet."""
    policy = parse_policy(watched_by(own_folder, pair[:1]).read_bytes())
    async with town_of(own_folder, **QUICK) as town:
        with pair[0].serving():
            covered = await act(town)
            await cosigned(town)
        later = await act(town)
        # Once it is known to be away, no cosignature that it gave before is still on its way in.
        await until(lambda: gauge("diya_witness_down", registry="jiangyin", witness=key_id(pair[0])) == 1)
        size = town.gateway._witnessing.cosigned("jiangyin")
        client = await town.client("bank-a")
        assert policy.check((await client.get_receipt(covered.envelope)).note).size == size
        newest = await client.get_receipt(later.envelope)
        assert newest.checkpoint.size > newest.index >= size


async def test_verifiers_demand_a_quorum(own_folder: Path, pair: list[Watching], tmp_path: Path) -> None:
    """With --policy, receipt, certificate and checkpoint hold only under the quorum of the bank's policy."""
    path = watched_by(own_folder, pair)
    vkey, stranger = vkey_of(own_folder), witness(tmp_path / "w-c", "w-c.example", [vkey_of(own_folder)])
    other = tmp_path / "other.txt"
    other.write_text(f"log {vkey}\nwitness C {stranger.vkey}\nquorum C\n")
    kept, pdf = tmp_path / "act.json", tmp_path / "certificate.pdf"
    with pair[0].serving(), pair[1].serving():
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            await cosigned(town)
            _, answer = await town.booked()
            client = await town.client("bank-a")
            [issued] = answer.outcome.certificates
            async with asyncio.timeout(40):
                async for event in client.watch_events():
                    if event.certificate == issued.name:  # the next one about it: it is sealed
                        break
            await client.download_certificate(issued.identifier, pdf)
            write_act(kept, KeptAct.of_answer(answer))
            early = diya("receipt", "verify", kept, "--policy", path, "--trust", own_folder / "trust")
            assert early.exit_code == 1, "the receipt came before its cosignatures"
            assert "✗ 10" in early.output
            await cosigned(town)
            receipt = await client.fetch_receipt(answer.envelope)
            answer.outcome.receipt.CopyFrom(receipt)
            write_act(kept, KeptAct.of_answer(answer))
            ledger = LedgerClient(await town.session("bank-a"))
            verify_quorum((await ledger.checkpoint(cosigned=True)).note, parse_policy(path.read_bytes()))
    for words in (("receipt", "verify", kept), ("certificate", "verify", pdf)):
        trust = ("--trust", own_folder / "trust")
        assert diya(*words, *trust).exit_code == 0
        met = diya(*words, *trust, "--policy", path)
        assert met.exit_code == 0, met.output
        missed = diya(*words, *trust, "--policy", other)
        assert missed.exit_code == 1
        assert "会签" in missed.output


def diya(*words: object) -> Result:
    """A command, without a gateway."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), [str(word) for word in words])


# -- a witness that is down --------------------------------------------------------------------------------------------


async def test_witness_that_is_down_delays_only_its_cosignature(
    own_folder: Path, pair: list[Watching], caplog: pytest.LogCaptureFixture
) -> None:
    """Acts go on; told once, and as a metric; when it is back, the newest checkpoint gets its quorum."""
    policy = parse_policy(watched_by(own_folder, pair).read_bytes())
    with caplog.at_level(logging.INFO, "gateway.rounds.witnessing"), pair[0].serving():
        async with town_of(own_folder, **QUICK) as town:
            for _ in range(3):
                answer = await act(town)
            failed = {"registry": "jiangyin", "witness": key_id(pair[1])}
            await until(lambda: (gauge("diya_witness_failed_total", **failed) or 0) > 3)
            assert gauge("diya_witness_down", **failed) == 1
            assert gauge("diya_witness_down", registry="jiangyin", witness=key_id(pair[0])) == 0
            lines = [one.getMessage() for one in caplog.records if "does not cosign" in one.getMessage()]
            assert len(lines) == 1
            assert (
                lines[0] == f"witness {key_id(pair[1])} does not cosign: ConnectionRefusedError ECONNREFUSED"
            )
            told = lines[0] + str(generate_latest(metrics.collectors))
            assert not re.search(r"example|\bw[01]\b|127\.0\.0", told)
            client = await town.client("bank-a")
            early = await client.get_receipt(answer.envelope)
            with pytest.raises(QuorumError, match="w1"):
                policy.check(early.note)
            await town.told(lambda: checkpoint(town, cosigned=True), "LEDGER_RANGE")
            with pair[1].serving():
                await cosigned(town)
                policy.check((await client.get_receipt(answer.envelope)).note)
                await until(lambda: gauge("diya_witness_down", **failed) == 0)
            assert any("cosigns again" in one.getMessage() for one in caplog.records)


async def test_missing_quorum_stops_acts_where_the_setting_says_so(
    own_folder: Path, pair: list[Watching]
) -> None:
    """Refused with the reason and a delay, told again what was answered, taken again once the quorum is there."""
    watched_by(own_folder, pair, stop_seconds=0.001)
    async with town_of(own_folder, **QUICK) as town:
        await until(lambda: town.gateway._witnessing.is_held("jiangyin"))
        filing = await town.mortgage().sign().upload()
        refused = await filing.refused("WITNESS_QUORUM_MISSING", "UNAVAILABLE")
        assert refused.retry_seconds
        _, elsewhere = await town.in_review()  # the other registry has no witnesses and goes on
        assert elsewhere.receipt is not None
        assert (await checkpoint(town)).size == town.ledger_size()
        with pair[0].serving(), pair[1].serving():
            await until(lambda: not town.gateway._witnessing.is_held("jiangyin"))
            answer = await filing.submit()
            assert answer.result == "BOOKED"


async def test_start_does_not_wait_for_a_slow_witness_and_acts_do(
    own_folder: Path, pair: list[Watching]
) -> None:
    """One that takes a request and says nothing: reads are served, acts are to be sent again until it was heard."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        watched_by(own_folder, pair[:1], urls=[f"http://127.0.0.1:{silent.getsockname()[1]}"])
        async with town_of(own_folder, is_heard=False, **{**QUICK, "witness_timeout_seconds": 100.0}) as town:
            assert (await checkpoint(town)).size == town.ledger_size()
            filing = await town.mortgage().sign().upload()
            refused = await filing.refused("WITNESS_QUORUM_MISSING", "UNAVAILABLE")
            assert refused.retry_seconds
            _, elsewhere = await town.in_review()  # the other registry has no witnesses
            assert elsewhere.receipt is not None
            (await asyncio.to_thread(silent.accept))[0].close()
            silent.close()
            await town.gateway._witnessing.first_round()
            assert (await filing.submit()).result == "BOOKED"


async def test_wrong_answers_are_no_cosignatures(own_folder: Path, pair: list[Watching]) -> None:
    """A witness that signs with another key than the policy's is one that is down."""
    watched_by(own_folder, pair, urls=[pair[0].url, pair[0].url])
    with pair[0].serving():
        async with town_of(own_folder, **QUICK) as town:
            await act(town)
            failed = {"registry": "jiangyin", "witness": key_id(pair[1])}
            await until(lambda: gauge("diya_witness_down", **failed) == 1)
            await until(lambda: gauge("diya_witness_down", registry="jiangyin", witness=key_id(pair[0])) == 0)
            found = await checkpoint(town)
            assert read_cosignature(found.note, pair[1].vkey) is None
            assert town.gateway._witnessing.cosigned("jiangyin") == 0


# -- what only a witness sees ------------------------------------------------------------------------------------------


def kept(folder: Path, into: Path) -> Path:
    """A copy of a stopped gateway's database."""
    with closing(sqlite3.connect(database(folder))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(shutil.copy(database(folder), into / "older.db"))


def put_back(folder: Path, older: Path) -> None:
    """Restore it."""
    for path in database(folder).parent.glob(database(folder).name + "-*"):
        path.unlink()
    shutil.copy(older, database(folder))


async def grown(folder: Path, acts: int, before: Callable[[Town], Awaitable[None]] | None = None) -> None:
    """Run the gateway, let it do so many acts, and stop it when they are cosigned as far as may be."""
    async with town_of(folder, **QUICK) as town:
        for _ in range(acts):
            await act(town)
        if before is not None:
            await before(town)


async def refused_and_reads_go_on(town: Town, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is entered, the log says why, health says so; entries and checkpoints are still served."""
    assert await health(town) == health_pb2.HealthCheckResponse.NOT_SERVING
    filing = await town.mortgage().sign().upload()
    await filing.refused("LEDGER_DAMAGED", "UNAVAILABLE")
    assert damage in next(one.damage for one in caplog.records if hasattr(one, "damage"))
    assert (await checkpoint(town)).size == town.ledger_size()
    _, elsewhere = await town.in_review()
    assert elsewhere.receipt is not None


async def test_restored_copy_is_seen_by_a_witness_before_anything_is_entered(
    own_folder: Path, pair: list[Watching], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything put back to an older copy, checkpoints included: the witness holds a larger one of ours."""
    watched_by(own_folder, pair)
    with pair[0].serving(), pair[1].serving():
        await grown(own_folder, 1, cosigned)
        older = kept(own_folder, tmp_path)
        await grown(own_folder, 2, cosigned)
        put_back(own_folder, older)
        async with town_of(own_folder, **QUICK) as town:
            await refused_and_reads_go_on(town, "was signed, but the database knows only size", caplog)


async def test_restored_copy_is_not_seen_without_a_witness(own_folder: Path, tmp_path: Path) -> None:
    """On one disk nobody can: this is what the documentation says, and why there are witnesses."""
    await grown(own_folder, 1)
    older = kept(own_folder, tmp_path)
    await grown(own_folder, 2)
    put_back(own_folder, older)
    await grown(own_folder, 1)


async def test_fork_after_a_restore_is_seen_when_the_witness_is_back(
    own_folder: Path, pair: list[Watching], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The witnesses were away while another history was signed, longer than the one they know."""
    watched_by(own_folder, pair)
    with pair[0].serving(), pair[1].serving():
        await grown(own_folder, 1, cosigned)
        older = kept(own_folder, tmp_path)
        await grown(own_folder, 1, cosigned)
    put_back(own_folder, older)
    async with town_of(own_folder, **QUICK) as town:
        for _ in range(3):
            await act(town)
        with pair[0].serving(), pair[1].serving():
            await until(lambda: town.gateway.sequencer.is_damaged)
            await refused_and_reads_go_on(town, "two histories were signed", caplog)


async def test_second_gateway_on_a_copy_is_seen_by_a_witness(
    own_folder: Path, pair: list[Watching], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two gateways with one key on two disks: the one whose checkpoint comes second is stopped, and reads go on."""
    watched_by(own_folder, pair)
    with pair[0].serving(), pair[1].serving():
        await grown(own_folder, 1, cosigned)
        copy = Path(shutil.copytree(own_folder, tmp_path / "copy"))
        async with town_of(own_folder, **QUICK) as first, town_of(copy, **QUICK) as second:
            await act(first)
            await cosigned(first)
            await act(second)
            await until(lambda: second.gateway.sequencer.is_damaged)
            await refused_and_reads_go_on(second, "two histories were signed", caplog)
            await act(first)
            await cosigned(first)


async def test_word_of_a_witness_alone_stops_nothing(
    own_folder: Path, pair: list[Watching], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A witness that says it knows more, and shows no signature of ours, is one that is down."""
    watched_by(own_folder, pair)
    with pair[0].serving() as first, pair[1].serving():

        def lies(_body: bytes) -> bytes:
            raise WitnessRefusal(409, "999999")

        monkeypatch.setattr(first.witness, "add_checkpoint", lies)
        async with town_of(own_folder, **QUICK) as town:
            await act(town)
            failed = {"registry": "jiangyin", "witness": key_id(pair[0])}
            await until(lambda: gauge("diya_witness_down", **failed) == 1)
            assert not town.gateway.sequencer.is_damaged
            await act(town)


# -- settings ----------------------------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[Callable[[str], str], str]] = {
    "malformed": (
        lambda text: text + "quorum again\n",
        r"witness_policy: .*policy\.txt: line 6: a second quorum",
    ),
    "without a URL": (
        lambda text: text.replace(" http", " #http"),
        r"witness w0: #http.*: write where it is asked",
    ),
    "of another log": (
        lambda text: "log " + OTHER_LOG + "\n" + text.partition("\n")[2],
        r"lists logs, and not this one: add the line `log ledger",
    ),
}
OTHER_LOG = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


@pytest.mark.parametrize("case", SETTINGS)
async def test_policy_that_cannot_be_used_is_refused(
    own_folder: Path, pair: list[Watching], case: str
) -> None:
    """One line that names the setting, the file and the cure."""
    change, says = SETTINGS[case]
    path = watched_by(own_folder, pair)
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigError, match=says):
        await Gateway(configured(own_folder)).start()


async def test_stop_setting_needs_a_quorum(own_folder: Path, pair: list[Watching]) -> None:
    """A quorum of none never arrives: the setting would be a trap."""
    watched_by(own_folder, pair, "none", stop_seconds=60)
    with pytest.raises(ConfigError, match="quorum is none"):
        await Gateway(configured(own_folder)).start()


async def test_stop_setting_needs_a_policy(own_folder: Path) -> None:
    """The same without any witness."""
    settings = own_folder / "diya.toml"
    text = settings.read_text()
    settings.write_text(text.replace('id = "jiangyin"\n', 'id = "jiangyin"\nwitness_stop_seconds = 60.0\n'))
    with pytest.raises(ConfigError, match="no witness_policy to wait for"):
        await Gateway(configured(own_folder)).start()
