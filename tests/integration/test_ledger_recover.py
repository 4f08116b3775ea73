"""`diya ledger recover`: after a loss the ledger goes on under a new origin, and what was promised still holds."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.client.receipt_file import KeptAct
from gateway.client.session import Answer
from gateway.client.trust import read_trust
from gateway.config import ConfigError
from gateway.demo.stage import REGISTRAR_KEY
from gateway.keyring.keys import note_signer
from gateway.pb.diya.v1 import admin_acts_pb2
from gateway.storage.engine import auditor_engine
from gateway.storage.rebuild import digest_views
from ledger.checkpoint import open_checkpoint
from ledger.hashing import leaf_hash
from ledger.tree import Frontier
from signing.key_source import FileKey
from tests.integration.test_witnessing import act, kept, put_back, vkey_of
from tests.support.played import opened
from tests.support.stage import Town, configured, town_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORMER = "ledger.example.org/jiangyin"
NEW = "ledger.example.org/jiangyin/2"


def recover(
    folder: Path, vkey: str, reached: int, *, signer: str = "operator", registry: str = "jiangyin"
) -> Result:
    """Run the command."""
    words = ["ledger", "recover", "--registry", registry, "--config", str(folder / "diya.toml")]
    words += ["--signer", str(folder / "clients" / signer), "--former-vkey", vkey]
    words += ["--reached", str(reached), "--reason", "disk lost"]
    return CliRunner(env={"COLUMNS": "300"}).invoke(build_app(), words)


def former_root(entries: list[bytes]) -> bytes:
    """The root of the former log over entries of the new one, as docs/ledger-format.md, section 1.2, says."""
    frontier, previous = Frontier(), bytes(32)
    for data in entries:
        lines = data.split(b"\n")
        lines[1], lines[3] = FORMER.encode(), b64encode(previous)
        previous = leaf_hash(b"\n".join(lines))
        frontier = frontier.append(previous)
    return frontier.root()


def renamed(folder: Path, old: str = FORMER, new: str = NEW) -> str:
    """The new origin in the settings; its verifier key, trusted beside the former one."""
    settings = folder / "diya.toml"
    settings.write_text(settings.read_text().replace(f'"{old}"', f'"{new}"'))
    vkey = note_signer(new, FileKey(folder / "keys" / "ledger-jiangyin.pem")).vkey
    trusted = folder / "trust" / "jiangyin.vkey"
    trusted.write_text(trusted.read_text() + vkey + "\n")
    return vkey


def stored(folder: Path) -> tuple[dict[str, object], list[bytes]]:
    """Digests of the views, but for the one that knows of the operator's act; and the entries."""
    config = configured(folder)
    engine = auditor_engine(config.storage.database)
    with engine.begin() as connection:
        views: dict[str, object] = {**digest_views(connection, "jiangyin")}
    engine.dispose()
    del views["request"]
    with opened(folder) as connection:
        rows = connection.execute(
            "SELECT entry FROM ledger_entry WHERE registry = 'jiangyin' ORDER BY entry_index"
        )
        return views, [bytes(row[0]) for row in rows]


async def lost(folder: Path, into: Path) -> tuple[Answer, Answer, int]:
    """A folder put back to an older copy; an act that is left, one that is lost, the size that was reached."""
    async with town_of(folder) as town:
        left = await act(town)
    older = kept(folder, into)
    async with town_of(folder) as town:
        gone = await act(town)
        await act(town)
        reached = town.ledger_size()
    put_back(folder, older)
    return left, gone, reached


async def test_recovered_ledger_goes_on_under_a_new_origin(own_folder: Path, tmp_path: Path) -> None:
    """Views as they were, and an entry that names what is lost; each receipt holds by the key of its own log."""
    former = vkey_of(own_folder)
    left, gone, reached = await lost(own_folder, tmp_path)
    views, entries = stored(own_folder)
    last = await _newest(own_folder)
    renamed(own_folder)
    with opened(own_folder) as connection:  # as an older version left it: a recovery needs no start before it
        connection.executescript("DROP TABLE ledger_cosignature; DROP TABLE ledger_erasure")
    done = recover(own_folder, former, reached)
    assert done.exit_code == 0, done.output
    assert f"lost are the entries {len(entries)} to {reached - 1} of {FORMER}" in done.output
    after, anew = stored(own_folder)
    assert after == views
    assert len(anew) == len(entries) + 1
    assert b"\nledger.recovered\n" in anew[-1]
    assert former_root(anew[:-1]) == open_checkpoint(last, former).root
    words = [
        "ledger",
        "verify",
        "--config",
        str(own_folder / "diya.toml"),
        "--json",
        "--registry",
        "jiangyin",
    ]
    verified = CliRunner().invoke(build_app(), words)
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["origin"] == NEW
    for answer in (left, gone):
        KeptAct.of_answer(answer).verify(read_trust(own_folder / "trust"))
    async with town_of(own_folder) as town:
        await _says_what_is_lost(town, len(entries), last, reached)
        fresh = await act(town)
        assert fresh.receipt is not None
        assert fresh.receipt.entry.origin == NEW
        again = await (await town.client("bank-a")).get_receipt(left.envelope)
        assert again.index == left.outcome.receipt.index
        assert again.entry.origin == NEW
        assert left.receipt is not None
        assert again.entry.commitments == left.receipt.entry.commitments
    assert list((own_folder / "data").glob("*.before-recovery-*"))


