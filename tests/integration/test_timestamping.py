"""A gateway with a time stamp authority: seals that prove their time, stamped checkpoints, and the authority away."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.app import utc_now
from gateway.certificates.verify import verify_certificate
from gateway.cli.app import build_app
from gateway.cli.entry_view import Existed, entry_json
from gateway.client.ledger import LedgerClient
from gateway.client.trust import read_trust
from gateway.config import ConfigError
from gateway.pb.diya.v1 import (
    authority_pb2,
    certificate_pb2,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
)
from gateway.telemetry import metrics
from signing.authority import Credential
from signing.errors import TimestampInvalid
from signing.pki import DevelopmentPKI
from signing.trust import Purpose, TrustStore
from signing.trust_directory import read_trust as read_signing_trust
from tests.support.played import opened
from tests.support.stage import MovedClock, Town, town_of
from tests.support.stamping import Stamping, own_authority, stamped_by, stamping
from tests.support.wire import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Asked again at once, and checkpoints stamped as they come.
QUICK = {"timestamp_retry_seconds_max": 0.05}
OFTEN = {"checkpoint_interval_seconds": 0.01}


def gauge(name: str, **labels: str) -> float:
    """A sample of this process's metrics."""
    return metrics.collectors.get_sample_value(name, labels) or 0.0


def stamps(result: str, subject: str = "seal") -> float:
    """How many time stamps of jiangyin came to this."""
    return gauge("diya_timestamps_total", registry="jiangyin", subject=subject, result=result)


async def numbered(town: Town) -> str:
    """A certificate that is just numbered; its name."""
    _, answer = await town.booked()
    return str(answer.outcome.certificates[0].name)


def certificates(town: Town) -> Any:
    """CertificateService as bank A calls it."""
    return town.stub(certificate_service_pb2_grpc.CertificateServiceStub, "bank-a")


async def certificate(town: Town, name: str) -> certificate_pb2.Certificate:
    """A certificate as its bank sees it."""
    request = certificate_service_pb2.GetCertificateRequest(name=name)
    return (await certificates(town).GetCertificate(request)).certificate


async def sealed(town: Town, name: str) -> certificate_pb2.Certificate:
    """The certificate, once it is sealed."""
    async with asyncio.timeout(40):
        while (found := await certificate(town, name)).state != certificate_pb2.Certificate.STATE_SEALED:
            await asyncio.sleep(0.02)
    return found


async def downloaded(town: Town, name: str, path: Path) -> bytes:
    """The sealed PDF."""
    await (await town.client("bank-a")).download_certificate(name, path)
    return path.read_bytes()


async def refused_download(town: Town, name: str) -> Any:
    """What a download of a certificate without a seal is told."""

    async def call() -> None:
        request = certificate_service_pb2.DownloadCertificateRequest(name=name)
        async for _ in certificates(town).DownloadCertificate(request):
            pass

    return await town.told(call, {"CERTIFICATE_AWAITS_TIMESTAMP", "CERTIFICATE_NOT_SEALED"})


def verified(folder: Path, pdf: bytes, at: dt.datetime | None = None) -> Any:
    """What a bank's own verification says, with what is published."""
    return verify_certificate(
        pdf,
        trust=read_signing_trust(folder / "trust"),
        vkeys=read_trust(folder / "trust").by_origin(),
        at=at or utc_now(),
    )


def diya(*words: object) -> Any:
    """A command, without a gateway."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), [str(word) for word in words])


def seals_entered(folder: Path) -> int:
    """How many seals the ledger tells of."""
    with opened(folder) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM request WHERE registry = 'jiangyin' AND request_id LIKE 'seal/%'"
        )
        return int(rows.fetchone()[0])


@pytest.fixture
def authority(own_folder: Path) -> Stamping:
    """The authority of the folder's development PKI; it serves where a test says so."""
    return own_authority(own_folder)


# -- seals -------------------------------------------------------------------------------------------------------------


