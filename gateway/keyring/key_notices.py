"""What an operator should know of the keys at a start: which lie in the clear, whose certificate ends soon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Final

from cryptography import x509

from gateway.config import Config
from gateway.keyring.seals import ConfiguredSeal
from gateway.telemetry import metrics
from signing.key_source import is_in_clear

#: A certificate that ends within this is told at a start.
SOON: Final = dt.timedelta(days=30)


def key_notices(
    config: Config,
    seals_of: Callable[[str], list[ConfiguredSeal]],
    is_production: Callable[[str], bool],
    now: dt.datetime,
) -> Iterator[str]:
    """One line for each; and the metric says until when each certificate is valid. Raises OSError.

    A key in the clear is a matter of course in development, so it is told only where a registry is in production.
    """
    server = config.server
    if is_in_clear(server.key) and any(is_production(registry.id) for registry in config.registries):
        yield _in_clear("server.key", server.key.place)
    storage = config.storage
    if storage.key_encryption_key_wrapping is None and any(
        is_production(one.id) for one in config.registries
    ):
        yield (
            f"storage.key_encryption_key: {storage.key_encryption_key} lies in the clear on a disk, which is for "
            "development only: set storage.key_encryption_key_wrapping and run `diya keys wrap-kek`"
        )
    own = x509.load_pem_x509_certificates(server.certificate.read_bytes())[0]
    metrics.key_not_after("all", "connection", own.not_valid_after_utc)
    yield from _ending("server.certificate", own.not_valid_after_utc, now)
    for registry in config.registries:
        where = f"registries ({registry.id})"
        for name in ("ledger_key", "next_ledger_key"):
            source = getattr(registry, name)
            if source is not None and is_in_clear(source) and is_production(registry.id):
                yield _in_clear(f"{where} {name}", source.place)
        for seal in seals_of(registry.id) if config.sealing else ():
            if is_in_clear(seal.source) and is_production(registry.id):
                yield _in_clear(seal.setting, seal.source.place)
            yield from tell_seal(registry.id, seal, now)


def tell_seal(registry: str, seal: ConfiguredSeal, now: dt.datetime) -> Iterator[str]:
    """The metric of the seal in use, and a line where its certificate ends soon."""
    use = "national_seal" if seal.is_beside else "seal"
    metrics.key_not_after(registry, use, seal.certificate.not_after)
    yield from _ending(f"{seal.setting}'s certificate", seal.certificate.not_after, now)


def _in_clear(setting: str, place: str) -> str:
    return (
        f"{setting}: {place} lies in the clear on a disk, which is for development only: encrypt it "
        "(PATH?pin-source=…) or move it into a token (pkcs11:…), see docs/operating.md"
    )


def _ending(what: str, until: dt.datetime, now: dt.datetime) -> Iterator[str]:
    if until <= now:
        yield f"{what}: has not been valid since {until.isoformat()}: replace it"
    elif until - now <= SOON:
        yield f"{what}: is valid until {until.isoformat()} and no longer: replace it before"
