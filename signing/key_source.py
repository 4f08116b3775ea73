"""Where a private key comes from: one setting, parsed strictly.

    keys/seal.key.pem                                  PEM in the clear: development only
    keys/seal.key.pem?pin-source=file:/etc/diya/pin    encrypted PKCS#8 (RFC 5958), its passphrase elsewhere
    pkcs11:token=diya;object=seal?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/diya/pin

The last is a PKCS#11 URI (RFC 7512), of which we take what names a token and an object without doubt; behind its ? may
stand `timeout-seconds`, ours, how long one call into the token may take. A secret stands
in a file that only its owner may read (`file:PATH`), in an environment variable (`env:NAME`) or in a systemd credential
(`credential:NAME`), never in a setting and never on a command line.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from signing.algorithms import Algorithm, verify_signature
from signing.certificates import certificates_from_pem, parse_certificate
from signing.errors import SignerUnusable, SigningError
from signing.signer import LocalSigner, Signer

SECRET_BYTES_MAX: Final = 4096
_SCHEME: Final = "pkcs11:"
_PIN_SOURCE: Final = "pin-source"
_PIN_KINDS: Final = ("file", "env", "credential")
_PATH_NAMES: Final = ("token", "serial", "manufacturer", "model", "object", "id")
_QUERY_NAMES: Final = ("module-path", _PIN_SOURCE)
_TIMEOUT: Final = "timeout-seconds"
TOKEN_SECONDS: Final = 5.0
TOKEN_SECONDS_MAX: Final = 20.0
"""Below the time that a certificate may take to make, so that a token that hangs is told as what it is."""
_NOT_ENCODED: Final = re.compile(r"[A-Za-z0-9._~:\[\]@!$'()*+,=&/%-]*")
_PROOF: Final = b"diya-key-check/v1"


@dataclass(frozen=True, slots=True)
class PinSource:
    """Where a passphrase or PIN stands. kind: file, env or credential. name: a path or a variable's name."""

    kind: str
    name: str

    def read(self) -> bytes:
        """The secret, without one newline at its end. Raises `SignerUnusable` that names this place."""
        value = os.environ.get(self.name, "").encode() if self.kind == "env" else self._read_file()
        secret = value.removesuffix(b"\n").removesuffix(b"\r")
        if not secret or len(secret) > SECRET_BYTES_MAX:
            raise SignerUnusable(f"{self}: holds no secret of 1 to {SECRET_BYTES_MAX} bytes")
        return secret

    def _read_file(self) -> bytes:
        path = Path(self.name)
        if self.kind == "credential":
            folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
            if not folder:
                raise SignerUnusable(
                    f"{self}: CREDENTIALS_DIRECTORY is not set; systemd's LoadCredential= does"
                )
            path = Path(folder) / self.name
        else:
            check_private(path)
        try:
            return path.read_bytes()
        except OSError as error:
            raise SignerUnusable(f"{self}: {error.strerror or error}") from error

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class FileKey:
    """A private key in a file: PEM, encrypted where there is a `pin`."""

    path: Path
    pin: PinSource | None = None

    def __str__(self) -> str:
        return f"{self.path}?{_PIN_SOURCE}={self.pin}" if self.pin else str(self.path)

    @property
    def place(self) -> str:
        """Where it is, without where its secret is."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key in a PKCS#11 token. token, serial, manufacturer, model: of the token, those given must all fit.
    label, id: of the object. module: the library that speaks to the token. seconds: what one call may take.
    """

    module: Path
    pin: PinSource
    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    label: str = ""
    id: bytes = field(default=b"")
    seconds: float = TOKEN_SECONDS

    def __str__(self) -> str:
        module, pin = quote(str(self.module)), quote(str(self.pin), safe=":/")
        limit = f"&{_TIMEOUT}={self.seconds:g}" if self.seconds != TOKEN_SECONDS else ""
        return f"{self.place}?module-path={module}&{_PIN_SOURCE}={pin}{limit}"

    @property
    def place(self) -> str:
        """Where it is, without where its PIN is."""
        named = {
            "token": self.token,
            "serial": self.serial,
            "manufacturer": self.manufacturer,
            "model": self.model,
            "object": self.label,
        }
        parts = [f"{name}={quote(value, safe='')}" for name, value in named.items() if value]
        if self.id:
            parts.append("id=" + "".join(f"%{byte:02X}" for byte in self.id))
        return _SCHEME + ";".join(parts)


