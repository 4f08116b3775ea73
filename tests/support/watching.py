"""Witnesses for tests: real ones, on free ports of this machine, and a gateway's folder that is watched by them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.witness.server import WitnessServer
from gateway.witness.settings import create_witness, read_witness
from tests.support.serving import served

_seconds = itertools.count(1_700_000_000)


@dataclass
class Watching:
    """A witness in its folder; `serving` runs it, again and again on the same port."""

    folder: Path
    name: str
    vkey: str
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[WitnessServer]:
        """Serve until the block ends."""
        _listen_on(self.folder, self.port)
        server = WitnessServer(read_witness(self.folder), lambda: float(next(_seconds)))
        self.port = server.server_port
        with served(server):
            yield server


def witness(folder: Path, name: str, logs: Sequence[str]) -> Watching:
    """A new witness. Its port is a free one, fixed from now on."""
    made = create_witness(folder, name, logs, "127.0.0.1:0")
    found = Watching(folder, name, made.vkey)
    with found.serving():
        return found


def watched_by(
    folder: Path,
    witnesses: Sequence[Watching],
    quorum: str = "all",
    *,
    stop_seconds: float | None = None,
    urls: Sequence[str] = (),
) -> Path:
    """Let witnesses watch the registry jiangyin of a gateway's folder; its policy file."""
    vkey = (folder / "trust" / "jiangyin.vkey").read_text().strip()
    policy = folder / "policy.txt"
    lines = [f"log {vkey}"]
    where = list(urls) or [one.url for one in witnesses]
    for number, (one, url) in enumerate(zip(witnesses, where, strict=True)):
        lines.append(f"witness w{number} {one.vkey} {url}")
    if quorum == "none":
        lines.append("quorum none")
    else:
        lines += [f"group g {quorum} " + " ".join(f"w{n}" for n in range(len(witnesses))), "quorum g"]
    policy.write_text("\n".join(lines) + "\n")
    settings = folder / "diya.toml"
    added = 'id = "jiangyin"\nwitness_policy = "policy.txt"\n'
    if stop_seconds is not None:
        added += f"witness_stop_seconds = {stop_seconds}\n"
    text = settings.read_text()
    assert 'id = "jiangyin"\n' in text
    settings.write_text(text.replace('id = "jiangyin"\n', added))
    return policy


def _listen_on(folder: Path, port: int) -> None:
    path = folder / "witness.toml"
    lines = [
        f'listen = "127.0.0.1:{port}"' if line.startswith("listen") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