async def test_seal_proves_its_time(own_folder: Path, authority: Stamping, tmp_path: Path) -> None:
    """The seal is B-T: its time is proven, and it holds when the seal's certificate has long ended."""
    stamped_by(own_folder, authority.url)
    with authority.serving():
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            before = stamps("ok")
            name = await numbered(town)
            found = await sealed(town, name)
            assert found.seal_wait == certificate_pb2.Certificate.SEAL_WAIT_UNSPECIFIED
            pdf = await downloaded(town, name, tmp_path / "certificate.pdf")
            assert stamps("ok") == before + 1
    verdict = verified(own_folder, pdf)
    assert verdict.sound, verdict.failed
    assert verdict.proven_at is not None
    assert abs(utc_now() - verdict.proven_at) < dt.timedelta(minutes=5)
    decades = verified(own_folder, pdf, utc_now() + dt.timedelta(days=4000))
    assert decades.sound, decades.failed
    assert decades.proven_at == verdict.proven_at


async def test_registry_without_an_authority_seals_as_before(
    own_folder: Path, authority: Stamping, tmp_path: Path
) -> None:
    """One registry's authority is nothing to another."""
    stamped_by(own_folder, authority.url, "taizhou")
    async with town_of(own_folder, sealing=True, **QUICK) as town:
        name = await numbered(town)
        await sealed(town, name)
        pdf = await downloaded(town, name, tmp_path / "certificate.pdf")
    verdict = verified(own_folder, pdf)
    assert verdict.sound
    assert verdict.proven_at is None


