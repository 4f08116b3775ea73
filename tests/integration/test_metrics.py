"""The metrics endpoint of a running gateway after real traffic: metrics move, ages grow, no label tells a secret."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.client.review import ReviewClient
from gateway.demo.stage import INSTITUTIONS, REGISTRAR_KEY
from gateway.pb.diya.v1 import finding_pb2, registration_service_pb2
from gateway.telemetry import metrics
from tests.support.filing import Filing
from tests.support.signed_papers import paper
from tests.support.stage import Town, town_of
from tests.support.wire import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


#: What a label may look like: names of methods and codes, entry kinds, registries, bounds of buckets.
LABEL = re.compile(
    r"[A-Za-z]+(/[A-Za-z]+)?|[A-Z][A-Z0-9]*([-_][A-Z0-9]+)*|[a-z]+([._][a-z]+)*|[0-9.e+-]+|\+Inf"
    r"|ledger-key\.(rotated|retired)"
)


class Scrape(dict[str, float]):
    """One answer of the endpoint: samples by name and labels, as `name{label=value,…}`."""

    families: list[Metric]

    def of(self, name: str, **labels: str) -> float:
        """A sample, 0 where there is none yet."""
        return self.get(_key(name, labels), 0.0)


def _key(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f"{k}={v}" for k, v in sorted(labels.items())) + "}"


async def scrape(town: Town, *, settled: bool = True) -> Scrape:
    """What Prometheus would get now; `settled`: when all parts of the gateway know what was answered."""
    if settled:
        await asyncio.wrap_future(town.gateway.sequencer.run(lambda connection: None))

    def get() -> str:
        url = f"http://127.0.0.1:{town.gateway.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    families = list(text_string_to_metric_families(await asyncio.to_thread(get)))
    found = Scrape({_key(s.name, s.labels): s.value for family in families for s in family.samples})
    found.families = families
    return found


async def _refused_submission(filing: Filing, *, by: str) -> None:
    """An envelope by a key that does not hold."""
    envelope = filing.envelope(by=filing.town.key("bank-a", by))
    with pytest.raises(grpc.aio.AioRpcError):
        await filing.send(filing.request(envelope))


async def _watch_and_leave(town: Town) -> None:
    """A watcher reads one event and hangs up."""
    request = registration_service_pb2.WatchEventsRequest(parent="registries/jiangyin")
    call = town.registration("bank-a").WatchEvents(request)
    await call.read()
    labels = {"method": "RegistrationService/WatchEvents", "code": "CANCELLED"}

    def ended() -> float:
        return metrics.collectors.get_sample_value("diya_rpc_total", labels) or 0

    before = ended()
    call.cancel()
    await until(lambda: ended() > before)


async def _registrar(town: Town) -> ReviewClient:
    """The registrar's client, by the town's clock."""
    session = await town.session(REGISTRAR_KEY, "taizhou")
    session.clock = town.clock
    return ReviewClient(session, town.stage.signer(REGISTRAR_KEY).signer())


async def _traffic(town: Town) -> Filing:
    """A bank's day: booked, rehearsed, refused, not accepted; a bad paper; a watcher; and a write that fails."""
    filing, _ = await town.booked()
    rehearsed = await town.mortgage().sign().upload()
    await rehearsed.submit(validate_only=True)
    await _refused_submission(rehearsed, by="revoked")
    bare = town.mortgage()
    assert (await bare.submit()).result == "NOT_ACCEPTED"
    await town.upload(paper("bad", town.key("bank-a", "revoked")))
    await town.upload(b"no PDF at all")
    await _watch_and_leave(town)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wrap_future(town.gateway.sequencer.run(lambda connection: 1 / 0))
    return filing