async def _newest(folder: Path) -> bytes:
    with opened(folder) as connection:
        (note,) = connection.execute(
            "SELECT note FROM ledger_checkpoint WHERE registry = 'jiangyin' ORDER BY size DESC LIMIT 1"
        ).fetchone()
    return bytes(note)


async def _says_what_is_lost(town: Town, index: int, last: bytes, reached: int) -> None:
    """The signed act, as the entry keeps it."""
    payload = await town.gateway.queries.part("jiangyin", index, "evidence/payload")
    kind = b"application/vnd.diya.admin.recover-ledger.v1+protobuf"
    said = admin_acts_pb2.RecoverLedgerAct()
    said.ParseFromString(payload[payload.index(kind) + len(kind) :].split(b" ", 2)[2])
    assert (said.former_origin, said.origin, said.reached_size) == (FORMER, NEW, reached)
    assert said.former_checkpoint == last
    assert said.reason == "disk lost"


async def test_recovery_is_refused_and_changes_nothing(own_folder: Path, tmp_path: Path) -> None:
    """The same origin, another key, nothing lost, no operator, a gateway that runs: one line each."""
    former = vkey_of(own_folder)
    _, _, reached = await lost(own_folder, tmp_path)
    before = stored(own_folder)
    same = recover(own_folder, former, reached)
    assert "write the new origin there first" in same.output
    new = renamed(own_folder)
    with pytest.raises(ConfigError, match="diya ledger recover"):
        async with town_of(own_folder):
            pass
    for result, says in (
        (recover(own_folder, new, reached), "the former key is not that of"),
        (recover(own_folder, former, len(before[1])), "nothing is lost"),
        (recover(own_folder, former, reached, signer=REGISTRAR_KEY), "no anchor of this purpose"),
        (recover(own_folder, former, reached, signer="nowhere"), "nowhere"),
    ):
        assert result.exit_code == 1, result.output
        assert says in result.output
    assert stored(own_folder) == before
    assert not list((own_folder / "data").glob("*.before-recovery-*"))
    settings = own_folder / "diya.toml"
    settings.write_text(settings.read_text().replace(f'"{NEW}"', f'"{FORMER}"'))
    async with town_of(own_folder):
        running = recover(own_folder, former, reached)
        assert running.exit_code == 1
        assert "already writes to this database" in running.output


async def test_recovery_from_a_broken_ledger_is_refused(own_folder: Path, tmp_path: Path) -> None:
    """A changed entry is not carried over."""
    former = vkey_of(own_folder)
    _, _, reached = await lost(own_folder, tmp_path)
    renamed(own_folder)
    with opened(own_folder) as connection:
        connection.execute(
            "UPDATE ledger_part SET sealed = zeroblob(60) WHERE registry = 'jiangyin' AND entry_index = 1"
        )
    result = recover(own_folder, former, reached)
    assert result.exit_code == 1
    assert "what is left does not hold" in result.output


async def test_origin_that_was_ever_used_is_refused(own_folder: Path, tmp_path: Path) -> None:
    """Of this registry, two recoveries on, or of another one of the database: two logs of one name are a fork."""
    _, _, reached = await lost(own_folder, tmp_path)
    former = vkey_of(own_folder)
    vkey = renamed(own_folder)
    assert recover(own_folder, former, reached).exit_code == 0
    renamed(own_folder, NEW, FORMER)
    before = stored(own_folder)
    back = recover(own_folder, vkey, 9999)
    assert back.exit_code == 1, back.output
    assert f"{FORMER} was the origin of the ledger of jiangyin until its entry" in back.output
    renamed(own_folder, FORMER, NEW)
    taizhou = (own_folder / "trust" / "taizhou.vkey").read_text().strip()
    for taken, says in ((FORMER, "was the origin of the ledger of jiangyin"), (NEW, "is the origin of the")):
        renamed(own_folder, taizhou.partition("+")[0], taken)
        other = recover(own_folder, taizhou, 9999, registry="taizhou")
        assert other.exit_code == 1, other.output
        assert says in other.output
        renamed(own_folder, taken, taizhou.partition("+")[0])
    assert stored(own_folder) == before
