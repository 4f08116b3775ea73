"""Settings: one TOML file, overridden by environment variables `DIYA_…` (nested with `__`). Every limit is here.

Paths in the file are relative to the file's own folder.
"""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.vault import PartCipher
from signing.errors import SigningError
from signing.key_source import (
    FileKey,
    KeySource,
    PinSource,
    TokenKey,
    parse_key_source,
    parse_pin_source,
    pin_under,
    under,
)

MIB = 1024 * 1024


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file, the setting and the way out."""


def _key_source(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_key_source(value)
    except SigningError as error:
        raise ValueError(error.message) from error


#: A private key: a path, a path with where its passphrase stands, or a PKCS#11 URI (`signing/key_source.py`).
KeySetting: TypeAlias = Annotated[KeySource, BeforeValidator(_key_source)]


def _wrapping(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_key_source(value) if value.startswith("pkcs11:") else parse_pin_source(value)
    except SigningError as error:
        raise ValueError(error.message) from error


#: What a secret in a file is wrapped with: a passphrase, by where it stands, or an AES key in a token.
WrappingSetting: TypeAlias = Annotated[PinSource | TokenKey, BeforeValidator(_wrapping)]


class ProxyConfig(BaseModel):
    """A proxy that ends TLCP connections (GB/T 38636) before this gateway and tells who the callers are.

    It is known by the key of its own TLS client certificate and by where it calls from; both must fit.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")  # for the log
    key_id: str = Field(pattern=r"^[0-9a-f]{64}$")  # SHA-256 of its DER SubjectPublicKeyInfo
    addresses: list[IPv4Network | IPv6Network] = Field(min_length=1)
    suspended: bool = False


class ServerConfig(BaseModel):
    """Listeners. Banks, registrars and operators call `listen` with a client certificate; anyone calls `public`.

    `tiles` serves the public ledgers over plain HTTP (C2SP tlog-tiles), `metrics` Prometheus, `proxy_listen` those of
    `proxies` by mutual TLS; empty switches one off.
    """

    listen: str = "127.0.0.1:7443"
    public: str = "127.0.0.1:7444"
    metrics: str = "127.0.0.1:7445"
    tiles: str = ""
    proxy_listen: str = ""
    proxies: list[ProxyConfig] = Field(default_factory=list)
    certificate: Path
    key: KeySetting  # a file: gRPC takes the bytes of a key, and none from a token
    client_anchors: Path
    verification_url: str  # printed on certificates as QR code, with identifier and code behind it
    grace_seconds: float = 10.0


class StorageConfig(BaseModel):
    """Where data lie. `database` is a SQLAlchemy URL; SQLite is the embedded default."""

    database: str
    files: Path
    key_encryption_key: Path
    key_encryption_key_wrapping: WrappingSetting | None = None  # in the clear without: for development only
    key_encryption_key_backup: Path | None = None  # a copy on another medium; compared at every start


class TimestampConfig(BaseModel):
    """The time stamp authority (RFC 3161) of a registry's seals and checkpoints.

    Its certificate chains to one of the registry's anchors for TSA. A seal waits for its stamp: for ever where one is
    required, else for the grace, after which it is made without.
    """

    url: str
    policy: str = Field(default="", pattern=r"^([0-2](\.(0|[1-9][0-9]*)){1,32})?$")  # OID; empty: any
    required: bool = True
    grace_seconds: float = Field(default=60.0, ge=0)
    checkpoint_interval_seconds: float = Field(default=600.0, gt=0)
    checkpoint_entries: int = Field(default=1000, gt=0)  # or so many new entries, whichever comes first


