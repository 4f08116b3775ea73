"""`diya keys list --local`: on the database itself, on the gateway's own machine; the server may be down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from gateway.app import utc_now
from gateway.applications.administration import ActInvalid
from gateway.cli import outcomes
from gateway.cli.ledger_local import opened, refused
from gateway.config import Config
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.keyring.seals import Seals
from gateway.pb.diya.v1 import authority_pb2
from gateway.rpc.keys import RegistryKeys
from gateway.storage.engine import auditor_engine
from gateway.storage.queries import Queries
from gateway.storage.settings import Settings, load_settings
from ledger.checkpoint import NoteSigner
from ledger.publish import Publisher
from ledger.store import Ledger
from ledger.vault import Vault
from signing.trust import TrustStore


def list_keys(config: Path, registry: str) -> dict[str, list[authority_pb2.RegistryKey]]:
    """The keys of a gateway's registries, or of one of them, as the server lists them; or an exit with 1 or 2."""
    settings, chosen, secret, signers = opened(config, registry)
    engine = auditor_engine(settings.storage.database)
    try:
        return asyncio.run(_listed(settings, engine, secret, signers, [one.id for one in chosen]))
    except (ActInvalid, OSError) as error:
        raise refused(str(error), outcomes.USAGE) from error
    except DatabaseError as error:
        raise refused(
            f"{settings.storage.database}: cannot be read: {error.orig}", outcomes.FAILED
        ) from error
    finally:
        engine.dispose()


async def _listed(
    config: Config, engine: Engine, secret: bytes, signers: dict[str, NoteSigner], registries: list[str]
) -> dict[str, list[authority_pb2.RegistryKey]]:
    def settings_of(registry: str) -> Settings:
        with engine.connect() as connection:
            return load_settings(connection, registry)

    async def never(*_: Any) -> Any:
        raise AssertionError("an act needs the server")

    ledger_signers = LedgerSigners(config, signers, lambda: config)
    ledger_signers.terms_of = lambda registry: settings_of(registry).ledger_keys
    queries = Queries(engine, Ledger(Vault(secret)), Publisher(ledger_signers.of))
    keys = RegistryKeys(
        config=config,
        seals=Seals(config, lambda: config, lambda registry: settings_of(registry).seals),
        ledger_signers=ledger_signers,
        queries=queries,
        settings_of=settings_of,
        trust_of=lambda _: TrustStore({}),
        decided=never,
        clock=utc_now,
    )
    try:
        return {registry: await keys.all_keys(registry) for registry in registries}
    finally:
        queries.close()
