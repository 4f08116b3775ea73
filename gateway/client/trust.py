"""Whose checkpoints are believed: the verifier keys (vkeys) of registries, obtained once by a
trusted way.

A trust folder holds one file `<registry>.vkey` for each registry: a vkey a line, `#` begins a
comment. Several lines while a key is being replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from gateway.client.errors import InputError

SUFFIX = ".vkey"


class LedgerTrust:
    """Registry id → verifier keys. Immutable."""

    def __init__(self, vkeys: Mapping[str, Sequence[str]]) -> None:
        self._vkeys = MappingProxyType({name: tuple(keys) for name, keys in vkeys.items()})

    def vkeys(self, registry: str) -> tuple[str, ...]:
        """The keys of a registry; empty when none is trusted."""
        return self._vkeys.get(registry, ())

    @property
    def registries(self) -> tuple[str, ...]:
        """Ids of the registries known, sorted."""
        return tuple(sorted(self._vkeys))


def read_trust(folder: Path) -> LedgerTrust:
    """The trust in a folder. Raises InputError when the folder is missing or holds no vkey."""
    vkeys = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        keys = [line for line in lines if line and not line.startswith("#")]
        if keys:
            vkeys[path.name.removesuffix(SUFFIX)] = keys
    if not vkeys:
        raise InputError(
            f"{folder} holds no <registry>{SUFFIX} file; ask the authority for its ledger's key",
            f"{folder} 中没有 <登记机构>{SUFFIX} 文件；请向登记机构索取账本公钥",
        )
    return LedgerTrust(vkeys)
