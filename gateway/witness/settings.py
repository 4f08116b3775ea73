"""A witness's folder: `witness.toml`, its key, its memory. Made by `diya witness init`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.witness.state import WitnessState
from ledger.checkpoint import check_vkey
from ledger.cosignature import Cosigner
from ledger.errors import CheckpointError

SETTINGS: Final = "witness.toml"
KEY: Final = "witness-key.pem"
STATE: Final = "witness-state.json"
LISTEN: Final = "127.0.0.1:7480"


class WitnessUnusable(Exception):
    """The folder holds no witness that can serve; the message names the file and what to do."""


@dataclass(frozen=True)
class WitnessSettings:
    """A witness ready to serve. logs: origin → the vkeys that are trusted for it."""

    cosigner: Cosigner
    state: WitnessState
    logs: Mapping[str, Sequence[str]]
    host: str
    port: int


def create_witness(folder: Path, name: str, logs: Sequence[str], listen: str = LISTEN) -> Cosigner:
    """Make `folder` a witness of that name for the logs with these vkeys.

    Raises WitnessUnusable: it holds one already, or name, address or a vkey cannot be used; nothing is changed then.
    """
    if any((folder / file).exists() for file in (SETTINGS, KEY, STATE)):
        raise WitnessUnusable(f"{folder} holds a witness already; choose another folder")
    key = Ed25519PrivateKey.generate()
    try:
        cosigner = Cosigner(name, key)
    except CheckpointError as error:
        raise WitnessUnusable(f"the name {name!r} cannot be used: {error.rule}") from error
    if not logs:
        raise WitnessUnusable("a witness watches one log at least: give its vkey with --log")
    _by_origin(logs, "--log")
    _address(listen, "--listen")
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    WitnessState.create(folder / STATE)
    (folder / SETTINGS).write_text(_toml(name, logs, listen), encoding="utf-8")
    return cosigner


def read_witness(folder: Path) -> WitnessSettings:
    """Read a witness's folder. Raises WitnessUnusable, StateUnusable, OSError."""
    path = folder / SETTINGS
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WitnessUnusable(f"{path}: no such file; `diya witness init` makes one") from error
    except ValueError as error:
        raise WitnessUnusable(f"{path}: not valid TOML: {error}") from error
    name, listen, logs = (_value(values, path, key, kind) for key, kind in _KINDS.items())
    host, port = _address(listen, f"{path}: listen")
    try:
        cosigner = Cosigner(name, _read_key(folder / KEY))
    except CheckpointError as error:
        raise WitnessUnusable(f"{path}: name: {error.rule}") from error
    return WitnessSettings(
        cosigner, WitnessState(folder / STATE), _by_origin(logs, f"{path}: logs"), host, port
    )


_KINDS: Final[dict[str, type]] = {"name": str, "listen": str, "logs": list}


def _value(values: Mapping[str, Any], path: Path, key: str, kind: type) -> Any:
    if not isinstance(values.get(key), kind):
        raise WitnessUnusable(f"{path}: {key} is missing, or of another kind")
    return values[key]


def _by_origin(vkeys: Sequence[Any], what: str) -> dict[str, list[str]]:
    logs: dict[str, list[str]] = {}
    for vkey in vkeys:
        try:
            logs.setdefault(check_vkey(str(vkey)), []).append(str(vkey))
        except CheckpointError as error:
            raise WitnessUnusable(f"{what}: {vkey}: {error.rule}") from error
    return logs


def _address(listen: str, what: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise WitnessUnusable(f"{what}: {listen} is not HOST:PORT")
    return host, int(port)


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WitnessUnusable(f"{path}: not a private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WitnessUnusable(f"{path}: a witness's key must be Ed25519")
    return key


def _toml(name: str, logs: Sequence[str], listen: str) -> str:
    vkeys = "".join(f'  "{vkey}",\n' for vkey in logs)
    return f"""\
# A witness (C2SP tlog-witness). Key and memory lie beside this file; the memory is NEVER restored from a backup.
name = "{name}"      # in its cosignatures; never change it
listen = "{listen}"  # plain HTTP; TLS is the reverse proxy's

# Verifier keys of the ledgers that are watched, obtained from the authorities by a way you trust.
logs = [
{vkeys}]
"""