@asynccontextmanager
async def serving_process(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`diya tsa serve` in a process of its own, ready; ended by its id unless the test did."""
    command = [sys.executable, "-m", "gateway.cli", "tsa", "serve", "--listen", f"127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert "ready" in json.loads(await process.stdout.readline())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def test_authority_taken_away_and_back(
    own_folder: Path, authority: Stamping, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Certificates stay NUMBERED meanwhile, told with a reason, once in the log; when it is back all are sealed."""
    stamped_by(own_folder, authority.url, **OFTEN)
    with caplog.at_level(logging.INFO, "gateway.rounds.timestamping"):
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            async with serving_process(own_folder, authority.port) as process:
                await sealed(town, await numbered(town))
                assert seals_entered(own_folder) == 1
                caplog.clear()
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
            names = [await numbered(town) for _ in range(3)]
            for name in names:
                async with asyncio.timeout(20):
                    while not (await certificate(town, name)).seal_wait:
                        await asyncio.sleep(0.02)
                refused = await refused_download(town, name)
                assert refused.reason == "CERTIFICATE_AWAITS_TIMESTAMP"
                assert refused.retry_seconds >= 1
            found = await certificate(town, names[0])
            assert found.state == certificate_pb2.Certificate.STATE_NUMBERED
            assert found.seal_wait == certificate_pb2.Certificate.SEAL_WAIT_TIMESTAMP
            failed = stamps("TIMESTAMP_UNAVAILABLE")
            await until(lambda: stamps("TIMESTAMP_UNAVAILABLE") > failed + 2, 60)
            assert gauge("diya_timestamp_down", registry="jiangyin") == 1
            assert seals_entered(own_folder) == 1
            told = [one.getMessage() for one in caplog.records if one.name == "gateway.rounds.timestamping"]
            assert len(told) == 1, told
            assert "TIMESTAMP_UNAVAILABLE" in told[0]
            async with serving_process(own_folder, authority.port):
                for number, name in enumerate(names):
                    await sealed(town, name)
                    pdf = await downloaded(town, name, tmp_path / f"{number}.pdf")
                    assert verified(own_folder, pdf).proven_at is not None
                await until(
                    lambda: gauge("diya_stamped_entries", registry="jiangyin") == town.ledger_size(), 60
                )
            told = [one.getMessage() for one in caplog.records if one.name == "gateway.rounds.timestamping"]
            assert "answers again" in told[1]
            assert gauge("diya_timestamp_down", registry="jiangyin") == 0
    assert seals_entered(own_folder) == 4


async def test_stamp_that_is_not_required_is_waited_for_as_long_as_the_grace(
    own_folder: Path, authority: Stamping, tmp_path: Path
) -> None:
    """While the grace lasts the seal waits; after it the seal is made without, and counted."""
    stamped_by(own_folder, authority.url, required=False, grace_seconds=120)
    clock = MovedClock()
    unstamped = gauge("diya_certificates_total", step="unstamped")
    async with town_of(own_folder, sealing=True, clock=clock, **QUICK) as town:
        name = await numbered(town)
        failed = stamps("TIMESTAMP_UNAVAILABLE")
        await until(lambda: stamps("TIMESTAMP_UNAVAILABLE") > failed + 2)
        assert (await certificate(town, name)).state == certificate_pb2.Certificate.STATE_NUMBERED
        clock.move(121)
        await sealed(town, name)
        pdf = await downloaded(town, name, tmp_path / "certificate.pdf")
    verdict = verified(own_folder, pdf)
    assert verdict.sound, verdict.failed
    assert verdict.proven_at is None
    assert gauge("diya_certificates_total", step="unstamped") == unstamped + 1


async def test_stamp_of_an_authority_that_nobody_named_is_none(own_folder: Path) -> None:
    """An authority of another PKI answers, and its word is not believed: nothing is sealed under it."""

    stranger = stamping(DevelopmentPKI.create(utc_now()).issue_tsa().signer())
    stamped_by(own_folder, stranger.url)
    with stranger.serving():
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            before = stamps("TIMESTAMP_INVALID")
            name = await numbered(town)
            await until(lambda: stamps("TIMESTAMP_INVALID") > before + 1)
            assert (await certificate(town, name)).state == certificate_pb2.Certificate.STATE_NUMBERED


async def test_authority_with_a_wrong_clock_stamps_nothing(own_folder: Path) -> None:
    """A time that is not now is no proof of now."""

    late = stamping(
        Credential.read(own_folder / "keys", "tsa").signer(), lambda: utc_now() - dt.timedelta(minutes=6)
    )
    stamped_by(own_folder, late.url, **OFTEN)
    with late.serving():
        async with town_of(own_folder, **QUICK) as town:
            before = stamps("TIMESTAMP_INVALID", "checkpoint")
            await numbered(town)
            await until(lambda: stamps("TIMESTAMP_INVALID", "checkpoint") > before + 1)
            assert gauge("diya_stamped_entries", registry="jiangyin") == 0


async def test_killed_while_the_authority_is_asked_seals_once_after_the_restart(
    own_folder: Path, authority: Stamping
) -> None:
    """kill -9 between the seal and its stamp leaves a certificate NUMBERED and nothing else; a restart finishes it."""
    stamped_by(own_folder, authority.url)
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", authority.port))
        silent.listen()
        silent.setblocking(False)
        async with town_of(own_folder) as town:  # numbered by a gateway that does not seal
            name = await numbered(town)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            "serve",
            "--config",
            str(own_folder / "diya.toml"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            connection, _ = await asyncio.get_running_loop().sock_accept(silent)  # it asks for the stamp
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        connection.close()
    assert seals_entered(own_folder) == 0
    with authority.serving():
        async with town_of(own_folder, sealing=True, **QUICK) as town:
            await sealed(town, name)
    assert seals_entered(own_folder) == 1


async def test_url_that_is_none_is_refused_at_the_start(own_folder: Path) -> None:
    """The setting is named."""
    stamped_by(own_folder, "ftp://127.0.0.1/")
    with pytest.raises(ConfigError, match=r"jiangyin\) timestamp\.url"):
        async with town_of(own_folder):
            pass


# -- checkpoints -------------------------------------------------------------------------------------------------------


async def stamped_ledger(folder: Path, authority: Stamping) -> int:
    """A ledger whose newest checkpoint is stamped, its gateway stopped; its size."""
    stamped_by(folder, authority.url, **OFTEN)
    with authority.serving():
        async with town_of(folder, **QUICK) as town:
            await numbered(town)
            await until(lambda: gauge("diya_stamped_entries", registry="jiangyin") == town.ledger_size())
            return town.ledger_size()


async def test_stamped_checkpoints_are_verified_and_exported(
    own_folder: Path, authority: Stamping, tmp_path: Path
) -> None:
    """`diya ledger verify` counts them; the export holds the newest with its stamp, which openssl finds good."""
    await stamped_ledger(own_folder, authority)
    config = own_folder / "diya.toml"
    told = await asyncio.to_thread(diya, "ledger", "verify", "--config", config, "--registry", "jiangyin")
    assert told.exit_code == 0, told.output
    assert "time stamps of checkpoints hold" in told.output.replace("\n", " ")
    told = await asyncio.to_thread(diya, "ledger", "export", tmp_path / "out", "--config", config)
    assert told.exit_code == 0, told.output
    out = tmp_path / "out" / "jiangyin"
    assert (out / "checkpoint.stamped").read_bytes() == (out / "checkpoint").read_bytes()
    assert not (tmp_path / "out" / "taizhou" / "checkpoint.tsr").exists()
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on the path")
    for data, good in (("checkpoint.stamped", True), ("vkey", False)):
        command = [
            *(openssl, "ts", "-verify", "-data", str(out / data), "-in", str(out / "checkpoint.tsr")),
            *("-CAfile", str(own_folder / "trust" / "tsa.pem")),
        ]
        ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, timeout=60)
        assert (ran.returncode == 0) is good, ran.stderr.decode()


@pytest.mark.parametrize("change", ["another checkpoint's", "a byte", "no token"])
async def test_stamp_that_was_changed_is_named(own_folder: Path, authority: Stamping, change: str) -> None:
    """A row whose token is not what it must be is a divergence, with its checkpoint's size."""
    size = await stamped_ledger(own_folder, authority)
    with opened(own_folder) as connection:
        rows = dict(connection.execute("SELECT size, token FROM ledger_stamp WHERE registry = 'jiangyin'"))
        assert size in rows
        if change == "another checkpoint's":
            other = min(
                s for (s,) in connection.execute("SELECT size FROM ledger_checkpoint") if s not in rows
            )
            connection.execute("UPDATE ledger_stamp SET size = ? WHERE size = ?", (other, size))
            size = other
        elif change == "a byte":
            token = bytearray(rows[size])
            token[-1] ^= 1
            connection.execute("UPDATE ledger_stamp SET token = ? WHERE size = ?", (bytes(token), size))
        else:
            connection.execute("UPDATE ledger_stamp SET token = ? WHERE size = ?", (b"\x30\x00", size))
    command = (
        "ledger",
        "verify",
        "--config",
        own_folder / "diya.toml",
        "--registry",
        "jiangyin",
        "--no-views",
    )
    told = await asyncio.to_thread(diya, *command)
    assert told.exit_code == 1
    assert f"ledger_stamp size {size}" in told.output
    assert "STAMP_CHANGED" in told.output


async def test_checkpoints_are_stamped_at_an_interval_or_after_so_many_entries(
    own_folder: Path, authority: Stamping
) -> None:
    """Not each: within the interval only when so many entries have come."""
    stamped_by(own_folder, authority.url, checkpoint_interval_seconds=100_000.0, checkpoint_entries=3)
    with authority.serving():
        async with town_of(own_folder, **QUICK) as town:
            await until(lambda: gauge("diya_stamped_entries", registry="jiangyin") == town.ledger_size())
            first = town.ledger_size()
            for _ in range(3):
                assert gauge("diya_stamped_entries", registry="jiangyin") == first
                await numbered(town)
            await until(lambda: gauge("diya_stamped_entries", registry="jiangyin") >= first + 3)
            with town.gateway._reader.begin() as connection:
                sizes = list(
                    connection.execute(text("SELECT size FROM ledger_stamp ORDER BY size")).scalars()
                )
    assert sizes[0] == first
    assert len(sizes) == 2


async def test_entry_is_proven_to_have_existed_by_the_stamp_that_covers_it(
    own_folder: Path, authority: Stamping
) -> None:
    """Whoever believes the authority learns by when; who does not is told so. Not before there is a stamp."""
    stamped_by(own_folder, authority.url, **OFTEN)
    async with town_of(own_folder, **QUICK) as town:
        ledger = LedgerClient(await town.session("bank-a"))
        entry = await ledger.entry(1)
        believed = read_signing_trust(own_folder / "trust")
        assert await ledger.existed_by(entry, believed, utc_now()) is None
        with authority.serving():
            await numbered(town)
            await until(lambda: gauge("diya_stamped_entries", registry="jiangyin") == town.ledger_size())
        existed = await ledger.existed_by(entry, believed, utc_now())
        assert existed is not None
        stamp, size = existed
        assert entry.entry.time < stamp.time < utc_now() + dt.timedelta(minutes=1)
        assert entry.entry.index < size <= town.ledger_size()
        shown = entry_json(entry, Existed(stamp, size))
        assert shown["existedBy"] == stamp.time.isoformat()
        with pytest.raises(TimestampInvalid, match="CERTIFICATE_UNKNOWN_ISSUER"):
            await ledger.existed_by(entry, TrustStore({}), utc_now())
        stub = town.stub(ledger_service_pb2_grpc.LedgerServiceStub, "bank-a")
        both = ledger_service_pb2.GetCheckpointRequest(
            parent="registries/jiangyin", stamped=True, cosigned=True
        )
        await town.told(lambda: stub.GetCheckpoint(both), "FIELD_INVALID")


async def test_stamp_of_no_checkpoint_is_taken_away_by_a_rebuild(
    own_folder: Path, authority: Stamping
) -> None:
    """A row that lost its checkpoint is named, and stands in the way of nothing."""
    size = await stamped_ledger(own_folder, authority)
    with opened(own_folder) as connection:
        connection.execute("UPDATE ledger_stamp SET size = 100000 WHERE size = ?", (size,))
    config = own_folder / "diya.toml"
    told = await asyncio.to_thread(diya, "ledger", "verify", "--config", config, "--no-views")
    assert told.exit_code == 1
    assert "ledger_stamp size 100000" in told.output
    told = await asyncio.to_thread(diya, "ledger", "rebuild", "--config", config)
    assert told.exit_code == 0, told.output
    told = await asyncio.to_thread(diya, "ledger", "verify", "--config", config, "--no-views")
    assert told.exit_code == 0, told.output


async def test_stamp_of_an_authority_that_is_believed_no_more_holds_as_of_its_time(
    own_folder: Path, authority: Stamping
) -> None:
    """Another anchor takes its place: what it stamped before stays proven, what it says later is not believed."""
    stamped_by(own_folder, authority.url, **OFTEN)
    other = DevelopmentPKI.create(utc_now()).anchors[Purpose.TSA].der
    with authority.serving():
        async with town_of(own_folder, **QUICK) as town:
            await numbered(town)
            await until(lambda: gauge("diya_stamped_entries", registry="jiangyin") == town.ledger_size())
            size = town.ledger_size()
            trust = authority_pb2.TrustSet(purpose=authority_pb2.TRUST_PURPOSE_TSA, anchors=[other])
            await (await town.operator()).set_trust([trust])
            before = stamps("TIMESTAMP_INVALID", "checkpoint")
            await until(lambda: stamps("TIMESTAMP_INVALID", "checkpoint") > before)
            assert gauge("diya_stamped_entries", registry="jiangyin") == size
    command = (
        "ledger",
        "verify",
        "--config",
        own_folder / "diya.toml",
        "--registry",
        "jiangyin",
        "--no-views",
    )
    told = await asyncio.to_thread(diya, *command)
    assert told.exit_code == 0, told.output
    assert "time stamps of checkpoints hold" in told.output.replace("\n", " ")
