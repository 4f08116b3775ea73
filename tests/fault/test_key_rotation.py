"""Another key-encryption key: whole at the end, nothing served in between, taken up again after a kill -9."""

from __future__ import annotations

import base64
import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import startup
from gateway.app import Gateway
from gateway.cli.app import build_app
from gateway.config import Config, ConfigError, load_config
from gateway.keyring.keys import read_key_encryption_key, write_key_encryption_key
from gateway.storage.engine import WriterLock
from ledger.vault import Vault
from tests.support.played import audited, copied, database, opened
from tests.support.stage import REGISTRIES
from tests.support.tokens import Tokens, needs_softhsm, tokens

__all__ = ["tokens"]  # a fixture

ROOT = Path(__file__).resolve().parents[2]

#: Runs a rotation that ends with a kill -9 at a point: what the file system then holds is what a crash leaves.
DIES = """
import os, signal, sys
from pathlib import Path
from gateway.keyring import rotation
from gateway.config import load_config
from gateway.storage.engine import writer_engine

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def place_one_and_die(path, place=rotation.place_key):
    place(path)
    die()

point, storage = sys.argv[2], load_config(Path(sys.argv[1])).storage
rotation.KEYS_AT_ONCE = 3
if point == "begun":
    rotation._rewrap = die
elif point == "checked":
    rotation.place_key = die
elif point == "backup placed":
    rotation.place_key = place_one_and_die
rotation.rotate(writer_engine(storage.database), storage, die if point == "wrapping" else lambda *_: None)
"""


@pytest.fixture
def folder(played: Path, tmp_path: Path) -> Path:
    """A copy that a test may change, with a backup of its key."""
    folder = copied(played, tmp_path)
    (tmp_path / "safe").mkdir()
    shutil.copy(folder / "keys" / "kek", tmp_path / "safe" / "kek")
    settings = folder / "diya.toml"
    line = f'key_encryption_key_backup = "{tmp_path / "safe" / "kek"}"\n[limits]'
    settings.write_text(settings.read_text(encoding="utf-8").replace("[limits]", line), encoding="utf-8")
    return folder


def config(folder: Path) -> Config:
    """The settings."""
    return load_config(folder / "diya.toml")


def diya(folder: Path, *words: str) -> tuple[int, str]:
    """Exit status and output of a command of the gateway's machine."""
    result = CliRunner(env={"COLUMNS": "300"}).invoke(
        build_app(), [*words, "--config", str(folder / "diya.toml")]
    )
    return result.exit_code, result.output


def rotate(folder: Path) -> str:
    """`diya keys rotate-kek`, which ends well."""
    status, output = diya(folder, "keys", "rotate-kek")
    assert status == 0, output
    return output


def wrapped(folder: Path) -> list[bytes]:
    """Every wrapped key."""
    with opened(folder) as connection:
        return [row[0] for row in connection.execute("SELECT wrapped FROM ledger_key")]


def check_whole(folder: Path) -> None:
    """Everything opens, and every view is what the entries say, hashes of persons and units among them."""
    status, output = diya(folder, "ledger", "verify")
    assert status == 0, output
    for registry in REGISTRIES:
        assert audited(folder, registry).rows["person_right"] > 0


def test_every_key_is_wrapped_anew_and_the_ledger_is_whole(folder: Path, tmp_path: Path) -> None:
    """All of it under the new key, which is backed up; the old one lies beside it and opens nothing any more."""
    before, old = wrapped(folder), read_key_encryption_key(folder / "keys" / "kek")
    assert f"{len(before)} keys wrapped anew" in rotate(folder)
    assert not set(before) & set(wrapped(folder))
    assert read_key_encryption_key(folder / "keys" / "kek.old") == old
    assert read_key_encryption_key(tmp_path / "safe" / "kek") == read_key_encryption_key(
        folder / "keys" / "kek"
    )
    assert not (folder / "keys" / "kek.new").exists()
    assert startup.backup_problem(config(folder)) == ""
    check_whole(folder)
    shutil.copy(folder / "keys" / "kek.old", folder / "keys" / "kek")
    assert diya(folder, "ledger", "verify")[0] != 0


