"""The demo: what it leaves can be used as its README prints it, and what comes out otherwise than it must is told."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.config import load_config
from gateway.demo import stage
from gateway.demo.cast import sample_seeds
from gateway.demo.readme import CLIENTS, client_settings
from gateway.demo.stage import INSTITUTIONS, MARKER
from gateway.keyring.keys import read_key_encryption_key
from gateway.rpc.replay import Replayed, replay_case
from gateway.storage import tables
from gateway.storage.engine import auditor_engine
from ledger.store import Ledger
from ledger.vault import Vault

PROGRAMS = Path(sys.executable).parent
#: Programs that a command of the README wants and that neither Debian's base system nor `make` brings.
FOREIGN = ("pdfsig", "grpcurl")
SERVE = "diya serve"


def free_port() -> int:
    """The first of four ports that nobody listens on, below those that the system hands out."""
    for base in range(20000 + os.getpid() % 5000, 32000, 4):
        try:
            for port in range(base, base + 4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no four free ports")


async def run(command: str, folder: Path) -> tuple[int, str]:
    """A command as somebody types it into a shell in `folder`; its status and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"},
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


def blocks(readme: str) -> list[str]:
    """The commands of a README, as printed."""
    return re.findall(r"^ *```sh\n(.*?)^ *```$", readme, re.MULTILINE | re.DOTALL)


@asynccontextmanager
async def served(command: str, folder: Path) -> AsyncIterator[None]:
    """`diya serve` as the README prints it, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command.split(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert b"ready" in await process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@pytest.mark.slow
async def test_every_command_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    """One demo, run as a newcomer does, and every command of its README against it, in the README's order."""
    status, printed = await run(f"diya demo --out demo-out --port {free_port()}", tmp_path)
    assert status == 0, printed
    assert len(replayed(tmp_path / "demo-out")) > 12
    commands = blocks((tmp_path / "demo-out" / "README.md").read_text(encoding="utf-8"))
    serving = next(n for n, command in enumerate(commands) if SERVE in command)
    assert serving > 4
    assert len(commands) == 13
    absent = [program for program in FOREIGN if shutil.which(program) is None]
    for command in commands[:serving]:
        await tried(command, tmp_path, absent)
    async with served(commands[serving], tmp_path):
        for command in commands[serving + 1 :]:
            await tried(command, tmp_path, absent)
    if absent:
        pytest.skip(f"all else passed, but these commands were not run, for want of a program: {absent}")


def replayed(folder: Path) -> list[Replayed]:
    """Every decision of the demo, made again from its ledger: all come out the same."""
    config = load_config(folder / "diya.toml")
    ledger = Ledger(Vault(read_key_encryption_key(config.storage.key_encryption_key)))
    engine = auditor_engine(config.storage.database)
    table = tables.application
    try:
        with engine.begin() as connection:
            cases = connection.execute(select(table.c.registry, table.c.application_id)).all()
        found = [one for registry, case in cases for one in replay_case(engine, ledger, registry, case)]
    finally:
        engine.dispose()
    assert [one for one in found if not one.same] == []
    return found


async def tried(block: str, folder: Path, absent: list[str]) -> None:
    """Run a block line by line, as pasted; every command ends well but the one that shows a broken ledger."""
    for command in re.sub(r"\\\n *", "", block).splitlines():
        if command.split()[0] in absent:
            continue
        status, printed = await run(command, folder)
        if "ledger verify --config demo-out-broken" in command:
            assert (status, "BROKEN" in printed) == (1, True), printed
        else:
            assert status == 0, f"{command}\n{printed}"
            assert printed or command.split()[0] in {"export", "rm", "python3"}, command


def test_settings_are_there_for_everyone_and_complete() -> None:
    """Nobody who acts for an institution is told that a setting is missing."""
    assert set(INSTITUTIONS) <= set(CLIENTS)
    for key, registry in CLIENTS.items():
        settings: dict[str, Any] = tomllib.loads(client_settings(key, registry, (1, 2, 3)))
        assert settings["public_target"] == "localhost:2"
        if key in INSTITUTIONS:
            assert settings["channel_institution"] == INSTITUTIONS[key].id_number
            assert settings["clerk"]["name"]


def test_demo_ends_with_1_and_says_which_case_came_out_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no rule may decide, the first case waits for a person: the demo says so and does not go on."""
    seeds = [replace_rules(seed) for seed in sample_seeds()]
    monkeypatch.setattr(stage, "sample_seeds", lambda: seeds)
    result = CliRunner().invoke(build_app(), ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 1, result.output
    assert "mortgage, decided by rule: expected BOOKED, came ACCEPTED" in " ".join(result.output.split())
    assert not (tmp_path / "demo" / "README.md").exists()


def replace_rules(seed: Any) -> Any:
    """A registry where no rule decides anything."""
    return type(seed)(seed.id, replace(seed.profile, instant=()), replace(seed.rules, decides=()))


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_demo_leaves_alone_what_no_demo_made(tmp_path: Path, what: str) -> None:
    """A folder of somebody's own, a file, a link: refused with 2, in both languages, and everything is still there."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "work.txt").write_text("years of it")
    out = precious
    if what == "file":
        out = precious / "work.txt"
    elif what == "link":
        (precious / MARKER).touch()
        out = tmp_path / "link"
        out.symlink_to(precious)
    result = CliRunner().invoke(build_app(), ["demo", "--out", str(out)])
    assert result.exit_code == 2, result.output
    for text in (MARKER, "--out", "不是演示产生的目录"):
        assert text in " ".join(result.output.split())
    assert (precious / "work.txt").read_text() == "years of it"


def test_demo_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    """An empty folder is as good as none; one that a demo made goes as a whole."""
    stage.clear(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    stage.clear(empty)
    (empty / MARKER).touch()
    (empty / "old").mkdir()
    stage.clear(empty)
    assert not empty.exists()
