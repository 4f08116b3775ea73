"""From a connection to a caller: the registered key of the client certificate, never a common name.

The TLS layer has checked the chain; what is looked up here is who registered the key, and whether the certificate
has been revoked since.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import grpc

from gateway.rpc.names import check_registry
from gateway.rpc.rights import PUBLIC_CALLER, Caller, Directory
from gateway.storage.settings import Settings
from signing.certificates import Certificate, certificates_from_pem, parse_certificate
from signing.errors import SigningError
from signing.trust import Purpose, TrustStore


class FindsCallers(Protocol):
    """What the guard asks: of one listener, who calls, and whether the registry is here."""

    def of(self, context: grpc.aio.ServicerContext[Any, Any], registry: str) -> Caller:
        """Who calls, in this registry. May raise Refusal."""

    def check_registry(self, registry: str) -> None:
        """Raise Refusal (REGISTRY_NOT_FOUND) for a registry that this gateway does not serve."""


class Callers:
    """Finds callers. `settings_of` gives a registry's settings as of the last commit."""

    def __init__(
        self,
        settings_of: Callable[[str], Settings],
        trust_of: Callable[[str], TrustStore],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._settings_of = settings_of
        self._trust_of = trust_of
        self._clock = clock
        self._directories: dict[str, Directory] = {}

    def of(self, context: grpc.aio.ServicerContext[Any, Any], registry: str) -> Caller:
        """Who calls, in this registry; PUBLIC when no registered key is behind the connection."""
        certificate = certificate_of(context)
        if certificate is None:
            return PUBLIC_CALLER
        try:
            return self.named_by(certificate, (), registry)
        except SigningError:
            return PUBLIC_CALLER

    def named_by(self, certificate: Certificate, chain: Sequence[Certificate], registry: str) -> Caller:
        """Whose certificate of a connection this is; PUBLIC when nobody registered its key.

        Raises SigningError where the key is registered and the certificate does not hold now.
        """
        caller = self.directory(registry).find(certificate.key_id, self._clock())
        if caller is None:
            return PUBLIC_CALLER
        self.check_connection(certificate, chain, registry)
        return caller

    def check_connection(self, certificate: Certificate, chain: Sequence[Certificate], registry: str) -> None:
        """Raise SigningError unless the registry believes the certificate, for connections, now."""
        self._trust_of(registry).check_chain(certificate, chain, Purpose.TLS, self._clock())

    def check_registry(self, registry: str) -> None:
        """Raise Refusal (REGISTRY_NOT_FOUND) for a registry that this gateway does not serve."""
        check_registry(registry, self._settings_of(registry))

    def directory(self, registry: str) -> Directory:
        """The registry's directory, rebuilt when its settings moved."""
        settings = self._settings_of(registry)
        known = self._directories.get(registry)
        if known is None or known.settings is not settings:
            known = self._directories[registry] = Directory(settings)
        return known


def certificate_of(context: grpc.aio.ServicerContext[Any, Any]) -> Certificate | None:
    """The client certificate of the connection, its chain checked by the TLS layer; None without one."""
    pem = list(context.auth_context().get("x509_pem_cert") or ())
    return _certificate(pem[0]) if pem else None


@lru_cache(maxsize=4096)
def _certificate(pem: bytes) -> Certificate:
    return parse_certificate(certificates_from_pem(pem)[0])