def test_old_wrappings_are_nowhere_in_the_database(folder: Path) -> None:
    """What the old key opened is overwritten, not only let go."""
    before = wrapped(folder)
    rotate(folder)
    with closing(sqlite3.connect(database(folder))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    held = database(folder).read_bytes()
    assert not any(value in held for value in before)


def test_second_rotation_keeps_what_subjects_are_hashed_with(folder: Path) -> None:
    """Twice replaced: persons and units are still found. The first old key must have been put away."""
    secret = read_key_encryption_key(folder / "keys" / "kek")
    rotate(folder)
    status, output = diya(folder, "keys", "rotate-kek")
    assert status == 2
    assert "kek.old" in output
    for place in (folder / "keys", folder.parent / "safe"):
        (place / "kek.old").unlink()
    rotate(folder)
    now = read_key_encryption_key(folder / "keys" / "kek")
    assert Vault(now).subject("r", "person", "x") == Vault(secret).subject("r", "person", "x")
    assert now[:32] != secret
    check_whole(folder)


@pytest.mark.parametrize("point", ["begun", "wrapping", "checked", "backup placed"])
async def test_rotation_killed_is_taken_up_again(folder: Path, point: str) -> None:
    """Wherever it dies: nothing is served and nothing read before it has been run again, and then all is whole."""
    before = wrapped(folder)
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(folder / "diya.toml"), point], cwd=ROOT, check=False
    )
    assert died.returncode == -signal.SIGKILL
    left = set(before) & set(wrapped(folder))
    assert {"begun": len(left) == len(before), "wrapping": 0 < len(left) < len(before)}.get(point, not left)
    with pytest.raises(ConfigError, match="diya keys rotate-kek"):
        await Gateway(config(folder)).start()
    status, output = diya(folder, "ledger", "verify")
    assert status == 2
    assert "diya keys rotate-kek" in output
    rotate(folder)
    assert not set(before) & set(wrapped(folder))
    assert startup.backup_problem(config(folder)) == ""
    check_whole(folder)


def test_rotation_beside_a_server_is_refused(folder: Path) -> None:
    """Whoever writes holds the lock; no key is made."""
    lock = WriterLock(database(folder))
    lock.acquire()
    status, output = diya(folder, "keys", "rotate-kek")
    lock.release()
    assert status == 1
    assert "already writes to this database" in output
    assert not (folder / "keys" / "kek.new").exists()


def test_rotation_with_the_wrong_key_changes_nothing(folder: Path) -> None:
    """A key that never wrapped anything here."""
    before = wrapped(folder)
    for path in (folder / "keys" / "kek", folder.parent / "safe" / "kek"):
        path.unlink()
        write_key_encryption_key(path, b"w" * 32)
    status, output = diya(folder, "keys", "rotate-kek")
    assert status == 1
    assert "another key-encryption key" in output
    assert wrapped(folder) == before
    assert not (folder / "keys" / "kek.new").exists()


# -- the backup ------------------------------------------------------------------------------------------------------


def test_backup_is_compared_at_every_start(folder: Path) -> None:
    """None is set, none is there, another key is there, it is no key: each one line; the same key: none."""
    backup = folder.parent / "safe" / "kek"
    settings = config(folder)
    assert startup.backup_problem(settings) == ""
    backup.unlink()
    assert "No such file" in startup.backup_problem(settings)
    write_key_encryption_key(backup, b"o" * 32)
    assert "is another key than" in startup.backup_problem(settings)
    backup.write_text("garbage")
    assert "base64" in startup.backup_problem(settings)
    none = settings.model_copy(
        update={"storage": settings.storage.model_copy(update={"key_encryption_key_backup": None})}
    )
    told = startup.backup_problem(none)
    assert "not set" in told
    secrets = [base64.b64encode(b"o" * 32).decode(), (folder / "keys" / "kek").read_text().strip()]
    assert not any(secret in told for secret in secrets)


