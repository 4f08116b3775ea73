"""Another key-encryption key for a ledger: every part key wrapped anew, a few at a time, in the caller's transactions.

What is sealed does not change, only what wraps the keys. A run that was broken off is taken up by running it again:
a key that opens under the new vault already is left as it is. The check value of the head comes last, so that a ledger
says which of the two keys it wants.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from ledger.erasure import leaving_nothing
from ledger.errors import SealBrokenError, WrongKeyError
from ledger.tables import ledger_head, ledger_key
from ledger.vault import Vault, key_aad

_AFTER: Final = (
    select(ledger_key.c.key_id, ledger_key.c.wrapped, ledger_key.c.created_index)
    .where(ledger_key.c.registry == bindparam("registry"), ledger_key.c.key_id > bindparam("after"))
    .order_by(ledger_key.c.key_id)
    .limit(bindparam("count"))
)
_REWRAP: Final = (
    update(ledger_key)
    .where(ledger_key.c.registry == bindparam("of_registry"), ledger_key.c.key_id == bindparam("of_key"))
    .values(wrapped=bindparam("wrapped_anew"))
)


def rewrap_keys(
    conn: Connection, registry: str, old: Vault, new: Vault, after: str, count: int
) -> tuple[str, int]:
    """Wrap at most `count` keys behind the key id `after` anew; the last one seen, and how many were changed.

    The last one is empty when there are no more. Raises SealBrokenError for a key that opens under neither.
    """
    rows = conn.execute(_AFTER, {"registry": registry, "after": after, "count": count}).all()
    changed = []
    for key_id, wrapped, created_index in rows:
        aad = key_aad(registry, key_id, created_index)
        if not _opens(new, wrapped, aad):
            anew = new.wrap(_unwrapped(old, wrapped, aad, key_id), aad)
            changed.append({"of_registry": registry, "of_key": key_id, "wrapped_anew": anew})
    if changed:
        with leaving_nothing(conn):
            conn.execute(_REWRAP, changed)
    return (rows[-1].key_id if rows else ""), len(changed)


def rewrap_check(conn: Connection, registry: str, old: Vault, new: Vault) -> None:
    """Let the ledger want the new key, once every key of it has been wrapped anew. Raises WrongKeyError."""
    head = ledger_head.c
    value = conn.execute(select(head.key_check).where(head.registry == registry)).scalar_one()
    try:
        new.verify_check_value(registry, value)
    except WrongKeyError:
        old.verify_check_value(registry, value)
        statement = update(ledger_head).where(head.registry == registry)
        conn.execute(statement.values(key_check=new.check_value(registry)))


def _opens(vault: Vault, wrapped: bytes, aad: bytes) -> bool:
    try:
        vault.unwrap(wrapped, aad)
    except SealBrokenError:
        return False
    return True


def _unwrapped(vault: Vault, wrapped: bytes, aad: bytes, key_id: str) -> bytes:
    try:
        return vault.unwrap(wrapped, aad)
    except SealBrokenError as error:
        raise SealBrokenError(f"key {key_id}") from error
