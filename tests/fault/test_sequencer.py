"""The one ordered path under faults: a defect stays with its command, a late checkpoint comes later, one writer."""

from __future__ import annotations

import base64
import datetime as dt
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import Gateway
from gateway.cases.effects import CounterMoved, RightEnded
from gateway.client.receipt import verify_receipt
from gateway.client.trust import LedgerTrust, read_trust
from gateway.commands import ClockBehind, Command, Overloaded, Unavailable
from gateway.config import ConfigError
from gateway.rpc.encode import receipt as encode_receipt
from gateway.storage.engine import SecondWriter
from gateway.telemetry import metrics
from ledger.checkpoint import open_checkpoint
from ledger.verify import verify_ledger
from tests.support.spine import ORIGIN, REGISTRY, Spine
from tests.support.stage import configured, town_of


@pytest.fixture
def spine(tmp_path: Path) -> Iterator[Spine]:
    """A founded registry on a real SQLite file."""
    running = Spine(tmp_path)
    yield running
    running.close()


@contextmanager
def held(spine: Spine) -> Iterator[None]:
    """Within the block the writer is busy, so that what is queued meanwhile becomes one batch."""
    free, begun = threading.Event(), threading.Event()

    def work(connection: Any) -> None:
        begun.set()
        assert free.wait(30)

    spine.sequencer.run(work)
    assert begun.wait(10)
    try:
        yield
    finally:
        free.set()


def _whole(spine: Spine) -> int:
    """Entries of a ledger that verifies from end to end."""
    with spine._reader.begin() as connection:
        report = verify_ledger(connection, REGISTRY, spine.signer.vkey, vault=None)
        assert report.ok, report.first
        return report.entries


def _faulty(spine: Spine, *, where: str) -> Command:
    """A command with a defect in its decision, its evidence, or the fold of its effects."""
    if where == "fold":
        ended = RightEnded(
            right_id="no-such-right", ended_at=spine.clock(), case_number="1", reason="x", ended_by="x"
        )
        return spine.command(ended)
    command = spine.command()

    def defect(*_: Any) -> Any:
        raise RuntimeError(f"a defect in {where}")

    setattr(command, where, defect)
    return command


@pytest.mark.parametrize("where", ["decide", "evidence", "fold"])
@pytest.mark.parametrize("position", [0, 1, 3])
def test_defect_of_one_command_does_not_fail_its_neighbours(spine: Spine, where: str, position: int) -> None:
    """In one batch the command with the defect gets it as its answer; the others are entered, in order."""
    before = _whole(spine)
    good = [spine.command(CounterMoved(name=f"n{n}", value=n + 1)) for n in range(3)]
    bad = _faulty(spine, where=where)
    order = [*good[:position], bad, *good[position:]]
    with held(spine):
        futures = {id(c): spine.sequencer.submit(c) for c in order}
    answers = [futures[id(c)].result(10) for c in good]
    with pytest.raises((RuntimeError, ValueError)):
        futures[id(bad)].result(10)
    assert [a.receipt.index for a in answers] == [before, before + 1, before + 2]
    assert _whole(spine) == before + 3
    assert spine.enter().receipt.index == before + 3, "the writer goes on"


def test_defective_work_does_not_fail_its_neighbours(spine: Spine) -> None:
    """A piece of writing that fails takes nothing else of its batch with it."""
    command = spine.command()

    def work(connection: Any) -> None:
        raise RuntimeError("a defect in the work")

    with held(spine):
        failed, answered = spine.sequencer.run(work), spine.sequencer.submit(command)
    with pytest.raises(RuntimeError):
        failed.result(10)
    assert answered.result(10).receipt.index + 1 == _whole(spine)


def _publish_failures() -> float:
    return metrics.collectors.get_sample_value("diya_publish_failed_total", {"registry": REGISTRY}) or 0


