"""A certificate that the gateway sealed, looked at by poppler's `pdfsig`: seal valid, over the whole document."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.app import utc_now
from gateway.certificates.verify import verify_certificate
from gateway.client.trust import read_trust
from signing.trust_directory import read_trust as read_signing_trust
from tests.support.stage import town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PDFSIG = shutil.which("pdfsig")


async def _certificate(folder: Path, path: Path) -> None:
    """Book a mortgage, wait for its certificate's seal, download it to `path`."""
    async with town_of(folder, sealing=True) as town:
        _, answer = await town.booked()
        name = answer.outcome.certificates[0].name
        client = await town.client("bank-a")
        async with asyncio.timeout(60):
            async for event in client.watch_events():
                if event.certificate == name:
                    break
        await client.download_certificate(name, path)


async def _pdfsig(path: Path) -> str:
    """What pdfsig says; it never connects anywhere."""
    assert PDFSIG is not None
    ran = await asyncio.to_thread(
        subprocess.run,
        [PDFSIG, "-nocert", str(path)],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    return str(ran.stdout)


@pytest.mark.skipif(PDFSIG is None, reason="no pdfsig on the path: install poppler-utils")
async def test_pdfsig_accepts_a_sealed_certificate_and_no_changed_one(
    own_folder: Path, tmp_path: Path
) -> None:
    """The PDF that a bank downloads is sealed and whole for a program that is not ours; one changed byte voids it."""
    path = tmp_path / "certificate.pdf"
    await _certificate(own_folder, path)
    told = await _pdfsig(path)
    assert told.count("Signature is Valid.") == 1, told
    assert "ETSI.CAdES.detached" in told
    assert "Total document signed" in told
    verdict = verify_certificate(
        path.read_bytes(),
        trust=read_signing_trust(own_folder / "trust"),
        vkeys=read_trust(own_folder / "trust").by_origin(),
        at=utc_now(),
    )
    assert verdict.sound
    data = bytearray(path.read_bytes())
    data[data.index(b"stream") + 20] ^= 0x01
    path.write_bytes(bytes(data))
    assert "Signature is Valid." not in await _pdfsig(path)
