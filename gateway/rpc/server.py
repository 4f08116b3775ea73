"""The gRPC server: its listeners, every limit explicit, health and reflection, every method behind the guard.

Banks and the public call one server by two listeners. Proxies, where there are any, call another one: gRPC does not
tell over which listener a call came, and over theirs alone somebody may be named whom TLS has not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gateway.config import MIB, Config
from gateway.keyring.keys import tls_key_pem
from gateway.pb.diya.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    certificate_service_pb2,
    certificate_service_pb2_grpc,
    desk_service_pb2,
    desk_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    file_service_pb2,
    file_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    party_service_pb2,
    party_service_pb2_grpc,
    register_service_pb2,
    register_service_pb2_grpc,
    registration_service_pb2,
    registration_service_pb2_grpc,
    review_service_pb2,
    review_service_pb2_grpc,
)
from gateway.rpc.callers import Callers, FindsCallers
from gateway.rpc.guard import Guard
from gateway.rpc.proxies import DirectCallers, ForwardedCallers
from gateway.rpc.standard import REFLECTION_NAMES, Health, add_reflection
from gateway.startup import bound

SERVICES: dict[str, tuple[Any, Any]] = {
    "FileService": (file_service_pb2, file_service_pb2_grpc),
    "RegistrationService": (registration_service_pb2, registration_service_pb2_grpc),
    "PartyService": (party_service_pb2, party_service_pb2_grpc),
    "ReviewService": (review_service_pb2, review_service_pb2_grpc),
    "CertificateService": (certificate_service_pb2, certificate_service_pb2_grpc),
    "DeskService": (desk_service_pb2, desk_service_pb2_grpc),
    "RegisterService": (register_service_pb2, register_service_pb2_grpc),
    "LedgerService": (ledger_service_pb2, ledger_service_pb2_grpc),
    "RegisterFeedService": (feed_service_pb2, feed_service_pb2_grpc),
    "AdminService": (admin_service_pb2, admin_service_pb2_grpc),
}


#: How much more than a message may have the transport lets through, so that we can say why it is too large; what is
#: larger still it refuses itself, without a reason code.
TRANSPORT_ROOM_BYTES: Final = 2 * MIB

#: What a stream may hold unread: enough for 50 MB/s over a line of 20 ms, and no more of it in memory.
STREAM_WINDOW_BYTES: Final = 1 * MIB

#: How long answers that are given may take to leave, and to be read by the client.
ANSWER_SECONDS_MAX: Final = 2.0


class RpcServer:
    """Owns the grpc.aio servers. `ports` are the bound ones (a configured port 0 picks a free one)."""

    def __init__(self, config: Config, callers: Callers, servicers: dict[str, Any]) -> None:
        self._config = config
        self._servicers = servicers
        self._health = Health()
        self._names: list[str] = []
        self._proxied: grpc.aio.Server | None = None
        self._guards: list[Guard] = []
        self.ports: dict[str, int] = {}
        proxies, limits = config.server.proxies, config.limits
        if proxies:
            forwarded_max = limits.forwarded_certificate_bytes_max
            forwarded = ForwardedCallers(callers, proxies, bytes_max=forwarded_max)
            # Room for twice the limit, so that we can say why an entry is too long.
            self._proxied = self._serving(forwarded, limits.metadata_bytes_max + 2 * forwarded_max)
        self._server = self._serving(
            DirectCallers(callers) if proxies else callers, limits.metadata_bytes_max
        )

    def _serving(self, callers: FindsCallers, metadata_bytes_max: int) -> grpc.aio.Server:
        """A server of everything, not bound yet."""
        limits = self._config.limits
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", limits.message_bytes_max + TRANSPORT_ROOM_BYTES),
                ("grpc.max_send_message_length", limits.message_bytes_max + TRANSPORT_ROOM_BYTES),
                ("grpc.max_metadata_size", metadata_bytes_max),
                ("grpc.absolute_max_metadata_size", metadata_bytes_max),
                # Left to itself, the window of a stream grows with the line and each upload fills it: 30 MB apiece.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", STREAM_WINDOW_BYTES),
                ("grpc.max_concurrent_streams", limits.streams_per_connection_max),
                ("grpc.server_handshake_timeout_ms", 10_000),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
                ("grpc.http2.max_ping_strikes", 2),
                ("grpc.max_connection_age_ms", 3_600_000),
                ("grpc.max_connection_age_grace_ms", 30_000),
            ],
            maximum_concurrent_rpcs=limits.concurrent_calls_max,
        )
        guard = Guard(
            server,
            callers,
            call_seconds_max=limits.call_seconds_max,
            message_bytes_max=limits.message_bytes_max,
            idle_seconds_max=limits.upload_idle_seconds_max,
        )
        self._guards.append(guard)
        names = []
        for name, servicer in self._servicers.items():
            descriptors, module = SERVICES[name]
            guard.register(getattr(module, f"add_{name}Servicer_to_server"), servicer)
            names.append(descriptors.DESCRIPTOR.services_by_name[name].full_name)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names.append(health.SERVICE_NAME)
        add_reflection(server, names)
        self._names = [*names, *REFLECTION_NAMES]
        return server

    async def start(self) -> None:
        """Bind the listeners and serve. Raises ConfigError when an address is taken."""
        server = self._config.server
        pair = (tls_key_pem(server.key), server.certificate.read_bytes())
        mutual = grpc.ssl_server_credentials(
            [pair], root_certificates=server.client_anchors.read_bytes(), require_client_auth=True
        )
        one_sided = grpc.ssl_server_credentials([pair])
        with bound("server.listen", server.listen):
            self.ports["listen"] = self._server.add_secure_port(server.listen, mutual)
        with bound("server.public", server.public):
            self.ports["public"] = self._server.add_secure_port(server.public, one_sided)
        if self._proxied is not None:
            with bound("server.proxy_listen", server.proxy_listen):
                self.ports["proxy_listen"] = self._proxied.add_secure_port(server.proxy_listen, mutual)
            await self._proxied.start()
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    def mark_not_serving(self) -> None:
        """A ledger was found damaged: health says so until it was restored and the gateway started again."""
        self._unhealthy = asyncio.ensure_future(self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING))

    async def _set_health(self, status: Any) -> None:
        for name in ["", *self._names]:
            await self._health.set(name, status)

    async def stop(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Say NOT_SERVING, refuse new calls, let those in hand finish, then close the connections.

        Beyond the grace `drain` is called: it returns when every call that entered something has its answer and every
        other its refusal, for a call cut off before would leave its caller with an entry that it does not know of.
        Connections are closed after the last answer and not before: gRPC then waits, by a ping, until the client has
        read what was written. Told to go first, it closes with the last answer, and a client that is slow to read and
        writes meanwhile is reset and loses the answers that it holds unread (grpc/grpc-go#6019 tells of the same).
        """
        await self._health.enter_graceful_shutdown()
        for guard in self._guards:
            guard.close()
        if not await self._is_empty_within(self._config.server.grace_seconds):
            await drain()
            await self._is_empty_within(ANSWER_SECONDS_MAX)  # what is left is streams that nobody ends
        servers = [self._server] if self._proxied is None else [self._server, self._proxied]
        await asyncio.gather(*(server.stop(ANSWER_SECONDS_MAX) for server in servers))

    async def _is_empty_within(self, seconds: float) -> bool:
        return all(await asyncio.gather(*(guard.is_empty_within(seconds) for guard in self._guards)))