async def test_every_metric_moves_with_real_traffic(own_folder: Path) -> None:
    """Rate, latency, errors by reason; outcomes and findings by kind; batches; signatures; ledger; certificates."""
    async with town_of(own_folder) as town:
        before = await scrape(town)
        filing = await _traffic(town)
        _, waiting = await town.in_review()
        after = await scrape(town)

        def moved(name: str, **labels: str) -> float:
            return after.of(name, **labels) - before.of(name, **labels)

        submit = "RegistrationService/SubmitMortgage"
        assert moved("diya_rpc_total", method=submit, code="OK") == 4
        assert moved("diya_rpc_seconds_count", method=submit) == 5
        assert moved("diya_rpc_seconds_sum", method=submit) > 0
        assert moved("diya_rpc_refused_total", method=submit, reason="CERTIFICATE_REVOKED") == 1
        assert moved("diya_rpc_total", method="RegistrationService/WatchEvents", code="CANCELLED") == 1
        for act, result in (
            ("application.submitted", "BOOKED"),
            ("application.submitted", "NOT_ACCEPTED"),
            ("application.submitted", "ACCEPTED"),
            ("rehearsal", "VALID"),
        ):
            assert moved("diya_outcomes_total", kind="MORTGAGE", act=act, result=result) == 1, (act, result)
        assert moved("diya_findings_total", kind="MORTGAGE", code="N-INCOMPLETE") > 0
        assert moved("diya_batch_commands_count") == moved("diya_commit_seconds_count") > 0
        assert moved("diya_commit_seconds_sum") > 0
        assert moved("diya_commit_failed_total") == 1
        assert moved("diya_signatures_total", subject="envelope", result="ok") >= 4
        assert moved("diya_signatures_total", subject="envelope", result="CERTIFICATE_REVOKED") == 1
        assert moved("diya_signatures_total", subject="file", result="ok") > 0
        assert moved("diya_signatures_total", subject="file", result="CERTIFICATE_REVOKED") == 1
        assert moved("diya_files_checked_total", result="ok") > 0
        assert moved("diya_files_checked_total", result="FILE_NOT_PDF") == 1
        assert moved("diya_upload_bytes_total") > 0
        assert moved("diya_ledger_entries", registry="jiangyin") == 2
        assert after.of("diya_ledger_entries", registry="jiangyin") == town.ledger_size()
        assert moved("diya_checkpoint_entries", registry="jiangyin") == 2
        assert moved("diya_certificates_total", step="numbered") == 1
        assert moved("diya_certificates_unsealed", registry="jiangyin") == 1
        assert moved("diya_review_queue_cases", registry="taizhou") == 1
        assert all(family.documentation for family in after.families)
        names = {family.name for family in after.families}
        assert {name for name in names if not name.endswith("_created")} == _documented()
        _assert_labels_tell_nothing(after, filing, waiting.outcome.application)


