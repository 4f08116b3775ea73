"""Time stamp authorities for tests: real ones on free ports of this machine, and a gateway's folder that names one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import utc_now
from gateway.demo.stage import name_authority
from gateway.http.tsa import TimestampServer
from signing.authority import Credential
from signing.signer import Signer
from signing.timestamp_authority import TimestampAuthority
from tests.support.serving import served


@dataclass
class Stamping:
    """An authority; `serving` runs it, again and again on the same port."""

    authority: TimestampAuthority
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}/tsa"

    @contextmanager
    def serving(self) -> Iterator[TimestampServer]:
        """Serve until the block ends."""
        server = TimestampServer(self.authority, "127.0.0.1", self.port)
        self.port = server.server_port
        with served(server):
            yield server


def stamping(signer: Signer, clock: Callable[[], dt.datetime] = utc_now, **how: Any) -> Stamping:
    """A new authority. Its port is a free one, fixed from now on."""
    found = Stamping(TimestampAuthority(signer, clock, **how))
    with found.serving():
        return found


def stamped_by(folder: Path, url: str, registry: str = "jiangyin", **settings: Any) -> None:
    """Let a registry of a gateway's folder have its seals and checkpoints stamped at `url`."""
    name_authority(folder, registry, url, **settings)


def own_authority(folder: Path) -> Stamping:
    """The authority that `diya init` made a key for."""
    return stamping(Credential.read(folder / "keys", "tsa").signer())
