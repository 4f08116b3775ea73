"""Auditors over the real wire: registered by the operator's command they read the ledger, until they no longer are."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from gateway.cli.app import build_app
from gateway.demo.stage import OPERATOR_KEY
from gateway.pb.diya.v1 import ledger_service_pb2
from gateway.pb.diya.v1.ledger_service_pb2_grpc import LedgerServiceStub
from tests.support.founding import auditor_key
from tests.support.stage import AUDITOR_KEY, MovedClock, Town, town_of
from tests.support.wire import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _reason(town: Town) -> str:
    """Why the auditor may not read the ledger; empty when they may."""
    stub = town.stub(LedgerServiceStub, AUDITOR_KEY)
    try:
        await stub.GetCheckpoint(ledger_service_pb2.GetCheckpointRequest(parent="registries/jiangyin"))
    except grpc.aio.AioRpcError as error:
        return Refused.of(error).reason
    return ""


def _diya(town: Town, *words: str) -> Any:
    """The answer of a `diya` command of the operator's, as JSON."""
    clients = town.folder / "clients" / OPERATOR_KEY
    settings = {
        "target": f"localhost:{town.gateway.ports['listen']}",
        "roots": town.folder / "trust" / "server-roots.pem",
        "registry": "jiangyin",
        "trust": town.folder / "trust",
        "certificate": clients / "tls.pem",
        "key": clients / "tls.key.pem",
        "signing_certificate": clients / "sign.pem",
        "signing_key": clients / "sign.key.pem",
    }
    config = town.folder / "operator.toml"
    config.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    told = CliRunner().invoke(build_app(), [*words, "--config", str(config), "--json"])
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)


async def test_operator_sets_auditors_by_command(own_folder: Path) -> None:
    """`diya auditor set` lets in whose certificate it names, and nobody else from then on."""
    async with town_of(own_folder) as town:
        assert await _reason(town) == ""
        gone = await asyncio.to_thread(_diya, town, "auditor", "set", "--none")
        assert gone["keys"] == []
        assert await _reason(town) == "CALLER_UNKNOWN"
        certificate = town.folder / "clients" / AUDITOR_KEY / "tls.pem"
        done = await asyncio.to_thread(_diya, town, "auditor", "set", str(certificate))
        assert await asyncio.to_thread(_diya, town, "auditor", "show") == done
        assert [key["keyId"] for key in done["keys"]] == [auditor_key(town).key_id]
        assert await _reason(town) == ""


async def test_auditors_key_connects_in_its_window_only(own_folder: Path) -> None:
    """`not_after` of an auditor's key ends the connection's rights."""
    clock = MovedClock()
    async with town_of(own_folder, clock=clock) as town:
        key = auditor_key(town)
        key.not_after.FromDatetime(town.clock() + dt.timedelta(hours=1))
        await (await town.operator()).set_auditors([key])
        assert await _reason(town) == ""
        clock.move(3600)
        assert await _reason(town) == "CALLER_UNKNOWN"
