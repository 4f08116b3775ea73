"""What the ledger holds of a case besides its row: its findings, its manifest, its sections, the acts on it.

All on a connection that the caller opened. Evidence may have been erased, as the law lets it be: what is gone reads
as empty, it does not fail.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from gateway.cases.model import Application, Outcome
from gateway.storage import tables as t
from ledger.errors import PartKeyMissingError, PartNotFoundError
from ledger.store import Ledger
from signing.envelope import split_pae

_PAYLOAD = "evidence/payload"


class _Judged(msgspec.Struct, frozen=True):
    """As much of a part `evidence/verdicts` as is told: the bytes that came beside the envelope."""

    sections: dict[str, bytes] = {}


_decode_outcome = msgspec.json.Decoder(Outcome).decode
_decode_judged = msgspec.json.Decoder(_Judged).decode


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """The outcome whose findings stand (None when it was erased), the manifest as signed (empty when erased), and
    the instant at which the last certificate was sealed (empty while one is not).
    """

    outcome: Outcome | None
    manifest: bytes
    sealed_at: str


@dataclass(frozen=True, slots=True)
class CaseAct:
    """A later act: its entry, who did it (USCC of the channel, registrar id, empty for the gateway itself), what was
    signed, and the sections beside it.
    """

    index: int
    time: dt.datetime
    actor: str
    payload_type: str
    payload: bytes
    sections: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class CasePapers:
    """The sections of a submission, by name, and the later acts on it, oldest first."""

    sections: dict[str, bytes]
    acts: tuple[CaseAct, ...]


def read_case_record(connection: Connection, ledger: Ledger, row: Application) -> CaseRecord:
    """What is told of a case besides its row."""
    index = row.last_index if row.findings_index is None else row.findings_index
    outcome = _part(connection, ledger, row.registry, index, "outcome")
    return CaseRecord(
        outcome=_decode_outcome(outcome) if outcome else None,
        manifest=_signed(connection, ledger, row.registry, row.submitted_index)[1],
        sealed_at=_sealed_at(connection, row),
    )


def read_case_papers(connection: Connection, ledger: Ledger, row: Application) -> CasePapers:
    """The sections of a case and the later acts on it."""
    request = t.request
    statement = (
        select(request.c.entry_index, request.c.institution)
        .where(
            request.c.registry == row.registry,
            request.c.application_id == row.application_id,
            request.c.entry_index > row.submitted_index,
        )
        .order_by(request.c.entry_index)
    )
    return CasePapers(
        sections=_sections(connection, ledger, row.registry, row.submitted_index),
        acts=tuple(
            CaseAct(
                index=index,
                time=ledger.read_entry(connection, row.registry, index).parse().time,
                actor=actor,
                payload_type=signed[0],
                payload=signed[1],
                sections=_sections(connection, ledger, row.registry, index),
            )
            for index, actor in connection.execute(statement).all()
            for signed in [_signed(connection, ledger, row.registry, index)]
        ),
    )


def _sealed_at(connection: Connection, row: Application) -> str:
    table = t.certificate
    own = (table.c.registry == row.registry, table.c.identifier.in_(row.certificates))
    sealed = (
        list(connection.execute(select(table.c.sealed_at).where(*own)).scalars()) if row.certificates else []
    )
    return max(sealed) if sealed and all(sealed) else ""


def _signed(connection: Connection, ledger: Ledger, registry: str, index: int) -> tuple[str, bytes]:
    """Payload type and payload of an entry's envelope."""
    message = _part(connection, ledger, registry, index, _PAYLOAD)
    return split_pae(message) if message else ("", b"")


def _sections(connection: Connection, ledger: Ledger, registry: str, index: int) -> dict[str, bytes]:
    judged = _part(connection, ledger, registry, index, "evidence/verdicts")
    return _decode_judged(judged).sections if judged else {}


def _part(connection: Connection, ledger: Ledger, registry: str, index: int, name: str) -> bytes:
    """The content of a part; empty when there is none, or when it was erased."""
    try:
        return ledger.read_part(connection, registry, index, name)[1]
    except (PartNotFoundError, PartKeyMissingError):
        return b""
