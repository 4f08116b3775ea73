"""The published ledger as files: one folder a registry, laid out as C2SP tlog-tiles lays out its paths.

Any web server can serve the folder; any program can check it without us. The tiles are not copied out of the database
but computed from the entries that are written, and the checkpoint is written, last of all, only where they lead to its
root: a folder with a checkpoint is whole.

Beside them lies the newest checkpoint that has a time stamp, with the stamp, where there is one: what is exported
begins with it, and that much existed at the stamp's time.

A folder that is there already is extended. It must be of the same log, and what it holds must be how this ledger
begins; after an interruption it goes on behind the last full tile that was written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from ledger.checkpoint import Checkpoint
from ledger.errors import CheckpointError, CheckpointNotFoundError, ExportError, LedgerDamagedError
from ledger.hashing import leaf_hash
from ledger.log_keys import LogKeys
from ledger.publish import latest_checkpoint
from ledger.resource import CHECKPOINT_NAME, Resource, edge_of, encode_bundle, read_entry_bytes
from ledger.stamp_store import newest_stamped
from ledger.tile import TILE_BYTES, TILE_WIDTH, FullTile, TileKey, TileTree
from ledger.tree import root

VKEY_NAME: Final = "vkey"
STAMPED_NAME: Final = "checkpoint.stamped"
STAMP_NAME: Final = "checkpoint.tsr"
"""The time stamp of `STAMPED_NAME`."""
_FRESH_NAME: Final = ".new"
_START_ANEW: Final = "remove the folder and export anew"


def export_ledger(
    conn: Connection,
    registry: str,
    vkey: str | LogKeys,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    encode_stamp: Callable[[bytes], bytes] = bytes,
) -> Checkpoint:
    """Write the published ledger of `registry` into `folder`, or what is new of it; return its checkpoint.

    vkey: of the registry's log, or all that it has had; those that signed are written beside the checkpoint for
    convenience, and no reason to trust them. `progress`
    gets (entries written, entries in all) between reads, when no row is needed any more: the caller may end its
    transaction there, for what is published never changes. encode_stamp: how a token is written to a file.

    Raises ExportError (the folder is of something else or damaged), CheckpointNotFoundError, CheckpointError (the
    checkpoint does not open with `vkey`), LedgerDamagedError (the entries do not lead to the checkpoint's root),
    RegistryUnknownError, OSError.
    """
    signed = latest_checkpoint(conn, registry)
    if signed is None:
        raise CheckpointNotFoundError(registry)
    keys = LogKeys.of(vkey)
    checkpoint = keys.open(signed.note)
    export = _Export(folder, registry)
    before = export.opened(keys)
    if before is not None and before.size > checkpoint.size:
        raise ExportError(
            str(folder),
            f"its checkpoint is of size {before.size}, the ledger's last one of {checkpoint.size}: the database is "
            "older than the export. Keep both, and restore the newer database",
        )
    tree = export.resume(checkpoint.size)
    unchecked = before
    while tree.size < checkpoint.size:
        progress(tree.size, checkpoint.size)
        first = tree.size
        entries = read_entry_bytes(conn, registry, first, min(TILE_WIDTH, checkpoint.size - first))
        full = tree.extend(map(leaf_hash, entries))
        if unchecked is not None and tree.size >= unchecked.size:
            export.check_beginning(tree, unchecked)
            unchecked = None
        export.write(first, entries, full)
    if unchecked is not None:
        export.check_beginning(tree, unchecked)
    if export.root(tree, checkpoint.size) != checkpoint.root:
        raise LedgerDamagedError(
            registry,
            f"ledger_checkpoint size {checkpoint.size}",
            f"the entries, or tiles that were in {folder} before, do not lead to its root; where the ledger verifies, "
            f"{_START_ANEW}",
        )
    stamped = newest_stamped(conn, registry)
    if stamped is not None and stamped.size <= checkpoint.size:
        export.write_stamp(stamped.note, encode_stamp(stamped.token))
    export.finish(tree, signed.note, keys.at(checkpoint.size), before)
    progress(checkpoint.size, checkpoint.size)
    return checkpoint


class _Export:
    """The folder of one registry."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._folder = folder
        self._registry = registry

    def opened(self, keys: LogKeys) -> Checkpoint | None:
        """The checkpoint that the folder holds; None for a new folder or one whose first export was interrupted."""
        path = self._folder / CHECKPOINT_NAME
        if not path.exists():
            return None
        try:
            return keys.open(path.read_bytes())
        except CheckpointError as error:
            raise ExportError(
                str(path),
                f"it is not of the log {keys.keys[-1].vkey}: {error.rule}; export into another folder",
            ) from error

    def resume(self, size: int) -> TileTree:
        """The tree of the full bundles and tiles that the folder holds in a row, of `size` entries at most."""
        count = 0
        while (count + 1) * TILE_WIDTH <= size and all(
            self._path(Resource(level, count)).exists() for level in (None, 0)
        ):
            count += 1
        return TileTree.resume(self._registry, count * TILE_WIDTH, [], self.load)

    def load(self, key: TileKey) -> bytes:
        """The bytes of a full tile of the folder. Raises ExportError."""
        path = self._path(Resource(*key))
        hashes = path.read_bytes() if path.exists() else b""
        if len(hashes) != TILE_BYTES:
            raise ExportError(str(path), f"it has {len(hashes)} bytes, not {TILE_BYTES}; {_START_ANEW}")
        return hashes

    def root(self, tree: TileTree, size: int) -> bytes:
        """The root of the first `size` entries of the tree. Raises ExportError."""
        try:
            return root(size, tree.reader(self.load))
        except LedgerDamagedError as error:
            raise ExportError(str(self._folder), f"{error.row}: {error.rule}; {_START_ANEW}") from error

    def check_beginning(self, tree: TileTree, before: Checkpoint) -> None:
        """The checkpoint that is there must be one of this tree's. Raises ExportError."""
        if self.root(tree, before.size) != before.root:
            raise ExportError(
                str(self._folder),
                f"its checkpoint of size {before.size} is not how this ledger begins: either its tiles were changed "
                f"({_START_ANEW}), or the ledger was: then keep both, they are the proof",
            )

    def write(self, first: int, entries: Sequence[bytes], full: Sequence[FullTile]) -> None:
        """Write the entries from index `first` on, at most a bundle, and the tiles that became full by them.

        A full tile of level 0 comes last: where it is, everything before it is.
        """
        self._write(Resource(None, first // TILE_WIDTH, len(entries)).name, encode_bundle(entries))
        for tile in reversed(full):
            self._write(Resource(tile.level, tile.index).name, tile.hashes)

    def write_stamp(self, note: bytes, stamp: bytes) -> None:
        """Write a checkpoint and its time stamp; after an interruption between the two, both are written again."""
        self._write(STAMPED_NAME, note)
        self._write(STAMP_NAME, stamp)

    def finish(self, tree: TileTree, note: bytes, vkeys: Sequence[str], before: Checkpoint | None) -> None:
        """Write the partial tiles, then the checkpoint; partial forms of what is full now are no longer needed."""
        for edge in edge_of(tree.size):
            if edge.level is not None:
                self._write(edge.name, tree.tile((edge.level, edge.index), self.load).hashes())
        self._write(VKEY_NAME, "".join(f"{vkey}\n" for vkey in vkeys).encode())
        self._write(CHECKPOINT_NAME, note)
        for edge in edge_of(before.size if before is not None else 0):
            if self._path(Resource(edge.level, edge.index)).exists():
                shutil.rmtree(self._folder / edge.partial_folder)

    def _path(self, resource: Resource) -> Path:
        return self._folder / resource.name

    def _write(self, name: str, data: bytes) -> None:
        """Have the file there as a whole or not at all."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._folder / _FRESH_NAME
        with fresh.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
