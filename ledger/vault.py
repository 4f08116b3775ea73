"""Keys and the sealing of parts: AES-256-GCM under keys that are wrapped by one key.

The key-encryption key (KEK) comes from the operator and is never stored; another one may take its
place (ledger/rewrap.py). It wraps the part keys: one for each registry, one for each application, so
that an application's evidence can be erased by destroying one key. Each sealed value is bound by its
additional data (AAD) to its place; moved elsewhere it does not open. Nothing is compressed, nothing is
cached here.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import SealBrokenError, WrongKeyError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_CHECK_TEXT: Final = b"diya-kek-check/v1"
_SUBJECTS_LABEL: Final = b"diya-subjects/v1"


class PartKey:
    """An unwrapped key, ready to seal and open parts. Safe to share between threads.

    Nonces are 96 random bits: NIST SP 800-38D allows 2**32 seals under one such key.
    """

    __slots__ = ("_cipher", "_random_bytes")

    def __init__(self, key: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        """Take the 32-byte `key` and the source of nonces."""
        if len(key) != KEY_BYTES:
            message = f"a key has {KEY_BYTES} bytes, not {len(key)}"
            raise ValueError(message)
        self._cipher = AESGCM(key)
        self._random_bytes = random_bytes

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """Return nonce (12 bytes) || ciphertext || tag (16 bytes)."""
        nonce = self._random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, aad: bytes, sealed: bytes) -> bytes:
        """Return the plaintext of what `seal` made with the same `aad`, else SealBrokenError."""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise SealBrokenError("a sealed value")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except InvalidTag as error:
            raise SealBrokenError("a sealed value") from error


class Vault:
    """Makes, wraps and unwraps keys under one key-encryption key."""

    __slots__ = ("_kek", "_random_bytes", "_subjects")

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        """Take the operator's secret and the source of keys and nonces.

        The secret is the 32-byte KEK; once that has been replaced (`renewed`), the new KEK followed by the
        32 bytes that subjects are hashed with, which stay: the ledger holds such hashes for ever.
        `random_bytes` is replaced in tests only: a repeated nonce gives the contents away.
        Raises ValueError for a secret of another length.
        """
        kek, subjects = secret[:KEY_BYTES], secret[KEY_BYTES:]
        if len(subjects) not in (0, KEY_BYTES):
            message = f"a secret has {KEY_BYTES} or {2 * KEY_BYTES} bytes, not {len(secret)}"
            raise ValueError(message)
        self._kek = PartKey(kek, random_bytes)
        self._subjects = subjects or hmac.digest(kek, _SUBJECTS_LABEL, "sha256")
        self._random_bytes = random_bytes

    def renewed(self) -> bytes:
        """Return a secret to take this one's place: another KEK, the same hashes of subjects."""
        return self._random_bytes(KEY_BYTES) + self._subjects

    def subject(self, registry: str, kind: str, value: str) -> str:
        """Return a keyed hash (hex) of what must be found again and not be read: the same for the same value.

        Without the KEK nobody can try values until one fits.
        """
        message = b"%b\n%b\n%b" % (registry.encode(), kind.encode(), value.encode())
        return hmac.digest(self._subjects, message, "sha256").hex()

    def new_key(self) -> bytes:
        """Return a fresh key of 32 bytes."""
        return self._random_bytes(KEY_BYTES)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return `key` sealed under the KEK, 60 bytes, bound to `aad`."""
        return self._kek.seal(aad, key)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Return the key that `wrap` sealed with the same `aad`, else SealBrokenError."""
        return self._kek.open(aad, wrapped)

    def part_key(self, key: bytes) -> PartKey:
        """Return `key` ready for use, drawing nonces from this vault's source."""
        return PartKey(key, self._random_bytes)

    def seal(self, key: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Return `plaintext` sealed under `key`: nonce || ciphertext || tag."""
        return self.part_key(key).seal(aad, plaintext)

    def open(self, key: bytes, aad: bytes, sealed: bytes) -> bytes:
        """Return the plaintext of `seal` with the same key and `aad`, else SealBrokenError."""
        return self.part_key(key).open(aad, sealed)

    def check_value(self, registry: str) -> bytes:
        """Return what to store when a ledger is created, so that a wrong KEK is noticed later."""
        return self._kek.seal(_check_aad(registry), _CHECK_TEXT)

    def verify_check_value(self, registry: str, value: bytes) -> None:
        """Raise WrongKeyError unless `value` was made by `check_value` under this KEK."""
        try:
            text = self._kek.open(_check_aad(registry), value)
        except SealBrokenError as error:
            raise WrongKeyError(registry) from error
        if text != _CHECK_TEXT:
            raise WrongKeyError(registry)


def part_aad(registry: str, index: int, name: str) -> bytes:
    """Return the AAD of a part: registry, entry index and part name, one a line."""
    return f"diya-part/v1\n{registry}\n{index}\n{name}\n".encode()


def key_aad(registry: str, key_id: str, created_index: int) -> bytes:
    """Return the AAD of a wrapped key: registry, key id and the index of its first use."""
    return f"diya-key/v1\n{registry}\n{key_id}\n{created_index}\n".encode()


def _check_aad(registry: str) -> bytes:
    return b"diya-kek/v1\n%b\n" % registry.encode()