def _documented() -> set[str]:
    """Names of the table in docs/metrics.md, as the parser gives them."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    return {name.removesuffix("_total") for name in re.findall(r"^\| `(diya_\w+)` \|", text, re.MULTILINE)}


def _assert_labels_tell_nothing(found: Scrape, filing: Filing, application: str) -> None:
    """Every label value is of a closed set, and nothing of the case is in the whole answer.

    A witness is told by its key id, an anchor by the digest of its certificate.
    """
    labels = {label for family in found.families for s in family.samples for label in s.labels.items()}
    values = {value for name, value in labels if name not in {"witness", "anchor"}}
    assert all(re.fullmatch("[0-9a-f]{16}", value) for name, value in labels if name == "anchor")
    assert [value for value in sorted(values) if not LABEL.fullmatch(value)] == []
    witnesses = {value for name, value in labels if name == "witness"}
    assert [value for value in sorted(witnesses) if not re.fullmatch("[0-9a-f]{8}", value)] == []
    told = " ".join(found)
    secrets = [
        filing.unit.unit_code,
        filing.request_id,
        application.rpartition("/")[2],
        INSTITUTIONS["bank-a"].id_number,
        *(secret for owner in filing.owners for secret in (owner.name, owner.id_number)),
    ]
    assert [secret for secret in secrets if secret in told] == []


async def test_review_queue_counts_cases_and_ages_until_a_person_decides(own_folder: Path) -> None:
    """Two cases wait; the oldest grows old by the clock, survives a restart, and a decision ends its waiting."""

    def queue(found: Scrape) -> tuple[float, float]:
        return (
            found.of("diya_review_queue_cases", registry="taizhou"),
            found.of("diya_review_queue_oldest_seconds", registry="taizhou"),
        )

    async with town_of(own_folder) as town:
        assert queue(await scrape(town)) == (0, 0)
        _, first = await town.in_review()
        town.clock.move(3600)
        await town.in_review()
        cases, age = queue(await scrape(town))
        assert cases == 2
        assert 3600 <= age < 3700
        clock = town.clock
    async with town_of(own_folder, clock=clock) as town:
        cases, age = queue(await scrape(town))
        assert cases == 2
        assert 3600 <= age < 3700
        review, name = await _registrar(town), first.outcome.application
        await review.claim(await review.open(name))
        before = await scrape(town)
        assert queue(before)[0] == 2, "a claimed case still waits for its registrar"
        secret = finding_pb2.Finding(
            code="X-张三", rule="R-CONFLICT", article="IR 22", zh="不一致", en="differs"
        )
        assert (
            await review.refuse(await review.open(name), [secret], opinion="不予登记")
        ).result == "REFUSED"
        after = await scrape(town)
        cases, age = queue(after)
        assert cases == 1
        assert age < 100
        labels = {"kind": "MORTGAGE", "act": "review.refuse", "result": "REFUSED"}
        assert after.of("diya_outcomes_total", **labels) - before.of("diya_outcomes_total", **labels) == 1
        other = {"kind": "MORTGAGE", "code": "OTHER"}  # a registrar's own code is no label
        assert after.of("diya_findings_total", **other) - before.of("diya_findings_total", **other) == 1
        assert not any("张三" in key for key in after)


async def test_sequencer_queue_shows_what_waits_behind_a_slow_disk(own_folder: Path) -> None:
    """While one write is held up, it and the one behind it are in the queue and grow old; then it is empty."""
    async with town_of(own_folder) as town:
        begun, held = threading.Event(), threading.Event()

        def slow(connection: Any) -> None:
            begun.set()
            held.wait(30)

        done = [asyncio.wrap_future(town.gateway.sequencer.run(slow))]
        await asyncio.to_thread(begun.wait, 10)
        done.append(asyncio.wrap_future(town.gateway.sequencer.run(lambda connection: None)))
        try:
            first = await scrape(town, settled=False)
            second = await scrape(town, settled=False)
        finally:
            held.set()
        assert first.of("diya_sequencer_queue_commands") == 2
        ages = [found.of("diya_sequencer_queue_oldest_seconds") for found in (first, second)]
        assert 0 < ages[0] < ages[1]
        await asyncio.gather(*done)
        await until(lambda: town.gateway.sequencer.waiting() == (0, 0.0))
        assert (await scrape(town, settled=False)).of("diya_sequencer_queue_commands") == 0


async def test_checkpoint_age_and_unsealed_certificates_are_known_after_a_restart(own_folder: Path) -> None:
    """A certificate that no seal reached is counted from the start, until its seal is logged."""

    async def reaches(town: Town, holds: Callable[[Scrape], bool]) -> Scrape:
        async with asyncio.timeout(60):
            while not holds(found := await scrape(town)):
                pass
        return found

    jiangyin = {"registry": "jiangyin"}
    async with town_of(own_folder) as town:
        await town.booked()
        size = town.ledger_size()
        assert (await scrape(town)).of("diya_certificates_unsealed", **jiangyin) == 1
    async with town_of(own_folder) as town:
        found = await scrape(town)
        assert found.of("diya_certificates_unsealed", **jiangyin) == 1
        assert found.of("diya_checkpoint_entries", **jiangyin) == size
        assert found.of("diya_ledger_entries", **jiangyin) == size
        assert 0 < found.of("diya_checkpoint_age_seconds", **jiangyin) < 600
    sealed = found.of("diya_certificates_total", step="sealed")
    async with town_of(own_folder, sealing=True) as town:
        found = await reaches(town, lambda s: s.of("diya_certificates_unsealed", **jiangyin) == 0)
        assert found.of("diya_certificates_total", step="sealed") == sealed + 1
