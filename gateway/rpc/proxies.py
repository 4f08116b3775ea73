"""Callers who come over TLCP (GB/T 38636): a proxy ends the connection and forwards the caller's certificate.

gRPC speaks TLS alone. A registered proxy calls a listener of its own, by mutual TLS, and puts the certificate by which
its caller proved who it is into one entry of the metadata; here it becomes the caller of the call, as a TLS certificate
does elsewhere. It proves the connection and nothing else: whoever acts signs an envelope, which the proxy cannot.

Where no proxy is set none of this is run, and the entry is metadata like any other.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import grpc

from gateway.config import ProxyConfig
from gateway.rpc.callers import Callers, certificate_of
from gateway.rpc.errors import Refusal, refusal_of
from gateway.rpc.rights import Caller
from signing.certificates import Certificate, parse_certificate
from signing.envelope import CERTIFICATES_MAX
from signing.errors import SigningError
from signing.sm2 import SM2PublicKey

log = logging.getLogger(__name__)

#: Base64url of the DER of the caller's certificate, then of what leads to its anchor, joined by full stops. No comma:
#: what was joined on the way of several entries of one name is none.
FORWARDED: Final = "x-diya-client-certificate"

_ENCODED: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}\Z")


class DirectCallers:
    """Callers on every other listener of a gateway that has proxies: nobody forwards anything there."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self.check_registry = callers.check_registry

    def of(self, context: grpc.aio.ServicerContext[Any, Any], registry: str) -> Caller:
        """As ever. Raises Refusal FORWARDED_CERTIFICATE_NOT_ALLOWED where the entry is there all the same."""
        if _forwarded(context):
            own = certificate_of(context)
            _tell(f"{FORWARDED} outside server.proxy_listen", own.key_id if own else "")
            raise Refusal(
                "FORWARDED_CERTIFICATE_NOT_ALLOWED",
                f"元数据 {FORWARDED} 只能由已登记的代理经代理专用端口发送；请去掉该项后重新发送",
                f"metadata {FORWARDED} is for registered proxies on the listener for proxies: leave it out",
                {"field": FORWARDED},
            )
        return self._callers.of(context, registry)


class ForwardedCallers:
    """Callers on the listener for proxies: each is whom the proxy's entry names, if the proxy may name anybody."""

    def __init__(self, callers: Callers, proxies: Sequence[ProxyConfig], *, bytes_max: int) -> None:
        """bytes_max: of the entry, as text."""
        self._callers = callers
        self.check_registry = callers.check_registry
        self._proxies = {proxy.key_id: proxy for proxy in proxies}
        self._bytes_max = bytes_max

    def of(self, context: grpc.aio.ServicerContext[Any, Any], registry: str) -> Caller:
        """Who calls through the proxy, in this registry; PUBLIC when nobody registered the key.

        Raises Refusal: PROXY_NOT_REGISTERED, PROXY_SUSPENDED, FORWARDED_CERTIFICATE_INVALID, and the reasons of a
        certificate that does not hold, for no TLS layer of ours has judged this one.
        """
        self._check_proxy(context, registry)
        certificate, chain = self._read(_forwarded(context))
        try:
            return self._callers.named_by(certificate, chain, registry)
        except SigningError as error:
            refusal = refusal_of(error)
            raise replace(
                refusal,
                zh=f"经代理转交的客户端证书：{refusal.zh}",
                en=f"the client certificate that the proxy forwards: {refusal.en}",
                metadata={**refusal.metadata, "field": FORWARDED},
            ) from error

    def _check_proxy(self, context: grpc.aio.ServicerContext[Any, Any], registry: str) -> None:
        """By its key, its address, and a certificate that the registry believes as it does any connection's."""
        own, address = certificate_of(context), address_of(context.peer())
        proxy = None if own is None else self._proxies.get(own.key_id)
        if own is None or proxy is None:
            _tell("no registered proxy", own.key_id if own else "", address)
            raise _not_registered("其密钥未登记", "its key is not among server.proxies")
        if address is None or not any(address in network for network in proxy.addresses):
            _tell(f"proxy {proxy.name} from another address", own.key_id, address)
            raise _not_registered(
                "其来源地址未登记", "it calls from an address that is not registered for it"
            )
        if proxy.suspended:
            _tell(f"suspended proxy {proxy.name}", own.key_id, address)
            raise Refusal(
                "PROXY_SUSPENDED",
                "该代理已被停用；请改用其他代理，或者联系登记机构",
                "this proxy is suspended: come by another, or ask the registration authority",
            )
        try:
            self._callers.check_connection(own, (), registry)
        except SigningError as error:
            _tell(f"proxy {proxy.name} with a certificate that does not hold", own.key_id, address)
            raise _not_registered(
                f"其证书不成立（{error.zh}）", f"its certificate does not hold ({error.message})"
            ) from error

    def _read(self, entries: Sequence[str | bytes]) -> tuple[Certificate, tuple[Certificate, ...]]:
        """The certificate that was forwarded, with those above it."""
        if len(entries) != 1:
            _refuse(
                f"应当有且仅有一项，实有 {len(entries)} 项", f"there must be one entry, not {len(entries)}"
            )
        (text,) = entries
        if len(text) > self._bytes_max:
            _refuse(
                f"长 {len(text)} 字节，上限 {self._bytes_max} 字节",
                f"it has {len(text)} bytes, the limit is {self._bytes_max}",
            )
        return _certificates_of(text if isinstance(text, str) else "")