async def test_start_tells_of_a_missing_backup_and_serves(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning; the gateway serves all the same."""
    caplog.set_level(logging.WARNING)  # a command run before may have raised it
    (folder.parent / "safe" / "kek").unlink()
    gateway = Gateway(config(folder))
    await gateway.start()
    await gateway.stop()
    lines = [r.getMessage() for r in caplog.records if "key_encryption_key_backup" in r.getMessage()]
    assert len(lines) == 1


def test_rotation_without_a_good_backup_of_the_old_key_is_refused(folder: Path) -> None:
    """A backup that differs must be looked at first: nothing is wrapped anew."""
    before = wrapped(folder)
    backup = folder.parent / "safe" / "kek"
    backup.unlink()
    write_key_encryption_key(backup, b"o" * 32)
    status, output = diya(folder, "keys", "rotate-kek")
    assert status == 2
    assert "is not a copy of the key-encryption key" in output
    assert wrapped(folder) == before
    assert not (folder / "keys" / "kek.new").exists()


def set_wrapping(folder: Path, value: str) -> None:
    """Name in the settings what the key is wrapped with."""
    settings = folder / "diya.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(
        text.replace("[limits]", f'key_encryption_key_wrapping = "{value}"\n[limits]'), encoding="utf-8"
    )


def check_wrapped(folder: Path, backup: Path) -> None:
    """In the clear it is refused, wrapped it serves and is replaced as before; the disk alone has nothing."""
    path = folder / "keys" / "kek"
    secret = read_key_encryption_key(path)
    status, output = diya(folder, "ledger", "verify")
    assert (status, "run `diya keys wrap-kek`" in output) == (2, True), output
    for told in (f"wrapped: {backup}, {path}", "wrapped before"):
        status, output = diya(folder, "keys", "wrap-kek")
        assert (status, told in output) == (0, True), output
    wrapping = config(folder).storage.key_encryption_key_wrapping
    for place in (path, backup):
        assert base64.b64encode(secret) not in place.read_bytes()
        assert place.stat().st_mode & 0o077 == 0
        assert read_key_encryption_key(place, wrapping) == secret
    check_whole(folder)
    rotate(folder)
    assert read_key_encryption_key(path, wrapping) != secret
    assert read_key_encryption_key(path, wrapping) == read_key_encryption_key(backup, wrapping)
    check_whole(folder)
    with pytest.raises(
        ConfigError, match=r"kek: it is wrapped; name in storage\.key_encryption_key_wrapping"
    ):
        read_key_encryption_key(path)


def test_key_wrapped_under_a_passphrase(folder: Path, tmp_path: Path) -> None:
    """Its passphrase in a file of its own; another passphrase opens nothing, and the file is named."""
    pin = tmp_path / "pin"
    pin.write_text("open sesame\n")
    pin.chmod(0o600)
    set_wrapping(folder, f"file:{pin}")
    check_wrapped(folder, tmp_path / "safe" / "kek")
    pin.write_text("another\n")
    status, output = diya(folder, "ledger", "verify")
    assert (status, f"does not unwrap with file:{pin}" in output) == (2, True), output


@needs_softhsm
def test_key_wrapped_by_a_token(folder: Path, tmp_path: Path, tokens: Tokens) -> None:
    """The AES key never leaves the token; without the token nothing is opened, and the setting is named."""
    tokens.make_aes("kek")
    tokens.make_aes("other")
    set_wrapping(folder, tokens.setting("kek"))
    check_wrapped(folder, tmp_path / "safe" / "kek")
    tokens.take_away()
    tokens.start_anew()
    status, output = diya(folder, "ledger", "verify")
    assert (status, "storage.key_encryption_key" in output) == (2, True), output
    tokens.bring_back()
    tokens.start_anew()
    check_whole(folder)
    other = tokens.setting("other")
    text = (folder / "diya.toml").read_text(encoding="utf-8")
    (folder / "diya.toml").write_text(text.replace(tokens.setting("kek"), other), encoding="utf-8")
    status, output = diya(folder, "ledger", "verify")
    assert (status, "did not seal this" in output) == (2, True), output
