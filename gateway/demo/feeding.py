"""The authority's own counter in the demo: a court's seizure, fed signed, and what came first on the flat."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from pathlib import Path

from gateway.app import utc_now
from gateway.client.feed import FeedClient
from gateway.client.manifest import instant
from gateway.client.order import OrderStatement, verify_order
from gateway.client.session import Answer
from gateway.client.trust import read_trust
from gateway.demo.cast import COUNTER, COUNTER_ID
from gateway.demo.stage import COUNTER_KEY, REGISTRAR_KEY, Stage
from gateway.pb.diya.v1 import acts_pb2, authority_pb2, codes_pb2, common_pb2, register_pb2
from gateway.register.calendar import CHINA
from gateway.register.sample import SampleUnit
from gateway.rpc.encode import date


def counter(stage: Stage) -> authority_pb2.Registrar:
    """The counter system as the operator registers it: it feeds, and neither reviews nor books."""
    return authority_pb2.Registrar(
        registrar_id=COUNTER_ID,
        display_name=COUNTER.name,
        feeds=True,
        keys=[
            authority_pb2.RegisteredKey(key_id=stage.signer(COUNTER_KEY).certificate.key_id),
            authority_pb2.RegisteredKey(
                key_id=stage.credential(COUNTER_KEY, "tls").certificate.key_id,
                roles=(authority_pb2.KEY_ROLE_TLS,),
            ),
        ],
    )


async def seize(stage: Stage, registry: str, unit: SampleUnit) -> Answer:
    """A court seizes a flat: served a minute ago, entered now; it stops what is not booked yet."""
    feed = FeedClient(await stage.session(COUNTER_KEY, registry), stage.signer(COUNTER_KEY).signer())
    served = utc_now() - dt.timedelta(minutes=1)
    today = served.astimezone(CHINA).date()
    owner = unit.owners[0]
    lien = register_pb2.Seizure(
        unit_code=unit.unit_code,
        kind=register_pb2.SEIZURE_KIND_SEIZURE,
        target_person=common_pb2.Person(
            name=owner.name,
            identity=common_pb2.Identity(
                kind=codes_pb2.IdKind.Value(f"ID_KIND_{owner.id_kind.value}"), number=owner.id_number
            ),
        ),
        authority="示例市人民法院",
        instrument="协助执行通知书",
        instrument_number=f"({today.year})示执1号",
        served_at=instant(served),
        proof_of_service_sha256=hashlib.sha256("送达回证".encode()).digest(),
        starts_on=date(today),
        until=date(today.replace(year=today.year + 3, day=1)),
        extent_text="全部",
    )
    sequence = (await feed.status()).highest_sequence + 1
    act = acts_pb2.RestrictionAct(
        verb=acts_pb2.RESTRICTION_VERB_ENTER, seizure=lien, sequence=sequence, as_of=instant(utc_now())
    )
    return await feed.push(act)


async def what_came_first(stage: Stage, registry: str, unit: SampleUnit, keep: Path) -> OrderStatement:
    """The registrar asks for the signed statement; it is kept, and verified with the public trust folder alone."""
    registrar = FeedClient(await stage.session(REGISTRAR_KEY, registry))
    data = await registrar.order_statement(unit.unit_code)
    await asyncio.to_thread(keep.write_bytes, data)
    return verify_order(data, read_trust(stage.folder / "trust").vkeys(registry))
