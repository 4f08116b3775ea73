"""The key-encryption key's file, wrapped: under a passphrase, or under an AES key that never leaves a token.

It is unwrapped once, at a start, and is in memory from then on: every application's keys are wrapped by it, and a token
asked on each request would be the slowest part of every one. Whoever has the disk alone has nothing.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.config import ConfigError
from signing.errors import SigningError
from signing.key_source import PinSource, TokenKey

MARK: Final = b"diya-kek/v1 "
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
#: RFC 7914; 32 MiB and a tenth of a second, once at a start.
_SCRYPT: Final = {"length": 32, "n": 2**15, "r": 8, "p": 1}


def wrap(secret: bytes, by: PinSource | TokenKey) -> bytes:
    """One line: `diya-kek/v1 passphrase` or `token`, and base64. Raises ConfigError."""
    try:
        if isinstance(by, PinSource):
            salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
            kind, sealed = (
                b"passphrase",
                salt + nonce + _cipher(by, salt).encrypt(nonce, secret, MARK),
            )
        else:
            from signing.tokens import TokenAES  # noqa: PLC0415 an optional extra

            kind, sealed = b"token", TokenAES(by).seal(secret)
    except SigningError as error:
        raise ConfigError(error.message) from error
    return MARK + kind + b" " + base64.b64encode(sealed)


def unwrap(line: bytes, by: PinSource | TokenKey) -> bytes:
    """What `wrap` wrapped by the same. Raises ConfigError."""
    kind, _, text = line.removeprefix(MARK).partition(b" ")
    wanted = b"passphrase" if isinstance(by, PinSource) else b"token"
    if kind != wanted:
        raise ConfigError(
            f"it is wrapped by a {kind.decode(errors='replace')[:16]}, the setting names a {wanted.decode()}"
        )
    try:
        sealed = base64.b64decode(text, validate=True)
        if isinstance(by, PinSource):
            salt, sealed = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
            return _cipher(by, salt).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], MARK)
        from signing.tokens import TokenAES  # noqa: PLC0415 as above

        return TokenAES(by).open(sealed)
    except (InvalidTag, ValueError) as error:
        raise ConfigError(
            f"it does not unwrap with {by if isinstance(by, PinSource) else by.place}"
        ) from error
    except SigningError as error:
        raise ConfigError(error.message) from error


def _cipher(pin: PinSource, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, **_SCRYPT).derive(pin.read()))
