"""A witness as it runs: over HTTP, with its memory on disk, in threads, and by its commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.witness import state as state_module
from gateway.witness.asking import AskedWitness, WitnessDown
from gateway.witness.settings import WitnessUnusable, create_witness, read_witness
from gateway.witness.state import StateUnusable, WitnessState
from ledger.checkpoint import open_checkpoint
from ledger.cosignature import pick_cosignature, read_cosignature
from ledger.witness import AddCheckpoint, Seen, WitnessRefusal, checkpoint_path, write_request
from tests.support.ledger_database import ORIGIN
from tests.support.watching import Watching, witness
from tests.unit.ledger.test_ledger_witness import LOG, note, request, seen


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return witness(tmp_path / "w", "w.example", [LOG.vkey])


def refused(asked: AskedWitness, made: AddCheckpoint) -> tuple[int, str]:
    """Status and body of a No."""
    with pytest.raises(WitnessRefusal) as caught:
        asked.add_checkpoint(made)
    return caught.value.status, caught.value.body


def test_witness_cosigns_growth_and_refuses_rollback_and_fork(watching: Watching) -> None:
    """From nothing to 5 to 9; then neither back nor aside; and so again after a restart."""
    with watching.serving():
        asked = AskedWitness(watching.url, 5.0)
        for made in (request(0, 5), request(5, 9)):
            line = pick_cosignature(made.note, asked.add_checkpoint(made), watching.vkey)
            assert read_cosignature(made.note + line, watching.vkey)
        asked.close()
    with watching.serving():
        asked = AskedWitness(watching.url, 5.0)
        assert refused(asked, request(0, 5)) == (409, "9")
        assert refused(asked, request(5, 9)) == (409, "9")
        assert refused(asked, AddCheckpoint(9, (), note(9, fork=True)))[0] == 422
        assert refused(asked, AddCheckpoint(9, request(8, 12).proof, note(12)))[0] == 422
        assert refused(asked, AddCheckpoint(9, (), note(5)))[0] == 400
        kept = asked.last_checkpoint(ORIGIN)
        assert kept is not None
        assert open_checkpoint(kept, LOG.vkey).size == 9
        assert read_cosignature(kept, watching.vkey)
        again = AddCheckpoint(9, (), note(9))
        assert pick_cosignature(note(9), asked.add_checkpoint(again), watching.vkey)
        asked.close()


def test_witness_over_http_says_what_the_specification_says(watching: Watching) -> None:
    """Content types and statuses, by a client that is not ours."""

    def post(path: str, body: bytes) -> tuple[int, str, bytes]:
        try:
            with urllib.request.urlopen(f"{watching.url}/{path}", body, timeout=5) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read()

    with watching.serving():
        status, _, body = post("add-checkpoint", write_request(request(0, 5)))
        assert (status, body[:4], body[-1:]) == (200, "\u2014 ".encode(), b"\n")
        conflict = post("add-checkpoint", write_request(request(0, 9)))
        assert conflict == (409, "text/x.tlog.size", b"5\n")
        assert post("add-checkpoint", b"hello")[0] == 400
        assert post("add-checkpoint", b"x" * 300_000)[0] == 413
        assert post("elsewhere", b"")[0] == 404
        with urllib.request.urlopen(f"{watching.url}/{checkpoint_path(ORIGIN)}", timeout=5) as answer:
            assert open_checkpoint(answer.read(), LOG.vkey).size == 5
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{watching.url}/{checkpoint_path('another')}", timeout=5)


def test_of_two_histories_at_once_one_is_cosigned(watching: Watching) -> None:
    """Requests that race from the same old size: the swap lets one through, the others are told the new size."""
    settings = read_witness(watching.folder)
    with watching.serving() as server:
        made = [request(0, 5), AddCheckpoint(0, (), note(5, fork=True))] * 8

        def ask(one: AddCheckpoint) -> int:
            try:
                server.witness.add_checkpoint(write_request(one))
            except WitnessRefusal as refusal:
                return refusal.status
            return 200

        with ThreadPoolExecutor(16) as pool:
            answers = sorted(pool.map(ask, made))
        assert answers == [200] + [409] * 15
        assert settings.state.seen(ORIGIN).size == 5


def test_swap_needs_the_value_that_was_judged(tmp_path: Path) -> None:
    """Compare-and-swap on disk: two objects, as two processes would have them."""
    path = tmp_path / "state.json"
    first = WitnessState.create(path)
    second = WitnessState(path)
    assert first.swap(ORIGIN, Seen(), note(5))
    assert not second.swap(ORIGIN, Seen(), note(4))
    assert second.seen(ORIGIN) == seen(5)
    assert second.swap(ORIGIN, seen(5), note(9))
    assert first.seen(ORIGIN) == seen(9)
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".new")] == []


def test_nothing_is_cosigned_that_could_not_be_kept(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the sync: no cosignature, and what was kept before stands."""

    def fails(_handle: int) -> None:
        raise OSError("no space")

    with watching.serving():
        asked = AskedWitness(watching.url, 5.0)
        assert asked.add_checkpoint(request(0, 5))
        with monkeypatch.context() as patch:
            patch.setattr(state_module.os, "fsync", fails)
            with pytest.raises(WitnessDown, match="500"):
                asked.add_checkpoint(request(5, 9))
        assert refused(asked, request(0, 9)) == (409, "5")
        asked.close()


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": "other", "logs": {}}', '{"logs": 1}'])
def test_lost_memory_is_not_begun_anew(watching: Watching, content: str | None) -> None:
    """A witness that forgot would cosign a second history: it does not start."""
    path = watching.folder / "witness-state.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(StateUnusable, match="witness's memory"):
        read_witness(watching.folder)


