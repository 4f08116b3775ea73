"""The bench's server process: a bare grpc.aio echo and a whole gateway, side by side.

`python -m tests.bench.server FOLDER` prints one JSON line with its ports and serves until its input closes.
Handlers of the bare server do what a hand-written minimum would: nothing but the work of the limit they stand for.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import uvloop

from gateway.app import Gateway, settle_collector
from gateway.cases.decision import Decision
from gateway.cases.effects import AnyEffect, InstitutionSet, RightBooked, UnitRecorded
from gateway.cases.model import Outcome, Result
from gateway.commands import Command
from gateway.config import load_config
from gateway.keyring.keys import tls_key_pem
from gateway.register.authority import Institution, InstitutionKind, KeyRole, RegisteredKey
from gateway.register.model import (
    CertificateRef,
    CoOwnership,
    IdKind,
    Owner,
    Ownership,
    Party,
    Unit,
    UnitKind,
)
from gateway.rpc import rights
from gateway.rpc.guard import Guard
from gateway.storage.working import Wants
from tests.bench import cast

_BARE = "bench.Bare"
_GUARDED = "bench.BenchService"


def _identity(data: bytes) -> bytes:
    return data


async def _echo(request: bytes, context: Any) -> bytes:
    return request


def bare_upload(folder: Path) -> Any:
    """Hash, write and sync what comes: the least an upload can be."""

    async def upload(chunks: AsyncIterator[bytes], context: Any) -> bytes:
        digest = hashlib.sha256()
        path = folder / "bare-upload"
        with path.open("wb", buffering=0) as file:
            async for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            os.fsync(file.fileno())
        path.unlink()
        return digest.digest()

    return upload


async def serve(folder: Path) -> None:
    """Seed the gateway, start both servers, say where, wait for the end of standard input."""
    config = load_config(folder / "diya.toml")
    gateway = Gateway(config)
    await gateway.start()
    await asyncio.to_thread(
        seed, gateway, msgspec.msgpack.decode((folder / "seed").read_bytes(), type=cast.Seed)
    )
    settle_collector()
    rights.RIGHTS["BenchService"] = {"*": frozenset({rights.CallerKind.INSTITUTION})}
    bare = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    coders = {"request_deserializer": _identity, "response_serializer": _identity}
    echo = grpc.unary_unary_rpc_method_handler(_echo, **coders)
    upload = grpc.stream_unary_rpc_method_handler(bare_upload(folder), **coders)
    bare.add_registered_method_handlers(_BARE, {"Echo": echo, "Upload": upload})
    guard = Guard(bare, gateway.callers, call_seconds_max=30.0, registry=cast.REGISTRY)
    guard.add_registered_method_handlers(_GUARDED, {"Echo": echo})
    server = config.server
    pair = (tls_key_pem(server.key), server.certificate.read_bytes())
    credentials = grpc.ssl_server_credentials(
        [pair], server.client_anchors.read_bytes(), require_client_auth=True
    )
    port = bare.add_secure_port("127.0.0.1:0", credentials)
    await bare.start()
    print(json.dumps({"bare": port, "gateway": gateway.ports["listen"], "pid": os.getpid()}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await bare.stop(0)
    await gateway.stop()


def seed(gateway: Gateway, what: cast.Seed) -> None:
    """Flats and the bank, as an import and an operator would have left them."""
    now = dt.datetime.now(dt.UTC)
    keys = (
        RegisteredKey(key_id=what.key_id, roles=(KeyRole.SUBMIT, KeyRole.RELEASE)),
        RegisteredKey(key_id=what.tls_key_id, roles=(KeyRole.TLS,)),
    )
    bank = Institution(uscc=cast.BANK_USCC, kind=InstitutionKind.BANK, names=(cast.BANK_NAME,), keys=keys)
    effects: list[AnyEffect] = [InstitutionSet(institution=bank)]
    owner = Owner(person=Party(name=cast.OWNER_NAME, id_kind=IdKind.RESIDENT_ID, id_number=cast.OWNER_ID))
    for number in range(1, what.units + 1):
        code = cast.unit_code(number)
        unit = Unit(
            unit_code=code,
            kind=UnitKind.FLAT,
            county_code=code[:6],
            location=f"示例路{number}号",
            floor_area=9000,
        )
        ownership = Ownership(
            right_id=f"seed.{number}",
            units=(code,),
            case_number="",
            booked_at=now,
            booked_by="导入",
            owners=(owner,),
            co_ownership=CoOwnership.SOLE,
            title=CertificateRef(number=f"苏(2020)江阴市不动产权第{number:07d}号"),
        )
        effects += [UnitRecorded(unit=unit), RightBooked(right=ownership)]
    for start in range(0, len(effects), 2000):
        gateway.sequencer.submit(_recorded(start, tuple(effects[start : start + 2000]))).result()


def _recorded(number: int, effects: tuple[AnyEffect, ...]) -> Command:
    outcome = Outcome(result=Result.DONE, application="")
    return Command(
        registry=cast.REGISTRY,
        institution="",
        request_id=f"bench/{number}",
        payload_sha256="0" * 64,
        payload=b"bench",
        evidence=lambda: b"{}",
        wants=Wants(),
        decide=lambda working, moment: Decision(kind="bench.seeded", outcome=outcome, effects=effects),
    )


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