@lru_cache(maxsize=4096)
def _certificates_of(text: str) -> tuple[Certificate, tuple[Certificate, ...]]:
    """Read an entry; what is refused is not kept."""
    parts = text.split(".")
    if len(parts) > CERTIFICATES_MAX:
        _refuse(
            f"有 {len(parts)} 张证书，上限 {CERTIFICATES_MAX} 张",
            f"it holds {len(parts)} certificates, the limit is {CERTIFICATES_MAX}",
        )
    try:
        first, *above = [parse_certificate(_decoded(part)) for part in parts]
    except (ValueError, SigningError):
        _refuse(
            "须为证书 DER 的 base64url 编码，多张以“.”相连",
            "it must be base64url of a certificate's DER, of several joined by full stops",
        )
    if not isinstance(first.public_key, SM2PublicKey):
        _refuse(
            "须为 SM2 密钥的证书；其他密钥请直接以 TLS 连接",
            "it must be of an SM2 key: whoever has another connects by TLS, without a proxy",
        )
    return first, tuple(above)


def _decoded(part: str) -> bytes:
    if not _ENCODED.match(part):
        raise ValueError("not base64url")
    bare = part.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def _refuse(zh: str, en: str) -> NoReturn:
    raise Refusal(
        "FORWARDED_CERTIFICATE_INVALID",
        f"代理转交的元数据 {FORWARDED} 无效：{zh}；请代理的运行方更正",
        f"metadata {FORWARDED} of the proxy is not valid: {en}; whoever runs the proxy mends it",
        {"field": FORWARDED},
    )


def _not_registered(zh: str, en: str) -> Refusal:
    return Refusal(
        "PROXY_NOT_REGISTERED",
        f"此端口只供已登记的代理使用，{zh}；请直接以 TLS 连接其他端口，或者请登记机构登记该代理",
        f"this listener is for registered proxies, and {en}; connect to the other listener by TLS, or have the "
        "registration authority register the proxy",
    )


def _forwarded(context: grpc.aio.ServicerContext[Any, Any]) -> list[str | bytes]:
    return [value for key, value in context.invocation_metadata() or () if key == FORWARDED]


def address_of(peer: str) -> IPv4Address | IPv6Address | None:
    """The address of a gRPC peer such as `ipv4:10.0.0.1:5000` or `ipv6:%5B::1%5D:5000`; None where it has none."""
    family, _, rest = unquote(peer).partition(":")
    if family not in ("ipv4", "ipv6"):
        return None
    address = ip_address(rest.rpartition(":")[0].strip("[]").partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=256)
def _tell(what: str, key_id: str, address: IPv4Address | IPv6Address | None = None) -> None:
    """A line of log for whoever looks after the proxies, once: who tries on and on fills no disk, the metric counts.

    An address only of who calls as a proxy does; on the public listener it would be a person's.
    """
    log.warning("%s: key %s%s", what, key_id or "none", f", address {address}" if address else "")
