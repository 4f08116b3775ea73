"""A full disk under a running gateway: nothing half-done stays, answers say what to do, and with room all goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.certificates.verify import verify_certificate
from gateway.client.trust import read_trust
from gateway.pb.diya.v1 import outcome_pb2
from gateway.telemetry import metrics
from signing.trust_directory import read_trust as read_signing_trust
from tests.support.founding import copy_of
from tests.support.pdf_files import make_pdf, stream
from tests.support.stage import Town, town_of
from tests.support.wire import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

DISK_BYTES = 24 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a file system of its own takes root: run as root to test a full disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> Path:
    """Take all room but `left` bytes."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    filler.write_bytes(bytes(max(free.f_bavail * free.f_frsize - left, 0)))
    return filler


def incoming(town: Town) -> list[str]:
    """What lies half-received."""
    return [one.name for one in (town.gateway.config.storage.files / "incoming").iterdir()]


def failures() -> float:
    """How many certificates could not be sealed."""
    return metrics.collectors.get_sample_value("diya_certificates_total", {"step": "failed"}) or 0.0


async def sealed(town: Town) -> str:
    """The certificate of bank A that is sealed first."""
    async with asyncio.timeout(60):
        async for event in (await town.client("bank-a")).watch_events(0):
            if event.kind == outcome_pb2.EVENT_KIND_SEALED:
                return event.certificate
    raise AssertionError("no certificate was sealed")


async def test_upload_and_act_without_room_are_refused_and_leave_nothing(
    small_disk: Path, founded: Path
) -> None:
    """Both say what to do; when there is room the same bytes are taken."""
    async with town_of(copy_of(founded, small_disk / "town")) as town:
        filing = await town.mortgage().sign().upload()
        before = town.ledger_size()
        filler = fill(small_disk, left=20_000)
        large = make_pdf(objects={10: stream(os.urandom(900_000))})
        refused = await town.told(lambda: town.upload(large), "STORAGE_FULL", "UNAVAILABLE")
        assert refused.retry_seconds
        assert incoming(town) == []
        filler.unlink()
        filler = fill(small_disk)
        submit = town.registration("bank-a").SubmitMortgage
        await town.told(lambda: submit(filing.request()), "STORAGE_FULL", "UNAVAILABLE")
        assert town.ledger_size() == before
        filler.unlink()
        assert (await town.upload(large)).verdict.ok
        answer = await submit(filing.request())
        assert answer.outcome.result == outcome_pb2.OUTCOME_RESULT_BOOKED
        assert town.ledger_size() > before


async def test_certificate_that_finds_no_room_waits_and_is_sealed_once(
    small_disk: Path, founded: Path, tmp_path: Path
) -> None:
    """Booked before; the seal is tried again until its file can be kept whole."""
    folder = copy_of(founded, small_disk / "town")
    async with town_of(folder) as town:
        await town.booked()
        before = town.footprint()["files"]
    filler = fill(small_disk, left=60_000)  # a part of the sealed file
    failed = failures()
    async with town_of(folder, sealing=True) as town:
        await until(lambda: failures() > failed)
        assert town.footprint()["files"] == before
        filler.unlink()
        name = await sealed(town)
        await (await town.client("bank-a")).download_certificate(name, tmp_path / "sealed.pdf")
        found = verify_certificate(
            (tmp_path / "sealed.pdf").read_bytes(),
            trust=read_signing_trust(folder / "trust"),
            vkeys=read_trust(folder / "trust").by_origin(),
            at=town.clock(),
        )
        assert found.sound, [one for one in found.checks if one.code]
        assert len(town.footprint()["files"]) == len(before) + 1
