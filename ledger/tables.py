"""The ledger's tables, for SQLite and PostgreSQL alike.

Every primary key begins with the registry (one authority, one chain), so that each registry can
live on its own node of a distributed PostgreSQL. There is no other index: rows arrive in key order
and a random index would slow an append several times over. Times are integers, microseconds since
1970-01-01T00:00:00Z, because no column type keeps a UTC time exactly on both databases.

Rows are only ever added, save for one row a registry in `ledger_head` and one in
`ledger_published`. Erasing evidence destroys a row of `ledger_key` (ledger/erasure.py); another
key-encryption key wraps those rows anew (ledger/rewrap.py); a cosignature that does not hold is
replaced or taken away (ledger/cosignature_store.py). Nothing else changes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table

from ledger.entry import NAME_CHARACTERS_MAX, ORIGIN_CHARACTERS_MAX

REGISTRY_CHARACTERS_MAX: Final = 64
VKEY_CHARACTERS_MAX: Final = 2048  # 1752 of an ML-DSA-44 key, its id and a name

metadata: Final = MetaData()


def _registry() -> Column[str]:
    return Column("registry", String(REGISTRY_CHARACTERS_MAX), primary_key=True)


# The end of the chain. Whoever appends locks this row first and reads it afterwards.
ledger_head: Final = Table(
    "ledger_head",
    metadata,
    _registry(),
    Column("origin", String(ORIGIN_CHARACTERS_MAX), nullable=False),
    Column("size", BigInteger, nullable=False),  # number of entries
    Column("head_hash", LargeBinary, nullable=False),  # entry hash of the last entry, 32 bytes
    Column("head_time", BigInteger, nullable=False),  # time of the last entry, microseconds
    Column("frontier", LargeBinary, nullable=False),  # ledger.tree.Frontier.encode()
    Column("key_check", LargeBinary, nullable=False),  # Vault.check_value()
)

ledger_entry: Final = Table(
    "ledger_entry",
    metadata,
    _registry(),
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),  # the bytes of the entry
)

ledger_part: Final = Table(
    "ledger_part",
    metadata,
    _registry(),
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(NAME_CHARACTERS_MAX), primary_key=True),
    Column("key_id", String(NAME_CHARACTERS_MAX), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # nonce || AES-256-GCM(salt || content) || tag
)

ledger_key: Final = Table(
    "ledger_key",
    metadata,
    _registry(),
    Column("key_id", String(NAME_CHARACTERS_MAX), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # the key under the key-encryption key
    Column("created_index", BigInteger, nullable=False),  # index of the entry that used it first
)

# Keys that were destroyed, and by which entry. Made again from the entries (ledger/erasure.py).
ledger_erasure: Final = Table(
    "ledger_erasure",
    metadata,
    _registry(),
    Column("key_id", String(NAME_CHARACTERS_MAX), primary_key=True),
    Column("entry_index", BigInteger, nullable=False),  # of the entry whose part lists the key
)

# Every checkpoint that was ever signed, each naming the one before it.
ledger_checkpoint: Final = Table(
    "ledger_checkpoint",
    metadata,
    _registry(),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("previous_size", BigInteger, nullable=True),  # NULL for the first checkpoint
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),  # the signed note, verbatim
)

# The compare-and-swap row: the largest tree that was ever signed, (0, EMPTY_ROOT) at first.
ledger_published: Final = Table(
    "ledger_published",
    metadata,
    _registry(),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
)

# Full tiles of C2SP tlog-tiles: 256 hashes of 32 bytes. Partial ones are never stored.
ledger_tile: Final = Table(
    "ledger_tile",
    metadata,
    _registry(),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("tile_index", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

# What witnesses cosigned, a line for each on the note of a checkpoint. Witnesses can be asked again for the newest.
ledger_cosignature: Final = Table(
    "ledger_cosignature",
    metadata,
    _registry(),
    Column("size", BigInteger, primary_key=True, autoincrement=False),  # of the checkpoint
    Column("vkey", String(VKEY_CHARACTERS_MAX), primary_key=True),  # the witness's verifier key
    Column("line", LargeBinary, nullable=False),  # the signature line, with its newline
)

# Time stamps (RFC 3161) over notes of checkpoints, not over each. Whoever was shown one can show it still.
ledger_stamp: Final = Table(
    "ledger_stamp",
    metadata,
    _registry(),
    Column("size", BigInteger, primary_key=True, autoincrement=False),  # of the checkpoint
    Column("token", LargeBinary, nullable=False),  # TimeStampToken, DER, over the checkpoint's note
)

LATER: Final = (ledger_cosignature, ledger_erasure, ledger_stamp)
"""Tables that a ledger of an older version has not; made empty where they are missing, for nothing is lost in them."""
