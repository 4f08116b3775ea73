"""The statements behind `Queries`, on a connection that the caller opened."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, exists, select

from gateway.cases.model import Application
from gateway.storage import tables as t
from gateway.storage.working import Row
from ledger.cosignature_store import cosignature_lines
from ledger.tables import ledger_checkpoint

decode_application = msgspec.json.Decoder(Application).decode


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A signed checkpoint: tree size, root (32 bytes), the note's exact bytes with its witnesses' lines behind them.

    own: the note as the log signed it, without cosignatures.
    """

    size: int
    root: bytes
    note: bytes
    own: bytes


@dataclass(frozen=True, slots=True)
class ApplicationFilter:
    """Which applications a list holds; None and empty mean all. `institution` is whose list it is.

    `case_id` is the application of the first phase of a case; instants are of submission, the second one excluded.
    """

    institution: str | None = None
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    unit_code: str = ""
    applicant_institution: str = ""
    case_id: str = ""
    case_number: str = ""
    submitted_after: dt.datetime | None = None
    submitted_before: dt.datetime | None = None

    def fits(self, row: Application) -> bool:
        """What no statement asks: these are in the row's body alone."""
        return (not self.kinds or row.kind.value in self.kinds) and (
            self.applicant_institution in ("", row.applicant_institution)
        )


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates a list holds; None and empty mean all."""

    institution: str | None = None
    states: tuple[str, ...] = ()
    application_id: str = ""
    unit_code: str = ""
    number: str = ""


def first(connection: Connection, statement: Select[Any]) -> Row | None:
    found = connection.execute(statement.limit(1)).mappings().first()
    return None if found is None else dict(found)


def one(connection: Connection, table: Table, registry: str, *key: Any) -> Row | None:
    """A row by its primary key."""
    columns = list(table.primary_key.columns)[1:]
    conditions = [column == value for column, value in zip(columns, key, strict=True)]
    return first(connection, select(table).where(table.c.registry == registry, *conditions))


def find_application(connection: Connection, registry: str, application_id: str) -> Application | None:
    row = one(connection, t.application, registry, application_id)
    return None if row is None else decode_application(row["body"])


def select_newest_applications(
    registry: str, wanted: ApplicationFilter, start: int, before: int | None
) -> Select[Any]:
    """(submitted_index, body), newest first, from one index up to below another."""
    application, link, unit = t.application, t.application_institution, t.application_unit
    institution = wanted.institution
    if institution is None:
        index = application.c.submitted_index
        statement = select(index, application.c.body).where(application.c.registry == registry)
    else:
        index = link.c.submitted_index
        join = link.join(
            application,
            (application.c.registry == link.c.registry)
            & (application.c.application_id == link.c.application_id),
        )
        statement = (
            select(index, application.c.body)
            .select_from(join)
            .where(link.c.registry == registry, link.c.institution == institution)
        )
    if wanted.states:
        statement = statement.where(application.c.state.in_(wanted.states))
    if wanted.unit_code:
        named = (unit.c.registry == registry, unit.c.unit_code == wanted.unit_code)
        statement = statement.where(index.in_(select(unit.c.submitted_index).where(*named)))
    other = application.alias()
    for column, value in ((other.c.case_id, wanted.case_id), (other.c.case_number, wanted.case_number)):
        if value:
            found = select(other.c.submitted_index).where(other.c.registry == registry, column == value)
            statement = statement.where(index.in_(found))
    if wanted.applicant_institution:
        theirs = link.alias()
        statement = statement.where(
            exists().where(
                theirs.c.registry == registry,
                theirs.c.institution == wanted.applicant_institution,
                theirs.c.submitted_index == index,
            )
        )
    if start:
        statement = statement.where(index >= start)
    if before is not None:
        statement = statement.where(index < before)
    return statement.order_by(index.desc())


def find_request(
    connection: Connection, registry: str, institution: str, request_id: str | None, index: int | None
) -> Row | None:
    table = t.request
    statement = select(table).where(table.c.registry == registry, table.c.institution == institution)
    if request_id is not None:
        return first(connection, statement.where(table.c.request_id == request_id))
    if index is not None:
        return first(connection, statement.where(table.c.entry_index == index))
    return None


def select_certificates(connection: Connection, registry: str, wanted: CertificateFilter) -> Select[Any]:
    table = t.certificate
    statement = select(table).where(table.c.registry == registry)
    if wanted.institution is not None:
        # A USCC is 18 letters and digits: it cannot match across the commas of the list, nor is it a pattern.
        statement = statement.where(table.c.institutions.contains(wanted.institution, autoescape=True))
    if wanted.states:
        statement = statement.where(table.c.state.in_(wanted.states))
    if wanted.number:
        statement = statement.where(table.c.number == wanted.number)
    if wanted.application_id:
        application = find_application(connection, registry, wanted.application_id)
        statement = statement.where(table.c.identifier.in_(application.certificates if application else ()))
    if wanted.unit_code:
        link = t.unit_right
        rights = select(link.c.right_id).where(
            link.c.registry == registry, link.c.unit_code == wanted.unit_code
        )
        statement = statement.where(table.c.right_id.in_(rights))
    return statement


def find_checkpoint(
    connection: Connection, registry: str, min_size: int = 0, exact: int | None = None
) -> PublishedCheckpoint | None:
    table = ledger_checkpoint
    statement = select(table.c.size, table.c.root, table.c.note).where(table.c.registry == registry)
    if exact is not None:
        statement = statement.where(table.c.size == exact)
    elif min_size:
        statement = statement.where(table.c.size >= min_size).order_by(table.c.size)
    else:
        statement = statement.order_by(table.c.size.desc())
    row = connection.execute(statement.limit(1)).first()
    if row is None:
        return None
    note = bytes(row.note)
    lines = cosignature_lines(connection, registry, row.size, note)
    return PublishedCheckpoint(row.size, bytes(row.root), note + lines, note)
