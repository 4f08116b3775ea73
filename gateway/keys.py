"""Reading the two secrets that a registry's ledger rests on: the key that signs it, the key that encrypts it."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.config import ConfigError
from ledger.checkpoint import NoteSigner
from ledger.vault import KEY_BYTES


def note_signer(origin: str, path: Path) -> NoteSigner:
    """The ledger's Ed25519 key under its origin's name. Raises ConfigError, OSError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: not a private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: a ledger key must be Ed25519")
    return NoteSigner(origin, key)


def read_key_encryption_key(path: Path) -> bytes:
    """32 bytes as base64 in a file that only the service may read. Raises ConfigError, OSError."""
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others may read the key-encryption key; run chmod 600 on it")
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except ValueError as error:
        raise ConfigError(f"{path}: must hold {KEY_BYTES} bytes as base64, is not base64") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path}: must hold {KEY_BYTES} bytes as base64, has {len(key)}")
    return key


def write_key_encryption_key(path: Path, key: bytes) -> None:
    """Write a new key-encryption key, readable by its owner alone."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(base64.b64encode(key).decode() + "\n")
