"""Every cell of the rights table, over the wire: who may call what, and what the others are told."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import grpc
import pytest

from gateway.demo.stage import COUNTER_KEY, OPERATOR_KEY, REGISTRAR_KEY
from gateway.pb.diya.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from gateway.rpc.rights import RIGHTS, CallerKind, may_call
from gateway.rpc.server import SERVICES
from tests.support.stage import AUDITOR_KEY, READER_KEY, STRANGER_KEY, Town
from tests.support.wire import Refused, as_stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Everybody who calls, by kind; the public comes over both listeners.
CALLERS = [
    (CallerKind.INSTITUTION, "bank-a"),
    (CallerKind.INSTITUTION, "fund-centre"),
    (CallerKind.REGISTRAR, REGISTRAR_KEY),
    (CallerKind.AUDITOR, AUDITOR_KEY),
    (CallerKind.OPERATOR, OPERATOR_KEY),
    (CallerKind.COUNTER, COUNTER_KEY),
    (CallerKind.PUBLIC, STRANGER_KEY),
    (CallerKind.PUBLIC, ""),
]
REFUSALS = {"PERMISSION_DENIED", "CALLER_UNKNOWN"}
#: Collection of the resource that a `name` of a service's requests is of.
COLLECTIONS = {
    "FileService": "files",
    "CertificateService": "certificates",
    "RegisterService": "units",
    "RegisterFeedService": "units",
}


def _modules(service: str) -> tuple[Any, Any]:
    stem = service.removesuffix("Service").lower().removeprefix("registerfeed") or "feed"
    name = f"gateway.pb.diya.v1.{stem}_service_pb2"
    return importlib.import_module(name), importlib.import_module(f"{name}_grpc")


METHODS = [
    (service, method)
    for service in RIGHTS
    for method in _modules(service)[0].DESCRIPTOR.services_by_name[service].methods_by_name
]


def _fill(message: Any, service: str) -> Any:
    """A request that names the registry and nothing that exists in it."""
    fields = message.DESCRIPTOR.fields_by_name
    if "parent" in fields:
        message.parent = "registries/jiangyin"
    elif "name" in fields:
        collection = COLLECTIONS.get(service, "applications")
        message.name = f"registries/jiangyin/{collection}/{'0' * 64}"
    if "catch_up_only" in fields:
        message.catch_up_only = True
    for field in message.DESCRIPTOR.fields:  # a stream's first message wraps what names the registry
        if field.containing_oneof is not None and field.message_type is not None:
            inner = field.message_type.fields_by_name
            if "parent" in inner:
                _fill(getattr(message, field.name), service)
                break
    return message


async def _reason(town: Town, key: str, service: str, method: str) -> str:
    """The reason of the answer to a call; empty when the call was taken."""
    _, grpc_module = _modules(service)
    stub = town.stub(getattr(grpc_module, f"{service}Stub"), key)
    descriptor = _modules(service)[0].DESCRIPTOR.services_by_name[service].methods_by_name[method]
    request = _fill(descriptor.input_type._concrete_class(), service)
    sent = as_stream([request]) if descriptor.client_streaming else request
    try:
        async with asyncio.timeout(20):
            call = getattr(stub, method)(sent)
            if descriptor.server_streaming:
                async for _ in call:
                    pass
            else:
                await call
    except grpc.aio.AioRpcError as error:
        refused = Refused.of(error)
        assert refused.reason or refused.code == "UNIMPLEMENTED", refused
        assert refused.reason not in REFUSALS or refused.is_bilingual
        expected = {"PERMISSION_DENIED": "PERMISSION_DENIED", "CALLER_UNKNOWN": "UNAUTHENTICATED"}
        assert refused.code == expected.get(refused.reason, refused.code)
        assert refused.code != "INTERNAL", refused
        return refused.reason or refused.code
    return ""


@pytest.mark.parametrize(("service", "method"), METHODS, ids=[f"{s}.{m}" for s, m in METHODS])
async def test_method_lets_in_whom_the_table_names(town: Town, service: str, method: str) -> None:
    """Whom the table names gets past the guard; everybody else is told no, the unknown that they are unknown.

    No call of these enters anything, whoever makes it.
    """
    if service not in SERVICES:
        pytest.skip(f"{service} is not served by this version")
    before = town.footprint()
    for kind, key in CALLERS:
        reason = await _reason(town, key, service, method)
        if may_call(service, method, kind):
            assert reason not in REFUSALS, (kind, reason)
        elif kind is CallerKind.PUBLIC:
            assert reason == "CALLER_UNKNOWN", (kind, key, reason)
        else:
            assert reason == "PERMISSION_DENIED", (kind, reason)
    assert town.footprint() == before


@pytest.mark.parametrize("service", sorted(RIGHTS))
async def test_connection_by_a_key_for_reading_only_reads(town: Town, service: str) -> None:
    """A key with the role READ alone opens a connection of its bank that reads what the bank may, and does nothing."""
    before = town.footprint()
    for method in _modules(service)[0].DESCRIPTOR.services_by_name[service].methods_by_name:
        reads = method.startswith(("Get", "List", "Download", "Watch", "Verify", "Suggest", "Check"))
        reason = await _reason(town, READER_KEY, service, method)
        if reads and may_call(service, method, CallerKind.INSTITUTION):
            assert reason not in REFUSALS, (method, reason)
        else:
            assert reason == "PERMISSION_DENIED", method
    assert town.footprint() == before


async def test_table_names_every_method_that_is_served() -> None:
    """A service that is served has a row in the table: nothing is allowed by omission."""
    assert SERVICES.keys() <= RIGHTS.keys()
    assert not may_call("NoSuchService", "Anything", CallerKind.OPERATOR)
    for service, methods in RIGHTS.items():
        named = _modules(service)[0].DESCRIPTOR.services_by_name[service].methods_by_name
        assert methods.keys() - {"*"} <= set(named), f"{service}: the table names a method that is none"


async def test_caller_of_one_registry_is_nobody_in_another_that_does_not_know_it(town: Town) -> None:
    """Registration is per registry: nobody is known in one that does not exist, and that is what is said."""
    stub = town.stub(ledger_service_pb2_grpc.LedgerServiceStub, OPERATOR_KEY)
    request = ledger_service_pb2.GetCheckpointRequest(parent="registries/elsewhere")
    await town.refusal(lambda: stub.GetCheckpoint(request), "REGISTRY_NOT_FOUND", "NOT_FOUND")
