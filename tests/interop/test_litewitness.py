"""Our ledger before a witness that we did not write: torchwood's litewitness, a Go program.

Built by Go's own client; skipped, with the reason, where Go, the module or an ssh-agent is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.witness.asking import AskedWitness, conflicting_size
from ledger.cosignature import Cosigner, pick_cosignature
from ledger.policy import parse_policy
from ledger.witness import AddCheckpoint, WitnessRefusal
from tests.integration.test_witnessing import QUICK, act, checkpoint, cosigned, vkey_of
from tests.support.ledger_database import ORIGIN
from tests.support.stage import town_of
from tests.support.watching import Watching, watched_by
from tests.unit.ledger.test_ledger_witness import LOG, note, request

MODULE = "filippo.io/torchwood/cmd/litewitness@v0.6.1"
NAME = "litewitness.example/w"


def _tool(name: str, *elsewhere: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *elsewhere]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def litewitness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built."""
    go = _tool("go", "/usr/local/go/bin")
    folder = tmp_path_factory.mktemp("litewitness")
    built = subprocess.run(
        [go, "install", MODULE],
        env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-p=2"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"go install {MODULE}: {built.stderr.strip().splitlines()[-1]}")
    return folder / "litewitness"


@dataclass
class Running:
    """A litewitness that serves, and the database that its operator adds logs to."""

    watching: Watching
    database: Path

    def add_log(self, vkey: str) -> None:
        """What `witnessctl add-log` and `add-key` do; that program needs modules that are not to be had everywhere."""
        origin = vkey.split("+", 1)[0]
        empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        with closing(sqlite3.connect(self.database, timeout=5)) as connection, connection:
            connection.execute(
                "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", (origin, empty)
            )
            connection.execute("INSERT INTO key (origin, key) VALUES (?, ?)", (origin, vkey))


@pytest.fixture
def running(litewitness: Path, tmp_path: Path) -> Iterator[Running]:
    agent, add = _tool("ssh-agent"), _tool("ssh-add")
    key = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    sock = tmp_path / "a"
    if len(str(sock)) > 100:
        pytest.skip(f"{sock} is too long for a socket")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = tmp_path / "litewitness.db"
    digest = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()
    with subprocess.Popen([agent, "-D", "-a", str(sock)], stdout=subprocess.PIPE, text=True) as agency:
        try:
            assert agency.stdout is not None
            agency.stdout.readline()  # it listens
            subprocess.run(
                [add, str(path)],
                env={**os.environ, "SSH_AUTH_SOCK": str(sock)},
                check=True,
                capture_output=True,
            )
            words = ["-name", NAME, "-db", str(database), "-ssh-agent", str(sock), "-key", digest]
            with subprocess.Popen(
                [litewitness, *words, "-listen", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True
            ) as process:
                try:
                    yield Running(_ready(process, port, tmp_path), database)
                finally:
                    process.terminate()
                    assert process.stderr is not None
                    process.stderr.read()
        finally:
            agency.terminate()


def _ready(process: subprocess.Popen[str], port: int, folder: Path) -> Watching:
    """Wait until it listens; its verifier key as it tells it, which is as we compute it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "msg=listening" in line:
            break
    else:
        pytest.fail(said)
    vkey = Cosigner(NAME, Ed25519PrivateKey.from_private_bytes(b"l" * 32)).vkey
    assert vkey in said
    until = time.monotonic() + 20
    while time.monotonic() < until:  # it says so a moment before it does
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Watching(folder, NAME, vkey, port)
    pytest.fail("it does not listen")


def test_litewitness_takes_our_requests_and_we_its_answers(running: Running) -> None:
    """Growth is cosigned; a wrong old size is told; a fork, a rollback and a strange log are refused."""
    running.add_log(LOG.vkey)
    asked = AskedWitness(running.watching.url, 5.0)
    for made in (request(0, 5), request(5, 9), request(9, 300)):
        assert pick_cosignature(made.note, asked.add_checkpoint(made), running.watching.vkey)
    for made, status in (
        (request(5, 9), 409),
        (AddCheckpoint(300, (), note(300, fork=True)), 422),
        (AddCheckpoint(300, (), note(9)), 400),
        (AddCheckpoint(0, (), note(5).replace(ORIGIN.encode(), b"elsewhere")), 403),
    ):
        with pytest.raises(WitnessRefusal) as caught:
            asked.add_checkpoint(made)
        assert caught.value.status == status
        if status == 409:
            assert conflicting_size(caught.value) == 300
    asked.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_litewitness_watches_a_running_gateway(running: Running, own_folder: Path) -> None:
    """Its cosignature is on what the gateway hands out, under a policy that it alone fulfils."""
    running.add_log(vkey_of(own_folder))
    policy = parse_policy(watched_by(own_folder, [running.watching]).read_bytes())
    async with town_of(own_folder, **QUICK) as town:
        for _ in range(2):
            answer = await act(town)
            await cosigned(town)
            receipt = await (await town.client("bank-a")).get_receipt(answer.envelope)
            assert policy.check(receipt.note).size == town.ledger_size()
            policy.check((await checkpoint(town, cosigned=True)).note)
