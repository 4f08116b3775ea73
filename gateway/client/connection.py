"""A connection to a gateway: grpc.aio over mutual TLS, with every limit explicit.

The own certificate is looked at before dialling. A gateway that refuses a client certificate closes
the socket, and all that a caller then sees is "UNAVAILABLE … Socket closed".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import TracebackType
from typing import Final, Self

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.client.errors import InputError, OwnCertificateRefused
from gateway.pb.diya.v1 import (
    admin_service_pb2,
    certificate_service_pb2,
    file_service_pb2,
    ledger_service_pb2,
    party_service_pb2,
    register_service_pb2,
    registration_service_pb2,
    review_service_pb2,
)
from signing.certificates import certificates_from_pem, key_id_of, parse_certificate
from signing.errors import SigningError

RECEIVE_BYTES_MAX: Final = 8 * 1024 * 1024
SEND_BYTES_MAX: Final = 8 * 1024 * 1024
KEEPALIVE_MILLISECONDS: Final = 60_000
KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 20_000
_RECONNECT_MAX_MILLISECONDS: Final = 10_000
_CHINA: Final = timezone(timedelta(hours=8))

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of this machine; the default of every `clock` parameter of this package."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long one attempt of a call may take, in seconds.

    call: reads. act: submissions and later acts. transfer: one upload or download, or an import.
    watch_silence: a watch without any message for so long is taken for broken (the gateway gives a
    sign of life every 30 s).
    """

    call: float = 10.0
    act: float = 30.0
    transfer: float = 300.0
    watch_silence: float = 90.0


DEFAULT_DEADLINES: Final = Deadlines()


class Connection:
    """An open channel with its deadlines. Use it as an async context manager, or call `close`."""

    def __init__(self, channel: grpc.aio.Channel, deadlines: Deadlines = DEFAULT_DEADLINES) -> None:
        self.channel = channel
        self.deadlines = deadlines

    async def close(self) -> None:
        """Close the channel; calls in hand are cancelled."""
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def connect(
    target: str,
    *,
    server_roots: bytes,
    certificate_chain: bytes,
    private_key: bytes,
    server_name: str = "",
    deadlines: Deadlines = DEFAULT_DEADLINES,
    clock: Clock = utc_now,
) -> Connection:
    """A connection that identifies itself by a client certificate. Call it inside a running event
    loop.

    target: "host:port". server_roots: PEM anchors of the gateway's certificate. certificate_chain:
    own certificate first, PEM. private_key: PKCS#8 PEM, unencrypted. server_name: the name in the
    gateway's certificate when it is not the host of `target`. Nothing is dialled before the first
    call.

    Raises OwnCertificateRefused when the own certificate could not work, InputError for roots that are none.
    """
    check_roots(server_roots)
    check_own_certificate(certificate_chain, private_key, clock())
    credentials = grpc.ssl_channel_credentials(server_roots, private_key, certificate_chain)
    return Connection(_channel(target, credentials, server_name), deadlines)


def connect_public(
    target: str,
    *,
    server_roots: bytes | None = None,
    server_name: str = "",
    deadlines: Deadlines = DEFAULT_DEADLINES,
) -> Connection:
    """A connection without a client certificate, to the public listener: verification and health.

    server_roots: PEM anchors; None means those of this machine.
    """
    if server_roots is not None:
        check_roots(server_roots)
    credentials = grpc.ssl_channel_credentials(server_roots)
    return Connection(_channel(target, credentials, server_name), deadlines)


def check_roots(server_roots: bytes) -> None:
    """Raise InputError unless these are PEM certificates: gRPC would fail with them as if the gateway were at fault."""
    try:
        if certificates_from_pem(server_roots):
            return
        why, why_zh = "it holds no certificate", "其中没有证书"
    except SigningError as error:
        why, why_zh = error.message, error.zh
    raise InputError(
        f"the roots of the gateway's certificate are no PEM certificates: {why}; use the authority's",
        f"网关的根证书不是 PEM 证书：{why_zh}；请使用登记机构提供的根证书",
    )


def check_own_certificate(certificate_chain: bytes, private_key: bytes, now: datetime) -> None:
    """Raise OwnCertificateRefused unless the PEM chain's first certificate is valid at `now` and
    the PEM key is its key.
    """
    try:
        own = parse_certificate(certificates_from_pem(certificate_chain)[0])
    except SigningError as error:
        raise OwnCertificateRefused(
            error.reason, f"own client certificate: {error.message}", f"本方客户端证书：{error.zh}"
        ) from error
    if now > own.not_after:
        raise OwnCertificateRefused(
            "CERTIFICATE_EXPIRED",
            f"own client certificate of {own.subject!r} expired at {_china(own.not_after)}; "
            "have a new one issued and register its key",
            f"本方客户端证书（{own.subject}）已于 {_china(own.not_after)} 过期；请换发并登记新密钥",
            metadata={"notAfter": own.not_after.isoformat()},
        )
    if now < own.not_before:
        raise OwnCertificateRefused(
            "CERTIFICATE_NOT_YET_VALID",
            f"own client certificate of {own.subject!r} begins at {_china(own.not_before)}; "
            "check this machine's clock",
            f"本方客户端证书（{own.subject}）自 {_china(own.not_before)} 起生效；请检查本机时钟",
            metadata={"notBefore": own.not_before.isoformat()},
        )
    try:
        key_id = key_id_of(load_pem_private_key(private_key, password=None).public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OwnCertificateRefused(
            "KEY_UNREADABLE",
            "own private key is not an unencrypted PKCS#8 PEM key",
            "本方私钥不是未加密的 PKCS#8 PEM 格式",
        ) from error
    if key_id != own.key_id:
        raise OwnCertificateRefused(
            "KEY_ID_MISMATCH",
            f"own private key does not belong to the client certificate of {own.subject!r}",
            f"本方私钥与客户端证书（{own.subject}）不匹配",
        )


def _china(instant: datetime) -> str:
    """An instant for people, in China time with its offset."""
    return instant.astimezone(_CHINA).isoformat(sep=" ", timespec="seconds")


def _channel(target: str, credentials: grpc.ChannelCredentials, server_name: str) -> grpc.aio.Channel:
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),
        ("grpc.max_send_message_length", SEND_BYTES_MAX),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MAX_MILLISECONDS),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", service_config()),
    ]
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    return grpc.aio.secure_channel(target, credentials, options)


def service_config() -> str:
    """The channel's own retries, as JSON: reads only, on UNAVAILABLE only, once.

    Acts are repeated by this package and not by the channel, because the channel does not know of
    the delay that the gateway asks for.
    """
    names = [
        {"service": service.full_name, "method": method.name}
        for module in (
            admin_service_pb2,
            certificate_service_pb2,
            file_service_pb2,
            ledger_service_pb2,
            party_service_pb2,
            register_service_pb2,
            registration_service_pb2,
            review_service_pb2,
        )
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name.startswith(("Get", "List", "Verify"))
    ]
    policy = {
        "maxAttempts": 2,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})
