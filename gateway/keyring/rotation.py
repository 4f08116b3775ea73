"""Another key-encryption key, with the server down: `diya keys rotate-kek`.

The files say how far it has come. `<kek>.new` is there from the first step to the last: while it is, nothing is served
and a second run goes on where the first one ended. `<kek>` stays the old key until every part key is wrapped anew; then
the new one takes its place, in the backup first, and the old one stays as `<kek>.old`: older backups want it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, func, select

from gateway.config import ConfigError, StorageConfig
from gateway.keyring.keys import (
    Wrapping,
    new_key_path,
    old_key_path,
    place_key,
    read_key_encryption_key,
    write_key_durably,
)
from gateway.keyring.wrapping import MARK
from ledger.rewrap import rewrap_check, rewrap_keys
from ledger.tables import ledger_head, ledger_key
from ledger.vault import Vault

#: Keys that are wrapped anew in one transaction.
KEYS_AT_ONCE: Final = 1000

Progress = Callable[[int, int], None]


def rotate(engine: Engine, storage: StorageConfig, progress: Progress) -> int:
    """Replace the key-encryption key of every ledger of a database; how many keys this run wrapped anew.

    The caller holds the writer's lock. progress: (keys looked at, keys in all), after each transaction. Raises
    ConfigError, OSError; WrongKeyError, SealBrokenError for a ledger that was begun with another key, or was changed.
    """
    path, backup = storage.key_encryption_key, storage.key_encryption_key_backup
    wrapping = storage.key_encryption_key_wrapping
    secret, new = read_key_encryption_key(path, wrapping), new_key_path(path)
    if not new.exists():
        _check_may_begin(engine, path, backup, secret, wrapping)
        write_key_durably(new, Vault(secret).renewed(), wrapping)
    renewed = read_key_encryption_key(new, wrapping)
    if backup is not None:
        _renew_backup(backup, renewed, wrapping)
    changed = _rewrap(engine, Vault(secret), Vault(renewed), progress)
    for place in (backup, path):
        if place is not None and new_key_path(place).exists():
            place_key(place)
    return changed


def _check_may_begin(
    engine: Engine, path: Path, backup: Path | None, secret: bytes, wrapping: Wrapping
) -> None:
    """The key is the ledgers' own, backed up, and the one before it was put away. Raises ConfigError, WrongKeyError."""
    for place in (path, backup):
        if place is not None and old_key_path(place).exists():
            raise ConfigError(
                f"{old_key_path(place)} is there from the last change: put it away where older backups of the "
                f"database are kept, which want it, and run this again"
            )
    if backup is not None and read_key_encryption_key(backup, wrapping) != secret:
        raise ConfigError(f"{backup} is not a copy of the key-encryption key: find out which is right")
    with engine.begin() as connection:
        for registry, value in connection.execute(select(ledger_head.c.registry, ledger_head.c.key_check)):
            Vault(secret).verify_check_value(registry, value)


def _renew_backup(backup: Path, renewed: bytes, wrapping: Wrapping) -> None:
    """The new key lies beside the backup of the old one before anything needs it. Raises ConfigError."""
    new = new_key_path(backup)
    if new.exists():
        if read_key_encryption_key(new, wrapping) != renewed:
            raise ConfigError(
                f"{new} is of another change of the key: find out which is right, remove it if wrong"
            )
    elif read_key_encryption_key(backup, wrapping) != renewed:  # else an earlier run has come as far as that
        write_key_durably(new, renewed, wrapping)


def _rewrap(engine: Engine, old: Vault, new: Vault, progress: Progress) -> int:
    with engine.begin() as connection:
        registries = connection.execute(select(ledger_head.c.registry)).scalars().all()
        total = connection.execute(select(func.count()).select_from(ledger_key)).scalar() or 0
    seen = changed = 0
    for registry in registries:
        after, more = "", True
        while more:
            with engine.begin() as connection:
                after, count = rewrap_keys(connection, registry, old, new, after, KEYS_AT_ONCE)
            more = bool(after)
            changed += count
            seen = min(total, seen + KEYS_AT_ONCE)
            progress(seen, total)
        with engine.begin() as connection:
            rewrap_check(connection, registry, old, new)
    return changed


def wrap_key(storage: StorageConfig) -> list[Path]:
    """Wrap the key-encryption key where it still lies in the clear, and its backup; the files that this run wrapped.

    The caller holds the writer's lock. Raises ConfigError, OSError.
    """
    wrapping = storage.key_encryption_key_wrapping
    if wrapping is None:
        raise ConfigError(
            "storage.key_encryption_key_wrapping is not set: name what to wrap the key with, file:PATH of a passphrase "
            "or pkcs11:… of an AES key in a token"
        )
    wrapped = []
    for path in (storage.key_encryption_key_backup, storage.key_encryption_key):
        if path is not None and not path.read_bytes().startswith(MARK):
            write_key_durably(path, read_key_encryption_key(path), wrapping)
            read_key_encryption_key(path, wrapping)
            wrapped.append(path)
    return wrapped
