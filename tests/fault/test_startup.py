"""A gateway starts on what holds or not at all: settings that fit, a database that is there, ledgers that are whole."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.app import Gateway
from gateway.config import Config, ConfigError, ProxyConfig
from gateway.keyring.key_notices import key_notices
from gateway.keyring.seals import configured_seals
from gateway.startup import LedgerRefused
from gateway.storage.engine import SecondWriter, WriterLock
from gateway.telemetry import metrics
from ledger.checkpoint import open_checkpoint
from signing.key_source import FileKey
from tests.support.played import copied, database, opened
from tests.support.stage import Town, configured, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def refusal(config: Config) -> ConfigError:
    """What a start is refused with; nothing is held afterwards."""
    with pytest.raises(ConfigError) as caught:
        await Gateway(config).start()
    path = Path(config.storage.database.removeprefix("sqlite:///"))
    if path.parent.is_dir():
        lock = WriterLock(path)
        lock.acquire()
        lock.release()
    return caught.value


def run(folder: Path, statement: str) -> None:
    """Change the stopped gateway's database."""
    with opened(folder) as connection:
        assert connection.execute(statement).rowcount != 0


# -- the ledger --------------------------------------------------------------------------------------------------------

_J = "registry = 'jiangyin'"
DAMAGES = {
    "an entry in the middle": (
        f"UPDATE ledger_entry SET entry = x'00' WHERE {_J} AND entry_index = 3",
        "ledger_entry 3",
    ),
    "the first entry": (
        f"UPDATE ledger_entry SET entry = x'00' WHERE {_J} AND entry_index = 0",
        "ledger_entry 0",
    ),
    "an entry that is gone": (f"DELETE FROM ledger_entry WHERE {_J} AND entry_index = 5", "ledger_entry 5"),
    "the last entry": (
        f"DELETE FROM ledger_entry WHERE {_J} AND entry_index = (SELECT size - 1 FROM ledger_head WHERE {_J})",
        "ledger_entry",
    ),
    "the head's hash": (f"UPDATE ledger_head SET head_hash = zeroblob(32) WHERE {_J}", "ledger_"),
    "the head's size": (f"UPDATE ledger_head SET size = size - 1 WHERE {_J}", "ledger_head"),
    "the published root": (
        f"UPDATE ledger_published SET root = zeroblob(32) WHERE {_J}",
        "ledger_checkpoint",
    ),
    "the last checkpoint": (
        f"DELETE FROM ledger_checkpoint WHERE {_J} AND size = (SELECT max(size) FROM ledger_checkpoint WHERE {_J})",
        "ledger_checkpoint",
    ),
    "a table": ("DROP TABLE ledger_tile", "no table ledger_tile"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_broken_ledger_is_not_served(played: Path, tmp_path: Path, damage: str) -> None:
    """One line that names the row, and the command that looks at all of it."""
    folder = copied(played, tmp_path)
    statement, row = DAMAGES[damage]
    run(folder, statement)
    refused = await refusal(configured(folder))
    assert isinstance(refused, LedgerRefused)
    assert row in refused.what
    assert refused.cure.startswith("diya ledger verify")


async def test_ledger_that_was_cut_back_is_not_served(played: Path, tmp_path: Path) -> None:
    """The last entry, its parts and its place in the head are gone; what was signed says so."""
    folder = copied(played, tmp_path)
    with opened(folder) as connection:
        (size,) = connection.execute(f"SELECT size FROM ledger_head WHERE {_J}").fetchone()
        connection.execute(f"DELETE FROM ledger_published WHERE {_J}")
        connection.execute(f"DELETE FROM ledger_checkpoint WHERE {_J} AND size = {size}")
    refused = await refusal(configured(folder))
    assert "jiangyin" in str(refused)


@pytest.mark.parametrize("view", ["right", "event"])
async def test_register_that_is_gone_is_not_served_as_an_empty_one(
    played: Path, tmp_path: Path, view: str
) -> None:
    """A view that is missing is rebuilt by a person's word, never begun anew."""
    folder = copied(played, tmp_path)
    run(folder, f'DROP TABLE "{view}"')
    refused = await refusal(configured(folder))
    assert isinstance(refused, LedgerRefused)
    assert refused.cure == "diya ledger rebuild"
    with opened(folder) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (view,)).fetchall()


async def test_garbage_is_not_served(played: Path, tmp_path: Path) -> None:
    """A database that is no database."""
    folder = copied(played, tmp_path)
    database(folder).write_bytes(b"garbage " * 1000)
    assert "not a database" in str(await refusal(configured(folder)))


async def test_only_init_makes_a_database(played: Path, tmp_path: Path) -> None:
    """A mistyped path is an error, not a new and empty register; so is an empty file."""
    folder = copied(played, tmp_path)
    config = configured(folder)
    for name, exists in (("dya.db", False), ("empty.db", True)):
        path = folder / "data" / name
        if exists:
            path.touch()
        storage = config.storage.model_copy(update={"database": f"sqlite:///{path}"})
        refused = str(await refusal(config.model_copy(update={"storage": storage})))
        assert str(path) in refused
        assert path.exists() == exists
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


async def test_entries_left_unpublished_are_published_at_the_start(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between commit and checkpoint: the next start signs it, nobody need act first."""

    def fails(*_: Any) -> Any:
        raise OSError("the key device is away")

    async with town_of(own_folder) as town:
        before = await _published(town)
        with monkeypatch.context() as patch:
            patch.setattr(town.gateway._publisher, "publish", fails)
            filing = await town.mortgage().sign().upload()
            pending = await filing.submit()
        assert pending.receipt is None
        assert await _published(town) == before
    async with town_of(own_folder) as town:
        assert await _published(town) == town.ledger_size() == before + 1
        client = await town.client("bank-a")
        assert await client.get_receipt(pending.envelope) is not None


async def _published(town: Town) -> int:
    checkpoint = await town.gateway.queries.checkpoint("jiangyin")
    assert checkpoint is not None
    return open_checkpoint(checkpoint.note, town.gateway._ledger_signers.vkey("jiangyin")).size


async def test_damage_found_while_running_stops_the_registry(own_folder: Path) -> None:
    """From the moment on at which it is found: no binding answer, health NOT_SERVING; what was answered is told again.

    The other registry's ledger is whole, and goes on.
    """
    async with town_of(own_folder) as town:
        _, answered = await town.booked()
        run(own_folder, f"UPDATE ledger_head SET head_hash = zeroblob(32) WHERE {_J}")
        finding = await (await town.mortgage().sign().upload()).submit()  # in its commit, found right after
        assert finding.receipt is None
        later = await town.mortgage().sign().upload()
        refused = await later.refused("LEDGER_DAMAGED", "UNAVAILABLE")
        assert refused.retry_seconds is None
        again = await (await town.client("bank-a")).submit(answered.envelope)
        assert again.outcome.receipt.entry == answered.outcome.receipt.entry
        assert await _health(town, "") == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (
            await _health(town, "diya.v1.RegistrationService") == health_pb2.HealthCheckResponse.NOT_SERVING
        )
        _, elsewhere = await town.in_review()
        assert elsewhere.receipt is not None
    assert "ledger_" in str(await refusal(configured(own_folder)))


async def test_ledger_of_a_version_without_cosignatures_is_served(own_folder: Path) -> None:
    """Their table is made empty where it is missing: nothing of the ledger is lost in it."""
    with opened(own_folder) as connection:
        connection.execute("DROP TABLE ledger_cosignature")
    async with town_of(own_folder) as town:
        _, answer = await town.booked()
        assert await (await town.client("bank-a")).get_receipt(answer.envelope) is not None


async def _stopped(town: Town, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """The next act is refused and leaves nothing; the log says why; what is there is still read."""
    before = town.ledger_size()
    filing = await town.mortgage().sign().upload()
    await filing.refused("LEDGER_DAMAGED", "UNAVAILABLE")
    assert town.ledger_size() == before
    assert damage in next(one.damage for one in caplog.records if hasattr(one, "damage"))
    assert await _health(town, "") == health_pb2.HealthCheckResponse.NOT_SERVING
    assert await _published(town) <= town.ledger_size()


async def test_older_copy_restored_under_a_running_gateway_is_not_built_on(
    own_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The database is put back through SQLite itself: refused before anything is entered, not after."""
    older = tmp_path / "older.db"
    async with town_of(own_folder) as town:
        with closing(sqlite3.connect(older)) as copy, closing(sqlite3.connect(database(own_folder))) as live:
            live.backup(copy)
        await town.booked()
        await town.in_review()
        with closing(sqlite3.connect(older)) as copy, closing(sqlite3.connect(database(own_folder))) as live:
            copy.backup(live)
        await _stopped(town, "was signed, but the database knows only size", caplog)


async def test_file_replaced_under_a_running_gateway_is_not_written_to(
    own_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is renamed over the database leaves the gateway with a file that nobody will find again."""
    async with town_of(own_folder) as town:
        await town.booked()
        with (
            closing(sqlite3.connect(tmp_path / "x.db")) as copy,
            closing(sqlite3.connect(database(own_folder))) as live,
        ):
            live.backup(copy)
        (tmp_path / "x.db").replace(database(own_folder))
        await _stopped(town, "replaced under the running gateway", caplog)


async def test_second_gateway_on_one_database_is_refused(own_folder: Path) -> None:
    """One writer a database; the first goes on."""
    async with town_of(own_folder) as town:
        with pytest.raises(SecondWriter, match="already writes to this database"):
            await Gateway(configured(own_folder)).start()
        await town.booked()


async def _health(town: Town, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(town.channel("bank-a"))
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


# -- settings ----------------------------------------------------------------------------------------------------------


def _swap(config: Config, **changes: Any) -> Config:
    """The settings with the first registry's changed."""
    first, *others = config.registries
    return config.model_copy(update={"registries": [first.model_copy(update=changes), *others]})


def _swap_second(config: Config, **changes: Any) -> Config:
    """The same with the second registry's, which seals in both suites."""
    first, second = config.registries
    return config.model_copy(update={"registries": [first, second.model_copy(update=changes)]})


def _sealing(config: Config) -> Config:
    return config.model_copy(update={"sealing": True})


def _national(config: Config, certificate: Any, key: Any) -> Config:
    return _swap(_sealing(config), national_seal_certificate=certificate, national_seal_key=key)


def _sm2_of_taizhou(config: Config) -> tuple[Any, Any]:
    return config.registries[1].national_seal_certificate, config.registries[1].national_seal_key


def _server(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"server": config.server.model_copy(update=changes)})


def _file(config: Config, content: bytes) -> Path:
    path = Path(config.storage.files) / "some-file"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def _proxy(name: str) -> ProxyConfig:
    return ProxyConfig(name=name, key_id="0" * 64, addresses=["10.0.3.7"])


SETTINGS: dict[str, tuple[Callable[[Config], Config], str]] = {
    "another registry's ledger key": (
        lambda c: _swap(c, ledger_key=c.registries[1].ledger_key),
        r"registries \(jiangyin\) ledger_key: .*ledger-taizhou\.pem: .*another ledger",
    ),
    "another origin": (
        lambda c: _swap(c, origin="ledger.example.org/new"),
        r"registries \(jiangyin\) origin: is ledger\.example\.org/new, but .* begun as ledger\.example\.org/jiangyin",
    ),
    "one id twice": (lambda c: _swap(c, id="taizhou"), r"registries: 2 of them have the id taizhou"),
    "one origin twice": (
        lambda c: _swap(c, origin=c.registries[1].origin),
        r"\(jiangyin\) origin: is ledger\.example\.org/taizhou, but",
    ),
    "a registry without a ledger": (
        lambda c: _swap(c, id="nowhere"),
        r"\(nowhere\) id: no ledger of registry nowhere",
    ),
    "no registry": (lambda c: c.model_copy(update={"registries": []}), r"registries: there is none"),
    "a ledger key that is none": (
        lambda c: _swap(c, ledger_key=FileKey(_file(c, b"-----BEGIN"))),
        r"\(jiangyin\) ledger_key: .*some-file: not a private key",
    ),
    "a ledger key that is not there": (
        lambda c: _swap(c, ledger_key=FileKey(Path("/nowhere/key.pem"))),
        r"\(jiangyin\) ledger_key: /nowhere/key\.pem: No such file",
    ),
    "a TLS key of another certificate": (
        lambda c: _server(c, key=c.registries[0].seal_key),
        r"server\.key: .*seal-jiangyin\.key\.pem is not the key of server\.certificate",
    ),
    "a TLS certificate that is none": (
        lambda c: _server(c, certificate=_file(c, b"hello")),
        r"server\.certificate: .*some-file: not in PEM",
    ),
    "anchors that are not in PEM": (
        lambda c: _server(c, client_anchors=_file(c, b"hello")),
        r"server\.client_anchors: .*some-file: not in PEM",
    ),
    "anchors that are not there": (
        lambda c: _server(c, client_anchors=Path("/nowhere/anchors.pem")),
        r"server\.client_anchors: /nowhere/anchors\.pem: No such file",
    ),
    "a seal key of another certificate": (
        lambda c: _swap(c.model_copy(update={"sealing": True}), seal_key=c.registries[1].seal_key),
        r"\(jiangyin\) seal_key: .*seal-taizhou\.key\.pem: the private key is not that of the certificate",
    ),
    "half of a national seal": (
        lambda c: _swap(_sealing(c), national_seal_key=c.registries[1].seal_key),
        r"\(jiangyin\) national_seal_certificate: is missing beside the other of the two",
    ),
    "a national seal that is not SM2": (
        lambda c: _national(c, c.registries[1].seal_certificate, c.registries[1].seal_key),
        r"\(jiangyin\) national_seal_certificate: .*seal-taizhou\.pem is not of an SM2 key",
    ),
    "a national seal of another authority": (
        lambda c: _national(c, *_sm2_of_taizhou(c)),
        r"\(jiangyin\) national_seal_certificate: .*seal-taizhou-sm2\.pem names another authority than",
    ),
    "a national seal beside a national one": (
        lambda c: _national(
            _swap(
                c,
                seal_certificate=c.registries[1].national_seal_certificate,
                seal_key=c.registries[1].national_seal_key,
            ),
            *_sm2_of_taizhou(c),
        ),
        r"\(jiangyin\) national_seal_certificate: the seal beside it, .*seal_key, is of an SM2 key too",
    ),
    "a national seal whose key is another's": (
        lambda c: _swap_second(_sealing(c), national_seal_key=c.registries[1].seal_key),
        r"\(taizhou\) national_seal_key: .*seal-taizhou\.key\.pem: the private key is not that of the certificate",
    ),
    "a port that there is not": (
        lambda c: _server(c, listen="127.0.0.1:99999"),
        r"server\.listen: 127\.0\.0\.1:99999",
    ),
    "a metrics port that is none": (
        lambda c: _server(c, metrics="127.0.0.1:x"),
        r"server\.metrics: 127\.0\.0\.1:x",
    ),
    "a tiles port that is none": (
        lambda c: _server(c, tiles="127.0.0.1:"),
        r"server\.tiles: 127\.0\.0\.1: is not HOST:PORT",
    ),
    "a listener for proxies and no proxy": (
        lambda c: _server(c, proxy_listen="127.0.0.1:0"),
        r"server\.proxies: not set, though server\.proxy_listen is",
    ),
    "a proxy and no listener": (
        lambda c: _server(c, proxies=[_proxy("one")]),
        r"server\.proxy_listen: not set, though server\.proxies is",
    ),
    "two proxies of one key": (
        lambda c: _server(c, proxy_listen="127.0.0.1:0", proxies=[_proxy("one"), _proxy("two")]),
        r"server\.proxies: 2 of them have the key_id 0000",
    ),
    "no host": (lambda c: _server(c, public="7444"), r"server\.public: 7444 is not HOST:PORT"),
}


@pytest.mark.parametrize("what", SETTINGS)
async def test_setting_that_does_not_fit_is_named(played: Path, tmp_path: Path, what: str) -> None:
    """One line, that begins with the setting's name and says which file or value it is."""
    change, pattern = SETTINGS[what]
    folder = copied(played, tmp_path)
    refused = await refusal(change(configured(folder)))
    assert not isinstance(refused, LedgerRefused)
    assert re.search(pattern, str(refused)), refused
    assert "\n" not in str(refused)


async def test_keys_in_the_clear_are_told_in_production_and_certificates_that_end_soon(
    played: Path, tmp_path: Path
) -> None:
    """Never in development; with each its setting; and the metric says until when, whoever asks."""
    config = configured(copied(played, tmp_path), sealing=True)
    seals = {registry.id: configured_seals(registry)[0] for registry in config.registries}
    ends = seals["jiangyin"].certificate.not_after

    def told(production: str, days_left: float) -> list[str]:
        at = ends - dt.timedelta(days=days_left)
        return list(
            key_notices(config, lambda name: [seals[name]], lambda registry: registry == production, at)
        )

    assert told("", 31) == []
    clear = [notice.partition(": ")[0] for notice in told("jiangyin", 31)]
    assert clear == [
        "server.key",
        "storage.key_encryption_key",
        "registries (jiangyin) ledger_key",
        "registries (jiangyin) seal_key",
    ]
    assert any("seal_key's certificate: is valid until" in notice for notice in told("", 29))
    assert any("seal_key's certificate: has not been valid since" in notice for notice in told("", -1))
    labels = {"registry": "jiangyin", "use": "seal"}
    assert metrics.collectors.get_sample_value("diya_key_not_after_seconds", labels) == ends.timestamp()


@pytest.mark.parametrize("name", ["listen", "public", "metrics", "tiles"])
async def test_port_that_is_taken_is_named(played: Path, tmp_path: Path, name: str) -> None:
    """The setting and the address; what was started for it is stopped again."""
    folder = copied(played, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = await refusal(_server(configured(folder), **{name: address}))
    assert str(refused).startswith(f"server.{name}: cannot listen on {address}")


#: What in a folder needs the national suite: settings besides the folder's own, and what is told.
NATIONAL: dict[str, tuple[dict[str, str], str]] = {
    "a ledger": ({}, "its ledger trusts the SM2 authority Development anchor: SM2 "),
    "proxies": (
        {
            "DIYA_SERVER__PROXY_LISTEN": "127.0.0.1:0",
            "DIYA_SERVER__PROXIES": f'[{{"name": "one", "key_id": "{"0" * 64}", "addresses": ["10.0.3.7"]}}]',
        },
        "server.proxies: callers over TLCP have SM2 keys. ",
    ),
}


@pytest.mark.parametrize("what", NATIONAL)
async def test_what_needs_the_national_suite_is_not_served_without_it(
    played: Path, tmp_path: Path, what: str
) -> None:
    """One line with the authority or the setting, and the command; in a process that cannot import the suite."""
    folder = copied(played, tmp_path)
    settings, line = NATIONAL[what]
    program = (
        "import sys; sys.modules['tongsuopy'] = None\n"
        "from gateway.cli import main\n"
        "sys.argv = ['diya', 'serve', '--config', 'diya.toml']\n"
        "main()"
    )
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        cwd=folder,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await serving.communicate()
    told = " ".join(printed.decode().split())
    assert serving.returncode not in (0, None), told
    assert "Traceback" not in told
    assert line in told
    assert told.count("pip install 'diya[sm]'") == 2
