"""Twelve years later, offline: every certificate has ended, no source answers, and the anchor is in no configuration.

The real command, under a clock that was moved for the whole process (Debian's faketime).
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.pb.diya.v1 import authority_pb2
from tests.integration.test_revocation_sources import QUICK, UNKNOWN, Below, Lists
from tests.support.openssl_ca import needs_openssl
from tests.support.stage import town_of

needs_faketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_openssl, needs_faketime]


async def test_ledger_is_verified_when_everything_has_ended(own_folder: Path, tmp_path: Path) -> None:
    """Each signature is judged by the anchors, lists and answers of then, which the entries hold."""
    lists = Lists()
    async with town_of(own_folder, **QUICK) as town:
        below = Below(town, tmp_path)
        lists.files["anchor.crl"] = below.lister.make_crl("-crldays", "30")
        with lists.serving(), below.responder.serving("-nmin", "60", "-rmd", "sha256"):
            await below.set(town, lists)
            await below.refused(town, UNKNOWN)
            await below.taken(town)
        known = town.gateway.sequencer.settings("jiangyin").trust
        assert known is not None
        others = [der for der in known.now.anchors["INSTITUTION"] if der != below.anchor.der]
        without = authority_pb2.TrustSet(purpose=authority_pb2.TRUST_PURPOSE_INSTITUTION, anchors=others)
        await (await town.operator()).set_trust([without])
    command = (
        *("faketime", "-f", "+12y", sys.executable, "-m", "gateway.cli", "ledger", "verify"),
        *("--config", str(own_folder / "diya.toml"), "--registry", "jiangyin"),
    )
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout.decode() + ran.stderr.decode()
