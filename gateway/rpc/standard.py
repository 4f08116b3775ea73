"""The standard services beside the contract: reflection, in the versions that callers ask for, and health.

Reflection exists as v1alpha and as v1, which say the same in other packages. Old callers know only the first, new ones
ask for the second first. The library at hand serves v1alpha; v1 is made here from its descriptor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA: Final = "grpc.reflection.v1alpha"
_V1: Final = "grpc.reflection.v1"
_METHOD: Final = "ServerReflectionInfo"

#: Full names of the two reflection services.
REFLECTION_NAMES: Final = (reflection.SERVICE_NAME, f"{_V1}.ServerReflection")


def add_reflection(server: grpc.aio.Server, names: list[str]) -> None:
    """Serve reflection of the services named, in both versions."""
    servicer: Any = reflection.aio.ReflectionServicer([*names, *REFLECTION_NAMES])
    request_v1, response_v1 = _v1_messages()

    async def answer(asked: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in asked:
            async for response in servicer.ServerReflectionInfo(_alone(_findable(request)), context):
                response.original_request.CopyFrom(request)
                yield response

    alpha = reflection_pb2.ServerReflectionRequest.FromString
    handlers = {  # the messages of both have the same bytes
        REFLECTION_NAMES[0]: grpc.stream_stream_rpc_method_handler(
            answer, alpha, reflection_pb2.ServerReflectionResponse.SerializeToString
        ),
        REFLECTION_NAMES[1]: grpc.stream_stream_rpc_method_handler(
            answer,
            lambda data: alpha(request_v1.FromString(data).SerializeToString()),
            lambda message: response_v1.FromString(message.SerializeToString()).SerializeToString(),
        ),
    }
    for name, handler in handlers.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {_METHOD: handler}),))


def _findable(request: Any) -> Any:
    """The request with a method's service for the method: the library does not look methods up by name."""
    service, _, method = request.file_containing_symbol.rpartition(".")
    try:
        found = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return request
    if method not in found.methods_by_name:
        return request
    return reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)


async def _alone(request: Any) -> AsyncIterator[Any]:
    yield request


def _v1_messages() -> tuple[Any, Any]:
    """Request and response of v1, whose file enters the pool here, so that it is found by reflection as well."""
    proto = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(proto)
    proto.name = "grpc/reflection/v1/reflection.proto"
    proto.package = _V1
    for message in proto.message_type:
        for field in message.field:
            if field.type_name:  # writing an empty one would make it present
                field.type_name = field.type_name.replace(f".{_ALPHA}.", f".{_V1}.")
    for service in proto.service:
        for method in service.method:
            method.input_type = method.input_type.replace(f".{_ALPHA}.", f".{_V1}.")
            method.output_type = method.output_type.replace(f".{_ALPHA}.", f".{_V1}.")
    pool = descriptor_pool.Default()
    pool.Add(proto)  # adding the same file again changes nothing
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_V1}.ServerReflection{kind}"))
        for kind in ("Request", "Response")
    )
    return request, response


class Health(health.aio.HealthServicer):
    """Health that says in words which service it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self._known = {""}

    async def set(self, service: str, status: Any) -> None:
        """Set the status of a service, which is known from then on."""
        self._known.add(service)
        await super().set(service, status)

    async def Check(self, request: Any, context: Any) -> Any:
        """Whether a service is served. NOT_FOUND, as the protocol has it, for one that is not there."""
        if request.service not in self._known:
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"本网关没有服务 {request.service} / this gateway has no service {request.service}",
            )
        return await super().Check(request, context)
