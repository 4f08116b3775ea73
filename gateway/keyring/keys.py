"""Reading the secrets that a registry rests on: the key that signs its ledger, the key that encrypts it; and the
key of the server's connections.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.config import ConfigError
from gateway.keyring.wrapping import MARK, unwrap, wrap
from ledger.checkpoint import NoteKey, NoteSigner
from ledger.vault import KEY_BYTES
from signing.errors import SigningError
from signing.key_source import FileKey, KeySource, PinSource, TokenKey, read_private_key


def note_signer(origin: str, source: KeySource) -> NoteSigner:
    """The ledger's Ed25519 key under its origin's name. Raises ConfigError."""
    try:
        return NoteSigner(origin, _note_key(source))
    except SigningError as error:
        raise ConfigError(error.message) from error


def _note_key(source: KeySource) -> NoteKey:
    if isinstance(source, TokenKey):
        from signing.tokens import TokenEd25519  # noqa: PLC0415 an optional extra

        return TokenEd25519(source)
    key = read_private_key(source)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{source.path}: a ledger key must be Ed25519")
    return key


def tls_key_pem(source: KeySource) -> bytes:
    """The key of the server's connections as PEM in the clear, in memory only: what gRPC takes. Raises ConfigError."""
    if not isinstance(source, FileKey):
        raise ConfigError(
            f"{source.place}: gRPC takes the bytes of a key and none from a token: keep the TLS key as encrypted "
            "PKCS#8 (PATH?pin-source=…), or end TLS in a proxy that has the token"
        )
    try:
        key = read_private_key(source)
    except SigningError as error:
        raise ConfigError(error.message) from error
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


#: What the key-encryption key's file is wrapped with, by the setting; None where it lies in the clear.
Wrapping: TypeAlias = PinSource | TokenKey | None


def read_key_encryption_key(path: Path, wrapping: Wrapping = None) -> bytes:
    """The secret of `ledger.vault.Vault`: 32 bytes, or 64 once the key was replaced, as base64 in a file that only the
    service may read, perhaps wrapped (`gateway/keyring/wrapping.py`). Raises ConfigError, OSError.
    """
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others may read the key-encryption key; run chmod 600 on it")
    line = path.read_bytes().strip()
    try:
        if wrapping is not None and line.startswith(MARK):
            line = unwrap(line, wrapping)
        elif wrapping is not None:
            raise ConfigError(
                "it lies in the clear, the setting says that it is wrapped; run `diya keys wrap-kek`"
            )
        elif line.startswith(MARK):
            raise ConfigError("it is wrapped; name in storage.key_encryption_key_wrapping by what")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        key = base64.b64decode(line, validate=True)
    except ValueError as error:
        raise ConfigError(f"{path}: must hold {KEY_BYTES} bytes as base64, is not base64") from error
    if len(key) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise ConfigError(f"{path}: must hold {KEY_BYTES} bytes as base64, has {len(key)}")
    return key


def new_key_path(path: Path) -> Path:
    """Where the key lies that is to take the place of the one at `path`, while that goes on."""
    return path.with_name(path.name + ".new")


def old_key_path(path: Path) -> Path:
    """Where the key lies that the one at `path` took the place of."""
    return path.with_name(path.name + ".old")


def write_key_durably(path: Path, key: bytes, wrapping: Wrapping = None) -> None:
    """Write a key, in the place of what is there, so that after a crash it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    write_key_encryption_key(part, key, wrapping)
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def place_key(path: Path) -> None:
    """The new key takes the place of the one at `path`, which is kept beside it; there is one at every instant."""
    old = old_key_path(path)
    old.unlink(missing_ok=True)
    os.link(path, old)
    new_key_path(path).replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_key_encryption_key(path: Path, key: bytes, wrapping: Wrapping = None) -> None:
    """Write a new key-encryption key, readable by its owner alone. Raises ConfigError, OSError."""
    line = base64.b64encode(key)
    if wrapping is not None:
        line = wrap(line, wrapping)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(line.decode() + "\n")
