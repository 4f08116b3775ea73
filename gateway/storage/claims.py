"""Which files have been named by which case: read out of the evidence, entry by entry, as far as it has grown.

No effect says it, for a file's digest is evidence. It is asked before a file goes: when its case is erased, or when
nobody has claimed it for too long. All of this runs on the writing connection.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, select

from gateway.cases.effects import ErasedFile
from gateway.storage import tables as t
from gateway.storage.files import FileStore
from gateway.storage.working import instant
from ledger.errors import PartErasedError, PartNotFoundError
from ledger.rows import read_rows, write_rows
from ledger.store import Ledger

_PAYLOAD: Final = "evidence/payload"

#: Length and bytes of a field of 32 bytes, at any place: every digest in a protobuf message, whatever its type.
_OF_32_BYTES: Final = re.compile(rb"(?=\x20(.{32}))", re.DOTALL)

#: Files looked at in one transaction.
FILES_AT_ONCE: Final = 500

_decode_files = msgspec.json.Decoder(tuple[ErasedFile, ...]).decode


class ErasedCase(NamedTuple):
    """A case whose evidence was erased at an instant (as the views keep it), and the files that it named."""

    application_id: str
    files: tuple[ErasedFile, ...]
    at: str


def named_files(connection: Connection, registry: str, payloads: Iterable[bytes]) -> list[ErasedFile]:
    """The uploaded files of a registry whose digests stand in these messages, whoever uploaded them.

    Acts of every type are read alike: an act that names files in a way that came later is not missed.
    """
    digests = {found.hex() for payload in payloads for found in _OF_32_BYTES.findall(payload)}
    found = read_rows(connection, t.file, registry, ["sha256"], [(digest,) for digest in sorted(digests)])
    names = t.file.columns.keys()
    rows = [dict(zip(names, row, strict=True)) for row in found]
    return [ErasedFile(institution=row["institution"], sha256=row["sha256"]) for row in rows]


def files_of_case(
    connection: Connection, ledger: Ledger, registry: str, application_id: str, institutions: Iterable[str]
) -> tuple[ErasedFile, ...]:
    """The files that a case and its later acts name, of those that `institutions` uploaded. Reads its evidence."""
    request = t.request
    indexes = connection.execute(
        select(request.c.entry_index).where(
            request.c.registry == registry, request.c.application_id == application_id
        )
    ).scalars()
    payloads = [_payload(connection, ledger, registry, index) for index in indexes.all()]
    own = set(institutions)
    found = [file for file in named_files(connection, registry, payloads) if file.institution in own]
    return tuple(sorted(found, key=lambda file: (file.sha256, file.institution)))


def read_claims(connection: Connection, ledger: Ledger, registry: str, count: int) -> int:
    """Read the claims of at most `count` further entries; how many are left."""
    size = ledger.head(connection, registry, for_update=False).size
    done = connection.execute(
        select(t.file_claims_read.c.size).where(t.file_claims_read.c.registry == registry)
    ).scalar()
    start = done if done is not None and done <= size else 0  # more than there is: another database's
    stop = min(size, start + count)
    request = t.request
    acts = connection.execute(
        select(request.c.entry_index, request.c.application_id).where(
            request.c.registry == registry, request.c.entry_index >= start, request.c.entry_index < stop
        )
    ).all()
    claims = {
        (file.sha256, application_id): index
        for index, application_id in acts
        if application_id
        for file in named_files(connection, registry, [_payload(connection, ledger, registry, index)])
    }
    rows = [
        {"registry": registry, "sha256": sha256, "application_id": application_id, "entry_index": index}
        for (sha256, application_id), index in claims.items()
    ]
    if rows:
        write_rows(connection, t.file_claim, rows, upsert=True)
    write_rows(connection, t.file_claims_read, [{"registry": registry, "size": stop}], upsert=True)
    return size - stop


def erase_files(connection: Connection, files: FileStore, registry: str, application_id: str) -> int:
    """Take away the files of an erased case that no other case names; how many went. Once more does no harm.

    The claims must have been read. Bytes go before their row: what a crash leaves between is found again.
    """
    erased = connection.execute(
        select(t.erasure).where(
            t.erasure.c.registry == registry, t.erasure.c.application_id == application_id
        )
    ).first()
    if erased is None:
        return 0
    claim = t.file_claim
    connection.execute(
        delete(claim).where(claim.c.registry == registry, claim.c.application_id == application_id)
    )
    gone = 0
    for file in _decode_files(erased.files):
        if _is_claimed(connection, registry, file.sha256):
            continue
        row = _row(connection, registry, file)
        if row is None or row.uploaded_at <= erased.at:  # not what was uploaded anew since
            gone += _take_away(connection, files, registry, file)
    return gone


def expire_files(connection: Connection, files: FileStore, registry: str, before: dt.datetime) -> int:
    """Take away files uploaded before an instant that no case has named; how many went.

    The claims must have been read.
    """
    table, claim = t.file, t.file_claim
    claimed = select(claim.c.sha256).where(claim.c.registry == registry, claim.c.sha256 == table.c.sha256)
    old = connection.execute(
        select(table.c.institution, table.c.sha256)
        .where(table.c.registry == registry, table.c.uploaded_at < instant(before), ~claimed.exists())
        .limit(FILES_AT_ONCE)
    ).all()
    for institution, sha256 in old:
        _take_away(connection, files, registry, ErasedFile(institution=institution, sha256=sha256))
    return len(old)


def erased_cases(connection: Connection, registry: str) -> list[ErasedCase]:
    """The cases whose evidence was erased."""
    e = t.erasure.c
    rows = connection.execute(select(e.application_id, e.files, e.at).where(e.registry == registry))
    return [ErasedCase(application_id, _decode_files(files), at) for application_id, files, at in rows]


def _payload(connection: Connection, ledger: Ledger, registry: str, index: int) -> bytes:
    try:
        return ledger.read_part(connection, registry, index, _PAYLOAD)[1]
    except (PartNotFoundError, PartErasedError):  # erased: it claims nothing any more
        return b""


def _is_claimed(connection: Connection, registry: str, sha256: str) -> bool:
    claim = t.file_claim
    statement = select(claim.c.sha256).where(claim.c.registry == registry, claim.c.sha256 == sha256)
    return connection.execute(statement.limit(1)).first() is not None


def _key(registry: str, file: ErasedFile) -> tuple[ColumnElement[bool], ...]:
    table = t.file.c
    return (
        table.registry == registry,
        table.institution == file.institution,
        table.sha256 == file.sha256,
    )


def _row(connection: Connection, registry: str, file: ErasedFile) -> Any:
    return connection.execute(select(t.file).where(*_key(registry, file))).first()


def _take_away(connection: Connection, files: FileStore, registry: str, file: ErasedFile) -> bool:
    """A file's row, and its bytes where no other row, certificate or registry has the same ones."""
    table = t.file
    statement = select(func.count()).select_from(table).where(table.c.sha256 == file.sha256)
    rows = connection.execute(statement).scalar() or 0
    own = 0 if _row(connection, registry, file) is None else 1
    certificate = t.certificate.c
    sealed = select(certificate.identifier).where(certificate.pdf_sha256 == file.sha256)
    was_there = False
    if rows == own and connection.execute(sealed).first() is None:
        was_there = files.remove(file.sha256)
    connection.execute(delete(table).where(*_key(registry, file)))
    return was_there or own == 1
