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
from gateway.client.local_files import fault_of, not_read
from ledger.checkpoint import check_vkey
from ledger.errors import CheckpointError, PolicyError
from ledger.policy import Policy, parse_policy

SUFFIX = ".vkey"


class LedgerTrust:
    """Registry id → verifier keys. Immutable."""

    def __init__(self, vkeys: Mapping[str, Sequence[str]]) -> None:
        self._vkeys = MappingProxyType({name: tuple(keys) for name, keys in vkeys.items()})

    def vkeys(self, registry: str) -> tuple[str, ...]:
        """The keys of a registry; empty when none is trusted."""
        return self._vkeys.get(registry, ())

    def by_origin(self) -> dict[str, tuple[str, ...]]:
        """The vkeys by the log that they are of: a log may have had several, a registry several logs."""
        found: dict[str, tuple[str, ...]] = {}
        for vkey in (vkey for vkeys in self._vkeys.values() for vkey in vkeys):
            found[check_vkey(vkey)] = (*found.get(check_vkey(vkey), ()), vkey)
        return found

    @property
    def registries(self) -> tuple[str, ...]:
        """Ids of the registries known, sorted."""
        return tuple(sorted(self._vkeys))


def read_trust(folder: Path) -> LedgerTrust:
    """The trust in a folder. Raises InputError when the folder is missing or holds no vkey, and for a file in it that
    is none: passed over in silence it would look like a ledger that nobody trusts.
    """
    vkeys = {path.name.removesuffix(SUFFIX): _read_vkeys(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
    if not vkeys:
        raise InputError(
            f"{folder} holds no <registry>{SUFFIX} file; ask the authority for its ledger's key",
            f"{folder} 中没有 <登记机构>{SUFFIX} 文件；请向登记机构索取账本公钥",
        )
    return LedgerTrust(vkeys)


def read_policy(path: Path) -> Policy:
    """A trust policy (C2SP tlog-policy): which witnesses must have cosigned. Raises InputError."""
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise not_read(path, error) from error
    except PolicyError as error:
        raise InputError(
            f"{path} is no trust policy (C2SP tlog-policy): line {error.line}: {error.rule}",
            f"{path} 不是信任策略（C2SP tlog-policy）：第 {error.line} 行有误",
        ) from error


def _read_vkeys(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise not_read(path, error) from error
    except ValueError as error:
        raise _no_vkey(path, *fault_of(error)) from error
    keys = []
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        try:
            check_vkey(line)
        except CheckpointError as error:
            raise _no_vkey(path, f"line {number}: {error}", f"第 {number} 行不是账本公钥") from error
        keys.append(line)
    if not keys:
        raise _no_vkey(path, "it holds no key", "其中没有公钥")
    return keys


def _no_vkey(path: Path, why: str, why_zh: str) -> InputError:
    return InputError(
        f"{path} is not a verifier key of a ledger: {why}; ask the authority for it again, by a way you trust",
        f"{path} 不是账本公钥：{why_zh}；请通过可信途径向登记机构重新索取",
    )
