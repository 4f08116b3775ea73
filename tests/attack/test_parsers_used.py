"""Which parsers read what strangers send: those chosen for it, and no pyasn1, whose decoder is slow and lax."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stage import Town

ROOT = Path(__file__).parents[2]
PARSER = "pyasn1"


@pytest.mark.asyncio(loop_scope="session")
async def test_gateway_that_served_everything_has_not_loaded_pyasn1(town: Town) -> None:
    """After an upload, a submission, a booking and its certificate every module of the request path is loaded."""
    await town.booked()
    loaded = set(sys.modules)
    assert {"gateway.rpc.submission", "signing.chains", "gateway.certificates"} <= loaded
    assert not {name for name in loaded if name.split(".")[0].startswith(PARSER)}


def test_checking_process_has_not_loaded_pyasn1() -> None:
    """Nor has the process that reads files, which starts by checking one."""
    code = "import sys; from signing import check_worker; check_worker.main(); sys.stderr.write(' '.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded = ended.stderr.split()
    assert {"pyhanko.pdf_utils.reader", "signing.chains"} <= set(loaded)
    assert not [name for name in loaded if name.startswith(PARSER)]


def test_pyasn1_is_not_among_the_locked_requirements() -> None:
    """What is not installed cannot be imported by a dependency either."""
    names = [line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()]
    assert "asn1crypto" in names
    assert not [name for name in names if name.startswith(PARSER)]
