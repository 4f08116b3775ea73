"""The demo's stage: a gateway set up from nothing, credentials for everyone, connections over mutual TLS."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app import Gateway, utc_now
from gateway.client.client import DiyaClient
from gateway.client.connection import connect
from gateway.client.session import Session
from gateway.client.trust import read_trust
from gateway.config import Config, load_config
from gateway.demo.cast import COUNTER, REGISTRAR, sample_seeds
from gateway.http.tsa import TimestampServer
from gateway.register.model import Party
from gateway.register.sample import SAMPLE
from gateway.setup import SetupRefused, initialise
from signing import sm2
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_key
from signing.timestamp_authority import TimestampAuthority

#: Folder under clients/ of everyone who signs or calls.
INSTITUTIONS: dict[str, Party] = {
    "bank-a": SAMPLE.bank_a,
    "bank-a-branch": SAMPLE.bank_a_branch,
    "bank-b": SAMPLE.bank_b,
    "fund-centre": SAMPLE.fund_centre,
}
#: Who signs envelopes and papers with SM2. TLS stays with P-256, for gRPC has no SM2.
NATIONAL_KEYS = ("bank-b",) if sm2.AVAILABLE else ()
#: Which registry puts an SM2 seal beside the first on all that it seals.
BOTH_SUITES = ("taizhou",) if sm2.AVAILABLE else ()
REGISTRAR_KEY = "registrar"
OPERATOR_KEY = "operator"
COUNTER_KEY = "counter"

#: Of this gateway, what stays behind serves on these: banks, the public, metrics.
Ports = tuple[int, int, int, int]
"""Of `listen`, `public`, `metrics` and `tiles`."""
PORTS: Ports = (7443, 7444, 7445, 7446)
#: File that says of a folder that a demo made it, and that the next one may remove it.
MARKER = ".diya-demo"


@dataclass
class Stage:
    """A running gateway and everybody's credentials."""

    folder: Path
    config: Config
    gateway: Gateway
    pki: DevelopmentPKI
    connections: AsyncExitStack

    def signer(self, key: str) -> Credential:
        """The signing credential of somebody under clients/."""
        return self.credential(key, "sign")

    def credential(self, key: str, stem: str) -> Credential:
        """A credential of somebody under clients/: `sign` or `tls`."""
        return Credential.read(self.folder / "clients" / key, stem)

    def citizen(self, person: Party) -> Credential:
        """A citizen's own signing certificate, made on first use."""
        key = f"citizen-{person.id_number[-6:]}"
        folder = self.folder / "clients" / key
        if not (folder / "sign.pem").exists():
            self.pki.issue_person(person.id_number, person.name).write(folder, "sign")
        return Credential.read(folder, "sign")

    async def session(self, key: str, registry: str) -> Session:
        """A session of somebody with one registry, over their own TLS certificate."""
        tls = self.credential(key, "tls")
        connection = connect(
            f"localhost:{self.gateway.ports['listen']}",
            server_roots=(self.folder / "trust" / "server-roots.pem").read_bytes(),
            certificate_chain=tls.chain_pem(),
            private_key=tls.key_pem(),
        )
        await self.connections.enter_async_context(connection)
        return Session(connection, registry, read_trust(self.folder / "trust"))

    async def client(self, key: str, registry: str) -> DiyaClient:
        """A bank's client."""
        return DiyaClient(await self.session(key, registry))


def clear(folder: Path) -> None:
    """Remove what an earlier demo left. Raises SetupRefused for a folder that holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if folder.is_symlink() or not (folder / MARKER).is_file():
        raise SetupRefused(
            f"{folder} is not a demo's (there is no {MARKER} in it), so it is left alone: "
            "name another folder with --out, or remove it yourself / "
            f"{folder} 不是演示产生的目录（其中没有 {MARKER}），未作改动：请用 --out 另选目录，或者自行删除"
        )
    shutil.rmtree(folder)


def prepare(folder: Path, *, now: dt.datetime, ports: Ports = PORTS) -> None:
    """Make `folder` anew: the gateway, and credentials under clients/ for everyone but the citizens.

    Raises SetupRefused, see `clear`.
    """
    clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(
        "`diya demo` made this folder and replaces it as a whole.\n", encoding="utf-8"
    )
    initialise(folder, sample_seeds(), now=now, both_suites=BOTH_SUITES)
    set_ports(folder, PORTS, ports)
    pki = DevelopmentPKI.load(folder / "pki", now)
    for key, party in INSTITUTIONS.items():
        own = folder / "clients" / key
        kind = KeyKind.SM2 if key in NATIONAL_KEYS else KeyKind.P256
        pki.issue_institution(party.id_number, party.name, key=make_key(kind)).write(own, "sign")
        pki.issue_tls_client(party.id_number, party.name).write(own, "tls")
    pki.issue_registrar(REGISTRAR.id_number, REGISTRAR.name).write(folder / "clients" / REGISTRAR_KEY, "sign")
    pki.issue_tls_client("000000000000000000", "registrar").write(folder / "clients" / REGISTRAR_KEY, "tls")
    pki.issue_registrar(COUNTER.id_number, COUNTER.name).write(folder / "clients" / COUNTER_KEY, "sign")
    pki.issue_tls_client("000000000000000000", "counter").write(folder / "clients" / COUNTER_KEY, "tls")


def set_ports(folder: Path, old: Ports, new: Ports) -> None:
    """Have the gateway of a folder listen on other ports."""
    config = folder / "diya.toml"
    text = config.read_text(encoding="utf-8")
    for name, before, after in zip(("listen", "public", "metrics", "tiles"), old, new, strict=True):
        text = text.replace(f'{name} = "127.0.0.1:{before}"', f'{name} = "127.0.0.1:{after}"')
    config.write_text(text, encoding="utf-8")


def name_authority(folder: Path, registry: str, url: str, **settings: object) -> None:
    """Have a registry's seals and checkpoints stamped by the authority at `url`; `settings`: others of its table."""
    config = folder / "diya.toml"
    text = config.read_text(encoding="utf-8")
    rest = text.find("[[registries]]", text.index(f'id = "{registry}"'))
    end = len(text) if rest < 0 else rest
    lines = [f'url = "{url}"', *(f"{name} = {str(value).lower()}" for name, value in settings.items())]
    table = "\n".join(["[registries.timestamp]", *lines, "", ""])
    config.write_text(text[:end] + table + text[end:], encoding="utf-8")


def move_authority(folder: Path, before: str, after: str) -> None:
    """Have the authority that was named asked elsewhere."""
    config = folder / "diya.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


@contextmanager
def time_authority(folder: Path) -> Iterator[str]:
    """The time stamp authority of the folder's development PKI, on a free port; its URL."""
    authority = TimestampAuthority(Credential.read(folder / "keys", "tsa").signer(), utc_now)
    with TimestampServer(authority, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


async def open_stage(folder: Path, stack: AsyncExitStack) -> Stage:
    """Start the gateway of a prepared folder; `stack` stops it again."""
    config = load_config(folder / "diya.toml")
    gateway = Gateway(config)
    await gateway.start()
    stack.push_async_callback(gateway.stop)
    connections = await stack.enter_async_context(AsyncExitStack())
    return Stage(folder, config, gateway, DevelopmentPKI.load(folder / "pki", utc_now()), connections)
