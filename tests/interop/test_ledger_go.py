"""Verifiers that others wrote check our ledger: Tessera's fsck and torchwood's client, over files and over HTTP.

The program in `go/` only calls them. Its modules are pinned by go.sum; without Go, or where they cannot be had, the
tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gateway.client.proof_file import save_proof
from gateway.http.tiles import TileServer
from ledger.export import export_ledger
from tests.support.go import built
from tests.support.ledger_database import REGISTRY, TestLedger, make_signer

FOLDER = Path(__file__).parent / "go"
SIZE = 70_000
"""Three levels: 273 full tiles and a partial one, a full and a partial one, and one above (the standard's example)."""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built."""
    return built(FOLDER, tmp_path_factory.mktemp("go"))


@pytest.fixture
def opened(tmp_path: Path) -> TestLedger:
    return TestLedger(tmp_path / "ledger.db")


def grown(opened: TestLedger, size: int) -> None:
    """Append and publish in steps."""
    while opened.count < size:
        opened.append(min(5_000, size - opened.count))
    opened.publish()


def verify(program: Path, *arguments: str) -> tuple[int, str]:
    """Exit status, and what it printed."""
    ran = subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "NO_PROXY": "*"},
    )
    return ran.returncode, (ran.stdout + ran.stderr).decode()


def exported(opened: TestLedger, folder: Path) -> Path:
    with opened.engine.connect() as conn:
        export_ledger(conn, REGISTRY, opened.vkey, folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_others_check_an_export_and_the_served_ledger(
    opened: TestLedger, program: Path, tmp_path: Path
) -> None:
    """Of 70,000 entries, and again when it has grown; each finds a flipped bit."""
    folder = tmp_path / "out"
    server = TileServer("127.0.0.1:0", f"sqlite:///{tmp_path / 'ledger.db'}", [REGISTRY])
    server.start()
    try:
        for size in (300, SIZE):
            grown(opened, size)
            for where in (str(exported(opened, folder)), f"http://127.0.0.1:{server.port}/{REGISTRY}/"):
                status, said = verify(program, "log", opened.vkey, where)
                assert status == 0, said
                assert "tessera: whole" in said
                assert f"torchwood: {size} of {size}" in said
    finally:
        server.stop()
    tile = folder / "tile/entries/123"
    tile.write_bytes(tile.read_bytes()[:-1] + b"X")
    status, said = verify(program, "log", opened.vkey, str(folder))
    assert status == 1, said
    assert verify(program, "log", make_signer("ledger.example/other").vkey, str(folder))[0] == 1


@pytest.mark.timeout(600)
def test_others_check_a_proof_file(opened: TestLedger, program: Path, tmp_path: Path) -> None:
    """First, last and in between; not under another key, and not for another entry."""
    grown(opened, 700)
    paths: list[str] = []
    with opened.engine.begin() as conn:
        signed = opened.publisher.latest(conn, REGISTRY)
        assert signed is not None
        entries = [opened.ledger.read_entry(conn, REGISTRY, index).data for index in (0, 1, 255, 256, 699)]
        for index, entry in zip((0, 1, 255, 256, 699), entries, strict=True):
            path = tmp_path / f"{index}.tlog-proof"
            proof = opened.publisher.prove_inclusion(conn, REGISTRY, index, signed.size)
            save_proof(path, entry, index, proof, signed.note)
            paths.append(str(path))
        save_proof(tmp_path / "wrong", entries[1], 0, proof, signed.note)
    status, said = verify(program, "proof", opened.vkey, *paths)
    assert (status, said.count("proof holds")) == (0, 5), said
    assert verify(program, "proof", make_signer(seed=9).vkey, *paths)[0] == 1
    assert verify(program, "proof", opened.vkey, str(tmp_path / "wrong"))[0] == 1
