"""A token whose module hangs or crashes when told to: SoftHSM2 behind a module of ours (`shim_module.c`)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signing import tokens as asked
from tests.support.tokens import MODULE, Tokens

_COMPILER = shutil.which("gcc") or shutil.which("cc")

needs_compiler = pytest.mark.skipif(
    _COMPILER is None, reason="needs a C compiler: apt-get install gcc libc6-dev"
)

#: What a call may take: long enough for a busy machine, for whoever is too slow is taken for one that hangs.
LIMIT = 2


@dataclass
class Trouble:
    """What the module does at the next signature."""

    tokens: Tokens
    module: Path
    path: Path

    def setting(self, name: str, seconds: float = LIMIT) -> str:
        """The setting that names an object of the token, through our module."""
        plain = self.tokens.setting(name).replace(str(MODULE), str(self.module))
        return f"{plain}&timeout-seconds={seconds:g}"

    def hang(self) -> None:
        """Never return from a signature."""
        self.path.write_text("hang")

    def crash(self) -> None:
        """Segmentation fault."""
        self.path.write_text("crash")

    def end(self) -> None:
        """Sign again; what hangs goes on hanging."""
        self.path.unlink()


def process_of_token() -> int:
    """The id of the one token's process."""
    pid = process_of_next_try()
    assert pid is not None
    return pid


def process_of_next_try() -> int | None:
    """The same; None between one that was given up and the next."""
    [token] = asked._tokens.values()
    return token._process.pid if token._process is not None else None


@pytest.fixture(scope="session")
def shim_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our module, compiled."""
    path = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim_module.c")
    assert _COMPILER is not None
    subprocess.run([_COMPILER, "-shared", "-fPIC", "-o", str(path), str(source), "-ldl"], check=True)
    return path


@pytest.fixture
def trouble(tokens: Tokens, shim_module: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """The token behind our module, in good order until a test says otherwise; tries come fast on each other."""
    made = Trouble(tokens, shim_module, tokens.folder / "trouble")
    monkeypatch.setenv("SHIM_MODULE", str(MODULE))
    monkeypatch.setenv("SHIM_TROUBLE", str(made.path))
    monkeypatch.setattr(asked, "RETRY_SECONDS", (0.01, 0.1))
    yield made
    if made.path.exists():
        made.end()


def kill_process_of_token() -> int:
    """Kill it while it is asked nothing; its id."""
    pid = process_of_token()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def is_gone(pid: int) -> bool:
    """Whether a process has ended and was reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
