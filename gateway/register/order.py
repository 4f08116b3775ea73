"""What came first on a unit: every acceptance, booking, ending and service in the order of law, as signed text.

Rank follows booking (CC 414), the queue acceptance (RD 67), and a seizure counts from its service on the authority,
whenever it was entered (EX 23; F5 19, 20; RD 91). Each line names the ledger entry that it rests on, so that whoever
holds the statement can see when the gateway came to know. The text is docs/order-statement.md's, byte for byte.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from enum import StrEnum

from gateway.register.model import AnyRight, Seizure, Value

#: First line of the text; no ledger has this origin, so that the note is never taken for a checkpoint.
VERSION = "diya-order/v1"


class Fact(StrEnum):
    """What a line says."""

    ACCEPTED = "ACCEPTED"
    BOOKED = "BOOKED"
    SERVED = "SERVED"
    ENDED = "ENDED"


class OrderLine(Value, frozen=True, kw_only=True):
    """One fact: the instant from which it counts, the entry that holds it, and what it is about."""

    at: dt.datetime
    index: int
    fact: Fact
    subject: str  # kind of right, or APPLICATION or COUNTER_CASE
    identity: str  # id of the right, or case number
    reference: str = ""  # court and instrument of a seizure, case number of a right


class RightHistory(Value, frozen=True, kw_only=True):
    """A row of the register with the entries that booked and ended it."""

    right: AnyRight
    kind: str
    booked_index: int
    ended_index: int | None = None
    ended_at: dt.datetime | None = None


class CaseHistory(Value, frozen=True, kw_only=True):
    """An accepted case, ours or the counter's."""

    case_number: str
    accepted_at: dt.datetime
    index: int
    at_counter: bool = False


def in_order(rights: Iterable[RightHistory], cases: Iterable[CaseHistory]) -> tuple[OrderLine, ...]:
    """The lines of a statement: by the instant from which each counts, then by the ledger."""
    lines = [
        OrderLine(
            at=case.accepted_at,
            index=case.index,
            fact=Fact.ACCEPTED,
            subject="COUNTER_CASE" if case.at_counter else "APPLICATION",
            identity=case.case_number,
        )
        for case in cases
    ]
    for row in rights:
        lines.append(_began(row))
        if row.ended_index is not None and row.ended_at is not None:
            lines.append(
                OrderLine(
                    at=row.ended_at,
                    index=row.ended_index,
                    fact=Fact.ENDED,
                    subject=row.kind,
                    identity=row.right.right_id,
                )
            )
    return tuple(sorted(lines, key=lambda line: (line.at, line.index, line.fact, line.identity)))


def _began(row: RightHistory) -> OrderLine:
    right = row.right
    if isinstance(right, Seizure):
        return OrderLine(
            at=right.served_at,
            index=row.booked_index,
            fact=Fact.SERVED,
            subject=row.kind,
            identity=right.right_id,
            reference=f"{right.authority} {right.instrument_no}",
        )
    return OrderLine(
        at=right.booked_at,
        index=row.booked_index,
        fact=Fact.BOOKED,
        subject=row.kind,
        identity=right.right_id,
        reference=right.case_number,
    )


def statement_text(
    origin: str, registry: str, unit_code: str, made_at: dt.datetime, lines: Iterable[OrderLine]
) -> bytes:
    """The text that is signed: a head of five lines, then one line a fact, numbered from 1."""
    head = [VERSION, origin, f"registry {registry}", f"unit {unit_code}", f"made-at {_instant(made_at)}"]
    body = [
        f"{number} {_instant(line.at)} {line.index} {line.fact.value} {line.subject} "
        + json.dumps([line.identity, line.reference], ensure_ascii=False, separators=(",", ":"))
        for number, line in enumerate(lines, start=1)
    ]
    return "".join(f"{line}\n" for line in (*head, *body)).encode()


def _instant(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
