"""Acts of the counter's feed, as a counter system would make them: numbers are counted where nothing else is said."""

from __future__ import annotations

import datetime as dt
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.client.session import Answer
from gateway.pb.diya.v1 import acts_pb2, codes_pb2, common_pb2, register_pb2
from gateway.register.model import Party
from tests.support.stage import Town

COURT = "示例市人民法院"


def stamp(value: dt.datetime) -> Timestamp:
    """An instant on the wire."""
    wire = Timestamp()
    wire.FromDatetime(value)
    return wire


def day(value: dt.date) -> Date:
    """A day on the wire."""
    return Date(year=value.year, month=value.month, day=value.day)


def person(party: Party) -> common_pb2.Person:
    """A person on the wire."""
    return common_pb2.Person(
        name=party.name,
        identity=common_pb2.Identity(
            kind=codes_pb2.IdKind.Value(f"ID_KIND_{party.id_kind.value}"), number=party.id_number
        ),
    )


def seizure(unit_code: str, target: Party, served_at: dt.datetime, **changes: Any) -> register_pb2.Seizure:
    """A seizure of the whole unit, for three years from service less a day."""
    fields: dict[str, Any] = {
        "unit_code": unit_code,
        "kind": register_pb2.SEIZURE_KIND_SEIZURE,
        "target_person": person(target),
        "authority": COURT,
        "instrument_number": f"({served_at.year})示执{served_at:%m%d%H%M%S%f}号",
        "served_at": stamp(served_at),
        "proof_of_service_sha256": bytes(range(32)),
        "until": day(served_at.date().replace(year=served_at.year + 3, day=1)),
        "extent_text": "全部",
    }
    return register_pb2.Seizure(**{**fields, **changes})


class Counter:
    """A counter system that numbers its acts from where the feed stands."""

    def __init__(self, town: Town, registry: str) -> None:
        self.town = town
        self.registry = registry

    async def client(self) -> Any:
        """The client that sends."""
        return await self.town.counter(self.registry)

    async def next(self) -> int:
        """The number of the next act."""
        return (await (await self.client()).status()).highest_sequence + 1

    async def restrict(self, *, verb: str = "ENTER", sequence: int = 0, **restriction: Any) -> Answer:
        """Send a restriction act: `seizure=`, `dissent=`, `habitation=` or `easement=`."""
        act = acts_pb2.RestrictionAct(
            verb=acts_pb2.RestrictionVerb.Value(f"RESTRICTION_VERB_{verb}"),
            sequence=sequence or await self.next(),
            as_of=stamp(self.town.clock()),
            **restriction,
        )
        answer: Answer = await (await self.client()).push(act)
        return answer

    async def say(self, *, sequence: int = 0, **counter: Any) -> Answer:
        """Send a counter act; a mere sign of life without a case number."""
        fields: dict[str, Any] = {"as_of": stamp(self.town.clock()), **counter}
        act = acts_pb2.CounterAct(sequence=sequence or await self.next(), **fields)
        answer: Answer = await (await self.client()).push(act)
        return answer


def codes(answer: Answer) -> list[str]:
    """Codes of the findings of an answer."""
    return [finding.code for finding in answer.outcome.findings]
