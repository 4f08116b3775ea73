"""Reflection and health, as other programs ask for them."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from gateway.rpc.standard import REFLECTION_NAMES
from tests.support.stage import Town
from tests.support.wire import as_stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

both = pytest.mark.parametrize("service", REFLECTION_NAMES)


async def _reflected(town: Town, service: str, **asked: Any) -> Any:
    """The answer of one of the reflection services; their messages have the same bytes."""
    call = town.channel("bank-a").stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(**asked)
    [answer] = [one async for one in call(as_stream([request]))]
    return answer


@both
@pytest.mark.parametrize(
    "symbol",
    [
        "diya.v1.RegistrationService.SubmitMortgage",
        "diya.v1.RegistrationService",
        "diya.v1.Terms",
        "grpc.reflection.v1.ServerReflection",
    ],
)
async def test_reflection_describes_what_is_served(town: Town, service: str, symbol: str) -> None:
    """Methods, services and messages are found by their full names, in both versions of reflection."""
    answer = await _reflected(town, service, file_containing_symbol=symbol)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert answer.WhichOneof("message_response") == "file_descriptor_response", answer.error_response
    assert any(symbol.startswith(file.package) for file in files)


@both
async def test_reflection_of_no_method_is_not_found(town: Town, service: str) -> None:
    """A method that a service does not have is not found."""
    answer = await _reflected(
        town, service, file_containing_symbol="diya.v1.RegistrationService.NoSuchMethod"
    )
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@both
async def test_reflection_lists_both_versions(town: Town, service: str) -> None:
    """The list names every service of the contract, health, and reflection in both versions."""
    answer = await _reflected(town, service, list_services="")
    names = {one.name for one in answer.list_services_response.service}
    assert names >= {"diya.v1.RegistrationService", "grpc.health.v1.Health", *REFLECTION_NAMES}


async def test_health_of_an_unknown_service_says_so(town: Town) -> None:
    """NOT_FOUND, as the protocol has it, with words; a known one is served."""
    stub = health_pb2_grpc.HealthStub(town.channel(""))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="diya.v1.NoSuchService"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "diya.v1.NoSuchService" in (caught.value.details() or "")
    served = await stub.Check(health_pb2.HealthCheckRequest(service=REFLECTION_NAMES[1]))
    assert served.status == health_pb2.HealthCheckResponse.SERVING
