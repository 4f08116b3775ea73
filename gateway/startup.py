"""What must be true before a gateway serves: settings that fit each other, a database that is there, ledgers that hold.

Each refusal is one line that names the setting, what is wrong with it and what to do. Only the newest stretch of a
ledger is read here (`Publisher.check_newest`), so that a start stays quick; `diya ledger verify` reads all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DatabaseError

from gateway.config import Config, ConfigError, RegistryConfig, ServerConfig
from gateway.http.timestamp_client import TimestampClient
from gateway.keyring.keys import new_key_path, note_signer, read_key_encryption_key, tls_key_pem
from gateway.keyring.ledger_signers import LedgerSigners
from gateway.keyring.seals import seals_in_use
from gateway.storage import tables
from gateway.storage.engine import database_file
from gateway.storage.later import add_missing_tables
from gateway.storage.settings import load_settings
from gateway.witness.asking import AskedWitness
from ledger.checkpoint import NoteSigner
from ledger.errors import LedgerError, PolicyError, RegistryUnknownError, SignerMismatchError, WrongKeyError
from ledger.policy import NONE as QUORUM_NONE
from ledger.policy import Policy, parse_policy
from ledger.publish import Publisher, SignedCheckpoint
from ledger.store import Ledger
from ledger.tables import LATER
from ledger.tables import metadata as ledger_metadata
from signing import sm2
from signing.certificates import parse_certificate

PORT_MAX: Final = 65_535


class LedgerRefused(ConfigError):
    """A stored ledger does not hold, or its views are not there: nothing is served from it. `cure`: what to run."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(f"{message}. Nothing is served; run `{cure}`")
        self.what = message
        self.cure = cure


# -- settings ----------------------------------------------------------------------------------------------------------


def check_settings(config: Config) -> tuple[bytes, dict[str, NoteSigner]]:
    """Read every file that the settings name; the key-encryption key, and each registry's signer.

    Raises ConfigError with the setting's name.
    """
    server = config.server
    _check_address("server.listen", server.listen)
    _check_address("server.public", server.public)
    if server.metrics:
        _check_address("server.metrics", server.metrics)
    if server.tiles:
        _check_address("server.tiles", server.tiles)
    _check_proxies(server)
    chain = _certificates("server.certificate", server.certificate)
    with _named("server.key", server.key.place):
        public = load_pem_private_key(tls_key_pem(server.key), password=None).public_key()
    if _spki(public) != _spki(chain[0].public_key()):
        raise ConfigError(
            f"server.key: {server.key.place} is not the key of server.certificate {server.certificate}"
        )
    _certificates("server.client_anchors", server.client_anchors)
    for registry in config.registries:
        _check_authority(registry)
    return check_ledger_keys(config)


def check_ledger_keys(config: Config) -> tuple[bytes, dict[str, NoteSigner]]:
    """The key-encryption key, and each registry's signer. Raises ConfigError."""
    _check_ids(config.registries)
    storage = config.storage
    with _named("storage.key_encryption_key", storage.key_encryption_key):
        key = read_key_encryption_key(storage.key_encryption_key, storage.key_encryption_key_wrapping)
        _check_not_changing(storage.key_encryption_key)
    signers: dict[str, NoteSigner] = {}
    for registry in config.registries:
        with _named(_setting(registry, "ledger_key"), registry.ledger_key.place):
            signers[registry.id] = note_signer(registry.origin, registry.ledger_key)
    return key, signers


def read_policies(
    config: Config, signers: Mapping[str, NoteSigner]
) -> dict[str, tuple[Policy, float | None]]:
    """Of each registry with witnesses: its policy, and after how many seconds without a quorum its acts stop.

    Raises ConfigError.
    """
    policies: dict[str, tuple[Policy, float | None]] = {}
    for registry in config.registries:
        if registry.witness_policy is None:
            if registry.witness_stop_seconds is not None:
                raise ConfigError(
                    f"{_setting(registry, 'witness_stop_seconds')}: there is no witness_policy to wait for; "
                    "name one, or take this setting out"
                )
            continue
        name = _setting(registry, "witness_policy")
        with _named(name, registry.witness_policy):
            policy = _read_policy(registry.witness_policy, signers[registry.id])
        if registry.witness_stop_seconds is not None and policy.quorum == QUORUM_NONE:
            raise ConfigError(f"{name}: its quorum is none, so witness_stop_seconds has nothing to wait for")
        if policy.witnesses:
            policies[registry.id] = (policy, registry.witness_stop_seconds)
    return policies