KeySource: TypeAlias = FileKey | TokenKey


def parse_key_source(text: str) -> KeySource:
    """The key that a setting names. Raises `SignerUnusable`, which tells what is wrong and never a secret."""
    if text.startswith(_SCHEME):
        return _parse_token(text.removeprefix(_SCHEME))
    path, separator, query = text.partition("?")
    if not path:
        raise SignerUnusable("a key needs a path, or a pkcs11: URI")
    if not separator:
        return FileKey(Path(path))
    named = _attributes(query, "&", (_PIN_SOURCE,), "after the ? of a key's path")
    return FileKey(Path(path), parse_pin_source(named.get(_PIN_SOURCE, "")))


def under(source: KeySource, base: Path) -> KeySource:
    """The same source with its relative paths taken from the folder `base`."""
    if isinstance(source, FileKey):
        source = replace(source, path=base / source.path)
    return replace(source, pin=pin_under(source.pin, base)) if source.pin is not None else source


def pin_under(pin: PinSource, base: Path) -> PinSource:
    """The same place with its relative path taken from the folder `base`."""
    return replace(pin, name=str(base / pin.name)) if pin.kind == "file" else pin


def open_signer(source: KeySource, chain_pem: bytes, algorithm: Algorithm | None = None) -> Signer:
    """A signer with this key and its PEM certificates, own first, that has made one good signature.

    Raises `SignerUnusable` (what an operator has to mend) or `SignerUnavailable` (a token that does not answer now).
    """
    signer: Signer
    if isinstance(source, FileKey):
        pem, password = _read(source)
        try:
            signer = LocalSigner.from_pem(pem, chain_pem, algorithm=algorithm, password=password)
        except SignerUnusable as error:
            unread = isinstance(error.__cause__, ValueError | TypeError)
            why = _why_not(pem, source.pin) if unread else ""
            raise SignerUnusable(f"{source.place}: {why or error.message}") from error
    else:
        from signing.tokens import TokenSigner  # noqa: PLC0415 an optional extra

        signer = TokenSigner(source, certificates_from_pem(chain_pem), algorithm)
    prove(signer)
    return signer


def prove(signer: Signer) -> None:
    """Make a signature and verify it with the signer's certificate. Raises `SignerUnusable` where it does not hold."""
    leaf = parse_certificate(signer.certificates[0])
    signature = signer.sign(_PROOF)
    try:
        verify_signature(leaf.public_key, signer.algorithm, signature, _PROOF)
    except SigningError as error:
        raise SignerUnusable(f"the key is not that of the certificate {leaf.subject!r}") from error


