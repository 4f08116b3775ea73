"""The last checkpoint seen of each registry, and the demand that every other one agrees with it.

A ledger that shows one history to one bank and another to the next is found out here, or never:
keep the memory on disk (`FolderCheckpoints`) and do not lose it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from gateway.client.errors import InputError, RequestError
from gateway.client.receipt import verify_progress
from gateway.client.trust import LedgerTrust
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import CheckpointError

_AGREED_MAX: Final = 1024

FetchConsistency = Callable[[str, int, int], Awaitable[Sequence[bytes]]]
"""(registry, older size, newer size) → consistency proof. Raises RequestError."""


class CheckpointMemory(Protocol):
    """Where the last signed note of each registry is kept."""

    def last(self, registry: str) -> bytes | None:
        """The note kept last, None before the first."""
        ...

    def keep(self, registry: str, note: bytes) -> None:
        """Keep this note instead."""
        ...


class MemoryCheckpoints:
    """Forgets when the process ends: for tests and one-shot programs."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    def last(self, registry: str) -> bytes | None:
        """The note kept last."""
        return self._notes.get(registry)

    def keep(self, registry: str, note: bytes) -> None:
        """Keep this note instead."""
        self._notes[registry] = note


class FolderCheckpoints:
    """One file `<registry>.checkpoint` for each registry, replaced in one step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, registry: str) -> bytes | None:
        """The note kept last."""
        path = self._path(registry)
        return path.read_bytes() if path.exists() else None

    def keep(self, registry: str, note: bytes) -> None:
        """Keep this note instead."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(registry)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(note)
        fresh.replace(path)

    def _path(self, registry: str) -> Path:
        return self._folder / f"{registry}.checkpoint"


class Progress:
    """Compares checkpoints of verified receipts with the one kept, and keeps the larger."""

    def __init__(self, memory: CheckpointMemory, trust: LedgerTrust, fetch: FetchConsistency) -> None:
        self._memory = memory
        self._trust = trust
        self._fetch = fetch
        self._known: dict[str, Checkpoint] = {}
        self._agreed: dict[tuple[str, int], bytes] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def compare(self, registry: str, seen: Checkpoint, note: bytes) -> bool:
        """True when `seen` and the one kept are of one history; False when no proof could be had
        now.

        `seen` comes from `note`, whose signature was checked. One proof is asked for each new size.
        Raises ReceiptInvalid (check 8).
        """
        async with self._locks.setdefault(registry, asyncio.Lock()):
            known = self._known.get(registry) or self._load(registry)
            if known is None:
                self._keep(registry, seen, note)
                return True
            agreed = self._agreed.get((registry, seen.size))
            if agreed == seen.root and known.origin == seen.origin:
                return True
            old, new = sorted((known.size, seen.size))
            proof: Sequence[bytes] = ()
            if 0 < old < new:
                try:
                    proof = await self._fetch(registry, old, new)
                except RequestError:
                    return False
            verify_progress(known, seen, proof)
            if seen.size > known.size:
                self._keep(registry, seen, note)
            else:
                self._remember(registry, seen)
            return True

    def _load(self, registry: str) -> Checkpoint | None:
        note = self._memory.last(registry)
        if note is None:
            return None
        for vkey in self._trust.vkeys(registry):
            try:
                known = open_checkpoint(note, vkey)
            except CheckpointError:
                continue
            self._known[registry] = known
            self._remember(registry, known)
            return known
        raise InputError(
            f"the checkpoint kept of registry {registry} is not signed by a trusted key: "
            "the key was "
            "replaced (trust the old one too) or the file was changed",
            f"所保存的登记机构 {registry} 的检查点不是由受信任的公钥签名："
            "公钥已更换（请同时保留旧公钥）或者文件被改动",
        )

    def _keep(self, registry: str, seen: Checkpoint, note: bytes) -> None:
        self._memory.keep(registry, note)
        self._known[registry] = seen
        self._remember(registry, seen)

    def _remember(self, registry: str, seen: Checkpoint) -> None:
        if len(self._agreed) >= _AGREED_MAX:
            del self._agreed[next(iter(self._agreed))]
        self._agreed[registry, seen.size] = seen.root