def _read_policy(path: Path, signer: NoteSigner) -> Policy:
    try:
        policy = parse_policy(path.read_bytes())
    except PolicyError as error:
        raise ConfigError(f"{path}: line {error.line}: {error.rule}") from error
    if policy.logs and signer.vkey not in policy.logs:
        raise ConfigError(f"{path}: lists logs, and not this one: add the line `log {signer.vkey}`")
    for witness in policy.witnesses.values():
        try:
            AskedWitness(witness.url, timeout_seconds=1.0)
        except ValueError as error:
            raise ConfigError(
                f"{path}: witness {witness.name}: {witness.url or 'no URL'}: write where it is asked behind its key, "
                "http(s)://HOST[:PORT][/PREFIX]"
            ) from error
    return policy


def _check_authority(registry: RegistryConfig) -> None:
    """The URL must be one; whether its tokens are believed is asked of the registry's trust, each time."""
    if registry.timestamp is not None:
        try:
            TimestampClient(registry.timestamp.url)
        except ValueError as error:
            raise ConfigError(f"{_setting(registry, 'timestamp.url')}: {error}") from error


def _check_not_changing(path: Path) -> None:
    """A change of the key that was broken off has left keys under either one."""
    if new_key_path(path).exists():
        raise ConfigError(
            f"{path}: its replacement has begun and is not finished ({new_key_path(path)} is there); "
            f"run `diya keys rotate-kek`, which goes on where it ended"
        )


def backup_problem(config: Config) -> str:
    """What is wrong with the backup of the key-encryption key, in one line; empty when nothing is.

    Serving goes on, for the backup may lie where it is not always to be read; but a lost key is a lost register.
    """
    storage = config.storage
    backup = storage.key_encryption_key_backup
    setting = "storage.key_encryption_key_backup"
    if backup is None:
        return f"{setting}: not set, no backup of {storage.key_encryption_key} is known; without the key all is lost"
    try:
        with _named(setting, backup):
            wrapping = storage.key_encryption_key_wrapping
            here = read_key_encryption_key(storage.key_encryption_key, wrapping)
            same = read_key_encryption_key(backup, wrapping) == here
    except ConfigError as error:
        return f"{error}; copy {storage.key_encryption_key} there"
    if not same:
        return (
            f"{setting}: {backup} is another key than {storage.key_encryption_key}; find out which is right"
        )
    return ""


def _setting(registry: RegistryConfig, name: str) -> str:
    return f"registries ({registry.id}) {name}"


@contextmanager
def _named(setting: str, path: Path | str) -> Iterator[None]:
    """Whatever goes wrong with a file, under the name of the setting that names it."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{setting}: {path}: {error.strerror or error}") from error
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{setting}: {path}: not in PEM, or not of a kind that is known") from error


def _check_address(setting: str, address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        raise ConfigError(f"{setting}: {address} is not HOST:PORT with a port of 0 to {PORT_MAX}")


def _check_proxies(server: ServerConfig) -> None:
    """A listener for proxies and the proxies that may use it stand together, and each key is one proxy's."""
    if bool(server.proxy_listen) != bool(server.proxies):
        there, missing = ("proxy_listen", "proxies") if server.proxy_listen else ("proxies", "proxy_listen")
        raise ConfigError(
            f"server.{missing}: not set, though server.{there} is: set both or take that one out"
        )
    if not server.proxies:
        return
    _check_address("server.proxy_listen", server.proxy_listen)
    key_id, count = Counter(proxy.key_id for proxy in server.proxies).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"server.proxies: {count} of them have the key_id {key_id}; each has its own")
    if not sm2.AVAILABLE:
        raise ConfigError(
            f"server.proxies: callers over TLCP have SM2 keys. {sm2.NOT_INSTALLED} / {sm2.NOT_INSTALLED_ZH}"
        )


def _check_ids(registries: list[RegistryConfig]) -> None:
    if not registries:
        raise ConfigError("registries: there is none; a gateway serves one at least")
    value, count = Counter(registry.id for registry in registries).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"registries: {count} of them have the id {value}; each has its own")


def _certificates(setting: str, path: Path) -> list[Certificate]:
    with _named(setting, path):
        return load_pem_x509_certificates(path.read_bytes())


