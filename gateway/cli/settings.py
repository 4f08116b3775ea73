"""Settings of the remote commands: `diya-client.toml`, overridden by environment variables
`DIYA_…`.

Paths in the file are relative to its folder. Offline commands need `trust` at most.
"""

from __future__ import annotations

import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.cli.reading import read_file
from gateway.client.errors import InputError
from gateway.client.local_files import not_read, not_such_a_file

DEFAULT_FILE: Final = Path("diya-client.toml")
ROOT_CONFIG: Final[ContextVar[Path | None]] = ContextVar("root_config", default=None)
"""The --config that stood before the command; the one after it wins."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="DIYA_CONFIG",
        help="Connection settings; diya-client.toml of this folder when left out.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
]


class ClerkSettings(BaseModel, extra="forbid"):
    """Who answers for what is sent, unless the application file says."""

    name: str = ""
    employee_number: str = ""
    authorisation_number: str = ""


class ClientSettings(BaseSettings):
    """Where to call, as whom, and whom to trust.

    target: host:port of the listener with client certificates. public_target: the one without.
    server_name: name in the gateway's certificate when it is not the host. registry: id. roots: PEM
    anchors of the gateway's TLS certificate. certificate, key: own TLS certificate chain and key,
    PEM. signing_certificate, signing_key: those that sign. trust: folder with `<registry>.vkey` and
    the anchors `registry.pem`. checkpoints: folder that remembers the last checkpoint.
    channel_institution, applicant_institution: USCCs.
    """

    model_config = SettingsConfigDict(
        env_prefix="DIYA_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    target: str = ""
    public_target: str = ""
    server_name: str = ""
    registry: str = ""
    roots: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    signing_certificate: Path | None = None
    signing_key: Path | None = None
    trust: Path | None = None
    checkpoints: Path | None = None
    channel_institution: str = ""
    applicant_institution: str = ""
    clerk: ClerkSettings = ClerkSettings()

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

    def text(self, name: str) -> str:
        """A setting that this command needs. Raises InputError naming it and the ways to set it."""
        value = getattr(self, name)
        if not value:
            raise _missing(name)
        return str(value)

    def path(self, name: str) -> Path:
        """A path that this command needs. Raises InputError."""
        return Path(self.text(name))

    def read(self, name: str) -> bytes:
        """The bytes of a file that this command needs. Raises InputError."""
        path = self.path(name)
        try:
            return read_file(path)
        except InputError as error:
            raise InputError(f"setting {name}: {error.en}", f"设置 {name}：{error.zh}") from error


def load_settings(config: Path | None) -> ClientSettings:
    """The settings. config: None means the default file, which may be missing. Raises
    InputError.
    """
    config = config or ROOT_CONFIG.get()
    path = config or DEFAULT_FILE
    values: dict[str, Any] = {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if config is not None:
            raise not_read(path, error) from error
    except OSError as error:
        raise not_read(path, error) from error
    except ValueError as error:
        shape, shape_zh = (
            "settings in TOML (docs/client.md shows them)",
            " TOML 设置文件（样例见 docs/client.md）",
        )
        raise not_such_a_file(path, error, shape, shape_zh) from error
    base = path.resolve().parent
    for name, field in ClientSettings.model_fields.items():
        if field.annotation == (Path | None) and isinstance(values.get(name), str):
            values[name] = base / values[name]
    try:
        return ClientSettings(**values)
    except ValidationError as error:
        wrong = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        told = "; ".join(f"{name} ({why})" for name, why in wrong)
        names = "、".join(name for name, _ in wrong)
        raise InputError(
            f"{path} or the environment: unknown or invalid settings: {told}",
            f"{path} 或者环境变量中的设置无效：{names}",
        ) from error


def _missing(name: str) -> InputError:
    # What only verifies has an option for it; a command that calls a gateway has not.
    option = (", or --trust DIR where the command takes it", "，或者用 --trust 指定（如命令支持）")
    by_option = option if name == "trust" else ("", "")
    return InputError(
        f"setting {name} is needed: in {DEFAULT_FILE} (or --config FILE), or as DIYA_{name.upper()}{by_option[0]}",
        f"缺少设置 {name}：请写入 {DEFAULT_FILE}（或者 --config 指定的文件），"
        f"或者设环境变量 DIYA_{name.upper()}{by_option[1]}",
    )