def read_private_key(source: FileKey) -> PrivateKeyTypes:
    """The key in a file, of whatever kind. Raises `SignerUnusable` that names the file and what to do."""
    pem, password = _read(source)
    try:
        return serialization.load_pem_private_key(pem, password=password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = _why_not(pem, source.pin) or "not a private key in PEM"
        raise SignerUnusable(f"{source.path}: {why}") from error


def is_in_clear(source: KeySource) -> bool:
    """Whether whoever reads the disk has the key: for development only."""
    return isinstance(source, FileKey) and source.pin is None


def _read(source: FileKey) -> tuple[bytes, bytes | None]:
    """The file's bytes and the passphrase."""
    check_private(source.path)
    try:
        pem = source.path.read_bytes()
    except OSError as error:
        raise SignerUnusable(f"{source.path}: {error.strerror or error}") from error
    return pem, source.pin.read() if source.pin else None


def check_private(path: Path) -> None:
    """Raise `SignerUnusable` unless the file is there and only its owner may read it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SignerUnusable(f"{path}: {error.strerror or error}") from error
    if stat.S_ISREG(mode) and mode & 0o077:
        raise SignerUnusable(f"{path}: others may read it; run chmod 600 on it")


def _why_not(pem: bytes, pin: PinSource | None) -> str:
    """What is wrong between a file and its passphrase; empty where it is not that."""
    encrypted = b"ENCRYPTED" in pem
    if encrypted and pin is None:
        return f"is encrypted: write ?{_PIN_SOURCE}=file:PATH (or env:, credential:) behind its path"
    if encrypted:
        return f"does not open with the passphrase of {pin}"
    if pin is not None:
        return f"is not encrypted, yet a {_PIN_SOURCE} is given: encrypt it, or take that out"
    return ""


def _parse_token(text: str) -> TokenKey:
    path, _, query = text.partition("?")
    if "type=private" in path.split(";"):
        path = ";".join(one for one in path.split(";") if one != "type=private")
    named = _attributes(path, ";", _PATH_NAMES, "of a pkcs11: URI's path")
    asked = _attributes(query, "&", (*_QUERY_NAMES, _TIMEOUT), "of a pkcs11: URI's query")
    if not (named.get("token") or named.get("serial")):
        raise SignerUnusable(
            "a pkcs11: URI needs token=… or serial=…; slots are not named, for their order moves"
        )
    if not (named.get("object") or named.get("id")):
        raise SignerUnusable("a pkcs11: URI needs object=… or id=…")
    for name in _QUERY_NAMES:
        if not asked.get(name):
            raise SignerUnusable(f"a pkcs11: URI needs {name}=… behind its ?")
    module = Path(unquote(asked["module-path"]))
    if not module.is_absolute():
        raise SignerUnusable("module-path must be absolute")
    return TokenKey(
        module=module,
        pin=parse_pin_source(unquote(asked[_PIN_SOURCE])),
        token=unquote(named.get("token", "")),
        serial=unquote(named.get("serial", "")),
        manufacturer=unquote(named.get("manufacturer", "")),
        model=unquote(named.get("model", "")),
        label=unquote(named.get("object", "")),
        id=_percent_bytes(named.get("id", "")),
        seconds=_seconds(asked[_TIMEOUT]) if _TIMEOUT in asked else TOKEN_SECONDS,
    )


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", text) or not 0 < float(text) <= TOKEN_SECONDS_MAX:
        raise SignerUnusable(
            f"{_TIMEOUT} must be a number of seconds, above 0 and up to {TOKEN_SECONDS_MAX:g}"
        )
    return float(text)


def _attributes(text: str, separator: str, known: tuple[str, ...], where: str) -> dict[str, str]:
    """name=value pairs as they stand. A name that is not known could change which key is meant: refused."""
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise SignerUnusable("pin-value: a PIN does not stand in a setting; name its file by pin-source")
        if not equals or name not in known:
            raise SignerUnusable(f"{name[:32]!r} is not known {where}: use {', '.join(known)}")
        if name in found:
            raise SignerUnusable(f"{name} is given twice {where}")
        if not _NOT_ENCODED.fullmatch(value) or re.search(r"%(?![0-9A-Fa-f]{2})", value):
            raise SignerUnusable(f"{name}: write other characters as %XX (RFC 7512)")
        found[name] = value
    return found


def parse_pin_source(text: str) -> PinSource:
    """Where a secret stands: file:PATH, env:NAME or credential:NAME. Raises `SignerUnusable`."""
    kind, _, name = text.partition(":")
    if kind not in _PIN_KINDS or not name:
        raise SignerUnusable(f"{_PIN_SOURCE} must be file:PATH, env:NAME or credential:NAME")
    if kind == "credential" and "/" in name:
        raise SignerUnusable(f"{_PIN_SOURCE}: credential:NAME is a name, not a path")
    return PinSource(kind, name)


def _percent_bytes(text: str) -> bytes:
    if re.fullmatch(r"(%[0-9A-Fa-f]{2})*", text) is None:
        raise SignerUnusable("id: write each byte as %XX (RFC 7512)")
    return bytes.fromhex(text.replace("%", ""))