@contextmanager
def bound(setting: str, address: str) -> Iterator[None]:
    """An address that cannot be listened on, under the name of its setting."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"{setting}: cannot listen on {address}: it is taken, or not of this machine ({error})"
        ) from error


def _spki(public_key: Any) -> bytes:
    return bytes(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


# -- the store ---------------------------------------------------------------------------------------------------------


def check_database(config: Config) -> None:
    """Raise ConfigError unless the database is there: only `diya init` makes one."""
    path = database_file(config.storage.database)
    if path is not None and not path.is_file():
        raise ConfigError(
            f"storage.database: no such database: {path}; only `diya init` makes one, see that the path is right"
        )


def check_tables(engine: Engine, database: str) -> None:
    """Create tables beside ledger and views where an older version had none; raise where one of those is missing.

    An empty ledger or an empty register in place of a lost one is not ours to make.
    """
    try:
        there = inspect(engine)
        names = set(there.get_table_names())
        missing = sorted(ledger_metadata.tables.keys() - names - {table.name for table in LATER})
        if missing:
            raise LedgerRefused(
                f"storage.database: {database} has no table {missing[0]}", "diya ledger verify"
            )
        for table in tables.VIEWS:
            held = {c["name"] for c in there.get_columns(table.name)} if table.name in names else set()
            lost = [column.name for column in table.columns if column.name not in held]
            if lost:
                what = f"column {lost[0]} in view" if held else "view"
                raise LedgerRefused(
                    f"storage.database: {database} has no {what} {table.name}", "diya ledger rebuild"
                )
        with engine.begin() as connection:
            add_missing_tables(connection)
    except DatabaseError as error:
        raise LedgerRefused(
            f"storage.database: {database} cannot be read: {error.orig}", "diya ledger verify"
        ) from error


def take_over(
    config: Config, engine: Engine, ledger: Ledger, publisher: Publisher
) -> Mapping[str, SignedCheckpoint | None]:
    """Check the newest stretch of every ledger, and publish what a crash left unpublished; the last checkpoints.

    Raises ConfigError where the settings are not those of the ledger, LedgerRefused where it does not hold.
    """
    newest: dict[str, SignedCheckpoint | None] = {}
    for registry in config.registries:
        with _judged(config, registry), engine.begin() as connection:
            ledger.check_key(connection, registry.id)
            _check_origin(connection, ledger, registry)
            head = publisher.check_newest(connection, registry.id)
            newest[registry.id] = publisher.publish(connection, registry.id) if head.size else None
    return newest


def check_ledger_signers(config: Config, engine: Engine, signers: LedgerSigners) -> None:
    """Have the keys that each ledger says sign its checkpoints. Raises ConfigError."""
    with engine.connect() as connection:
        terms = {one.id: load_settings(connection, one.id).ledger_keys for one in config.registries}
    signers.terms_of = terms.__getitem__
    signers.check(config)


def check_suites(config: Config, engine: Engine) -> None:
    """Raise ConfigError where a registry trusts an SM2 authority and the national suite is not installed."""
    if sm2.AVAILABLE:
        return
    with engine.begin() as connection:
        for registry in config.registries:
            trust = load_settings(connection, registry.id).trust
            ders = [der for some in trust.now.anchors.values() for der in some] if trust else []
            for authority in map(parse_certificate, ders):
                if isinstance(authority.public_key, sm2.SM2PublicKey):
                    raise ConfigError(
                        f"{_setting(registry, 'id')}: its ledger trusts the SM2 authority {authority.name}. "
                        f"{sm2.NOT_INSTALLED} / {sm2.NOT_INSTALLED_ZH}"
                    )


def _check_origin(connection: Connection, ledger: Ledger, registry: RegistryConfig) -> None:
    origin = ledger.head(connection, registry.id, for_update=False).origin
    if origin != registry.origin:
        raise ConfigError(
            f"{_setting(registry, 'origin')}: is {registry.origin}, but the ledger was begun as {origin}, "
            f"and keeps that name for ever: put it back (or, where entries are lost: `diya ledger recover`)"
        )


def check_seals(config: Config, engine: Engine) -> None:
    """Open the seal that each ledger says is in use, and the national one beside it, and make a signature with each.
    Raises ConfigError.
    """
    for registry in config.registries if config.sealing else ():
        with engine.connect() as connection:
            terms = load_settings(connection, registry.id).seals
        for seal in seals_in_use(registry, terms):
            seal.open()


@contextmanager
def _judged(config: Config, registry: RegistryConfig) -> Iterator[None]:
    """What the ledger says of itself, as what an operator can do about it."""
    try:
        yield
    except WrongKeyError as error:
        path = config.storage.key_encryption_key
        raise ConfigError(f"storage.key_encryption_key: {path}: {error}") from error
    except RegistryUnknownError as error:
        raise ConfigError(f"{_setting(registry, 'id')}: {error}") from error
    except SignerMismatchError as error:
        raise ConfigError(
            f"{_setting(registry, 'ledger_key')}: {registry.ledger_key.place}: {error.rule}. Either this is the key of "
            f"another ledger: put the right one back; or that checkpoint was changed: "
            f"run `diya ledger verify --registry {registry.id}`"
        ) from error
    except LedgerError as error:
        what = str(error).removesuffix("; signing has stopped, run a full verification").removesuffix(".")
        raise LedgerRefused(what, f"diya ledger verify --registry {registry.id}") from error
    except DatabaseError as error:
        raise LedgerRefused(
            f"storage.database: the ledger of {registry.id} cannot be read: {error.orig}",
            f"diya ledger verify --registry {registry.id}",
        ) from error