class RegistryConfig(BaseModel):
    """One registry that this gateway serves."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")
    origin: str
    ledger_key: KeySetting
    next_ledger_key: KeySetting | None = None  # what `diya keys rotate checkpoint` puts beside it
    seal_certificate: Path
    seal_key: KeySetting
    national_seal_certificate: Path | None = None  # SM2: a second seal beside the first, which is not
    national_seal_key: KeySetting | None = None
    next_seal_certificate: Path | None = None  # what `diya keys rotate` goes on to; read when it is asked
    next_seal_key: KeySetting | None = None
    next_national_seal_certificate: Path | None = None
    next_national_seal_key: KeySetting | None = None
    part_cipher: PartCipher = PartCipher.AES_256_GCM  # of part keys that are made from now on
    witness_policy: Path | None = None  # C2SP tlog-policy: witnesses with their URLs, and the quorum
    witness_stop_seconds: float | None = Field(default=None, gt=0)  # None: a missing quorum stops nothing
    timestamp: TimestampConfig | None = None


class Limits(BaseModel):
    """Everything has a limit with a name and a unit."""

    message_bytes_max: int = (
        6 * MIB
    )  # a payload of 4 MiB, the most of the contract, its signatures and sections
    file_bytes_max: int = 20 * MIB
    case_bytes_max: int = 200 * MIB
    chunk_bytes_max: int = 256 * 1024
    upload_idle_seconds_max: float = 20.0
    call_seconds_max: float = 30.0
    metadata_bytes_max: int = 8 * 1024
    forwarded_certificate_bytes_max: int = 8 * 1024  # as text: a certificate with what leads to its anchor
    concurrent_calls_max: int = 1024
    streams_per_connection_max: int = 256
    stream_unanswered_max: int = 64
    watch_silence_seconds_max: float = 30.0
    page_size_default: int = 50
    page_size_max: int = 500
    envelope_days_max: int = 7
    check_workers: int = 2
    verify_threads: int = 2
    seal_workers: int = 1
    witness_timeout_seconds: float = 5.0
    witness_interval_seconds: float = 1.0
    witness_retry_seconds_max: float = 60.0
    timestamp_timeout_seconds: float = 5.0
    timestamp_retry_seconds_max: float = 60.0
    revocation_timeout_seconds: float = 10.0
    revocation_look_seconds: float = 2.0  # how often it is asked whether a source is due
    revocation_refresh_seconds_max: float = 3600.0
    revocation_retry_seconds: float = 5.0
    revocation_retry_seconds_max: float = 300.0
    revocation_list_bytes_max: int = 8 * MIB


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(env_prefix="DIYA_", env_nested_delimiter="__", extra="forbid")

    server: ServerConfig
    storage: StorageConfig
    registries: list[RegistryConfig]
    limits: Limits = Limits()
    log_json: bool = True
    sealing: bool = True

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file."""
        return env_settings, init_settings


def load_config(path: Path) -> Config:
    """Read a configuration; raises ConfigError with one clear line."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        config = Config(**values)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; `diya init` writes one") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:  # without its links to somebody else's web pages
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"{path}: {wrong}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return _resolved(config, path.resolve().parent)


def _resolved(config: Config, base: Path) -> Config:
    """The same configuration with every relative path made absolute."""

    def absolute(value: Any) -> Any:
        if isinstance(value, Path):
            return value if value.is_absolute() else base / value
        if isinstance(value, PinSource):
            return pin_under(value, base)
        if isinstance(value, FileKey | TokenKey):
            return under(value, base)
        if isinstance(value, BaseModel):
            return value.model_copy(update={k: absolute(v) for k, v in value.__dict__.items()})
        if isinstance(value, list):
            return [absolute(v) for v in value]
        return value

    resolved = config.model_copy(update={k: absolute(v) for k, v in config.__dict__.items()})
    prefix = "sqlite:///"
    url = resolved.storage.database
    if url.startswith(prefix) and not url.removeprefix(prefix).startswith("/"):
        url = prefix + str(base / url.removeprefix(prefix))
        resolved = resolved.model_copy(
            update={"storage": resolved.storage.model_copy(update={"database": url})}
        )
    return resolved