def test_publisher_failing_makes_receipts_pending_and_later_complete(
    spine: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry stands when its checkpoint cannot be signed; the next one covers it."""

    def fails(*_: Any) -> Any:
        raise OSError("the key device is away")

    failed = _publish_failures()
    with monkeypatch.context() as patch:
        patch.setattr(spine.publisher, "publish", fails)
        pending = spine.enter(institution="a-bank")
        assert pending.receipt.checkpoint is None
        assert _publish_failures() == failed + 1
        assert encode_receipt(pending.receipt).pending
    later = spine.enter()
    assert later.receipt.checkpoint is not None
    assert open_checkpoint(later.receipt.checkpoint, spine.signer.vkey).size == later.receipt.index + 1
    with spine._reader.begin() as connection:
        whole = spine.queries._receipt(connection, REGISTRY, pending.receipt.index)
    assert whole.entry == pending.receipt.entry
    trust = LedgerTrust({REGISTRY: (spine.signer.vkey,)})
    wire = encode_receipt(whole)
    payload = spine.ledger
    with spine._reader.begin() as connection:
        _, sent = payload.read_part(connection, REGISTRY, pending.receipt.index, "evidence/payload")
    assert verify_receipt(wire, sent, trust).index == pending.receipt.index
    assert _whole(spine) == later.receipt.index + 1


def test_replay_while_publishing_fails_is_pending_too(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay gives the stored outcome also while no checkpoint can be signed."""
    command = spine.command()
    first = spine.submit(command)
    again = Command(**{name: getattr(command, name) for name in _COPIED})
    monkeypatch.setattr(spine.publisher, "publish", lambda *_: (_ for _ in ()).throw(OSError("away")))
    replayed = spine.submit(again)
    assert replayed.replayed
    assert replayed.receipt.entry == first.receipt.entry
    assert replayed.receipt.checkpoint is None


_COPIED = (
    "registry",
    "institution",
    "request_id",
    "payload_sha256",
    "payload",
    "evidence",
    "wants",
    "decide",
)


def test_clock_that_went_back_is_refused(spine: Spine) -> None:
    """Behind the newest entry by more than 2 s nothing is entered; when the clock is right again it goes on."""
    spine.enter()
    before = _whole(spine)
    spine.clock.move(-10)
    with pytest.raises(ClockBehind, match="clock"):
        spine.enter()
    assert _whole(spine) == before
    spine.clock.move(10)
    assert spine.enter().receipt.index == before


def test_clock_a_little_behind_is_not_followed(spine: Spine) -> None:
    """A clock that is a second behind does not stop the registry, and entries never go back in time."""
    first = spine.enter()
    spine.clock.move(-1)
    second = spine.enter()
    times = [dt.datetime.fromisoformat(a.receipt.entry.split(b"\n")[4].decode()) for a in (first, second)]
    assert times[0] == times[1]


def test_stopped_sequencer_takes_nothing_and_decides_what_it_had(tmp_path: Path) -> None:
    """Stopping decides what was queued before, refuses what comes after."""
    spine = Spine(tmp_path)
    with held(spine):
        queued = [spine.sequencer.submit(spine.command()) for _ in range(5)]
        stopping = threading.Thread(target=spine.sequencer.stop)
        stopping.start()
        while not spine.sequencer._stopping:
            stopping.join(0.001)
        with pytest.raises(Unavailable):
            spine.sequencer.submit(spine.command())
    stopping.join(10)
    assert [q.result(0).receipt.index for q in queued] == sorted(q.result(0).receipt.index for q in queued)
    size = _whole(spine)
    assert size == queued[-1].result(0).receipt.index + 1
    spine.sequencer.stop = lambda: None  # type: ignore[method-assign]  # it has ended
    spine.close()


def test_full_queue_refuses_and_loses_nothing(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was queued before the queue was full is entered; what came after was never taken."""
    monkeypatch.setattr("gateway.sequencer.QUEUE_COMMANDS_MAX", 2)
    with held(spine):
        taken = [spine.sequencer.submit(spine.command()) for _ in range(2)]
        with pytest.raises(Overloaded):
            spine.sequencer.submit(spine.command())
    assert [t.result(10).receipt.index for t in taken] == [_whole(spine) - 2, _whole(spine) - 1]


def test_batches_are_capped_and_keep_the_order(spine: Spine) -> None:
    """More commands than one batch holds are entered in the order in which they came."""
    with held(spine):
        futures = [spine.sequencer.submit(spine.command()) for _ in range(600)]
    indexes = [f.result(30).receipt.index for f in futures]
    assert indexes == list(range(indexes[0], indexes[0] + 600))


@pytest_asyncio.fixture(loop_scope="session")
async def serving(own_folder: Path) -> Any:
    """A gateway that serves its own folder."""
    async with town_of(own_folder) as running:
        yield running


@pytest.mark.asyncio(loop_scope="session")
async def test_second_writer_is_refused(serving: Any) -> None:
    """A second gateway on the same database is refused and named the first; the first goes on."""
    second = Gateway(configured(serving.folder))
    with pytest.raises(SecondWriter, match=str(os.getpid())):
        await second.start()
    _, answer = await serving.booked()
    trust = read_trust(serving.folder / "trust")
    assert answer.receipt is not None
    assert trust.vkeys("jiangyin")
    assert answer.outcome.receipt.origin == ORIGIN


@pytest.mark.asyncio(loop_scope="session")
async def test_another_key_encryption_key_does_not_start(own_folder: Path) -> None:
    """A gateway that is given another key refuses to start, says which file and registry, and holds nothing."""
    kek = own_folder / "keys" / "kek"
    right = kek.read_bytes()
    kek.write_text(base64.b64encode(os.urandom(32)).decode())
    with pytest.raises(ConfigError, match=r"keys/kek: registry jiangyin was created with another"):
        await Gateway(configured(own_folder)).start()
    kek.write_bytes(right)
    async with town_of(own_folder) as running:
        await running.booked()


@pytest.mark.asyncio(loop_scope="session")
async def test_registry_without_a_ledger_does_not_start(own_folder: Path) -> None:
    """A registry that the configuration names and the database does not have is no registry to serve."""
    config = configured(own_folder)
    other = config.registries[0].model_copy(update={"id": "nowhere"})
    with pytest.raises(ConfigError, match="no ledger of registry nowhere"):
        await Gateway(config.model_copy(update={"registries": [*config.registries, other]})).start()