def test_asking_tells_a_witness_that_is_down(watching: Watching) -> None:
    """Nobody there; then there again, on a connection that the restart had closed."""
    asked = AskedWitness(watching.url, 5.0)
    with pytest.raises(WitnessDown, match=r"^ConnectionRefusedError ECONNREFUSED$"):
        asked.add_checkpoint(request(0, 5))
    with watching.serving():
        assert asked.add_checkpoint(request(0, 5))
    with watching.serving():
        assert asked.add_checkpoint(request(5, 9))
    asked.close()
    for url in ("ftp://x", "x", "", "http://", "http://x/?a=b"):
        with pytest.raises(ValueError, match="URL"):
            AskedWitness(url, 1.0)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 100\r\n"], ids=["without-length", "length"])
def test_asking_waits_for_no_witness_that_drips(length: bytes) -> None:
    """Byte after byte, each of them in time: the whole answer has one limit."""

    def drip() -> None:
        connection, _ = listening.accept()
        with suppress(OSError), connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
            for _ in range(150):
                threading.Event().wait(0.01)
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        asked = AskedWitness(f"http://127.0.0.1:{listening.getsockname()[1]}", 0.5)
        with pytest.raises(WitnessDown, match=r"within 0.5 s"):
            asked.add_checkpoint(request(0, 5))
        asked.close()
        thread.join()


# -- the commands ------------------------------------------------------------------------------------------------------


def test_init_makes_a_folder_that_serves(tmp_path: Path) -> None:
    """`diya witness init` prints the verifier key; `diya witness serve` answers, and ends on a signal."""
    folder = tmp_path / "w"
    words = ["witness", "init", str(folder), "--name", "witness.bank-a.example", "--listen", "127.0.0.1:0"]
    made = CliRunner().invoke(build_app(), [*words, "--log", LOG.vkey])
    assert made.exit_code == 0, made.output
    vkey = made.stdout.strip()
    assert (folder / "witness-key.pem").stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(build_app(), [*words, "--log", LOG.vkey])
    assert again.exit_code == 2
    assert "holds a witness already" in again.output
    serve = [sys.executable, "-m", "gateway.cli", "witness", "serve", str(folder)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["ready"]["listen"]
        asked = AskedWitness(f"http://127.0.0.1:{port}", 5.0)
        assert pick_cosignature(note(5), asked.add_checkpoint(request(0, 5)), vkey)
        asked.close()
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("name", "logs", "listen", "says"),
    [
        ("a b", [LOG.vkey], "127.0.0.1:0", "name"),
        ("w", [], "127.0.0.1:0", "one log at least"),
        ("w", ["nonsense"], "127.0.0.1:0", "--log: nonsense"),
        ("w", [LOG.vkey], "127.0.0.1", "HOST:PORT"),
        ("w", [LOG.vkey], "127.0.0.1:99999", "HOST:PORT"),
    ],
)
def test_init_refuses_and_leaves_nothing(
    tmp_path: Path, name: str, logs: list[str], listen: str, says: str
) -> None:
    """One line that says what is wrong; no key lies about afterwards."""
    with pytest.raises(WitnessUnusable, match=says):
        create_witness(tmp_path / "w", name, logs, listen)
    assert not (tmp_path / "w").exists()


def test_serve_without_a_witness_is_refused(tmp_path: Path) -> None:
    """The way out is named."""
    result = CliRunner().invoke(build_app(), ["witness", "serve", str(tmp_path)])
    assert result.exit_code == 2
    assert "diya witness init" in result.output.replace("\n", " ")
